"""The tasks of `invoke`: each reads its flags, calls `scripts` and prints what comes back.

Nothing but invoke is imported before a task runs, so that `invoke --list` stays quick.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

if TYPE_CHECKING:
    from scripts.containers.stack import Stack
    from scripts.core.command import Runner
    from scripts.core.config import Config
    from scripts.toolchain.finder import Toolchain

ROOT = Path(__file__).resolve().parent
Many = list[str] | None  # a repeatable flag: invoke gives the list, and makes one only where the default is None
COMMON = {"chart": "Chart folder (default: [tool.gati] chart).", "json": "Print JSON for a machine to read."}


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turns an expected failure into its message on stderr and exit code 1, and Ctrl-C into 130."""
    try:
        from scripts.core.errors import ReleaseError
        from scripts.core.interrupt import interruptible

        with interruptible():
            try:
                yield
            except ReleaseError as error:
                raise Exit(f"error: {error}", code=1) from None
            except OSError as error:  # a full /tmp, a file that may not be read
                raise Exit(f"error: {error}", code=1) from None
    except KeyboardInterrupt:
        raise Exit("stopped; what ran was ended and temporary files are gone", code=130) from None


def say(text: str) -> None:
    """One line of progress, on stderr: stdout is for results."""
    print(f"{text}\n", end="", file=sys.stderr, flush=True)  # in one piece, as threads say things at the same time


@contextlib.contextmanager
def working(text: str) -> Iterator[None]:
    """While the block runs, a terminal shows `text` and that we are alive; a log gets lines of `say` alone."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


def setup(ctx: Context, **overrides: Any) -> tuple[Config, Runner, Toolchain]:
    """The three values that every task starts from; `invoke --echo` shows each command that runs."""
    from scripts.core.command import Runner
    from scripts.core.config import load_config
    from scripts.toolchain.finder import Toolchain

    config = load_config(ROOT, **overrides)
    runner = Runner(echo=say if ctx.config.run.echo else None)
    return config, runner, Toolchain(config.cache_dir, runner, say=say)


@task(
    iterable=["only"],
    help={
        "build": "Build what is missing instead of only looking.",
        "only": "Only this tool; repeatable.",
        "json": COMMON["json"],
        "dry-run": "Only look.",
    },
)
def tools(ctx: Context, build: bool = False, only: Many = None, dry_run: bool = False, json: bool = False) -> None:
    """Show each pinned tool: its version, where it was found, its state."""
    with told():
        from scripts import present

        _, _, chain = setup(ctx)
        if build and not dry_run:
            with working("building what is missing"):
                chain.paths(only or [row.name for row in chain.survey()])
        print(present.render(present.tools(chain.survey(only)), json=json))


@task(name="node-image", help={"json": COMMON["json"], "dry-run": "Only show what would be pulled or built."})
def node_image(ctx: Context, dry_run: bool = False, json: bool = False) -> None:
    """Pull or build the image of the test cluster's nodes, unless it is there already."""
    with told():
        from scripts import present
        from scripts.containers import engine, node_image

        config, runner, chain = setup(ctx)
        if dry_run:
            ways = {"pull": engine.canonical(config.node_image), "build": node_image.built_reference(chain)}
            if config.images != "auto":
                ways.pop("build" if config.images == "registry" else "pull")
            with engine.connect() as client:
                there = next((name for name in ways.values() if engine.find_image(client, name)), None)
            plan = {"there": there, "otherwise": {} if there else ways}
            told_plan = there or ", else ".join(f"{way} {name}" for way, name in ways.items())
            print(present.to_json(plan) if json else told_plan)
            return
        image = node_image.node_image(config, runner, chain, say=say)
        print(present.to_json(image) if json else image.reference)


@task(
    help={
        "version": "Build this version only (default: 1 and 2).",
        "json": COMMON["json"],
        "dry-run": "Only show what would be built.",
    }
)
def images(ctx: Context, version: str = "", json: bool = False, dry_run: bool = False) -> None:
    """Build the images of the reference services; takes no time when nothing changed."""
    with told():
        from scripts import present
        from scripts.containers import engine
        from scripts.containers.images import VERSIONS, build_services, plan_services

        config, runner, _ = setup(ctx)
        with engine.connect() as client:
            versions = (version,) if version else VERSIONS
            if dry_run:
                plan = plan_services(config, client, versions=versions)
                print(present.render(present.planned_images(plan), json=json))
                return
            built = build_services(config, client, runner, say, versions=versions)
        print(present.render(present.images(built), json=json))


