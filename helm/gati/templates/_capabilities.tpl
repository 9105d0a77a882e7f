{{/*
What the cluster has, as Helm knows it: `--api-versions` and `--kube-version` in `helm template`, discovery otherwise.
*/}}

{{/* Non-empty when the cluster serves a kind. Takes (list ROOT "GROUP/VERSION/KIND"). A caller who names the
group and version only, as `--api-versions GROUP/VERSION`, means all of its kinds. */}}
{{- define "gati.serves" -}}
{{- $apis := (index . 0).Capabilities.APIVersions -}}
{{- $kind := index . 1 -}}
{{- $group := dir $kind -}}
{{- if $apis.Has $kind -}}
true
{{- else if $apis.Has $group -}}
{{- $kinds := 0 -}}
{{- range $apis -}}
{{- if hasPrefix (printf "%s/" $group) . }}{{ $kinds = add1 $kinds }}{{ end -}}
{{- end -}}
{{- if not $kinds }}true{{ end -}}
{{- end -}}
{{- end }}

{{/* Non-empty when an object of a kind that the cluster may lack is to be rendered; mode `fail` is checked in
validate.yaml. Takes (list ROOT "GROUP/VERSION/KIND" MODE). */}}
{{- define "gati.renders" -}}
{{- if or (ne (index . 2) "skip") (include "gati.serves" .) }}true{{ end -}}
{{- end }}

{{/* Non-empty when the kubelet has the native sleep action. */}}
{{- define "gati.nativeSleep" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}true{{ end -}}
{{- end }}

{{/* The switched-on features whose kinds the cluster may lack, as a list of maps. */}}
{{- define "gati.optionalKinds" -}}
{{- $operator := .Values.prometheusOperator | default dict }}
{{- if and .Values.ingress.enabled (.Values.keda).enabled }}
- feature: keda.enabled
  kind: keda.sh/v1alpha1/ScaledObject
  product: KEDA
  key: keda.renderMode
  mode: {{ .Values.keda.renderMode }}
{{- end }}
{{- range $kind := list "PrometheusRule" "ServiceMonitor" }}
{{- if include "gati.monitoring.wanted" (list $ $kind) }}
- feature: prometheusOperator.{{ untitle $kind }}.enabled
  kind: monitoring.coreos.com/v1/{{ $kind }}
  product: the Prometheus Operator
  key: prometheusOperator.renderMode
  mode: {{ $operator.renderMode }}
{{- end }}
{{- end }}
{{- range include "gati.certificates" . | fromYamlArray }}
- feature: {{ .key }}.certManager.enabled
  kind: cert-manager.io/v1/Certificate
  product: cert-manager
  key: tls.certManager.renderMode
  mode: {{ $.Values.tls.certManager.renderMode }}
{{- end }}
{{- if and .Values.ingress.enabled (.Values.httpRoute).enabled }}
- feature: httpRoute.enabled
  kind: gateway.networking.k8s.io/v1/HTTPRoute
  product: the Gateway API
  key: httpRoute.renderMode
  mode: {{ .Values.httpRoute.renderMode }}
{{- end }}
{{- end }}
