"""A registry that behaves as it is told: one switch for each way in which real ones differ from the reference.

It speaks enough of the OCI distribution API for `helm push` and `helm pull`. Behind `Internet` it answers under every
name that a test gives it, with a certificate for that name, through a proxy as helm finds it in HTTPS_PROXY.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from tests.registry.servers import LINES, PASSWORD, USER, Authority, Reply, Request, Scripted, oci_error, scripted

HOST = "registry.example.com"
TOKENS = "tokens.example.com"
STORE = "storage.example.net"
IDENTITY = "an identity token"
BEARER = f'Bearer realm="https://{TOKENS}/token",service="{HOST}"'


@dataclass
class Quirks:
    """How the registry differs. Each switch names a registry that has it, and where one can read of it."""

    challenges: tuple[str, ...] = (BEARER,)
    """The lines of WWW-Authenticate; none: no login is needed.
    `Negotiate` before `Basic`: a registry behind SPNEGO, google/go-containerregistry#1075. `Bearer` and `Basic` in
    one line: RFC 9110 section 11.6.1. `scope="*"`: Gitea, apple/container#454. Without a scope: Quay,
    OctopusDeploy/Issues#5076."""
    anonymous: bool = False
    """The token service gives tokens that may pull to those without a login (Docker Hub,
    https://docs.docker.com/reference/api/registry/auth/)."""
    hides_absent: int = 0
    """What is answered for a repository that does not exist, until the token may push: 401 by Quay (helm/helm#31567),
    403 by GHCR (docker/build-push-action#981)."""
    strangers_see_nothing: bool = False
    """To those without a login a private repository does not exist (GitLab,
    https://docs.gitlab.com/user/packages/container_registry/)."""
    must_exist: bool = False
    """Nothing can be pushed to a repository that was not made before (ECR,
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/push-oci-artifact.html)."""
    denies_push_scope: bool = False
    """The token service refuses in whole who asks for more than is theirs (GCR, docker/hub-feedback#1771)."""
    deletes: bool = True
    """Who may push may delete, too, as which giving up an upload counts (distribution,
    https://distribution.github.io/distribution/spec/auth/scope/); else the token service refuses in whole who asks."""
    read_only: bool = False
    """The login may pull and not push (https://distribution.github.io/distribution/spec/auth/scope/)."""
    lists: bool = True
    """Whether tags are listed: not by all to all (https://github.com/opencontainers/distribution-spec/blob/main/spec.md,
    category Content Discovery)."""
    page: int = 0
    """Tags on one page: 50 at Quay (distribution/distribution#2448), 0 for all."""
    link: str = "{path}"
    """How the next page is named: relative by Quay (distribution/distribution#2448), absolute with the scheme `http`
    behind a proxy that ends TLS (goharbor/harbor-helm#132)."""
    lag: int = 0
    """How many times what was just written is not found (docker-archive/docker-registry#408)."""
    redirects_blobs: str = ""
    """Blobs are led on to a store that refuses a login beside its signed URL (S3 behind distribution,
    https://distribution.github.io/distribution/about/configuration/#redirect)."""
    redirects_tokens: int = 0
    """The status with which the token service leads on to another host (RFC 9110 section 15.4.8 for 307)."""
    token_member: str = "token"
    """`access_token` in its place (ACR, https://distribution.github.io/distribution/spec/auth/oauth/)."""
    token_uses: int = 0
    """For how many requests a token is good: it expires within 60 s unless said otherwise, in the middle of work
    too (https://distribution.github.io/distribution/spec/auth/token/#token-response-fields); 0 for all."""
    root: int = 401
    """What is answered at /v2/ itself: 404 where a proxy leads on only what is below (helm never asks for it);
    0 where it leads this one path to who never answers."""
    refuses_artifacts: int = 0
    """What is answered to a manifest of another type than images and charts: 415 by Docker Hub before 2023
    (docker/hub-feedback#2311), 400 by Quay (https://docs.quay.io/guides/oci-artifacts.html, allowed types)."""
    referrers: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] | None = None
    """What the API for referrers lists of what there is; without it there is none, as before 1.1. Nothing, by those
    that answer it and keep no list (https://github.com/opencontainers/distribution-spec/blob/main/spec.md, category
    Listing Referrers, has a registry that has nothing, too, answer 200 and an empty list)."""
    notes_subjects: bool = False
    """A manifest's subject is said to be noted (OCI-Subject, the same, category Pushing Manifests with Subject)."""
    immutable: int = 0
    """What is answered to who writes a tag again: 409 (ECR,
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html)."""
    push_fails: int = 0
    """The manifest is written, and this status answered: a gateway's time-out (google/go-containerregistry#1691)."""


