"""Says what a chart is packed from: the commit, where its folder is as the commit holds it, else the folder."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import posixpath
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from scripts.chart.archive import UNDATED, changed_files, pack, read_members
from scripts.chart.contents import left_out
from scripts.chart.dependencies import fetched_anew, fetched_archives, local_dependencies
from scripts.chart.helm import Helm
from scripts.chart.source import Chart, read_chart
from scripts.core.committed import Committed, placed, read_committed
from scripts.core.config import Config
from scripts.core.edits import FRESH
from scripts.core.errors import SAME_COMMAND, ChartError, GitError, telling
from scripts.core.git import LINK, SUBMODULE, Entry, Repository, find_repository
from scripts.core.owner import temporary
from scripts.core.paths import shown
from scripts.core.progress import Say
from scripts.core.words import some

FILTERED = "filtered"
_POINTED, _ENCRYPTED = ": the commit holds a pointer", ": the commit holds it encrypted"
_STAND_INS = {  # how a commit's content begins that stands for another one
    b"version https://git-lfs.github.com/spec/": f"{FILTERED} by git-lfs{_POINTED}",
    b"/annex/objects/": f"{FILTERED} by git-annex{_POINTED}",
    b"\0GITCRYPT\0": f"{FILTERED} by git-crypt{_ENCRYPTED}",
}
FETCHED = "fetched"
_OTHER, _UNNAMED = "not what its repository serves", "not what Chart.lock or Chart.yaml names"
IGNORED, UNTRACKED = "ignored by git", "not tracked by git"
_SPARSE, _ABSENT, _SUBMODULE, _LINKED = "sparse", "absent", "in a submodule", "linked"
_UNMERGED, _OUTSIDE = "unmerged", "outside of the repository"
_SKIPPED, _ASSUMED = "(skip-worktree)", "assumed unchanged"
_INSIDE, _CALLED = "the inside of a repository", "in HEAD it is called"
OTHER_SUBMODULE = f"{_SUBMODULE} that is not as the commit names it"
_ALLOWED = "; --allow-dirty takes the folder as it is"
_NOTHING: Mapping[Path, str] = {}
COMMIT = "git add --all && git commit"
_REMEDIES = {  # by what a kind of difference has in its words
    _CALLED: "rename {2} as it is called in HEAD",
    _OUTSIDE: "keep {} in the repository",
    _SPARSE: "git sparse-checkout disable",
    _ABSENT: "git checkout HEAD -- {}",
    OTHER_SUBMODULE: "stash what was changed there, and git submodule update --init --recursive",
    _SUBMODULE: "git submodule update --init --recursive",
    _UNMERGED: "settle {} in an editor, git add it, and git commit",
    _SKIPPED: f"git update-index --no-skip-worktree {{}}, then {COMMIT}",
    _ASSUMED: f"git update-index --no-assume-unchanged {{}}, then {COMMIT}",
    _POINTED: "add the line '{1} !filter !diff !merge' to .gitattributes, git add --renormalize {0}, and git commit",
    _ENCRYPTED: "name {} in .helmignore, or take it out of git-crypt",
    FILTERED: "release from a clone that has no such filter",
    _LINKED: "commit what {2} is linked to, or the file itself",
    _INSIDE: "name .git in .helmignore",
    _OTHER: "git clean --force -x -- {}",
    _UNNAMED: "git clean --force -x -- {}",
    IGNORED: "name {} in .helmignore, or git add --force it and commit",
}


@dataclass(frozen=True)
class Difference:
    """A file, from the root, that is not as the commit holds it: `kind` says why, where the archive differs by it."""

    path: str
    kind: str
    benign: bool = False
    """True where git makes the difference in this clone, and the commit's content is the one to pack."""
    real: str = ""
    """Where links lead from `path`, where the commit has a file there."""

    @property
    def lacking(self) -> bool:
        """True where the folder has less than the commit, so that there is no use in checking it."""
        return re.match(f"({_LINKED} to .*: )?({_ABSENT}|{_SPARSE}|{_SUBMODULE})", self.kind) is not None

    @property
    def remedy(self) -> str:
        """What takes the difference away."""
        way = next((way for words, way in _REMEDIES.items() if words in self.kind), COMMIT)
        real = self.real or self.path
        return way.format(shlex.quote(real), json.dumps(real, ensure_ascii=False), shlex.quote(self.path))

    @property
    def fetched(self) -> bool:
        """True for a dependency that helm has put into charts/ as Chart.yaml says: packed, though no commit has it."""
        return self.kind.startswith(FETCHED)

    def __str__(self) -> str:
        return f"{self.path} ({self.kind})" if self.kind else self.path


