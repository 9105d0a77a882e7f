"""A version that is raised by less than the judge asks for is neither made nor released."""

from __future__ import annotations

import pytest

from scripts.core.errors import ChartError, FindingsError, PartError, VersionError
from scripts.core.paths import shown
from scripts.judge.judge import demand_raised, judge
from scripts.release.judging import AUTO, judged_bump
from tests.release.conftest import Project, write_chart

UNRELEASED = "## [Unreleased]\n"


def another_name(project: Project, said: str = "") -> None:
    """The ConfigMap of the chart gets another name, which `said` excuses in the changelog; committed."""
    file = project.root / "chart" / "templates" / "map.yaml"
    file.write_text(file.read_text().replace("name: ", "name: other-", 1))
    changelog = project.root / "CHANGELOG.md"
    entry = f"### Changed\n\n- The ConfigMap has another name. {said}\n"
    changelog.write_text(changelog.read_text().replace(UNRELEASED, f"{UNRELEASED}\n{entry}", 1))
    project.commit("Rename")


def sources(project: Project) -> dict[str, bytes]:
    """Every file but what a release leaves in `dist/`."""
    return {name: content for name, content in project.files().items() if not name.startswith("dist/")}


def test_less_than_the_verdict_is_refused_and_the_tree_as_it_was(project: Project) -> None:
    project.release(tag=True)
    another_name(project)
    before = sources(project)
    with pytest.raises(FindingsError, match=r"(?s)raised by too little.*major part.*ConfigMap/"):
        project.release(part="minor")
    assert sources(project) == before
    assert project.release(part="major").version == "2.0.0"


def test_the_changelog_may_say_why_it_counts_as_less(project: Project) -> None:
    project.release(tag=True)
    another_name(project, "Counts as minor: `ConfigMap/*`, because nobody mounts it.")
    assert project.release(part="minor").version == "1.3.0"


def test_the_judge_chooses_the_part_and_refuses_a_lesser_one(project: Project) -> None:
    project.release(tag=True)
    another_name(project)
    with pytest.raises(FindingsError, match="raised by too little"):
        judged_bump(project.work, part="patch")
    assert judged_bump(project.work, part=AUTO).new == "2.0.0"
    assert judged_bump(project.work, version="3.0.0").new == "3.0.0"


def test_an_entry_about_nothing_that_changed_raises_no_version(project: Project) -> None:
    badge = "![Version: 1.2.0](https://img.shields.io/badge/Version-1.2.0-informational)\n"
    (project.config.chart / "README.md").write_text(badge)  # which a raise of the version writes anew
    map_file = project.config.chart / "templates" / "map.yaml"
    map_file.rename(project.root / "map.yaml")
    map_file.symlink_to("../../map.yaml")  # as charts share what is made for several
    project.commit("Say the version")
    project.release(tag=True)
    with pytest.raises(PartError, match=r"nothing of demo differs from 1\.2\.0"):
        judged_bump(project.work, part=AUTO)


def test_a_refusal_speaks_of_the_chart_and_not_of_the_copy_that_is_judged(project: Project) -> None:
    project.release(tag=True)
    with (project.config.chart / "Chart.yaml").open("a") as file:
        file.write("dependencies: [{name: far, version: 1.0.0, repository: 'file://../far'}]\n")
    with pytest.raises(ChartError, match="dependencies cannot be fetched") as told:
        judged_bump(project.work, part="patch", dirty=True)
    assert str(told.value).startswith(f"{shown(project.config.chart)}/Chart.yaml:")


def test_a_chart_whose_version_is_below_that_of_the_base_is_refused(project: Project) -> None:
    demand_raised(project.work, "HEAD")
    file = project.config.chart / "Chart.yaml"
    file.write_text(file.read_text().replace("version: 1.2.0", "version: 1.1.9"))
    with pytest.raises(VersionError, match=r"its version is not raised above 1\.2\.0") as told:
        demand_raised(project.work, "HEAD")
    assert (told.value.expected, told.value.found) == ("a version above 1.2.0", "1.1.9")
    assert told.value.run == "put 1.2.0 back; then invoke version-bump --part auto"
    (project.config.chart / "templates" / "more.yaml").write_text("")
    with pytest.raises(VersionError, match=r"(?s)is not raised above 1\.2\.0.*1\.1\.9, and other files:\n.*more\.yaml"):
        demand_raised(project.work, "HEAD")


def test_a_chart_that_was_broken_is_named_by_its_revision(project: Project) -> None:
    file = project.config.chart / "Chart.yaml"
    sound = file.read_text()
    for text, subject in (("[", "Break it"), (sound, "Mend it")):
        file.write_text(text)
        project.commit(subject)
    with pytest.raises(ChartError, match=r"^git:HEAD~1/Chart\.yaml:2:1: not valid YAML"):
        demand_raised(project.work, "HEAD~1")


def test_the_first_version_has_nothing_to_be_judged_from(project: Project) -> None:
    assert "judge" not in project.plan()
    project.release()
    another_name(project)
    assert project.plan(part="minor")["judge"] == "absent"


def test_what_only_a_tag_names_is_judged_from_too(project: Project) -> None:
    project.git("tag", "demo-1.2.0")
    another_name(project)
    heading = f"{UNRELEASED}\n## [1.2.1] - 2026-11-20\n"
    for file, was, now in (("chart/Chart.yaml", "1.2.0", "1.2.1"), ("CHANGELOG.md", UNRELEASED, heading)):
        path = project.root / file
        path.write_text(path.read_text().replace(was, now, 1))
    project.commit("Raise by hand")
    with pytest.raises(FindingsError, match="raised by too little"):
        project.release()
    assert project.published() == {}


def test_a_chart_that_a_pull_request_adds_is_a_first_version(project: Project) -> None:
    write_chart(project.root / "fresh")
    work = project.work.having(chart=project.root / "fresh")
    demand_raised(work, "HEAD")
    verdict = judge(work, against="HEAD")
    assert (verdict.level, verdict.part, verdict.source) == ("none", "none", "git:HEAD")
    assert verdict.notes == ("demo is not in HEAD: a first version has nothing to be judged from",)


def test_a_version_with_a_leading_v_is_judged_from_the_one_before(project: Project) -> None:
    file = project.config.chart / "Chart.yaml"
    file.write_text(file.read_text().replace("version: 1.2.0", "version: v1.2.0"))
    project.commit("Bear a v")
    project.release(tag=True)
    another_name(project)
    with pytest.raises(FindingsError, match="raised by too little"):
        project.release(part="minor")
    record = project.release(part="major", tag=True)
    assert (record.version, record.tag) == ("v2.0.0", "demo-v2.0.0")
    assert project.release(part="major", tag=True) == record
