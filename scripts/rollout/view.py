"""Owns what was seen of a release while helm works on it: watches folded into scenes, and logs that would be lost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from scripts.cluster.api import Api
from scripts.cluster.objects import Object, conditions, container_statuses, counts, is_hook
from scripts.cluster.watch import Watch
from scripts.core.errors import ClusterError
from scripts.rollout.diagnose import UNTOLD_TAINTS, Scene, marks

_WORKLOADS = ("Pod", "Job", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet")
_WATCHED = (*_WORKLOADS, "Event")
_CERTIFICATE = "Certificate.cert-manager.io"
_LOG_LINES = 500
_NODES = 5.0  # seconds between two looks at the nodes


class View:
    """The objects of a release's namespaces, from when the view is opened to the end of the `with` block."""

    def __init__(self, api: Api, namespaces: Sequence[str], release: str) -> None:
        self._api, self._namespaces, self._release = api, namespaces, release
        self._stack = contextlib.ExitStack()
        self._watches, self._read = dict[str, Watch](), dict[str, int]()  # by namespace: how much of each was taken in
        self._objects, self._gone = dict[str, Object](), dict[str, Object]()
        self._versions: dict[str, str] = {}
        self._awaited: dict[str, str] | None = None
        self._known: frozenset[str] = frozenset()
        self._kinds: tuple[str, ...] = _WATCHED
        self._taints, self._asked = tuple[Object, ...](), 0.0
        self._opened = ""
        self.hook_logs: dict[tuple[str, str], str] = {}
        """Logs of containers of hooks that failed, by pod ("namespace/name") and container."""

    def __enter__(self) -> Self:
        known = any(f"{kind.name}.{kind.group}" == _CERTIFICATE for kind in self._api.kinds())
        reading = {
            "group": "cert-manager.io",
            "resource": "certificates",
            "verb": "watch",
            "namespace": self._namespaces[0],
        }
        if known and self._api.may("SelfSubjectAccessReview", {"resourceAttributes": reading}):
            self._kinds = (*_WATCHED, _CERTIFICATE)
        with contextlib.ExitStack() as stack:
            self._stack, self._opened = stack, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self._watch(self._namespaces)
            self._known = marks(self.objects, self.events)
            self._stack = stack.pop_all()
        return self

    def join(self, namespaces: Iterable[str]) -> None:
        """Look at further namespaces too. What is older there than the view, by its clock, was there before."""
        places = tuple(namespaces)
        self._watch(places)

        def before(items: Iterable[Object]) -> Iterator[Object]:
            for item in items:
                meta = item["metadata"]
                if meta.get("namespace") in places and str(meta.get("creationTimestamp") or "") < self._opened:
                    yield item

        self._known |= marks(before(self.objects), before(self.events))

    def _watch(self, namespaces: Iterable[str]) -> None:
        for name in namespaces:
            self._watches[name] = self._stack.enter_context(self._api.watch(self._kinds, name))
        self.refresh()

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def objects(self) -> tuple[Object, ...]:
        """Pods, their owners and jobs."""
        return tuple(item for item in self._objects.values() if item["kind"] not in ("Event", "Certificate"))

    @property
    def events(self) -> tuple[Object, ...]:
        return tuple(item for item in self._objects.values() if item["kind"] == "Event")

    def refresh(self) -> None:
        """Take in what was seen since."""
        for place, watch in self._watches.items():
            changes = watch.changes()
            for change in changes[self._read.get(place, 0) :]:
                uid = change.object["metadata"]["uid"]
                self._versions[uid] = change.object["metadata"]["resourceVersion"]
                if change.type == "DELETED":
                    gone = self._objects.pop(uid, change.object)
                    if gone["kind"] in ("Pod", "Job"):
                        self._gone[uid] = gone
                else:
                    self._objects[uid] = change.object
            self._read[place] = len(changes)
        self._keep_logs_of_hooks()

    def caught_up(self) -> bool:
        """True once all was taken in that was there when this was first asked.

        The streams of a watch may bring what happened later than helm learns of it, and each at its own pace.
        """
        if self._awaited is None:
            places = ((kind, name) for name in self._watches for kind in _WORKLOADS)
            there = (item for place in places for item in self._api.list(*place))
            self._awaited = {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in there}
        seen = self._versions  # the later state of an object has the greater number
        return all(int(seen.get(uid, 0)) >= int(least) for uid, least in self._awaited.items())

    def scene(self, *, with_gone: bool = False) -> Scene:
        """What there is; `with_gone` adds the pods and jobs that were deleted since the view was opened."""
        certificates = (item for item in self._objects.values() if item["kind"] == "Certificate")
        return Scene(
            release=self._release,
            namespace=self._namespaces[0],
            objects=(*self.objects, *(map(_undeleted, self._gone.values()) if with_gone else ())),
            events=self.events,
            known=self._known,
            promised=frozenset(str(item["spec"].get("secretName")) for item in certificates),
            taints=self._untold_taints(),
        )

    def _untold_taints(self) -> tuple[Object, ...]:
        """The taints of the nodes where a scheduler says that a pod does not tolerate one, and not which."""
        places = (conditions(item).get("PodScheduled", {}) for item in self._objects.values() if item["kind"] == "Pod")
        untold = any(UNTOLD_TAINTS in place.get("message", "") for place in places)
        if untold and time.monotonic() > self._asked + _NODES:
            self._asked = time.monotonic()
            with contextlib.suppress(ClusterError):  # who may not read nodes is told no more than the scheduler says
                nodes = self._api.list("Node")
                self._taints = tuple(taint for node in nodes for taint in node["spec"].get("taints") or ())
        return self._taints if untold else ()

    def progress(self) -> str:
        """How far the workloads are, in a line."""
        rows = [
            f"{item['kind']} {item['metadata']['name']} {_ready(item)}"
            for item in self.objects
            if item["kind"] in ("Deployment", "StatefulSet", "DaemonSet")
        ]
        return ", ".join(sorted(rows)) or "no workload yet"

    def _keep_logs_of_hooks(self) -> None:
        """helm may delete a hook as soon as it has failed, and its log with it."""
        for pod in self.objects:
            meta = pod["metadata"]
            jobs = [self._objects.get(owner["uid"], {}) for owner in meta.get("ownerReferences", ())]
            if pod["kind"] != "Pod" or not any(is_hook(item) for item in (pod, *jobs)):
                continue
            for status in container_statuses(pod):
                container = status["name"]
                key = (f"{meta['namespace']}/{meta['name']}", container)
                if status.get("state", {}).get("terminated", {}).get("exitCode") and key not in self.hook_logs:
                    with contextlib.suppress(ClusterError):  # it may be gone already
                        text = self._api.logs(meta["name"], meta["namespace"], container=container, tail=_LOG_LINES)
                        if text is not None:
                            self.hook_logs[key] = text


def _undeleted(item: Object) -> Object:
    return {**item, "metadata": {key: value for key, value in item["metadata"].items() if key != "deletionTimestamp"}}


def _ready(workload: Object) -> str:
    has = counts(workload)
    return f"{has.ready}/{has.wanted} ready" + (f", {has.new} new" if has.new != has.wanted else "")
