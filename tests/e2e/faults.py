"""Charts that break one promise each: the edit, the scenario that must go red for it, and the cause it must name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.e2e.sabotage import NO_PRESTOP, NO_READINESS, RECREATE, Edit, Fault, drop

FRONT, BACK = "gati-ingress", "route-manager"


@dataclass(frozen=True)
class Case:
    """A chart with one `fault`: `scenario`, with the values file `values`, must go red, and its error say `cause`.

    Of the changes that the chart tells of, those beside `only` are left out where it names some.
    """

    fault: Fault
    scenario: str
    cause: str
    values: str = "default"
    only: Sequence[str] = ()


def case(
    name: str,
    scenario: str,
    cause: str,
    *edits: Edit,
    values: str = "default",
    only: Sequence[str] = (),
    **files: str,
) -> Case:
    named: Mapping[str, str] = {f"templates/{key}.yaml": text for key, text in files.items()}
    return Case(Fault(name, edits, named), scenario, cause, values, only)


def front(do: str) -> Edit:
    return Edit("Deployment", FRONT, do)


def back(do: str) -> Edit:
    return Edit("Deployment", BACK, do)


def service(do: str, name: str = FRONT) -> Edit:
    return Edit("Service", name, do)


def _env(name: str, value: str, other: str) -> str:
    """The expression that gives a variable of the container another value, where it has that one."""
    named = f'"name":"{name}","value":'
    return f'set $main "env" (fromJsonArray (toJson $main.env | replace `{named}"{value}"` `{named}"{other}"`))'


_PORT = "(first $spec.ports)"
_LATE = 'set $main "startupProbe" (dict "tcpSocket" (dict "port" 9) "periodSeconds" 1 "failureThreshold" 2)'
_CLUSTER_ROLE = """apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: gati-e2e-left-{{ .Release.Namespace }}
  annotations: {helm.sh/resource-policy: keep}
rules: []
"""
_HOOK = """apiVersion: v1
kind: ConfigMap
metadata:
  name: left-by-a-hook
  namespace: {{ .Values.global.namespace }}
  annotations: {helm.sh/hook: post-install}
"""
_ALL = 'kind: Group, name: "system:serviceaccounts:{{ .Values.global.namespace }}", apiGroup: rbac.authorization.k8s.io'
_ADMIN = """apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: wide
  namespace: {{ .Values.global.namespace }}
  labels: {gati-e2e/mark: set}
  annotations: {gati-e2e/mark: set}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: gati-ingress, namespace: {{ .Values.global.namespace }}}]
"""
_OF_ALL = _ADMIN.replace("kind: ServiceAccount, name: gati-ingress, namespace: {{ .Values.global.namespace }}", _ALL)
_OF_DEFAULT = _ADMIN.replace("name: gati-ingress,", "name: default,")
_NOWHERE = _ADMIN.replace("name: view", "name: nowhere")
_CRON = """apiVersion: batch/v1
kind: CronJob
metadata:
  name: nightly
  namespace: {{ .Values.global.namespace }}
  labels: {gati-e2e/mark: set}
  annotations: {gati-e2e/mark: set}
spec:
  schedule: "0 0 1 1 *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          automountServiceAccountToken: false
          securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
          containers:
            - name: nightly
              image: {{ .Values.ingress.image.repository }}:{{ .Values.ingress.image.tag }}
              command: [python3, -c, pass]
              envFrom: [{configMapRef: {name: nowhere}}]
              resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
              securityContext:
                {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
"""
# An ingress that starts as quickly as ever, and takes its time for each request.
_LAZY = """
import asyncio, sys
from gati_ingress.__main__ import main
from gati_ingress.resolver import RouteManager
resolve = RouteManager.resolve
async def lazily(*words):
    await asyncio.sleep(0.5)
    return await resolve(*words)
RouteManager.resolve = lazily
sys.exit(main())
"""
_SECOND_SERVICE = """apiVersion: v1
kind: Service
metadata:
  name: second
  namespace: {{ .Values.global.namespace }}
  annotations: {gati-e2e/mark: set}
  labels:
    gati-e2e/mark: set
    {{- include "gati.selectorLabels" (dict "root" . "component" "ingress") | nindent 4 }}
spec:
  selector:
    {{- include "gati.selectorLabels" (dict "root" . "component" "ingress") | nindent 4 }}
  ports: [{name: http, port: 80, targetPort: 8080}]
"""

_ASTRAY = """apiVersion: v1
kind: ConfigMap
metadata: {name: "astray-{{ .Release.Namespace }}", namespace: default}
"""
_ELSEWHERE = """apiVersion: v1
kind: ConfigMap
metadata:
  name: elsewhere-{{ .Release.Namespace }}
  namespace: default
  annotations: {helm.sh/hook: post-install, helm.sh/hook-delete-policy: "before-hook-creation,hook-succeeded"}
"""
_STRAY = """apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: stray
  namespace: {{ .Values.global.namespace }}
  labels: {gati-e2e/mark: set, kubernetes.io/service-name: gati-ingress}
  annotations: {gati-e2e/mark: set}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.244.0.250], conditions: {ready: true}}]
"""
_API = """apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata:
  name: v1.{{ .Release.Namespace }}.invalid
  labels: {gati-e2e/mark: set}
  annotations: {gati-e2e/mark: set}
spec:
  group: {{ .Release.Namespace }}.invalid
  version: v1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: gati-ingress, namespace: {{ .Values.global.namespace }}}
"""
_WEBHOOKS = """apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata:
  name: nowhere-{{ .Release.Namespace }}
  labels: {gati-e2e/mark: set}
  annotations: {gati-e2e/mark: set}
webhooks:
  - name: nowhere.gati.invalid
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: %(policy)s
    rules: [{apiGroups: [%(group)s], apiVersions: [v1], operations: [CREATE], resources: [%(resources)s]}]%(more)s
    clientConfig: {service: {%(service)s, namespace: {{ .Values.global.namespace }}}}
"""
_WEBHOOK = _WEBHOOKS % {
    "policy": "Ignore",
    "group": "gati.invalid",
    "resources": "nothing",
    "more": "",
    "service": "name: nowhere",
}
_OWN_WEBHOOK = _WEBHOOKS % {
    "policy": "Fail",
    "group": '""',
    "resources": "pods",
    "more": "\n    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .Values.global.namespace }}}}",
    "service": "name: gati-ingress, port: 80",
}
_LIMITS = """apiVersion: v1
kind: LimitRange
metadata:
  name: narrow
  namespace: {{ .Values.global.namespace }}
  labels: {gati-e2e/mark: set}
  annotations: {gati-e2e/mark: set}
spec: {limits: [{type: Container, max: {memory: 64Mi}}]}
"""
_DENIES = """apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: never-{{ .Release.Namespace }}
  labels: {gati-e2e/mark: set}
  annotations: {gati-e2e/mark: set}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  validations: [{expression: "false", message: "no pods on Mondays"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: never-{{ .Release.Namespace }}
  labels: {gati-e2e/mark: set}
  annotations: {gati-e2e/mark: set}
spec:
  policyName: never-{{ .Release.Namespace }}
  validationActions: [Deny]
  matchResources:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "{{ .Values.global.namespace }}"}}
"""
_TOKEN = """apiVersion: v1
kind: Secret
metadata:
  name: lasting
  namespace: {{ .Values.global.namespace }}
  labels: {gati-e2e/mark: set}
  annotations: {gati-e2e/mark: set, kubernetes.io/service-account.name: gati-ingress}
