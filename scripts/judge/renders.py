"""Renders two versions of a chart with the values that installations of the old one have."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.chart.dependencies import provide_dependencies
from scripts.chart.helm import Helm
from scripts.chart.manifests import Identity, Manifests, Parser
from scripts.chart.source import TESTS, Chart, read_yaml
from scripts.checks.kubeconform import Tolerance
from scripts.checks.matrix import Plan, Values, make_plan, spread
from scripts.checks.render import NEEDS, submitted
from scripts.checks.schemas import Kind, Schemas, schemas_of
from scripts.core.errors import ChartError, ReleaseError, ValuesError
from scripts.core.files import copied
from scripts.core.owner import temporary
from scripts.core.parallel import workers
from scripts.core.paths import key_text, shown
from scripts.core.semver import minor
from scripts.judge.noise import DrawnName, Noise, drawn_fields, drawn_names, steady
from scripts.judge.objects import Scene, judge_objects
from scripts.judge.reason import Reason
from scripts.judge.values import Path as Key
from scripts.judge.values import flat, nested
from scripts.judge.verdict import Cell
from scripts.workspace import Workspace

Place = tuple[str, str]
"""What a values set is called, and a Kubernetes minor."""


@dataclass(frozen=True)
class Rendered:
    """Both versions rendered. `dropped` are reasons for settings that the new one takes and does nothing with.

    `own` are the cells of each version with its own values files. `namespace` is the release's.
    """

    cells: tuple[Cell, ...]
    own: tuple[Cell, ...]
    drawn: Noise
    dropped: tuple[Reason, ...]
    namespace: str


_SEVERAL = re.compile(r": \d+ things are wrong$")


class _Renders:
    """Renders plans in one pool of threads, with files of values in one folder."""

    def __init__(
        self, helm: Helm, pool: Executor, scratch: Path, stack: contextlib.ExitStack, charts: tuple[Path, ...]
    ) -> None:
        self._helm, self._pool, self._scratch, self._stack = helm, pool, scratch, stack
        self._places = [str(place) for path in charts for place in (path, shown(path))]
        self._numbers = itertools.count(1)
        self._parser = functools.cache(Parser)  # both charts render most of their objects alike, and several times
        self._revised: dict[Path, Path] = {}
        self._actions: dict[Path, bytes] = {}

    def why(self, error: ReleaseError) -> str:
        """What a chart is refused for, by the names of its own files: the same on every machine."""
        text = error.found.replace("\n", "; ") if error.found and _SEVERAL.search(error.message) else error.message
        text = re.sub(rf"{re.escape(str(self._scratch))}/values-\d+\.json(:\d+)*: ", "", text)
        for place in sorted(self._places, key=len, reverse=True):
            text = text.replace(f"{place}/", "").replace(place, "the chart") if place != "." else text
        return text

    def of(self, plan: Plan) -> dict[Place, Future[Manifests]]:
        """Every render of a plan, under way."""
        asked = submitted(plan, self._helm, self._pool, self._parser(plan.release))
        futures = self._stack.enter_context(asked)
        return {(cell.name, minor(cell.kube_version)): future for cell, future in futures.items()}

    def newest(self, plan: Plan, columns: Iterable[Values]) -> dict[str, Future[Manifests]]:
        """A plan's chart with these values sets, by name, for the newest of its Kubernetes versions."""
        part = replace(plan, values=tuple(columns), kube_versions=plan.kube_versions[-1:], ways=())
        return {name: future for (name, _), future in self.of(part).items()}

    def within(self, pool: Executor) -> _Renders:
        """The same in another pool: what waits there for its own renders would stand in their way in this one."""
        other = copy.copy(self)
        other._pool = pool
        return other

    def does(self, plan: Plan, what: re.Pattern[bytes]) -> bool:
        """Whether a template of a chart, or of the charts in it, does this, or a value, which may be a template."""
        chart = plan.chart.path
        if chart not in self._actions:
            given = [file.read_bytes() for values in plan.values for file in values.files]
            texts = (*plan.contents.files.values(), *given)
            self._actions[chart] = b"\n".join(action for text in texts for action in _ACTION.findall(text))
        return what.search(self._actions[chart]) is not None

    def again(self, plan: Plan) -> Plan:
        """The same for the release's next revision, after which a chart may name objects: to helm it is the first."""
        chart = plan.chart.path
        if chart not in self._revised and self.does(plan, _REVISION):
            self._revised[chart] = copied(chart, self._scratch / f"revised-{len(self._revised)}")
            for file in self._revised[chart].rglob("*"):
                if file.is_file() and _REVISION.search(text := file.read_bytes()):
                    file.write_bytes(_REVISION.sub(b"2", text))
        return replace(plan, chart=replace(plan.chart, path=self._revised.get(chart, chart)))

    def file(self, values: Any) -> Path:
        """A values file that says this."""
        file = self._scratch / f"values-{next(self._numbers)}.json"
        file.write_text(json.dumps(values))
        return file


