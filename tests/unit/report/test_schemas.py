"""The schemas of docs/schemas have the version that the code writes, and take what it writes as it stands."""

from __future__ import annotations

import importlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from scripts.chart.archive import Given, Package, record_text
from scripts.cluster.watch import Change
from scripts.e2e.k6 import Request
from scripts.e2e.ledger import Ledger, judge
from scripts.e2e.report import Outcome, Report, Step
from scripts.report.inputs import objection

SCHEMAS = {file.stem: file for file in (Path(__file__).parents[3] / "docs" / "schemas").glob("*.json")}
# What writes the version into each; the ledger is a part of the smoke test's.
WRITERS = {
    "bench": "tests.bench.measure",
    "diff": "scripts.judge.diff",
    "e2e": "scripts.e2e.report",
    "faults": "",
    "judge": "scripts.judge.verdict",
    "kubeconform": "scripts.checks.validate",
    "ledger": "",
    "lint": "scripts.checks.lint",
    "manifests": "scripts.checks.render",
    "mutants": "",
    "package": "scripts.chart.archive",
    "release": "scripts.release.record",
    "report": "scripts.report.record",
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_schema_is_one_and_has_the_version_of_the_code(name: str) -> None:
    schema = json.loads(SCHEMAS[name].read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    if module := WRITERS[name]:
        version = importlib.import_module(module).SCHEMA_VERSION
        assert schema["properties"]["schema_version"] == {"const": version}
        assert schema["$id"] == f"urn:gati:{name}:{version}"


def test_every_schema_is_looked_at_here() -> None:
    assert set(SCHEMAS) == set(WRITERS)


def ledger(*, lost: int = 0, control: bool = True) -> Ledger:
    begin = 1_795_710_000.0
    requests = [
        Request(begin + i / 10, 0.01, ("new", "kept")[i % 2], "http://node/", 0 if i < lost else 200, "", "a", "1", "b")
        for i in range(40)
    ]
    meta = {"name": "a", "uid": "a"}
    pod = Change(begin, "MODIFIED", {"kind": "Pod", "metadata": meta, "status": {}})
    return judge(
        requests, [pod], "front", begun=begin + 1, enough=3, control=requests if control else None, asked=["front"]
    )


@pytest.mark.parametrize("made", [ledger(), ledger(lost=3, control=False), ledger(lost=3)])
def test_a_ledger(made: Ledger) -> None:
    assert objection("ledger", json.loads(json.dumps(made.report()))) == ""


def test_a_smoke_test() -> None:
    step = Step("install", 1.5, "2 pods", "it failed")
    void = Outcome("install", "void", 2.0, (step,), {"a": ledger(lost=3)}, "the control lost")
    last = Outcome(
        "install", "failed", 2.0, (step,), {"a": ledger()}, "x", void=(void,), restarts=("a",), skipped=("KEDA",)
    )
    facts = {"name": "gati", "version": "1.2.3", "digest": "sha256:0"}
    for control in ({"there": False}, {"there": True, "error": "it ended"}, {}):
        report = Report(facts, (facts,), {"nodes": 3, "kubernetes": "v1"}, 9.5, (last,), control)
        assert objection("e2e", json.loads(json.dumps(report.to_dict()))) == ""


@pytest.mark.parametrize("given", [None, Given("1.2.3", None)])
def test_a_package(given: Given | None) -> None:
    made = Package(
        Path("gati-1.2.3.tgz"), "gati", "1.2.3", "0" * 64, 5, f"sha256:{'0' * 64}", "2026-01-01T00:00:00Z", given
    )
    assert objection("package", json.loads(record_text(made))) == ""


def test_figures_of_benchmarks(tmp_path: Path) -> None:
    from tests.bench.measure import Figures

    figures = Figures()
    figures.record("a ratio", 1.5, limit=2, unit="x", rounds=3)
    figures.write(tmp_path / "bench.json")
    assert objection("bench", json.loads((tmp_path / "bench.json").read_text())) == ""


@pytest.mark.parametrize(
    ("name", "change"),
    [("ledger", {"requests": "many"}), ("ledger", {"more": 1}), ("ledger", {"windows": [{"begin": 1}]})],
)
def test_another_shape_is_refused(name: str, change: dict[str, Any]) -> None:
    told = {**json.loads(json.dumps(asdict(ledger()))), "passed": True, "void": False}
    assert objection(name, told) == ""
    assert objection(name, {**told, **change}) != ""
