"""The tasks that need a cluster: the smoke test, and a rollout by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scripts.front.command import CHART, Many, command, demand_approval, working

if TYPE_CHECKING:
    from scripts.front.command import Shown
    from scripts.workspace import Workspace


@command(
    example="--scenario upgrade --scenario rollback --dry-run",
    keys=CHART,
    apart=("kubernetes kube_context", "selfcheck scenario"),
    from_="What to upgrade from, with commas: last:N (default: last:1), versions, archives (.tgz), commits (git:REV).",
    latency="How many times slower than before a rollout may make half, or 99 of 100, of the requests (default: 10).",
    cluster_objects="Let the chart put objects outside of namespaces on a cluster that is not ours.",
    kube_context="Run on the cluster of this kubeconfig context, in namespaces of its own.",
    kubernetes="On which Kubernetes, with commas: minors (1.29), oldest, newest; a column of the report for each.",
    helm="With which helm: 3, 4, or 3,4; then installations change hands between the two as well.",
    images="Prefix of the services' images in a registry: registry/path for registry/path/ingress:1.",
    selfcheck="Only the negative control: a sabotaged chart must lose requests.",
    yes="Do not ask before running on a cluster that is not ours.",
)
def e2e(
    work: Workspace,
    scenario: Many = None,
    from_: str = "",
    latency: str = "",
    cluster_objects: bool = False,
    keep_cluster: bool = False,
    kube_context: str = "",
    kubernetes: str = "",
    helm: str = "",
    images: str = "",
    selfcheck: bool = False,
    yes: bool = False,
    dry_run: bool = False,
) -> Shown:
    """Install, upgrade, roll back and disrupt the packaged chart on a kind cluster, and count lost requests."""
    from scripts import present
    from scripts.e2e import columns as several
    from scripts.e2e import run as smoke

    columns = several.chosen_columns(work, kubernetes, helm)
    chosen = ("selfcheck",) if selfcheck else tuple(dict.fromkeys(scenario or ()))
    options = smoke.Options(
        scenarios=chosen,
        sources=from_,
        latency=smoke.read_latency(latency),
        cluster_objects=cluster_objects,
        keep=keep_cluster,
        context=kube_context,
        images=images,
        helms=tuple(dict.fromkeys(column.helm for column in columns)),
    )
    plan = smoke.plan(work, options)
    if dry_run or kube_context:
        plan += ["columns: " + "; ".join(map(str, columns))] if len(columns) > 1 else []
        yield "\n".join([*plan, *(smoke.foreseen(work, options) if dry_run else [])])
    if not dry_run:
        if kube_context:
            demand_approval(f"Run on the cluster of {kube_context}?", yes=yes)
        with working("proving the chart on a cluster", work.board):
            found = several.run_columns(work, options, columns)
        report = found if len(columns) > 1 else next(iter(found.reports.values()))
        yield present.Answer("\n".join(report.lines()), report.to_dict())
        several.demand_all_passed(found)


@command(
    keys=CHART,
    example="--scenario policies --dry-run",
)
def autoscale(work: Workspace, scenario: Many = None, keep_cluster: bool = False, dry_run: bool = False) -> Shown:
    """Scale, monitor and wall off the packaged chart on a kind cluster with the real operators."""
    from scripts import present
    from scripts.e2e import autoscale as stage
    from scripts.e2e.run import demand_passed

    options = stage.Options(tuple(dict.fromkeys(scenario or ())) or stage.Options.scenarios, keep_cluster)
    if dry_run:
        yield "\n".join(stage.plan(work.config, options))
        return
    with working("proving it with the operators", work.board):
        report = stage.run(work, options)
    yield present.Answer("\n".join(report.lines()), report.to_dict())
    demand_passed(report, "autoscale")


@command(
    example="install --dry-run",
    working_on="rolling out",
    verb="install, upgrade or rollback.",
    chart="Folder, archive or oci:// reference (default: [tool.gati] chart).",
    release="The release (default: the chart's name).",
    namespace="Its namespace, made by install where it is not there (default: the release's name).",
    kube_context="Context of the kubeconfig (default: the current one).",
    revision="Roll back to this revision (default: the last one before that was rolled out to its end).",
    deadline="Seconds until all of it must be ready.",
    undo="Go back to what was before where it fails.",
    force_conflicts="Take over fields that somebody else has set (kubectl scale, edit), where a conflict is refused.",
    ledger="Ask this address meanwhile, and say what was lost and why: http(s)://host/path, grpc:// or tcp://host:port.",
    service="The Service behind that address (default: the one that the release's objects point to).",
    dry_run="Only show the helm command that this comes to.",
)
def rollout(
    work: Workspace,
    verb: str,
    chart: str = "",
    release: str = "",
    namespace: str = "",
    kube_context: str = "",
    values: Many = None,
    revision: str = "0",
    deadline: str = "300",
    undo: bool = False,
    force_conflicts: bool = False,
    ledger: str = "",
    service: str = "",
    dry_run: bool = False,
) -> Shown:
    """Install, upgrade or roll back a release, wait for it, and say first why it fails."""
    from scripts import present
    from scripts.core.config import whole_number
    from scripts.core.errors import UsageError
    from scripts.e2e.alongside import Witness
    from scripts.rollout.operate import Order, operate, preview

    number, seconds = whole_number(revision, "--revision"), whole_number(deadline, "--deadline", least=1)
    files = tuple(Path(file) for file in values or ())
    order = Order(verb, chart, release, namespace, kube_context, files, number, seconds, undo, force_conflicts)
    if service and not ledger:
        raise UsageError("--service stands behind --ledger, which is not given", run="--ledger http://HOST/PATH")
    witness = Witness(work, ledger, service) if ledger else None
    if dry_run:
        yield preview(work, order)
    elif witness is None:
        yield present.facts(operate(work, order))
    else:
        yield present.facts(operate(work, order, witness.beside))
        witness.demand_kept()
