"""What the API server refuses whatever was before: an upgrade to it fails, so it is as loud as what cannot change."""

from __future__ import annotations

import pytest
import yaml

from scripts.judge.invalid import refusals
from tests.unit.judge.test_objects import judge, make

POD = """{template: {spec: {volumes: [{name: v, emptyDir: {}}], containers: [{name: c, image: a, ports: [{name: p, \
containerPort: 80}], volumeMounts: [{name: v, mountPath: /v}], resources: {limits: {cpu: 1}}}]}}}"""
RESTART = "spec.template.spec.restartPolicy"
CONTAINER = "spec.template.spec.containers[c]"


@pytest.mark.parametrize(
    ("kind", "spec", "path"),
    [
        ("Deployment", "{strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0%}}}", "spec.strategy.rollingUpdate"),
        ("Deployment", "{strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}}", "spec.strategy.rollingUpdate"),
        ("Deployment", "{strategy: {rollingUpdate: {maxUnavailable: 0}}}", ""),
        ("Deployment", "{strategy: {type: null, rollingUpdate: {maxSurge: 1}}}", ""),
        ("DaemonSet", "{updateStrategy: {rollingUpdate: {maxUnavailable: 0}}}", "spec.updateStrategy.rollingUpdate"),
        ("DaemonSet", "{updateStrategy: {rollingUpdate: {maxSurge: 1}}}", "spec.updateStrategy.rollingUpdate"),
        ("DaemonSet", "{updateStrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}}", ""),
        ("Deployment", "{strategy: {rollingUpdate: {maxSurge: '1', maxUnavailable: 25%}}}",
         "spec.strategy.rollingUpdate.maxSurge"),
        ("PodDisruptionBudget", "{maxUnavailable: '1'}", "spec.maxUnavailable"),
        ("PodDisruptionBudget", "{minAvailable: 50%}", ""),
        ("HorizontalPodAutoscaler", "{minReplicas: 3, maxReplicas: 2}", "spec.maxReplicas"),
        ("HorizontalPodAutoscaler", "{minReplicas: 2, maxReplicas: 2}", ""),
        ("PodDisruptionBudget", "{minAvailable: 0, maxUnavailable: 1}", "spec"),
        ("Service", "{ports: [{name: a, port: 1}, {port: 2}]}", "spec.ports"),
        ("Service", "{ports: [{name: a, port: 1}, {name: a, port: 2}]}", "spec.ports"),
        ("Service", "{ports: [{port: 1}]}", ""),
        ("Service", "{ports: [{name: a, port: 1}, {name: b, port: 1, protocol: TCP}]}", "spec.ports"),
        ("Service", "{ports: [{name: a, port: 1}, {name: b, port: 1, protocol: UDP}]}", ""),
        ("Service", "{clusterIP: None, type: LoadBalancer}", "spec.clusterIP"),
        ("Job", "{template: {spec: {restartPolicy: Always}}}", RESTART),
        ("CronJob", "{jobTemplate: {spec: {template: {spec: {}}}}}", f"spec.jobTemplate.{RESTART}"),
        ("Deployment", "{template: {spec: {restartPolicy: Never}}}", RESTART),
        ("StatefulSet", "{volumeClaimTemplates: [{metadata: {name: w}}]}", ""),
        ("Deployment", "{minReadySeconds: 60, progressDeadlineSeconds: 60}", "spec.progressDeadlineSeconds"),
        ("Service", "{externalTrafficPolicy: Local}", "spec.externalTrafficPolicy"),
        ("Service", "{type: NodePort, externalTrafficPolicy: Local, ports: [{port: 1, nodePort: 30080}]}", ""),
        ("Service", "{loadBalancerSourceRanges: [a]}", "spec.loadBalancerSourceRanges"),
        ("Service", "{ports: [{port: 1, nodePort: 30080}]}", "spec.ports[1].nodePort"),
        ("CronJob", "{schedule: '61 * * * *'}", "spec.schedule"),
        ("CronJob", "{schedule: '* * * *'}", "spec.schedule"),
        ("CronJob", "{schedule: '*/5 01-3,7 ? JAN mon-FRI/2'}", ""),
        ("CronJob", "{schedule: 'TZ=UTC * * * * *'}", "spec.schedule"),
        ("CronJob", "{schedule: '* * * * 7'}", "spec.schedule"),
        ("CronJob", "{schedule: '5-1 * * * *'}", "spec.schedule"),
        ("CronJob", "{schedule: 'a * * * *'}", "spec.schedule"),
        ("CronJob", "{schedule: '*/0 * * * *'}", "spec.schedule"),
        ("CronJob", "{schedule: '@fortnightly'}", "spec.schedule"),
        ("CronJob", "{schedule: '@every 90m'}", ""),
    ],
)  # fmt: skip
def test_what_is_refused(kind: str, spec: str, path: str) -> None:
    found = refusals(kind, {"spec": yaml.safe_load(spec)})
    assert [where for where, (_, why) in found.items() if why] == ([path] if path else [])


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("ports: [", "livenessProbe: {exec: {}, grpc: {}}, ports: [", ".livenessProbe"),
        ("ports: [", "readinessProbe: {periodSeconds: 5}, ports: [", ".readinessProbe"),
        ("image: a, ", "", ".image"),
        ("ports: [", "livenessProbe: {exec: {}, successThreshold: 2}, ports: [", ".livenessProbe"),
        ("ports: [", "readinessProbe: {exec: {}, successThreshold: 2}, ports: [", None),
        ("ports: [", "livenessProbe: {exec: {}, successThreshold: null}, ports: [", None),  # which is not there
        ("ports: [", "lifecycle: {preStop: {exec: {}, sleep: {}}}, ports: [", ".lifecycle.preStop"),
        ("limits: {cpu: 1}", "limits: {cpu: 1}, requests: {cpu: 1100m}", ".resources.requests.cpu"),
        ("limits: {cpu: 1}", "limits: {cpu: 1}, requests: {cpu: 1000m, memory: 1Gi}", None),
        ("ports: [", "env: [{name: e, value: a, valueFrom: {}}], ports: [", ".env[e]"),
        ("name: v, mountPath", "name: w, mountPath", ".volumeMounts[/v]"),
        ("mountPath: /v}", "mountPath: /v}, {name: v, mountPath: /v}", ".volumeMounts"),
        ("containerPort: 80}", "containerPort: 80}, {name: p, containerPort: 81}", ".ports"),
        ("containerPort: 80}", "containerPort: 80}, {containerPort: 80}", ".ports"),
        ("containerPort: 80}", "containerPort: 80}, {containerPort: 80, protocol: UDP}", None),
        ("ports: [", "env: [{name: e, value: a}, {name: e, value: b}], ports: [", ".env"),
        (
            "containers: [",
            "imagePullSecrets: [{name: a}, {name: a}], containers: [",
            "spec.template.spec.imagePullSecrets",
        ),
        ("containers: [", "hostAliases: [{ip: '::1'}, {ip: '::1'}], containers: [", "spec.template.spec.hostAliases"),
        ("emptyDir: {}", "emptyDir: {}, secret: {}", "spec.template.spec.volumes[v]"),
        ("emptyDir: {}}", "emptyDir: {}}, {name: v, secret: {}}", "spec.template.spec.volumes[v]"),
        ("name: p,", "name: a-name-far-too-long,", ".ports[a-name-far-too-long].name"),
        ("containerPort: 80", "containerPort: 65536", ".ports[p].containerPort"),
        ("containerPort: 80", "containerPort: 80, hostPort: 65535", None),
        ("{cpu: 1}", "{cpu: 1, memory: 512MB}", ".resources.limits.memory"),
        ("{cpu: 1}", "{cpu: -1}", ".resources.limits.cpu"),
        ("image: a", "image: a, imagePullPolicy: always", ".imagePullPolicy"),
        (
            "emptyDir: {}",
            "configMap: {name: a, defaultMode: 644}",
            "spec.template.spec.volumes[v].configMap.defaultMode",
        ),
        ("emptyDir: {}", "configMap: {name: a, defaultMode: 0644}", None),
        ("mountPath: /v", "mountPath: /v, subPath: a/../b", ".volumeMounts[v].subPath"),
        ("mountPath: /v", "mountPath: /v, subPath: a..b", None),
        ("ports: [", "lifecycle: {preStop: {sleep: {seconds: 31}}}, ports: [", ".lifecycle.preStop"),
        ("ports: [", "lifecycle: {preStop: {sleep: {seconds: 30}}}, ports: [", None),
        ("containers: [", "activeDeadlineSeconds: 9, containers: [", "spec.template.spec.activeDeadlineSeconds"),
        (
            "containers: [",
            "tolerations: [{operator: Exists, value: a}], containers: [",
            "spec.template.spec.tolerations",
        ),
        (
            "containers: [",
            "tolerations: [{key: a, tolerationSeconds: 9}], containers: [",
            "spec.template.spec.tolerations",
        ),
        ("containers: [", "hostNetwork: true, containers: [", None),
        (POD, POD.replace("containers:", "hostNetwork: true, containers:").replace("80", "80, hostPort: 80"), None),
        (
            POD,
            POD.replace("containers:", "hostNetwork: true, containers:").replace("80", "80, hostPort: 81"),
            ".ports[p].hostPort",
        ),
        ("ports: [", "env: [{name: 'a=b', value: c}], ports: [", ".env[a=b].name"),
        ("ports: [", "env: [{name: a.b-C_1}], envFrom: [{prefix: a_}], ports: [", None),
        ("name: c,", "name: C_1,", "spec.template.spec.containers[C_1].name"),
        ("containers: [", "initContainers: [{name: c, image: a}], containers: [", "spec.template.spec.containers"),
        (
            "containers: [",
            "topologySpreadConstraints: [{maxSkew: 0}], containers: [",
            "spec.template.spec.topologySpreadConstraints[0].maxSkew",
        ),
    ],
)
def test_what_is_refused_of_a_pod(old: str, new: str, path: str | None) -> None:
    assert old in POD
    found = refusals("StatefulSet", {"spec": yaml.safe_load(POD.replace(old, new))})
    told = f"{CONTAINER}{path}" if path and path.startswith(".") else path
    assert [where for where, (_, why) in found.items() if why] == ([told] if told else [])


