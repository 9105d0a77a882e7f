"""In CI, what a task prints can be folded, and its findings stand at their places in the source."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from scripts.front.ci_log import QUALITY, annotate, grouped, system
from scripts.present import Mark
from tests import forked

MARKS = (Mark("error", "50% of\nit: bad", "chart/values, a.yaml", 7), Mark("info", "mind this"))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({"GITHUB_ACTIONS": "true"}, "github"), ({"GITLAB_CI": "true"}, "gitlab"), ({"CI": "true"}, ""), ({}, "")],
)
def test_the_system_is_chosen_by_its_environment(environ: dict[str, str], expected: str) -> None:
    assert system(environ) == expected


def test_github_reads_findings_from_the_log(tmp_path: Path) -> None:
    lines: list[str] = []
    annotate(MARKS, lines.append, tmp_path, check="lint", of="github")
    assert lines == ["::error file=chart/values%2C a.yaml,line=7::50%25 of%0Ait: bad", "::notice::mind this"]
    assert list(tmp_path.iterdir()) == []


def test_gitlab_reads_them_from_a_file(tmp_path: Path) -> None:
    annotate(MARKS, print, tmp_path, check="lint", of="gitlab")
    first, second = json.loads((tmp_path / QUALITY).read_text())
    assert first["location"] == {"path": "chart/values, a.yaml", "lines": {"begin": 7}}
    assert (first["severity"], second["severity"]) == ("major", "info")
    assert first["fingerprint"] != second["fingerprint"]


@pytest.mark.parametrize("before", [None, "", "{}", "[1]", '[{"check_name": "lint"}]'])
def test_gitlab_is_told_by_the_last_check_what_the_others_found(tmp_path: Path, before: str | None) -> None:
    if before is not None:
        (tmp_path / QUALITY).write_text(before)
    for check, marks in (("kubeconform-check", MARKS[:1]), ("lint", MARKS), ("report", ()), ("lint", MARKS[1:])):
        annotate(marks, print, tmp_path, check=check, of="gitlab")
    told = [(one["check_name"], one["description"]) for one in json.loads((tmp_path / QUALITY).read_text())]
    assert told == [("kubeconform-check", MARKS[0].message), ("lint", MARKS[1].message)]


def test_elsewhere_nothing_is_added(tmp_path: Path) -> None:
    lines: list[str] = []
    with grouped("lint", lines.append, of=""):
        lines.append("said")
    annotate(MARKS, lines.append, tmp_path, check="lint", of="")
    assert (lines, list(tmp_path.iterdir())) == (["said"], [])


def test_a_group_ends_where_its_task_fails() -> None:
    for of, last in (("github", "::endgroup::"), ("gitlab", r"\x1b\[0Ksection_end:\d+:lint\r\x1b\[0K")):
        lines: list[str] = []
        with pytest.raises(ValueError, match="x"), grouped("lint", lines.append, of=of):  # type: ignore[arg-type]
            raise ValueError("x")
        assert re.fullmatch(last, lines[-1]), of


def test_a_task_annotates_and_json_is_untouched(root: Path, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: one\n")

    def lint(*flags: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "GITHUB_ACTIONS": "true", "GATI_DIST": str(tmp_path / "dist")}
        return forked.run("invoke", "lint", f"--chart={tmp_path / 'demo'}", *flags, cwd=root, env=env)

    told = lint()
    assert told.returncode == 1
    assert told.stderr.startswith("::group::lint\n")
    assert re.search(r"^::error file=.*Chart\.yaml,line=3::", told.stderr, re.MULTILINE)
    (tmp_path / "gati.toml").write_text('charts = ["*o"]\n')
    assert re.search(r"^::error file=.*Chart\.yaml,line=3::", lint("--all").stderr, re.MULTILINE), "of several charts"
    silent = lint("--json")
    assert "::" not in silent.stderr.replace("error:", "")
    assert "findings" in json.loads(silent.stdout)
