"""What is attached is signed by a key, and with that key demanded nothing else is believed."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from scripts.core.command import SIGNING_PASSWORDS, Runner
from scripts.core.config import Config, load_config
from scripts.core.errors import ConfigError, FindingsError, RegistryError, ReleaseError, ToolError
from scripts.registry.client import Client
from scripts.registry.embedded import registry_for
from scripts.registry.reference import Reference
from scripts.registry.referrers import BUNDLE_PREDICATE, PREDICATE, Referrer, content_of
from scripts.release.evidence import RECORD
from scripts.release.plan import Options, prepared
from scripts.release.sbom import MEDIA_TYPE as BOM_TYPE
from scripts.release.sign import BUNDLE, Trust, demand_key, demand_signable, fault_of, read_bundle
from scripts.release.sign import Signed as Bundle
from scripts.release.statements import BOM, MEDIA_TYPE, PROVENANCE, SIGNATURE, STATEMENT_TYPE, TEST_RESULT
from scripts.toolchain.finder import Toolchain
from scripts.workspace import Workspace, open_workspace
from tests.release import cosign
from tests.release.conftest import TODAY, Project, left_alone, make_project, with_commit
from tests.release.reports import report, write_report
from tests.release.shelf import Shelf, changed, deploying

PASSWORD = "a pass phrase"
ROWS = ("signature", "provenance", "e2e", "sbom", "record", "changelog")


class StandIn(Toolchain):
    """The pinned tools, with the stand-in for cosign."""

    script: Path

    def path(self, name: str) -> Path:
        return self.script if name == "cosign" else super().path(name)


@dataclass(frozen=True)
class Signed:
    """A signed release, the key that has signed it, and one that has not."""

    shelf: Shelf
    key: Path
    other: Path
    tools: Toolchain


def cosign_keys(tools: Toolchain, folder: Path, name: str) -> tuple[Path, Path]:
    """A key pair of cosign's own making."""
    env = {"COSIGN_PASSWORD": PASSWORD, "HOME": str(folder), "PATH": "/usr/bin:/bin"}
    argv = (tools.path("cosign"), "generate-key-pair", "--output-key-prefix", name)
    subprocess.run(argv, cwd=folder, env=env, check=True, capture_output=True)
    return folder / f"{name}.key", folder / f"{name}.pub"


@pytest.fixture(
    scope="module",
    params=["stand-in", pytest.param("cosign", marks=[pytest.mark.signed, pytest.mark.timeout(2400)])],
)
def signed(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    config: Config,
    toolchain: Toolchain,
    runner: Runner,
) -> Iterator[Signed]:
    """A release that is signed, in a registry that goes on serving."""
    folder, tools = tmp_path_factory.mktemp("signed"), toolchain
    if request.param == "stand-in":
        tools = StandIn(config.cache_dir, runner)
        tools.script = folder / "cosign"
        tools.script.write_text(f"#!{sys.executable}\n{Path(cosign.__file__).read_text()}")
        tools.script.chmod(0o755)
        (private, public), (_, other) = (cosign.make_keys(folder, name, PASSWORD) for name in ("own", "other"))
    else:
        (private, public), (_, other) = (cosign_keys(tools, folder, name) for name in ("own", "other"))
    with pytest.MonkeyPatch.context() as patch:
        left_alone(folder, patch)
        patch.setenv(SIGNING_PASSWORDS[0], PASSWORD)
        project = deploying(with_commit(make_project(folder / "project", config, toolchain, runner)))
        project = replace(project, work=replace(project.work.having(signing_key=str(private)), tools=tools))
        project.release()
    with registry_for(project.work) as registry:
        yield Signed(Shelf(project, registry), public, other, tools)


@pytest.fixture
def shelf(signed: Signed) -> Iterator[Shelf]:
    """That release; what a test attaches or takes away is put right after it."""
    with signed.shelf.listed():
        yield signed.shelf


