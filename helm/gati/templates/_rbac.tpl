{{/*
The rules of a component's Role: reading the ConfigMaps and Secrets that its pods use, by name, and nothing else.
Takes the component's context.
*/}}
{{- define "gati.readRules" -}}
{{- $extra := .values.role | default dict -}}
{{- $configMaps := list -}}
{{- $secrets := list .values.existingSecret -}}
{{- if eq .component "ingress" }}{{ $configMaps = list (include "gati.ingress.configName" .root) }}{{ end -}}
{{- range include "gati.volumes" . | fromYamlArray -}}
{{- if not .foreign -}}
{{- $configMaps = append $configMaps (.volume.configMap).name -}}
{{- $secrets = append $secrets (.volume.secret).secretName -}}
{{- end -}}
{{- end -}}
{{- $configMaps = concat $configMaps ($extra.configMaps | default list) -}}
{{- $secrets = concat $secrets ($extra.secrets | default list) -}}
{{- range $resource, $names := dict "configmaps" $configMaps "secrets" $secrets }}
{{- with compact $names | uniq }}
- apiGroups: [""]
  resources: [{{ $resource }}]
  resourceNames:
    {{- toYaml . | nindent 4 }}
  verbs: [get, list, watch]
{{- end }}
{{- end }}
{{- end }}
