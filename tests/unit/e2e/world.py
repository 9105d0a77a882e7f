"""Objects of a cluster by kind, changed as the API server would change them: what decides about them is asked here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scripts.chart.manifests import Document, Manifests
from scripts.cluster.api import Api
from scripts.core.command import Runner
from scripts.e2e.discover import NOTHING, Found
from scripts.e2e.lab import Lab, Published, Tools
from scripts.e2e.report import Journal
from scripts.e2e.subject import Question, Subject

Object = dict[str, Any]


def same(item: Object) -> Object:
    return item


class World(Api):
    """`become` says what a created object is by the time that somebody looks; `done` is what was done, in order."""

    def __init__(self, *items: Object, become: Callable[[Object], Object] = same) -> None:
        self.items = [copy.deepcopy(item) for item in items]
        self.become = become
        self.done: list[str] = []
        self.said: dict[str, str] = {}
        self.answers: dict[str, str] = {}

    def list(self, kind: str, namespace: str | None = None, **_: Any) -> tuple[Object, ...]:
        found = (item for item in self.items if item["kind"] == kind)
        return tuple(item for item in found if namespace in (None, item["metadata"].get("namespace", namespace)))

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        return next((item for item in self.list(kind, namespace) if item["metadata"]["name"] == name), None)

    def current(self, document: Mapping[str, Any], namespace: str | None = None) -> Object | None:
        return self.get(document["kind"], document["metadata"]["name"], namespace)

    def create(self, document: Object, namespace: str | None = None) -> Object:
        made = copy.deepcopy(document)
        made["metadata"] = {"uid": f"uid-{len(self.done)}", "namespace": namespace, **made["metadata"]}
        self.items.append(self.become(made))
        self.done.append(f"create {made['kind']} {made['metadata']['name']}")
        return made

    def delete(self, kind: str, name: str, namespace: str | None = None, **_: Any) -> None:
        self.done.append(f"delete {kind} {name}")
        there = self.get(kind, name, namespace)
        self.items = [item for item in self.items if item is not there]

    def patch(self, kind: str, name: str, namespace: str | None, change: Object, *, part: str = "") -> Object:
        self.done.append(f"patch {kind} {name} {change}")
        found = self.get(kind, name, namespace)
        assert found is not None
        found.setdefault("spec", {}).update(change.get("spec", {}))
        return found

    def logs(self, pod: str, *_: Any, **__: Any) -> str | None:
        return self.said.get(pod)

    def ask_pod(self, pod: str, namespace: str, *, port: object, path: str, scheme: str = "http") -> str:
        return self.answers[path]

    def kinds(self, *, refresh: bool = False) -> tuple[()]:
        return ()


class Given(Lab):
    """A lab on objects that are given; `documents` are those of the release, `commands` what kubectl says to words."""

    def __init__(
        self, api: World, *documents: Object, found: Found = NOTHING, subject: Subject | None = None, own: bool = True
    ) -> None:
        tools = Tools(*(Path(name) for name in ("helm", "kubectl", "k6")))
        chart = Published("web", "1.0.0", "sha256:0", "")
        told = subject or Subject("web")
        super().__init__(api, Runner(), tools, Path(), chart, (chart,), "here", own, told, found, deadline=5)
        self.world, self.documents = api, documents
        self.commands: list[tuple[str, ...]] = []
        self.answer: Callable[[tuple[str, ...]], str] = lambda _: ""

    def manifest(self, namespace: str, *, hooks: bool = False) -> Manifests:
        return Manifests(tuple(one for one in map(Document, self.documents) if bool(one.hook) == hooks))

    def kubectl(self, namespace: str, *words: str, stdin: str | None = None) -> str:
        self.commands.append(words)
        return self.answer(words)

    def pods(self, namespace: str, workload: str = "") -> tuple[Object, ...]:
        own = workload.partition("/")[2]
        return tuple(pod for pod in self.world.list("Pod", namespace) if pod["metadata"]["name"].startswith(own))

    def await_ready(self, namespace: str) -> dict[str, int]:
        return {}


def journal() -> Journal:
    return Journal("trial", lambda _: None)


def web(**changes: Any) -> Found:
    """A chart with one workload behind the Service that is asked."""
    values: dict[str, Any] = {
        "workloads": ("Deployment/web",),
        "behind": ("Deployment/web",),
        "question": Question("web"),
    }
    return Found(**{**vars(NOTHING), **values, **changes})
