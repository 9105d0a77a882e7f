"""Owns the report of a smoke test: what each scenario did and found, as JSON, JUnit and text."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from scripts.core.errors import ClusterError, ReleaseError
from scripts.core.junit import Case, Suite, document
from scripts.core.progress import Board, Say
from scripts.e2e.ledger import Ledger
from scripts.release.tested import UNTESTED as UNTESTED

SCHEMA_VERSION = 2
PASSED, FAILED, STOPPED = "passed", "failed", "stopped"
VOID = "void"  # the machine was in the way: neither passed nor failed, whatever was seen


class Broken(ClusterError):
    """A promise is broken by what is declared or was decided: no noise of a machine does that."""


class LoadFailed(ClusterError):
    """A load does not pass, for what happened while the control held."""


class CutShort(ClusterError):
    """Requests of the load `by` were lost: whatever came now could not mend that."""

    def __init__(self, by: object) -> None:
        super().__init__("requests were lost")
        self.by = by


class Untested(ClusterError):
    """The chart has not what a scenario takes: there is nothing to prove."""


class Unproven(ClusterError):
    """What was seen proves nothing: the control lost at the same time. It has to be measured again."""


@dataclass(frozen=True)
class Step:
    """A part of a scenario: how long it took, what there is to say of it, and how it failed ("" when it did not)."""

    name: str
    seconds: float
    detail: str = ""
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a scenario went. `error` is "" unless it failed; `ledgers` has one entry for each of its loads.

    `void` are the attempts before this one, which proved nothing because the control lost meanwhile. `restarts` are
    the containers of the release that were restarted, `skipped` says what the cluster does not let us test.
    """

    scenario: str
    state: str
    seconds: float
    steps: tuple[Step, ...]
    ledgers: Mapping[str, Ledger] = field(default_factory=dict)
    error: str = ""
    void: tuple[Outcome, ...] = ()
    restarts: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def requests(self) -> int:
        return sum(ledger.requests for ledger in self.ledgers.values())

    @property
    def lost(self) -> int:
        return sum(ledger.failed for ledger in self.ledgers.values())

    def line(self) -> str:
        load = f", {self.requests} requests, {self.lost} lost" if self.ledgers else ""
        again = f", measured again after {len(self.void)} void" if self.void else ""
        without = f"; not tested: {', '.join(self.skipped)}" if self.skipped else ""
        return f"{self.scenario:<14} {self.state} in {self.seconds:.0f} s{load}{again}{without}"

    def to_dict(self) -> dict[str, Any]:
        """For a machine. The events of a ledger are only there for what went wrong."""
        ledgers = {name: ledger.report() for name, ledger in self.ledgers.items()}
        for ledger in ledgers.values():
            del ledger["events"]
        told = {"seconds": round(self.seconds, 3), "steps": [asdict(step) for step in self.steps], "ledgers": ledgers}
        return {**vars(self), **told, "void": [outcome.to_dict() for outcome in self.void]}


