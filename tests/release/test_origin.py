"""What is published is what the commit holds, in whatever way git, its settings and its user make a clone differ."""

from __future__ import annotations

import functools
import gzip
import io
import os
import re
import shlex
import shutil
import stat
import subprocess
import tarfile
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from scripts.chart.archive import UNDATED, read_members
from scripts.chart.dependencies import provide_dependencies
from scripts.chart.secrets import refuse_secrets
from scripts.chart.source import read_chart
from scripts.checks.baseline import earlier_chart
from scripts.core import edits
from scripts.core.errors import (
    SAME_COMMAND,
    ChangelogError,
    ChartError,
    GitError,
    OutputError,
    ReleaseError,
    SecretError,
    VersionError,
)
from scripts.core.git import Repository, find_repository
from scripts.front.command import Typed
from scripts.release.bump import Request, changed, read_bump
from scripts.release.origin import _REMEDIES, COMMIT, not_as_served
from scripts.release.package import package
from scripts.release.plan import Options, Release, prepared
from scripts.release.publish import demand_committed
from tests.release.conftest import CHANGELOG, Project, write_chart

Change = Callable[[Project], object]


@pytest.fixture(autouse=True)
def local_submodules(tmp_path: Path, alone: None) -> None:
    with (tmp_path / "gitconfig").open("a") as file:
        file.write('[protocol "file"]\nallow = always\n')


def at(project: Project, root: Path) -> Project:
    """The project as it is in another clone."""
    config = project.config
    moved = {name: root / getattr(config, name).relative_to(config.root) for name in ("chart", "changelog", "dist")}
    registry = root / ".registry"
    return Project(replace(project.work, config=replace(config, root=root, embedded_registry=registry, **moved)))


def clone(project: Project, name: str, *flags: str) -> Project:
    root = project.root.parent / name
    subprocess.run(("git", "clone", "--quiet", *flags, f"file://{project.root}", root), check=True, capture_output=True)
    return at(project, root)


def digest(project: Project) -> str:
    """The sha256 of what `invoke package` writes."""
    return package(project.config, read_chart(project.config.chart), project.work.helm).sha256


def write(name: str, text: str = "x: 1\n") -> Change:
    return lambda project: (project.root / name).write_text(text)


def flagged(flag: str) -> Change:
    def change(project: Project) -> None:
        (project.root / "chart/values.yaml").write_text("replicas: 9\n")
        project.git("update-index", flag, "chart/values.yaml")

    return change


def filtered(name: str, kept: str, here: str) -> Change:
    def change(project: Project) -> None:
        (project.root / ".gitattributes").write_text(f"{name} filter=swap\n")
        project.commit("Filter")
        project.git("config", "filter.swap.smudge", f"sed 's/{kept}/{here}/'")
        project.git("config", "filter.swap.clean", f"sed 's/{here}/{kept}/'")
        (project.root / name).unlink()
        project.git("checkout", "--", ".")
        assert here in (project.root / name).read_text()

    return change


def called_otherwise(project: Project) -> None:
    """As by a rename where case does not matter, after which both names lead to the file."""
    (project.root / "chart/values.YAML").hardlink_to(project.root / "chart/values.yaml")


def linked_outside(project: Project) -> None:
    (project.root.parent / "theirs").write_text("x")
    (project.root / "chart/LICENSE").symlink_to("../../theirs")
    project.commit("Link")


def linked_to_ignored(project: Project) -> None:
    (project.root / "dist").mkdir()
    (project.root / "dist/x").write_text("x")
    (project.root / "chart/LICENSE").symlink_to("../dist/x")
    project.commit("Link")


def untracked_in_linked_folder(project: Project) -> None:
    (project.root / "lib").mkdir()
    (project.root / "lib/a").write_text("x")
    (project.root / "chart/files").symlink_to("../lib")
    project.commit("Link")
    (project.root / "lib/b").write_text("x")


def with_submodule(project: Project) -> None:
    inner = project.root.parent / "inner"
    inner.mkdir()
    for words in (("init", "-q", "-b", "main"), ("commit", "-q", "--allow-empty", "-m", "First")):
        subprocess.run(("git", "-C", inner, *words), check=True)
    (inner / "x.txt").write_text("x")
    subprocess.run(("git", "-C", inner, "add", "-A"), check=True)
    subprocess.run(("git", "-C", inner, "commit", "-qm", "Second"), check=True)
    (project.root / "chart/.helmignore").write_text(".git\n")
    project.git("submodule", "--quiet", "add", str(inner), "chart/files")
    project.commit("Take the submodule")


def other_submodule(project: Project) -> None:
    with_submodule(project)
    subprocess.run(("git", "-C", project.root / "chart/files", "checkout", "-q", "HEAD~1"), check=True)


def sparse(project: Project) -> None:
    project.git("sparse-checkout", "set", "--no-cone", "/*", "!/chart/templates/")


def taken_for_another(project: Project) -> None:
    for name in ("_a.tpl", "_A.tpl"):
        (project.root / "chart/templates" / name).write_text(name)
    project.commit("Differ by case alone")
    (project.root / "chart/templates/_A.tpl").write_text("_a.tpl")  # as a folder has it that knows no case


def unmerged(project: Project) -> None:
    file = project.root / "chart/words.txt"
    for words in ("one", "two"):
        file.write_text(words)
        project.commit("Say it")
    file.write_text("three")
    project.git("stash", "--quiet")
    project.git("reset", "--quiet", "--hard", "HEAD~1")
    with pytest.raises(subprocess.CalledProcessError):
        project.git("stash", "pop")


def to_be_added(project: Project) -> None:
    (project.root / "chart/new.txt").write_text("x")
    project.git("add", "--intent-to-add", "chart/new.txt")


def staged(project: Project) -> None:
    (project.root / "chart/new.txt").write_text("x")
    project.git("add", "--all")


