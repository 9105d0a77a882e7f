"""The rules for Chart.yaml, Artifact Hub's annotations, the sources and the changelog; each finding has its place."""

from __future__ import annotations

import inspect
import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from yamllint.config import YamlLintConfig

from scripts.chart import artifacthub
from scripts.chart.complaints import Complaint
from scripts.chart.source import Chart, read_chart
from scripts.checks import lint
from scripts.checks.lint import (
    Finding,
    Lint,
    changelog_rules,
    chart_rules,
    file_rules,
    helm_rules,
    schema_rules,
    unreadable,
    yaml_rules,
)
from scripts.core.config import _CHOICES, Config
from scripts.core.errors import FindingsError

KNOWN = ("1.28", "1.29", "1.30")
GOOD = """\
apiVersion: v2
name: demo
version: 1.2.3
appVersion: "1.10"
description: A chart
kubeVersion: ">=1.28.0-0"
maintainers:
  - name: Somebody
    email: somebody@example.com
annotations:
  artifacthub.io/license: Apache-2.0
  artifacthub.io/changes: |
    - kind: added
      description: All
"""


def chart_of(folder: Path, text: str) -> Chart:
    (folder / "Chart.yaml").write_text(text)
    return read_chart(folder)


def found(chart: Chart) -> list[tuple[str, int | None, str]]:
    return [(finding.level, finding.line, finding.message) for finding in chart_rules(chart, KNOWN)]


def test_names_that_not_every_system_tells_apart(tmp_path: Path) -> None:
    chart = chart_of(tmp_path, GOOD)
    for name in ("templates/a.yaml", "templates/A.yaml", "Files/x", "files/y", "caf\u00e9", "cafe\u0301", "fine"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    told = {(each.level, each.file and each.file.name, each.message.rpartition(" ")[2]) for each in file_rules(chart)}
    assert told == {
        ("warning", "A.yaml", "templates/a.yaml"),
        ("warning", "Files", "files"),
        ("warning", "cafe\u0301", "caf\u00e9"),
    }


def test_a_branch_for_older_clusters_is_no_finding(tmp_path: Path) -> None:
    """`helm lint` serves groups and versions and no kinds, so that it renders what the chart has for older clusters."""
    chart, helm = chart_of(tmp_path, GOOD), Mock()
    words = "{0}beta1 {1} is deprecated in v1.21+, unavailable in v1.25+; use {0} {1}".format
    helm.lint.return_value = [Complaint(words(*kind), "warning") for kind in (("policy/v1", "PDB"), ("x/v1", "Y"))]
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "a.yaml").write_text(
        '{{ if .Capabilities.APIVersions.Has "policy/v1/PDB" }}a: b{{ end }}'
    )
    assert [one.message for one in helm_rules(chart, None, helm, "1.30")] == [words("x/v1", "Y")]


def test_a_merge_that_nobody_has_settled_in_any_file(tmp_path: Path) -> None:
    chart = chart_of(tmp_path, GOOD)
    for name in ("README.md", "templates/NOTES.txt", "files/a.conf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one\n<<<<<<< HEAD\ntwo\n=======\nthree\n>>>>>>> theirs\n")
    (tmp_path / "LICENSE").write_text("Heading\n=======\n<<<<<<< alone\n")
    told = {(each.level, each.line, each.file and each.file.name) for each in file_rules(chart)}
    assert told == {("error", 2, "README.md"), ("error", 2, "NOTES.txt"), ("error", 2, "a.conf")}


