"""Owns what is read out of one object of a cluster: its conditions, its readiness, its times; nothing is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from scripts.chart.pods import lasting

Object = dict[str, Any]

# What helm waits for in an object of any kind: those of operators follow it.
_UNSETTLED = frozenset({("Ready", "False"), ("Ready", "Unknown"), ("Available", "False"), ("Stalled", "True")})
# Of a namespace that is to go:
_UNSETTLED |= {("NamespaceContentRemaining", "True"), ("NamespaceDeletionContentFailure", "True")}
_UNSETTLED |= {("NamespaceDeletionDiscoveryFailure", "True"), ("NamespaceFinalizersRemaining", "True")}

NO_PROGRAM = r"(?:no such file or directory|executable file not found|permission denied)"
"""What a runtime says where a container has not what it is to run, as a regular expression."""
UNASKED = re.compile(rf"(?s)probe errored.*{NO_PROGRAM}")
"""What a kubelet says of a probe that it cannot run, and that neither passes nor fails for it."""
_COLLECTED = frozenset({"foregroundDeletion", "orphan"})  # finalizers of the garbage collector


def conditions(item: Mapping[str, Any]) -> dict[str, Object]:
    return {condition["type"]: condition for condition in item.get("status", {}).get("conditions") or ()}


def observed(item: Mapping[str, Any]) -> bool:
    """False while an object's controller has not seen its newest spec: then its status speaks of an older one."""
    seen = (item.get("status") or {}).get("observedGeneration")
    return not seen or bool(seen >= item["metadata"].get("generation", 0))


class Counts(NamedTuple):
    """How many pods a workload is to have, and has: ready ones, of its newest revision, at all."""

    wanted: int
    ready: int
    new: int
    there: int


def counts(workload: Mapping[str, Any]) -> Counts:
    """What a workload says of its pods. Where they wait for hands, an older revision is as good as the newest."""
    status, keys = workload.get("status") or {}, ("readyReplicas", "updatedReplicas", "replicas")
    wanted = workload["spec"].get("replicas", 1)
    if workload["kind"] == "DaemonSet":
        keys = ("numberReady", "updatedNumberScheduled", "currentNumberScheduled")
        wanted = status.get("desiredNumberScheduled", 0)
    ready, new, there = (status.get(key, 0) for key in keys)
    return Counts(wanted, ready, wanted if waits_for_hands(workload) else new, there)


def containers_of(pod: Mapping[str, Any]) -> tuple[Object, ...]:
    """A pod's containers as it declares them, the init containers first."""
    return (*(pod["spec"].get("initContainers") or ()), *(pod["spec"].get("containers") or ()))


def sidecars(pod: Mapping[str, Any]) -> set[str]:
    """The init containers that do not end, and that others wait for until they have started, by name."""
    return {one["name"] for one in pod["spec"].get("initContainers") or () if one.get("restartPolicy") == "Always"}


def labels_of(item: Mapping[str, Any]) -> Mapping[str, str]:
    """An object's labels, of which it may have none."""
    return item["metadata"].get("labels") or {}


