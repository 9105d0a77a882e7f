"""Finds in the objects that a chart renders what its load may ask, what it runs and keeps, and says what it cannot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from scripts.chart.manifests import Document, mapping, mappings, nodes
from scripts.chart.pods import lasting, matches, pod_template, quantity
from scripts.cluster.objects import Object, labels_of, open_ports
from scripts.core.errors import ConfigError
from scripts.e2e.subject import Question, Subject

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
# What is told of a load, by the protocol that it can be told of.
_TOLD_OF = {
    "http": ("path", "method", "kept_method", "statuses", "proof", "differs", "route"),
    "grpc": ("grpc_service",),
    "tcp": ("send", "expect"),
}
ROUTES = frozenset({"Ingress", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"})
_OTHERS = ("Job", "CronJob", "Pod", "ReplicaSet")
_HTTP_PORTS = (80, 3000, 5000, 8000, 8080, 8081, 8888, 9090)
_TLS_PORTS = (443, 8443)
_GRPC_PORTS = (50051,)
# What is there for those who watch and run the application, and not for its clients: of Services, of ports.
_ASIDE = re.compile(r"metrics|exporter|webhook|admission|\b(?:admin|internal|management)\b")
_FOR_OTHERS = re.compile(r"metric|monitor|admin|internal|manage|mgn?m?t|telemetry|health|probe|debug|pprof|webhook")


@dataclass(frozen=True)
class Calls:
    """Whom a Service is for, by what names it: the API server calls those `inside`, clients come to those `outside`.

    These are with the port, by name or number; at `root` are those of them that clients come to without a path.
    """

    inside: frozenset[str] = frozenset()
    outside: frozenset[tuple[str, Any]] = frozenset()
    root: frozenset[tuple[str, Any]] = frozenset()


@dataclass(frozen=True)
class Found:
    """What a chart turned out to be. `question` is None where it has nothing to ask, which `lacks` says.

    `workloads` and `behind` (those of them that the question goes to) are "Kind/name"; `claims` are the workloads and
    claims that keep data, `definitions` the kinds that the chart defines, `others` what else it runs, `outside` what it
    has outside of its namespace. `also` are the workloads behind the front that can be asked, and how. `home` is the
    namespace that everything is in whatever the release's is, "" where it follows that; `elsewhere` are further ones.
    `fixed` is what no second installation can have: ports of the nodes, addresses. `share` is the least of a processor
    that a container behind the question is sure of, in cores.
    """

    question: Question | None
    workloads: tuple[str, ...]
    behind: tuple[str, ...]
    claims: tuple[str, ...]
    definitions: tuple[str, ...]
    others: tuple[str, ...]
    hooks: tuple[str, ...]
    images: tuple[str, ...]
    lacks: tuple[str, ...]
    outside: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    also: tuple[tuple[str, Question], ...] = ()
    home: str = ""
    elsewhere: tuple[str, ...] = ()
    share: Decimal = Decimal(0)

    @property
    def exclusive(self) -> str:
        """Why there can be one installation of it at a time, "" where there can be several."""
        if self.outside:
            return "what it has outside of its namespace"
        if self.home:
            return f"its namespace, which is always {self.home}"
        return ", ".join(self.fixed)

    def lines(self) -> list[str]:
        lists = (
            ("workloads", self.workloads), ("jobs", self.others), ("keeps data", self.claims),
            ("defines", self.definitions), ("hooks", self.hooks), ("outside of its namespace", self.outside),
        )  # fmt: skip
        told = [f"{what}: {', '.join(names)}" for what, names in lists if names]
        told += [f"one installation at a time, for {self.exclusive}"] if self.exclusive else []
        load = f"load: {self.question}" if self.question else ""
        return [*([load] if load else []), *told, *(f"not found: {what}" for what in self.lacks)]


NOTHING = Found(None, (), (), (), (), (), (), (), ("a load: nothing is known of the chart",))


def discover(documents: Iterable[Document], subject: Subject) -> Found:
    """What the rendered `documents` say, with what `subject` tells laid over. Raises ConfigError for what is not there.

    Asked is a Service with a port that its pods' readiness probe asks, HTTP before gRPC before TCP; else one with a
    port that leads to one of pods, which need not name its number. What an Ingress or a route leads to goes before the
    rest, from `/` first of all, what is for clients before what is for those who watch, and a Service with an address
    before one without. The load is told why where there is none.
    """
    every = list(documents)
    own = [document for document in every if not document.hook]
    workloads = {f"{document.kind}/{document.name}": document for document in own if document.kind in WORKLOADS}
    services = [document for document in own if document.kind == "Service"]
    ways = [way for document in own if document.kind in ROUTES for way in routed(document.spec)]
    calls = Calls(
        frozenset(str(end.get("name")) for document in every for end in called(document)),
        frozenset((name, key) for name, port, _ in ways for key in port.values()),
        frozenset((name, key) for name, port, path in ways for key in port.values() if not path.strip("/(.*)?")),
    )
    question, lack = _question(services, workloads, subject, calls)
    if question:
        _demand_spoken(question, subject)
    chosen = next((one for one in services if question and one.name == question.service), None)
    if absent := [name for name in subject.backs if name not in workloads]:
        raise ConfigError(
            f"[tool.gati.e2e] backs names {absent[0]}, which the chart does not render",
            expected=", ".join(workloads) or "no workload is rendered",
        )
    behind = {name: one for name, one in workloads.items() if chosen and _leads(chosen, one)}
    return Found(
        question=question,
        workloads=tuple(workloads),
        behind=tuple(behind),
        share=min(
            (_share(one) for pod in map(_pod, behind.values()) for one in lasting(pod["spec"])), default=Decimal(0)
        ),
        claims=tuple(_claims(own)),
        elsewhere=tuple(dict.fromkeys(one.namespace for one in every if one.elsewhere)),
        definitions=tuple(document.name for document in every if document.kind == "CustomResourceDefinition"),
        others=tuple(f"{one.kind}/{one.name}" for one in own if one.kind in _OTHERS),
        hooks=tuple(f"{one.kind}/{one.name} ({', '.join(sorted(one.hook))})" for one in every if one.hook),
        images=tuple(dict.fromkeys((*subject.images, *(image for one in every for image in _images(one))))),
        fixed=tuple(dict.fromkeys(_fixed(workloads.values(), services))),
        also=tuple(
            (name, asked)
            for name in subject.backs
            if (asked := _question([one for one in services if _leads(one, workloads[name])], workloads, Subject())[0])
        ),
        lacks=(*([lack] if lack else []), *([] if workloads else ["a workload: nothing runs all the time"])),
    )


def _demand_spoken(question: Question, subject: Subject) -> None:
    """What is told of the answers can be in them. Raises ConfigError."""
    spoken, unsaid = question.protocol.removesuffix("s"), Subject()
    for protocol, keys in _TOLD_OF.items():
        told = [key for key in keys if getattr(subject, key) != getattr(unsaid, key)]
        if told and protocol != spoken:
            raise ConfigError(
                f"[tool.gati.e2e] {told[0]} is about {protocol}, which is not what is asked",
                expected=f"a Service that speaks {protocol}, or no {told[0]}",
                found=str(question),
            )


def _fixed(workloads: Iterable[Document], services: Iterable[Document]) -> Iterator[str]:
    """What an installation takes of the cluster that no second one can have."""
    for pod in map(_pod, workloads):
        for port in (port for container in lasting(pod["spec"]) for port in container.get("ports") or ()):
            if number := port.get("hostPort") or (pod["spec"].get("hostNetwork") and port["containerPort"]):
                yield f"port {number} on the nodes"
    for spec in (service.spec for service in services):
        if spec.get("clusterIP") not in (None, "", "None"):
            yield f"the address {spec['clusterIP']}"
        yield from (f"port {port['nodePort']} on the nodes" for port in spec.get("ports") or () if port.get("nodePort"))


def _share(container: Mapping[str, Any]) -> Decimal:
    """The cores that a container is sure of; it asks for its limit where it asks for nothing."""
    resources = mapping(container.get("resources"))
    asked = {**mapping(resources.get("limits")), **mapping(resources.get("requests"))}
    return quantity(asked.get("cpu")) or Decimal(0)


def home_of(documents: Iterable[Document]) -> str:
    """The namespace that the workloads say they are in, which is not the release's; "" where some follow that."""
    spaces = {one.space for one in documents if one.kind in (*WORKLOADS, *_OTHERS) and not one.hook}
    follows = {one.release_namespace for one in documents} & spaces
    return "" if follows or len(spaces) != 1 else spaces.pop()


