"""What is told comes from elsewhere in part, and is text on a terminal and nothing else."""

from __future__ import annotations

import pytest

from scripts.core.progress import Board, plain


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\tb\nc\r\nd \u00fc \U0001f600", "a\tb\nc\r\nd \u00fc \U0001f600"),
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", "\ufffd]0;title\ufffd"),
        ("a\u202egpj.exe", "a\ufffdgpj.exe"),
        ("over\rwritten", "over\ufffdwritten"),
        ("\x9b31m \x00", "\ufffd31m \ufffd"),
    ],
)
def test_nothing_steers_the_terminal(text: str, told: str) -> None:
    assert plain(text) == told


def test_a_board_keeps_its_rows_in_order_and_counts_from_the_first_thing_done() -> None:
    board = Board()
    board.expect("upgrade", 66)
    board.expect("rollback")
    board.doing("upgrade", "install")
    begun = board.rows[0].begun
    board.doing("upgrade", "waiting for pods")
    assert [(row.name, row.state, row.doing, row.typical) for row in board.rows] == [
        ("upgrade", "runs", "waiting for pods", 66),
        ("rollback", "waits", "", None),
    ]
    assert board.rows[0].begun == begun
    board.ended("upgrade", "passed")
    board.ended("rollback", "stopped")
    assert [(row.state, row.doing, row.seconds is None) for row in board.rows] == [
        ("passed", "", False),
        ("stopped", "", True),
    ]