@dataclass(frozen=True)
class Origin:
    """What is packed and checked: `chart` as read from its folder, and the `changelog` that dates it.

    Both are copies of what `commit` holds, in a folder that is gone later, or the chart's own. `differences` are those
    between the folder and the commit; without a repository there are none, and no commit.
    """

    chart: Chart
    changelog: Path
    repository: Repository | None
    commit: str | None
    differences: tuple[Difference, ...]
    copies: Mapping[str, str]

    def config(self, config: Config) -> Config:
        """`config` for the checks, which are to look at what is packed."""
        return replace(config, chart=self.chart.path, changelog=self.changelog)

    def told(self, text: str) -> str:
        """`text` with the places that a person knows in place of the copies."""
        for copy, place in self.copies.items():
            text = text.replace(copy, place)
        return text

    def telling(self) -> AbstractContextManager[None]:
        """Has the refusals of the block speak of the places that a person knows."""
        return telling(self.copies)


def uncommitted(dirty: Sequence[Difference], *, unless: str = _ALLOWED) -> GitError:
    """The refusal of a working tree in which the files `dirty` differ from HEAD; `unless` says what does without."""
    ways = dict.fromkeys(step for each in dirty for step in each.remedy.split(", then "))
    first = [way for way in ways if way != COMMIT][:3]
    return GitError(
        "the working tree has changes that are not committed",
        expected=f"a clean tree, so that a commit says what was released{unless}",
        found="\n".join(some(dirty)),
        run=", then ".join([*first, *([COMMIT] if COMMIT in ways else []), SAME_COMMAND]),
    )


@contextlib.contextmanager
def origin_of(
    config: Config, helm: Helm, *, allow_dirty: bool = False, wrong: Mapping[Path, str] = _NOTHING
) -> Iterator[Origin]:
    """What the chart at `config.chart` is packed from, until the block ends; `wrong` is what `not_as_served` found.

    It is the commit at HEAD where nothing differs but for what git itself changes on the way to this clone (line ends,
    keywords, filters), so that every clone gives the same archive; else, and where `allow_dirty` finds any difference,
    the folder. Raises ChartError, GitError.
    """
    chart = read_chart(config.chart)
    repository = find_repository(chart.path, helm.runner)
    commit = repository.commit() if repository else None
    if repository is None or commit is None:
        yield Origin(chart, config.changelog, repository, commit, (), {})
        return
    with committed_copy(config, repository, commit) as copy:
        found = differences(config, helm, repository, copy, wrong=wrong)
        counting = [difference for difference in found if not difference.fetched]
        if any(not difference.benign for difference in counting) or (allow_dirty and counting):
            yield Origin(chart, config.changelog, repository, commit, found, {})
        else:
            yield copy.origin(repository, found)


@dataclass(frozen=True)
class Copy:
    """A commit's chart (`folder`) and changelog in a folder of their own; `held` is what the commit says of them."""

    commit: str
    folder: Path
    changelog: Path
    held: Committed
    places: Mapping[str, str]

    def origin(self, repository: Repository, found: tuple[Difference, ...]) -> Origin:
        """The copy as what the chart is packed from, with the dependencies that were fetched. Raises ChartError."""
        for path in (repository.root / difference.path for difference in found if difference.fetched):
            (self.folder / "charts").mkdir(exist_ok=True)
            shutil.copyfile(path, self.folder / "charts" / path.name)
        with telling(self.places):
            return Origin(read_chart(self.folder), self.changelog, repository, self.commit, found, self.places)


@contextlib.contextmanager
def committed_copy(
    config: Config, repository: Repository, commit: str, edits: Mapping[Path, bytes] | None = None
) -> Iterator[Copy]:
    """The chart and changelog as `commit` holds them, the content `edits` laid over."""
    held = read_committed(repository, commit, config.chart)
    with temporary("committed") as scratch:
        folder = held.write(placed(repository.root, config.chart, scratch))
        if config.changelog.is_relative_to(config.chart):
            changelog = folder / config.changelog.relative_to(config.chart)
        else:
            (apart := scratch / f".{config.changelog.name}.committed").mkdir()
            changelog = apart / config.changelog.name
            if config.changelog.is_relative_to(repository.root):
                content = repository.file_at(commit, config.changelog)
            else:
                content = config.changelog.read_bytes() if config.changelog.is_file() else None
            if content is not None:
                changelog.write_bytes(content)
        for path, content in (edits or {}).items():
            if path == config.changelog.resolve():
                changelog.write_bytes(content)
            for name, stands in held.paths.items():
                if repository.root / stands == path:
                    (folder / name).write_bytes(content)
        places = {str(changelog): shown(config.changelog), str(folder): shown(config.chart)}
        yield Copy(commit, folder, changelog, held, places)


