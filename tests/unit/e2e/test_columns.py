"""Which runs two flags come to, and what their reports say beside each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.core.config import load_config
from scripts.core.errors import ConfigError, FindingsError
from scripts.e2e.columns import Column, Columns, chosen_columns, demand_all_passed
from scripts.e2e.report import FAILED, PASSED, UNTESTED, Outcome, Report
from scripts.workspace import Workspace, open_workspace

REPORT = Report(
    {"name": "a", "sha256": "s"}, (), {"kubernetes": "v1.37.2"}, 9.0, (Outcome("upgrade", PASSED, 5.0, ()),)
)
OLD, NEW = Column("1.29", 4), Column("", 3)


@pytest.fixture
def work(tmp_path: Path) -> Workspace:
    chart = tmp_path / "chart"
    chart.mkdir()
    (chart / "Chart.yaml").write_text('apiVersion: v2\nname: a\nversion: 0.1.0\nkubeVersion: ">=1.29.0-0 <1.36.0-0"\n')
    root = Path(__file__).parents[3]
    made = open_workspace(root)
    return replace(made, config=load_config(root, environ={}, chart=chart))


@pytest.mark.parametrize(
    ("kubernetes", "helms", "wanted"),
    [
        ("", "", [Column("", 4)]),
        ("oldest,newest", "", [Column("1.29", 4), Column("1.35", 4)]),
        ("1.30", "3,4", [Column("1.30", 3), Column("1.30", 4)]),
        ("v1.30, 1.30", "3", [Column("1.30", 3)]),
    ],
)
def test_each_minor_is_run_with_each_helm(work: Workspace, kubernetes: str, helms: str, wanted: list[Column]) -> None:
    assert list(chosen_columns(work, kubernetes, helms)) == wanted


@pytest.mark.parametrize(
    ("kubernetes", "helms", "message"),
    [
        ("1.28", "", "which the chart does not admit"),
        ("1.12", "", "--kubernetes 1.12: not pinned"),
        ("1.29,", "", "--kubernetes"),
        ("latest", "", "--kubernetes latest: not pinned"),
        ("", "2", "--helm 2 is none"),
    ],
)
def test_what_cannot_be_run_is_refused_with_what_can(
    work: Workspace, kubernetes: str, helms: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as told:
        chosen_columns(work, kubernetes, helms)
    assert told.value.expected


def test_reports_stand_beside_each_other() -> None:
    skipped = Outcome("upgrade", UNTESTED, 0.0, (), skipped=("no load",))
    found = Columns({OLD: replace(REPORT, outcomes=(skipped,)), NEW: REPORT}, {})
    lines = found.lines()
    assert lines[0].strip() == "Kubernetes 1.29, helm 4  Kubernetes newest, helm 3"
    assert lines[1].split()[:3] == ["upgrade", "untested", "0"]
    assert any("no load" in line for line in lines)
    told = found.to_dict()
    assert told["passed"] is True
    assert set(told["columns"]) == {"kubernetes-1.29-helm-4", "kubernetes-newest-helm-3"}
    demand_all_passed(found)


def test_one_column_that_fails_or_does_not_begin_fails_the_whole() -> None:
    bad = replace(REPORT, outcomes=(Outcome("upgrade", FAILED, 1.0, (), error="lost"),))
    for found, name in (
        (Columns({OLD: bad, NEW: REPORT}, {}), "Kubernetes 1.29, helm 4"),
        (Columns({NEW: REPORT}, {OLD: "etcd ends again and again"}), "it did not begin"),
    ):
        assert found.to_dict()["passed"] is False
        assert any("lost" in line or "etcd" in line for line in found.lines())
        with pytest.raises(FindingsError, match="columns failed") as told:
            demand_all_passed(found)
        assert name in told.value.message