def test_what_is_signed_passes_with_its_key(signed: Signed, shelf: Shelf) -> None:
    statements = {f"signed {kind}" for kind in (SIGNATURE, PROVENANCE, TEST_RESULT, BOM)}
    assert {key for key in shelf.contents() if key.startswith("signed")} == statements
    recorded = [proof.rpartition(" ")[0] for proof in shelf.project.record()["proofs"]]
    assert len([proof for proof in recorded if proof.startswith("signature on ")]) == len(statements)
    proof = shelf.prove(trust=Trust(key=str(signed.key)), require=("signature", "e2e", "provenance", "sbom"))
    proof.demand()
    assert {one.check: one.state for one in proof.checks if one.check in ROWS} == dict.fromkeys(ROWS, "passed")


def test_without_a_key_it_is_said_that_it_was_not_checked(shelf: Shelf) -> None:
    checks = {one.check: one for one in shelf.prove().checks}
    assert checks["signature"].state == "not checked"
    assert checks["provenance"].detail.endswith("(its signature is not checked)")


def test_what_is_tested_after_the_release_is_signed_too(
    signed: Signed, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SIGNING_PASSWORDS[0], PASSWORD)
    work = replace(project.work.having(signing_key=str(signed.key.with_suffix(".key"))), tools=signed.tools)
    project = replace(project, work=work)
    write_report(project.config, report(project.release().sha256))
    project.release()
    with registry_for(work) as registry:
        Shelf(project, registry).prove(trust=Trust(key=str(signed.key)), require=("e2e", "record", "sbom")).demand()


