"""Makes a chart's bill of materials: its files, its dependencies, and every image that its values sets deploy."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scripts.chart.archive import Package, chart_metadata, read_members, unpack
from scripts.chart.dependencies import dependencies
from scripts.chart.manifests import mapping
from scripts.chart.pods import DIGEST
from scripts.chart.source import read_chart
from scripts.checks.matrix import make_plan, with_versions
from scripts.checks.render import render
from scripts.checks.schemas import schemas_of
from scripts.core.errors import ChartError, ValuesError
from scripts.core.files import sha256
from scripts.core.owner import temporary
from scripts.core.semver import minor
from scripts.core.yaml_read import load_texts
from scripts.judge.images import parts
from scripts.workspace import Workspace

MEDIA_TYPE = "application/vnd.cyclonedx+json"
SPEC_VERSION = "1.6"
TOOL = "gati-release-toolkit"
_OURS = "gati:"  # what the names of our own properties begin with
_SUBCHART = re.compile(r"^[^/]+/(?:charts/[^/]+/)+Chart\.yaml$")
_TOLD = frozenset({"args", "command", "value", "annotations", "data", "stringData"})
_OWN = frozenset({"data", "binaryData", "stringData", "labels"})  # whose keys are people's
_WORD = re.compile(r"[\w./:@-]+", re.ASCII)
_PATH, _DIGEST = r"[a-z0-9][\w.-]*(?::\d+)?(?:/[\w.-]+)+", f"@{DIGEST}"
_VERSION = r":v?\d+(?:\.\d+)+[\w.-]*"
# An image with a version or a digest, or with any word that is no port of a host with a dot in it.
_REFERENCE = re.compile(
    rf"{_PATH}{_VERSION}|{_PATH}(?:{_VERSION})?{_DIGEST}|[\w-]+\.{_PATH}:(?!\d+$)\w[\w.-]*(?:{_DIGEST})?", re.ASCII
)

# The same as a program's configuration has it, by a key that says so: there any tag will do.
_CONFIGURED = re.compile(
    r"""^[ \t"'-]*[\w.-]*[iI]mage(?:Name)?["']?[ \t]*[:=][ \t]*["']?"""
    rf"""((?:{_PATH}|[a-z0-9][\w.-]*):\w[\w.-]*(?:{_DIGEST})?)["', \t\r]*$""",
    re.ASCII | re.MULTILINE,
)


def make_sbom(work: Workspace, package: Package, archive: bytes, minors: Sequence[str] = ()) -> dict[str, Any]:
    """The CycloneDX bill of `package`, of these bytes alone; `minors` of another bill. Raises as `rendered_images`."""
    metadata = chart_metadata(archive, package.path.name)
    members = read_members(archive, package.path.name)
    sets, minors, images, refused = rendered_images(work, archive, minors)
    root = f"{package.name}-{package.version}"
    files = [
        {"bom-ref": f"file:{name}", "type": "file", "name": name, "hashes": [_hash(sha256(data))]}
        for name, data in sorted(members.items())
    ]
    charts = list(_subcharts(members, root))
    containers = [_image(name, used) for name, used in sorted(images.items())]
    sources = metadata.get("sources") or ()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, package.manifest_digest)}",
        "version": 1,
        "metadata": {
            "timestamp": package.created,
            "tools": {"components": [{"type": "application", "name": TOOL}]},
            "component": {
                "bom-ref": root,
                "type": "application",
                "name": package.name,
                "version": package.version,
                **({"description": metadata["description"]} if metadata.get("description") else {}),
                "hashes": [_hash(package.sha256)],
                "externalReferences": [{"type": "vcs", "url": str(url)} for url in sources],
            },
            "properties": [
                *({"name": f"{_OURS}values", "value": name} for name in sets),
                *({"name": f"{_OURS}kubernetes", "value": version} for version in minors),
                *({"name": f"{_OURS}refused", "value": f"{name}: {why}"} for name, why in refused.items()),
            ],
        },
        "components": [*charts, *containers, *files],
        "dependencies": [
            {"ref": root, "dependsOn": [one["bom-ref"] for one in (*charts, *containers)]},
            *({"ref": one["bom-ref"]} for one in (*charts, *containers)),
        ],
    }


