"""A project of its own for every test: a real git repository with a small chart, and the embedded registry."""

from __future__ import annotations

import json
import subprocess
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from scripts.core.command import Runner
from scripts.core.config import Config, load_config
from scripts.registry.client import connect
from scripts.registry.embedded import registry_for
from scripts.release.plan import Options, prepared
from scripts.release.record import ReleaseRecord
from scripts.toolchain.finder import Toolchain
from scripts.workspace import Workspace
from tests.registry.conftest import hasten
from tests.remembered import shared

TODAY = date(2026, 11, 25)
CHANGELOG = """\
# Changelog

## [Unreleased]

### Added

- A second replica

## [1.2.0] - 2026-11-01

### Added

- The chart

[unreleased]: https://example.org/demo/compare/demo-1.2.0...HEAD
[1.2.0]: https://example.org/demo/releases/tag/demo-1.2.0
"""


@dataclass(frozen=True)
class Project:
    """A git repository with a chart `demo` 1.2.0, and what a release of it needs."""

    work: Workspace

    @property
    def config(self) -> Config:
        return self.work.config

    @property
    def runner(self) -> Runner:
        return self.work.runner

    @property
    def toolchain(self) -> Toolchain:
        return self.work.tools

    @property
    def root(self) -> Path:
        return self.config.root

    def git(self, *words: str) -> str:
        """What a git command prints, stripped."""
        argv = ("git", "-C", str(self.root), *words)
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, message: str) -> str:
        """Commit all there is; the id."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def release(
        self, *, say: Callable[[str], None] = lambda _: None, today: date = TODAY, **options: Any
    ) -> ReleaseRecord:
        """Make the release, as the task does."""
        asked = Options(**options)
        with prepared(replace(self.work, say=say), asked, today=today) as ready:
            return ready.run()

    def plan(self, *, dry_run: bool = True, **options: Any) -> dict[str, str]:
        """The state of each step."""
        with prepared(self.work, Options(**options), today=TODAY, dry_run=dry_run) as ready:
            return {step.name: step.state for step in ready.plan}

    def published(self) -> dict[str, str]:
        """The digest of every version that the registry holds."""
        with registry_for(self.work) as registry, connect(registry) as client:
            found = {each: client.manifest(registry.reference("demo", each)) for each in client.versions("demo")}
        return {version: manifest.digest for version, manifest in found.items() if manifest is not None}

    def files(self) -> dict[str, bytes]:
        """Every file of the project with its content, git's own left out."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and ".git" not in path.relative_to(self.root).parts
        }

    def record(self) -> Any:
        """What stands in dist/demo.release.json."""
        return json.loads((self.config.dist / "demo.release.json").read_text())


@pytest.fixture(scope="session")
def runner(config: Config) -> Runner:
    """A runner that knows what helm says of a chart that it was asked about before."""
    return shared(config.cache_dir)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No login, git configuration or setting of the person who runs the tests."""
    left_alone(tmp_path, monkeypatch)
    hasten(monkeypatch)


def left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """See `alone`; what there is in its place stands in `tmp_path`."""
    for name in ("GATI_REGISTRY_USERNAME", "GATI_REGISTRY_PASSWORD", "GATI_REGISTRY", "SOURCE_DATE_EPOCH", "CI"):
        monkeypatch.delenv(name, raising=False)
    alone = "[maintenance]\nauto = false\n"  # for which each commit would start a process
    (tmp_path / "gitconfig").write_text(f"[user]\nname = Tester\nemail = tester@example.org\n{alone}")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("HELM_CONFIG_HOME", str(tmp_path / "helm"))


@pytest.fixture
def loose(tmp_path: Path, config: Config, toolchain: Toolchain, runner: Runner) -> Project:
    """The project before `git init`."""
    return make_project(tmp_path / "project", config, toolchain, runner)


def make_project(root: Path, config: Config, toolchain: Toolchain, runner: Runner) -> Project:
    """A project in the new folder `root`, before `git init`."""
    write_chart(root / "chart")
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    (root / ".gitignore").write_text("dist\n/.registry/\n")
    (root / ".yamllint.yaml").write_text((config.root / ".yamllint.yaml").read_text())
    (root / "pyproject.toml").write_text('[tool.gati]\nchart = "chart"\n')
    own = replace(load_config(root, environ={}), cache_dir=config.cache_dir)
    return Project(Workspace(own, runner, toolchain))


@pytest.fixture
def project(loose: Project) -> Project:
    """The project with one commit."""
    return with_commit(loose)


def with_commit(loose: Project) -> Project:
    """The project with its first commit."""
    loose.git("init", "--quiet", "--initial-branch=main")
    loose.commit("Add the chart")
    return loose


def write_chart(folder: Path, *, replicas: int = 2) -> None:
    """The chart `demo` 1.2.0 for one minor of Kubernetes."""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "Chart.yaml").write_text(
        textwrap.dedent("""\
        apiVersion: v2
        name: demo  # kept
        description: A chart to release
        version: 1.2.0
        appVersion: "7"
        kubeVersion: ">=1.33.0-0 <1.34.0-0"
        maintainers:
          - name: Tester
        """)
    )
    (folder / "values.yaml").write_text(f"replicas: {replicas}\n")
    (folder / "templates" / "map.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: demo\ndata:\n  replicas: '{{ .Values.replicas }}'\n"
    )
