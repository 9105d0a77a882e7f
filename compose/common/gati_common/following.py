"""Follows mounted files by their contents: a ConfigMap is swapped by a link, and a bind mount may keep its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

Contents = tuple[bytes, ...] | None


def contents(paths: Sequence[Path], most: int = -1) -> Contents:
    """What the files hold, at most `most` bytes of each; None where one of them cannot be read."""
    try:
        return tuple(_head(path, most) for path in paths)
    except OSError:
        return None


async def changes(paths: Sequence[Path], known: Contents, seconds: float, most: int = -1) -> AsyncIterator[Contents]:
    """Look every `seconds`, and give what the files hold whenever that is not what it was (`known` at first)."""
    while True:
        await asyncio.sleep(seconds)
        found = contents(paths, most)
        if found != known:
            known = found
            yield found


def _head(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most)