def rendered_with(bom: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The values sets and minors that a bill was made with. Raises KeyError, TypeError, AttributeError."""
    return _property(bom["metadata"], "values"), _property(bom["metadata"], "kubernetes")


def rendered_images(
    work: Workspace, archive: bytes, minors: Sequence[str] = ()
) -> tuple[list[str], list[str], dict[str, list[str]], dict[str, str]]:
    """What the chart in `archive` deploys: the values sets and minors it was rendered with, the images, each with the
    sets that deploy it, and why sets were refused.

    Its own sets; without `minors` for the oldest and the newest one. Each on a cluster that serves none
    of the APIs that templates ask for, and on one that serves all. Raises ChartError, ConfigError.
    """
    images: dict[str, list[str]] = {}
    refused: dict[str, str] = {}
    with temporary("sbom") as scratch:
        folder = unpack(archive, scratch)
        chart = read_chart(folder)
        plan = make_plan(chart, schemas_of(work.having(**_NEUTRAL)).minors(), kube_versions=minors)
        ends = tuple(dict.fromkeys((*plan.kube_versions[:1], *plan.kube_versions[-1:])))
        asked = tuple(sorted(with_versions(plan.contents.asked)))
        ways = [
            replace(plan, kube_versions=ends, served={(minor(one), ""): apis for one in ends}) for apis in ((), asked)
        ]
        for values in plan.values:
            found: set[str] | None = None
            for way in ways if asked else ways[:1]:
                try:
                    rendered = render(replace(way, values=(values,)), work)
                except (ChartError, ValuesError) as error:
                    refused[values.name] = error.message.replace(str(scratch), "").splitlines()[0]
                    continue
                objects = (document.data for one in rendered.renders for document in one.manifests)
                found = {image for data in objects for image in _images(data)} | (found or set())
            if found is not None:
                refused.pop(values.name, None)
            for image in found or ():
                images.setdefault(image, []).append(values.name)
    return [values.name for values in plan.values], [minor(version) for version in ends], images, refused


_NEUTRAL: dict[str, Any] = {"schema_folders": (), "crds": (), "crd_modules": ()}
"""A bill says the same wherever it is made: what a project configures is not known to those who only have the chart."""


def _images(value: Any) -> Iterator[str]:
    """The images that an object names: of containers, volumes and custom resources, and for what else is started later
    in arguments, variables, annotations and the texts of ConfigMaps, where it is one beyond doubt."""
    for key, inner in value.items() if isinstance(value, Mapping) else ():
        if key in ("image", "imageName"):
            one = inner.get("reference") if isinstance(inner, Mapping) else inner
            yield from [one] if isinstance(one, str) and _WORD.fullmatch(one) else []
        elif key in _TOLD:
            texts = inner.values() if isinstance(inner, Mapping) else inner if isinstance(inner, list) else [inner]
            for text in (one for one in texts if isinstance(one, str)):
                told = text.partition("=")[2] or text
                yield from [told] if _REFERENCE.fullmatch(told) else _CONFIGURED.findall(text) if key in _OWN else []
        if key not in _OWN:
            yield from _images(inner)
    for inner in value if isinstance(value, list) else ():
        yield from _images(inner)


def _image(image: str, sets: Sequence[str]) -> dict[str, Any]:
    repository, tag, digest = parts(image)
    hashed = re.fullmatch("sha256:.{64}|sha384:.{96}|sha512:.{128}", digest)
    return {
        "bom-ref": f"image:{image}",
        "type": "container",
        "name": repository,
        "version": digest or tag or "latest",
        **({"hashes": [_hash(digest)]} if hashed else {}),
        "properties": [
            {"name": f"{_OURS}image", "value": image},
            *({"name": f"{_OURS}values", "value": name} for name in sets),
        ],
    }


def _subcharts(members: Mapping[str, bytes], root: str) -> Iterator[dict[str, Any]]:
    """The charts in the archive, those that are packed as archives too; where they come from, as Chart.yaml says."""
    with temporary("sbom") as scratch:
        own = next(name for name in members if name.count("/") == 1 and name.endswith("/Chart.yaml"))
        (scratch / "Chart.yaml").write_bytes(members[own])
        places = {one.name: one.repository for one in dependencies(read_chart(scratch))}
    for name, data in sorted(members.items()):
        if name.count("/") == 2 and "/charts/" in name and name.endswith(".tgz"):
            metadata = chart_metadata(data, name)
            hashes = [_hash(sha256(data))]
        elif _SUBCHART.match(name):
            metadata, hashes = dict(mapping(load_texts(data))), []
        else:
            continue
        chart, version = str(metadata.get("name", "")), str(metadata.get("version", ""))
        place = places.get(chart, "")
        yield {
            "bom-ref": f"chart:{root}:{name}",
            "type": "application",
            "name": chart,
            "version": version,
            **({"hashes": hashes} if hashes else {}),
            **({"externalReferences": [{"type": "distribution", "url": place}]} if "://" in place else {}),
        }


def _hash(digest: str) -> dict[str, str]:
    """What a digest says; a SHA-256 may be its content alone."""
    kind, _, content = digest.lower().rpartition(":")
    return {"alg": f"SHA-{kind[3:] or 256}", "content": content}


def _property(one: Mapping[str, Any], name: str) -> list[str]:
    return [str(each["value"]) for each in one.get("properties", ()) if each["name"] == f"{_OURS}{name}"]