@dataclass
class Quirky:
    """The state of such a registry, and `requests`, what it was asked: method, host and path, headers."""

    quirks: Quirks
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    uses: dict[str, int] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)

    def asked(self, method: str, part: str) -> list[dict[str, str]]:
        """The headers of the requests with this method whose host and path hold `part`."""
        return [headers for made, where, headers, _ in self.requests if made == method and part in where]

    def add(self, repository: str, tag: str, *, content: bytes = b'{"schemaVersion": 2, "layers": []}') -> None:
        """Publish a manifest by hand."""
        self.manifests[repository, tag] = ("application/vnd.oci.image.manifest.v1+json", content)

    def tags(self, repository: str) -> list[str]:
        """What is published in a repository."""
        return [tag for name, tag in self.manifests if name == repository and not tag.startswith("sha256:")]

    # -- answers -------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        """To any request, by its host."""
        host = request.headers.get("host", "")
        self.requests.append((request.method, host + request.path, dict(request.headers), request.body))
        if urlsplit(request.path).path == "/token":
            return self._token(request)
        if host == STORE or request.path.startswith("/signed/"):
            if "authorization" in request.headers:
                return Reply(400, b"<Error>only one way to log in is allowed</Error>", {"Content-Type": "text/xml"})
            return Reply(200, self.blobs[request.path.partition("?")[0].rpartition("/")[2]])
        return self._api(request)

    def _token(self, request: Request) -> Reply:
        told, query = self.quirks, parse_qs(urlsplit(request.path).query)
        if told.redirects_tokens and request.headers["host"] == TOKENS:
            there = f"https://elsewhere.example.org{request.path}"
            return Reply(told.redirects_tokens, b"moved", {"Location": there})
        form = parse_qs(request.body.decode())
        known = request.headers.get("authorization") == f"Basic {basic()}" or form.get("refresh_token") == [IDENTITY]
        if "authorization" in request.headers and not known:
            return oci_error(401, "UNAUTHORIZED")
        if not known and not told.anonymous:
            return oci_error(401, "UNAUTHORIZED")
        scopes = query.get("scope", []) + (form["scope"][0].split() if "scope" in form else [])
        if (told.denies_push_scope and "push" in str(scopes)) or (not told.deletes and "delete" in str(scopes)):
            return oci_error(403, "DENIED")
        may = ["pull"] if told.read_only or not known else ["pull", "push"]
        granted = {}
        for scope in scopes:
            name, _, actions = scope.removeprefix("repository:").rpartition(":")
            granted[name] = [action for action in actions.split(",") if action in may]
        token = base64.b64encode(json.dumps([granted, len(self.uses)]).encode()).decode()
        self.uses[token] = 0
        return Reply(200, json.dumps({told.token_member: token}).encode(), {"Content-Type": "application/json"})

    def _api(self, request: Request) -> Reply:
        told, path = self.quirks, urlsplit(request.path).path
        may = self._granted(request)
        if path == "/v2/":
            if told.root == 0:
                threading.Event().wait(60)
            if told.root == 401 and may is None:
                return self._challenge()
            return Reply(200, b"{}") if told.root == 401 else Reply(told.root, b"nothing here")
        repository, kind, last = self._read(path)
        if may is None and told.strangers_see_nothing and request.method == "GET":
            return oci_error(404, "NAME_UNKNOWN")
        allowed = may.get(repository, may.get("*")) if may is not None else None
        if allowed is None or not allowed:
            return self._challenge() if may is None else oci_error(403, "DENIED")
        exists = any(name == repository for name, _ in self.manifests)
        if not exists and "push" not in allowed and told.hides_absent:
            return self._challenge() if told.hides_absent == 401 else oci_error(told.hides_absent, "DENIED")
        if request.method in ("GET", "HEAD"):
            return self._get(request, repository, kind, last)
        if "push" not in allowed:
            return oci_error(403, "DENIED")
        if told.must_exist and not exists:
            return oci_error(404, "NAME_UNKNOWN")
        return self._put(request, repository, kind, last)

    def _granted(self, request: Request) -> dict[str, list[str]] | None:
        """What the request may, by repository; None where it has no login that is good."""
        scheme, _, word = request.headers.get("authorization", "").partition(" ")
        offered = ", ".join(self.quirks.challenges).lower()
        if not self.quirks.challenges:
            return {"*": ["pull", "push"]}
        if scheme == "Basic" and "basic" in offered and word == basic():
            return {"*": ["pull"] if self.quirks.read_only else ["pull", "push"]}
        if scheme == "Bearer" and word in self.uses:
            self.uses[word] += 1
            if not self.quirks.token_uses or self.uses[word] <= self.quirks.token_uses:
                granted: dict[str, list[str]] = json.loads(base64.b64decode(word))[0]
                return granted
        return None

    def _challenge(self) -> Reply:
        reply = oci_error(401, "UNAUTHORIZED")
        return Reply(401, reply.body, {**reply.headers, "WWW-Authenticate": LINES.join(self.quirks.challenges)})

    @staticmethod
    def _read(path: str) -> tuple[str, str, str]:
        """Repository, kind and the rest of a path."""
        for kind in ("manifests", "blobs", "tags", "referrers"):
            if f"/{kind}/" in path:
                repository, _, last = path.removeprefix("/v2/").partition(f"/{kind}/")
                return repository, kind, last
        raise AssertionError(path)

    def _get(self, request: Request, repository: str, kind: str, last: str) -> Reply:
        told = self.quirks
        if kind == "referrers" and told.referrers is not None:
            held = {digest(content): json.loads(content) for _, content in self.manifests.values()}
            listed = [
                {"digest": name, "artifactType": one["artifactType"], "annotations": one["annotations"]}
                for name, one in held.items()
                if one.get("subject", {}).get("digest") == last
            ]
            index = {"schemaVersion": 2, "manifests": told.referrers(listed)}
            return Reply(200, json.dumps(index).encode(), {"Content-Type": "application/vnd.oci.image.index.v1+json"})
        if kind == "referrers":
            return Reply(404, b"404 page not found", {"Content-Type": "text/plain"})
        if kind == "tags":
            return self._list(request, repository) if told.lists else oci_error(403, "DENIED")
        if kind == "blobs":
            if last not in self.blobs or self._is_late(last):
                return oci_error(404, "BLOB_UNKNOWN")
            if told.redirects_blobs and request.method == "GET":
                return Reply(
                    307, b"x" * (1 << 16), {"Location": f"{told.redirects_blobs}/signed/{last}?signature=s3cret"}
                )
            return Reply(200, self.blobs[last], {"Content-Type": "application/octet-stream"})
        if (repository, last) not in self.manifests or self._is_late(last):
            return oci_error(404, "MANIFEST_UNKNOWN")
        media_type, content = self.manifests[repository, last]
        return Reply(200, content, {"Content-Type": media_type, "Docker-Content-Digest": digest(content)})

    def _is_late(self, name: str) -> bool:
        self.late[name] = self.late.get(name, 0) - 1
        return self.late[name] >= 0

    def _list(self, request: Request, repository: str) -> Reply:
        told, tags = self.quirks, self.tags(repository)
        if not tags:
            return oci_error(404, "NAME_UNKNOWN")
        last = parse_qs(urlsplit(request.path).query).get("last", [""])[0]
        begin = tags.index(last) + 1 if last else 0
        shown = tags[begin : begin + told.page] if told.page else tags
        more = {}
        if told.page and begin + told.page < len(tags):
            path = f"/v2/{repository}/tags/list?last={quote(shown[-1])}&n={told.page}"
            more = {"Link": f'<{told.link.format(path=path)}>; rel="next"'}
        return Reply(200, json.dumps({"name": repository, "tags": shown}).encode(), more)

    def _put(self, request: Request, repository: str, kind: str, last: str) -> Reply:
        query = parse_qs(urlsplit(request.path).query)
        if request.method == "DELETE" and not self.quirks.deletes:
            wanted = f'{BEARER},scope="repository:{repository}:delete"'
            return oci_error(401, "UNAUTHORIZED", **{"WWW-Authenticate": wanted})
        if request.method == "DELETE":
            return Reply(204)
        if request.method == "POST":
            return Reply(202, b"", {"Location": f"/v2/{repository}/blobs/uploads/1"})
        if kind == "blobs":
            (wanted,) = query["digest"]
            assert digest(request.body) == wanted
            self.blobs[wanted] = request.body
            self.late.setdefault(wanted, self.quirks.lag)
            return Reply(201, b"", {"Docker-Content-Digest": wanted})
        found, told = digest(request.body), self.quirks
        if told.refuses_artifacts and b'"artifactType"' in request.body:
            return oci_error(told.refuses_artifacts, "MANIFEST_INVALID")
        if told.immutable and self.manifests.get((repository, last), ("", request.body))[1] != request.body:
            return oci_error(told.immutable, "TAG_IS_IMMUTABLE")
        for name in (last, found):
            self.manifests[repository, name] = (request.headers["content-type"], request.body)
            self.late.setdefault(name, self.quirks.lag)
        if self.quirks.push_fails and last != found:
            return Reply(self.quirks.push_fails, b"<html>time-out</html>", {"Content-Type": "text/html"})
        noted = {"OCI-Subject": "noted"} if told.notes_subjects and b'"subject"' in request.body else {}
        place = f"/v2/{repository}/manifests/{found}"
        return Reply(201, b"", {"Docker-Content-Digest": found, "Location": place, **noted})


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def basic() -> str:
    return base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@dataclass(frozen=True)
