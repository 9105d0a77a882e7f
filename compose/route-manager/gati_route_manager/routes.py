"""Owns the routes file: reads it strictly and finds the route of a host and path."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import yaml

_KEYS = frozenset({"host", "path", "upstream"})
_SCHEMES = frozenset({"http", "https", "grpc", "grpcs"})
_HOST = re.compile(r"\*|(\*\.)?[^\s*:/.]+(\.[^\s*:/.]+)*", re.ASCII)  # as the chart's schema has them
_PATH = re.compile(r"/[^\s?#]*", re.ASCII)
_BLANK = re.compile(r"\s", re.ASCII)

# What a file may make of its bytes. Memory goes by the keys and values: 100,000 of them take some 50 MiB.
_BYTES_EACH = 5  # on average, at least; a short route has 27 for its five
_MOST_DEPTH = 8
_MOST_MERGED = 64  # keys of one mapping
_MOST_LETTERS = 8192


class RoutesError(Exception):
    """The routes file cannot be used; the message names the file and the entry, `reason` is `size` or `content`."""

    def __init__(self, message: str, reason: str = "content") -> None:
        super().__init__(message)
        self.reason = reason


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


def read_routes(path: Path, most: int = 1024 * 1024) -> RouteTable:
    """Read the YAML file `path`: `routes:` is a list of `{host, path, upstream}`. More than `most` bytes, or what they
    would take more memory for than any routes do, is refused before it is parsed. Raises RoutesError."""
    import yaml

    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise RoutesError(f"{path}: larger than {most} bytes (ROUTES_MAX_BYTES)", "size")
        text = data.decode()
        _weigh(text, path, most // _BYTES_EACH)
        document = yaml.load(text, _loader())  # noqa: S506 - a safe loader
    except RoutesError:
        raise
    except OSError as error:
        raise RoutesError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise RoutesError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else f"{path}"
        raise RoutesError(f"{where}: {getattr(error, 'problem', None) or 'not YAML'}") from None
    except Exception as error:  # noqa: BLE001 - what is no value of its YAML type: the date 2026-13-01
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


def _weigh(text: str, path: Path, most: int) -> None:
    """Raise RoutesError for more than any routes need. Takes no memory: each event of the parser is forgotten."""
    import yaml

    nodes = depth = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        where = f"{path}:{event.start_mark.line + 1}"
        if nodes > most:
            raise RoutesError(f"{path}: more than {most} keys and values (a fifth of ROUTES_MAX_BYTES)", "size")
        if depth > _MOST_DEPTH:
            raise RoutesError(f"{where}: nested deeper than {_MOST_DEPTH} levels", "size")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > _MOST_LETTERS:
            raise RoutesError(f"{where}: a value longer than {_MOST_LETTERS} characters", "size")


def _loader() -> type[yaml.CSafeLoader]:
    import yaml

    class Loader(yaml.CSafeLoader):
        """Refuses a key that stands twice, of which the last alone would count, and merges (`<<`) that grow: merges of
        merges multiply, however short the file is."""

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            if not getattr(node, "known", False):  # merged into others it comes here again, with keys of theirs
                node.known = True
                keys = set[str]()
                for key, _ in node.value:
                    if key.value in keys:
                        raise yaml.constructor.ConstructorError(None, None, f"{key.value} twice", key.start_mark)
                    keys.add(key.value if isinstance(key, yaml.ScalarNode) else repr(key))
            values = [value for key, value in node.value if key.tag == "tag:yaml.org,2002:merge"]
            parts = [part for value in values for part in (value.value if value.id == "sequence" else [value])]
            merged = [part for part in parts if isinstance(part, yaml.MappingNode)]
            for part in merged:
                self.flatten_mapping(part)
            if sum(len(part.value) for part in merged) > _MOST_MERGED:
                problem = f"a merge of more than {_MOST_MERGED} keys"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
            super().flatten_mapping(node)

    return Loader


def _route(entry: Any, where: str) -> Route:
    if not isinstance(entry, dict):
        raise RoutesError(f"{where}: expected {{host, path, upstream}}, found {_shown(entry)}")
    if unknown := sorted(str(key) for key in set(entry) - _KEYS):
        raise RoutesError(f"{where}: unknown key {', '.join(unknown[:5])}")
    host, path, upstream = (
        _text(entry, "host", where, "*"),
        _text(entry, "path", where, "/"),
        _text(entry, "upstream", where),
    )
    if not _HOST.fullmatch(host):
        raise RoutesError(f"{where}.host: expected a host name, *.domain or *, found {_shown(host)}")
    if not _PATH.fullmatch(path):
        raise RoutesError(f"{where}.path: expected a path that starts with / and has no query, found {_shown(path)}")
    try:
        url = urlsplit(upstream)
        usable = url.scheme in _SCHEMES and bool(url.hostname) and url.port != 0 and not _BLANK.search(upstream)
    except ValueError:
        usable = False
    if not usable:
        raise RoutesError(
            f"{where}.upstream: expected an absolute URL ({', '.join(sorted(_SCHEMES))}), found {_shown(upstream)}"
        )
    return Route(host, path, upstream)


def _text(entry: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    value = entry.get(key, default)
    if not isinstance(value, str):
        raise RoutesError(f"{where}.{key}: expected text, found {'nothing' if value is None else _shown(value)}")
    return value


def _shown(value: Any) -> str:
    """`value` in a message, cut where it is long: values that name each other could fill the memory."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 200
    return short.repr(value)


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
