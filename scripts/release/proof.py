"""Checks what speaks for a published chart, knowing nothing but its reference: a row for each thing, and why."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.chart.archive import Package, changed_files, chart_metadata, describe
from scripts.chart.manifest_digest import CONFIG_TYPE, pushed_config, sha256
from scripts.core import json_read
from scripts.core.errors import (
    FINDING,
    MALFORMED,
    REFUSED,
    ChartError,
    ConfigError,
    FindingsError,
    RegistryError,
    ReleaseError,
    UsageError,
    ValuesError,
    VersionError,
)
from scripts.core.semver import newest_first
from scripts.core.words import many, some
from scripts.judge.reason import highest, required_part, suffices
from scripts.judge.verdict import SCHEMA_VERSION as VERDICT_VERSION
from scripts.registry.client import Client, DamagedError, Found, connect, referrers_tag
from scripts.registry.reference import Reference, Registry
from scripts.registry.referrers import Referrer, attached, content_of, read_referrer
from scripts.release.evidence import CHANGES, NAMES, RECORD, VERDICT, named_by, of_others, parsed, title_of
from scripts.release.pgp import fault_of_prov
from scripts.release.rebuild import rebuilt
from scripts.release.record import SCHEMA_VERSION as RECORD_VERSION
from scripts.release.sbom import MEDIA_TYPE as BOM_TYPE
from scripts.release.sbom import make_sbom, rendered_with
from scripts.release.sign import BUNDLE, Signed, Trust, fault_of, read_bundle
from scripts.release.statements import BOM, PROVENANCE, SIGNATURE, STATEMENT_TYPES, TEST_RESULT
from scripts.release.tested import NEGATIVE_CONTROL, scenario_faults
from scripts.workspace import Workspace

PASSED, FAILED, ABSENT, UNCHECKED = "passed", "failed", "not there", "not checked"
REQUIRABLE = ("signature", "e2e", "provenance", "sbom", "verdict", "record", "changelog", "pgp", "rebuild")
_STATEMENTS = (PROVENANCE, TEST_RESULT)
_SIGNED = (SIGNATURE, BOM, *_STATEMENTS)
_LISTED = 5  # of what differs
_LONGEST = 1000  # characters of a row


@dataclass(frozen=True)
class Check:
    """A row: what was looked at, how it is, and why."""

    check: str
    state: str
    detail: str


@dataclass(frozen=True)
class Demand:
    """What is asked of a chart: the rows that have to be there and pass, whose signature is believed, a rebuild."""

    require: tuple[str, ...] = ()
    trust: Trust = field(default_factory=Trust)
    keyring: str = ""
    rebuild: bool = False

    def __post_init__(self) -> None:
        if unknown := [name for name in self.require if name not in REQUIRABLE]:
            expected = ", ".join(REQUIRABLE)
            raise ConfigError("--require has an unknown value", expected=expected, found=", ".join(unknown))
        if "signature" in self.require and not self.trust:
            raise UsageError("whose signature is required is not said", run="--key FILE; or --identity with --issuer")
        if "pgp" in self.require and not self.keyring:
            raise UsageError("whose PGP signature is required is not said", run="--keyring FILE")
        if self.keyring and not Path(self.keyring).is_file():
            raise ConfigError(f"there is no keyring at {self.keyring}", expected="what gpg --export writes")


@dataclass(frozen=True)
class Proof:
    """What was found of a published chart."""

    reference: str
    digest: str
    sha256: str
    size: int
    checks: tuple[Check, ...]
    require: tuple[str, ...] = ()

    def wanting(self) -> tuple[Check, ...]:
        """The rows for which it is refused: what failed, and what is required and not proven."""
        return tuple(
            one for one in self.checks if one.state == FAILED or (one.check in self.require and one.state != PASSED)
        )

    def demand(self) -> None:
        """Raises FindingsError naming the rows that are not as they should be."""
        if wanting := self.wanting():
            names = ", ".join(one.check for one in wanting)
            found = "\n".join(f"{one.check}: {one.state}, {one.detail}" for one in wanting)
            raise FindingsError(f"{self.reference} is not what it should be: {names}", found=found)


@dataclass(frozen=True)
class _Subject:
    """The chart that is looked at, and what looks at it."""

    work: Workspace
    client: Client
    reference: Reference
    found: Found
    chart: Found
    """The chart's own manifest, where `found` is an index with that in it."""
    package: Package
    archive: bytes
    commits: frozenset[str] = frozenset()
    """What it was made of, by the provenances that are believed."""
    named: Mapping[str, str] | None = None
    """What these name beside the archive, by its sha256; None where none is believed."""

    @property
    def digest(self) -> str:
        return self.found.digest


