"""Owns the report of a smoke test: what each scenario did and found, as JSON, JUnit and text."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from scripts.core.errors import ReleaseError
from scripts.core.junit import Case, Suite, document
from scripts.core.progress import Say
from scripts.e2e.ledger import Ledger

SCHEMA_VERSION = 1
PASSED, FAILED, STOPPED = "passed", "failed", "stopped"


@dataclass(frozen=True)
class Step:
    """A part of a scenario: how long it took, what there is to say of it, and how it failed ("" when it did not)."""

    name: str
    seconds: float
    detail: str = ""
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a scenario went. `error` is "" unless it failed; `ledgers` has one entry for each of its loads."""

    scenario: str
    state: str
    seconds: float
    steps: tuple[Step, ...]
    ledgers: Mapping[str, Ledger] = field(default_factory=dict)
    error: str = ""

    @property
    def requests(self) -> int:
        return sum(ledger.requests for ledger in self.ledgers.values())

    @property
    def lost(self) -> int:
        return sum(ledger.failed for ledger in self.ledgers.values())

    def line(self) -> str:
        """One line for a person."""
        load = f", {self.requests} requests, {self.lost} lost" if self.ledgers else ""
        return f"{self.scenario:<12} {self.state} in {self.seconds:.0f} s{load}"


@dataclass(frozen=True)
class Report:
    """A whole run. `candidate`, `sources` and `cluster` say what was tested on what, as names and values."""

    candidate: Mapping[str, str]
    sources: tuple[Mapping[str, str], ...]
    cluster: Mapping[str, Any]
    seconds: float
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.state != PASSED)

    def to_dict(self) -> dict[str, Any]:
        """For a machine. The events of a ledger are only there for what went wrong."""
        outcomes = []
        for outcome in self.outcomes:
            ledgers = {name: ledger.report() for name, ledger in outcome.ledgers.items()}
            for ledger in ledgers.values():
                del ledger["events"]
            outcomes.append(
                {
                    "scenario": outcome.scenario,
                    "state": outcome.state,
                    "seconds": round(outcome.seconds, 3),
                    "steps": [asdict(step) for step in outcome.steps],
                    "ledgers": ledgers,
                    "error": outcome.error,
                }
            )
        return {
            "schema_version": SCHEMA_VERSION,
            "passed": not self.failed,
            "seconds": round(self.seconds, 3),
            "candidate": dict(self.candidate),
            "sources": [dict(source) for source in self.sources],
            "cluster": dict(self.cluster),
            "scenarios": outcomes,
        }

    def junit(self) -> str:
        """JUnit XML: a suite a scenario, a case a step and one for each load."""
        return document("e2e", map(_suite, self.outcomes), self.seconds)

    def lines(self) -> list[str]:
        """For a person: a line a scenario, and what failed in full."""
        lines = [outcome.line() for outcome in self.outcomes]
        for outcome in self.failed:
            lines += ["", f"{outcome.scenario} {outcome.state}: {outcome.error}"]
        return lines


def _suite(outcome: Outcome) -> Suite:
    cases = [Case(step.name, (step.error,) if step.error else (), step.detail, step.seconds) for step in outcome.steps]
    if outcome.error and not any(case.failures for case in cases):
        cases.append(Case(outcome.scenario, (outcome.error,), seconds=0))
    return Suite(outcome.scenario, tuple(cases), f"e2e.{outcome.scenario}", outcome.seconds)


class Journal:
    """What one scenario does, written down as it goes."""

    def __init__(self, scenario: str, say: Say) -> None:
        self.scenario = scenario
        self.steps: list[Step] = []
        self.ledgers: dict[str, Ledger] = {}
        self._say = say
        self._detail = ""

    def say(self, text: str) -> None:
        """A line of progress, with the name of the scenario, since several run at a time."""
        self._say(f"{self.scenario}: {text}")

    def detail(self, text: str) -> None:
        """What the step that is on has to say."""
        self._detail = text

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A part of the scenario; a ReleaseError in it is noted and goes on."""
        self._detail, begin = "", time.monotonic()
        try:
            yield
        except ReleaseError as error:
            self.steps.append(Step(name, time.monotonic() - begin, self._detail, str(error)))
            raise
        seconds = time.monotonic() - begin
        self.steps.append(Step(name, seconds, self._detail))
        self.say(f"{name}: {seconds:.0f} s" + (f"; {self._detail}" if self._detail else ""))
        self._detail = ""
