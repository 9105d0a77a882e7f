"""Owns what monitoring must find of a release: its pods, their metrics, and rules and panels that ask for those."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import promql_parser

from scripts.chart.manifests import Document
from scripts.chart.pods import selects
from scripts.cluster.objects import Object, labels_of, open_ports
from scripts.core.errors import MALFORMED, ApiError, ClusterError
from scripts.e2e.lab import Lab
from scripts.e2e.promises import demand
from scripts.e2e.references import MONITORS
from scripts.e2e.relabelling import relabelled, target_of
from scripts.e2e.report import Broken

VARIABLE = re.compile(r"\$\{?(\w+)(?::\w+)?\}?")  # Grafana's, in what a panel asks
_ANY = "1m"  # what stands for one: a text, a number or a length of time
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
DASHBOARD = "grafana_dashboard"  # the label by which Grafana's sidecar finds one, where it is not told another
_FURTHER = "a further trigger"  # may ask for what clients want of others
# By these a monitor says who asks; of whom that is, nobody but Prometheus need know.
_LOGINS = frozenset({"authorization", "basicAuth", "bearerTokenFile", "bearerTokenSecret", "oauth2"})
_UNSEEN = ""  # among the names of metrics: there are others, of which nothing can be seen
_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)[ {]", re.MULTILINE)


def monitored(lab: Lab, namespace: str, objects: str) -> str:
    """What a monitor or an annotation points at exists and answers with metrics; rules ask for those that there are."""
    documents = list(lab.manifest(namespace))
    names: set[str] = set()
    targets: dict[str, set[str]] = {"job": set(), "namespace": set(), "pod": set()}  # what Prometheus labels them
    renamed: set[str] = set()
    told = []
    for document in (one for one in documents if one.kind in MONITORS):
        wide = (document.spec.get("namespaceSelector") or {}).get("any")
        demand(not (wide and lab.subject.monitored), f"{document.label} looks into every namespace", "its own")
        by = []
        for endpoint, port, pods, service in _ends(lab, document, objects):
            names |= _taken(lab, document, pods, port, endpoint, service)
            if service is not None:
                meta = service["metadata"]
                by.append(meta["name"])
                targets["job"].add(labels_of(service).get(str(document.spec.get("jobLabel")), meta["name"]))
                targets["namespace"].add(meta["namespace"])
                targets["pod"] |= {pod["metadata"]["name"] for pod in pods}
                renamed |= {rule.get("targetLabel") for rule in endpoint.get("relabelings") or ()}
        told.append(document.label + (f" by {', '.join(dict.fromkeys(by))}" if by else ""))
    for pod in lab.pods(objects):
        notes = pod["metadata"].get("annotations") or {}
        if notes.get("prometheus.io/scrape") == "true":
            scheme, port, path = (notes.get(f"prometheus.io/{key}", "") for key in ("scheme", "port", "path"))
            names.update(_annotated(lab, pod, scheme, port, path))
            told.append(f"pod {pod['metadata']['name']} by annotation")
    there = bool(told) or not lab.subject.monitored
    demand(there, "nothing says where the metrics are", "a ServiceMonitor, a PodMonitor or annotations")
    asking = documents if targets["job"] and lab.subject.monitored else []  # others may ask of other exporters
    names |= {"up", *(rule["record"] for document in asking for rule in _rules_of(document) if "record" in rule)}
    known = {label: values for label, values in targets.items() if label not in renamed}
    told += [document.label for document in asking if _asks(document, names, known)]
    told += ["metrics that nothing can be seen of here"] if _UNSEEN in names else []
    return ", ".join(told) or "no monitoring"


def _asks(document: Document, names: set[str], known: Mapping[str, set[str]]) -> bool:
    """Whether an object asks Prometheus for anything; then for metrics of these `names`, with the labels `known`."""
    asked = list(_queries(document))
    for who, text in asked:
        series, what = _series(f"{document.label}: {who}", text), f"{document.label}: {who} asks for"
        if who == _FURTHER:
            continue
        absent = series.keys() - names
        demand(not absent or _UNSEEN in names, f"{what} metrics that nobody has", found=", ".join(sorted(absent)))
        for one in (matcher for matchers in series.values() for matcher in matchers):
            values = known.get(one.name, set())
            fits = not values or _fits(one, values)
            demand(fits, f"{what} another {one.name}", ", ".join(sorted(values)), one.value)
    return bool(asked)


def _queries(document: Document) -> Iterator[tuple[str, str]]:
    """What Prometheus is asked, and by whom: rules, scalers, panels of the dashboards that Grafana's sidecar finds."""
    for rule in _rules_of(document):
        yield str(rule.get("alert") or rule.get("record")), str(rule["expr"])
    if document.kind == "ScaledObject":
        asked = [one["metadata"]["query"] for one in document.spec["triggers"] if one["type"] == "prometheus"]
        yield from zip(("its first trigger", *[_FURTHER] * len(asked)), asked, strict=False)
    if document.kind == "ConfigMap" and DASHBOARD in labels_of(document.data):
        for title, asked in panels(document.data):
            yield from ((title, one) for one in asked)


