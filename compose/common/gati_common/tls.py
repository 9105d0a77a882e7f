"""Owns what a service shows and trusts: its certificate and its authorities, both followed for changes."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gati_common.environment import SettingsError, readable_file, whole
from gati_common.following import changes, contents

log = logging.getLogger("tls")


@dataclass(frozen=True)
class Tls:
    """TLS beside the plain port: `port`, and the files that are followed."""

    port: int
    cert: Path
    key: Path


def load_tls(environ: Mapping[str, str], port_name: str, port: int) -> Tls | None:
    """TLS_CERT_FILE, TLS_KEY_FILE and the port in `port_name` (`port` by default); None without a certificate.

    Raises SettingsError.
    """
    cert, key = readable_file(environ, "TLS_CERT_FILE"), readable_file(environ, "TLS_KEY_FILE")
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        missing = "TLS_CERT_FILE" if cert is None else "TLS_KEY_FILE"
        raise SettingsError(f"{missing}: expected a file, as TLS_CERT_FILE and TLS_KEY_FILE go together; found nothing")
    return Tls(whole(environ, port_name, port, least=0, most=65535), cert, key)


class Certificate:
    """The certificate in force: `context` for asyncio, `pem` (certificate, key) for others. Raises SettingsError."""

    def __init__(self, tls: Tls) -> None:
        self._files = (tls.cert, tls.key)
        self._known = contents(self._files)
        self.context = _context()
        try:
            self.context.load_cert_chain(*self._files)
            self.pem = tuple(path.read_bytes() for path in self._files)
        except (ssl.SSLError, OSError) as error:
            raise SettingsError(f"TLS_CERT_FILE, TLS_KEY_FILE: {tls.cert} and {tls.key}: {_reason(error)}") from None

    async def follow(self, seconds: float) -> None:
        """Look at the files every `seconds`; a pair that cannot be used leaves the old one in force, and open
        connections keep theirs."""
        async for found in changes(self._files, self._known, seconds):
            try:
                _context().load_cert_chain(*self._files)  # a bad pair would spoil the live one
                self.context.load_cert_chain(*self._files)
                self.pem = found or self.pem
                log.info("%s changed: new connections get it", self._files[0])
            except (ssl.SSLError, OSError) as error:
                log.error("certificate refused, the old one stays: %s: %s", self._files[0], _reason(error))


class Authorities:
    """Whom to trust: the system's authorities and those of the PEM file `path`, or, where `alone`, the latter only.

    `name` is the variable that names the file. `pem` is None where neither is there. Raises SettingsError.
    """

    def __init__(self, name: str, path: Path | None, *, alone: bool = False) -> None:
        self._path = path
        self._system = b"" if alone and path else _system()
        self._own: bytes | None = b""
        if path:
            try:
                self._own = _checked(path)
            except (ssl.SSLError, OSError) as error:
                raise SettingsError(f"{name}: {path}: {_reason(error)}") from None

    @property
    def pem(self) -> bytes | None:
        return b"\n".join(part for part in (self._system, self._own) if part) or None

    async def changes(self, seconds: float) -> AsyncIterator[None]:
        """Look at the file every `seconds` and say whenever others are in force; a bad one leaves the old ones."""
        if self._path is None:
            return
        async for _ in changes((self._path,), (self._own,), seconds):
            try:
                self._own = _checked(self._path)
            except (ssl.SSLError, OSError) as error:
                log.error("authorities refused, the old ones stay: %s: %s", self._path, _reason(error))
                continue
            log.info("%s changed: new connections trust it", self._path)
            yield


def _checked(path: Path) -> bytes:
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    return path.read_bytes()


def _system() -> bytes:
    """The authorities of the image, or of SSL_CERT_FILE and SSL_CERT_DIR; nothing where it has none."""
    places = ssl.get_default_verify_paths()
    folders = os.environ.get(places.openssl_capath_env, places.openssl_capath).split(os.pathsep)
    for path in (Path(places.cafile or os.devnull), *(Path(folder, "ca-certificates.crt") for folder in folders)):
        if path.is_file():
            return path.read_bytes()
    return b""


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _reason(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)
