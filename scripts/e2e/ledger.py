"""Keeps the availability ledger: every request of a load, and for each lost or slow one what happened around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scripts.cluster.watch import Change
from scripts.e2e.k6 import KINDS, Request
from scripts.e2e.timeline import ENDED, GONE, READY, RUNNING, STOPPING, UNREADY, Event, clock, timeline

ENOUGH = 3000  # requests below which a load proves nothing
SLOW = 1.0  # seconds from which a request is told, though it is not lost
BEFORE, AFTER = 5.0, 1.0  # seconds around a request in which an event can be its cause
_TOGETHER = 1.0  # seconds between two requests of one incident
# Linux' nf_conntrack_tcp_timeout_syn_sent: so long a node sends what comes from the same port where it sent a
# connection that nobody answered, even when the pod there is no more.
_TRACKED = 120.0
_SHOWN = 12  # events of an incident in a text for a person


@dataclass(frozen=True)
class Incident:
    """Requests that were lost or slow one after the other, why, and the events around them."""

    begin: float
    end: float
    failed: int
    slow: int
    errors: Mapping[str, int]
    causes: Mapping[str, int]
    events: tuple[Event, ...]

    def lines(self) -> list[str]:
        """For a person: when, how many, why, and what happened meanwhile."""
        told = ", ".join(f"{count} x {error}" for error, count in self.errors.items())
        lines = [
            f"{clock(self.begin)} to {clock(self.end)}: {self.failed} lost, {self.slow} slow"
            + f" ({told})" * bool(told)
        ]
        lines += [f"  because {cause} ({count})" for cause, count in self.causes.items()]
        lines += [f"    {event}" for event in self.events[:_SHOWN]]
        more = len(self.events) - _SHOWN
        return lines + ([f"    ... and {more} events more"] if more > 0 else [])


@dataclass(frozen=True)
class Ledger:
    """What became of a load. Times are seconds; `requests` and what follows are counts.

    `objections` are the reasons for which it does not pass: none says that nothing was lost of enough requests.
    """

    service: str
    begin: float
    end: float
    requests: int
    failed: int
    slow: int
    kinds: Mapping[str, int]
    versions: Mapping[str, int]
    median: float
    p99: float
    longest: float
    incidents: tuple[Incident, ...]
    events: tuple[Event, ...]
    objections: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.objections

    def summary(self) -> str:
        """One line."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds.items())
        times = ", ".join(
            f"{name} {seconds * 1000:.0f} ms"
            for name, seconds in (("median", self.median), ("p99", self.p99), ("longest", self.longest))
        )
        return (
            f"{self.requests} requests ({kinds}) in {self.end - self.begin:.0f} s: "
            f"{self.failed} lost, {self.slow} slow; {times}"
        )

    def lines(self) -> list[str]:
        """For a person: the summary, the objections, each incident."""
        return [self.summary(), *self.objections, *(line for incident in self.incidents for line in incident.lines())]

    def report(self) -> dict[str, Any]:
        """For a machine."""
        return {**asdict(self), "passed": self.passed}


def judge(
    requests: Iterable[Request], changes: Iterable[Change], service: str, *, since: float = 0.0, enough: int = ENOUGH
) -> Ledger:
    """The ledger of `requests` that went to `service`, joined to the pod and EndpointSlice `changes` meanwhile.

    Changes until `since` tell what there was at the beginning: they are the cause of nothing.
    """
    ordered = sorted(requests, key=lambda request: request.at)
    events = timeline(changes)
    times = sorted(request.seconds for request in ordered) or [0.0]
    kinds = dict(sorted(Counter(request.kind for request in ordered).items()))
    failed = sum(request.failed for request in ordered)
    objections = []
    if failed:
        objections.append(f"{failed} of {len(ordered)} requests were lost")
    if len(ordered) < enough:
        objections.append(f"{len(ordered)} requests came to an end, which is fewer than {enough} and proves nothing")
    objections += [f"no request used a {kind} connection" for kind in KINDS if ordered and not kinds.get(kind)]
    return Ledger(
        service=service,
        begin=ordered[0].at if ordered else 0.0,
        end=max((request.end for request in ordered), default=0.0),
        requests=len(ordered),
        failed=failed,
        slow=sum(_slow(request) for request in ordered),
        kinds=kinds,
        versions=dict(sorted(Counter(request.version for request in ordered if not request.failed).items())),
        median=_quantile(times, 0.5),
        p99=_quantile(times, 0.99),
        longest=times[-1],
        incidents=tuple(_incidents(ordered, events, service, since)),
        events=events,
        objections=tuple(objections),
    )


# -- why -------------------------------------------------------------------------------------------


def _incidents(requests: Sequence[Request], events: Sequence[Event], service: str, since: float) -> Iterator[Incident]:
    """The lost and slow requests in groups of those that came to an end shortly one after the other."""
    bad = sorted((request for request in requests if request.failed or _slow(request)), key=lambda r: r.at)
    group: list[Request] = []
    for request in bad:
        if group and request.at - max(other.end for other in group) > _TOGETHER:
            yield _incident(group, events, service, since)
            group = []
        group.append(request)
    if group:
        yield _incident(group, events, service, since)


