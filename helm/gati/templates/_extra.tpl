{{/*
The user's own objects, their templates evaluated, as one YAML list. A string may hold several documents.
*/}}
{{- define "gati.extraObjects" -}}
{{- range .Values.extraObjects }}
{{- $text := kindIs "string" . | ternary . (toYaml .) }}
{{- range regexSplit `(?m)^---[ \t]*(#.*)?$` (tpl $text $ | replace "\r\n" "\n") -1 }}
{{- if regexReplaceAll `(?m)^[ \t]*#.*$` . "" | trim }}
- {{ trim . | nindent 2 | trim }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
