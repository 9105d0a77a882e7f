"""Labels and annotations: on every object and pod, merged as maps, selectors untouched."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.render.everything import EVERYTHING
from tests.render.figures import INGRESS, ROUTE_MANAGER, at
from tests.render.harness import METADATA, NEWEST, Documents, render, render_error

COMPONENTS = {"ingress": INGRESS, "routeManager": ROUTE_MANAGER}
LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
LABEL_NAME = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")


def everything(**values: Any) -> Documents:
    return render({**EVERYTHING, **values}, namespace="release-space")


@pytest.mark.requirement("19.1")
def test_annotations_reach_every_object() -> None:
    for doc in everything(commonAnnotations={"example.com/owner": "team-a"}):
        assert doc["metadata"]["annotations"]["example.com/owner"] == "team-a", (doc["kind"], doc["metadata"]["name"])


@pytest.mark.requirement("19.2")
def test_labels_reach_every_object() -> None:
    for doc in everything(commonLabels={"example.com/owner": "team-a"}):
        assert doc["metadata"]["labels"]["example.com/owner"] == "team-a", (doc["kind"], doc["metadata"]["name"])


@pytest.mark.requirement("19.1")
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_deployment_takes_annotations_of_its_own(component: str) -> None:
    docs = render({component: {"annotations": {"reloader": "true"}}})
    assert docs.one("Deployment", COMPONENTS[component])["metadata"]["annotations"]["reloader"] == "true"


@pytest.mark.requirement("19.3")
@pytest.mark.parametrize("what", ["labels", "annotations"])
@pytest.mark.parametrize("scope", ["common", "pod", "component"])
def test_pods_take_both(what: str, scope: str) -> None:
    key = f"{'common' if scope == 'common' else 'pod'}{what.title()}"
    given = {key: {"example.com/x": "y"}}
    values = dict.fromkeys(COMPONENTS, given) if scope == "component" else given
    for doc in render(values).all("Deployment"):
        assert doc["spec"]["template"]["metadata"][what]["example.com/x"] == "y"
        if scope != "common":
            assert "example.com/x" not in doc["metadata"].get(what, {})


@pytest.mark.requirement("19.3")
@pytest.mark.parametrize("what", ["Labels", "Annotations"])
def test_the_closer_one_wins(what: str) -> None:
    docs = render(
        {
            f"common{what}": {"k": "common"},
            f"pod{what}": {"k": "pod"},
            "ingress": {f"pod{what}": {"k": "component"}},
        }
    )
    key = what.lower()
    found = {
        name: docs.one("Deployment", name)["spec"]["template"]["metadata"][key]["k"] for name in COMPONENTS.values()
    }
    assert found == {INGRESS: "component", ROUTE_MANAGER: "pod"}


@pytest.mark.requirement("19.4")
def test_selectors_hold_no_custom_label() -> None:
    plain = selectors(render())
    labels = {"a": "b", "c": "d"}
    custom = selectors(render({"commonLabels": labels, "podLabels": labels, "ingress": {"podLabels": labels}}))
    assert custom == plain


def selectors(docs: Documents) -> dict[tuple[str, str], Any]:
    return {
        (doc["kind"], doc["metadata"]["name"]): at(doc, "spec", "selector")
        for doc in docs
        if at(doc, "spec", "selector")
    }


@pytest.mark.trap("selector-version")
@pytest.mark.requirement("19.4")
def test_selectors_hold_nothing_that_changes_with_a_release() -> None:
    versions = {METADATA["version"], METADATA["appVersion"]}
    for where, selector in selectors(everything()).items():
        labels = selector.get("matchLabels", selector)
        assert not [key for key in labels if "version" in key or "chart" in key], where
        assert not versions & set(map(str, labels.values())), where
        assert "managed-by" not in str(labels)


@pytest.mark.requirement("19.5")
@pytest.mark.parametrize("key", ["app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"])
@pytest.mark.parametrize(
    "where", ["commonLabels", "podLabels", "ingress.podLabels", "routeManager.podLabels", "tests.podLabels"]
)
def test_overriding_a_selector_label_is_refused(key: str, where: str) -> None:
    selected = render().one("Deployment", INGRESS)["spec"]["selector"]["matchLabels"]
    if key not in selected:
        pytest.fail(f"{key} is no selector label any more: adapt this test")
    parent, _, child = where.rpartition(".")
    values = {parent: {child: {key: "mine"}}} if parent else {child: {key: "mine"}}
    message = render_error(values)
    assert where in message
    assert key in message


@pytest.mark.requirement("19.5")
def test_no_key_stands_twice() -> None:
    owner = {"app.kubernetes.io/part-of": "mine", "app.kubernetes.io/version": "9", "prometheus.io/scrape": "x"}
    for values in ({"commonLabels": owner, "podLabels": owner}, {"commonAnnotations": owner, "podAnnotations": owner}):
        assert everything(**values)  # the parser refuses a key that stands twice


@pytest.mark.requirement("19.2")
def test_what_the_chart_says_itself_gives_way_to_the_user() -> None:
    """But for selectors, where that is refused, checksums, and the policy that keeps the namespace."""
    level, scrape = "pod-security.kubernetes.io/enforce", "prometheus.io/scrape"
    docs = everything(
        commonLabels={level: "baseline"},
        commonAnnotations={scrape: "false"},
        prometheusOperator={"enabled": False},
        dashboard={"enabled": True, "labels": {"app.kubernetes.io/component": "grafana"}},
    )
    assert docs.one("Namespace", "gati")["metadata"]["labels"][level] == "baseline"
    for doc in docs.all("Deployment"):
        assert doc["spec"]["template"]["metadata"]["annotations"][scrape] == "false"
    board = docs.one("ConfigMap", "gati-ingress-dashboard")
    assert board["metadata"]["labels"]["app.kubernetes.io/component"] == "grafana"


@pytest.mark.requirement("19.1", "19.2")
def test_values_that_are_no_strings_become_strings() -> None:
    given = {"number": 1048576, "flag": True}
    docs = render({"commonAnnotations": given, "commonLabels": given})
    for doc in docs:
        for what in ("labels", "annotations"):
            assert doc["metadata"][what]["number"] == "1048576"
            assert doc["metadata"][what]["flag"] == "true"


@pytest.mark.trap("plus-in-label")
def test_every_label_is_legal(chart_with_build_version: Any) -> None:
    for doc in render(EVERYTHING, namespace="release-space", chart=chart_with_build_version):
        for labels in (doc["metadata"]["labels"], at(doc, "spec", "template", "metadata", "labels") or {}):
            for key, value in labels.items():
                assert LABEL_VALUE.match(value), (key, value)
                assert len(value) <= 63, (key, value)
                assert LABEL_NAME.match(key.rpartition("/")[2]), key


def test_standard_labels_are_set() -> None:
    for doc in render():
        labels = doc["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/instance"] == "gati"
        assert labels["helm.sh/chart"].startswith("gati-")
        assert labels["app.kubernetes.io/version"] == METADATA["appVersion"]


def test_a_long_release_name_fits() -> None:
    release = "r" * 53
    docs = render(release=release, kube_version=NEWEST)
    for doc in docs:
        assert doc["metadata"]["labels"]["app.kubernetes.io/instance"] == release
