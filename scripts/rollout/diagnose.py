"""Owns the answer to "why does this rollout not end": from objects and events of a cluster to one cause line.

Nothing here asks a cluster: a `Scene` holds what was seen of it. A suspicion that stays for as long as its patience
says is a cause; the patience is short where nothing can change the state any more (no such image), long where it may
pass by itself (a node is drained, a pod that ends will leave its place), and endless where only a deadline decides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scripts.cluster.objects import (
    UNASKED,
    Object,
    conditions,
    container_statuses,
    containers_of,
    event_time,
    is_hook,
    is_of_another_revision,
    is_ready,
    moment,
    never_began,
    observed,
    release_of,
    sidecars,
)
from scripts.rollout.cause import Cause, first_line, refusal

# Seconds that a state has to last before it counts. All but the last two stay below 15.
AT_ONCE = 0.0
SETTLED = 2.0  # nothing can change it; long enough for helm to end by itself, which leaves the cleaner record
STEADY = 10.0  # the scheduler and the controllers have tried several times
RETRIED = 12.0  # the kubelet tries again after 10 s
PASSING = 60.0  # it may well pass by itself
ENDLESS = math.inf

_PROOF, _PROOF_AT_MOST = 4.0, 12.0  # seconds that a container without a probe has to run before it is believed

# Crashes after which a container has waited for others for more than PASSING: 10 s, 20 s, 40 s apart; and probes.
_TRIES = 3

_RANKS = (
    *("missing-kind", "admission", "quota", "unschedulable", "image-pull", "config", "mount", "sandbox"),
    *("init-container", "hook", "job", "crash-loop", "progress", "paused", "unscheduled", "unended", "readiness"),
)
_SILENT = ("image-pull", "config")  # causes for which a container has not begun, and has no log
_SELDOM = 60  # seconds from which on a probe's period keeps a container waiting that might be ready
_SCHEDULER = "default-scheduler"
_IMAGE_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ErrInvalidImage"}
    | {"ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"}
)
_CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_UNMADE = {  # events of what keeps a pod's containers from being made: which cause, and in which words
    **dict.fromkeys(
        ("FailedMount", "FailedAttachVolume", "FailedMapVolume"), ("mount", "its pod cannot mount a volume")
    ),
    "FailedCreatePodSandBox": ("sandbox", "its pod cannot begin"),
    "FailedPrepareDynamicResources": ("sandbox", "its pod gets no device"),
    "NetworkNotReady": ("sandbox", "its pod gets no network"),
}
_KILLED = 137  # the exit code
_STARTING_REASONS = frozenset({"", "ContainerCreating", "PodInitializing"})
_FINAL_PULL = re.compile(
    r"not found|manifest unknown|denied|unauthorized|forbidden|no match for platform|no such host|NeverPull",
    re.IGNORECASE,
)
_MISSING_SOURCE = re.compile(
    r'(?P<kind>secret|configmap|persistentvolumeclaim) "(?:[^"/]*/)?(?P<name>[^"]+)" not found'
    r"|references non-existent (?:secret|config) key",
    re.IGNORECASE,
)
# The nodes are there but closed for a while, or a volume is still being made.
_PASSING_PLACE = re.compile(
    r"were unschedulable|node\.kubernetes\.io/(?:not-ready|unreachable|unschedulable)|unbound immediate"
)
UNTOLD_TAINTS = "untolerated taint(s)"
"""What a scheduler says of taints in place of which they are, as of Kubernetes 1.34."""
_NO_VOLUME = re.compile(r"not found|no storage class is set")  # what nobody but a person mends
_MAKES, _MAKES_NONE = re.compile("Create|ScalingReplicaSet"), ("FailedCreate", "ReplicaSetCreateError")
# A busy node needs longer than it gives itself, and tries again; until then it has the first try's name still.
_BUSY = re.compile(r"deadline exceeded|\bis reserved\b|failed to sync \w+ cache", re.IGNORECASE)
_PREEMPTION = r"\.? (?:no new claims to deallocate, )?preemption: "
_HOPELESS = re.compile(
    rf"^0/(\d+) nodes are available:.*{_PREEMPTION}0/\1 nodes are available: \1 Preemption is not", re.DOTALL
)


@dataclass(frozen=True)
class Suspicion:
    """A cause that has to last for `patience` seconds. `subject` tells one from another of the same kind.

    `pod` ("namespace/name") and `container` are where its log is, "" where there is none.
    """

    cause: Cause
    patience: float
    subject: str
    pod: str = ""
    container: str = ""


@dataclass(frozen=True)
class Scene:
    """What is known of a release at one moment.

    `objects` are pods, their owners and jobs, each with its `kind`; `events` come in any order. `namespace` is the
    release's; the objects may be in others. `known` are the marks (`marks`) of the moment when the operation began:
    what was wrong before it is not its fault. `promised` are the names of Secrets that a controller is about to make,
    `taints` those of the nodes, where it was asked for them.
    """

    release: str
    namespace: str
    objects: Sequence[Object]
    events: Sequence[Object] = ()
    known: frozenset[str] = frozenset()
    promised: frozenset[str] = frozenset()
    taints: Sequence[Object] = ()


@dataclass
class Patience:
    """Measures how long suspicions last."""

    _since: dict[tuple[str, str, float], float] = field(default_factory=dict)

    def due(self, suspicions: Iterable[Suspicion], now: float) -> tuple[Suspicion, ...]:
        """Those that have lasted for long enough at `now` (seconds of any steady clock), the most telling first."""
        current = {(found.cause.kind, found.subject, found.patience): found for found in suspicions}
        self._since = {key: self._since.get(key, now) for key in current}
        return ranked(found for key, found in current.items() if now - self._since[key] >= found.patience)


def ranked(suspicions: Iterable[Suspicion]) -> tuple[Suspicion, ...]:
    """The most telling first: what keeps a pod from being made before what keeps it from being ready."""
    return tuple(sorted(suspicions, key=lambda found: (_RANKS.index(found.cause.kind), found.cause.object, found.pod)))


def marks(objects: Iterable[Object], events: Iterable[Object]) -> frozenset[str]:
    """What identifies the pods, failing conditions and events that exist."""
    found = {item["metadata"]["uid"] for item in events}
    for item in objects:
        if item["kind"] in ("Pod", "Job"):
            found.add(item["metadata"]["uid"])
        found |= {_mark(item, condition) for condition in conditions(item).values()}
    return frozenset(found)


def unproven(scene: Scene) -> dict[str, float]:
    """Containers that count as ready because they run, no probe having asked them; each run of one is another.

    helm takes them for ready in the moment in which they start, and they may crash in the next: each is given with
    the seconds that it has to be seen running before it is believed. That is as long as its start took: where nodes
    are slow, a program gets to its crash later, and the kubelet to telling of it.
    """
    return dict(_Reading(scene).unproven())


def suspicions(scene: Scene) -> tuple[Suspicion, ...]:
    """All that may be wrong with the release, in no order; ask `Patience` which of it is."""
    return tuple(_Reading(scene).suspicions())


def unforgiven(scene: Scene) -> Scene:
    """The scene with what was wrong when the operation began, but for what hooks left and what was told of it then."""
    hooks = {item["metadata"]["uid"] for item in scene.objects if is_hook(item)}
    over = {event["metadata"]["uid"] for event in scene.events}
    for item in scene.objects:
        owners = {reference["uid"] for reference in item["metadata"].get("ownerReferences", ())}
        over |= {item["metadata"]["uid"]} if hooks & {item["metadata"]["uid"], *owners} else set()
    return replace(scene, known=scene.known & over)


def left_behind(pod: Object, owner: Object) -> bool:
    """Whether a StatefulSet waits for a pod of a revision that it leaves, and which cannot become ready.

    One after the other it replaces pods, and waits for each that is not ready before it replaces any.
    """
    spec, meta = owner["spec"], pod["metadata"]
    ordered = spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady" and observed(owner)
    owned = any(reference["uid"] == owner["metadata"]["uid"] for reference in meta.get("ownerReferences", ()))
    if not (ordered and owned and is_of_another_revision(pod, owner)) or "deletionTimestamp" in meta or is_ready(pod):
        return False
    unplaced = conditions(pod).get("PodScheduled", {}).get("status") == "False"
    return unplaced or any(_wait_reason(one) not in _STARTING_REASONS for one in container_statuses(pod))


class _Reading:
    """One reading of a scene: whose the pods are, and what is wrong with them."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._by_uid = {item["metadata"]["uid"]: item for item in scene.objects}
        self._pods = [item for item in scene.objects if item["kind"] == "Pod"]
        self._events: dict[str, list[Object]] = {}
        for event in sorted(scene.events, key=event_time):
            if event["metadata"]["uid"] not in scene.known:
                self._events.setdefault(event.get("involvedObject", {}).get("uid", ""), []).append(event)

    def suspicions(self) -> Iterator[Suspicion]:
        for pod in self._pods:
            if self._counts(pod):
                yield from self._pod(pod)
        for item in self._scene.objects:
            owned = item["kind"] == "Job" and item["metadata"].get("ownerReferences")  # helm waits for no CronJob's
            if item["kind"] == "Pod" or owned or not self._ours(self._root(item)):
                continue
            # A Deployment that cannot make its ReplicaSet says so before it says that it has looked at its spec.
            if item["kind"] == "Deployment" or not self._outdated(item):
                yield from self._refused_pods(item)
            if not self._outdated(item):
                if item["kind"] == "Job":
                    yield from self._job(item)
                if item["kind"] == "Deployment":
                    yield from self._stalled(item)
                    yield from self._paused(item)
                if item["kind"] == "StatefulSet":
                    yield from self._in_the_way(item)
                yield from self._counting(item)

    def unproven(self) -> Iterator[tuple[str, float]]:
        for pod in self._pods:
            begun = moment(conditions(pod).get("Initialized", {}).get("lastTransitionTime"))
            probed = {
                container["name"]
                for container in pod["spec"].get("containers", ())
                if "readinessProbe" in container or "startupProbe" in container
            }
            for container in pod.get("status", {}).get("containerStatuses", ()) if self._counts(pod) else ():
                running = container.get("state", {}).get("running")
                if container["name"] not in probed and running is not None:
                    took = moment(running.get("startedAt")) - begun
                    key = f"{pod['metadata']['uid']}/{container['name']}/{container.get('restartCount', 0)}"
                    yield key, min(max(took, _PROOF), _PROOF_AT_MOST)

    # -- whose it is ---------------------------------------------------------------------------

    def _root(self, item: Object) -> Object:
        """The object at the end of the chain of controllers."""
        for owner in item["metadata"].get("ownerReferences", ()):
            if owner.get("controller") and owner["uid"] in self._by_uid:
                return self._root(self._by_uid[owner["uid"]])
        return item

    def _of(self, root: Object) -> list[Object]:
        """The pods that are of an owner, whoever stands in between."""
        return [pod for pod in self._pods if self._root(pod)["metadata"]["uid"] == root["metadata"]["uid"]]

    def _ours(self, root: Object) -> bool:
        meta = root["metadata"]
        annotations, labels = meta.get("annotations", {}), meta.get("labels", {})
        if "helm.sh/hook" in annotations:
            return meta["uid"] not in self._scene.known
        if (owner := release_of(root))[0] is not None:
            return owner == (self._scene.release, self._scene.namespace)
        return bool(labels.get("app.kubernetes.io/instance") == self._scene.release)

    def _counts(self, pod: Object) -> bool:
        """True for a pod that this operation made and waits for."""
        root = self._root(pod)
        if pod["metadata"]["uid"] in self._scene.known or "deletionTimestamp" in pod["metadata"]:
            return False
        waited_for = root["kind"] != "Job" or is_hook(root)
        return waited_for and self._ours(root) and not self._outdated(pod)

    def _outdated(self, item: Object) -> bool:
        """True for a pod or ReplicaSet of a revision that its owner is leaving."""
        if "deletionTimestamp" in item["metadata"]:
            return True
        for reference in item["metadata"].get("ownerReferences", ()):
            owner = self._by_uid.get(reference["uid"])
            if owner is None:
                continue
            if owner["kind"] in ("Deployment", "StatefulSet", "DaemonSet") and not observed(owner):
                return True
            if owner["kind"] == "Deployment":
                return _revision(item) != _revision(owner)
            if owner["kind"] in ("StatefulSet", "DaemonSet"):
                return is_of_another_revision(item, owner)
            return self._outdated(owner)
        return not observed(item)

    # -- pods ----------------------------------------------------------------------------------

    def _pod(self, pod: Object) -> Iterator[Suspicion]:
        status = pod.get("status", {})
        if status.get("phase") == "Failed" and pod["spec"].get("restartPolicy", "Always") == "Always":
            yield self._put_out(pod)
            return
        scheduled = conditions(pod).get("PodScheduled", {})
        if scheduled.get("status") == "False" and scheduled.get("reason") in ("Unschedulable", "SchedulerError"):
            yield self._unschedulable(pod, scheduled)
            return
        if held := _held_back(pod, scheduled):
            yield self._of_pod("unscheduled", pod, f"its pod is on no node: {held}", ENDLESS)
            return
        for init, statuses in ((True, "initContainerStatuses"), (False, "containerStatuses")):
            for container in status.get(statuses, ()):
                yield from self._container(pod, container, init=init)
        yield from self._unmade(pod)
        yield from self._unready(pod)
        yield from self._unended(pod)
        if status.get("phase") == "Failed" and not pod["metadata"].get("ownerReferences"):
            yield self._failed_pod(pod)

    def _put_out(self, pod: Object) -> Suspicion:
        """A pod that its node has given up, and that stays while another takes its place: the same may befall that."""
        status = pod["status"]
        others = (one for one in self._of(self._root(pod)) if self._counts(one))
        again = sum(one["status"].get("phase") == "Failed" for one in others) > 1
        said = ": ".join(filter(None, (status.get("reason"), first_line(status.get("message", "")))))
        text = f"its node has ended its pod: {said or 'it says no reason'}"
        if not said and (target := conditions(pod).get("DisruptionTarget", {})):
            text = f"its pod was bound to node {pod['spec'].get('nodeName')}, and given up: {target.get('message')}"
        return self._of_pod("crash-loop", pod, text, RETRIED if again else ENDLESS)

    def _unschedulable(self, pod: Object, scheduled: Object) -> Suspicion:
        message = scheduled.get("message", "")
        if UNTOLD_TAINTS in message and (taints := list(dict.fromkeys(self._untolerated(pod)))):
            message = message.replace(UNTOLD_TAINTS, f"untolerated taint {', '.join(taints)}")
        volumes = self._claims(pod) if "PersistentVolumeClaim" in message else ""
        passing = scheduled["reason"] == "SchedulerError" or _PASSING_PLACE.search(message)
        passing = passing and not _NO_VOLUME.search(volumes)
        reasons = re.sub(rf"(?s){_PREEMPTION}.*$", "", message).rstrip(".") + volumes
        patience = STEADY
        if any(event.get("reason") == "TriggeredScaleUp" for event in self._events_of(pod)):
            patience = ENDLESS  # an autoscaler makes a node for it
        elif passing or (self._room_may_come() and not _HOPELESS.match(message)):
            patience = PASSING
        return self._of_pod("unschedulable", pod, f"no node takes its pod: {reasons}", patience)

    def _untolerated(self, pod: Object) -> Iterator[str]:
        """The taints of nodes that keep a pod away, as schedulers used to tell them."""
        tolerated = pod["spec"].get("tolerations") or ()
        for taint in self._scene.taints:
            if taint.get("effect") != "PreferNoSchedule" and not any(_tolerates(one, taint) for one in tolerated):
                yield f"{{{taint['key']}: {taint.get('value') or ''}}}"

    def _claims(self, pod: Object) -> str:
        """What is said of the claims that a pod waits for, each in words after "; "; the newest trouble of each."""
        namespace, own = pod["metadata"]["namespace"], pod["metadata"]["name"]
        names = [
            one["persistentVolumeClaim"]["claimName"] if "persistentVolumeClaim" in one else f"{own}-{one['name']}"
            for one in pod["spec"].get("volumes", ())
            if "persistentVolumeClaim" in one or "ephemeral" in one
        ]
        told = ((name, told_of(self._scene.events, "PersistentVolumeClaim", name, namespace)) for name in names)
        return "".join(f"; PersistentVolumeClaim {name}: {why}" for name, why in told if why)

    def _room_may_come(self) -> bool:
        """True while a pod is ending, or while a pod is starting whose readiness lets an old pod end."""
        if any("deletionTimestamp" in pod["metadata"] for pod in self._pods):
            return True
        old = any(pod["metadata"]["uid"] in self._scene.known and self._outdated(pod) for pod in self._pods)
        return old and any(self._counts(pod) and _starting(pod) for pod in self._pods)

    def _container(self, pod: Object, container: Object, *, init: bool) -> Iterator[Suspicion]:
        name = container["name"]
        label = f"{'init ' if init else ''}container {name}"
        waiting = container.get("state", {}).get("waiting", {})
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        if reason in _IMAGE_REASONS:
            if ": " not in message:  # while it waits to try again, a kubelet before 1.32 leaves the why to the event
                said = _messages(self._events_of(pod), name, "Failed")
                message = next((text for text in reversed(said) if "Failed to pull image" in text), message)
            final = reason == "InvalidImageName" or _FINAL_PULL.search(f"{reason} {message}")
            image = next((str(one.get("image")) for one in containers_of(pod) if one["name"] == name), "")
            text = f'{label} cannot pull image "{image}": {_pull_reason(reason, message)}'
            absent = _messages(self._events_of(pod), name, "FailedToRetrieveImagePullSecret")
            if absent and (found := re.search(r"\((.+?)\)", absent[-1])):
                text += f"; there is no pull secret {found.group(1)}"
            patience = SETTLED if final else RETRIED
            yield self._of_pod("image-pull", pod, text, patience, container=name)
        elif reason in _CONFIG_REASONS:
            missing = _MISSING_SOURCE.search(message)
            patience = PASSING if missing and missing.group("name") in self._scene.promised else RETRIED
            if "runAsNonRoot" in message:
                patience = SETTLED
            elif _BUSY.search(message):
                patience = ENDLESS
            text = f"{label} cannot be created: {first_line(message) or reason}"
            yield self._of_pod("config", pod, text, patience, container=name)
        elif pod["spec"].get("restartPolicy") != "Never":
            killed = "" if container.get("ready") else ended_for(self._events_of(pod), name)
            crash = _crash(container)
            if crash is None and not killed:
                return
            crashes = container.get("restartCount", 0) + (0 if crash is None else 1)
            patience = SETTLED if crashes > 2 else RETRIED
            late = crashes == 1 and crash is not None and never_began(crash)
            if late or (crashes <= _TRIES and (_tries_on(pod) or self._dependency_may_come(pod))):
                patience = PASSING
            what = "failed" if crashes == 1 else f"has crashed {crashes} times"
            kind = "init-container" if init else "crash-loop"
            text = killed or f"{what}: {_exit_words(crash or {})}"
            yield self._of_pod(kind, pod, f"{label} {text}", patience, container=name)

    def _dependency_may_come(self, pod: Object) -> bool:
        """True while another part of the release is starting, which a container that crashes may be waiting for."""
        own = self._of(self._root(pod))
        return any(self._counts(other) and _starting(other) for other in self._pods if other not in own)

    def _unmade(self, pod: Object) -> Iterator[Suspicion]:
        """What has to be there before containers are made: only events tell, and they stay after it is there."""
        statuses, node = container_statuses(pod), pod["spec"].get("nodeName")
        begun = any(
            _wait_reason(one) not in _STARTING_REASONS or "waiting" not in one.get("state", {}) for one in statuses
        )
        if begun or pod.get("status", {}).get("phase") != "Pending" or not node:
            return
        event = [{}, *(one for one in self._events_of(pod) if one.get("reason") != "Scheduled")][-1]
        kind, what = _UNMADE.get(event.get("reason", ""), ("", ""))
        message = event.get("message", "")
        if event.get("reason") == "Started":  # it waits for a hook of its own
            return
        if not kind:  # a large image, as a rule
            told = first_line(message) or "its kubelet has told nothing of it yet"
            yield self._of_pod("unended", pod, f"its pod has not begun on node {node}: {told}", ENDLESS)
            return
        missing = _MISSING_SOURCE.search(message)
        promised = missing is not None and missing.group("name") in self._scene.promised
        text = f"{what}: {first_line(message)}"
        patience = RETRIED if missing and not promised else PASSING
        if _BUSY.search(message):
            patience = ENDLESS
        yield self._of_pod(kind, pod, text, patience)

    def _unready(self, pod: Object) -> Iterator[Suspicion]:
        """A container that runs and is not ready: only the deadline says that this is too long."""
        status, goes_on = pod.get("status", {}), sidecars(pod)
        beside = [one for one in status.get("initContainerStatuses", ()) if one["name"] in goes_on]
        for container in (*beside, *status.get("containerStatuses", ())):
            if "running" in container.get("state", {}) and not container.get("ready"):
                said = _messages(self._events_of(pod), container["name"], "Unhealthy")
                if container.get("started"):  # by then its startup probe had passed
                    said = [message for message in said if not message.startswith("Startup")]
                why = [first_line(said[-1]) if said else "no probe has passed yet", *_seldom(pod, container["name"])]
                why += _nameless(pod["spec"])
                label = f"{'init ' if container in beside else ''}container {container['name']}"
                text = f"{label} runs and is not ready: {'; '.join(why)}"
                # Once it may be a busy runtime's word.
                unasked = sum(bool(UNASKED.search(one)) for one in said[-_TRIES:]) == _TRIES
                patience = RETRIED if unasked else ENDLESS
                yield self._of_pod("readiness", pod, text, patience, container=container["name"])
        ready, every = conditions(pod).get("Ready", {}), status.get("containerStatuses", ())
        if ready.get("status") == "False" and every and all(container.get("ready") for container in every):
            text = f"node {pod['spec'].get('nodeName')} of its pod does not answer"
            if ready.get("reason") == "ReadinessGatesNotReady":
                text = f"nobody has opened a readiness gate of its pod: {ready.get('message', '')}"
            yield self._of_pod("readiness", pod, text, ENDLESS)

    def _unended(self, pod: Object) -> Iterator[Suspicion]:
        """What has to end before others go on, and runs: only the deadline says that this is too long."""
        goes_on = sidecars(pod)
        for container in pod.get("status", {}).get("initContainerStatuses", ()):
            name = container["name"]
            if "running" in container.get("state", {}) and name not in goes_on:
                yield self._of_pod("unended", pod, f"init container {name} has not ended", ENDLESS, container=name)
                return
        hooked = {one["name"] for one in pod["spec"]["containers"] if "postStart" in one.get("lifecycle", {})}
        for container in pod.get("status", {}).get("containerStatuses", ()):
            name = container["name"]  # it does not count as running before
            made = "waiting" in container.get("state", {}) and _messages(self._events_of(pod), name, "Started")
            if made and name in hooked and _wait_reason(container) in _STARTING_REASONS:
                text = f"container {name} has begun, and its postStart hook has not ended"
                yield self._of_pod("unended", pod, text, ENDLESS, container=name)
        root = self._root(pod)
        if is_hook(root) and root["kind"] in ("Pod", "Job") and pod.get("status", {}).get("phase") == "Running":
            again = ", for restartPolicy: Always starts it anew" if pod["spec"].get("restartPolicy") == "Always" else ""
            text = f"{_hook_name(root)} hook has not ended{again}"
            yield self._of_pod("unended", pod, text, ENDLESS, container=pod["spec"]["containers"][0]["name"])

    def _failed_pod(self, pod: Object) -> Suspicion:
        """A pod that nobody makes anew, a hook or not."""
        how, _, container = _last_failure([pod])
        how = how or pod["status"].get("message") or pod["status"].get("reason") or "its pod failed"
        kind, what = ("hook", f"{_hook_name(pod)} hook") if is_hook(pod) else ("job", "the pod")
        return self._of_pod(kind, pod, f"{what} failed: {how}", SETTLED, container=container)

    # -- owners --------------------------------------------------------------------------------

    def _refused_pods(self, item: Object) -> Iterator[Suspicion]:
        """A workload whose pods the server refuses to create."""
        message = ""
        failure = conditions(item).get("ReplicaFailure", {})
        if item["kind"] == "ReplicaSet":  # its Deployment repeats the condition
            if failure.get("status") == "True" and _mark(item, failure) not in self._scene.known:
                message = failure.get("message", "")
        elif item["kind"] == "Deployment" or _lacks_pods(item):
            made = [event for event in self._events_of(item) if _MAKES.search(event.get("reason", ""))]
            if made and made[-1]["reason"] in _MAKES_NONE:
                message = made[-1].get("message", "")
        if message:
            root = self._root(item)
            cause = refusal(message, _label(root), root["metadata"]["namespace"])
            patience = SETTLED
            if cause.kind == "quota" or "not found" in message:
                patience = PASSING if self._room_may_come() else STEADY
            elif "failed calling webhook" in message:
                patience = RETRIED
            yield Suspicion(cause, patience, item["metadata"]["uid"])

    def _job(self, job: Object) -> Iterator[Suspicion]:
        failed = conditions(job).get("Failed", {})
        final = failed.get("status") == "True"
        times = job.get("status", {}).get("failed", 0)
        hook = is_hook(job)
        # A Job may try 6 times, 10, 20, 40... seconds apart: a hook that failed twice in a row is not waited for.
        if job["metadata"]["uid"] in self._scene.known or not (final or (hook and times > 1)):
            return
        how, pod, container = _last_failure(self._of(job))
        if failed.get("reason") == "DeadlineExceeded":
            how = f"{how}; {failed.get('message')}" if how else str(failed.get("message"))
        how = how or str(failed.get("message") or f"failed {times} times")
        message = f"{_hook_name(job)} hook failed: {how}" if hook else f"the job failed: {how}"
        run = _log_command(pod, container) if pod else _kubectl(job, "describe", "job", _name(job))
        cause = Cause("hook" if hook else "job", _label(job), message, run)
        patience = SETTLED if final else AT_ONCE
        yield Suspicion(cause, patience, job["metadata"]["uid"], _place(pod) if pod else "", container)

    def _stalled(self, deployment: Object) -> Iterator[Suspicion]:
        progress = conditions(deployment).get("Progressing", {})
        if progress.get("reason") != "ProgressDeadlineExceeded" or _mark(deployment, progress) in self._scene.known:
            return
        limit = deployment["spec"].get("progressDeadlineSeconds", 600)
        stalled = _of_owner("progress", deployment, f"no progress for {limit} s (progressDeadlineSeconds)", AT_ONCE)
        own = (pod for pod in self._of(deployment) if self._counts(pod))
        for first in ranked(found for pod in own for found in self._pod(pod))[:1]:
            message = f"{first.cause.message}; {stalled.cause.message}"
            cause = replace(stalled.cause, message=message, run=first.cause.run)
            stalled = replace(first, cause=cause, patience=AT_ONCE)
        yield stalled

    def _paused(self, deployment: Object) -> Iterator[Suspicion]:
        """Nobody replaces the pods of a Deployment that is paused; helm takes it for ready."""
        spec, status = deployment["spec"], deployment.get("status", {})
        if spec.get("paused") and status.get("updatedReplicas", 0) < spec.get("replicas", 1):
            run = _kubectl(deployment, "rollout", "resume", f"deployment/{_name(deployment)}")
            yield _of_owner("paused", deployment, "it is paused, and no pod of its new state is made", SETTLED, run)

    def _in_the_way(self, item: Object) -> Iterator[Suspicion]:
        """A pod that a StatefulSet waits for, and does not replace."""
        for pod in (pod for pod in self._pods if left_behind(pod, item)):
            text = f"pod {_name(pod)} of another revision cannot become ready, and is replaced once somebody deletes it"
            run = _kubectl(pod, "delete", "pod", _name(pod))
            yield Suspicion(Cause("unended", _label(item), text, run), STEADY, pod["metadata"]["uid"])

    def _counting(self, item: Object) -> Iterator[Suspicion]:
        """Pods that are ready, and count as available a while later."""
        status, least = item.get("status", {}), item.get("spec", {}).get("minReadySeconds", 0)
        ready = status.get("readyReplicas", status.get("numberReady", 0))
        if least and ready > status.get("availableReplicas", status.get("numberAvailable", 0)):
            text = f"its pods are ready, and count {least} s later (minReadySeconds)"
            yield _of_owner("unended", item, text, ENDLESS)

    # -- words ---------------------------------------------------------------------------------

    def _of_pod(self, kind: str, pod: Object, message: str, patience: float, *, container: str = "") -> Suspicion:
        logged = container and kind not in _SILENT
        run = _log_command(pod, container) if logged else _kubectl(pod, "describe", "pod", _name(pod))
        cause = Cause(kind, _label(self._root(pod)), message, run)
        return Suspicion(cause, patience, f"{pod['metadata']['uid']}/{container}", _place(pod), container)

    def _events_of(self, item: Object) -> Sequence[Object]:
        return self._events.get(item["metadata"]["uid"], ())


