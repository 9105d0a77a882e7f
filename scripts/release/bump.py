"""Raises a chart's version: in Chart.yaml, the changelog and every other file that names it, all or none."""

from __future__ import annotations

import contextlib
import datetime
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.chart import changelog
from scripts.chart.constraints import admits
from scripts.chart.dependencies import declared_in, dependencies, fetched_archives, is_local
from scripts.chart.selection import all_of
from scripts.chart.source import ARTIFACT_HUB, Chart, read_chart, with_version
from scripts.checks.baseline import published_versions, stood_at, tagged_versions
from scripts.core import edits
from scripts.core.config import Config
from scripts.core.edits import Edit
from scripts.core.errors import SAME_COMMAND, ChartError, ConfigError, GitError, PartError, RegistryError, VersionError
from scripts.core.files import demand_settled, read_any
from scripts.core.git import SUBMODULE, Repository, find_repository
from scripts.core.paths import line_of, shown
from scripts.core.semver import (
    PARTS,
    bump,
    demand_part,
    highest,
    in_line,
    is_prerelease,
    is_semver,
    parse,
    step,
    tag_name,
)
from scripts.core.waiting import locked
from scripts.core.yaml_read import load, mapping_in
from scripts.registry.embedded import registry_in_use
from scripts.release.origin import OTHER_SUBMODULE, Difference, left_by_runs, uncommitted
from scripts.workspace import Workspace

Read = Callable[[Path], bytes | None]
"""A file's content, None where there is no such file."""

_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)  # what an image's tag may be
_PATIENCE = 600.0  # seconds to wait for another command that changes the project


@dataclass(frozen=True)
class Bump:
    """A chart's step from version `old` to `new`: the `edits` that make it, and `notes` for a person.

    `date` is the one that the changelog gives the version, None without a changelog. `committed` has the files as a
    commit will hold them, where a checkout changes line ends; `found` as they were when this was planned.
    """

    name: str
    old: str
    new: str
    date: datetime.date | None
    edits: tuple[Edit, ...]
    notes: tuple[str, ...] = ()
    committed: Mapping[Path, bytes] = field(default_factory=dict)
    found: Mapping[Path, bytes] = field(default_factory=dict)


def read_disk(path: Path) -> bytes | None:
    """The content of the file `path`, None where there is none. Raises ConfigError."""
    return read_any(path, ConfigError, shown(path))


def alone(work: Workspace) -> contextlib.AbstractContextManager[None]:
    """The project, for one command at a time that changes it: another one waits. Raises GitError saying who has it."""
    what = f"the version in {shown(work.config.project)}"
    return locked(work.config.project, what=what, deadline=_PATIENCE, say=work.say, error=GitError)


@dataclass(frozen=True)
class Request:
    """What a chart's version is to become: one `part` raised, to a candidate called `pre`, or exactly `version`.

    Raises UsageError for a step that nobody can mean, before anything is asked or read.
    """

    part: str | None = None
    version: str | None = None
    pre: str | None = None
    app_version: str | None = None

    def __post_init__(self) -> None:
        if self.pre is not None and self.part is None:
            expected = "the part as well: --bump of release, --part of version-bump"
            raise ConfigError("--pre names the pre-release of a part, and no part is given", expected=expected)
        if (self.part is None) == (self.version is None):
            told = "is not said" if self.part is None else "is said twice"
            expected = f"either --part {'|'.join((*PARTS, 'auto'))} or --version X"
            raise ConfigError(f"which version the chart moves to {told}", expected=expected)
        if self.part is not None:
            demand_part(self.part, self.pre)
        if self.version is not None:
            parse(self.version, "--version", PartError)
        if self.app_version is not None and not _TAG.fullmatch(self.app_version):
            raise ConfigError(
                "--app-version cannot be the tag of an image", expected="such as 1.4.0", found=repr(self.app_version)
            )

    def raised(self, version: str) -> str:
        return bump(version, self.part, pre=self.pre) if self.part is not None else self.version or ""


