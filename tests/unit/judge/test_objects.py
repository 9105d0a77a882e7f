"""Pairs of objects, and what their difference means."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import yaml

from scripts.chart.manifests import Document, Identity, Manifests, read_manifests
from scripts.judge.noise import Noise, drawn_fields, drawn_names, steady
from scripts.judge.objects import Scene, judge_objects
from scripts.judge.reason import Reason, highest

SERVED = "{spec: {template: {spec: {serviceAccountName: x}}}}"
POD = {"containers": [{"name": "a", "image": "x/a:1.0.0"}]}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "Job": ("batch/v1", {"spec": {"template": {"spec": {**POD, "restartPolicy": "Never"}}}}),
    "Deployment": (
        "apps/v1",
        {
            "spec": {
                "selector": {"matchLabels": {"a": "b"}},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD},
            }
        },
    ),
    "StorageClass": ("storage.k8s.io/v1", {"provisioner": "p", "parameters": {"type": "a"}}),
    "Service": ("v1", {"spec": {"selector": {"a": "b"}, "ports": [{"name": "http", "port": 80}]}}),
    "Secret": ("v1", {"data": {"a": "YQ=="}}),
    "ConfigMap": ("v1", {"data": {"a": "b"}}),
    "PersistentVolumeClaim": (
        "v1",
        {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}},
    ),
    "ServiceMonitor": ("monitoring.coreos.com/v1", {"spec": {"endpoints": [{"port": "http"}]}}),
    "Gateway": ("gateway.networking.k8s.io/v1", {"spec": {"gatewayClassName": "a"}}),
    "HTTPRoute": (
        "gateway.networking.k8s.io/v1",
        {"spec": {"parentRefs": [{"name": "g"}], "rules": [{"backendRefs": [{"name": "x", "port": 80}]}]}},
    ),
    "Certificate": ("cert-manager.io/v1", {"spec": {"secretName": "tls", "dnsNames": ["a.example"]}}),
    "DaemonSet": ("apps/v1", {"spec": {"template": {"spec": POD}}}),
    "StatefulSet": ("apps/v1", {"spec": {"template": {"spec": POD}}}),
    "CronJob": ("batch/v1", {"spec": {"schedule": "0 1 * * *", "jobTemplate": {"spec": {"template": {"spec": POD}}}}}),
    "Ingress": ("networking.k8s.io/v1", {"spec": {"rules": [{"host": "a.example"}]}}),
    "LimitRange": ("v1", {"spec": {"limits": [{"type": "Container", "max": {"cpu": 2}, "min": {"cpu": 1}}]}}),
    "PodDisruptionBudget": ("policy/v1", {"spec": {"maxUnavailable": 1}}),
    "ResourceQuota": ("v1", {"spec": {"hard": {"memory": "1Gi"}}}),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", {"rules": []}),
    "Role": ("rbac.authorization.k8s.io/v1", {"rules": []}),
    "Namespace": ("v1", {}),
    "PrometheusRule": ("monitoring.coreos.com/v1", {}),
    "NetworkPolicy": (
        "networking.k8s.io/v1",
        {"spec": {"podSelector": {"matchLabels": {"a": "b"}}, "policyTypes": ["Ingress"]}},
    ),
    "CSIDriver": ("storage.k8s.io/v1", {"spec": {}}),
    "ValidatingWebhookConfiguration": (
        "admissionregistration.k8s.io/v1",
        {"webhooks": [{"name": "a", "rules": [{"apiGroups": [""], "resources": ["pods"]}]}]},
    ),
    "ValidatingAdmissionPolicyBinding": ("admissionregistration.k8s.io/v1", {"spec": {"policyName": "a"}}),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", {"roleRef": {"kind": "Role", "name": "a"}}),
    "HorizontalPodAutoscaler": (
        "autoscaling/v2",
        {"spec": {"metrics": [{"type": "Resource"}, {"type": "Pods"}], "behavior": {"scaleDown": {"policies": []}}}},
    ),
    "PriorityClass": ("scheduling.k8s.io/v1", {"value": 5}),
    "ServiceAccount": ("v1", {}),
    "ResourceClaimTemplate": ("resource.k8s.io/v1", {}),
    "PodMonitor": ("monitoring.coreos.com/v1", {}),
    "Cluster": ("postgresql.cnpg.io/v1", {}),
    "PersistentVolume": ("v1", {}),
    "ScaledObject": ("keda.sh/v1alpha1", {}),
    "ReferenceGrant": (
        "gateway.networking.k8s.io/v1beta1",
        {"spec": {"from": [{"namespace": "a"}], "to": [{"kind": "Service"}]}},
    ),
}
_GATHERED = (
    "{metadata: {labels: {rbac.authorization.k8s.io/aggregate-to-%s}},"
    " rules: [{apiGroups: [x.io], resources: [xs], verbs: [get]}]}"
)
_NODES = "{spec: {nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: k, values: [%s]}]}]}}}}"
_NODE_PORT = "{spec: {type: NodePort, ports: [{port: 80, name: %s, %s}]}}"
_BALANCED = "{spec: {type: %s}, metadata: {annotations: %s}}"
_BOUND = "{spec: {validationActions: [%s], matchResources: {namespaceSelector: %s}}}"
_DEFAULT = "{metadata: {annotations: {storageclass.kubernetes.io/is-default-class: '%s'}}}"
_MET = "rules: [{apiGroups: [''], resources: [pods]}], matchConditions: %s"
_ABOUT = "rules: [{apiGroups: [''], resources: [%s}]"
_ASKED = "{%s, rules: [{apiGroups: [''], resources: [pods]}]}"


def make(kind: str, *, name: str = "x", changes: str = "{}", **metadata: Any) -> Document:
    """An object of `kind`, with `changes` (YAML) laid over it."""
    api, body = KINDS[kind]
    data = merged(
        {"apiVersion": api, "kind": kind, "metadata": {"name": name, **metadata}, **body}, yaml.safe_load(changes)
    )
    return Document(data)


def merged(base: Any, over: Any) -> Any:
    """`over` laid over `base`; null takes away."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    both = {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}
    return {key: value for key, value in both.items() if value is not None}


def judge(old: list[Document], new: list[Document], **scene: Any) -> list[Reason]:
    """The reasons of the step."""
    return list(judge_objects(Manifests(tuple(old)), Manifests(tuple(new)), Scene(**scene)))


@pytest.mark.parametrize(
    ("kind", "changes", "level"),
    [
        ("Job", "{spec: {template: {metadata: {labels: {helm.sh/chart: x-2}}}}}", "major"),
        ("Job", "{spec: {ttlSecondsAfterFinished: 5}}", "patch"),
        ("ResourceQuota", "{spec: {scopes: [BestEffort]}}", "major"),
        ("ResourceQuota", "{spec: {scopes: []}}", "none"),
        ("Service", "{spec: {internalTrafficPolicy: Local}}", "major"),
        ("Job", "{spec: {backoffLimit: 6}}", "none"),
        ("Deployment", "{spec: {replicas: 1}}", "none"),
        ("Deployment", "{spec: {replicas: 2}}", "minor"),
        ("Deployment", "{spec: {strategy: {type: Recreate}}}", "major"),
        ("Deployment", "{spec: {template: {metadata: {labels: {helm.sh/chart: x-2}}}}}", "patch"),
        ("StorageClass", "{reclaimPolicy: Delete}", "none"),
        ("StorageClass", "{reclaimPolicy: Retain}", "major"),
        ("StorageClass", "{parameters: {type: b}}", "major"),
        ("StorageClass", "{allowVolumeExpansion: true}", "minor"),
        ("Service", "{spec: {type: ClusterIP}}", "none"),
        ("Service", "{spec: {type: NodePort}}", "minor"),
        ("Service", "{spec: {clusterIP: None}}", "major"),
        ("Service", "{spec: {ports: [{name: http, port: 80, protocol: UDP}]}}", "major"),
        ("Service", "{spec: {ports: [{name: http, port: 80, targetPort: 80}]}}", "none"),
        ("Service", "{spec: {ports: [{name: http, port: 80, targetPort: 8080}]}}", "patch"),
        ("Service", "{metadata: {annotations: {a: b}}}", "minor"),
        ("Secret", "{type: Opaque}", "none"),
        ("Secret", "{type: kubernetes.io/tls}", "major"),
        ("ConfigMap", "{data: {a: c}}", "minor"),
        ("ConfigMap", "{metadata: {annotations: {a: b}}}", "patch"),
        ("PersistentVolumeClaim", "{spec: {resources: {requests: {storage: 2048Mi}}}}", "none"),
        ("PersistentVolumeClaim", "{spec: {resources: {requests: {storage: 2097152Ki}}}}", "none"),
        ("Secret", "{data: null, stringData: {a: a}}", "none"),
        ("Secret", "{stringData: {a: b}}", "minor"),
        ("Deployment", "{spec: {template: {spec: {containers: [{name: a, image: 'docker.io/x/a:1.0.0'}]}}}}", "patch"),
        ("Deployment", "{spec: {template: {spec: {containers: [{name: a, image: 'x.io/x/a:1.0.0'}]}}}}", "minor"),
        ("ResourceQuota", "{spec: {hard: {memory: 1024Mi}}}", "none"),
        ("ResourceQuota", "{spec: {hard: {memory: 2Gi}}}", "minor"),
        ("ResourceQuota", "{spec: {hard: {memory: 1G}}}", "major"),
        ("ResourceQuota", "{spec: {hard: {pods: 5}}}", "major"),
        ("ResourceQuota", "{spec: {hard: null}}", "minor"),
        ("HTTPRoute", "{spec: {hostnames: [a.example]}}", "major"),
        ("HTTPRoute", "{spec: {rules: [{backendRefs: [{name: x, port: 81}]}]}}", "minor"),
        ("Gateway", "{spec: {gatewayClassName: b}}", "major"),
        ("ClusterRole", "{aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}}", "minor"),
        ("Namespace", "{metadata: {labels: {istio-injection: enabled}}}", "minor"),
        ("Namespace", "{metadata: {labels: {team: edge}}}", "patch"),
        ("PersistentVolumeClaim", "{spec: {resources: {requests: {storage: 1Gi}}}}", "major"),
        ("PersistentVolumeClaim", "{spec: {resources: {requests: {storage: 4Gi}}}}", "minor"),
        ("PersistentVolumeClaim", "{spec: {storageClassName: fast}}", "major"),
        ("PriorityClass", "{value: 6}", "major"),
        ("PriorityClass", "{description: words}", "minor"),
        ("Deployment", "{spec: {replicas: 0}}", "major"),
        ("Deployment", "{spec: {strategy: {rollingUpdate: {maxUnavailable: 100%}}}}", "major"),
        ("Deployment", "{spec: {strategy: {rollingUpdate: {maxUnavailable: 50%}}}}", "minor"),
        ("PodDisruptionBudget", "{spec: {maxUnavailable: 0}}", "major"),
        ("PodDisruptionBudget", "{spec: {maxUnavailable: 50%}}", "minor"),
        ("CronJob", "{spec: {suspend: true}}", "major"),
        ("CronJob", "{spec: {schedule: 0 2 * * *}}", "minor"),
        ("Certificate", "{spec: {secretName: other}}", "major"),
        ("Certificate", "{spec: {dnsNames: [a.example, b.example]}}", "minor"),
        ("LimitRange", "{spec: {limits: [{type: Container, max: {cpu: 1}, min: {cpu: 1}}]}}", "major"),
        ("LimitRange", "{spec: {limits: [{type: Container, max: {cpu: 3}, min: {cpu: 1}}]}}", "minor"),
        ("LimitRange", "{spec: {limits: [{type: Container, max: {cpu: 2}, min: {cpu: 2}}]}}", "major"),
        ("LimitRange", "{spec: {limits: [{type: Container, max: {cpu: 2}, min: {cpu: 500m}}]}}", "minor"),
        ("Ingress", "{spec: {ingressClassName: nginx}}", "major"),
        ("Service", "{spec: {ipFamilyPolicy: RequireDualStack}}", "major"),
        ("Service", "{spec: {ipFamilyPolicy: PreferDualStack}}", "minor"),
        ("StatefulSet", "{spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain}}}", "none"),
        ("StatefulSet", "{spec: {persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}}}", "major"),
        ("StatefulSet", "{spec: {updateStrategy: {type: OnDelete}}}", "major"),
        ("StatefulSet", "{spec: {updateStrategy: {rollingUpdate: {partition: 1}}}}", "major"),
    ],
)
def test_a_change_of_one_object(kind: str, changes: str, level: str) -> None:
    levels = {reason.level for reason in judge([make(kind)], [make(kind, changes=changes)])}
    assert levels == (set() if level == "none" else {level})


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        ("password", "pass", "major"),  # people, and other charts, read it by that
        ("redis-password", "redis-pass", "major"),
        ("tls.key", "key.tls", "major"),
        ("config.yaml", "settings.yaml", "minor"),
        ("DB_PASSWORD", "DATABASE_PASSWORD", "minor"),
    ],
)
def test_another_key_of_a_secret(old: str, new: str, level: str) -> None:
    sides = [[make("Secret", changes=f"{{data: {{a: null, {key}: YQ==}}}}")] for key in (old, new)]
    assert highest(reason.level for reason in judge(*sides)) == level


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        (
            "{annotations: {kubernetes.io/ingress.class: nginx}}, spec: {}",
            "{}, spec: {ingressClassName: nginx}",
            "patch",
        ),
        ("{annotations: {kubernetes.io/ingress.class: nginx}}, spec: {}", "{}, spec: {ingressClassName: b}", "major"),
        ("{annotations: {kubernetes.io/ingress.class: nginx}}, spec: {}", "{}, spec: {}", "major"),
    ],
)
def test_the_class_of_an_ingress_by_field_or_annotation(old: str, new: str, level: str) -> None:
    sides = [[make("Ingress", changes=f"{{metadata: {side}}}")] for side in (old, new)]
    assert highest(reason.level for reason in judge(*sides)) == level


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        ("[{path: {value: /}}]", "[{path: {value: /api}}]", "major"),
        ("[{path: {value: /api}}]", "[{path: {value: /}}]", "minor"),
        ("[{path: {value: /api}}]", "[{path: {value: /api}}, {path: {value: /b}}]", "minor"),
        ("[{path: {value: /api}}, {path: {value: /b}}]", "[{path: {value: /api}}]", "major"),
        ("[{path: {value: /a}}]", "[{path: {value: /a, type: Exact}}]", "major"),
        ("[{path: {value: /a, type: Exact}}]", "[{path: {value: /a}}]", "minor"),
        ("[{path: {value: /ab}}]", "[{path: {value: /a}}]", "major"),
        ("[{path: {value: /a}}]", "[{path: {value: /a}, method: GET}]", "major"),
        ("[{path: {value: /a}, method: GET}]", "[{path: {value: /a}}]", "minor"),
        ("null", "[{headers: [{name: a, value: b}]}]", "major"),
    ],
)
def test_what_an_http_route_matches(old: str, new: str, level: str) -> None:
    rules = "{{spec: {{rules: [{{backendRefs: [{{name: x, port: 80}}], matches: {}}}]}}}}"
    sides = [[make("HTTPRoute", changes=rules.format(side))] for side in (old, new)]
    assert {reason.level for reason in judge(*sides)} == {level}


