"""A stand-in for cosign: the two commands that a release runs, with real keys and signatures and in cosign's formats.

cosign takes minutes to build; `nox -s signed` runs the same tests with it.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

KIND = "application/vnd.in-toto+json"


def make_keys(folder: Path, name: str, password: str) -> tuple[Path, Path]:
    """A key pair: the private one under `password`, and the public one."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.BestAvailableEncryption(password.encode())
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form))
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def signed_bytes(payload: bytes) -> bytes:
    """What DSSE signs."""
    return b"DSSEv1 %d %s %d %s" % (len(KIND), KIND.encode(), len(payload), payload)


def fail(reason: str) -> NoReturn:
    """Ends as cosign does, which says it twice."""
    sys.exit(f"Error: {reason}\nerror during command execution: {reason}")


def attest(words: argparse.Namespace) -> None:
    """`cosign attest-blob --statement`."""
    name = words.key.removeprefix("env://")
    text = os.environ[name].encode() if name != words.key else Path(words.key).read_bytes()
    try:
        key = serialization.load_pem_private_key(text, sys.stdin.buffer.read())
    except ValueError:
        fault = "decrypt: encrypted: decryption failed" if b"ENCRYPTED" in text else "invalid pem block"
        fail(f"reading key: {fault}")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    payload = Path(words.statement).read_bytes()
    signature = key.sign(signed_bytes(payload), ec.ECDSA(hashes.SHA256()))
    bundle = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "stand-in"}},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": KIND,
            "signatures": [{"sig": base64.b64encode(signature).decode()}],
        },
    }
    Path(words.bundle).write_text(json.dumps(bundle))


def verify(words: argparse.Namespace) -> None:
    """`cosign verify-blob-attestation` with a key."""
    try:
        key = serialization.load_pem_public_key(Path(words.key).read_bytes())
    except ValueError as error:
        fail(f"loading verifier from key opts: loading public key: {error}")
    assert isinstance(key, ec.EllipticCurvePublicKey)
    told = json.loads(Path(words.bundle).read_bytes())
    older = told.get("base64Signature")  # cosign reads its older form, too, and whatever stands beside it
    envelope = json.loads(base64.b64decode(older)) if older else told["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    try:
        key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed_bytes(payload), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        fail("failed to verify signature: could not verify envelope: accepted signatures do not match")
    told = json.loads(payload)
    if words.digest not in [one["digest"].get("sha256") for one in told["subject"]]:
        fail("provided artifact digest does not match any digest in statement")
    if told["predicateType"] != words.type:
        fail(f"invalid predicate type, expected {words.type} got {told['predicateType']}")


def main() -> None:
    """The command line, and nothing of it that cosign does not have."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("attest-blob", allow_abbrev=False)
    for name in ("--statement", "--bundle", "--key"):
        one.add_argument(name, required=True)
    one.add_argument("--yes", action="store_true")
    one.add_argument("--tlog-upload", choices=["false"], required=True)
    one.add_argument("--use-signing-config", choices=["false"], required=True)
    one.set_defaults(run=attest)
    other = commands.add_parser("verify-blob-attestation", allow_abbrev=False)
    for name in ("--bundle", "--key", "--type", "--digest"):
        other.add_argument(name, required=True)
    other.add_argument("--digestAlg", choices=["sha256"], required=True)
    other.add_argument("--insecure-ignore-tlog", choices=["true"], required=True)
    other.set_defaults(run=verify)
    words = parser.parse_args()
    words.run(words)


if __name__ == "__main__":
    main()
