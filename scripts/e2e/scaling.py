"""The scenarios of autoscaling: replicas follow the load by real operators, and no request is lost on any way."""

from __future__ import annotations

import json
import time
from pathlib import Path
from string import Template
from typing import Any

from scripts.chart.manifests import read_manifests
from scripts.cluster.objects import conditions
from scripts.cluster.operators import await_ready
from scripts.core.errors import ClusterError
from scripts.core.waiting import until
from scripts.e2e import prometheus
from scripts.e2e.lab import DEFAULT, Lab
from scripts.e2e.promises import demand
from scripts.e2e.report import Journal
from scripts.e2e.scene import BURST, CALM, SCALER_DEADLINE, Scene, client, scene

_WINDOW = 300.0  # seconds: the chart's own stabilization window, and its cooldown
_WAKING = 60.0  # seconds that a request may wait at the door
_ENOUGH = 300  # requests that the development values are asked
_DOOR = Path(__file__).with_name("door.yaml")


def hpa(lab: Lab, journal: Journal) -> None:
    """Load takes the ingress from two pods upwards by CPU and back; no request is lost."""
    # Only the request is not the chart's own: one machine has to exceed it, too.
    scaler = {"ingress": {"hpa": {"enabled": True}, "resources": {"requests": {"cpu": "50m"}}}}
    with scene(lab, journal, "HPA, default values: CPU drives the replicas") as its:
        with its.step("install with the HPA"):
            its.rollout.install(its.target(DEFAULT, scaler))
            its.await_replicas(lambda ready: ready == 2, "the HPA's minimum of two pods")
        with its.step("the HPA has its metric"):
            _await_scaler(lab, its.namespace)
        _, targets = lab.open(its.namespace)
        with its.load("calm", targets, CALM):
            with its.load("burst", targets, BURST), its.step("load brings more pods"):
                its.await_replicas(lambda ready: ready >= 4, "at least four pods under load")
            with its.step("without load it goes back to two"):
                its.await_replicas(lambda ready: ready == 2, "two pods again", deadline=_WINDOW + SCALER_DEADLINE)


def keda(lab: Lab, journal: Journal) -> None:
    """From plain replicas to the HPA, to KEDA by request rate, to zero, back by demand at the door, and to the HPA."""
    with scene(lab, journal, "KEDA, default values: the rate drives the replicas, from and to the HPA") as its:
        demanded = f'sum(rate(haproxy_frontend_http_requests_total{{namespace="{its.namespace}",proxy="gati"}}[1m]))'
        quick: dict[str, Any] = {
            "ingress": {"hpa": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}}}},
            "prometheusOperator": {"serviceMonitor": {"enabled": True, "namespace": "", "interval": "5s"}},
        }
        by_hpa = {"ingress": {"hpa": {"enabled": True}}}
        rate = {"requestsPerSecond": 25, "serverAddress": prometheus.ADDRESS, "activationQuery": demanded}
        # In the initial one Prometheus knows nothing of the door yet.
        pace = {"pollingInterval": 5, "cooldownPeriod": 20, "initialCooldownPeriod": 120}
        by_keda = {"keda": {"enabled": True, "scaleToZero": True, **rate, **pace}}
        # The scaler raises what is still rendered to its higher minimum, and owns the number from then on.
        handover = {"ingress": {"hpa": {"enabled": True, "minReplicas": 3, "handover": True}}}
        with its.step("install without a scaler"):
            its.rollout.install(its.target(DEFAULT, quick))
        door = _door(lab, its.namespace)
        with its.load("calm", door, CALM):
            since = time.time()
            with its.step("to the HPA: it takes the replicas over"):
                its.rollout.upgrade(its.target(DEFAULT, quick, handover))
                its.await_replicas(lambda ready: ready >= 3, "the HPA to take the replicas over")
            with its.step("to the HPA: the Deployment leaves them to it"):
                its.rollout.upgrade(its.target(DEFAULT, quick, by_hpa))
                its.await_replicas(lambda ready: ready >= 2, "the HPA's replicas to be ready")
                _demand_never_fewer(its, 2, since)
            with its.step("from the HPA to KEDA"):
                its.rollout.upgrade(its.target(DEFAULT, quick, by_keda))
                _await_scaler(lab, its.namespace)
                _demand_never_fewer(its, 1, since)
            with its.load("burst", door, BURST):
                with its.step("the rate brings more pods"):
                    its.await_replicas(lambda ready: ready >= 4, "at least four pods for 130 requests a second")
                with its.step("the chart's own query counts the requests, too"):  # the demand alone brings them
                    journal.detail(_await_measured(lab, its.namespace))
            _demand_never_fewer(its, 1, since)
        with its.step("idle: none is left"):
            its.await_replicas(lambda ready: ready == 0, "no pod while nobody calls")
            lab.await_settled(its.namespace)  # those on their way out answer still
        with its.load("waking", door, CALM, timeout=_WAKING):
            with its.step("demand at the door brings it back"):
                its.await_replicas(lambda ready: ready >= 1, "a pod for those who wait")
            since = time.time()
            with its.step("from KEDA back to the HPA"):
                its.rollout.upgrade(its.target(DEFAULT, quick, by_hpa))
                its.await_replicas(lambda ready: ready >= 2, "the HPA's minimum of two pods")
                _demand_never_fewer(its, 1, since)


