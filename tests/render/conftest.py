"""Fixtures of the render tests: copies of the chart with one thing changed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from scripts.toolchain.crds import CRD_SETS
from tests.render.harness import CHART, toolchain


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing of the tools now: minutes of compiling are no part of any test's time."""
    here = Path(__file__).parent
    if not session.config.option.collectonly and any(item.path.is_relative_to(here) for item in session.items):
        toolchain().paths(["helm", "helm-docs", "kubeconform"])
        for name in CRD_SETS:
            toolchain().source(name)


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
