"""Signs statements with cosign as sigstore bundles, and checks them: by key and offline, or keyless in CI."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.core import json_read
from scripts.core.command import SIGNING_PASSWORDS
from scripts.core.config import Config
from scripts.core.errors import MALFORMED, CommandFailed, ConfigError, ToolError
from scripts.core.owner import temporary
from scripts.registry.referrers import BUNDLE_PREDICATE, Attachment
from scripts.release.statements import MEDIA_TYPE, STATEMENT_TYPE
from scripts.workspace import Workspace

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_FORMS = re.compile(r"application/vnd\.dev\.sigstore\.bundle(\.v0\.3\+json|\+json;version=0\.[123])")
KEYLESS = "keyless"
_CONTENT = {"dev.sigstore.bundle.content": "dsse-envelope"}
_ENV = "env://"
_PUBLIC = "--key with a public key in PEM"
_ROOT = "--trusted-root with what cosign trusted-root create writes"
_CORRECT = "correct signing_key, or cosign generate-key-pair"
_PROVE = "see that the job's token is for the audience sigstore and has not expired"
_GIVE = "correct {}, or give cosign what this KMS asks for: its address, a login, the right to use the key"
_TRIAL = "https://example.org/trial/v0"
_DEADLINE = 120.0  # seconds; a KMS or Fulcio is asked over the network
# By which cosign finds that a job can prove who it is: variables, and what an agent on the machine leaves.
_TOKENS = (
    *("SIGSTORE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "BUILDKITE_AGENT_ACCESS_TOKEN"),
    *("GOOGLE_SERVICE_ACCOUNT_NAME", "SPIFFE_ENDPOINT_SOCKET"),
)
_TOKEN_FILES = (Path("/var/run/sigstore/cosign/oidc-token"), Path("/tmp/spire-agent/public/api.sock"))  # noqa: S108
_BY_TOKEN = ("--fulcio-auth-flow=token",)  # and by nothing else: it would send nobody to a browser, and wait
_OFFLINE = ("--tlog-upload=false", "--use-signing-config=false")  # a key needs no log to be checked


@dataclass(frozen=True)
class Trust:
    """Whose signature is believed: a `key`, or an `identity` and its `issuer`, by sigstore's `root` or another one."""

    key: str = ""
    identity: str = ""
    issuer: str = ""
    root: str = ""

    def __post_init__(self) -> None:
        if self.key and (self.identity or self.issuer):
            raise ConfigError("--key and --identity exclude each other: a signature is by one of them")
        if self.key and "://" not in self.key and not Path(self.key).is_file():
            raise ConfigError(f"there is no key at {self.key}", expected=_PUBLIC)
        if bool(self.identity) != bool(self.issuer):
            raise ConfigError("half an identity is given", expected="--identity and --issuer")
        if self.root and not self.identity:
            raise ConfigError("--trusted-root is for certificates", expected="--identity and --issuer beside it")
        if self.root and not Path(self.root).is_file():
            raise ConfigError(f"there is no trusted root at {self.root}", expected=_ROOT)

    def __bool__(self) -> bool:
        return bool(self.key or self.identity)

    def __str__(self) -> str:
        return self.key or f"{self.identity} ({self.issuer})"


@dataclass(frozen=True)
class Signed:
    """A bundle as it says: the statement in it, and by what it was signed ("key" or "certificate"). Not yet checked.

    `content` is the bundle written anew, of what was read alone: cosign reads its older form as well, and would believe
    the signature on a statement that stands beside this one.
    """

    predicate_type: str
    statement: Mapping[str, Any]
    by: str
    content: bytes = field(repr=False)


