"""Who owns a field: two server-side managers of one manifest, people beside Helm, and a scaler that comes and goes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.chart.manifests import read_manifests
from scripts.cluster.api import Api
from scripts.cluster.kind import KindCluster
from scripts.core.command import Result, Runner
from scripts.toolchain.crds import CRD_SETS, crd_files
from scripts.toolchain.finder import Toolchain
from tests.e2e import charts
from tests.render.everything import EVERYTHING, merged
from tests.render.figures import INGRESS, ROUTE_MANAGER
from tests.render.harness import CHART

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FORCED = ("--server-side=true", "--force-conflicts")
SETS: dict[str, tuple[str, ...]] = {
    "default": (),
    "dev": ("values-dev.yaml",),
    "staging": ("values-staging.yaml",),
    "prod": ("values-prod.yaml",),
}


@pytest.fixture(scope="module")
def kubectl(made: KindCluster, runner: Runner, toolchain: Toolchain) -> Callable[..., Result]:
    """Runs kubectl on the cluster; `check` as in Runner.run."""

    def run(*words: str, **options: Any) -> Result:
        return runner.run([toolchain.path("kubectl"), "--kubeconfig", made.kubeconfig, *words], **options)

    return run


@pytest.fixture(scope="module")
def helm(made: KindCluster, runner: Runner, toolchain: Toolchain) -> Callable[..., Result]:
    """Runs helm on the cluster with values on its stdin where the command takes some."""

    def run(*words: str, values: dict[str, Any] | None = None, check: bool = True) -> Result:
        argv: list[str | Path] = [toolchain.path("helm"), *words, "--kubeconfig", made.kubeconfig]
        if values is not None:
            argv += ["--values", "-"]
        stdin = None if values is None else json.dumps(values)
        result = runner.run(argv, stdin=stdin, check=check, deadline=240)
        print(f"$ helm {' '.join(words)}: {result.status} in {result.seconds:.0f} s", file=sys.stderr)
        return result

    return run


@pytest.fixture(scope="module")
def definitions(kubectl: Callable[..., Result], toolchain: Toolchain) -> None:
    """The kinds of every operator that the chart knows."""
    for name in CRD_SETS:
        files = [word for file in crd_files(name, toolchain) for word in ("--filename", str(file))]
        kubectl("apply", "--server-side", *files)
        kubectl("wait", "--for=condition=Established", "--timeout=60s", *files)


def listening(api: Api) -> dict[str, Any]:
    """Values by which both components are a server out of what every node has: ready at once, gone at once."""
    repository, _, tag = charts.in_node_images(api.list("Node"), "etcd").rpartition(":")

    def component(port: int) -> dict[str, Any]:
        urls = [f"--listen-client-urls=http://0.0.0.0:{port}", f"--advertise-client-urls=http://localhost:{port}"]
        probe = {"custom": {"tcpSocket": {"port": port}, "periodSeconds": 1}}
        return {
            "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
            "command": ["etcd", "--data-dir=/data", "--listen-peer-urls=http://localhost:2380", *urls],
            **dict.fromkeys(("startupProbe", "readinessProbe", "livenessProbe"), probe),
            "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}},
            # etcd writes 64 MiB at once, the limit of /tmp: the kubelet evicts such pods when it looks at them in time
            "extraVolumes": [{"name": "data", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "data", "mountPath": "/data"}],
        }

    return {
        "global": {"namespace": ""},
        "ingress": component(8080),
        "routeManager": component(50051),
        "shutdown": {"preStopSeconds": 1, "terminationGracePeriodSeconds": 5},
        "tests": {"enabled": False},
    }


@pytest.fixture
def namespace(api: Api, request: pytest.FixtureRequest) -> Iterator[str]:
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.lower())[-50:].strip("-")
    with charts.new_namespace(api, name, wait=None) as namespace:
        yield namespace


def unlike(rendered: Any, live: Any, where: str) -> Iterator[str]:
    """Where a live object does not hold what was rendered; what the API server adds is not looked at."""
    if isinstance(rendered, dict) and isinstance(live, dict):
        for key, value in rendered.items():
            if key not in live:
                yield f"{where}.{key}: {value!r} is gone"
            else:
                yield from unlike(value, live[key], f"{where}.{key}")
    elif isinstance(rendered, list) and isinstance(live, list) and len(rendered) == len(live):
        for index, (mine, its) in enumerate(zip(rendered, live, strict=True)):
            yield from unlike(mine, its, f"{where}[{index}]")
    elif rendered != live:
        yield f"{where}: {rendered!r} became {live!r}"


@pytest.mark.parametrize("name", [*SETS, "everything"])
def test_a_second_manager_of_the_manifest_meets_no_conflict(
    name: str,
    namespace: str,
    helm: Callable[..., Result],
    kubectl: Callable[..., Result],
    definitions: None,
    tmp_path: Path,
) -> None:
    """Helm installs; others apply the same manifest server-side, without force; and what lives is what was said."""
    here = {"namespace": ""}
    values = merged(EVERYTHING if name == "everything" else {}, {"global": here, "tests": {"enabled": False}})
    values = merged(values, {"prometheusOperator": {"serviceMonitor": here, "prometheusRule": here}})
    files = [word for file in SETS.get(name, ()) for word in ("--values", str(CHART / file))]
    helm("install", "gati", str(CHART), "--namespace", namespace, *files, values=values)
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(helm("get", "manifest", "gati", "--namespace", namespace).stdout, encoding="utf-8")
    for manager in ("argocd-controller", "somebody-else"):
        kubectl("apply", "--server-side", f"--field-manager={manager}", "--filename", str(manifest))
    found: list[str] = []
    for document in read_manifests(manifest.read_text(encoding="utf-8")):
        group = document.api_version.rpartition("/")[0].partition("/")[0]
        words = ("get", f"{document.kind}.{group}".rstrip("."), document.name, "--namespace", namespace)
        live = json.loads(kubectl(*words, "--output", "json").stdout)
        found += unlike(dict(document.data), live, f"{document.kind}/{document.name}")
    assert not found


@contextmanager
def sizes(api: Api, namespace: str) -> Iterator[list[int]]:
    """How many replicas the Deployment of the ingress asked for while the block ran, once that is over."""
    asked: list[int] = []
    with api.watch(("Deployment",), namespace) as watch:
        yield asked
        changes = [change.object for change in watch.changes("Deployment")]
        asked += [item["spec"]["replicas"] for item in changes if item["metadata"]["name"] == INGRESS]


@pytest.mark.parametrize("way", ["handover", "by hand"])
@pytest.mark.parametrize("made_by", ["helm 4", "helm 3"])
def test_a_scaler_comes_and_goes_as_the_guide_says(
    made_by: str, way: str, namespace: str, api: Api, helm: Callable[..., Result], kubectl: Callable[..., Result]
) -> None:
    """By both ways of the guide, for releases of either method; Helm 3's is Helm 4's --server-side=false."""
    values = listening(api)
    method = ("--server-side=false",) if made_by == "helm 3" else ()
    upgrade = ("upgrade", "gati", str(CHART), "--namespace", namespace, "--wait", "--timeout", "2m")
    helm("install", "gati", str(CHART), "--namespace", namespace, "--wait", "--timeout", "2m", *method, values=values)
    with sizes(api, namespace) as on:
        if way == "by hand":
            kubectl("scale", "deployment", INGRESS, "--namespace", namespace, "--replicas=3")
        else:
            handover = {"ingress": {"hpa": {"enabled": True, "minReplicas": 3, "handover": True}}}
            helm(*upgrade, *FORCED, "--rollback-on-failure", values=merged(values, handover))
            raised = "--for=jsonpath={.status.readyReplicas}=3"
            kubectl("wait", f"deployment/{INGRESS}", "--namespace", namespace, raised, "--timeout=120s", deadline=130)
        helm(*upgrade, *FORCED, "--rollback-on-failure", values=merged(values, {"ingress": {"hpa": {"enabled": True}}}))
    assert min(on) >= 2
    with sizes(api, namespace) as off:
        helm(*upgrade, *FORCED, "--rollback-on-failure", values=merged(values, {"ingress": {"replicaCount": 3}}))
    assert min(off) >= 2
    assert json.loads(helm("status", "gati", "--namespace", namespace, "--output", "json").stdout)["info"][
        "status"
    ] == ("deployed")


def test_without_a_word_before_the_switch_one_pod_is_left(
    namespace: str, api: Api, helm: Callable[..., Result]
) -> None:
    """Why the guide has the first of its two commands."""
    values = listening(api)
    helm("install", "gati", str(CHART), "--namespace", namespace, "--wait", "--timeout", "2m", values=values)
    with sizes(api, namespace) as on:
        switched = merged(values, {"ingress": {"hpa": {"enabled": True}}})
        helm("upgrade", "gati", str(CHART), "--namespace", namespace, *FORCED, values=switched)
    assert min(on) == 1


@pytest.mark.parametrize("made_by", ["helm 4", "helm 3"])
def test_what_was_scaled_by_hand_stands_in_no_upgrade_and_no_rollback(
    made_by: str, namespace: str, api: Api, helm: Callable[..., Result], kubectl: Callable[..., Result]
) -> None:
    values = listening(api)
    method = ("--server-side=false",) if made_by == "helm 3" else ()
    about = (str(CHART), "--namespace", namespace, "--wait")
    helm("install", "gati", *about, "--timeout", "2m", *method, values=values)
    kubectl("scale", "deployment", INGRESS, "--namespace", namespace, "--replicas=4")
    if made_by == "helm 4":
        plain = helm("upgrade", "gati", *about, "--timeout", "2m", values=values, check=False)
        assert plain.status != 0
        assert "conflict" in plain.stderr
    helm("upgrade", "gati", *about, "--timeout", "2m", *FORCED, "--rollback-on-failure", values=values)
    good = history(helm, namespace)[-1]

    kubectl("scale", "deployment", INGRESS, "--namespace", namespace, "--replicas=3")
    never = {"custom": {"tcpSocket": {"port": 1}, "periodSeconds": 1}}
    broken = merged(values, {"ingress": {"readinessProbe": never}})
    failed = helm(
        "upgrade", "gati", *about, "--timeout", "20s", *FORCED, "--rollback-on-failure", values=broken, check=False
    )
    assert "rolled back" in failed.stderr
    last, before = history(helm, namespace)[-1], history(helm, namespace)[-2]
    assert (before["status"], last["status"]) == ("failed", "deployed"), "so plain `helm rollback` would return to it"

    helm("rollback", "gati", str(good["revision"]), "--namespace", namespace, "--wait", "--timeout", "2m", *FORCED)
    assert history(helm, namespace)[-1]["status"] == "deployed"
    deployments = api.list("Deployment", namespace)
    assert {item["metadata"]["name"] for item in deployments} == {INGRESS, ROUTE_MANAGER}
    (ingress,) = [item for item in deployments if item["metadata"]["name"] == INGRESS]
    assert ingress["status"]["readyReplicas"] == 2


def history(helm: Callable[..., Result], namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        helm("history", "gati", "--namespace", namespace, "--output", "json").stdout
    )
    return found
