"""Requests to the API server, against a real HTTP server on a real Unix socket."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.cluster import transport as module
from scripts.cluster.transport import Transport
from scripts.core.errors import ApiError, ClusterError
from tests.unit.cluster.conftest import Answer, Server


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


@pytest.mark.parametrize(
    "text",
    [
        "dial tcp 127.0.0.1:8080: connect: connection refused",
        "proxyconnect tcp: dial tcp 127.0.0.1:3128: connect: connection refused",
        "getting credentials: exec: executable aws failed with exit code 255",
        "remote error: tls: bad certificate",
        "http: server gave HTTP response to HTTPS client",
    ],
)
def test_a_proxy_that_does_not_reach_the_server_is_told_as_that(
    server: Server, transport: Transport, text: str
) -> None:
    server.answers = [(500, f"{text}\n".encode())]
    with pytest.raises(ApiError, match="cannot be reached") as error:
        transport.request("GET", "/version")
    assert "get-contexts" in str(error.value)


def test_reading_waits_for_a_busy_server(server: Server, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pause", lambda _: None)
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
    lines: list[object] = []
    with transport.stream("/pods", query={"watch": "true"}) as opened:
        timer = threading.Timer(0.3, opened.stop)
        timer.start()
        begin = time.monotonic()
        with contextlib.suppress(Exception):  # how the end of a stopped stream shows is up to http.client
            lines.extend(json.loads(line) for line in opened)
        assert time.monotonic() - begin < 5
    silent.set()
    timer.join()
    assert lines == [{"n": 1}, {"n": 2}]


def test_a_refused_stream_is_an_api_error(server: Server, transport: Transport) -> None:
    server.answers = [status_object(410, "Expired", "too old resource version")]

    with pytest.raises(ApiError, match="too old"), transport.stream("/pods", query={"watch": "true"}):
        pass
