"""Publishes a packaged chart once: asks the registry first, pushes only what is absent, never overwrites."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from scripts.chart.archive import Package, changed_files, chart_metadata, pack
from scripts.chart.helm import Helm
from scripts.chart.manifest_digest import MANIFEST_TYPE, pushed_config, pushed_manifest
from scripts.chart.source import Chart
from scripts.core.config import Config
from scripts.core.errors import (
    REFUSED,
    SAME_COMMAND,
    ChartError,
    CommandFailed,
    CommandTimeout,
    ConfigError,
    RegistryError,
    ReleaseError,
)
from scripts.core.files import sha256
from scripts.core.interrupt import pause
from scripts.core.owner import temporary
from scripts.core.progress import Say, silent
from scripts.core.words import some
from scripts.registry.client import LAG, LOST_UPLOAD, Client, Found, connect
from scripts.registry.credentials import login_address
from scripts.registry.reference import Reference, Registry
from scripts.release.origin import not_as_served, origin_of, uncommitted
from scripts.release.verify import demand_same_version
from scripts.workspace import Workspace

State = Literal["absent", "same", "different", "unknown"]
_REPACKED = "the same files, packed in another way (by another version of helm?)"
_SHOWN = 40  # lines of a difference
_PUSH, _SLOWEST = 300.0, 256 << 10  # seconds for a push, and bytes a second that a large one has to go with
_ATTEMPTS = 3  # for a push that fails and is not refused: what is there already is not sent again
_PAUSE = 1.0  # seconds before the second of them, twice as many before the third
# What a push may get past; 401 is a token that expired.
_LATER = re.compile(rf"status code (401|408|429|50[0-689])|{LOST_UPLOAD}")
_SETTLE, _LONGEST_SETTLE = 1.0, 30.0  # seconds, at least and at most, until somebody who pushed beside us has ended


@dataclass(frozen=True)
class Probe:
    """What a registry holds of a version: its manifest's `digest`, in words (`detail`), why it is unknown (`error`).

    Of the same archive it is also the `prov` that was pushed beside it.
    """

    state: State
    reference: str
    digest: str | None
    detail: str
    error: ReleaseError | None = None
    prov: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Publication:
    """A chart that is published: pushed now, or the same one before (`state` "pushed" or "same")."""

    reference: str
    digest: str
    state: Literal["pushed", "same"]


def probe(registry: Registry, package: Package, *, patience: float = 0) -> Probe:
    """Ask, for `patience` seconds, what stands under the version; what a registry does wrong is state "unknown"."""
    reference = registry.reference(package.name, package.version)
    try:
        with connect(registry, push=True) as client:
            return _probe(client, reference, package, patience)
    except (RegistryError, ConfigError) as error:
        return Probe("unknown", str(reference), None, error.message, error)


def demand_push(registry: Registry, package: Package) -> None:
    """Raises RegistryError where the registry says, before anything is written, that nobody like us may push there."""
    with connect(registry, push=True) as client:
        client.demand_push(package.name)


def publish(
    registry: Registry, package: Package, chart: Chart | None, helm: Helm, say: Say = silent, *, tried: bool = False
) -> Publication:
    """Push `package` where the registry holds nothing under its version, and see that the tag then names it.

    `chart` is the folder that the package was made from; None where the caller has just made it. `tried` says that
    `demand_push` was called. Raises ChartError (the archive is not the chart in the tree), RegistryError (something
    else is published, the registry's state is unknown, or the push fails).
    """
    if chart is not None:
        check_tree(package, chart, helm)
    reference = registry.reference(package.name, package.version)
    with connect(registry, push=True) as client:

        def refused(how: str) -> RegistryError:
            return _other_content(client, reference, package.path.read_bytes(), how)

        begin = time.monotonic()
        before = _probe(client, reference, package)
        if before.digest is not None and before.state == "same":
            say(before.detail)
            return Publication(str(reference), before.digest, "same")
        if before.state == "different":
            raise refused("it is published with other content")
        if not tried:
            client.demand_push(package.name)  # helm follows an upload that is led in a circle until it is ended
        say(f"pushing {reference}")
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                push(client, package.path, package.epoch, helm, package.prov)
                break
            except (CommandFailed, CommandTimeout) as error:
                after = _probe(client, reference, package, LAG if isinstance(error, CommandTimeout) else 0)
                if after.state == "different":
                    raise refused("meanwhile somebody else has published") from error
                if after.state == "same":
                    say("the push was reported as failed, but the registry holds the chart")
                    break
                failure = _push_failure(error, reference, client)
                final = failure.run and not _LATER.search(failure.found or "")
                if final or isinstance(error, CommandTimeout) or attempt == _ATTEMPTS:
                    raise failure from error
                say(f"pushing again, since it failed: {failure.found}")
                if "not found" in (failure.found or ""):  # by helm, which looks once for what it has just written
                    client.manifest(reference, digest=package.manifest_digest, patience=LAG)
                pause(_PAUSE * attempt)
        settle = min(max(_SETTLE, time.monotonic() - begin), _LONGEST_SETTLE)
        after = _probe(client, reference, package, LAG)
        if after.state == "same" and not registry.alone:
            # A registry moves a tag for whoever writes last, and has no way to write only where nothing is. So the last
            # one wins of those who found nothing there and pushed, and all others must see it: they look again after as
            # long as a push takes.
            pause(settle)
            after = _probe(client, reference, package, LAG)
        if after.state == "different":
            raise refused("while we pushed, somebody else has published")
        if after.digest is None:
            raise RegistryError(
                f"{reference} is not there after the push",
                expected=f"the chart, within {LAG:g} s",
                found=after.detail,
                run=SAME_COMMAND,  # what is there by then is not pushed a second time
            )
        if after.digest != package.manifest_digest:
            raise RegistryError(
                f"{reference} has another digest than predicted",
                expected=package.manifest_digest,
                found=after.digest,
            )
    return Publication(str(reference), after.digest, "pushed")


def stage(client: Client, reference: Reference, package: Package, archive: bytes) -> Found:
    """Upload what the tag is to name, by its digest alone: to attach to before it is seen. Raises RegistryError."""
    facts = chart_metadata(archive, str(package.path))
    manifest = pushed_manifest(archive, facts, package.created, package.prov)
    for data in (pushed_config(facts), archive, *([package.prov] if package.prov is not None else [])):
        client.put_blob(reference.repository, data)
    client.put_manifest(reference.repository, package.manifest_digest, manifest)
    return Found(package.manifest_digest, MANIFEST_TYPE, manifest)


def refusal(registry: Registry, package: Package, archive: bytes) -> RegistryError:
    """Why `package`, whose bytes are `archive`, is not published where `probe` says "different"."""
    with connect(registry, push=True) as client:
        return _other_content(client, registry.reference(package.name, package.version), archive)


def demand_committed(work: Workspace) -> None:
    """Raises GitError where the chart's archive is not made of what HEAD holds; outside of git there is no HEAD."""
    wrong = not_as_served(work.config, work.helm, work.say)
    with origin_of(work.config, work.helm, wrong=wrong) as origin:
        if found := [difference for difference in origin.differences if not (difference.benign or difference.fetched)]:
            raise uncommitted(found)


def check_tree(package: Package, chart: Chart, helm: Helm) -> None:
    """Make sure that packing the chart in the tree gives the package's bytes. Raises ChartError naming the files."""
    demand_same_version(package, chart)
    own = replace(Config(root=chart.path), chart=chart.path, changelog=chart.path / "no changelog")
    with origin_of(own, helm) as origin:
        packed, tree = package.path.read_bytes(), pack(helm, origin.chart.path, package.epoch, package.given)
    if packed != tree:
        lines = changed_files(packed, tree) or (_REPACKED,)
        raise ChartError(
            f"{package.path} is not the chart in {chart.path}",
            found="\n".join(some(lines, _SHOWN)),
            run="invoke package",
            code=REFUSED,
        )


def _probe(client: Client, reference: Reference, package: Package, patience: float = 0) -> Probe:
    """What the registry says. Raises RegistryError where it says nothing that can be relied on."""
    found = client.manifest(reference, patience=patience)
    if found is None:
        return Probe("absent", str(reference), None, f"{reference} is not published")
    state: State = "same"
    how, chart = "already, the same", found
    if found.digest != package.manifest_digest:
        state, how = "different", "with other content"
        with contextlib.suppress(RegistryError):  # something else than a chart
            chart = client.of_chart(reference, found)
            if chart.layer()[0] == f"sha256:{package.sha256}":
                state, how = "same", "already: the same archive under another manifest"
    prov = client.prov(reference, chart) if state == "same" else None
    detail = f"{reference} is published {how} ({found.digest})"
    return Probe(state, str(reference), found.digest, detail, prov=prov)


def push(client: Client, archive: Path, epoch: int, helm: Helm, prov: bytes | None = None) -> None:
    """`helm push`, whatever stands under the version; the digest depends on `epoch`, seconds since 1970.

    Raises CommandFailed, CommandTimeout.
    """
    registry = client.registry
    with temporary("push") as folder:  # without a .prov that lies beside the archive
        copy, logins = folder / archive.name, folder / "config.json"
        shutil.copyfile(archive, copy)
        if prov is not None:
            (folder / f"{archive.name}.prov").write_bytes(prov)
        os.utime(copy, (epoch, epoch))  # which helm writes into the manifest
        logins.touch(mode=0o600)
        logins.write_text(_logins(registry), encoding="utf-8")
        helm.push(
            copy,
            registry.remote,
            registry_config=logins,
            flags=registry.flags,
            deadline=_PUSH + copy.stat().st_size / _SLOWEST,
        )


def _logins(registry: Registry) -> str:
    """A file for helm with the one login; without one it says so, since helm would ask the system's keychain."""
    login, entry = registry.credentials, {}
    if login is not None:
        entry = {
            "auth": login.basic() if login.username else "",
            "identitytoken": login.identity_token,
            "registrytoken": login.access_token,
        }
    return json.dumps({"auths": {login_address(registry.host): {key: value for key, value in entry.items() if value}}})


def _push_failure(error: CommandFailed | CommandTimeout, reference: Reference, client: Client) -> RegistryError:
    words = error.stderr.strip().rpartition("Error: ")[2] or "helm gives no reason"
    if isinstance(error, CommandTimeout):
        words = f"helm push was still running after {error.deadline:g} s"
    run = client.push_refusal(reference.repository, words).run
    return RegistryError(f"{reference} cannot be pushed", found=words, run=run)


def _other_content(
    client: Client, reference: Reference, ours: bytes, how: str = "it is published with other content"
) -> RegistryError:
    """The refusal to overwrite, with what differs between the published chart and our archive."""
    return RegistryError(
        f"{reference} is not overwritten: {how}",
        expected=f"nothing, or the archive sha256 {sha256(ours)}",
        found="\n".join(some(_differences(client, reference, ours), _SHOWN)),
        run="invoke version-bump --part patch",
        code=REFUSED,
    )


def _differences(client: Client, reference: Reference, ours: bytes) -> list[str]:
    """The files that differ between the published chart and ours."""
    found = client.manifest(reference)
    if found is None:
        return ["it is gone again"]
    try:
        lines = changed_files(client.archive(reference, found), ours) or (_REPACKED,)
    except ReleaseError as error:
        return [f"digest {found.digest}, which cannot be compared: {error.message}"]
    rendered = f"invoke diff --from {reference.version} shows what they render"
    return [f"digest {found.digest}; from the published chart to this one ({rendered}):", *lines]
