"""Makes and reads the `.prov` beside an archive, which `helm pull --verify` reads: its sha256, signed with PGP."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from scripts.chart.archive import Package, chart_metadata, read_members
from scripts.chart.manifest_digest import pushed_manifest
from scripts.chart.manifest_digest import sha256 as digest_of
from scripts.core.command import SIGNING_PASSWORDS
from scripts.core.errors import CommandFailed, ReleaseError, ToolError
from scripts.core.files import sha256, write_atomic
from scripts.core.owner import temporary
from scripts.workspace import Workspace

_NAMED = re.compile(r"^  ?(?P<name>\S+\.tgz): sha256:(?P<sha256>[0-9a-f]{64})\s*$", re.MULTILINE)
_DEADLINE = 120.0  # seconds; a smart card asks for a touch


def make_prov(work: Workspace, package: Package, archive: bytes) -> bytes:
    """The `.prov` of `package`, signed by gpg, whose stdin or agent has the passphrase. Raises ToolError."""
    chart_yaml = read_members(archive, package.path.name)[f"{package.name}/Chart.yaml"]
    text = f"{chart_yaml.decode().rstrip()}\n\n...\nfiles:\n  {package.path.name}: sha256:{package.sha256}\n"
    password = next((os.environ[name] for name in SIGNING_PASSWORDS if name in os.environ), None)
    with temporary("pgp") as scratch:
        file, made = scratch / "message", scratch / "message.asc"
        file.write_text(text, encoding="utf-8")
        argv: list[str | Path] = ["gpg", "--batch", "--yes", "--digest-algo", "SHA512"]
        argv += ["--local-user", work.config.pgp_key]
        argv += ["--pinentry-mode", "loopback", "--passphrase-fd", "0"] if password is not None else []
        argv += ["--output", made, "--clearsign", file]
        try:
            work.runner.run(argv, stdin=password or "", deadline=_DEADLINE)
        except CommandFailed as error:
            said = (error.stderr.strip().splitlines()[-1:] or ["gpg gives no reason"])[0]
            raise ToolError(
                f"gpg cannot sign with {work.config.pgp_key}",
                expected=f"a secret key of that name, and its passphrase as {SIGNING_PASSWORDS[0]}",
                found=said,
                run="gpg --list-secret-keys",
                doctor="",
            ) from error
        return made.read_bytes()


def with_prov(work: Workspace, package: Package, archive: bytes) -> Package:
    """`package` with its `.prov`, which is kept in `dist/` and taken from there. Raises ToolError, OutputError."""
    file = package.path.with_name(f"{package.path.name}.prov")
    prov = file.read_bytes() if file.is_file() else b""
    with temporary("pgp") as scratch:
        own = scratch / "own.gpg"  # which is not there for a key that nobody has
        work.runner.run(("gpg", "--batch", "--output", own, "--export", work.config.pgp_key), check=False)
        kept = prov and not fault_of_prov(work, archive, package.path.name, prov, str(own))
    if not kept:  # also one by the key of before
        prov = make_prov(work, package, archive)
        write_atomic(file, prov)
    facts = chart_metadata(archive, package.path.name)
    digest = digest_of(pushed_manifest(archive, facts, package.created, prov))
    return replace(package, prov=prov, manifest_digest=digest)


def fault_of_prov(work: Workspace, archive: bytes, name: str, prov: bytes, keyring: str) -> str:
    """Why a `.prov` does not speak for the archive of that name; "" where it does, as far as it was looked at.

    Without a `keyring`: whether it names the archive. With one, helm itself checks it. Raises ToolError.
    """
    text = prov.decode("utf-8", "replace")
    named = {found["name"]: found["sha256"] for found in _NAMED.finditer(text)}
    if name not in named:
        return f"the .prov does not name {name}" + (f" but {', '.join(named)}" if named else "")
    if named[name] != sha256(archive):
        return f"the .prov names another archive: sha256 {named[name]}"
    if not keyring:
        return ""
    with temporary("pgp") as scratch:
        file = scratch / name
        file.write_bytes(archive)
        (scratch / f"{name}.prov").write_bytes(prov)
        try:
            work.helm.verify(file, Path(keyring))
        except ReleaseError as error:
            return error.message
    return ""
