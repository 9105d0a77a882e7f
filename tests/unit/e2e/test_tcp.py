"""The load on a TCP server: what is an answer, and what is a loss."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scripts.core.command import Runner
from scripts.core.waiting import until
from scripts.e2e.k6 import Request, load
from scripts.e2e.subject import Question


@contextmanager
def server(answer: bytes | None, *, hang_up: bool = False) -> Iterator[str]:
    """Takes connections, and answers what is sent with `answer`; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                held.append(connection)
                if hang_up:
                    connection.close()
                elif answer is not None:
                    with suppress(OSError):  # whoever asked may be gone
                        connection.recv(100)
                        connection.sendall(answer)

        held: list[socket.socket] = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)  # or it would go on to take connections, which nobody closes
            thread.join()
            for connection in held:
                connection.close()


def asked(target: str, folder: Path, timeout: float = 20, error: str = "", **told: str) -> list[Request]:
    """The first requests, and those until one has failed by `error`, as all do where the server is quick enough."""
    question = Question("a", protocol="tcp", **told)  # type: ignore[arg-type]
    results = folder / "requests.jsonl"
    with load(
        Path("no-k6"), Runner(), [target], results, question=question, kinds=["new"], rate=20, timeout=timeout
    ) as on:
        until(lambda: len(on.requests()) >= 4, what="some requests", deadline=20)
        until(lambda: any(error in one.error for one in on.requests()), what=f"{error} to be seen", deadline=20)
        return list(on.requests())


def test_a_server_that_takes_connections_answers(tmp_path: Path) -> None:
    with server(None) as target:
        seen = asked(target, tmp_path)
    assert not any(request.failed for request in seen)
    assert {request.kind for request in seen} == {"new"}


def test_one_that_answers_what_is_expected_answers(tmp_path: Path) -> None:
    with server(b"+PONG\r\n") as target:
        assert not any(request.failed for request in asked(target, tmp_path, send="PING\r\n", expect="+PONG"))
        wrong = asked(target, tmp_path, send="PING\r\n", expect="+OK")
    assert all(request.failed for request in wrong)
    assert "+P" in wrong[0].error


def test_one_that_says_nothing_does_not(tmp_path: Path) -> None:
    with server(None) as target:
        seen = asked(target, tmp_path, timeout=0.5, send="PING")
    assert all(request.failed and "no answer within" in request.error for request in seen)


def test_one_that_hangs_up_does_not(tmp_path: Path) -> None:
    with server(None, hang_up=True) as target:
        seen = asked(target, tmp_path, error="closed at once")
    assert any(request.failed and "closed at once" in request.error for request in seen)


def test_nobody_there_is_a_loss(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        target = f"127.0.0.1:{closed.getsockname()[1]}"
    seen = asked(target, tmp_path)
    assert all(request.failed for request in seen)
    assert "refused" in seen[0].error
