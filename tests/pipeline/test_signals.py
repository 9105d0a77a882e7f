"""Ctrl-C and SIGTERM at any moment: what ran is ended, nothing is left or half-written, and the next run works."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.pipeline.conftest import Cli, snapshot

TASKS = ("lint", "template", "kubeconform-check", "package", "publish", "verify", "release")
MARK = "GATI_TEST_MARK"


def descendants(mark: str) -> list[str]:
    """The command lines of processes that have `mark` in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


def catches(process: subprocess.Popen[str], number: int) -> bool:
    """True once the process has a handler for the signal: from then on it is ours."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return False
    mask = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), "0")
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at processes by /proc")
@pytest.mark.parametrize("task", TASKS)
def test_at_any_moment(cli: Cli, task: str) -> None:
    if task in ("publish", "verify"):
        cli.on_chart("package").fine()
    if task == "verify":
        cli.on_chart("publish").fine()
    begin = time.monotonic()
    whole = snapshot(cli.dist)
    seed = int(os.environ.get("GATI_TEST_SEED") or random.randrange(10**6))
    dice, mark = random.Random(seed), f"{MARK}={task}-{os.getpid()}-{seed}"
    name, _, value = mark.partition("=")
    longest = 1.0  # seconds after the task has begun; a whole run takes about that long
    for number in dice.sample((signal.SIGINT, signal.SIGINT, signal.SIGTERM), 3):
        process = cli.start(task, "--chart", cli.chart, **{name: value})
        while process.poll() is None and not catches(process, signal.SIGTERM):
            assert time.monotonic() - begin < 60
            time.sleep(0.005)
        time.sleep(dice.uniform(0, longest))  # the moment: any
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
        context = f"seed {seed}: {stdout}{stderr}"
        # Where the signal came too late, the task has said its result and was on its way out.
        assert process.returncode == 128 + number or stdout, context
        assert "Traceback" not in stderr or stdout, context
        if process.returncode == 128 + number:
            assert "stopped; what ran was ended" in stderr, context
        assert descendants(mark) == [], context
        assert list(cli.tmp.iterdir()) == [], context
        left = snapshot(cli.dist)
        assert not [file for file in left if Path(file).name.startswith(".")], context
        for file, content in left.items():
            if file.endswith(".json"):
                json.loads(content)
            assert content, context
        assert {file: left[file] for file in whole} == whole, context
    cli.on_chart(task).fine()


def test_an_impatient_second_one_changes_nothing(cli: Cli) -> None:
    process = cli.start("registry", "--port", "0")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("oci://127.0.0.1:")
    for _ in range(2):
        process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert json.loads((cli.registry / "manifests.json").read_text())["manifests"] == []
