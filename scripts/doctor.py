"""Looks at what the toolkit needs of this machine: a line each, with the fix for what is not as it should be."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scripts.chart.source import read_chart
from scripts.cluster.kind import INOTIFY, INOTIFY_ENOUGH, INOTIFY_FIX
from scripts.containers import engine, leftovers
from scripts.containers.stack import taken
from scripts.core.errors import MALFORMED, FindingsError, GitError, ReleaseError
from scripts.core.git import find_repository
from scripts.core.parallel import workers
from scripts.core.paths import shown
from scripts.core.words import many, some
from scripts.registry.client import connect
from scripts.registry.embedded import registry_for
from scripts.registry.proxies import proxy_for
from scripts.release.sign import demand_key
from scripts.workspace import Workspace

Level = Literal["ok", "note", "problem"]

_GIB = 1024**3
_DISK, _DISK_ENGINE = 4 * _GIB, 15 * _GIB  # the tools; and a node image, its layers and four running nodes
_MEMORY = 4 * _GIB  # four nodes with the chart on them
_GIT = (2, 31)  # whose rev-parse knows --path-format
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Line:
    """What was found about `about`, whether it will do, and the `fix` to run where it will not."""

    about: str
    level: Level
    found: str
    fix: str | None = None


def examine(work: Workspace) -> tuple[Line, ...]:
    """Every line, in order; nothing is changed. A question that fails is a line, never an error."""
    # Here, as what is imported above, and not by several threads at a time: a signal in the middle of an import may
    # leave its lock taken, for which the others would wait for ever.
    import docker  # noqa: F401

    questions: list[Callable[[Workspace], Iterator[Line]]] = [
        _python,
        _disk,
        _memory,
        _cgroup,
        _inotify,
        _ports,
        _tools,
        _chart,
        _git,
        _signing_key,
        _registry,
        _proxy,
        _leftovers,
    ]

    def answer(question: Callable[[Workspace], Iterator[Line]]) -> list[Line]:
        try:
            return list(question(work))
        except (ReleaseError, OSError, *MALFORMED) as error:  # the last of what no machine of ours has said
            about = question.__name__.strip("_").replace("_", " ")
            if isinstance(error, ReleaseError):
                found = f"{error.message} ({error.found})" if error.found else error.message
                return [Line(about, "problem", work.runner.redact(found), error.run)]
            return [Line(about, "problem", str(error))]

    with workers(work.runner, len(questions)) as pool:
        others = pool.map(answer, questions)
        engine = answer(_engine)  # in this thread, where a signal ends a wait of docker's own client
        return tuple(line for lines in (engine, *others) for line in lines)


def mend(work: Workspace, lines: tuple[Line, ...]) -> None:
    """Do what is safe: raise the limit on inotify where we may, build the missing tools, remove what killed runs left.

    What fails is said, and the rest is done.
    """

    def raise_limit() -> None:
        if os.access(INOTIFY, os.W_OK):
            work.say(f"raising {INOTIFY} to 1024")
            INOTIFY.write_text("1024\n", encoding="utf-8")

    fixes: dict[str, Callable[[], object]] = {
        "inotify": raise_limit,
        "tools": lambda: work.tools.paths(state.name for state in work.tools.survey()),
        "leftovers": lambda: leftovers.remove(work),
    }
    for line in lines:
        try:
            if line.level != "ok" and line.about in fixes:
                fixes[line.about]()
        except (ReleaseError, OSError) as error:
            work.say(f"note: {line.about}: {error}")


def demand_sound(lines: tuple[Line, ...]) -> None:
    """Raises FindingsError where a line is a problem."""
    if bad := [line for line in lines if line.level == "problem"]:
        fix = next((line.fix for line in bad if line.fix), None)
        raise FindingsError("this machine cannot run everything", found=", ".join(one.about for one in bad), run=fix)


def _note(about: str, found: str, wrong: bool, fix: str) -> Line:
    return Line(about, "note" if wrong else "ok", found, fix if wrong else None)


def _python(_: Workspace) -> Iterator[Line]:
    yield Line("python", "ok", f"{platform.python_version()} at {sys.executable}")


def _disk(work: Workspace) -> Iterator[Line]:
    folders = {
        "cache": (work.config.cache_dir, _DISK, "GATI_CACHE_DIR"),
        "dist": (work.config.dist, _GIB // 10, "GATI_DIST"),
        "temporary": (Path(os.environ.get("TMPDIR") or tempfile.gettempdir()), _GIB, "TMPDIR"),
    }
    for about, (folder, wanted, name) in folders.items():
        makes = () if about == "temporary" else folder.parents  # which is there, or of no use
        there = next((path for path in (folder, *makes) if path.exists()), folder)
        level: Level = "problem"
        try:
            with tempfile.TemporaryFile(dir=there):  # to ask for rights alone tells a superuser nothing
                free = shutil.disk_usage(there).free
            found, fix = f"{free / _GIB:.1f} GiB free for {folder}", "make room, or name"
            level = "problem" if free < wanted else "ok"
        except OSError as error:
            found, fix = f"{folder} cannot be written: {error.strerror}", "name"
            if about == "cache" and folder.is_dir() and any(folder.iterdir()):  # filled elsewhere, it is read from
                level = "note"
        if about == "cache" and os.statvfs(there).f_flag & getattr(os, "ST_NOEXEC", 0):  # macOS tells of none
            level, found, fix = "problem", f"{folder} is on a disk of which no program may be run (noexec)", "name"
        yield Line(f"disk: {about}", level, found, f"{fix} another folder: {name}=PATH" if level != "ok" else None)


def _memory(_: Workspace) -> Iterator[Line]:
    try:
        text = Path("/proc/meminfo").read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    available = int(re.findall(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)[0]) * 1024
    low = available < _MEMORY
    found = f"{available / _GIB:.1f} GiB available, {os.cpu_count()} processors"
    yield _note("memory", found, low, "a cluster wants 4 GiB: close something")


def _cgroup(_: Workspace) -> Iterator[Line]:
    if sys.platform == "linux":
        version = "2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "1"
        yield Line("cgroup", "ok", f"version {version}")


def _inotify(_: Workspace) -> Iterator[Line]:
    if INOTIFY.exists():
        limit = int(INOTIFY.read_text(encoding="utf-8"))
        yield _note("inotify", f"{limit} instances a user", limit < INOTIFY_ENOUGH, INOTIFY_FIX)


def _engine(_: Workspace) -> Iterator[Line]:
    with engine.connect() as client:
        facts = client.info()
    where = Path(str(facts.get("DockerRootDir", "/")))
    yield Line("engine", "ok", f"{facts['ServerVersion']} on {facts['OperatingSystem']}, {facts['Driver']}")
    if where.exists():
        free = shutil.disk_usage(where).free
        found, fix = f"{free / _GIB:.1f} GiB free for {where}", "docker system prune"
        yield _note("disk: engine", found, free < _DISK_ENGINE, fix)


def _ports(work: Workspace) -> Iterator[Line]:
    for key in ("http_port", "grpc_port"):
        port = int(getattr(work.config, key))
        why = taken(port)
        fix = f"end what uses it (invoke down), or GATI_{key.upper()}=PORT"
        yield _note(f"port {port}", why or "free for `invoke up`", why is not None, fix)


def _tools(work: Workspace) -> Iterator[Line]:
    states = work.tools.survey()
    missing = [state.name for state in states if state.state != "ready"]
    found = f"{len(states) - len(missing)} ready"  # not of how many: some are shown once they are there
    found += f"; not yet: {', '.join(missing)}" if missing else ""
    yield _note("tools", found, bool(missing), "invoke tools --build")


def _chart(work: Workspace) -> Iterator[Line]:
    yield Line("chart", "ok", f"{read_chart(work.config.chart).title} in {shown(work.config.chart)}")


def _git(work: Workspace) -> Iterator[Line]:
    if not work.config.chart.is_dir():
        return  # as the line of the chart says
    repository = find_repository(work.config.chart, work.runner)
    if repository is None:
        yield Line("git", "note", f"{work.config.chart} is in no git repository: nothing can be committed or tagged")
        return
    told = work.runner.run(("git", "--version"), check=False).stdout
    if (version := re.search(r"(\d+)\.(\d+)", told)) and (int(version[1]), int(version[2])) < _GIT:
        wanted = ".".join(map(str, _GIT))
        yield Line("git version", "problem", told.strip(), f"install git {wanted} or newer")
    try:
        yield Line("git", "ok", repository.try_identity())
    except GitError as error:
        yield Line("git", "problem", "no identity to commit or tag with", error.run)
    if locks := repository.locks():
        yield Line("git locks", "note", f"{locks[0]}: a git is at work, or was killed", f"rm {shlex.join(locks)}")
    if not repository.signs():
        yield Line("signing", "ok", "tags are not signed")
        return
    if repository.commit() is None:
        yield Line("signing", "note", "tags are signed; there is no commit yet to try it on")
        return
    try:
        repository.try_signing()
    except ReleaseError as error:
        why = (error.found or "").splitlines()[-1:] or [error.message]
        yield Line("signing", "problem", f"{error.message}: {why[0]}", error.run)
    else:
        form = repository.setting("gpg.format") or "openpgp"
        yield Line("signing", "ok", f"tags are signed ({form}), which was tried")


def _signing_key(work: Workspace) -> Iterator[Line]:
    demand_key(work.config)
    if work.config.signing_key:
        yield Line("signing key", "ok", work.config.signing_key)


def _registry(work: Workspace) -> Iterator[Line]:
    if not work.config.registry:
        yield Line("registry", "note", f"none configured: the embedded one in {work.config.embedded_registry}")
        return
    with registry_for(work) as registry, connect(registry) as client:
        versions = client.versions(read_chart(work.config.chart).name)
        login = f"as {registry.credentials.username}" if registry.credentials else "without a login"
        yield Line("registry", "ok", f"{registry.host} answers {login}: {many(len(versions), 'version')}")


def _proxy(_: Workspace) -> Iterator[Line]:
    used = {name: value for name in _PROXIES if (value := os.environ.get(name) or os.environ.get(name.lower()))}
    if used:
        for scheme in ("https", "http"):
            proxy_for(f"{scheme}://registry.example", os.environ)
        hidden = {name: re.sub(r"^(\w+://)?.*@", r"\1***@", value) for name, value in used.items()}
        yield Line("proxy", "note", ", ".join(f"{name}={value}" for name, value in hidden.items()))


def _leftovers(work: Workspace) -> Iterator[Line]:
    found = leftovers.find(work)
    told = ", ".join(some(found, 3))
    fix = "invoke down --all"
    yield _note("leftovers", told or "nothing of runs that were killed", bool(found), fix)
