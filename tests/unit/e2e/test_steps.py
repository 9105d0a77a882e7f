"""What a step demands of a release, and of nothing else."""

from __future__ import annotations

import itertools
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.chart.manifests import Document
from scripts.cluster.snapshot import Snapshot
from scripts.core.errors import ClusterError
from scripts.e2e import pods, steps
from scripts.e2e.lab import Published
from scripts.e2e.ledger import UNEXPLAINED, Incident
from scripts.e2e.outside import asked
from scripts.e2e.report import Broken, Unproven
from scripts.e2e.steps import demand_explained, demand_images, demand_same
from scripts.e2e.subject import Question, Subject
from scripts.rollout.rollout import Revision
from tests.unit.e2e.world import Given, Object, World, journal, web


@pytest.mark.parametrize(
    ("value", "images", "right"),
    [
        ("{version}", ["here/web:2", "here/back:2"], True),
        ("{version}", ["here/web:2", "busybox:1.36"], True),  # a sidecar keeps its own version
        ("{images}/back:{version}", ["here/web:2", "here/back:1"], False),
        ("{version}", ["example/web:2", "redis:7"], True),
        ("{version}", ["example/web:1", "redis:7"], False),
        ("1.2{version}-alpine", ["example/web:1.22-alpine", "redis:7"], True),
        ("1.2{version}-alpine", ["example/web:1.21-alpine", "redis:2"], False),
        ("example/web-{version}:latest", ["example/web-2:latest", "redis:7"], True),
        ("example/web-{version}:latest", ["example/web-1:latest", "redis:7"], False),
        ("{version}", [], True),  # jobs alone, which end by themselves
        ("latest", ["example/web:latest"], True),
    ],
)
def test_the_pods_run_the_version_that_was_asked_for(value: str, images: list[str], right: bool) -> None:
    pods = [{"spec": {"containers": [{"image": image} for image in images]}}]
    subject, found = Subject("web", values={"a": [{"tag": value}]}), SimpleNamespace(workloads=())
    lab = SimpleNamespace(images="here", subject=subject, pods=lambda _: pods, found=found)
    if right:
        demand_images(cast("Any", lab), "shop", "2")
    else:
        with pytest.raises(ClusterError, match="a pod runs another image"):
            demand_images(cast("Any", lab), "shop", "2")


def test_the_pods_that_a_partition_keeps_stay_what_they_were() -> None:
    def kept(number: int, image: str, revision: str) -> Object:
        meta = {"name": f"web-{number}", "namespace": "shop", "labels": {"controller-revision-hash": revision}}
        return {"kind": "Pod", "metadata": meta, "spec": {"containers": [{"image": f"here/web:{image}"}]}}

    rolling = {"rollingUpdate": {"partition": 1}}
    owner: Object = {"kind": "StatefulSet", "metadata": {"name": "web", "namespace": "shop", "uid": "w"}}
    owner |= {"spec": {"updateStrategy": rolling}, "status": {"updateRevision": "new"}}
    found = web(workloads=("StatefulSet/web",))
    versioned = Subject("web", values={"tag": "{version}"})
    lab = Given(World(owner, kept(0, "1", "old"), kept(1, "2", "new")), found=found, subject=versioned)
    demand_images(lab, "shop", "2")
    for world in (
        World(owner, kept(0, "1", "old"), kept(1, "1", "new")),
        World(kept(0, "1", "old"), kept(1, "2", "new")),
    ):
        with pytest.raises(ClusterError, match="a pod runs another image"):
            demand_images(Given(world, found=found, subject=versioned), "shop", "2")


@pytest.mark.parametrize("value", ["<nil>", "%!s(int=5)", "%!d(<nil>)"])
def test_notes_that_name_what_has_no_value(value: str) -> None:
    revision = SimpleNamespace(notes=f"web is in shop, {value}")
    lab = SimpleNamespace(subject=SimpleNamespace(notes=True))
    with pytest.raises(ClusterError, match="the notes name what has no value"):
        steps.demand_told(*(cast("Any", part) for part in (lab, None, None, revision, "default", "shop")))


