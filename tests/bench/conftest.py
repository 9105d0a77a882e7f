"""Keeps the figures of a session, prints them at its end, and writes them to `dist/bench.json`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.core.config import Config
from tests.bench.measure import Figures

_FIGURES = pytest.StashKey[Figures]()


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest, config: Config) -> Iterator[Figures]:
    """Where a benchmark puts what it measured."""
    figures = Figures()
    request.config.stash[_FIGURES] = figures
    yield figures
    if figures.taken:
        figures.write(config.dist / "bench.json")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash.get(_FIGURES, None)
    if figures is not None and figures.taken:
        terminalreporter.section("figures")
        terminalreporter.write_line(figures.table())
