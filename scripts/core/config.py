"""Reads `[tool.gati]` of pyproject.toml, the environment and the flags into one frozen value."""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.core.errors import ConfigError


@dataclass(frozen=True)
class Config:
    """What the toolkit works on. Paths are absolute once loaded.

    Every field but `root` can stand in `[tool.gati]`, in the environment as `GATI_<FIELD>`, and, where a
    task offers it, in a flag; the last of the three wins. A relative path starts at the project's root, in a
    flag at the current folder.
    """

    root: Path
    chart: Path = Path("helm/gati")
    changelog: Path = Path("CHANGELOG.md")
    """The chart's changelog. A chart that a flag or the environment names has its own: its CHANGELOG.md."""
    version_files: tuple[str, ...] = ()
    """Further files that name the chart's version, from the project's root; a bump changes them too."""
    dist: Path = Path("dist")
    cache_dir: Path = Path()
    registry: str = ""
    """Where charts are published, as `oci://host/path`. Empty: the embedded registry on loopback."""
    embedded_registry: Path = Path(".registry")
    """The folder that keeps the embedded registry's content between runs."""
    plain_http: bool = False
    """Talk HTTP to a registry that is not on loopback."""
    registry_ca: str = ""
    """A file of authorities that the registry's certificate is checked with. Empty: the system's."""
    registry_cert: str = ""
    """A client certificate (PEM), for a registry that asks for one; `registry_key` is its key, without a passphrase."""
    registry_key: str = ""
    images: str = "auto"
    """Where base images come from: `registry`, `build` (from Debian and Go modules), or `auto`."""
    node_image: str = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
    """The kind node image to pull where a registry serves it: the one that the pinned kind is released with."""
    python_image: str = "python:3.13.9-slim-bookworm"
    """What the reference services are built on where a registry serves it; a digest may follow (`@sha256:...`)."""
    haproxy_image: str = "haproxy:3.2.7-bookworm"
    """The balancer of the compose stack with several replicas, where a registry serves it."""
    prometheus_image: str = "prom/prometheus:v3.7.3"
    """The Prometheus of the compose stack, where a registry serves it."""
    ca_bundle: str = ""
    """A file of authorities for the network that images are built on. Empty: SSL_CERT_FILE, where that is set."""
    http_port: int = 8080
    """Where the compose stack serves HTTP on this machine."""
    grpc_port: int = 50051
    """Where the compose stack serves gRPC on this machine."""
    prometheus_port: int = 9090
    """Where the compose stack's Prometheus listens on this machine."""

    def result(self, chart: str, what: str) -> Path:
        """Where `dist/` keeps `what` ("lint.json") of the chart of that name; it holds those of several."""
        return self.dist / f"{re.sub(r'[^A-Za-z0-9._-]', '_', chart).lstrip('.')}.{what}"


_CHOICES = {"images": ("auto", "registry", "build")}


def load_config(root: Path, *, environ: Mapping[str, str] | None = None, **overrides: Any) -> Config:
    """The configuration of the project at `root`; an override of None counts as not given.

    Raises ConfigError for an unknown key or a value of the wrong type, naming the key.
    """
    environ = os.environ if environ is None else environ
    fields = {field.name: field for field in dataclasses.fields(Config) if field.name != "root"}
    values: dict[str, Any] = {}
    for key, value in _table(root).items():
        name = key.replace("-", "_")
        if name not in fields:
            raise ConfigError(
                f"pyproject.toml: [tool.gati] has no key {key!r}",
                expected=", ".join(sorted(fields)),
                run="correct the key in pyproject.toml",
            )
        values[name] = _value(fields[name], value, f"[tool.gati] {key}")
    project = dict(values)
    for name, field in fields.items():
        variable = f"GATI_{name.upper()}"
        if variable in environ:
            values[name] = _value(field, environ[variable], variable)
    for name, value in overrides.items():
        if value is not None:
            flag = _value(fields[name], value, f"--{name.replace('_', '-')}")
            values[name] = Path.cwd() / flag if isinstance(flag, Path) else flag
    values.setdefault("cache_dir", _user_cache())
    own = (root / project.get("chart", Config.chart)).resolve()
    if (chart := root / values.get("chart", own)).resolve() != own:
        # What the project says about its chart is not true of another one.
        if values.get("changelog") == project.get("changelog"):
            values["changelog"] = chart / "CHANGELOG.md"
        if values.get("version_files") == project.get("version_files"):
            values["version_files"] = ()
    for name, field in fields.items():
        if field.type == "Path":
            values[name] = (root / values.get(name, field.default)).resolve()
    return Config(root=root, **values)


def _table(root: Path) -> Mapping[str, Any]:
    path = root / "pyproject.toml"
    try:
        table = tomllib.loads(path.read_text()).get("tool", {}).get("gati", {})
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML", found=str(error), run="correct that line") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: [tool.gati] must be a table", found=repr(table))
    return table


def _value(field: dataclasses.Field[Any], value: Any, where: str) -> Any:
    """`value` as the field's type; text is read the way a person writes it in the environment."""
    wanted = str(field.type)
    if wanted == "Path" and isinstance(value, str | Path) and str(value):
        return Path(value).expanduser()
    if wanted == "bool":
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in {"1", "true", "yes", "0", "false", "no", ""}:
            return value.lower() in {"1", "true", "yes"}
    if wanted.startswith("tuple"):
        parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
            return tuple(part for part in parts if part)
    if wanted == "int":  # every whole number here is a port
        return whole_number(value, where, least=1, most=65535)
    if wanted == "str" and isinstance(value, str):
        allowed = _CHOICES.get(field.name)
        if allowed is None or value in allowed:
            return value
        raise ConfigError(f"{where} has an unknown value", expected=" or ".join(allowed), found=repr(value))
    raise ConfigError(f"{where} has the wrong type", expected=wanted, found=repr(value))


def whole_number(value: Any, where: str, *, least: int = 0, most: int | None = None) -> int:
    """`value` as a whole number from `least` to `most`. Raises ConfigError naming `where`."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = None
    if number is None or isinstance(value, bool) or number < least or (most is not None and number > most):
        limits = f"from {least} to {most}" if most is not None else f"of {least} or more"
        raise ConfigError(f"{where} is not usable", expected=f"a whole number {limits}", found=repr(value))
    return number


def _user_cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("gati-toolkit")
