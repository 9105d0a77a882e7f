"""The compose stack, as far as it shows without an engine."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.containers import stack as module
from scripts.containers.stack import Stack
from scripts.workspace import Workspace


class Balancer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ingress 2\n")

    def log_message(self, *_: Any) -> None:
        pass


def test_the_balancer_itself_is_asked_where_a_proxy_is_named(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr(module, "_BALANCER_SECONDS", 1)
    with ThreadingHTTPServer(("127.0.0.1", 0), Balancer) as server:
        ports = {module._STATUS_PORT: [{"HostPort": str(server.server_port)}]}
        balancer = SimpleNamespace(attrs={"NetworkSettings": {"Ports": ports}})
        monkeypatch.setattr(Stack, "containers", lambda *_: [balancer])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            Stack(work, SimpleNamespace(), replicas=2)._until_balanced("ingress", 2)  # type: ignore[arg-type]
        finally:
            server.shutdown()


def test_to_take_down_nothing_asks_for_no_compose(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(Stack, "_compose", lambda _, *words: asked.append(words))
    there: list[SimpleNamespace] = []
    kind = SimpleNamespace(list=lambda **_: [there.pop()] if there else [])
    stack = Stack(work, SimpleNamespace(containers=kind, networks=kind, volumes=kind))  # type: ignore[arg-type]
    stack.down()
    assert not asked
    there.append(SimpleNamespace(name="net", attrs={"Created": ""}))
    stack.down()
    assert len(asked) == 1
