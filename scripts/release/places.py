"""Says where a published version is announced: the places that are configured, in the order of their steps."""

from __future__ import annotations

import os

from scripts.core.git import Repository
from scripts.release.announce import Place
from scripts.release.chart_index import read_index
from scripts.release.forge import read_forge
from scripts.workspace import Workspace


def places(work: Workspace, repository: Repository | None) -> tuple[Place, ...]:
    """The places that the configuration names. Raises ConfigError."""
    found: list[Place] = []
    if work.config.forge:
        found.append(read_forge(work.config.forge, os.environ, work.runner))
    if work.config.chart_index:
        found.append(read_index(work.config, repository))
    return tuple(found)
