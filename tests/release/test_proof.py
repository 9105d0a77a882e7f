"""What speaks for a published chart is attached before its tag is seen, and whoever has the reference can check it."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from scripts.core.command import Runner
from scripts.core.config import Config, load_config
from scripts.core.errors import REFUSED, ConfigError, FindingsError, RegistryError, UsageError
from scripts.core.files import sha256
from scripts.registry.client import referrers_tag
from scripts.registry.embedded import registry_for
from scripts.registry.referrers import BUNDLE_PREDICATE, PREDICATE, Referrer, read_referrer
from scripts.release.evidence import CHANGES, NAMES, RECORD, VERDICT
from scripts.release.plan import Options, prepared
from scripts.release.proof import Demand
from scripts.release.sbom import MEDIA_TYPE as BOM_TYPE
from scripts.release.sign import BUNDLE, Trust
from scripts.release.statements import BOM, MEDIA_TYPE, PROVENANCE, STATEMENT_TYPE, TEST_RESULT, to_bytes
from scripts.toolchain.finder import Toolchain
from tests.release.conftest import TODAY, Project, left_alone, make_project, with_commit
from tests.release.reports import report, write_report
from tests.release.shelf import Shelf, changed, deploying
from tests.release.test_origin import with_submodule

VALIDATE = """\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
validator = JsonStrictValidator(SchemaVersion.from_version(sys.argv[1]))
for bill in sys.stdin.read().split("\\0"):
    print(repr(validator.validate_str(bill)).replace("\\n", " "))
