"""What the scenario of monitoring makes of Prometheus' answers, and of what an alert's cause does to a release."""

from __future__ import annotations

import copy
import json
from typing import Any
from urllib.parse import quote_plus

import pytest

from scripts.cluster.operators import MONITORING
from scripts.core.errors import ApiError, ClusterError
from scripts.e2e import monitoring, prometheus
from scripts.e2e.report import Broken
from tests.unit.e2e.world import Given, Object, World, web


def said(data: Any) -> str:
    return json.dumps({"status": "success", "data": data})


def vector(*values: str) -> str:
    result = [{"metric": {"job": "web", "pod": f"web-{at}"}, "value": [1.0, value]} for at, value in enumerate(values)]
    return said({"resultType": "vector", "result": result})


def test_a_query_has_data_where_it_gives_a_number() -> None:
    world = World()
    for values, expected in ((("NaN", "1"), True), (("0",), True), (("NaN",), False), ((), False)):
        world.answers["api/v1/query?query=up"] = vector(*values)
        assert prometheus.has_data(world, "up") is expected
    world.answers["api/v1/query?query=1"] = said({"resultType": "scalar", "result": [1.0, "1"]})
    with pytest.raises(ClusterError, match="1 gives no vector"):
        prometheus.has_data(world, "1")


def target(pod: str, *, health: str = "up", pool: str = "serviceMonitor/shop/web/0", space: str = "shop") -> Object:
    labels = {"namespace": space, "pod": pod}
    return {
        "labels": labels,
        "health": health,
        "scrapePool": pool,
        "scrapeUrl": f"http://{pod}",
        "lastError": "refused",
    }


def pod(name: str) -> Object:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    return {"kind": "Pod", "metadata": {"name": name, "namespace": "shop", "uid": name}, "spec": {}, "status": ready}


def scraped(*targets: Object) -> Given:
    world = World(pod("web-0"), pod("web-1"))
    world.answers["api/v1/targets?state=active"] = said({"activeTargets": list(targets)})
    return Given(world, found=web())


def test_each_ready_pod_is_a_target_once_by_one_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    both = (target("web-0"), target("web-1"), target("other-0", space="elsewhere"))
    assert prometheus.find_targets(scraped(*both), "shop") == "2 targets of serviceMonitor/shop/web/0"
    with pytest.raises(Broken, match="targets are found otherwise"):
        prometheus.find_targets(scraped(target("web-0"), target("web-1", pool="annotations")), "shop")
    monkeypatch.setattr(prometheus, "FOLLOW", 0)
    for wrong in ([target("web-0")], [*both, target("web-1")], [target("web-0"), target("web-1", health="down")]):
        with pytest.raises(ClusterError, match="each ready pod to be a target once, and up") as late:
            prometheus.find_targets(scraped(*wrong), "shop")
        assert "http://web-0: up refused" in str(late.value)


def test_rules_and_alerts_are_those_of_the_group_and_of_the_state() -> None:
    world = World()
    groups = [{"name": "web", "rules": [{"name": "Down"}]}, {"name": "other", "rules": [{"name": "Else"}]}]
    world.answers["api/v1/rules"] = said({"groups": groups})
    fired = [{"labels": {"alertname": name}, "state": state} for name, state in (("A", "firing"), ("B", "pending"))]
    world.answers["api/v1/alerts"] = said({"alerts": fired})
    assert prometheus.rules(world, "web") == [{"name": "Down"}]
    assert prometheus.rules(world, "absent") == []
    assert prometheus.alerts(world, "firing") == {"A"}
    assert prometheus.alerts(world, "firing", "pending") == {"A", "B"}


def rule(space: str = "shop", **more: Any) -> Object:
    each = {"alert": "Down", "expr": f'up{{namespace="{space}"}} == 0', "for": "1m", **more}
    meta = {"name": f"web-{space}", "namespace": MONITORING}
    return {"kind": "PrometheusRule", "metadata": meta, "spec": {"groups": [{"name": "web", "rules": [each]}]}}


def test_an_expression_that_prometheus_cannot_read_is_told_with_its_alert() -> None:
    class Strict(World):
        def ask_pod(self, *words: Any, path: str, **more: Any) -> str:
            if quote_plus("up{") not in path or path.endswith("%7B"):
                raise ApiError("refused", status=400, reason="bad_data", text="parse error")
            return said("up")

    assert prometheus.unread(Strict(), rule()) == ""
    assert prometheus.unread(Strict(), rule(expr="up{")) == "Down: parse error"
    recorded = {"spec": {"groups": [{"rules": [{"record": "web:up", "expr": "sum("}]}]}}
    assert prometheus.unread(Strict(), recorded) == "web:up: parse error"


def test_alerts_are_quiet_once_every_rule_was_evaluated_and_none_is_on_its_way() -> None:
    lab = Given(World())

    def quiet(*health: str, alert: str = "", state: str = "pending") -> bool:
        rules = [{"name": "HurriedDown", "health": each} for each in health]
        alerts = [{"labels": {"alertname": alert}, "state": state}] if alert else []
        lab.world.answers["api/v1/rules"] = said({"groups": [{"name": "hurried", "rules": rules}]})
        lab.world.answers["api/v1/alerts"] = said({"alerts": alerts})
        return monitoring._quiet(lab, "hurried")

    assert quiet("ok", "ok")
    assert quiet("ok", alert="Down")  # the chart's own, which waits for minutes
    assert not quiet("ok", "unknown")
    assert not quiet()
    assert not quiet("ok", alert="HurriedDown")
    assert not quiet("ok", alert="HurriedDown", state="firing")
    assert monitoring._firing(lab) == {"HurriedDown"}


def test_a_workload_is_away_while_it_is_the_cause_and_comes_back_as_it_was() -> None:
    web_ = {"kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}, "spec": {"replicas": 3}}
    lab = Given(World(web_))
    with pytest.raises(ValueError, match="meanwhile"), monitoring._without(lab, "shop", "Deployment/web"):
        assert lab.world.list("Deployment")[0]["spec"] == {"replicas": 0}
        raise ValueError("meanwhile")
    assert lab.world.list("Deployment")[0]["spec"] == {"replicas": 3}


def test_what_stands_beside_prometheus_goes_with_its_release_alone() -> None:
    lab = Given(World(rule("shop"), rule("elsewhere")))
    with monitoring._no_trace(lab, "shop"):
        assert monitoring._rule(lab, "shop")["metadata"]["name"] == "web-shop"
    assert [one["metadata"]["name"] for one in lab.world.list("PrometheusRule")] == ["web-elsewhere"]


def test_every_panel_has_data_or_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    panels = [{"title": "Rate", "targets": [{"expr": 'rate(asked{namespace="$namespace"}[$__rate_interval])'}]}]
    board = {"kind": "ConfigMap", "metadata": {"name": "board", "namespace": "shop"}, "data": {"b.json": ""}}
    board["data"] = {"b.json": json.dumps({"panels": panels})}
    lab = Given(World(copy.deepcopy(board)))
    asked = "api/v1/query?query=" + quote_plus('rate(asked{namespace="shop"}[1m])')
    lab.world.answers[asked] = vector("0.5")
    assert monitoring._drawn(lab, "shop") == "1 queries"
    monkeypatch.setattr(monitoring, "_FOUND_DEADLINE", 0)
    lab.world.answers[asked] = vector()
    with pytest.raises(ClusterError, match="every panel to have data") as late:
        monitoring._drawn(lab, "shop")
    assert "Rate 1: rate(asked" in str(late.value)
