"""Causes out of objects and events: recorded failures are named, and a slow but healthy rollout is left alone.

`recorded/` holds what a real cluster showed, cut down to what matters.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.rollout import diagnose
from scripts.rollout.cause import Cause
from scripts.rollout.diagnose import (
    ENDLESS,
    PASSING,
    Patience,
    Scene,
    Suspicion,
    marks,
    ranked,
    suspicions,
    unforgiven,
    unproven,
)

Object = dict[str, Any]

RECORDED = Path(__file__).parent / "recorded"
VISIBLE = 15.0  # seconds in which a terminal state has to end the wait


def scene(name: str) -> Scene:
    """A recorded failure."""
    document = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    namespace = document["objects"][0]["metadata"]["namespace"]
    return Scene("app", namespace, document["objects"], document["events"])


def of_kind(seen: Scene, kind: str) -> Object:
    return next(item for item in seen.objects if item["kind"] == kind)


def changed(seen: Scene, change: Callable[[Scene], None]) -> Scene:
    """A copy of a scene, with a change made to it."""
    seen = copy.deepcopy(seen)
    change(seen)
    return seen


def worst(seen: Scene) -> float:
    """The shortest patience that something in the scene is met with; infinite where all is well."""
    return min((found.patience for found in suspicions(seen)), default=math.inf)


def only(seen: Scene) -> Suspicion:
    (found,) = suspicions(seen)
    return found


# -- what a cluster showed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "line"),
    [
        (
            "image-pull",
            "image-pull",
            'Deployment web: container main cannot pull image "registry.invalid/gati/none:9": no',
        ),
        ("crash-loop", "crash-loop", "Deployment web: container main has crashed . times: exit code 1"),
        ("unschedulable", "unschedulable", "Deployment web: no node takes its pod: 0/1 nodes are available: 1 node"),
        ("too-big", "unschedulable", "Deployment web: no node takes its pod: .*Insufficient cpu"),
        ("init-container", "init-container", "Deployment web: init container prepare .*exit code 1"),
        ("hook", "hook", "Job migrate: pre-upgrade hook failed: container main exit code 1"),
        ("hook-that-retries", "hook", "Job migrate: pre-install hook failed: container main exit code 1"),
        ("helm-test", "hook", "Pod probe: test hook failed: container main exit code 1"),
        ("quota", "quota", "Deployment web: quota tight is exceeded: requested: pods=1, used: pods=0, limited"),
        ("quota-of-a-stateful-set", "quota", "StatefulSet store: quota tight is exceeded: requested: pods=1"),
        (
            "pod-security",
            "admission",
            r"Deployment web: Pod Security restricted:\S+ refuses it: allowPriv",
        ),
        ("missing-secret", "mount", 'Deployment web: its pod cannot mount a volume: .*secret "nowhere" not found'),
        ("missing-key", "config", "Deployment web: container main cannot be created: couldn't find key colour"),
        ("never-ready", "progress", "Deployment web: container main runs and is not ready: Readiness probe .* for 8 s"),
    ],
)
def test_a_recorded_failure_is_named_in_time(name: str, kind: str, line: str) -> None:
    found = min(suspicions(scene(name)), key=lambda found: found.patience)
    assert found.cause.kind == kind
    assert re.match(line, str(found.cause)), str(found.cause)
    assert found.patience < VISIBLE
    assert found.cause.run.startswith("kubectl ")
    assert "\n" not in str(found.cause)


@pytest.mark.parametrize("name", ["image-pull", "crash-loop", "too-big", "quota", "missing-secret", "never-ready"])
def test_what_was_there_before_is_not_blamed_on_the_operation(name: str) -> None:
    before = scene(name)
    assert suspicions(replace(before, known=marks(before.objects, before.events))) == ()


@pytest.mark.parametrize("name", ["image-pull", "crash-loop", "too-big", "pod-security", "missing-secret", "hook"])
def test_what_was_wrong_before_may_be_asked_for_but_not_what_hooks_left(name: str) -> None:
    seen = scene(name)
    before = unforgiven(replace(seen, known=marks(seen.objects, seen.events)))
    assert {str(one.cause) for one in suspicions(before)} == (
        set() if name == "hook" else {str(one.cause) for one in suspicions(replace(seen, events=()))}
    )


@pytest.mark.parametrize("name", ["image-pull", "crash-loop", "quota", "pod-security"])
def test_what_an_older_revision_does_is_not_blamed_on_the_new_one(name: str) -> None:
    def upgrade(seen: Scene) -> None:
        of_kind(seen, "Deployment")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "2"

    assert suspicions(changed(scene(name), upgrade)) == ()


@pytest.mark.parametrize("name", ["image-pull", "crash-loop", "quota"])
def test_nothing_is_said_before_the_controller_has_seen_the_change(name: str) -> None:
    def apply(seen: Scene) -> None:
        of_kind(seen, "Deployment")["metadata"]["generation"] += 1

    assert suspicions(changed(scene(name), apply)) == ()


@pytest.mark.parametrize("name", ["image-pull", "crash-loop", "unschedulable", "quota"])
def test_another_release_in_the_namespace_is_not_looked_at(name: str) -> None:
    assert suspicions(replace(scene(name), release="other")) == ()


def test_a_pod_that_is_being_deleted_is_not_looked_at() -> None:
    def delete(seen: Scene) -> None:
        of_kind(seen, "Pod")["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    assert suspicions(changed(scene("crash-loop"), delete)) == ()


def test_a_deployment_that_is_paused_is_named_although_helm_takes_it_for_ready() -> None:
    def pause(seen: Scene) -> None:
        of_kind(seen, "Deployment")["spec"]["paused"] = True
        of_kind(seen, "Deployment")["status"] = {"observedGeneration": 9}

    found = [one for one in suspicions(changed(scene("never-ready"), pause)) if one.cause.kind == "paused"]
    assert [(str(one.cause), one.cause.run) for one in found] == [
        (
            "Deployment web: it is paused, and no pod of its new state is made",
            "kubectl --namespace=broken-never-ready rollout resume deployment/web",
        )
    ]

    def made(seen: Scene) -> None:
        pause(seen)
        of_kind(seen, "Deployment")["status"]["updatedReplicas"] = 1

    assert not [one for one in suspicions(changed(scene("never-ready"), made)) if one.cause.kind == "paused"]


@pytest.mark.parametrize(
    ("name", "statuses", "policy", "told"),
    [
        ("hook", "containerStatuses", "Never", "Job migrate: pre-upgrade hook has not ended"),
        ("helm-test", "containerStatuses", "Never", "Pod probe: test hook has not ended"),
        (
            "helm-test",
            "containerStatuses",
            "Always",
            "Pod probe: test hook has not ended, for restartPolicy: Always starts it anew",
        ),
        ("init-container", "initContainerStatuses", "Always", "Deployment web: init container prepare has not ended"),
    ],
)
def test_what_should_have_ended_is_named_at_the_deadline(name: str, statuses: str, policy: str, told: str) -> None:
    def run(seen: Scene) -> None:
        for item in seen.objects:
            if item["kind"] == "Pod":
                item["spec"]["restartPolicy"] = policy
                item["status"]["phase"] = "Running" if statuses == "containerStatuses" else "Pending"
                item["status"][statuses] = [
                    {**item["status"][statuses][0], "state": {"running": {}}, "restartCount": 0}
                ]
                item["status"][statuses][0].pop("lastState", None)
            if item["kind"] == "Job":
                item["status"] = {"active": 1}

    found = [one for one in suspicions(replace(changed(scene(name), run), events=())) if one.cause.kind == "unended"]
    assert {str(one.cause) for one in found} == {told}
    assert all((one.patience, bool(one.container)) == (math.inf, True) for one in found)


@pytest.mark.parametrize(
    ("reason", "lifecycle", "told"),
    [
        (
            "Started",
            {"postStart": {}},
            ["Deployment web: container main has begun, and its postStart hook has not ended"],
        ),
        ("Created", {"postStart": {}}, ["Deployment web: its pod has not begun on node NODE: Created container main"]),
        ("Started", {"preStop": {}}, []),
    ],
)
def test_a_container_waits_for_its_post_start(reason: str, lifecycle: dict[str, Any], told: list[str]) -> None:
    """It does not count as running before, and the kubelet says nothing of it."""

    def wait(seen: Scene) -> None:
        pod = of_kind(seen, "Pod")
        pod["spec"]["containers"][0]["lifecycle"] = lifecycle
        pod["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ContainerCreating"}}
        pod["status"]["phase"] = "Pending"
        for event in seen.events:
            event |= {"reason": reason, "message": f"{reason} container main"}

    seen = changed(scene("never-ready"), wait)
    found = [str(one.cause) for one in suspicions(seen) if one.cause.kind == "unended"]
    assert found == [text.replace("NODE", of_kind(seen, "Pod")["spec"]["nodeName"]) for text in told]


@pytest.mark.parametrize(
    ("reason", "message", "told"),
    [
        ("", "", "runs and is not ready: no probe has passed yet; its startupProbe asks every 60 s"),
        ("Killing", "Init container prepare failed startup probe", "is restarted by its startup probe"),
    ],
)
def test_a_sidecar_that_does_not_start_is_named(reason: str, message: str, told: str) -> None:
    def go_on(seen: Scene) -> None:
        pod = of_kind(seen, "Pod")
        pod["spec"]["initContainers"][0] |= {"restartPolicy": "Always", "startupProbe": {"periodSeconds": 60}}
        now = {"state": {"running": {}}, "lastState": {}, "restartCount": 0, "ready": False, "started": False}
        pod["status"]["initContainerStatuses"][0] |= now

    seen = changed(scene("init-container"), go_on)
    about = {"uid": of_kind(seen, "Pod")["metadata"]["uid"], "fieldPath": "spec.initContainers{prepare}"}
    event = {"metadata": {"uid": "e"}, "reason": reason, "message": message, "involvedObject": about}
    found = [str(one.cause) for one in suspicions(replace(seen, events=[event]))]
    assert f"Deployment web: init container prepare {told}" in found


def test_a_container_whose_post_start_hook_fails_is_explained_by_it() -> None:
    seen = scene("crash-loop")
    pod = of_kind(seen, "Pod")
    about = {"uid": pod["metadata"]["uid"], "fieldPath": "spec.containers{main}"}
    event = {"metadata": {"uid": "e"}, "reason": "FailedPostStartHook", "type": "Warning", "involvedObject": about}
    found = {
        str(one.cause) for one in suspicions(replace(seen, events=[event])) if one.pod.endswith(pod["metadata"]["name"])
    }
    assert found == {"Deployment web: container main is restarted, for its postStart hook failed"}


def test_pods_that_are_ready_and_do_not_count_yet() -> None:
    def wait(seen: Scene) -> None:
        deployment = of_kind(seen, "Deployment")
        deployment["spec"]["minReadySeconds"] = 500
        deployment["status"] = {"observedGeneration": 9, "readyReplicas": 2, "availableReplicas": 1}

    found = [one for one in suspicions(changed(scene("never-ready"), wait)) if one.cause.kind == "unended"]
    assert [str(one.cause) for one in found] == [
        "Deployment web: its pods are ready, and count 500 s later (minReadySeconds)"
    ]


# -- what passes by itself ---------------------------------------------------------------------


def waiting(reason: str, message: str = "", **more: Any) -> Callable[[Scene], None]:
    """Makes the container of a scene's pod wait for `reason`."""

    def change(seen: Scene) -> None:
        status = of_kind(seen, "Pod")["status"]["containerStatuses"][0]
        status.update({"state": {"waiting": {"reason": reason, "message": message}}, **more})

    return change


