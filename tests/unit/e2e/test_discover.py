"""What a chart's objects say of the load, of what it runs and keeps; and what it is told instead."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from scripts.chart.manifests import read_manifests
from scripts.core.errors import ConfigError
from scripts.e2e.discover import Found, discover, home_of
from scripts.e2e.subject import Subject, read_subject

SUBJECT = Subject("app")


def workload(kind: str = "Deployment", *, port: str = "{name: web, containerPort: 8080}", probe: str = "") -> str:
    ready = f"readinessProbe: {probe}" if probe else ""
    return f"""
apiVersion: apps/v1
kind: {kind}
metadata: {{name: app}}
spec:
  template:
    metadata: {{labels: {{app: web, more: than-asked}}}}
    spec:
      initContainers: [{{name: first, image: "prepare:1"}}]
      containers:
      - name: app
        image: "app:1"
        ports: [{port}]
        {ready}
"""


def service(*ports: str, name: str = "app", selector: str = "{app: web}", more: str = "") -> str:
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {selector}
  ports: [{", ".join(ports)}]
  {more}
"""


def found(*texts: str, subject: Subject = SUBJECT) -> Found:
    return discover(read_manifests("\n---\n".join(texts)), subject)


@pytest.mark.parametrize(
    ("probe", "port", "asked"),
    [
        ("{httpGet: {path: /ready, port: web}}", "{port: 80, targetPort: web}", "http / of Service app"),
        ("{httpGet: {path: /ready, port: 8080}}", "{port: 80, targetPort: web}", "http / of Service app"),
        ("{httpGet: {port: web, scheme: HTTPS}}", "{port: 9, targetPort: 8080}", "https / of Service app"),
        ("{grpc: {port: 8080}}", "{name: api, port: 80, targetPort: web}", "grpc of Service app, port api"),
        ("{tcpSocket: {port: web}}", "{port: 6379, targetPort: web}", "tcp of Service app"),
        ("{tcpSocket: {port: web}}", "{name: http, port: 6379, targetPort: web}", "http / of Service app, port http"),
        ("", "{port: 80, targetPort: web}", "http / of Service app"),
        ("", "{port: 50051, targetPort: web}", "grpc of Service app"),
        ("", "{port: 9000, targetPort: web, appProtocol: grpc}", "grpc of Service app"),
        ("", "{port: 80, targetPort: web, name: http, appProtocol: tls}", "tcp of Service app, port http"),
        ("", "{port: 9, targetPort: web, appProtocol: kubernetes.io/wss}", "https / of Service app"),
        (
            "",
            "{port: 9, targetPort: web, name: grpc, appProtocol: kubernetes.io/h2c}",
            "grpc of Service app, port grpc",
        ),
        ("", "{port: 5432, targetPort: web}", "tcp of Service app"),
        ("{exec: {command: [true]}}", "{port: 443, targetPort: web}", "https / of Service app"),
    ],
)
def test_what_is_asked_is_what_the_readiness_probe_asks_else_by_the_port(probe: str, port: str, asked: str) -> None:
    seen = found(workload(probe=probe), service(port))
    assert str(seen.question) == asked
    assert seen.behind == ("Deployment/app",)
    assert seen.lacks == ()


def test_a_container_may_answer_at_a_number_that_it_does_not_name() -> None:
    for named in ("", "{containerPort: 8080}"):
        assert (
            str(found(workload(port=named), service("{port: 80, targetPort: 9}")).question) == "http / of Service app"
        )
    both = service("{name: http-a, port: 80, targetPort: 9}", "{name: b, port: 81, targetPort: 8080}")
    assert str(found(workload(port="{containerPort: 8080}"), both).question) == "tcp of Service app, port b"


def test_a_probed_port_goes_before_others_http_before_the_rest_and_headless_last() -> None:
    probed = workload(port="{name: web, containerPort: 8080}, {containerPort: 9090}", probe="{httpGet: {port: web}}")
    metrics, web = "{name: metrics, port: 9090, targetPort: 9090}", "{name: web, port: 80, targetPort: web}"
    headless = service(web, name="app-peers", more="clusterIP: None")
    seen = found(probed, headless, service(metrics, web)).question
    assert seen is not None
    assert (seen.service, seen.port) == ("app", "web")
    assert seen.otherwise == ""
    only = found(probed, headless).question
    assert only is not None
    assert only.service == "app-peers"


