{{/*
Who owns the replicas of the ingress, how few there may be, and how fast they change.
*/}}

{{/* keda | hpa | none. A ScaledObject that is not rendered owns nothing. */}}
{{- define "gati.ingress.scaler" -}}
{{- if and (.Values.keda).enabled (include "gati.renders" (list . "keda.sh/v1alpha1/ScaledObject" .Values.keda.renderMode)) -}}
keda
{{- else if (.Values.ingress.hpa).enabled -}}
hpa
{{- else -}}
none
{{- end -}}
{{- end }}

{{/* The fewest replicas of the ingress that a healthy cluster may run: the scaler's minimum, or replicaCount. */}}
{{- define "gati.ingress.minReplicas" -}}
{{- $scaler := include "gati.ingress.scaler" . -}}
{{- if and (eq $scaler "keda") .Values.keda.scaleToZero -}}
0
{{- else if eq $scaler "none" -}}
{{ include "gati.text" .Values.ingress.replicaCount }}
{{- else -}}
{{ include "gati.text" (.Values.ingress.hpa).minReplicas }}
{{- end -}}
{{- end }}

{{/* The behaviour of the HPA, whether it is the chart's or KEDA's. */}}
{{- define "gati.ingress.scalingBehavior" -}}
scaleDown:
  stabilizationWindowSeconds: 300
  policies:
    - type: Percent
      value: 50
      periodSeconds: 60
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  policies:
    - type: Percent
      value: 100
      periodSeconds: 15
    - type: Pods
      value: 2
      periodSeconds: 15
{{- end }}

{{/*
The disruption budget of the ingress, one line. With one replica or none, any minAvailable above zero would block every
drain: one pod may then be away.
*/}}
{{- define "gati.ingress.budget" -}}
{{- $pdb := .Values.pdb -}}
{{- $single := le (include "gati.ingress.minReplicas" . | int) 1 -}}
{{- if kindIs "invalid" $pdb.minAvailable -}}
maxUnavailable: {{ kindIs "invalid" $pdb.maxUnavailable | ternary "1" (include "gati.text" $pdb.maxUnavailable) }}
{{- else if and $single (not (has (toString $pdb.minAvailable) (list "0" "0%"))) -}}
maxUnavailable: 1
{{- else -}}
minAvailable: {{ include "gati.text" $pdb.minAvailable }}
{{- end -}}
{{- end }}

{{/* How many ingress pods the budget lets go while no more than the minimum run; percentages round up, as in the cluster. */}}
{{- define "gati.ingress.budgetAllows" -}}
{{- $min := include "gati.ingress.minReplicas" . | int -}}
{{- range $key, $value := include "gati.ingress.budget" . | fromYaml -}}
{{- $pods := toString $value -}}
{{- if hasSuffix "%" $pods -}}
{{- $pods = div (add (mul (trimSuffix "%" $pods | int) $min) 99) 100 | toString -}}
{{- end -}}
{{- eq $key "minAvailable" | ternary (sub $min (int $pods)) (int $pods) -}}
{{- end -}}
{{- end }}
