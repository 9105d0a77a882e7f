"""Puts HTTP load on a service with vegeta and reads back every single answer."""

from __future__ import annotations

import contextlib
import json
import math
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scripts.command import Runner
from scripts.errors import ToolError

_TIMEOUT = 10  # seconds for one request
_ENCODE_SECONDS = 120.0


@dataclass(frozen=True)
class Answer:
    """One request: when it was sent (epoch seconds), how long it took, the HTTP status (0: none) and the error."""

    at: float
    seconds: float
    status: int
    error: str


@dataclass(frozen=True)
class Load:
    """What a load was answered with. `lost` are all answers but 200; `rate` is of good answers, in 1/s."""

    sent: int
    lost: tuple[Answer, ...]
    rate: float
    p50: float
    p99: float

    def __str__(self) -> str:
        text = f"{self.sent} requests, {len(self.lost)} lost, {self.rate:.0f}/s, p50 {self.p50 * 1e3:.1f} ms, "
        text += f"p99 {self.p99 * 1e3:.1f} ms"
        reasons = sorted({f"{answer.status or 'no answer'}: {answer.error}" for answer in self.lost})
        return "\n  ".join((text, *reasons[:5]))


@dataclass(frozen=True)
class Loader:
    """Runs vegeta. `cpu` pins it to one core, so that it cannot take the core of what it measures."""

    vegeta: Path
    runner: Runner
    cpu: int | None = None

    def fire(self, url: str, results: Path, *, seconds: float, rate: int | None = None, workers: int = 32) -> Load:
        """Load `url` for `seconds` with `rate` requests a second, or as fast as `workers` get answers.

        Raises CommandFailed, ToolError.
        """
        argv = self._attack(url, results, f"{seconds}s", rate, workers)
        self.runner.run(argv, deadline=seconds + _TIMEOUT + 10)
        return self._read(results)

    @contextlib.contextmanager
    def sustained(self, url: str, results: Path, *, rate: int) -> Iterator[list[Load]]:
        """Load `url` with `rate` requests a second while the block runs; its Load is in the list afterwards."""
        loads: list[Load] = []
        argv = self._attack(url, results, "0", rate, workers=8)
        with self.runner.start(argv, log=results.with_suffix(".log")) as process:
            yield loads
            if not process.running():
                raise ToolError("the load ended before it was told to", found=process.log_tail())
            process.stop(signal.SIGINT)
        loads.append(self._read(results))

    def _attack(self, url: str, results: Path, duration: str, rate: int | None, workers: int) -> list[str]:
        targets = results.with_suffix(".targets")
        targets.parent.mkdir(parents=True, exist_ok=True)
        targets.write_text(f"GET {url}\n")
        pinned = [] if self.cpu is None else ["taskset", "--cpu-list", str(self.cpu)]
        pace = [f"-rate={rate}"] if rate else ["-rate=0", f"-max-workers={workers}"]
        files = [f"-targets={targets}", f"-output={results}"]
        limits = [f"-duration={duration}", f"-timeout={_TIMEOUT}s", f"-workers={workers}", "-max-body=0"]
        return [*pinned, str(self.vegeta), "attack", *files, *pace, *limits]

    def _read(self, results: Path) -> Load:
        text = results.with_suffix(".jsonl")
        self.runner.run((self.vegeta, "encode", "-to=json", f"-output={text}", results), deadline=_ENCODE_SECONDS)
        with text.open(encoding="utf-8") as lines:
            return summarize([_answer(line) for line in lines])


def summarize(answers: Sequence[Answer]) -> Load:
    """The figures of `answers`. Raises ToolError when there is none."""
    if not answers:
        raise ToolError("the load sent nothing", expected="at least one request")
    times = sorted(answer.seconds for answer in answers)
    lost = tuple(answer for answer in answers if answer.status != 200 or answer.error)
    span = max(answer.at + answer.seconds for answer in answers) - min(answer.at for answer in answers)
    return Load(len(answers), lost, (len(answers) - len(lost)) / span, _quantile(times, 0.5), _quantile(times, 0.99))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of `ordered` does not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def _answer(line: str) -> Answer:
    raw = json.loads(line)
    at = datetime.fromisoformat(raw["timestamp"]).timestamp()
    return Answer(at, raw["latency"] / 1e9, raw["code"], raw["error"])
