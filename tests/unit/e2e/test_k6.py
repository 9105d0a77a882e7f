"""What is kept of a load: all that came to an end before it was told to stop, whatever a server calls it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.core.errors import ToolError
from scripts.e2e.k6 import Load, LoadEnded


class Process:
    """A k6 that writes what it `then` has to say when it is told to stop."""

    def __init__(self, results: Path, *, lives: bool = True) -> None:
        self._results, self._lives = results, lives

    def say(self, error: str, *, ago: float = 0.0, user: int = 0) -> None:
        """A request that has just ended, or `ago` seconds before now."""
        ended = {"seconds": 1, "kind": "kept", "target": "t", "status": 0, "error": error}
        line = {"user": user, "at": time.time() - ago - 1, **ended}
        with self._results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def begin(self, user: int, *, ago: float) -> None:
        line = {"user": user, "at": time.time() - ago, "kind": "new", "target": "t"}
        with self._results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def running(self) -> bool:
        return self._lives

    def log_tail(self) -> str:
        return "killed"

    def stop(self, _: object) -> None:
        self.say('Get "http://t": context canceled')
        self.say("connection refused")


def test_what_is_given_up_at_the_end_is_left_out_and_what_a_server_gave_up_is_not(tmp_path: Path) -> None:
    """A server of gRPC in Go says so of the calls that it ends with itself."""
    process = Process(tmp_path / "requests.jsonl")
    load = Load(cast("Any", process), tmp_path / "requests.jsonl")
    process.say("status Canceled: context canceled", ago=1)
    load.stop()
    assert [one.error for one in load.all()] == ["status Canceled: context canceled", "connection refused"]
    assert [one.error for one in load.cut] == ['Get "http://t": context canceled']


def test_what_is_under_way_at_the_end_is_told_with_how_long_it_was(tmp_path: Path) -> None:
    process = Process(tmp_path / "requests.jsonl")
    load = Load(cast("Any", process), tmp_path / "requests.jsonl")
    process.begin(1, ago=4)
    process.begin(2, ago=3)
    process.say("", user=2)
    assert [one.user for one in load.requests()] == [2]
    load.stop()
    assert [(one.user, round(one.seconds)) for one in load.cut if one.user] == [(1, 4)]
    assert {one.user for one in load.all()} == {0, 2}


def test_the_slowest_request_may_still_be_under_way(tmp_path: Path) -> None:
    process = Process(tmp_path / "requests.jsonl")
    load = Load(cast("Any", process), tmp_path / "requests.jsonl")
    process.say("", ago=10)
    assert [round(load.longest(time.time() - seconds)) for seconds in (5, 20)] == [0, 1]
    process.begin(1, ago=4)
    assert round(load.longest(time.time() - 1)) == 4


@pytest.mark.parametrize("begun", [True, False])
def test_a_load_that_ends_by_itself_is_told_from_one_that_never_began(tmp_path: Path, begun: bool) -> None:
    process = Process(tmp_path / "requests.jsonl", lives=False)
    if begun:
        process.say("")
    with pytest.raises(ToolError, match="the load ended before it was told to") as ended:
        Load(cast("Any", process), tmp_path / "requests.jsonl").requests()
    assert isinstance(ended.value, LoadEnded) == begun


def test_a_clock_that_is_set_back_does_not_prolong_a_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    clock = SimpleNamespace(time=lambda: now[0], monotonic=time.monotonic)
    monkeypatch.setattr("scripts.e2e.k6.time", clock)
    load = Load(cast("Any", Process(tmp_path / "none")), tmp_path / "none")
    monkeypatch.setattr("scripts.e2e.k6.pause", lambda _: now.__setitem__(0, 0.0))
    begin = time.monotonic()
    load.go_on(1000.3)
    assert 0.2 < time.monotonic() - begin < 5
