"""Owns what is pinned: Go modules by version and checksum, the binaries built of them, and what else may be taken."""

from __future__ import annotations

import contextlib
import json
import mmap
import platform
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semver import Version

from scripts.core.errors import ToolError
from scripts.core.files import sha256
from scripts.core.semver import minor as minor_of

PINS = Path(__file__).with_name("tools.toml")
_OF_MODULE = ("path", "version", "h1", "local_replace", "plugins", "replace")  # of the keys in a tool's table
_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?(?:[-+][0-9A-Za-z.+-]+)?")


def said_version(answer: str) -> str:
    """The first version in what a program says of itself, "" where there is none."""
    found = _VERSION.search(answer)
    return found[0] if found else ""


def within(version: str, accepts: Sequence[str]) -> bool:
    """Whether `version` is in the range of comparisons such as ">=1.2.0". Extra words of a distributor do not count."""
    try:
        known = Version.parse(version.partition("+")[0], optional_minor_and_patch=True)
    except ValueError:
        return False
    return all(known.match(comparison) for comparison in accepts)


@dataclass(frozen=True)
class Plugins:
    """What is built of a program whose Go file `file` imports all of its plugins: the packages `keep`."""

    file: str
    keep: tuple[str, ...]


@dataclass(frozen=True)
class Module:
    """A pinned Go module; `h1` is its checksum as `go.sum` writes it, `ldflags` serve its tools that give none.

    `local_replace` is the version in place of folders of its repository, "" has none, None where it names no folders.
    `replace` holds pairs of another module and the version that it is built with.
    """

    name: str
    path: str
    version: str
    h1: str
    local_replace: str | None = None
    ldflags: tuple[str, ...] = ()
    plugins: Plugins | None = None
    replace: tuple[tuple[str, str], ...] = ()

    @property
    def wanted(self) -> str:
        """As Go asks for it, and as its zip names each of its files."""
        return f"{self.path}@{self.version}"

    @property
    def folder(self) -> str:
        """The name of the folder that has its files: it changes with what they are to be."""
        return f"{self.name}-{self.version}-{sha256(f'{self.path}{self.version}{self.h1}')[:12]}"


