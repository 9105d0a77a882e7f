"""The tasks of `invoke`: each reads its flags, calls `scripts` and yields what is to be shown.

Nothing but invoke and the front's own module is imported before a task runs, so that `invoke --list` stays quick.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.front import CHART, REGISTRY, Many, command, demand_approval, say, working

if TYPE_CHECKING:
    from scripts.containers.stack import Stack
    from scripts.front import Shown
    from scripts.workspace import Workspace

# -- tools, images, the local stack -------------------------------------------------------------------


@command(
    working_on="looking at the tools",
    build="Build what is missing instead of only looking.",
    only="Only this tool; repeatable.",
    dry_run="Only look.",
)
def tools(work: Workspace, build: bool = False, only: Many = None, dry_run: bool = False) -> Shown:
    """Show each pinned tool: its version, where it was found, its state."""
    from scripts import present

    if build and not dry_run:
        work.tools.paths(only or [row.name for row in work.tools.survey()])
    yield present.tools(work.tools.survey(only))


@command(keys=REGISTRY, working_on="looking at this machine", fix="Do what is safe: build tools, raise limits.")
def doctor(work: Workspace, fix: bool = False) -> Shown:
    """Look at what the toolkit needs of this machine; each line with its fix."""
    from scripts import doctor as stage
    from scripts import present

    lines = stage.examine(work)
    if fix:
        stage.mend(work, lines)
        lines = stage.examine(work)
    yield present.doctor(lines)
    stage.demand_sound(lines)


@command("node-image", dry_run="Only show what would be pulled or built.")
def node_image(work: Workspace, dry_run: bool = False) -> Shown:
    """Pull or build the image of the test cluster's nodes, unless it is there already."""
    from scripts import present
    from scripts.containers import node_image as nodes

    yield present.planned_node(nodes.plan(work)) if dry_run else present.node(nodes.node_image(work))


@command(
    version="Build this version only (default: 1 and 2); one that ends with -abrupt does not drain.",
    dry_run="Only show what would be built.",
)
def images(work: Workspace, version: str = "", dry_run: bool = False) -> Shown:
    """Build the images of the reference services; takes no time when nothing changed."""
    from scripts import present
    from scripts.containers import engine
    from scripts.containers.images import VERSIONS, build_services, plan_services

    versions = (version,) if version else VERSIONS
    with engine.connect() as client:
        if dry_run:
            yield present.planned_images(plan_services(work.config, client, versions=versions))
        else:
            yield present.images(build_services(work, client, versions=versions))


@contextlib.contextmanager
def stack_of(work: Workspace, *, replicas: str = "1", monitoring: bool = False) -> Iterator[Stack]:
    """The compose stack of a person, and the engine it runs on while the block lasts."""
    from scripts.containers import engine
    from scripts.containers.stack import MOST_REPLICAS, Stack
    from scripts.core.config import whole_number

    count = whole_number(replicas, "--replicas", least=1, most=MOST_REPLICAS)
    with engine.connect() as client:
        yield Stack(work, client, replicas=count, monitoring=monitoring)


@command(
    version="Version of the images; another one than runs is an upgrade or a rollback.",
    replicas="Replicas of ingress; from 2 on a balancer stands before them, and no upgrade loses a request.",
    monitoring="Start Prometheus too.",
    build="Build the images first (--no-build: use what is there).",
    dry_run="Only show what would be started.",
)
def up(
    work: Workspace,
    version: str = "1",
    replicas: str = "1",
    monitoring: bool = False,
    build: bool = True,
    dry_run: bool = False,
) -> Shown:
    """Start the reference services with docker compose and wait until they are healthy."""
    with stack_of(work, replicas=replicas, monitoring=monitoring) as stack:
        if dry_run:
            yield "\n".join(stack.preview(version, build=build))
            return
        if build:
            stack.build(version)
        stack.up(version)
        yield f"ingress answers at {stack.url}"


@command(all_="Remove what killed runs of any checkout left on this machine, too.", dry_run="Only show what would go.")
def down(work: Workspace, all_: bool = False, dry_run: bool = False) -> Shown:
    """Stop the compose stack and remove all that belongs to it."""
    from scripts.containers import leftovers

    with stack_of(work) as stack:
        running = [str(container.name) for container in stack.containers()]
        if not dry_run:
            stack.down()
    left = (leftovers.find if dry_run else leftovers.remove)(work) if all_ else ()
    if dry_run:
        yield "\n".join([*running, *map(str, left)]) or "nothing is running"


