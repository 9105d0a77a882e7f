{{/*
The rules of a component's Role: reading the ConfigMaps and Secrets that are known by name, and nothing else.
Takes (dict "values" "configMaps" "secrets"); empty names are left out.
*/}}
{{- define "gati.readRules" -}}
{{- $extra := .values.role | default dict -}}
{{- $named := dict "configmaps" (concat .configMaps ($extra.configMaps | default list)) "secrets" (concat .secrets ($extra.secrets | default list)) -}}
{{- range $resource, $names := $named }}
{{- with compact $names | uniq }}
- apiGroups: [""]
  resources: [{{ $resource }}]
  resourceNames:
    {{- toYaml . | nindent 4 }}
  verbs: [get, list, watch]
{{- end }}
{{- end }}
{{- end }}
