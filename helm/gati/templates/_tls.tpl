{{/*
Certificates: those that the components show, and the authorities that they trust.
*/}}

{{/* The Secret with the certificate of a component. Takes the component's context. */}}
{{- define "gati.certificateSecret" -}}
{{- $tls := eq .component "ingress" | ternary .root.Values.tls .values.tls | default dict -}}
{{- $tls.secretName | default (include "gati.suffixed" (list (include "gati.name" .) "tls")) -}}
{{- end }}

{{/* The volume of the CA bundle as one file, ca.crt; empty without one. Takes the root context. */}}
{{- define "gati.caBundle" -}}
{{- $bundle := (.Values.tls).caBundle | default dict -}}
{{- $items := list (dict "key" $bundle.key "path" "ca.crt") -}}
{{- if $bundle.secretName -}}
{{- dict "secret" (dict "secretName" $bundle.secretName "items" $items) | toYaml -}}
{{- else if $bundle.configMapName -}}
{{- dict "configMap" (dict "name" $bundle.configMapName "items" $items) | toYaml -}}
{{- end -}}
{{- end }}

{{/* The components whose certificate the chart asks cert-manager for, as a list of maps: component, key. */}}
{{- define "gati.certificates" -}}
{{- if and .Values.ingress.enabled (.Values.tls).enabled (.Values.tls.certManager).enabled }}
- {component: ingress, key: tls}
{{- end }}
{{- $tls := .Values.routeManager.tls | default dict }}
{{- if and .Values.routeManager.enabled $tls.enabled ($tls.certManager).enabled }}
- {component: route-manager, key: routeManager.tls}
{{- end }}
{{- end }}

{{/* The names of a Service in the cluster. Takes (list ROOT NAME). */}}
{{- define "gati.serviceNames" -}}
{{- $full := printf "%s.%s" (index . 1) (include "gati.namespace" (index . 0)) -}}
- {{ index . 1 | quote }}
- {{ $full | quote }}
- {{ $full }}.svc
- {{ $full }}.svc.cluster.local
{{- end }}