def prove(
    work: Workspace, registry: Registry, name: str, version: str | None, digest: str | None, demand: Demand
) -> Proof:
    """Check the version, or the digest, or else the newest version of a chart in `registry`.

    What is no such chart is an error; what is damaged, or wrong with what speaks for it, a row that failed. Raises
    RegistryError, UsageError, ToolError.
    """
    with connect(registry) as client:
        try:
            reference, found, package, archive = _chart(client, registry, name, version, digest)
        except DamagedError as error:
            damaged = Check("digest", FAILED, ": ".join(filter(None, (error.message, error.found))))
            named = f":{version}" if version else f"@{digest}" if digest else ""
            return Proof(f"{registry.remote}/{name}{named}", digest or "", "", 0, (damaged,), demand.require)
        subject = _Subject(work, client, reference, found, client.of_chart(reference, found), package, archive)
        checks = [
            Check("digest", PASSED, f"{reference} is {found.digest}"),
            _layers(subject),
            *_attached_checks(subject, demand),
            *_pgp(subject, demand),
        ]
    asked = {"signature": demand.trust, "pgp": demand.keyring, "rebuild": demand.rebuild}
    require = (*demand.require, *(row for row, wanted in asked.items() if wanted))
    # What others have written is told in a line of its own: it may go on as a row would begin, or without an end.
    told = tuple(replace(one, detail=" ".join(one.detail.split())[:_LONGEST]) for one in checks)
    return Proof(str(reference), found.digest, package.sha256, package.size, told, require)


def _chart(
    client: Client, registry: Registry, name: str, version: str | None, digest: str | None
) -> tuple[Reference, Found, Package, bytes]:
    """The published chart, whole. Raises RegistryError saying what is not as it should be."""
    if version is None and digest is None:
        version = client.first_chart(name, newest_first(client.versions(name)))
        if version is None:
            raise RegistryError(
                f"{registry.remote}/{name} has no version", run="correct the name, or invoke publish", code=REFUSED
            )
    reference = registry.reference(name, version or str(digest))
    found = client.named(reference, digest)
    if found is None:
        raise RegistryError(
            f"{reference} is not published",
            expected="a version that is there; without one it is the last",
            run=f"invoke verify {registry.remote}/{name}",
            code=REFUSED,
        )
    archive = client.served(reference, found)
    try:
        held = describe(Path(f"{name}.tgz"), archive, 0)
    except ChartError as error:
        raise RegistryError(f"{reference} holds no chart", found=error.message, code=FINDING) from error
    version = version or held.version
    if held.title != (expected := f"{name} {version}"):
        raise RegistryError(f"{reference} holds another chart", expected=expected, found=held.title, code=FINDING)
    return registry.reference(name, version), found, replace(held, path=Path(f"{name}-{version}.tgz")), archive


def _layers(subject: _Subject) -> Check:
    """Whether the manifest's config says of the chart what the archive says itself."""
    told = f"sha256 {subject.package.sha256}, {subject.package.size} bytes"
    facts = chart_metadata(subject.archive, subject.package.path.name)
    try:
        config = json_read.load(subject.chart.content)["config"]
        if config["mediaType"] != CONFIG_TYPE:
            return Check("layers", FAILED, f"the config is {config['mediaType']}, not {CONFIG_TYPE}")
        content = subject.client.blob(subject.reference, str(config["digest"]), int(config["size"]))
        differs = json_read.load(content) != json_read.load(pushed_config(facts))
    except (RegistryError, *MALFORMED) as error:
        return Check("layers", FAILED, f"the config cannot be read: {error}".splitlines()[0])
    if differs:
        return Check("layers", FAILED, "the manifest's config says something else of the chart than its Chart.yaml")
    return Check("layers", PASSED, told)


# -- what is attached ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Piece:
    """Something of ours that is attached, with its content; `fault` says why it cannot be used."""

    referrer: Referrer
    content: bytes = b""
    fault: str = ""

    @property
    def name(self) -> str:
        return self.referrer.digest[:19]


