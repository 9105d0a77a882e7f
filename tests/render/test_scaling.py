"""Who scales the ingress: the HorizontalPodAutoscaler, KEDA or nobody, and what follows for replicas."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import pytest

from tests.render.everything import merged
from tests.render.figures import HPA, INGRESS, KEDA, at, trigger
from tests.render.harness import Documents, render, render_error
from tests.render.notes import notes

SCALE_TO_ZERO: dict[str, Any] = {"keda": {"enabled": True, "scaleToZero": True, "activationQuery": "up"}}


def replicas(docs: Documents) -> Any:
    return docs.one("Deployment", INGRESS)["spec"].get("replicas")


def target_of(scaler: dict[str, Any]) -> tuple[str, str, str]:
    found = scaler["spec"]["scaleTargetRef"]
    return found.get("apiVersion", "apps/v1"), found.get("kind", "Deployment"), found["name"]


@pytest.mark.requirement("6.1", "9.1")
@pytest.mark.parametrize(("kind", "values"), [("HorizontalPodAutoscaler", HPA), ("ScaledObject", KEDA)])
@pytest.mark.parametrize("name", [INGRESS, "edge"])
def test_the_scaler_targets_the_ingress(kind: str, values: dict[str, Any], name: str) -> None:
    docs = render({**values, "ingress": {**values.get("ingress", {}), "name": name}})
    assert target_of(docs.one(kind)) == ("apps/v1", "Deployment", name)
    assert docs.one(kind)["metadata"]["namespace"] == docs.one("Deployment", name)["metadata"]["namespace"]


@pytest.mark.requirement("6.5", "9.5")
@pytest.mark.parametrize("hpa", [True, False])
@pytest.mark.parametrize("keda", [True, False])
def test_one_scaler_at_the_most(hpa: bool, keda: bool) -> None:
    docs = render({"ingress": {"hpa": {"enabled": hpa}}, "keda": {"enabled": keda}})
    assert len(docs.all("HorizontalPodAutoscaler")) == (hpa and not keda)
    assert len(docs.all("ScaledObject")) == keda


@pytest.mark.trap("replicas-beside-scaler")
@pytest.mark.requirement("6.5", "9.5")
@pytest.mark.parametrize("values", [HPA, KEDA, SCALE_TO_ZERO])
def test_a_scaler_owns_the_replicas(values: dict[str, Any]) -> None:
    ingress = {**values.get("ingress", {}), "replicaCount": 9}
    assert "replicas" not in render({**values, "ingress": ingress}).one("Deployment", INGRESS)["spec"]


@pytest.mark.parametrize("values", [HPA, KEDA])
class TestHandover:
    """The upgrade that turns a scaler on says the replicas still, so that there is no moment without an owner."""

    def test_the_replicas_stand_beside_the_scaler(self, values: dict[str, Any]) -> None:
        handover = merged(values, {"ingress": {"hpa": {"handover": True, "minReplicas": 3}}})
        docs = render(handover)
        assert docs.one("Deployment", INGRESS)["spec"]["replicas"] == 2
        assert docs.all("HorizontalPodAutoscaler") or docs.all("ScaledObject")

    @pytest.mark.parametrize("least", [1, 2])
    def test_a_minimum_that_raises_nothing_is_refused(self, values: dict[str, Any], least: int) -> None:
        message = render_error(merged(values, {"ingress": {"hpa": {"handover": True, "minReplicas": least}}}))
        assert "ingress.hpa.handover" in message
        assert "ingress.hpa.minReplicas" in message

    def test_a_scaler_that_may_go_to_zero_does_not_raise_either(self, values: dict[str, Any]) -> None:
        zero = {"keda": {"enabled": True, "scaleToZero": True}}
        message = render_error(merged(merged(values, zero), {"ingress": {"hpa": {"handover": True, "minReplicas": 3}}}))
        assert "keda.scaleToZero" in message


@pytest.mark.trap("replicas-beside-scaler")
def test_a_scaler_that_is_not_rendered_owns_nothing() -> None:
    docs = render({"keda": {"enabled": True, "renderMode": "skip"}})
    assert not docs.all("ScaledObject")
    assert replicas(docs) == 2


@pytest.mark.requirement("6.2", "9.4")
@pytest.mark.parametrize(
    ("kind", "values", "keys"),
    [
        ("HorizontalPodAutoscaler", HPA, ("minReplicas", "maxReplicas")),
        ("ScaledObject", KEDA, ("minReplicaCount", "maxReplicaCount")),
    ],
)
def test_bounds_come_from_values(kind: str, values: dict[str, Any], keys: tuple[str, str]) -> None:
    hpa = {**(at(values, "ingress", "hpa") or {}), "minReplicas": 4, "maxReplicas": 6}
    spec = render({**values, "ingress": {"hpa": hpa}}).one(kind)["spec"]
    assert (spec[keys[0]], spec[keys[1]]) == (4, 6)


@pytest.mark.requirement("6.2")
def test_bounds_the_wrong_way_round_are_refused() -> None:
    message = render_error({"ingress": {"hpa": {"enabled": True, "minReplicas": 5, "maxReplicas": 4}}})
    assert "minReplicas" in message
    assert "maxReplicas" in message


@pytest.mark.requirement("6.4")
def test_cpu_target_comes_from_values() -> None:
    docs = render({"ingress": {"hpa": {"enabled": True, "cpuUtilization": 85}}})
    (metric,) = docs.one("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["resource"]["target"]["averageUtilization"] == 85


@pytest.mark.requirement("9.5", "6.5")
def test_keda_keeps_the_scaling_behavior() -> None:
    of_hpa = render(HPA).one("HorizontalPodAutoscaler")["spec"]["behavior"]
    scaled = render(KEDA).one("ScaledObject")
    assert at(scaled, "spec", "advanced", "horizontalPodAutoscalerConfig", "behavior") == of_hpa


@pytest.mark.requirement("9.5")
def test_hpa_and_keda_can_follow_each_other_in_one_upgrade() -> None:
    """Helm creates before it deletes, so for a moment both are there."""
    hpa, scaled = render(HPA).one("HorizontalPodAutoscaler"), render(KEDA).one("ScaledObject")
    made_by_keda = at(scaled, "spec", "advanced", "horizontalPodAutoscalerConfig", "name")
    assert made_by_keda not in (None, hpa["metadata"]["name"])
    # KEDA's admission webhook refuses a Deployment that another HPA scales, but for this annotation.
    assert hpa["metadata"]["annotations"]["validations.keda.sh/hpa-ownership"] == "false"


@pytest.mark.requirement("9.2", "9.3")
def test_trigger_comes_from_values() -> None:
    keda = {"enabled": True, "serverAddress": "http://p:9", "query": 'rate(x{a="b"}[5m])', "requestsPerSecond": 250}
    docs = render({"keda": keda})
    assert trigger("metadata", "serverAddress")(docs) == "http://p:9"
    assert trigger("metadata", "query")(docs) == 'rate(x{a="b"}[5m])'
    assert trigger("metadata", "threshold")(docs) == "250"


@pytest.mark.requirement("9.2")
def test_trigger_metadata_are_strings() -> None:
    for entry in render(SCALE_TO_ZERO).one("ScaledObject")["spec"]["triggers"]:
        assert {type(value) for value in entry["metadata"].values()} == {str}


@pytest.mark.requirement("9.4")
class TestScaleToZero:
    def test_minimum_is_zero(self) -> None:
        assert render(SCALE_TO_ZERO).one("ScaledObject")["spec"]["minReplicaCount"] == 0

    def test_the_activation_query_wakes_it(self) -> None:
        triggers = render(SCALE_TO_ZERO).one("ScaledObject")["spec"]["triggers"]
        assert "up" in [entry["metadata"]["query"] for entry in triggers]

    def test_without_it_notes_warn(self) -> None:
        assert "keda.activationQuery" not in notes(SCALE_TO_ZERO)
        assert "keda.activationQuery" in notes({"keda": {"enabled": True, "scaleToZero": True}})

    def test_a_null_switch_is_off(self) -> None:
        keda = {"enabled": True, "scaleToZero": False}
        assert render({"keda": keda}).one("ScaledObject")["spec"]["minReplicaCount"] == 2


@pytest.mark.trap("scaledobject-renamed")
def test_the_scaled_object_keeps_one_name() -> None:
    names = {
        render({**KEDA, **more}, release=release).one("ScaledObject")["metadata"]["name"]
        for release in ("gati", "other")
        for more in ({}, SCALE_TO_ZERO, {"commonLabels": {"a": "b"}})
    }
    assert names == {INGRESS}


@pytest.mark.requirement("6.5", "9.5")
def test_behaviour_comes_from_values_for_both() -> None:
    down = {"stabilizationWindowSeconds": 60, "selectPolicy": "Disabled", "tolerance": 0.05}
    behaviour = {"scaleDown": down, "scaleUp": {"tolerance": ""}}
    hpa = {"enabled": True, "behavior": behaviour}
    of_hpa = render({"ingress": {"hpa": hpa}}).one("HorizontalPodAutoscaler")["spec"]["behavior"]
    assert of_hpa["scaleDown"]["stabilizationWindowSeconds"] == 60
    assert of_hpa["scaleDown"]["selectPolicy"] == "Disabled"
    assert of_hpa["scaleDown"]["tolerance"] == "50m", "as the API server stores it"
    assert "tolerance" not in of_hpa["scaleUp"]
    of_keda = render({"ingress": {"hpa": hpa}, **KEDA}).one("ScaledObject")
    assert at(of_keda, "spec", "advanced", "horizontalPodAutoscalerConfig", "behavior") == of_hpa


@pytest.mark.requirement("6.4")
def test_memory_and_metrics_of_ones_own() -> None:
    custom = {
        "type": "Pods",
        "pods": {"metric": {"name": "x"}, "target": {"type": "AverageValue", "averageValue": "1"}},
    }
    hpa = {"enabled": True, "memoryUtilization": 75, "metrics": [custom]}
    cpu, memory, own = render({"ingress": {"hpa": hpa}}).one("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert (cpu["resource"]["name"], memory["resource"]["name"], own) == ("cpu", "memory", custom)
    assert memory["resource"]["target"] == {"type": "Utilization", "averageUtilization": 75}


@pytest.mark.requirement("9.3")
def test_the_default_query_counts_this_releases_pods() -> None:
    def query(values: dict[str, Any], **options: Any) -> str:
        return str(trigger("metadata", "query")(render({**KEDA, **values}, **options)))

    assert query({}) == query({}, release="other"), "the names are the same, and so are the pods"
    apart = {query({}), query({"global": {"namespace": "edge"}}), query({"fullnameOverride": "blue"})}
    assert len(apart) == 3
    pods = re.findall(r'pod=~"([^"]*)"', query({}))
    for pod, own in (
        ("gati-ingress-7c9d8f6b5-x2x4z", True),
        ("gati-ingress-two-7c9d8f6b5-x2x4z", False),
        ("my-gati-ingress-7c9d8f6b5-x2x4z", False),
    ):
        assert bool(re.fullmatch(pods[0], pod)) == own
    assert 'cluster="a"' in query({"ingress": {"prometheus": {"selector": 'cluster="a"'}}})


@pytest.mark.requirement("9.3")
def test_a_long_name_is_found_though_a_pods_name_is_cut() -> None:
    name = "n" * 60
    docs = render({**KEDA, "ingress": {"name": name}})
    (pods,) = re.findall(r'pod=~"([^"]*)"', str(trigger("metadata", "query")(docs)))
    assert re.fullmatch(pods, f"{name}-7c9d8f6b5-"[:58] + "x2x4z")


@pytest.mark.requirement("9.2")
def test_keda_asks_with_credentials_and_knows_what_to_do_without_an_answer() -> None:
    keda = {
        "enabled": True,
        "authenticationRef": {"name": "prometheus", "kind": "ClusterTriggerAuthentication"},
        "triggerMetadata": {"authModes": "bearer", "unsafeSsl": True},
        "fallback": {"replicas": 4, "failureThreshold": 2},
        "activationQuery": "up",
    }
    spec = render({"keda": keda}).one("ScaledObject")["spec"]
    assert spec["fallback"] == {"replicas": 4, "failureThreshold": 2}
    for entry in spec["triggers"]:
        assert entry["authenticationRef"] == {"name": "prometheus", "kind": "ClusterTriggerAuthentication"}
        assert (entry["metadata"]["authModes"], entry["metadata"]["unsafeSsl"]) == ("bearer", "true")
    plain = render(KEDA).one("ScaledObject")["spec"]
    assert "fallback" not in plain
    assert "authenticationRef" not in plain["triggers"][0]


@pytest.mark.requirement("9.2")
def test_further_triggers_are_added() -> None:
    cron = {"type": "cron", "metadata": {"timezone": "UTC", "start": "a", "end": "b", "desiredReplicas": "1"}}
    docs = render({"keda": {"enabled": True, "extraTriggers": [cron]}})
    assert docs.one("ScaledObject")["spec"]["triggers"][1:] == [cron]


@pytest.mark.requirement("9.4")
def test_a_minimum_and_scale_to_zero_stand_together() -> None:
    hpa = {"ingress": {"hpa": {"minReplicas": 3}}}
    spec = render({**hpa, "keda": {**SCALE_TO_ZERO["keda"], "idleReplicaCount": 0}}).one("ScaledObject")["spec"]
    assert (spec["idleReplicaCount"], spec["minReplicaCount"]) == (0, 3)
    _, _, warnings = notes({**hpa, **SCALE_TO_ZERO}).partition("WARNING")
    assert "ingress.hpa.minReplicas" in warnings, "the minimum is lost without it, so it is said"
    assert "ingress.hpa.minReplicas" not in notes({**hpa, "keda": {**SCALE_TO_ZERO["keda"], "idleReplicaCount": 0}})


@pytest.mark.requirement("13.5", "9.4")
def test_a_budget_of_two_stays_one_where_three_come_at_once() -> None:
    """From none straight to the minimum there is no single pod that it could hold."""
    keda = {**SCALE_TO_ZERO["keda"], "idleReplicaCount": 0}
    asked = {"ingress": {"hpa": {"minReplicas": 3}}, "keda": keda, "pdb": {"minAvailable": 2}}
    assert render(asked).one("PodDisruptionBudget", INGRESS)["spec"]["minAvailable"] == 2
    rules = {"prometheusRule": {"enabled": True}, "serviceMonitor": {"enabled": True}}
    assert "GatiIngressDown" not in str(render({**asked, "prometheusOperator": rules}).one("PrometheusRule"))


@pytest.mark.requirement("15.5")
class TestWhatAnHpaComparesWith:
    """It reads the requests of every container of a pod; one without is enough for it to scale never."""

    SIDECAR: ClassVar[dict[str, Any]] = {"name": "proxy", "image": "x:1"}

    def warned(self, **ingress: Any) -> list[str]:
        lines = " ".join(notes({"ingress": {"hpa": {"enabled": True}, **ingress}}).split())
        return re.findall(r"the container ([^:]+) requests no (?:cpu|memory)", lines)

    def test_a_sidecar_without(self) -> None:
        assert self.warned(extraContainers=[self.SIDECAR]) == ["proxy"]
        assert self.warned(initContainers=[{**self.SIDECAR, "restartPolicy": "Always"}]) == ["proxy"]
        assert self.warned(initContainers=[self.SIDECAR]) == []
        assert self.warned(extraContainers=[{**self.SIDECAR, "resources": {"requests": {"cpu": "10m"}}}]) == []

    def test_metrics_of_ones_own(self) -> None:
        target = {"type": "Utilization", "averageUtilization": 60}
        for part, more, found in (
            ("resource", {}, ["proxy"]),
            ("containerResource", {"container": "proxy"}, ["proxy"]),
            ("containerResource", {"container": "ingress"}, []),
        ):
            metric = {"type": f"{part[0].upper()}{part[1:]}", part: {"name": "cpu", "target": target, **more}}
            hpa = {"enabled": True, "cpuUtilization": None, "metrics": [metric]}
            assert self.warned(hpa=hpa, extraContainers=[self.SIDECAR]) == found

    def test_a_limit_is_a_request_too(self) -> None:
        assert self.warned(resources={"requests": {"cpu": ""}}) == []
        assert self.warned(resources={"requests": {"cpu": ""}, "limits": {"cpu": ""}}) == ["ingress"]

    def test_memory(self) -> None:
        hpa = {"enabled": True, "cpuUtilization": "", "memoryUtilization": 70}
        gone = {"requests": {"memory": ""}, "limits": {"memory": ""}}
        assert self.warned(hpa=hpa) == []
        assert self.warned(hpa=hpa, resources=gone) == ["ingress"]


@pytest.mark.requirement("9.3")
def test_a_trigger_needs_no_metadata_of_its_own() -> None:
    docs = render({"keda": {"enabled": True, "extraTriggers": [{"type": "x", "metadata": {}}]}})
    assert docs.one("ScaledObject")["spec"]["triggers"][1] == {"type": "x", "metadata": {}}


@pytest.mark.requirement("9.4")
@pytest.mark.parametrize(("seconds", "rendered"), [(0, 0), (120, 120), (None, None), ("", None)])
def test_pods_are_kept_while_queries_have_no_result_yet(seconds: object, rendered: object) -> None:
    keda = {**SCALE_TO_ZERO["keda"], "initialCooldownPeriod": seconds}
    assert render({"keda": keda}).one("ScaledObject")["spec"].get("initialCooldownPeriod") == rendered


@pytest.mark.requirement("16.3", "9.4")
def test_dev_is_woken_without_anything_of_others() -> None:
    docs = render(values_files=("values-dev.yaml",))
    workload = next(entry for entry in docs.one("ScaledObject")["spec"]["triggers"] if entry["type"] != "prometheus")
    assert workload["type"] == "kubernetes-workload"
    key, _, values = workload["metadata"]["podSelector"].partition(" in ")
    pods = [doc for doc in docs.all("Pod") if doc["metadata"]["labels"].get(key) in values.strip("()").split(",")]
    assert len(pods) == 2, "helm test wakes it"
    assert not [
        doc for doc in docs.all("Deployment") if at(doc, "spec", "template", "metadata", "labels", key) == "test"
    ]
    assert "activationQuery" not in notes(values_files=("values-dev.yaml",))


@pytest.mark.requirement("15.5")
@pytest.mark.parametrize(("container", "named"), [(None, "ingress, proxy"), ("proxy", "proxy"), ("other", "")])
def test_a_trigger_by_cpu_compares_with_requests_too(container: str | None, named: str) -> None:
    """KEDA's webhook refuses the ScaledObject otherwise."""
    metadata = {"value": "60", **({"containerName": container} if container else {})}
    ingress = {
        "resources": {"requests": {"cpu": ""}, "limits": {"cpu": ""}},
        "extraContainers": [{"name": "proxy", "image": "x:1"}],
    }
    trigger = {"type": "cpu", "metricType": "Utilization", "metadata": metadata}
    lines = " ".join(notes({"keda": {"enabled": True, "extraTriggers": [trigger]}, "ingress": ingress}).split())
    found = re.findall(r"keda.extraTriggers goes by cpu, and the container ([^:]+) requests", lines)
    assert found == ([named] if named else [])
