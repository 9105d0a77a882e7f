"""Sends HTTP requests to a registry as helm would: its proxies, authorities and redirects, bounded in time and size."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import re
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urldefrag, urlencode, urljoin, urlsplit

from scripts.core import json_read
from scripts.core.errors import SAME_COMMAND, RegistryError
from scripts.core.interrupt import pause, raise_if_stopped, scope
from scripts.core.words import many
from scripts.registry.failures import Busy, Transient, connection_error, proxy_error
from scripts.registry.proxies import proxy_for
from scripts.registry.reference import Registry
from scripts.registry.tls import tls_context

if TYPE_CHECKING:
    import ssl

    import urllib3

LARGEST_ANSWER = 4 << 20  # bytes, what the specification asks registries to accept as a manifest
_CONNECT, _READ, _WHOLE = 5.0, 10.0, 60.0  # seconds: to connect, between two packets, for one answer
_LONGER = 3  # times as long is waited for packets when that was too short once: some are slow each time
_SLOWEST = 256 << 10  # bytes a second that a large answer, or what is sent, has to go with
_SHOWN = 500  # letters of what an answer says
_TITLE = re.compile(r"<title[^<>]{0,99}>\s*([^<]{1,500})", re.IGNORECASE)  # of a page
_HOPS = 10  # redirects, as Go follows
_HEADERS = 1000  # lines: Go counts their bytes, and http.client takes a hundred
_ATTEMPTS, _PATIENCE = 4, 25.0  # tries, and seconds after which no further try begins
_PAUSE = 0.5  # seconds before the second try, twice as many before each further one
TOO_MANY = f"wait until {{host}} takes more requests, then {SAME_COMMAND}"  # to whom a registry answers 429


@dataclass(frozen=True)
class Answer:
    """What was answered in the end, at `url`. `headers` has each name once, `challenges` all of WWW-Authenticate."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    challenges: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The media type without its parameters."""
        return re.split("[;,]", self.headers.get("Content-Type", ""))[0].strip().lower()  # the first, if told twice

    def json(self) -> Any:
        """The body as JSON, whatever follows it. Raises ValueError for anything else, however it is made."""
        return json_read.first(self.body.decode("utf-8", "replace"))

    def codes(self) -> set[str]:
        """The error codes of an OCI error body; empty for any other body."""
        try:
            return {str(error["code"]).upper() for error in self.json()["errors"]}
        except (ValueError, KeyError, TypeError):
            return set()

    def words(self) -> str:
        """What the answer says, on one line of printable characters."""
        kind = self.headers.get("Content-Type", "no content type").partition(";")[0]
        if "html" in kind:
            title = _TITLE.search(self.body.decode("utf-8", "replace"))
            kind = f"a page: {title[1]}" if title else f"a page ({kind})"
            return f"HTTP {self.status}, {_plain(kind)}"
        text = ""
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            told = self.json()
            errors = told.get("errors", [told])  # zot gives one by itself
            text = "; ".join(map(_said, errors))
        if not text:
            text = self.body.decode("utf-8", "replace")
            text = "" if {"\0", "\ufffd"} & set(text) and "text" not in kind else text  # as of an archive
        return f"HTTP {self.status}, {_plain(text) or kind}"


def _said(error: Mapping[str, Any]) -> str:
    """One error, with its details, as helm tells it: some have the reason nowhere else."""
    text, detail = f"{error.get('code', '')}: {error.get('message', '')}".strip(": "), error.get("detail")
    return f"{text} ({detail if isinstance(detail, str) else json.dumps(detail)})" if detail else text


def _plain(text: str) -> str:
    """The beginning of a text, in printable characters on one line."""
    text = "".join(character if character.isprintable() else " " for character in text[:_SHOWN])
    return " ".join(text.split()[: None if len(text) < _SHOWN else -1])  # no part of a word, which may be a secret


@dataclass(frozen=True)
class _Asked:
    """What is sent, to wherever it is led; `authorization` goes to the first place's origin alone."""

    method: str
    headers: Mapping[str, str]
    authorization: str | None
    body: bytes | None
    limit: int
    checked: bool


