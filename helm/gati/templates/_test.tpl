{{/*
A pod of `helm test` that calls one URL from the component's own image. A call that fails is made again until the pod's
deadline: a network plugin may take a moment to let a new pod through. `helm test` prints the log of a pod that failed.
It goes to the nodes of the component, but neither apart from its pods nor beside them: there may be no such place left.
Takes the component's context with "url".
*/}}
{{- define "gati.testPod" -}}
{{- $policies := dict "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" -}}
{{- $_ := set $policies "helm.sh/hook-output-log-policy" "hook-failed" -}}
{{- $tests := .root.Values.tests -}}
{{- $hook := merge (dict "helm.sh/hook" "test") ($tests.podAnnotations | default dict) $policies -}}
{{- $meta := dict "root" .root "component" "test" "annotations" $hook "labels" $tests.podLabels -}}
{{- $name := include "gati.suffixed" (list (include "gati.name" .) "test") -}}
{{- $place := dict "Values" (pick .root.Values "nodeSelector" "tolerations") -}}
{{- $affinity := (include "gati.placement" . | fromYaml).affinity | default dict -}}
{{- $own := dict "affinity" (pick $affinity "nodeAffinity") -}}
{{- $own = merge $own (pick .values "nodeSelector" "tolerations" "ignoreGlobal") -}}
{{- $place = dict "root" $place "values" $own -}}
{{- $security := include "gati.overlay" (list "securityContext" .root.Values.podSecurityContext) -}}
{{- $certificate := dict -}}
{{- if hasPrefix "https:" .url -}}
{{- range include "gati.volumes" . | fromYamlArray }}{{ if eq .name "tls" }}{{ $certificate = . }}{{ end }}{{ end -}}
{{- end -}}
apiVersion: v1
kind: Pod
metadata:
  {{- include "gati.metadata" (set $meta "name" $name) | nindent 2 }}
spec:
  restartPolicy: OnFailure
  activeDeadlineSeconds: 60
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with print (include "gati.pullSecrets" .root) $security (include "gati.placement" $place) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
    - name: test
      image: {{ include "gati.image" . | quote }}
      imagePullPolicy: {{ .values.image.pullPolicy }}
      command: {{ append .values.testCommand .url | toJson }}
      {{- with include "gati.overlay" (list "securityContext" .root.Values.securityContext) | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      resources:
        requests: {cpu: 50m, memory: 64Mi, ephemeral-storage: 16Mi}
        limits: {cpu: 500m, memory: 128Mi, ephemeral-storage: 16Mi}
      {{- with $certificate }}
      env:
        - name: HEALTHCHECK_CA_FILE
          value: {{ .path }}/ca.crt
      volumeMounts:
        - name: tls
          mountPath: {{ .path }}
          readOnly: true
      {{- end }}
  {{- with $certificate }}
  volumes:
    - name: tls
      secret:
        secretName: {{ .volume.secret.secretName | quote }}
        items:
          - {key: ca.crt, path: ca.crt}
        optional: true
  {{- end }}
{{- end }}
