"""A network and a registry that fail on the way: a publication ends right or says why not, and nothing is half there.

Toxiproxy breaks the connections, a server before the registry its answers. Behind both stands the real one, with
tokens and TLS, which the tests also look at directly.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from scripts.chart.archive import Package
from scripts.chart.helm import Helm
from scripts.chart.source import Chart, read_chart
from scripts.core.command import Runner
from scripts.core.config import Config
from scripts.core.errors import RegistryError, ReleaseError
from scripts.registry import transport
from scripts.registry.credentials import Credentials
from scripts.registry.reference import Registry
from scripts.release.publish import publish
from scripts.release.verify import verify
from scripts.toolchain.finder import Toolchain
from tests.registry.conftest import distribution_of, repack, wait_until_served, write_chart
from tests.registry.servers import (
    PASSWORD,
    USER,
    Authority,
    Reply,
    Request,
    free_port,
    oci_error,
    page,
    scripted,
    signed_token,
)

TAG = "/v2/team/charts/demo/manifests/1.2.3"
Meddle = Callable[[Request, Callable[[], Reply]], Reply]
"""What is done to one request: it gets the request and the way to have the registry answer it."""


def untouched(_: Request, go_on: Callable[[], Reply]) -> Reply:
    return go_on()


@dataclass
class Route:
    """The way to the registry that is published to, the host behind it, and the folder where that keeps all."""

    registry: Registry
    behind: str
    store: Path
    toxiproxy: str
    meddle: Meddle = untouched
    tokens: list[str] = field(default_factory=list)

    def poison(self, kind: str, stream: str = "downstream", **attributes: Any) -> None:
        """Break the connections in one of toxiproxy's ways."""
        body = {"name": "fault", "type": kind, "stream": stream, "attributes": attributes}
        requests.post(f"{self.toxiproxy}/proxies/way/toxics", json=body, timeout=5).raise_for_status()

    def cure(self) -> None:
        """Let all pass again."""
        requests.post(f"{self.toxiproxy}/reset", timeout=5).raise_for_status()
        self.meddle = untouched

    def disable(self) -> None:
        """Have nobody listen."""
        requests.post(f"{self.toxiproxy}/proxies/way", json={"enabled": False}, timeout=5).raise_for_status()

    def tag(self) -> str | None:
        """The digest that the version names in the registry's own store."""
        tags = self.store / "docker/registry/v2/repositories/team/charts/demo/_manifests/tags"
        link = tags / "1.2.3" / "current" / "link"
        return link.read_text() if link.exists() else None


