"""Computes what `helm push` writes into a registry for a chart archive, so that its digest is known beforehand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.core import files
from scripts.core.errors import ChartError

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.cncf.helm.config.v1+json"
LAYER_TYPE = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
PROV_TYPE = "application/vnd.cncf.helm.chart.provenance.v1.prov"

_ANNOTATION = "org.opencontainers.image."
# The fields of helm's structs, in the order in which Go writes them.
_CHART = (
    "name", "home", "sources", "version", "description", "keywords", "maintainers", "icon", "apiVersion", "condition",
    "tags", "appVersion", "deprecated", "annotations", "kubeVersion", "dependencies", "type",
)  # fmt: skip
_MAINTAINER = ("name", "email", "url")
_DEPENDENCY = ("name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias")


def sha256(data: bytes) -> str:
    """The digest as registries write it: `sha256:` and 64 hexadecimal digits."""
    return f"sha256:{files.sha256(data)}"


def pushed_manifest(archive: bytes, facts: Mapping[str, Any], created: str, prov: bytes | None = None) -> bytes:
    """The manifest for `archive`, whose `chart_metadata` are `facts`, and the `.prov` beside it.

    `created` is the archive's modification time in RFC 3339 (`2026-11-24T00:00:00Z`).
    Raises ChartError for facts that helm would not read.
    """
    try:
        metadata = _metadata(facts)
        annotations = _annotations(metadata, created)
    except (AttributeError, TypeError, ValueError) as error:
        raise ChartError("a field of the archive's Chart.yaml has a wrong type", found=str(error)) from error
    layers = [descriptor(LAYER_TYPE, archive), *([descriptor(PROV_TYPE, prov)] if prov is not None else [])]
    manifest = {
        "schemaVersion": 2,
        "config": descriptor(CONFIG_TYPE, _json(metadata)),
        "layers": sorted(layers, key=lambda layer: str(layer["digest"])),
        "annotations": dict(sorted(annotations.items())),
    }
    return _json(manifest)


def pushed_config(facts: Mapping[str, Any]) -> bytes:
    """The config that such a manifest names, for what `pushed_manifest` has taken."""
    return _json(_metadata(facts))


def descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    """What a manifest says of `data` in order to name it."""
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}


def _metadata(facts: Mapping[str, Any]) -> dict[str, Any]:
    raw = dict(facts)  # every field but a few is text to helm, too
    if "deprecated" in raw:
        raw["deprecated"] = raw["deprecated"] == "true"
    if raw.get("annotations"):
        raw["annotations"] = dict(sorted(raw["annotations"].items()))
    raw["maintainers"] = [_ordered(item, _MAINTAINER) for item in raw.get("maintainers") or ()]
    raw["dependencies"] = [_dependency(item) for item in raw.get("dependencies") or ()]
    return _ordered(raw, _CHART)


def _dependency(told: Mapping[str, Any]) -> dict[str, Any]:
    raw = dict(told)
    if "enabled" in raw:
        raw["enabled"] = raw["enabled"] == "true"
    imports = raw.get("import-values") or []
    raw["import-values"] = [dict(sorted(item.items())) if isinstance(item, dict) else item for item in imports]
    always = {"name": raw.get("name", ""), "repository": raw.get("repository", "")}
    return {key: value for key in _DEPENDENCY if (value := always.get(key, raw.get(key))) or key in always}


def _ordered(raw: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The known fields of `raw` in Go's order, empty ones left out."""
    return {key: raw[key] for key in fields if raw.get(key)}


def _annotations(metadata: Mapping[str, Any], created: str) -> dict[str, str]:
    authors = ", ".join(
        item.get("name", "") + (f" ({item['email']})" if item.get("email") else "")
        for item in metadata.get("maintainers", ())
    )
    own = {
        "description": metadata.get("description", ""),
        "title": metadata.get("name", ""),
        "version": metadata.get("version", ""),
        "url": metadata.get("home", ""),
        "created": created,
        "source": next(iter(metadata.get("sources", ())), ""),
        "authors": authors,
    }
    annotations = {_ANNOTATION + key: value for key, value in own.items() if value.strip()}
    fixed = {_ANNOTATION + "title", _ANNOTATION + "version"}
    given = metadata.get("annotations", {})
    return {**annotations, **{key: value for key, value in given.items() if key not in fixed}}


def _json(value: Any) -> bytes:
    """JSON as Go's encoder writes it: compact, UTF-8, and with the characters escaped that HTML gives a meaning."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()
