{{/*
A pod of `helm test` that calls one URL from the component's own image. A call that fails is made again until the pod's
deadline: a network plugin may take a moment to let a new pod through. `helm test` prints the log of a pod that failed.
Takes (dict "root" "values" "url"), and "certificate" when the URL is behind the ingress certificate.
*/}}
{{- define "gati.testPod" -}}
{{- $hook := dict "helm.sh/hook" "test" "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" "helm.sh/hook-output-log-policy" "hook-failed" -}}
{{- $pod := dict "root" .root "component" "test" "values" .values -}}
apiVersion: v1
kind: Pod
metadata:
  {{- include "gati.metadata" (dict "root" .root "component" "test" "name" (include "gati.suffixed" (list .values.name "test")) "annotations" $hook) | nindent 2 }}
spec:
  restartPolicy: OnFailure
  activeDeadlineSeconds: 60
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "gati.overlay" (list "securityContext" .root.Values.podSecurityContext) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- /* On the component's nodes, but neither apart from its pods nor beside them: there may be no such place left. */}}
  {{- $affinity := pick (.values.affinity | default .root.Values.affinity | default dict) "nodeAffinity" }}
  {{- with include "gati.placement" (dict "root" (dict "Values" (omit .root.Values "multiZone" "affinity")) "values" (merge (dict "affinity" $affinity) (pick .values "nodeSelector" "tolerations"))) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
    - name: test
      image: {{ include "gati.image" $pod | quote }}
      imagePullPolicy: {{ .values.image.pullPolicy }}
      command:
        {{- range append .values.testCommand .url }}
        - {{ . | quote }}
        {{- end }}
      {{- with include "gati.overlay" (list "securityContext" .root.Values.securityContext) | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      resources:
        requests: {cpu: 50m, memory: 64Mi, ephemeral-storage: 16Mi}
        limits: {cpu: 500m, memory: 128Mi, ephemeral-storage: 16Mi}
      {{- if .certificate }}
      env:
        - name: HEALTHCHECK_CA_FILE
          value: /etc/gati/tls/ca.crt
      volumeMounts:
        - name: tls
          mountPath: /etc/gati/tls
          readOnly: true
      {{- end }}
  {{- if .certificate }}
  volumes:
    - name: tls
      secret:
        secretName: {{ include "gati.ingress.certificateSecret" .root | quote }}
        items:
          - {key: ca.crt, path: ca.crt}
        optional: true
  {{- end }}
{{- end }}
