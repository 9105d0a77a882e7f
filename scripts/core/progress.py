"""Owns how a long step says what it does: lines in which nothing steers a terminal, and the rows of a board."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

Say = Callable[[str], None]
"""Takes one line of progress; safe to call from several threads."""


_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_STEERING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\r(?!\n)")


def plain(text: str) -> str:
    """A text from elsewhere without colours, and with a sign in place of what else steers a terminal or turns text."""
    return _STEERING.sub("\ufffd", _ANSI.sub("", text))


def silent(_: str) -> None:
    """Progress that nobody listens to."""


@dataclass(frozen=True)
class Row:
    """One of several things that run side by side: its `state` ("waits", "runs", or how it ended) and what it does.

    `begun` is when it began (seconds of `time.monotonic`), `seconds` what it took in the end, and `typical` what it
    took the last time; each None where that is not known.
    """

    name: str
    state: str = "waits"
    doing: str = ""
    begun: float | None = None
    seconds: float | None = None
    typical: float | None = None


class Board:
    """What runs side by side, for a terminal to show while it lasts. Safe to use from several threads."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._lock = threading.Lock()

    def expect(self, name: str, typical: float | None = None) -> None:
        """A row for what is still to begin; one that is there begins anew."""
        with self._lock:
            self._rows[name] = Row(name, typical=typical)

    def doing(self, name: str, what: str) -> None:
        """It runs, and `what` is what it does, or waits for, now."""
        with self._lock:
            row = self._rows.get(name, Row(name))
            begun = time.monotonic() if row.begun is None else row.begun
            self._rows[name] = replace(row, state="runs", doing=what, begun=begun, seconds=None)

    def ended(self, name: str, state: str) -> None:
        with self._lock:
            row = self._rows.get(name, Row(name))
            seconds = None if row.begun is None else time.monotonic() - row.begun
            self._rows[name] = replace(row, state=state, doing="", seconds=seconds)

    @property
    def rows(self) -> tuple[Row, ...]:
        with self._lock:
            return tuple(self._rows.values())
