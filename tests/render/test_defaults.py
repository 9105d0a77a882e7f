"""What an installation gets that says nothing, to the letter: others rely on it, and no other default would do."""

from __future__ import annotations

import pytest

from tests.render.figures import INGRESS, ROUTE_MANAGER
from tests.render.harness import pod, render


@pytest.mark.parametrize("component", [INGRESS, ROUTE_MANAGER])
def test_history_and_identity(component: str) -> None:
    deployment = render().one("Deployment", component)
    assert deployment["spec"]["revisionHistoryLimit"] == 5
    context = pod(deployment)["securityContext"]
    assert {context[key] for key in ("runAsUser", "runAsGroup", "fsGroup")} == {65532}


def test_the_way_in() -> None:
    (rule,) = render({"externalIngress": {"enabled": True}}).one("Ingress")["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert (rule["host"], path["path"], path["pathType"]) == ("gati.local", "/", "Prefix")


def test_who_resolves_names() -> None:
    """The DNS of the cluster, by the labels that every distribution gives it."""
    policies = render({"networkPolicy": {"enabled": True}}).all("NetworkPolicy")
    peers = [peer for one in policies for rule in one["spec"].get("egress", ()) for peer in rule.get("to", ())]
    assert {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    } in peers
