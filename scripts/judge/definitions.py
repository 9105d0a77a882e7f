"""Judges a CustomResourceDefinition: what objects of its kind may say, and which versions of it are served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scripts.chart.contents import INSTALLED_FIRST
from scripts.chart.manifests import Document, mappings
from scripts.judge import schema as schemas
from scripts.judge.reason import Found, Level, Reason

GROUP = "apiextensions.k8s.io"
KIND = "CustomResourceDefinition"
_ALWAYS = (("apiVersion",), ("kind",), ("metadata",))  # in every object, whether or not its schema asks for them


def in_crds(document: Document) -> bool:
    """Whether an object stands in a `crds/` folder: helm installs it once, and never changes or deletes it."""
    return INSTALLED_FIRST.match(document.source) is not None


def judge_definition(old: Document, new: Document) -> Iterator[Reason]:
    """What differs for objects of the kind that is defined."""
    about = str(new.identity)
    note = "; helm leaves crds/ alone on an upgrade: kubectl apply it" if in_crds(new) else ""
    for level, path, was, now, meaning in _changes(*(side.spec for side in (old, new))):
        yield Reason(level, f"{about} {path}", was, now, meaning + note)
    if in_crds(old) != in_crds(new):
        meaning = "helm refuses to take over a definition that it has not made: the upgrade fails"
        if in_crds(new):
            meaning = "helm deletes what leaves its templates, and with the definition every object of its kind"
        kept = in_crds(new) and old.annotations.get("helm.sh/resource-policy") == "keep"
        meaning = "stays in the cluster; the release forgets it" if kept else meaning
        yield Reason("minor" if kept else "major", about, _place(old), _place(new), meaning)


def _place(document: Document) -> str:
    return "crds/" if in_crds(document) else "templates/"


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    level: Level
    names = [_names(side.get("names") or {}) for side in (old, new)]
    for key in ("shortNames", "singular", "categories", "listKind"):
        if names[0].get(key) != names[1].get(key):
            yield "minor", f"spec.names.{key}", names[0].get(key), names[1].get(key), "kubectl knows it by other words"
    before, after = (_versions(side) for side in (old, new))
    for name in [*before, *(name for name in after if name not in before)]:
        path = f"spec.versions[{name}]"
        served = {**before, **after}[name].get("served")
        if name not in after:
            yield "major", path, name, None, _UNSERVED if served else _STORED
        elif name not in before:
            yield "minor", path, None, name, f"a further version, {'' if served else 'not yet '}served"
        else:
            yield from _version(path, before[name], after[name])
    was, now = (side.get("conversion") or {"strategy": "None"} for side in (old, new))
    if was != now:
        ended = now.get("strategy", "None") == "None" and len(before.keys() & after.keys()) > 1
        level, meaning = "minor", "versions are converted otherwise"
        if ended:
            level, meaning = "major", "what one version calls otherwise than another is dropped: nothing converts it"
        yield level, "spec.conversion", was, now, meaning


_UNSERVED = "objects that are written in this version are refused"
_STORED = "refused by the API server as long as the definition's status.storedVersions names it"


def _names(names: Mapping[str, Any]) -> Mapping[str, Any]:
    """With those that the API server makes of the kind."""
    return {"listKind": f"{names.get('kind')}List", "singular": str(names.get("kind")).lower(), **names}


def _versions(spec: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The versions by name, also as v1beta1 of definitions wrote them."""
    listed = spec.get("versions") or [{"name": spec.get("version"), "served": True, "storage": True}]
    shared = spec.get("validation")
    return {str(one.get("name")): {**({"schema": shared} if shared else {}), **one} for one in mappings(listed)}


def _version(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    if bool(old.get("served")) != bool(new.get("served")):
        on = bool(new.get("served"))
        meaning = "the version is served from now on" if on else _UNSERVED
        yield "minor" if on else "major", f"{path}.served", not on, on, meaning
    if bool(old.get("storage")) != bool(new.get("storage")):
        meaning = "objects are stored in another version; stored ones have to be written anew before the old one goes"
        yield "minor", f"{path}.storage", old.get("storage"), new.get("storage"), meaning
    if not old.get("deprecated") and new.get("deprecated"):
        yield "minor", f"{path}.deprecated", False, True, "the version will go; the API server warns"
    was, now = ((side.get("subresources") or {}) for side in (old, new))
    for key in sorted({*was, *now}):
        if was.get(key) != now.get(key):
            level: Level = "major" if key in was else "minor"
            meaning = "who writes it, such as its controller or a scaler, is refused"
            meaning = meaning if key in was else "a further subresource"
            yield level, f"{path}.subresources.{key}", was.get(key), now.get(key), meaning
    one, other = ({str(it.get("jsonPath")) for it in mappings(side.get("selectableFields"))} for side in (old, new))
    if one != other:
        lost, told = one - other, (sorted(one), sorted(other))
        meaning = "who selects objects by it is refused" if lost else "objects can be selected by a further field"
        yield "major" if lost else "minor", f"{path}.selectableFields", *told, meaning
    if old.get("additionalPrinterColumns") != new.get("additionalPrinterColumns"):
        yield "patch", f"{path}.additionalPrinterColumns", None, None, "kubectl get shows other columns"
    yield from _fields(f"{path}.schema", old, new)


def _fields(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    """A reason for each field and word; the same change of many fields is told once."""
    sides = [(side.get("schema") or {}).get("openAPIV3Schema") for side in (old, new)]
    changes = schemas.compare(sides[0], sides[1], pruned=True)
    keyed = {change.path for change in changes if change.what == "x-kubernetes-list-type"}  # which says it all
    for change, level, meaning in schemas.judged(changes, lambda one: _meaning(one, keyed), "fields"):
        yield level, f"{path} {schemas.key_of(change.path) or '(top level)'}", change.old, change.new, meaning


def _meaning(change: schemas.Change, keyed: set[schemas.Path]) -> tuple[Level, str] | None:
    if change.what == "required" and change.path in _ALWAYS:
        return None
    if change.what == "x-kubernetes-list-map-keys" and change.path in keyed:
        return None
    if change.effect == "wider":
        gets = "no default any more" if change.new is None else "the new default"
        return "minor", {
            "properties": "a new field",
            "default": f"objects that do not say it get {gets}",
            "x-kubernetes-map-type": "who applies a part of it takes away what others set beside it, or no longer does",
        }.get(change.what, f"more is taken than before ({change.what})")
    if change.path[:1] == ("status",):
        return "minor", "its controller, which comes with it, writes it otherwise"
    return "major", {
        "properties": "the field is dropped from objects that have it",
        # The API server takes what is unknown, and forgets it.
        "additionalProperties": "fields that are not named any more are dropped from objects that have them",
        "required": "objects without it are refused",
    }.get(change.what, f"objects with what was taken before may be refused ({change.what})")
