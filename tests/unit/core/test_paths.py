"""Places as a person reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.core.paths import shown


def test_a_path_is_told_from_here_or_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here := tmp_path / "here").mkdir()
    (tmp_path / "there" / "far").mkdir(parents=True)
    (here / "link").symlink_to(tmp_path / "there" / "far")
    monkeypatch.chdir(here)
    assert shown(here / "a" / ".." / "b.yaml") == shown(Path("b.yaml")) == "b.yaml"
    assert shown(tmp_path / "there") == str(tmp_path / "there")
    assert shown(here / ".." / "there" / "x") == str(tmp_path / "there" / "x")
    assert shown(Path("link/../x")) == str(tmp_path / "there" / "x"), "as the system goes there"
