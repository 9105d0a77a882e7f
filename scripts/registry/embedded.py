"""Serves the embedded registry on loopback, which keeps its content in a folder between runs."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import signal
import socket
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scripts.chart.archive import unpack
from scripts.chart.source import read_chart
from scripts.core import json_read
from scripts.core.command import Process, Runner
from scripts.core.config import Config
from scripts.core.errors import REFUSED, ConfigError, RegistryError, ReleaseError
from scripts.core.files import sha256, write_atomic
from scripts.core.owner import temporary
from scripts.core.progress import Say
from scripts.core.waiting import locked, until
from scripts.registry.client import connect, holds_referrers
from scripts.registry.credentials import find_credentials, login_address, login_in_environment
from scripts.registry.reference import Registry, is_reference, parse_published
from scripts.registry.transport import Answer, Transport
from scripts.workspace import Workspace

PREFIX = "charts"  # the path below the host, as most registries want one
_MANIFESTS, _SERVED = "manifests.json", "served.json"
_SCHEMA_VERSION = 1
_START, _LOCK = 15.0, 120.0  # seconds to wait for the server, and for another run that has the folder
_ELSEWHERE = "give another folder: embedded_registry, GATI_EMBEDDED_REGISTRY"
_PORT = re.compile(r"serving on port (\d+)")


@contextlib.contextmanager
def registry_for(work: Workspace) -> Iterator[Registry]:
    """The configured registry, or the embedded one, `invoke registry`'s too. Raises ConfigError, RegistryError."""
    config = work.config
    if not config.registry:
        folder = config.embedded_registry
        with joined(folder, work) if _served_at(folder) else embedded(folder, work) as registry:
            yield registry
        return
    yield configured(config, work.runner)


def configured(config: Config, runner: Runner) -> Registry:
    """The configured registry with its login; why none can be looked up matters once it asks. Raises ConfigError."""
    bare = _bare(config)
    if (login := None if config.elsewhere else login_in_environment(os.environ)) is None:
        try:
            login = find_credentials(bare.host, runner, bare.path)
        except ReleaseError as error:
            return replace(bare, login_failure=error)
    if login is not None:
        runner.hide(login.password, login.identity_token, login.access_token, login.basic())
    return replace(bare, credentials=login)


def _bare(config: Config) -> Registry:
    files = (config.registry_ca, config.registry_cert, config.registry_key)
    ca, cert, key = (Path(name) if name else None for name in files)
    return Registry(config.registry, config.plain_http, ca, cert_file=cert, key_file=key)


def as_spoken(work: Workspace) -> Registry | None:
    """The configured registry, with `plain_http` as it speaks, which helm has to be told; None for the embedded one."""
    if not work.config.registry:
        return None
    with connect(_bare(work.config)) as client:  # a login takes a while to look up
        return client.as_spoken()


@contextlib.contextmanager
def registry_in_use(work: Workspace) -> Iterator[Registry | None]:
    """The same for one who only asks: None where the embedded registry has never held anything, and none is made."""
    if not work.config.registry and not work.config.embedded_registry.is_dir():
        yield None
        return
    with registry_for(work) as registry:
        yield registry


def served(work: Workspace, registry: Registry | None) -> Workspace:
    """The workspace with a registry that is served already in place of the embedded one."""
    if registry is None or work.config.registry:
        return work
    return work.having(registry=registry.remote, plain_http=registry.plain_http)


def elsewhere(work: Workspace, prefix: str) -> Workspace:
    """The workspace with the registry that a reference names; what is configured for another host is not for it.

    That is the login in the environment, and plain HTTP, but for the flag.
    """
    ours = work.config.registry
    own, asked = (login_address(one.partition("://")[2].partition("/")[0].lower()) for one in (ours, prefix))
    if ours and own != asked:
        work = work.having(elsewhere=True, plain_http=bool(work.overrides.get("plain_http")))
    return work.having(registry=prefix)


