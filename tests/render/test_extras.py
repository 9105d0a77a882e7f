"""Rules and dashboard for the monitoring, the pods of `helm test`, further objects."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from tests.render.everything import EVERYTHING, merged, nested
from tests.render.figures import INGRESS, ROUTE_MANAGER, at
from tests.render.harness import CHART, container, render, render_error

RULES = {"prometheusOperator": {"prometheusRule": {"enabled": True}}}


class TestPrometheusRule:
    def test_off_by_default(self) -> None:
        assert not render().all("PrometheusRule")

    def test_alerts_say_what_and_how_bad(self) -> None:
        alerts = [rule for group in render(RULES).one("PrometheusRule")["spec"]["groups"] for rule in group["rules"]]
        assert alerts
        for alert in alerts:
            assert alert["expr"]
            assert alert["labels"]["severity"]
            assert alert["annotations"]["summary"]

    def test_alerts_of_two_installations_are_two(self) -> None:
        """To Alertmanager those with the same labels are one, and most expressions leave none of their own."""
        sets: list[dict[str, Any]] = [{}, {"fullnameOverride": "blue", "global": {"namespace": "edge"}}]
        for values in sets:
            group = render(merged(RULES, values)).one("PrometheusRule")["spec"]["groups"][0]
            place = (values.get("global", {}).get("namespace", "gati"), group["name"])
            assert {(rule["labels"]["namespace"], rule["labels"]["service"]) for rule in group["rules"]} == {place}

    def test_alerts_are_about_this_release(self) -> None:
        docs = render({**RULES, "global": {"namespace": "edge"}, "ingress": {"name": "door"}})
        expressions = " ".join(
            rule["expr"] for group in docs.one("PrometheusRule")["spec"]["groups"] for rule in group["rules"]
        )
        assert "edge" in expressions
        assert '"gati"' not in expressions

    def test_rules_of_ones_own_come_after_these(self) -> None:
        own = {"alert": "Mine", "expr": "vector(1)", "labels": {"severity": "info"}, "for": "1m"}
        group = {"prometheusOperator": {"prometheusRule": {"extraRules": [own]}}}
        (before,) = render(RULES).one("PrometheusRule")["spec"]["groups"]
        (after,) = render(merged(RULES, group)).one("PrometheusRule")["spec"]["groups"]
        assert after["rules"] == [*before["rules"], own]

    def alerts(self, **values: Any) -> set[str]:
        docs = render(merged(RULES, values))
        return {rule["alert"] for group in docs.one("PrometheusRule")["spec"]["groups"] for rule in group["rules"]}

    def test_a_missing_ingress_is_missed_only_where_its_target_has_a_name(self) -> None:
        """`absent` is true for ever where no such series ever was."""
        monitor = {"prometheusOperator": {"serviceMonitor": {"enabled": True}}}
        assert "GatiIngressDown" not in self.alerts()
        assert "GatiIngressDown" in self.alerts(**monitor)
        assert "GatiIngressDown" in self.alerts(ingress={"prometheus": {"selector": 'job="mine"'}})
        skipped = {"prometheusOperator": {**RULES["prometheusOperator"], "renderMode": "skip"}}
        api = ("monitoring.coreos.com/v1/PrometheusRule",)
        docs = render(merged(monitor, skipped), api_versions=api)
        rules = docs.one("PrometheusRule")["spec"]["groups"][0]["rules"]
        assert "GatiIngressDown" not in [rule["alert"] for rule in rules]
        assert "GatiIngressDown" not in self.alerts(**monitor, keda={"enabled": True, "scaleToZero": True})

    @pytest.mark.parametrize(
        ("given", "used"),
        [
            ('job="a # b: c"', 'job="a # b: c"'),
            ('\njob="a",\n  env="b"\n', 'job="a",   env="b"'),
            (" \n", 'namespace="gati"'),
        ],
    )
    def test_a_selector_is_what_it_was_however_it_is_written(self, given: str, used: str) -> None:
        docs = render(merged(RULES, {"ingress": {"prometheus": {"selector": given}}}))
        (group,) = docs.one("PrometheusRule")["spec"]["groups"]
        assert all(f"{{{used}" in rule["expr"].replace("{ ", "{") for rule in group["rules"])
        named = [rule["alert"] for rule in group["rules"]]
        assert ("GatiIngressDown" in named) == bool(given.strip())


class TestDashboard:
    def test_off_by_default(self) -> None:
        assert not [doc for doc in render().all("ConfigMap") if "grafana" in json.dumps(doc)]

    def test_is_found_by_grafana_and_is_json(self) -> None:
        docs = render({"dashboard": {"enabled": True}})
        (found,) = [doc for doc in docs.all("ConfigMap") if doc["metadata"]["labels"].get("grafana_dashboard") == "1"]
        ((name, text),) = found["data"].items()
        assert name.endswith(".json")
        board = json.loads(text)
        assert board["title"]
        assert [panel for panel in board["panels"] if "gati_ingress_requests_total" in json.dumps(panel)]

    def test_the_share_of_errors_is_zero_while_there_are_none(self) -> None:
        """A counter of errors is not there before the first one, and what is not there has no share."""
        (text,) = render({"dashboard": {"enabled": True}}).one("ConfigMap", "gati-ingress-dashboard")["data"].values()
        expressions = [target["expr"] for panel in json.loads(text)["panels"] for target in panel.get("targets", ())]
        shares = [each for each in expressions if '"5.."' in each]
        assert shares
        assert all("or vector(0)) /" in each for each in shares)

    def test_namespace_comes_from_values(self) -> None:
        docs = render({"dashboard": {"enabled": True, "namespace": "grafana"}})
        assert [doc for doc in docs.all("ConfigMap") if doc["metadata"]["namespace"] == "grafana"]


class TestHook:
    """The pods of `helm test`."""

    def calls(self, values: dict[str, Any] | None = None) -> dict[str, str]:
        """{image repository: the last word of the command} of each test pod."""
        docs = render(values)
        found = {}
        for doc in docs.all("Pod"):
            assert doc["metadata"]["annotations"]["helm.sh/hook"] == "test"
            box = container(doc)
            found[box["image"].partition(":")[0].rpartition("/")[2]] = (box.get("command", []) + box.get("args", []))[
                -1
            ]
        return found

    def test_both_services_are_called_by_the_components_images(self) -> None:
        calls = self.calls()
        assert set(calls) == {"gati-ingress", "gati-route-manager"}
        assert re.search(rf"^http://{INGRESS}\.gati\.svc(:80)?/healthz$", calls["gati-ingress"])
        assert re.search(rf"{ROUTE_MANAGER}\.gati\.svc:50051$", calls["gati-route-manager"])

    def test_the_call_follows_ports_names_and_tls(self) -> None:
        calls = self.calls(
            {
                "global": {"namespace": "edge"},
                "ingress": {"name": "door", "readinessProbe": {"path": "/up"}},
                "tls": {"enabled": True, "secretName": "c", "servicePort": 8444},
                "routeManager": {"name": "rm", "service": {"port": 7000}},
            }
        )
        assert re.search(r"^https://door\.edge\.svc:8444/(up|healthz)$", calls["gati-ingress"])
        assert re.search(r"rm\.edge\.svc:7000$", calls["gati-route-manager"])

    def test_they_are_gone_before_the_next_run(self) -> None:
        for doc in render().all("Pod"):
            assert "before-hook-creation" in doc["metadata"]["annotations"]["helm.sh/hook-delete-policy"]

    def test_a_call_is_made_again_until_the_deadline(self) -> None:
        for doc in render().all("Pod"):
            assert doc["spec"]["restartPolicy"] == "OnFailure"
            assert 0 < doc["spec"]["activeDeadlineSeconds"] <= 120

    def test_the_log_of_a_failed_one_is_shown(self) -> None:
        for doc in render().all("Pod"):
            assert doc["metadata"]["annotations"]["helm.sh/hook-output-log-policy"] == "hook-failed"

    def test_their_annotations_win_over_the_charts_but_for_what_makes_them_tests(self) -> None:
        given = {"helm.sh/hook-delete-policy": "before-hook-creation", "helm.sh/hook": "pre-install"}
        for doc in render({"tests": {"podAnnotations": given}}).all("Pod"):
            assert doc["metadata"]["annotations"].items() >= {**given, "helm.sh/hook": "test"}.items()

    @pytest.mark.parametrize("place", ["ingress", ""], ids=["its own", "the chart's"])
    def test_their_place_does_not_depend_on_where_the_pods_are_that_they_call(self, place: str) -> None:
        """Required anti-affinity with an ingress on every node would leave no node to them."""
        node: dict[str, Any] = {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": []}]}
        }
        term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}
        apart = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
        affinity = {"nodeAffinity": node, "podAntiAffinity": apart, "podAffinity": apart}
        docs = render({place: {"affinity": affinity}} if place else {"affinity": affinity})
        (test,) = (doc for doc in docs.all("Pod") if doc["metadata"]["name"] == f"{INGRESS}-test")
        assert test["spec"]["affinity"] == {"nodeAffinity": node}
        assert docs.one("Deployment", INGRESS)["spec"]["template"]["spec"]["affinity"] == affinity

    def test_a_service_mesh_takes_them_in_or_leaves_them_out_by_keys_of_their_own(self) -> None:
        """A proxy beside a pod that ends may keep it from ending: what the components have is not theirs."""
        asked = {"podLabels": {"inject": True}, "podAnnotations": {"mesh": "in", "helm.sh/hook": "pre-install"}}
        component = {"podLabels": {"served": "x"}, "podAnnotations": {"served": "x"}}
        docs = render({"tests": asked, "ingress": component, **component, "commonLabels": {"inject": "common"}})
        assert len(docs.all("Pod")) == 2
        for doc in docs.all("Pod"):
            metadata = doc["metadata"]
            assert metadata["labels"]["inject"] == "true"
            assert metadata["annotations"]["mesh"] == "in"
            assert metadata["annotations"]["helm.sh/hook"] == "test"
            assert "served" not in {**metadata["labels"], **metadata["annotations"]}

    def test_they_can_be_off(self) -> None:
        assert not render({"tests": {"enabled": False}}).all("Pod")

    def test_an_absent_component_is_not_called(self) -> None:
        assert set(
            self.calls({"routeManager": {"enabled": False}, "ingress": {"config": {"ROUTE_MANAGER_ADDR": "x:1"}}})
        ) == {"gati-ingress"}

    @pytest.mark.parametrize("values", [{}, EVERYTHING])
    def test_nothing_takes_them_for_a_component(self, values: dict[str, Any]) -> None:
        docs = render(values)
        for test in docs.all("Pod"):
            for doc in docs:
                if doc["kind"] in ("Service", "Deployment", "PodDisruptionBudget"):
                    selector = at(doc, "spec", "selector", "matchLabels") or at(doc, "spec", "selector")
                    assert not selector.items() <= test["metadata"]["labels"].items(), doc["metadata"]["name"]


class TestExtraObjects:
    def test_an_object_arrives_with_its_templates_evaluated(self) -> None:
        extra = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "{{ .Release.Name }}-extra"},
            "data": {"n": "1"},
        }
        assert render({"extraObjects": [extra]}).one("ConfigMap", "gati-extra")["data"] == {"n": "1"}

    def test_a_string_does_too(self) -> None:
        text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.ingress.name }}-more\n"
        assert render({"extraObjects": [text]}).one("ConfigMap", f"{INGRESS}-more")

    def test_text_may_hold_comments_and_line_ends_of_any_system(self) -> None:
        parts = [
            f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x{n}\ndata:\n  a: |-\n    # kept" for n in range(2)
        ]
        text = "# ours\n---\n" + "\n--- # the second\n".join(parts)
        for written in (text, text.replace("\n", "\r\n")):
            docs = render({"extraObjects": [written]})
            assert [docs.one("ConfigMap", f"x{n}")["data"] for n in range(2)] == [{"a": "# kept"}] * 2

    def test_several_stay_apart(self) -> None:
        extras = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"x{n}"}} for n in range(3)]
        docs = render({"extraObjects": extras})
        assert {"x0", "x1", "x2"} <= {doc["metadata"]["name"] for doc in docs.all("ConfigMap")}

    @pytest.mark.parametrize("kind", ["Namespace", "Deployment", "ServiceMonitor", "RoleBinding", "Pod"])
    def test_one_that_the_chart_renders_itself_is_refused(self, kind: str) -> None:
        """Helm would install both, and the later one would take fields from the other."""
        own = next(doc for doc in render(EVERYTHING, namespace="ops") if doc["kind"] == kind)
        name, namespace = own["metadata"]["name"], own["metadata"].get("namespace", "ops")
        extra = {**own, "metadata": {"name": name, "namespace": namespace}}
        said = render_error({**EVERYTHING, "extraObjects": [extra]}, namespace="ops")
        group = own["apiVersion"].rpartition("/")[0]
        found = " ".join(filter(None, [group, kind, namespace, name]))
        assert f"extraObjects and the chart: the object {found} stands twice" in said

    def test_all_that_the_chart_renders_is_looked_at(self) -> None:
        folder = CHART / "templates"
        files = {str(file.relative_to(folder).with_suffix("")) for file in folder.rglob("*.yaml")}
        (listed,) = re.findall(r'(?s)define "gati.files" -}}\n(.*?){{- end }}', (folder / "_extra.tpl").read_text())
        named = {f"{where}/{name}" for where, names in yaml.safe_load(listed).items() for name in names}
        assert named == {file for file in files if "/" in file}
        assert files - named == {"extra-objects", "validate", "namespace", "networkpolicy-default-deny"}

    def test_the_same_name_elsewhere_is_another_object(self) -> None:
        for metadata in ({"name": INGRESS, "namespace": "other"}, {"name": f"{INGRESS}-x"}):
            render({"extraObjects": [{"apiVersion": "v1", "kind": "Service", "metadata": metadata}]})
        bare = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": INGRESS}}
        render({"extraObjects": [bare], "ingress": {"serviceAccount": {"create": False, "name": INGRESS}}})


MODES = [
    ("ScaledObject", "keda.sh/v1alpha1", {"keda": {"enabled": True}}, "keda"),
    ("HTTPRoute", "gateway.networking.k8s.io/v1", {"httpRoute": EVERYTHING["httpRoute"]}, "httpRoute"),
    ("Certificate", "cert-manager.io/v1", {"tls": EVERYTHING["tls"]}, "tls.certManager"),
    ("PrometheusRule", "monitoring.coreos.com/v1", RULES, "prometheusOperator"),
]


@pytest.mark.parametrize(("kind", "group", "values", "where"), MODES, ids=[mode[0] for mode in MODES])
class TestRenderMode:
    """Kinds that a cluster may lack are refused, skipped or rendered, as asked."""

    def render_mode(self, values: dict[str, Any], where: str, mode: str) -> dict[str, Any]:
        return merged(values, nested((*where.split("."), "renderMode"), mode))

    @pytest.mark.parametrize("mode", ["fail", "skip", "always"])
    def test_where_the_cluster_has_it(
        self, kind: str, group: str, values: dict[str, Any], where: str, mode: str
    ) -> None:
        assert render(self.render_mode(values, where, mode), api_versions=(f"{group}/{kind}",)).one(kind)

    def test_where_it_has_not(self, kind: str, group: str, values: dict[str, Any], where: str) -> None:
        assert render(self.render_mode(values, where, "always")).one(kind)
        assert not render(self.render_mode(values, where, "skip")).all(kind)
        message = render_error(self.render_mode(values, where, "fail"))
        assert kind in message
        assert where in message

    def test_an_unknown_mode_is_refused(self, kind: str, group: str, values: dict[str, Any], where: str) -> None:
        assert "renderMode" in render_error(self.render_mode(values, where, "sometimes"))
