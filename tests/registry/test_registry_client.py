"""Only a registry's own word says that a version is absent; everything else is unknown, with its cause."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from scripts.chart.archive import Package
from scripts.chart.manifest_digest import LAYER_TYPE, MANIFEST_TYPE, sha256
from scripts.core.errors import REFUSED, ConfigError, RegistryError
from scripts.registry import client as module
from scripts.registry import transport
from scripts.registry.client import ListingError, connect
from scripts.registry.credentials import Credentials
from scripts.registry.reference import Reference, Registry, is_loopback
from scripts.release.publish import probe
from tests.registry.servers import (
    LINES,
    Authority,
    Reply,
    Request,
    Scripted,
    free_port,
    oci_error,
    page,
    scripted,
    silent,
)

PAUSE = transport._PAUSE
MANIFEST = json.dumps(
    {"schemaVersion": 2, "layers": [{"mediaType": LAYER_TYPE, "digest": sha256(b"chart"), "size": 5}]}
).encode()
SHA512 = f"sha512:{hashlib.sha512(MANIFEST).hexdigest()}"
PACKAGE = Package(Path("demo-1.0.0.tgz"), "demo", "1.0.0", "0" * 64, 1, sha256(b"manifest"), "1980-01-01T00:00:00Z")


@dataclass
class Waits:
    """Seconds that a client has slept, instead of sleeping."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def manifest(content: bytes = MANIFEST, kind: str = MANIFEST_TYPE, **headers: str) -> Reply:
    """A manifest as registries serve it."""
    return Reply(200, content, {"Content-Type": kind, **headers})


def routes(**by_end: Reply | Callable[[Request], Reply]) -> Callable[[Request], Reply]:
    """Answers by the last part of the path; `v2` is the API's root, which answers unless said otherwise."""

    def answer(request: Request) -> Reply:
        name = request.path.partition("?")[0].rstrip("/").rpartition("/")[2]
        reply = by_end.get(name.replace(".", "_").replace("1_0_0", "tag"), by_end.get("other"))
        if name == "v2" and "v2" not in by_end:
            return Reply(200, b"{}", {"Docker-Distribution-Api-Version": "registry/2.0"})
        assert reply is not None, request
        return reply(request) if callable(reply) else reply

    return answer


def ask(server: Scripted, login: Credentials | None = None, waits: Waits | None = None) -> module.Found | None:
    """What the server says stands under demo 1.0.0."""
    registry = Registry(f"oci://{server.host}/charts", plain_http=True, credentials=login)
    with connect(registry, sleep=waits or Waits()) as client:
        return client.manifest(registry.reference("demo", "1.0.0"))


class TestAbsent:
    @pytest.mark.parametrize("code", ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "TAG_EXPIRED", "NOT_FOUND"])
    def test_in_a_registrys_words(self, code: str) -> None:
        with scripted(routes(tag=oci_error(404, code))) as server:
            assert ask(server) is None
            assert probe(Registry(f"oci://{server.host}", plain_http=True), PACKAGE).state == "absent"

    @pytest.mark.parametrize(
        "reply",
        [
            page(404),
            Reply(404),
            Reply(404, b"404 page not found\n", {"Content-Type": "text/plain"}),
            Reply(404, b'{"message": "Not Found"}', {"Content-Type": "application/json"}),
            Reply(404, b'{"errors": []}', {"Content-Type": "application/json"}),
            Reply(404, b'{"errors": "none"}', {"Content-Type": "application/json"}),
            oci_error(404, "UNSUPPORTED"),
            oci_error(400, "MANIFEST_UNKNOWN"),
        ],
        ids=lambda reply: f"{reply.status} {reply.body[:24]!r}",
    )
    def test_not_in_other_words(self, reply: Reply) -> None:
        with scripted(routes(tag=reply)) as server:
            seen = probe(Registry(f"oci://{server.host}", plain_http=True), PACKAGE)
            assert (seen.state, seen.digest) == ("unknown", None)
            with pytest.raises(RegistryError) as told:
                ask(server)
        # As of Gitea's for an owner who is not there.
        assert reply.status != 404 or str(told.value.run).startswith("make charts first, where ")


