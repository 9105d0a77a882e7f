"""Owns the certificate of ingress: loads it and follows the mounted files for a new one."""

from __future__ import annotations

import asyncio
import logging
import ssl

from gati_common.environment import SettingsError

from gati_ingress.settings import Tls

log = logging.getLogger("ingress.tls")


class Certificate:
    """An SSLContext whose certificate follows the files; open connections keep the old one."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._contents = self._read()
        self.context = _context()
        try:
            self.context.load_cert_chain(tls.cert, tls.key)
        except (ssl.SSLError, OSError) as error:
            raise SettingsError(f"TLS_CERT_FILE, TLS_KEY_FILE: {tls.cert} and {tls.key}: {_reason(error)}") from None

    async def follow(self, seconds: float) -> None:
        """Look at the files every `seconds`; a pair that cannot be used leaves the old one in force."""
        while True:
            await asyncio.sleep(seconds)
            contents = self._read()
            if contents == self._contents:
                continue
            self._contents = contents
            try:
                _context().load_cert_chain(self._tls.cert, self._tls.key)  # a bad pair would spoil the live one
                self.context.load_cert_chain(self._tls.cert, self._tls.key)
                log.info("%s changed: new connections get it", self._tls.cert)
            except (ssl.SSLError, OSError) as error:
                log.error("certificate refused, the old one stays: %s: %s", self._tls.cert, _reason(error))

    def _read(self) -> tuple[bytes, bytes] | None:
        try:
            return self._tls.cert.read_bytes(), self._tls.key.read_bytes()
        except OSError:
            return None


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _reason(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)
