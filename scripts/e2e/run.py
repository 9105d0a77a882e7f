"""Runs the smoke test: publishes what is tested, makes the cluster, runs the scenarios, writes the report."""

from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scripts.chart.archive import unpack
from scripts.chart.constraints import supported
from scripts.chart.dependencies import provide_dependencies
from scripts.chart.helm import Helm
from scripts.chart.manifests import Document, read_manifests
from scripts.chart.source import read_chart
from scripts.checks.schemas import schemas_of
from scripts.cluster.api import Api, connect
from scripts.cluster.kind import PREFIX, KindCluster, cluster, demand_reachable_nodes
from scripts.cluster.provided import provided
from scripts.cluster.transport import Login
from scripts.containers import leftovers
from scripts.containers.images import SERVICES, VERSIONS, build_services, reference
from scripts.core.command import Runner
from scripts.core.errors import ChartError, ConfigError, FindingsError, ReleaseError, ToolError
from scripts.core.files import write_atomic, write_json
from scripts.core.git import find_repository
from scripts.core.interrupt import interruptible, put_right, stopped
from scripts.core.owner import temporary
from scripts.core.parallel import workers
from scripts.core.paths import shown
from scripts.core.progress import Board, Say, silent
from scripts.core.semver import minor
from scripts.core.waiting import locked
from scripts.e2e.control import QUESTION, Control, start
from scripts.e2e.discover import Found, discover, home_of
from scripts.e2e.k6 import Request, load
from scripts.e2e.lab import CONTROL, RATE, Lab, Published, Sets, Tools
from scripts.e2e.ledger import LATENCY, STOOD, measure, stall, windows
from scripts.e2e.pods import restarted
from scripts.e2e.preflight import preflight
from scripts.e2e.report import (
    FAILED,
    PASSED,
    STOPPED,
    UNTESTED,
    VOID,
    Broken,
    Journal,
    LoadFailed,
    Outcome,
    Report,
    Unproven,
    Untested,
)
from scripts.e2e.sabotage import NEGATIVE_CONTROL, Fault, sabotage
from scripts.e2e.scenarios import ON_REQUEST, SCENARIOS
from scripts.e2e.sources import USUAL, check_sources, demand_here, find_sources, named, push_archive, values_sets
from scripts.e2e.subject import read_subject
from scripts.registry.embedded import embedded
from scripts.registry.reference import Registry
from scripts.release.package import package
from scripts.release.publish import publish
from scripts.release.tested import REPORT
from scripts.rollout.rollout import RolloutFailed
from scripts.workspace import Workspace

JUNIT = "junit.xml"
_HELMS = {3: "helm3", 4: "helm"}  # the names of the pins by major
_LANES = 3  # scenarios at a time: they keep two processors busy for four fifths of the time, and the rest is bursts
_ATTEMPTS = 3  # at a scenario, while the machine is in the way
# Causes of a rollout's failure that have nothing to do with time.
_REFUSALS = frozenset(
    {"admission", "missing-kind", "quota", "ownership", "conflict", "image-pull", "config", "mount", "unschedulable"}
)
_LATE = re.compile(r"etcdserver: |timed out|deadline exceeded")  # of a server that refuses for want of time
_BEFORE_STEP = 5.0  # seconds before a step in which the machine can be the reason for its failure
# The part of a failed step in which the control lost, from which on the machine and not the chart is to blame: what
# waits for a minute is not brought down by a node that stands still for some seconds.
_EXCUSING = 0.2
_ALONE = "upgrades from an older version: none is published, and --from names none; from the candidate itself"
_FIRST = "dry-run"  # alone and before the others: what the API server refuses need not be waited for
# The long ones first, so that none is left alone at the end; what closes a node late, for others wait for it.
_ORDER = (
    *("environments", "install", "failed-upgrade", "changes", "upgrade", "rollback", "selfcheck"),
    *("helms", "hands", "reuse", "outage", "disruption", "uninstall"),
)


