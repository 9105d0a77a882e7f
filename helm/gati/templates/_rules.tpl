{{/*
What validate.yaml goes by: the maps in the values, and rules about them that are data.
*/}}

{{/*
Collects every map in a tree of values in NODES.all, as maps: `at`, its path; `key`, under which it or its list stands;
`its`, the map; `owner`, the path of the container that it belongs to. Takes (list NODES AT KEY OWNER TREE).
*/}}
{{- define "gati.nodes" -}}
{{- $nodes := index . 0 -}}
{{- $at := index . 1 -}}
{{- $key := index . 2 -}}
{{- $containers := list "ingress" "routeManager" "initContainers" "extraContainers" -}}
{{- $owner := has $key $containers | ternary $at (index . 3) -}}
{{- $tree := last . -}}
{{- $_ := append $nodes.all (dict "at" $at "key" $key "owner" $owner "its" $tree) | set $nodes "all" -}}
{{- range $name, $value := $tree -}}
{{- $under := list $at $name | compact | join "." -}}
{{- $what := splitList "." $name | first -}}
{{- if kindIs "map" $value }}{{ include "gati.nodes" (list $nodes $under $what $owner $value) }}{{ end -}}
{{- range $index, $item := kindIs "slice" $value | ternary $value list -}}
{{- if kindIs "map" $item -}}
{{- $told := $item.name | empty | ternary (printf "[%d]" $index) (print " " $item.name) -}}
{{- include "gati.nodes" (list $nodes (print $under $told) $what $owner $item) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The keys of maps that have no fields, but words of the user's own, as a regular expression. */}}
{{- define "gati.rules.words" -}}
^(config|metadata|options|triggerMetadata|volumeAttributes|nodeSelector)$|([aA]nnotations|[lL]abels)$
{{- end }}

{{/* For each list that the API takes for a map or a set, by its key, what its items are and the fields that tell them
apart; without fields it is they themselves. */}}
{{- define "gati.rules.once" -}}
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
What a field needs beside it, as lists of KEYS, FIELD, WHEN, OTHER, MUST, and MUST in words. KEYS are those of the maps
in which to look, none for any that has the field. WHEN and MUST are regular expressions for the two fields as text.
*/}}
{{- define "gati.rules.needs" -}}
- [[], accessModes, OncePod, accessModes, '^\[("ReadWriteOncePod",?)+\]$', to be ReadWriteOncePod alone]
- [[], configMapName, ., secretName, ^$, to be empty]
- [[], configMapRef, ., secretRef, ^$, to be left out]
- [[], dnsPolicy, ^None$, dnsConfig, '"nameservers":\["', with nameservers]
- [[], externalTrafficPolicy, ., type, LoadBalancer|NodePort, to be LoadBalancer or NodePort]
- [[], idleReplicaCount, "0", scaleToZero, "true", to be true]
- [[], ipBlock, ., namespaceSelector, ^$, to be left out]
- [[], ipBlock, ., podSelector, ^$, to be left out]
- [[], ipFamilies, ",", ipFamilyPolicy, DualStack, to be PreferDualStack or RequireDualStack]
- [[], loadBalancerClass, ., type, LoadBalancer, to be LoadBalancer]
- [[], loadBalancerSourceRanges, '"', type, LoadBalancer, to be LoadBalancer]
- [[], localhostProfile, ., type, Localhost, to be Localhost]
- [[], minAvailable, ., maxUnavailable, ^$, to be empty]
- [[], minDomains, ., whenUnsatisfiable, DoNotSchedule, to be DoNotSchedule]
- [[], recursiveReadOnly, Enabled|IfPossible, mountPropagation, '^(None)?$', to be None]
- [[], recursiveReadOnly, Enabled|IfPossible, readOnly, "true", to be true]
- [[], restartPolicyRules, "{", restartPolicy, ., to be given]
- [[], subPath, ., subPathExpr, ^$, to be left out]
- [[], type, ^Localhost$, localhostProfile, ., to be given]
- [[], valueFrom, ., value, ^$, to be left out]
- [[clusterTrustBundle], labelSelector, ., signerName, ., to be given]
- [[clusterTrustBundle], name, ., signerName, ^$, to be left out]
- [[clusterTrustBundle], name, ^$, signerName, ., to be given]
- [[commonAnnotations, podAnnotations], controller.kubernetes.io/pod-deletion-cost, .,
   controller.kubernetes.io/pod-deletion-cost, '^(-?(0|[1-9][0-9]{0,8})|2147483647)$|\{\{', to be a whole number]
