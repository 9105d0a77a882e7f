"""The record holds what the files say, says what is absent with its command, and takes no result of another chart."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.chart.source import read_chart
from scripts.core.config import Config
from scripts.core.files import write_atomic
from scripts.front.ci_log import summarize
from scripts.report.inputs import objection
from scripts.report.page import draw, head
from scripts.report.record import make_record
from scripts.report.series import lanes
from tests.unit.report.conftest import VERSION, recorded
from tests.unit.report.made import ran

COMMANDS = ("release", "lint", "kubeconform-check", "template", "judge", "diff")


def test_an_empty_dist_names_the_command_of_every_section(project: Config) -> None:
    record = recorded(project)
    assert record["verdict"]["state"] == "incomplete"
    told = "\n".join(record["uncovered"])
    for command in (*(f"invoke {name}" for name in COMMANDS), "invoke e2e", "nox -s mutate", "nox -s bench"):
        assert f"`{command}`" in told
    assert objection("report", record) == ""
    other = make_record(replace(project, root=project.dist), read_chart(project.chart), " --chart it")
    told = "\n".join(other["uncovered"])
    for command in (*COMMANDS, "e2e"):
        assert f"`invoke {command} --chart it`" in told
    assert "nox" not in told, "what tests this project is no gap of another chart"
    assert "the toolkit and its own chart" in other["mutants"]["why"]


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


@pytest.mark.parametrize(
    ("registry", "reference", "flags", "install"),
    [
        (
            "oci://example.com/charts",
            "oci://example.com/charts/gati:1.2.3_b.1",
            [],
            ["helm install gati oci://example.com/charts/gati --version 1.2.3+b.1"],
        ),
        (
            "oci://registry.lan/charts",
            "oci://registry.lan/charts/gati:1.2.3_b.1",
            ["--ca-file", "/etc/our own/ca.pem"],
            ["helm install gati oci://registry.lan/charts/gati --version 1.2.3+b.1 --ca-file '/etc/our own/ca.pem'"],
        ),
        (
            "embedded",
            "oci://127.0.0.1:33873/charts/gati:1.2.3_b.1",
            ["--plain-http"],
            [
                "invoke registry --port 5000  # goes on: the rest beside it",
                "helm install gati oci://127.0.0.1:5000/charts/gati --version 1.2.3+b.1 --plain-http",
            ],
        ),
    ],
)
def test_the_commands_of_a_release_find_it_where_it_is_served_and_by_its_version(
    full: Config, registry: str, reference: str, flags: list[str], install: list[str]
) -> None:
    chart, file = full.chart / "Chart.yaml", full.dist / "gati.release.json"
    chart.write_text(chart.read_text().replace(VERSION, "1.2.3+b.1"))
    told = {**json.loads(file.read_text()), "version": "1.2.3+b.1", "reference": reference, "registry": registry}
    told["flags"] = flags
    file.write_text(json.dumps(told))
    assert recorded(full)["release"]["install"] == install


def test_a_load_is_counted_second_by_second(full: Config) -> None:
    first, second = (one["loads"][0] for one in recorded(full)["availability"]["scenarios"])
    for load, lost in ((first, 3), (second, 0)):
        assert sum(load["series"]["requests"]) == load["requests"] == 200
        assert sum(load["series"]["lost"]) == load["failed"] == lost
        assert len(load["series"]["p99"]) == load["places"]
        assert sum(load["control_series"]["requests"]) == 200
    found = lanes(first["events"], first["end"])
    spans = [span for lane in found if lane["pod"] == "gati-ingress-0-<b>" for span in lane["spans"]]
    assert {(span["what"], span["state"]) for span in spans} >= {("ready", "ready"), ("told to stop", "stopping")}


def test_lines_that_are_no_requests_are_left_out_in_whatever_order_the_others_stand(full: Config) -> None:
    for name in ("scenario-0/load.requests.jsonl", "control.requests.jsonl"):
        file = full.dist / "e2e" / name
        lines = file.read_bytes().splitlines()
        huge = b'{"at": 1, "seconds": 1%s, "kind": "new", "target": "x", "status": 200}' % (b"0" * 400)
        odd = [b"\xff", b"[]", b'"seconds"', huge, lines[0][:-9], b'{"at": 1, "kind": "new", "target": "x"}']
        file.write_bytes(b"\r\n".join([*odd, *reversed(lines), lines[0][:40]]))
    load, _ = (one["loads"][0] for one in recorded(full)["availability"]["scenarios"])
    assert (sum(load["series"]["requests"]), sum(load["series"]["lost"])) == (200, 3)
    assert sum(load["control_series"]["requests"]) == 200


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


def of_another_chart(dist: Path) -> None:
    """Which has the same version, as charts that are begun alike do, and is not packaged here."""
    (dist / "gati.package.json").unlink()
    for folder in ("e2e", "autoscale"):
        report = dist / folder / "report.json"
        report.write_text(report.read_text().replace('"name": "gati"', '"name": "other"'))


def of_another_archive(dist: Path) -> None:
    file = dist / "gati.package.json"
    file.write_text(file.read_text().replace("sha256:0", "sha256:1"))


def of_another_shape(dist: Path) -> None:
    for file in (*dist.glob("gati.*.json"), dist / "e2e" / "report.json"):
        file.write_text(
            file.read_text().replace('"schema_version": 1', '"schema_version": 99').replace(": 2,", ": 99,")
        )


def of_other_files(dist: Path) -> None:
    """Which the release and the smoke test are not about, but the archive."""
    for file in (dist / f"gati.{what}.json" for what in ("lint", "kubeconform", "judge", "diff")):
        told = json.loads(file.read_text())
        (told if file.match("*.judge.json") or file.match("*.diff.json") else told["chart"])["sources"] = "0" * 64
        file.write_text(json.dumps(told))


def cut_off(dist: Path) -> None:
    for file in (*dist.glob("gati.*.json"), dist / "e2e" / "report.json"):
        file.write_text(file.read_text()[:-9])


@pytest.mark.parametrize(
    ("spoil", "gates"),
    [
        (of_another_version, {"release", "lint", "schemas", "judge", "smoke test"}),
        (of_another_chart, {"smoke test"}),
        (of_another_archive, {"release", "smoke test"}),
        (of_other_files, {"lint", "schemas", "judge"}),
        (of_another_shape, {"release", "lint", "schemas", "judge", "smoke test"}),
        (cut_off, {"release", "lint", "schemas", "judge", "smoke test"}),
    ],
)
def test_what_is_no_result_of_this_chart_is_absent(
    full: Config, spoil: Callable[[Path], None], gates: set[str]
) -> None:
    (full.dist / "e2e" / "junit.xml").write_text(
        '<testsuite><testcase><failure message="lost"/></testcase></testsuite>'
    )
    spoil(full.dist)
    record = recorded(full)
    rows = {row["gate"]: row["state"] for row in record["verdict"]["rows"]}
    assert {gate for gate, state in rows.items() if state == "absent"} == gates
    assert "dist/e2e/junit.xml" not in " ".join(rows), "its report says whose it is"
    assert (record["changes"]["diff"]["state"] == "absent") == (record["changes"]["judge"]["state"] == "absent")
    assert (record["scaling"]["state"] == "absent") == (spoil is of_another_chart)


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


def test_a_request_that_was_given_up_when_its_load_ended_is_lost_no_more_than_in_the_ledger(full: Config) -> None:
    requests = full.dist / "e2e" / "scenario-0" / "load.requests.jsonl"
    last = json.loads(requests.read_text().splitlines()[-1])
    begun = {"user": 1, **{key: last[key] for key in ("at", "kind", "target")}}
    given_up = {**begun, "seconds": 4.0, "status": 0, "error": "context canceled"}
    requests.write_text(f"{json.dumps(begun)}\n{requests.read_text()}{json.dumps(given_up)}\n")
    (load, *_) = make_record(full, read_chart(full.chart))["availability"]["scenarios"][0]["loads"]
    assert (sum(load["series"]["requests"]), sum(load["series"]["lost"])) == (load["requests"], load["failed"])


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
    (full.dist / "coverage.xml").write_text('<coverage line-rate="1"/>')
    record = recorded(full)
    (suite,) = record["gates"]["junit"][0]["suites"]
    assert (suite["cases"], suite["seconds"]) == (2, 1.5)
    assert suite["failed"] == [{"name": "x", "kind": "failure", "message": "no <pod>"}]
    for name in ("broken.xml", "coverage.xml"):
        assert any(f"{name} cannot be read as JUnit" in gap for gap in record["uncovered"])


def test_a_file_may_have_any_name(full: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (b"a|<b>.xml", b"\xff\x1b[2J.xml", b"a\nb.xml"):
        place = Path(os.fsdecode(os.fsencode(full.dist) + b"/" + name))
        place.write_text('<testsuite name="a|&lt;b&gt;"><testcase name="x"><error/></testcase></testsuite>')
    record = recorded(full)
    assert len(record["gates"]["junit"]) == 3
    write_atomic(tmp_path / "page.html", draw(record))
    assert "a|&lt;b&gt;.xml" in (tmp_path / "page.html").read_text()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    summarize(head(record))
    assert r"\udcff" in (tmp_path / "summary.md").read_text()


def test_what_a_chart_has_not_is_no_failure_and_a_run_that_tried_nothing_no_pass(full: Config) -> None:
    file = full.dist / "e2e" / "report.json"
    run = json.loads(file.read_text())
    lossy, other = run["scenarios"]
    for scenarios, state, cause in (
        ([{**lossy, "state": "passed", "error": ""}, {**other, "state": "untested"}], "passed", ""),
        ([{**other, "state": "untested"}], "failed", "no scenario was tried"),
    ):
        file.write_text(json.dumps({**run, "scenarios": scenarios}))
        record = recorded(full)
        (row,) = [row for row in record["verdict"]["rows"] if row["gate"] == "smoke test"]
        assert (row["state"], row["cause"]) == (state, cause)
        assert "scenario-1: KEDA: the cluster has no such kind was not tested" in record["uncovered"]


def test_every_column_of_a_smoke_test_counts(full: Config) -> None:
    """Not the last one alone, whose scenarios stand at the top of the report."""
    old, new, never = (f"kubernetes-{minor}-helm-4" for minor in ("1.29", "newest", "1.31"))
    folder = full.dist / "e2e"
    lossy = ran(folder / old / "e2e", VERSION, [("upgrade", 3), ("selfcheck", 5)])
    lossy["cluster"]["kubernetes"] = "v1.29.9"
    (folder / old / "e2e" / "report.json").write_text(json.dumps(lossy))
    good = ran(folder / new / "e2e", VERSION, [("upgrade", 0)])
    columns = {name: {**run, "kubernetes": "", "helm": 4} for name, run in ((old, lossy), (new, good))}
    columns[never] = {"passed": False, "error": "etcd ends again and again"}
    (folder / "report.json").write_text(json.dumps({**good, "passed": False, "columns": columns}))
    record = recorded(full)
    found = record["availability"]
    assert [(one["scenario"], one["state"]) for one in found["scenarios"]] == [
        (never, "failed"), (f"{old}/upgrade", "failed"), (f"{old}/selfcheck", "failed"), (f"{new}/upgrade", "passed")
    ]  # fmt: skip
    assert [load["state"] for one in found["scenarios"] for load in one["loads"]] == ["there"] * 3
    assert (found["kubernetes"], found["seconds"]) == (["v1.29.9", "v1.37.0"], 601.0)
    (row,) = [row for row in record["verdict"]["rows"] if row["gate"] == "smoke test"]
    assert (row["state"], row["cause"]) == ("failed", f"{never} failed: etcd ends again and again")
    assert row["what"] == "4 scenarios, 600 requests, 3 lost; 5 more of the sabotaged chart, as it must"
    text = draw(record)
    assert f'id="scenario-{old}/upgrade"' in text
    assert f"{old}: Control: 200 requests, 0 lost." in text


def test_a_lane_goes_no_further_than_the_events_that_are_known(full: Config) -> None:
    (load, *_) = recorded(full)["availability"]["scenarios"][0]["loads"]
    few = load["events"][:3]
    (lane, *_) = lanes(few, few[-1]["at"])
    assert max(span["end"] for span in lane["spans"]) == few[-1]["at"]
    assert lanes([], load["end"]) == []
