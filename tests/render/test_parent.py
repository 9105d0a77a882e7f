"""The chart as a dependency of another one: switched by a condition, under an alias, beside foreign globals."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.render.everything import EVERYTHING
from tests.render.figures import INGRESS
from tests.render.harness import (
    CHART,
    METADATA,
    NEWEST,
    Documents,
    container,
    pod,
    render,
    render_error,
    render_text,
)
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
        "global": {"storageClass": None, "postgresql": {"auth": {}}},
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


class TestOwnValues:
    """A parent's own values.yaml, where a null takes no default away (helm/helm#32132)."""

    def render(self, parent: Path, tmp_path: Path, **values: Any) -> Documents:
        folder = tmp_path / "platform"
        shutil.copytree(parent, folder)
        shared = values.pop("global", {})
        both = {"global": shared, "gati": {"enabled": True, **values}, "second": {"enabled": False}}
        (folder / "values.yaml").write_text(yaml.safe_dump(both))
        return render({}, chart=folder)

    def test_a_null_is_not_enough(self, parent: Path, tmp_path: Path) -> None:
        """Should helm mend it, the spellings without null are still right, and this says that they are not needed."""
        docs = self.render(parent, tmp_path, podSecurityContext={"runAsUser": None})
        assert pod(docs.one("Deployment", INGRESS))["securityContext"]["runAsUser"] == 65532

    def test_the_budget(self, parent: Path, tmp_path: Path) -> None:
        docs = self.render(parent, tmp_path, pdb={"minAvailable": "", "maxUnavailable": "25%"})
        spec = docs.one("PodDisruptionBudget", INGRESS)["spec"]
        assert (spec.get("minAvailable"), spec.get("maxUnavailable")) == (None, "25%")

    def test_the_other_half_of_the_budget(self, parent: Path, tmp_path: Path) -> None:
        docs = self.render(parent, tmp_path, pdb={"minAvailable": "", "maxUnavailable": ""})
        assert docs.one("PodDisruptionBudget", INGRESS)["spec"]["maxUnavailable"] == 1

    def test_users_and_groups_on_openshift(self, parent: Path, tmp_path: Path) -> None:
        gone = {"runAsUser": "", "runAsGroup": "", "fsGroup": "", "fsGroupChangePolicy": ""}
        docs = self.render(parent, tmp_path, podSecurityContext={**gone, "seccompProfile": {"type": ""}})
        for doc in docs.all("Deployment"):
            assert pod(doc)["securityContext"] == {"runAsNonRoot": True}

    def test_limits_and_capabilities(self, parent: Path, tmp_path: Path) -> None:
        docs = self.render(
            parent,
            tmp_path,
            ingress={"resources": {"limits": {"cpu": "", "memory": ""}}},
            securityContext={"readOnlyRootFilesystem": "", "capabilities": {"drop": []}},
        )
        box = container(docs.one("Deployment", INGRESS))
        assert set(box["resources"]) == {"requests"}
        assert box["securityContext"] == {"allowPrivilegeEscalation": False}

    def test_probes(self, parent: Path, tmp_path: Path) -> None:
        docs = self.render(parent, tmp_path, ingress={"startupProbe": {"enabled": False}})
        assert "startupProbe" not in container(docs.one("Deployment", INGRESS))

    def test_the_namespace(self, parent: Path, tmp_path: Path) -> None:
        docs = self.render(parent, tmp_path, **{"global": {"namespace": ""}})
        assert {doc["metadata"]["namespace"] for doc in docs} == {"gati"}
        assert {doc["metadata"]["namespace"] for doc in render({"global": {"namespace": ""}}, namespace="ops")} == {
            "ops"
        }

    def test_scaling(self, parent: Path, tmp_path: Path) -> None:
        docs = self.render(
            parent, tmp_path, ingress={"hpa": {"enabled": True, "cpuUtilization": "", "memoryUtilization": 70}}
        )
        (metric,) = docs.one("HorizontalPodAutoscaler")["spec"]["metrics"]
        assert metric["resource"]["name"] == "memory"

    def test_numbers_that_may_be_missing(self, parent: Path, tmp_path: Path) -> None:
        ingress = {"service": {"type": "NodePort", "nodePort": ""}, "prometheus": {"port": ""}}
        docs = self.render(parent, tmp_path, revisionHistoryLimit="", ingress=ingress)
        assert "revisionHistoryLimit" not in docs.one("Deployment", INGRESS)["spec"]
        assert [entry["name"] for entry in container(docs.one("Deployment", INGRESS))["ports"]] == ["http"]
        assert "nodePort" not in docs.one("Service", INGRESS)["spec"]["ports"][0]

    def test_the_dashboards_label(self, parent: Path, tmp_path: Path) -> None:
        docs = self.render(parent, tmp_path, dashboard={"enabled": True, "labels": {"grafana_dashboard": ""}})
        assert not [doc for doc in docs.all("ConfigMap") if "grafana_dashboard" in doc["metadata"]["labels"]]

    def test_a_registry_for_all_charts(self, parent: Path, tmp_path: Path) -> None:
        shared = {"imageRegistry": "mirror.example.com", "imagePullSecrets": ["creds"]}
        docs = self.render(parent, tmp_path, **{"global": shared})
        for doc in docs.all("Deployment"):
            assert container(doc)["image"].startswith("mirror.example.com/gati-gateway/")
            assert pod(doc)["imagePullSecrets"] == [{"name": "creds"}]


def test_two_aliases_stand_side_by_side(parent: Path) -> None:
    values = {
        "gati": {**EVERYTHING, "fullnameOverride": "blue"},
        "second": {**EVERYTHING, "enabled": True, "fullnameOverride": "green"},
    }
    docs = render(values, chart=parent)
    named = [(doc["kind"], doc["metadata"].get("namespace"), doc["metadata"]["name"]) for doc in docs]
    assert len(named) == len(set(named))
    selectors = [str(doc["spec"]["selector"]) for doc in docs.all("Deployment")]
    assert len(selectors) == len(set(selectors)) == 4
