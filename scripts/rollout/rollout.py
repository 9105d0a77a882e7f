"""Owns helm operations on a cluster: run with a deadline, watched meanwhile, and a failure explained by its cause."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import NoReturn

from scripts.chart.complaints import read_complaints
from scripts.chart.manifests import Document, Manifests, read_manifests
from scripts.cluster.api import Api
from scripts.cluster.objects import Object, dead_ends, is_passing, release_of, unsettled
from scripts.cluster.transport import Login
from scripts.core.command import Process, Runner
from scripts.core.errors import ClusterError, CommandFailed, CommandTimeout, ReleaseError
from scripts.core.parallel import BRIEF_GO
from scripts.core.paths import list_item
from scripts.core.progress import Say
from scripts.rollout.cause import Cause, read_refusal
from scripts.rollout.diagnose import AT_ONCE, Patience, Suspicion, ranked, suspicions, told_of, unforgiven, unproven
from scripts.rollout.evidence import Redaction, collect, last_line, redaction, secrets_of
from scripts.rollout.view import View

_ENVIRONMENT = {"HELM_NO_PLUGINS": "1"}
_QUERY_DEADLINE = 30.0
_LOOK = 0.3  # seconds between two looks at what was seen
_NEWS = 30.0  # seconds between two lines of progress
_ELSEWHERE = 5.0  # seconds until a release that is not ready is looked for in other namespaces too
_LATER = 30.0  # seconds by which helm's own deadline is later than ours
_ENDING = 20.0  # seconds for helm to record a failure and end
_WATCHES = 4  # the first major of helm that watches what it waits for, and rolls back under another name
_FAILS = 'msg="upgrade failed"'  # helm's line before it rolls back
# All that helm complains of where its watch has ended before the objects have.
_GOING = re.compile(
    r"Error: uninstallation completed with \d+ error\(s\): "
    r"(?:resource \S+ still exists\. status: Terminating, message: [^\n;]*[\n;]?\s*)+\Z"
)
_REUSES = "--reuse-values"
_HIDES = f"upgrade with --reset-then-reuse-values: {_REUSES} hides the defaults of what this version has added"
_MISSING_DEFAULT = re.compile(r"missing propert|nil pointer|at '.*': got null|is required")
_IN_PROGRESS = "another operation (install/upgrade/rollback) is in progress"
# What helm finds where there is a release, or none, against what it was asked to do.
_AT_ODDS = re.compile(r"cannot re-?use a name that is still in use|has no deployed releases")
_ABOUT_OBJECTS = re.compile(r"(?:hooks?|pod \S+) failed|failed p\w+-|not ready|deadline exceeded|timed out|canceled")
_MAKING = frozenset({"install", "upgrade", "rollback"})
_UNSEEN = frozenset({"crash-loop", "init-container", "paused"})  # causes that helm may take for a success
_ASKING = frozenset({"readiness", "hook"})  # causes that lie in what is asked, as a Service that leads nowhere
# Causes that the end of the container's log explains, or of one that goes on the last line that tells of trouble.
_LOGGED = frozenset({"crash-loop", "init-container", "hook", "job", "readiness", "unended"})


@dataclass(frozen=True)
class Target:
    """What is installed: `chart` is a folder, an archive or an `oci://host/path@sha256:...`."""

    chart: str | Path
    values: tuple[Path, ...] = ()
    flags: tuple[str, ...] = ()
    """Further flags of helm's, such as --reuse-values."""
    plain_http: bool = False

    def arguments(self) -> list[str | Path]:
        """The chart and the flags that describe it, as helm takes them."""
        return [self.chart, *(word for file in self.values for word in ("--values", list_item(file))), *self.options()]

    def options(self) -> list[str | Path]:
        """The flags but for those of values files."""
        return [*self.flags, *(["--plain-http"] if self.plain_http else [])]


