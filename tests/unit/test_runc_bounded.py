"""The runtime wrapper of .ci takes one capability out of what runc reads, and nothing else."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "runc-bounded"
SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")


@pytest.fixture
def wrapper() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("runc_bounded", str(SCRIPT))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def executed(wrapper: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    calls: list[list[str]] = []
    monkeypatch.setattr(wrapper.os, "execv", lambda path, argv: calls.append([path, *argv]))
    return calls


def capabilities(*names: str) -> dict[str, list[str]]:
    return {kind: list(names) for kind in SETS}


def write(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("command", ["create", "run"])
@pytest.mark.parametrize("flag", [("--bundle", "{}"), ("-b", "{}"), ("--bundle={}",)])
def test_a_new_container_loses_the_capability_in_every_set(
    wrapper: ModuleType, executed: list[list[str]], tmp_path: Path, command: str, flag: tuple[str, ...]
) -> None:
    spec = {"ociVersion": "1.0.2", "process": {"args": ["sh"], "capabilities": capabilities("CAP_SYS_ADMIN")}}
    granted = json.loads(json.dumps(spec))
    granted["process"]["capabilities"] = capabilities("CAP_SYS_RESOURCE", "CAP_SYS_ADMIN")
    config = write(tmp_path / "config.json", granted)

    arguments = ["--root", "/run/runc", command, *(part.format(tmp_path) for part in flag), "id"]
    wrapper.main(arguments)

    assert json.loads(config.read_text()) == spec
    assert config.stat().st_mode & 0o777 == 0o600
    assert executed == [[wrapper.RUNC, wrapper.RUNC, *arguments]]
    assert list(tmp_path.iterdir()) == [config]


@pytest.mark.parametrize("flag", [("--process", "{}"), ("-p", "{}"), ("--process={}",)])
def test_a_process_in_a_container_loses_it_too(
    wrapper: ModuleType, executed: list[list[str]], tmp_path: Path, flag: tuple[str, ...]
) -> None:
    process = write(
        tmp_path / "process", {"args": ["sh"], "capabilities": capabilities("CAP_KILL", "CAP_SYS_RESOURCE")}
    )

    wrapper.main(["--log-format", "json", "exec", *(part.format(process) for part in flag), "--detach", "id"])

    assert json.loads(process.read_text()) == {"args": ["sh"], "capabilities": capabilities("CAP_KILL")}
    assert len(executed) == 1


@pytest.mark.parametrize("sets", [{}, None, {"bounding": None}, capabilities("CAP_KILL")])
def test_what_does_not_ask_for_it_is_not_rewritten(
    wrapper: ModuleType, executed: list[list[str]], tmp_path: Path, sets: Any
) -> None:
    config = write(tmp_path / "config.json", {"process": {"capabilities": sets}})
    before = config.stat()

    wrapper.main(["create", "--bundle", str(tmp_path), "id"])

    assert (config.stat().st_ino, config.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(executed) == 1


@pytest.mark.parametrize("arguments", [["state", "id"], ["kill", "id", "9"], ["exec", "id", "sh"], ["--version"], []])
def test_every_other_command_goes_through_as_it_is(
    wrapper: ModuleType, executed: list[list[str]], arguments: list[str]
) -> None:
    wrapper.main(arguments)

    assert executed == [[wrapper.RUNC, wrapper.RUNC, *arguments]]
