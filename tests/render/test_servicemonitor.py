"""The ServiceMonitor: when it is there, where, and that it matches exactly one Service."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.figures import INGRESS, MONITOR, scraped_port
from tests.render.harness import Document, Documents, container, render, render_error

API = "monitoring.coreos.com/v1/ServiceMonitor"


def monitor(scrape: bool = True, operator: bool = True, enabled: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "ingress": {"prometheus": {"scrape": scrape}},
        "prometheusOperator": {"enabled": operator, "serviceMonitor": {"enabled": enabled}, **more},
    }


def matched(docs: Documents) -> list[Document]:
    spec = docs.one("ServiceMonitor")["spec"]
    labels = spec["selector"]["matchLabels"]
    return [
        service
        for service in docs.all("Service")
        if labels.items() <= service["metadata"]["labels"].items()
        and service["metadata"]["namespace"] in spec["namespaceSelector"]["matchNames"]
    ]


@pytest.mark.requirement("7.1")
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"routeManager": {"service": {"headless": True}}},
        {"commonLabels": {"app": "x"}},
        {"global": {"namespace": "elsewhere"}},
        {"ingress": {"name": "edge"}},
    ],
)
def test_matches_the_ingress_service_and_no_other(values: dict[str, Any]) -> None:
    docs = render({**MONITOR, **values})
    (service,) = matched(docs)
    assert service["metadata"]["name"] == docs.one("ServiceMonitor")["metadata"]["name"].removesuffix("-metrics")
    port = docs.one("ServiceMonitor")["spec"]["endpoints"][0]["port"]
    assert port in [entry["name"] for entry in service["spec"]["ports"]]


@pytest.mark.requirement("7.1", "7.2")
def test_a_port_of_its_own_is_scraped() -> None:
    docs = render({**MONITOR, "ingress": {"prometheus": {"port": 9102, "path": "/m"}}})
    assert scraped_port(docs) == 9102
    (endpoint,) = docs.one("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["path"] == "/m"


@pytest.mark.requirement("7.2")
def test_interval_comes_from_values() -> None:
    docs = render({"prometheusOperator": {"serviceMonitor": {"enabled": True, "interval": "1m"}}})
    assert docs.one("ServiceMonitor")["spec"]["endpoints"][0]["interval"] == "1m"


@pytest.mark.requirement("7.3")
def test_labels_are_honoured_on_every_endpoint() -> None:
    assert all(entry["honorLabels"] is True for entry in render(MONITOR).one("ServiceMonitor")["spec"]["endpoints"])


@pytest.mark.requirement("7.4")
def test_namespace_comes_from_values_and_scrapes_the_services_one() -> None:
    values = {"prometheusOperator": {"serviceMonitor": {"enabled": True, "namespace": "observe"}}}
    found = render(values).one("ServiceMonitor")
    assert found["metadata"]["namespace"] == "observe"
    assert found["spec"]["namespaceSelector"] == {"matchNames": ["gati"]}


@pytest.mark.requirement("7.5")
@pytest.mark.parametrize("scrape", [True, False])
@pytest.mark.parametrize("operator", [True, False])
@pytest.mark.parametrize("enabled", [True, False])
def test_needs_every_switch(scrape: bool, operator: bool, enabled: bool) -> None:
    rendered = render(monitor(scrape, operator, enabled)).all("ServiceMonitor")
    assert len(rendered) == (scrape and operator and enabled)


@pytest.mark.requirement("7.5")
def test_goes_with_its_service() -> None:
    assert not render({**MONITOR, "ingress": {"enabled": False}}).all("ServiceMonitor")


@pytest.mark.trap("hidden-servicemonitor")
def test_helm_template_shows_it_without_asking_the_cluster() -> None:
    assert render(MONITOR, api_versions=()).one("ServiceMonitor")


@pytest.mark.trap("hidden-servicemonitor")
@pytest.mark.parametrize("known", [True, False])
def test_render_mode(known: bool) -> None:
    apis = (API,) if known else ()
    assert len(render(monitor(renderMode="always"), api_versions=apis).all("ServiceMonitor")) == 1
    assert len(render(monitor(renderMode="skip"), api_versions=apis).all("ServiceMonitor")) == known
    if known:
        assert render(monitor(renderMode="fail"), api_versions=apis).one("ServiceMonitor")
    else:
        message = render_error(monitor(renderMode="fail"), api_versions=apis)
        assert "ServiceMonitor" in message
        assert "prometheusOperator.renderMode" in message


def test_without_it_the_pods_are_annotated_for_scraping() -> None:
    def annotations(values: dict[str, Any]) -> dict[str, str]:
        template = render(values).one("Deployment", INGRESS)["spec"]["template"]["metadata"]
        return dict(template.get("annotations", {}))

    found = annotations(monitor(enabled=False))
    assert found["prometheus.io/scrape"] == "true"
    assert found["prometheus.io/port"] == "8080"
    assert found["prometheus.io/path"] == "/metrics"
    assert "prometheus.io/scrape" not in annotations(monitor()), "a target scraped twice counts twice"
    assert "prometheus.io/scrape" not in annotations(monitor(scrape=False))


@pytest.mark.requirement("7.2")
def test_relabelings_and_the_time_out_come_from_values() -> None:
    asked = {
        "relabelings": [{"sourceLabels": ["a"], "targetLabel": "b", "action": "replace"}],
        "metricRelabelings": [{"regex": "go_.*", "action": "labeldrop"}],
        "scrapeTimeout": "10s",
    }
    (endpoint,) = render({"prometheusOperator": {"serviceMonitor": {"enabled": True, **asked}}}).one("ServiceMonitor")[
        "spec"
    ]["endpoints"]
    assert {key: endpoint[key] for key in asked} == asked


class TestManagement:
    """`ingress.prometheus.port`: metrics and liveness off the public port, by the scheme of the certificate."""

    values: dict[str, Any] = {"ingress": {"prometheus": {"port": 9102}}}  # noqa: RUF012

    @pytest.mark.parametrize("tls", [False, True])
    def test_the_image_is_told_and_probed_there(self, tls: bool) -> None:
        box = container(render({**self.values, "tls": {"enabled": tls}}).one("Deployment", INGRESS))
        assert {"name": "GATI_METRICS_PORT", "value": "9102"} in box["env"]
        for which, port in (("startupProbe", "metrics"), ("livenessProbe", "metrics"), ("readinessProbe", "http")):
            asked = box[which]["httpGet"]
            assert asked["port"] == port
            assert asked.get("scheme", "HTTP") == ("HTTPS" if tls and port == "metrics" else "HTTP")

    def test_an_image_that_keeps_liveness_on_http_can_be_had(self) -> None:
        probes = {which: {"port": "http"} for which in ("startupProbe", "livenessProbe")}
        box = container(render({"ingress": {"prometheus": {"port": 9102}, **probes}}).one("Deployment", INGRESS))
        assert box["livenessProbe"]["httpGet"]["port"] == box["startupProbe"]["httpGet"]["port"] == "http"

    @pytest.mark.parametrize(
        ("values", "scheme", "port"),
        [
            ({}, "http", "8080"),
            ({"tls": {"enabled": True}}, "http", "8080"),
            ({"tls": {"enabled": True}, "ingress": {"prometheus": {"port": 8443}}}, "https", "8443"),
            ({"tls": {"enabled": True}, "ingress": {"prometheus": {"port": 9102}}}, "https", "9102"),
            ({"ingress": {"prometheus": {"port": 9102}}}, "http", "9102"),
        ],
    )
    def test_both_ways_of_scraping_follow_the_scheme(self, values: dict[str, Any], scheme: str, port: str) -> None:
        template = render(values).one("Deployment", INGRESS)["spec"]["template"]["metadata"]
        assert template["annotations"]["prometheus.io/port"] == port
        assert template["annotations"].get("prometheus.io/scheme", "http") == scheme
        (endpoint,) = render({**values, **MONITOR}).one("ServiceMonitor")["spec"]["endpoints"]
        assert endpoint["scheme"] == scheme
        assert endpoint.get("tlsConfig") == ({"insecureSkipVerify": True} if scheme == "https" else None)
