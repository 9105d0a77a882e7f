"""Upgrade and rollback under load: what is lost is told, and with two replicas it is nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from scripts.containers.stack import Stack
from scripts.core.command import Runner
from scripts.e2e.k6 import Request, load
from scripts.e2e.subject import Question
from scripts.toolchain.finder import Toolchain
from tests.compose.conftest import MakeStack, running

RATE = 30  # requests a second on new connections, and as many on kept ones
QUESTION = Question("", proof="routeManager.pod", kept_method="POST")


@pytest.fixture(scope="module")
def replicated(make_stack: MakeStack) -> Iterator[Stack]:
    with running(make_stack("rolling", replicas=2), "1") as started:
        yield started


def change(stack: Stack, version: str, toolchain: Toolchain, runner: Runner, results: Path) -> list[Request]:
    """Bring `stack` to `version` under load; every request that was sent meanwhile."""
    with load(toolchain.path("k6"), runner, [stack.url], results, question=QUESTION, rate=RATE) as running_load:
        stack.up(version)
        return list(running_load.requests())


def told(what: str, requests_: list[Request], record_property: Any) -> list[Request]:
    """Tells what was lost, in the summary and in the JUnit report; gives the lost ones."""
    lost = [request for request in requests_ if request.failed]
    reasons = sorted({request.error or f"status {request.status}" for request in lost})
    line = f"{len(requests_)} requests, {len(lost)} lost"
    record_property(what, f"{line} ({'; '.join(reasons)})" if reasons else line)
    return lost


@pytest.mark.parametrize(("what", "version"), [("upgrade", "2"), ("rollback", "1")])
def test_two_replicas_lose_nothing(
    replicated: Any, toolchain: Toolchain, runner: Runner, tmp_path: Path, record_property: Any, what: str, version: str
) -> None:
    before = {container.id for container in replicated.containers("ingress")}
    requests_ = change(replicated, version, toolchain, runner, tmp_path / "requests.jsonl")
    lost = told(f"{what} with two replicas", requests_, record_property)
    (balancer,) = replicated.containers("balancer")
    assert lost == [], balancer.logs(timestamps=True).decode()
    assert {request.version for request in requests_} == {"1", "2"}  # the load saw the change
    assert {request.kind for request in requests_} == {"new", "kept"}
    after = {container.id for container in replicated.containers("ingress")}
    assert len(after) == 2
    assert not before & after
    body = requests.get(replicated.url, timeout=10).json()
    assert (body["version"], body["routeManager"]["version"]) == (version, version)


def test_the_same_version_changes_nothing(replicated: Any) -> None:
    before = [container.id for container in replicated.containers()]
    version = requests.get(replicated.url, timeout=10).json()["version"]
    replicated.up(version)
    assert [container.id for container in replicated.containers()] == before


def test_a_version_that_does_not_exist_leaves_the_running_one(replicated: Any) -> None:
    before = [container.id for container in replicated.containers()]
    with pytest.raises(Exception, match=r"the image gati-\w+/ingress:none is missing"):
        replicated.up("none")
    assert [container.id for container in replicated.containers()] == before
    assert requests.get(replicated.url, timeout=10).status_code == 200


def test_a_single_replica_comes_back(
    make_stack: MakeStack, toolchain: Toolchain, runner: Runner, tmp_path: Path, record_property: Any
) -> None:
    """compose replaces it in place: requests are lost, which is told and the reason for the second replica."""
    with running(make_stack("replaced"), "1") as stack:
        for what, version in (("upgrade", "2"), ("rollback", "1")):
            requests_ = change(stack, version, toolchain, runner, tmp_path / f"{what}.jsonl")
            told(f"{what} with one replica", requests_, record_property)
            assert requests.get(stack.url, timeout=10).json()["version"] == version
