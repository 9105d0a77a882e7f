"""Watches, against a real HTTP server on a real Unix socket: they go on, or say that they cannot."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.cluster.objects import event_time
from scripts.cluster.transport import Transport
from scripts.cluster.watch import Watch
from scripts.core.errors import ClusterError
from scripts.core.waiting import until
from tests.unit.cluster.conftest import Server

Send = Callable[[bytes], None]


def pod(version: int, **metadata: str) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"uid": "u", "resourceVersion": str(version), **metadata}}


def pods(version: int) -> tuple[int, bytes]:
    return 200, json.dumps({"metadata": {"resourceVersion": str(version)}, "items": [pod(version)]}).encode()


def event(type_: str, item: object) -> bytes:
    return json.dumps({"type": type_, "object": item}).encode()


@pytest.mark.parametrize(
    "line",
    [event("MODIFIED", {}), event("MODIFIED", None), event("MODIFIED", {"metadata": []}), b"[]", b"{}"],
    ids=["no metadata", "no object", "metadata is a list", "a list", "nothing"],
)
def test_a_watch_that_cannot_go_on_is_an_error_of_who_reads_it(
    server: Server, transport: Transport, line: bytes
) -> None:
    server.answers = [pods(1)]
    server.stream = lambda send: send(line)

    with pytest.raises(ClusterError, match="the watch of Pod objects cannot go on"), Watch(transport, {"Pod": "/pods"}):
        pass_on = threading.Event()
        assert not pass_on.wait(0.3)  # nobody reads the record: the end of the block says it
    with pytest.raises(ClusterError, match="cannot go on"), Watch(transport, {"Pod": "/pods"}) as watch:
        until(lambda: watch.changes() and None, deadline=5, what="the death to be told")


@pytest.mark.parametrize(
    "line",
    [event("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version"}), b"{"],
    ids=["an error", "half an event"],
)
def test_after_a_stream_that_broke_the_collection_is_listed_again(
    server: Server, transport: Transport, line: bytes
) -> None:
    server.answers = [pods(1), pods(2)]
    gone = threading.Event()

    def stream(send: Send) -> None:
        if gone.is_set():
            gone.clear()
            threading.Event().wait(1)
        else:
            gone.set()
            send(line)

    server.stream = stream
    with Watch(transport, {"Pod": "/pods"}) as watch:
        until(lambda: len(watch.changes()) > 1, deadline=5, what="the second list")
        assert [change.type for change in watch.changes()] == ["ADDED", "MODIFIED"]


def test_a_collection_that_nobody_lists_any_more_is_no_record(
    server: Server, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.cluster.watch._LOST", 0.1)
    server.answers = [pods(1), (500, b"")]
    server.stream = lambda send: send(event("ERROR", {"kind": "Status", "code": 410}))
    with pytest.raises(ClusterError, match="cannot go on"), Watch(transport, {"Pod": "/pods"}) as watch:
        until(lambda: watch.changes() and None, deadline=5, what="the end of the record")


def test_a_stream_that_does_not_begin_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.cluster.transport._REQUEST_DEADLINE", 0.1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        with pytest.raises(TimeoutError), Transport(tmp_path / "s").stream("/pods", query={"watch": "true"}):
            raise AssertionError("it has begun")


def test_what_is_gone_from_the_list_was_deleted(server: Server, transport: Transport) -> None:
    server.answers = [pods(1), (200, json.dumps({"metadata": {"resourceVersion": "9"}, "items": []}).encode())]
    server.stream = lambda send: send(event("ERROR", {"kind": "Status", "code": 410}))
    with Watch(transport, {"Pod": "/pods"}) as watch:
        until(lambda: len(watch.changes()) > 1, deadline=10, what="the second list")
        assert [change.type for change in watch.changes()] == ["ADDED", "DELETED"]


def test_the_times_of_events_are_numbers() -> None:
    earlier, later = (
        {"metadata": {}, "lastTimestamp": "2026-01-01T00:00:05Z"},
        {"metadata": {}, "eventTime": "2026-01-01T00:00:05.100000Z"},
    )
    assert sorted([later, earlier], key=event_time) == [earlier, later]
    assert event_time(later) - event_time(earlier) == pytest.approx(0.1)
    assert event_time({"metadata": {}}) == event_time({"lastTimestamp": "soon"}) == 0


def test_what_changes_is_noted_once_and_a_bookmark_is_no_change(server: Server, transport: Transport) -> None:
    server.answers = [pods(1)]
    sent = [event("MODIFIED", pod(2)), event("MODIFIED", pod(2)), event("BOOKMARK", pod(7)), event("DELETED", pod(8))]
    ended = threading.Event()

    def stream(send: Send) -> None:
        for line in () if ended.is_set() else sent:
            send(line)
        ended.set()
        threading.Event().wait(0.5)

    server.stream = stream
    with Watch(transport, {"Pod": "/pods"}) as watch:
        until(lambda: watch.changes()[-1].type == "DELETED", deadline=10, what="the end of the pod")
        followed = [path for _, path, _, _ in server.requests if "watch=true" in path]
        until(
            lambda: len(followed) < sum("watch=true" in one[1] for one in server.requests), deadline=10, what="another"
        )
        versions = [(one.type, one.object["metadata"]["resourceVersion"]) for one in watch.changes()]
    asked = [path for _, path, _, _ in server.requests]
    assert [path for path in asked if "watch=true" not in path] == asked[:1], "a stream that ended is no reason to list"
    assert "resourceVersion=8" in asked[2]
    assert versions == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "8")]
