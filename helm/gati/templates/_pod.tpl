{{/*
The Deployment of a component and the parts of its pod. Each takes the component's context (see _helpers.tpl).
*/}}

{{/* A Deployment. Takes the component's context with "annotations" and "checksums" of its pods, "replicas", "" where a
scaler owns them, "ports" (see _network.tpl) and "sources", the chart's own sources of environment. */}}
{{- define "gati.deployment" -}}
{{- $strategy := eq .values.strategy.type "Recreate" | ternary (dict "type" "Recreate") .values.strategy -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- $annotations := dict "annotations" .values.annotations }}
  {{- include "gati.componentMetadata" (merge $annotations (omit . "annotations")) | nindent 2 }}
spec:
  {{- with .replicas }}
  replicas: {{ . }}
  {{- end }}
  {{- with .values.minReadySeconds }}
  minReadySeconds: {{ . }}
  {{- end }}
  {{- with include "gati.text" .root.Values.revisionHistoryLimit }}
  revisionHistoryLimit: {{ . }}
  {{- end }}
  strategy:
    {{- toYaml $strategy | nindent 4 }}
  selector:
    matchLabels:
      {{- include "gati.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      {{- $values := .root.Values }}
      {{- $given := list $values.commonLabels $values.podLabels .values.podLabels }}
      {{- $given = append $given (include "gati.selectorLabels" . | fromYaml) }}
      {{- $own := dict "app.kubernetes.io/part-of" "gati" }}
      {{- include "gati.strings" (concat (list .root "labels" $own) $given) | trim | nindent 6 }}
      {{- /* The user's own win over the chart's, but for the checksums. */}}
      {{- $given = list .annotations $values.commonAnnotations $values.podAnnotations .values.podAnnotations }}
      {{- with include "gati.strings" (concat (list .root "annotations") $given (list .checksums)) | trimPrefix "\n" }}
      {{- . | nindent 6 }}
      {{- end }}
    spec:
      {{- include "gati.podSettings" . | nindent 6 }}
      {{- with include "gati.containers" (list .root .values.initContainers) }}
      initContainers:
        {{- . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .component }}
          {{- include "gati.container" . | nindent 10 }}
        {{- with include "gati.containers" (list .root .values.extraContainers) }}
        {{- . | nindent 8 }}
        {{- end }}
      volumes:
        {{- range include "gati.volumes" . | fromYamlArray }}
        - name: {{ .name }}
          {{- toYaml .volume | nindent 10 }}
        {{- end }}
        {{- with (include "gati.stored" (list "" .values.extraVolumes) | fromJson).it }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end }}

{{/* Seconds of the shutdown, as a map: preStop, grace. Behind a balancer that knows nodes alone, its health check has
to notice first; the grace grows with that. */}}
{{- define "gati.shutdown" -}}
{{- $shutdown := .root.Values.shutdown -}}
{{- $pause := int $shutdown.preStopSeconds -}}
{{- if eq (toString .values.service.externalTrafficPolicy) "Local" -}}
{{- $pause = max $pause (int .values.service.healthCheckSeconds) -}}
{{- end -}}
preStop: {{ $pause }}
grace: {{ add $shutdown.terminationGracePeriodSeconds (sub $pause (int $shutdown.preStopSeconds)) }}
{{- end }}

{{/* Everything of the pod that does not depend on its containers. */}}
{{- define "gati.podSettings" -}}
{{- $token := and .values.automountServiceAccountToken (ne (include "gati.serviceAccountName" .) "default") -}}
serviceAccountName: {{ include "gati.serviceAccountName" . | quote }}
automountServiceAccountToken: {{ $token | default false }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ (include "gati.shutdown" . | fromYaml).grace }}
{{- /* A pod in the node's network asks the node's DNS, which knows no Service, unless it is told otherwise. */}}
{{- $dns := .values.hostNetwork | default false | ternary "ClusterFirstWithHostNet" "" }}
{{- range $key := list "dnsPolicy" "dnsConfig" "hostAliases" "hostNetwork" "runtimeClassName" }}
{{- with get $.values $key | default (eq $key "dnsPolicy" | ternary $dns "") }}
{{ $key }}: {{ toJson . }}
{{- end }}
{{- end }}
{{- include "gati.pullSecrets" .root }}
{{- include "gati.overlay" (list "securityContext" .root.Values.podSecurityContext) }}
{{- include "gati.placement" . }}
{{- end }}

