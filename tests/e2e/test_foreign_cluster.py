"""A run on a cluster that is not ours: in namespaces of its own, gone at the end and after Ctrl-C, nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.cluster.api import Api
from scripts.cluster.kind import KindCluster
from scripts.containers import engine
from scripts.containers.images import SERVICES, VERSIONS, build_services, reference
from scripts.workspace import Workspace
from tests.conftest import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


@dataclass(frozen=True)
class Foreign:
    """Somebody else's cluster: `context` is in the kubeconfig that `environment` names, results go to `dist`."""

    context: str
    environment: dict[str, str]
    dist: Path

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


def nodes(api: Api) -> list[object]:
    return [(node["metadata"]["name"], node["spec"]) for node in api.list("Node")]


def run(command: list[str], foreign: Foreign) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env=foreign.environment, capture_output=True, text=True, timeout=300)


def test_it_says_what_it_would_touch_and_asks_first(foreign: Foreign, api: Api) -> None:
    before = namespaces(api)
    result = run(foreign.command("--scenario=upgrade"), foreign)
    assert result.returncode == 1
    assert f"the context {foreign.context}, in new namespaces gati-e2e-*" in result.stderr
    assert "--yes" in result.stderr
    assert namespaces(api) == before


def test_it_leaves_the_cluster_as_it_was(foreign: Foreign, api: Api) -> None:
    before, closed = namespaces(api), nodes(api)
    result = run(foreign.command("--scenario=disruption", "--yes"), foreign)
    assert result.returncode == 0, result.stderr
    report = json.loads((foreign.dist / "e2e" / "report.json").read_text())
    assert report["passed"]
    assert report["cluster"]["context"] == foreign.context
    assert namespaces(api) == before
    assert nodes(api) == closed


def test_ctrl_c_removes_its_namespaces(foreign: Foreign, api: Api) -> None:
    before = namespaces(api)
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
    assert result.returncode == 1
    assert "no way to the Kubernetes API of context nowhere" in result.stderr
    assert "Traceback" not in result.stderr
