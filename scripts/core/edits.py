"""Changes several files at once: shown as one diff, written all or not at all."""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core.errors import REFUSED, SAME_COMMAND, OutputError
from scripts.core.files import writing
from scripts.core.interrupt import held
from scripts.core.paths import shown

FRESH = ".{}.new"  # the name that a file's new content has until it takes the file's place


@dataclass(frozen=True)
class Edit:
    """A file and its content before and after."""

    path: Path
    before: bytes
    after: bytes

    @property
    def fresh(self) -> Path:
        """Where the new content stands before it takes the file's place."""
        return self.path.with_name(FRESH.format(self.path.name))


def diff(edits: Iterable[Edit]) -> str:
    text = ""
    for edit in edits:
        before, after = (
            data.decode("utf-8", "replace").splitlines(keepends=True) for data in (edit.before, edit.after)
        )
        name = shown(edit.path).lstrip("/")
        for line in difflib.unified_diff(before, after, f"a/{name}", f"b/{name}"):
            text += line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
    return text


def apply(edits: Sequence[Edit]) -> None:
    """Write every edit, or none, on a Ctrl-C too. Raises OutputError, also for a file that was changed meanwhile."""
    with contextlib.ExitStack() as staged:
        for edit in edits:
            staged.enter_context(_staged(edit))
        with held():
            _swap(edits)


@contextlib.contextmanager
def _staged(edit: Edit) -> Iterator[None]:
    """The new content beside the file, with the file's permissions, as long as the block lasts.

    Its name is always the same, so that what a killed process left is taken for what it is: two at once do not change
    one project (`release.bump.alone`).
    """
    try:
        with _told(edit.path):
            if edit.path.read_bytes() != edit.before:
                told = f"{shown(edit.path)} was changed by another program"
                raise OutputError(told, run=SAME_COMMAND, code=REFUSED, doctor="")
            with edit.fresh.open("wb") as file:
                file.write(edit.after)
                file.flush()
                os.fsync(file.fileno())
            shutil.copymode(edit.path, edit.fresh)
        yield
    finally:
        with contextlib.suppress(OSError):
            edit.fresh.unlink()


def _swap(edits: Sequence[Edit]) -> None:
    done: list[Edit] = []
    try:
        for edit in edits:
            with _told(edit.path):
                edit.fresh.replace(edit.path)
            done.append(edit)
    except OutputError:
        for edit in done:
            with writing(f"{shown(edit.path)} is changed, and cannot be taken back", shown(edit.path.parent)):
                edit.fresh.write_bytes(edit.before)  # beside it: a disk that is full would leave a part
                shutil.copymode(edit.path, edit.fresh)
                edit.fresh.replace(edit.path)
        raise


def _told(path: Path) -> contextlib.AbstractContextManager[None]:
    return writing(f"{shown(path)} cannot be written; nothing is changed", shown(path.parent))
