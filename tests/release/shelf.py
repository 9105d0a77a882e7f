"""A published chart with what is attached to it, for tests that take some of that away or put something else there."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from scripts.registry.client import INDEX_TYPE, Client, Found, connect, referrers_tag
from scripts.registry.reference import Registry
from scripts.registry.referrers import Attachment, attach, attached, content_of, read_referrer
from scripts.release.plan import Options, prepared
from scripts.release.proof import Demand, Proof, prove
from scripts.release.statements import to_bytes
from tests.release.conftest import TODAY, Project
from tests.release.reports import report, write_report

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: demo}
spec:
  containers: [{name: demo, image: "example.org/demo:{{ .Chart.AppVersion }}"}]
"""


class Shelf:
    """The published chart in a registry that is served during the test, and what is attached to it."""

    def __init__(self, project: Project, registry: Registry, version: str = "1.2.0") -> None:
        self.project, self.registry = project, registry
        self.reference = registry.reference("demo", version)

    def client(self) -> Any:
        return connect(self.registry, push=True)

    def subject(self, client: Client) -> Found:
        found = client.manifest(self.reference)
        assert found is not None
        return found

    def contents(self) -> dict[str, bytes]:
        """What is attached, by its key."""
        with self.client() as client:
            digest = self.subject(client).digest
            return {
                one.key: content_of(client, self.reference, read_referrer(client, self.reference, digest, one.digest))
                for one in attached(client, self.reference, digest)
            }

    def add(self, kind: str, content: bytes, **annotations: str) -> None:
        """Attach something more, as anybody can who may push."""
        with self.client() as client:
            told = Attachment(
                kind, kind, "file", content, {key.replace("__", "."): v for key, v in annotations.items()}
            )
            attach(client, self.reference, self.subject(client), [told], "2026-01-01T00:00:00Z")

    def take(self, key: str) -> Any:
        """Take off the list what has this key, as one can who may push; how it stood there."""
        with self.client() as client:
            subject = self.subject(client)
            listed = client.referrers(self.reference, subject.digest)
            gone = [one.digest for one in attached(client, self.reference, subject.digest) if one.key == key]
            left = [one for one in listed if one["digest"] not in gone]
            (was,) = [one for one in listed if one["digest"] in gone]
            index = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": left}).encode()
            client.put_manifest(self.reference.repository, referrers_tag(subject.digest), index, INDEX_TYPE)
        return was

    def replace(self, key: str, change: Callable[[bytes], bytes]) -> None:
        """Take off the list what has this key, and attach something else."""
        old, was = self.contents()[key], self.take(key)
        kind, annotations = was["artifactType"], was["annotations"]
        told = Attachment(kind, kind, "file", change(old), annotations)
        with self.client() as client:
            attach(
                client, self.reference, self.subject(client), [told], annotations["org.opencontainers.image.created"]
            )

    @contextlib.contextmanager
    def listed(self) -> Iterator[None]:
        """Puts the list of what is attached back as it was."""
        with self.client() as client:
            digest = self.subject(client).digest
            before = self.index(client, digest)
        yield
        with self.client() as client:
            client.put_manifest(self.reference.repository, referrers_tag(digest), before, INDEX_TYPE)

    def index(self, client: Client, digest: str) -> bytes:
        found = client.manifest(replace(self.reference, version=referrers_tag(digest)))
        assert found is not None
        return found.content

    def prove(self, version: str | None = "1.2.0", digest: str | None = None, **demand: Any) -> Proof:
        return prove(self.project.work, self.registry, "demo", version, digest, Demand(**demand))

    def states(self, **demand: Any) -> dict[str, str]:
        return {one.check: one.state for one in self.prove(**demand).checks}

    def detail(self, check: str, **demand: Any) -> str:
        """Why a row failed."""
        (found,) = [one for one in self.prove(**demand).checks if one.check == check]
        assert found.state == "failed", found
        return found.detail


def deploying(project: Project) -> Project:
    """The project with a chart that deploys an image, and the report of a smoke test that it has passed."""
    (project.config.chart / "templates" / "pod.yaml").write_text(POD)
    (project.config.chart / "values-prod.yaml").write_text("replicas: 3\n")
    project.commit("Deploy something")
    with prepared(project.work, Options(), today=TODAY, dry_run=True) as ready:
        write_report(project.config, report(ready.package.sha256))
    return project


def changed(**values: Any) -> Callable[[bytes], bytes]:
    """Content that is JSON, with other values at "a/b/0"."""

    def change(content: bytes) -> bytes:
        told = json.loads(content)
        for path, value in values.items():
            *way, last = path.split("/")
            at = told
            for word in way:
                at = at[int(word) if word.isdigit() else word]
            at[int(last) if last.isdigit() else last] = value
        return to_bytes(told)

    return change
