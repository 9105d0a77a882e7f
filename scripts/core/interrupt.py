"""Owns what Ctrl-C and the other signals to end do to the main thread, and how worker threads learn of it."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import FrameType

from scripts.core.errors import ReleaseError
from scripts.core.progress import Say, silent

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_LIMIT = 3  # signals, after which nothing is waited for any more
_SLICE = 0.1  # seconds within which a worker notices that its work is stopped


class Interrupted(KeyboardInterrupt):
    """A signal to end, in the main thread; `number` is the first one that came."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


class Stopped(KeyboardInterrupt):
    """The work of this thread is stopped: by a signal, or since other work of the same pool failed."""


class Scope:
    """Work that is stopped together: that of the threads of a pool, and of the pools that they open."""

    def __init__(self) -> None:
        self._parent = _SCOPE.get()
        self._stopped = threading.Event()

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set() or (self._parent is not None and self._parent.stopped)

    def stop(self) -> None:
        self._stopped.set()

    def enter(self) -> None:
        """From now on the work of this thread belongs here."""
        _SCOPE.set(self)

    def holds(self, other: Scope | None) -> bool:
        """Whether `other` is this one or was opened in it."""
        while other is not None and other is not self:
            other = other._parent
        return other is self


_SCOPE: ContextVar[Scope | None] = ContextVar("scope", default=None)  # None: the main thread, which signals reach


def scope() -> Scope | None:
    """What the work of this thread belongs to."""
    return _SCOPE.get()


def stopped() -> bool:
    """True in a worker thread whose work is stopped."""
    mine = _SCOPE.get()
    return mine is not None and mine.stopped


def raise_if_stopped() -> None:
    if stopped():
        raise Stopped


def pause(seconds: float) -> None:
    """Sleep. Raises Stopped as soon as the work of this worker thread is stopped."""
    end = time.monotonic() + seconds
    raise_if_stopped()
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _SLICE) if _SCOPE.get() is not None else left)
        raise_if_stopped()


@contextlib.contextmanager
def interruptible(say: Say = silent) -> Iterator[None]:
    """In this block the first signal to end arrives as Interrupted, so that `finally` clauses run.

    A second one only says, by `say`, what is being cleaned up: it must not leave half a cluster behind. The third ends
    the process, whatever it does, and so does a SIGQUIT at once. A block inside of another changes nothing.
    """
    if _foreign_thread() or _installed() is not None:
        yield
        return
    handler = _Handler(say)
    with handler.installed():
        yield


@contextlib.contextmanager
def held() -> Iterator[None]:
    """In this block signals to end wait, in this process alone; for moments, not for anything that waits."""
    with _deferred(None):
        yield


@contextlib.contextmanager
def cleaning(what: str) -> Iterator[None]:
    """In this block the clean-up `what` is brought to its end: a signal has that said, and takes effect afterwards."""
    with _deferred(what):
        yield


@contextlib.contextmanager
def put_right(undo: Callable[[], object], say: Say) -> Iterator[None]:
    """Call `undo` when the block ends. What went wrong first is raised; a failure of `undo` after it is only said."""
    try:
        yield
    except BaseException:
        try:
            undo()
        except ReleaseError as second:
            say(f"the clean-up failed too: {second}")
        raise
    undo()


@contextlib.contextmanager
def _deferred(what: str | None) -> Iterator[None]:
    if _foreign_thread():
        yield
        return
    handler = _installed()
    if handler is not None:
        with handler.deferring(what):
            yield
        return
    handler = _Handler(lambda _: None, arrives=False)
    try:
        with handler.installed(), handler.deferring(what):
            yield
    finally:
        if handler.numbers:
            signal.raise_signal(handler.numbers[0])


def _foreign_thread() -> bool:
    """No other than the main thread can have signals."""
    return threading.current_thread() is not threading.main_thread()


def _installed() -> _Handler | None:
    return next((found for each in ENDING if isinstance(found := signal.getsignal(each), _Handler)), None)


class _Handler:
    """What the signals to end do while it is installed: the first is raised here, unless it does not arrive."""

    def __init__(self, say: Say, *, arrives: bool = True) -> None:
        self.numbers: list[int] = []
        self._say = say
        self._arrived = not arrives
        self._blocks: list[str | None] = []

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.numbers.append(number)
        if None not in self._blocks:
            self._act()

    def _act(self) -> None:
        if len(self.numbers) >= _LIMIT or signal.SIGQUIT in self.numbers:
            self._end()
        if not self._blocks and not self._arrived:
            self._arrived = True
            raise Interrupted(self.numbers[0])
        left = _LIMIT - len(self.numbers)
        doing = next((text for text in reversed(self._blocks) if text), "ending what runs and tidying up")
        with contextlib.suppress(RuntimeError, OSError, ValueError):  # it may have come in the middle of a print
            self._say(f"still {doing}; {'one more signal' if left == 1 else f'{left} more'} will not wait for that")

    def _end(self) -> None:
        """Leave at once; what our commands are they leave with us."""
        for number in ENDING:
            signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(RuntimeError, OSError, ValueError):
            self._say("ended at once: `invoke down --all` removes what is left")
        atexit._run_exitfuncs()
        os.kill(os.getpid(), self.numbers[0])

    @contextlib.contextmanager
    def deferring(self, what: str | None) -> Iterator[None]:
        self._blocks.append(what)
        before = len(self.numbers)
        try:
            yield
        finally:
            self._blocks.pop()
            came = what is None and None not in self._blocks and len(self.numbers) > before
            if came or (not self._blocks and self.numbers and not self._arrived):
                self._act()

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        # nohup's is heeded. A shell that runs us in the background has Ctrl-C ignored, too, which is ours to obey.
        heeded = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()
        before = {number: signal.signal(number, self) for number in ENDING if number not in heeded}
        hook = sys.unraisablehook

        def swallowed(unraisable: sys.UnraisableHookArgs) -> None:
            if isinstance(unraisable.exc_value, Interrupted):  # it came in a destructor, which cannot raise: again
                self.numbers.clear()
                self._arrived = False
                again = unraisable.exc_value.number
                threading.Timer(_SLICE, signal.pthread_kill, (threading.main_thread().ident, again)).start()
            else:
                hook(unraisable)

        sys.unraisablehook = swallowed
        try:
            yield
        except RuntimeError as error:  # by Python 3.11, where it came while a class was made
            if isinstance(error.__cause__, Interrupted):
                raise error.__cause__ from None
            raise
        finally:
            sys.unraisablehook = hook
            for number, previous in before.items():
                signal.signal(number, previous)
