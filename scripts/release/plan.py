"""Releases a chart as one plan: a step asks what is there and acts only where nothing is, so it can be run again."""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from scripts.chart.archive import Package, load_package
from scripts.chart.source import Chart, read_chart
from scripts.checks import lint as linting
from scripts.checks.validate import Validation, check_chart, demand_valid
from scripts.core.errors import ChangelogError, ChartError, FindingsError, GitError, RegistryError, ReleaseError
from scripts.core.files import write_atomic
from scripts.core.git import Repository, find_repository
from scripts.core.parallel import workers
from scripts.core.paths import shown
from scripts.core.semver import tag_name
from scripts.registry.client import LAG
from scripts.registry.embedded import registry_for, registry_in_use
from scripts.registry.reference import Registry
from scripts.release import publish as publishing
from scripts.release import verify
from scripts.release.bump import Bump, bumped, bumped_copy, pending_bump, published_versions, release_day, uncommitted
from scripts.release.package import build, midnight, release_time, store
from scripts.release.publish import Publication, State
from scripts.release.record import EMBEDDED, SCHEMA_VERSION, ReleaseRecord, read_record, record_file, write_record
from scripts.workspace import Workspace

_TOOLS = ("helm", "kubeconform")


@dataclass(frozen=True)
class Options:
    """What was asked for: the `part` to raise first, whether to `tag`, whether to release what no commit holds."""

    part: str | None = None
    tag: bool = False
    allow_dirty: bool = False


@dataclass(frozen=True)
class Step:
    """One row of the plan. Only a step that is `absent` has an action; `refusal` says why others stop the release."""

    name: str
    state: State
    action: str
    refusal: ReleaseError | None = None


@dataclass(frozen=True)
class Facts:
    """What the plan is made from. `package` is the chart as it will be packed, `archive` its bytes.

    `bump` is a raise of the version that is not committed yet. `commit` is None outside of a git repository and
    `dirty` names the chart's files that differ from it.
    """

    chart: Chart
    repository: Repository | None
    commit: str | None
    dirty: tuple[str, ...]
    bump: Bump | None
    package: Package
    archive: bytes


@contextlib.contextmanager
def prepared(
    work: Workspace, options: Options, *, dry_run: bool = False, today: date | None = None
) -> Iterator[Release]:
    """A release whose facts are read, with its registry at hand until the block ends; nothing is done yet.

    A dry run does not even make the folder of the embedded registry. Raises ChartError, ConfigError, RegistryError
    (the embedded registry), and for a raise of the version GitError, VersionError and ChangelogError.
    """
    chart = read_chart(work.config.chart)
    serve = registry_in_use if dry_run else registry_for
    with serve(work) as registry:
        yield Release(work, options, chart, registry, today or release_day())


