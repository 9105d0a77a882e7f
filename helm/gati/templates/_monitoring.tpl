{{/*
How the metrics of the ingress are found.
*/}}

{{/* The container port of the metrics. */}}
{{- define "gati.ingress.metricsPort" -}}
{{- (.Values.ingress.prometheus).port | default .Values.ingress.service.targetPort -}}
{{- end }}

{{/* Non-empty when the metrics have a container port of their own. */}}
{{- define "gati.ingress.ownMetricsPort" -}}
{{- $taken := list (int .Values.ingress.service.targetPort) -}}
{{- if (.Values.tls).enabled }}{{ $taken = append $taken (int .Values.tls.targetPort) }}{{ end -}}
{{- if and (.Values.ingress.prometheus).scrape (not (has (include "gati.ingress.metricsPort" . | int) $taken)) }}true{{ end -}}
{{- end }}

{{/* Where a ServiceMonitor finds the metrics: at the Service port that leads to them; at the container's where the Service
must not offer it, because with TLS the plain HTTP port answers everything else too. */}}
{{- define "gati.ingress.metricsEndpoint" -}}
{{- $frontend := include "gati.ingress.frontend" . | fromYaml -}}
{{- if include "gati.ingress.ownMetricsPort" . -}}
port: metrics
scheme: http
{{- else if eq (int $frontend.targetPort) (include "gati.ingress.metricsPort" . | int) -}}
port: {{ $frontend.name }}
scheme: {{ $frontend.name }}
{{- if eq $frontend.name "https" }}
tlsConfig:
  {{- /* The ServiceMonitor may stand in another namespace than the Secret, whose CA it then cannot read. */}}
  insecureSkipVerify: true
{{- end }}
{{- else -}}
targetPort: {{ include "gati.ingress.metricsPort" . }}
scheme: http
{{- end }}
{{- end }}

{{/* Non-empty when a ServiceMonitor is asked for. */}}
{{- define "gati.ingress.monitorWanted" -}}
{{- $operator := .Values.prometheusOperator | default dict -}}
{{- if and .Values.ingress.enabled (.Values.ingress.prometheus).scrape $operator.enabled ($operator.serviceMonitor).enabled }}true{{ end -}}
{{- end }}

{{/* Non-empty when the ServiceMonitor is rendered. */}}
{{- define "gati.ingress.monitored" -}}
{{- if include "gati.ingress.monitorWanted" . -}}
{{- include "gati.renders" (list . "monitoring.coreos.com/v1/ServiceMonitor" .Values.prometheusOperator.renderMode) -}}
{{- end -}}
{{- end }}

{{/* Non-empty when alerting rules are asked for. */}}
{{- define "gati.rulesWanted" -}}
{{- $operator := .Values.prometheusOperator | default dict -}}
{{- if and .Values.ingress.enabled $operator.enabled ($operator.prometheusRule).enabled }}true{{ end -}}
{{- end }}
