"""A run on a cluster that is not ours: in namespaces of its own, gone at the end and after Ctrl-C, nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from scripts.chart.manifests import read_manifests
from scripts.cluster.api import Api
from scripts.cluster.kind import KindCluster
from scripts.containers import engine
from scripts.containers.images import SERVICES, VERSIONS, build_services, reference
from scripts.core.command import Runner
from scripts.core.errors import FINDING, OUTSIDE, USAGE
from scripts.toolchain.crds import CRD_SETS, crd_files
from scripts.toolchain.finder import Toolchain
from scripts.workspace import Workspace
from tests.conftest import ROOT
from tests.e2e import charts

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


# Every group that a run needs but that of disruption budgets.
GROUPS = (
    *("", "apps", "batch", "autoscaling", "discovery.k8s.io", "networking.k8s.io", "rbac.authorization.k8s.io"),
    *("monitoring.coreos.com", "keda.sh", "authorization.k8s.io"),
)


@dataclass(frozen=True)
class Foreign:
    """Somebody else's cluster: `context` is in the kubeconfig that `environment` names, results go to `dist`."""

    context: str
    environment: dict[str, str]
    dist: Path

    def report(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads((self.dist / "e2e" / "report.json").read_text()))

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "invoke", "e2e", f"--kube-context={self.context}", "--from=0.1.0", *words]


@pytest.fixture(scope="module")
def images(made: KindCluster, work: Workspace) -> None:
    """The services' images, on the nodes already as if from a registry."""
    with engine.connect() as client:
        build_services(work, client)
    made.load_images(reference(work.config, service, version) for service in SERVICES for version in VERSIONS)


@pytest.fixture
def foreign(made: KindCluster, images: None, tmp_path: Path) -> Foreign:
    environment = {**os.environ, "KUBECONFIG": str(made.kubeconfig), "GATI_DIST": str(tmp_path / "dist")}
    return Foreign(f"kind-{made.name}", environment, tmp_path / "dist")


def namespaces(api: Api) -> set[str]:
    return {item["metadata"]["name"] for item in api.list("Namespace")}


def namespaces_before(api: Api) -> set[str]:
    """Those that there are once what other tests made has gone: a namespace ends for as long as its pods do."""

    def going() -> list[str]:
        return [one["metadata"]["name"] for one in api.list("Namespace") if "deletionTimestamp" in one["metadata"]]

    api.wait(
        lambda: not going() or None, what="the namespaces of other tests to go", deadline=90, state=lambda: str(going())
    )
    return namespaces(api)


def nodes(api: Api) -> list[object]:
    return [(node["metadata"]["name"], node["spec"]) for node in api.list("Node")]


def run(command: list[str], foreign: Foreign) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env=foreign.environment, capture_output=True, text=True, timeout=300)


def test_it_says_what_it_would_touch_and_asks_first(foreign: Foreign, api: Api) -> None:
    before = namespaces_before(api)
    result = run(foreign.command("--scenario=upgrade"), foreign)
    assert result.returncode == USAGE
    assert f"the context {foreign.context}, in new namespaces gati-e2e-*" in result.stdout
    assert "--yes" in result.stderr
    assert namespaces(api) == before


def test_it_leaves_the_cluster_as_it_was(foreign: Foreign, api: Api) -> None:
    before, closed = namespaces_before(api), nodes(api)
    result = run(foreign.command("--scenario=disruption", "--yes"), foreign)
    assert result.returncode == 0, result.stderr
    report = json.loads((foreign.dist / "e2e" / "report.json").read_text())
    assert report["passed"]
    assert report["cluster"]["context"] == foreign.context
    assert namespaces(api) == before
    assert nodes(api) == closed


