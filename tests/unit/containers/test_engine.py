"""Which engine is asked: the one that the docker command asks; why it gives no image, and what a pull is not told."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from scripts.containers.engine import _place, connect, pulled
from scripts.core.errors import EngineError
from scripts.core.progress import silent


@pytest.fixture
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration of docker whose context in use is "plain"; another, "far", has certificates."""
    hosts = {"plain": "unix:///run/user/7/docker.sock", "far": "tcp://127.0.0.1:1"}
    for name, host in hosts.items():
        key = hashlib.sha256(name.encode()).hexdigest()
        meta = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
        (tmp_path / "contexts/meta" / key).mkdir(parents=True)
        (tmp_path / "contexts/meta" / key / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        if name == "far":
            (tmp_path / "contexts/tls" / key / "docker").mkdir(parents=True)
            for file in ("ca.pem", "cert.pem", "key.pem"):
                (tmp_path / "contexts/tls" / key / "docker" / file).touch()
    (tmp_path / "config.json").write_text('{"currentContext": "plain"}', encoding="utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.usefixtures("contexts")
def test_the_engine_is_the_one_of_the_docker_command(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _place() == {"base_url": "unix:///run/user/7/docker.sock", "tls": None}
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    far = _place()
    assert (far["base_url"], bool(far["tls"].verify)) == ("tcp://127.0.0.1:1", True)
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/podman/podman.sock")
    assert _place() == {"base_url": "unix:///run/podman/podman.sock"}


def test_a_configuration_that_cannot_be_read_leaves_the_socket(contexts: Path) -> None:
    for file in contexts.rglob("meta.json"):
        file.write_text("{", encoding="utf-8")
    assert _place() == {}


@pytest.mark.usefixtures("contexts")
@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("tcp://127.0.0.1:1", "the connection was refused"),
        ("ssh://me@there", "behind ssh it is another machine's, whose files and ports are not these"),
        ("gopher://x", "Invalid bind address protocol: gopher://x"),
    ],
)
def test_an_engine_that_is_not_there_is_named_with_the_reason(
    host: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EngineError, match=f"^no container engine answers at {host}\n") as refusal, connect():
        pytest.fail("an engine answered where there is none")
    assert refusal.value.found == found


class Api:
    """An engine's answer to a pull: what it tells step by step."""

    def __init__(self, *steps: dict[str, Any]) -> None:
        self.api = self
        self.steps = steps
        self.asked: list[str] = []

    def pull(self, name: str, *, tag: str, stream: bool, decode: bool) -> Iterator[dict[str, Any]]:
        self.asked += [name, tag]
        return iter(self.steps)


def test_what_ends_a_pull_that_had_begun_is_told() -> None:
    told = "write /var/lib/docker/tmp/x: no space left on device"
    engine = Api({"status": "Downloading"}, {"error": told, "errorDetail": {"message": told}})
    with pytest.raises(EngineError, match="the image me/x:1 cannot be pulled") as refusal:
        pulled(cast(Any, engine), "me/x:1", silent)
    assert refusal.value.found == told
    said: list[str] = []
    assert not pulled(cast(Any, engine), "me/x:1", said.append, "building it")
    assert said[-1] == f"me/x:1 cannot be pulled ({told}); building it"


@pytest.mark.parametrize(
    ("reference", "asked"),
    [
        ("127.0.0.1:5000/me/x:1", ["127.0.0.1:5000/me/x", "1"]),
        ("127.0.0.1:5000/me/x:1@sha256:00", ["127.0.0.1:5000/me/x", "sha256:00"]),
    ],
)
def test_an_image_is_pulled_by_its_tag_or_its_digest(reference: str, asked: list[str]) -> None:
    engine = Api({"status": "Pull complete"})
    assert pulled(cast(Any, engine), reference, silent)
    assert engine.asked == asked


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
            with connect() as client, pytest.raises(EngineError, match="no such image"):
                pulled(client, "host.example/it:1", print)
        finally:
            server.shutdown()
    told = (tmp_path / "env").read_text()
    assert "PATH=" in told
    assert "hunter2" not in told