class TestChart:
    def test_a_good_one(self, tmp_path: Path) -> None:
        assert found(chart_of(tmp_path, GOOD)) == []
        assert found(chart_of(tmp_path, GOOD + "icon:\nhome:\n")) == []  # as good as absent

    @pytest.mark.parametrize(
        ("old", "new", "level", "line", "words"),
        [
            ("version: 1.2.3", 'version: "1.2"', "warning", 3, "no semantic version"),
            ("version: 1.2.3", "version: 1.02.3", "warning", 3, "helm packs it"),
            ("version: 1.2.3", "version: v1.2.3", "warning", 3, "has a leading v"),
            ("version: 1.2.3", "version: 1.2.3.4", "error", 3, "no semantic version"),
            ("name: demo", "name: Demo", "warning", 2, "lower-case"),
            ('appVersion: "1.10"\n', "", "warning", None, "appVersion is missing"),
            ("description: A chart\n", "", "warning", None, "description is missing"),
            ("apiVersion: v2", "apiVersion: v1", "warning", 1, "v2"),
            ('kubeVersion: ">=1.28.0-0"\n', "", "warning", None, "kubeVersion is missing"),
            ('">=1.28.0-0"', '"about 1"', "error", 6, "no version constraint"),
            ('">=1.28.0-0"', '">=1.99.0-0"', "error", 6, "admits no known Kubernetes"),
            ('">=1.28.0-0"', '">=1.28.0"', "warning", 6, "helms such as 3.17 refuse v1.33.4-gke.100"),
            ("description: A chart\n", "description: x\nicon: file://a.svg\n", "warning", 6, "that somebody can open"),
            ("description: A chart\n", "description: x\nhome: here\n", "warning", 6, "that somebody can open"),
            ("license: Apache-2.0", "license: a b", "warning", 11, "SPDX"),
            ("license: Apache-2.0", "licence: MIT", "warning", 11, "knows no such annotation"),
            ("kind: added", "kind: new", "error", 13, "'new', not one of added"),
            ("kind: added", "kind: added\n      by: me", "warning", 13, "does not read: 'by'"),
            ("description: All", "descriptions: All", "error", 13, "needs description"),
            ("    - kind: added\n      description: All\n", "    - kind: [\n", "error", 14, "not valid YAML"),
        ],
    )  # fmt: skip
    def test_each_rule(self, tmp_path: Path, old: str, new: str, level: str, line: int | None, words: str) -> None:
        assert old in GOOD
        findings = found(chart_of(tmp_path, GOOD.replace(old, new)))
        assert any((one[0], one[1]) == (level, line) and words in one[2] for one in findings), findings

    def test_a_prerelease_says_so(self, tmp_path: Path) -> None:
        text = GOOD + "  artifacthub.io/prerelease: 'false'\n"
        assert found(chart_of(tmp_path, text)) == []
        ((level, _, message),) = found(chart_of(tmp_path, text.replace("1.2.3", "1.2.3-rc.1")))
        assert (level, "the version is 1.2.3-rc.1" in message) == ("warning", True)

    @pytest.mark.parametrize(
        ("name", "value", "told"),
        [
            ("changes", "- {kind: Fixed, description: 5, links: [{name: a, url: b.c}]}", ["warning"]),
            ("changes", "- one\n- 2\n", []),
            ("changes", "", []),
            ("changes", "- one\n- {description: two}\n", ["error"]),
            ("changes", "- {description: a, links: [{name: a}]}", ["error"]),
            ("crds", "- {kind: Thing}", ["warning"] * 4),
            ("crdsExamples", "- Thing", ["warning"]),
            ("images", "- {name: a}", ["error"]),
            ("links", "- {name: a}\n- {name: b, url: b.c}\n", ["warning", "warning"]),
            ("links", "- {name: a, url: [b]}", ["error"]),
            ("maintainers", "- {name: a}", ["warning"]),
            ("operatorCapabilities", "deep insights", []),
            ("operatorCapabilities", "deep", ["error"]),
            ("category", "Database", ["error"]),
            ("signKey", "{url: 'https://a.b/c', fingerprint: ab cd}", ["warning"]),
            ("signKey", "{fingerprint: ab}", ["error", "warning"]),
            ("alternativeName", "", []),
        ],
    )
    def test_what_artifact_hub_takes_is_no_error(self, name: str, value: str, told: list[str]) -> None:
        found = artifacthub.objections({f"artifacthub.io/{name}": value}, "1.0.0")
        assert ["warning" if one.ignored else "error" for one in found] == told

    @pytest.mark.parametrize(
        ("written", "words"), [("true", ""), ("false", "the version is"), ("1.10", "must be text"), ("[a]", "must be")]
    )
    def test_what_is_not_quoted_is_read_as_helm_reads_it(self, tmp_path: Path, written: str, words: str) -> None:
        text = GOOD.replace("1.2.3", "1.2.3-rc.1") + f"  artifacthub.io/prerelease: {written}\n"
        messages = [message for _, _, message in found(chart_of(tmp_path, text))]
        assert [words in message for message in messages] == ([True] if words else [])

    KEYS = (
        "apiVersion",
        "description",
        "appVersion",
        "kubeVersion",
        "maintainers",
        "icon",
        "home",
        "sources",
        "annotations",
    )
    VALUES: tuple[Any, ...] = (
        None,
        0,
        1.5,
        True,
        "",
        "x",
        [],
        [1],
        ["x"],
        [None],
        [[]],
        {},
        {"a": 1},
        {1: 2},
        [{"name": 1}],
    )

    def test_nonsense_is_a_finding_and_never_a_crash(self, tmp_path: Path) -> None:
        for key, value in itertools.product(self.KEYS, self.VALUES):
            metadata = {**yaml.safe_load(GOOD), key: value}
            list(chart_rules(chart_of(tmp_path, yaml.safe_dump(metadata)), KNOWN))

    SHAPES = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["kind", "description", "links", "name", "url", "image", "x"]), inner, max_size=4
            )
        ),
        max_leaves=8,
    )

    @given(st.sampled_from(sorted(artifacthub._RULES)), SHAPES)
    def test_nonsense_in_an_annotation_neither(self, name: str, value: object) -> None:
        annotations = {f"artifacthub.io/{name}": yaml.safe_dump(value)}
        for objection in artifacthub.objections(annotations, "1.0.0"):
            assert objection.annotation == f"artifacthub.io/{name}"
            assert objection.message


