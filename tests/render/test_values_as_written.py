"""Values arrive as people write them, or are refused by their key: numbers, templates, overrides, removals."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from scripts.core.command import Result
from tests.render.everything import EVERYTHING, merged, nested
from tests.render.figures import INGRESS, ROUTE_MANAGER, at, config
from tests.render.harness import CHART, afresh, container, pod, render, render_error, render_text, runner, tool
from tests.render.notes import notes

COMPONENTS = {"ingress": INGRESS, "routeManager": ROUTE_MANAGER}


def by_set(*assignments: str) -> Result:
    argv = [tool("helm"), "template", "gati", str(CHART), "--namespace", "gati"]
    for assignment in assignments:
        argv += ["--set", assignment]
    return runner().run(argv, check=False)


class TestSet:
    @pytest.mark.parametrize(
        ("assignment", "more", "rendered"),
        [
            ("keda.requestsPerSecond=0.5", "keda.enabled=true", 'threshold: "0.5"'),
            (
                "prometheusOperator.prometheusRule.errorRatio=0.01",
                "prometheusOperator.prometheusRule.enabled=true",
                "> 0.01",
            ),
            (
                "prometheusOperator.prometheusRule.latencySeconds=2.5",
                "prometheusOperator.prometheusRule.enabled=true",
                "> 2.5",
            ),
            ("ingress.image.tag=1.10", "tests.enabled=false", "gati-ingress:1.10"),
            ("ingress.image.tag=0123", "tests.enabled=false", "gati-ingress:0123"),
            ("ingress.image.tag=12e3", "tests.enabled=false", "gati-ingress:12e3"),
            ("ingress.image.tag=7", "tests.enabled=false", "gati-ingress:7"),
        ],
    )
    def test_a_number_arrives_as_typed(self, assignment: str, more: str, rendered: str) -> None:
        done = by_set(assignment, more)
        assert done.status == 0, done.stderr
        assert rendered in done.stdout

    @pytest.mark.parametrize("rate", ["0", "0.0", "-1", "many"])
    def test_what_is_no_rate_is_refused(self, rate: str) -> None:
        assert "keda/requestsPerSecond" in by_set(f"keda.requestsPerSecond={rate}").stderr


@pytest.mark.parametrize("tag", ["1.0", "0123", "12e3", "0x10", "7"])
def test_a_tag_that_yaml_may_have_rewritten_is_refused(tag: str) -> None:
    values = yaml.safe_load(f"ingress: {{image: {{tag: {tag}}}}}")
    values["ingress"]["image"]["tag"] = float(values["ingress"]["image"]["tag"])
    assert "ingress.image.tag" in render_error(values)


@pytest.mark.parametrize("key", ["bad key", "-x", "x/", "a" * 64, "/b"])
@pytest.mark.parametrize("where", ["commonLabels", "podAnnotations", "ingress.config", "routeManager.podLabels"])
def test_a_bad_key_is_named_every_time(where: str, key: str) -> None:
    good = {f"good-{number}": "x" for number in range(5)}
    if where == "ingress.config":
        key = f"{key} ="
    for _ in range(3):
        with afresh():
            message = render_error(nested(tuple(where.split(".")), {**good, key: "x"}))
        assert f"'{key}'" in message
        assert "good-" not in message


class TestTaken:
    """What the API server takes, the chart takes."""

    def test_names_of_variables(self) -> None:
        extra = [{"name": name, "value": "x"} for name in ("2FA", "with space", "a/b:c", "DOT.TED")]
        docs = render({"ingress": {"extraEnv": extra}})
        names = [entry["name"] for entry in container(docs.one("Deployment", INGRESS))["env"]]
        assert names[-4:] == [entry["name"] for entry in extra]

    def test_a_toleration_of_everything(self) -> None:
        toleration = {"key": "", "operator": "Exists"}
        assert pod(render({"tolerations": [toleration]}).one("Deployment", INGRESS))["tolerations"] == [toleration]

    def test_no_limit_of_revisions(self) -> None:
        docs = render({"revisionHistoryLimit": None})
        assert "revisionHistoryLimit" not in docs.one("Deployment", INGRESS)["spec"]


def test_the_charts_own_variables_are_refused_in_the_configmap() -> None:
    values: dict[str, Any] = {
        "tls": {"enabled": True, "http": "redirect", "caBundle": {"secretName": "ca"}},
        "routeManager": {"tls": {"enabled": True}},
        "ingress": {"prometheus": {"port": 9102}},
    }
    own = {entry["name"] for entry in container(render(values).one("Deployment", INGRESS))["env"]}
    assert {"POD_NAME", "POD_NAMESPACE"} <= own
    assert {"HTTP_PORT", "HTTPS_PORT", "HTTP_MODE", "ROUTE_MANAGER_TLS", "GATI_METRICS_PORT", "GATI_CA_BUNDLE"} <= own
    for name in own:
        assert name in render_error(merged(values, {"ingress": {"config": {name: "x"}}}))
        extra = merged(values, {"ingress": {"extraEnv": [{"name": name, "value": "mine"}]}})
        entries = container(render(extra).one("Deployment", INGRESS))["env"]
        assert [entry["value"] for entry in entries if entry["name"] == name] == ["mine"]


def test_annotations_for_a_scrape_of_ones_own_win() -> None:
    docs = render({"ingress": {"podAnnotations": {"prometheus.io/port": 9999, "checksum/config": "mine"}}})
    found = docs.one("Deployment", INGRESS)["spec"]["template"]["metadata"]["annotations"]
    assert found["prometheus.io/port"] == "9999"
    assert found["prometheus.io/path"] == "/metrics"
    assert len(found["checksum/config"]) == 64, "the chart's, or a changed configuration would roll nothing"


class TestTemplates:
    TEXT = "{{ .Release.Name }}-x"

    @pytest.mark.parametrize("on", [True, False])
    def test_in_annotations(self, on: bool) -> None:
        docs = render({"templates": {"annotations": on}, "commonAnnotations": {"who": self.TEXT}}, release="blue")
        assert {doc["metadata"]["annotations"]["who"] for doc in docs} == {"blue-x" if on else self.TEXT}

    @pytest.mark.parametrize("on", [True, False])
    def test_in_the_configuration(self, on: bool) -> None:
        docs = render({"templates": {"config": on}, "ingress": {"config": {"K": self.TEXT}}}, release="blue")
        assert config("K")(docs) == ("blue-x" if on else self.TEXT)

    def test_in_hosts(self) -> None:
        host = "{{ .Release.Name }}.example.com"
        values = {
            "templates": {"hosts": True},
            "externalIngress": {
                "enabled": True,
                "hosts": [{"host": host}],
                "tls": [{"secretName": "c", "hosts": [host]}],
            },
            "httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}], "hostnames": [host]},
            "tls": {
                "enabled": True,
                "certManager": {"enabled": True, "issuerRef": {"name": "i"}, "dnsNames": [host]},
            },
        }
        docs = render(values, release="blue")
        spec = docs.one("Ingress")["spec"]
        assert (spec["rules"][0]["host"], spec["tls"][0]["hosts"]) == ("blue.example.com", ["blue.example.com"])
        assert docs.one("HTTPRoute")["spec"]["hostnames"] == ["blue.example.com"]
        assert "blue.example.com" in docs.one("Certificate")["spec"]["dnsNames"]


ROUTE = {"host": "api.example.com", "path": "/v1", "upstream": "http://api.default.svc:8080"}


@pytest.mark.parametrize(
    ("route", "named"),
    [
        ({"hots": "a", "upstream": "http://a"}, "hots"),
        ({"host": "a"}, "upstream"),
        ({**ROUTE, "host": "a b"}, "host"),
        ({**ROUTE, "path": "v1"}, "path"),
        ({**ROUTE, "path": "/v1?x"}, "path"),
        ({**ROUTE, "upstream": "api:8080"}, "upstream"),
        ({**ROUTE, "upstream": "ftp://api"}, "upstream"),
        ({**ROUTE, "upstream": "http://api:0"}, "upstream"),
        ({**ROUTE, "upstream": "http://api:65536"}, "upstream"),
        ({**ROUTE, "upstream": "http://api:web"}, "upstream"),
        ({**ROUTE, "upstream": "http://[::1"}, "upstream"),
        ({**ROUTE, "upstream": "http://[zz]:80"}, "upstream"),
        ("http://a", "routes/0"),
        (None, "routes/0"),
    ],
)
def test_a_bad_route_is_refused(route: Any, named: str) -> None:
    message = render_error({"routeManager": {"routes": [route]}})
    assert "/routeManager/routes/0" in message
    assert named in message


@pytest.mark.parametrize("host", ["*", "*.example.com", "a", "A.b", "ключ.example"])
@pytest.mark.parametrize(
    "upstream", ["https://a", "grpc://a.b:1", "http://[::1]:80/x", "grpcs://a/b", "http://a.b.:65535"]
)
def test_a_good_route_is_taken(host: str, upstream: str) -> None:
    assert render({"routeManager": {"routes": [{**ROUTE, "host": host, "upstream": upstream}]}})


def test_no_route_leads_to_the_ingress_by_default() -> None:
    text = render().one("ConfigMap", "route-manager-routes")["data"]["routes.yaml"]
    (route,) = yaml.safe_load(text)["routes"]
    assert "localhost" not in route["upstream"]
    assert INGRESS not in route["upstream"]


@pytest.mark.parametrize(("own", "roll"), [("", True), ("", False), ("mine", True)])
def test_a_changed_route_rolls_the_pods_that_read_it_if_asked_to(own: str, roll: bool) -> None:
    def template(path: str) -> Any:
        asked = {"rollOnRoutes": roll, "existingRoutesConfigMap": own}
        values = {"routeManager": {**asked, "routes": [{**ROUTE, "path": path}]}}
        return render(values).one("Deployment", ROUTE_MANAGER)["spec"]["template"]

    assert (template("/a") != template("/b")) == (roll and not own)


@pytest.mark.requirement("8.4")
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_global_placement_key_can_be_left_out(component: str) -> None:
    affinity: dict[str, Any] = {
        "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a", "labelSelector": {}}]}
    }
    placement: dict[str, Any] = {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": affinity,
        "priorityClassName": "high",
    }
    for key in placement:
        docs = render({**placement, component: {"ignoreGlobal": [key]}})
        spec = pod(docs.one("Deployment", COMPONENTS[component]))
        assert key not in spec
        assert {other: spec[other] for other in placement if other != key} == {
            other: placement[other] for other in placement if other != key
        }


@pytest.mark.parametrize("component", COMPONENTS)
class TestPods:
    def test_settings_arrive_as_written(self, component: str) -> None:
        asked = {
            "dnsPolicy": "None",
            "dnsConfig": {"nameservers": ["10.0.0.10"], "options": [{"name": "ndots", "value": "2"}]},
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.example.com"]}],
            "hostNetwork": True,
            "runtimeClassName": "gvisor",
        }
        spec = pod(render({component: asked}).one("Deployment", COMPONENTS[component]))
        assert {key: spec[key] for key in asked} == asked
        plain = pod(render().one("Deployment", COMPONENTS[component]))
        assert not set(asked) & set(plain)

    def test_sidecars_run_beside_it_under_the_charts_context(self, component: str) -> None:
        side = {"name": "proxy", "image": "x:1", "ports": [{"containerPort": 1, "protocol": "TCP"}]}
        boxes = pod(render({component: {"extraContainers": [side]}}).one("Deployment", COMPONENTS[component]))[
            "containers"
        ]
        assert [box["name"] for box in boxes][1:] == ["proxy"]
        assert boxes[1]["securityContext"] == boxes[0]["securityContext"]
        assert boxes[1]["ports"] == side["ports"]

    def test_a_lifecycle_of_ones_own(self, component: str) -> None:
        hooks = {"preStop": {"exec": {"command": ["/app/drain"]}}}
        docs = render({component: {"lifecycle": hooks}})
        box = pod(docs.one("Deployment", COMPONENTS[component]))["containers"][0]
        assert box["lifecycle"] == hooks

    def test_a_hook_that_is_null_leaves_the_pause(self, component: str) -> None:
        """As one values file takes back what another gives."""
        box = container(render({component: {"lifecycle": {"preStop": None}}}).one("Deployment", COMPONENTS[component]))
        assert box["lifecycle"] == {"preStop": {"sleep": {"seconds": 15}}}

    def test_a_hook_of_another_kind_leaves_the_pause(self, component: str) -> None:
        hooks = {"postStart": {"exec": {"command": ["/app/warm"]}}}
        box = container(render({component: {"lifecycle": hooks}}).one("Deployment", COMPONENTS[component]))
        assert box["lifecycle"] == {**hooks, "preStop": {"sleep": {"seconds": 15}}}

    def test_in_the_nodes_network_services_are_still_found(self, component: str) -> None:
        spec = pod(render({component: {"hostNetwork": True}}).one("Deployment", COMPONENTS[component]))
        assert spec["dnsPolicy"] == "ClusterFirstWithHostNet"

    @pytest.mark.parametrize("which", ["startupProbe", "readinessProbe", "livenessProbe"])
    def test_a_probe_of_ones_own_or_none(self, component: str, which: str) -> None:
        own = {"tcpSocket": {"port": 1}, "periodSeconds": 3}
        box = container(render({component: {which: {"custom": own}}}).one("Deployment", COMPONENTS[component]))
        assert box[which] == own
        for off in ({"enabled": False}, {"enabled": False, "custom": own}):
            box = container(render({component: {which: off}}).one("Deployment", COMPONENTS[component]))
            assert which not in box
        assert at(box, "image")


class TestWhatNotesSay:
    """Of what was asked for: who the pods are, and what stands in the way of their rollout."""

    def test_the_accounts_that_the_pods_have(self) -> None:
        def accounts(**values: Any) -> str:
            (line,) = [line for line in notes(values).splitlines() if "service accounts:" in line]
            return line.partition(":")[2].strip()

        own = {"serviceAccount": {"create": False, "name": "mine"}}
        assert accounts() == "gati-ingress, route-manager"
        assert accounts(rbac={"create": False}) == "default"
        assert accounts(rbac={"create": False}, ingress=own) == "mine, default"
        assert accounts(ingress=own, routeManager={"enabled": False}) == "mine"

    def test_the_nodes_network_takes_a_node_for_each_pod(self) -> None:
        asked: dict[str, Any] = {"hostNetwork": True}
        assert "ingress.hostNetwork is on: a node" in notes({"ingress": asked})
        for strategy in ({"type": "Recreate"}, {"rollingUpdate": {"maxUnavailable": 1}}):
            assert "a node takes" not in notes({"ingress": {**asked, "strategy": strategy}})

    def test_policies_do_not_know_the_nodes_network(self) -> None:
        policies = {"networkPolicy": {"enabled": True}}
        for component, callers in (("ingress", True), ("routeManager", False)):
            text = notes({**policies, component: {"hostNetwork": True}})
            assert f"networkPolicy.enabled with {component}.hostNetwork: policies do not" in text
            assert text.count("hostNetwork: policies") == 1
            assert ("networkPolicy.routeManager.extraFrom" in text) == callers

    def test_the_nodes_network_is_refused_where_the_chart_makes_the_namespace(self) -> None:
        asked: dict[str, Any] = {"routeManager": {"hostNetwork": True}}
        assert "set namespace.create to false" in notes(asked, namespace="ops")
        assert "namespace.create" not in notes(asked)
        assert "namespace.create" not in notes({**asked, "namespace": {"create": False}}, namespace="ops")

    def test_routes_that_the_chart_does_not_know_roll_nothing(self) -> None:
        asked = {"rollOnRoutes": True, "existingRoutesConfigMap": "mine"}
        assert "rollOnRoutes has no effect" in notes({"routeManager": asked})
        assert "rollOnRoutes" not in notes({"routeManager": {"rollOnRoutes": True}})


def test_the_dns_of_another_cluster_listens_elsewhere() -> None:
    docs = render({"networkPolicy": {"enabled": True, "dnsPorts": [5353]}})
    for policy in docs.all("NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            assert 53 not in [entry.get("port") for entry in rule.get("ports", [])]
    assert "5353" in render_text({"networkPolicy": {"enabled": True, "dnsPorts": [5353]}})


def test_a_text_keeps_the_empty_lines_at_its_end() -> None:
    text = "more\n\n"
    trigger = {"type": "cron", "metadata": {"z": text}}
    own = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "annotations": {"z": text}}}
    keda = {
        "enabled": True,
        "triggerMetadata": {"z": text},
        "extraTriggers": [trigger, {"type": "cron", "metadata": {}}],
    }
    docs = render({"podAnnotations": {"z": text}, "keda": keda, "extraObjects": [own]})
    found = [entry["metadata"]["z"] for entry in docs.one("ScaledObject")["spec"]["triggers"][:2]]
    found += [doc["spec"]["template"]["metadata"]["annotations"]["z"] for doc in docs.all("Deployment")]
    assert [*found, docs.one("ConfigMap", "x")["metadata"]["annotations"]["z"]] == [text] * 5


def test_everything_takes_every_new_key_at_once() -> None:
    assert render(merged(EVERYTHING, {"fullnameOverride": "blue", "global": {"imageRegistry": "m.example.com"}}))
