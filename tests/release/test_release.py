"""A release does what is missing, once; refuses what it must not do, and then changes nothing."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.chart.archive import read_members
from scripts.chart.source import read_chart
from scripts.checks.baseline import earlier_chart
from scripts.core import edits
from scripts.core.command import Result, Runner
from scripts.core.errors import (
    OUTSIDE,
    ChangelogError,
    ChartError,
    FindingsError,
    GitError,
    OutputError,
    PartError,
    RegistryError,
    ReleaseError,
    VersionError,
)
from scripts.registry.client import INDEX_TYPE
from scripts.registry.embedded import fetch_chart, registry_for
from scripts.registry.transport import Answer, Transport
from scripts.release.announce import Step
from scripts.release.bump import Request, read_bump
from scripts.release.plan import Options, prepared
from scripts.release.proof import Demand, prove
from scripts.release.several import candidates, release_all
from scripts.report.inputs import objection
from tests.registry.quirks import Quirks, Quirky
from tests.registry.servers import Reply, scripted
from tests.release.conftest import TODAY, Project, write_chart


def test_a_release_publishes_the_commit_and_records_it(project: Project) -> None:
    record = project.release()
    archive = project.config.dist / "demo-1.2.0.tgz"
    assert record.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert project.published() == {"1.2.0": record.digest}
    assert record.commit == project.git("rev-parse", "HEAD")
    assert record.reference.endswith("/charts/demo:1.2.0")
    assert (record.app_version, record.tag, record.registry) == ("7", None, "embedded")
    assert record.tools["helm"] == project.toolchain.version("helm")
    assert record.started <= record.finished
    assert {"checks", "package", "publish", "verify"} <= record.seconds.keys()
    written = project.record()
    assert (written["schema_version"], written["digest"]) == (1, record.digest)
    assert objection("release", written) == ""
    attached = {proof.rpartition(" ")[0] for proof in written["proofs"]}
    assert attached == {"release record", "provenance", "SBOM", "changelog entry"}
    assert not any(proof.startswith("signature") for proof in written["proofs"])
    assert project.git("status", "--porcelain") == ""
    assert project.git("tag") == ""


def test_a_second_run_has_nothing_to_do(project: Project) -> None:
    first = project.release(tag=True)
    before = project.files()
    said: list[str] = []
    assert set(project.plan(tag=True).values()) == {"same"}
    assert project.release(tag=True, say=said.append) == first
    assert [line for line in said if not line.startswith("embedded registry")] == []
    assert project.files() == before


def test_git_is_asked_once_for_what_a_commit_holds(project: Project) -> None:
    asked: list[str] = []
    own = Project(replace(project.work, runner=Runner(echo=asked.append)))
    own.release(part="minor")
    lines = [line for line in asked if " ls-tree " in line or " --filters " in line]
    assert sorted(lines) == sorted(set(lines)) != []


def test_what_was_lost_is_done_again_and_nothing_else(project: Project) -> None:
    first = project.release()
    (project.config.dist / "demo-1.2.0.tgz").unlink()
    said: list[str] = []
    assert project.plan()["package"] == "absent"
    assert project.release(say=said.append).digest == first.digest
    assert not [line for line in said if line.startswith("pushing")]
    (project.config.dist / "demo.release.json").write_text("{")
    assert {name for name, state in project.plan().items() if state == "absent"} == {"lint", "validate", "record"}


def test_of_several_charts_those_that_are_not_finished_are_gone_on_with(project: Project) -> None:
    charts, asked = [read_chart(project.config.chart)], Options(tag=True)

    def release() -> list[str]:
        found = candidates(project.work, charts, asked, dry_run=False)
        return [record.digest for record in release_all(project.work, found, asked)]

    first = release()
    assert release() == []
    (project.config.dist / "demo.release.json").unlink()  # it was killed before that was written
    assert release() == first
    project.git("tag", "--delete", "demo-1.2.0")  # it was killed before that was made
    assert release() == first
    assert project.git("tag") == "demo-1.2.0"
    project.git("commit", "--quiet", "--allow-empty", "--message", "Something else")
    assert release() == []


def test_a_dry_run_leaves_no_trace(project: Project) -> None:
    before = project.files()
    plan = project.plan(part="minor", tag=True)
    assert plan == dict.fromkeys(
        ("bump", "lint", "validate", "package", "attach", "publish", "verify", "tag", "record"), "absent"
    )
    assert project.files() == before

    project.release()
    before = project.files()
    assert set(project.plan().values()) == {"same"}
    assert project.files() == before


def test_bump_commits_tags_and_publishes_the_new_version(project: Project) -> None:
    record = project.release(part="minor", tag=True)
    assert record.version == "1.3.0"
    assert project.published() == {"1.3.0": record.digest}
    assert project.git("log", "--format=%s") == "Release demo 1.3.0\nAdd the chart"
    assert project.git("rev-parse", "demo-1.3.0^{commit}") == record.commit == project.git("rev-parse", "HEAD")
    assert project.git("cat-file", "-t", "demo-1.3.0") == "tag"  # annotated
    assert project.git("status", "--porcelain") == ""
    assert "## [1.3.0] - 2026-11-25" in (project.root / "CHANGELOG.md").read_text()
    packed = read_members((project.config.dist / "demo-1.3.0.tgz").read_bytes(), "it")
    assert b"A second replica" in packed["demo/Chart.yaml"]

    assert set(project.plan(part="minor", tag=True).values()) == {"same"}
    assert project.release(part="minor", tag=True) == record  # the same bump, not another


def test_a_failed_check_takes_the_bump_back(project: Project) -> None:
    (project.root / "chart/templates/map.yaml").write_text("a: {{ fail .Values }}\n")
    project.commit("Break a template")
    before = project.files()
    with pytest.raises(FindingsError, match=r"(?s)not clean.*templates/map.yaml"):
        project.release(part="minor")
    assert {
        name: text for name, text in project.files().items() if not name.startswith((".registry", "dist"))
    } == before
    assert project.git("log", "--format=%s") == "Break a template\nAdd the chart"
    assert project.published() == {}


def test_an_object_that_kubernetes_refuses_is_named(project: Project) -> None:
    template = project.root / "chart/templates/map.yaml"
    template.write_text(template.read_text() + "nonsense: true\n")
    project.commit("Add an unknown field")
    with pytest.raises(FindingsError, match=r"(?s)not valid.*templates/map.yaml: ConfigMap/demo: .*nonsense"):
        project.release()
    assert project.published() == {}


def test_a_failing_commit_hook_takes_the_bump_back(project: Project) -> None:
    hook = project.root / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no commits today >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(GitError, match="no commits today"):
        project.release(part="patch")
    assert project.git("status", "--porcelain") == ""
    assert project.published() == {}


@pytest.mark.parametrize("where", ["chart/values.yaml", "chart/templates/new.yaml", "CHANGELOG.md"])
def test_what_no_commit_holds_is_not_published(project: Project, where: str) -> None:
    file = project.root / where
    file.write_text((file.read_text() if file.exists() else "") + "# more\n")
    with pytest.raises(GitError, match=rf"(?s)not committed.*{where}"):
        project.release()
    assert project.published() == {}
    assert (project.config.dist / "demo.lint.json").exists()  # the checks came first

    record = project.release(allow_dirty=True)
    assert list(record.dirty) == [where]
    with pytest.raises(GitError, match="or no --tag"):
        project.release(allow_dirty=True, tag=True)


def test_what_an_earlier_run_has_left_is_nobodys_change(project: Project) -> None:
    (project.root / ".gitignore").unlink()
    project.commit("Ignore nothing")
    project.release()
    assert project.git("status", "--porcelain") == "?? .registry/\n?? dist/"
    assert project.release(part="minor").version == "1.3.0"
    changelog = project.root / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## [Unreleased]", "## [Unreleased]\n\n### Fixed\n\n- It"))
    project.git("commit", "--quiet", "--all", "--message", "Write what is fixed")
    assert read_bump(project.work, Request("patch")).new == "1.3.1"
    (project.root / "dist/notes.txt").write_text("")
    project.git("add", "--force", "dist/notes.txt")
    project.git("commit", "--quiet", "--message", "Keep notes there")
    (project.root / "dist/notes.txt").write_text("mine\n")
    with pytest.raises(GitError, match=r"dist/notes\.txt"):
        read_bump(project.work, Request("patch"))


def test_other_files_may_be_uncommitted(project: Project) -> None:
    (project.root / "notes.txt").write_text("to do\n")
    assert project.release().dirty == ()
    with pytest.raises(GitError, match=r"(?s)not committed.*notes.txt"):  # a bump makes a commit
        project.release(part="minor")


def test_a_tag_at_another_commit_is_refused_before_anything_is_done(project: Project) -> None:
    project.git("tag", "demo-1.2.0")
    (project.root / "notes.txt").write_text("later\n")
    project.commit("Write notes")
    before = project.files()
    assert project.plan(tag=True)["tag"] == "different"
    with pytest.raises(GitError, match="is at another commit"):
        project.release(tag=True)
    assert {name for name in project.files() if not name.startswith(".registry")} == set(before)
    assert project.published() == {}


class TestRemote:
    """What only the remote has is known before anything is done, and not by a `git push` at the end."""

    @pytest.fixture
    def other(self, project: Project) -> Path:
        """Somebody else's clone, which pushes to the same remote."""
        bare, clone = project.root.parent / "origin.git", project.root.parent / "other"
        project.git("clone", "--quiet", "--bare", ".", str(bare))
        project.git("remote", "add", "origin", str(bare))
        project.git("push", "--quiet", "--set-upstream", "origin", "HEAD")
        project.git("clone", "--quiet", str(bare), str(clone))
        return clone

    @staticmethod
    def elsewhere(project: Project, other: Path, *words: str) -> None:
        project.git("-C", str(other), *words)

    @pytest.mark.parametrize(("part", "version"), [(None, "1.2.0"), ("minor", "1.3.0")])
    def test_a_tag_at_another_commit(self, project: Project, other: Path, part: str | None, version: str) -> None:
        self.elsewhere(project, other, "commit", "--quiet", "--allow-empty", "--message", "Theirs")
        self.elsewhere(project, other, "tag", "--annotate", "--message", "theirs", f"demo-{version}")
        self.elsewhere(project, other, "push", "--quiet", "origin", f"demo-{version}")
        before = project.files()
        assert project.plan(part=part, tag=True)["tag"] == "different"
        told = rf"(?s)tag demo-{version} is at another commit.*at the remote origin.*git fetch --force origin tag demo"
        with pytest.raises(GitError, match=told):
            project.release(part=part, tag=True)
        assert {name for name in project.files() if not name.startswith(".registry")} == set(before)
        assert project.git("log", "--format=%s") == "Add the chart"
        assert project.published() == {}
        assert project.plan(part=part)["publish"] == "absent"  # which asks for no tag

    def test_the_tag_of_this_commit_is_taken(self, project: Project, other: Path) -> None:
        self.elsewhere(project, other, "tag", "--annotate", "--message", "theirs", "demo-1.2.0")
        self.elsewhere(project, other, "push", "--quiet", "origin", "demo-1.2.0")
        project.release(tag=True)
        assert project.git("for-each-ref", "--format=%(contents:subject)", "refs/tags/demo-1.2.0") == "theirs"
        project.git("push", "--quiet", "--follow-tags")
        assert set(project.plan(tag=True).values()) == {"same"}

    def test_another_tag_of_this_commit_is_told(self, project: Project, other: Path) -> None:
        self.elsewhere(project, other, "tag", "demo-1.2.0")
        self.elsewhere(project, other, "push", "--quiet", "origin", "demo-1.2.0")
        project.git("tag", "--annotate", "--message", "ours", "demo-1.2.0")
        with prepared(project.work, Options(tag=True), today=TODAY, dry_run=True) as ready:
            assert [note for note in ready.facts.notes if "git fetch --force origin tag demo-1.2.0" in note]

    def test_commits_that_nobody_has_fetched_are_told(self, project: Project, other: Path) -> None:
        self.elsewhere(project, other, "commit", "--quiet", "--allow-empty", "--message", "Theirs")
        self.elsewhere(project, other, "push", "--quiet")
        for part, tag in (("minor", False), (None, True)):
            with prepared(project.work, Options(part=part, tag=tag), today=TODAY, dry_run=True) as ready:
                assert [note for note in ready.facts.notes if note.startswith("origin has commits")]
        project.git("checkout", "--quiet", "--detach")
        with prepared(project.work, Options(tag=True), today=TODAY, dry_run=True) as ready:
            assert not ready.facts.notes

    @pytest.mark.parametrize(
        ("url", "words"),
        [("https://me:token-abcdef@127.0.0.1:9/demo", "unable to access"), ("/nowhere/demo", "does not appear to be")],
    )
    def test_that_cannot_be_asked_is_told_and_stops_nothing(
        self, project: Project, monkeypatch: pytest.MonkeyPatch, url: str, words: str
    ) -> None:
        monkeypatch.setenv("GIT_TRACE", "1")  # which is said before what the remote says
        project.git("remote", "add", "origin", url)
        with prepared(project.work, Options(tag=True), today=TODAY) as ready:
            (note,) = ready.facts.notes
            assert ready.run().tag == "demo-1.2.0"
        assert note.startswith("origin cannot be asked what it has of the tag demo-1.2.0: ")
        assert words in note
        assert "token" not in note


