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

{{/* What tells an object from all others: group, kind, namespace and name. Takes (list ROOT OBJECT). */}}
{{- define "gati.identity" -}}
{{- $its := (index . 1).metadata -}}
{{- $namespace := $its.namespace | default (index . 0).Release.Namespace -}}
{{- list (dir (index . 1).apiVersion | trimAll ".") (index . 1).kind $namespace $its.name | compact | join " " -}}
{{- end }}

{{/* The identities of the chart's own objects, as they are rendered, as a YAML list. A template cannot ask which files
there are. */}}
{{- define "gati.ownObjects" -}}
{{- $files := list "namespace" "networkpolicy-default-deny" -}}
{{- range $folder, $names := include "gati.files" . | fromYaml -}}
{{- range $names }}{{ $files = append $files (print $folder "/" .) }}{{ end -}}
{{- end -}}
{{- range $files -}}
{{- range regexSplit `(?m)^---$` (include (printf "%s/%s.yaml" $.Template.BasePath .) $) -1 }}
{{- with fromYaml . }}
- {{ include "gati.identity" (list $ .) | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "gati.files" -}}
ingress: [configmap-dashboard, configmap-ingress, deployment-ingress, hpa-ingress, httproute-ingress, ingress-ingress,
  networkpolicy-ingress, pdb-ingress, prometheusrule-ingress, scaledobject-ingress, service-ingress,
  servicemonitor-ingress]
rbac: [role-rbac, rolebinding-rbac, serviceaccount-rbac]
route-manager: [configmap-route-manager, deployment-route-manager, networkpolicy-route-manager, pdb-route-manager,
  service-route-manager, service-route-manager-headless]
tests: [networkpolicy-test, pod-ingress, pod-route-manager]
tls: [certificate-tls]
{{- end }}