HOOKED = """apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: hook}
webhooks: [{name: a.b.c, clientConfig: {service: {name: app}}}, {name: d.e.f, clientConfig: {url: "https://g"}}]
"""
ENTERED = """apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: in}
spec: {rules: [{http: {paths: [{path: /, backend: {service: {name: app-public, port: {name: http}}}}]}}]}
"""
CLIENT, PEER = "{name: client, port: 9092, targetPort: web}", "{name: http, port: 8222, targetPort: 8222}"


@pytest.mark.parametrize(
    ("services", "asked"),
    [
        ([service(PEER, name="app-peers", more="clusterIP: None"), service(CLIENT)], "tcp of Service app, port client"),
        (
            [service(PEER.replace("http", "http-metrics")), service(CLIENT, name="other")],
            "tcp of Service other, port client",
        ),
        (
            [service(PEER, name="app-metrics"), service(CLIENT, name="peers", more="clusterIP: None")],
            "tcp of Service peers, port client",
        ),
        ([service(PEER, name="app-store"), service(PEER)], "http / of Service app, port http"),
        (
            [service(PEER, name="app-admin"), service(PEER, name="app-public")],
            "http / of Service app-public, port http",
        ),
        (
            [HOOKED, service(PEER, name="app"), service(PEER, name="app-public")],
            "http / of Service app-public, port http",
        ),
        (
            [ENTERED, service(PEER, name="app"), service(PEER, name="app-public")],
            "http / of Service app-public, port http",
        ),
        (
            [
                ENTERED.replace("path: /", "path: /api").replace("app-public", "app"),
                *(ENTERED, service(PEER), service(PEER, name="app-public")),
            ],
            "http / of Service app-public, port http",
        ),
        (
            [ENTERED.replace("http}", "client}"), service(PEER, CLIENT, name="app-public")],
            "tcp of Service app-public, port client",
        ),
        ([service(PEER.replace("http", "telemetry"), CLIENT)], "tcp of Service app, port client"),
        ([service(PEER.replace("http", "manage"), CLIENT)], "tcp of Service app, port client"),
    ],
    ids=[
        *("has an address", "for clients", "for clients without an address", "the shorter name", "not for admins"),
        *("not for the API server", "behind an Ingress", "at its root", "by its port", "not for those who watch"),
        "nor for those who run it",
    ],
)
def test_what_clients_ask_goes_before_what_peers_and_those_who_watch_ask(services: list[str], asked: str) -> None:
    ports = "{name: web, containerPort: 8080}, {containerPort: 8222}"
    assert str(found(workload(port=ports, probe="{httpGet: {port: 8222}}"), *services).question) == asked


def test_no_client_asks_where_pods_find_each_other_unless_that_is_told() -> None:
    early = "clusterIP: None\n  publishNotReadyAddresses: true"
    peers = service("{port: 7000, targetPort: web}", name="peers", more=early)
    text = workload("StatefulSet").replace("spec:\n", "spec:\n  serviceName: peers\n", 1)
    assert found(text, peers).lacks == ("a load: Service peers is there for pods to find each other, ready or not",)
    assert str(found(text, peers, service("{port: 80, targetPort: web}")).question) == "http / of Service app"
    assert str(found(text, peers, subject=replace(SUBJECT, service="peers")).question) == "tcp of Service peers"


def test_the_path_of_the_probe_is_asked_where_the_root_is_not_answered() -> None:
    question = found(
        workload(probe="{httpGet: {path: /ready, port: web}}"), service("{port: 80, targetPort: web}")
    ).question
    assert question is not None
    assert (question.path, question.otherwise) == ("/", "/ready")
    told = replace(SUBJECT, path="/told", statuses=(204,), method="HEAD")
    question = found(workload(), service("{port: 80, targetPort: web}"), subject=told).question
    assert question is not None
    assert (question.path, question.otherwise, question.statuses, question.kept_method) == ("/told", "", (204,), "HEAD")


@pytest.mark.parametrize(
    ("probe", "subject", "otherwise"),
    [
        ("", SUBJECT, "tcp"),
        ("{tcpSocket: {port: web}}", SUBJECT, "tcp"),
        ("{grpc: {port: 8080}}", SUBJECT, ""),
        ("", replace(SUBJECT, protocol="grpc"), ""),
        ("", replace(SUBJECT, grpc_service="shop"), ""),
    ],
    ids=["by its number", "though it is connected to", "by its probe", "told", "told whose health"],
)
def test_who_is_guessed_to_speak_grpc_may_tell_no_health(probe: str, subject: Subject, otherwise: str) -> None:
    question = found(workload(probe=probe), service("{port: 50051, targetPort: web}"), subject=subject).question
    assert question is not None
    assert (question.protocol, question.otherwise) == ("grpc", otherwise)