def _of_owner(kind: str, item: Object, message: str, patience: float, run: str = "") -> Suspicion:
    run = run or _kubectl(item, "describe", item["kind"].lower(), _name(item))
    return Suspicion(Cause(kind, _label(item), message, run), patience, item["metadata"]["uid"])


# -- words -----------------------------------------------------------------------------------


def told_of(events: Iterable[Object], kind: str, name: str, namespace: str) -> str:
    """What the newest event of an object says, one of trouble before others; "" without any that tells something."""
    about = {"kind": kind, "name": name, "namespace": namespace}
    own = [one for one in events if about.items() <= one.get("involvedObject", {}).items()]
    telling = [one for one in own if not one.get("reason", "").startswith(("WaitFor", "Provisioning"))]
    troubled = [one for one in own if one.get("type") == "Warning"]
    newest = max(troubled or telling, key=event_time, default={})
    return first_line(newest.get("message", ""))


def container_of(event: Object) -> str:
    """The container that an event is about, "" where it is about none."""
    path = str(event.get("involvedObject", {}).get("fieldPath", ""))
    return path.partition("{")[2].rstrip("}")


def ended_for(events: Sequence[Object], container: str) -> str:
    """Why the kubelet ends a container, by the `events` of its pod: a probe and what it was told, a hook; or ""."""
    if _messages(events, container, "FailedPostStartHook"):
        return "is restarted, for its postStart hook failed"
    sign = re.compile(rf"ontainer {re.escape(container)} failed (\w+) probe")
    probes = [found[1] for text in _messages(events, container, "Killing") if (found := sign.search(text))]
    if not probes:
        return ""
    told = [text for text in _messages(events, container, "Unhealthy") if text.lower().startswith(probes[-1])]
    return f"is restarted by its {probes[-1]} probe" + (f": {first_line(told[-1])}" if told else "")


