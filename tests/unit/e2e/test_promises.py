"""What must be true of a release: read out of objects as a cluster has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.chart.manifests import Document, Manifests
from scripts.cluster.api import Api
from scripts.core.command import Runner
from scripts.core.errors import ApiError, ClusterError, ConfigError
from scripts.e2e import metrics, pods, promises
from scripts.e2e.discover import NOTHING
from scripts.e2e.lab import Lab, Published, Tools
from scripts.e2e.subject import Subject

LABELS = {"app": "web"}
PORT = {"name": "web", "port": {"number": 80}}


def pod(name: str = "web-1", **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "ports": [{"name": "http", "containerPort": 8080}], **spec.pop("container", {})}
    meta = {"name": name, "namespace": "space", "uid": name, "labels": LABELS, "ownerReferences": [{"name": "web-abc"}]}
    return {"metadata": meta, "spec": {"serviceAccountName": "web", "containers": [container], **spec}, "status": {}}


def service(**spec: Any) -> dict[str, Any]:
    given = {"selector": LABELS, "ports": [{"name": "http", "port": 80, "targetPort": 8080}], **spec}
    return {"kind": "Service", "metadata": {"name": "web", "labels": LABELS}, "spec": given}


def workload(kind: str = "Deployment", name: str = "web", **spec: Any) -> dict[str, Any]:
    template: dict[str, Any] = {"template": {"spec": {"containers": [], **spec}}}
    given = {"jobTemplate": {"spec": template}} if kind == "CronJob" else template
    return {"kind": kind, "metadata": {"name": name}, "spec": given}


def of(kind: str, **data: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "web"}, **data}


SUBJECT = Subject("gati", monitored=True)


class Cluster(Lab):
    """A lab whose objects are given."""

    def __init__(self, *documents: dict[str, Any], pods: list[dict[str, Any]], **objects: Any) -> None:
        tools = Tools(*(Path(name) for name in ("helm", "kubectl", "k6")))
        chart = Published("web", "1.0.0", "sha256:0", "")
        super().__init__(cast(Api, Objects(objects)), Runner(), tools, Path(), chart, (), "web", True, SUBJECT, NOTHING)
        self._documents, self._pods = documents, pods

    def manifest(self, namespace: str, *, hooks: bool = False) -> Manifests:
        return Manifests(tuple(one for one in map(Document, self._documents) if bool(one.hook) == hooks))

    def pods(self, namespace: str, workload: str = "") -> tuple[dict[str, Any], ...]:
        return tuple(self._pods)


class Objects:
    """An API of objects by kind; what pods answer is in `answers`."""

    def __init__(self, objects: dict[str, Any]) -> None:
        self.answers = objects.pop("answers", {})
        self.listens = objects.pop("listens", [8080])
        self.allowed = objects.pop("allowed", True)
        self._objects = objects

    def list(self, kind: str, *_: Any, **__: Any) -> tuple[dict[str, Any], ...]:
        return tuple(self._objects.get(kind, ()))

    def get(self, kind: str, name: str, namespace: str = "space", *_: Any) -> dict[str, Any] | None:
        if namespace == "elsewhere":
            return None
        return next((item for item in self.list(kind) if item["metadata"]["name"] == name), None)

    observe, wait = Api.observe, Api.wait

    def kinds(self) -> tuple[()]:
        return ()

    def current(self, *_: Any) -> None:
        return None

    def ask_pod(self, pod: str, _: str, *, port: Any, path: str, scheme: str) -> str:
        if port not in self.listens:
            text = "error trying to reach service: dial tcp 10.1.0.1: connect: connection refused"
            raise ApiError("refused", status=502, reason="BadGateway", text=text)
        answer = self.answers.get(f"{scheme}:{port}{path}", "<html>no metrics</html>")
        if isinstance(answer, int):
            raise ApiError("refused", status=answer, reason="", text=f"status {answer}")
        return str(answer)

    def may(self, *_: Any) -> bool:
        return bool(self.allowed)


def refused(promise: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(ClusterError) as refusal:
        promise(*arguments, **options)
    return str(refusal.value)


# -- selectors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("careful", "listens", "protocol", "wrong"),
    [(True, [8080], "TCP", False), (True, [], "TCP", True), (True, [], "UDP", False), (False, [], "TCP", False)],
)
def test_a_port_that_a_pod_names_is_open(careful: bool, listens: list[int], protocol: str, wrong: bool) -> None:
    told = service(ports=[{"name": "http", "port": 80, "targetPort": "http", "protocol": protocol}])
    lab = Cluster(told, pods=[pod()], listens=listens)
    lab.subject = replace(lab.subject, careful=careful)
    if wrong:
        what = "Service web leads to port http, which pod web-1 names and does not open"
        assert what in refused(promises.selected, lab, "space", "space")
    else:
        assert promises.selected(lab, "space", "space") == "1 Services and policies"


@pytest.mark.parametrize("target", [8080, "http"])
def test_a_service_that_leads_to_an_open_port(target: Any) -> None:
    lab = Cluster(service(ports=[{"port": 80, "targetPort": target}]), pods=[pod()])
    assert promises.selected(lab, "space", "space") == "1 Services and policies"


def test_a_service_may_lead_to_a_port_that_pods_open_and_do_not_tell() -> None:
    lab = Cluster(service(ports=[{"port": 80, "targetPort": 9000}]), pods=[pod()], listens=[9000])
    assert promises.selected(lab, "space", "space") == "1 Services and policies"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"selector": {"app": "other"}}, "Service web selects no pod: {'app': 'other'}"),
        ({"ports": [{"port": 80, "targetPort": 8081}]}, "Service web leads to port 8081, which its pods do not open"),
        ({"ports": [{"port": 80, "targetPort": "https"}]}, "Service web leads to port https"),
        ({"ports": [{"port": 80}]}, "Service web leads to port 80"),
    ],
)
def test_a_service_that_leads_nowhere(changed: dict[str, Any], told: str) -> None:
    assert told in refused(promises.selected, Cluster(service(**changed), pods=[pod()]), "space", "space")


@pytest.mark.parametrize("selector", [LABELS, None])
def test_places_beside_those_that_a_selector_finds(selector: dict[str, str] | None) -> None:
    meta = {"name": "stray", "labels": {"kubernetes.io/service-name": "web"}}
    lab = Cluster(service(selector=selector), {"kind": "EndpointSlice", "metadata": meta}, pods=[pod()])
    if selector:
        assert "EndpointSlice stray adds places to Service web" in refused(promises.selected, lab, "space", "space")
    else:
        promises.selected(lab, "space", "space")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"ports": [{"port": 53, "protocol": "UDP"}]}, "port 53"),
        ({"ports": [{"port": 9, "targetPort": "peer"}], "clusterIP": "None"}, "port peer"),
    ],
    ids=["UDP", "headless"],
)
def test_a_port_of_which_it_cannot_be_seen_whether_it_leads_nowhere(changed: dict[str, Any], named: str) -> None:
    lab = Cluster(service(**changed), pods=[pod()], listens=[])
    assert promises.selected(lab, "space", "space") == "1 Services and policies"
    lab.subject = Subject("gati", careful=True)  # whose pods tell every port
    assert f"Service web leads to {named}" in refused(promises.selected, lab, "space", "space")


@pytest.mark.parametrize(
    ("careful", "peers", "told"), [(False, "", False), (True, "", True), (True, "other", True), (True, "web", False)]
)
def test_a_careful_chart_balances_over_none_but_ready_pods(careful: bool, peers: str, told: bool) -> None:
    """Through a headless Service neither, but where the pods of a StatefulSet find each other by it."""
    spec: dict[str, Any] = {"publishNotReadyAddresses": True, **({"clusterIP": "None"} if peers else {})}
    lab = Cluster(service(**spec), of("StatefulSet", spec={"serviceName": peers, "template": pod()}), pods=[pod()])
    lab.subject = Subject("gati", careful=careful)
    if told:
        assert "Service web sends requests to pods" in refused(promises.selected, lab, "space", "space")
    else:
        promises.selected(lab, "space", "space")


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("Service web", ""),
        ("Service web spec.clusterIP=None", "Service web has spec.clusterIP 10.0.0.1, not None"),
        ("Service web spec.type=NodePort", "Service web has spec.type unset, not NodePort"),
        ("Service web spec.externalIPs=", ""),
        ("Service web spec.clusterIP=", "Service web has spec.clusterIP 10.0.0.1, not unset"),
        ("Service web spec.healthCheckNodePort=0", ""),
        ("Service web spec.publishNotReadyAddresses=False", ""),
        ("Service web spec.ports.0.name=http", ""),
        ("Service web spec.ports.0.port=81", "Service web has spec.ports.0.port 80, not 81"),
        ("Service web spec.ports.1.port=81", "Service web has spec.ports.1.port unset, not 81"),
        ("Service other spec.clusterIP=None", "Service other is not rendered"),
    ],
)
def test_what_a_values_set_must_render(wanted: str, told: str) -> None:
    given = {"healthCheckNodePort": 0, "publishNotReadyAddresses": False, "externalIPs": []}
    lab = Cluster(service(clusterIP="10.0.0.1", **given), pods=[pod()])
    lab.subject = Subject("gati", objects={"all": [wanted]})
    text = refused(promises.whole, lab, "space", "space", values="prod")
    assert (told or "Service web is not there") in text
    assert ("spec." in text) == ("has spec." in told)


def test_a_policy_for_a_port_that_nobody_opens() -> None:
    rule = {"from": [{"podSelector": {"matchLabels": LABELS}}], "ports": [{"port": 9}]}
    policy = {"kind": "NetworkPolicy", "metadata": {"name": "web"}, "spec": {"podSelector": {}, "ingress": [rule]}}
    lab = Cluster(policy, pods=[pod()])
    assert promises.selected(lab, "space", "space") == "1 Services and policies"
    lab.subject = Subject("gati", careful=True)
    assert "NetworkPolicy web leads to port 9" in refused(promises.selected, lab, "space", "space")


INSTANCE, PART = "app.kubernetes.io/instance", "app.kubernetes.io/component"


@pytest.mark.parametrize(
    ("left", "told"),
    [
        ((), ""),
        ((INSTANCE,), "Deployment web selects the pods of other releases of the chart, too"),
        ((PART,), "Deployment web selects the pods of Deployment store"),
    ],
)
def test_a_selector_that_reaches_too_far(left: tuple[str, ...], told: str) -> None:
    def workload(name: str, *left: str) -> dict[str, Any]:
        labels = {INSTANCE: "gati", PART: name}
        wanted = {key: value for key, value in labels.items() if key not in left}
        spec = {"selector": {"matchLabels": wanted}, "template": {"metadata": {"labels": labels}}}
        return {"kind": "Deployment", "metadata": {"name": name}, "spec": spec}

    lab = Cluster(workload("web", *left), workload("store"), pods=[])
    assert promises.selected(lab, "space", "space")  # many charts do it, and get along
    lab.subject = Subject("gati", careful=True)
    if told:
        assert told in refused(promises.selected, lab, "space", "space")
    else:
        promises.selected(lab, "space", "space")


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PodMonitor"])
def test_a_monitor_selects_what_is_of_its_release_alone(kind: str) -> None:
    """Of another one in the same namespace it would take the metrics, too."""
    labels, made = {**LABELS, INSTANCE: "gati"}, pod()
    made["metadata"]["labels"] = labels
    asked = {**service(), "metadata": {"name": "web", "labels": labels}}
    for wanted, told in ((labels, ""), (LABELS, f"{kind} web selects the {'Services' if 'Se' in kind else 'pods'} of")):
        chosen = of(kind, spec={"selector": {"matchLabels": wanted}})
        own = of("Deployment", spec={"selector": {"matchLabels": labels}, "template": made})
        lab = Cluster({**asked, "spec": {**asked["spec"], "selector": labels}}, own, chosen, pods=[made])
        lab.subject = Subject("gati", careful=True)
        if told:
            assert f"{told} other releases of the chart, too" in refused(promises.selected, lab, "space", "space")
        else:
            promises.selected(lab, "space", "space")


def test_the_pod_of_a_test_that_a_service_selects_too_is_named() -> None:
    """By a number requests are sent to it while it runs."""
    test = {"kind": "Pod", "metadata": {"name": "web-test", "labels": LABELS, "annotations": {"helm.sh/hook": "test"}}}
    given = service(ports=[{"port": 80, "targetPort": 8080}])
    lab = Cluster(given, {**test, "spec": {"containers": [{"name": "test"}]}}, pods=[pod()])
    lab.api.listens = []  # type: ignore[attr-defined]
    told = refused(promises.selected, lab, "space", "space")
    assert "Service web leads to port 8080, which its pods do not open: web-test names none" in told


def test_of_a_named_port_only_pods_that_name_it_are_sent_requests() -> None:
    """The tests that `helm create` writes bear the labels that its Service selects."""
    test = pod("web-test", container={"ports": []})
    lab = Cluster(service(ports=[{"port": 80, "targetPort": "http"}]), pods=[pod(), test])
    assert promises.selected(lab, "a", "a")
    lab.subject = Subject("gati", careful=True)  # who promises to be careful selects those pods alone
    assert "Service web leads to port http" in refused(promises.selected, lab, "a", "a")
    numbered = Cluster(service(), pods=[pod(), test], listens=[])
    assert "Service web leads to port 8080, which its pods do not open" in refused(
        promises.selected, numbered, "a", "a"
    )


def test_a_service_and_a_budget_of_a_workload_without_replicas_wait_for_pods() -> None:
    asleep = {"metadata": {"name": "web"}, "spec": {"replicas": 0, "template": {"metadata": {"labels": LABELS}}}}
    unused = budget(expectedPods=0, currentHealthy=0, disruptionsAllowed=0)
    lab = Cluster(service(), pods=[], Deployment=[asleep], PodDisruptionBudget=[unused])
    lab.found = replace(NOTHING, workloads=("Deployment/web",))
    assert promises.selected(lab, "space", "space") == "1 Services and policies"
    assert promises.budgets_work(lab, "space") == "no budget"
    asleep["spec"]["replicas"] = 1  # type: ignore[index]
    assert "Service web selects no pod" in refused(promises.selected, lab, "space", "space")
    assert "PDB web guards no pod" in refused(promises.budgets_work, lab, "space")


def test_what_jobs_and_other_namespaces_run_is_selected_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pods of a CronJob come and go; a Service for the cluster's own pods lies where these are."""
    nightly = workload("CronJob", "nightly")
    nightly["spec"]["jobTemplate"]["spec"]["template"]["metadata"] = {"labels": {"app": "nightly"}}
    policy = {"kind": "NetworkPolicy", "metadata": {"name": "nightly"}}
    policy["spec"] = {"podSelector": {"matchLabels": {"app": "nightly"}}}
    names = service(selector={"k8s-app": "kube-dns"}, clusterIP="None")
    names["metadata"] = {"name": "names", "namespace": "kube-system"}
    dns = pod("dns")
    dns["metadata"]["labels"] = {"k8s-app": "kube-dns"}
    lab = Cluster(nightly, policy, names, pods=[])
    monkeypatch.setattr(lab, "pods", lambda namespace: [dns] if namespace == "kube-system" else [])
    assert promises.selected(lab, "space", "space") == "2 Services and policies"
    policy["spec"] = {"podSelector": {"matchLabels": {"app": "another"}}}
    assert "NetworkPolicy nightly selects no pod" in refused(promises.selected, lab, "space", "space")


