"""What the scenarios stand on: names of namespaces, when pods count as ready, which nodes a load goes to."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.chart.manifests import read_manifests
from scripts.cluster.api import Api
from scripts.core.command import Result, Runner
from scripts.core.errors import ClusterError, CommandFailed
from scripts.e2e.discover import NOTHING
from scripts.e2e.k6 import LoadEnded, Request
from scripts.e2e.lab import Lab, Published, Tools
from scripts.e2e.outside import Outside, asked
from scripts.e2e.recording import record
from scripts.e2e.report import Journal, LoadFailed, Unproven
from scripts.e2e.subject import Question, Subject

SEEN = cast(Outside, SimpleNamespace(asked=("12:00:00 web is not there",)))

FOUND = replace(NOTHING, workloads=("Deployment/web",))
CHART = Published("gati", "1.0.0", "sha256:0", "oci://127.0.0.1:1/charts/gati@sha256:0")


class Cluster(Api):
    """An API of objects by kind, without a server."""

    def __init__(self, **objects: list[dict[str, Any]]) -> None:
        self.objects_by_kind = objects
        self.deleted: list[str] = []

    def list(self, kind: str, *_: Any, **__: Any) -> tuple[dict[str, Any], ...]:
        return tuple({"kind": kind, **item} for item in self.objects_by_kind.get(kind, ()))

    def delete(self, kind: str, name: str, *_: Any, **__: Any) -> None:
        self.deleted.append(name)

    @contextlib.contextmanager
    def watch(self, *_: Any, **__: Any) -> Iterator[Any]:
        yield SimpleNamespace(changes=lambda: ())

    def cordon(self, node: str, unschedulable: bool = True) -> None:
        self.deleted.append(f"cordon of {node}" if not unschedulable else node)


def lab(cluster: Cluster) -> Lab:
    tools = Tools(*(Path(name) for name in ("helm", "kubectl", "k6")))
    made = Lab(cast(Api, cluster), Runner(), tools, Path("dist"), CHART, (), "gati", True, Subject("gati"), FOUND)
    return replace(made, deadline=0)


def test_its_releases_are_kept_as_it_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HELM_DRIVER", "HELM_MAX_HISTORY"):
        monkeypatch.setenv(name, "1")
    assert not lab(Cluster()).runner.run(("sh", "-c", "echo $HELM_DRIVER$HELM_MAX_HISTORY")).stdout.strip()


def deployment(wanted: int, **status: int) -> dict[str, Any]:
    numbers = {
        "readyReplicas": wanted,
        "updatedReplicas": wanted,
        "replicas": wanted,
        "observedGeneration": 2,
        **status,
    }
    meta = {"name": "web", "generation": 2}
    return {"kind": "Deployment", "metadata": meta, "spec": {"replicas": wanted}, "status": numbers}


def scaler(least: int, kind: str = "Deployment") -> dict[str, Any]:
    return {"spec": {"scaleTargetRef": {"kind": kind, "name": "web"}, "minReplicas": least}}


def node(name: str, *, taint: str | None = None, zone: str = "a", closed: bool = False) -> dict[str, Any]:
    taints = [{"key": "x", "effect": taint}] if taint else []
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": f"10.0.0.{len(name)}"}]
    return {
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
        "spec": {"taints": taints, "unschedulable": closed},
        "status": {"addresses": addresses},
    }


def test_names_are_the_runs_own_and_fit_a_namespace() -> None:
    one = lab(Cluster())
    assert one.name("from 0.1.0-RC.1") == f"gati-e2e-{one.run}-from-0-1-0-rc-1"
    assert len(one.name("x" * 99)) == 63
    assert one.run != lab(Cluster()).run


@pytest.mark.parametrize(
    "objects",
    [
        {"Deployment": [deployment(2)]},
        {"Deployment": [deployment(3)], "HorizontalPodAutoscaler": [scaler(3)]},
        {"Deployment": [deployment(5)], "HorizontalPodAutoscaler": [scaler(3)]},
        {"Deployment": [deployment(2)], "HorizontalPodAutoscaler": [scaler(3, "StatefulSet")]},
    ],
    ids=["as it asks for", "as its scaler asks for", "more than its scaler needs", "its scaler is another's"],
)
def test_ready(objects: dict[str, Any]) -> None:
    assert lab(Cluster(**objects)).await_ready("space")["web"] >= 2


@pytest.mark.parametrize(
    "objects",
    [
        {},
        {"Deployment": [deployment(2, readyReplicas=1)]},
        {"Deployment": [deployment(2, updatedReplicas=1)]},
        {"Deployment": [deployment(2, replicas=3)]},
        {"Deployment": [deployment(2, observedGeneration=1)]},
        {"Deployment": [deployment(1)], "HorizontalPodAutoscaler": [scaler(3)]},
    ],
    ids=["nothing", "one unready", "one of the old", "one too many", "a change not seen yet", "not scaled yet"],
)
def test_not_ready(objects: dict[str, Any]) -> None:
    with pytest.raises(ClusterError, match="all pods of space to be ready"):
        lab(Cluster(**objects)).await_ready("space")


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ({"matchLabels": {"app": "web"}}, ["web-1", "web-2"]),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, ["web-2"]),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, ["web-1"]),
        ({}, []),
    ],
    ids=["labels", "expressions", "both", "nothing"],
)
def test_the_pods_of_a_workload_are_those_that_it_selects(selector: dict[str, Any], found: list[str]) -> None:
    class Selecting(Cluster):
        def get(self, kind: str, name: str, *_: Any) -> dict[str, Any] | None:
            return {"spec": {"selector": selector}} if (kind, name) == ("Deployment", "web") else None

    labels: dict[str, dict[str, str]] = {"web-1": {"app": "web"}, "web-2": {"app": "web", "tier": "x"}, "other": {}}
    there = [{"metadata": {"name": name, "labels": own}} for name, own in labels.items()]
    on = lab(Selecting(Pod=there))
    assert [pod["metadata"]["name"] for pod in on.pods("space", "Deployment/web")] == found
    assert on.pods("space", "Deployment/none") == ()
    assert len(on.pods("space")) == 3


def test_what_is_not_ready_for_want_of_a_place_says_so() -> None:
    placed = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
    pod = {"metadata": {"name": "web-1"}, "status": {"conditions": [placed]}}
    with pytest.raises(ClusterError, match="web: 1 ready, web-1: 0/3 nodes are available"):
        lab(Cluster(Deployment=[deployment(2, readyReplicas=1)], Pod=[pod])).await_ready("space")


def test_a_load_goes_to_the_nodes_that_run_pods() -> None:
    cluster = Cluster(Node=[node("control", taint="NoSchedule"), node("w", zone="b"), node("w2", zone="c")])
    assert lab(cluster).addresses() == ["10.0.0.1", "10.0.0.2"]


def test_what_a_killed_run_left_is_undone_and_nothing_else() -> None:
    spaces = [{"metadata": {"name": name}} for name in ("default", "gati", "gati-e2e-0a1b2c-upgrade")]
    cluster = Cluster(Namespace=spaces, Node=[node("w"), node("w2", closed=True)])
    lab(cluster).sweep()
    assert cluster.deleted == ["gati-e2e-0a1b2c-upgrade", "cordon of w2"]


def test_one_namespace_that_cannot_be_removed_leaves_no_other_behind() -> None:
    class Stubborn(Cluster):
        def delete(self, kind: str, name: str, *words: Any, **options: Any) -> None:
            if name == "gati-e2e-b":
                raise ClusterError("the API server gives no answer", found="broken pipe")
            super().delete(kind, name, *words, **options)

        def get(self, *_: Any, **__: Any) -> None:
            return None

    cluster = Stubborn()
    made = lab(cluster)
    made._namespaces.extend(["gati-e2e-a", "gati-e2e-b", "gati-e2e-c"])
    with pytest.raises(ClusterError, match="1 of 3 namespaces of the run are left") as caught:
        made.clean(cluster, wait=True)
    assert cluster.deleted == ["gati-e2e-a", "gati-e2e-c"]
    assert caught.value.run == "kubectl delete namespace gati-e2e-b"


@pytest.mark.parametrize("found", [{"outside": ("ClusterRole/wide",)}, {"home": "fixed"}, {}])
def test_a_run_that_is_stopped_leaves_nothing_of_its_releases_outside_of_its_namespaces(found: dict[str, Any]) -> None:
    """The removal of a namespace takes no ClusterRole away, and one that was there before stays."""

    class Helm(Runner):
        def run(self, argv: Any, **_: Any) -> Any:
            done.append(f"{argv[1]} in {argv[4]}")

    class Lived(Cluster):
        def get(self, kind: str, name: str, *_: Any, **__: Any) -> dict[str, Any]:
            return {"metadata": {"name": name, "labels": {} if name == "fixed" else {"gati-e2e/run": made.run}}}

    done: list[str] = []
    twins = [{"metadata": {"name": name}} for name in ("web", "gati-e2e-web")]
    cluster = Lived(Service=twins)
    made = replace(lab(cluster), runner=Helm(), found=replace(FOUND, **found))
    made._namespaces.extend(["gati-e2e-a", "fixed"] if "home" in found else ["gati-e2e-a"])
    made.clean(cluster, wait=False)
    assert done == [f"uninstall in {name}" for name in made._namespaces if found]
    assert cluster.deleted == ["gati-e2e-a", *(["gati-e2e-web"] if "home" in found else [])]


def test_helm_is_asked_once_for_the_objects_of_a_revision() -> None:
    class Helm(Runner):
        def run(self, argv: Any, **_: Any) -> Any:
            words.append(argv[2])
            kind = {"hooks": "Pod", "manifest": "Service"}[argv[2]]
            return Result(tuple(argv), 0, f"kind: {kind}\nmetadata: {{name: web-{len(words)}}}\n", "", 0.0)

    def record(number: int) -> dict[str, Any]:
        return {"metadata": {"uid": f"uid-{number}", "labels": {"version": str(number)}}}

    words: list[str] = []
    cluster = Cluster(Secret=[record(9)])
    made = replace(lab(cluster), runner=Helm())
    for again in (made, made.attempt(2)):
        assert [one.label for hooks in (False, True) for one in again.manifest("space", hooks=hooks)] == [
            "Service web-1",
            "Pod web-2",
        ]
    assert words == ["manifest", "hooks"]
    cluster.objects_by_kind["Secret"].insert(0, record(10))
    assert [one.label for one in made.manifest("space")] == ["Service web-3"]


def test_objects_of_several_namespaces_are_accepted_each_in_its_own() -> None:
    class Kubectl(Runner):
        def run(self, argv: Any, **more: Any) -> Any:
            given[argv[4]] = [one.name for one in read_manifests(more["stdin"])]
            return Result(tuple(argv), 0, "", f"Warning: {argv[4]}\n", 0.0)

    given: dict[str, list[str]] = {}
    text = "".join(
        f"---\n# Source: web/{name}\nkind: Role\nmetadata: {{name: {name}{place}}}\n"
        for name, place in (("a", ""), ("b", ", namespace: kube-system"), ("c", ", namespace: space"), ("d", ""))
    )
    made = replace(lab(Cluster()), runner=Kubectl())
    assert made.apply_dry(text, "space").splitlines() == [f"Warning: {place}" for place in given]
    assert given == {"--namespace=space": ["a", "c", "d"], "--namespace=kube-system": ["b"]}


@pytest.mark.parametrize("at_once", [True, False])
def test_a_helm_that_cannot_uninstall_is_told_and_the_rest_is_removed(at_once: bool) -> None:
    class Helm(Runner):
        def run(self, argv: Any, **_: Any) -> Any:
            raise CommandFailed([*map(str, argv)], 1, stderr="Error: Kubernetes cluster unreachable")

    class Empty(Cluster):
        def get(self, *_: Any, **__: Any) -> None:
            return None

    cluster = Empty()
    made = replace(lab(cluster), runner=Helm(), found=replace(FOUND, outside=("ClusterRole/wide",)))
    made._namespaces.extend(["gati-e2e-a", "gati-e2e-b"])
    with pytest.raises(ClusterError) as told:
        made.forget_all() if at_once else made.clean(cluster, wait=False)
    assert "helm could not uninstall gati from gati-e2e-a, so look for ClusterRole/wide" in str(told.value)
    assert "Kubernetes cluster unreachable" in str(told.value)
    assert sorted(cluster.deleted) == ["gati-e2e-a", "gati-e2e-b"]


def test_nobody_counts_on_every_node_while_one_is_closed() -> None:
    """Two may count at a time; who closes a node waits for both, and a third one for it."""
    mine, events = lab(Cluster()), list[str]()
    counted, closed = threading.Event(), threading.Event()

    def close() -> None:
        with replace(mine, run="other").fewer_nodes():
            events.append("closed")
            closed.set()
            counted.wait(5)
            events.append("open")

    def count() -> None:
        closed.wait(5)
        counted.set()
        with mine.every_node():
            events.append("counted")

    threads = [threading.Thread(target=one) for one in (close, count)]
    with mine.every_node(), mine.every_node():
        for thread in threads:
            thread.start()
        assert not closed.wait(0.2)
    for thread in threads:
        thread.join(5)
    assert events == ["closed", "open", "counted"]


class Load:
    """A load of which the requests of a second are there whenever somebody looks."""

    cut: Sequence[Request] = ()
    went_on = 0
    slow = 0.1

    def __init__(self, status: int) -> None:
        self.begin = time.time()
        self.found = [
            Request(
                self.begin + at, seconds=0.1, status=status, kind="new", target="t", pod="p", version="1", behind="b"
            )
            for at in range(300)
        ]

    def requests(self) -> list[Request]:
        return self.found

    def go_on(self, end: float) -> None:
        self.went_on += 1

    def longest(self, since: float) -> float:
        return self.slow if self.went_on < 4 else 0.1  # seconds

    all = requests


def test_what_is_under_test_begins_when_the_load_has_settled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    running = Load(200)
    running.slow = 5.0
    monkeypatch.setattr("scripts.e2e.recording.load", lambda *_, **__: contextlib.nullcontext(running))
    with record(
        tmp_path,
        Runner(),
        cast("Any", Cluster()),
        "space",
        targets=["t"],
        results=tmp_path / "r",
        question=Question("web"),
        rate=1,
        note=lambda _: None,
    ):
        assert running.went_on == 4


def test_a_load_that_ends_by_itself_proves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As where the machine has no memory for it: that is no fault of the chart."""

    @contextlib.contextmanager
    def record(*_: object, **__: object) -> Iterator[None]:
        raise LoadEnded("the load ended before it was told to", found="signal: killed")
        yield

    monkeypatch.setattr("scripts.e2e.lab.record", record)
    monkeypatch.setattr(Lab, "open", lambda *_, **__: (None, ["http://node"]))
    mine = replace(lab(Cluster()), found=replace(FOUND, question=Question("web")), folder=tmp_path)
    with (
        pytest.raises(Unproven, match="upgrade: the load ended before it was told to"),
        mine.load(Journal("upgrade", lambda _: None), "space", "upgrade"),
    ):
        pass


