"""HTTPS at the ingress itself: certificate, ports, probes, cert-manager, private CA."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tests.render.figures import INGRESS, ROUTE_MANAGER, at, config, port, service_port, service_ports
from tests.render.harness import Document, container, environment, pod, render, render_error

TLS: dict[str, Any] = {"tls": {"enabled": True, "secretName": "edge-cert"}}


def ingress(values: dict[str, Any]) -> Document:
    return render(values).one("Deployment", INGRESS)


def mounted(workload: Document, kind: str, name: str) -> list[dict[str, Any]]:
    """The mounts of the volumes that come from a Secret or ConfigMap (projected ones too)."""
    key = "secretName" if kind == "secret" else "name"
    volumes = set()
    for volume in pod(workload).get("volumes", []):
        sources = [at(volume, kind, key)]
        sources += [at(part, kind, "name") for part in at(volume, "projected", "sources") or []]
        if name in sources:
            volumes.add(volume["name"])
    return [mount for mount in container(workload).get("volumeMounts", []) if mount["name"] in volumes]


@pytest.mark.requirement("11")
class TestCertificate:
    def test_off_by_default(self) -> None:
        assert len(container(ingress({}))["ports"]) == 1
        assert not [port for port in container(ingress({}))["ports"] if port.get("name") == "https"]

    def test_secret_is_mounted_read_only(self) -> None:
        (mount,) = mounted(ingress(TLS), "secret", "edge-cert")
        assert mount["readOnly"] is True
        assert "subPath" not in mount, "a subPath mount never sees the renewed certificate"

    def test_the_container_is_told_where_it_is(self) -> None:
        workload = ingress(TLS)
        (mount,) = mounted(workload, "secret", "edge-cert")
        assert [value for value in environment(workload).values() if str(value).startswith(mount["mountPath"])]

    def test_https_port_is_opened_and_offered_by_the_service(self) -> None:
        assert service_port(INGRESS)(render(TLS)) == (443, 8443)
        assert 8443 in [entry["containerPort"] for entry in container(ingress(TLS))["ports"]]

    @pytest.mark.parametrize("which", ["startupProbe", "readinessProbe", "livenessProbe"])
    def test_probes_speak_the_ports_scheme(self, which: str) -> None:
        workload = ingress(TLS)
        probed = container(workload)[which]["httpGet"]
        secure = port(probed["port"], workload) == 8443
        assert probed.get("scheme", "HTTP") == ("HTTPS" if secure else "HTTP")

    def test_ports_come_from_values(self) -> None:
        docs = render({"tls": {**TLS["tls"], "servicePort": 8444, "targetPort": 9443}})
        assert service_ports(docs, INGRESS) == {"http": (80, 8080), "https": (8444, 9443)}

    def test_the_secret_has_a_name_by_default(self) -> None:
        assert mounted(ingress({"tls": {"enabled": True}}), "secret", f"{INGRESS}-tls")


@pytest.mark.requirement("11")
class TestCertManager:
    values: ClassVar[dict[str, Any]] = {
        "tls": {
            **TLS["tls"],
            "certManager": {
                "enabled": True,
                "issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"},
                "dnsNames": ["api.example.com"],
            },
        }
    }

    def test_certificate_fills_the_mounted_secret(self) -> None:
        docs = render(self.values)
        spec = docs.one("Certificate")["spec"]
        assert spec["secretName"] == "edge-cert"
        assert {"api.example.com", f"{INGRESS}.gati.svc"} <= set(spec["dnsNames"])
        assert spec["issuerRef"].items() >= {"name": "letsencrypt", "kind": "ClusterIssuer"}.items()
        assert mounted(docs.one("Deployment", INGRESS), "secret", "edge-cert")

    def test_it_lives_as_long_as_the_values_say(self) -> None:
        manager = {**self.values["tls"]["certManager"], "duration": "48h", "renewBefore": "16h"}
        spec = render({"tls": {**TLS["tls"], "certManager": manager}}).one("Certificate")["spec"]
        assert (spec["duration"], spec["renewBefore"]) == ("48h", "16h")

    def test_optional(self) -> None:
        assert not render(TLS).all("Certificate")

    def test_without_an_issuer_it_is_refused(self) -> None:
        tls = {**TLS["tls"], "certManager": {**self.values["tls"]["certManager"], "issuerRef": {"name": ""}}}
        assert "tls.certManager.issuerRef" in render_error({"tls": tls})

    def test_not_without_tls(self) -> None:
        tls = {**self.values["tls"], "enabled": False}
        try:
            assert "tls" in render_error({"tls": tls})
        except AssertionError:
            assert not render({"tls": tls}).all("Certificate")


@pytest.mark.requirement("11")
@pytest.mark.parametrize(("kind", "key"), [("configMap", "configMapName"), ("secret", "secretName")])
def test_ca_bundle_has_a_directory_of_its_own(kind: str, key: str) -> None:
    workload = ingress({"tls": {"caBundle": {key: "private-ca"}}})
    (mount,) = mounted(workload, kind, "private-ca")
    assert mount["readOnly"] is True
    assert not mount["mountPath"].rstrip("/").startswith(("/etc/ssl", "/etc/pki", "/usr/share/ca-certificates"))
    assert [value for value in environment(workload).values() if str(value).startswith(mount["mountPath"])]


@pytest.mark.requirement("11")
def test_no_bundle_by_default() -> None:
    assert not [name for name in environment(ingress({})) if "CA" in name.split("_")]


@pytest.mark.requirement("11")
@pytest.mark.parametrize("values", [{}, {"ingress": {"enabled": False}}], ids=["both", "alone"])
def test_the_bundle_adds_to_the_systems_authorities_in_both(values: dict[str, Any]) -> None:
    docs = render({**values, "tls": {"caBundle": {"configMapName": "private-ca"}}})
    for workload in docs.all("Deployment"):
        found = environment(workload)
        (mount,) = mounted(workload, "configMap", "private-ca")
        assert found["GATI_CA_BUNDLE"] == found["CA_BUNDLE_FILE"] == f"{mount['mountPath']}/ca.crt"
        assert found["SSL_CERT_DIR"].split(":") == ["/etc/ssl/certs", mount["mountPath"]]
        assert "SSL_CERT_FILE" not in found, "it would take the place of the system's"


@pytest.mark.requirement("11")
class TestSteps:
    """From plain HTTP to HTTPS alone, one upgrade after the other."""

    def offered(self, **tls: Any) -> dict[str, tuple[int, int]]:
        return service_ports(render({"tls": {**TLS["tls"], **tls}}), INGRESS)

    def test_port_80_stays_until_it_is_taken_away(self) -> None:
        both = {"http": (80, 8080), "https": (443, 8443)}
        assert self.offered() == self.offered(http="plain") == self.offered(http="redirect") == both
        assert self.offered(http="none") == {"https": (443, 8443)}

    @pytest.mark.parametrize(("http", "mode"), [("plain", None), ("redirect", "redirect"), ("none", "redirect")])
    def test_the_image_is_told(self, http: str, mode: str | None) -> None:
        found = environment(ingress({"tls": {**TLS["tls"], "http": http, "servicePort": 8444}}))
        assert found.get("HTTP_MODE") == mode
        assert found.get("PUBLIC_HTTPS_PORT") == ("8444" if mode else None)

    @pytest.mark.parametrize(("backends", "number"), [("http", 80), ("https", 443)])
    def test_ways_in_from_outside_change_over_by_themselves(self, backends: str, number: int) -> None:
        ways = {
            "externalIngress": {"enabled": True},
            "httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}]},
        }
        docs = render({**ways, "tls": {**TLS["tls"], "backends": backends}})
        path = docs.one("Ingress")["spec"]["rules"][0]["http"]["paths"][0]
        assert path["backend"]["service"]["port"]["number"] == number
        assert docs.one("HTTPRoute")["spec"]["rules"][0]["backendRefs"][0]["port"] == number

    def test_policies_let_clients_in_by_what_is_offered(self) -> None:
        for http, names in (("plain", ["http", "https"]), ("none", ["https"])):
            docs = render({"networkPolicy": {"enabled": True}, "tls": {**TLS["tls"], "http": http}})
            first = docs.one("NetworkPolicy", INGRESS)["spec"]["ingress"][0]
            assert [entry["port"] for entry in first["ports"]] == names


@pytest.mark.requirement("11")
class TestRouteManager:
    """TLS between the ingress and route-manager."""

    values: ClassVar[dict[str, Any]] = {"routeManager": {"tls": {"enabled": True}}}

    def test_off_by_default(self) -> None:
        assert "ROUTE_MANAGER_TLS" not in environment(ingress({}))
        assert service_ports(render(), ROUTE_MANAGER) == {"grpc": (50051, 50051)}

    def test_it_has_a_port_beside_the_plain_one(self) -> None:
        docs = render(self.values)
        assert service_ports(docs, ROUTE_MANAGER) == {"grpc": (50051, 50051), "grpcs": (50052, 50052)}
        found = environment(docs.one("Deployment", ROUTE_MANAGER))
        assert (found["GRPC_PORT"], found["GRPCS_PORT"], found["GRPC_MODE"]) == ("50051", "50052", "serve")
        (mount,) = mounted(docs.one("Deployment", ROUTE_MANAGER), "secret", f"{ROUTE_MANAGER}-tls")
        assert found["TLS_CERT_FILE"] == f"{mount['mountPath']}/tls.crt"

    def test_the_probes_stay_with_the_plain_port(self) -> None:
        tls = {"enabled": True, "grpc": "health"}
        workload = render({"routeManager": {"tls": tls}}).one("Deployment", ROUTE_MANAGER)
        assert environment(workload)["GRPC_MODE"] == "health"
        assert container(workload)["readinessProbe"]["grpc"]["port"] == 50051

    @pytest.mark.parametrize("headless", [True, False])
    def test_the_ingress_calls_it_and_knows_the_authority_and_nothing_else(self, headless: bool) -> None:
        docs = render({"routeManager": {"tls": {"enabled": True}, "service": {"headless": headless}}})
        assert str(config("ROUTE_MANAGER_ADDR")(docs)).endswith(":50052")
        workload = docs.one("Deployment", INGRESS)
        found = environment(workload)
        assert found["ROUTE_MANAGER_TLS"] == "true"
        (mount,) = mounted(workload, "secret", f"{ROUTE_MANAGER}-tls")
        assert found["ROUTE_MANAGER_CA_FILE"] == f"{mount['mountPath']}/ca.crt"
        (volume,) = [volume for volume in pod(workload)["volumes"] if volume["name"] == mount["name"]]
        assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}], "the key is not the ingress' own"
        secrets = [name for rule in docs.one("Role", INGRESS)["rules"] for name in rule["resourceNames"]]
        assert f"{ROUTE_MANAGER}-tls" not in secrets

    def test_a_public_authority_needs_no_file(self) -> None:
        docs = render({"routeManager": {"tls": {"enabled": True, "caKey": ""}}})
        assert "ROUTE_MANAGER_CA_FILE" not in environment(docs.one("Deployment", INGRESS))

    def test_cert_manager_issues_for_every_name_it_is_called_by(self) -> None:
        manager = {"tls": {"enabled": True, "certManager": {"enabled": True}}, "service": {"headless": True}}
        docs = render({"routeManager": manager, "tls": {"certManager": {"issuerRef": {"name": "ca"}}}})
        spec = docs.one("Certificate", ROUTE_MANAGER)["spec"]
        assert spec["secretName"] == f"{ROUTE_MANAGER}-tls"
        assert spec["issuerRef"]["name"] == "ca"
        assert {f"{ROUTE_MANAGER}.gati.svc", f"{ROUTE_MANAGER}-headless.gati.svc"} <= set(spec["dnsNames"])

    def test_policies_let_both_ports_through(self) -> None:
        docs = render({**self.values, "networkPolicy": {"enabled": True}})
        rule = docs.one("NetworkPolicy", ROUTE_MANAGER)["spec"]["ingress"][0]
        assert [entry["port"] for entry in rule["ports"]] == ["grpc", "grpcs"]


@pytest.mark.requirement("11")
@pytest.mark.parametrize("issued", ["ingress", "routeManager"])
def test_a_certificate_has_the_names_of_both_who_show_it(issued: str) -> None:
    manager = {"issuerRef": {"name": "issuer"}, "enabled": issued == "ingress"}
    tls = {"enabled": True, "secretName": "shared", "certManager": manager}
    of_manager = {"enabled": True, "secretName": "shared", "certManager": {"enabled": issued == "routeManager"}}
    values = {"tls": tls, "routeManager": {"tls": of_manager, "service": {"headless": True}}}
    names = {f"{name}.gati.svc" for name in (INGRESS, ROUTE_MANAGER, f"{ROUTE_MANAGER}-headless")}
    assert names <= set(render(values).one("Certificate")["spec"]["dnsNames"])
    values["routeManager"]["tls"] = {**of_manager, "secretName": "" if issued == "ingress" else "own"}
    found = set(render(values).one("Certificate")["spec"]["dnsNames"])
    assert (f"{INGRESS}.gati.svc" in found, f"{ROUTE_MANAGER}.gati.svc" in found) == (
        issued == "ingress",
        issued == "routeManager",
    )
