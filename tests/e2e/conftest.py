"""The one cluster that all tests of this folder share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from scripts.chart.source import read_chart
from scripts.cluster.api import Api, connect
from scripts.cluster.kind import KindCluster, cluster
from scripts.cluster.transport import Login
from scripts.containers import engine
from scripts.containers.images import SERVICES, VERSIONS, build_services, reference
from scripts.core.command import Runner
from scripts.e2e.lab import Lab, Published, Tools
from scripts.e2e.run import controlled, discovered, push_faulty
from scripts.e2e.sabotage import Fault
from scripts.e2e.sources import push_archive, values_sets
from scripts.e2e.subject import read_subject
from scripts.registry.embedded import embedded
from scripts.release.package import package
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


@dataclass(frozen=True)
class Smoke:
    """What scenarios run on: a lab with a control, whose candidate is the chart; `faulty` makes others of it."""

    lab: Lab
    faulty: Callable[[Fault], Published]


@pytest.fixture(scope="session")
def smoke(made: KindCluster, api: Api, work: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smoke]:
    """The lab of a run of the smoke test, as a run has it."""
    workplace = tmp_path_factory.mktemp("smoke")
    root, work = work.config.root, work.having(dist=workplace / "dist")
    with engine.connect() as client:
        build_services(work, client)
    made.load_images(reference(work.config, service, version) for service in SERVICES for version in VERSIONS)
    chart = read_chart(work.config.chart)
    subject, sets = read_subject(work.config.e2e, chart.release), values_sets(chart)
    packaged = package(work.config, chart, work.helm, work.say)
    first = min((root / subject.archives).glob("*.tgz"))
    with embedded(workplace / "registry", work) as registry:
        version = first.stem.removeprefix(f"{chart.name}-")
        source, candidate = (
            push_archive(registry, work.helm, file, chart.name, number, workplace, sets)
            for file, number in ((first, version), (packaged.path, packaged.version))
        )
        lab = Lab(
            api=api,
            runner=work.runner,
            tools=Tools(*(work.tools.path(name) for name in ("helm", "kubectl", "k6"))),
            folder=workplace / "results",
            candidate=candidate,
            sources=(source,),
            images=work.config.own_images,
            own=True,
            subject=subject,
            chosen=tuple(sets),
            login=Login(made.kubeconfig),
            deadline=150,
        )
        lab.found = discovered(lab, list(lab.render()))

        def faulty(fault: Fault) -> Published:
            return push_faulty(registry, work.helm, packaged.path, [fault], workplace, sets)

        with controlled(lab, work.say, {}) as lab.control:
            assert lab.control is not None
            yield Smoke(lab, faulty)
