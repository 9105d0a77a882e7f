"""Owns the configuration of ingress: environment variables in, frozen settings out."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gati_common.environment import SettingsError, flag, log_level, number, readable_file, whole

_ADDRESS = re.compile(
    r"(?:dns:///)?(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?):(?P<port>[0-9]{1,5})"
)


@dataclass(frozen=True)
class Tls:
    """HTTPS beside the plain port: `port`, and the files that are followed for changes."""

    port: int
    cert: Path
    key: Path


@dataclass(frozen=True)
class Settings:
    """Ports may be 0 (a free one is picked); times are in seconds."""

    port: int
    tls: Tls | None
    route_manager: str  # gRPC target
    route_manager_tls: bool
    ca_bundle: Path | None
    timescape: str | None
    playground: bool
    version: str
    pod: str
    route_timeout: float
    unready_after: float
    max_in_flight: int
    max_queue: int
    keepalive: float
    drain: float
    shutdown: float
    reload: float
    log_level: str


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from the environment. Raises SettingsError."""
    route_manager = _address(environ, "ROUTE_MANAGER_ADDR")
    if route_manager is None:
        raise SettingsError("ROUTE_MANAGER_ADDR: expected host:port, found nothing")
    return Settings(
        port=whole(environ, "HTTP_PORT", 8080, least=0, most=65535),
        tls=_tls(environ),
        route_manager=f"dns:///{route_manager}",
        route_manager_tls=flag(environ, "ROUTE_MANAGER_TLS"),
        ca_bundle=readable_file(environ, "CA_BUNDLE_FILE"),
        timescape=_address(environ, "TIMESCAPE_ADDR"),
        playground=flag(environ, "FEATURE_PLAYGROUND"),
        version=environ.get("GATI_VERSION") or "dev",
        pod=environ.get("POD_NAME") or socket.gethostname(),
        route_timeout=number(environ, "ROUTE_TIMEOUT_SECONDS", 3, least=0.05, most=60),
        unready_after=number(environ, "UNREADY_AFTER_SECONDS", 3, least=0, most=60),
        max_in_flight=whole(environ, "MAX_IN_FLIGHT", 256, least=1, most=100_000),
        max_queue=whole(environ, "MAX_QUEUE", 1024, least=0, most=100_000),
        keepalive=number(environ, "KEEPALIVE_SECONDS", 75, least=0.1, most=3600),
        drain=number(environ, "DRAIN_SECONDS", 5, least=0, most=600),
        shutdown=number(environ, "SHUTDOWN_SECONDS", 7, least=0, most=600),
        reload=number(environ, "RELOAD_SECONDS", 1, least=0.05, most=600),
        log_level=log_level(environ),
    )


def _tls(environ: Mapping[str, str]) -> Tls | None:
    cert, key = readable_file(environ, "TLS_CERT_FILE"), readable_file(environ, "TLS_KEY_FILE")
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        missing = "TLS_CERT_FILE" if cert is None else "TLS_KEY_FILE"
        raise SettingsError(f"{missing}: expected a file, as TLS_CERT_FILE and TLS_KEY_FILE go together; found nothing")
    return Tls(whole(environ, "HTTPS_PORT", 8443, least=0, most=65535), cert, key)


def _address(environ: Mapping[str, str], name: str) -> str | None:
    """`host:port` from `host:port` or `dns:///host:port`; None when unset or empty."""
    text = environ.get(name, "").strip()
    if not text:
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise SettingsError(f"{name}: expected host:port or dns:///host:port, found {text!r}")
    return f"{match['host']}:{match['port']}"