def _messages(events: Sequence[Object], container: str, reason: str) -> list[str]:
    """What the events of a pod say of a `reason`, those of another container left out, the oldest first."""
    own = (one for one in events if one.get("reason") == reason and container_of(one) in ("", container))
    return [str(one.get("message", "")) for one in sorted(own, key=event_time)]


def _pull_reason(reason: str, message: str) -> str:
    """Why a pull failed, out of a message that wraps it many times."""
    if reason == "InvalidImageName":
        return "that is no image name"
    if reason == "ErrImageNeverPull":
        return "it is not on the node, and imagePullPolicy is Never"
    if found := re.search(r"no match for platform[^:]*", message):
        return found.group()
    if re.search(r"not found|manifest unknown", message):
        return "not found"
    if re.search(r"denied|unauthorized|forbidden", message, re.IGNORECASE):
        return "access denied"
    if found := re.search(r"lookup (\S+?)(?: on \S+)?: (no such host|server misbehaving|.*timeout)", message):
        return f"{found.group(2)}: {found.group(1)}"
    parts = first_line(message).split(": ")
    return ": ".join(parts[-2:]) if message else reason


def _exit_words(terminated: Mapping[str, Any]) -> str:
    code, reason = terminated.get("exitCode"), terminated.get("reason", "")
    message = first_line(terminated.get("message", ""))
    words = f"exit code {code}" if code is not None else "it does not stay up"
    if reason and reason != "Error":
        words += f" ({reason})"
    elif code == _KILLED:
        words += " (SIGKILL, as for more memory than its limit)"  # of which the runtime does not always hear
    return f"{words}: {message}" if message else words