DIFFERENCES: dict[str, tuple[Change, str]] = {
    "ignored": (write("chart/keep.tmp"), r"chart/keep.tmp \(ignored by git\)"),
    "untracked": (write("chart/é a\nb.txt"), r"chart/é a\s+b.txt \(not tracked by git\)"),
    "to be added": (to_be_added, r"chart/new.txt \(added, not committed\)"),
    "staged": (staged, r"chart/new.txt \(added, not committed\)"),
    "changed": (write("chart/values.yaml", "replicas: 3\n"), r"chart/values.yaml \(changed\)"),
    "absent": (lambda project: (project.root / "chart/values.yaml").unlink(), r"chart/values.yaml \(absent\)"),
    "assumed": (flagged("--assume-unchanged"), r"chart/values.yaml \(changed, and assumed unchanged\)"),
    "skipped": (flagged("--skip-worktree"), r"chart/values.yaml \(changed, which git is told to skip"),
    "sparse": (sparse, r"chart/templates/map.yaml \(sparse: not checked out\)"),
    "case": (taken_for_another, r"chart/templates/_A.tpl \(changed, where this folder takes it for .*/_a.tpl\)"),
    "called otherwise": (called_otherwise, r"chart/values.YAML \(in HEAD it is called chart/values.yaml\)"),
    "unmerged": (unmerged, r"chart/words.txt \(unmerged\)"),
    "filtered": (filtered("chart/values.yaml", "2", "9"), r"chart/values.yaml \(filtered by swap\)"),
    "filtered changelog": (filtered("CHANGELOG.md", "The chart", "Ours"), r"CHANGELOG.md \(filtered by swap\)"),
    "pointer": (
        lambda project: (
            write("chart/big", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")(project),
            project.commit("Point"),
        ),
        r"chart/big \(filtered by git-lfs: the commit holds a pointer\)",
    ),
    "encrypted": (
        lambda project: (write("chart/big", "\0GITCRYPT\0x")(project), project.commit("Encrypt")),
        r"chart/big \(filtered by git-crypt: the commit holds it encrypted\)(?s:.*)\n  next: +name chart/big in ",
    ),
    "linked outside": (linked_outside, r"chart/LICENSE \(linked to ../../theirs, which the commit does not hold\)"),
    "linked to ignored": (linked_to_ignored, r"chart/LICENSE \(linked to ../dist/x, which the commit does not hold\)"),
    "in a linked folder": (untracked_in_linked_folder, r"chart/files/b \(linked to .*lib/b: not tracked by git\)"),
    "submodule": (other_submodule, r"chart/files/x.txt \(in a submodule that is not as the commit names it\)"),
    "changelog": (write("CHANGELOG.md", f"{CHANGELOG}\nx\n"), r"CHANGELOG.md \(changed\)"),
}


@pytest.mark.parametrize(("change", "words"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_a_difference_is_named_with_its_kind_and_refused(project: Project, change: Change, words: str) -> None:
    with (project.root / ".gitignore").open("a") as file:
        file.write("*.tmp\n")
    project.commit("Ignore")
    change(project)
    with prepared(project.work, Options(), dry_run=True) as ready, pytest.raises(GitError, match=rf"(?s){words}"):
        ready.demand_possible()
    with pytest.raises(GitError, match=rf"(?s)not committed.*{words}"):
        project.plan(part="minor")  # and when the version is raised
    assert project.git("log", "--format=%s", "-1") != "Release demo 1.3.0"


def test_a_link_to_itself_is_helms_to_refuse(project: Project) -> None:
    (project.root / "chart/LICENSE").symlink_to("LICENSE")
    project.commit("Link")
    with pytest.raises(ChartError, match=r"symlink .*LICENSE"):
        project.release()


@pytest.mark.parametrize("kind", ["ignored", "assumed", "filtered"])
def test_what_no_commit_holds_is_published_and_recorded_where_that_is_meant(project: Project, kind: str) -> None:
    with (project.root / ".gitignore").open("a") as file:
        file.write("*.tmp\n")
    project.commit("Ignore")
    change, words = DIFFERENCES[kind]
    change(project)
    with pytest.raises(GitError, match=words):
        project.release()
    assert project.published() == {}
    record = project.release(allow_dirty=True)
    assert [f"{path} ({why})" for path, why in record.differences.items()] == [words.replace("\\", "")]
    assert list(record.differences) == list(record.dirty) == project.record()["dirty"]
    packed = read_members((project.config.dist / record.archive).read_bytes(), "it")
    for path in record.dirty:
        assert packed[path.replace("chart/", "demo/")] == (project.root / path).read_bytes()


def test_a_part_that_is_not_there_is_refused_before_the_checks(project: Project) -> None:
    sparse(project)
    with pytest.raises(GitError, match="sparse: not checked out"):
        project.release()
    assert not project.config.dist.exists()


def removed(project: Project) -> None:
    shutil.rmtree(project.config.chart)


def not_in_sparse(project: Project) -> None:
    project.git("sparse-checkout", "set", "--no-cone", "/CHANGELOG.md", "/pyproject.toml")


def skipped(project: Project) -> None:
    removed(project)
    project.git("update-index", "--skip-worktree", *project.git("ls-files", "chart").splitlines())


@pytest.mark.parametrize(
    ("change", "found", "command"),
    [
        (removed, "not in the working tree", "git checkout HEAD -- chart"),
        (not_in_sparse, "not in this sparse checkout", "git sparse-checkout add chart"),
        (skipped, "not in this sparse checkout", "git sparse-checkout add chart"),
    ],
)
def test_a_chart_that_only_head_has(project: Project, change: Change, found: str, command: str) -> None:
    change(project)
    with pytest.raises(ChartError, match=rf"(?s)no chart at .*in HEAD, but {found}") as told:
        project.release()
    assert told.value.run is not None
    assert told.value.run.startswith(command)
    subprocess.run(told.value.run, shell=True, cwd=project.root, check=True)
    assert project.release().dirty == ()


def test_a_dependency_whose_submodule_is_not_there_is_told_how_to_get_it(project: Project) -> None:
    needed = project.root.parent / "needed"
    needed.mkdir()
    (needed / "Chart.yaml").write_text("apiVersion: v2\nname: needed\nversion: 1.0.0\n")
    for words in ("init --quiet", "add --all", "commit --quiet --message x"):
        subprocess.run(("git", "-C", needed, *words.split()), check=True)
    add = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(needed))
    project.git(*add, "chart/charts/needed")
    with (project.config.chart / "Chart.yaml").open("a") as file:
        file.write("dependencies:\n  - {name: needed, version: 1.0.0}\n")
    project.commit("Need it")
    project.git("submodule", "--quiet", "deinit", "--force", "chart/charts/needed")
    with pytest.raises(ChartError, match=r"needed 1.0.0 is not in charts/: .* is a submodule that is not") as told:
        project.release()
    assert told.value.run == "git submodule update --init chart/charts/needed"


def test_a_chart_whose_submodule_is_not_there_or_that_is_called_otherwise(project: Project) -> None:
    outer = project.root.parent / "outer"
    subprocess.run(("git", "clone", "--quiet", project.root, outer), check=True)
    for words in ("submodule --quiet add ../project sub", "commit -qm x", "submodule deinit sub"):
        subprocess.run(("git", "-C", outer, *words.split()), check=True, capture_output=True)
    with pytest.raises(ChartError, match="submodule update --init sub"):
        read_chart(outer / "sub/chart")
    with pytest.raises(ChartError, match="in HEAD it is called chart"):
        read_chart(outer / "Chart")
    with pytest.raises(ChartError, match="found:    it is a file"):
        read_chart(project.root / "CHANGELOG.md")


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("absent", "checkout HEAD -- chart/values.yaml"),
        ("sparse", "sparse-checkout disable"),
        ("assumed", "update-index --no-assume-unchanged chart/values.yaml && git add --all && git commit"),
        ("skipped", "update-index --no-skip-worktree chart/values.yaml && git add --all && git commit"),
        ("submodule", "submodule update --init --recursive"),
        ("untracked", "add --all && git commit"),
        ("to be added", "add --all && git commit"),
    ],
)
def test_what_is_to_be_run_takes_the_difference_away(
    project: Project, monkeypatch: pytest.MonkeyPatch, kind: str, command: str
) -> None:
    monkeypatch.setenv("GIT_EDITOR", "echo Mean it >")
    DIFFERENCES[kind][0](project)
    with pytest.raises(GitError) as told:
        project.release()
    pasted = Typed("release", {}).pasted(str(told.value.run))
    if kind == "submodule":  # whose changes somebody has to stash before
        assert pasted.startswith(f"stash what was changed there, and git {command}, ")
        pasted = f"git {command} && invoke release"
    assert pasted == f"git {command} && invoke release"
    subprocess.run(pasted.removesuffix(" && invoke release"), shell=True, cwd=project.root, check=True)
    assert project.release().dirty == ()


@pytest.mark.parametrize("part", [None, "minor"])
@pytest.mark.parametrize(
    ("way", "words", "command"),
    [
        ("absent", "absent", "checkout HEAD -- lib/LICENSE"),
        ("sparse", "sparse: not checked out", "sparse-checkout disable"),
        ("--assume-unchanged", "changed, and assumed unchanged", "update-index --no-assume-unchanged lib/LICENSE"),
        ("--skip-worktree", r"changed, which git is told to skip .*", "update-index --no-skip-worktree lib/LICENSE"),
    ],
)
def test_what_a_link_leads_to_is_named_with_its_kind(
    project: Project, part: str | None, way: str, words: str, command: str
) -> None:
    file = project.root / "lib/LICENSE"
    file.parent.mkdir()
    file.write_text("free\n")
    (project.root / "chart/LICENSE").symlink_to("../lib/LICENSE")
    project.commit("Link")
    if way == "sparse":
        project.git("sparse-checkout", "set", "--no-cone", "/*", "!/lib/")
    elif way == "absent":
        file.unlink()
    else:
        file.write_text("mine\n")
        project.git("update-index", way, "lib/LICENSE")
    with pytest.raises(GitError, match=rf"chart/LICENSE \(linked to ../lib/LICENSE: {words}\)") as told:
        project.release(part=part)
    assert str(told.value.run).startswith(f"git {command}, ")
    project.git(*command.split())
    project.git("checkout", "HEAD", "--", "lib")
    assert project.release(part=part).dirty == ()


@pytest.mark.parametrize("part", [None, "minor"])
@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("submodule --quiet deinit --force sub", r"chart/LICENSE \(in a submodule that is not checked out\)"),
        ("-C sub rm --quiet x.txt", r"\(linked to ../sub/x.txt: in a submodule that is not as the commit names it\)"),
        ("-C sub checkout --quiet HEAD~1", r"\(linked to ../sub/x.txt: in a submodule that is not as .*\)"),
    ],
)
def test_a_link_into_a_submodule_is_told_as_what_it_is(
    project: Project, part: str | None, way: str, words: str
) -> None:
    with_submodule(project)
    project.git("mv", "chart/files", "sub")
    (project.root / "chart/LICENSE").symlink_to("../sub/x.txt")
    project.commit("Link into it")
    project.git(*way.split())
    with pytest.raises(GitError, match=words) as told:
        project.release(part=part)
    assert "git submodule update --init --recursive, then" in str(told.value.run)
    if "rm" in way:
        project.git("-C", "sub", "reset", "--quiet", "--hard")
    project.git("submodule", "--quiet", "update", "--init", "--recursive")
    assert project.release(part=part).dirty == ()


