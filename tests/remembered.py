"""Runs helm and kubeconform once for the same question: their answers are kept in the user's cache, by content.

Our chart asks for neither time nor chance (a test holds that), so that the same files give the same text; others are
remembered where none of their files has a word with which a template could ask for them.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import itertools
import json
import os
import re
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.core.command import Argv, Result, Runner
from scripts.core.errors import CommandFailed
from scripts.core.files import sha256

_KEPT = 14 * 86_400  # seconds that an answer stays which nobody asks for
_TASKS, _DRY = ("template", "lint", "package"), "--dry-run=client"
# What gives another answer in another run, or another place.
_CHANCE = re.compile(
    rb"\b(now|ago|date\w*|htmlDate\w*|rand[A-Z]\w*|uuidv4|gen[A-Z]\w+|derivePassword|lookup|getHostByName|shuffle|htpasswd"
    rb"|bcrypt|encryptAES|buildCustomCert)\b|\$ref\"\s*:\s*\"http"
)
_TEXTS = {"--set", "--set-json", "--set-literal", "--set-string"}  # what follows them names no file, whatever is in it
_UNCLEAR = re.compile(r"[,=\"{]")  # in a word that may name a file among other things
_PLACE = "\0{}\0"  # in an answer, where it names the folder that was asked about


class Remembering(Runner):
    """A runner that asks helm for what it makes of a chart alone, and kubeconform for the same texts, once.

    The answers stay in `folder`, which other processes share. While not `remembers` it asks every time.
    """

    def __init__(self, folder: Path, **words: Any) -> None:
        super().__init__(**words)
        self.folder = folder
        self.remembers = True

    @contextlib.contextmanager
    def afresh(self) -> Iterator[None]:
        """While the block runs, everything is asked again."""
        before, self.remembers = self.remembers, False
        try:
            yield
        finally:
            self.remembers = before

    def run(
        self,
        argv: Argv,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str | None] | None = None,
        stdin: str | bytes | Path | None = None,
        deadline: float = 60,
        check: bool = True,
    ) -> Result:
        """As a runner does."""
        question = None
        if self.remembers and cwd is None and not isinstance(stdin, Path):
            question = _question(self.folder.parent, [*map(str, argv)], env, stdin)
        if question is None:
            return super().run(argv, cwd=cwd, env=env, stdin=stdin, deadline=deadline, check=check)
        key, folders = question
        file = self.folder / key[:2] / key
        into = Path(argv[argv.index("--destination") + 1]) if argv[1] == "package" else None
        try:
            told = json.loads(zlib.decompress(file.read_bytes()))
            for name, data in told.get("made", {}).items():
                (into or Path()).joinpath(name).write_bytes(base64.b64decode(data))
            os.utime(file)
        except (OSError, ValueError, zlib.error):
            made = super().run(argv, env=env, stdin=stdin, deadline=deadline, check=False)
            told = {"status": made.status, "stdout": made.stdout, "stderr": made.stderr}
            for number, folder in enumerate(folders):
                told |= {name: told[name].replace(folder, _PLACE.format(number)) for name in ("stdout", "stderr")}
            if into is not None:
                told["made"] = {path.name: base64.b64encode(path.read_bytes()).decode() for path in into.glob("*.tgz")}
            if into is None or told["made"]:  # why none was made may lie in the place for it
                _write(file, zlib.compress(json.dumps(told).encode(), 1))
        for number, folder in enumerate(folders):
            told |= {name: told[name].replace(_PLACE.format(number), folder) for name in ("stdout", "stderr")}
        result = Result(self._shown(argv), told["status"], told["stdout"], told["stderr"], 0.0, told["stdout"].encode())
        if check and result.status != 0:
            raise CommandFailed(result.argv, result.status, stdout=result.stdout, stderr=result.stderr)
        return result

    def prune(self) -> None:
        """Remove what nobody has asked for in two weeks."""
        for file in self.folder.glob("*/*"):
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > _KEPT:
                    file.unlink()


@functools.cache
def shared(cache_dir: Path) -> Remembering:
    """The one runner of this process that remembers, beside the tools in the user's cache."""
    return Remembering(cache_dir / "test-answers")