@pytest.mark.parametrize(("front", "back"), [(200, 503), (503, 200), (503, 503), (200, 200)])
def test_the_step_in_which_requests_are_lost_is_the_last(
    front: int, back: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of two loads, one within the other, the one that lost is blamed, and not for having too few requests."""
    statuses = {"front": front, "back": back}

    @contextlib.contextmanager
    def load(*_: object, question: Question, **__: object) -> Iterator[Load]:
        yield Load(statuses[question.service])

    outside = SimpleNamespace(asked=(), name="gati-e2e-web", followed=contextlib.nullcontext)
    monkeypatch.setattr("scripts.e2e.recording.load", load)
    monkeypatch.setattr(Lab, "open", lambda *_, **__: (outside, ["http://node"]))
    front_asks, back_asks = (Question(name, "", "http", "/") for name in statuses)
    found = replace(FOUND, question=front_asks, behind=("Deployment/front",), also=(("Deployment/back", back_asks),))
    mine, journal = replace(lab(Cluster()), found=found, folder=tmp_path), Journal("changes", lambda _: None)

    def run() -> None:
        with (
            mine.load_behind(journal, "space", "load"),
            mine.load(journal, "space", "load", kinds=["new"], enough=300 if front == 200 else 3000),
        ):
            with journal.step("harmless"):
                pass
            with journal.step("never"):
                pass

    if (front, back) == (200, 200):
        run()
        assert "never" in [step.name for step in journal.steps]
        return
    told = "load" if front == 503 else "load, back"
    with pytest.raises(LoadFailed, match=f"^{told}: 300 of 300 requests were lost, by the end of the step: harmless\n"):
        run()
    assert "never" not in [step.name for step in journal.steps]
    assert "proves nothing" not in journal.steps[-1].error


@pytest.mark.parametrize(
    ("answers", "told", "asked"),
    [
        ({"/": 200, "/ready": 200}, {}, ("/", 200)),
        ({"/": 302, "/ready": 200}, {}, ("/", 302)),
        ({"/": 404, "/ready": 204}, {}, ("/ready", 204)),
        ({"/": 401, "/ready": 200}, {}, ("/ready", 200)),
        ({"/": 401, "/ready": 500}, {}, ("/", 401)),
        ({"/": 405}, {"otherwise": ""}, ("/", 405)),
        ({"/": 200, "/ready": 418}, {"statuses": (418,)}, ("/ready", 418)),
    ],
)
def test_a_path_and_a_status_that_are_not_told_are_found(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, int], told: dict[str, Any], asked: tuple[str, int]
) -> None:
    """Who needs a login, or another method, answers nevertheless."""
    monkeypatch.setattr("scripts.e2e.lab.asked", lambda url, _: (answers[url.removeprefix("http://web")], "", {}))
    made = lab(Cluster())
    found = made._settled(Question("web", **{"statuses": (), "otherwise": "/ready", **told}), "http://web", SEEN)
    assert (found.path, *found.statuses) == asked
    assert made.question == found


@pytest.mark.parametrize(
    ("error", "tls", "protocol", "otherwise"),
    [
        ("status Unimplemented: unknown service grpc.health.v1.Health", False, "tcp", ""),
        ("", False, "grpc", ""),
        (
            "status Unimplemented: unexpected HTTP status code received from server: 404 (Not Found)",
            False,
            "grpc",
            "tcp",
        ),
        ("status Unavailable: connection refused", False, "grpc", "tcp"),
        ("status Unavailable: error reading server preface: EOF", True, "tcp", ""),
    ],
    ids=["it tells none", "it tells it", "a proxy's word", "nobody knows yet", "it asks for TLS"],
)
def test_a_server_that_tells_no_health_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: str, tls: bool, protocol: str, otherwise: str
) -> None:
    @contextlib.contextmanager
    def load(_: Path, __: Runner, targets: list[str], ___: Path, **more: Any) -> Iterator[Any]:
        given.append((targets, more["question"].protocol))
        status, behind = (0, "") if error else (200, "web")
        yield SimpleNamespace(requests=lambda: [Request(1.0, 0.1, "new", "t", status, error, behind=behind)])

    given: list[Any] = []
    outside = SimpleNamespace(node_port=30000, asked=["web"], follow=lambda: None)
    monkeypatch.setattr("scripts.e2e.lab.load", load)
    monkeypatch.setattr("scripts.e2e.lab.Outside", lambda *_, **__: outside)
    monkeypatch.setattr("scripts.e2e.lab.connects", lambda _: True)
    monkeypatch.setattr("scripts.e2e.lab.speaks_tls", lambda _: tls)
    question = Question("web", protocol="grpc", otherwise="tcp")
    made = replace(lab(Cluster(Node=[node("w")])), found=replace(FOUND, question=question), folder=tmp_path)
    for _ in range(2):
        made.open("space")
    assert (made.question.protocol, made.question.otherwise) == (protocol, otherwise)
    assert given == [(["10.0.0.1:30000"], "grpc")] * (2 if otherwise else 1)


def test_what_answers_is_asked_without_a_proxy_and_not_led_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # which keeps a connection open, where nobody says otherwise

        def do_GET(self) -> None:
            hosts.append(self.headers["Host"])
            status, _, more = self.path.removeprefix("/").partition("?")
            self.send_response(int(status))
            self.send_header("Location", "/200")
            self.end_headers()
            self.wfile.write(more.encode())

        def log_message(self, *_: Any) -> None:
            pass

    hosts: list[str | None] = []
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        place = f"http://127.0.0.1:{server.server_port}"
        found = [asked(f"{place}/{path}") for path in ('200?{"pod":1}', "200?[]", "302", '404?{"pod":1}')]
        assert asked(f"{place}/204", [("Host", "shop.example")])[0] == 204
        server.shutdown()
    assert hosts == [*[place.removeprefix("http://")] * 4, "shop.example"]
    assert found == [(200, "/200", {"pod": 1}), (200, "/200", {}), (302, "/200", {}), (404, "/200", {})]
    assert asked("https://127.0.0.1:1/") == (0, "", {})


@pytest.mark.parametrize(("leads", "status"), [(True, 200), (True, 404), (False, 0)])
def test_a_pod_is_asked_past_the_api_server_with_every_header(tmp_path: Path, leads: bool, status: int) -> None:
    class Particular(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            right = self.headers["Host"] == "shop.example" and self.headers["Authorization"] == "Basic eA=="
            self.send_response(200 if right and self.path == "/200" else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    headers = [("Host", "shop.example"), ("Authorization", "Basic eA==")]
    with ThreadingHTTPServer(("127.0.0.1", 0), Particular) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        says = f"echo 'Forwarding from 127.0.0.1:{server.server_port} -> 80'; exec sleep 60" if leads else "exit 1"
        (kubectl := tmp_path / "kubectl").write_text(f"#!/bin/sh\necho $@\n{says}\n", encoding="utf-8")
        kubectl.chmod(0o755)
        made = replace(lab(Cluster()), tools=Tools(Path("helm"), kubectl, Path("k6")), folder=tmp_path)
        pod = {"metadata": {"name": "web-1", "namespace": "space"}}
        ask = partial(made.ask_past_server, pod, port=80, path=str(status), scheme="http", headers=headers)
        try:
            if leads:
                assert ask() == status
            else:
                told = r"kubectl leads nobody to pod web-1\n.*port-forward --namespace=space pod/web-1 :80"
                with pytest.raises(ClusterError, match=told):
                    ask()
        finally:
            server.shutdown()


@pytest.mark.parametrize("status", [0, 400, 404, 503])
def test_what_is_no_answer_is_told_with_what_can_be_said_of_it(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    at_once = Cluster.wait
    monkeypatch.setattr(Cluster, "wait", lambda self, probe, **words: at_once(self, probe, **{**words, "deadline": 0}))
    monkeypatch.setattr("scripts.e2e.lab.asked", lambda url, _: (status, "", {}))
    with pytest.raises(
        ClusterError,
        match=r"/: (status \d+|no answer); 12:00:00 web is not there; .*path, statuses under \[tool\.gati\.e2e\]",
    ):
        lab(Cluster())._settled(Question("web", statuses=()), "http://web", SEEN)


@pytest.mark.parametrize("when", ["before it settled", "later"])
def test_what_the_machine_lost_never_ends_a_load_that_then_passes(
    when: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A loss before the load has settled ends nothing, a later one makes it void: no step is left out and passed."""
    running = Load(200)
    lost = replace(running.found[0], at=running.begin + (-10 if when == "before it settled" else 1), status=503)
    running.found = [*(replace(one, at=one.at - 10) for one in running.found), lost]
    there = [replace(one, status=200) for one in running.found]
    control = SimpleNamespace(begin=0.0, between=lambda *_, **__: [*there, replace(lost, seconds=3.0)])
    monkeypatch.setattr("scripts.e2e.recording.load", lambda *_, **__: contextlib.nullcontext(running))
    outside = SimpleNamespace(asked=(), name="gati-e2e-web", followed=contextlib.nullcontext)
    monkeypatch.setattr(Lab, "open", lambda *_, **__: (outside, ["http://node"]))
    found = replace(FOUND, question=Question("web", "", "http", "/"))
    mine = replace(lab(Cluster()), found=found, folder=tmp_path, control=cast("Any", control))
    journal = Journal("changes", lambda _: None)
    with (
        contextlib.nullcontext() if when == "before it settled" else pytest.raises(Unproven, match="in the way"),
        mine.load(journal, "space", "load", kinds=["new"], rate=1, enough=300),
    ):
        for name in ("harmless", "never"):
            with journal.step(name):
                pass
    assert ("never" in [step.name for step in journal.steps]) == (when == "before it settled")