def test_ctrl_c_removes_its_namespaces(foreign: Foreign, api: Api) -> None:
    before = namespaces_before(api)
    process = subprocess.Popen(
        foreign.command("--scenario=upgrade", "--yes"),
        cwd=ROOT,
        env=foreign.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            pods = api.wait(
                lambda: [pod for pod in api.list("Pod") if "-from-" in pod["metadata"]["namespace"]] or None,
                what="pods of the run",
                deadline=60,
            )
            process.send_signal(signal.SIGINT)
            begin = time.monotonic()
            output, _ = process.communicate(timeout=120)
        finally:
            process.kill()
    assert pods
    assert process.returncode == 130, output
    assert time.monotonic() - begin < 90
    assert namespaces(api) == before
    report = json.loads((foreign.dist / "e2e" / "report.json").read_text())
    assert not report["passed"]


def test_a_context_that_does_not_exist_is_told(foreign: Foreign) -> None:
    command = [word.replace(foreign.context, "nowhere") for word in foreign.command("--scenario=uninstall", "--yes")]
    result = run(command, foreign)
    assert result.returncode == OUTSIDE
    assert "no way to the Kubernetes API of context nowhere" in result.stderr
    assert "Traceback" not in result.stderr


# -- clusters that do not let us, or not always ----------------------------------------------------


def of_few_rights(api: Api, made: KindCluster, foreign: Foreign, rules: list[dict[str, Any]], folder: Path) -> Foreign:
    """The same cluster as somebody who has `rules` and no others."""
    import yaml

    name = "gati-few-rights"
    account = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    rbac, meta = "rbac.authorization.k8s.io/v1", {"metadata": {"name": name}}
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", **meta}, "default")
    api.apply({"apiVersion": rbac, "kind": "ClusterRole", **meta, "rules": rules})
    api.apply({"apiVersion": rbac, "kind": "ClusterRoleBinding", **meta, "roleRef": role, "subjects": [account]})
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {}}
    path = f"/api/v1/namespaces/default/serviceaccounts/{name}/token"
    token = api._send("POST", path, request)["status"]["token"]
    config = yaml.safe_load(made.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return replace(foreign, environment={**foreign.environment, "KUBECONFIG": str(file)})


@pytest.fixture
def forgotten(api: Api) -> Iterator[None]:
    yield
    for kind, namespace in (("ClusterRoleBinding", None), ("ClusterRole", None), ("ServiceAccount", "default")):
        api.delete(kind, "gati-few-rights", namespace)


def test_too_few_rights_are_told_before_anything_is_made(
    foreign: Foreign, made: KindCluster, api: Api, forgotten: None, tmp_path: Path
) -> None:
    looking = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
    before = namespaces_before(api)
    poor = of_few_rights(api, made, foreign, [looking], tmp_path)
    result = run(poor.command("--scenario=uninstall", "--yes"), poor)
    assert result.returncode == OUTSIDE
    assert "this cluster does not let us run on it" in result.stderr
    assert 'apiGroups: ["apps"], resources: [deployments], verbs: [create, delete, patch]' in result.stderr
    assert "pods/eviction" in result.stderr
    assert "Traceback" not in result.stderr
    assert namespaces(api) == before


def test_one_missing_rule_is_named_alone(
    foreign: Foreign, made: KindCluster, api: Api, forgotten: None, tmp_path: Path
) -> None:
    every = [{"apiGroups": [group], "resources": ["*"], "verbs": ["*"]} for group in GROUPS]
    poor = of_few_rights(api, made, foreign, every, tmp_path)
    result = run(poor.command("--scenario=uninstall", "--yes"), poor)
    assert result.returncode == OUTSIDE
    rules = [line.strip() for line in result.stderr.splitlines() if "apiGroups" in line]
    assert rules == [
        '- {apiGroups: ["policy"], resources: [poddisruptionbudgets], verbs: [create, delete, get, list, patch, watch]}'
    ]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "wide"}},
            "ClusterRole wide",
        ),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "wide", "namespace": "default"}},
            "ConfigMap wide in default",
        ),
    ],
    ids=["in none", "in another"],
)
def test_objects_outside_of_its_namespace_are_refused_unless_allowed(
    foreign: Foreign, api: Api, tmp_path: Path, document: dict[str, Any], told: str
) -> None:
    for folder in ("helm/gati", "tests/render/published"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for file in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / file, tmp_path)
    chart = tmp_path / "helm" / "gati"
    (chart / "templates" / "wide.yaml").write_text(json.dumps(document))
    before = namespaces_before(api)
    command = foreign.command("--scenario=uninstall", "--yes", f"--chart={chart}")
    result = run(command, foreign)
    assert result.returncode == OUTSIDE
    assert "the chart puts objects outside of its namespace" in result.stderr
    assert told in result.stderr
    assert "--cluster-objects" in result.stderr
    assert namespaces(api) == before
    assert api.current(document) is None
    allowed = run([*command, "--cluster-objects"], foreign)
    assert allowed.returncode == 0, allowed.stderr
    assert api.current(document) is None


