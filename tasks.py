"""The tasks of `invoke`: each reads its flags, calls `scripts` and prints what comes back.

Nothing but invoke is imported before a task runs, so that `invoke --list` stays quick.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

if TYPE_CHECKING:
    from scripts.command import Runner
    from scripts.config import Config
    from scripts.toolchain import Toolchain

ROOT = Path(__file__).resolve().parent
COMMON = {"chart": "Chart folder (default: [tool.gati] chart).", "json": "Print JSON for a machine to read."}


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turns an expected failure into its message on stderr and exit code 1, and Ctrl-C into 130."""
    from scripts.errors import ReleaseError

    try:
        yield
    except ReleaseError as error:
        raise Exit(f"error: {error}", code=1) from None
    except KeyboardInterrupt:
        raise Exit("stopped by Ctrl-C; what ran was ended and temporary files are gone", code=130) from None


def say(text: str) -> None:
    """One line of progress, on stderr: stdout is for results."""
    print(text, file=sys.stderr, flush=True)


def setup(ctx: Context, **overrides: Any) -> tuple[Config, Runner, Toolchain]:
    """The three values that every task starts from; `invoke --echo` shows each command that runs."""
    from scripts.command import Runner
    from scripts.config import load_config
    from scripts.toolchain import Toolchain

    config = load_config(ROOT, **overrides)
    runner = Runner(echo=say if ctx.config.run.echo else None)
    return config, runner, Toolchain(config.cache_dir, runner, say=say)


@task(help={"build": "Build what is missing instead of only looking.", "json": COMMON["json"]})
def tools(ctx: Context, build: bool = False, json: bool = False) -> None:
    """Show each pinned tool: its version, where it was found, its state."""
    with told():
        from scripts import present

        _, _, chain = setup(ctx)
        if build:
            chain.paths(row.name for row in chain.survey())
        print(present.render(present.tools(chain.survey()), json=json))


@task(name="node-image", help={"json": COMMON["json"]})
def node_image(ctx: Context, json: bool = False) -> None:
    """Pull or build the image of the test cluster's nodes, unless it is there already."""
    with told():
        from scripts import nodeimage, present

        image = nodeimage.node_image(*setup(ctx), say=say)
        print(present.to_json(image) if json else image.reference)
