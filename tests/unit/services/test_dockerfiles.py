"""The Dockerfiles of the reference services, as hadolint judges them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILES = sorted((ROOT / "compose").glob("*/Dockerfile"))


def test_both_are_found() -> None:
    assert [path.parent.name for path in DOCKERFILES] == ["ingress", "route-manager"]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_hadolint_has_nothing_to_say(dockerfile: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    said = subprocess.run((hadolint, "--no-color", dockerfile), capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, ""), said
