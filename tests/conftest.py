"""What every test can ask for: the checkout, a runner, and the pinned tools."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from scripts.core.command import Runner
from scripts.core.config import Config, load_config
from scripts.core.waiting import locked
from scripts.toolchain.finder import Toolchain
from scripts.workspace import Workspace
from tests.remembered import shared

ROOT = Path(__file__).resolve().parent.parent
# As at a terminal, whether these tests run there, in the background or by nohup.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# Where this is there jsonschema reads a grammar with it for a second, in each process. Users do not have it.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
# Tests start invoke so often that to compile it each time takes minutes, and they themselves take seconds to be read.
os.environ["PYTHONDONTWRITEBYTECODE"], sys.dont_write_bytecode = "", False
setattr(os, "fsync", id)  # noqa: B010 - no power is cut here, and each takes milliseconds
# What is read of tests and charts stays, and to look through it for what nobody has took a tenth of the time.
gc.set_threshold(50_000, 20, 100)

# The usual profile draws the same values in every run; HYPOTHESIS_PROFILE=thorough draws many new ones.
_USUAL = settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],  # explaining takes minutes, and says little here
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
settings.register_profile("usual", _USUAL)
settings.register_profile("thorough", _USUAL, max_examples=1000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))


def pytest_collection_finish() -> None:
    """Never look again through what was collected."""
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Forget answers of helm that nobody asks for any more."""
    if not hasattr(session.config, "workerinput"):
        shared(load_config(ROOT).cache_dir).prune()


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


@pytest.fixture(scope="session")
def work(config: Config, runner: Runner, toolchain: Toolchain) -> Workspace:
    """The three in one, as tasks have them."""
    return Workspace(config, runner, toolchain, lambda line: print(line, file=sys.stderr))


@pytest.fixture
def only_tidier(config: Config) -> Iterator[None]:
    """No other test of this machine looks for what killed runs left, and removes it, until this one has ended."""
    with locked(config.cache_dir / "tidying-tests.lock", what="the tidying of tests", deadline=100):
        yield