- [[cors], allowMethods, '"\*"', allowMethods, '^\["\*"\]$', to be * alone]
- [[cors], allowOrigins, '"\*"', allowOrigins, '^\["\*"\]$', to be * alone]
- [[envFrom, extraEnvFrom], configMapRef, ^$, secretRef, ., to be given]
- [[externalIngress], enabled, "true", hosts, "{", to name a host]
- [[extraRules], alert, ., record, ^$, to be left out]
- [[extraRules], alert, ^$, record, ., to be given]
- [[extraRules], record, ., annotations, '^(\{\})?$', to be left out]
- [[extraRules], record, ., for, ^$, to be left out]
- [[extraRules], record, ., keep_firing_for, ^$, to be left out]
- [[extraTriggers], type, ^(cpu|cron|memory)$, useCachedMetrics, '^(false)?$', to be left out]
- [[httpRoute], enabled, "true", parentRefs, "{", to name a Gateway]
- [[initContainers], lifecycle, ., restartPolicy, Always, to be Always]
- [[initContainers], livenessProbe, ., restartPolicy, Always, to be Always]
- [[initContainers], readinessProbe, ., restartPolicy, Always, to be Always]
- [[initContainers], resizePolicy, RestartContainer, restartPolicy, Always, to be Always]
- [[initContainers], startupProbe, ., restartPolicy, Always, to be Always]
- [[issuerRef], group, ^cert-manager\.io$, kind, '^(Cluster)?Issuer$', to be Issuer or ClusterIssuer]
- [[items], resourceFieldRef, ., resourceFieldRef, '"containerName":"', to name a container]
- [[livenessProbe, startupProbe], successThreshold, ., successThreshold, ^1$, to be 1]
- [[matchExpressions], operator, ^(Gt|Lt)$, values, '^\["-?[0-9]+"\]$', to be one number]
- [[matchExpressions], operator, ^(In|NotIn)$, values, '^\[("([A-Za-z0-9][^"]*)?",?)+\]$', to be texts of labels]
- [[matchExpressions], operator, Exist, values, '^(\[\])?$', to be left out]
- [[metricRelabelings, relabelings], action, '(?i)^hashmod$', modulus, "[1-9]", to be given]
- [[metricRelabelings, relabelings], action, '(?i)^label(drop|keep)$', modulus, '^0?$', to be left out]
- [[metricRelabelings, relabelings], action, '(?i)^label(drop|keep)$', sourceLabels, '^(\[\])?$', to be left out]
- [[metricRelabelings, relabelings], action, '(?i)^label(drop|keep)$', targetLabel, ^$, to be left out]
- [[metricRelabelings, relabelings], action, '(?i)^(replace|hashmod|lowercase|uppercase|keepequal|dropequal|)$',
   targetLabel, ., to be given]
- [[podAffinityTerm, requiredDuringSchedulingIgnoredDuringExecution], topologyKey, ., labelSelector, ., to be given]
- [[readinessProbe], terminationGracePeriodSeconds, ., terminationGracePeriodSeconds, ^$, to be left out]
- [[resourceFieldRef], resource, cpu$, divisor, '^(0|1m?)?$', to be 1 or 1m]
- [[resourceFieldRef], resource, memory|storage|huge, divisor, '^(0|1(k|[MGTPE]|[KMGTPE]i)?)?$', to be 1 of a unit]
- [[rollingUpdate], maxUnavailable, '^0+%?$', maxSurge, "^$|[1-9]", to be above 0]
- [[service], annotations, service.beta.kubernetes.io/load-balancer-source-ranges, type, LoadBalancer,
   to be LoadBalancer]
- [[tolerations], operator, '^(Equal)?$', key, ., to be given]
- [[tolerations], operator, ^Exists$, value, ^$, to be left out]
- [[tolerations], tolerationSeconds, ., effect, NoExecute, to be NoExecute]
{{- end }}

{{/* What younger clusters have alone, as lists of KEYS, FIELD, WHEN, and the version from which it is on. */}}
{{- define "gati.rules.young" -}}
- [[], appArmorProfile, '"type":"[A-Z]', "1.30"]
- [[], clusterTrustBundle, ., "1.29"]
- [[], fileKeyRef, ., "1.35"]
- [[], mismatchLabelKeys, ., "1.31"]
- [[], podCertificate, ., "1.34"]
- [[], prefix, '^[^-._a-zA-Z]|[^-._a-zA-Z0-9]', "1.32"]
- [[], recursiveReadOnly, ., "1.31"]
- [[], resizePolicy, "{", "1.33"]
- [[], restartPolicyRules, ., "1.35"]
- [[], restartPolicyRules, RestartAllContainers, "1.36"]
- [[], seLinuxChangePolicy, ., "1.33"]
- [[], sleep, ., "1.30"]
- [[], supplementalGroupsPolicy, ., "1.33"]
- [[], tolerance, ., "1.35"]
- [[], volumeAttributesClassName, ., "1.29"]
- [[dnsConfig], searches, '_|"\."', "1.33"]
- [[env, extraEnv], name, '^[^-._a-zA-Z]|[^-._a-zA-Z0-9]', "1.32"]
- [[extraContainers], restartPolicy, ., "1.35"]
- [[extraVolumes], image, ., "1.31"]
- [[initContainers], restartPolicy, Always, "1.29"]
- [[initContainers], restartPolicy, Never|OnFailure, "1.35"]
- [[podAffinityTerm, requiredDuringSchedulingIgnoredDuringExecution], matchLabelKeys, ., "1.31"]
- [[sleep], seconds, ^0$, "1.33"]
{{- end }}