def scheduler_says(message: str) -> Callable[[Scene], None]:
    def change(seen: Scene) -> None:
        for condition in of_kind(seen, "Pod")["status"]["conditions"]:
            if condition["type"] == "PodScheduled":
                condition["message"] = message

    return change


def with_pod(seen: Scene, pod: Object) -> Scene:
    return replace(seen, objects=(*seen.objects, pod))


def pod_of_another(seen: Scene, **status: Any) -> Object:
    """A new pod of another Deployment of the release (which is not in the scene), with a node."""
    pod = copy.deepcopy(of_kind(seen, "Pod"))
    pod["metadata"] |= {"uid": "other", "name": "other", "ownerReferences": []}
    pod["metadata"]["annotations"] = {
        "meta.helm.sh/release-name": "app",
        "meta.helm.sh/release-namespace": seen.namespace,
    }
    pod["status"] = {"phase": "Running", "conditions": [{"type": "PodScheduled", "status": "True"}], **status}
    return pod


STARTING = {"containerStatuses": [{"name": "main", "ready": False, "restartCount": 0, "state": {"running": {}}}]}


def test_a_pull_that_is_tried_again_after_ten_seconds_has_the_time() -> None:
    slow = changed(scene("image-pull"), waiting("ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout"))
    assert 10 < worst(slow) < VISIBLE
    gone = changed(scene("image-pull"), waiting("ErrImagePull", 'rpc error: code = NotFound desc = "x:9": not found'))
    assert worst(gone) < 5
    assert str(only(gone).cause).endswith(": not found")


