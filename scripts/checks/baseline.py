"""Finds the earlier states of a chart, and brings one back to compare with: a published version, or a git revision."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from scripts.chart.archive import unpack
from scripts.chart.dependencies import by_path, lend
from scripts.chart.source import Chart, read_chart
from scripts.core.committed import placed, read_committed
from scripts.core.config import demand_no_login
from scripts.core.errors import USAGE, ChartError, GitError, RegistryError, telling
from scripts.core.files import read_file
from scripts.core.git import Repository, find_repository
from scripts.core.owner import temporary
from scripts.core.paths import shown
from scripts.core.progress import Say
from scripts.core.semver import is_semver, newest_first, parse, tag_name
from scripts.core.yaml_read import mapping_in
from scripts.registry.client import ListingError, connect
from scripts.registry.embedded import fetch_chart, registry_in_use, served
from scripts.registry.reference import Registry, is_reference
from scripts.workspace import Workspace

GIT = "git:"
"""What a reference to a git revision may begin with, so that it is taken for nothing else."""
_FORMS = "a version such as 1.4.0, git:REVISION, oci://host/path/name:version, or a chart's archive or folder"


@contextlib.contextmanager
def asked_once(work: Workspace) -> Iterator[Workspace]:
    """For `last_version` and `earlier_chart`: the embedded registry, where it can be served, is served for both."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(RegistryError):  # which the question tells
            work = served(work, stack.enter_context(registry_in_use(work)))
        yield work


@contextlib.contextmanager
def earlier_chart(work: Workspace, reference: str) -> Iterator[Chart]:
    """The chart at `reference`, in a folder that is gone after the block.

    `reference` is `oci://host/path/name:version`, a version (the configured registry has it), an archive, another
    folder, or anything that git knows as a revision, with or without `git:` before it. Raises RegistryError,
    GitError, ChartError.
    """
    if "://" in reference:
        demand_no_login(reference, "the earlier chart's address")
    with temporary("earlier") as folder:
        if is_reference(reference) or (is_semver(reference) and not _is_tag(work, reference)):
            try:
                path = fetch_chart(work, reference, folder)
            except RegistryError as error:
                if tag := _tag_of(work, reference):
                    error.run = f"give {GIT}{tag} in its place, which is its tag in git"
                raise
        elif not reference.startswith(GIT) and (Path(reference) / "Chart.yaml").is_file():
            path = Path(reference).resolve()
        elif not reference.startswith(GIT) and reference.endswith(".tgz"):
            path = _unpacked(Path(reference), folder)
        else:
            path = _exported(work, reference, folder)
        with telling({str(path): reference} if path.is_relative_to(folder) else {}):
            yield read_chart(path)


def _is_tag(work: Workspace, version: str) -> bool:
    """Whether `version`, with a leading v as most tags of git have it, is one here."""
    repository = find_repository(work.config.chart, work.runner) if version.startswith("v") else None
    return repository is not None and repository.commit(version) is not None


def _tag_of(work: Workspace, version: str) -> str | None:
    """The git tag of a version of the chart, None where there is none."""
    repository = find_repository(work.config.chart, work.runner) if is_semver(version) else None
    if repository is None or version not in tagged_versions(chart := read_chart(work.config.chart), repository):
        return None
    return tag_name(chart.name, version)


def _unpacked(archive: Path, into: Path) -> Path:
    try:
        data = read_file(archive)
    except OSError as error:
        raise ChartError(f"no chart at {archive}", expected=_FORMS, found=error.strerror, code=USAGE) from error
    return unpack(data, into, str(archive))


def _exported(work: Workspace, reference: str, into: Path) -> Path:
    revision = reference.removeprefix(GIT)
    repository = find_repository(work.config.chart, work.runner)
    if repository is None:
        raise GitError(
            f"{shown(work.config.chart)} is in no git repository, so {revision!r} is no revision of it",
            expected=_FORMS,
        )
    commit = repository.commit(revision)
    if commit is None:
        run = "git log --oneline" if revision != reference else None  # else another form may be meant
        raise GitError(f"git knows no revision {revision!r}", expected=_FORMS, run=run, code=USAGE)
    if (folder := stood_at(work.config.chart, repository, commit)) is None:
        raise GitError(
            f"there is no chart at {shown(work.config.chart)} in the git revision {revision!r}",
            run=f"git log --oneline -- {shown(work.config.chart)}",
        )
    held = read_committed(repository, commit, folder, as_checkout=True)
    path = held.write(placed(repository.root, folder, into))
    with telling({str(path): reference}):
        _bring_local(repository, commit, path, into)
        lend(read_chart(path), work.config.chart / "charts")
    return path


