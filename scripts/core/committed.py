"""Reads a folder as a commit holds it: links followed inside the commit, submodules at the commit it names."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.core.git import LINK, SUBMODULE, Entry, Repository, find_repository
from scripts.core.owner import temporary

_DEEPEST = 40  # links on the way to one file, as the system has it


@dataclass(frozen=True)
class Committed:
    """The files of a folder in a commit by name, where in the repository each stands, and why what is `missing` is."""

    files: Mapping[str, bytes]
    paths: Mapping[str, str]
    missing: Mapping[str, str]

    def write(self, into: Path) -> Path:
        """Write the files below the folder `into`, and return that."""
        for name, content in self.files.items():
            file = into / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return into


@dataclass(frozen=True)
class _File:
    """A file of one of the repositories, at `path` below its root."""

    repository: Repository
    commit: str
    path: str
    entry: Entry


class _Tree:
    """All that a commit of a repository and its submodules hold, by path from the outer root."""

    def __init__(self, repository: Repository, commit: str) -> None:
        self._files: dict[str, _File] = {}
        self._links: dict[str, str] = {}
        self._absent: dict[str, str] = {}  # submodules that are not there
        self._folders: set[str] = {""}
        self._graft("", repository, commit)

    def _graft(self, at: str, repository: Repository, commit: str) -> None:
        entries = repository.tree(commit)
        targets = repository.blobs(entry.oid for entry in entries.values() if entry.mode == LINK)
        for path, entry in entries.items():
            whole = posixpath.join(at, path)
            parents = whole.split("/")[:-1]
            self._folders.update("/".join(parents[: count + 1]) for count in range(len(parents)))
            if entry.mode == LINK:
                self._links[whole] = targets[entry.oid].decode("utf-8", "surrogateescape")
            elif entry.mode == SUBMODULE:
                self._graft_submodule(whole, repository, repository.root / path, entry.oid)
            else:
                self._files[whole] = _File(repository, commit, path, entry)

    def _graft_submodule(self, whole: str, outer: Repository, folder: Path, commit: str) -> None:
        inner = find_repository(folder, outer.runner) if folder.is_dir() else None
        if inner is None or inner.root != folder.resolve():
            self._absent[whole] = "in a submodule that is not checked out"
        elif inner.commit(commit) is None:
            self._absent[whole] = f"in a submodule that lacks the commit {commit[:12]}"
        else:
            self._folders.add(whole)
            self._graft(whole, inner, commit)

    def below(self, folder: str) -> Iterator[tuple[str, str | _File]]:
        """(name, file) of each file below `folder`, or (name, reason) for what the commit does not hold."""
        at = self._followed(folder)
        if at in self._absent:
            yield "", self._absent[at]
        elif at is not None:
            yield from self._walk(at, "", ())

    def _walk(self, at: str, name: str, above: tuple[str, ...]) -> Iterator[tuple[str, str | _File]]:
        prefix = f"{at}/" if at else ""
        for source in (self._files, self._links, self._absent):
            for path in sorted(source):
                if path.startswith(prefix):
                    yield from self._one(path, posixpath.join(name, path[len(prefix) :]), (*above, at))

    def _one(self, path: str, name: str, above: tuple[str, ...]) -> Iterator[tuple[str, str | _File]]:
        if path in self._links:
            target = self._followed(path)
            if target is None:
                yield name, f"linked to {self._links[path]}, which the commit does not hold"
            elif target in above:
                yield name, f"linked to {self._links[path]}, which leads around in a circle"
            elif target in self._folders:
                yield from self._walk(target, name, above)
            else:
                yield from self._one(target, name, above)
        else:
            yield name, self._absent.get(path) or self._files[path]

    def _followed(self, path: str) -> str | None:
        """Where `path` leads when every link on the way is followed, if to an absent submodule to that; None where the
        commit has nothing there."""
        done: list[str] = []
        todo = path.split("/")[::-1]
        steps = 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not done:
                    return None
                done.pop()
                continue
            here = "/".join([*done, part])
            if (target := self._links.get(here)) is not None:
                steps += 1
                if steps > _DEEPEST or target.startswith("/"):
                    return None
                todo += target.split("/")[::-1]
            else:
                done.append(part)
        found = "/".join(done)
        if found in self._files or found in self._folders:
            return found
        return next((module for module in self._absent if f"{found}/".startswith(f"{module}/")), None)


def read_committed(repository: Repository, commit: str, folder: Path, *, as_checkout: bool = False) -> Committed:
    """`folder` in `commit`: content as it is kept, or `as_checkout` as this clone has it. Raises GitError."""
    inside = repository.inside(folder)
    files: dict[str, _File] = {}
    missing: dict[str, str] = {}
    for name, found in _Tree(repository, commit).below("" if inside == "." else inside):
        if isinstance(found, str):
            missing[name] = found
        else:
            files[name] = found
    contents = _contents(files.values(), as_checkout=as_checkout)
    return Committed(
        {name: contents[file] for name, file in files.items()},
        {name: file.path for name, file in files.items() if file.repository == repository},
        missing,
    )


def _contents(files: Iterable[_File], *, as_checkout: bool) -> dict[_File, bytes]:
    """What the files hold; git is asked once for those of a commit."""
    groups: dict[tuple[Repository, str], list[_File]] = {}
    for file in files:
        groups.setdefault((file.repository, file.commit), []).append(file)
    found: dict[_File, bytes] = {}
    for (repository, commit), some in groups.items():
        if as_checkout:
            with temporary("checkout") as scratch:
                repository.checkout(commit, sorted({file.path for file in some}), scratch)
                found |= {file: (scratch / file.path).read_bytes() for file in some}
        else:
            kept = repository.blobs(file.entry.oid for file in some)
            found |= {file: kept[file.entry.oid] for file in some}
    return found


def placed(root: Path, folder: Path, into: Path) -> Path:
    """A folder below `into` that stands as `folder` does below `root`: what is beside it and above is linked.

    It is empty, unless it was made before: several can stand in one place.
    """
    at, real = into, root
    for part in folder.relative_to(root).parts or (folder.name,):
        for entry in real.iterdir() if real != folder and real.is_dir() and not any(at.iterdir()) else ():
            if entry.name != ".git":
                (at / entry.name).symlink_to(entry)
        at, real = at / part, real / part
        if at.is_symlink():
            at.unlink()
        at.mkdir(exist_ok=True)
    return at
