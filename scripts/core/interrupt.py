"""Owns what Ctrl-C and the other signals to end do: they arrive once, as KeyboardInterrupt, and can be held back."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """In this block the first signal to end arrives as KeyboardInterrupt, so that `finally` clauses run.

    Those that follow do nothing until the block has ended: an impatient second Ctrl-C must not leave half a
    cluster behind. Everything that a clean-up waits for has a deadline.
    """
    told: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        if len(told) == 1:
            raise KeyboardInterrupt(signal.Signals(number).name)

    with _handler(interrupt):
        yield


@contextlib.contextmanager
def held() -> Iterator[None]:
    """In this block signals to end wait; the first takes effect at its end. For moments, not for anything that waits.

    Unlike a signal mask, this is not passed on to a program that is started in the block.
    """
    waiting: list[int] = []
    try:
        with _handler(lambda number, _frame: waiting.append(number)):
            yield
    finally:
        if waiting:
            signal.raise_signal(waiting[0])


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """In this block signals to end do nothing: for a clean-up, which has deadlines of its own."""
    with _handler(lambda _number, _frame: None):
        yield


@contextlib.contextmanager
def _handler(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """In this block `handler` receives the signals to end, if this is the main thread: no other can have them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in _ENDING}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
