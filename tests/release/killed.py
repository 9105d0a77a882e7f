"""Releases the project in the current folder, and is killed on the way: `killed.py SIGNAL POINT`.

POINT is how a line of progress begins, or the name of the file that a raise of the version has just replaced.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from scripts.core.command import Runner
from scripts.core.config import load_config
from scripts.core.interrupt import interruptible
from scripts.release.plan import Options, prepared
from scripts.toolchain.finder import Toolchain
from scripts.workspace import Workspace
from tests.release.conftest import TODAY
from tests.remembered import shared


def main() -> None:
    ending, point = signal.Signals[sys.argv[1]], sys.argv[2]

    def say(line: str) -> None:
        print(line, flush=True)
        if line.startswith(point):
            os.kill(os.getpid(), ending)

    replaced = Path.replace

    def replace_and_die(self: Path, target: Path) -> Path:
        result = replaced(self, target)
        if Path(target).name == point:
            os.kill(os.getpid(), ending)
        return result

    Path.replace = replace_and_die  # type: ignore[method-assign, assignment]
    # At a point nothing of helm is on its way; at an instant it may be, and is really asked.
    runner = Runner() if point == "never" else shared(Path(os.environ["CACHE"]))
    config = replace(load_config(Path.cwd(), environ={}), cache_dir=Path(os.environ["CACHE"]))
    work = Workspace(config, runner, Toolchain(config.cache_dir, runner), say)
    with interruptible(), prepared(work, Options("minor", tag=True), today=TODAY) as ready:
        ready.run()


if __name__ == "__main__":
    main()
