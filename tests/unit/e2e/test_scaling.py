"""When a scaler has done what it is waited for, what the curve of a scenario counts, and which load is not lost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.cluster.watch import Change
from scripts.core.errors import ClusterError
from scripts.e2e import scaling, scene
from scripts.e2e.report import Broken
from scripts.e2e.scene import Scene
from tests.unit.e2e.world import Given, Object, World, journal, web


def deployment(wanted: int, ready: int, *, there: int | None = None) -> Object:
    status = {"readyReplicas": ready, "replicas": ready if there is None else there}
    return {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": wanted}, "status": status}


def scaler(status: Object) -> Object:
    return {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": {}, "status": status}


def on(*items: Object, changes: tuple[Change, ...] = ()) -> Scene:
    lab = Given(World(*items), found=web())
    lab.rollout = lambda *_, **__: None  # type: ignore[method-assign, assignment]
    watch = SimpleNamespace(
        changes=lambda *kinds: [one for one in changes if one.object["kind"] in (kinds or one.object["kind"])]
    )
    return Scene(lab, journal(), "shop", cast("Any", watch))


def test_replicas_are_there_once_as_many_are_ready_as_are_wanted_and_none_is_on_its_way_out() -> None:
    on(deployment(4, 4)).await_replicas(lambda ready: ready >= 4, "four", deadline=0)
    for item in (deployment(4, 3), deployment(3, 3), deployment(4, 4, there=5)):
        with pytest.raises(ClusterError, match="four pods") as late:
            on(item, scaler({"desiredReplicas": 4})).await_replicas(lambda ready: ready >= 4, "four pods", deadline=0)
        assert '{"desiredReplicas": 4}' in str(late.value)
    with pytest.raises(ClusterError, match="there is no Deployment web"):
        on().await_replicas(lambda _: True, "some")


def condition(status: str) -> Object:
    return {"conditions": [{"type": "ScalingActive", "status": status}]}


def test_a_scaler_can_act_once_it_has_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    scaling._await_scaler(Given(World(scaler(condition("True")))), "shop")
    monkeypatch.setattr(scaling, "SCALER_DEADLINE", 0)
    for items, told in (([], "there is none"), ([scaler(condition("False"))], "ScalingActive")):
        with pytest.raises(ClusterError, match="the scaler to be able to act") as late:
            scaling._await_scaler(Given(World(*items)), "shop")
        assert told in str(late.value)


def metric(name: str, value: str | None) -> Object:
    current = {} if value is None else {"averageValue": value}
    return {"type": "External", "external": {"metric": {"name": name}, "current": current}}


def test_every_query_of_a_scaler_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    both = scaler({"currentMetrics": [metric("s0", "130"), metric("s1", "25")]})
    assert json.loads(scaling._await_measured(Given(World(both)), "shop")) == {"s0": "130", "s1": "25"}
    monkeypatch.setattr(scaling, "SCALER_DEADLINE", 0)
    for metrics in ([], [metric("s0", "130"), metric("s1", "0")], [metric("s0", None)]):
        with pytest.raises(ClusterError, match="every query of KEDA"):
            scaling._await_measured(Given(World(scaler({"currentMetrics": metrics}))), "shop")


def endpoints(when: float, *ready: bool) -> Change:
    places = [
        {"addresses": [f"10.0.0.{at}"], "conditions": {"ready": one}, "targetRef": {"kind": "Pod", "name": f"p{at}"}}
        for at, one in enumerate(ready)
    ]
    labels = {"kubernetes.io/service-name": "web"}
    meta = {"name": "web-x", "uid": "slice", "namespace": "shop", "labels": labels}
    return Change(when, "MODIFIED", {"kind": "EndpointSlice", "metadata": meta, "endpoints": places})


def test_pods_that_were_missing_on_the_way_are_told() -> None:
    its = on(changes=(endpoints(10, True, True), endpoints(20, True, False), endpoints(30, True, True)))
    assert (its.fewest(15), its.fewest(35)) == (1, 2)
    scaling._demand_never_fewer(its, 1, 15)
    with pytest.raises(Broken, match="pods were missing on the way") as told:
        scaling._demand_never_fewer(its, 2, 15)
    assert "never fewer than 2 ready" in str(told.value)


def test_changes_are_laid_over_the_values_in_their_order(tmp_path: Path) -> None:
    its = on()
    cast("Any", its._lab).folder = tmp_path
    (file,) = its.target("prod", {"a": 1, "b": {"c": 1}}, {"a": 2}).values
    assert json.loads(file.read_text()) == {"a": 2, "b": {"c": 1}}


def test_the_curve_is_drawn_of_what_was_seen(tmp_path: Path) -> None:
    now = time.time()
    its = on(
        changes=(Change(now + 1, "MODIFIED", {**deployment(2, 1)}), Change(now + 2, "MODIFIED", {**deployment(2, 2)}))
    )
    cast("Any", its._lab).folder = tmp_path
    with its.step("install"):
        pass
    its.draw("up and down")
    told = json.loads((tmp_path / "trial" / "curve.json").read_text())
    assert [(one["wanted"], one["ready"]) for one in told["replicas"]] == [(2, 1), (2, 2)]
    assert [one["what"] for one in told["marks"]] == ["install"]
    assert "up and down" in (tmp_path / "trial" / "curve.svg").read_text()


def test_a_client_only_waits_and_may_do_nothing_else() -> None:
    pod = scene.client(Given(World()), {"a": "b"}, name="peer")
    (container,) = pod["spec"]["containers"]
    assert (pod["metadata"]["labels"], container["image"]) == ({"a": "b"}, "here/ingress:1")
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["spec"]["automountServiceAccountToken"] is False