@pytest.fixture
def way(toolchain: Toolchain, runner: Runner, tmp_path: Path, authority: Authority) -> Iterator[Route]:
    """A registry with tokens and TLS, a server before it that meddles, and toxiproxy before both."""
    (tmp_path / "served").mkdir()
    api, port = free_port(), free_port()

    def answer(request: Request) -> Reply:
        return tokens(request) if request.path.startswith("/token") else route.meddle(request, lambda: ask(request))

    def tokens(request: Request) -> Reply:
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {login}":
            return Reply(401, b"{}")
        scopes = [scope.split(":") for scope in parse_qs(urlsplit(request.path).query).get("scope", [])]
        access = {name: actions.split(",") for _, name, actions in scopes}
        made = signed_token(authority, "tests", access, expires_in=300)
        route.tokens.append(made)
        return Reply(200, json.dumps({"token": made}).encode())

    def ask(request: Request) -> Reply:
        skipped = {"connection", "accept-encoding", "content-length"}
        headers = {name: value for name, value in request.headers.items() if name not in skipped}
        got = requests.request(
            request.method,
            f"https://{served.registry.host}{request.path}",
            headers={"Accept-Encoding": "identity", **headers},
            data=request.body or None,
            timeout=20,
            verify=str(authority.ca),
            allow_redirects=False,
        )
        kept = {name: value for name, value in got.headers.items() if name.lower() not in ("connection", "date")}
        return Reply(got.status_code, got.content, kept)

    with contextlib.ExitStack() as stack:
        before = stack.enter_context(scripted(answer, tls=authority.server_context()))
        service = f"https://127.0.0.1:{port}/token"
        served = stack.enter_context(
            distribution_of(toolchain, runner, tmp_path / "served", authority, token_service=service)
        )
        argv: list[str | Path] = [toolchain.path("toxiproxy"), "-host", "127.0.0.1", "-port", str(api)]
        stack.enter_context(runner.start(argv, log=tmp_path / "toxiproxy.log"))
        toxiproxy = f"http://127.0.0.1:{api}"
        wait_until_served(lambda: requests.get(f"{toxiproxy}/version", timeout=1))
        proxy = {"name": "way", "listen": f"127.0.0.1:{port}", "upstream": before.host, "enabled": True}
        requests.post(f"{toxiproxy}/proxies", json=proxy, timeout=5).raise_for_status()
        login = Credentials(USER, PASSWORD, "the test")
        registry = Registry(f"oci://127.0.0.1:{port}/team/charts", ca_file=authority.ca, credentials=login)
        route = Route(registry, served.registry.host, tmp_path / "served" / "distribution", toxiproxy)
        yield route


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes minutes elsewhere takes seconds here."""
    monkeypatch.setattr(transport, "_READ", 2.0)
    monkeypatch.setattr(transport, "_ATTEMPTS", 2)
    monkeypatch.setattr("scripts.release.publish._PUSH", 15.0)
    monkeypatch.setattr("scripts.release.publish.LAG", 2.0)
    monkeypatch.setattr("scripts.release.publish._SETTLE", 0.2)
    monkeypatch.setattr("scripts.release.publish._LONGEST_SETTLE", 0.5)


@pytest.fixture
def large(project: Config, helm: Helm) -> Package:
    """The chart with 400 KB in it that cannot be compressed."""
    import random

    (project.chart / "noise.bin").write_bytes(random.Random(7).randbytes(400_000))
    return repack(project, helm)


def first(count: int, of: Callable[[Request], bool], reply: Callable[[], Reply]) -> Meddle:
    """Answers the first `count` requests that are `of` a kind in the registry's place."""
    left = [count]

    def meddle(request: Request, go_on: Callable[[], Reply]) -> Reply:
        if left[0] and of(request):
            left[0] -= 1
            return reply()
        return go_on()

    return meddle


def is_write(request: Request) -> bool:
    return request.method in ("POST", "PUT", "PATCH")


def is_tagging(request: Request) -> bool:
    return request.method == "PUT" and request.path == TAG


def is_upload(request: Request) -> bool:
    return request.method == "PUT" and "/blobs/" in request.path


def is_any(_: Request) -> bool:
    return True


class Cut(Exception):
    """The connection is closed without a word."""


def cut() -> Reply:
    raise Cut


def lost_answer(request: Request, go_on: Callable[[], Reply]) -> Reply:
    """The tag is written, and nobody hears of it."""
    reply = go_on()
    return cut() if is_tagging(request) else reply


def gateway_timeout(request: Request, go_on: Callable[[], Reply]) -> Reply:
    """The tag is written, and the gateway before the registry says that it has waited too long."""
    reply = go_on()
    return page(504) if is_tagging(request) else reply


def expired(route: Route, authority: Authority) -> Meddle:
    """Every token is good for three requests; the registry itself refuses what comes with it later."""
    uses: dict[str, int] = {}

    def meddle(request: Request, go_on: Callable[[], Reply]) -> Reply:
        token = request.headers.get("authorization", "")
        uses[token] = uses.get(token, 0) + 1
        if token and uses[token] > 3 and not is_write(request):
            old = signed_token(authority, "tests", {"team/charts/demo": ["pull", "push"]}, expires_in=-600)
            assert isinstance(request.headers, dict)
            request.headers["authorization"] = f"Bearer {old}"
        return go_on()

    return meddle


Fault = Callable[[Route, Authority], None]


def toxic(kind: str, stream: str = "downstream", **attributes: Any) -> Fault:
    return lambda route, _: route.poison(kind, stream, **attributes)


def meddling(meddle: Meddle) -> Fault:
    return lambda route, _: setattr(route, "meddle", meddle)


