"""The verdict on a matrix, for a person and as JUnit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.checks.kubeconform import Problem
from scripts.checks.validate import Checked, Validation, suites, unchecked, write_junit
from scripts.core.errors import FindingsError
from scripts.core.junit import Suite
from tests.unit.checks.demo import plan_of


def written(folder: Path, found: Iterable[Suite]) -> ElementTree.Element:
    """The JUnit file, as its readers have it."""
    write_junit(str(folder / "junit.xml"), found)
    return ElementTree.parse(folder / "junit.xml").getroot()


class TestVerdict:
    def outcome(self, folder: Path) -> Validation:
        problem = Problem("demo/templates/a.yaml", "ConfigMap", "x", "data.k: is wrong")
        return Validation(
            plan_of(folder),
            (
                Checked("values.yaml", "1.29.0", ("ConfigMap/x", "Secret/y (n)"), (problem,)),
                Checked("values.yaml", "1.30.0", ("ConfigMap/x",), (problem,)),
                Checked("values-prod.yaml", "1.30.0", (), ()),
            ),
        )

    def test_tells_each_problem_once(self, folder: Path) -> None:
        outcome = self.outcome(folder)
        ((problem, where),) = outcome.problems()
        assert (problem.message, str(where)) == ("data.k: is wrong", "values.yaml for 1.29 to 1.30")
        with pytest.raises(FindingsError, match=r"demo 1\.0\.0 renders objects that are not valid"):
            outcome.demand()
        replace(outcome, checked=()).demand()

    def test_tells_a_kind_without_a_schema_once(self, folder: Path) -> None:
        told = "not checked: no schema for x/v1 Thing"
        things = [
            Problem(f"demo/templates/{name}.yaml", "Thing", name, told, unchecked=True, namespace=name)
            for name in "abc"
        ]
        outcome = Validation(
            plan_of(folder),
            (
                Checked("values.yaml", "1.29.0", ("Thing/a", "Thing/b"), tuple(things[:2])),
                Checked("values.yaml", "1.30.0", ("Thing/a", "Thing/c"), (things[0], things[2])),
            ),
        )
        where = "values.yaml for 1.29 to 1.30"
        assert outcome.told() == [f"demo/templates/a.yaml: Thing/a: {told} (3 objects) ({where})"]
        borne = [
            replace(one, problems=tuple(replace(each, accepted="why") for each in one.problems))
            for one in outcome.checked
        ]
        noted = replace(outcome, checked=tuple(borne)).noted()
        assert noted == [f"note: Thing/a and 2 more are not checked: why ({where})"]

    def test_as_junit(self, folder: Path) -> None:
        root = written(folder, suites(self.outcome(folder)))
        assert (root.get("tests"), root.get("failures")) == ("4", "2")
        named = {suite.get("name"): suite for suite in root}
        cases = {
            case.get("name"): [failure.get("message") for failure in case]
            for case in named["demo: values.yaml / Kubernetes 1.29"]
        }
        assert cases == {"ConfigMap/x": ["data.k: is wrong"], "Secret/y (n)": []}
        assert [case.get("name") for case in named["demo: values-prod.yaml / Kubernetes 1.30"]] == ["renders nothing"]


def test_one_name_in_two_namespaces_is_two_cases(folder: Path) -> None:
    problem = Problem("demo/templates/a.yaml", "ConfigMap", "x", "is wrong", namespace="b")
    checked = (Checked("values.yaml", "1.30.0", ("ConfigMap/x (a)", "ConfigMap/x (b)"), (problem,)),)
    root = written(folder, suites(Validation(plan_of(folder), checked)))
    cases = {case.get("name"): len(case) for case in root.iter("testcase")}
    assert cases == {"ConfigMap/x (a)": 0, "ConfigMap/x (b)": 1}


def test_a_failed_render_is_a_failed_case(folder: Path) -> None:
    (failure,) = written(folder, [unchecked(FindingsError("no render", found="\x1b[1mnil"))]).iter("failure")
    assert failure.get("message") == "no render"