@pytest.mark.parametrize(
    ("key", "value", "level"),
    [("port", "8080", "major"), ("hostname", "null", "minor"), ("tls", "{certificateRefs: [{name: b}]}", "minor")],
)
def test_a_listener_of_a_gateway(key: str, value: str, level: str) -> None:
    listener = "name: a, port: 80, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: a}]}"
    changed = ", ".join(f"{key}: {value}" if part.startswith(f"{key}:") else part for part in listener.split(", "))
    sides = [[make("Gateway", changes=f"{{spec: {{listeners: [{{{side}}}]}}}}")] for side in (listener, changed)]
    assert {reason.level for reason in judge(*sides)} == {level}


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        ("", "kinds: [{kind: GRPCRoute}]", "major"),
        ("", "kinds: [{kind: GRPCRoute}, {kind: HTTPRoute}]", "minor"),
        ("kinds: [{kind: GRPCRoute}]", "", "minor"),
        ("kinds: [{kind: GRPCRoute}]", "kinds: [{kind: HTTPRoute}, {kind: GRPCRoute}]", "minor"),
        ("kinds: [{kind: GRPCRoute}, {kind: HTTPRoute}]", "kinds: [{kind: HTTPRoute}]", "major"),
        ("namespaces: {from: Same}", "namespaces: {from: All}", "minor"),
        ("namespaces: {from: All}", "", "major"),
        ("", "namespaces: {from: None}", "major"),
        ("", "namespaces: {from: Selector, selector: {matchLabels: {a: b}}}", "major"),
        (
            "namespaces: {from: Selector, selector: {matchLabels: {a: b}}}",
            "namespaces: {from: Selector, selector: {}}",
            "minor",
        ),
    ],
)
def test_the_routes_that_a_listener_takes(old: str, new: str, level: str) -> None:
    listener = "{{spec: {{listeners: [{{name: a, port: 80, protocol: HTTP, allowedRoutes: {{{0}}}}}]}}}}"
    (reason,) = judge(*([make("Gateway", changes=listener.format(side))] for side in (old, new)))
    assert (reason.level, reason.about) == (level, "Gateway/x spec.listeners[a].allowedRoutes")


@pytest.mark.parametrize(
    ("metrics", "old", "new", "lacking"),
    [
        ("", "{requests: {cpu: 1}}", "{requests: {memory: 1}}", ["requests.cpu of c"]),
        ("", "{requests: {cpu: 1}}", "{limits: {cpu: 1}}", []),
        ("", "{}", "{}", []),  # it never scaled
        ("{name: memory, target: {averageUtilization: 80}}", "{requests: {memory: 1}}", "{}", ["requests.memory of c"]),
        ("{name: memory, target: {averageValue: 80}}", "{requests: {memory: 1}}", "{}", []),
        ("{name: cpu, container: d, target: {averageUtilization: 80}}", "{requests: {cpu: 1}}", "{}", []),
    ],
)
def test_a_scaler_by_share_of_what_is_not_asked_for(metrics: str, old: str, new: str, lacking: list[str]) -> None:
    listed = f"[{{type: Resource, resource: {metrics}}}]" if metrics else "null"
    spec = f"{{scaleTargetRef: {{kind: Deployment, name: x}}, metrics: {listed}}}"
    scaler = make("HorizontalPodAutoscaler", changes=f"{{spec: {spec}}}")
    pods = "{{spec: {{template: {{spec: {{containers: [{{name: c, image: a, resources: {0}}}]}}}}}}}}"
    sides = [[scaler, make("Deployment", changes=pods.format(side))] for side in (old, new)]
    assert [one.new for one in judge(*sides) if one.about == "HorizontalPodAutoscaler/x spec.metrics"] == lacking


@pytest.mark.parametrize(
    ("pod", "lacking"),
    [
        ("initContainers: [{name: i, image: a}]", []),
        ("initContainers: [{name: i, image: a, restartPolicy: Always}]", ["requests.cpu of i"]),  # as long as the pod
        ("containers: [{name: c, image: a}], resources: {requests: {cpu: 1}}", []),
        ("resources: {requests: {memory: 1}}", ["requests.cpu of the pod"]),
    ],
)
def test_a_scaler_by_share_goes_by_all_that_runs_and_by_the_pod_first(pod: str, lacking: list[str]) -> None:
    spec = "{scaleTargetRef: {kind: Deployment, name: x}, metrics: null}"
    scaler = make("HorizontalPodAutoscaler", changes=f"{{spec: {spec}}}")
    asking = {"containers": [{"name": "c", "image": "a", "resources": {"requests": {"cpu": 1}}}]}
    specs = (asking, {**asking, **yaml.safe_load(f"{{{pod}}}")})
    sides = [[scaler, make("Deployment", changes=json.dumps({"spec": {"template": {"spec": one}}}))] for one in specs]
    assert [one.new for one in judge(*sides) if one.about == f"{scaler.identity} spec.metrics"] == lacking


def test_an_object_that_says_its_namespace_is_the_same() -> None:
    assert judge([make("ConfigMap")], [make("ConfigMap", namespace="here")], namespace="here") == []
    (moved,) = judge([make("ConfigMap")], [make("ConfigMap", namespace="there")], namespace="here")
    assert (moved.level, moved.meaning[:6]) == ("major", "moved:")


def test_a_group_that_moved_is_the_same_object() -> None:
    old = make("Deployment", changes="{apiVersion: extensions/v1beta1}")
    assert [(one.level, one.about) for one in judge([old], [make("Deployment")])] == [
        ("patch", "Deployment/x apiVersion")
    ]


def test_a_name_after_the_content_is_no_other_object() -> None:
    (reason,) = judge([make("ConfigMap", name="x-0a1b2c3d")], [make("ConfigMap", name="x-9f8e7d6c")])
    assert reason.level == "patch"


def test_a_job_of_a_drawn_name_is_another_one_each_time() -> None:
    jobs = [make("Job", name="x-*", changes=f"{{spec: {{template: {{spec: {{hostname: {one}}}}}}}}}") for one in "ab"]
    assert [reason.level for reason in judge(jobs[:1], jobs[1:])] == ["minor"]


@pytest.mark.parametrize(("image", "levels"), [("a:1.0.0", ["patch"]), ("a:1.0.1", ["patch", "patch"])])
def test_a_job_that_goes_by_itself_may_change(image: str, levels: list[str]) -> None:
    def once(version: str, image: str) -> Document:
        template = (
            f"metadata: {{labels: {{helm.sh/chart: {version}}}}}, spec: {{containers: [{{name: a, image: '{image}'}}]}}"
        )
        return make("Job", changes=f"{{spec: {{ttlSecondsAfterFinished: 9, template: {{{template}}}}}}}")

    found = judge([once("x-1.0.0", "a:1.0.0")], [once("x-1.0.1", image)], noise=Noise((("1.0.0", "1.0.1"),)))
    assert [reason.level for reason in found] == levels


def test_a_job_that_went_has_done_its_work() -> None:
    assert [one.level for one in judge([make("Job")], [])] == ["minor"]
    assert [one.level for one in judge([make("Job", name="x-1-0-0")], [make("Job", name="x-1-1-0")])] == ["patch"]
    assert [one.level for one in judge([make("CronJob")], [])] == ["major"]