def _question(
    services: Sequence[Document], workloads: Mapping[str, Document], subject: Subject, calls: Calls = Calls()
) -> tuple[Question | None, str]:
    """What is asked, or None and why there is nothing to ask. Raises ConfigError."""
    named = [one for one in services if one.name == subject.service]
    if subject.service and not named:
        raise ConfigError(
            f"[tool.gati.e2e] service names {subject.service}, which the chart does not render",
            expected=", ".join(one.name for one in services) or "no Service is rendered",
        )
    choices = sorted(
        (choice for service in named or services for choice in _choices(service, workloads, subject, calls)),
        key=lambda choice: choice[0],
    )
    if choices:
        return choices[0][1], ""
    if not services:
        return None, "a load: the chart has no Service"
    names = ", ".join(one.name for one in services)
    if peers := [one.name for one in services if _of_peers(one, workloads)]:
        return None, f"a load: Service {', '.join(peers)} is there for pods to find each other, ready or not"
    asleep = any(_leads(one, workload) and _asleep(workload) for one in services for workload in workloads.values())
    return None, f"a load: no Service of {names} leads to an open TCP port of a workload" + " with replicas" * asleep


def _of_peers(service: Document, workloads: Mapping[str, Document]) -> bool:
    """Whether by a Service the pods of a StatefulSet find each other before they are ready: no client asks there."""
    peers = {workload.spec.get("serviceName") for workload in workloads.values()}
    early = service.spec.get("publishNotReadyAddresses") and service.spec.get("clusterIP") == "None"
    return bool(early) and service.name in peers


