"""Every error the toolkit raises on purpose: what was expected, what was found, and what to run next."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SAME_COMMAND = "the same command again"  # for which the front writes what was typed
FINDING, USAGE, REFUSED, OUTSIDE, TOOL, STOPPED = 1, 2, 3, 4, 5, 130
"""Exit codes. A check found something; the call cannot be meant; the state of the chart, the repository, `dist/` or the
registry forbids it; a registry, a cluster, the network or the disk fails; a program is missing or fails; a signal."""


class ReleaseError(Exception):
    """An expected failure, told to a person in full by `str(error)`.

    `message` is one sentence naming the thing that failed. `expected`, `found` and `run` (the next
    command to run) are added on lines of their own when given, and `done` and `left`, where something was done already
    that cannot be taken back. `doctor` is the line of `invoke doctor` that looks at what was missing on this machine.
    """

    done: str | None = None
    left: str | None = None
    doctor: str | None = None
    again = SAME_COMMAND

    code = FINDING
    """The exit code of the task that it ends."""

    def __init_subclass__(cls, *, code: int | None = None, doctor: str | None = None) -> None:
        cls.code = cls.code if code is None else code
        cls.doctor = cls.doctor if doctor is None else doctor

    def __init__(
        self,
        message: str,
        *,
        expected: str | None = None,
        found: str | None = None,
        run: str | None = None,
        code: int | None = None,
        doctor: str | None = None,
    ) -> None:
        self.code = self.code if code is None else code
        self.doctor = self.doctor if doctor is None else doctor
        self.message = message
        self.expected = expected
        self.found = found
        self.run = run
        super().__init__(message)

    def __str__(self) -> str:
        lines = [self.message]
        told = (("expected", self.expected), ("found", self.found), ("done", self.done), ("not done", self.left))
        looks = self.doctor and f"invoke doctor looks at this: {self.doctor}"
        for label, text in (*told, ("next", self.next), ("doctor", looks)):
            if text:
                lines.append(f"  {label + ':':<9} " + text.rstrip().replace("\n", "\n" + " " * 12))
        return "\n".join(lines)

    @property
    def next(self) -> str | None:
        """The command that goes on from here."""
        if self.done and not (self.run or "").endswith(self.again):
            return f"{self.run}, then {self.again}" if self.run else self.again
        return self.run


@contextlib.contextmanager
def telling(places: Mapping[str, str]) -> Iterator[None]:
    """Has the refusals of the block speak of the places that a person knows (values), and not of copies (keys)."""
    try:
        yield
    except ReleaseError as error:
        for part in ("message", "expected", "found", "run"):
            text = getattr(error, part)
            for copy, place in places.items() if text else ():
                text = text.replace(copy, place)
            setattr(error, part, text)
        raise


def limit(error: OSError) -> dict[str, Any]:
    """What a refusal says, by the words of ReleaseError, where no file is to blame but what runs us; else nothing."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return {"run": f"ulimit -n 1024, then {SAME_COMMAND}", "doctor": ""}
    if error.errno == errno.EFBIG:
        return {"run": f"ulimit -f unlimited, then {SAME_COMMAND}", "doctor": ""}
    if error.errno == errno.E2BIG:
        return {"run": f"have fewer large variables, or ulimit -s 8192, then {SAME_COMMAND}", "doctor": ""}
    if error.errno == errno.ENOENT and error.filename is None:
        if "temporary directory" in str(error):  # as Python names all that it has tried
            return {"run": f"make room in one of them, set TMPDIR, or raise ulimit -f, then {SAME_COMMAND}"}
        # As the system says it of the current folder alone.
        return {"found": "the current folder is gone", "run": "cd to a folder that is there", "doctor": ""}
    return {}


def plainly(error: BaseException) -> str:
    """What `error` says, without Python's number for it."""
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error))


MALFORMED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What reading a document of others raises where it has not the shape that it should have."""


class UsageError(ReleaseError, code=USAGE):
    """A command was called in a way that cannot be meant."""


class ConfigError(UsageError):
    """`[tool.gati]`, an environment variable or a flag is unknown or has the wrong shape."""


class ChartError(ReleaseError):
    """The chart folder is missing, unreadable or breaks a rule of Chart.yaml."""


class SecretError(ChartError, code=REFUSED):
    """A chart's archive would hold what looks like a secret."""