@dataclass(frozen=True)
class Revision:
    """A revision of a release. `chart` is "gati-0.2.0", `updated` a time as helm writes it, `application` its version.

    `seconds` is how long helm took and `notes` what it told the user, for an operation of ours.
    """

    number: int
    status: str
    chart: str
    description: str
    updated: str = ""
    seconds: float = 0.0
    notes: str = ""
    application: str = ""

    @property
    def pending(self) -> bool:
        """True while a helm works on it, and for ever after that helm was killed."""
        return self.status.startswith("pending-")

    @property
    def served(self) -> bool:
        """True for one that was rolled out to its end."""
        return self.status in ("deployed", "superseded")


def kept(runner: Runner, helm: Path, release: str, namespace: str, login: Login, *, hooks: bool = False) -> Manifests:
    """The objects of a release's newest revision, as helm keeps them in the cluster; its `hooks` in their place."""
    words = ("get", "hooks" if hooks else "manifest", release, f"--namespace={namespace}")
    argv: list[str | Path] = [helm, *words, *login.flags("--kube-context")]
    said = runner.run(argv, env={**_ENVIRONMENT, **BRIEF_GO}, deadline=2 * _QUERY_DEADLINE).stdout
    return read_manifests(said, namespace)


class RolloutFailed(ClusterError):
    """An operation on a release did not succeed. The first line of `str(error)` is the cause.

    `evidence` is the folder with events, objects and logs; `seconds` is how long it took to find out.
    """

    def __init__(self, cause: Cause, *, found: str, evidence: Path, seconds: float = 0.0) -> None:
        self.cause = cause
        self.evidence = evidence
        self.seconds = seconds
        ReleaseError.__init__(self, str(cause), found=found, run=cause.run or None)


