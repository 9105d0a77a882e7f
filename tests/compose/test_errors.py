"""What a person reads when the stack cannot start: one line with the cause, and the next command."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

import pytest

from scripts import engine as engines
from scripts.command import Runner
from scripts.errors import EngineError


def test_a_port_that_a_program_has(make_stack) -> None:
    stack = make_stack("port")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", stack.config.http_port))
        taken.listen()
        with pytest.raises(EngineError) as refusal:
            stack.up("1")
    first, found, run = str(refusal.value).splitlines()
    assert first == f"port {stack.config.http_port}, which the stack needs for HTTP, is already taken"
    assert "another program" in found
    assert f"GATI_HTTP_PORT={stack.config.http_port + 1} invoke up" in run
    assert stack.containers() == []


def test_a_port_that_a_container_has(make_stack, engine) -> None:
    stack = make_stack("port")
    ports = {"50051/tcp": ("127.0.0.1", stack.config.grpc_port)}
    holder = engine.containers.run(
        "gati/route-manager:1", ["60"], entrypoint=["sleep"], ports=ports, detach=True, name=f"{stack.project}-holder"
    )
    try:
        with pytest.raises(EngineError) as refusal:
            stack.up("1")
        assert f"port {stack.config.grpc_port}, which the stack needs for gRPC" in str(refusal.value)
        assert f"container {stack.project}-holder" in str(refusal.value)
    finally:
        holder.remove(force=True)


def test_a_missing_image(make_stack) -> None:
    with pytest.raises(EngineError) as refusal:
        make_stack("image").up("none")
    assert str(refusal.value).splitlines()[0] == "the image gati/ingress:none is missing"
    assert refusal.value.run == "invoke images --version none"


@pytest.mark.parametrize("task", ["up", "down", "images"])
def test_an_absent_engine(root: Path, task: str) -> None:
    result = Runner().run(("invoke", task), cwd=root, env={"DOCKER_HOST": "unix:///nowhere.sock"}, check=False)
    assert result.status == 1
    assert result.stderr.splitlines()[0] == "error: no container engine answers at unix:///nowhere.sock"
    assert "the socket is not there" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_registry_that_cannot_be_reached(config, engine, runner) -> None:
    from scripts.images import foundation

    nowhere = dataclasses.replace(config, images="registry", python_image="127.0.0.1:1/python:3")
    with pytest.raises(EngineError) as refusal:
        foundation(nowhere, "python", engine, runner, lambda _: None)
    assert str(refusal.value).startswith("the image 127.0.0.1:1/python:3 cannot be pulled")
    assert "refused" in str(refusal.value.found)


def test_the_engine_is_found_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(EngineError) as refusal, engines.connect():
        pytest.fail("an engine answered where there is none")
    assert refusal.value.found == "the connection was refused"
