"""Runs programs: argument lists only, a deadline always, secrets redacted, both streams kept."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from scripts.core.errors import CommandFailed, CommandTimeout, ToolError, last_words, limit, plainly
from scripts.core.hiding import any_form
from scripts.core.interrupt import Scope, Stopped, held, raise_if_stopped, scope, stopped
from scripts.core.owner import MARK, mark

Argv = Sequence[str | os.PathLike[str]]
PASSWORD = "GATI_REGISTRY_PASSWORD"  # noqa: S105 - the name; no program that we run is given its value
SIGNING_PASSWORDS = ("GATI_SIGNING_PASSWORD", "COSIGN_PASSWORD")  # names too; the first is ours, the second cosign's
WITHHELD = (PASSWORD, *SIGNING_PASSWORDS, "COSIGN_PRIVATE_KEY")
TOKENS = ("GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN", "GITEA_TOKEN", "FORGEJO_TOKEN")
_ASKED_WITH = (*TOKENS, "VAULT_TOKEN")
# Programs that may ask a forge or a vault with such a token, or that start one by what a user set up: a helper that
# logs in to a registry, a plugin of a kubeconfig. No other has it.
_ASKING = ("git", "go", "docker", "helm", "kubectl", "cosign")
# How variables begin with which a user has these do something else than our flags say, which say all (helm's cluster is
# the kubeconfig's, as for kubectl; k6 asks no proxy), and what they are given in their place.
_SETTINGS: Mapping[str, Mapping[str, str | None]] = {
    "docker": {"BUILDX_BUILDER": None, "DOCKER_DEFAULT_PLATFORM": None},
    "docker-compose": {"COMPOSE_": None, "DOCKER_DEFAULT_PLATFORM": None},
    "git": {"GIT_TRACE": None},
    "helm": {"HELM_DEBUG": None, "HELM_KUBE": None, "HELM_NAMESPACE": None},
    "k6": dict.fromkeys(("K6_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")),
    "kind": {"DOCKER_DEFAULT_PLATFORM": None, "KIND_EXPERIMENTAL_PROVIDER": None},
    "kubectl": {"KUBERC": "off"},
}
# A password or a token in an address, as of a remote; with a slash in it, too, where no port comes before that.
_LOGIN = re.compile(
    r"((?:https?|oci|socks5h?)://)[^/\s]+@|((?<![\w+.-])[\w+.-]{1,20}://)[^/\s:@\[]*:(?!\d*[/\s])(?:[^/\s]+|[^\s@]+)@"
)
_TOKEN = re.compile(r"([?&](?:\w+_)?token=)[^&\s'\"]+")  # the same in its query
_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
_MOST = 256 << 20  # bytes that a child may print: what goes on without end would take all memory
_LEFT = 1.0  # seconds that the streams of a child are read once it has ended, which a daemon of it may hold


@dataclass(frozen=True)
class Result:
    """What a finished command left: `argv` (redacted), exit `status`, both streams as text, wall `seconds`.

    `raw` is stdout byte for byte, with secrets in it, for content that is not text; `complaint` is stderr with them, to
    decide by and never to show: a secret may be a part of any word.
    """

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str
    seconds: float
    raw: bytes = field(default=b"", repr=False)
    complaint: str = field(default="", repr=False)


class Process:
    """A child that runs beside us; made and ended by `Runner.start`."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self._popen = popen
        self.log = log

    @property
    def pid(self) -> int:
        return self._popen.pid

    def running(self) -> bool:
        return self._popen.poll() is None

    def wait(self, deadline: float) -> int | None:
        """The exit status, or None when the child still runs after `deadline` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._popen.wait(timeout=deadline)
        return None

    def tell(self, sig: int) -> None:
        """Send a signal to the child and all that it started; whether and when it ends is its own affair."""
        if self.running():
            _tell_group(self._popen, sig)

    def stop(self, sig: int = signal.SIGTERM) -> None:
        """End the child and all that it started; it is gone when this returns."""
        _end_group(self._popen, sig)

    def log_tail(self, lines: int = 12) -> str:
        """The last `lines` of what the child printed."""
        with contextlib.suppress(OSError):
            return last_words(self.log.read_text(encoding="utf-8", errors="replace"), lines)
        return ""


class Runner:
    """Runs commands for every other module, so that echo, redaction and clean-up have one home.

    `echo` receives each command line before it runs. Secrets are replaced by `***` in all that is echoed, logged or
    raised, and in what came on stderr; stdout is data, which a short password must not damage. They should still
    travel by stdin, never by argv or environment.
    What still runs when the runner goes, or the process exits, is ended: no signal leaves an orphan. Nothing is
    started in a worker thread whose work is stopped.
    """

    def __init__(self, *, echo: Callable[[str], None] | None = None, secrets: Iterable[str] = ()) -> None:
        self._echo = echo
        self._secrets = dict[str, re.Pattern[str]]()
        self.hide(*secrets)
        self._kept: dict[str, None] = dict.fromkeys(WITHHELD)
        self._children: dict[subprocess.Popen[bytes], Scope | None] = {}
        weakref.finalize(self, _end_all, self._children)

    def hide(self, *secrets: str) -> None:
        """Add what became known to be secret."""
        for secret in {secret.strip() for secret in secrets} - {"", *self._secrets}:
            self._secrets[secret] = re.compile(any_form(secret))

    def withhold(self, name: str) -> None:
        """Keep a variable of the environment from every program that is not given it by `env`."""
        self._kept[name] = None

    @contextlib.contextmanager
    def withholding(self) -> Iterator[None]:
        """Keep them in this block from a program, too, that a library starts by itself."""
        held = {name: os.environ.pop(name) for name in (*self._kept, *_ASKED_WITH) if name in os.environ}
        try:
            yield
        finally:
            os.environ.update(held)

    def redact(self, text: str) -> str:
        """`text` without logins and every known secret, in all its forms; the longest first: another may be a part."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = self._secrets[secret].sub("***", text)
        if "@" not in text and "token=" not in text:  # as most of the hundreds of words that helm is given
            return text
        return _TOKEN.sub(r"\1***", _LOGIN.sub(r"\1\2***@", text))

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
        """Run to the end, or for `deadline` seconds; `stdin` is a text, or the file that holds it.

        `env` is laid over the environment (None removes a name).
        Raises CommandFailed (status not 0, when `check`), CommandTimeout, ToolError (no such program).
        """
        shown, data = self._shown(argv), stdin.encode() if isinstance(stdin, str) else stdin
        begin = time.monotonic()
        with contextlib.ExitStack() as stack:
            given: int | IO[bytes] = subprocess.DEVNULL if data is None else subprocess.PIPE
            if isinstance(data, Path):
                given, data = stack.enter_context(data.open("rb")), None
            popen = stack.enter_context(self._popen(argv, cwd=cwd, env=env, stdin=given))
            try:
                if popen.stdin is not None:
                    _feed(popen.stdin, data or b"")
                    popen.stdin = None
                out, err = _collected(popen, shown[0], deadline)
            except subprocess.TimeoutExpired as late:
                _end_group(popen)
                err = late.stderr or b""
                with contextlib.suppress(subprocess.TimeoutExpired):  # one that left the group may hold the pipe
                    _, err = popen.communicate(timeout=_GRACE)
                raise CommandTimeout(shown, deadline, stderr=self.redact(_text(err))) from None
            except BaseException:
                _end_group(popen)
                raise
        raise_if_stopped()  # one that was ended with its scope did not fail
        took, said = time.monotonic() - begin, _text(err)
        if popen.returncode < 0:  # which it cannot say itself; as a shell has it
            said += f"{signal.strsignal(-popen.returncode)}\n"
        result = Result(shown, popen.returncode, _text(out), self.redact(said), took, out, said)
        if check and result.status != 0:
            raise CommandFailed(shown, result.status, stdout=self.redact(result.stdout), stderr=result.stderr)
        return result

    @contextlib.contextmanager
    def start(self, argv: Argv, *, env: Mapping[str, str | None] | None = None, log: Path) -> Iterator[Process]:
        """A child that runs until the block ends; both streams go to the file `log`, made anew."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            popen = self._popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield Process(popen, log)
        finally:
            _end_group(popen)

    def end(self, ended: Scope) -> None:
        """End every command that runs in this scope of work."""
        _end_all([child for child, own in list(self._children.items()) if ended.holds(own)])

    def _shown(self, argv: Argv) -> tuple[str, ...]:
        shown = tuple(self.redact(os.fspath(word)) for word in argv)
        if self._echo is not None:
            self._echo("$ " + shlex.join(shown))
        return shown

    def _popen(
        self,
        argv: Argv,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str | None] | None = None,
        stdin: int | IO[bytes] | None,
        stdout: int | IO[bytes] = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        words, program = [_encoded(os.fspath(word)) for word in argv], os.fspath(argv[0])
        name = Path(program).name
        tokens = {} if name.startswith(_ASKING) else dict.fromkeys(_ASKED_WITH)
        own, names = _SETTINGS.get(name, {}), tuple(os.environ)
        settings = {each: own[begin] for begin in own for each in (begin, *names) if each.startswith(begin)}
        # What is named from the current folder, or is not there, we have found another place for.
        ours = {"TMPDIR": tempfile.tempdir or os.environ.get("TMPDIR"), MARK: mark()}
        full = {**os.environ, **self._kept, **tokens, **settings, **ours, **(env or {})}
        raise_if_stopped()
        try:
            # A session of its own, so that the whole family can be ended and a Ctrl-C on the
            # terminal reaches us first: we end the children, in order.
            with held():  # from its first moment a child is among those that are ended
                popen = subprocess.Popen(
                    words,
                    cwd=cwd,
                    env={name: value for name, value in full.items() if value is not None},
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    start_new_session=True,
                )
                for child in [child for child in list(self._children) if child.returncode is not None]:
                    self._children.pop(child, None)
                self._children[popen] = scope()
        except FileNotFoundError as error:
            if cwd is not None and not cwd.is_dir():
                raise ToolError(f"{program} cannot run in {cwd}", found="no such folder") from error
            raise ToolError(f"{program} is not installed", found="no such program", run="invoke tools") from error
        except (OSError, ValueError) as error:  # the latter: a word that holds a NUL
            told: dict[str, Any] = {"found": plainly(error), **(limit(error) if isinstance(error, OSError) else {})}
            raise ToolError(f"{program} cannot be started", **told) from error
        if stopped():  # in the moment since we looked: `end` may not have seen this one
            with popen:  # or its pipes stay open for as long as nobody collects them
                _end_group(popen)
            raise Stopped
        return popen


def _feed(pipe: IO[bytes], data: bytes) -> None:
    """Give a child its stdin beside us: `communicate` sends no more of it once one of its time-outs has passed."""

    def write() -> None:
        with contextlib.suppress(OSError), pipe:  # a child may end without having read it
            pipe.write(data)

    threading.Thread(target=write, daemon=True).start()


def _collected(popen: subprocess.Popen[bytes], program: str, deadline: float) -> tuple[bytes, bytes]:
    """All that a child prints until it ends, whoever still holds its streams then. Raises TimeoutExpired, ToolError."""
    end, ended = time.monotonic() + deadline, False
    while True:
        try:
            return popen.communicate(timeout=min(_LEFT, max(0.0, end - time.monotonic())))
        except subprocess.TimeoutExpired as late:
            if len(late.output or b"") + len(late.stderr or b"") > _MOST:
                name, found = Path(program).name, f"more than {_MOST >> 20} MiB, and no end"
                raise ToolError(f"{name} prints without end", found=found, run=f"type -a {name}") from None
            if ended:
                return (late.output or b"") + _waiting(popen.stdout), (late.stderr or b"") + _waiting(popen.stderr)
            ended = popen.poll() is not None
            if not ended and time.monotonic() >= end:
                raise


def _waiting(stream: IO[bytes] | None) -> bytes:
    """What can be read of a stream at once: all that a child which has ended wrote to it."""
    if stream is not None and not stream.closed:
        os.set_blocking(stream.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            return os.read(stream.fileno(), 1 << 20)
    return b""


def installed(name: str, folders: Iterable[str] = ()) -> tuple[Path, ...]:
    """Each program of that name on PATH, and then in `folders`; the first that is there need not be one that runs."""
    found: dict[Path, Path] = {}
    for folder in (*os.get_exec_path(), *folders):
        if path := shutil.which(name, path=folder):
            found.setdefault(Path(path).resolve(), Path(path).absolute())
    return tuple(found.values())


def _encoded(word: str) -> str | bytes:
    """A word that the locale has no letters for is given in UTF-8."""
    try:
        os.fsencode(word)
    except UnicodeEncodeError:
        return word.encode()
    return word


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")


def _end_all(children: Iterable[subprocess.Popen[bytes]]) -> None:
    left = [popen for popen in list(children) if popen.poll() is None]
    for popen in left:  # at the same time: one that takes long does not keep the others waiting
        _tell_group(popen, signal.SIGTERM)
    for popen in left:
        _end_group(popen, 0)


def _tell_group(popen: subprocess.Popen[bytes], sig: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(popen.pid, sig)


def _end_group(popen: subprocess.Popen[bytes], sig: int = signal.SIGTERM) -> None:
    """End the child's process group: `sig`, then SIGKILL after a grace period."""
    _tell_group(popen, sig)
    with contextlib.suppress(subprocess.TimeoutExpired):
        popen.wait(timeout=_GRACE)
    _tell_group(popen, signal.SIGKILL)
    popen.wait()