class Transport:
    """Connections to one registry and to where it leads; each request ends in bounded time. Raises RegistryError."""

    def __init__(self, registry: Registry, sleep: Callable[[float], None] = pause) -> None:
        self._registry = registry
        self._sleep = sleep
        self._managers: dict[tuple[str, str | None], urllib3.PoolManager] = {}
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def close(self) -> None:
        for manager in self._managers.values():
            manager.clear()

    def send(
        self,
        method: str,
        url: str,
        *,
        accept: str = "*/*",
        authorization: str | None = None,
        query: Sequence[tuple[str, str]] = (),
        form: Mapping[str, str] | None = None,
        content: tuple[str, bytes] | None = None,
        limit: int = LARGEST_ANSWER,
        checked: bool = False,
        most: int = _ATTEMPTS,
    ) -> Answer:
        """One request, made `most` times at most where that can help: no answer, 408, 429 and 5xx.

        `limit` bounds the body in bytes. What has no body of its own is led on by redirects that keep the method, but
        never from TLS to plain HTTP unless the answer's body is `checked` against a digest. `authorization` goes to the
        origin of `url` alone, and `form`, or `content` (its type and bytes), nowhere else.
        """
        headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "gati-release-toolkit"}
        if query:
            url, _ = urldefrag(url)
            url += ("&" if urlsplit(url).query else "?") + urlencode(query)
        # What was sent is put in its place before it is answered, and is not to be sent again meanwhile.
        read, body = _READ if content is None else _WHOLE, None
        if form is not None:
            content = "application/x-www-form-urlencoded", urlencode(form).encode()
        if content is not None:
            headers["Content-Type"], body = content
            headers["Content-Length"] = str(len(body))
        asked = _Asked(method, headers, authorization, body, limit, checked)
        begin, tries = time.monotonic(), 0
        while True:
            tries += 1
            try:
                return self._follow(asked, url, read)
            except Transient as error:
                wait = max(error.after, _PAUSE * 2 ** (tries - 1))  # "0" and a time that is past ask for no haste
                if tries == most or time.monotonic() - begin + wait > _PATIENCE:
                    error.found = f"{error.found} (tried {many(tries, 'time')})"
                    raise
            self._sleep(wait)
            read = max(read, _READ * _LONGER)

    def _follow(self, asked: _Asked, url: str, read: float) -> Answer:
        first, here = _parts(url), url
        for _ in range(_HOPS + 1):
            login = asked.authorization if _origin(_parts(here)) == _origin(first) else None
            answer = _ready(self._once(asked, here, read, login))
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            there = answer.headers.get("Location", "")
            parts = _parts(there, here)
            safe = parts.scheme == "https" or (parts.scheme == "http" and (asked.checked or first.scheme == "http"))
            # By others, Go asks with a GET.
            kept = asked.method == "GET" or (asked.body is None and answer.status in (307, 308))
            if not kept or not there or not safe:
                raise RegistryError(
                    f"{first.netloc} leads a {asked.method} to a place where it is not sent",
                    expected="an answer" + (", or a redirect to https://..." if kept else ""),
                    found=f"HTTP {answer.status} from {shown_url(here)} to {shown_url(there) if there else 'nowhere'}",
                )
            here = parts._replace(fragment="").geturl()
        raise RegistryError(f"{first.netloc} leads on without an end", expected=f"at most {_HOPS} redirects", found=url)

    def _once(self, asked: _Asked, url: str, read: float, login: str | None) -> Answer:
        import urllib3

        (scheme, host), body, limit = _parts(url)[:2], asked.body, asked.limit
        deadline = _WHOLE + (limit + len(body or b"")) / _SLOWEST
        proxy = proxy_for(url, os.environ)
        try:
            with (
                self._cut_after(deadline) as late,
                contextlib.closing(
                    self._manager(scheme, proxy).urlopen(
                        asked.method,
                        url,
                        headers={**asked.headers, **({"Authorization": login} if login else {})},
                        body=io.BytesIO(body) if body is not None else None,  # in parts, each in the time for one
                        redirect=False,
                        retries=False,
                        preload_content=False,
                        timeout=urllib3.Timeout(connect=_CONNECT, read=read),
                    )
                ) as response,
            ):
                content = bytearray()
                if not response.get_redirect_location():  # whose body nobody needs
                    packed = response.headers.get("Content-Encoding", "").lower() == "gzip"  # Go unpacks no other
                    for chunk in response.stream(1 << 16, decode_content=packed):
                        content += chunk
                        if len(content) > limit:
                            raise RegistryError(
                                f"{host} sends more than it may",
                                expected=f"at most {limit} bytes from {shown_url(url)}",
                            )
                challenges = tuple(response.headers.getlist("WWW-Authenticate"))
                answer = Answer(response.status, response.headers, bytes(content), url, challenges)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise_if_stopped()
            if not late.is_set():
                waited = f"nothing within {_CONNECT:g} s (connect) or {read:g} s (read)"
                raise connection_error(error, host, proxy, waited) from error
        if late.is_set():  # an answer without a length may look whole
            raise Transient(f"{host} has not finished its answer after {deadline:.3g} s", found=shown_url(url))
        if answer.status == 407 and proxy:
            raise proxy_error(host, proxy, answer.words())
        return answer

    # -- connections -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _cut_after(self, seconds: float) -> Iterator[threading.Event]:
        """Shuts connections down after `seconds`, or once this worker's work is stopped; the event says that it did."""
        late, done, mine, end = threading.Event(), threading.Event(), scope(), time.monotonic() + seconds

        def watch() -> None:
            # More than once: a connection may be on its way just now, or be added while we look.
            while not done.wait(0.1 if mine else max(0.1, end - time.monotonic())):
                if time.monotonic() < end and not (mine and mine.stopped):
                    continue
                late.set()
                with contextlib.suppress(RuntimeError):
                    for sock in self._sockets:
                        with contextlib.suppress(OSError):
                            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # a TLS socket's own says goodbye first

        threading.Thread(target=watch, daemon=True).start()
        try:
            yield late
        finally:
            done.set()

    def _manager(self, scheme: str, proxy: str | None) -> urllib3.PoolManager:
        """The connections of `scheme` through `proxy`, or direct ones."""
        import urllib3

        if (scheme, proxy) not in self._managers:
            parts = urlsplit(proxy or "")
            tls = self._tls if "https" in (scheme, parts.scheme) else None  # whose authorities take a while to read
            options: dict[str, Any] = {"ssl_context": tls}
            if proxy is None:
                manager = urllib3.PoolManager(**options)
            else:
                user, password = unquote(parts.username or ""), unquote(parts.password or "")
                bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
                if parts.scheme.startswith("socks5"):
                    from urllib3.contrib.socks import SOCKSProxyManager

                    # Go has the proxy resolve names for socks5, too.
                    there = bare._replace(scheme="socks5h").geturl()
                    manager = SOCKSProxyManager(there, username=user or None, password=password or None, **options)
                else:
                    known = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}") if user else None
                    manager = urllib3.ProxyManager(bare.geturl(), proxy_headers=known, proxy_ssl_context=tls, **options)
            manager.pool_classes_by_scheme = {
                scheme: self._watched(kind) for scheme, kind in manager.pool_classes_by_scheme.items()
            }
            self._managers[scheme, proxy] = manager
        return self._managers[scheme, proxy]

    def _watched(self, pool: type[urllib3.HTTPConnectionPool]) -> type[urllib3.HTTPConnectionPool]:
        """`pool` with connections whose sockets are noted, so that they can be shut down from outside."""
        from http import client

        sockets, kind = self._sockets, pool.ConnectionCls
        client._MAXHEADERS = _HEADERS  # type: ignore[attr-defined]

        class Final(client.HTTPResponse):
            def _read_status(self) -> tuple[str, int, str]:
                version, status, reason = super()._read_status()  # type: ignore[misc]
                return version, client.CONTINUE if 101 < status < 200 else status, reason  # 103: one is yet to come

        class Watched(kind):  # type: ignore[misc, valid-type]
            response_class = Final

            def _new_conn(self) -> socket.socket:
                made: socket.socket = super()._new_conn()
                sockets.add(made)
                return made

            def connect(self) -> None:
                host = getattr(self, "_tunnel_host", None) or self.host
                if "_" in host:  # which OpenSSL finds under no wildcard, and Go does
                    self.assert_hostname = host
                super().connect()
                made: Any = self.sock
                sockets.add(getattr(made, "socket", made))  # of TLS within TLS, what that goes through

        return type(pool.__name__, (pool,), {"ConnectionCls": Watched})

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        return tls_context(self._registry, os.environ)


