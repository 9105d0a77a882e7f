"""Owns what must be true of a release that is up: each function is one promise, asked of the live objects."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from scripts.chart.manifests import Document, nodes
from scripts.chart.pods import PULL_SECRETS, pod_template, referred, selects
from scripts.cluster.objects import Object, conditions, counts, is_passing, labels_of, open_ports, release_of
from scripts.core.errors import ApiError, ClusterError, ConfigError
from scripts.e2e.discover import ROUTES, WORKLOADS, ends_of_ingress, probe_of, protocol_of, routed
from scripts.e2e.lab import Lab, kind_and_name
from scripts.e2e.reach import Place, allowed, guards
from scripts.e2e.references import MONITORS, missing
from scripts.e2e.report import Broken
from scripts.e2e.subject import answer

_READING = frozenset({"get", "list", "watch"})
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")
# Whom the controller of an HPA asks, by the type of a metric.
_METRICS = {"Resource": "metrics.k8s.io", "ContainerResource": "metrics.k8s.io", "External": "external.metrics.k8s.io"}
_CUSTOM_METRICS = "custom.metrics.k8s.io"
_PLACE = ("nodeSelector", "affinity", "tolerations")
_SEVERAL = 2  # pods from which on a budget has something to guard
_COMPONENT, _INSTANCE = "app.kubernetes.io/component", "app.kubernetes.io/instance"
_VERSION, _UNFIT = "app.kubernetes.io/version", re.compile(r"[^\w.-]")  # what a label cannot have
_SELECTING = frozenset({"Service", "NetworkPolicy", "PodDisruptionBudget", *WORKLOADS, *MONITORS})
_SYNC_DEADLINE = 40.0  # seconds for a controller to have looked at what is new; an HPA is looked at every 15
# Where a chart's notes say how to reach a Service: by its name in the cluster, or by `kubectl port-forward`.
_ADDRESS = re.compile(r"\b([a-z][a-z0-9-]*)\.([a-z0-9-]+)\.svc(?:\.[a-z.]+[a-z])?(?::(\d+))?")
_FORWARDED = re.compile(r"(?<![\w./-])(?:services?|svc)/([a-z][a-z0-9-]*)(?:\s+\d*:(\d+))?")
_IN_NAMESPACE = re.compile(r"(?:--namespace|-n)[ =]([a-z0-9-]+)")
# The words of appProtocol for what a probe asks by.
_SPOKEN = {"http": ("http", "ws", "h2c"), "https": ("https", "wss"), "grpc": ("grpc", "h2c", "http2")}
_REFUSED = "connection refused"  # the API server's word where nobody takes a connection


def demand(
    condition: bool, message: str, expected: str | None = None, found: str | None = None, *, timely: bool = False
) -> None:
    """Raises Broken unless `condition` holds; where a slow machine can be the reason (`timely`), ClusterError."""
    if not condition:
        raise (ClusterError if timely else Broken)(message, expected=expected, found=found)


def told(lab: Lab, notes: str, namespace: str, objects: str) -> str:
    """The Services that the notes name are there, with the ports that they name.

    Of other namespaces only that nobody is sent there for what is here.
    """
    named = [(name, port) for name, space, port in _ADDRESS.findall(notes) if space == objects]
    for line in notes.splitlines():
        space = _IN_NAMESPACE.search(line)
        if space is None or space.group(1) in (namespace, objects):
            named += _FORWARDED.findall(line)
            continue
        for name, _ in _FORWARDED.findall(line):
            astray = lab.api.get("Service", name, objects) and not lab.api.get("Service", name, space.group(1))
            what = f"the notes look for Service {name} in another namespace"
            demand(not astray, what, objects, space.group(1))
    for name, port in named:
        live = lab.api.get("Service", name, objects)
        demand(live is not None, f"the notes name Service {name}, which is not there")
        ports = [str(one["port"]) for one in live["spec"].get("ports", ())] if live else []
        demand(not port or port in ports, f"the notes name port {port} of Service {name}", ", ".join(ports))
    return f"{len(named)} Services named"


def passing_pods(documents: Iterable[Document]) -> list[Object]:
    """The pods that hooks and jobs of a release start, as they are rendered: few stay to be looked at."""
    passing = (one for one in documents if one.hook or one.kind in ("Job", "CronJob"))
    found = ((one.name, pod_template(one.kind, one.data)) for one in passing)
    return [{**pod, "metadata": {"name": name, **(pod.get("metadata") or {})}} for name, pod in found if pod]


def nowhere(lab: Lab, namespace: str) -> Iterator[str]:
    """The DaemonSets that no node takes, and what they ask of one. Raises Broken where clients are to be answered."""
    for workload in (name for name in lab.found.workloads if name.startswith("DaemonSet/")):
        live = lab.api.get(*kind_and_name(workload), namespace)
        if live is None or counts(live).wanted:
            continue
        asked = {key: value for key, value in live["spec"]["template"]["spec"].items() if key in _PLACE}
        demand(workload not in lab.found.behind, f"no node takes a pod of {workload}", found=str(asked))
        yield f"that {workload} runs, for no node is what it asks for: {asked}"


def goes_on(lab: Lab, job: str, namespace: str) -> bool:
    """Whether a Job ("Job/name") is there that has not ended. Raises ClusterError where it has failed."""
    live = lab.api.get(*kind_and_name(job), namespace)
    ends = conditions(live or {})
    demand("Failed" not in ends, f"{job} has failed", found=str(ends.get("Failed")), timely=True)
    return live is not None and "Complete" not in ends


# -- objects ---------------------------------------------------------------------------------------


def named(lab: Lab, namespace: str, objects: str) -> list[str]:
    """What the objects name by name is there; of what may be absent, what is."""
    absent, told = missing(lab, lab.manifest(namespace), objects)
    demand(not absent, "objects name what is not there", found="\n".join(dict.fromkeys(absent)))
    return list(dict.fromkeys(told))


def whole(lab: Lab, namespace: str, objects: str, *, values: str, mark: str = "", version: str = "") -> str:
    """Every object of the release is there, in its namespace, owned by it and, with `mark`, labelled and annotated.

    With the `values` file of that name no object is missing that the subject names. Where a `careful` chart labels
    objects with a version of the application, it is `version`.
    """
    version = _UNFIT.sub("_", version)
    documents, hooks = list(lab.manifest(namespace)), list(lab.manifest(namespace, hooks=True))
    rendered = {document.label: document.data for document in (*documents, *hooks)}
    wrong = []
    for kind, name, *field in (each.split(" ", 2) for each in lab.subject.demanded(values, lab.knows)):
        label = f"{kind} {name}"
        path, _, value = field[0].partition("=") if field else ("", "", "")
        if label not in rendered:
            wrong.append(f"{label} is not rendered")
        elif field and (found := answer(rendered[label], path)) != value:
            wrong.append(f"{label} has {path} {found or 'unset'}, not {value or 'unset'}")
    wrong += [
        f"hook {hook.label} is in namespace {hook.namespace}"
        for hook in hooks
        if lab.subject.careful and hook.namespace not in ("", namespace, objects)
    ]
    waiting = []
    for document in documents:
        live = lab.live(document, objects)
        if live is None:
            wrong += [] if is_passing(document.data) else [f"{document.label} is not there"]
            continue
        meta, owner = live["metadata"], release_of(live)
        labels = meta.get("labels", {})
        manager = labels.get("app.kubernetes.io/managed-by")
        if owner != (lab.subject.release, namespace) or manager != "Helm":
            wrong.append(f"{document.label} belongs to {owner}, managed by {manager}")
        elif lab.subject.careful and meta.get("namespace", objects) != objects:
            wrong.append(f"{document.label} is in namespace {meta['namespace']}")
        elif lab.subject.careful and labels.get(_VERSION, version) != version:
            wrong.append(f"{document.label} has the label {_VERSION} {labels[_VERSION]}, not {version}")
        elif not _marked(meta, mark):
            wrong.append(f"{document.label} lacks the common label or annotation {mark}")
        waiting += [document] if _unavailable(live) else []
    for meta in (pod["metadata"] for pod in lab.pods(objects)):
        if not _marked(meta, mark):
            wrong.append(f"pod {meta['name']} lacks the common label or annotation {mark}")
    demand(bool(documents), "the release has no objects")
    demand(not wrong, "the release is not whole", "every object in its place, owned by the release", "\n".join(wrong))
    for document in waiting:
        lab.api.observe(
            lambda document=document: _unavailable(lab.live(document, objects)),  # type: ignore[misc]
            what=f"{document.label} to be available",
            deadline=_SYNC_DEADLINE,
            told=lambda said: str(said.get("message")),
        )
    return f"{len(documents)} objects"


def _marked(meta: Mapping[str, Any], mark: str) -> bool:
    return not mark or (mark in meta.get("labels", {}) and mark in meta.get("annotations", {}))


def _unavailable(item: Mapping[str, Any] | None) -> Object:
    """The condition by which an object says that it is not available; {} where it says no such thing."""
    told = conditions(item or {}).get("Available", {})
    return told if told.get("status") == "False" else {}


def selected(lab: Lab, namespace: str, objects: str) -> str:
    """Every selector of a Service or a policy selects pods, and what it leads to is a port that they open."""
    documents, wrong = list(lab.manifest(namespace)), list[str]()
    hooks = list(passing_pods(lab.manifest(namespace, hooks=True)))
    pods = functools.cache(lambda space: [*lab.pods(space), *hooks])
    absent = [*_asleep(lab, objects), *passing_pods(documents)]  # they may be selected before they come, and after
    balancing = {one.name for one in documents if one.kind == "Service" and one.spec.get("selector")}
    for document in documents:
        if document.kind == "Service" and document.name in balancing:
            wrong += _balanced(lab, document, documents, pods(document.namespace or objects), absent)
        elif document.kind == "NetworkPolicy":
            wrong += _admitted(lab, document, pods(document.namespace or objects), absent)
        elif document.kind == "EndpointSlice":
            service = labels_of(document.data).get("kubernetes.io/service-name")
            if service in balancing:
                wrong.append(f"{document.label} adds places to Service {service}, which finds its pods by a selector")
        elif document.kind in ROUTES:
            wrong += _routed(document.label, document.spec, documents)
        if lab.subject.careful:
            wrong += _too_wide(document, documents)
    told = "pods of this release, and ports that they open"
    demand(not wrong, "a selector leads nowhere, or too far", told, "\n".join(sorted(set(wrong))))
    return f"{sum(document.kind in ('Service', 'NetworkPolicy') for document in documents)} Services and policies"


def _balanced(
    lab: Lab, service: Document, documents: Iterable[Document], pods: Sequence[Object], absent: Sequence[Object]
) -> Iterator[str]:
    """What is wrong with whom a Service leads to, and by which ports."""
    spec, careful, selector = service.spec, lab.subject.careful, {"matchLabels": service.spec["selector"]}
    chosen = [pod for pod in pods if selects(selector, labels_of(pod))]
    ports = spec.get("ports") or ()  # of a headless one there may be none
    targets = [port.get("targetPort", port["port"]) for port in ports if careful or _counts(spec, port)]
    # Of those with a name it is enough that some pods open them: requests are sent to no others.
    every = [port for port in targets if careful or not isinstance(port, str)]
    named = [port for port in targets if port not in every]
    for some, wanted in ((chosen, named), *(([pod], every) for pod in chosen)):
        yield from _leads(lab, service.label, selector, wanted, some, absent)
    tcp = [port.get("targetPort", port["port"]) for port in ports if port.get("protocol", "TCP") == "TCP"]
    for pod in (pod for pod in chosen if careful and "uid" in pod["metadata"]):  # one that runs
        deaf = [name for name, number in open_ports([pod]).items() if name in tcp and not takes(lab, [pod], number)]
        told = f"which pod {pod['metadata']['name']} names and does not open"
        yield from (f"{service.label} leads to port {name}, {told}" for name in deaf)
    # The pods of a StatefulSet find each other before they are ready.
    peers = {one.spec.get("serviceName") for one in documents if one.kind == "StatefulSet"}
    asked = lab.found.question is not None and service.name == lab.found.question.service
    if spec.get("publishNotReadyAddresses") and (asked or (careful and service.name not in peers)):
        yield f"{service.label} sends requests to pods that are not ready: publishNotReadyAddresses"
    yield from _misspoken(service, chosen) if careful else ()
    known = {port for name, port in map(_port, lab.subject.ports) if name == service.name}
    for port in known - {port["port"] for port in ports}:
        yield f"{service.label} is not on port {port}, where clients look for it"


def _admitted(lab: Lab, policy: Document, pods: Sequence[Object], absent: Sequence[Object]) -> Iterator[str]:
    """What is wrong with whom a NetworkPolicy is about; who may come need not be of the release, nor a port open."""
    told = policy.spec if lab.subject.careful else {}
    ways = (told.get("ingress") or ()), (told.get("egress") or ())
    yield from _leads(lab, policy.label, policy.spec.get("podSelector"), _ports(ways[0]), pods, absent)
    for rule in (rule for way in ways for rule in way):
        for peer in (*(rule.get("from") or ()), *(rule.get("to") or ())):
            if "podSelector" in peer and "namespaceSelector" not in peer:
                ports = _ports([rule]) if "to" in rule else []
                yield from _leads(lab, f"{policy.label}, peer", peer["podSelector"], ports, pods, absent)


def _misspoken(service: Document, pods: Sequence[Object]) -> Iterator[str]:
    """The ports of which a Service tells meshes and gateways another protocol than pods are asked by."""
    for port in service.spec.get("ports") or ():
        probe = probe_of(pods, port.get("targetPort", port["port"]))
        named = "https" if port.get("name") == "https" else ""  # other names are other people's, too
        said, spoken = str(port.get("appProtocol") or named), protocol_of(port, probe)
        if said and probe.keys() & {"httpGet", "grpc"} and said.rpartition("/")[2] not in _SPOKEN[spoken]:
            yield f"{service.label} says that port {port['port']} speaks {said}, and its pods are asked by {spoken}"


def _too_wide(document: Document, documents: Iterable[Document]) -> Iterator[str]:
    """Whose pods an object selects that are not its own: of another release of the chart, or of another workload."""
    spec = document.spec
    selector = spec.get("podSelector") or spec.get("selector")
    if document.kind == "Service" and selector:
        selector = {"matchLabels": selector}
    if document.kind not in _SELECTING or not selector:
        return
    kinds, what = (("Service",), "Services") if document.kind == "ServiceMonitor" else (WORKLOADS, "pods")
    for other in (one for one in documents if one.kind in kinds):
        labels = labels_of(other.spec["template"] if other.kind in WORKLOADS else other.data)
        if document.kind in WORKLOADS and document is not other and selects(selector, labels):
            yield f"{document.label} selects the pods of {other.label}"
        if _INSTANCE in labels and selects(selector, {**labels, _INSTANCE: "another"}):
            yield f"{document.label} selects the {what} of other releases of the chart, too"


def _counts(service: Mapping[str, Any], port: Mapping[str, Any]) -> bool:
    """Whether it is a fault, and can be seen, that pods do not open what a port of a Service leads to.

    A headless one leads nowhere by itself; pods need not tell a port, and of UDP nobody hears whether it is open.
    """
    silent = port.get("protocol", "TCP") != "TCP" and not isinstance(port.get("targetPort"), str)
    return service.get("clusterIP") != "None" and not silent


def _asleep(lab: Lab, namespace: str) -> Iterator[Object]:
    """The templates of the pods that workloads without replicas will have, when they are given some."""
    for workload in lab.found.workloads:
        live = lab.api.get(*kind_and_name(workload), namespace)
        if live and live["spec"].get("replicas") == 0:
            yield live["spec"]["template"]


def _routed(what: str, spec: Mapping[str, Any], documents: Iterable[Document]) -> Iterator[str]:
    """What is wrong with the Services that an Ingress, or a route of the Gateway API, leads to."""
    services = {document.name: document.spec.get("ports") or () for document in documents if document.kind == "Service"}
    if what.startswith("Ingress ") and not any(end for _, end in ends_of_ingress(spec)):
        yield f"{what} leads to no Service"
    for refs in (rule.get("backendRefs") for rule in spec.get("rules") or ()):
        if refs and not any(ref.get("weight", 1) for ref in refs):
            yield f"{what} sends nobody to its Services, which all have the weight 0"
    for name, port, _ in routed(spec):
        known = [(entry.get("name"), entry["port"]) for entry in services.get(name, ())]
        if not any(port.get("name", "") == own or port.get("number") == number for own, number in known):
            yield f"{what} leads to port {port} of Service {name}, which has {known or 'no ports or is not there'}"


def policies_fit(lab: Lab, namespace: str, objects: str) -> str:
    """The policies let through what the components need of each other, and keep strangers from what is not theirs."""
    rendered = list(lab.manifest(namespace))
    policies = [document.data for document in rendered if document.kind == "NetworkPolicy"]
    if not policies:
        return "no policies"
    pods = (*lab.pods(objects), *passing_pods(lab.manifest(namespace, hooks=True)))
    places = {labels_of(pod).get(_COMPONENT, ""): Place.of(pod, objects) for pod in pods}
    # A stranger has an address of the pods' network, as each of these has.
    address = next((place.address for place in places.values() if place.address), "")
    places["*"] = Place({}, "somewhere-else", {}, address)
    names = Place({"k8s-app": "kube-dns"}, "kube-system", {"dns": 53})
    for way in lab.subject.flows:
        source, target, port = _way(way, places)
        told = f"the policies keep {_who(source)} from {target}"
        demand(allowed(policies, places[source], places[target], port), told, f"port {port} is open to it")
        for protocol in ("UDP", "TCP") if source != "*" else ():
            told = f"the policies keep {source} from asking for names"
            demand(allowed(policies, places[source], names, 53, protocol), told, f"port 53, {protocol}, of kube-dns")
    for way in lab.subject.barred:
        source, target, port = _way(way, places)
        told = f"the policies let {_who(source)} ask {_who(target)}"
        demand(not allowed(policies, places[source], places[target], port), told, f"port {port} is closed to it")
    return f"{len(policies)} policies, {len(lab.subject.flows)} ways open, {len(lab.subject.barred)} barred"


def _way(text: str, known: Iterable[str]) -> tuple[str, str, int]:
    """Of "a -> b:80" both ends and the port. Raises ConfigError for an end that is not `known`."""
    source, _, target = (part.strip() for part in text.partition("->"))
    target, port = _port(target)
    for end in (source, target):
        if end not in known:
            raise ConfigError(f"{text}: there is no component {end}", expected=", ".join(sorted(known)))
    return source, target, port


def _port(text: str) -> tuple[str, int]:
    """Of "b:80" the name and the port. Raises ConfigError."""
    name, _, port = text.rpartition(":")
    if not port.isdecimal():
        raise ConfigError(f"{text} names no port", expected="name:port")
    return name, int(port)


def _who(component: str) -> str:
    return "a stranger" if component == "*" else component


def _leads(
    lab: Lab,
    what: str,
    selector: Mapping[str, Any] | None,
    ports: Iterable[Any],
    pods: Sequence[Object],
    absent: Iterable[Object],
) -> Iterator[str]:
    chosen = [pod for pod in pods if selects(selector, labels_of(pod))]
    if not chosen:
        if not any(selects(selector, labels_of(pod)) for pod in absent):
            yield f"{what} selects no pod: {(selector or {}).get('matchLabels') or selector}"
        return
    known = open_ports(chosen)
    for port in ports:
        if port not in known and not takes(lab, chosen, port):
            told = ", ".join(map(str, known)) or f"{', '.join(pod['metadata']['name'] for pod in chosen)} names none"
            yield f"{what} leads to port {port}, which its pods do not open: {told}"


def takes(lab: Lab, pods: Iterable[Mapping[str, Any]], port: Any) -> bool:
    """Whether a pod takes connections on a port that it does not tell, as it need not: only its name must be told."""
    if not isinstance(port, int):
        return False
    for pod in pods:
        meta = pod["metadata"]
        try:
            lab.api.ask_pod(meta["name"], meta.get("namespace", ""), port=port, path="/", scheme="http")
        except ApiError as error:  # as from all that is not HTTP
            if error.reason == "NotFound" or _REFUSED in error.text:
                continue
        return True
    return False


def _ports(rules: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [port["port"] for rule in rules for port in rule.get("ports") or () if "port" in port]


# -- scalers and budgets ---------------------------------------------------------------------------


def scalers_work(lab: Lab, namespace: str) -> str:
    """Every scaler has a target whose replicas nobody else sets, and can scale it."""
    told = []
    for scaler in lab.api.list("HorizontalPodAutoscaler", namespace):
        name, spec = scaler["metadata"]["name"], scaler["spec"]
        target = spec["scaleTargetRef"]
        live = lab.api.get(target["kind"], target["name"], namespace)
        demand(
            live is not None, f"HPA {name} scales nothing", "a target that exists", f"{target['kind']} {target['name']}"
        )
        template = ((live or {}).get("spec") or {}).get("template") or {}  # a custom resource may have none
        containers = (template.get("spec") or {}).get("containers") or ()
        asked = {_METRICS.get(metric["type"], _CUSTOM_METRICS) for metric in spec.get("metrics", ())}
        for metric in spec.get("metrics", ()):
            share = metric.get("resource") or metric.get("containerResource") or {}
            of = share.get("container")
            measured = [one for one in containers if of in (None, one["name"])]
            demand(bool(measured or not containers), f"HPA {name} measures container {of}, which is not there")
            for container in measured if share.get("target", {}).get("type") == "Utilization" else ():
                resources = container.get("resources", {})  # a limit alone is the request of the pod
                amounts = {*resources.get("requests", ()), *resources.get("limits", ())}
                what = f"HPA {name} cannot measure container {container['name']}"
                demand(share["name"] in amounts, what, f"a request of {share['name']}", f"no requests.{share['name']}")
        seen = lab.api.observe(
            lambda name=name: conditions(lab.api.get("HorizontalPodAutoscaler", name, namespace) or {}),  # type: ignore[misc]
            lambda seen: "AbleToScale" in seen,
            what=f"HorizontalPodAutoscaler {name} to say AbleToScale",
            deadline=_SYNC_DEADLINE,
            told=", ".join,
        )
        unknown = sorted(asked - {kind.group for kind in lab.api.kinds()})
        for kind, told_of in (("AbleToScale", "is not able to scale"), ("ScalingActive", "does not scale")):
            said = seen.get(kind, {"status": "Unknown"})
            holds = said["status"] == "True" or (kind == "ScalingActive" and bool(unknown))
            demand(holds, f"HPA {name} {told_of}", found=f"{said.get('reason')}: {said.get('message')}")
        told.append(f"HPA {name}" + (f" (the cluster has no {', '.join(unknown)})" if unknown else ""))
    return ", ".join(told) or "no HPA"


def unscaled(lab: Lab, namespace: str) -> str:
    """No object of the release sets the replicas of what a scaler owns; in a `careful` chart one of them does."""
    documents = {(document.kind, document.name): document for document in lab.manifest(namespace)}
    owned: dict[tuple[str, str], str] = {}
    for document in documents.values():
        if document.kind in ("HorizontalPodAutoscaler", "ScaledObject"):
            target = document.spec["scaleTargetRef"]
            key = (target.get("kind", "Deployment"), target["name"])
            there = key in documents or lab.api.get(*key, document.namespace or namespace)
            demand(bool(there), "a scaler scales nothing", "a target that exists", " ".join(key))
            both = f"{owned.get(key)}, {document.label}"
            demand(key not in owned, f"two scalers set the replicas of {' '.join(key)}", "one", both)
            owned[key] = document.label
    for key, document in documents.items():
        said = "replicas" in document.spec
        demand(not (said and key in owned), f"{document.label} sets replicas beside its scaler", "no replicas")
        if lab.subject.careful and document.kind == "Deployment":
            demand(said or key in owned, f"nobody owns the replicas of {document.label}", "replicas, or a scaler")
    return ", ".join(sorted(name for _, name in owned)) or "no scaler"


def budgets_work(lab: Lab, namespace: str) -> str:
    """Every disruption budget counts the pods of one workload, and lets one of them go while all are well.

    Of a chart that is `careful` each workload of several pods has one, and it lets go those that are not ready.
    """
    told, guarded = [], set[str]()
    budgets = lab.api.list("PodDisruptionBudget", namespace)
    for name, own in ((pod["metadata"]["name"], labels_of(pod)) for pod in lab.pods(namespace)):
        by = [budget["metadata"]["name"] for budget in budgets if guards(budget, own)]
        both = f"two budgets guard pod {name}: the API server evicts no such pod, whatever they allow"
        demand(len(by) < _SEVERAL, both, "one", ", ".join(by))
    for budget in budgets:
        name = budget["metadata"]["name"]
        live = lab.api.observe(
            functools.partial(lab.api.get, "PodDisruptionBudget", name, namespace),
            _counted,
            what=f"PDB {name} to count healthy pods",
            deadline=_SYNC_DEADLINE,
            told=lambda live: str((live or {}).get("status", {})),
        )
        seen = (live or {}).get("status", {})
        pods = [pod for pod in lab.pods(namespace) if guards(budget, labels_of(pod))]
        if not pods and any(guards(budget, labels_of(template)) for template in _asleep(lab, namespace)):
            continue
        owners = {owner["name"] for pod in pods for owner in pod["metadata"].get("ownerReferences", ())}
        expected = seen.get("expectedPods", 0)
        demand(expected > 0, f"PDB {name} guards no pod", found=f"selector {budget['spec'].get('selector')}")
        alone = len(owners) == 1 or not lab.subject.careful
        demand(alone, f"PDB {name} guards pods of several workloads", "one", ", ".join(sorted(owners)))
        allowed, least = seen.get("disruptionsAllowed", 0), "at least one pod may go while all are well"
        if not allowed and expected < _SEVERAL and not lab.subject.careful:  # who says so wants to be asked before
            told.append(f"PDB {name} blocks the drain of the one pod of {', '.join(owners)}")
            continue
        demand(allowed > 0, f"PDB {name} blocks every drain", least, f"{allowed} of {expected}")
        freed = not lab.subject.careful or budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
        demand(freed, f"PDB {name} keeps pods that are not ready on their node", "AlwaysAllow")
        guarded |= {pod["metadata"]["name"] for pod in pods}
        able = conditions({"status": seen}).get("DisruptionAllowed", {})
        demand(able.get("status") == "True", f"PDB {name} is not healthy", found=str(able))
        told.append(f"PDB {name}: {allowed} of {expected} may go")
    for workload in lab.found.workloads if lab.subject.careful else ():
        names = [pod["metadata"]["name"] for pod in lab.pods(namespace, workload)]
        bare = [name for name in names if name not in guarded]
        demand(len(names) < _SEVERAL or not bare, f"no disruption budget guards {workload}", found=", ".join(bare))
    return ", ".join(told) or "no budget"


def _counted(budget: Object | None) -> bool:
    status = (budget or {}).get("status", {})
    new = status.get("observedGeneration", 0) < (budget or {}).get("metadata", {}).get("generation", 0)
    return not new and bool(status.get("currentHealthy", 0) >= status.get("expectedPods", 0))


# -- rights ----------------------------------------------------------------------------------------


def rights_fit(lab: Lab, namespace: str, objects: str) -> str:
    """A component may read the configuration that it uses, may do nothing else, and has no token it did not ask for.

    Nobody else may do anything by the release's doing.
    """
    told, documents, hooks = list[str](), [*lab.manifest(namespace)], [*lab.manifest(namespace, hooks=True)]
    for document in documents:
        lasting = document.data.get("type") == "kubernetes.io/service-account-token"
        demand(not lasting, f"{document.label} keeps a token of the API that does not expire", "no such Secret")
    jobs, by_account = passing_pods(documents), dict[str, list[Object]]()
    for pod in (*lab.pods(objects), *jobs):
        by_account.setdefault(_account(pod), []).append(pod)
    for pod in (pod for pods in (*by_account.values(), passing_pods(hooks)) for pod in pods):
        what = f"pod {pod['metadata']['name']} mounts a token of the API that nothing asks for"
        demand(not _has_token(lab, pod, objects), what, "no token")
    bound = _rules(lab, objects, by_account)
    for account, pods in by_account.items():
        used = _used(pods)
        for where, rule in bound.get(account, []):
            for resource in rule.get("resources", ["(a URL)"]):
                reads = _READING.issuperset(rule["verbs"]) and rule.get("apiGroups") == [""]
                named = rule.get("resourceNames") and used.get(resource, set()).issuperset(rule["resourceNames"])
                told_of = f"get, list, watch of {sorted(used.get(resource, ()))}"
                given = f"{', '.join(rule['verbs'])} of {resource} {rule.get('resourceNames', '(all)')}"
                demand(
                    bool(reads and named), f"{where} gives account {account} more rights than it uses", told_of, given
                )
        for resource, names in _used(pod for pod in pods if pod not in jobs).items():
            for name in sorted(names):
                asked = {"namespace": objects, "verb": "get", "resource": resource, "name": name}
                review = {"user": f"system:serviceaccount:{objects}:{account}", "resourceAttributes": asked}
                may = lab.api.may("LocalSubjectAccessReview", review, objects)
                what = f"account {account} may not read {resource} {name}, which its pods use"
                demand(may, what, found="its Roles lack it")
        told.append(f"{account}: {sum(map(len, used.values()))} objects")
    strange = "\n".join(_strangers([*documents, *hooks], objects))
    demand(not strange, "a binding gives rights to who is no account of the release's pods", found=strange)
    return ", ".join(told)


def _account(pod: Mapping[str, Any]) -> str:
    return str(pod["spec"].get("serviceAccountName", "default"))


def _has_token(lab: Lab, pod: Object, namespace: str) -> bool:
    """Whether a pod, live or as it is rendered, is given a token of the API, unasked or by a volume."""
    account, field = lab.api.get("ServiceAccount", _account(pod), namespace) or {}, "automountServiceAccountToken"
    drawn = any("serviceAccountToken" in node for node in nodes(pod["spec"].get("volumes") or []))
    return drawn or bool(pod["spec"].get(field, account.get(field, True)))


def _strangers(documents: Sequence[Document], namespace: str) -> Iterator[str]:
    """Whom a release's bindings give rights beside the accounts of its pods, and those that its hooks name."""
    accounts = {
        (pod.get("spec") or {}).get("serviceAccountName", "" if document.hook else "default")
        for document in documents
        if (pod := pod_template(document.kind, document.data))
    }
    for document in documents:
        for subject in document.data.get("subjects") or () if document.kind in _BINDINGS else ():
            if not any(_means(subject, account, namespace) for account in accounts):
                yield f"{document.label}: {subject['kind']} {subject['name']}"


