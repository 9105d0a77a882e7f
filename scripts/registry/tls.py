"""Makes the context of TLS with a registry: it trusts whom helm trusts, and shows the client certificate."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

from scripts.core.errors import ConfigError
from scripts.registry.reference import Registry

# Where Go looks for authorities; the folders are searched beside the first file that is there.
_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_CERTIFICATE = re.compile(r"^-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL | re.MULTILINE)
_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")


def tls_context(registry: Registry, environ: Mapping[str, str]) -> ssl.SSLContext:
    """What helm trusts: `ca_file` alone, else SSL_CERT_FILE and SSL_CERT_DIR, else the system's. Raises ConfigError."""
    files = registry.ca_file, registry.cert_file, registry.key_file
    return _context(*files, environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR"))


@functools.lru_cache(maxsize=2)  # reading some hundred certificates takes longer than most conversations
def _context(
    ca: Path | None, cert: Path | None, key: Path | None, file: str | None, folders: str | None
) -> ssl.SSLContext:
    """As the files are when they are first needed, which is when helm reads them, too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("DEFAULT:@SECLEVEL=1")  # RSA from 1024 bits, as Go
    context.options |= 0x4  # OP_LEGACY_SERVER_CONNECT: who knows no secure renegotiation is talked to, as by Go
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # what is listed is trusted, whoever has signed it
    context.hostname_checks_common_name = False
    if ca is None:
        _load_authorities(context, file, folders)
    elif found := _unread(context, ca, set()):
        raise ConfigError(f"{ca} is no file of authorities", found=found, run="correct registry_ca")
    if cert is not None or key is not None:
        _load_identity(context, cert, key)
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


def _load_identity(context: ssl.SSLContext, cert: Path | None, key: Path | None) -> None:
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
