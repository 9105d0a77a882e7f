"""What another Chart.yaml means."""

from __future__ import annotations

import pytest

from scripts.judge.metadata import judge_metadata
from scripts.judge.side import Side


@pytest.mark.parametrize(("old", "new", "level"), [("v1", "v2", "patch"), ("v2", "v1", "minor")])
def test_the_form_of_the_chart_is_nothing_that_an_installation_notices(old: str, new: str, level: str) -> None:
    before, after = (Side({"name": "x", "version": "1.0.0", "apiVersion": form}, {}) for form in (old, new))
    assert [reason.level for reason in judge_metadata(before, after)] == [level]
