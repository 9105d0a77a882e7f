{{/*
How the metrics of the ingress are found.
*/}}

{{/* The name of the container port of the metrics. */}}
{{- define "gati.ingress.metricsPort" -}}
{{- $metrics := .Values.ingress.prometheus | default dict -}}
{{- if and $metrics.scrape (ne (int $metrics.port) (int .Values.ingress.service.targetPort)) }}metrics{{ else }}http{{ end -}}
{{- end }}

{{/* Non-empty when the ServiceMonitor is rendered. */}}
{{- define "gati.ingress.monitored" -}}
{{- $operator := .Values.prometheusOperator | default dict -}}
{{- if and .Values.ingress.enabled (.Values.ingress.prometheus).scrape $operator.enabled ($operator.serviceMonitor).enabled -}}
{{- include "gati.renders" (list . "monitoring.coreos.com/v1/ServiceMonitor" $operator.renderMode) -}}
{{- end -}}
{{- end }}
