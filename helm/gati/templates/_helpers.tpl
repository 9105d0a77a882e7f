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

{{/* What the objects of the whole release are named after, and with an override those of the components too. */}}
{{- define "gati.fullname" -}}
{{- $name := list .Release.Name .Values.nameOverride | compact | join "-" -}}
{{- .Values.fullnameOverride | default $name | replace "." "-" -}}
{{- end }}

{{/* The name of a component's objects. A name that was given stands; the default gives way to the overrides. */}}
{{- define "gati.name" -}}
{{- $default := get (dict "ingress" "gati-ingress" "route-manager" "route-manager") .component -}}
{{- if and (eq .values.name $default) (or .root.Values.nameOverride .root.Values.fullnameOverride) -}}
{{- include "gati.suffixed" (list (include "gati.fullname" .root) .component) -}}
{{- else -}}
{{- .values.name -}}
{{- end -}}
{{- end }}

{{- define "gati.ingress.name" -}}
{{- include "gati.name" (dict "root" . "component" "ingress" "values" .Values.ingress) -}}
{{- end }}

{{- define "gati.routeManager.name" -}}
{{- include "gati.name" (dict "root" . "component" "route-manager" "values" .Values.routeManager) -}}
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

{{/* The labels that tell this installation from all others; an override keeps two in one namespace apart. */}}
{{- define "gati.instanceLabels" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default "gati" | quote }}
app.kubernetes.io/instance: {{ .Values.fullnameOverride | default .Release.Name | include "gati.labelValue" | quote }}
{{- end }}

