"""Results that no run leaves are said to be unreadable, and what they name can be shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.core.config import Config
from scripts.core.errors import UsageError
from scripts.report.compare import read_earlier
from scripts.report.page import draw
from tests.unit.report.conftest import recorded


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"schema_version": 1' + "0" * 400 + "}", '{"a": NaN}', '{"a": 1e17}', "\ufeff", "{"]
)
def test_what_is_no_json_of_ours_is_said(content: str, full: Config, tmp_path: Path) -> None:
    for name in ("gati.lint.json", "e2e/report.json", "gati.package.json", "autoscale/policies/curve.json"):
        (full.dist / name).write_text(content)
    assert any("gati.lint.json cannot be read" in gap for gap in recorded(full)["uncovered"])
    (file := tmp_path / "report.json").write_text(content)
    with pytest.raises(UsageError, match="is no earlier report"):
        read_earlier(file)


@pytest.mark.parametrize(
    "line", ["[" * 100_000, '{"at": "soon"}', '{"seconds": null}', '{"at": NaN}', '{"seconds": 1e999}']
)
def test_a_request_that_no_load_leaves_is_left_out(line: str, full: Config) -> None:
    for name in ("control", "scenario-0/load"):
        file = full.dist / "e2e" / f"{name}.requests.jsonl"
        first, *rest = file.read_text().splitlines()
        torn = json.dumps({**json.loads(first), **json.loads(line)}) if line.startswith("{") else line
        file.write_text("\n".join([torn, *rest]))
    scenario = recorded(full)["availability"]["scenarios"][0]
    assert sum(scenario["loads"][0]["series"]["requests"]) == 199


@pytest.mark.parametrize(
    "text", ['<?xml version="1.0" encoding="none"?><testsuite/>', '<testsuite time="inf"/>', '<testsuite time="soon"/>']
)
def test_what_is_no_junit_is_said(text: str, full: Config) -> None:
    (full.dist / "x.xml").write_text(text)
    assert any("x.xml cannot be read as JUnit" in gap for gap in recorded(full)["uncovered"])


def test_manifests_of_no_kubernetes_are_not_what_we_write(full: Config) -> None:
    file = full.dist / "gati.manifests" / "index.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "kube_versions": [], "renders": []}))
    assert "kube_versions" in recorded(full)["objects"]["why"]


def test_bytes_that_are_no_text(full: Config) -> None:
    (full.dist / "gati.manifests" / "a.yaml").write_bytes(b"\xff\xfe")
    assert any("a.yaml cannot be read" in gap for gap in recorded(full)["uncovered"])


def test_what_steers_a_terminal_or_is_no_character_is_not_shown(full: Config) -> None:
    file = full.dist / "e2e" / "report.json"
    told = json.loads(file.read_text())
    told["scenarios"][1]["scenario"] = told["left_out"][0] = "a\x00\x1b[31m\u202e\ud800"
    file.write_text(json.dumps(told))
    (full.dist / "x.xml").write_text('<testsuite name="&#x202e;"/>')
    page = draw(recorded(full))
    assert page.encode()
    assert not set(page) & set("\x00\x1b\u202e")
    assert "a\ufffd\ufffd?" in page


def test_a_control_that_cannot_be_counted(full: Config) -> None:
    file = full.dist / "e2e" / "report.json"
    told = json.loads(file.read_text())
    told["control"] = {"there": True, "error": "its requests are gone"}
    file.write_text(json.dumps(told))
    assert "The control cannot be counted: its requests are gone" in draw(recorded(full))


def test_a_cluster_and_a_curve_of_no_run(full: Config) -> None:
    file, curve = full.dist / "e2e" / "report.json", full.dist / "autoscale" / "policies" / "curve.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "cluster": {"kubernetes": []}}))
    curve.write_text(json.dumps({**json.loads(curve.read_text()), "lost": {}}))
    record = recorded(full)
    assert "$.cluster.kubernetes" in record["availability"]["why"]
    assert record["scaling"]["scenarios"][0]["curve"] is None