@contextlib.contextmanager
def stack_of(ctx: Context, *, replicas: str = "1", monitoring: bool = False) -> Iterator[Stack]:
    """The compose stack of a person, and the engine it runs on while the block lasts."""
    with told():
        from scripts.containers import engine
        from scripts.containers.stack import MOST_REPLICAS, Stack
        from scripts.core.config import whole_number

        config, runner, chain = setup(ctx)
        count = whole_number(replicas, "--replicas", least=1, most=MOST_REPLICAS)
        with engine.connect() as client:
            yield Stack(config, client, runner, chain.path("compose"), say, replicas=count, monitoring=monitoring)


@task(
    help={
        "version": "Version of the images; another one than runs is an upgrade or a rollback.",
        "replicas": "Replicas of ingress; from 2 on a balancer stands before them, and no upgrade loses a request.",
        "monitoring": "Start Prometheus too.",
        "build": "Build the images first (--no-build: use what is there).",
        "dry-run": "Only show what would be started.",
    }
)
def up(
    ctx: Context,
    version: str = "1",
    replicas: str = "1",
    monitoring: bool = False,
    build: bool = True,
    dry_run: bool = False,
) -> None:
    """Start the reference services with docker compose and wait until they are healthy."""
    with stack_of(ctx, replicas=replicas, monitoring=monitoring) as stack:
        if dry_run:
            print("\n".join(stack.preview(version, build=build)))
            return
        if build:
            stack.build(version)
        stack.up(version)
        print(f"ingress answers at {stack.url}")


@task(help={"dry-run": "Only show what would be removed."})
def down(ctx: Context, dry_run: bool = False) -> None:
    """Stop the compose stack and remove all that belongs to it."""
    with stack_of(ctx) as stack:
        if dry_run:
            print("\n".join(str(container.name) for container in stack.containers()) or "nothing is running")
        else:
            stack.down()


SOURCES = {**COMMON, "values": "A further values file, beside the chart's own; repeatable."}
MATRIX = {**SOURCES, "kube-version": "Only this Kubernetes minor (1.30); repeatable."}


@task(iterable=["values"], help={**SOURCES, "strict": "Fail on warnings too."})
def lint(ctx: Context, chart: str | None = None, values: Many = None, strict: bool = False, json: bool = False) -> None:
    """Check the chart's sources: helm lint, YAML, Chart.yaml, values, changelog."""
    with told():
        from scripts import present
        from scripts.checks import lint as stage
        from scripts.core import files

        config, runner, chain = setup(ctx, chart=chart)
        with working("checking the chart's sources"):
            outcome = stage.lint(config, chain, runner, values=map(Path, values or ()))
        print(present.render(present.lint(outcome), json=json) if json or outcome.findings else outcome.summary())
        files.write_atomic(config.result(outcome.chart.name, "lint.json"), present.to_json(outcome.report()))
        stage.demand_clean(outcome, strict=strict)