def _incident(group: Sequence[Request], events: Sequence[Event], service: str, since: float) -> Incident:
    begin, end = min(request.at for request in group), max(request.end for request in group)
    lost = [request for request in group if request.failed]
    return Incident(
        begin=begin,
        end=end,
        failed=len(lost),
        slow=len(group) - len(lost),
        errors=dict(Counter(_error(request) for request in lost).most_common()),
        causes=dict(Counter(cause(request, events, service, since=since) for request in lost or group).most_common()),
        events=tuple(event for event in events if max(begin - BEFORE, since) < event.at <= end + AFTER),
    )


def cause(request: Request, events: Sequence[Event], service: str, *, since: float = 0.0) -> str:
    """Why a request to `service` was lost or slow, from the `events` that were seen after `since`."""
    if request.status and not request.manager:
        # The ingress answered, so what it was missing is behind a Service of other pods.
        behind: dict[str, set[str]] = {}
        for event in events:
            behind.setdefault(event.service, set()).add(event.pod)
        own = behind.get(service, set())
        others = sorted(name for name, pods in behind.items() if name and not pods & own)
        for name in (*others, service):
            if reason := _reason(request, events, name, since):
                return f"pod {request.pod or 'unknown'} had no route-manager: {reason}"
    return _reason(request, events, service, since) or _stale(request, events, service, since) or UNEXPLAINED


UNEXPLAINED = f"no pod or endpoint changed within {BEFORE:g} s, so look at the node and the load itself"


def _reason(request: Request, events: Sequence[Event], service: str, since: float) -> str | None:
    """What was wrong behind `service` while the request was under way; None when nothing was."""
    begin, end = max(request.at - BEFORE, since), request.end + AFTER
    if (gap := _gap(request, events, service)) is not None:
        return gap
    places = [event for event in events if event.service == service]
    members = {event.pod for event in places}
    around = [event for event in events if event.pod in members and begin < event.at <= end]
    for event in reversed(around):
        if not event.service and (event.what.startswith(ENDED) or event.what == GONE):
            told = _last(events, event.pod, STOPPING, before=end)
            how = f", told to stop {event.at - told.at:.1f} s before" if told else " without being told to stop"
            return f"pod {event.pod} ended at {clock(event.at)}{how}"
    for event in reversed(around):
        if event.service == service and event.what == READY:
            started = _last(events, event.pod, RUNNING, before=end)
            how = f", {max(0.0, event.at - started.at):.1f} s after its container started" if started else ""
            return f"pod {event.pod} was given requests from {clock(event.at)} on{how}"
    for event in reversed(around):
        if event.what in (STOPPING, UNREADY):
            return f"pod {event.pod} was {event.what} at {clock(event.at)}"
    return None


def _stale(request: Request, events: Sequence[Event], service: str, since: float) -> str | None:
    """The pod before, whose address a node still knew; None when the request was not turned away for that."""
    if "no route to host" not in request.error:
        return None
    members = {event.pod for event in events if event.service == service}
    begin = max(request.at - _TRACKED, since)
    for event in reversed(events):
        ended = not event.service and (event.what.startswith(ENDED) or event.what == GONE)
        if ended and event.pod in members and begin < event.at <= request.end:
            return (
                f"a node still sent it to a pod that is no more, like one before from the same port: "
                f"{event.pod} ended at {clock(event.at)}"
            )
    return None


def _gap(request: Request, events: Sequence[Event], service: str) -> str | None:
    """The time without any ready pod behind `service` that the request falls into."""
    ready: set[str] = set()
    empty_since: Event | None = None
    for event in events:
        if event.service != service:
            continue
        if event.what == READY:
            if empty_since is not None and empty_since.at <= request.end and event.at >= request.at - AFTER:
                return _no_pod(service, empty_since, event.at)
            ready.add(event.pod)
            empty_since = None
        else:
            had = bool(ready)
            ready.discard(event.pod)
            if had and not ready:
                empty_since = event
    if empty_since is not None and empty_since.at <= request.end:
        return _no_pod(service, empty_since, None)
    return None


def _no_pod(service: str, last: Event, until: float | None) -> str:
    when = f"from {clock(last.at)} " + (f"to {clock(until)}" if until is not None else "on")
    return f"no pod was ready behind {service} {when}: the last one, {last.pod}, was {last.what}"


def _last(events: Sequence[Event], pod: str, what: str, *, before: float) -> Event | None:
    found = [event for event in events if event.pod == pod and not event.service and event.what == what]
    return next((event for event in reversed(found) if event.at <= before), None)


def _error(request: Request) -> str:
    if request.status:
        return f"status {request.status}" + (f", {request.error}" if request.error else "")
    return request.error or "no answer"


def _slow(request: Request) -> bool:
    return not request.failed and request.seconds >= SLOW


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