def test_jobs_named_after_the_revision_may_come_and_go() -> None:
    def job(name: str, image: str = "a") -> dict[str, Any]:
        return {"kind": "Job", "metadata": {"name": name}, "spec": {"image": image}}

    first, second = Snapshot({"one": job("run-1")}), Snapshot({"two": job("run-2")})
    assert demand_same(first, second, but="Job")
    with pytest.raises(ClusterError, match="not what they were"):
        demand_same(first, second)
    with pytest.raises(ClusterError, match="not what they were"):
        demand_same(first, Snapshot({"one": job("run-1", "b")}), but="Job")


@pytest.mark.parametrize(
    ("drawn", "reason", "told", "careful"),
    [
        ([], "", "the objects are not what they were", False),
        ([], "it rolls", "the objects are not what they were", False),
        (["Secret web"], "", "installing the same again replaced pods", False),
        (["Deployment web", "Secret web"], "", "rendered anew each time: Deployment web, Secret web", False),
        (["Deployment web", "Secret web"], "it rolls", "", False),
        (["Deployment web"], "it rolls", "the objects are not what they were", False),
        (["Deployment web", "Secret web"], "it rolls", "the objects are not what they were", True),
    ],
)
def test_the_same_again_changes_nothing_but_what_is_rendered_anew(
    monkeypatch: pytest.MonkeyPatch, drawn: list[str], reason: str, told: str, careful: bool
) -> None:
    """A chart may draw a password at each render, and roll its pods where that is said; not one that is careful."""
    numbers = itertools.count()

    def snapshot(*_: Any) -> Snapshot:
        return Snapshot({"s": {"kind": "Secret", "metadata": {"name": "web"}, "data": {"a": str(next(numbers))}}})

    def pods(_: str) -> tuple[dict[str, Any], ...]:
        return ({"metadata": {"name": "web-1", "uid": str(next(numbers))}},)

    monkeypatch.setattr(steps, "taken", snapshot)
    subject = SimpleNamespace(may_replace=reason, careful=careful)
    lab = SimpleNamespace(pods=pods, deadline=1, drawn=lambda *_: drawn, subject=subject)
    release = SimpleNamespace(upgrade=lambda *_, **__: None, namespace="shop")
    skipped: list[str] = []
    words = (cast("Any", lab), SimpleNamespace(skip=skipped.append), release, None, "shop")
    if told:
        with pytest.raises(ClusterError, match=told):
            steps.demand_idempotent(*cast("Any", words))
    else:
        steps.demand_idempotent(*cast("Any", words))
    said = [", ".join(drawn)] * bool(drawn and not careful) + [reason] * bool(reason and not told)
    assert [line.rpartition(": ")[2] for line in skipped] == said


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "Deployment"])
def test_pods_that_wait_to_be_deleted_are_replaced_one_by_one(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    key = "controller-revision-hash" if kind == "StatefulSet" else "pod-template-generation"
    pods = [{"metadata": {"name": f"web-{number}", "labels": {key: number}}} for number in "123"]
    live = {
        "kind": kind,
        "spec": {"updateStrategy": {"type": "OnDelete"}} if kind != "Deployment" else {},
        "status": {"updateRevision": "2"},
        "metadata": {"annotations": {"deprecated.daemonset.template.generation": "2"}},
    }
    deleted: list[str] = []
    monkeypatch.setattr(steps, "delete_pod", lambda *words: deleted.append(words[3]["metadata"]["name"]))
    api = SimpleNamespace(get=lambda *_: live)
    found = SimpleNamespace(workloads=(f"{kind}/web",))
    lab = SimpleNamespace(api=api, found=found, pods=lambda *_: pods, await_ready=lambda *_: None)
    steps.replace_by_hand(cast("Any", lab), lambda _: None, "shop")
    assert deleted == ([] if kind == "Deployment" else ["web-1", "web-3"])


def test_a_stray_loss_without_a_cause_is_measured_again_and_a_ledger_without_causes_is_red() -> None:
    def lost(count: int, *, dark: int = 0) -> Incident:
        causes = {"the pod was told to stop": count - dark, UNEXPLAINED: dark}
        return Incident(0.0, 1.0, count, 0, {"refused": count}, causes, ())

    said: list[str] = []
    demand_explained([lost(60, dark=20), lost(0)], said.append)
    assert len(said) == 1
    with pytest.raises(Unproven, match="lost requests have no cause"):
        demand_explained([lost(60), lost(5, dark=5)], said.append)
    with pytest.raises(Broken, match="lost requests have no cause"):
        demand_explained([lost(5), lost(60, dark=60)], said.append)


# -- on objects that are given ---------------------------------------------------------------------


def workload(kind: str = "Deployment", **spec: Any) -> Object:
    given = {"replicas": 4, **spec}
    return {"kind": kind, "metadata": {"name": "web", "namespace": "shop"}, "spec": given, "status": {}}


def one(name: str, *, ready: bool = True, labels: Any = None, **spec: Any) -> Object:
    meta = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "labels": labels or {"app": "web"}}
    status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
    return {"kind": "Pod", "metadata": meta, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("kind", "spec", "fewest"),
    [
        ("Deployment", {"strategy": {"type": "RollingUpdate"}}, 4),
        ("Deployment", {"strategy": {"rollingUpdate": {"maxUnavailable": 1}}}, 3),
        ("Deployment", {"strategy": {"rollingUpdate": {"maxUnavailable": "25%"}}}, 3),
        ("Deployment", {"strategy": {"rollingUpdate": {"maxUnavailable": "10%"}}}, 4),
        ("Deployment", {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}}}, 3),
        ("Deployment", {"strategy": {"type": "Recreate"}}, 0),
        ("StatefulSet", {"updateStrategy": {"type": "RollingUpdate"}}, 3),
        ("StatefulSet", {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}}}, 2),
        ("StatefulSet", {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "30%"}}}, 3),
    ],
)
def test_the_fewest_pods_that_a_rollout_may_leave(kind: str, spec: dict[str, Any], fewest: int) -> None:
    lab = Given(World(workload(kind, **spec)), found=web())
    assert steps._asked_for(lab, "shop", f"{kind}/web") == fewest
    lab.subject = Subject("web", careful=True)
    assert steps._asked_for(lab, "shop", f"{kind}/web") == 4
    target = {"spec": {"scaleTargetRef": {"kind": kind, "name": "web"}, "minReplicas": 2}, "metadata": {"name": "web"}}
    lab.world.items.append({"kind": "HorizontalPodAutoscaler", **target})
    assert steps._asked_for(lab, "shop", f"{kind}/web") == 2


