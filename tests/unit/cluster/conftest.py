"""An API server: a real HTTP server on a real Unix socket, which answers as a test says."""

from __future__ import annotations

import contextlib
import http.server
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scripts.cluster.transport import Transport

Answer = tuple[int, bytes]


@dataclass
class Server:
    """Answers each request with the next of `answers`, the last one for ever; keeps what was asked."""

    socket_path: Path
    answers: list[Answer] = field(default_factory=lambda: [(200, b"{}")])
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    stream: Callable[[Callable[[bytes], None]], None] | None = None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def address_string(self) -> str:
        return "test"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        state: Server = self.server.state
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        state.requests.append((self.command, self.path, dict(self.headers), body))
        if "watch=true" in self.path and state.stream is not None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with contextlib.suppress(OSError):
                state.stream(lambda line: self._chunk(line + b"\n"))
                self._chunk(b"")
            self.close_connection = True
            return
        status, answer = state.answers.pop(0) if len(state.answers) > 1 else state.answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self) -> Any:
        request, _ = super().get_request()
        return request, ("test", 0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    state = Server(tmp_path / "s")
    with UnixServer(str(state.socket_path), Handler) as running:
        running.state = state  # type: ignore[attr-defined]
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        running.shutdown()
        thread.join()


@pytest.fixture
def transport(server: Server) -> Transport:
    return Transport(server.socket_path)
