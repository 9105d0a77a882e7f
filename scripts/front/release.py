"""The tasks that lead from a chart to a published version."""

from __future__ import annotations

import contextlib
import itertools
import sys
from typing import TYPE_CHECKING

from scripts.front.command import CHART, REGISTRY, Many, command, demand_approval, for_each, working

if TYPE_CHECKING:
    from scripts.front.command import Shown
    from scripts.workspace import Workspace


@command(
    example="--json",
    keys=CHART,
    version="The chart's version, in place of a placeholder in Chart.yaml.",
    app_version="The appVersion, in place of a placeholder in Chart.yaml.",
    dry_run="Pack, say what comes of it, and write nothing.",
)
def package(
    work: Workspace, version: str | None = None, app_version: str | None = None, dry_run: bool = False
) -> Shown:
    """Package the chart into dist/: the same files give the same bytes everywhere."""
    from scripts import present
    from scripts.chart.archive import Given
    from scripts.chart.source import read_chart
    from scripts.core.errors import PartError
    from scripts.core.semver import parse
    from scripts.release import package as stage

    if version:
        parse(version, "--version", PartError)
    chart, given = read_chart(work.config.chart), Given(version, app_version) if version or app_version else None
    yield present.facts(stage.package(work.config, chart, work.helm, work.say, given=given, dry_run=dry_run))
    if not dry_run:
        work.say("next: invoke publish")


@command(
    example="--allow-dirty",
    keys=REGISTRY,
    working_on="publishing",
    allow_dirty="Publish what is not committed.",
    dry_run="Only ask the registry what it holds.",
)
def publish(work: Workspace, allow_dirty: bool = False, dry_run: bool = False) -> Shown:
    """Publish the packaged chart, unless it is there already, and read it back."""
    from scripts import present
    from scripts.core.config import demand_registry
    from scripts.registry import embedded
    from scripts.registry.client import LAG
    from scripts.release import publish as stage
    from scripts.release import verify as check

    demand_registry(work.config)
    made, chart = check.packaged(work)
    stage.check_tree(made, chart, work.helm)
    with embedded.registry_for(work) as where:
        if not allow_dirty:
            stage.demand_committed(work)
        if dry_run:
            seen = stage.probe(where, made)
            yield present.facts(seen)
            if seen.error is not None:
                raise seen.error
            return
        published = stage.publish(where, made, None, work.helm, work.say)
        check.verify(where, made, digest=published.digest, patience=LAG)
    yield present.facts(published)
    work.say(present.pulling(embedded.as_spoken(work), published.reference))


def _named(words: list[str]) -> bool:
    """Whether a reference stands by itself on the command line: with Invoke no positional argument may be absent."""
    if "verify" not in words:  # so that no other task loads what knows a reference
        return False
    from scripts.registry.reference import is_reference

    return any(is_reference(word) and before not in ("--registry", "-r") for before, word in itertools.pairwise(words))


@command(
    example="--json",
    keys=REGISTRY,
    working_on="reading the published chart back",
    apart=("reference registry",),
    positional=("reference",) if _named(sys.argv) else (),
    reference="oci://host/path/chart[:VERSION|@DIGEST], to look at that (default: compare dist/ with the registry).",
    require="What has to be there and pass: signature, e2e, provenance, sbom, rebuild, ...; repeatable, or by commas.",
    key="Whose signature is believed: a public key, as a file or a KMS reference.",
    identity="Whose certificate is believed: who signed, such as the address of a workflow; needs --issuer.",
    issuer="Who says so: the OIDC issuer, such as https://token.actions.githubusercontent.com.",
    trusted_root="Sigstore's trusted root, for other authorities than the public ones.",
    keyring="The PGP keys whose .prov is believed, as gpg --export writes them.",
    rebuild="Pack the commit that the provenance names again, and compare the bytes.",
)
def verify(
    work: Workspace,
    reference: str | None = None,
    require: Many = None,
    key: str | None = None,
    identity: str | None = None,
    issuer: str | None = None,
    trusted_root: str | None = None,
    keyring: str | None = None,
    rebuild: bool = False,
) -> Shown:
    """Check a published chart and what speaks for it: `invoke verify oci://host/path/chart`; or what dist/ holds."""
    from scripts import present
    from scripts.core.errors import UsageError
    from scripts.registry import embedded
    from scripts.registry.reference import parse_published
    from scripts.release import proof, sign
    from scripts.release import verify as check

    flags = {"key": key, "identity": identity, "issuer": issuer, "trusted-root": trusted_root, "keyring": keyring}
    for name, value in (*flags.items(), *(("require", words) for words in require or ())):
        if value is not None and not value.strip(" ,"):  # a variable that is not set would switch the check off
            raise UsageError(f"--{name} is given, and empty", run=f"give it a value, or leave out --{name}")
    required = tuple(word for words in require or () for word in words.split(",") if word)
    trust = sign.Trust(key or "", identity or "", issuer or "", trusted_root or "")
    demand = proof.Demand(required, trust, keyring or "", rebuild)
    if reference is not None:
        prefix, name, version, digest = parse_published(reference)
        work = embedded.elsewhere(work, prefix)
        with embedded.registry_for(work) as where:
            found = proof.prove(work, where, name, version, digest, demand)
        yield present.proof(found)
        found.demand()
        work.say(present.pulling(embedded.as_spoken(work), found.reference))
    elif demand != proof.Demand():
        raise UsageError("which published chart is to show that is not said", run="invoke verify oci://host/path/chart")
    else:
        made, _ = check.packaged(work)
        with embedded.registry_for(work) as where:
            seen = check.verify(where, made)
        yield present.facts(seen)
        work.say(present.pulling(embedded.as_spoken(work), seen.reference))


