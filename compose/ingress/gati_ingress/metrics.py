"""Owns the metrics of ingress; their names are what dashboards, alerts and the scaler's query rely on."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector


class Metrics:
    """One registry a server, so that several can live in one process."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.requests = Counter(
            "gati_ingress_requests",
            "Client requests answered, by method and status code.",
            ("method", "code"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "gati_ingress_request_duration_seconds",
            "Time from the request's head to the answer.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "gati_ingress_requests_in_flight", "Client requests not answered yet.", registry=self.registry
        )
        self.rejected = Counter(
            "gati_ingress_rejected", "Client requests refused because the queue was full.", registry=self.registry
        )
        self.route_manager_up = Gauge(
            "gati_ingress_route_manager_up", "1 while route-manager answers.", registry=self.registry
        )
        self.draining = Gauge(
            "gati_ingress_draining", "1 from the signal to stop until the end.", registry=self.registry
        )
        Gauge(
            "gati_ingress_build_info", "Constant 1, labelled with the version.", ("version",), registry=self.registry
        ).labels(version).set(1)
