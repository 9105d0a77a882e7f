"""What is attached to a chart is found again, by us and by others, in registries with the referrers API and without."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from scripts.chart.archive import Package
from scripts.chart.helm import Helm
from scripts.chart.manifest_digest import MANIFEST_TYPE, sha256
from scripts.core.command import Runner
from scripts.core.config import Config
from scripts.core.errors import RegistryError
from scripts.core.waiting import locked
from scripts.registry import client as client_module
from scripts.registry import referrers as referrers_module
from scripts.registry.client import INDEX_TYPE, Client, Found, connect, referrers_tag
from scripts.registry.reference import Reference, Registry
from scripts.registry.referrers import PREDICATE, Attachment, attach, attached, content_of, manifest_of, read_referrer
from scripts.release.publish import publish, stage
from scripts.toolchain.finder import Toolchain
from tests.registry.conftest import Served, wait_until_served
from tests.registry.quirks import Quirks, Quirky
from tests.registry.servers import PASSWORD, USER, Reply, Request, free_port, oci_error, scripted

WHEN = "2026-11-01T00:00:00Z"
THINGS = (
    Attachment("application/vnd.example.record", "application/json", "record.json", b'{"a": 1}'),
    Attachment("application/vnd.in-toto+json", "application/vnd.in-toto+json", "one.json", b"{}", {PREDICATE: "urn:1"}),
    Attachment("application/vnd.in-toto+json", "application/vnd.in-toto+json", "two.json", b"{}", {PREDICATE: "urn:2"}),
)
# The registry of crane's module with its referrers API, which no flag of crane's turns on.
MAIN = """\
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	log.Fatal(http.ListenAndServe(os.Args[1], registry.New(registry.WithReferrersSupport(true))))
}
"""


@pytest.fixture(scope="session")
def referring_binary(
    config: Config, toolchain: Toolchain, runner: Runner, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """That registry, built once into the user's cache, which takes longer than all that asks for it."""
    key = sha256(f"{toolchain.module('crane').h1} {MAIN}".encode()).removeprefix("sha256:")
    kept = config.cache_dir / f"test-referring-{key[:12]}"
    with locked(kept.with_name("test-referring.lock"), what="building a registry for tests", deadline=600):
        if not kept.exists():
            source = shutil.copytree(toolchain.source("crane"), tmp_path_factory.mktemp("referring") / "source")
            (source / "cmd" / "referring").mkdir()
            (source / "cmd" / "referring" / "main.go").write_text(MAIN)
            go, out = toolchain._go.binary, kept.with_name(f".{kept.name}")
            env = {"GOFLAGS": "-mod=mod -buildvcs=false", "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
            runner.run([go, "build", "-o", out, "./cmd/referring"], cwd=source, env=env, deadline=600)
            out.replace(kept)
    return kept


@pytest.fixture
def referring(referring_binary: Path, runner: Runner, tmp_path: Path) -> Iterator[Served]:
    """A registry with the referrers API, without logins and TLS."""
    port, log = free_port(), tmp_path / "referring.log"
    with runner.start([referring_binary, f"127.0.0.1:{port}"], log=log):
        wait_until_served(lambda: requests.get(f"http://127.0.0.1:{port}/v2/", timeout=1))
        yield Served(Registry(f"oci://127.0.0.1:{port}/charts"), log)


@pytest.fixture(params=["crane", "distribution", pytest.param("referring", marks=pytest.mark.timeout(600))])
def served(request: pytest.FixtureRequest) -> Served:
    """Each of the registries: two without the API, one of them with users and TLS, and one with it."""
    found: Served = request.getfixturevalue(request.param)
    return found


def staged(client: Client, packed: Package) -> tuple[Reference, Found]:
    """The chart under its digest alone."""
    reference = client.registry.reference(packed.name, packed.version)
    return reference, stage(client, reference, packed, packed.path.read_bytes())


def test_attached_before_the_tag_is_there_and_found_by_it(served: Served, packed: Package, helm: Helm) -> None:
    with connect(served.registry, push=True) as client:
        reference, subject = staged(client, packed)
        assert client.manifest(reference) is None
        assert client.referrers(reference, subject.digest) == ()
        written = attach(client, reference, subject, THINGS, WHEN)
        assert written == tuple(sha256(manifest_of(subject, one, WHEN)) for one in THINGS)
        assert client.manifest(reference) is None
    published = publish(served.registry, packed, None, helm)
    assert (published.state, published.digest) == ("pushed", packed.manifest_digest)
    with connect(served.registry) as client:
        found = attached(client, reference, published.digest)
        assert [one.key for one in found] == ["application/vnd.example.record", "urn:1", "urn:2"]
        read = read_referrer(client, reference, published.digest, found[0].digest)
        assert content_of(client, reference, read) == THINGS[0].content
        assert client.versions("demo") == ("1.2.3",)


def listed(client: Client, reference: Reference, subject: Found) -> list[str]:
    """The digests of what is attached; a registry's API tells them in any order."""
    return sorted(str(one["digest"]) for one in client.referrers(reference, subject.digest))


def test_a_second_time_writes_nothing(served: Served, packed: Package) -> None:
    with connect(served.registry, push=True) as client:
        reference, subject = staged(client, packed)
        attach(client, reference, subject, THINGS[:2], WHEN)
        before = listed(client, reference, subject)
        writes = len(served.writes())
        assert attach(client, reference, subject, THINGS[:2], WHEN) == ()
        assert len(served.writes()) == writes
        assert listed(client, reference, subject) == before
        assert len(attach(client, reference, subject, THINGS, WHEN)) == 1


def test_those_who_attach_at_the_same_time_lose_nothing(served: Served, packed: Package) -> None:
    with connect(served.registry, push=True) as client:
        reference, subject = staged(client, packed)

    def one(number: int) -> None:
        thing = Attachment(f"application/vnd.example.{number}", "text/plain", "file", b"%d" % number)
        with connect(served.registry, push=True) as own:
            attach(own, reference, subject, [thing], WHEN)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(one, range(3)))
    with connect(served.registry) as client:
        assert len(attached(client, reference, subject.digest)) == 3