def render_both(
    work: Workspace,
    old: Chart,
    new: Chart,
    *,
    values: Iterable[Path] = (),
    kube_versions: Iterable[str] = (),
    told: str = "the earlier chart",
    wholly: bool = True,
) -> Rendered:
    """Every values set of `old`, and every further file of `values`, rendered with both charts.

    A file that both have and that differs is rendered as each has it, too, for the newest Kubernetes; but for those of
    tests, with which nobody installs.
    `kube_versions` are the only minors to render for (none: all that both charts admit). Without `wholly` each chart is
    rendered with its own files alone: no switches turned on, no search for settings without an effect.

    Raises ConfigError, and ChartError and ValuesError where a chart cannot be rendered with its own values, with
    `told` before what is wrong with the old.
    """
    further, schemas = tuple(values), schemas_of(work)

    def plan(chart: Chart, minors: Iterable[str] = ()) -> Plan:
        provide_dependencies(chart, work.helm, work.say)
        known, config = schemas.minors(), work.config
        return make_plan(chart, known, values=further, kube_versions=minors, clusters=schemas, config=config)

    after = plan(new, kube_versions)
    try:
        before = plan(old)
    except (ChartError, ValuesError) as error:
        raise _of(told, error) from error
    before, after = _common(before, after)
    changed = _changed(before, after)
    after = replace(after, values=before.values)
    with (
        temporary("judge") as scratch,
        contextlib.ExitStack() as stack,
        workers(work.runner) as pool,
        workers(work.runner, threads=2) as aside,  # for one that waits, and what it waits for
    ):
        renders = _Renders(work.helm, pool, scratch, stack, (before.chart.path, after.chart.path))
        draws = bool(before.kube_versions) and all(renders.does(plan, _DRAWING) for plan in (before, after))
        again = [renders.again(before)] if wholly and draws else []
        olds = renders.of(before)
        if wholly:
            switched = aside.submit(_switched, before, after, again, renders.within(aside))  # which takes the longest
            newest = after.kube_versions[-1:]
            given = tuple(one for one in changed.values() if not one.name.startswith(TESTS))
            further_plan = replace(after, values=given, kube_versions=newest, ways=())
            news = {**renders.of(after), **renders.of(further_plan)}
            beside = _beside(before, after, again, olds, news, renders)  # before anybody waits
        else:
            after = replace(after, values=tuple(changed.get(column.name, column) for column in before.values))
            news = renders.of(after)
        cells = _cells(before, after, olds, news, told, renders)
        drawn, names = _drawn(before, after, olds, news, renders) if draws else (Noise(), set[DrawnName]())
        cells = _steadied(cells, names)
        newer = {_plain(cell.values) for cell in cells if _NOW in cell.values}  # rendered with what each has of these
        both = (cell for cell in cells if _NOW in cell.values or cell.values not in newer)
        own = tuple(replace(cell, values=_plain(cell.values)) for cell in both)
        dropped: tuple[Reason, ...] = ()
        if wholly:
            dropped = tuple(_dropped(before, after, cells, drawn, renders))
            further_cells, further_drawn, more = _further(before, (*beside, *switched.result()), renders)
            cells += _steadied(further_cells, names | more)
            drawn = drawn.and_drawn(further_drawn)
            dropped += tuple(_unserved(cells, schemas, after.tolerance))
    return Rendered(cells, own, drawn, dropped, before.release)