@pytest.mark.parametrize("way", ["assume-unchanged", "skip-worktree"])
def test_a_changelog_that_git_passes_over_is_told(project: Project, way: str) -> None:
    write("CHANGELOG.md", f"{CHANGELOG}\nx\n")(project)
    project.git("update-index", f"--{way}", "CHANGELOG.md")
    with pytest.raises(GitError, match=r"CHANGELOG.md \(changed, (and assumed|which git is told)") as told:
        project.release(part="minor")
    assert str(told.value.run).startswith(f"git update-index --no-{way} CHANGELOG.md, ")


def test_results_that_are_committed_do_not_stop_the_next_release(project: Project) -> None:
    (project.root / ".gitignore").write_text("/.registry/\n")
    project.commit("Serve dist/")
    project.release()
    project.commit("Keep what was released")
    assert project.release(part="minor").dirty == ()


def test_what_git_would_keep_otherwise_today_is_no_change(project: Project) -> None:
    for name in ("notes.txt", "chart/notes.txt"):
        (project.root / name).write_bytes(b"one\r\n")
    project.commit("Write it elsewhere")
    (project.root / ".gitattributes").write_text("*.txt text\n")
    project.git("add", ".gitattributes")
    project.git("commit", "--quiet", "--message", "Want other line ends")
    for name in ("notes.txt", "chart/notes.txt"):
        os.utime(project.root / name, (1, 1))
    (project.root / "chart/values.yaml").chmod(0o755)
    assert project.git("status", "--porcelain").split() == [
        "M",
        "chart/notes.txt",
        "M",
        "chart/values.yaml",
        "M",
        "notes.txt",
    ]
    assert project.release(part="minor").dirty == ()


def test_what_releases_leave_in_a_chart_at_the_root_is_no_part_of_it(project: Project) -> None:
    for file in (project.root / "chart").iterdir():
        file.rename(project.root / file.name)
    (project.root / ".helmignore").write_text(".git\n.gitignore\n.yamllint.yaml\npyproject.toml\n")
    project.commit("Move the chart to the root")
    own = Project(project.work.having(chart=project.root))
    said: list[str] = []
    record = own.release(part="minor", tag=True, say=said.append)
    assert own.release(part="minor", tag=True) == record
    assert not [line for line in said if "hook" in line]
    packed = read_members((project.root / "dist/demo-1.3.0.tgz").read_bytes(), "it")
    assert not [name for name in packed if name.startswith(("demo/dist", "demo/.registry"))]


def test_what_is_temporary_in_a_chart_is_no_part_of_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (place := project.root / "chart/tmp").mkdir()
    (project.root / ".gitignore").write_text("dist\nchart/tmp\n")
    project.commit("Ignore what is temporary")
    monkeypatch.setattr("tempfile.tempdir", str(place))
    record = project.release(part="minor", tag=True)
    assert record.dirty == ()
    packed = read_members((project.root / "dist/demo-1.3.0.tgz").read_bytes(), "it")
    assert not [name for name in packed if name.startswith("demo/tmp")]


def test_what_a_killed_bump_was_writing_is_no_part_of_a_chart(project: Project) -> None:
    for name in ("chart/.Chart.yaml.new", ".CHANGELOG.md.new"):
        (project.root / name).write_text("name: de")
    assert changed(project.config, Repository(project.root, project.runner)) == ()
    assert project.release(tag=True).dirty == ()
    packed = read_members((project.root / "dist/demo-1.2.0.tgz").read_bytes(), "it")
    assert "demo/.Chart.yaml.new" not in packed


@pytest.mark.parametrize("dist", [".", "chart"])
def test_a_change_in_a_chart_is_told_where_dist_is_around_it(project: Project, dist: str) -> None:
    (project.root / "chart/values.yaml").write_text("replicas: 9\n")
    around = Project(project.work.having(dist=project.root / dist, embedded_registry=project.root / "away"))
    with pytest.raises(GitError, match="not committed"):
        around.release()


def test_what_excludes_a_tag_is_no_way_to_one(project: Project) -> None:
    (project.root / "chart/values.yaml").write_text("replicas: 9\n")
    for tag in (False, True):
        with pytest.raises(GitError, match="not committed") as told:
            project.release(tag=tag)
        assert ("--allow-dirty" in str(told.value.expected)) is not tag