class ValuesError(ReleaseError):
    """A values file is missing, unreadable or refused by the chart."""


class VersionError(ReleaseError, code=REFUSED):
    """A version is not semver, or not one that a release may take."""


class PartError(VersionError, UsageError, code=USAGE):
    """A word that was given is no part of a version, and none that a pre-release can have."""


class ChangelogError(ReleaseError, code=REFUSED):
    """The changelog is missing, unreadable or does not say what a release needs."""


class FindingsError(ReleaseError):
    """A check ran to its end and found problems."""


class GitError(ReleaseError, code=REFUSED):
    """The git repository is not in the state a step needs."""


class OutputError(ReleaseError, code=OUTSIDE, doctor="disk"):
    """A file of results cannot be written: the folder is read-only, or the disk is full."""


class RegistryError(ReleaseError, code=OUTSIDE, doctor="registry"):
    """The OCI registry answered with something that is neither the content nor its absence."""


class ToolError(ReleaseError, code=TOOL, doctor="tools"):
    """A pinned tool can be neither found nor built."""


class EngineError(ReleaseError, code=TOOL, doctor="engine"):
    """The container engine is absent or refused a request."""


class ClusterError(ReleaseError, code=OUTSIDE):
    """The Kubernetes cluster cannot be made, reached or brought to a state."""


class ApiError(ClusterError):
    """The Kubernetes API refused a request: HTTP `status`, its `reason` word ("NotFound") and its `text`."""

    def __init__(self, message: str, *, status: int, reason: str, text: str, run: str | None = None) -> None:
        self.status = status
        self.reason = reason
        self.text = text
        super().__init__(message, found=text, run=run)


def unforeseen(error: Exception) -> ReleaseError:
    """What a task ends with where the system refuses what nobody thought of. Raises one that is a fault of ours."""
    import tempfile

    if isinstance(error, OSError):
        if error.errno == errno.ENAMETOOLONG:
            return UsageError("a name is longer than this system takes", found=f"{str(error.filename)[:80]}...")
        # Who writes a file that has a place of its own tells of that place: what is left are temporary ones.
        full = error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT)
        room = {"run": f"make room in {tempfile.gettempdir()}, or set TMPDIR, then {SAME_COMMAND}"} if full else {}
        return OutputError(plainly(error), **{**room, **limit(error)})
    if isinstance(error, MemoryError) or "start new thread" in str(error):
        run = f"raise what a process may have of memory and threads (ulimit -v, ulimit -u), then {SAME_COMMAND}"
        return ReleaseError(f"the machine gives no more: {str(error) or 'memory'}", run=run, code=OUTSIDE)
    raise error


def last_words(text: str, lines: int = 12) -> str:
    """The last `lines` of what a program said; where Go ended it, those before its stacks."""
    told = re.split(r"^(?:runtime stack:|goroutine \d+ .*:)$", text, maxsplit=1, flags=re.MULTILINE)[0]
    return "\n".join((told.strip() or text.strip()).splitlines()[-lines:])


class CommandFailed(ReleaseError, code=TOOL):
    """A command ended with a status other than 0; `argv` is redacted, and the message shows the end of what it said."""

    def __init__(self, argv: Sequence[str], status: int, *, stdout: str = "", stderr: str = "") -> None:
        self.argv = tuple(argv)
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        words = last_words(stderr) or last_words(stdout) or "no output"
        super().__init__(f"{' '.join(self.argv)} ended with status {status}", found=words)


class CommandTimeout(ReleaseError, code=TOOL):
    """A command was still running at its deadline and was ended."""

    def __init__(self, argv: Sequence[str], deadline: float, *, stderr: str = "") -> None:
        self.argv = tuple(argv)
        self.deadline = deadline
        self.stderr = stderr
        super().__init__(
            f"{' '.join(self.argv)} was still running after {deadline:g} s and was ended",
            found=last_words(stderr) or None,
        )