def differences(
    config: Config,
    helm: Helm,
    repository: Repository,
    copy: Copy,
    *,
    but: Collection[Path] = (),
    wrong: Mapping[Path, str] = _NOTHING,
) -> tuple[Difference, ...]:
    """How the archive of the folder differs from that of the commit, by .helmignore, and whether the changelog does.

    The files `but` are passed over where no filter stands between, `wrong` is what `not_as_served` found. Raises
    ChartError where helm refuses the folder.
    """
    ours, theirs, refusal = dict[str, bytes](), dict[str, bytes](), None
    if not _alike(config.chart, copy.folder, copy.held):  # then what .helmignore leaves out does not count
        try:
            ours, theirs = _packed(helm, config.chart), _packed(helm, copy.folder)
        except ChartError as error:  # a part is missing here or there: every file counts
            ours, theirs, refusal = _listed(config.chart), _listed(copy.folder), error
    judge = _Judge(config.chart, repository, copy.commit, copy.held)
    names = [name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]
    found = {judge.place(name): judge.kind(name) for name in names}
    ignored = left_out(copy.folder)
    for name, reason in copy.held.missing.items():
        ways = [name, *map(str, PurePosixPath(name).parents[:-1])]
        there = (config.chart / name).exists()  # or helm refuses it, whoever leaves it out
        if not (there and any(ignored(way, way != name or (config.chart / name).is_dir()) for way in ways)):
            found.setdefault(judge.place(name), reason)
    for name in theirs:
        if (stands := _stand_in(copy.held.files.get(name, b""))) is not None:
            found[judge.place(name)] = stands
    chart = read_chart(config.chart)
    for file in fetched_archives(chart):
        if found.get(path := judge.place(f"charts/{file.name}")) in (IGNORED, UNTRACKED):
            found[path] = wrong.get(file, f"{FETCHED} as Chart.yaml says")
    changelog = _of_changelog(config, repository, copy.commit, judge)
    spared = set(map(os.path.realpath, but))
    told = [
        Difference(path, kind, kind.startswith(FILTERED) and kind not in _STAND_INS.values(), judge.real(path))
        for path, kind in sorted({**changelog, **found}.items())
        if kind and (kind.startswith(FILTERED) or os.path.realpath(repository.root / path) not in spared)
    ]
    for folder in local_dependencies(chart):
        told += _of_dependency(config, helm, repository, copy.commit, folder, wrong)
    left = left_by_runs(config)
    others = [one for one in told if one.path in judge.head or not left(repository.root / one.path)]
    if all(one.benign or one.fetched for one in others):  # else the folder is packed, and they with it
        told = others
    if refusal is not None and (lacking := [one for one in told if one.lacking]):
        raise uncommitted(lacking, unless="") from refusal
    if refusal is not None and not told:
        try:
            _packed(helm, copy.folder)  # where only the checkout cannot be packed, the commit is what is packed
        except ChartError:
            raise refusal from None
    return tuple(told)


def left_by_runs(config: Config) -> Callable[[Path], bool]:
    """Whether a file that no commit holds is a result of ours, the embedded registry's, the cache's, or temporary.

    A file of the chart is none, where one of these folders has the chart in it; what a killed raise of the version has
    left beside the files that it changes is one.
    """
    chart, results = config.chart.resolve(), [config.dist.resolve(), config.embedded_registry.resolve()]
    places = (*results, config.cache_dir.resolve(), Path(tempfile.gettempdir()).resolve())
    apart = [place for place in places if not chart.is_relative_to(place)]
    raised = (chart / "Chart.yaml", chart / "README.md", config.changelog, *config.version_paths)
    apart += [path.with_name(FRESH.format(path.name)) for path in map(Path.resolve, raised)]

    def left(path: Path) -> bool:
        return any(map(path.is_relative_to, apart if path.is_relative_to(chart) else (*apart, *results)))

    return left


