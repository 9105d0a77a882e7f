"""One version of a chart is read alike, whether its dependencies are folders or archives."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from scripts.core.errors import ChartError
from scripts.judge.side import called, read_side

FURTHER = r"Chart.yaml:4: holds a further document"


@pytest.mark.parametrize("packed", [False, True], ids=["a folder", "an archive"])
def test_a_dependency_with_two_documents_in_its_chart_yaml_is_refused_in_either_form(
    packed: bool, tmp_path: Path
) -> None:
    inside = tmp_path / "charts" / "sub"
    inside.mkdir(parents=True)
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: top\nversion: 1.0.0\n")
    (inside / "Chart.yaml").write_text("apiVersion: v2\nname: sub\nversion: 1.0.0\n---\nversion: 2.0.0\n")
    (inside / "values.yaml").write_text("a: 1\n---\nb: 2\n")
    if packed:
        with tarfile.open(tmp_path / "charts" / "sub-1.0.0.tgz", "w:gz") as archive:
            for file in sorted(inside.iterdir()):
                member = tarfile.TarInfo(f"sub/{file.name}")
                member.size = file.stat().st_size
                archive.addfile(member, io.BytesIO(file.read_bytes()))
        shutil.rmtree(inside)
    with pytest.raises(ChartError, match=FURTHER):
        read_side(tmp_path)


def test_what_a_chart_of_helm_2_depends_on_is_listed(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("apiVersion: v1\nname: top\nversion: 1.0.0\n")
    (tmp_path / "requirements.yaml").write_text("dependencies: [{name: sub, alias: inner, version: 1.0.0}]\n")
    assert [called(one) for one in read_side(tmp_path).listed] == ["inner"]


def test_what_a_form_asks_is_no_values_file(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: top\nversion: 1.0.0\n")
    (tmp_path / "values.yaml").write_text("a: 1\n")
    (tmp_path / "values-prod.yml").write_text("a: 2\n")
    (tmp_path / "values-metadata.yaml").write_text("a:\n  __metadata: {label: A, type: number}\n")
    assert read_side(tmp_path).settings == {"values.yaml": {"a": 1}, "values-prod.yml": {"a": 2}}
