"""Reads all that helm loads of a chart, dependencies in any form included, and tells what needs no render."""

from __future__ import annotations

import codecs
import contextlib
import functools
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from scripts.chart.archive import read_members
from scripts.chart.manifests import Document
from scripts.chart.source import TESTS, Chart
from scripts.core.errors import ChartError
from scripts.core.files import read_any, sha256
from scripts.core.yaml_read import mapping_in

INSTALLED_FIRST = re.compile(r"[^/]+/(charts/[^/]+/)*crds/")  # definitions, which are no templates
_ASKED = re.compile(r"APIVersions\.Has\s*\(?\s*[\"`]([\w.-]+(?:/[\w.-]+){0,2})[\"`]")
_REMOTE = re.compile(rb'"\$ref"\s*:\s*"(https?://[^"#]+)')
_ACTION = re.compile(r"\{\{-?\s*(?:/\*.*?\*/|(\w*).*?)\s*-?\}\}", re.DOTALL)  # what it begins with, but for a comment
_OPENING = ("if", "with", "range", "block", "define")
_SIGN = re.compile(r"\[\^?(?:\\.|[^\]\\])+\]|\\.|.", re.DOTALL)  # of a pattern
_ACTION_LINE = re.compile(r"^.*\{\{.*\n?", re.MULTILINE)
_DEFINITION = re.compile(r"\bkind[\"']?: *[\"']?CustomResourceDefinition\b")
_DOCUMENT = re.compile(r"^---.*$", re.MULTILINE)
_GROUP = re.compile(r"^\s+group: *[\"']?([\w.-]+)", re.MULTILINE)
_KIND = re.compile(r"^\s+kind: *[\"']?(\w+)", re.MULTILINE)
_VERSION = re.compile(r"^\s+(?:- +)?name: *[\"']?(v\d+(?:(?:alpha|beta)\d+)?)[\"']?\s*$", re.MULTILINE)
_PACKED = re.compile(r"(charts/[^/._][^/]*/)*charts/[^/._][^/]*\.tgz")
_HIDDEN = re.compile(r"(charts/[^/]+/)*charts/[._]")
_DEEPEST = 8  # charts in charts: a symlink may lead round in a circle


@dataclass(frozen=True)
class Contents:
    """The files of a chart and of the charts in it, by helm's name for them: `chart/charts/sub/templates/x.yaml`."""

    files: Mapping[str, bytes]

    @functools.cached_property
    def templates(self) -> Mapping[str, str]:
        """What helm renders, helpers included."""
        return {
            name: data.decode(errors="replace")
            for name, data in self.files.items()
            if re.match(r"^[^/]+/(charts/[^/]+/)*templates/", name)
        }

    @functools.cached_property
    def asks_for_version(self) -> bool:
        """Whether a render may depend on the cluster; values and files may be templates, and dependencies refuse."""
        return any(
            b"Capabilities" in data or (b"kubeVersion" in data and name.endswith("/Chart.yaml") and "/charts/" in name)
            for name, data in self.files.items()
        )

    @functools.cached_property
    def asks_for_apis(self) -> bool:
        """Whether a template looks at the APIs that the cluster serves."""
        return any("APIVersions" in text for text in self.templates.values())

    @functools.cached_property
    def asked(self) -> frozenset[str]:
        """The APIs that templates name when they ask, as `group/version` or `group/version/Kind`."""
        return frozenset(name for text in self.templates.values() for name in _ASKED.findall(text))

    @functools.cached_property
    def asks_indirectly(self) -> bool:
        """Whether some template asks for an API that it does not name there."""
        return any(text.count("APIVersions") > len(_ASKED.findall(text)) for text in self.templates.values())

    @functools.cached_property
    def defined(self) -> Mapping[str, frozenset[str]]:
        """The kinds that the chart's CustomResourceDefinitions define, as `group/version/Kind`, by the definition."""
        return {chunk: kinds for chunk in self._definitions if (kinds := frozenset(_defined(chunk)))}

    @functools.cached_property
    def _definitions(self) -> tuple[str, ...]:
        """The text of each CustomResourceDefinition; of a template, without the lines of its actions."""
        return tuple(
            _ACTION_LINE.sub("", chunk) if "/templates/" in name else chunk
            for name, data in self.files.items()
            if b"CustomResourceDefinition" in data
            for chunk in _DOCUMENT.split(data.decode(errors="replace"))
            if _DEFINITION.search(chunk)
        )

    def definitions(self, kinds: Collection[str]) -> tuple[Document, ...]:
        """The definitions of `kinds` (`group/version/Kind`), as far as they can be read without a render."""
        texts = [text for text, defined in self.defined.items() if not defined.isdisjoint(kinds)]
        return tuple(Document(mapping_in(text), text=text) for text in texts)

    @functools.cached_property
    def installed_first(self) -> frozenset[str]:
        """The kinds that helm installs before it renders, as `group/version/Kind`: those of `crds/`."""
        names = [name for name in self.files if INSTALLED_FIRST.match(name)]
        return frozenset().union(*Contents({name: self.files[name] for name in names}).defined.values())

    @property
    def remote_schemas(self) -> tuple[str, ...]:
        """The addresses that schemas of values refer to."""
        texts = [data for name, data in self.files.items() if name.endswith("/values.schema.json")]
        found = [url.decode(errors="replace") for text in texts for url in _REMOTE.findall(text)]
        return tuple(dict.fromkeys(found))

    def expected(self) -> Iterator[str]:
        """The templates that some render should give an object of."""
        libraries = [
            name.removesuffix("Chart.yaml")
            for name, data in self.files.items()
            if re.fullmatch(r"[^/]+/(charts/[^/]+/)*Chart\.yaml", name) and mapping_in(data).get("type") == "library"
        ]
        for name, text in self.templates.items():
            if not name.startswith(tuple(libraries)) and renders(PurePosixPath(name).name, text):
                yield name


