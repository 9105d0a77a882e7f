{{/*
Certificates: the one that the ingress shows, and the authorities that it trusts.
*/}}

{{/* The Secret with the certificate of the ingress. */}}
{{- define "gati.ingress.certificateSecret" -}}
{{- (.Values.tls).secretName | default (include "gati.suffixed" (list .Values.ingress.name "tls")) -}}
{{- end }}

{{/* The volume source of the CA bundle, one file ca.crt; empty without one. */}}
{{- define "gati.ingress.caBundle" -}}
{{- $bundle := (.Values.tls).caBundle | default dict -}}
{{- if $bundle.secretName -}}
secret:
  secretName: {{ $bundle.secretName | quote }}
  items:
    - {key: {{ $bundle.key | quote }}, path: ca.crt}
{{- else if $bundle.configMapName -}}
configMap:
  name: {{ $bundle.configMapName | quote }}
  items:
    - {key: {{ $bundle.key | quote }}, path: ca.crt}
{{- end -}}
{{- end }}

{{/* Non-empty when the chart asks cert-manager for the certificate. */}}
{{- define "gati.ingress.certificateWanted" -}}
{{- if and .Values.ingress.enabled (.Values.tls).enabled (.Values.tls.certManager).enabled }}true{{ end -}}
{{- end }}

{{/* The names of the ingress Service in the cluster. */}}
{{- define "gati.ingress.serviceNames" -}}
{{- $full := printf "%s.%s" .Values.ingress.name (include "gati.namespace" .) -}}
- {{ .Values.ingress.name | quote }}
- {{ $full | quote }}
- {{ $full }}.svc
- {{ $full }}.svc.cluster.local
{{- end }}
