"""Traps from other charts' issues that belong to no single component."""

from __future__ import annotations

import re
from typing import Any

import pytest

from scripts.core.errors import CommandFailed
from tests.render.everything import EVERYTHING, merged, nested
from tests.render.harness import NEWEST, Documents, render, render_text
from tests.render.schema_values import DEFAULTS
from tests.render.valid import findings


def parents(tree: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of the values that holds a map."""
    return [
        deeper
        for key, value in tree.items()
        if isinstance(value, dict)
        for deeper in ((*path, key), *parents(value, (*path, key)))
    ]


def switches(tree: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of the values that is true by default."""
    found = []
    for key, value in tree.items():
        if value is True:
            found.append((*path, key))
        elif isinstance(value, dict):
            found += switches(value, (*path, key))
    return found


@pytest.mark.trap("nil-parent")
@pytest.mark.parametrize("path", parents(DEFAULTS), ids=".".join)
def test_a_parent_set_to_null_is_refused_by_name_or_renders(path: tuple[str, ...]) -> None:
    try:
        render(nested(path, None))
    except CommandFailed as refused:
        for internal in ("nil pointer", "interface conversion", "wrong type"):
            assert internal not in refused.stderr
        assert path[-1] in refused.stderr


@pytest.mark.trap("default-true")
@pytest.mark.parametrize("path", switches(DEFAULTS), ids=".".join)
def test_an_explicit_false_is_false(path: tuple[str, ...]) -> None:
    values = merged(EVERYTHING, nested(path, False))
    assert render_text(values, namespace="ops") != render_text(EVERYTHING, namespace="ops"), f"{path} is not read"


@pytest.mark.trap("empty-map")
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["default", "everything"])
def test_no_empty_map_list_or_null_is_rendered(values: dict[str, Any]) -> None:
    assert empties(render(values)) == []


@pytest.mark.trap("empty-map", "nil-parent")
@pytest.mark.parametrize("top", DEFAULTS)
def test_a_default_set_to_null_is_refused_by_name_or_leaves_nothing(top: str) -> None:
    texts = {}
    for path in leaves(DEFAULTS[top], (top,)):
        values = merged(EVERYTHING, nested(path, None))
        try:
            texts[path] = render_text(values)
        except CommandFailed as refused:
            assert path[-1] in refused.stderr
            assert "nil pointer" not in refused.stderr
        else:
            assert empties(render(values)) == [], ".".join(path)
    wrong = zip(texts, findings(list(texts.values()), NEWEST), strict=True)
    assert {path: found for path, found in wrong if found} == {}


def leaves(tree: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Every key below `path` that holds no map, or an empty one."""
    if not isinstance(tree, dict) or not tree:
        return [path]
    return [leaf for key, value in tree.items() for leaf in leaves(value, (*path, key))]


def empties(docs: Documents) -> list[str]:
    found: list[str] = []

    def walk(node: Any, where: str) -> None:
        if node is None or node == {} or node == []:
            found.append(where)
        elif isinstance(node, dict):
            for key, value in node.items():
                walk(value, f"{where}.{key}")
        elif isinstance(node, list):
            for index, value in enumerate(node):
                walk(value, f"{where}[{index}]")

    for doc in docs:
        walk(doc, f"{doc['kind']}/{doc['metadata']['name']}")
    return found


@pytest.mark.trap("large-integer")
def test_no_number_is_in_exponent_form() -> None:
    values = {
        "ingress": {"annotations": {"n": 20000000}, "service": {"annotations": {"n": 12345678}}},
        "commonAnnotations": {"n": 10000000},
        "commonLabels": {"n": 10000000},
        "podSecurityContext": {"runAsUser": 1000660000, "fsGroup": 1000660000},
        "keda": {"requestsPerSecond": 1000000, "enabled": True},
    }
    assert not re.findall(r"(?m)^.*\d(?:\.\d+)?e\+\d+.*$", render_text(values))


@pytest.mark.trap("selector-version")
def test_a_new_version_changes_no_selector(chart_with_build_version: Any) -> None:
    def selectors(docs: Documents) -> list[Any]:
        return [doc["spec"]["selector"] for doc in docs if "selector" in doc.get("spec", {})]

    assert selectors(render(EVERYTHING)) == selectors(render(EVERYTHING, chart=chart_with_build_version))
