"""A raise of the version is planned over every place where it stands, or refused."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.core.config import Config, load_config
from scripts.core.errors import ChangelogError, ChartError, ConfigError, ReleaseError, VersionError
from scripts.release import bump as stage
from scripts.release.bump import Bump, Request, read_disk, release_day

DAY = datetime.date(2026, 2, 28)
OTHERS = ("tagged", "published", "read")
CHART = """\
apiVersion: v2
name: demo
version: 1.2.0  # the chart's
appVersion: "7.0"
annotations:
  artifacthub.io/prerelease: "false"
  artifacthub.io/images: |
    - name: demo
      image: example.org/demo:7.0
    - name: other
      image: example.org/other:7.0.1
  # What changed.
  artifacthub.io/changes: |
    - kind: added
      description: The chart
"""
CHANGELOG = """\
# Changelog

## [Unreleased]

### Added

- A [link](https://example.org) and **words**: here
- Toolkit: a task

### Security

- No root

## [1.2.0] - 2026-01-31

- The chart
"""
README = (
    "![Version: 1.2.0](https://img.shields.io/badge/Version-1.2.0-informational)\n"
    "![AppVersion: 7.0](https://img.shields.io/badge/AppVersion-7.0-informational)\n"
)


def plan_bump(config: Config, *, date: datetime.date, **given: Any) -> Bump:
    others = {name: given.pop(name) for name in OTHERS if name in given}
    return stage.plan_bump(config, Request(**given), date=date, **others)


@pytest.fixture
def project(tmp_path: Path) -> Config:
    """A chart with a changelog, badges and a guide that names the version."""
    (tmp_path / "chart").mkdir()
    files = {
        "chart/Chart.yaml": CHART,
        "chart/README.md": README,
        "CHANGELOG.md": CHANGELOG,
        "guide.md": "![chart 1.2.0](x/badge/chart-1.2.0-blue), not x/badge/y-1.2.0--rc.1-blue or y-11.2.0-blue\n"
        "demo-1.2.0.tgz, VERSION=1.2.0; not 11.2.0, 1.2.0.1, 1.2.0-rc.1 or 3.1.2.0.\n",
        "pyproject.toml": '[tool.gati]\nchart = "chart"\nversion_files = ["guide.md"]\n',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return load_config(tmp_path, environ={})


def after(plan: Bump) -> dict[str, str]:
    return {edit.path.name: edit.after.decode() for edit in plan.edits}


def test_every_place_is_changed(project: Config) -> None:
    plan = plan_bump(project, date=DAY, part="minor", app_version="7.1")
    assert (plan.name, plan.old, plan.new, plan.date) == ("demo", "1.2.0", "1.3.0", DAY)
    text = after(plan)
    assert set(text) == {"Chart.yaml", "CHANGELOG.md", "README.md", "guide.md"}
    lines = text["Chart.yaml"].splitlines()
    assert lines[2:4] == ["version: 1.3.0  # the chart's", 'appVersion: "7.1"']
    assert "  # What changed." in lines
    annotations = yaml.safe_load(text["Chart.yaml"])["annotations"]
    assert yaml.safe_load(annotations["artifacthub.io/changes"]) == [
        {"kind": "added", "description": "A link and words: here"},
        {"kind": "security", "description": "No root"},
    ]
    assert [image["image"] for image in yaml.safe_load(annotations["artifacthub.io/images"])] == [
        "example.org/demo:7.1",
        "example.org/other:7.0.1",
    ]
    assert "## [Unreleased]\n\n## [1.3.0] - 2026-02-28\n\n### Added\n" in text["CHANGELOG.md"]
    assert text["README.md"] == README.replace("1.2.0", "1.3.0").replace("7.0", "7.1")
    assert text["guide.md"] == (
        "![chart 1.3.0](x/badge/chart-1.3.0-blue), not x/badge/y-1.2.0--rc.1-blue or y-11.2.0-blue\n"
        "demo-1.3.0.tgz, VERSION=1.3.0; not 11.2.0, 1.2.0.1, 1.2.0-rc.1 or 3.1.2.0.\n"
    )


@pytest.mark.parametrize(("old", "new"), [("1.2.0", "v1.3.0"), ("v1.2.0", "v1.3.0"), ("v1.2.0", "1.3.0")])
def test_a_leading_v_is_written_as_it_is_given(project: Config, old: str, new: str) -> None:
    (project.chart / "Chart.yaml").write_text(CHART.replace("1.2.0", old))
    (project.root / "guide.md").write_text(f"helm pull --version {old}\n")
    plan = plan_bump(project, date=DAY, version=new, tagged=["v1.1.0", "1.2.0"])
    text = after(plan)
    assert (plan.old, plan.new) == (old, new)
    assert f"version: {new}  # the chart's\n" in text["Chart.yaml"]
    assert "## [1.3.0] - 2026-02-28\n" in text["CHANGELOG.md"]
    assert text["guide.md"] == f"helm pull --version {new}\n"
    if old[0] == "v":
        assert plan_bump(project, date=DAY, part="minor").new == "v1.3.0"


def test_nothing_is_written(project: Config) -> None:
    before = {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()}
    plan_bump(project, date=DAY, part="minor")
    assert {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()} == before


def test_a_prerelease_is_marked_and_its_badge_escaped(project: Config) -> None:
    text = after(plan_bump(project, date=DAY, part="prerelease"))
    assert 'artifacthub.io/prerelease: "true"' in text["Chart.yaml"]
    assert "![Version: 1.2.1-rc.1](https://img.shields.io/badge/Version-1.2.1--rc.1-informational)" in text["README.md"]
    assert 'appVersion: "7.0"' in text["Chart.yaml"]


def test_without_a_changelog_nobody_is_told_the_old_changes(project: Config) -> None:
    project.changelog.unlink()
    plan = plan_bump(project, date=DAY, version="2.0.0")
    assert plan.date is None
    annotations = yaml.safe_load(after(plan)["Chart.yaml"])["annotations"]
    assert yaml.safe_load(annotations["artifacthub.io/changes"]) == []
    assert plan.notes[1:] == ("artifacthub.io/changes is empty",)
    assert "no changelog is kept" in plan.notes[0]


def test_charts_that_ask_for_the_old_version_are_named(project: Config) -> None:
    for name, version in (("exact", "1.2.0"), ("open", "^1.2.0")):
        (folder := project.project / name).mkdir()
        needs = f"[{{name: demo, version: {version}, repository: 'file://../chart'}}]"
        (folder / "Chart.yaml").write_text(f"name: {name}\nversion: 1.0.0\ndependencies: {needs}\n")
    plan = plan_bump(replace(project, charts=("chart", "exact", "open")), date=DAY, part="patch")
    assert [note for note in plan.notes if "asks for" in note] == [
        f"{project.project / 'exact' / 'Chart.yaml'} asks for demo 1.2.0, which 1.2.1 is not"
    ]


def test_a_version_of_the_toolkit_only_empties_the_annotation(project: Config) -> None:
    project.changelog.write_text(CHANGELOG.replace("- ", "- Toolkit: "))
    plan = plan_bump(project, date=DAY, part="patch")
    annotations = yaml.safe_load(after(plan)["Chart.yaml"])["annotations"]
    assert yaml.safe_load(annotations["artifacthub.io/changes"]) == []
    assert "about the toolkit" in plan.notes[-1]


def test_a_file_that_is_changed_anyway_is_changed_once(project: Config) -> None:
    """helm-docs' README has a badge, and often how to install; the changelog has the old versions, too."""
    readme = project.chart / "README.md"
    badge = "![Version: 1.2.0](https://img.shields.io/badge/Version-1.2.0-x)\n"
    named = ("chart/README.md", "guide.md", "./guide.md", "CHANGELOG.md", "chart/Chart.yaml")
    for more in ("", "helm install --version 1.2.0\n"):
        readme.write_text(badge + more)
        plan = plan_bump(replace(project, version_files=named), date=DAY, part="minor")
        assert sorted(edit.path.name for edit in plan.edits) == sorted(set(after(plan)))
        assert after(plan)["README.md"] == (badge + more).replace("1.2.0", "1.3.0")
        assert "## [1.2.0]" in after(plan)["CHANGELOG.md"]
        assert [edit.before for edit in plan.edits if edit.path == readme] == [(badge + more).encode()]


def test_a_bare_chart_gets_its_first_annotation(project: Config) -> None:
    (project.chart / "Chart.yaml").write_text("name: demo\nversion: 1.2.0\n")
    text = after(plan_bump(replace(project, version_files=()), date=DAY, part="patch"))["Chart.yaml"]
    assert text.startswith("name: demo\nversion: 1.2.1\nannotations:\n  artifacthub.io/changes: |\n    - kind: added\n")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ConfigError, "which version"),
        ({"part": "minor", "version": "2.0.0"}, ConfigError, "which version"),
        ({"part": "1.3.0"}, VersionError, "'1.3.0' is not a part"),
        ({"version": "minor"}, VersionError, "--version: 'minor' is not a semantic version"),
        ({"version": "v1.2.0"}, VersionError, r"(?s)v1.2.0 is not above .*the chart in the tree is 1\.2\.0"),
        ({"version": ""}, VersionError, "(?s)'' is not a semantic version"),
        ({"version": "1.2.0"}, VersionError, r"(?s)1.2.0 is not above .*the chart in the tree is 1\.2\.0"),
        ({"version": "1.2.0-rc.1"}, VersionError, "is not above"),
        ({"version": "1.2.0+build.1"}, VersionError, "is not above"),
        ({"part": "minor", "tagged": ["1.3.0", "latest"]}, VersionError, r"the git tag demo-1\.3\.0"),
        ({"part": "minor", "published": ["1.10.0", "1.9.0"]}, VersionError, r"1\.10\.0 is published"),
        ({"part": "minor", "app_version": "a b"}, ConfigError, "--app-version cannot be the tag"),
        ({"part": "minor", "app_version": ""}, ConfigError, "--app-version cannot be the tag"),
    ],
)
def test_versions_that_are_refused(
    project: Config, options: dict[str, Any], error: type[ReleaseError], message: str
) -> None:
    with pytest.raises(error, match=message):
        plan_bump(project, date=DAY, **options)


