"""Measures what runs take, side by side with what they are compared with, and keeps the figures."""

from __future__ import annotations

import json
import os
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Sample:
    """One run, in seconds: `wall`, the processor time of its child processes, and of everything else meanwhile."""

    wall: float
    children: float
    others: float


@dataclass(frozen=True)
class Figure:
    """A measured `value` and the most it may be; `detail` says what it was made from."""

    name: str
    value: float
    limit: float
    unit: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        return self.value <= self.limit


class Figures:
    """What one session of benchmarks measured."""

    def __init__(self) -> None:
        self.taken: list[Figure] = []

    def record(self, name: str, value: float, *, limit: float, unit: str = "", **detail: Any) -> Figure:
        """Keep a figure for the table and for `bench.json`; the caller asserts that it is `kept`."""
        figure = Figure(name, value, limit, unit, detail)
        self.taken.append(figure)
        return figure

    def table(self) -> str:
        """For a person."""
        width = max(len(figure.name) for figure in self.taken)
        lines = [f"{'measured':<{width}}  {'value':>10}  {'at most':>10}"]
        for figure in self.taken:
            value, limit = f"{figure.value:.2f}{figure.unit}", f"{figure.limit:.2f}{figure.unit}"
            said = ", ".join(f"{name.replace('_', ' ')} {_shown(one)}" for name, one in figure.detail.items())
            verdict = "" if figure.kept else "  TOO MUCH"
            lines.append(f"{figure.name:<{width}}  {value:>10}  {limit:>10}{verdict}  {said}")
        return "\n".join(lines)

    def write(self, file: Path) -> None:
        """Add the figures to the JSON in `file`; those of other benchmarks stay."""
        try:
            known = {entry["name"]: entry for entry in json.loads(file.read_text())["figures"]}
        except (OSError, ValueError, KeyError):
            known = {}
        for figure in self.taken:
            known[figure.name] = {**asdict(figure), "kept": figure.kept, "at": int(time.time())}
        content = {"schema_version": SCHEMA_VERSION, "cores": cores(), "figures": list(known.values())}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=2) + "\n")


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))


def sample(action: Callable[[], object]) -> Sample:
    """Run `action` once."""
    began, children, own, busy = time.monotonic(), _children(), time.process_time(), _machine()
    action()
    wall = time.monotonic() - began
    spent = _children() - children
    others = max(0.0, _machine() - busy - spent - (time.process_time() - own))
    return Sample(wall, spent, others)


def alternate(actions: Sequence[Callable[[], object]], rounds: int) -> list[list[Sample]]:
    """The samples of each action, taken in turn so that all of them see the same machine."""
    taken: list[list[Sample]] = [[] for _ in actions]
    for _ in range(rounds):
        for action, samples in zip(actions, taken, strict=True):
            samples.append(sample(action))
    return taken


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _machine() -> float:
    """Seconds that all processors together have been busy since the start, by Linux' own count."""
    user, nice, system, _, _, irq, softirq, *_ = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(map(int, (user, nice, system, irq, softirq))) / os.sysconf("SC_CLK_TCK")


def _shown(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