def test_dependencies_that_are_fetched_are_packed_as_the_commit_holds_their_folder(project: Project) -> None:
    needed = project.root / "needed"
    (needed / "templates").mkdir(parents=True)
    (needed / "Chart.yaml").write_text("apiVersion: v2\nname: needed\nversion: 1.0.0\n")
    (needed / "templates/a.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    wanted = "dependencies: [{name: needed, version: 1.0.0, repository: 'file://../needed'}]\n"
    chart_yaml = project.root / "chart/Chart.yaml"
    chart_yaml.write_text(chart_yaml.read_text() + wanted)
    (project.root / ".gitignore").write_text("dist\nchart/charts\n")
    project.commit("Need another one")
    record = project.release(part="minor", tag=True)
    assert record.dirty == ()
    (project.root / ".gitignore").write_text("dist\n")
    project.commit("Say nothing of what is fetched")
    assert changed(project.config, Repository(project.root, project.runner)) == ()
    assert digest(clone(project, "other")) == record.sha256
    unreleased = CHANGELOG.replace("## [Unreleased]\n", "## [Unreleased]\n\n### Fixed\n\n- It\n", 1)
    (project.root / "CHANGELOG.md").write_text(unreleased)
    project.commit("Mend it")

    (needed / "templates/b.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n")
    with pytest.raises(GitError, match=r"needed/templates/b.yaml \(not tracked by git\)"):
        project.release(part="patch")
    (needed / "templates/b.yaml").unlink()
    (project.root / "needed").rename(project.root.parent / "needed")
    chart_yaml.write_text(chart_yaml.read_text().replace("../needed", "../../needed"))
    project.commit("Need one from elsewhere")
    with pytest.raises(GitError, match=r"needed \(outside of the repository\)") as told:
        project.release()
    assert "keep" in str(told.value.run)


def test_a_dependency_in_charts_does_without_its_folder_or_is_told_how_to_get_it(project: Project) -> None:
    (kept := project.root / "chart/charts/needed").mkdir(parents=True)
    (kept / "Chart.yaml").write_text("apiVersion: v2\nname: needed\nversion: 1.0.0\n")
    chart_yaml = project.root / "chart/Chart.yaml"
    wanted = "dependencies: [{name: needed, version: 1.0.0, repository: 'file://../sub/needed'}]\n"
    chart_yaml.write_text(chart_yaml.read_text() + wanted)
    project.commit("Keep what is needed")
    assert project.release(part="minor").dirty == ()

    project.git("submodule", "--quiet", "add", str(project.root), "sub")
    project.commit("Have it in a submodule")
    project.git("submodule", "--quiet", "deinit", "sub")
    shutil.rmtree(kept)
    with pytest.raises(ChartError, match="submodule update --init sub"):
        provide_dependencies(read_chart(chart_yaml.parent), project.work.helm, print)
    (kept := project.root / "sub/needed").mkdir(parents=True)
    (kept / "Chart.yaml").write_text("apiVersion: v2\nname: needed\nversion: 1.0.0\n")
    chart_yaml.write_text(chart_yaml.read_text().replace("}]", "}, {name: none, version: 1.0.0, repository: 'a://b'}]"))
    (chart_yaml.parent / "linked").symlink_to("Chart.yaml")  # which helm says before all else
    with pytest.raises(ChartError, match=r"found:    could not find(?s:.*)correct the repository there"):
        provide_dependencies(read_chart(chart_yaml.parent), project.work.helm, print)


@pytest.fixture
def needy(project: Project, tmp_path: Path) -> Iterator[tuple[Project, Path]]:
    """The project with a dependency that is fetched from a repository, whose folder is served while the test runs."""
    served, needed = tmp_path / "served", tmp_path / "needed"
    write_chart(needed)
    (needed / "templates/map.yaml").unlink()
    (needed / "Chart.yaml").write_text("apiVersion: v2\nname: needed\nversion: 1.0.0\n")
    served.mkdir()
    work = project.work
    work.helm.package(needed, served, epoch=UNDATED)
    subprocess.run((work.helm.path, "repo", "index", served), check=True, capture_output=True)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        chart_yaml = project.root / "chart/Chart.yaml"
        wanted = f"{{name: kept, version: 1.0.0}}, {{name: needed, version: ^1.0.0, repository: '{url}'}}"
        chart_yaml.write_text(f"{chart_yaml.read_text()}dependencies: [{wanted}]\n")
        (kept := project.root / "chart/charts/kept").mkdir(parents=True)
        (kept / "Chart.yaml").write_text("apiVersion: v2\nname: kept\nversion: 1.0.0\n")
        (project.root / ".gitignore").write_text("dist\nchart/charts/*.tgz\n/.registry/\n")
        provide_dependencies(read_chart(project.config.chart), work.helm, lambda _: None)
        project.commit("Need another one")
        yield project, served
        server.shutdown()


def repacked(file: Path, **changes: bytes) -> None:
    """The archive packed by another program, with other content in the files named (without their ending)."""
    members = read_members(file.read_bytes(), "it")
    with tarfile.open(file, "w:gz", compresslevel=1) as tar:
        for name, content in members.items():
            data = changes.get(PurePosixPath(name).stem, content)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_what_helm_has_fetched_is_what_its_repository_serves(needy: tuple[Project, Path]) -> None:
    project, served = needy
    archive = project.root / "chart/charts/needed-1.0.0.tgz"

    def possible(**options: Any) -> tuple[str, ...]:
        with prepared(project.work, Options(**options), dry_run=True) as ready:
            ready.demand_possible()
            return tuple(map(str, ready.facts.dirty))

    repacked(archive)  # what is in it counts
    demand_committed(project.work)
    repacked(archive, values=b"replicas: 7\n", Chart=b"apiVersion: v2\nname: needed\nversion: 1.0.0\nicon: a\n")
    words = r"chart/charts/needed-1.0.0.tgz (not what its repository serves: ~ needed/Chart.yaml, ~ needed/values.yaml)"
    for refused in (lambda: demand_committed(project.work), lambda: possible(part="minor")):
        with pytest.raises(GitError, match=re.escape(words)) as told:
            refused()
        assert "git clean --force -x -- chart/charts/needed-1.0.0.tgz" in str(told.value.run)
    assert possible(allow_dirty=True) == (words,)
    project.git("clean", "-fxq", "--", str(archive))
    provide_dependencies(read_chart(project.config.chart), project.work.helm, lambda _: None)

    second, said = Path(shutil.copy(archive, archive.with_name("needed-1.1.0.tgz"))), list[str]()
    work = project.work
    assert not_as_served(work.config, work.helm, said.append) == {second: "not what Chart.lock or Chart.yaml names"}
    second.unlink()
    (served / "index.yaml").unlink()
    assert not_as_served(work.config, work.helm, said.append) == {}  # helm packs it, too
    assert re.match("note: it is not known whether needed-1.0.0.tgz in charts/ is as its repository .*404", said.pop())
    project.git("add", "--force", str(archive))
    assert not_as_served(work.config, work.helm, said.append) == {}
    assert said == []  # nothing is asked


def test_a_dependency_that_lies_in_the_chart_is_compared(project: Project) -> None:
    chart, said = project.root / "chart", list[str]()
    (chart / "inner").mkdir()
    (chart / "inner" / "Chart.yaml").write_text("apiVersion: v2\nname: inner\nversion: 1.0.0\n")
    with (chart / "Chart.yaml").open("a") as file:
        file.write("dependencies: [{name: inner, version: 1.0.0, repository: 'file://./inner'}]\n")
    project.commit("Need what lies in it")
    provide_dependencies(read_chart(project.config.chart), project.work.helm, lambda _: None)
    assert not_as_served(project.work.config, project.work.helm, said.append) == {}
    assert said == []


def test_what_git_is_to_be_run_for_names_the_repository() -> None:
    typed = Typed("release", {})
    typed.git = "git -C there"
    ways = [typed.pasted(way) for way in (COMMIT, *_REMEDIES.values())]
    assert [way for way in ways if re.search(r"(?<!\.)\bgit (?!-C there )", way)] == []


def test_a_file_is_taken_out_of_git_lfs_by_what_is_to_be_run(project: Project) -> None:
    project.git("config", "filter.lfs.clean", "echo version https://git-lfs.github.com/spec/v1")
    attributes = project.root / ".gitattributes"
    attributes.write_text(
        "chart/*.bin filter=lfs diff=lfs merge=lfs -text\n"
    )  # no name, which is all that untrack takes
    (project.root / "chart/a b.bin").write_bytes(b"\0all")
    project.commit("Track it")
    with pytest.raises(GitError, match="a pointer") as told:
        project.release(part="minor")
    line, command = re.findall(r"add the line '(.+)' to .gitattributes, (git .+), and git commit", str(told.value.run))[
        0
    ]
    attributes.write_text(f"{attributes.read_text()}{line}\n")
    subprocess.run(shlex.split(command), cwd=project.root, check=True)
    project.git("commit", "--quiet", "--all", "--message", "Hold it")
    assert project.git("show", "HEAD:chart/a b.bin").endswith("all")
    assert project.release(part="minor").dirty == ()


def test_what_git_ignores_by_the_way_to_it_can_be_raised(project: Project) -> None:
    (project.root / ".git/info/exclude").write_text("chart\nCHANGELOG.md\n")
    assert project.release(part="minor", tag=True).version == "1.3.0"
    assert project.git("show", "--name-only", "--format=").splitlines() == ["CHANGELOG.md", "chart/Chart.yaml"]


def test_a_clone_whose_objects_are_gone_is_not_taken_for_an_empty_one(project: Project) -> None:
    clone = project.root.parent / "clone"
    project.git("clone", "--quiet", "--shared", ".", str(clone))
    shutil.rmtree(project.root / ".git/objects")
    repository = find_repository(clone, project.runner)
    assert repository is not None
    with pytest.raises(GitError, match="is missing in") as told:
        repository.commit()
    assert told.value.run == "git fsck"


def test_what_helm_leaves_out_does_not_matter(project: Project) -> None:
    (project.root / "chart/.helmignore").write_text("*.swp\n.git\noutside\nparts/\n")
    (project.root / "chart/outside").symlink_to("/usr/share")
    (project.root / "chart/parts").mkdir()
    project.git("update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},chart/parts/one")  # a submodule
    project.commit("Leave out")
    (project.root / "chart/parts/one").mkdir()
    (project.root / "chart/x.swp").write_text("x")
    assert project.release().dirty == ()


def test_every_clone_gives_the_same_archive(project: Project, tmp_path: Path) -> None:
    (project.root / "chart/readme.txt").write_bytes(b"one\r\ntwo\r\n")
    (project.root / "chart/templates/_id.tpl").write_text("{{/* $Id$ $Format:%H$ */}}\n")
    (project.root / "chart/hidden.txt").write_text("x")
    (project.root / ".gitattributes").write_text(
        "chart/values.yaml filter=swap\nchart/readme.txt -text\nchart/hidden.txt export-ignore\n"
        "chart/templates/* text=auto\nchart/templates/_id.tpl ident export-subst\n"
    )
    project.commit("Give attributes")
    wanted = digest(clone(project, "plain"))
    assert digest(project) == wanted
    assert digest(clone(project, "crlf", "--config", "core.autocrlf=true")) == wanted
    assert digest(clone(project, "safe", "--config", "core.eol=crlf", "--config", "core.safecrlf=true")) == wanted
    smudge = ("--config", "filter.swap.smudge=sed s/2/9/", "--config", "filter.swap.clean=sed s/9/2/")
    smudged = clone(project, "smudged", *smudge)
    assert (smudged.root / "chart/values.yaml").read_text() == "replicas: 9\n"
    assert digest(smudged) == wanted
    assert digest(clone(project, "shallow", "--depth=1")) == wanted
    assert digest(clone(project, "copied links", "--config", "core.symlinks=false")) == wanted
    project.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "beside"))
    assert digest(at(project, tmp_path / "beside")) == wanted
    before = os.umask(0o077)
    try:
        masked = clone(project, "masked")
        assert stat.S_IMODE((masked.root / "chart/values.yaml").stat().st_mode) == 0o600
        assert digest(masked) == wanted
    finally:
        os.umask(before)