def _asleep(workload: Document) -> bool:
    """Whether there are no pods of it until somebody, or a scaler, says how many."""
    return workload.spec.get("replicas") == 0


def _choices(
    service: Document, workloads: Mapping[str, Document], subject: Subject, calls: Calls
) -> Iterator[tuple[tuple[int, ...], Question]]:
    """Each port of a Service that may be asked, with its rank: the lowest is the best."""
    spec = service.spec
    pods = [_pod(workload) for workload in workloads.values() if _leads(service, workload) and not _asleep(workload)]
    if not subject.service and _of_peers(service, workloads):
        return
    for number, port in enumerate(spec.get("ports") or ()):
        told = bool(subject.port) and subject.port in (port.get("name"), str(port.get("port")))
        if port.get("protocol", "TCP") != "TCP" or (subject.port and not told) or not pods:
            continue
        target = port.get("targetPort", port["port"])
        probe, opened = probe_of(pods, target), target in open_ports(pods)
        get = probe.get("httpGet", {})
        if not (probe or opened or told or subject.service or isinstance(target, int)):
            continue
        protocol = subject.protocol or protocol_of(port, probe)
        # Who is taken for a server of gRPC by a name or a number need not tell its health.
        guessed = protocol == "grpc" and "grpc" not in probe and not (subject.protocol or subject.grpc_service)
        question = Question(
            service=service.name,
            port=str(port.get("name") or ""),
            protocol=protocol,
            path=_rooted(subject.path) or "/",
            otherwise="tcp" if guessed else "" if subject.path else _rooted(str(get.get("path") or "")),
            headers=tuple((one["name"], one.get("value") or "") for one in get.get("httpHeaders") or ()),
            method=subject.method,
            kept_method=subject.kept_method or subject.method,
            statuses=subject.statuses,
            proof=subject.proof,
            version=subject.differs or "version",
            send=subject.send,
            expect=subject.expect,
            grpc_service=subject.grpc_service or str(probe.get("grpc", {}).get("service") or ""),
        )
        order = ("http", "https", "grpc", "tcp").index(protocol)
        name, headless = question.service, spec.get("clusterIP") == "None"
        aside = name in calls.inside or _ASIDE.search(name) or _FOR_OTHERS.search(question.port)
        ends = {(name, port["port"]), (name, question.port)}
        entered = (ends.isdisjoint(calls.outside), ends.isdisjoint(calls.root))
        yield (bool(aside), *entered, headless, not probe, not opened, order, len(name), number), question


