"""Checks rendered text as a cluster would: kubeconform's schemas, and the rules that no schema holds."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.chart.manifests import Manifests
from scripts.checks.kubeconform import Kubeconform
from scripts.checks.schemas import Schemas
from scripts.core.config import load_config
from tests.render.figures import at
from tests.render.harness import PARSER, ROOT, Document, pod, runner, tool, toolchain

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL_KEY = re.compile(r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
_LABEL_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")


def findings(texts: Sequence[str], version: str) -> list[list[str]]:
    """What is wrong with each of several renders for Kubernetes `version`; all are checked in one go."""
    renders = [PARSER.read(text) for text in texts]
    checked = _kubeconform().judge({version: renders})[version]
    return [
        [f"{problem.kind}/{problem.name}: {problem.message}" for problem in problems] + _rules(manifests)
        for manifests, problems in zip(renders, checked, strict=True)
    ]


@functools.cache
def _kubeconform() -> Kubeconform:
    return Kubeconform(Path(tool("kubeconform")), runner(), Schemas(load_config(ROOT).cache_dir, toolchain()))


def _rules(manifests: Manifests) -> list[str]:
    return [f"{document.identity}: {what}" for document in manifests for what in _of_object(dict(document.data))]


def _of_object(doc: Document) -> list[str]:
    metadata, found = doc["metadata"], []
    limit = 63 if doc["kind"] in ("Service", "Namespace") else 253
    if not _NAME.match(metadata["name"]) or len(metadata["name"]) > limit:
        found.append(f"the name {metadata['name']!r} is not legal")
    for labels in (metadata.get("labels", {}), at(doc, "spec", "template", "metadata", "labels") or {}):
        found += [
            f"the label {key!r}: {value!r} is not legal"
            for key, value in labels.items()
            if not (isinstance(value, str) and _LABEL_VALUE.match(value) and _LABEL_KEY.match(key))
        ]
    for noted in (metadata.get("annotations", {}), at(doc, "spec", "template", "metadata", "annotations") or {}):
        found += [f"the annotation {key!r} is no string" for key, value in noted.items() if not isinstance(value, str)]
    if doc["kind"] == "Deployment":
        selected, labels = doc["spec"]["selector"]["matchLabels"], doc["spec"]["template"]["metadata"]["labels"]
        if not selected.items() <= labels.items():
            found.append("the selector does not match the pods")
    if doc["kind"] in ("Deployment", "Pod"):
        found += _of_pod(pod(doc))
    if doc["kind"] == "Service":
        found += _twice("port", [entry["port"] for entry in doc["spec"]["ports"]])
        found += _twice("port name", [entry.get("name") for entry in doc["spec"]["ports"]])
    return found


def _of_pod(spec: Document) -> list[str]:
    volumes = [volume["name"] for volume in spec.get("volumes", [])]
    found = _twice("volume", volumes)
    for box in spec["containers"]:
        names = {entry.get("name") for entry in box.get("ports", [])}
        found += _twice("container port", [entry["containerPort"] for entry in box.get("ports", [])])
        found += _twice("port name", [entry.get("name") for entry in box.get("ports", [])])
        found += _twice("mount path", [mount["mountPath"] for mount in box.get("volumeMounts", [])])
        for which in ("startupProbe", "readinessProbe", "livenessProbe"):
            named = at(box, which, "httpGet", "port")
            if isinstance(named, str) and named not in names:
                found.append(f"{which} names a port that is not there: {named}")
    return found


def _twice(what: str, items: list[Any]) -> list[str]:
    return [f"the {what} {item!r} stands twice" for item, count in Counter(items).items() if count > 1]
