"""Collects the tasks of `invoke`; they stand in `scripts/front`, a module for each group.

Nothing but invoke and the front is imported before a task runs, so that `invoke --list` stays quick.
"""

from __future__ import annotations

import json as json_module
import shutil
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task, task

from scripts.front import chart, cluster, machine, release, report, stack
from scripts.front.command import demand_parsed
from scripts.front.shell import Ours

GROUPS: dict[str, tuple[Task[Any], ...]] = {
    "Judge a chart": (chart.lint, chart.template, chart.kubeconform_check, chart.diff, chart.judge),
    "Release it": (
        release.version_bump,
        release.package,
        release.publish,
        release.verify,
        release.release,
        release.serve_registry,
        release.new_chart,
    ),
    "Prove it on a cluster": (cluster.e2e, cluster.autoscale, cluster.rollout),
    "Look at it": (report.report,),
    "Run the services here": (stack.up, stack.down),
    "This machine": (machine.doctor, machine.tools, machine.images, machine.node_image),
}


@task(klass=Ours, default=True, help={"json": "Print JSON for a machine to read."})
def overview(_: Context, json: bool = False) -> None:
    """List the tasks by group; so does `invoke` alone.

    Example: invoke overview --json
    """
    shown = {
        title: {str(each.name): (each.__doc__ or "").strip().splitlines()[0] for each in tasks}
        for title, tasks in GROUPS.items()
    }
    if json:
        print(json_module.dumps(shown, indent=2))
        return
    from scripts.core.words import filled

    width = shutil.get_terminal_size().columns
    for title, tasks in shown.items():
        print(title)
        for name, text in tasks.items():
            print(filled(text, width, f"  {name:<18} ", " " * 21))
    print("\n`invoke --help TASK` explains one.")


namespace = Collection(overview, *(each for tasks in GROUPS.values() for each in tasks))
demand_parsed()