def _of(told: str, error: ReleaseError, *, hint: bool = False) -> ReleaseError:
    return type(error)(f"{told} cannot be rendered: {error}", run=NEEDS if hint else None, code=error.code)


def _common(before: Plan, after: Plan) -> tuple[Plan, Plan]:
    """Both plans for the Kubernetes minors and the ways that either has, for one and the same release."""
    both = {minor(version) for version in before.kube_versions} & {minor(version) for version in after.kube_versions}
    ways = tuple(dict.fromkeys((*before.ways, *after.ways)))
    plans = [
        replace(plan, kube_versions=tuple(one for one in plan.kube_versions if minor(one) in both), ways=ways)
        for plan in (before, after)
    ]
    return plans[0], replace(plans[1], release=before.release)


def _changed(before: Plan, after: Plan) -> dict[str, Values]:
    """The new chart's own values sets that differ from the old one's, by their name."""
    own = {column.name: column for column in after.values}
    found = {}
    for column in before.values:
        other = own.get(column.name)
        content = [file.read_bytes() for file in column.files]
        if other is not None and [file.read_bytes() for file in other.files] != content:
            found[column.name] = Values(f"{column.name}{_NOW}", other.files)
    return found


_NOW = " as it is now"


def _plain(name: str) -> str:
    return name.replace(_NOW, "")


def _cells(
    before: Plan,
    after: Plan,
    olds: Mapping[Place, Future[Manifests]],
    news: Mapping[Place, Future[Manifests]],
    told: str,
    renders: _Renders,
) -> tuple[Cell, ...]:
    plain = {column.name for column in before.values}  # with the clusters' operators there
    bare = {column.name for column in before.values if before.given and not column.files}
    cells = []
    for (name, version), future in news.items():
        try:
            old = olds[_plain(name), version].result()
        except (ChartError, ValuesError) as error:
            if _plain(name) in plain - bare:
                raise _of(told, error, hint=True) from error
            continue  # it is refused where the cluster, or a chart without the values that were given, lacks something
        try:
            cells.append(Cell(name, version, old, future.result()))
        except (ChartError, ValuesError) as error:
            default = name in ("values.yaml", "no values file") and name not in bare
            if _NOW in name or (default and not isinstance(error, ValuesError)):
                raise  # the chart is broken, and that is no verdict
            cells.append(Cell(name, version, old, None, renders.why(error)))
    return tuple(cells)


def _drawn(
    before: Plan,
    after: Plan,
    olds: Mapping[Place, Future[Manifests]],
    news: Mapping[Place, Future[Manifests]],
    renders: _Renders,
) -> tuple[Noise, set[DrawnName]]:
    """The fields that differ from render to render on both sides, such as generated passwords; and such names."""
    sides: list[dict[Identity, frozenset[str]]] = []
    names: list[set[DrawnName]] = []
    for plan, futures in ((before, olds), (after, news)):
        if sides and not (sides[0] or names[0]):
            break
        pairs = []
        ends = {minor(one): one for one in (plan.kube_versions[0], plan.kube_versions[-1])}
        other = renders.again(plan)
        again = {end: renders.newest(replace(other, kube_versions=(one,)), plan.values) for end, one in ends.items()}
        for name, end in itertools.product([column.name for column in plan.values], ends):
            with contextlib.suppress(ChartError, ValuesError):
                pairs.append((futures[name, end].result(), again[end][name].result()))
        sides.append(drawn_fields(pairs))
        names.append(drawn_names(pairs))
    if len(sides) == 1:
        return Noise(), set()
    common = sides[0].keys() & sides[1].keys()
    drawn = {identity: sides[0][identity] & sides[1][identity] for identity in common}
    return Noise(drawn=drawn), names[0] & names[1]