def dev(lab: Lab, journal: Journal) -> None:
    """The development values rest at zero, wake for `helm test` and for a client's pod, and go back to rest."""
    with scene(lab, journal, "KEDA, development values: a client's pod wakes the ingress") as its:
        with its.step("install: nothing runs while nobody calls"):
            its.rollout.install(its.target("dev"))
            its.await_replicas(lambda ready: ready == 0, "no pod while nobody calls")
        with its.step("helm test wakes it"):
            its.rollout.test()
        with its.step("a client's pod keeps it awake"):
            lab.api.create(client(lab, {"app.kubernetes.io/component": "client"}), its.namespace)
            its.await_replicas(lambda ready: ready >= 1, "a pod for the client")
        _, targets = lab.open(its.namespace)
        with its.load("calm", targets, CALM) as running:
            until(lambda: len(running.requests()) >= _ENOUGH, what="the load", deadline=120, error=ClusterError)
        with its.step("the client leaves: back to rest"):
            lab.api.delete("Pod", "client", its.namespace, grace=0)
            its.await_replicas(lambda ready: ready == 0, "no pod again", deadline=_WINDOW + SCALER_DEADLINE)


def _await_scaler(lab: Lab, namespace: str) -> None:
    """Wait until every HPA of a namespace, KEDA's too, has a metric to act on."""
    lab.api.observe(
        lambda: lab.api.list("HorizontalPodAutoscaler", namespace),
        lambda seen: {conditions(scaler).get("ScalingActive", {}).get("status") for scaler in seen} == {"True"},
        what="the scaler to be able to act",
        deadline=SCALER_DEADLINE,
        interval=0.5,
        told=lambda seen: "\n".join(json.dumps(scaler.get("status", {})) for scaler in seen) or "there is none",
    )


def _await_measured(lab: Lab, namespace: str) -> str:
    """Wait until each metric of the scaler that KEDA made is above zero; the metrics and their values."""

    def look() -> dict[str, str]:
        scalers = (scaler.get("status", {}) for scaler in lab.api.list("HorizontalPodAutoscaler", namespace))
        metrics = (each["external"] for status in scalers for each in status.get("currentMetrics") or ())
        return {each["metric"]["name"]: each["current"].get("averageValue", "0") for each in metrics}

    seen = lab.api.observe(
        look,
        lambda seen: bool(seen) and "0" not in seen.values(),
        what="every query of KEDA to count requests",
        deadline=SCALER_DEADLINE / 2,
        interval=1,
        told=json.dumps,
    )
    return json.dumps(seen)


def _demand_never_fewer(its: Scene, least: int, since: float) -> None:
    fewest = its.fewest(since)
    demand(fewest >= least, "pods were missing on the way", f"never fewer than {least} ready", f"{fewest} at times")


def _door(lab: Lab, namespace: str) -> list[str]:
    """Put a proxy before the front that counts and keeps requests; where it is reached from outside."""
    words = {"front": lab.question.service, "namespace": namespace, "image": lab.door}
    for document in read_manifests(Template(_DOOR.read_text(encoding="utf-8")).substitute(words)):
        lab.api.apply(dict(document.data), namespace)
    await_ready(lab.api, "Deployment", namespace, "door")
    service = lab.api.get("Service", "door", namespace) or {}
    number = service["spec"]["ports"][0]["nodePort"]
    targets = [f"http://{address}:{number}/" for address in lab.addresses()]
    for target in targets:
        lab.api.wait(lambda target=target: lab.ask(target), what=f"{target} to answer", deadline=30)  # type: ignore[misc]
    return targets
