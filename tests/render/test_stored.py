"""Objects are rendered as the API server stores them, so that a second server-side manager meets no conflict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.render.everything import EVERYTHING, HTTP_ROUTE, merged
from tests.render.figures import INGRESS
from tests.render.harness import pod, render

ENVIRONMENTS = ("values-dev.yaml", "values-staging.yaml", "values-prod.yaml")


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from nodes(value)


FIELDS = [
    {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    {"name": "OLD", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}},
]
BOX = {"name": "box", "image": "x:1", "env": FIELDS, "resources": {"limits": {"cpu": "2000m", "memory": "1024Mi"}}}
VALUES: dict[str, Any] = {
    "ingress": {"extraEnv": FIELDS, "initContainers": [BOX], "extraContainers": [{**BOX, "name": "side"}]},
}


@pytest.mark.parametrize("values", [{}, EVERYTHING, VALUES], ids=["default", "everything", "users"])
def test_a_reference_to_a_field_says_its_version(values: dict[str, Any]) -> None:
    found = [node for doc in render(values) for node in nodes(doc) if "fieldPath" in node]
    assert found
    assert {node["apiVersion"] for node in found} == {"v1"}
    references = [node for doc in render(values) for node in nodes(doc) if node.get("resource") == "limits.cpu"]
    assert all(node["divisor"] == "0" for node in references)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("1000m", "1"),
        ("250m", "250m"),
        ("0.5", "500m"),
        (0.25, "250m"),
        (2, "2"),
        ("1.25", "1250m"),
        ("2000", "2k"),
        ("0.1m", "100u"),
        ("00.10", "100m"),
        ("0", "0"),
        ("0m", "0"),
        ("1024Mi", "1Gi"),
        ("1536Mi", "1536Mi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("1000Ki", "1000Ki"),
        ("1000k", "1M"),
        ("128974848", "128974848"),
        ("1048576Ki", "1Gi"),
        ("1024Ei", "1024Ei"),
        ("1.1Gi", "1181116006400m"),
        ("0.1Ki", "102400m"),
        ("0.0005", "500u"),
        ("1e8", "100e6"),
        ("1E9", "1e9"),
        ("1e-1", "100e-3"),
        ("1.5e+03", "1500"),
        ("12e4", "120e3"),
        ("0e3", "0"),
    ],
)
def test_a_quantity_is_written_as_the_api_server_writes_it(written: Any, stored: str) -> None:
    """What resource.Quantity makes of it, in k8s.io/apimachinery."""
    values = {"ingress": {"extraVolumes": [{"name": "scratch", "emptyDir": {"sizeLimit": written}}]}}
    volumes = pod(render(values).one("Deployment", INGRESS))["volumes"]
    assert [one["emptyDir"] for one in volumes if one["name"] == "scratch"] == [{"sizeLimit": stored}]


def test_a_users_containers_are_treated_alike() -> None:
    spec = pod(render(VALUES).one("Deployment", INGRESS))
    for box in (spec["initContainers"][0], spec["containers"][1]):
        assert box["resources"] == {"limits": {"cpu": "2", "memory": "1Gi"}}
        assert box["env"][0]["valueFrom"]["fieldRef"] == {"apiVersion": "v1", "fieldPath": "spec.nodeName"}


def test_lists_of_a_route_carry_the_defaults_of_their_api() -> None:
    route = {"matches": [{"headers": [{"name": "x", "value": "1"}]}, {"path": {"value": "/a"}}]}
    spec = render(merged(HTTP_ROUTE, {"httpRoute": route})).one("HTTPRoute")["spec"]
    assert spec["parentRefs"][0].items() >= {"group": "gateway.networking.k8s.io", "kind": "Gateway"}.items()
    (rule,) = spec["rules"]
    assert rule["backendRefs"][0].items() >= {"group": "", "kind": "Service", "weight": 1}.items()
    everything = {"type": "PathPrefix", "value": "/"}
    assert rule["matches"] == [
        {"path": everything, "headers": [{"name": "x", "value": "1", "type": "Exact"}]},
        {"path": {"type": "PathPrefix", "value": "/a"}},
    ]
    (rule,) = render(merged(HTTP_ROUTE, {"httpRoute": {"matches": []}})).one("HTTPRoute")["spec"]["rules"]
    assert rule["matches"] == [{"path": everything}]


def test_an_empty_group_of_a_parent_stays() -> None:
    """That of a Service, to which a mesh attaches routes."""
    parent = {"group": "", "kind": "Service", "name": "gati"}
    spec = render(merged(HTTP_ROUTE, {"httpRoute": {"parentRefs": [parent]}})).one("HTTPRoute")["spec"]
    assert spec["parentRefs"] == [parent]


def test_so_do_its_filters() -> None:
    mirror = {"backendRef": {"name": "copy", "port": 80}, "fraction": {"numerator": 1}}
    rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
    filters = [
        {"type": "RequestMirror", "requestMirror": mirror},
        {"type": "CORS", "cors": {}},
        {"type": "URLRewrite", "urlRewrite": rewrite},
    ]
    spec = render(merged(HTTP_ROUTE, {"httpRoute": {"filters": filters}})).one("HTTPRoute")["spec"]
    found = spec["rules"][0]["filters"]
    assert found[0]["requestMirror"]["backendRef"] == {"group": "", "kind": "Service", "name": "copy", "port": 80}
    assert found[0]["requestMirror"]["fraction"] == {"numerator": 1, "denominator": 100}
    assert found[1]["cors"] == {"maxAge": 5}
    assert found[2]["urlRewrite"] == rewrite


def test_a_route_that_redirects_has_no_backend() -> None:
    """The Gateway API refuses the two together."""
    redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}
    (rule,) = render(merged(HTTP_ROUTE, {"httpRoute": {"filters": [redirect]}})).one("HTTPRoute")["spec"]["rules"]
    assert rule["filters"] == [{**redirect, "requestRedirect": {"scheme": "https", "statusCode": 302}}]
    assert "backendRefs" not in rule


@pytest.mark.requirement("7.2")
def test_relabelings_say_their_action() -> None:
    monitor = {"enabled": True, "relabelings": [{"targetLabel": "a"}], "metricRelabelings": [{"action": "drop"}]}
    docs = render({"prometheusOperator": {"serviceMonitor": monitor}})
    (endpoint,) = docs.one("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["relabelings"] == [{"action": "replace", "targetLabel": "a"}]
    assert endpoint["metricRelabelings"] == [{"action": "drop"}]


@pytest.mark.requirement("6.3")
def test_metrics_of_ones_own_hold_quantities() -> None:
    target = {"type": "AverageValue", "averageValue": "1000m"}
    metrics = [
        {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": target}},
        {"type": "External", "external": {"metric": {"name": "e"}, "target": {"type": "Value", "value": 30}}},
    ]
    found = render({"ingress": {"hpa": {"enabled": True, "metrics": metrics}}}).one("HorizontalPodAutoscaler")
    assert found["spec"]["metrics"][1]["pods"]["target"]["averageValue"] == "1"
    assert found["spec"]["metrics"][2]["external"]["target"]["value"] == "30"


def test_a_word_of_the_users_own_that_sounds_like_an_amount_stays() -> None:
    words = {"sizeLimit": "1024Mi", "divisor": "1000", "averageValue": "1000m"}
    target = {"type": "AverageValue", "averageValue": 1}
    pods = {"metric": {"name": "m", "selector": {"matchLabels": words}}, "target": target}
    disk = {"name": "disk", "csi": {"driver": "a", "volumeAttributes": words}}
    docs = render(
        {"ingress": {"hpa": {"enabled": True, "metrics": [{"type": "Pods", "pods": pods}]}, "extraVolumes": [disk]}}
    )
    assert disk in pod(docs.one("Deployment", INGRESS))["volumes"]
    found = docs.one("HorizontalPodAutoscaler")["spec"]["metrics"][1]["pods"]
    assert found["metric"]["selector"]["matchLabels"] == words


def test_volumes_of_ones_own_say_what_their_lists_leave_out() -> None:
    field = {"path": "f", "fieldRef": {"fieldPath": "metadata.labels"}}
    volumes = [
        {"name": "a", "emptyDir": {"sizeLimit": "1024Mi"}},
        {"name": "b", "downwardAPI": {"items": [field]}},
        {
            "name": "c",
            "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"downwardAPI": {"items": [field]}}]},
        },
    ]
    spec = pod(render({"ingress": {"extraVolumes": volumes}}).one("Deployment", INGRESS))
    found = {volume["name"]: volume for volume in spec["volumes"]}
    stored = {"path": "f", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels"}}
    assert found["a"]["emptyDir"] == {"sizeLimit": "1Gi"}
    assert found["b"]["downwardAPI"]["items"] == [stored]
    token, fields = found["c"]["projected"]["sources"]
    assert token["serviceAccountToken"] == {"path": "t", "expirationSeconds": 3600}
    assert fields["downwardAPI"]["items"] == [stored]


def test_a_certificate_of_an_ingress_for_no_host_has_no_list_of_them() -> None:
    spec = render({"externalIngress": {"enabled": True, "tls": [{"secretName": "a"}]}}).one("Ingress")["spec"]
    assert spec["tls"] == [{"secretName": "a"}]


@pytest.mark.parametrize("values", [{}, *({"file": name} for name in ENVIRONMENTS)], ids=str)
def test_every_port_says_its_protocol(values: dict[str, Any]) -> None:
    rule = {"ports": [{"port": 443}]}
    asked = {"networkPolicy": {"enabled": True, "ingress": {"extraEgress": [rule]}}}
    docs = render(asked, values_files=tuple(values.values()))
    for doc in docs.all("NetworkPolicy"):
        for node in nodes(doc["spec"]):
            if "port" in node:
                assert node["protocol"]
