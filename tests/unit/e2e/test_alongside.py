"""What is said of a rollout by who asks an address meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.chart.manifests import read_manifests
from scripts.core.errors import ClusterError, ConfigError, FindingsError, ReleaseError
from scripts.e2e import alongside, recording
from scripts.e2e.alongside import Witness
from scripts.e2e.k6 import Request
from scripts.workspace import Workspace, open_workspace

OBJECTS = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
"""


class Release:
    """A rollout whose release has the objects of `text`, None where helm cannot be asked."""

    namespace, release = "shop", "web"

    def __init__(self, text: str | None = OBJECTS) -> None:
        self.text = text
        self.watched: Sequence[str] = ()
        self.api = self

    def manifest(self) -> Any:
        if self.text is None:
            raise ReleaseError("release: not found")
        return read_manifests(self.text, "shop")

    @contextlib.contextmanager
    def watch(self, kinds: Sequence[str], namespace: str) -> Iterator[Any]:
        self.watched = (*kinds, namespace)
        yield SimpleNamespace(changes=list)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(recording, "_BEFORE", 0)
    monkeypatch.setattr(alongside, "_AFTER", 0.2)
    made = open_workspace(Path(__file__).parents[3]).having(dist=tmp_path)
    return replace(made, tools=cast("Any", SimpleNamespace(path=Path)))


def asked(monkeypatch: pytest.MonkeyPatch, *statuses: int, error: str = "") -> list[Any]:
    """Has a load get these answers; how it was put on."""
    given: list[Any] = []

    @contextlib.contextmanager
    def load(k6: Path, runner: Any, targets: Sequence[str], results: Path, **more: Any) -> Iterator[Any]:
        given.append((list(targets), more["question"], more["kinds"]))
        now = time.time()
        kinds = itertools.cycle(more["kinds"])
        ends = ((status, "" if status else error) for status in statuses)
        requests = [Request(now, 0.01, next(kinds), targets[0], *end, behind="web-1") for end in ends]
        yield SimpleNamespace(all=lambda: requests, cut=[], begin=now, go_on=lambda _: None, longest=lambda _: 0.0)

    monkeypatch.setattr(recording, "load", load)
    return given


def test_a_rollout_that_nobody_notices(work: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, release = asked(monkeypatch, *[200] * 4), Release()
    witness = Witness(work, "http://web.example/shop")
    with witness.beside(cast("Any", release)):
        pass
    witness.demand_kept()
    ((targets, question, _),) = given
    assert (targets, question.service, release.watched[-1]) == (["http://web.example/shop"], "web", "shop")
    told = json.loads((tmp_path / "rollout" / "web" / "ledger.json").read_text())
    assert (told["requests"], told["failed"]) == (4, 0)


def test_what_was_lost_is_told_whatever_became_of_the_rollout(
    work: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(monkeypatch, 200, 0, 200)
    witness = Witness(work, "tcp://web.example:80", "named")
    with pytest.raises(ClusterError), witness.beside(cast("Any", Release())):
        raise ClusterError("it failed")
    assert witness.ledger is not None
    assert (witness.ledger.service, witness.ledger.failed) == ("named", 1)
    with pytest.raises(FindingsError, match="the rollout was noticed: "):
        witness.demand_kept()
    assert (tmp_path / "rollout" / "web" / "ledger.json").is_file()


def test_what_the_machine_of_the_load_lacked_says_nothing_of_a_rollout(
    work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(monkeypatch, 200, 0, 200, error="cannot assign requested address")
    witness = Witness(work, "tcp://web.example:80", "named")
    with witness.beside(cast("Any", Release())):
        pass
    with pytest.raises(FindingsError, match="whether the rollout was noticed is not known: void from"):
        witness.demand_kept()


@pytest.mark.parametrize("text", [None, "", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\n"])
def test_without_a_service_that_is_found_a_loss_goes_unexplained(
    work: Workspace, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    asked(monkeypatch, 200)
    witness = Witness(work, "grpc://web.example:50051")
    with witness.beside(cast("Any", Release(text))):
        pass
    assert witness.ledger is not None
    assert witness.ledger.service == ""


@pytest.mark.parametrize(
    "url",
    [
        "web.example",
        "ftp://web.example/a",
        "http://",
        "http:///a",
        "tcp://db.example",
        "grpc://web.example/",
        "tcp://db:a",
    ],
)
def test_what_is_no_address_cannot_be_asked(work: Workspace, url: str) -> None:
    with pytest.raises(ConfigError, match="is no address"):
        Witness(work, url)
