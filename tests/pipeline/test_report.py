"""`invoke report` shows what the other tasks found, and what they write is as docs/schemas has it."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path

from scripts.report.inputs import objection
from tests.pipeline.conftest import Cli

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_results_of_the_tasks_are_on_the_page(cli: Cli, tmp_path: Path) -> None:
    (cli.chart / "templates" / "broken.yaml").write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: broken}\nspec: {ports: none}\n"
    )
    minor = ("--kube-version", "1.30")
    cli.on_chart("lint").fine()
    cli.on_chart("template", *minor).fine()
    cli.on_chart("kubeconform-check", *minor).refused("problem")
    cli.on_chart("package").fine()
    cli.on_chart("diff", "--from", cli.chart, *minor).fine()
    cli.on_chart("judge", "--from", cli.chart, *minor).fine()
    for what in ("lint", "kubeconform", "package", "diff", "judge"):
        assert objection(what, json.loads((cli.dist / f"made.{what}.json").read_text())) == "", what
    assert objection("manifests", json.loads((cli.dist / "made.manifests" / "index.json").read_text())) == ""

    summary = tmp_path / "summary.md"
    told = cli.on_chart("report", GITHUB_STEP_SUMMARY=str(summary)).fine()
    assert "first cause: schemas: Service/broken" in told
    left = [str(file.relative_to(cli.dist.parent)) for file in cli.dist.rglob("*") if file.is_file()]
    named = re.findall(r"^\| `(dist/\S+)` \|", REFERENCE.read_text(), re.MULTILINE)
    known = [name.replace("NAME", "made").replace("VERSION", "0.1.0") for name in named]
    assert [name for name in left if not any(fnmatch(name, one) for one in known)] == []
    page = (cli.dist / "report.html").read_text()
    assert "Service/broken" in page
    assert summary.read_text().startswith("## made 0.1.0: failed\n")
    assert "Service/broken" in summary.read_text()

    record = json.loads(cli.on_chart("report", "--json", "--compare", cli.dist).fine())
    assert objection("report", record) == ""
    assert record["comparison"]["chart"] == {"name": "made", "version": "0.1.0"}
    assert json.loads((cli.dist / "report.json").read_text()) == record
    states = {row["gate"]: row["state"] for row in record["verdict"]["rows"]}
    assert (states["lint"], states["schemas"], states["judge"]) == ("passed", "failed", "passed")
    assert any(re.match(r"Kubernetes .* 1\.29, 1\.31 .* is left out$", gap) for gap in record["uncovered"])
    assert "judged: for Kubernetes 1.30 alone" in record["uncovered"]

    (cli.chart / "templates" / "broken.yaml").unlink()
    changed = json.loads(cli.on_chart("report", "--json").fine())
    assert {row["gate"] for row in changed["verdict"]["rows"] if "changed since" in row["what"]} == {
        "lint", "schemas", "judge"
    }  # fmt: skip
    assert "changed since" in changed["objects"]["why"]
    assert "changed since" in changed["changes"]["diff"]["why"]


def test_an_earlier_report_that_is_none_is_refused_and_nothing_is_written(cli: Cli) -> None:
    for given in (cli.chart, ""):  # the latter of a variable that is not set
        cli.on_chart("report", "--compare", given).refused("no earlier report", code=2)
    assert not cli.dist.exists()
