"""The tasks that judge a chart without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scripts.front.command import CHART, REGISTRY, Many, command, say

if TYPE_CHECKING:
    from scripts.checks.fleet import Stage
    from scripts.front.command import Shown
    from scripts.workspace import Workspace


_SEVERAL = ("all_ changed",)


def over_charts(work: Workspace, changed: str | None, stage: Stage, junit: str | None = None) -> Shown:
    """Several charts: a table of them all, and an error that names those that failed."""
    from scripts import present
    from scripts.chart.selection import selected
    from scripts.checks import fleet, validate

    parts = fleet.over(work, selected(work.config, work.runner, changed=changed), stage)
    validate.write_junit(junit, (suite for part in parts for suite in part.suites))
    yield present.fleet(parts)
    fleet.demand_all(parts)


@command(
    example="--json",
    keys=CHART,
    apart=_SEVERAL,
    working_on="checking the chart's sources",
    strict="Fail on warnings too.",
)
def lint(
    work: Workspace, values: Many = None, strict: bool = False, all_: bool = False, changed: str | None = None
) -> Shown:
    """Check the chart's sources: helm lint, YAML, Chart.yaml, values, changelog."""
    from scripts import present
    from scripts.checks import fleet
    from scripts.checks import lint as stage
    from scripts.core import files

    extra = [Path(file) for file in values or ()]
    if all_ or changed:
        yield from over_charts(work, changed, lambda one: fleet.linted(one, values=extra, strict=strict))
        return
    outcome = stage.lint(work, values=extra)
    yield present.lint(outcome)
    files.write_json(work.config.result(outcome.chart.name, "lint.json"), outcome.report())
    stage.demand_clean(outcome, strict=strict)


@command(
    example="--kube-version 1.30",
    keys=CHART,
    apart=_SEVERAL,
    working_on="rendering",
    dry_run="Render, and write nothing.",
)
def template(
    work: Workspace,
    values: Many = None,
    kube_version: Many = None,
    dry_run: bool = False,
    all_: bool = False,
    changed: str | None = None,
) -> Shown:
    """Render every values file for every supported Kubernetes into dist/NAME.manifests.

    It is for reading one version whole; `invoke diff` shows what differs between two.
    """
    from scripts import present
    from scripts.checks import fleet, matrix, render

    files, minors = [Path(file) for file in values or ()], kube_version or ()
    if all_ or changed:
        yield from over_charts(
            work, changed, lambda one: fleet.rendered(one, values=files, kube_versions=minors, dry_run=dry_run)
        )
        return
    plan = matrix.read_plan(work, values=files, kube_versions=minors)
    rendered = render.render(plan, work)
    if not dry_run:
        render.store(plan, rendered, work.config.result(plan.subject.name, "manifests"))
    for note in rendered.notes():
        say(f"note: {note}")
    yield present.matrix(rendered, render.make_index(plan, rendered))
    work.say("next: invoke diff, for what differs from the last version alone")


@command(
    example="--from git:HEAD --kube-version 1.30",
    keys=REGISTRY,
    working_on="rendering both versions",
    from_="The earlier chart: VERSION, git:REVISION, oci://..., an archive or folder (default: the last of the line).",
    apart=("json html",),
    to="The later one, named in the same ways (default: the chart in the tree).",
    html="Print a page for a browser.",
)
def diff(
    work: Workspace,
    from_: str | None = None,
    to: str | None = None,
    values: Many = None,
    kube_version: Many = None,
    html: bool = False,
) -> Shown:
    """Show what differs between two versions of the chart: objects and fields, values, schema, Chart.yaml.

    `invoke template` writes all that one version renders; `invoke judge` says what a difference asks of the version.
    """
    from scripts import present
    from scripts.chart.source import read_chart
    from scripts.core import files
    from scripts.judge import judge as stage

    further = [Path(file) for file in values or ()]
    found = stage.diff(work, from_, to, values=further, kube_versions=kube_version or ())
    yield present.compared(found, as_html=html)
    work.say("next: invoke template, for all that the chart renders; invoke judge, for the part to raise")
    name = read_chart(work.config.chart).name
    files.write_json(work.config.result(name, "diff.json"), found.record())


@command(
    "kubeconform-check",
    example="--kube-version 1.30",
    keys=CHART,
    apart=_SEVERAL,
    working_on="rendering and checking",
    junit="Write the verdict to this file as JUnit XML, too.",
)
def kubeconform_check(
    work: Workspace,
    values: Many = None,
    kube_version: Many = None,
    junit: str | None = None,
    all_: bool = False,
    changed: str | None = None,
) -> Shown:
    """Check every rendered object against the schemas of every supported Kubernetes."""
    from scripts import present
    from scripts.checks import fleet, validate
    from scripts.core import files
    from scripts.core.errors import ReleaseError

    extra, minors = [Path(file) for file in values or ()], kube_version or ()
    if all_ or changed:
        yield from over_charts(work, changed, lambda one: fleet.checked(one, values=extra, kube_versions=minors), junit)
        return
    try:
        outcome = validate.check_chart(work, values=extra, kube_versions=minors)
    except ReleaseError as error:
        validate.write_junit(junit, [validate.unchecked(error)])
        raise
    yield present.problems(outcome)
    files.write_json(work.config.result(outcome.plan.subject.name, "kubeconform.json"), outcome.report())
    validate.write_junit(junit, validate.suites(outcome))
    validate.demand_valid(outcome)


@command(
    example="--from git:HEAD --kube-version 1.30",
    keys=REGISTRY,
    working_on="rendering both versions",
    from_="The version to judge from: VERSION, git:REVISION, oci://..., an archive (default: the last of the line).",
    against="A git revision, as a pull request's base: what differs from it must have a higher version.",
    apart=("json markdown",),
    markdown="Print Markdown, for a pull request's comment.",
)
def judge(
    work: Workspace,
    from_: str | None = None,
    against: str | None = None,
    values: Many = None,
    kube_version: Many = None,
    markdown: bool = False,
) -> Shown:
    """Say which part of the version has to be raised, and why: what somebody notices who has the earlier one."""
    from scripts import present
    from scripts.core import files
    from scripts.judge import judge as stage
    from scripts.judge.verdict import demand_enough

    if against:
        stage.demand_raised(work, against)
    further = map(Path, values or ())
    verdict = stage.judge(work, from_, against=against, values=further, kube_versions=kube_version or ())
    yield present.judged(verdict, as_markdown=markdown)
    files.write_json(work.config.result(verdict.chart, "judge.json"), verdict.record())
    if against or verdict.current != verdict.version:
        demand_enough(verdict)
