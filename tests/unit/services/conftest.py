"""The reference services, started with quick time-outs for the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import services
from tests.contract import generate
from tests.registry import servers
from tests.services import Service, Start, starting

ROUTES = """\
routes:
  - {host: api.example.com, path: /v1, upstream: "http://api-v1:8080"}
  - {host: "*", upstream: "http://echo:8080"}
"""


@pytest.fixture(scope="session")
def generated(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the code that protoc makes of the contract."""
    return generate(root, tmp_path_factory.mktemp("generated"))


@pytest.fixture(scope="session")
def import_path(root: Path, generated: Path) -> tuple[str, ...]:
    """What stands on PYTHONPATH in the images."""
    return services.import_path(root, generated)


@pytest.fixture(autouse=True)
def importable(import_path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the tests import the services' own modules."""
    for entry in reversed(import_path):
        monkeypatch.syspath_prepend(entry)


@pytest.fixture
def start(import_path: tuple[str, ...], tmp_path: Path) -> Iterator[Start]:
    """`start("gati_ingress", NAME="value", ...)` runs a service until the test ends."""
    with starting(import_path, tmp_path) as start:
        yield start


@pytest.fixture
def routes_file(tmp_path: Path) -> Path:
    path = tmp_path / "routes.yaml"
    path.write_text(ROUTES)
    return path


StartRouteManager = Callable[..., tuple[Service, int]]
StartIngress = Callable[..., tuple[Service, int]]


@pytest.fixture
def start_route_manager(start: Start, routes_file: Path) -> StartRouteManager:
    """Starts route-manager with quick time-outs; gives its port too."""

    def launch(**environ: object) -> tuple[Service, int]:
        defaults = {"GRPC_PORT": 0, "ROUTES_FILE": routes_file, "RELOAD_SECONDS": 0.1, "DRAIN_SECONDS": 0}
        service = start("gati_route_manager", **{**defaults, "POD_NAME": "route-manager-0", **environ})
        return service, service.port(r"(?:routes|health) on port (\d+)")

    return launch


@pytest.fixture
def start_ingress(start: Start) -> StartIngress:
    """Starts ingress with quick time-outs; gives its port too."""

    def launch(route_manager: int, **environ: object) -> tuple[Service, int]:
        defaults = {"HTTP_PORT": 0, "ROUTE_MANAGER_ADDR": f"127.0.0.1:{route_manager}", "DRAIN_SECONDS": 1}
        service = start("gati_ingress", **{**defaults, "POD_NAME": "ingress-0", "RELOAD_SECONDS": 0.1, **environ})
        return service, service.port(r"answers HTTPS? on port (\d+)")

    return launch


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    return servers.free_port()
