"""Owns the one value that every task starts from: what is worked on, and what does the work."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.core.command import PASSWORD, SIGNING_PASSWORDS, TOKENS, Runner
from scripts.core.config import Config, load_config
from scripts.core.progress import Board, Say, silent
from scripts.toolchain.finder import Toolchain

if TYPE_CHECKING:
    from scripts.chart.helm import Helm


@dataclass(frozen=True)
class Workspace:
    """The configuration, the runner of programs, the pinned tools, and where lines of progress and rows go."""

    config: Config
    runner: Runner
    tools: Toolchain
    say: Say = silent
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """What flags said of the configuration."""
    board: Board = field(default_factory=Board, compare=False)

    @property
    def helm(self) -> Helm:
        """The pinned helm. Raises ToolError."""
        from scripts.chart.helm import Helm

        return Helm(self.tools.path("helm"), self.runner)

    def having(self, **changes: Any) -> Workspace:
        """The same with other values of the configuration."""
        return replace(self, config=replace(self.config, **changes))

    def of_minor(self, minor: str) -> Workspace:
        """The same for the test cluster of a Kubernetes `minor` ("1.29"). Raises ToolError for one not pinned."""
        served = (self.config.node_image, *self.config.node_images)
        image = next((name for name in served if f":v{minor}." in name), "")
        return replace(self, tools=self.tools.of_minor(minor), config=replace(self.config, node_image=image))

    def of_chart(self, chart: Path) -> Workspace:
        """The same for another chart, by what configures that one; flags that were given hold for it, too.

        Raises ConfigError.
        """
        return replace(self, config=load_config(self.config.root, **{**self.overrides, "chart": chart}))


def open_workspace(root: Path, *, say: Say = silent, echo: Say | None = None, **overrides: Any) -> Workspace:
    """The workspace of the project at `root`; `echo` receives each command line that runs. Raises ConfigError."""
    config = load_config(root, **overrides)
    if Path(tempfile.gettempdir()).resolve().is_relative_to(config.chart):  # which would hold our copies
        tempfile.tempdir = str(config.cache_dir / "tmp")
        Path(tempfile.tempdir).mkdir(parents=True, exist_ok=True)
    runner = Runner(echo=echo, secrets=(os.environ.get(name, "") for name in (PASSWORD, *SIGNING_PASSWORDS, *TOKENS)))
    if config.signing_key.startswith("env://"):
        name = config.signing_key.removeprefix("env://")
        runner.withhold(name)
        runner.hide(os.environ.get(name, "").strip())

    def told(text: str) -> None:
        say(runner.redact(text))

    return Workspace(config, runner, Toolchain(config.cache_dir, runner, say=told), told, overrides)
