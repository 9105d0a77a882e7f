"""Adds a version to the index.yaml of an HTTP chart repository, a folder or a branch: what is there stays as it is."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urljoin

import yaml

from scripts.chart.archive import Package
from scripts.core.config import Config
from scripts.core.errors import OUTSIDE, REFUSED, SAME_COMMAND, ConfigError, GitError, ReleaseError
from scripts.core.files import read_any, sha256, write_atomic
from scripts.core.git import Repository
from scripts.core.paths import shown
from scripts.core.waiting import locked
from scripts.core.yaml_read import compose, dump, load
from scripts.release.announce import Announced, Step, stopped

INDEX = "index.yaml"
_BRANCH = "git:"
_PATIENCE = 60.0  # seconds to wait for another one that writes the same index
_EMPTY = "apiVersion: v1\nentries: {}\n"
_BLOCK = re.compile(r"^entries:[ \t]*(?:#.*)?\r?\n(?:[ \t]*(?:#.*)?\r?\n)*?(?=(?P<columns> +)[^\s#-])", re.MULTILINE)
_KEY = re.compile(r"""(?P<quote>["']?)(?P<name>[\w.-]+)(?P=quote):\s*(?:#.*)?""")
_ALIAS = re.compile(r"[:-] +\*[\w-]")  # of what may stand anywhere
_NEXT = re.compile(r"^(?:[^\s#-]|---)", re.MULTILINE)  # after the entries


@dataclass(frozen=True)
class Index:
    """The index of a chart repository whose files are served at `url` ("": beside the index)."""

    store: Store
    url: str
    name: ClassVar[str] = "index"

    def look(self, what: Announced) -> Step:
        """What the index, and the file it leads to, have of the version."""
        index, archive = self.store.read(INDEX), what.package.path.name
        ours, there = f"sha256:{what.package.sha256}", self.store.read(archive)
        parts, content = self._known(index, what)
        entry = _entry(content, what.package)
        if entry is not None and _digest(entry) != ours:
            return self._different(f"the entry {what.package.version}", _digest(entry) or "no digest", ours)
        if there is not None and there != what.archive:
            return self._different(archive, f"sha256:{sha256(there)}", ours)
        if entry is None:
            self._with(parts, content, what)  # which refuses an index of a form that cannot be added to
        beside = [str(url) for url in (entry or {}).get("urls") or []]
        if entry is None or (self._lacking(what) and urljoin(self.url, archive) in beside):
            self.store.demand_free()
            return Step(self.name, "absent", f"add {what.package.title} to {INDEX} of {self.store.shown}")
        return Step(self.name, "same", f"{INDEX} of {self.store.shown} has {ours[:19]}")

    def announce(self, what: Announced) -> str:
        """Put the archive, with its `.prov`, where the index leads to, then the entry into the index."""
        index, files = self.store.read(INDEX), self._lacking(what)
        before = {**dict.fromkeys(files), INDEX: index}
        parts, content = self._known(index, what)
        if _entry(content, what.package) is None:
            files[INDEX] = self._with(parts, content, what).encode()
        left = self.store.write(before, files)
        return f"added {what.package.version} to {INDEX} of {self.store.shown}" + (f"; then: {left}" if left else "")

    def _lacking(self, what: Announced) -> dict[str, bytes]:
        """What helm fetches by the entry and is not there: the archive, and its `.prov`, of which any is as good."""
        fetched = ((name, data) for name, data in what.files().items() if name.endswith((".tgz", ".prov")))
        return {name: data for name, data in fetched if self.store.read(name) is None}

    def _known(self, index: bytes | None, what: Announced) -> tuple[tuple[str, ...], dict[str, Any]]:
        """An index in the parts of `_parted`, and what those say that are read, with a list for the chart.

        Raises ReleaseError for what is no index.
        """
        try:
            parts = _parted(index.decode() if index and index.strip() else _EMPTY, what.package.name)
            content = load("".join(parts[::2]))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise self._broken(str(error).splitlines()[0]) from None
        entries = content.get("entries", ()) if isinstance(content, dict) else ()
        found = (entries or {}).get(what.package.name) if isinstance(entries, dict | None) else ()
        if not isinstance(found, list | None) or not all(isinstance(one, dict) for one in found or []):
            raise self._broken("a list of versions for each chart under `entries` is expected")
        return parts, {**content, "entries": {**(entries or {}), what.package.name: found or []}}

    def _with(self, parts: tuple[str, ...], content: Mapping[str, Any], what: Announced) -> str:
        """The index with the entry of the version first among those of its chart, and no other line changed."""
        name, entry, others = what.package.name, self._made(what), content["entries"]
        head, before, own, after, tail = parts
        with contextlib.suppress(yaml.YAMLError, StopIteration):  # the latter of entries that are merged into it
            fresh = _inserted(head + own + tail, name, entry)
            if load(fresh) == {**content, "entries": {**others, name: [entry, *others[name]]}}:
                return head + before + fresh[len(head) : len(fresh) - len(tail)] + after + tail
        raise ReleaseError(
            f"{INDEX} of {self.store.shown} cannot be added to without writing it anew",
            expected="the form in which helm writes it: a list of versions below each chart, in block style",
            run=f"helm repo index --merge {INDEX} .",
            code=REFUSED,
        )

    def _made(self, what: Announced) -> dict[str, Any]:
        """The entry, as `helm repo index` makes it."""
        package = what.package
        more = {"created": package.created, "digest": package.sha256, "urls": [urljoin(self.url, package.path.name)]}
        return dict(sorted({**what.metadata, **more}.items()))

    def _different(self, what: str, found: str, expected: str) -> Step:
        error = ReleaseError(
            f"{what} in {self.store.shown} has other content",
            expected=expected,
            found=found,
            run="raise the version; what is served already is not changed",
            code=REFUSED,
        )
        return stopped(self.name, error)

    def _broken(self, found: str) -> ReleaseError:
        what = f"{INDEX} of {self.store.shown}"
        return ReleaseError(f"{what} is no index of a chart repository", found=found, run=f"mend {what}", code=REFUSED)


def _entry(content: Mapping[str, Any], package: Package) -> dict[str, Any] | None:
    return next((one for one in content["entries"][package.name] if str(one.get("version")) == package.version), None)


def _digest(entry: dict[str, Any]) -> str:
    """The digest of an entry; helm writes it without the algorithm."""
    return f"sha256:{str(entry.get('digest') or '').removeprefix('sha256:')}"


def _parted(text: str, chart: str) -> tuple[str, ...]:
    """An index in five: its head, charts before ours, ours (where it is none, the first), charts after it, and the end.

    The others are not to be read, which may be many MiB. Of another form than helm's, all of it is the third.
    Raises yaml.YAMLError where a chart stands there twice.
    """
    whole, begin, places = ("", "", text, "", ""), _BLOCK.search(text), dict[str, int]()
    if begin is None:
        return whole
    end = _NEXT.search(text, begin.end())
    bottom = end.start() if end else len(text)
    for line in re.compile(f"^{begin['columns']}([^\\s#-].*)", re.MULTILINE).finditer(text, begin.end(), bottom):
        if (key := _KEY.fullmatch(line[1])) is None:
            return whole
        if key["name"] in places:
            raise yaml.YAMLError(f"{key['name']} stands under entries twice")
        places[key["name"]] = line.start()
    at, starts = [*places].index(chart) if chart in places else 0, [*places.values(), bottom]
    cuts = (0, starts[0], starts[at], starts[at + 1], bottom, len(text))
    head, before, own, after, tail = (text[one:other] for one, other in pairwise(cuts))
    return whole if _ALIAS.search(own) else (head, before, own, after, tail)


def _inserted(text: str, chart: str, entry: dict[str, Any]) -> str:
    """`text` with `entry` below its chart, in the columns that the others stand in."""
    end = "\r\n" if "\r\n" in text else "\n"
    node: Any = compose(text)
    key, entries = next(pair for pair in node.value if pair[0].value == "entries")
    known = {one.value: own for one, own in entries.value} if isinstance(entries, yaml.MappingNode) else {}
    own, lines = known.get(chart), text.splitlines(keepends=True)
    at, column, title, empty = entries.start_mark, entries.start_mark.column, "", own
    if not known:  # `entries: {}`, or nothing after it
        column, empty = key.start_mark.column + 2, entries
    if isinstance(own, yaml.SequenceNode) and own.value:
        at, empty = own.value[0].start_mark, None
        column = at.column - 2
    if empty is not None:  # its line goes on without it, and with what is said beside it
        at, line = empty.start_mark, lines[empty.start_mark.line]
        title = f"{line[: at.column].rstrip()}{line[empty.end_mark.column :].rstrip()}{end}"
    if own is None:
        title += f"{' ' * column}{chart}:{end}"
    block = (f"{' ' * column if line else ''}{line}{end}" for line in dump([entry]).splitlines())
    return "".join([*lines[: at.line], title, *block, *lines[at.line + (empty is not None) :]])


# -- where the files are -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Folder:
    """A folder, which something else serves or carries away; the `project` is locked by who changes it already."""

    path: Path
    project: Path | None = None

    @property
    def shown(self) -> str:
        return shown(self.path)

    def read(self, name: str) -> bytes | None:
        return read_any(self.path / name, ReleaseError, shown(self.path / name), code=OUTSIDE)

    def demand_free(self) -> None:
        """A folder is locked while it is written."""

    def write(self, before: Mapping[str, bytes | None], files: Mapping[str, bytes]) -> str:
        self.path.mkdir(parents=True, exist_ok=True)
        what = f"the chart repository in {self.shown}"
        mine = self.project is not None and self.path.samefile(self.project)
        alone = locked(self.path, what=what, deadline=_PATIENCE, error=ReleaseError)
        with contextlib.nullcontext() if mine else alone:
            for name, content in files.items():
                if (there := self.read(name)) != content:
                    if there != before[name]:
                        raise ReleaseError(f"{shown(self.path / name)} was changed by another program", code=REFUSED)
                    write_atomic(self.path / name, content)
        return ""


@dataclass(frozen=True)
class Branch:
    """A branch of the chart's repository (`gh-pages`), in the folder `inside` of it; no working tree is touched."""

    repository: Repository
    branch: str
    inside: str

    @property
    def shown(self) -> str:
        return f"the branch {self.branch}" + (f", {self.inside}/" if self.inside else "")

    def read(self, name: str) -> bytes | None:
        head = self.repository.head_of(self.branch)
        return None if head is None else self.repository.content(head, self._at(name))

    def demand_free(self) -> None:
        self.repository.demand_free(self.branch)
        self.repository.try_identity()
        self.repository.try_signing("commit")

    def write(self, before: Mapping[str, bytes | None], files: Mapping[str, bytes]) -> str:
        head = self.repository.head_of(self.branch)
        for name, content in before.items():
            if (None if head is None else self.repository.content(head, self._at(name))) != content:
                raise GitError(f"{name} of {self.shown} was changed by another program", run=SAME_COMMAND)
        added = {self._at(name): content for name, content in files.items()}
        self.repository.add_to_branch(self.branch, head, added, f"Add {next(iter(files))}")
        return self.repository.push_branch(self.branch)

    def _at(self, name: str) -> str:
        return f"{self.inside}/{name}" if self.inside else name


Store = Folder | Branch
"""Where the files of a chart repository are kept. What it writes last is the index, and nothing that was changed."""


def read_index(config: Config, repository: Repository | None) -> Index:
    """The index that the configuration names: a folder, or `git:BRANCH[:FOLDER]`. Raises ConfigError."""
    place, url = config.chart_index, config.chart_index_url
    if url and not re.fullmatch(r"https?://[^/@\s]+(/\S*)?", url):  # with a login it would be in the index
        raise ConfigError("chart_index_url is no address", expected="https://host/path", found=repr(url))
    url = url and url.rstrip("/") + "/"
    if not place.startswith(_BRANCH):
        return Index(Folder(config.project / Path(place).expanduser(), config.project), url)
    branch, _, inside = place.removeprefix(_BRANCH).partition(":")
    if repository is None:
        raise ConfigError(f"chart_index names a branch, and {shown(config.chart)} is in no git repository", found=place)
    inside = os.path.normpath(inside) if inside.strip("/") else ""
    if not branch or inside.startswith(("..", "/")) or repository.bad_branch(branch):
        raise ConfigError(
            "chart_index names no branch", expected="git:gh-pages, or git:gh-pages:charts", found=repr(place)
        )
    return Index(Branch(repository, branch, inside), url)
