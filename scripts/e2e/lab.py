"""Owns what the smoke test's scenarios stand on: the cluster, the published charts, their values, where results go."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.chart.manifests import Manifests, read_manifests
from scripts.cluster.api import Api
from scripts.cluster.kind import PREFIX, ZONE_LABEL
from scripts.cluster.objects import Object
from scripts.cluster.transport import Login
from scripts.core.command import Runner
from scripts.core.errors import ClusterError
from scripts.core.files import write_atomic
from scripts.e2e.ledger import ENOUGH
from scripts.e2e.recording import Recording, record
from scripts.e2e.report import Journal
from scripts.rollout.rollout import Rollout, Target

DEFAULT, VALUES = "default", ("default", "dev", "staging", "prod")
RELEASE = "gati"
INGRESS, MANAGER = "gati-ingress", "route-manager"
RATE = 40  # requests a second of each kind of connection: ENOUGH of them while one rollout is on
_OUTSIDE = "gati-outside"
_RUN_LABEL = "gati-e2e/run"
_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
_CLEAN_DEADLINE = 120.0


@dataclass(frozen=True)
class Published:
    """A chart in the registry of the run: `reference` is what helm installs, with the digest."""

    name: str
    version: str
    digest: str
    reference: str

    @property
    def facts(self) -> dict[str, str]:
        return {"name": self.name, "version": self.version, "digest": self.digest}


@dataclass(frozen=True)
class Tools:
    """The binaries that the scenarios run."""

    helm: Path
    kubectl: Path
    k6: Path


@dataclass
class Lab:
    """One run of the smoke test on one cluster; used by several scenarios at a time.

    `images` is the prefix of the services' images (`gati` for `gati/ingress:1`). `own` says that the cluster is
    ours alone, so that a node of it may be closed. `values` are the candidate's values files by name.
    """

    api: Api
    runner: Runner
    tools: Tools
    folder: Path
    candidate: Published
    sources: tuple[Published, ...]
    values: Mapping[str, Path | None]
    images: str
    own: bool
    login: Login = field(default_factory=Login)
    sabotaged: Published | None = None
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _namespaces: list[str] = field(default_factory=list, repr=False)

    # -- namespaces ----------------------------------------------------------------------------

    def name(self, purpose: str) -> str:
        """The name of a namespace of this run; it is removed with the run, whoever makes it."""
        name = f"{PREFIX}{self.run}-{re.sub(r'[^a-z0-9]+', '-', purpose.lower())}"[:63].rstrip("-")
        with self._lock:
            self._namespaces.append(name)
        return name

    def namespace(self, purpose: str) -> str:
        """A new namespace that enforces Pod Security `restricted`."""
        name = self.name(purpose)
        labels = {**_RESTRICTED, _RUN_LABEL: self.run}
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        return name

    def forget(self, *names: str) -> None:
        """Begin to remove namespaces whose scenario is over, so that their pods make room."""
        for name in names:
            self.api.delete("Namespace", name)

    def clean(self, api: Api, *, wait: bool) -> None:
        """Remove every namespace of the run; `wait` until they are gone. Raises ClusterError naming those left."""
        end, left = time.monotonic() + _CLEAN_DEADLINE, dict[str, str]()
        for name in self._namespaces:
            try:
                api.delete("Namespace", name)
            except ClusterError as error:  # the others are removed all the same
                left[name] = error.found or error.message
        for name in self._namespaces if wait else ():

            def gone(name: str = name) -> bool | None:
                return True if api.get("Namespace", name) is None else None

            if name not in left:
                try:
                    api.wait(gone, what=f"namespace {name} to be gone", deadline=max(0.0, end - time.monotonic()))
                except ClusterError as error:
                    left[name] = error.message
        if left:
            raise ClusterError(
                f"{len(left)} of {len(self._namespaces)} namespaces of the run are left",
                found="\n".join(f"{name}: {why}" for name, why in left.items()),
                run=f"kubectl delete namespace {' '.join(left)}",
            )

    def sweep(self) -> None:
        """Undo what a killed run left on a cluster of ours: its namespaces, closed nodes."""
        for namespace in self.api.list("Namespace"):
            if namespace["metadata"]["name"].startswith(PREFIX):
                self.api.delete("Namespace", namespace["metadata"]["name"])
        for node in self.api.list("Node"):
            if node["spec"].get("unschedulable"):
                self.api.cordon(node["metadata"]["name"], False)

    # -- releases ------------------------------------------------------------------------------

    def rollout(self, journal: Journal, namespace: str, objects: str | None = None) -> Rollout:
        """The release of a scenario in `namespace`; `objects` is the namespace of its objects if it is another one."""
        return Rollout(
            self.tools.helm,
            self.runner,
            self.api,
            namespace=namespace,
            release=RELEASE,
            login=self.login,
            evidence=self.folder / journal.scenario / namespace.removeprefix(f"{PREFIX}{self.run}-"),
            say=journal.say,
            also=[objects] if objects else [],
        )

    def target(
        self,
        chart: Published,
        namespace: str,
        *,
        image: str = "1",
        values: str = DEFAULT,
        config: Mapping[str, Any] | None = None,
    ) -> Target:
        """`chart` with the values file called `values`, its objects in `namespace`, its images in version `image`."""
        overlay: dict[str, Any] = {
            "global": {"namespace": namespace},
            "ingress": {"image": {"repository": f"{self.images}/ingress", "tag": image}},
            "routeManager": {"image": {"repository": f"{self.images}/route-manager", "tag": image}},
        }
        if config:
            overlay["ingress"]["config"] = dict(config)
        if any(kind.name == "ServiceMonitor" for kind in self.api.kinds()):
            overlay["prometheusOperator"] = {"serviceMonitor": {"enabled": True, "namespace": namespace}}
        file = self.folder / "values" / f"{namespace}-{secrets.token_hex(3)}.yaml"
        write_atomic(file, json.dumps(overlay, indent=1))
        chosen = self.values[values]
        return Target(chart.reference, values=(*([chosen] if chosen else []), file), plain_http=True)

    def template(self, target: Target, namespace: str) -> str:
        """What helm renders of `target` for this cluster's version, without asking the cluster."""
        argv = [self.tools.helm, "template", RELEASE, *target.arguments(), "--namespace", namespace]
        return self.runner.run([*argv, "--kube-version", self.api.version], deadline=60).stdout

    def manifest(self, namespace: str) -> Manifests:
        """The objects of the installed release, as helm keeps them."""
        argv: list[str | Path] = [self.tools.helm, "get", "manifest", RELEASE, "--namespace", namespace]
        return read_manifests(self.runner.run([*argv, *self.login.flags("--kube-context")], deadline=60).stdout)

    def apply_dry(self, text: str, namespace: str) -> str:
        """`kubectl apply --dry-run=server` of manifests; the warnings. Raises CommandFailed with the refusals."""
        argv: list[str | Path] = [self.tools.kubectl, "apply", "--dry-run=server", "--filename=-"]
        argv += [f"--namespace={namespace}", *self.login.flags("--context")]
        return self.runner.run(argv, stdin=text, deadline=120).stderr

    # -- pods ----------------------------------------------------------------------------------

    def pods(self, namespace: str, component: str | None = None) -> tuple[Object, ...]:
        """The pods that are not on their way out, of the release or of one component of it."""
        labels = f"app.kubernetes.io/instance={RELEASE}"
        labels += f",app.kubernetes.io/component={component}" if component else ",app.kubernetes.io/component!=test"
        return tuple(
            pod for pod in self.api.list("Pod", namespace, labels=labels) if "deletionTimestamp" not in pod["metadata"]
        )

    def await_ready(self, namespace: str, *, deadline: float = 120) -> dict[str, int]:
        """Wait until each Deployment runs as many ready pods as it or its scaler asks for; their numbers by name."""
        found: dict[str, int] = {}

        def ready() -> dict[str, int] | None:
            found.clear()
            scalers = {
                scaler["spec"]["scaleTargetRef"]["name"]: scaler["spec"].get("minReplicas", 1)
                for scaler in self.api.list("HorizontalPodAutoscaler", namespace)
            }
            done = True
            for deployment in self.api.list("Deployment", namespace):
                name, spec, status = deployment["metadata"]["name"], deployment["spec"], deployment["status"]
                wanted = max(scalers.get(name, 0), spec["replicas"])
                found[name] = status.get("readyReplicas", 0)
                numbers = {spec["replicas"], found[name], status.get("updatedReplicas", 0), status.get("replicas", 0)}
                done = done and numbers == {wanted} and status.get("observedGeneration") == self._generation(deployment)
            return dict(found) if done and found else None

        def state() -> str:
            return ", ".join(f"{name}: {count} ready" for name, count in found.items())

        return self.api.wait(ready, what=f"all pods of {namespace} to be ready", deadline=deadline, state=state)

    @staticmethod
    def _generation(deployment: Object) -> int:
        return int(deployment["metadata"]["generation"])

    def await_settled(self, namespace: str, *, deadline: float = 60) -> None:
        """Wait until no pod is on its way out: its last seconds are when requests get lost."""
        left: list[str] = []

        def settled() -> bool | None:
            pods = self.api.list("Pod", namespace)
            left[:] = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]]
            return None if left else True

        self.api.wait(
            settled, what="the pods before to be gone", deadline=deadline, interval=0.5, state=lambda: ", ".join(left)
        )

    def zones(self) -> set[str]:
        """The zones of the nodes on which pods can run."""
        nodes = self.api.list("Node")
        found = {node["metadata"].get("labels", {}).get(ZONE_LABEL, "") for node in nodes if _open(node)}
        return found - {""}

    def zone_of(self, node: str) -> str:
        found = self.api.get("Node", node) or {"metadata": {}}
        return str(found["metadata"].get("labels", {}).get(ZONE_LABEL, ""))

    # -- load ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def load(
        self, journal: Journal, namespace: str, name: str, *, enough: int = ENOUGH, must_pass: bool = True
    ) -> Iterator[Recording]:
        """Load the ingress in `namespace` from outside the pod network while the block runs, and until `enough`.

        The ledger goes into `journal` under `name`. Raises ClusterError when it does not pass, if it `must_pass`.
        """
        targets = self.open(namespace)
        results = self.folder / journal.scenario / f"{name}.requests.jsonl"
        recording: Recording | None = None
        try:
            with record(
                self.tools.k6,
                self.runner,
                self.api,
                namespace=namespace,
                service=_OUTSIDE,
                targets=targets,
                results=results,
                rate=RATE,
                enough=enough,
            ) as recording:
                yield recording
                recording.wait_for(enough)
        finally:
            if recording is not None:
                ledger = journal.ledgers[name] = recording.ledger
                write_atomic(results.with_name(f"{name}.ledger.json"), json.dumps(ledger.report(), indent=1) + "\n")
        with journal.step(f"availability, {name}"):
            journal.detail(ledger.summary())
            if must_pass and not ledger.passed:
                raise ClusterError(
                    f"{name}: {'; '.join(ledger.objections)}",
                    expected=f"no request lost of at least {enough}",
                    found="\n".join(ledger.lines()),
                    run=f"every request is in {results}",
                )

    def open(self, namespace: str) -> list[str]:
        """Offer the ingress on every node's address beside its own Service, and wait until all of them answer."""
        service = self.api.get("Service", INGRESS, namespace)
        if service is None:
            raise ClusterError(f"there is no Service {INGRESS} in {namespace}")
        port = service["spec"]["ports"][0]
        twin = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": _OUTSIDE},
            "spec": {
                "type": "NodePort",
                "selector": service["spec"]["selector"],
                "ports": [{"name": port["name"], "port": port["port"], "targetPort": port["targetPort"]}],
            },
        }
        made = self.api.get("Service", _OUTSIDE, namespace) or self.api.create(twin, namespace)
        targets = [f"http://{address}:{made['spec']['ports'][0]['nodePort']}/" for address in self.addresses()]
        for target in targets:
            answer = self.api.wait(
                lambda target=target: self.ask(target),  # type: ignore[misc]
                what=f"{target} to answer from outside of the pod network",
                deadline=30,
            )
            if "routeManager" not in answer:
                raise ClusterError(f"{target} is not answered by way of route-manager", found=json.dumps(answer))
        return targets

    def addresses(self) -> list[str]:
        """The addresses of the nodes on which pods can run."""
        return [
            next(entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP")
            for node in self.api.list("Node")
            if _open(node)
        ]

    def ask(self, url: str) -> dict[str, Any] | None:
        """The JSON that the ingress answers with, None while it does not."""
        import requests

        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.get(url, timeout=5)
                found = answer.json() if answer.status_code == 200 else None
            except (requests.RequestException, ValueError):
                return None
        return found if isinstance(found, dict) else None


def _open(node: Object) -> bool:
    taints: Sequence[Mapping[str, Any]] = node["spec"].get("taints", ())
    return not any(taint.get("effect") in ("NoSchedule", "NoExecute") for taint in taints)