def test_another_chart_than_the_one_that_was_rolled_out() -> None:
    for name, version in (("web", "1.2.3"), ("web", "v1.2.3"), ("web-2.0.0", "1.2.3")):
        chart = Published(name, version, "sha256:0", "")
        steps.demand_deployed(Revision(2, "deployed", f"{name}-{version}", ""), chart)
        for wrong in (Revision(2, "deployed", "web-1.2.2", ""), Revision(2, "failed", f"{name}-{version}", "")):
            with pytest.raises(Broken, match="another chart is deployed"):
                steps.demand_deployed(wrong, chart)


def guarding(allowed: bool) -> Given:
    class Guarded(World):
        def __init__(self, *items: Object) -> None:
            super().__init__(*items)
            self.evicted: list[str] = []

        def evict(self, pod: str, namespace: str) -> bool:
            self.evicted.append(pod)
            return allowed or len(self.evicted) == 1

        def drain(self, node: str, **more: Any) -> float:
            assert more["cordon"] is True
            self.done.append(f"drain {node}")
            return 3.0

    budget = {"kind": "PodDisruptionBudget", "metadata": {"name": "web", "namespace": "shop"}}
    node = {"kind": "Node", "metadata": {"name": "one"}, "spec": {}}
    world = Guarded(
        one("web-1", nodeName="one"),
        one("web-2", nodeName="two"),
        {**budget, "spec": {"selector": {"matchLabels": {"app": "web"}}}},
        node,
    )
    return Given(world, found=web())


