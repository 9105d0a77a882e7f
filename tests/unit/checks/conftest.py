"""The chart that the tests of the matrix share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Chart.yaml").write_text(
        "apiVersion: v2\nname: demo\nversion: 1.0.0\nkubeVersion: '>=1.29.0-0 <1.31.0-0'\n"
    )
    (tmp_path / "values.yaml").write_text("a: 1\n")
    (tmp_path / "values-prod.yaml").write_text("a: 2\n")
    (tmp_path / "templates").mkdir()
    return tmp_path
