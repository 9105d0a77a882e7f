"""Writes a file whole or not at all, copies a folder, and names contents by their SHA-256."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.core.errors import OutputError, ReleaseError, limit, telling

UNSETTLED = "git's conflict markers stand here, from <<<<<<< to >>>>>>>, of a merge that nobody has settled"
_ROOM = 64 << 10  # bytes, more than any record
_BOTH_SIDES = re.compile(rb"^<{7}(?: .*)?\r?$(?s:.*?)^={7}\r?$(?s:.*?)^>{7}(?: .*)?\r?$", re.MULTILINE)


def read_file(path: Path) -> bytes:
    """The content of a file. Raises OSError, also for a pipe or the like: to open one is to wait for who writes."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return path.read_bytes()


def read_any(path: Path, error: type[ReleaseError], place: str = "", **more: Any) -> bytes | None:
    """The content of a file, None where there is none. Raises `error`, with `more`, where it cannot be read."""
    try:
        return read_file(path)
    except FileNotFoundError:
        return None
    except OSError as cause:
        raise error(f"{place or path} cannot be read", found=cause.strerror, **more) from cause


def unsettled(content: bytes | str) -> int | None:
    """The line, from 1, on which git's markers of a merge begin that nobody has settled; None without any."""
    data = content.encode() if isinstance(content, str) else content
    found = _BOTH_SIDES.search(data) if b"<<<<<<<" in data else None
    return data.count(b"\n", 0, found.start()) + 1 if found else None


def demand_settled(place: str, content: bytes | str, error: type[ReleaseError]) -> None:
    """Raises `error` for a file, which a person knows as `place`, that holds both sides of a merge."""
    if (line := unsettled(content)) is not None:
        raise error(f"{place}:{line}: {UNSETTLED}", run=f"settle it in an editor, then git add {place} and git commit")


def copied(folder: Path, into: Path, *but: str) -> Path:
    """A copy of `folder` at `into` that can be changed: links followed, what fits a pattern of `but` left out.

    So is the inside of a repository, which may be large, a link to nowhere, and a pipe or a socket, to read which is to
    wait.
    """
    patterns = shutil.ignore_patterns(".git", *but)

    def ignored(at: str, names: list[str]) -> set[str]:
        places = {name: Path(at, name) for name in names}
        return {name for name, one in places.items() if not (one.is_file() or one.is_dir())} | patterns(at, names)

    # Of links to nowhere it has a flag of its own, by which it takes each relative one for such.
    return Path(shutil.copytree(folder, into, ignore=ignored, copy_function=shutil.copyfile, dirs_exist_ok=True))


def sha256(content: bytes | str | Path) -> str:
    """The SHA-256 of bytes, of a text in UTF-8 or of what is at a path: 64 hexadecimal digits. Raises OSError.

    Of a folder it is that of the list of its files.
    """
    if isinstance(content, Path) and content.is_dir() and not content.is_symlink():
        content = listing(content)
    if isinstance(content, Path):
        with content.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def listing(folder: Path, before: str = "") -> str:
    """A line for each file below `folder`, its SHA-256 and its name, which begins with `before`. Raises OSError."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    files = {f"{before}{path.relative_to(folder)}": path for path in found}
    return "".join(f"{sha256(files[name])}  {name}\n" for name in sorted(files))


@contextlib.contextmanager
def writing(
    message: str, folder: object, *, expected: str | None = None, error: type[ReleaseError] = OutputError
) -> Iterator[None]:
    """Has an OSError of the block told by `message`, with what helps in `folder`. Raises `error`."""
    try:
        yield
    except OSError as cause:
        run = f"make room or correct the permissions of {folder}, then run the same command again"
        told: dict[str, Any] = {"found": cause.strerror or str(cause), "run": run, **limit(cause)}
        raise error(message, expected=expected, **told) from cause


def write_atomic(path: Path, data: bytes | str, *, error: type[ReleaseError] = OutputError) -> None:
    """Replace `path` by `data` as a whole, its folder made, or leave what was there and raise `error`.

    A link stays, and what it leads to is replaced with its permissions; a device or a pipe is written to. What UTF-8
    has no form for, as bytes in the name of a file that are no text, is written as an escape.
    """
    content = data.encode(errors="backslashreplace") if isinstance(data, str) else data
    real = Path(os.path.realpath(path))
    fresh = real.with_name(f".{real.name}.{os.getpid()}.tmp")
    wanted = f"a folder that can be written, with {max(1, len(content) // 1024)} KiB free"
    try:
        with writing(f"{path} cannot be written", path.parent, expected=wanted, error=error):
            if path.exists() and not path.is_file():
                with os.fdopen(_opened(path), "wb") as file:
                    file.write(content)
                return
            real.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if real.exists():
                shutil.copymode(real, fresh)
            fresh.replace(real)
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink()


def _opened(path: Path) -> int:
    """A device, or a pipe that somebody reads: nobody is waited for who would."""
    handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    os.set_blocking(handle, True)
    return handle


def to_json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as JSON. Raises OutputError."""
    write_atomic(path, to_json(value))


def try_writing(path: Path) -> None:
    """Make sure that `path` could be written now: its folder takes files, and has some room. Raises OutputError."""
    trial = path.with_name(f".{path.name}.trial")
    try:
        with telling({str(trial): str(path)}):
            write_atomic(trial, b"\0" * _ROOM)
        if path.is_dir():
            raise OutputError(f"{path} cannot be written", expected="a file, or nothing", found="a folder")
    finally:
        with contextlib.suppress(OSError):
            trial.unlink()
