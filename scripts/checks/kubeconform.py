"""Checks rendered objects against the schemas of a Kubernetes version, and leaves none unchecked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scripts.chart.contents import INSTALLED_FIRST
from scripts.chart.manifests import Document, Identity, Manifests, mapping
from scripts.chart.objections import POINTER, read_objection
from scripts.checks.schemas import Kind, Prepared, Schemas
from scripts.core.command import Runner
from scripts.core.errors import CommandFailed
from scripts.core.owner import temporary
from scripts.core.parallel import BRIEF_GO, workers
from scripts.core.paths import key_text
from scripts.core.yaml_read import compose

_OBJECTION = re.compile(rf"{POINTER}(.*?)(?=\s+- at '|$)")
_LARGE = 1 << 16  # letters: an object of less is within every limit of the API server
_UNSET = re.compile(r"status\.\S+: is required")  # the API server fills it in itself, and drops what stands there
_TWICE = re.compile(r'line \d+: key "(.+)" already set in map')
_READ_IN_TWO_WAYS = "helm takes the last one, Flux and kustomize refuse it"
_ENVIRONMENT = {**BRIEF_GO, "GOMAXPROCS": "1"}  # as many of it run as there are processors


@dataclass(frozen=True)
class Problem:
    """Something wrong with one object. `source` is its template as helm names it, `name` may be "".

    `unchecked` says that nothing is known to be wrong: there is no schema to check the object with. `accepted` is
    why that is borne, or "".
    """

    source: str
    kind: str
    name: str
    message: str
    unchecked: bool = False
    accepted: str = ""
    namespace: str = ""

    @property
    def called(self) -> str:
        """The object for a person, "" for what has neither kind nor name."""
        return f"{self.kind}/{self.name}" if self.kind or self.name else ""

    @property
    def label(self) -> str:
        """What it is a problem of, as an object's identity is written."""
        return str(Identity("", self.kind, self.namespace, self.name))


@dataclass(frozen=True)
class Tolerance:
    """What is borne, and why: `kinds` (group/version Kind) unchecked, `unproven` (group/version) without a schema, and
    `parts`, documents that are no objects.
    """

    kinds: Mapping[str, str] = field(default_factory=dict)
    unproven: Mapping[str, str] = field(default_factory=dict)
    parts: str = ""


@dataclass(frozen=True)
class Kubeconform:
    """The validator. `path` is the binary; `schemas` prepares what it checks against."""

    path: Path
    runner: Runner
    schemas: Schemas
    tolerance: Tolerance = Tolerance()
    unrendered: Callable[[Collection[str]], Iterable[Document]] = lambda _: ()

    def judge(self, renders: Mapping[str, Sequence[Manifests]]) -> dict[str, tuple[tuple[Problem, ...], ...]]:
        """The problems of each of the renders under each Kubernetes version, in the order given.

        Equal texts are checked once, and once for all the versions whose schemas of it are equal; and what has the same
        schemas is checked together, since reading these takes longer than all else. An object whose
        kind has no schema is a problem, and so is one about which kubeconform says nothing. Raises CommandFailed,
        ToolError.
        """
        prepared: dict[str, Prepared] = {}
        wanted: dict[str, dict[str, frozenset[str]]] = {}  # the checksums of the schemas that each text is to obey
        home: dict[frozenset[str], str] = {}  # the version under which objects with these schemas are checked
        jobs: dict[str, dict[str, None]] = {}  # the texts of each version's run
        for version, several in renders.items():
            documents = [document for manifests in several for document in manifests]
            definitions = [document for document in documents if document.kind == "CustomResourceDefinition"]
            kinds = {_kind(document) for document in documents if document.kind and document.api_version}
            ready = prepared[version] = self.schemas.prepare(version, kinds, definitions, self.unrendered)
            checked = {kind for kind in kinds - ready.missing if str(kind) not in self.tolerance.kinds}
            schemas: dict[str, set[str]] = {}
            for document in documents:
                if (kind := _kind(document)) in checked:
                    schemas.setdefault(document.text, set()).add(ready.sums.get(kind, version))
            wanted[version] = {text: frozenset(sums) for text, sums in schemas.items()}
            for text, sums in wanted[version].items():
                jobs.setdefault(home.setdefault(sums, version), {})[text] = None
        with workers(self.runner) as pool:
            runs = {v: pool.submit(self._run, texts, prepared[v], v) for v, texts in jobs.items()}
            answers = {version: run.result() for version, run in runs.items()}
        verdicts = {}
        for version, several in renders.items():
            reports = {text: answers[home[sums]][text] for text, sums in wanted[version].items()}
            missing = {kind: self._no_schema(kind) for kind in prepared[version].missing}
            verdicts[version] = tuple(tuple(_problems(one, reports, missing, self.tolerance)) for one in several)
        return verdicts

    def _run(self, texts: Iterable[str], prepared: Prepared, kube_version: str) -> dict[str, list[dict[str, Any]]]:
        """What kubeconform reports about the objects in each text."""
        with temporary("manifests") as folder:
            files: dict[str, str] = {}
            for number, text in enumerate(texts):
                file = folder / f"{number}.yaml"
                file.write_text(text, encoding="utf-8")
                files[str(file)] = text
            argv: list[str | Path] = [self.path, "-strict", "-verbose", "-output", "json", "-n", "1"]
            argv += ["-kubernetes-version", kube_version]
            argv += [word for location in prepared.locations for word in ("-schema-location", location)]
            # The folder stands for its files: thousands of names would not fit in a command line.
            result = self.runner.run([*argv, folder], env=_ENVIRONMENT, deadline=120, check=False)
        reports: dict[str, list[dict[str, Any]]] = {text: [] for text in files.values()}
        try:
            for report in json.loads(result.stdout)["resources"]:
                reports[files[report["filename"]]].append(report)
        except (ValueError, KeyError, TypeError):
            raise CommandFailed(result.argv, result.status, stdout=result.stdout, stderr=result.stderr) from None
        return reports

    def _no_schema(self, kind: Kind) -> Callable[[Document], Problem]:
        """Makes the problem of an object of a kind that there is no schema for: the same one for each Kubernetes."""
        accepted = self.tolerance.unproven.get(kind.api_version, "")
        served = self.schemas.served_by(kind)
        if served:
            message = f"this Kubernetes has no {kind}; known in {', '.join(served)}"
            return lambda document: _problem(document, message, unchecked=bool(accepted), accepted=accepted)
        if self.schemas.owned_by_kubernetes(kind.group) and not accepted:
            return lambda document: _problem(document, f"no schema, since no known Kubernetes has {kind}")
        message = (
            f"not checked: no schema for {kind}, which neither Kubernetes, a pinned operator nor the chart defines"
        )
        return lambda document: _problem(document, message, unchecked=True, accepted=accepted)