def _steadied(cells: Iterable[Cell], names: set[DrawnName]) -> tuple[Cell, ...]:
    """The cells with names that do not differ by what is drawn alone."""
    if not names:
        return tuple(cells)
    return tuple(replace(cell, old=steady(cell.old, names), new=cell.new and steady(cell.new, names)) for cell in cells)


# What gives something else at each call, in templates or in values that are templates.
_DRAWING = re.compile(
    rb"\brand[A-Z]|\bgen(?:CA|SelfSigned|Signed|PrivateKey)|uuidv4|\b(?:now|ago|htpasswd|bcrypt|encryptAES|shuffle)\b"
    rb"|\.Release\.Revision\b"
    rb"|^(?!.*\b(?:has|len|sortAlpha)\b).*[(|]-?\s*(?:keys|values)\s",
    re.MULTILINE,
)

_ACTION = re.compile(rb"\{\{.*?\}\}", re.DOTALL)  # of a template, wherever it stands: values may be one
_REVISION = re.compile(rb"\$?[\w.]*\.Release\.Revision\b")
_ASKING = re.compile(rb"\.Release\.Is(Install|Upgrade)\b")


# -- what values.yaml leaves off ------------------------------------------------------------------

_COPY = "a copy of values.yaml"
_SWITCHES = frozenset({"enabled", "enable", "create", "install", "deploy"})
_OTHER = "another"  # the name of a release, and of its namespace
_NAMED = 3  # switches that are told by name
_TRIES = 12  # renders to find out which switches go together


@dataclass(frozen=True)
class _Pair:
    """What both charts render for something beside their values sets; `again` is the old one's where it draws."""

    name: str
    old: Future[Manifests]
    new: Future[Manifests]
    again: Sequence[Future[Manifests]] = ()
    release: str = ""


_DEFAULTS = Values("values.yaml")


def _beside(
    before: Plan,
    after: Plan,
    again: Sequence[Plan],
    olds: Mapping[Place, Future[Manifests]],
    news: Mapping[Place, Future[Manifests]],
    renders: _Renders,
) -> list[_Pair]:
    """The new chart with the whole of the old values.yaml as a values file, as many keep a copy of it; and both with
    their defaults as a release of another name, and as an upgrade, where either asks for that: to one that does not,
    it is an installation."""
    own = before.chart.path / "values.yaml"
    if not before.kube_versions or not own.is_file():
        return []
    place = _DEFAULTS.name, minor(before.kube_versions[-1])
    asking = [renders.does(plan, _ASKING) for plan in (before, after)]

    def one(plan: Plan, column: Values = _DEFAULTS, **changes: Any) -> Future[Manifests]:
        return renders.newest(replace(plan, **changes), [column])[column.name]

    pairs = []
    if place in olds:
        whole = Values(_COPY, (own,))
        # A null in it, which takes away what is below, is no null in a chart's own values.yaml.
        nulls = None in flat(read_yaml(own, ValuesError)).values()
        old = one(before, whole) if nulls else olds[place]
        pairs.append(_Pair(_COPY, old, one(after, whole), [one(plan, whole) for plan in again]))
    old, new, *more = (one(plan, release=_OTHER) for plan in (before, after, *again))
    pairs.append(_Pair(f"release {_OTHER}", old, new, more, _OTHER))
    if any(asking):
        old, new = (
            futures[place] if place in futures and not asks else one(plan, upgrade=True)
            for plan, futures, asks in zip((before, after), (olds, news), asking, strict=True)
        )
        pairs.append(_Pair("an upgrade", old, new, [one(plan, upgrade=True) for plan in again]))
    return pairs


def _further(
    before: Plan, pairs: Iterable[_Pair], renders: _Renders
) -> tuple[list[Cell], dict[Identity, frozenset[str]], set[DrawnName]]:
    """The cells of all of these, and the fields and names that the old chart draws in them."""
    newest = minor(before.kube_versions[-1]) if before.kube_versions else ""
    found, drawn = [], []
    for pair in pairs:
        with contextlib.suppress(ChartError, ValuesError):  # one name alone, or what only a cluster has
            old, new, refusal = pair.old.result(), None, ""
            try:
                new = pair.new.result()
            except (ChartError, ValuesError) as error:
                refusal = renders.why(error)
            found.append(Cell(pair.name, newest, old, new, refusal, pair.release, further=True))
            drawn += [(old, one.result()) for one in pair.again]
    return found, drawn_fields(drawn), drawn_names(drawn)


