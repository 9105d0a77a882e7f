"""A rollback that leaves a container of the failed revision behind (helm/helm#13346) is told, and by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.cluster.api import Api
from scripts.cluster.kind import KindCluster
from scripts.cluster.snapshot import differences, take
from scripts.core.command import Result, Runner
from scripts.toolchain.finder import Toolchain
from tests.e2e.charts import new_namespace

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CHART = Path(__file__).with_name("leaky")


@pytest.fixture
def helm(made: KindCluster, toolchain: Toolchain, runner: Runner) -> Callable[..., Result]:
    def run(*words: str, check: bool = True) -> Result:
        argv = (str(toolchain.path("helm")), *words, f"--kubeconfig={made.kubeconfig}")
        return runner.run(argv, deadline=90, check=check)

    return run


@pytest.mark.parametrize(("apply", "leaks"), [("false", True), ("true", False)], ids=["client-side", "server-side"])
def test_a_leaked_container_is_named(api: Api, helm: Callable[..., Result], apply: str, leaks: bool) -> None:
    with new_namespace(api, f"leaky-{apply}", labels={"pod-security.kubernetes.io/enforce": "restricted"}) as space:
        common = (f"--namespace={space}", f"--server-side={apply}")
        helm("install", "leaky", str(CHART), *common, "--wait", "--timeout=60s")
        before = take(api, [space])
        sidecar = ("--set=containers={main,sidecar}", "--set=broken=sidecar")
        failed = helm("upgrade", "leaky", str(CHART), *common, *sidecar, "--wait", "--timeout=5s", check=False)
        assert failed.status != 0, "an upgrade with a container that cannot start succeeded"
        # The next upgrade starts from the last good revision, which knows no sidecar: to helm it is somebody else's.
        helm("upgrade", "leaky", str(CHART), *common, "--wait", "--timeout=5s", check=False)
        helm("rollback", "leaky", "1", *common, "--wait", "--timeout=10s", check=False)

        found = differences(before, take(api, [space]))
        assert any("sidecar" in str(difference) for difference in found) is leaks, list(map(str, found))
        if leaks:
            told = next(str(difference) for difference in found if "sidecar" in str(difference))
            assert "Deployment" in told
            assert "leaky" in told
            assert "containers" in told
        else:
            assert found == ()
