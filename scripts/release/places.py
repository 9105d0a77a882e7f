"""Says where a published version is announced: the places that are configured, in the order of their steps."""

from __future__ import annotations

import os
from pathlib import Path

from scripts.core.git import Repository
from scripts.registry.reference import Registry
from scripts.release.chart_index import Index, read_index
from scripts.release.forge import Forge, read_forge
from scripts.release.hub import Hub, read_hub
from scripts.workspace import Workspace

Place = Forge | Index | Hub
"""Where a version is announced: it says what is there, and does what is absent. Nothing there is overwritten."""


def places(work: Workspace, repository: Repository | None, registry: Registry | None) -> tuple[Place, ...]:
    """The places that the configuration names. Raises ConfigError."""
    config = work.config
    index = read_index(config, repository) if config.chart_index else None
    found: list[Place] = []
    if config.forge:
        found.append(read_forge(config.forge, os.environ, work.runner))
    if index is not None:
        found.append(index)
    if config.artifacthub_repo:
        source = config.project / Path(config.artifacthub_repo).expanduser()
        found.append(read_hub(source, registry, index.store if index else None))
    return tuple(found)
