"""Keeps the availability ledger: every request of a load, and for each lost or slow one what happened around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from scripts.cluster.watch import Change
from scripts.core.words import some
from scripts.e2e.k6 import KINDS, RATE, Request
from scripts.e2e.outside import ANEW
from scripts.e2e.timeline import (
    ENDED,
    GONE,
    HOOK_FAILED,
    KILLED,
    READY,
    RUNNING,
    STOPPING,
    UNREADY,
    Event,
    clock,
    timeline,
)

ENOUGH = 3000  # requests below which a load proves nothing
SLOW = 1.0  # seconds from which a request is told, though it is not lost
STOOD = 2.0  # seconds without an answer in which the control did not wait for a busy machine: a node stood still
# From so many seconds on the control says that the machine is short of something. What answers at once in a
# thousandth of that waits for nothing else. It excuses what was lost after as long a wait at that time. What is
# refused at once did not wait for the machine, and where neither lost anything, it was slow and no more.
STRAINED = 0.25
BEFORE, AFTER = 5.0, 1.0  # seconds around a request in which an event can be its cause
# What the machine of the load ran out of, in the system's words: nobody was asked.
_OWN_LACKS = ("too many open files", "cannot assign requested address", "no buffer space", "cannot allocate memory")
_DIALING = "Error while dialing"  # of a client of gRPC, which words its own failures as a server does
_TOLD = 5.0  # seconds within which a busy node tells that a container has ended which was told to
_TOGETHER = 1.0  # seconds between two requests of one incident
# Linux' nf_conntrack_tcp_timeout_syn_sent: so long a node sends what comes from the same port where it sent a
# connection that nobody answered, even when the pod there is no more.
_TRACKED = 120.0
# What the quickest tenth, the median and p99 may not exceed: times as long as before, less what the control took then,
# or as the control.
LATENCY = 10.0
# Shares of the requests, the seconds below which nobody minds that they take longer than before, and the share of the
# control's that says how long the machine alone may take. A busy one lengthens p99, before and during, so far that a
# slower answer hides in it, and a very busy one the median; the quickest tenth it leaves alone.
_SHARES = {"quickest tenth": (0.1, 0.03, 0.5), "median": (0.5, 0.02, 0.99), "p99": (0.99, 0.05, 0.99)}
# What the machine did to a request shows a moment before and some seconds after: a probe failed, a call was given up.
_LEAD, _TRAIL = 2.0, 5.0
_TAKEN_AWAY = 10.0  # seconds after that until which a pod is taken away for probes that were not answered in it
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
        when = f"{clock(self.begin)} to {clock(self.end)}: {self.failed} lost, {self.slow} slow"
        causes = (f"  because {cause} ({count})" for cause, count in self.causes.items())
        events = (f"    {event}" for event in some(self.events, _SHOWN))
        return [when + f" ({told})" * bool(told), *causes, *events]


@dataclass(frozen=True)
class Latency:
    """How long requests took, in seconds."""

    requests: int
    median: float
    p99: float
    longest: float

    def __str__(self) -> str:
        times = (("median", self.median), ("p99", self.p99), ("longest", self.longest))
        return ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in times)


@dataclass(frozen=True)
class Window:
    """A time in which the control lost: what happened to a load in it, the machine did. `why` says what it lost."""

    begin: float
    end: float
    why: str

    def __str__(self) -> str:
        return f"void from {clock(self.begin)} to {clock(self.end)}: {self.why}"


@dataclass(frozen=True)
class Control:
    """What became of the control meanwhile: the same load on endpoints that the chart has no part in."""

    requests: int
    failed: int
    latency: Latency
    stall: float
    """The longest time in which the generator sent nothing though it had to."""


@dataclass(frozen=True)
class Ledger:
    """What became of a load. Times are seconds; `requests` and what follows are counts.

    `objections` are the reasons for which it does not pass: none says that nothing was lost of enough requests.
    `windows` are void: what was lost in them (`voided`) is no objection, but then nothing is proven either.
    `before` is the latency until what is under test began, `during` from then on. `asked` are the Services that the
    requests went to, as they were one after the other. `control` is None where there was none.
    """

    service: str
    begin: float
    end: float
    requests: int
    failed: int
    slow: int
    kinds: Mapping[str, int]
    versions: Mapping[str, int]
    before: Latency
    during: Latency
    stall: float
    incidents: tuple[Incident, ...]
    events: tuple[Event, ...]
    objections: tuple[str, ...]
    windows: tuple[Window, ...] = ()
    voided: int = 0
    control: Control | None = None
    asked: tuple[str, ...] = ()

    @property
    def void(self) -> bool:
        """Nothing speaks against it, but for a time the machine was in the way: it has to be measured again."""
        return bool(self.windows) and not self.objections

    @property
    def passed(self) -> bool:
        return not self.objections and not self.windows

    def summary(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds.items())
        before = f", before: p99 {self.before.p99 * 1000:.0f} ms" if self.before.requests else ""
        of = self.control
        control = f"; control: {of.failed} lost, p99 {of.latency.p99 * 1000:.0f} ms" if of else ""
        sent = f"{self.requests} requests ({kinds}) in {self.end - self.begin:.0f} s"
        return f"{sent}: {self.failed} lost, {self.slow} slow; {self.during}{before}{control}"

    def lines(self) -> list[str]:
        """For a person: the summary, the objections, what is void, each incident."""
        incidents = (line for incident in self.incidents for line in incident.lines())
        return [self.summary(), *self.objections, *map(str, self.windows), *incidents]

    def report(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed, "void": self.void}


def judge(
    requests: Iterable[Request],
    changes: Iterable[Change],
    service: str,
    *,
    since: float = 0.0,
    settled: float = 0.0,
    begun: float | None = None,
    enough: int = ENOUGH,
    kinds: Sequence[str] = KINDS,
    rate: int = RATE,
    control: Sequence[Request] | None = None,
    asked: Sequence[str] = (),
    twin: str = "",
    latency: float = LATENCY,
    cut: Sequence[Request] = (),
) -> Ledger:
    """The ledger of `requests` that went to `service`, joined to the pod and EndpointSlice `changes` meanwhile.

    Changes until `since` tell what there was at the beginning: they are the cause of nothing. What ended before the
    load had `settled` says nothing but that it was lost, and not even that where the machine is to blame. `begun` is
    when what is under test began. `control` are the requests of the control meanwhile, sent `rate` a second of each
    kind. `cut` are those that were under way when the load was ended. `twin` is asked in place of `service`, if any.
    """
    ordered = sorted(requests, key=lambda request: request.at)
    events = timeline(changes, twin, service)
    begin, end = (ordered[0].at, max(request.end for request in ordered)) if ordered else (0.0, 0.0)
    early, late = list[Request](), list[Request]()
    for request in ordered:
        (early if request.end < settled else late).append(request)
    void, spared = _standstills(late, cut, rate), list[Window]()
    if control is not None and ordered:
        control = [request for request in control if request.end >= begin and request.at <= end]
        spared += _excuses(early, control, events, rate)
        void = (*_excuses(late, [one for one in control if one.end >= settled], events, rate), *void)
    valid = [request for request in early if request.failed and not _within(request, spared)]
    valid += [request for request in late if not _within(request, void)]
    parts = list[Request](), list[Request]()  # before, during
    for request in valid:
        parts[begun is None or request.end > begun].append(request)
    before, during = map(measure, parts)
    beside, seen = [one for one in control or () if not _within(one, void)], None
    if control is not None:
        seen = Control(len(control), sum(one.failed for one in control), measure(beside), stall(control, rate))
    counts = Counter(request.kind for request in ordered)
    failed = sum(request.failed for request in valid)
    objections = []
    if failed:
        objections.append(f"{failed} of {len(valid)} requests were lost")
    if len(ordered) < enough:
        objections.append(f"{len(ordered)} requests came to an end, which is fewer than {enough} and proves nothing")
    objections += [f"no request used a {kind} connection" for kind in kinds if ordered and not counts.get(kind)]
    objections += [f"who knew the Service's address reaches nobody: {one}" for one in asked if one.endswith(ANEW)]
    earlier = [one for one in control or () if begun is not None and one.end <= begun]
    times = [_times(some) for some in (*parts, earlier, beside)]
    for name, (share, quick, machine) in _SHARES.items():
        then, now, lent, taken = (quantile(some, share) for some in times)
        usual = max(quick, then - lent, taken)  # what the machine adds is no measure of the chart
        if before.requests and now > latency * usual:
            told = f"{name} {now * 1000:.0f} ms"
            if now <= (most := quantile(times[-1], machine)):
                why = f"the control: p{machine * 100:.0f} {most * 1000:.0f} ms, beside which a {told} tells nothing"
                void = (*void, Window(begin, end, why))
                continue
            objections.append(
                f"requests became slow: {told}, which is more than {latency:g} times the "
                f"{usual * 1000:.0f} ms of before, less what the control took then, and of the control (at least "
                f"{quick * 1000:.0f})"
            )
    return Ledger(
        service=service,
        begin=begin,
        end=end,
        requests=len(ordered),
        failed=failed,
        slow=sum(_slow(request) for request in valid),
        kinds=dict(sorted(counts.items())),
        versions=dict(sorted(Counter(request.version for request in ordered if not request.failed).items())),
        before=before,
        during=during,
        stall=stall(ordered, rate),
        incidents=tuple(_incidents(valid, events, service, since)),
        events=events,
        objections=tuple(objections),
        windows=void,
        voided=sum(request.failed for request in ordered) - failed,
        control=seen,
        asked=tuple(asked),
    )


def _excuses(
    load: Sequence[Request], control: Sequence[Request], events: Sequence[Event], rate: int
) -> Iterator[Window]:
    """The times in which the machine is to blame for what was lost, or would be: the control stood, or was as slow."""
    if not load:
        return
    begin, end = load[0].at, load[-1].at
    stood = [_lasting(window, events) for window in windows(control, begin, end, rate=rate, slow=STOOD)]
    for window in stood:
        told = Window(max(window.begin, begin), min(window.end, end), window.why)
        if any(request.failed for request in load if _within(request, (window,))) or _silent(control, told):
            yield window
    lost = [request for request in load if request.failed and not _within(request, stood)]
    for window in windows(control, begin, end, rate=rate, slow=STRAINED):
        if {request.seconds >= STRAINED for request in lost if _within(request, (window,))} == {True}:
            yield window  # all of them waited, and some there were


def _silent(control: Sequence[Request], window: Window) -> bool:
    """Whether the control lost something in it, or one of its places answered nobody for as long as a node stands.

    A busy machine answers some at any time, however late: where nothing was lost either, that hides nothing.
    """
    ends: dict[str, list[float]] = {request.target: [window.begin, window.end] for request in control}
    for request in (one for one in control if _within(one, (window,))):
        ends[request.target].append(min(request.end, window.end))
        if request.failed:
            return True
    return not ends or any(b - a >= STOOD for times in ends.values() for a, b in pairwise(sorted(times)))


def measure(requests: Iterable[Request]) -> Latency:
    """How long `requests` took; zeros where there are none."""
    times = _times(requests)
    return Latency(len(times), *(quantile(times, share) for share in (0.5, 0.99, 1.0)))


def _times(requests: Iterable[Request]) -> list[float]:
    """How long each took, in seconds, the quickest first."""
    return sorted(request.seconds for request in requests)


def windows(
    control: Sequence[Request], begin: float, end: float, *, rate: int = RATE, slow: float = SLOW
) -> tuple[Window, ...]:
    """The times from `begin` to `end` in which the control lost, took `slow` seconds, or was not sent at all.

    Each is wide enough for what follows of it.
    """
    bad = [request for request in control if request.failed or request.seconds >= slow]
    whys = [f"{request.target} {_error(request) if request.failed else 'was slow'}" for request in bad]
    found = [(one.at - _LEAD, one.end + _TRAIL, why) for one, why in zip(bad, whys, strict=True)]
    found += _unsent([begin, *(request.at for request in control), end], rate, SLOW)
    return _merged(found, "the control")


def _standstills(load: Sequence[Request], cut: Sequence[Request], rate: int) -> tuple[Window, ...]:
    """The times in which a load says nothing of whom it asks.

    It was not sent, not on its way for want of something on its own machine, or ended before there was an answer that
    had taken longer by then than any other.
    """
    own = [one for one in load if not one.status and any(word in one.error for word in _OWN_LACKS)]
    # What a server of gRPC says it ran out of is its own matter.
    own = [one for one in own if not one.error.startswith("status ") or _DIALING in one.error]
    found = [(one.at - _LEAD, one.end + _TRAIL, one.error) for one in own]
    longest = max((one.seconds for one in load if not one.failed), default=0.0)
    late = [one for one in cut if one.seconds > max(STOOD, longest)]
    found += [(one.at, one.end, "no answer when it was ended") for one in late]
    return _merged([*found, *_unsent([one.at for one in load], rate, STOOD)], "the load")


def _unsent(times: Iterable[float], rate: int, least: float) -> list[tuple[float, float, str]]:
    return [
        (first - _LEAD, last + _TRAIL, "nothing was sent")
        for first, last in _gaps(times, rate)
        if last - first >= least
    ]


def _merged(found: Iterable[tuple[float, float, str]], of: str) -> tuple[Window, ...]:
    """Times with their reasons as windows, of those that overlap one; `of` is what they were seen at."""
    merged: list[tuple[float, float, Counter[str]]] = []
    for first, last, why in sorted(found):
        if merged and first <= merged[-1][1]:
            before = merged.pop()
            merged.append((before[0], max(before[1], last), before[2] + Counter([why])))
        else:
            merged.append((first, last, Counter([why])))
    return tuple(
        Window(first, last, f"{of}: " + ", ".join(f"{count} x {why}" for why, count in whys.most_common(3)))
        for first, last, whys in merged
    )


def _lasting(window: Window, events: Iterable[Event]) -> Window:
    """The window, until the pods that it took away, as probes went unanswered in it, are back or told to go.

    One that was told to stop before went for another reason, and one that stays away is no matter of the machine.
    """
    end, stopping, away = window.end, set[str](), set[str]()
    for event in (one for one in events if not one.service):
        if event.what in (READY, STOPPING) and event.pod in away:
            away.remove(event.pod)
            end = max(end, event.at + _TRAIL)
        elif event.what == UNREADY and event.pod not in stopping and window.begin <= event.at <= end + _TAKEN_AWAY:
            away.add(event.pod)
        if event.what == STOPPING:
            stopping.add(event.pod)
    return replace(window, end=end)


def stall(requests: Sequence[Request], rate: int) -> float:
    """The longest time beyond its pace in which nothing was sent, in seconds: the generator's own delay."""
    return max((end - begin - 1 / rate for begin, end in _gaps([r.at for r in requests], rate)), default=0.0)