"""
MATERIAL = "predicate/buildDefinition/resolvedDependencies/0"


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory, config: Config, toolchain: Toolchain, runner: Runner
) -> Iterator[Shelf]:
    """A release of a chart that deploys an image and has passed its smoke test, in a registry that goes on serving."""
    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        left_alone(folder, patch)
        project = deploying(with_commit(make_project(folder / "project", config, toolchain, runner)))
        project.release()
    with registry_for(project.work) as registry:
        yield Shelf(project, registry)


@pytest.fixture
def shelf(published: Shelf) -> Iterator[Shelf]:
    """That release; what a test attaches or takes away is put right after it."""
    with published.listed():
        yield published


# -- what is attached ------------------------------------------------------------------------------


def test_everything_that_speaks_for_the_chart_is_attached_and_passes(shelf: Shelf) -> None:
    found = shelf.contents()
    assert set(found) == {RECORD, PROVENANCE, TEST_RESULT, BOM_TYPE, CHANGES}
    proof = shelf.prove()
    assert {one.check: one.state for one in proof.checks} == {
        "digest": "passed",
        "layers": "passed",
        "signature": "not there",
        "provenance": "passed",
        "e2e": "passed",
        "sbom": "passed",
        "verdict": "not there",
        "record": "passed",
        "changelog": "passed",
    }
    proof.demand()
    (tested,) = [one.detail for one in proof.checks if one.check == "e2e"]
    assert tested.startswith("3 scenarios on Kubernetes v1.37.2, 4000 requests, none lost")  # but by the control
    commit = shelf.project.git("rev-parse", "HEAD")
    record = json.loads(found[RECORD])
    assert (record["commit"], record["digest"]) == (commit, proof.digest)
    assert not {"started", "finished", "seconds", "reference"} & record.keys()
    provenance = json.loads(found[PROVENANCE])
    assert provenance["subject"][0]["digest"]["sha256"] == proof.digest.removeprefix("sha256:")
    definition = provenance["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"][0]["digest"] == {"gitCommit": commit}
    assert definition["externalParameters"] == {"chart": "chart", "changelog": "CHANGELOG.md", "version": "1.2.0"}
    told = {one["name"]: one["digest"]["sha256"] for one in provenance["predicate"]["runDetails"]["byproducts"]}
    assert told["demo.cdx.json"] == sha256(found[BOM_TYPE])
    assert b"- The chart" in found[CHANGES]


def test_the_bill_names_files_and_the_images_of_every_values_set(shelf: Shelf) -> None:
    bill = json.loads(shelf.contents()[BOM_TYPE])
    files = {one["name"] for one in bill["components"] if one["type"] == "file"}
    assert files == {f"demo/{name}" for name in ("Chart.yaml", "values.yaml", "values-prod.yaml")} | {
        "demo/templates/map.yaml",
        "demo/templates/pod.yaml",
    }
    (image,) = [one for one in bill["components"] if one["type"] == "container"]
    assert (image["name"], image["version"]) == ("example.org/demo", "7")
    sets = [one["value"] for one in image["properties"] if one["name"] == "gati:values"]
    assert sets == ["values.yaml", "values-prod.yaml"]


def test_documents_are_as_the_published_schemas_say(shelf: Shelf) -> None:
    found = shelf.contents()
    bill = found[BOM_TYPE].decode()
    argv = (sys.executable, "-c", VALIDATE, json.loads(bill)["specVersion"])  # apart, with all that it asks of formats
    both = bill + "\0" + bill.replace('"components"', '"componentz"')
    told = subprocess.run(argv, input=both, check=True, capture_output=True, text=True).stdout.splitlines()
    assert told[0] == "None"
    assert "componentz" in told[1]
    for kind, predicate in ((PROVENANCE, provenance_pb2.Provenance()), (TEST_RESULT, test_result_pb2.TestResult())):
        told = json.loads(found[kind])
        statement = json_format.ParseDict(told, statement_pb2.Statement())  # which knows no other members
        Statement.copy_from_pb(statement).validate()
        json_format.ParseDict(told["predicate"], predicate)


def test_a_second_release_attaches_nothing(shelf: Shelf) -> None:
    project, first = shelf.project, shelf.contents()
    own = project.work.having(registry=shelf.registry.prefix, dist=project.config.dist.with_name("other"))
    said: list[str] = []
    with shelf.client() as client:
        digest = shelf.subject(client).digest
        before = shelf.index(client, digest)
        assert client.versions("demo") == ("1.2.0",)
        with prepared(replace(own, say=said.append), Options(), today=TODAY) as ready:
            assert {step.name: step.state for step in ready.plan}["attach"] == "same"
            ready.run()
        assert shelf.index(client, digest) == before
    assert not [line for line in said if line.startswith("attached")]
    assert shelf.contents() == first


def test_another_release_of_the_same_commit_attaches_the_same_bytes(shelf: Shelf, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shelf.project.git("clone", "--quiet", str(shelf.project.root), str(clone))
    own = load_config(clone, environ={}, dist=shelf.project.config.dist)
    work = replace(shelf.project.work, config=replace(own, cache_dir=shelf.project.config.cache_dir))
    with registry_for(work) as registry:
        with prepared(work.having(registry=registry.prefix), Options(), today=TODAY) as ready:
            ready.run()
        found = Shelf(shelf.project, registry).contents()
    assert {key for key, content in shelf.contents().items() if found[key] != content} == {PROVENANCE}
    ours, theirs = (json.loads(one[PROVENANCE])["predicate"] for one in (shelf.contents(), found))
    materials = [one["buildDefinition"]["resolvedDependencies"].pop(0)["digest"] for one in (ours, theirs)]
    assert (ours, materials[0]) == (theirs, materials[1])  # but for the address, as this clone has another remote


def test_what_was_published_bare_gets_what_is_missing(project: Project) -> None:
    bare = replace(project, work=project.work.having(attach=False))
    digest = bare.release().digest
    assert project.plan()["attach"] == "absent"
    assert project.release().digest == digest
    assert project.plan()["attach"] == "same"
    with registry_for(project.work) as registry:
        shelf = Shelf(project, registry)
        assert set(shelf.contents()) == {RECORD, PROVENANCE, BOM_TYPE, CHANGES}
        assert not shelf.prove().wanting()


def test_what_is_attached_later_is_named_by_a_provenance_as_well(project: Project) -> None:
    record = project.release()
    (project.root / "notes.md").write_text("Tested.\n")
    project.commit("Note it")  # another commit, that gives the same archive
    write_report(project.config, report(record.sha256))
    assert project.plan()["attach"] == "absent"
    assert project.release().digest == record.digest
    assert project.plan()["attach"] == "same"
    with registry_for(project.work) as registry:
        states = Shelf(project, registry).states()
    assert {state for row, state in states.items() if row not in ("signature", "verdict")} == {"passed"}


def test_what_others_attached_before_is_left_and_taken_for_nothing_of_ours(project: Project) -> None:
    replace(project, work=project.work.having(attach=False)).release()
    scanned = to_bytes({"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {"tools": [{"name": "trivy"}]}})
    with registry_for(project.work) as registry:
        Shelf(project, registry).add(BOM_TYPE, scanned)
    project.release()
    with registry_for(project.work) as registry:
        proof = Shelf(project, registry).prove(require=("sbom", "provenance", "record"))
    proof.demand()
    assert BOM_TYPE in {one.check: one.detail for one in proof.checks}["others"]


@pytest.mark.parametrize("key", [BOM_TYPE, RECORD, CHANGES])
def test_what_passes_for_ours_and_was_there_before_stops_the_release(project: Project, key: str) -> None:
    replace(project, work=project.work.having(attach=False)).release()
    with registry_for(project.work) as registry:
        Shelf(project, registry).add(key, b"{}")
    with pytest.raises(RegistryError, match=f"has something attached .*(?s:.*){NAMES[key]} sha256:") as refused:
        project.release()
    assert refused.value.code == REFUSED


def test_what_no_commit_holds_is_no_provenance_where_one_is_required(project: Project) -> None:
    (project.config.chart / "values.yaml").write_text("replicas: 5\n")
    project.release(allow_dirty=True)
    with registry_for(project.work) as registry:
        proof = Shelf(project, registry).prove(require=("provenance",))
    assert not replace(proof, require=()).wanting()
    with pytest.raises(FindingsError, match=r"provenance: not checked, made by .* of what no commit holds"):
        proof.demand()


def test_a_signature_in_the_older_form_of_cosign_is_said(project: Project) -> None:
    bare = replace(project, work=project.work.having(attach=False))
    bare.release()
    with registry_for(project.work) as registry:
        shelf = Shelf(project, registry)
        assert shelf.states()["signature"] == "not there"
        with shelf.client() as client:
            subject = shelf.subject(client)
            client.put_manifest(shelf.reference.repository, f"{referrers_tag(subject.digest)}.sig", subject.content)
        checks = {one.check: one for one in shelf.prove().checks}
    assert (checks["signature"].state, "older form" in checks["signature"].detail) == ("not checked", True)


def test_the_verdict_on_the_step_is_attached(project: Project) -> None:
    project.release()
    record = project.release(part="minor", tag=True)
    with registry_for(project.work) as registry:
        shelf = Shelf(project, registry, record.version)
        told = json.loads(shelf.contents()[VERDICT])
        assert (told["version"], told["current"]) == ("1.2.0", "1.3.0")
        assert shelf.states(version="1.3.0")["verdict"] == "passed"
        assert shelf.prove(version=None).reference.endswith("/demo:1.3.0")
        by_digest = shelf.prove(version=None, digest=record.digest)
        assert (by_digest.digest, by_digest.reference.rpartition(":")[2]) == (record.digest, "1.3.0")


# -- bad input -------------------------------------------------------------------------------------


def test_what_is_not_of_ours_is_named(shelf: Shelf) -> None:
    shelf.add("application/vnd.example.scan", b"{}")
    checks = {one.check: one for one in shelf.prove().checks}
    assert "application/vnd.example.scan" in checks["others"].detail
    assert checks["others"].state == "not checked"


@pytest.mark.parametrize(
    ("key", "row", "name"), [(TEST_RESULT, "e2e", "demo.test-result.json"), (RECORD, "record", "demo.release.json")]
)
def test_what_was_taken_away_fails_in_its_row(shelf: Shelf, key: str, row: str, name: str) -> None:
    shelf.take(key)
    assert shelf.detail(row) == f"the provenance names {name}, and it is not attached any longer"


@pytest.mark.parametrize(
    ("kind", "predicate", "row"),
    [
        (
            PROVENANCE,
            {"buildDefinition": {"buildType": "https://actions.github.io/buildtypes/workflow/v1"}},
            "provenance",
        ),
        (BOM, {"bomFormat": "CycloneDX", "metadata": {"tools": [{"name": "syft"}]}}, "sbom"),
    ],
)
def test_what_a_ci_system_attests_spoils_nothing(shelf: Shelf, kind: str, predicate: Any, row: str) -> None:
    digest = {"sha256": shelf.prove().digest.removeprefix("sha256:")}
    told = {"_type": STATEMENT_TYPE, "subject": [{"name": "demo", "digest": digest}], "predicateType": kind}
    payload = base64.b64encode(to_bytes(told | {"predicate": predicate})).decode()
    envelope = {"payloadType": MEDIA_TYPE, "payload": payload, "signatures": [{"sig": ""}]}
    material = {"certificate": {"rawBytes": ""}}
    bundle = {"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope}
    shelf.add(BUNDLE, to_bytes(bundle), **{BUNDLE_PREDICATE: kind})
    (check,) = [one for one in shelf.prove().checks if one.check == row]
    assert (check.state, "(not signed" in check.detail) == ("passed", True)


def test_a_scanners_bill_and_another_builders_statement_are_none_of_ours(shelf: Shelf) -> None:
    build = {"predicate": {"buildDefinition": {"buildType": "https://mobyproject.org/buildkit@v1"}}}
    shelf.add(BOM_TYPE, to_bytes({"bomFormat": "CycloneDX", "metadata": {"tools": [{"name": "trivy"}]}}))
    shelf.add(MEDIA_TYPE, to_bytes(build), **{PREDICATE: PROVENANCE})
    proof = shelf.prove(require=("provenance", "sbom"))
    proof.demand()
    (others,) = [one.detail for one in proof.checks if one.check == "others"]
    assert all(kind in others for kind in (BOM_TYPE, MEDIA_TYPE))


def test_what_is_listed_and_cannot_be_read_fails_in_its_row(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*words: Any) -> Referrer:
        found = read_referrer(*words)
        return Referrer(found.digest, "unreadable", problem="damaged") if found.key == BOM_TYPE else found

    monkeypatch.setattr("scripts.release.proof.read_referrer", read)
    assert shelf.detail("sbom").endswith(": damaged")


def test_what_is_damaged_in_the_registry_fails_as_its_digest(shelf: Shelf) -> None:
    told = shelf.prove()
    (file,) = shelf.project.root.rglob(told.sha256)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"?")
    try:
        proof, other = shelf.prove(require=("sbom",)), shelf.prove(version=None, digest=told.digest)
    finally:
        file.write_bytes(whole)
    assert f"demo@{told.digest}: its layer" in other.checks[0].detail
    assert [(one.check, one.state) for one in proof.checks] == [("digest", "failed")]
    assert proof.checks[0].detail.endswith("is not in the registry: BLOB_UNKNOWN"), "as crane's has it"
    with pytest.raises(FindingsError, match=r"demo:1\.2\.0 is not what it should be: digest"):
        proof.demand()


def test_a_statement_about_another_digest_fails(shelf: Shelf) -> None:
    shelf.replace(TEST_RESULT, changed(**{"subject/0/digest/sha256": "0" * 64}))
    assert "another digest: sha256:000" in shelf.detail("e2e")
    shelf.replace(PROVENANCE, changed(**{"subject/0/digest/sha256": "1" * 64}))
    assert "another digest: sha256:111" in shelf.detail("provenance")
    with pytest.raises(FindingsError, match="not what it should be: provenance, e2e"):
        shelf.prove().demand()


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        *(("config", value, "cannot be read") for value in (None, list[str](), "x")),
        ("config/size", "x", "cannot be read"),
        ("layers/0/size", 1, "damaged"),
        ("Layers", list[str](), "is no chart"),  # by which helm would go, since it is written in Go
    ],
)
def test_a_manifest_of_another_form_is_told(shelf: Shelf, place: str, value: Any, told: str) -> None:
    with shelf.client() as client:
        content = changed(**{place: value})(shelf.subject(client).content)
        digest = f"sha256:{sha256(content)}"
        client.put_manifest(shelf.reference.repository, digest, content)
    try:
        found = "\n".join(one.detail for one in shelf.prove(None, digest).checks if one.state == "failed")
    except RegistryError as error:
        found = error.message
    assert told in found


def test_an_archive_that_is_no_charts_is_named_without_a_version_too(shelf: Shelf) -> None:
    with shelf.client() as client:
        place = {"layers/0/digest": client.put_blob(shelf.reference.repository, b"none"), "layers/0/size": 4}
        content = changed(**place)(shelf.subject(client).content)
        client.put_manifest(shelf.reference.repository, digest := f"sha256:{sha256(content)}", content)
    with pytest.raises(RegistryError, match="holds no chart") as refused:
        shelf.prove(None, digest)
    assert (refused.value.found or "").startswith("demo.tgz is not a whole .tgz")


def test_a_tampered_bill_fails(shelf: Shelf) -> None:
    def other_image(content: bytes) -> bytes:
        return content.replace(b"example.org/demo", b"example.org/evil")

    shelf.replace(BOM_TYPE, other_image)
    assert "the image example.org/evil 7, which is not there; it lacks the image example.org/demo 7" in shelf.detail(
        "sbom"
    )


def test_a_bill_that_names_another_version_of_the_chart_fails(shelf: Shelf) -> None:
    shelf.replace(BOM_TYPE, changed(**{"metadata/component/version": "9.9.9"}))
    assert "it has the application demo 9.9.9, which is not there" in shelf.detail("sbom")


def test_a_bill_of_other_values_sets_than_the_charts_fails(shelf: Shelf) -> None:
    sets = [{"name": "gati:values", "value": name} for name in ("values.yaml", "/etc/hostname")]
    shelf.replace(BOM_TYPE, changed(**{"metadata/properties": sets}))
    assert "/etc/hostname, in place of values.yaml, values-prod.yaml" in shelf.detail("sbom")


def test_a_bill_that_says_the_same_in_other_bytes_is_not_the_one_of_the_provenance(shelf: Shelf) -> None:
    shelf.replace(BOM_TYPE, lambda content: content + b"\n")
    assert "the provenance names another one" in shelf.detail("sbom")


def test_a_forged_pass_fails(shelf: Shelf) -> None:
    where = "predicate/configuration/0/annotations/scenarios/upgrade"
    shelf.replace(TEST_RESULT, changed(**{f"{where}/lost": 12}))
    assert "it says PASSED, and: upgrade lost 12 of 4000 requests" in shelf.detail("e2e")


def test_a_forged_pass_of_what_was_not_tried_fails(shelf: Shelf) -> None:
    shelf.replace(TEST_RESULT, changed(**{"predicate/passedTests": ["upgrade", "autoscale", "drain"]}))
    assert "it tells of no autoscale that passed; it tells of no drain that passed" in shelf.detail("e2e")


def test_a_failed_test_result_fails(shelf: Shelf) -> None:
    shelf.replace(TEST_RESULT, changed(**{"predicate/result": "FAILED", "predicate/failedTests": ["rollback"]}))
    assert "rollback failed" in shelf.detail("e2e")


def test_a_test_result_of_another_archive_fails(shelf: Shelf) -> None:
    shelf.replace(TEST_RESULT, changed(**{"subject/1/digest/sha256": "2" * 64}))
    assert "another archive: sha256 222" in shelf.detail("e2e")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"subject": 1}'])
def test_what_is_broken_fails_in_its_row(shelf: Shelf, content: bytes) -> None:
    keys = {PROVENANCE: "provenance", TEST_RESULT: "e2e", BOM_TYPE: "sbom", RECORD: "record", CHANGES: "changelog"}
    for key in keys:
        shelf.replace(key, lambda _: content)
    states = shelf.states()
    assert {row: states[row] for row in keys.values()} == dict.fromkeys(keys.values(), "failed")


@pytest.mark.parametrize(
    ("key", "change", "why"),
    [
        (PROVENANCE, {"predicate/runDetails/builder/id": None}, "it names no builder but None"),
        (BOM_TYPE, {"bomFormat": "SPDX"}, "it is SPDX 1.6, and not CycloneDX 1"),
        (BOM_TYPE, {"specVersion": "2.0"}, "it is CycloneDX 2.0"),
        (RECORD, {"schema_version": 99}, "it has schema_version 99, and this toolkit reads 1"),
    ],
)
def test_what_is_of_another_form_fails_in_its_row(shelf: Shelf, key: str, change: dict[str, Any], why: str) -> None:
    shelf.replace(key, changed(**change))
    assert why in shelf.detail({PROVENANCE: "provenance", BOM_TYPE: "sbom", RECORD: "record"}[key])


def test_a_record_or_verdict_about_something_else_fails(shelf: Shelf) -> None:
    shelf.replace(RECORD, changed(digest="sha256:" + "3" * 64))
    assert "it is about demo 1.2.0, sha256:333" in shelf.detail("record")
    told: dict[str, Any] = {"schema_version": 1, "chart": "demo", "current": "9.9.9", "version": "1.0.0"}
    told |= {"level": "patch", "enough": True, "reasons": []}
    shelf.add(VERDICT, to_bytes(told))
    assert "it is about demo 9.9.9" in shelf.detail("verdict")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "the version was raised by too little: the step from 1.1.9 is major"),
        ({"part": "patch"}, "the version was raised by too little"),
        ({"level": "patch", "part": "patch"}, "it says patch, and its reasons are major"),
        ({"version": "newest"}, "it is no verdict (VersionError: "),
        ({"reasons": [{"level": "huge"}]}, "it is no verdict (ValueError: "),
    ],
)
def test_a_verdict_that_calls_too_little_enough_fails(shelf: Shelf, changes: dict[str, Any], told: str) -> None:
    said: dict[str, Any] = {"schema_version": 1, "chart": "demo", "current": "1.2.0", "version": "1.1.9"}
    said |= {"level": "major", "part": "major", "enough": True, "reasons": [{"level": "major"}]}
    shelf.add(VERDICT, to_bytes(said | changes))
    assert told in shelf.detail("verdict")


def test_a_provenance_of_another_commit_than_the_records_fails(shelf: Shelf) -> None:
    commit = json.loads(shelf.contents()[RECORD])["commit"]
    place = "predicate/buildDefinition/resolvedDependencies/0/digest/gitCommit"
    shelf.replace(PROVENANCE, changed(**{place: "5" * 40}))
    assert f"it names commit {commit}, and the provenance {'5' * 40}" in shelf.detail("record")


def test_what_is_said_stays_in_its_row(shelf: Shelf) -> None:
    shelf.replace(TEST_RESULT, changed(predicateType="x\nsignature: passed, by us\n" + "y" * 100_000))
    with pytest.raises(FindingsError) as refused:
        shelf.prove().demand()
    (line,) = str(refused.value.found).splitlines()
    assert line.startswith("e2e: failed")
    assert len(line) < 2000


def test_a_second_statement_beside_ours_does_not_hide(shelf: Shelf) -> None:
    other = changed(**{"subject/0/digest/sha256": "4" * 64})(shelf.contents()[PROVENANCE])
    shelf.add(MEDIA_TYPE, other, **{PREDICATE: PROVENANCE})
    assert "another digest: sha256:444" in shelf.detail("provenance")


def test_whose_signature_is_asked_for_has_to_have_signed(shelf: Shelf, tmp_path: Path) -> None:
    key = tmp_path / "own.pub"
    with pytest.raises(ConfigError, match="there is no key at"):
        Trust(key=str(key))
    key.write_text("")
    with pytest.raises(FindingsError, match="signature: not there"):
        shelf.prove(trust=Trust(key=str(key))).demand()
    for row in ("provenance", "record", "sbom", "changelog"):
        assert re.search("not signed by|no provenance that is believed", shelf.detail(row, trust=Trust(key=str(key))))
    with pytest.raises(FindingsError, match="pgp: not there"):
        shelf.prove(keyring=str(key)).demand()
    with pytest.raises(ConfigError, match="there is no keyring at own"):
        shelf.prove(keyring="own.gpg")


def test_what_is_required_has_to_be_there(shelf: Shelf) -> None:
    with pytest.raises(FindingsError, match="verdict"):
        shelf.prove(require=("verdict",)).demand()
    shelf.prove(require=("e2e", "provenance", "sbom")).demand()
    with pytest.raises(UsageError, match="whose signature"):
        Demand(require=("signature",))
    with pytest.raises(ConfigError, match="unknown value"):
        Demand(require=("luck",))


@pytest.fixture
def source(shelf: Shelf, tmp_path: Path) -> Callable[..., str]:
    """Makes a git command in a clone that the provenance names from then on; what it prints."""
    clone = tmp_path / "source"
    shelf.project.git("clone", "--quiet", str(shelf.project.root), str(clone))
    commit = shelf.project.git("rev-parse", "HEAD")
    shelf.replace(PROVENANCE, changed(**{f"{MATERIAL}/uri": f"git+file://{clone}@{commit}"}))

    def git(*words: str) -> str:
        return shelf.project.git("-C", str(clone), *words)

    return git


def test_the_commit_gives_the_published_bytes_again(shelf: Shelf, source: Callable[..., str]) -> None:
    shelf.prove(require=("rebuild", "provenance")).demand()
    other = changed(**{f"{MATERIAL}/digest/gitCommit": "5" * 40})(shelf.contents()[PROVENANCE])
    shelf.add(MEDIA_TYPE, other, **{PREDICATE: PROVENANCE})
    assert "5555" in shelf.detail("rebuild", rebuild=True)


def test_a_commit_with_a_submodule_gives_the_published_bytes_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("COUNT", "1"), ("KEY_0", "protocol.file.allow"), ("VALUE_0", "always")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    with_submodule(project)
    bare = project.root.parent / "theirs"
    project.git("clone", "--quiet", "--bare", str(project.root), str(bare))
    project.git("remote", "add", "origin", str(bare))
    project.release()
    with registry_for(project.work) as registry:
        shelf = Shelf(project, registry)
        assert shelf.states(rebuild=True)["rebuild"] == "passed"
        monkeypatch.setenv("GIT_CONFIG_COUNT", "0")
        refused = "gives other bytes; - demo/files/x.txt; its submodules cannot be fetched: fatal:"
        assert refused in shelf.detail("rebuild", rebuild=True)  # git takes no submodule from a folder unasked


def test_a_rebuild_is_asked_for_where_no_repository_is_named(shelf: Shelf) -> None:
    with pytest.raises(FindingsError, match="not what it should be: rebuild"):
        shelf.prove(rebuild=True).demand()


def test_a_commit_that_was_pushed_over_fails_and_so_does_one_that_is_gone(
    shelf: Shelf, source: Callable[..., str]
) -> None:
    assert shelf.states(rebuild=True)["rebuild"] == "passed"
    source("commit", "--quiet", "--amend", "--message", "Say it otherwise")
    source("update-ref", "-d", "refs/remotes/origin/main")
    source("update-ref", "-d", "ORIG_HEAD")
    assert "was replaced in" in shelf.detail("rebuild", rebuild=True)
    source("remote", "remove", "origin")
    source("reflog", "expire", "--expire=now", "--all")
    source("gc", "--quiet", "--prune=now")
    assert "nobody has it any longer" in shelf.detail("rebuild", rebuild=True)


def test_a_shallow_clone_that_lacks_the_commit_fails(shelf: Shelf, source: Callable[..., str], tmp_path: Path) -> None:
    source("commit", "--quiet", "--allow-empty", "--message", "Go on")
    source("clone", "--quiet", "--depth=1", f"file://{tmp_path}/source", f"{tmp_path}/shallow")
    commit = shelf.project.git("rev-parse", "HEAD")
    shelf.replace(PROVENANCE, changed(**{f"{MATERIAL}/uri": f"git+file://{tmp_path}/shallow@{commit}"}))
    assert "shallow clone" in shelf.detail("rebuild", rebuild=True)


def test_a_commit_that_gives_other_bytes_fails(shelf: Shelf, source: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "source" / "chart" / "values.yaml").write_text("replicas: 5\n")
    source("commit", "--quiet", "--all", "--message", "Change it")
    later = source("rev-parse", "HEAD")
    uri = f"git+file://{tmp_path}/source@{later}"
    shelf.replace(PROVENANCE, changed(**{f"{MATERIAL}/digest/gitCommit": later, f"{MATERIAL}/uri": uri}))
    assert "gives other bytes; ~ demo/values.yaml" in shelf.detail("rebuild", rebuild=True)


@pytest.mark.parametrize(
    "url", ["file:///nowhere", "ext::sh -c touch% /tmp/owned", "-u/tmp", "https://user:secret@127.0.0.1:9/x"]
)
def test_an_address_that_cannot_be_cloned_fails(shelf: Shelf, url: str) -> None:
    commit = shelf.project.git("rev-parse", "HEAD")
    shelf.replace(
        PROVENANCE, changed(**{"predicate/buildDefinition/resolvedDependencies/0/uri": f"git+{url}@{commit}"})
    )
    found = shelf.detail("rebuild", rebuild=True)
    assert "secret" not in found
    assert not Path("/tmp/owned").exists()


@pytest.mark.parametrize(("path", "told"), [("../../etc", "leads out of"), ("a" * 300, "leads nowhere in")])
def test_a_path_that_leads_out_of_the_clone_or_nowhere_fails(
    shelf: Shelf, source: Callable[..., str], path: str, told: str
) -> None:
    shelf.replace(PROVENANCE, changed(**{"predicate/buildDefinition/externalParameters/chart": path}))
    assert told in shelf.detail("rebuild", rebuild=True)


def test_what_is_not_published_is_no_row(shelf: Shelf) -> None:
    with pytest.raises(RegistryError, match="is not published") as told:
        shelf.prove(version="7.7.7")
    assert str(told.value.run).startswith("invoke verify oci://")
    with pytest.raises(RegistryError, match=r"demo@sha256:5+ is not published"):
        shelf.prove(version=None, digest="sha256:" + "5" * 64)
    with pytest.raises(RegistryError, match="not what the reference says"):
        shelf.prove(digest="sha256:" + "5" * 64)
