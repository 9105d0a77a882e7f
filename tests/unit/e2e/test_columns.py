"""Which runs two flags come to, and what their reports say beside each other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.core.config import load_config
from scripts.core.errors import ClusterError, ConfigError, FindingsError, ReleaseError
from scripts.e2e import columns
from scripts.e2e.columns import Column, Columns, chosen_columns, demand_all_passed
from scripts.e2e.report import FAILED, PASSED, UNTESTED, Outcome, Report, Step
from scripts.e2e.run import Options
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


# -- one run after the other -----------------------------------------------------------------------


def ran(monkeypatch: pytest.MonkeyPatch, *answers: Report | ReleaseError) -> list[str]:
    """Has a run end as told; where each wrote its results, and with which helm it was."""
    told: list[str] = []
    left = iter(answers)

    def run(work: Workspace, options: Options) -> Report:
        told.append(f"{work.config.dist.name} helm {options.helm} of {options.helms}")
        answer = next(left)
        if isinstance(answer, ReleaseError):
            raise answer
        return answer

    monkeypatch.setattr(columns, "run", run)
    return told


def test_each_column_has_a_folder_of_its_own_and_one_that_does_not_begin_is_told(
    work: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    work = replace(work.having(dist=tmp_path / "dist"), say=said.append)
    stepped = replace(REPORT, outcomes=(Outcome("upgrade", PASSED, 5.0, (Step("install", 1.0),)),))
    told = ran(monkeypatch, ClusterError("no cluster"), stepped)
    found = columns.run_columns(work, Options(), (OLD, NEW))
    assert told == ["kubernetes-1.29-helm-4 helm 4 of (4, 3)", "kubernetes-newest-helm-3 helm 3 of (4, 3)"]
    assert (list(found.reports), found.errors) == ([NEW], {OLD: "no cluster"})
    assert "Kubernetes 1.29, helm 4: no cluster" in said
    written = json.loads((tmp_path / "dist" / "e2e" / "report.json").read_text())
    assert written["passed"] is False
    assert written["columns"][OLD.name] == {"passed": False, "error": "no cluster"}
    junit = (tmp_path / "dist" / "e2e" / "junit.xml").read_text()
    assert f"e2e.{NEW.name}.upgrade" in junit
    assert f'classname="{OLD.name}" name="it begins"' in junit
    assert '<error message="no cluster">no cluster</error>' in junit
    with pytest.raises(FindingsError, match=r"1 of 2 columns failed: Kubernetes 1\.29, helm 4 \(it did not begin\)"):
        demand_all_passed(found)


def test_one_column_alone_is_a_plain_run(work: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = work.having(dist=tmp_path / "dist")
    told = ran(monkeypatch, REPORT, ClusterError("no cluster"))
    demand_all_passed(columns.run_columns(work, Options(), (OLD,)))
    assert told == ["dist helm 4 of (4,)"]
    assert not (tmp_path / "dist").exists()
    with pytest.raises(ClusterError, match="no cluster"):
        columns.run_columns(work, Options(), (OLD,))