def read_bump(work: Workspace, request: Request, *, dirty: bool = False) -> Bump:
    """The bump of the chart as it lies there, above those of its line that are tagged or published; nothing is written.

    A registry that cannot be asked is said and not compared with. Raises as `plan_bump`, and GitError for changes that
    are not committed unless `dirty`.
    """
    chart = read_chart(work.config.chart)
    repository = find_repository(chart.path, work.runner)
    if not dirty and repository is not None and (found := changed(work.config, repository)):
        raise uncommitted(found)
    published: tuple[str, ...] = ()
    try:
        with registry_in_use(work) as registry:
            published = published_versions(chart, registry, work.say)
    except RegistryError as error:
        work.say(f"the registry cannot be asked, so its versions are not compared: {error.message}")
    tagged = tagged_versions(chart, repository)
    return plan_bump(work.config, request, date=release_day(), tagged=tagged, published=published)


def plan_bump(
    config: Config,
    request: Request,
    *,
    date: datetime.date,
    tagged: Iterable[str] = (),
    published: Iterable[str] = (),
    read: Read = read_disk,
) -> Bump:
    """How the chart at `config.chart` gets the version of `request`; nothing is written.

    `tagged` and `published` are versions of the chart that exist already; `read` gives what the files hold. Raises
    ChartError, VersionError (not a version, or not above those of its line), ChangelogError (nothing to release),
    ConfigError.
    """
    chart, file = read_chart(config.chart), (config.chart / "Chart.yaml").resolve()
    before, metadata = _metadata(file, read)
    old = str(metadata.get("version"))
    parse(old, f"{shown(file)}:{line_of(file, ['version'])}: version")
    new = request.raised(old)
    tagged, published = tuple(tagged), tuple(published)
    there = highest(in_line(tagged, old, new)), highest(in_line(published, old, new))
    _refuse_old(chart.name, old, new, request, *there)

    changes, history, notes = _history(config, new, tag_name(chart.name, new), date, read)
    dated = changes is not None
    if changes is None and f"{ARTIFACT_HUB}changes" in (metadata.get("annotations") or {}):
        changes = []  # those of the version before are not this one's
        notes += ("artifacthub.io/changes is empty",)
    after = with_version(before, new, app_version=request.app_version, changes=changes, source=shown(file))
    all_edits = [Edit(file, before.encode(), after.encode()), *history]
    old_app = metadata.get("appVersion")
    readme = (config.chart / "README.md").resolve()
    all_edits += _badges(readme, read, (old, new), (str(old_app) if old_app else None, request.app_version))
    if not is_prerelease(new):  # who installs from a page installs the last final version
        olds = [old]
        if is_prerelease(old):  # while it is a candidate, such pages name the final versions
            told = _read_history(config, read)
            named = [section.version for section in told.sections if section.version] if told else []
            olds += _finals(new, (*tagged, *published, *named))
        for path in config.version_paths:
            made = next((edit for edit in all_edits if edit.path == path), None)
            if made is None:
                all_edits.append(_mention(path, read(path), olds, new))
            elif path == readme:  # and Chart.yaml and the changelog say what they have to
                with contextlib.suppress(ConfigError):  # no version beside the badge
                    whole = _mention(path, made.after, olds, new).after
                    all_edits[all_edits.index(made)] = replace(made, after=whole)
    notes = (*notes, *_left_behind(config, chart, new))
    return Bump(chart.name, old, new, date if dated else None, tuple(all_edits), notes)


def _left_behind(config: Config, chart: Chart, new: str) -> Iterator[str]:
    """Which charts of the project do not take the new version of one that they need, as far as they can be read."""
    with contextlib.suppress(ChartError, ConfigError):
        for user in all_of(config):
            for one in dependencies(user) if is_local(user, chart.path) else ():
                if one.name == chart.name and one.version and not admits(one.version, new):
                    yield f"{shown(declared_in(user))} asks for {one.name} {one.version}, which {new} is not"