@pytest.mark.parametrize(
    ("labels", "more", "level"),
    [("{a: b}", "apps/v1", "major"), ("{a: c}", "apps/v1", "patch"), ("{a: c}", "x.io/v1", "major")],
    ids=["selects a pod", "selects none", "may select an operator's"],
)
def test_a_policy_about_no_pod_that_went(labels: str, more: str, level: str) -> None:
    workload = make("Deployment", changes="{spec: {template: {metadata: {labels: {a: b}}}}}")
    other = Document({"apiVersion": more, "kind": "Cluster", "metadata": {"name": "x"}})
    policy = make("NetworkPolicy", changes=f"{{spec: {{podSelector: {{matchLabels: {labels}}}}}}}")
    budget = make("PodDisruptionBudget", changes=f"{{spec: {{selector: {{matchLabels: {labels}}}}}}}")
    for gone in (policy, budget):
        assert [one.level for one in judge([workload, other, gone], [workload, other])] == [level]


@pytest.mark.parametrize(
    ("key", "old", "new", "level"),
    [
        ("image", "a/cluster:8.4.7-7.1", "a/cluster:8.4.8-8.1", "patch"),
        ("sidecarImage", "a/cluster:8.4.7", "a/cluster:9.0.0", "major"),
        ("pooler_image", "a.io:5000/b/c:v1.0.0", "a.io:5000/b/c:v1.1.0", "minor"),
        ("image", "8.4.7", "8.4.8", "minor"),
    ],
)
def test_an_image_that_an_operator_is_told_is_judged_as_one(key: str, old: str, new: str, level: str) -> None:
    sides = [
        Document({"apiVersion": "x.io/v1", "kind": "Cluster", "metadata": {"name": "x"}, "spec": {"db": {key: side}}})
        for side in (old, new)
    ]
    assert [one.level for one in judge([sides[0]], [sides[1]])] == [level]


_POD = "{spec: {template: {spec: {containers: [{name: a, image: 'x/a:1.0.0', %s}]}}}}"
_PORTS = "ports: [{name: u, containerPort: 1, protocol: UDP}, {name: d, containerPort: 1}], "
_IN_B = "{key: a, operator: In, values: [b]}"


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("Deployment", "{}", "{spec: {template: {spec: {shareProcessNamespace: false, serviceAccountName: default}}}}"),
        ("Deployment", "{spec: {template: {spec: {tolerations: [{key: a}, {key: b, value: c}]}}}}",
         "{spec: {template: {spec: {tolerations: [{key: b, value: c, operator: Equal}, {key: a}]}}}}"),
        *(("Deployment", _POD % old, _POD % new)
          for old, new in (
              ("env: [{name: A, value: ''}]", "env: [{name: A}]"),
              ("env: [{name: A, valueFrom: {fieldRef: {fieldPath: p}}}]",
               "env: [{name: A, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: p}}}]"),
              ("resources: {limits: {cpu: 1}}", "resources: {limits: {cpu: 1000m}, requests: {cpu: '1'}}"),
              ("env: [{name: A, valueFrom: {resourceFieldRef: {resource: a}}}]",
               "env: [{name: A, valueFrom: {resourceFieldRef: {resource: a, divisor: '0'}}}]"),
              ("tty: false", "securityContext: {privileged: false}"),
              ("livenessProbe: {grpc: {port: 1}}", "livenessProbe: {grpc: {port: 1, service: ''}}"),
              *((_PORTS + f"livenessProbe: {{{how}: {{port: d}}}}", _PORTS + f"livenessProbe: {{{how}: {{port: 1}}}}")
                for how in ("httpGet", "tcpSocket")),
          )),
        ("Deployment", "{}", "{spec: {template: {spec: {automountServiceAccountToken: true}}}}"),
        ("CronJob", "{}", "{spec: {jobTemplate: {spec: {backoffLimit: 6, completions: 1}}}}"),
        ("StatefulSet", "{spec: {volumeClaimTemplates: [{spec: {resources: {requests: {storage: 1Gi}}}}]}}",
         "{spec: {volumeClaimTemplates: [{spec: {resources: {requests: {storage: 1024Mi}}}}]}}"),
        ("ConfigMap", "{}", "{immutable: false}"),
        ("Service", "{}", "{spec: {clusterIP: '', ipFamilyPolicy: SingleStack}}"),
        ("Service", "{spec: {sessionAffinity: ClientIP}}",
         "{spec: {sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 10800}}}}"),
        ("Service", "{spec: {loadBalancerSourceRanges: [a, b]}}", "{spec: {loadBalancerSourceRanges: [b, a]}}"),
        ("Ingress", "{spec: {tls: [{secretName: a}, {secretName: b}]}}",
         "{spec: {tls: [{secretName: b}, {secretName: a}]}}"),
        ("Ingress", "{spec: {tls: [{hosts: [a, b]}]}}", "{spec: {tls: [{hosts: [b, a]}]}}"),
        ("HTTPRoute", "{spec: {hostnames: [a, b]}}", "{spec: {hostnames: [b, a]}}"),
        ("HTTPRoute", "{}", "{spec: {parentRefs: [{kind: Gateway, name: g}],"
         " rules: [{backendRefs: [{group: '', kind: Service, name: x, port: 80, weight: 1}]}]}}"),
        *(("HTTPRoute", "{}", f"{{spec: {{rules: [{{matches: [{match}], backendRefs: [{{name: x, port: 80}}]}}]}}}}")
          for match in ("{}", "{path: {value: /}}", "{path: {type: PathPrefix, value: /}}")),
        ("NetworkPolicy", "{}", "{spec: {podSelector: {matchLabels: null, matchExpressions: [" + _IN_B + "]}}}"),
        ("ValidatingWebhookConfiguration", "{webhooks: [{name: a, objectSelector: {matchLabels: {a: b}}}]}",
         "{webhooks: [{name: a, objectSelector: {matchExpressions: [" + _IN_B + "]}}]}"),
        ("Certificate", "{spec: {dnsNames: [a, b]}}", "{spec: {dnsNames: [b, a]}}"),
        ("LimitRange", "{}", "{spec: {limits: [{type: Container, max: {cpu: 2000m}, min: {cpu: '1'}}]}}"),
        ("CSIDriver", "{}", "{spec: {attachRequired: true, volumeLifecycleModes: [Persistent]}}"),
        ("StorageClass", "{}", "{allowVolumeExpansion: false}"),
        ("RoleBinding", "{}", "{roleRef: {apiGroup: rbac.authorization.k8s.io}}"),
        ("HorizontalPodAutoscaler", "{}", "{spec: {metrics: [{type: Pods}, {type: Resource}],"
         " behavior: {scaleDown: {selectPolicy: Max, stabilizationWindowSeconds: 300}}}}"),
        ("ValidatingWebhookConfiguration", "{}", "{webhooks: [{name: a, failurePolicy: Fail, matchPolicy: Equivalent,"
         " timeoutSeconds: 10, rules: [{apiGroups: [''], resources: [pods], scope: '*'}]}]}"),
    ],
)  # fmt: skip
def test_what_the_api_server_writes_anyway_is_no_change(kind: str, old: str, new: str) -> None:
    before, after = make(kind, changes=old), make(kind, changes=new)
    assert [*judge([before], [after]), *judge([after], [before])] == []


