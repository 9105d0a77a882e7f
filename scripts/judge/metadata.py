"""Judges Chart.yaml: the application's version, the Kubernetes that is admitted, dependencies, the chart's type."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from scripts.chart.constraints import edges, parse_constraint, satisfied, supported
from scripts.chart.source import ARTIFACT_HUB
from scripts.checks.matrix import spans
from scripts.core.errors import ChartError
from scripts.core.semver import minor
from scripts.judge.reason import Level, Reason, numbers, version_level
from scripts.judge.side import Side, called

_SAID = ("description", "keywords", "home", "sources", "maintainers", "icon", "annotations")
_RAISED = frozenset(f"{ARTIFACT_HUB}{name}" for name in ("changes", "prerelease", "containsSecurityUpdates"))
_USUAL = {"type": "application", "deprecated": False}
_MINORS = tuple(f"1.{minor}" for minor in range(100))  # those that are not out yet, too


def judge_metadata(old: Side, new: Side, known: Sequence[str] = ()) -> Iterator[Reason]:
    """What differs in Chart.yaml. `known` are the Kubernetes minors that are out (`1.30`), by which it is judged."""
    yield from _application(old.app_version, new.app_version)
    yield from _dependencies(old, new)
    for key in ("name", "type", "apiVersion", "kubeVersion", "deprecated", *_SAID):
        was, now = (lasting(side.metadata.get(key)) or _USUAL.get(key) for side in (old, new))
        if was != now:
            level, meaning = _meaning(key, was, now, known)
            # Of annotations the keys, since they hold whole changelogs.
            told = [sorted(one) if isinstance(one, Mapping) else one for one in (was, now)]
            yield Reason(level, f"Chart.yaml {key}", told[0], told[1], meaning)


def _meaning(key: str, old: Any, new: Any, known: Sequence[str]) -> tuple[Level, str]:
    match key:
        case "name":
            meaning = "another chart: installations do not find it as their next version, and default names differ"
            return "major", meaning
        case "type" if new == "library":
            return "major", "a library cannot be installed: no installation can be upgraded"
        case "type":
            return "minor", "it can be installed"
        case "apiVersion":
            return ("patch", "Helm 3 and later read both") if new == "v2" else ("minor", "read by another rule of helm")
        case "kubeVersion":
            return _kubernetes(old, new, known)
        case "deprecated":
            return "minor", "the chart is given up: look for another one" if new else "the chart is kept again"
        case _:
            return "patch", "says something else"


def lasting(value: Any) -> Any:
    """Annotations without those that a raise of the version writes anew."""
    if not isinstance(value, Mapping):
        return value
    return {name: text for name, text in value.items() if name not in _RAISED} or None


def _application(old: str | None, new: str | None) -> Iterator[Reason]:
    if old == new:
        return
    level = version_level(old, new)
    if old is None or new is None:
        level, meaning = "minor", "whether the application is another one is not said by a number"
    elif numbers(old) is None or numbers(new) is None:
        meaning = "the application is another one; its version is no number that tells how far"
    else:
        meaning = {
            "major": "the application itself: a version that may break what worked with the old one",
            "minor": "the application itself: new features",
        }.get(level, "the application itself: repairs")
    yield Reason(level, "Chart.yaml appVersion", old, new, meaning)


def _kubernetes(old: Any, new: Any, known: Sequence[str]) -> tuple[Level, str]:
    try:
        before, after = ({minor(one) for one in supported(str(side) if side else None, _MINORS)} for side in (old, new))
        vendors = _vendors(old) and not _vendors(new)
        patches = _finer(old, new, after)
    except ChartError as error:
        return "major", f"cannot be compared: {error.message}"
    newest = max(map(_number, known), default=99)
    lost = sorted(before - after, key=_number)
    if out := [minor for minor in lost if _number(minor) <= newest]:
        return "major", f"an installation on Kubernetes {_span(out)} cannot be upgraded"
    if vendors:
        return "major", "helms such as 3.17 refuse builds of vendors, such as v1.33.4-gke.1036000"
    if patches:
        return "major", f"an installation on Kubernetes {patches} cannot be upgraded"
    if lost:
        return "minor", f"Kubernetes {_span(lost)} will be refused when it is there"
    if after - before or (_vendors(new) and not _vendors(old)):
        return "minor", "more clusters are admitted"
    return "patch", "admits the same Kubernetes versions"


def _number(minor: str) -> int:
    return int(minor.split(".")[1])


def _vendors(constraint: Any) -> bool:
    """Whether a pre-release, as vendors number their builds, is admitted by older helms too, which ask every part."""
    alternatives = parse_constraint(str(constraint) if constraint else None)
    return any(all(one.version.prerelease for one in alternative) for alternative in alternatives)


def _finer(old: Any, new: Any, minors: Collection[str]) -> str:
    """A patch release that `old` admits and `new` does not, though it admits others of the same of these minors."""
    sides = [parse_constraint(str(one) if one else None) for one in (old, new)]
    for version in sorted(edges(sides[0]) | edges(sides[1])):
        was, now = (satisfied(side, version) for side in sides)
        if was and not now and minor(str(version)) in minors:
            return str(version)
    return ""


def _span(minors: Sequence[str]) -> str:
    return spans(minors).replace(f"to {_MINORS[-1]}", "and later")


def _dependencies(old: Side, new: Side) -> Iterator[Reason]:
    pairs, gone, fresh = _paired(old.listed, new.listed)
    for was, now in pairs:
        yield from _dependency(old, new, was, now)
    for entry in gone:
        meaning = "what it installed is deleted, and its settings are refused or ignored"
        yield Reason("major", f"Chart.yaml dependencies[{called(entry)}]", entry.get("version"), None, meaning)
    for entry in fresh:
        meaning = "another chart comes with this one" + (", where it is switched on" if entry.get("condition") else "")
        yield Reason("minor", f"Chart.yaml dependencies[{called(entry)}]", None, entry.get("version"), meaning)


Entries = list[Mapping[str, Any]]


def _paired(
    before: Entries, after: Entries
) -> tuple[list[tuple[Mapping[str, Any], Mapping[str, Any]]], Entries, Entries]:
    """The same dependencies on both sides: by what they are called, then by the chart that they are."""
    pairs, gone, fresh = [], list(before), list(after)
    for key in (called, lambda entry: str(entry.get("name"))):
        for was in list(gone):
            if (now := next((one for one in fresh if key(one) == key(was)), None)) is not None:
                pairs.append((was, now))
                gone.remove(was)
                fresh.remove(now)
    return pairs, gone, fresh


def _switches(key: str, value: Any) -> list[str]:
    """The settings that switch a dependency: the first condition that is set, whichever tag."""
    return [one.strip() for one in str(value or "").split(",")] if key == "condition" else sorted(map(str, value or ()))


def _dependency(old: Side, new: Side, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Reason]:
    about = f"Chart.yaml dependencies[{called(was)}]"
    if was.get("name") != now.get("name"):
        meaning = "another chart under the same name: its settings and objects are others"
        yield Reason("major", about, was.get("name"), now.get("name"), meaning)
        return
    if called(was) != called(now):
        meaning = f"its values stand under {called(now)} now: a values file that sets the old key has no effect"
        yield Reason("major", f"{about}.alias", called(was), called(now), meaning)
    # What is packed is what is installed; the constraint alone says less.
    packed = [side.subcharts.get(called(entry)) for side, entry in ((old, was), (new, now))]
    both = zip(packed, (was, now), strict=True)
    found = [str(side.version if side else entry.get("version", "")) for side, entry in both]
    if (level := version_level(*(one.lstrip("^~>=< ") for one in found))) != "none":
        words = {"major": "a version of it that may break what worked", "minor": "a version of it with new features"}
        yield Reason(level, f"{about}.version", found[0], found[1], words.get(level, "a repaired version of it"))
    elif was.get("version") != now.get("version"):
        meaning = "the same version is packed" if all(packed) else "other versions of it fit"
        yield Reason("patch", f"{about}.version", was.get("version"), now.get("version"), meaning)
    told: tuple[tuple[str, Level, str], ...] = (
        ("condition", "major", "another setting switches it: the old one has no effect"),
        ("tags", "major", "other tags switch it: the old ones have no effect"),
        ("import-values", "minor", "other values of it are taken over"),
        ("repository", "patch", "comes from another place"),
    )
    for key, level, meaning in told:
        one, other = was.get(key), now.get(key)
        switches = [_switches(key, side) for side in (one, other)]
        if one == other or (key in ("condition", "tags") and switches[0] == switches[1]):
            continue
        if key in ("condition", "tags") and not one:
            level, meaning = "minor", "it can be switched off"
        elif key == "condition" and switches[1][: len(switches[0])] == switches[0]:
            level, meaning = "minor", "a further setting switches it, where the first is not set"
        yield Reason(level, f"{about}.{key}", one, other, meaning)
