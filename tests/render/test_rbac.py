"""Accounts and rights: one ServiceAccount a component, rights no wider than needed, no token unless asked for."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tests.render.figures import INGRESS, ROUTE_MANAGER
from tests.render.harness import pod, render, render_error

COMPONENTS = {"ingress": INGRESS, "routeManager": ROUTE_MANAGER}
KINDS = ("ServiceAccount", "Role", "RoleBinding")
USED = {
    "ingress": {"existingSecret": "upstream-keys"},
    "routeManager": {"existingSecret": "route-keys"},
    "tls": {"enabled": True, "secretName": "cert"},
}


@pytest.mark.requirement("12.1")
def test_each_component_has_an_account_of_its_own() -> None:
    docs = render()
    names = {}
    for component, name in COMPONENTS.items():
        names[component] = pod(docs.one("Deployment", name))["serviceAccountName"]
        docs.one("ServiceAccount", names[component])
    assert len(set(names.values())) == 2


@pytest.mark.requirement("12.2")
@pytest.mark.parametrize("values", [{}, USED])
def test_roles_only_read_configmaps_and_secrets(values: dict[str, Any]) -> None:
    docs = render(values)
    assert not docs.all("ClusterRole")
    assert docs.all("Role")
    for role in docs.all("Role"):
        for rule in role["rules"]:
            assert rule["apiGroups"] == [""]
            assert set(rule["resources"]) <= {"configmaps", "secrets"}
            assert set(rule["verbs"]) <= {"get", "list", "watch"}


@pytest.mark.requirement("12.4")
def test_roles_are_limited_to_known_names() -> None:
    docs = render(USED)
    for role in docs.all("Role"):
        for rule in role["rules"]:
            assert rule["resourceNames"], role
    ingress = {
        (kind, name)
        for rule in docs.one("Role", INGRESS)["rules"]
        for kind in rule["resources"]
        for name in rule["resourceNames"]
    }
    assert {("secrets", "upstream-keys"), ("secrets", "cert")} <= ingress
    assert ("secrets", "route-keys") not in ingress
    for kind, name in ingress:
        if kind == "configmaps":
            docs.one("ConfigMap", name)


@pytest.mark.requirement("12.3")
@pytest.mark.parametrize("component", COMPONENTS)
def test_binding_gives_the_role_to_the_account(component: str) -> None:
    docs = render({"global": {"namespace": "elsewhere"}})
    account = pod(docs.one("Deployment", COMPONENTS[component]))["serviceAccountName"]
    (binding,) = [
        doc
        for doc in docs.all("RoleBinding")
        if doc["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "elsewhere"}]
    ]
    assert binding["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    assert binding["roleRef"]["kind"] == "Role"
    docs.one("Role", binding["roleRef"]["name"])


@pytest.mark.requirement("12.5")
class TestWithoutRbac:
    values: ClassVar[dict[str, Any]] = {"rbac": {"create": False}}

    def test_nothing_is_created(self) -> None:
        assert not [doc for doc in render({**USED, **self.values}) if doc["kind"] in KINDS]

    def test_the_default_account_is_used_without_a_token(self) -> None:
        for doc in render(self.values).all("Deployment"):
            assert pod(doc).get("serviceAccountName", "default") == "default"
            assert pod(doc)["automountServiceAccountToken"] is False

    @pytest.mark.parametrize("component", COMPONENTS)
    def test_a_token_is_refused_or_not_mounted(self, component: str) -> None:
        values = {**self.values, component: {"automountServiceAccountToken": True}}
        try:
            message = render_error(values)
        except AssertionError:
            spec = pod(render(values).one("Deployment", COMPONENTS[component]))
            assert spec["automountServiceAccountToken"] is False
        else:
            assert "automountServiceAccountToken" in message


@pytest.mark.requirement("12.2")
@pytest.mark.parametrize("account", [{"create": False}, {"name": "default"}])
@pytest.mark.parametrize("component", COMPONENTS)
def test_the_account_of_all_pods_is_there_and_gets_no_rights(component: str, account: dict[str, Any]) -> None:
    docs = render({component: {"serviceAccount": account}})
    assert pod(docs.one("Deployment", COMPONENTS[component]))["serviceAccountName"] == "default"
    for kind in KINDS:
        assert not {COMPONENTS[component], "default"} & {doc["metadata"]["name"] for doc in docs.all(kind)}


@pytest.mark.requirement("12.1")
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_token_is_mounted_only_when_asked_for(component: str) -> None:
    name = COMPONENTS[component]
    assert pod(render().one("Deployment", name))["automountServiceAccountToken"] is False
    assert render().one("ServiceAccount", name)["automountServiceAccountToken"] is False
    asked = render({component: {"automountServiceAccountToken": True}})
    assert pod(asked.one("Deployment", name))["automountServiceAccountToken"] is True


@pytest.mark.parametrize("component", COMPONENTS)
def test_accounts_take_annotations(component: str) -> None:
    annotation = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"}
    docs = render({component: {"serviceAccount": {"annotations": annotation}}})
    assert docs.one("ServiceAccount", COMPONENTS[component])["metadata"]["annotations"] == annotation