@task(
    iterable=["values", "kube_version"],
    help={
        **MATRIX,
        "diff": "Compare with a published version or git revision.",
        "dry-run": "Render, and write nothing.",
    },
)
def template(
    ctx: Context,
    chart: str | None = None,
    values: Many = None,
    kube_version: Many = None,
    diff: str | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Render every values file for every supported Kubernetes into dist/NAME.manifests."""
    with told():
        from scripts import present
        from scripts.checks import matrix
        from scripts.checks.compare import compare

        config, runner, chain = setup(ctx, chart=chart)
        files = [Path(file) for file in values or ()]
        plan = matrix.read_plan(config, chain, values=files, kube_versions=kube_version or (), say=say)
        with working("rendering"):
            renders = matrix.render(plan, chain, runner)
            index = matrix.make_index(plan, renders)
            if diff:
                change = compare(config, chain, runner, diff, plan, renders, values=files, say=say)
                index["difference"] = change.report()
        if not dry_run:
            matrix.store(plan, renders, config.result(plan.chart.name, "manifests"))
        if json or (renders and not diff):
            print(present.render(present.matrix(renders, index), json=json))
        elif diff:
            print("\n".join(change.lines()))


@task(
    name="kubeconform-check",
    iterable=["values", "kube_version"],
    help={**MATRIX, "junit": "Write the verdict to this file as JUnit XML, too."},
)
def kubeconform_check(
    ctx: Context,
    chart: str | None = None,
    values: Many = None,
    kube_version: Many = None,
    junit: str | None = None,
    json: bool = False,
) -> None:
    """Check every rendered object against the schemas of every supported Kubernetes."""
    with told():
        from scripts import present
        from scripts.checks import validate
        from scripts.core import files

        config, runner, chain = setup(ctx, chart=chart)
        further, minors = map(Path, values or ()), kube_version or ()
        with working("rendering and checking"):
            outcome = validate.check_chart(config, chain, runner, values=further, kube_versions=minors, say=say)
        print(present.render(present.problems(outcome), json=json) if json or outcome.problems() else outcome.summary())
        files.write_atomic(
            config.result(outcome.plan.chart.name, "kubeconform.json"), present.to_json(outcome.report())
        )
        if junit:
            files.write_atomic(Path(junit), validate.junit(outcome.checked))
        validate.demand_valid(outcome)


PUBLISHING = {
    "chart": COMMON["chart"],
    "registry": "oci://host/path to publish to (default: [tool.gati] registry; empty: the embedded one).",
    "plain-http": "Speak HTTP to a registry that is not on loopback.",
    "json": COMMON["json"],
}


@task(help={**COMMON, "dry-run": "Pack, say what comes of it, and write nothing."})
def package(ctx: Context, chart: str | None = None, dry_run: bool = False, json: bool = False) -> None:
    """Package the chart into dist/: the same files give the same bytes everywhere."""
    with told():
        from scripts import present
        from scripts.chart.helm import Helm
        from scripts.chart.source import read_chart
        from scripts.release import package as stage

        config, runner, chain = setup(ctx, chart=chart)
        helm = Helm(chain.path("helm"), runner)
        made = stage.package(config, read_chart(config.chart), helm, say, dry_run=dry_run)
        print(present.facts(made, json=json))


@task(help={**PUBLISHING, "dry-run": "Only ask the registry what it holds."})
def publish(
    ctx: Context,
    chart: str | None = None,
    registry: str | None = None,
    plain_http: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Publish the packaged chart, unless it is there already, and read it back."""
    with told():
        from scripts import present
        from scripts.chart import archive
        from scripts.chart.helm import Helm
        from scripts.chart.source import read_chart
        from scripts.registry import embedded
        from scripts.release import publish as stage
        from scripts.release import verify as check

        config, runner, chain = setup(ctx, chart=chart, registry=registry, plain_http=plain_http or None)
        source = read_chart(config.chart)
        made = archive.load_package(config, source.name)
        with embedded.registry_for(config, runner, chain, say) as where:
            if dry_run:
                seen = stage.probe(where, made)
                print(present.facts(seen, json=json))
                if seen.error is not None:
                    raise seen.error
                return
            with working("publishing"):
                published = stage.publish(where, made, source, Helm(chain.path("helm"), runner), say)
                check.verify(where, made, digest=published.digest)
        if not config.registry:
            say("`invoke registry` serves it again, at another port")
        print(present.facts(published, json=json))


@task(help=PUBLISHING)
def verify(
    ctx: Context,
    chart: str | None = None,
    registry: str | None = None,
    plain_http: bool = False,
    json: bool = False,
) -> None:
    """Read the published chart back and compare it with the packaged one."""
    with told():
        from scripts import present
        from scripts.chart import archive
        from scripts.chart.source import read_chart
        from scripts.registry import embedded
        from scripts.release import verify as check

        config, runner, chain = setup(ctx, chart=chart, registry=registry, plain_http=plain_http or None)
        made = archive.load_package(config, read_chart(config.chart).name)
        with embedded.registry_for(config, runner, chain, say) as where:
            print(present.facts(check.verify(where, made), json=json))


@task(
    name="version-bump",
    help={
        "part": "The part to raise: major, minor, patch or prerelease.",
        "version": "Exactly this version, in place of a part.",
        "app-version": "Give the application's version, too; the tags of Artifact Hub's images follow.",
        "dry-run": "Only print the diff.",
        "allow-dirty": "Do not mind changes that are not committed.",
        "chart": COMMON["chart"],
        "json": COMMON["json"],
    },
)
def version_bump(
    ctx: Context,
    part: str | None = None,
    version: str | None = None,
    app_version: str | None = None,
    chart: str | None = None,
    dry_run: bool = False,
    allow_dirty: bool = False,
    json: bool = False,
) -> None:
    """Move the chart's version everywhere it stands, all or nothing."""
    with told():
        from scripts import present
        from scripts.chart.source import read_chart
        from scripts.core import edits
        from scripts.core.errors import RegistryError
        from scripts.core.git import find_repository
        from scripts.registry import embedded
        from scripts.release import bump

        config, runner, chain = setup(ctx, chart=chart)
        source, repository = read_chart(config.chart), find_repository(config.chart, runner)
        if not (allow_dirty or dry_run):
            bump.demand_clean(repository)
        published: tuple[str, ...] = ()
        try:
            with embedded.registry_in_use(config, runner, chain, say) as registry:
                published = bump.published_versions(source, registry)
        except RegistryError as error:
            say(f"the registry cannot be asked, so its versions are not compared: {error.message}")
        plan = bump.plan_bump(
            config,
            date=bump.release_day(),
            part=part,
            version=version,
            app_version=app_version,
            tagged=bump.tagged_versions(source, repository),
            published=published,
        )
        if not dry_run:
            edits.apply(plan.edits)
        print(present.bumped(plan, dry_run=dry_run, json=json))


@task(
    name="release",
    help={
        **PUBLISHING,
        "bump": "First raise this part of the version, and commit: major, minor, patch or prerelease.",
        "tag": "Make an annotated git tag once the published chart was read back.",
        "dry-run": "Only print the plan.",
        "yes": "Publish without asking.",
        "allow-dirty": "Release changes of the chart that are not committed.",
    },
)
def release_chart(
    ctx: Context,
    chart: str | None = None,
    registry: str | None = None,
    plain_http: bool = False,
    bump: str | None = None,
    tag: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    allow_dirty: bool = False,
    json: bool = False,
) -> None:
    """Lint, validate, package, publish, verify and tag the chart: what of that is not done yet."""
    with told():
        from scripts import present
        from scripts.release import plan as release

        config, runner, chain = setup(ctx, chart=chart, registry=registry, plain_http=plain_http or None)
        options = release.Options(part=bump, tag=tag, allow_dirty=allow_dirty)
        with release.prepared(config, chain, runner, options, dry_run=dry_run, say=say) as ready:
            if not json:
                print(present.render(present.plan(ready)), flush=True)
            record = None
            if not dry_run:
                ready.demand_possible(committed=False)
                if ready.absent("publish") and config.registry and not yes:
                    demand_approval(f"Publish {ready.package.name} {ready.package.version} to {config.registry}?")
                record = ready.run()
        print(present.released(ready, record, json=json))
        if dry_run:
            ready.demand_possible()


def demand_approval(question: str) -> None:
    """Ask on the terminal whether to do what cannot be taken back; only y and yes are a yes."""
    if not sys.stdin.isatty():
        raise Exit(f"error: {question} Nobody can answer here.\n  next:     invoke release --yes", code=1)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Exit("not released", code=1)


@task(name="registry", help={"port": "The port on 127.0.0.1 (0: a free one)."})
def serve_registry(ctx: Context, port: str = "5000") -> None:
    """Serve the embedded registry until Ctrl-C, to pull from it what was published."""
    with told():
        from scripts.core.config import whole_number
        from scripts.registry import embedded

        config, runner, chain = setup(ctx)
        number = whole_number(port, "--port", most=65535)
        with embedded.embedded(config.embedded_registry, runner, chain, say, port=number) as where:
            print(where.prefix, flush=True)
            signal.pause()


@task(
    iterable=["scenario"],
    help={
        "scenario": "Only this scenario; repeatable (--dry-run names them).",
        "from": "Versions to upgrade from, beside the first published one: last:N, or versions with commas.",
        "keep-cluster": "Keep the kind cluster for the next run, which finds it ready.",
        "kube-context": "Run on the cluster of this kubeconfig context, in namespaces of its own.",
        "images": "Prefix of the services' images in a registry: registry/path for registry/path/ingress:1.",
        "selfcheck": "Only the negative control: a sabotaged chart must lose requests.",
        "chart": COMMON["chart"],
        "yes": "Do not ask before running on a cluster that is not ours.",
        "dry-run": "Only show what would be done.",
        "json": COMMON["json"],
    },
)
def e2e(
    ctx: Context,
    scenario: Many = None,
    from_: str = "last:1",
    keep_cluster: bool = False,
    kube_context: str = "",
    images: str = "gati",
    selfcheck: bool = False,
    chart: str | None = None,
    yes: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Install, upgrade, roll back and disrupt the packaged chart on a kind cluster, and count lost requests."""
    with told():
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
        config, runner, chain = setup(ctx, chart=chart)
        plan = smoke.plan(config, options)
        if dry_run:
            print("\n".join(plan))
            return
        if kube_context:
            say("\n".join(plan))
            if not yes and not (sys.stdin.isatty() and input("go on? [y/N] ").strip().lower() in ("y", "yes")):
                raise Exit("nothing was done; --yes answers the question", code=1)
        report = smoke.run(config, chain, runner, options, say)
        print(present.to_json(report.to_dict()) if json else "\n".join(report.lines()))
        smoke.demand_passed(report)
