"""Fixtures of the render tests: copies of the chart with one thing changed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.render.harness import CHART


@pytest.fixture(scope="session")
def chart_with_build_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart under a version with build metadata, as a build of every commit would have."""
    copy = tmp_path_factory.mktemp("build-version") / "gati"
    shutil.copytree(CHART, copy)
    metadata = (copy / "Chart.yaml").read_text()
    changed, count = re.subn(r"(?m)^version: .*$", "version: 1.2.3+build.7", metadata)
    changed, more = re.subn(r"(?m)^appVersion: .*$", 'appVersion: "1.2.3+build.7"', changed)
    assert (count, more) == (1, 1)
    (copy / "Chart.yaml").write_text(changed)
    return copy
