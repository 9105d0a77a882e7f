"""Tells what happened to pods and to their places behind Services, out of the objects as a watch saw them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from scripts.cluster.objects import labels_of
from scripts.cluster.watch import Change

WATCHED = ("Pod", "EndpointSlice", "Event")  # the kinds that a timeline is made of


@dataclass(frozen=True)
class Event:
    """Something that happened `at` a time (seconds since 1970) to a pod, or to a pod's place behind a Service.

    `service` is "" for what happened to the pod itself. `what` is one of the constants below, or more words.
    """

    at: float
    pod: str
    what: str
    service: str = ""

    def __str__(self) -> str:
        where = f"pod {self.pod} behind {self.service}" if self.service else f"pod {self.pod}"
        return f"{clock(self.at)} {where}: {self.what}"


CREATED, SCHEDULED, RUNNING, READY, UNREADY = "created", "scheduled", "running", "ready", "not ready"
STOPPING, ENDED, GONE, PORTLESS = "told to stop", "its container ended", "gone", "led to by no port"
KILLED = f"{ENDED}, killed, for it did not when it was told to"
HOOK_FAILED = "its preStop hook failed"
_SIGKILL = {"exitCode": 137, "reason": "Error"}  # of a container that this signal ended, and not for its memory


def timeline(changes: Iterable[Change], twin: str = "", of: str = "") -> tuple[Event, ...]:
    """What happened to pods and to their places behind Services, out of the objects as they were seen, of any kind.

    The state of what was there when the watch began is told as events of that time. Where a `twin` is asked in place of
    the Service `of`, that has its places: those of the one port that is asked.
    """
    events: list[Event] = []
    pods: dict[str, set[str]] = {}
    places: dict[str, dict[str, str]] = {}
    for change in changes:
        if change.object["kind"] == "Pod":
            events += _pod_events(change, pods)
        elif change.object["kind"] == "EndpointSlice":
            service = labels_of(change.object).get("kubernetes.io/service-name", "")
            if not twin or service != of:
                events += _endpoint_events(change, places, of if service == twin else service)
        elif change.object.get("reason") == "FailedPreStopHook" and change.type == "ADDED":
            events.append(Event(change.at, change.object["involvedObject"]["name"], HOOK_FAILED))
    return tuple(sorted(events, key=lambda event: event.at))


def _pod_events(change: Change, known: dict[str, set[str]]) -> Iterator[Event]:
    meta, status = change.object["metadata"], change.object.get("status", {})
    conditions = {entry["type"]: entry["status"] == "True" for entry in status.get("conditions", ())}
    containers = status.get("containerStatuses", ())
    states = {CREATED}
    if conditions.get("PodScheduled"):
        states.add(SCHEDULED)
    if any("running" in container.get("state", {}) for container in containers):
        states.add(RUNNING)
    states.add(READY if conditions.get("Ready") else UNREADY)
    if "deletionTimestamp" in meta:
        states.add(STOPPING)
    restarts = sum(container.get("restartCount", 0) for container in containers)
    ends = [container.get("state", {}).get("terminated") for container in containers]
    if ends and (restarts or all(ends)):
        killed = STOPPING in states and any(_SIGKILL.items() <= end.items() for end in ends if end)
        told = [*ends, *(container.get("lastState", {}).get("terminated") for container in containers)]
        reasons = {status.get("reason"), *(end.get("reason") for end in told if end)} - {None, "Error", "Completed"}
        why = [*([f"restart {restarts}"] if restarts else []), *sorted(map(str, reasons))]
        ended = f"{ENDED} ({', '.join(why)})" if why else ENDED
        states.add(KILLED if killed else ended)
    if change.type == "DELETED":
        states.add(GONE)
    before = known.get(meta["uid"])
    known[meta["uid"]] = states
    if before is None:
        before = {UNREADY}  # a new pod is not ready, which is no event
    yield from (Event(change.at, meta["name"], state) for state in _in_order(states - before))


def _in_order(states: Iterable[str]) -> list[str]:
    order = (CREATED, SCHEDULED, RUNNING, READY, UNREADY, STOPPING, ENDED, GONE)
    return sorted(states, key=lambda state: next(i for i, known in enumerate(order) if state.startswith(known)))


def _endpoint_events(change: Change, known: dict[str, dict[str, str]], service: str) -> Iterator[Event]:
    meta = change.object["metadata"]
    now: dict[str, str] = {}
    led = change.object.get("ports", True)  # none where pods know no port by the name to which the Service leads
    for endpoint in change.object.get("endpoints") or () if change.type != "DELETED" else ():
        pod = (endpoint.get("targetRef") or {}).get("name") or endpoint["addresses"][0]
        told = endpoint.get("conditions") or {}
        serving = UNREADY if told.get("ready") is False else READY
        now[pod] = STOPPING if told.get("terminating") else serving if led else PORTLESS
    before = known.get(meta["uid"], {})
    known[meta["uid"]] = now
    for pod, state in sorted(now.items(), key=lambda one: one[1] != READY):  # at once: nobody is missing in between
        if before.get(pod) != state:
            yield Event(change.at, pod, state, service)
    for pod in sorted(before.keys() - now.keys()):
        yield Event(change.at, pod, GONE, service)


def fewest_ready(
    events: Sequence[Event], service: str, *, since: float, leaving: Collection[str] = (UNREADY, STOPPING, GONE)
) -> int:
    """The smallest number of pods that were ready behind `service` at any time from `since` on.

    A pod counts no more after an event of `leaving`: without UNREADY, only where somebody took it away.
    """
    ready, counts = set[str](), list[int]()
    for event in (event for event in events if event.service == service):
        before = len(ready)
        if event.what == READY:
            ready.add(event.pod)
        elif event.what in leaving:
            ready.discard(event.pod)
        if event.at >= since:
            counts += (before, len(ready))
    return min(counts, default=len(ready))


def clock(at: float) -> str:
    """A time as a person reads it next to logs: UTC, to the tenth of a second."""
    return time.strftime("%H:%M:%S", time.gmtime(at)) + f".{int(at * 10) % 10}"
