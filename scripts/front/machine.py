"""The tasks about this machine: what it lacks, its tools, the images made on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.front.command import REGISTRY, Many, command

if TYPE_CHECKING:
    from scripts.front.command import Shown
    from scripts.workspace import Workspace


@command(
    example="--only helm",
    working_on="looking at the tools",
    build="Build what is missing instead of only looking.",
    only="Only this tool; repeatable.",
    dry_run="Only look.",
)
def tools(work: Workspace, build: bool = False, only: Many = None, dry_run: bool = False) -> Shown:
    """Show each pinned tool: its version, where it was found, its state."""
    from scripts import present

    if build and not dry_run:
        work.tools.paths(only or [row.name for row in work.tools.survey()])
    yield present.tools(work.tools.survey(only))


@command(
    example="--json",
    keys=REGISTRY,
    working_on="looking at this machine",
    fix="Do what is safe: build tools, raise limits, remove what killed runs left.",
)
def doctor(work: Workspace, fix: bool = False) -> Shown:
    """Look at what the toolkit needs of this machine; each line with its fix."""
    from scripts import doctor as stage
    from scripts import present

    lines = stage.examine(work)
    if fix:
        stage.mend(work, lines)
        lines = stage.examine(work)
    yield present.doctor(lines)
    stage.demand_sound(lines)


@command(
    "node-image",
    example="--kubernetes oldest --dry-run",
    kubernetes="Of this Kubernetes: a minor (1.29), oldest, or newest (the default).",
    dry_run="Only show what would be pulled or built.",
)
def node_image(work: Workspace, kubernetes: str = "", dry_run: bool = False) -> Shown:
    """Pull or build the image of the test cluster's nodes, unless it is there already."""
    from scripts import present
    from scripts.containers import node_image as nodes
    from scripts.core.errors import ConfigError
    from scripts.e2e.columns import chosen_columns

    columns = chosen_columns(work, kubernetes, "") if kubernetes else ()
    if len(columns) > 1:
        raise ConfigError(f"--kubernetes {kubernetes} names more than one", expected="one at a time")
    own = work.of_minor(columns[0].minor) if columns and columns[0].minor else work
    yield present.planned_node(nodes.plan(own)) if dry_run else present.node(nodes.node_image(own))


@command(
    example="--version 1-abrupt --dry-run",
    version="Build this version only (default: 1 and 2); one that ends with -abrupt does not drain.",
    dry_run="Only show what would be built.",
)
def images(work: Workspace, version: str = "", dry_run: bool = False) -> Shown:
    """Build the images of the reference services; takes no time when nothing changed."""
    from scripts import present
    from scripts.containers import engine
    from scripts.containers.images import VERSIONS, build_services, plan_services

    versions = (version,) if version else VERSIONS
    with engine.connect() as client:
        if dry_run:
            yield present.planned_images(plan_services(work.config, client, versions=versions))
        else:
            yield present.images(build_services(work, client, versions=versions))
