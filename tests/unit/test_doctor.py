"""Each line of the doctor says what is true of the machine, and how to mend what is not."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from scripts.containers import leftovers
from scripts.core.errors import FindingsError, RegistryError, ToolError
from scripts.core.interrupt import interruptible
from scripts.core.owner import owned
from scripts.doctor import Line, demand_sound, examine, mend
from scripts.workspace import Workspace


@pytest.fixture
def bare(work: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A chart in a git repository of somebody without a name, on a machine without an engine."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    given = {"COUNT": "1", "KEY_0": "user.useConfigOnly", "VALUE_0": "true"}  # or git makes one up from the host's name
    for name, value in given.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: 1.0.0\n")
    subprocess.run(("git", "init", "--quiet", tmp_path), check=True)
    return work.having(chart=tmp_path / "demo", registry="", cache_dir=work.config.cache_dir)


def lines(work: Workspace) -> dict[str, Line]:
    return {line.about: line for line in examine(work)}


def test_what_is_missing_is_a_problem_with_its_fix(bare: Workspace) -> None:
    found = lines(bare)
    assert found["engine"].level == "problem"
    assert ".ci/engine" in str(found["engine"].fix)
    assert (found["git"].level, "user.name" in str(found["git"].fix)) == ("problem", True)
    assert found["registry"].level == "note"
    with pytest.raises(FindingsError, match="cannot run everything") as refusal:
        demand_sound(tuple(found.values()))
    assert (refusal.value.found, refusal.value.run) == ("engine, git", found["engine"].fix)


def test_a_chart_that_is_not_there_is_told_as_that(bare: Workspace) -> None:
    assert lines(bare)["chart"].found.startswith("demo 1.0.0 in ")
    found = lines(bare.having(chart=Path("/nowhere")))
    assert [about for about, line in found.items() if line.level == "problem"] == ["engine", "chart"]
    assert "no chart at /nowhere" in found["chart"].found


def test_who_commits_is_asked_of_git(bare: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may be told by the environment, as in CI, and not by the settings."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Me")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "me@example.com")
    assert lines(bare)["git"] == Line("git", "ok", "Me <me@example.com>")


def test_a_machine_that_answers_otherwise_is_a_line(bare: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.doctor.re.findall", lambda *_: [])
    assert lines(bare)["memory"].level == "problem"


def test_the_registry_is_asked_and_not_guessed(bare: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.registry.transport._PAUSE", 0.02)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{closed.getsockname()[1]}"
        found = lines(bare.having(registry=f"oci://{host}/charts"))["registry"]
    assert found.level == "problem"
    assert host in found.found


@pytest.mark.parametrize(
    ("about", "variable", "value", "words"),
    [
        ("disk: cache", "GATI_CACHE_DIR", "/proc/nowhere", "cannot be written: No such file"),
        ("disk: cache", "GATI_CACHE_DIR", __file__, "cannot be written: Not a directory"),
        ("disk: temporary", "TMPDIR", "/nowhere", "cannot be written: No such file"),
        ("signing key", "GATI_SIGNING_KEY", "/nowhere", "there is no key at /nowhere"),
        ("proxy", "HTTPS_PROXY", "ftp://proxy.example", "HTTPS_PROXY holds no proxy"),
    ],
)
def test_what_is_wrong_is_named_with_its_cause(
    bare: Workspace, monkeypatch: pytest.MonkeyPatch, about: str, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    key, given = variable.removeprefix("GATI_").lower(), Path(value) if "DIR" in variable else value
    found = lines(bare.having(**{key: given}) if variable.startswith("GATI_") else bare)[about]
    assert (found.level, words in found.found, found.fix is None) == ("problem", True, False)


@pytest.mark.parametrize(("filled", "level"), [(False, "problem"), (True, "note")])
def test_a_cache_that_is_only_read_from_is_enough(
    bare: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, filled: bool, level: str
) -> None:
    cache = tmp_path / "cache"
    (cache / "tools" if filled else cache).mkdir(parents=True)

    def sealed(*, dir: Path) -> NoReturn:  # noqa: A002
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), dir)

    monkeypatch.setattr("scripts.doctor.tempfile.TemporaryFile", sealed)
    found = lines(bare.having(cache_dir=cache))["disk: cache"]
    assert (found.level, "cannot be written: Read-only" in found.found) == (level, True)


def test_a_system_that_tells_of_no_such_disk_is_sound(bare: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has no name for what keeps programs from being run."""
    monkeypatch.delattr(os, "ST_NOEXEC")
    assert lines(bare)["disk: cache"].level == "ok"


