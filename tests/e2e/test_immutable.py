"""What the judge calls refused by the API server is refused by one, and what it does not call so is accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from scripts.chart.manifests import Document, Manifests
from scripts.cluster.api import Api
from scripts.core.errors import ApiError
from scripts.judge.objects import Scene, judge_objects
from tests.e2e.charts import new_namespace

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
NAMESPACE = "judged"

_MAIN = "name: a, image: 'localhost/none:1'"
_POD = f"{{containers: [{{{_MAIN}}}]}}"
_TEMPLATE = f"{{metadata: {{labels: {{a: b}}}}, spec: {_POD}}}"
_TASK = f"{{spec: {{restartPolicy: Never, {_POD[1:-1]}}}}}"
_HOOK = "{name: a.example.com, sideEffects: None, admissionReviewVersions: [v1], clientConfig: {url: 'https://a.b'}}"
OBJECTS = f"""
Deployment: {{apiVersion: apps/v1, spec: {{replicas: 0, selector: {{matchLabels: {{a: b}}}}, template: {_TEMPLATE}}}}}
DaemonSet: {{apiVersion: apps/v1, spec: {{selector: {{matchLabels: {{a: b}}}}, template: {_TEMPLATE}}}}}
StatefulSet:
  apiVersion: apps/v1
  spec:
    replicas: 0
    serviceName: one
    selector: {{matchLabels: {{a: b}}}}
    template: {_TEMPLATE}
    volumeClaimTemplates:
      - metadata: {{name: d, labels: {{v: "1"}}}}
        spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
Job: {{apiVersion: batch/v1, spec: {{completions: 2, template: {_TASK}}}}}
CronJob:
  apiVersion: batch/v1
  spec: {{schedule: "0 0 1 1 *", jobTemplate: {{spec: {{template: {_TASK}}}}}}}
Pod: {{apiVersion: v1, spec: {{containers: [{{name: a, image: 'localhost/none:1', env: [{{name: A, value: b}}]}}]}}}}
Service: {{apiVersion: v1, spec: {{selector: {{a: b}}, ports: [{{name: http, port: 80}}]}}}}
ConfigMap: {{apiVersion: v1, data: {{a: b}}, immutable: true}}
Secret: {{apiVersion: v1, type: Opaque, stringData: {{a: b}}}}
PersistentVolumeClaim:
  apiVersion: v1
  spec: {{storageClassName: none, accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 2Gi}}}}}}
PersistentVolume:
  apiVersion: v1
  spec: {{capacity: {{storage: 1Gi}}, accessModes: [ReadWriteOnce], storageClassName: none, hostPath: {{path: /none}}}}
RoleBinding:
  apiVersion: rbac.authorization.k8s.io/v1
  roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}
  subjects: [{{kind: ServiceAccount, name: default, namespace: {NAMESPACE}}}]
ClusterRoleBinding:
  apiVersion: rbac.authorization.k8s.io/v1
  roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}
  subjects: []
StorageClass: {{apiVersion: storage.k8s.io/v1, provisioner: example.com/p, parameters: {{type: a}}}}
PriorityClass: {{apiVersion: scheduling.k8s.io/v1, value: 5}}
IngressClass: {{apiVersion: networking.k8s.io/v1, spec: {{controller: example.com/c}}}}
RuntimeClass: {{apiVersion: node.k8s.io/v1, handler: one}}
CSIDriver: {{apiVersion: storage.k8s.io/v1, spec: {{attachRequired: true, podInfoOnMount: false}}}}
EndpointSlice: {{apiVersion: discovery.k8s.io/v1, addressType: IPv4, endpoints: [], ports: []}}
PodDisruptionBudget: {{apiVersion: policy/v1, spec: {{minAvailable: 1, selector: {{matchLabels: {{a: b}}}}}}}}
ResourceQuota: {{apiVersion: v1, spec: {{hard: {{pods: 100}}}}}}
NetworkPolicy: {{apiVersion: networking.k8s.io/v1, spec: {{podSelector: {{}}, policyTypes: [Ingress]}}}}
Ingress:
  apiVersion: networking.k8s.io/v1
  spec: {{ingressClassName: one, defaultBackend: {{service: {{name: a, port: {{number: 80}}}}}}}}
