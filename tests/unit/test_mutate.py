"""The faults that measure the gates are many, each one fault and always the same; and what makes a run red."""

from __future__ import annotations

import ast
import itertools
import tomllib
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from scripts.report.inputs import objection
from tests.mutate import __main__ as mutate
from tests.mutate.generate import CHART, CODE, Mutant, of_chart, of_code
from tests.mutate.hunt import TIME_OUT, UNMADE, Hunt, of_mutant
from tests.mutate.targets import TARGETS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def chosen() -> list[Mutant]:
    return mutate.chosen()


def test_they_are_many_and_always_the_same(chosen: list[Mutant]) -> None:
    faults = [one for one in chosen if one.change != mutate.NOTHING]
    assert len(faults) >= 150
    assert min(sum(one.part == part for one in faults) for part in (CHART, CODE)) >= 75
    assert [one.id for one in mutate.chosen()] == [one.id for one in chosen]
    assert len({one.id for one in chosen}) == len(chosen)


def test_each_is_one_fault(chosen: list[Mutant]) -> None:
    for one in chosen[::5]:  # to make one of them takes longer than to name it
        root = ROOT / "helm" / "gati" if one.part == CHART else ROOT
        before, after = (root / one.file).read_text(), one.make()
        if one.part == CODE and one.change != mutate.NOTHING:
            before = ast.unparse(ast.parse(before))
            ast.parse(after)
            lines = set(after.splitlines()) ^ set(before.splitlines())
            assert len(lines) <= 8, one.change
        assert (before == after) == (one.change == mutate.NOTHING), one.change


def test_those_that_are_argued_for_are_faults_that_there_are() -> None:
    chart, code = ROOT / "helm" / "gati", (of_code(ROOT / one.file, ROOT, one.functions) for one in TARGETS)
    known = {one.id for one in (*of_chart(chart), *itertools.chain.from_iterable(code))}
    argued = tomllib.loads((ROOT / "tests" / "mutate" / "equivalent.toml").read_text())
    assert set(argued) - known == set()


def test_a_default_that_is_wrong_is_still_yaml(chosen: list[Mutant]) -> None:
    wrong = [one for one in chosen if one.file == "values.yaml"]
    assert wrong
    for one in wrong:
        assert yaml.safe_load(one.make()) != yaml.safe_load((ROOT / "helm" / "gati" / "values.yaml").read_text())


@pytest.mark.parametrize(
    ("line", "change"),
    [
        ("{{- if .Values.a }}", "condition negated"),
        ("    {{- toYaml .x | nindent 4 }}", "two columns to the left"),
        ("    readOnlyRootFilesystem: true", "line taken away"),
        ("    readOnlyRootFilesystem: true", "key misspelt"),
        ('    verbs: ["get", "watch"]', '["get" becomes ["*"'),
        ("      port: http", "http becomes grpc"),
    ],
)
def test_a_line_of_a_template_has_its_faults(tmp_path: Path, line: str, change: str) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "a.yaml").write_text(f"a: b\n{line}\n")
    (tmp_path / "values.yaml").write_text("on: true\n")
    made = [one for one in of_chart(tmp_path) if one.change.startswith(change)]
    assert len(made) == 1
    assert made[0].line == 2


@pytest.mark.parametrize(
    "line",
    [
        '{{- fail "a and b, or true" -}}',
        "a key and its value: as people say",
        '{{- include "x" (dict "a" "this and that") -}}',
        "{{- toYaml .x | nindent 0 }}",
    ],
)
def test_what_is_only_said_has_none(tmp_path: Path, line: str) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "a.tpl").write_text(f"{line}\n")
    (tmp_path / "values.yaml").write_text("{}\n")
    assert [one.change for one in of_chart(tmp_path)] == []


@pytest.mark.parametrize(
    ("body", "change", "after"),
    [
        ("return a == b", "NotEq in place of Eq", "return a != b"),
        ("return a and b", "and and or swapped", "return a or b"),
        ("if a:\n        b()", "condition never true", "if False:\n        b()"),
        ("b.end()", "call taken away", "None"),
        ("return sorted(a, reverse=True)", "reverse taken away", "return sorted(a, reverse=None)"),
        ("return a < 3", "4 in place of 3", "return a < 4"),
    ],
)
def test_a_line_of_code_has_its_faults(tmp_path: Path, body: str, change: str, after: str) -> None:
    (tmp_path / "a.py").write_text(f"def f(a, b):\n    {body}\n")
    made = [one for one in of_code(tmp_path / "a.py", tmp_path, ()) if one.change.startswith(change)]
    assert [one.make() for one in made] == [f"def f(a, b):\n    {after}"]


def fault(number: int, part: str = CODE, change: str = "a") -> Mutant:
    return Mutant(part, f"{part}.py", number, change, "it decides wrongly", str, number=number)


