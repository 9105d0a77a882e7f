"""Owns helm operations on a cluster: run with a deadline, watched meanwhile, and a failure explained by its cause."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.cluster import Api
from scripts.command import Runner
from scripts.diagnose import Cause
from scripts.errors import ClusterError, CommandFailed, ReleaseError
from scripts.parallel import BRIEF_GO

Say = Callable[[str], None]
_PENDING = "pending-"
_QUERY_DEADLINE = 30.0


@dataclass(frozen=True)
class Target:
    """What is installed: `chart` is an archive or an `oci://host/path@sha256:...`; `sets` goes to `--set`.

    Secrets belong into a file of `values`: a command line can be read by every user of the machine.
    """

    chart: str | Path
    values: tuple[Path, ...] = ()
    sets: Mapping[str, str] = field(default_factory=dict)
    plain_http: bool = False
    ca_file: Path | None = None
    registry_config: Path | None = None

    def arguments(self) -> list[str | Path]:
        """The chart and the flags that describe it, as helm takes them."""
        words: list[str | Path] = [self.chart]
        words += [word for file in self.values for word in ("--values", file)]
        words += [word for key, value in self.sets.items() for word in ("--set", f"{key}={value}")]
        words += ["--plain-http"] if self.plain_http else []
        words += ["--ca-file", self.ca_file] if self.ca_file else []
        words += ["--registry-config", self.registry_config] if self.registry_config else []
        return words


@dataclass(frozen=True)
class Revision:
    """A revision of a release. `chart` is "gati-0.2.0"; `seconds` is how long helm took to make it, where we ran it."""

    number: int
    status: str
    chart: str
    description: str
    seconds: float = 0.0
    notes: str = ""

    @property
    def version(self) -> str:
        """The chart's version."""
        found = re.search(r"-(\d+\.\d+\.\d+.*)$", self.chart)
        return found.group(1) if found else ""


class RolloutFailed(ClusterError):
    """An operation on a release did not succeed. The first line of `str(error)` is the cause."""

    def __init__(self, cause: Cause, *, found: str, evidence: Path, seconds: float, rolled_back: int | None) -> None:
        self.cause = cause
        self.evidence = evidence
        self.seconds = seconds
        self.rolled_back = rolled_back
        """The revision that serves again, when the release was rolled back by itself."""
        ReleaseError.__init__(self, str(cause), found=found, run=cause.run)


class Rollout:
    """The release `release` in `namespace` of the cluster that `api` speaks to.

    Every operation raises RolloutFailed, and leaves events, objects and logs in a folder below `evidence`.
    """

    def __init__(
        self,
        helm: Path,
        runner: Runner,
        api: Api,
        *,
        namespace: str,
        release: str,
        evidence: Path,
        say: Say,
        kubeconfig: Path | None = None,
        context: str | None = None,
    ) -> None:
        self._helm = helm
        self._runner = runner
        self._api = api
        self.namespace = namespace
        self.release = release
        self._evidence = evidence
        self._say = say
        self._common: list[str | Path] = ["--namespace", namespace]
        self._common += ["--kubeconfig", kubeconfig] if kubeconfig else []
        self._common += ["--kube-context", context] if context else []

    # -- operations ----------------------------------------------------------------------------

    def install(self, target: Target, *, deadline: float = 300, rollback_on_failure: bool = False) -> Revision:
        """Install the release, and wait until all of it is ready."""
        flags = ["--wait=watcher", *(["--rollback-on-failure"] if rollback_on_failure else [])]
        seconds = self._operate(("install", self.release, *target.arguments(), *flags), deadline)
        return self._latest(seconds)

    def upgrade(self, target: Target, *, deadline: float = 300, rollback_on_failure: bool = False) -> Revision:
        """Upgrade the release, and wait until all of it is ready."""
        flags = ["--wait=watcher", *(["--rollback-on-failure"] if rollback_on_failure else [])]
        seconds = self._operate(("upgrade", self.release, *target.arguments(), *flags), deadline)
        return self._latest(seconds)

    def rollback(self, revision: int, *, deadline: float = 300) -> Revision:
        """Roll back to `revision`, and wait until all of it is ready. Returns the new revision."""
        seconds = self._operate(("rollback", self.release, str(revision), "--wait=watcher"), deadline)
        return self._latest(seconds)

    def test(self, *, deadline: float = 120) -> str:
        """Run the chart's tests; returns what they logged."""
        begin = time.monotonic()
        self._operate(("test", self.release, "--logs"), deadline)
        self._say(f"helm test {self.release}: passed in {time.monotonic() - begin:.0f} s")
        return (self._evidence / "test.log").read_text(encoding="utf-8", errors="replace")

    def uninstall(self, *, deadline: float = 120) -> float:
        """Remove the release, and wait until its objects are gone. Returns the seconds it took."""
        return self._operate(("uninstall", self.release, "--wait=watcher", "--cascade=foreground"), deadline)

    # -- questions -----------------------------------------------------------------------------

    def history(self) -> tuple[Revision, ...]:
        """The revisions, oldest first; empty when there is no such release."""
        try:
            text = self._ask("history", self.release, "--output=json")
        except CommandFailed as error:
            if "release: not found" in error.stderr:
                return ()
            raise
        return tuple(
            Revision(row["revision"], row["status"], row["chart"], row["description"]) for row in json.loads(text)
        )

    def status(self) -> str | None:
        """The status of the newest revision ("deployed", "failed", "pending-upgrade"), None without a release."""
        revisions = self.history()
        return revisions[-1].status if revisions else None

    def recover(self, *, deadline: float = 300) -> Revision | None:
        """Bring a release back that a killed helm left pending: to the last revision that was deployed.

        None when there is nothing to recover. Raises RolloutFailed naming the command when it takes a person.
        """
        revisions = self.history()
        if not revisions or not revisions[-1].status.startswith(_PENDING):
            return None
        good = [revision for revision in revisions if revision.status in ("deployed", "superseded")]
        if not good:
            raise NotImplementedError
        return self.rollback(good[-1].number, deadline=deadline)

    # -- inside --------------------------------------------------------------------------------

    def _operate(self, words: Sequence[str | Path], deadline: float) -> float:
        """Run a helm operation to its end. Returns the seconds it took."""
        argv = [self._helm, *words, *self._common, f"--timeout={deadline:.0f}s"]
        log = self._evidence / f"{words[0]}.log"
        begin = time.monotonic()
        with self._runner.start(argv, log=log, env={"HELM_NO_PLUGINS": "1"}) as process:
            status = process.wait(deadline + 15)
        seconds = time.monotonic() - begin
        if status != 0:
            cause = Cause("helm", f"Release {self.release}", process.log_tail(1) or "helm gives no reason")
            raise RolloutFailed(cause, found=process.log_tail(), evidence=log, seconds=seconds, rolled_back=None)
        return seconds

    def _latest(self, seconds: float) -> Revision:
        last = self.history()[-1]
        notes = self._ask("get", "notes", self.release)
        return Revision(last.number, last.status, last.chart, last.description, seconds, notes)

    def _ask(self, *words: str) -> str:
        argv = [self._helm, *words, *self._common]
        return self._runner.run(argv, env={"HELM_NO_PLUGINS": "1", **BRIEF_GO}, deadline=_QUERY_DEADLINE).stdout
