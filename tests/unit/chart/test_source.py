"""A chart's folder is read into a value, or refused with the place that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.chart.source import check_sources, read_chart, read_yaml, with_version
from scripts.core.errors import ChartError, ReleaseError, ValuesError
from scripts.core.yaml_read import load


def write(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "Chart.yaml").write_text(text)
    return folder


def test_what_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "c", "name: demo\nversion: 1.2.3\nappVersion: 7\nkubeVersion: '>=1.28'\n")
    for name in ("values-prod.yaml", "values.yaml", "values-dev.yaml", "values.txt"):
        (folder / name).touch()
    (folder / "values-metadata.yaml").write_text("replicas:\n  __metadata:\n    label: How many pods\n")  # of a form
    chart = read_chart(folder)
    assert (chart.name, chart.version, chart.app_version, chart.kube_version) == ("demo", "1.2.3", "7", ">=1.28")
    assert [file.name for file in chart.values_files] == ["values.yaml", "values-dev.yaml", "values-prod.yaml"]
    assert chart.archive_name == "demo-1.2.3.tgz"


def test_a_chart_may_lack_values_and_versions_of_others(tmp_path: Path) -> None:
    chart = read_chart(write(tmp_path / "c", "name: demo\nversion: 1.2.3\n"))
    assert (chart.values_files, chart.app_version, chart.kube_version) == ((), None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"Chart.yaml: name is missing or not text"),
        ("name: demo\n", r"Chart.yaml: version is missing or not text"),
        ("name: demo\nversion: 1.2\n", r"(?s)version is missing or not text.*quoted.*1\.2"),
        ("name: demo\nversion: ''\n", r"version is missing"),
        ("- name\n", r"Chart.yaml: not a mapping"),
        ("name: demo\nversion: [1\n", r"Chart.yaml:3:1: not valid YAML"),
        ("name: {{ .Name }}\nversion: 1.0.0\n", r"(?s)Chart.yaml:1:8: not valid YAML.*\{\{ \.\.\. \}\} without quotes"),
        ("name: demo\n\tversion: 1\n", r"Chart.yaml:2:1: not valid YAML"),
        ("name: demo\nversion: 1.0.0\n---\nversion: 2.0.0\n", r"Chart.yaml:3: holds a further document, which helm"),
        (
            "name: demo\n<<<<<<< HEAD\nversion: 1.0.0\n=======\nversion: 1.1.0\n>>>>>>> theirs\n",
            r"(?s)Chart.yaml:2: git's conflict markers stand here.*git add .*Chart.yaml",
        ),
    ],
)
def test_a_broken_chart_yaml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ChartError, match=message):
        read_chart(write(tmp_path / "c", text))


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["values.yaml", "values.schema.json", "templates/NOTES.txt", "templates/a/map.yaml"])
def test_a_merge_that_nobody_has_settled_is_told_as_that(tmp_path: Path, name: str, ends: str) -> None:
    chart = write(tmp_path / "c", "name: demo\nversion: 1.2.3\n")
    file = chart / name
    file.parent.mkdir(parents=True, exist_ok=True)
    sides = ("{", "<<<<<<< HEAD", '"a": 1', "||||||| base", "=======", '"a": 2', ">>>>>>> a branch", "}", "")
    file.write_bytes(ends.join(sides).encode())
    with pytest.raises(ReleaseError, match=rf"(?s){name}:2: git's conflict markers.*git add .*{name} and git commit"):
        check_sources(read_chart(chart))
    file.write_text("{}\n# <<<<<<< is how it begins, =======\n" if name.endswith("yaml") else "{}\n")
    check_sources(read_chart(chart))


def test_no_chart(tmp_path: Path) -> None:
    with pytest.raises(ChartError, match=r"(?s)no chart at .*no such folder.*--chart PATH"):
        read_chart(tmp_path / "nowhere")
    with pytest.raises(ChartError, match=r"no Chart.yaml in the folder"):
        read_chart(tmp_path)


def test_yaml_files_are_refused_in_the_callers_words(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_bytes(b"a: \xff\n")
    with pytest.raises(ValuesError, match="not valid YAML"):
        read_yaml(file, ValuesError)
    file.write_text("# nothing\n")
    assert read_yaml(file, ValuesError) == {}
    with pytest.raises(ValuesError, match="cannot be read"):
        read_yaml(tmp_path, ValuesError)


def test_only_what_follows_from_the_version_changes() -> None:
    text = "# c\nversion: 1.0.0 # v\nname: x\nannotations:\n  artifacthub.io/prerelease: 'false'\n  other: 1.0.0\n"
    assert with_version(text, "1.1.0") == text.replace("version: 1.0.0", "version: 1.1.0")
    assert with_version(text, "1.1.0-rc.1") == text.replace("version: 1.0.0", "version: 1.1.0-rc.1").replace(
        "'false'", "'true'"
    )
    assert with_version(text, "1.0.0") == text


def test_an_entry_that_yaml_would_take_for_something_else_stays_text() -> None:
    words = ["y", "1e3", "0o17", "It"]
    text = with_version("name: demo\nversion: 1.0.0\n", "1.0.1", changes=[("added", word) for word in words])
    found = load(load(text)["annotations"]["artifacthub.io/changes"])
    assert [one["description"] for one in found] == words
