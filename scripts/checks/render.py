"""Renders the whole matrix of a chart, and stores what comes of it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.chart.contents import INSTALLED_FIRST, identity
from scripts.chart.helm import Helm
from scripts.chart.manifests import Manifests, Parser
from scripts.checks.between import between
from scripts.checks.matrix import SCHEMA_VERSION, Cell, Plan, Spread, Values, renderable, spread
from scripts.core.errors import ChartError, ReleaseError, ValuesError
from scripts.core.files import writing
from scripts.core.interrupt import held
from scripts.core.owner import temporary
from scripts.core.parallel import workers
from scripts.core.paths import shown
from scripts.workspace import Workspace

# What a template says of values, and no template or text of it that cannot be read.
BY_TEMPLATE = re.compile(r"/templates/\S+:\d+: .* at <", re.DOTALL)
_ANOTHER = "give that chart of tests values (ci/NAME-values.yaml in it), or name another: test_chart in [tool.gati]"
NEEDS = "where it cannot do without values, give some: values in gati.toml, ci/NAME-values.yaml, --values in most tasks"


@dataclass(frozen=True)
class Render:
    """The chart rendered with one `values` (its name) for one Kubernetes version. Equal renders share `manifests`."""

    values: str
    kube_version: str
    manifests: Manifests
    way: str = ""

    @property
    def text(self) -> str:
        return self.manifests.text

    @property
    def file(self) -> str:
        """The name under which the text is stored."""
        return f"{self.manifests.sha256[:16]}.yaml"


@dataclass(frozen=True)
class Rendered:
    """The whole matrix. `refusals` are what the chart said where a further way stopped it, and `unreached` are
    templates of which no render has an object. `unknown` are hooks for which helm left objects out."""

    renders: tuple[Render, ...]
    refusals: tuple[tuple[str, Spread], ...] = ()
    unreached: tuple[str, ...] = ()
    unknown: tuple[tuple[str, Spread], ...] = ()

    def notes(self) -> tuple[str, ...]:
        told = [f"refused {where}: {message}" for message, where in self.refusals]
        for hook, where in self.unknown:
            told.append(f"helm leaves out each object with helm.sh/hook: {hook}, which it does not know ({where})")
        if self.unreached:
            told.append(f"no render has an object of {', '.join(self.unreached)}")
        return tuple(told)


def render(plan: Plan, work: Workspace) -> Rendered:
    """The whole matrix. Raises ChartError or ValuesError telling each refusal once, with the renders that it stops."""
    with workers(work.runner) as pool, submitted(plan, work.helm, pool) as futures:
        return gathered(plan, futures)


@contextlib.contextmanager
def submitted(
    plan: Plan, helm: Helm, pool: Executor, parser: Parser | None = None
) -> Iterator[Mapping[Cell, Future[Manifests]]]:
    """Every render of the matrix, under way in `pool` while the block lasts; `parser` may be that of other renders.

    A chart whose templates cannot look at the cluster is rendered once for all of its versions, and one that can is
    not for those that lie `between` two others with the same outcome. Values that obey their schema once do so for
    every version, so that it is not asked again: it takes a seventh of helm's time. Nor are the definitions in
    `crds/`, which values alone may switch off: half of the time where they are large.
    """
    parser = parser or Parser(plan.release)
    defines = any(map(INSTALLED_FIRST.match, plan.contents.files))
    first: dict[Values, tuple[Future[bool], Future[Manifests]]] = {}
    """Of each values set what was begun first: whether helm takes it, known before it is read, and what came of it."""
    with renderable(plan.chart, plan.through) as chart:

        def one(cell: Cell, taken: Future[bool], whole: Future[Manifests] | None) -> Manifests:
            again = whole is not None and taken.result()
            leaves = again and defines
            took, unknown = False, list[str]()
            try:
                text = helm.template(
                    chart,
                    release=plan.release,
                    namespace=plan.release,
                    values=cell.values.files,
                    flags=["--is-upgrade"] * plan.upgrade + ["--skip-schema-validation"] * again,
                    kube_version=cell.kube_version,
                    api_versions=plan.apis(cell),
                    definitions=not leaves,
                    left_out=unknown.append,
                )
                took = True
            except (ChartError, ValuesError) as error:
                if plan.through is None:
                    raise
                raise type(error)(str(error).replace(str(chart), shown(plan.chart.path))) from error
            finally:
                if whole is None:
                    taken.set_result(took)
            found = parser.read(text, unknown)
            return whole.result().leading(INSTALLED_FIRST).followed_by(found) if whole and leaves else found

        def inner(cell: Cell, older: Future[Manifests], newer: Future[Manifests]) -> Manifests:
            with contextlib.suppress(ChartError, ValuesError):
                if older.result().text == newer.result().text:
                    return older.result()
            return one(cell, *first[cell.values])

        under_way: dict[Cell, Future[Manifests]] = {}
        alike: dict[object, Future[Manifests]] = {}
        middle = between(plan)
        for cell in plan.cells():
            if cell in middle:
                continue
            key = cell if plan.contents.asks_for_version else cell.values
            if key not in alike:
                taken, whole = first.get(cell.values, (Future[bool](), None))
                alike[key] = pool.submit(one, cell, taken, whole)
                first.setdefault(cell.values, (taken, alike[key]))
            under_way[cell] = alike[key]
        for cell, (older, newer) in middle.items():  # last, so that the two that they wait for are begun before them
            under_way[cell] = pool.submit(inner, cell, under_way[older], under_way[newer])
        yield {cell: under_way[cell] for cell in plan.cells()}


def gathered(plan: Plan, futures: Mapping[Cell, Future[Manifests]]) -> Rendered:
    """What comes of `futures`, by values and then by version. Raises as `render` does."""
    renders: list[Render] = []
    hint: str | None = None
    refusals: dict[tuple[bool, str], tuple[ReleaseError, list[tuple[str, str]]]] = {}
    for cell in sorted(futures, key=lambda cell: (plan.values.index(cell.values), ("", *plan.ways).index(cell.way))):
        try:
            renders.append(Render(cell.name, cell.kube_version, futures[cell].result(), cell.way))
        except (ChartError, ValuesError) as error:
            bare = not cell.values.files
            borne = bool(cell.way) or (bare and plan.given)
            if bare and not cell.way and (isinstance(error, ValuesError) or BY_TEMPLATE.search(error.message)):
                hint = _ANOTHER if plan.through else NEEDS
            refusals.setdefault((borne, str(error)), (error, []))[1].append((cell.name, cell.kube_version))
    unknown: dict[str, dict[tuple[str, str], None]] = {}
    for one in renders:
        for hook in one.manifests.unknown:
            unknown.setdefault(hook, {})[one.values, one.kube_version] = None
    stopping = [(error, cells) for (borne, _), (error, cells) in refusals.items() if not borne]
    if stopping:
        told = [f"{error}\n  with:     {spread(cells)}" for error, cells in stopping]
        raise type(stopping[0][0])("\n".join(told), run=hint)
    return Rendered(
        tuple(renders),
        tuple((error.message, spread(cells)) for error, cells in refusals.values()),
        _unreached(plan, renders),
        tuple((hook, spread(cells)) for hook, cells in unknown.items()),
    )


def _unreached(plan: Plan, renders: Sequence[Render]) -> tuple[str, ...]:
    """The templates without an object in any render; a chart of which that holds for all is named as a whole."""
    seen = {document.source for one in renders for document in one.manifests}
    missed = [name for name in plan.contents.expected() if name not in seen]
    charts: dict[str, list[str]] = {}
    for name in missed:
        charts.setdefault(name.partition("/templates/")[0], []).append(name)
    alive = {name.partition("/templates/")[0] for name in seen}
    told: list[str] = []
    for chart, names in charts.items():
        told += names if chart in alive or "/charts/" not in chart else [f"{chart} (the whole dependency)"]
    return tuple(name.partition("/")[2] for name in told)


def make_index(plan: Plan, rendered: Rendered) -> dict[str, Any]:
    """Which file holds which render, as JSON: `dist/<chart>.manifests/index.json` and `--json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "chart": identity(plan.subject),
        "release": plan.release,
        "kube_versions": plan.kube_versions,
        "values": [values.name for values in plan.values],
        "renders": [
            {
                "values": one.values,
                "kube_version": one.kube_version,
                "file": one.file,
                "sha256": one.manifests.sha256,
                "objects": len(one.manifests),
            }
            for one in rendered.renders
        ],
        "refused": [{"message": message, "with": where.records()} for message, where in rendered.refusals],
        "unreached": rendered.unreached,
    }


def store(plan: Plan, rendered: Rendered, folder: Path) -> Path:
    """Replace `folder` as a whole: a file a distinct render, named by content, and `index.json`. Raises OutputError."""
    dist, index = folder.parent, make_index(plan, rendered)
    with writing(f"{shown(folder)} cannot be written", shown(dist)):
        dist.mkdir(parents=True, exist_ok=True)
        with temporary("manifests", dist) as scratch:
            fresh, old = scratch / "new", scratch / "old"
            fresh.mkdir()
            for name, text in {one.file: one.text for one in rendered.renders}.items():
                (fresh / name).write_text(text, encoding="utf-8")
            (fresh / "index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
            with held():
                if folder.exists():
                    folder.rename(old)
                fresh.rename(folder)
    return folder
