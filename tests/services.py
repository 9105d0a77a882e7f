"""Runs the reference services as processes of their own, for tests and benchmarks that meet them over real sockets."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests import forked

_FOLDERS = ("common", "ingress", "route-manager")
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
_LOADS = ("gati_ingress.settings", "gati_ingress.server", "gati_route_manager.settings", "gati_route_manager.server")
_T = TypeVar("_T")


def import_path(root: Path, generated: Path) -> tuple[str, ...]:
    """What stands on PYTHONPATH in the images; `generated` is the code that protoc made of the contract."""
    return (str(generated), *(str(root / "compose" / folder) for folder in _FOLDERS))


@dataclass
class Service:
    """A running service; `log` is the file that it writes to."""

    process: forked.Started
    log: Path

    def text(self) -> str:
        return self.log.read_text()

    def port(self, pattern: str) -> int:
        """The port that the first group of `pattern` finds in the log."""
        found = wait_for(lambda: re.search(pattern, self.text()), f"{pattern!r} in the log", self.text)
        return int(found[1])

    def ended(self, seconds: float = 20) -> int:
        """The exit status."""
        return self.process.wait(timeout=seconds)


Start = Callable[..., Service]


@contextlib.contextmanager
def starting(path: Sequence[str], folder: Path, *, prefix: Sequence[str] = ()) -> Iterator[Start]:
    """`start("gati_ingress", NAME="value", ...)` runs a service until the block ends; its log is in `folder`.

    `prefix` stands before the command (`taskset ...`); without one it is forked from a process that has loaded both.
    """
    services: list[Service] = []

    def start(module: str, **environ: object) -> Service:
        log = folder / f"{module}-{len(services)}.log"
        kept = {name: value for name, value in os.environ.items() if name in _KEPT}
        own = {"PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}
        env = {**kept, **own, **{name: str(value) for name, value in environ.items()}}
        process: forked.Started
        with log.open("wb") as file:
            out = file.fileno()
            if prefix:
                argv = (*prefix, sys.executable, "-m", module)
                process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            else:
                process = forked.start(module, cwd=Path.cwd(), env=env, stdout=out, stderr=out, loads=_LOADS)
        services.append(Service(process, log))
        return services[-1]

    try:
        yield start
    finally:
        for service in services:
            service.process.kill()
            service.process.wait()


def replace(path: Path, content: str | bytes) -> None:
    """A new file in place of the one that a running service looks at: as in a volume, it never sees half of it."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content.encode() if isinstance(content, str) else content)
    new.replace(path)


def wait_for(probe: Callable[[], _T | None], what: str, state: Callable[[], object] = str, seconds: float = 20) -> _T:
    """The first true answer of `probe`; fails the test with `what` and the state after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := probe():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds:g} s for {what}; state: {state()}")
