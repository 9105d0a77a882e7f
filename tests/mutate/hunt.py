"""Runs the tests against one fault after the other, in forks of one process that has read them all."""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.mutate.generate import CHART, Mutant
from tests.mutate.targets import DRIFT, LAST, NEVER, RENDER, TARGETS

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300.0  # seconds for a fault
UNMADE = "it could not be made"  # which no test has noticed
TIME_OUT = "a time-out"  # which has noticed a fault only where the tests take a part of it without one


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: `by` is the test that noticed it, "" where it survived."""

    mutant: Mutant
    by: str
    seconds: float


@dataclass(eq=False)  # pytest keeps plugins in a set where several folders have a conftest
class Hunt:
    """A pytest plugin that puts each of `mutants` before the tests that were collected; `told` receives outcomes.

    `before` says which test noticed a fault the last time, by its id.
    """

    mutants: Iterable[Mutant]
    told: Callable[[Outcome], None]
    deadline: float
    before: Mapping[str, str] = field(default_factory=dict)
    patience: float = PATIENCE
    _failed: str = field(default="")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of running every test once."""
        for mutant in self.mutants:
            if time.monotonic() > self.deadline:
                break
            items = list(of_mutant(session.items, mutant, self.before.get(mutant.id, "")))
            begin = time.monotonic()
            self.told(Outcome(mutant, self._noticed(items, mutant), time.monotonic() - begin))
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the first test that fails."""
        if report.failed and not self._failed:
            self._failed = report.nodeid

    def _noticed(self, items: Sequence[pytest.Item], mutant: Mutant) -> str:
        """The first test that fails, in a process of its own."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            self._be(items, mutant, writer)
        os.close(writer)
        return _heard(reader, child, self.patience)

    def _be(self, items: Sequence[pytest.Item], mutant: Mutant, writer: int) -> None:
        os.setsid()  # so that what the tests start can be ended with us
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        try:
            (_in_chart if mutant.part == CHART else _in_code)(mutant)
        except BaseException as error:  # noqa: BLE001 - the process ends here, and its parent hears of it
            os.write(writer, f"{UNMADE}: {type(error).__name__}".encode())
            os._exit(1)
        try:
            for place, item in enumerate(items):
                later = items[place + 1] if place + 1 < len(items) else None
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=later)
                if self._failed:
                    break
            os.write(writer, (self._failed or "-").encode())
        except BaseException as error:  # noqa: BLE001 - the process ends here, and its parent hears of it
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)


def _heard(reader: int, child: int, patience: float) -> str:
    """What the child says until `patience` is over; it and all that it started are ended then."""
    import select

    try:
        said = os.read(reader, 4096).decode() if select.select([reader], [], [], patience)[0] else TIME_OUT
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return "" if said == "-" else said or "the end of the process"


def of_mutant(items: Iterable[pytest.Item], mutant: Mutant, before: str) -> Iterator[pytest.Item]:
    """The tests that have to notice: the one that did `before` first, then those that are likely to.

    The other cases of that test come next: a case without a name of its own is numbered, and moves.
    """

    def known(item: pytest.Item) -> tuple[bool, bool]:
        return item.nodeid != before, item.nodeid.partition("[")[0] != before.partition("[")[0]

    if mutant.part == CHART:
        about = Path(mutant.file).stem.split("-")[0].lstrip("_").lower()
        never = (*NEVER, DRIFT) if mutant.file == "values.yaml" else NEVER
        own = (item for item in items if item.path.is_relative_to(ROOT / RENDER) and item.path.stem not in never)

        def order(item: pytest.Item) -> tuple[int, ...]:
            name = item.path.stem
            return *known(item), name in LAST, about not in name, -_said(item.path).count(about)

    else:
        tests = next(target.tests for target in TARGETS if target.file == mutant.file)
        own = (item for item in items if item.path.relative_to(ROOT).as_posix() in tests)

        order = known

    yield from sorted(own, key=order)


@functools.cache
def _said(file: Path) -> str:
    return file.read_text(encoding="utf-8").lower()


def _in_chart(mutant: Mutant) -> None:
    """Every module of the tests that holds the chart's folder, or its defaults, gets those of a copy."""
    from tests.render import harness, schema_values

    folder = Path(tempfile.mkdtemp(dir=os.environ["PYTEST_MUTANTS"])) / "gati"
    shutil.copytree(harness.CHART, folder)
    text = mutant.make()
    (folder / mutant.file).write_text(text, encoding="utf-8")
    instead: list[tuple[Any, Any]] = [(harness.CHART, folder)]
    if mutant.file == "values.yaml":
        instead.append((schema_values.DEFAULTS, yaml.safe_load(text)))
    assert harness.render_text.__kwdefaults__ is not None
    harness.render_text.__kwdefaults__["chart"] = folder
    for name, module in list(sys.modules.items()):
        if name.startswith("tests."):
            for key, value in list(vars(module).items()):
                for old, new in instead:
                    if value is old:
                        setattr(module, key, new)


def _in_code(mutant: Mutant) -> None:
    """The functions that are there get the code of the mutant's, wherever they were imported to."""
    module = importlib.import_module(mutant.file.removesuffix(".py").replace("/", "."))
    codes = _codes(compile(mutant.make(), str(ROOT / mutant.file), "exec"))
    for function in _functions_of(module):
        fresh = codes.get(function.__qualname__)
        if fresh is not None and fresh.co_freevars == function.__code__.co_freevars:
            function.__code__ = fresh


def _codes(code: types.CodeType) -> dict[str, types.CodeType]:
    found = {code.co_qualname: code}
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            found |= _codes(each)
    return found


def _functions_of(module: types.ModuleType) -> Iterator[types.FunctionType]:
    def unwrapped(value: Any) -> Iterator[types.FunctionType]:
        for attribute in ("__wrapped__", "__func__", "fget", "func"):
            if (inner := getattr(value, attribute, None)) is not None:
                yield from unwrapped(inner)
        if isinstance(value, types.FunctionType):
            yield value

    for value in list(vars(module).values()):
        if isinstance(value, type) and value.__module__ == module.__name__:
            for each in vars(value).values():
                yield from unwrapped(each)
        elif getattr(value, "__module__", None) == module.__name__:
            yield from unwrapped(value)


def hunt(
    mutants: Iterable[Mutant],
    tests: Sequence[str],
    out: Path,
    seconds: float,
    before: Mapping[str, str],
    patience: float = PATIENCE,
) -> None:
    """Put every mutant before `tests`, at most for so long; a line of JSON for each goes to `out`."""
    with out.open("w", encoding="utf-8") as file:

        def told(outcome: Outcome) -> None:
            line = {"id": outcome.mutant.id, "by": outcome.by, "seconds": round(outcome.seconds, 2)}
            file.write(json.dumps(line) + "\n")
            file.flush()

        plugin = Hunt(mutants, told, time.monotonic() + seconds, before, patience)
        words = [
            "-o",
            "addopts=--strict-markers --import-mode=importlib",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:terminal",
            "-p",
            "no:xdist",
            "--capture=no",
            "-m",
            ENGINELESS,
            *tests,
        ]
        pytest.main(words, plugins=[plugin])


ENGINELESS = "not e2e and not compose and not bench and not audit and not browser"
