"""Challenges are read as RFC 9110 writes them and as registries send them, one or several, in one line or in more."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.registry.challenges import Challenge, merged_scopes, read_challenges

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
    begin = time.monotonic()
    read_challenges([part * (60_000 // len(part))])
    assert time.monotonic() - begin < 5


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
