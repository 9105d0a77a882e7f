"""Runs `invoke` as a person does: a process, a chart of its own, an empty dist/, registry and /tmp."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.core.config import Config
from scripts.core.errors import FINDING, OUTSIDE, REFUSED, TOOL, USAGE
from scripts.toolchain.finder import Toolchain
from tests import forked

INVOKE = shutil.which("invoke", path=str(Path(sys.executable).parent)) or "invoke"


@dataclass(frozen=True)
class Told:
    """What a finished `invoke` left."""

    status: int
    stdout: str
    stderr: str

    def refused(self, *words: str, code: int | None = None) -> str:
        """The error, which must be told as one: no traceback, and with all of `words`; `code` where one is meant."""
        assert self.status in ((FINDING, USAGE, REFUSED, OUTSIDE, TOOL) if code is None else (code,)), self
        assert "Traceback" not in self.stderr + self.stdout, self.stderr
        before, found, error = self.stderr.rpartition("error: ")
        assert found, self.stderr
        assert before == "" or before.endswith("\n"), self.stderr
        for word in words:
            assert word in error, error
        return error

    def fine(self) -> str:
        """The results, of a task that went well."""
        assert self.status == 0, self
        return self.stdout


@dataclass(frozen=True)
class Cli:
    """`invoke` in the checkout. `chart` is the test's own; `dist`, `registry` and `tmp` are empty folders or none."""

    checkout: Path
    chart: Path
    dist: Path
    registry: Path
    tmp: Path
    env: Mapping[str, str] = field(repr=False)

    def start(self, *argv: str | Path, **env: str) -> subprocess.Popen[str]:
        """The process, its streams captured."""
        pipe = subprocess.PIPE
        full = {**self.env, **env}
        return subprocess.Popen((INVOKE, *argv), cwd=self.checkout, env=full, stdout=pipe, stderr=pipe, text=True)

    def __call__(self, *argv: str | Path, **env: str) -> Told:
        """`invoke` to its end; nothing of it may be left in the temporary folder."""
        done = forked.run("invoke", *argv, cwd=self.checkout, env={**self.env, **env})
        assert list(self.tmp.iterdir()) == []
        return Told(done.returncode, done.stdout, done.stderr)

    def on_chart(self, task: str, *argv: str | Path, **env: str) -> Told:
        """A task on the test's chart."""
        return self(task, "--chart", self.chart, *argv, **env)


@pytest.fixture(scope="session")
def charts(tmp_path_factory: pytest.TempPathFactory, toolchain: Toolchain) -> Path:
    """A folder with `made`, the chart that `helm create` makes."""
    folder = tmp_path_factory.mktemp("charts")
    subprocess.run((toolchain.path("helm"), "create", folder / "made"), check=True, capture_output=True)
    return folder


@pytest.fixture
def cli(root: Path, config: Config, charts: Path, tmp_path: Path) -> Cli:
    """`invoke`, and the chart that `helm create` makes."""
    shutil.copytree(charts / "made", tmp_path / "chart")
    (tmp_path / "tmp").mkdir()
    folders = {
        "TMPDIR": tmp_path / "tmp",
        "HOME": tmp_path / "home",
        "XDG_CONFIG_HOME": tmp_path / "home",
        "DOCKER_CONFIG": tmp_path / "home",
        "GATI_CACHE_DIR": config.cache_dir,
        "GATI_DIST": tmp_path / "dist",
        "GATI_EMBEDDED_REGISTRY": tmp_path / "registry",
    }
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("GATI_", "HELM_")) and name != "CI"
    }
    env.update({name: str(folder) for name, folder in folders.items()})
    return Cli(root, tmp_path / "chart", tmp_path / "dist", tmp_path / "registry", tmp_path / "tmp", env)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
