{{/*
The parts of a pod that both components share. Each takes the component's context (see _helpers.tpl).
*/}}

{{- define "gati.podLabels" -}}
{{- include "gati.strings" (list "labels" (dict "app.kubernetes.io/part-of" "gati") .root.Values.commonLabels .root.Values.podLabels .values.podLabels (include "gati.selectorLabels" . | fromYaml)) }}
{{- end }}

{{/* Takes the component's context with "annotations", those of the chart itself; they win. */}}
{{- define "gati.podAnnotations" -}}
{{- include "gati.strings" (list "annotations" .root.Values.commonAnnotations .root.Values.podAnnotations .values.podAnnotations .annotations) }}
{{- end }}

{{/* Everything of the pod that does not depend on its containers. */}}
{{- define "gati.podSettings" -}}
serviceAccountName: {{ include "gati.serviceAccountName" . | quote }}
automountServiceAccountToken: {{ if and (.root.Values.rbac).create .values.automountServiceAccountToken }}true{{ else }}false{{ end }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .root.Values.shutdown.terminationGracePeriodSeconds }}
{{- with .values.priorityClassName | default .root.Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "gati.overlay" (list "securityContext" .root.Values.podSecurityContext) }}
{{- include "gati.placement" . }}
{{- end }}

{{/* nodeSelector merged, affinity chosen, tolerations joined, spread constraints; each only where it holds anything. */}}
{{- define "gati.placement" -}}
{{- $global := .root.Values -}}
{{- $zones := $global.multiZone | default dict -}}
{{- include "gati.strings" (list "nodeSelector" $global.nodeSelector .values.nodeSelector) }}
{{- $affinity := deepCopy (.values.affinity | default $global.affinity | default dict) }}
{{- if $zones.enabled }}
{{- $own := dict "weight" 100 "podAffinityTerm" (dict "topologyKey" $zones.zoneLabel "labelSelector" (dict "matchLabels" (include "gati.selectorLabels" . | fromYaml))) }}
{{- $anti := $affinity.podAntiAffinity | default dict }}
{{- $terms := append ($anti.preferredDuringSchedulingIgnoredDuringExecution | default list) $own }}
{{- $_ := set $anti "preferredDuringSchedulingIgnoredDuringExecution" $terms }}
{{- $_ := set $affinity "podAntiAffinity" $anti }}
{{- end }}
{{- include "gati.overlay" (list "affinity" $affinity) }}
{{- with concat ($global.tolerations | default list) (.values.tolerations | default list) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $spread := .values.topologySpreadConstraints | default list }}
{{- if or $spread $zones.enabled }}
topologySpreadConstraints:
{{- with $spread }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $zones.enabled }}
  - maxSkew: 1
    topologyKey: {{ $zones.zoneLabel | quote }}
    whenUnsatisfiable: {{ $zones.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "gati.selectorLabels" . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
{{- end }}

{{/* Init containers under the chart's container security context, which their own overrides. */}}
{{- define "gati.initContainers" -}}
{{- with .values.initContainers }}
initContainers:
{{- range . }}
  - {{ toYaml (omit . "securityContext") | nindent 4 | trim }}
    {{- include "gati.overlay" (list "securityContext" $.root.Values.securityContext .securityContext) | trim | nindent 4 }}
{{- end }}
{{- end }}
{{- end }}

{{/* The head of the component's container: image, entry point, security context and the preStop hook. */}}
{{- define "gati.containerSettings" -}}
image: {{ include "gati.image" . | quote }}
imagePullPolicy: {{ .values.image.pullPolicy }}
{{- with .values.command }}
command:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.args }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "gati.overlay" (list "securityContext" .root.Values.securityContext) }}
{{- include "gati.overlay" (list "resources" .values.resources) }}
{{- $shutdown := .root.Values.shutdown }}
{{- if $shutdown.preStopSeconds }}
lifecycle:
  preStop:
    {{- if include "gati.nativeSleep" .root }}
    sleep:
      seconds: {{ $shutdown.preStopSeconds }}
    {{- else }}
    exec:
      command:
        {{- range append $shutdown.preStopCommand (toString $shutdown.preStopSeconds) }}
        - {{ . | quote }}
        {{- end }}
    {{- end }}
{{- end }}
{{- end }}

{{/* The environment that says where the container runs; then the user's own, which wins. Takes the component's context with
"env", a list of the component's own variables. */}}
{{- define "gati.environment" -}}
{{- $fixed := concat .env (list (dict "name" "POD_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name"))) (dict "name" "POD_NAMESPACE" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.namespace")))) }}
{{- $given := list }}
{{- range .values.extraEnv }}
{{- $given = append $given .name }}
{{- end }}
env:
{{- range $fixed }}
{{- if not (has .name $given) }}
  - {{ toYaml . | nindent 4 | trim }}
{{- end }}
{{- end }}
{{- with .values.extraEnv }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A probe's times. Takes the probe's values. */}}
{{- define "gati.probeTimes" -}}
periodSeconds: {{ .periodSeconds }}
timeoutSeconds: {{ .timeoutSeconds }}
failureThreshold: {{ .failureThreshold }}
{{- end }}