# -- the chart ----------------------------------------------------------------------------------------


@command(keys=CHART, working_on="checking the chart's sources", strict="Fail on warnings too.")
def lint(work: Workspace, values: Many = None, strict: bool = False) -> Shown:
    """Check the chart's sources: helm lint, YAML, Chart.yaml, values, changelog."""
    from scripts import present
    from scripts.checks import lint as stage
    from scripts.core import files

    outcome = stage.lint(work, values=map(Path, values or ()))
    yield present.lint(outcome)
    files.write_atomic(work.config.result(outcome.chart.name, "lint.json"), present.to_json(outcome.report()))
    stage.demand_clean(outcome, strict=strict)


@command(
    keys=CHART,
    working_on="rendering",
    diff="Compare with a published version or git revision.",
    dry_run="Render, and write nothing.",
)
def template(
    work: Workspace, values: Many = None, kube_version: Many = None, diff: str | None = None, dry_run: bool = False
) -> Shown:
    """Render every values file for every supported Kubernetes into dist/NAME.manifests."""
    from scripts import present
    from scripts.checks import matrix, render
    from scripts.checks.compare import compare

    files = [Path(file) for file in values or ()]
    plan = matrix.read_plan(work, values=files, kube_versions=kube_version or ())
    rendered = render.render(plan, work)
    index = render.make_index(plan, rendered)
    change = compare(work, diff, plan, rendered.renders, values=files) if diff else None
    if not dry_run:
        render.store(plan, rendered, work.config.result(plan.chart.name, "manifests"))
    for note in rendered.notes():
        say(f"note: {note}")
    yield present.compared(change, index) if change else present.matrix(rendered, index)


@command(
    "kubeconform-check",
    keys=CHART,
    working_on="rendering and checking",
    junit="Write the verdict to this file as JUnit XML, too.",
)
def kubeconform_check(
    work: Workspace, values: Many = None, kube_version: Many = None, junit: str | None = None
) -> Shown:
    """Check every rendered object against the schemas of every supported Kubernetes."""
    from scripts import present
    from scripts.checks import validate
    from scripts.core import files
    from scripts.core.errors import ReleaseError

    try:
        outcome = validate.check_chart(work, values=map(Path, values or ()), kube_versions=kube_version or ())
    except ReleaseError as error:
        if junit:
            files.write_atomic(Path(junit), validate.junit_of(error))
        raise
    yield present.problems(outcome)
    file = work.config.result(outcome.plan.chart.name, "kubeconform.json")
    files.write_atomic(file, present.to_json(outcome.report()))
    if junit:
        files.write_atomic(Path(junit), validate.junit(outcome.checked))
    validate.demand_valid(outcome)


def _named(words: list[str]) -> bool:
    """Whether a reference stands by itself on the command line: with Invoke no positional argument may be absent."""
    return any(word.startswith("oci://") and before != "--registry" for before, word in itertools.pairwise(words))