def _attached_checks(subject: _Subject, demand: Demand) -> Iterator[Check]:
    """The rows of what is attached, in the order in which they stand on each other."""
    pieces: dict[str, list[_Piece]] = {}
    strange: list[str] = []
    for one in attached(subject.client, subject.reference, subject.digest):
        read = read_referrer(subject.client, subject.reference, subject.digest, one.digest)
        if read.problem and not read.kind:  # then the list alone tells what it was
            read = replace(one, problem=read.problem)
        if read.key not in NAMES and read.kind != BUNDLE:
            strange.append(f"{one.digest[:19]} ({read.problem or read.kind})")
            continue
        piece = _Piece(read, fault=read.problem)
        if not read.problem:
            try:
                piece = _Piece(read, content_of(subject.client, subject.reference, read))
            except RegistryError as error:
                piece = _Piece(read, fault=error.message)
        if of_others(read.key, parsed(piece.content)):
            strange.append(f"{one.digest[:19]} ({read.kind})")
            continue
        pieces.setdefault(BUNDLE if read.kind == BUNDLE else read.key, []).append(piece)
    signatures = _Signatures(subject, demand.trust, pieces.get(BUNDLE, []))
    yield signatures.check()
    believed, commits, named = list[dict[str, Any]](), set[str](), dict[str, str]()
    for piece in pieces.get(PROVENANCE, []):
        with contextlib.suppress(_Wrong, *MALFORMED):  # which fails in its row
            told = _statement(subject, piece.content, PROVENANCE)
            if not signatures.believes(PROVENANCE, told):
                continue
            believed.append(told)
            commits |= {commit} if (commit := commit_of(told)[1]) else set()
            named |= named_by(piece.content)
    subject = replace(subject, commits=frozenset(commits), named=named if believed else None)
    for key in _CHECKS:
        yield _row(subject, key, pieces.get(key, []), signatures)
    if demand.rebuild or "rebuild" in demand.require:
        absent = Check("rebuild", ABSENT, "no provenance that is believed says of which commit it was made")
        checks = [_rebuilt(subject, one) for one in believed] or [absent]
        yield next((one for one in checks if one.state != PASSED), checks[0])
    if strange:
        yield Check("others", UNCHECKED, f"not of this toolkit: {', '.join(strange)}")


def _row(subject: _Subject, key: str, pieces: list[_Piece], signatures: _Signatures) -> Check:
    row, check = _CHECKS[key]
    if not pieces:
        name = title_of(subject.package.name, key)
        if name in (subject.named or {}).values():
            return Check(row, FAILED, f"the provenance names {name}, and it is not attached any longer")
        return Check(row, ABSENT, f"no {NAMES[key]} is attached")
    told = []
    for piece in pieces:
        fault, detail = piece.fault, ""
        if not fault:
            try:
                detail = check(subject, piece.content)
                _demand_bound(subject, piece, key, signatures)
            except _Wrong as wrong:
                fault = str(wrong)
            except (*MALFORMED, VersionError) as error:
                fault = f"it is no {NAMES[key]} ({type(error).__name__}: {error})"
        if fault:
            return Check(row, FAILED, f"{piece.name}: {fault}")
        told.append(detail)
    state = UNCHECKED if key == PROVENANCE and not subject.commits else PASSED  # nobody can look at what it names
    return Check(row, state, "; ".join(dict.fromkeys(told)) + signatures.words(key))


class _Wrong(Exception):
    """Why something that is attached is not believed."""


def _demand_bound(subject: _Subject, piece: _Piece, key: str, signatures: _Signatures) -> None:
    """A statement has to be the signed one, and what is no statement has to be named by the provenance."""
    if key in (*_STATEMENTS, BOM_TYPE):
        signatures.demand(BOM if key == BOM_TYPE else key, json_read.load(piece.content))
    if key == PROVENANCE:
        return
    if subject.named is not None and sha256(piece.content).removeprefix("sha256:") not in subject.named:
        raise _Wrong("the provenance names another one: it was changed, or added later")
    if subject.named is None and signatures.trusted:
        raise _Wrong("no provenance that is believed names it")


