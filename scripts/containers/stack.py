"""Runs the compose stack: brings it up, replaces its replicas without losing a request, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.containers.engine import find_image
from scripts.containers.images import SERVICES, expected_foundation, foundation, reference
from scripts.core.command import Result
from scripts.core.errors import CommandFailed, ConfigError, EngineError
from scripts.core.interrupt import cleaning
from scripts.core.waiting import until
from scripts.workspace import Workspace

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

_PROJECT_LABEL, _SERVICE_LABEL = "com.docker.compose.project", "com.docker.compose.service"
_HEALTHY_SECONDS = 90  # until every container of a change is healthy
_STOP_SECONDS = 20  # longer than DRAIN_SECONDS and SHUTDOWN_SECONDS of the services together
_BALANCER_SECONDS = 15.0  # until the balancer uses a new replica; it asks twice a second
_STATUS_PORT = "8404/tcp"
_ROLL_ORDER = ("route-manager", "ingress")  # so that no ingress is newer than what it asks
MOST_REPLICAS = 7  # haproxy.cfg has room for one more, which a rolling change starts beside them


@dataclass(frozen=True)
class Stack:
    """One compose project; without a name it is the checkout's own.

    With one replica the services publish their ports themselves; with more, a balancer does. `routes` is
    the folder of the routes file, by default the project's own.
    """

    work: Workspace
    engine: DockerClient
    project: str = ""
    replicas: int = 1
    monitoring: bool = False
    routes: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "project", self.project or self.work.config.own_images)

    @property
    def url(self) -> str:
        """Where ingress answers on this machine."""
        return f"http://127.0.0.1:{self.work.config.http_port}"

    def up(self, version: str) -> None:
        """Bring the stack to `version` and wait until it is healthy.

        A stack that runs is changed one container after the other, and stays as it is where that fails; of one that
        could not be started, or was stopped at it, nothing is left.
        Raises EngineError: a port is taken, an image is missing, a container did not get healthy.
        """
        self._require_images(version)
        self._require_ports()
        fresh = not self.containers()
        try:
            self._change(version)
            self._up(version, "--remove-orphans")
            if self.replicas > 1:
                self._until_balanced("ingress", self.replicas)
        except BaseException:
            if fresh:
                self.work.say("taking down what was started")
                with cleaning(f"taking down the stack {self.project}"):
                    self.down()
            raise

    def preview(self, version: str, *, build: bool = True) -> tuple[str, ...]:
        """What `up` would start, a line each. Raises EngineError for a port that is taken, or a missing image."""
        if not build:
            self._require_images(version)
        self._require_ports()
        images = self._foundations(lambda name: expected_foundation(self.work.config, name, self.engine))
        answer = self._compose(version, *self._profile(), "config", "--format", "json", images=images)
        services = json.loads(answer.stdout)["services"]
        return tuple(
            f"{name}: {service['deploy'].get('replicas', 1)} of {service['image']}"
            + "".join(f", port {port['published']}" for port in service.get("ports", ()) if port.get("published"))
            for name, service in sorted(services.items())
        )

    def roll(self, version: str) -> None:
        """Replace, behind the balancer, each container of another version. Raises EngineError; the others serve on."""
        self._require_images(version)
        for service in _ROLL_ORDER:
            count = len(self.containers(service))
            for stale in self._stale(service, version):
                self._replace(service, version, stale, count)

    def down(self) -> None:
        """Stop and remove all that belongs to the project. Raises EngineError when something is left."""
        if not self._there():
            return  # for which compose need not be built
        self._compose("1", "--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", str(_STOP_SECONDS))
        if left := self._there():
            raise EngineError(f"project {self.project} was taken down but left something behind", found=", ".join(left))

    def _there(self) -> list[str]:
        label: dict[str, str | list[str] | bool] = {"label": f"{_PROJECT_LABEL}={self.project}"}
        return [
            *(f"container {one.name}" for one in self.containers()),
            *(f"network {one.name}" for one in self.engine.networks.list(filters=label)),
            *(f"volume {one.name}" for one in self.engine.volumes.list(filters=label)),
        ]

    def containers(self, service: str | None = None) -> list[Container]:
        """The project's containers, or those of one service, oldest first; stopped ones too."""
        labels = [f"{_PROJECT_LABEL}={self.project}"]
        if service:
            labels.append(f"{_SERVICE_LABEL}={service}")
        found = self.engine.containers.list(all=True, filters={"label": labels}, ignore_removed=True)
        return sorted(found, key=lambda container: str(container.attrs["Created"]))

    def _change(self, version: str) -> None:
        """Bring what runs to `version`, one after the other; a single container is away while the new one starts."""
        balanced = bool(self.containers("balancer"))
        if self.replicas > 1 and balanced and len(self.containers("ingress")) > 1:
            self.roll(version)
        elif self.replicas == 1 and not balanced:
            for service in _ROLL_ORDER:
                if self._stale(service, version):
                    self._up(version, "--no-deps", service)

    def _stale(self, service: str, version: str) -> list[Container]:
        """The containers of `service` that were made from another image than the one of `version`."""
        wanted = str(self.engine.images.get(reference(self.work.config, service, version)).id)
        return [container for container in self.containers(service) if container.attrs["Image"] != wanted]

    def _replace(self, service: str, version: str, stale: Container, count: int) -> None:
        self.work.say(f"{service}: starting version {version} beside {stale.name}")
        self._up(version, "--no-deps", "--no-recreate", "--scale", f"{service}={count + 1}", service)
        self._until_balanced(service, count + 1)
        self.work.say(f"{service}: stopping {stale.name}")
        stale.stop(timeout=_STOP_SECONDS)
        stale.remove()

    def _up(self, version: str, *words: str) -> None:
        options = ("--detach", "--no-build", "--pull", "never", "--wait", "--wait-timeout", str(_HEALTHY_SECONDS))
        images = self._foundations(lambda name: foundation(self.work, name, self.engine))
        try:
            self._compose(version, *self._profile(), "up", *options, *words, images=images)
        except CommandFailed as error:
            raise self._explained(error) from None

    def _profile(self) -> tuple[str, ...]:
        return ("--profile", "monitoring") if self.monitoring else ()

    def _compose(self, version: str, *words: str, images: Mapping[str, str] | None = None) -> Result:
        folder = self.work.config.root / "compose"
        argv: list[str | Path] = [self.work.tools.path("compose"), "--project-name", self.project]
        argv += ["--progress", "plain", "--file", folder / "docker-compose.yml"]
        argv += ["--file", folder / "docker-compose.replicas.yml"] if self.replicas > 1 else []
        environment = {
            "GATI_VERSION": version,
            "GATI_IMAGE_PREFIX": self.work.config.own_images,
            "GATI_REPLICAS": str(self.replicas),
            "GATI_HTTP_PORT": str(self.work.config.http_port),
            "GATI_GRPC_PORT": str(self.work.config.grpc_port),
            "GATI_PROMETHEUS_PORT": str(self.work.config.prometheus_port),
            "GATI_ROUTES": os.fspath(self.routes) if self.routes else None,
            **(images or {}),
        }
        return self.work.runner.run((*argv, *words), env=environment, deadline=_HEALTHY_SECONDS + 60)

    def _foundations(self, find: Callable[[str], str]) -> dict[str, str]:
        """The images of others that this stack runs, as `find` names them; none is asked for that it does not run."""
        wanted = {"haproxy": self.replicas > 1, "prometheus": self.monitoring}
        return {f"GATI_{name.upper()}_IMAGE": find(name) for name, used in wanted.items() if used}

    def _require_images(self, version: str) -> None:
        for service in SERVICES:
            wanted = reference(self.work.config, service, version)
            if find_image(self.engine, wanted) is None:
                raise EngineError(f"the image {wanted} is missing", run=f"invoke images --version {version}")

    def _require_ports(self) -> None:
        """Ports are looked at before anything is started, so that the message can say who has them."""
        wanted = {"HTTP": self.work.config.http_port, "gRPC": self.work.config.grpc_port}
        if self.monitoring:
            wanted["Prometheus"] = self.work.config.prometheus_port
        if len(set(wanted.values())) < len(wanted):
            raise ConfigError(
                "the stack needs ports that differ", found=", ".join(f"{name} {port}" for name, port in wanted.items())
            )
        for name, port in wanted.items():
            holder = self._holder(port)
            if holder:
                variable = f"GATI_{name.upper()}_PORT"
                raise EngineError(
                    f"port {port}, which the stack needs for {name}, is already taken",
                    found=holder,
                    run=f"stop that, or choose another port: {variable}={port + 1} invoke up",
                    doctor=f"port {port}",
                )

    def _holder(self, port: int) -> str | None:
        """Who has `port`: a container of another project, another program, or None: nobody or this project."""
        for container in self.engine.containers.list(ignore_removed=True):
            bindings = (binding for found in container.ports.values() for binding in found or ())
            if any(binding["HostPort"] == str(port) for binding in bindings):
                ours = container.labels.get(_PROJECT_LABEL) == self.project
                return None if ours else f"container {container.name}"
        return (why := taken(port)) and f"another program ({why})"

    def _until_balanced(self, service: str, count: int) -> None:
        """Wait until the balancer uses `count` servers of `service`: healthy is not yet found by name."""
        import requests

        (balancer,) = self.containers("balancer")
        port = balancer.attrs["NetworkSettings"]["Ports"][_STATUS_PORT][0]["HostPort"]
        seen = "no answer"

        def used() -> bool:
            nonlocal seen
            with contextlib.suppress(requests.RequestException):
                seen = requests.get(f"http://127.0.0.1:{port}/", timeout=2, proxies={"http": ""}).text.strip()
            return f"{service} {count}" in seen.splitlines()

        until(
            used,
            what=f"the balancer to use {count} servers of {service}",
            deadline=_BALANCER_SECONDS,
            state=lambda: seen,
            error=EngineError,
        )

    def _explained(self, error: CommandFailed) -> EngineError:
        """Why the stack did not get healthy, in the words of the containers that did not."""
        said = [f"{container.name}: {cause}" for container in self.containers() if (cause := _ailment(container))]
        complaint = [line.strip() for line in error.stderr.splitlines() if line.strip()]
        return EngineError(
            f"the stack {self.project} did not get healthy",
            found="\n".join(said or complaint[-3:]),
            run="correct the cause, then run invoke up again",
        )


def taken(port: int) -> str | None:
    """Why nothing can listen on a port of this machine; None where something can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror or str(error)
    return None


def _ailment(container: Container) -> str | None:
    """What a container that does not stay up said last, or the health check of one that does; None when all is well
    or when it was never started, for want of another."""
    state = container.attrs["State"]
    health = state.get("Health", {})
    if state["Status"] == "created" or (state["Status"] == "running" and health.get("Status", "healthy") == "healthy"):
        return None
    if state["Status"] == "running" and not container.attrs["RestartCount"] and health.get("Log"):
        said = str(health["Log"][-1]["Output"])
    else:
        said = container.logs(tail=20).decode("utf-8", "replace")
    return (said.strip().splitlines() or [f"no output, state {state['Status']}"])[-1]