@contextlib.contextmanager
def put_into_namespaces(api: Api, word: str, document: dict[str, Any]) -> Iterator[None]:
    """What an administrator's controller does: `document` is put into each new namespace whose name has `word`."""
    closing, seen = threading.Event(), set[str]()

    def follow() -> None:
        while not closing.wait(0.1):
            for name in namespaces(api) - seen:
                seen.add(name)
                if word in name:
                    api.create(document, name)

    seen |= namespaces(api)
    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        closing.set()
        thread.join()


@pytest.mark.parametrize(
    ("document", "cause"),
    [
        (charts.quota(pods="1"), "quota tight is exceeded"),
        (
            {
                "apiVersion": "v1",
                "kind": "LimitRange",
                "metadata": {"name": "small"},
                "spec": {"limits": [{"type": "Container", "max": {"cpu": "100m"}}]},
            },
            "maximum cpu usage per Container is 100m",
        ),
    ],
    ids=["quota", "limits"],
)
def test_what_an_administrator_does_not_allow_is_the_cause(
    foreign: Foreign, api: Api, document: dict[str, Any], cause: str
) -> None:
    before = namespaces_before(api)
    with put_into_namespaces(api, "-uninstall-objects", document):
        result = run(foreign.command("--scenario=uninstall", "--yes"), foreign)
    assert result.returncode == FINDING
    assert cause in foreign.report()["scenarios"][0]["error"].splitlines()[0]
    assert namespaces(api) == before


def test_an_api_server_that_is_away_for_20_seconds_is_waited_for(
    foreign: Foreign, made: KindCluster, api: Api, runner: Runner
) -> None:
    before = namespaces_before(api)
    (plane,) = (node.name for node in made.nodes if not node.worker)
    with subprocess.Popen(
        foreign.command("--scenario=upgrade", "--yes"),
        cwd=ROOT,
        env=foreign.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            api.wait(
                lambda: [item for item in api.list("ReplicaSet") if "-from-" in item["metadata"]["namespace"]] or None,
                what="the release of the run",
                deadline=90,
            )
            runner.run(("docker", "pause", plane))
            time.sleep(20)  # that is the test
            runner.run(("docker", "unpause", plane))
            output, _ = process.communicate(timeout=300)
        finally:
            runner.run(("docker", "unpause", plane), check=False)
            process.kill()
    assert process.returncode == 0, output
    assert namespaces(api) == before


@pytest.fixture
def without_operators(api: Api, toolchain: Toolchain) -> Iterator[None]:
    """A cluster that lacks the kinds of KEDA and of the Prometheus Operator."""
    documents = [
        document
        for name in CRD_SETS
        for file in crd_files(name, toolchain)
        for document in (dict(one.data) for one in read_manifests(file.read_text(encoding="utf-8")))
        if document["spec"]["group"] in ("keda.sh", "monitoring.coreos.com")
    ]
    for document in documents:
        api.delete("CustomResourceDefinition", document["metadata"]["name"], wait=30)
    api.wait(
        lambda: None if any(kind.group == "keda.sh" for kind in api.kinds(refresh=True)) else True,
        what="the kinds to be gone",
        deadline=30,
    )
    yield
    for document in documents:
        api.apply(document)


def test_a_cluster_without_operators_runs_what_it_can(foreign: Foreign, without_operators: None) -> None:
    result = run(foreign.command("--scenario=dry-run", "--scenario=install", "--yes"), foreign)
    assert result.returncode == 0, result.stderr
    skipped = {line for outcome in foreign.report()["scenarios"] for line in outcome["skipped"]}
    assert skipped == {
        "PrometheusRule.monitoring.coreos.com, which the cluster does not know",
        "ServiceMonitor.monitoring.coreos.com, which the cluster does not know",
        "ScaledObject.keda.sh, which the cluster does not know",
        "Ingress gati-ingress names IngressClass none, which is not there",
    }
    assert "not tested: " in result.stdout