def _bring_local(repository: Repository, revision: str, chart: Path, into: Path) -> None:
    """Put the folders of `file://` dependencies as the revision has them in the place of links to those of today."""
    for place in (Path(os.path.normpath(way)) for way in by_path(read_chart(chart)).values()):
        if into not in place.parents:
            continue
        real = repository.root / place.relative_to(into)
        if not ((at := placed(repository.root, real, into)) / "Chart.yaml").is_file():  # else it was brought before
            read_committed(repository, revision, real, as_checkout=True).write(at)
            if (at / "Chart.yaml").is_file():
                _bring_local(repository, revision, at, into)


def stood_at(here: Path, repository: Repository, revision: str) -> Path | None:
    """The folder in a git revision of the chart that is `here` today; else the one that its name is gone from now."""
    if (commit := repository.commit(revision)) is None:  # a tag may lead to anything
        return None
    if repository.file_at(commit, here / "Chart.yaml") is not None:
        return here
    held = {repository.root / path: one.oid for path, one in repository.tree(commit).items()}
    gone = {path: oid for path, oid in held.items() if path.name == "Chart.yaml" and not path.is_file()}
    contents, name = repository.blobs(gone.values()), read_chart(here).name
    found = [path for path, oid in gone.items() if mapping_in(contents[oid]).get("name") == name]
    return found[0].parent if len(found) == 1 else None


def tagged_versions(chart: Chart, repository: Repository | None) -> tuple[str, ...]:
    """The versions of `chart` that git tags name."""
    prefix = tag_name(chart.name, "")
    tags = repository.tags() if repository else {}
    return tuple(name.removeprefix(prefix) for name in tags if name.startswith(prefix))


def published_versions(chart: Chart, registry: Registry | None, say: Say, *, push: bool = True) -> tuple[str, ...]:
    """The versions in the registry; none where it lists them to nobody. `push`: for a push. Raises RegistryError."""
    if registry is None:
        return ()
    with connect(registry, push=push) as client:
        try:
            return client.versions(chart.name)
        except ListingError as error:
            say(f"note: {error.message}, so only git's tags say which versions there are ({error.found})")
            return ()


def last_version(work: Workspace, chart: Chart, *, below: bool = False) -> str | None:
    """The last version of the chart's line, as a reference for `earlier_chart`; None where there is none yet.

    The highest published one that is not above the chart's own (`below`: that is below it); else the highest that a
    git tag names. Pre-releases count where there is nothing else. A registry that cannot be asked is said.
    """
    try:
        with registry_in_use(work) as registry:
            published = _of_the_line(published_versions(chart, registry, work.say, push=False), chart.version, below)
            if registry is not None and published:
                with connect(registry) as client:
                    if (version := client.first_chart(chart.name, published)) is not None:
                        return version
    except RegistryError as error:
        work.say(f"the registry cannot be asked, so the git tags are: {error.message}")
    return last_tagged(work, chart, below=below)


def last_tagged(work: Workspace, chart: Chart, *, below: bool = False) -> str | None:
    """The same by the git tags alone; a tag at which the chart is not to be found is said, and passed over."""
    repository = find_repository(work.config.chart, work.runner)
    versions = _of_the_line(tagged_versions(chart, repository), chart.version, below)
    tags = [tag_name(chart.name, version) for version in versions]
    found = next((tag for tag in tags if repository is not None and stood_at(work.config.chart, repository, tag)), None)
    if tags and tags[0] != found:
        work.say(f"note: at the git tag {tags[0]} no chart is at {shown(work.config.chart)}: it is not compared with")
    return f"{GIT}{found}" if found else None


def _of_the_line(versions: tuple[str, ...], current: str, below: bool) -> list[str]:
    own = parse(current) if is_semver(current) else None
    known = newest_first(versions)
    return [each for each in known if own is None or parse(each) < own or (parse(each) == own and not below)]
