"""Owns the way to a Kubernetes API server: HTTP over a private socket that `kubectl proxy` serves, any login."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from scripts.core.command import Runner
from scripts.core.errors import ApiError, ClusterError
from scripts.core.interrupt import pause, raise_if_stopped
from scripts.core.owner import temporary
from scripts.core.waiting import until

_START_DEADLINE = 20.0  # seconds for `kubectl proxy` to listen
_REQUEST_DEADLINE = 30.0
_BUSY = frozenset({429, 502, 503, 504})  # what a reading request is sent again for
_PATIENCE = 10.0  # seconds to keep trying while the server is busy or not there
_FAR = re.compile(  # how what kubectl says begins where it does not get to the server
    r"(dial|proxyconnect|getting credentials:|(net/)?http:|remote error:|tls:|x509:|(read|write) (tcp|udp)) |EOF"
)


@dataclass(frozen=True)
class Login:
    """Which cluster, as whom: `context` in `kubeconfig`; None, None for the user's current one."""

    kubeconfig: Path | None = None
    context: str | None = None

    def flags(self, context_flag: str) -> list[str]:
        """The flags that lead a program there: helm's `--kube-context`, kubectl's `--context`."""
        words = [f"--kubeconfig={self.kubeconfig}"] if self.kubeconfig else []
        return words + ([f"{context_flag}={self.context}"] if self.context else [])

    def __str__(self) -> str:
        return f"context {self.context}" if self.context else str(self.kubeconfig or "the current context")


@dataclass(frozen=True)
class Transport:
    """Sends requests to the API server. Every request has a connection of its own, so threads may share one value."""

    socket_path: Path

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        patient: bool = True,
    ) -> bytes:
        """The body of the answer. A GET is tried again for 10 s while the server is busy or out of reach, if `patient`.

        Raises ApiError for every answer that is not 2xx, ClusterError where there is no answer.
        """
        raise_if_stopped()
        give_up = time.monotonic() + _PATIENCE
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept, **({} if data is None else {"Content-Type": content_type})}
        while True:
            try:
                with contextlib.closing(_UnixConnection(self.socket_path)) as connection:
                    connection.request(method, _target(path, query), body=data, headers=headers)
                    response = connection.getresponse()
                    answer = response.read()
            except (OSError, http.client.HTTPException) as error:
                raise ClusterError(f"{method} {path}: the API server gives no answer", found=str(error)) from error
            if 200 <= response.status < 300:
                return answer
            if not patient or method != "GET" or response.status not in _BUSY or time.monotonic() > give_up:
                raise _api_error(method, path, response.status, answer)
            pause(0.5)

    @contextlib.contextmanager
    def stream(self, path: str, *, query: Mapping[str, str]) -> Iterator[Stream]:
        """The lines of an answer that does not end by itself. Raises ApiError, OSError, HTTPException."""
        with contextlib.closing(_UnixConnection(self.socket_path)) as connection:
            connection.request("GET", _target(path, query), headers={"Accept": "application/json"})
            response = connection.getresponse()
            if response.status != 200:
                raise _api_error("GET", path, response.status, response.read())
            if connection.sock is not None:
                connection.sock.settimeout(None)  # from here on nothing comes for as long as nothing happens
            yield Stream(connection, response)


class Stream:
    """Lines that arrive one by one, until the server ends the answer or `stop` is called from another thread."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response

    def stop(self) -> None:
        """Wake up the thread that waits for a line: it sees the end."""
        connected: socket.socket | None = self._connection.sock
        if connected is not None:  # it is None once the stream has ended by itself
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def open_transport(kubectl: Path, runner: Runner, login: Login) -> Iterator[Transport]:
    """A way to the server that `login` names; closed when the block ends.

    kubectl does the login, so that certificates, tokens and credential plugins all work. Raises ClusterError
    when it cannot start, for example where there is no such context.
    """
    with temporary("api") as folder:
        path = folder / "api.sock"
        argv = [str(kubectl), "proxy", f"--unix-socket={path}", *login.flags("--context")]
        with runner.start(argv, log=folder / "proxy.log") as proxy:
            until(
                lambda: _listens(path) or not proxy.running(),
                what="kubectl proxy to listen",
                deadline=_START_DEADLINE,
                interval=0.02,
                error=ClusterError,
            )
            if not proxy.running():
                raise ClusterError(
                    f"no way to the Kubernetes API of {login}",
                    found=proxy.log_tail(),
                    run="kubectl config get-contexts",
                )
            yield Transport(path)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket. The host name is the one that kubectl proxy lets in."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_REQUEST_DEADLINE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _listens(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.connect(str(path))
        return True
    return False


def _target(path: str, query: Mapping[str, str] | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _api_error(method: str, path: str, status: int, answer: bytes) -> ApiError:
    """The Status object that the server explains itself with, or the text of something in between."""
    text = answer.decode("utf-8", "replace").strip()
    document: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        document = found if isinstance(found := json.loads(text), dict) else {}
    far = not document and _FAR.match(text)
    return ApiError(
        "the Kubernetes API cannot be reached" if far else f"{method} {path} was answered with {status}",
        status=status,
        reason=str(document.get("reason", "")),
        text=str(document.get("message") or text),
        run="kubectl config get-contexts" if far else None,
    )