def test_a_checkout_that_helm_cannot_read_is_packed_as_the_commit_has_it(project: Project) -> None:
    wanted = digest(project)
    (project.root / ".gitattributes").write_text("chart/values.yaml text working-tree-encoding=UTF-16\n")
    (project.root / "chart/values.yaml").write_bytes("replicas: 2\n".encode("utf-16"))
    project.commit("Encode it")
    assert digest(project) == wanted


def test_a_merge_that_is_not_finished_is_not_ended_by_a_release(project: Project) -> None:
    project.git("checkout", "--quiet", "-b", "other")
    project.git("commit", "--quiet", "--allow-empty", "--message", "Theirs")
    project.git("checkout", "--quiet", "main")
    project.git("commit", "--quiet", "--allow-empty", "--message", "Ours")
    project.git("merge", "--quiet", "--no-commit", "--strategy=ours", "other")
    assert project.git("status", "--porcelain") == ""
    with pytest.raises(GitError, match=r"(?s)a git merge is not finished here.*git merge --abort"):
        project.release(part="minor")
    assert project.git("log", "--format=%s", "-1") == "Ours"
    assert project.published() == {}


def test_a_rebase_that_is_not_finished_is_no_place_for_a_release(project: Project) -> None:
    project.git("commit", "--quiet", "--allow-empty", "--message", "Ours")
    project.git("-c", "sequence.editor=sed -i 1s/pick/edit/", "rebase", "--quiet", "--interactive", "HEAD~1")
    with pytest.raises(GitError, match=r"(?s)a git rebase is not finished here.*git rebase --abort"):
        project.release(part="minor")
    assert project.published() == {}


def test_a_name_that_is_no_text_is_packed_and_told(project: Project) -> None:
    (project.root / "chart" / os.fsdecode(b"caf\xe9")).write_text("x")
    project.commit("Name it so")
    record = project.release()
    assert b"demo/caf\xe9" in gzip.decompress((project.config.dist / record.archive).read_bytes())
    assert project.release() == record


def test_the_lock_of_a_killed_git_is_named(project: Project) -> None:
    lock = project.root / ".git/index.lock"
    lock.touch()
    with pytest.raises(GitError) as told:
        project.release(part="minor")
    assert told.value.expected == "no other git at work there"
    assert told.value.run == f"rm {lock}, then {SAME_COMMAND}"
    lock.unlink()
    untouched(project)


def test_a_release_from_a_clone_with_other_line_ends(project: Project) -> None:
    (project.root / ".gitattributes").write_text("chart/values.yaml filter=nowhere\nchart/Chart.yaml filter\n")
    project.commit("Have filters that nobody has set up")
    first = project.release(part="minor")
    project.git("reset", "--quiet", "--hard", "HEAD~1")
    for flags in ((), ("--config", "core.safecrlf=true")):
        other = clone(project, f"crlf{len(flags)}", "--config", "core.autocrlf=true", *flags)
        record = other.release(part="minor")
        assert (record.sha256, record.dirty) == (first.sha256, ())
        assert b"version: 1.3.0\r\n" in (other.root / "chart/Chart.yaml").read_bytes()
        assert b"version: 1.3.0\n" in subprocess.check_output(
            ("git", "-C", other.root, "show", "HEAD:chart/Chart.yaml")
        )
        assert other.git("status", "--porcelain") == ""


def test_a_changelog_with_line_ends_that_git_would_not_keep_today(project: Project) -> None:
    (project.root / "CHANGELOG.md").write_bytes(CHANGELOG.replace("\n", "\r\n").encode())
    project.commit("Write it elsewhere")
    project.git("config", "core.autocrlf", "input")
    assert project.release(part="minor").version == "1.3.0"
    assert b"## [1.3.0] - 2026-11-25\r\n" in (project.root / "CHANGELOG.md").read_bytes()
    assert project.plan()["commit"] == "same"


def test_links_inside_of_the_repository_are_followed(project: Project) -> None:
    (project.root / "LICENSE").write_text("free\n")
    (project.root / "lib").mkdir()
    (project.root / "lib/a b.txt").write_text("shared\n")
    (project.root / "chart/LICENSE").symlink_to("../LICENSE")
    (project.root / "chart/files").symlink_to("../lib")
    badge = "![Version: 1.2.0](https://img.shields.io/badge/Version-1.2.0-informational)\n"
    (project.root / "README.md").write_text(badge)
    (project.root / "chart/README.md").symlink_to("../README.md")
    project.commit("Link")
    said: list[str] = []
    record = project.release(part="patch", say=said.append)
    assert not [line for line in said if "hook" in line]
    assert (record.version, record.dirty) == ("1.2.1", ())
    members = read_members((project.config.dist / record.archive).read_bytes(), "it")
    assert (members["demo/LICENSE"], members["demo/files/a b.txt"]) == (b"free\n", b"shared\n")
    assert b"Version-1.2.1-" in members["demo/README.md"] == (project.root / "README.md").read_bytes()
    assert (project.root / "chart/LICENSE").is_symlink()
    assert (project.root / "chart/README.md").is_symlink()
    written = clone(project, "written", "--config", "core.symlinks=false")
    assert (written.root / "chart/LICENSE").read_text() == "../LICENSE"
    assert written.release().sha256 == record.sha256


def test_a_changelog_that_is_a_link_stays_one(project: Project) -> None:
    (project.root / "CHANGELOG.md").rename(project.root / "changes.md")
    (project.root / "CHANGELOG.md").symlink_to("changes.md")
    project.commit("Link")
    record = project.release(part="patch")
    assert (project.root / "CHANGELOG.md").is_symlink()
    assert "## [1.2.1]" in (project.root / "changes.md").read_text()
    assert project.release(part="patch") == record


def test_a_submodule_is_taken_at_the_commit_that_is_named(project: Project) -> None:
    with_submodule(project)
    record = project.release()
    members = read_members((project.config.dist / record.archive).read_bytes(), "it")
    assert members["demo/files/x.txt"] == b"x"
    assert not [name for name in members if ".git" in name]
    with pytest.raises(GitError, match=r"chart/files \(in a submodule that is not checked out\)"):
        clone(project, "without").release()


def test_a_repository_without_a_commit_holds_nothing(loose: Project) -> None:
    loose.git("init", "--quiet")
    with pytest.raises(GitError, match="no commit holds the chart"):
        loose.release()
    assert loose.published() == {}
    with pytest.raises(GitError, match="--tag needs a commit"):
        loose.release(tag=True)
    with pytest.raises(GitError, match="--bump makes a commit"):
        loose.release(part="minor")


