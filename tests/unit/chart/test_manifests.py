"""Rendered text becomes objects, and two sets of objects become a difference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from scripts.chart.manifests import Difference, Document, Identity, Manifests, difference, read_manifests
from scripts.core.errors import ChartError

RENDERED = """---
# Source: gati/templates/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: gati
---
# Source: gati/templates/empty.yaml
---
# Source: gati/templates/web.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, annotations: {at: 2024-01-02}}
spec:
  text: |
    a line
     ---
    another
"""


def manifests(*objects: dict[str, Any]) -> Manifests:
    return Manifests(tuple(Document(item) for item in objects))


def deployment(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def lines(found: Difference) -> list[str]:
    """One for each object that came, went or changed, and below it one a field."""

    def told() -> Iterator[str]:
        yield from (f"{sign} {one}" for sign, side in (("+", found.added), ("-", found.removed)) for one in side)
        for identity, fields in found.changed.items():
            yield f"~ {identity}"
            for one in fields:
                sides = ("(absent)" if side is None else json.dumps(side) for side in (one.old, one.new))
                yield f"    {one.path}: {' -> '.join(sides)}"

    return [*told()]


def test_documents_know_their_template() -> None:
    service, workload = read_manifests(RENDERED)
    assert (service.kind, service.name, service.namespace) == ("Service", "web", "gati")
    assert service.source == "gati/templates/service.yaml"
    assert workload.source == "gati/templates/web.yaml"
    assert workload.identity == Identity("apps", "Deployment", "", "web")


def test_dates_stay_text_and_separators_inside_text_split_nothing() -> None:
    (workload,) = read_manifests(RENDERED).all("Deployment")
    assert workload.data["metadata"]["annotations"]["at"] == "2024-01-02"
    assert workload.data["spec"]["text"] == "a line\n ---\nanother\n"


def test_a_list_is_opened() -> None:
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [deployment(), deployment()]})
    assert [document.kind for document in read_manifests(text)] == ["Deployment", "Deployment"]


def test_a_list_of_one_kind_is_opened_too_and_says_the_kind_for_its_items() -> None:
    """As the client of the API server does: what the list is called is the kind of items that say none."""
    items = [{"metadata": {"name": "a"}}, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}}]
    text = yaml.safe_dump({"apiVersion": "example.com/v1", "kind": "BoxList", "metadata": {}, "items": items})
    assert [(one.api_version, one.kind, one.name) for one in read_manifests(text)] == [
        ("example.com/v1", "Box", "a"),
        ("v1", "Secret", "b"),
    ]
    named = {"apiVersion": "example.com/v1", "kind": "AllowList", "metadata": {"name": "x"}, "spec": {}}
    assert [one.kind for one in read_manifests(yaml.safe_dump(named))] == ["AllowList"]


@pytest.mark.parametrize("text", ["", "---\n", "# only a comment\n---\n"])
def test_nothing_rendered_is_no_document(text: str) -> None:
    assert len(read_manifests(text)) == 0


def test_broken_yaml_names_the_template_and_the_line() -> None:
    with pytest.raises(ChartError) as caught:
        read_manifests("---\n# Source: gati/templates/a.yaml\nkind: [\n")
    assert "gati/templates/a.yaml" in str(caught.value)
    assert "rendered line 4" in str(caught.value)


TWICE = "---\n# Source: gati/templates/a.yaml\nkind: A\nmetadata:\n  name: a\n  name: b\n"


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    assert [document.name for document in read_manifests(TWICE)] == ["b"]


def test_merged_keys_may_be_overridden() -> None:
    (document,) = read_manifests("base: &b {a: 1}\nkind: A\nspec: {<<: *b, a: 2}\n")
    assert document.data["spec"] == {"a": 2}


def test_text_that_is_no_object_names_the_template() -> None:
    with pytest.raises(ChartError, match=r"gati/templates/a\.yaml: renders something that is not an object"):
        read_manifests("---\n# Source: gati/templates/a.yaml\nhello\n")


def test_an_object_declared_twice_is_reported_once() -> None:
    assert [d.name for d in manifests(deployment(), deployment(replicas=2)).repeated()] == ["web"]


def test_equal_objects_in_another_order_do_not_differ() -> None:
    first, second = deployment(a=1, b=2), {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    assert not difference(manifests(first, second), manifests(second, deployment(b=2, a=1)))


def test_added_and_removed_objects() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    found = difference(manifests(deployment()), manifests(service))
    assert lines(found) == ["+ Service/web", "- Deployment/web"]


def test_a_new_api_version_is_a_change_of_the_same_object() -> None:
    found = difference(manifests({**deployment(), "apiVersion": "apps/v1beta1"}), manifests(deployment()))
    assert lines(found) == ["~ Deployment/web", '    apiVersion: "apps/v1beta1" -> "apps/v1"']


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ({"replicas": 1}, {"replicas": 2}, "spec.replicas: 1 -> 2"),
        ({"replicas": 1}, {"replicas": True}, "spec.replicas: 1 -> true"),
        ({}, {"paused": False}, "spec.paused: (absent) -> false"),
        ({"a": {"b/c": 1}}, {"a": {}}, 'spec.a["b/c"]: 1 -> (absent)'),
        (
            {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]},
            {"containers": [{"name": "b", "image": "z"}, {"name": "a", "image": "x"}]},
            'spec.containers[b].image: "y" -> "z"',
        ),
        ({"args": ["a", "b"]}, {"args": ["a"]}, 'spec.args[1]: "b" -> (absent)'),
        ({"args": ["b", "c"]}, {"args": ["a", "b", "c"]}, 'spec.args[0]: (absent) -> "a"'),
        (
            {"args": [{"name": "a"}, {"name": "a"}]},
            {"args": [{"name": "a"}]},
            'spec.args[1]: {"name": "a"} -> (absent)',
        ),
    ],
)
def test_changed_fields_have_paths(old: dict[str, Any], new: dict[str, Any], line: str) -> None:
    assert lines(difference(manifests(deployment(**old)), manifests(deployment(**new))))[1:] == [f"    {line}"]


def test_what_is_written_otherwise_and_means_the_same_is_no_difference() -> None:
    written = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata: {a: b}\n"
    again = written.replace("{a: b}", '\n  "a": "b"')
    assert not difference(read_manifests(written), read_manifests(again))
    assert difference(read_manifests(written), read_manifests(again.replace('"b"', '"c"')))
