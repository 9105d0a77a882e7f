"""What helm can push to and pull from, we can; what neither can says why. Registries as they are, by their quirks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from scripts.chart.archive import Package
from scripts.chart.helm import Helm
from scripts.chart.source import Chart
from scripts.checks.baseline import published_versions
from scripts.core.command import Runner
from scripts.core.config import Config
from scripts.core.errors import RegistryError
from scripts.registry import client as client_module
from scripts.registry import transport
from scripts.registry.client import ListingError, connect
from scripts.registry.embedded import configured, elsewhere, registry_for
from scripts.registry.reference import Registry
from scripts.release.publish import demand_push, probe, publish
from scripts.release.verify import verify
from scripts.workspace import Workspace
from tests.registry.quirks import BEARER, HOST, IDENTITY, STORE, TOKENS, Internet, Quirks, basic, internet
from tests.registry.servers import PASSWORD, USER, Authority, Reply, scripted

REPOSITORY = "team/demo"


@pytest.fixture
def logins(tmp_path: Path) -> Callable[[dict[str, Any]], None]:
    """Writes helm's file of logins."""

    def write(content: dict[str, Any]) -> None:
        file = tmp_path / "helm-config" / "registry" / "config.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))

    write({"auths": {HOST: {"auth": basic()}}})
    return write