def test_a_file_that_git_passes_over_is_raised_unless_that_hides_a_change(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = project.root / "page.md"
    page.write_text("demo 1.2.0\n")
    project.git("add", "page.md")
    project.git("commit", "--quiet", "--amend", "--no-edit")
    raising = Project(project.work.having(version_files=("page.md",)))
    project.git("update-index", "--assume-unchanged", "chart/Chart.yaml", "page.md")  # as by core.ignoreStat
    project.git("update-index", "--skip-worktree", "CHANGELOG.md")
    page.write_text("our demo 1.2.0\n")
    with pytest.raises(GitError, match=r"found: +page.md \(changed, and assumed unchanged\)\n") as told:
        raising.release(part="minor")
    untouched(project)
    monkeypatch.setenv("GIT_EDITOR", "echo Mean it >")
    pasted = Typed("release", {}).pasted(str(told.value.run)).removesuffix(" && invoke release")
    subprocess.run(pasted, shell=True, cwd=project.root, check=True)
    assert raising.release(part="minor").dirty == ()
    assert project.git("show", "HEAD:page.md", "HEAD:CHANGELOG.md").startswith("our demo 1.3.0\n")
    assert project.git("status", "--porcelain") == ""


def test_a_file_to_raise_that_a_sparse_checkout_lacks_is_not_taken_out_of_the_commit(project: Project) -> None:
    (project.root / "docs").mkdir()
    (project.root / "docs/page.md").write_text("demo 1.2.0\n")
    project.commit("Write it down")
    project.git("sparse-checkout", "set", "--no-cone", "/*", "!/docs/")
    raising = Project(project.work.having(version_files=("docs/page.md",)))
    with pytest.raises(GitError, match=r"docs/page.md \(sparse: not checked out\)") as told:
        raising.release(part="minor")
    subprocess.run(str(told.value.run).partition(", then")[0], shell=True, cwd=project.root, check=True)
    assert raising.release(part="minor").dirty == ()
    assert project.git("show", "HEAD:docs/page.md") == "demo 1.3.0"


def test_a_chart_at_the_root(loose: Project) -> None:
    root = loose.root.parent / "root"
    write_chart(root)
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    (root / ".gitignore").write_text("/dist\n/.registry\n")
    (root / ".yamllint.yaml").write_text((loose.root / ".yamllint.yaml").read_text())
    project = at(loose, root)
    project = Project(
        replace(project.work, config=replace(project.config, chart=root, changelog=root / "CHANGELOG.md"))
    )
    project.git("init", "--quiet", "--initial-branch=main")
    project.commit("First")
    project.git("remote", "add", "origin", "https://user:token-abcdef@example.org/x")
    with pytest.raises(SecretError, match=r"(?s)secret: .git\n.*the inside of a repository.*\.helmignore"):
        project.release()
    assert project.published() == {}
    (root / ".helmignore").write_text(".git\ndist\n.registry\n")
    project.commit("Leave the repository out")
    assert project.release(part="minor").dirty == ()


NO_KEY = b64encode(b"-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n").decode()
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{'A' * 64}\n-----END RSA PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("files/tls.key", "x"),
        ("ci/.env", "A=b\n"),
        ("files/kubeconfig", "apiVersion: v1\n"),
        ("files/x.yaml", "apiVersion: v1\nkind: Config\nclusters: []\nusers: []\n"),
        (".docker/config.json", "{}"),
        ("files/config.json", '{"auths": {"example.org": {"auth": "dXNlcjpwYXNz"}}}'),
        ("secrets.yaml", "password: x\n"),
        ("id_ed25519", "x"),
        ("files/hub.txt", f"dckr_pat_{'a' * 27}\n"),
        ("files/index.txt", f"pypi-AgEI{'a' * 60}\n"),
        ("files/cloud.ini", f"[default]\naws_secret_access_key = {'A' * 40}\n"),
        ("files/cert.pem", f"-----BEGIN PRIVATE KEY-----\n{'A' * 64}\n-----END PRIVATE KEY-----\n"),
        ("templates/token.yaml", f"token: ghp_{'a1' * 18}\n"),
        ("files/kc.json", '{"apiVersion": "v1", "kind": "Config", "clusters": [], "users": []}'),
        ("files/copy.git/config", "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"),
        ("files/prod.tfvars", "a = 1\n"),
        ("templates/tls.yaml", f"kind: Secret\ndata:\n  tls.key: {b64encode(PEM.encode()).decode()}\n"),
        ("files/azure.txt", f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={'a' * 86}==\n"),
        ("files/hook.txt", f"https://hooks.slack.com/services/T{'0' * 8}/B{'0' * 8}/{'x' * 24}\n"),
    ],
)
def test_what_looks_like_a_secret_is_refused_by_name(project: Project, name: str, content: str) -> None:
    file = project.root / "chart" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    project.commit("Add it")
    what = name if not name.startswith(".docker/") else ".docker"
    for attempt in (project.release, lambda: digest(project)):
        with pytest.raises(
            SecretError, match=rf"(?s)looks like a secret: {what}\n.* \w+/{what} .*GATI_MEANT_FILES={what}"
        ):
            attempt()
    assert project.published() == {}
    assert not project.config.dist.exists()
    meant = Project(replace(project.work, config=replace(project.config, meant_files=(what,))))
    assert digest(meant)


def test_a_secret_is_taken_out_of_what_cannot_be_left_out() -> None:
    for name, way in (
        (".env", "name it in .helmignore"),
        ("charts/sub/.env", "take it out of that dependency"),
        ("values.yaml", "take it out of that file"),
    ):
        with pytest.raises(SecretError, match=way):
            refuse_secrets({"demo/Chart.yaml": b"", f"demo/{name}": b"token: ghp_" + b"a" * 36}, ())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("files/.env.example", "A=b\n"),
        ("templates/secrets.yaml", "a: 1\n"),
        ("crds/secrets.example.com_vaults.yaml", "---\napiVersion: x\nkind: CustomResourceDefinition\n"),
        ("secrets.yaml", "a: ENC[x]\nsops:\n  mac: x\n"),
        ("NOTES.md", "Paste it:\n\n-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n"),
        ("README.md", PEM.replace("A\n", "A\n...\n")),
        ("files/ca.pem", f"-----BEGIN CERTIFICATE-----\n{'A' * 64}\n-----END CERTIFICATE-----\n"),
        (
            "templates/_login.tpl",
            "kind: Config\nusers:\nclusters: []\n# {'auths':{%s:{'auth':'%s'}}}\n".replace("'", '"'),
        ),
        (
            "templates/ca.yaml",
            f"ca: {b64encode(b'-----BEGIN CERTIFICATE-----').decode()}\nkey: {NO_KEY}\nb: {'c' * 99}\n",
        ),
        (
            "templates/_url.tpl",
            "https://{{ .Values.user }}:{{ .Values.password }}@example.org {{/* https://me:YOUR_TOKEN@a.example */}}\n",
        ),
        ("README.md", f"accessKey: AKIA{'A' * 9}EXAMPLE\naws_secret_access_key: {'a' * 30}EXAMPLEKEY\n"),
    ],
)
def test_what_only_speaks_of_secrets_is_packed(project: Project, name: str, content: str) -> None:
    file = project.root / "chart" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    project.commit("Add it")
    assert digest(project)


SETTINGS = {
    "log.showSignature": "true",
    "color.ui": "always",
    "core.pager": "false",
    "commit.template": "/nonexistent",
    "commit.verbose": "true",
    "commit.cleanup": "scissors",
    "core.commentChar": "R",
    "core.quotePath": "true",
    "status.showUntrackedFiles": "no",
    "status.relativePaths": "true",
    "core.editor": "false",
    "format.pretty": "raw",
    "core.abbrev": "4",
    "push.default": "nothing",
    "diff.noprefix": "true",
    "core.fileMode": "false",
    "submodule.recurse": "true",
    "core.fsmonitor": "/bin/false",
    "tag.sort": "-version:refname",
    "column.ui": "always",
}


def test_settings_of_the_user_change_nothing(project: Project, tmp_path: Path) -> None:
    (project.root / "chart/ünï cödé.txt").write_text("x")
    project.commit("Add a name")
    for name, value in SETTINGS.items():
        project.git("config", "--global", name, value)
    record = project.release(part="minor", tag=True)
    assert project.git("tag", "--list", "--no-column") == "demo-1.3.0"
    assert project.git("cat-file", "commit", "HEAD").endswith("\n\nRelease demo 1.3.0")
    assert project.release(part="minor", tag=True) == record
    (project.root / "chart/new.txt").write_text("x")
    with prepared(project.work, Options(), dry_run=True) as ready:
        assert [str(difference) for difference in ready.facts.dirty] == ["chart/new.txt (not tracked by git)"]


def test_variables_of_a_hook_change_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = digest(project)
    for name, value in {"GIT_DIR": "/nonexistent", "GIT_INDEX_FILE": "/nonexistent", "GIT_WORK_TREE": "/tmp"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nonexistent")
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "0")
    monkeypatch.setenv("GIT_INTERNAL_SUPER_PREFIX", "outer/")
    assert digest(project) == wanted


def hook(project: Project, name: str, script: str) -> None:
    file = project.root / ".git/hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\nset -e\n{script}\n")
    file.chmod(0o755)


def test_a_hook_that_rewrites_the_chart_is_released_as_it_rewrote_it(project: Project) -> None:
    hook(project, "pre-commit", "sed -i 's/^description:.*/description: Rewritten/' chart/Chart.yaml\ngit add chart/*")
    said: list[str] = []
    record = project.release(part="minor", tag=True, say=said.append)
    assert [line for line in said if line.startswith("a hook changed")]
    members = read_members((project.config.dist / record.archive).read_bytes(), "it")
    assert b"description: Rewritten" in members["demo/Chart.yaml"]
    assert record.commit == project.git("rev-parse", "demo-1.3.0^{commit}")
    assert project.git("status", "--porcelain") == ""
    assert project.release(part="minor", tag=True) == record