{{- define "gati.selectorLabels" -}}
{{ include "gati.instanceLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The chart's own labels of an object; never those of a pod, which a new chart version must not restart. */}}
{{- define "gati.chartLabels" -}}
helm.sh/chart: {{ include "gati.labelValue" (printf "%s-%s" .Chart.Name .Chart.Version) }}
{{ include "gati.instanceLabels" . }}
app.kubernetes.io/version: {{ include "gati.labelValue" .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: gati
{{- end }}

{{/*
Maps laid over each other, a later one winning key by key, false and zero included. What is empty in them (text, too, so
that a default can be taken away without a null) is left out, and nothing at all is written for nothing.
Takes (list KEY MAP...) and writes the outcome under KEY.
*/}}
{{- define "gati.overlay" -}}
{{- $merged := dict -}}
{{- range rest . -}}
{{- range $key, $value := . | default dict -}}
{{- if kindIs "map" $value }}{{ $value = (include "gati.overlay" (list "it" $value) | fromYaml).it }}{{ end -}}
{{- if has (toString $value) (list "" "[]" "<nil>") -}}
{{- $_ := unset $merged $key -}}
{{- else -}}
{{- $_ := set $merged $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "gati.under" (list (first .) $merged) -}}
{{- end }}

{{/* A map or list under its key, and nothing at all for an empty one. Takes (list KEY VALUE). */}}
{{- define "gati.under" -}}
{{- with index . 1 }}
{{ first $ }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Maps of strings laid over each other: numbers and booleans become text, templates are evaluated where that is asked for,
a null takes the key away. It is the one place where labels and annotations come together, so that no key stands twice.
Takes (list ROOT KEY MAP...).
*/}}
{{- define "gati.strings" -}}
{{- $merged := dict -}}
{{- range rest (rest .) -}}
{{- range $key, $value := . | default dict -}}
{{- $_ := set $merged $key (include "gati.evaluated" (list (index $ 0) (index $ 1) $value)) -}}
{{- if kindIs "invalid" $value }}{{ $_ := unset $merged $key }}{{ end -}}
{{- end -}}
{{- end -}}
{{- include "gati.under" (list (index . 1) $merged) -}}
{{- end }}

{{/* A value as text: booleans and numbers as they were written, integers never in exponent form, "" for none. */}}
{{- define "gati.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else if not (kindIs "invalid" .) }}{{ toJson . }}{{ end -}}
{{- end }}

{{/* A scalar as text, its templates evaluated where `templates` asks for it. Takes (list ROOT WHAT VALUE). */}}
{{- define "gati.evaluated" -}}
{{- $text := include "gati.text" (index . 2) -}}
{{- $asked := get ((index . 0).Values.templates | default dict) (index . 1) -}}
{{- if and $asked (contains "{{" $text) }}{{ tpl $text (index . 0) }}{{ else }}{{ $text }}{{ end -}}
{{- end }}

{{/*
The metadata that every object has: name, namespace, labels, annotations.
Takes (dict "root" "name") and, where they apply, "namespace", "component", "labels", "annotations".
*/}}
{{- define "gati.metadata" -}}
{{- $component := dict -}}
{{- with .component }}{{ $component = dict "app.kubernetes.io/component" . }}{{ end -}}
{{- $labels := include "gati.chartLabels" .root | fromYaml -}}
name: {{ .name | quote }}
{{- if not .clusterScoped }}
namespace: {{ .namespace | default (include "gati.namespace" .root) | quote }}
{{- end }}
{{- include "gati.strings" (list .root "labels" $labels .root.Values.commonLabels $component .labels) }}
{{- include "gati.strings" (list .root "annotations" .root.Values.commonAnnotations .annotations) }}
{{- end }}

{{/* The same for an object of a component, whose name is the default. Takes the component's context, and the same. */}}
{{- define "gati.componentMetadata" -}}
{{- $default := dict -}}
{{- if not .name }}{{ $_ := set $default "name" (include "gati.name" .) }}{{ end -}}
{{- include "gati.metadata" (merge $default .) -}}
{{- end }}

{{/* repository:tag, or repository@digest; `global.imageRegistry` takes the place of the repository's own registry. */}}
{{- define "gati.image" -}}
{{- $image := .values.image -}}
{{- $repository := $image.repository -}}
{{- with (.root.Values.global).imageRegistry -}}
{{- $repository = regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "" | print . "/" -}}
{{- end -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ include "gati.text" ($image.tag | default .root.Chart.AppVersion) }}
{{- end -}}
{{- end }}

{{/* The credentials for the registries, those of `global` first. Takes the root context. */}}
{{- define "gati.pullSecrets" -}}
{{- $names := list -}}
{{- range concat ((.Values.global).imagePullSecrets | default list) (.Values.imagePullSecrets | default list) -}}
{{- $names = append $names (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- include "gati.under" (list "imagePullSecrets" (uniq $names)) -}}
{{- end }}

{{/* Non-empty when the chart makes the component's ServiceAccount; every namespace has `default` already. */}}
{{- define "gati.makesAccount" -}}
{{- $account := .values.serviceAccount | default dict -}}
{{- if and (.root.Values.rbac).create $account.create (ne $account.name "default") }}true{{ end -}}
{{- end }}

{{- define "gati.serviceAccountName" -}}
{{- $default := include "gati.makesAccount" . | empty | ternary "default" (include "gati.name" .) -}}
{{- (.values.serviceAccount).name | default $default -}}
{{- end }}

{{- define "gati.ingress.configName" -}}
{{- include "gati.suffixed" (list (include "gati.ingress.name" .) "config") -}}
{{- end }}

{{- define "gati.routeManager.routesName" -}}
{{- $own := include "gati.suffixed" (list (include "gati.routeManager.name" .) "routes") -}}
{{- .Values.routeManager.existingRoutesConfigMap | default $own -}}
{{- end }}

{{- define "gati.routeManager.headlessName" -}}
{{- include "gati.suffixed" (list (include "gati.routeManager.name" .) "headless") -}}
{{- end }}

{{/* Where the ingress finds route-manager. Behind a headless Service it is the pods themselves that are called. */}}
{{- define "gati.routeManager.address" -}}
{{- $port := include "gati.routeManager.ports" . | fromYamlArray | last -}}
{{- $zone := printf "%s.svc" (include "gati.namespace" .) -}}
{{- if .Values.routeManager.service.headless -}}
dns:///{{ include "gati.routeManager.headlessName" . }}.{{ $zone }}:{{ $port.containerPort }}
{{- else -}}
{{ include "gati.routeManager.name" . }}.{{ $zone }}:{{ $port.port }}
{{- end -}}
{{- end }}

{{/* The data of the ingress ConfigMap: every value a string. */}}
{{- define "gati.ingress.configData" -}}
{{- $data := dict "ROUTE_MANAGER_ADDR" (include "gati.routeManager.address" .) -}}
{{- range $key, $value := .Values.ingress.config -}}
{{- if not (or (kindIs "invalid" $value) (and (eq $key "ROUTE_MANAGER_ADDR") (empty $value))) -}}
{{- $_ := set $data $key (include "gati.evaluated" (list $ "config" $value)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $data -}}
{{- end }}