class TestTheSameInOtherWords:
    @pytest.mark.parametrize(
        "reply",
        [
            Reply(200, MANIFEST, {"Content-Type": MANIFEST_TYPE, "Docker-Content-Digest": ""}),
            manifest(kind=f"{MANIFEST_TYPE.replace('application', 'Application')}; charset=utf-8"),
            Reply(200, gzip.compress(MANIFEST), {"Content-Type": MANIFEST_TYPE, "Content-Encoding": "gzip"}),
            Reply(
                200,
                MANIFEST,
                {
                    "Content-Type": LINES.join([MANIFEST_TYPE] * 2),
                    "Docker-Content-Digest": LINES.join([sha256(MANIFEST)] * 2),
                },
            ),
            Reply(200, MANIFEST, {"Content-Type": MANIFEST_TYPE, "Docker-Content-Digest": SHA512}),
        ],
        ids=["no digest", "a type in capitals", "packed for the way", "each header twice", "a longer digest"],
    )
    def test_a_manifest(self, reply: Reply) -> None:
        with scripted(routes(tag=reply)) as server:
            found = ask(server)
            assert found is not None
            assert (found.content, found.media_type) == (MANIFEST, MANIFEST_TYPE)


class TestSomethingElse:
    @pytest.mark.parametrize(
        "reply", [page(200), page(404), Reply(200, b"hello"), Reply(200, b"[]"), Reply(404), page(403)]
    )
    def test_no_registry_at_all(self, reply: Reply) -> None:
        with (
            scripted(lambda _: reply) as server,
            pytest.raises(RegistryError, match="not an OCI registry") as caught,
        ):
            ask(server)
        assert "registry" in str(caught.value.run)

    @pytest.mark.parametrize(
        "reply",
        [page(200), Reply(200), manifest(b"not json"), manifest(b"[]"), manifest(kind="application/json")],
        ids=["page", "nothing", "no json", "a list", "another type"],
    )
    def test_a_manifest_that_is_none(self, reply: Reply) -> None:
        with scripted(routes(tag=reply)) as server, pytest.raises(RegistryError, match="is not a manifest"):
            ask(server)

    @pytest.mark.parametrize("told", [sha256(b"else"), f"sha512:{'0' * 128}", "md5:0", "else"])
    def test_a_manifest_that_is_not_its_digest(self, told: str) -> None:
        headers: dict[str, Any] = {"Docker-Content-Digest": told}
        lie = manifest(**headers)
        with (
            scripted(routes(tag=lie)) as server,
            pytest.raises(RegistryError, match="not the one that its digest"),
        ):
            ask(server)

    def test_an_image_in_the_charts_place(self) -> None:
        image = manifest(
            json.dumps({"schemaVersion": 2, "layers": [{"mediaType": "x", "digest": "y", "size": 1}]}).encode()
        )
        with scripted(routes(tag=image)) as server:
            seen = probe(Registry(f"oci://{server.host}", plain_http=True), PACKAGE)
        assert seen.state == "different"

    def test_more_than_a_manifest_may_be(self) -> None:
        with (
            scripted(routes(tag=manifest(b" " * (5 << 20)))) as server,
            pytest.raises(RegistryError, match="sends more"),
        ):
            ask(server)

    def test_a_layer_that_is_not_its_digest(self) -> None:
        with scripted(routes(tag=manifest(), other=Reply(200, b"crate"))) as server:
            registry = Registry(f"oci://{server.host}", plain_http=True)
            with connect(registry) as client, pytest.raises(RegistryError, match="damaged"):
                client.pull(registry.reference("demo", "1.0.0"), Path("unused"))


