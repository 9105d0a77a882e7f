"""The images' health check: one line and an exit status, for HTTP and gRPC."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.services import wait_for


@pytest.fixture
def check(root: Path, import_path: Any) -> Any:
    """Runs the health check with these arguments, where a proxy is named: exit status and its one line."""

    def run(*arguments: str) -> tuple[int, str]:
        script = root / "compose/common/gati_common/healthcheck.py"
        proxies = dict.fromkeys(("http_proxy", "https_proxy"), "http://proxy.invalid:3128")
        environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(import_path), **proxies}
        answer = subprocess.run((sys.executable, script, *arguments), env=environ, capture_output=True, text=True)
        assert answer.stderr == ""
        (line,) = answer.stdout.splitlines()
        return answer.returncode, line

    return run


def test_grpc(check: Any, start_route_manager: Any) -> None:
    service, port = start_route_manager(DRAIN_SECONDS=5)
    url = f"grpc://127.0.0.1:{port}"
    assert check(url) == (0, f"{url}: SERVING")
    assert check(f"{url}/gati.routes.v1.RouteManager") == (0, f"{url}/gati.routes.v1.RouteManager: SERVING")
    status, line = check(f"{url}/unknown")
    assert (status, "NOT_FOUND" in line) == (1, True)
    service.process.send_signal(signal.SIGTERM)
    wait_for(lambda: check(url) == (1, f"{url}: NOT_SERVING"), "the refusal")


def test_http(check: Any, start_ingress: Any, free_port: Any) -> None:
    _, port = start_ingress(free_port)
    url = f"http://127.0.0.1:{port}"
    assert check(f"{url}/livez") == (0, f"{url}/livez: HTTP 200")
    assert check(f"{url}/healthz") == (1, f"{url}/healthz: HTTP 503")


@pytest.mark.parametrize("scheme", ["http", "https", "grpc"])
def test_nobody_there(check: Any, free_port: int, scheme: str) -> None:
    status, line = check(f"{scheme}://127.0.0.1:{free_port}")
    assert status == 1
    assert "refused" in line


@pytest.mark.parametrize(
    "arguments", [(), ("",), ("ftp://a",), ("grpc://a",), ("http:///x",), ("http://a", "b"), ("grpc://a:x",)]
)
def test_a_bad_url_says_what_is_expected(check: Any, arguments: tuple[str, ...]) -> None:
    status, line = check(*arguments)
    assert status == 1
    assert "expected http://host:port/path" in line
