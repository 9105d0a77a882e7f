"""Owns every wait for something that another process or a server does: a deadline, and what was waited for."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

from scripts.core.errors import OUTSIDE, ReleaseError
from scripts.core.interrupt import pause
from scripts.core.progress import Say, silent

T = TypeVar("T")
_HEARTBEAT = 30.0  # seconds until a wait is heard of again: a CI job that is silent is ended by some


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
    if (answer := patiently(probe, deadline, interval)) is None:
        raise error(f"waited {deadline:g} s for {what}", found=str(state()) if state else None, run=run)
    return answer


def patiently(probe: Callable[[], T | Literal[False] | None], deadline: float, interval: float) -> T | None:
    """The same, None after `deadline` seconds; with 0 of them it is asked once."""
    end = time.monotonic() + deadline
    while (answer := probe()) is None or answer is False:
        if time.monotonic() >= end:
            return None
        pause(interval)
    return answer


@contextlib.contextmanager
def repeated(look: Callable[[], object], *, every: float, name: str, bearing: type[ReleaseError]) -> Iterator[None]:
    """Do `look` every `every` seconds beside the block; `bearing` ends one look, anything else all, and is raised."""
    closing = threading.Event()

    def run() -> None:
        while not closing.wait(every):
            with contextlib.suppress(bearing):
                look()

    with ThreadPoolExecutor(1, thread_name_prefix=name) as pool:
        looking = pool.submit(run)
        try:
            yield
        finally:
            closing.set()
    if (error := looking.exception()) is not None:
        found = f"{type(error).__name__}: {error}"
        raise bearing(f"what goes on beside it cannot be looked at any more: {name}", found=found) from error


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
    """Have `path` locked, a folder or a file (made where there is none), against all others on this machine.

    Whoever has to wait for `what` is told who has it, and again every half minute. Raises `error` after `deadline`
    seconds; OSError where the file cannot be made. A process that ends, however it does, has no locks any more.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDONLY if path.exists() else os.O_RDWR | os.O_CREAT, 0o666)
    begin, due = time.monotonic(), 0.0

    def mine() -> bool:
        nonlocal due
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            pass
        except OSError as cause:  # as of a network file system whose server gives none
            raise error(f"{path} cannot be locked", found=cause.strerror, code=OUTSIDE) from cause
        waited = time.monotonic() - begin
        if deadline > 0 and waited >= due:
            say(f"waiting for {holder(path)}, which has {what}" + (f": {due:.0f} s" if due else ""))
            due += _HEARTBEAT
        return False

    def state() -> str:
        return f"{holder(path)} has it"

    try:
        if deadline:
            until(mine, what=what, deadline=deadline, interval=0.05, state=state, error=error, run=run)
        elif not mine():
            raise error(f"something else has {what}", found=state(), run=run)
        yield
    finally:
        os.close(handle)


def holder(path: Path) -> str:
    """Who has locked `path`, as well as this system tells."""
    with contextlib.suppress(OSError):
        inode = str(path.stat().st_ino)
        for line in Path("/proc/locks").read_text(encoding="utf-8").splitlines():
            words = line.split()  # 1: FLOCK ADVISORY WRITE <process> <device>:<device>:<inode> 0 EOF
            if "->" not in words and words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode:
                return f"process {words[4]}"
    return "another process"