@pytest.mark.parametrize(
    ("kind", "old", "new", "level"),
    [
        ("ConfigMap", "{data: {a: ''}}", "{data: {a: null}}", "minor"),
        ("Deployment", "{}", "{spec: {template: {spec: {enableServiceLinks: false}}}}", "minor"),
        *(("Job", "{}", f"{{spec: {{template: {{spec: {{{field}: {value}}}}}}}}}", "major")  # refused
          for field, value in (("shareProcessNamespace", "false"), ("automountServiceAccountToken", "true"))),
        ("PersistentVolumeClaim", "{}", "{spec: {storageClassName: ''}}", "major"),
        ("StatefulSet", "{}", "{spec: {ordinals: {start: 1}}}", "major"),
        ("DaemonSet", "{spec: {updateStrategy: {rollingUpdate: {maxUnavailable: 2}}}}",
         "{spec: {updateStrategy: {rollingUpdate: {maxUnavailable: 3}}}}", "minor"),
        ("ResourceClaimTemplate", "{}", "{spec: {spec: {devices: {requests: [{name: a}]}}}}", "major"),
        ("Cluster", "{spec: {imageName: 'a/b:1.0.0'}}", "{spec: {imageName: 'a/b:2.0.0'}}", "major"),
        ("Deployment", "{}", "{spec: {paused: true}}", "major"),
        ("Deployment", "{}", "{spec: {selector: {matchLabels: null, matchExpressions: [" + _IN_B + "]}}}", "major"),
        ("Deployment", "{spec: {replicas: 2}}",
         "{spec: {replicas: 2, strategy: {rollingUpdate: {maxUnavailable: 2}}}}", "major"),
        ("Deployment", "{spec: {replicas: 2, strategy: {rollingUpdate: {maxUnavailable: 2}}}}",
         "{spec: {replicas: 2, strategy: {rollingUpdate: {maxUnavailable: 3}}}}", "none"),
        ("Deployment", "{spec: {replicas: 3}}",
         "{spec: {replicas: 3, strategy: {rollingUpdate: {maxUnavailable: 2}}}}", "minor"),
        ("Deployment", _POD % "ports: [{name: a, containerPort: 1, hostPort: 1}]",
         _POD % "ports: [{name: a, containerPort: 1}]", "major"),
        ("Deployment", "{spec: {template: {spec: {initContainers: [{name: b}, {name: c}]}}}}",
         "{spec: {template: {spec: {initContainers: [{name: c}, {name: b}]}}}}", "minor"),
        ("PodDisruptionBudget", "{}", "{spec: {maxUnavailable: 100%}}", "major"),
        *(("ValidatingAdmissionPolicyBinding", _BOUND % (action, before), _BOUND % (action, after), level)
          for action, before, after, level in (
              ("Deny", "{matchLabels: {a: b}}", "{}", "major"),
              ("Deny", "{}", "{matchLabels: {a: b}}", "minor"),
              ("Audit", "{matchLabels: {a: b}}", "{}", "minor"),
          )),
        ("ValidatingWebhookConfiguration", "{webhooks: [{name: a, failurePolicy: Ignore}]}",
         "{webhooks: [{name: a}]}", "major"),
        *(("ValidatingWebhookConfiguration", "{}", f"{{webhooks: [{hook}]}}", level)
          for hook, level in (
              ("{name: a, rules: [{apiGroups: [''], resources: [pods, secrets]}]}", "major"),
              ("{name: a, failurePolicy: Ignore, rules: [{apiGroups: [''], resources: [pods, secrets]}]}", "minor"),
              ("{name: a, rules: [{apiGroups: [''], resources: [pods]}, {apiGroups: [x.io]}]}", "minor"),
              ("{name: a, rules: [{apiGroups: [''], resources: [pods]}, {apiGroups: []}]}", "minor"),
          )),
        ("ValidatingWebhookConfiguration", f"{{webhooks: [{_ASKED % 'name: a, sideEffects: None'}]}}",
         f"{{webhooks: [{_ASKED % 'name: b, sideEffects: None'}]}}", "minor"),
        *(("ValidatingWebhookConfiguration", f"{{webhooks: [{_ASKED % ('name: a, ' + key)}]}}", "{}", level)
          for key, level in (
              ("namespaceSelector: {matchLabels: {a: b}}", "major"),
              ("objectSelector: {matchLabels: {a: b}}", "major"),
              ("matchConditions: [{name: a, expression: b}]", "major"),
              ("admissionReviewVersions: [v1]", "major"),  # the API server takes none without
          )),
        *(("ValidatingWebhookConfiguration", f"{{webhooks: [{_ASKED % 'name: a, admissionReviewVersions: [v1]'}]}}",
           f"{{webhooks: [{_ASKED % ('name: a, ' + key)}]}}", level)
          for key, level in (
              ("admissionReviewVersions: [v1beta1, v1]", "minor"),
              ("admissionReviewVersions: [v2]", "major"),
              ("namespaceSelector: {}, objectSelector: {matchLabels: {a: b}}, admissionReviewVersions: [v1]", "minor"),
          )),
        *(("ValidatingWebhookConfiguration", f"{{webhooks: [{{name: a, {old}}}]}}",
           f"{{webhooks: [{{name: a, {new}}}]}}", level)
          for old, new, level in (
              (_MET % "[{name: b, expression: c}]", _MET % "[{name: b, expression: c}]", "none"),
              (_MET % "[{name: b, expression: c}]", _MET % "[{name: b, expression: c}, {name: d}]", "minor"),
              (_MET % "[{name: b, expression: c}]", _MET % "[{name: b, expression: d}]", "major"),
              (_ABOUT % "'*'], operations: ['*']", _ABOUT % "'*'], operations: [CREATE]", "minor"),
              (_ABOUT % "'*'], operations: [CREATE]", _ABOUT % "'*'], operations: [CREATE, DELETE]", "major"),
              (_ABOUT % "'*']", _ABOUT % "pods]", "minor"),
              (_ABOUT % "'*']", _ABOUT % "pods/log]", "major"),  # "*" is no part of any
              (_ABOUT % "'*/*']", _ABOUT % "pods/log]", "minor"),
              (_ABOUT % "'*'], scope: Namespaced", _ABOUT % "'*']", "major"),
              (_ABOUT % "'*']", _ABOUT % "'*'], scope: Namespaced", "minor"),
              (_ABOUT % "pods], scope: Namespaced", _ABOUT % "pods]", "minor"),  # which are nowhere else
          )),
        *(("ClusterRole", _GATHERED % old, _GATHERED % new, level)
          for old, new, level in (
              ("edit: 'true'", "other: 'false'", "major"),
              ("other: 'false'", "edit: 'true'", "minor"),
              ("edit: 'true'", "edit: 'false'", "major"),
              ("view: 'true'", "edit: 'true'", "major"),  # who holds view
              ("edit: 'true'", "view: 'true'", "minor"),
              ("monitoring: 'true'", "other: 'false'", "major"),  # a role of somebody else's making
          )),
        ("Secret", "{metadata: {annotations: {kubernetes.io/service-account.name: a}}}",
         "{metadata: {annotations: {kubernetes.io/service-account.name: b}}}", "major"),
        ("PersistentVolume", "{}", "{spec: {nodeAffinity: {a: b}}}", "minor"),
        ("StatefulSet", "{}", "{spec: {ordinals: {start: 0}}}", "none"),
        ("PersistentVolume", "{spec: {nodeAffinity: {a: b}}}", "{spec: {nodeAffinity: {a: c}}}", "major"),
        ("PersistentVolume", "{spec: {nodeAffinity: {a: b}}}", "{}", "major"),
        ("PersistentVolume", _NODES % "a, b", _NODES % "b, a", "major"),  # compared as they are, in their order
        ("Service", "{spec: {healthCheckNodePort: 30000}}", "{spec: {healthCheckNodePort: 30001}}", "major"),
        ("Service", "{spec: {healthCheckNodePort: 30000}}", "{}", "minor"),
        ("Service", "{}", "{spec: {clusterIP: 10.0.0.9}}", "major"),
        ("Service", "{spec: {clusterIP: 10.0.0.9}}", "{}", "minor"),
        *(("Service", _NODE_PORT % ("a", "nodePort: 30080"), _NODE_PORT % new, level)
          for new, level in (
              (("a", "targetPort: 80"), "minor"),  # kept by the port's name
              (("b", "targetPort: 80"), "major"),
              (("a", "nodePort: 30081"), "major"),
          )),
        ("HTTPRoute", "{spec: {hostnames: [a.b]}}", "{spec: {hostnames: ['*.b']}}", "minor"),
        ("HTTPRoute", "{spec: {hostnames: [c.a.b]}}", "{spec: {hostnames: ['*.b']}}", "minor"),
        *(("Ingress", f"{{spec: {{tls: [{{hosts: [{old}]}}]}}}}", "{spec: {tls: [{hosts: ['*.b']}]}}", level)
          for old, level in (("a.b", "minor"), ("c.a.b", "major"))),
        *(("Service", _BALANCED % (kind, old), _BALANCED % (kind, new), level)
          for kind, old, new, level in (
              ("LoadBalancer", "{}", "{service.beta.kubernetes.io/aws-load-balancer-internal: 'true'}", "major"),
              ("LoadBalancer", "{}", "{networking.gke.io/load-balancer-type: Internal}", "major"),
              ("LoadBalancer", "{service.beta.kubernetes.io/aws-load-balancer-scheme: internal}",
               "{service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing}", "major"),
              ("LoadBalancer", "{}", "{service.beta.kubernetes.io/aws-load-balancer-type: nlb}", "minor"),
              ("ClusterIP", "{}", "{service.beta.kubernetes.io/aws-load-balancer-internal: 'true'}", "minor"),
          )),
        *(("Deployment", "{}", f"{{spec: {{template: {{metadata: {{annotations: {{{key}}}}}}}}}}}", level)
          for key, level in (
              ("vault.hashicorp.com/agent-inject: 'true'", "minor"),
              ("cluster-autoscaler.kubernetes.io/safe-to-evict: 'false'", "minor"),
              ("kubectl.kubernetes.io/default-container: a", "patch"),
              ("rollme: a", "patch"),
              ("checksum/config: a", "patch"),
          )),
        ("ScaledObject", "{spec: {scaleTargetRef: {name: a}}}",
         "{spec: {scaleTargetRef: {kind: Deployment, name: a}}}", "none"),
        ("ScaledObject", "{spec: {scaleTargetRef: {name: a}}}",
         "{spec: {scaleTargetRef: {kind: StatefulSet, name: a}}}", "major"),
        ("HorizontalPodAutoscaler",
         "{apiVersion: autoscaling/v1, spec: {metrics: null, targetCPUUtilizationPercentage: 8}}",
         "{spec: {metrics: [{type: Resource, resource: {name: cpu,"
         " target: {type: Utilization, averageUtilization: 8}}}]}}", "patch"),
        ("HorizontalPodAutoscaler", "{spec: {scaleTargetRef: {kind: Deployment, name: a}}}",
         "{spec: {scaleTargetRef: {kind: Deployment, name: b}}}", "major"),
        ("HorizontalPodAutoscaler", "{spec: {behavior: null}}",
         "{spec: {behavior: {scaleDown: {policies: [{type: Percent, value: 100, periodSeconds: 15}]}}}}", "none"),
        ("HTTPRoute", "{spec: {hostnames: [a.b]}}", "{spec: {hostnames: null}}", "minor"),
        ("HTTPRoute", "{spec: {parentRefs: [{name: g, sectionName: s}]}}", "{}", "minor"),
        ("StorageClass", _DEFAULT % "true", _DEFAULT % "false", "major"),
        ("Job", "{}", "{spec: {suspend: true}}", "major"),
        ("Job", "{spec: {suspend: true}}", "{}", "minor"),
        ("ScaledObject", "{}", "{metadata: {annotations: {autoscaling.keda.sh/paused: 'true'}}}", "major"),
        ("ScaledObject", "{}", "{metadata: {annotations: {autoscaling.keda.sh/paused: 'false'}}}", "patch"),
        ("StorageClass", _DEFAULT % "false", _DEFAULT % "true", "minor"),
        ("Deployment", "{spec: {template: {spec: {hostNetwork: true}}}}", "{}", "major"),
        ("ReferenceGrant", "{spec: {from: [{namespace: a}, {namespace: b}]}}", "{}", "major"),
        ("ReferenceGrant", "{}", "{spec: {to: [{kind: Service, name: x}]}}", "major"),
        ("ReferenceGrant", "{}", "{spec: {from: [{namespace: a}, {namespace: b}]}}", "minor"),
    ],
)  # fmt: skip
def test_what_means_something_else(kind: str, old: str, new: str, level: str) -> None:
    assert highest(one.level for one in judge([make(kind, changes=old)], [make(kind, changes=new)])) == level


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        ("host: a.b, path: /x, pathType: Exact", "host: a.b, path: /, pathType: Prefix", "minor"),
        ("host: a.b, path: /, pathType: Prefix", "host: a.b, path: /x, pathType: Prefix", "major"),
        ("host: a.b, path: /x, pathType: Prefix", "host: a.b, path: /x/, pathType: Prefix", "none"),
        ("host: a.b, path: /x, pathType: Prefix", "host: a.b, path: /xy, pathType: Prefix", "major"),
        ("host: a.b, path: /, pathType: Prefix", "host: '*.b', path: /, pathType: Prefix", "minor"),
        ("host: c.a.b, path: /, pathType: Prefix", "host: '*.b', path: /, pathType: Prefix", "major"),
        ("host: a.b, path: /, pathType: Prefix", "path: /, pathType: Prefix", "minor"),
        ("host: a.b, path: '/.*'", "host: a.b, path: '/.*', pathType: ImplementationSpecific", "none"),
        ("host: a.b, path: '/x(.*)'", "host: a.b, path: /x, pathType: Prefix", "major"),
    ],
)
def test_what_an_ingress_serves(old: str, new: str, level: str) -> None:
    def ingress(words: str) -> Document:
        said = yaml.safe_load(f"{{{words}}}")
        rule = {"host": said.pop("host", None), "http": {"paths": [said]}}
        return make("Ingress", changes=json.dumps({"spec": {"rules": [rule]}}))

    assert highest(one.level for one in judge([ingress(old)], [ingress(new)])) == level


def test_a_backend_by_the_name_of_its_port_or_its_number() -> None:
    def ingress(backend: Any) -> Document:
        path = {"path": "/", "pathType": "Prefix", "backend": backend}
        return make("Ingress", changes=json.dumps({"spec": {"rules": [{"http": {"paths": [path]}}]}}))

    named, numbered = ({"service": {"name": "x", "port": port}} for port in ({"name": "http"}, {"number": 80}))
    backends = [named, numbered, {"serviceName": "x", "servicePort": "http"}]
    for one in backends:
        assert judge([make("Service"), ingress(named)], [make("Service"), ingress(one)]) == []
    other = {"service": {"name": "x", "port": {"number": 81}}}
    assert judge([make("Service"), ingress(named)], [make("Service"), ingress(other)])[0].level == "minor"