class TestRetries:
    @pytest.fixture(autouse=True)
    def as_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The pauses are those of a person's run; `Waits` notes them."""
        monkeypatch.setattr(transport, "_PAUSE", PAUSE)

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_helps(self, status: int) -> None:
        waits = Waits()
        replies = iter([page(status), page(status), manifest()])
        with scripted(routes(tag=lambda _: next(replies))) as server:
            assert ask(server, waits=waits) is not None
        assert waits.seconds == [0.5, 1.0]

    def test_ends(self) -> None:
        waits = Waits()
        with (
            scripted(routes(tag=page(503))) as server,
            pytest.raises(RegistryError, match="not able to") as caught,
        ):
            ask(server, waits=waits)
        assert "HTTP 503" in str(caught.value)
        assert waits.seconds == [0.5, 1.0, 2.0]

    def test_waits_as_long_as_the_registry_asks(self) -> None:
        waits = Waits()
        replies = iter([oci_error(429, "TOOMANYREQUESTS", **{"Retry-After": "7"}), manifest()])
        with scripted(routes(tag=lambda _: next(replies))) as server:
            ask(server, waits=waits)
        assert waits.seconds == [7.0]

    @pytest.mark.parametrize("said", ["0", "-5", "soon", "Thu, 01 Jan 2026 00:00:00 GMT"])
    def test_waits_as_usual_where_the_registry_asks_for_no_wait(self, said: str) -> None:
        waits = Waits()
        busy = oci_error(429, "TOOMANYREQUESTS", **{"Retry-After": said})
        replies = iter([busy, busy, manifest()])
        with scripted(routes(tag=lambda _: next(replies))) as server:
            assert ask(server, waits=waits) is not None
        assert waits.seconds == [0.5, 1.0]

    def test_does_not_wait_for_an_hour(self) -> None:
        waits = Waits()
        busy = oci_error(429, "TOOMANYREQUESTS", **{"Retry-After": "3600"})
        with scripted(routes(tag=busy)) as server, pytest.raises(RegistryError, match="TOOMANYREQUESTS"):
            ask(server, waits=waits)
        assert waits.seconds == []

    def test_says_how_long_the_registry_asks_to_wait(self) -> None:
        busy = Reply(429, b"slow", {"Retry-After": "3600"})
        with scripted(routes(tag=busy)) as server, pytest.raises(RegistryError) as caught:
            ask(server)
        assert "to be asked again after 3600 s" in str(caught.value.found)
        assert caught.value.run == f"wait until {server.host} takes more requests, then the same command again"

    @pytest.mark.parametrize("status", [401, 403, 404, 400, 501, 507])
    def test_not_where_it_cannot_help(self, status: int) -> None:
        with scripted(routes(tag=oci_error(status, "DENIED"))) as server:
            with pytest.raises(RegistryError):
                ask(server)
            assert len([request for request in server.requests if "manifests" in request.path]) == 1


class TestUnreachable:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "_CONNECT", 0.3)
        monkeypatch.setattr(transport, "_READ", 0.2)

    def unknown(self, host: str, waits: Waits, plain_http: bool = True) -> str:
        registry = Registry(f"oci://{host}", plain_http)
        with pytest.raises(RegistryError) as caught, connect(registry, sleep=waits) as client:
            client.versions("demo")
        return str(caught.value)

    @pytest.mark.parametrize("plain_http", [True, False])
    def test_nobody_listens(self, plain_http: bool) -> None:
        waits = Waits()
        assert "cannot be reached" in self.unknown(f"127.0.0.1:{free_port()}", waits, plain_http)
        assert len(waits.seconds) == 3

    @pytest.mark.parametrize("plain_http", [True, False])
    def test_somebody_listens_and_says_nothing(self, plain_http: bool) -> None:
        waits = Waits()
        with silent() as host:
            assert "does not answer" in self.unknown(host, waits, plain_http)
        assert len(waits.seconds) == 3

    def test_no_such_host(self) -> None:
        assert "cannot be resolved" in self.unknown("registry.invalid", Waits(), plain_http=False)

    def test_an_unknown_authority(self, authority: Authority) -> None:
        waits = Waits()
        with scripted(routes(), tls=authority.server_context()) as server:
            message = self.unknown(server.host, waits, plain_http=False)
        assert "certificate" in message
        assert "not trusted" in message
        assert waits.seconds == []


