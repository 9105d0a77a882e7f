"""Brings back an earlier state of the chart to compare with: a published version, or a git revision."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scripts.chart.source import Chart, read_chart
from scripts.core.committed import read_committed
from scripts.core.errors import GitError
from scripts.core.git import find_repository
from scripts.core.owner import owned
from scripts.core.paths import shown
from scripts.core.semver import is_semver
from scripts.registry.embedded import fetch_chart
from scripts.workspace import Workspace


@contextlib.contextmanager
def earlier_chart(work: Workspace, reference: str) -> Iterator[Chart]:
    """The chart at `reference`, in a folder that is gone after the block.

    `reference` is `oci://host/path/name:version`, a version (the configured registry has it), or anything
    that git knows as a revision. Raises RegistryError, GitError, ChartError.
    """
    with tempfile.TemporaryDirectory(prefix=owned("earlier")) as folder:
        if reference.startswith("oci://") or is_semver(reference):
            path = fetch_chart(work, reference, Path(folder))
        else:
            repository = find_repository(work.config.chart, work.runner)
            if repository is None:
                raise GitError(
                    f"{shown(work.config.chart)} is in no git repository, so {reference!r} is no revision of it",
                    expected="a version such as 1.4.0, oci://host/path/name:version, or a git revision",
                )
            path = read_committed(repository, reference, work.config.chart, as_checkout=True).write(Path(folder))
        yield read_chart(path)
