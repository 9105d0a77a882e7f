"""The Dockerfiles of the reference services, as hadolint judges them."""

from __future__ import annotations

import importlib.util
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


def test_what_the_base_cannot_load_stays_out_of_the_image() -> None:
    """python:slim has the module of tkinter without the libraries that it links."""
    spec = importlib.util.spec_from_file_location("rootfs", ROOT / "compose/common/rootfs.py")
    assert spec is not None
    rootfs = importlib.util.module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(rootfs)
    modules = ["_tkinter.cpython-313-x86_64-linux-gnu.so", "_ssl.cpython-313-x86_64-linux-gnu.so"]
    assert rootfs._LEFT_OUT("lib-dynload", modules) == set(modules[:1])
