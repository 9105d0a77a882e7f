"""Sends HTTP requests to a registry as helm would: its proxies, authorities and redirects, bounded in time and size."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import socket
import ssl
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urldefrag, urlencode, urljoin, urlsplit

from scripts.core import json_read
from scripts.core.errors import SAME_COMMAND, ConfigError, RegistryError, plainly
from scripts.core.interrupt import pause, raise_if_stopped, scope
from scripts.core.words import many
from scripts.registry.proxies import proxy_for
from scripts.registry.reference import CORRECT, Registry

if TYPE_CHECKING:
    import urllib3

LARGEST_ANSWER = 4 << 20  # bytes, what the specification asks registries to accept as a manifest
_CONNECT, _READ, _WHOLE = 5.0, 10.0, 60.0  # seconds: to connect, between two packets, for one answer
_LONGER = 3  # times as long is waited for packets when that was too short once: some are slow each time
_SLOWEST = 256 << 10  # bytes a second that a large answer, or what is sent, has to go with
_SHOWN = 500  # letters of what an answer says
_HOPS = 10  # redirects, as Go follows
_HEADERS = 1000  # lines: Go counts their bytes, and http.client takes a hundred
_ATTEMPTS, _PATIENCE = 4, 25.0  # tries, and seconds after which no further try begins
_PAUSE = 0.5  # seconds before the second try, twice as many before each further one
TOO_MANY = f"wait until {{host}} takes more requests, then {SAME_COMMAND}"  # to whom a registry answers 429
_PROXIES = "correct HTTPS_PROXY, HTTP_PROXY or NO_PROXY"
_LOOK = f"see that the registry runs and can be reached from here, or {CORRECT}"
# Where Go looks for authorities; the folders are searched beside the first file that is there.
_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_AUTHORITY = "give the authority's file: registry_ca in [tool.gati] or GATI_REGISTRY_CA"
_UNTRUSTED = {  # what helps, by OpenSSL's number for what is wrong
    9: "look at the clock of this machine: the certificate is not valid yet",
    10: "have it renewed (or look at the clock of this machine)",
    26: "have it issued for servers, too: serverAuth among the uses of its key (extendedKeyUsage)",
    **dict.fromkeys((62, 64), f"ask for the registry by a name that its certificate is for: {CORRECT}"),
}
_CERTIFICATE = re.compile(r"^-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL | re.MULTILINE)
_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")


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
            return f"HTTP {self.status}, a page ({kind})"
        text = ""
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            told = self.json()
            errors = told.get("errors", [told])  # zot gives one by itself
            text = "; ".join(f"{error.get('code', '')}: {error.get('message', '')}".strip(": ") for error in errors)
        if not text:
            text = self.body.decode("utf-8", "replace")
            text = "" if {"\0", "\ufffd"} & set(text) and "text" not in kind else text  # as of an archive
        text = "".join(character if character.isprintable() else " " for character in text[:_SHOWN])
        words = text.split()[: None if len(text) < _SHOWN else -1]  # no part of a word, which may be a secret
        return f"HTTP {self.status}, {' '.join(words) or kind}"


class Transient(RegistryError):
    """A failure that may be gone in a moment. `after` is the time in seconds that the registry asks for, if it does."""

    after = 0.0


class NoTls(RegistryError):
    """The other side speaks no TLS."""


class BrokenTls(Transient):
    """The other side has broken off while TLS began, as servers do that speak none, and networks that fail."""


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
        as_it_is: bool = False,
        most: int = _ATTEMPTS,
    ) -> Answer:
        """One request, made `most` times at most where that can help: no answer, 408, 429 and 5xx.

        `as_it_is` takes any answer, also one that asks for patience or leads elsewhere.

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
        begin, tries = time.monotonic(), 0
        while True:
            tries += 1
            try:
                if as_it_is:
                    return self._once(method, url, headers, body, limit, read)
                return self._follow(method, url, headers, authorization, body, limit, checked, read)
            except Transient as error:
                wait = max(error.after, _PAUSE * 2 ** (tries - 1))  # "0" and a time that is past ask for no haste
                if tries == most or time.monotonic() - begin + wait > _PATIENCE:
                    error.found = f"{error.found} (tried {many(tries, 'time')})"
                    raise
            self._sleep(wait)
            read = max(read, _READ * _LONGER)

    def _follow(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        authorization: str | None,
        body: bytes | None,
        limit: int,
        checked: bool,
        read: float,
    ) -> Answer:
        first, here = _parts(url), url
        for _ in range(_HOPS + 1):
            login = (
                {"Authorization": authorization} if authorization and _origin(_parts(here)) == _origin(first) else {}
            )
            answer = _ready(self._once(method, here, {**headers, **login}, body, limit, read))
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            there = answer.headers.get("Location", "")
            parts = _parts(there, here)
            safe = parts.scheme == "https" or (parts.scheme == "http" and (checked or first.scheme == "http"))
            kept = method == "GET" or (body is None and answer.status in (307, 308))  # by others, Go asks with a GET
            if not kept or not there or not safe:
                raise RegistryError(
                    f"{first.netloc} leads a {method} to a place where it is not sent",
                    expected="an answer" + (", or a redirect to https://..." if kept else ""),
                    found=f"HTTP {answer.status} from {shown_url(here)} to {shown_url(there) if there else 'nowhere'}",
                )
            here = parts._replace(fragment="").geturl()
        raise RegistryError(f"{first.netloc} leads on without an end", expected=f"at most {_HOPS} redirects", found=url)

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, limit: int, read: float
    ) -> Answer:
        import urllib3

        scheme, host = _parts(url)[:2]
        deadline = _WHOLE + (limit + len(body or b"")) / _SLOWEST
        proxy = proxy_for(url, os.environ)
        try:
            with (
                self._cut_after(deadline) as late,
                contextlib.closing(
                    self._manager(scheme, proxy).urlopen(
                        method,
                        url,
                        headers=headers,
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
                raise _connection_error(error, host, url, proxy, read) from error
        if late.is_set():  # an answer without a length may look whole
            raise Transient(f"{host} has not finished its answer after {deadline:.3g} s", found=shown_url(url))
        if answer.status == 407 and proxy:
            raise _proxy_error(host, proxy, answer.words())
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


def tls_context(registry: Registry, environ: Mapping[str, str]) -> ssl.SSLContext:
    """What helm trusts: `ca_file` alone, else SSL_CERT_FILE and SSL_CERT_DIR, else the system's. Raises ConfigError."""
    usual = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    if (registry.ca_file, registry.cert_file, registry.key_file) == (None, None, None):
        return _usual_context(*usual)
    context = _strict_context()
    if registry.ca_file is None:
        _load_authorities(context, *usual)
    else:
        if found := _unread(context, registry.ca_file, set()):
            raise ConfigError(f"{registry.ca_file} is no file of authorities", found=found, run="correct registry_ca")
    if registry.cert_file is not None or registry.key_file is not None:
        _load_identity(context, registry)
    return context


@functools.lru_cache(maxsize=2)  # reading some hundred certificates takes longer than most conversations
def _usual_context(file: str | None, folders: str | None) -> ssl.SSLContext:
    """As the system's authorities are when they are first needed, which is when helm reads them, too."""
    context = _strict_context()
    _load_authorities(context, file, folders)
    return context


def _strict_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("DEFAULT:@SECLEVEL=1")  # RSA from 1024 bits, as Go
    context.options |= 0x4  # OP_LEGACY_SERVER_CONNECT: who knows no secure renegotiation is talked to, as by Go
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # what is listed is trusted, whoever has signed it
    context.hostname_checks_common_name = False
    return context


def _load_authorities(context: ssl.SSLContext, file: str | None, folders: str | None) -> None:
    if sys.platform == "darwin":
        context.load_default_certs()
        return
    known = set[str]()
    for candidate in (file,) if file else _AUTHORITIES:
        if not _unread(context, Path(candidate), known):
            break
    for place in filter(None, folders.split(":") if folders else _FOLDERS):
        for found in {os.path.realpath(entry) for entry in Path(place).glob("*")}:  # most are there by two names
            _unread(context, Path(found), known)


def _unread(context: ssl.SSLContext, file: Path, known: set[str]) -> str | None:
    """Trust the certificates in `file` beside the `known`, passing over what is none, as Go does; why none is new."""
    try:
        text = file.read_text(encoding="latin-1")
    except OSError as error:
        return error.strerror
    before = context.cert_store_stats()["x509"]
    found = set(_CERTIFICATE.findall(text)) - known
    known |= found
    for block in found:
        with contextlib.suppress(ssl.SSLError):
            context.load_verify_locations(cadata=block)
    return None if context.cert_store_stats()["x509"] > before else "no certificate in it"


def _load_identity(context: ssl.SSLContext, registry: Registry) -> None:
    cert, key = registry.cert_file, registry.key_file
    if cert is None or key is None:
        raise ConfigError(
            "half a client certificate is given", expected="registry_cert and registry_key", found=str(cert or key)
        )
    try:
        context.load_cert_chain(cert, key, password=b"")  # or OpenSSL would ask for it on the terminal
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{cert} and {key} are no client certificate",
            expected="PEM files that belong together, the key without a passphrase",
            found=error.strerror or str(error),
            run="correct registry_cert and registry_key",
        ) from error


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


def _retry_after(text: str) -> float:
    """Seconds, from a Retry-After header (a number or a date); none where it is absent, neither, or past."""
    if re.fullmatch(r"\d{1,6}", text.strip()):
        return float(text)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return 0.0


def _named(proxy: str) -> str:
    return f"the proxy {urlsplit(proxy).netloc.rpartition('@')[2]}"


def _by(proxy: str | None) -> str:
    return f" through {_named(proxy)}" if proxy else ""


def _proxy_error(host: str, proxy: str | None, words: str, kind: type[RegistryError] = RegistryError) -> RegistryError:
    return kind(f"{host} cannot be reached{_by(proxy)}", found=words, run=_PROXIES)


def _ready(answer: Answer) -> Answer:
    """The answer, where it is one for now."""
    if answer.status not in (408, 429) and (answer.status < 500 or answer.status == 501):  # which is "never"
        return answer
    after = _retry_after(answer.headers.get("Retry-After", ""))
    later = f", to be asked again after {after:.0f} s" if after else ""
    found = f"{answer.words()} from {shown_url(answer.url)}{later}"
    host = _parts(answer.url).netloc
    run = TOO_MANY.format(host=host) if answer.status == 429 else None
    failure = Transient(f"{host} is not able to answer now", found=found, run=run)
    failure.after = after
    raise failure


def _connection_error(error: Exception, host: str, url: str, proxy: str | None, read: float = _READ) -> RegistryError:
    """What went wrong below HTTP, and whether another try can help."""
    from http.client import HTTPException, IncompleteRead

    from urllib3 import exceptions as http
    from urllib3.util.ssl_match_hostname import CertificateError

    causes = _causes(error)
    words = plainly(causes[-1]) or type(causes[-1]).__name__
    by, look = _by(proxy), f"{_PROXIES}; or {_LOOK}" if proxy else _LOOK
    proxied = isinstance(error, http.ProxyError) or (proxy and "Tunnel connection failed" in words)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError | CertificateError):
            run = _UNTRUSTED.get(getattr(cause, "verify_code", 62), _AUTHORITY)
            if proxied and proxy:
                host, run = _named(proxy), f"{_AUTHORITY}; or {_PROXIES}"
            return RegistryError(f"the certificate of {host} is not trusted", found=words, run=run)
    if proxied:
        refused = re.search(r"Tunnel connection failed: [45]\d\d", words)
        return _proxy_error(host, proxy, words, RegistryError if refused else Transient)
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return _tls_error(" ".join(str(cause) for cause in causes).lower(), words, host)
    if isinstance(error, http.TimeoutError) and not isinstance(error, http.NewConnectionError):
        waited = f"nothing within {_CONNECT:g} s (connect) or {read:g} s (read)"
        return Transient(f"{host} does not answer{by}", found=waited, run=look)
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        kind = Transient if "temporary" in words.lower() else RegistryError
        return kind(f"the name {host} cannot be resolved", found=words, run=_LOOK)
    if isinstance(causes[-1], HTTPException) and not isinstance(causes[-1], IncompleteRead | ConnectionResetError):
        return Transient(f"{host} does not answer in HTTP/1.1{by}", found=words, run=look)
    if isinstance(error, http.ProtocolError) and not isinstance(causes[-1], ConnectionResetError):
        return Transient(f"{host} breaks off in the middle of its answer{by}", found=words, run=look)
    if isinstance(error, http.ProtocolError | http.NewConnectionError | OSError):
        return Transient(f"{host} cannot be reached{by}", found=words, run=look)
    return RegistryError(f"{shown_url(url)} cannot be asked", found=words)


def _tls_error(text: str, words: str, host: str) -> RegistryError:
    if any(sign in text for sign in ("wrong version", "record layer failure", "packet length", "http request")):
        return NoTls(
            f"{host} does not speak TLS",
            found=words,
            run="plain HTTP is for loopback, or where asked: plain_http in [tool.gati], GATI_PLAIN_HTTP, --plain-http",
        )
    if "application protocol" in text:
        return RegistryError(
            f"{host} does not answer in HTTP/1.1, and may speak HTTP/2 alone",
            found=words,
            run=f"have {host}, or what stands before it, offer HTTP/1.1 too",
        )
    if "handshake failure" in text or re.search("alert .*certificate|alert unknown ca", text):
        return RegistryError(
            f"{host} refuses the TLS connection, as one that asks for a client certificate does",
            found=words,
            run="give yours: registry_cert and registry_key in [tool.gati], GATI_REGISTRY_CERT and GATI_REGISTRY_KEY",
        )
    if "eof" in text:  # it was cut, nothing that speaks TLS listens, or the word of why was lost with the connection
        return BrokenTls(
            f"{host} breaks off the TLS connection, as one that asks for a client certificate may",
            found=words,
            run=f"{_LOOK}; or give registry_cert and registry_key, where it asks for them",
        )
    return RegistryError(f"TLS with {host} fails", found=words)


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what lies below it, the deepest last."""
    chain: list[BaseException] = []
    todo: list[Any] = [error]
    while todo:
        item = todo.pop(0)
        if isinstance(item, BaseException) and item not in chain:
            chain.append(item)
            todo += [getattr(item, "reason", None), item.__cause__, item.__context__, *item.args]
    return chain
