"""A chart is published once, never overwritten, and read back; on crane's registry and on one with users and TLS."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests

from scripts.chart.archive import Package
from scripts.chart.helm import Helm
from scripts.chart.source import Chart, read_chart
from scripts.core.command import Runner
from scripts.core.config import Config, load_config
from scripts.core.errors import ChartError, RegistryError
from scripts.registry.client import connect
from scripts.registry.credentials import Credentials
from scripts.registry.embedded import as_spoken
from scripts.registry.reference import Registry
from scripts.release.proof import Demand, prove
from scripts.release.publish import demand_push, probe, publish
from scripts.release.verify import verify
from scripts.toolchain.finder import Toolchain
from scripts.workspace import Workspace
from tests.registry.conftest import Served, repack, write_chart
from tests.registry.quirks import Quirks, Quirky
from tests.registry.servers import PASSWORD, USER, Authority, Reply, Request, make_authority, oci_error, scripted


@pytest.fixture(params=["crane", "distribution"])
def served(request: pytest.FixtureRequest) -> Served:
    """Each of the two registries."""
    found: Served = request.getfixturevalue(request.param)
    return found


def test_absent_pushed_same(served: Served, packed: Package, chart: Chart, helm: Helm) -> None:
    assert probe(served.registry, packed).state == "absent"
    first = publish(served.registry, packed, chart, helm)
    assert (first.state, first.digest) == ("pushed", packed.manifest_digest)
    assert first.reference == f"{served.registry.remote}/demo:1.2.3"
    assert served.writes()

    written = len(served.writes())
    said: list[str] = []
    second = publish(served.registry, packed, chart, helm, said.append)
    assert (second.state, second.digest) == ("same", packed.manifest_digest)
    assert len(served.writes()) == written
    assert "published already, the same" in said[0]
    assert probe(served.registry, packed).state == "same"

    seen = verify(served.registry, packed)
    assert (seen.digest, seen.sha256, seen.size) == (packed.manifest_digest, packed.sha256, packed.size)


@pytest.mark.parametrize("plain_http", [False, True])
def test_authorities_that_are_configured_do_not_make_plain_http_tls(
    crane: Served, packed: Package, helm: Helm, authority: Authority, plain_http: bool
) -> None:
    registry = Registry(crane.registry.remote, plain_http, ca_file=authority.ca)
    assert publish(registry, packed, None, helm).state == "pushed"


def test_a_chart_in_an_index_is_read_as_helm_reads_it(
    crane: Served, packed: Package, chart: Chart, helm: Helm, tmp_path: Path, work: Workspace
) -> None:
    publish(crane.registry, packed, chart, helm)
    url = f"http://{crane.registry.host}/v2/charts/demo/manifests"
    content = requests.get(f"{url}/1.2.3", timeout=5).content
    kind = "application/vnd.oci.image"
    entry = {"mediaType": f"{kind}.manifest.v1+json", "digest": packed.manifest_digest, "size": len(content)}
    other = content.replace(b"For \\u003ctests", b"Of \\u003ctests").replace(packed.sha256.encode(), b"0" * 64)
    assert other != content
    requests.put(
        f"{url}/other", data=other, headers={"Content-Type": f"{kind}.manifest.v1+json"}, timeout=5
    ).raise_for_status()
    second = {**entry, "digest": f"sha256:{hashlib.sha256(other).hexdigest()}", "size": len(other)}
    for entries, words in (([entry], ""), ([], "found:    0"), ([entry, second], "found:    2")):
        index = {"schemaVersion": 2, "mediaType": f"{kind}.index.v1+json", "manifests": entries}
        answer = requests.put(f"{url}/1.2.3", json=index, headers={"Content-Type": f"{kind}.index.v1+json"}, timeout=5)
        answer.raise_for_status()
        if words:
            assert probe(crane.registry, packed).state == "different"
            with pytest.raises(RegistryError, match=rf"(?s)is no chart.*{words}"):
                prove(work, crane.registry, "demo", "1.2.3", None, Demand())
        else:
            pull = ("pull", f"{crane.registry.remote}/demo", "--version", "1.2.3", "--plain-http", "-d", tmp_path)
            helm.runner.run((helm.path, *pull))
            proof = prove(work, crane.registry, "demo", "1.2.3", None, Demand())
            assert (proof.sha256, proof.wanting()) == (packed.sha256, ())
            assert probe(crane.registry, packed).state == "same"


def test_helm_pulls_what_was_published(
    served: Served, packed: Package, chart: Chart, helm: Helm, runner: Runner, tmp_path: Path
) -> None:
    reference = publish(served.registry, packed, chart, helm).reference
    argv: list[str | Path] = [helm.path, "pull", reference, "--destination", tmp_path / "pulled"]
    (tmp_path / "pulled").mkdir()
    if served.registry.ca_file:
        login: list[str | Path] = [
            helm.path,
            "registry",
            "login",
            served.registry.host,
            "--ca-file",
            served.registry.ca_file,
        ]
        runner.run([*login, "--username", USER, "--password-stdin"], stdin=PASSWORD)
        argv += ["--ca-file", served.registry.ca_file]
    else:
        argv.append("--plain-http")
    runner.run(argv)
    assert (tmp_path / "pulled" / "demo-1.2.3.tgz").read_bytes() == packed.path.read_bytes()


def test_other_content_is_refused_with_the_files_that_differ(
    served: Served, project: Config, packed: Package, chart: Chart, helm: Helm
) -> None:
    publish(served.registry, packed, chart, helm)
    write_chart(project.chart, replicas=2)
    (project.chart / "README.md").write_text("new\n")
    changed = repack(project, helm)
    written = len(served.writes())
    assert probe(served.registry, changed).state == "different"
    with pytest.raises(RegistryError) as caught:
        publish(served.registry, changed, read_chart(project.chart), helm)
    message = str(caught.value)
    assert "is not overwritten" in message
    assert "+ demo/README.md" in message
    assert "~ demo/values.yaml" in message
    assert "invoke diff --from 1.2.3" in message
    assert len(served.writes()) == written


def test_an_archive_pushed_by_hand_is_the_same_chart(
    crane: Served, packed: Package, chart: Chart, helm: Helm, tmp_path: Path
) -> None:
    (tmp_path / "logins").write_text("{}")
    os.utime(packed.path, (1, 1))
    helm.push(packed.path, crane.registry.remote, registry_config=tmp_path / "logins", flags=["--plain-http"])
    seen = publish(crane.registry, packed, chart, helm)
    assert seen.state == "same"
    assert seen.digest != packed.manifest_digest
    assert verify(crane.registry, packed, digest=seen.digest).sha256 == packed.sha256
    with pytest.raises(RegistryError, match="is not what was packaged"):
        verify(crane.registry, packed)


def test_build_metadata_becomes_an_underscore(crane: Served, project: Config, helm: Helm) -> None:
    write_chart(project.chart, version="1.2.3-rc.1+build.7")
    made = repack(project, helm)
    assert made.path.name == "demo-1.2.3-rc.1+build.7.tgz"
    published = publish(crane.registry, made, read_chart(project.chart), helm)
    assert published.reference.endswith("/charts/demo:1.2.3-rc.1_build.7")
    assert verify(crane.registry, made).digest == made.manifest_digest
    with connect(crane.registry) as client:
        assert client.versions("demo") == ("1.2.3-rc.1+build.7",)


def test_a_signature_beside_the_archive_is_not_pushed(crane: Served, packed: Package, chart: Chart, helm: Helm) -> None:
    packed.path.with_name(packed.path.name + ".prov").write_text("left from another day")
    assert publish(crane.registry, packed, chart, helm).digest == packed.manifest_digest


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, toolchain: Toolchain) -> Package:
    """An archive above 20 MiB."""
    folder, noise = tmp_path_factory.mktemp("large"), random.Random(7)
    write_chart(folder / "chart")
    for number in range(5):  # helm takes no file above 5 MiB
        (folder / "chart" / f"noise-{number}.bin").write_bytes(noise.randbytes(5_000_000))
    return repack(load_config(folder, environ={}, chart=folder / "chart"), Helm(toolchain.path("helm"), Runner()))


def test_an_archive_above_20_mib(served: Served, large: Package, helm: Helm) -> None:
    assert large.size > 20 << 20
    seen = publish(served.registry, large, None, helm)
    assert verify(served.registry, large, digest=seen.digest).size == large.size


def test_an_archive_that_is_not_the_tree_is_refused(
    crane: Served, project: Config, packed: Package, helm: Helm
) -> None:
    write_chart(project.chart, replicas=5)
    (project.chart / "templates" / "more.yaml").write_text("")
    with pytest.raises(ChartError) as caught:
        publish(crane.registry, packed, read_chart(project.chart), helm)
    assert "is not the chart in" in str(caught.value)
    assert "~ demo/values.yaml" in str(caught.value)
    assert "+ demo/templates/more.yaml" in str(caught.value)
    assert caught.value.run == "invoke package"
    assert not crane.writes()


def test_an_archive_of_another_version_is_refused(crane: Served, project: Config, packed: Package, helm: Helm) -> None:
    write_chart(project.chart, version="1.2.4")
    with pytest.raises(ChartError, match=r"expected:\s+demo 1\.2\.4[\s\S]*found:\s+demo 1\.2\.3"):
        publish(crane.registry, packed, read_chart(project.chart), helm)
    assert not crane.writes()


class Meanwhile(Helm):
    """A helm during whose push somebody else publishes `theirs`, before (or in place of) ours."""

    theirs: Package
    fails = False
    after = False

    def push(self, archive: Path, remote: str, **options: object) -> None:
        if self.after:
            super().push(archive, remote, **options)  # type: ignore[arg-type]
        super().push(self.theirs.path, remote, **options)  # type: ignore[arg-type]
        if self.fails:
            self.runner.run(["false"])


def meanwhile(helm: Helm, theirs: Package, **ways: bool) -> Meanwhile:
    """`helm` with a competitor."""
    rival = Meanwhile(helm.path, helm.runner)
    object.__setattr__(rival, "theirs", theirs)
    for name, value in ways.items():
        object.__setattr__(rival, name, value)
    return rival


@pytest.mark.parametrize(
    ("ways", "words"),
    [({"after": True}, "while we pushed, somebody else has published"), ({"fails": True}, "meanwhile somebody else")],
)
def test_a_race_is_told(
    crane: Served, project: Config, chart: Chart, helm: Helm, tmp_path: Path, ways: dict[str, bool], words: str
) -> None:
    write_chart(project.chart, replicas=9)
    theirs = repack(project, helm)
    theirs = replace(theirs, path=theirs.path.rename(tmp_path / theirs.path.name))
    write_chart(project.chart)
    ours = repack(project, helm)
    with pytest.raises(RegistryError, match=words):
        publish(crane.registry, ours, chart, meanwhile(helm, theirs, **ways))


def test_the_same_chart_published_by_another_run_is_fine(
    crane: Served, packed: Package, chart: Chart, helm: Helm
) -> None:
    os.utime(packed.path, (packed.epoch, packed.epoch))
    assert publish(crane.registry, packed, chart, meanwhile(helm, packed, fails=True)).state == "pushed"


def test_a_failed_push_tells_helms_words(
    crane: Served, packed: Package, chart: Chart, runner: Runner, helm: Helm
) -> None:
    class Failing(Helm):
        def push(self, *_: object, **__: object) -> None:
            runner.run(["sh", "-c", "echo 'Error: denied: no write here' >&2; exit 1"])

    with pytest.raises(RegistryError, match=r"demo:1\.2\.3 cannot be pushed\s+found:\s+denied: no write here"):
        publish(crane.registry, packed, chart, Failing(helm.path, runner))


@pytest.mark.parametrize(
    ("words", "times", "pushes"),
    [
        ("unexpected status: 502 Bad Gateway", 2, 3),
        ("unexpected status: 502 Bad Gateway", 3, 3),
        ("response status code 429: too many requests", 1, 2),
        ("response status code 403: denied", 1, 1),
    ],
)
def test_a_push_that_fails_is_tried_three_times_and_one_that_is_refused_once(
    crane: Served,
    packed: Package,
    chart: Chart,
    runner: Runner,
    helm: Helm,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    times: int,
    pushes: int,
) -> None:
    monkeypatch.setattr("scripts.release.publish.pause", lambda _: None)

    class Failing(Helm):
        def push(self, *given: Any, **named: Any) -> None:
            said.append("pushes")
            if said.count("pushes") <= times:
                runner.run(["sh", "-c", f"echo 'Error: {words}' >&2; exit 1"])
            super().push(*given, **named)

    said: list[str] = []
    with contextlib.nullcontext() if times < pushes else pytest.raises(RegistryError, match=words):
        assert publish(crane.registry, packed, chart, Failing(helm.path, runner), said.append).state == "pushed"
    assert said.count("pushes") == pushes


class TestLogins:
    def test_none(self, distribution: Served, packed: Package, chart: Chart, helm: Helm) -> None:
        registry = replace(distribution.registry, credentials=None)
        seen = probe(registry, packed)
        assert seen.state == "unknown"
        assert "asks for a login" in str(seen.error)
        with pytest.raises(RegistryError, match="asks for a login, and none is known") as caught:
            publish(registry, packed, chart, helm)
        assert caught.value.run is not None
        assert caught.value.run.startswith(f"helm registry login {registry.host}")
        assert not distribution.writes()

    def test_a_wrong_password(self, distribution: Served, packed: Package, chart: Chart, helm: Helm) -> None:
        wrong = Credentials(USER, "battery staple", "the test")
        with pytest.raises(RegistryError, match=rf"refuses the login of {USER} \(the test\)") as caught:
            publish(replace(distribution.registry, credentials=wrong), packed, chart, helm)
        assert "battery staple" not in str(caught.value)
        assert not distribution.writes()

    def test_the_password_is_on_no_command_line_and_in_no_log(
        self, distribution: Served, packed: Package, chart: Chart, toolchain: Toolchain
    ) -> None:
        said: list[str] = []
        echoing = Helm(toolchain.path("helm"), Runner(echo=said.append))
        publish(distribution.registry, packed, chart, echoing, said.append)
        told = "\n".join([*said, *distribution.lines(), repr(distribution.registry)])
        assert "helm push" in told
        assert distribution.registry.credentials is not None
        for secret in (PASSWORD, distribution.registry.credentials.basic()):
            assert secret not in told

    def test_the_file_with_the_login_is_private_and_gone(
        self, distribution: Served, packed: Package, chart: Chart, helm: Helm
    ) -> None:
        seen: list[tuple[Path, int]] = []

        class Watching(Helm):
            def push(self, archive: Path, remote: str, **options: object) -> None:
                file = options["registry_config"]
                assert isinstance(file, Path)
                seen.append((file, file.stat().st_mode & 0o777))
                super().push(archive, remote, **options)  # type: ignore[arg-type]

        publish(distribution.registry, packed, chart, Watching(helm.path, helm.runner))
        ((file, mode),) = seen
        assert mode == 0o600
        assert not file.parent.exists()


class TestTls:
    def test_an_unknown_authority(self, distribution: Served, packed: Package, chart: Chart, helm: Helm) -> None:
        with pytest.raises(RegistryError, match=r"certificate of 127\.0\.0\.1:\d+ is not trusted"):
            publish(replace(distribution.registry, ca_file=None), packed, chart, helm)

    def test_plain_http_where_tls_is_spoken(
        self, distribution: Served, packed: Package, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(distribution.registry.ca_file))
        seen = probe(replace(distribution.registry, ca_file=None, plain_http=True), packed)
        assert seen.state == "unknown"
        assert "is not an OCI registry" in seen.detail

    @pytest.mark.parametrize("title", ["400 No required SSL certificate was sent", "400 The SSL certificate error"])
    def test_a_client_certificate_that_a_page_asks_for(self, packed: Package, title: str) -> None:
        body = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>nginx</body></html>".encode()  # as nginx has it
        with scripted(lambda _: Reply(400, body, {"Content-Type": "text/html"})) as server:
            seen = probe(Registry(f"oci://{server.host}/x", plain_http=True), packed)
        assert seen.error is not None
        assert seen.error.found == f"HTTP 400, a page: {title}"
        assert "registry_cert" in (seen.error.run or "")

    def test_plain_http_beside_a_file_for_tls_is_tls_where_it_is_spoken_as_with_helm(
        self, distribution: Served, packed: Package, helm: Helm, work: Workspace, tmp_path: Path
    ) -> None:
        registry = replace(distribution.registry, plain_http=True)
        assert publish(registry, packed, None, helm).state == "pushed"
        told = work.having(registry=registry.remote, plain_http=True, registry_ca=str(registry.ca_file))
        assert (seen := as_spoken(told)) is not None
        assert not seen.plain_http
        with pytest.raises(RegistryError, match="is not trusted"):
            publish(replace(registry, ca_file=make_authority(tmp_path).ca), packed, None, helm)

    def test_the_authority_in_the_environment(
        self,
        distribution: Served,
        packed: Package,
        chart: Chart,
        helm: Helm,
        authority: Authority,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/hostname")
        assert publish(replace(distribution.registry, ca_file=None), packed, chart, helm).state == "pushed"


class TestVerify:
    def test_absent(self, crane: Served, packed: Package) -> None:
        with pytest.raises(RegistryError, match="is not published"):
            verify(crane.registry, packed)

    def test_a_damaged_layer(self, crane: Served, packed: Package, chart: Chart, helm: Helm, tmp_path: Path) -> None:
        publish(crane.registry, packed, chart, helm)
        blob = tmp_path / "crane" / "sha256" / packed.sha256
        blob.write_bytes(blob.read_bytes()[:-1] + b"x")
        with pytest.raises(RegistryError, match=r"its layer sha256:.* is not in the registry"):
            verify(crane.registry, packed)

    def test_a_missing_layer(self, crane: Served, packed: Package, chart: Chart, helm: Helm, tmp_path: Path) -> None:
        publish(crane.registry, packed, chart, helm)
        (tmp_path / "crane" / "sha256" / packed.sha256).unlink()
        with pytest.raises(RegistryError):
            verify(crane.registry, packed)

    def test_a_tampered_manifest(self, crane: Served, packed: Package, chart: Chart, helm: Helm) -> None:
        import requests

        publish(crane.registry, packed, chart, helm)
        with connect(crane.registry) as client:
            reference = crane.registry.reference("demo", "1.2.3")
            found = client.manifest(reference)
        assert found is not None
        url = f"http://{crane.registry.host}/v2/{reference.repository}/manifests/1.2.3"
        content = found.content.replace(b"For ", b"Not ")
        requests.put(url, data=content, headers={"Content-Type": found.media_type}, timeout=5).raise_for_status()
        with pytest.raises(RegistryError, match=r"is not what was packaged"):
            verify(crane.registry, packed)

    def test_an_archive_changed_in_dist(self, crane: Served, packed: Package, chart: Chart, helm: Helm) -> None:
        publish(crane.registry, packed, chart, helm)
        packed.path.write_bytes(b"x")
        with pytest.raises(RegistryError, match="holds another archive"):
            verify(crane.registry, packed)


@pytest.mark.parametrize(
    ("status", "location", "words"),
    [
        (202, "/v2/upload", None),
        (202, "https://registry.example.com/v2/upload", "has uploads go where they are not sent"),  # a wrong http.host
        (403, "", "takes nothing in"),
        (405, "", "takes nothing in"),  # as of one that is only read for a while
    ],
)
def test_who_may_not_push_hears_of_it_before_anything_is_written(
    packed: Package, status: int, location: str, words: str | None
) -> None:
    def answer(request: Request) -> Reply:
        return Reply(status, b"", {"Location": location}) if request.method == "POST" else Reply(200)

    with scripted(answer) as server:
        registry = Registry(f"oci://{server.host}/charts")
        if words is not None:
            with pytest.raises(RegistryError, match=words):
                demand_push(registry, packed)
        else:
            demand_push(registry, packed)
        assert [one.path for one in server.requests if one.method == "POST"] == ["/v2/charts/demo/blobs/uploads/"]


def test_an_upload_that_cannot_be_given_up_is_left_at_once(packed: Package) -> None:
    place = {"Location": "/v2/upload"}
    with scripted(lambda request: Reply({"POST": 202, "DELETE": 503}.get(request.method, 200), b"", place)) as server:
        demand_push(Registry(f"oci://{server.host}/charts"), packed)
        assert [one.method for one in server.requests].count("DELETE") == 1


def test_a_wrong_password_is_told_as_one_where_anybody_may_read(packed: Package) -> None:
    basic = oci_error(401, "UNAUTHORIZED", **{"WWW-Authenticate": 'Basic realm="x"'})
    with scripted(lambda request: basic if request.method == "POST" else Reply(200)) as server:
        login = Credentials("me", "wrong", source="the environment")
        registry = Registry(f"oci://{server.host}/charts", credentials=login)
        with pytest.raises(RegistryError, match=r"refuses the login of me \(the environment\)"):
            demand_push(registry, packed)


def test_an_upload_that_is_led_in_a_circle_is_none_that_helm_waits_for(packed: Package, helm: Helm) -> None:
    def answer(request: Request) -> Reply:
        if request.method == "POST":
            return Reply(308, b"", {"Location": "/v2/again"})
        return Reply(200) if request.path == "/v2/" else oci_error(404, "NAME_UNKNOWN")

    with scripted(answer) as server, pytest.raises(RegistryError, match="leads on without an end"):
        publish(Registry(f"oci://{server.host}/charts"), packed, None, helm)
    assert "Helm" not in str([request.headers.get("user-agent") for request in server.requests])


@pytest.mark.parametrize(("status", "words"), [(307, None), (308, None), (302, "leads a POST to a place")])
def test_an_upload_that_is_led_elsewhere_in_the_registry_goes_there_as_with_helm(
    status: int, words: str | None, packed: Package, helm: Helm
) -> None:
    quirky = Quirky(Quirks(challenges=()))

    def answer(request: Request) -> Reply:
        if request.method == "POST" and not request.path.startswith("/moved"):
            return Reply(status, b"", {"Location": f"/moved{request.path}"})
        return quirky.answer(replace(request, path=request.path.removeprefix("/moved")))

    with scripted(answer) as server:
        registry = Registry(f"oci://{server.host}/charts")
        if words is not None:
            with pytest.raises(RegistryError, match=words):
                demand_push(registry, packed)
            return
        with connect(registry, push=True) as client:
            client.put_blob("charts/demo", b"what is attached")
        assert publish(registry, packed, None, helm).state == "pushed"


def test_the_right_to_push_is_asked_for_and_not_that_to_pull_alone(packed: Package) -> None:
    def answer(request: Request) -> Reply:
        if request.path.startswith("/token"):
            return Reply(200, b'{"token": "abc"}')
        if request.headers.get("authorization") != "Bearer abc":
            return Reply(401, b"", {"WWW-Authenticate": f'Bearer realm="http://{server.host}/token",service="b"'})
        return Reply(202, b"", {"Location": "/v2/upload"})

    with scripted(answer) as server:
        demand_push(Registry(f"oci://{server.host}/charts"), packed)
        asked = [unquote(one.path) for one in server.requests if one.path.startswith("/token")]
    assert asked
    assert all("scope=repository:charts/demo:pull,push" in one for one in asked)
