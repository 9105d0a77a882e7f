"""What is looked at again and again while something else goes on."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from scripts.core import waiting
from scripts.core.errors import ClusterError, ReleaseError
from scripts.core.waiting import locked, repeated, until


def test_a_look_that_fails_is_not_the_last_and_the_block_ends_them() -> None:
    looks: list[None] = []

    def look() -> None:
        looks.append(None)
        raise ClusterError("it does not answer")

    with repeated(look, every=0.01, name="looks", bearing=ClusterError):
        until(lambda: len(looks) > 2, what="three looks", deadline=10)
        assert any(thread.name.startswith("looks") for thread in threading.enumerate())
    assert not any(thread.name.startswith("looks") for thread in threading.enumerate())


def test_looks_that_cannot_go_on_fail_what_they_are_for() -> None:
    looks: list[None] = []

    def look() -> None:
        looks.append(None)
        raise KeyError("spec")

    with (
        pytest.raises(ClusterError, match=r"cannot be looked at any more: looks\n.*KeyError: 'spec'"),
        repeated(look, every=0.01, name="looks", bearing=ClusterError),
    ):
        until(lambda: len(looks) > 0, what="a look", deadline=10)
    with pytest.raises(ZeroDivisionError), repeated(look, every=0.01, name="looks", bearing=ClusterError):
        until(lambda: len(looks) > 1, what="another look", deadline=10)
        _ = 1 / 0


def test_who_does_not_wait_is_told_at_once_who_has_it(tmp_path: Path) -> None:
    with (
        locked(tmp_path, what="the folder", deadline=0),
        pytest.raises(ClusterError, match=r"^something else has the folder") as refused,
        locked(tmp_path, what="the folder", deadline=0, error=ClusterError),
    ):
        raise AssertionError("it was ours")
    assert refused.value.found == f"process {os.getpid()} has it"


def test_a_file_system_without_locks_is_told_with_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_handle: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refused)
    with pytest.raises(ClusterError) as told, locked(tmp_path, what="the folder", deadline=9, error=ClusterError):
        raise AssertionError("it was ours")
    assert (str(told.value), told.value.code) == (f"{tmp_path} cannot be locked\n  found:    No locks available", 4)


def test_who_waits_for_a_lock_is_heard_of_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_HEARTBEAT", 0.1)
    lock, said = tmp_path / "lock", list[str]()
    with (
        locked(lock, what="the build", deadline=0),
        pytest.raises(ReleaseError),
        locked(lock, what="the build", deadline=0.5, say=said.append),
    ):
        raise AssertionError("it was ours")
    assert len(said) > 2
    assert all(line.startswith(said[0]) for line in said)