def test_a_hook_that_changes_the_message_leads_to_no_second_release(project: Project) -> None:
    hook(project, "commit-msg", 'sed -i "1s/^/[CHART-1] /" "$1"')
    record = project.release(part="minor")
    assert project.git("log", "-1", "--format=%s") == "[CHART-1] Release demo 1.3.0"
    assert project.release(part="minor") == record
    assert list(project.published()) == ["1.3.0"]


@pytest.mark.parametrize("kept", ["CHANGELOG.md", None])
def test_what_a_hook_commits_after_the_release_belongs_to_it(project: Project, kept: str | None) -> None:
    if kept is None:  # then nothing but git's own log tells that there is nothing to release
        (project.root / "CHANGELOG.md").unlink()
        project.commit("Keep no changelog")
    generate = "echo x >> generated.txt; git add generated.txt; git commit --quiet --message Generated"
    hook(project, "post-commit", f'[ -z "$HOOKED" ] || exit 0\nexport HOOKED=1\n{generate}\n{generate}')
    record = project.release(part="minor", tag=True)
    assert project.git("log", "--format=%s", "-3").split("\n") == ["Generated", "Generated", "Release demo 1.3.0"]
    assert record.commit == project.git("rev-parse", "HEAD") == project.git("rev-parse", "demo-1.3.0^{commit}")
    assert project.release(part="minor", tag=True) == record
    assert list(project.published()) == ["1.3.0"]
    project.git("-c", "core.hooksPath=/dev/null", "commit", "--quiet", "--allow-empty", "--message", "Mine")
    if kept is None:
        assert project.release(part="minor").version == "1.4.0"
    else:
        with pytest.raises(ChangelogError, match="nothing stands under Unreleased"):
            project.release(part="minor")


def test_a_tag_that_a_hook_makes_is_the_releases_or_stops_it_before_the_push(project: Project) -> None:
    hook(project, "post-commit", "git tag demo-1.3.0")
    record = project.release(part="minor", tag=True)
    assert record.tag == "demo-1.3.0"
    assert project.release(part="minor", tag=True) == record
    (project.root / "CHANGELOG.md").write_text(CHANGELOG.replace("1.2.0", "1.3.0"))
    project.commit("Say more")
    hook(project, "post-commit", "git tag demo-1.4.0 HEAD~1")
    with pytest.raises(GitError, match=r"the git tag demo-1.4.0 is at another commit"):
        project.release(part="minor", tag=True)
    assert list(project.published()) == ["1.3.0"]


def test_a_hook_that_commits_in_the_middle_leaves_nothing_of_ours(project: Project) -> None:
    hook(project, "pre-commit", "git update-ref HEAD $(git commit-tree -p HEAD -m Nested HEAD^{tree})")
    with pytest.raises(GitError, match=r"(?s)git commit failed.*cannot lock ref"):
        project.release(part="minor")
    assert project.git("status", "--porcelain") == ""


def test_a_hook_that_mends_what_is_committed_and_fails_is_given_its_way(project: Project) -> None:
    hook(project, "pre-commit", "! grep -q demo-1.3.0 CHANGELOG.md || { echo >> CHANGELOG.md; echo Mended; exit 1; }")
    with pytest.raises(GitError, match=r"(?s)git commit failed.*Mended") as told:
        project.release(part="minor")
    assert str(told.value.run).startswith("invoke version-bump --version 1.3.0, then git commit --all, then ")
    assert project.git("status", "--porcelain") == ""
    mended = re.search(r"CHANGELOG.md as it was: git (cat-file blob \w+)", str(told.value))
    assert mended is not None  # by the hook, or by a person while it ran
    assert "## [1.3.0]" in project.git(*mended[1].split())


@pytest.mark.parametrize(("name", "made"), [("pre-commit", False), ("post-commit", True)])
def test_a_hook_that_does_not_end_is_ended_and_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str, made: bool
) -> None:
    monkeypatch.setattr("scripts.core.git._HOOKS", 2.0)
    hook(project, name, "exec sleep 30")
    with pytest.raises(GitError, match=r"git commit was still running after 2 s in") as told:
        project.release(part="minor")
    assert str(told.value.run).startswith("see what it waits for" if made else "invoke version-bump --version 1.3.0")
    (project.root / ".git/hooks" / name).unlink()
    assert project.git("status", "--porcelain") == ""
    assert project.release(part="minor").version == "1.3.0"
    assert project.git("rev-list", "--count", "HEAD") == "2"


def test_a_hook_that_wants_another_message_gets_a_commit_of_ones_own(project: Project) -> None:
    hook(project, "commit-msg", 'grep -qE "^chore: " "$1" || { echo "type may not be empty"; exit 1; }')
    with pytest.raises(GitError, match="type may not be empty") as told:
        project.release(part="minor", tag=True)
    assert str(told.value.run).startswith("invoke version-bump --version 1.3.0, then git commit --all, then ")
    untouched(project)
    edits.apply(read_bump(project.work, Request(version="1.3.0")).edits)
    project.commit("chore: release 1.3.0")
    assert project.release(part="minor", tag=True).commit == project.git("rev-parse", "demo-1.3.0^{commit}")