class TestSources:
    @pytest.fixture
    def rules(self, root: Path) -> YamlLintConfig:
        return YamlLintConfig(file=str(root / ".yamllint.yaml"))

    @pytest.mark.parametrize(
        ("content", "line", "words"),
        [
            (b"a: [1\n", 2, "not valid YAML: did not find expected ',' or ']'"),
            (b"a: 1\na: 2\n", 2, 'duplication of key "a"'),
            (b"a:   1   \n", 1, "trailing-spaces"),
            (b"- 1\n", None, "not a mapping: list"),
            (b"a: \xff\n", None, "not valid YAML: not UTF-8 text: byte 4 is 0xff"),
            (b"a: \x00\n", None, "not valid YAML: unacceptable character"),
            (b"a:\n<<<<<<< HEAD\n  b: 1\n=======\n  b: 2\n>>>>>>> c\n", 2, "conflict markers stand here"),
        ],
    )
    def test_of_yaml(self, tmp_path: Path, rules: YamlLintConfig, content: bytes, line: int | None, words: str) -> None:
        file = tmp_path / "values.yaml"
        file.write_bytes(content)
        broken = unreadable(file)
        findings = [broken] if broken else list(yaml_rules(file, rules, tmp_path))
        assert any(one.line == line and words in one.message and one.file == file for one in findings), findings
        assert all(one.level == "error" for one in findings)

    def test_good_ones(self, tmp_path: Path, rules: YamlLintConfig) -> None:
        for content in ("", "a: 1\n", "# nothing\n", "a:\t1\n", "a: !own {b: 1}\n"):  # helm reads a tab, and any tag
            (tmp_path / "values.yaml").write_text(content)
            assert unreadable(tmp_path / "values.yaml") is None
            assert list(yaml_rules(tmp_path / "values.yaml", rules, tmp_path)) == []

    @pytest.mark.parametrize(
        ("content", "line", "words"),
        [
            (b'{\n"a": }', 2, "not valid JSON: Expecting value"),
            (b"[" * 100_000, None, "not valid JSON: nested too deeply"),
            (b"\xff", None, "not UTF-8 text: invalid start byte"),
            (b"{\n<<<<<<< HEAD\n=======\n>>>>>>> c\n}", 2, "conflict markers stand here"),
        ],
    )
    def test_of_the_schema(self, tmp_path: Path, content: bytes, line: int | None, words: str) -> None:
        chart = chart_of(tmp_path, GOOD)
        (tmp_path / "values.yaml").touch()
        assert [one.level for one in schema_rules(chart)] == ["info"]
        (tmp_path / "values.schema.json").write_bytes(content)
        (finding,) = schema_rules(chart)
        assert (finding.level, finding.line, words in finding.message) == ("error", line, True)


