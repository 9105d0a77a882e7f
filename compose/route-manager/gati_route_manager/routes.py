"""Owns the routes file: reads it strictly and finds the route of a host and path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_KEYS = frozenset({"host", "path", "upstream"})
_SCHEMES = frozenset({"http", "https", "grpc", "grpcs"})
_HOST = re.compile(r"\*|(\*\.)?[^\s*:/.]+(\.[^\s*:/.]+)*")
_PATH = re.compile(r"/[^\s?#]*")


class RoutesError(Exception):
    """The routes file cannot be used; the message names the file and the entry."""


@dataclass(frozen=True)
class Route:
    """One entry: `host` (exact, `*.domain` or `*`), `path` prefix, absolute `upstream` URL."""

    host: str
    path: str
    upstream: str


class RouteTable:
    """Routes in the order they are preferred: exact host, then the longest wildcard, then `*`;
    among one host's routes the longest path."""

    def __init__(self, routes: tuple[Route, ...] = ()) -> None:
        self._by_host: dict[str, list[Route]] = {}
        for route in routes:
            self._by_host.setdefault(route.host.lower(), []).append(route)
        for group in self._by_host.values():
            group.sort(key=lambda route: len(route.path), reverse=True)
        self.count = len(routes)

    def find(self, host: str, path: str) -> Route | None:
        """The route of `host` (no port, any case) and `path` (starts with `/`), or None."""
        for name in _host_patterns(host.lower()):
            for route in self._by_host.get(name, ()):
                if _under(path, route.path):
                    return route
        return None


def read_routes(path: Path) -> RouteTable:
    """Read the YAML file `path`: `routes:` is a list of `{host, path, upstream}`. Raises RoutesError."""
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RoutesError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise RoutesError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else f"{path}"
        raise RoutesError(f"{where}: {getattr(error, 'problem', None) or 'not YAML'}") from None
    except Exception as error:  # what is no value of its YAML type (the date 2026-13-01), or is nested without end
        raise RoutesError(f"{path}: not usable YAML ({type(error).__name__}: {error})") from None
    if not isinstance(document, dict) or set(document) != {"routes"} or not isinstance(document["routes"], list):
        raise RoutesError(f"{path}: expected one key `routes` with a list of {{host, path, upstream}}")
    routes = tuple(_route(entry, f"{path}: routes[{index}]") for index, entry in enumerate(document["routes"]))
    seen: dict[tuple[str, str], int] = {}
    for index, route in enumerate(routes):
        first = seen.setdefault((route.host.lower(), route.path), index)
        if first != index:
            raise RoutesError(f"{path}: routes[{index}] repeats host {route.host} path {route.path} of routes[{first}]")
    return RouteTable(routes)


def _route(entry: Any, where: str) -> Route:
    if not isinstance(entry, dict):
        raise RoutesError(f"{where}: expected {{host, path, upstream}}, found {entry!r}")
    if unknown := sorted(str(key) for key in set(entry) - _KEYS):
        raise RoutesError(f"{where}: unknown key {', '.join(unknown)}")
    host, path, upstream = (
        _text(entry, "host", where, "*"),
        _text(entry, "path", where, "/"),
        _text(entry, "upstream", where),
    )
    if not _HOST.fullmatch(host):
        raise RoutesError(f"{where}.host: expected a host name, *.domain or *, found {host!r}")
    if not _PATH.fullmatch(path):
        raise RoutesError(f"{where}.path: expected a path that starts with / and has no query, found {path!r}")
    try:
        url = urlsplit(upstream)
        usable = url.scheme in _SCHEMES and bool(url.hostname) and url.port != 0 and not re.search(r"\s", upstream)
    except ValueError:
        usable = False
    if not usable:
        raise RoutesError(
            f"{where}.upstream: expected an absolute URL ({', '.join(sorted(_SCHEMES))}), found {upstream!r}"
        )
    return Route(host, path, upstream)


def _text(entry: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    value = entry.get(key, default)
    if not isinstance(value, str):
        raise RoutesError(f"{where}.{key}: expected text, found {'nothing' if value is None else repr(value)}")
    return value


def _host_patterns(host: str) -> list[str]:
    """`a.b.c` -> `a.b.c`, `*.b.c`, `*.c`, `*`."""
    patterns = [host]
    rest = host
    while "." in rest:
        rest = rest.split(".", 1)[1]
        patterns.append(f"*.{rest}")
    patterns.append("*")
    return patterns


def _under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix if prefix.endswith("/") else prefix + "/")
