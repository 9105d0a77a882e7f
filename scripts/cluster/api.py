"""Owns what is asked of a Kubernetes cluster: objects by kind and name, waits with deadlines, drains, watches."""

from __future__ import annotations

import contextlib
import functools
import json
import operator
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from scripts.cluster.objects import Object, event_time
from scripts.cluster.transport import Login, Transport, open_transport
from scripts.cluster.watch import Watch
from scripts.core.command import Runner
from scripts.core.errors import ApiError, ClusterError
from scripts.core.waiting import until

T = TypeVar("T")

FIELD_MANAGER = "gati-e2e"
_DISCOVERY = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
)
# In place of a log, with status 200: the container was removed while another one started.
_LOG_LOST = "unable to retrieve container logs for "
# Observations of the cluster rather than objects somebody made: they come and go by themselves.
_OBSERVATIONS = frozenset({"Event", "PodMetrics", "NodeMetrics"})


@dataclass(frozen=True)
class Kind:
    """A kind that the server knows, in the version it prefers. `group` is "" for the core."""

    group: str
    version: str
    name: str
    plural: str
    namespaced: bool
    verbs: frozenset[str]

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def of(self, item: Object) -> Object:
        """An item of a list, which does not say itself what it is."""
        return {"apiVersion": self.api_version, "kind": self.name, **item}

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """The path of the collection (of one namespace when the kind has them) or of one object."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


@contextlib.contextmanager
def connect(login: Login, *, kubectl: Path, runner: Runner) -> Iterator[Api]:
    """The API of a cluster. Raises ClusterError."""
    with open_transport(kubectl, runner, login) as transport:
        yield Api(transport)


class Api:
    """The API of one cluster. Safe to use from several threads.

    A kind is named as in a manifest ("Deployment"); "Kind.group" tells two of the same name apart, otherwise
    the core and the built-in groups win. Every method raises ApiError for what the server refuses and
    ClusterError for a kind it does not know or an answer that does not come.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._kinds: tuple[Kind, ...] = ()

    @functools.cached_property
    def version(self) -> str:
        """The server's version: "v1.37.2"."""
        return str(self._get("/version")["gitVersion"])

    # -- kinds ---------------------------------------------------------------------------------

    def kinds(self, *, refresh: bool = False) -> tuple[Kind, ...]:
        """Every kind the server knows; asked once, and again on `refresh`."""
        with self._lock:
            if refresh or not self._kinds:
                self._kinds = tuple(
                    kind
                    for path in ("/api", "/apis")
                    for kind in read_kinds(json.loads(self._transport.request("GET", path, accept=_DISCOVERY)))
                )
            return self._kinds

    def kind(self, name: str, *, api_version: str | None = None) -> Kind:
        """The kind called `name`; in `api_version` if given, else in the version the server prefers."""
        for refresh in (False, True):  # a definition may have been added since the server was asked
            for kind in self.kinds(refresh=refresh):
                if name not in (kind.name, f"{kind.name}.{kind.group}"):
                    continue
                if api_version is None or kind.api_version == api_version:
                    return kind
        wanted = f"{api_version} {name}" if api_version else name
        raise ClusterError(f"the cluster knows no kind {wanted}", run="kubectl api-resources")

    # -- objects -------------------------------------------------------------------------------

    def list(
        self, kind: str, namespace: str | None = None, *, labels: str | None = None, fields: str | None = None
    ) -> tuple[Object, ...]:
        """The objects of a kind in `namespace` (None: in all), narrowed by selectors as kubectl takes them."""
        found = self.kind(kind)
        answer = self._get(found.path(namespace), labelSelector=labels, fieldSelector=fields)
        return tuple(map(found.of, answer["items"]))

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """One object, or None when there is none of that name."""
        try:
            return self._get(self.kind(kind).path(namespace, name))
        except ApiError as error:
            if error.status == 404 and error.reason == "NotFound":
                return None
            raise

    def current(self, document: Mapping[str, Any], namespace: str | None = None) -> Object | None:
        """The object that `document` declares as it is now, None where there is none."""
        kind, space = self._place(document, namespace)
        return self.get(f"{kind.name}.{kind.group}".rstrip("."), document["metadata"]["name"], space)

    def create(self, document: Object, namespace: str | None = None) -> Object:
        """Create the object that `document` describes, in its own namespace or else in `namespace`."""
        kind, space = self._place(document, namespace)
        return self._send("POST", kind.path(space), document, {"fieldManager": FIELD_MANAGER})

    def may(self, review: str, spec: Object, namespace: str = "") -> bool:
        """Whether what is asked in a review of access ("SelfSubjectAccessReview") is allowed."""
        document = {"apiVersion": "authorization.k8s.io/v1", "kind": review, "spec": spec}
        answer = self.create({**document, "metadata": {"namespace": namespace} if namespace else {}})
        return bool(answer["status"].get("allowed"))

    def apply(self, document: Object, namespace: str | None = None, *, dry_run: bool = False) -> Object:
        """Server-side apply, taking over fields of other managers; unknown fields are refused.

        `dry_run` passes every admission check and changes nothing.
        """
        kind, space = self._place(document, namespace)
        query = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        query |= {"dryRun": "All"} if dry_run else {}
        path = kind.path(space, document["metadata"]["name"])
        return self._send("PATCH", path, document, query, "application/apply-patch+yaml")

    def patch(self, kind: str, name: str, namespace: str | None, change: Object, *, part: str = "") -> Object:
        """Merge `change` into the object, or into a `part` of it ("status"); None removes a field."""
        path = self.kind(kind).path(namespace, name) + (f"/{part}" if part else "")
        return self._send("PATCH", path, change, {"fieldManager": FIELD_MANAGER}, "application/merge-patch+json")

    def delete(
        self, kind: str, name: str, namespace: str | None = None, *, wait: float | None = None, grace: int | None = None
    ) -> None:
        """Delete an object, if it is there. `wait`: seconds in which it must be gone; `grace` as a pod's."""
        options: Object = {"propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        before = None if wait is None else self.get(kind, name, namespace)
        try:
            self._send("DELETE", self.kind(kind).path(namespace, name), options)
        except ApiError as error:
            if error.reason != "NotFound":
                raise
        if wait is not None and before is not None:
            uid = before["metadata"]["uid"]

            def gone() -> bool:
                now = self.get(kind, name, namespace)
                return now is None or bool(now["metadata"]["uid"] != uid)

            self.wait(gone, what=f"{kind} {name} to be gone", deadline=wait)

    def objects(self, namespace: str | None) -> tuple[Object, ...]:
        """Every object of every kind in `namespace`, sorted by kind and name; events and measurements left out.

        With None those that stand outside of namespaces, as far as we may list them.
        """
        preferred = {(kind.group, kind.plural): kind for kind in reversed(self.kinds(refresh=True))}
        kinds = [
            kind
            for kind in preferred.values()
            if kind.namespaced == (namespace is not None) and "list" in kind.verbs and kind.name not in _OBSERVATIONS
        ]

        def listed(kind: Kind) -> list[Object]:
            try:
                return cast("list[Object]", self._get(kind.path(namespace))["items"])
            except ApiError as error:
                if namespace is None and error.status in (403, 404):  # not ours to see
                    return []
                raise

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(listed, kinds))
        found = {
            item["metadata"].get("uid", kind.name + item["metadata"]["name"]): kind.of(item)
            for kind, items in zip(kinds, answers, strict=True)  # of two groups that share objects the first wins
            for item in items
        }
        return tuple(sorted(found.values(), key=lambda item: (item["kind"], item["metadata"]["name"])))

    # -- pods and nodes ------------------------------------------------------------------------

    def logs(
        self, pod: str, namespace: str, *, container: str | None = None, previous: bool = False, tail: int | None = None
    ) -> str | None:
        """The last `tail` lines of a container (None: all), or None when it has no log: not having run, or no more."""
        query = {"container": container, "previous": "true" if previous else None, "tailLines": tail}
        given = {key: str(value) for key, value in query.items() if value is not None}
        try:
            path = f"{self.kind('Pod').path(namespace, pod)}/log"
            text = self._transport.request("GET", path, query=given, accept="*/*").decode("utf-8", "replace")
        except ApiError as error:
            if error.status == 400:  # the container waits to start, or there was none before
                return None
            raise
        return None if text.startswith(_LOG_LOST) else text

    def ask_pod(self, pod: str, namespace: str, *, port: object, path: str, scheme: str = "http") -> str:
        """What a pod answers to a GET of `path` on its `port`, by way of the API server."""
        way = f"{self.kind('Pod').path(namespace, f'{scheme}:{pod}:{port}')}/proxy/{path.lstrip('/')}"
        return self._transport.request("GET", way, accept="*/*", patient=False).decode("utf-8", "replace")

    def events(self, namespace: str | None = None) -> tuple[Object, ...]:
        """The events, oldest first."""
        return tuple(sorted(self.list("Event", namespace), key=event_time))

    def evict(self, pod: str, namespace: str) -> bool:
        """Ask for a pod's eviction; False when a disruption budget does not allow it now."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
        try:
            self._send("POST", f"{self.kind('Pod').path(namespace, pod)}/eviction", body)
        except ApiError as error:
            if error.status == 429:
                return False
            if error.reason != "NotFound":
                raise
        return True

    def cordon(self, node: str, unschedulable: bool = True) -> None:
        """Close a node to new pods, or open it again."""
        self.patch("Node", node, None, {"spec": {"unschedulable": unschedulable or None}})

    def drain(self, node: str, *, deadline: float, namespace: str | None = None, cordon: bool = True) -> float:
        """Cordon a node and evict its pods, as budgets allow, until none is left that is not a daemon's.

        With `namespace` only its pods. Without `cordon` the node stays open, and only pods that are there now go.
        Returns the seconds it took. Raises ClusterError when pods are left after `deadline` seconds, naming them.
        """
        begin = time.monotonic()
        if cordon:
            self.cordon(node)
        evicted = set[str]()
        there: set[str] | None = None
        refusals, left = 0, list[str]()

        def emptied() -> bool:
            nonlocal there, refusals
            pods = [pod for pod in self.list("Pod", namespace, fields=f"spec.nodeName={node}") if _evictable(pod)]
            if there is None:
                there = {pod["metadata"]["uid"] for pod in pods}
            pods = [pod for pod in pods if cordon or pod["metadata"]["uid"] in there]
            left[:] = [f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods]
            for meta in (pod["metadata"] for pod in pods):
                if meta["uid"] in evicted or "deletionTimestamp" in meta:
                    continue
                if self.evict(meta["name"], meta["namespace"]):
                    evicted.add(meta["uid"])
                else:
                    refusals += 1
            return not pods

        until(
            emptied,
            what=f"node {node} to be empty",
            deadline=deadline,
            interval=0.5,
            state=lambda: f"{', '.join(left)}; evictions refused by a budget: {refusals}",
            error=ClusterError,
        )
        return time.monotonic() - begin

    # -- waits and watches ---------------------------------------------------------------------

    def wait(
        self,
        probe: Callable[[], T | Literal[False] | None],
        *,
        what: str,
        deadline: float,
        interval: float = 0.25,
        state: Callable[[], str] | None = None,
    ) -> T:
        """Ask `probe` every `interval` seconds until it gives something else than None or False.

        Raises ClusterError after `deadline` seconds, saying `what` was waited for and the last `state`.
        """
        return until(probe, what=what, deadline=deadline, interval=interval, state=state, error=ClusterError)

    def observe(
        self,
        look: Callable[[], T],
        good: Callable[[T], bool] = operator.not_,
        *,
        what: str,
        deadline: float,
        told: Callable[[T], str],
        interval: float = 0.25,
    ) -> T:
        """Look until what is seen is `good`, by default nothing, and return it; else `told` says what was seen last."""
        seen: list[T] = []

        def probe() -> bool:
            seen[:] = [look()]
            return good(seen[0])

        self.wait(probe, what=what, deadline=deadline, interval=interval, state=lambda: told(seen[0]))
        return seen[0]

    def watch(self, kinds: Sequence[str], namespace: str) -> contextlib.AbstractContextManager[Watch]:
        """Record every change to objects of `kinds` from now to the end of the block, without a gap."""
        return Watch(self._transport, {name: self.kind(name).path(namespace) for name in kinds})

    # -- requests ------------------------------------------------------------------------------

    def _place(self, document: Mapping[str, Any], namespace: str | None) -> tuple[Kind, str | None]:
        kind = self.kind(document["kind"], api_version=document["apiVersion"])
        return kind, document["metadata"].get("namespace", namespace)

    def _get(self, path: str, **query: str | None) -> Object:
        given = {key: value for key, value in query.items() if value is not None}
        return cast("Object", json.loads(self._transport.request("GET", path, query=given)))

    def _send(
        self,
        method: str,
        path: str,
        body: Object,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        answer = self._transport.request(method, path, query=query, body=body, content_type=content_type)
        return cast("Object", json.loads(answer))


def read_kinds(discovery: Mapping[str, Any]) -> tuple[Kind, ...]:
    """The kinds in an APIGroupDiscoveryList, in every version that serves them, preferred versions first."""
    return tuple(
        Kind(
            group=group.get("metadata", {}).get("name", ""),
            version=version["version"],
            name=resource["responseKind"]["kind"],
            plural=resource["resource"],
            namespaced=resource["scope"] == "Namespaced",
            verbs=frozenset(resource["verbs"]),
        )
        for group in discovery["items"]
        for version in group["versions"]
        for resource in version.get("resources", ())
    )


def _evictable(pod: Mapping[str, Any]) -> bool:
    """True for a pod that a drain must move: neither finished, nor a daemon's, nor a node's own."""
    meta, ended = pod["metadata"], pod["status"].get("phase") in ("Succeeded", "Failed")
    daemons = any(owner["kind"] == "DaemonSet" for owner in meta.get("ownerReferences", ()))
    return not (ended or daemons or "kubernetes.io/config.mirror" in meta.get("annotations", {}))
