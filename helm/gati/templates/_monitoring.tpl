{{/*
How the metrics of the ingress are found.
*/}}

{{/* Non-empty when the metrics have a container port of their own, that of management. */}}
{{- define "gati.ingress.ownMetricsPort" -}}
{{- $port := (.Values.ingress.prometheus).port -}}
{{- $taken := list (int .Values.ingress.service.targetPort) -}}
{{- if (.Values.tls).enabled }}{{ $taken = append $taken (int .Values.tls.targetPort) }}{{ end -}}
{{- if and $port (not (has (int $port) $taken)) }}true{{ end -}}
{{- end }}

{{/* The container port of the metrics as a map: name, containerPort, scheme, and port where the Service offers it. */}}
{{- define "gati.ingress.metrics" -}}
{{- $ports := include "gati.ingress.ports" . | fromYamlArray -}}
{{- $wanted := (.Values.ingress.prometheus).port | default .Values.ingress.service.targetPort | int -}}
{{- range $port := $ports -}}
{{- if eq (int .containerPort) $wanted -}}
{{- $secure := and ($.Values.tls).enabled (ne .name "http") -}}
{{- set $port "scheme" ($secure | empty | ternary "http" "https") | toYaml -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Non-empty when an object of the Prometheus Operator is asked for. Takes (list ROOT KIND). */}}
{{- define "gati.monitoring.wanted" -}}
{{- $values := (index . 0).Values -}}
{{- $operator := $values.prometheusOperator | default dict -}}
{{- $object := get $operator (untitle (index . 1)) | default dict -}}
{{- $scrape := or (ne (index . 1) "ServiceMonitor") ($values.ingress.prometheus).scrape -}}
{{- if and $values.ingress.enabled $operator.enabled $object.enabled $scrape }}true{{ end -}}
{{- end }}

{{/* Non-empty when it is rendered. */}}
{{- define "gati.monitoring.rendered" -}}
{{- if include "gati.monitoring.wanted" . -}}
{{- $kind := printf "monitoring.coreos.com/v1/%s" (index . 1) -}}
{{- include "gati.renders" (list (index . 0) $kind (index . 0).Values.prometheusOperator.renderMode) -}}
{{- end -}}
{{- end }}

{{/*
Label matchers that select the series of this release's ingress pods, and of no other's. Pods are told by name, as both
a ServiceMonitor and the usual jobs for annotated pods label them; what stands before a pod's five letters is cut at 58.
*/}}
{{- define "gati.ingress.series" -}}
{{- $name := include "gati.ingress.name" . -}}
{{- $pods := printf "%s-[a-z0-9]+-[a-z0-9]+" $name -}}
{{- if gt (len $name) 46 }}{{ $pods = printf "%s-" $name | trunc 58 | printf "%s[a-z0-9]+(-[a-z0-9]+)?" }}{{ end -}}
{{- $found := printf "namespace=%q,pod=~%q" (include "gati.namespace" .) $pods -}}
{{- $given := regexReplaceAll `[\r\n]` ((.Values.ingress.prometheus).selector | default "") " " -}}
{{- trim $given | trimSuffix "," | default $found -}}
{{- end }}

{{/* The labels of an alert. Its expression leaves none that tell one installation from another, and alerts with the
same labels are one to Alertmanager. Takes (list ROOT SEVERITY). */}}
{{- define "gati.ingress.alertLabels" -}}
namespace: {{ include "gati.namespace" (index . 0) | quote }}
service: {{ include "gati.ingress.name" (index . 0) | quote }}
severity: {{ index . 1 }}
{{- end }}