def pending_bump(
    config: Config,
    chart: Chart,
    repository: Repository,
    head: str,
    request: Request,
    published: Iterable[str],
    today: datetime.date,
) -> Bump | None:
    """The raise that leads from HEAD, the commit `head`, to one of the new version; None where HEAD is that commit.

    A run that was killed may have made some of the edits, or all: that is the same bump. Raises as `plan_bump` does.
    """
    if (raised := raised_by_head(config, chart.name, repository, head)) is not None:
        before, now = raised
        if request.raised(before) == now:
            return None
        tag = repository.tags().get(tag_name(chart.name, now))
        if not is_prerelease(now) and tag in (None, head):  # else that commit was merged with others
            raise VersionError(
                f"HEAD is the commit that raised {chart.name} from {before} to {now}",
                expected=f"changes since then to release, or the --bump that led to {now}; without one it is released",
                run="invoke release",
            )
    tagged = tagged_versions(chart, repository)

    def plan(day: datetime.date, *, as_checkout: bool = True) -> Bump:
        def held(path: Path) -> bytes | None:
            kept = repository.file_at(head, path)
            as_kept = kept is None or not as_checkout or read_disk(path) == kept
            return kept if as_kept else repository.file_at(head, path, as_checkout=True)

        return plan_bump(config, request, date=day, tagged=tagged, published=published, read=held)

    found, history = plan(today), _read_history(config, read_disk)
    begun = history.section(found.new) if history else None
    if begun and begun.date and begun.date != today:
        found = plan(begun.date)  # killed yesterday
    committed = plan(found.date or today, as_checkout=False)
    return replace(
        found,
        committed={edit.path: edit.after for edit in committed.edits},
        found={edit.path: _held(edit) for edit in found.edits},
    )


def raised_by_head(config: Config, name: str, repository: Repository, head: str) -> tuple[str, str] | None:
    """The versions before and after the last commit `head`, where it raised the chart's; None where it did not.

    Whoever made it, and whatever its message says; the commits that hooks added to ours belong to it. Raises GitError
    where a shallow clone does not tell.
    """
    file = config.chart / "Chart.yaml"
    now = _version_at(repository, head, file)
    parent = repository.before(commit_message(name, now or ""), head) or repository.parent()
    folder = stood_at(config.chart, repository, parent) if parent else None
    before = _version_at(repository, parent, folder / "Chart.yaml") if parent and folder else None
    if now is None or before is None or parse(now) <= parse(before):
        return None
    inside = config.changelog.is_relative_to(repository.root)
    history = _read_history(config, lambda path: repository.file_at(head, path)) if inside else None
    if history is not None and history.section(now) is None:
        return None  # a version that was written by hand, and is to be released with the next
    return before, now


def _version_at(repository: Repository, commit: str, file: Path) -> str | None:
    version = mapping_in(repository.file_at(commit, file) or b"").get("version")
    return version if isinstance(version, str) and is_semver(version) else None


@contextlib.contextmanager
def bumped(bump: Bump, repository: Repository, before: str) -> Iterator[None]:
    """Makes the edits and their commit on `before` at the end of the block, or takes all back.

    So it does where a hook has kept something out of the commit. What a person has written meanwhile stays as it is, or
    where it is in the way, as an object of git's. Raises GitError, OutputError.
    """
    begun = False
    try:
        yield
        edits.apply([replace(edit, before=bump.found[edit.path]) for edit in bump.edits])
        begun = True
        _demand_held(bump, repository, before, _commit(bump, repository))
    except BaseException as error:
        if not _made(bump, repository):  # a Ctrl-C may come after the commit
            now = [(edit, _held(edit)) for edit in bump.edits]
            changed = [(edit, held) for edit, held in now if held == edit.after or (begun and held != edit.before)]
            edits.apply([Edit(edit.path, held, edit.before) for edit, held in changed])
            for edit in bump.edits:  # of a run that was killed
                with contextlib.suppress(OSError):
                    edit.fresh.unlink()
            for edit, held in changed:
                if held != edit.after and isinstance(error, GitError):  # by a hook, or by a person
                    kept = f"git cat-file blob {repository.keep(held)}"
                    error.found = f"{error.found}\n{shown(edit.path)} as it was: {kept}"
        raise