@dataclass(frozen=True)
class Options:
    """What to run. `sources` are what --from takes; `context` names a cluster that exists, "" makes one.

    `images` is the prefix of the services' images; "" has them built and loaded into our own cluster.
    `latency` is how many times slower than before requests may become. `cluster_objects` lets a chart put objects
    outside of namespaces on a cluster that is not ours. `helm` is the major of the helm that is used, of `helms`.
    """

    scenarios: tuple[str, ...] = ()
    sources: str = ""
    keep: bool = False
    context: str = ""
    images: str = ""
    latency: float = LATENCY
    cluster_objects: bool = False
    helm: int = 4
    helms: tuple[int, ...] = (4,)

    def __post_init__(self) -> None:
        if unknown := [name for name in self.scenarios if name not in SCENARIOS]:
            raise ConfigError(f"there is no scenario {', '.join(unknown)}", expected=", ".join(SCENARIOS))
        if self.keep and self.context:
            raise ConfigError("--keep-cluster and --kube-context exclude each other: that cluster is not ours")
        if not 1 <= self.latency < math.inf:
            raise ConfigError(f"--latency {self.latency:g} is no limit", expected="how many times slower, from 1")
        check_sources(self.sources)

    @property
    def every(self) -> tuple[str, ...]:
        """The scenarios of a whole run; what changes hands between two helms takes two."""
        return tuple(name for name in SCENARIOS if name not in ON_REQUEST or (name == "helms" and len(self.helms) > 1))

    @property
    def wanted(self) -> tuple[str, ...]:
        return self.scenarios or self.every


def read_latency(text: str) -> float:
    """The limit that a flag gives, the default for "". Raises ConfigError."""
    try:
        return float(text) if text else LATENCY
    except ValueError:
        raise ConfigError(f"--latency {text} is no number", expected="how many times slower, from 1") from None


def plan(work: Workspace, options: Options) -> list[str]:
    """What a run would do, line by line; nothing is changed, built or asked. Raises ChartError, ConfigError, GitError.

    What it would begin with and is not here is told; whether a version is published only the run finds out.
    """
    config = work.config
    chart = read_chart(config.chart)
    if chart.is_library:
        raise ChartError(f"{chart.name} is a library chart: it cannot be installed", run="test a chart that uses it")
    demand_here(work, options.sources, chart.name)
    subject = read_subject(config.e2e, chart.release)
    where = (
        f"on the cluster of the context {options.context}, in new namespaces {PREFIX}*; no node is closed, nothing "
        "outside of these namespaces is changed, and they are removed at the end"
        if options.context
        else "on a kind cluster of our own" + (", kept for the next run" if options.keep else ", removed at the end")
    )
    prefix = options.images or config.own_images
    told = ", ".join(sorted(config.e2e)) or "nothing: it is looked for in the rendered objects"
    first = f"the first of {subject.archives} and " if subject.archives else ""
    services = ", ".join(f"{prefix}/{service}:{version}" for service in SERVICES for version in VERSIONS)
    lines = [
        f"package {chart.name} {chart.version}, publish it to a registry on loopback, install it by digest",
        where,
        f"told of the chart in [tool.gati.e2e]: {told}",
        f"images of the reference services, which the control of the machine runs beside the chart's: {services}",
        f"upgrades from: {first}{options.sources or USUAL}",
    ]
    lines += (f"{name}: {(SCENARIOS[name].__doc__ or '').strip().splitlines()[0]}" for name in options.wanted)
    return [*lines, f"results: {config.dist / 'e2e'}/report.json, junit.xml and a folder for each scenario"]


def foreseen(work: Workspace, options: Options) -> list[str]:
    """What a run would find in the objects of the first values set, for a person; or why that cannot be said.

    No cluster is asked: it is rendered for the newest Kubernetes that the chart admits, without operators.
    """
    config = work.config
    try:
        chart = read_chart(config.chart, config.values)
        subject = read_subject(config.e2e, chart.release)
        newest = supported(chart.kube_version, work.tools.minors)[-1]
        images = options.images or config.own_images
        given = subject.overlay(
            namespace="gati-e2e", images=images, version=VERSIONS[0], changes=(), knows=lambda _: False
        )
        with temporary("e2e") as folder:
            (overlay := folder / "values.json").write_text(json.dumps(given))
            first = next(iter(values_sets(chart).values()))
            text = work.helm.template(
                chart.path,
                release=subject.release,
                namespace="gati-e2e",
                values=[*([first] if first else []), *([overlay] if given else [])],
                kube_version=newest,
                api_versions=sorted(schemas_of(work).builtin(minor(newest))),
            )
        documents = read_manifests(text, "gati-e2e")
        return replace(discover(documents, subject), home=home_of(documents)).lines()
    except ReleaseError as error:
        return [f"what is found in its objects cannot be said: {error.message}", *(error.found or "").splitlines()]