def changed(name: str, old: str, new: str) -> Callable[[Config], None]:
    def change(project: Config) -> None:
        file = project.root / name
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    return change


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (changed("chart/Chart.yaml", "version: 1.2.0", "version: 1.2"), ChartError, "version is missing or not text"),
        (changed("chart/Chart.yaml", "version: 1.2.0", "version: 1.2.x"), VersionError, "Chart.yaml:3: version"),
        (changed("chart/Chart.yaml", "annotations:", "a: ["), ChartError, r"Chart.yaml:7:3: not valid YAML"),
        (changed("CHANGELOG.md", "Unreleased", "Later"), ChangelogError, "has no Unreleased section"),
        (changed("CHANGELOG.md", "- ", "  "), ChangelogError, "nothing stands under Unreleased"),
        (changed("guide.md", "1.2.0", "\n<<<<<<<\n1.2.0\n=======\n>>>>>>>\n"), VersionError, r"guide.md:\d+: git's"),
        (changed("CHANGELOG.md", "- ", "\n<<<<<<< A\n=======\n>>>>>>> B\n- "), VersionError, "conflict markers"),
        (changed("guide.md", "1.2.0", "1.1.0"), ConfigError, "guide.md does not name the version 1.2.0"),
        (lambda project: (project.root / "guide.md").unlink(), ConfigError, "guide.md, which is not there"),
        (lambda project: (project.root / "guide.md").write_bytes(b"\xff"), ConfigError, "guide.md is not UTF-8 text"),
    ],
)  # fmt: skip
def test_files_that_are_refused(
    project: Config, change: Callable[[Config], object], error: type[ReleaseError], message: str
) -> None:
    change(project)
    with pytest.raises(error, match=message):
        plan_bump(project, date=DAY, part="minor")


