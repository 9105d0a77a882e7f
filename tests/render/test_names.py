"""Names: overrides, several installations in one namespace, existing accounts and namespaces, other registries."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import pytest

from tests.render.everything import EVERYTHING, merged
from tests.render.figures import INGRESS, ROUTE_MANAGER, at
from tests.render.harness import METADATA, NEWEST, Documents, container, pod, render, render_error, render_text
from tests.render.notes import notes
from tests.render.valid import findings

COMPONENTS = {"ingress": INGRESS, "routeManager": ROUTE_MANAGER}


def identities(docs: Documents) -> set[tuple[str, Any, str]]:
    return {(doc["kind"], doc["metadata"].get("namespace"), doc["metadata"]["name"]) for doc in docs}


def selects(docs: Documents) -> list[dict[str, str]]:
    return [doc["spec"]["selector"]["matchLabels"] for doc in docs.all("Deployment")]


def test_full_name_begins_every_name() -> None:
    docs = render(merged(EVERYTHING, {"fullnameOverride": "blue"}))
    assert {name.partition("-")[0] for _, _, name in identities(docs)} == {"blue"}
    docs.one("Deployment", "blue-ingress")
    docs.one("Service", "blue-route-manager-headless")


def test_name_stands_between_release_and_component() -> None:
    docs = render({"nameOverride": "edge"}, release="prod")
    assert {doc["metadata"]["name"] for doc in docs.all("Deployment")} == {
        "prod-edge-ingress",
        "prod-edge-route-manager",
    }


def test_a_name_that_the_releases_holds_stands_there_all_the_same() -> None:
    """Or two aliases called after parts of it would have the same names."""
    docs = [render(merged(EVERYTHING, {"nameOverride": name}), release="blue-green") for name in ("blue", "green")]
    assert not identities(docs[0]) & identities(docs[1])


@pytest.mark.parametrize("length", [8, 37, 38, 39, 46, 48, 49, 50, 55, 63])
def test_series_of_long_names_are_told_apart(length: int) -> None:
    """A pod is called after its Deployment, a hash, and five letters; what stands before those is cut at 58."""
    alerts = {"prometheusOperator": {"prometheusRule": {"enabled": True}, "serviceMonitor": {"enabled": True}}}
    both = [render(merged(alerts, {"fullnameOverride": "n" * (length - 1) + last})) for last in "ab"]
    patterns = [re.findall(r'pod=~"([^"]+)"', str(docs.one("PrometheusRule"))) for docs in both]
    for mine, docs in enumerate(both):
        (name,) = [
            doc["metadata"]["name"] for doc in docs.all("Deployment") if doc["metadata"]["name"].endswith("ingress")
        ]
        for hash_ in ("6d4b9f7c5d", "5f6b8c9d"):
            pod_name = f"{name}-{hash_}-"[:58] + "x7k2p"
            for other, found in enumerate(patterns):
                assert found
                assert all(bool(re.fullmatch(pattern, pod_name)) == (other == mine) for pattern in found)


def test_a_given_name_stands() -> None:
    docs = render({"fullnameOverride": "blue", "ingress": {"name": "door"}})
    assert {doc["metadata"]["name"] for doc in docs.all("Deployment")} == {"door", "blue-route-manager"}


def test_an_installation_without_overrides_keeps_its_names_and_selectors() -> None:
    docs = render(release="whatever")
    assert {doc["metadata"]["name"] for doc in docs.all("Deployment")} == set(COMPONENTS.values())
    assert selects(docs)[0] == {
        "app.kubernetes.io/name": "gati",
        "app.kubernetes.io/instance": "whatever",
        "app.kubernetes.io/component": "ingress",
    }


@pytest.mark.parametrize("key", ["fullnameOverride", "nameOverride"])
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["default", "everything"])
def test_two_of_one_release_and_namespace_do_not_collide(key: str, values: dict[str, Any]) -> None:
    """As two aliases of one parent are rendered."""
    docs = [render(merged(values, {key: name})) for name in ("blue", "green")] + [render(values)]
    for one, other in combinations(docs, 2):
        assert not identities(one) & identities(other)
        for service in (doc for doc in one if doc["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy")):
            selector = at(service, "spec", "selector") or service["spec"]["podSelector"]
            selector = selector.get("matchLabels", selector)
            for workload in other.all("Deployment"):
                assert not selector.items() <= workload["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("name", ["0", "1e3", "null", "true"])
def test_a_name_that_yaml_reads_as_something_else_stays_one(name: str) -> None:
    values = merged(EVERYTHING, {"nameOverride": name, "global": {"namespace": name}})
    assert findings([render_text(values, release="edge")], NEWEST) == [[]]


def test_overridden_names_are_legal() -> None:
    values = merged(EVERYTHING, {"fullnameOverride": "f" * 63})
    assert findings([render_text(values)], NEWEST) == [[]]
    assert findings([render_text({"nameOverride": "gw"}, release="my.release")], NEWEST) == [[]]


@pytest.mark.requirement("1.4")
def test_a_namespace_may_be_somebody_elses() -> None:
    docs = render({"namespace": {"create": False}}, namespace="ops")
    assert not docs.all("Namespace")
    assert docs.one("Deployment", INGRESS)["metadata"]["namespace"] == "gati"


@pytest.mark.requirement("12.1")
@pytest.mark.parametrize("component", COMPONENTS)
class TestServiceAccount:
    def test_its_name_comes_from_values(self, component: str) -> None:
        docs = render({component: {"serviceAccount": {"name": "mine"}}})
        docs.one("ServiceAccount", "mine")
        assert pod(docs.one("Deployment", COMPONENTS[component]))["serviceAccountName"] == "mine"

    @pytest.mark.parametrize("rbac", [True, False])
    def test_an_existing_one_is_used_and_bound(self, component: str, rbac: bool) -> None:
        account = {"create": False, "name": "existing"}
        docs = render({component: {"serviceAccount": account}, "rbac": {"create": rbac}})
        assert "existing" not in {doc["metadata"]["name"] for doc in docs.all("ServiceAccount")}
        assert pod(docs.one("Deployment", COMPONENTS[component]))["serviceAccountName"] == "existing"
        bound = [subject["name"] for doc in docs.all("RoleBinding") for subject in doc["subjects"]]
        assert ("existing" in bound) == rbac

    def test_annotations_for_an_account_that_is_not_made_here_are_warned_of(self, component: str) -> None:
        said = f"{component}.serviceAccount.annotations have no effect"
        account = {"annotations": {"iam": "role"}}
        assert said not in notes({component: {"serviceAccount": account}})
        for theirs in ({"create": False, "name": "existing"}, {"name": "default"}):
            assert said in notes({component: {"serviceAccount": {**account, **theirs}}})

    def test_its_token_may_be_mounted_without_rbac(self, component: str) -> None:
        account = {"serviceAccount": {"create": False, "name": "existing"}, "automountServiceAccountToken": True}
        docs = render({component: account, "rbac": {"create": False}})
        assert pod(docs.one("Deployment", COMPONENTS[component]))["automountServiceAccountToken"] is True

    def test_none_and_no_name_is_the_namespaces_default(self, component: str) -> None:
        docs = render({component: {"serviceAccount": {"create": False}}})
        assert pod(docs.one("Deployment", COMPONENTS[component]))["serviceAccountName"] == "default"


@pytest.mark.parametrize(
    ("repository", "image"),
    [
        ("ghcr.io/gati-gateway/gati-ingress", "mirror.example.com:5000/gati-gateway/gati-ingress"),
        ("localhost:5000/app", "mirror.example.com:5000/app"),
        ("localhost/app", "mirror.example.com:5000/app"),
        ("team/app", "mirror.example.com:5000/team/app"),
        ("app", "mirror.example.com:5000/app"),
    ],
)
def test_another_registry_serves_every_image(repository: str, image: str) -> None:
    values = {
        "global": {"imageRegistry": "mirror.example.com:5000"},
        "ingress": {"image": {"repository": repository, "tag": "1"}},
    }
    docs = render(values)
    assert container(docs.one("Deployment", INGRESS))["image"] == f"{image}:1"
    assert container(docs.one("Pod", f"{INGRESS}-test"))["image"] == f"{image}:1"
    manager = f"mirror.example.com:5000/gati-gateway/gati-route-manager:{METADATA['appVersion']}"
    assert container(docs.one("Deployment", ROUTE_MANAGER))["image"] == manager


def test_shared_credentials_come_first_and_once() -> None:
    values = {
        "global": {"imagePullSecrets": ["shared", {"name": "both"}]},
        "imagePullSecrets": [{"name": "both"}, {"name": "own"}],
    }
    for doc in render(values):
        if doc["kind"] in ("Deployment", "Pod"):
            assert pod(doc)["imagePullSecrets"] == [{"name": name} for name in ("shared", "both", "own")]


@pytest.mark.parametrize("repository", ["repo:tag", "a/Upper", "a//b", "https://x/y", "a/b/", "-a", "a b", "a@sha256"])
def test_a_malformed_repository_is_refused(repository: str) -> None:
    assert "repository" in render_error({"ingress": {"image": {"repository": repository}}})