def read_contents(folder: Path, name: str) -> Contents:
    """All of the chart `name` in `folder`. Raises ChartError for an archive in it that is damaged."""
    return Contents(dict(_named(dict(_opened(_folder(folder), folder, 0)), name)))


def identity(chart: Chart) -> dict[str, str]:
    """How a result says of which chart it is, and of which state of it."""
    return {"name": chart.name, "version": chart.version, "sources": sources(chart)}


def sources(chart: Chart) -> str:
    """A digest of the chart's files, with the values of tests, packed or not; "" where one of them cannot be read.

    Archives in charts/ are not in it, which helm fetches by what is written, nor is a chart of tests. Ends of lines are
    one, since a release reads the commit's, and a checkout may have others.
    """
    with contextlib.suppress(ChartError):  # which is for checks to tell
        found = {name: data for name, data in _folder(chart.path).items() if not _PACKED.fullmatch(name)}
        found |= {f"{TESTS}{file.name}": _content(file) for file in (chart.path / TESTS).glob("*") if file.is_file()}
        told = {name: sha256(data.replace(b"\r\n", b"\n")) for name, data in sorted(found.items())}
        return sha256(os.fsencode("".join(f"{digest}  {name}\n" for name, digest in told.items())))  # of any letters
    return ""


def read_archived(file: Path, name: str) -> Contents:
    """All of the chart `name` in the archive `file`. Raises ChartError for one that is damaged."""
    return Contents(dict(_named(dict(_archive(file, _content(file), 0)), name)))


def _folder(folder: Path) -> dict[str, bytes]:
    """The files of the chart in `folder` by their path in it; symlinks are followed.

    Its own .helmignore alone counts, also in `charts/`.
    """
    ignored = left_out(folder)
    found: dict[str, bytes] = {}
    for root, folders, files in os.walk(folder, followlinks=True):
        inside = PurePosixPath(Path(root).relative_to(folder).as_posix())
        deep = len(inside.parts) > 4 * _DEEPEST
        paths = {name: str(inside / name) for name in (*folders, *files)}
        folders[:] = sorted(name for name in folders if not deep and not ignored(paths[name], True))
        found |= {paths[name]: _content(folder / paths[name]) for name in files if not ignored(paths[name], False)}
    return found


def _archive(where: Path, data: bytes, depth: int) -> Iterator[tuple[str, bytes]]:
    members = {name.partition("/")[2]: content for name, content in read_members(data, str(where)).items()}
    return _opened(members, where, depth)


def _opened(files: Mapping[str, bytes], where: Path, depth: int) -> Iterator[tuple[str, bytes]]:
    """`files` of a chart with the archives in `charts/` opened; what is hidden there is none of it."""
    for name, data in files.items():
        if _PACKED.fullmatch(name) and depth < _DEEPEST:
            yield from ((f"{name}/{below}", found) for below, found in _archive(where / name, data, depth + 1))
        elif not _HIDDEN.match(name):
            yield name, data


