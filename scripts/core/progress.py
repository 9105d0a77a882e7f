"""Owns how a long step says what it does: lines for whoever listens."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], None]
"""Takes one line of progress; safe to call from several threads."""


def silent(_: str) -> None:
    """Progress that nobody listens to."""
