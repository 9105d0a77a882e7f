"""Runs the smoke test: publishes what is tested, makes the cluster, runs the scenarios, writes the report."""

from __future__ import annotations

import contextlib
import json
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.chart.archive import read_members, unpack
from scripts.chart.helm import Helm
from scripts.chart.source import read_chart
from scripts.cluster.api import Api, connect
from scripts.cluster.kind import PREFIX, KindCluster, cluster
from scripts.cluster.transport import Login
from scripts.containers import leftovers
from scripts.containers.images import SERVICES, VERSIONS, build_services, reference
from scripts.core.config import Config
from scripts.core.errors import ChartError, ConfigError, FindingsError, RegistryError, ReleaseError
from scripts.core.files import write_atomic
from scripts.core.interrupt import interruptible, stopped
from scripts.core.owner import owned
from scripts.core.parallel import workers
from scripts.core.paths import shown
from scripts.core.progress import Say, silent
from scripts.core.semver import is_semver, parse
from scripts.core.waiting import locked
from scripts.e2e.lab import VALUES, Lab, Published, Tools
from scripts.e2e.report import FAILED, PASSED, STOPPED, Journal, Outcome, Report
from scripts.e2e.sabotage import sabotage
from scripts.e2e.scenarios import SCENARIOS
from scripts.registry.client import connect as ask_registry
from scripts.registry.embedded import embedded, registry_in_use
from scripts.registry.reference import Registry
from scripts.release.package import package
from scripts.release.publish import publish, push
from scripts.workspace import Workspace

FROZEN = Path("tests/render/published")  # the first published archive, which every candidate is upgraded from
_REPORT, _JUNIT = "report.json", "junit.xml"
_LANES = 2  # scenarios at a time: they wait more than they work, but each has a load on
_FIRST = "dry-run"  # alone and before the others: what the API server refuses need not be waited for
# The longest first, so that none is left alone at the end.
_ORDER = ("upgrade", "disruption", "failed-upgrade", "install", "rollback", "selfcheck", "uninstall")


@dataclass(frozen=True)
class Options:
    """What to run. `sources` are `last:N` or versions; `context` names a cluster that exists, "" makes one.

    `images` is the prefix of the services' images; "" has them built and loaded into our own cluster.
    """

    scenarios: tuple[str, ...] = tuple(SCENARIOS)
    sources: str = "last:1"
    keep: bool = False
    context: str = ""
    images: str = ""

    def __post_init__(self) -> None:
        unknown = [name for name in self.scenarios if name not in SCENARIOS]
        if unknown or not self.scenarios:
            raise ConfigError(f"there is no scenario {', '.join(unknown) or 'at all'}", expected=", ".join(SCENARIOS))
        if self.keep and self.context:
            raise ConfigError("--keep-cluster and --kube-context exclude each other: that cluster is not ours")
        _how_many(self.sources)


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
        for name in (*options.scenarios, "values"):  # what an earlier run left
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (_REPORT, _JUNIT):
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
            values=charts.values,
            images=options.images or work.config.own_images,
            own=own is not None,
            login=login,
        )
        if own and own.reused:
            lab.sweep()
        about = _about(lab, own, options)
        outcomes = {name: Outcome(name, STOPPED, 0.0, (), error="it did not begin") for name in options.scenarios}
        try:
            _go(lab, outcomes, work.say)
        finally:
            report = Report(
                candidate=charts.candidate.facts,
                sources=tuple(source.facts for source in charts.sources),
                cluster=about,
                seconds=time.monotonic() - begin,
                outcomes=tuple(outcomes[name] for name in SCENARIOS if name in outcomes),
            )
            write_atomic(folder / _REPORT, json.dumps(report.to_dict(), indent=1) + "\n")
            write_atomic(folder / _JUNIT, report.junit())
            if own is None or options.keep:
                with connected() as api:  # the other one may have been ended with everything else
                    lab.clean(api, wait=own is None)
    return report


def _alone(folder: Path) -> contextlib.AbstractContextManager[None]:
    """The folder of results, for this run alone. Raises ConfigError saying who has it."""
    elsewhere = "wait for it to end, or let this one write elsewhere: GATI_DIST=/another/folder"
    what = f"the results in {shown(folder)}"
    return locked(folder / ".lock", what=what, deadline=0, error=ConfigError, run=elsewhere)


def demand_passed(report: Report) -> None:
    """Raises FindingsError naming the scenarios that failed."""
    if report.failed:
        names = ", ".join(outcome.scenario for outcome in report.failed)
        raise FindingsError(
            f"{len(report.failed)} of {len(report.outcomes)} scenarios failed: {names}",
            run="look into dist/e2e: report.json, and a folder of evidence for each scenario",
        )


def _go(lab: Lab, outcomes: dict[str, Outcome], say: Say) -> None:
    """Run the scenarios named in `outcomes` and put there how each went."""

    def one(name: str) -> None:
        journal, begin, state, error = Journal(name, say), time.monotonic(), PASSED, ""
        try:
            SCENARIOS[name](lab, journal)
        except ReleaseError as failure:
            state, error = STOPPED if stopped() else FAILED, str(failure)
        except KeyboardInterrupt:
            state, error = STOPPED, "it was stopped"
            raise
        except BaseException as failure:
            state, error = FAILED, f"{type(failure).__name__}: {failure}"
            raise
        finally:
            outcomes[name] = Outcome(
                name, state, time.monotonic() - begin, tuple(journal.steps), journal.ledgers, error
            )
            say(outcomes[name].line() + (f"\n{error}" if error else ""))

    if _FIRST in outcomes:
        one(_FIRST)
    with workers(lab.runner, _LANES) as pool:
        for done in as_completed([pool.submit(one, name) for name in _ORDER if name in outcomes]):
            done.result()


def _about(lab: Lab, own: KindCluster | None, options: Options) -> dict[str, object]:
    about: dict[str, object] = {"kubernetes": lab.api.version, "context": options.context, "name": ""}
    if own is not None:
        about |= {"name": own.name, "reused": own.reused, "seconds": round(own.seconds, 3), "nodes": len(own.nodes)}
    return about


# -- what is tested --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Charts:
    candidate: Published
    sources: tuple[Published, ...]
    sabotaged: Published | None
    values: Mapping[str, Path | None]


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
        sources = tuple(_push(registry, helm, file, chart.name, version) for version, file in older.items())
        twin = None
        if "selfcheck" in options.scenarios:
            folder = unpack(candidate.path.read_bytes(), workplace / "sabotaged")
            version = sabotage(folder)
            twin = _push(registry, helm, helm.package(folder, workplace, epoch=0), chart.name, version)
        yield _Charts(
            candidate=_named(registry, chart.name, candidate.version, publication.digest),
            sources=sources,
            sabotaged=twin,
            values=_values(candidate.path, workplace / "values"),
        )


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


def _push(registry: Registry, helm: Helm, file: Path, name: str, version: str) -> Published:
    """Put an archive into the registry of the run, under the digest that it was published with."""
    with tarfile.open(file) as archive:
        made = max(member.mtime for member in archive)
    with ask_registry(registry) as client:
        push(client, file, int(made), helm)
        found = client.manifest(registry.reference(name, version))
    if found is None:
        raise RegistryError(f"{file} was pushed, and the registry does not have {name} {version}")
    return _named(registry, name, version, found.digest)


def _named(registry: Registry, name: str, version: str, digest: str) -> Published:
    return Published(name, version, digest, f"oci://{registry.host}/{registry.repository(name)}@{digest}")


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
