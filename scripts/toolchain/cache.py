"""Owns the cache of built things: an entry is whole and as it was made, or it is not taken; one process makes it."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.core import json_read
from scripts.core.errors import ToolError
from scripts.core.files import sha256, write_atomic, writing
from scripts.core.owner import temporary
from scripts.core.progress import Say, silent
from scripts.core.waiting import locked

BUILD_DEADLINE = 3600.0  # seconds; Kubernetes' own binaries take 6 minutes on 2 cores that have nothing else to do
_RECEIPT = "receipt.json"


@dataclass(frozen=True)
class Cache:
    """A folder of entries, each a folder of its own. One that cannot be written serves what it has."""

    folder: Path
    say: Say = silent

    def made(self, entry: Path, name: str, make: Callable[[Path], Path]) -> Path:
        """`name` in `entry`: as it was put there, else put there anew, `make` having made it in a scratch folder."""
        if not self.intact(entry, name):
            with self.lock(entry), self.scratch() as scratch:
                if not self.intact(entry, name):  # another process may have made it
                    self.put(make(scratch), entry, scratch)
        return entry / name

    def intact(self, entry: Path, name: str) -> bool:
        """True when the file, or the folder of files, in `entry` is the one that was put there.

        The content is hashed when a file's identity (size, times, inode) is not the recorded one:
        any write changes the ctime, so a run that finds it unchanged can skip the 0.1 s of hashing.
        """
        file, receipt = entry / name, entry / _RECEIPT
        try:
            record = json_read.load(receipt.read_text(encoding="utf-8"))
            if record["identity"] == _identity(file):
                return True
            if record["sha256"] != sha256(file):
                return False
        except (OSError, ValueError, KeyError, TypeError):
            return False
        with contextlib.suppress(ToolError):  # a read-only cache is hashed each time
            _write_receipt(entry, file, record["sha256"])
        return True

    def put(self, file: Path, entry: Path, scratch: Path) -> None:
        """Move `file`, made in `scratch`, into `entry`, whatever is there. Raises OSError, ToolError."""
        fresh = scratch / f"{entry.name}.new"
        fresh.mkdir()
        file.rename(fresh / file.name)
        _write_receipt(fresh, fresh / file.name, sha256(fresh / file.name))
        if entry.exists():  # damaged: out of the way first, since rename wants an empty target
            shutil.move(entry, scratch / f"{entry.name}.damaged")  # a layer of an image's has no rename of a folder
        fresh.rename(entry)

    @contextlib.contextmanager
    def lock(self, entry: Path) -> Iterator[None]:
        """The right to make `entry`, for this process alone. Raises ToolError, also after half an hour."""
        lock, what = entry.with_name(f"{entry.name}.lock"), f"the build of {entry.name}"
        with contextlib.ExitStack() as stack:
            with self._written():
                stack.enter_context(locked(lock, what=what, deadline=BUILD_DEADLINE, say=self.say, error=ToolError))
            yield

    def make(self) -> None:
        """Make the folder where it is not there. Raises ToolError."""
        with self._written():
            self.folder.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder beside the entries, so that a finished one can be renamed into place."""
        self.make()
        with contextlib.ExitStack() as stack:
            with self._written():
                folder = stack.enter_context(temporary("build", self.folder))
            yield folder

    def _written(self) -> contextlib.AbstractContextManager[None]:
        told = f"the cache of tools {self.folder} cannot be written, and not all is in it that is asked for"
        return writing(told, f"{self.folder} (or name another one: GATI_CACHE_DIR)", error=ToolError)


def _identity(path: Path) -> list[int]:
    stats = [file.stat() for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [number for stat in stats for number in (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)]


def _write_receipt(entry: Path, file: Path, digest: str) -> None:
    write_atomic(entry / _RECEIPT, json.dumps({"sha256": digest, "identity": _identity(file)}), error=ToolError)
