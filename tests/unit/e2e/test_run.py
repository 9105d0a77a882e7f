"""The smoke test's own parts: which versions it upgrades from, what becomes of noise, its report."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree

import pytest

from scripts.chart.manifests import read_manifests
from scripts.cluster.api import Api
from scripts.core.command import Result, Runner
from scripts.core.errors import ClusterError, ConfigError, FindingsError, RegistryError, ReleaseError, ToolError
from scripts.core.progress import Board
from scripts.e2e import run as smoke
from scripts.e2e.control import Control
from scripts.e2e.discover import NOTHING
from scripts.e2e.k6 import Request
from scripts.e2e.lab import Lab, Published, Tools
from scripts.e2e.ledger import judge
from scripts.e2e.report import FAILED, PASSED, STOPPED, VOID, Journal, LoadFailed, Outcome, Report, Step, Unproven
from scripts.e2e.run import Options, demand_passed, go, plan, to_begin, vanishing
from scripts.e2e.scenarios import SCENARIOS
from scripts.e2e.sources import choose
from scripts.e2e.subject import Subject
from scripts.rollout.cause import Cause
from scripts.rollout.rollout import RolloutFailed
from scripts.workspace import Workspace

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
        ("last:1,0.2.0", "1.0.0", ["0.10.0", "0.2.0", FIRST]),
        (FIRST, FIRST, [FIRST]),  # only where somebody asks for it
    ],
)
def test_versions_to_upgrade_from(wanted: str, candidate: str, chosen: list[str]) -> None:
    assert choose(wanted.split(","), PUBLISHED, candidate, first=FIRST) == chosen


@pytest.mark.parametrize(
    "wanted", ["last", "last:", "last:0", "last:-1", "last:two", ",", "0.1.0,", "v0.1.0", "newest"]
)
def test_what_names_no_versions_is_refused(wanted: str) -> None:
    with pytest.raises(ConfigError, match="names no versions"):
        choose(wanted.split(","), PUBLISHED, "1.0.0", first=FIRST)
    with pytest.raises(ConfigError, match="names no versions"):
        Options(sources=wanted)


def test_fewer_versions_than_asked_for_is_an_error_that_says_so() -> None:
    with pytest.raises(RegistryError, match="fewer versions than --from last:5 asks for") as error:
        choose(["last:5"], PUBLISHED, "1.0.0", first=FIRST)
    assert error.value.expected == "5 versions"
    assert error.value.found == "0.10.0, 0.9.0, 0.2.0, 0.1.0"


@pytest.mark.parametrize("wanted", ["0.3.0", "0.2.0,0.3.0"])
def test_a_version_that_is_not_published_is_an_error_and_not_skipped(wanted: str) -> None:
    with pytest.raises(RegistryError, match="is not published"):
        choose(wanted.split(","), PUBLISHED, "1.0.0", first=FIRST)


def test_an_unknown_scenario_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as error:
        Options(scenarios=("upgrade", "updrage"))
    assert error.value.message == "there is no scenario updrage"
    assert "failed-upgrade" in str(error.value.expected)


def test_a_cluster_that_is_not_ours_cannot_be_kept() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        Options(keep=True, context="production")


@pytest.mark.parametrize(
    ("sources", "why"),
    [("last:1,git:HAED", "git knows no revision 'HAED'"), ("gone-0.1.0.tgz", "there is no such archive")],
)
def test_a_source_that_is_not_here_is_told_before_anything_is_made(work: Workspace, sources: str, why: str) -> None:
    with pytest.raises(ReleaseError, match=why):
        plan(work, Options(sources=sources))


def test_the_plan_says_what_happens_to_somebody_elses_cluster(work: Workspace) -> None:
    text = "\n".join(plan(work, Options(scenarios=("upgrade",), context="staging")))
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
    assert (written["schema_version"], written["passed"]) == (2, False)
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
    outcome = Outcome("upgrade", FAILED, 0.0, (), error="it did not begin")
    root = ElementTree.fromstring(replace(REPORT, outcomes=(outcome,)).junit().encode())
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("1", "1", "0")


def test_what_could_not_be_measured_is_neither_passed_nor_failed() -> None:
    report = replace(REPORT, outcomes=(GOOD, Outcome("upgrade", VOID, 1.0, (), error="the control lost too")))
    root = ElementTree.fromstring(report.junit().encode())
    assert (root.get("failures"), root.get("errors")) == ("0", "1")
    with pytest.raises(FindingsError, match="1 of 2 scenarios could not be measured in 3 attempts"):
        demand_passed(report)


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


# -- noise -----------------------------------------------------------------------------------------


class Held(Control):
    """A control that held, or lost in the attempts that are numbered."""

    def __init__(self, *lost: int) -> None:
        self.attempt = 0
        self.begin = 0.0
        self._lost = lost

    def between(self, begin: float, end: float, *, certain: bool = False) -> list[Request]:
        seen = [
            Request(begin + i / 30, 0.01, "new", "http://node/", 200, behind="n")
            for i in range(int(30 * (end - begin)))
        ]
        bad = Request(end - 0.5, 0.1, "new", "http://node/", 0, "refused")
        return [*seen, bad] if self.attempt in self._lost else seen


class Over(Held):
    """A control that ended by itself."""

    def between(self, begin: float, end: float, *, certain: bool = False) -> list[Request]:
        raise ToolError("the load ended before it was told to")


def attempts(monkeypatch: pytest.MonkeyPatch, control: Held | None, *errors: ReleaseError | None) -> Outcome:
    """What becomes of a scenario that raises `errors`, one an attempt."""

    class Nowhere:
        def list(self, kind: str, namespace: str, *, labels: str | None = None) -> Sequence[Any]:
            return []

        def events(self, namespace: str) -> Sequence[Any]:
            return [KILLED] if namespace.endswith("upgrade") else []

        def delete(self, kind: str, name: str, *, wait: float | None) -> None:
            removed.append(name)

    removed: list[str] = []

    def scenario(lab: Lab, journal: Journal) -> None:
        lab.name("upgrade")
        runs.append(lab.run)
        if control:
            control.attempt = len(runs)
        with journal.step("the only one"):
            if error := errors[len(runs) - 1]:
                raise error

    runs: list[str] = []
    monkeypatch.setitem(SCENARIOS, "upgrade", scenario)
    tools = Tools(*(Path(name) for name in ("helm", "kubectl", "k6")))
    chart = Published("web", "1.0.0", "sha256:0", "")
    lab = Lab(
        cast(Api, Nowhere()), Runner(), tools, Path(), chart, (), "web", True, Subject(), NOTHING, control=control
    )
    others = [lab.name("control"), lab.name("another-scenario")]
    outcomes = to_begin(["upgrade"])
    go(lab, outcomes, ["upgrade"], cast("Any", SimpleNamespace(runner=Runner(), say=lambda _: None, board=Board())))
    outcome = outcomes["upgrade"]
    assert len(set(runs)) == len(runs), "an attempt went into the namespaces of another"
    done = len(outcome.void) + (outcome.state in (PASSED, VOID))
    assert len(removed) == done, "what a void attempt made, or one that passed, is not removed"
    assert not set(others) & set(removed), "an attempt removed what others are at work in"
    return outcome


KILLED = {
    "type": "Normal",
    "reason": "Killing",
    "message": "Container main failed liveness probe, will be restarted",
    "involvedObject": {"kind": "Pod", "name": "web-1", "uid": "1", "fieldPath": "spec.containers{main}"},
}
SLOW, LOST, VOIDED = ClusterError("waited 60 s"), LoadFailed("3 lost"), Unproven("the control lost too")


def test_what_fails_while_the_control_holds_is_red_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = attempts(monkeypatch, Held(), SLOW)
    assert (outcome.state, outcome.void) == (FAILED, ())
    assert outcome.error.startswith("waited 60 s"), "what failed is told first"
    assert outcome.error.endswith("meanwhile container main of pod web-1 is restarted by its liveness probe")


def test_what_fails_without_a_control_is_red_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert attempts(monkeypatch, None, SLOW).state == FAILED


def test_what_is_void_is_measured_again_and_may_be_green(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = attempts(monkeypatch, Held(), VOIDED, None)
    assert (outcome.state, [void.state for void in outcome.void]) == (PASSED, [VOID])


def test_what_fails_while_the_control_loses_is_measured_again_and_may_be_red(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = attempts(monkeypatch, Held(1), SLOW, SLOW)
    assert (outcome.state, len(outcome.void)) == (FAILED, 1)
    assert "but meanwhile void from" in outcome.void[0].error


def test_a_control_that_ended_excuses_and_ends_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would have seen nobody knows: neither red nor green, and the failure is not hidden by its own."""
    outcome = attempts(monkeypatch, Over(), SLOW, SLOW, SLOW)
    assert (outcome.state, len(outcome.void)) == (VOID, 2)
    assert outcome.error.startswith("waited 60 s")


