"""What every task has: help, a dry run that changes nothing, JSON that a machine can read."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scripts.toolchain.finder import Toolchain
from tests.pipeline.conftest import INVOKE, Cli

MUTATING = (
    *("down", "e2e", "images", "node-image", "package", "publish", "release", "template", "tools", "up"),
    "version-bump",
)


def test_every_flag_has_help(cli: Cli) -> None:
    names = [task["name"] for task in json.loads(cli("--list", "--list-format=json").fine())["tasks"]]
    assert set(MUTATING) | {"lint", "kubeconform-check", "verify", "registry"} <= set(names)
    helps = {name: cli("--help", name, COLUMNS="200").fine() for name in names}
    for name, text in helps.items():
        assert re.search(r"Docstring:\n  \S", text), name
        flags = re.findall(r"^  (?:-\w(?: \S+|=\S+)?, )?(--\S+)(.*)$", text, re.MULTILINE)
        assert flags or name == "overview", name
        assert [flag for flag, rest in flags if not rest.strip()] == [], name
    for name in MUTATING:
        assert "--dry-run" in helps[name], name
    assert cli("--help", "lint", COLUMNS="1").fine()


class TestDryRun:
    def test_package_says_what_it_would_write(self, cli: Cli) -> None:
        dry = cli.on_chart("package", "--dry-run", "--json").fine()
        assert not cli.dist.exists()
        assert cli.on_chart("package", "--json").fine() == dry

    def test_template(self, cli: Cli) -> None:
        only = ("--kube-version", "1.30")
        dry = cli.on_chart("template", "--dry-run", *only).fine()
        assert not cli.dist.exists()
        assert cli.on_chart("template", *only).fine() == dry

    def test_publish_only_asks(self, cli: Cli) -> None:
        cli.on_chart("package").fine()
        for _ in range(2):
            assert json.loads(cli.on_chart("publish", "--dry-run", "--json").fine())["state"] == "absent"

    def test_tools_builds_nothing(self, cli: Cli, tmp_path: Path) -> None:
        states = json.loads(
            cli("tools", "--build", "--dry-run", "--json", GATI_CACHE_DIR=f"{tmp_path}/cache", PATH="/bin").fine()
        )
        assert {state["state"] for state in states} == {"not built"}


def test_the_table_of_tools(cli: Cli) -> None:
    lines = cli("tools").fine().splitlines()
    assert lines[1].split() == ["tool", "pin", "PATH", "found", "state", "path", "not", "taken"]
    helm = next(line.split() for line in lines if line.startswith("helm "))
    assert helm[1].startswith("v")
    assert helm[2] == "exact"
    assert helm[3] in ("cache", "PATH")
    assert helm[4] == "ready"


def test_echo_shows_each_command(cli: Cli) -> None:
    told = cli("--echo", "package", "--chart", cli.chart)
    assert told.status == 0
    assert re.search(r"^\$ \S*helm package ", told.stderr, re.MULTILINE)


def test_a_second_run_needs_no_network(cli: Cli) -> None:
    """In a network of its own, where not even loopback is up."""
    apart = ("unshare", "--map-root-user", "--net")
    if shutil.which("unshare") is None or subprocess.run((*apart, "true"), capture_output=True).returncode != 0:
        pytest.skip("no network of its own can be made here")
    only = ("--kube-version", "1.30")
    for task, more in (("lint", ()), ("kubeconform-check", only), ("package", ()), ("tools", ("--build", "--dry-run"))):
        chart = () if task == "tools" else ("--chart", str(cli.chart))
        if task == "kubeconform-check":
            cli.on_chart(task, *more).fine()  # the first run, which may make schemas
        argv = (*apart, INVOKE, task, *chart, *more)
        done = subprocess.run(argv, cwd=cli.checkout, env=cli.env, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr


def test_a_terminal_shows_that_we_are_at_work(cli: Cli, tmp_path: Path) -> None:
    """On a terminal stderr has a spinner, which is gone at the end; the result is on stdout all the same."""
    ours, theirs = pty.openpty()
    argv = (INVOKE, "package", "--chart", cli.chart, "--dry-run"), (INVOKE, "lint", "--chart", cli.chart)
    shown = ""
    for words in argv:
        done = subprocess.run(
            words, cwd=cli.checkout, env={**cli.env, "TERM": "xterm"}, stdout=subprocess.PIPE, stderr=theirs, text=True
        )
        assert "made" in done.stdout
        shown += os.read(ours, 1 << 16).decode() if select.select([ours], [], [], 0)[0] else ""
    cli.on_chart("package").fine()
    (folder := tmp_path / "registry").mkdir()
    env = {**cli.env, "TERM": "xterm", "GATI_EMBEDDED_REGISTRY": str(folder)}
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # which the task waits for
        publishing = (INVOKE, "publish", "--chart", cli.chart)
        with subprocess.Popen(publishing, cwd=cli.checkout, env=env, stdout=subprocess.PIPE, stderr=theirs) as process:
            while " publishing" not in shown:  # the test's time limit is its deadline
                shown += os.read(ours, 1 << 16).decode()
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert b"made" in process.communicate()[0]
    shown += os.read(ours, 1 << 16).decode() if select.select([ours], [], [], 0)[0] else ""
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0  # the cursor is hidden, and shown again
    os.close(ours)
    os.close(theirs)


def test_json_is_all_of_stdout(cli: Cli) -> None:
    only = ("--kube-version", "1.30")
    for task, more in (("lint", ()), ("template", only), ("kubeconform-check", only), ("package", ())):
        told = cli.on_chart(task, "--json", *more)
        assert isinstance(json.loads(told.fine()), dict), task
    for name in ("lint.json", "kubeconform.json", "package.json", "manifests/index.json"):
        assert json.loads((cli.dist / f"made.{name}").read_text())["schema_version"] == 1


def test_the_registry_is_served_until_it_is_stopped(cli: Cli, tmp_path: Path, toolchain: Toolchain) -> None:
    cli.on_chart("package").fine()
    cli.on_chart("publish").fine()
    (own := tmp_path / "registry's tmp").mkdir()
    process = cli.start("registry", "--port", "0", TMPDIR=str(own))
    try:
        assert process.stdout is not None
        prefix = process.stdout.readline().strip()
        url = prefix.replace("oci://", "http://").replace("/charts", "/v2/charts") + "/made/tags/list"
        with urllib.request.urlopen(url, timeout=5) as answer:
            assert json.load(answer)["tags"] == ["0.1.0"]
        pull = shlex.split(process.stdout.readline())
        assert pull[:2] == ["helm", "pull"]
        argv: list[str | Path] = [toolchain.path("helm"), *pull[1:], "--destination", tmp_path]
        assert subprocess.run(argv, env=cli.env, capture_output=True, text=True).returncode == 0
        assert (tmp_path / "made-0.1.0.tgz").read_bytes() == (cli.dist / "made-0.1.0.tgz").read_bytes()
        cli("registry", "--port", "0").refused("is served already", prefix)
        other = cli("registry", "--port", str(urlsplit(prefix).port), GATI_EMBEDDED_REGISTRY=str(tmp_path / "other"))
        other.refused("does not start", "invoke registry --port 0")
        # Other runs use what is served: to read, and to publish, which stays when this one is killed.
        assert f"embedded registry at {urlsplit(prefix).netloc}, served by" in cli.on_chart("verify").stderr
        reference = f"{prefix}/made:0.1.0"
        assert json.loads(cli("verify", reference.replace("oci", "OCI"), "--json").fine())["reference"] == reference
        (cli.chart / "Chart.yaml").write_text((cli.chart / "Chart.yaml").read_text().replace("0.1.0", "0.2.0"))
        cli.on_chart("package").fine()
        cli.on_chart("publish").fine()
        noted = json.loads((cli.registry / "manifests.json").read_text())["manifests"]
        assert [each["tag"] for each in noted] == ["0.1.0", "0.2.0"]
    finally:
        process.send_signal(2)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "stopped" in stderr
    assert list(own.iterdir()) == []
    end = time.monotonic() + 5
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except (urllib.error.URLError, ConnectionError):
            break
        assert time.monotonic() < end, "the registry is still served"


@pytest.mark.parametrize("folder", ["helm", "docs"])
def test_tasks_work_from_a_folder_below(cli: Cli, folder: str) -> None:
    done = subprocess.run(
        (INVOKE, "package", "--dry-run", "--json"),
        cwd=cli.checkout / folder,
        env=cli.env,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["name"] == "gati", done.stderr


def test_a_rollout_takes_its_operation_as_a_word(cli: Cli) -> None:
    assert cli("rollout", "upgrade", "--dry-run").fine().startswith("helm upgrade gati ")
    cli("rollout", "remove").refused("there is no operation 'remove'", "install, upgrade, rollback")
