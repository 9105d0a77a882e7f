"""The tasks that judge a chart without a cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.front.command import CHART, REGISTRY, Many, command, for_each

if TYPE_CHECKING:
    from scripts.checks.fleet import Part, Stage
    from scripts.front.command import Shown
    from scripts.present import Answer, View
    from scripts.workspace import Workspace


_SEVERAL = ("all_ changed",)


def found_by(
    work: Workspace,
    stage: Stage,
    view: Callable[[Part], View | Answer],
    all_: bool,
    changed: str | None,
    junit: str | None = None,
) -> Shown:
    """What `stage` finds of the chart; of several a table of them all, and an error that names those that failed."""
    from scripts import present
    from scripts.chart.selection import selected
    from scripts.checks import fleet, validate
    from scripts.core.errors import ReleaseError

    if all_ or changed:
        parts = fleet.over(work, selected(work.config, work.runner, changed=changed), stage)
        for_each((part.chart, part.error) for part in parts)
        validate.write_junit(junit, (suite for part in parts for suite in part.suites))
        yield present.fleet(parts, (view(part) for part in parts if part.outcome is not None))
        fleet.demand_all(parts)
        return
    try:
        part = stage(work)
    except ReleaseError as error:
        validate.write_junit(junit, [validate.unchecked(error)])
        raise
    yield view(part)
    validate.write_junit(junit, part.suites)
    part.finish()


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

    extra = [Path(file) for file in values or ()]
    stage = functools.partial(fleet.linted, values=extra, strict=strict)
    yield from found_by(work, stage, lambda part: present.lint(part.outcome), all_, changed)


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
    from scripts.checks import fleet

    extra, minors = [Path(file) for file in values or ()], kube_version or ()
    stage = functools.partial(fleet.rendered, values=extra, kube_versions=minors, dry_run=dry_run)
    yield from found_by(work, stage, lambda part: present.matrix(part.outcome, part.report), all_, changed)
    if not (all_ or changed):
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
    from scripts.checks import fleet

    extra, minors = [Path(file) for file in values or ()], kube_version or ()
    stage = functools.partial(fleet.checked, values=extra, kube_versions=minors)
    yield from found_by(work, stage, lambda part: present.problems(part.outcome), all_, changed, junit)


@command(
    example="--from git:HEAD --kube-version 1.30",
    keys=REGISTRY,
    working_on="rendering both versions",
    from_="The version to judge from: VERSION, git:REVISION, oci://..., an archive (default: the last of the line).",
    against="A git revision, as a pull request's base: what differs from it must have a higher version.",
    apart=("json markdown", "changed against", "changed from_", "changed markdown"),
    markdown="Print Markdown, for a pull request's comment.",
)
def judge(
    work: Workspace,
    from_: str | None = None,
    against: str | None = None,
    values: Many = None,
    kube_version: Many = None,
    markdown: bool = False,
    changed: str | None = None,
) -> Shown:
    """Say which part of the version has to be raised, and why: what somebody notices who has the earlier one.

    With --changed, of each chart that differs from a revision, and against that.
    """
    from scripts import present
    from scripts.chart.source import read_chart
    from scripts.checks.fleet import Part
    from scripts.core import files
    from scripts.judge import judge as judging
    from scripts.judge import words
    from scripts.judge.verdict import demand_enough

    base, further = against or changed, [Path(file) for file in values or ()]

    def stage(own: Workspace) -> Part:
        if base:
            judging.demand_raised(own, base)
        verdict = judging.judge(own, from_, against=base, values=further, kube_versions=kube_version or ())
        record = verdict.record()

        def finish() -> None:
            files.write_json(own.config.result(verdict.chart, "judge.json"), record)
            if base or verdict.current != verdict.version:
                demand_enough(verdict)

        *told, summary = words.lines(verdict)
        return Part(read_chart(own.config.chart), summary, told, verdict, record, finish)

    yield from found_by(work, stage, lambda part: present.judged(part.outcome, as_markdown=markdown), False, changed)