class TestPlainHttp:
    def test_is_found_on_loopback(self) -> None:
        with scripted(routes(tag=manifest())) as server, connect(Registry(f"oci://{server.host}")) as client:
            assert client.manifest(Reference(server.host, "demo", "1.0.0")) is not None
            assert client.registry.plain_http
            assert [request.path for request in server.requests] == ["/v2/demo/manifests/1.0.0"]

    @pytest.mark.parametrize("login", [None, Credentials("me", "x", "the test")])
    def test_a_root_that_never_answers_is_asked_of_nobody_as_by_helm(
        self, monkeypatch: pytest.MonkeyPatch, login: Credentials | None
    ) -> None:
        ended = threading.Event()
        monkeypatch.setattr(transport, "_READ", 0.2)
        answers = routes(tag=manifest(), v2=lambda _: Reply(200 if ended.wait(60) else 500), other=Reply(404))
        with scripted(answers) as server, connect(Registry(f"oci://{server.host}", credentials=login)) as client:
            assert client.manifest(Reference(server.host, "demo", "1.0.0")) is not None
            with pytest.raises(RegistryError, match="answers 404 in words that are not a registry's"):
                client.manifest(Reference(server.host, "demo", "2.0.0"))
            assert client.as_spoken().plain_http
            ended.set()

    def test_how_it_speaks_is_known_to_who_asks_nothing_else(self) -> None:
        with scripted(routes()) as server, connect(Registry(f"oci://{server.host}")) as client:
            assert client.as_spoken().plain_http

    def test_a_connection_that_breaks_is_no_lack_of_tls(self) -> None:
        breaks = iter([True])

        def answer(_: Request) -> Reply:
            if next(breaks, False):
                raise ConnectionError
            return Reply(200)

        with scripted(answer) as server, connect(Registry(f"oci://{server.host}"), sleep=Waits()) as client:
            with contextlib.suppress(RegistryError):
                client.versions("demo")
            assert client.registry.plain_http

    def test_where_tls_is_spoken(self) -> None:
        reply = Reply(400, b"Client sent an HTTP request to an HTTPS server.\n", {"Content-Type": "text/plain"})
        for plain_http, run in ((True, "leave out plain_http"), (False, "correct registry")):
            with scripted(lambda _: reply) as server, pytest.raises(RegistryError, match="HTTPS server") as caught:
                registry = Registry(f"oci://{server.host}/charts", plain_http)
                with connect(registry) as client:
                    client.versions("demo")
            assert str(caught.value.run).startswith(run)

    def test_is_refused_elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("scripts.registry.reference.is_loopback", lambda _: False)
        refused = pytest.raises(RegistryError, match="does not speak TLS")
        with scripted(routes()) as server, refused as caught, connect(Registry(f"oci://{server.host}")) as client:
            client.versions("demo")
        assert "plain_http" in str(caught.value.run)
        assert server.requests == []

    @pytest.mark.parametrize(
        ("host", "expected"),
        [
            ("localhost", True), ("localhost:5000", True), ("127.0.0.1:80", True), ("127.1.2.3", True),
            ("[::1]:5000", True), ("a.localhost:1", True), ("ghcr.io", False), ("10.0.0.1:5000", False),
            ("localhost.example.com", False), ("127.0.0.1.example.com", False),
        ],
    )  # fmt: skip
    def test_loopback(self, host: str, expected: bool) -> None:
        assert is_loopback(host) is expected


