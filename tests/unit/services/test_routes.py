"""The routes file: which route is taken, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import pytest


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
        ("routes: [", "routes.yaml:1:10: expected the node content"),
        ("routes: [x]", "routes[0]: expected {host, path, upstream}, found 'x'"),
        ("routes: [{upstream: 'http://a', prefix: /}]", "routes[0]: unknown key prefix"),
        ("routes: [{host: a}]", "routes[0].upstream: expected text, found nothing"),
        ("routes: [{host: 3, upstream: 'http://a'}]", "routes[0].host: expected text, found 3"),
        ("routes: [{host: 'a:80', upstream: 'http://a'}]", "routes[0].host: expected a host name"),
        ("routes: [{host: 'a*b', upstream: 'http://a'}]", "routes[0].host: expected a host name"),
        ("routes: [{host: '*.', upstream: 'http://a'}]", "routes[0].host: expected a host name"),
        ("routes: [{host: ' ', upstream: 'http://a'}]", "routes[0].host: expected a host name"),
        ("routes: [{host: 2026-13-01, upstream: 'http://a'}]", "not usable YAML (ValueError: month must be in 1..12)"),
        ("[" * 3000, "not usable YAML (RecursionError"),
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
