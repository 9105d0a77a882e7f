"""HTTPS at the ingress itself: certificate, ports, probes, cert-manager, private CA."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tests.render.figures import INGRESS, at, port, service_port
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

    def test_https_port_is_opened_and_the_service_switched(self) -> None:
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
        assert service_port(INGRESS)(docs) == (8444, 9443)

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
