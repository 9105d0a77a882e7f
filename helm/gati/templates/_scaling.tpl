{{/*
Who owns the replicas of the ingress, how few there may be, and how fast they change.
*/}}

{{/* keda | hpa | none. A ScaledObject that is not rendered owns nothing. */}}
{{- define "gati.ingress.scaler" -}}
{{- $keda := .Values.keda | default dict -}}
{{- if and $keda.enabled (include "gati.renders" (list . "keda.sh/v1alpha1/ScaledObject" $keda.renderMode)) -}}
keda
{{- else if (.Values.ingress.hpa).enabled -}}
hpa
{{- else -}}
none
{{- end -}}
{{- end }}

{{/* Non-empty when KEDA may leave no replica of the ingress. */}}
{{- define "gati.ingress.mayBeNone" -}}
{{- if and (eq (include "gati.ingress.scaler" .) "keda") .Values.keda.scaleToZero }}true{{ end -}}
{{- end }}

{{/* The fewest replicas of the ingress that a healthy cluster may run, but for none with keda.idleReplicaCount: the
scaler's minimum, or replicaCount. */}}
{{- define "gati.ingress.minReplicas" -}}
{{- if and (include "gati.ingress.mayBeNone" .) (not (include "gati.text" .Values.keda.idleReplicaCount)) -}}
0
{{- else if eq (include "gati.ingress.scaler" .) "none" -}}
{{ include "gati.text" .Values.ingress.replicaCount }}
{{- else -}}
{{ include "gati.text" (.Values.ingress.hpa).minReplicas }}
{{- end -}}
{{- end }}

{{/*
The disruption budget of the ingress, one line. With one replica or none, any minAvailable above zero would block every
drain: one pod may then be away.
*/}}
{{- define "gati.ingress.budget" -}}
{{- $least := include "gati.text" .Values.pdb.minAvailable -}}
{{- $single := le (include "gati.ingress.minReplicas" . | int) 1 -}}
{{- if not $least -}}
maxUnavailable: {{ include "gati.text" .Values.pdb.maxUnavailable | default "1" }}
{{- else if and $single (not (has $least (list "0" "0%"))) -}}
maxUnavailable: 1
{{- else -}}
minAvailable: {{ $least }}
{{- end -}}
{{- end }}

{{/* A PodDisruptionBudget. Takes the component's context with "budget", one line. */}}
{{- define "gati.podDisruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "gati.componentMetadata" . | nindent 2 }}
spec:
  {{ .budget }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "gati.selectorLabels" . | nindent 6 }}
{{- end }}

{{/* How many ingress pods the budget lets go at the minimum of replicas; percentages round up, as in the cluster. */}}
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
