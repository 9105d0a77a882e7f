"""`invoke rollout` on a real cluster: waits for a release, names why one fails, goes back past one that never stood."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.cluster.api import Api
from scripts.cluster.kind import KindCluster
from tests.e2e import charts
from tests.e2e.charts import container, deployment, pod_spec

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


Operate = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def rollout(made: KindCluster, root: Path, tmp_path: Path) -> Operate:
    """`invoke rollout VERB ...` in the namespace "operated"."""

    def run(verb: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "KUBECONFIG": str(made.kubeconfig), "GATI_DIST": str(tmp_path / "dist")}
        argv = [sys.executable, "-m", "invoke", "rollout", verb, "--namespace=operated", "--json", *map(str, words)]
        return subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True, check=False)

    return run


def test_a_release_is_installed_upgraded_and_brought_back(rollout: Operate, tmp_path: Path) -> None:
    good = charts.chart(tmp_path / "good", deployment())
    broken = charts.chart(
        tmp_path / "broken", deployment(spec=pod_spec(container(image="registry.invalid/none:9"))), version="0.2.0"
    )
    installed = rollout("install", f"--chart={good}")
    assert installed.returncode == 0, installed.stderr
    assert (json.loads(installed.stdout)["number"], json.loads(installed.stdout)["status"]) == (1, "deployed")

    failed = rollout("upgrade", f"--chart={broken}")
    assert failed.returncode != 0
    assert "registry.invalid/none:9" in json.loads(failed.stdout)["error"]["message"]
    assert next((tmp_path / "dist" / "rollout" / "fixture").iterdir()).is_dir()

    back = rollout("rollback", f"--chart={good}")
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["description"] == "Rollback to 1"


def test_what_is_wrong_in_another_namespace_is_seen(rollout: Operate, api: Api, tmp_path: Path) -> None:
    """A chart may say where its objects are; the release is elsewhere."""
    elsewhere = deployment(spec=pod_spec(container(image="registry.invalid/none:9")))
    elsewhere["metadata"]["namespace"] = "operated-elsewhere"
    broken = charts.chart(tmp_path / "broken", elsewhere)
    with charts.new_namespace(api, "operated-elsewhere"):
        begin = time.monotonic()
        failed = rollout("install", f"--chart={broken}", "--release=far")
    assert failed.returncode != 0
    assert "registry.invalid/none:9" in json.loads(failed.stdout)["error"]["message"]
    assert time.monotonic() - begin < 120
