"""Owns the configuration of route-manager: environment variables in, frozen settings out."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gati_common.environment import SettingsError, choice, log_level, number, readable_file, whole
from gati_common.tls import Tls, load_tls


@dataclass(frozen=True)
class Settings:
    """`port` 0 picks a free one; times are in seconds."""

    port: int
    health_only: bool  # what the plain port serves beside TLS
    tls: Tls | None
    metrics_port: int | None
    ca_bundle: Path | None
    routes_file: Path
    routes_most: int  # bytes
    version: str
    pod: str
    head: float
    drain: float
    shutdown: float
    start: float
    abrupt: bool
    reload: float
    log_level: str


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from the environment. Raises SettingsError."""
    tls = load_tls(environ, "GRPCS_PORT", 50052)
    plain = choice(environ, "GRPC_MODE", "serve", ("serve", "health"))
    if plain != "serve" and tls is None:
        raise SettingsError(f"GRPC_MODE: expected serve without TLS_CERT_FILE and TLS_KEY_FILE, found {plain!r}")
    metrics = environ.get("GATI_METRICS_PORT", "").strip()
    return Settings(
        port=whole(environ, "GRPC_PORT", 50051, least=0, most=65535),
        health_only=plain == "health",
        tls=tls,
        metrics_port=whole(environ, "GATI_METRICS_PORT", 0, least=0, most=65535) if metrics else None,
        ca_bundle=readable_file(environ, "GATI_CA_BUNDLE"),
        routes_file=Path(environ.get("ROUTES_FILE") or "/etc/gati/routes/routes.yaml"),
        routes_most=whole(environ, "ROUTES_MAX_BYTES", 1024 * 1024, least=1, most=64 * 1024 * 1024),
        version=environ.get("GATI_VERSION") or "dev",
        pod=environ.get("POD_NAME") or socket.gethostname(),
        head=number(environ, "HEAD_SECONDS", 10, least=0.1, most=600),
        drain=number(environ, "DRAIN_SECONDS", 2, least=0, most=600),
        shutdown=number(environ, "SHUTDOWN_SECONDS", 8, least=0, most=600),
        start=number(environ, "START_SECONDS", 0, least=0, most=600),
        abrupt=choice(environ, "STOP_MODE", "drain", ("drain", "abrupt")) == "abrupt",
        reload=number(environ, "RELOAD_SECONDS", 1, least=0.05, most=600),
        log_level=log_level(environ),
    )
