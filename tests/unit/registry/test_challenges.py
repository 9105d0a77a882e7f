"""Challenges are read as RFC 9110 writes them and as registries send them, one or several, in one line or in more."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.core.errors import RegistryError
from scripts.registry.challenges import Challenge, _demand_safe, _fetch, authorize, merged_scopes, read_challenges
from scripts.registry.credentials import Credentials
from scripts.registry.reference import Registry
from scripts.registry.transport import Answer, Transport

BEARER = Challenge("bearer", {"realm": "https://a/token", "service": "b"})


@pytest.mark.parametrize(
    ("headers", "challenges"),
    [
        (['Bearer realm="https://a/token",service="b"'], (BEARER,)),
        (['bearer   REALM = "https://a/token" , Service=b'], (BEARER,)),
        (["Bearer realm=https://a/token,service=b"], (BEARER,)),
        (['Bearer service="b", realm="https://a/token"'], (BEARER,)),
        (['Basic realm="x, y"'], (Challenge("basic", {"realm": "x, y"}),)),
        (["Basic"], (Challenge("basic", {}),)),
        (["Negotiate", 'Basic realm="x"'], (Challenge("negotiate", {}), Challenge("basic", {"realm": "x"}))),
        (["Negotiate, Basic"], (Challenge("negotiate", {}), Challenge("basic", {}))),
        (
            ['Negotiate dG9rZW4=, Bearer realm="https://a/token",service="b", Basic realm="x"'],
            (Challenge("negotiate", {}), BEARER, Challenge("basic", {"realm": "x"})),
        ),
        (
            ['Basic realm="Bearer realm=\\"no\\"", Bearer realm="https://a/token", service="b"'],
            (Challenge("basic", {"realm": 'Bearer realm="no"'}), BEARER),
        ),
        (['Bearer realm="https://a/token",service="b",scope="a:b:pull c"'],
         (Challenge("bearer", {**BEARER.parameters, "scope": "a:b:pull c"}),)),
        ([""], ()),
        (['realm="x"'], ()),
        (['Bearer realm="https://a/token'], (Challenge("bearer", {}),)),
    ],
)  # fmt: skip
def test_read(headers: list[str], challenges: tuple[Challenge, ...]) -> None:
    assert read_challenges(headers) == challenges


@given(st.text(max_size=60))
def test_anything_can_be_read(header: str) -> None:
    read_challenges([header])


@pytest.mark.parametrize("part", ['"', 'a="', "a=", "Bearer ", "\\", ", ", "x "])
def test_a_long_header_is_read_in_bounded_time(part: str) -> None:
    begin = time.process_time()
    read_challenges([part * (60_000 // len(part))])
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    ("scopes", "merged"),
    [
        (("repository:a:pull",), ("repository:a:pull",)),
        (("repository:a:pull", ""), ("repository:a:pull",)),
        (("repository:a:pull", "repository:a:pull,push"), ("repository:a:pull,push",)),
        (("repository:a:pull,push", "repository:a:pull"), ("repository:a:pull,push",)),
        (("repository:a:pull", "repository:b:pull *"), ("repository:a:pull", "repository:b:pull", "*")),
        (("repository:a:pull", "aws"), ("repository:a:pull", "aws")),
    ],
)
def test_scopes(scopes: tuple[str, ...], merged: tuple[str, ...]) -> None:
    assert merged_scopes(*scopes) == merged


SAFE, NOT = True, False


@pytest.mark.parametrize(
    ("host", "scheme", "realm", "safe"),
    [
        ("a.example", "https", "https://b.example/token", SAFE),
        ("a.example", "http", "https://b.example/token", SAFE),
        ("a.example", "https", "http://b.example/token", NOT),
        ("a.example", "https", "http://a.example/token", NOT),
        ("a.example", "http", "http://b.example/token", SAFE),  # the registry itself is asked in the clear
        ("127.0.0.1:5000", "https", "http://127.0.0.1:5001/token", NOT),
        ("127.0.0.1:5000", "http", "http://127.0.0.1:5001/token", SAFE),
        ("10.1.2.3:5000", "https", "https://10.1.2.3/token", SAFE),
        ("[fd00::1]:5000", "https", "https://[fd00::1]/token", SAFE),
        ("a.example", "https", "https://8.8.8.8/token", SAFE),
        ("a.example", "https", "https://10.1.2.3/token", NOT),
        ("a.example", "http", "http://169.254.169.254/token", NOT),
        ("10.1.2.4", "https", "https://10.1.2.3/token", NOT),
        ("localhost:5000", "http", "http://127.0.0.1:5000/token", NOT),
        ("a.example", "https", "https://[::ffff:10.1.2.3]/token", NOT),
        ("a.example", "https", "https://[fd00::1]/token", NOT),
        ("127.0.0.1:5000", "https", "http://b.example/token", NOT),
        ("a.example", "https", "http://127.0.0.1:5001/token", NOT),
        ("a.example", "http", "ftp://a.example/token", NOT),
        ("a.example", "http", "https://", NOT),
        ("a.example", "http", "", NOT),
        ("a.example", "http", "https://[::1", NOT),
    ],
)
def test_a_login_goes_to_a_safe_place_alone(host: str, scheme: str, realm: str, safe: bool) -> None:
    registry = Registry(f"oci://{host}/charts")
    if safe:
        _demand_safe(registry, scheme, realm)
    else:
        with pytest.raises(RegistryError, match="sends logins to a place that is not safe"):
            _demand_safe(registry, scheme, realm)


class Service:
    """A token service that gives one answer."""

    def __init__(self, status: int, body: bytes) -> None:
        self.answer = Answer(status, {}, body, "https://a/token")
        self.asked: list[tuple[str, Mapping[str, object]]] = []

    def send(self, method: str, _: str, **more: object) -> Answer:
        self.asked.append((method, more))
        return self.answer


def fetched(status: int, body: bytes) -> str:
    service = cast(Transport, Service(status, body))
    return _fetch(service, Registry("oci://a.example/charts"), "https://a/token", "", ())


@pytest.mark.parametrize(
    "body",
    [b'{"token": "abc"}', b'{"access_token": "abc"}', b'{"access_token": "", "token": "abc"}', b'{"Token": "abc"}'],
)
def test_a_token_is_read_under_either_name(body: bytes) -> None:
    assert fetched(200, body) == "abc"


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (200, b'{"token": 7}', "no content type"),
        (200, b'{"token": "", "access_token": null}', "no content type"),
        (200, b'{"token": "a\\u00e9"}', "no content type"),
        (200, b'{"token": "a\\nb"}', "no content type"),
        (200, b"[]", "no content type"),
        (200, b"{}", "no content type"),
        (200, b"{", "no content type"),
        (404, b'{"errors": [{"code": "NOT_FOUND"}]}', "NOT_FOUND"),
        (500, b'{"token": "abc"}', "no content type"),
    ],
)
def test_what_is_no_token_is_not_sent(status: int, body: bytes, found: str) -> None:
    with pytest.raises(RegistryError, match=r"gives no token for a\.example") as caught:
        fetched(status, body)
    assert caught.value.found == f"HTTP {status}, {found}"


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_is_one_by_name(status: int) -> None:
    with pytest.raises(RegistryError, match=r"a\.example asks for a login, and none is known"):
        fetched(status, b"")


def test_a_registry_that_names_token_services_without_end_is_asked_a_few_times() -> None:
    named = tuple(f'Bearer realm="https://me:secret@a.example/{number}"' for number in range(90))
    asked, service = Answer(401, {}, b"", "https://a.example/v2/", named), Service(200, b"")
    with pytest.raises(RegistryError, match=r"^a\.example gives no token"):
        authorize(cast(Transport, service), Registry("oci://a.example/charts"), asked, "x")
    assert len(service.asked) == 3


def test_why_no_token_was_given_is_what_is_told() -> None:
    registry = Registry("oci://a.example/charts")
    asked = Answer(401, {}, b"", "https://a.example/v2/", ('Bearer realm="https://a.example/token",service="b"',))
    with pytest.raises(RegistryError, match="asks for a login, and none is known"):
        authorize(cast(Transport, Service(401, b"")), registry, asked, "repository:a:pull")
    assert authorize(cast(Transport, Service(200, b'{"token": "abc"}')), registry, asked, "x") == "Bearer abc"
    other = Answer(401, {}, b"", "https://a.example/v2/", ("Negotiate",))
    with pytest.raises(RegistryError, match="asks for an unknown kind of login"):
        authorize(cast(Transport, Service(200, b"")), registry, other, "x")


def test_a_refresh_token_is_exchanged_in_a_body_and_a_password_goes_in_a_header() -> None:
    service = Service(200, b'{"token": "abc"}')
    for login in (Credentials("", "", "a file", identity_token="long"), Credentials("me", "secret", "a file")):
        registry = Registry("oci://a.example/charts", credentials=login)
        _fetch(cast(Transport, service), registry, "https://a/token", "b", ("repository:a:pull",))
    (first, form), (second, header) = service.asked
    assert (first, second) == ("POST", "GET")
    assert cast(Mapping[str, str], form["form"])["refresh_token"] == "long"
    assert "authorization" not in form
    assert header["authorization"] == f"Basic {base64.b64encode(b'me:secret').decode()}"
    assert header["query"] == [("service", "b"), ("scope", "repository:a:pull")]