@pytest.mark.parametrize(
    ("kind", "data", "path"),
    [
        ("Secret", "{type: kubernetes.io/tls, data: {tls.crt: ''}, stringData: {key: ''}}", "data"),
        ("Secret", "{type: kubernetes.io/tls, data: {tls.crt: ''}, stringData: {tls.key: ''}}", ""),
        ("Secret", "{type: kubernetes.io/service-account-token}", "metadata.annotations"),
        ("ConfigMap", "{data: {a/b: c}}", "data"),
        ("ConfigMap", "{data: {..a: c}}", "data"),
        ("ConfigMap", "{metadata: {labels: {a: b c}}}", "metadata.labels.a"),
        ("ConfigMap", "{metadata: {labels: {a: '', mode: privileged}}}", ""),
        ("CronJob", "{metadata: {name: " + "c" * 53 + "}}", "metadata.name"),
        ("Role", "{rules: [{nonResourceURLs: [/a]}]}", "rules"),
        ("ClusterRole", "{rules: [{nonResourceURLs: [/a]}]}", ""),
    ],
)
def test_what_is_refused_beside_a_spec(kind: str, data: str, path: str) -> None:
    assert [where for where, (_, why) in refusals(kind, yaml.safe_load(data)).items() if why] == (
        [path] if path else []
    )


