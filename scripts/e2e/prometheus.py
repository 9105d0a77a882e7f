"""Asks the test cluster's Prometheus: queries, targets, rules, alerts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from scripts.cluster.api import Api
from scripts.cluster.objects import Object
from scripts.cluster.operators import MONITORING, PROMETHEUS
from scripts.core.errors import ApiError, ClusterError
from scripts.e2e import metrics
from scripts.e2e.lab import Lab
from scripts.e2e.promises import demand
from scripts.e2e.scene import ready_pods

POD, PORT = f"prometheus-{PROMETHEUS}-0", 9090
FOLLOW = 150.0  # seconds until its configuration has followed
ADDRESS = f"http://prometheus-operated.{MONITORING}.svc:{PORT}"


def has_data(api: Api, expression: str) -> bool:
    """Whether an instant query gives a number. Raises ClusterError where it gives no vector."""
    found = _ask(api, "query", query=expression)["result"]
    if found and not isinstance(found[0], Mapping):
        raise ClusterError(f"{expression} gives no vector", found=str(found)[:200])
    return any(not math.isnan(float(each["value"][1])) for each in found)


def find_targets(lab: Lab, namespace: str) -> str:
    """Wait until the targets of the namespace are its ready pods, each once and up; how they were found."""

    def look() -> list[Object]:
        active = _ask(lab.api, "targets", state="active")["activeTargets"]
        return [each for each in active if each["labels"].get("namespace") == namespace]

    def good(seen: list[Object]) -> bool:
        pods = sorted(pod["metadata"]["name"] for pod in ready_pods(lab, namespace, lab.front()))
        return sorted(each["labels"]["pod"] for each in seen) == pods and all(each["health"] == "up" for each in seen)

    def told(seen: list[Object]) -> str:
        return "\n".join(f"{each['scrapeUrl']}: {each['health']} {each['lastError']}" for each in seen) or "no target"

    what = "each ready pod to be a target once, and up"
    scraped = lab.api.observe(look, good, what=what, deadline=FOLLOW, interval=1, told=told)
    pools = {target["scrapePool"] for target in scraped}
    by_monitor = all(pool.startswith("serviceMonitor/") for pool in pools)
    demand(by_monitor and len(pools) == 1, "targets are found otherwise", "one ServiceMonitor", str(pools))
    return f"{len(scraped)} targets of {', '.join(pools)}"


def rules(api: Api, group: str) -> list[Object]:
    """The rules of a group, with their `health` and `state`; none where it is not loaded."""
    return [rule for each in _ask(api, "rules")["groups"] if each["name"] == group for rule in each["rules"]]


def unread(api: Api, rule: Object) -> str:
    """What Prometheus cannot read of a PrometheusRule, which its operator leaves out without a word; "" for nothing."""
    found = []
    for each in (each for group in rule["spec"]["groups"] for each in group["rules"]):
        try:
            _ask(api, "format_query", query=str(each["expr"]))
        except ApiError as error:
            found.append(f"{each.get('alert') or each.get('record')}: {error.text}")
    return "\n".join(found)


def alerts(api: Api, *states: str) -> set[str]:
    """The names of the alerts that are "pending" or "firing"."""
    return {each["labels"]["alertname"] for each in _ask(api, "alerts")["alerts"] if each["state"] in states}


def hurried(rule: Object, *, name: str, times: int) -> Object:
    """A PrometheusRule whose alerts fire and clear so many times sooner, under names of their own."""
    spec = json.loads(json.dumps(rule["spec"]))
    for group in spec["groups"]:
        group["name"] = name
        for each in group["rules"]:
            each["alert"] = f"Hurried{each['alert']}"
            each["for"] = _shorter(each["for"], times)
            each["expr"] = re.sub(r"\[(\w+)\]", lambda found: f"[{_shorter(found[1], times)}]", each["expr"])
    metadata = {"name": name, "namespace": rule["metadata"]["namespace"]}
    return {"apiVersion": rule["apiVersion"], "kind": rule["kind"], "metadata": metadata, "spec": spec}


def panels(boards: Mapping[str, Any], *, namespace: str, window: str) -> dict[str, str]:
    """The queries of the dashboards in a ConfigMap by panel, as Grafana asks them of one namespace and every job."""
    values = {"namespace": namespace, "job": ".+", "__rate_interval": window}
    found = {}
    for title, asked in metrics.panels(boards):
        for number, text in enumerate(asked, 1):
            found[f"{title} {number}"] = metrics.VARIABLE.sub(lambda name: values[name[1]], text)
    return found


def _shorter(duration: str, times: int) -> str:
    return f"{max(1, int(metrics.seconds_of(duration) // times))}s"


def _ask(api: Api, what: str, **words: str) -> Any:
    path = f"api/v1/{what}" + (f"?{urlencode(words)}" if words else "")
    return json.loads(api.ask_pod(POD, MONITORING, port=PORT, path=path))["data"]
