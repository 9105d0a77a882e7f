"""Owns the stage of a scenario with operators: a release, the load on it, and what became of both over time."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from scripts.cluster.objects import Object, is_ready
from scripts.cluster.watch import Watch
from scripts.core.errors import ClusterError
from scripts.core.files import write_atomic, write_json
from scripts.e2e.curve import curve, svg
from scripts.e2e.k6 import TIMEOUT, Load, Request, load
from scripts.e2e.lab import Lab
from scripts.e2e.ledger import judge
from scripts.e2e.report import Journal, LoadFailed, Unproven
from scripts.e2e.steps import object_of
from scripts.e2e.timeline import WATCHED, fewest_ready, timeline
from scripts.rollout.rollout import Target

CALM, BURST = 5, 60  # requests a second of each kind of connection
SCALER_DEADLINE = 180.0  # seconds until a scaler has acted on a busy machine
RESTRICTED: Object = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


class Scene:
    """A release under load in `namespace`: every request, every change of its replicas, and what was done when."""

    def __init__(self, lab: Lab, journal: Journal, namespace: str, watch: Watch) -> None:
        self._lab, self._journal, self._watch = lab, journal, watch
        self._requests: list[Request] = []
        self._marks: list[tuple[float, str]] = []
        self._begin = time.time()
        self.namespace = namespace
        self.rollout = lab.rollout(journal, namespace)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A step of the journal that the curve shows, too."""
        self._marks.append((time.time(), name))
        with self._journal.step(name):
            yield

    def target(self, values: str, *changes: Mapping[str, Any]) -> Target:
        """The candidate with a values file, and `changes` laid over it."""
        return self._lab.target(self.namespace, values=values, over=changes)

    @contextlib.contextmanager
    def load(self, name: str, targets: Sequence[str], rate: int, *, timeout: float = TIMEOUT) -> Iterator[Load]:
        """Load `targets` with `rate` requests a second of each kind while the block runs; none may be lost."""
        since = time.time()
        running: Load | None = None
        results = self._lab.folder / self._journal.folder / f"{name.replace(' ', '-')}.requests.jsonl"
        self._marks.append((since, f"{name}: {2 * rate}/s"))
        try:
            k6, question = self._lab.tools.k6, self._lab.question
            with load(k6, self._lab.runner, targets, results, question=question, rate=rate, timeout=timeout) as running:
                yield running
        finally:
            if running is not None:
                self._marks.append((time.time(), f"end of {name}"))
                self._requests += running.all()
                ledger = self._journal.ledgers[name] = judge(
                    running.all(),
                    self._watch.changes(),
                    self._lab.question.service,
                    since=since,
                    enough=1,
                    rate=rate,
                )
        with self._journal.step(f"no request is lost: {name}"):
            self._journal.detail(ledger.summary())
            if ledger.objections:
                found = "\n".join(ledger.lines())
                raise LoadFailed(f"{name}: {'; '.join(ledger.objections)}", found=found, run=f"see {results}")
            if ledger.voided:
                raise Unproven(f"{name}: the machine was in the way", found="\n".join(map(str, ledger.windows)))

    def await_replicas(self, enough: Callable[[int], bool], what: str, *, deadline: float = SCALER_DEADLINE) -> None:
        """Wait until as many pods as are wanted are ready and there, and they are `enough`; say how many, and when."""
        begin = time.monotonic()

        def look() -> dict[str, int]:
            found = object_of(self._lab, "Deployment", self._lab.question.service, self.namespace)
            status = found.get("status", {})
            counts = {"wanted": found["spec"]["replicas"], "ready": status.get("readyReplicas", 0)}
            return {**counts, "there": status.get("replicas", 0)}

        def told(seen: dict[str, int]) -> str:
            scalers = self._lab.api.list("HorizontalPodAutoscaler", self.namespace)
            said = [
                f"{scaler['metadata']['name']}: {json.dumps(scaler.get('status', {}))}"
                for scaler in (*scalers, *self._lab.api.list("ScaledObject", self.namespace))
            ]
            return "\n".join((json.dumps(seen), *said))

        def good(seen: dict[str, int]) -> bool:
            return len({*seen.values()}) == 1 and enough(seen["ready"])

        seen = self._lab.api.observe(look, good, what=what, deadline=deadline, interval=0.5, told=told)
        self._journal.detail(f"{seen['ready']} pods after {time.monotonic() - begin:.0f} s")

    def fewest(self, since: float) -> int:
        """The smallest number of pods that were ready behind the front's Service from `since` on."""
        return fewest_ready(timeline(self._watch.changes()), self._lab.question.service, since=since)

    def draw(self, title: str) -> None:
        """Write the curve beside the results of the scenario."""
        changes, name = self._watch.changes("Deployment"), self._lab.question.service
        drawn = curve(title, changes, name, self._requests, self._marks, begin=self._begin, end=time.time())
        folder = self._lab.folder / self._journal.folder
        write_json(folder / "curve.json", drawn)
        write_atomic(folder / "curve.svg", svg(drawn))


@contextlib.contextmanager
def scene(lab: Lab, journal: Journal, title: str) -> Iterator[Scene]:
    """A scene in a namespace of its own; its curve is drawn however it ends."""
    namespace = lab.namespace(journal.scenario)
    with lab.api.watch((*WATCHED, "Deployment"), namespace) as watch:
        made = Scene(lab, journal, namespace, watch)
        try:
            yield made
        finally:
            with contextlib.suppress(ClusterError):  # a watch that broke has said so already
                made.draw(title)


def client(lab: Lab, labels: Mapping[str, str], *, name: str = "client") -> Object:
    """A pod that only waits, in the image of the front."""
    container = {
        "name": "client",
        "image": f"{lab.images}/ingress:1",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", "import signal; signal.sigwait([signal.SIGTERM])"],
        "securityContext": RESTRICTED,
        "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}},
    }
    spec = {"terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": dict(labels)}, "spec": spec}


def ready_pods(lab: Lab, namespace: str, workload: str) -> list[Object]:
    """The pods of a workload ("Deployment/name") that are ready."""
    return [pod for pod in lab.pods(namespace, workload) if is_ready(pod)]