def _tries_on(pod: Object) -> bool:
    """Whether a hook's pod says itself until when it tries again, as a test does that has to wake what it calls."""
    return is_hook(pod) and pod["spec"].get("activeDeadlineSeconds") is not None


def _last_failure(pods: Iterable[Object]) -> tuple[str, Object | None, str]:
    """How the youngest pod that failed did so, the pod, and its container."""
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True):
        for container in container_statuses(pod):
            for state in (container.get("state", {}), container.get("lastState", {})):
                if (terminated := state.get("terminated", {})).get("exitCode"):
                    name = container["name"]
                    return f"container {name} {_exit_words(terminated)}", pod, name
    return "", None, ""


def _kubectl(item: Object, *words: str) -> str:
    return " ".join(("kubectl", f"--namespace={item['metadata']['namespace']}", *words))


def _log_command(pod: Object, container: str) -> str:
    """What prints the log of a container that has failed: of its last run where it is to run again."""
    again = any(one["name"] == container and _wait_reason(one) == "CrashLoopBackOff" for one in container_statuses(pod))
    return _kubectl(pod, "logs", _name(pod), f"--container={container}", *["--previous"] * again)


# -- reading objects ---------------------------------------------------------------------------


def _mark(item: Object, condition: Object) -> str:
    values = (condition["type"], condition.get("status"), condition.get("reason"), condition.get("lastTransitionTime"))
    return f"{item['metadata']['uid']}:{':'.join(map(str, values))}"


