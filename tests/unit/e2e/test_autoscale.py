"""What the scenarios with operators are drawn and judged by: the curve, hurried alerts, a dashboard's queries."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from scripts.cluster.operators import FIREWALL
from scripts.cluster.watch import Change
from scripts.core.config import Config
from scripts.core.errors import ConfigError
from scripts.e2e.autoscale import SCENARIOS, Options, plan
from scripts.e2e.curve import curve, svg
from scripts.e2e.k6 import Request
from scripts.e2e.monitoring import _drawn
from scripts.e2e.prometheus import hurried, panels
from scripts.e2e.report import Broken

SVG = "{http://www.w3.org/2000/svg}"


def request(at: float, status: int = 200) -> Request:
    return Request(at=at, seconds=0.01, kind="new", target="http://x/", status=status, behind="pod")


def change(at: float, wanted: int, ready: int, name: str = "front") -> Change:
    item = {"kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": wanted}}
    return Change(at, "MODIFIED", {**item, "status": {"readyReplicas": ready}})


@pytest.fixture
def drawn() -> dict[str, Any]:
    changes = [change(90, 2, 2), change(104, 4, 2), change(105, 4, 2), change(109, 4, 4), change(110, 9, 9, "other")]
    requests = [request(100.2), request(100.9), request(103.5, 503), request(107)]
    return curve("<up & down>", changes, "front", requests, [(101, "burst"), (108, "end")], begin=100, end=111)


def test_a_curve_has_the_steps_of_its_own_deployment(drawn: dict[str, Any]) -> None:
    assert [tuple(one.values()) for one in drawn["replicas"]] == [(0, 2, 2), (4, 4, 2), (9, 4, 4)]


def test_a_curve_counts_what_was_sent_and_lost_by_the_second(drawn: dict[str, Any]) -> None:
    assert drawn["requests_by_second"] == [2, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]
    assert drawn["lost_by_second"] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert (drawn["lost"], drawn["seconds"]) == (1, 11)
    assert drawn["marks"] == [{"at": 1, "what": "burst"}, {"at": 8, "what": "end"}]


def test_a_curve_is_a_picture_that_shows_all_of_it(drawn: dict[str, Any]) -> None:
    picture = ElementTree.fromstring(svg(drawn))
    said = [each.text or "" for each in picture.iter(f"{SVG}text")]
    assert picture.findtext(f"{SVG}title") == "<up & down>"
    assert {"burst", "end"} <= set(said)
    assert any("up to 4" in text for text in said)
    assert any("1 in all" in text for text in said)
    wanted, ready = picture.iter(f"{SVG}polyline")
    assert wanted.get("points") != ready.get("points")


def test_what_is_said_of_a_curve_is_in_nobodys_way() -> None:
    times = (0, 14, 14, 22, 26, 28, 28, 138, 138, 138, 138, 238, 250, 250, 255)
    marks = tuple((at, f"{at}: demand brings it back") for at in times)
    texts = ElementTree.fromstring(svg(curve("", (), "", (), marks, begin=0, end=255))).iter(f"{SVG}text")
    rows: dict[float, list[tuple[float, float]]] = {}
    for each in (one for one in texts if ":" in (one.text or "")):
        at, width = float(each.attrib["x"]), 6 * len(each.text or "")
        left = at - width if each.get("text-anchor") == "end" else at
        row = rows.setdefault(float(each.attrib["y"]), [])
        assert all(end <= left or left + width <= begin for begin, end in row), each.text
        row.append((left, left + width))


@pytest.mark.parametrize("changes", [(), (change(100, 0, 0),)])
def test_nothing_at_all_can_be_drawn(changes: tuple[Change, ...]) -> None:
    ElementTree.fromstring(svg(curve("nothing", changes, "front", (), (), begin=100, end=100)))


RULE: dict[str, Any] = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "PrometheusRule",
    "metadata": {"name": "own", "namespace": "monitoring"},
    "spec": {"groups": [{"name": "own", "rules": [{"alert": "Slow", "expr": "rate(x[5m]) > 1", "for": "10m"}]}]},
}


def test_a_hurried_rule_is_another_one_with_shorter_times() -> None:
    made = hurried(RULE, name="quick", times=10)
    assert made["metadata"]["name"] == "quick"
    (group,) = made["spec"]["groups"]
    assert group == {"name": "quick", "rules": [{"alert": "HurriedSlow", "expr": "rate(x[30s]) > 1", "for": "60s"}]}
    assert RULE["spec"]["groups"][0]["name"] == "own"


GRAFANA = {"namespace": "edge", "window": "1m"}


def boards(*panels: dict[str, Any]) -> dict[str, Any]:
    """A ConfigMap with a dashboard of these panels."""
    return {"metadata": {"name": "web"}, "data": {"web.json": json.dumps({"panels": panels})}}


def test_the_queries_of_a_dashboard_are_asked_as_grafana_does() -> None:
    asked = 'rate(x{namespace="$namespace",job=~"${job}"}[$__rate_interval])'
    found = panels(boards({"title": "text"}, {"title": "Rate", "targets": [{"expr": asked}]}), **GRAFANA)
    assert found == {"Rate 1": 'rate(x{namespace="edge",job=~".+"}[1m])'}


def test_a_variable_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError):
        panels(boards({"title": "x", "targets": [{"expr": "$unknown"}]}), **GRAFANA)


@pytest.mark.parametrize("maps", [[], [{"metadata": {"name": "web"}, "data": {"web.json": "{"}}], [boards({})]])
def test_a_dashboard_that_asks_nothing_is_told(maps: list[dict[str, Any]]) -> None:
    lab: Any = SimpleNamespace(api=SimpleNamespace(list=lambda *_, **__: maps))
    with pytest.raises(Broken, match="dashboard"):
        _drawn(lab, "edge")


def test_the_plan_names_every_scenario(config: Config) -> None:
    text = "\n".join(plan(config, Options()))
    assert all(f"{name}: " in text for name in SCENARIOS)
    assert FIREWALL in text


@pytest.mark.parametrize("scenarios", [(), ("hpa", "nothing")])
def test_a_scenario_that_is_not_there_is_refused(scenarios: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="there is no scenario"):
        Options(scenarios)
