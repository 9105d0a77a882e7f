"""The way in from outside: Ingress or HTTPRoute, off by default."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.everything import HTTP_ROUTE
from tests.render.figures import INGRESS, at
from tests.render.harness import render, render_error

HOSTS = [
    {
        "host": "api.example.com",
        "paths": [{"path": "/", "pathType": "Prefix"}, {"path": "/exact", "pathType": "Exact"}],
    },
    {"host": "other.example.com", "paths": [{"path": "/v1", "pathType": "ImplementationSpecific"}]},
]
CERT = [{"secretName": "api-tls", "hosts": ["api.example.com", "other.example.com"]}]


def external(**more: Any) -> dict[str, Any]:
    return {"externalIngress": {"enabled": True, "hosts": HOSTS, **more}}


def backends(spec: dict[str, Any]) -> list[Any]:
    return [path["backend"]["service"] for rule in spec["rules"] for path in rule["http"]["paths"]]


@pytest.mark.requirement("10")
class TestIngress:
    def test_off_by_default(self) -> None:
        assert not [doc for doc in render() if doc["kind"] in ("Ingress", "HTTPRoute")]

    def test_hosts_and_paths_arrive_as_written(self) -> None:
        found = render(external()).one("Ingress")
        assert found["apiVersion"] == "networking.k8s.io/v1"
        rules = [
            {
                "host": rule["host"],
                "paths": [{key: path[key] for key in ("path", "pathType")} for path in rule["http"]["paths"]],
            }
            for rule in found["spec"]["rules"]
        ]
        assert rules == HOSTS

    @pytest.mark.parametrize("tls", [{"enabled": False}, {"enabled": True, "secretName": "cert"}])
    def test_every_path_ends_at_the_ingress_service(self, tls: dict[str, Any]) -> None:
        docs = render({**external(), "tls": tls})
        service = docs.one("Service", INGRESS)
        numbers = {entry["port"] for entry in service["spec"]["ports"]}
        names = {entry["name"] for entry in service["spec"]["ports"]}
        for backend in backends(docs.one("Ingress")["spec"]):
            assert backend["name"] == INGRESS
            assert backend["port"].get("number") in numbers or backend["port"].get("name") in names

    def test_class_and_annotations(self) -> None:
        annotations = {"nginx.ingress.kubernetes.io/proxy-read-timeout": 3600, "cert-manager.io/cluster-issuer": "le"}
        found = render(external(className="nginx", annotations=annotations)).one("Ingress")
        assert found["spec"]["ingressClassName"] == "nginx"
        assert (
            found["metadata"]["annotations"].items()
            >= {
                "nginx.ingress.kubernetes.io/proxy-read-timeout": "3600",
                "cert-manager.io/cluster-issuer": "le",
            }.items()
        )

    def test_no_class_leaves_it_to_the_cluster(self) -> None:
        assert "ingressClassName" not in render(external()).one("Ingress")["spec"]

    def test_tls(self) -> None:
        assert render(external(tls=CERT)).one("Ingress")["spec"]["tls"] == CERT
        assert "tls" not in render(external()).one("Ingress")["spec"]

    def test_without_a_host_it_is_refused(self) -> None:
        assert "externalIngress.hosts" in render_error({"externalIngress": {"enabled": True, "hosts": []}})

    def test_without_the_component_it_is_refused_or_absent(self) -> None:
        values = {**external(), "ingress": {"enabled": False}}
        try:
            assert "ingress.enabled" in render_error(values)
        except AssertionError:
            assert not render(values).all("Ingress")


@pytest.mark.requirement("10")
class TestHttpRoute:
    def test_names_its_gateway_and_the_service(self) -> None:
        docs = render(HTTP_ROUTE)
        found = docs.one("HTTPRoute")
        assert found["apiVersion"] == "gateway.networking.k8s.io/v1"
        assert found["spec"]["parentRefs"]
        ports = {entry["port"] for entry in docs.one("Service", INGRESS)["spec"]["ports"]}
        targets = [target for rule in found["spec"]["rules"] for target in rule["backendRefs"]]
        assert targets
        for target in targets:
            assert target["name"] == INGRESS
            assert target["port"] in ports

    def test_hosts_become_hostnames(self) -> None:
        assert at(render(HTTP_ROUTE).one("HTTPRoute"), "spec", "hostnames")

    def test_it_stands_instead_of_the_ingress(self) -> None:
        assert not render(HTTP_ROUTE).all("Ingress")
