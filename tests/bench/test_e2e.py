"""The smoke test beside the same done by hand: kind, kubectl, helm and k6, and nothing that looks at what they did."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.chart.archive import describe
from scripts.cluster import kind as clusters
from scripts.containers import engine
from scripts.containers.images import SERVICES, VERSIONS, build_services, reference
from scripts.containers.node_image import NodeImage, node_image
from scripts.core.progress import silent
from scripts.e2e.k6 import load
from scripts.e2e.ledger import ENOUGH
from scripts.e2e.run import Options, demand_passed, run
from scripts.e2e.subject import Question
from scripts.toolchain.crds import CRD_SETS, crd_files
from scripts.workspace import Workspace
from tests.bench.measure import Figures, sample

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

MOST = 1.25
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "outside"},
    "spec": {
        "type": "NodePort",
        "selector": {"app.kubernetes.io/instance": "gati", "app.kubernetes.io/component": "ingress"},
        "ports": [{"port": 80, "targetPort": 8080}],
    },
}


class ByHand:
    """What a person would type, in a folder for its files."""

    def __init__(self, folder: Path, work: Workspace) -> None:
        self.config, self.toolchain, self.runner = work.config, work.tools, work.runner
        self.name = f"{clusters.PREFIX}bench"
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"

    def run(self, *argv: str | Path, stdin: str | None = None) -> str:
        done = subprocess.run([*map(str, argv)], input=stdin, check=True, capture_output=True, text=True, timeout=400)
        return done.stdout

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        return self.run(self.toolchain.path("kubectl"), f"--kubeconfig={self.kubeconfig}", *words, stdin=stdin)

    def helm(self, verb: str, chart: Path, version: str, playground: bool = False) -> None:
        images = [f"--set-string={key}.image.tag={version}" for key in ("ingress", "routeManager")]
        images += [
            f"--set=ingress.image.repository={self.config.own_images}/ingress",
            f"--set=routeManager.image.repository={self.config.own_images}/route-manager",
        ]
        images += [f"--set=ingress.config.FEATURE_PLAYGROUND={str(playground).lower()}", "--set=global.namespace="]
        self.run(
            *(self.toolchain.path("helm"), verb, "gati", chart, "--namespace=gati", "--wait", "--timeout=300s"),
            *(f"--kubeconfig={self.kubeconfig}", *images),
        )

    def cluster(self, image: NodeImage) -> None:
        kind = self.toolchain.path("kind")
        document = clusters.kind_config(image, cgroup_v1=not Path("/sys/fs/cgroup/cgroup.controllers").exists())
        self.run(
            *(kind, "create", "cluster", f"--name={self.name}", "--config=-", "--quiet"),
            *("--wait=0s", f"--kubeconfig={self.kubeconfig}"),
            stdin=json.dumps(document),
        )
        if not image.has_cni:
            while len(nodes := clusters.read_nodes(json.loads(self.kubectl("get", "nodes", "-ojson"))["items"])) < 4:
                time.sleep(0.5)
            for node in nodes:
                script = clusters.network_script(node, [other for other in nodes if other != node])
                self.run("docker", "exec", "--interactive", node.name, "sh", "-s", stdin=script)
        files = [f"--filename={file}" for name in CRD_SETS for file in crd_files(name, self.toolchain)]
        self.kubectl("apply", "--server-side", *files)
        self.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=120s")
        self.kubectl("wait", "deployment/coredns", "-nkube-system", "--for=condition=Available", "--timeout=120s")
        images = [reference(self.config, service, version) for service in SERVICES for version in VERSIONS]
        workers = [f"{self.name}-worker", f"{self.name}-worker2", f"{self.name}-worker3"]
        self.run(kind, "load", "docker-image", *images, f"--name={self.name}", f"--nodes={','.join(workers)}")

    def gone(self) -> None:
        """Wait for the pods that are on their way out."""
        pods = json.loads(self.kubectl("get", "pods", "-ngati", "-ojson"))["items"]
        leaving = [f"pod/{pod['metadata']['name']}" for pod in pods if "deletionTimestamp" in pod["metadata"]]
        if leaving:
            self.kubectl("wait", *leaving, "-ngati", "--for=delete", "--timeout=60s")

    def upgrade(self, first: Path, candidate: Path) -> None:
        self.kubectl("create", "namespace", "gati")
        self.helm("install", first, "1")
        self.kubectl("create", "-ngati", "--filename=-", stdin=json.dumps(SERVICE))
        port = self.kubectl("get", "service/outside", "-ngati", "-ojsonpath={.spec.ports[0].nodePort}")
        addresses = self.kubectl(
            *("get", "nodes", "--selector=!node-role.kubernetes.io/control-plane"),
            '-ojsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}',
        ).split()
        targets = [f"http://{address}:{port}/" for address in addresses]
        question = Question("outside", kept_method="POST", proof="routeManager.pod")
        k6 = self.toolchain.path("k6")
        with load(k6, self.runner, targets, self.folder / "requests", question=question) as running:
            self.helm("upgrade", candidate, "2")
            self.gone()
            self.helm("upgrade", candidate, "1", playground=True)
            self.gone()
            while len(running.requests()) < ENOUGH:
                time.sleep(0.2)

    def delete(self) -> None:
        self.run(self.toolchain.path("kind"), "delete", "cluster", f"--name={self.name}")


@pytest.fixture
def by_hand(tmp_path: Path, work: Workspace) -> Iterator[ByHand]:
    hand = ByHand(tmp_path, work)
    yield hand
    hand.delete()


def test_the_smoke_test_costs_little_more_than_its_commands(
    work: Workspace, by_hand: ByHand, figures: Figures, tmp_path: Path
) -> None:
    """A cluster made, the upgrade scenario, the cluster deleted; with every tool and image there before."""
    work = replace(work, say=silent)
    work.tools.paths(("helm", "kubectl", "k6", "kind", "crane"))
    image = node_image(work)
    with engine.connect() as client:
        build_services(work, client)
    published = (work.config.root / str(work.config.e2e["archives"])).glob("*.tgz")
    first = min(published)  # from which every candidate is upgraded, and from nothing else so
    own = work.having(dist=tmp_path / "dist")

    def toolkit() -> None:
        sources = describe(first, first.read_bytes(), 0).version
        demand_passed(run(own, Options(scenarios=("upgrade",), sources=sources)))

    def hand() -> None:
        by_hand.cluster(image)
        by_hand.upgrade(first, next((tmp_path / "dist").glob("*.tgz")))
        by_hand.delete()

    ours, bare = sample(toolkit), sample(hand)
    figure = figures.record(
        "e2e: cluster and upgrade scenario, over kind, helm, kubectl and k6 by hand",
        ours.wall / bare.wall,
        limit=MOST,
        unit="x",
        toolkit_s=ours.wall,
        by_hand_s=bare.wall,
    )
    assert figure.kept
