"""What another default in values.yaml means."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.judge.side import Side
from scripts.judge.values import judge_values


def side(version: str, values: dict[str, Any]) -> Side:
    return Side({"name": "x", "version": version, "appVersion": f"v{version}"}, {"values.yaml": values})


@pytest.mark.parametrize(
    ("key", "old", "new", "level"),
    [
        ("digest", f"sha256:{'0' * 64}", f"sha256:{'1' * 64}", "patch"),
        ("digestChroot", f"sha256:{'0' * 64}", f"sha256:{'1' * 64}", "patch"),
        ("digestChroot", "", f"sha256:{'1' * 64}", "minor"),
        ("crVersion", "1.2.0", "1.2.1", "patch"),
        ("files", "https://host/v1.2.0/", "https://host/v1.2.1/", "patch"),
        ("files", "https://host/v1.2.0/", "https://other/v1.2.1/", "minor"),
        ("reloaderImage", "x/reloader:v0.8.1", "x/reloader:v0.8.2", "patch"),
        ("reloaderImage", "x/reloader:v1.8.1", "x/reloader:v1.9.0", "minor"),
        ("reloaderImage", "reloader", "other", "minor"),
    ],
)
def test_another_default(key: str, old: str, new: str, level: str) -> None:
    found = judge_values(side("1.2.0", {key: old}), side("1.2.1", {key: new}))
    assert [reason.level for reason in found] == [level]
