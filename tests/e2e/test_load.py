"""The load by the real k6: what it tells of a request, and what it sends. It needs no cluster."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.core.command import Runner
from scripts.core.waiting import until
from scripts.e2e.k6 import Request, load
from scripts.e2e.subject import Question
from scripts.toolchain.finder import Toolchain

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]  # k6 may have to be built
HEADERS = (("Host", "shop.example"), ("X-Probe", "1"))


class Particular(BaseHTTPRequestHandler):
    """Answers for one host alone."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        right = all(self.headers.get(name) == value for name, value in HEADERS)
        self.send_response(200 if right else 400)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Faulty(BaseHTTPRequestHandler):
    """Ends in the middle of its answer, or never answers."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/never":
            time.sleep(30)
            return
        self.send_response(200)
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b"half")
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def full() -> Iterator[str]:
    """A server that takes no connection, and refuses none: as a node that stands still."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening, contextlib.ExitStack() as stack:
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


@contextlib.contextmanager
def served(by: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), by)
    server.daemon_threads, server.block_on_close = True, False
    with server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def asked(toolchain: Toolchain, runner: Runner, target: str, folder: Path, question: Question) -> Sequence[Request]:
    results = folder / "load.requests.jsonl"
    with load(toolchain.path("k6"), runner, [target], results, question=question, rate=12, timeout=1) as running:
        until(lambda: {one.kind for one in running.requests()} == {"new", "kept"}, what="both kinds", deadline=60)
        return running.requests()


def test_what_no_connection_came_about_for_was_waited_for_as_long(
    toolchain: Toolchain, runner: Runner, tmp_path: Path
) -> None:
    """Or it would seem to be refused at once, which no machine is to blame for."""
    with full() as target:
        seen = asked(toolchain, runner, target, tmp_path, Question("web"))
    assert all(one.failed and 0.9 < one.seconds < 5 for one in seen), seen


@pytest.mark.parametrize("headers", [HEADERS, ()])
def test_the_headers_that_the_question_has_are_sent(
    toolchain: Toolchain, runner: Runner, tmp_path: Path, headers: tuple[tuple[str, str], ...]
) -> None:
    with served(Particular) as target:
        seen = asked(toolchain, runner, target, tmp_path, Question("web", headers=headers))
    assert {one.failed for one in seen} == {not headers}


def test_an_answer_that_ends_in_the_middle_is_a_loss(toolchain: Toolchain, runner: Runner, tmp_path: Path) -> None:
    with served(Faulty) as target:
        seen = asked(toolchain, runner, target, tmp_path, Question("web"))
    assert {(one.failed, one.status) for one in seen} == {(True, 0)}


def test_what_waits_when_the_load_is_ended_is_told_apart(toolchain: Toolchain, runner: Runner, tmp_path: Path) -> None:
    results = tmp_path / "load.requests.jsonl"
    with served(Faulty) as target:
        targets, question = [f"{target}half", f"{target}never"], Question("web")
        with load(toolchain.path("k6"), runner, targets, results, question=question, rate=4, timeout=30) as running:
            begin = time.time()
            until(lambda: time.time() > begin + 3, what="some to wait", deadline=60)
        assert {one.target for one in running.all()} == {targets[0]}
        assert max(one.seconds for one in running.cut if one.target == targets[1]) > 2
