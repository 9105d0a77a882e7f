"""Requests to the API server, against a real HTTP server on a real Unix socket."""

from __future__ import annotations

import contextlib
import http.server
import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scripts.cluster import transport as module
from scripts.cluster.transport import Transport
from scripts.core.errors import ApiError, ClusterError

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


def status_object(code: int, reason: str, message: str) -> Answer:
    return code, json.dumps({"kind": "Status", "reason": reason, "message": message}).encode()


def test_a_request_carries_its_query_body_and_type(server: Server, transport: Transport) -> None:
    transport.request("PATCH", "/a/b", query={"x": "1 2"}, body={"k": 1}, content_type="application/merge-patch+json")

    [(method, path, headers, body)] = server.requests
    assert (method, path, json.loads(body)) == ("PATCH", "/a/b?x=1+2", {"k": 1})
    assert headers["Content-Type"] == "application/merge-patch+json"
    assert headers["Host"] == "localhost"


def test_a_refusal_carries_what_the_server_says(server: Server, transport: Transport) -> None:
    server.answers = [status_object(403, "Forbidden", 'pods "x" is forbidden')]

    with pytest.raises(ApiError, match="forbidden") as error:
        transport.request("POST", "/api/v1/pods", body={})
    assert (error.value.status, error.value.reason, error.value.text) == (403, "Forbidden", 'pods "x" is forbidden')


def test_a_refusal_in_plain_text_is_told_too(server: Server, transport: Transport) -> None:
    server.answers = [(500, b"upstream broke\n")]

    with pytest.raises(ApiError, match="upstream broke") as error:
        transport.request("GET", "/version")
    assert error.value.reason == ""


def test_reading_waits_for_a_busy_server(server: Server, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    server.answers = [(503, b"starting"), (502, b"no backend"), (200, b"[]")]

    assert transport.request("GET", "/readyz") == b"[]"
    assert len(server.requests) == 3


def test_patience_ends(server: Server, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    server.answers = [(503, b"starting")]

    with pytest.raises(ApiError, match="starting"):
        transport.request("GET", "/readyz")


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_change_is_never_sent_twice(server: Server, transport: Transport, method: str) -> None:
    server.answers = [(503, b"busy"), (200, b"{}")]

    with pytest.raises(ApiError, match="busy"):
        transport.request(method, "/x", body={})
    assert len(server.requests) == 1


def test_no_server_is_a_cluster_error(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="gives no answer"):
        Transport(tmp_path / "nobody").request("GET", "/version")


def test_a_stream_gives_lines_as_they_come_and_can_be_stopped(server: Server, transport: Transport) -> None:
    silent = threading.Event()

    def stream(send: Callable[[bytes], None]) -> None:
        send(b'{"n": 1}')
        send(b'{"n": 2}')
        silent.wait(10)

    server.stream = stream
    lines = []
    with transport.stream("/pods", query={"watch": "true"}) as opened:
        timer = threading.Timer(0.3, opened.stop)
        timer.start()
        begin = time.monotonic()
        with contextlib.suppress(Exception):  # how the end of a stopped stream shows is up to http.client
            for line in opened:
                lines.append(json.loads(line))
        assert time.monotonic() - begin < 5
    silent.set()
    timer.join()
    assert lines == [{"n": 1}, {"n": 2}]


def test_a_refused_stream_is_an_api_error(server: Server, transport: Transport) -> None:
    server.answers = [status_object(410, "Expired", "too old resource version")]

    with pytest.raises(ApiError, match="too old"), transport.stream("/pods", query={"watch": "true"}):
        pass