def test_ctrl_c_ends_the_wait_for_an_engine_that_never_answers(
    bare: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{mute.getsockname()[1]}")
        monkeypatch.setattr("scripts.containers.engine._FIRST", 300)
        asked: list[socket.socket] = []
        ended = threading.Event()

        def stop() -> None:
            asked.append(mute.accept()[0])
            asked[0].recv(1)  # from here on an answer is waited for
            os.kill(os.getpid(), signal.SIGINT)
            # One that comes just before the system is asked to wait ends no wait: a person presses once more.
            if not ended.wait(20):
                os.kill(os.getpid(), signal.SIGINT)

        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt), interruptible():
            threading.Thread(target=stop).start()
            examine(bare)
        ended.set()
        asked[0].close()
        assert time.monotonic() - begin < 100


def test_what_git_cannot_do_is_told(bare: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not {"git version", "git locks"} & lines(bare).keys()
    (tmp_path / ".git" / "index.lock").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo git version 2.30.2 || exec {shutil.which("git")} "$@"\n'
    )
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    found = lines(bare)
    assert found["git version"] == Line("git version", "problem", "git version 2.30.2", "install git 2.31 or newer")
    assert found["git locks"].fix == f"rm {tmp_path}/.git/index.lock"


def test_a_port_that_is_taken_is_told(bare: Workspace) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = lines(bare.having(http_port=port))[f"port {port}"]
    assert (found.level, "GATI_HTTP_PORT" in str(found.fix)) == ("note", True)


def test_a_proxys_password_is_not_shown(bare: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "proxy" not in lines(bare)
    for scheme in ("http://", ""):
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}me:sec:r@t@proxy.example:3128")
        assert lines(bare)["proxy"].found == f"HTTPS_PROXY={scheme}***@proxy.example:3128"


def test_a_password_in_what_failed_is_not_shown(bare: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: object) -> NoReturn:
        raise RegistryError("refused", found="login a%22b")

    bare.runner.hide('a"b')
    monkeypatch.setattr("scripts.doctor.registry_for", refused)
    assert lines(bare.having(registry="oci://h/x"))["registry"].found == "refused (login ***)"


def test_tools_that_are_not_built_are_named(bare: Workspace, tmp_path: Path) -> None:
    from scripts.toolchain.finder import Toolchain

    empty = replace(bare, tools=Toolchain(tmp_path / "cache", bare.runner))
    found = lines(empty)["tools"]
    assert (found.level, "helm" in found.found) == ("note", True)


@pytest.mark.usefixtures("only_tidier")
def test_what_killed_runs_left_is_named_and_removed(bare: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(("true",)) as gone:
        gone.wait()
    folder = Path(tempfile.mkdtemp(prefix=f"{owned('doctor')}"))
    left = folder.with_name(re.sub(r"-\d+-\d+", f"-{gone.pid}-1", folder.name, count=1))
    folder.rename(left)
    try:
        found = lines(bare)["leftovers"]
        assert (found.level, "invoke down --all" in str(found.fix)) == ("note", True)
        assert str(left) in str(leftovers.find(bare))
        mend(bare, (found,))
        assert not left.exists()
    finally:
        shutil.rmtree(left, ignore_errors=True)


def test_a_fix_that_fails_is_said_and_keeps_no_other_from_being_done(
    bare: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise ToolError("vegeta cannot be built")

    done: list[Workspace] = []
    said: list[str] = []
    monkeypatch.setattr("scripts.toolchain.finder.Toolchain.paths", fail)
    monkeypatch.setattr(leftovers, "remove", done.append)
    mend(replace(bare, say=said.append), (Line("tools", "note", ""), Line("leftovers", "note", "")))
    assert ["vegeta cannot be built" in text for text in said] == [True]
    assert done


@pytest.mark.parametrize(("program", "level"), [("true", "problem"), ("false", "problem")])
def test_a_signature_is_tried_and_not_guessed(bare: Workspace, program: str, level: str) -> None:
    git = ("git", "-C", bare.config.chart, "-c", "user.name=me", "-c", "user.email=me@example.com")
    for words in (("config", "tag.gpgSign", "true"), ("config", "gpg.program", program)):
        subprocess.run((*git, *words), check=True)
    assert lines(bare)["signing"].level == "note"
    subprocess.run((*git, "commit", "--quiet", "--no-gpg-sign", "--allow-empty", "--message=x"), check=True)
    found = lines(bare)["signing"]
    assert (found.level, "git cannot sign" in found.found) == (level, True)


def test_what_a_failure_points_to_is_a_line_of_the_doctor(bare: Workspace) -> None:
    known = set(lines(bare))
    code = "".join(file.read_text() for file in (Path(__file__).parents[2] / "scripts").rglob("*.py"))
    named = {word for text in re.findall(r'doctor ?= ?"([^"]+)"', code) for word in text.split(", ")}
    assert {"engine", "tools", "registry", "disk", "git", "signing", "memory", "inotify"} <= named
    assert [word for word in named if not any(line == word or line.startswith(f"{word}:") for line in known)] == []
    told = str(ToolError("helm is not installed"))
    assert told.endswith("doctor:   invoke doctor looks at this: tools")
