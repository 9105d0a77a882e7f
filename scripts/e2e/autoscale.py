"""Runs the scenarios that need operators: scaling, monitoring, enforced policies; writes a report, a curve for each."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from scripts.chart.source import read_chart
from scripts.cluster.api import connect
from scripts.cluster.kind import cluster, demand_reachable_nodes
from scripts.cluster.operators import FIREWALL, deploy, operator_images
from scripts.cluster.transport import Login
from scripts.containers import engine
from scripts.containers.images import foundation
from scripts.core.config import Config
from scripts.core.errors import ConfigError
from scripts.core.interrupt import interruptible
from scripts.e2e.lab import Lab, Published, Tools
from scripts.e2e.monitoring import monitoring
from scripts.e2e.policies import policies
from scripts.e2e.report import Journal, Report
from scripts.e2e.run import bring_services, carry_out, discovered, go, results, to_begin
from scripts.e2e.scaling import dev, hpa, keda
from scripts.e2e.sources import carried_values
from scripts.e2e.subject import read_subject
from scripts.release.package import package
from scripts.workspace import Workspace

_FOLDER = "autoscale"
_SETS = ("default", "dev", "prod")
# The longest first. They mostly wait, for windows and cooldowns of minutes, so all of them are on at a time.
SCENARIOS: dict[str, Callable[[Lab, Journal], None]] = {
    scenario.__name__: scenario for scenario in (hpa, dev, keda, monitoring, policies)
}
_OPERATORS = {
    "hpa": ("metrics-server",),
    "dev": ("prometheus-operator", "keda"),
    "keda": ("prometheus-operator", "keda"),
    "monitoring": ("prometheus-operator",),
    "policies": (FIREWALL, "prometheus-operator"),
}


@dataclass(frozen=True)
class Options:
    """What to run, and whether the cluster stays for the next run."""

    scenarios: tuple[str, ...] = tuple(SCENARIOS)
    keep: bool = False

    @property
    def operators(self) -> list[str]:
        """What the scenarios need."""
        return sorted({operator for name in self.scenarios for operator in _OPERATORS[name]})

    def __post_init__(self) -> None:
        unknown = [name for name in self.scenarios if name not in SCENARIOS]
        if unknown or not self.scenarios:
            raise ConfigError(f"there is no scenario {', '.join(unknown) or 'at all'}", expected=", ".join(SCENARIOS))


def plan(config: Config, options: Options) -> list[str]:
    """What a run would do, line by line; nothing is changed, built or asked. Raises ChartError, ConfigError."""
    chart = read_chart(config.chart)
    lines = [
        f"package {chart.name} {chart.version}, install it from its archive",
        "on a kind cluster of our own" + (", kept for the next run" if options.keep else ", removed at the end"),
        f"operators: {', '.join(options.operators)}",
    ]
    lines += [f"{name}: {(SCENARIOS[name].__doc__ or '').strip().splitlines()[0]}" for name in options.scenarios]
    return [*lines, f"results: {config.dist / _FOLDER}/report.json, junit.xml, and a curve.svg for each scenario"]


def run(work: Workspace, options: Options) -> Report:
    """Run the scenarios side by side and write the report to `dist/autoscale`, of what was done until Ctrl-C too.

    A scenario that fails is in the report. Raises ReleaseError where the run cannot begin.
    """
    begin, folder = time.monotonic(), work.config.dist / _FOLDER
    with interruptible(), contextlib.ExitStack() as stack:
        workplace = stack.enter_context(results(work, folder, SCENARIOS, options.scenarios))
        demand_reachable_nodes()
        chart = read_chart(work.config.chart)
        packaged = package(work.config, chart, work.helm, work.say)
        files = carried_values(packaged.path, _SETS, workplace / "values")
        candidate = Published(chart.name, packaged.version, packaged.sha256, str(packaged.path), packaged.sha256, files)
        with engine.connect() as client:
            door = foundation(work, "haproxy", client)
        operator_images(options.operators, work)  # an hour may go into them, and no cluster should wait for that
        made = stack.enter_context(cluster(work, keep=options.keep))
        bring_services(work, made)
        made.load_images([door])
        login = Login(made.kubeconfig)
        api = stack.enter_context(connect(login, kubectl=work.tools.path("kubectl"), runner=work.runner))
        deploy(options.operators, made, api, work)
        lab = Lab(
            api=api,
            runner=work.runner,
            tools=Tools(*(work.tools.path(name) for name in ("helm", "kubectl", "k6"))),
            folder=folder,
            candidate=candidate,
            sources=(),
            images=work.config.own_images,
            own=True,
            subject=read_subject(work.config.e2e, chart.release),
            login=login,
            chosen=_SETS,
            door=door,
        )
        if made.reused:
            lab.sweep()
        lab.found = discovered(lab, list(lab.render()))
        outcomes = to_begin(options.scenarios)
        return carry_out(
            work,
            lab,
            outcomes,
            lambda: go(lab, outcomes, SCENARIOS, work, len(outcomes), attempts=1, scenarios=SCENARIOS),
            lambda: lab.clean(api, wait=False) if options.keep else None,
            begin=begin,
            cluster={"kubernetes": api.version, "name": made.name, "seconds": round(made.seconds, 3)},
        )
