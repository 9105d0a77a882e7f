"""The example that ends each task's help is run, on this project's chart, with results of its own."""

from __future__ import annotations

import json
import re
import shlex
import signal

import pytest

from scripts.core.errors import FINDING, OUTSIDE, TOOL
from tests.pipeline.conftest import Cli

# How an example may end as well: for want of an engine, or with what the doctor finds on this machine.
MAY_BE = {
    "doctor": (FINDING, OUTSIDE, TOOL),
    **dict.fromkeys(("images", "node-image", "down"), (OUTSIDE, TOOL)),
}
TASKS = (
    *(
        "autoscale",
        "diff",
        "doctor",
        "down",
        "e2e",
        "images",
        "judge",
        "kubeconform-check",
        "lint",
        "node-image",
        "overview",
    ),
    *("release", "report", "rollout", "template", "tools", "version-bump"),
)


def example(cli: Cli, task: str) -> list[str]:
    found = re.search(r"^  Example: invoke (.+)$", cli("--help", task, COLUMNS="200").fine(), re.MULTILINE)
    assert found, task
    return shlex.split(found[1])


def test_every_task_has_its_example_here(cli: Cli) -> None:
    names = {task["name"] for task in json.loads(cli("--list", "--list-format=json").fine())["tasks"]}
    assert names == {*TASKS, "package", "publish", "verify", "registry", "new-chart", "up"}  # `up` in tests/compose


@pytest.mark.parametrize("task", TASKS)
def test_an_example_runs(cli: Cli, task: str) -> None:
    told = cli(*example(cli, task))
    assert "Traceback" not in told.stderr
    nothing_yet = task == "version-bump" and "nothing stands under Unreleased" in told.stderr  # right after a release
    assert told.status == 0 or told.status in MAY_BE.get(task, ()) or nothing_yet, told


def test_the_examples_that_stand_on_each_other(cli: Cli) -> None:
    for task in ("package", "publish", "verify"):
        cli(*example(cli, task)).fine()


def test_the_example_that_goes_on_until_it_is_stopped(cli: Cli) -> None:
    with cli.start(*example(cli, "registry")) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("oci://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
