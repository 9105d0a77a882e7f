"""Traps from other charts' issues that belong to no single component."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.render.everything import EVERYTHING, merged, nested
from tests.render.harness import Documents, render, render_error, render_text
from tests.render.schema_values import DEFAULTS


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
def test_a_parent_set_to_null_gives_a_message_or_renders(path: tuple[str, ...]) -> None:
    try:
        render(nested(path, None))
    except Exception:
        message = render_error(nested(path, None))
        assert "nil pointer" not in message
        assert "interface conversion" not in message
        assert "wrong type" not in message
        assert path[-1] in message, message


@pytest.mark.trap("default-true")
@pytest.mark.parametrize("path", switches(DEFAULTS), ids=".".join)
def test_an_explicit_false_is_false(path: tuple[str, ...]) -> None:
    assert render_text(merged(EVERYTHING, nested(path, False))) != render_text(EVERYTHING), f"{path} is not read"


@pytest.mark.trap("empty-map")
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["default", "everything"])
def test_no_empty_map_list_or_null_is_rendered(values: dict[str, Any]) -> None:
    allowed = re.compile(r"emptyDir|podSelector|ingress\[|egress\[|data|spec\.groups|metadata\.creationTimestamp")
    assert not [where for where in empties(render(values)) if not allowed.search(where)]


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
