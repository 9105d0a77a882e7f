"""Requests end, whatever a server sends and however slowly; they trust whom helm trusts, and go to safe places only."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import urllib3.exceptions

from scripts.chart.archive import Package
from scripts.chart.helm import Helm
from scripts.chart.manifest_digest import LAYER_TYPE, MANIFEST_TYPE
from scripts.core.command import Runner
from scripts.core.errors import ConfigError, RegistryError
from scripts.core.interrupt import Stopped
from scripts.core.parallel import workers
from scripts.registry import client as client_module
from scripts.registry import transport
from scripts.registry.client import Found, connect
from scripts.registry.credentials import Credentials
from scripts.registry.failures import Transient, connection_error
from scripts.registry.reference import Registry
from scripts.registry.tls import tls_context
from scripts.registry.transport import Answer, Transport, _Asked
from tests.registry.quirks import HOST, Internet, Quirks, Quirky, internet
from tests.registry.servers import PASSWORD, USER, Authority, Reply, Request, make_authority, scripted

LOGIN = Credentials(USER, PASSWORD, "the test")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_ATTEMPTS", 1)


@contextlib.contextmanager
def raw(send: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads a request's head and then does what it is told."""

    def serve(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n") and (part := client.recv(1)):
                head += part
            send(client)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
    thread.join()


def slowly(parts: Iterable[bytes]) -> Callable[[socket.socket], None]:
    """Sends one part after the other, each well within the time that may pass between two packets."""

    def send(client: socket.socket) -> None:
        for part in parts:
            client.sendall(part)
            time.sleep(0.05)  # the server is slow: nothing is waited for

    return send


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def test_what_comes_before_an_answer_is_none() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
    with (
        raw(slowly((early, early, HEAD, b"Content-Length: 2\r\n\r\n{}"))) as host,
        contextlib.closing(Transport(Registry(f"oci://{host}"))) as sender,
    ):
        answer = sender.send("GET", f"http://{host}/v2/")
    assert (answer.status, answer.body) == (200, b"{}")


def test_an_answer_may_have_many_headers() -> None:
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(500))
    with (
        raw(slowly((HEAD, lines, b"Content-Length: 2\r\n\r\n{}"))) as host,
        contextlib.closing(Transport(Registry(f"oci://{host}"))) as sender,
    ):
        assert sender.send("GET", f"http://{host}/v2/").headers["X-499"] == "y"


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\x00\x02\x02F", b"\0\0\x12\4\0\0\0\0\0"])
def test_what_is_no_answer_at_all(said: bytes) -> None:
    with (
        raw(slowly((said,))) as host,
        contextlib.closing(Transport(Registry(f"oci://{host}"))) as sender,
        pytest.raises(RegistryError, match=r"does not answer in HTTP/1\.1"),
    ):
        sender.send("GET", f"http://{host}/v2/")


