"""Releases a chart as one plan: a step asks what is there and acts only where nothing is, so it can be run again."""

from __future__ import annotations

import contextlib
import itertools
import platform
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from scripts.chart.archive import Package, chart_metadata, load_package
from scripts.chart.changelog import read_changelog
from scripts.chart.dependencies import provide_dependencies
from scripts.chart.source import Chart, read_chart
from scripts.checks import lint as linting
from scripts.checks.baseline import GIT, last_tagged, last_version, published_versions
from scripts.checks.validate import Validation, check_chart
from scripts.core.edits import Edit
from scripts.core.errors import (
    REFUSED,
    SAME_COMMAND,
    ChangelogError,
    ChartError,
    FindingsError,
    GitError,
    RegistryError,
    ReleaseError,
    VersionError,
)
from scripts.core.files import to_json, try_writing, write_atomic, write_json
from scripts.core.git import Remote, Repository, find_repository
from scripts.core.parallel import workers
from scripts.core.paths import shown
from scripts.core.semver import tag_name
from scripts.core.words import many, some
from scripts.judge.judge import judge
from scripts.judge.words import markdown
from scripts.registry.client import IMMUTABLE, LAG, LOST_UPLOAD, Client, connect
from scripts.registry.embedded import registry_for, registry_in_use, served
from scripts.registry.failures import Transient
from scripts.registry.reference import Reference, Registry
from scripts.registry.referrers import Referrer, attach, attached, content_of, read_referrer
from scripts.release import publish as publishing
from scripts.release import verify
from scripts.release.announce import Announced, Step, row, stopped
from scripts.release.bump import Bump, Request, alone, bumped, changed, pending_bump, read_disk, release_day
from scripts.release.evidence import NAMES, changes_of, collect, expected, of_others, parsed, to_keep
from scripts.release.judging import demand_raised
from scripts.release.notes import notes, notes_file
from scripts.release.origin import (
    Difference,
    Origin,
    changed_by,
    committed_copy,
    differences,
    not_as_served,
    origin_of,
    uncommitted,
)
from scripts.release.package import build, midnight, release_time, store
from scripts.release.pgp import with_prov
from scripts.release.places import Place, places
from scripts.release.publish import Publication
from scripts.release.record import EMBEDDED, SCHEMA_VERSION, ReleaseRecord, read_record, record_file, write_record
from scripts.release.sign import BUNDLE, demand_key, demand_signable, read_bundle, sign
from scripts.release.statements import BOM, PROVENANCE, SIGNATURE, TEST_RESULT
from scripts.release.tested import Tested, demand_tested, read_tested
from scripts.workspace import Workspace

_TOOLS = ("helm", "kubeconform")


@dataclass(frozen=True)
class Options:
    """What was asked for: the `part` to raise first, to a candidate called `pre`; whether to `tag`; `allow_dirty`."""

    part: str | None = None
    tag: bool = False
    allow_dirty: bool = False
    """Release what no commit holds."""
    pre: str | None = None
    require: tuple[str, ...] = ()
    """What has to be shown beforehand, as in the configuration."""


@dataclass(frozen=True)
class Facts:
    """What the plan is made from: `package` and `archive`, a `bump` that is not committed yet, `notes` for a person."""

    origin: Origin
    bump: Bump | None
    package: Package
    archive: bytes
    remote: Remote | None
    notes: tuple[str, ...]

    @property
    def dirty(self) -> tuple[Difference, ...]:
        """The files that are not packed as the commit holds them, or would not be in this clone."""
        return tuple(difference for difference in self.origin.differences if not difference.fetched)


@contextlib.contextmanager
def prepared(
    work: Workspace, options: Options, *, dry_run: bool = False, today: date | None = None
) -> Iterator[Release]:
    """A release whose facts are read, with its registry at hand until the block ends; nothing is done yet.

    A dry run does not even make the folder of the embedded registry. Raises ChartError, ConfigError, RegistryError
    (the embedded registry), and for a raise of the version GitError, VersionError and ChangelogError.
    """
    if options.part is not None or options.pre is not None:
        Request(options.part, pre=options.pre)
    demand_key(work.config)
    chart = read_chart(work.config.chart)
    fresh = not dry_run and provide_dependencies(chart, work.helm, work.say)
    wrong = not_as_served(work.config, work.helm, work.say, fresh=fresh)
    serve = registry_in_use if dry_run else registry_for
    with (
        contextlib.nullcontext() if dry_run else alone(work),
        contextlib.ExitStack() as copies,
        serve(work) as registry,
    ):
        yield Release(work, options, copies, registry, today or release_day(), wrong)


