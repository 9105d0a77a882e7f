"""Puts HTTP load on a service with vegeta, which takes little of the processor, and reads back every answer."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core.command import Runner

_TIMEOUT = 10  # seconds for one request


@dataclass(frozen=True)
class Answer:
    """One request: how long it took in seconds, the HTTP status (0: none) and the error."""

    seconds: float
    status: int
    error: str


@dataclass(frozen=True)
class Figures:
    """What a load was answered with: requests sent, answers other than 200, good answers a second, quantiles in s."""

    sent: int
    bad: int
    rate: float
    p50: float
    p99: float

    def __str__(self) -> str:
        quantiles = f"p50 {self.p50 * 1e3:.1f} ms, p99 {self.p99 * 1e3:.1f} ms"
        return f"{self.rate:.0f}/s, {quantiles}, {self.bad} of {self.sent} bad"


@dataclass(frozen=True)
class Loader:
    """Runs vegeta on the core `cpu`, so that it cannot take the core of what it measures."""

    vegeta: Path
    runner: Runner
    cpu: int

    def fire(self, url: str, folder: Path, *, seconds: float, rate: int | None = None, workers: int = 32) -> Figures:
        """Load `url` for `seconds` with `rate` requests a second, or as fast as `workers` get answers.

        There are no more connections than `workers`: what waits for one counts as waiting, and a moment's delay does
        not become thousands of new connections, most of which the kernel drops. Raises CommandFailed.
        """
        targets, results, answers = folder / "targets", folder / "results", folder / "answers"
        targets.write_text(f"GET {url}\n")
        pace = (f"-rate={rate}",) if rate else ("-rate=0", f"-max-workers={workers}")
        limits = (f"-duration={seconds}s", f"-timeout={_TIMEOUT}s", "-max-body=0")
        clients = (f"-workers={workers}", f"-max-connections={workers}")
        attack = ("attack", f"-targets={targets}", f"-output={results}", *pace, *limits, *clients)
        pinned = ("taskset", "--cpu-list", str(self.cpu), self.vegeta)
        self.runner.run((*pinned, *attack), deadline=seconds + _TIMEOUT + 10)
        self.runner.run((self.vegeta, "encode", "-to=json", f"-output={answers}", results), deadline=120)
        with answers.open(encoding="utf-8") as lines:
            return figures([_answer(line) for line in lines], seconds)


def figures(answers: Sequence[Answer], seconds: float) -> Figures:
    """The figures of what was answered within a load of `seconds`."""
    times = sorted(answer.seconds for answer in answers)
    good = sum(answer.status == 200 and not answer.error for answer in answers)
    return Figures(len(answers), len(answers) - good, good / seconds, _quantile(times, 0.5), _quantile(times, 0.99))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of `ordered` does not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def _answer(line: str) -> Answer:
    raw = json.loads(line)
    return Answer(raw["latency"] / 1e9, raw["code"], raw["error"])
