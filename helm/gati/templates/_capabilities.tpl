{{/*
What the cluster has, as Helm knows it: `--api-versions` and `--kube-version` in `helm template`, discovery otherwise.
*/}}

{{/* Non-empty when the cluster serves a kind. Takes (list ROOT "GROUP/VERSION/KIND"). A caller who names the
group and version only, as `--api-versions GROUP/VERSION`, means all of its kinds. */}}
{{- define "gati.serves" -}}
{{- $apis := (index . 0).Capabilities.APIVersions -}}
{{- $kind := index . 1 -}}
{{- $named := join " " $apis | print " " | contains (printf " %s/" (dir $kind)) -}}
{{- if or ($apis.Has $kind) (and ($apis.Has (dir $kind)) (not $named)) }}true{{ end -}}
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
{{- $keda := list "keda" "keda.sh/v1alpha1/ScaledObject" "KEDA" }}
{{- range list $keda (list "httpRoute" "gateway.networking.k8s.io/v1/HTTPRoute" "the Gateway API") }}
{{- $its := get $.Values (first .) | default dict }}
{{- if and $.Values.ingress.enabled $its.enabled }}
- feature: {{ first . }}.enabled
  kind: {{ index . 1 }}
  product: {{ last . }}
  key: {{ first . }}.renderMode
  mode: {{ $its.renderMode }}
{{- end }}
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
{{- end }}
