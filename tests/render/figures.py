"""The chart's documented figures: what to render, where the figure stands in it, and what it must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.render.harness import CHART, Document, Documents, container, pod, render

Read = Callable[[Documents], Any]


@dataclass(frozen=True)
class Figure:
    """`read(render(values, **options))` must equal `expected`; `requirement` is its line in requirements.toml."""

    name: str
    requirement: str
    expected: Any
    read: Read
    values: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def found(self, chart: Path = CHART) -> Any:
        """What the chart says in place of `expected`."""
        return self.read(render(self.values, chart=chart, **self.options))


INGRESS, ROUTE_MANAGER = "gati-ingress", "route-manager"
HPA = {"ingress": {"hpa": {"enabled": True}}}
KEDA = {"keda": {"enabled": True}}
ZERO = {"keda": {"enabled": True, "scaleToZero": True, "activationQuery": "up"}}
MONITOR = {"prometheusOperator": {"serviceMonitor": {"enabled": True}}}
ZONES = {"multiZone": {"enabled": True}}


def deployment(name: str) -> Callable[[Documents], Document]:
    return lambda docs: docs.one("Deployment", name)


def main(name: str, *path: str | int) -> Read:
    """The place `path` in the main container of a Deployment."""
    return lambda docs: at(container(docs.one("Deployment", name)), *path)


def place(kind: str, name: str | None, *path: str | int) -> Read:
    """The place `path` in the only such document."""
    return lambda docs: at(docs.one(kind, name), *path)


def at(tree: Any, *path: str | int) -> Any:
    """The value at `path`, None where the path ends early."""
    for step in path:
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def port(probe_or_target: Any, workload: Document) -> Any:
    """A port as number: names are looked up in the main container."""
    named = {entry.get("name"): entry["containerPort"] for entry in container(workload)["ports"]}
    return named.get(probe_or_target, probe_or_target)


def probe(name: str, which: str, *path: str) -> Read:
    """A probe's field; a port comes as number."""

    def read(docs: Documents) -> Any:
        workload = docs.one("Deployment", name)
        found = at(container(workload), which, *path)
        return port(found, workload) if path[-1] == "port" else found

    return read


def service_ports(docs: Documents, name: str) -> dict[str, tuple[int, int]]:
    """{name: (port, target as number)} of the ports of a Service that clients call."""
    workload = docs.one("Deployment", name)
    return {
        entry["name"]: (entry["port"], port(entry["targetPort"], workload))
        for entry in docs.one("Service", name)["spec"]["ports"]
        if entry["name"] != "metrics"
    }


def service_port(name: str) -> Read:
    """(port, target as number) of the port that clients are told of: that with TLS, where there is one."""
    return lambda docs: list(service_ports(docs, name).values())[-1]


def resources(name: str, requirement: tuple[str, str], figures: Mapping[str, Mapping[str, str]]) -> list[Figure]:
    return [
        Figure(
            f"{name}-{bound}-{what}",
            requirement[bound == "limits"],
            value,
            main(name, "resources", bound, what),
        )
        for bound, amounts in figures.items()
        for what, value in amounts.items()
    ]


def behavior(direction: str, *path: str | int) -> Read:
    return place("HorizontalPodAutoscaler", INGRESS, "spec", "behavior", direction, *path)


def policies(direction: str) -> Read:
    def read(docs: Documents) -> Any:
        found = at(docs.one("HorizontalPodAutoscaler", INGRESS), "spec", "behavior", direction, "policies")
        return sorted((rule["type"], rule["value"], rule["periodSeconds"]) for rule in found or [])

    return read


def policy(direction: str, kind: str, what: str) -> Read:
    def read(docs: Documents) -> Any:
        found = at(docs.one("HorizontalPodAutoscaler", INGRESS), "spec", "behavior", direction, "policies")
        return [rule[what] for rule in found or [] if rule["type"] == kind]

    return read


def sleeps(docs: Documents) -> dict[str, Any]:
    """The native preStop pause of each Deployment, in seconds."""
    return {
        doc["metadata"]["name"]: at(container(doc), "lifecycle", "preStop", "sleep", "seconds")
        for doc in docs.all("Deployment")
    }


def exec_sleeps(docs: Documents) -> dict[str, Any]:
    """The last argument of each Deployment's preStop command."""
    return {
        doc["metadata"]["name"]: at(container(doc), "lifecycle", "preStop", "exec", "command", -1)
        for doc in docs.all("Deployment")
    }


def graces(docs: Documents) -> dict[str, Any]:
    return {doc["metadata"]["name"]: pod(doc).get("terminationGracePeriodSeconds") for doc in docs.all("Deployment")}


def rollouts(what: str) -> Read:
    return lambda docs: {
        doc["metadata"]["name"]: at(doc, "spec", "strategy", "rollingUpdate", what) for doc in docs.all("Deployment")
    }


def trigger(*path: str | int) -> Read:
    return place("ScaledObject", None, "spec", "triggers", 0, *path)