def _switched(before: Plan, after: Plan, again: Sequence[Plan], renders: _Renders) -> list[_Pair]:
    """Both charts with every switch of the old one's values.yaml turned on, in as few groups as that takes.

    What a refusal speaks of is left out, where it names that; else the group is halved.
    """
    own = before.chart.path / "values.yaml"
    if not before.kube_versions or not own.is_file():
        return []
    values = flat(read_yaml(own, ValuesError)).items()
    off = tuple(key for key, value in values if value is False and key[-1] in _SWITCHES)
    waiting, pairs = [off] if off else [], []
    for _ in range(_TRIES):
        if not waiting:
            break
        group = waiting.pop(0)
        more = f" and {len(group) - _NAMED} more" if len(group) > _NAMED else ""
        name = f"{', '.join(map(key_text, group[:_NAMED]))}{more} on"
        column = Values(name, (renders.file(nested(dict.fromkeys(group, True))),))
        old = renders.newest(before, [column])[name]
        try:
            old.result()
        except (ChartError, ValuesError) as error:
            named = tuple(key for key in group if f"{key_text(key[:-1])}." in str(error) or key_text(key) in str(error))
            rest = tuple(key for key in group if key not in named)
            if named and rest:
                waiting.append(rest)
            elif half := len(group) // 2:
                waiting += [group[:half], group[half:]]
        else:
            new, *drawn = (renders.newest(plan, [column])[name] for plan in (after, *again))
            pairs.append(_Pair(name, old, new, drawn))
    return pairs


# -- what the cluster does not serve --------------------------------------------------------------


def _unserved(cells: Sequence[Cell], schemas: Schemas, tolerance: Tolerance) -> Iterator[Reason]:
    """Objects whose API no Kubernetes of their cell serves, where it serves all of the old version's."""

    @functools.cache
    def lacks(minor: str, kind: Kind) -> bool:
        borne = kind.api_version in tolerance.unproven or str(kind) in tolerance.kinds
        return not borne and schemas.owned_by_kubernetes(kind.group) and not schemas.knows(minor, kind)

    found: dict[tuple[str, str], list[Place]] = {}
    for cell in cells:
        old, new = (
            (one for one in side if lacks(cell.minor, Kind(one.api_version, one.kind)))
            for side in (cell.old, cell.new or ())
        )
        fresh = {(str(one.identity), one.api_version) for one in new}
        for each in sorted(fresh) if fresh and next(old, None) is None else ():
            found.setdefault(each, []).append((cell.values, cell.minor))
    for (about, api_version), where in found.items():
        told = "" if len(where) == len(cells) else str(spread(where))
        meaning = "Kubernetes does not serve this API: the installation, or the upgrade, fails"
        yield Reason("major", f"{about} apiVersion", None, api_version, meaning, told)


# -- settings without an effect -------------------------------------------------------------------


def _dropped(before: Plan, after: Plan, cells: Sequence[Cell], drawn: Noise, renders: _Renders) -> Iterator[Reason]:
    """Settings of a values file that changed what the old chart rendered, and do not change what the new one does.

    Asked only of a file with which the two versions differ in another way than they do without it, and of keys that
    values.yaml no longer has.
    """
    if not before.kube_versions:
        return
    newest = minor(before.kube_versions[-1])
    here = {cell.values: cell for cell in cells if cell.minor == newest and cell.new is not None}
    plain = next((here[column.name] for column in before.values if not column.files and column.name in here), None)
    usual = _told(plain, before.release, drawn) if plain else set()
    defaults = _defaults(after)
    if plain is not None and plain.new is not None:
        yield from _overruled(before, after, plain.old, plain.new, defaults, renders)
    for column in before.values:
        cell = here.get(column.name)
        if cell is None or cell.new is None or len(column.files) != 1:
            continue
        if not (suspected := _told(cell, before.release, drawn) - usual):
            continue
        values = read_yaml(column.files[0], ValuesError)
        reduced = {
            key: _without(values, key)
            for key, leaf in flat(values).items()
            if defaults.get(key) != leaf and _suspect(leaf, suspected)
        }
        for key in _idle((before, cell.old), (after, cell.new), reduced, renders):
            meaning = f"{column.name} sets it: it had an effect, and has none any more"
            # To what is not told: the file may be an installation's own, with passwords in it.
            yield Reason("major", f"values {key_text(key)}", None, None, meaning)