@pytest.mark.parametrize(("service", "level"), [("x", "none"), ("other", "minor")])
def test_a_path_of_its_own_below_another_one(service: str, level: str) -> None:
    def ingress(**paths: str) -> Document:
        backends = {f"/{path}": {"service": {"name": name, "port": {"number": 80}}} for path, name in paths.items()}
        told = [{"path": path, "pathType": "Prefix", "backend": backend} for path, backend in backends.items()]
        return make("Ingress", changes=json.dumps({"spec": {"rules": [{"http": {"paths": told}}]}}))

    whole, more = ingress(**{"": "x"}), ingress(**{"": "x", "api": service})
    for old, new in ((whole, more), (more, whole)):
        assert highest(one.level for one in judge([old], [new])) == level


@pytest.mark.parametrize("kind", ["PodDisruptionBudget", "ServiceMonitor", "PodMonitor"])
def test_what_finds_nothing_any_more(kind: str) -> None:
    others = [make("Deployment"), make("Service", labels={"a": "b"})]
    old, new = (make(kind, changes=f"{{spec: {{selector: {{matchLabels: {{a: {label}}}}}}}}}") for label in "bc")
    (reason,) = judge([*others, old], [*others, new])
    assert (reason.level, reason.about) == ("major", f"{kind}/x spec.selector")


@pytest.mark.parametrize(
    ("labels", "old", "new", "level"),
    [
        ("a: b, v: '{}'", "{matchLabels: {a: b, v: '1'}}", "{matchLabels: {a: b, v: '2'}}", "patch"),
        ("a: b", "{matchLabels: {a: b, v: '1'}}", "{matchLabels: {a: b, v: '2'}}", "patch"),  # none of them, as before
        ("a: b", "{}", "{matchLabels: {a: b}}", "minor"),
        ("a: b", "{matchLabels: {a: b}}", "{}", "major"),
        ("a: b", "{matchLabels: {a: b}}", "{matchLabels: {a: c}}", "major"),
    ],
)
def test_whom_a_policy_holds_for(labels: str, old: str, new: str, level: str) -> None:
    sides = [
        [
            make(
                "StatefulSet", changes=f"{{spec: {{template: {{metadata: {{labels: {{{labels.format(number)}}}}}}}}}}}"
            ),
            Document({**make("NetworkPolicy").data, "spec": {"podSelector": yaml.safe_load(selector)}}),
        ]
        for number, selector in ((1, old), (2, new))
    ]
    found = {one.about: one.level for one in judge(*sides)}
    assert found["NetworkPolicy/x spec.podSelector"] == level


@pytest.mark.parametrize(
    ("rules", "about"),
    [
        ("[{record: a, expr: up}, {alert: Slow, expr: up, for: 5m}]", ["spec alert", "spec rules"]),
        ("[{alert: Down, expr: up}, {alert: Slow, expr: up}, {record: b, expr: up}]", ["spec record", "spec rules"]),
        ("[{alert: Slow, expr: up}, {record: a, expr: up}, {alert: Down, expr: down}]", ["spec rules"]),
    ],
)
def test_an_alert_or_a_series_that_is_gone(rules: str, about: list[str]) -> None:
    said = "[{alert: Down, expr: up}, {alert: Slow, expr: up}, {record: a, expr: up}]"
    sides = (
        [make("PrometheusRule", changes=f"{{spec: {{groups: [{{name: g, rules: {it}}}]}}}}")] for it in (said, rules)
    )
    found = {re.sub(r"\.groups.*", " rules", one.about.partition(" ")[2]): one.level for one in judge(*sides)}
    assert found == {one: "minor" if one == "spec rules" else "major" for one in about}


@pytest.mark.parametrize(
    ("endpoints", "levels"),
    [
        ("[{port: b}]", ["major", "minor"]),
        ("[{port: b, interval: 30s}, {port: a}]", ["minor"]),
        ("[{port: c}, {port: b}]", ["minor"]),  # the same at another port
    ],
)
def test_an_endpoint_that_is_no_longer_scraped(endpoints: str, levels: list[str]) -> None:
    old, new = (
        make("ServiceMonitor", changes=f"{{spec: {{endpoints: {one}}}}}")
        for one in ("[{port: a}, {port: b}]", endpoints)
    )
    assert sorted({reason.level for reason in judge([old], [new])}) == levels
    beside = make("ServiceMonitor", name="y", changes="{spec: {endpoints: [{port: a}]}}")
    assert "major" not in {reason.level for reason in judge([old], [new, beside])}


_DURING = "DuringSchedulingIgnoredDuringExecution"
_TERM = "{matchExpressions: [{key: a, operator: In, values: [c, d]}, {key: b, operator: Exists}]}"


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (
            "HorizontalPodAutoscaler",
            "behavior: {scaleUp: {policies: [{type: Pods, value: 2}, {type: Percent, value: 9}]}}",
        ),
        ("ServiceMonitor", "endpoints: [{port: a}, {port: b, path: /b}]"),
        (
            "PodDisruptionBudget",
            "selector: {matchExpressions: [{key: a, operator: Exists}, {key: b, operator: In, values: [x, y]}]}",
        ),
        *(
            ("Deployment", f"template: {{spec: {{{pod}}}}}")
            for pod in (
                "tolerations: [{key: a, effect: NoExecute}, {key: b}]",
                "containers: [{name: a, image: x, ports: [{containerPort: 1}, {containerPort: 2}]}]",
                f"affinity: {{nodeAffinity: {{required{_DURING}: {{nodeSelectorTerms: [{_TERM}]}}}}}}",
                f"affinity: {{podAffinity: {{preferred{_DURING}: [{{weight: 1}}, {{weight: 2}}]}}}}",
            )
        ),
    ],
)
def test_a_list_in_another_order_that_tells_nothing(kind: str, spec: str) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(item) for key, item in reversed(value.items())}
        return [*map(turned, reversed(value))] if isinstance(value, list) else value

    old = make(kind, changes=f"{{spec: {{{spec}}}}}")
    assert judge([old], [Document(turned(old.data))]) == []


@pytest.mark.parametrize(
    "pod",
    [
        "containers: [{name: x, image: x, ports: [{name: %s, containerPort: 1, hostPort: 80}]}]",
        "volumes: [{name: %s, persistentVolumeClaim: {claimName: x}}, {name: c, emptyDir: {}}]",
    ],
)
def test_what_has_another_name_alone_is_no_other(pod: str) -> None:
    sides = ([make("DaemonSet", changes=f"{{spec: {{template: {{spec: {{{pod % name}}}}}}}}}")] for name in "ab")
    (reason,) = judge(*sides)
    assert (reason.level, reason.old, reason.new) == ("minor", "a", "b")


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_a_list_of_nothing_is_none(kind: str) -> None:
    spec = "{template: {spec: {securityContext: {supplementalGroups: [], sysctls: []}}}}"
    assert judge([make(kind)], [make(kind, changes=f"{{spec: {spec}}}")]) == []


def test_a_selector_in_another_order_is_refused() -> None:
    terms = ["{key: a, operator: Exists}", "{key: b, operator: Exists}"]
    old, new = (
        make("Deployment", changes=f"{{spec: {{selector: {{matchExpressions: [{', '.join(one)}]}}}}}}")
        for one in (terms, terms[::-1])
    )
    assert "major" in {reason.level for reason in judge([old], [new])}


@pytest.mark.parametrize(
    ("value", "level"),
    [("x$(A)", "minor"), ("x$$(A)", "none"), ("$$$(A)", "minor"), ("$(X_SERVICE_HOST)", "none"), ("x", "none")],
)
def test_variables_in_another_order(value: str, level: str) -> None:
    """Kubernetes puts in what stands before: https://kubernetes.io/docs/tasks/inject-data-application/."""
    variables = ["{name: A, value: a}", f"{{name: B, value: '{value}'}}", "{name: C, value: c}"]
    pods = "{{spec: {{template: {{spec: {{containers: [{{name: a, image: x, env: [{}]}}]}}}}}}}}"
    a, b, c = variables
    old, moved, turned = (
        [make("Deployment", changes=pods.format(", ".join(one)))] for one in ([a, b, c], [c, a, b], [c, b, a])
    )
    assert judge(old, moved) == []
    assert highest(reason.level for reason in judge(old, turned)) == level


@pytest.mark.parametrize(
    ("peer", "other", "levels"),
    [
        ("{matchLabels: {kubernetes.io/metadata.name: here}}", "", ["none", "none"]),
        ("{matchLabels: {kubernetes.io/metadata.name: there}}", "", ["major", "major"]),
        ("{matchLabels: {kubernetes.io/metadata.name: there}}", "{matchLabels: {team: a}}", ["minor", "major"]),
        ("{matchLabels: {kubernetes.io/metadata.name: there}}", "{matchLabels: {team: b}}", ["major", "major"]),
    ],
)
def test_a_namespace_by_its_name_and_by_its_labels(peer: str, other: str, levels: list[str]) -> None:
    """Its own labels, as far as the chart makes it; the policy's is that of the release."""
    there, sides = make("Namespace", name="there", labels={"team": "a"}), []
    for one in (peer, other):
        selector = {"namespaceSelector": yaml.safe_load(one)} if one else {}
        spec = {"spec": {"ingress": [{"from": [{"podSelector": {}, **selector}]}]}}
        both = (there, make("NetworkPolicy", changes=json.dumps(spec)))
        sides.append(Manifests(tuple(replace(each, release_namespace="here") for each in both)))
    for pair, level in zip((sides, sides[::-1]), levels, strict=True):
        assert highest(one.level for one in judge_objects(pair[0], pair[1], Scene("here"))) == level


@pytest.mark.parametrize(
    ("old", "new", "replicas", "level"),
    [
        ("maxUnavailable: 1", "maxUnavailable: 2", 2, "major"),  # a drain takes them all
        ("maxUnavailable: 1", "maxUnavailable: 2", 3, "minor"),
        (
            "maxUnavailable: null, minAvailable: 1",
            "maxUnavailable: null, minAvailable: 2",
            2,
            "major",
        ),  # a drain waits without an end
        ("maxUnavailable: null, minAvailable: 1", "maxUnavailable: null, minAvailable: 2", None, "minor"),
    ],
)
def test_a_budget_of_all_pods(old: str, new: str, replicas: int | None, level: str) -> None:
    pods = [make("Deployment", changes=f"{{spec: {{replicas: {replicas or 2}}}}}")]
    if replicas is None:
        pods.append(make("HorizontalPodAutoscaler", changes="{spec: {scaleTargetRef: {kind: Deployment, name: x}}}"))
    sides = [
        [*pods, make("PodDisruptionBudget", changes=f"{{spec: {{selector: {{matchLabels: {{a: b}}}}, {spec}}}}}")]
        for spec in (old, new)
    ]
    assert highest(one.level for one in judge(*sides)) == level


def test_fewer_pods_than_a_budget_keeps_and_one() -> None:
    budget = "{spec: {maxUnavailable: null, minAvailable: 2, selector: {matchLabels: {a: b}}}}"
    sides = [
        [make("Deployment", changes=f"{{spec: {{replicas: {count}}}}}"), make("PodDisruptionBudget", changes=budget)]
        for count in (3, 2)
    ]
    assert [one.about for one in judge(*sides) if one.level == "major"] == ["PodDisruptionBudget/x spec.minAvailable"]
    assert [one.level for one in judge(*sides[::-1])] == ["minor", "minor"]


