"""Places as a person reads them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.core.config import Config
from scripts.core.paths import as_on_disk, shown


def test_a_path_is_told_from_here_or_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here := tmp_path / "here").mkdir()
    (tmp_path / "there" / "far").mkdir(parents=True)
    (here / "link").symlink_to(tmp_path / "there" / "far")
    monkeypatch.chdir(here)
    assert shown(here / "a" / ".." / "b.yaml") == shown(Path("b.yaml")) == "b.yaml"
    assert shown(tmp_path / "there") == str(tmp_path / "there")
    assert shown(here / ".." / "there" / "x") == str(tmp_path / "there" / "x")
    assert shown(Path("link/../x")) == str(tmp_path / "there" / "x"), "as the system goes there"


def test_a_path_is_spelt_as_on_the_disk_where_other_cases_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Helm" / "chart").mkdir(parents=True)
    (tmp_path / "Helm" / "CHART").mkdir()
    (tmp_path / "hELM").symlink_to("Helm")
    assert as_on_disk(tmp_path / "hELM" / "CHART") == tmp_path / "hELM" / "CHART"  # two names, which both are there
    listed = os.listdir
    monkeypatch.setattr("os.listdir", lambda at: [name for name in listed(at) if name != "hELM"])
    assert as_on_disk(tmp_path / "hELM" / "chart" / "NEW") == tmp_path / "Helm" / "chart" / "NEW"
    assert as_on_disk(tmp_path / "HELM") == tmp_path / "HELM"  # which is not there
    (tmp_path / "README.md").touch()
    os.link(tmp_path / "README.md", tmp_path / "Readme.md")
    (tmp_path / "rEADME.MD").touch()  # by which it is seen that a case does not matter there
    monkeypatch.setattr("os.listdir", lambda _: ["README.md"])
    named = Config(root=tmp_path, project=tmp_path, version_files=("Readme.md", "README.md"))
    assert named.version_paths == (tmp_path / "README.md",)