def bare(name: str = "tool") -> dict[str, Any]:
    """A pod as a chart may write it: without labels, controller and ports."""
    return {"metadata": {"name": name, "uid": name}, "spec": {"containers": [{"name": "main"}]}, "status": {}}


def test_what_an_object_may_leave_out_is_no_fault() -> None:
    elsewhere = {"kind": "Service", "metadata": {"name": "db"}, "spec": {"type": "ExternalName", "externalName": "db"}}
    headless = service(clusterIP="None")
    del headless["spec"]["ports"]
    paths = [{"backend": {"resource": {"kind": "Bucket", "name": "b"}}}, {"backend": {"service": PORT}}]
    front = {"kind": "Ingress", "metadata": {"name": "front"}, "spec": {"rules": [{"http": {"paths": paths}}, {}]}}
    closed = {"kind": "NetworkPolicy", "metadata": {"name": "closed"}, "spec": {"podSelector": None, "ingress": None}}
    lab = Cluster(elsewhere, headless, service(), front, closed, pods=[pod(), bare()])
    assert promises.selected(lab, "space", "space") == "4 Services and policies"


def test_clients_that_a_policy_lets_in_may_come_later() -> None:
    """As charts do with a label that they tell their users; who promises to be careful names its own peers."""
    rule = {"from": [{"podSelector": {"matchLabels": {"web-client": "true"}}}], "ports": [{"port": 8080}]}
    policy = {"kind": "NetworkPolicy", "metadata": {"name": "web"}, "spec": {"podSelector": {}, "ingress": [rule]}}
    lab = Cluster(policy, pods=[pod()])
    assert promises.selected(lab, "space", "space") == "1 Services and policies"
    lab.subject = Subject("gati", careful=True)
    assert "peer selects no pod: {'web-client': 'true'}" in refused(promises.selected, lab, "space", "space")


