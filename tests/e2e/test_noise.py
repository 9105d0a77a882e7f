"""Noise of the machine is told from a fault of the chart: it is void and measured again, never red and never green."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from scripts.cluster.kind import KindCluster
from scripts.core.command import Runner
from scripts.e2e.report import FAILED, PASSED, Outcome
from scripts.e2e.run import go, to_begin
from scripts.e2e.sabotage import NO_PRESTOP, NO_READINESS, Fault
from scripts.workspace import Workspace
from tests.e2e.conftest import Smoke
from tests.e2e.faults import CASES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

STALE_PORT = next(case.fault for case in CASES if case.fault.name == "stale-port")
Noise = Callable[[Runner, str], None]


def paused(runner: Runner, node: str) -> None:
    """A node stands still for three seconds."""
    runner.run(("docker", "pause", node))
    time.sleep(3)  # that is the noise
    runner.run(("docker", "unpause", node))


def dropped(runner: Runner, node: str) -> None:
    """What is sent to a node is lost, for four seconds."""
    rule = ("-t", "mangle", "{}", "PREROUTING", "-i", "eth0", "-p", "tcp", "-j", "DROP")
    begin, end = ([word.format(flag) for word in rule] for flag in ("-I", "-D"))
    runner.run(("docker", "exec", node, "iptables", *begin))
    time.sleep(4)  # that is the noise
    runner.run(("docker", "exec", node, "iptables", *end))


def stressed(_: Runner, __: str) -> None:
    """Four programs want the processor, for twenty seconds."""
    busy = [subprocess.Popen((sys.executable, "-c", "while True: pass")) for _ in range(4)]
    time.sleep(20)  # that is the noise
    for process in busy:
        process.kill()
        process.wait()


NOISES: tuple[Noise, ...] = (paused, dropped, stressed)


@contextlib.contextmanager
def noisy(smoke: Smoke, runner: Runner, node: str, noise: Noise, run: str) -> Iterator[None]:
    """Make the noise once, in the middle of the first load of the run."""
    closing = threading.Event()

    def begun() -> bool:
        files = smoke.lab.folder.rglob("*.requests.jsonl")
        return any(file.stat().st_size > 90_000 for file in files if file.stat().st_mtime > begin)

    def follow() -> None:
        while not closing.wait(0.2):
            if begun():
                noise(runner, node)
                return

    begin = time.time()
    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        closing.set()
        thread.join()


@pytest.fixture
def outcome(smoke: Smoke, made: KindCluster, runner: Runner, work: Workspace) -> Callable[..., Outcome]:
    def run(scenario: str, noise: Noise, fault: Fault | None = None) -> Outcome:
        label = f"{noise.__name__[:4]}{fault.name if fault else ''}"
        lab = replace(smoke.lab, run=label, chosen=("default", "dev"), folder=smoke.lab.folder / label, _namespaces=[])
        if fault is not None:
            lab = replace(lab, candidate=smoke.faulty(fault))
        node = next(node.name for node in made.nodes if node.worker)
        outcomes = to_begin([scenario])
        with noisy(replace(smoke, lab=lab), runner, node, noise, label):
            go(lab, outcomes, [scenario], work)
        lab.forget_all()
        return outcomes[scenario]

    return run


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.__name__)
def test_noise_proves_nothing_and_is_measured_again(outcome: Callable[..., Outcome], noise: Noise) -> None:
    found = outcome("environments", noise)
    assert found.state == PASSED, found.error
    if noise is not stressed:  # which may leave the control enough
        assert len(found.void) >= 1


@pytest.mark.parametrize(
    ("noise", "scenario", "fault"),
    [
        (paused, "changes", NO_READINESS),
        (dropped, "changes", NO_PRESTOP),
        (stressed, "upgrade", STALE_PORT),
    ],
    ids=["no probe", "no preStop", "a port changed"],
)
def test_a_fault_is_found_beside_noise(
    outcome: Callable[..., Outcome], noise: Noise, scenario: str, fault: Fault
) -> None:
    assert outcome(scenario, noise, fault).state == FAILED
