"""Several charts side by side: what each says is told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scripts.chart.source import read_chart
from scripts.checks.fleet import Part, over
from scripts.workspace import Workspace, open_workspace


def test_what_one_of_several_charts_says_is_told_with_its_name(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n")
    said: list[str] = []

    def stage(work: Workspace) -> Part:
        chart = read_chart(work.config.chart)
        work.say("note: no render has an object of a.yaml")
        work.say(f"{chart.name} has no values files")
        return Part(chart, "ok")

    charts = [read_chart(tmp_path / name) for name in ("one", "other")]
    over(replace(open_workspace(tmp_path), say=said.append), charts, stage)
    names = ("one", "other")
    assert sorted(said) == sorted(
        [f"{name}: note: no render has an object of a.yaml" for name in names]
        + [f"{name} has no values files" for name in names]
    )
