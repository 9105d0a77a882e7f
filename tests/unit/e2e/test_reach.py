"""What NetworkPolicies let through, read as Kubernetes reads them."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.chart.pods import selects
from scripts.e2e.reach import Place, allowed

FRONT = Place({"app": "front"}, "space", {"http": 8080}, "10.244.0.9")
BACK = Place({"app": "back"}, "space", {"grpc": 50051})
STRANGER = Place({"app": "front"}, "elsewhere", {})


def policy(app: str, **spec: Any) -> dict[str, Any]:
    selector = {"matchLabels": {"app": app}} if app else {}
    return {"metadata": {"name": app, "namespace": "space"}, "spec": {"podSelector": selector, **spec}}


def peer(app: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": {"app": app}}}


DENY = policy("", policyTypes=["Ingress", "Egress"])
OUT = policy("front", policyTypes=["Egress"], egress=[{"to": [peer("back")], "ports": [{"port": "grpc"}]}])
IN = policy("back", ingress=[{"from": [peer("front")], "ports": [{"port": 50051}]}])


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([], True),
        ([DENY], False),
        ([DENY, OUT], False),
        ([DENY, IN], False),
        ([DENY, OUT, IN], True),
        ([IN], True),
        ([policy("back", ingress=[{}])], True),
        ([policy("back", ingress=[])], False),
        ([policy("back", ingress=[{"from": [peer("other")]}])], False),
        ([policy("back", ingress=[{"ports": [{"port": 9}]}])], False),
        ([policy("back", ingress=[{"ports": [{"port": 50000, "endPort": 50100}]}])], True),
        ([policy("back", ingress=[{"ports": [{"port": 50051, "protocol": "UDP"}]}])], False),
        ([policy("back", ingress=[{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}])], True),
        ([policy("back", ingress=[{"from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}])], False),
        ([policy("back", ingress=[{"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}])], False),
        ([policy("back", policyTypes=["Egress"])], True),
        ([policy("other", ingress=[])], True),
    ],
)
def test_whether_the_front_may_ask_the_back(policies: list[dict[str, Any]], expected: bool) -> None:
    assert allowed(policies, FRONT, BACK, 50051) is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"podSelector": {}}, False),
        ({"namespaceSelector": {}}, True),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}}, True),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "back"}}}, False),
    ],
)
def test_whether_somebody_of_another_namespace_may(source: dict[str, Any], expected: bool) -> None:
    assert allowed([policy("back", ingress=[{"from": [source]}])], STRANGER, BACK, 50051) is expected


def test_a_policy_that_names_no_namespace_is_about_pods_beside_it() -> None:
    """As most charts render one: it is in the namespace of the release."""
    here = [{**one, "metadata": {"name": one["metadata"]["name"]}} for one in (DENY, OUT, IN)]
    assert allowed(here, FRONT, BACK, 50051)
    assert not allowed(here, STRANGER, BACK, 50051)


def test_a_policy_of_another_namespace_has_no_say() -> None:
    other = {**DENY, "metadata": {"name": "deny", "namespace": "elsewhere"}}
    assert allowed([other], FRONT, BACK, 50051)


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [("In", ["front"], True), ("NotIn", ["front"], False), ("Exists", None, True), ("DoesNotExist", None, False)],
)
def test_expressions_of_a_selector(operator: str, values: list[str] | None, expected: bool) -> None:
    term = {"key": "app", "operator": operator, "values": values}
    assert selects({"matchExpressions": [term]}, FRONT.labels) is expected