def release_of(item: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The release that an object belongs to, and its namespace, as helm writes them; None where it does not."""
    notes = item["metadata"].get("annotations") or {}
    return notes.get("meta.helm.sh/release-name"), notes.get("meta.helm.sh/release-namespace")


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether an object says that it is ready: of a pod, that it may be given requests."""
    return conditions(pod).get("Ready", {}).get("status") == "True"


def address_of(node: Mapping[str, Any]) -> str:
    """Where a node is reached from within its network."""
    return str(next(entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP"))


def is_hook(item: Mapping[str, Any]) -> bool:
    """Whether helm made it for a hook."""
    return "helm.sh/hook" in (item.get("metadata", {}).get("annotations") or {})


def is_passing(item: Mapping[str, Any]) -> bool:
    """Whether it is a Job that goes by itself once it has ended."""
    return item["kind"] == "Job" and (item.get("spec") or {}).get("ttlSecondsAfterFinished") is not None


def is_of_another_revision(pod: Mapping[str, Any], owner: Mapping[str, Any]) -> bool:
    """Whether a pod is not of the revision that its StatefulSet or DaemonSet is to have."""
    if owner["kind"] == "StatefulSet":
        return bool(labels_of(pod).get("controller-revision-hash") != owner.get("status", {}).get("updateRevision"))
    generation = owner["metadata"].get("annotations", {}).get("deprecated.daemonset.template.generation")
    return bool(labels_of(pod).get("pod-template-generation") != generation)


def waits_for_hands(workload: Mapping[str, Any]) -> bool:
    """Whether a change leaves pods of a workload as they are, until somebody deletes them or its partition moves."""
    strategy = workload["spec"].get("updateStrategy") or {}
    return strategy.get("type") == "OnDelete" or bool((strategy.get("rollingUpdate") or {}).get("partition"))


def unsettled(item: Mapping[str, Any]) -> str:
    """Why an object is not what it shall become, by what its status says; "" where it says nothing of the kind."""
    spec, status = item.get("spec") or {}, item.get("status") or {}
    held = set(item["metadata"].get("finalizers") or ()) - _COLLECTED
    if "deletionTimestamp" in item["metadata"] and held:
        return f"it is to go, and waits for who holds it: {', '.join(sorted(held))}"
    if not observed(item):
        return "its controller has not looked at its newest state"
    if item["kind"] == "Service" and spec.get("type") == "LoadBalancer":
        return "" if (status.get("loadBalancer") or {}).get("ingress") else "no load balancer has given it an address"
    if item["kind"] == "PersistentVolumeClaim" and status.get("phase") != "Bound":
        return f"no volume is bound to it: {status.get('phase')}"
    for kind, condition in conditions(item).items():
        if (kind, condition.get("status")) in _UNSETTLED:
            told = condition.get("message") or condition.get("reason") or "it does not say why"
            return f"{kind} is {condition['status']}: {told}"
    return ""


def open_ports(pods: Iterable[Mapping[str, Any]]) -> dict[str | int, int]:
    """The ports that pods say to open, by their numbers and their names. They may open others: a pod need not say."""
    found: dict[str | int, int] = {}
    for pod in pods:
        for container in lasting(pod["spec"]):
            for port in container.get("ports") or ():
                if number := port.get("containerPort"):
                    found |= {number: number, port.get("name", number): number}
    return found


def dead_ends(service: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """In words, why a Service may lead nowhere: it selects no pod, or a port that its pods do not tell."""
    spec, name = service["spec"], f"Service {service['metadata']['name']}"
    wanted = spec.get("selector") or {}
    if not wanted:
        return  # somebody else says where it leads
    chosen = [pod for pod in pods if wanted.items() <= labels_of(pod).items()]
    if not chosen:
        yield f"{name} selects no pod: {wanted}"
    for pod in chosen:
        opened = open_ports([pod])
        for port in spec.get("ports") or ():
            if (target := port.get("targetPort", port["port"])) not in opened:
                named = ", ".join(map(str, opened)) or "they name none"
                yield f"{name} leads to port {target}, which its pods do not name: {named}"


def container_statuses(pod: Mapping[str, Any]) -> tuple[Object, ...]:
    """What became of a pod's containers, the init containers first."""
    status = pod.get("status", {})
    return (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))


def never_began(ended: Mapping[str, Any]) -> bool:
    """Whether a busy node's runtime could not begin a container, though there is a program to run in it."""
    return ended.get("reason") == "StartError" and not re.search(NO_PROGRAM, ended.get("message", ""))


def event_time(event: Mapping[str, Any]) -> float:
    """When an event happened last; see `moment`."""
    series = event.get("series") or {}
    return moment(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event.get("metadata", {}).get("creationTimestamp")
    )


def moment(text: Any) -> float:
    """A time that an object tells, in seconds since 1970; 0 where it has none in a form that is known.

    Texts would not do: some have fractions of a second and some do not, and "05.1Z" sorts before "05Z".
    """
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return 0.0
