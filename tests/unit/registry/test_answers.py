"""What a server says tells a registry from everything else, and a chart that is absent from an error."""

from __future__ import annotations

import pytest

from scripts.registry.client import _like_a_registry, _says_unknown
from scripts.registry.transport import Answer

VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}
DENIED = b'{"errors": [{"code": "DENIED"}]}'


def answer(status: int, body: bytes = b"", *challenges: str, **headers: str) -> Answer:
    return Answer(status, headers, body, "https://a/v2/", challenges)


@pytest.mark.parametrize(
    ("given", "registry"),
    [
        (answer(200), True),
        (answer(200, b"{}"), True),
        (answer(200, b"<html>", **VERSION), True),
        (answer(200, b"<html>"), False),
        (answer(200, b"[]"), False),
        (answer(401, b"", 'Bearer realm="https://a"'), True),
        (answer(401), False),
        (answer(403, DENIED), True),
        (answer(401, DENIED), True),
        (answer(403, b"", 'Basic realm="x"'), False),
        (answer(404, b"no such page"), False),
    ],
)
def test_what_answers_like_a_registry(given: Answer, registry: bool) -> None:
    assert _like_a_registry(given) == registry


@pytest.mark.parametrize(
    ("status", "code", "unknown"),
    [
        (404, "MANIFEST_UNKNOWN", True),
        (404, "NAME_UNKNOWN", True),
        (404, "BLOB_UNKNOWN", True),
        (404, "DENIED", False),
        (403, "MANIFEST_UNKNOWN", False),
    ],
)
def test_only_a_registrys_own_404_says_that_something_is_not_there(status: int, code: str, unknown: bool) -> None:
    assert _says_unknown(answer(status, b'{"errors": [{"code": "%s"}]}' % code.encode())) == unknown