def _gaps(times: Iterable[float], rate: int) -> Iterator[tuple[float, float]]:
    """The times between one and the next that are longer than the pace asks for."""
    return ((begin, end) for begin, end in pairwise(sorted(times)) if end - begin > 1 / rate)


def _within(request: Request, void: Sequence[Window]) -> bool:
    return any(request.end >= window.begin and request.at <= window.end for window in void)


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
    if request.status and not (request.behind and request.failed):
        # The server answered, so what it was missing, or had to wait for, is behind a Service of other pods.
        behind: dict[str, set[str]] = {}
        for event in events:
            behind.setdefault(event.service, set()).add(event.pod)
        own = behind.get(service, set())
        others = sorted(name for name, pods in behind.items() if name and not pods & own)
        reasons = (
            (_gap(request, events, name) for name in others)
            if request.behind
            else (_reason(request, events, name, since) for name in (*others, service))
        )
        if reason := next(filter(None, reasons), None):
            return f"pod {request.pod or 'unknown'} had nobody behind it: {reason}"
    return _reason(request, events, service, since) or _stale(request, events, service, since) or UNEXPLAINED


UNEXPLAINED = f"no pod or endpoint changed within {BEFORE:g} s, so look at the node and the load itself"


def _reason(request: Request, events: Sequence[Event], service: str, since: float) -> str | None:
    """What was wrong behind `service` while the request was under way; None when nothing was."""
    begin, end = max(request.at - BEFORE, since), request.end + AFTER
    if (gap := _gap(request, events, service)) is not None:
        return gap
    places = [event for event in events if event.service == service]
    members = {event.pod for event in places}
    near = [event for event in events if event.pod in members and begin < event.at <= request.end + _TOLD]
    around = [event for event in near if event.at <= end]
    for event in (*reversed(around), *near[len(around) :]):
        if not event.service and (event.what.startswith(ENDED) or event.what == GONE):
            told = _last(events, event.pod, STOPPING, before=end)
            if event.at > end and not told:
                continue
            killed = _last(events, event.pod, KILLED, before=end + _TOLD)  # which may be told just before it is gone
            ended = "ended" if event.what == GONE else event.what.removeprefix("its container ")
            at, ended = (killed.at, "had to be killed") if killed else (event.at, ended)
            how = f", told to stop {at - told.at:.1f} s before" if told else " without being told to stop"
            hook = f", and {HOOK_FAILED}" if _last(events, event.pod, HOOK_FAILED, before=end + _TOLD) else ""
            return f"pod {event.pod} {ended} at {clock(at)}{how}{hook}"
    for event in reversed(around):
        if event.service == service and event.what == READY:
            started = _last(events, event.pod, RUNNING, before=end)
            how = f", {max(0.0, event.at - started.at):.1f} s after its container started" if started else ""
            # It takes the place of one that stops then, and whose end is told late where the machine is slow.
            others = [one for one in around if one.pod != event.pod and not one.service]
            left = next((one for one in reversed(others) if one.what == STOPPING), None)
            also = f", and pod {left.pod} was {STOPPING} at {clock(left.at)}" if left else ""
            return f"pod {event.pod} was given requests from {clock(event.at)} on{how}{also}"
    for event in reversed(around):
        if event.what in (STOPPING, UNREADY):
            return f"pod {event.pod} was {event.what} at {clock(event.at)}"
    return None