def _of_dependency(
    config: Config, helm: Helm, repository: Repository, commit: str, folder: Path, wrong: Mapping[Path, str]
) -> tuple[Difference, ...]:
    """How the folder of a `file://` dependency, which is packed with the chart, differs from what `commit` holds."""
    if not folder.is_relative_to(repository.root):
        return (Difference(shown(folder), _OUTSIDE),)
    own = replace(config, chart=folder, changelog=folder / "no changelog")
    with committed_copy(own, repository, commit) as copy:
        found = differences(own, helm, repository, copy, wrong=wrong)
    return tuple(difference for difference in found if not difference.fetched)


def not_as_served(config: Config, helm: Helm, say: Say, *, fresh: bool = False) -> Mapping[Path, str]:
    """The archives in charts/ that no commit holds and that are not what helm fetches now, each with what is wrong.

    So are those of its `file://` dependencies. Nothing is fetched where there are none, or they are `fresh`. What helm
    cannot fetch now is packed as it is, as by helm, and `say` hears of it.
    """
    chart = read_chart(config.chart)
    there, near = [] if fresh else [*fetched_archives(chart)], local_dependencies(chart)
    repository = find_repository(config.chart, helm.runner) if there or near else None
    if repository is None or repository.commit() is None:
        return _NOTHING
    inside = repository.inside(chart.path)
    tracked = {posixpath.relpath(path, inside) for path in repository.flags(chart.path)}
    there = [one for one in there if f"charts/{one.name}" not in tracked]
    wrong: dict[Path, str] = {}
    with temporary("fetched") as scratch:
        try:
            anew = fetched_anew(chart, helm, repository.root, scratch, there) if there else scratch
            wrong.update({file: told for file in there if (told := _unlike(file, anew / file.name))})
        except ChartError as error:
            names = ", ".join(one.name for one in there)
            say(f"note: it is not known whether {names} in charts/ is as its repository serves it: {error.found}")
    for folder in near:
        if folder.is_relative_to(repository.root):
            wrong.update(not_as_served(replace(config, chart=folder), helm, say))
    return wrong


def _unlike(file: Path, anew: Path) -> str:
    """How an archive differs from the one fetched `anew`, by the files in it; "" where it does not."""
    if not anew.is_file():
        return _UNNAMED
    lines = changed_files(anew.read_bytes(), file.read_bytes())
    return f"{_OTHER}: {', '.join(some(lines, 3))}" if lines else ""


class _Judge:
    """Says why a file is not as the commit holds it."""

    def __init__(self, chart: Path, repository: Repository, commit: str, held: Committed) -> None:
        self._chart, self._repository, self._commit, self._held = chart, repository, commit, held
        self._inside = repository.inside(chart)

    @functools.cached_property
    def _flags(self) -> Mapping[str, str]:
        """Those of all files: links may lead out of the chart, and the changelog need not be in it."""
        return self._repository.flags()

    @property
    def head(self) -> Mapping[str, Entry]:
        """All that the commit holds."""
        return self._repository.tree(self._commit)

    def place(self, name: str) -> str:
        """The path of the file `name` of the chart, from the root; of a repository in it, its folder."""
        if ".git" in (parts := name.split("/")):
            name = "/".join(parts[: parts.index(".git") + 1])
        if name.startswith("charts/") and not (self._chart / name).exists() and name not in self._held.files:
            first = "/".join(name.split("/")[:2])  # unpacked from an archive
            here = [f"charts/{path.name}" for path in self._chart.glob(f"{first}-*.tgz")]
            name = next(iter([*here, *(each for each in self._held.files if each.startswith(f"{first}-"))]), name)
        return name if self._inside == "." else posixpath.join(self._inside, name)

    def real(self, path: str) -> str:
        """Where links lead from `path`, from the root, where the commit has a file there; else nowhere."""
        place = os.path.relpath(os.path.realpath(self._repository.root / path), self._repository.root)
        return place if place in self.head else ""

    def kind(self, name: str) -> str:
        """What makes the difference; "" where it is none but line ends and keywords."""
        path = self.place(name)
        name = path.removeprefix(f"{self._inside}/")
        if ".git" in name.split("/"):  # of a submodule it is a file, which says where the repository is
            return "" if (self._chart / name).is_file() else _INSIDE
        if any(self._is_written_link(place) for place in (path, *map(str, PurePosixPath(path).parents))):
            return ""
        for missing, reason in self._held.missing.items():
            if name == missing or name.startswith(f"{missing}/"):
                return reason
        disk = self._chart / name
        real = Path(os.path.realpath(disk))  # also of a link that leads to itself
        linked = f"{_LINKED} to {os.path.relpath(real, disk.parent)}: " if real != disk else ""
        if not real.is_relative_to(self._repository.root):
            return f"{linked}{_OUTSIDE}"
        inside = real.relative_to(self._repository.root).as_posix()
        submodules = [each for each, entry in self.head.items() if entry.mode == SUBMODULE]
        if any(f"{place}/".startswith(f"{submodule}/") for submodule in submodules for place in (path, inside)):
            return f"{linked}{OTHER_SUBMODULE}"
        return linked + self.plain(inside, self._held.files.get(name))

    def _is_written_link(self, path: str) -> bool:
        """Whether a clone without links (core.symlinks=false) has the target's name in a file instead."""
        entry, disk = self.head.get(path), self._repository.root / path
        if entry is None or entry.mode != LINK or disk.is_symlink() or not disk.is_file():
            return False
        return _oid(disk.read_bytes(), entry) == entry.oid

    def _twin(self, path: str) -> str:
        """What HEAD has of that name in another case, "" for nothing."""
        return next((each for each in self.head if each != path and each.casefold() == path.casefold()), "")

    def plain(self, path: str, content: bytes | None) -> str:
        """The same of a file at `path`, from the root, that is no link and holds `content` in the commit."""
        file = self._repository.root / path
        if content is not None and file.is_file() and file.read_bytes() == content:
            return ""  # also where git would keep it otherwise, were it added anew
        flag = self._flags.get(path, "H")
        if content is None and path not in self.head:
            if self._repository.ignored(path):
                return IGNORED
            twin = self._twin(path)
            named = self._repository.root / twin
            if twin and file.exists() and named.exists() and named.samefile(file):
                return f"{_CALLED} {twin}"
            return "added, not committed" if path in self._flags else UNTRACKED
        if flag in "Mm":
            return _UNMERGED
        if not file.exists():
            return changed_by(flag, file)
        if not file.is_file():
            return "changed, no regular file"
        if content is not None and self._repository.stored(path) == _oid(content, self.head.get(path)):
            used = self._repository.filter_of(path)
            return f"{FILTERED} by {used}" if used else ""
        if flag not in "Ss" and (twin := self._twin(path)):
            return f"changed, where this folder takes it for {twin}"
        return changed_by(flag, file)