def endpoint(what: str) -> Read:
    return place("ServiceMonitor", None, "spec", "endpoints", 0, what)


def scraped_port(docs: Documents) -> Any:
    """The container port that the ServiceMonitor's endpoint ends at."""
    named = docs.one("ServiceMonitor")["spec"]["endpoints"][0]["port"]
    targets = {entry["name"]: entry["targetPort"] for entry in docs.one("Service", INGRESS)["spec"]["ports"]}
    return port(targets[named], docs.one("Deployment", INGRESS))


def config(key: str) -> Read:
    """A key of the ConfigMap that is the ingress' environment."""
    return lambda docs: ingress_config(docs)["data"].get(key)


def ingress_config(docs: Documents) -> Document:
    """The only ConfigMap that the ingress takes its environment from."""
    (name,) = [
        source["configMapRef"]["name"]
        for source in container(docs.one("Deployment", INGRESS))["envFrom"]
        if "configMapRef" in source
    ]
    return docs.one("ConfigMap", name)


def both(value: Any) -> dict[str, Any]:
    return {INGRESS: value, ROUTE_MANAGER: value}


FIGURES: tuple[Figure, ...] = (
    Figure("ingress-replicas", "2.1", 2, place("Deployment", INGRESS, "spec", "replicas")),
    *resources(
        INGRESS,
        ("2.1", "2.2"),
        {
            "requests": {"cpu": "250m", "memory": "256Mi"},
            "limits": {"cpu": "1", "memory": "512Mi"},
        },  # 1 is what the API server makes of 1000m
    ),
    Figure(
        "ingress-container-port",
        "4.1",
        [8080],
        lambda docs: [entry["containerPort"] for entry in container(docs.one("Deployment", INGRESS))["ports"]],
    ),
    Figure("ingress-readiness-path", "2.3", "/healthz", probe(INGRESS, "readinessProbe", "httpGet", "path")),
    Figure("ingress-readiness-port", "2.3", 8080, probe(INGRESS, "readinessProbe", "httpGet", "port")),
    Figure("ingress-liveness-path", "2.4", "/livez", probe(INGRESS, "livenessProbe", "httpGet", "path")),
    Figure("ingress-liveness-port", "2.4", 8080, probe(INGRESS, "livenessProbe", "httpGet", "port")),
    Figure("route-manager-replicas", "3.3", 1, place("Deployment", ROUTE_MANAGER, "spec", "replicas")),
    *resources(
        ROUTE_MANAGER,
        ("3.2", "3.2"),
        {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}},
    ),
    Figure(
        "route-manager-container-port",
        "4.3",
        [50051],
        lambda docs: [entry["containerPort"] for entry in container(docs.one("Deployment", ROUTE_MANAGER))["ports"]],
    ),
    Figure("route-manager-readiness-port", "3.4", 50051, probe(ROUTE_MANAGER, "readinessProbe", "grpc", "port")),
    Figure("route-manager-liveness-port", "3.4", 50051, probe(ROUTE_MANAGER, "livenessProbe", "grpc", "port")),
    Figure("ingress-service-ports", "4.1", (80, 8080), service_port(INGRESS)),
    Figure("ingress-service-type", "4.2", "ClusterIP", place("Service", INGRESS, "spec", "type")),
    Figure("route-manager-service-ports", "4.3", (50051, 50051), service_port(ROUTE_MANAGER)),
    Figure("route-manager-service-type", "4.3", "ClusterIP", place("Service", ROUTE_MANAGER, "spec", "type")),
    Figure("config-route-manager", "5.2", f"{ROUTE_MANAGER}.gati.svc:50051", config("ROUTE_MANAGER_ADDR")),
    Figure("config-timescape", "5.3", "", config("TIMESCAPE_ADDR")),
    Figure("config-playground", "5.3", "false", config("FEATURE_PLAYGROUND")),
    Figure("hpa-api", "6.3", "autoscaling/v2", place("HorizontalPodAutoscaler", INGRESS, "apiVersion"), HPA),
    Figure(
        "rbac-verbs",
        "12.2",
        {("get", "list", "watch")},
        lambda docs: {tuple(rule["verbs"]) for role in docs.all("Role") for rule in role["rules"]},
    ),
    Figure("hpa-minimum", "6.2", 2, place("HorizontalPodAutoscaler", INGRESS, "spec", "minReplicas"), HPA),
    Figure("hpa-maximum", "6.2", 10, place("HorizontalPodAutoscaler", INGRESS, "spec", "maxReplicas"), HPA),
    Figure(
        "hpa-cpu",
        "6.4",
        [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
            }
        ],
        place("HorizontalPodAutoscaler", INGRESS, "spec", "metrics"),
        HPA,
    ),
    Figure("hpa-down-window", "6.5", 300, behavior("scaleDown", "stabilizationWindowSeconds"), HPA),
    Figure("hpa-down-policies", "6.5", [("Percent", 50, 60)], policies("scaleDown"), HPA),
    Figure("hpa-up-window", "6.5", 0, behavior("scaleUp", "stabilizationWindowSeconds"), HPA),
    Figure("hpa-up-select", "6.5", "Max", behavior("scaleUp", "selectPolicy"), HPA),
    Figure("hpa-up-policies", "6.5", [("Percent", 100, 15), ("Pods", 2, 15)], policies("scaleUp"), HPA),
    Figure("monitor-namespace", "7.4", "monitoring", place("ServiceMonitor", None, "metadata", "namespace"), MONITOR),
    Figure("monitor-interval", "7.2", "15s", endpoint("interval"), MONITOR),
    Figure("monitor-path", "7.2", "/metrics", endpoint("path"), MONITOR),
    Figure("monitor-port", "7.2", 8080, scraped_port, MONITOR),
    Figure("monitor-honor-labels", "7.3", True, endpoint("honorLabels"), MONITOR),
    Figure("keda-trigger", "9.2", "prometheus", trigger("type"), KEDA),
    Figure(
        "keda-query",
        "9.3",
        'sum(rate(gati_ingress_requests_total{namespace="gati",pod=~"gati-ingress-[a-z0-9]+-[a-z0-9]+"}[1m]))',
        trigger("metadata", "query"),
        KEDA,
    ),
    Figure("keda-threshold", "9.3", "100", trigger("metadata", "threshold"), KEDA),
    Figure("keda-minimum", "9.4", 2, place("ScaledObject", None, "spec", "minReplicaCount"), KEDA),
    Figure("keda-maximum", "9.4", 10, place("ScaledObject", None, "spec", "maxReplicaCount"), KEDA),
    Figure("keda-minimum-zero", "9.4", 0, place("ScaledObject", None, "spec", "minReplicaCount"), ZERO),
    Figure("pdb-minimum", "13.3", 1, place("PodDisruptionBudget", INGRESS, "spec", "minAvailable")),
    Figure(
        "pdb-eviction",
        "13.1",
        "AlwaysAllow",
        place("PodDisruptionBudget", INGRESS, "spec", "unhealthyPodEvictionPolicy"),
    ),
    Figure(
        "zone-key",
        "14.2",
        ["topology.kubernetes.io/zone"],
        lambda docs: [
            term["podAffinityTerm"]["topologyKey"]
            for term in pod(docs.one("Deployment", INGRESS))["affinity"]["podAntiAffinity"][
                "preferredDuringSchedulingIgnoredDuringExecution"
            ]
        ],
        ZONES,
    ),
    Figure(
        "zone-skew",
        "14.3",
        [("topology.kubernetes.io/zone", 1)],
        lambda docs: [
            (spread["topologyKey"], spread["maxSkew"])
            for spread in pod(docs.one("Deployment", INGRESS))["topologySpreadConstraints"]
        ],
        ZONES,
    ),
    Figure(
        "zone-revision",
        "14.5",
        [["pod-template-hash"]],
        lambda docs: [
            spread.get("matchLabelKeys") for spread in pod(docs.one("Deployment", INGRESS))["topologySpreadConstraints"]
        ],
        ZONES,
    ),
    Figure("shutdown-pause", "18.1", both(15), sleeps),
    Figure("shutdown-pause-old", "18.1", both("15"), exec_sleeps, options={"kube_version": "1.29.0"}),
    Figure("shutdown-pause-first-native", "18.5", both(15), sleeps, options={"kube_version": "1.30.0"}),
    Figure("shutdown-grace", "18.2", both(30), graces),
    Figure("rollout-unavailable", "18.4", both(0), rollouts("maxUnavailable")),
    Figure("rollout-surge", "18.4", both(1), rollouts("maxSurge")),
    Figure(
        "namespace-policy",
        "1.4",
        "keep",
        place("Namespace", "gati", "metadata", "annotations", "helm.sh/resource-policy"),
        options={"namespace": "ops"},
    ),
    Figure(
        "namespace-security",
        "1.4",
        "restricted",
        place("Namespace", "gati", "metadata", "labels", "pod-security.kubernetes.io/enforce"),
        options={"namespace": "ops"},
    ),
    Figure("tls-service-ports", "11", (443, 8443), service_port(INGRESS), {"tls": {"enabled": True}}),
    Figure(
        "prod-replicas",
        "16.5",
        (3, 20),
        lambda docs: (
            docs.one("HorizontalPodAutoscaler", INGRESS)["spec"]["minReplicas"],
            docs.one("HorizontalPodAutoscaler", INGRESS)["spec"]["maxReplicas"],
        ),
        options={"values_files": ("values-prod.yaml",)},
    ),
    Figure(
        "prod-budget",
        "16.5",
        2,
        place("PodDisruptionBudget", INGRESS, "spec", "minAvailable"),
        options={"values_files": ("values-prod.yaml",)},
    ),
    Figure(
        "prod-playground",
        "16.5",
        "false",
        config("FEATURE_PLAYGROUND"),
        options={"values_files": ("values-prod.yaml",)},
    ),
)