@dataclass(frozen=True)
class Report:
    """A whole run. `candidate`, `sources` and `cluster` say what was tested on what, as names and values.

    `control` says whether there was one, and how it fared over the whole run, `toolkit` by which state of ours it was
    made, and `left_out` names the scenarios that were not asked for. `found` says what the chart turned out to be.
    """

    candidate: Mapping[str, str]
    sources: tuple[Mapping[str, str], ...]
    cluster: Mapping[str, Any]
    seconds: float
    outcomes: tuple[Outcome, ...]
    control: Mapping[str, Any] = field(default_factory=dict)
    toolkit: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    found: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Those that did not pass, the void ones among them."""
        return tuple(outcome for outcome in self.outcomes if outcome.state not in (PASSED, UNTESTED))

    def to_dict(self) -> dict[str, Any]:
        told: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "passed": not self.failed, **vars(self)}
        scenarios = [outcome.to_dict() for outcome in told.pop("outcomes")]
        return {**told, "seconds": round(self.seconds, 3), "scenarios": scenarios}

    def junit(self) -> str:
        """JUnit XML: a suite a scenario, a case a promise. What is void is an error of the machine, no failure."""
        return document("e2e", self.suites(), self.seconds)

    def suites(self, column: str = "") -> list[Suite]:
        """The same as values; `column` tells this run from others."""
        return [_suite(outcome, column) for outcome in self.outcomes]

    def lines(self) -> list[str]:
        """For a person: a line a scenario, and what failed in full."""
        lines = [*self.found, *(outcome.line() for outcome in self.outcomes)]
        for outcome in self.failed:
            lines += ["", f"{outcome.scenario} {outcome.state}: {outcome.error}"]
        return lines


def _suite(outcome: Outcome, column: str = "") -> Suite:
    cases = [Case(step.name, (step.error,) if step.error else (), step.detail, step.seconds) for step in outcome.steps]
    if outcome.error and not any(case.failures for case in cases):
        cases.append(Case(outcome.scenario, (outcome.error,), seconds=0))
    if outcome.state == UNTESTED:
        cases = [Case(outcome.scenario, output="; ".join(outcome.skipped), seconds=0, skipped=True)]
    unproven = outcome.state in (VOID, STOPPED)
    where = f"e2e.{column}.{outcome.scenario}" if column else f"e2e.{outcome.scenario}"
    return Suite(outcome.scenario, tuple(cases), where, outcome.seconds, errors=unproven)


class Journal:
    """What one scenario does, written down as it goes."""

    def __init__(self, scenario: str, say: Say, *, attempt: int = 1, board: Board | None = None) -> None:
        self.scenario, self._say, self._board = scenario, say, board or Board()
        self.folder = scenario if attempt == 1 else f"{scenario}.{attempt}"
        """Where results of this attempt go."""
        self.restarts, self.skipped = list[str](), list[str]()
        self.steps: list[Step] = []
        self.ledgers: dict[str, Ledger] = {}
        self.begun = self.since = time.time()
        """When the scenario, and from when on what the step that is on looks at, began (seconds since 1970)."""
        self._step = self._detail = ""
        self._looks: list[Callable[[], None]] = []

    @contextlib.contextmanager
    def looking(self, look: Callable[[], None]) -> Iterator[None]:
        """Call `look` at the end of each step of the block."""
        self._looks.append(look)
        try:
            yield
        finally:
            self._looks.remove(look)

    def say(self, text: str) -> None:
        """A line of progress, with the name of the scenario, since several run at a time."""
        self._board.doing(self.scenario, f"{self._step}: {text}" if self._step else text)
        self._say(f"{self.scenario}: {text}")

    def skip(self, what: str) -> None:
        """Say that something is not tested, and why."""
        if what not in self.skipped:
            self.skipped.append(what)
            self.say(f"not tested: {what}")

    def detail(self, text: str) -> None:
        """What the step that is on has to say."""
        self._detail = text

    def look(self, name: str, promise: Callable[..., str], *about: Any) -> None:
        """A step that looks whether a promise is kept, and has to say what that does."""
        with self.step(name):
            self.detail(promise(*about))

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A part of the scenario; a ReleaseError in it is noted and goes on."""
        self._step, self._detail = name, ""
        self.since, begin = time.time(), time.monotonic()
        self._board.doing(self.scenario, name)
        try:
            yield
        except ReleaseError as error:
            self.steps.append(Step(name, time.monotonic() - begin, self._detail, str(error)))
            raise
        seconds, self._step = time.monotonic() - begin, ""
        self.steps.append(Step(name, seconds, self._detail))
        self.say(f"{name}: {seconds:.0f} s" + (f"; {self._detail}" if self._detail else ""))
        self._detail = ""
        for look in reversed(self._looks):  # of loads within one another the inner one is what clients ask
            look()
