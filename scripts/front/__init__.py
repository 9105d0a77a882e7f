"""What a person calls: the tasks by group, each its flags and one call, and what all of them do alike."""

from __future__ import annotations

import os
import sys
from types import TracebackType


def _unread(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C, or a reader that has gone, where no task runs: what we load, and what Invoke itself prints."""
    if isinstance(error, OSError):
        sys.stderr.write("" if isinstance(error, BrokenPipeError) else f"error: {error}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    elif not isinstance(error, KeyboardInterrupt):  # which ends the process by its signal all the same
        sys.__excepthook__(kind, error, trace)


sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)  # Invoke would have all of us compiled at every start
sys.excepthook = _unread  # as early as anything of ours is loaded
if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
    sys.stdout.reconfigure(line_buffering=True)  # so that a reader's going is seen here, and not when Python ends
