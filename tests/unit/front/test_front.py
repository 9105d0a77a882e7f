"""What is set as soon as anything of the front is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_AS_INVOKE = "import sys; sys.dont_write_bytecode = True; import scripts.front; print(sys.dont_write_bytecode)"


@pytest.mark.parametrize(("asked", "kept"), [("", False), ("1", True)])
def test_what_is_compiled_is_kept_unless_the_user_forbids_it(root: Path, asked: str, kept: bool) -> None:
    """Invoke forbids it at every start, and compiling all of our modules takes longer than a release."""
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": asked}
    shown = subprocess.run([sys.executable, "-c", _AS_INVOKE], cwd=root, env=environ, capture_output=True, check=True)
    assert shown.stdout.decode().strip() == str(kept)


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("task", ["rollout", "lint"])
def test_each_task_explains_itself(root: Path, task: str, flag: str) -> None:
    """By Invoke's own reading the flag would be the word that a task such as rollout wants."""
    argv = [sys.executable, "-m", "invoke", task, flag]
    shown = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stdout.partition("\n")[0]) == (
        0,
        f"Usage: inv[oke] [--core-opts] {task} [--options] [other tasks here ...]",
    )
