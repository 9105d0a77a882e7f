"""Raises a chart's version: in Chart.yaml, the changelog and every other file that names it, all or none."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.chart import changelog
from scripts.chart.source import Chart, read_chart, with_version
from scripts.core import edits
from scripts.core.config import Config
from scripts.core.edits import Edit
from scripts.core.errors import ConfigError, GitError, RegistryError, VersionError
from scripts.core.git import Repository, find_repository
from scripts.core.owner import owned
from scripts.core.paths import line_of, shown
from scripts.core.progress import Say
from scripts.core.semver import PARTS, bump, highest, parse, tag_name
from scripts.core.yaml_read import load
from scripts.registry.client import ListingError, connect
from scripts.registry.embedded import registry_in_use
from scripts.registry.reference import Registry
from scripts.workspace import Workspace

Read = Callable[[Path], bytes | None]
"""A file's content, None where there is no such file."""

_TAG = re.compile(r"\w[\w.-]{0,127}")  # what an image's tag may be
_CLEAN = "git commit or git stash them, or pass --allow-dirty"
_HIGHER = "take a higher version: --part major|minor|patch, or --version X"


@dataclass(frozen=True)
class Bump:
    """A chart's step from version `old` to `new`: the `edits` that make it, and `notes` for a person.

    `date` is the one that the changelog gives the version, None without a changelog.
    """

    name: str
    old: str
    new: str
    date: datetime.date | None
    edits: tuple[Edit, ...]
    notes: tuple[str, ...] = ()