@command(
    keys=REGISTRY,
    working_on="rendering both versions",
    from_="The version to judge from: VERSION, git:REVISION, oci://..., an archive (default: the last of the line).",
    against="A git revision, as a pull request's base: what differs from it must have a higher version.",
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
    files.write_atomic(work.config.result(verdict.chart, "judge.json"), present.to_json(verdict.record()))
    if against or verdict.current != verdict.version:
        demand_enough(verdict)


# -- releases -----------------------------------------------------------------------------------------


@command(keys=CHART, dry_run="Pack, say what comes of it, and write nothing.")
def package(work: Workspace, dry_run: bool = False) -> Shown:
    """Package the chart into dist/: the same files give the same bytes everywhere."""
    from scripts import present
    from scripts.chart.source import read_chart
    from scripts.release import package as stage

    chart = read_chart(work.config.chart)
    yield present.facts(stage.package(work.config, chart, work.helm, work.say, dry_run=dry_run))
    if not dry_run:
        work.say("next: invoke publish")


@command(keys=REGISTRY, working_on="publishing", dry_run="Only ask the registry what it holds.")
def publish(work: Workspace, dry_run: bool = False) -> Shown:
    """Publish the packaged chart, unless it is there already, and read it back."""
    from scripts import present
    from scripts.chart import archive
    from scripts.chart.source import read_chart
    from scripts.core.config import demand_registry
    from scripts.registry import embedded
    from scripts.release import publish as stage
    from scripts.release import verify as check

    demand_registry(work.config)
    source = read_chart(work.config.chart)
    made = archive.load_package(work.config, source.name)
    stage.check_tree(made, source, work.helm)
    with embedded.registry_for(work) as where:
        if dry_run:
            seen = stage.probe(where, made)
            yield present.facts(seen)
            if seen.error is not None:
                raise seen.error
            return
        published = stage.publish(where, made, None, work.helm, work.say)
        check.verify(where, made, digest=published.digest)
    yield present.facts(published)
    work.say(present.pulling(work.config, published.reference))


@command(
    keys=REGISTRY,
    working_on="reading the published chart back",
    positional=("reference",) if _named(sys.argv) else (),
    reference="oci://host/path/chart:1.2.3, to look at that (default: compare what dist/ holds with the registry).",
)
def verify(work: Workspace, reference: str | None = None) -> Shown:
    """Read a published chart back: that it is whole, or the packaged one. `invoke verify oci://host/path/chart:1.2.3`."""
    from scripts import present
    from scripts.chart import archive
    from scripts.chart.source import read_chart
    from scripts.registry import embedded
    from scripts.registry.reference import parse_reference
    from scripts.release import verify as check

    if reference is not None:
        prefix, name, version, digest = parse_reference(reference)
        with embedded.registry_for(work.having(registry=prefix)) as where:
            seen = check.verify_reference(where, name, version, digest)
    else:
        chart = read_chart(work.config.chart)
        made = archive.load_package(work.config, chart.name)
        check.demand_same_version(made, chart)
        with embedded.registry_for(work) as where:
            seen = check.verify(where, made)
    yield present.facts(seen)
    work.say(present.pulling(work.config, seen.reference))


@command(
    "version-bump",
    keys=CHART,
    part="The part to raise: major, minor, patch or prerelease.",
    version="Exactly this version, in place of a part.",
    pre="Open a candidate of the part, called so: rc gives 1.4.0-rc.1; prerelease raises it, the part finishes it.",
    app_version="Give the application's version, too; the tags of Artifact Hub's images follow.",
    dry_run="Only print the diff.",
    allow_dirty="Do not mind changes that are not committed.",
)
def version_bump(
    work: Workspace,
    part: str | None = None,
    version: str | None = None,
    pre: str | None = None,
    app_version: str | None = None,
    dry_run: bool = False,
    allow_dirty: bool = False,
) -> Shown:
    """Move the chart's version everywhere it stands, all or nothing."""
    from scripts import present
    from scripts.core import edits
    from scripts.release import bump

    dirty = allow_dirty or dry_run
    with contextlib.nullcontext() if dry_run else bump.alone(work):
        plan = bump.read_bump(work, part=part, version=version, pre=pre, app_version=app_version, dirty=dirty)
        if not dry_run:
            edits.apply(plan.edits)
    yield present.bumped(plan, dry_run=dry_run)
    if not dry_run:
        work.say(f'next: git commit --all --message "{bump.commit_message(plan.name, plan.new)}" && invoke release')


@command(
    keys=REGISTRY,
    bump="First raise this part of the version, and commit: major, minor, patch or prerelease.",
    pre="Raise it to a candidate called so: with rc, minor of 1.3.2 is 1.4.0-rc.1.",
    tag="Make an annotated git tag once the published chart was read back.",
    dry_run="Only print the plan.",
    yes="Publish without asking.",
    allow_dirty="Release changes of the chart that are not committed.",
)
def release(
    work: Workspace,
    bump: str | None = None,
    pre: str | None = None,
    tag: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    allow_dirty: bool = False,
) -> Shown:
    """Lint, validate, package, publish, verify and tag the chart: what of that is not done yet."""
    from scripts import present
    from scripts.core.config import demand_registry
    from scripts.release import plan

    demand_registry(work.config)
    options = plan.Options(part=bump, pre=pre, tag=tag, allow_dirty=allow_dirty)
    with plan.prepared(work, options, dry_run=dry_run) as ready:
        for note in ready.facts.notes:
            say(f"note: {note}")
        yield present.render(present.plan(ready))
        record = None
        if not dry_run:
            ready.demand_possible(committed=False)
            if ready.absent("publish") and (where := work.config.registry):
                question = f"Publish {ready.package.name} {ready.package.version} to {where}?"
                demand_approval(question, yes=yes)
            with working(f"releasing {ready.package.name} {ready.package.version}"):
                record = ready.run()
        yield present.released(ready, record)
        if record is not None and ready.absent():
            work.say(present.after_release(work.config, record, bumped=bump is not None))
        if dry_run:
            ready.demand_possible()


@command("registry", at_once=True, port="The port on 127.0.0.1 (0: a free one).")
def serve_registry(work: Workspace, port: str = "5000") -> Shown:
    """Serve the embedded registry until Ctrl-C, to pull from it what was published."""
    from scripts import present
    from scripts.core.config import whole_number
    from scripts.registry import embedded

    number = whole_number(port, "--port", most=65535)
    for where, pulls in embedded.serve(work.config.embedded_registry, work, port=number):
        yield present.Answer("\n".join([where.prefix, *pulls]), {"prefix": where.prefix, "pull": pulls})


@command(
    keys=CHART,
    scenario="Only this scenario; repeatable (--dry-run names them).",
    from_="Versions to upgrade from, beside the first published one: last:N, or versions with commas.",
    keep_cluster="Keep the kind cluster for the next run, which finds it ready.",
    kube_context="Run on the cluster of this kubeconfig context, in namespaces of its own.",
    images="Prefix of the services' images in a registry: registry/path for registry/path/ingress:1.",
    selfcheck="Only the negative control: a sabotaged chart must lose requests.",
    yes="Do not ask before running on a cluster that is not ours.",
    dry_run="Only show what would be done.",
)
def e2e(
    work: Workspace,
    scenario: Many = None,
    from_: str = "last:1",
    keep_cluster: bool = False,
    kube_context: str = "",
    images: str = "",
    selfcheck: bool = False,
    yes: bool = False,
    dry_run: bool = False,
) -> Shown:
    """Install, upgrade, roll back and disrupt the packaged chart on a kind cluster, and count lost requests."""
    from scripts import present
    from scripts.e2e import run as smoke

    chosen = tuple(dict.fromkeys((*(scenario or ()), *(["selfcheck"] if selfcheck else []))))
    options = smoke.Options(
        **({"scenarios": chosen} if chosen else {}),
        sources=from_,
        keep=keep_cluster,
        context=kube_context,
        images=images,
    )
    plan = smoke.plan(work.config, options)
    if dry_run or kube_context:
        yield "\n".join(plan)
    if not dry_run:
        if kube_context:
            demand_approval(f"Run on the cluster of {kube_context}?", yes=yes)
        report = smoke.run(work, options)
        yield present.Answer("\n".join(report.lines()), report.to_dict())
        smoke.demand_passed(report)


@command(
    working_on="rolling out",
    verb="install, upgrade or rollback.",
    chart="Folder, archive or oci:// reference (default: [tool.gati] chart).",
    release="The release (default: the chart's name).",
    namespace="Its namespace, made by install where it is not there (default: the release's name).",
    kube_context="Context of the kubeconfig (default: the current one).",
    revision="Roll back to this revision (default: the last one before that was rolled out to its end).",
    deadline="Seconds until all of it must be ready.",
    undo="Go back to what was before where it fails.",
    dry_run="Only show the helm command that this comes to.",
)
def rollout(
    work: Workspace,
    verb: str,
    chart: str = "",
    release: str = "",
    namespace: str = "",
    kube_context: str = "",
    values: Many = None,
    revision: str = "0",
    deadline: str = "300",
    undo: bool = False,
    dry_run: bool = False,
) -> Shown:
    """Install, upgrade or roll back a release, wait for it, and say first why it fails."""
    from scripts import present
    from scripts.core.config import whole_number
    from scripts.rollout.operate import Order, operate, preview

    number, seconds = whole_number(revision, "--revision"), whole_number(deadline, "--deadline", least=1)
    files = tuple(Path(file) for file in values or ())
    order = Order(verb, chart, release, namespace, kube_context, files, number, seconds, undo)
    yield preview(work, order) if dry_run else present.facts(operate(work, order))
