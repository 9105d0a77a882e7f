"""Puts artifacthub-repo.yml where Artifact Hub looks for it: at a tag of the chart's repository, and beside index.yaml.

https://artifacthub.io/docs/topics/repositories/helm-charts says where, and of which types.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from scripts.chart.manifest_digest import MANIFEST_TYPE, descriptor
from scripts.core import json_read
from scripts.core.errors import MALFORMED, REFUSED, ConfigError, RegistryError, ReleaseError
from scripts.core.files import read_file
from scripts.core.paths import shown
from scripts.core.yaml_read import mapping_in
from scripts.registry.client import Client, connect
from scripts.registry.reference import Reference, Registry
from scripts.release.announce import Announced, Step, row, stopped
from scripts.release.chart_index import Store

FILE = "artifacthub-repo.yml"
TAG = "artifacthub.io"
_CONFIG_TYPE = "application/vnd.cncf.artifacthub.config.v1+yaml"
_LAYER_TYPE = "application/vnd.cncf.artifacthub.repository-metadata.layer.v1.yaml"


@dataclass(frozen=True)
class Hub:
    """The file `content` of `source`, for the `registry` (None: nothing was ever published) and for `store`, if any."""

    source: Path
    content: bytes
    registry: Registry | None
    store: Store | None
    name: ClassVar[str] = "artifacthub"

    def look(self, what: Announced) -> Step:
        """Which places lack the file, or have an older one; one of another repository's is refused."""
        lacking = []
        for place, there in self._there(what):
            if there == self.content:
                continue
            if there is not None and (owner := _id(there)) not in ("", _id(self.content)):
                error = ReleaseError(
                    f"{FILE} of {place} belongs to another repository of Artifact Hub",
                    expected=f"repositoryID {_id(self.content) or '(none)'}",
                    found=f"repositoryID {owner}",
                    run=f"correct {shown(self.source)}, or take the other one away",
                    code=REFUSED,
                )
                return stopped(self.name, error)
            lacking.append(f"{'put' if there is None else 'renew'} {FILE} of {place}")
        return row(self.name, not lacking, "; ".join(lacking), f"{FILE} is there")

    def announce(self, what: Announced) -> str:
        """Put the file where it is not, or is another one."""
        done = [place for place, there in self._there(what) if there != self.content]
        if self.registry is not None:
            with connect(self.registry, push=True) as client:
                reference = self._reference(what, self.registry)
                if self._held(client, reference) != self.content:
                    self._push(client, reference)
        if self.store is not None and (before := self.store.read(FILE)) != self.content:
            left = self.store.write({FILE: before}, {FILE: self.content})
            done += [f"then: {left}"] if left else []
        return f"{FILE} of {', '.join(done)}"

    def _there(self, what: Announced) -> Iterator[tuple[str, bytes | None]]:
        """Each place with the file that it has."""
        if self.registry is None:
            yield what.reference, None
        else:
            reference = self._reference(what, self.registry)
            with connect(self.registry, push=True) as client:
                yield str(reference), self._held(client, reference)
        if self.store is not None:
            yield self.store.shown, self.store.read(FILE)

    @staticmethod
    def _reference(what: Announced, registry: Registry) -> Reference:
        return replace(registry.reference(what.package.name, what.package.version), version=TAG)

    @staticmethod
    def _held(client: Client, reference: Reference) -> bytes | None:
        """The file at the tag, None where there is no such tag. Raises RegistryError for anything else at it."""
        found = client.manifest(reference)
        if found is None:
            return None
        with contextlib.suppress(*MALFORMED):
            (layer,) = json_read.load(found.content)["layers"]
            if layer["mediaType"] == _LAYER_TYPE:
                return client.blob(reference, str(layer["digest"]), int(layer["size"]))
        raise RegistryError(f"{reference} holds something else than {FILE}", found=found.media_type, code=REFUSED)

    def _push(self, client: Client, reference: Reference) -> None:
        for data in (b"", self.content):
            client.put_blob(reference.repository, data)
        layer = {**descriptor(_LAYER_TYPE, self.content), "annotations": {"org.opencontainers.image.title": FILE}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(_CONFIG_TYPE, b""),
            "layers": [layer],
        }
        client.put_manifest(reference.repository, TAG, json.dumps(manifest, separators=(",", ":")).encode())


def read_hub(source: Path, registry: Registry | None, store: Store | None) -> Hub:
    """The file `source`, checked. Raises ConfigError where it is none that Artifact Hub would read."""
    try:
        content = read_file(source)
    except OSError as error:
        raise ConfigError(
            f"artifacthub_repo names {shown(source)}, which is not there", found=error.strerror
        ) from error
    told = mapping_in(content)
    owners = told.get("owners")
    named = isinstance(owners, list) and all(isinstance(one, dict) and one.get("email") for one in owners)
    if not isinstance(told.get("repositoryID", ""), str) or not (told.get("repositoryID") or (owners and named)):
        raise ConfigError(
            f"{shown(source)} is no artifacthub-repo.yml",
            expected="repositoryID, and owners with name and email each",
            found=", ".join(map(str, told)) or "no mapping",
        )
    return Hub(source, content, registry, store)


def _id(content: bytes) -> str:
    return str(mapping_in(content).get("repositoryID") or "")