def test_a_page_that_no_commit_holds(project: Config) -> None:
    def head(path: Path) -> bytes | None:
        return None if path.name == "guide.md" else read_disk(path)

    with pytest.raises(ConfigError, match=r"guide\.md, which no commit of the repository holds"):
        plan_bump(project, date=DAY, part="minor", read=head)


def test_the_day_is_today_whatever_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "315532800")
    assert abs((release_day() - datetime.datetime.now(datetime.UTC).date()).days) <= 1


def release_all(project: Config, **options: Any) -> Bump:
    """Plan a bump and write it."""
    plan = plan_bump(project, date=DAY, **options)
    for edit in plan.edits:
        edit.path.write_bytes(edit.after)
    return plan


def test_an_older_line_is_mended_beside_a_newer_one(project: Config) -> None:
    newer: dict[str, Any] = {"tagged": ["1.3.0", "2.0.0"], "published": ["1.2.0", "1.3.0", "1.3.1", "2.0.0-rc.1"]}
    assert plan_bump(project, date=DAY, part="patch", **newer).new == "1.2.1"
    assert plan_bump(project, date=DAY, version="1.2.7", **newer).new == "1.2.7"
    cases: tuple[tuple[dict[str, Any], str, str], ...] = (
        ({"part": "minor"}, "the git tag demo-1.3.0", "1.4.0"),
        ({"part": "major"}, "the git tag demo-2.0.0", "3.0.0"),
        ({"version": "1.3.1"}, "1.3.1 is published", "1.4.0"),
        ({"part": "minor", "pre": "rc"}, "the git tag demo-1.3.0", "1.4.0-rc.1"),
        ({"part": "patch", "pre": "rc", "published": ["1.2.1-rc.4"]}, "1.2.1-rc.4 is published", "1.2.1-rc.5"),
        ({"part": "patch", "pre": "beta", "published": ["1.2.1-rc.4"]}, "1.2.1-rc.4 is published", "1.2.1"),
    )
    for options, found, way in cases:
        with pytest.raises(VersionError) as told:
            plan_bump(project, date=DAY, **{**newer, **options})
        assert (told.value.found, told.value.run) == (found, f"invoke version-bump --version {way}")
    with pytest.raises(VersionError, match=r"1\.2\.1 is published"):
        plan_bump(project, date=DAY, part="patch", published=["1.2.1"])