class _Signatures:
    """The bundles that are attached, and which of them are by the one that is trusted."""

    def __init__(self, subject: _Subject, trust: Trust, pieces: Iterable[_Piece]) -> None:
        self.trusted, self._subject = trust, subject
        self._bundles: list[tuple[_Piece, Signed]] = []
        self._broken: list[str] = []
        self._refused: dict[str, list[str]] = {}
        self._good: dict[str, list[Mapping[str, Any]]] = {}
        for piece in pieces:
            try:
                if piece.fault:
                    raise ValueError(piece.fault)
                signed = read_bundle(piece.content)
                _demand_subject(signed.statement, subject.digest)
            except (_Wrong, *MALFORMED) as error:
                self._broken.append(f"{piece.name}: {error}")
                continue
            self._bundles.append((piece, signed))
            if trust and signed.predicate_type in _SIGNED:
                if fault := fault_of(subject.work, signed, subject.digest, trust):
                    self._refused.setdefault(signed.predicate_type, []).append(f"{piece.name}: {fault}")
                else:
                    self._good.setdefault(signed.predicate_type, []).append(signed.statement)

    def check(self) -> Check:
        """The row of the signature on the chart itself; a bundle that is broken fails it, whatever it is about."""
        own = [(piece, signed) for piece, signed in self._bundles if signed.predicate_type == SIGNATURE]
        if self._broken:
            return Check("signature", FAILED, "; ".join(self._broken))
        if self.trusted and (refused := self._refused.get(SIGNATURE)) and SIGNATURE not in self._good:
            return Check("signature", FAILED, f"not by {self.trusted}: {'; '.join(refused)}")
        if not own and (older := self._older()):
            return Check(
                "signature", UNCHECKED, f"signed in the older form of cosign ({older}): cosign verify reads it"
            )
        if not own:
            return Check("signature", ABSENT, "it is not signed")
        if not self.trusted:
            by = ", ".join(dict.fromkeys(signed.by for _, signed in own))
            return Check("signature", UNCHECKED, f"signed by a {by}; --key or --identity says whose it has to be")
        return Check("signature", PASSED, f"by {self.trusted}")

    def _older(self) -> str:
        """The tag at which cosign kept signatures before it had bundles; "" where nothing is."""
        tag = f"{referrers_tag(self._subject.digest)}.sig"
        with contextlib.suppress(RegistryError):
            if self._subject.client.manifest(replace(self._subject.reference, version=tag)) is not None:
                return tag
        return ""

    def believes(self, kind: str, content: Mapping[str, Any]) -> bool:
        """Whether a statement is by the one that is trusted; any is, where nobody is."""
        return not self.trusted or content in self._good.get(kind, [])

    def demand(self, kind: str, content: Mapping[str, Any]) -> None:
        """Raises _Wrong where a signed statement says something else, or none is by the one that is trusted."""
        told = self._told(kind)
        if self.trusted:
            told = self._good.get(kind, [])
            if not told:
                raise _Wrong(f"it is not signed by {self.trusted}")
        said = [one["predicate"] if kind == BOM else one for one in told]
        if said and content not in said:
            raise _Wrong("what is signed says something else")

    def words(self, key: str) -> str:
        """What stands behind a row, where nobody is trusted by name."""
        if self.trusted:
            return ""
        there = self._told(BOM if key == BOM_TYPE else key)
        return " (its signature is not checked)" if there else " (not signed: whoever may push there can have said it)"

    def _told(self, kind: str) -> list[Mapping[str, Any]]:
        told = (signed.statement for _, signed in self._bundles if signed.predicate_type == kind)
        return [one for one in told if not of_others(kind, one)]


def _demand_subject(told: Mapping[str, Any], digest: str) -> None:
    if told.get("_type") not in STATEMENT_TYPES:
        raise _Wrong(f"it is no in-toto statement but {told.get('_type')!r}")
    subjects = [str(one["digest"].get("sha256")) for one in told["subject"]]
    if digest.removeprefix("sha256:") not in subjects:
        raise _Wrong(f"it is about another digest: {', '.join(f'sha256:{one}' for one in subjects) or 'none'}")


def _statement(subject: _Subject, content: bytes, kind: str) -> dict[str, Any]:
    """The statement in `content`, about this chart. Raises _Wrong."""
    told: dict[str, Any] = json_read.load(content)
    _demand_subject(told, subject.digest)
    if told["predicateType"] != kind:
        raise _Wrong(f"it is a statement of another kind: {told['predicateType']}")
    for one in told["subject"]:
        if str(one.get("name", "")).endswith(".tgz") and one["digest"]["sha256"] != subject.package.sha256:
            raise _Wrong(f"it is about another archive: sha256 {one['digest']['sha256']}")
    return told