type: kubernetes.io/service-account-token
"""
_PRIORITY = """apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata:
  name: left-{{ .Release.Namespace }}
  annotations: {helm.sh/hook: post-install, meta.helm.sh/release-namespace: {{ .Release.Namespace }}}
value: 5
"""


_SECOND_BUDGET = """apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: second
  namespace: {{ .Values.global.namespace }}
  labels: {gati-e2e/mark: set}
  annotations: {gati-e2e/mark: set}
spec:
  minAvailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "gati.selectorLabels" (dict "root" . "component" "ingress") | nindent 6 }}
"""


_PLAIN = '(dict "name" "http" "port" 80 "targetPort" "http" "protocol" "TCP")'
_NOTES = """GATI is in {{{{ .Values.global.namespace }}}}.
kubectl --namespace {{{{ .Values.global.namespace }}}} port-forward service/gati-ingress 8080:{port}
"""


def hook(when: str, program: str) -> str:
    """A hook's pod that runs `program`."""
    return f"""apiVersion: v1
kind: Pod
metadata:
  name: migrate
  namespace: {{{{ .Values.global.namespace }}}}
  annotations: {{helm.sh/hook: {when}}}
spec:
  restartPolicy: Never
  securityContext: {{runAsNonRoot: true, runAsUser: 65532, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: migrate
      image: {{{{ .Values.ingress.image.repository }}}}:{{{{ .Values.ingress.image.tag }}}}
      command: [python3, -c, {json.dumps(program)}]
      securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
"""


# An ingress that goes on when it is told to stop, until it is killed.
_DEAF = """
import signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.run(["python3", "-m", "gati_ingress"])
"""
_SECOND_SCALER = """apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: second
  namespace: {{ .Values.global.namespace }}
  labels: {gati-e2e/mark: set}
  annotations: {gati-e2e/mark: set}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: gati-ingress}
  minReplicas: 2
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]
"""
_ENDLESS = (
    '(dict "name" "wait" "image" $main.image "command" (list "python3" "-c" "import time; time.sleep(9999)") '
    '"securityContext" $main.securityContext "resources" $main.resources)'
)