@pytest.mark.parametrize(("folder", "level"), [("b", "major"), ("a", "none")])
def test_another_folder_of_a_claim(folder: str, level: str) -> None:
    pod = (
        "{volumes: [{name: d, persistentVolumeClaim: {claimName: d}}], containers: "
        "[{name: a, image: 'x/a:1.0.0', volumeMounts: [{name: d, mountPath: /data, subPath: FOLDER}]}]}"
    )
    sides = [
        [make("Deployment", changes=f"{{spec: {{template: {{spec: {pod.replace('FOLDER', sub)}}}}}}}")]
        for sub in ("a", folder)
    ]
    assert highest(one.level for one in judge(*sides)) == level


def test_a_number_of_pods_beside_what_scales_them() -> None:
    scaler = make("HorizontalPodAutoscaler", changes="{spec: {scaleTargetRef: {kind: Deployment, name: x}}}")
    bare, said = make("Deployment"), make("Deployment", changes="{spec: {replicas: 2}}")
    (sets,), (leaves,) = judge([bare, scaler], [said, scaler]), judge([said, scaler], [bare, scaler])
    assert (sets.level, sets.meaning) == (
        "minor",
        "set beside HorizontalPodAutoscaler/x: an upgrade undoes its scaling",
    )
    assert (leaves.level, leaves.meaning) == ("patch", "left to HorizontalPodAutoscaler/x")


def test_a_token_that_the_account_holds_back_is_given() -> None:
    account = make("ServiceAccount", changes="{automountServiceAccountToken: false}", name="default")
    given = "{spec: {template: {spec: {automountServiceAccountToken: true}}}}"
    pods = [make("Deployment", changes=one) for one in ("{}", given)]
    assert [one.level for one in judge([account, pods[0]], [account, pods[1]])] == ["minor"]


def test_a_new_webhook_that_must_answer() -> None:
    webhook = make("ValidatingWebhookConfiguration")
    assert judge([], [webhook])[0].level == "major"
    own = make("ValidatingWebhookConfiguration", changes="{webhooks: [{name: a, rules: [{apiGroups: [x.io]}]}]}")
    assert judge([], [own])[0].level == "minor"


@pytest.mark.parametrize(
    ("kind", "changes", "level"),
    [
        ("ResourceQuota", "{}", "major"),
        ("LimitRange", "{}", "major"),
        ("LimitRange", "{spec: {limits: [{type: Container, default: {cpu: 1}}]}}", "minor"),
        ("ValidatingAdmissionPolicyBinding", "{spec: {validationActions: [Deny]}}", "major"),
        ("ValidatingAdmissionPolicyBinding", "{spec: {validationActions: [Warn]}}", "minor"),
        ("PodDisruptionBudget", "{spec: {maxUnavailable: 0}}", "major"),
        ("PodDisruptionBudget", "{spec: {maxUnavailable: null, minAvailable: 100%}}", "major"),
        ("PodDisruptionBudget", "{}", "minor"),
    ],
)
def test_what_is_new_and_binds_what_was_there(kind: str, changes: str, level: str) -> None:
    assert [one.level for one in judge([], [make(kind, changes=changes)])] == [level]


@pytest.mark.parametrize(
    ("new", "level"),
    [
        (("Namespace", "own"), "major"),  # helm has been told to install there
        (("Namespace", "near"), "major"),
        (("Namespace", "other"), "minor"),
        (("ServiceAccount", "default"), "major"),
        (("ServiceAccount", "other"), "minor"),
    ],
)
def test_what_is_new_to_the_chart_and_stands_in_the_cluster_already(new: tuple[str, str], level: str) -> None:
    there = make("ConfigMap", namespace="near")
    found = judge([there], [there, make(new[0], name=new[1])], namespace="own")
    assert [one.level for one in found] == [level]


def test_a_webhook_that_no_longer_writes_into_objects() -> None:
    rules = ([{"apiGroups": [""], "resources": [name]}] for name in "ab")
    hooks = [{"name": name, "sideEffects": "None", "rules": rule} for name, rule in zip("ab", rules, strict=True)]

    def config(kind: str, *webhooks: Any) -> list[Document]:
        return [
            Document({"kind": kind, "apiVersion": "x.k8s.io/v1", "metadata": {"name": "x"}, "webhooks": [*webhooks]})
        ]

    def level(kind: str, *webhooks: Any) -> str:
        return highest(one.level for one in judge(config(kind, *hooks), config(kind, *webhooks)))

    assert level("MutatingWebhookConfiguration", hooks[0]) == "major"
    assert level("ValidatingWebhookConfiguration", hooks[0]) == "minor"
    assert level("MutatingWebhookConfiguration", hooks[0], {**hooks[1], "name": "c"}) == "minor"


def test_a_role_is_held_by_whom_it_is_gathered_for() -> None:
    """Whatever the parts are called, and however they are cut up."""

    def role(name: str, verbs: str, label: str = "rbac.authorization.k8s.io/aggregate-to-view") -> Document:
        rules = f"{{rules: [{{apiGroups: [x.io], resources: [xs], verbs: [{verbs}]}}]}}"
        return make("ClusterRole", name=name, changes=rules, labels={label: "true"})

    renamed = judge([role("a-view", "get")], [role("b-view", "get")])
    assert [(one.level, one.about) for one in renamed] == [("minor", "ClusterRole/a-view")]
    assert (
        highest(one.level for one in judge([role("a", "get, list")], [role("a", "get"), role("b", "list")])) == "patch"
    )
    assert highest(one.level for one in judge([role("a", "get, list")], [role("a", "get")])) == "major"
    whole = make(
        "ClusterRole",
        name="whole",
        changes="{aggregationRule: {clusterRoleSelectors: [{matchLabels: {part: 'true'}}]}}",
    )
    account, binding = make("ServiceAccount"), "{roleRef: {kind: ClusterRole, name: whole}, subjects: [%s]}"
    bound = make("RoleBinding", changes=binding % "{kind: ServiceAccount, name: x}")
    parts = (role("a", "get, list", "part"), role("b", "get, list", "part"), role("a", "get", "part"))
    old, new, less = ([account, bound, whole, part] for part in parts)
    assert highest(one.level for one in judge(old, new)) == "patch"
    assert [(one.level, one.about) for one in judge(old, less)] == [("minor", "ServiceAccount/x rights")]


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [("resources: ['*/scale']", "resources: [xs/scale]"), ("resources: ['*']", "resources: [xs/log]")],
)
def test_a_right_with_a_star(wide: str, narrow: str) -> None:
    rules = "{rules: [{apiGroups: [x.io], verbs: [get], %s}]}"
    one, other = ([make("ClusterRole", changes=rules % side)] for side in (narrow, wide))
    assert [each.level for each in judge(one, other)] == ["minor"]
    assert "major" in [each.level for each in judge(other, one)]


def test_an_address_with_a_star() -> None:
    one, other = (
        [make("ClusterRole", changes=f"{{rules: [{{nonResourceURLs: [{url}], verbs: [get]}}]}}")]
        for url in ("/metrics", "/*")
    )
    assert [each.level for each in judge(one, other)] == ["minor"]


def test_a_strategy_that_only_helm_3_can_change() -> None:
    (reason,) = judge([make("Deployment")], [make("Deployment", changes="{spec: {strategy: {type: Recreate}}}")])
    assert reason.meaning.startswith("refused by the API server unless helm 3 sends it")
    assert "downtime" in reason.meaning


def test_what_is_kept_is_not_lost() -> None:
    kept = make("ConfigMap", annotations={"helm.sh/resource-policy": "keep"})
    assert [one.level for one in judge([kept], [])] == ["minor"]
    assert [one.level for one in judge([make("ConfigMap")], [])] == ["major"]


def test_a_hook_is_made_anew_each_time() -> None:
    hooks = [
        make("Job", annotations={"helm.sh/hook": "pre-upgrade"}, changes=text)
        for text in ("{}", "{spec: {completions: 3}}")
    ]
    assert [one.level for one in judge(hooks[:1], hooks[1:])] == ["minor"]
    assert [one.level for one in judge([make("Job")], hooks[:1])] == ["major"]


@pytest.mark.parametrize(("name", "level"), [("one", "minor"), ("two", "major")])
def test_what_an_ingress_hands_to_another_is_served_still_where_its_class_is_the_same(name: str, level: str) -> None:
    paths = [
        f"{{path: /{one}, pathType: Prefix, backend: {{service: {{name: a, port: {{number: 1}}}}}}}}" for one in "ab"
    ]
    both, first, second = (
        f"{{spec: {{ingressClassName: {of}, rules: [{{host: a.b, http: {{paths: [{', '.join(some)}]}}}}]}}}}"
        for of, some in (("one", paths), ("one", paths[:1]), (name, paths[1:]))
    )
    new = [make("Ingress", changes=first), make("Ingress", name="y", changes=second)]
    assert highest(one.level for one in judge([make("Ingress", changes=both)], new)) == level


@pytest.mark.parametrize(("selector", "level"), [("{}", "minor"), ("{matchLabels: {c: d}}", "major")])
def test_what_several_policies_let_through_adds_up(selector: str, level: str) -> None:
    both, first, second = (
        f"{{spec: {{podSelector: {of}, ingress: [{{ports: [{', '.join(some)}]}}]}}}}"
        for of, some in (("{}", ("{port: 1}", "{port: 2}")), ("{}", ("{port: 1}",)), (selector, ("{port: 2}",)))
    )
    new = [make("NetworkPolicy", changes=first), make("NetworkPolicy", name="y", changes=second)]
    assert highest(one.level for one in judge([make("NetworkPolicy", changes=both)], new)) == level


def test_the_rights_of_a_hook_are_told_by_account() -> None:
    sides = (
        make("ClusterRole", annotations={"helm.sh/hook": "pre-upgrade"}, changes=f"{{rules: [{rule}]}}")
        for rule in (
            "{apiGroups: [''], resources: [pods], verbs: [get]}",
            "{apiGroups: [''], resources: [pods], verbs: [get, list]}",
        )
    )
    assert [one.about for one in judge([next(sides)], [next(sides)])] == ["ClusterRole/x rights"]


def test_a_hook_in_other_words_is_the_same() -> None:
    plain = {"helm.sh/hook": "pre-install,pre-upgrade"}
    said = {"helm.sh/hook-weight": "0", "helm.sh/hook-delete-policy": "before-hook-creation"}
    words = ({**plain, **said}, {"helm.sh/hook": "pre-upgrade, pre-install"}, {"helm.sh/hook": "pre-install"})
    old, same, more, other = (make("Job", annotations=one) for one in (plain, *words))
    assert judge([old], [same]) == judge([same], [old]) == judge([old], [more]) == []
    assert [one.level for one in judge([old], [other])] == ["minor"]
    for key in ("delete", "output-log"):
        orders = ("hook-failed,hook-succeeded", "hook-succeeded, hook-failed")
        sides = (make("Job", annotations={**plain, f"helm.sh/hook-{key}-policy": one}) for one in orders)
        assert judge([next(sides)], [next(sides)]) == []


