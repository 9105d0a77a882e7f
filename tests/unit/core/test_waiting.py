"""What is looked at again and again while something else goes on."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from scripts.core.errors import ClusterError
from scripts.core.waiting import locked, repeated, until


def test_a_look_that_fails_is_not_the_last_and_the_block_ends_them() -> None:
    looks: list[None] = []

    def look() -> None:
        looks.append(None)
        raise ClusterError("it does not answer")

    with repeated(look, every=0.01, name="looks", bearing=ClusterError):
        until(lambda: len(looks) > 2, what="three looks", deadline=10)
        assert any(thread.name == "looks" for thread in threading.enumerate())
    assert not any(thread.name == "looks" for thread in threading.enumerate())


def test_who_does_not_wait_is_told_at_once_who_has_it(tmp_path: Path) -> None:
    with (
        locked(tmp_path, what="the folder", deadline=0),
        pytest.raises(ClusterError, match=r"^something else has the folder") as refused,
        locked(tmp_path, what="the folder", deadline=0, error=ClusterError),
    ):
        raise AssertionError("it was ours")
    assert refused.value.found == f"process {os.getpid()} has it"