@pytest.fixture
def world(
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    logins: object,
) -> Iterator[Callable[[Quirks], Internet]]:
    """Opens a world with one registry, which every program finds through the proxy in the environment."""
    monkeypatch.setattr(client_module, "_POLL", 0.05)
    (tmp_path / "no authorities").mkdir()
    with ExitStack() as stack:

        def start(quirks: Quirks, **proxy_ways: Any) -> Internet:
            made = stack.enter_context(internet(quirks, authority, **proxy_ways))
            proxy = made.proxy.replace("://", f"://{made.login}@") if made.login else made.proxy
            for name, value in {
                "HTTPS_PROXY": proxy,
                "SSL_CERT_FILE": str(authority.ca),
                "SSL_CERT_DIR": str(tmp_path / "no authorities"),
            }.items():
                monkeypatch.setenv(name, value)
            for name in ("NO_PROXY", "no_proxy", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
                monkeypatch.delenv(name, raising=False)
            return made

        yield start


@pytest.fixture
def at(project: Config, runner: Runner) -> Callable[[str], Registry]:
    """The registry at a prefix, with the login that is found for it."""
    return lambda prefix: configured(replace(project, registry=prefix), runner)


@dataclass(frozen=True)
class Case:
    """A quirk, whether helm can push there and pull, and the words with which we refuse what neither can."""

    quirks: Quirks
    helm: bool = True
    refusal: str = ""
    pulls: bool = True


CASES = {
    "tokens": Case(Quirks()),
    "basic": Case(Quirks(challenges=('Basic realm="x"',))),
    "no login": Case(Quirks(challenges=())),
    "basic, then bearer": Case(Quirks(challenges=('Basic realm="x"', BEARER))),
    "bearer, then basic": Case(Quirks(challenges=(BEARER, 'Basic realm="x"'))),
    "basic and bearer in one line": Case(Quirks(challenges=(f'Basic realm="x, y", {BEARER}',))),
    "bearer and basic in one line": Case(Quirks(challenges=(f'{BEARER}, Basic realm="x"',))),
    "negotiate first": Case(
        Quirks(challenges=("Negotiate", 'Basic realm="x"')), False, "helm reads no challenge but the first"
    ),
    "negotiate first in one line": Case(
        Quirks(challenges=(f"Negotiate dG9rZW4=, {BEARER}",)), False, "helm reads no challenge but the first"
    ),
    "a word without quotes": Case(Quirks(challenges=(f'bearer  realm="https://{TOKENS}/token" , Service={HOST}',))),
    "tokens of an address within": Case(
        Quirks(challenges=('Bearer realm="https://10.1.2.3/token",service="x"',)), False, "a place that is not safe"
    ),
    "an address without quotes": Case(
        Quirks(challenges=(f"Bearer realm=https://{TOKENS}/token,service=x",)), False, "as helm reads it: Bearer realm="
    ),
    "scope of anything": Case(Quirks(challenges=(f'{BEARER},scope="*"',))),
    "access_token": Case(Quirks(token_member="access_token")),
    "absent is 401 until push": Case(Quirks(hides_absent=401)),
    "absent is 403 until push": Case(Quirks(hides_absent=403)),
    "absent to strangers": Case(Quirks(strangers_see_nothing=True), pulls=False),
    "lags": Case(Quirks(lag=2), False),
    "blobs elsewhere": Case(Quirks(redirects_blobs=f"https://{STORE}")),
    "no root": Case(Quirks(root=404)),
    "root fails": Case(Quirks(root=500)),
    "root never answers": Case(Quirks(root=0)),
    "root leads elsewhere": Case(Quirks(root=301)),
    "reports a failure": Case(Quirks(push_fails=504), False),
    "must exist": Case(Quirks(must_exist=True), False, r"make the repository team/demo first"),
    "a token for each request": Case(Quirks(token_uses=1), False, "good for a whole push"),
    "may only pull": Case(Quirks(read_only=True), False, "as somebody who may push there"),
    "denies a token to push": Case(Quirks(denies_push_scope=True), False, "as somebody who may push there"),
    "lists nothing": Case(Quirks(lists=False)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_helm_is_the_measure(
    world: Callable[[Quirks], Internet],
    at: Callable[[str], Registry],
    packed: Package,
    chart: Chart,
    helm: Helm,
    tmp_path: Path,
    case: Case,
) -> None:
    world(case.quirks)
    push = helm.runner.run([helm.path, "push", packed.path, f"oci://{HOST}/team"], check=False)
    assert (push.status == 0) is case.helm, push.stderr

    there = world(case.quirks)  # another one, which holds nothing yet
    registry = at(f"oci://{HOST}/team")
    if case.refusal:
        with pytest.raises(RegistryError, match=case.refusal):
            publish(registry, packed, chart, helm)
        assert there.registry.tags(REPOSITORY) == []
        return
    seen = publish(registry, packed, chart, helm)
    assert (seen.state, seen.digest) == ("pushed", packed.manifest_digest)
    there.registry.late.clear()
    verify(registry, packed, digest=seen.digest)
    assert publish(registry, packed, chart, helm).state == "same"
    if case.pulls:
        (tmp_path / "pulled").mkdir()
        helm.runner.run([helm.path, "pull", seen.reference, "--destination", tmp_path / "pulled"])
        assert (tmp_path / "pulled" / packed.path.name).read_bytes() == packed.path.read_bytes()
    assert not any("authorization" in headers for headers in there.registry.asked("GET", STORE))


@pytest.mark.parametrize("host", ["docker.io", "registry-1.docker.io", "index.docker.io"])
@pytest.mark.parametrize(
    "key",
    ["https://index.docker.io/v1/", "docker.io", "https://docker.io", "registry-1.docker.io", "index.docker.io/v1/",
     "environment"],
)  # fmt: skip
def test_docker_hub_by_every_login(
    world: Callable[[Quirks], Internet],
    at: Callable[[str], Registry],
    logins: Callable[[dict[str, Any]], None],
    packed: Package,
    chart: Chart,
    helm: Helm,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    key: str,
) -> None:
    there = world(Quirks(hides_absent=401))
    logins({"auths": {key: {"auth": basic()}} if key != "environment" else {}})
    if key == "environment":
        monkeypatch.setenv("GATI_REGISTRY_USERNAME", "publisher")
        monkeypatch.setenv("GATI_REGISTRY_PASSWORD", "correct horse")
    assert publish(at(f"oci://{host}/team"), packed, chart, helm).state == "pushed"
    assert {name for name in there.tunnels if "docker" in name} <= {"registry-1.docker.io:443", "index.docker.io:443"}


class TestLogins:
    def test_a_helper_that_fails_where_no_login_is_needed(
        self,
        world: Callable[[Quirks], Internet],
        at: Callable[[str], Registry],
        logins: Callable[[dict[str, Any]], None],
        packed: Package,
        chart: Chart,
        helm: Helm,
    ) -> None:
        world(Quirks(challenges=()))
        logins({"credsStore": "gone"})
        assert publish(at(f"oci://{HOST}/team"), packed, chart, helm).state == "pushed"

    def test_a_helper_that_fails_where_anybody_may_pull(
        self, world: Callable[[Quirks], Internet], at: Callable[[str], Registry], logins: Callable[[Any], None]
    ) -> None:
        there = world(Quirks(anonymous=True))
        there.registry.add(REPOSITORY, "1.0.0")
        logins({"credsStore": "gone"})
        registry = at(f"oci://{HOST}/team")
        with connect(registry) as client:
            assert client.manifest(registry.reference("demo", "1.0.0")) is not None

    def test_a_helper_that_fails_is_the_cause_where_a_login_is_needed(
        self,
        world: Callable[[Quirks], Internet],
        at: Callable[[str], Registry],
        logins: Callable[[Any], None],
        packed: Package,
    ) -> None:
        world(Quirks())
        logins({"credsStore": "gone"})
        seen = probe(at(f"oci://{HOST}/team"), packed)
        assert seen.state == "unknown"
        assert "docker-credential-gone is not installed" in str(seen.error)
        assert seen.error is not None
        assert (seen.error.run or "").startswith(f"helm registry login {HOST}")

    @pytest.mark.parametrize(
        ("configured", "flags", "ours", "plain_http"),
        [
            (f"oci://{HOST.upper()}/other", {}, True, True),
            (HOST, {}, False, False),  # which is no registry's address
            ("", {}, True, True),
            ("oci://ours.example.com/charts", {}, False, False),
            ("oci://ours.example.com/charts", {"plain_http": True}, False, True),
        ],
    )
    def test_what_is_configured_for_one_host_is_not_for_another_that_a_reference_names(
        self,
        work: Workspace,
        monkeypatch: pytest.MonkeyPatch,
        configured: str,
        flags: dict[str, bool],
        ours: bool,
        plain_http: bool,
    ) -> None:
        monkeypatch.setenv("GATI_REGISTRY_USERNAME", USER)
        monkeypatch.setenv("GATI_REGISTRY_PASSWORD", PASSWORD)
        work = replace(work.having(registry=configured, plain_http=True), overrides=flags)
        with registry_for(elsewhere(work, f"oci://{HOST}/team")) as found:
            assert (found.credentials is not None, found.plain_http) == (ours, plain_http)

    def test_an_identity_token_goes_to_the_token_service_alone(
        self,
        world: Callable[[Quirks], Internet],
        at: Callable[[str], Registry],
        logins: Callable[[Any], None],
        packed: Package,
        chart: Chart,
        helm: Helm,
    ) -> None:
        there = world(Quirks(token_member="access_token"))
        logins({"auths": {HOST: {"auth": "", "identitytoken": IDENTITY}}})
        assert publish(at(f"oci://{HOST}/team"), packed, chart, helm).state == "pushed"
        told = [where for _, where, _, body in there.registry.requests if IDENTITY.replace(" ", "+").encode() in body]
        assert told
        assert all(where.startswith(f"{TOKENS}/token") for where in told)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_an_identity_token_follows_no_redirect(
        self,
        world: Callable[[Quirks], Internet],
        at: Callable[[str], Registry],
        logins: Callable[[Any], None],
        packed: Package,
        status: int,
    ) -> None:
        there = world(Quirks(redirects_tokens=status))
        logins({"auths": {HOST: {"identitytoken": IDENTITY}}})
        seen = probe(at(f"oci://{HOST}/team"), packed)
        assert "leads a POST to a place where it is not sent" in str(seen.error)
        assert not any("elsewhere.example.org" in where for _, where, _, _ in there.registry.requests)

    def test_a_password_follows_no_redirect(
        self, world: Callable[[Quirks], Internet], at: Callable[[str], Registry], packed: Package
    ) -> None:
        there = world(Quirks(redirects_tokens=307))
        assert probe(at(f"oci://{HOST}/team"), packed).state == "unknown"
        elsewhere = there.registry.asked("GET", "elsewhere.example.org")
        assert elsewhere
        assert not any("authorization" in headers for headers in elsewhere)

    def test_a_token_of_the_file_is_used_as_it_is(
        self, world: Callable[[Quirks], Internet], at: Callable[[str], Registry], logins: Callable[[Any], None]
    ) -> None:
        there = world(Quirks())
        there.registry.add(REPOSITORY, "1.0.0")
        token = "eyJ0ZWFtL2RlbW8iOiBbInB1bGwiXX0="
        there.registry.uses["W3sidGVhbS9kZW1vIjogWyJwdWxsIl19LCAwXQ=="] = 0
        logins({"auths": {HOST: {"registrytoken": "W3sidGVhbS9kZW1vIjogWyJwdWxsIl19LCAwXQ=="}}})
        registry = at(f"oci://{HOST}/team")
        with connect(registry) as client:
            assert client.manifest(registry.reference("demo", "1.0.0")) is not None
        assert not there.registry.asked("GET", "/token")
        assert token not in repr(registry)

    def test_a_reader_asks_for_no_more_than_reading(
        self, world: Callable[[Quirks], Internet], at: Callable[[str], Registry]
    ) -> None:
        there = world(Quirks(denies_push_scope=True))
        there.registry.add(REPOSITORY, "1.0.0")
        registry = at(f"oci://{HOST}/team")
        for push in (False, True):  # who would push is told what is there, too
            with connect(registry, push=push) as client:
                assert client.manifest(registry.reference("demo", "1.0.0")) is not None
        assert [("push" in where) for _, where, _, _ in there.registry.requests if "/token" in where] == [
            False,
            True,
            False,
        ]


class TestBeforeThePush:
    @pytest.mark.parametrize(
        ("quirks", "words"),
        [
            (Quirks(read_only=True), "as somebody who may push"),
            (Quirks(must_exist=True), "make the repository team/demo first"),
        ],
    )
    def test_who_may_not_push_is_told(
        self,
        world: Callable[[Quirks], Internet],
        at: Callable[[str], Registry],
        packed: Package,
        quirks: Quirks,
        words: str,
    ) -> None:
        world(quirks)
        with pytest.raises(RegistryError, match=f"{HOST} takes nothing in {REPOSITORY}") as caught:
            demand_push(at(f"oci://{HOST}/team"), packed)
        assert words in str(caught.value.run)

    def test_who_may_push_need_not_delete(
        self, world: Callable[[Quirks], Internet], at: Callable[[str], Registry], packed: Package
    ) -> None:
        world(Quirks(deletes=False))
        demand_push(at(f"oci://{HOST}/team"), packed)

    def test_ecr_has_its_command(
        self, world: Callable[[Quirks], Internet], at: Callable[[str], Registry], logins: Callable[[Any], None],
        packed: Package,
    ) -> None:  # fmt: skip
        host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
        world(Quirks(must_exist=True, challenges=('Basic realm="x"',)))
        logins({"auths": {host: {"auth": basic()}}})
        with pytest.raises(RegistryError) as caught:
            demand_push(at(f"oci://{host}/team"), packed)
        assert caught.value.run == "aws ecr create-repository --repository-name team/demo"

    def test_who_may_push_leaves_nothing(
        self, world: Callable[[Quirks], Internet], at: Callable[[str], Registry], packed: Package
    ) -> None:
        there = world(Quirks())
        demand_push(at(f"oci://{HOST}/team"), packed)
        assert there.registry.asked("DELETE", "/blobs/uploads/1")
        assert there.registry.manifests == {}


class TestLists:
    TAGS = tuple(f"0.{minor}.0" for minor in range(10))

    @pytest.mark.parametrize(
        "link",
        ["{path}", "https://registry.example.com{path}", "http://registry.example.com{path}",
         "https://inside.example.org:5000{path}", "http://[::1]:5000/harbor{path}"],
    )  # fmt: skip
    @pytest.mark.parametrize("page", [0, 1, 3, 10])
    def test_no_page_is_lost(
        self, world: Callable[[Quirks], Internet], at: Callable[[str], Registry], link: str, page: int
    ) -> None:
        there = world(Quirks(page=page, link=link))
        for tag in self.TAGS:
            there.registry.add(REPOSITORY, tag)
        with connect(at(f"oci://{HOST}/team")) as client:
            assert client.versions("demo") == self.TAGS
        assert {name for name in there.tunnels if "inside" in name or "::1" in name} == set()

    @pytest.mark.parametrize("link", ["https://registry.example.com/", "nothing?", "http://["])
    def test_a_next_page_that_is_nowhere(
        self, world: Callable[[Quirks], Internet], at: Callable[[str], Registry], link: str
    ) -> None:
        there = world(Quirks(page=1, link=link))
        for tag in self.TAGS:
            there.registry.add(REPOSITORY, tag)
        with connect(at(f"oci://{HOST}/team")) as client, pytest.raises(RegistryError, match="goes on"):
            client.versions("demo")

    def test_tokens_expire_on_the_way(self, world: Callable[[Quirks], Internet], at: Callable[[str], Registry]) -> None:
        there = world(Quirks(page=1, token_uses=1))
        for tag in self.TAGS:
            there.registry.add(REPOSITORY, tag)
        with connect(at(f"oci://{HOST}/team")) as client:
            assert client.versions("demo") == self.TAGS
        assert len(there.registry.asked("GET", "/token")) == len(self.TAGS)

    def test_forbidden(self, world: Callable[[Quirks], Internet], at: Callable[[str], Registry]) -> None:
        there = world(Quirks(lists=False))
        there.registry.add(REPOSITORY, "1.0.0")
        with connect(at(f"oci://{HOST}/team")) as client:
            with pytest.raises(ListingError, match="does not list the versions in team/demo") as told:
                client.versions("demo")
            assert (told.value.run or "").startswith(f"helm registry login {HOST}")
            assert client.manifest(at(f"oci://{HOST}/team").reference("demo", "1.0.0")) is not None

    def test_forbidden_is_said_to_who_raises_a_version(
        self, world: Callable[[Quirks], Internet], at: Callable[[str], Registry], chart: Chart
    ) -> None:
        there = world(Quirks(lists=False))
        there.registry.add(REPOSITORY, "1.0.0")
        said: list[str] = []
        assert published_versions(chart, at(f"oci://{HOST}/team"), said.append) == ()
        (note,) = said
        assert "does not list the versions in team/demo, so only git's tags say which versions there are" in note
        assert "DENIED" in note


class TestLag:
    def test_what_never_comes_is_told(
        self,
        world: Callable[[Quirks], Internet],
        at: Callable[[str], Registry],
        packed: Package,
        chart: Chart,
        helm: Helm,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        there = world(Quirks())

        class Forgotten(Helm):
            """A helm whose tag nobody sees."""

            def push(self, archive: Path, remote: str, **options: Any) -> None:
                super().push(archive, remote, **options)
                there.registry.late["1.2.3"] = 1_000_000

        monkeypatch.setattr("scripts.release.publish.LAG", 0.3)
        with pytest.raises(RegistryError, match="is not there after the push"):
            publish(at(f"oci://{HOST}/team"), packed, chart, Forgotten(helm.path, helm.runner))

    def test_what_helm_has_written_is_waited_for_before_it_is_pushed_again(
        self,
        world: Callable[[Quirks], Internet],
        at: Callable[[str], Registry],
        packed: Package,
        chart: Chart,
        helm: Helm,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """helm looks once, and tags nothing then."""
        world(Quirks(lag=10))
        monkeypatch.setattr("scripts.registry.client._POLL", 0.01)
        assert publish(at(f"oci://{HOST}/team"), packed, chart, helm).state == "pushed"

    def test_a_push_that_takes_too_long_is_looked_for(
        self,
        world: Callable[[Quirks], Internet],
        at: Callable[[str], Registry],
        packed: Package,
        chart: Chart,
        helm: Helm,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        class Slow(Helm):
            """A helm that has pushed, and does not end."""

            def push(self, archive: Path, remote: str, **options: Any) -> None:
                super().push(archive, remote, **options)
                self.runner.run(["sleep", "60"], deadline=0.1)

        world(Quirks(lag=2))
        seen = publish(at(f"oci://{HOST}/team"), packed, chart, Slow(helm.path, helm.runner))
        assert (seen.state, seen.digest) == ("pushed", packed.manifest_digest)

        world(Quirks())
        monkeypatch.setattr("scripts.release.publish.LAG", 0.2)
        monkeypatch.setattr(Helm, "push", lambda self, *_, **__: self.runner.run(["sleep", "60"], deadline=0.1))
        with pytest.raises(RegistryError, match=r"cannot be pushed\s+found:\s+helm push was still running"):
            publish(at(f"oci://{HOST}/team"), packed, chart, helm)


class TestProxies:
    @pytest.mark.parametrize("tls", [False, True])
    def test_with_a_login(
        self,
        world: Callable[..., Internet],
        at: Callable[[str], Registry],
        packed: Package,
        chart: Chart,
        helm: Helm,
        tls: bool,
    ) -> None:
        world(Quirks(), login="me:s3cret", tls=tls)
        assert publish(at(f"oci://{HOST}/team"), packed, chart, helm).state == "pushed"

    @pytest.mark.parametrize("login", ["", "me:s3cret%40%C3%A9:x"])
    @pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
    def test_socks(
        self,
        world: Callable[..., Internet],
        at: Callable[[str], Registry],
        packed: Package,
        chart: Chart,
        helm: Helm,
        monkeypatch: pytest.MonkeyPatch,
        scheme: str,
        login: str,
    ) -> None:
        there = world(Quirks(), login=unquote(login))
        monkeypatch.setenv(
            "HTTPS_PROXY", there.proxy.replace("http://", f"{scheme}://{login}@" if login else f"{scheme}://")
        )
        assert publish(at(f"oci://{HOST}/team"), packed, chart, helm).state == "pushed"
        assert set(there.tunnels) == {f"{HOST}:443", f"{TOKENS}:443"}

    def test_that_refuse(
        self,
        world: Callable[..., Internet],
        at: Callable[[str], Registry],
        packed: Package,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        there = world(Quirks(), login="me:s3cret")
        monkeypatch.setenv("HTTPS_PROXY", there.proxy.replace("://", "://me:wr0ng@"))
        seen = probe(at(f"oci://{HOST}/team"), packed)
        assert "cannot be reached through the proxy 127.0.0.1" in str(seen.error)
        assert "407" in str(seen.error)
        monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
        seen = probe(at(f"oci://{HOST}/team"), packed)
        assert "through the proxy 127.0.0.1:1" in str(seen.error)
        assert "next:     correct HTTPS_PROXY" in str(seen.error)
        assert "wr0ng" not in str(seen.error)

    def test_that_refuse_plain_http(self, packed: Package, monkeypatch: pytest.MonkeyPatch) -> None:
        with scripted(lambda _: Reply(407, b"", {"Proxy-Authenticate": "Basic realm=x"})) as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://me:wr0ng@{proxy.host}")
            there = "oci://registry.example.com:5000/team"
            seen = probe(Registry(there, plain_http=True), packed)
        assert "cannot be reached through the proxy 127.0.0.1" in str(seen.error)
        assert "407" in str(seen.error)
        assert "wr0ng" not in str(seen.error)

    def test_no_proxy(
        self,
        world: Callable[..., Internet],
        at: Callable[[str], Registry],
        packed: Package,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        there = world(Quirks())
        monkeypatch.setenv("NO_PROXY", "example.com")
        monkeypatch.setattr(transport, "_ATTEMPTS", 1)
        assert "cannot be resolved" in str(probe(at(f"oci://{HOST}/team"), packed).error)
        assert there.tunnels == []