def test_oras_and_crane_read_what_is_attached(
    served: Served, packed: Package, helm: Helm, toolchain: Toolchain, runner: Runner, tmp_path: Path
) -> None:
    with connect(served.registry, push=True) as client:
        reference, subject = staged(client, packed)
        attach(client, reference, subject, THINGS, WHEN)
    publish(served.registry, packed, None, helm)
    registry, name = served.registry, str(reference).removeprefix("oci://")
    words = ["--ca-file", str(registry.ca_file)] if registry.ca_file else ["--plain-http"]
    words += ["--username", USER, "--password-stdin"] if registry.credentials else []
    argv: list[str | Path] = [toolchain.path("oras"), "discover", "--format", "json", *words, name]
    listed = json.loads(runner.run(argv, stdin=PASSWORD, deadline=60).stdout)["referrers"]
    kinds = sorted(one["artifactType"] for one in listed)
    if kinds == ["application/vnd.oci.empty.v1+json"] * 3:
        pytest.skip("this registry's API tells the type of the config in place of the manifest's, against the standard")
    assert kinds == ["application/vnd.example.record", *["application/vnd.in-toto+json"] * 2]
    record = next(one for one in listed if one["artifactType"] == "application/vnd.example.record")
    argv = [toolchain.path("oras"), "pull", *words, "--output", tmp_path / "pulled", record["reference"]]
    runner.run(argv, stdin=PASSWORD, deadline=60)
    assert (tmp_path / "pulled" / "record.json").read_bytes() == THINGS[0].content
    if registry.ca_file is None:
        manifest = runner.run([toolchain.path("crane"), "manifest", record["reference"]]).stdout
        assert json.loads(manifest)["subject"]["digest"] == packed.manifest_digest


# -- registries that are otherwise ------------------------------------------------------------------