def commit_of(told: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The address and the commit that a provenance names; None for what it does not. Raises KeyError, TypeError."""
    for one in told["predicate"]["buildDefinition"]["resolvedDependencies"]:
        if commit := one.get("digest", {}).get("gitCommit"):
            uri = str(one.get("uri", ""))
            return (uri.removeprefix("git+").rpartition("@")[0] or None) if uri else None, str(commit)
    return None, None


def _provenance(subject: _Subject, content: bytes) -> str:
    told = _statement(subject, content, PROVENANCE)
    definition = told["predicate"]["buildDefinition"]
    builder = told["predicate"]["runDetails"]["builder"]["id"]
    if not isinstance(builder, str):
        raise _Wrong(f"it names no builder but {builder!r}")
    version = definition["externalParameters"]["version"]
    if version != subject.package.version:
        raise _Wrong(f"it is about version {version}")
    url, commit = commit_of(told)
    if commit is None:
        return f"made by {builder} of what no commit holds"
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        raise _Wrong(f"it names no commit but {commit[:80]!r}")
    return f"commit {commit} of {url or 'a repository that it does not name'}, made by {builder}"


def _test_result(subject: _Subject, content: bytes) -> str:
    predicate = _statement(subject, content, TEST_RESULT)["predicate"]
    facts = predicate["configuration"][0]["annotations"]
    passed = [name for name, one in facts["scenarios"].items() if one["state"] == "passed"]
    faults = list(scenario_faults(facts["scenarios"]))
    faults += [f"{name} failed" for name in predicate["failedTests"]]
    faults += [f"it tells of no {name} that passed" for name in predicate["passedTests"] if name not in passed]
    if predicate["result"] != "PASSED" or faults:
        raise _Wrong(f"it says {predicate['result']}, and: {'; '.join(dict.fromkeys(faults)) or 'no scenario failed'}")
    requests = sum(one["requests"] for name, one in facts["scenarios"].items() if name != NEGATIVE_CONTROL)
    return f"{many(len(passed), 'scenario')} on Kubernetes {facts['kubernetes']}, {requests} requests, none lost"


def _bill(subject: _Subject, content: bytes) -> str:
    bill = json_read.load(content)
    form = f"{bill['bomFormat']} {bill['specVersion']}"
    if not form.startswith("CycloneDX 1."):
        raise _Wrong(f"it is {form}, and not CycloneDX 1")
    hashes = [one["content"] for one in bill["metadata"]["component"]["hashes"]]
    if subject.package.sha256 not in hashes:
        raise _Wrong(f"it is about another archive: sha256 {', '.join(hashes)}")
    sets, minors = rendered_with(bill)
    try:
        fresh = make_sbom(subject.work, subject.package, subject.archive, minors)
    except (ChartError, ValuesError, ConfigError) as error:
        raise _Wrong(f"the chart cannot be rendered as it says: {error.message}") from error
    said, there = (_components(one) for one in (bill, fresh))
    own, _ = rendered_with(fresh)
    differing = [f"it is of {', '.join(sets)}, in place of {', '.join(own)}"] if sets != own else []
    differing += [f"it has {_words(one)}, which is not there" for one in sorted(said - there)]
    differing += [f"it lacks {_words(one)}" for one in sorted(there - said)]
    if differing:
        raise _Wrong("; ".join(some(differing, _LISTED)))
    images = sum(one[0] == "container" for one in there)
    return f"{many(images, 'image')}, as rendered; {many(sum(one[0] == 'file' for one in there), 'file')}"


def _components(bill: Mapping[str, Any]) -> set[tuple[str, str, str, str]]:
    return {
        (
            str(one["type"]),
            str(one["name"]),
            str(one.get("version", "")),
            ",".join(str(each["content"]) for each in one.get("hashes", ())),
        )
        for one in (bill["metadata"]["component"], *bill["components"])
    }


def _words(one: tuple[str, str, str, str]) -> str:
    kind, name, version, _ = one
    return f"the {'image' if kind == 'container' else kind} {name}" + (f" {version}" if version else "")


def _demand_known(told: Mapping[str, Any], known: int) -> None:
    if told["schema_version"] > known:
        raise _Wrong(
            f"it has schema_version {told['schema_version']}, and this toolkit reads {known}: take a newer one"
        )


def _verdict(subject: _Subject, content: bytes) -> str:
    told = json_read.load(content)
    _demand_known(told, VERDICT_VERSION)
    if (told["chart"], told["current"]) != (subject.package.name, subject.package.version):
        raise _Wrong(f"it is about {told['chart']} {told['current']}")
    level = highest(one["level"] for one in told["reasons"])
    if level != told["level"]:
        raise _Wrong(f"it says {told['level']}, and its reasons are {level}")
    parts = [required_part(told["version"], level, initial=initial) for initial in (True, False)]
    enough = told["part"] in parts and suffices(told["version"], told["current"], told["part"])
    if told["enough"] is not True or not enough:
        raise _Wrong(f"the version was raised by too little: the step from {told['version']} is {told['level']}")
    return f"{told['level']} since {told['version']}, {len(told['reasons'])} reasons"


def _record(subject: _Subject, content: bytes) -> str:
    told, package = json_read.load(content), subject.package
    _demand_known(told, RECORD_VERSION)
    said = (told["name"], told["version"], told["sha256"], told["digest"])
    if said != (package.name, package.version, package.sha256, subject.digest):
        raise _Wrong(f"it is about {told['name']} {told['version']}, {told['digest']}")
    if told["commit"] and subject.commits and told["commit"] not in subject.commits:
        raise _Wrong(f"it names commit {told['commit']}, and the provenance {min(subject.commits)}")
    return f"commit {told['commit']}" + (f", tag {told['tag']}" if told["tag"] else "")


def _changes(subject: _Subject, content: bytes) -> str:
    first = content.decode().splitlines()[0]
    if subject.package.version.removeprefix("v") not in first.split():
        raise _Wrong(f"it is about another version: {first[:80]}")
    return first.removeprefix("## ")


_CHECKS: Mapping[str, tuple[str, Callable[[_Subject, bytes], str]]] = {
    PROVENANCE: ("provenance", _provenance),
    TEST_RESULT: ("e2e", _test_result),
    BOM_TYPE: ("sbom", _bill),
    VERDICT: ("verdict", _verdict),
    RECORD: ("record", _record),
    CHANGES: ("changelog", _changes),
}
"""The rows of what is attached, in their order: what each is called, and what makes its detail or raises why not."""


def _rebuilt(subject: _Subject, provenance: Mapping[str, Any]) -> Check:
    """Whether the commit that a provenance names gives the published bytes."""
    try:
        url, commit = commit_of(provenance)
        if commit is None or url is None:
            return Check("rebuild", ABSENT, "the provenance names no commit that can be fetched")
        definition = provenance["predicate"]["buildDefinition"]
        data, notes = rebuilt(subject.work, url, commit, definition)
    except ReleaseError as error:
        return Check("rebuild", FAILED, " ".join(f"{error.message}: {error.found or ''}".split()).removesuffix(":"))
    except MALFORMED as error:
        return Check("rebuild", FAILED, f"the provenance lacks a parameter ({type(error).__name__}: {error})")
    if data == subject.archive:
        return Check("rebuild", PASSED, f"{commit[:12]} gives the same {len(data)} bytes")
    lines = changed_files(subject.archive, data) or ("the same files, packed in another way",)
    return Check("rebuild", FAILED, "; ".join([f"{commit[:12]} gives other bytes", *lines[:_LISTED], *notes]))


def _pgp(subject: _Subject, demand: Demand) -> Iterator[Check]:
    """The row of the `.prov` beside the archive, where there is one or one is asked for."""
    try:
        prov = subject.client.prov(subject.reference, subject.chart)
    except RegistryError as error:
        yield Check("pgp", FAILED, f"the .prov cannot be read: {error}".splitlines()[0])
        return
    if prov is None:
        if demand.keyring:
            yield Check("pgp", ABSENT, "no .prov is beside the archive")
        return
    fault = fault_of_prov(subject.work, subject.archive, subject.package.path.name, prov, demand.keyring)
    if fault:
        yield Check("pgp", FAILED, fault)
    elif demand.keyring:
        yield Check("pgp", PASSED, f"by a key in {demand.keyring}")
    else:
        yield Check("pgp", UNCHECKED, "the .prov names this archive; --keyring says whose it has to be")