@dataclass
class Rollout:
    """The release `release` in `namespace` of the cluster that `api` speaks to.

    `major` is that of `helm`, whose 3 has other flags. Every operation raises RolloutFailed, and leaves what helm
    said, events, objects and logs in a folder of its own below `evidence`. `also` names further namespaces that the
    chart puts objects into: they are watched, too. Where it is None they are looked for in what helm keeps.
    `deadline` is what each operation may take, in seconds; a rollback on failure may take as much once more.
    """

    helm: Path
    runner: Runner
    api: Api
    _: KW_ONLY
    namespace: str
    release: str
    evidence: Path
    say: Say
    login: Login
    also: Sequence[str] | None = None
    major: int = 4
    deadline: float = 300

    def __post_init__(self) -> None:
        self.namespaces = tuple(dict.fromkeys((self.namespace, *(self.also or ()))))
        self._told = self.also is not None
        old = self.major < _WATCHES
        self._wait, self._undo = ("--wait", "--atomic") if old else ("--wait=watcher", "--rollback-on-failure")

    # -- operations ----------------------------------------------------------------------------

    def install(self, target: Target, *, rollback_on_failure: bool = False) -> Revision:
        """Install the release and wait until all of it is ready.

        With `rollback_on_failure` a failure leaves nothing of it, and is raised only then.
        """
        return self._roll_out("install", target, rollback_on_failure)

    def upgrade(self, target: Target, *, rollback_on_failure: bool = False) -> Revision:
        """Upgrade the release and wait until all of it is ready.

        With `rollback_on_failure` a failure ends in the revision before, and is raised only then.
        """
        return self._roll_out("upgrade", target, rollback_on_failure)

    def rollback(self, revision: int, *, flags: Sequence[str] = ()) -> Revision:
        """Roll back to `revision` and wait until all of it is ready. Returns the new revision."""
        return self._latest(self._operate("rollback", str(revision), self._wait, *flags))

    def test(self) -> None:
        """Run the chart's tests, without `--logs`: that fails where a test's pod is deleted once it has succeeded."""
        self._operate("test")

    def uninstall(self) -> None:
        """Remove the release.

        helm waits for its objects to go, but may end before its watch has seen them, in an error even: then they go a
        moment later.
        """
        self._operate("uninstall", self._wait, "--cascade=foreground")

    def recover(self) -> Revision | None:
        """Bring back a release that a killed helm left pending: to the last revision that was deployed.

        None when nothing is pending. Raises RolloutFailed with the command to run where no revision was ever deployed.
        """
        revisions = self.history()
        if not revisions or not revisions[-1].pending:
            return None
        served = [revision for revision in revisions if revision.served]
        if not served:
            found = "no revision of it was ever deployed: there is none to go back to"
            raise RolloutFailed(self.pending(revisions), found=found, evidence=self.evidence)
        self.say(f"release {self.release} is {revisions[-1].status}: rolling back to revision {served[-1].number}")
        return self.rollback(served[-1].number)

    # -- questions -----------------------------------------------------------------------------

    def history(self) -> tuple[Revision, ...]:
        """The revisions, oldest first; empty when there is no such release."""
        argv = self.command(self.helm, "history", self.release, "--output=json")
        try:
            result = self.runner.run(argv, env={**_ENVIRONMENT, **BRIEF_GO}, deadline=_QUERY_DEADLINE)
        except CommandFailed as error:
            if "release: not found" in error.stderr:
                return ()
            raise
        return tuple(
            Revision(
                row["revision"],
                row["status"],
                row["chart"],
                row["description"],
                updated=str(row["updated"]),
                application=str(row.get("app_version") or ""),
            )
            for row in json.loads(result.stdout)
        )

    def manifest(self) -> Manifests:
        """The objects of the newest revision, as helm keeps them."""
        return kept(self.runner, self.helm, self.release, self.namespace, self.login)

    def elsewhere(self) -> tuple[str, ...]:
        """The namespaces of objects of the newest revision that nobody told of, once; they are `namespaces` then."""
        more: tuple[str, ...] = ()
        if not self._told:
            with contextlib.suppress(CommandFailed, CommandTimeout):  # helm has kept nothing yet, or cannot tell
                named = dict.fromkeys(one.namespace for one in self.manifest() if one.elsewhere)
                more = tuple(name for name in named if name not in self.namespaces)
                self._told = True
        self.namespaces += more
        return more

    def unsettled(self, *, made: bool = False) -> Cause | None:
        """The first object of the release, other than pods and what makes them, that says it is not ready yet.

        Or, where all were `made`, that is not there any more.
        """
        documents: Iterable[Document] = ()
        with contextlib.suppress(CommandFailed, CommandTimeout):  # helm has kept nothing, or cannot tell
            documents = sorted(self.manifest(), key=lambda one: one.kind == "Namespace")  # it waits for what is in it
        for document in documents:
            with contextlib.suppress(ClusterError):  # gone, of a kind that is gone, or not ours to read
                live = self.api.current(document.data, self.namespace)
                where = f"kubectl --namespace={document.namespace or self.namespace}"
                run, why = f"{where} describe {document.kind.lower()} {document.name}", ""
                if live is not None:
                    why = unsettled({"kind": document.kind, **live})
                elif made and not is_passing(document.data):
                    run, why = f"{where} events", "it is not there: it was not made, or somebody has deleted it since"
                if why:
                    return Cause("unsettled", document.label, why, run)
        return None

    def status(self) -> str | None:
        """The status of the newest revision ("deployed", "failed", "pending-upgrade"), None without a release."""
        revisions = self.history()
        return revisions[-1].status if revisions else None

    def pending(self, revisions: Sequence[Revision]) -> Cause:
        """What is to be said of a release whose newest revision is pending, and the command that ends it."""
        last = revisions[-1]
        served = [str(revision.number) for revision in revisions if revision.served]
        how = "another helm works on it or was killed"
        message = f"revision {last.number} is {last.status} since {last.updated}: {how}"
        return self._stands("pending", message, *(("rollback", served[-1]) if served else ("uninstall",)))

    def at_odds(self) -> Cause:
        """What is to be said of a release whose state does not admit an operation, and the command that goes on."""
        revisions = self.history()
        if not revisions:
            return self._stands("state", f"there is none in namespace {self.namespace}", "install", "CHART")
        last, upgradable = revisions[-1], any(one.status == "deployed" for one in revisions)
        message = f"it is there: revision {last.number} is {last.status}" + ", and none is deployed" * (not upgradable)
        return self._stands("state", message, *(("upgrade", "CHART") if upgradable else ("uninstall",)))

    def _stands(self, kind: str, message: str, verb: str, *words: str) -> Cause:
        run = shlex.join(map(str, self.command("helm", verb, self.release, *words, "--wait")))
        return Cause(kind, f"Release {self.release}", message, run)

    def command(self, helm: str | Path, *words: str | Path) -> list[str | Path]:
        """A command line of helm for this release's namespace and cluster."""
        return [helm, *words, f"--namespace={self.namespace}", *self.login.flags("--kube-context")]

    # -- inside --------------------------------------------------------------------------------

    def _roll_out(self, verb: str, target: Target, rollback: bool) -> Revision:
        words = [*target.arguments(), self._wait, *([self._undo] if rollback else [])]
        done = self._operate(verb, *words, rollback=rollback)
        return replace(self._latest(done), notes=done.said().partition("\nNOTES:\n")[2].strip())

    def _operate(self, verb: str, *words: str | Path, rollback: bool = False) -> _Operation:
        operation = _Operation(self, verb, self._place(verb), rollback)
        # Of these helm's deadline comes later than ours: what is wrong is looked at before it is undone or forgotten.
        # The others only record a failure that they find themselves.
        helms = self.deadline + (_LATER if verb in ("install", "upgrade", "uninstall") else 0)
        argv = self.command(self.helm, verb, self.release, *words, f"--timeout={helms:.0f}s")
        operation.run(argv)
        return operation

    def _place(self, verb: str) -> Path:
        """The next folder for evidence; no other process has it, whatever it does to a release of the same name."""
        number = 0
        while True:
            number = max(number, sum(1 for _ in self.evidence.glob("[0-9]*"))) + 1
            with contextlib.suppress(FileExistsError):
                (folder := self.evidence / f"{number:02}-{verb}").mkdir(parents=True)
                return folder

    def _latest(self, operation: _Operation) -> Revision:
        revision = replace(self.history()[-1], seconds=operation.seconds)
        what = f"{operation.verb} of {self.release} in {self.namespace}"
        self.say(f"{what}: revision {revision.number} is {revision.status}, {operation.seconds:.0f} s")
        return revision


