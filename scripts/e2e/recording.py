"""Records a load: every request, the pods and endpoints meanwhile, and what the control lost at the same time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from scripts.cluster.api import Api
from scripts.core.command import Runner
from scripts.core.errors import ClusterError, ToolError
from scripts.core.waiting import until
from scripts.e2e.control import Control
from scripts.e2e.k6 import KINDS, Load, Request, load
from scripts.e2e.ledger import ENOUGH, LATENCY, SLOW, Ledger, judge
from scripts.e2e.outside import Outside
from scripts.e2e.report import CutShort
from scripts.e2e.subject import Question
from scripts.e2e.timeline import WATCHED

_BEFORE = 3.0  # seconds of load before what is under test begins, to compare with
# Seconds for which that is put off until nothing of these is slow: a load that begins on a busy machine is itself in
# the way, of pods that have just come up above all.
_SETTLING = 20.0


class Recording:
    """A load that is on and recorded; its `ledger` is there once the block of `record` has ended."""

    ledger: Ledger

    def __init__(self, running: Load, outside: Outside | None, settled: float) -> None:
        self._load, self._outside, self._settled = running, outside, settled
        self.cut = False
        """Whether it was given up for what was lost."""

    def wait_for(self, count: int) -> None:
        """Go on until `count` requests came to an end. Raises ClusterError, ToolError (k6 is gone)."""
        until(
            lambda: len(self._load.requests()) >= count,
            what=f"{count} requests to end",
            deadline=120,
            state=lambda: f"{len(self._load.requests())} ended",
            error=ClusterError,
        )

    def go_on(self, seconds: float) -> None:
        """Go on for so long. Raises ToolError (k6 is gone)."""
        self._load.go_on(time.time() + seconds)

    def demand_unlost(self) -> None:
        """Raises CutShort once a request was lost: then there need not be enough of them, either.

        What was lost before the load had settled may be the machine's, which is known at the end.
        """
        self.cut = any(request.failed and request.end >= self._settled for request in self._load.requests())
        if self.cut:
            raise CutShort(self)

    def demand_asked(self) -> str:
        """The load asks the real Service, as it is now; in words. Raises ClusterError."""
        return self._outside.demand_same() if self._outside else "an address is asked"


@contextlib.contextmanager
def record(
    k6: Path,
    runner: Runner,
    api: Api,
    namespace: str,
    *,
    targets: Sequence[str],
    results: Path,
    question: Question,
    rate: int,
    note: Callable[[Ledger], None],
    outside: Outside | None = None,
    control: Control | None = None,
    enough: int = ENOUGH,
    kinds: Sequence[str] = KINDS,
    latency: float = LATENCY,
) -> Iterator[Recording]:
    """Load `targets` while the block runs, and watch the pods of `namespace`; `note` is told the ledger at the end.

    `question` is what they are asked, and `outside` the twin of the Service that they lead to, if they do. The block
    begins some seconds later, so that there is a before. The file `results` receives every request.
    Raises ToolError, ApiError, ClusterError.
    """
    with api.watch(WATCHED, namespace) as watch, contextlib.ExitStack() as stack:
        since = time.time()
        if outside:
            stack.enter_context(outside.followed())
        running = stack.enter_context(load(k6, runner, targets, results, question=question, kinds=kinds, rate=rate))
        running.go_on(running.begin + _BEFORE)
        while running.longest(time.time() - _BEFORE) >= SLOW and time.time() < running.begin + _SETTLING:
            running.go_on(time.time() + 0.2)
        begun = time.time()
        settled = begun - _BEFORE
        recording = Recording(running, outside, settled)
        try:
            yield recording
        finally:
            stack.close()  # the load first, so that its last requests count
            requests = running.all()
            recording.ledger = judge(
                requests,
                watch.changes(),
                question.service,
                since=since,
                settled=settled,
                begun=begun,
                enough=0 if recording.cut else enough,
                kinds=kinds,
                rate=rate,
                control=_meanwhile(control, requests),
                asked=outside.asked if outside else (),
                twin=outside.name if outside else "",
                latency=latency,
                cut=running.cut,
            )
            note(recording.ledger)


def _meanwhile(control: Control | None, requests: Sequence[Request]) -> Sequence[Request] | None:
    """What the control lost and got while `requests` were on; None where there is none."""
    if control is None or not requests:
        return None
    bad = any(request.failed or request.seconds >= SLOW for request in requests)
    begin, end = min(request.at for request in requests), max(request.end for request in requests)
    try:
        return control.between(begin, end, certain=bad)
    except ToolError:
        return []  # it ended: nothing is known of the machine
