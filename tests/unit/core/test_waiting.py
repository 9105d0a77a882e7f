"""What is looked at again and again while something else goes on."""

from __future__ import annotations

import threading

from scripts.core.errors import ClusterError
from scripts.core.waiting import repeated, until


def test_a_look_that_fails_is_not_the_last_and_the_block_ends_them() -> None:
    looks: list[None] = []

    def look() -> None:
        looks.append(None)
        raise ClusterError("it does not answer")

    with repeated(look, every=0.01, name="looks", bearing=ClusterError):
        until(lambda: len(looks) > 2, what="three looks", deadline=10)
        assert any(thread.name == "looks" for thread in threading.enumerate())
    assert not any(thread.name == "looks" for thread in threading.enumerate())