def test_a_load_that_lost_while_the_control_held_is_red_whatever_came_after(monkeypatch: pytest.MonkeyPatch) -> None:
    assert attempts(monkeypatch, Held(1), LOST).state == FAILED


def test_what_can_never_be_measured_is_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = attempts(monkeypatch, Held(), VOIDED, VOIDED, VOIDED)
    assert (outcome.state, len(outcome.void)) == (VOID, 2)


def test_an_api_that_a_later_minor_has_no_more_is_told_once() -> None:
    texts = [
        f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}}}"
        for version, kind, name in (
            ("policy/v1beta1", "PodDisruptionBudget", "a"),
            ("policy/v1beta1", "PodDisruptionBudget", "b"),
            ("v1", "Service", "a"),
            ("example.com/v1", "Own", "a"),
        )
    ]
    later = {"1.24": frozenset({"policy/v1beta1/PodDisruptionBudget", "v1/Service"}), "1.25": frozenset({"v1/Service"})}
    told = vanishing(read_manifests("\n---\n".join(texts)), lambda group: group in ("", "policy"), later)
    assert told == ["goes away: policy/v1beta1/PodDisruptionBudget, as of Kubernetes 1.25"]


# -- around the scenarios --------------------------------------------------------------------------


def test_results_of_before_go_but_for_what_is_not_run_again(work: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "e2e"
    for name in ("upgrade", "install", "values"):
        (folder / name).mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(REPORT.to_dict()), encoding="utf-8")
    assert smoke.typical(folder / "report.json") == {"install": 12.5}
    with smoke.results(work, folder, ["upgrade"], ["upgrade", "install"]) as workplace:
        assert workplace.is_dir()
        with pytest.raises(ConfigError, match="has the results in"), smoke.results(work, folder, [], []):
            pass
        assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["install"]
        assert not (folder / "report.json").exists()
        assert [row.typical for row in work.board.rows if row.name == "install"] == [12.5]
    assert not workplace.exists()
    assert smoke.typical(folder / "report.json") == {}