{{/* nodeSelector merged, affinity chosen, tolerations joined, spread constraints; each only where there is any. */}}
{{- define "gati.placement" -}}
{{- $global := pick .root.Values "priorityClassName" "nodeSelector" "affinity" "tolerations" -}}
{{- range .values.ignoreGlobal }}{{ $_ := unset $global . }}{{ end -}}
{{- $zones := .root.Values.multiZone | default dict -}}
{{- with .values.priorityClassName | default $global.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- include "gati.strings" (list .root "nodeSelector" $global.nodeSelector .values.nodeSelector) }}
{{- $affinity := deepCopy (.values.affinity | default $global.affinity | default dict) }}
{{- $spread := .values.topologySpreadConstraints | default list }}
{{- if $zones.enabled }}
{{- $selector := dict "matchLabels" (include "gati.selectorLabels" . | fromYaml) }}
{{- $term := dict "topologyKey" $zones.zoneLabel "labelSelector" $selector }}
{{- $anti := $affinity.podAntiAffinity | default dict }}
{{- $terms := $anti.preferredDuringSchedulingIgnoredDuringExecution | default list }}
{{- $terms = append $terms (dict "weight" 100 "podAffinityTerm" $term) }}
{{- $_ := set $anti "preferredDuringSchedulingIgnoredDuringExecution" $terms }}
{{- $_ := set $affinity "podAntiAffinity" $anti }}
{{- $zone := dict "maxSkew" 1 "topologyKey" $zones.zoneLabel "whenUnsatisfiable" $zones.whenUnsatisfiable }}
{{- $spread = append $spread (merge $zone (dict "matchLabelKeys" (list "pod-template-hash"))) }}
{{- end }}
{{- $counting := list }}
{{- range $spread }}
{{- /* Without a selector of its own it counts the component's pods; to Kubernetes it would count none. */}}
{{- $own := dict "labelSelector" (dict "matchLabels" (include "gati.selectorLabels" $ | fromYaml)) }}
{{- $counting = append $counting (hasKey . "labelSelector" | ternary . (merge $own .)) }}
{{- end }}
{{- include "gati.overlay" (list "affinity" $affinity) }}
{{- $tolerations := concat ($global.tolerations | default list) (.values.tolerations | default list) }}
{{- include "gati.under" (list "tolerations" $tolerations) }}
{{- include "gati.under" (list "topologySpreadConstraints" $counting) }}
{{- end }}

