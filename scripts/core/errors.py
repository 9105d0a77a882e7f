"""Every error the toolkit raises on purpose: what was expected, what was found, and what to run next."""

from __future__ import annotations

from collections.abc import Sequence


class ReleaseError(Exception):
    """An expected failure, told to a person in full by `str(error)`.

    `message` is one sentence naming the thing that failed. `expected`, `found` and `run` (the next
    command to run) are added on lines of their own when given.
    """

    def __init__(
        self, message: str, *, expected: str | None = None, found: str | None = None, run: str | None = None
    ) -> None:
        self.message = message
        self.expected = expected
        self.found = found
        self.run = run
        super().__init__(message)

    def __str__(self) -> str:
        lines = [self.message]
        for label, text in (("expected", self.expected), ("found", self.found), ("next", self.run)):
            if text:
                lines.append(f"  {label + ':':<9} " + text.rstrip().replace("\n", "\n" + " " * 12))
        return "\n".join(lines)


class ConfigError(ReleaseError):
    """`[tool.gati]`, an environment variable or a flag is unknown or has the wrong shape."""


class ChartError(ReleaseError):
    """The chart folder is missing, unreadable or breaks a rule of Chart.yaml."""


class ValuesError(ReleaseError):
    """A values file is missing, unreadable or refused by the chart."""


class VersionError(ReleaseError):
    """A version is not semver, or not one that a release may take."""


class ChangelogError(ReleaseError):
    """The changelog is missing, unreadable or does not say what a release needs."""


class FindingsError(ReleaseError):
    """A check ran to its end and found problems."""


class GitError(ReleaseError):
    """The git repository is not in the state a step needs."""


class OutputError(ReleaseError):
    """A file of results cannot be written: the folder is read-only, or the disk is full."""


class RegistryError(ReleaseError):
    """The OCI registry answered with something that is neither the content nor its absence."""


class ToolError(ReleaseError):
    """A pinned tool can be neither found nor built."""


class EngineError(ReleaseError):
    """The container engine is absent or refused a request."""


class ClusterError(ReleaseError):
    """The Kubernetes cluster cannot be made, reached or brought to a state."""


class ApiError(ClusterError):
    """The Kubernetes API refused a request: HTTP `status`, its `reason` word ("NotFound") and its `text`."""

    def __init__(self, message: str, *, status: int, reason: str, text: str) -> None:
        self.status = status
        self.reason = reason
        self.text = text
        super().__init__(message, found=text)


class CommandFailed(ReleaseError):
    """A command ended with a status other than 0.

    `argv` is already redacted. `stdout` and `stderr` are whole; the message shows the end of them.
    """

    def __init__(
        self, argv: Sequence[str], status: int, *, stdout: str = "", stderr: str = "", run: str | None = None
    ) -> None:
        self.argv = tuple(argv)
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        words = (stderr.strip() or stdout.strip()).splitlines()[-12:]
        super().__init__(
            f"{' '.join(self.argv)} ended with status {status}",
            found="\n".join(words) or "no output",
            run=run,
        )


class CommandTimeout(ReleaseError):
    """A command was still running at its deadline and was ended."""

    def __init__(self, argv: Sequence[str], deadline: float, *, stderr: str = "") -> None:
        self.argv = tuple(argv)
        self.deadline = deadline
        self.stderr = stderr
        super().__init__(
            f"{' '.join(self.argv)} was still running after {deadline:g} s and was ended",
            found="\n".join(stderr.strip().splitlines()[-12:]) or None,
        )