class Release:
    """One release of one chart: `facts`, the `plan` made from them, and `run`, which does what is absent."""

    def __init__(
        self,
        work: Workspace,
        options: Options,
        copies: contextlib.ExitStack,
        registry: Registry | None,
        today: date,
        wrong: Mapping[Path, str],
    ) -> None:
        self._work, self._config, self._say = work, work.config, work.say
        self._options, self._registry, self._helm = options, registry, work.helm
        self._copies, self._today, self._wrong = copies, today, wrong
        self._patience = 0.0
        self._proofs: tuple[str, ...] = ()
        self._flags: tuple[str, ...] = ()
        self._raised_from: str | None = None  # the commit on which ours was made
        self._began, self._seconds = datetime.now(UTC), dict[str, float]()
        self._done: dict[str, str] = {}  # what a step has done that cannot be taken back
        self.facts = self._read_facts()
        self._last = self._recorded()
        # A registry that cannot be reached is tried several times, which takes long enough once.
        self._published = self._probe(self.facts.package)
        last = last_tagged if isinstance(self._published.error, Transient) else last_version
        self._base = last(served(work, registry), self.facts.origin.chart, below=True)
        self._verdict: Mapping[str, Any] | None = None
        self._judged = ""  # the verdict, in Markdown
        self._places = places(work, self.facts.origin.repository, registry)
        self.plan = self._make_plan(self._published)

    @property
    def package(self) -> Package:
        return self.facts.package

    @property
    def _tag(self) -> str:
        return tag_name(self.package.name, self.package.version)

    @property
    def reference(self) -> str:
        """Where it is: the embedded registry had another port when the record was written."""
        return str(self._served().reference(self.package.name, self.package.version))

    def push_command(self) -> str | None:
        """What brings the commit and the tag of the release to where others are; None where nothing does.

        Where something waits for the tag that alone: a branch that is merged on the way is no release any more.
        """
        repository = self.facts.origin.repository
        if repository is None or not (self._options.tag or self._options.part):
            return None
        there = self.facts.remote is not None and self.facts.remote.object is not None
        tag = self._tag if self._options.tag and not there else None
        return repository.push_command(tag, alone=self.waiting)

    @property
    def waiting(self) -> bool:
        """Whether the version can be announced somewhere only once what is not ours to do is done."""
        return any(map(self._waits, self.plan))

    @property
    def unpushed(self) -> bool:
        """Whether the remote can be asked, and lacks the tag of a release that is to have one."""
        remote = self.facts.remote
        return self._options.tag and remote is not None and remote.object is None

    @property
    def unfinished(self) -> bool:
        """Whether the version is out, and not all is done that comes after: a run was killed, or had to wait."""
        record, package = read_record(self._config, self.package.name), self.package
        told = record is not None and (record.version, record.sha256) == (package.version, package.sha256)
        after = self.absent("tag", *(place.name for place in self._places)) or not (told or self.absent("package"))
        return self._published.state == "same" and after and not any(step.refusal for step in self.plan)

    def absent(self, *names: str) -> bool:
        """Whether one of these steps, or without names any, is still to be done."""
        return any(step.state == "absent" for step in self.plan if not names or step.name in names)

    def demand_possible(self, *, committed: bool = True) -> None:
        """Raises the reason of the first step that stops the release, where `committed` also that of "commit".

        So it does where something else is published: what no commit holds is why.
        """
        committed |= any(step.name == "publish" and step.state == "different" for step in self.plan)
        # A tag at another commit comes first: that is why the rest differs.
        for step in sorted(self.plan, key=lambda step: step.name != "tag"):
            if step.refusal is not None and (committed or step.name != "commit"):
                raise step.refusal

    def run(self) -> ReleaseRecord:
        """Do what is absent, see that nothing is left to do, and write `dist/<chart>.release.json`.

        What can be taken back comes first: a failed check leaves the tree as it was. Raises FindingsError (a
        check), GitError, OutputError, RegistryError.
        """
        self.demand_possible(committed=any(difference.lacking for difference in self.facts.dirty))
        if not self.absent() and self._last is not None:
            return self._last
        try:
            return self._run()
        except BaseException as error:
            self._tell_what_remains(error)
            raise

    def _run(self) -> ReleaseRecord:
        bump, repository, commit = self.facts.bump, self.facts.origin.repository, self.facts.origin.commit
        if bump is not None and repository is not None and commit is not None:
            self._raise_version(bump, repository, commit)
        else:
            self._try_first()
            self._prepare()
        self.demand_possible()
        publication = self._publish()
        if publication.state == "pushed":
            self._done["publish"] = f"pushed {publication.reference}"
        self._patience = LAG  # of a registry that has just been written to
        with self._timed("verify", f"reading {publication.reference} back"):
            verify.verify(self._served(), self.facts.package, digest=publication.digest, patience=LAG)
        self._done["verify"] = "read it back"
        if self.absent("tag"):
            self._make_tag()
        for place in self._places:
            if self.absent(place.name):
                with self._timed(place.name, f"announcing {self.package.version}: {place.name}"):
                    self._done[place.name] = place.announce(self._announced())
                    self._say(self._done[place.name])
        self._check_again()
        write_atomic(notes_file(self._config, self.package.name), self._announced().notes)
        record = self._record(publication)
        self._say(f"writing {shown(record_file(self._config, record.name))}")
        write_record(self._config, record)
        return record

    def _raise_version(self, bump: Bump, repository: Repository, before: str) -> None:
        """Check the chart of the new version, make the commit, and pack what the commit then holds."""
        self._say(f"raising {bump.name} from {bump.old} to {bump.new}")
        for note in bump.notes:
            self._say(f"note: {note}")
        with bumped(bump, repository, before):
            self._try_first()
            self._prepare()
            if (now := repository.commit()) != before:
                raise GitError(
                    "HEAD has moved while the new version was checked", expected=before, found=now, run=SAME_COMMAND
                )
            self._demand_as_head(bump, repository)  # somebody may have written something meanwhile
        self._raised_from = before
        self._done["bump"] = f"committed {(repository.commit() or '')[:12]}, which raises {bump.name} to {bump.new}"
        foreseen = self.facts.package
        self.facts = self._read_facts(bump)
        if self.facts.package != foreseen and not self.facts.dirty:
            self._say("a hook changed the chart that was committed: it is checked and packed again")
        remote = self.facts.remote
        tagged = self._tag in repository.tags() or (remote is not None and remote.commit is not None)
        if self.facts.package != foreseen or self.facts.dirty or (tagged and self.absent("tag")):  # by a hook, too
            self._last, self.plan = self._recorded(), self._make_plan()
            self.demand_possible()
            self._prepare()

    def _try_first(self) -> None:
        """Try all that could fail once something is done. Raises GitError, OutputError, RegistryError."""
        facts = self.facts
        if self.absent("publish"):
            publishing.demand_push(self._served(), facts.package)
        if self.absent("attach") and self._config.signing_key:
            demand_signable(self._work)
        if self.absent("publish") and self._config.pgp_key:
            with_prov(self._work, facts.package, facts.archive)  # which stays in dist/, and is taken from there
        if facts.origin.repository is not None and facts.origin.commit is not None and self.absent("bump", "tag"):
            facts.origin.repository.try_identity()
            if self.absent("tag"):
                facts.origin.repository.try_signing()
                facts.origin.repository.try_tag(self._tag, facts.origin.commit)
        try_writing(record_file(self._config, self.package.name))

    def _tell_what_remains(self, error: BaseException) -> None:
        """Add to an error what was done before it, and what was not; where it is none of ours, say that."""
        if not {"bump", "publish"} & self._done.keys():
            return
        steps = ("publish", "verify", "tag", *(place.name for place in self._places), "record")
        left = [step.name for step in self.plan if step.name in steps and step.name not in self._done]
        if isinstance(error, RegistryError) and error.code == REFUSED and self._raised_from is not None:
            # Somebody else has this version: ours is taken back, and what they have done comes first.
            pull = " && git pull --rebase" if self.facts.remote is not None else ""
            error.run = f"git reset --keep {self._raised_from}{pull}"
        if isinstance(error, ReleaseError):
            error.done, error.left = "\n".join(self._done.values()), ", ".join(left)
        else:
            self._say(f"done: {'; '.join(self._done.values())}\nnot done: {', '.join(left)}\nnext: {SAME_COMMAND}")

    # -- facts and plan ---------------------------------------------------------------------------

    def _read_facts(self, made: Bump | None = None) -> Facts:
        """What there is now; `made` is a raise of the version that was just committed."""
        config, helm = self._config, self._helm
        bump = None
        if self._options.part is not None and made is None:
            repository = find_repository(config.chart, self._work.runner)
            commit = repository.commit() if repository else None
            if repository is None or commit is None:
                raise GitError(
                    f"--bump makes a commit, but {shown(config.chart)} is in no git repository that has one",
                    run=f"invoke version-bump --part {self._options.part}, then invoke release",
                )
            bump = self._pending(read_chart(config.chart), repository, commit, self._options.part)
            if bump is not None:
                origin, epoch = self._raised(bump, repository, commit), midnight(bump.date)
        if bump is None:
            dirty = self._options.allow_dirty
            origin = self._copies.enter_context(origin_of(config, helm, allow_dirty=dirty, wrong=self._wrong))
            with origin.telling():
                epoch = release_time(origin.config(config), origin.chart)
        with origin.telling():
            package, archive = build(origin.config(config), origin.chart, helm, epoch)
        repository, notes, remote = origin.repository, list[str](), None
        if repository is not None and (self._options.part or self._options.tag):
            tag = tag_name(package.name, package.version)
            try:
                if made is None or self.facts.remote is not None:  # one that did not answer is not waited for twice
                    remote = repository.remote(tag)
            except GitError as error:
                notes.append(f"{error.message}: {error.found}")
            notes += self._notes(repository, remote, tag)
        return Facts(origin, bump, package, archive, remote, tuple(notes))

    def _raised(self, bump: Bump, repository: Repository, commit: str) -> Origin:
        """The chart of HEAD with the edits of `bump`. Raises GitError where something else is not as in HEAD."""
        if (begun := repository.unfinished()) is not None:
            raise GitError(
                f"a git {begun} is not finished here, and the commit of the new version would become part of it",
                expected=f"its end, or git {begun} --abort",
                run=f"git {begun} --continue, then {SAME_COMMAND}",
            )
        self._head = self._copies.enter_context(committed_copy(self._config, repository, commit))
        unlike = {repository.inside(edit.path): edit.path for edit in bump.edits if not _as_planned(edit)}
        flags = repository.flags()  # of what git is told to pass over, and does not call changed
        told = ((path, file, flags.get(path, "H")) for path, file in unlike.items())
        passed = [Difference(path, changed_by(flag, file)) for path, file, flag in told if flag != "H"]
        found = self._demand_as_head(bump, repository, [*passed, *changed(self._config, repository)])
        copy = committed_copy(self._config, repository, commit, bump.committed)
        return self._copies.enter_context(copy).origin(repository, found)

    def _demand_as_head(
        self, bump: Bump, repository: Repository, dirty: Sequence[Difference] = ()
    ) -> tuple[Difference, ...]:
        """What was fetched into the chart. Raises GitError where anything of it, or that is `dirty`, but the files of
        `bump` is not as in HEAD."""
        own = [edit.path for edit in bump.edits if _as_planned(edit)]
        found = differences(self._config, self._helm, repository, self._head, but=own, wrong=self._wrong)
        apart = {*own, *(repository.root / place for one in found for place in (one.path, one.real))}
        others = [one for one in dirty if repository.root / one.path not in apart]
        wrong = [difference for difference in found if not difference.fetched]
        if wrong or others:
            raise uncommitted([*wrong, *others], unless="")
        return found

    def _notes(self, repository: Repository, remote: Remote | None, tag: str) -> Iterator[str]:
        """What a person should know before a commit or a tag is made that may have nowhere to go."""
        refused = "so that git push will be refused: git pull --rebase first"
        if repository.branch() is None:
            if self._options.part:
                yield "HEAD is detached: the commit belongs to no branch until you make one: git switch --create NAME"
            elif not repository.on_a_branch():
                yield "HEAD is detached: the tag is at a commit of no branch here"
        elif behind := repository.behind():
            yield f"the branch is {many(behind, 'commit')} behind its upstream, {refused}"
        elif remote is not None and remote.head is not None and repository.lacks(remote.head):
            yield f"{remote.name} has commits that the branch has not, {refused}"
        theirs, ours = remote and remote.object, repository.object(f"refs/tags/{tag}")
        if remote is not None and None not in (theirs, ours) and theirs != ours:
            yield f"{remote.name} has another tag {tag} than the one here: {remote.fetching(tag)}"

    def _pending(self, chart: Chart, repository: Repository, commit: str, part: str) -> Bump | None:
        try:
            published = published_versions(chart, self._registry, self._say)
            request = Request(part, pre=self._options.pre)
            return pending_bump(self._config, chart, repository, commit, request, published, self._today)
        except ChangelogError as error:
            tag = tag_name(chart.name, chart.version)
            way = f"without --bump: invoke release, if {chart.version} is to be released"
            if tag in repository.tags():  # HEAD is past it, as where others' commits were merged meanwhile
                way = f"where that of {chart.version} has not ended: git checkout tags/{tag}, then {SAME_COMMAND}"
            run = f"{error.run}; or {way}"
            raise ChangelogError(error.message, expected=error.expected, found=error.found, run=run) from None
        except VersionError as error:
            with contextlib.suppress(GitError):
                remote = repository.remote(tag_name(chart.name, chart.version))
                if remote is not None and remote.head is not None and repository.lacks(remote.head):
                    has = f"{remote.name} has commits that the branch has not"
                    error.found, error.run = f"{error.found}; {has}", f"git pull --rebase, then {SAME_COMMAND}"
            raise

    def _make_plan(self, published: publishing.Probe | None = None) -> tuple[Step, ...]:
        """Every step with what is there; `published` is what the registry has just said. Reads only."""
        package = self.package
        published = self._published = published or self._probe(package)
        attaching = self._attach_step(published) if self._config.attach else None
        stored, here = self._stored(package), self._last is not None and self.facts.bump is None
        checked = here and (attaching is None or attaching.state != "absent")
        checks = {"lint": "check the chart's sources", "validate": "check what it renders"}
        if self._base is not None:
            checks["judge"] = f"see that the version says what changed since {self._base.removeprefix(GIT)}"
        steps = [] if self._options.part is None else [self._bump_step()]
        steps += [row(name, checked, todo, "these bytes were released from here") for name, todo in checks.items()]
        steps.append(row("package", stored, f"write {shown(package.path)}", f"sha256 {package.sha256[:12]}"))
        if self.facts.bump is None:
            steps.append(self._commit_step())
        if "e2e" in self._options.require:
            steps.append(self._tested_step())
        steps += [attaching] if attaching is not None else []
        steps += [self._publish_step(published), self._verify_step(published, stored)]
        if self._options.tag:
            steps.append(self._tag_step())
        steps += map(self._announce_step, self._places)
        named = self._last is not None and (self._last.tag == self._tag or not self._options.tag)
        others = all(step.state == "same" or self._waits(step) for step in steps if step.name != "commit")
        todo = f"write {shown(record_file(self._config, package.name))}"
        return (*steps, row("record", named and others, todo, "written"))

    def _bump_step(self) -> Step:
        if (bump := self.facts.bump) is None:
            return Step("bump", "same", f"{self.facts.origin.chart.version} is committed")
        names = ", ".join(shown(edit.path) for edit in bump.edits)
        return Step("bump", "absent", f"{bump.old} -> {bump.new} in {names}, and commit")

    def _commit_step(self) -> Step:
        facts = self.facts
        if facts.origin.repository is None:
            return Step("commit", "unknown", "in no git repository: the record names no commit")
        if facts.origin.commit is None and not self._options.allow_dirty:
            error = GitError("no commit holds the chart: the repository has none", run="git add --all && git commit")
            return Step("commit", "different", f"refused after the checks: {error.message}", error)
        if not facts.dirty:
            return Step("commit", "same", f"{(facts.origin.commit or '')[:12]} holds the chart as it is")
        names = ", ".join(map(str, facts.dirty))
        if self._options.allow_dirty:
            return Step("commit", "different", f"allowed: {names}")
        alone = {"unless": ""} if self._options.part or self._options.tag else {}
        return Step("commit", "different", f"refused after the checks: {names}", uncommitted(facts.dirty, **alone))

    def _tested_step(self) -> Step:
        """Whether the smoke test has passed with the archive that is released."""
        raised = self._options.part or "" if self.facts.bump is not None else ""
        tested: Tested | None = None
        try:
            tested = read_tested(self._config)
            demand_tested(tested, self.package.sha256, raised=raised)
        except ReleaseError as error:
            return Step("e2e", "absent" if tested is None else "different", f"{error.message}: {error.run}", error)
        return Step("e2e", "same", f"passed with sha256 {self.package.sha256[:12]}")

    def _attach_step(self, published: publishing.Probe) -> Step:
        """What is to be attached to the chart: before the push, and also to what is published without it."""
        wanted, there = self._expected(), set[str]()
        if published.state == "same" and published.digest is not None and self._registry is not None:
            try:
                with _refused_in_full(self._registry), connect(self._registry, push=True) as client:
                    reference = self._registry.reference(self.package.name, self.package.version)
                    found = attached(client, reference, published.digest)
                    self._flags = tuple(client.as_spoken().flags)
            except RegistryError as error:
                return stopped("attach", error, "unknown")
            there = {one.key for one in found}
            self._proofs = tuple(
                f"{NAMES.get(one.key, one.key.replace('signed', 'signature on', 1))} {one.digest}"
                for one in found
                if one.key in wanted
            )
        missing = list(dict.fromkeys(NAMES.get(key, "signatures") for key in wanted if key not in there))
        signed = "" if self._config.signing_key else ", unsigned"
        told = f"{len(wanted)} things are attached{signed}"
        return row("attach", not missing, f"attach {', '.join(missing)}{signed}", told)

    def _expected(self) -> tuple[str, ...]:
        """The keys of what this release attaches, signed statements among them."""
        self._tested = None
        with contextlib.suppress(ReleaseError):
            found = read_tested(self._config)
            self._tested = found if found and found.sha256 == self.package.sha256 and not found.faults else None
        changes = changes_of(self.facts.origin.changelog, self.package.version) is not None
        keys = expected(judged=self._base is not None, tested=self._tested is not None, changes=changes)
        if not self._config.signing_key:
            return keys
        tests = [TEST_RESULT] if self._tested is not None else []
        return (*keys, *(f"signed {kind}" for kind in (SIGNATURE, PROVENANCE, BOM, *tests)))

    def _publish_step(self, seen: publishing.Probe) -> Step:
        facts = self.facts
        refusal = seen.error
        if seen.state == "different" and self._registry is not None:
            refusal = publishing.refusal(self._registry, facts.package, facts.archive)
            if self._waits_elsewhere():
                refusal.expected = f"the commit of {self._tag}, from which {facts.package.version} is still announced"
                refusal.run = f"git checkout tags/{self._tag}, then {SAME_COMMAND}"
        history = read_changelog(facts.origin.changelog)
        late = history is not None and history.unreleased is not None and history.unreleased.entries
        more = ", with what stands under Unreleased" if late else ""
        words = {"absent": f"push {seen.reference}{more}", "same": "published already, the same"}
        return Step("publish", seen.state, words.get(seen.state, seen.detail), refusal)

    def _verify_step(self, published: publishing.Probe, stored: bool) -> Step:
        if published.state != "same" or not stored or self._registry is None:
            return Step("verify", "absent", "pull it back and compare")
        try:
            verify.verify(self._registry, self.package, digest=published.digest, patience=self._patience)
        except RegistryError as error:
            return stopped("verify", error, "different" if error.expected else "unknown")
        return Step("verify", "same", "pulled back: the same bytes")

    def _tag_step(self) -> Step:
        facts, tag = self.facts, self._tag
        if facts.origin.repository is None or facts.origin.commit is None:
            message = f"--tag needs a commit, but {shown(self._config.chart)} is in no git repository that has one"
            return stopped("tag", GitError(message, run="commit it first, or leave out --tag"), "unknown")
        if facts.dirty and self._options.allow_dirty:
            error = uncommitted(facts.dirty, unless="; or no --tag")
            return Step("tag", "unknown", "a tag would name a commit without these changes", error)
        remote = facts.remote if facts.remote is not None and facts.remote.commit is not None else None
        tagged, there = facts.origin.repository.tags().get(tag), remote.commit if remote is not None else None
        wanted = facts.origin.commit if facts.bump is None else None
        if {tagged, there} <= {None, wanted}:
            if tagged is not None:
                return Step("tag", "same", f"{tag} is at {tagged[:12]}")
            return Step("tag", "absent", f"git tag {tag}" if remote is None else f"take {tag} from {remote.name}")
        found, fetch, undo = tagged, "", f"delete it by git tag --delete {tag}, if it was never pushed"
        if remote is not None and there != wanted:
            found, fetch = f"{there} at the remote {remote.name}", f"{remote.fetching(tag)} && "
            undo = "a higher version"
        error = GitError(
            f"the git tag {tag} is at another commit",
            expected=f"no such tag{f', or one at {wanted}' if wanted else ''}; else {undo}",
            found=found,
            run=f"{fetch}git checkout tags/{tag}, then {SAME_COMMAND}",  # which releases that commit
        )
        return stopped("tag", error)

    def _announce_step(self, place: Place, commit: str | None = None) -> Step:
        what = self._announced()
        try:
            return place.look(replace(what, commit=commit or what.commit))
        except ReleaseError as error:
            return stopped(place.name, error, "unknown")

    def _waits_elsewhere(self) -> bool:
        """Whether the version was released at another commit, and is not announced everywhere yet."""
        repository = self.facts.origin.repository
        tagged = repository.tags().get(self._tag) if repository is not None and self._places else None
        if tagged in (None, self.facts.origin.commit):
            return False
        steps = (self._announce_step(place, tagged) for place in self._places)
        return any(one.state == "absent" or self._waits(one) for one in steps)

    def _waits(self, step: Step) -> bool:
        return step.state == "unknown" and step.refusal is None and step.name in {one.name for one in self._places}

    def _announced(self) -> Announced:
        facts, package = self.facts, replace(self.package, prov=self._published.prov)
        reference = f"{package.name}:{package.version}"
        if self._registry is not None:
            reference = str(self._registry.reference(package.name, package.version))
        file, told = notes_file(self._config, package.name), ""
        if self._last is not None and not self._judged and file.is_file():
            told = file.read_text(encoding="utf-8")
        if not told.startswith(f"# {package.title}\n"):  # as of another project with the same dist/
            told = notes(
                package,
                changelog=facts.origin.changelog,
                judged=self._judged,
                reference=reference,
                digest=package.manifest_digest,
                commit=facts.origin.commit,
                registry=self._where,
                plain_http="--plain-http" in self._flags,  # the other flags name files of this machine
            )
        metadata = chart_metadata(facts.archive, package.path.name)
        return Announced(package, facts.archive, metadata, self._tag, facts.origin.commit, told, reference)

    def _probe(self, package: Package) -> publishing.Probe:
        if self._registry is None:  # a dry run before anything was published
            return publishing.Probe("absent", f"{package.name}:{package.version}", None, "not published")
        return publishing.probe(self._registry, package, patience=self._patience)

    def _stored(self, package: Package) -> bool:
        """Whether `dist/` holds the package; another archive is left from earlier, and replaced."""
        try:
            return load_package(self._config, package.name) == package
        except ChartError:
            return False

    def _recorded(self) -> ReleaseRecord | None:
        """The record of the release of these very bytes to this registry."""
        record, package = read_record(self._config, self.package.name), self.package
        if record is None:
            return None
        wanted = (package.name, package.version, package.sha256, self._where, bool(self.facts.dirty))
        found = (record.name, record.version, record.sha256, record.registry, bool(record.dirty))
        return record if found == wanted else None

    @property
    def _where(self) -> str:
        return self._config.registry or EMBEDDED

    # -- actions ----------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """All that leaves traces in `dist/` only."""
        self._check()
        if self.absent("package"):
            with self._timed("package", f"packaging {shown(self.package.path)}"):
                store(self._config, self.package, self.facts.archive)

    def _check(self) -> None:
        """Lint and validate, side by side, then judge."""
        if not self.absent("lint", "validate"):
            return
        self._work.tools.paths(_TOOLS)
        origin = self.facts.origin
        work = self._work.having(chart=origin.chart.path, changelog=origin.changelog)
        with self._timed("checks", "checking the sources and what they render"), origin.telling():
            with workers(self._work.runner) as one, workers(self._work.runner) as other:
                lint = one.submit(linting.lint, work)
                validation = other.submit(check_chart, work)
                found = lint.result().findings
                for each in (each for each in found if each.level != "error"):
                    self._say(f"{each.level}: {origin.told(str(each))}")
                self._demand("lint", lint.result(), [str(each) for each in found if each.level == "error"])
                outcome = validation.result()
            self._demand("kubeconform-check", outcome, outcome.told())
            self._say(outcome.summary())
        if self._base is not None and self.absent("judge"):
            with self._timed("judge", f"judging the step from {self._base}"):
                dated = self._work.having(changelog=origin.changelog)
                verdict = judge(served(dated, self._registry), self._base, chart=origin.chart)
                self._verdict = verdict.record()
                write_json(self._config.result(verdict.chart, "judge.json"), self._verdict)
                self._judged = markdown(verdict)
                demand_raised(self._work, verdict)

    def _demand(self, check: str, outcome: linting.Lint | Validation, lines: Sequence[str]) -> None:
        """Keep what a check has found. Raises FindingsError, which tells it: no table stands above."""
        report = self.facts.origin.told(to_json(outcome.report()))
        write_atomic(self._config.result(self.package.name, f"{check.removesuffix('-check')}.json"), report)
        try:
            outcome.demand()
        except FindingsError as error:
            raise FindingsError(error.message, found="\n".join(some(lines, 20)), run=f"invoke {check}") from None

    def _publish(self) -> Publication:
        facts, registry, package = self.facts, self._served(), self.package
        if self._config.pgp_key and self.absent("publish"):
            package = with_prov(self._work, package, facts.archive)
        if self.absent("attach"):
            self._attach(registry, package)
        with self._timed("publish", f"publishing to {registry.remote}"):
            return publishing.publish(registry, package, None, self._helm, self._say, tried=True)

    def _read(
        self, there: Iterable[Referrer], client: Client, reference: Reference, digest: str
    ) -> tuple[dict[str, tuple[str, bytes]], list[tuple[str, Mapping[str, Any]]]]:
        """What passes for ours of what is attached, with its key, by its digest; and what the bundles there claim.

        A claim is the type of its predicate and the statement; they are read where this release signs.
        """
        held, claims = dict[str, tuple[str, bytes]](), list[tuple[str, Mapping[str, Any]]]()
        for one in there:
            if one.key not in NAMES and not (one.kind == BUNDLE and self._config.signing_key):
                continue
            read = read_referrer(client, reference, digest, one.digest)
            if one.kind == BUNDLE:
                with contextlib.suppress(ValueError, RegistryError):  # one that is broken says nothing
                    bundle = read_bundle(content_of(client, reference, read))
                    claims.append((bundle.predicate_type, bundle.statement))
            elif not read.kind or (read.key in NAMES and read.layer):  # else it is not of the form of ours
                content = content_of(client, reference, read)
                if not of_others(read.key, parsed(content)):
                    held[one.digest] = read.key, content
        return held, claims

    def _attach(self, registry: Registry, package: Package) -> None:
        """Attach what is missing to the manifest that the tag names, or will name once it is pushed."""
        facts = self.facts
        reference = registry.reference(package.name, package.version)
        with self._timed("attach", "attaching what speaks for the chart"), connect(registry, push=True) as client:
            subject = None
            if self._published.digest is not None:
                subject = client.manifest(reference, digest=self._published.digest)
            if subject is None:
                subject = publishing.stage(client, reference, package, facts.archive)
            with _refused_in_full(registry):
                there = attached(client, reference, subject.digest)
            held, claims = self._read(there, client, reference, subject.digest)
            kept = to_keep([*held.values()], claims if self._config.signing_key else None)
            found, statements = collect(
                self._work,
                package,
                facts.archive,
                subject.digest,
                origin=facts.origin,
                record=self._record(Publication(str(reference), subject.digest, "pushed")),
                verdict=self._verdict,
                tested=self._tested,
                kept=kept,
            )
            ours = {*itertools.chain(*kept.values()), *(one.content for one in found)}
            if others := [f"{NAMES[key]} {digest}" for digest, (key, content) in held.items() if content not in ours]:
                raise RegistryError(
                    f"{reference} has something attached that this release has not made",
                    expected="the same bytes, or what a release has signed before",
                    found="\n".join(others),
                    run="see who put it there and take it away, or raise the version",
                    code=REFUSED,
                )
            new = [one for one in found if (one.key, one.content) not in held.values()]
            if self._config.signing_key:
                self._say(f"signing with {self._config.signing_key}")
                new += [sign(self._work, told, kind) for kind, told in statements if (kind, parsed(told)) not in claims]
            else:
                self._say("note: it is not signed: no signing_key is configured")
            with _refused_in_full(registry):
                # Last comes that by which the next run sees whether this one was stopped before its end.
                attach(client, reference, subject, reversed(new), package.created, self._say)

    def _make_tag(self) -> None:
        package, tag, remote = self.package, self._tag, self.facts.remote
        repository, commit = self.facts.origin.repository, self.facts.origin.commit
        if repository is not None and commit is not None:
            with self._timed("tag", f"tagging {commit[:12]} as {tag}"):
                if remote is not None and remote.commit is not None:
                    repository.take_tag(remote.name, tag)
                else:
                    repository.make_tag(tag, package.title, commit)
            self._done["tag"] = f"made the git tag {tag}"

    def _check_again(self) -> None:
        """Ask every step once more. Raises ReleaseError for one that is not done."""
        left = [
            f"{step.name}: {step.state}, {step.action}"
            for step in self._make_plan()
            if step.state != "same"
            and not self._waits(step)
            and step.name not in ("lint", "validate", "judge", "record", "commit")
        ]
        if left:
            raise ReleaseError("the release is not what it should be", found="\n".join(left), run=SAME_COMMAND)

    def _record(self, publication: Publication) -> ReleaseRecord:
        facts, package = self.facts, self.facts.package
        return ReleaseRecord(
            schema_version=SCHEMA_VERSION,
            name=package.name,
            version=package.version,
            app_version=facts.origin.chart.app_version,
            commit=facts.origin.commit,
            dirty=tuple(difference.path for difference in facts.dirty),
            differences={difference.path: difference.kind for difference in facts.dirty},
            tag=self._tag if self._options.tag else None,
            archive=package.path.name,
            sha256=package.sha256,
            size=package.size,
            digest=publication.digest,
            reference=publication.reference,
            registry=self._where,
            tools={"python": platform.python_version(), **{name: self._work.tools.version(name) for name in _TOOLS}},
            started=_time(self._began),
            finished=_time(datetime.now(UTC)),
            seconds={name: round(seconds, 3) for name, seconds in self._seconds.items()},
            proofs=self._proofs,
            flags=self._flags,
        )

    def _served(self) -> Registry:
        assert self._registry is not None, "a dry run is not run"  # noqa: S101 - a bug of ours
        return self._registry

    @contextlib.contextmanager
    def _timed(self, name: str, what: str) -> Iterator[None]:
        self._say(what)
        begin = time.monotonic()
        yield
        self._seconds[name] = time.monotonic() - begin


@contextlib.contextmanager
def _refused_in_full(registry: Registry) -> Iterator[None]:
    """Has a registry's refusal of an attachment say that helm's own push may be all that it takes."""
    try:
        yield
    except RegistryError as error:
        said = error.found or ""
        refused = re.search(r"HTTP (?:400|404|405|406|415|422)\b", said) and not re.search(
            f"{IMMUTABLE}|{LOST_UPLOAD}", said.lower()
        )
        if refused or "/referrers/" in error.message:  # 403, where the chart's own manifest could be asked for
            error.message = f"{registry.host} takes nothing that is attached to a chart, as OCI 1.1 has it"
            error.expected = "a registry that takes it; or attach = false in [tool.gati], for the chart alone"
            error.run = f"export GATI_ATTACH=false, then {SAME_COMMAND}"
        elif isinstance(error, Transient) and "/referrers/" in said:  # which helm does not ask
            error.run = f"{SAME_COMMAND}; where that does not help, export GATI_ATTACH=false, for the chart alone"
        raise


def _as_planned(edit: Edit) -> bool:
    """Whether the file is as in HEAD, or as a run that was killed has left it."""
    return read_disk(edit.path) in (edit.before, edit.after)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