def read_disk(path: Path) -> bytes | None:
    """The content of the file `path`, None where there is none. Raises ConfigError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{shown(path)} cannot be read", found=error.strerror) from error


def read_bump(work: Workspace, *, part: str | None, version: str | None, app_version: str | None, dirty: bool) -> Bump:
    """The bump of the chart as it lies there, above all that is tagged or published; nothing is written.

    A registry that cannot be asked is said and not compared with. Raises as `plan_bump`, and GitError for changes that
    are not committed unless `dirty`.
    """
    chart = read_chart(work.config.chart)
    repository = find_repository(chart.path, work.runner)
    if not dirty:
        demand_clean(repository)
    published: tuple[str, ...] = ()
    try:
        with registry_in_use(work) as registry:
            published = published_versions(chart, registry, work.say)
    except RegistryError as error:
        work.say(f"the registry cannot be asked, so its versions are not compared: {error.message}")
    return plan_bump(
        work.config,
        date=release_day(),
        part=part,
        version=version,
        app_version=app_version,
        tagged=tagged_versions(chart, repository),
        published=published,
    )


def plan_bump(
    config: Config,
    *,
    date: datetime.date,
    part: str | None = None,
    version: str | None = None,
    app_version: str | None = None,
    tagged: Iterable[str] = (),
    published: Iterable[str] = (),
    read: Read = read_disk,
) -> Bump:
    """How the chart at `config.chart` gets its next version: one `part` raised, or exactly `version`.

    Nothing is written. `tagged` and `published` are versions of the chart that exist already; `read` gives what the
    files hold, the disk by default. Raises ChartError, VersionError (not a version, or not above all that there are),
    ChangelogError (nothing to release), ConfigError.
    """
    if (part is None) == (version is None):
        raise ConfigError(
            "which version the chart moves to is not said", expected=f"either --part {'|'.join(PARTS)} or --version X"
        )
    if app_version is not None and not _TAG.fullmatch(app_version):
        raise ConfigError(
            "--app-version cannot be the tag of an image", expected="such as 1.4.0", found=repr(app_version)
        )
    chart, file = read_chart(config.chart), config.chart / "Chart.yaml"
    before, metadata = _metadata(file, read)
    old = str(parse(str(metadata.get("version")), f"{shown(file)}:{line_of(file, ['version'])}: version"))
    new = bump(old, part) if part is not None else str(parse(version or "", "--version"))
    _refuse_old(chart.name, old, new, highest(tagged), highest(published))

    changes, history, notes = _history(config, new, tag_name(chart.name, new), date, read)
    after = with_version(before, new, app_version=app_version, changes=changes, source=shown(file))
    all_edits = [Edit(file, before.encode(), after.encode()), *history]
    old_app = metadata.get("appVersion")
    all_edits += _badges(config.chart / "README.md", read, (old, new), (str(old_app) if old_app else None, app_version))
    all_edits += [_mention(config.project / name, read, old, new) for name in config.version_files]
    return Bump(chart.name, old, new, None if changes is None else date, tuple(all_edits), notes)


def pending_bump(
    config: Config, chart: Chart, repository: Repository, part: str, published: Iterable[str], today: datetime.date
) -> Bump | None:
    """The raise of `part` that leads from HEAD to a commit of the new version; None where HEAD is that commit.

    A run that was killed may have made some of the edits, or all: that is the same bump. Raises GitError for other
    changes in the tree, and as `plan_bump` does.
    """
    if repository.subject() == commit_message(chart.name, chart.version):
        return None
    tagged = tagged_versions(chart, repository)

    def plan(day: datetime.date) -> Bump:
        def head(path: Path) -> bytes | None:
            return repository.file_at("HEAD", path)

        return plan_bump(config, date=day, part=part, tagged=tagged, published=published, read=head)

    bump, history = plan(today), read_disk(config.changelog)
    if history is not None:
        written = changelog.release_date(_decoded(config.changelog, history), bump.new)
        if written not in (None, today):
            bump = plan(written)  # killed yesterday
    ours = [edit for edit in bump.edits if read_disk(edit.path) in (edit.before, edit.after)]
    spared = [path for edit in ours for path in (edit.path, edit.fresh)]
    demand_clean(repository, but=spared, run="git commit or git stash them: a commit of the new version is made")
    return bump


@contextlib.contextmanager
def bumped(bump: Bump, repository: Repository) -> Iterator[None]:
    """The tree with the edits of `bump`, which the end of the block commits; where that fails they are taken back.

    Raises GitError, OutputError.
    """
    message = commit_message(bump.name, bump.new)
    try:
        edits.apply([replace(edit, before=_held(edit)) for edit in bump.edits])
        yield
        repository.make_commit(message, [edit.path for edit in bump.edits])
    except BaseException:
        if repository.subject() != message:  # a Ctrl-C may come after the commit
            changed = [edit for edit in bump.edits if _held(edit) != edit.before]
            edits.apply([Edit(edit.path, _held(edit), edit.before) for edit in changed])
        raise


def _held(edit: Edit) -> bytes:
    """What the file of an edit holds now."""
    return read_disk(edit.path) or b""


@contextlib.contextmanager
def bumped_copy(chart: Chart, bump: Bump) -> Iterator[Path]:
    """A copy of the chart's folder that has the edits of `bump`, gone after the block."""
    with tempfile.TemporaryDirectory(prefix=owned("bumped")) as scratch:
        folder = Path(scratch) / chart.path.name
        shutil.copytree(chart.path, folder, symlinks=True, ignore=shutil.ignore_patterns(edits.FRESH.format("*")))
        for edit in bump.edits:
            if edit.path.is_relative_to(chart.path):
                (folder / edit.path.relative_to(chart.path)).write_bytes(edit.after)
        yield folder


def commit_message(name: str, version: str) -> str:
    """The first line of the commit that raises a version, by which a later run knows it."""
    return f"Release {name} {version}"


def tagged_versions(chart: Chart, repository: Repository | None) -> tuple[str, ...]:
    """The versions of `chart` that git tags name."""
    prefix = tag_name(chart.name, "")
    tags = repository.tags() if repository else {}
    return tuple(name.removeprefix(prefix) for name in tags if name.startswith(prefix))


def published_versions(chart: Chart, registry: Registry | None, say: Say) -> tuple[str, ...]:
    """The versions of `chart` in the registry; none where there is no registry, or it lists them to nobody like us.

    Raises RegistryError.
    """
    if registry is None:
        return ()
    with connect(registry, push=True) as client:
        try:
            return client.versions(chart.name)
        except ListingError as error:
            say(f"note: {error.message}, so only git's tags say which versions there are ({error.found})")
            return ()


