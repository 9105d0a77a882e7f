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
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What is loaded late, where it is needed.
_LATE = (
    *("docker", "jinja2", "jsonschema", "requests", "rich.live", "rich.table", "tenacity", "urllib3", "yamllint"),
    "tests.release.conftest",
)
# What Python reads when it begins, and a fork cannot: with other ones a process is started.
_AT_START = ("PYTHON", "LC_", "LANG", "MALLOC_", "LD_")


def run(
    module: str, *argv: str | Path, cwd: Path, env: Mapping[str, str], timeout: float = 90
) -> subprocess.CompletedProcess[str]:
    """`python -m module argv` to its end. Raises subprocess.TimeoutExpired."""
    words = [*map(str, argv)]
    if not hasattr(os, "pidfd_open") or _settings(env) != _settings(os.environ):
        whole = (sys.executable, "-m", module, *words)
        return subprocess.run(
            whole, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )
    question = json.dumps({"module": module, "argv": words, "cwd": str(cwd), "env": dict(env)}).encode()
    told: dict[int, str] = {}

    def read(number: int) -> None:
        with open(number, encoding="utf-8", newline="") as stream:
            told[number] = stream.read()

    with contextlib.ExitStack() as closing:
        asked, theirs = socket.socketpair()
        closing.enter_context(asked)
        out, err = os.pipe(), os.pipe()
        readers = [threading.Thread(target=read, args=(number,)) for number in (out[0], err[0])]
        nothing = os.open(os.devnull, os.O_RDONLY)
        with theirs:
            socket.send_fds(_server(), [b"."], [theirs.fileno(), nothing, out[1], err[1]])
        for number in (nothing, out[1], err[1]):
            os.close(number)
        for each in readers:
            each.start()
        asked.sendall(len(question).to_bytes(8, "big") + question)
        answers = closing.enter_context(asked.makefile())
        pid = int(answers.readline())
        asked.settimeout(timeout)
        try:
            status = int(answers.readline())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(words, timeout) from None
        finally:
            for each in readers:
                each.join(timeout=30)
    return subprocess.CompletedProcess(words, status, told[out[0]], told[err[0]])


def _settings(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_AT_START)}


@functools.cache
def _server() -> socket.socket:
    """The way to the process that forks; it ends when this one does."""
    ours, theirs = socket.socketpair()
    with theirs:
        argv = (sys.executable, "-m", "tests.forked", str(theirs.fileno()))
        process = subprocess.Popen(argv, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _load() -> None:
    """All of ours but the front, and what that loads late."""
    import invoke.main  # noqa: F401 - it is there for those that are forked

    ours = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in ROOT.glob("scripts/**/[!_]*.py")]
    for name in (*(name for name in ours if not name.startswith("scripts.front.")), *_LATE):
        importlib.import_module(name)


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
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - as Python itself opens the three
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    return asked["module"], asked["argv"]


def main() -> None:
    _load()
    gc.freeze()
    for module, argv in _serve(socket.socket(fileno=int(sys.argv[1]))):
        sys.argv = [module, *argv]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