@pytest.mark.parametrize(
    ("reason", "message", "told"),
    [
        (
            "ErrImagePull",
            'failed to pull and unpack image "docker.io/me/x:9": no match for platform in manifest: not found',
            "no match for platform in manifest",
        ),
        (
            "ErrImagePull",
            "rpc error: code = Unknown desc = pull access denied, repository does not exist or may require"
            " authorization: server message: insufficient_scope: authorization failed",
            "access denied",
        ),
        (
            "ErrImagePull",
            'Head "https://r.example/v2/x/manifests/9": tls: failed to verify certificate: x509: certificate signed by'
            " unknown authority",
            "x509: certificate signed by unknown authority",
        ),
        (
            "ErrImagePull",
            'Head "https://10.0.0.1:5000/v2/": http: server gave HTTP response to HTTPS client',
            "http: server gave HTTP response to HTTPS client",
        ),
        (
            "ErrImagePull",
            "429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate"
            " limit.",
            "toomanyrequests: You have reached your unauthenticated pull rate limit.",
        ),
        (
            "ImagePullBackOff",
            'Back-off pulling image "x": ErrImagePull: dial tcp 10.0.0.1:443: connect: connection refused',
            "connect: connection refused",
        ),
        ("ErrImageNeverPull", 'Container image "x" is not present with pull policy of Never', "it is not on the node"),
        ("InvalidImageName", 'Failed to apply default image tag "x:y:z": invalid reference', "that is no image name"),
    ],
)
def test_each_kind_of_pull_that_fails_has_its_words(reason: str, message: str, told: str) -> None:
    line = str(only(changed(scene("image-pull"), waiting(reason, message))).cause)
    assert line.partition('"registry.invalid/gati/none:9": ')[2].startswith(told)


def test_while_a_pull_waits_the_event_of_its_container_says_why() -> None:
    """As of a kubelet before 1.32, whose state has no cause then."""
    seen = changed(scene("image-pull"), waiting("ImagePullBackOff", 'Back-off pulling image "x"'))
    about = {"uid": of_kind(seen, "Pod")["metadata"]["uid"]}
    names = {"main": "lookup registry.invalid on 10.96.0.10:53: no such host", "other": "x:9: not found"}
    events = [
        {
            "metadata": {"uid": name},
            "reason": "Failed",
            "message": f'Failed to pull image "x": rpc error: code = Unknown desc = {why}',
            "involvedObject": {**about, "fieldPath": f"spec.containers{{{name}}}"},
        }
        for name, why in names.items()
    ]
    events.append({**events[0], "message": "Error: ImagePullBackOff", "metadata": {"uid": "later"}})
    found = only(replace(seen, events=events))
    assert str(found.cause).endswith(": no such host: registry.invalid")
    assert found.patience < 5
    assert str(only(replace(seen, events=())).cause).endswith(': Back-off pulling image "x"')


@pytest.mark.parametrize(
    ("reason", "message", "patience"),
    [
        ("CreateContainerConfigError", 'configmap "app" not found', "retried"),
        ("CreateContainerConfigError", "couldn't find key a.yaml in ConfigMap shop/app", "retried"),
        ("CreateContainerConfigError", "couldn't find key password in Secret shop/db", "retried"),
        (
            "CreateContainerConfigError",
            'container has runAsNonRoot and image will run as root (pod: "web-1_shop(u)", container: main)',
            "settled",
        ),
        (
            "CreateContainerConfigError",
            "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root (pod: x)",
            "settled",
        ),
        ("CreateContainerError", "context deadline exceeded", "endless"),
        (
            "CreateContainerConfigError",
            "failed to sync configmap cache: timed out waiting for the condition",
            "endless",
        ),
        (
            "CreateContainerError",
            'failed to reserve container name "main_web-1_shop": name "main_web-1_shop" is reserved for "5d0b"',
            "endless",
        ),
        ("CreateContainerError", 'failed to prepare subPath for volumeMount "data" of container "main"', "retried"),
        (
            "RunContainerError",
            'failed to create containerd task: exec: "nope": executable file not found in $PATH: unknown',
            "retried",
        ),
    ],
)
def test_a_container_that_cannot_be_created_says_why(reason: str, message: str, patience: str) -> None:
    found = only(changed(scene("missing-key"), waiting(reason, message)))
    assert str(found.cause) == f"Deployment web: container main cannot be created: {message}"
    assert found.patience == getattr(diagnose, patience.upper())


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        ({"exitCode": 137, "reason": "OOMKilled"}, "exit code 137 (OOMKilled)"),
        ({"exitCode": 137, "reason": "Error"}, "exit code 137 (SIGKILL, as for more memory than its limit)"),
        (
            {"exitCode": 128, "reason": "StartError", "message": 'exec: "nope": not found in $PATH: unknown\n'},
            'exit code 128 (StartError): exec: "nope": not found in $PATH: unknown',
        ),
        ({"exitCode": 1, "reason": "Error"}, "exit code 1"),
    ],
)
def test_how_a_container_ended_is_told(ended: Object, told: str) -> None:
    seen = changed(scene("crash-loop"), waiting("CrashLoopBackOff", restartCount=3, lastState={"terminated": ended}))
    assert str(only(seen).cause) == f"Deployment web: container main has crashed 4 times: {told}"


@pytest.mark.parametrize(
    ("message", "count", "patience"),
    [
        ("runc create failed: unable to freeze", 0, diagnose.PASSING),
        ("runc create failed: unable to freeze", 1, diagnose.RETRIED),
        ('exec: "nope": executable file not found in $PATH', 0, diagnose.RETRIED),
    ],
    ids=["node", "again", "no program"],
)
def test_a_container_that_its_node_could_not_begin_is_waited_for(message: str, count: int, patience: float) -> None:
    def unbegun(seen: Scene) -> None:
        status = of_kind(seen, "Pod")["status"]["containerStatuses"][0]
        ended = {"exitCode": 128, "reason": "StartError", "message": message}
        status.update(restartCount=count, ready=False, state={"terminated": ended})

    assert worst(changed(scene("crash-loop"), unbegun)) == patience


def test_one_restart_is_no_crash_loop() -> None:
    def restarted(seen: Scene) -> None:
        status = of_kind(seen, "Pod")["status"]["containerStatuses"][0]
        status.update(restartCount=1, ready=False, state={"running": {"startedAt": "2026-01-01T00:00:00Z"}})

    assert worst(changed(scene("crash-loop"), restarted)) == math.inf


def running(seen: Scene, *, restarts: int = 0, seconds: int | None = None) -> Scene:
    """The scene with its container running and ready, `seconds` after its pod could begin it."""

    def change(seen: Scene) -> None:
        status = of_kind(seen, "Pod")["status"]
        state = {} if seconds is None else {"startedAt": f"2026-01-01T00:01:{seconds:02}Z"}
        status["conditions"] = [{"type": "Initialized", "lastTransitionTime": "2026-01-01T00:01:00Z"}]
        status["containerStatuses"][0].update(restartCount=restarts, ready=True, state={"running": state})

    return changed(seen, change)


def test_a_container_that_no_probe_asked_is_not_proven_and_each_run_anew() -> None:
    def probe(seen: Scene) -> None:
        of_kind(seen, "Pod")["spec"]["containers"][0]["readinessProbe"] = {"httpGet": {"port": 80}}

    seen = scene("crash-loop")
    assert unproven(seen) == {}
    assert len(unproven(running(seen)) | unproven(running(seen, restarts=1))) == 2
    assert unproven(changed(running(seen), probe)) == {}


@pytest.mark.parametrize(("took", "proof"), [(None, 4), (1, 4), (9, 9), (50, 12)])
def test_a_container_that_started_slowly_has_to_run_for_longer(took: int | None, proof: float) -> None:
    (seconds,) = unproven(running(scene("crash-loop"), seconds=took)).values()
    assert seconds == proof


