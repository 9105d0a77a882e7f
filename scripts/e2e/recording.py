"""Records a load: the requests, and the pods and endpoints meanwhile."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.cluster.api import Api
from scripts.cluster.watch import Watch
from scripts.core.command import Runner
from scripts.core.errors import ClusterError
from scripts.core.waiting import until
from scripts.e2e.k6 import RATE, Load, load
from scripts.e2e.ledger import ENOUGH, Ledger, judge
from scripts.e2e.timeline import WATCHED


class Recording:
    """A load that is on and recorded; `ledger` is there once the block of `record` has ended."""

    def __init__(self, service: str, running: Load, watch: Watch, since: float) -> None:
        self._service = service
        self._load = running
        self._watch = watch
        self._since = since
        self._ledger: Ledger | None = None

    def wait_for(self, count: int = ENOUGH, *, deadline: float = 120) -> None:
        """Go on until `count` requests came to an end. Raises ClusterError, ToolError (k6 is gone)."""
        until(
            lambda: len(self._load.requests()) >= count,
            what=f"{count} requests to end",
            deadline=deadline,
            state=lambda: f"{len(self._load.requests())} ended",
            error=ClusterError,
        )

    @property
    def ledger(self) -> Ledger:
        """Raises RuntimeError while the load is on."""
        if self._ledger is None:
            raise RuntimeError("the load is still on")
        return self._ledger

    def _close(self, enough: int) -> None:
        self._ledger = judge(self._load.all(), self._watch.changes(), self._service, since=self._since, enough=enough)


@contextlib.contextmanager
def record(
    k6: Path,
    runner: Runner,
    api: Api,
    *,
    namespace: str,
    service: str,
    targets: Sequence[str],
    results: Path,
    rate: int = RATE,
    enough: int = ENOUGH,
) -> Iterator[Recording]:
    """Load `targets` (URLs that lead to `service` in `namespace`) while the block runs, and watch its pods.

    The file `results` receives every request. Raises ToolError, ApiError, ClusterError.
    """
    with api.watch(WATCHED, namespace) as watch, contextlib.ExitStack() as stack:
        since = time.time()
        running = stack.enter_context(load(k6, runner, targets, results, rate=rate))
        recording = Recording(service, running, watch, since)
        try:
            yield recording
        finally:
            stack.close()  # the load first, so that its last requests count
            recording._close(enough)