def _question(
    cache: Path, argv: Sequence[str], env: Mapping[str, str | None] | None, stdin: str | bytes | None
) -> tuple[str, list[str]] | None:
    """A digest of all that the answer depends on, and the folders in it; None where that cannot be said."""
    name = Path(argv[0]).name
    if name != "kubeconform" and not (name == "helm" and (argv[1] in _TASKS or _DRY in argv)):
        return None
    words, folders, charts = [argv[0]], list[str](), list[tuple[Path, str]]()
    if not argv[0].startswith(f"{cache}/"):  # where a tool has its version in its name
        with contextlib.suppress(OSError):
            words.append(str(Path(argv[0]).stat().st_mtime_ns))
    for before, word in itertools.pairwise(argv):
        if before in _TEXTS or not os.path.lexists(word):
            clear = before in _TEXTS or word == _DRY or f"{cache}/schemas/" in word  # these are never others
            if not clear and _UNCLEAR.search(word):
                return None
            words.append(word)
            continue
        digest = _content(word)
        if digest is None or json.dumps(word)[1:-1] != word:  # it may stand in an answer as JSON spells it
            return None
        words.append(f"{_PLACE.format(len(folders))}{digest}")
        folders.append(word)
        if Path(word, "Chart.yaml").is_file():
            charts.append((Path(word), digest))
        if not Path(word).is_absolute():
            words += [word, str(Path.cwd())]  # helm may say either, and what is said stands for this place alone
    if name == "helm" and not any(_is_gati(chart) or _is_steady(chart, digest) for chart, digest in charts):
        return None
    data = stdin.encode() if isinstance(stdin, str) else stdin or b""
    around = [(key, value) for key, value in os.environ.items() if key.startswith("HELM_") and "_HOME" not in key]
    asked: list[Any] = [words, sorted((env or {}).items()), sha256(data), *([sorted(around)] if around else [])]
    return sha256(json.dumps(asked)), folders


def _is_gati(folder: Path) -> bool:
    """Whether it is the chart, or one of our own that holds it and has no template."""
    held = folder / "charts" / "gati"
    if held.is_dir() and not (folder / "templates").exists():
        folder = held
    try:
        return "\nname: gati\n" in "\n" + (folder / "Chart.yaml").read_text()
    except OSError:
        return False


@functools.lru_cache(1000)
def _is_steady(chart: Path, _content: str) -> bool:
    """Whether no file of it, an archive of a dependency least of all, can bring in time, chance or another place."""
    files = [file for file in chart.rglob("*") if file.is_file()]
    return not any(file.suffix == ".tgz" or _CHANCE.search(file.read_bytes()) for file in files)


def _content(path: str) -> str | None:
    """The digest of a file, or of every file below a folder with its name.

    None where a link may lead elsewhere, or a pipe would be waited for.
    """
    place = Path(path)
    if not place.is_dir():
        return _digest_of(path, *_state(place.stat())) if place.is_file() else None
    files, folders = list[tuple[str, str, os.DirEntry[str]]](), [path]
    for folder in folders:
        with os.scandir(folder) as entries:
            for one in entries:
                if one.is_dir(follow_symlinks=False):
                    folders.append(one.path)
                elif one.is_file(follow_symlinks=False):
                    files.append((folder, one.name, one))
                else:
                    return None
    lines = (
        f"{folder[len(path) + 1 :]}/{name}\0{_digest_of(file.path, *_state(file.stat()))}\0".lstrip("/")
        for folder, name, file in sorted(files, key=lambda found: found[:2])
    )
    return sha256("".join(lines).encode("utf-8", "surrogateescape"))


def _state(state: os.stat_result) -> tuple[int, ...]:
    return state.st_ino, state.st_size, state.st_mtime_ns


@functools.lru_cache(10_000)
def _digest_of(file: str, *_state: int) -> str:
    return sha256(Path(file).read_bytes())


def _write(file: Path, data: bytes) -> None:
    """In one piece, as several processes ask at a time; a cache that cannot be written is none."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(data)
        fresh.replace(file)