def run(work: Workspace, options: Options, *, on: KindCluster | None = None) -> Report:
    """Run the scenarios and write the report to `dist/e2e`, of what was done until Ctrl-C too.

    `on` is a cluster of ours that is there, and stays. A scenario that fails is in the report. Raises ReleaseError
    where the run cannot begin: a version that cannot be had, no engine, no cluster.
    """
    begin, runner, toolchain = time.monotonic(), work.runner, work.tools
    folder = work.config.dist / "e2e"
    with interruptible(), contextlib.ExitStack() as stack:
        expected = [name for name in _ORDER if name in options.wanted]
        workplace = stack.enter_context(results(work, folder, options.wanted, expected))
        if options.context:
            leftovers.remove(work)  # a cluster of our own does it itself
        else:
            demand_reachable_nodes()
        charts = stack.enter_context(_published(work, options, workplace))
        own = on
        if own is None and not options.context:
            own = stack.enter_context(cluster(work, keep=options.keep))
        if own is not None and not options.images:
            bring_services(work, own)
        login = Login(kubeconfig=own.kubeconfig) if own else Login(context=options.context)

        def connected() -> contextlib.AbstractContextManager[Api]:
            return connect(login, kubectl=toolchain.path("kubectl"), runner=runner)

        lab = Lab(
            api=stack.enter_context(connected()),
            runner=runner,
            tools=Tools(*(toolchain.path(name) for name in (_HELMS[options.helm], "kubectl", "k6"))),
            major=options.helm,
            other=next(((toolchain.path(_HELMS[one]), one) for one in options.helms if one != options.helm), None),
            folder=folder,
            images=options.images or work.config.own_images,
            latency=options.latency,
            deadline=charts["subject"].deadline,
            own=own is not None,
            login=login,
            **charts,
        )
        if own and own.reused:
            lab.sweep()
        home, documents = settled(lab)
        lab.found = replace(discovered(lab, documents), home=home)
        schemas = schemas_of(work)
        later = {name: schemas.builtin(name) for name in schemas.minors() if _after(name, lab.api.version)}
        notes = [*lab.found.lines(), *([_ALONE] if lab.sources == (lab.candidate,) else [])]
        notes += vanishing(documents, schemas.owned_by_kubernetes, later)
        if own:
            newer = discover(lab.render(home, image=VERSIONS[1]), lab.subject)
            images = dict.fromkeys((*lab.found.images, *newer.images))
            notes += filter(None, [_bring_images(own, images, runner)])
            stack.enter_context(provided(lab.api, own.volumes))
        for note in notes:
            work.say(note)
        about = _about(lab, own, options)
        outcomes = to_begin(name for name in SCENARIOS if name in options.wanted)
        seen: dict[str, object] = {"there": False}
        stays = own is None or on is not None or options.keep

        def clean() -> None:
            """Remove the namespaces of the run from a cluster that stays."""
            if stays:
                with connected() as api:  # the other one may have been ended with everything else
                    lab.clean(api, wait=own is None)

        def act() -> None:
            if own is None:
                preflight(lab, cluster_objects=options.cluster_objects)
            with controlled(lab, work.say, seen) as lab.control:
                go(lab, outcomes, [_FIRST], work)
                # What lies outside of namespaces is in the way of another release, and a node that is lost is lost
                # for all.
                go(lab, outcomes, _ORDER, work, 1 if lab.found.exclusive or lab.found.claims else _LANES)

        left_out = tuple(name for name in options.every if name not in outcomes)
        facts = {"cluster": about, "control": seen, "left_out": left_out, "found": tuple(notes)}
        return carry_out(work, lab, outcomes, act, clean, begin=begin, **facts)


def carry_out(
    work: Workspace,
    lab: Lab,
    outcomes: Mapping[str, Outcome],
    act: Callable[[], None],
    clean: Callable[[], None],
    *,
    begin: float,
    **facts: Any,
) -> Report:
    """Do `act`, which fills `outcomes`, then `clean`, and write the report, whatever becomes of both.

    `begin` is that of the run, `facts` are further fields of the report.
    """
    toolkit = toolkit_facts(work)  # nothing can be asked for it once everything is stopped
    with put_right(clean, work.say):
        try:
            act()
        finally:
            report = Report(
                candidate=lab.candidate.facts,
                sources=tuple(source.facts for source in lab.sources),
                seconds=time.monotonic() - begin,
                outcomes=tuple(outcomes.values()),
                toolkit=toolkit,
                **facts,
            )
            write_json(lab.folder / REPORT.name, report.to_dict())
            write_atomic(lab.folder / JUNIT, report.junit())
    return report