class Internet:
    """All names of the world, behind the proxy at `proxy`, in front of one registry. `tunnels` are those asked for."""

    proxy: str
    registry: Quirky
    tunnels: list[str]
    login: str = ""


@contextlib.contextmanager
def internet(quirks: Quirks, authority: Authority, *, login: str = "", tls: bool = False) -> Iterator[Internet]:
    """A quirky registry with TLS, and a proxy, with `tls` too, that leads every name to it and asks for `login`."""
    registry, context = Quirky(quirks), authority.server_context()
    with (
        scripted(registry.answer, tls=context) as server,
        _proxy(server, login, context if tls else None) as (port, tunnels),
    ):
        yield Internet(f"http{'s' if tls else ''}://127.0.0.1:{port}", registry, tunnels, login)


@contextlib.contextmanager
def _proxy(server: Scripted, login: str, tls: ssl.SSLContext | None) -> Iterator[tuple[int, list[str]]]:
    """A proxy that answers CONNECT and speaks SOCKS 5 (RFC 1928), on a free port."""
    tunnels: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(accepted: socket.socket) -> None:
        with tls.wrap_socket(accepted, server_side=True) if tls is not None else accepted as client:
            head = client.recv(1)
            if head == b"\x05":
                tunnels.append(_socks(client, login.encode()))
                pass_on(client)
                return
            while not head.endswith(b"\r\n\r\n"):
                if not (part := client.recv(1)):
                    return
                head += part
            first, *lines = head.decode().splitlines()
            wanted = f"proxy-authorization: basic {base64.b64encode(login.encode()).decode()}"
            if login and wanted.lower() not in (line.lower() for line in lines):
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            tunnels.append(first.split()[1])
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            pass_on(client)

    def pass_on(client: socket.socket) -> None:
        host, _, port = server.host.partition(":")
        with socket.create_connection((host, int(port))) as inside:
            _join(client, inside)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=quietly, args=(listener.accept()[0],), daemon=True).start()

    def quietly(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            serve(client)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1]), tunnels
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _socks(client: socket.socket, login: bytes) -> str:
    """The host and port that a client of SOCKS asks for by name, granted; its first byte has been read."""

    def read(size: int) -> bytes:
        found = client.recv(size, socket.MSG_WAITALL)  # a client may send them one by one
        if len(found) < size:
            raise ConnectionResetError("helm ends while it still opens connections that it did not need")
        return found

    offered = read(read(1)[0])
    assert not login or b"\x02" in offered, "a name and a password (RFC 1929)"
    client.sendall(b"\x05\x02" if login else b"\x05\x00")
    if login:
        read(1)
        known = read(read(1)[0]) + b":" + read(read(1)[0]) == login
        client.sendall(b"\x01\x00" if known else b"\x01\x01")
    assert read(4) == b"\x05\x01\x00\x03", "a name, to be looked up by the proxy"
    name = read(read(1)[0]).decode()
    port = int.from_bytes(read(2), "big")
    client.sendall(b"\x05\x00\x00\x01" + bytes(6))
    return f"{name}:{port}"


def _join(one: socket.socket, other: socket.socket) -> None:
    """Pass on what comes from either side until one ends."""
    pair: dict[Any, socket.socket] = {one: other, other: one}
    while True:
        pending = [side for side in pair if isinstance(side, ssl.SSLSocket) and side.pending()]
        for ready in pending or select.select([one, other], [], [])[0]:
            if not (data := ready.recv(1 << 16)):
                return
            pair[ready].sendall(data)