def fetch_chart(work: Workspace, reference: str, into: Path) -> Path:
    """A published chart below `into`, by version or reference. Raises RegistryError, ConfigError, ChartError."""
    if is_reference(reference):
        prefix, name, version, digest = parse_published(reference)
        if (named := version or digest) is None:
            raise ConfigError(f"{reference} names no version", expected="oci://host/path/name:version")
        work = elsewhere(work, prefix)
    else:
        name, named, digest = read_chart(work.config.chart).name, reference, None
    with registry_for(work) as registry, connect(registry) as client:
        wanted = registry.reference(name, named)
        found = client.named(wanted, digest)
        if found is None:
            known = ""
            with contextlib.suppress(RegistryError):  # who may read a chart may not list them everywhere
                known = ", ".join(client.versions(name)) or "none"
            raise RegistryError(
                f"{wanted} is not published",
                found=f"published versions: {known}" if known else None,
                run="name one that is, or a git revision to compare with what is not released",
                code=REFUSED,
            )
        return unpack(client.archive(wanted, found), into, str(wanted))


@contextlib.contextmanager
def embedded(folder: Path, work: Workspace) -> Iterator[Registry]:
    """crane's registry over `folder` on a free port of 127.0.0.1, stopped at the end of the block.

    crane keeps blobs in the folder and manifests in memory only, so they are put back at the start and noted at
    the end; what is damaged is dropped. Raises RegistryError where another run serves the folder, or the start fails.
    """
    with _serving(folder, work, 0) as (registry, _):
        yield registry


def serve(folder: Path, work: Workspace, *, port: int = 0) -> Generator[tuple[Registry, tuple[str, ...]], None, None]:
    """The same for others too, until it is closed, and the commands that pull what it holds. Raises RegistryError."""
    if (host := _served_at(folder)) is not None:
        found = f"oci://{host}/{PREFIX}"
        raise RegistryError(f"{folder} is served already", found=found, run=f"use that, or {_ELSEWHERE}", code=REFUSED)
    with _serving(folder, work, port) as (registry, process):
        pulls = [
            f"helm pull oci://{registry.host}/{each.repository} --version {each.tag.replace('_', '+')} --plain-http"
            for each in _noted(folder, work.say)
            if ":" not in each.tag and not holds_referrers(each.tag)  # neither what is attached, nor a list of that
        ]
        served = folder / _SERVED
        write_atomic(served, json.dumps({"pid": os.getpid(), "host": registry.host}) + "\n")
        try:
            yield registry, tuple(pulls or [f"helm pull {registry.prefix}/NAME --version VERSION --plain-http"])
            while process.wait(3600) is None:
                pass
        finally:
            served.unlink(missing_ok=True)
        raise RegistryError("the embedded registry ended", found=process.log_tail() or None, run="invoke registry")


@contextlib.contextmanager
def _serving(folder: Path, work: Workspace, port: int) -> Iterator[tuple[Registry, Process]]:
    say, binary = work.say, work.tools.path("crane")
    with _owned(folder, say), temporary("registry") as scratch:
        _sweep(folder)
        log = scratch / "registry.log"
        argv: list[str | Path] = [binary, "registry", "serve", "--disk", folder, "--address", f"127.0.0.1:{port}"]
        with work.runner.start(argv, log=log) as process:
            registry = _at(f"127.0.0.1:{_served_port(process, log)}")
            _restore(registry, folder, say)
            say(f"embedded registry at {registry.host}, kept in {folder}")
            try:
                yield registry, process
            finally:
                if process.running():
                    _note(registry, folder)


@contextlib.contextmanager
def joined(folder: Path, work: Workspace) -> Iterator[Registry]:
    """The embedded registry that another process serves, for this run alone among those that use it."""
    registry = _at(str(_served_at(folder)))
    with _owned(folder / "joined", work.say, f"the embedded registry at {registry.host}"):
        work.say(f"embedded registry at {registry.host}, served by `invoke registry`")
        try:
            yield registry
        finally:
            with contextlib.suppress(RegistryError):  # it was stopped meanwhile, and has noted what it held
                _note(registry, folder)


def _at(host: str) -> Registry:
    return Registry(f"oci://{host}/{PREFIX}", plain_http=True, alone=True)


def _served_at(folder: Path) -> str | None:
    """Host and port where `invoke registry` serves the folder; None where none does."""
    try:
        served = json_read.load((folder / _SERVED).read_bytes())
        host = str(served["host"])
        os.kill(served["pid"], 0)
        with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), timeout=1):
            return host
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None


@dataclass(frozen=True)
class _Manifest:
    repository: str
    tag: str
    media_type: str
    content: str

    def blobs(self) -> list[str]:
        """The digests of all that the manifest is made of; none for an index, whose parts are noted as manifests."""
        content = json_read.load(self.content)
        return [part["digest"] for part in (content["config"], *content["layers"])] if "config" in content else []


