"""Judges a chart's Artifact Hub annotations: what it refuses, and what it takes and somebody may not have meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from scripts.chart.changelog import KINDS
from scripts.chart.pods import DIGEST
from scripts.chart.source import ARTIFACT_HUB
from scripts.core.yaml_read import flaw_of, load

CATEGORIES = (
    "ai-machine-learning", "database", "integration-delivery", "monitoring-logging",
    "networking", "security", "skip-prediction", "storage", "streaming-messaging",
)  # fmt: skip
CAPABILITIES = ("Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot")
_URL = re.compile(r"^(https?|oci)://\S+$")
_SPDX = re.compile(r"^\(?[A-Za-z0-9][A-Za-z0-9.+-]*\)?( (AND|OR|WITH) \(?[A-Za-z0-9][A-Za-z0-9.+-]*\)?)*$")
_IMAGE = re.compile(
    r"^(?:[a-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*"
    rf"(?::[\w][\w.-]{{0,127}})?(?:@{DIGEST})?$"
)
_FINGERPRINT = re.compile(r"^[0-9A-Fa-f]{40}$")


@dataclass(frozen=True)
class Objection:
    """Something Artifact Hub would refuse, or with `ignored` take as it is. `line` counts from 0 in the annotation."""

    message: str
    ignored: bool = False
    line: int = 0
    annotation: str = ""


def objections(annotations: Mapping[str, Any], version: str) -> Iterator[Objection]:
    """All that is wrong with the annotations of a chart of `version`; other annotations are left alone."""
    for name, given in annotations.items():
        if not isinstance(name, str) or not name.startswith(ARTIFACT_HUB):
            continue
        value, rule = as_text(given), _RULES.get(name.removeprefix(ARTIFACT_HUB), _unknown)
        no_text = Objection(f"must be text (quoted), is {type(given).__name__}")
        yield from (replace(found, annotation=name) for found in ([no_text] if value is None else rule(value)))
    prerelease = as_text(annotations.get(f"{ARTIFACT_HUB}prerelease"))
    if prerelease and (prerelease[0] in "tT1") != ("-" in version.partition("+")[0]):
        message = f"is {prerelease!r}, but the version is {version}"  # it may be a pre-release for other reasons
        yield Objection(message, ignored=True, annotation=f"{ARTIFACT_HUB}prerelease")


def as_text(value: Any) -> str | None:
    """An annotation as helm reads it, whether or not it is quoted; None where it reads none, or another number."""
    if isinstance(value, bool):
        return str(value).lower()
    return str("" if value is None else value) if value is None or isinstance(value, int | str) else None


Found = Iterator[Objection]
Rule = Callable[[str], Found]


def _unknown(_: str) -> Found:
    yield Objection(f"Artifact Hub knows no such annotation; it knows {', '.join(sorted(_RULES))}", ignored=True)


def _one_of(*allowed: str, any_case: bool = False) -> Rule:
    def rule(value: str) -> Found:
        if value not in allowed and not (any_case and value.lower() in map(str.lower, allowed)):
            yield Objection(f"is {value!r}, not one of {', '.join(allowed)}")

    return rule


def _license(value: str) -> Found:
    if not _SPDX.match(value.strip()):  # it is shown as it stands
        yield Objection(f"is {value.strip()!r}, not an SPDX license expression", ignored=True)


def _read_as(value: str, kind: type, word: str) -> tuple[Any, Found]:
    """The YAML in an annotation where it is of that kind, else None and what is wrong with it."""
    try:
        found = load(value)
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0)
        return None, iter([Objection(f"is not valid YAML: {flaw_of(error)}", line=line)])
    found = [] if found is None and kind is list else found
    return (found, iter(())) if isinstance(found, kind) else (None, iter([Objection(f"must be a {word}")]))


def _list_of(item: Callable[[Any], Found], *, texts: bool = False, read: bool = True) -> Rule:
    """Of a list whose entries `item` judges, or `texts` alone; what is not `read` is shown whatever they are."""

    def rule(value: str) -> Found:
        entries, wrong = _read_as(value, list, "list")
        yield from wrong
        if not entries or (texts and all(map(_says, entries))):
            return
        lines = [number for number, text in enumerate(value.splitlines()) if text.startswith("-")]
        for index, entry in enumerate(entries):
            place = lines[index] if len(lines) == len(entries) else 0
            for found in item(entry):
                yield Objection(f"[{index}] {found.message}", found.ignored or not read, place)

    return rule


def _says(value: Any) -> bool:
    """Whether a value is a text for Artifact Hub, which takes numbers for that, too, and not an empty one."""
    return value not in (None, "") and not isinstance(value, dict | list)


def _fields(entry: Any, needed: tuple[str, ...], usual: tuple[str, ...] = (), further: tuple[str, ...] = ()) -> Found:
    """Of a mapping that is refused without what is `needed`, and taken without what is `usual`."""
    texts = (*needed, *usual)
    if not isinstance(entry, dict):
        yield Objection(f"must be a mapping with {', '.join(texts)}")
        return
    for name in texts:
        if not _says(entry.get(name)):
            yield Objection(f"needs {name}, as text", ignored=name in usual and entry.get(name) in (None, ""))
    for name in entry:
        if name not in (*texts, *further):
            yield Objection(f"has a field that Artifact Hub does not read: {name!r}", ignored=True)
    if _says(url := entry.get("url")) and not _URL.match(str(url)):
        yield Objection(f"has a url that is none: {url!r}", ignored=True)


def _change(entry: Any) -> Found:
    yield from _fields(entry, ("description",), further=("kind", "links"))
    if isinstance(entry, dict):
        if (kind := entry.get("kind")) not in (None, "") and str(kind).lower() not in KINDS:
            yield Objection(f"has kind {kind!r}, not one of {', '.join(KINDS)}")
        links = entry.get("links") or ()
        if not isinstance(links, list | tuple):
            yield Objection("has links that are no list")
            return
        for link in links:
            yield from _fields(link, ("name", "url"))


def _image(entry: Any) -> Found:
    yield from _fields(entry, ("image",), further=("name", "whitelisted", "platforms"))
    if isinstance(entry, dict) and _says(image := entry.get("image")) and not _IMAGE.match(str(image)):
        yield Objection(f"has an image that is no reference: {image!r}")


def _signing_key(value: str) -> Found:
    key, wrong = _read_as(value, dict, "mapping")
    yield from wrong
    if key is not None:
        yield from _fields(key, ("url",), ("fingerprint",))
        if _says(mark := key.get("fingerprint")) and not _FINGERPRINT.match(str(mark)):
            yield Objection("has a fingerprint that is not 40 hexadecimal digits", ignored=True)


_BOOLEAN = _one_of("true", "false", "True", "False", "TRUE", "FALSE", "t", "f", "T", "F", "1", "0")  # as Go reads it
_DEFINED = ("kind", "version", "name", "displayName", "description")
_RULES: Mapping[str, Rule] = {
    "alternativeName": lambda _: iter(()),
    "category": _one_of(*CATEGORIES),
    "changes": _list_of(_change, texts=True),
    "containsSecurityUpdates": _BOOLEAN,
    "crds": _list_of(lambda e: _fields(e, (), _DEFINED), read=False),
    "crdsExamples": _list_of(
        lambda e: _fields(e, (), ("apiVersion", "kind"), tuple(e) if isinstance(e, dict) else ()), read=False
    ),
    "images": _list_of(_image),
    "license": _license,
    "links": _list_of(lambda e: _fields(e, (), ("name", "url"))),
    "maintainers": _list_of(lambda e: _fields(e, (), ("name", "email"))),
    "operator": _BOOLEAN,
    "operatorCapabilities": _one_of(*CAPABILITIES, any_case=True),
    "prerelease": _BOOLEAN,
    "recommendations": _list_of(lambda e: _fields(e, (), ("url",))),
    "screenshots": _list_of(lambda e: _fields(e, (), ("title", "url"))),
    "signKey": _signing_key,
}
