"""Says why a registry has given no answer, in words that help, and whether another try can."""

from __future__ import annotations

import re
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

from scripts.core.errors import RegistryError, plainly
from scripts.registry.reference import CORRECT

_PROXIES = "correct HTTPS_PROXY, HTTP_PROXY or NO_PROXY"
_LOOK = f"see that the registry runs and can be reached from here, or {CORRECT}"
IDENTITY = "give yours: registry_cert and registry_key in [tool.gati], GATI_REGISTRY_CERT and GATI_REGISTRY_KEY"
_AUTHORITY = "give the authority's file: registry_ca in [tool.gati] or GATI_REGISTRY_CA"
_UNTRUSTED = {  # what helps, by OpenSSL's number for what is wrong
    9: "look at the clock of this machine: the certificate is not valid yet",
    10: "have it renewed (or look at the clock of this machine)",
    26: "have it issued for servers, too: serverAuth among the uses of its key (extendedKeyUsage)",
    **dict.fromkeys((62, 64), f"ask for the registry by a name that its certificate is for: {CORRECT}"),
}


class Transient(RegistryError):
    """A failure that may be gone in a moment. `after` is the time in seconds that the registry asks for, if it does."""

    after = 0.0


class Busy(Transient):
    """The other side has answered that it cannot for now."""


class NoTls(RegistryError):
    """The other side speaks no TLS."""


class BrokenTls(Transient):
    """The other side has broken off while TLS began, as servers do that speak none, and networks that fail."""


def _named(proxy: str) -> str:
    return f"the proxy {urlsplit(proxy).netloc.rpartition('@')[2]}"


def _by(proxy: str | None) -> str:
    return f" through {_named(proxy)}" if proxy else ""


def proxy_error(host: str, proxy: str | None, words: str, kind: type[RegistryError] = RegistryError) -> RegistryError:
    return kind(f"{host} cannot be reached{_by(proxy)}", found=words, run=_PROXIES)


def connection_error(error: Exception, host: str, proxy: str | None, waited: str) -> RegistryError:
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
        return proxy_error(host, proxy, words, RegistryError if refused else Transient)
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return _tls_error(" ".join(str(cause) for cause in causes).lower(), words, host)
    if isinstance(error, http.TimeoutError) and not isinstance(error, http.NewConnectionError):
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
    return RegistryError(f"{host} cannot be asked", found=words)


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
            run=IDENTITY,
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
