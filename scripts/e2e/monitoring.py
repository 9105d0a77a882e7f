"""The scenario of monitoring: targets are found, rules load, each alert fires for its cause, each panel has data."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import TypeVar

from scripts.cluster.objects import Object
from scripts.cluster.operators import MONITORING
from scripts.e2e import prometheus
from scripts.e2e.k6 import load
from scripts.e2e.lab import DEFAULT, Lab
from scripts.e2e.metrics import DASHBOARD
from scripts.e2e.promises import demand
from scripts.e2e.report import Journal
from scripts.e2e.scene import CALM, Scene, scene
from scripts.e2e.steps import scale

T = TypeVar("T")

_TIMES = 10  # sooner than in the chart's own rules an alert fires and clears, so that it can be waited for
_SCRAPES = "5s"
_FOUND_DEADLINE = 120.0  # seconds until the configuration of Prometheus has followed
_ALERT_DEADLINE = 240.0  # the longest alert needs a minute, in a window of half a minute, on a busy machine
# What is done, and the alerts that it has to make fire.
_CAUSES = {
    "requests become slow": ("GatiIngressSlow",),
    "route-manager goes": ("GatiRouteManagerUnreachable", "GatiIngressErrors"),
    "the ingress goes": ("GatiIngressDown",),
}
_VALUES = {
    "ingress": {
        "config": {"FEATURE_PLAYGROUND": True},
        # Ready without route-manager, so that clients see the errors that the alert is about.
        "readinessProbe": {"path": "/livez"},
    },
    "prometheusOperator": {
        "serviceMonitor": {"enabled": True, "namespace": MONITORING, "interval": _SCRAPES},
        "prometheusRule": {"enabled": True, "namespace": MONITORING},
    },
    "dashboard": {"enabled": True},
}


def monitoring(lab: Lab, journal: Journal) -> None:
    """Prometheus finds each pod once, loads the rules, answers the dashboard; alerts fire for their cause and clear."""
    with scene(lab, journal, "monitoring: alerts and their causes") as its, _no_trace(lab, its.namespace):
        with its.step("install with ServiceMonitor, rules and dashboard"):
            its.rollout.install(its.target(DEFAULT, _VALUES))
        with its.step("each alert has a cause that is made here"):
            rule = _rule(lab, its.namespace)
            declared = {each["alert"] for each in rule["spec"]["groups"][0]["rules"]}
            caused = {name for names in _CAUSES.values() for name in names}
            demand(caused == declared, "alerts and causes differ", str(sorted(caused)), str(sorted(declared)))
        with its.step("each pod is a target, once, by the ServiceMonitor alone"):
            journal.detail(prometheus.find_targets(lab, its.namespace))
        group = lab.question.service
        with its.step("the rules are loaded"):
            odd = prometheus.unread(lab.api, rule)
            demand(not odd, "rules cannot be read", "expressions of Prometheus", odd)
            rules = _await(lab, lambda: prometheus.rules(lab.api, group), "the rules to be loaded")
            names, sick = {each["name"] for each in rules}, [each for each in rules if each["health"] == "err"]
            demand(names == declared, "rules are missing", found=str(names))
            demand(not sick, "rules cannot be evaluated", found=json.dumps(sick))
            journal.detail(", ".join(sorted(names)))
        _, targets = lab.open(its.namespace)
        with its.load("calm", targets, CALM), its.step("every panel of the dashboard has data"):
            journal.detail(_drawn(lab, its.namespace))
        hurried = prometheus.hurried(rule, name=f"hurried-{its.namespace}", times=_TIMES)
        lab.api.apply(hurried)
        _alerts(lab, its, targets, hurried["metadata"]["name"])


def _alerts(lab: Lab, its: Scene, targets: list[str], group: str) -> None:
    slow = [f"{target}playground/delay?seconds=2" for target in targets]
    causes: dict[str, contextlib.AbstractContextManager[object]] = {
        "requests become slow": _calls(lab, "slow", slow),
        "route-manager goes": _without(lab, its.namespace, lab.subject.backs[0]),
        "the ingress goes": _without(lab, its.namespace, lab.front()),
    }
    with _calls(lab, "asking", targets):
        with its.step("no alert is on its way"):
            _await(lab, lambda: _quiet(lab, group), "the alerts to be evaluated, and none to be on its way")
        for what, names in _CAUSES.items():
            wanted = {f"Hurried{name}" for name in names}
            with its.step(f"{what}: {', '.join(names)}"), causes[what]:
                _await(lab, lambda wanted=wanted: wanted <= _firing(lab), f"{', '.join(wanted)} to fire")  # type: ignore[misc]
            with its.step(f"{what} no more: it clears"):
                _await(lab, lambda: not _firing(lab), f"{', '.join(wanted)} to clear")


@contextlib.contextmanager
def _no_trace(lab: Lab, namespace: str) -> Iterator[None]:
    """Take away at the end what stands beside Prometheus for a release in `namespace`: it does not go with that."""
    try:
        yield
    finally:
        for kind in ("ServiceMonitor", "PrometheusRule"):
            for found in lab.api.list(kind, MONITORING):
                if namespace in json.dumps(found["spec"]):
                    lab.api.delete(kind, found["metadata"]["name"], MONITORING)


def _firing(lab: Lab, *more: str) -> set[str]:
    """The hurried alerts that fire, or are in one of `more` states."""
    return {name for name in prometheus.alerts(lab.api, "firing", *more) if name.startswith("Hurried")}


def _quiet(lab: Lab, group: str) -> bool:
    """Whether every rule of a group was evaluated and found nothing, not even for a moment."""
    rules = prometheus.rules(lab.api, group)
    return bool(rules) and all(rule["health"] == "ok" for rule in rules) and not _firing(lab, "pending")


def _calls(lab: Lab, name: str, targets: list[str]) -> contextlib.AbstractContextManager[object]:
    """Requests of whatever fate."""
    results = lab.folder / "monitoring" / f"{name}.requests.jsonl"
    return load(lab.tools.k6, lab.runner, targets, results, question=lab.question, rate=CALM)


@contextlib.contextmanager
def _without(lab: Lab, namespace: str, workload: str) -> Iterator[None]:
    """A workload ("Deployment/name") scaled to zero, and back."""
    before = scale(lab, namespace, workload, 0)
    try:
        yield
    finally:
        scale(lab, namespace, workload, before)


def _drawn(lab: Lab, namespace: str) -> str:
    """Wait until every query of the dashboards returns data."""
    queries: dict[str, str] = {}
    for boards in lab.api.list("ConfigMap", namespace, labels=f"{DASHBOARD}=1"):
        queries |= prometheus.panels(boards, namespace=namespace, window="1m")
    demand(bool(queries), "no dashboard asks Prometheus for anything")
    lab.api.observe(
        lambda: {name: each for name, each in queries.items() if not prometheus.has_data(lab.api, each)},
        what="every panel to have data",
        deadline=_FOUND_DEADLINE,
        interval=1,
        told=lambda empty: "\n".join(f"{name}: {each}" for name, each in empty.items()),
    )
    return f"{len(queries)} queries"


def _rule(lab: Lab, namespace: str) -> Object:
    """The chart's PrometheusRule of a release, which stands in another namespace."""
    own = f'namespace="{namespace}"'
    found = [
        rule
        for rule in lab.api.list("PrometheusRule", MONITORING)
        if any(own in each["expr"] for each in rule["spec"]["groups"][0]["rules"])
    ]
    demand(bool(found), "the release has no PrometheusRule", "one that asks for its namespace")
    return found[0]


def _await(lab: Lab, probe: Callable[[], T | None], what: str) -> T:
    """Wait until `probe` gives something that is true."""
    return lab.api.wait(lambda: probe() or None, what=what, deadline=_ALERT_DEADLINE, interval=1)