# What ends right: the chart is published although this happens.
BORNE: Mapping[str, Fault] = {
    "latency": toxic("latency", latency=80, jitter=40),
    "a narrow line": toxic("bandwidth", rate=400),
    "small packets": toxic("slicer", average_size=512, size_variation=256, delay=10),
    "slow close": toxic("slow_close", delay=700),
    "500, then success": meddling(first(1, is_any, lambda: page(500))),
    "503 to writes, then success": meddling(first(2, is_write, lambda: page(503))),
    "429 with Retry-After": meddling(first(1, is_any, lambda: Reply(429, b"{}", {"Retry-After": "1"}))),
    "connections closed without an answer": meddling(first(1, is_write, cut)),
    "the answer to the tag is lost": meddling(lost_answer),
    "504 after the tag was written": meddling(gateway_timeout),
    "a token expires before the archive": meddling(first(1, is_upload, lambda: oci_error(401, "UNAUTHORIZED"))),
    "tokens expire": lambda route, authority: setattr(route, "meddle", expired(route, authority)),
}
# What is refused, with the words that say so.
REFUSED: Mapping[str, tuple[Fault, str]] = {
    "cut in the middle of a blob": (toxic("limit_data", "upstream", bytes=120_000), "cannot be pushed"),
    "reset": (toxic("reset_peer", timeout=100), "cannot be reached|breaks off"),
    "silence": (toxic("timeout", timeout=0), "does not answer"),
    "nobody there": (lambda route, _: route.disable(), "cannot be reached"),
    "500 to every write": (meddling(first(10**6, is_write, lambda: page(500))), "cannot be pushed"),
}


@pytest.mark.parametrize("fault", BORNE.values(), ids=BORNE.keys())
def test_ends_right(
    way: Route,
    large: Package,
    project: Config,
    helm: Helm,
    authority: Authority,
    fault: Fault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "_READ", 20.0)  # no answer stays out, and a busy machine is no fault
    monkeypatch.setattr("scripts.release.publish._PUSH", 60.0)
    fault(way, authority)
    chart = read_chart(project.chart)
    seen = publish(way.registry, large, chart, helm)
    assert (seen.state, seen.digest) == ("pushed", large.manifest_digest)
    assert way.tag() == large.manifest_digest
    assert verify(way.registry, large).digest == large.manifest_digest


