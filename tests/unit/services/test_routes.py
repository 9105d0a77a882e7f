"""The routes file: which route is taken, and what is refused with which words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("host", "path", "upstream"),
    [
        ("api.example.com", "/v1", "http://v1"),
        ("api.example.com", "/v1/users", "http://v1"),
        ("API.Example.COM", "/v1/", "http://v1"),
        ("api.example.com", "/v1/users/7", "http://v1"),
        ("api.example.com", "/v10", "http://api"),  # /v1 matches whole segments
        ("api.example.com", "/", "http://api"),
        ("www.example.com", "/", "http://wild"),
        ("a.b.example.com", "/v1", "http://wild"),
        ("deep.sub.example.com", "/", "http://sub"),  # the longer wildcard wins
        ("sub.example.com", "/", "http://wild"),  # a wildcard does not match its own domain
        ("example.com", "/", "http://any"),
        ("[::1]", "/", "http://any"),
    ],
)
def test_the_most_specific_route_is_taken(tmp_path: Path, host: str, path: str, upstream: str) -> None:
    from gati_route_manager.routes import read_routes

    file = tmp_path / "routes.yaml"
    file.write_text("""
routes:
  - {host: "*", upstream: "http://any"}
  - {host: "*.example.com", upstream: "http://wild"}
  - {host: "*.sub.example.com", upstream: "http://sub"}
  - {host: api.example.com, upstream: "http://api"}
  - {host: api.example.com, path: /v1, upstream: "http://v1"}
