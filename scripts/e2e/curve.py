"""Draws what became of a scenario over time: replicas, the rate of requests and the lost ones, as JSON and as SVG."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.cluster.watch import Change
from scripts.e2e.k6 import Request

SCHEMA_VERSION = 1
_LATE = 800  # from where on words end at their mark


@dataclass(frozen=True)
class Curve:
    """A scenario over time, times in seconds since 1970.

    `replicas` are pairs of a time and how many pods were `wanted` and `ready` from then on; `marks` say what was done.
    """

    title: str
    begin: float
    end: float
    replicas: tuple[tuple[float, int, int], ...]
    requests: tuple[Request, ...]
    marks: tuple[tuple[float, str], ...]

    def seconds(self, wanted: Callable[[Request], bool] = lambda _: True) -> list[int]:
        """How many requests were sent in each second since the beginning."""
        counts = Counter(int(request.at - self.begin) for request in self.requests if wanted(request))
        return [counts[second] for second in range(int(self.end - self.begin) + 1)]

    @property
    def lost(self) -> list[int]:
        """How many of the requests that were sent in each second were lost."""
        return self.seconds(lambda request: request.failed)

    def to_dict(self) -> dict[str, Any]:
        """For a machine; times are seconds since the beginning."""
        return {
            "schema_version": SCHEMA_VERSION,
            "title": self.title,
            "begin": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.begin)),
            "seconds": round(self.end - self.begin, 1),
            "replicas": [
                {"at": round(at - self.begin, 1), "wanted": wanted, "ready": ready}
                for at, wanted, ready in self.replicas
            ],
            "requests_by_second": self.seconds(),
            "lost_by_second": self.lost,
            "lost": sum(self.lost),
            "marks": [{"at": round(at - self.begin, 1), "what": what} for at, what in self.marks],
        }

    def svg(self) -> str:
        """The same as a picture: three lanes over one axis of time."""
        import jinja2

        def x(second: float) -> float:
            return round(60 + second / max(1.0, self.end - self.begin) * 920, 1)

        marks = [(at - self.begin, what) for at, what in self.marks]
        template = jinja2.Environment(autoescape=True, trim_blocks=True, keep_trailing_newline=True).from_string(
            Path(__file__).with_name("curve.svg.j2").read_text(encoding="utf-8")
        )
        return template.render(
            title=self.title,
            late=_LATE,
            x=x,
            end=self.end - self.begin,
            marks=[(at, what, row) for (at, what), row in zip(marks, _rows(marks, x), strict=True)],
            replicas=[(at - self.begin, wanted, ready) for at, wanted, ready in self.replicas],
            most=max((max(wanted, ready) for _, wanted, ready in self.replicas), default=1) or 1,
            sent=self.seconds(),
            lost=self.lost,
        )


def _rows(marks: Iterable[tuple[float, str]], x: Callable[[float], float]) -> Iterator[int]:
    """For each mark the row of seven in which the fewest words are in its way."""
    taken: list[list[tuple[float, float]]] = [[] for _ in range(7)]
    for at, what in marks:
        width = 6.5 * len(what) + 6
        left = x(at) - width if x(at) > _LATE else x(at)
        ways = [sum(left < end and begin < left + width for begin, end in row) for row in taken]
        yield (row := ways.index(min(ways)))
        taken[row].append((left, left + width))


def curve(
    title: str,
    changes: Iterable[Change],
    deployment: str,
    requests: Iterable[Request],
    marks: Iterable[tuple[float, str]],
    *,
    begin: float,
) -> Curve:
    """The curve from `begin` until now of a Deployment's `changes` as a watch saw them, and of `requests`."""
    replicas: list[tuple[float, int, int]] = []
    for change in changes:
        if change.object["kind"] == "Deployment" and change.object["metadata"]["name"] == deployment:
            spec, status = change.object["spec"], change.object.get("status", {})
            entry = (max(begin, change.at), int(spec["replicas"]), int(status.get("readyReplicas", 0)))
            if not replicas or entry[1:] != replicas[-1][1:]:
                replicas.append(entry)
    return Curve(title, begin, time.time(), tuple(replicas), tuple(requests), tuple(marks))
