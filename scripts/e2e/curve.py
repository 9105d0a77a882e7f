"""Draws what became of a scenario over time: replicas, the rate of requests and the lost ones, as JSON and as SVG."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from scripts.cluster.watch import Change
from scripts.e2e.k6 import Request

SCHEMA_VERSION = 1
_WIDTH, _LEFT, _RIGHT, _TOP, _LANE, _GAP = 1000, 60, 20, 130, 150, 40  # of the picture, in pixels
_TEXT = 'font-family="sans-serif" font-size="12"'


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
        lanes = (self._replicas_lane, self._rate_lane, self._lost_lane)
        height = _TOP + len(lanes) * (_LANE + _GAP)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" {_TEXT}>',
            f"<title>{escape(self.title)}</title>",
            f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
            f'<text x="{_LEFT}" y="18" font-size="14">{escape(self.title)}</text>',
            *self._grid(height),
        ]
        for number, lane in enumerate(lanes):
            parts += lane(_TOP + number * (_LANE + _GAP))
        return "\n".join((*parts, "</svg>", ""))

    def _x(self, at: float) -> float:
        share = (at - self.begin) / max(1.0, self.end - self.begin)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def _grid(self, height: int) -> Iterable[str]:
        bottom = height - _GAP
        for second in range(0, int(self.end - self.begin) + 1, 60):
            x = self._x(self.begin + second)
            yield f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}" stroke="#eee"/>'
            yield f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{second // 60} min</text>'
        for number, (at, what) in enumerate(self.marks):
            x, y = self._x(at), 36 + number % 6 * 15
            yield f'<line x1="{x}" x2="{x}" y1="{y}" y2="{bottom}" stroke="#999" stroke-dasharray="2 3"/>'
            anchor = "end" if x > _WIDTH * 0.8 else "start"
            yield f'<text x="{x + (-3 if anchor == "end" else 3)}" y="{y}" text-anchor="{anchor}">{escape(what)}</text>'

    def _replicas_lane(self, top: int) -> Iterable[str]:
        most = max((max(wanted, ready) for _, wanted, ready in self.replicas), default=1) or 1
        yield from _frame(top, f"replicas: wanted (dashed), ready; up to {most}", most)
        ends = [*(at for at, _, _ in self.replicas[1:]), self.end][: len(self.replicas)]
        for which, style in ((1, 'stroke="#888" stroke-dasharray="4 3"'), (2, 'stroke="#06c" stroke-width="2"')):
            points = []
            for entry, after in zip(self.replicas, ends, strict=True):
                y = round(top + _LANE * (1 - entry[which] / most), 1)
                points += [f"{self._x(entry[0])},{y}", f"{self._x(after)},{y}"]
            yield f'<polyline points="{" ".join(points)}" fill="none" {style}/>'

    def _rate_lane(self, top: int) -> Iterable[str]:
        return self._bars(top, "requests a second", self.seconds(), "#396")

    def _lost_lane(self, top: int) -> Iterable[str]:
        return self._bars(top, f"lost requests a second, {sum(self.lost)} in all", self.lost, "#c00")

    def _bars(self, top: int, what: str, counts: Sequence[int], colour: str) -> Iterable[str]:
        most = max(counts, default=0) or 1
        yield from _frame(top, f"{what}; up to {max(counts, default=0)}", most)
        steps = " ".join(
            f"L{self._x(self.begin + second)} {round(top + _LANE * (1 - count / most), 1)}"
            for second, count in enumerate(counts)
        )
        base = top + _LANE
        yield f'<path d="M{_LEFT} {base} {steps} L{_WIDTH - _RIGHT} {base} Z" fill="{colour}" fill-opacity="0.6"/>'


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


def _frame(top: int, what: str, most: int) -> Iterable[str]:
    width = _WIDTH - _LEFT - _RIGHT
    yield f'<rect x="{_LEFT}" y="{top}" width="{width}" height="{_LANE}" fill="none" stroke="#ccc"/>'
    yield f'<text x="{_LEFT}" y="{top - 6}">{escape(what)}</text>'
    yield f'<text x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{most}</text>'
    yield f'<text x="{_LEFT - 6}" y="{top + _LANE}" text-anchor="end">0</text>'
