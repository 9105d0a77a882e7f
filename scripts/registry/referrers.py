"""Attaches files to a published manifest as OCI 1.1 referrers, the same bytes each time, and reads what is attached."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.chart.manifest_digest import MANIFEST_TYPE, descriptor, sha256
from scripts.core import json_read
from scripts.core.errors import MALFORMED, SAME_COMMAND, RegistryError
from scripts.core.interrupt import pause
from scripts.core.progress import Say, silent
from scripts.registry.client import INDEX_TYPE, LAG, Client, Found, is_referrers_tag, referrers_tag
from scripts.registry.reference import Reference

EMPTY_TYPE, _EMPTY = "application/vnd.oci.empty.v1+json", b"{}"
PREDICATE = "in-toto.io/predicate-type"
"""The annotation that tells one in-toto statement from another without reading it."""
BUNDLE_PREDICATE = "dev.sigstore.bundle.predicateType"  # the same, as cosign writes it
_TITLE, _CREATED = "org.opencontainers.image.title", "org.opencontainers.image.created"
_SETTLE = 0.5  # seconds, until somebody who has read before us has written
_ATTEMPTS = 20  # at the index of a registry without the API, which another one may be writing as well


@dataclass(frozen=True)
class Attachment:
    """A file to attach: its artifact type `kind`, the type of its content, its name, and further annotations."""

    kind: str
    media_type: str
    title: str
    content: bytes = field(repr=False)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What it is: the type of its predicate where it is a statement, else its artifact type."""
        return key_of(self.kind, self.annotations)


@dataclass(frozen=True)
class Referrer:
    """What is attached: its manifest's `digest`, what it is (`key`), its file, why it cannot be read (`problem`)."""

    digest: str
    key: str
    kind: str = ""
    layer: tuple[str, int] | None = None
    problem: str = ""


def key_of(kind: str, annotations: Mapping[str, str]) -> str:
    """See `Attachment.key`; a signed statement is told apart from a plain one."""
    if (signed := annotations.get(BUNDLE_PREDICATE)) is not None:
        return f"signed {signed}"
    return annotations.get(PREDICATE, kind)


def manifest_of(subject: Found, attachment: Attachment, created: str) -> bytes:
    """The manifest that attaches a file to `subject`; `created` is an RFC 3339 time, and no clock is asked."""
    annotations = {_CREATED: created, **attachment.annotations}
    value = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": attachment.kind,
        "config": descriptor(EMPTY_TYPE, _EMPTY),
        "layers": [
            {**descriptor(attachment.media_type, attachment.content), "annotations": {_TITLE: attachment.title}},
        ],
        "subject": descriptor(subject.media_type, subject.content),
        "annotations": dict(sorted(annotations.items())),
    }
    return json.dumps(value, separators=(",", ":")).encode()


def attach(
    client: Client,
    reference: Reference,
    subject: Found,
    attachments: Iterable[Attachment],
    created: str,
    say: Say = silent,
) -> tuple[str, ...]:
    """Attach what is not attached yet to `subject` in the repository of `reference`; the digests of what was written.

    Raises RegistryError, also where the registry takes it and does not list it.
    """
    repository = reference.repository
    there = {one["digest"] for one in client.referrers(reference, subject.digest)}
    entries, titles, unnoted, put = dict[str, dict[str, Any]](), dict[str, str](), list[str](), set[bytes]()
    for attachment in attachments:
        manifest = manifest_of(subject, attachment, created)
        digest = sha256(manifest)
        if digest in there:
            continue
        for data in {_EMPTY, attachment.content} - put:
            client.put_blob(repository, data)
            put.add(data)
        if not client.put_manifest(repository, digest, manifest):
            unnoted.append(digest)
        titles[digest] = attachment.title
        annotations = json_read.load(manifest)["annotations"]
        kind = {"artifactType": attachment.kind}
        entries[digest] = {**descriptor(MANIFEST_TYPE, manifest), **kind, "annotations": annotations}
    if unnoted:
        _note(client, reference, subject.digest, [entries[digest] for digest in unnoted])
    patience = 0 if entries and _lists_none(client, repository) else LAG
    if lacking := _unlisted(client, reference, subject.digest, entries, patience):
        tag = referrers_tag(subject.digest)
        _note(client, reference, subject.digest, [entries[digest] for digest in lacking])
        if _unlisted(client, reference, subject.digest, entries, LAG):
            raise RegistryError(
                f"{client.registry.host} does not list all that is attached to {reference}",
                expected=f"{', '.join(lacking)} in its list of referrers, within {LAG:g} s",
                run=SAME_COMMAND,
            )
        say(f"note: {client.registry.host} lists nothing as attached, though it took it: it is listed at the tag {tag}")
    for digest, title in titles.items():
        say(f"attached {title}: {digest}")
    return tuple(entries)


