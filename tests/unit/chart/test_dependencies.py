"""What a chart needs, and whether it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.chart.dependencies import fetched_anew, is_local, outdated
from scripts.chart.helm import Helm
from scripts.chart.source import read_chart
from scripts.core.command import Runner
from scripts.core.committed import placed


def test_what_is_missing_under_several_names_is_told_once(tmp_path: Path) -> None:
    entry = "{{name: sub, version: 0.1.0, repository: 'oci://x.example/charts', alias: {}}}".format
    needs = f"dependencies: [{entry('a')}, {entry('b')}]\n"
    (tmp_path / "Chart.yaml").write_text(f"apiVersion: v2\nname: top\nversion: 0.1.0\n{needs}")
    assert outdated(read_chart(tmp_path)) == ("sub 0.1.0 is not in charts/",)


def test_what_is_there_is_compared_for_a_minute_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """helm packs it whatever its repository says; where that does not answer, nobody waits for long."""
    chart, asked = tmp_path / "repository" / "chart", list[float]()
    chart.mkdir(parents=True)
    entry = "{name: sub, version: 0.1.0, repository: 'http://x.example'}"
    (chart / "Chart.yaml").write_text(f"apiVersion: v2\nname: top\nversion: 0.1.0\ndependencies: [{entry}]\n")
    monkeypatch.setattr(Helm, "build_dependencies", lambda *_, deadline, **__: asked.append(deadline))
    helm, into = Helm(Path("helm"), Runner()), tmp_path / "into"
    into.mkdir()
    fetched_anew(read_chart(chart), helm, chart.parent, into, [chart / "charts/sub-0.1.0.tgz"])
    assert asked == [60]


def test_a_copy_is_depended_on_by_what_is_linked_beside_it(tmp_path: Path) -> None:
    """As a release checks a library: the commit's, and the charts around it that use it."""
    uses = "dependencies: [{name: lib, version: 1.0.0, repository: 'file://../../charts/lib'}]\n"
    for name, more in (("charts/lib", ""), ("tests/user", uses)):
        (folder := tmp_path / "root" / name).mkdir(parents=True)
        (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {folder.name}\nversion: 1.0.0\n{more}")
    (tmp_path / "copies").mkdir()
    copy = placed(tmp_path / "root", tmp_path / "root/charts/lib", tmp_path / "copies")
    user = read_chart(tmp_path / "copies/tests/user")
    assert is_local(user, copy)
    assert is_local(user, tmp_path / "root/charts/lib")
    assert not is_local(user, tmp_path / "copies/charts")
