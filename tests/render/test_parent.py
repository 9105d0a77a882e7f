"""The chart as a dependency of another one: switched by a condition, under an alias, beside foreign globals."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.render.everything import EVERYTHING
from tests.render.figures import INGRESS
from tests.render.harness import CHART, METADATA, NEWEST, render, render_error, render_text
from tests.render.valid import findings


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart that holds this one as `gati`, and once more as `second`, which is off."""
    folder = tmp_path_factory.mktemp("parent") / "platform"
    shutil.copytree(CHART, folder / "charts" / "gati")
    version = METADATA["version"]
    uses = [
        {"name": "gati", "version": version, "condition": "gati.enabled"},
        {"name": "gati", "version": version, "condition": "second.enabled", "alias": "second"},
    ]
    metadata = {"apiVersion": "v2", "name": "platform", "version": "9.9.9", "dependencies": uses}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    values = {
        "global": {"imageRegistry": "registry.example.com", "storageClass": None},
        "gati": {"enabled": True},
        "second": {"enabled": False},
    }
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    return folder


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["default", "everything"])
def test_the_same_objects_as_by_itself(values: dict[str, Any], parent: Path) -> None:
    assert list(render({"gati": values}, chart=parent)) == list(render(values))


def test_the_condition_switches_all_of_it(parent: Path) -> None:
    assert render_text({"gati": {"enabled": False}}, chart=parent).strip() == ""


def test_globals_are_shared(parent: Path) -> None:
    docs = render({"global": {"namespace": "edge"}}, chart=parent)
    assert docs.one("Deployment", INGRESS)["metadata"]["namespace"] == "edge"


def test_an_alias_changes_neither_names_nor_selectors(parent: Path) -> None:
    docs = render({"gati": {"enabled": False}, "second": {"enabled": True}}, chart=parent)
    alone = render()
    for doc in alone.all("Deployment"):
        found = docs.one("Deployment", doc["metadata"]["name"])
        assert found["spec"]["selector"] == doc["spec"]["selector"]
    values = {"gati": {"enabled": False}, "second": {"enabled": True, **EVERYTHING}}
    assert findings([render_text(values, chart=parent)], NEWEST) == [[]]


@pytest.mark.parametrize(
    ("values", "named"),
    [({"ingress": {"replicaCoun": 1}}, "replicaCoun"), ({"pdb": {"maxUnavailable": 1}}, "pdb.maxUnavailable")],
)
def test_a_refusal_names_the_key(values: dict[str, Any], named: str, parent: Path) -> None:
    assert named in render_error({"gati": values}, chart=parent)
