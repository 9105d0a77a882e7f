"""Rendering and checking the full matrix, against the loop of `helm template | kubeconform` one would write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.checks.matrix import Plan, read_plan
from scripts.checks.render import render
from scripts.checks.schemas import Kind, Schemas
from scripts.checks.validate import check_chart
from scripts.workspace import Workspace
from tests.bench.measure import Figures, alternate, cores, median

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]
ROUNDS = 5


@pytest.fixture
def plan(work: Workspace) -> Plan:
    plan = read_plan(work)
    assert (len(plan.values), len(plan.kube_versions)) == (4, 10)
    return plan


@pytest.fixture
def plain_loop(work: Workspace, plan: Plan) -> Callable[[], None]:
    """One `helm template | kubeconform` after the other, on the same flattened schemas, prepared beforehand."""
    objects = [document for one in render(plan, work).renders for document in one.manifests]
    kinds = {Kind(document.api_version, document.kind) for document in objects}
    schemas = Schemas(work.config.cache_dir, work.tools)
    places = {version: schemas.prepare(version, kinds).locations for version in plan.kube_versions}
    tools = work.tools.paths(("helm", "kubeconform"))

    def loop() -> None:
        for cell in plan.cells():
            version = cell.kube_version
            helm: list[str | Path] = [tools["helm"], "template", plan.release, plan.chart.path]
            helm += ["--namespace", plan.release, "--include-crds", "--kube-version", version]
            helm += [word for file in cell.values.files for word in ("--values", file)]
            helm += [word for name in plan.apis(cell) for word in ("--api-versions", name)]
            kubeconform: list[str | Path] = [tools["kubeconform"], "-strict", "-output", "json"]
            kubeconform += ["-kubernetes-version", version]
            kubeconform += [word for place in places[version] for word in ("-schema-location", place)]
            work.runner.pipe(helm, kubeconform)

    return loop


def test_the_matrix_takes_at_most_half_of_the_plain_loop(
    figures: Figures,
    work: Workspace,
    plan: Plan,
    plain_loop: Callable[[], None],
) -> None:
    def ours() -> None:
        assert check_chart(work).problems() == ()

    ours()  # the first run may have schemas to make
    plain, own = alternate([plain_loop, ours], ROUNDS)
    speed = figures.record(
        "matrix: wall time against the plain loop",
        median([mine.wall / other.wall for mine, other in zip(own, plain, strict=True)]),
        limit=0.5,
        unit="x",
        wall_seconds=median([one.wall for one in own]),
        plain_seconds=median([one.wall for one in plain]),
        cpu_seconds=median([one.children for one in own]),
        plain_cpu_seconds=median([one.children for one in plain]),
        rounds=ROUNDS,
    )
    # What other programs take of the processors is not there to be used: a busy machine says nothing about us.
    free = [max(0.25, cores() - one.others / one.wall) for one in own]
    overhead = figures.record(
        "matrix: wall time against processor time / free cores",
        median([one.wall / (one.children / cores_free) for one, cores_free in zip(own, free, strict=True)]),
        limit=1.3,
        unit="x",
        against_all_cores=median([one.wall / (one.children / cores()) for one in own]),
        cores=cores(),
        cores_free=median(free),
    )
    assert speed.kept, figures.table()
    assert overhead.kept, figures.table()
