"""Puts load on a service (HTTP, gRPC with k6; TCP), at a fixed rate until told to stop, and keeps every request."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.core.command import Process, Runner
from scripts.core.errors import ToolError
from scripts.core.interrupt import pause
from scripts.core.waiting import until
from scripts.e2e.subject import Question

KINDS = ("new", "kept")
RATE = 60  # requests a second of each kind
TIMEOUT = 5.0  # seconds after which a request is given up
_HTTP, _GRPC, _TCP = (Path(__file__).with_name(name) for name in ("availability.js", "availability_grpc.js", "tcp.py"))
_START_DEADLINE = 30.0
_CANCELED = "context canceled"  # k6's word for what it gives up because it is to end; a server may use it, too
_TICK = 0.01  # seconds by which a time of k6's may be rounded


@dataclass(frozen=True)
class Request:
    """One request that came to an end.

    `at` is when it was sent (seconds since 1970), `seconds` until it was answered or given up, `kind` "new" or
    "kept" (its connection), `status` 0 where there was no answer. `pod`, `version` and `behind` are what the
    server said of itself and of whom it asked for the answer; "" where it did not.
    """

    at: float
    seconds: float
    kind: str
    target: str
    status: int
    error: str = ""
    pod: str = ""
    version: str = ""
    behind: str = ""
    accepted: bool = False
    """Whether another status than 200 is an answer, too."""
    user: int = 0
    """Who asked: one after the other, and never two at a time."""

    @property
    def end(self) -> float:
        return self.at + self.seconds

    @property
    def failed(self) -> bool:
        """No answer, another status than is asked for, or an answer that nobody behind the server gave."""
        return not (self.status == 200 or self.accepted) or bool(self.error) or not self.behind


class LoadEnded(ToolError):
    """What sends the requests ended before it was told to: nothing more is known of the chart."""


class Load:
    """A load that is on; `requests` are all that came to an end so far, in the order in which they did."""

    def __init__(self, process: Process, results: Path) -> None:
        self._process, self._results = process, results
        self._read = 0
        self._reading = threading.Lock()  # scenarios side by side ask what the control's load got
        self._requests: list[Request] = []
        self._asking: dict[int, Request] = {}
        self._ended = math.inf
        self.begin = time.time()
        self.cut: list[Request] = []
        """Those that were under way when it was ended, with how long they were by then."""

    def requests(self) -> Sequence[Request]:
        """Raises LoadEnded when k6 is not running any more, ToolError where it never sent anything."""
        self._follow()
        if not self._process.running():
            kind = LoadEnded if self._requests else ToolError
            raise kind("the load ended before it was told to", found=self._process.log_tail())
        return self._requests

    def all(self) -> Sequence[Request]:
        """The same, of a load that may have been stopped."""
        return tuple(self._requests)

    def longest(self, since: float) -> float:
        """The seconds that the slowest request under way from `since` on took, or takes so far."""
        took = [one.seconds for one in self.requests() if one.end >= since]
        return max((*took, *(time.time() - one.at for one in self._asking.copy().values())), default=0.0)

    def _follow(self) -> None:
        """Read what was added to the results since the last time, up to the last whole line."""
        with self._reading, contextlib.suppress(FileNotFoundError), self._results.open("rb") as file:
            file.seek(self._read)
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read += len(whole)
            for told in map(json.loads, filter(None, whole.decode().splitlines())):
                one = Request(**{"seconds": math.inf, "status": 0, **told})
                if "seconds" not in told:
                    self._asking[one.user] = one
                    continue
                self._asking.pop(one.user, None)
                given_up = one.end >= self._ended and _CANCELED in one.error
                (self.cut if given_up else self._requests).append(one)

    def go_on(self, end: float) -> None:
        """Let it go on until a time (seconds since 1970). Raises ToolError where it has ended."""
        end += time.monotonic() - time.time()  # somebody may set the clock meanwhile
        while time.monotonic() < end:
            self.requests()
            pause(0.1)

    def stop(self) -> None:
        """End it. What was under way is `cut`, and counts for nothing: nobody will know what became of it."""
        self._ended = time.time() - _TICK
        self._process.stop(signal.SIGINT)
        self._follow()
        self.cut += [replace(one, seconds=max(0.0, self._ended - one.at)) for one in self._asking.values()]


@contextlib.contextmanager
def load(
    k6: Path,
    runner: Runner,
    targets: Sequence[str],
    results: Path,
    *,
    question: Question,
    kinds: Sequence[str] = KINDS,
    rate: int = RATE,
    timeout: float = TIMEOUT,
) -> Iterator[Load]:
    """Load `targets` (in turn) with `rate` requests a second of each of `kinds` while the block runs.

    They are URLs for HTTP and `host:port` for all else; `question` says what is asked, and what is an answer.
    `results` is the file that receives a line when a request begins, and one when it has ended. The block begins when
    the first one has.
    Raises ToolError when it does not start or ends by itself.
    """
    results.parent.mkdir(parents=True, exist_ok=True)
    results.unlink(missing_ok=True)
    argv: list[str | os.PathLike[str]] = [k6, "run", "--no-usage-report", "--quiet", "--summary-mode=disabled"]
    argv += ["--log-format=raw", f"--console-output={results}", "--address="]
    given = {
        "TARGETS": ",".join(targets),
        "RATE": str(rate),
        "TIMEOUT": f"{timeout:g}",
        "KINDS": ",".join(kinds),
        "PROOF": question.proof,
        "VERSION_AT": question.version,
        "METHOD": question.method,
        "KEPT_METHOD": question.kept_method,
        "STATUSES": ",".join(map(str, question.statuses)),
        "HEADERS": json.dumps(dict(question.headers)),
        "GRPC_SERVICE": question.grpc_service,
    }
    argv += [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
    argv.append(_GRPC if question.protocol == "grpc" else _HTTP)
    if question.protocol == "tcp":
        argv = [sys.executable, _TCP, str(results), json.dumps([*targets]), str(rate), str(timeout)]
        argv += [question.send, question.expect]
    with runner.start(argv, log=results.with_suffix(".log")) as process:
        running = Load(process, results)
        until(
            lambda: bool(running.requests()),
            what="the first request of the load to be answered or given up",
            deadline=_START_DEADLINE + timeout,
            interval=0.05,
            state=process.log_tail,
            error=ToolError,
        )
        try:
            yield running
        finally:
            running.stop()
