"""What a server says tells a registry from everything else, and a chart that is absent from an error."""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import cast

import pytest

from scripts.core.command import PASSWORD
from scripts.core.errors import SAME_COMMAND, ConfigError, RegistryError
from scripts.registry.challenges import refused
from scripts.registry.client import Client, _like_a_registry, _says_unknown
from scripts.registry.credentials import USERNAME, Credentials, login_in_environment
from scripts.registry.failures import BrokenTls, Busy, NoTls, Transient
from scripts.registry.reference import Registry
from scripts.registry.transport import Answer, Transport, _ready

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


@pytest.mark.parametrize("size", [-1, (100 << 20) + 1])
def test_a_blob_of_no_charts_size_is_not_even_asked_for(size: int) -> None:
    reference = Registry("oci://a.example/charts").reference("demo", "1.0.0")
    nobody = cast(Client, None)  # whom a question would fail at
    with pytest.raises(RegistryError, match=f"a blob of {size} bytes is not a chart"):
        Client.blob(nobody, reference, f"sha256:{'0' * 64}", size)


@pytest.mark.parametrize("body", ["refused " + "secret" * 200, '{"errors": [{"message": "refused %s"}]}' % ("y" * 600)])
def test_no_part_of_a_word_is_told(body: str) -> None:
    assert answer(401, body.encode()).words() == "HTTP 401, refused"


def test_an_error_by_itself_is_told_as_one_in_a_list() -> None:
    alone = b'{"code":"UNAUTHORIZED","message":"authentication required","detail":{"description":"The access"}}'
    told = 'HTTP 401, UNAUTHORIZED: authentication required ({"description": "The access"})'
    assert answer(401, alone).words() == told
    assert answer(502, b'{"details": "no"}').words() == 'HTTP 502, {"details": "no"}'


def test_what_an_error_says_in_its_details_alone_is_told() -> None:
    body = b'{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":%s}]}'
    assert answer(400, body % b"{}").words() == "HTTP 400, MANIFEST_INVALID: manifest invalid"
    assert answer(400, body % b'"no OCI here"').words().endswith("manifest invalid (no OCI here)")
    assert answer(400, body % b'{"message":"over quota"}').words().endswith('({"message": "over quota"})')


def test_what_is_no_text_is_told_by_its_kind() -> None:
    said = answer(206, b"\x1f\x8b\x08\x00\x81words", **{"Content-Type": "application/gzip"}).words()
    assert said == "HTTP 206, application/gzip"
    assert answer(500, "não".encode("latin-1"), **{"Content-Type": "text/plain"}).words() == "HTTP 500, n\ufffdo"


@pytest.mark.parametrize("off", [-3600, 0, 3600])
def test_a_time_to_ask_again_is_by_the_servers_clock(off: float) -> None:
    now = time.time() + off
    told = {"Date": formatdate(now, usegmt=True), "Retry-After": formatdate(now + 7, usegmt=True)}
    with pytest.raises(Transient) as caught:
        _ready(answer(429, b"", **told))
    assert caught.value.after == 7


@pytest.mark.parametrize(
    ("tls", "clear", "told"),
    [
        (BrokenTls("TLS"), Transient("cut"), "TLS"),  # as of who asks for a client certificate
        (BrokenTls("TLS"), Busy("503"), "503"),
        (BrokenTls("TLS"), RegistryError("a circle"), "a circle"),
        (NoTls("TLS"), Transient("cut"), "cut"),
        (RegistryError("TLS"), Busy("503"), "TLS"),
    ],
)
def test_of_tls_and_none_the_one_that_was_heard_is_told(tls: RegistryError, clear: RegistryError, told: str) -> None:
    class Sender:
        def send(self, _: str, url: str, **__: object) -> Answer:
            raise tls if url.startswith("https:") else clear

    with pytest.raises(RegistryError, match=told):
        Client(Registry("oci://127.0.0.1:5000"), cast(Transport, Sender())).versions("demo")


def test_who_is_refused_hears_why() -> None:
    known = Credentials("me", "secret", source="a file")
    failure = ConfigError("the helper is missing", found="no such program", run="install it")
    registry = Registry("oci://a.example/charts")
    denied = answer(401, DENIED)
    assert refused(registry, denied).message == "a.example asks for a login, and none is known"
    told = refused(replace(registry, login_failure=failure), denied)
    assert told.message == "a.example asks for a login, and none can be looked up"
    assert (told.found, told.run) == ("the helper is missing\nno such program", "install it")
    told = refused(replace(registry, credentials=known, login_failure=failure), denied)
    assert told.message == "a.example refuses the login of me (a file)"
    told = refused(replace(registry, credentials=replace(known, username="")), denied)
    assert told.message == "a.example refuses the login of a token (a file)"