def _rules_of(document: Document) -> Iterator[Mapping[str, Any]]:
    """The rules of a PrometheusRule, of all groups; none of another kind of object."""
    groups = document.spec.get("groups") or () if document.kind == "PrometheusRule" else ()
    return (rule for group in groups for rule in group.get("rules") or ())


def _fits(matcher: promql_parser.Matcher, known: set[str]) -> bool:
    """Whether what a rule or a panel asks of a label is met by one of its values."""
    if _ANY in matcher.value:
        return True
    if matcher.op == promql_parser.MatchOp.Equal:
        return matcher.value in known
    if matcher.op == promql_parser.MatchOp.Re:
        with contextlib.suppress(re.error):  # Go's syntax is wider
            return any(re.fullmatch(matcher.value, one) for one in known)
    return True


def _series(who: str, expression: str) -> dict[str, list[promql_parser.Matcher]]:
    """The metrics that an expression of Prometheus asks for, each with what is asked of its labels. Raises Broken."""
    found: dict[str, list[promql_parser.Matcher]] = {}

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            asked = node.matchers.matchers
            names = (one.value for one in asked if one.name == "__name__" and one.op == promql_parser.MatchOp.Equal)
            found.setdefault(node.name or next(names, ""), []).extend(asked)

    try:
        promql_parser.walk(promql_parser.parse(VARIABLE.sub(_ANY, expression)), visit)
    except ValueError as error:
        raise Broken(f"{who} asks what Prometheus cannot read", found=f"{error}: {expression}") from error
    found.pop("", None)  # a selector of labels alone
    return found


