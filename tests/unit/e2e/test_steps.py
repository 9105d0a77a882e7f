"""What a step demands of a release, and of nothing else."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.cluster.snapshot import Snapshot
from scripts.core.errors import ClusterError
from scripts.e2e import steps
from scripts.e2e.ledger import UNEXPLAINED, Incident
from scripts.e2e.report import Broken, Unproven
from scripts.e2e.steps import demand_explained, demand_images, demand_same


@pytest.mark.parametrize(
    ("images", "right"),
    [
        (["here/web:2", "here/back:2"], True),
        (["here/web:2", "busybox:1.36"], True),  # a sidecar keeps its own version
        (["here/web:2", "here/back:1"], False),
        (["example/web:2", "redis:7"], True),
        (["example/web:1", "redis:7"], False),
        ([], True),  # jobs alone, which end by themselves
    ],
)
def test_the_pods_run_the_version_that_was_asked_for(images: list[str], right: bool) -> None:
    pods = [{"spec": {"containers": [{"image": image} for image in images]}}]
    versioned, found = SimpleNamespace(versioned=True), SimpleNamespace(workloads=())
    lab = SimpleNamespace(images="here", subject=versioned, pods=lambda _: pods, found=found)
    if right:
        demand_images(cast("Any", lab), "shop", "2")
    else:
        with pytest.raises(ClusterError, match="a pod runs another image"):
            demand_images(cast("Any", lab), "shop", "2")


@pytest.mark.parametrize("value", ["<nil>", "%!s(int=5)", "%!d(<nil>)"])
def test_notes_that_name_what_has_no_value(value: str) -> None:
    revision = SimpleNamespace(notes=f"web is in shop, {value}")
    lab = SimpleNamespace(subject=SimpleNamespace(notes=True))
    with pytest.raises(ClusterError, match="the notes name what has no value"):
        steps.demand_told(*(cast("Any", part) for part in (lab, None, None, revision, "default", "shop")))


def test_jobs_named_after_the_revision_may_come_and_go() -> None:
    def job(name: str, image: str = "a") -> dict[str, Any]:
        return {"kind": "Job", "metadata": {"name": name}, "spec": {"image": image}}

    first, second = Snapshot({"one": job("run-1")}), Snapshot({"two": job("run-2")})
    assert demand_same(first, second, but="Job")
    with pytest.raises(ClusterError, match="not what they were"):
        demand_same(first, second)
    with pytest.raises(ClusterError, match="not what they were"):
        demand_same(first, Snapshot({"one": job("run-1", "b")}), but="Job")


@pytest.mark.parametrize(
    ("drawn", "reason", "told"),
    [
        ([], "", "the objects are not what they were"),
        ([], "it rolls", "the objects are not what they were"),
        (["Secret web"], "", "installing the same again replaced pods"),
        (["Deployment web", "Secret web"], "", "rendered anew each time: Deployment web, Secret web"),
        (["Deployment web", "Secret web"], "it rolls", ""),
        (["Deployment web"], "it rolls", "the objects are not what they were"),
    ],
)
def test_the_same_again_changes_nothing_but_what_is_rendered_anew(
    monkeypatch: pytest.MonkeyPatch, drawn: list[str], reason: str, told: str
) -> None:
    """A chart may draw a password at each render, and roll its pods where that is said."""
    numbers = itertools.count()

    def snapshot(*_: Any) -> Snapshot:
        return Snapshot({"s": {"kind": "Secret", "metadata": {"name": "web"}, "data": {"a": str(next(numbers))}}})

    def pods(_: str) -> tuple[dict[str, Any], ...]:
        return ({"metadata": {"name": "web-1", "uid": str(next(numbers))}},)

    monkeypatch.setattr(steps, "taken", snapshot)
    subject = SimpleNamespace(may_replace=reason)
    lab = SimpleNamespace(pods=pods, deadline=1, drawn=lambda *_: drawn, subject=subject)
    release = SimpleNamespace(upgrade=lambda *_, **__: None, namespace="shop")
    skipped: list[str] = []
    words = (cast("Any", lab), SimpleNamespace(skip=skipped.append), release, None, "shop")
    if told:
        with pytest.raises(ClusterError, match=told):
            steps.demand_idempotent(*cast("Any", words))
    else:
        steps.demand_idempotent(*cast("Any", words))
    said = [", ".join(drawn)] * bool(drawn) + [reason] * bool(reason and not told)
    assert [line.rpartition(": ")[2] for line in skipped] == said


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "Deployment"])
def test_pods_that_wait_to_be_deleted_are_replaced_one_by_one(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    key = "controller-revision-hash" if kind == "StatefulSet" else "pod-template-generation"
    pods = [{"metadata": {"name": f"web-{number}", "labels": {key: number}}} for number in "123"]
    live = {
        "spec": {"updateStrategy": {"type": "OnDelete"}} if kind != "Deployment" else {},
        "status": {"updateRevision": "2"},
        "metadata": {"annotations": {"deprecated.daemonset.template.generation": "2"}},
    }
    deleted: list[str] = []
    monkeypatch.setattr(steps, "delete_pod", lambda *words: deleted.append(words[3]["metadata"]["name"]))
    api = SimpleNamespace(get=lambda *_: live)
    found = SimpleNamespace(workloads=(f"{kind}/web",))
    lab = SimpleNamespace(api=api, found=found, pods=lambda *_: pods, await_ready=lambda *_: None)
    steps.replace_by_hand(cast("Any", lab), lambda _: None, "shop")
    assert deleted == ([] if kind == "Deployment" else ["web-1", "web-3"])


def test_a_stray_loss_without_a_cause_is_measured_again_and_a_ledger_without_causes_is_red() -> None:
    def lost(count: int, *, dark: int = 0) -> Incident:
        causes = {"the pod was told to stop": count - dark, UNEXPLAINED: dark}
        return Incident(0.0, 1.0, count, 0, {"refused": count}, causes, ())

    said: list[str] = []
    demand_explained([lost(60, dark=20), lost(0)], said.append)
    assert len(said) == 1
    with pytest.raises(Unproven, match="lost requests have no cause"):
        demand_explained([lost(60), lost(5, dark=5)], said.append)
    with pytest.raises(Broken, match="lost requests have no cause"):
        demand_explained([lost(5), lost(60, dark=60)], said.append)