class Release:
    """One release of one chart: `facts`, the `plan` made from them, and `run`, which does what is absent."""

    def __init__(self, work: Workspace, options: Options, chart: Chart, registry: Registry | None, today: date) -> None:
        self._work, self._config, self._say = work, work.config, work.say
        self._options, self._registry, self._helm = options, registry, work.helm
        self._patience = 0.0
        self._began, self._seconds = datetime.now(UTC), dict[str, float]()
        self.facts = self._read_facts(chart, today)
        self._last = self._recorded()
        self.plan = self._make_plan()

    @property
    def package(self) -> Package:
        """What is released."""
        return self.facts.package

    def absent(self, *names: str) -> bool:
        """Whether one of these steps, or without names any, is still to be done."""
        return any(step.state == "absent" for step in self.plan if not names or step.name in names)

    def demand_possible(self, *, committed: bool = True) -> None:
        """Raises the reason of the first step that stops the release, where `committed` also that of "commit"."""
        for step in self.plan:
            if step.refusal is not None and (committed or step.name != "commit"):
                raise step.refusal

    def run(self) -> ReleaseRecord:
        """Do what is absent, see that nothing is left to do, and write `dist/<chart>.release.json`.

        What can be taken back comes first: a failed check leaves the tree as it was. Raises FindingsError (a
        check), GitError, OutputError, RegistryError.
        """
        self.demand_possible(committed=False)
        if not self.absent() and self._last is not None:
            return self._last
        facts = self.facts
        if self.absent("publish"):
            publishing.demand_push(self._served(), facts.package)
        if facts.bump is not None and facts.repository is not None:
            self._say(f"raising {facts.bump.name} from {facts.bump.old} to {facts.bump.new}")
            for note in facts.bump.notes:
                self._say(f"note: {note}")
            with bumped(facts.bump, facts.repository):
                self._prepare()
            chart, commit = read_chart(self._config.chart), facts.repository.commit()
            self.facts = replace(facts, chart=chart, commit=commit, bump=None)
        else:
            self._prepare()
        self.demand_possible()
        publication = self._publish()
        self._patience = LAG  # of a registry that has just been written to
        with self._timed("verify", f"reading {publication.reference} back"):
            verify.verify(self._served(), self.facts.package, digest=publication.digest, patience=LAG)
        if self.absent("tag"):
            self._make_tag()
        self._check_again()
        record = self._record(publication)
        self._say(f"writing {self._record_shown}")
        write_record(self._config, record)
        return record

    # -- facts and plan ---------------------------------------------------------------------------

    def _read_facts(self, chart: Chart, today: date) -> Facts:
        repository = find_repository(chart.path, self._work.runner)
        commit = repository.commit() if repository else None
        bump, dirty = None, tuple[str, ...]()
        if self._options.part is not None:
            if repository is None or commit is None:
                raise GitError(
                    f"--bump makes a commit, but {shown(chart.path)} is in no git repository that has one",
                    run=f"invoke version-bump --part {self._options.part}, then invoke release",
                )
            bump = self._pending(chart, repository, self._options.part, today)
        if bump is not None:
            with bumped_copy(chart, bump) as folder:
                package, archive = build(self._config, read_chart(folder), self._helm, midnight(bump.date))
        else:
            package, archive = build(self._config, chart, self._helm, release_time(self._config, chart))
            dirty = self._uncommitted(repository) if repository else ()
        return Facts(chart, repository, commit, dirty, bump, package, archive)

    def _pending(self, chart: Chart, repository: Repository, part: str, today: date) -> Bump | None:
        try:
            published = published_versions(chart, self._registry, self._say)
            return pending_bump(self._config, chart, repository, part, published, today)
        except ChangelogError as error:
            run = f"{error.run}; or without --bump: invoke release, if {chart.version} is to be released"
            raise ChangelogError(error.message, expected=error.expected, found=error.found, run=run) from None

    def _uncommitted(self, repository: Repository) -> tuple[str, ...]:
        """The files of the archive, and the changelog that dates it, which are not as in HEAD."""
        chart = self._config.chart
        dirty = [
            name
            for name in repository.changes()
            if (path := repository.root / name) == self._config.changelog or path.is_relative_to(chart)
        ]
        if not dirty and repository.file_at("HEAD", chart / "Chart.yaml") is None:
            dirty = [f"{shown(chart)} (ignored by git)"]
        return tuple(dirty)

    def _make_plan(self) -> tuple[Step, ...]:
        """Every step with what is there. Reads only."""
        package, tag = self.package, tag_name(self.package.name, self.package.version)
        published = self._probe(package)
        there: State = "same" if self._stored(package) else "absent"
        checked: State = "same" if self._last is not None and self.facts.bump is None else "absent"
        steps = [
            Step("lint", checked, _say(checked, "check the chart's sources", "these bytes were released from here")),
            Step("validate", checked, _say(checked, "check what it renders", "these bytes were released from here")),
            Step("package", there, _say(there, f"write {shown(package.path)}", f"sha256 {package.sha256[:12]}")),
        ]
        if self._options.part is not None:
            steps.insert(0, self._bump_step())
        if self.facts.bump is None:
            steps.append(self._commit_step())
        steps += [self._publish_step(published), self._verify_step(published, there)]
        if self._options.tag:
            steps.append(self._tag_step(tag))
        named = self._last is not None and (self._last.tag == tag or not self._options.tag)
        others = all(step.state == "same" for step in steps if step.name != "commit")
        done: State = "same" if named and others else "absent"
        steps.append(
            Step("record", done, _say(done, f"write {shown(record_file(self._config, self.package.name))}", "written"))
        )
        return tuple(steps)

    def _bump_step(self) -> Step:
        facts = self.facts
        if facts.bump is None:
            return Step("bump", "same", f"{facts.chart.version} is committed")
        names = ", ".join(shown(edit.path) for edit in facts.bump.edits)
        return Step("bump", "absent", f"{facts.bump.old} -> {facts.bump.new} in {names}, and commit")

    def _commit_step(self) -> Step:
        facts = self.facts
        if facts.repository is None:
            return Step("commit", "unknown", "in no git repository: the record names no commit")
        if not facts.dirty:
            return Step("commit", "same", f"{(facts.commit or '')[:12]} holds the chart as it is")
        names = ", ".join(facts.dirty)
        if self._options.allow_dirty:
            return Step("commit", "different", f"allowed: {names}")
        return Step("commit", "different", f"refused after the checks: {names}", uncommitted(facts.dirty))

    def _publish_step(self, seen: publishing.Probe) -> Step:
        facts = self.facts
        refusal = seen.error
        if seen.state == "different" and self._registry is not None:
            refusal = publishing.refusal(self._registry, facts.package, facts.archive, self._helm)
        words = {"absent": f"push {seen.reference}", "same": "published already, the same"}
        return Step("publish", seen.state, words.get(seen.state, seen.detail), refusal)

    def _verify_step(self, published: publishing.Probe, there: State) -> Step:
        if published.state != "same" or there != "same" or self._registry is None:
            return Step("verify", "absent", "pull it back and compare")
        try:
            verify.verify(self._registry, self.package, digest=published.digest, patience=self._patience)
        except RegistryError as error:
            return Step("verify", "different" if error.expected else "unknown", error.message, error)
        return Step("verify", "same", "pulled back: the same bytes")

    def _tag_step(self, tag: str) -> Step:
        facts = self.facts
        if facts.repository is None:
            error = GitError(f"--tag needs a git repository, and {shown(facts.chart.path)} is in none")
            return Step("tag", "unknown", error.message, error)
        if facts.dirty and self._options.allow_dirty:
            error = uncommitted(facts.dirty, run="git commit them, or release without --tag")
            return Step("tag", "unknown", "a tag would name a commit without these changes", error)
        tagged = facts.repository.tags().get(tag)
        if tagged is None:
            return Step("tag", "absent", f"git tag {tag}")
        if tagged == facts.commit and facts.bump is None:
            return Step("tag", "same", f"{tag} is at {tagged[:12]}")
        error = GitError(
            f"the git tag {tag} is at another commit",
            expected=f"no such tag, or one at {facts.commit}",
            found=tagged,
            run=f"git checkout {tag} to release that commit, or git tag --delete {tag} if it was never pushed",
        )
        return Step("tag", "different", error.message, error)

    def _probe(self, package: Package) -> publishing.Probe:
        if self._registry is None:  # a dry run before anything was published
            return publishing.Probe("absent", f"{package.name}:{package.version}", None, "not published")
        return publishing.probe(self._registry, package, patience=self._patience)

    def _stored(self, package: Package) -> bool:
        """Whether `dist/` holds the package; another archive is left from earlier, and replaced."""
        try:
            return load_package(self._config, self.package.name) == package
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
    def _record_shown(self) -> str:
        return shown(record_file(self._config, self.package.name))

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
        """Lint and validate, side by side."""
        if not self.absent("lint", "validate"):
            return
        self._work.tools.paths(_TOOLS)
        with self._timed("checks", "checking the sources and what they render"):
            with workers(self._work.runner) as one, workers(self._work.runner) as other:
                lint = one.submit(linting.lint, self._work)
                validation = other.submit(check_chart, self._work)
                self._demand_clean(lint.result())
                outcome = validation.result()
            self._demand_valid(outcome)
            self._say(outcome.summary())

    def _demand_clean(self, outcome: linting.Lint) -> None:
        write_atomic(self._config.result(outcome.chart.name, "lint.json"), _json(outcome.report()))
        told = [(f.level, f"{f.place}: {f.message}" if f.place else f.message) for f in outcome.findings]
        for level, line in told:
            if level != "error":
                self._say(f"{level}: {line}")
        with _in_full([line for level, line in told if level == "error"], "invoke lint"):
            linting.demand_clean(outcome)

    def _demand_valid(self, outcome: Validation) -> None:
        write_atomic(self._config.result(outcome.plan.chart.name, "kubeconform.json"), _json(outcome.report()))
        lines = [f"{p.source}: {p.kind}/{p.name}: {p.message} ({where})" for p, where in outcome.problems()]
        with _in_full(lines, "invoke kubeconform-check"):
            demand_valid(outcome)

    def _publish(self) -> Publication:
        facts, registry = self.facts, self._served()
        with self._timed("publish", f"publishing to {registry.remote}"):
            return publishing.publish(registry, facts.package, None, self._helm, self._say)

    def _make_tag(self) -> None:
        package, repository = self.facts.package, self.facts.repository
        if repository is not None and self.facts.commit is not None:
            tag = tag_name(package.name, package.version)
            with self._timed("tag", f"tagging {self.facts.commit[:12]} as {tag}"):
                repository.make_tag(tag, f"{package.name} {package.version}", self.facts.commit)

    def _check_again(self) -> None:
        """Ask every step once more. Raises ReleaseError for one that is not done."""
        left = [
            f"{step.name}: {step.state}, {step.action}"
            for step in self._make_plan()
            if step.state != "same" and step.name not in ("lint", "validate", "record", "commit")
        ]
        if left:
            raise ReleaseError("the release is not what it should be", found="\n".join(left), run="invoke release")

    def _record(self, publication: Publication) -> ReleaseRecord:
        facts, package = self.facts, self.facts.package
        return ReleaseRecord(
            schema_version=SCHEMA_VERSION,
            name=package.name,
            version=package.version,
            app_version=facts.chart.app_version,
            commit=facts.commit,
            dirty=facts.dirty,
            tag=tag_name(package.name, package.version) if self._options.tag else None,
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
def _in_full(lines: Sequence[str], run: str) -> Iterator[None]:
    """Has the refusal of a check tell what was found, since no table stands above it."""
    try:
        yield
    except FindingsError as error:
        more = [f"and {len(lines) - 20} more"] if len(lines) > 20 else []
        raise FindingsError(error.message, found="\n".join([*lines[:20], *more]), run=run) from None


def _say(state: State, todo: str, there: str) -> str:
    return todo if state == "absent" else there


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"