HorizontalPodAutoscaler:
  apiVersion: autoscaling/v2
  spec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: a}}, maxReplicas: 2}}
ValidatingWebhookConfiguration:
  apiVersion: admissionregistration.k8s.io/v1
  webhooks: [{_HOOK}]
"""
_CLUSTER_WIDE = {"PersistentVolume", "ClusterRoleBinding", "StorageClass", "PriorityClass", "IngressClass"}
_CLUSTER_WIDE |= {"RuntimeClass", "CSIDriver", "ValidatingWebhookConfiguration"}
CHANGES = [
    ("Deployment", "{spec: {selector: {matchLabels: {a: c}}, template: {metadata: {labels: {a: c}}}}}"),
    ("Deployment", "{spec: {template: {metadata: {labels: {a: c}}}}}"),
    ("Deployment", "{spec: {strategy: {type: Recreate}}}"),
    ("Deployment", "{spec: {template: {metadata: {labels: {a: b, more: x}}}}}"),
    ("DaemonSet", "{spec: {selector: {matchLabels: {a: c}}, template: {metadata: {labels: {a: c}}}}}"),
    ("DaemonSet", "{spec: {updateStrategy: {type: OnDelete}}}"),
    ("StatefulSet", "{spec: {serviceName: two}}"),
    ("StatefulSet", "{spec: {podManagementPolicy: Parallel}}"),
    ("StatefulSet", "{spec: {podManagementPolicy: OrderedReady}}"),
    ("StatefulSet", "{spec: {volumeClaimTemplates: [{metadata: {name: d, labels: {v: '2'}}, spec: {accessModes: "
                    "[ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]}}"),
    ("StatefulSet", "{spec: {volumeClaimTemplates: [{metadata: {name: d, labels: {v: '1'}}, spec: {accessModes: "
                    "[ReadWriteOnce], volumeMode: Filesystem, resources: {requests: {storage: 1Gi}}}}]}}"),
    ("StatefulSet", "{spec: {updateStrategy: {type: OnDelete}, minReadySeconds: 3, revisionHistoryLimit: 3}}"),
    ("StatefulSet", "{spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Retain}}}"),
    ("Job", "{spec: {template: {metadata: {labels: {helm.sh/chart: x-2}}}}}"),
    ("Job", "{spec: {template: {spec: {containers: [{name: a, image: 'localhost/none:2'}]}}}}"),
    ("Job", "{spec: {completions: 3}}"),
    ("Job", "{spec: {backoffLimit: 2, parallelism: 2, ttlSecondsAfterFinished: 5, activeDeadlineSeconds: 9}}"),
    ("Job", "{spec: {backoffLimit: 6}}"),
    ("CronJob", "{spec: {schedule: '0 1 1 1 *', concurrencyPolicy: Forbid}}"),
    ("Pod", "{spec: {containers: [{name: a, image: 'localhost/none:2', env: [{name: A, value: b}]}]}}"),
    ("Pod", "{spec: {containers: [{name: a, image: 'localhost/none:1', env: [{name: A, value: c}]}]}}"),
    ("Pod", "{spec: {tolerations: [{key: x, operator: Exists, effect: NoExecute}]}}"),
    ("Pod", "{spec: {nodeSelector: {a: b}}}"),
    ("Service", "{spec: {clusterIP: None}}"),
    ("Service", "{spec: {type: NodePort}}"),
    ("Service", "{spec: {selector: {a: c}, ports: [{name: web, port: 81}]}}"),
    ("ConfigMap", "{data: {a: c}}"),
    ("ConfigMap", "{immutable: null}"),
    ("ConfigMap", "{metadata: {labels: {a: b}}}"),
    ("Secret", "{type: example.com/other}"),
    ("Secret", "{stringData: {a: c}}"),
    ("PersistentVolumeClaim", "{spec: {storageClassName: other}}"),
    ("PersistentVolumeClaim", "{spec: {accessModes: [ReadWriteMany]}}"),
    ("PersistentVolumeClaim", "{spec: {resources: {requests: {storage: 1Gi}}}}"),
    ("PersistentVolumeClaim", "{spec: {volumeMode: Filesystem}}"),
    ("PersistentVolume", "{spec: {hostPath: {path: /other}}}"),
    ("PersistentVolume", "{spec: {persistentVolumeReclaimPolicy: Delete, mountOptions: [ro]}}"),
    ("RoleBinding", "{roleRef: {name: edit}}"),
    ("RoleBinding", "{subjects: []}"),
    ("ClusterRoleBinding", "{roleRef: {name: edit}}"),
    ("StorageClass", "{provisioner: example.com/q}"),
    ("StorageClass", "{parameters: {type: b}}"),
    ("StorageClass", "{reclaimPolicy: Retain}"),
    ("StorageClass", "{reclaimPolicy: Delete}"),
    ("StorageClass", "{volumeBindingMode: WaitForFirstConsumer}"),
    ("StorageClass", "{mountOptions: [ro]}"),
    ("StorageClass", "{allowVolumeExpansion: true}"),
    ("PriorityClass", "{value: 6}"),
    ("PriorityClass", "{preemptionPolicy: Never}"),
    ("PriorityClass", "{description: words}"),
    ("IngressClass", "{spec: {controller: example.com/d}}"),
    ("RuntimeClass", "{handler: two}"),
    ("CSIDriver", "{spec: {attachRequired: false}}"),
    ("CSIDriver", "{spec: {podInfoOnMount: true}}"),
    ("EndpointSlice", "{addressType: IPv6}"),
    ("PodDisruptionBudget", "{spec: {selector: {matchLabels: {a: c}}}}"),
    ("ResourceQuota", "{spec: {scopes: [BestEffort]}}"),
    ("ResourceQuota", "{spec: {scopes: [], hard: {pods: 200}}}"),
    ("NetworkPolicy", "{spec: {podSelector: {matchLabels: {a: b}}}}"),
    ("Ingress", "{spec: {ingressClassName: two}}"),
    ("Deployment", "{spec: {strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}}}"),
    ("Deployment", "{spec: {strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}}}"),
    ("DaemonSet", "{spec: {updateStrategy: {rollingUpdate: {maxSurge: 1}}}}"),
    ("DaemonSet", "{spec: {updateStrategy: {rollingUpdate: {maxUnavailable: 0}}}}"),
    ("DaemonSet", "{spec: {updateStrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}}}"),
    ("PodDisruptionBudget", "{spec: {maxUnavailable: 1}}"),
    ("Service", "{spec: {ports: [{name: a, port: 1}, {port: 2}]}}"),
    ("Service", "{spec: {ports: [{name: a, port: 1}, {name: a, port: 2}]}}"),
    ("Service", "{spec: {ports: [{port: 1}]}}"),
    ("Service", "{spec: {ports: [{name: a, port: 1}, {name: b, port: 1}]}}"),
    ("Service", "{spec: {ports: [{name: a, port: 1}, {name: b, port: 1, protocol: UDP}]}}"),
    ("CronJob", "{spec: {jobTemplate: {spec: {template: {spec: {restartPolicy: Always}}}}}}"),
    ("Deployment", "{spec: {template: {spec: {restartPolicy: Never}}}}"),
    ("HorizontalPodAutoscaler", "{spec: {minReplicas: 3}}"),
    ("HorizontalPodAutoscaler", "{spec: {minReplicas: 2}}"),
    ("ValidatingWebhookConfiguration", f"{{webhooks: [{_HOOK.replace('None', 'Some')}]}}"),
    ("ValidatingWebhookConfiguration", f"{{webhooks: [{_HOOK.replace('None', 'NoneOnDryRun')}]}}"),
    ("ValidatingWebhookConfiguration", f"{{webhooks: [{_HOOK.replace('None', 'None, timeoutSeconds: 31')}]}}"),
    *(
        ("Deployment", f"{{spec: {{template: {{spec: {{containers: [{{{_MAIN}, {more}}}]}}}}}}}}")
        for more in (
            "livenessProbe: {exec: {command: [a]}, tcpSocket: {port: 1}}",
            "readinessProbe: {periodSeconds: 5}",
            "livenessProbe: {exec: {command: [a]}, successThreshold: 2}",
            "readinessProbe: {exec: {command: [a]}, successThreshold: 2}",
            "lifecycle: {preStop: {exec: {command: [a]}, sleep: {seconds: 1}}}",
            "resources: {limits: {cpu: 1}, requests: {cpu: 1100m}}",
            "resources: {limits: {cpu: 1}, requests: {cpu: 1000m, memory: 1Gi}}",
            "env: [{name: e, value: a, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]",
            "volumeMounts: [{name: v, mountPath: /v}]",
            "ports: [{name: p, containerPort: 80}, {name: p, containerPort: 81}]",
            "ports: [{name: p, containerPort: 80}, {name: q, containerPort: 80}]",
            "ports: [{name: p, containerPort: 80}, {name: q, containerPort: 80, protocol: UDP}]",
            "env: [{name: e, value: a}, {name: e, value: b}]",
            "ports: [{name: a-name-far-too-long, containerPort: 80}]",
            "ports: [{containerPort: 65536}]",
            "ports: [{containerPort: 80, hostPort: 65535}]",
            "resources: {limits: {memory: 512MB}}",
            "resources: {limits: {memory: 1e3}}",
            "resources: {limits: {cpu: -1}}",
            "imagePullPolicy: always",
            "lifecycle: {preStop: {sleep: {seconds: 31}}}",
            "lifecycle: {preStop: {sleep: {seconds: 30}}}",
        )
    ),
    *(
        ("Deployment", f"{{spec: {{template: {{spec: {{{more}}}}}}}}}")
        for more in (
            "volumes: [{name: v, emptyDir: {}}], containers: [{name: a, image: b, volumeMounts: [{name: v, mountPath: \
/v, subPath: a/../b}]}]",
            "volumes: [{name: v, emptyDir: {}}], containers: [{name: a, image: b, volumeMounts: [{name: v, mountPath: \
/v, subPath: a..b}]}]",
            "volumes: [{name: v, configMap: {name: a, defaultMode: 644}}]",
            "volumes: [{name: v, configMap: {name: a, defaultMode: 0644}}]",
            "volumes: [{name: V, emptyDir: {}}]",
            "volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: a, expirationSeconds: 599}}]}}]",
            "volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: a, expirationSeconds: 600}}]}}]",
            "activeDeadlineSeconds: 9",
            "tolerations: [{operator: Exists, value: a}]",
            "tolerations: [{operator: Exists}]",
            "tolerations: [{key: a, operator: Exists, tolerationSeconds: 9}]",
            "tolerations: [{key: a, operator: Exists, effect: NoExecute, tolerationSeconds: 9}]",
            "initContainers: [{name: a, image: b}]",
            "containers: [{name: C_1, image: b}]",
            "topologySpreadConstraints: [{maxSkew: 0, topologyKey: a, whenUnsatisfiable: DoNotSchedule}]",
            "topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: Never}]",
            "affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 0, \
podAffinityTerm: {topologyKey: a}}]}}",
            "affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, \
podAffinityTerm: {topologyKey: a}}]}}",
        )
    ),
    ("Deployment", "{spec: {minReadySeconds: 60, progressDeadlineSeconds: 60}}"),
    ("Deployment", "{spec: {minReadySeconds: 60, progressDeadlineSeconds: 61}}"),
    ("Deployment", "{spec: {minReadySeconds: 600}}"),
    ("Deployment", "{metadata: {labels: {a: b c}}}"),
    ("Deployment", "{metadata: {labels: {a: ''}}}"),
    ("Service", "{spec: {externalTrafficPolicy: Local}}"),
    ("Service", "{spec: {externalTrafficPolicy: Cluster}}"),
    ("Service", "{spec: {type: NodePort, externalTrafficPolicy: Local}}"),
    ("Service", "{spec: {loadBalancerSourceRanges: [10.0.0.0/8]}}"),
    ("Service", "{spec: {loadBalancerClass: a.b/c}}"),
    ("Service", "{spec: {ports: [{name: http, port: 80, nodePort: 30080}]}}"),
    ("CronJob", "{spec: {schedule: '61 * * * *'}}"),
    ("CronJob", "{spec: {schedule: '* * * *'}}"),
    ("CronJob", "{spec: {schedule: '*/5 1-3,7 * JAN MON'}}"),
    ("CronJob", "{spec: {schedule: '0 0 1-31/2 * SUN-SAT'}}"),
    ("CronJob", "{spec: {schedule: '* * 0 * *'}}"),
    ("CronJob", "{spec: {schedule: '* * * 13 *'}}"),
    ("CronJob", "{spec: {schedule: '* * * * 7'}}"),
    ("CronJob", "{spec: {schedule: '5-1 * * * *'}}"),
    ("CronJob", "{spec: {schedule: 'a * * * *'}}"),
    ("CronJob", "{spec: {schedule: '? ? ? ? ?'}}"),
    ("CronJob", "{spec: {schedule: '@every 90m'}}"),
    ("CronJob", "{spec: {schedule: '@daily'}}"),
    ("CronJob", "{spec: {schedule: '@fortnightly'}}"),
    ("CronJob", "{spec: {schedule: 'TZ=UTC * * * * *'}}"),
    ("CronJob", "{spec: {schedule: '*/0 * * * *'}}"),
    ("CronJob", "{spec: {schedule: '*-5 * * * *'}}"),
    ("CronJob", "{spec: {schedule: '1-*/2 * * * *'}}"),
    ("CronJob", "{spec: {schedule: '007 09,08 * * fri'}}"),
    ("CronJob", "{spec: {schedule: '@every 1.5h30m'}}"),
    ("CronJob", "{spec: {schedule: '@every day'}}"),
    ("ConfigMap", "{immutable: null, data: {..a: ''}}"),
    ("ConfigMap", "{metadata: {labels: {a: -b}}}"),
    ("Secret", "{data: {.a: ''}}"),
    ("Secret", "{data: {a/b: ''}}"),
    ("Secret", "{data: {..: ''}}"),
]  # fmt: skip


def merged(base: Any, over: Any) -> Any:
    """`over` laid over `base`; null takes away."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    both = {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}
    return {key: value for key, value in both.items() if value is not None}