def demand_clean(repository: Repository | None, *, but: Iterable[Path] = (), run: str = _CLEAN) -> None:
    """Raises GitError, with `run` as the way out, when the working tree has changes other than to the files `but`."""
    if repository is None:
        return
    spared = {path.resolve() for path in but}
    dirty = [path for path in repository.changes() if (repository.root / path) not in spared]
    if dirty:
        raise uncommitted(dirty, run=run)


def uncommitted(dirty: Sequence[str], *, run: str = _CLEAN) -> GitError:
    """The refusal of a working tree in which the files `dirty` differ from HEAD."""
    more = f"\nand {len(dirty) - 10} more" if len(dirty) > 10 else ""
    return GitError(
        "the working tree has changes that are not committed",
        expected="a clean tree, so that a commit says what was released",
        found="\n".join(dirty[:10]) + more,
        run=run,
    )


def release_day() -> datetime.date:
    """Today in UTC, or the day of SOURCE_DATE_EPOCH (seconds since 1970). Raises ConfigError."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if not epoch:
        return datetime.datetime.now(datetime.UTC).date()
    try:
        return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).date()
    except (ValueError, OverflowError, OSError):
        raise ConfigError("SOURCE_DATE_EPOCH is no time", expected="seconds since 1970", found=repr(epoch)) from None


def _metadata(file: Path, read: Read) -> tuple[str, dict[str, Any]]:
    """A Chart.yaml as text and as what it says."""

    data = read(file)
    if data is None:
        raise GitError(f"{shown(file)} is not committed", run=f"git add {shown(file)} and git commit")
    text = _decoded(file, data)
    return text, load(text) or {}


def _refuse_old(name: str, old: str, new: str, tagged: str | None, published: str | None) -> None:
    """A version is given once and rises; build metadata does not make a version higher."""
    for latest, where in (
        (old, f"the chart in the tree is {old}"),
        (tagged, f"the git tag {tag_name(name, tagged or '')}"),
        (published, f"{published} is published"),
    ):
        if latest is not None and parse(new) <= parse(latest):
            raise VersionError(
                f"{new} is not above the latest version of {name}",
                expected=f"a version above {latest}",
                found=where,
                run=_HIGHER,
            )


def _history(
    config: Config, new: str, tag: str, date: datetime.date, read: Read
) -> tuple[list[tuple[str, str]] | None, list[Edit], tuple[str, ...]]:
    """What the changelog says of the new version, for Artifact Hub (None without a changelog); its edit; notes."""
    source, data = shown(config.changelog), read(config.changelog)
    if data is None:
        return None, [], (f"there is no {source}: no changelog is kept, and artifacthub.io/changes stays",)
    text = _decoded(config.changelog, data)
    unreleased = changelog.releasable(changelog.parse(text, source))
    changes = [
        (entry.kind, changelog.plain(entry.text))
        for entry in unreleased.entries
        if not entry.text.startswith(changelog.TOOLKIT)
    ]
    released = changelog.release(text, new, date, tag=tag, source=source)
    notes = released.notes
    if not changes:
        notes += ("every entry under Unreleased is about the toolkit: the chart's artifacthub.io/changes is empty",)
    return changes, [Edit(config.changelog, data, released.text.encode())], notes


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


def _mention(path: Path, read: Read, old: str, new: str) -> Edit:
    """Every mention of `old` in a file of `version_files`; one without any has drifted."""
    before = read(path)
    if before is None:
        raise ConfigError(f"[tool.gati] version_files names {shown(path)}, which is not there")
    pattern = rf"(?<![0-9])(?<![0-9]\.){re.escape(old)}(?![0-9]|\.[0-9]|[-+][0-9A-Za-z])"
    after, count = re.subn(pattern, new, _decoded(path, before))
    if not count:
        raise ConfigError(
            f"{shown(path)} does not name the version {old}",
            expected="the chart's version in every file of [tool.gati] version_files",
            run=f"correct {shown(path)}, or take it off the list in pyproject.toml",
        )
    return Edit(path, before, after.encode())


def _decoded(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{shown(path)} is not UTF-8 text", found=f"byte {error.start}") from None