@pytest.mark.parametrize(
    ("ref", "wrong"),
    [
        ({"name": "web", "port": 80, "group": "", "kind": "Service"}, ""),
        ({"name": "web", "port": 81}, "HTTPRoute way leads to port {'number': 81} of Service web"),
        ({"name": "front", "port": 80}, "HTTPRoute way leads to port {'number': 80} of Service front"),
        ({"name": "front", "port": 80, "namespace": "other"}, ""),
        ({"name": "bucket", "group": "example.com", "kind": "Bucket"}, ""),
        ({"name": "web", "port": 80, "weight": 0}, "HTTPRoute way sends nobody to its Services"),
    ],
)
def test_a_route_leads_to_a_service_of_the_release(ref: dict[str, Any], wrong: str) -> None:
    route = {"kind": "HTTPRoute", "metadata": {"name": "way"}, "spec": {"rules": [{"backendRefs": [ref]}]}}
    lab = Cluster(service(), route, pods=[pod()])
    if wrong:
        assert wrong in refused(promises.selected, lab, "space", "space")
    else:
        promises.selected(lab, "space", "space")


# -- notes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notes", "wrong"),
    [
        ("http://web.space.svc:80\nkubectl -n space port-forward svc/web 8080:80", ""),
        ("kubectl --namespace=elsewhere port-forward service/other 8080:81 and db.elsewhere.svc:5432", ""),
        ("kubectl port-forward svc/$NAME 8080:80", ""),
        ("https://kubernetes.io/docs/tutorials/services/source-ip/ and https://example.com/service/door", ""),
        ("http://web.space.svc.cluster.local:81/", "port 81 of Service web"),
        ("kubectl --namespace space port-forward service/web :8080", "port 8080 of Service web"),
        ("kubectl port-forward svc/front 8080:80", "Service front, which is not there"),
        ("kubectl -n elsewhere port-forward svc/web 8080:80", "Service web in another namespace"),
    ],
)
def test_the_notes_name_what_is_there(notes: str, wrong: str) -> None:
    lab = Cluster(pods=[], Service=[service()])
    if wrong:
        assert wrong in refused(promises.told, lab, notes, "space", "space")
    else:
        assert "named" in promises.told(lab, notes, "space", "space")


# -- containers ------------------------------------------------------------------------------------


def event(reason: str, message: str, at: int, type_: str = "Warning") -> dict[str, Any]:
    about = {"uid": "web-1"}
    time = f"2026-01-01T00:00:{at:02}Z"
    return {"type": type_, "reason": reason, "message": message, "lastTimestamp": time, "involvedObject": about}


def test_a_restart_is_told_with_the_probe_that_asked_for_it() -> None:
    restarted = pod()
    ended = {"terminated": {"exitCode": 137}}
    restarted["status"] = {"containerStatuses": [{"name": "main", "restartCount": 2, "lastState": ended}]}
    events = [
        event("Killing", "Container main failed liveness probe, will be restarted", 2, "Normal"),
        event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404", 1),
        event("Unhealthy", "Readiness probe failed: nothing", 3),
    ]
    assert pods.restarts([restarted], events) == [
        "container main of pod web-1 was restarted 2 times, exit code 137: it is restarted by its liveness probe: "
        "Liveness probe failed: HTTP probe failed with statuscode: 404"
    ]
    assert pods.restarts([pod()], events) == []
    assert len(pods.restarts([restarted], events, careful=True)) == 1


@pytest.mark.parametrize(
    ("said", "denied"),
    [
        ("error: health rpc failed: rpc error: code = NotFound desc = unknown service", True),
        ("HTTP probe failed with statuscode: 404", True),
        ("the disk is full", True),
        (
            'Get "http://10.0.0.1:80/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
            False,
        ),
        ("dial tcp 10.0.0.1:80: connect: connection refused", False),
        ("timeout: health rpc did not complete within 1s", False),
    ],
)
def test_a_liveness_that_is_denied_ends_in_a_restart_however_late(said: str, denied: bool) -> None:
    events = [event("Unhealthy", f"Liveness probe failed: {said}", 1)]
    told = f"pod None: Unhealthy: Liveness probe failed: {said}"
    assert pods.restarts([pod()], events, careful=True) == [told] * denied
    assert pods.restarts([pod()], events) == []


def test_a_pod_of_its_own_starts_again_with_another_image() -> None:
    """An upgrade changes it in place; the kubelet does the rest."""
    changed = pod()
    changed["status"] = {"containerStatuses": [{"name": "main", "restartCount": 1}]}
    events = [event("Killing", "Container main definition changed, will be restarted", 2, "Normal")]
    assert pods.restarts([changed], events) == []


@pytest.mark.parametrize(
    ("ended", "count", "blamed"),
    [
        ({"reason": "StartError", "message": "runc create failed: unable to freeze"}, 1, False),
        ({"reason": "StartError", "message": "runc create failed: unable to freeze"}, 2, True),
        ({"reason": "StartError", "message": 'exec: "/made/late": no such file or directory'}, 1, True),
        ({"reason": "Error", "message": ""}, 1, True),
    ],
    ids=["node", "twice", "file", "crash"],
)
def test_a_container_that_a_busy_node_began_late_was_not_restarted(
    ended: dict[str, Any], count: int, blamed: bool
) -> None:
    last = {"terminated": {"exitCode": 128, **ended}}
    status = {"name": "main", "restartCount": count, "lastState": last, "state": {"running": {}}}
    seen = pod()
    seen["status"]["containerStatuses"] = [status]
    assert bool(pods.restarts([seen], [])) == blamed
    status["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
    assert pods.restarts([seen], [])


# -- scalers and budgets ---------------------------------------------------------------------------


def scaler(
    *, able: str = "True", target: str = "web", measure: str = "Utilization", of: str = "", by: str = ""
) -> dict[str, Any]:
    """One that measures processors, of all containers or `of` one, or what an adapter tells `by` another type."""
    share = {"name": "cpu", "target": {"type": measure}}
    metrics: list[Any] = [{"type": "Resource", "resource": share}]
    if of:
        metrics = [{"type": "ContainerResource", "containerResource": {**share, "container": of}}]
    metrics = [{"type": by}] if by else metrics
    conditions = [{"type": "AbleToScale", "status": able, "reason": "FailedGetScale", "message": "not found"}]
    return {
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": target}, "metrics": metrics},
        "status": {"conditions": conditions},
    }


def deployment(given: dict[str, str], what: str = "requests") -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"name": "main", "resources": {what: given}}]}}}
    return {"metadata": {"name": "web"}, "spec": spec}


