"""What a chart holds is what helm packs of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.chart.contents import left_out, read_contents, renders, sources
from scripts.chart.source import read_chart


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        ("docs/*.md", "docs/a.md", True),
        ("docs/*.md", "docs/b/c.md", False),
        ("/*.md", "a.md", True),
        ("/*.md", "docs/a.md", False),
        ("*.md", "docs/b/c.md", True),
        ("*/z.yaml", "ci/y/z.yaml", False),
        ("files/[^a].txt", "files/x.txt", True),
        ("files/[!a].txt", "files/x.txt", False),
        (r"files/\[x\].txt", "files/[x].txt", True),
        ("[[]x].txt", "[x].txt", True),
        (r"\#c.txt", "#c.txt", True),
        ("\ufeffdocs", "docs", True),
        ("  # docs", "docs", False),
        ("docs/", "docs", False),
        ("[z-a]", "z", False),
    ],
)
def test_what_helm_leaves_out(tmp_path: Path, pattern: str, path: str, ignored: bool) -> None:
    """Each row is what the pinned helm packs."""
    (tmp_path / ".helmignore").write_text(f"{pattern}\n", encoding="utf-8")
    assert left_out(tmp_path)(path, False) is ignored


def test_the_charts_own_helmignore_counts_for_the_charts_in_it_too(tmp_path: Path) -> None:
    """So it is where helm loads or packs a folder: those of the charts in charts/ are not asked."""
    for name in (".helmignore", "templates/x.yaml", "charts/sub/templates/x.yaml", "charts/sub/templates/y.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("y.yaml\n")
    (tmp_path / "charts/sub/.helmignore").write_text("x.yaml\n")
    (tmp_path / "charts/_draft").mkdir()
    (tmp_path / "charts/_draft/Chart.yaml").write_text("name: draft\n")
    found = [name for name in read_contents(tmp_path, "top").files if name.endswith(".yaml")]
    assert found == ["top/templates/x.yaml", "top/charts/sub/templates/x.yaml"]


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    """Else what helm packs of a folder differs from the folder for ever."""
    (tmp_path / "NOTES.txt").write_bytes(b"\xef\xbb\xbfhello")
    assert read_contents(tmp_path, "top").files == {"top/NOTES.txt": b"hello"}


HELPER = '{{/* a "define" */}}\n{{- define "x" }}{{ if true }}a{{ end }}b{{ end }}\n'


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("a.yaml", "kind: A\n", True),
        ("a.yaml.tpl", "kind: A\n", True),
        ("a.json", "{}", True),
        ("a.tpl", f"{HELPER}kind: A\n", True),
        ("a.yaml", '{{ include "x" . }}', True),
        ("a.yaml", HELPER, False),
        ("a.tpl", HELPER, False),
        ("a.yaml", "# a\n---\n", False),
        ("a.yaml", '{{ fail "a" }}', False),
        ("_a.yaml", "kind: A\n", False),
        ("NOTES.txt", "a", False),
    ],
)
def test_what_may_give_an_object(file: str, text: str, expected: bool) -> None:
    """A template of any name, but for what it defines, which comes where it is included."""
    assert renders(file, text) is expected


@pytest.mark.parametrize(
    "text",
    [
        "kind: {0}\nspec:\n  group: e.test\n  names:\n    kind: Box\n  versions:\n    - name: v1\n",
        "kind: {0}\nspec:\n  group: e.test\n  names: {{kind: Box}}\n  versions:\n  - {{name: v1}}\n",
        '{{"kind": "{0}", "spec": {{"group": "e.test", "names": {{"kind": "Box"}}, "versions": [{{"name": "v1"}}]}}}}',
    ],
)
def test_a_definition_is_read_in_whatever_style_it_is_written(tmp_path: Path, text: str) -> None:
    (tmp_path / "crds").mkdir()
    (tmp_path / "crds" / "box.yaml").write_text(text.format("CustomResourceDefinition"))
    contents = read_contents(tmp_path, "demo")
    assert contents.installed_first == {"e.test/v1/Box"}
    assert [one.kind for one in contents.definitions({"e.test/v1/Box"})] == ["CustomResourceDefinition"]


def test_a_state_of_a_chart_is_told_by_its_files_and_not_by_their_ends_of_lines(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("")
    told = []
    for text in (b"name: a\nversion: 1.0.0\n", b"name: a\r\nversion: 1.0.0\r\n", b"name: a\nversion: 1.0.0\n#\n"):
        (tmp_path / "Chart.yaml").write_bytes(text)
        told.append(sources(read_chart(tmp_path)))
    assert told[0] == told[1] != told[2]