def _commit(bump: Bump, repository: Repository) -> str:
    try:
        return repository.make_commit(commit_message(bump.name, bump.new), bump.committed)
    except GitError as error:
        made = _made(bump, repository)  # and a hook has not ended after it
        if not made and "fatal: " not in (error.found or ""):  # it was a hook, which may not like the message
            error.expected = f"a commit of {bump.new} as the hook wants it"
            error.run = f"invoke version-bump --version {bump.new}, then git commit --all, then {SAME_COMMAND}"
        raise


def _made(bump: Bump, repository: Repository) -> bool:
    """Whether HEAD holds the new version."""
    commit = repository.commit()
    return commit is not None and _version_at(repository, commit, bump.edits[0].path) == bump.new


def _demand_held(bump: Bump, repository: Repository, before: str, commit: str) -> None:
    """Raises GitError, and goes back to the commit `before`, where a hook kept edits or the version out of ours."""
    then, now = repository.tree(before), repository.tree(commit)
    same = [edit.path for edit in bump.edits if then.get(at := repository.inside(edit.path)) == now.get(at)]
    wrong = [f"{shown(path)} as it was" for path in same]
    if (version := _version_at(repository, commit, bump.edits[0].path)) != bump.new or wrong:
        repository.go_back(before)
        raise GitError(
            "a hook changed the version that was committed",
            expected=f"{bump.new} in {', '.join(shown(edit.path) for edit in bump.edits)}",
            found="\n".join(wrong or [str(version)]),
            run=f"mend the hook, then {SAME_COMMAND}",
        )


def _held(edit: Edit) -> bytes:
    return read_disk(edit.path) or b""


def commit_message(name: str, version: str) -> str:
    return f"Release {name} {version}"


def changed(config: Config, repository: Repository) -> tuple[Difference, ...]:
    """The files that differ from HEAD, byte for byte, but for what runs of ours and helm have left untracked."""
    fetched, left = {path.resolve() for path in fetched_archives(read_chart(config.chart))}, left_by_runs(config)
    paths = repository.changes()
    commit = repository.commit() if paths else None
    held = repository.tree(commit) if commit else {}
    places = {path: repository.root / path for path in paths}
    modules = {path for path in places if path in held and held[path].mode == SUBMODULE}
    kept = repository.blobs(held[path].oid for path in places if path in held and path not in modules)

    def counts(path: str, place: Path) -> bool:
        if path not in held:
            return not (place in fetched or left(place))
        return not place.is_file() or place.read_bytes() != kept.get(held[path].oid)

    found = [path for path, place in places.items() if counts(path, place)]
    return tuple(Difference(path, OTHER_SUBMODULE if path in modules else "") for path in found)


def release_day() -> datetime.date:
    """Today in UTC, whatever time a packaging system sets for what it builds."""
    return datetime.datetime.now(datetime.UTC).date()


def _metadata(file: Path, read: Read) -> tuple[str, dict[str, Any]]:
    data = read(file)
    if data is None:
        raise GitError(f"{shown(file)} is not committed", run=f"git add {shlex.quote(str(file))} && git commit")
    text = _decoded(file, data)
    return text, load(text) or {}


def _refuse_old(name: str, old: str, new: str, request: Request, tagged: str | None, published: str | None) -> None:
    """A version is given once and rises on its line; build metadata does not make a version higher."""
    for latest, where in (
        (old, f"the chart in the tree is {old}"),
        (tagged, f"the git tag {tag_name(name, tagged or '')}"),
        (published, f"{published} is published"),
    ):
        if latest is not None and parse(new) <= parse(latest):
            top = highest(version for version in (old, tagged, published) if version) or old
            ways = [bump(top, request.part or step(old, new), pre=word) for word in (request.pre, None)]
            raise VersionError(
                f"{new} is not above the latest version of {name}",
                expected=f"a version above {latest}, as {in_words(old, new)}",
                found=where,
                run=f"invoke version-bump --version {next(way for way in ways if parse(way) > parse(top))}",
            )


