"""Owns the worker threads that run several commands at a time, and their end on an error or Ctrl-C."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

from scripts.core.command import Runner
from scripts.core.interrupt import Scope

# For Go programs that live a tenth of a second: their collector has nothing to gain, and costs a fifth of the time.
BRIEF_GO = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def workers(runner: Runner, threads: int | None = None) -> Iterator[Executor]:
    """A pool of `threads` (None: one a core) for work that waits for commands of `runner`.

    When the block is left by an error, what has not begun is dropped, what runs is ended, and nothing more is started.
    """
    scope = Scope()
    pool = ThreadPoolExecutor(threads or cores(), thread_name_prefix="worker", initializer=scope.enter)
    try:
        yield pool
    except BaseException:
        scope.stop()
        pool.shutdown(wait=False, cancel_futures=True)
        runner.end(scope)
        raise
    finally:
        pool.shutdown()