def test_scenarios_that_run_side_by_side_each_say_how_they_went(
    work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def attempt(lab: Any, name: str, say: Any, note: Any, **more: Any) -> None:
        note(Outcome(name, FAILED if name == "upgrade" else PASSED, 1.0, (), error="lost" if name == "upgrade" else ""))

    monkeypatch.setattr(smoke, "attempt", attempt)
    outcomes = smoke.to_begin(["install", "upgrade", "rollback"])
    smoke.go(cast("Any", None), outcomes, ["install", "upgrade", "uninstall"], replace(work, say=said.append), 2)
    assert {name: one.state for name, one in outcomes.items()} == {
        "install": PASSED,
        "upgrade": FAILED,
        "rollback": STOPPED,
    }
    assert outcomes["rollback"].error == "it did not begin"
    assert any(line.endswith("\nlost") for line in said)


def test_what_is_void_is_measured_again_alone_when_the_others_have_ended(work: Workspace) -> None:
    met, both = threading.Condition(), threading.Barrier(2)
    at_work, beside = set[str](), dict[str, list[set[str]]]()

    def scenario(name: str, voids: int) -> Callable[[Any, Journal], None]:
        def run(lab: Any, journal: Journal) -> None:
            first = name not in beside
            with met:
                at_work.add(name)
                met.notify_all()
                met.wait_for(lambda: len(at_work) == 2, timeout=10 if first else 0.3)
                beside.setdefault(name, []).append(set(at_work))
            if first:
                both.wait(10)
            at_work.discard(name)
            if len(beside[name]) <= voids:
                raise Unproven("the control lost too")

        return run

    lab: Any = SimpleNamespace(namespaces=(), adopt=lambda _: None, forget_all=lambda: None)
    lab.attempt = lambda _: lab
    outcomes = smoke.to_begin(["changes", "upgrade"])
    scenarios = {"changes": scenario("changes", 1), "upgrade": scenario("upgrade", 2)}
    smoke.go(lab, outcomes, scenarios, work, 2, scenarios=scenarios)
    assert {name: (one.state, len(one.void)) for name, one in outcomes.items()} == {
        "changes": (PASSED, 1),
        "upgrade": (PASSED, 2),
    }
    assert beside == {
        "changes": [{"changes", "upgrade"}, {"changes"}],
        "upgrade": [{"changes", "upgrade"}, {"upgrade"}, {"upgrade"}],
    }


def test_what_cannot_be_removed_after_a_scenario_hides_nothing_and_ends_no_run(work: Workspace) -> None:
    def forget_all() -> None:
        raise ClusterError("helm could not uninstall web from a")

    def scenario(*_: Any) -> None:
        raise ClusterError("the first cause")

    lab: Any = SimpleNamespace(namespaces=(), adopt=lambda _: None, forget_all=forget_all, control=None)
    lab.attempt, lab.found = (lambda _: lab), replace(NOTHING, outside=("ClusterRole/wide",))
    said: list[str] = []
    outcomes = smoke.to_begin(["install"])
    smoke.go(lab, outcomes, ["install"], replace(work, say=said.append), scenarios={"install": scenario})
    assert (outcomes["install"].state, outcomes["install"].error) == (FAILED, "the first cause")
    assert any("install: helm could not uninstall web from a" in line for line in said)


def test_how_the_control_fared_over_the_whole_run() -> None:
    class Lossy:
        def between(self, begin: float, end: float) -> list[Request]:
            return [Request(begin + at, 0.01, "new", "t", 0 if at == 2 else 200, behind="pod") for at in range(4)]

    class Gone:
        def between(self, *_: float) -> list[Request]:
            raise ClusterError("the load ended")

    fared = smoke._fared(cast("Any", Lossy()), time.time() - 10)
    assert (fared["there"], fared["requests"], fared["failed"]) == (True, 4, 1)
    assert smoke._fared(cast("Any", Gone()), 0.0) == {"there": True, "error": "the load ended"}


HOME = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: fixed}
spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: []}}}
"""


@pytest.mark.parametrize("makes", [False, True])
def test_a_chart_that_is_always_in_one_namespace(makes: bool) -> None:
    text = HOME + ("---\nkind: Namespace\nmetadata: {name: fixed}\n" if makes else "")
    lab = cast("Any", SimpleNamespace(candidate=None, render=lambda *_: read_manifests(text)))
    if makes:
        with pytest.raises(ConfigError, match="the chart makes the namespace fixed"):
            smoke.settled(lab)
    else:
        home, documents = smoke.settled(lab)
        assert (home, [one.name for one in documents]) == ("fixed", ["web"])


def test_images_that_the_engine_holds_are_brought_and_the_others_are_told() -> None:
    class Engine(Runner):
        def run(self, argv: Any, **_: Any) -> Result:
            return Result(tuple(argv), 0 if argv[-1].startswith("here") else 1, "", "", 0.0)

    loaded: list[str] = []
    own = cast("Any", SimpleNamespace(load_images=loaded.extend))
    told = smoke._bring_images(own, ("here", "there", "here@sha256:00"), Engine())
    assert (loaded, told) == (["here"], "images that the nodes pull themselves: there, here@sha256:00")
    assert smoke._bring_images(own, ("here",), Engine()) == ""


def test_a_limit_on_slowness_is_a_number_from_one() -> None:
    assert smoke.read_latency("2.5") == 2.5
    assert smoke.read_latency("") > 1
    with pytest.raises(ConfigError, match="is no number"):
        smoke.read_latency("much")
    with pytest.raises(ConfigError, match=r"--latency 0\.5 is no limit"):
        Options(latency=0.5)
    assert "helms" in Options(helms=(3, 4)).wanted
    assert "helms" not in Options().wanted


@pytest.mark.parametrize(
    ("said", "certain"),
    [
        ("the API server refuses it: etcdserver: request timed out", False),
        ("the API server refuses it: context deadline exceeded", False),
        ("the API server refuses it: spec.ports: Required value", True),
    ],
)
def test_a_server_without_time_refuses_nothing_for_certain(said: str, certain: bool) -> None:
    failure = RolloutFailed(Cause("admission", "RoleBinding web", said), found="", evidence=Path())
    assert smoke._certain(failure) is certain
