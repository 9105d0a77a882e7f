"""Several charts side by side: what each says is told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.chart.source import read_chart
from scripts.checks.fleet import Part, over, rendered
from scripts.checks.matrix import Plan
from scripts.checks.render import Rendered
from scripts.workspace import Workspace, open_workspace


def test_what_one_of_several_charts_says_is_told_with_its_name(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n")
    said: list[str] = []

    def stage(work: Workspace) -> Part:
        chart = read_chart(work.config.chart)
        work.say("note: no render has an object of one-and-other.yaml")
        work.say(f"{chart.name} has no values files")
        return Part(chart, "ok")

    charts = [read_chart(tmp_path / name) for name in ("one", "other")]
    over(replace(open_workspace(tmp_path), say=said.append), charts, stage)
    names = ("one", "other")
    assert sorted(said) == sorted(
        [f"{name}: note: no render has an object of one-and-other.yaml" for name in names]
        + [f"{name} has no values files" for name in names]
    )


def test_what_no_render_of_a_chart_reaches_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: 1.0.0\n")
    plan, said = Plan(read_chart(tmp_path), (), (), "demo"), list[str]()
    monkeypatch.setattr("scripts.checks.fleet.matrix.read_plan", lambda *_, **__: plan)
    monkeypatch.setattr("scripts.checks.fleet.render.render", lambda *_: Rendered((), unreached=("a.yaml",)))
    work = replace(open_workspace(tmp_path), say=said.append)
    part = rendered(work, values=(), kube_versions=(), dry_run=True)
    assert (part.chart.title, part.verdict, said) == (
        "demo 1.0.0",
        "0 objects of 0 renders",
        ["note: no render has an object of a.yaml"],
    )