@dataclass
class _Operation:
    """One run of helm, watched. `seconds` is how long it took to its end, or until its failure was known.

    `_believed` is True where helm took a release that fails for a success.
    """

    _rollout: Rollout
    verb: str
    _folder: Path
    _rollback: bool
    seconds: float = 0.0
    _believed: bool = False
    _reuses: bool = False

    def __post_init__(self) -> None:
        self._deadline = self._rollout.deadline
        self._log = self._folder / "helm.log"

    def said(self) -> str:
        """What helm printed, both streams."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def run(self, argv: Sequence[str | Path]) -> None:
        """Run helm until it ends, something is seen that cannot end well, or the deadline has passed.

        Raises RolloutFailed.
        """
        rollout, begin = self._rollout, time.monotonic()
        self._reuses = _REUSES in argv
        with (
            View(rollout.api, rollout.namespaces, rollout.release) as view,
            rollout.runner.start(argv, log=self._log, env=_ENVIRONMENT) as process,
        ):
            stands, suspicion = self._follow(process, view, begin + self._deadline)
            self.seconds = time.monotonic() - begin
            if stands:
                return
            self._believed = process.wait(0) == 0
            by_itself = suspicion is None and self.seconds < self._deadline
            redact = redaction(secrets_of(rollout.api, rollout.namespaces))
            suspicion, progress = self._examine(view, suspicion, redact), view.progress()
            self._end(process)
        self._fail(suspicion, progress, redact, by_itself=by_itself)

    def _follow(self, process: Process, view: View, end: float) -> tuple[bool, Suspicion | None]:
        """True where all went well, and else what is seen that cannot end well, if it is that which ends the wait."""
        patience, news = Patience(), time.monotonic() + _NEWS
        look = time.monotonic() + _ELSEWHERE
        running: dict[str, float] = {}
        ended = False
        while time.monotonic() < end:
            if ended:
                time.sleep(_LOOK)  # waiting for what has ended takes no time
            status = process.wait(_LOOK)
            if status or _FAILS in self.said():
                return self.verb == "uninstall" and bool(_GOING.search(self.said())), None
            ended = status == 0
            if ended and self.verb not in _MAKING:
                return True, None
            if ended or time.monotonic() > look:
                look += _NEWS
                view.join(self._rollout.elsewhere())
            view.refresh()
            if ended and not view.caught_up():
                continue
            scene, now = view.scene(), time.monotonic()
            found = suspicions(scene)
            proofs = unproven(scene)
            running = {key: running.get(key, now) for key in proofs}
            if ended:
                # helm is content with a container that has just begun to run; what crashes then is looked at.
                found = tuple(one for one in found if one.cause.kind in _UNSEEN)
                if not found and all(now - since >= proofs[key] for key, since in running.items()):
                    return True, None
            if due := patience.due(found, now):
                return False, due[0]
            if now > news:
                news += _NEWS
                self._rollout.say(f"{self.verb} of {self._rollout.release}: {view.progress()}")
        return False, None

    def _examine(self, view: View, suspicion: Suspicion | None, redact: Redaction) -> Suspicion | None:
        """Keep the evidence, before anything is undone; returns what explains the failure, as far as objects tell."""
        view.join(self._rollout.elsewhere())
        scene = view.scene(with_gone=True)
        every, older = ranked(suspicions(scene)), ""
        suspicion = suspicion or next(iter(every), None)
        if suspicion is None and (other := self._rollout.unsettled(made=self.verb in _MAKING)):
            kind, name = other.object.split()
            said = (told_of(scene.events, kind, name, space) for space in self._rollout.namespaces)
            why = "".join(f"; {text}" for text in dict.fromkeys(said) if text and text not in other.message)
            suspicion = Suspicion(replace(other, message=other.message + why), AT_ONCE, other.object)
        if suspicion is None and (before := ranked(suspicions(unforgiven(scene)))):
            suspicion, older = before[0], f"; it was so before this {self.verb}"
        if suspicion is not None:
            message = self._in_full(suspicion, every, view, scene.objects) + older
            suspicion = replace(suspicion, cause=replace(suspicion.cause, message=message))
        collect(
            self._rollout.api,
            self._folder,
            self._rollout.namespace,
            objects=scene.objects,
            events=scene.events,
            kept_logs=view.hook_logs,
            redact=redact,
        )
        return suspicion

    def _in_full(self, suspicion: Suspicion, every: Iterable[Suspicion], view: View, objects: Iterable[Object]) -> str:
        """The message of what is suspected, with what its container says, and what that may wait for."""
        message, kind = suspicion.cause.message, suspicion.cause.kind
        if suspicion.container and kind in _LOGGED:
            namespace, _, pod = suspicion.pod.partition("/")
            text = view.hook_logs.get((suspicion.pod, suspicion.container))
            for previous in (False, True):  # the newest run may not have said anything yet
                with contextlib.suppress(ClusterError):  # the pod may be gone
                    text = text or self._rollout.api.logs(
                        pod, namespace, container=suspicion.container, previous=previous, tail=20
                    )
            if line := last_line(text, troubled=kind == "readiness"):
                message += f": {line}"
        if kind == "readiness":
            others = {one.cause.object: one.cause for one in every if one.cause.kind == kind}
            message += "".join(f"; {other}" for name, other in others.items() if name != suspicion.cause.object)
        if kind in _ASKING and (ends := self._dead_ends(objects)):
            message += f"; {ends[0]}"
        return message

    def _dead_ends(self, objects: Iterable[Object]) -> list[str]:
        """What is wrong with the release's Services: who asks one that leads nowhere does not become ready."""
        release, found = self._rollout.release, list[str]()
        pods = [item for item in objects if item["kind"] == "Pod"]
        for namespace in self._rollout.namespaces:
            with contextlib.suppress(ClusterError):  # who may not read them is told the rest
                for service in self._rollout.api.list("Service", namespace):
                    if release_of(service)[0] == release:
                        there = [pod for pod in pods if pod["metadata"]["namespace"] == namespace]
                        found += dead_ends(service, there)
        return found

    def _end(self, process: Process) -> None:
        """Let helm record the failure, and roll back if it was asked to.

        A helm that is failing already must not be told again: it would roll back twice, and end in between.
        """
        if _FAILS not in self.said():
            process.tell(signal.SIGTERM)
        process.wait(self._deadline if self._rollback else _ENDING)

    def _fail(self, suspicion: Suspicion | None, progress: str, redact: Redaction, *, by_itself: bool) -> NoReturn:
        """Raise RolloutFailed, once helm has ended."""
        cause = self._refused() if by_itself else None
        if cause is None and suspicion is not None and (not by_itself or _ABOUT_OBJECTS.search(self.said())):
            cause = suspicion.cause
        pod = suspicion.pod if suspicion is not None and cause is suspicion.cause else ""
        if cause is None:
            cause = self._unexplained(progress, by_itself=by_itself)
        login = shlex.join(("kubectl", *self._rollout.login.flags("--context")))
        run = re.sub(r"^kubectl\b", login.replace("\\", r"\\"), cause.run)
        state = self._aftermath()
        if pod and self._is_gone(pod):
            run = f"read {self._folder}"  # what was undone, or a hook's policy, has taken it away
        cause = Cause(cause.kind, cause.object, redact(cause.message), run)
        self._log.write_text(redact(self.said()), encoding="utf-8")
        (self._folder / "cause.txt").write_text(f"{cause}\n", encoding="utf-8")
        release = f"{self.verb} of release {self._rollout.release} in namespace {self._rollout.namespace}"
        taken = f"{self.seconds:.0f} of {self._deadline:.0f} s"
        raise RolloutFailed(
            cause,
            found=f"{release} failed after {taken}\n{state}\nevents, objects and logs are in {self._folder}",
            evidence=self._folder,
            seconds=self.seconds,
        )

    def _is_gone(self, place: str) -> bool:
        """Whether a pod ("namespace/name") is there no more, or is to go."""
        namespace, _, name = place.partition("/")
        with contextlib.suppress(ClusterError):  # nobody can say
            live = self._rollout.api.get("Pod", name, namespace)
            return live is None or "deletionTimestamp" in live["metadata"]
        return False

    def _refused(self) -> Cause | None:
        """The cause in helm's own words, where it or the server refuses something."""
        rollout, text = self._rollout, self.said()
        if _IN_PROGRESS in text:
            revisions = rollout.history()
            if revisions and revisions[-1].pending:
                return rollout.pending(revisions)
        if _AT_ODDS.search(text):
            return rollout.at_odds()
        return read_refusal(text, release=rollout.release, namespace=rollout.namespace)

    def _unexplained(self, progress: str, *, by_itself: bool) -> Cause:
        label = f"Release {self._rollout.release}"
        if by_itself:
            said = re.sub(r"^(?:INSTALLATION|UPGRADE) FAILED: ", "", self.said().rsplit("Error: ", 1)[-1].strip())
            hidden = self._reuses and _MISSING_DEFAULT.search(said)
            complaint = str(read_complaints(said, Path())[0])
            return Cause("helm", label, complaint, _HIDES if hidden else f"read {self._log}")
        message = f"was not ready after {self._deadline:.0f} s, and nothing in the cluster says why: {progress}"
        return Cause("deadline", label, message, f"read {self._folder / 'events.txt'}")

    def _aftermath(self) -> str:
        """What became of the release, in words; after a rollback, which revision serves again."""
        try:
            revisions = self._rollout.history()
        except ReleaseError as error:  # as where the API server is away: the cause is told all the same
            return f"what became of the release is not known: {error.message}"
        if not revisions:
            return "nothing of the release is left"
        last = revisions[-1]
        state = f"revision {last.number} is {last.status}" + (": helm took it for ready" if self._believed else "")
        if not self._rollback:
            return state
        if last.status == "deployed" and not self._believed:
            return f"rolled back: revision {last.number} serves ({last.description})"
        return self._undo([revision for revision in revisions if revision.served and revision != last], state)

    def _undo(self, served: Sequence[Revision], state: str) -> str:
        """The rollback that was asked for, where helm did not come to it or did not end it."""
        try:
            if not served:
                self._rollout.uninstall()
                return "nothing of the release is left: it was uninstalled by a second helm"
            again = self._rollout.rollback(served[-1].number)
        except ReleaseError as error:
            return f"{state}, and could not be undone: {error.message}"
        return f"rolled back by a second helm: revision {again.number} serves ({again.description})"
