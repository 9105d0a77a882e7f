"""Signals to end arrive once, as KeyboardInterrupt, wait while they are held, and leave no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from scripts.core.command import Runner
from scripts.core.errors import ReleaseError
from scripts.core.interrupt import Interrupted, Stopped, cleaning, held, interruptible, put_right
from scripts.core.parallel import workers
from scripts.core.waiting import locked, until

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
def test_the_first_is_a_keyboard_interrupt_and_the_second_only_says_what_is_done(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in ENDING]
    said: list[str] = []
    cleaned = False
    with pytest.raises(Interrupted, match=number.name) as caught, interruptible(said.append), interruptible():
        try:
            signal.raise_signal(number)
        finally:
            with cleaning("deleting the cluster x"):
                signal.raise_signal(signal.SIGINT)
            cleaned = True
    assert cleaned
    assert caught.value.number == number
    assert said == ["still deleting the cluster x; one more signal will not wait for that"]
    assert [signal.getsignal(each) for each in ENDING] == before


def outcome(code: str, root: Path) -> subprocess.CompletedProcess[str]:
    head = (
        "import os, signal, sys, time\nfrom scripts.core.interrupt import *\nfrom scripts.core.command import Runner\n"
    )
    argv = [sys.executable, "-c", head + textwrap.dedent(code)]
    return subprocess.run(argv, cwd=root, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("block", ["interruptible(print)", "cleaning('x')"])
def test_three_always_end_it(root: Path, block: str) -> None:
    done = outcome(
        f"""
        with interruptible(print), {block}:
            for _ in range(5):
                try:
                    os.kill(os.getpid(), signal.SIGTERM)
                    time.sleep(0.1)
                except BaseException:
                    print("goes on", flush=True)
        """,
        root,
    )
    assert done.returncode == -signal.SIGTERM, done
    assert "will not wait for that" in done.stdout
    assert "ended at once" in done.stdout


@pytest.mark.parametrize("numbers", ["SIGINT SIGTERM SIGINT", "SIGQUIT"])
def test_what_ran_is_ended_with_the_third_and_with_one_that_means_at_once(root: Path, numbers: str) -> None:
    done = outcome(
        f"""
        runner = Runner()
        print(runner._popen(['sleep', '60'], stdin=None, stdout=2, stderr=2).pid, flush=True)
        with interruptible(), cleaning("x"):
            for name in {numbers.split()}:
                os.kill(os.getpid(), getattr(signal, name))
        """,
        root,
    )
    assert done.returncode == -getattr(signal, numbers.partition(" ")[0]), done
    assert not Path(f"/proc/{int(done.stdout)}").exists()


def test_one_that_lands_in_a_destructor_comes_again(root: Path) -> None:
    done = outcome(
        """
        class Thing:
            def __del__(self):
                signal.raise_signal(signal.SIGTERM)
        try:
            with interruptible():
                Thing()
                time.sleep(20)
        except Interrupted as error:
            print("arrived", error.number)
        """,
        root,
    )
    assert (done.stdout, done.stderr) == (f"arrived {int(signal.SIGTERM)}\n", "")


def test_one_that_comes_while_a_class_is_made_is_no_error_of_the_class() -> None:
    class Field:
        def __set_name__(self, owner: type, name: str) -> None:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match="SIGTERM"), interruptible():
        type("Config", (), {"field": Field()})


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


def test_a_clean_up_is_brought_to_its_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interruptible():
        with cleaning("the table"):
            signal.raise_signal(signal.SIGTERM)
            done.append("cleaned")
        done.append("what follows")  # pragma: no cover - not reached
    assert done == ["cleaned"]


def test_nohup_is_heeded_and_a_shell_that_runs_us_in_the_background_is_not() -> None:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        with interruptible(), cleaning("x"):
            signal.raise_signal(signal.SIGHUP)
        for number in (signal.SIGTERM, signal.SIGINT):
            with pytest.raises(Interrupted), interruptible(), held():
                signal.raise_signal(number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_other_threads_may_use_them() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with interruptible(), held():
                pass
        except BaseException as error:  # noqa: BLE001 - it is looked at in the other thread
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


class TestStopped:
    """Work in threads: what fails or is interrupted ends what runs, and nothing more of it begins."""

    def test_a_worker_in_python_code_starts_nothing_more(self, tmp_path: Path) -> None:
        runner, ready, go_on = Runner(), threading.Event(), threading.Event()
        caught: list[BaseException] = []

        def work() -> None:
            ready.set()
            go_on.wait(10)
            try:
                runner.run(("touch", tmp_path / "late"))
            except BaseException as error:
                caught.append(error)
                raise

        with pytest.raises(KeyError), workers(runner, 1) as pool:
            pool.submit(work)
            ready.wait(10)
            threading.Timer(0.2, go_on.set).start()
            raise KeyError
        assert [type(error) for error in caught] == [Stopped]
        assert not (tmp_path / "late").exists()
        runner.run(("touch", tmp_path / "afterwards"))  # the clean-up's commands do

    def test_what_runs_is_ended_also_in_a_pool_of_a_worker_and_nothing_else(self, tmp_path: Path) -> None:
        runner, begun, caught = Runner(), tmp_path / "begun", []

        def work() -> None:
            try:
                with workers(runner, 1) as inner:
                    inner.submit(runner.run, ("sh", "-c", f"echo > {begun}; exec sleep 60")).result()
            except BaseException as error:
                caught.append(type(error))
                raise

        with runner.start(("sleep", "60"), log=tmp_path / "log") as other:
            with pytest.raises(KeyError), workers(runner, 1) as pool:
                pool.submit(work)
                until(begun.exists, what="the command", deadline=10)
                raise KeyError
            assert other.running()
        assert caught == [Stopped]

    def test_a_worker_that_waits_for_a_lock_gives_up_at_once(self, tmp_path: Path) -> None:
        runner, said = Runner(), list[str]()

        def work() -> None:
            with locked(tmp_path / "lock", what="the cache", deadline=1800, say=said.append):
                raise AssertionError("it was ours")

        with locked(tmp_path / "lock", what="the cache", deadline=0):
            begin = time.monotonic()
            with pytest.raises(KeyError), workers(runner, 1) as pool:
                waits = pool.submit(work)
                until(lambda: said, what="the wait to be told", deadline=10)
                raise KeyError
            assert time.monotonic() - begin < 5
        assert isinstance(waits.exception(), Stopped)
        assert said == [f"waiting for process {os.getpid()}, which has the cache"]


def test_a_clean_up_that_fails_does_not_hide_what_failed_first() -> None:
    said: list[str] = []

    def undo() -> None:
        raise ReleaseError("it cannot be removed")

    with pytest.raises(ReleaseError, match="no room"), put_right(undo, said.append):
        raise ReleaseError("no room")
    assert said == ["the clean-up failed too: it cannot be removed"]


def test_a_clean_up_that_fails_alone_is_the_failure() -> None:
    def undo() -> None:
        raise ReleaseError("it cannot be removed")

    with pytest.raises(ReleaseError, match="it cannot be removed"), put_right(undo, print):
        pass