def test_a_drain_respects_the_budget_and_opens_the_node_again() -> None:
    lab, told = guarding(False), journal()
    assert (steps.budget_of(lab, "shop", "Deployment/web") or {})["metadata"]["name"] == "web"
    assert steps.budget_of(lab, "shop", "Deployment/other") is None
    with told.step("drain"):
        steps.drain_node(lab, told, "shop", "Deployment/web")
    assert [line.partition(" {")[0] for line in lab.world.done] == ["patch Node one", "drain one", "patch Node one"]
    assert told.steps[0].detail == "one: a second eviction was refused; then {}, drained in 3 s"
    lab = guarding(True)
    with pytest.raises(ClusterError, match="the budget allowed a second eviction"):
        steps.drain_node(lab, journal(), "shop", "Deployment/web")
    assert lab.world.done[-1].startswith("patch Node one")


def test_a_deleted_pod_is_waited_for_until_another_is_ready_in_its_place() -> None:
    lab = Given(World(one("web-1"), one("web-2")), found=web())
    delete = lab.world.delete

    def replaced(kind: str, name: str, namespace: str | None = None, **more: Any) -> None:
        lab.world.items.append(one("web-3"))
        delete(kind, name, namespace, **more)

    lab.world.delete = replaced  # type: ignore[method-assign]
    steps.delete_pod(lab, "shop", "Deployment/web")
    assert [pod["metadata"]["name"] for pod in lab.pods("shop")] == ["web-2", "web-3"]
    lab.deadline = 0
    lab.world.delete = delete  # type: ignore[method-assign]
    with pytest.raises(ClusterError, match="another pod in place of web-2"):
        steps.delete_pod(lab, "shop", "Deployment/web")
    with pytest.raises(Broken, match="Deployment/none has no pod to delete"):
        steps.delete_pod(lab, "shop", "Deployment/none")


def test_a_workload_is_scaled_and_says_what_it_was() -> None:
    lab = Given(World(workload()), found=web())
    assert steps.scale(lab, "shop", "Deployment/web", 1) == 4
    assert steps.workload_of(lab, "Deployment/web", "shop")["spec"]["replicas"] == 1
    with pytest.raises(ClusterError, match="there is no Deployment gone in shop"):
        steps.object_of(lab, "Deployment", "gone", "shop")


def labelled(space: str, zone: str) -> Object:
    labels = {"topology.kubernetes.io/zone": zone}
    return {"kind": "Node", "metadata": {"name": space, "labels": labels}, "spec": {}}


def on_c(item: Object) -> Object:
    """A pod that has found room."""
    return {**item, "spec": {**item["spec"], "nodeName": "node-c"}}


def test_pods_are_in_as_many_zones_as_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "spread_is_asked_for", lambda _: None)
    nodes = [labelled(f"node-{zone}", zone) for zone in "abc"]
    told = journal()
    with told.step("spread"):
        spread = World(*nodes, one("web-1", nodeName="node-a"), one("web-2", nodeName="node-c"), one("web-3"))
        steps.demand_spread(Given(spread, found=web()), told, "shop")
    assert told.steps[0].detail == "Deployment/web in a, c"
    crowded = World(*nodes, one("web-1", nodeName="node-a"), one("web-2", nodeName="node-a"), become=on_c)
    monkeypatch.setattr(steps, "delete_pod", lambda lab, *_: lab.world.done.append("placed anew"))
    with pytest.raises(Broken, match="Deployment/web is not spread"):
        steps.demand_spread(Given(crowded, found=web()), journal(), "shop")
    assert [what for what in crowded.done if "room" not in what] == ["placed anew"] * 2
    with pytest.raises(Broken, match="has not three zones"):
        steps.demand_spread(Given(World(*nodes[:2], one("web-1", nodeName="node-a")), found=web()), journal(), "shop")