@pytest.mark.parametrize(
    ("hpa", "requests", "told"),
    [
        (scaler(target="nobody"), {"cpu": "1"}, "HPA web scales nothing"),
        (scaler(), {"memory": "1Mi"}, "HPA web cannot measure container main"),
        (scaler(able="False"), {"cpu": "1"}, "HPA web is not able to scale"),
        (scaler(of="aside"), {"cpu": "1"}, "HPA web measures container aside, which is not there"),
        (scaler(of="main"), {"memory": "1Mi"}, "HPA web cannot measure container main"),
    ],
)
def test_a_scaler_that_does_not_scale(hpa: dict[str, Any], requests: dict[str, str], told: str) -> None:
    lab = Cluster(pods=[], HorizontalPodAutoscaler=[hpa], Deployment=[deployment(requests)])
    assert told in refused(promises.scalers_work, lab, "space")


@pytest.mark.parametrize(
    ("hpa", "target"),
    [
        (scaler(), deployment({"cpu": "1"})),
        (scaler(), deployment({"cpu": "1"}, "limits")),
        (scaler(measure="AverageValue"), deployment({})),
        (scaler(of="main"), deployment({"cpu": "1"})),
    ],
    ids=["by requests", "by limits, which are requests then", "by a value", "of one container"],
)
def test_a_scaler_that_does(hpa: dict[str, Any], target: dict[str, Any]) -> None:
    lab = Cluster(pods=[], HorizontalPodAutoscaler=[hpa], Deployment=[target])
    assert promises.scalers_work(lab, "space") == "HPA web (the cluster has no metrics.k8s.io)"


@pytest.mark.parametrize(
    ("by", "group"),
    [
        ("Resource", "metrics.k8s.io"),
        ("Pods", "custom.metrics.k8s.io"),
        ("Object", "custom.metrics.k8s.io"),
        ("External", "external.metrics.k8s.io"),
    ],
)
def test_a_scaler_is_not_judged_by_what_the_cluster_does_not_measure(by: str, group: str) -> None:
    hpa = scaler(by=by)
    hpa["status"]["conditions"].append({"type": "ScalingActive", "status": "False"})
    lab = Cluster(pods=[], HorizontalPodAutoscaler=[hpa], Deployment=[deployment({"cpu": "1"})])
    known = [
        SimpleNamespace(group=name) for name in ("metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io")
    ]
    cast("Any", lab.api).kinds = lambda: [one for one in known if one.group != group]
    assert promises.scalers_work(lab, "space") == f"HPA web (the cluster has no {group})"
    cast("Any", lab.api).kinds = lambda: known
    assert "HPA web does not scale" in refused(promises.scalers_work, lab, "space")


def test_a_scaler_of_a_custom_resource_may_have_no_template_to_read() -> None:
    rollout = {"metadata": {"name": "web"}, "spec": {"workloadRef": {"name": "web"}}}
    lab = Cluster(pods=[], HorizontalPodAutoscaler=[scaler()], Deployment=[rollout])
    assert promises.scalers_work(lab, "space") == "HPA web (the cluster has no metrics.k8s.io)"


def owned(kind: str, spec: dict[str, Any], scaled: str = "web", scalers: Sequence[str] = ("web",)) -> Cluster:
    """A workload `web`, and scalers of `scaled`."""
    target = {"scaleTargetRef": {"kind": kind, "name": scaled}}
    made = [{"kind": "HorizontalPodAutoscaler", "metadata": {"name": name}, "spec": target} for name in scalers]
    return Cluster({"kind": kind, "metadata": {"name": "web"}, "spec": spec}, *made, pods=[])


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "Rollout"])
def test_replicas_have_one_owner(kind: str) -> None:
    assert promises.unscaled(owned(kind, {}), "space") == "web"
    assert f"{kind} web sets replicas beside its scaler" in refused(promises.unscaled, owned(kind, {"replicas": 2}), "")
    nobody = refused(promises.unscaled, owned(kind, {"replicas": 2}, scaled="nobody"), "space")
    assert nobody.startswith("a scaler scales nothing")
    assert f"{kind} nobody" in nobody
    two = refused(promises.unscaled, owned(kind, {}, scalers=("web", "more")), "space")
    assert two.startswith(f"two scalers set the replicas of {kind} web")


def test_a_careful_chart_says_its_replicas_or_has_them_scaled() -> None:
    alone = Cluster({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {}}, pods=[])
    assert promises.unscaled(alone, "space") == "no scaler"
    alone.subject = replace(alone.subject, careful=True)
    assert "nobody owns the replicas of Deployment web" in refused(promises.unscaled, alone, "space")


def budget(**status: Any) -> dict[str, Any]:
    well = {"type": "DisruptionAllowed", "status": "True"}
    seen = {"observedGeneration": 1, "expectedPods": 2, "currentHealthy": 2, "disruptionsAllowed": 1, **status}
    return {
        "metadata": {"name": "web", "generation": 1},
        "spec": {"selector": {"matchLabels": LABELS}, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
        "status": {"conditions": [well], **seen},
    }


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"disruptionsAllowed": 0}, "PDB web blocks every drain"),
        ({"expectedPods": 0, "currentHealthy": 0}, "PDB web guards "),
        ({"conditions": []}, "PDB web is not healthy"),
    ],
)
def test_a_budget_that_does_not_do_its_part(status: dict[str, Any], told: str) -> None:
    lab = Cluster(pods=[pod()], PodDisruptionBudget=[budget(**status)])
    assert told in refused(promises.budgets_work, lab, "space")


def test_a_budget_guards_what_its_whole_selector_selects() -> None:
    """Expressions too; without a selector it is none."""
    terms = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}
    other = pod("db-1")
    other["metadata"] |= {"labels": {"app": "db"}, "ownerReferences": [{"name": "db-abc"}]}
    guard = budget()
    guard["spec"]["selector"] = terms
    lab = Cluster(pods=[pod(), pod("web-2"), other, bare()], PodDisruptionBudget=[guard])
    lab.subject = Subject("gati", careful=True)
    assert promises.budgets_work(lab, "space") == "PDB web: 1 of 2 may go"
    del guard["spec"]["selector"]
    guard["status"] |= {"expectedPods": 0, "currentHealthy": 0}
    assert "PDB web guards no pod" in refused(promises.budgets_work, lab, "space")


def test_who_keeps_the_one_pod_on_its_node_is_told_and_a_careful_chart_may_not() -> None:
    lab = Cluster(pods=[pod()], PodDisruptionBudget=[budget(expectedPods=1, currentHealthy=1, disruptionsAllowed=0)])
    assert promises.budgets_work(lab, "space") == "PDB web blocks the drain of the one pod of web-abc"
    lab.subject = replace(lab.subject, careful=True)
    assert "PDB web blocks every drain" in refused(promises.budgets_work, lab, "space")


def test_two_budgets_of_the_same_pods_keep_them_for_ever() -> None:
    other = {**budget(), "metadata": {"name": "other", "generation": 1}}
    lab = Cluster(pods=[pod()], PodDisruptionBudget=[budget(), other])
    assert "two budgets guard pod web-1" in refused(promises.budgets_work, lab, "space")