def demand_key(config: Config, environ: Mapping[str, str] = os.environ) -> None:
    """Raises ConfigError where the configuration asks for signatures and what they are made with is not there."""
    key = config.signing_key
    if not key:
        return
    if not config.attach:
        raise ConfigError("signatures are attached, and attach is off", run="leave out signing_key, or attach = false")
    if key == KEYLESS and not (any(map(environ.get, _TOKENS)) or any(file.exists() for file in _TOKEN_FILES)):
        raise ConfigError(
            "signing_key is keyless, and no token here says who we are",
            expected="a CI job that may have one (GitHub: permissions id-token: write; GitLab: id_tokens)",
            run="give a key: --signing-key FILE, GATI_SIGNING_KEY, signing_key in [tool.gati]",
        )
    if key.startswith(_ENV) and not environ.get(key.removeprefix(_ENV)):
        name = key.removeprefix(_ENV)
        raise ConfigError(f"signing_key is {key}, and the environment has no {name}", run=f"set {name} to the key")
    if key != KEYLESS and "://" not in key and not Path(key).is_file():
        raise ConfigError(f"there is no key at {key}", run=_CORRECT)


def demand_signable(work: Workspace, environ: Mapping[str, str] = os.environ) -> None:
    """Sign what nobody keeps. Raises ConfigError, ToolError where the key or its passphrase does not do."""
    sign(work, json.dumps({"_type": STATEMENT_TYPE, "subject": [], "predicateType": _TRIAL}).encode(), _TRIAL, environ)


def sign(work: Workspace, statement: bytes, predicate_type: str, environ: Mapping[str, str] = os.environ) -> Attachment:
    """The bundle of `statement`, signed by the configured key or with the job's token, ready to be attached.

    The passphrase goes to cosign's stdin, and a key in the environment to cosign alone. Raises ConfigError, ToolError.
    """
    demand_key(work.config, environ)
    key = work.config.signing_key
    how = _BY_TOKEN if key == KEYLESS else ("--key", key, *_OFFLINE)
    env = {key.removeprefix(_ENV): environ[key.removeprefix(_ENV)]} if key.startswith(_ENV) else {}
    password = next((environ[name] for name in SIGNING_PASSWORDS if name in environ), "")
    with temporary("sign") as scratch:
        told, bundle = scratch / "statement.json", scratch / "bundle.json"
        told.write_bytes(statement)
        argv = (work.tools.path("cosign"), "attest-blob", "--yes", "--statement", told, "--bundle", bundle, *how)
        try:
            work.runner.run(argv, env=env, stdin=password, deadline=_DEADLINE)
            content = bundle.read_bytes()
        except CommandFailed as error:
            said = _reason(error.stderr)
            if key == KEYLESS:
                run = _PROVE if "token" in said else None
            elif _elsewhere(key):
                run = _GIVE.format("signing_key")
            else:
                locked = "decrypt" in said or "password" in said
                run = f"set {SIGNING_PASSWORDS[0]} to the passphrase of {key}" if locked else _CORRECT
            raise ToolError(f"cosign cannot sign with {key}", found=said, run=run, doctor="") from error
        except OSError as error:
            raise ToolError("cosign has written no bundle", found=error.strerror) from error
    annotations = {**_CONTENT, BUNDLE_PREDICATE: predicate_type}
    title = f"{predicate_type.split('/')[-2]}.sigstore.json"
    return Attachment(BUNDLE, BUNDLE, title, content, annotations)


def read_bundle(content: bytes) -> Signed:
    """What a bundle holds. Raises ValueError where it is none of a statement."""
    try:
        raw = json_read.load(content)
        envelope = raw["dsseEnvelope"]
        if envelope["payloadType"] != MEDIA_TYPE:
            raise ValueError(f"its payload is {envelope['payloadType']}")
        if not _FORMS.fullmatch(str(raw["mediaType"])):
            raise ValueError(f"its form is {raw['mediaType']}, which cosign does not read")
        statement = json_read.load(base64.b64decode(envelope["payload"], validate=True))
        by = "key" if "publicKey" in raw["verificationMaterial"] else "certificate"
        told = {name: envelope[name] for name in ("payload", "payloadType", "signatures")}
        own = {name: raw[name] for name in ("mediaType", "verificationMaterial")} | {"dsseEnvelope": told}
        return Signed(str(statement["predicateType"]), statement, by, json.dumps(own).encode())
    except MALFORMED as error:
        raise ValueError(f"it is no bundle with a statement ({type(error).__name__}: {error})") from error


