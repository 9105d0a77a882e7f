"""What a chart needs, and whether it is there."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from scripts.chart.dependencies import (
    demand_dependencies,
    fetched_anew,
    is_local,
    lend,
    objections,
    outdated,
    provide_dependencies,
)
from scripts.chart.helm import Helm
from scripts.chart.source import read_chart
from scripts.core.command import Runner
from scripts.core.committed import placed
from scripts.core.errors import ChartError


def test_what_is_missing_under_several_names_is_told_once(tmp_path: Path) -> None:
    entry = "{{name: sub, version: 0.1.0, repository: 'oci://x.example/charts', alias: {}}}".format
    needs = f"dependencies: [{entry('a')}, {entry('b')}]\n"
    (tmp_path / "Chart.yaml").write_text(f"apiVersion: v2\nname: top\nversion: 0.1.0\n{needs}")
    assert outdated(read_chart(tmp_path)) == ("sub 0.1.0 is not in charts/",)


@pytest.mark.parametrize(("place", "built"), [("charts/inner", []), ("parts/inner", ["inner", "top"])])
def test_what_stands_in_charts_is_as_helm_renders_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, built: list[str]
) -> None:
    """helm looks into charts/ for what is there alone, and packs a folder elsewhere with what that lacks."""
    top = chart_with(tmp_path / "top", f"{{name: inner, version: 0.1.0, repository: 'file://./{place}'}}")
    inner = chart_with(top / place, "{name: other, version: 0.1.0, repository: 'file://../../../other'}")
    (inner / "Chart.yaml").write_text((inner / "Chart.yaml").read_text().replace("name: top", "name: inner"))
    seen = list[str]()
    monkeypatch.setattr(Helm, "build_dependencies", lambda _, chart, *__, **___: seen.append(chart.name))
    provide_dependencies(read_chart(top), Helm(Path("helm"), Runner()), print)
    assert seen == built


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


def chart_with(folder: Path, *entries: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    facts = f"apiVersion: v2\nname: top\nversion: 0.1.0\ndependencies: [{', '.join(entries)}]\n"
    (folder / "Chart.yaml").write_text(facts)
    return folder


def packed(file: Path, metadata: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w:gz") as tar:
        info = tarfile.TarInfo("sub/Chart.yaml")
        info.size = len(metadata)
        tar.addfile(info, io.BytesIO(metadata.encode()))


SUB = "{name: sub, version: 0.1.0, repository: 'https://x.example'}"


def test_an_entry_that_is_none_does_not_hide_which_one_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ChartError, match=r"(?m): sub 0\.1\.0 is not in charts/$"):
        demand_dependencies(read_chart(chart_with(tmp_path, "null", SUB, SUB.replace("}", ", alias: b}"))))


def test_a_packed_dependency_that_says_nothing_sensible_is_named(tmp_path: Path) -> None:
    packed(tmp_path / "charts/sub-0.1.0.tgz", "a: {{ b }}: c")
    with pytest.raises(ChartError, match=r"charts/sub-0.1.0.tgz: its Chart.yaml is not valid YAML"):
        tuple(objections(read_chart(chart_with(tmp_path, SUB))))


@pytest.mark.parametrize("pattern", ["*.tgz", "charts/", "charts/sub-*"])
def test_what_helmignore_hides_is_not_fetched_again(tmp_path: Path, pattern: str) -> None:
    packed(tmp_path / "charts/sub-0.1.0.tgz", "name: sub\nversion: 0.1.0\n")
    (tmp_path / ".helmignore").write_text(f"{pattern}\n")
    chart = read_chart(chart_with(tmp_path, SUB))
    assert outdated(chart) == ()
    with pytest.raises(ChartError, match=r"sub in charts/ is what \.helmignore leaves out") as caught:
        demand_dependencies(chart)
    assert caught.value.run == "correct .helmignore"


def test_an_earlier_state_gets_what_its_lock_names(tmp_path: Path) -> None:
    near = "{name: near, version: 0.1.0, repository: 'file://../near'}"
    old = chart_with(tmp_path / "old", SUB, near)
    locks = [f"- {{name: {name}, version: 0.1.0, repository: x}}" for name in ("sub", "near")]
    (old / "Chart.lock").write_text("dependencies:\n" + "\n".join(locks))
    for name in ("sub-0.1.0.tgz", "sub-0.2.0.tgz", "near-0.1.0.tgz"):
        packed(tmp_path / "charts" / name, "name: sub\nversion: 0.1.0\n")
    lend(read_chart(old), tmp_path / "charts")
    assert [file.name for file in (old / "charts").iterdir()] == ["sub-0.1.0.tgz"]
    assert outdated(read_chart(old)) == ("near 0.1.0 is not in charts/",)


@pytest.mark.parametrize(
    ("locked", "there", "way"),
    [
        ("0.1.1", "0.1.0", "take it out of charts/, to be fetched"),
        ("0.2.0", "0.2.0", "helm dependency update {}"),
    ],
)
def test_the_lock_is_kept_to_and_moved_where_it_is_at_fault(tmp_path: Path, locked: str, there: str, way: str) -> None:
    """The archives of yesterday beside the lock of today, which is committed; and a lock beside other wishes."""
    chart = chart_with(tmp_path, SUB.replace("0.1.0", "~0.1.0"))
    packed(chart / f"charts/sub-{there}.tgz", f"name: sub\nversion: {there}\n")
    (chart / "Chart.lock").write_text(f"dependencies: [{{name: sub, version: {locked}, repository: x}}]\n")
    with pytest.raises(ChartError) as caught:
        demand_dependencies(read_chart(chart))
    assert caught.value.run == way.format(tmp_path)


def test_a_folder_of_another_version_is_no_missing_dependency(tmp_path: Path) -> None:
    sub = chart_with(tmp_path / "top", "{name: other, version: 0.2.0, repository: 'file://../other'}")
    chart_with(tmp_path / "other")
    (tmp_path / "other/Chart.yaml").write_text("apiVersion: v2\nname: other\nversion: 0.1.0\n")
    assert [one.message for one in objections(read_chart(sub))] == ["other in file://../other is 0.1.0, not 0.2.0"]


def test_a_lock_that_nothing_needs_is_to_go(tmp_path: Path) -> None:
    """`helm dependency update` leaves it there."""
    (tmp_path / "Chart.lock").write_text("dependencies: [{name: sub, version: 0.1.0, repository: x}]\n")
    with pytest.raises(ChartError, match=r"Chart\.lock has sub, which Chart\.yaml does not") as caught:
        demand_dependencies(read_chart(chart_with(tmp_path)))
    assert caught.value.run == f"rm {tmp_path / 'Chart.lock'}"


def test_more_versions_than_are_asked_for_are_told(tmp_path: Path) -> None:
    """Of files of one name helm takes one, and all others of each version."""
    chart = chart_with(tmp_path, SUB, SUB.replace("0.1.0", "~0.3.0").replace("}", ", alias: b}"))
    for version in ("0.1.0", "0.3.1"):
        packed(chart / f"charts/sub-{version}.tgz", f"name: sub\nversion: {version}\n")
    assert not tuple(objections(read_chart(chart)))
    packed(chart / "charts/sub-0.2.0.tgz", "name: sub\nversion: 0.2.0\n")
    with pytest.raises(ChartError, match=r"sub is in charts/ as 0\.1\.0, 0\.2\.0, 0\.3\.1, and helm") as caught:
        demand_dependencies(read_chart(chart))
    assert caught.value.run == "take out of charts/ what is not meant"
