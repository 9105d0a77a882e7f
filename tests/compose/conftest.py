"""The engine, the images and stacks of containers; what a test starts is gone when it ends."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.containers import engine as engines
from scripts.containers.images import Image, build_services
from scripts.containers.stack import Stack
from scripts.core.interrupt import cleaning
from scripts.core.owner import mark
from scripts.workspace import Workspace
from tests.registry.servers import free_port

if TYPE_CHECKING:
    from docker import DockerClient

MakeStack = Callable[..., Stack]


@contextlib.contextmanager
def running(stack: Stack, version: str) -> Iterator[Stack]:
    """The stack at `version` for the block; taken down at its end, whatever happened."""
    try:
        stack.up(version)
        yield stack
    finally:
        with cleaning(f"taking down the stack {stack.project}"):
            stack.down()


def tell(text: str) -> None:
    """Progress, seen with `pytest -s` and in the report of a failed test."""
    print(text, file=sys.stderr, flush=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here:
            item.add_marker(pytest.mark.compose)
            item.add_marker(pytest.mark.timeout(300))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests have counted."""
    reports = [report for state in ("passed", "failed") for report in terminalreporter.stats.get(state, ())]
    counted = [property_ for report in reports if report.when == "call" for property_ in report.user_properties]
    if counted:
        terminalreporter.section("under load")
        for what, line in counted:
            terminalreporter.write_line(f"{what}: {line}")


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    with engines.connect() as client:
        yield client


@pytest.fixture(scope="session")
def images(work: Workspace, engine: DockerClient) -> dict[str, Image]:
    """The four images by tag, built once."""
    return {image.reference: image for image in build_services(work, engine)}


@pytest.fixture(scope="session")
def make_stack(work: Workspace, engine: DockerClient, images: dict[str, Image]) -> MakeStack:
    """`make_stack("name", replicas=2, ...)`: a stack that nobody else has, on free ports; not started."""

    def make(name: str, **options: object) -> Stack:
        ports = {f"{port}_port": free_port() for port in ("http", "grpc", "prometheus")}
        own = work.having(**ports)
        project = f"gati-test-{mark()}-{name}"
        return Stack(own, engine, project=project, **options)  # type: ignore[arg-type]

    return make