@pytest.mark.parametrize("told", [SUBJECT, replace(SUBJECT, path="ready")])
def test_a_path_may_be_told_without_its_slash(told: Subject) -> None:
    text = workload(probe="{httpGet: {path: ready, port: web}}")
    question = found(text, service("{port: 80, targetPort: web}"), subject=told).question
    assert question is not None
    assert "/ready" in (question.path, question.otherwise)


def test_the_headers_of_the_probe_are_sent_for_a_server_may_answer_no_other_host() -> None:
    headers = "httpHeaders: [{name: Host, value: shop.example}, {name: X-Probe}]"
    probe = f"{{httpGet: {{path: /ready, port: web, {headers}}}}}"
    question = found(workload(probe=probe), service("{port: 80, targetPort: web}")).question
    assert question is not None
    assert question.headers == (("Host", "shop.example"), ("X-Probe", ""))


def test_a_sidecar_may_be_what_answers() -> None:
    beside = "{name: proxy, image: p, restartPolicy: Always, ports: [{name: in, containerPort: 9}]}"
    text = workload(port="{}").replace("initContainers: [", f"initContainers: [{beside}, ")
    assert str(found(text, service("{port: 80, targetPort: in}")).question) == "http / of Service app"
    ends = text.replace("restartPolicy: Always, ", "")
    assert found(ends, service("{port: 80, targetPort: in}")).question is None


@pytest.mark.parametrize(
    ("resources", "share"),
    [
        ("{}", "0"),
        ("{requests: {cpu: 30m}, limits: {cpu: 1}}", "0.03"),
        ("{limits: {cpu: 0.5}}", "0.5"),  # which is what it asks for, too
        ("{requests: {memory: 1Gi}, limits: {memory: 1Gi}}", "0"),
    ],
)
def test_the_least_of_a_processor_that_who_answers_is_sure_of(resources: str, share: str) -> None:
    asked = workload(port=f"{{name: web, containerPort: 8080}}]\n        resources: {resources}\n        args: [")
    large = workload(
        "StatefulSet", port="{containerPort: 1}]\n        resources: {requests: {cpu: 2}}\n        args: ["
    )
    assert found(asked, large, service("{port: 80, targetPort: web}")).share == Decimal(share)


@pytest.mark.parametrize(
    ("texts", "lacks"),
    [
        ([workload()], ("a load: the chart has no Service",)),
        ([workload(), service("{port: 80}", selector="{app: another}")], ("a load: no Service of app leads to",)),
        ([workload(), service("{port: 53, targetPort: web, protocol: UDP}")], ("a load: no Service of app leads to",)),
        ([workload(), service("{port: 80, targetPort: nine}")], ("a load: no Service of app leads to",)),
        (
            ["apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}"],
            ("a load: the chart has no Service", "a workload: nothing runs all the time"),
        ),
    ],
)
def test_what_cannot_be_found_is_said(texts: list[str], lacks: tuple[str, ...]) -> None:
    seen = found(*texts)
    assert seen.question is None
    assert len(seen.lacks) == len(lacks)
    for said, expected in zip(seen.lacks, lacks, strict=True):
        assert said.startswith(expected)
        assert f"not found: {said}" in seen.lines()


def test_what_a_chart_runs_and_keeps() -> None:
    claims = "\n  volumeClaimTemplates: [{metadata: {name: data}}]"
    job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: once}\n"
    job += "spec: {template: {spec: {containers: [{image: 'j:1'}]}}}"
    hook = job.replace("{name: once}", "{name: hook, annotations: {helm.sh/hook: 'pre-upgrade,test'}}")
    crd = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: notes.example}"
    seen = found(workload("StatefulSet") + claims, job, hook, crd, subject=replace(SUBJECT, images=("spawned:1",)))
    assert seen.workloads == ("StatefulSet/app",)
    assert seen.claims == ("StatefulSet/app (data)",)
    assert seen.others == ("Job/once",)
    assert seen.hooks == ("Job/hook (pre-upgrade, test)",)
    assert seen.definitions == ("notes.example",)
    assert seen.images == ("spawned:1", "prepare:1", "app:1", "j:1")


