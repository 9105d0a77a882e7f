"""Owns how a long step says what it does: lines for whoever listens, in which nothing steers a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable

Say = Callable[[str], None]
"""Takes one line of progress; safe to call from several threads."""


_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_STEERING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")


def plain(text: str) -> str:
    """A text from elsewhere without colours, and with a sign in place of other control characters."""
    return _STEERING.sub("\ufffd", _ANSI.sub("", text))


def silent(_: str) -> None:
    """Progress that nobody listens to."""
