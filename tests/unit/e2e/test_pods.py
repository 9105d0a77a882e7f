"""What must be true of pods: probes that ask for what is there, places that are asked for, ends that are orderly."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import pytest

from scripts.cluster.kind import ZONE_LABEL
from scripts.core.errors import ApiError, ClusterError
from scripts.e2e import pods
from scripts.e2e.lab import Lab
from scripts.e2e.subject import Subject

MINE = {"app": "web"}


def pod(*, spec: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    main = {"name": "main", "ports": [{"name": "http", "containerPort": 8080}], **container}
    meta = {"name": "web-1", "namespace": "space", "uid": "web-1", "labels": MINE}
    return {"metadata": meta, "spec": {"containers": [main], **(spec or {})}, "status": {}}


class Cluster:
    """One pod, which answers on `paths`."""

    seen: ClassVar[list[dict[str, Any]]] = []
    subject = Subject("gati")

    def __init__(self, only: dict[str, Any], *paths: str) -> None:
        self.api = self
        self._pod, self._paths = only, paths

    def pods(self, _: str) -> list[dict[str, Any]]:
        return [self._pod]

    def events(self, _: str) -> list[dict[str, Any]]:
        return self.seen

    def ask_pod(self, pod: str, namespace: str, *, port: int, path: str, scheme: str) -> str:
        if f"{scheme}:{port}{path}" not in self._paths:
            raise ApiError("no", status=404, reason="NotFound", text="nothing is there")
        return ""


def asked(only: dict[str, Any], *paths: str) -> str:
    return pods.probes_answer(cast(Lab, Cluster(only, *paths)), "space")


def test_probes_that_ask_for_what_is_there() -> None:
    get = {"httpGet": {"path": "/livez", "port": "http"}}
    assert asked(pod(livenessProbe=get, readinessProbe={"grpc": {"port": 8080}}), "http:8080/livez") == "2 probes"
    elsewhere = {"httpGet": {"path": "/livez", "port": 9234, "host": "127.0.0.1"}}
    assert asked(pod(livenessProbe=elsewhere)) == "1 probes", "it is not the pod that is asked"


@pytest.mark.parametrize(
    ("probe", "told"),
    [
        ({"httpGet": {"path": "/nope", "port": "http"}}, "gets no answer from /nope"),
        ({"httpGet": {"path": "/livez", "port": "http", "scheme": "HTTPS"}}, "gets no answer from /livez"),
        ({"httpGet": {"path": "/livez", "port": 81}}, "asks on port 81, which is not open"),
        ({"tcpSocket": {"port": "https"}}, "asks on port https, which is not open"),
        ({"grpc": {"port": 9}}, "asks on port 9, which is not open"),
    ],
)
def test_a_probe_that_asks_for_what_is_not(probe: dict[str, Any], told: str) -> None:
    with pytest.raises(ClusterError, match=told):
        asked(pod(livenessProbe=probe), "http:8080/livez")


def test_a_pod_that_its_node_puts_out_is_told_before_what_it_no_longer_answers() -> None:
    class Full(Cluster):
        seen: ClassVar = [event("Evicted", "Pod ephemeral local storage usage exceeds the total limit of 1Ki.")]

    with pytest.raises(ClusterError) as raised:
        pods.probes_answer(cast(Lab, Full(pod(livenessProbe={"httpGet": {"path": "/livez", "port": 8080}}))), "space")
    assert (raised.value.found or "").startswith("pod web-0: Evicted: Pod ephemeral local storage usage exceeds")


HOST, UNSAID = {"name": "Host", "value": "shop.example"}, {"name": "X-Probe"}


@pytest.mark.parametrize("headers", [[], [HOST, UNSAID]], ids=["by the API server", "with its headers, past it"])
@pytest.mark.parametrize(("status", "told"), [(302, ""), (400, "gets no answer from /"), (0, "gets no answer from /")])
def test_a_probe_is_asked_as_it_is_and_content_with_being_sent_elsewhere(
    headers: list[dict[str, str]], status: int, told: str
) -> None:
    class Leading(Cluster):
        def ask_pod(self, pod: str, namespace: str, *, port: int, path: str, scheme: str) -> str:
            assert not headers
            raise ApiError("no", status=status, reason="", text="moved")

        def ask_past_server(self, pod: dict[str, Any], *, headers: list[tuple[str, str]], **_: Any) -> int:
            assert headers == [("Host", "shop.example"), ("X-Probe", "")]
            return status

    only = pod(
        livenessProbe={"httpGet": {"path": "/", "port": "http", **({"httpHeaders": headers} if headers else {})}}
    )
    if told:
        with pytest.raises(ClusterError, match=told):
            pods.probes_answer(cast(Lab, Leading(only)), "space")
    else:
        assert pods.probes_answer(cast(Lab, Leading(only)), "space") == "1 probes"


NEEDS = {"requests": {"cpu": "1", "memory": "1Mi"}, "limits": {"memory": "1Mi"}}
FIXED = {"readOnlyRootFilesystem": True}
PROBES: dict[str, Any] = {"startupProbe": {}, "readinessProbe": {}, "livenessProbe": {"periodSeconds": 10}}
WHOLE = {"resources": NEEDS, "securityContext": FIXED, **PROBES}


def without(kind: str) -> dict[str, Any]:
    return {key: value for key, value in WHOLE.items() if key != kind}


@pytest.mark.parametrize(
    ("container", "told"),
    [
        ({"resources": NEEDS}, "can write into its image"),
        ({"securityContext": FIXED}, "no requests.cpu, requests.memory, limits.memory"),
        ({"resources": {**NEEDS, "limits": {}}, "securityContext": FIXED}, "no limits.memory"),
        (without("readinessProbe"), "does not say when it is ready"),
        (without("startupProbe"), "does not say when it has begun"),
        (without("livenessProbe"), "does not say when it hangs"),
        ({**WHOLE, "livenessProbe": {"periodSeconds": 5, "failureThreshold": 61}}, "may hang for 305 s"),
        ({**WHOLE, "startupProbe": {"periodSeconds": 5, "failureThreshold": 61}}, "may hang for 305 s"),
        ({**WHOLE, "readinessProbe": {"periodSeconds": 101}}, "may hang for 303 s"),
        ({**WHOLE, "livenessProbe": {"initialDelaySeconds": 271}}, "may hang for 301 s"),
        ({**WHOLE, "livenessProbe": {"timeoutSeconds": 101}}, "may hang for 303 s"),
        ({**WHOLE, "livenessProbe": {"periodSeconds": 1, "failureThreshold": 9}}, "does not answer for 9 s"),
        ({**WHOLE, "imagePullPolicy": "Never"}, "runs only where its image is already"),
        ({**WHOLE, "volumeMounts": [{"mountPath": "/etc/ssl/certs/"}]}, "hides what its image has in /etc/ssl/certs"),
    ],
)
def test_a_container_that_does_not_say_what_it_needs(container: dict[str, Any], told: str) -> None:
    with pytest.raises(ClusterError) as refusal:
        pods.needs_are_said([pod(**container)])
    assert told in str(refusal.value)


def test_a_container_that_says_what_it_needs() -> None:
    beside = [{"mountPath": path} for path in ("/etc/gati/ca", "/etc/ssl/certs/mine.crt", "/tmp")]
    assert pods.needs_are_said([pod(**WHOLE, volumeMounts=beside)]) == "1 containers"


def spread(over: str = ZONE_LABEL, **labels: str) -> dict[str, Any]:
    term = {"topologyKey": over, "labelSelector": {"matchLabels": labels or MINE}}
    apart = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": term}]}}
    return {"affinity": apart, "topologySpreadConstraints": [term]}


def test_a_spread_that_counts_its_own_pods() -> None:
    pods.spread_is_asked_for([pod(spec=spread())])


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({}, "does not ask for anti-affinity"),
        ({**spread(), "topologySpreadConstraints": []}, "does not ask for a spread"),
        (spread("kubernetes.io/hostname"), "does not ask for anti-affinity"),
        (spread(app="other"), "of other pods than its own"),
    ],
)
def test_a_spread_that_is_none(spec: dict[str, Any], told: str) -> None:
    with pytest.raises(ClusterError, match=told):
        pods.spread_is_asked_for([pod(spec=spec)])


def test_a_spread_that_counts_the_pods_of_the_revision_before() -> None:
    one = pod(spec=spread())
    one["metadata"]["labels"] = {**MINE, "pod-template-hash": "1"}
    with pytest.raises(ClusterError, match="counts the pods of the revision before"):
        pods.spread_is_asked_for([one])
    one["spec"]["topologySpreadConstraints"][0]["matchLabelKeys"] = ["pod-template-hash"]
    pods.spread_is_asked_for([one])


def test_a_spread_that_lets_all_be_in_one_zone() -> None:
    one = pod(spec=spread())
    one["spec"]["topologySpreadConstraints"][0]["maxSkew"] = 3
    pods.spread_is_asked_for([one] * 4)
    with pytest.raises(ClusterError, match="lets all 3 pods be in one zone"):
        pods.spread_is_asked_for([one] * 3)


def test_placement_is_what_the_values_ask_for() -> None:
    wanted = {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "x"}]}
    placed = {"nodeSelector": {"a": "b", "c": "d"}, "tolerations": [{"key": "y"}, {"key": "x", "operator": "Exists"}]}
    pods.placed([pod(spec=placed)], wanted)
    with pytest.raises(ClusterError, match="ignores tolerations"):
        pods.placed([pod(spec={**placed, "tolerations": []})], wanted)


MAIN = "spec.containers{main}"


def event(reason: str, message: str, **about: str) -> dict[str, Any]:
    involved = {"uid": "gone", "name": "web-0", **about}
    return {"type": "Normal", "reason": reason, "message": message, "involvedObject": involved}


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (
            event(
                "Killing", "Container main failed liveness probe, will be restarted", fieldPath="spec.containers{main}"
            ),
            ["container main of pod web-0 is restarted by its liveness probe"],
        ),
        (event("FailedPreStopHook", "exec failed"), ["pod web-0: FailedPreStopHook: exec failed"]),
        (event("Preempted", "Preempted by pod 1 on node a"), ["pod web-0: Preempted: Preempted by pod 1 on node a"]),
        (
            event("Unhealthy", 'Liveness probe errored: exec "/bin/nothing": no such file or directory'),
            ['pod web-0: Unhealthy: Liveness probe errored: exec "/bin/nothing": no such file or directory'],
        ),
        (event("Killing", "Stopping container main", fieldPath=MAIN), []),
        (event("Unhealthy", "Readiness probe errored: container is in CONTAINER_EXITED state"), []),
    ],
    ids=["killed", "hook", "preempted", "cannot run", "told to stop", "ended"],
)
def test_what_became_of_a_pod_that_is_gone_is_told(seen: dict[str, Any], told: list[str]) -> None:
    assert pods.restarts([], [seen]) == told


def test_what_a_change_does_not_reach_is_told() -> None:
    volumes = [{"name": "tls", "secret": {}}, {"name": "data", "persistentVolumeClaim": {}}]
    mounts = [
        {"name": "tls", "mountPath": "/tls/tls.crt", "subPath": "tls.crt"},
        {"name": "tls", "mountPath": "/whole"},
        {"name": "data", "mountPath": "/data", "subPath": "mine"},
    ]
    found = pod(spec={"volumes": volumes}, volumeMounts=[])
    assert pods.stale_mounts([found]) == ""
    found["spec"]["containers"][0]["volumeMounts"] = mounts
    told = pods.stale_mounts([found, found])
    assert told == "container main has /tls/tls.crt by subPath, which no change reaches"
