"""Draws what became of a scenario over time: replicas, the rate of requests and the lost ones, as JSON and as SVG."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.cluster.watch import Change
from scripts.e2e.k6 import Request

SCHEMA_VERSION = 1
_LATE = 800  # from where on words end at their mark


def curve(
    title: str,
    changes: Iterable[Change],
    deployment: str,
    requests: Sequence[Request],
    marks: Iterable[tuple[float, str]],
    *,
    begin: float,
    end: float,
) -> dict[str, Any]:
    """A scenario from `begin` to `end` (seconds since 1970), for a machine; its times are seconds since its beginning.

    `changes` are what a watch saw: how many pods of the Deployment were wanted and ready from then on. `marks` say what
    was done when.
    """
    replicas: list[dict[str, float]] = []
    for change in changes:
        if change.object["kind"] == "Deployment" and change.object["metadata"]["name"] == deployment:
            spec, status = change.object["spec"], change.object.get("status", {})
            counts = {"wanted": int(spec["replicas"]), "ready": int(status.get("readyReplicas", 0))}
            if not replicas or not counts.items() <= replicas[-1].items():
                replicas.append({"at": round(max(begin, change.at) - begin, 1), **counts})

    def seconds(some: Iterable[Request]) -> list[int]:
        counts = Counter(int(request.at - begin) for request in some)
        return [counts[second] for second in range(int(end - begin) + 1)]

    lost = seconds(request for request in requests if request.failed)
    return {
        "schema_version": SCHEMA_VERSION,
        "title": title,
        "begin": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin)),
        "seconds": round(end - begin, 1),
        "replicas": replicas,
        "requests_by_second": seconds(requests),
        "lost_by_second": lost,
        "lost": sum(lost),
        "marks": [{"at": round(at - begin, 1), "what": what} for at, what in marks],
    }


def svg(told: Mapping[str, Any]) -> str:
    """A curve as a picture: three lanes over one axis of time."""
    import jinja2

    def x(second: float) -> float:
        return round(60 + second / max(1.0, float(told["seconds"])) * 920, 1)

    template = jinja2.Environment(autoescape=True, trim_blocks=True, keep_trailing_newline=True).from_string(
        Path(__file__).with_name("curve.svg.j2").read_text(encoding="utf-8")
    )
    most = max((max(one["wanted"], one["ready"]) for one in told["replicas"]), default=1) or 1
    return template.render(**told, late=_LATE, x=x, most=most, rows=[*_rows(told["marks"], x)])


def _rows(marks: Iterable[Mapping[str, Any]], x: Callable[[float], float]) -> Iterator[int]:
    """For each mark the row of seven in which the fewest words are in its way."""
    taken: list[list[tuple[float, float]]] = [[] for _ in range(7)]
    for at, what in (mark.values() for mark in marks):
        width = 6.5 * len(what) + 6
        left = x(at) - width if x(at) > _LATE else x(at)
        ways = [sum(left < end and begin < left + width for begin, end in row) for row in taken]
        yield (row := ways.index(min(ways)))
        taken[row].append((left, left + width))
