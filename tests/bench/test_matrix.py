"""Rendering and checking the full matrix, against the loop of `helm template | kubeconform` one would write."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.checks.matrix import Plan, read_plan
from scripts.checks.render import render
from scripts.checks.schemas import Kind, schemas_of
from scripts.checks.validate import check_chart
from scripts.workspace import Workspace
from tests.bench.measure import Figures, Sample, alternate, cores, median

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]
ROUNDS = 5
OURS, LARGE = 0.3, 0.6  # of the plain loop's time, at most
MEMORY = 400  # MB
DEFINITIONS, OBJECTS = 10, 120  # of the large chart, half a megabyte each definition


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart as large as kube-prometheus-stack: 130 objects, 5 MB of definitions, and templates that ask."""
    chart = tmp_path_factory.mktemp("charts") / "large"
    (chart / "crds").mkdir(parents=True)
    (chart / "templates").mkdir()
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: large\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text("{}\n")
    prose = "What this field is for, in as many words as generated documentation has. " * 4
    for number in range(DEFINITIONS):
        kind = f"Thing{number}"
        lines = [
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:",
            f"  name: {kind.lower()}s.example.com\nspec:\n  group: example.com",
            f"  names: {{kind: {kind}, plural: {kind.lower()}s, singular: {kind.lower()}}}\n  scope: Namespaced",
            "  versions:\n  - name: v1\n    served: true\n    storage: true\n    schema:\n      openAPIV3Schema:",
            "        type: object\n        properties:\n          spec:\n            type: object",
            "            properties:",
        ]
        indent = " " * 14
        lines += [f"{indent}field{n}:\n{indent}  description: {prose}\n{indent}  type: string" for n in range(1300)]
        (chart / "crds" / f"{kind}.yaml").write_text("\n".join(lines) + "\n")
    for number in range(OBJECTS // 3):
        (chart / "templates" / f"part{number}.yaml").write_text(
            f"""{{{{- if .Capabilities.APIVersions.Has "apps/v1/Deployment" }}}}
apiVersion: apps/v1
kind: Deployment
metadata: {{name: part{number}, labels: {{minor: "{{{{ .Capabilities.KubeVersion.Minor }}}}"}}}}
spec:
  selector: {{matchLabels: {{app: part{number}}}}}
  template:
    metadata: {{labels: {{app: part{number}}}}}
    spec: {{containers: [{{name: main, image: example.com/main:1, ports: [{{containerPort: 80}}]}}]}}
{{{{- end }}}}
---
apiVersion: v1
kind: Service
metadata: {{name: part{number}}}
spec: {{selector: {{app: part{number}}}, ports: [{{port: 80}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: part{number}}}
data: {{large: "{"x" * 2000}"}}
"""
        )
    return chart


def plain_loop(work: Workspace, plan: Plan) -> Callable[[], None]:
    """One `helm template | kubeconform` after the other, on the same flattened schemas, prepared beforehand."""
    documents = [document for one in render(plan, work).renders for document in one.manifests]
    kinds = {Kind(document.api_version, document.kind) for document in documents}
    definitions = [document for document in documents if document.kind == "CustomResourceDefinition"]
    schemas = schemas_of(work)
    places = {version: schemas.prepare(version, kinds, definitions).locations for version in plan.kube_versions}
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
            both = " | ".join(shlex.join(map(str, words)) for words in (helm, kubeconform))
            work.runner.run(("sh", "-c", both))

    return loop


def against_plain(work: Workspace, rounds: int = ROUNDS) -> tuple[list[Sample], list[Sample]]:
    """(the plain loop, the toolkit's check), measured in turn, so that they see the same machine."""
    plan = read_plan(work)

    def ours() -> None:
        assert check_chart(work).problems() == ()

    ours()  # the first run may have schemas to make
    plain, own = alternate([plain_loop(work, plan), ours], rounds)
    return plain, own


def test_the_matrix_of_the_chart_takes_a_third_of_the_plain_loop(figures: Figures, work: Workspace) -> None:
    plan = read_plan(work)
    assert (len(plan.values), len(plan.kube_versions)) == (4, 10)
    plain, own = against_plain(work)
    speed = figures.record(
        "matrix: wall time against the plain loop",
        median([mine.wall / other.wall for mine, other in zip(own, plain, strict=True)]),
        limit=OURS,
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


def test_a_large_chart_takes_less_than_the_plain_loop_and_little_memory(
    figures: Figures, work: Workspace, large: Path, root: Path
) -> None:
    plain, own = against_plain(work.of_chart(large), rounds=3)
    speed = figures.record(
        "a large chart: wall time against the plain loop",
        median([mine.wall / other.wall for mine, other in zip(own, plain, strict=True)]),
        limit=LARGE,
        unit="x",
        wall_seconds=median([one.wall for one in own]),
        plain_seconds=median([one.wall for one in plain]),
        megabytes=sum(file.stat().st_size for file in large.rglob("*.yaml")) / 1e6,
    )
    program = (
        "import json, sys; from pathlib import Path\n"
        "from scripts.checks.validate import check_chart; from scripts.workspace import open_workspace\n"
        "objects = check_chart(open_workspace(Path(sys.argv[1]), chart=sys.argv[2])).objects\n"
        # Not `ru_maxrss`, which a process inherits from the one that started it.
        "line = next(line for line in open('/proc/self/status') if line.startswith('VmHWM:'))\n"
        "print(json.dumps([objects, int(line.split()[1])]))"
    )
    told = work.runner.run([sys.executable, "-c", program, str(root), str(large)], cwd=root, deadline=300)
    objects, kibibytes = json.loads(told.stdout)
    memory = figures.record("a large chart: memory of the check", kibibytes / 1024, limit=MEMORY, unit=" MB")
    assert objects >= (DEFINITIONS + OBJECTS) * 13
    assert speed.kept, figures.table()
    assert memory.kept, figures.table()