def test_candidates_and_their_promotion(project: Config) -> None:
    first = release_all(project, part="minor", pre="rc")
    assert first.new == "1.3.0-rc.1"
    assert "guide.md" not in after(first)
    history = project.changelog.read_text().replace("[Unreleased]\n", "[Unreleased]\n\n### Fixed\n\n- A slip\n", 1)
    project.changelog.write_text(history)
    second = release_all(project, part="prerelease", tagged=["1.3.0-rc.1"], published=["1.3.0-rc.1"])
    assert second.new == "1.3.0-rc.2"
    with pytest.raises(ChangelogError, match="nothing stands under Unreleased"):
        plan_bump(project, date=DAY, part="prerelease")
    text = after(plan_bump(project, date=DAY, part="minor", tagged=["1.3.0-rc.2"], published=["1.2.0", "1.3.0-rc.2"]))
    assert "version: 1.3.0  # the chart's" in text["Chart.yaml"]
    assert "demo-1.3.0.tgz, VERSION=1.3.0; not 11.2.0" in text["guide.md"]
    changes = yaml.safe_load(yaml.safe_load(text["Chart.yaml"])["annotations"]["artifacthub.io/changes"])
    assert [change["description"] for change in changes] == ["A link and words: here", "No root", "A slip"]
    assert "## [1.3.0] - 2026-02-28\n\n### Added\n\n- A [link](https://example.org)" in text["CHANGELOG.md"]


def test_a_page_that_names_no_final_version_has_drifted(project: Config) -> None:
    release_all(project, part="minor", pre="rc")
    (project.root / "guide.md").write_text("demo-0.9.0\n")
    with pytest.raises(ConfigError, match=r"guide.md does not name the version 1\.3\.0-rc\.1"):
        plan_bump(project, date=DAY, part="minor")


@pytest.mark.parametrize("value", ["72225e2", "1e3", "0o17"])
@pytest.mark.parametrize("old", ['"7.0"', "old", "72225e2"])
def test_an_application_version_is_text(project: Config, value: str, old: str) -> None:
    file = project.chart / "Chart.yaml"
    file.write_text(file.read_text().replace('"7.0"', old))
    text = after(plan_bump(project, date=DAY, part="patch", app_version=value))["Chart.yaml"]
    assert f'appVersion: "{value}"\n' in text


def test_files_that_are_links_are_followed(project: Config) -> None:
    (project.root / "README.md").write_text(README)
    (project.chart / "README.md").unlink()
    (project.chart / "README.md").symlink_to("../README.md")
    release_all(project, part="patch")
    assert (project.chart / "README.md").is_symlink()
    assert "![Version: 1.2.1]" in (project.root / "README.md").read_text()
