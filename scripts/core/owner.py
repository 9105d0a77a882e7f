"""Says to which process a temporary thing belongs, in its name, so that what a killed one left can be told apart."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scripts.core.files import sha256

MARK = "GATI_OWNER"  # the variable that every program which we start carries, and all that it starts


def mark() -> str:
    """Names this process: this machine, its number, when it began. Letters, digits and dashes."""
    return _mark_of(os.getpid())


@functools.cache  # asked for each program that is started
def _mark_of(number: int) -> str:
    return f"{_machine()}-{number}-{_began(number)}"


def owned(what: str) -> str:
    """What the name of a temporary folder of this process begins with."""
    return f"gati-{what}-{mark()}-"


@contextlib.contextmanager
def temporary(what: str, within: Path | None = None) -> Iterator[Path]:
    """A temporary folder of this process, for the block, hidden in `within`; those of dead ones are removed there."""
    hidden = "." * bool(within)
    for left in (within or Path(tempfile.gettempdir())).glob(f"{hidden}gati-{what}-*"):  # which may hold a login
        if orphaned(left.name.removeprefix(f"{hidden}gati-{what}-").rpartition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=hidden + owned(what), dir=within) as folder:
        yield Path(folder)


def orphaned(owner: str) -> bool:
    """Whether `owner` is the mark of a process of this machine that is not there any more."""
    machine, _, rest = owner.partition("-")
    number, _, began = rest.partition("-")
    if machine != _machine() or not number.isdecimal() or not began.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _began(int(number)) != began


def _machine() -> str:
    text = platform.node()
    with contextlib.suppress(OSError):
        text += Path("/etc/machine-id").read_text(encoding="utf-8")
    with contextlib.suppress(OSError):  # containers of one host, and of its name, do not see each other's processes
        text += str(Path("/proc/self/ns/pid").readlink())
    return sha256(text)[:6]


def _began(number: int) -> str:
    """When a process began, in ticks since the machine did; "0" where the system does not tell."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    return "0"
