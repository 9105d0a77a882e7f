"""What the API client sends for what it is told to do, and what it makes of a refusal; the server is a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from scripts.cluster.api import Api
from scripts.core.errors import ApiError, ClusterError

Object = dict[str, Any]


def resource(kind: str, plural: str, *, namespaced: bool = True, verbs: tuple[str, ...] = ("list",)) -> Object:
    scope = "Namespaced" if namespaced else "Cluster"
    return {"resource": plural, "responseKind": {"kind": kind}, "scope": scope, "verbs": list(verbs)}


CORE = [
    resource("Pod", "pods"),
    resource("Node", "nodes", namespaced=False),
    resource("Event", "events"),
    resource("Secret", "secrets"),
    resource("Binding", "bindings", verbs=("create",)),
]
APPS = [resource("Deployment", "deployments")]
KINDS = {
    "/api": [{"metadata": {"name": ""}, "versions": [{"version": "v1", "resources": CORE}]}],
    "/apis": [{"metadata": {"name": "apps"}, "versions": [{"version": "v1", "resources": APPS}]}],
}


class Table:
    """Answers a method and a path; what is not in the table is not found. `sent` has each request but for questions."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = answers
        self.sent: list[tuple[str, str, Mapping[str, str], Any]] = []

    def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None, **more: Any
    ) -> bytes:
        if path in KINDS:
            return json.dumps({"items": KINDS[path]}).encode()
        if method != "GET":
            self.sent.append((method, path, query or {}, body))
        answer = self.answers.get(f"{method} {path}", ApiError("gone", status=404, reason="NotFound", text=""))
        answer = answer() if callable(answer) else answer
        if isinstance(answer, ApiError):
            raise answer
        return json.dumps(answer).encode()


def on(**answers: Any) -> tuple[Api, Table]:
    table = Table(**answers)
    return Api(table), table  # type: ignore[arg-type]


def refused(status: int, reason: str) -> ApiError:
    return ApiError("refused", status=status, reason=reason, text="")


POD = "/api/v1/namespaces/shop/pods/web"
META = {"metadata": {"name": "web", "namespace": "shop", "uid": "1"}}


def test_an_object_goes_to_the_place_that_it_names_or_to_the_one_that_is_given() -> None:
    api, table = on(**{"POST /api/v1/namespaces/shop/pods": META, "POST /api/v1/namespaces/own/pods": META})
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}
    api.create(pod, "shop")
    api.create({**pod, "metadata": {"name": "web", "namespace": "own"}}, "shop")
    assert [path for _, path, *_ in table.sent] == ["/api/v1/namespaces/shop/pods", "/api/v1/namespaces/own/pods"]
    with pytest.raises(ClusterError, match=r"the cluster knows no kind own\.example/v1 Widget"):
        api.create({"apiVersion": "own.example/v1", "kind": "Widget", "metadata": {"name": "w"}}, "shop")


def test_an_apply_takes_over_fields_and_refuses_unknown_ones_and_may_change_nothing() -> None:
    api, table = on(**{f"PATCH {POD}": META})
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}
    api.apply(pod, "shop")
    api.apply(pod, "shop", dry_run=True)
    first, dry = (query for _, _, query, _ in table.sent)
    assert (first["force"], first["fieldValidation"], "dryRun" in first) == ("true", "Strict", False)
    assert dry["dryRun"] == "All"
    table.answers[f"PATCH {POD}/status"] = META
    api.patch("Pod", "web", "shop", {"status": {}}, part="status")
    assert table.sent[-1][1] == f"{POD}/status"


@pytest.mark.parametrize("answer", [{}, refused(404, "NotFound")], ids=["there", "not there"])
@pytest.mark.parametrize("wait", [None, 5])
def test_a_deletion_needs_nothing_to_be_there(answer: Any, wait: float | None) -> None:
    api, table = on(**{f"GET {POD}": refused(404, "NotFound"), f"DELETE {POD}": answer})
    api.delete("Pod", "web", "shop", grace=0, wait=wait)
    assert table.sent[0][3] == {"propagationPolicy": "Background", "gracePeriodSeconds": 0}


def test_a_deletion_is_waited_for_until_that_very_object_is_gone() -> None:
    uids = iter(["1", "1", "2"])
    again = {f"GET {POD}": lambda: {"metadata": {**META["metadata"], "uid": next(uids)}}, f"DELETE {POD}": {}}
    api, _ = on(**again)
    api.delete("Pod", "web", "shop", wait=5)
    api, _ = on(**{f"GET {POD}": META, f"DELETE {POD}": {}})
    with pytest.raises(ClusterError, match="Pod web to be gone"):
        api.delete("Pod", "web", "shop", wait=0)
    api, _ = on(**{f"GET {POD}": META, f"DELETE {POD}": refused(403, "Forbidden")})
    with pytest.raises(ApiError):
        api.delete("Pod", "web", "shop")