@pytest.mark.parametrize("more", ["{}", "{immutable: true}", "{metadata: {annotations: {helm.sh/hook: pre-upgrade}}}"])
def test_the_content_of_a_secret_is_not_told(more: str) -> None:
    plain, other = (yaml.safe_load(more) | {"data": {"a": content}} for content in ("YQ==", "Yg=="))
    sides = [make("Secret", changes=json.dumps(one)) for one in (plain, other)]
    told = judge(sides[:1], sides[1:])
    assert {(reason.old, reason.new) for reason in told} == {("***", "***")}


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        ("a/driver:v1.6.1", "a/driver:v1.6.2", "patch"),
        ("--image=host:5000/a/driver:v1.6.1", "--image=host:5000/a/driver:v1.7.0", "minor"),
        ("--image=a/driver:v1.6.1", "--image=a/driver:v2.0.0", "major"),
        ("--image=a/driver:v1.6.1", "--other=a/driver:v1.6.2", "minor"),
        ("a/driver:v1.6.1", "b/driver:v1.6.2", "minor"),
        ("--limit=1.6.1", "--limit=1.6.2", "minor"),
    ],
)
def test_an_image_that_a_container_hands_on_is_judged_as_one(old: str, new: str, level: str) -> None:
    for field in ("args: [run, '{}']", "command: ['{}']", "env: [{{name: RELATED, value: '{}'}}]"):
        sides = [
            make("Deployment", changes=f"{{spec: {{template: {{spec: {{containers: [{{name: a, {text}}}]}}}}}}}}")
            for text in (field.format(side) for side in (old, new))
        ]
        assert [reason.level for reason in judge([sides[0]], [sides[1]])] == [level], field


def test_noise_is_passed_over() -> None:
    versions = (("1.0.0", "1.1.0"),)
    old, new = (make("ConfigMap", labels={"helm.sh/chart": f"x-{v}", "y": f"z-{v}"}) for v in ("1.0.0", "1.1.0"))
    assert judge([old], [new], noise=Noise(versions)) == []
    assert judge([old], [new])


@pytest.mark.parametrize(
    ("old", "new", "level"),
    [
        ("https://host/x-1.0.0/crds.yaml", "https://host/x-1.1.0/crds.yaml", "patch"),
        ("v1.0.0", "v1.1.0", "patch"),
        ("x-1.0.0 and 1.0.0", "x-1.1.0 and 1.0.0", "minor"),
        ("11.0.0", "11.1.0", "minor"),
        ("--image=a/driver:v1.0.0", "--image=a/driver:v1.1.0", "minor"),
        ("--threads=8", "--threads=9", "minor"),
    ],
)
def test_a_text_that_bears_the_version_is_no_change_of_its_own(old: str, new: str, level: str) -> None:
    args = "{{spec: {{template: {{spec: {{containers: [{{name: a, args: [run, '{}']}}]}}}}}}}}"
    sides = [make("Deployment", changes=args.format(side)) for side in (old, new)]
    scene = {"noise": Noise((("1.0.0", "1.1.0"), ("8", "9")))}
    assert [reason.level for reason in judge([sides[0]], [sides[1]], **scene)] == [level]


@pytest.mark.parametrize(
    ("kind", "at", "told"),
    [
        ("ServiceMonitor", "{{spec: {{selector: {{matchLabels: {{helm.sh/chart: x-{}}}}}}}}}", False),
        ("ServiceMonitor", "{{spec: {{selector: {{matchLabels: {{team: a{}}}}}}}}}", False),
        ("ServiceMonitor", "{{spec: {{selector: {{matchLabels: {{team: x-{}-y}}}}, interval: {}}}}}", True),
        ("Service", "{{spec: {{selector: {{app.kubernetes.io/version: '{}'}}}}}}", True),
        ("Deployment", "{{spec: {{selector: {{matchLabels: {{helm.sh/chart: x-{}}}}}}}}}", True),
    ],
)
def test_who_selects_by_the_version_follows_it(kind: str, at: str, told: bool) -> None:
    old, new = (make(kind, changes=at.format(v, v)) for v in ("1.0.0", "1.1.0"))
    assert bool(judge([old], [new], noise=Noise((("1.0.0", "1.1.0"),)))) == told


def test_what_is_drawn_anew_is_found_by_rendering_twice() -> None:
    one, again, next_one = (Manifests((make("Secret", changes=f"{{data: {{a: {n}}}}}"),)) for n in ("b", "c", "d"))
    drawn = drawn_fields([(one, again)])
    assert drawn == {Identity("", "Secret", "", "x"): frozenset({"data.a"})}
    assert list(judge_objects(one, next_one, Scene(noise=Noise(drawn=drawn)))) == []
    other = Manifests((make("Secret", changes="{data: {a: null, b: c}}"),))
    gone = judge_objects(one, other, Scene(noise=Noise(drawn=drawn)))
    assert [reason.about for reason in gone] == ["Secret/x data.a", "Secret/x data.b"], "under another key"


@pytest.mark.parametrize(
    ("names", "now", "same"),
    [
        (("a-test-x9y8z", "a-test-k1l2m"), "a-test-q7q7q", True),
        (("a-test-x9y8z", "a-test-k1l2m"), "other-a-test-q7q7q", True),
        (("a-x9y8z-job", "a-k1l2m-job"), "a-q7q7q-job", True),
        (("a-test-x9y8z", "a-test-k1l2m"), "a-test-gone", False),
        (("a-test-x9y8z", "a-test-x9y8z"), "a-test-k1l2m", False),
    ],
    ids=["tail", "another release", "middle", "of another length", "not drawn"],
)
def test_a_name_that_is_drawn_anew_is_no_other_name(names: tuple[str, str], now: str, same: bool) -> None:
    one, again = (Manifests((make("Job", name=name),)) for name in names)
    drawn = drawn_names([(one, again)])
    head = "other-" * now.startswith("other-")
    old, new = (steady(Manifests((make("Job", name=name),)), drawn) for name in (head + names[0], now))
    assert (list(judge_objects(old, new, Scene())) == []) == same


def test_a_drawn_name_is_the_same_wherever_it_stands() -> None:
    def of(name: str) -> Manifests:
        pod = f"{{spec: {{template: {{spec: {{containers: [{{name: {name}-main, image: x}}]}}}}}}}}"
        reads = f"{{spec: {{template: {{spec: {{containers: [{{name: a, args: ['--job={name}']}}]}}}}}}}}"
        return Manifests((make("Job", name=name, changes=pod), make("Deployment", changes=reads)))

    drawn = drawn_names([(of("a-x9y8z"), of("a-k1l2m"))])
    old, new = (steady(of(name), drawn) for name in ("a-x9y8z", "a-q7q7q"))
    assert list(judge_objects(old, new, Scene())) == []


def test_a_part_of_an_object_may_be_called_by_another_drawn_word() -> None:
    def of(name: str, container: str) -> Manifests:
        pod = f"{{spec: {{template: {{spec: {{containers: [{{name: {container}, image: x}}]}}}}}}}}"
        return Manifests((make("Job", name=name, changes=pod),))

    for name in ("a-{}-test", "a"):
        drawn = drawn_names([(of(name.format("aaaaa"), "a-bbbbb-test"), of(name.format("ccccc"), "a-ddddd-test"))])
        sides = (of(name.format("eeeee"), "a-fffff-test"), of(name.format("ggggg"), "a-hhhhh-test"))
        old, new = (steady(side, drawn) for side in sides)
        assert list(judge_objects(old, new, Scene())) == [], name


def test_what_further_renders_draw_is_added() -> None:
    one = Identity("", "Secret", "", "x")
    noise = Noise(drawn={one: frozenset({"data.a"})}).and_drawn({one: frozenset({"data.b"})})
    assert noise.drawn == {one: frozenset({"data.a", "data.b"})}


def test_a_label_without_a_value_that_gets_one() -> None:
    old, new = (make("ConfigMap", labels={"reload": value}) for value in ("", "true"))
    assert [one.level for one in judge([old], [new])] == ["patch"]
    assert [one.level for one in judge([new], [old])] == ["major"]


ONE_POD = "{podSelector: {matchLabels: {a: b, c: d}}}"


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("[{}]", f"[{{from: [{ONE_POD}]}}]"),
        ("[{from: [{podSelector: {matchLabels: {a: b}}}]}]", f"[{{from: [{ONE_POD}]}}]"),
        ("[{from: [{podSelector: {}}]}]", f"[{{from: [{ONE_POD}]}}]"),
        ("[{from: [{namespaceSelector: {}}]}]", f"[{{from: [{ONE_POD}]}}]"),
        ("[{from: [{namespaceSelector: {}}]}]", "[{from: [{namespaceSelector: {matchLabels: {a: b}}}]}]"),
        ("[{from: [{namespaceSelector: {}}]}]",
         "[{from: [{namespaceSelector: {}, podSelector: {matchLabels: {a: b}}}]}]"),
        ("[{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]", "[{from: [{ipBlock: {cidr: 10.1.0.0/16}}]}]"),
        ("[{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]",
         "[{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]"),
        ("[{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.2.0/24]}}]}]",
         "[{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]"),
        ("[{from: [{ipBlock: {cidr: '::/0'}}]}]", "[{from: [{ipBlock: {cidr: 'fd00::/8'}}]}]"),
        ("[{ports: [{port: 80, endPort: 90}]}]", "[{ports: [{port: 80}, {port: 85, endPort: 90}]}]"),
        ("[{ports: [{protocol: TCP}]}]", "[{ports: [{port: 80}]}]"),
        ("[{from: [{ipBlock: {cidr: 10.0.0.0/9}}, {ipBlock: {cidr: 10.128.0.0/9}}]}]",
         "[{from: [{ipBlock: {cidr: 10.64.0.0/10}}]}]"),
        *((f"[{{from: [{{podSelector: {{matchExpressions: [{{key: a, {wide}}}]}}}}]}}]",
           f"[{{from: [{{podSelector: {narrow}}}]}}]")
          for wide, narrow in (
              ("operator: In, values: [b, c]", "{matchLabels: {a: b}}"),
              ("operator: NotIn, values: [c]", "{matchLabels: {a: b}}"),
              ("operator: Exists", "{matchExpressions: [{key: a, operator: In, values: [b, c]}]}"),
              ("operator: NotIn, values: [c]", "{matchExpressions: [{key: a, operator: NotIn, values: [c, d]}]}"),
              ("operator: DoesNotExist", "{matchLabels: {c: d}, matchExpressions: [{key: a, operator: DoesNotExist}]}"),
          )),
    ],
)  # fmt: skip
def test_a_policy_that_lets_more_through_refuses_nothing(wide: str, narrow: str) -> None:
    sides = [[make("NetworkPolicy", changes=f"{{spec: {{ingress: {rules}}}}}")] for rules in (narrow, wide)]
    assert [reason.level for reason in judge(sides[0], sides[1])] == ["minor"]
    assert [reason.level for reason in judge(sides[1], sides[0])] == ["major"]


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        ("{cidr: 10.0.0.0/8}", "{cidr: 10.0.0.0/9}}, {ipBlock: {cidr: 10.128.0.0/9}"),
        ("{cidr: 10.0.0.0/8, except: [10.0.0.0/9]}", "{cidr: 10.128.0.0/9}"),
        ("{cidr: '::/0', except: ['fd00::/8']}", "{cidr: '::/0', except: ['fd00::/9', 'fd80::/9']}"),
        ("{cidr: 10.0.0.0/8}}], ports: [{port: 80, endPort: 82}], x: [{y: {}",
         "{cidr: 10.0.0.0/8}}], ports: [{port: 82}, {port: 80, endPort: 81}], x: [{y: {}"),
    ],
)  # fmt: skip
def test_a_policy_that_is_cut_up_otherwise_lets_the_same_through(whole: str, parts: str) -> None:
    rules = "{{spec: {{ingress: [{{from: [{{ipBlock: {}}}]}}]}}}}"
    sides = [[make("NetworkPolicy", changes=rules.format(one))] for one in (whole, parts)]
    for old, new in (sides, sides[::-1]):
        assert judge(old, new) == []