{{/* The user's own containers under the chart's container security context, which their own overrides.
Takes (list ROOT CONTAINERS). */}}
{{- define "gati.containers" -}}
{{- $context := (index . 0).Values.securityContext -}}
{{- $all := list -}}
{{- range index . 1 -}}
{{- $security := include "gati.overlay" (list "securityContext" $context .securityContext) -}}
{{- $own := print (include "gati.storedUnder" (list "resources" .resources)) $security | fromYaml -}}
{{- $stored := include "gati.stored" (list "" (omit . "resources" "securityContext")) | fromJson -}}
{{- $all = append $all (merge $own $stored.it) -}}
{{- end -}}
{{- with $all }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* The component's own container but for its name. */}}
{{- define "gati.container" -}}
image: {{ include "gati.image" . | quote }}
imagePullPolicy: {{ .values.image.pullPolicy }}
{{- include "gati.under" (list "command" .values.command) }}
{{- include "gati.under" (list "args" .values.args) }}
{{- include "gati.overlay" (list "securityContext" .root.Values.securityContext) }}
{{- include "gati.storedUnder" (list "resources" .values.resources) }}
{{- include "gati.under" (list "lifecycle" (include "gati.lifecycle" . | fromYaml)) }}
{{- include "gati.under" (list "env" (include "gati.environment" . | fromYamlArray)) }}
{{- $sources := .sources }}
{{- with .values.existingSecret }}{{ $sources = append $sources (dict "secretRef" (dict "name" .)) }}{{ end }}
{{- include "gati.under" (list "envFrom" (concat $sources (.values.extraEnvFrom | default list))) }}
ports:
  {{- range .ports }}
  - name: {{ .name }}
    containerPort: {{ .containerPort }}
    protocol: TCP
  {{- end }}
{{- range $kind := list "startupProbe" "readinessProbe" "livenessProbe" }}
{{- include "gati.under" (list $kind (include "gati.probe" (list $ $kind) | fromYaml)) }}
{{- end }}
volumeMounts:
  {{- range include "gati.volumes" . | fromYamlArray }}
  - name: {{ .name }}
    mountPath: {{ .path }}
    {{- if not .writable }}
    readOnly: true
    {{- end }}
  {{- end }}
  {{- with .values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* The hooks of the container: the pause before it stops, and the user's own, which win. */}}
{{- define "gati.lifecycle" -}}
{{- $pause := (include "gati.shutdown" . | fromYaml).preStop | int -}}
{{- $command := append .root.Values.shutdown.preStopCommand (toString $pause) -}}
{{- $exec := dict "exec" (dict "command" $command) -}}
{{- $hook := include "gati.nativeSleep" .root | empty | ternary $exec (dict "sleep" (dict "seconds" $pause)) -}}
{{- $hooks := $pause | empty | ternary dict (dict "preStop" $hook) -}}
{{- range $name, $given := .values.lifecycle }}{{ if $given }}{{ $_ := set $hooks $name $given }}{{ end }}{{ end -}}
{{- toYaml $hooks -}}
{{- end }}

{{/* A probe, empty where it is switched off. Takes (list CONTEXT KIND). The kubelet's gRPC probe speaks no TLS. */}}
{{- define "gati.probe" -}}
{{- $context := index . 0 -}}
{{- $probe := get $context.values (index . 1) | default dict -}}
{{- if and $probe.enabled $probe.custom -}}
{{- toYaml $probe.custom -}}
{{- else if $probe.enabled -}}
{{- if eq $context.component "ingress" -}}
{{- $management := and (ne (index . 1) "readinessProbe") (include "gati.ingress.ownMetricsPort" $context.root) -}}
{{- $port := $probe.port | default ($management | empty | ternary "http" "metrics") -}}
httpGet:
  path: {{ $probe.path | quote }}
  port: {{ $port }}
  {{- if and ($context.root.Values.tls).enabled (ne $port "http") }}
  scheme: HTTPS
  {{- end }}
{{- else -}}
grpc:
  port: {{ $context.values.service.targetPort }}
{{- end }}
{{ pick $probe "periodSeconds" "timeoutSeconds" "failureThreshold" | toYaml }}
{{- end -}}
{{- end }}

{{/* The chart's own variables of a component: where the image listens, what it speaks, and where its files are. */}}
{{- define "gati.variables" -}}
{{- $values := .root.Values }}
{{- $variables := list }}
{{- if eq .component "ingress" }}
{{- $variables = append $variables (list "HTTP_PORT" .values.service.targetPort) }}
{{- with $values.tls }}
{{- if .enabled }}
{{- $variables = append $variables (list "HTTPS_PORT" .targetPort) }}
{{- if ne .http "plain" }}
{{- $variables = concat $variables (list (list "HTTP_MODE" "redirect") (list "PUBLIC_HTTPS_PORT" .servicePort)) }}
{{- end }}
{{- end }}
{{- end }}
{{- if include "gati.ingress.ownMetricsPort" .root }}
{{- $variables = append $variables (list "GATI_METRICS_PORT" .values.prometheus.port) }}
{{- end }}
{{- if and $values.routeManager.enabled ($values.routeManager.tls).enabled }}
{{- $variables = append $variables (list "ROUTE_MANAGER_TLS" true) }}
{{- end }}
{{- else }}
{{- $variables = append $variables (list "GRPC_PORT" .values.service.targetPort) }}
{{- with .values.tls }}
{{- if .enabled }}
{{- $variables = concat $variables (list (list "GRPCS_PORT" .targetPort) (list "GRPC_MODE" .grpc)) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $variables }}
- {name: {{ first . }}, value: {{ last . | include "gati.text" | quote }}}
{{- end }}
{{- range include "gati.volumes" . | fromYamlArray }}
{{- range $name, $value := .variables }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* The variables of the container: the chart's own, where it runs, and the user's, which win. */}}
{{- define "gati.environment" -}}
{{- $given := .values.extraEnv | default list }}
{{- $names := list }}
{{- range $given }}{{ $names = append $names .name }}{{ end }}
{{- $fixed := include "gati.variables" . | fromYamlArray }}
{{- range $name, $field := dict "POD_NAME" "metadata.name" "POD_NAMESPACE" "metadata.namespace" }}
{{- $fixed = append $fixed (dict "name" $name "valueFrom" (dict "fieldRef" (dict "fieldPath" $field))) }}
{{- end }}
{{- $all := list }}
{{- range $fixed }}{{ if not (has .name $names) }}{{ $all = append $all . }}{{ end }}{{ end }}
{{- toYaml (include "gati.stored" (list "" (concat $all $given)) | fromJson).it }}
{{- end }}

{{/*
The chart's own volumes of a component and where they are mounted, with the variables that lead the image to their
files, as a list of maps: name, path, variables, volume, and `writable`, or `foreign` for another component's.
*/}}
{{- define "gati.volumes" -}}
{{- $home := "/etc/gati" }}
{{- $tls := eq .component "ingress" | ternary .root.Values.tls .values.tls | default dict }}
{{- $manager := .root.Values.routeManager }}
- {name: tmp, path: /tmp, writable: true, volume: {emptyDir: {sizeLimit: 64Mi}}}
{{- if eq .component "route-manager" }}
- name: routes
  path: {{ $home }}/routes
  variables: {ROUTES_FILE: {{ $home }}/routes/routes.yaml}
  volume: {configMap: {name: {{ include "gati.routeManager.routesName" .root | quote }}}}
{{- end }}
{{- if $tls.enabled }}
- name: tls
  path: {{ $home }}/tls
  variables: {TLS_CERT_FILE: {{ $home }}/tls/tls.crt, TLS_KEY_FILE: {{ $home }}/tls/tls.key}
  volume: {secret: {secretName: {{ include "gati.certificateSecret" . | quote }}, defaultMode: 0440}}
{{- end }}
{{- with include "gati.caBundle" .root }}
- name: ca-bundle
  path: {{ $home }}/ca
  variables:
    GATI_CA_BUNDLE: {{ $home }}/ca/ca.crt
    CA_BUNDLE_FILE: {{ $home }}/ca/ca.crt
    SSL_CERT_DIR: /etc/ssl/certs:{{ $home }}/ca
  volume:
    {{- . | nindent 4 }}
{{- end }}
{{- if and (eq .component "ingress") $manager.enabled ($manager.tls).enabled ($manager.tls).caKey }}
{{- $of := dict "root" .root "component" "route-manager" "values" $manager }}
- name: route-manager-ca
  path: {{ $home }}/route-manager
  foreign: true
  variables: {ROUTE_MANAGER_CA_FILE: {{ $home }}/route-manager/ca.crt}
  volume:
    secret:
      secretName: {{ include "gati.certificateSecret" $of | quote }}
      items: [{key: {{ $manager.tls.caKey | quote }}, path: ca.crt}]
{{- end }}
{{- end }}
