"""Decides what a candidate is upgraded from: published versions, archives, commits; and puts charts into a registry."""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterable
from pathlib import Path

from scripts.chart.archive import chart_metadata, read_members
from scripts.chart.dependencies import provide_dependencies
from scripts.chart.helm import Helm
from scripts.chart.source import Chart, read_chart
from scripts.core.errors import ChartError, ConfigError, GitError, RegistryError
from scripts.core.files import sha256, write_atomic
from scripts.core.git import Repository, find_repository
from scripts.core.semver import is_semver, parse
from scripts.e2e.lab import DEFAULT, Published, Sets
from scripts.registry.client import connect as ask_registry
from scripts.registry.embedded import registry_in_use
from scripts.registry.reference import Registry
from scripts.release.origin import committed_copy
from scripts.release.publish import push
from scripts.workspace import Workspace

USUAL = "last:1"
_COMMIT, _ARCHIVE = "git:", ".tgz"
_FORMS = (
    "last:N with N from 1, versions (0.1.0), archives (a-0.1.0.tgz), or commits (git:REV), with commas between them"
)


def check_sources(wanted: str) -> None:
    """Raises ConfigError for a text that names no sources."""
    for word in _words(wanted):
        if not word.startswith(_COMMIT) and not word.endswith(_ARCHIVE):
            how_many(word)


def demand_here(work: Workspace, wanted: str, name: str) -> None:
    """Raises GitError or ChartError for a commit or an archive of the chart `name` that is not there."""
    for word in _words(wanted):
        if word.startswith(_COMMIT):
            _commit(work, word.removeprefix(_COMMIT))
        elif word.endswith(_ARCHIVE):
            _version_in(Path(word), name)


def find_sources(
    work: Workspace, wanted: str, chart: Chart, candidate: str, folder: str, into: Path
) -> dict[str, Path]:
    """The archives to upgrade from by version, newest first: those that `wanted` names, and the first of `folder`.

    `folder` holds published archives, "" for none. Nothing where nothing was asked for and nothing is published. A
    version that is not published, or fewer than N, is an error and not skipped.
    Raises ConfigError, RegistryError, ChartError, GitError.
    """
    archives = sorted((work.config.project / folder).glob(f"{chart.name}-*{_ARCHIVE}")) if folder else []
    frozen = {file.stem.removeprefix(f"{chart.name}-"): file for file in archives}
    if folder and not frozen:
        raise ChartError(f"there is no archive of {chart.name} in {folder}", expected="the first published one")
    found: dict[str, Path] = {}
    named = []
    for word in _words(wanted):
        if word.startswith(_COMMIT):
            version, file = _of_commit(work, word.removeprefix(_COMMIT), into)
            found[version] = file
        elif word.endswith(_ARCHIVE):
            found[_version_in(Path(word), chart.name)] = Path(word)
        else:
            named.append(word)
    if not named and not frozen:
        return found
    with contextlib.ExitStack() as stack:
        published, pull = list(frozen), frozen.__getitem__
        registry = stack.enter_context(registry_in_use(work))
        if registry is not None:
            client = stack.enter_context(ask_registry(registry))
            published += client.versions(chart.name)

            def pull(version: str) -> Path:
                return frozen.get(version) or client.pull(registry.reference(chart.name, version), into)

        older = [version for version in published if is_semver(version) and parse(version) < parse(candidate)]
        if not wanted and not older:
            return found
        first = min(frozen, key=parse, default=candidate)
        for version in choose(named, published, candidate, first=first):
            found[version] = pull(version)
    return found


def choose(wanted: Iterable[str], published: Iterable[str], candidate: str, *, first: str) -> list[str]:
    """The versions that the words `wanted` name, and `first`, which every candidate but itself is upgraded from.

    `last:N` are the N before `candidate`, newest first, and any other word is a version itself. A release is
    upgraded from releases, a pre-release from pre-releases too. Raises ConfigError, RegistryError.
    """
    known = sorted(filter(is_semver, set(published)), key=parse, reverse=True)
    shown, mine, versions = ", ".join(known) or "none", parse(candidate), list[str]()
    before = [one for one in known if parse(one) < mine and (mine.prerelease or not parse(one).prerelease)]
    for word in wanted:
        number = how_many(word)
        if number and len(before) < number:
            raise RegistryError(
                f"fewer versions than --from {word} asks for were published before {candidate}",
                expected=f"{number} versions",
                found=", ".join(before) or f"none (published: {shown})",
                run="ask for fewer, or name the registry that holds them: GATI_REGISTRY=oci://host/path",
            )
        versions += before[:number] if number else [word]
    if absent := [version for version in versions if version not in known]:
        raise RegistryError(
            f"--from names {', '.join(absent)}, which is not published",
            found=f"published versions: {shown}",
            run="name those, or the registry that holds the others: GATI_REGISTRY=oci://host/path",
        )
    return list(dict.fromkeys((*versions, *([first] if first != candidate else []))))