def test_a_daemonset_that_no_node_takes_is_told_and_a_fault_where_clients_ask_it() -> None:
    spec = {"template": {"spec": {"nodeSelector": {"gpu": "true"}, "containers": []}}}
    agent = {"kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": spec, "status": {"desiredNumberScheduled": 0}}
    lab = Cluster(pods=[], DaemonSet=[agent])
    lab.found = replace(NOTHING, workloads=("DaemonSet/agent", "Deployment/web"))
    (told,) = promises.nowhere(lab, "space")
    assert told == "that DaemonSet/agent runs, for no node is what it asks for: {'nodeSelector': {'gpu': 'true'}}"
    lab.found = replace(lab.found, behind=("DaemonSet/agent",))
    assert "no node takes a pod of DaemonSet/agent" in refused(
        lambda *words: list(promises.nowhere(*words)), lab, "space"
    )
    agent["status"] = {"desiredNumberScheduled": 3}
    assert not list(promises.nowhere(lab, "space"))


def test_a_budget_that_does() -> None:
    lab = Cluster(pods=[pod(), pod("web-2")], PodDisruptionBudget=[budget()])
    assert promises.budgets_work(lab, "space") == "PDB web: 1 of 2 may go"


# -- monitoring ------------------------------------------------------------------------------------

POD, ADDRESS = "__meta_kubernetes_pod", {"targetLabel": "__address__"}
METRICS = {"http:8080/metrics": '# HELP x\nrequests_total{code="200"} 3\nrequests_total{code="500"} 1\n'}


def monitor(**endpoint: Any) -> dict[str, Any]:
    given = {"port": "http", "path": "/metrics", **endpoint}
    spec = {"selector": {"matchLabels": LABELS}, "endpoints": [given]}
    return {"kind": "ServiceMonitor", "metadata": {"name": "web"}, "spec": spec}


def of_release(**more: Any) -> dict[str, Any]:
    made = monitor()
    return {**made, "spec": {**made["spec"], **more}}


def dropping(action: str, names: str) -> dict[str, Any]:
    return monitor(metricRelabelings=[{"action": action, "sourceLabels": ["__name__"], "regex": names}])


def relabelling(*rules: dict[str, Any], **endpoint: Any) -> dict[str, Any]:
    return monitor(relabelings=list(rules), **endpoint)


def keep(regex: str, *labels: str, action: str = "keep") -> dict[str, Any]:
    return {"action": action, "sourceLabels": list(labels), "regex": regex}


def of_pods(selected: Mapping[str, str] = LABELS, **endpoint: Any) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": selected}, "podMetricsEndpoints": [{"port": "http", **endpoint}]}
    return {"kind": "PodMonitor", "metadata": {"name": "web"}, "spec": spec}


def rule(text: str) -> dict[str, Any]:
    groups = [{"rules": [{"alert": "Broken", "expr": text}]}]
    return {"kind": "PrometheusRule", "metadata": {"name": "web"}, "spec": {"groups": groups}}


def scaled_by(*queries: str) -> dict[str, Any]:
    triggers = [{"type": "cron", "metadata": {"start": "0 8 * * *"}}]
    return of("ScaledObject", spec={"triggers": [*triggers, *map(asking, queries)]})


def asking(query: str) -> dict[str, Any]:
    return {"type": "prometheus", "metadata": {"query": query}}


def board(text: str) -> dict[str, Any]:
    meta = {"name": "boards", "labels": {"grafana_dashboard": "1"}}
    return {"kind": "ConfigMap", "metadata": meta, "data": {"web.json": text}}


def front() -> dict[str, Any]:
    item = service()
    return {**item, "metadata": {**item["metadata"], "namespace": "space", "labels": {**LABELS, "part": "gate"}}}


def test_monitoring_that_works() -> None:
    good = rule('sum(rate(requests_total{job="web"}[5m])) > absent(up{job="web"}) or web:rate > 1')
    good["spec"]["groups"][0]["rules"].append({"record": "web:rate", "expr": "rate(requests_total[5m])"})
    drawn = '{"expr": "sum(rate(requests_total{job=\\"$job\\", pod=~\\"${pod:regex}\\"}[$__rate_interval])) by (code)"}'
    scaler = scaled_by("sum(rate(requests_total[1m]))", "sum(rate(upstream_total[1m]))")
    told = (
        monitor(interval="1m", scrapeTimeout="60s"),
        good,
        scaler,
        board(f'{{"panels": [{{"targets": [{drawn}]}}]}}'),
    )
    lab = Cluster(*told, pods=[pod()], Service=[front()], answers=METRICS)
    said = "ServiceMonitor web by web, PrometheusRule web, ScaledObject web, ConfigMap boards"
    assert metrics.monitored(lab, "space", "space") == said


@pytest.mark.parametrize(
    ("documents", "told"),
    [
        ([monitor(port="metrics")], "names a port that Service web does not have"),
        ([monitor(path="/healthz")], "tells no metrics"),
        ([monitor(interval="1m", scrapeTimeout="1m1s")], "lets a scrape take longer than its interval"),
        ([monitor(), rule('rate(requests{job="web"}[5m])')], "Broken asks for metrics that nobody has"),
        ([monitor(), rule("sum(rate(requests[5m])) by (job) > 1")], "Broken asks for metrics that nobody has"),
        ([monitor(), rule('{__name__="requests"} unless on (pod) up')], "Broken asks for metrics that nobody has"),
        ([monitor(), rule("sum(rate(requests_total[5m])")], "Broken asks what Prometheus cannot read"),
        ([monitor(), rule('absent(up{job="gate"})')], "Broken asks for another job"),
        ([monitor(), rule('up{job=~"gate|we"} == 0')], "Broken asks for another job"),
        ([monitor(), rule('rate(requests_total{namespace="gati"}[5m])')], "Broken asks for another namespace"),
        ([monitor(), rule('rate(requests_total{pod=~"gate-.*"}[5m])')], "Broken asks for another pod"),
        ([monitor(), board("{")], "ConfigMap boards: web.json is no dashboard of Grafana"),
        ([monitor(), board("[]")], "ConfigMap boards: web.json is no dashboard of Grafana"),
        ([monitor(), board('{"panels": ["rate"]}')], "ConfigMap boards: web.json is no dashboard of Grafana"),
        (
            [monitor(), board('{"panels": [{"title": "Rate", "targets": [{"expr": "rate(requests{}[5m])"}]}]}')],
            "ConfigMap boards: Rate asks for metrics that nobody has",
        ),
        ([dropping("drop", "requests_.*")], "ServiceMonitor web drops every metric"),
        ([dropping("Keep", "requests"), dropping("keep", "up")], "ServiceMonitor web drops every metric"),
        ([relabelling(keep("none", f"{POD}_label_app"))], "ServiceMonitor web drops every one of its pods"),
        ([relabelling(keep("", f"{POD}_label_tier", action="Drop"))], "ServiceMonitor web drops every one of its pods"),
        ([relabelling(keep("space;web", "namespace", "service", action="drop"))], "drops every one of its pods"),
        ([relabelling({"action": "labelmap", "regex": f"{POD}_label_(.+)"}, keep("x", "app"))], "drops every one"),
        (
            [relabelling({"sourceLabels": ["pod"], "targetLabel": "it", "replacement": "a$1"}, keep("web-1", "it"))],
            "drops every one of its pods",
        ),
        (
            [relabelling({"action": "dropequal", "sourceLabels": ["service"], "targetLabel": f"{POD}_label_app"})],
            "drops every one of its pods",
        ),
        (
            [relabelling({"replacement": "/healthz", "targetLabel": "__metrics_path__"})],
            "tells no metrics",
        ),
        (
            [relabelling({"sourceLabels": ["__address__"], "regex": "(.*):.*", "replacement": "$1:9", **ADDRESS})],
            "pod web-1 does not answer /metrics on port 9 with metrics",
        ),
        ([of_pods(relabelings=[keep("none", "pod")])], "PodMonitor web drops every one of its pods"),
        ([of_pods({"app": "other"})], "PodMonitor web finds no pod"),
        ([of_pods(port="metrics")], "PodMonitor web names a port that its pods do not have"),
        ([of_pods(path="/healthz")], "tells no metrics"),
        ([of_pods(interval="1m", scrapeTimeout="61s")], "PodMonitor web lets a scrape take longer than its interval"),
        ([of("ServiceMonitor", spec={"namespaceSelector": {"any": True}})], "web looks into every namespace"),
        ([monitor(), scaled_by("rate(requests[5m])", "up")], "its first trigger asks for metrics that nobody has"),
        ([monitor(), scaled_by("up", "sum(rate(up[1m])")], "a further trigger asks what Prometheus cannot read"),
        ([of_release(jobLabel="part"), rule('up{job="web"} == 0')], "Broken asks for another job"),
        ([of_release(sampleLimit=1)], "ServiceMonitor web takes 1 samples or none"),
        ([], "nothing says where the metrics are"),
    ],
)
def test_monitoring_that_does_not(documents: list[dict[str, Any]], told: str) -> None:
    lab = Cluster(*documents, pods=[pod()], Service=[front()], answers=METRICS)
    assert told in refused(metrics.monitored, lab, "space", "space")