class TestChangelog:
    @pytest.mark.parametrize(
        ("text", "level"),
        [
            (None, "info"),
            ("# Changelog\n\n## [1.2.3] - 2026-01-02\n\n### Added\n\n- All\n", None),
            ("# Changelog\n\n## [Unreleased]\n", "warning"),
            ("# Changelog\n\n## [1.2.30] - 2026-01-02\n", "warning"),
            ("# Changelog\n\n## [1.2.3] - 2026-02-31\n", "error"),
        ],
    )
    def test_has_the_version(self, tmp_path: Path, config: Config, text: str | None, level: str | None) -> None:
        file = tmp_path / "CHANGELOG.md"
        if text is not None:
            file.write_text(text)
        findings = list(changelog_rules(chart_of(tmp_path, GOOD), replace(config, changelog=file)))
        assert [one.level for one in findings] == ([level] if level else [])

    def test_what_cannot_be_read_has_its_place(self, tmp_path: Path, config: Config) -> None:
        file = tmp_path / "CHANGELOG.md"
        file.write_text("# Changelog\n\n## [1.2.3] - 2026-02-31\n")
        (finding,) = changelog_rules(chart_of(tmp_path, GOOD), replace(config, changelog=file))
        assert (finding.file, finding.line) == (file, 3)
        assert finding.message.startswith("2026-02-31 is no date")
        file.write_bytes(b"\xff")
        (finding,) = changelog_rules(chart_of(tmp_path, GOOD), replace(config, changelog=file))
        assert (finding.file, finding.line) == (file, None)
        assert finding.message.startswith("cannot be read")

    @pytest.mark.parametrize(
        ("unreleased", "found"),
        [
            ("### Fixed\n\n- It\n", None),
            ("### Notes\n\n- It\n", ("warning", 5, "### Notes is no kind of change")),
            ("### Known issues\n", ("warning", 5, "### Known issues is no kind of change")),
            ("- It\n", ("warning", 5, "an entry under no kind of change")),
            ("- It\n- That\n- More\n", ("warning", 5, "this and 2 more entries under no kind of change")),
        ],
    )
    def test_headings_are_kinds_of_change(
        self, tmp_path: Path, config: Config, unreleased: str, found: tuple[str, int, str] | None
    ) -> None:
        file = tmp_path / "CHANGELOG.md"
        released = "## [1.2.3] - 2026-01-02\n\n### Notes\n\n- All\n"
        file.write_text(f"# Changelog\n\n## [Unreleased]\n\n{unreleased}\n{released}")
        *first, last = changelog_rules(chart_of(tmp_path, GOOD), replace(config, changelog=file))
        assert (last.level, "### Notes" in last.message) == ("warning", True)
        assert len(first) == (1 if found else 0)
        for finding in first:
            assert found is not None
            assert (finding.level, finding.line, found[2] in finding.message) == (*found[:2], True)


class TestVerdict:
    def outcome(self, tmp_path: Path, *levels: str) -> Lint:
        findings = tuple(Finding(level, "check", f"is {level}") for level in levels)
        return Lint(chart_of(tmp_path, GOOD), findings, (tmp_path / "Chart.yaml",))

    @pytest.mark.parametrize(
        ("levels", "strict", "told"),
        [
            ((), True, None),
            (("info", "warning"), False, None),
            (("info", "warning"), True, "1 warning"),
            (("error", "error", "warning"), False, "2 errors and 1 warning"),
        ],
    )
    def test_is_an_error_where_something_is_wrong(
        self, tmp_path: Path, levels: tuple[str, ...], strict: bool, told: str | None
    ) -> None:
        outcome = self.outcome(tmp_path, *levels)
        if told is None:
            outcome.demand(strict=strict)
            return
        with pytest.raises(FindingsError, match=r"demo 1\.2\.3 is not clean") as caught:
            outcome.demand(strict=strict)
        assert caught.value.found == told

    def test_as_json(self, tmp_path: Path) -> None:
        report = self.outcome(tmp_path, "error", "info").report()
        assert (report["errors"], report["warnings"], report["notes"]) == (1, 0, 1)
        assert report["findings"][0]["message"] == "is error"


def test_each_check_that_warns_may_have_its_warnings_be_errors() -> None:
    warns = re.findall(r'Finding\((?:"warning"|level|problem\.level or "error"), "(\w+)"', inspect.getsource(lint))
    assert set(warns) == set(_CHOICES["lint_errors"])