def _named(files: Mapping[str, bytes], name: str) -> Iterator[tuple[str, bytes]]:
    """`files` as helm names them: a chart in `charts/` by its own name, or by each alias that the parent gives it."""
    below: dict[str, dict[str, bytes]] = {}
    for path, data in files.items():
        if path.startswith("charts/") and path.count("/") > 1:
            _, folder, inside = path.split("/", 2)
            below.setdefault(folder, {})[inside] = data
        else:
            yield f"{name}/{path}", data
    wanted = mapping_in(files.get("requirements.yaml", files.get("Chart.yaml", b""))).get("dependencies") or []
    for folder, inner in below.items():
        own = str(mapping_in(inner.get("Chart.yaml", b"")).get("name") or folder)
        names = [str(one.get("alias") or own) for one in wanted if isinstance(one, dict) and one.get("name") == own]
        for called in dict.fromkeys(names or [own]):
            yield from _named(inner, f"{name}/charts/{called}")


def _content(file: Path) -> bytes:
    """As helm reads it, which drops a byte order mark, also as it packs; nothing of a symlink to nowhere."""
    return (read_any(file, ChartError) or b"").removeprefix(codecs.BOM_UTF8)


def left_out(folder: Path) -> Callable[[str, bool], bool]:
    """`ignored(path, is_folder)` by the folder's `.helmignore`, whose patterns are simpler than git's."""
    file = folder / ".helmignore"
    lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines() if file.is_file() else []
    patterns = ["templates/.?*", *(line for line in map(str.strip, lines) if not line.startswith(("#", "!")))]
    rules = []
    for pattern, bare in ((each, each.removesuffix("/")) for each in patterns):
        with contextlib.suppress(re.error):  # as of [z-a], which is no sign at all
            rules.append((re.compile(_as_go(bare.removeprefix("/"))), "/" in bare, pattern != bare))

    def ignored(path: str, is_folder: bool) -> bool:
        name = path.rpartition("/")[2]
        return any(
            rule.fullmatch(path if whole else name) for rule, whole, folders in rules if is_folder or not folders
        )

    return ignored


def _as_go(pattern: str) -> str:
    """The regular expression of a pattern as Go has it, where `*` and `?` stop at a slash."""
    signs = {"*": "[^/]*", "?": "[^/]"}
    return "".join(
        signs.get(each) or (each.replace("[", r"\[")[1:] if each[1:] and each[0] == "[" else re.escape(each[-1]))
        for each in _SIGN.findall(pattern)
    )


def gives_objects(file: str) -> bool:
    """Whether helm looks for objects in what comes of a template of that name: all but helpers and notes."""
    return not file.startswith("_") and not file.endswith("NOTES.txt")


def renders(file: str, text: str) -> bool:
    """Whether a template of that name may give an object: it is no helper, no notes, and no mere refusal."""
    if not gives_objects(file):
        return False
    text, _ = apart(text)
    literal = re.sub(r"^\s*(#.*|---\s*)$", "", _ACTION.sub("", text), flags=re.MULTILINE)
    if literal.strip():
        return True
    actions = [action[0] for action in _ACTION.finditer(text) if action[1] is not None]
    return bool(actions) and not any(re.search(r"\b(fail|required)\b", action) for action in actions)


def apart(text: str) -> tuple[str, str]:
    """A template without what it defines, which is rendered where it is included, if anywhere; and that."""
    left, defined, depth, begin, after = "", "", 0, -1, 0
    for action in _ACTION.finditer(text):
        if action[1] == "define" and not depth:
            begin = action.start()
        if action[1] in _OPENING:
            depth += 1
        elif action[1] == "end":
            depth -= 1
            if begin >= 0 and not depth:
                left += text[after:begin]
                defined += text[begin : action.end()]
                begin, after = -1, action.end()
    return left + text[after:], defined


def _defined(text: str) -> Iterator[str]:
    """The kinds of a definition, read from its lines: large ones take a second to parse."""
    group, names = _GROUP.search(text), text.partition("\n  names:")[2] or text.partition(" names:")[2]
    if group and (kind := _KIND.search(names)):
        yield from (f"{group[1]}/{version}/{kind[1]}" for version in _VERSION.findall(text))
    elif is_definition(crd := mapping_in(text)):  # written in another style, as {kind: Box} is
        spec = crd["spec"]
        yield from (f"{spec['group']}/{version['name']}/{spec['names']['kind']}" for version in spec["versions"])


def is_definition(data: Mapping[str, Any]) -> bool:
    """Whether `data` is a CustomResourceDefinition that says which kinds it defines."""
    spec = data.get("spec")
    return (
        data.get("kind") == "CustomResourceDefinition"
        and isinstance(spec, dict)
        and isinstance(spec.get("group"), str)
        and isinstance(spec.get("names"), dict)
        and isinstance(spec["names"].get("kind"), str)
        and isinstance(spec.get("versions"), list)
        and all(isinstance(version, dict) and "name" in version for version in spec["versions"])
    )
