"""A long run shows on a terminal what runs side by side; in a log, and with `--json`, nothing of it appears."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from scripts import present
from scripts.core.progress import Board, Row

ROOT = Path(__file__).parents[3]
TERMINAL = {**os.environ, "CI": "", "TERM": "xterm", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(ROOT)}
RUN = """
import sys
from scripts.core.progress import Board
from scripts.front.command import say, working
board = Board()
board.expect("upgrade", 66)
board.expect("rollback", 58)
board.doing("upgrade", "helm upgrade: waiting for 2 pods")
with working("proving the chart", board):
    sys.stdin.readline()
    say("upgrade: passed")
    board.ended("upgrade", "passed")
    board.doing("rollback", "load before")
    sys.stdin.readline()
say("done")
"""
STEERING = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def drawn(rows: tuple[Row, ...], width: int = 80, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(present.live(Text("head"), rows, height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_what_runs_stands_first_with_what_it_does_how_long_and_what_is_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)  # a busy machine takes a second between two lines
    rows = (
        Row("done", "passed", begun=now - 30, seconds=29.6, typical=31),
        Row("later", typical=58),
        Row("upgrade", "runs", "load: waiting for 2 pods", begun=now - 12, typical=66),
    )
    lines = [re.split(r"\s{2,}|(?<=runs) ", line) for line in drawn(rows)]
    assert [line[0].split()[0] for line in lines] == ["head", "upgrade", "later", "done"]
    text = "\n".join(drawn(rows))
    assert re.search(r"upgrade +runs +load: waiting for 2 pods +12 s +of ~66 s", text)
    assert re.search(r"later +waits +of ~58 s", text)
    assert re.search(r"done +passed +30 s +of ~31 s", text)


@pytest.mark.parametrize("width", [60, 40])
def test_a_narrow_terminal_cuts_what_is_done_and_keeps_the_rest(width: int) -> None:
    lines = drawn((Row("failed-upgrade", "runs", "x" * 200 + "\x1b[2J", begun=time.monotonic(), typical=100),), width)
    assert max(map(len, lines)) <= width
    assert len(lines) == 2
    assert lines[1].startswith("failed-upgra")
    assert "…" in lines[1]


def test_a_low_terminal_says_how_many_more_there_are() -> None:
    lines = drawn(tuple(Row(f"row-{number}") for number in range(20)), height=10)
    assert len(lines) < 10
    assert lines[-1] == "and 13 more"


def screen(master: int, pattern: str, text: str = "") -> str:
    """What is on the terminal once `pattern` is."""
    end = time.monotonic() + 60
    while not re.search(pattern, text):
        assert time.monotonic() < end, text
        if select.select([master], [], [], 1)[0]:
            text += STEERING.sub("", os.read(master, 65536).decode())
    return text


def test_a_terminal_sees_it_change_and_keeps_the_lines_alone() -> None:
    master, slave = pty.openpty()
    env = {**TERMINAL, "COLUMNS": "100", "LINES": "24"}
    pipe = subprocess.PIPE
    with subprocess.Popen((sys.executable, "-c", RUN), stdin=pipe, stderr=slave, env=env, cwd=ROOT) as process:
        os.close(slave)
        assert process.stdin
        screen(master, r"upgrade +runs +helm upgrade: waiting for 2 pods +\d+ s +of ~66 s")
        process.stdin.write(b"\n")
        process.stdin.flush()
        screen(master, r"(?s)upgrade: passed\r\n.*rollback +runs +load before +\d+ s +of ~58 s\s+upgrade +passed")
        process.stdin.write(b"\n")
        process.stdin.close()
        screen(master, r"done\r\n\Z")
    os.close(master)
    assert process.returncode == 0


@pytest.mark.parametrize("shown", [False, True], ids=["begins", "ends"])
def test_a_signal_as_it_begins_or_ends_leaves_the_terminal_its_cursor(shown: bool) -> None:
    master, slave = pty.openpty()
    run = f"""
import os, signal
from rich.console import Console
from scripts.core.interrupt import interruptible
from scripts.front.command import working
show = Console.show_cursor
def signalled(console, on=True):
    if on is {shown}:
        os.kill(os.getpid(), signal.SIGINT)
    return show(console, on)
