"""Says what every place has in common where a published version is announced."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.chart.archive import Package
from scripts.core.errors import ReleaseError
from scripts.core.files import sha256
from scripts.core.hiding import any_form
from scripts.release.publish import State

_BESIDE = (".prov", ".sigstore.json")  # what speaks for an archive, where it stands beside it in dist/


@dataclass(frozen=True)
class Announced:
    """What is announced: the `package` and its `archive`, `metadata` as its Chart.yaml says, the git `tag`, `notes`."""

    package: Package
    archive: bytes
    metadata: Mapping[str, Any]
    tag: str
    commit: str | None
    notes: str
    reference: str

    def files(self) -> dict[str, bytes]:
        """What goes along, by name: the archive, what speaks for it, and a list of checksums of all of them."""
        path = self.package.path
        beside = {path.name + end: path.with_name(path.name + end) for end in _BESIDE}
        held = {name: one.read_bytes() for name, one in beside.items() if one.is_file()}
        if self.package.prov is not None:  # the one that was published, whatever dist/ has
            held[f"{path.name}.prov"] = self.package.prov
        spoken = {name: one for name, one in held.items() if _speaks_for(one, self.archive)}
        found = {path.name: self.archive, **spoken}
        sums = "".join(f"{sha256(content)}  {name}\n" for name, content in sorted(found.items()))
        return {**found, f"{path.name.removesuffix('.tgz')}.sha256": sums.encode()}


def _speaks_for(signature: bytes, archive: bytes) -> bool:
    """Whether a signature is of these bytes, as it says: one of an earlier archive of that name may have stayed."""
    digests = [hashlib.new(kind, archive) for kind in ("sha256", "sha384", "sha512")]
    forms = (f"{any_form(one.hexdigest())}|{re.escape(base64.b64encode(one.digest()).decode())}" for one in digests)
    return re.search("|".join(forms), signature.decode("utf-8", "replace")) is not None


@dataclass(frozen=True)
class Step:
    """One row of a release's plan, such as a place: only where it is `absent` is `action` still to be done.

    `refusal` stops the release. A place that is "unknown" without one waits for what is not ours to do.
    """

    name: str
    state: State
    action: str
    refusal: ReleaseError | None = None


def row(name: str, done: bool, todo: str, there: str) -> Step:
    """The step that is done already, as `there` says, or has still `todo`."""
    return Step(name, "same", there) if done else Step(name, "absent", todo)


def stopped(name: str, error: ReleaseError, state: State = "different") -> Step:
    """The step that stops the release by `error`."""
    return Step(name, state, error.message, error)