@pytest.mark.parametrize(
    ("answer", "gone"), [({}, True), (refused(404, "NotFound"), True), (refused(429, "TooManyRequests"), False)]
)
def test_an_eviction_that_a_budget_does_not_allow_now(answer: Any, gone: bool) -> None:
    api, table = on(**{f"POST {POD}/eviction": answer})
    assert api.evict("web", "shop") is gone
    assert table.sent[0][3]["kind"] == "Eviction"


def member(name: str, **meta: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "shop", "uid": name, **meta}, "status": {}}


def draining(pods: Callable[[], list[Object]], **evictions: Any) -> tuple[Api, Table]:
    answers = {f"POST /api/v1/namespaces/shop/pods/{name}/eviction": answer for name, answer in evictions.items()}
    listed = {
        "GET /api/v1/pods": lambda: {"items": pods()},
        "GET /api/v1/namespaces/shop/pods": lambda: {"items": pods()},
    }
    return on(**listed, **answers, **{"PATCH /api/v1/nodes/one": {}})


def test_a_drain_moves_what_can_be_moved_and_nothing_twice() -> None:
    mirror = {"annotations": {"kubernetes.io/config.mirror": "x"}}
    daemon = member("agent", ownerReferences=[{"kind": "DaemonSet"}])
    done = {**member("done"), "status": {"phase": "Succeeded"}}
    looks = iter([["web", "db"], ["web"], []])
    stay = [daemon, member("etcd", **mirror), done]
    api, table = draining(lambda: [*stay, *map(member, next(looks))], web={}, db={})
    assert api.drain("one", deadline=5) >= 0
    assert table.sent[0][1:] == ("/api/v1/nodes/one", {"fieldManager": "gati-e2e"}, {"spec": {"unschedulable": True}})
    evicted = [path.split("/")[-2] for method, path, *_ in table.sent if method == "POST"]
    assert evicted == ["web", "db"]


def test_a_drain_that_a_budget_keeps_from_ending_names_the_pods() -> None:
    api, _ = draining(lambda: [member("web")], web=refused(429, "TooManyRequests"))
    with pytest.raises(ClusterError, match="node one to be empty") as late:
        api.drain("one", deadline=0)
    assert "shop/web; evictions refused by a budget: 1" in str(late.value)


def test_without_closing_the_node_only_those_go_that_are_there_now() -> None:
    looks = iter([["web"], ["later"]])
    api, table = draining(lambda: list(map(member, next(looks))), web={}, later={})
    api.drain("one", deadline=5, namespace="shop", cordon=False)
    assert [path for _, path, *_ in table.sent] == ["/api/v1/namespaces/shop/pods/web/eviction"]


def test_every_object_of_a_namespace_is_listed_once_but_for_what_only_tells() -> None:
    secret, web = {"metadata": {"name": "s", "uid": "2"}}, {"metadata": {"name": "web", "uid": "1"}}
    space = "/api/v1/namespaces/shop"
    api, _ = on(
        **{f"GET {space}/pods": {"items": []}, f"GET {space}/secrets": {"items": [secret]}},
        **{"GET /apis/apps/v1/namespaces/shop/deployments": {"items": [web]}},
    )
    assert [(one["kind"], one["apiVersion"]) for one in api.objects("shop")] == [
        ("Deployment", "apps/v1"),
        ("Secret", "v1"),
    ]
    api, _ = on(**{"GET /api/v1/nodes": refused(403, "Forbidden")})
    assert api.objects(None) == ()  # not ours to see
    api, _ = on(**{f"GET {space}/pods": refused(403, "Forbidden")})
    with pytest.raises(ApiError):
        api.objects("shop")


@pytest.mark.parametrize("allowed", [True, False])
def test_whether_somebody_may_do_something(allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    reviews = [resource("SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False)]
    group = {"metadata": {"name": "authorization.k8s.io"}, "versions": [{"version": "v1", "resources": reviews}]}
    monkeypatch.setitem(KINDS, "/apis", [group])
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    api, table = on(**{f"POST {path}": {"status": {"allowed": True} if allowed else {}}})
    assert api.may("SelfSubjectAccessReview", {"resourceAttributes": {"verb": "get"}}) is allowed
    assert table.sent[0][3]["spec"] == {"resourceAttributes": {"verb": "get"}}


def test_what_a_server_says_of_itself_and_of_a_pod() -> None:
    api, _ = on(**{"GET /version": {"gitVersion": "v1.37.2"}, f"GET {POD}": META})
    assert api.version == "v1.37.2"
    assert api.current({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}, "shop") == META
    assert api.get("Pod", "other", "shop") is None
    api, _ = on(**{f"GET {POD}": refused(403, "Forbidden")})
    with pytest.raises(ApiError):
        api.get("Pod", "web", "shop")