""")
    route = read_routes(file).find(host, path)
    assert route is not None
    assert route.upstream == upstream


CHART_ROUTE = json.loads((Path(__file__).parents[3] / "helm/gati/values.schema.json").read_text())["properties"][
    "routeManager"
]["properties"]["routes"]["items"]["properties"]


@pytest.mark.timeout(3600)  # the thorough profile draws a thousand
@pytest.mark.parametrize("key", CHART_ROUTE)
@given(data=st.data())
def test_what_the_chart_takes_is_no_mistake(key: str, data: st.DataObject) -> None:
    """Or a route that renders would stop the next pod that starts."""
    from gati_route_manager.routes import _route

    text = data.draw(st.from_regex(CHART_ROUTE[key]["pattern"], fullmatch=True))
    assert _route({"upstream": "http://a", key: text}, "routes[0]")


@pytest.mark.parametrize("text", ["a\u00a0b", "/a\u00a0b", "http://a/\u2003"])
def test_blanks_of_another_kind_are_letters_to_both(text: str) -> None:
    from gati_route_manager.routes import _route

    key = {"a": "host", "/": "path", "h": "upstream"}[text[0]]
    assert _route({"upstream": "http://a", key: text}, "routes[0]")


def test_no_route_is_no_route(tmp_path: Path) -> None:
    from gati_route_manager.routes import read_routes

    file = tmp_path / "routes.yaml"
    file.write_text("routes: [{host: a.example.com, path: /only, upstream: 'https://a:8443/x'}]")
    table = read_routes(file)
    assert table.find("a.example.com", "/other") is None
    assert table.find("b.example.com", "/only") is None
    file.write_text("routes: []")
    assert read_routes(file).count == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected one key `routes`"),
        ("- a", "expected one key `routes`"),
        ("routes: 3", "expected one key `routes`"),
        ("routes: []\nmore: 1", "expected one key `routes`"),
        ("routes: [", "routes.yaml:2:1: did not find expected node content"),
        ("routes: [x]", "routes[0]: expected {host, path, upstream}, found 'x'"),
        ("routes: [{upstream: 'http://a', prefix: /}]", "routes[0]: unknown key prefix"),
        ("routes: [{host: a}]", "routes[0].upstream: expected text, found nothing"),
        ("routes: [{host: 3, upstream: 'http://a'}]", "routes[0].host: expected text, found 3"),
        ("routes: [{host: 'a:80', upstream: 'http://a'}]", "routes[0].host: expected a host name"),
        ("routes: [{host: 'a*b', upstream: 'http://a'}]", "routes[0].host: expected a host name"),
        ("routes: [{host: '*.', upstream: 'http://a'}]", "routes[0].host: expected a host name"),
        ("routes: [{host: ' ', upstream: 'http://a'}]", "routes[0].host: expected a host name"),
        ("routes: [{host: a, upstream: 'http://a', host: b}]", "routes.yaml:1:42: host twice"),
        ("routes: [{upstream: 'http://a'}]\nroutes: [{upstream: 'http://b'}]", "routes.yaml:2:1: routes twice"),
        ("routes: [{host: 2026-13-01, upstream: 'http://a'}]", "not usable YAML (ValueError: month must be in 1..12)"),
        ("[" * 3000, "routes.yaml:1: nested deeper than 8 levels"),
        ("routes: [{path: v1, upstream: 'http://a'}]", "routes[0].path: expected a path that starts with /"),
        ("routes: [{path: '/a?b', upstream: 'http://a'}]", "routes[0].path: expected a path"),
        ("routes: [{path: '/a b', upstream: 'http://a'}]", "routes[0].path: expected a path"),
        ("routes: [{upstream: 'http://a b'}]", "routes[0].upstream: expected an absolute URL"),
        ("routes: [{upstream: 'a:8080'}]", "routes[0].upstream: expected an absolute URL"),
        ("routes: [{upstream: 'http://a:x'}]", "routes[0].upstream: expected an absolute URL"),
        ("routes: [{upstream: 'http://a'}, {upstream: 'http://b'}]", "routes[1] repeats host * path / of routes[0]"),
    ],
)
def test_a_bad_file_is_refused_by_entry(tmp_path: Path, text: str, message: str) -> None:
    from gati_route_manager.routes import RoutesError, read_routes

    file = tmp_path / "routes.yaml"
    file.write_text(text)
    with pytest.raises(RoutesError) as refusal:
        read_routes(file)
    assert message in str(refusal.value)
    assert str(file) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_absent_or_binary_file_is_refused(tmp_path: Path) -> None:
    from gati_route_manager.routes import RoutesError, read_routes

    with pytest.raises(RoutesError, match="No such file"):
        read_routes(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"routes: \xff")
    with pytest.raises(RoutesError, match="not UTF-8"):
        read_routes(tmp_path / "binary.yaml")


MERGES = "".join(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}\n" for n in range(1, 9))
ALIASES = "".join(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 6))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("routes: []\n" + "#" * 4096, "larger than 4096 bytes (ROUTES_MAX_BYTES)"),
        ("routes: [" + "a," * 1000 + "]", "more than 819 keys and values"),
        ("- " * 1000, "routes.yaml:1: nested deeper than 8 levels"),
        ("{a: " * 300, "routes.yaml:1: nested deeper than 8 levels"),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    import yaml
    from gati_route_manager.routes import RoutesError, read_routes

    file = tmp_path / "routes.yaml"
    file.write_text(text)
    monkeypatch.setattr(yaml, "load", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(RoutesError) as refusal:
        read_routes(file, 4096)
    assert message in str(refusal.value)
    assert refusal.value.reason == "size"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("m0: &m0 {a: 1, b: 2}\n" + MERGES, "a merge of more than 64 keys"),
        ("- &a0 [x, x, x, x, x, x, x, x, x]\n" + ALIASES, "expected one key `routes`"),
        ("routes:\n- &a0 [x, x, x, x, x, x, x, x, x]\n" + ALIASES, "routes[0]: expected {host, path, upstream}"),
        ("routes: [{upstream: '" + "a" * 9000 + "'}]", "a value longer than 8192 characters"),
        ("routes: [{host: '" + "a b" * 900 + "', upstream: 'http://a'}]", "routes[0].host: expected a host name"),
    ],
)
def test_a_short_file_cannot_grow_into_a_large_one(tmp_path: Path, text: str, message: str) -> None:
    from gati_route_manager.routes import RoutesError, read_routes

    file = tmp_path / "routes.yaml"
    file.write_text(text)
    with pytest.raises(RoutesError) as refusal:
        read_routes(file)
    assert message in str(refusal.value)
    assert len(str(refusal.value)) < 1000


def test_merges_and_aliases_of_a_usual_size_are_taken(tmp_path: Path) -> None:
    from gati_route_manager.routes import read_routes

    file = tmp_path / "routes.yaml"
    file.write_text("""
routes:
  - &first {host: a.example.com, upstream: &up "http://up"}
  - {<<: *first, host: b.example.com}
  - {<<: [*first], path: /x, upstream: *up}
""")
    route = read_routes(file).find("b.example.com", "/")
    assert route is not None
    assert route.upstream == "http://up"


def test_as_many_routes_as_a_config_map_holds_take_little_memory(tmp_path: Path, import_path: Any) -> None:
    """Within the chart's limit of 256 MiB, beside those in force, with room for gRPC."""
    file = tmp_path / "routes.yaml"
    count = 24_000
    file.write_text("routes:\n" + "".join(f"- {{host: h{n}, upstream: 'http://a'}}\n" for n in range(count)))
    assert 900_000 < file.stat().st_size < 1024 * 1024
    program = f"""
import grpc, yaml
from pathlib import Path
from gati_route_manager.routes import read_routes

def most():
    # Not `ru_maxrss`, which a process inherits from the one that started it.
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024

before = most()
tables = [read_routes(Path({str(file)!r})) for _ in range(2)]
assert tables[0].count == {count}
print(most(), most() - before)
"""
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(import_path)}
    answer = subprocess.run((sys.executable, "-c", program), env=environ, capture_output=True, text=True, check=True)
    whole, own = map(float, answer.stdout.split())
    assert whole < 200, answer.stdout  # MiB
    assert own < 150, answer.stdout
