"""Every requirement and every trap in requirements.toml has a test that carries its name."""

from __future__ import annotations

import ast
import functools
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.render.figures import FIGURES

TESTS = Path(__file__).resolve().parents[1]
LISTED = tomllib.loads((Path(__file__).parent / "requirements.toml").read_text())
IDLE = {"skip", "skipif", "xfail"}  # a test that may not run proves nothing


def marks(source: str) -> Iterator[tuple[str, str]]:
    """(marker, name) for each test in `source` that is sure to run; a marked class stands for its tests."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            if not any(isinstance(child, ast.FunctionDef) and child.name.startswith("test_") for child in node.body):
                continue
        elif not (isinstance(node, ast.FunctionDef) and node.name.startswith("test_")):
            continue
        if any(
            isinstance(part, ast.Attribute) and part.attr in IDLE
            for mark in node.decorator_list
            for part in ast.walk(mark)
        ):
            continue
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in LISTED:
                for argument in call.args:
                    yield call.func.attr, ast.literal_eval(argument)


@functools.cache
def carried() -> set[tuple[str, str]]:
    """Every mark of every test; test_figure gives each figure the mark of its requirement."""
    figures = {("requirement", figure.requirement) for figure in FIGURES}
    return figures | {mark for path in sorted(TESTS.rglob("test_*.py")) for mark in marks(path.read_text())}


@pytest.mark.parametrize("kind", sorted(LISTED))
def test_every_line_has_a_test(kind: str) -> None:
    named = {name for marker, name in carried() if marker == kind}
    missing = {name: said for name, said in LISTED[kind].items() if name not in named}
    assert not missing, f"no test carries these {kind}s: {missing}"
    assert named <= set(LISTED[kind]), f"tests carry {kind}s that are not listed: {named - set(LISTED[kind])}"


def test_marks_of_idle_tests_do_not_count() -> None:
    source = """
@pytest.mark.requirement("1.1", "1.2")
def test_one(): ...
@pytest.mark.skip
@pytest.mark.requirement("1.3")
def test_two(): ...
@pytest.mark.requirement("1.4")
def helper(): ...
@pytest.mark.trap("empty-map")
class TestThree:
    def test_it(self): ...
@pytest.mark.trap("nil-parent")
class TestNothing: ...
"""
    assert set(marks(source)) == {("requirement", "1.1"), ("requirement", "1.2"), ("trap", "empty-map")}
