"""Owns the configuration of route-manager: environment variables in, frozen settings out."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gati_common.environment import log_level, number, whole


@dataclass(frozen=True)
class Settings:
    """`port` 0 picks a free one; times are in seconds."""

    port: int
    routes_file: Path
    version: str
    pod: str
    drain: float
    shutdown: float
    reload: float
    log_level: str


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from the environment. Raises SettingsError."""
    return Settings(
        port=whole(environ, "GRPC_PORT", 50051, least=0, most=65535),
        routes_file=Path(environ.get("ROUTES_FILE") or "/etc/gati/routes/routes.yaml"),
        version=environ.get("GATI_VERSION") or "dev",
        pod=environ.get("POD_NAME") or socket.gethostname(),
        drain=number(environ, "DRAIN_SECONDS", 2, least=0, most=600),
        shutdown=number(environ, "SHUTDOWN_SECONDS", 8, least=0, most=600),
        reload=number(environ, "RELOAD_SECONDS", 1, least=0.05, most=600),
        log_level=log_level(environ),
    )