@pytest.mark.parametrize("name", ["chart/Chart.yaml", "CHANGELOG.md"])
def test_what_a_person_writes_just_before_the_commit_is_kept_and_not_in_it(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = project.root / name
    written, make = file.read_bytes() + b"# Mine\n", Repository.make_commit

    def late(repository: Repository, message: str, files: Mapping[Path, bytes]) -> str:
        file.write_bytes(written)
        return make(repository, message, files)

    monkeypatch.setattr(Repository, "make_commit", late)
    with pytest.raises(GitError, match=rf"not committed(?s:.*){name} \(changed\)") as told:
        project.release(part="minor")
    assert "raises demo to 1.3.0" in str(told.value.done)
    assert file.read_bytes() == written
    assert "Mine" not in project.git("show", f"HEAD:{name}")
    project.git("checkout", "--", name)
    assert project.release(part="minor").version == "1.3.0"


def test_a_hook_knows_more_letters_than_ascii(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    hook(project, "pre-commit", "locale charmap > ../letters")
    project.release(part="minor")
    assert (project.root.parent / "letters").read_text() == "UTF-8\n"


@pytest.mark.parametrize(
    "script",
    [
        "sed -i 's/^version:.*/version: 1.3.7/' chart/Chart.yaml\ngit add chart/Chart.yaml",
        "git reset --quiet -- chart/Chart.yaml",
        "git reset --quiet -- CHANGELOG.md",
    ],
    ids=["another version", "no version", "no changelog"],
)
def test_a_commit_that_a_hook_makes_another_one_is_taken_back(project: Project, script: str) -> None:
    head = project.git("rev-parse", "HEAD")
    hook(project, "pre-commit", script)
    with pytest.raises(GitError, match=r"hook changed the version") as told:
        project.release(part="minor", tag=True)
    assert told.value.done is None
    assert project.git("rev-parse", "HEAD") == head
    assert project.git("status", "--porcelain") == ""
    assert project.published() == {}


def while_checking(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Has somebody else `act` while a release checks the chart."""
    prepare = Release._prepare

    def meddled(release: Release) -> None:
        prepare(release)
        act()

    monkeypatch.setattr(Release, "_prepare", meddled)


@pytest.mark.parametrize("refused", [False, True], ids=["by the edit", "by something else"])
def test_what_a_person_writes_while_the_chart_is_checked_is_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    file = project.root / "CHANGELOG.md"
    written = file.read_text().replace("- A second replica", "- A second replica\n- Written meanwhile")

    def act() -> None:
        file.write_text(written)
        if refused:
            raise ChartError("a check")

    while_checking(monkeypatch, act)
    with pytest.raises(ReleaseError, match=r"a check|(?s:not committed.*CHANGELOG\.md)"):
        project.release(part="minor")
    assert file.read_text() == written
    assert project.git("status", "--porcelain") == "M CHANGELOG.md"


def test_another_file_that_a_person_changes_meanwhile_is_found_before_the_commit(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, file = project.git("rev-parse", "HEAD"), project.config.chart / "values.yaml"
    while_checking(monkeypatch, lambda: file.write_text("replicas: 3\n"))
    with pytest.raises(GitError, match=r"(?s)not committed.*values\.yaml \(changed\)"):
        project.release(part="minor")
    assert project.git("rev-parse", "HEAD") == head
    assert project.git("status", "--porcelain") == "M chart/values.yaml"


def test_a_submodule_of_the_repository_is_told_how_to_become_as_it_was(project: Project) -> None:
    with_submodule(project)
    project.git("mv", "chart/files", "files")
    project.commit("Move it out of the chart")
    (project.root / "files/x.txt").write_text("y")
    with pytest.raises(GitError, match=r"not committed(?s:.*)files \(in a submodule that is not") as told:
        project.plan(part="minor")
    assert str(told.value.run).endswith("and git submodule update --init --recursive, then the same command again")


def test_a_bump_is_not_put_on_commits_that_were_not_checked(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    while_checking(monkeypatch, lambda: project.git("commit", "--quiet", "--allow-empty", "--message", "Meanwhile"))
    with pytest.raises(GitError, match="HEAD has moved while the new version was checked"):
        project.release(part="minor")
    assert project.git("log", "--format=%s", "--max-count=1") == "Meanwhile"
    assert project.git("status", "--porcelain") == ""


def test_a_hook_sees_the_files_in_the_index(project: Project) -> None:
    hook(project, "pre-commit", "echo generated > docs.txt\ngit add 'doc*.txt'")
    project.release(part="minor")
    assert project.git("show", "--name-only", "--format=").split() == ["CHANGELOG.md", "chart/Chart.yaml", "docs.txt"]
    assert project.git("status", "--porcelain") == ""


def untouched(project: Project) -> None:
    assert project.published() == {}
    assert project.git("log", "--format=%s") == "Add the chart"
    assert project.git("status", "--porcelain") == ""


@pytest.mark.parametrize("options", [{"part": "minor"}, {"tag": True}], ids=str)
def test_without_a_name_nothing_is_begun(
    project: Project, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("EMAIL", "")
    project.git("config", "user.useConfigOnly", "true")
    with pytest.raises(GitError, match=r"(?s)does not know who you are.*git config user.name"):
        project.release(**options)
    monkeypatch.setenv("GIT_AUTHOR_DATE", "soon")
    monkeypatch.setenv("GIT_COMMITTER_NAME", "<>")
    with pytest.raises(GitError, match=r"next:     unset GIT_AUTHOR_DATE GIT_COMMITTER_NAME"):
        project.release(**options)
    untouched(project)


def test_a_key_that_is_not_there_is_found_before_the_push(project: Project) -> None:
    project.git("config", "tag.gpgSign", "true")
    project.git("config", "user.signingKey", "nobody")
    before = project.git("count-objects")
    with pytest.raises(GitError, match=r"(?s)tag.gpgSign asks for signatures.*git config tag.gpgSign false"):
        project.release(tag=True)
    untouched(project)
    assert project.git("count-objects") == before


def test_signed_tags_are_made_and_believed(project: Project, tmp_path: Path) -> None:
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"), check=True)
    (tmp_path / "signers").write_text(f"tester@example.org {(tmp_path / 'key.pub').read_text()}")
    for name, value in {
        "tag.gpgSign": "true",
        "commit.gpgSign": "true",
        "gpg.format": "ssh",
        "user.signingKey": f"{tmp_path}/key",
        "gpg.ssh.allowedSignersFile": f"{tmp_path}/signers",
    }.items():
        project.git("config", name, value)
    project.release(part="minor", tag=True)
    project.git("verify-tag", "demo-1.3.0")
    project.git("verify-commit", "HEAD")


def test_what_cannot_be_fetched_is_not_taken_for_absent(project: Project) -> None:
    project.git("config", "uploadpack.allowFilter", "true")
    (project.root / "chart/values.yaml").write_text("replicas: 9\n")
    project.commit("Change it")
    partial = clone(project, "partial", "--filter=tree:0")
    project.root.rename(project.root.with_name("gone"))
    with (
        pytest.raises(GitError, match=r"(?s)git ls-tree failed.*partial") as told,
        earlier_chart(partial.work, "git:HEAD~1"),
    ):
        pass
    assert "there is no chart" not in str(told.value)
    assert "partial clone reachable" in str(told.value.run)


def test_a_tag_that_cannot_be_made_is_found_before_the_push(project: Project) -> None:
    project.git("tag", "demo-1.2.0/old")  # a folder where the tag would be a file
    with pytest.raises(GitError, match=r"the git tag demo-1\.2\.0 cannot be made"):
        project.release(tag=True)
    untouched(project)


def test_a_place_for_the_record_is_seen_to_before_the_push(project: Project) -> None:
    (project.config.dist / "demo.release.json").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"demo.release.json cannot be written"):
        project.release(part="minor")
    untouched(project)


def test_a_head_without_a_branch_is_said_before(project: Project) -> None:
    project.git("checkout", "--quiet", "--detach")
    with prepared(project.work, Options(part="patch"), dry_run=True) as ready:
        assert [
            note for note in ready.facts.notes if note.startswith("HEAD is detached: the commit belongs to no branch")
        ]
    for options in (Options(), Options(tag=True)):  # as CI checks out the tip of a branch
        with prepared(project.work, options, dry_run=True) as ready:
            assert ready.facts.notes == ()
    assert project.release(part="patch").version == "1.2.1"
    with prepared(project.work, Options(tag=True), dry_run=True) as ready:
        assert ready.facts.notes == ("HEAD is detached: the tag is at a commit of no branch here",)


def test_a_tag_that_the_remote_has_is_not_pushed_again(project: Project) -> None:
    theirs = project.root.parent / "theirs"
    project.git("clone", "--quiet", "--bare", ".", str(theirs))
    project.git("remote", "add", "origin", str(theirs))
    project.release(tag=True)
    first = "git push --set-upstream origin main && git push origin tag demo-1.2.0"
    for push in (first, "git push origin main"):
        with prepared(project.work, Options(tag=True), dry_run=True) as ready:
            assert ready.push_command() == push
        for step in push.split(" && "):
            project.git(*shlex.split(step)[1:])
    project.git("tag", "--force", "demo-1.2.0", "HEAD")  # as a workflow for a tag has it, which git would not push
    project.git("switch", "--quiet", "--detach")
    with prepared(project.work, Options(tag=True), dry_run=True) as ready:
        assert ready.push_command() is None


def test_a_branch_that_is_behind_is_said_before(project: Project) -> None:
    other = clone(project, "other")
    (project.root / "notes.txt").write_text("x")
    project.commit("Go on")
    other.git("fetch", "--quiet")
    with prepared(other.work, Options(tag=True), dry_run=True) as ready:
        assert [note for note in ready.facts.notes if "1 commit behind its upstream" in note]


def test_a_version_that_others_have_pushed_meanwhile_is_fetched_first(project: Project) -> None:
    theirs = project.root.parent / "theirs"
    project.git("clone", "--quiet", "--bare", ".", str(theirs))
    project.git("remote", "add", "origin", str(theirs))
    assert project.release(part="minor").version == "1.3.0"
    project.git("push", "--quiet", "origin", "main")
    project.git("reset", "--quiet", "--hard", "HEAD~1")
    with pytest.raises(VersionError, match=r"1.3.0 is not above the latest version of demo") as told:
        project.release(part="minor")
    assert str(told.value.run).startswith("git pull --rebase, then")


def test_a_remote_that_does_not_answer_is_asked_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    def remote(self: Repository, tag: str) -> None:
        asked.append(tag)
        raise GitError("origin cannot be asked", found="nothing within 30 s")

    monkeypatch.setattr(Repository, "remote", remote)
    project.release(part="minor", tag=True)
    assert asked == ["demo-1.3.0"]


def test_what_was_done_is_said_when_something_fails_later(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr("scripts.release.plan.write_record", full)
    with pytest.raises(OutputError) as told:
        project.release(part="minor", tag=True)
    lines = str(told.value).splitlines()
    assert "committed" in lines[1]
    assert "pushed oci://" in lines[2]
    assert [line.split() for line in lines if line.startswith(("  not done", "  next"))] == [
        ["not", "done:", "record"],
        ["next:", "the", "same", "command", "again"],
    ]
    assert list(project.published()) == ["1.3.0"]


def test_a_broken_chart_is_named_where_it_lies(project: Project) -> None:
    (project.root / "chart/templates/map.yaml").write_text("a: {{ fail .Values }}\n")
    project.commit("Break it")
    with pytest.raises(Exception, match=r"chart/templates/map.yaml:1") as told:
        project.release()
    assert "gati-committed" not in str(told.value) + (project.config.dist / "demo.lint.json").read_text()
    (project.root / "chart/Chart.yaml").write_text("a: [\n")
    project.commit("Break it more")
    with pytest.raises(ChartError, match=r"chart/Chart.yaml:2"):
        digest(project)