def panels(boards: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The panels of the Grafana dashboards in a ConfigMap: the title, and what it asks Prometheus. Raises Broken."""
    for name, text in (boards.get("data") or {}).items():
        try:
            found = [
                (str(panel.get("title")), [str(one["expr"]) for one in panel.get("targets") or () if "expr" in one])
                for panel in json.loads(text).get("panels") or ()
            ]
        except MALFORMED as error:
            what = f"ConfigMap {boards['metadata']['name']}: {name} is no dashboard of Grafana"
            raise Broken(what, found=str(error)) from error
        yield from found


def seconds_of(duration: str | None) -> float:
    """A duration of Prometheus, such as 1m30s; 0 without one."""
    return sum(int(number) * _UNITS[unit] for number, unit in _DURATION.findall(duration or ""))


def _ends(
    lab: Lab, monitor: Document, objects: str
) -> Iterator[tuple[Mapping[str, Any], Any, Sequence[Object], Object | None]]:
    """The endpoints of a monitor: each with its port at pods, these, and the Service by which they are found."""
    what, spec = monitor.label, monitor.spec
    spaces = (spec.get("namespaceSelector") or {}).get("matchNames") or [monitor.namespace or objects]
    if monitor.kind == "PodMonitor":
        near = (pod for space in spaces for pod in lab.pods(space))
        pods = [pod for pod in near if selects(spec.get("selector"), labels_of(pod))]
        demand(bool(pods), f"{what} finds no pod")
        for endpoint in spec.get("podMetricsEndpoints") or ():
            port = endpoint.get("port") or endpoint.get("portNumber") or endpoint.get("targetPort", "")
            known = open_ports(pods)
            told = f"{what} names a port that its pods do not have"
            demand(port in known or isinstance(port, int), told, ", ".join(map(str, known)), str(port))
            yield endpoint, port, pods, None
        return
    every = (service for space in spaces for service in lab.api.list("Service", space))
    services = [service for service in every if selects(spec.get("selector"), labels_of(service))]
    fits = len(services) == 1 or (bool(services) and not lab.subject.monitored)
    found = ", ".join(service["metadata"]["name"] for service in services)
    demand(fits, f"{what} does not match exactly one Service", "one", found or "none")
    for service, endpoint in ((service, end) for service in services for end in spec.get("endpoints") or ()):
        name, offered = service["metadata"]["name"], service["spec"]["ports"]
        target = endpoint.get("targetPort", "")
        if "port" in endpoint:
            ports = [port for port in offered if port.get("name") == endpoint["port"]]
            names = ", ".join(str(port.get("name")) for port in offered)
            demand(bool(ports), f"{what} names a port that Service {name} does not have", names, endpoint["port"])
            target = ports[0].get("targetPort", ports[0]["port"])
        selector = {"matchLabels": service["spec"].get("selector")}
        pods = [pod for pod in lab.pods(service["metadata"]["namespace"]) if selects(selector, labels_of(pod))]
        demand(bool(pods), f"{what} finds no pod behind Service {name}")
        yield endpoint, target, pods, service


def _taken(
    lab: Lab, monitor: Document, pods: Sequence[Object], port: Any, endpoint: Mapping[str, Any], service: Object | None
) -> set[str]:
    """The metrics that Prometheus takes from `pods` by an endpoint of a monitor: those that its rules do not drop."""
    found, what, most = set[str](), monitor.label, monitor.spec.get("sampleLimit") or math.inf
    every, longest = (seconds_of(endpoint.get(key)) for key in ("interval", "scrapeTimeout"))
    passed = f"{what} lets a scrape take longer than its interval: its operator passes it over"
    demand(not every or longest <= every, passed, f"at most {every:g} s", f"{longest:g} s")
    rules, kept = endpoint.get("metricRelabelings") or (), False
    for pod in pods:
        told = target_of(pod, open_ports([pod]).get(port, port), endpoint, service)
        labels = relabelled(told, endpoint.get("relabelings") or ())
        if labels is None:
            continue
        host, _, number = labels["__address__"].rpartition(":")
        if host != told["__address__"].rpartition(":")[0]:  # an exporter's, which is told whom to ask
            return {_UNSEEN}
        kept, where = True, int(number) if number.isdecimal() else number
        query = urlencode(endpoint.get("params") or {}, doseq=True)
        path, login = labels["__metrics_path__"] + f"?{query}" * bool(query), bool(endpoint.keys() & _LOGINS)
        drawn = _samples(lab, pod, labels["__scheme__"], where, path, login=login)
        drawn = [name for name in drawn if name == _UNSEEN or relabelled({"__name__": name}, rules) is not None]
        demand(len(drawn) <= most, f"{what} takes {most} samples or none", found=f"{len(drawn)} of a pod")
        found.update(drawn)
    demand(kept, f"{what} drops every one of its pods")
    demand(bool(found), f"{what} drops every metric of its pods")
    return found


def _annotated(lab: Lab, pod: Object, scheme: str, port: str, path: str) -> list[str]:
    """The same as `_samples`; without a `port` at one of those that the pod tells, since Prometheus asks at each."""
    *others, last = [port] if port else (dict.fromkeys(open_ports([pod]).values()) or [port])
    for number in others:
        with contextlib.suppress(ClusterError):
            return _samples(lab, pod, scheme, number, path)
    return _samples(lab, pod, scheme, last, path)


def _samples(lab: Lab, pod: Object, scheme: str, port: Any, path: str, *, login: bool = False) -> list[str]:
    """The metric of each sample that a pod tells, by Prometheus' scheme and path. Raises ClusterError without any.

    Where it is asked by those alone that have a `login`, that is all that is known of it.
    """
    meta, scheme, path = pod["metadata"], scheme or "http", path or "/metrics"
    try:
        text = lab.api.ask_pod(meta["name"], meta["namespace"], port=port, path=path, scheme=scheme)
    except ApiError as error:
        if login and error.status in (401, 403):
            return [_UNSEEN]
        what = f"pod {meta['name']} does not answer {path} on port {port} with metrics"
        raise ClusterError(what, found=error.text) from error
    names: list[str] = _SAMPLE.findall(text)
    demand(bool(names), f"pod {meta['name']} tells no metrics", f"samples on port {port}, {path}", text[:200])
    return names