def about(status: int, body: bytes = b"", kind: str = "application/json") -> Any:
    """A registry that answers the API so, and holds nothing."""

    def answer(request: Request) -> Reply:
        if "/referrers/" in request.path:
            return Reply(status, body, {"Content-Type": kind})
        return Reply(200, b"{}") if request.path == "/v2/" else oci_error(404, "MANIFEST_UNKNOWN")

    return answer


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, b"404 page not found", "text/plain"),
        (404, b'{"errors": [{"code": "NAME_UNKNOWN"}]}', "application/json"),
        (405, b"", "text/plain"),
        (501, b"", "text/plain"),
        (400, b"", "text/plain"),
        (200, b"<html></html>", "text/html"),
    ],
)
def test_a_registry_without_the_api_is_looked_into_by_the_tag(status: int, body: bytes, kind: str) -> None:
    with scripted(about(status, body, kind)) as server:
        registry = Registry(f"oci://{server.host}/charts")
        with connect(registry) as client:
            assert client.referrers(registry.reference("demo", "1.0.0"), "sha256:" + "0" * 64) == ()
        assert any(one.path.endswith("/manifests/sha256-" + "0" * 64) for one in server.requests)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not listed at once is not waited for."""
    monkeypatch.setattr(referrers_module, "LAG", 0.05)
    monkeypatch.setattr(referrers_module, "_SETTLE", 0.01)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("notes", [True, False])
def test_what_an_api_takes_and_never_lists_is_listed_at_the_tag(packed: Package, notes: bool) -> None:
    quirky = Quirky(Quirks(challenges=(), referrers=lambda _: [], notes_subjects=notes))
    said: list[str] = []
    with scripted(quirky.answer) as server, connect(Registry(f"oci://{server.host}/charts"), push=True) as client:
        reference, subject = staged(client, packed)
        attach(client, reference, subject, THINGS, WHEN, said.append)
        found = [one.key for one in attached(client, reference, subject.digest)]
        assert found == ["application/vnd.example.record", "urn:1", "urn:2"]
        assert attach(client, reference, subject, THINGS, WHEN) == ()
    told = [line.partition(": ")[0] for line in said if line.startswith("attached ")]
    assert told == [f"attached {one.title}" for one in THINGS]
    said = [line for line in said if not line.startswith("attached ")]
    assert len(said) == notes
    assert all(
        f"lists nothing as attached, though it took it: it is listed at the tag {referrers_tag(subject.digest)}" in line
        for line in said
    )


def test_a_list_that_may_be_written_once_takes_nothing_more_and_what_helps_is_said(packed: Package) -> None:
    quirky = Quirky(Quirks(challenges=(), immutable=409))
    with scripted(quirky.answer) as server, connect(Registry(f"oci://{server.host}/charts"), push=True) as client:
        reference, subject = staged(client, packed)
        attach(client, reference, subject, THINGS[:2], WHEN)
        assert attach(client, reference, subject, THINGS[:2], WHEN) == ()
        with pytest.raises(RegistryError, match="takes nothing in charts/demo") as told:
            attach(client, reference, subject, THINGS, WHEN)
    assert "let the tags sha256-* be written again" in str(told.value.run)
    assert referrers_tag(subject.digest) in str(told.value.found)


def test_what_others_attach_may_have_a_digest_of_another_kind() -> None:
    digest = f"sha512:{'a' * 128}"
    body = json.dumps({"manifests": [{"digest": digest, "artifactType": "a/b", "annotations": {}}]}).encode()
    with scripted(about(200, body, INDEX_TYPE)) as server:
        registry = Registry(f"oci://{server.host}/charts")
        with connect(registry) as client:
            (one,) = attached(client, registry.reference("demo", "1.0.0"), "sha256:" + "0" * 64)
            assert (one.digest, one.key) == (digest, "a/b")
            read = read_referrer(client, registry.reference("demo", "1.0.0"), "sha256:" + "0" * 64, digest)
            assert read.problem == "its manifest is not in the registry"


@pytest.mark.usefixtures("impatient")
def test_an_api_that_has_listed_nothing_before_is_not_waited_for(
    packed: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    quirky = Quirky(Quirks(challenges=(), referrers=lambda _: [], notes_subjects=True))
    with scripted(quirky.answer) as server, connect(Registry(f"oci://{server.host}/charts"), push=True) as client:
        reference, subject = staged(client, packed)
        attach(client, reference, subject, THINGS, WHEN)
        later = replace(subject, content=subject.content + b" ", digest=sha256(subject.content + b" "))
        client.put_manifest(reference.repository, later.digest, later.content)
        monkeypatch.setattr(referrers_module, "LAG", 1000.0)
        begin = time.monotonic()
        assert len(attach(client, reference, later, THINGS, WHEN)) == len(THINGS)
        assert len(attached(client, reference, later.digest)) == len(THINGS)
    assert time.monotonic() - begin < 60


@pytest.mark.usefixtures("impatient")
def test_what_an_api_lists_in_part_is_refused(packed: Package) -> None:
    quirky = Quirky(Quirks(challenges=(), referrers=lambda there: there[:1], notes_subjects=True))
    with scripted(quirky.answer) as server, connect(Registry(f"oci://{server.host}/charts"), push=True) as client:
        reference, subject = staged(client, packed)
        with pytest.raises(RegistryError, match=f"{server.host} does not list all that is attached to") as told:
            attach(client, reference, subject, THINGS, WHEN)
    assert str(told.value.expected).count("sha256:") == 2


def test_what_an_api_lists_late_is_waited_for(packed: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(referrers_module, "_SETTLE", 0.01)
    answers = iter([False, False, False, True])
    quirky = Quirky(
        Quirks(challenges=(), referrers=lambda there: there if next(answers, True) else [], notes_subjects=True)
    )
    with scripted(quirky.answer) as server, connect(Registry(f"oci://{server.host}/charts"), push=True) as client:
        reference, subject = staged(client, packed)
        assert len(attach(client, reference, subject, THINGS, WHEN)) == len(THINGS)
        assert len(attached(client, reference, subject.digest)) == len(THINGS)
    assert quirky.tags("charts/demo") == []


@pytest.mark.parametrize("body", [b'{"schemaVersion": 2, "manifests": null}', b"{}"])
def test_an_empty_list_as_go_may_write_it(body: bytes) -> None:
    with scripted(about(200, body, INDEX_TYPE)) as server:
        registry = Registry(f"oci://{server.host}/charts")
        with connect(registry) as client:
            assert client.referrers(registry.reference("demo", "1.0.0"), "sha256:" + "0" * 64) == ()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"{"),
        (200, b"[]"),
        (200, b'{"manifests": 1}'),
        (200, b'{"manifests": [{"digest": "../../etc"}]}'),
        (403, b""),
        (418, b""),
    ],
)
def test_a_list_that_cannot_be_had_is_no_empty_one(status: int, body: bytes) -> None:
    with scripted(about(status, body, INDEX_TYPE)) as server:
        registry = Registry(f"oci://{server.host}/charts")
        with connect(registry) as client, pytest.raises(RegistryError) as told:
            client.referrers(registry.reference("demo", "1.0.0"), "sha256:" + "0" * 64)
    assert told.value.message.count("http://") <= 1, told.value  # the address is named once


def test_pages_of_the_list_are_followed_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_MOST_PAGES", 20)

    def answer(request: Request) -> Reply:
        if "/referrers/" not in request.path:
            return Reply(200, b"{}")
        page = int(request.path.partition("page=")[2] or 0)
        body = json.dumps({"manifests": [{"digest": f"sha256:{page:064x}"}]}).encode()
        more = {"Link": f'<?page={page + 1}>; rel="next"'} if page < 2 or "endless" in request.path else {}
        return Reply(200, body, {"Content-Type": INDEX_TYPE.upper() if page else INDEX_TYPE, **more})

    with scripted(answer) as server:
        registry = Registry(f"oci://{server.host}/charts")
        with connect(registry) as client:
            found = client.referrers(registry.reference("demo", "1.0.0"), "sha256:" + "0" * 64)
            assert [one["digest"][-1] for one in found] == ["0", "1", "2"]
            with pytest.raises(RegistryError, match="has no end"):
                client.referrers(registry.reference("endless", "1.0.0"), "sha256:" + "0" * 64)


@pytest.mark.parametrize("location", ["https://elsewhere.example/upload?state=s3cret", "/upload", ""])
def test_an_upload_that_is_led_elsewhere_or_refused_is_said(location: str) -> None:
    def answer(request: Request) -> Reply:
        if request.method == "POST":
            return Reply(202, b"", {"Location": location} if location else {})
        if request.method == "PUT":
            return oci_error(403, "DENIED")
        return Reply(200, b"{}")

    with scripted(answer) as server:
        registry = Registry(f"oci://{server.host}/charts")
        with connect(registry, push=True) as client:
            refusal = "takes nothing in" if location == "/upload" else "has uploads go where they are not sent"
            with pytest.raises(RegistryError, match=refusal) as caught:
                client.put_blob("charts/demo", b"{}")
            assert "s3cret" not in str(caught.value.found)
            with pytest.raises(RegistryError, match="takes nothing in"):
                client.put_manifest("charts/demo", "1", b"{}")
        sent = [one for one in server.requests if one.method == "PUT" and "upload" in one.path]
        assert bool(sent) is (location == "/upload")


def test_the_fragment_of_an_uploads_place_is_left_out() -> None:
    def answer(request: Request) -> Reply:
        if request.method == "POST":
            return Reply(202, b"", {"Location": "/upload?state=a#b"})
        return Reply(201) if request.path.startswith("/upload?state=a&digest=sha256") else Reply(404)

    with scripted(answer) as server, connect(Registry(f"oci://{server.host}/charts"), push=True) as client:
        client.put_blob("charts/demo", b"{}")


def test_a_body_that_is_too_large_for_what_stands_before_the_registry() -> None:
    def answer(request: Request) -> Reply:
        if request.method == "POST":
            return Reply(202, b"", {"Location": "/upload"})
        return Reply(413, b"<html></html>", {"Content-Type": "text/html"})

    with scripted(answer) as server, connect(Registry(f"oci://{server.host}/charts"), push=True) as client:
        with pytest.raises(RegistryError, match="takes nothing in") as caught:
            client.put_blob("charts/demo", b"{}")
        assert "let larger bodies through" in str(caught.value.run)


@pytest.mark.parametrize(("lost", "tries"), [(2, 3), (9, 3)])
def test_an_upload_that_another_server_has_begun_is_begun_anew(lost: int, tries: int) -> None:
    left = [lost]

    def answer(request: Request) -> Reply:
        if request.method == "POST":
            return Reply(202, b"", {"Location": "/upload"})
        left[0] -= 1
        return oci_error(404, "BLOB_UPLOAD_UNKNOWN") if left[0] >= 0 else Reply(201)

    with scripted(answer) as server, connect(Registry(f"oci://{server.host}/charts"), push=True) as client:
        if lost < tries:
            client.put_blob("charts/demo", b"{}")
        else:
            with pytest.raises(RegistryError, match="takes nothing in") as caught:
                client.put_blob("charts/demo", b"{}")
            assert "share their uploads" in str(caught.value.run)
        assert [one.method for one in server.requests if one.path != "/v2/"].count("POST") == tries


def test_a_registry_that_is_full_is_told_so_at_once() -> None:
    with (
        scripted(lambda _: Reply(507)) as server,
        connect(Registry(f"oci://{server.host}/charts"), push=True) as client,
    ):
        with pytest.raises(RegistryError, match="takes nothing in") as caught:
            client.demand_push("demo")
        assert "make room at" in str(caught.value.run)


def test_what_is_listed_and_is_none_has_a_reason(crane: Served, packed: Package) -> None:
    with connect(crane.registry, push=True) as client:
        reference, subject = staged(client, packed)
        attach(client, reference, subject, THINGS[:1], WHEN)
        other = replace(subject, content=subject.content + b" ", digest=sha256(subject.content + b" "))
        stranger = manifest_of(other, THINGS[1], WHEN)
        endless = manifest_of(subject, THINGS[1], WHEN).replace(
            b'"size":2,"annotations"', b'"size":1e999,"annotations"'
        )
        for data in (b"{}", THINGS[1].content):
            client.put_blob(reference.repository, data)
        for data in (stranger, endless):
            client.put_manifest(reference.repository, sha256(data), data)
        tag = replace(reference, version=referrers_tag(subject.digest))
        index = client.manifest(tag)
        assert index is not None
        told = json.loads(index.content)
        told["manifests"] += [
            *({"mediaType": MANIFEST_TYPE, "digest": sha256(one), "size": len(one)} for one in (stranger, endless)),
            {"mediaType": MANIFEST_TYPE, "digest": subject.digest, "size": len(subject.content)},
        ]
        client.put_manifest(reference.repository, tag.tag, json.dumps(told).encode(), INDEX_TYPE)
        problems = {one.digest: one.problem for one in attached(client, reference, subject.digest)}
    assert problems[sha256(stranger)] == f"it is attached to {other.digest}"
    assert problems[subject.digest] == problems[sha256(endless)] == "its manifest is none of a referrer"