def _problems(
    manifests: Manifests,
    reports: Mapping[str, list[dict[str, Any]]],
    missing: Mapping[Kind, Callable[[Document], Problem]],
    tolerance: Tolerance,
) -> Iterator[Problem]:
    for document in manifests.repeated():
        accepted = "helm takes the first one in crds/" if INSTALLED_FIRST.match(document.source) else ""
        yield _problem(document, "stands twice in this render", accepted=accepted)
    for document in manifests:
        if not document.kind or not document.api_version:
            lacks = " and ".join(key for key in ("apiVersion", "kind") if not document.data.get(key))
            borne = tolerance.parts
            yield _problem(document, f"is no object: it has no {lacks}", unchecked=bool(borne), accepted=borne)
            continue
        if not document.name and not mapping(document.data.get("metadata")).get("generateName"):
            yield _problem(document, "metadata.name is missing")
        if len(document.text) > _LARGE:
            yield from (_problem(document, told) for told in _too_large(document))
        if reason := tolerance.kinds.get(str(_kind(document))):
            yield _problem(document, "not checked", unchecked=True, accepted=reason)
        elif _kind(document) in missing:
            yield missing[_kind(document)](document)
        else:
            yield from (_problem(document, told) for told in _objections(reports.get(document.text, ()), document.text))


def _too_large(document: Document) -> Iterator[str]:
    """What an object holds beyond what the API server takes, which no schema says."""
    notes = document.annotations.items()
    sizes = [("metadata.annotations", sum(len(f"{key}{text}".encode()) for key, text in notes), 1 << 18)]
    if document.api_version == "v1" and document.kind in ("ConfigMap", "Secret"):
        encoded, plain = ("data", "stringData") if document.kind == "Secret" else ("binaryData", "data")
        packed = {key: "".join(str(text).split()) for key, text in mapping(document.data.get(encoded)).items()}
        held = {key: len(text) * 3 // 4 - text.count("=") for key, text in packed.items()}
        held |= {key: len(str(text).encode()) for key, text in mapping(document.data.get(plain)).items()}
        sizes.append(("what it holds", sum(held.values()), 1 << 20))
    for what, size, most in sizes:
        if size > most:
            yield f"{what} is {size} bytes, and the API server takes {most}"


def _repeated(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The keys in a tree of nodes that stand in a mapping which has them already."""
    seen = set[str]()
    for index, item in enumerate(node.value if isinstance(node, yaml.CollectionNode) else ()):
        key, value = (str(item[0].value), item[1]) if isinstance(node, yaml.MappingNode) else (str(index), item)
        if key in seen:
            yield (*path, key)
        seen.add(key)
        yield from _repeated(value, (*path, key))


def _objections(reports: Iterable[Mapping[str, Any]], text: str) -> Iterator[str]:
    """What kubeconform has against one object, which is that text."""
    answers = {report["status"]: report["msg"] for report in reports}
    if not answers.keys() & {"statusValid", "statusInvalid", "statusError"}:
        yield "kubeconform says nothing about it"
    if told := answers.get("statusInvalid"):
        yield from read_objections(told)
    if told := answers.get("statusError"):
        if twice := _TWICE.findall(told):
            more = f", and {len(twice) - 1} more" if len(twice) > 1 else ""
            path = next(_repeated(compose(text)), twice[:1])
            told = f"{key_text(path)} stands twice{more}: {_READ_IN_TWO_WAYS}"
        yield " ".join(told.split())


def read_objections(message: str) -> tuple[str, ...]:
    """Each field that a schema refuses, as `spec.replicas: got string, want integer`."""
    found = _OBJECTION.findall(" ".join(message.split()))
    told = [each for line in found for each in read_objection(*line, unknown="no such field")]
    # A null is as good as nothing, and nobody means one.
    said = [f"{key_text(path) or '(top level)'}: {words.replace('want null or ', 'want ')}" for path, words in told]
    return tuple(line for line in said or (message,) if not _UNSET.match(line))


def _problem(document: Document, message: str, *, unchecked: bool = False, accepted: str = "") -> Problem:
    namespace = document.identity.namespace
    return Problem(document.source, document.kind, document.name, message, unchecked, accepted, namespace)


def _kind(document: Document) -> Kind:
    return Kind(document.api_version, document.kind)
