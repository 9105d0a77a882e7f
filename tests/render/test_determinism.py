"""The same input gives the same bytes, and an upgrade to the same gives no change."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.render.everything import EVERYTHING
from tests.render.harness import CHART, afresh, render_text

CASES: list[dict[str, Any]] = [{}, EVERYTHING, {"keda": {"enabled": True}, "commonLabels": {"b": "1", "a": "2"}}]


def again(values: dict[str, Any], **options: Any) -> str:
    """A render that is not remembered."""
    with afresh():
        return render_text(values, **options)


@pytest.mark.parametrize("values", CASES)
def test_same_bytes_twice(values: dict[str, Any]) -> None:
    assert len({again(values) for _ in range(3)}) == 1


@pytest.mark.parametrize("values", CASES)
def test_upgrade_without_a_change_changes_nothing(values: dict[str, Any]) -> None:
    assert again(values, upgrade=True) == again(values)


def test_no_template_asks_for_time_chance_or_the_cluster() -> None:
    forbidden = re.compile(
        r"\b(now|date|randAlpha\w*|randNumeric|randAscii|randBytes|randInt|uuidv4|gen\w+Cert\w*|genCA|genPrivateKey|lookup|Release\.Revision|shuffle|htpasswd|bcrypt|getHostByName)\b"
    )
    for path in sorted((CHART / "templates").rglob("*")):
        if path.is_file():
            for action in re.findall(r"\{\{-?(?!-?\s*/\*)(.*?)-?\}\}", path.read_text(), re.DOTALL):
                assert not forbidden.search(action), f"{path.name}: {action.strip()}"