class TestLogins:
    LOGIN = Credentials("me", "p:ss wörd", "the test")

    def guarded(self, challenge: str, wanted: str) -> Callable[[Request], Reply]:
        def answer(request: Request) -> Reply:
            if request.headers.get("authorization") == wanted:
                return manifest()
            return oci_error(401, "UNAUTHORIZED", **{"WWW-Authenticate": challenge})

        return answer

    def test_basic(self) -> None:
        wanted = "Basic " + base64.b64encode("me:p:ss wörd".encode()).decode()
        with scripted(routes(tag=self.guarded('Basic realm="x"', wanted))) as server:
            assert ask(server, self.LOGIN) is not None

    def bearer(self, tokens: Callable[[Request], Reply], wanted: str = "Bearer t0ken") -> Callable[[Request], Reply]:
        def answer(request: Request) -> Reply:
            if request.path.startswith("/token"):
                return tokens(request)
            challenge = f'Bearer realm="http://{request.headers["host"]}/token",service="reg",scope="repository:x:pull"'
            return self.guarded(challenge, wanted)(request)

        return answer

    def test_bearer(self) -> None:
        with scripted(self.bearer(lambda _: Reply(200, b'{"token": "t0ken"}'))) as server:
            assert ask(server, self.LOGIN) is not None
            (asked,) = [request for request in server.requests if request.path.startswith("/token")]
        assert asked.path == "/token?service=reg&scope=repository%3Acharts%2Fdemo%3Apull&scope=repository%3Ax%3Apull"
        assert asked.headers["authorization"] == f"Basic {self.LOGIN.basic()}"

    def test_bearer_without_a_login(self) -> None:
        with scripted(self.bearer(lambda _: Reply(200, b'{"access_token": "t0ken"}'))) as server:
            assert ask(server) is not None
            assert not any("authorization" in r.headers for r in server.requests if r.path.startswith("/token"))

    def test_an_identity_token_is_exchanged(self) -> None:
        token = Credentials("", "", "the test", identity_token="refresh me")
        with scripted(self.bearer(lambda _: Reply(200, b'{"access_token": "t0ken"}'))) as server:
            assert ask(server, token) is not None
            (asked,) = [request for request in server.requests if request.path.startswith("/token")]
        assert asked.method == "POST"
        assert b"refresh_token=refresh+me" in asked.body

    @pytest.mark.parametrize("status", [400, 401, 403])
    def test_a_refused_login(self, status: int) -> None:
        refused = pytest.raises(RegistryError, match=r"refuses the login of me \(the test\)")
        with scripted(self.bearer(lambda _: oci_error(status, "DENIED"))) as server, refused as caught:
            ask(server, self.LOGIN)
        assert "p:ss" not in str(caught.value)

    @pytest.mark.parametrize("reply", [page(200), Reply(200, b"[]"), Reply(200, b"{}"), page(404)])
    def test_a_token_service_that_is_none(self, reply: Reply) -> None:
        with scripted(self.bearer(lambda _: reply)) as server, pytest.raises(RegistryError, match="gives no token"):
            ask(server, self.LOGIN)

    @pytest.mark.parametrize("realm", ["http://tokens.example.com/token", "ftp://x/y", "https://", "http://[", ""])
    def test_a_login_is_not_sent_in_the_clear(self, realm: str, authority: Authority) -> None:
        challenge = f'Bearer realm="{realm}",service="reg"'
        with scripted(routes(tag=self.guarded(challenge, "never")), tls=authority.server_context()) as server:
            registry = Registry(f"oci://{server.host}", ca_file=authority.ca, credentials=self.LOGIN)
            with connect(registry) as client, pytest.raises(RegistryError, match="a place that is not safe"):
                client.manifest(registry.reference("demo", "1.0.0"))

    def test_an_unknown_scheme(self) -> None:
        refused = pytest.raises(RegistryError, match="unknown kind of login")
        with scripted(routes(tag=self.guarded("Negotiate", "never"))) as server, refused:
            ask(server, self.LOGIN)

    def test_no_login_from_netrc(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "netrc").write_text("default login somebody password secret\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        monkeypatch.setattr("scripts.registry.reference.is_loopback", lambda _: False)
        with scripted(routes(tag=manifest())) as server:
            ask(server)
            assert not any("authorization" in request.headers for request in server.requests)

    def test_a_login_does_not_follow_a_redirect_to_another_host(self) -> None:
        wanted = f"Basic {self.LOGIN.basic()}"
        with scripted(lambda _: manifest()) as store:
            elsewhere = f"http://localhost:{store.host.rpartition(':')[2]}/blob"
            guarded = self.guarded('Basic realm="x"', wanted)

            def answer(request: Request) -> Reply:
                reply = guarded(request)
                return Reply(307, b"", {"Location": elsewhere}) if reply.status == 200 else reply

            with scripted(routes(tag=answer)) as server:
                assert ask(server, self.LOGIN) is not None
            assert store.requests
            assert not any("authorization" in request.headers for request in store.requests)


class TestVersions:
    def pages(self, *tags: list[str] | None) -> Iterator[Reply]:
        for number, names in enumerate(tags, 1):
            more = {"Link": f'</v2/charts/demo/tags/list?n=1&last={number}>; rel="next"'} if number < len(tags) else {}
            yield Reply(200, json.dumps({"name": "charts/demo", "tags": names}).encode(), more)

    def versions(self, replies: Iterator[Reply]) -> tuple[str, ...]:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(scripted(routes(list=lambda _: next(replies))))
            return stack.enter_context(connect(Registry(f"oci://{server.host}/charts", True))).versions("demo")

    def test_of_several_pages(self) -> None:
        assert self.versions(self.pages(["1.0.0", "1.0.1_build"], ["1.1.0"])) == ("1.0.0", "1.0.1+build", "1.1.0")

    @pytest.mark.parametrize(
        "relation",
        ['rel="prefetch next"', r'title="a, \" b"; rel=next', "rel = Next; x", "rel='next'", "rel=next, <x>; rel=prev"],
    )
    def test_a_link_as_rfc_8288_has_it(self, relation: str) -> None:
        first, last = self.pages(["1.0.0"], ["1.1.0"])
        more = {"Link": first.headers["Link"].replace('rel="next"', relation)}
        assert self.versions(iter([replace(first, headers=more), last])) == ("1.0.0", "1.1.0")

    def test_a_link_without_a_relation_is_the_next_page_as_to_helm(self) -> None:
        first, last = self.pages(["1.0.0"], ["1.1.0"])
        bare = {"Link": first.headers["Link"].partition(";")[0]}
        assert self.versions(iter([replace(first, headers=bare), last])) == ("1.0.0", "1.1.0")

    def test_none(self) -> None:
        assert self.versions(self.pages(None)) == ()
        assert self.versions(iter([Reply(200, b'{"name": "charts/demo"}')])) == ()  # as to helm
        assert self.versions(iter([oci_error(404, "NAME_UNKNOWN")])) == ()

    @pytest.mark.parametrize("tags", [[], ["1.0.0"]])
    def test_a_list_that_leads_in_a_circle(self, tags: list[str]) -> None:
        same = Reply(200, json.dumps({"tags": tags}).encode(), {"Link": '</v2/charts/demo/tags/list?n=1>; rel="next"'})
        with pytest.raises(RegistryError, match="the list of tags has no end"):
            self.versions(itertools.repeat(same))

    def test_a_page_that_is_not_there_is_no_end(self) -> None:
        with pytest.raises(RegistryError, match="the list of tags goes on to a page that is not there"):
            self.versions(itertools.chain([next(self.pages(["1.0.0"], [])), oci_error(404, "NAME_UNKNOWN")]))

    def test_something_else(self) -> None:
        with pytest.raises(RegistryError, match="no list of tags"):
            self.versions(iter([page(200)]))

    @pytest.mark.parametrize("reply", [Reply(404, b"404 page not found\n"), oci_error(404, "UNSUPPORTED"), Reply(501)])
    def test_no_list_at_all_is_no_empty_one(self, reply: Reply) -> None:
        with pytest.raises(ListingError, match="does not list the versions in charts/demo"):
            self.versions(iter([reply] * 4))


class TestNames:
    @pytest.mark.parametrize(
        "prefix",
        ["ghcr.io/x", "https://ghcr.io/x", "oci://", "oci:///x", "oci://host/Upper", "oci://host:x/y", "oci:/host/x",
         "oci://host/a..b", "oci://host/x:1.0.0", "oci://host/x y", "oci://host:65536/x", "oci://[::1]:99999/x",
         "oci://[127.0.0.1]/x"],
    )  # fmt: skip
    def test_no_registry(self, prefix: str) -> None:
        with pytest.raises(ConfigError, match="is no registry that charts can be published to"):
            Registry(prefix)

    @pytest.mark.parametrize(
        ("prefix", "reference"),
        [
            ("oci://ghcr.io", "oci://ghcr.io/demo:1.0.0"),
            ("oci://ghcr.io/", "oci://ghcr.io/demo:1.0.0"),
            ("oci://ghcr.io/a/b-c/", "oci://ghcr.io/a/b-c/demo:1.0.0"),
            ("oci://[::1]:5000/a", "oci://[::1]:5000/a/demo:1.0.0"),
            ("oci://[::ffff:127.0.0.1]:005000/a", "oci://[::ffff:127.0.0.1]:005000/a/demo:1.0.0"),
            ("oci://my_registry//a///b", "oci://my_registry/a/b/demo:1.0.0"),
            ("OCI://host:5000/a", "oci://host:5000/a/demo:1.0.0"),
            ("oci://host:/a", "oci://host/a/demo:1.0.0"),
            ("oci://[::1]:", "oci://[::1]/demo:1.0.0"),
        ],
    )
    def test_references(self, prefix: str, reference: str) -> None:
        assert str(Registry(prefix).reference("demo", "1.0.0")) == reference

    def test_a_chart_that_no_registry_takes(self) -> None:
        with pytest.raises(RegistryError, match="'Demo' cannot be in a registry") as told:
            Registry("oci://ghcr.io").reference("Demo", "1.0.0")
        assert told.value.code == REFUSED  # the chart's name, and not the world outside
        with pytest.raises(RegistryError, match="cannot be a tag"):
            Registry("oci://ghcr.io").reference("demo", "1.0.0-" + "a" * 140)

    def test_a_login_in_the_name_is_not_repeated(self) -> None:
        with pytest.raises(ConfigError, match="holds a login") as caught:
            Registry("oci://me:s3cret@host/x")
        assert "s3cret" not in str(caught.value)

    def test_docker_hub_answers_elsewhere(self) -> None:
        assert Registry("oci://docker.io/me").api_host == "registry-1.docker.io"
        assert Registry("oci://ghcr.io/me").api_host == "ghcr.io"


def test_a_blob_may_come_from_a_plain_store_since_its_digest_is_compared_and_a_manifest_may_not(
    authority: Authority,
) -> None:
    content = b"layer"
    with scripted(lambda _: Reply(200, content)) as store:
        lead = Reply(307, b"", {"Location": f"http://{store.host}/there"})
        with scripted(routes(other=lead, tag=lead), tls=authority.server_context()) as server:
            registry = Registry(f"oci://{server.host}/charts", ca_file=authority.ca)
            reference = registry.reference("demo", "1.0.0")
            with connect(registry, sleep=Waits()) as client:
                assert client.blob(reference, sha256(content), len(content)) == content
                with pytest.raises(RegistryError, match="its layer is damaged"):
                    client.blob(reference, sha256(b"another"), 7)
                with pytest.raises(RegistryError, match="leads a GET to a place where it is not sent"):
                    client.manifest(reference)
