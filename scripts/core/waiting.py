"""Owns every wait for something that another process or a server does: a deadline, and what was waited for."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

from scripts.core.errors import ReleaseError
from scripts.core.interrupt import pause
from scripts.core.progress import Say, silent

T = TypeVar("T")


def until(
    probe: Callable[[], T | Literal[False] | None],
    *,
    what: str,
    deadline: float,
    interval: float = 0.1,
    state: Callable[[], object] | None = None,
    error: type[ReleaseError] = ReleaseError,
    run: str | None = None,
) -> T:
    """Ask `probe` every `interval` seconds until it gives something else than None or False.

    Raises `error` after `deadline` seconds, saying `what` was waited for and the last `state`; what `probe` raises
    ends the wait at once. In a worker whose work is stopped, it raises Stopped.
    """
    end = time.monotonic() + deadline
    while (answer := probe()) is None or answer is False:
        if time.monotonic() > end:
            raise error(f"waited {deadline:g} s for {what}", found=str(state()) if state else None, run=run)
        pause(interval)
    return answer


@contextlib.contextmanager
def locked(
    path: Path,
    *,
    what: str,
    deadline: float,
    say: Say = silent,
    error: type[ReleaseError] = ReleaseError,
    run: str | None = None,
) -> Iterator[None]:
    """Have `path` as a lock file, on this machine, for the block; `what` says what the lock is for.

    Whoever has to wait is told once who has it. Raises `error` after `deadline` seconds; OSError where the file
    cannot be made.
    """
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    told = False

    def mine() -> bool:
        nonlocal told
        with contextlib.suppress(TimeoutError):
            lock.acquire(blocking=False)
            return True
        if not told and deadline > 0:
            say(f"waiting for {_holder(path)}, which has {what}")
            told = True
        return False

    def state() -> str:
        return f"{_holder(path)} has it"

    until(mine, what=what, deadline=deadline, interval=0.05, state=state, error=error, run=run)
    try:
        path.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):
            os.truncate(path, 0)
        lock.release()


def _holder(path: Path) -> str:
    """Who wrote its number into the lock file; locks of processes that ended free themselves."""
    with contextlib.suppress(OSError, ValueError):
        return f"process {int(path.read_text(encoding='utf-8'))}"
    return "another process"