def test_the_second_crash_is_given_its_backoff_and_the_third_is_not() -> None:
    assert worst(changed(scene("crash-loop"), waiting("CrashLoopBackOff", restartCount=1))) > 10
    assert worst(changed(scene("crash-loop"), waiting("CrashLoopBackOff", restartCount=2))) < 5


def test_a_crash_loop_waits_for_another_part_that_is_starting() -> None:
    seen = scene("crash-loop")
    assert worst(with_pod(seen, pod_of_another(seen, **STARTING))) > VISIBLE
    ready = {"type": "Ready", "status": "True"}
    assert worst(with_pod(seen, pod_of_another(seen, conditions=[ready]))) < VISIBLE


def test_a_crash_loop_that_has_waited_long_enough_waits_no_more() -> None:
    seen = changed(scene("crash-loop"), waiting("CrashLoopBackOff", restartCount=4))
    assert worst(with_pod(seen, pod_of_another(seen, **STARTING))) < VISIBLE


@pytest.mark.parametrize(("spec", "patient"), [({"activeDeadlineSeconds": 60}, True), ({}, False)])
def test_a_test_that_says_how_long_it_tries_may_try_again(spec: dict[str, int], patient: bool) -> None:
    def crashed(count: int) -> Scene:
        def change(seen: Scene) -> None:
            (pod,) = (item for item in seen.objects if item["metadata"]["name"] == "probe")
            pod["spec"] |= {"restartPolicy": "OnFailure", **spec}
            pod["status"]["phase"] = "Running"
            state = {"waiting": {"reason": "CrashLoopBackOff"}}
            last = {"terminated": {"exitCode": 1, "reason": "Error"}}
            pod["status"]["containerStatuses"][0].update(restartCount=count, state=state, lastState=last)

        return changed(scene("helm-test"), change)

    assert (worst(crashed(1)) > VISIBLE) == patient
    assert worst(crashed(4)) < VISIBLE


def test_a_missing_secret_that_a_certificate_will_make_is_waited_for() -> None:
    assert worst(scene("missing-secret")) < VISIBLE
    assert worst(replace(scene("missing-secret"), promised=frozenset({"nowhere"}))) > VISIBLE


@pytest.mark.parametrize(
    ("later", "why", "patience"),
    [
        ("", "the host name is too long", PASSING),
        ("", "context deadline exceeded", ENDLESS),
        ("", 'failed to reserve sandbox name "web-1_shop": name "web-1_shop" is reserved for "5d0b"', ENDLESS),
        ("Created", "the host name is too long", None),
    ],
    ids=["for good", "a busy node", "a busy node again", "no more"],
)
def test_a_pod_that_cannot_begin_says_why(later: str, why: str, patience: float | None) -> None:
    seen = scene("missing-secret")
    why = f"Failed to create pod sandbox: {why}"
    events = [{**seen.events[0], "reason": "FailedCreatePodSandBox", "message": why}]
    events += [{**events[0], "reason": later, "lastTimestamp": "2999-01-01T00:00:00Z"}] if later else []
    pod = of_kind(seen, "Pod")
    mine, node = pod["metadata"]["uid"], pod["spec"]["nodeName"]
    seen = replace(seen, events=[{**one, "involvedObject": {"uid": mine}} for one in events])
    what = "its pod cannot begin" if patience else f"its pod has not begun on node {node}"
    told = [(f"Deployment web: {what}: {why}", patience or ENDLESS)]
    assert [(str(one.cause), one.patience) for one in suspicions(seen)] == told