@contextlib.contextmanager
def _owned(folder: Path, say: Say, what: str = "") -> Iterator[None]:
    """The folder, for this run alone; `what` says what it stands for."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RegistryError(f"the embedded registry cannot use {folder}", found=error.strerror or str(error)) from error
    with locked(
        folder / ".lock",
        what=what or f"the embedded registry in {folder}",
        deadline=_LOCK,
        say=say,
        error=RegistryError,
        run=f"wait for it to end, or {_ELSEWHERE}",
    ):
        yield


def _sweep(folder: Path) -> None:
    """Clear what a run left that was killed before it could: its server, and what that was receiving."""
    for entry in Path("/proc").glob("[0-9]*"):  # it may have been killed before it could note whom it had started
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"--disk" in words and os.fsencode(folder) in words:
                os.kill(int(entry.name), signal.SIGKILL)
    for left in folder.glob("upload-*"):
        left.unlink(missing_ok=True)


def _served_port(process: Process, log: Path) -> int:
    """The port that crane says it listens on. Raises RegistryError where it ends or says nothing."""

    def port() -> int | None:
        if (match := _PORT.search(log.read_text(encoding="utf-8", errors="replace"))) is not None:
            return int(match.group(1))
        if not process.running():
            run = "invoke registry --port 0" if "already in use" in process.log_tail() else None
            raise RegistryError("the embedded registry does not start", found=process.log_tail(), run=run)
        return None

    return until(
        port,
        what="the embedded registry to start",
        deadline=_START,
        interval=0.02,
        state=process.log_tail,
        error=RegistryError,
    )


def _restore(registry: Registry, folder: Path, say: Say) -> None:
    """Put the noted manifests back, except those of which a blob is missing or damaged."""
    for manifest in _noted(folder, say):
        where = f"{manifest.repository}:{manifest.tag}"
        try:
            broken = [digest for digest in manifest.blobs() if not _intact(folder, digest)]
        except (ValueError, KeyError, TypeError):
            broken = ["its manifest"]
        if broken:
            say(f"embedded registry: {where} is dropped, since {broken[0]} is damaged")
            continue
        content = manifest.media_type, manifest.content.encode()
        _asked(registry, "PUT", f"{manifest.repository}/manifests/{manifest.tag}", content=content)


def _noted(folder: Path, say: Say) -> list[_Manifest]:
    try:
        record = json_read.load((folder / _MANIFESTS).read_text(encoding="utf-8"))
        return [_Manifest(**entry) for entry in record["manifests"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        say(f"embedded registry: {folder / _MANIFESTS} is damaged, so the registry starts empty ({error})")
        return []


def _note(registry: Registry, folder: Path) -> None:
    """Write down every tag's manifest."""
    ask, manifests = functools.partial(_asked, registry, "GET"), []
    for repository in ask("_catalog").json()["repositories"] or []:
        for tag in ask(f"{repository}/tags/list").json()["tags"] or []:
            answer = ask(f"{repository}/manifests/{tag}")
            for one in answer.json().get("manifests", ()):  # of what is attached to a chart: before the index of it
                part = ask(f"{repository}/manifests/{one['digest']}")
                manifests.append(_Manifest(repository, one["digest"], part.kind, part.body.decode()))
            manifests.append(_Manifest(repository, tag, answer.kind, answer.body.decode()))
    record = {"schema_version": _SCHEMA_VERSION, "manifests": [asdict(manifest) for manifest in manifests]}
    text = json.dumps(record, indent=1) + "\n"
    file = folder / _MANIFESTS
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        write_atomic(file, text)


def _asked(registry: Registry, method: str, path: str, **options: Any) -> Answer:
    """One request to our own server, which has no excuse. Raises RegistryError."""
    with contextlib.closing(Transport(registry)) as transport:
        answer = transport.send(method, f"http://{registry.host}/v2/{path}", most=1, **options)
    if answer.status >= 400:
        raise RegistryError("the embedded registry fails", found=f"{answer.words()} to {method} {path}")
    return answer


def _intact(folder: Path, digest: str) -> bool:
    algorithm, _, wanted = digest.partition(":")
    if algorithm != "sha256" or not re.fullmatch(r"[0-9a-f]{64}", wanted):
        return False
    try:
        return sha256(folder / algorithm / wanted) == wanted
    except OSError:
        return False
