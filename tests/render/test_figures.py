"""Every documented figure stands in what the chart renders."""

from __future__ import annotations

import pytest

from tests.render.figures import FIGURES, Figure


@pytest.mark.parametrize(
    "figure",
    [pytest.param(figure, id=figure.name, marks=pytest.mark.requirement(figure.requirement)) for figure in FIGURES],
)
def test_figure(figure: Figure) -> None:
    assert figure.found() == figure.expected
