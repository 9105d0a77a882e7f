"""Root file systems: the exact mmdebstrap command, and a cache that knows when it is stale."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from scripts.containers.debian import FILES, build_rootfs, rootfs_argv, rootfs_key
from scripts.core.command import Result
from scripts.core.config import Config
from scripts.core.errors import ToolError
from scripts.workspace import Workspace


class Debootstrap:
    """Stands in for the runner: writes the tar that mmdebstrap would."""

    def __init__(self) -> None:
        self.argvs: list[tuple[str, ...]] = []

    def run(self, argv: tuple[str, ...], **_: Any) -> Result:
        self.argvs.append(argv)
        Path(argv[-1]).write_text("tar")
        return Result(argv, 0, "", "", 1.0)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


def build(cache: Path, runner: Debootstrap, *include: str, **options: Any) -> Path:
    return build_rootfs(include, Workspace(Config(Path(), cache_dir=cache), runner, None), **options)  # type: ignore[arg-type]


def test_the_command_names_the_packages_once_and_in_order() -> None:
    argv = rootfs_argv(["jq", "bash", "jq"], "out.tar")

    assert argv[0] == "mmdebstrap"
    assert "--variant=minbase" in argv
    assert "--include=bash,jq" in argv
    assert argv[-2:] == ("bookworm", "out.tar")


def test_the_key_depends_on_packages_and_variant_only() -> None:
    key = rootfs_key(["a", "b"])

    assert rootfs_key(["b", "a", "b"]) == key
    assert rootfs_key(["a"]) != key
    assert rootfs_key(["a", "b"], variant=FILES) != key


def test_it_is_built_once(tmp_path: Path) -> None:
    runner = Debootstrap()

    first = build(tmp_path, runner, "bash")
    second = build(tmp_path, runner, "bash")
    other = build(tmp_path, runner, "bash", variant=FILES)

    assert first == second != other
    assert first.read_text() == "tar"
    assert len(runner.argvs) == 2


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    class Broken(Debootstrap):
        def run(self, argv: tuple[str, ...], **_: Any) -> Result:
            super().run(argv)
            raise ToolError("no mirror")

    with pytest.raises(ToolError, match="no mirror"):
        build(tmp_path, Broken(), "bash")

    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]


@pytest.mark.parametrize("damage", ["cut", "another"])
def test_one_that_is_not_as_it_was_made_is_made_anew(tmp_path: Path, damage: str) -> None:
    runner = Debootstrap()
    build(tmp_path, runner, "bash").write_text("ta" if damage == "cut" else "tor")
    assert build(tmp_path, runner, "bash").read_text() == "tar"
    assert len(runner.argvs) == 2


def test_without_mmdebstrap_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)

    with pytest.raises(ToolError, match="apt-get install mmdebstrap"):
        build(tmp_path, Debootstrap(), "bash")