PUT = 'PUT "https://a.example/v2/x/demo/manifests/sha256:4030401d/denied/quota": response status code '


@pytest.mark.parametrize(
    ("words", "run"),
    [
        ("HTTP 404, NAME_UNKNOWN: repository name not known to registry", "make the repository x/demo first"),
        (f"{PUT}413: Request Entity Too Large", "client_max_body_size"),
        (f"{PUT}404: blob upload unknown to registry", "have the servers behind a.example share their uploads"),
        ("HTTP 404, BLOB_UPLOAD_INVALID: blob upload invalid", "the same command again; where that does not help"),
        (f"{PUT}507: Insufficient Storage", "make room at a.example"),
        (f"{PUT}403: denied: adding 2 KiB of storage resource will exceed the configured upper limit", "make room"),
        (f"{PUT}409: Conflict", "a version that is out is raised"),
        (f"{PUT}412: Failed to process request due to 'demo:1.2.0' configured as immutable.", "who has written to"),
        (f"{PUT}400: tag invalid: cannot be overwritten because the repository is immutable", "who has written to"),
        (f"{PUT}400: unknown: Repository does not allow updating assets: charts", "who has written to"),
        (f"{PUT}400: manifest invalid: tag immutability is on", "who has written to"),
        (f"{PUT}403: denied: The system is in read only mode. Any modification is prohibited.", "can be written again"),
        (f"{PUT}405: denied: System is currently read-only. Pulls will succeed", "can be written again"),
        (
            f"{PUT}403: denied: this token is read-only",
            "log in as somebody who may push there: helm registry login a.example",
        ),
        (f"{PUT}401: Unauthorized", "helm registry login a.example"),
        (
            'HEAD "https://a.example/v2/": missing username or password for basic auth',
            "log in by name and password (helm registry login a.example)",
        ),
        (f"{PUT}403: denied: permission_denied: write_package", "helm registry login a.example"),
        ("HTTP 400, MANIFEST_INVALID: refused by rule 14017, request 94039", "takes charts there"),
        (f"{PUT}404: blob unknown to registry: map[digest:sha256:4010403]", "takes charts there"),
        (f"{PUT}429: Too Many Requests", "wait until a.example takes more requests, then the same command again"),
        (f"{PUT}400: manifest invalid", "see that a.example takes charts there (OCI artifacts), or correct registry"),
        (f"{PUT}405: unsupported: The operation is unsupported.", "or, where it is a mirror, correct registry"),
        (f"{PUT}403: denied: can not push artifact to a proxy project: x", "or, where it is a mirror, correct reg"),
        (f"{PUT}422: Unprocessable Entity", "takes charts there"),
        (f"{PUT}500: Internal Server Error", "None"),  # which is tried again
        (f"{PUT}502: Bad Gateway", "None"),
    ],
)
def test_who_may_not_push_hears_what_helps(words: str, run: str) -> None:
    registry = Registry("oci://a.example/x")
    assert run in str(Client(registry, Transport(registry)).push_refusal("x/demo", words).run)


@pytest.mark.parametrize(
    ("registry", "command"),
    [
        (Registry("oci://a.example/x"), "helm registry login a.example"),
        (Registry("oci://[::1]:5000", plain_http=True), "helm registry login '[::1]:5000' --plain-http"),
        (
            Registry("oci://a.example/x", ca_file=Path("c a"), cert_file=Path("c"), key_file=Path("k")),
            "helm registry login a.example --ca-file 'c a' --cert-file c --key-file k",
        ),
        (
            Registry("oci://a.example/x", credentials=login_in_environment({USERNAME: "me", PASSWORD: "old"})),
            f"unset {USERNAME} {PASSWORD} && helm registry login a.example",  # or those would be taken again
        ),
    ],
)
def test_the_command_for_a_login_can_be_run(registry: Registry, command: str) -> None:
    denied = Client(registry, Transport(registry)).push_refusal("x/demo", f"{PUT}403: denied")
    assert denied.run == f"log in as somebody who may push there: {command}"
    assert refused(registry, answer(401, DENIED)).run == f"{command}, then {SAME_COMMAND}"