def in_words(old: str, new: str) -> str:
    """The line on which `old` leads to `new`, for a person."""
    after, part = parse(new), step(old, new)
    if part == "major":
        return "it opens a new major"
    return f"it continues the line {after.major}" + (f".{after.minor}" if part == "patch" else "")


def _finals(new: str, versions: Iterable[str]) -> list[str]:
    """The final versions below `new`, the highest first."""
    known = {each for each in versions if is_semver(each) and not is_prerelease(each) and parse(each) < parse(new)}
    return sorted(known, key=parse, reverse=True)


def _read_history(config: Config, read: Read) -> changelog.Changelog | None:
    data = read(config.changelog)
    return None if data is None else changelog.parse(_decoded(config.changelog, data), shown(config.changelog))


def _history(
    config: Config, new: str, tag: str, date: datetime.date, read: Read
) -> tuple[list[tuple[str, str]] | None, list[Edit], tuple[str, ...]]:
    """What the changelog says of the new version, for Artifact Hub (None without a changelog); its edit; notes."""
    source, data = shown(config.changelog), read(config.changelog)
    if data is None:
        lacking = "" if config.changelog.name == "none" else f"there is no {source}: "
        return None, [], (f"{lacking}no changelog is kept",)
    text = _decoded(config.changelog, data)
    unreleased = changelog.releasable(changelog.parse(text, source), new)
    changes = [
        (entry.kind, changelog.plain(entry.text))
        for entry in unreleased.entries
        if not entry.text.startswith(changelog.TOOLKIT)
    ]
    released = changelog.release(text, new, date, tag=tag, source=source)
    notes = released.notes
    if not changes:
        notes += ("every entry under Unreleased is about the toolkit: the chart's artifacthub.io/changes is empty",)
    return changes, [Edit(config.changelog.resolve(), data, released.text.encode())], notes


def _badges(readme: Path, read: Read, *pairs: tuple[str | None, str | None]) -> list[Edit]:
    """The badges that helm-docs writes into a chart's README."""
    before = read(readme)
    if before is None:
        return []
    text = _decoded(readme, before)
    for label, (old, new) in zip(("Version", "AppVersion"), pairs, strict=True):
        if old is not None and new is not None:
            text = text.replace(f"![{label}: {old}](", f"![{label}: {new}](")
            before_badge, after_badge = (f"/badge/{label}-{version.replace('-', '--')}-" for version in (old, new))
            text = text.replace(before_badge, after_badge)
    return [Edit(readme, before, text.encode())] if text.encode() != before else []


def _mention(path: Path, before: bytes | None, olds: Sequence[str], new: str) -> Edit:
    """Every mention of the first of `olds` that a file of `version_files` names; one without any has drifted."""
    if before is None:
        lacks = "which no commit of the repository holds" if path.exists() else "which is not there"
        raise ConfigError(f"[tool.gati] version_files names {shown(path)}, {lacks}")
    text = _decoded(path, before)
    for old in olds:
        name = rf"(?<![0-9])(?<![0-9]\.){re.escape(old)}"
        # In the address of a badge a colour follows, and is no pre-release, which begins with two hyphens there.
        after, badges = re.subn(rf"(/badge/[^/\s]*?){name}(?=-[^-])", rf"\g<1>{new}", text)
        after, count = re.subn(rf"{name}(?![0-9]|\.[0-9]|(--?|\+)[0-9A-Za-z])", new, after)
        if badges or count:
            return Edit(path, before, after.encode())
    raise ConfigError(
        f"{shown(path)} does not name the version {olds[0]}",
        expected="the chart's version in every file of [tool.gati] version_files",
        run=f"correct {shown(path)}, or take it off the list in pyproject.toml",
    )


def _decoded(path: Path, data: bytes) -> str:
    demand_settled(shown(path), data, VersionError)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{shown(path)} is not UTF-8 text", found=f"byte {error.start}") from None