def fault_of(work: Workspace, signed: Signed, digest: str, trust: Trust) -> str:
    """Why a signature about the manifest `digest` is not believed; "" where it is. Raises ToolError, ConfigError."""
    how: list[str] = []
    if trust.key:
        how += ["--key", trust.key, "--insecure-ignore-tlog=true"]
    elif signed.by == "key":
        return "it is signed by a key, which no certificate names"
    else:
        how += ["--certificate-identity", trust.identity, "--certificate-oidc-issuer", trust.issuer]
    if trust.root:
        how += ["--trusted-root", trust.root]
    with temporary("verify") as scratch:
        bundle = scratch / "bundle.json"
        bundle.write_bytes(signed.content)
        about = ["--type", signed.predicate_type, "--digest", digest.removeprefix("sha256:"), "--digestAlg", "sha256"]
        argv: list[str | Path] = [work.tools.path("cosign"), "verify-blob-attestation", "--bundle", bundle]
        answer = work.runner.run([*argv, *about, *how], stdin="", deadline=_DEADLINE, check=False)
    if answer.status == 0:
        return ""
    found = _reason(answer.stderr)
    if _elsewhere(trust.key) and "public key" in found:
        raise ToolError(f"{trust.key} gives no public key", found=found, run=_GIVE.format("--key"), doctor="")
    if found.startswith("setting trusted material"):  # so no signature was looked at
        if trust.root:
            raise ConfigError(f"{trust.root} is no trusted root", expected=_ROOT, found=found)
        raise ToolError("sigstore's trusted root cannot be had", found=found, run="give it by --trusted-root FILE")
    if "loading public key" in found:
        raise ConfigError(f"{trust.key} is no public key", expected=_PUBLIC, found=found[:200], run="cosign public-key")
    return f"{_expired(signed)}{found}"


def _elsewhere(key: str) -> bool:
    """Whether a KMS, or another service, has the key."""
    return "://" in key and not key.startswith(_ENV)


def _reason(stderr: str) -> str:
    """Why cosign has failed, by its own words."""
    told = stderr.rpartition("error during command execution: ")[2]  # which goes on for lines, as a KMS has answered
    return " ".join(told.split())[:500] or "cosign gives no reason"


def _expired(signed: Signed) -> str:
    """That a certificate was not valid when it was used, as far as the bundle says when that was; "" otherwise."""
    material = json_read.load(signed.content)["verificationMaterial"]
    try:
        own = material.get("certificate") or material["x509CertificateChain"]["certificates"][0]
        begin, end = _validity(base64.b64decode(own["rawBytes"]))
        used = [datetime.fromtimestamp(int(one["integratedTime"]), UTC) for one in material.get("tlogEntries") or ()]
    except (*MALFORMED, StopIteration):
        return ""  # of a key, or of what is no certificate
    if late := [each for each in used if not begin <= each <= end]:
        when, first, last = (f"{each:%Y-%m-%d %H:%M}" for each in (late[0], begin, end))
        return f"it was signed on {when}, and its certificate is for {first} to {last}: "
    if used or material.get("timestampVerificationData") or datetime.now(UTC) <= end:
        return ""
    return f"its certificate expired on {end:%Y-%m-%d %H:%M}, and nothing says that it was used before: "


def _validity(certificate: bytes) -> tuple[datetime, datetime]:
    """From when to when an X.509 certificate in DER is valid. Raises ValueError, IndexError, StopIteration."""
    (_, told), *_ = _parts(next(_parts(certificate))[1])
    fields = [content for tag, content in _parts(told) if tag != 0xA0]  # but for the version: serial, algorithm, issuer
    # Until 2049 a time has no century.
    begin, end = (f"{'20' if tag == 0x17 else ''}{text.decode()}" for tag, text in _parts(fields[3]))
    return datetime.strptime(begin, "%Y%m%d%H%M%S%z"), datetime.strptime(end, "%Y%m%d%H%M%S%z")


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each value in DER."""
    at = 0
    while at < len(data):
        size, begin = data[at + 1], at + 2
        if size > 0x7F:
            begin += size & 0x7F
            size = int.from_bytes(data[at + 2 : begin], "big")
        yield data[at], data[begin : begin + size]
        at = begin + size