def _parts(url: str, base: str = "") -> SplitResult:
    """The parts of a URL that was told to us at `base`, without a login. Raises RegistryError where it is none."""
    try:
        parts = urlsplit(urljoin(base, url))
        _ = parts.port
    except ValueError as error:
        raise RegistryError("the registry leads to something that is no URL", found=repr(url[:200])) from error
    return parts._replace(netloc=parts.netloc.rpartition("@")[2])


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    """What two URLs share that are of one server: scheme, host and port."""
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def within(base: str, url: str, told_at: str = "") -> str | None:
    """The URL that `url`, told at `base` or where that has led, means; None where that is another server."""
    parts = _parts(url, told_at or base)
    return parts.geturl() if _origin(parts) == _origin(_parts(base)) else None


def shown_url(url: str, base: str = "") -> str:
    """A URL, told at `base`, without its query, which may be a signed one, and without a login."""
    return _parts(url, base)._replace(query="", fragment="").geturl()[:300]


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds, from a Retry-After header (a number, or a date by the server's clock); none where it says no time."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,6}", text):
        return float(text)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        now = parsedate_to_datetime(headers["Date"]).timestamp() if "Date" in headers else time.time()
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    return 0.0


def _ready(answer: Answer) -> Answer:
    """The answer, where it is one for now."""
    if answer.status not in (408, 429) and (answer.status < 500 or answer.status in (501, 507)):  # "never", and "full"
        return answer
    after = _retry_after(answer.headers)
    later = f", to be asked again after {after:.0f} s" if after else ""
    found = f"{answer.words()} from {shown_url(answer.url)}{later}"
    host = _parts(answer.url).netloc
    run = TOO_MANY.format(host=host) if answer.status == 429 else None
    failure = Busy(f"{host} is not able to answer now", found=found, run=run)
    failure.after = after
    raise failure
