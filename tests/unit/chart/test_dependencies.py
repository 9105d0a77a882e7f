"""What a chart needs, and whether it is there."""

from __future__ import annotations

from pathlib import Path

from scripts.chart.dependencies import outdated
from scripts.chart.source import read_chart


def test_what_is_missing_under_several_names_is_told_once(tmp_path: Path) -> None:
    entry = "{{name: sub, version: 0.1.0, repository: 'oci://x.example/charts', alias: {}}}".format
    needs = f"dependencies: [{entry('a')}, {entry('b')}]\n"
    (tmp_path / "Chart.yaml").write_text(f"apiVersion: v2\nname: top\nversion: 0.1.0\n{needs}")
    assert outdated(read_chart(tmp_path)) == ("sub 0.1.0 is not in charts/",)