@command(
    "version-bump",
    example="--part minor --dry-run",
    keys=CHART,
    part="The part to raise: major, minor, patch or prerelease; auto: the one that the judge asks for.",
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
    from scripts.core.git import find_repository
    from scripts.release import bump
    from scripts.release.judging import judged_bump

    dirty = allow_dirty or dry_run
    with contextlib.nullcontext() if dry_run else bump.alone(work):
        plan = judged_bump(work, part=part, version=version, pre=pre, app_version=app_version, dirty=dirty)
        if not dry_run:
            edits.apply(plan.edits)
    yield present.bumped(plan, dry_run=dry_run)
    if not dry_run:
        commit = f'git commit --all --message "{bump.commit_message(plan.name, plan.new)}" && '
        work.say(f"next: {commit if find_repository(work.config.chart, work.runner) else ''}invoke release")


@command(
    example="--dry-run --allow-dirty",
    keys=(*REGISTRY, "signing_key"),
    apart=("all_ changed",),
    signing_key="Sign with this: a file, env://NAME, a KMS reference, or keyless (default: [tool.gati] signing_key).",
    bump="First raise this part of the version, and commit: major, minor, patch or prerelease.",
    pre="Raise it to a candidate called so: with rc, minor of 1.3.2 is 1.4.0-rc.1.",
    tag="Make an annotated git tag once the published chart was read back.",
    dry_run="Only print the plan.",
    yes="Publish without asking.",
    allow_dirty="Release changes of the chart that are not committed.",
    require="What has to be shown beforehand: e2e, that the smoke test passed with these very bytes; repeatable.",
)
def release(
    work: Workspace,
    bump: str | None = None,
    pre: str | None = None,
    tag: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    allow_dirty: bool = False,
    all_: bool = False,
    changed: str | None = None,
    require: Many = None,
) -> Shown:
    """Lint, validate, package, publish, verify and tag the chart: what of that is not done yet."""
    from scripts import present
    from scripts.chart.selection import selected
    from scripts.core.config import demand_choices, demand_registry
    from scripts.registry import embedded
    from scripts.release import plan, several

    demand_registry(work.config)
    required = demand_choices("require", require or work.config.require)
    options = plan.Options(part=bump, pre=pre, tag=tag, allow_dirty=allow_dirty, require=required)
    if all_ or changed:
        charts = selected(work.config, work.runner, changed=changed)
        found = several.candidates(work, charts, options, dry_run=dry_run)
        for_each((chart, step.refusal) for chart, step in found)
        yield present.candidates(found)
        several.demand_possible(found)
        names = ", ".join(chart.title for chart, step in found if step.state == "absent")
        if names and not dry_run:
            if where := work.config.registry:
                demand_approval(f"Publish {names} to {where}?", yes=yes)
            yield present.all_released(several.release_all(work, found, options))
        return
    with contextlib.ExitStack() as stack:
        with working("reading what there is"):
            ready = stack.enter_context(plan.prepared(work, options, dry_run=dry_run))
        for note in ready.facts.notes:
            work.say(f"note: {note}")
        yield present.render(present.plan(ready))
        record = None
        if not dry_run:
            ready.demand_possible(committed=False)
            if ready.absent("publish") and (where := work.config.registry):
                demand_approval(f"Publish {ready.package.title} to {where}?", yes=yes)
            with working(f"releasing {ready.package.title}"):
                record = ready.run()
        yield present.released(ready, record)
        if record is not None and (ready.absent() or ready.waiting or ready.unpushed):
            work.say(present.after_release(embedded.as_spoken(work), ready, record))
        if dry_run:
            ready.demand_possible()


@command(
    "new-chart",
    example="mychart --dry-run",
    positional=("path",),
    path="The folder of a chart; where it does not exist, the chart that helm begins with is made there.",
    toolkit="How a workflow names this repository: OWNER/NAME@REVISION.",
    dry_run="Only say what would be written.",
)
def new_chart(work: Workspace, path: str, toolkit: str = "", dry_run: bool = False) -> Shown:
    """Put configuration, workflow, changelog and values sets beside a chart; what is there stays."""
    from pathlib import Path

    from scripts import new_chart as stage
    from scripts import present

    made = stage.new_chart(work, Path(path), toolkit=toolkit or stage.TOOLKIT, dry_run=dry_run)
    yield present.begun(made, dry_run=dry_run)
    if not toolkit:
        work.say(f"the workflow names {stage.TOOLKIT}: write your copy of this repository there, or give --toolkit")


@command("registry", example="--port 0", at_once=True, port="The port on 127.0.0.1 (0: a free one).")
def serve_registry(work: Workspace, port: str = "5000") -> Shown:
    """Serve the embedded registry until Ctrl-C, to pull from it what was published."""
    from scripts import present
    from scripts.core.config import whole_number
    from scripts.registry import embedded

    number = whole_number(port, "--port", most=65535)
    for where, pulls in embedded.serve(work.config.embedded_registry, work, port=number):
        yield present.Answer("\n".join([where.prefix, *pulls]), {"prefix": where.prefix, "pull": pulls})