def test_nobody_is_asked_where_nobody_runs() -> None:
    """Until a scaler or a person says how many pods there are, as of a chart that begins with none."""
    seen = found(workload().replace("spec:", "spec:\n  replicas: 0", 1), service("{port: 80, targetPort: web}"))
    assert (seen.question, seen.workloads) == (None, ("Deployment/app",))
    assert seen.lacks == ("a load: no Service of app leads to an open TCP port of a workload with replicas",)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"service": "another"}, "service names another"),
        ({"backs": ["Deployment/none"]}, "backs names Deployment/none"),
        ({"servise": "app"}, "no key 'servise'"),
        ({"statuses": ["200"]}, "statuses has the wrong type"),
        ({"protocol": "udp"}, "protocol is none"),
        ({"deadline": "10 m"}, "deadline has the wrong type"),
        ({"deadline": 0}, "deadline = 0 is no time"),
        ({"values": "replicas=2"}, "e2e.values.* must be a table"),
        ({"changes": {"a": 1}}, r"e2e.changes.a.* must be a table"),
        ({"protocol": "tcp", "differs": "version"}, "differs is about http, which is not what is asked"),
        ({"protocol": "https", "send": "PING"}, "send is about tcp, which is not"),
        ({"service": "app", "port": "no"}, None),
    ],
)
def test_what_is_told_is_read_strictly(told: dict[str, Any], message: str | None) -> None:
    def read() -> Found:
        return found(workload(), service("{port: 80, targetPort: web}"), subject=read_subject(told, "app"))

    if message is None:
        assert read().lacks == ("a load: no Service of app leads to an open TCP port of a workload",)
        return
    with pytest.raises(ConfigError, match=message):
        read()


def test_only_known_words_in_braces_are_filled_in() -> None:
    subject = read_subject({"values": {"a": "{images}/x:{version}", "b": ["{{ .Values.c }} {d}"], "n": 1}}, "app")
    values = subject.overlay(namespace="n", images="own", version="2", changes=["unknown"], knows=lambda _: True)
    assert values == {"a": "own/x:2", "b": ["{{ .Values.c }} {d}"], "n": 1}
    assert (subject.versioned, subject.release) == (True, "app")


def test_what_the_front_asks_is_asked_too() -> None:
    back = workload(port="{name: rpc, containerPort: 50051}", probe="{grpc: {port: 50051}}")
    back = back.replace("name: app}", "name: back}").replace("app: web", "app: back")
    lone = workload(port="{}").replace("name: app}", "name: lone}").replace("app: web", "app: lone")
    services = (
        service("{port: 80, targetPort: web}"),
        service("{port: 5, targetPort: rpc}", name="headless", selector="{app: back}", more="clusterIP: None"),
        service("{port: 5, targetPort: rpc}", name="back", selector="{app: back}"),
    )
    subject = Subject("app", service="app", path="/asked", backs=("Deployment/back", "Deployment/lone"))
    also = found(workload(), back, lone, *services, subject=subject).also
    assert [(name, str(question)) for name, question in also] == [("Deployment/back", "grpc of Service back")]


def put(namespace: str, name: str = "app", kind: str = "Deployment") -> str:
    where = f", namespace: {namespace}" if namespace else ""
    return f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}{where}}}\nspec: {{}}\n"


@pytest.mark.parametrize(
    ("texts", "home"),
    [
        ([put(""), put("", "b")], ""),
        ([put("mine"), put("mine", "b")], ""),
        ([put("fixed"), put("fixed", "b"), put("", kind="ConfigMap")], "fixed"),
        ([put("fixed"), put("", "b")], ""),
        ([put("fixed"), put("other", "b")], ""),
        ([put("fixed", kind="ConfigMap")], ""),
    ],
    ids=["none said", "the release's", "one", "one of two", "two", "nothing runs there"],
)
def test_a_namespace_that_the_workloads_are_always_in(texts: list[str], home: str) -> None:
    documents = read_manifests("\n---\n".join(texts), "mine")
    assert home_of(documents) == home


def test_objects_in_another_namespace_leave_room_for_one_installation() -> None:
    documents = read_manifests("\n---\n".join([put(""), put("other", "map", "ConfigMap")]), "mine")
    assert discover(documents, SUBJECT).elsewhere == ("other",)
    always = replace(discover(documents, SUBJECT), home="fixed")
    assert "one installation at a time, for its namespace, which is always fixed" in always.lines()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (service("{port: 80}"), ""),
        (service("{port: 80}", more="clusterIP: None"), ""),
        (service("{port: 80, nodePort: 30080}"), "port 30080 on the nodes"),
        (service("{port: 80}", more="clusterIP: 10.96.7.7"), "the address 10.96.7.7"),
        (workload(port="{containerPort: 8080, hostPort: 80}"), "port 80 on the nodes"),
        (
            workload().replace("      initContainers", "      hostNetwork: true\n      initContainers"),
            "port 8080 on the nodes",
        ),
    ],
)
def test_what_no_second_installation_can_have(text: str, told: str) -> None:
    assert found(text).exclusive == told
