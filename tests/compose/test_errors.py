"""What a person reads when the stack cannot start: one line with the cause, and the next command."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

import pytest
from docker import DockerClient

from scripts.containers import engine as engines
from scripts.containers.images import plan_services, reference
from scripts.core.command import Runner
from scripts.core.errors import ConfigError, EngineError
from scripts.workspace import Workspace
from tests.compose.conftest import MakeStack


def test_a_port_that_a_program_has(make_stack: MakeStack) -> None:
    stack = make_stack("port")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", stack.work.config.http_port))
        taken.listen()
        with pytest.raises(EngineError) as refusal:
            stack.up("1")
    first, found, run, doctor = str(refusal.value).splitlines()
    assert doctor.strip() == f"doctor:   invoke doctor looks at this: port {stack.work.config.http_port}"
    assert first == f"port {stack.work.config.http_port}, which the stack needs for HTTP, is already taken"
    assert "another program" in found
    assert f"GATI_HTTP_PORT={stack.work.config.http_port + 1} invoke up" in run
    assert stack.containers() == []


def test_a_port_that_a_container_has(make_stack: MakeStack, engine: DockerClient) -> None:
    stack = make_stack("port")
    ports = {"50051/tcp": ("127.0.0.1", stack.work.config.grpc_port)}
    holder = engine.containers.run(
        reference(stack.work.config, "route-manager", "1"),
        ["60"],
        entrypoint=["sleep"],
        ports=ports,
        detach=True,
        name=f"{stack.project}-holder",
    )
    try:
        with pytest.raises(EngineError) as refusal:
            stack.up("1")
        assert f"port {stack.work.config.grpc_port}, which the stack needs for gRPC" in str(refusal.value)
        assert f"container {stack.project}-holder" in str(refusal.value)
    finally:
        holder.remove(force=True)


def test_a_missing_image(make_stack: MakeStack) -> None:
    stack = make_stack("image")
    with pytest.raises(EngineError) as refusal:
        stack.up("none")
    assert refusal.value.message == f"the image {reference(stack.work.config, 'ingress', 'none')} is missing"
    assert refusal.value.run == "invoke images --version none"


@pytest.mark.parametrize("version", ["", "a b", "../2", "-1", "v" * 129])
def test_a_version_that_no_image_can_have(make_stack: MakeStack, version: str) -> None:
    with pytest.raises(ConfigError, match=r"^the version of the images is not usable\n"):
        make_stack("version").up(version)


def test_ports_that_are_the_same(make_stack: MakeStack) -> None:
    stack = make_stack("ports")
    same = dataclasses.replace(stack, work=stack.work.having(grpc_port=stack.work.config.http_port))
    with pytest.raises(ConfigError, match=r"^the stack needs ports that differ\n"):
        same.up("1")


def test_a_dry_run_pulls_and_builds_nothing(make_stack: MakeStack, engine: DockerClient) -> None:
    stack = make_stack("dry", replicas=2)
    unreachable = {
        "images": "registry",
        "python_image": "127.0.0.1:1/python:3",
        "haproxy_image": "127.0.0.1:1/haproxy:3",
    }
    dry = dataclasses.replace(stack, work=stack.work.having(**unreachable))
    (balancer,) = (line for line in dry.preview("3") if line.startswith("balancer"))
    assert "127.0.0.1:1/haproxy:3" in balancer
    planned = {image.reference: image for image in plan_services(dry.work.config, engine, versions=("1", "3"))}
    first, third = (planned[reference(dry.work.config, "ingress", version)] for version in ("1", "3"))
    assert [first.there, third.there] == [True, False]
    assert (third.base, third.base_there) == ("127.0.0.1:1/python:3", False)
    with pytest.raises(EngineError, match=f"the image {third.reference} is missing"):
        dry.preview("3", build=False)


def test_the_example_that_ends_its_help(root: Path) -> None:
    told = Runner().run(("invoke", "--help", "up"), cwd=root, env={"COLUMNS": "200"}).stdout
    example = told.partition("Example: invoke ")[2].splitlines()[0].split()
    assert "ingress: 2 of " in Runner().run(("invoke", *example), cwd=root).stdout


def test_a_refusal_is_not_taken_for_an_absent_engine() -> None:
    with pytest.raises(EngineError) as refusal, engines.connect() as client:
        client.networks.get("gati-none-such")
    assert str(refusal.value).splitlines()[0] == "the container engine refused a request"


@pytest.mark.parametrize("task", ["up", "down", "images"])
def test_an_absent_engine(root: Path, task: str) -> None:
    result = Runner().run(("invoke", task), cwd=root, env={"DOCKER_HOST": "unix:///nowhere.sock"}, check=False)
    assert result.status == 5
    assert result.stderr.splitlines()[0] == "error: no container engine answers at unix:///nowhere.sock"
    assert "the socket is not there" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_registry_that_cannot_be_reached(work: Workspace, engine: DockerClient) -> None:
    from scripts.containers.images import foundation

    nowhere = work.having(images="registry", python_image="127.0.0.1:1/python:3")
    with pytest.raises(EngineError) as refusal:
        foundation(nowhere, "python", engine)
    assert str(refusal.value).startswith("the image 127.0.0.1:1/python:3 cannot be pulled")
    assert "refused" in str(refusal.value.found)


def test_the_engine_is_found_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(EngineError) as refusal, engines.connect():
        pytest.fail("an engine answered where there is none")
    assert refusal.value.found == "the connection was refused"