CASES = (
    # -- what the API server must accept -----------------------------------------------------------
    case("privileged", "dry-run", "break Pod Security", front('set $main "securityContext" (dict "privileged" true)')),
    case("as-root", "dry-run", "break Pod Security", back('set $pod "securityContext" (dict "runAsUser" 0)')),
    case("unknown-field", "dry-run", 'unknown field "spec.replicsa"', back('set $spec "replicsa" 2')),
    case(
        "old-version",
        "dry-run",
        "no matches for kind",
        Edit("PodDisruptionBudget", FRONT, 'set . "apiVersion" "policy/v1beta1"'),
    ),
    case(
        "hpa-bounds",
        "dry-run",
        "maxReplicas: Invalid value",
        Edit("HorizontalPodAutoscaler", FRONT, 'set $spec "maxReplicas" 1'),
        values="staging",
    ),
    case(
        "variable-twice",
        "dry-run",
        "hides previous definition of",
        back('set $main "env" (append $main.env (dict "name" "GRPC_PORT" "value" "50051"))'),
    ),
    # -- what an installation must be --------------------------------------------------------------
    case(
        "target-port", "install", "Service gati-ingress leads to port 8081", service(f'set {_PORT} "targetPort" 8081')
    ),
    case("selector", "install", "Service gati-ingress selects no pod", service('set $spec.selector "tier" "none"')),
    case(
        "back-port",
        "install",
        "Service route-manager leads to port 50052",
        service(f'set {_PORT} "targetPort" 50052', BACK),
    ),
    case(
        "startup-kills",
        "install",
        "container ingress .*failed its startup probe|restarted by its startup probe",
        front(_LATE),
    ),
    case(
        "liveness-kills",
        "install",
        "container ingress .*restarted by its liveness probe",
        front(
            'set $main "livenessProbe" (dict "exec" (dict "command" (list "python3" "-c" "raise SystemExit(1)")) '
            '"periodSeconds" 5 "timeoutSeconds" 9 "failureThreshold" 2)'
        ),
    ),
    case(
        "liveness-cannot-run",
        "install",
        "probe errored.*/bin/nothing",
        front('set $main "livenessProbe" (dict "exec" (dict "command" (list "/bin/nothing")) "periodSeconds" 4)'),
    ),
    case(
        "never-ready",
        "install",
        "container ingress runs and is not ready: Readiness probe failed",
        front('set $main "readinessProbe" (dict "tcpSocket" (dict "port" 9) "periodSeconds" 1)'),
    ),
    case(
        "crash",
        "install",
        "container route-manager .*exit code",
        back('set $main "command" (list "python3" "-c" "raise SystemExit(3)")'),
    ),
    case("paused", "install", "Deployment gati-ingress: it is paused", front('set $spec "paused" true')),
    case("min-ready", "install", "are ready, and count 500 s later", front('set $spec "minReadySeconds" 500')),
    case(
        "post-start",
        "install",
        "container ingress is restarted, for its postStart hook failed",
        front('set $main.lifecycle "postStart" (dict "exec" (dict "command" (list "/bin/nothing")))'),
    ),
    case(
        "post-start-goes-on",
        "install",
        "container ingress has begun, and its postStart hook has not ended",
        front(
            'set $main.lifecycle "postStart" (dict "exec" (dict "command" '
            '(list "python3" "-c" "import time; time.sleep(600)")))'
        ),
    ),
    case(
        "init-goes-on",
        "install",
        "init container wait has not ended",
        front(f'set $pod "initContainers" (list {_ENDLESS})'),
    ),
    case(
        "sidecar-startup",
        "install",
        "init container wait is restarted by its startup probe",
        front(f'set $pod "initContainers" (list (set {_ENDLESS} "restartPolicy" "Always"))'),
        front(_LATE.replace("$main", "(first $pod.initContainers)")),
    ),
    case(
        "hook-goes-on",
        "install",
        "Pod migrate: post-install hook has not ended",
        hook=hook("post-install", "import time; time.sleep(9999)"),
    ),
    case(
        "test-goes-on",
        "install",
        "Pod gati-ingress-test: (test hook has not ended, for restartPolicy: Always|container test .*Completed)",
        Edit("Pod", "gati-ingress-test", 'set $spec "restartPolicy" "Always"'),
    ),
    case(
        "hostname",
        "install",
        "its pod cannot begin: .*FQDN",
        front('set (set $pod "setHostnameAsFQDN" true) "subdomain" (repeat 60 "a")'),
    ),
    case(
        "no-such-node",
        "install",
        "node nowhere, and given up|no kubelet of node nowhere",
        front('set $pod "nodeName" "nowhere"'),
    ),
    case("endpoint-stray", "install", "EndpointSlice stray adds places to Service gati-ingress", stray=_STRAY),
    case(
        "external-ip",
        "install",
        "Service gati-ingress has spec.externalIPs",
        service('set $spec "externalIPs" (list "192.0.2.7")'),
    ),
    case("api-away", "install", "APIService .* to be available", api=_API),
    case("lasting-token", "install", "Secret lasting keeps a token of the API", secret=_TOKEN),
    case("udp", "install", "no answer; .*gati-ingress: 80 to http by UDP", service(f'set {_PORT} "protocol" "UDP"')),
    case(
        "asked-elsewhere",
        "install",
        "nowhere.invalid:50051 does not answer",
        Edit("ConfigMap", "gati-ingress-config", 'set .data "ROUTE_MANAGER_ADDR" "nowhere.invalid:50051"'),
    ),
    case("image", "install", "cannot pull image", back('set $main "image" "gati/none:9"')),
    case(
        "evicted",
        "install",
        "Evicted: Pod ephemeral local storage usage exceeds",
        front('set $main.resources.limits "ephemeral-storage" "1Ki"'),
    ),
    case(
        "too-big",
        "install",
        "no node takes its pod: .*Insufficient cpu",
        back('set $main "resources" (dict "requests" (dict "cpu" "100"))'),
    ),
    case(
        "missing-config",
        "install",
        'configmap "gone" not found',
        front('set (first $main.envFrom).configMapRef "name" "gone"'),
    ),
    Case(Fault("no-notes", (), {"templates/NOTES.txt": "Thank you.\n"}), "install", "the notes do not say where"),
    Case(
        Fault(
            "notes-port",
            (),
            {"templates/NOTES.txt": _NOTES.format(port=8080)},
        ),
        "install",
        "the notes name port 8080 of Service gati-ingress",
    ),
    case(
        "label-missing",
        "install",
        "ConfigMap route-manager-routes lacks the common label",
        Edit("ConfigMap", "route-manager-routes", 'unset .metadata.labels "gati-e2e/mark"'),
    ),
    case(
        "pod-label-missing",
        "install",
        "pod route-manager-.* lacks the common label",
        back('unset $spec.template.metadata.labels "gati-e2e/mark"'),
    ),
    case("wrong-namespace", "install", "ConfigMap astray-.* is in namespace default", astray=_ASTRAY),
    case(
        "not-spread",
        "install",
        "route-manager is not spread",
        back(
            'set $pod "affinity" (dict "nodeAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (dict '
            '"nodeSelectorTerms" (list (dict "matchExpressions" (list (dict "key" "topology.kubernetes.io/zone" '
            '"operator" "In" "values" (list "a"))))))))'
        ),
        values="prod",
    ),
    case(
        "test-affinity",
        "install",
        "Pod gati-ingress-test: no node takes its pod",
        Edit(
            "Pod",
            "gati-ingress-test",
            'set $spec "affinity" (dict "podAntiAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list '
            '(dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" '
            '(dict "app.kubernetes.io/component" "ingress"))))))',
        ),
        only=("apart", "external", "labels"),
    ),
    case(
        "test-fails",
        "install",
        "route-manager-test: .*nowhere.invalid",
        Edit(
            "Pod",
            "route-manager-test",
            'set (first $spec.containers) "command" (list "/app/healthcheck" "grpc://nowhere.invalid:1")',
        ),
    ),
    case(
        "not-idempotent",
        "install",
        "installing the same again replaced pods|objects are not what they were",
        back(
            'set $spec.template.metadata "annotations" (merge (dict "now" (now | toString)) '
            "($spec.template.metadata.annotations | default dict))"
        ),
    ),
    case(
        "rendered-anew",
        "install",
        "objects are not what they were(.|\\n)*ConfigMap gati-ingress-config: data.STARTED",
        Edit("ConfigMap", "gati-ingress-config", 'set .data "STARTED" (randAlphaNum 8)'),
    ),
    case(
        "keda-min",
        "install",
        "ScaledObject gati-ingress has spec.minReplicaCount 1, not 0",
        Edit("ScaledObject", FRONT, 'set $spec "minReplicaCount" 1'),
        values="dev",
    ),
    case(
        "hpa-target",
        "install",
        "a scaler scales nothing",
        Edit("HorizontalPodAutoscaler", FRONT, 'set $spec.scaleTargetRef "name" "nobody"'),
        values="staging",
    ),
    case("hpa-request", "install", "no requests.cpu", front('unset $main "resources"'), values="staging"),
    case(
        "replicas-beside-hpa",
        "install",
        "sets replicas beside its scaler",
        front('set $spec "replicas" 2'),
        values="staging",
    ),
    case(
        "two-scalers",
        "install",
        "two scalers set the replicas of Deployment gati-ingress",
        values="staging",
        second=_SECOND_SCALER,
    ),
    case(
        "pdb-selector",
        "install",
        "guards no pod",
        Edit("PodDisruptionBudget", FRONT, 'set $spec.selector.matchLabels "tier" "none"'),
    ),
    case(
        "pdb-blocks",
        "install",
        "blocks every drain",
        Edit("PodDisruptionBudget", BACK, 'set (unset $spec "maxUnavailable") "minAvailable" "100%"'),
        values="staging",
    ),
    case(
        "pdb-of-both",
        "install",
        "guards pods of several workloads",
        Edit("PodDisruptionBudget", FRONT, 'unset $spec.selector.matchLabels "app.kubernetes.io/component"'),
    ),
    case(
        "policy-port",
        "install",
        "the policies keep ingress from route-manager",
        Edit("NetworkPolicy", BACK, 'set (first (first $spec.ingress).ports) "port" 1'),
        values="prod",
    ),
    case(
        "policy-peer",
        "install",
        "the policies keep ingress from route-manager",
        Edit("NetworkPolicy", BACK, 'set (first (first $spec.ingress).from).podSelector.matchLabels "tier" "none"'),
        values="prod",
    ),
    case(
        "monitor-selects-none",
        "install",
        "does not match exactly one Service",
        Edit("ServiceMonitor", FRONT, 'set $spec.selector.matchLabels "tier" "none"'),
    ),
    case("monitor-selects-two", "install", "does not match exactly one Service", second=_SECOND_SERVICE),
    case(
        "monitor-port",
        "install",
        "names a port that Service gati-ingress does not have",
        Edit("ServiceMonitor", FRONT, 'set (first $spec.endpoints) "port" "metrics"'),
    ),
    case(
        "monitor-path",
        "install",
        "tells no metrics|does not answer /healthz",
        Edit("ServiceMonitor", FRONT, 'set (first $spec.endpoints) "path" "/healthz"'),
    ),
    case(
        "monitor-slow",
        "install",
        "lets a scrape take longer than its interval",
        Edit("ServiceMonitor", FRONT, 'set (first $spec.endpoints) "scrapeTimeout" "1m"'),
    ),
    case(
        "monitor-drops",
        "install",
        "ServiceMonitor gati-ingress drops every metric",
        Edit(
            "ServiceMonitor",
            FRONT,
            'set (first $spec.endpoints) "metricRelabelings" '
            '(list (dict "action" "drop" "sourceLabels" (list "__name__") "regex" "[a-z].*"))',
        ),
    ),
    case(
        "monitor-keeps-none",
        "install",
        "ServiceMonitor gati-ingress drops every one of its pods",
        Edit(
            "ServiceMonitor",
            FRONT,
            'set (first $spec.endpoints) "relabelings" '
            '(list (dict "action" "keep" "sourceLabels" (list "__meta_kubernetes_pod_label_tier") "regex" "none"))',
        ),
    ),
    case(
        "monitor-drops-namespace",
        "install",
        "ServiceMonitor gati-ingress drops every one of its pods",
        Edit(
            "ServiceMonitor",
            FRONT,
            'set (first $spec.endpoints) "relabelings" '
            '(list (dict "action" "drop" "sourceLabels" (list "namespace" "endpoint") "regex" ".*;http"))',
        ),
    ),
    case(
        "monitor-elsewhere",
        "install",
        "does not answer /metrics on port 9 with metrics",
        Edit(
            "ServiceMonitor",
            FRONT,
            'set (first $spec.endpoints) "relabelings" (list (dict "sourceLabels" (list "__address__") '
            '"regex" "(.*):.*" "replacement" "$1:9" "targetLabel" "__address__"))',
        ),
    ),
    case(
        "monitor-secret",
        "install",
        "ServiceMonitor gati-ingress names Secret nowhere, which is not there",
        Edit(
            "ServiceMonitor",
            FRONT,
            'set (first $spec.endpoints) "basicAuth" (dict "username" (dict "name" "nowhere" "key" "user"))',
        ),
    ),
    case(
        "rule-metric",
        "install",
        "asks for metrics that nobody has",
        Edit(
            "PrometheusRule",
            FRONT,
            'set (index (first $spec.groups).rules 1) "expr" "sum(rate(gati_requests[5m])) by (code) > 1"',
        ),
    ),
    case(
        "rule-job",
        "install",
        "asks for another job",
        Edit("PrometheusRule", FRONT, 'set (first (first $spec.groups).rules) "expr" "absent(up{job=\\"gati\\"})"'),
    ),
    case(
        "rule-namespace",
        "install",
        "asks for another namespace",
        Edit(
            "PrometheusRule",
            FRONT,
            'set (index (first $spec.groups).rules 1) "expr" '
            '"rate(gati_ingress_requests_total{namespace=\\"gati\\"}[5m]) > 1"',
        ),
    ),
    case(
        "dashboard",
        "install",
        "gati.json is no dashboard of Grafana",
        Edit("ConfigMap", "gati-ingress-dashboard", 'set .data "gati.json" "{"'),
    ),
    case(
        "role-verb",
        "install",
        "more rights than it uses",
        Edit("Role", FRONT, 'set . "rules" (append .rules (set (deepCopy (first .rules)) "verbs" (list "*")))'),
    ),
    case(
        "role-empty",
        "install",
        r"Role route-manager has rules.0.verbs \['watch'\]",
        Edit("Role", BACK, 'set (first .rules) "verbs" (list "watch")'),
    ),
    case(
        "role-names", "install", "more rights than it uses", Edit("Role", BACK, 'unset (first .rules) "resourceNames"')
    ),
    case("role-of-all", "install", "ClusterRole view gives account gati-ingress more rights", wide=_OF_ALL),
    case("binding-stranger", "install", "RoleBinding wide: ServiceAccount default", wide=_OF_DEFAULT),
    case("role-view", "install", "ClusterRole view gives account gati-ingress more rights", wide=_ADMIN),
    case("token", "install", "mounts a token of the API", front('set $pod "automountServiceAccountToken" true')),
    case(
        "test-left",
        "install",
        "what tested stays after it passed(.|\\n)*Pod gati-ingress-test",
        Edit("Pod", "gati-ingress-test", 'set .metadata.annotations "helm.sh/hook-delete-policy" "hook-failed"'),
    ),
    case(
        "node-port",
        "install",
        "Service gati-ingress has spec.type NodePort, not ClusterIP",
        service('set $spec "type" "NodePort"'),
    ),
    case(
        "policy-block",
        "install",
        "let a stranger ask route-manager",
        Edit(
            "NetworkPolicy",
            BACK,
            'set $spec "ingress" (append $spec.ingress '
            '(dict "from" (list (dict "ipBlock" (dict "cidr" "0.0.0.0/0")))))',
        ),
        values="prod",
    ),
    case(
        "test-token",
        "install",
        "pod gati-ingress-test mounts a token of the API",
        Edit("Pod", "gati-ingress-test", 'set $spec "automountServiceAccountToken" true'),
    ),
    case(
        "liveness-port",
        "install",
        "livenessProbe of container route-manager .*asks on port 50052, which is not open",
        back('set $main.livenessProbe.grpc "port" 50052'),
    ),
    case(
        "liveness-header",
        "outage",
        "livenessProbe of container ingress .*gets no answer from /nope",
        front(
            'set $main "livenessProbe" (dict "periodSeconds" 100 "httpGet" (dict "path" "/nope" "port" "http" '
            '"httpHeaders" (list (dict "name" "Host" "value" "shop.example"))))'
        ),
    ),
    case(
        "app-protocol",
        "install",
        "Service route-manager says that port 50051 speaks http, and its pods are asked by grpc",
        service(f'set {_PORT} "appProtocol" "http"', BACK),
    ),
    case(
        "version-label",
        "install",
        "Deployment gati-ingress has the label app.kubernetes.io/version 0.0.1, not",
        front('set .metadata.labels "app.kubernetes.io/version" "0.0.1"'),
    ),
    case(
        "pull-secret",
        "install",
        "Deployment gati-ingress names Secret nowhere, which is not there",
        front('set $pod "imagePullSecrets" (list (dict "name" "nowhere"))'),
    ),
    case(
        "account-pull-secret",
        "install",
        "ServiceAccount route-manager names Secret nowhere, which is not there",
        Edit("ServiceAccount", BACK, 'set . "imagePullSecrets" (list (dict "name" "nowhere"))'),
    ),
    case("cron-config", "install", "CronJob nightly names ConfigMap nowhere, which is not there", cron=_CRON),
    case("binding-nowhere", "install", "RoleBinding wide names ClusterRole nowhere, which is not there", wide=_NOWHERE),
    case(
        "service-port", "install", "the notes name port 80 of Service gati-ingress", service(f'set {_PORT} "port" 8000')
    ),
    case(
        "back-selector-wide",
        "install",
        "Service route-manager leads to port grpc, which its pods do not open",
        service('unset $spec.selector "app.kubernetes.io/component"', BACK),
    ),
    case(
        "local-traffic",
        "install",
        "to answer from outside of the pod network",
        service('set $spec "internalTrafficPolicy" "Local"'),
        values="staging",
    ),
    case(
        "hpa-dropped",
        "install",
        "HorizontalPodAutoscaler gati-ingress is not rendered",
        Edit("HorizontalPodAutoscaler", FRONT, drop()),
        values="staging",
    ),
    case(
        "scaled-object-target",
        "install",
        "a scaler scales nothing",
        Edit("ScaledObject", FRONT, 'set $spec.scaleTargetRef "name" "nobody"'),
        values="dev",
    ),
    case("binding-dropped", "install", "RoleBinding route-manager is not rendered", Edit("RoleBinding", BACK, drop())),
    case(
        "binding-subject",
        "install",
        "account route-manager may not read configmaps",
        Edit("RoleBinding", BACK, 'set (first .subjects) "name" "nobody"'),
    ),
    case(
        "role-ref",
        "install",
        "account route-manager may not read configmaps",
        Edit("RoleBinding", BACK, 'set .roleRef "name" "nothing"'),
    ),
    case(
        "shared-account",
        "install",
        "account gati-ingress may not read configmaps route-manager-routes",
        back('set $pod "serviceAccountName" "gati-ingress"'),
    ),
    case(
        "account-dropped",
        "install",
        'serviceaccount "?(gati-ingress|route-manager)"? not found',
        Edit("ServiceAccount", BACK, drop()),
    ),
    case(
        "selects-other-releases",
        "install",
        "Service gati-ingress selects the pods of other releases of the chart, too",
        service('unset $spec.selector "app.kubernetes.io/instance"'),
    ),
    case(
        "selects-both",
        "install",
        "Deployment route-manager selects the pods of Deployment gati-ingress",
        back('unset $spec.selector.matchLabels "app.kubernetes.io/component"'),
    ),
    case("priority", "install", "no PriorityClass with name nothing", back('set $pod "priorityClassName" "nothing"')),
    case("pull-policy", "install", "cannot pull image", back('set $main "imagePullPolicy" "Always"')),
    case(
        "never-pulled", "install", "runs only where its image is already", front('set $main "imagePullPolicy" "Never"')
    ),
    case(
        "policy-dropped",
        "install",
        "NetworkPolicy gati-default-deny is not rendered",
        Edit("NetworkPolicy", "gati-default-deny", drop()),
        values="prod",
    ),
    case(
        "policy-names",
        "install",
        "the policies keep test from asking for names",
        Edit("NetworkPolicy", "gati-test", 'set $spec "egress" (rest $spec.egress)'),
        values="prod",
    ),
    case(
        "policy-open",
        "install",
        "the policies let a stranger ask route-manager",
        Edit("NetworkPolicy", BACK, 'unset (first $spec.ingress) "from"'),
        values="prod",
    ),
    case(
        "policy-outwards",
        "install",
        "the policies let route-manager ask a stranger",
        Edit("NetworkPolicy", BACK, 'set $spec "egress" (list dict)'),
        values="prod",
    ),
    case(
        "policy-test-outwards",
        "install",
        "the policies let test ask a stranger",
        Edit("NetworkPolicy", "gati-test", 'set $spec "egress" (list dict)'),
        values="prod",
    ),
    case(
        "policy-closed",
        "install",
        "the policies keep test from ingress",
        Edit("NetworkPolicy", FRONT, 'set $spec "ingress" (list)'),
        values="prod",
    ),
    case("no-liveness", "install", "does not say when it hangs", front('unset $main "livenessProbe"')),
    case(
        "liveness-hasty",
        "install",
        "container route-manager .* is restarted (when it does not answer for 4 s|by its liveness probe)",
        back('set (set $main.livenessProbe "periodSeconds" 1) "failureThreshold" 2'),
    ),
    case(
        "liveness-lenient",
        "install",
        "container route-manager .* may hang for 10000 s",
        back('set $main.livenessProbe "failureThreshold" 1000'),
    ),
    case(
        "liveness-late",
        "install",
        "container route-manager .* may hang for 3630 s",
        back('set $main.livenessProbe "initialDelaySeconds" 3600'),
    ),
    case("no-startup", "install", "does not say when it has begun", back('unset $main "startupProbe"')),
    case("no-resources", "install", "does not say what it needs", back('unset $main "resources"')),
    case(
        "writable", "install", "can write into its image", back('unset $main.securityContext "readOnlyRootFilesystem"')
    ),
    case(
        "no-spread",
        "install",
        "does not ask for a spread over the zones",
        front('unset $pod "topologySpreadConstraints"'),
        values="prod",
    ),
    case(
        "spread-of-revisions",
        "install",
        "a spread that counts the pods of the revision before",
        front(
            'set $pod "topologySpreadConstraints" (list (omit (first $pod.topologySpreadConstraints) "matchLabelKeys"))'
        ),
        values="prod",
    ),
    case(
        "no-anti-affinity",
        "install",
        "does not ask for anti-affinity over the zones",
        back('unset $pod "affinity"'),
        values="prod",
    ),
    case(
        "spread-of-others",
        "install",
        "asks for a spread over the zones of other pods than its own",
        front('set (first $pod.topologySpreadConstraints).labelSelector "matchLabels" (dict "tier" "none")'),
        values="prod",
    ),
    case(
        "spread-wide",
        "install",
        "lets all 3 pods be in one zone",
        front('set (first $pod.topologySpreadConstraints) "maxSkew" 5'),
        values="prod",
    ),
    case(
        "node-selector-ignored",
        "install",
        "ignores nodeSelector",
        front('unset $pod "nodeSelector"'),
        only=("apart", "external", "labels"),
    ),
    case(
        "tolerations-ignored",
        "install",
        "ignores tolerations",
        front('unset $pod "tolerations"'),
        only=("apart", "external", "labels"),
    ),
    case(
        "namespace-open",
        "install",
        "the chart's namespace lets everything in",
        Edit("Namespace", "", 'unset .metadata.labels "pod-security.kubernetes.io/enforce"'),
    ),
    case("hook-elsewhere", "install", "hook ConfigMap elsewhere-.* is in namespace default", hook=_ELSEWHERE),
    case(
        "ingress-port",
        "install",
        "Ingress gati-ingress leads to port",
        Edit(
            "Ingress",
            FRONT,
            'set (first (first $spec.rules).http.paths).backend.service "port" (dict "number" 81)',
        ),
    ),
    case(
        "route-port",
        "install",
        "HTTPRoute gati-ingress leads to port",
        Edit("HTTPRoute", FRONT, 'set (first (first $spec.rules).backendRefs) "port" 81'),
    ),
    case("test-dropped", "install", "Pod gati-ingress-test is not rendered", Edit("Pod", "gati-ingress-test", drop())),
    case(
        "rule-dropped", "install", "PrometheusRule gati-ingress is not rendered", Edit("PrometheusRule", FRONT, drop())
    ),
    case(
        "unhealthy-stay",
        "install",
        "keeps pods that are not ready on their node",
        Edit("PodDisruptionBudget", FRONT, 'unset $spec "unhealthyPodEvictionPolicy"'),
    ),
    case(
        "headless-not",
        "install",
        "Service route-manager-headless has spec.clusterIP unset, not None",
        Edit("Service", "route-manager-headless", 'unset $spec "clusterIP"'),
        values="staging",
    ),
    case(
        "back-unready-published",
        "install",
        "Service route-manager sends requests to pods that are not ready",
        service('set $spec "publishNotReadyAddresses" true', BACK),
    ),
    Case(
        Fault(
            "notes-elsewhere",
            (),
            {
                "templates/NOTES.txt": "GATI is in {{ .Values.global.namespace }}.\n"
                "kubectl --namespace default port-forward service/gati-ingress 8080:80\n"
            },
        ),
        "install",
        "the notes look for Service gati-ingress in another namespace",
    ),
    case(
        "pod-labels-ignored",
        "install",
        "Deployment route-manager has spec.template.metadata.labels.gati-e2e-pod unset, not set",
        back('unset $spec.template.metadata.labels "gati-e2e-pod"'),
    ),
    case(
        "back-tolerations-ignored",
        "install",
        "Deployment route-manager has spec.template.spec.tolerations.0.key unset, not gati-e2e-all",
        back('unset $pod "tolerations"'),
    ),
    case(
        "back-node-selector-ignored",
        "install",
        "Deployment route-manager has spec.template.spec.nodeSelector unset",
        back('unset $pod "nodeSelector"'),
    ),
    case(
        "route-path",
        "install",
        "HTTPRoute gati-ingress has spec.rules.0.matches.0.path.value /nowhere, not /",
        Edit("HTTPRoute", FRONT, 'set (first (first $spec.rules).matches).path "value" "/nowhere"'),
    ),
    case(
        "hpa-hesitates",
        "install",
        "spec.behavior.scaleUp.stabilizationWindowSeconds 300, not 0",
        Edit("HorizontalPodAutoscaler", FRONT, 'set $spec.behavior.scaleUp "stabilizationWindowSeconds" 300'),
        values="prod",
    ),
    case(
        "ingress-second-host",
        "install",
        "Ingress gati-ingress has spec.rules.1.host unset, not second.invalid",
        Edit("Ingress", FRONT, 'set $spec "rules" (list (first $spec.rules))'),
    ),
    case(
        "startup-lenient",
        "install",
        "container route-manager .* may hang for 2000 s",
        back('set $main.startupProbe "failureThreshold" 1000'),
    ),
    case(
        "route-filter",
        "install",
        "HTTPRoute gati-ingress has spec.rules.0.filters .*/nowhere.*, not unset",
        Edit(
            "HTTPRoute",
            FRONT,
            'set (first $spec.rules) "filters" (list (dict "type" "URLRewrite" "urlRewrite" '
            '(dict "path" (dict "type" "ReplaceFullPath" "replaceFullPath" "/nowhere"))))',
        ),
    ),
    case(
        "ingress-path",
        "install",
        "Ingress gati-ingress has spec.rules.0.http.paths.0.path /nope, not /",
        Edit("Ingress", FRONT, 'set (first (first $spec.rules).http.paths) "path" "/nope"'),
    ),
    case(
        "rule-pod",
        "install",
        "asks for another pod",
        Edit("PrometheusRule", FRONT, 'set (first (first $spec.groups).rules) "expr" "absent(up{pod=~\\"gate-.*\\"})"'),
    ),
    case("two-budgets", "install", "two budgets guard pod gati-ingress-", second=_SECOND_BUDGET),
    case(
        "no-tmp",
        "install",
        "containers.0.volumeMounts.0.mountPath unset, not /tmp",
        front('(dict "a" (unset $main "volumeMounts") "b" (unset $pod "volumes"))'),
    ),
    case(
        "host-alias",
        "install",
        "hostAliases, and no server, say where route-manager",
        front(
            'set $pod "hostAliases" (list (dict "ip" "127.0.0.1" "hostnames" '
            '(list (printf "route-manager.%s.svc" .metadata.namespace))))'
        ),
    ),
    case(
        "route-weight",
        "install",
        "HTTPRoute gati-ingress sends nobody to its Services",
        Edit("HTTPRoute", FRONT, 'set (first (first $spec.rules).backendRefs) "weight" 0'),
    ),
    case(
        "monitor-of-releases",
        "install",
        "ServiceMonitor gati-ingress selects the Services of other releases of the chart, too",
        Edit("ServiceMonitor", FRONT, 'unset $spec.selector.matchLabels "app.kubernetes.io/instance"'),
    ),
    case(
        "webhook-nowhere",
        "install",
        "ValidatingWebhookConfiguration nowhere-.* names Service nowhere, which is not there",
        webhook=_WEBHOOK,
    ),
    case(
        "scaler-metric",
        "install",
        "ScaledObject gati-ingress: its first trigger asks for metrics that nobody has",
        Edit("ScaledObject", FRONT, 'set (first $spec.triggers).metadata "query" "sum(rate(gati_requests_total[1m]))"'),
        values="dev",
    ),
    case(
        "scaler-wakes-not",
        "install",
        "ScaledObject gati-ingress has spec.triggers.1.type unset, not kubernetes-workload",
        Edit("ScaledObject", FRONT, 'set $spec "triggers" (list (first $spec.triggers))'),
        values="dev",
    ),
    case(
        "scaler-unread",
        "install",
        "ScaledObject gati-ingress: a further trigger asks what Prometheus cannot read",
        Edit(
            "ScaledObject",
            FRONT,
            'set $spec "triggers" (append $spec.triggers (dict "type" "prometheus" "metadata" '
            '(dict "serverAddress" "http://prometheus:9090" "threshold" "1" "query" "sum(rate(up[1m])")))',
        ),
        values="dev",
    ),
    case(
        "monitor-samples",
        "install",
        "ServiceMonitor gati-ingress takes 3 samples or none",
        Edit("ServiceMonitor", FRONT, 'set $spec "sampleLimit" 3'),
    ),
    case(
        "liveness-service",
        "install",
        "Unhealthy: Liveness probe failed: .*(NotFound|unknown service)",
        back(
            'set $main "livenessProbe" '
            '(dict "grpc" (dict "port" 50051 "service" "nope") "periodSeconds" 5 "failureThreshold" 60)'
        ),
    ),
    case(
        "port-deaf",
        "install",
        "Service gati-ingress leads to port admin, which pod .* names and does not open",
        front('set $main "ports" (append $main.ports (dict "name" "admin" "containerPort" 9999))'),
        service('set $spec "ports" (append $spec.ports (dict "name" "admin" "port" 9999 "targetPort" "admin"))'),
    ),
    case(
        "config-of-a-hook",
        "upgrade",
        'configmap "gati-ingress-config" not found',
        Edit(
            "ConfigMap",
            "gati-ingress-config",
            'set .metadata "annotations" (dict "helm.sh/hook" "pre-install,pre-upgrade" '
            '"helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded")',
        ),
    ),
    case(
        "memory",
        "install",
        "container ingress .*(OOMKilled|memory)",
        front(
            'set $main "resources" (dict "requests" (dict "cpu" "50m" "memory" "12Mi") "limits" (dict "memory" "12Mi"))'
        ),
    ),
    case("limit-range", "install", "maximum memory usage per Container is 64Mi", limits=_LIMITS),
    case("own-webhook", "install", "nowhere.gati.invalid", webhook=_OWN_WEBHOOK),
    case("own-policy", "install", "no pods on Mondays", policy=_DENIES),
    case("names", "install", "with dnsPolicy: Default it asks another server", front('set $pod "dnsPolicy" "Default"')),
    case("progress", "install", "progressDeadlineSeconds", front('set $spec "progressDeadlineSeconds" 1')),
    case(
        "role-narrow",
        "install",
        r"Role gati-ingress has rules.0.verbs \['get'\]",
        Edit("Role", FRONT, 'set (first .rules) "verbs" (list "get")'),
    ),
    case(
        "config-key",
        "install",
        "ConfigMap gati-ingress-config has data.TIMESCAPE_ADDR unset",
        Edit("ConfigMap", "gati-ingress-config", 'unset .data "TIMESCAPE_ADDR"'),
    ),
    case(
        "https-plain",
        "changes",
        "Service gati-ingress says that port 443 speaks https, and its pods are asked by http",
        service('set . "spec" (fromJson (toJson $spec | replace `"targetPort":"https"` `"targetPort":"http"`))'),
        only=("tls",),
    ),
    # -- what an upgrade must keep -----------------------------------------------------------------
    case(
        "service-anew",
        "upgrade",
        "who knew the Service's address reaches nobody: .*made anew",
        service('set .metadata "annotations" (dict "helm.sh/hook" "pre-install,pre-upgrade")'),
    ),
    Case(NO_READINESS, "changes", "requests were lost|became slow"),
    Case(NO_PRESTOP, "changes", "requests were lost(.|\\n)*told to stop"),
    Case(RECREATE, "upgrade", "requests were lost(.|\\n)*no pod was ready"),
    case(
        "back-no-probe",
        "install",
        "container route-manager of pod .* does not say when it is ready",
        back('(dict "a" (unset $main "readinessProbe") "b" (unset $main "startupProbe"))'),
    ),
    case(
        "back-recreate",
        "upgrade",
        "requests (were lost|became slow)(.|\\n)*nobody behind it",
        back('set $spec "strategy" (dict "type" "Recreate")'),
    ),
    case(
        "back-no-prestop",
        "changes",
        "requests were lost(.|\\n)*told to stop",
        back('unset $main "lifecycle"'),
        back('set $main "env" (append $main.env (dict "name" "STOP_MODE" "value" "abrupt"))'),
    ),
    case(
        "short-grace",
        "changes",
        "preStop.sleep: Invalid value: 15",
        front('set $pod "terminationGracePeriodSeconds" 1'),
    ),
    case(
        "short-prestop",
        "changes",
        "requests were lost(.|\\n)*told to stop",
        front('set $main.lifecycle.preStop.sleep "seconds" 1'),
    ),
    case(
        "owner-gone",
        "install",
        "Service gati-ingress: it is not there",
        service(
            'set .metadata "ownerReferences" (list (dict "apiVersion" "v1" "kind" "ConfigMap" "name" "gone" '
            '"uid" "5d0b2d9e-0000-0000-0000-000000000000"))'
        ),
    ),
    case(
        "policy-all-ports",
        "install",
        "the policies let ingress ask route-manager",
        Edit("NetworkPolicy", BACK, 'set $spec "ingress" (list (dict "from" (first $spec.ingress).from))'),
        values="prod",
    ),
    case(
        "ingress-host",
        "install",
        "Ingress gati-ingress has spec.rules.0.host elsewhere.invalid",
        Edit("Ingress", FRONT, 'set (first $spec.rules) "host" "elsewhere.invalid"'),
    ),
    case(
        "unavailable",
        "upgrade",
        "too few pods were ready|requests were lost",
        front(
            'set $spec "strategy" (dict "type" "RollingUpdate" "rollingUpdate" (dict "maxUnavailable" 1 "maxSurge" 0))'
        ),
    ),
    case(
        "unready-published",
        "install",
        "Service gati-ingress sends requests to pods that are not ready",
        service('set $spec "publishNotReadyAddresses" true'),
    ),
    case(
        "slow",
        "upgrade",
        "requests became slow",
        front(f'set $main "command" (list "python3" "-c" {json.dumps(_LAZY)})'),
    ),
    case(
        "stale-port",
        "upgrade",
        "Pod gati-ingress-test: |requests were lost",
        service(f'set {_PORT} "targetPort" 8081'),
    ),
    case(
        "selector-changed",
        "upgrade",
        "field is immutable",
        front('set $spec.selector.matchLabels "new" "label"'),
        front('set $spec.template.metadata.labels "new" "label"'),
    ),
    case(
        "port-renamed",
        "upgrade",
        "requests were lost(.|\\n)*no pod was ready behind gati-ingress .*led to by no port",
        front('set . "spec" (fromJson (toJson $spec | replace `"http"` `"web"`))'),
        service(f'set {_PORT} "targetPort" "web"'),
    ),
    case(
        "selector-version",
        "upgrade",
        "requests were lost(.|\\n)*though the pod went on: the Service selects it no more",
        service('set $spec.selector "helm.sh/chart" (index .metadata.labels "helm.sh/chart")'),
        front('set $spec.template.metadata.labels "helm.sh/chart" (index .metadata.labels "helm.sh/chart")'),
    ),
    case(
        "service-headless",
        "upgrade",
        "clusterIPs?.*(field is immutable|may not change|Invalid value)",
        service('set $spec "clusterIP" "None"'),
    ),
    case(
        "image-fixed",
        "upgrade",
        "a pod runs another image",
        front('set $main "image" (regexReplaceAll ":[^:]+$" $main.image ":1")'),
    ),
    case(
        "back-image-fixed",
        "upgrade",
        "a pod runs another image",
        back('set $main "image" (regexReplaceAll ":[^:]+$" $main.image ":1")'),
    ),
    case(
        "checksum",
        "changes",
        "the changed configuration to be known",
        front('unset $spec.template.metadata.annotations "checksum/config"'),
    ),
    case(
        "routes-subpath",
        "changes",
        "the changed routes to be answered(.|\\n)*container route-manager has /etc/gati/routes/routes.yaml by subPath",
        back(
            'set $main "volumeMounts" (list (first $main.volumeMounts) (dict "name" "routes" '
            '"mountPath" "/etc/gati/routes/routes.yaml" "subPath" "routes.yaml"))'
        ),
    ),
    case(
        "routes-restart",
        "changes",
        "a change of the routes replaced pods",
        back(
            'set $spec.template.metadata "annotations" (merge (dict "now" (now | toString)) '
            "($spec.template.metadata.annotations | default dict))"
        ),
    ),
    case(
        "scaled-back",
        "changes",
        "Deployment gati-ingress: another field manager owns what the chart sets",
        front('set $spec "replicas" 2'),
        only=("scaler", "labels"),
    ),
    case(
        "numbered-port",
        "changes",
        "requests were lost",
        service(f'set {_PORT} "targetPort" 8080'),
        only=("slow",),
    ),
    case(
        "tls-subpath",
        "changes",
        "the new certificate to be served(.|\\n)*container ingress has /etc/gati/tls/tls.crt by subPath",
        front(
            'set $main "volumeMounts" (fromJsonArray (toJson $main.volumeMounts | replace '
            '`"mountPath":"/etc/gati/tls","name":"tls"` `"mountPath":"/etc/gati/tls/tls.crt","name":"tls",'
            '"subPath":"tls.crt"},{"mountPath":"/etc/gati/tls/tls.key","name":"tls","subPath":"tls.key"`))'
        ),
        only=("tls",),
    ),
    case(
        "tls-mount",
        "changes",
        "volume|TLS|tls",
        front('set $main "volumeMounts" (list (first $main.volumeMounts))'),
        only=("tls",),
    ),
    case(
        "tls-role",
        "changes",
        "account gati-ingress may not read secrets gati-e2e-tls",
        Edit("Role", FRONT, 'set . "rules" (list (first .rules))'),
        only=("tls",),
    ),
    case(
        "tls-back-port",
        "changes",
        "requests were lost.*by the end of the step: upgrade: TLS",
        service('and (gt (len $spec.ports) 1) (set $spec "ports" (list (last $spec.ports)))', BACK),
        only=("tls",),
    ),
    case(
        "plain-stays",
        "changes",
        "Service gati-ingress still has port http",
        service(f'and (ne (first $spec.ports).name "http") (set $spec "ports" (prepend $spec.ports {_PLAIN}))'),
        only=("tls", "tls-alone"),
    ),
    case(
        "metrics-port-untold",
        "changes",
        "Startup probe failed: .*:9102/livez",
        front(_env("GATI_METRICS_PORT", "9102", "9109")),
        only=("tls", "tls-alone"),
    ),
    Case(
        Fault("notes-plain", (), {"templates/NOTES.txt": _NOTES.format(port=80)}),
        "changes",
        "the notes name port 80 of Service gati-ingress",
        only=("tls", "tls-alone"),
    ),
    case(
        "redirect-not",
        "changes",
        "plain HTTP(.|\\n)*sent nowhere",
        front(_env("HTTP_MODE", "redirect", "serve")),
        only=("tls", "tls-redirect"),
    ),
    case(
        "redirect-port",
        "changes",
        "plain HTTP(.|\\n)*sent to https://[^/]*:8443/",
        front(_env("PUBLIC_HTTPS_PORT", "443", "8443")),
        only=("tls", "tls-redirect"),
    ),
    case(
        "annotated-scheme",
        "install",
        "does not answer /metrics on port 8080 with metrics",
        front(
            'set . "spec" (fromJson (toJson $spec | replace `"checksum/config"` `"prometheus.io/scrape":"true",'
            '"prometheus.io/scheme":"https","prometheus.io/port":"8080","checksum/config"`))'
        ),
    ),
    case(
        "authorities-hidden",
        "changes",
        "hides what its image has in /etc/ssl/certs",
        front(
            'set $pod "containers" (fromJsonArray (toJson $pod.containers | replace "/etc/gati/ca" "/etc/ssl/certs"))'
        ),
        only=("tls",),
    ),
    case(
        "prod-capacity",
        "upgrade",
        "too few pods were ready|requests were lost",
        front(
            'set $spec "strategy" (dict "type" "RollingUpdate" '
            '"rollingUpdate" (dict "maxUnavailable" "50%" "maxSurge" 0))'
        ),
        values="prod",
    ),
    case(
        "immutable-config", "rollback", "immutable", Edit("ConfigMap", "gati-ingress-config", 'set . "immutable" true')
    ),
    case(
        "port-moved",
        "upgrade",
        "Pod gati-ingress-test: |requests were lost",
        service(f'set {_PORT} "port" 8000'),
    ),
    case(
        "back-unavailable",
        "upgrade",
        "too few pods were ready at a time|requests were lost(.|\\n)*nobody behind it",
        back(
            'set $spec "strategy" (dict "type" "RollingUpdate" "rollingUpdate" (dict "maxUnavailable" 1 "maxSurge" 0))'
        ),
    ),
    case(
        "failing-hook",
        "upgrade",
        "the database is away",
        hook=hook("pre-upgrade", "raise SystemExit('the database is away')"),
    ),
    case(
        "rollback-hook",
        "failed-upgrade",
        "pending-rollback: .*could not be undone: Pod migrate: pre-rollback hook failed",
        hook=hook("pre-rollback", "raise SystemExit('the database is away')"),
    ),
    case(
        "prestop-fails",
        "changes",
        "FailedPreStopHook|its preStop hook failed",
        front('set $main.lifecycle "preStop" (dict "exec" (dict "command" (list "/bin/nothing")))'),
    ),
    # -- what an outage must show ---------------------------------------------------------------------
    case(
        "readiness-lies",
        "outage",
        "to say that they are not ready",
        front('set $main.readinessProbe.httpGet "path" "/livez"'),
    ),
    case(
        "readiness-late",
        "outage",
        "no probe has passed yet|is not ready: Readiness probe failed|to say that they are not ready",
        front('set $main.readinessProbe "periodSeconds" 300'),
    ),
    case(
        "liveness-path",
        "outage",
        "livenessProbe of container ingress .*gets no answer from /nope|restarted by its liveness probe",
        front('set $main.livenessProbe.httpGet "path" "/nope"'),
    ),
    case(
        "liveness-asks-back",
        "outage",
        "livenessProbe of container ingress .*gets no answer from /healthz|restarted by its liveness probe",
        front('set $main.livenessProbe.httpGet "path" "/healthz"'),
    ),
    case(
        "test-proves-nothing",
        "outage",
        "test route-manager-test passes while what it tests is away",
        Edit("Pod", "route-manager-test", 'set (first $spec.containers) "command" (list "python3" "-c" "pass")'),
    ),
    # -- what a disruption, a failure, an end must leave ---------------------------------------------
    case(
        "no-budget", "disruption", "no disruption budget guards the pods of", Edit("PodDisruptionBudget", FRONT, drop())
    ),
    case(
        "lax-budget",
        "disruption",
        "the budget allowed a second eviction",
        Edit("PodDisruptionBudget", FRONT, 'set (unset $spec "minAvailable") "maxUnavailable" "100%"'),
    ),
    case(
        "deaf",
        "rollback",
        "pods did not end when they were told to|had to be killed",
        front(f'set $main "command" (list "python3" "-c" {json.dumps(_DEAF)})'),
    ),
    case(
        "no-way-back",
        "failed-upgrade",
        "there is no way back",
        hook=hook("pre-rollback", "raise SystemExit('there is no way back')"),
    ),
    case("init-dropped", "failed-upgrade", "an upgrade that cannot succeed did", front('unset $pod "initContainers"')),
    case(
        "leftover",
        "uninstall",
        "route-manager-routes",
        Edit(
            "ConfigMap", "route-manager-routes", 'set .metadata "annotations" (dict "helm.sh/resource-policy" "keep")'
        ),
    ),
    case("hook-leftover", "uninstall", "left-by-a-hook", hook=_HOOK),
    case("cluster-role", "uninstall", "ClusterRole gati-e2e-left-.* is new", role=_CLUSTER_ROLE),
    case("priority-class", "uninstall", "PriorityClass left-.* is new", hook=_PRIORITY),
    case(
        "finalizer",
        "uninstall",
        "ConfigMap.route-manager-routes: it is to go, and waits for who holds it: example.com/never",
        Edit("ConfigMap", "route-manager-routes", 'set .metadata "finalizers" (list "example.com/never")'),
    ),
    case(
        "namespace-goes",
        "uninstall",
        "there is no Namespace|not marked as kept",
        Edit("Namespace", "", 'unset .metadata "annotations"'),
    ),
)