def told(killed: int, survived: int, **more: Any) -> dict[str, Any]:
    mutants = [fault(number) for number in range(killed + survived)]
    found = {one.id: {"by": "a test" if number < killed else ""} for number, one in enumerate(mutants)}
    given: dict[str, Any] = {"equivalent": {}, "before": set(), **more}
    report = mutate.judged(mutants, found, given["equivalent"], given["before"], 1.5)
    assert objection("mutants", report) == ""
    return report


def test_a_score_below_the_goal_is_red() -> None:
    assert told(95, 5)["objections"] == []
    assert told(94, 6)["objections"] == ["94.0 % of the code's faults are noticed, which is less than 95 %"]


def test_one_that_was_noticed_before_is_red_by_itself() -> None:
    last = fault(99)
    assert "noticed before" in told(99, 1, before={last.id})["objections"][0]


def test_an_equivalent_one_counts_neither_way_and_has_its_reason() -> None:
    report = told(19, 1, equivalent={fault(19).id: "both orders give the same"})
    assert report["parts"][1]["score"] == 100.0
    assert report["survivors"] == []
    assert report["mutants"][19]["meaning"] == "both orders give the same"


def test_a_test_that_fails_without_a_fault_is_red() -> None:
    one = fault(0, change=mutate.NOTHING)
    report = mutate.judged([one], {one.id: {"by": "test_x"}}, {}, set(), 1.0)
    assert report["objections"] == ["code.py: test_x fails without a fault"]


def test_what_there_was_no_time_for_is_red() -> None:
    report = mutate.judged([fault(0), fault(1)], {fault(0).id: {"by": "test_x"}}, {}, set(), 1.0)
    assert report["objections"] == ["there was time for 1 of 2 faults only"]


def test_a_hunt_takes_no_fault_for_none_and_names_the_test_that_notices_one(chosen: list[Mutant]) -> None:
    own = [one for one in chosen if one.file == "scripts/judge/reason.py"][:3]
    found = mutate.hunted("scripts/judge/reason.py", 100)
    assert own[0].change == mutate.NOTHING
    assert found[own[0].id]["by"] == ""
    for one in own[1:]:
        assert found[one.id]["by"].startswith("tests/unit/judge/test_reason.py::")


def test_pytest_may_keep_the_hunt_in_a_set() -> None:
    """As it does where tests of several folders run, each with a conftest of its own."""
    assert len({Hunt([], lambda _: None, 0.0), Hunt([], lambda _: None, 0.0)}) == 2


@pytest.mark.parametrize(("usual", "killed"), [(10.0, 1), (150.0, 0)])
def test_a_time_out_is_noticed_only_where_the_tests_take_a_part_of_it_without_a_fault(
    usual: float, killed: int
) -> None:
    nothing, hanging = fault(0, change=mutate.NOTHING), fault(1)
    found = {nothing.id: {"by": "", "seconds": usual}, hanging.id: {"by": TIME_OUT, "seconds": 300.0}}
    report = mutate.judged([nothing, hanging], found, {}, set(), 1.5)
    assert sum(part["killed"] for part in report["parts"]) == killed
    assert any("is not decided" in text for text in report["objections"]) == (not killed)


class Item:
    """A test, as far as the order of them goes."""

    def __init__(self, file: str, name: str) -> None:
        self.path, self.nodeid = ROOT / file, f"{file}::{name}"


def test_the_test_that_noticed_a_fault_before_goes_first_and_none_of_another_part_runs() -> None:
    names = ("property", "pdb", "structure", "security", "docs")
    items = [Item(file, "test") for file in ("tests/registry/test_a.py", *(f"tests/render/test_{n}.py" for n in names))]

    def order(file: str, before: str = "") -> list[str]:
        mutant = Mutant(CHART, file, 3, "gone", "it is gone", str)
        return [item.path.stem for item in of_mutant(cast(list[pytest.Item], items), mutant, before)]

    first, *others, last = order("templates/ingress/pdb-ingress.yaml")
    assert (first, set(others), last) == ("test_pdb", {"test_security", "test_docs"}, "test_property")
    for before in (
        "tests/render/test_property.py::test",
        "tests/render/test_property.py::test[a case by another name]",
    ):
        assert order("templates/ingress/pdb-ingress.yaml", before)[0] == "test_property"
    assert set(order("values.yaml")) == {"test_pdb", "test_security", "test_property"}


def test_one_that_could_not_be_made_is_noticed_by_nobody() -> None:
    one = fault(0)
    report = mutate.judged([one], {one.id: {"by": f"{UNMADE}: FileExistsError"}}, {}, set(), 1.0)
    assert report["objections"] == ["code.py:0 is not decided: it could not be made: FileExistsError"]
    assert report["mutants"] == []
