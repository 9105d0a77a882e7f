"""Runs the reference services as processes of their own, so that the tests meet them over real sockets."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from tests.contract import generate

ROUTES = """\
routes:
  - {host: api.example.com, path: /v1, upstream: "http://api-v1:8080"}
  - {host: "*", upstream: "http://echo:8080"}
"""
_FOLDERS = ("common", "ingress", "route-manager")
_T = TypeVar("_T")


@pytest.fixture(scope="session")
def generated(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the code that protoc makes of the contract."""
    return generate(root, tmp_path_factory.mktemp("generated"))


@pytest.fixture(scope="session")
def import_path(root: Path, generated: Path) -> tuple[str, ...]:
    """What stands on PYTHONPATH in the images."""
    return (str(generated), *(str(root / "compose" / folder) for folder in _FOLDERS))


@pytest.fixture(autouse=True)
def importable(import_path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the tests import the services' own modules."""
    for entry in reversed(import_path):
        monkeypatch.syspath_prepend(entry)


@dataclass
class Service:
    """A running service; `log` is the file that it writes to."""

    process: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        return self.log.read_text()

    def port(self, pattern: str) -> int:
        """The port that the first group of `pattern` finds in the log."""
        found = wait_for(lambda: re.search(pattern, self.text()), f"{pattern!r} in the log", self.text)
        return int(found[1])

    def ended(self, seconds: float = 20) -> int:
        """The exit status."""
        return self.process.wait(timeout=seconds)


Start = Callable[..., Service]


@pytest.fixture
def start(import_path: tuple[str, ...], tmp_path: Path) -> Iterator[Start]:
    """`start("gati_ingress", NAME="value", ...)` runs a service until the test ends."""
    services: list[Service] = []

    def launch(module: str, **environ: object) -> Service:
        log = tmp_path / f"{module}-{len(services)}.log"
        clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        given = {name: str(value) for name, value in environ.items()}
        with log.open("wb") as file:
            process = subprocess.Popen(
                (sys.executable, "-m", module),
                env={**clean, "PYTHONPATH": os.pathsep.join(import_path), "PYTHONUNBUFFERED": "1", **given},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        services.append(Service(process, log))
        return services[-1]

    yield launch
    for service in services:
        with contextlib.suppress(ProcessLookupError):
            service.process.kill()
        service.process.wait()


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
        return service, service.port(r"routes on port (\d+)")

    return launch


@pytest.fixture
def start_ingress(start: Start) -> StartIngress:
    """Starts ingress with quick time-outs; gives its port too."""

    def launch(route_manager: int, **environ: object) -> tuple[Service, int]:
        defaults = {"HTTP_PORT": 0, "ROUTE_MANAGER_ADDR": f"127.0.0.1:{route_manager}", "DRAIN_SECONDS": 1}
        service = start("gati_ingress", **{**defaults, "POD_NAME": "ingress-0", "RELOAD_SECONDS": 0.1, **environ})
        return service, service.port(r"answers HTTP on port (\d+)")

    return launch


def wait_for(probe: Callable[[], _T | None], what: str, state: Callable[[], object] = str, seconds: float = 20) -> _T:
    """The first true answer of `probe`; fails the test with `what` and the state after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := probe():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds:g} s for {what}; state: {state()}")


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
