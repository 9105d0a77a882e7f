"""The one cluster that all tests of this folder share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from scripts.cluster.api import Api, connect
from scripts.cluster.kind import KindCluster, cluster
from scripts.cluster.transport import Login
from scripts.core.command import Runner
from scripts.rollout.rollout import Rollout
from scripts.toolchain.finder import Toolchain
from scripts.workspace import Workspace


@pytest.fixture(scope="session")
def made(work: Workspace, tmp_path_factory: pytest.TempPathFactory, runner: Runner) -> Iterator[KindCluster]:
    """A control plane and a worker in each zone, gone when the last test has run."""
    with cluster(work.having(dist=tmp_path_factory.mktemp("dist"))) as made:
        yield made
    label = f"--filter=label=io.x-k8s.kind.cluster={made.name}"
    assert runner.run(("docker", "ps", "--all", "--quiet", label)).stdout == "", "the cluster was not deleted"
    assert not made.kubeconfig.exists()


@pytest.fixture(scope="session")
def api(made: KindCluster, runner: Runner, toolchain: Toolchain) -> Iterator[Api]:
    """The cluster's API."""
    with connect(Login(made.kubeconfig), kubectl=toolchain.path("kubectl"), runner=runner) as api:
        yield api


@pytest.fixture(scope="session")
def rollouts(
    made: KindCluster, api: Api, runner: Runner, toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Rollout]:
    """The release "app" in a namespace."""
    helm, folder = toolchain.path("helm"), tmp_path_factory.mktemp("evidence")

    def make(namespace: str) -> Rollout:
        return Rollout(
            helm,
            runner,
            api,
            namespace=namespace,
            release="app",
            login=Login(made.kubeconfig),
            evidence=folder / namespace,
            say=lambda line: print(line, file=sys.stderr),
        )

    return make
