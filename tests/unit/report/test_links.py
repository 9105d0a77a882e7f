"""What an object names, by a name or by labels, is a link; what it names and nobody renders is a node all the same."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from scripts.chart.manifests import read_manifests
from scripts.report.links import picture

POD: dict[str, Any] = {"metadata": {"labels": {"app": "a", "tier": "x"}}, "spec": {"containers": [{"name": "c"}]}}

TIER = {"key": "tier", "operator": "In", "values": ["x"]}


def workload(kind: str = "Deployment", name: str = "a", **spec: Any) -> dict[str, Any]:
    template = {**POD, "spec": {**POD["spec"], **spec}}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": {"template": template}}


def thing(kind: str, **body: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "t"}, **body}


def links(*objects: dict[str, Any]) -> set[tuple[str, str, str]]:
    made = picture(read_manifests("".join(f"---\n{yaml.safe_dump(one)}" for one in objects)))
    return {(link["from"], link["how"], link["to"]) for link in made["links"]}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (thing("Service", spec={"selector": {"app": "a"}}), ("Service/t", "selector", "Deployment/a")),
        (thing("NetworkPolicy", spec={"podSelector": {}}), ("NetworkPolicy/t", "podSelector", "Deployment/a")),
        (
            thing("PodDisruptionBudget", spec={"selector": {"matchExpressions": [TIER]}}),
            ("PodDisruptionBudget/t", "selector", "Deployment/a"),
        ),
        (
            thing("HorizontalPodAutoscaler", spec={"scaleTargetRef": {"kind": "Deployment", "name": "a"}}),
            ("HorizontalPodAutoscaler/t", "scaleTargetRef", "Deployment/a"),
        ),
        (
            thing("RoleBinding", subjects=[], roleRef={"kind": "Role", "name": "r"}),
            ("RoleBinding/t", "roleRef", "Role/r"),
        ),
        (
            thing("RoleBinding", subjects=[{"kind": "ServiceAccount", "name": "s"}]),
            ("RoleBinding/t", "subjects", "ServiceAccount/s"),
        ),
        (
            thing("Ingress", spec={"rules": [{"http": {"paths": [{"backend": {"service": {"name": "s"}}}]}}]}),
            ("Ingress/t", "backend", "Service/s"),
        ),
        (
            thing("HTTPRoute", spec={"parentRefs": [{"name": "g"}], "rules": [{"backendRefs": [{"name": "s"}]}]}),
            ("HTTPRoute/t", "backendRefs", "Service/s"),
        ),
        (
            workload(volumes=[{"projected": {"sources": [{"secret": {"name": "s"}}]}}]),
            ("Deployment/a", "volumes", "Secret/s"),
        ),
        (
            workload(containers=[{"env": [{"valueFrom": {"configMapKeyRef": {"name": "m"}}}]}]),
            ("Deployment/a", "env", "ConfigMap/m"),
        ),
        (
            workload(volumes=[{"persistentVolumeClaim": {"claimName": "d"}}]),
            ("Deployment/a", "volumes", "PersistentVolumeClaim/d"),
        ),
        (workload(serviceAccountName="s"), ("Deployment/a", "serviceAccountName", "ServiceAccount/s")),
        (thing("StatefulSet", spec={"serviceName": "s"}), ("StatefulSet/t", "serviceName", "Service/s")),
        (
            thing("ServiceMonitor", spec={"endpoints": [{"basicAuth": {"password": {"name": "s", "key": "k"}}}]}),
            ("ServiceMonitor/t", "password", "Secret/s"),
        ),
        (
            thing("ServiceAccount", imagePullSecrets=[{"name": "s"}]),
            ("ServiceAccount/t", "imagePullSecrets", "Secret/s"),
        ),
        (thing("Ingress", spec={"tls": [{"secretName": "s"}]}), ("Ingress/t", "secretName", "Secret/s")),
        (
            thing("ValidatingWebhookConfiguration", webhooks=[{"clientConfig": {"service": {"name": "s"}}}]),
            ("ValidatingWebhookConfiguration/t", "service", "Service/s"),
        ),
        (thing("APIService", spec={"service": {"name": "s"}}), ("APIService/t", "service", "Service/s")),
        (thing("Certificate", spec={"secretName": "s"}), ("Certificate/t", "secretName", "Secret/s")),
        (
            thing("Certificate", spec={"issuerRef": {"name": "i", "kind": "ClusterIssuer"}}),
            ("Certificate/t", "issuerRef", "ClusterIssuer/i"),
        ),
    ],
)  # fmt: skip
def test_a_reference_is_found(source: dict[str, Any], expected: tuple[str, str, str]) -> None:
    others = [] if source["kind"] == "Deployment" else [workload()]
    assert expected in links(source, *others)


@pytest.mark.parametrize(
    "selector",
    [
        {"matchLabels": {"app": "b"}},
        {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]},
        {"matchExpressions": [{"key": "gone", "operator": "Exists"}]},
        {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]},
    ],
)
def test_labels_that_do_not_fit_are_no_reference(selector: dict[str, Any]) -> None:
    assert links(thing("PodDisruptionBudget", spec={"selector": selector}), workload()) == set()


def within(namespace: str, one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "metadata": {**one["metadata"], "namespace": namespace}}


NOT_HERE = {"name": "t", "namespace": "two"}


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (thing("RoleBinding", roleRef={"kind": "Role", "name": "t"}), {"Role/one/t"}),
        (thing("NetworkPolicy", spec={"podSelector": {}}), {"Deployment/one/a"}),
        (thing("ServiceMonitor", spec={"selector": {}}), {"Service/one/t"}),
        (
            thing("ServiceMonitor", spec={"selector": {}, "namespaceSelector": {"matchNames": ["two"]}}),
            {"Service/two/t"},
        ),
        (
            thing("PodMonitor", spec={"selector": {}, "namespaceSelector": {"any": True}}),
            {"Deployment/one/a", "Deployment/two/a"},
        ),
        (
            thing("ValidatingWebhookConfiguration", webhooks=[{"clientConfig": {"service": NOT_HERE}}]),
            {"Service/two/t"},
        ),
        (thing("RoleBinding", subjects=[{"kind": "ServiceAccount", **NOT_HERE}]), {"ServiceAccount/two/t"}),
        (thing("HTTPRoute", spec={"rules": [{"backendRefs": [NOT_HERE]}]}), {"Service/two/t"}),
    ],
)
def test_of_objects_of_one_name_that_is_meant_which_stands_in_the_namespace(
    source: dict[str, Any], wanted: set[str]
) -> None:
    """As the rights of an operator that works in some namespaces are."""
    others = [
        within(space, one)
        for space in ("one", "two")
        for one in (workload(), thing("Service"), thing("Role"), thing("ServiceAccount"))
    ]
    assert {to for _, _, to in links(within("one", source), *others)} == wanted


def test_of_kinds_of_one_name_that_is_meant_whose_group_is_named_or_is_kubernetes_own() -> None:
    groups = ("gateway.networking.k8s.io/v1", "networking.istio.io/v1", "apps/v1", "argoproj.io/v1alpha1")
    gateways = [{**thing("Gateway"), "apiVersion": group} for group in groups[:2]]
    workloads = [{**workload(), "apiVersion": group} for group in groups[2:]]
    route = thing("HTTPRoute", spec={"parentRefs": [{"name": "t"}, {"name": "t", "group": "networking.istio.io"}]})
    target = {"kind": "Deployment", "name": "a", "apiVersion": groups[3]}
    assert links(*gateways, *workloads, route, thing("HorizontalPodAutoscaler", spec={"scaleTargetRef": target})) == {
        ("HTTPRoute/t", "parentRefs", "Gateway/t"),
        ("HTTPRoute/t", "parentRefs", "Gateway.networking.istio.io/t"),
        ("HorizontalPodAutoscaler/t", "scaleTargetRef", "Deployment.argoproj.io/a"),
    }
    nodes = picture(read_manifests("".join(f"---\n{yaml.safe_dump(one)}" for one in gateways)))["nodes"]
    assert {(node["kind"], node["column"], node["there"]) for node in nodes} == {
        ("Gateway", 0, True),
        ("Gateway.networking.istio.io", 0, True),
    }


def test_an_object_without_a_namespace_is_in_that_of_the_release() -> None:
    objects = [within("shop", thing("Service", spec={"selector": {"app": "a"}})), workload()]
    made = picture(read_manifests("".join(f"---\n{yaml.safe_dump(one)}" for one in objects), "shop"))
    assert [(link["from"], link["to"]) for link in made["links"]] == [("Service/t", "Deployment/a")]


def test_what_nobody_renders_is_marked() -> None:
    nodes = picture(read_manifests(yaml.safe_dump(workload(serviceAccountName="s"))))["nodes"]
    there = {(node["kind"], node["name"], node["there"]) for node in nodes}
    assert there == {("Deployment", "a", True), ("ServiceAccount", "s", False)}


def test_sixty_objects_have_a_place_each_and_few_rows() -> None:
    objects = [
        one
        for number in range(20)
        for one in (
            {**workload(name=f"w{number}", serviceAccountName=f"a{number}")},
            {**thing("HorizontalPodAutoscaler", spec={"scaleTargetRef": {"kind": "Deployment", "name": f"w{number}"}}),
             "metadata": {"name": f"h{number}"}},
        )
    ]  # fmt: skip
    nodes = picture(read_manifests("".join(f"---\n{yaml.safe_dump(one)}" for one in objects)))["nodes"]
    places = [(node["column"], node["row"]) for node in nodes]
    assert len(places) == len(set(places)) == 60
    assert max(row for _, row in places) == 19
    belong = {number: {node["row"] for node in nodes if node["name"][1:] == str(number)} for number in range(20)}
    assert all(len(rows) == 1 for rows in belong.values()), "what belongs together stands in one row"


def test_an_object_of_any_shape_breaks_nothing() -> None:
    odd = [
        thing("Ingress", spec={"rules": "x"}),
        thing("Deployment", spec=[1]),
        thing("Ingress", spec={"tls": "x"}),
        thing("RoleBinding", subjects={}, roleRef=["x"]),
        thing("CronJob"),
    ]
    assert links(*odd) == set()
