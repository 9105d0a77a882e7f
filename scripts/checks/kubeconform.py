"""Checks rendered objects against the schemas of a Kubernetes version, and leaves none unchecked."""

from __future__ import annotations

import itertools
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from scripts.chart.kubeversion import minor
from scripts.chart.manifests import Document, Manifests
from scripts.checks.schemas import Kind, Prepared
from scripts.core.command import Runner
from scripts.core.errors import CommandFailed
from scripts.core.parallel import BRIEF_GO
from scripts.core.paths import key_text

_OBJECTION = re.compile(r"- at '((?:[^'\\]|\\.)*)': (.*?)(?=\s+- at '|$)")
_UNKNOWN = re.compile(r"^additional propert(?:y|ies) '(.*)' not allowed$")
_MISSING = re.compile(r"^missing propert(?:y|ies) '(.*)'$")
_HEADINGS = ("validation failed", "'allOf' failed")


class Schemas(Protocol):
    """Prepares schemas (`scripts.schemas.Schemas` does)."""

    def prepare(
        self, kube_version: str, kinds: Iterable[Kind], definitions: Sequence[Mapping[str, Any]] = ()
    ) -> Prepared: ...

    def served_by(self, kind: Kind) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Problem:
    """Something wrong with one object. `source` is its template as helm names it, `name` may be ""."""

    source: str
    kind: str
    name: str
    message: str


@dataclass(frozen=True)
class Kubeconform:
    """The validator. `path` is the binary; `schemas` prepares what it checks against."""

    path: Path
    runner: Runner
    schemas: Schemas

    def check(self, renders: Sequence[Manifests], kube_version: str) -> tuple[tuple[Problem, ...], ...]:
        """The problems of each of `renders` under Kubernetes `kube_version`, in the order given.

        Equal texts are checked once. An object whose kind has no schema is a problem, and so is one about
        which kubeconform says nothing. Raises CommandFailed, ToolError.
        """
        documents = [document for manifests in renders for document in manifests]
        definitions = [document.data for document in documents if document.kind == "CustomResourceDefinition"]
        prepared = self.schemas.prepare(kube_version, {_kind(document) for document in documents}, definitions)
        texts = {document.text for document in documents if _kind(document) not in prepared.missing}
        reports = self._run(texts, prepared, kube_version) if texts else {}
        missing = {kind: self._no_schema(kind, kube_version) for kind in prepared.missing}
        return tuple(tuple(_problems(manifests, reports, missing)) for manifests in renders)

    def _run(self, texts: Iterable[str], prepared: Prepared, kube_version: str) -> dict[str, list[dict[str, Any]]]:
        """What kubeconform reports about the objects in each text."""
        with tempfile.TemporaryDirectory(prefix="gati-manifests-") as folder:
            files: dict[str, str] = {}
            for number, text in enumerate(texts):
                file = Path(folder) / f"{number}.yaml"
                file.write_text(text)
                files[str(file)] = text
            argv: list[str | Path] = [self.path, "-strict", "-verbose", "-output", "json", "-n", "1"]
            argv += ["-kubernetes-version", kube_version]
            argv += [word for location in prepared.locations for word in ("-schema-location", location)]
            # The folder stands for its files: thousands of names would not fit in a command line.
            result = self.runner.run([*argv, folder], env=BRIEF_GO, deadline=120, check=False)
        reports: dict[str, list[dict[str, Any]]] = {text: [] for text in files.values()}
        try:
            for report in json.loads(result.stdout)["resources"]:
                reports[files[report["filename"]]].append(report)
        except (ValueError, KeyError, TypeError):
            raise CommandFailed(result.argv, result.status, stdout=result.stdout, stderr=result.stderr) from None
        return reports

    def _no_schema(self, kind: Kind, kube_version: str) -> str:
        served = self.schemas.served_by(kind)
        if served:
            return f"Kubernetes {minor(kube_version)} has no {kind}; known in {', '.join(served)}"
        return f"no schema for {kind}: neither Kubernetes, a pinned operator nor the chart's crds/ defines it"


def _problems(
    manifests: Manifests, reports: Mapping[str, list[dict[str, Any]]], missing: Mapping[Kind, str]
) -> Iterator[Problem]:
    for document in manifests.repeated():
        yield _problem(document, "stands twice in this render")
    for document in manifests:
        if not document.name and not _named_later(document):
            yield _problem(document, "metadata.name is missing")
    # The objects of a `List` share a place and a text; any other text holds one object.
    for (_, text), group in itertools.groupby(manifests, key=lambda document: (document.line, document.text)):
        documents = list(group)
        yield from (
            _problem(document, missing[_kind(document)]) for document in documents if _kind(document) in missing
        )
        expected = [document for document in documents if _kind(document) not in missing]
        answered = 0
        for report in reports.get(text, ()):
            about = next((d for d in documents if (d.kind, d.name) == (report["kind"], report["name"])), documents[0])
            if _kind(about) in missing:
                continue
            answered += report["status"] in ("statusValid", "statusInvalid", "statusError")
            if report["status"] == "statusInvalid":
                yield from (_problem(about, objection) for objection in read_objections(report["msg"]))
            elif report["status"] == "statusError":
                yield _problem(about, report["msg"])
        if answered != len(expected):
            yield _problem(documents[0], f"kubeconform checked {answered} of {len(expected)} objects")


def read_objections(message: str) -> tuple[str, ...]:
    """Each field that a schema refuses, as `spec.replicas: got string, want integer`."""
    objections = []
    for pointer, reason in _OBJECTION.findall(" ".join(message.split())):
        if reason in _HEADINGS:
            continue
        path = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
        if unknown := _UNKNOWN.match(reason):
            objections += [f"{key_text([*path, name])}: no such field" for name in unknown.group(1).split("', '")]
        elif absent := _MISSING.match(reason):
            objections += [f"{key_text([*path, name])}: is required" for name in absent.group(1).split("', '")]
        else:
            objections.append(f"{key_text(path) or '(top level)'}: {reason}")
    return tuple(objections) or (message,)


def _problem(document: Document, message: str) -> Problem:
    return Problem(document.source, document.kind, document.name, message)


def _kind(document: Document) -> Kind:
    return Kind(document.api_version, document.kind)


def _named_later(document: Document) -> bool:
    metadata = document.data.get("metadata")
    return isinstance(metadata, Mapping) and bool(metadata.get("generateName"))
