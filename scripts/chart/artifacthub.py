"""Judges a chart's Artifact Hub annotations by the rules that Artifact Hub documents for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from scripts.chart.changelog import KINDS
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
    r"(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$"
)
_BEYOND = "has a field that Artifact Hub does not read:"
_FINGERPRINT = re.compile(r"^[0-9A-Fa-f]{40}$")


@dataclass(frozen=True)
class Objection:
    """Something Artifact Hub would refuse, or with `ignored` take as it is. `line` counts from 0 in the annotation."""

    annotation: str
    message: str
    line: int = 0
    ignored: bool = False


def objections(annotations: Mapping[str, Any], version: str) -> Iterator[Objection]:
    """All that is wrong with the annotations of a chart of `version`; other annotations are left alone."""
    for name, given in annotations.items():
        if not isinstance(name, str) or not name.startswith(ARTIFACT_HUB):
            continue
        value = as_text(given)
        if value is None:
            yield Objection(name, f"must be text (quoted), is {type(given).__name__}")
            continue
        rule = _RULES.get(name.removeprefix(ARTIFACT_HUB))
        if rule is None:
            yield Objection(
                name, f"Artifact Hub knows no such annotation; it knows {', '.join(sorted(_RULES))}", ignored=True
            )
        else:
            shown = name == f"{ARTIFACT_HUB}license"  # as it stands
            yield from (Objection(name, message, line, shown or _BEYOND in message) for line, message in rule(value))
    prerelease = as_text(annotations.get(f"{ARTIFACT_HUB}prerelease"))
    if prerelease and (prerelease[0] in "tT1") != ("-" in version.partition("+")[0]):
        message = f"is {prerelease!r}, but the version is {version}"
        yield Objection(f"{ARTIFACT_HUB}prerelease", message, ignored=True)  # it may be a pre-release for other reasons


def as_text(value: Any) -> str | None:
    """An annotation as helm reads it, whether or not it is quoted; None where it reads none, or another number."""
    if isinstance(value, bool):
        return str(value).lower()
    return str("" if value is None else value) if value is None or isinstance(value, int | str) else None


Messages = Iterator[tuple[int, str]]
Rule = Callable[[str], Messages]


def _one_of(*allowed: str) -> Rule:
    def rule(value: str) -> Messages:
        if value not in allowed:
            yield 0, f"is {value!r}, not one of {', '.join(allowed)}"

    return rule


def _matches(pattern: re.Pattern[str], what: str) -> Rule:
    def rule(value: str) -> Messages:
        if not pattern.match(value.strip()):
            yield 0, f"is {value.strip()!r}, not {what}"

    return rule


def _anything(value: str) -> Messages:
    if not value.strip():
        yield 0, "is empty"


def _read_as(value: str, kind: type, word: str) -> tuple[Any, Messages]:
    """The YAML in an annotation where it is of that kind, else None and what is wrong with it."""
    try:
        found = load(value)
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0)
        return None, iter([(line, f"is not valid YAML: {flaw_of(error)}")])
    return (found, iter(())) if isinstance(found, kind) else (None, iter([(0, f"must be a {word}")]))


def _list_of(item: Callable[[Any], Iterator[str]]) -> Rule:
    def rule(value: str) -> Messages:
        entries, wrong = _read_as(value, list, "list")
        yield from wrong
        if entries is not None:
            lines = [number for number, text in enumerate(value.splitlines()) if text.startswith("-")]
            for index, entry in enumerate(entries):
                place = lines[index] if len(lines) == len(entries) else 0
                yield from ((place, f"[{index}] {message}") for message in item(entry))

    return rule


def _fields(entry: Any, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield f"must be a mapping with {', '.join(required)}"
        return
    for name in required:
        if not isinstance(entry.get(name), str) or not entry[name].strip():
            yield f"needs {name}, as text"
    for name in entry:
        if name not in (*required, *optional):
            yield f"{_BEYOND} {name!r}"
    if isinstance(entry.get("url"), str) and not _URL.match(entry["url"]):
        yield f"has a url that is none: {entry['url']!r}"


def _change(entry: Any) -> Iterator[str]:
    if isinstance(entry, str) and entry.strip():
        return
    yield from _fields(entry, ("description",), ("kind", "links"))
    if isinstance(entry, dict):
        if "kind" in entry and entry["kind"] not in KINDS:
            yield f"has kind {entry['kind']!r}, not one of {', '.join(KINDS)}"
        links = entry.get("links") or ()
        if not isinstance(links, list | tuple):
            yield "has links that are no list"
            return
        for link in links:
            yield from _fields(link, ("name", "url"))


def _image(entry: Any) -> Iterator[str]:
    yield from _fields(entry, ("image",), ("name", "whitelisted", "platforms"))
    if isinstance(entry, dict) and isinstance(entry.get("image"), str) and not _IMAGE.match(entry["image"]):
        yield f"has an image that is no reference: {entry['image']!r}"


def _signing_key(value: str) -> Messages:
    key, wrong = _read_as(value, dict, "mapping")
    yield from wrong
    if key is not None:
        yield from ((0, message) for message in _fields(key, ("fingerprint", "url")))
        if not _FINGERPRINT.match(str(key.get("fingerprint"))):
            yield 0, "has a fingerprint that is not 40 hexadecimal digits"


_BOOLEAN = _one_of("true", "false", "True", "False", "TRUE", "FALSE", "t", "f", "T", "F", "1", "0")  # as Go reads it
_RULES: Mapping[str, Rule] = {
    "alternativeName": _anything,
    "category": _one_of(*CATEGORIES),
    "changes": _list_of(_change),
    "containsSecurityUpdates": _BOOLEAN,
    "crds": _list_of(lambda e: _fields(e, ("kind", "version", "name", "displayName", "description"))),
    "crdsExamples": _list_of(lambda e: _fields(e, ("apiVersion", "kind"), tuple(e) if isinstance(e, dict) else ())),
    "images": _list_of(_image),
    "license": _matches(_SPDX, "an SPDX license expression"),
    "links": _list_of(lambda e: _fields(e, ("name", "url"))),
    "maintainers": _list_of(lambda e: _fields(e, ("name", "email"))),
    "operator": _BOOLEAN,
    "operatorCapabilities": _one_of(*CAPABILITIES),
    "prerelease": _BOOLEAN,
    "recommendations": _list_of(lambda e: _fields(e, ("url",))),
    "screenshots": _list_of(lambda e: _fields(e, ("title", "url"))),
    "signKey": _signing_key,
}
