"""Signals to end arrive once, as KeyboardInterrupt, wait while they are held, and leave no process behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scripts.core.command import Runner
from scripts.core.interrupt import held, ignored, interruptible

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
def test_the_first_is_a_keyboard_interrupt_and_the_others_are_nothing(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in ENDING]
    cleaned = False
    with pytest.raises(KeyboardInterrupt, match=number.name), interruptible():
        try:
            signal.raise_signal(number)
        finally:
            for each in ENDING:
                signal.raise_signal(each)
            cleaned = True
    assert cleaned
    assert [signal.getsignal(each) for each in ENDING] == before


def test_held_until_the_end_of_the_block() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interruptible():
        with held():
            signal.raise_signal(signal.SIGTERM)
            done.append("the whole block")
        done.append("what follows")  # pragma: no cover - not reached
    assert done == ["the whole block"]


def test_held_also_when_the_block_fails() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, interruptible(), held():
        signal.raise_signal(signal.SIGINT)
        raise OSError("full")
    assert isinstance(caught.value.__context__, OSError)


def test_ignored() -> None:
    with interruptible(), ignored():
        signal.raise_signal(signal.SIGTERM)


def test_other_threads_may_use_them() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with interruptible(), held():
                pass
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []


def test_a_program_started_while_held_can_be_interrupted() -> None:
    with held():
        process = subprocess.Popen(["sleep", "30"])
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == -signal.SIGINT


def test_what_still_runs_is_ended_with_the_process(root: Path) -> None:
    """Also a child that a signal has taken from its caller in the moment after its start."""
    code = (
        "from scripts.core.command import Runner\n"
        "runner = Runner()\n"
        "print(runner._popen(['sleep', '60'], stdin=None, stdout=2, stderr=2).pid)\n"
    )
    argv = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(argv, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, timeout=30)
    assert not Path(f"/proc/{int(done.stdout)}").exists()


def test_end_all_ends_what_other_threads_run() -> None:
    runner = Runner()
    thread = threading.Thread(target=lambda: runner.run(["sleep", "60"], check=False))
    thread.start()
    end = time.monotonic() + 10
    while thread.is_alive():
        runner.end_all()
        assert time.monotonic() < end
        time.sleep(0.02)
