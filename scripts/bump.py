"""Raises a chart's version: in Chart.yaml, the changelog and every other file that names it, all or none."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts import changelog
from scripts.chart import Chart, read_chart, with_version
from scripts.command import Runner
from scripts.config import Config
from scripts.edits import Edit
from scripts.embedded import registry_for
from scripts.errors import ConfigError, GitError, RegistryError, VersionError
from scripts.git import Repository
from scripts.places import shown
from scripts.registry import connect
from scripts.toolchain import Toolchain
from scripts.version import highest, parse, resolve, tag_name


@dataclass(frozen=True)
class Bump:
    """A chart's step from version `old` to `new`: the `edits` that make it, and `notes` for a person."""

    name: str
    old: str
    new: str
    date: datetime.date
    edits: tuple[Edit, ...]
    notes: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(edit.path for edit in self.edits)


@dataclass(frozen=True)
class Taken:
    """Versions of a chart that exist already, by where they do."""

    tagged: tuple[str, ...] = ()
    published: tuple[str, ...] = ()


def plan_bump(
    config: Config,
    wanted: str,
    *,
    date: datetime.date,
    app_version: str | None = None,
    taken: Taken = Taken(),
    read: Callable[[Path], bytes | None] | None = None,
) -> Bump:
    """How the chart at `config.chart` gets the version `wanted` (a part of a version, or a version).

    Nothing is written. `read` gives a file's content in place of the disk. Raises ChartError, VersionError (not
    a version, or none above all that there are), ChangelogError (nothing to release), ConfigError.
    """
    read = read or _read
    file = config.chart / "Chart.yaml"
    chart = read_chart(config.chart)
    before = _text(file, read)
    old = _version_in(before, chart)
    new = resolve(old, wanted)
    _refuse_old(chart.name, old, new, taken)
    edits: list[Edit] = []
    notes: list[str] = []

    changes = None
    history = read(config.changelog)
    if history is None:
        notes.append(f"there is no {shown(config.changelog)}: no changelog is kept, and artifacthub.io/changes stays")
    else:
        text = _decoded(config.changelog, history)
        source = shown(config.changelog)
        entries = changelog.releasable(changelog.parse(text, source))
        changes = [(entry.kind, changelog.plain(entry.text)) for entry in entries]
        released = changelog.release(text, new, date, tag=tag_name(chart.name, new), source=source)
        notes += released.notes
        edits.append(Edit(config.changelog, history, released.text.encode()))

    after = with_version(before, new, app_version=app_version, changes=changes, source=shown(file))
    edits.insert(0, Edit(file, before.encode(), after.encode()))
    edits += _badges(config.chart / "README.md", read, (old, new), (chart.app_version, app_version))
    edits += [_mention(config.root / name, read, old, new) for name in config.version_files]
    return Bump(chart.name, old, new, date, tuple(edits), tuple(notes))


def taken_versions(
    config: Config,
    chart: Chart,
    repository: Repository | None,
    runner: Runner,
    toolchain: Toolchain,
    say: Callable[[str], None],
) -> Taken:
    """The versions of `chart` that git tags and the registry hold; a registry that cannot be asked is passed over."""
    prefix = tag_name(chart.name, "")
    tags = repository.tags() if repository else {}
    tagged = tuple(name.removeprefix(prefix) for name in tags if name.startswith(prefix))
    if not config.registry and not config.embedded_registry.is_dir():
        return Taken(tagged)  # nothing was ever published there
    try:
        with registry_for(config, runner, toolchain, say) as registry, connect(registry) as client:
            return Taken(tagged, tuple(client.versions(chart.name)))
    except RegistryError as error:
        say(f"the registry cannot be asked for its versions, so they are not compared: {error.message}")
        return Taken(tagged)


def demand_clean(repository: Repository | None, *, but: Iterable[Path] = ()) -> None:
    """Raises GitError when the working tree has changes, other than to the files `but`."""
    if repository is None:
        return
    spared = {path.resolve() for path in but}
    dirty = [path for path in repository.changes() if (repository.root / path).resolve() not in spared]
    if dirty:
        more = f"\nand {len(dirty) - 10} more" if len(dirty) > 10 else ""
        raise GitError(
            "the working tree has changes that are not committed",
            expected="a clean tree, so that the commit says what was released",
            found="\n".join(dirty[:10]) + more,
            run="git commit or git stash them, or pass --allow-dirty",
        )


def release_day(environ: Mapping[str, str]) -> datetime.date:
    """Today in UTC, or the day of SOURCE_DATE_EPOCH (seconds). Raises ConfigError."""
    epoch = environ.get("SOURCE_DATE_EPOCH")
    if not epoch:
        return datetime.datetime.now(datetime.UTC).date()
    try:
        return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).date()
    except (ValueError, OverflowError, OSError):
        raise ConfigError("SOURCE_DATE_EPOCH is no time", expected="seconds since 1970", found=repr(epoch)) from None


def _refuse_old(name: str, old: str, new: str, taken: Taken) -> None:
    """A version is given once and rises; build metadata does not make a version higher."""
    versions = {
        f"the chart's version {old}": old,
        "the git tag {}": highest(list(taken.tagged)),
        "the published version {}": highest(list(taken.published)),
    }
    for what, version in versions.items():
        if version is not None and parse(new) <= parse(version):
            raise VersionError(
                f"{new} is not above the latest version of {name}",
                expected=f"a version above {version}",
                found=what.format(tag_name(name, version) if "tag" in what else version),
                run="take a higher version: --part patch|minor|major, or --version X",
            )


def _badges(
    readme: Path, read: Callable[[Path], bytes | None], *pairs: tuple[str | None, str | None]
) -> tuple[Edit, ...]:
    """The badges that helm-docs writes into a chart's README."""
    before = read(readme)
    if before is None:
        return ()
    text = _decoded(readme, before)
    for label, (old, new) in zip(("Version", "AppVersion"), pairs, strict=True):
        if old is not None and new is not None:
            text = text.replace(f"![{label}: {old}](", f"![{label}: {new}](")
            before_badge, after_badge = (f"/badge/{label}-{version.replace('-', '--')}-" for version in (old, new))
            text = text.replace(before_badge, after_badge)
    return (Edit(readme, before, text.encode()),) if text.encode() != before else ()


def _mention(path: Path, read: Callable[[Path], bytes | None], old: str, new: str) -> Edit:
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


def _version_in(text: str, chart: Chart) -> str:
    import yaml

    version = yaml.safe_load(text).get("version", chart.version)
    parse(version, f"{shown(chart.path / 'Chart.yaml')}: version")
    return str(version)


def _text(path: Path, read: Callable[[Path], bytes | None]) -> str:
    data = read(path)
    if data is None:
        raise GitError(f"{shown(path)} is not committed", run=f"git add {shown(path)}")
    return _decoded(path, data)


def _decoded(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{shown(path)} is not UTF-8 text", found=f"byte {error.start}") from None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{shown(path)} cannot be read", found=error.strerror) from error
