"""What a person calls: the tasks by group, each its flags and one call, and what all of them do alike."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

_SCRIPTS = str(Path(__file__).parents[1])
redact: Callable[[str], str] = str  # once a task knows what is secret


def by_invoke() -> bool:
    """Whether this process is `invoke`, and not one that reads our tasks for an end of its own."""
    called = Path(sys.argv[0])
    return (called.parent.name if called.name == "__main__.py" else called.name) in ("invoke", "inv")


def give_up(number: int) -> None:
    """From now on what this stream is given goes nowhere, as nobody takes it; Python would fail of it in the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _unread(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What ends the process where no task runs: a stream that takes nothing of what Invoke prints, and its settings."""
    if isinstance(error, OSError):
        from scripts.core.errors import OUTSIDE

        unread = isinstance(error, BrokenPipeError)
        with contextlib.suppress(OSError):
            where = "" if error.filename else "stdout cannot be written: "  # what Invoke prints has no name
            sys.stderr.write("" if unread else f"error: {where}{error}\n")
        for number in (1, 2):
            give_up(number)
        # What Invoke could not say, and would have ended with, where it is that.
        raise SystemExit(getattr(error.__context__, "code", 128 + signal.SIGPIPE if unread else OUTSIDE))
    if _ours(trace) or not isinstance(error, Exception):
        sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))
    else:  # what Invoke cannot make of its own settings
        sys.stderr.write(f"error: invoke: {' '.join(str(error).split())[:400] or kind.__name__}\n")
        raise SystemExit(2)


def _ours(trace: TracebackType | None) -> bool:
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(_SCRIPTS):
        trace = trace.tb_next
    return trace is not None


sys.excepthook = _unread  # as early as anything of ours is loaded
if sys.platform == "win32":  # which has not what is used from here on
    sys.stderr.write("error: this toolkit needs a POSIX system: run it in WSL, a container or a virtual machine\n")
    raise SystemExit(4)  # OUTSIDE, of core.errors
if by_invoke():
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until a task takes it: Invoke would end with 1, a check's finding.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # What starts us may have left these so: a child that failed would seem to do well, and a signal to end would wait.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if not os.environ.get("XDG_CACHE_HOME", "/").startswith("/"):
        del os.environ["XDG_CACHE_HOME"]  # which is to be ignored then, as its specification says; Go refuses to run
if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
    sys.stdout.reconfigure(line_buffering=True)  # so that a reader's going is seen here, and not when Python ends
