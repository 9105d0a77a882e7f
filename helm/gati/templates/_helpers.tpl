{{/*
Names, labels, images and small values.

A helper that serves both components takes a map, the component's context:
  root       the root context
  component  ingress | route-manager
  values     the component's values
*/}}

{{- define "gati.namespace" -}}
{{- (.Values.global).namespace | default .Release.Namespace -}}
{{- end }}

{{/*
A name with a suffix, 63 characters at most. The name is cut, never the suffix, and what was cut away goes into a
short hash, so that two long names stay apart. Takes (list NAME SUFFIX).
*/}}
{{- define "gati.suffixed" -}}
{{- $name := index . 0 -}}
{{- $suffix := printf "-%s" (index . 1) -}}
{{- $room := sub 63 (len $suffix) | int -}}
{{- if gt (len $name) $room -}}
{{- $hash := sha256sum $name | trunc 8 -}}
{{- $name = printf "%s-%s" (trunc (sub $room 9 | int) $name | trimSuffix "-") $hash -}}
{{- end -}}
{{- $name }}{{ $suffix -}}
{{- end }}

{{/* Text made fit for a label's value. */}}
{{- define "gati.labelValue" -}}
{{- regexReplaceAll "[^-A-Za-z0-9_.]" . "_" | trunc 63 | trimAll "-_." -}}
{{- end }}

{{- define "gati.selectorLabels" -}}
app.kubernetes.io/name: gati
app.kubernetes.io/instance: {{ include "gati.labelValue" .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The chart's own labels of an object, as a map; never the labels of a pod, which a new chart version must not restart. */}}
{{- define "gati.chartLabels" -}}
helm.sh/chart: {{ include "gati.labelValue" (printf "%s-%s" .Chart.Name .Chart.Version) }}
app.kubernetes.io/name: gati
app.kubernetes.io/instance: {{ include "gati.labelValue" .Release.Name | quote }}
app.kubernetes.io/version: {{ include "gati.labelValue" .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: gati
{{- end }}

{{/*
Maps laid over each other, a later one winning key by key, false and zero included. An empty map in them is left out,
and nothing at all is written for nothing. Takes (list KEY MAP...) and writes the outcome under KEY.
*/}}
{{- define "gati.overlay" -}}
{{- $merged := dict -}}
{{- range rest . -}}
{{- range $key, $value := . | default dict -}}
{{- if not (and (kindIs "map" $value) (empty $value)) -}}
{{- $_ := set $merged $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $merged }}
{{ first $ }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
The same for maps of strings, in which numbers and booleans become text. It is the one place where labels and
annotations come together, so that no key stands twice.
*/}}
{{- define "gati.strings" -}}
{{- $maps := list (first .) -}}
{{- range rest . -}}
{{- $texts := dict -}}
{{- range $key, $value := . | default dict -}}
{{- $_ := set $texts $key (include "gati.text" $value) -}}
{{- end -}}
{{- $maps = append $maps $texts -}}
{{- end -}}
{{- include "gati.overlay" $maps -}}
{{- end }}

{{/*
The metadata that every object has: name, namespace, labels, annotations.
Takes (dict "root" "name") and, where they apply, "namespace", "component", "labels", "annotations".
*/}}
{{- define "gati.metadata" -}}
{{- $component := dict -}}
{{- with .component -}}
{{- $component = dict "app.kubernetes.io/component" . -}}
{{- end -}}
name: {{ .name | quote }}
{{- if not .clusterScoped }}
namespace: {{ .namespace | default (include "gati.namespace" .root) | quote }}
{{- end }}
{{- include "gati.strings" (list "labels" (include "gati.chartLabels" .root | fromYaml) .root.Values.commonLabels .labels $component) }}
{{- include "gati.strings" (list "annotations" .root.Values.commonAnnotations .annotations) }}
{{- end }}

{{/* name:tag, or name@digest. */}}
{{- define "gati.image" -}}
{{- $image := .values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ include "gati.text" ($image.tag | default .root.Chart.AppVersion) }}
{{- end -}}
{{- end }}

{{/* A scalar as text: booleans and numbers as they were written, integers never in exponent form. */}}
{{- define "gati.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end }}

{{- define "gati.serviceAccountName" -}}
{{- if (.root.Values.rbac).create }}{{ .values.name }}{{ else }}default{{ end -}}
{{- end }}

{{/* The IP families of a Service, indented by two. */}}
{{- define "gati.serviceFamilies" -}}
{{- with (.Values.networking).ipFamilyPolicy }}
  ipFamilyPolicy: {{ . }}
{{- end }}
{{- with (.Values.networking).ipFamilies }}
  ipFamilies:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{- define "gati.ingress.configName" -}}
{{- include "gati.suffixed" (list .Values.ingress.name "config") -}}
{{- end }}

{{- define "gati.routeManager.routesName" -}}
{{- .Values.routeManager.existingRoutesConfigMap | default (include "gati.suffixed" (list .Values.routeManager.name "routes")) -}}
{{- end }}

{{- define "gati.routeManager.headlessName" -}}
{{- include "gati.suffixed" (list .Values.routeManager.name "headless") -}}
{{- end }}

{{/* Where the ingress finds route-manager. */}}
{{- define "gati.routeManager.address" -}}
{{- $service := .Values.routeManager.service -}}
{{- if $service.headless -}}
dns:///{{ include "gati.routeManager.headlessName" . }}.{{ include "gati.namespace" . }}.svc:{{ $service.port }}
{{- else -}}
{{ .Values.routeManager.name }}.{{ include "gati.namespace" . }}.svc:{{ $service.port }}
{{- end -}}
{{- end }}

{{/* The data of the ingress ConfigMap: every value a string. */}}
{{- define "gati.ingress.configData" -}}
{{- $data := dict "ROUTE_MANAGER_ADDR" (include "gati.routeManager.address" .) -}}
{{- range $key, $value := .Values.ingress.config -}}
{{- if not (and (eq $key "ROUTE_MANAGER_ADDR") (empty $value)) -}}
{{- $_ := set $data $key (include "gati.text" $value) -}}
{{- end -}}
{{- end -}}
{{- toYaml $data -}}
{{- end }}

{{/* The name, scheme and ports of what the ingress Service offers, as a map. */}}
{{- define "gati.ingress.frontend" -}}
{{- if (.Values.tls).enabled -}}
name: https
port: {{ .Values.tls.servicePort }}
targetPort: {{ .Values.tls.targetPort }}
{{- else -}}
name: http
port: {{ .Values.ingress.service.port }}
targetPort: {{ .Values.ingress.service.targetPort }}
{{- end -}}
{{- end }}
