"""What every test can ask for: the checkout, a runner, and the pinned tools."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts.command import Runner
from scripts.config import Config, load_config
from scripts.toolchain import Toolchain

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def config() -> Config:
    """The project's own configuration, with what GATI_* says of this machine."""
    return load_config(ROOT)


@pytest.fixture(scope="session")
def runner() -> Runner:
    """The one way of running programs."""
    return Runner()


@pytest.fixture(scope="session")
def toolchain(config: Config, runner: Runner) -> Toolchain:
    """The pinned tools, of the user's cache."""
    return Toolchain(config.cache_dir, runner, say=lambda line: print(line, file=sys.stderr))