def before(kind: str) -> dict[str, Any]:
    """The object of a kind as it is before any change."""
    where = {} if kind in _CLUSTER_WIDE else {"namespace": NAMESPACE}
    return {"kind": kind, "metadata": {"name": f"judged-{kind.lower()}", **where}, **yaml.safe_load(OBJECTS)[kind]}


@pytest.fixture(scope="module")
def there(api: Api) -> Iterator[None]:
    """Every object in the cluster, gone afterwards."""
    with new_namespace(api, NAMESPACE):
        for kind in yaml.safe_load(OBJECTS):
            api.apply(before(kind))
        yield
        for kind in _CLUSTER_WIDE:
            api.delete(kind, before(kind)["metadata"]["name"])


@pytest.mark.parametrize(("kind", "changes"), CHANGES, ids=[f"{kind} {changes}"[:60] for kind, changes in CHANGES])
@pytest.mark.usefixtures("there")
def test_the_api_server_is_of_the_judges_opinion(kind: str, changes: str, api: Api) -> None:
    old, new = before(kind), merged(before(kind), yaml.safe_load(changes))
    reasons = judge_objects(Manifests((Document(old),)), Manifests((Document(new),)), Scene(NAMESPACE))
    expected = [reason for reason in reasons if "refused by the API server" in reason.meaning]
    try:
        api.apply(new, dry_run=True)
        refusal = None
    except ApiError as error:
        refusal = error.text
    assert (refusal is not None) == bool(expected), refusal or expected