def _means(subject: Mapping[str, Any], account: str, namespace: str) -> bool:
    """Whether the subject of a binding is an account of a namespace, by itself or among others."""
    names = {
        "ServiceAccount": (account,) if subject.get("namespace", namespace) == namespace else (),
        "User": (f"system:serviceaccount:{namespace}:{account}",),
        "Group": ("system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{namespace}"),
    }
    return subject["name"] in names.get(subject["kind"], ())


def _rules(lab: Lab, namespace: str, accounts: Iterable[str]) -> dict[str, list[tuple[str, Object]]]:
    """The rules by account, each with the role that has it; of the whole cluster as far as we may look.

    What a cluster gives to every account is not the release's doing.
    """
    bindings = list(lab.api.list("RoleBinding", namespace))
    with contextlib.suppress(ApiError):  # who runs on somebody else's cluster may not see them, nor have made any
        bindings += lab.api.list("ClusterRoleBinding")
    found: dict[str, list[tuple[str, Object]]] = {}
    for binding in bindings:
        reference, meta, subjects = binding["roleRef"], binding["metadata"], binding.get("subjects") or ()
        if "namespace" not in meta and release_of(binding)[0] is None:
            subjects = [subject for subject in subjects if subject["kind"] != "Group"]
        given = [name for name in accounts if any(_means(subject, name, namespace) for subject in subjects)]
        role = lab.api.get(reference["kind"], reference["name"], namespace) if given else None
        for rule in (role or {}).get("rules") or ():
            for account in given:
                found.setdefault(account, []).append((f"{reference['kind']} {reference['name']}", rule))
    return found


def _used(pods: Iterable[Object]) -> dict[str, set[str]]:
    """The ConfigMaps and Secrets that pods use, by resource."""
    named = {(one.kind, one.name) for pod in pods for one in referred(pod["spec"]) if one.how != PULL_SECRETS}
    return {f"{kind.lower()}s": {name for of, name in named if of == kind} for kind in ("ConfigMap", "Secret")}