@pytest.mark.parametrize(
    ("reason", "message", "soon"),
    [
        ("FailedMount", 'MountVolume.SetUp failed for volume "a" : configmap "app" not found', True),
        ("FailedMount", 'MountVolume.SetUp failed for volume "a" : references non-existent config key: a.yaml', True),
        ("FailedMount", 'MountVolume.SetUp failed for volume "a" : references non-existent secret key: key', True),
        ("FailedMount", 'MountVolume.SetUp failed for volume "a" : hostPath type check failed: /a is no file', False),
        ("FailedMount", 'MountVolume.SetUp failed for volume "a" : failed to sync secret cache: timed out', False),
        ("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) b', False),
    ],
)
def test_a_volume_that_cannot_be_mounted_says_why(reason: str, message: str, soon: bool) -> None:
    seen = scene("missing-secret")
    event = {**seen.events[0], "reason": reason, "message": message}
    event["involvedObject"] = {"uid": of_kind(seen, "Pod")["metadata"]["uid"]}
    found = only(replace(seen, events=[event]))
    assert str(found.cause) == f"Deployment web: its pod cannot mount a volume: {message}"
    assert (found.patience < VISIBLE) == soon
    assert math.isinf(found.patience) == ("failed to sync" in message)  # as a busy node says


def test_a_mount_that_succeeded_later_is_forgotten() -> None:
    seen = scene("missing-secret")
    pulled = {"reason": "Pulled", "lastTimestamp": "2999-01-01T00:00:00Z", "metadata": {"uid": "pulled"}}
    event = {**pulled, "involvedObject": {"uid": of_kind(seen, "Pod")["metadata"]["uid"]}}
    assert "its kubelet has told nothing" in only(replace(seen, events=(*seen.events, event))).cause.message


@pytest.mark.parametrize("begun", [False, True])
def test_a_pod_whose_image_takes_long_says_so_at_the_deadline(begun: bool) -> None:
    def pulls(seen: Scene) -> None:
        status = of_kind(seen, "Pod")["status"]
        status["containerStatuses"] = [{"name": "main", "state": {"running": {}} if begun else {"waiting": {}}}]

    seen = changed(scene("missing-secret"), pulls)
    event = {**seen.events[0], "reason": "Pulling", "message": 'Pulling image "big:1"'}
    event["involvedObject"] = {"uid": of_kind(seen, "Pod")["metadata"]["uid"]}
    told = [str(one.cause) for one in suspicions(replace(seen, events=[event])) if "Pulling" in str(one.cause)]
    assert all(one.startswith("Deployment web: its pod has not begun on node ") for one in told)
    assert len(told) == (not begun)


def test_a_pod_without_a_place_is_waited_for_while_another_ends() -> None:
    full = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims"
    seen = changed(scene("too-big"), scheduler_says(full))
    assert worst(seen) < VISIBLE
    ending = pod_of_another(seen)
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert worst(with_pod(seen, ending)) > VISIBLE


TAINTED = "0/4 nodes are available: 1 node(s) had untolerated taint(s), 3 Insufficient cpu. preemption: 0/4 nodes are"
ROLE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
SOFT = {"key": "soft", "effect": "PreferNoSchedule"}
LOST = {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}
OURS = {"key": "dedicated", "value": "gpu", "effect": "NoExecute"}


@pytest.mark.parametrize(
    ("taints", "tolerated", "told", "soon"),
    [
        ([], {}, "taint(s),", True),
        ([ROLE, ROLE, SOFT], {}, "taint {node-role.kubernetes.io/control-plane: },", True),
        (
            [ROLE, LOST],
            {},
            "taint {node-role.kubernetes.io/control-plane: }, {node.kubernetes.io/unreachable: },",
            False,
        ),
        (
            [LOST],
            {"key": LOST["key"], "operator": "Exists", "effect": "NoExecute"},
            "taint {node.kubernetes.io/unreachable: },",
            False,
        ),
        ([OURS, ROLE], {"operator": "Exists", "effect": "NoSchedule"}, "taint {dedicated: gpu},", True),
        ([OURS], {"key": "dedicated", "value": "cpu"}, "taint {dedicated: gpu},", True),
        ([OURS, ROLE], {"key": "dedicated", "value": "gpu"}, "taint {node-role.kubernetes.io/control-plane: },", True),
    ],
    ids=[
        "not ours to see",
        "for good",
        "a node is lost",
        "for other effects",
        "all of an effect",
        "another value",
        "one",
    ],
)
def test_the_taints_that_a_scheduler_keeps_to_itself_are_those_of_the_nodes(
    taints: list[dict[str, str]], tolerated: dict[str, str], told: str, soon: bool
) -> None:
    """As of Kubernetes 1.34, whose tenants shall not read them in a pod."""

    def tolerate(seen: Scene) -> None:
        of_kind(seen, "Pod")["spec"]["tolerations"] = [tolerated] if tolerated else []
        scheduler_says(TAINTED)(seen)

    found = only(replace(changed(scene("unschedulable"), tolerate), taints=taints))
    assert f"1 node(s) had untolerated {told}" in found.cause.message
    assert (found.patience < VISIBLE) == soon


@pytest.mark.parametrize(
    ("events", "told", "soon"),
    [
        ([], "", False),
        ([("WaitForFirstConsumer", "waiting for first consumer to be created before binding")], "", False),
        (
            [("ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')],
            '; PersistentVolumeClaim data: storageclass.storage.k8s.io "fast" not found',
            True,
        ),
        (
            [("FailedBinding", "no persistent volumes available for this claim and no storage class is set")],
            "; PersistentVolumeClaim data: no persistent volumes available for this claim and no storage class is set",
            True,
        ),
        (
            [
                ("ProvisioningFailed", 'failed to provision volume with StorageClass "a": no disk is left'),
                ("ExternalProvisioning", "Waiting for a volume to be created either by the external provisioner 'b'"),
            ],
            '; PersistentVolumeClaim data: failed to provision volume with StorageClass "a": no disk is left',
            False,
        ),
    ],
    ids=["nothing", "it waits", "no class", "no default class", "it tries again"],
)
def test_a_volume_that_is_not_made_is_told_with_what_its_claim_says(
    events: list[tuple[str, str]], told: str, soon: bool
) -> None:
    def claim(seen: Scene) -> None:
        source = {"persistentVolumeClaim": {"claimName": "data"}}
        of_kind(seen, "Pod")["spec"]["volumes"] = [{"name": "a", **source}, {"name": "b", "emptyDir": {}}]
        scheduler_says("0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.")(seen)

    seen = changed(scene("unschedulable"), claim)
    about = {"kind": "PersistentVolumeClaim", "name": "data", "namespace": seen.namespace, "uid": "claim"}
    said = [
        {
            "metadata": {"uid": reason},
            "type": "Warning" if reason == "ProvisioningFailed" else "Normal",
            "reason": reason,
            "message": message,
            "lastTimestamp": f"2026-01-01T00:00:0{number}Z",
            "involvedObject": about,
        }
        for number, (reason, message) in enumerate(events)
    ]
    seen = replace(seen, events=[*seen.events, *said])
    found = only(seen)
    assert found.cause.message.partition("PersistentVolumeClaims")[2] == told
    assert (found.patience < VISIBLE) == soon
    full = only(changed(seen, scheduler_says("0/3 nodes are available: 3 Insufficient cpu.")))
    assert "PersistentVolumeClaim" not in full.cause.message, "what was said of a volume that is bound by now"


def test_a_pull_without_its_secret_is_told_so() -> None:
    """A registry says no more than that it refuses; the kubelet had looked for the login."""
    seen = changed(scene("image-pull"), waiting("ErrImagePull", "failed to resolve x: pull access denied"))
    event = {
        "metadata": {"uid": "e"},
        "reason": "FailedToRetrieveImagePullSecret",
        "message": "Unable to retrieve some image pull secrets (regcred, other); attempting to pull the image may not"
        " succeed.",
        "involvedObject": {"uid": of_kind(seen, "Pod")["metadata"]["uid"]},
    }
    assert str(only(seen).cause).endswith(": access denied")
    told = str(only(replace(seen, events=[*seen.events, event])).cause)
    assert told.endswith(": access denied; there is no pull secret regcred, other")


@pytest.mark.parametrize("seen_before", [True, False], ids=["an installation", "an upgrade"])
@pytest.mark.parametrize("made", [False, True])
def test_a_deployment_that_cannot_make_its_replica_set_says_why(seen_before: bool, made: bool) -> None:
    """It says so before it says that it has looked at its new spec, and in an event alone where it has no deadline."""

    def refuse(seen: Scene) -> None:
        deployment = of_kind(seen, "Deployment")
        deployment["metadata"]["generation"] = 2
        deployment["status"] = {} if seen_before else {"observedGeneration": 1}
        seen.objects[:] = [deployment]  # type: ignore[index]

    seen = changed(scene("quota"), refuse)
    message = (
        'Failed to create new replica set "web-5d": replicasets.apps "web-5d" is forbidden: exceeded quota: tight, x'
    )
    about = {"uid": of_kind(seen, "Deployment")["metadata"]["uid"]}
    said = [("ReplicaSetCreateError", message), *([("ScalingReplicaSet", "Scaled up")] if made else [])]
    events = [
        {
            "metadata": {"uid": reason},
            "reason": reason,
            "message": text,
            "lastTimestamp": f"2026-01-01T00:00:0{number}Z",
            "involvedObject": about,
        }
        for number, (reason, text) in enumerate(said)
    ]
    found = [str(one.cause) for one in suspicions(replace(seen, events=events))]
    assert found == ([] if made else ["Deployment web: quota tight is exceeded: x"])


def test_a_pod_that_no_leaving_pod_helps_is_not_waited_for() -> None:
    seen = scene("unschedulable")
    ending = pod_of_another(seen)
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert worst(with_pod(seen, ending)) < VISIBLE


@pytest.mark.parametrize(
    "message",
    [
        "0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
        "3 node(s) were unschedulable. preemption: 0/4 nodes are available: 4 Preemption is not helpful.",
        "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }. "
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful.",
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
    ],
    ids=["drained", "not-ready", "volume"],
)
def test_a_closed_node_may_open_again(message: str) -> None:
    assert worst(changed(scene("unschedulable"), scheduler_says(message))) > VISIBLE


@pytest.mark.parametrize(
    "why",
    [
        "1 node(s) had untolerated taint {dedicated: gpu}, 3 node(s) didn't match Pod's node affinity/selector",
        "4 node(s) didn't match pod anti-affinity rules",
        "4 node(s) didn't have free ports for the requested pod ports",
        "4 node(s) had volume node affinity conflict",
        "4 node(s) didn't find available persistent volumes to bind",
        'persistentvolumeclaim "data" not found',
    ],
)
@pytest.mark.parametrize("tail", [". preemption: ", ". no new claims to deallocate, preemption: "])
def test_what_keeps_every_node_from_taking_a_pod_is_told_alone(why: str, tail: str) -> None:
    """However a scheduler ends its message: that of 1.28 with two dots, and of some with claims of devices."""
    message = (
        f"0/4 nodes are available: {why}{tail}0/4 nodes are available: 4 Preemption is not helpful for scheduling.."
    )
    seen = changed(scene("unschedulable"), scheduler_says(message))
    assert str(only(seen).cause) == f"Deployment web: no node takes its pod: 0/4 nodes are available: {why}"
    ending = pod_of_another(seen)
    ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert worst(with_pod(seen, ending)) < VISIBLE, "no pod that goes makes room"


def test_a_scheduler_that_fails_is_told_and_may_try_again() -> None:
    def fail(seen: Scene) -> None:
        scheduler_says('running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded')(seen)
        (condition,) = of_kind(seen, "Pod")["status"]["conditions"]
        condition["reason"] = "SchedulerError"

    found = only(changed(scene("unschedulable"), fail))
    assert (found.patience, found.cause.message) == (
        PASSING,
        'no node takes its pod: running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded',
    )


def test_an_autoscaler_that_makes_a_node_is_waited_for_to_the_deadline() -> None:
    seen = scene("unschedulable")
    uid = of_kind(seen, "Pod")["metadata"]["uid"]
    event = {"reason": "TriggeredScaleUp", "metadata": {"uid": "e"}, "involvedObject": {"uid": uid}}
    assert worst(replace(seen, events=(*seen.events, event))) == math.inf


def test_a_container_that_is_not_ready_yet_is_only_explained() -> None:
    def still_trying(seen: Scene) -> None:
        of_kind(seen, "Deployment")["status"]["conditions"] = []

    found = only(changed(scene("never-ready"), still_trying))
    assert (found.cause.kind, found.patience) == ("readiness", math.inf)
    assert "Readiness probe failed" in found.cause.message


@pytest.mark.parametrize(
    ("spec", "condition", "said"),
    [
        ({"schedulingGates": [{"name": "a.b/c"}]}, {"reason": "SchedulingGated"}, "opened its scheduling gate a.b/c"),
        ({"schedulerName": "mine"}, None, "no scheduler mine looks at it"),
        ({}, None, "no scheduler default-scheduler looks at it"),
        (
            {"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "data-web-0"}}, {"name": "b"}]},
            None,
            "default-scheduler waits for the volumes of data-web-0",
        ),
        ({"nodeName": "gone"}, None, "no kubelet of node gone has taken it"),
    ],
    ids=["gate", "scheduler", "no scheduler", "volume that waits for its first consumer", "node"],
)
def test_a_pod_that_no_scheduler_looks_at_says_why(
    spec: dict[str, Any], condition: dict[str, str] | None, said: str
) -> None:
    def held(seen: Scene) -> None:
        pod = of_kind(seen, "Pod")
        pod["spec"].pop("nodeName", None)
        pod["spec"].update(spec)
        scheduled = [{"type": "PodScheduled", "status": "False", **condition}] if condition else []
        pod["status"] = {"phase": "Pending", "conditions": scheduled}

    found = only(changed(scene("unschedulable"), held))
    assert found.patience == math.inf
    assert said in found.cause.message


def test_a_readiness_gate_that_nobody_opens_is_named() -> None:
    message = 'corresponding condition of pod readiness gate "a.b/c" does not exist.'

    def gated(seen: Scene) -> None:
        of_kind(seen, "Deployment")["status"]["conditions"] = []
        status = of_kind(seen, "Pod")["status"]
        status["containerStatuses"][0].update(ready=True)
        ready = {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": message}
        status["conditions"] = [one for one in status["conditions"] if one["type"] != "Ready"] + [ready]

    assert "a.b/c" in only(changed(scene("never-ready"), gated)).cause.message


def test_a_pod_whose_node_is_lost_says_so() -> None:
    """Its containers stay as the kubelet told them last; the condition alone is taken back, without a reason."""

    def lose(seen: Scene) -> None:
        of_kind(seen, "Deployment")["status"]["conditions"] = []
        pod = of_kind(seen, "Pod")
        pod["spec"]["nodeName"] = "worker"
        pod["status"]["containerStatuses"][0].update(ready=True)
        for condition in pod["status"]["conditions"]:
            if condition["type"] == "Ready":
                condition.pop("reason"), condition.pop("message")

    found = only(changed(scene("never-ready"), lose))
    assert (found.cause.message, found.patience) == ("node worker of its pod does not answer", math.inf)


def test_what_another_container_of_the_pod_answered_explains_nothing() -> None:
    def beside(seen: Scene) -> None:
        of_kind(seen, "Deployment")["status"]["conditions"] = []
        for event in seen.events:
            event["involvedObject"]["fieldPath"] = "spec.containers{proxy}"

    assert only(changed(scene("never-ready"), beside)).cause.message.endswith("no probe has passed yet")


@pytest.mark.parametrize("owned", [False, True])
def test_a_pod_that_nobody_makes_anew_says_how_it_failed(owned: bool) -> None:
    def alone(seen: Scene) -> None:
        (pod,) = (item for item in seen.objects if item["metadata"]["name"] == "probe")
        pod["metadata"]["annotations"] = {
            "meta.helm.sh/release-name": "app",
            "meta.helm.sh/release-namespace": seen.namespace,
        }
        if owned:  # by an operator, which may well know what to do
            pod["metadata"]["ownerReferences"] = [{"uid": "w", "kind": "Workflow", "name": "w", "controller": True}]

    found = [str(one.cause) for one in suspicions(changed(scene("helm-test"), alone))]
    assert found == ([] if owned else ["Pod probe: the pod failed: container main exit code 1"])


def test_a_pod_that_its_node_has_ended_says_why_once_another_is_ended_too() -> None:
    def evicted(seen: Scene) -> None:
        of_kind(seen, "Deployment")["status"]["conditions"] = []
        message = "Pod ephemeral local storage usage exceeds the total limit of containers 1Ki."
        of_kind(seen, "Pod")["status"].update(phase="Failed", reason="Evicted", message=message)

    one = changed(scene("crash-loop"), evicted)
    told = "Deployment web: its node has ended its pod: Evicted: Pod ephemeral local storage usage exceeds"
    assert str(only(one).cause).startswith(told)
    assert only(one).patience == math.inf  # another takes its place, and may well stay
    other = copy.deepcopy(of_kind(one, "Pod"))
    other["metadata"]["uid"] = "another"
    assert worst(replace(one, objects=(*one.objects, other))) < VISIBLE


def test_a_pod_for_a_node_that_is_not_there_says_so() -> None:
    def given_up(seen: Scene) -> None:
        of_kind(seen, "Deployment")["status"]["conditions"] = []
        pod = of_kind(seen, "Pod")
        pod["spec"]["nodeName"] = "nowhere"
        target = {"type": "DisruptionTarget", "status": "True", "message": "PodGC: node no longer exists"}
        pod["status"] = {"phase": "Failed", "conditions": [target]}

    told = "Deployment web: its pod was bound to node nowhere, and given up: PodGC: node no longer exists"
    assert str(only(changed(scene("crash-loop"), given_up)).cause) == told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, True),
        ({"podManagementPolicy": "Parallel"}, False),
        ({"updateRevision": "bad"}, False),
        ({"ready": "True"}, False),
        ({"reason": "ContainerCreating"}, False),
    ],
    ids=["left behind", "all at a time", "of the revision that is wanted", "ready after all", "starting"],
)
def test_a_pod_that_a_stateful_set_waits_for_and_does_not_replace_is_named(change: dict[str, str], told: bool) -> None:
    meta = {"name": "store", "namespace": "n", "uid": "s", "labels": {"app.kubernetes.io/instance": "app"}}
    policy = change.get("podManagementPolicy", "OrderedReady")
    owner = {
        "kind": "StatefulSet",
        "metadata": meta,
        "spec": {"replicas": 2, "podManagementPolicy": policy},
        "status": {"updateRevision": change.get("updateRevision", "good"), "replicas": 2},
    }
    waiting = {"name": "main", "state": {"waiting": {"reason": change.get("reason", "ImagePullBackOff")}}}
    pod = {
        "kind": "Pod",
        "metadata": {
            "name": "store-1",
            "namespace": "n",
            "uid": "p",
            "labels": {"controller-revision-hash": "bad"},
            "ownerReferences": [{"uid": "s", "kind": "StatefulSet", "name": "store", "controller": True}],
        },
        "spec": {"containers": [], "nodeName": "worker"},
        "status": {
            "phase": "Pending",
            "startTime": "2026-01-01T00:00:00Z",
            "containerStatuses": [waiting],
            "conditions": [{"type": "Ready", "status": change.get("ready", "False")}],
        },
    }
    found = [one for one in suspicions(Scene("app", "n", [owner, pod])) if one.cause.object == "StatefulSet store"]
    assert [one.cause.run for one in found if "deletes it" in one.cause.message] == (
        ["kubectl --namespace=n delete pod store-1"] if told else []
    )
    assert all(one.patience < VISIBLE for one in found)


def test_a_probe_that_waits_long_before_it_asks_is_named() -> None:
    def waits(seen: Scene) -> None:
        of_kind(seen, "Deployment")["status"]["conditions"] = []
        of_kind(seen, "Pod")["spec"]["containers"][0]["startupProbe"] = {"initialDelaySeconds": 300}

    seen = replace(changed(scene("never-ready"), waits), events=())
    assert "its startupProbe waits 300 s before it asks" in only(seen).cause.message


def test_a_probe_that_has_passed_explains_nothing_and_one_that_asks_seldom_does() -> None:
    def started(seen: Scene) -> None:
        of_kind(seen, "Deployment")["status"]["conditions"] = []
        pod = of_kind(seen, "Pod")
        pod["spec"]["containers"][0]["readinessProbe"] = {"periodSeconds": 300}
        pod["status"]["containerStatuses"][0]["started"] = True
        for event in seen.events:
            event["message"] = event["message"].replace("Readiness probe", "Startup probe")

    told = only(changed(scene("never-ready"), started)).cause.message
    assert told.endswith("is not ready: no probe has passed yet; its readinessProbe asks every 300 s")


@pytest.mark.parametrize(("times", "waited"), [(3, False), (2, True)])
def test_a_probe_that_cannot_be_run_is_not_waited_for(times: int, waited: bool) -> None:
    """It neither passes nor fails, however long; a busy runtime may say so once."""

    def lives(seen: Scene) -> None:
        of_kind(seen, "Deployment")["status"]["conditions"] = []

    seen = changed(scene("never-ready"), lives)
    first = next(event for event in seen.events if event["reason"] == "Unhealthy")
    why = 'Readiness probe errored and resulted in unknown state: exec: "cat": executable file not found in $PATH'
    told = [{**first, "message": why, "metadata": {**first["metadata"], "uid": str(number)}} for number in range(times)]
    seen = replace(seen, events=told)
    assert "executable file not found" in only(seen).cause.message
    assert (worst(seen) > VISIBLE) is waited


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"dnsPolicy": "Default"}, "with dnsPolicy: Default it asks another server than the cluster's for names"),
        ({"hostNetwork": True}, "it finds no Service by its name without dnsPolicy: ClusterFirstWithHostNet"),
        ({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}, "no probe has passed yet"),
        ({"hostAliases": [{"ip": "::1", "hostnames": ["a", "b"]}]}, "hostAliases, and no server, say where a, b is"),
    ],
)
def test_a_pod_that_is_not_ready_and_finds_no_names_says_so(spec: Object, told: str) -> None:
    def lives(seen: Scene) -> None:
        of_kind(seen, "Deployment")["status"]["conditions"] = []
        of_kind(seen, "Pod")["spec"] |= spec

    seen = replace(changed(scene("never-ready"), lives), events=())
    assert only(seen).cause.message.endswith(told)


