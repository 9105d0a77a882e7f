"""The smoke test fails for every promise: a chart with a single fault goes red in its scenario, the cause named.

Several run at a time on one cluster, each in namespaces of its own; a test waits for its own. The table of what came
of them is in `dist/faults.md`.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.core.files import write_atomic
from scripts.e2e.report import FAILED, Outcome
from scripts.e2e.run import go, to_begin
from scripts.e2e.subject import Subject
from scripts.workspace import Workspace
from tests.e2e.conftest import Smoke
from tests.e2e.faults import CASES, FURTHER, Case

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.timeout(1500)]

LANES = 4
DEADLINE = 50  # seconds that a faulty chart is given to become ready
NAMES = [case.fault.name for case in CASES]
PARAMS = [
    pytest.param(case, id=name, marks=[pytest.mark.further] if name in FURTHER else [])
    for name, case in zip(NAMES, CASES, strict=True)
]


@pytest.fixture(scope="module")
def outcomes(smoke: Smoke, work: Workspace, request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[Outcome]]]:
    """What becomes of each faulty chart that was asked for; all are on their way."""
    table: dict[str, Outcome] = {}
    lock = threading.Lock()

    def run(case: Case) -> Outcome:
        number, outcomes, begin = NAMES.index(case.fault.name), to_begin([case.scenario]), time.monotonic()
        lab = replace(
            smoke.lab,
            candidate=smoke.faulty(case.fault),
            run=f"f{number:03}",
            folder=smoke.lab.folder / case.fault.name,  # several run the same scenario at a time
            chosen=(case.values,),
            deadline=DEADLINE,
            subject=narrowed(smoke.lab.subject, case),
            _namespaces=[],
        )
        go(lab, outcomes, [case.scenario], work)
        lab.forget_all()
        outcome = outcomes[case.scenario]
        with lock:
            table[case.fault.name] = replace(outcome, seconds=time.monotonic() - begin)
            write_table(work.config.dist, table)
        return outcome

    given = (item.callspec.params for item in request.session.items if hasattr(item, "callspec"))
    asked = {params["case"].fault.name for params in given if "case" in params}
    with ThreadPoolExecutor(LANES) as pool:
        try:
            yield {case.fault.name: pool.submit(run, case) for case in mixed() if case.fault.name in asked}
        finally:
            pool.shutdown(cancel_futures=True)  # after Ctrl-C nobody waits for the others


def mixed() -> list[Case]:
    """The cases of each scenario spread over the whole run: those with a load take most of a processor."""
    rank: dict[str, float] = {}
    for scenario in {case.scenario for case in CASES}:
        names = [case.fault.name for case in CASES if case.scenario == scenario]
        rank |= {name: number / len(names) for number, name in enumerate(names)}
    return sorted(CASES, key=lambda case: rank[case.fault.name])


def narrowed(subject: Subject, case: Case) -> Subject:
    """The subject with the changes that a case is about, and with pods of which there is room for several releases.

    A third pod ("apart"), the last upgrades ("tls-redirect", "tls-alone") and a second one prove little for their cost.
    """
    costly = {"apart", "tls-redirect", "tls-alone", *(["configuration"] if case.scenario == "upgrade" else [])}
    names = (*case.only, "abrupt") if case.only else subject.changes.keys() - costly
    values = json.loads(json.dumps(subject.values))
    for component in ("ingress", "routeManager"):
        values[component]["resources"] = {"requests": {"cpu": "50m"}}
    return replace(subject, values=values, changes={name: subject.changes[name] for name in names})


def cause(error: str) -> str:
    """What an error says in a line: its message, and what was found first."""
    first, *rest = error.splitlines() or [""]
    found = next((line.strip().removeprefix("found:").strip() for line in rest if "found:" in line), "")
    return f"{first}: {found}"[:240] if found else first


def write_table(folder: Path, table: Mapping[str, Outcome]) -> None:
    """What came of the faults, for a person and for a machine; those of a run before stay where this one leaves out."""
    keys = ("fault", "scenario", "state", "step", "cause", "seconds", "void")
    file = folder / "faults.json"
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"faults": []}
    known = {row["fault"]: row for row in before["faults"]}
    for case in CASES:
        if outcome := table.get(case.fault.name):
            step = outcome.steps[-1].name if outcome.steps else ""
            found = outcome.state, step, cause(outcome.error), round(outcome.seconds), len(outcome.void)
            known[case.fault.name] = dict(zip(keys, (case.fault.name, case.scenario, *found), strict=True))
    rows = [known[name] for name in NAMES if name in known]
    lines = [f"| {' | '.join(keys)} |", f"|{'---|' * len(keys)}"]
    lines += [f"| {' | '.join(str(row[key]).replace('|', '/') for key in keys)} |" for row in rows]
    write_atomic(folder / "faults.md", "\n".join(lines) + "\n")
    write_atomic(file, json.dumps({"schema_version": 1, "faults": rows}, indent=1) + "\n")


@pytest.mark.parametrize("case", PARAMS)
def test_a_chart_with_one_fault_goes_red_for_it(outcomes: Mapping[str, Future[Outcome]], case: Case) -> None:
    outcome = outcomes[case.fault.name].result()
    assert outcome.state == FAILED, outcome.error
    assert re.search(case.cause, outcome.error), outcome.error