@pytest.mark.parametrize(
    ("was", "now", "level"),
    [
        ("[10.0.0.0/8]", "[10.0.0.0/9, 10.128.0.0/9]", "none"),
        ("[10.0.0.0/8]", "[10.0.0.0/7]", "minor"),
        ("[10.0.0.0/8]", "[]", "minor"),
        ("[10.0.0.0/8]", "[10.0.0.0/9]", "major"),
        ("[]", "[10.0.0.0/8]", "major"),
    ],
)
def test_whom_a_balancer_lets_in(was: str, now: str, level: str) -> None:
    more = "{{spec: {{type: LoadBalancer, loadBalancerSourceRanges: {}}}}}"
    sides = [[make("Service", changes=more.format(one))] for one in (was, now)]
    assert [reason.level for reason in judge(*sides)] == [level] * (level != "none")


@pytest.mark.parametrize(
    ("rules", "other"),
    [
        ("[{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]", "[{from: [{ipBlock: {cidr: '::/0'}}]}]"),
        ("[{from: [{podSelector: {}}]}]", "[{from: [{namespaceSelector: {matchLabels: {a: b}}}]}]"),
        ("[{ports: [{port: 80, endPort: 90}]}]", "[{ports: [{port: 85, endPort: 95}]}]"),
        ("[{ports: [{port: 80}]}]", "[{ports: [{port: 80, protocol: UDP}]}]"),
    ],
)
def test_policies_that_let_different_things_through(rules: str, other: str) -> None:
    sides = [[make("NetworkPolicy", changes=f"{{spec: {{ingress: {one}}}}}")] for one in (rules, other)]
    assert [reason.level for reason in judge(sides[0], sides[1])] == ["major"]
    assert [reason.level for reason in judge(sides[1], sides[0])] == ["major"]


@pytest.mark.parametrize(("egress", "level"), [("[{}]", "none"), ("[{ports: [{port: 53}]}]", "major"), ("[]", "major")])
def test_a_direction_that_is_named_and_left_open_is_not_closed(egress: str, level: str) -> None:
    both = "policyTypes: [Ingress, Egress]"
    named = make("NetworkPolicy", changes=f"{{spec: {{{both}, egress: {egress}}}}}")
    assert [reason.level for reason in judge([make("NetworkPolicy")], [named])] == [level] * (level != "none")
    new = make("NetworkPolicy", name="y", changes=f"{{spec: {{policyTypes: [Egress], egress: {egress}}}}}")
    assert [one.level for one in judge([], [new])] == ["minor" if level == "none" else "major"]


@pytest.mark.parametrize(
    ("ports", "level"),
    [
        ("[{name: web, containerPort: 8080}]", "major"),
        ("[{containerPort: 8080}]", "major"),
        ("[{name: http, containerPort: 9090}]", "minor"),
    ],
)
def test_a_service_that_leads_to_a_name_that_no_port_has_any_more(ports: str, level: str) -> None:
    service = make("Service", changes="{spec: {ports: [{name: http, port: 80, targetPort: http}]}}")
    sides = [
        [service, make("Deployment", changes=f"{{spec: {{template: {{spec: {{containers: [{one}]}}}}}}}}")]
        for one in (f"{{name: a, image: x, ports: {each}}}" for each in ("[{name: http, containerPort: 8080}]", ports))
    ]
    found = {reason.about: reason.level for reason in judge(*sides)}
    assert ("Service/x spec.ports[http].targetPort" in found) is (level == "major")
    assert level in found.values()


@pytest.mark.parametrize(("policy", "gone"), [("restartPolicy: Always", False), ("command: [a]", True)])
def test_a_port_that_goes_to_a_sidecar_is_still_there(policy: str, gone: bool) -> None:
    service = make("Service", changes="{spec: {ports: [{name: http, port: 80, targetPort: http}]}}")
    opening = "name: a, image: x, ports: [{name: http, containerPort: 8080}]"
    other = "containers: [{name: b, image: x, ports: [{name: web, containerPort: 9090}]}]"
    pods = f"containers: [{{{opening}}}]", f"initContainers: [{{{opening}, {policy}}}], {other}"
    sides = [[service, make("Deployment", changes=f"{{spec: {{template: {{spec: {{{one}}}}}}}}}")] for one in pods]
    assert ("Service/x spec.ports[http].targetPort" in {one.about for one in judge(*sides)}) is gone


@pytest.mark.parametrize(
    ("selector", "level"), [("{i: null}", "minor"), ("{a: null}", "minor"), ("{i: null, c: d}", "major")]
)
def test_a_service_that_selects_by_other_labels(selector: str, level: str) -> None:
    pods = make("Deployment", changes="{spec: {template: {metadata: {labels: {a: b, i: j}}}}}")
    before, after = (
        make("Service", changes=json.dumps({"spec": {"selector": {"a": "b", "i": "j", **yaml.safe_load(each)}}}))
        for each in ("{}", selector)
    )
    told = [one.level for one in judge([before, pods], [after, pods]) if one.about == "Service/x spec.selector"]
    assert told == [level]


@pytest.mark.parametrize(
    ("target", "ports", "level"),
    [
        ("web", "[{name: web, containerPort: 8080}]", "major"),
        ("9090", "[{name: http, containerPort: 9090}]", "major"),
        ("8080", "[{name: http, containerPort: 8080}]", "patch"),
        ("8080", "[{name: web, containerPort: 8080}]", "patch"),
        ("9090", "[{name: http, containerPort: 8080}]", "patch"),
    ],
)
def test_a_service_that_leads_to_a_port_that_running_pods_lack(target: str, ports: str, level: str) -> None:
    sides = [
        [
            make("Service", changes=f"{{spec: {{ports: [{{name: http, port: 80, targetPort: {to}}}]}}}}"),
            make("Deployment", changes=f"{{spec: {{template: {{spec: {{containers: [{container}]}}}}}}}}"),
        ]
        for to, container in (
            ("http", "{name: a, image: x, ports: [{name: http, containerPort: 8080}]}"),
            (target, f"{{name: a, image: x, ports: {ports}}}"),
        )
    ]
    told = [one.level for one in judge(*sides) if one.about == "Service/x spec.ports[http].targetPort"]
    assert ("major" in told) is (level == "major")


def test_a_text_that_is_drawn_anew_is_passed_over_in_a_secret() -> None:
    one, other = (Manifests((make("Secret", changes=f"{{data: null, stringData: {{a: {text}}}}}"),)) for text in "xy")
    scene = {"noise": Noise(drawn=drawn_fields([(one, other)]))}
    assert not judge(list(one), list(other), **scene)


def test_a_binding_that_moves_is_told_by_what_it_grants() -> None:
    rules = "{rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]}"
    account = "{subjects: [{kind: ServiceAccount, name: x}]}"
    role, pods = make("Role", name="a", changes=rules), make("Deployment", changes=SERVED)
    old, new = (make("RoleBinding", changes=account, **where) for where in ({"namespace": "kube-system"}, {}))
    found = judge([role, pods, old], [role, pods, new])
    assert {one.about for one in found if one.level == "minor"} == {"ServiceAccount/x rights"}
    assert highest(one.level for one in found) == "minor", found
    unbound = judge([role, pods], [role, pods, new])
    assert not [one for one in unbound if one.about.startswith("Role/")], "nobody has lost what it grants"


@pytest.mark.parametrize(
    ("image", "token", "level"),
    [("x/a:1.0.0", None, "major"), ("x/a:2.0.0", None, "minor"), ("x/a:1.0.0", False, "minor")],
    ids=["the same program", "a program that may ask nothing", "without a token"],
)
def test_an_account_that_loses_all_rights_leaves_its_pods_without(image: str, token: bool | None, level: str) -> None:
    """As where `rbac.create` is off from now on."""
    account = "{subjects: [{kind: ServiceAccount, name: x}]}"
    role = make("Role", name="a", changes="{rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]}")
    spec = {"serviceAccountName": "x", "containers": [{"name": "a", "image": image}]}
    told = {**spec, **({} if token is None else {"automountServiceAccountToken": token})}
    after = make("Deployment", changes=json.dumps({"spec": {"template": {"spec": told}}}))
    found = judge([make("Deployment", changes=SERVED), role, make("RoleBinding", changes=account)], [after])
    assert [one.level for one in found if one.about == "ServiceAccount/x rights"] == [level]


def test_an_object_that_drops_a_part_of_its_name_that_others_bear_is_renamed() -> None:
    old, new = (
        make("Service", name=name, changes="{spec: {selector: {app: x, release: x}}}", labels={"app": "x", "a": "x"})
        for name in ("x-x", "x")
    )
    assert [one.meaning for one in judge([old], [new])] == ["renamed: clients that call the old name reach nothing"]


@pytest.mark.parametrize(("kind", "place"), [("Deployment", "{spec: {template: {metadata: %s}}}"), ("Service", None)])
@pytest.mark.parametrize("key", ["app.kubernetes.io/version", "chart", "helm.sh/chart"])
def test_nobody_selects_by_a_label_that_each_version_changes(kind: str, place: str | None, key: str) -> None:
    said = f"{{labels: {{{key}: x-1}}}}"
    old = make(kind, changes=place % said if place else f"{{metadata: {said}}}")
    assert highest(one.level for one in judge([old], [make(kind)])) == "minor"


ANNOTATED = "apiVersion: {}\nkind: {}\nmetadata: {{name: x, annotations: {{{}}}}}\n"
NAMED = "external-dns.alpha.kubernetes.io/hostname: "
NGINX = "nginx.ingress.kubernetes.io/"


@pytest.mark.parametrize(
    ("kind", "was", "now", "level"),
    [
        ("Service", f"{NAMED}a.example", f"{NAMED}b.example", "major"),
        ("Service", f"{NAMED}a.example", "", "major"),
        ("Ingress", f"{NAMED}a.example", f"{NAMED}'a.example, b.example'", "minor"),
        ("Ingress", "", f"{NAMED}a.example", "minor"),
        ("Ingress", "", f"{NGINX}whitelist-source-range: 10.0.0.0/8", "major"),
        ("Ingress", f"{NGINX}whitelist-source-range: 10.0.0.0/8", "", "minor"),
        ("Ingress", f"{NGINX}whitelist-source-range: '10.0.0.0/8, 192.168.0.0/16'",
         f"{NGINX}whitelist-source-range: 10.0.0.0/8", "major"),
        ("Ingress", f"{NGINX}allowlist-source-range: 10.0.0.0/9", f"{NGINX}allowlist-source-range: 10.0.0.0/8",
         "minor"),
        ("Ingress", "", f"{NGINX}auth-url: https://a.example", "major"),
        ("Ingress", "", f"{NGINX}proxy-body-size: 1m", "minor"),
    ],
)  # fmt: skip
def test_annotations_by_which_callers_find_their_way(kind: str, was: str, now: str, level: str) -> None:
    version = {"Service": "v1", "Ingress": "networking.k8s.io/v1"}[kind]
    old, new = (read_manifests(ANNOTATED.format(version, kind, one)) for one in (was, now))
    assert [one.level for one in judge_objects(old, new, Scene())] == [level]