def test_a_probe_that_has_to_pass_often_is_named() -> None:
    def again(seen: Scene) -> None:
        of_kind(seen, "Deployment")["status"]["conditions"] = []
        of_kind(seen, "Pod")["spec"]["containers"][0]["readinessProbe"] = {"successThreshold": 9, "periodSeconds": 7}

    told = only(replace(changed(scene("never-ready"), again), events=())).cause.message
    assert told.endswith("its readinessProbe asks every 7 s, and has to pass 9 times (successThreshold)")


def test_a_hook_may_fail_once() -> None:
    def once(seen: Scene) -> None:
        of_kind(seen, "Job")["status"] = {"failed": 1, "active": 1}

    assert worst(changed(scene("hook-that-retries"), once)) == math.inf


def test_a_job_of_a_cron_job_is_not_waited_for() -> None:
    def owned(seen: Scene) -> None:
        job = of_kind(seen, "Job")
        job["metadata"]["annotations"] = {}
        job["metadata"]["labels"]["app.kubernetes.io/instance"] = seen.release
        job["status"]["conditions"] = [{"type": "Failed", "status": "True", "message": "too often"}]
        job["metadata"]["ownerReferences"] = owner

    owner: list[Object] = []
    assert "Job migrate: the job failed" in str(only(changed(scene("hook"), owned)).cause)
    owner.append({"kind": "CronJob", "name": "nightly", "uid": "u", "controller": True})
    assert suspicions(changed(scene("hook"), owned)) == ()


