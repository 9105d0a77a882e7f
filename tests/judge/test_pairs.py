"""Ten steps of well-known kinds get the verdict that is argued for them."""

from __future__ import annotations

import pytest

from scripts.judge.reason import suffices
from scripts.judge.verdict import line
from tests.judge.pairs import PAIRS, Pair


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_step_gets_the_level_that_is_argued_for(pair: Pair) -> None:
    verdict = pair.judge()
    told = "\n".join(f"{reason.level}: {line(reason)}" for reason in verdict.reasons)
    assert (verdict.level, verdict.part) == (pair.level, pair.part), told
    deciding = [reason.about for reason in verdict.reasons if reason.level == pair.level]
    assert any(about.startswith(pair.about) for about in deciding), told
    assert verdict.enough == suffices(pair.old.version, pair.new.version, verdict.part)


def test_what_those_steps_did_was_not_always_said_by_their_numbers() -> None:
    assert [pair.name for pair in PAIRS if not pair.judge().enough] == [
        "a queue: the volume grows in its template",
        "a cache: the chart's version in a claim's labels",
        "a certificate manager: a switch renamed",
    ]
