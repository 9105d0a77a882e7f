"""What pods need from one version to the next that the chart does not make."""

from __future__ import annotations

import pytest

from scripts.chart.manifests import Manifests, read_manifests
from scripts.judge.objects import Scene, judge_objects

POD = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: x}}
spec: {{template: {{spec: {{containers: [{{name: a, image: x, {container}}}], volumes: [{volumes}]}}}}}}
---
{more}
"""


def render(container: str = "args: []", volumes: str = "", more: str = "") -> Manifests:
    return read_manifests(POD.format(container=container, volumes=volumes, more=more))


SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: certs}\n"
MOUNTED = "{name: b, secret: {secretName: certs}}"


@pytest.mark.parametrize(
    ("new", "needs"),
    [
        (render(volumes=MOUNTED), ["Secret/certs"]),
        (render(volumes="], priorityClassName: gold, a: ["), ["PriorityClass/gold"]),
        (render(volumes="], priorityClassName: system-node-critical, serviceAccountName: default, a: ["), []),
        (render(volumes="], serviceAccountName: robot, a: [", more=SECRET), ["ServiceAccount/robot"]),
        (
            render(
                volumes="], serviceAccountName: robot, a: [",
                more=SECRET.replace("Secret", "ServiceAccount").replace("certs", "robot"),
            ),
            [],
        ),
        (render("env: [{name: A, valueFrom: {secretKeyRef: {name: login, key: a}}}]"), ["Secret/login"]),
        (render("envFrom: [{configMapRef: {name: settings}}]"), ["ConfigMap/settings"]),
        (render(volumes="{name: b, persistentVolumeClaim: {claimName: data}}"), ["PersistentVolumeClaim/data"]),
        (render(volumes="{name: b, projected: {sources: [{secret: {name: certs}}]}}"), ["Secret/certs"]),
        (render(volumes="{name: b, secret: {secretName: certs, optional: true}}"), []),
        (render(volumes="{name: b, configMap: {name: kube-root-ca.crt}}"), []),
        (render(volumes=MOUNTED, more=SECRET), []),
        (render(volumes=MOUNTED, more="kind: Certificate\nmetadata: {name: x}\nspec: {secretName: certs}\n"), []),
        (render("args: ['--make-secret=certs']", MOUNTED), []),
        (render("volumeMounts: [{name: certs, mountPath: /certs}]", MOUNTED.replace("b,", "certs,")), ["Secret/certs"]),
        (
            render(volumes=MOUNTED, more="kind: Service\nmetadata: {name: x}\nspec: {selector: {a: certs}}\n"),
            ["Secret/certs"],
        ),
        (render(volumes=MOUNTED, more="kind: Ingress\nmetadata: {name: x}\nspec: {tls: [{secretName: certs}]}\n"), []),
    ],
    ids=[
        "volume",
        "class",
        "everywhere's names",
        "account",
        "account made",
        "env",
        "envFrom",
        "claim",
        "projected",
        "optional",
        "everywhere",
        "made",
        "operator",
        "itself",
        "named alike inside",
        "selected alike",
        "an operator by an Ingress",
    ],
)
def test_what_has_to_be_made_first(new: Manifests, needs: list[str]) -> None:
    told = [one for one in judge_objects(render(), new, Scene()) if one.about == "Deployment/x needs"]
    assert [(reason.level, reason.new) for reason in told] == [("major", need) for need in needs]
    assert list(judge_objects(new, new, Scene())) == []


CUSTOM = "apiVersion: {group}/v1\nkind: Custom\nmetadata: {{name: {name}}}\n"


@pytest.mark.parametrize(
    ("group", "name", "level"),
    [
        ("postgresql.cnpg.io", "certs", "minor"),  # its very name, as of an ExternalSecret
        ("rabbitmq.com", "ce", "major"),
        ("monitoring.coreos.com", "certs", "major"),
    ],
)
@pytest.mark.parametrize("secret", ["{}", "{}-app", "robot.{}.credentials.postgresql.acid.zalan.do"])
def test_what_an_operator_may_make_for_an_object_of_the_chart(group: str, name: str, level: str, secret: str) -> None:
    mounted = MOUNTED.replace("certs", secret.format("certs"))
    new = render(volumes=mounted, more=CUSTOM.format(group=group, name=name))
    (told,) = (one for one in judge_objects(render(), new, Scene()) if one.about == "Deployment/x needs")
    assert (told.level, told.new) == (level, f"Secret/{secret.format('certs')}")


ASKED = "env: [{{name: A, valueFrom: {{configMapKeyRef: {{name: settings, key: a{more}}}}}}}]"
SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\n{data}\n"


@pytest.mark.parametrize(
    ("more", "data", "lacks"),
    [
        ("", "data: {b: x}", True),
        ("", "data: {a: x}", False),
        ("", "binaryData: {a: eA==}", False),
        ("", "", False),
        (", optional: true", "data: {b: x}", False),
    ],
    ids=["gone", "there", "binary", "filled by somebody else", "optional"],
)
def test_a_key_that_the_charts_own_configmap_no_longer_has(more: str, data: str, lacks: bool) -> None:
    asked = ASKED.format(more=more)
    old, new = (render(asked, more=SETTINGS.format(data=each)) for each in ("data: {a: x, b: x}", data))
    told = [one for one in judge_objects(old, new, Scene()) if one.about == "Deployment/x needs"]
    assert [(one.level, one.new) for one in told] == [("major", "ConfigMap/settings a")] * lacks
    assert list(judge_objects(new, new, Scene())) == []


@pytest.mark.parametrize(
    "volume", ["configMap: {name: settings, items: [{key: %s}]}",
               "projected: {sources: [{configMap: {name: settings, items: [{key: %s}]}}]}"]
)  # fmt: skip
def test_a_key_that_a_volume_takes_from_the_charts_own_configmap(volume: str) -> None:
    made = SETTINGS.format(data="data: {a: x}")
    old, new = (render(volumes=f"{{name: v, {volume % key}}}", more=made) for key in "ab")
    told = [one.new for one in judge_objects(old, new, Scene()) if one.about == "Deployment/x needs"]
    assert told == ["ConfigMap/settings b"]


def test_a_key_that_is_mounted_as_a_file_from_the_charts_own_configmap() -> None:
    made, mount = SETTINGS.format(data="data: {a.conf: x}"), "volumeMounts: [{name: v, mountPath: /etc/a, subPath: %s}]"
    old, new = (
        render(mount % key, "{name: v, configMap: {name: settings}}", made) for key in ("a.conf", "b.conf/inside")
    )
    told = [one.new for one in judge_objects(old, new, Scene()) if one.about == "Deployment/x needs"]
    assert told == ["ConfigMap/settings b.conf"]


PROBED = "ports: [{{name: {}, containerPort: 80}}], readinessProbe: {{httpGet: {{port: http}}}}"
MONITOR = """apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: m}
spec: {selector: {matchLabels: {a: b}}, podMetricsEndpoints: [{port: http}]}
"""


def test_a_port_that_is_asked_for_by_a_name_that_it_has_no_more() -> None:
    labelled = "{{template: {{metadata: {{labels: {{a: b}}}}, spec:"
    old, new = (
        read_manifests(POD.replace("{{template: {{spec:", labelled).format(container=one, volumes="", more=MONITOR))
        for one in (PROBED.format("http"), PROBED.format("web"))
    )
    found = [(one.about, one.new) for one in judge_objects(old, new, Scene()) if one.about.endswith("needs")]
    assert found == [("Deployment/x needs", "port http of a"), ("PodMonitor/m needs", "port http")]
    assert not [one for one in judge_objects(new, new, Scene()) if one.about.endswith("needs")]


SCRAPED = """apiVersion: v1
kind: Service
metadata: {name: x, labels: {a: b}}
spec: {ports: [{name: metrics, port: 80}, {name: http, port: 81}]}
---
"""


@pytest.mark.parametrize(
    ("selector", "needs"), [("{matchLabels: {a: b}}", ["port metricz"]), ("{matchLabels: {a: c}}", [])]
)
def test_a_port_that_no_service_of_the_monitor_has(selector: str, needs: list[str]) -> None:
    text = SCRAPED + MONITOR.replace("podMetricsE", "e").replace("Pod", "Service").replace(
        "{matchLabels: {a: b}}", selector
    )
    old, new, other = (
        read_manifests(text.replace("port: http", f"port: {it}")) for it in ("metrics", "metricz", "http")
    )
    assert [one.new for one in judge_objects(old, new, Scene()) if one.about == "ServiceMonitor/m needs"] == needs
    assert not [one for one in judge_objects(old, other, Scene()) if one.about == "ServiceMonitor/m needs"]
