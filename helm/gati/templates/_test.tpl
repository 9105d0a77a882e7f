{{/*
A pod of `helm test` that calls one URL from the component's own image.
Takes (dict "root" "values" "url"), and "certificate" when the URL is behind the ingress certificate.
*/}}
{{- define "gati.testPod" -}}
{{- $hook := dict "helm.sh/hook" "test" "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" -}}
{{- $pod := dict "root" .root "component" "test" "values" .values -}}
apiVersion: v1
kind: Pod
metadata:
  {{- include "gati.metadata" (dict "root" .root "component" "test" "name" (include "gati.suffixed" (list .values.name "test")) "annotations" $hook) | nindent 2 }}
spec:
  restartPolicy: Never
  activeDeadlineSeconds: 60
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "gati.placement" (dict "root" (dict "Values" (omit .root.Values "multiZone")) "values" (pick .values "nodeSelector" "affinity" "tolerations")) | trim }}
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
      {{- with .root.Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
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
