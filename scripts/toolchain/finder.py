"""Finds each pinned binary of `tools.toml` on PATH or in the cache, or has it built from its Go module."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.core.command import Runner, installed
from scripts.core.errors import ReleaseError, ToolError, UsageError
from scripts.core.parallel import workers
from scripts.core.progress import Say, silent
from scripts.toolchain.cache import Cache
from scripts.toolchain.gobuild import GoBuilder, checksum
from scripts.toolchain.pins import PINS, Module, Tool, load_pins, said_version

_BUILDS = 2  # modules at a time: one downloads, links or lists its packages while the other compiles


@dataclass(frozen=True)
class ToolState:
    """A row of `invoke tools`: its `state`; the `rule` by which PATH may give it, and why it did not (`note`)."""

    name: str
    version: str
    rule: str
    source: str
    where: Path | None
    state: str
    note: str = ""


class Toolchain:
    """The pinned tools, in the user's `cache`; of several processes that ask for one, one builds, the others wait."""

    def __init__(self, cache: Path, runner: Runner, *, say: Say = silent, pins: Path = PINS, minor: str = "") -> None:
        self._cache = Cache(cache, say)
        self._runner = runner
        self._say = say
        self._pins = load_pins(pins, minor)
        self._go = GoBuilder(self._cache, runner, say, self._pins)
        self._known: dict[tuple[str, bool], Path] = {}
        self._verified = set[Path]()

    @property
    def minors(self) -> tuple[str, ...]:
        """The Kubernetes minors ("1.29") that are pinned, oldest first."""
        return self._pins.minors

    def of_minor(self, minor: str) -> Toolchain:
        """The same with the binaries of another Kubernetes `minor`. Raises ToolError for one that is not pinned."""
        return Toolchain(self._cache.folder, self._runner, say=self._say, minor=minor)

    def path(self, name: str) -> Path:
        """The binary `name`, checked or built. Raises ToolError."""
        return self.paths((name,))[name]

    def paths(self, names: Iterable[str], *, built: bool = False) -> dict[str, Path]:
        """Several binaries, modules built side by side; `built`: none of PATH, as pins name them. Raises ToolError."""
        wanted = {name: self._pin(name) for name in names}
        missing: dict[tuple[Any, ...], list[Tool]] = {}
        for name, tool in wanted.items():
            if (name, built) in self._known:
                continue
            found = None if built else self._look(tool)[0]
            if found is None and not self._intact(tool):
                missing.setdefault((tool.module, tool.cgo, tool.tags, tool.ldflags), []).append(tool)
            self._known[name, built] = found or self._entry(tool) / tool.binary
        if missing:
            try:
                self._go.binary  # noqa: B018 - found or installed once, before the threads ask for it
                with workers(self._runner, _BUILDS) as pool:
                    for done in as_completed([pool.submit(self._build, tools) for tools in missing.values()]):
                        done.result()
            except BaseException:
                self._known = {}
                raise
        return {name: self._known[name, built] for name in wanted}

    def module(self, name: str) -> Module:
        """The pinned module `name`. Raises ToolError."""
        module = self._pins.modules.get(name)
        if module is None:
            raise ToolError(f"no module {name!r} is pinned", expected=", ".join(sorted(self._pins.modules)))
        return module

    def source(self, name: str) -> Path:
        """The files of the pinned module `name`, checksum verified, in the cache. Raises ToolError."""
        return self.unpacked(self.module(name))

    def unpacked(self, module: Module) -> Path:
        """The files of `module`, checksum verified, in the cache. Raises ToolError."""
        folder = self._cache.folder / "modules" / module.folder
        if folder not in self._verified and checksum(folder, module) != module.h1:
            with self._cache.lock(folder), self._cache.scratch() as scratch:
                if checksum(folder, module) != module.h1:  # another process may have unpacked it
                    if folder.exists():
                        self._say(f"{folder} is not what was unpacked: unpacking it anew")
                    self._go.unpack(module, scratch / "module")
                    with contextlib.suppress(FileNotFoundError):
                        shutil.move(folder, scratch / "damaged")
                    (scratch / "module").rename(folder)
        self._verified.add(folder)
        return folder

    def version(self, name: str) -> str:
        tool = self._pins.tools.get(name)
        return (tool.module if tool else self.module(name)).version

    def key(self, name: str) -> str:
        """Changes with everything that changes the binary `name` when it is built."""
        return self._pin(name).key()

    def survey(self, names: Iterable[str] | None = None) -> list[ToolState]:
        """Where every tool stands, or each of `names`, building nothing. Raises ToolError."""
        rows = []
        for tool in [self._pin(name) for name in names or self._pins.tools]:
            entry, state, source, where = self._entry(tool), "not built", "Go module", None
            found, note = self._look(tool)
            if found is not None:
                state, source, where = "ready", "PATH", found
            elif entry.exists():
                source, where = "cache", entry / tool.binary
                state = "ready" if self._intact(tool) else "damaged"
            if names or tool.listed or state != "not built":
                rows.append(ToolState(tool.name, tool.module.version, tool.rule, source, where, state, note))
        return rows

    def _pin(self, name: str) -> Tool:
        try:
            return self._pins.tools[name]
        except KeyError:
            raise UsageError(f"no tool {name!r} is pinned", expected=", ".join(sorted(self._pins.tools))) from None

    def _look(self, tool: Tool) -> tuple[Path | None, str]:
        """The binary on PATH or in the tool's own folders that may be taken, or why none is."""
        notes = []
        for path in installed(tool.binary, map(os.path.expanduser, tool.folders)):
            if tool.rule == "none":
                notes.append(f"{path} is not asked for its version")
                continue
            try:
                answer = self._runner.run([path, *tool.version_argv], deadline=20, check=False)
            except ReleaseError as error:
                notes.append(f"{path} does not run: {error.found or error.message}")
                continue
            if answer.status == 0 and tool.admits(answer.stdout):
                if tool.accepts or tool.built(path):
                    return path, ""
                notes.append(f"{path} says so, but Go has not noted in it that it was built of {tool.module.path}")
                continue
            said = said_version(answer.stdout) or "of no known version"
            notes.append(f"{path} is {said}" if answer.status == 0 else f"{path} ended with status {answer.status}")
        return None, "; ".join(notes)

    def _entry(self, tool: Tool) -> Path:
        return self._cache.folder / "tools" / f"{tool.name}-{tool.module.version}-{tool.key()}"

    def _intact(self, tool: Tool) -> bool:
        entry = self._entry(tool)
        return os.access(entry / tool.binary, os.X_OK) and self._cache.intact(entry, tool.binary)

    def _build(self, tools: Sequence[Tool]) -> None:
        module = tools[0].module
        with self._cache.lock(self._cache.folder / "tools" / f"{module.name}-{module.version}"):
            todo = [tool for tool in tools if not self._intact(tool)]  # another process may have built it
            if todo:
                names = ", ".join(tool.name for tool in todo)
                self._say(f"building {names} {module.version} from {module.path} (once; kept in the cache)")
                with self._cache.scratch() as scratch:
                    built = self._go.build(todo, scratch)
                    for tool in todo:
                        self._cache.put(built[tool.name], self._entry(tool), scratch)
                self._say(f"built {names} {module.version}")