@pytest.mark.parametrize(("fault", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_is_refused_with_the_cause_and_ends_right_later(
    way: Route,
    large: Package,
    project: Config,
    helm: Helm,
    authority: Authority,
    fault: Fault,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault(way, authority)
    chart = read_chart(project.chart)
    with monkeypatch.context() as patch, pytest.raises(ReleaseError, match=words) as caught:
        if words == "does not answer":  # which takes as long as is waited for
            patch.setattr(transport, "_CONNECT", 1.0)
        publish(way.registry, large, chart, helm)
    assert PASSWORD not in str(caught.value)
    assert way.tag() is None
    way.cure()
    assert publish(way.registry, large, chart, helm).state == "pushed"
    assert verify(way.registry, large).digest == way.tag() == large.manifest_digest


@pytest.mark.parametrize("passed", range(8))
def test_whatever_was_the_last_that_came_through(
    way: Route, packed: Package, chart: Chart, helm: Helm, passed: int
) -> None:
    """As where the one who publishes is killed: `passed` writes arrive, and then nothing more."""
    left = [passed]

    def meddle(request: Request, go_on: Callable[[], Reply]) -> Reply:
        if is_write(request):
            left[0] -= 1
        return go_on() if left[0] >= 0 else cut()

    way.meddle = meddle
    done = False
    with contextlib.suppress(ReleaseError):
        done = publish(way.registry, packed, chart, helm).digest == packed.manifest_digest
    assert way.tag() in ((packed.manifest_digest,) if done else (None, packed.manifest_digest))
    way.cure()
    assert publish(way.registry, packed, chart, helm).state == ("same" if done else "pushed")
    assert verify(way.registry, packed).digest == way.tag() == packed.manifest_digest


def test_cut_in_the_middle_of_what_is_read_back(way: Route, large: Package, project: Config, helm: Helm) -> None:
    publish(way.registry, large, read_chart(project.chart), helm)
    way.poison("limit_data", bytes=100_000)
    with pytest.raises(RegistryError, match="breaks off in the middle"):
        verify(way.registry, large)
    way.cure()
    assert verify(way.registry, large).digest == large.manifest_digest


@pytest.mark.parametrize("what", ["content", "header"])
def test_a_wrong_digest(way: Route, packed: Package, chart: Chart, helm: Helm, what: str) -> None:
    publish(way.registry, packed, chart, helm)

    def meddle(request: Request, go_on: Callable[[], Reply]) -> Reply:
        reply = go_on()
        if request.method != "GET" or request.path != TAG or reply.status != 200:
            return reply
        if what == "content":
            return dataclasses.replace(reply, body=reply.body.replace(b"For ", b"Not "))
        return dataclasses.replace(reply, headers={**reply.headers, "Docker-Content-Digest": f"sha256:{'0' * 64}"})

    way.meddle = meddle
    for ask in (lambda: verify(way.registry, packed), lambda: publish(way.registry, packed, chart, helm)):
        with pytest.raises(RegistryError, match="the manifest is not the one that its digest names"):
            ask()


def test_a_tag_that_is_moved_after_the_push(way: Route, packed: Package, chart: Chart, helm: Helm) -> None:
    def meddle(request: Request, go_on: Callable[[], Reply]) -> Reply:
        reply = go_on()
        if is_tagging(request):
            theirs = json.dumps({**json.loads(request.body), "layers": []})
            headers = {name: request.headers[name] for name in ("authorization", "content-type")}
            url, ca = f"https://{way.behind}{TAG}", str(way.registry.ca_file)
            requests.put(url, data=theirs, headers=headers, timeout=5, verify=ca).raise_for_status()
        return reply

    way.meddle = meddle
    with pytest.raises(RegistryError, match="while we pushed, somebody else has published"):
        publish(way.registry, packed, chart, helm)


class TestTwoAtOnce:
    def publish_both(self, way: Route, project: Config, runner: Runner, helm: Helm, contents: tuple[int, int]) -> Any:
        """Publish two packages of one version, which both find nothing there."""
        packages, charts = [], []
        for number, replicas in enumerate(contents):
            folder = project.root / f"clone-{number}"
            write_chart(folder / "chart", replicas=replicas)
            own = dataclasses.replace(project, root=folder, chart=folder / "chart", dist=folder / "dist")
            packages.append(repack(own, helm))
            charts.append(read_chart(own.chart))
        ready = threading.Barrier(2)

        class Together(Helm):
            """A helm that pushes when the other one does."""

            def push(self, archive: Path, remote: str, **options: Any) -> None:
                with contextlib.suppress(threading.BrokenBarrierError):
                    ready.wait(10)
                super().push(archive, remote, **options)

        results: list[Any] = [None, None]

        def one(number: int) -> None:
            try:
                own = Together(helm.path, Runner())
                results[number] = publish(way.registry, packages[number], charts[number], own)
            except ReleaseError as error:
                results[number] = error

        threads = [threading.Thread(target=one, args=(number,)) for number in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return packages, results

    @pytest.mark.parametrize("round_", range(3))
    def test_with_other_content_one_wins_and_the_other_says_so(
        self, way: Route, project: Config, runner: Runner, helm: Helm, monkeypatch: pytest.MonkeyPatch, round_: int
    ) -> None:
        monkeypatch.setattr("scripts.release.publish._SETTLE", 1.0)
        monkeypatch.setattr("scripts.release.publish._LONGEST_SETTLE", 5.0)
        packages, results = self.publish_both(way, project, runner, helm, (1, 2 + round_))
        won = [number for number, result in enumerate(results) if not isinstance(result, ReleaseError)]
        assert len(won) == 1, results
        assert way.tag() == packages[won[0]].manifest_digest
        assert "somebody else has published" in str(results[1 - won[0]])

    def test_with_the_same_content_both_are_done(self, way: Route, project: Config, runner: Runner, helm: Helm) -> None:
        packages, results = self.publish_both(way, project, runner, helm, (1, 1))
        assert [result.digest for result in results] == [packages[0].manifest_digest] * 2
        assert way.tag() == packages[0].manifest_digest