class TestTime:
    @pytest.mark.parametrize(
        "parts",
        [
            (HEAD, b"\r\n", *itertools.repeat(b"x", 400)),
            (HEAD, b"Content-Length: 1000000\r\n\r\n", *itertools.repeat(b"x", 400)),
            (HEAD, b"Transfer-Encoding: chunked\r\n\r\n", *itertools.repeat(b"1\r\nx\r\n", 400)),
            (HEAD, *itertools.repeat(b"X", 400)),
            (HEAD, *(b"X-%d: y\r\n" % number for number in range(400))),
            itertools.chain([b"HTTP/1.1 200 "], itertools.repeat(b"O", 400)),
        ],
        ids=["body to the end", "body of a length", "chunks", "one header", "headers", "status"],
    )
    def test_an_answer_has_to_end(self, monkeypatch: pytest.MonkeyPatch, parts: Iterable[bytes]) -> None:
        monkeypatch.setattr(transport, "_WHOLE", 0.5)
        begin = time.monotonic()
        with (
            raw(slowly(parts)) as host,
            contextlib.closing(Transport(Registry(f"oci://{host}"))) as sender,
            pytest.raises(RegistryError, match=r"has not finished its answer after 0\.5"),
        ):
            sender.send("GET", f"http://{host}/v2/", limit=4000)
        assert time.monotonic() - begin < 10

    def test_an_answer_is_cut_though_another_connection_is_made_just_then(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Growing(weakref.WeakSet[socket.socket]):
            looks = 0

            def __iter__(self) -> Iterator[socket.socket]:
                self.looks += 1
                if self.looks == 1:
                    raise RuntimeError("Set changed size during iteration")
                return super().__iter__()

        monkeypatch.setattr(transport, "_WHOLE", 0.1)
        with (
            raw(slowly((HEAD, b"\r\n", *itertools.repeat(b"x", 200)))) as host,
            contextlib.closing(Transport(Registry(f"oci://{host}"))) as sender,
            pytest.raises(RegistryError, match="has not finished its answer"),
        ):
            sender._sockets = Growing()
            begin = time.monotonic()
            sender._once(_Asked("GET", {}, None, None, 4000, checked=False), f"http://{host}/v2/", 10.0, None)
        assert time.monotonic() - begin < 5  # of the ten that all would take

    def test_an_answer_has_to_end_through_a_proxy_with_tls_too(
        self, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ended = threading.Event()
        monkeypatch.setattr(transport, "_WHOLE", 0.5)
        monkeypatch.setattr(Quirky, "answer", lambda *_: ended.wait(60))
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        registry, begin = Registry(f"oci://{HOST}", ca_file=authority.ca), time.monotonic()
        with internet(Quirks(), authority, tls=True) as there, contextlib.closing(Transport(registry)) as sender:
            monkeypatch.setenv("HTTPS_PROXY", there.proxy)
            with pytest.raises(RegistryError, match=r"has not finished its answer after 0\.5"):
                sender.send("GET", f"https://{HOST}/v2/", limit=4000)
            ended.set()
        assert time.monotonic() - begin < transport._READ / 2

    def test_a_large_answer_has_more_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "_WHOLE", 0.01)
        parts = (HEAD, b"Content-Length: 4\r\n\r\n", *(b"1", b"2", b"3", b"4"))
        with raw(slowly(parts)) as host, contextlib.closing(Transport(Registry(f"oci://{host}"))) as sender:
            assert sender.send("GET", f"http://{host}/v2/", limit=10 << 20).body == b"1234"

    def test_what_is_sent_goes_in_parts_that_have_the_time_of_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        parts: list[int] = []
        send = http.client.HTTPConnection.send

        def noted(self: http.client.HTTPConnection, data: bytes) -> None:
            parts.append(len(data))
            send(self, data)

        monkeypatch.setattr(http.client.HTTPConnection, "send", noted)
        content = b"x" * (1 << 20)
        with (
            scripted(lambda _: Reply(200)) as server,
            contextlib.closing(Transport(Registry(f"oci://{server.host}"))) as sender,
        ):
            sender.send("PUT", f"http://{server.host}/v2/", content=("text/plain", content))
            assert server.requests[0].body == content
        assert max(parts) < 1 << 17

    @pytest.mark.parametrize(("content", "first"), [(None, transport._READ), (("text/plain", b"x"), transport._WHOLE)])
    def test_a_server_that_is_slow_each_time_is_waited_for(
        self, content: tuple[str, bytes] | None, first: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waited: list[float] = []

        def once(_: Transport, __: _Asked, ___: str, read: float, *____: Any) -> Answer:
            waited.append(read)
            if len(waited) == 1:
                raise Transient("it is slow")
            return Answer(200, {}, b"", "http://a/")

        monkeypatch.setattr(Transport, "_once", once)
        monkeypatch.setattr(transport, "_ATTEMPTS", 2)
        sender = Transport(Registry("oci://a"), sleep=lambda _: None)
        assert sender.send("PUT" if content else "GET", "http://a/", content=content).status == 200
        assert waited == [first, max(first, 3 * transport._READ)]

    def test_a_body_that_is_cut_is_no_answer(self) -> None:
        parts = (HEAD, b"Content-Length: 400\r\n\r\n", b"{}")
        with (
            raw(slowly(parts)) as host,
            contextlib.closing(Transport(Registry(f"oci://{host}"))) as sender,
            pytest.raises(RegistryError, match="breaks off in the middle of its answer"),
        ):
            sender.send("GET", f"http://{host}/v2/")


def test_authorities_are_read_for_tls_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are some hundred files on many a system, and a release asks the embedded registry three times."""

    def read(*_: object) -> ssl.SSLContext:
        raise AssertionError("no TLS is spoken here")

    monkeypatch.setattr(transport, "tls_context", read)
    with (
        raw(slowly((HEAD, b"Content-Length: 2\r\n\r\n", b"{}"))) as host,
        contextlib.closing(Transport(Registry(f"oci://{host}"))) as sender,
    ):
        assert sender.send("GET", f"http://{host}/v2/").body == b"{}"


class TestSize:
    @pytest.mark.parametrize("head", [b"\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
    def test_of_a_body_without_a_length(self, head: bytes) -> None:
        block = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"

        def send(client: socket.socket) -> None:
            client.sendall(HEAD + head)
            while True:
                client.sendall(block)

        with (
            raw(send) as host,
            contextlib.closing(Transport(Registry(f"oci://{host}"))) as sender,
            pytest.raises(RegistryError, match="sends more than it may"),
        ):
            sender.send("GET", f"http://{host}/v2/", limit=1 << 20)

    def test_what_is_packed_is_unpacked_as_far_as_it_may_be_long(self) -> None:
        import gzip

        bomb = gzip.compress(b"[" * (20 << 20), 1)
        packed = Reply(200, bomb, {"Content-Type": "application/json", "Content-Encoding": "gzip"})
        with (
            scripted(lambda _: packed) as server,
            contextlib.closing(Transport(Registry(f"oci://{server.host}"))) as sender,
            pytest.raises(RegistryError, match="sends more than it may"),
        ):
            sender.send("GET", f"http://{server.host}/v2/")

    @pytest.mark.parametrize("kind", ["x-gzip", "deflate", "aws-chunked"])
    def test_what_go_does_not_unpack_is_left_as_it_is(self, kind: str) -> None:
        import gzip

        body = gzip.compress(b"an archive")
        with (
            scripted(lambda _: Reply(200, body, {"Content-Encoding": kind})) as server,
            contextlib.closing(Transport(Registry(f"oci://{server.host}"))) as sender,
        ):
            assert sender.send("GET", f"http://{server.host}/v2/").body == body

    def test_the_body_of_a_redirect_is_not_read(self) -> None:
        def send(client: socket.socket) -> None:
            client.sendall(f"HTTP/1.1 307 Elsewhere\r\nLocation: http://{server.host}/there\r\n\r\n".encode())
            while True:
                client.sendall(b"x" * 0x10000)

        with (
            scripted(lambda _: Reply(200, b"{}")) as server,
            raw(send) as host,
            contextlib.closing(Transport(Registry(f"oci://{host}"))) as sender,
        ):
            assert sender.send("GET", f"http://{host}/v2/", limit=100).body == b"{}"

    @pytest.mark.parametrize("tags", [[], ["new"]], ids=["empty pages", "pages with a tag"])
    def test_of_a_list_whose_pages_never_end(self, monkeypatch: pytest.MonkeyPatch, tags: list[str]) -> None:
        monkeypatch.setattr(client_module, "_MOST_PAGES", 20)
        self.list_ends(tags, "on 20 pages")

    def test_of_a_list_with_too_many_tags(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client_module, "_MOST_TAGS", 50)
        self.list_ends(["a", "b", "c"], "51 tags on 17 pages")

    def test_of_a_list_that_takes_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client_module, "_LISTING", 0.2)
        self.list_ends(["new"], "and another one after them")

    def list_ends(self, tags: list[str], words: str) -> None:
        count = itertools.count()

        def answer(request: Request) -> Reply:
            number = next(count)
            names = [f"{tag}{number}" for tag in tags]
            link = {"Link": f'</v2/demo/tags/list?last={number}>; rel="next"'} if "tags" in request.path else {}
            return Reply(200, json.dumps({"tags": names}).encode(), link)

        with (
            scripted(answer) as server,
            connect(Registry(f"oci://{server.host}", True)) as client,
            pytest.raises(RegistryError, match="the list of tags has no end") as caught,
        ):
            client.versions("demo")
        assert words in str(caught.value)


DEEP = b"[" * 100_000
TAGS = [DEEP, b"", b"{", b"[]", b"1", b'{"tags": "abc"}', b'{"tags": {"a": 1}}', b'{"tags": [1]}', b'{"tags": [null]}',
        b'{"name": "x"}', b'{"name": "demo", "tags": 1}', b"\xff\xfe", b"9" * 5000]  # fmt: skip


class TestShape:
    @pytest.mark.parametrize("body", TAGS, ids=lambda body: repr(body[:20]))
    def test_of_a_list_of_tags(self, body: bytes) -> None:
        with (
            scripted(lambda r: Reply(200, body if "tags" in r.path else b"{}")) as server,
            connect(Registry(f"oci://{server.host}", True)) as client,
            pytest.raises(RegistryError, match="is no list of tags"),
        ):
            client.versions("demo")

    def test_of_what_follows_a_list_of_tags(self) -> None:
        body = b' {"tags": ["1.0.0"]}\n<!-- \xff, and no JSON -->'
        with (
            scripted(lambda r: Reply(200, body if "tags" in r.path else b"{}")) as server,
            connect(Registry(f"oci://{server.host}", True)) as client,
        ):
            assert list(client.versions("demo")) == ["1.0.0"]

    @pytest.mark.parametrize(
        "body", [DEEP, b"", b"{}", b"[]", b"1", b'{"layers": []}', b'"schemaVersion"', b'{"schemaVersion": 2} {}']
    )
    def test_of_a_manifest(self, body: bytes) -> None:
        reply = Reply(200, body, {"Content-Type": MANIFEST_TYPE})
        with scripted(lambda r: reply if "manifests" in r.path else Reply(200, b"{}")) as server:
            registry = Registry(f"oci://{server.host}", True)
            with connect(registry) as client, pytest.raises(RegistryError, match="is not a manifest"):
                client.manifest(registry.reference("demo", "1.0.0"))

    @pytest.mark.parametrize(
        "layer",
        [None, 1, {}, {"mediaType": LAYER_TYPE}, {"digest": 1, "size": 1}, {"digest": "sha256:../../x", "size": 1},
         {"digest": "sha256:" + "0" * 64, "size": "x"}, {"digest": "sha256:" + "0" * 64, "size": float("inf")},
         {"digest": "sha256:" + "0" * 64}, {"digest": "sha512:" + "0" * 64, "size": 1}],
        ids=str,
    )  # fmt: skip
    def test_of_a_layer(self, layer: Any) -> None:
        layer = {"mediaType": LAYER_TYPE, **layer} if isinstance(layer, dict) else layer
        content = json.dumps({"schemaVersion": 2, "layers": [layer]}).encode()
        with pytest.raises(RegistryError, match="is no chart"):
            Found("sha256:x", MANIFEST_TYPE, content).layer()

    def test_of_two_charts_in_one_manifest(self) -> None:
        layers = [{"mediaType": LAYER_TYPE, "digest": "sha256:" + "0" * 64, "size": 1}] * 2
        with pytest.raises(RegistryError, match=r"(?s)one layer.*found: .*manifest.v1.json with 2 of them"):
            Found("sha256:x", MANIFEST_TYPE, json.dumps({"layers": layers}).encode()).layer()

    def test_of_an_error(self) -> None:
        for body in (DEEP, b'{"errors": 1}', b'{"errors": [1]}', b'{"errors": [{"code": {}}]}', b"\x1b[31mred\x00\n"):
            with scripted(lambda r, body=body: Reply(200 if r.path == "/v2/" else 418, body)) as server:  # type: ignore[misc]
                registry = Registry(f"oci://{server.host}", True)
                with connect(registry) as client, pytest.raises(RegistryError) as caught:
                    client.manifest(registry.reference("demo", "1.0.0"))
            assert "\x1b" not in str(caught.value)
            assert "\x00" not in str(caught.value)


class TestRedirects:
    def send(self, location: str, *, method: str = "GET", checked: bool = False, authority: Authority) -> Any:
        with (
            scripted(lambda _: Reply(302, b"", {"Location": location}), tls=authority.server_context()) as server,
            contextlib.closing(Transport(Registry(f"oci://{server.host}", ca_file=authority.ca))) as sender,
        ):
            return sender.send(method, f"https://{server.host}/v2/x", authorization="Basic c2VjcmV0", checked=checked)

    def test_without_an_end(self) -> None:
        with scripted(lambda request: Reply(302, b"", {"Location": f"{request.path}x"})) as server:
            with (
                contextlib.closing(Transport(Registry(f"oci://{server.host}"))) as sender,
                pytest.raises(RegistryError, match="leads on without an end"),
            ):
                sender.send("GET", f"http://{server.host}/v2/")
            assert len(server.requests) == 11

    def test_a_login_in_an_address_that_is_led_to_is_not_repeated(self, authority: Authority) -> None:
        with pytest.raises(RegistryError, match=r"127\.0\.0\.1:1 cannot be reached") as told:
            self.send("https://me:secret@127.0.0.1:1/there?key=secret", authority=authority)
        assert "secret" not in str(told.value)
        assert str(told.value.found).startswith("Connection refused")

    def test_from_tls_to_plain_http(self, authority: Authority) -> None:
        with scripted(lambda _: Reply(200, b"found")) as store:
            there = f"http://{store.host}/blob"
            with pytest.raises(RegistryError, match="leads a GET to a place where it is not sent"):
                self.send(there, authority=authority)
            assert store.requests == []
            assert self.send(there, checked=True, authority=authority).body == b"found"
            assert "authorization" not in store.requests[0].headers

    @pytest.mark.parametrize("location", ["", "ftp://example.com/x", "file:///etc/passwd", "http://[", "//"])
    def test_nowhere(self, authority: Authority, location: str) -> None:
        with pytest.raises(RegistryError):
            self.send(location, checked=True, authority=authority)

    def test_a_login_stays_with_its_port(self) -> None:
        with scripted(lambda _: Reply(200, b"{}")) as other:
            with scripted(lambda _: Reply(302, b"", {"Location": f"http://{other.host}/"})) as server:
                with contextlib.closing(Transport(Registry(f"oci://{server.host}"))) as sender:
                    sender.send("GET", f"http://{server.host}/", authorization="Basic c2VjcmV0")
                assert server.requests[0].headers["authorization"] == "Basic c2VjcmV0"
            assert "authorization" not in other.requests[0].headers

    def test_a_signed_url_is_not_shown(self, authority: Authority) -> None:
        with pytest.raises(RegistryError) as caught:
            self.send("http://me:s3cret@store.example.com/blob?signature=s3cret", authority=authority)
        assert "s3cret" not in str(caught.value)
        assert "store.example.com/blob" in str(caught.value)


class TestTrust:
    """Whom helm trusts we trust, and nobody else: each way is tried with both."""

    @pytest.fixture
    def there(
        self, authority: Authority, packed: Package, helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Internet]:
        (tmp_path / "empty").mkdir()
        for name in ("NO_PROXY", "no_proxy", "SSL_CERT_FILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "empty"))
        with internet(Quirks(challenges=()), authority) as made:
            monkeypatch.setenv("HTTPS_PROXY", made.proxy)
            yield made

    def trusted(self, helm: Helm, registry: Registry, tmp_path: Path) -> bool:
        """Whether we talk to the registry; helm must agree."""
        argv: list[str | Path] = [helm.path, "show", "chart", f"{registry.prefix}/demo", "--version", "9.9.9"]
        for flag, file in (
            ("--ca-file", registry.ca_file),
            ("--cert-file", registry.cert_file),
            ("--key-file", registry.key_file),
        ):
            argv += [flag, file] if file else []
        said = helm.runner.run(argv, check=False).stderr
        try:
            with connect(registry) as client:
                assert client.manifest(registry.reference("demo", "9.9.9")) is None
        except RegistryError as error:
            # Whose certificate is wanted may be cut off before it has read so.
            assert any(word in said for word in ("x509", "tls:", "reset by peer", "broken pipe")), (said, error)
            return False
        assert "not found" in said, said
        return True

    def test_nobody(self, there: Internet, helm: Helm, tmp_path: Path) -> None:
        assert not self.trusted(helm, Registry(f"oci://{HOST}/team"), tmp_path)

    def test_a_file(
        self, there: Internet, helm: Helm, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # fmt: skip
        damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        (tmp_path / "bundle").write_text(f"{damaged}{authority.ca.read_text()}")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "bundle"))
        assert self.trusted(helm, Registry(f"oci://{HOST}/team"), tmp_path)

    def test_a_folder(
        self, there: Internet, helm: Helm, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # fmt: skip
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "any name").write_bytes(authority.ca.read_bytes())
        (tmp_path / "mine" / "README").write_text("no certificate\n")
        monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}/nowhere:{tmp_path}/mine")
        assert self.trusted(helm, Registry(f"oci://{HOST}/team"), tmp_path)

    def test_a_file_of_ours_in_place_of_all(
        self, there: Internet, helm: Helm, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # fmt: skip
        (tmp_path / "other").mkdir()
        other = make_authority(tmp_path / "other")
        assert self.trusted(helm, Registry(f"oci://{HOST}/team", ca_file=authority.ca), tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
        assert not self.trusted(helm, Registry(f"oci://{HOST}/team", ca_file=other.ca), tmp_path)

    def test_the_servers_own_certificate(
        self, there: Internet, helm: Helm, authority: Authority, tmp_path: Path
    ) -> None:
        assert self.trusted(helm, Registry(f"oci://{HOST}/team", ca_file=authority.certificate), tmp_path)

    def test_not_under_another_name(self, there: Internet, helm: Helm, authority: Authority, tmp_path: Path) -> None:
        registry = Registry("oci://registry.example.edu/team", ca_file=authority.ca)
        assert not self.trusted(helm, registry, tmp_path)
        assert "registry.example.edu:443" in there.tunnels  # it was reached
        with (
            pytest.raises(RegistryError, match=r"certificate of registry\.example\.edu is not trusted") as caught,
            connect(registry) as client,
        ):
            client.versions("demo")
        assert "a name that its certificate is for" in str(caught.value.run)

    def test_under_a_name_with_an_underscore(
        self, there: Internet, helm: Helm, authority: Authority, tmp_path: Path
    ) -> None:
        for name, known in (("a_b.example.com", True), ("a_b.example.edu", False)):
            assert self.trusted(helm, Registry(f"oci://{name}/team", ca_file=authority.ca), tmp_path) is known
        with (
            pytest.raises(RegistryError, match=r"certificate of a_b\.example\.edu is not trusted") as caught,
            connect(Registry("oci://a_b.example.edu/team", ca_file=authority.ca)) as client,
        ):
            client.versions("demo")
        assert "a name that its certificate is for" in str(caught.value.run)

    @pytest.mark.parametrize(
        ("code", "run"), [(9, "clock"), (10, "renewed"), (62, "a name"), (64, "a name"), (20, "CA"), (26, "serverAuth")]
    )
    def test_what_helps_a_certificate(self, code: int, run: str) -> None:
        error = ssl.SSLCertVerificationError(1, "certificate verify failed")
        error.verify_code = code
        assert run in str(connection_error(error, HOST, None, "").run)

    def test_of_a_proxy(self) -> None:
        error = urllib3.exceptions.ProxyError("", ssl.SSLCertVerificationError(1, "certificate verify failed"))
        told = connection_error(error, HOST, "https://me:s3cret@proxy:1", "")
        assert told.message == "the certificate of the proxy proxy:1 is not trusted"
        assert "registry_ca" in str(told.run)
        assert not isinstance(told, Transient)

    @pytest.mark.parametrize("alert", ["unknown ca", "certificate expired", "bad certificate", "certificate required"])
    def test_a_client_certificate_that_is_refused(self, alert: str) -> None:
        error = ssl.SSLError(1, f"[SSL: TLSV1_ALERT] tlsv1 alert {alert} (_ssl.c:2580)")
        told = connection_error(error, HOST, None, "")
        assert "registry_cert and registry_key" in str(told.run)

    def test_who_speaks_http_2_alone_is_told_so(self) -> None:
        error = ssl.SSLError(1, "[SSL: TLSV1_ALERT_NO_APPLICATION_PROTOCOL] tlsv1 alert no application protocol")
        told = connection_error(error, HOST, None, "")
        assert told.message == f"{HOST} does not answer in HTTP/1.1, and may speak HTTP/2 alone"
        assert not isinstance(told, Transient)

    def test_what_lies_beside_the_systems_authorities_is_one_of_them(
        self, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = make_authority(tmp_path)
        (tmp_path / "bundle").write_bytes(other.ca.read_bytes())
        (tmp_path / "certs").mkdir()
        (tmp_path / "certs" / "bundle.pem").symlink_to(tmp_path / "bundle")
        (tmp_path / "certs" / "of the house.pem").write_bytes(authority.ca.read_bytes())  # by nobody's hash
        (tmp_path / "certs" / "circle").symlink_to("circle")
        monkeypatch.setattr("scripts.registry.tls._FOLDERS", (str(tmp_path / "gone"), str(tmp_path / "certs")))
        assert tls_context(Registry("oci://x"), {"SSL_CERT_FILE": "no file"}).cert_store_stats()["x509"] == 2
        monkeypatch.chdir(tmp_path / "certs")
        nowhere = {"SSL_CERT_FILE": "no file", "SSL_CERT_DIR": f"{tmp_path}/gone:"}
        assert tls_context(Registry("oci://x"), nowhere).cert_store_stats()["x509"] == 0

    def test_a_short_key_and_an_old_server_are_taken_as_by_helm(self) -> None:
        context = tls_context(Registry(f"oci://{HOST}"), {})
        assert context.security_level == 1  # RSA of 1024 bits
        assert context.options & 0x4  # a server without secure renegotiation

    def test_a_client_certificate(
        self, helm: Helm, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HTTPS_PROXY", raising=False)
        answer = Reply(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}', {"Content-Type": "application/json"})
        with scripted(lambda _: answer, tls=authority.server_context(asks=True)) as server:
            bare = Registry(f"oci://{server.host}/team", ca_file=authority.ca)
            known = replace(bare, cert_file=authority.certificate, key_file=authority.key)
            assert self.trusted(helm, known, tmp_path)
            assert not self.trusted(helm, bare, tmp_path)
            with pytest.raises(RegistryError, match="asks for a client certificate") as caught, connect(bare) as client:
                client.versions("demo")
        assert "registry_cert and registry_key" in str(caught.value.run)

    def test_a_client_certificate_that_is_none(self, authority: Authority, tmp_path: Path) -> None:
        locked = tmp_path / "locked.key"
        from cryptography.hazmat.primitives import serialization

        key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
        locked.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"s3cret"),
            )
        )
        for cert, keyfile, words in (
            (authority.certificate, None, "half a client certificate"),
            (authority.certificate, tmp_path / "gone", "are no client certificate"),
            (authority.ca, authority.key, "are no client certificate"),
            (authority.certificate, locked, "are no client certificate"),
        ):
            with pytest.raises(ConfigError, match=words):
                tls_context(Registry("oci://x", cert_file=cert, key_file=keyfile), {})

    def test_authorities_that_are_none(self, tmp_path: Path, authority: Authority) -> None:
        (tmp_path / "text").write_text("nothing\n")
        (tmp_path / "marked").write_bytes(b"\xef\xbb\xbf" + authority.ca.read_bytes())  # which Go does not read, either
        none = "no certificate in it"
        for name, found in (("gone", "No such file"), ("text", none), ("marked", none), ("", "directory")):
            with pytest.raises(ConfigError, match="is no file of authorities") as caught:
                tls_context(Registry("oci://x", ca_file=tmp_path / name), {})
            assert found in str(caught.value) or name == ""

    def test_the_systems_authorities(self) -> None:
        context = tls_context(Registry("oci://x"), {})
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.cert_store_stats()["x509_ca"] > 0 or not Path("/etc/ssl/certs/ca-certificates.crt").exists()


def test_a_worker_whose_work_is_stopped_waits_for_no_answer() -> None:
    begun = threading.Event()

    def silent(client: socket.socket) -> None:
        begun.set()
        client.recv(1)

    with raw(silent) as host:
        talk = Transport(Registry(f"oci://{host}", plain_http=True))
        begin = time.monotonic()
        with pytest.raises(KeyError), workers(Runner(), 1) as pool:
            asked = pool.submit(talk.send, "GET", f"http://{host}/v2/")
            begun.wait(10)
            raise KeyError
        assert time.monotonic() - begin < transport._READ / 2
    assert isinstance(asked.exception(), Stopped)
