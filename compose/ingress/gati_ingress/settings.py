"""Owns the configuration of ingress: environment variables in, frozen settings out."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gati_common.environment import SettingsError, choice, flag, log_level, number, readable_file, whole
from gati_common.tls import Tls, load_tls

_ADDRESS = re.compile(
    r"(?:dns:///)?(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?):(?P<port>[0-9]{1,5})"
)


@dataclass(frozen=True)
class Settings:
    """Ports may be 0 (a free one is picked); times are in seconds."""

    port: int
    plain: str  # what the plain port does: serve, redirect, off
    tls: Tls | None
    public_https_port: int  # where clients reach HTTPS
    metrics_port: int | None  # None: what is management stands on the public ports
    route_manager: str  # gRPC target
    route_manager_tls: bool
    route_manager_ca: Path | None
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
    connection: float
    head: float
    drain: float
    shutdown: float
    start: float
    abrupt: bool
    reload: float
    log_level: str


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from the environment. Raises SettingsError."""
    route_manager = _address(environ, "ROUTE_MANAGER_ADDR")
    if route_manager is None:
        raise SettingsError("ROUTE_MANAGER_ADDR: expected host:port, found nothing")
    port = whole(environ, "HTTP_PORT", 8080, least=0, most=65535)
    tls = load_tls(environ, "HTTPS_PORT", 8443)
    plain = choice(environ, "HTTP_MODE", "serve", ("serve", "redirect", "off"))
    if plain != "serve" and tls is None:
        raise SettingsError(f"HTTP_MODE: expected serve without TLS_CERT_FILE and TLS_KEY_FILE, found {plain!r}")
    return Settings(
        port=port,
        plain=plain,
        tls=tls,
        public_https_port=whole(environ, "PUBLIC_HTTPS_PORT", 443, least=1, most=65535),
        metrics_port=_metrics_port(environ, (None if plain == "off" else port, tls and tls.port)),
        route_manager=f"dns:///{route_manager}",
        route_manager_tls=flag(environ, "ROUTE_MANAGER_TLS"),
        route_manager_ca=readable_file(environ, "ROUTE_MANAGER_CA_FILE"),
        ca_bundle=readable_file(environ, "GATI_CA_BUNDLE") or readable_file(environ, "CA_BUNDLE_FILE"),
        timescape=_address(environ, "TIMESCAPE_ADDR"),
        playground=flag(environ, "FEATURE_PLAYGROUND"),
        version=environ.get("GATI_VERSION") or "dev",
        pod=environ.get("POD_NAME") or socket.gethostname(),
        route_timeout=number(environ, "ROUTE_TIMEOUT_SECONDS", 3, least=0.05, most=60),
        unready_after=number(environ, "UNREADY_AFTER_SECONDS", 3, least=0, most=60),
        max_in_flight=whole(environ, "MAX_IN_FLIGHT", 256, least=1, most=100_000),
        max_queue=whole(environ, "MAX_QUEUE", 1024, least=0, most=100_000),
        keepalive=number(environ, "KEEPALIVE_SECONDS", 75, least=0.1, most=3600),
        connection=number(environ, "CONNECTION_SECONDS", 300, least=0.1, most=86400),
        head=number(environ, "HEAD_SECONDS", 10, least=0.1, most=600),
        drain=number(environ, "DRAIN_SECONDS", 5, least=0, most=600),
        shutdown=number(environ, "SHUTDOWN_SECONDS", 7, least=0, most=600),
        start=number(environ, "START_SECONDS", 0, least=0, most=600),
        abrupt=choice(environ, "STOP_MODE", "drain", ("drain", "abrupt")) == "abrupt",
        reload=number(environ, "RELOAD_SECONDS", 1, least=0.05, most=600),
        log_level=log_level(environ),
    )


def _metrics_port(environ: Mapping[str, str], public: tuple[int | None, ...]) -> int | None:
    """The port of management; None where it is absent or one of the public ports."""
    if not environ.get("GATI_METRICS_PORT", "").strip():
        return None
    port = whole(environ, "GATI_METRICS_PORT", 0, least=0, most=65535)
    return None if port and port in public else port


def _address(environ: Mapping[str, str], name: str) -> str | None:
    """`host:port` from `host:port` or `dns:///host:port`; None when unset or empty."""
    text = environ.get(name, "").strip()
    if not text:
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise SettingsError(f"{name}: expected host:port or dns:///host:port, found {text!r}")
    return f"{match['host']}:{match['port']}"
