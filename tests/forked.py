"""Runs modules of ours as processes that need not load everything first: each is forked from one that has.

To read all that `invoke` stands on takes longer than most of what it does. Streams, folder, environment, signals and
exit codes are those of a process of its own; what calls tasks, `scripts.front`, every one of them loads by itself.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pickle
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What is loaded late, where it is needed.
_LATE = (
    *("docker", "jinja2", "jsonschema", "netrc", "requests", "rich._emoji_codes", "rich.live", "rich.table"),
    *("urllib3", "webbrowser"),
    "tests.release.conftest",
)
# What is waited for another's sake, and there is no other: tries after a failure, a look at what was pushed. A process
# that has PATIENT in its environment waits as a person's does.
HASTE = {
    "scripts.registry.transport._PAUSE": 0.02,
    "scripts.release.publish._PAUSE": 0.02,
    "scripts.release.publish._SETTLE": 0.05,
    "scripts.release.publish._LONGEST_SETTLE": 0.1,
}
# What Python reads when it begins, and a fork cannot: with other ones a process is started.
_AT_START = ("PYTHON", "LC_", "LANG", "MALLOC_", "LD_")
# Before a test has changed it, perhaps into one that our commands refuse.
_ENVIRON = dict(os.environ)


class Forked:
    """A process that was forked, with what `subprocess.Popen` has of one."""

    def __init__(self, way: socket.socket) -> None:
        self._way = way
        self._answers = way.makefile("rb", buffering=0)  # nothing is read that is not asked for: `wait` looks first
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """The exit status. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._way], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            with self._way, self._answers:
                self.returncode = int(self._answers.readline())
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """To a process that has not ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        if self.returncode is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Started = Forked | subprocess.Popen[bytes]


def run(
    module: str, *argv: str | Path, cwd: Path, env: Mapping[str, str], timeout: float = 90
) -> subprocess.CompletedProcess[str]:
    """`python -m module argv` to its end. Raises subprocess.TimeoutExpired."""
    told: dict[int, str] = {}

    def read(number: int) -> None:
        with open(number, encoding="utf-8", newline="") as stream:
            told[number] = stream.read()

    pipes = os.pipe(), os.pipe()
    readers = [threading.Thread(target=read, args=(out,)) for out, _ in pipes]
    try:
        process = start(module, *argv, cwd=cwd, env=env, stdout=pipes[0][1], stderr=pipes[1][1])
    finally:
        for each, (_, into) in zip(readers, pipes, strict=True):
            os.close(into)
            each.start()
    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    finally:
        for each in readers:
            each.join(timeout=30)
    return subprocess.CompletedProcess([*map(str, argv)], status, *(told[out] for out, _ in pipes))


def start(
    module: str,
    *argv: str | Path,
    cwd: Path,
    env: Mapping[str, str],
    stdout: int,
    stderr: int,
    loads: tuple[str, ...] = (),
) -> Started:
    """`python -m module argv` beside us, which writes to these files.

    Forked from a process that has loaded the modules `loads`; from the one that has loaded all of ours where none are
    named, but for an environment that Python reads when it begins.
    """
    words, settings = [*map(str, argv)], _settings(env)
    if not hasattr(os, "pidfd_open") or (not loads and settings != _settings(os.environ)):
        whole = (sys.executable, "-m", module, *words)
        return subprocess.Popen(whole, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
    with Path(os.devnull).open() as nothing:
        streams = nothing.fileno(), stdout, stderr
        return _ask(_server(tuple(sorted(settings.items())), loads), module, words, cwd, env, streams)


def command(module: str, file: Path) -> tuple[int, ...]:
    """Have `file` be a program that runs `python -m module` so; descriptors that its caller has to inherit."""
    if not hasattr(os, "pidfd_open"):
        return ()
    way = _server(tuple(sorted(_settings(os.environ).items())), ()).fileno()
    file.write_text(f"#!/bin/sh\nexec '{sys.executable}' -IS '{__file__}' --ask {way} {module} \"$@\"\n")
    file.chmod(0o755)
    return (way,)


def _ask(
    way: socket.socket, module: str, argv: Sequence[str], cwd: Path, env: Mapping[str, str], streams: Sequence[int]
) -> Forked:
    asked, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(way, [b"."], [theirs.fileno(), *streams])
    question = json.dumps({"module": module, "argv": argv, "cwd": str(cwd), "env": dict(env)}).encode()
    asked.sendall(len(question).to_bytes(8, "big") + question)
    return Forked(asked)


def _settings(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_AT_START)}


@functools.cache
def _server(settings: tuple[tuple[str, str], ...], loads: tuple[str, ...]) -> socket.socket:
    """The way to the process that forks; it ends when this one does."""
    ours, theirs = socket.socketpair()
    with theirs:
        argv = (sys.executable, "-m", "tests.forked", str(theirs.fileno()), *loads)
        env = {name: value for name, value in _ENVIRON.items() if not name.startswith(_AT_START)} | dict(settings)
        process = subprocess.Popen(argv, cwd=ROOT, env=env, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _load() -> None:
    """All of ours but the front, and what that loads late; with a runner that remembers what helm said."""
    gc.set_threshold(50_000, 20, 100)  # see conftest.py
    import invoke.main  # noqa: F401 - it is there for those that are forked

    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment] # see conftest.py
    ours = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in ROOT.glob("scripts/**/[!_]*.py")]
    for name in (*(name for name in ours if not name.startswith("scripts.front.")), *_LATE):
        importlib.import_module(name)
    from yamllint import linter
    from yamllint.config import YamlLintConfig

    from scripts import workspace
    from scripts.chart.secrets import refuse_secrets
    from scripts.core import yaml_read
    from scripts.core.config import load_config
    from scripts.toolchain.pins import load_pins
    from tests.remembered import Remembering

    parse = tomllib.loads
    parsed = functools.cache(lambda text: pickle.dumps(parse(text)))  # each has it as its own to change
    setattr(tomllib, "loads", lambda text: pickle.loads(parsed(text)))  # noqa: B010 - as below
    load_pins()
    # Expressions that are compiled when they are first asked for, which takes a third of what a task does.
    yaml_read.load("a: b")
    refuse_secrets({"chart/values": b"a"}, ())
    list(linter.run("a: 1.0\nb: 'c'\n", YamlLintConfig("extends: default")))
    setattr(os, "fsync", id)  # noqa: B010 - no power is cut here, and each takes milliseconds
    answers = load_config(ROOT).cache_dir / "test-answers"
    setattr(workspace, "Runner", functools.partial(Remembering, answers))  # noqa: B010 - another class, for mypy


def _serve(way: socket.socket) -> Iterator[tuple[str, list[str]]]:
    """Forks for each question; in those that are forked alone, gives what to run."""
    selector = selectors.DefaultSelector()
    selector.register(way, selectors.EVENT_READ)
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is way:
                _, numbers, _, _ = socket.recv_fds(way, 1, 4)
                if not numbers:
                    os._exit(0)
                asked, *streams = numbers
                there = socket.socket(fileno=asked)
                pid = os.fork()
                if pid == 0:
                    selector.close()
                    way.close()
                    yield _become(there, streams)
                    return
                for number in streams:
                    os.close(number)
                there.sendall(f"{pid}\n".encode())
                ends = os.pidfd_open(pid)
                selector.register(ends, selectors.EVENT_READ)
                running[ends] = pid, there
            else:
                ends = key.fd
                selector.unregister(ends)
                os.close(ends)
                pid, there = running.pop(ends)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with there, contextlib.suppress(OSError):  # who has asked may not wait any more
                    there.sendall(f"{status}\n".encode())


def _become(there: socket.socket, streams: Sequence[int]) -> tuple[str, list[str]]:
    """Take on the streams, the folder and the environment that were asked for."""
    with there, there.makefile("rb") as file:
        asked = json.loads(file.read(int.from_bytes(file.read(8), "big")))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    if (
        "scripts" in sys.modules and Path("scripts/front").is_dir()
    ):  # in a copy of the checkout, whose folders are meant
        sys.modules["scripts"].__path__ = [str(Path("scripts").absolute())]
    for way, seconds in HASTE.items() if "PATIENT" not in os.environ else ():
        place, _, name = way.rpartition(".")
        if place in sys.modules:
            setattr(sys.modules[place], name, seconds)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as Python itself opens the three
    sys.stdout = open(1, "w", 1 if "PYTHONUNBUFFERED" in os.environ else -1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    return asked["module"], asked["argv"]


def main() -> None:
    if sys.argv[1] == "--ask":
        way, (module, *argv) = socket.socket(fileno=int(sys.argv[2])), sys.argv[3:]
        sys.exit(_ask(way, module, argv, Path.cwd(), os.environ, (0, 1, 2)).wait())
    for name in sys.argv[2:]:
        importlib.import_module(name)
    if not sys.argv[2:]:
        _load()
    gc.freeze()
    for module, argv in _serve(socket.socket(fileno=int(sys.argv[1]))):
        sys.argv = [module, *argv]
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            if ended.code is None or isinstance(ended.code, int):
                _end(ended.code or 0)
            raise
        _end(0)


def _end(status: int) -> None:
    """End as Python does, but for giving back all that was loaded, for which what was shared with others is copied."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError, AttributeError):  # what cannot be flushed is Python's own to tell
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status & 0xFF)


if __name__ == "__main__":
    main()