def _stale(request: Request, events: Sequence[Event], service: str, since: float) -> str | None:
    """The pod before, whose address a node still knew; None when the request was not turned away for that."""
    # What is sent to an address that is no more is refused after some seconds, for which no new connection may wait.
    waited = "timeout" in request.error or "deadline exceeded" in request.error
    if "no route to host" not in request.error and not (request.kind == "new" and waited):
        return None
    members = {event.pod for event in events if event.service == service}
    begin = max(request.at - _TRACKED, since)
    for event in reversed(events):
        ended = not event.service and (event.what.startswith(ENDED) or event.what == GONE)
        if ended and event.pod in members and begin < event.at <= request.end:
            told = "a node still sent it to a pod that is no more, like one before from the same port"
            return f"{told}: {event.pod} ended at {clock(event.at)}"
    return None


def _gap(request: Request, events: Sequence[Event], service: str) -> str | None:
    """The time without any ready pod behind `service` that the request falls into."""
    ready: set[str] = set()
    empty_since: Event | None = None
    for event in (event for event in events if event.service == service):
        if event.what == READY:
            if empty_since is not None and empty_since.at <= request.end and event.at >= request.at - AFTER:
                return _no_pod(service, empty_since, event.at, events)
            ready.add(event.pod)
            empty_since = None
        elif event.pod in ready:
            ready.remove(event.pod)
            empty_since = empty_since if ready else event
    if empty_since is not None and empty_since.at <= request.end:
        return _no_pod(service, empty_since, None, events)
    return None


def _no_pod(service: str, last: Event, until: float | None, events: Sequence[Event]) -> str:
    when = f"from {clock(last.at)} " + (f"to {clock(until)}" if until is not None else "on")
    own = [one.what for one in events if one.pod == last.pod and not one.service and one.at <= last.at + AFTER]
    well = last.what == GONE and own[-1:] == [READY]
    why = ", though the pod went on: the Service selects it no more, or is gone itself" * well
    return f"no pod was ready behind {service} {when}: the last one, {last.pod}, was {last.what}{why}"


def _last(events: Sequence[Event], pod: str, what: str, *, before: float) -> Event | None:
    found = [event for event in events if event.pod == pod and not event.service and event.what == what]
    return next((event for event in reversed(found) if event.at <= before), None)


def _error(request: Request) -> str:
    if request.status:
        return f"status {request.status}" + (f", {request.error}" if request.error else "")
    return request.error or "no answer"


def _slow(request: Request) -> bool:
    return not request.failed and request.seconds >= SLOW


def quantile(ordered: Sequence[float], share: float) -> float:
    """What a share of the times in `ordered` do not exceed; 0.0 without any."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