def changed_by(flag: str, file: Path) -> str:
    """The kind of a file that is not as in HEAD, by the letter that git has for it."""
    if not file.exists():
        return f"{_SPARSE}: not checked out" if flag in "Ss" else _ABSENT
    if flag in "Ss":
        return f"changed, which git is told to skip {_SKIPPED}"
    return f"changed, and {_ASSUMED}" if flag.islower() else "changed"


def _of_changelog(config: Config, repository: Repository, commit: str, judge: _Judge) -> dict[str, str]:
    """The changelog, which dates the archive, where it is not as the commit holds it."""
    path = config.changelog
    if not path.is_relative_to(repository.root):
        return {str(path): _OUTSIDE} if path.exists() else {}
    inside = repository.inside(path)
    content = repository.file_at(commit, path)
    if content is None and not path.exists():
        return {}
    return {inside: judge.plain(inside, content)}


def _oid(content: bytes, like: Entry | None) -> str:
    algorithm = hashlib.sha256 if like is not None and len(like.oid) == 64 else hashlib.sha1
    return algorithm(b"blob %d\0" % len(content) + content).hexdigest()


def _packed(helm: Helm, folder: Path) -> dict[str, bytes]:
    members = read_members(pack(helm, folder, UNDATED), str(folder))
    return {name.partition("/")[2]: content for name, content in members.items()}


def _alike(folder: Path, copy: Path, held: Committed) -> bool:
    """Whether the folder has the files of the copy byte for byte, no other ones, and none that stands for another."""
    count = 0
    for here, _, names in os.walk(folder, followlinks=True):
        for name in names:
            file = Path(here, name)
            there = copy / file.relative_to(folder)
            if not (there.is_file() and file.is_file()) or file.read_bytes() != there.read_bytes():
                return False
            count += 1
    return count == len(held.files) and not any(map(_stand_in, held.files.values()))


def _stand_in(content: bytes) -> str | None:
    """The kind of a file that stands for another, None for any other file."""
    return next((kind for begin, kind in _STAND_INS.items() if content.startswith(begin)), None)


def _listed(folder: Path) -> dict[str, bytes]:
    found = {}
    for here, _, names in os.walk(folder, followlinks=True):
        if ".git" not in Path(here).relative_to(folder).parts:
            files = [Path(here, name) for name in names]
            found.update({file.relative_to(folder).as_posix(): file.read_bytes() for file in files if file.is_file()})
    return found