@dataclass(frozen=True)
class Tool:
    """A pinned binary, built from `package` (a folder) of `module`.

    Another one is taken, from PATH or `folders`, where `version_pattern` fits what it says, or where it only has to
    work: where its version is in the range that `accepts` gives (">=1.2.0", "<2.0.0").
    """

    name: str
    module: Module
    package: str
    binary: str
    ldflags: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    cgo: bool = False
    version_argv: tuple[str, ...] = ()
    version_pattern: str | None = None
    listed: bool = True
    accepts: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        """Which binaries on PATH are taken: a range, "exact", or "none" where one cannot be asked for its version."""
        return " ".join(self.accepts) or ("exact" if self.version_pattern else "none")

    def admits(self, answer: str) -> bool:
        """Whether a binary that answered this when it was asked for its version may be taken."""
        if not self.accepts:
            return self.version_pattern is not None and bool(re.search(self.version_pattern, answer, re.MULTILINE))
        return within(said_version(answer), self.accepts)

    def built(self, binary: Path) -> bool:
        """Whether Go has noted in `binary` that it was built of the pinned module, by version or as checked out."""
        noted = re.compile(rb"\nmod\t%s\t(\S+)" % re.escape(self.module.path.encode()))
        with (
            contextlib.suppress(OSError, ValueError),  # it may be run, but not be read; or is empty
            binary.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            found = noted.search(content)
            return found is not None and found[1].decode(errors="replace") in (self.module.version, "(devel)")
        return False

    def key(self) -> str:
        """Names the cache entry: changes with everything that changes the binary."""
        inputs = asdict(self)
        for name in ("accepts", "folders"):  # what is taken from elsewhere is not what is built
            del inputs[name]
        for name in ("plugins", "replace"):  # the entries of before there were any stay good
            if not inputs["module"][name]:
                del inputs["module"][name]
        described = json.dumps(inputs, sort_keys=True) + platform.system() + platform.machine()
        return sha256(described)[:12]


@dataclass(frozen=True)
class Pins:
    """What `tools.toml` says; `minors` are the Kubernetes minors ("1.29") that a node image can be built for."""

    modules: Mapping[str, Module]
    tools: Mapping[str, Tool]
    go_accepts: tuple[str, ...]
    go_package: str
    go_hashes: tuple[str, ...]
    minors: tuple[str, ...] = ()


def load_pins(path: Path = PINS, minor: str = "") -> Pins:
    """The pins, or those for a Kubernetes `minor`. Raises ToolError for one without pins, or an incomplete entry."""
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        entries, tables, others = raw.get("module", {}), raw.get("tool", {}), raw.get("minor", {})
        for name, table in tables.items():
            if "path" in table:  # the module as well
                entries[name] = {key: table.pop(key) for key in _OF_MODULE if key in table}
        newest = minor_of(entries["kubernetes"]["version"]) if others else ""
        minors = tuple(sorted((*others, newest), key=lambda name: int(name.partition(".")[2]))) if others else ()
        if minor and minor not in minors:
            raise ToolError(
                f"no Kubernetes {minor} is pinned",
                expected=", ".join(minors),
                run=f'choose one of them, or add [minor."{minor}"] to {path.name}',
            )
        for name, entry in others.get(minor, {}).items():
            entries[name] = entries[entry] if isinstance(entry, str) else {**entries[name], **entry}
        modules = {name: _module(name, entry) for name, entry in entries.items()}
        several = ((name, entry) for names, entry in tables.items() for name in names.split())
        tools = {name: _tool(name, entry, modules) for name, entry in several}
        go = raw["go"]
        return Pins(modules, tools, tuple(go["accepts"]), go["package"], tuple(go["sha256"]), minors)
    except (KeyError, TypeError) as error:
        raise ToolError(f"{path} has an incomplete entry", found=str(error)) from error


def _numbered(text: str, version: str) -> str:
    """`text` with the numbers that `{minor}`, `{minor-1}` and the like, and `{patch}` stand for."""
    numbers = dict(zip(("minor", "patch"), map(int, re.findall(r"(?<=\.)\d+", version)), strict=False))
    return re.sub(r"\{(minor|patch)([-+]\d+)?\}", lambda found: str(numbers[found[1]] + int(found[2] or 0)), text)


def _module(name: str, entry: Mapping[str, Any]) -> Module:
    plugins = entry.get("plugins")
    chosen = plugins and Plugins(plugins["file"], tuple(plugins["keep"]))
    replace = tuple(entry.get("replace", {}).items())
    ldflags = tuple(_numbered(flag, entry["version"]) for flag in entry.get("ldflags", ()))
    local = {"local_replace": _numbered(entry["local_replace"], entry["version"])} if "local_replace" in entry else {}
    return Module(**{**entry, **local, "name": name, "ldflags": ldflags, "plugins": chosen, "replace": replace})


def _tool(name: str, entry: Mapping[str, Any], modules: Mapping[str, Module]) -> Tool:
    module = modules[entry.get("module", name)]
    names = {"name": name, "version": module.version, "number": module.version.removeprefix("v")}

    def fill(text: str, escape: Callable[[str], str] = str) -> str:
        for key, value in names.items():
            text = text.replace("{" + key + "}", escape(value))
        return text

    told: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    told |= {"name": name, "module": module, "package": fill(entry.get("package", "cmd/{name}"))}
    told["ldflags"] = tuple(map(fill, entry.get("ldflags", module.ldflags)))
    told["accepts"] = tuple(_numbered(comparison, module.version) for comparison in entry.get("accepts", ()))
    if pattern := entry.get("version_pattern"):
        told["version_pattern"] = fill(pattern, re.escape)
    return Tool(**{"binary": name, "listed": "version_argv" in entry, **told})