def test_a_job_that_is_no_hook_may_fail_as_often_as_it_says() -> None:
    def plain(seen: Scene) -> None:
        job = of_kind(seen, "Job")
        job["metadata"]["annotations"] = {
            "meta.helm.sh/release-name": "app",
            "meta.helm.sh/release-namespace": seen.namespace,
        }

    assert worst(changed(scene("hook-that-retries"), plain)) == math.inf


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            'pods "web-1" is forbidden: [maximum cpu usage per Container is 100m, but limit is 1, maximum memory usage'
            " per Container is 64Mi, but limit is 1Gi]",
            "the API server refuses it: [maximum cpu usage per Container is 100m, but limit is 1, maximum memory usage"
            " per Container is 64Mi, but limit is 1Gi]",
        ),
        (
            'pods "web-1" is forbidden: failed quota: tight: must specify limits.cpu for: main',
            "quota tight is not met: must specify limits.cpu for: main",
        ),
        (
            'admission webhook "validate.kyverno.svc-fail" denied the request: \n\nresource Pod/shop/web-1 was blocked'
            " due to the following policies \n\nteam:\n  check: 'validation error: the label `team` is required'\n",
            "admission webhook validate.kyverno.svc-fail refuses it: resource Pod/shop/web-1 was blocked due to the"
            " following policies team: check: 'validation error: the label `team` is required'",
        ),
        (
            'Internal error occurred: failed calling webhook "v.example": failed to call webhook: Post'
            ' "https://v.example.svc:443/?timeout=10s": no endpoints available for service "v"',
            'the API server refuses it: Internal error occurred: failed calling webhook "v.example": failed to call'
            ' webhook: Post "https://v.example.svc:443/?timeout=10s": no endpoints available for service "v"',
        ),
        (
            "pods \"web-1\" is forbidden: ValidatingAdmissionPolicy 'tags' with binding 'all' denied request: no tag",
            "the API server refuses it: ValidatingAdmissionPolicy 'tags' with binding 'all' denied request: no tag",
        ),
        (
            'pods "web-1" is forbidden: error looking up service account shop/web: serviceaccount "web" not found',
            'the API server refuses it: error looking up service account shop/web: serviceaccount "web" not found',
        ),
        (
            'pods "web-1" is forbidden: no PriorityClass with name urgent was found',
            "the API server refuses it: no PriorityClass with name urgent was found",
        ),
        (
            'Pod "web-1" is invalid: spec.containers[0].resources.requests: Invalid value: "1": must be less than or'
            " equal to cpu limit of 500m",
            'the API server refuses it: spec.containers[0].resources.requests: Invalid value: "1": must be less than or'
            " equal to cpu limit of 500m",
        ),
    ],
    ids=["LimitRange", "quota", "kyverno", "webhook", "policy", "account", "priority", "invalid"],
)
def test_whoever_refuses_a_pod_is_named_with_the_reason(message: str, told: str) -> None:
    def refuse(seen: Scene) -> None:
        for condition in of_kind(seen, "ReplicaSet")["status"]["conditions"]:
            condition["message"] = message

    found = only(changed(scene("pod-security"), refuse))
    assert str(found.cause) == f"Deployment web: {told}"
    assert found.patience < VISIBLE


