{{/*
Ports, Services, and who may reach whom.

Ports go by name from the Service to the container, so that old and new pods of an upgrade may listen on different ones.
*/}}

{{/* The ports of the ingress as a list of maps: name, containerPort, and, where the Service offers it, port. */}}
{{- define "gati.ingress.ports" -}}
{{- $service := .Values.ingress.service }}
{{- $tls := .Values.tls | default dict }}
- name: http
  containerPort: {{ $service.targetPort }}
  {{- if not (and $tls.enabled (eq $tls.http "none")) }}
  port: {{ $service.port }}
  {{- with $service.nodePort }}
  nodePort: {{ . }}
  {{- end }}
  {{- end }}
{{- if $tls.enabled }}
- name: https
  containerPort: {{ $tls.targetPort }}
  port: {{ $tls.servicePort }}
  {{- with $tls.nodePort }}
  nodePort: {{ . }}
  {{- end }}
{{- end }}
{{- if include "gati.ingress.ownMetricsPort" . }}
- name: metrics
  containerPort: {{ .Values.ingress.prometheus.port }}
  {{- /* A Service that takes traffic from outside would take it there, too. */}}
  {{- if eq $service.type "ClusterIP" }}
  port: {{ .Values.ingress.prometheus.port }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The port that clients are told of, as a map: HTTPS with TLS. */}}
{{- define "gati.ingress.frontend" -}}
{{- $ports := include "gati.ingress.ports" . | fromYamlArray -}}
{{- index $ports ((.Values.tls).enabled | default false | ternary 1 0) | toYaml -}}
{{- end }}

{{/* The number of the Service port that an Ingress or HTTPRoute sends to. */}}
{{- define "gati.ingress.backendPort" -}}
{{- $http := and (.Values.tls).enabled (eq .Values.tls.backends "http") -}}
{{- $http | default false | ternary .Values.ingress.service.port (include "gati.ingress.frontend" . | fromYaml).port -}}
{{- end }}

{{/* The same as `gati.ingress.ports` for route-manager; the last one is that which the ingress calls. */}}
{{- define "gati.routeManager.ports" -}}
{{- $service := .Values.routeManager.service }}
- name: grpc
  containerPort: {{ $service.targetPort }}
  port: {{ $service.port }}
  appProtocol: kubernetes.io/h2c
  {{- with $service.nodePort }}
  nodePort: {{ . }}
  {{- end }}
{{- with .Values.routeManager.tls }}
{{- if .enabled }}
- name: grpcs
  containerPort: {{ .targetPort }}
  port: {{ .servicePort }}
{{- end }}
{{- end }}
{{- end }}

{{/* A Service. Takes the component's context with "ports", a list as above, and for a headless one its "name". */}}
{{- define "gati.service" -}}
{{- $service := .values.service -}}
{{- $fields := pick (.root.Values.networking | default dict) "ipFamilyPolicy" "ipFamilies" -}}
{{- if not .name -}}
{{- $own := list "externalTrafficPolicy" "loadBalancerClass" "loadBalancerSourceRanges" "sessionAffinity" -}}
{{- range $key := $own }}{{ $_ := set $fields $key (get $service $key) }}{{ end -}}
{{- end -}}
{{- if eq (toString $fields.sessionAffinity) "ClientIP" -}}
{{- $client := dict "timeoutSeconds" $service.sessionAffinityTimeoutSeconds -}}
{{- $_ := set $fields "sessionAffinityConfig" (dict "clientIP" $client) -}}
{{- end -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "gati.componentMetadata" (merge (dict "annotations" $service.annotations) .) | nindent 2 }}
spec:
  type: {{ .name | empty | ternary $service.type "ClusterIP" }}
  {{- if .name }}
  clusterIP: None
  {{- end }}
  {{- range $key, $value := $fields }}
  {{- with $value }}
  {{ $key }}: {{ toJson . }}
  {{- end }}
  {{- end }}
  selector:
    {{- include "gati.selectorLabels" . | nindent 4 }}
  ports:
    {{- range .ports }}
    {{- if .port }}
    - name: {{ .name }}
      port: {{ $.name | empty | ternary .port .containerPort }}
      targetPort: {{ .name }}
      protocol: TCP
      {{- with .appProtocol }}
      appProtocol: {{ . }}
      {{- end }}
      {{- if and .nodePort (not $.name) }}
      nodePort: {{ .nodePort }}
      {{- end }}
    {{- end }}
    {{- end }}
{{- end }}

{{/* The egress rule for name resolution: a list of one. */}}
{{- define "gati.network.dns" -}}
- ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .Values.networkPolicy.dns }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* The pods of a component, as a peer. Takes (list ROOT COMPONENT). */}}
{{- define "gati.network.peer" -}}
podSelector:
  matchLabels:
    {{- include "gati.selectorLabels" (dict "root" (index . 0) "component" (index . 1)) | nindent 4 }}
{{- end }}

{{/* An egress rule towards the ports of another component: a list of one. Pods in the node's network are no peers and
have no named ports to a policy: theirs are open by number, wherever. Takes (list ROOT COMPONENT PORTS). */}}
{{- define "gati.network.towards" -}}
{{- $values := (index . 0).Values -}}
{{- $away := (eq (index . 1) "ingress" | ternary $values.ingress $values.routeManager).hostNetwork | default false -}}
- {{ if not $away }}to:
    - {{ include "gati.network.peer" . | nindent 6 | trim }}
  {{ end }}ports:
    {{- range index . 2 }}
    - {port: {{ $away | ternary .containerPort .name }}, protocol: TCP}
    {{- end }}
{{- end }}

{{/* A NetworkPolicy up to its rules. Takes the component's context, "types", and "name" where that is another. */}}
{{- define "gati.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "gati.componentMetadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "gati.selectorLabels" . | nindent 6 }}
  policyTypes: {{ .types | default (list "Ingress" "Egress") | toJson }}
{{- end }}

{{/* The bits of an address as text of 0 and 1. A group that `::` stands for is 0. */}}
{{- define "gati.bits" -}}
{{- if contains ":" . -}}
{{- $given := regexFindAll "[^:]+" . -1 -}}
{{- $zeros := repeat (len $given | sub 8 | max 0 | int) "0 " -}}
{{- range replace "::" (print " " $zeros) . | replace ":" " " | splitList " " | compact -}}
{{- print "0x" . | int | printf "%016b" -}}
{{- end -}}
{{- else -}}
{{- range splitList "." . }}{{ int . | printf "%08b" }}{{ end -}}
{{- end -}}
{{- end }}
