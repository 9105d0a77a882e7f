"""A release that requires the smoke test takes the report of its own archive, and no other one."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.core.errors import ConfigError, FindingsError, ReleaseError
from scripts.release.plan import Options, prepared
from tests.release.conftest import TODAY, Project
from tests.release.reports import report, scenario, write_report

E2E: dict[str, Any] = {"require": ("e2e",)}


def archive(project: Project) -> str:
    """The sha256 of what a release would publish."""
    with prepared(project.work, Options(), today=TODAY, dry_run=True) as ready:
        return ready.package.sha256


def test_it_is_no_step_where_nobody_asks_for_it(project: Project) -> None:
    assert "e2e" not in project.plan()


def test_a_report_of_this_archive_lets_it_be_published(project: Project) -> None:
    write_report(project.config, report(archive(project)))
    assert project.plan(**E2E)["e2e"] == "same"
    record = project.release(**E2E)
    assert project.published() == {"1.2.0": record.digest}


def test_without_a_report_nothing_is_published(project: Project) -> None:
    assert project.plan(**E2E)["e2e"] == "absent"
    with pytest.raises(ReleaseError, match="has not been run") as refused:
        project.release(**E2E)
    assert refused.value.run == "invoke e2e"
    assert project.published() == {}


def test_the_report_of_another_archive_is_none(project: Project) -> None:
    write_report(project.config, report("0" * 64))
    assert project.plan(**E2E)["e2e"] == "different"
    with pytest.raises(ReleaseError, match="another archive") as refused:
        project.release(**E2E)
    assert refused.value.expected is not None
    assert archive(project) in refused.value.expected
    assert project.published() == {}


def test_a_bump_says_that_the_new_archive_has_to_be_tested_first(project: Project) -> None:
    write_report(project.config, report(archive(project)))
    with pytest.raises(ReleaseError, match="another archive") as refused:
        project.release(part="minor", **E2E)
    assert refused.value.run == "invoke version-bump --part minor, then git commit --all, then invoke e2e"
    assert project.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"passed": False}, "did not pass"),
        ({"scenarios": [scenario("install", state="failed")]}, "install failed"),
        ({"scenarios": [scenario("upgrade", requests=4000, lost=1)]}, "upgrade lost 1 of 4000"),
        ({"scenarios": [scenario("install", state="void")]}, "install void"),
        ({"scenarios": [scenario("selfcheck", requests=3000)]}, "lost no request"),
        ({"scenarios": []}, "no scenario"),
        ({"scenarios": [scenario("rollback", state="untested")]}, "no scenario"),
        ({"left_out": ["rollback"]}, "left out: rollback"),
    ],
)
def test_a_report_is_believed_by_what_it_lists_and_not_by_its_passed(
    project: Project, changes: dict[str, Any], why: str
) -> None:
    write_report(project.config, report(archive(project), **changes))
    with pytest.raises(FindingsError, match="has not passed") as refused:
        project.release(**E2E)
    assert why in (refused.value.found or "")
    assert project.published() == {}


@pytest.mark.parametrize(
    "content", ["{", "[]", "null", '{"schema_version": 1}', '{"schema_version": 2}', "[" * 100_000]
)
def test_what_is_no_report_is_said(project: Project, content: str) -> None:
    write_report(project.config, content)
    with pytest.raises(ReleaseError, match="is no report of e2e"):
        project.release(**E2E)


def test_a_word_that_means_nothing_is_refused(project: Project) -> None:
    (project.root / "pyproject.toml").write_text('[tool.gati]\nchart = "chart"\nrequire = ["e3e"]\n')
    with pytest.raises(ConfigError, match="unknown value"):
        project.work.of_chart(project.config.chart)