def _lists_none(client: Client, repository: str) -> bool:
    """Whether a tag has had to list what is attached to an earlier version, as `attach` leaves it."""
    with contextlib.suppress(RegistryError):
        return any(map(is_referrers_tag, client.tags(repository)))
    return False


def _unlisted(
    client: Client, reference: Reference, subject: str, written: Collection[str], patience: float
) -> list[str]:
    """Those of `written` that are not listed as attached to `subject` within `patience` seconds."""
    end = time.monotonic() + patience
    while written:
        there = {one["digest"] for one in client.referrers(reference, subject)}
        if not (lacking := [digest for digest in written if digest not in there]) or time.monotonic() >= end:
            return lacking
        pause(_SETTLE)
    return []


def _note(client: Client, reference: Reference, digest: str, entries: list[dict[str, Any]]) -> None:
    """Add `entries` to the index that stands for the API of a registry without one; what is in it stays.

    A registry keeps what was written last, and somebody else may have read what we have: so it is looked at again.
    """
    tag, settled = referrers_tag(digest), client.registry.alone
    for _ in range(_ATTEMPTS):
        known = client.listed_at_tag(reference, digest)
        lacking = [entry for entry in entries if entry["digest"] not in {one["digest"] for one in known}]
        if lacking:
            index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [*known, *lacking]}
            content = json.dumps(index, separators=(",", ":")).encode()
            client.put_manifest(reference.repository, tag, content, INDEX_TYPE)
        elif settled:
            return
        else:
            pause(_SETTLE)
        settled = client.registry.alone or not lacking
    raise RegistryError(
        f"{reference}: what is attached cannot be listed",
        expected=f"an index at the tag {tag}",
        found="somebody else writes it all the time",
        run=SAME_COMMAND,
    )


def attached(client: Client, reference: Reference, digest: str) -> tuple[Referrer, ...]:
    """What is attached to the manifest `digest`, in a steady order. Raises RegistryError where no list can be had."""
    found = []
    for one in client.referrers(reference, digest):
        kind, annotations = one.get("artifactType"), one.get("annotations")
        if kind in (None, "", EMPTY_TYPE) or not isinstance(annotations, dict):  # of before 1.1: the manifest tells
            found.append(read_referrer(client, reference, digest, one["digest"]))
        else:
            found.append(Referrer(one["digest"], key_of(str(kind), annotations), str(kind)))
    return tuple(sorted(found, key=lambda one: (one.key, one.digest)))


def read_referrer(client: Client, reference: Reference, subject: str, digest: str) -> Referrer:
    """The referrer `digest` by its own manifest, which has to name `subject`."""
    try:
        manifest = client.manifest(reference, digest=digest)
    except RegistryError as error:
        return Referrer(digest, "unreadable", problem=error.message)
    if manifest is None:
        return Referrer(digest, "unreadable", problem="its manifest is not in the registry")
    with contextlib.suppress(*MALFORMED):
        raw = json_read.load(manifest.content)
        kind = str(raw.get("artifactType") or raw["config"]["mediaType"])
        key = key_of(kind, {str(name): str(value) for name, value in (raw.get("annotations") or {}).items()})
        if raw["subject"]["digest"] != subject:
            return Referrer(digest, key, kind, problem=f"it is attached to {raw['subject']['digest']}")
        if len(raw["layers"]) != 1:
            return Referrer(digest, key, kind, problem=f"it has {len(raw['layers'])} files in place of one")
        return Referrer(digest, key, kind, (str(raw["layers"][0]["digest"]), int(raw["layers"][0]["size"])))
    return Referrer(digest, "unreadable", problem="its manifest is none of a referrer")


def content_of(client: Client, reference: Reference, one: Referrer) -> bytes:
    """The file of a referrer that `read_referrer` gave, compared with its digest. Raises RegistryError."""
    if one.layer is None:
        raise RegistryError(f"{one.digest} cannot be read", found=one.problem)
    return client.blob(reference, *one.layer)