def called(document: Document) -> Iterator[Mapping[str, Any]]:
    """The Services that the API server calls for an object (of webhooks, conversions, APIs), as that names them."""
    spec = document.spec
    hooks = [*mappings(document.data.get("webhooks")), mapping(mapping(spec.get("conversion")).get("webhook"))]
    ends = [mapping(hook.get("clientConfig")).get("service") for hook in hooks]
    ends.append(spec.get("service") if document.kind == "APIService" else None)
    return filter(None, map(mapping, ends))


def routed(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Where an Ingress, or a route of the Gateway API, leads: a Service, its port by name or number, and the path."""
    for path, end in ends_of_ingress(spec):
        if "service" in end:
            yield end["service"]["name"], end["service"].get("port") or {}, path
    for rule in spec.get("rules") or ():
        matches: Sequence[Mapping[str, Any]] = rule.get("matches") or ({},)
        path = min(str((match.get("path") or {}).get("value") or "/") for match in matches)
        for ref in rule.get("backendRefs") or ():
            if not (ref.get("namespace") or ref.get("group")) and ref.get("kind", "Service") == "Service":
                yield ref["name"], {"number": ref.get("port")}, path


def ends_of_ingress(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where the paths of an Ingress lead, and what else comes to it; {} where there is no default."""
    for rule in spec.get("rules") or ():
        yield from ((path.get("path") or "/", path["backend"]) for path in (rule.get("http") or {}).get("paths") or ())
    yield "/", spec.get("defaultBackend") or {}


def protocol_of(port: Mapping[str, Any], probe: Mapping[str, Any]) -> str:
    """What is spoken at a port of a Service whose pods' readiness probe on it is `probe`, {} without one."""
    told = str(port.get("appProtocol") or "").lower()  # says more than the name, and than the number
    said = told or str(port.get("name") or "").lower()
    if "httpGet" in probe:
        return "https" if probe["httpGet"].get("scheme") == "HTTPS" else "http"
    if "grpc" in probe or "grpc" in said or (told.endswith("/h2c") and "grpc" in str(port.get("name") or "")):
        return "grpc"
    if told:
        return {"http": "http", "https": "https", "ws": "http", "wss": "https"}.get(told.rpartition("/")[2], "tcp")
    if port["port"] in _GRPC_PORTS:
        return "grpc"
    if "https" in said or port["port"] in _TLS_PORTS:
        return "https"
    return "http" if "http" in said or (not probe and port["port"] in _HTTP_PORTS) else "tcp"


def _rooted(path: str) -> str:
    """A path as a URL has it: of a probe and by hand it may be told without the slash before it."""
    return f"/{path}" if path and not path.startswith("/") else path


def probe_of(pods: Iterable[Mapping[str, Any]], target: Any) -> Mapping[str, Any]:
    """The readiness probe of a container that asks its port `target` (a name or number); {} where there is none."""
    for pod in pods:
        known = open_ports([pod])
        for probe in (container.get("readinessProbe") or {} for container in lasting(pod["spec"])):
            asked = next((probe[way].get("port") for way in ("httpGet", "grpc", "tcpSocket") if way in probe), None)
            if asked is not None and _number(asked, known) == _number(target, known):
                return probe
    return {}


def _number(port: Any, known: Mapping[str | int, int]) -> Any:
    return known.get(port, int(port) if str(port).isdecimal() else port)


def _pod(workload: Document) -> Object:
    """The pods that a workload makes, as far as they are rendered."""
    template = mapping(pod_template(workload.kind, workload.data))
    return {"metadata": mapping(template.get("metadata")), "spec": mapping(template.get("spec"))}


def _leads(service: Document, workload: Document) -> bool:
    """Whether a Service selects the pods of a workload."""
    return matches(service.spec.get("selector"), labels_of(_pod(workload)))


def _claims(documents: Iterable[Document]) -> Iterator[str]:
    for document in documents:
        if document.kind == "PersistentVolumeClaim":
            yield f"{document.kind}/{document.name}"
        for template in document.spec.get("volumeClaimTemplates") or ():
            yield f"{document.kind}/{document.name} ({template['metadata']['name']})"


def _images(document: Document) -> Iterator[str]:
    """The images of an object of any kind that has containers, as those of operators may."""
    for node in nodes(document.spec):
        for container in (one for key in ("initContainers", "containers") for one in mappings(node.get(key))):
            if isinstance(image := container.get("image"), str):
                yield image
