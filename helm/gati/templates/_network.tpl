{{/*
What the components may reach, and who may reach them.
*/}}

{{/* The egress rule for name resolution: a list of one. */}}
{{- define "gati.network.dns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  {{- with .Values.networkPolicy.dns }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* The pods of a component, as a peer. Takes (list ROOT COMPONENT). */}}
{{- define "gati.network.peer" -}}
podSelector:
  matchLabels:
    {{- include "gati.selectorLabels" (dict "root" (index . 0) "component" (index . 1)) | nindent 4 }}
{{- end }}