def test_a_webhook_says_that_it_has_no_side_effects() -> None:
    for more, path in (
        (", timeoutSeconds: null", ".sideEffects"),
        (", sideEffects: None, timeoutSeconds: 31", ".timeoutSeconds"),
    ):
        hooks = yaml.safe_load(f"{{apiVersion: admissionregistration.k8s.io/v1, webhooks: [{{name: a{more}}}]}}")
        found = refusals("MutatingWebhookConfiguration", hooks)
        assert [where for where, (_, why) in found.items() if why] == [f"webhooks[a]{path}"]


def test_an_upgrade_to_what_is_refused_is_major_and_one_from_it_is_not() -> None:
    idle = "{spec: {strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}}}"
    good, bad = make("Deployment"), make("Deployment", changes=idle)
    for old in ([good], []):
        (reason,) = [one for one in judge(old, [bad]) if one.level == "major"]
        assert reason.about == "Deployment/x spec.strategy.rollingUpdate"
        assert reason.meaning == "refused by the API server: maxSurge and maxUnavailable are both 0"
    assert {one.level for one in judge([bad], [good])} == {"minor"}
    assert not judge([bad], [bad])
    test = [make("Job", changes="{spec: {template: {spec: {restartPolicy: x}}}}", annotations={"helm.sh/hook": "test"})]
    assert {one.level for one in judge([], test)} == {"patch"}


@pytest.mark.parametrize(
    "more",
    [
        "{appArmorProfile: {type: Unconfined}}",
        "{sysctls: [{name: kernel.msgmax, value: '1'}]}",
        "{seLinuxOptions: {type: spc_t}}",
        "{windowsOptions: {hostProcess: true}}",
    ],
)
def test_a_pod_that_baseline_refuses_from_now_on(more: str) -> None:
    sides = [
        make("StatefulSet", changes=f"{{spec: {{template: {{spec: {{securityContext: {one}}}}}}}}}")
        for one in ("{sysctls: [{name: net.ipv4.tcp_syncookies, value: '1'}], seLinuxOptions: {level: s0}}", more)
    ]
    (reason,) = [one for one in judge(sides[:1], sides[1:]) if one.level == "major"]
    assert (reason.about, reason.old, reason.new) == ("StatefulSet/x Pod Security", "baseline", "privileged")