@pytest.mark.parametrize(
    ("relabelled", "asked"),
    [
        ("", 'job=~"we.*", pod=~"web-.+"'),
        ("", 'namespace!="other", job=~"$job|gate"'),
        ("", r'job=~"\\pL+"'),
        ("namespace", 'namespace="other"'),
    ],
)
def test_rules_that_ask_for_what_there_is(relabelled: str, asked: str) -> None:
    given = monitor(relabelings=[{"targetLabel": relabelled}] if relabelled else [])
    lab = Cluster(given, rule(f"up{{{asked}}} == 0"), pods=[pod()], Service=[front()], answers=METRICS)
    assert metrics.monitored(lab, "space", "space") == "ServiceMonitor web by web, PrometheusRule web"


def test_a_monitor_of_pods_asks_those_it_selects() -> None:
    lab = Cluster(of_pods(), pods=[pod()], answers=METRICS)
    assert metrics.monitored(lab, "space", "space") == "PodMonitor web"


@pytest.mark.parametrize("rules", [("drop", "go_.*"), ("keep", "requests.*"), ("replace", "(.*)"), ("drop", r"\pL+")])
def test_what_a_monitor_keeps_is_there(rules: tuple[str, str]) -> None:
    lab = Cluster(dropping(*rules), pods=[pod()], Service=[front()], answers=METRICS)
    assert metrics.monitored(lab, "space", "space") == "ServiceMonitor web by web"


@pytest.mark.parametrize(
    "rule",
    [
        keep("web.*", "pod"),
        keep("true", f"{POD}_labelpresent_app"),
        keep("web;http", "service", "__meta_kubernetes_endpoint_port_name"),
        keep("", f"{POD}_label_tier"),
        keep("none", "__meta_kubernetes_node_label_zone"),
        keep(r"\pL+", "pod"),
        {"action": "keepequal", "sourceLabels": ["service"], "targetLabel": f"{POD}_label_app"},
        {"action": "hashmod", "sourceLabels": ["__address__"], "targetLabel": "shard", "modulus": 2},
        {"sourceLabels": ["pod"], "regex": "(w)(?P<rest>.*)", "targetLabel": "it", "replacement": "${rest}$1$3"},
        {"replacement": "exporter:9115", **ADDRESS},
        {"action": "labeldrop", "regex": "pod"},
    ],
    ids=[
        *("a name", "a label that is there", "several", "no label", "of what is not known", "what only Go reads"),
        *("equal", "a share", "groups", "by an exporter", "a label goes"),
    ],
)
def test_rules_that_keep_the_pods(rule: dict[str, Any]) -> None:
    lab = Cluster(relabelling(rule), pods=[pod()], Service=[front()], answers=METRICS)
    assert metrics.monitored(lab, "space", "space").startswith("ServiceMonitor web by web")


@pytest.mark.parametrize(
    ("login", "status", "told"),
    [
        ({"bearerTokenFile": "/token"}, 401, "ServiceMonitor web by web, PrometheusRule web, metrics that nothing can"),
        ({"basicAuth": {"username": {"name": "login", "key": "user"}}}, 403, "ServiceMonitor web by web"),
        ({"authorization": {}}, 404, "pod web-1 does not answer /metrics on port 8080 with metrics"),
        ({}, 401, "pod web-1 does not answer /metrics on port 8080 with metrics"),
    ],
)
def test_metrics_are_there_though_none_but_prometheus_sees_them(login: Any, status: int, told: str) -> None:
    given = monitor(**login), rule("rate(whatever_total[5m]) > 1")
    lab = Cluster(*given, pods=[pod()], Service=[front()], answers={"http:8080/metrics": status})
    if told.startswith("pod"):
        assert told in refused(metrics.monitored, lab, "space", "space")
    else:
        assert metrics.monitored(lab, "space", "space").startswith(told)


def test_a_monitor_asks_with_its_parameters() -> None:
    given = monitor(path="/v1/metrics", params={"format": ["prometheus"]})
    answers = {"http:8080/v1/metrics?format=prometheus": "up 1\n"}
    lab = Cluster(given, pods=[pod()], Service=[front()], answers=answers)
    assert metrics.monitored(lab, "space", "space") == "ServiceMonitor web by web"