def test_a_refused_pod_that_was_created_after_all_is_forgotten() -> None:
    def created(seen: Scene) -> None:
        of_kind(seen, "StatefulSet")["status"]["replicas"] = 1

    assert suspicions(changed(scene("quota-of-a-stateful-set"), created)) == ()


# -- patience ----------------------------------------------------------------------------------


def test_a_suspicion_has_to_last() -> None:
    found = only(changed(scene("image-pull"), waiting("ErrImagePull", "i/o timeout")))
    patience = Patience()
    assert patience.due([found], 100.0) == ()
    assert patience.due([found], 100.0 + found.patience - 0.1) == ()
    assert patience.due([found], 100.0 + found.patience) == (found,)


def test_a_suspicion_that_goes_away_begins_anew() -> None:
    found = only(scene("too-big"))
    patience = Patience()
    patience.due([found], 0.0)
    patience.due([], 9.0)
    assert patience.due([found], 11.0) == ()


def test_the_most_telling_of_several_comes_first() -> None:
    crash, pull = only(scene("crash-loop")), only(scene("image-pull"))
    patience = Patience()
    patience.due([crash, pull], 0.0)
    assert [found.cause.kind for found in patience.due([crash, pull], 60.0)] == ["image-pull", "crash-loop"]


# -- probes that kill --------------------------------------------------------------------------


def killed(seen: Scene, *, ready: bool = False, state: Object | None = None, restarts: int = 1) -> Scene:
    """The recorded crash, as it looks where a probe has asked for it."""

    def kill(seen: Scene) -> None:
        pod = of_kind(seen, "Pod")
        pod["status"]["containerStatuses"][0] |= {
            "state": state or {"running": {}},
            "ready": ready,
            "restartCount": restarts,
        }
        about = {"uid": pod["metadata"]["uid"]}
        messages = {
            "Unhealthy": "Startup probe failed: HTTP probe failed with statuscode: 404",
            "Killing": "Container main failed startup probe, will be restarted",
        }
        for number, (reason, message) in enumerate(messages.items()):
            time = f"2026-01-01T00:00:0{number}Z"
            event = {"reason": reason, "message": message, "lastTimestamp": time, "involvedObject": about}
            seen.events.append({**event, "metadata": {"uid": reason}})  # type: ignore[attr-defined]

    return changed(seen, kill)


@pytest.mark.parametrize(
    "state",
    [{"running": {}}, {"terminated": {"exitCode": 0}}, {"waiting": {"reason": "CrashLoopBackOff"}}],
    ids=["it runs again", "it ended well", "it waits to run"],
)
def test_a_container_that_its_probe_kills_is_explained_by_the_probe(state: Object) -> None:
    found = [one for one in suspicions(killed(scene("crash-loop"), state=state)) if one.cause.kind == "crash-loop"]
    assert [one.cause.message for one in found] == [
        "container main is restarted by its startup probe: Startup probe failed: HTTP probe failed with statuscode: 404"
    ]
    assert found[0].patience < VISIBLE


def test_a_container_that_got_ready_after_all_is_left_alone() -> None:
    assert worst(killed(scene("crash-loop"), ready=True)) == math.inf


def test_every_kind_of_cause_has_its_rank() -> None:
    source = Path(diagnose.__file__).read_text(encoding="utf-8")
    kinds = set(re.findall(r'(?:_of_pod|Cause)\(\s*"([a-z-]+)"', source))
    found = [Suspicion(Cause(kind, "Pod a", "", ""), 0.0, kind) for kind in sorted(kinds)]
    assert len(ranked(found)) == len(kinds) > 5


def test_what_does_not_end_is_told_before_who_is_not_ready_for_that() -> None:
    found = [Suspicion(Cause(kind, f"Pod {kind}", "", ""), 0.0, kind) for kind in ("readiness", "unended")]
    assert [one.cause.kind for one in ranked(found)] == ["unended", "readiness"]
