"""Counts the requests of a load second by second, and tells the states of pods as spans, for a timeline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.core import json_read
from scripts.core.errors import MALFORMED
from scripts.e2e.k6 import Request
from scripts.e2e.ledger import quantile
from scripts.e2e.timeline import ENDED, GONE, READY, RUNNING, STOPPING, UNREADY

_WIDEST = 120  # places on a timeline
Sent = tuple[float, float, bool]
"""When a request was sent (seconds since 1970), how many seconds it took, and whether it was lost."""
_STATES = {READY: "ready", STOPPING: "stopping", UNREADY: "unready", RUNNING: "unready"}  # the classes of colours


def read_load(file: Path, last: float = math.inf) -> Iterator[Sent]:
    """The requests that a load left and that ended by `last`, one at a time: there may be millions.

    A line that is none, or says that one begins, is left out.
    """
    with file.open("rb") as lines:
        for line in (line for line in lines if b'"seconds"' in line):  # without it one begins
            try:
                one = Request(**json_read.load(line))
                if math.isfinite(one.end) and one.end <= last:
                    yield one.at, one.seconds, one.failed
            except MALFORMED:
                continue


def places(begin: float, end: float) -> tuple[float, int]:
    """How many seconds a place on the timeline is wide, a whole number, and how many places there are."""
    width = max(1, math.ceil((end - begin) / _WIDEST))
    return float(width), max(1, math.ceil((end - begin) / width))


def counted(requests: Iterable[Sent], begin: float, end: float) -> dict[str, list[Any]]:
    """Requests, losses and latencies (ms; None for none) in each place, by when `requests` were sent."""
    width, count = places(begin, end)
    times: list[list[float]] = [[] for _ in range(count)]
    lost = [0] * count
    for at, seconds, failed in requests:
        if begin <= at <= end:
            place = min(count - 1, int((at - begin) / width))
            times[place].append(seconds * 1000)
            lost[place] += failed
    for some in times:
        some.sort()
    return {
        "requests": [len(some) for some in times],
        "lost": lost,
        "median": [_share(some, 0.5) for some in times],
        "p99": [_share(some, 0.99) for some in times],
    }


def _share(ordered: Sequence[float], share: float) -> float | None:
    return round(quantile(ordered, share), 2) if ordered else None


def lanes(events: Sequence[Mapping[str, Any]], end: float) -> list[dict[str, Any]]:
    """A lane for each pod, and for its place behind each Service: spans with a state, the last of them until `end`."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for event in events:
        spans = found.setdefault((event["pod"], event["service"]), [])
        at, what = event["at"], event["what"]
        if spans:
            spans[-1]["end"] = at
        if what != GONE:
            state = _STATES.get(what, "ended" if what.startswith(ENDED) else "begun")
            spans.append({"begin": at, "end": end, "what": what, "state": state})
    return [
        {"pod": pod, "service": service, "spans": [span for span in spans if span["end"] > span["begin"]]}
        for (pod, service), spans in sorted(found.items())
    ]
