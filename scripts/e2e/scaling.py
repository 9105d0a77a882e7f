"""The scenarios of autoscaling: replicas follow the load by real operators, and no request is lost on any way."""

from __future__ import annotations

import json

from scripts.cluster.objects import Object, conditions
from scripts.core.errors import ClusterError
from scripts.core.waiting import until
from scripts.e2e.lab import DEFAULT, Lab
from scripts.e2e.report import Journal
from scripts.e2e.scene import BURST, CALM, SCALER_DEADLINE, client, scene

_WINDOW = 300.0  # seconds: the chart's own stabilization window, and its cooldown
_ENOUGH = 300  # requests that the development values are asked


def hpa(lab: Lab, journal: Journal) -> None:
    """Load takes the ingress from two pods upwards by CPU and back; no request is lost."""
    # Only the request is not the chart's own: one machine has to exceed it, too.
    scaler = {"ingress": {"hpa": {"enabled": True}, "resources": {"requests": {"cpu": "50m"}}}}
    with scene(lab, journal, "HPA, default values: CPU drives the replicas") as its:
        with its.step("install with the HPA"):
            its.rollout.install(its.target(DEFAULT, scaler), deadline=lab.deadline)
            its.await_replicas(lambda ready: ready == 2, "the HPA's minimum of two pods")
        with its.step("the HPA has its metric"):
            _await_scaler(lab, its.namespace)
        _, targets = lab.open(its.namespace)
        with its.load("calm", targets, CALM):
            with its.load("burst", targets, BURST), its.step("load brings more pods"):
                its.await_replicas(lambda ready: ready >= 4, "at least four pods under load")
            with its.step("without load it goes back to two"):
                its.await_replicas(lambda ready: ready == 2, "two pods again", deadline=_WINDOW + SCALER_DEADLINE)
    lab.forget(its.namespace)


def dev(lab: Lab, journal: Journal) -> None:
    """The development values rest at zero, wake for `helm test` and for a client's pod, and go back to rest."""
    with scene(lab, journal, "KEDA, development values: a client's pod wakes the ingress") as its:
        with its.step("install: nothing runs while nobody calls"):
            its.rollout.install(its.target("dev"), deadline=lab.deadline)
            its.await_replicas(lambda ready: ready == 0, "no pod while nobody calls")
        with its.step("helm test wakes it"):
            its.rollout.test(deadline=120)
        with its.step("a client's pod keeps it awake"):
            lab.api.create(client(lab, {"app.kubernetes.io/component": "client"}), its.namespace)
            its.await_replicas(lambda ready: ready >= 1, "a pod for the client")
        _, targets = lab.open(its.namespace)
        with its.load("calm", targets, CALM) as running:
            until(lambda: len(running.requests()) >= _ENOUGH, what="the load", deadline=120, error=ClusterError)
        with its.step("the client leaves: back to rest"):
            lab.api.delete("Pod", "client", its.namespace, grace=0)
            its.await_replicas(lambda ready: ready == 0, "no pod again", deadline=_WINDOW + SCALER_DEADLINE)
    lab.forget(its.namespace)


def _await_scaler(lab: Lab, namespace: str) -> None:
    """Wait until every HPA of a namespace, KEDA's too, has a metric to act on."""
    seen: list[Object] = []

    def active() -> bool | None:
        seen[:] = lab.api.list("HorizontalPodAutoscaler", namespace)
        return True if seen and all(_active(scaler) for scaler in seen) else None

    lab.api.wait(
        active,
        what="the scaler to be able to act",
        deadline=SCALER_DEADLINE,
        interval=0.5,
        state=lambda: "\n".join(json.dumps(scaler.get("status", {})) for scaler in seen) or "there is none",
    )


def _active(scaler: Object) -> bool:
    return bool(conditions(scaler).get("ScalingActive", {}).get("status") == "True")
