"""The compose file as a document; tests/compose runs it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.render.harness import ROOT


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose" / "docker-compose.yml").read_text())
    return found


@pytest.mark.requirement("17.1")
def test_both_services_are_defined(stack: dict[str, Any]) -> None:
    assert {"ingress", "route-manager"} <= set(stack["services"])


@pytest.mark.requirement("17.2")
def test_both_share_a_network_of_the_stacks_own(stack: dict[str, Any]) -> None:
    shared = set(stack["services"]["ingress"]["networks"]) & set(stack["services"]["route-manager"]["networks"])
    assert shared
    assert shared <= set(stack["networks"])
    assert not [name for name in shared if (stack["networks"][name] or {}).get("external")]


@pytest.mark.requirement("17.3")
def test_configuration_is_mounted_read_only(stack: dict[str, Any]) -> None:
    (mount,) = stack["services"]["route-manager"]["volumes"]
    read_only = mount.get("read_only") if isinstance(mount, dict) else mount.endswith(":ro")
    assert read_only


@pytest.mark.requirement("17.4")
@pytest.mark.parametrize(("service", "port"), [("ingress", "8080"), ("route-manager", "50051")])
def test_ports_are_published(stack: dict[str, Any], service: str, port: str) -> None:
    published = stack["services"][service]["ports"]
    assert any(port in str(entry) for entry in published)


@pytest.mark.requirement("17.5")
def test_ingress_waits_for_a_healthy_route_manager(stack: dict[str, Any]) -> None:
    assert stack["services"]["ingress"]["depends_on"]["route-manager"]["condition"] == "service_healthy"
    assert stack["services"]["route-manager"]["healthcheck"]["test"]
