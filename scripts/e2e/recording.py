"""Records a load: every request, the pods and endpoints meanwhile, and what the control lost at the same time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.cluster.watch import Watch
from scripts.core.command import Runner
from scripts.core.errors import ClusterError, ToolError
from scripts.core.waiting import until
from scripts.e2e.control import Control
from scripts.e2e.k6 import KINDS, Load, load
from scripts.e2e.ledger import ENOUGH, LATENCY, SLOW, Ledger, judge
from scripts.e2e.outside import Outside
from scripts.e2e.report import CutShort
from scripts.e2e.subject import Question
from scripts.e2e.timeline import WATCHED

_BEFORE = 3.0  # seconds of load before what is under test begins, to compare with


class Unasked:
    """Stands where a load would, for a chart that has nothing to ask: nobody is asked, and nothing proven."""

    closed = False

    def demand_asked(self) -> str:
        """That nothing is asked, in words."""
        return "there is no load"


class Recording:
    """A load that is on and recorded; `ledger` is there once the block of `record` has ended."""

    def __init__(self, service: str, running: Load, watch: Watch, outside: Outside, since: float) -> None:
        self._service, self._load, self._watch = service, running, watch
        self._outside, self._since = outside, since
        self._begun: float | None = None
        self._cut = False
        self._ledger: Ledger | None = None

    def wait_for(self, count: int) -> None:
        """Go on until `count` requests came to an end. Raises ClusterError, ToolError (k6 is gone)."""
        until(
            lambda: len(self._load.requests()) >= count,
            what=f"{count} requests to end",
            deadline=120,
            state=lambda: f"{len(self._load.requests())} ended",
            error=ClusterError,
        )

    def demand_unlost(self) -> None:
        """Raises CutShort once a request was lost: then there need not be enough of them, either."""
        self._cut = any(request.failed for request in self._load.requests())
        if self._cut:
            raise CutShort(self)

    def demand_asked(self) -> str:
        """The load asks the real Service, as it is now; in words. Raises ClusterError."""
        return self._outside.demand_same()

    @property
    def closed(self) -> bool:
        """Whether there is a ledger: not while the load is on, nor where everything was stopped before it was made."""
        return self._ledger is not None

    @property
    def ledger(self) -> Ledger:
        """Raises RuntimeError while the load is on."""
        if self._ledger is None:
            raise RuntimeError("the load is still on")
        return self._ledger

    def _begin(self) -> None:
        """What comes now is under test; what was until now is what it is compared with."""
        self._load.go_on(self._load.begin + _BEFORE)
        self._begun = time.time()

    def _close(self, control: Control | None, *, enough: int, kinds: Sequence[str], rate: int, latency: float) -> None:
        requests = self._load.all()
        seen = None
        if control is not None and requests:
            bad = any(request.failed or request.seconds >= SLOW for request in requests)
            begin, end = min(request.at for request in requests), max(request.end for request in requests)
            try:
                seen = control.between(begin, end, certain=bad)
            except ToolError:
                seen = []  # it ended: nothing is known of the machine
        self._ledger = judge(
            requests,
            self._watch.changes(),
            self._service,
            since=self._since,
            begun=self._begun,
            enough=0 if self._cut else enough,
            kinds=kinds,
            rate=rate,
            control=seen,
            asked=self._outside.asked,
            latency=latency,
            cut=self._load.cut,
        )


@contextlib.contextmanager
def record(
    k6: Path,
    runner: Runner,
    outside: Outside,
    *,
    targets: Sequence[str],
    results: Path,
    question: Question,
    rate: int,
    control: Control | None,
    enough: int = ENOUGH,
    kinds: Sequence[str] = KINDS,
    latency: float = LATENCY,
) -> Iterator[Recording]:
    """Load `targets` (of `outside`, the twin of the Service that is asked) while the block runs; watch its pods.

    `question` is what they are asked. The block begins some seconds later, so that there is a before. The file
    `results` receives every request.
    Raises ToolError, ApiError, ClusterError.
    """
    with outside.api.watch(WATCHED, outside.namespace) as watch, contextlib.ExitStack() as stack:
        since = time.time()
        stack.enter_context(outside.followed())
        running = stack.enter_context(load(k6, runner, targets, results, question=question, kinds=kinds, rate=rate))
        recording = Recording(question.service, running, watch, outside, since)
        recording._begin()
        try:
            yield recording
        finally:
            stack.close()  # the load first, so that its last requests count
            recording._close(control, enough=enough, kinds=kinds, rate=rate, latency=latency)
