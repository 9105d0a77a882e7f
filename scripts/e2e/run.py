"""Runs the smoke test: publishes what is tested, makes the cluster, runs the scenarios, writes the report."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from scripts.chart.archive import read_members, unpack
from scripts.chart.helm import Helm
from scripts.chart.source import read_chart
from scripts.cluster.api import Api, connect
from scripts.cluster.kind import PREFIX, KindCluster, cluster, demand_reachable_nodes
from scripts.cluster.transport import Login
from scripts.containers import leftovers
from scripts.containers.images import SERVICES, VERSIONS, build_services, reference
from scripts.core.config import Config
from scripts.core.errors import ChartError, ConfigError, FindingsError, RegistryError, ReleaseError
from scripts.core.files import sha256, write_atomic
from scripts.core.git import find_repository
from scripts.core.interrupt import interruptible, put_right, stopped
from scripts.core.owner import owned
from scripts.core.parallel import workers
from scripts.core.paths import shown
from scripts.core.progress import Say, silent
from scripts.core.semver import is_semver, parse
from scripts.core.waiting import locked
from scripts.e2e.control import Control, control
from scripts.e2e.lab import CONTROL, RATE, VALUES, Lab, Published, Tools
from scripts.e2e.ledger import LATENCY, STRAINED, measure, stall, windows
from scripts.e2e.preflight import preflight
from scripts.e2e.report import FAILED, PASSED, STOPPED, VOID, Broken, Journal, LoadFailed, Outcome, Report, Unproven
from scripts.e2e.sabotage import NEGATIVE_CONTROL, Fault, sabotage
from scripts.e2e.scenarios import SCENARIOS
from scripts.registry.client import connect as ask_registry
from scripts.registry.embedded import embedded, registry_in_use
from scripts.registry.reference import Registry
from scripts.release.package import package
from scripts.release.publish import publish, push
from scripts.release.tested import REPORT
from scripts.rollout.rollout import RolloutFailed
from scripts.workspace import Workspace

FROZEN = Path("tests/render/published")  # the first published archive, which every candidate is upgraded from
_JUNIT = "junit.xml"
_LANES = 2  # scenarios at a time: they wait more than they work, but most have a load on
_ATTEMPTS = 3  # at a scenario, while the machine is in the way
# Causes of a rollout's failure that have nothing to do with time.
_REFUSALS = frozenset(
    {"admission", "missing-kind", "quota", "ownership", "conflict", "image-pull", "config", "mount", "unschedulable"}
)
_BEFORE_STEP = 5.0  # seconds before a step in which the machine can be the reason for its failure
_FIRST = "dry-run"  # alone and before the others: what the API server refuses need not be waited for
# The longest first, so that none is left alone at the end.
_ORDER = (
    *("environments", "install", "upgrade", "changes", "failed-upgrade", "disruption"),
    *("rollback", "selfcheck", "uninstall"),
)


@dataclass(frozen=True)
class Options:
    """What to run. `sources` are `last:N` or versions; `context` names a cluster that exists, "" makes one.

    `images` is the prefix of the services' images; "" has them built and loaded into our own cluster.
    `latency` is how many times slower than before requests may become. `cluster_objects` lets a chart put objects
    outside of namespaces on a cluster that is not ours.
    """

    scenarios: tuple[str, ...] = tuple(SCENARIOS)
    sources: str = "last:1"
    keep: bool = False
    context: str = ""
    images: str = ""
    latency: float = LATENCY
    cluster_objects: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.scenarios if name not in SCENARIOS]
        if unknown or not self.scenarios:
            raise ConfigError(f"there is no scenario {', '.join(unknown) or 'at all'}", expected=", ".join(SCENARIOS))
        if self.keep and self.context:
            raise ConfigError("--keep-cluster and --kube-context exclude each other: that cluster is not ours")
        if not 1 <= self.latency < math.inf:
            raise ConfigError(f"--latency {self.latency:g} is no limit", expected="how many times slower, from 1")
        _how_many(self.sources)


def read_latency(text: str) -> float:
    """The limit that a flag gives, the default for "". Raises ConfigError."""
    try:
        return float(text) if text else LATENCY
    except ValueError:
        raise ConfigError(f"--latency {text} is no number", expected="how many times slower, from 1") from None


def plan(config: Config, options: Options) -> list[str]:
    """What a run would do, line by line; nothing is changed, built or asked. Raises ChartError, ConfigError."""
    chart = read_chart(config.chart)
    where = (
        f"on the cluster of the context {options.context}, in new namespaces {PREFIX}*; no node is closed, nothing "
        "outside of these namespaces is changed, and they are removed at the end"
        if options.context
        else "on a kind cluster of our own" + (", kept for the next run" if options.keep else ", removed at the end")
    )
    prefix = options.images or config.own_images
    lines = [
        f"package {chart.name} {chart.version}, publish it to a registry on loopback, install it by digest",
        where,
        f"images: {', '.join(f'{prefix}/{service}:{version}' for service in SERVICES for version in VERSIONS)}",
        f"upgrades from: the first published version and {options.sources}",
    ]
    for name in options.scenarios:
        first = (SCENARIOS[name].__doc__ or "").strip().splitlines()[0]
        lines.append(f"{name}: {first}")
    return [*lines, f"results: {config.dist / 'e2e'}/report.json, junit.xml and a folder for each scenario"]


def run(work: Workspace, options: Options) -> Report:
    """Run the scenarios and write the report to `dist/e2e`, of what was done until Ctrl-C too.

    A scenario that fails is in the report. Raises ReleaseError where the run cannot begin: a version that cannot be
    had, no engine, no cluster.
    """
    begin, runner, toolchain = time.monotonic(), work.runner, work.tools
    folder = work.config.dist / "e2e"
    with interruptible(), contextlib.ExitStack() as stack:
        stack.enter_context(_alone(folder))
        if options.context:
            leftovers.remove(work)  # a cluster of our own does it itself
        else:
            demand_reachable_nodes()
        for name in (*options.scenarios, "values"):  # what an earlier run left
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (REPORT.name, _JUNIT):
            (folder / name).unlink(missing_ok=True)
        workplace = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=owned("e2e"))))
        charts = stack.enter_context(_published(work, options, workplace))
        own = None if options.context else stack.enter_context(_cluster(work, options))
        login = Login(kubeconfig=own.kubeconfig) if own else Login(context=options.context)

        def connected() -> contextlib.AbstractContextManager[Api]:
            return connect(login, kubectl=toolchain.path("kubectl"), runner=runner)

        lab = Lab(
            api=stack.enter_context(connected()),
            runner=runner,
            tools=Tools(*(toolchain.path(name) for name in ("helm", "kubectl", "k6"))),
            folder=folder,
            candidate=charts.candidate,
            sources=charts.sources,
            sabotaged=charts.sabotaged,
            images=options.images or work.config.own_images,
            latency=options.latency,
            own=own is not None,
            login=login,
        )
        if own and own.reused:
            lab.sweep()
        about, toolkit = _about(lab, own, options), _toolkit(work)
        outcomes = {name: Outcome(name, STOPPED, 0.0, (), error="it did not begin") for name in options.scenarios}
        seen: dict[str, object] = {"there": False}
        with put_right(lambda: _clean(lab, own, options, connected), work.say):
            try:
                if own is None:
                    preflight(lab, cluster_objects=options.cluster_objects)
                with controlled(lab, work.say, seen) as lab.control:
                    _go(lab, outcomes, work.say)
            finally:
                report = Report(
                    candidate=charts.candidate.facts,
                    sources=tuple(source.facts for source in charts.sources),
                    cluster=about,
                    seconds=time.monotonic() - begin,
                    outcomes=tuple(outcomes[name] for name in SCENARIOS if name in outcomes),
                    control=seen,
                    toolkit=toolkit,
                    left_out=tuple(name for name in SCENARIOS if name not in outcomes),
                )
                write_atomic(work.config.dist / REPORT, json.dumps(report.to_dict(), indent=1) + "\n")
                write_atomic(folder / _JUNIT, report.junit())
    return report


def _alone(folder: Path) -> contextlib.AbstractContextManager[None]:
    """The folder of results, for this run alone. Raises ConfigError saying who has it."""
    elsewhere = "wait for it to end, or let this one write elsewhere: GATI_DIST=/another/folder"
    what = f"the results in {shown(folder)}"
    return locked(folder / ".lock", what=what, deadline=0, error=ConfigError, run=elsewhere)


def demand_passed(report: Report) -> None:
    """Raises FindingsError naming the scenarios that failed, and apart from them those that prove nothing."""
    void = [outcome.scenario for outcome in report.failed if outcome.state == VOID]
    failed = [outcome.scenario for outcome in report.failed if outcome.state != VOID]
    if failed:
        raise FindingsError(
            f"{len(failed)} of {len(report.outcomes)} scenarios failed: {', '.join(failed)}"
            + (f"; the machine did not let measure: {', '.join(void)}" if void else ""),
            run="look into dist/e2e: report.json, and a folder of evidence for each scenario",
        )
    if void:
        raise FindingsError(
            f"{len(void)} of {len(report.outcomes)} scenarios could not be measured in {_ATTEMPTS} attempts, for the "
            f"control lost as well: {', '.join(void)}",
            run="look at the load of this machine and at its nodes, and run them again: --scenario",
        )


def _go(lab: Lab, outcomes: dict[str, Outcome], say: Say) -> None:
    """Run the scenarios named in `outcomes` and put there how each went."""

    def one(name: str) -> None:
        def note(outcome: Outcome) -> None:
            outcomes[name] = outcome

        try:
            attempt(lab, name, say, note)
        finally:
            outcome = outcomes[name]
            say(outcome.line() + (f"\n{outcome.error}" if outcome.error else ""))

    if _FIRST in outcomes:
        one(_FIRST)
    with workers(lab.runner, _LANES) as pool:
        for done in as_completed([pool.submit(one, name) for name in _ORDER if name in outcomes]):
            done.result()


def attempt(lab: Lab, name: str, say: Say, note: Callable[[Outcome], None], *, attempts: int = _ATTEMPTS) -> None:
    """Run a scenario, and again while the control lost too, at most `attempts` times; `note` is told how it went."""
    void: list[Outcome] = []
    while True:
        number = len(void) + 1
        journal, begin, state, error = Journal(name, say, attempt=number), time.monotonic(), PASSED, ""
        own = lab.attempt(number)
        try:
            SCENARIOS[name](own, journal)
        except Unproven as failure:
            state, error = VOID, str(failure)
        except ReleaseError as failure:
            state, error = STOPPED if stopped() else FAILED, str(failure)
            if state == FAILED and not _certain(failure) and (lost := _lost(lab, journal)):
                state, error = VOID, f"{error}\nbut meanwhile {lost}"
        except KeyboardInterrupt:
            state, error = STOPPED, "it was stopped"
            raise
        except BaseException as failure:
            state, error = FAILED, f"{type(failure).__name__}: {failure}"
            raise
        finally:
            outcome = Outcome(
                scenario=name,
                state=state,
                seconds=time.monotonic() - begin,
                steps=tuple(journal.steps),
                ledgers=journal.ledgers,
                error=error,
                void=tuple(void),
                restarts=tuple(journal.restarts),
                skipped=tuple(journal.skipped),
            )
            lab.adopt(own)
            note(outcome)
        if state != VOID or number >= attempts:
            return
        say(f"{name}: void, and measured again ({number} of {attempts}): {error}")
        own.forget_all()
        void.append(replace(outcome, void=()))


def _certain(failure: ReleaseError) -> bool:
    """True for a failure that no noise of a machine brings about."""
    refused = isinstance(failure, RolloutFailed) and failure.cause.kind in _REFUSALS
    return refused or isinstance(failure, Broken | LoadFailed)


def _lost(lab: Lab, journal: Journal) -> str:
    """What the control lost during the step that failed; "" where it held."""
    if lab.control is None:
        return ""
    begin, end = max(journal.since - _BEFORE_STEP, lab.control.begin), time.time()
    found = windows(lab.control.between(begin, end), begin, end, rate=RATE, slow=STRAINED)
    return "; ".join(map(str, found))


@contextlib.contextmanager
def controlled(lab: Lab, say: Say, seen: dict[str, object]) -> Iterator[Control | None]:
    """The control of the run; `seen` receives how it fared."""
    begin = time.time()
    results = lab.folder / "control.requests.jsonl"
    with control(
        lab.api,
        lab.tools.k6,
        lab.runner,
        namespace=lab.name(CONTROL),
        nodes=lab.nodes(),
        image=f"{lab.images}/{SERVICES[0]}:{VERSIONS[0]}",
        number=int(lab.run, 16),
        results=results,
        rate=RATE,
        say=say,
    ) as running:
        try:
            yield running
        finally:
            if running is not None:
                seen |= _fared(running, begin)


def _fared(running: Control, begin: float) -> dict[str, object]:
    """How the control fared over the whole run, for the report."""
    try:
        requests = running.between(begin, time.time())
    except ReleaseError as error:
        return {"there": True, "error": str(error)}
    first = min((request.at for request in requests), default=begin)
    found = windows(requests, first, max((request.at for request in requests), default=first), rate=RATE)
    return {
        "there": True,
        "requests": len(requests),
        "failed": sum(request.failed for request in requests),
        "latency": asdict(measure(requests)),
        "stall": round(stall(requests, RATE), 3),
        "windows": [asdict(window) for window in found],
    }


def _clean(
    lab: Lab, own: KindCluster | None, options: Options, connected: Callable[[], contextlib.AbstractContextManager[Api]]
) -> None:
    """Remove the namespaces of the run from a cluster that stays."""
    if own is None or options.keep:
        with connected() as api:  # the other one may have been ended with everything else
            lab.clean(api, wait=own is None)


def _about(lab: Lab, own: KindCluster | None, options: Options) -> dict[str, object]:
    about: dict[str, object] = {"kubernetes": lab.api.version, "context": options.context, "name": ""}
    if own is not None:
        about |= {"name": own.name, "reused": own.reused, "seconds": round(own.seconds, 3), "nodes": len(own.nodes)}
    return about


def _toolkit(work: Workspace) -> dict[str, object]:
    """Which state of this toolkit has tested: its commit, and whether the files were other ones than that holds."""
    repository = find_repository(work.config.root, work.runner)
    return {"commit": repository.commit(), "changed": bool(repository.changes())} if repository else {}


# -- what is tested --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Charts:
    candidate: Published
    sources: tuple[Published, ...]
    sabotaged: Published | None


@contextlib.contextmanager
def _published(work: Workspace, options: Options, workplace: Path) -> Iterator[_Charts]:
    """The candidate, what it is upgraded from, and its sabotaged twin, in a registry that runs during the block."""
    config, helm = work.config, work.helm
    chart = read_chart(config.chart)
    candidate = package(config, chart, helm, work.say)
    archives = sorted((config.root / FROZEN).glob(f"{chart.name}-*.tgz"))
    frozen = {file.stem.removeprefix(f"{chart.name}-"): file for file in archives}
    older = _sources(work, options.sources, chart.name, candidate.version, frozen, workplace)
    with embedded(workplace / "registry", replace(work, say=silent)) as registry:
        publication = publish(registry, candidate, chart, helm)
        sources = tuple(
            push_archive(registry, helm, file, chart.name, version, workplace) for version, file in older.items()
        )
        twin = None
        if "selfcheck" in options.scenarios:
            twin = push_faulty(registry, helm, candidate.path, NEGATIVE_CONTROL, workplace)
        values = _values(candidate.path, workplace / "values")
        yield _Charts(
            candidate=_named(registry, candidate.path, chart.name, candidate.version, publication.digest, values),
            sources=sources,
            sabotaged=twin,
        )


def push_faulty(registry: Registry, helm: Helm, archive: Path, faults: Sequence[Fault], workplace: Path) -> Published:
    """Put a chart with `faults`, made of the one in `archive`, into a registry. Raises ChartError, RegistryError."""
    label = "-".join(fault.name for fault in faults)
    folder = unpack(archive.read_bytes(), workplace / label, str(archive))
    version = sabotage(folder, faults)
    made = helm.package(folder, workplace / label, epoch=0)
    return push_archive(registry, helm, made, read_chart(folder).name, version, workplace)


def _sources(
    work: Workspace, wanted: str, name: str, candidate: str, frozen: Mapping[str, Path], into: Path
) -> dict[str, Path]:
    """The archives to upgrade from by version, newest first: those that `wanted` names, and the first published one.

    `wanted` is `last:N` or versions. A version that is not published, or fewer than N, is an error and not skipped.
    Raises ConfigError, RegistryError, ChartError.
    """
    if not frozen:
        raise ChartError(f"there is no archive in {FROZEN}", expected="the first published one")
    with contextlib.ExitStack() as stack:
        published, pull = list(frozen), frozen.__getitem__
        registry = stack.enter_context(registry_in_use(work))
        if registry is not None:
            client = stack.enter_context(ask_registry(registry))
            published += client.versions(name)

            def pull(version: str) -> Path:
                return frozen.get(version) or client.pull(registry.reference(name, version), into)

        return {
            version: pull(version) for version in choose(wanted, published, candidate, first=min(frozen, key=parse))
        }


def choose(wanted: str, published: Iterable[str], candidate: str, *, first: str) -> list[str]:
    """The versions that `wanted` names, and `first`, which every candidate but itself is upgraded from.

    `last:N` are the N before `candidate`, newest first; `wanted` may also be versions. A release is
    upgraded from releases, a pre-release from pre-releases too. Raises ConfigError, RegistryError.
    """
    known = sorted(filter(is_semver, set(published)), key=parse, reverse=True)
    shown = ", ".join(known) or "none"
    number = _how_many(wanted)
    if number is not None:
        mine = parse(candidate)
        before = [
            version for version in known if parse(version) < mine and (mine.prerelease or not parse(version).prerelease)
        ]
        if len(before) < number:
            raise RegistryError(
                f"fewer versions than --from {wanted} asks for were published before {candidate}",
                expected=f"{number} versions",
                found=", ".join(before) or f"none (published: {shown})",
                run="ask for fewer, or name the registry that holds them: GATI_REGISTRY=oci://host/path",
            )
        versions = before[:number]
    else:
        versions = [version.strip() for version in wanted.split(",")]
    if absent := [version for version in versions if version not in known]:
        raise RegistryError(
            f"--from {wanted}: {', '.join(absent)} is not published",
            found=f"published versions: {shown}",
            run="name those, or the registry that holds the others: GATI_REGISTRY=oci://host/path",
        )
    return list(dict.fromkeys((*versions, *([first] if first != candidate else []))))


def _how_many(wanted: str) -> int | None:
    """N of `last:N`, None for versions. Raises ConfigError for what is neither."""
    kind, _, number = wanted.partition(":")
    if kind != "last" and all(is_semver(version.strip()) for version in wanted.split(",")):
        return None
    if kind != "last" or not number.isdecimal() or int(number) < 1:
        raise ConfigError(f"--from {wanted} names no versions", expected="last:N with N from 1, or 0.1.0,0.2.0")
    return int(number)


def push_archive(registry: Registry, helm: Helm, file: Path, name: str, version: str, workplace: Path) -> Published:
    """Put an archive into the registry of the run, under the digest that it was published with."""
    with tarfile.open(file) as archive:
        made = max(member.mtime for member in archive)
    with ask_registry(registry) as client:
        push(client, file, int(made), helm)
        found = client.manifest(registry.reference(name, version))
    if found is None:
        raise RegistryError(f"{file} was pushed, and the registry does not have {name} {version}")
    return _named(registry, file, name, version, found.digest, _values(file, workplace / f"values-{version}"))


def _named(
    registry: Registry, archive: Path, name: str, version: str, digest: str, values: Mapping[str, Path | None]
) -> Published:
    reference = f"oci://{registry.host}/{registry.repository(name)}@{digest}"
    return Published(name, version, digest, reference, sha256(archive), values)


def _values(archive: Path, into: Path) -> dict[str, Path | None]:
    """The values files in the archive by the names in VALUES. Raises ChartError for one that is not there."""
    members = read_members(archive.read_bytes(), str(archive))
    found: dict[str, Path | None] = {VALUES[0]: None}
    for name in VALUES[1:]:
        content = next((data for member, data in members.items() if member.endswith(f"/values-{name}.yaml")), None)
        if content is None:
            raise ChartError(f"{archive} carries no values-{name}.yaml", found=", ".join(members))
        found[name] = into / f"values-{name}.yaml"
        write_atomic(into / f"values-{name}.yaml", content)
    return found


# -- what it is tested on --------------------------------------------------------------------------


@contextlib.contextmanager
def _cluster(work: Workspace, options: Options) -> Iterator[KindCluster]:
    """A cluster of our own that has the services' images, where they are ours to build."""
    from scripts.containers import engine

    local = not options.images
    if local:
        with engine.connect() as client:
            build_services(work, client)
    with cluster(work, keep=options.keep) as own:
        if local:
            own.load_images([reference(work.config, service, version) for service in SERVICES for version in VERSIONS])
        yield own
