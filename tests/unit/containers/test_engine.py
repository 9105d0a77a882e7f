"""What the engine's library does by itself is held to what holds for ours."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from scripts.containers import engine
from scripts.core.errors import EngineError


class Refusing(BaseHTTPRequestHandler):
    """An engine that tells its version, and has nothing."""

    def do_GET(self) -> None:
        self._answer(200, b'{"ApiVersion": "1.43"}')

    def do_POST(self) -> None:
        self._answer(404, b'{"message": "no such image"}')

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_the_helper_that_a_pull_asks_for_a_login_has_no_secret_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "told"}')
    helper = tmp_path / "docker-credential-told"
    helper.write_text(f'#!/bin/sh\nenv > {tmp_path}/env\necho \'{{"Username": "me", "Secret": "x"}}\'\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("GATI_REGISTRY_PASSWORD", "COSIGN_PASSWORD"):
        monkeypatch.setenv(name, "hunter2")
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
        try:
            with engine.connect() as client, pytest.raises(EngineError, match="no such image"):
                engine.pulled(client, "host.example/it:1", print)
        finally:
            server.shutdown()
    told = (tmp_path / "env").read_text()
    assert "PATH=" in told
    assert "hunter2" not in told