def _overruled(
    before: Plan, after: Plan, was: Manifests, now: Manifests, defaults: Mapping[Key, Any], renders: _Renders
) -> Iterator[Reason]:
    """Keys that left values.yaml and that a template names still, after one that has a default and so always wins."""
    gone = {
        key: value
        for key, value in _defaults(before).items()
        if key not in defaults
        and isinstance(value, str | int | float)
        and renders.does(after, re.compile(rb"\b%s\b" % re.escape(key[-1]).encode()))
    }
    trees = {key: nested({key: _another(value)}) for key, value in gone.items()}
    for key in _idle((before, was), (after, now), trees, renders):
        meaning = "a values file that sets it has no effect any more"
        yield Reason("major", f"values {key_text(key)}", gone[key], None, meaning)


def _defaults(plan: Plan) -> dict[Key, Any]:
    file = plan.chart.path / "values.yaml"
    return flat(read_yaml(file, ValuesError)) if file.is_file() else {}


def _another(value: str | float) -> str | float:
    """A value of the same type."""
    if isinstance(value, bool):
        return not value
    return f"{value}x" if isinstance(value, str) else value + 1


def _suspect(leaf: Any, reasons: Iterable[Reason]) -> bool:
    """Whether a setting may have had to do with what is no longer rendered as it was."""
    if isinstance(leaf, bool):
        return any(reason.new is None for reason in reasons)
    words = [str(word) for word in flat({"": leaf}).values()] if isinstance(leaf, Mapping) else [str(leaf)]
    if isinstance(leaf, list):
        words = re.findall(r"[\w./:-]{2,}", json.dumps(leaf, default=str))
    for reason in reasons:
        old, new = (json.dumps(side, default=str) for side in (reason.old, reason.new))
        for word in filter(None, words):
            whole = re.compile(rf"(?<![\w.]){re.escape(word)}(?![\w.])")
            if whole.search(old) and not whole.search(new):
                return True
    return False


def _told(cell: Cell, namespace: str, drawn: Noise) -> set[Reason]:
    return set(judge_objects(cell.old, cell.new, Scene(namespace, drawn))) if cell.new is not None else set()


def _without(values: Mapping[str, Any], path: Key) -> dict[str, Any]:
    """`values` without one setting."""
    tree = copy.deepcopy(dict(values))
    node = tree
    for key in path[:-1]:
        node = node[key]
    del node[path[-1]]
    return tree


def _idle(
    old: tuple[Plan, Manifests], new: tuple[Plan, Manifests], trees: Mapping[Key, Any], renders: _Renders
) -> list[Key]:
    """The keys of `trees` whose values change what the old chart renders, and nothing of what the new one does."""
    idle = _alike(*new, trees, renders)
    return sorted(idle - _alike(*old, {key: trees[key] for key in idle}, renders))


def _alike(plan: Plan, rendered: Manifests, trees: Mapping[Key, Any], renders: _Renders) -> set[Key]:
    """The keys of `trees` whose values give what is `rendered` already, on the newest Kubernetes."""
    columns = {key: Values(str(number), (renders.file(tree),)) for number, (key, tree) in enumerate(trees.items())}
    futures = renders.newest(plan, columns.values())
    found = set()
    for key, column in columns.items():
        with contextlib.suppress(ChartError, ValuesError):  # what cannot be left out has an effect
            if [one.data for one in futures[column.name].result()] == [one.data for one in rendered]:
                found.add(key)
    return found
