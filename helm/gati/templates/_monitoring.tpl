{{/*
How the metrics of the ingress are found.
*/}}

{{/* Non-empty when the metrics have a container port of their own, that of management. */}}
{{- define "gati.ingress.ownMetricsPort" -}}
{{- $prometheus := .Values.ingress.prometheus | default dict -}}
{{- $taken := list (int .Values.ingress.service.targetPort) -}}
{{- if (.Values.tls).enabled }}{{ $taken = append $taken (int .Values.tls.targetPort) }}{{ end -}}
{{- if and $prometheus.scrape $prometheus.port (not (has (int $prometheus.port) $taken)) }}true{{ end -}}
{{- end }}

{{/* The container port of the metrics as a map: name, containerPort, scheme, and port where the Service offers it. */}}
{{- define "gati.ingress.metrics" -}}
{{- $ports := include "gati.ingress.ports" . | fromYamlArray -}}
{{- $wanted := (.Values.ingress.prometheus).port | default .Values.ingress.service.targetPort | int -}}
{{- range $port := $ports -}}
{{- if eq (int .containerPort) $wanted -}}
{{- $secure := and ($.Values.tls).enabled (ne .name "http") -}}
{{- set $port "scheme" (include "gati.scheme" $secure) | toYaml -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "gati.scheme" -}}
{{- if . }}https{{ else }}http{{ end -}}
{{- end }}

{{/* Non-empty when a ServiceMonitor is asked for. */}}
{{- define "gati.ingress.monitorWanted" -}}
{{- $operator := .Values.prometheusOperator | default dict -}}
{{- $scrape := and .Values.ingress.enabled (.Values.ingress.prometheus).scrape -}}
{{- if and $scrape $operator.enabled ($operator.serviceMonitor).enabled }}true{{ end -}}
{{- end }}

{{/* Non-empty when the ServiceMonitor is rendered. */}}
{{- define "gati.ingress.monitored" -}}
{{- if include "gati.ingress.monitorWanted" . -}}
{{- include "gati.renders" (list . "monitoring.coreos.com/v1/ServiceMonitor" .Values.prometheusOperator.renderMode) -}}
{{- end -}}
{{- end }}

{{/* Non-empty when alerting rules are asked for, and when they are rendered. */}}
{{- define "gati.rulesWanted" -}}
{{- $operator := .Values.prometheusOperator | default dict -}}
{{- if and .Values.ingress.enabled $operator.enabled ($operator.prometheusRule).enabled }}true{{ end -}}
{{- end }}

{{- define "gati.rulesRendered" -}}
{{- if include "gati.rulesWanted" . -}}
{{- include "gati.renders" (list . "monitoring.coreos.com/v1/PrometheusRule" .Values.prometheusOperator.renderMode) -}}
{{- end -}}
{{- end }}

{{/*
Label matchers that select the series of this release's ingress pods, and of no other's. Pods are told by name, as both
a ServiceMonitor and the usual jobs for annotated pods label them; a long name is cut in a pod's.
*/}}
{{- define "gati.ingress.series" -}}
{{- $name := include "gati.ingress.name" . -}}
{{- $pods := gt (len $name) 40 | ternary (printf "%s.*" (trunc 40 $name)) (printf "%s-[a-z0-9]+-[a-z0-9]+" $name) -}}
{{- $found := printf "namespace=%q,pod=~%q" (include "gati.namespace" .) $pods -}}
{{- (.Values.ingress.prometheus).selector | default $found -}}
{{- end }}