def _revision(item: Object) -> str:
    return str(item["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision", ""))


def _lacks_pods(item: Object) -> bool:
    """Whether a StatefulSet, a DaemonSet or a Job has fewer pods than it is to have."""
    status = item.get("status", {})
    if item["kind"] == "StatefulSet":
        return bool(status.get("replicas", 0) < item["spec"].get("replicas", 1))
    if item["kind"] == "DaemonSet":
        return bool(status.get("currentNumberScheduled", 0) < status.get("desiredNumberScheduled", 0))
    return not status.get("active") and not status.get("succeeded")


def _starting(pod: Object) -> bool:
    """True for a pod that has a node, is not ready, and has shown nothing wrong."""
    going = pod.get("status", {}).get("phase") in ("Pending", "Running") and not is_ready(pod)
    containers = container_statuses(pod)
    healthy = all(_wait_reason(item) in _STARTING_REASONS and not item.get("restartCount") for item in containers)
    return going and healthy and conditions(pod).get("PodScheduled", {}).get("status") == "True"


def _wait_reason(container: Object) -> str:
    return str(container.get("state", {}).get("waiting", {}).get("reason", ""))


def _crash(container: Object) -> Mapping[str, Any] | None:
    """How a container that is to run, and does not, ended; None where it runs, waits for something else or is done."""
    looped = _wait_reason(container) == "CrashLoopBackOff"
    ended: Mapping[str, Any] = container.get("lastState" if looped else "state", {}).get("terminated", {})
    return ended if looped or ended.get("exitCode") else None