def test_another_chart_under_the_same_version_is_refused(project: Project) -> None:
    digest = project.release().digest
    write_chart(project.root / "chart", replicas=5)
    project.commit("Change the chart, and forget the version")
    archive = (project.config.dist / "demo-1.2.0.tgz").read_bytes()
    assert project.plan()["publish"] == "different"
    with pytest.raises(RegistryError, match=r"(?s)not overwritten.*invoke diff --from 1.2.0.*~ demo/values.yaml"):
        project.release()
    assert project.published() == {"1.2.0": digest}
    assert (project.config.dist / "demo-1.2.0.tgz").read_bytes() == archive


def test_an_unreachable_registry_is_refused_and_leaves_the_tree(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Project(project.work.having(registry="oci://127.0.0.1:9/charts"))
    before = project.files()
    once, tries = Transport._once, list[str]()

    def counted(self: Transport, asked: Any, url: str, *more: Any) -> Answer:
        tries.append(url)
        return once(self, asked, url, *more)

    monkeypatch.setattr(Transport, "_once", counted)
    assert away.plan()["publish"] == "unknown"
    assert (
        tries == ["https://127.0.0.1:9/v2/charts/demo/manifests/1.2.0"] * 4
    )  # and not once more for what was published before
    for part in (None, "minor"):
        with pytest.raises(RegistryError, match=r"127\.0\.0\.1:9"):
            away.release(part=part)
    assert project.files() == before
    assert project.git("log", "--format=%s") == "Add the chart"


def test_a_version_that_is_tagged_or_published_is_not_given_again(project: Project) -> None:
    project.git("tag", "demo-1.3.0")
    with pytest.raises(VersionError, match=r"(?s)1.3.0 is not above.*the git tag demo-1.3.0"):
        project.release(part="minor")
    project.git("tag", "--delete", "demo-1.3.0")
    project.release(part="minor")
    project.git("reset", "--quiet", "--hard", "HEAD~1")
    with pytest.raises(VersionError, match=r"(?s)1.3.0 is not above.*1.3.0 is published"):
        project.release(part="minor")


def test_git_is_asked_once_for_what_never_changes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, run = list[tuple[str, ...]](), Runner.run

    def counted(self: Runner, argv: Sequence[str], **options: Any) -> Result:
        if argv[0] == "git":
            asked.append((*argv, str(options.get("stdin"))))
        return run(self, argv, **options)

    monkeypatch.setattr(Runner, "run", counted)
    project.release(part="minor", tag=True)
    held = [words for words in asked if {"ls-tree", "cat-file", "rev-list"} & set(words)]
    assert len(set(held)) == len(held)
    assert len(asked) <= 50  # processes, which take more of a release than all the rest but helm


def test_nothing_unreleased_says_what_to_do(project: Project) -> None:
    (project.root / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-11-01\n")
    project.commit("Empty the changelog")
    with pytest.raises(ChangelogError, match=r"(?s)nothing stands under Unreleased.*without --bump: invoke release"):
        project.release(part="minor")
    project.git("tag", "demo-1.2.0")  # as where others' commits were merged before the release had ended
    with pytest.raises(ChangelogError, match=r"(?s)nothing stands under.*ended: git checkout tags/demo-1\.2\.0,"):
        project.release(part="minor")


@pytest.mark.parametrize("old", ["chart", ".", "charts/deep/demo"])
def test_a_chart_that_has_moved_is_judged_from_where_it_stood(project: Project, old: str) -> None:
    def move(chart: str, to: str) -> None:
        (project.root / to).mkdir(parents=True, exist_ok=True)
        for file in ("Chart.yaml", "values.yaml", "templates"):
            (project.root / chart / file).rename(project.root / to / file)

    (project.root / "chart/values.yaml").write_text("replicas: 2\ngone: true\n")
    if old != "chart":
        move("chart", old)
    project.commit("It stands here")
    project.git("tag", "demo-1.2.0")
    move(old, "helm")
    (project.root / "helm/values.yaml").write_text("replicas: 2\n")
    project.commit("Move")
    moved, said = Project(project.work.having(chart=project.root / "helm")), list[str]()
    moved.release(part="minor", say=said.append)
    assert "judging the step from git:demo-1.2.0" in said
    assert "gone" in (project.config.dist / "demo.judge.json").read_text()


def test_a_commit_that_moves_the_chart_and_raises_it_is_the_raise(project: Project) -> None:
    edits.apply(read_bump(project.work, Request("minor")).edits)
    project.git("mv", "chart", "helm")
    raised = project.commit("Release 1.3.0 from its new place")
    moved = Project(project.work.having(chart=project.root / "helm"))
    record = moved.release(part="minor", tag=True)
    assert (record.version, record.commit) == ("1.3.0", raised)


def test_a_tag_at_which_the_chart_is_not_to_be_found_is_said_and_passed_over(project: Project) -> None:
    shutil.copytree(project.root / "chart", project.root / "twin")
    project.commit("Two of one name")
    project.git("tag", "demo-1.2.0")
    project.git("rm", "--quiet", "-r", "twin")
    project.git("mv", "chart", "helm")
    project.commit("Move")
    moved, said = Project(project.work.having(chart=project.root / "helm")), list[str]()
    assert moved.release(part="minor", say=said.append).version == "1.3.0"
    assert any(line.startswith("note: at the git tag demo-1.2.0 no chart is at ") for line in said)
    assert "judge" not in moved.plan()


def test_without_a_changelog(project: Project) -> None:
    (project.root / "CHANGELOG.md").unlink()
    project.commit("Keep no changelog")
    said: list[str] = []
    record = project.release(part="major", say=said.append)
    assert [line for line in said if "there is no" in line and "CHANGELOG.md" in line]
    assert record.version == "2.0.0"
    assert project.release(part="major") == record


def test_outside_of_git(loose: Project) -> None:
    record = loose.release()
    assert (record.commit, record.tag) == (None, None)
    assert loose.published() == {"1.2.0": record.digest}
    plan = loose.plan()
    assert plan.pop("commit") == "unknown"
    assert set(plan.values()) == {"same"}
    for options, words in (
        ({"tag": True}, "--tag needs a commit"),
        ({"part": "minor"}, "--bump makes a commit"),
    ):
        with pytest.raises(GitError, match=words):
            loose.release(**options)


def test_a_chart_that_git_ignores_belongs_to_no_commit(project: Project) -> None:
    with (project.root / ".gitignore").open("a") as file:
        file.write("/chart/\n")
    project.git("rm", "--quiet", "-r", "--cached", "chart")
    project.commit("Ignore the chart")
    with pytest.raises(GitError, match="ignored by git"):
        project.release()


def test_no_chart(project: Project, tmp_path: Path) -> None:
    away = Project(project.work.having(chart=tmp_path / "nowhere"))
    with pytest.raises(ChartError, match=r"(?s)no chart at .*nowhere.*--chart PATH"):
        away.release()


def test_dist_that_cannot_be_written(project: Project) -> None:
    project.config.dist.write_text("a file where a folder should be")
    with pytest.raises(ReleaseError, match="cannot be written"):
        project.release(part="minor")
    assert project.git("status", "--porcelain") == ""
    assert project.git("log", "--format=%s") == "Add the chart"
    assert project.published() == {}


def test_a_place_that_helm_cannot_write_is_no_fault_of_the_chart(project: Project) -> None:
    with pytest.raises(OutputError, match=r"(?s)helm cannot write /proc/self.*no such file.*TMPDIR") as told:
        project.work.helm.package(project.config.chart, Path("/proc/self"), epoch=0)
    assert told.value.code == OUTSIDE


def test_what_helm_cannot_write_for_what_is_in_it_is_the_charts(project: Project, tmp_path: Path) -> None:
    text = (project.config.chart / "Chart.yaml").read_text(encoding="utf-8")
    text = f'{text.partition("annotations:")[0]}\nannotations: {{a: "\\x7f"}}\n'
    (project.config.chart / "Chart.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ChartError, match="control characters are not allowed"):
        project.work.helm.package(project.config.chart, tmp_path, epoch=0)


def test_damage_in_the_registry_is_found_by_a_later_run(project: Project) -> None:
    record = project.release()
    blob = project.config.embedded_registry / "sha256" / record.sha256
    blob.write_bytes(b"damaged")
    assert project.release().digest == record.digest  # what is damaged is dropped, and pushed again
    assert blob.read_bytes() == (project.config.dist / record.archive).read_bytes()


@pytest.mark.parametrize("content", ["[]", "{", "\ufeff{}"])
def test_a_damaged_file_of_logins_is_no_fault_of_a_chart_that_needs_none(
    project: Project, tmp_path: Path, content: str
) -> None:
    (tmp_path / "helm/registry").mkdir(parents=True)
    (tmp_path / "helm/registry/config.json").write_text(content)
    assert project.release().version == "1.2.0"


def test_helm_pulls_the_release(project: Project, tmp_path: Path) -> None:
    from scripts.registry.embedded import registry_for

    record = project.release()
    with registry_for(project.work) as registry:
        reference = f"{registry.reference('demo', '1.2.0')}"
        argv = (project.toolchain.path("helm"), "pull", reference, "--plain-http", "--destination", tmp_path)
        subprocess.run(argv, check=True, capture_output=True)
    assert hashlib.sha256((tmp_path / "demo-1.2.0.tgz").read_bytes()).hexdigest() == record.sha256


def unreleased(project: Project, entry: str) -> None:
    """Commit an entry of the changelog, as a change of the chart comes with one."""
    history = project.root / "CHANGELOG.md"
    text = history.read_text().replace("## [Unreleased]\n", f"## [Unreleased]\n\n### Fixed\n\n- {entry}\n", 1)
    history.write_text(text)
    project.commit(entry)


def test_a_release_that_is_merged_with_what_came_meanwhile(project: Project) -> None:
    project.git("switch", "--quiet", "--create", "waiting")
    project.release(part="minor", tag=True)
    project.git("switch", "--quiet", "main")
    (project.root / "chart/README.md").write_text("# demo\n")
    project.commit("A page")
    project.git("merge", "--quiet", "--no-commit", "--strategy", "ours", "waiting")
    project.git("checkout", "waiting", "--", "CHANGELOG.md", "chart/Chart.yaml")
    unreleased(project, "A page")
    with pytest.raises(GitError, match=r"tag demo-1\.3\.0 is at another commit"):
        project.release(part="minor", tag=True)
    assert project.release(part="patch", tag=True).version == "1.3.1"


def test_a_version_whose_commit_was_merged_with_other_changes_says_so(project: Project) -> None:
    edits.apply(read_bump(project.work, Request(version="1.3.0")).edits)
    project.commit("Raise it")
    assert "Unreleased" not in step(project, "publish").action
    unreleased(project, "A third replica")
    assert step(project, "publish").action.endswith(", with what stands under Unreleased")


def step(project: Project, name: str) -> Step:
    """A row of the plan."""
    with prepared(project.work, Options(), dry_run=True, today=TODAY) as ready:
        return next(one for one in ready.plan if one.name == name)


def test_a_hotfix_of_an_older_line(project: Project) -> None:
    project.git("tag", "demo-1.2.0")
    assert project.release(part="minor", tag=True).version == "1.3.0"
    project.git("checkout", "--quiet", "-b", "mend-1.2", "demo-1.2.0")
    assert project.release(part="patch", tag=True).version == "1.2.1"
    assert set(project.published()) == {"1.2.1", "1.3.0"}
    assert project.git("tag").split() == ["demo-1.2.0", "demo-1.2.1", "demo-1.3.0"]
    project.git("checkout", "--quiet", "-b", "again", "demo-1.2.0")
    with pytest.raises(VersionError, match=r"(?s)1\.2\.1 is not above.*invoke version-bump --version 1\.2\.2"):
        project.release(part="patch")


def test_candidates_lead_to_a_final_version(project: Project) -> None:
    first = project.release(part="minor", pre="rc", tag=True)
    assert first.version == "1.3.0-rc.1"
    assert project.release(part="minor", pre="rc", tag=True) == first
    with pytest.raises(ChangelogError, match="nothing stands under Unreleased"):
        project.release(part="prerelease")
    unreleased(project, "A slip")
    second = project.release(part="prerelease", tag=True)
    assert second.version == "1.3.0-rc.2"
    assert project.release(part="prerelease", tag=True) == second
    final = project.release(part="minor", tag=True)  # without anything new
    assert final.version == "1.3.0"
    assert project.release(part="minor", tag=True) == final
    packed = read_members((project.config.dist / "demo-1.3.0.tgz").read_bytes(), "it")["demo/Chart.yaml"]
    assert b"A second replica" in packed
    assert b"A slip" in packed
    assert set(project.published()) == {"1.3.0-rc.1", "1.3.0-rc.2", "1.3.0"}


def test_another_bump_of_a_release_commit_is_refused(project: Project) -> None:
    project.release(part="minor")
    before = project.files()
    for part in ("major", "patch", "prerelease"):
        with pytest.raises(VersionError, match=r"HEAD is the commit that raised demo from 1\.2\.0 to 1\.3\.0"):
            project.release(part=part)
    with pytest.raises(PartError, match="'nope' is not a part"):
        project.release(part="nope")
    assert project.files() == before
    unreleased(project, "A slip")
    assert project.release(part="patch").version == "1.3.1"


@pytest.mark.parametrize("status", [400, 415])
def test_a_registry_that_takes_charts_alone(project: Project, status: int) -> None:
    registry = Quirky(Quirks(challenges=(), refuses_artifacts=status, immutable=409))
    with scripted(registry.answer) as server:
        there = Project(project.work.having(registry=f"oci://{server.host}/team"))
        with pytest.raises(RegistryError, match=rf"(?s)takes nothing that is attached.*HTTP {status}") as told:
            there.release(part="minor")
        assert told.value.run is not None
        assert told.value.run.startswith("export GATI_ATTACH=false")
        assert registry.tags("team/demo") == []
        alone = Project(there.work.having(attach=False))
        record = alone.release(part="minor")
        assert registry.tags("team/demo") == ["1.3.0"]
        assert alone.release(part="minor") == record


@pytest.mark.parametrize(("status", "said"), [(403, "takes nothing that is attached"), (502, "is not able to answer")])
def test_a_registry_that_does_not_let_anybody_list_what_is_attached(project: Project, status: int, said: str) -> None:
    registry = Quirky(Quirks(challenges=()))
    with scripted(lambda r: Reply(status) if "/referrers/" in r.path else registry.answer(r)) as server:
        there = Project(project.work.having(registry=f"oci://{server.host}/team"))
        for alone in (False, True):  # the second finds the chart published
            with pytest.raises(RegistryError, match=rf"(?s){said}.*HTTP {status}") as told:
                there.release()
            assert "export GATI_ATTACH=false" in str(told.value.run)
            assert registry.tags("team/demo") == ["1.2.0"] * alone
            Project(there.work.having(attach=False)).release()


@pytest.mark.parametrize("status", [400, 409])  # by Nexus and others
def test_a_registry_whose_tags_are_written_once(project: Project, status: int) -> None:
    registry = Quirky(Quirks(challenges=(), immutable=status))
    with scripted(registry.answer) as server:
        there = Project(project.work.having(registry=f"oci://{server.host}/team"))
        record = there.release(part="minor")
        assert there.release(part="minor") == record
        assert [one.method for one in server.requests].count("DELETE") == 1  # of the upload by which the right is tried
        listed = next(tag for tag in registry.tags("team/demo") if tag.startswith("sha256-"))
        registry.manifests["team/demo", listed] = (INDEX_TYPE, b'{"schemaVersion": 2, "manifests": []}')
        with pytest.raises(RegistryError, match=rf"(?s)takes nothing in team/demo.*HTTP {status}") as told:
            there.release(part="minor")
    assert "let the tags sha256-* be written again" in str(told.value.run)


def test_an_earlier_chart_is_the_one_that_a_digest_names(project: Project) -> None:
    registry = Quirky(Quirks(challenges=()))
    with scripted(registry.answer) as server:
        there = Project(project.work.having(registry=f"oci://{server.host}/team"))
        first = there.release().digest
        there.release(part="minor")
        place = f"oci://{server.host}/team/demo"
        for reference in (f"{place}@{first}", f"{place}:1.2.0@{first}", f"{place}:1.2.0"):
            with earlier_chart(project.work, reference) as earlier:
                assert earlier.version == "1.2.0"
        for reference, words in (
            (f"{place}@sha256:{'0' * 64}", "is not published"),
            (f"{place}:1.3.0@{first}", "is not what the reference says"),  # as helm refuses it, too
        ):
            with pytest.raises(RegistryError, match=words):
                fetch_chart(project.work, reference, project.root)


def test_images_of_the_charts_name_are_no_versions_to_judge_from(project: Project) -> None:
    registry = Quirky(Quirks(challenges=()))
    registry.add("team/demo", "1.2.9")  # as where the application's image stands in the chart's repository
    with scripted(registry.answer) as server:
        there = Project(project.work.having(registry=f"oci://{server.host}/team"))
        first = there.release()
        assert there.release(part="minor").version == "1.3.0"
        with registry_for(there.work) as served:
            newest = prove(there.work, served, "demo", None, None, Demand())
        assert (newest.reference, first.version) == (f"oci://{server.host}/team/demo:1.3.0", "1.2.0")
        registry.add("team/demo", "2.0.0")
        with registry_for(there.work) as served:
            assert prove(there.work, served, "demo", None, None, Demand()) == newest


def test_a_version_that_git_alone_has_is_asked_for_by_its_tag(project: Project) -> None:
    for tag, expected in (("other-1.2.0", "a git revision to compare with"), ("demo-1.2.0", "give git:demo-1.2.0 in")):
        project.git("tag", tag)
        with pytest.raises(RegistryError, match="is not published") as refused, earlier_chart(project.work, "1.2.0"):
            pass
        assert expected in str(refused.value.run)
    with earlier_chart(project.work, "git:demo-1.2.0") as earlier:
        assert earlier.version == "1.2.0"