def annotated(**notes: str) -> dict[str, Any]:
    made = pod(container={"ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 9102}]})
    made["metadata"]["annotations"] = {f"prometheus.io/{key}": value for key, value in notes.items()}
    return made


@pytest.mark.parametrize(
    ("notes", "told"),
    [({}, ""), ({"port": "9102"}, ""), ({"path": "/m"}, "tells no metrics"), ({"port": "8080"}, "tells no metrics")],
)
def test_a_pod_says_by_annotations_where_its_metrics_are(notes: dict[str, str], told: str) -> None:
    """Without a port Prometheus asks at each of them."""
    made = annotated(scrape="true", **notes)
    answers = {"http:9102/metrics": "up 1\n"}
    lab = Cluster(pods=[made], answers=answers, listens=[8080, 9102, "9102", "8080"])
    if told:
        assert told in refused(metrics.monitored, lab, "space", "space")
    else:
        assert metrics.monitored(lab, "space", "space") == "pod web-1 by annotation"


@pytest.mark.parametrize("services", [[], [front(), front()]], ids=["none", "two"])
def test_a_monitor_that_does_not_match_one_service(services: list[dict[str, Any]]) -> None:
    lab = Cluster(monitor(), pods=[pod()], Service=services, answers=METRICS)
    assert "does not match exactly one Service" in refused(metrics.monitored, lab, "space", "space")


# -- names -----------------------------------------------------------------------------------------


def hooked(**service: Any) -> dict[str, Any]:
    config = {"service": {"name": "asked", "namespace": "space", **service}}
    return of("ValidatingWebhookConfiguration", webhooks=[{"clientConfig": config}, {"clientConfig": {"url": "a"}}])


def reading_from(name: str, *, optional: bool = False) -> dict[str, Any]:
    source = {"name": name, "key": "colour", **({"optional": True} if optional else {})}
    return {"containers": [{"name": "main", "env": [{"name": "C", "valueFrom": {"configMapKeyRef": source}}]}]}


KNOWN: dict[str, list[dict[str, Any]]] = {
    "ConfigMap": [{"metadata": {"name": "settings"}, "data": {"size": "9"}}],
    "Secret": [{"metadata": {"name": "login"}, "data": {"user": "eA=="}}],
    "Service": [{"metadata": {"name": "asked"}, "spec": {"ports": [{"port": 8443}]}}],
    "ServiceAccount": [{"metadata": {"name": "web"}}],
}
PULLS: dict[str, Any] = {"imagePullSecrets": [{"name": "gone"}]}


@pytest.mark.parametrize(
    ("document", "told", "careful"),
    [
        (workload("CronJob", **reading_from("gone")), "CronJob web names ConfigMap gone, which is not there", False),
        (workload("CronJob", **reading_from("settings")), "names ConfigMap settings, which lacks colour", False),
        (workload("CronJob", **reading_from("gone", optional=True)), "", False),
        (workload("CronJob", serviceAccountName="gone"), "CronJob web names ServiceAccount gone", False),
        (workload("CronJob", priorityClassName="gone"), "CronJob web names PriorityClass gone", False),
        (workload(runtimeClassName="gone"), "Deployment web names RuntimeClass gone", False),
        (workload(**PULLS), "Deployment web names Secret gone", True),
        (of("ServiceAccount", **PULLS), "ServiceAccount web names Secret gone", True),
        (of("RoleBinding", roleRef={"kind": "ClusterRole", "name": "gone"}), "names ClusterRole gone", False),
        (of("StatefulSet", spec={"serviceName": "gone"}), "StatefulSet web names Service gone", True),
        (of("PersistentVolumeClaim", spec={"storageClassName": "gone"}), "names StorageClass gone", True),
        (of("PersistentVolumeClaim", spec={"storageClassName": ""}), "", False),
        (of("Ingress", spec={"tls": [{"secretName": "gone"}, {}]}), "Ingress web names Secret gone", True),
        (of("Certificate", spec={"issuerRef": {"name": "gone"}}), "names Issuer.cert-manager.io gone", True),
        (
            of("Certificate", spec={"issuerRef": {"name": "a", "kind": "ClusterIssuer", "group": "own.example"}}),
            "names ClusterIssuer.own.example a, which is not there",
            True,
        ),
        (
            of("ScaledObject", spec={"triggers": [{"type": "a", "authenticationRef": {"name": "gone"}}]}),
            "ScaledObject web names TriggerAuthentication.keda.sh gone",
            True,
        ),
        (of("Issuer", spec={"ca": {"secretName": "gone"}}), "Issuer web names Secret gone", True),
        (of("Issuer", spec={"ca": {"secretName": "login"}}), "", False),
        (hooked(name="gone"), "ValidatingWebhookConfiguration web names Service gone, which is not there", True),
        (hooked(namespace="elsewhere"), "names Service asked, which is not there", True),
        (hooked(), "names Service asked, which lacks port 443", True),
        (hooked(port=8443), "", False),
        (of("APIService", spec={"service": {"name": "gone", "namespace": "space"}}), "names Service gone", True),
        (of("APIService", spec={"group": "own.example"}), "", False),
        (monitor(basicAuth={"username": {"name": "gone", "key": "user"}}), "names Secret gone", False),
        (monitor(bearerTokenSecret={"name": "login", "key": "token"}), "names Secret login, which lacks token", False),
        (monitor(bearerTokenSecret={"name": "login", "key": "user"}), "", False),
        (monitor(tlsConfig={"ca": {"configMap": {"name": "login", "key": "user"}}}), "names ConfigMap login", False),
        (monitor(authorization={"credentials": {"name": "gone", "key": "a", "optional": True}}), "", False),
        (
            {**workload(**reading_from("gone")), "metadata": {"name": "a", "annotations": {"helm.sh/hook": "b"}}},
            "",
            False,
        ),
    ],
)
def test_what_objects_name_is_there(document: dict[str, Any], told: str, careful: bool) -> None:
    """`careful` are those that others may bring, or do without."""
    lab = Cluster(document, pods=[], **KNOWN)
    if told and not careful:
        assert told in refused(promises.named, lab, "space", "space")
        return
    assert [told in one for one in promises.named(lab, "space", "space")] == [True] * bool(told)
    lab.subject = Subject("gati", careful=True)
    if told:
        assert told in refused(promises.named, lab, "space", "space")


def test_what_a_controller_makes_of_a_certificate_need_not_be_there() -> None:
    """A cluster of a test need not have the controller."""
    root = {"secretName": "root"}
    users = of("Issuer", spec={"ca": root}), of("Ingress", spec={"tls": [root]})
    lab = Cluster(of("Certificate", spec=root), *users, pods=[])
    lab.subject = Subject("gati", careful=True)
    told = "web names Secret root, which is not there"
    assert promises.named(lab, "space", "space") == [f"Issuer {told}", f"Ingress {told}"]


def test_what_cannot_be_looked_at_is_told_and_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ApiError("GET /clusterroles was answered with 403", status=403, reason="Forbidden", text="")

    front = of("Ingress", spec={"ingressClassName": "nginx"})
    lab = Cluster(front, pods=[])
    lab.subject = Subject("gati", careful=True)
    assert promises.named(lab, "a", "a") == ["Ingress web names IngressClass nginx, which is not there"]
    monkeypatch.setattr(Objects, "get", refuse)
    (told,) = promises.named(lab, "a", "a")
    assert (
        told
        == "Ingress web names IngressClass nginx, which cannot be looked at: GET /clusterroles was answered with 403"
    )


@pytest.mark.parametrize(
    ("said", "probe", "wrong"),
    [
        ("http", {"grpc": {"port": 8080}}, True),
        ("kubernetes.io/h2c", {"grpc": {"port": 8080}}, False),
        ("grpc", {"httpGet": {"port": "http"}}, True),
        ("https", {"httpGet": {"port": "http"}}, True),
        ("https", {"httpGet": {"port": "http", "scheme": "HTTPS"}}, False),
        ("kubernetes.io/ws", {"httpGet": {"port": "http"}}, False),
        ("redis", {"tcpSocket": {"port": "http"}}, False),
        ("", {"grpc": {"port": 8080}}, False),
    ],
)
def test_what_a_port_is_said_to_speak_is_what_its_pods_are_asked_by(said: str, probe: Any, wrong: bool) -> None:
    given = service(ports=[{"port": 80, "targetPort": "http", **({"appProtocol": said} if said else {})}])
    lab = Cluster(given, pods=[pod(container={"readinessProbe": probe})])
    assert promises.selected(lab, "space", "space"), "one port may speak several"
    lab.subject = Subject("gati", careful=True)
    if wrong:
        assert f"Service web says that port 80 speaks {said}" in refused(promises.selected, lab, "space", "space")
    else:
        promises.selected(lab, "space", "space")


@pytest.mark.parametrize(("scheme", "wrong"), [("HTTP", True), ("HTTPS", False)])
def test_a_port_that_is_called_https_leads_to_one_that_speaks_it(scheme: str, wrong: bool) -> None:
    given = service(ports=[{"name": "https", "port": 443, "targetPort": "http"}])
    lab = Cluster(given, pods=[pod(container={"readinessProbe": {"httpGet": {"port": "http", "scheme": scheme}}})])
    lab.subject = Subject("gati", careful=True)
    if wrong:
        told = "Service web says that port 443 speaks https, and its pods are asked by http"
        assert told in refused(promises.selected, lab, "space", "space")
    else:
        promises.selected(lab, "space", "space")


@pytest.mark.parametrize(
    ("label", "careful", "wrong"),
    [("2.0_a", True, False), ("1.0", True, True), ("1.0", False, False), ("", True, False)],
)
def test_objects_are_labelled_with_the_version_of_the_application(label: str, careful: bool, wrong: bool) -> None:
    notes = {"meta.helm.sh/release-name": "gati", "meta.helm.sh/release-namespace": "space"}
    labels = {"app.kubernetes.io/managed-by": "Helm", **({"app.kubernetes.io/version": label} if label else {})}
    live = {"metadata": {"name": "web", "labels": labels, "annotations": notes}}
    lab = Cluster(service(), pods=[])
    lab.live = lambda *_: live  # type: ignore[method-assign]
    lab.subject = Subject("gati", careful=careful)
    look = partial(promises.whole, lab, "space", "space", values="default", version="2.0+a")
    if wrong:
        assert "Service web has the label app.kubernetes.io/version 1.0, not 2.0_a" in refused(look)
    else:
        assert look() == "1 objects"


# -- rights ----------------------------------------------------------------------------------------

MINE = {"kind": "ServiceAccount", "name": "web", "namespace": "space"}
THEIRS = {**MINE, "name": "aside"}
ASIDE = {"serviceAccountName": "aside", "automountServiceAccountToken": False}
QUIET = {"metadata": {"name": "quiet"}, "automountServiceAccountToken": False}
TOKENLESS = {"automountServiceAccountToken": False}
CONFIGURED = {"envFrom": [{"configMapRef": {"name": "settings"}}]}


def rights(
    *rules: dict[str, Any],
    subject: dict[str, Any] = MINE,
    binding: str = "RoleBinding",
    container: dict[str, Any] = CONFIGURED,
    allowed: bool = True,
    hook: dict[str, Any] | None = None,
    job: dict[str, Any] | None = None,
    secret: str = "",
    **spec: Any,
) -> Cluster:
    meta = {"name": "web", **({"namespace": "space"} if binding == "RoleBinding" else {})}
    bound: dict[str, Any] = {"metadata": meta, "roleRef": {"kind": "Role", "name": "web"}, "subjects": [subject]}
    role = {"metadata": {"name": "web"}, "rules": list(rules)}
    test = {"name": "test", "annotations": {"helm.sh/hook": "test"}}
    hooks = [] if hook is None else [{"kind": "Pod", "metadata": test, "spec": {"containers": [], **hook}}]
    hooks += [] if job is None else [workload("CronJob", "nightly", **job)]
    given = {binding: [bound], "Role": [role], "allowed": allowed}
    objects = [*hooks, *([{"kind": "Secret", "metadata": {"name": "kept"}, "type": secret}] if secret else [])]
    made = pod(container=container, **{**TOKENLESS, **spec})
    objects += [of("Deployment", spec={"template": made}), {"kind": binding, **bound}]
    return Cluster(*objects, pods=[made], ServiceAccount=[QUIET], **given)


def reading(*names: str, **more: Any) -> dict[str, Any]:
    return {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": list(names), "verbs": ["get"], **more}


@pytest.mark.parametrize("hook", [None, {"serviceAccountName": "quiet"}, TOKENLESS])
def test_rights_that_fit(hook: dict[str, Any] | None) -> None:
    lab = rights(reading("settings"), hook=hook, secret="Opaque")
    assert promises.rights_fit(lab, "space", "space") == "web: 1 objects"


def test_what_a_cluster_gives_everybody_is_not_of_the_release() -> None:
    everybody = {"kind": "Group", "name": "system:authenticated"}
    lab = rights(reading(), subject=everybody, binding="ClusterRoleBinding")
    assert promises.rights_fit(lab, "space", "space")


@pytest.mark.parametrize(
    ("lab", "told"),
    [
        (rights(reading("settings", "others")), "more rights than it uses"),
        (rights(reading()), "more rights than it uses"),
        (rights(reading("settings", verbs=["get", "patch"])), "more rights than it uses"),
        (rights(reading("settings", resources=["pods"])), "more rights than it uses"),
        (rights({"nonResourceURLs": ["/metrics"], "verbs": ["get"]}), "more rights than it uses"),
        (rights(reading("settings"), allowed=False), "may not read configmaps settings"),
        (
            rights(volumes=[{"name": "t", "projected": {"sources": [{"serviceAccountToken": {}}]}}]),
            "mounts a token of the API",
        ),
        *(
            (rights(reading(), subject={"kind": kind, "name": name}), "more rights than it uses")
            for kind, name in (
                ("User", "system:serviceaccount:space:web"),
                ("Group", "system:serviceaccounts:space"),
                ("Group", "system:authenticated"),
            )
        ),
        *(
            (rights(reading("settings"), subject={"kind": kind, "name": name}, hook=TOKENLESS), f"{kind} {name}")
            for kind, name in (("ServiceAccount", "default"), ("Group", "system:serviceaccounts:elsewhere"))
        ),
        (rights(reading("settings"), hook={}), "pod test mounts a token of the API"),
        (rights(reading("settings"), job={"serviceAccountName": "web"}), "pod nightly mounts a token of the API"),
        (rights(reading("others"), hook=None, job=ASIDE, subject=THEIRS), "gives account aside more rights"),
        (rights(reading("settings"), secret="kubernetes.io/service-account-token"), "Secret kept keeps a token"),
    ],
    ids=[
        *("another name", "no name", "writing", "pods", "a URL", "too few", "a token"),
        *("as a user", "as its namespace", "as everybody", "another account", "another namespace"),
        *("a test's token", "a job's token", "a job's rights", "a lasting token"),
    ],
)
def test_rights_that_do_not(lab: Cluster, told: str) -> None:
    assert told in refused(promises.rights_fit, lab, "space", "space")


# -- what policies let through, as they are written ------------------------------------------------


def component(name: str, address: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": name, "app": name}
    made = pod(name)
    return {**made, "metadata": {**made["metadata"], "labels": labels}, "status": {"podIP": address}}


def policy(of: str, **spec: Any) -> dict[str, Any]:
    wanted = {"podSelector": {"matchLabels": {"app": of}}, **spec}
    return {"kind": "NetworkPolicy", "metadata": {"name": of, "namespace": "space"}, "spec": wanted}


FROM_FRONT = {"from": [{"podSelector": {"matchLabels": {"app": "front"}}}], "ports": [{"port": 8080}]}
NAMES = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
TO_BACK = {"to": [{"podSelector": {"matchLabels": {"app": "back"}}}], "ports": [{"port": 8080}]}


def walled(*policies: dict[str, Any], flow: str = "front -> back:8080", barred: str = "* -> back:8080") -> Cluster:
    lab = Cluster(*policies, pods=[component("front", "10.0.0.1"), component("back", "10.0.0.2")])
    lab.subject = replace(SUBJECT, flows=(flow,), barred=(barred,))
    return lab


def test_policies_that_fit() -> None:
    back, front = policy("back", ingress=[FROM_FRONT]), policy("front", egress=[TO_BACK, NAMES], policyTypes=["Egress"])
    assert promises.policies_fit(walled(back, front), "space", "space") == "2 policies, 1 ways open, 1 barred"
    assert promises.policies_fit(walled(), "space", "space") == "no policies"


@pytest.mark.parametrize(
    ("policies", "told"),
    [
        ([policy("back", ingress=[])], "the policies keep front from back"),
        (
            [policy("back", ingress=[FROM_FRONT]), policy("front", egress=[TO_BACK], policyTypes=["Egress"])],
            "keep front from asking for names",
        ),
        ([policy("back", ingress=[{}])], "the policies let a stranger ask back"),
    ],
)
def test_policies_that_do_not_fit(policies: list[dict[str, Any]], told: str) -> None:
    assert told in refused(promises.policies_fit, walled(*policies), "space", "space")


@pytest.mark.parametrize(
    ("flow", "told"), [("front -> gone:80", "there is no component gone"), ("front -> back", "back names no port")]
)
def test_a_way_between_what_there_is_not(flow: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        promises.policies_fit(walled(policy("back", ingress=[]), flow=flow), "space", "space")
