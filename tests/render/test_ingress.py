"""The ingress Deployment: replicas, image, probes, shutdown, init containers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.figures import INGRESS, ROUTE_MANAGER, at, probe
from tests.render.harness import METADATA, Document, container, environment, pod, render, render_error

DIGEST = "sha256:" + "ab" * 32
COMPONENTS = {"ingress": INGRESS, "routeManager": ROUTE_MANAGER}


def workload(component: str, values: dict[str, Any] | None = None, **options: Any) -> Document:
    return render(values, **options).one("Deployment", COMPONENTS[component])


@pytest.mark.requirement("2.1", "2.5")
@pytest.mark.parametrize("replicas", [0, 1, 7])
def test_replicas_come_from_values(replicas: int) -> None:
    assert workload("ingress", {"ingress": {"replicaCount": replicas}})["spec"]["replicas"] == replicas


@pytest.mark.requirement("2.5", "3.1")
@pytest.mark.parametrize("component", COMPONENTS)
class TestImage:
    def image(self, component: str, image: dict[str, Any]) -> Any:
        return container(workload(component, {component: {"image": image}}))["image"]

    def test_tag(self, component: str) -> None:
        image = {"repository": "registry.example:5000/team/app", "tag": "2.3"}
        assert self.image(component, image) == "registry.example:5000/team/app:2.3"

    def test_tag_that_looks_like_a_number(self, component: str) -> None:
        assert self.image(component, {"repository": "app", "tag": "1.10"}) == "app:1.10"

    def test_digest_wins(self, component: str) -> None:
        image = {"repository": "app", "tag": "2.3", "digest": DIGEST}
        assert self.image(component, image) in (f"app@{DIGEST}", f"app:2.3@{DIGEST}")

    def test_tag_defaults_to_app_version(self, component: str) -> None:
        assert self.image(component, {"repository": "app"}) == f"app:{METADATA['appVersion']}"

    @pytest.mark.parametrize("policy", ["Always", "IfNotPresent", "Never"])
    def test_pull_policy(self, component: str, policy: str) -> None:
        values = {component: {"image": {"pullPolicy": policy}}}
        assert container(workload(component, values))["imagePullPolicy"] == policy

    def test_malformed_digest_is_refused(self, component: str) -> None:
        message = render_error({component: {"image": {"digest": "sha256:short"}}})
        assert "digest" in message

    def test_pull_secrets_reach_the_pod(self, component: str) -> None:
        assert pod(workload(component, {"imagePullSecrets": [{"name": "creds"}]}))["imagePullSecrets"] == [
            {"name": "creds"}
        ]
        assert "imagePullSecrets" not in pod(workload(component))


@pytest.mark.trap("digest-as-label")
def test_a_digest_is_no_label() -> None:
    docs = render({name: {"image": {"digest": DIGEST}} for name in COMPONENTS})
    for doc in docs:
        for labels in (doc["metadata"].get("labels", {}), at(doc, "spec", "template", "metadata", "labels") or {}):
            assert not [value for value in labels.values() if "sha256" in value or "ab" * 8 in value]


@pytest.mark.requirement("2.1", "2.2", "3.2")
@pytest.mark.parametrize("component", COMPONENTS)
def test_resources_come_from_values(component: str) -> None:
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
    assert container(workload(component, {component: {"resources": resources}}))["resources"] == resources


@pytest.mark.requirement("2.3", "2.4")
def test_probes_follow_the_port_and_path() -> None:
    docs = render(
        {
            "ingress": {
                "service": {"targetPort": 9999},
                "readinessProbe": {"path": "/ready"},
                "livenessProbe": {"path": "/alive"},
            }
        }
    )
    for which, path in (("readinessProbe", "/ready"), ("livenessProbe", "/alive")):
        assert probe(INGRESS, which, "httpGet", "port")(docs) == 9999
        assert probe(INGRESS, which, "httpGet", "path")(docs) == path


@pytest.mark.requirement("2.3", "2.4", "3.4")
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_start_longer_than_liveness_allows_is_waited_for(component: str) -> None:
    startup = container(workload(component))["startupProbe"]
    assert startup["failureThreshold"] * startup["periodSeconds"] >= 30


@pytest.mark.requirement("18.1", "18.5")
@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize(
    ("version", "native"), [("1.28.0", False), ("1.29.15", False), ("1.30.0", True), ("1.37.2", True)]
)
def test_pause_is_native_where_the_cluster_has_it(component: str, version: str, native: bool) -> None:
    hook = container(workload(component, kube_version=version))["lifecycle"]["preStop"]
    assert set(hook) == ({"sleep"} if native else {"exec"})


@pytest.mark.requirement("18.5")
@pytest.mark.parametrize("version", ["v1.30.0-eks-1", "1.30.0-gke.100", "v1.30.4+k3s1"])
def test_vendor_builds_count_as_their_version(version: str) -> None:
    assert "sleep" in container(workload("ingress", kube_version=version))["lifecycle"]["preStop"]


@pytest.mark.trap("shell-sleep")
@pytest.mark.requirement("18.5")
@pytest.mark.parametrize("version", ["1.28.0", "1.37.0"])
def test_nothing_runs_through_a_shell(version: str) -> None:
    for doc in render(kube_version=version, values={"tls": {"enabled": True, "secretName": "cert"}}):
        if doc["kind"] in ("Deployment", "Pod"):
            for box in pod(doc)["containers"] + pod(doc).get("initContainers", []):
                commands = [box.get("command", []), at(box, "lifecycle", "preStop", "exec", "command") or []]
                commands.extend(
                    at(box, probing, "exec", "command") or []
                    for probing in ("startupProbe", "readinessProbe", "livenessProbe")
                )
                for words in commands:
                    assert not {"sh", "bash", "ash"} & {str(word).rsplit("/", 1)[-1] for word in words}
                    assert "-c" not in words


@pytest.mark.requirement("18.3")
@pytest.mark.parametrize(("pause", "grace"), [(15, 15), (30, 20), (1, 1), (15, 1)])
def test_a_grace_not_above_the_pause_is_refused(pause: int, grace: int) -> None:
    message = render_error({"shutdown": {"preStopSeconds": pause, "terminationGracePeriodSeconds": grace}})
    assert "terminationGracePeriodSeconds" in message
    assert "preStopSeconds" in message


@pytest.mark.requirement("18.1", "18.2")
@pytest.mark.parametrize("component", COMPONENTS)
def test_pause_and_grace_come_from_values(component: str) -> None:
    found = workload(component, {"shutdown": {"preStopSeconds": 5, "terminationGracePeriodSeconds": 6}})
    assert container(found)["lifecycle"]["preStop"]["sleep"]["seconds"] == 5
    assert pod(found)["terminationGracePeriodSeconds"] == 6


@pytest.mark.requirement("18.1")
@pytest.mark.parametrize("component", COMPONENTS)
def test_no_pause_renders_no_hook(component: str) -> None:
    assert "lifecycle" not in container(workload(component, {"shutdown": {"preStopSeconds": 0}}))


@pytest.mark.requirement("18.4")
@pytest.mark.parametrize("component", COMPONENTS)
def test_rollout_is_rolling(component: str) -> None:
    strategy = workload(component)["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


INIT: list[dict[str, Any]] = [
    {
        "name": "migrate",
        "image": "example/migrate:3",
        "command": ["/migrate", "--to", "latest"],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "env": [{"name": "N", "value": "1"}],
    },
    {"name": "wait", "image": "example/wait:1"},
]


@pytest.mark.parametrize("component", COMPONENTS)
class TestInitContainers:
    def boxes(self, component: str, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = pod(workload(component, {component: {"initContainers": given}}))["initContainers"]
        return found

    @pytest.mark.requirement("20.1", "20.2")
    def test_they_arrive_as_written(self, component: str) -> None:
        for given, found in zip(INIT, self.boxes(component, INIT), strict=True):
            assert {key: found[key] for key in given} == given

    @pytest.mark.requirement("20.3", "20.4")
    def test_they_run_in_order_and_to_their_end(self, component: str) -> None:
        found = self.boxes(component, INIT)
        assert [box["name"] for box in found] == ["migrate", "wait"]
        assert not [box for box in found if "restartPolicy" in box], "a sidecar would not be waited for"

    @pytest.mark.requirement("20.4")
    def test_the_pod_keeps_the_restart_policy_that_retries_them(self, component: str) -> None:
        spec = pod(workload(component, {component: {"initContainers": INIT}}))
        assert spec.get("restartPolicy", "Always") == "Always"

    @pytest.mark.requirement("20.5")
    def test_none_by_default(self, component: str) -> None:
        assert "initContainers" not in pod(workload(component))

    @pytest.mark.requirement("20.2")
    def test_security_context_is_the_charts_unless_given(self, component: str) -> None:
        plain, own = self.boxes(
            component, [INIT[1], {**INIT[1], "name": "own", "securityContext": {"readOnlyRootFilesystem": False}}]
        )
        assert plain["securityContext"] == container(workload(component))["securityContext"]
        assert own["securityContext"]["readOnlyRootFilesystem"] is False
        assert own["securityContext"]["allowPrivilegeEscalation"] is False


@pytest.mark.parametrize("component", COMPONENTS)
class TestExtras:
    def test_environment_is_added_and_wins(self, component: str) -> None:
        extra = [{"name": "LOG_LEVEL", "value": "debug"}, {"name": "POD_NAME", "value": "mine"}]
        found = environment(workload(component, {component: {"extraEnv": extra}}))
        assert found["LOG_LEVEL"] == "debug"
        assert found["POD_NAME"] == "mine"

    def test_no_variable_stands_twice(self, component: str) -> None:
        extra = [{"name": "POD_NAME", "value": "mine"}]
        names = [entry["name"] for entry in container(workload(component, {component: {"extraEnv": extra}}))["env"]]
        assert len(names) == len(set(names))

    def test_environment_sources_are_added(self, component: str) -> None:
        source = {"secretRef": {"name": "more"}}
        assert source in container(workload(component, {component: {"extraEnvFrom": [source]}}))["envFrom"]

    def test_volumes_are_mounted(self, component: str) -> None:
        volume, mount = {"name": "scratch", "emptyDir": {}}, {"name": "scratch", "mountPath": "/scratch"}
        found = workload(component, {component: {"extraVolumes": [volume], "extraVolumeMounts": [mount]}})
        assert volume in pod(found)["volumes"]
        assert mount in container(found)["volumeMounts"]

    def test_every_mount_has_its_volume(self, component: str) -> None:
        found = workload(component, {"tls": {"enabled": True, "secretName": "cert"}})
        volumes = {volume["name"] for volume in pod(found).get("volumes", [])}
        assert {mount["name"] for mount in container(found).get("volumeMounts", [])} <= volumes

    @pytest.mark.parametrize("values", [{"priorityClassName": "high"}, {"COMPONENT": {"priorityClassName": "high"}}])
    def test_priority_class(self, component: str, values: dict[str, Any]) -> None:
        values = {key.replace("COMPONENT", component): value for key, value in values.items()}
        assert pod(workload(component, values))["priorityClassName"] == "high"
        assert "priorityClassName" not in pod(workload(component))

    def test_old_revisions_are_limited(self, component: str) -> None:
        assert workload(component, {"revisionHistoryLimit": 0})["spec"]["revisionHistoryLimit"] == 0
        assert 1 <= workload(component)["spec"]["revisionHistoryLimit"] <= 10


def test_ingress_can_be_off() -> None:
    docs = render({"ingress": {"enabled": False}, "tls": {"enabled": False}})
    assert not [doc for doc in docs if INGRESS in doc["metadata"]["name"]]
    docs.one("Deployment", ROUTE_MANAGER)
