"""Collects what is attached to a published chart: the record, who made it of what, tests, bill, verdict, changelog."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scripts.chart.archive import Package, chart_metadata, read_members
from scripts.chart.changelog import read_changelog
from scripts.core import json_read
from scripts.core.config import Config
from scripts.core.errors import MALFORMED, ToolError
from scripts.core.files import sha256
from scripts.core.git import Repository
from scripts.registry.referrers import PREDICATE, Attachment
from scripts.release import notes
from scripts.release.origin import Origin
from scripts.release.record import ReleaseRecord
from scripts.release.sbom import MEDIA_TYPE as BOM_TYPE
from scripts.release.sbom import TOOL, make_sbom
from scripts.release.statements import (
    BOM,
    BUILD_TYPE,
    MEDIA_TYPE,
    PROVENANCE,
    SIGNATURE,
    TEST_RESULT,
    Source,
    provenance,
    statement,
    test_result,
    to_bytes,
)
from scripts.release.tested import Tested
from scripts.workspace import Workspace

RECORD = "application/vnd.gati.release.v1+json"
VERDICT = "application/vnd.gati.judge.v1+json"
CHANGES = "application/vnd.gati.changelog.v1+markdown"
NAMES = {
    RECORD: "release record",
    PROVENANCE: "provenance",
    TEST_RESULT: "test result",
    BOM_TYPE: "SBOM",
    VERDICT: "verdict",
    CHANGES: "changelog entry",
}
"""What is attached, by its key, as a person calls it."""
_TITLES = {
    RECORD: "release.json",
    PROVENANCE: "provenance.json",
    TEST_RESULT: "test-result.json",
    BOM_TYPE: "cdx.json",
    VERDICT: "judge.json",
    CHANGES: "changes.md",
}
_REVISION = "org.opencontainers.image.revision"
_LOCAL = "https://github.com/gati-gateway/gati/release/by-hand"  # the builder that is no CI system
# Of the record, what another run of the same release would say otherwise.
_PASSING = ("started", "finished", "seconds", "reference", "registry", "proofs", "flags")


def expected(*, judged: bool, tested: bool, changes: bool) -> tuple[str, ...]:
    """The keys of what a release attaches."""
    there = {VERDICT: judged, TEST_RESULT: tested, CHANGES: changes}
    return tuple(key for key in NAMES if there.get(key, True))


def collect(
    work: Workspace,
    package: Package,
    archive: bytes,
    digest: str,
    *,
    origin: Origin,
    record: ReleaseRecord,
    verdict: Mapping[str, Any] | None,
    tested: Tested | None,
    kept: Mapping[str, Sequence[bytes]],
) -> tuple[tuple[Attachment, ...], list[tuple[str, bytes]]]:
    """All about the manifest `digest`, what is `kept` as it is, and what to sign, each with the type of its predicate.

    Of what comes later than a provenance that is kept, a further one tells, and signs for nothing else. Raises
    ChartError, ChangelogError.
    """
    found: list[Attachment] = []

    def add(kind: str, content: bytes, media: str = "", revision: str | None = None) -> bytes:
        statement_of = {PREDICATE: kind} if kind in (PROVENANCE, TEST_RESULT) else {}
        annotations = {**statement_of, **({_REVISION: revision} if revision else {})}
        artifact = MEDIA_TYPE if statement_of else kind
        content = content if kind == PROVENANCE else next(iter(kept.get(kind, ())), content)
        found.append(Attachment(artifact, media or artifact, title_of(package.name, kind), content, annotations))
        return content

    told = {key: value for key, value in asdict(record).items() if key not in _PASSING}
    add(RECORD, to_bytes(told), revision=record.commit)
    bill = add(BOM_TYPE, b"" if kept.get(BOM_TYPE) else to_bytes(make_sbom(work, package, archive)))
    if verdict is not None:
        add(VERDICT, to_bytes(verdict))
    if (entry := changes_of(origin.changelog, package.version)) is not None:
        add(CHANGES, entry.encode(), "text/markdown")
    signable = [
        (SIGNATURE, to_bytes(statement(package, digest, SIGNATURE, {}))),
        (BOM, to_bytes(statement(package, digest, BOM, json.loads(bill)))),
    ]
    if tested is not None:
        result = to_bytes(statement(package, digest, TEST_RESULT, test_result(tested)))
        signable.append((TEST_RESULT, add(TEST_RESULT, result)))
    named = {digest for one in kept.get(PROVENANCE, ()) for digest in named_by(one)}
    if fresh := [one for one in found if sha256(one.content) not in named]:
        source = source_of(work.config, origin, chart_metadata(archive, package.path.name))
        made = provenance(source, package, record.tools, builder(os.environ), _dependencies(archive), fresh)
        told_of = to_bytes(statement(package, digest, PROVENANCE, made))
        signable.append((PROVENANCE, add(PROVENANCE, told_of, revision=record.commit)))
    return tuple(found), signable


def to_keep(
    held: Sequence[tuple[str, bytes]], claims: Sequence[tuple[str, Mapping[str, Any]]] | None
) -> dict[str, list[bytes]]:
    """What a release leaves as it is of what is attached: what a provenance names, and that itself, by their keys.

    `claims` are the statements in the bundles beside it, for a release that signs: a statement that none of them has is
    not kept, since whoever may push can have put it there, and a signature of ours would vouch for it.
    """

    def claimed(kind: str, content: bytes) -> bool:
        signed = {BOM_TYPE: BOM, PROVENANCE: PROVENANCE, TEST_RESULT: TEST_RESULT}.get(kind)
        said = [one.get("predicate") if kind == BOM_TYPE else one for of, one in claims or () if of == signed]
        return claims is None or signed is None or parsed(content) in said

    kept = dict[str, list[bytes]]()
    for kind, content in sorted(held, key=lambda one: one[0] != PROVENANCE):
        named = {digest for one in kept.get(PROVENANCE, ()) for digest in named_by(one)}
        if claimed(kind, content) and (kind == PROVENANCE or sha256(content) in named):
            kept.setdefault(kind, []).append(content)
    return kept


def parsed(content: bytes) -> Any:
    """What JSON says; None where it is none."""
    with contextlib.suppress(*MALFORMED):
        return json_read.load(content)
    return None


def of_others(kind: str, told: Any) -> bool:
    """Whether a statement, or a bill, is by its own words of another tool, as a CI system's or a scanner's is."""
    with contextlib.suppress(*MALFORMED):
        predicate = told if kind == BOM_TYPE else told["predicate"]
        if kind == PROVENANCE:
            return bool(predicate["buildDefinition"]["buildType"] != BUILD_TYPE)
        if kind in (BOM, BOM_TYPE):
            return bool(predicate["bomFormat"]) and TOOL not in json.dumps(predicate["metadata"].get("tools"))
    return False


def title_of(chart: str, kind: str) -> str:
    """The name of the file that is attached to a chart as this."""
    return f"{chart}.{_TITLES[kind]}"


def named_by(content: bytes) -> dict[str, str]:
    """The name of all that a provenance says was made beside the archive, by its sha256; nothing where it is none."""
    with contextlib.suppress(*MALFORMED):
        made = json_read.load(content)["predicate"]["runDetails"]["byproducts"]
        return {str(one["digest"]["sha256"]): str(one["name"]) for one in made}
    return {}


def changes_of(changelog: Path, version: str) -> str | None:
    """What the changelog says of a version, as Markdown; None where it says nothing. Raises ChangelogError."""
    found = read_changelog(changelog)
    section = found.section(version) if found else None
    if section is None or not section.entries:
        return None
    date = f" - {section.date}" if section.date else ""
    return f"## {section.version}{date}\n\n{notes.changes(changelog, version)}"


def source_of(config: Config, origin: Origin, metadata: Mapping[str, Any]) -> Source:
    """Where others find what was packed; the commit is left out where it does not hold what was packed."""
    repository = origin.repository
    if repository is None:
        return Source(None, None, config.chart.name, None)
    dirty = any(not difference.fetched and not difference.benign for difference in origin.differences)
    changelog = config.changelog
    return Source(
        url=public_url(repository, metadata),
        commit=None if dirty else origin.commit,
        chart=repository.inside(config.chart),
        changelog=repository.inside(changelog) if changelog.is_relative_to(repository.root) else None,
    )


def public_url(repository: Repository, metadata: Mapping[str, Any]) -> str | None:
    """The address to fetch from: the remote's without a login, the same for every way to write it; else the first
    of the chart's sources."""
    remote = repository.remote_url()
    if remote is None:
        return next((str(url) for url in metadata.get("sources") or () if "://" in str(url)), None)
    scheme, there, rest = remote.rpartition("://")
    if scheme in ("", "file"):
        plain = re.sub(r"^\[(.+):\d+\]:", r"\1:", remote)  # with a port
        scp = re.fullmatch(r"(?:[^@/]+@)?([^:/]+):(?!//)(.+)", plain) if not there else None
        if scp is None:  # a folder, from the root where it is not whole
            return f"file://{(repository.root / rest).resolve()}"
        return f"https://{_by_ssh(repository, scp[1])}/{scp[2].removeprefix('/').removesuffix('.git')}"
    host, _, path = re.split("[?#]", rest)[0].partition("/")  # a token may come after the path, too
    host, path = host.rpartition("@")[2], path.rstrip("/").removesuffix(".git")
    if "ssh" in scheme:
        host, scheme = _by_ssh(repository, re.sub(r":\d+$", "", host)), "https"
    return f"{scheme}://{host}/{path}"


def _by_ssh(repository: Repository, host: str) -> str:
    """What others call the host of an address for ssh: an alias of this user's leads on, and forges have one for it."""
    if "." not in host and "[" not in host:
        with contextlib.suppress(ToolError):
            told = repository.runner.run(("ssh", "-G", "--", host), check=False).stdout
            host = next((line[9:] for line in told.splitlines() if line.startswith("hostname ")), host)
    return re.sub(r"^(alt)?ssh\.", "", host)


def builder(environ: Mapping[str, str]) -> str:
    """Who builds: the workflow or the project of a CI system, or a person."""
    if server := environ.get("GITHUB_SERVER_URL"):
        workflow = environ.get("GITHUB_WORKFLOW_REF") or environ.get("GITHUB_REPOSITORY", "")
        return f"{server}/{workflow}"
    return environ.get("CI_PROJECT_URL") or _LOCAL


def _dependencies(archive: bytes) -> list[dict[str, Any]]:
    """The archives of dependencies that are packed."""
    return [
        {"name": name.partition("/")[2], "digest": {"sha256": sha256(data)}}
        for name, data in read_members(archive, "the archive").items()
        if name.count("/") == 2 and "/charts/" in name and name.endswith(".tgz")
    ]
