"""The record holds what the files say, says what is absent with its command, and takes no result of another chart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.chart.source import read_chart
from scripts.core.config import Config
from scripts.report.inputs import objection
from scripts.report.record import make_record
from tests.unit.report.conftest import recorded

COMMANDS = ("release", "lint", "kubeconform-check", "template", "judge", "diff")


def test_an_empty_dist_names_the_command_of_every_section(project: Config) -> None:
    record = recorded(project)
    assert record["verdict"]["state"] == "incomplete"
    told = "\n".join(record["uncovered"])
    for command in (*(f"invoke {name}" for name in COMMANDS), "invoke e2e", "nox -s mutate", "nox -s bench"):
        assert f"`{command}`" in told
    assert objection("report", record) == ""
    told = "\n".join(make_record(project, read_chart(project.chart), " --chart it")["uncovered"])
    for command in (*COMMANDS, "e2e"):
        assert f"`invoke {command} --chart it`" in told
    assert "nox" not in told, "what tests this project is no gap of another chart"


def test_every_section_is_what_its_file_says(full: Config) -> None:
    record = recorded(full)
    assert objection("report", record) == ""
    assert record["release"]["digest"] == f"sha256:{'0' * 64}"
    assert [(step["name"], step["seconds"]) for step in record["release"]["steps"]] == [
        ("checks", 6.25),
        ("publish", 2.5),
    ]
    assert record["release"]["verify"] == ["invoke verify oci://example.com/charts/gati:1.2.3"]
    assert record["gates"]["grid"]["rows"] == [
        {"values": "values.yaml", "cells": [[], []]},
        {"values": "values-prod.yaml", "cells": [[], [0]]},
    ]
    (row,) = record["changes"]["objects"]
    assert (row["about"], row["reasons"], record["changes"]["rest"]) == ("Service/front", [0], [])
    assert "the smoke test was not asked for uninstall; `invoke e2e` runs them all" in record["uncovered"]
    assert "KEDA/x is not checked" in record["uncovered"]
    assert "scenario-1: KEDA: the cluster has no such kind was not tested" in record["uncovered"]


def test_a_load_is_counted_second_by_second(full: Config) -> None:
    first, second = (one["loads"][0] for one in recorded(full)["availability"]["scenarios"])
    for load, lost in ((first, 3), (second, 0)):
        assert sum(load["series"]["requests"]) == load["requests"] == 200
        assert sum(load["series"]["lost"]) == load["failed"] == lost
        assert len(load["series"]["p99"]) == load["places"]
        assert sum(load["control_series"]["requests"]) == 200
    spans = [span for lane in first["lanes"] if lane["pod"] == "gati-ingress-0-<b>" for span in lane["spans"]]
    assert {(span["what"], span["state"]) for span in spans} >= {("ready", "ready"), ("told to stop", "stopping")}


def test_the_first_cause_is_that_of_the_first_gate_that_failed(full: Config) -> None:
    verdict = recorded(full)["verdict"]
    assert verdict["state"] == "failed"
    assert verdict["first"] == "schemas: Service/front: ports is <required>"
    states = {row["gate"]: row["state"] for row in verdict["rows"]}
    assert states == {
        "release": "passed",
        "lint": "passed",
        "schemas": "failed",
        "judge": "failed",
        "smoke test": "failed",
        "scaling": "passed",
    }


def of_another_version(dist: Path) -> None:
    for file in dist.glob("gati.*.json"):
        file.write_text(file.read_text().replace("1.2.3", "1.2.4"))
    report = dist / "e2e" / "report.json"
    report.write_text(report.read_text().replace("1.2.3", "1.2.4"))


def of_another_archive(dist: Path) -> None:
    file = dist / "gati.package.json"
    file.write_text(file.read_text().replace("sha256:0", "sha256:1"))


def of_another_shape(dist: Path) -> None:
    for file in (*dist.glob("gati.*.json"), dist / "e2e" / "report.json"):
        file.write_text(
            file.read_text().replace('"schema_version": 1', '"schema_version": 99').replace(": 2,", ": 99,")
        )


def cut_off(dist: Path) -> None:
    for file in (*dist.glob("gati.*.json"), dist / "e2e" / "report.json"):
        file.write_text(file.read_text()[:-9])


@pytest.mark.parametrize(
    ("spoil", "gates"),
    [
        (of_another_version, {"release", "lint", "schemas", "judge", "smoke test"}),
        (of_another_archive, {"release", "smoke test"}),
        (of_another_shape, {"release", "lint", "schemas", "judge", "smoke test"}),
        (cut_off, {"release", "lint", "schemas", "judge", "smoke test"}),
    ],
)
def test_what_is_no_result_of_this_chart_is_absent(
    full: Config, spoil: Callable[[Path], None], gates: set[str]
) -> None:
    spoil(full.dist)
    rows = recorded(full)["verdict"]["rows"]
    assert {row["gate"] for row in rows if row["state"] == "absent"} == gates


def test_the_first_gate_that_is_absent_is_the_cause_where_none_failed(project: Config) -> None:
    verdict = recorded(project)["verdict"]
    assert (verdict["state"], verdict["first"].split(":")[0]) == ("incomplete", "release")
    assert verdict["first"].endswith("invoke release")


def test_a_load_whose_requests_are_gone_or_cut_off_hides_nothing(full: Config) -> None:
    requests = full.dist / "e2e" / "scenario-0" / "load.requests.jsonl"
    requests.write_bytes(requests.read_bytes()[:-20])
    (load,) = recorded(full)["availability"]["scenarios"][0]["loads"]
    assert (load["requests"], sum(load["series"]["requests"])) == (200, 199)
    requests.unlink()
    record = recorded(full)
    assert record["availability"]["scenarios"][0]["loads"][0]["state"] == "absent"
    assert any("load.requests.jsonl is gone" in gap for gap in record["uncovered"])


def test_a_void_attempt_is_shown_beside_the_one_that_counts(full: Config) -> None:
    file = full.dist / "e2e" / "report.json"
    run = json.loads(file.read_text())
    run["scenarios"][1]["void"] = [{**run["scenarios"][1], "state": "void"}]
    file.write_text(json.dumps(run))
    (full.dist / "e2e" / "scenario-1").rename(full.dist / "e2e" / "scenario-1.2")
    scenario = recorded(full)["availability"]["scenarios"][1]
    assert scenario["attempts"] == 2
    assert [load["state"] for load in scenario["loads"]] == ["absent", "there"]


def test_junit_tells_its_failures(full: Config) -> None:
    (full.dist / "tests.xml").write_text(
        '<testsuites><testsuite name="a" time="1.5"><testcase name="x"><failure message="no &lt;pod&gt;"/></testcase>'
        '<testcase name="y"/></testsuite></testsuites>'
    )
    (full.dist / "broken.xml").write_text("<testsuites>")
    record = recorded(full)
    (suite,) = record["gates"]["junit"][0]["suites"]
    assert (suite["cases"], suite["seconds"]) == (2, 1.5)
    assert suite["failed"] == [{"name": "x", "kind": "failure", "message": "no <pod>"}]
    assert any("broken.xml cannot be read as JUnit" in gap for gap in record["uncovered"])
