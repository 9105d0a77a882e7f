"""The chart as a folder: its metadata, its files, and the namespace it makes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from scripts.chart.changelog import TOOLKIT, parse
from tests.render.everything import EVERYTHING
from tests.render.harness import CHART, KUBERNETES, METADATA, ROOT, Documents, render, render_error, render_text

SEMVER = re.compile(r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$")
SHARED = ("rbac/", "tls/")  # what each component has and that differs in its name alone is one loop
PLAN_NAMES = (
    "namespace.yaml",
    "configmap-ingress.yaml",
    "deployment-ingress.yaml",
    "service-ingress.yaml",
    "hpa-ingress.yaml",
    "servicemonitor-ingress.yaml",
    "scaledobject-ingress.yaml",
    "deployment-route-manager.yaml",
    "service-route-manager.yaml",
    "pdb-ingress.yaml",
    "NOTES.txt",
)


@pytest.mark.requirement("1.1")
def test_metadata() -> None:
    assert METADATA["apiVersion"] == "v2"
    assert METADATA["name"] == CHART.name == "gati"
    assert METADATA["type"] == "application"
    assert SEMVER.match(METADATA["version"])
    assert isinstance(METADATA["appVersion"], str), "an unquoted 1.10 would become 1.1"
    assert METADATA["description"]


@pytest.mark.requirement("1.1")
@pytest.mark.parametrize("version", [*KUBERNETES, "v1.28.3-eks-1a2b", "1.37.9-gke.1200", "1.30.1+k3s1"])
def test_supported_kubernetes_renders(version: str) -> None:
    assert render(kube_version=version)


@pytest.mark.requirement("1.1")
@pytest.mark.parametrize("version", ["1.27.16", "1.20.0"])
def test_older_kubernetes_is_refused(version: str) -> None:
    assert "kubeVersion" in render_error(kube_version=version)


@pytest.mark.requirement("1.2")
@pytest.mark.parametrize("name", PLAN_NAMES)
def test_templates_have_their_names(name: str) -> None:
    assert len(list((CHART / "templates").rglob(name))) == 1


@pytest.mark.requirement("1.2")
def test_each_file_holds_one_kind() -> None:
    kinds: dict[str, set[str]] = {}
    text = render_text(EVERYTHING, namespace="release-space")
    for part in re.split(r"(?m)^---$", text):
        source = re.search(r"^# Source: (\S+)", part, re.MULTILINE)
        if source:
            kinds.setdefault(source[1], set()).update(re.findall(r"(?m)^kind: (\S+)", part))
    mixed = {name: found for name, found in kinds.items() if len(found) != 1 and "extra" not in name}
    assert not mixed


@pytest.mark.requirement("1.2")
def test_each_object_stands_in_its_components_folder() -> None:
    text = render_text(EVERYTHING, namespace="release-space")
    for part in re.split(r"(?m)^---$", text):
        source = re.search(r"^# Source: gati/templates/(\S+)", part, re.MULTILINE)
        component = re.search(r"(?m)^    app.kubernetes.io/component: (\S+)$", part)
        if source and component and component[1] in ("ingress", "route-manager"):
            assert source[1].startswith((f"{component[1]}/", *SHARED)), source[1]


@pytest.mark.requirement("1.3")
def test_defaults_render() -> None:
    kinds = {doc["kind"] for doc in render()}
    assert {
        "ConfigMap",
        "Deployment",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
    } <= kinds
    optional = {"HorizontalPodAutoscaler", "ScaledObject", "ServiceMonitor", "Ingress", "HTTPRoute", "Certificate"}
    assert not optional & kinds


@pytest.mark.requirement("1.4")
class TestNamespace:
    def namespaces(self, docs: Documents) -> list[str]:
        return [doc["metadata"]["name"] for doc in docs.all("Namespace")]

    def test_only_where_the_release_lives_elsewhere(self) -> None:
        assert self.namespaces(render(namespace="gati")) == []
        assert self.namespaces(render(namespace="ops")) == ["gati"]
        assert self.namespaces(render({"global": {"namespace": "edge"}}, namespace="edge")) == []
        assert self.namespaces(render({"global": {"namespace": "edge"}})) == ["edge"]

    @pytest.mark.parametrize("values", [{}, EVERYTHING])
    def test_every_object_goes_there(self, values: dict[str, Any]) -> None:
        for doc in render({**values, "global": {"namespace": "edge"}}):
            if doc["kind"] in ("Namespace", "ServiceMonitor", "PrometheusRule"):
                continue
            assert doc["metadata"]["namespace"] == "edge", (doc["kind"], doc["metadata"]["name"])

    @pytest.mark.trap("namespace-deleted")
    @pytest.mark.parametrize("values", [{}, {"commonAnnotations": {"helm.sh/resource-policy": "delete"}}])
    def test_it_outlives_the_release(self, values: dict[str, Any]) -> None:
        (found,) = render(values, namespace="ops").all("Namespace")
        assert found["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"

    def test_it_enforces_pod_security(self) -> None:
        (found,) = render(namespace="ops").all("Namespace")
        assert found["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        assert "namespace" not in found["metadata"]


@pytest.mark.trap("name-truncation")
def test_long_names_keep_their_suffix_and_stay_apart() -> None:
    long = "n" * 63
    values = {
        **EVERYTHING,
        "ingress": {**EVERYTHING["ingress"], "name": long[:-1] + "a"},
        "routeManager": {**EVERYTHING["routeManager"], "name": long[:-1] + "b"},
    }
    docs = render(values)
    named = [(doc["kind"], doc["metadata"].get("namespace"), doc["metadata"]["name"]) for doc in docs]
    assert len(named) == len(set(named))
    for _, _, name in named:
        assert len(name) <= 63
        assert re.match(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", name), name
    short = {doc["metadata"]["name"] for doc in render(EVERYTHING)}
    suffixes = {
        name.removeprefix(prefix)
        for prefix in ("gati-ingress", "route-manager")
        for name in short
        if name.startswith(prefix)
    }
    for suffix in suffixes:
        assert [name for _, _, name in named if name.endswith(suffix)], suffix


@pytest.mark.requirement("1.2")
def test_equal_names_are_refused() -> None:
    message = render_error({"ingress": {"name": "same"}, "routeManager": {"name": "same"}})
    assert "name" in message


def test_templates_can_be_read_without_scrolling() -> None:
    long = [
        f"{path.relative_to(CHART)}:{number}"
        for path in sorted((CHART / "templates").rglob("*"))
        if path.is_file()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > 120
    ]
    assert not long


def test_the_places_of_files_have_one_home() -> None:
    found = [
        path.name
        for path in sorted((CHART / "templates").rglob("*"))
        if path.is_file()
        for _ in re.findall("/etc/gati", path.read_text())
    ]
    assert found == ["_pod.tpl"]


def test_a_version_that_mends_a_hole_says_so_on_artifact_hub() -> None:
    """Of the entries to come, or where there are none, of those of the last version."""
    sections = parse((ROOT / "CHANGELOG.md").read_text()).sections
    told = next(section for section in sections if any(not entry.text.startswith(TOOLKIT) for entry in section.entries))
    mends = any(entry.kind == "security" for entry in told.entries)
    assert METADATA["annotations"]["artifacthub.io/containsSecurityUpdates"] == str(mends).lower()
