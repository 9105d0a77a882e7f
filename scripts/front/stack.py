"""The tasks of the local stack: the reference services under docker compose."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from scripts.front.command import command

if TYPE_CHECKING:
    from scripts.containers.stack import Stack
    from scripts.front.command import Shown
    from scripts.workspace import Workspace


@contextlib.contextmanager
def stack_of(work: Workspace, *, replicas: str = "1", monitoring: bool = False) -> Iterator[Stack]:
    """The compose stack of a person, and the engine it runs on while the block lasts."""
    from scripts.containers import engine
    from scripts.containers.stack import MOST_REPLICAS, Stack
    from scripts.core.config import whole_number

    count = whole_number(replicas, "--replicas", least=1, most=MOST_REPLICAS)
    with engine.connect() as client:
        yield Stack(work, client, replicas=count, monitoring=monitoring)


@command(
    example="--replicas 2 --dry-run",
    version="Version of the images; another one than runs is an upgrade or a rollback.",
    replicas="Replicas of ingress; from 2 on a balancer stands before them, and no upgrade loses a request.",
    monitoring="Start Prometheus too.",
    build="Build the images first (--no-build: use what is there).",
    dry_run="Only show what would be started.",
)
def up(
    work: Workspace,
    version: str = "1",
    replicas: str = "1",
    monitoring: bool = False,
    build: bool = True,
    dry_run: bool = False,
) -> Shown:
    """Start the reference services with docker compose and wait until they are healthy."""
    from scripts.containers.images import build_services

    with stack_of(work, replicas=replicas, monitoring=monitoring) as stack:
        if dry_run:
            yield "\n".join(stack.preview(version, build=build))
            return
        if build:
            build_services(work, stack.engine, versions=(version,))
        stack.up(version)
        yield f"ingress answers at {stack.url}"


@command(
    example="--dry-run",
    all_="Remove the cluster that --keep-cluster left, and what killed runs of any checkout left here, too.",
    dry_run="Only show what would go.",
)
def down(work: Workspace, all_: bool = False, dry_run: bool = False) -> Shown:
    """Stop the compose stack and remove all that belongs to it."""
    from scripts.cluster.kind import kept_lock, kept_prefix
    from scripts.containers import leftovers

    with kept_lock(work.config) if all_ else contextlib.nullcontext(), stack_of(work) as stack:
        running = [str(container.name) for container in stack.containers()]
        if not dry_run:
            stack.down()
        left = (leftovers.find if dry_run else leftovers.remove)(work, also=(kept_prefix(work.config),)) if all_ else ()
    if dry_run:
        yield "\n".join([*running, *map(str, left)]) or "nothing is running"