# Siblings of others in the table, told by the same look at another object or field, and what the first minutes have no
# room for: a session of their own.
FURTHER = frozenset({
    "account-pull-secret", "annotated-scheme", "api-away", "app-protocol", "asked-elsewhere", "back-image-fixed",
    "back-node-selector-ignored", "back-port", "back-recreate", "back-tolerations-ignored", "back-unavailable",
    "binding-dropped", "binding-nowhere", "binding-stranger", "config-key", "config-of-a-hook", "cron-config",
    "dashboard", "endpoint-stray", "evicted", "external-ip", "hook-goes-on", "hook-leftover", "host-alias", "hostname",
    "hpa-dropped", "hpa-hesitates", "hpa-request", "https-plain", "ingress-host", "ingress-path", "ingress-second-host",
    "init-goes-on", "keda-min", "lasting-token", "limit-range", "liveness-hasty", "liveness-header", "liveness-late",
    "liveness-path", "liveness-service", "local-traffic", "memory", "metrics-port-untold", "min-ready",
    "missing-config", "monitor-drops", "monitor-drops-namespace", "monitor-elsewhere", "monitor-keeps-none",
    "monitor-of-releases", "monitor-port", "monitor-samples", "monitor-secret", "monitor-selects-two", "monitor-slow",
    "names", "never-pulled", "no-anti-affinity", "no-such-node", "no-tmp", "node-port", "notes-plain", "notes-port",
    "own-policy", "own-webhook", "owner-gone", "paused", "pdb-of-both", "plain-stays", "pod-label-missing",
    "pod-labels-ignored", "policy-all-ports", "policy-block", "policy-dropped", "policy-peer", "policy-test-outwards",
    "port-deaf", "port-renamed", "post-start", "post-start-goes-on", "priority", "priority-class", "prod-capacity",
    "progress", "pull-policy", "pull-secret", "readiness-late", "redirect-not", "redirect-port", "rendered-anew",
    "role-names", "role-narrow", "role-of-all", "role-view", "rollback-hook", "route-filter", "route-path",
    "route-weight", "rule-dropped", "rule-job", "rule-namespace", "rule-pod", "scaler-metric", "scaler-unread",
    "scaler-wakes-not", "selector-version", "service-anew", "short-prestop", "sidecar-startup", "spread-of-others",
    "spread-of-revisions", "spread-wide", "startup-lenient", "test-dropped", "test-goes-on", "test-left", "test-token",
    "tls-back-port", "tls-mount", "tls-role", "too-big", "two-budgets", "two-scalers", "udp", "variable-twice",
    "version-label", "webhook-nowhere",
})  # fmt: skip
