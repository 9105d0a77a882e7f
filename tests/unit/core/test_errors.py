"""An error says what was expected, what was found and what to run next, each on lines of its own."""

from __future__ import annotations

import errno
import inspect

import pytest

from scripts.core import errors
from scripts.core.errors import OUTSIDE, SAME_COMMAND, USAGE, CommandFailed, CommandTimeout, ReleaseError, unforeseen


def test_only_what_is_given_is_said() -> None:
    assert str(ReleaseError("It failed")) == "It failed"
    assert str(ReleaseError("It failed", found="", run="invoke it")) == "It failed\n  next:     invoke it"


def test_lines_are_aligned() -> None:
    assert str(ReleaseError("It failed", expected="one\ntwo\n", found="three", run="four")) == (
        "It failed\n  expected: one\n            two\n  found:    three\n  next:     four"
    )


@pytest.mark.parametrize("run", [None, SAME_COMMAND, "git stash", f"git stash, then {SAME_COMMAND}"])
def test_where_something_was_done_the_same_command_goes_on_and_is_named_once(run: str | None) -> None:
    error = ReleaseError("It failed", run=run)
    error.done = "committed"
    assert error.next in (SAME_COMMAND, f"git stash, then {SAME_COMMAND}")


@pytest.mark.parametrize(
    ("error", "code", "run"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OUTSIDE, "make room in "),
        (OSError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"), OUTSIDE, "or raise ulimit -f"),
        (OSError(errno.EFBIG, "File too large"), OUTSIDE, "ulimit -f unlimited"),
        (OSError(errno.E2BIG, "Argument list too long", "helm"), OUTSIDE, "ulimit -s 8192"),
        (OSError(errno.EMFILE, "Too many open files", "file"), OUTSIDE, "ulimit -n 1024"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 5000), USAGE, ""),
        (RuntimeError("can't start new thread"), OUTSIDE, "ulimit -u"),
        (MemoryError(), OUTSIDE, "ulimit -v"),
    ],
)
def test_what_the_system_refuses_is_told_with_what_helps(error: Exception, code: int, run: str) -> None:
    told = unforeseen(error)
    assert (told.code, run in str(told.run), "Errno" in str(told)) == (code, True, False)


def test_a_fault_of_ours_stays_one() -> None:
    with pytest.raises(RuntimeError, match="dictionary changed size"):
        unforeseen(RuntimeError("dictionary changed size during iteration"))


def test_a_failed_command_shows_its_last_words_and_keeps_all() -> None:
    stderr = "".join(f"line {number}\n" for number in range(100))
    error = CommandFailed(("helm", "lint"), 1, stdout="out", stderr=stderr)
    assert str(error).splitlines()[0] == "helm lint ended with status 1"
    assert len(str(error).splitlines()) == 13
    assert error.stderr == stderr
    assert "out" in str(CommandFailed(("helm",), 1, stdout="out"))
    assert "no output" in str(CommandFailed(("helm",), 1))
    for why, stacks in (("fatal error: out of memory", "runtime stack:"), ("panic: nil", "goroutine 1 [running]:")):
        crash = f"{why}\n\n{stacks}\n" + "main.main()\n\tmain.go:3\n" * 20
        assert CommandFailed(("helm",), 2, stderr=crash).found == why


def test_a_timeout_says_for_how_long() -> None:
    assert str(CommandTimeout(("helm", "push"), 60)) == "helm push was still running after 60 s and was ended"


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(errors).values() if inspect.isclass(kind) and kind.__module__ == errors.__name__]
)
def test_every_error_is_one_that_a_person_is_told(kind: type[Exception]) -> None:
    assert issubclass(kind, ReleaseError)
    assert kind.__doc__
