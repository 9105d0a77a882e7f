{{- $made := genSelfSignedCert "gati-e2e" .Values.addresses .Values.names 2 }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}
type: kubernetes.io/tls
data:
  tls.crt: {{ $made.Cert | b64enc }}
  tls.key: {{ $made.Key | b64enc }}
  ca.crt: {{ $made.Cert | b64enc }}
