"""The value that every task starts from, in surroundings in which its parts would be in each other's way."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from scripts.workspace import open_workspace


@pytest.mark.parametrize(("place", "taken"), [("chart", False), ("chart/tmp", False), ("chart tmp", True)])
def test_what_is_temporary_is_never_in_the_chart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, taken: bool
) -> None:
    (tmp_path / place).mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / place))
    monkeypatch.setenv("GATI_CACHE_DIR", str(tmp_path / "cache"))
    open_workspace(tmp_path, chart=tmp_path / "chart")
    with tempfile.TemporaryDirectory() as made:
        assert Path(made).parent == tmp_path / (place if taken else "cache/tmp")
