"""The environment of both services: defaults, and a refusal that names the variable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def test_ingress_defaults() -> None:
    from gati_ingress.settings import load_settings

    settings = load_settings({"ROUTE_MANAGER_ADDR": "route-manager.gati.svc:50051", "POD_NAME": "ingress-0"})
    assert (settings.port, settings.tls, settings.pod) == (8080, None, "ingress-0")
    assert settings.route_manager == "dns:///route-manager.gati.svc:50051"
    assert settings.timescape is None
    assert not settings.playground
    # The chart's preStop takes 15 of 30 seconds of grace; the rest is for a node that is busy.
    assert 15 + settings.drain + settings.shutdown <= 27


def test_route_manager_defaults() -> None:
    from gati_route_manager.settings import load_settings

    settings = load_settings({})
    assert (settings.port, settings.routes_file) == (50051, Path("/etc/gati/routes/routes.yaml"))
    assert settings.drain + settings.shutdown < 15


@pytest.mark.parametrize("address", ["route-manager:50051", "dns:///route-manager:50051", "[::1]:50051", "10.0.0.1:1"])
def test_addresses_that_are_taken(address: str) -> None:
    from gati_ingress.settings import load_settings

    settings = load_settings({"ROUTE_MANAGER_ADDR": address})
    assert settings.route_manager == "dns:///" + address.removeprefix("dns:///")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROUTE_MANAGER_ADDR", ""),
        ("ROUTE_MANAGER_ADDR", "route-manager"),
        ("ROUTE_MANAGER_ADDR", "route-manager:0"),
        ("ROUTE_MANAGER_ADDR", "route-manager:65536"),
        ("ROUTE_MANAGER_ADDR", "http://route-manager:50051"),
        ("ROUTE_MANAGER_ADDR", "route manager:50051"),
        ("TIMESCAPE_ADDR", "timescape"),
        ("HTTP_PORT", "http"),
        ("HTTP_PORT", "70000"),
        ("HTTP_PORT", "-1"),
        ("HTTP_PORT", "8080.5"),
        ("FEATURE_PLAYGROUND", "maybe"),
        ("DRAIN_SECONDS", "soon"),
        ("DRAIN_SECONDS", "nan"),
        ("DRAIN_SECONDS", "-1"),
        ("MAX_IN_FLIGHT", "0"),
        ("LOG_LEVEL", "loud"),
        ("TLS_CERT_FILE", "/nowhere/tls.crt"),
        ("CA_BUNDLE_FILE", "/nowhere/ca.crt"),
        ("GATI_CA_BUNDLE", "/nowhere/ca.crt"),
        ("ROUTE_MANAGER_CA_FILE", "/nowhere/ca.crt"),
        ("ROUTE_MANAGER_TLS", "perhaps"),
        ("GATI_METRICS_PORT", "metrics"),
        ("HTTP_MODE", "closed"),
        ("HTTP_MODE", "redirect"),  # without a certificate
        ("PUBLIC_HTTPS_PORT", "0"),
        ("STOP_MODE", "soon"),
        ("HEAD_SECONDS", "0"),
        ("CONNECTION_SECONDS", "0"),
    ],
)
def test_ingress_refuses_by_name(name: str, value: str) -> None:
    from gati_common.environment import SettingsError
    from gati_ingress.settings import load_settings

    with pytest.raises(SettingsError) as refusal:
        load_settings({"ROUTE_MANAGER_ADDR": "route-manager:50051", name: value})
    assert str(refusal.value).startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("mode", "port", "management"),
    [("serve", "9090", 9090), ("serve", "8080", None), ("serve", "8443", None), ("off", "8080", 8080)],
)
def test_management_has_a_port_that_is_not_public(tmp_path: Path, mode: str, port: str, management: int | None) -> None:
    from gati_ingress.settings import load_settings

    file = tmp_path / "tls.pem"
    file.write_text("")
    tls = {"TLS_CERT_FILE": str(file), "TLS_KEY_FILE": str(file), "HTTP_MODE": mode}
    settings = load_settings({"ROUTE_MANAGER_ADDR": "a:1", "GATI_METRICS_PORT": port, **tls})
    assert settings.metrics_port == management


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRPC_MODE", "health"),  # without a certificate
        ("GRPC_MODE", "off"),
        ("GATI_METRICS_PORT", "70000"),
        ("GATI_CA_BUNDLE", "/nowhere/ca.crt"),
        ("ROUTES_MAX_BYTES", "1M"),
        ("STOP_MODE", "soon"),
    ],
)
def test_route_manager_refuses_by_name(name: str, value: str) -> None:
    from gati_common.environment import SettingsError
    from gati_route_manager.settings import load_settings

    with pytest.raises(SettingsError) as refusal:
        load_settings({name: value})
    assert str(refusal.value).startswith(f"{name}: ")


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    from gati_common.environment import SettingsError
    from gati_ingress.settings import load_settings

    cert = tmp_path / "tls.crt"
    cert.write_text("")
    with pytest.raises(SettingsError, match=r"^TLS_KEY_FILE: "):
        load_settings({"ROUTE_MANAGER_ADDR": "a:1", "TLS_CERT_FILE": str(cert)})


@pytest.mark.parametrize(
    ("module", "environ", "message"),
    [
        ("gati_ingress", {}, "ingress: configuration refused: ROUTE_MANAGER_ADDR: expected host:port, found nothing"),
        ("gati_route_manager", {"GRPC_PORT": "x"}, "route-manager: configuration refused: GRPC_PORT: expected"),
        ("gati_route_manager", {"ROUTES_FILE": "/nowhere"}, "configuration refused: /nowhere: No such file"),
    ],
)
def test_a_refusal_is_one_line_and_exit_2(start: Any, module: str, environ: dict[str, str], message: str) -> None:
    service = start(module, **environ)
    assert service.ended() == 2
    assert message in service.text()
    assert len(service.text().splitlines()) == 1
