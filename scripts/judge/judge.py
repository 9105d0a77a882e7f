"""Judges the chart in the tree against an earlier version of it: the whole of `invoke judge` but its output."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from scripts.chart.archive import UNDATED, changed_files, pack
from scripts.chart.changelog import read_changelog
from scripts.chart.contents import sources
from scripts.chart.dependencies import provide_dependencies
from scripts.chart.helm import Helm
from scripts.chart.source import Chart, read_chart
from scripts.checks.baseline import GIT, asked_once, earlier_chart, last_version, stood_at
from scripts.checks.schemas import schemas_of
from scripts.core.errors import ChartError, ConfigError, VersionError
from scripts.core.git import find_repository
from scripts.core.parallel import workers
from scripts.core.paths import shown
from scripts.core.semver import parse, tag_name
from scripts.core.words import some
from scripts.judge.diff import Diff, diff_charts
from scripts.judge.exceptions import read_exceptions
from scripts.judge.metadata import lasting
from scripts.judge.renders import render_both
from scripts.judge.side import read_side
from scripts.judge.verdict import Verdict, make_verdict
from scripts.workspace import Workspace


def judge(
    work: Workspace,
    source: str | None = None,
    *,
    chart: Chart | None = None,
    against: str | None = None,
    values: Iterable[Path] = (),
    kube_versions: Iterable[str] = (),
) -> Verdict:
    """The verdict on the step to the chart of `work` (or to `chart`) from the one that `source` names.

    Without `source`: from `against`, a git revision, else from the last version of the line. `values` are further
    values files, `kube_versions` the only minors to render for. Raises ConfigError where there is no earlier version,
    GitError, RegistryError, ChartError, ValuesError, ChangelogError.
    """
    new = chart or read_chart(work.config.chart)
    parse(new.version, f"{shown(new.path / 'Chart.yaml')}: version")
    if against and not source:
        source = f"{GIT}{against.removeprefix(GIT)}"
        if not _stands(work, against.removeprefix(GIT)):
            told = f"{new.name} is not in {against}: a first version has nothing to be judged from"
            return Verdict(new.name, source, new.version, new.version, "none", "none", (), (told,), sources(new))
    with contextlib.ExitStack() as stack:
        work, reference = _before(work, source, new, stack)
        old = stack.enter_context(earlier_chart(work, reference))
        parse(old.version, f"{reference}: version in Chart.yaml")
        return judge_charts(work, old, new, reference, values=values, kube_versions=kube_versions)


def diff(
    work: Workspace,
    source: str | None = None,
    target: str | None = None,
    *,
    values: Iterable[Path] = (),
    kube_versions: Iterable[str] = (),
) -> Diff:
    """What leads from the chart that `source` names (None: the last version of the line) to `target` (the tree)."""
    tree = read_chart(work.config.chart)
    with contextlib.ExitStack() as stack:
        work, reference = _before(work, source, tree, stack)
        old = stack.enter_context(earlier_chart(work, reference))
        new = stack.enter_context(earlier_chart(work, target)) if target else tree
        named = (reference, old), (target or shown(tree.path), new)
        return diff_charts(work, *named, values=values, kube_versions=kube_versions)


def _before(work: Workspace, named: str | None, chart: Chart, stack: contextlib.ExitStack) -> tuple[Workspace, str]:
    """What a chart is compared with: what is `named`, else the last version of its line; and who asks for it."""
    work = work if named else stack.enter_context(asked_once(work))
    if reference := named or last_version(work, chart):
        return work, reference
    raise ConfigError(
        f"no version of {chart.name} is published or tagged, so there is nothing to compare with",
        expected="--from with a version, or with git:REVISION",
        found=f"no git tag {tag_name(chart.name, 'VERSION')}, and nothing in the registry",
        run="git fetch --tags",
    )


def judge_charts(
    work: Workspace,
    old: Chart,
    new: Chart,
    source: str,
    *,
    values: Iterable[Path] = (),
    kube_versions: Iterable[str] = (),
) -> Verdict:
    """The verdict on the step from `old`, which was named as `source`, to `new`. Raises as `judge` does."""
    told = f"{source} ({old.version})" if old.version != source else source
    rendered = render_both(work, old, new, values=values, kube_versions=kube_versions, told=told)
    sides = read_side(old.path), read_side(new.path)  # after the dependencies that were missing have come
    verdict = make_verdict(
        *sides,
        rendered.cells,
        source=source,
        namespace=rendered.namespace,
        known=schemas_of(work).minors(),
        drawn=rendered.drawn,
        further=rendered.dropped,
        exempt=read_exceptions(read_changelog(work.config.changelog), above=old.version),
        initial=work.config.initial_development,
        files=lambda: differing_files(old, new, work.helm),
    )
    only = [f"for Kubernetes {', '.join(asked)} alone"] if (asked := tuple(kube_versions)) else []
    return replace(verdict, sources=sources(new), notes=(*verdict.notes, *only))


def demand_raised(work: Workspace, against: str) -> None:
    """What a pull request has to show: where the chart is another one than in the git revision, its version is above.

    Raises VersionError where it is not, be it lowered alone, and GitError for a revision there is not.
    """
    chart, revision = read_chart(work.config.chart), against.removeprefix(GIT)
    if not _stands(work, revision):
        return
    with earlier_chart(work, f"{GIT}{revision}") as old:
        for side in (old, chart):
            provide_dependencies(side, work.helm, work.say)
        files, lowered = differing_files(old, chart, work.helm), parse(chart.version) < parse(old.version)
        bump = "invoke version-bump --part auto"
        if lowered or (files and parse(chart.version) == parse(old.version)):
            raise VersionError(
                f"{chart.name} is another one than in {revision}, and its version is not raised above {old.version}",
                expected=f"a version above {old.version}",
                found="\n".join([chart.version + ", and other files:" * bool(files), *some(files)]),
                run=f"put {old.version} back; then {bump}" if lowered else bump,
            )


def _stands(work: Workspace, revision: str) -> bool:
    """Whether the chart is in a git revision; else it is a new one. Raises GitError for a revision there is not."""
    here, repository = work.config.chart, find_repository(work.config.chart, work.runner)
    return repository is None or stood_at(here, repository, repository.known(revision)) is not None


def differing_files(old: Chart, new: Chart, helm: Helm) -> tuple[str, ...]:
    """The packed files that differ, one line a file, and not by the version alone, as a README's badge does; Chart.yaml
    is not among them where only the version differs, and what is raised with it."""

    def alike(was: bytes, now: bytes) -> bool:
        raised = was
        for dash in ("-", "--"):  # as it stands in a badge's address
            one, other = (chart.version.replace("-", dash).encode() for chart in (old, new))
            raised = raised.replace(one, other)
        return now in (was, raised)

    try:
        with workers(helm.runner) as pool:
            before, after = pool.map(lambda chart: pack(helm, chart.path, UNDATED), (old, new))
            lines = changed_files(before, after, alike)
    except ChartError as error:
        return (f"files that cannot be packed: {error.message}",)
    told = [{key: lasting(value) for key, value in chart.metadata.items() if key != "version"} for chart in (old, new)]
    was, now = ({key: value for key, value in side.items() if value is not None} for side in told)
    return tuple(line for line in lines if not (was == now and line.endswith("/Chart.yaml") and line.count("/") == 1))