def _tolerates(toleration: Object, taint: Object) -> bool:
    """Whether a pod with a toleration may be on a node with a taint."""
    exists = toleration.get("operator") == "Exists"
    same = exists or (toleration.get("value") or "") == (taint.get("value") or "")
    key, effect = toleration.get("key"), toleration.get("effect")
    return same and key in ((taint["key"], "", None) if exists else (taint["key"],)) and effect in (
        taint.get("effect"), "", None
    )  # fmt: skip


def _held_back(pod: Object, scheduled: Object) -> str:
    """What keeps a pod from being looked at by a scheduler; "" for nothing."""
    if scheduled.get("reason") == "SchedulingGated":
        gates = ", ".join(gate["name"] for gate in pod["spec"].get("schedulingGates") or ())
        return f"nobody has opened its scheduling gate {gates}"
    node, name = pod["spec"].get("nodeName"), pod["spec"].get("schedulerName", _SCHEDULER)
    if node and not pod.get("status", {}).get("startTime"):
        return f"no kubelet of node {node} has taken it"
    if node or scheduled:
        return ""
    claims = [
        one["persistentVolumeClaim"]["claimName"]
        for one in pod["spec"].get("volumes", ())
        if one.get("persistentVolumeClaim")
    ]
    if name == _SCHEDULER and claims:
        return f"{name} waits for the volumes of {', '.join(claims)}"
    return f"no scheduler {name} looks at it"


