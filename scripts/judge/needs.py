"""Owns what pods wait for that is not there: Secrets, volumes, classes, accounts to be made first, keys, ports."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from scripts.chart.manifests import Document, Identity, Manifests, mapped, mapping, mappings, nodes
from scripts.chart.pods import PULL_SECRETS, Reference, chosen, lasting, pod_spec, referred
from scripts.judge.defaults import BUILT_IN
from scripts.judge.network import ports
from scripts.judge.reason import Reason

_EVERYWHERE = re.compile(
    r"^(kube-root-ca\.crt|openshift-service-ca\.crt|istio-ca-root-cert|default|system-(node|cluster)-critical|)$"
)

# Of the kinds of these groups nothing is made that pods could mount but what they name themselves.
_MAKING_NONE = re.compile(
    r"coreos|keda|istio|traefik|argoproj|route\.openshift|kyverno|cilium|linkerd|kong|cert-manager"
)

Need = tuple[str, str]
"""Kind and name."""


def judge_needs(old: Manifests, new: Manifests) -> Iterator[Reason]:
    """What the pods of workloads that were there need from now on, and neither the chart nor a program of it makes."""
    known, given = {one.identity for one in old}, {need for one in old for need in _needs(one)}
    given |= {(one.kind, one.name) for one in new}
    for document in new:
        if document.hook or document.identity not in known:
            continue
        for kind, name in _needs(document):
            whole = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")
            if (kind, name) in given or any(whole.search(text) for one in new for text in _texts(one)):
                continue
            maker = next((str(one.identity) for one in new if _names(one, name)), None)
            meaning = f"its operator has to make it for {maker}" if maker else "the chart does not make it"
            meaning += ": pods do not start before somebody does"
            yield Reason("minor" if maker else "major", f"{document.identity} needs", None, f"{kind}/{name}", meaning)
    lacking = dict.fromkeys(_lacking(new))
    lacked = {found[:2] for found in _lacking(old)} if lacking else ()
    for identity, what, meaning in lacking:
        if identity in known and (identity, what) not in lacked:
            yield Reason("major", f"{identity} needs", None, what, meaning)


def _lacking(manifests: Manifests) -> Iterator[tuple[Identity, str, str]]:
    """What objects ask for that is of the chart itself and not there, and what comes of that."""
    made: dict[Need, set[str]] = {}
    for one in manifests:
        if one.kind in ("ConfigMap", "Secret"):  # one without any key is for somebody else to fill
            held = (mapping(one.data.get(part)) for part in ("data", "binaryData", "stringData"))
            made[one.kind, one.name] = {str(key) for part in held for key in part}
    for one in manifests:
        for need in _required(one) if not one.hook else ():
            keys = made.get((need.kind, need.name))
            meaning = "the chart makes it without this key: no pod starts"
            lacking = (f"{need.kind}/{need.name} {key}" for key in need.keys if keys and key not in keys)
            yield from ((one.identity, what, meaning) for what in lacking)
    for one in manifests:
        for container in lasting(pod_spec(one.kind, one.data)):
            named = {port.get("name") for port in mappings(container.get("ports"))}
            for port in _ports([value for key, value in container.items() if key.endswith("Probe")]):
                if port not in named:
                    told = f"port {port} of {container.get('name')}"
                    yield one.identity, told, "no port of the container is called so: its probe fails"
        if one.kind in ("PodMonitor", "ServiceMonitor"):
            had = {port.get("name") for it in chosen(one, manifests) for port in ports(it)}
            for port in _ports([one.spec.get(key) for key in ("podMetricsEndpoints", "endpoints")]) if had else ():
                if port not in had:
                    yield (
                        one.identity,
                        f"port {port}",
                        "nothing that it finds calls a port so: Prometheus scrapes nothing",
                    )


def _ports(value: Any) -> Iterator[str]:
    """The ports that are asked for by name."""
    found = (node.get("port") for node in nodes(value))
    return (port for port in found if isinstance(port, str) and not port.isdigit())


def _needs(document: Document) -> tuple[Need, ...]:
    found = dict.fromkeys((one.kind, one.name) for one in _required(document))
    return tuple(need for need in found if not _EVERYWHERE.match(need[1]))


def _required(document: Document) -> list[Reference]:
    """What the pods of a workload name and do not start without."""
    pod = mapping(pod_spec(document.kind, document.data))
    return [one for one in (*referred(pod), *_files(pod)) if not one.optional and one.how != PULL_SECRETS]


def _files(pod: Mapping[str, Any]) -> Iterator[Reference]:
    """The keys that containers mount as a file by `subPath`; in place of one that is not there a folder would stand."""
    volumes = {one.get("name"): one for one in mappings(pod.get("volumes"))}
    for container in (*mappings(pod.get("initContainers")), *mappings(pod.get("containers"))):
        for mount in mappings(container.get("volumeMounts")):
            sources = [*referred(volumes.get(mount.get("name")))]
            if mount.get("subPath") and len(sources) == 1 and not sources[0].keys:
                yield replace(sources[0], keys=(str(mount["subPath"]).partition("/")[0],))


def _names(document: Document, name: str) -> bool:
    """Whether an operator may make something of this name for an object, which is what it begins with."""
    made = re.match(rf"(.+\.)?{re.escape(document.name)}([-.]|$)", name)
    return bool(made) and not (BUILT_IN.match(document.identity.group) or _MAKING_NONE.search(document.identity.group))


def _texts(document: Document) -> list[str]:
    """The texts of an object by which a program may make what they name: of pods what containers are told, of others
    all but whom they select."""
    pods = pod_spec(document.kind, document.data) is not None
    found: list[str] = []

    def note(key: str, text: str) -> str:
        if not pods or key in ("command", "args", "value"):
            found.append(text)
        return text

    spec = {key: value for key, value in document.spec.items() if "elector" not in key}
    rest = {key: value for key, value in document.data.items() if key not in ("metadata", "spec")}
    mapped([rest, spec], note)
    return found
