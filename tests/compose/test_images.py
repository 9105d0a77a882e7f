"""The images of the reference services: what is in them, what is not, and how quickly they are built again."""

from __future__ import annotations

import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from docker import DockerClient
from docker.errors import APIError, NotFound

from scripts.containers.images import ABRUPT, SERVICES, VERSIONS, Image, build_services, reference
from scripts.core.config import load_config
from scripts.workspace import Workspace
from tests.services import wait_for

named = partial(reference, load_config(Path(__file__).parents[2]))
REFERENCES = [named(service, version) for service in SERVICES for version in VERSIONS]
HARDENED: dict[str, Any] = {
    "read_only": True,
    "user": "65532:65532",
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "network_mode": "none",
    "remove": True,
}


@pytest.fixture
def attrs(engine: DockerClient, images: dict[str, Image]) -> Any:
    return lambda tag: engine.images.get(tag).attrs


@pytest.mark.parametrize("tag", REFERENCES)
def test_they_are_small_and_labelled_and_not_root(attrs: Any, tag: str) -> None:
    image = attrs(tag)
    assert image["Size"] < 150e6
    assert image["Config"]["User"] == "65532:65532"
    labels = image["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == tag.rpartition(":")[2]
    for name in ("title", "description", "licenses", "vendor", "base.name"):
        assert labels[f"org.opencontainers.image.{name}"]


@pytest.mark.parametrize("tag", REFERENCES[::2])
def test_there_is_no_shell_and_no_package_manager(engine: DockerClient, images: dict[str, Image], tag: str) -> None:
    container = engine.containers.create(tag)
    try:
        for path in ("/bin/sh", "/bin/bash", "/bin/dash", "/usr/bin/apt", "/usr/bin/dpkg", "/usr/bin/pip", "/build"):
            with pytest.raises(NotFound):
                container.get_archive(path)
    finally:
        container.remove()


@pytest.mark.parametrize("service", SERVICES)
def test_sleep_and_healthcheck_need_no_shell_and_no_writable_root(
    engine: DockerClient, images: dict[str, Image], service: str
) -> None:
    """What the chart runs in them: a preStop hook and a test."""
    tag = named(service, "1")
    begin = time.monotonic()
    engine.containers.run(tag, entrypoint=["sleep", "2"], **HARDENED)
    assert time.monotonic() - begin >= 2
    with pytest.raises(Exception, match="exit status 1") as failed:
        engine.containers.run(tag, ["grpc://127.0.0.1:1"], entrypoint=["/app/healthcheck"], stdout=True, **HARDENED)
    assert "grpc://127.0.0.1:1" in str(failed.value)


def test_the_versions_differ_in_nothing_but_their_name(engine: DockerClient, images: dict[str, Image]) -> None:
    for service in SERVICES:
        first, second = (engine.images.get(named(service, version)).attrs for version in VERSIONS)
        assert first["Id"] != second["Id"]
        assert first["RootFS"]["Layers"] == second["RootFS"]["Layers"]


def test_a_rebuild_with_nothing_changed_is_quick_and_the_same(
    work: Workspace, engine: DockerClient, images: dict[str, Image]
) -> None:
    begin = time.monotonic()
    again = build_services(work, engine)
    assert time.monotonic() - begin < 2
    assert {image.reference: image.id for image in again} == {tag: image.id for tag, image in images.items()}


def test_the_builders_authorities_stay_out_of_the_image(engine: DockerClient, images: dict[str, Image]) -> None:
    """The CA bundle of the network that the image was built on is not among what it trusts, nor in its history."""
    for tag in REFERENCES:
        history = " ".join(str(step["CreatedBy"]) for step in engine.images.get(tag).history())
        assert "ca-bundle" not in history
        assert "PIP_" not in history


@pytest.mark.parametrize(
    ("service", "environment", "message"),
    [
        ("ingress", {}, "ingress: configuration refused: ROUTE_MANAGER_ADDR: expected host:port, found nothing"),
        ("route-manager", {}, "route-manager: configuration refused: /etc/gati/routes/routes.yaml: No such file"),
    ],
)
def test_a_bad_configuration_ends_the_container_with_one_line(
    engine: DockerClient, images: dict[str, Image], service: str, environment: Any, message: Any
) -> None:
    container = engine.containers.create(named(service, "1"), environment=environment, read_only=True)
    try:
        container.start()
        assert container.wait(timeout=30)["StatusCode"] == 2
        (line,) = container.logs().decode().splitlines()
        assert line.startswith(message)
    finally:
        container.remove(force=True)


def test_a_shell_cannot_be_started(engine: DockerClient, images: dict[str, Image]) -> None:
    container = engine.containers.create(named("ingress", "1"), entrypoint=["sh", "-c", "true"])
    try:
        with pytest.raises(APIError, match="executable file not found"):
            container.start()
    finally:
        container.remove(force=True)


def test_a_version_that_does_not_drain_ends_at_once_and_is_else_the_same(
    work: Workspace, engine: DockerClient, images: dict[str, Image]
) -> None:
    """So that preStop and readiness of the chart are proven without the service's own shutdown."""
    version = f"1{ABRUPT}"
    build_services(work, engine, versions=(version,))
    for service in SERVICES:
        usual, abrupt = (engine.images.get(named(service, tag)).attrs for tag in ("1", version))
        assert usual["RootFS"]["Layers"] == abrupt["RootFS"]["Layers"]

    def stopped(tag: str) -> tuple[int, float]:
        environment = {"ROUTE_MANAGER_ADDR": "127.0.0.1:1"}
        options = {name: value for name, value in HARDENED.items() if name != "remove"}
        container = engine.containers.run(
            named("ingress", tag), environment=environment, detach=True, init=False, **options
        )
        try:
            wait_for(lambda: b"answers HTTP" in container.logs(), "the port", container.logs, seconds=60)
            begin = time.monotonic()
            container.stop(timeout=20)
            seconds = time.monotonic() - begin
            container.reload()
            return container.attrs["State"]["ExitCode"], seconds
        finally:
            container.remove(force=True)

    assert stopped(version)[0] == 128 + signal.SIGTERM
    status, seconds = stopped("1")
    assert status == 0
    assert seconds > 5  # DRAIN_SECONDS