def test_what_somebody_put_there_before_is_not_signed(
    signed: Signed, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(project, work=project.work.having(attach=False)).release()
    monkeypatch.setenv(SIGNING_PASSWORDS[0], PASSWORD)
    work = replace(project.work.having(signing_key=str(signed.key.with_suffix(".key"))), tools=signed.tools)
    record, builder = project.record(), {"predicate/runDetails/builder/id": "https://ci.example.org"}
    about = {0: record["digest"].removeprefix("sha256:"), 1: record["sha256"]}
    forged = changed(**builder, **{f"subject/{at}/digest/sha256": told for at, told in about.items()})
    with registry_for(project.work) as registry:
        shelf, mine = Shelf(project, registry), forged(signed.shelf.contents()[PROVENANCE])
        shelf.add(MEDIA_TYPE, mine, **{PREDICATE: PROVENANCE})
    with pytest.raises(RegistryError, match=r"has something attached .*(?s:.*)provenance sha256:"):
        replace(project, work=work).release()
    with registry_for(work) as registry:
        detail = Shelf(replace(project, work=work), registry).detail("provenance", trust=Trust(key=str(signed.key)))
    assert f"not signed by {signed.key}" in detail


def test_a_bundle_that_cannot_be_read_stops_no_release(
    signed: Signed, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reading(client: Client, reference: Reference, one: Referrer) -> bytes:
        if one.kind == BUNDLE:
            raise RegistryError("it is gone")
        return content_of(client, reference, one)

    replace(project, work=project.work.having(attach=False)).release()
    with registry_for(project.work) as registry:
        Shelf(project, registry).add(BUNDLE, b"{}", **{BUNDLE_PREDICATE: SIGNATURE})
    monkeypatch.setattr("scripts.release.plan.content_of", reading)
    monkeypatch.setenv(SIGNING_PASSWORDS[0], PASSWORD)
    work = replace(project.work.having(signing_key=str(signed.key.with_suffix(".key"))), tools=signed.tools)
    replace(project, work=work).release()
    assert replace(project, work=work).plan()["attach"] == "same"


def test_the_signature_of_another_key_fails(signed: Signed, shelf: Shelf) -> None:
    trust = Trust(key=str(signed.other))
    assert f"not by {signed.other}" in shelf.detail("signature", trust=trust)
    for row in ("provenance", "e2e", "sbom"):
        assert f"it is not signed by {signed.other}" in shelf.detail(row, trust=trust)
    with pytest.raises(FindingsError, match="signature"):
        shelf.prove(trust=trust).demand()


def test_an_identity_or_what_is_no_public_key_is_not_held_against_a_key(signed: Signed, shelf: Shelf) -> None:
    trust = Trust(identity="me@example.org", issuer="https://issuer.example.org")
    assert "signed by a key, which no certificate names" in shelf.detail("signature", trust=trust)
    for key in (shelf.project.root / "CHANGELOG.md", shelf.project.work.config.signing_key):
        with pytest.raises(ConfigError, match="is no public key"):
            shelf.prove(trust=Trust(key=str(key)))


def test_a_statement_that_was_changed_beside_its_signature_fails(signed: Signed, shelf: Shelf) -> None:
    where = "predicate/configuration/0/annotations/scenarios/upgrade"
    shelf.replace(TEST_RESULT, changed(**{f"{where}/requests": 9000}))
    for demand in ({}, {"trust": Trust(key=str(signed.key))}):
        assert "what is signed says something else" in shelf.detail("e2e", **demand)


def test_all_of_it_written_anew_by_one_without_the_key_fails(signed: Signed, shelf: Shelf) -> None:
    shelf.replace(RECORD, changed(tag="demo-6.6.6"))
    shelf.replace(f"signed {PROVENANCE}", lambda _: b"{}")
    trust = Trust(key=str(signed.key))
    assert "no bundle with a statement" in shelf.detail("signature", trust=trust)
    assert "it is not signed by" in shelf.detail("provenance", trust=trust)
    assert "no provenance that is believed names it" in shelf.detail("record", trust=trust)


def test_a_statement_beside_the_signed_one_in_the_same_bundle_fails(signed: Signed, shelf: Shelf) -> None:
    def forged(content: bytes) -> bytes:
        told, evil = json.loads(content), shelf.contents()[PROVENANCE]
        older = base64.b64encode(json.dumps(told["dsseEnvelope"]).encode()).decode()
        return json.dumps(
            told
            | {"base64Signature": older}
            | {"dsseEnvelope": told["dsseEnvelope"] | {"payload": base64.b64encode(evil).decode()}}
        ).encode()

    where = "predicate/buildDefinition/resolvedDependencies/0/digest/gitCommit"
    shelf.replace(PROVENANCE, changed(**{where: "e" * 40}))
    shelf.replace(f"signed {PROVENANCE}", forged)
    assert "it is not signed by" in shelf.detail("provenance", trust=Trust(key=str(signed.key)))


def test_only_what_the_signed_provenance_names_is_fetched(signed: Signed, shelf: Shelf) -> None:
    material = "predicate/buildDefinition/resolvedDependencies/0/uri"
    shelf.replace(PROVENANCE, changed(**{material: f"git+file:///nowhere@{'e' * 40}"}))
    assert shelf.states(trust=Trust(key=str(signed.key)), rebuild=True)["rebuild"] == "not there"


def test_a_bundle_of_another_digest_or_with_another_payload_fails(signed: Signed, shelf: Shelf) -> None:
    def other(content: bytes) -> bytes:
        told = json.loads(content)
        payload = json.loads(base64.b64decode(told["dsseEnvelope"]["payload"]))
        payload["subject"][0]["digest"]["sha256"] = "6" * 64
        told["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
        return json.dumps(told).encode()

    shelf.replace(f"signed {SIGNATURE}", other)
    assert "another digest: sha256:666" in shelf.detail("signature", trust=Trust(key=str(signed.key)))


@pytest.mark.parametrize("kind", ["https://example.org/scan/v1", "a\0b", "\ud800", "x" * 3_000_000])
def test_what_cosign_attests_beside_ours_spoils_nothing(signed: Signed, shelf: Shelf, kind: str) -> None:
    told = json.loads(shelf.contents()[f"signed {PROVENANCE}"])
    payload = json.loads(base64.b64decode(told["dsseEnvelope"]["payload"]))
    payload |= {"_type": "https://in-toto.io/Statement/v0.1", "predicateType": kind}
    told["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    shelf.add(BUNDLE, json.dumps(told).encode(), **{BUNDLE_PREDICATE: "https://example.org/scan/v1"})
    shelf.prove(trust=Trust(key=str(signed.key)), require=("signature", "provenance")).demand()


@pytest.fixture
def failing(signed: Signed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes cosign end with the words that are given; returns the file in which it writes how it was called."""
    script, called = tmp_path / "cosign", tmp_path / "called"

    def fail(words: str) -> Path:
        told = f"echo 'Error: {words}' >&2; echo 'error during command execution: {words}' >&2"
        script.write_text(f"#!/bin/sh\necho \"$@\" > '{called}'\n{told}\nexit 1\n")
        script.chmod(0o755)
        return called

    monkeypatch.setattr(type(signed.tools), "path", lambda tools, name: script if name == "cosign" else Path(name))
    return fail


@pytest.mark.parametrize(
    "words", ["could not fetch verifier public key: none", "loading public key: read .vault-token"]
)
def test_a_key_that_cannot_be_fetched_is_no_verdict(shelf: Shelf, failing: Callable[[str], Path], words: str) -> None:
    failing(words)
    with pytest.raises(ToolError, match="gives no public key"):
        shelf.prove(trust=Trust(key="awskms:///alias/x"))


@pytest.mark.parametrize(("root", "fault"), [(False, ToolError), (True, ConfigError)])
def test_without_a_trusted_root_there_is_no_verdict(
    signed: Signed, tmp_path: Path, failing: Callable[[str], Path], root: bool, fault: type[ReleaseError]
) -> None:
    failing("setting trusted material: no such mirror")
    (file := tmp_path / "root.json").write_text("{}")
    trust = Trust(identity="me", issuer="https://issuer.example.org", root=str(file) if root else "")
    told = Bundle(SIGNATURE, {}, "certificate", b"{}")
    with pytest.raises(fault, match=r"(?s)trusted root.*found: +setting trusted material: no such mirror"):
        fault_of(signed.shelf.project.work, told, "sha256:" + "7" * 64, trust)


def test_a_token_that_is_not_taken_is_told_and_nobody_is_sent_to_a_browser(
    signed: Signed, failing: Callable[[str], Path]
) -> None:
    called = failing("getting signer: token is expired")
    with pytest.raises(ToolError, match=r"(?s)keyless.*found: +getting signer: token is expired.*has not expired"):
        demand_signable(signed.shelf.project.work.having(signing_key="keyless"), {"SIGSTORE_ID_TOKEN": "old"})
    assert "--fulcio-auth-flow=token" in called.read_text().split()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"dsseEnvelope": 1}', b"[" * 100_000, b"\xff"])
def test_a_broken_bundle_fails(shelf: Shelf, content: bytes) -> None:
    shelf.add(BUNDLE, content, **{BUNDLE_PREDICATE: SIGNATURE})
    assert shelf.detail("signature")


def test_a_second_release_signs_nothing(shelf: Shelf) -> None:
    project, said = shelf.project, list[str]()
    own = project.work.having(registry=shelf.registry.prefix, dist=project.config.dist.with_name("other"))
    with prepared(replace(own, say=said.append), Options(), today=TODAY) as ready:
        assert {step.name: step.state for step in ready.plan}["attach"] == "same"
        ready.run()
    assert not [line for line in said if line.startswith(("signing", "attached"))]


def test_a_key_in_the_environment_and_a_wrong_passphrase(
    signed: Signed, shelf: Shelf, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = Path(shelf.project.config.signing_key)
    monkeypatch.setenv("MY_KEY", private.read_text())
    monkeypatch.setenv(SIGNING_PASSWORDS[1], "wrong")
    own = replace(project, work=replace(project.work.having(signing_key="env://MY_KEY"), tools=signed.tools))
    with pytest.raises(ToolError, match="cosign cannot sign with env://MY_KEY") as refused:
        own.release()
    assert refused.value.run is not None
    assert "GATI_SIGNING_PASSWORD" in refused.value.run
    assert own.published() == {}
    monkeypatch.setenv(SIGNING_PASSWORDS[0], PASSWORD)
    own.release()
    assert own.plan()["attach"] == "same"


def test_what_is_no_private_key_cannot_sign(signed: Signed, shelf: Shelf) -> None:
    work = replace(shelf.project.work.having(signing_key=str(signed.key)), tools=signed.tools)
    with pytest.raises(ToolError, match="cosign cannot sign with") as refused:
        demand_signable(work, {SIGNING_PASSWORDS[0]: PASSWORD})
    assert refused.value.run == "correct signing_key, or cosign generate-key-pair"
    assert "invoke doctor" not in str(refused.value)  # the tool is there, and has answered


def test_what_a_kms_says_is_told(shelf: Shelf, failing: Callable[[str], Path]) -> None:
    failing("getting keypair and token: Error making API request.\n\nCode: 503. Errors:\n\n* Vault is sealed\n")
    with pytest.raises(ToolError, match="cosign cannot sign with hashivault://mine") as refused:
        demand_signable(shelf.project.work.having(signing_key="hashivault://mine"))
    said = "getting keypair and token: Error making API request. Code: 503. Errors: * Vault is sealed"
    assert refused.value.found == said
    assert "what this KMS asks for" in str(refused.value.run)


def test_what_signs_is_in_no_other_programs_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SIGNING_PASSWORDS, "MY_KEY", "COSIGN_PRIVATE_KEY"):
        monkeypatch.setenv(name, f"secret of {name}")
    work = open_workspace(tmp_path, signing_key="env://MY_KEY")
    assert "secret of" not in work.runner.run(("env",)).stdout
    assert work.runner.redact("it is secret of MY_KEY") == "it is ***"
    assert "secret of MY_KEY" in work.runner.run(("env",), env={"MY_KEY": "secret of MY_KEY"}).stdout


@pytest.mark.parametrize(
    ("key", "told"),
    [("nowhere.key", "there is no key at"), ("env://NOT_SET", "has no NOT_SET"), ("keyless", "no token here says")],
)
def test_what_cannot_sign_is_refused_first(tmp_path: Path, key: str, told: str) -> None:
    config = load_config(tmp_path, environ={"GATI_SIGNING_KEY": key})
    with pytest.raises(ConfigError, match=told):
        demand_key(config, {})
    with pytest.raises(ConfigError, match="attach is off"):
        demand_key(replace(config, attach=False), {})
    for name in ("SIGSTORE_ID_TOKEN", "GOOGLE_SERVICE_ACCOUNT_NAME", "SPIFFE_ENDPOINT_SOCKET"):
        demand_key(replace(config, signing_key="keyless"), {name: "x"})
    demand_key(replace(config, signing_key="awskms:///alias/key"), {})


@pytest.mark.parametrize(
    "words",
    [
        {"key": "a", "identity": "b", "issuer": "c"},
        {"identity": "b"},
        {"issuer": "c"},
        {"key": "a", "root": "r"},
        {"identity": "b", "issuer": "c", "root": "nowhere.json"},
    ],
)
def test_a_trust_that_cannot_be_meant_is_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Trust(**words)


@pytest.mark.signed
@pytest.mark.parametrize("signed", ["cosign"], indirect=True)
def test_cosign_itself_finds_and_believes_what_is_attached(signed: Signed, shelf: Shelf) -> None:
    reference = f"{shelf.registry.remote.removeprefix('oci://')}/demo@{shelf.prove().digest}"
    how = ("--key", signed.key, "--insecure-ignore-tlog=true", "--allow-http-registry", reference)
    binary = signed.tools.path("cosign")
    shelf.project.runner.run((binary, "verify", *how))
    for kind in ("slsaprovenance1", "cyclonedx", TEST_RESULT):
        shelf.project.runner.run((binary, "verify-attestation", "--type", kind, *how))
    assert BOM_TYPE in shelf.contents()


@pytest.mark.parametrize(
    ("logged", "words"),
    [
        (None, "its certificate expired on 2020-01-01 00:10, and nothing says that it was used before"),
        (datetime(2020, 1, 1, 3, tzinfo=UTC), "it was signed on 2020-01-01 03:00, and its certificate is for"),
    ],
)
def test_a_certificate_that_was_not_valid_when_it_was_used_is_named(
    signed: Signed, work: Workspace, tmp_path: Path, logged: datetime | None, words: str
) -> None:
    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def encoded(content: bytes) -> str:
        return base64.b64encode(content).decode()

    made, key, root = datetime(2020, 1, 1, tzinfo=UTC), *(ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    builder = x509.CertificateBuilder().issuer_name(named("root")).not_valid_before(made)
    authority = builder.subject_name(named("root")).public_key(root.public_key()).serial_number(1)
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    leaf = builder.subject_name(named("leaf")).public_key(key.public_key()).serial_number(2)
    leaf = leaf.add_extension(x509.SubjectAlternativeName([x509.RFC822Name("me@example.org")]), critical=True)
    ends = made + timedelta(days=20_000), made + timedelta(minutes=10)
    certificates = [
        one.not_valid_after(end).sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
        for one, end in zip((authority, leaf), ends, strict=True)
    ]
    payload = json.dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": "demo", "digest": {"sha256": "7" * 64}}],
            "predicateType": SIGNATURE,
            "predicate": {},
        }
    ).encode()
    signature = key.sign(cosign.signed_bytes(payload), ec.ECDSA(hashes.SHA256()))
    bundle = {
        "mediaType": BUNDLE,
        "verificationMaterial": {
            "certificate": {"rawBytes": encoded(certificates[1])},
            **({"tlogEntries": [{"integratedTime": str(int(logged.timestamp()))}]} if logged else {}),
        },
        "dsseEnvelope": {
            "payload": encoded(payload),
            "payloadType": cosign.KIND,
            "signatures": [{"sig": encoded(signature)}],
        },
    }
    trusted = tmp_path / "root.json"
    authority_told = {
        "subject": {"organization": "tests", "commonName": "root"},
        "certChain": {"certificates": [{"rawBytes": encoded(certificates[0])}]},
        "validFor": {"start": "2020-01-01T00:00:00Z"},
    }
    kind = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
    trusted.write_text(json.dumps({"mediaType": kind, "certificateAuthorities": [authority_told]}))
    trust = Trust(identity="me@example.org", issuer="https://issuer.example.org", root=str(trusted))
    told = read_bundle(json.dumps(bundle).encode())
    assert told.by == "certificate"
    fault = fault_of(replace(work, tools=signed.tools), told, "sha256:" + "7" * 64, trust)
    assert fault.startswith(words)
    assert len(fault) > len(words) + 20, "and what cosign says"


@pytest.mark.parametrize("form", ["application/vnd.dev.sigstore.bundle.v0.9+json", "application/json", None])
def test_a_bundle_of_another_form_is_told_as_that(form: Any) -> None:
    payload = base64.b64encode(b'{"predicateType": "a"}').decode()
    envelope = {"payload": payload, "payloadType": cosign.KIND, "signatures": []}
    bundle = {"mediaType": BUNDLE, "verificationMaterial": {}, "dsseEnvelope": envelope}
    assert read_bundle(json.dumps(bundle).encode()).predicate_type == "a"
    with pytest.raises(ValueError, match=f"its form is {re.escape(str(form))}"):
        read_bundle(json.dumps({**bundle, "mediaType": form}).encode())
