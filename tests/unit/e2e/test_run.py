"""The smoke test's own parts: which versions it upgrades from, its report, and the sabotage of its negative control."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.core.config import Config
from scripts.core.errors import ChartError, ClusterError, ConfigError, FindingsError, RegistryError
from scripts.e2e.ledger import judge
from scripts.e2e.report import FAILED, PASSED, Journal, Outcome, Report, Step
from scripts.e2e.run import Options, choose, demand_passed, plan
from scripts.e2e.sabotage import sabotage

PUBLISHED = ("0.1.0", "0.10.0", "0.2.0", "0.9.0", "1.0.0-rc.1", "latest")
FIRST = "0.1.0"


@pytest.mark.parametrize(
    ("wanted", "candidate", "chosen"),
    [
        ("last:1", "1.0.0", ["0.10.0", FIRST]),
        ("last:3", "1.0.0", ["0.10.0", "0.9.0", "0.2.0", FIRST]),
        ("last:4", "1.0.0", ["0.10.0", "0.9.0", "0.2.0", FIRST]),  # once
        ("last:1", "0.9.1", ["0.9.0", FIRST]),
        ("last:1", "0.9.0", ["0.2.0", FIRST]),  # a version is not before itself
        ("last:1", "0.2.0", [FIRST]),
        ("last:1", "1.0.0-rc.2", ["1.0.0-rc.1", FIRST]),
        ("0.2.0,0.9.0", "1.0.0", ["0.2.0", "0.9.0", FIRST]),
        (FIRST, FIRST, [FIRST]),  # only where somebody asks for it
    ],
)
def test_versions_to_upgrade_from(wanted: str, candidate: str, chosen: list[str]) -> None:
    assert choose(wanted, PUBLISHED, candidate, first=FIRST) == chosen


@pytest.mark.parametrize(
    "wanted", ["last", "last:", "last:0", "last:-1", "last:two", "", ",", "0.1.0,", "v0.1.0", "newest"]
)
def test_what_names_no_versions_is_refused(wanted: str) -> None:
    with pytest.raises(ConfigError, match="names no versions"):
        choose(wanted, PUBLISHED, "1.0.0", first=FIRST)
    with pytest.raises(ConfigError, match="names no versions"):
        Options(sources=wanted)


def test_fewer_versions_than_asked_for_is_an_error_that_says_so() -> None:
    with pytest.raises(RegistryError, match="fewer versions than --from last:5 asks for") as error:
        choose("last:5", PUBLISHED, "1.0.0", first=FIRST)
    assert error.value.expected == "5 versions"
    assert error.value.found == "0.10.0, 0.9.0, 0.2.0, 0.1.0"


@pytest.mark.parametrize("wanted", ["0.3.0", "0.2.0,0.3.0"])
def test_a_version_that_is_not_published_is_an_error_and_not_skipped(wanted: str) -> None:
    with pytest.raises(RegistryError, match="is not published"):
        choose(wanted, PUBLISHED, "1.0.0", first=FIRST)


def test_an_unknown_scenario_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as error:
        Options(scenarios=("upgrade", "updrage"))
    assert error.value.message == "there is no scenario updrage"
    assert "failed-upgrade" in str(error.value.expected)


def test_a_cluster_that_is_not_ours_cannot_be_kept() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        Options(keep=True, context="production")


def test_the_plan_says_what_happens_to_somebody_elses_cluster(config: Config) -> None:
    text = "\n".join(plan(config, Options(scenarios=("upgrade",), context="staging")))
    assert "the context staging, in new namespaces gati-e2e-*" in text
    assert "no node is closed" in text
    assert "kind cluster" not in text
    assert "upgrade: " in text
    assert "rollback: " not in text


# -- the report ------------------------------------------------------------------------------------

LEDGER = judge([], [], "gati")
GOOD = Outcome("install", PASSED, 12.5, (Step("install prod", 12.0, "9 objects"),))
BAD = Outcome("upgrade", FAILED, 3.0, (Step("a", 1.0), Step("b", 2.0, error="lost\n  found: 3")), {"x": LEDGER}, "lost")
REPORT = Report({"version": "1.0.0"}, ({"version": "0.1.0"},), {"name": "c"}, 20.0, (GOOD, BAD))


def test_the_report_for_machines() -> None:
    written = json.loads(json.dumps(REPORT.to_dict()))
    assert (written["schema_version"], written["passed"]) == (1, False)
    assert [scenario["state"] for scenario in written["scenarios"]] == [PASSED, FAILED]
    assert written["scenarios"][1]["ledgers"]["x"]["requests"] == 0
    assert written["sources"] == [{"version": "0.1.0"}]


def test_junit_has_a_case_for_each_step() -> None:
    root = ElementTree.fromstring(REPORT.junit().encode())
    assert (root.get("tests"), root.get("failures")) == ("3", "1")
    failed = [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None]
    assert failed == ["b"]
    assert root.find(".//system-out").text == "9 objects"  # type: ignore[union-attr]


def test_junit_tells_a_failure_outside_of_every_step() -> None:
    outcome = Outcome("upgrade", "stopped", 0.0, (), error="it did not begin")
    root = ElementTree.fromstring(replace(REPORT, outcomes=(outcome,)).junit().encode())
    assert (root.get("tests"), root.get("failures")) == ("1", "1")


def test_a_failed_scenario_fails_the_run_by_name() -> None:
    with pytest.raises(FindingsError, match="1 of 2 scenarios failed: upgrade"):
        demand_passed(REPORT)
    demand_passed(replace(REPORT, outcomes=(GOOD,)))


def test_a_journal_notes_steps_and_what_failed() -> None:
    said: list[str] = []
    journal = Journal("upgrade", said.append)
    with journal.step("first"):
        journal.detail("9 objects")
    with pytest.raises(ClusterError), journal.step("second"):
        raise ClusterError("it broke", found="pieces")
    assert [(step.name, step.detail) for step in journal.steps] == [("first", "9 objects"), ("second", "")]
    assert journal.steps[1].error.startswith("it broke")
    assert said == ["upgrade: first: 0 s; 9 objects"]


# -- the negative control --------------------------------------------------------------------------


def test_the_sabotaged_chart_lacks_what_keeps_requests(config: Config, tmp_path: Path, toolchain, runner) -> None:
    import shutil

    from scripts.chart.helm import Helm
    from scripts.chart.manifests import read_manifests

    folder = Path(shutil.copytree(config.chart, tmp_path / "gati"))
    version = sabotage(folder)
    rendered = read_manifests(Helm(toolchain.path("helm"), runner).template(folder, namespace="gati"))
    deployments = rendered.all("Deployment")
    assert len(deployments) == 2
    for deployment in deployments:
        container = deployment.data["spec"]["template"]["spec"]["containers"][0]
        assert deployment.data["spec"]["strategy"] == {"type": "Recreate"}
        assert not {"readinessProbe", "startupProbe", "lifecycle"} & container.keys()
        assert "livenessProbe" in container
        assert deployment.data["metadata"]["labels"]["helm.sh/chart"] == f"gati-{version}"


def test_a_chart_that_the_sabotage_does_not_know_is_an_error(config: Config, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(config.chart, tmp_path / "gati"))
    file = folder / "templates" / "_pod.tpl"
    file.write_text(file.read_text().replace("toYaml $strategy", "toYaml .values.strategy"))
    with pytest.raises(ChartError, match=r"_pod.tpl cannot be sabotaged"):
        sabotage(folder)
