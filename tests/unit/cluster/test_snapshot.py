"""The comparison of live objects: it names what changed, and nothing that always changes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from scripts.cluster.snapshot import differences, read_objects

Object = dict[str, Any]


def live(kind: str = "Deployment", name: str = "web", api: str = "apps/v1", **parts: Any) -> Object:
    """An object as the server returns it, with all that it adds."""
    metadata = {
        "name": name,
        "namespace": "here",
        "uid": "u-1",
        "resourceVersion": "100",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {"deployment.kubernetes.io/revision": "1", "meta.helm.sh/release-name": "app"},
        "managedFields": [{"manager": "helm", "operation": "Apply"}],
    }
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "status": {"ready": 1}, **parts}


def workload() -> Object:
    containers = [{"name": "main", "image": "main:1"}, {"name": "proxy", "image": "proxy:1"}]
    return live(spec={"replicas": 2, "template": {"spec": {"containers": containers}}})


def compared(before: list[Object], after: list[Object]) -> list[str]:
    return [str(found) for found in differences(read_objects(before), read_objects(after))]


def test_what_the_server_writes_is_no_difference() -> None:
    before, after = workload(), workload()
    after["metadata"] |= {"uid": "u-2", "resourceVersion": "900", "generation": 4, "managedFields": []}
    after["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "3"
    after["status"] = {"ready": 2, "observedGeneration": 4}
    assert compared([before], [after]) == []


def test_a_leaked_container_is_named() -> None:
    after = workload()
    after["spec"]["template"]["spec"]["containers"].append({"name": "leak", "image": "leak:2"})
    assert compared([workload()], [after]) == [
        'Deployment web: spec.template.spec.containers[leak] is new: {"name": "leak", "image": "leak:2"}'
    ]


def test_a_field_deep_inside_is_named_with_both_values() -> None:
    after = workload()
    after["spec"]["template"]["spec"]["containers"][1]["image"] = "proxy:2"
    assert compared([workload()], [after]) == [
        "Deployment web: spec.template.spec.containers[proxy].image was proxy:1 and is proxy:2"
    ]


def test_the_order_of_a_list_is_a_difference() -> None:
    after = workload()
    after["spec"]["template"]["spec"]["containers"].reverse()
    assert compared([workload()], [after]) == [
        'Deployment web: spec.template.spec.containers (order) was ["main", "proxy"] and is ["proxy", "main"]'
    ]


def test_an_annotation_and_an_object_that_are_left_are_named() -> None:
    after = workload()
    after["metadata"]["annotations"]["team/owner"] = "new"
    left = live("ConfigMap", "extra", "v1", data={"key": "value"})
    del left["metadata"]["annotations"]
    found = compared([workload()], [after, left])
    assert [line.split(" is new")[0] for line in found] == [
        "ConfigMap extra",
        'Deployment web: metadata.annotations["team/owner"]',
    ]


def test_an_object_that_is_gone_is_named() -> None:
    assert [line.split(": {")[0] for line in compared([workload()], [])] == ["Deployment web is gone"]


def test_an_object_that_is_being_deleted_is_not_as_it_was() -> None:
    after = workload()
    after["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert compared([workload()], [after]) == [
        "Deployment web: metadata.deletionTimestamp is new: (it is being deleted)"
    ]


@pytest.mark.parametrize("scaler", ["HorizontalPodAutoscaler", "ScaledObject"])
def test_the_replicas_of_an_autoscaler_are_its_own(scaler: str) -> None:
    target = {"name": "web"} if scaler == "ScaledObject" else {"kind": "Deployment", "name": "web"}
    scaling = live(scaler, "web", "autoscaling/v2", spec={"scaleTargetRef": target, "minReplicas": 2})
    after = workload()
    after["spec"]["replicas"] = 5
    assert compared([workload(), scaling], [after, scaling]) == []
    assert compared([workload()], [after]) == ["Deployment web: spec.replicas was 2 and is 5"]


def test_what_controllers_make_of_it_is_left_out() -> None:
    owner = [{"kind": "Deployment", "name": "web", "uid": "u-1", "controller": True}]
    derived = live("ReplicaSet", "web-12")
    derived["metadata"]["ownerReferences"] = owner
    record = live("Secret", "sh.helm.release.v1.app.v2", "v1", type="helm.sh/release.v1", data={"release": "H4sI"})
    assert compared([workload()], [workload(), derived, record, live("Endpoints", "web", "v1")]) == []


@pytest.mark.parametrize("of_helm", [False, True])
def test_what_another_object_owns_is_not_the_charts_unless_helm_made_it(of_helm: bool) -> None:
    """As the endpoints of pods that a network keeps, and which name no controller among their owners."""
    endpoint = live("CiliumEndpoint", "web-12-x", "cilium.io/v2")
    endpoint["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "Pod", "name": "web-12-x", "uid": "p"}]
    if not of_helm:
        del endpoint["metadata"]["annotations"]
    assert bool(compared([endpoint], [])) is of_helm


def test_the_address_of_a_service_that_was_made_anew_is_another_one() -> None:
    def service(address: str) -> Object:
        return live("Service", "web", "v1", spec={"clusterIP": address, "clusterIPs": [address], "type": "ClusterIP"})

    assert compared([service("10.96.0.7")], [service("10.96.0.9")]) == []
    assert [one.partition(" is ")[0] for one in compared([service("10.96.0.7")], [service("None")])] == [
        "Service web: spec.clusterIP",
        "Service web: spec.clusterIPs",
    ]


def test_the_content_of_a_secret_is_compared_and_not_told() -> None:
    before = live("Secret", "login", "v1", type="Opaque", data={"password": "b25l"})
    after = copy.deepcopy(before)
    after["data"]["password"] = "dHdv"
    (found,) = differences(read_objects([before]), read_objects([after]))
    assert (found.path, found.before, found.after) == ("data.password", "***", "***")
    (gone,) = differences(read_objects([before]), read_objects([]))
    assert "b25l" not in str(gone)
    assert "b25l" not in repr(read_objects([before]))


def test_a_pod_of_its_own_is_compared_without_its_place() -> None:
    def pod(node: str, token: str) -> Object:
        mounts = [{"name": token, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]
        spec = {"nodeName": node, "volumes": [{"name": token}], "containers": [{"name": "c", "volumeMounts": mounts}]}
        return live("Pod", "probe", "v1", spec=spec)

    assert compared([pod("one", "kube-api-access-abcde")], [pod("two", "kube-api-access-xyz12")]) == []


@pytest.mark.parametrize(("kind", "compared_too"), [("Pod", False), ("Job", False), ("Secret", True)])
def test_what_a_hook_ran_is_no_part_of_the_state_and_what_it_made_is(kind: str, compared_too: bool) -> None:
    """A test that `helm create` writes stays until the next one."""
    left = live(kind, "probe", "v1", spec={})
    left["metadata"]["annotations"] = {"helm.sh/hook": "test"}
    assert bool(compared([], [left])) is compared_too


def test_a_job_that_goes_by_itself_is_not_missed() -> None:
    assert compared([live("Job", "once", "batch/v1", spec={"ttlSecondsAfterFinished": 5})], []) == []
    assert compared([live("Job", "kept", "batch/v1", spec={})], [])
