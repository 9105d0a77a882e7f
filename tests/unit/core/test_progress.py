"""What is told comes from elsewhere in part, and is text on a terminal and nothing else."""

from __future__ import annotations

import pytest

from scripts.core.progress import plain


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\tb\nc\r\nd \u00fc \U0001f600", "a\tb\nc\r\nd \u00fc \U0001f600"),
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", "\ufffd]0;title\ufffd"),
        ("over\rwritten", "over\ufffdwritten"),
        ("\x9b31m \x00", "\ufffd31m \ufffd"),
    ],
)
def test_nothing_steers_the_terminal(text: str, told: str) -> None:
    assert plain(text) == told
