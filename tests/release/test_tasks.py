"""The tasks `version-bump` and `release` as a person runs them: what is printed, the exit code, what is left."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.core.errors import FINDING, OUTSIDE, REFUSED, USAGE
from scripts.registry.client import connect
from scripts.registry.embedded import embedded, serve
from tests import forked
from tests.release.conftest import Project

Invoke = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def invoke(project: Project, root: Path) -> Invoke:
    """Runs a task of the toolkit on the project's chart."""
    settings = {
        "GATI_DIST": str(project.config.dist),
        "GATI_EMBEDDED_REGISTRY": str(project.config.embedded_registry),
        "GATI_CACHE_DIR": str(project.config.cache_dir),
        "COLUMNS": "200",
    }

    def run(*words: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        argv = ("invoke", "--search-root", str(root), *words, "--chart", "chart")
        environment = {**os.environ, **settings}
        if stdin == subprocess.DEVNULL:
            return forked.run(*argv, cwd=project.root, env=environment, timeout=60)
        argv = (sys.executable, "-m", *argv)
        return subprocess.run(
            argv, cwd=project.root, env=environment, stdin=stdin, capture_output=True, text=True, timeout=60
        )

    return run


def test_bump_prints_what_changed_and_is_left_to_be_committed(invoke: Invoke, project: Project) -> None:
    before = project.files()
    preview = invoke("version-bump", "--part", "minor", "--dry-run")
    assert preview.returncode == 0, preview.stderr
    assert "-version: 1.2.0\n+version: 1.3.0\n" in preview.stdout
    assert "+## [1.3.0] - " in preview.stdout
    assert project.files() == before

    done = invoke("version-bump", "--part", "minor", "--app-version", "8", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["old"], told["new"], told["written"]) == ("1.2.0", "1.3.0", True)
    assert project.git("status", "--porcelain").split() == ["M", "CHANGELOG.md", "M", "chart/Chart.yaml"]
    text = (project.root / "chart/Chart.yaml").read_text()
    assert "name: demo  # kept\n" in text
    assert 'appVersion: "8"' in text

    again = invoke("version-bump", "--part", "minor")
    assert again.returncode == REFUSED
    assert "changes that are not committed" in again.stderr
    assert "Traceback" not in again.stderr


def test_a_dirty_tree_is_refused_unless_asked(invoke: Invoke, project: Project) -> None:
    (project.root / "notes.txt").write_text("to do\n")
    before = project.files()
    refused = invoke("version-bump", "--version", "2.0.0")
    assert refused.returncode == REFUSED
    assert "notes.txt" in refused.stderr
    assert "--allow-dirty" in refused.stderr
    assert project.files() == before
    assert invoke("version-bump", "--version", "2.0.0", "--allow-dirty").returncode == 0
    assert "version: 2.0.0" in (project.root / "chart/Chart.yaml").read_text()


def test_release_prints_the_plan_and_then_nothing_to_do(invoke: Invoke, project: Project) -> None:
    planned = invoke("release", "--tag", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    rows = {line.split()[0]: line.split()[1] for line in planned.stdout.splitlines()[2:11]}
    assert rows == {
        **dict.fromkeys(("lint", "validate", "package", "attach", "publish", "verify", "tag", "record"), "absent"),
        "commit": "same",
    }
    assert not project.config.dist.exists()
    assert not project.config.embedded_registry.exists()

    done = invoke("release", "--tag", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["release"] == project.record()
    assert told["release"]["tag"] == project.git("tag") == "demo-1.2.0"
    assert {step["state"] for step in told["plan"]} == {"absent", "same"}

    again = invoke("release", "--tag")
    assert again.returncode == 0, again.stderr
    assert "nothing to do" in again.stdout
    assert "absent" not in again.stdout
    at = re.findall(r"^embedded registry at (\S+),", again.stderr, re.MULTILINE)
    assert [f"oci://{host}/charts/demo:1.2.0" in again.stdout for host in at] == [True]  # of this run, and served once
    judged = invoke("judge")
    assert (judged.returncode, judged.stderr.count("embedded registry at")) == (0, 1), judged.stderr


def test_findings_are_told_with_their_place(invoke: Invoke, project: Project) -> None:
    (project.root / "chart/templates/map.yaml").write_text("data: {{ .Values.replicas | nope }}\n")
    failed = invoke("release")
    assert failed.returncode == FINDING
    assert "templates/map.yaml:1" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (project.config.dist / "demo.release.json").exists()


@contextlib.contextmanager
def terminal(typed: str) -> Iterator[int]:
    """A terminal on which somebody has typed."""
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    try:
        yield theirs
    finally:
        os.close(ours)
        os.close(theirs)


def test_publishing_to_a_real_registry_is_asked_for(invoke: Invoke, project: Project, tmp_path: Path) -> None:
    with embedded(tmp_path / "real", project.work) as registry:

        def published() -> tuple[str, ...]:
            with connect(registry) as client:
                return client.versions("demo")

        words = ("release", "--registry", registry.prefix)
        unattended = invoke(*words)
        assert unattended.returncode == USAGE
        assert f"next:     invoke release --chart chart --registry {registry.prefix} --yes\n" in unattended.stderr
        with terminal("no\n") as stdin:
            refused = invoke(*words, stdin=stdin)
        assert (refused.returncode, "nothing was done" in refused.stderr) == (REFUSED, True)
        assert f"Publish demo 1.2.0 to {registry.prefix}? [y/N]" in refused.stderr
        assert published() == ()
        assert not project.config.dist.exists()

        with terminal("y\n") as stdin:
            done = invoke(*words, stdin=stdin)
        assert done.returncode == 0
        helm, *pull = done.stderr.rpartition("next: ")[2].split()
        assert helm == "helm"
        subprocess.run((project.toolchain.path(helm), *pull, "-d", tmp_path), check=True, capture_output=True)
        assert (tmp_path / "demo-1.2.0.tgz").is_file()
        assert published() == ("1.2.0",)
        assert (project.record()["registry"], project.record()["flags"]) == (registry.prefix, ["--plain-http"])
        assert "nothing to do" in invoke(*words, "--yes").stdout


@pytest.mark.parametrize(
    ("words", "environment", "code", "told"),
    [
        (("release", "--bump", "nope"), {}, USAGE, "'nope' is not a part of a version"),
        (("release", "--bump", "minor", "--pre", "1"), {}, USAGE, "--pre '1' cannot name a pre-release"),
        (("release", "--pre", "rc"), {}, USAGE, "expected: the part as well: --bump of release"),
        (("version-bump", "--part", "minor", "--version", "2.0.0"), {}, USAGE, "is said twice"),
        (("package", "--version", "1"), {}, USAGE, "--version: '1' is not a semantic version"),
        (("version-bump", "--part", "nope"), {}, USAGE, "patch | prerelease, for version-bump also auto\n"),
        (("version-bump", "--version", "1.2"), {}, USAGE, "'1.2' is not a semantic version"),
        (("version-bump",), {}, USAGE, "which version the chart moves to is not said"),
        (("release", "--dry"), {}, USAGE, "next:     invoke release --chart chart --dry-run\n"),
        (("lint", "--dry"), {}, USAGE, "next:     leave out --dry"),
        (("release",), {"CI": "true"}, USAGE, "next:     invoke release --chart chart --registry embedded\n"),
        (("publish",), {"CI": "true"}, USAGE, "no registry is configured"),
        (("release",), {"GATI_REGISTRI": "oci://x/y"}, USAGE, "expected: GATI_REGISTRY\n"),
        (("publish",), {}, REFUSED, "next:     invoke package --chart chart\n"),
        (("release", "--registry", "oci://127.0.0.1:9/charts"), {}, OUTSIDE, "127.0.0.1:9"),
        (("verify", "oci://127.0.0.1:9/charts/demo:"), {}, USAGE, "names no chart"),
        (("verify", "oci://127.0.0.1:9/charts/demo:1.0.0:2"), {}, USAGE, "names no chart"),
        (("verify", "oci://127.0.0.1:9/charts/demo@sha256:1"), {}, USAGE, "names no chart"),
        (("verify", "oci://127.0.0.1:9/charts/demo", "--require", "luck"), {}, USAGE, "unknown value"),
        (("verify", "oci://127.0.0.1:9/charts/demo", "--require", "signature"), {}, USAGE, "whose signature"),
        (("verify", "oci://127.0.0.1:9/charts/demo", "--key", ""), {}, USAGE, "--key is given, and empty"),
        (("verify", "oci://127.0.0.1:9/charts/demo", "--require", ","), {}, USAGE, "--require is given, and empty"),
        (("verify", "--require", "e2e"), {}, USAGE, "which published chart"),
        (("release", "--require", "luck"), {}, USAGE, "unknown value"),
        (("release", "--signing-key", "nowhere.key"), {}, USAGE, "there is no key at"),
    ],
)
def test_refused_before_anything_starts(
    invoke: Invoke,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    environment: dict[str, str],
    code: int,
    told: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (project.root / "notes.txt").write_text("to do\n")  # so that a later refusal would be another one
    before = project.files()
    refused = invoke(*words)
    assert (refused.returncode, told in refused.stderr) == (code, True), refused.stderr
    assert project.files() == before
    answer = json.loads(invoke(*words, "--json").stdout)["error"]
    assert answer["code"] == code
    assert {"class", "message", "expected", "found", "next"} <= answer.keys()


def test_a_flag_behind_two_dashes_is_not_passed_over(invoke: Invoke, project: Project) -> None:
    before = project.files()
    refused = invoke("release", "--yes", "--", "--dry-run")
    assert (refused.returncode, "next:     invoke release --yes --dry-run" in refused.stderr) == (USAGE, True), refused
    assert project.files() == before


def test_the_embedded_registry_may_be_meant(invoke: Invoke, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    done = invoke("release", "--registry", "embedded")
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("next: invoke registry\n")
    serving = serve(project.config.embedded_registry, project.work)
    _, pulls = next(serving)
    serving.close()
    assert [pull.split("--version ")[1] for pull in pulls] == ["1.2.0 --plain-http"]  # and nothing that is attached


def test_success_ends_with_what_comes_next(invoke: Invoke, project: Project) -> None:
    assert invoke("version-bump", "--part", "patch").stderr.endswith(
        'next: git commit --all --message "Release demo 1.2.1" && invoke release --chart chart\n'
    )
    project.commit("Release demo 1.2.1")
    assert invoke("package").stderr.endswith("next: invoke publish --chart chart\n")
    assert invoke("publish").stderr.endswith("next: invoke registry\n")
    history = project.root / "CHANGELOG.md"
    history.write_text(history.read_text().replace("[Unreleased]\n", "[Unreleased]\n\n### Fixed\n\n- It\n"))
    project.commit("Mend it")
    subprocess.run(("git", "init", "--quiet", "--bare", project.root.parent / "theirs"), check=True)
    project.git("remote", "add", "origin", str(project.root.parent / "theirs"))
    push = "git push --set-upstream origin main && git push origin tag demo-1.2.2"
    assert invoke("release", "--bump", "patch", "--tag").stderr.endswith(f"next: {push} && invoke registry\n")
    again = invoke("release", "--bump", "patch", "--tag")  # as somebody does whose push was refused
    assert "nothing to do" in again.stdout
    assert again.stderr.endswith(f"next: {push} && invoke registry\n")
    for step in push.split(" && "):
        project.git(*step.split()[1:])
    assert "demo-1.2.2" in project.git("ls-remote", "--tags", "origin")
    assert invoke("verify").returncode == 0


def test_without_a_repository_nothing_is_to_be_committed(invoke: Invoke, project: Project) -> None:
    shutil.rmtree(project.root / ".git")
    assert invoke("version-bump", "--part", "patch").stderr.endswith("next: invoke release --chart chart\n")


def test_what_git_is_to_do_is_said_for_where_the_chart_is(project: Project, root: Path, tmp_path: Path) -> None:
    chart = str(project.config.chart)
    environment = {**os.environ, "GATI_CHART": chart, "GATI_DIST": str(tmp_path / "dist")}
    environment |= {"GATI_EMBEDDED_REGISTRY": str(tmp_path / "reg"), "GATI_CACHE_DIR": str(project.config.cache_dir)}

    def told(*words: str) -> str:
        return forked.run("invoke", *words, cwd=root, env=environment, timeout=60).stderr

    git = f"git -C {project.root}"
    assert told("version-bump", "--part", "patch").endswith(
        f'next: {git} commit --all --message "Release demo 1.2.1" && invoke release\n'
    )
    assert f"next:     {git} add --all && {git} commit && invoke release\n" in told("release")
    project.git("checkout", "--quiet", "--detach", "HEAD")
    project.git("stash")
    assert f"make one: {git} switch --create NAME\n" in told("release", "--bump", "patch", "--dry-run")


def test_dist_with_another_version_than_the_tree(invoke: Invoke, project: Project) -> None:
    assert invoke("package").returncode == 0
    invoke("version-bump", "--part", "patch")
    for words in (("publish", "--dry-run"), ("verify",)):
        refused = invoke(*words)
        assert refused.returncode == REFUSED
        assert "expected: demo 1.2.1\n" in refused.stderr
        assert "next:     invoke package --chart chart\n" in refused.stderr


def test_publish_holds_to_the_commit_as_well(invoke: Invoke, project: Project) -> None:
    (project.root / "chart/values.yaml").write_text("replicas: 4\n")
    packed = invoke("package")
    assert "note: no commit holds chart/values.yaml (changed)" in packed.stderr
    refused = invoke("publish")
    assert refused.returncode == REFUSED
    assert "chart/values.yaml (changed)" in refused.stderr
    assert refused.stderr.endswith("git add --all && git commit && invoke publish --chart chart\n")
    assert project.published() == {}
    assert invoke("publish", "--allow-dirty").returncode == 0
    assert list(project.published()) == ["1.2.0"]