def test_a_pod_is_placed_anew_where_its_zone_was_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "spread_is_asked_for", lambda _: None)
    monkeypatch.setattr(steps, "_ENDING_DEADLINE", 0.1)
    nodes = [labelled(f"node-{zone}", zone) for zone in "abc"]
    asked: Any = {"affinity": {"podAntiAffinity": {}}, "topologySpreadConstraints": [{}]}
    terms: Any = {**asked, "nodeSelector": {"disk": "fast"}}
    three = [one(f"web-{number}", nodeName=f"node-{zone}", **terms) for number, zone in enumerate("aab", start=1)]
    made: list[Object] = []

    def full(item: Object) -> Object:
        made.append(item["spec"])
        return item

    world, told = World(*nodes, *three, become=full), journal()
    with told.step("spread"):
        steps.demand_spread(Given(world, found=web()), told, "shop")
    assert told.skipped == ["that Deployment/web is in 3 zones: there is no room in others than a, a, b"]
    assert world.done == ["create Pod gati-e2e-room", "delete Pod gati-e2e-room"]
    assert made[0]["nodeSelector"] == {"disk": "fast"}
    assert made[0].keys() == {"affinity", "nodeSelector"}
    (term,) = made[0]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["c"]

    def placed(lab: Given, namespace: str, _: str, pod: Object) -> None:
        lab.world.delete("Pod", pod["metadata"]["name"], namespace)
        lab.world.create(one("web-4"), namespace)

    monkeypatch.setattr(steps, "delete_pod", placed)
    world, told = World(*nodes, *three, become=on_c), journal()
    with told.step("spread"):
        steps.demand_spread(Given(world, found=web()), told, "shop")
    assert told.steps[0].detail == "Deployment/web in a, b, c"
    assert world.done[2:] == ["delete Pod web-1", "create Pod web-4"]


def test_what_an_uninstall_leaves_on_purpose() -> None:
    hooks = [Document({"kind": "Job", "metadata": {"name": "seed", "annotations": {"helm.sh/hook": "post-install"}}})]
    lab = Given(World(), found=web(claims=("StatefulSet/db",)), subject=Subject("web", left=("Secret/made-*",)))
    kept = {"ConfigMap/keep"}
    for name in ("Secret/made-1", "ConfigMap/keep", "Job/seed", "PersistentVolumeClaim/data-db-0"):
        assert steps.is_kept(lab, name, kept, hooks)
    assert not steps.is_kept(lab, "Secret/other", kept, hooks)
    assert not steps.is_kept(Given(World(), found=web()), "PersistentVolumeClaim/data-db-0", (), ())
    assert steps.is_native({"kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}})
    defined = Given(World(), found=web(definitions=("widgets.own.example",)))
    assert steps.is_definition(defined, (), "CustomResourceDefinition widgets.own.example is new")
    assert not steps.is_definition(defined, (), "ClusterRole web is new")


def test_tests_that_passed_leave_nothing() -> None:
    hook = {"metadata": {"name": "ask", "annotations": {"helm.sh/hook": "test"}, "labels": {}}, "kind": "Pod"}
    steps.demand_tests_gone(Given(World(), hook, found=web()), "shop")
    with pytest.raises(Broken, match="what tested stays after it passed"):
        steps.demand_tests_gone(Given(World(one("ask")), hook, found=web()), "shop")


def test_plain_http_is_sent_to_https_at_the_same_path(monkeypatch: pytest.MonkeyPatch) -> None:
    class Redirecting(BaseHTTPRequestHandler):
        led = "https://127.0.0.1/shop"

        def do_GET(self) -> None:
            self.send_response(301)
            self.send_header("Location", self.led)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    service = {"kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": {"ports": [{"port": 443}]}}
    question = Question("web", path="/shop")
    lab = Given(World(service), found=web(question=question))
    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        place = f"127.0.0.1:{server.server_port}"
        lab.offer = lambda *_, **__: (None, [place])  # type: ignore[method-assign, assignment]
        assert steps.demand_redirected(lab, "shop") == "to https://127.0.0.1/shop"
        assert asked("http://127.0.0.1:1/") == (0, "", {})
        waited = lab.api.wait
        monkeypatch.setattr(lab.api, "wait", lambda probe, **more: waited(probe, **{**more, "deadline": 0}))
        for wrong in ("https://127.0.0.1/elsewhere", "http://127.0.0.1/shop", "https://127.0.0.1:8443/shop"):
            Redirecting.led = wrong
            with pytest.raises(ClusterError, match="to be sent to /shop at an HTTPS port of web"):
                steps.demand_redirected(lab, "shop")
        server.shutdown()