@contextlib.contextmanager
def results(work: Workspace, folder: Path, left: Iterable[str], expected: Iterable[str]) -> Iterator[Path]:
    """The folder of results, for this run alone, and another one for what is thrown away after the block.

    What an earlier run of the scenarios `left` has left is removed; those `expected` have a row, with the usual time.
    Raises ConfigError saying who has it.
    """
    elsewhere = "wait for it to end, or let this one write elsewhere: GATI_DIST=/another/folder"
    what = f"the results in {shown(folder)}"
    alone = locked(folder / ".lock", what=what, deadline=0, error=ConfigError, run=elsewhere)
    with alone, temporary(folder.name) as workplace:
        usual = typical(folder / REPORT.name)
        for name in expected:
            work.board.expect(name, usual.get(name))
        for name in (*left, "values"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (REPORT.name, JUNIT):
            (folder / name).unlink(missing_ok=True)
        yield workplace


def demand_passed(report: Report, folder: str = "e2e") -> None:
    """Raises FindingsError naming the scenarios that failed, and apart from them those that prove nothing.

    `folder` is where the results are, in dist/.
    """
    void = [outcome.scenario for outcome in report.failed if outcome.state == VOID]
    failed = [outcome.scenario for outcome in report.failed if outcome.state != VOID]
    if failed:
        also = f"; the machine did not let measure: {', '.join(void)}" if void else ""
        raise FindingsError(
            f"{len(failed)} of {len(report.outcomes)} scenarios failed: {', '.join(failed)}{also}",
            run=f"look into dist/{folder}: report.json, and a folder of evidence for each scenario",
        )
    if void:
        raise FindingsError(
            f"{len(void)} of {len(report.outcomes)} scenarios could not be measured in {_ATTEMPTS} attempts, for the "
            f"machine was in the way: {', '.join(void)}",
            run="look at the load of this machine and at its nodes, and run them again: --scenario",
        )


def typical(file: Path) -> dict[str, float]:
    """The seconds that each scenario took which passed in the report in `file`; none where there is no such report."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(file.read_text(encoding="utf-8"))["scenarios"]
        return {str(one["scenario"]): float(one["seconds"]) for one in told if one["state"] == PASSED}
    return {}


def to_begin(names: Iterable[str]) -> dict[str, Outcome]:
    """What is to be said of scenarios until they have ended."""
    return {name: Outcome(name, STOPPED, 0.0, (), error="it did not begin") for name in names}


def go(
    lab: Lab,
    outcomes: dict[str, Outcome],
    names: Iterable[str],
    work: Workspace,
    lanes: int = 1,
    *,
    attempts: int = _ATTEMPTS,
    scenarios: Mapping[str, Callable[[Lab, Journal], None]] = SCENARIOS,
) -> None:
    """Run those of the scenarios `names` that are in `outcomes`, so many at a time, and put there how each went.

    Those in which the control lost too are run again once the others have ended, one at a time: the load of the others
    is a part of what was in the way.
    """

    def again(outcome: Outcome, number: int) -> bool:
        return outcome.state == VOID and number < attempts

    def one(name: str, number: int) -> None:
        last = outcomes[name]
        void = (*last.void, replace(last, void=())) if number > 1 else ()

        def note(outcome: Outcome) -> None:
            outcomes[name] = replace(outcome, void=void)

        try:
            attempt(lab, name, work.say, note, number=number, scenarios=scenarios, board=work.board)
        finally:
            outcome = outcomes[name]
            work.board.ended(name, outcome.state)
            then = f"; measured again later ({number} of {attempts})" if again(outcome, number) else ""
            work.say(outcome.line() + then + (f"\n{outcome.error}" if outcome.error else ""))

    left = [name for name in names if name in outcomes]
    for number in range(1, attempts + 1):
        with workers(work.runner, lanes) as pool:
            for done in as_completed([pool.submit(one, name, number) for name in left]):
                done.result()
        lanes, left = 1, [name for name in left if again(outcomes[name], number)]


def attempt(
    lab: Lab,
    name: str,
    say: Say,
    note: Callable[[Outcome], None],
    *,
    number: int,
    scenarios: Mapping[str, Callable[[Lab, Journal], None]],
    board: Board,
) -> None:
    """Run a scenario, for the time that is numbered; `note` is told how it went: void where the control lost too."""
    journal = Journal(name, say, attempt=number, board=board)
    begin, state, error = time.monotonic(), PASSED, ""
    own = lab.attempt(number)
    try:
        scenarios[name](own, journal)
        own.forget_all()
    except Untested as failure:
        state = UNTESTED
        journal.skip(failure.message)
    except Unproven as failure:
        state, error = VOID, str(failure)
    except ReleaseError as failure:
        state, error = STOPPED if stopped() else FAILED, str(failure)
        if state == FAILED and not _certain(failure) and (lost := _lost(lab, journal)):
            state, error = VOID, f"{error}\nbut meanwhile {lost}"
        elif state == FAILED:  # which may be no more than what followed of it
            with contextlib.suppress(ReleaseError):  # where the cluster does not say
                found = restarted(own, *own.namespaces)
                error = "\n".join([error, *(f"  meanwhile {one}" for one in found if one not in error)])
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
            restarts=tuple(journal.restarts),
            skipped=tuple(journal.skipped),
        )
        lab.adopt(own)
        note(outcome)
    if state == VOID or (state != PASSED and lab.found.exclusive):
        try:
            own.forget_all()  # what is left would be in the way of the next one
        except ReleaseError as failure:  # the run goes on, and tries once more at its end
            say(f"{name}: {failure}")


def _certain(failure: ReleaseError) -> bool:
    """True for a failure that no noise of a machine brings about."""
    refused = isinstance(failure, RolloutFailed) and failure.cause.kind in _REFUSALS
    refused = refused and not _LATE.search(str(failure).partition("\n")[0])
    return refused or isinstance(failure, Broken | LoadFailed)


def _lost(lab: Lab, journal: Journal) -> str:
    """What the control lost during the step that failed, if that is a good part of it; "" where it held."""
    if lab.control is None:
        return ""
    begin, end = max(journal.since - _BEFORE_STEP, lab.control.begin), time.time()
    seen: Sequence[Request] = ()
    with contextlib.suppress(ToolError):  # it ended: nothing is known of the machine
        seen = lab.control.between(begin, end)
    found = windows(seen, begin, end, rate=RATE, slow=STOOD)
    void = sum(min(window.end, end) - max(window.begin, begin) for window in found)
    return "; ".join(map(str, found)) if void > _EXCUSING * (end - begin) else ""


@contextlib.contextmanager
def controlled(lab: Lab, say: Say, seen: dict[str, object]) -> Iterator[Control | None]:
    """The control of the run; `seen` receives how it fared. None, and a word to `say`, where there can be none."""
    begin, namespace, nodes = time.time(), lab.name(CONTROL), lab.nodes()
    image, results = f"{lab.images}/{SERVICES[0]}:{VERSIONS[0]}", lab.folder / "control.requests.jsonl"
    with contextlib.ExitStack() as stack:
        try:
            targets = start(lab.api, namespace, nodes, image, int(lab.run, 16), lab.found.share)
            way = load(lab.tools.k6, lab.runner, targets, results, question=QUESTION, rate=RATE)
            running = Control(stack.enter_context(way))
        except ReleaseError as error:
            say(f"there is no control, so every loss counts as the chart's: {error.message}: {error.found or ''}")
            yield None
            return
        try:
            yield running
        finally:
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


def _about(lab: Lab, own: KindCluster | None, options: Options) -> dict[str, object]:
    about = {"kubernetes": lab.api.version, "context": options.context, "name": "", "helm": options.helm}
    if own is None:
        return about
    return about | {"name": own.name, "reused": own.reused, "seconds": round(own.seconds, 3), "nodes": len(own.nodes)}


def toolkit_facts(work: Workspace) -> dict[str, object]:
    """Which state of this toolkit has tested: its commit, and whether the files were other ones than that holds."""
    repository = find_repository(work.config.root, work.runner)
    return {"commit": repository.commit(), "changed": bool(repository.changes())} if repository else {}


# -- what is tested --------------------------------------------------------------------------------


@contextlib.contextmanager
def _published(work: Workspace, options: Options, workplace: Path) -> Iterator[dict[str, Any]]:
    """What a lab has to know of the candidate, what it is upgraded from, and its sabotaged twin.

    They are in a registry that runs during the block.
    """
    config, helm = work.config, work.helm
    chart = read_chart(config.chart, config.values)
    provide_dependencies(chart, helm, work.say)
    subject, sets = read_subject(config.e2e, chart.release), values_sets(chart)
    candidate = package(config, chart, helm, work.say)
    older = find_sources(work, options.sources, chart, candidate.version, subject.archives, workplace)
    with embedded(workplace / "registry", replace(work, say=silent)) as registry:
        publication = publish(registry, candidate, chart, helm)
        tested = named(registry, candidate.path, chart.name, candidate.version, publication.digest, sets)
        sources = tuple(
            push_archive(registry, helm, file, chart.name, version, workplace, sets) for version, file in older.items()
        )
        twin = None
        if "selfcheck" in options.wanted and subject.versioned:
            twin = push_faulty(registry, helm, candidate.path, NEGATIVE_CONTROL, workplace, sets)
        told = {"candidate": tested, "sources": sources or (tested,), "sabotaged": twin}
        yield {**told, "subject": subject, "chosen": tuple(sets)}


def push_faulty(
    registry: Registry, helm: Helm, archive: Path, faults: Sequence[Fault], workplace: Path, sets: Sets
) -> Published:
    """Put a chart with `faults`, made of the one in `archive`, into a registry. Raises ChartError, RegistryError."""
    label = "-".join(fault.name for fault in faults)
    folder = unpack(archive.read_bytes(), workplace / label, str(archive))
    version = sabotage(folder, faults)
    made = helm.package(folder, workplace / label, epoch=0)
    return push_archive(registry, helm, made, read_chart(folder).name, version, workplace, sets)


# -- what it is tested on --------------------------------------------------------------------------


def bring_services(work: Workspace, own: KindCluster) -> None:
    """Build the images of the services, of which the control needs one, and load them."""
    from scripts.containers import engine

    with engine.connect() as client:
        build_services(work, client)
    own.load_images([reference(work.config, service, version) for service in SERVICES for version in VERSIONS])


def settled(lab: Lab) -> tuple[str, list[Document]]:
    """The namespace that the workloads are in whatever the release's is, "" for none, and what is rendered for it.

    Raises ConfigError where the chart makes that namespace itself, so that no release can be in it.
    """
    documents = list(lab.render())
    if not (home := home_of(documents)):
        return "", documents
    documents = list(lab.render(home))
    if any(one.kind == "Namespace" and one.name == home for one in documents):
        raise ConfigError(
            f"the chart makes the namespace {home} and puts its workloads there, wherever the release is",
            expected="workloads in the namespace of the release, so that each scenario has its own",
            run='name the value that says where: [tool.gati.e2e.values] KEY = "{namespace}"',
        )
    return home, documents


def vanishing(
    documents: Iterable[Document], ours: Callable[[str], bool], later: Mapping[str, frozenset[str]]
) -> list[str]:
    """The APIs of Kubernetes' own that a minor of `later` (what it serves, by its name) has no more."""
    told = []
    for name in dict.fromkeys(f"{one.api_version}/{one.kind}" for one in documents):
        gone = next((minor for minor, served in later.items() if name not in served), None)
        if gone and ours(name.rpartition("/")[0].rpartition("/")[0]):
            told.append(f"goes away: {name}, as of Kubernetes {gone}")
    return told


def _after(name: str, version: str) -> bool:
    """Whether a minor ("1.30") is younger than a version ("v1.29.15")."""
    return int(name.partition(".")[2]) > int(version.split(".")[1])


def discovered(lab: Lab, documents: Sequence[Document]) -> Found:
    """What the candidate is, by what it renders. Raises ConfigError."""
    found = discover(documents, lab.subject)
    outside = [
        f"{one.kind}/{one.name}" + (f" in {one.namespace}" if one.elsewhere else "")
        for one in documents
        if not one.hook and one.name not in found.definitions and lab.is_outside(one)
    ]
    return replace(found, outside=tuple(outside))


def _bring_images(own: KindCluster, images: Iterable[str], runner: Runner) -> str:
    """Load those of `images` that the local engine holds; which the nodes have to pull, in words, "" for none.

    Those named by a digest are among the latter: what the engine saves has another one.
    """
    here = [
        image
        for image in images
        if "@" not in image
        and runner.run(("docker", "image", "inspect", "--format={{.Id}}", image), check=False).status == 0
    ]
    own.load_images(here)
    rest = [image for image in images if image not in here]
    return f"images that the nodes pull themselves: {', '.join(rest)}" if rest else ""
