"""Reads a published chart back and compares every byte with what was packaged."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scripts.chart.archive import Package, load_package
from scripts.chart.source import Chart, read_chart
from scripts.core.errors import FINDING, REFUSED, ChartError, RegistryError
from scripts.core.files import sha256
from scripts.registry.client import connect
from scripts.registry.reference import Registry
from scripts.workspace import Workspace

_WHAT_DIFFERS = "invoke publish"  # which says it, and overwrites nothing


@dataclass(frozen=True)
class Verification:
    """A published chart that is what it should be: the manifest's `digest`, the archive's `sha256` and `size`."""

    reference: str
    digest: str
    sha256: str
    size: int


def verify(registry: Registry, package: Package, *, digest: str | None = None, patience: float = 0) -> Verification:
    """Pull `package` back and compare: tag to digest, digest to `digest` (else the prediction), layer to archive.

    What was pushed a moment ago is looked for again for `patience` seconds.
    Raises RegistryError saying what differs, ChartError where the archive in `dist/` cannot be read.
    """
    reference = registry.reference(package.name, package.version)
    expected = digest or package.manifest_digest
    try:
        packed = package.path.read_bytes()
    except OSError as error:
        raise ChartError(f"{package.path} cannot be read", found=error.strerror, run="invoke package") from error
    with connect(registry) as client:
        tagged = client.manifest(reference, patience=patience)
        if tagged is None:
            raise RegistryError(f"{reference} is not published", run="invoke publish", code=REFUSED)
        if tagged.digest != expected:
            raise RegistryError(
                f"{reference} is not what was packaged",
                expected=f"digest {expected}",
                found=f"digest {tagged.digest}",
                run=_WHAT_DIFFERS,
                code=FINDING,
            )
        if (archive := client.served(reference, tagged, patience=patience)) != packed:
            raise RegistryError(
                f"{reference} holds another archive",
                expected=f"sha256 {package.sha256}",
                found=f"sha256 {sha256(archive)}",
                run=_WHAT_DIFFERS,
                code=FINDING,
            )
    return Verification(str(reference), expected, package.sha256, package.size)


def packaged(work: Workspace) -> tuple[Package, Chart]:
    """What `dist/` holds of the chart in the tree, and that chart. Raises ChartError for another version or none."""
    chart = read_chart(work.config.chart)
    package = load_package(work.config, chart.name)
    demand_same_version(package, chart)
    return package, chart


def demand_same_version(package: Package, chart: Chart) -> None:
    """Raises ChartError where `dist/` holds another version than the tree."""
    expected = replace(chart, version=(package.given and package.given.version) or chart.version).title
    if package.title != expected:
        raise ChartError(
            f"{package.path} is not the chart in {chart.path}",
            expected=expected,
            found=package.title,
            run="invoke package",
            code=REFUSED,
        )