def how_many(word: str) -> int | None:
    """N of `last:N`, None for a version. Raises ConfigError for what is neither."""
    if is_semver(word) and word[0] != "v":
        return None
    kind, _, number = word.partition(":")
    if kind != "last" or not number.isdecimal() or int(number) < 1:
        raise ConfigError(f"--from {word} names no versions", expected=_FORMS)
    return int(number)


def _words(wanted: str) -> list[str]:
    words = [word.strip() for word in (wanted or USUAL).split(",")]
    if "" in words:
        raise ConfigError(f"--from {wanted} names no versions", expected=_FORMS)
    return words


def _commit(work: Workspace, revision: str) -> tuple[Repository, str]:
    """The repository and the id of a commit. Raises GitError where there is none."""
    repository = find_repository(work.config.chart, work.runner)
    if repository is None:
        raise GitError(f"{work.config.chart} is in no git repository", run=f"leave {_COMMIT}{revision} out of --from")
    return repository, repository.known(revision)


def _of_commit(work: Workspace, revision: str, into: Path) -> tuple[str, Path]:
    """The chart as a commit has it, packed; its version says which, since it need not differ from the candidate's."""
    repository, commit = _commit(work, revision)
    with committed_copy(work.config, repository, commit) as copy:
        old = read_chart(copy.folder)
        provide_dependencies(old, work.helm, work.say)
        version = f"{old.version.partition('+')[0]}-git-{commit[:8]}"
        return version, work.helm.package(copy.folder, into, epoch=0, version=version)


def _version_in(file: Path, name: str) -> str:
    """The version in an archive of the chart `name`. Raises ChartError."""
    if not file.is_file():
        raise ChartError(f"--from {file}: there is no such archive", run="correct --from")
    metadata = chart_metadata(file.read_bytes(), str(file))
    if metadata["name"] != name:
        raise ChartError(f"--from {file} is an archive of another chart", expected=name, found=metadata["name"])
    return str(metadata["version"])


def push_archive(
    registry: Registry, helm: Helm, file: Path, name: str, version: str, workplace: Path, sets: Sets
) -> Published:
    """Put an archive into the registry of the run, under the digest that it was published with.

    Of the values files that `sets` names its own are taken where it carries them.
    """
    with tarfile.open(file) as archive:
        made = max(member.mtime for member in archive)
    with ask_registry(registry) as client:
        push(client, file, int(made), helm)
        found = client.manifest(registry.reference(name, version))
    if found is None:
        raise RegistryError(f"{file} was pushed, and the registry does not have {name} {version}")
    carried = carried_values(file, sets, workplace / f"values-{version}")
    return named(registry, file, name, version, found.digest, {**sets, **carried})


def named(registry: Registry, archive: Path, name: str, version: str, digest: str, values: Sets) -> Published:
    """A chart in the registry of the run."""
    reference = f"oci://{registry.host}/{registry.repository(name)}@{digest}"
    return Published(name, version, digest, reference, sha256(archive), values)


def carried_values(archive: Path, sets: Iterable[str], into: Path) -> dict[str, Path | None]:
    """The values files in an archive by the names of their sets: "prod" of values-prod.yaml."""
    members = read_members(archive.read_bytes(), str(archive))
    inside = {member.partition("/")[2]: data for member, data in members.items()}
    found: dict[str, Path | None] = {}
    for name in sets:
        if name == DEFAULT:
            found[name] = None
            continue
        choices = (f"{stem}{end}" for stem in (f"values-{name}", name) for end in (".yaml", ".yml"))
        if choice := next((one for one in choices if one in inside), ""):
            found[name] = into / choice
            write_atomic(into / choice, inside[choice])
    return found


def values_sets(chart: Chart) -> dict[str, Path | None]:
    """The values sets of a chart folder by name: "default" without a file, "prod" of values-prod.yaml."""
    found: dict[str, Path | None] = {}
    for file in chart.values_files or (chart.path / "values.yaml",):
        name = file.relative_to(chart.path).with_suffix("").as_posix() if file.is_relative_to(chart.path) else file.stem
        found[DEFAULT if name == "values" else name.removeprefix("values-")] = None if name == "values" else file
    return found