def _seldom(pod: Object, name: str) -> Iterator[str]:
    """Which of a container's probes ask late, or seldom."""
    spec: Object = next((one for one in containers_of(pod) if one["name"] == name), {})
    for kind in ("startupProbe", "readinessProbe"):
        probe = spec.get(kind) or {}
        if delay := probe.get("initialDelaySeconds"):
            yield f"its {kind} waits {delay} s before it asks"
        period, times = probe.get("periodSeconds", 10), probe.get("successThreshold", 1)
        if period * times >= _SELDOM:
            again = f", and has to pass {times} times (successThreshold)" if times > 1 else ""
            yield f"its {kind} asks every {period} s{again}"


def _nameless(spec: Object) -> Iterator[str]:
    """What keeps a pod from finding Services by their names."""
    policy = spec.get("dnsPolicy", "ClusterFirst")
    if policy == "ClusterFirst" and spec.get("hostNetwork"):
        yield "on the node's network it finds no Service by its name without dnsPolicy: ClusterFirstWithHostNet"
    elif policy in ("Default", "None"):
        yield f"with dnsPolicy: {policy} it asks another server than the cluster's for names"
    if known := [name for alias in spec.get("hostAliases") or () for name in alias.get("hostnames") or ()]:
        yield f"its hostAliases, and no server, say where {', '.join(known)} is"


def _hook_name(item: Object) -> str:
    return str(item["metadata"]["annotations"].get("helm.sh/hook", ""))


def _label(item: Object) -> str:
    return f"{item['kind']} {_name(item)}"


def _place(item: Object) -> str:
    return f"{item['metadata']['namespace']}/{_name(item)}"


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])