Console.show_cursor = signalled
with interruptible(), working("working"):
    pass
"""
    done = subprocess.run((sys.executable, "-c", run), stderr=slave, env=TERMINAL, cwd=ROOT, timeout=60, check=False)
    os.close(slave)
    text = os.read(master, 65536).decode()
    os.close(master)
    assert done.returncode != 0
    assert text.rpartition("\x1b[?25")[2].startswith("h")


def test_what_goes_on_is_seen_while_it_does() -> None:
    master, slave = pty.openpty()
    run = 'import sys\nfrom scripts.front.command import working\nwith working("looking"):\n    sys.stdin.read()\n'
    argv = (sys.executable, "-c", run)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=slave, env=TERMINAL, cwd=ROOT) as process:
        os.close(slave)
        text = ""
        while "looking" not in text:  # the test's time limit is its deadline
            text += os.read(master, 65536).decode()
        process.communicate()
        text += os.read(master, 65536).decode()
    os.close(master)
    assert text.endswith("\x1b[1A\x1b[2K")  # gone


def test_a_path_that_is_said_stays_whole_on_a_narrow_terminal() -> None:
    master, slave = pty.openpty()
    path = "/".join(["folder"] * 20)
    run = f'from scripts.front.command import say, working\nwith working("looking"):\n    say("see {path}")\n'
    subprocess.run((sys.executable, "-c", run), stderr=slave, env={**TERMINAL, "COLUMNS": "40"}, cwd=ROOT, check=True)
    os.close(slave)
    text = os.read(master, 65536).decode()
    os.close(master)
    assert f"see {path}\r\n" in STEERING.sub("", text)


@pytest.mark.parametrize(
    ("run", "of"),
    [("pass", {}), ("time.sleep(0.3)", {"CI": "true"}), ("time.sleep(0.3)", {"PYTHONIOENCODING": "latin-1"})],
    ids=["no time", "CI", "no UTF-8"],
)
def test_what_takes_no_time_or_cannot_be_watched_is_not_seen(run: str, of: dict[str, str]) -> None:
    """The first as what follows the last table of a task."""
    master, slave = pty.openpty()
    run = f'import time\nfrom scripts.front.command import working\nwith working("looking"):\n    {run}\nprint()'
    told = subprocess.run((sys.executable, "-c", run), stdout=slave, stderr=slave, env={**TERMINAL, **of}, cwd=ROOT)
    os.close(slave)
    text = os.read(master, 65536).decode()
    os.close(master)
    assert told.returncode == 0
    assert STEERING.sub("", text).strip() == ""


def test_a_log_gets_the_lines_alone() -> None:
    told = subprocess.run(
        (sys.executable, "-c", RUN), input="\n\n", cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert (told.stdout, told.stderr) == ("", "upgrade: passed\ndone\n")


def test_a_journal_tells_the_board_its_step_and_what_it_waits_for() -> None:
    from scripts.e2e.report import Journal

    board, seen = Board(), []
    journal = Journal("upgrade", lambda _: seen.append(board.rows[0].doing), board=board)
    with journal.step("from 0.1.0"):
        assert board.rows[0].doing == "from 0.1.0"
        journal.say("waiting for 2 pods")
    assert seen[0] == "from 0.1.0: waiting for 2 pods"
    assert board.rows[0].state == "runs"


def test_what_is_typical_comes_from_the_last_report(tmp_path: Path) -> None:
    from scripts.e2e.run import typical

    file = tmp_path / "report.json"
    assert typical(file) == {}
    file.write_text('{"scenarios": [{"scenario": "upgrade", "state": "passed", "seconds": 66.2},'
                    ' {"scenario": "rollback", "state": "failed", "seconds": 3}]}')  # fmt: skip
    assert typical(file) == {"upgrade": 66.2}
    for damaged in ("{", "[]", '{"scenarios": 3}', '{"scenarios": [{"state": "passed"}]}'):
        file.write_text(damaged)
        assert typical(file) == {}
