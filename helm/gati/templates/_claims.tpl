{{/*
What stands once in a list that the API takes for a map or a set.
*/}}

{{/* For each such list, by its key, what its items are and the fields that tell them apart; without fields it is they
themselves. */}}
{{- define "gati.claims.lists" -}}
add: {the header to add: [name]}
env: &variables {the variable: [name]}
extraContainers: &containers {the name: [name]}
extraEnv: *variables
extraTriggers: {the trigger: [name]}
extraVolumeMounts: &mounts {the path: [mountPath]}
extraVolumes: {the volume: [name]}
headers: {the header: [name]}
hostAliases: {the address: [ip]}
initContainers: *containers
matchLabelKeys: {the label: []}
ports: {the port: [containerPort, protocol], the port's name: [name], the node's port: [hostPort, protocol, hostIP]}
queryParams: {the parameter: [name]}
remove: {the header to remove: []}
resizePolicy: {the resource: [resourceName]}
set: {the header to set: [name]}
sysctls: {the setting: [name]}
topologySpreadConstraints: {the constraint: [topologyKey, whenUnsatisfiable]}
volumeDevices: {the path: [devicePath], the device: [name]}
volumeMounts: *mounts
{{- end }}

{{/*
What a tree of values claims, as lists of SCOPE, WHERE, WHAT and VALUE, one a line as JSON (see validate.yaml). The
scope is the place where the list stands. Takes (list WHERE TREE LISTS), WHERE being the key of the tree.
*/}}
{{- define "gati.claims" -}}
{{- $where := index . 0 -}}
{{- $tree := index . 1 -}}
{{- $lists := index . 2 -}}
{{- /* Such a key picks pods by a label that nothing else beside it may pick them by. */ -}}
{{- if $tree.matchLabelKeys -}}
{{- $selector := $tree.labelSelector | default dict -}}
{{- $labels := concat (keys ($selector.matchLabels | default dict)) ($tree.mismatchLabelKeys | default list) -}}
{{- range $selector.matchExpressions }}{{ $labels = append $labels .key }}{{ end -}}
{{- range uniq $labels | sortAlpha }}
- {{ list $where (print $where ".labelSelector or mismatchLabelKeys") "the label" . | toJson }}
{{- end -}}
{{- end -}}
{{- range $key, $value := $tree -}}
{{- $at := print $where "." $key -}}
{{- if kindIs "map" $value }}{{ include "gati.claims" (list $at $value $lists) }}{{ end -}}
{{- range $index, $item := kindIs "slice" $value | ternary $value list -}}
{{- $its := kindIs "map" $item | ternary $item dict -}}
{{- range $what, $fields := get $lists $key | default dict -}}
{{- $told := $fields | empty | ternary (list $item) list -}}
{{- range $fields -}}
{{- $part := get $its . | default (eq . "protocol" | ternary "TCP" "") -}}
{{- $told = append $told (hasSuffix "Path" . | ternary (toString $part | trimSuffix "/") $part) -}}
{{- end -}}
{{- if first $told }}
- {{ list $where $at $what (join " " $told | trim) | toJson }}
{{- end -}}
{{- end -}}
{{- $name := $its.name | empty | ternary (printf "[%d]" $index) (print " " $its.name) -}}
{{- if $its }}{{ include "gati.claims" (list (print $at $name) $its $lists) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end }}
