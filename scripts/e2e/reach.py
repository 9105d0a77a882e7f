"""Says what NetworkPolicies let through, read as Kubernetes reads them: not every cluster of a test enforces any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from scripts.chart.pods import directions, selects
from scripts.cluster.objects import labels_of, open_ports

Labels = Mapping[str, str]
Policy = Mapping[str, Any]
_NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Place:
    """Where traffic begins or ends: a pod's labels, its namespace, the ports that it opens by name, and its address.

    Without an `address`, "", no block of addresses is about it.
    """

    labels: Labels
    namespace: str
    ports: Mapping[str | int, int]
    address: str = ""

    @classmethod
    def of(cls, pod: Mapping[str, Any], namespace: str) -> Place:
        return cls(labels_of(pod), namespace, open_ports([pod]), (pod.get("status") or {}).get("podIP", ""))


def allowed(policies: Iterable[Policy], source: Place, target: Place, port: int, protocol: str = "TCP") -> bool:
    """Whether `source` may ask `target` on `port`: whoever a policy selects may do what some policy says, no more."""
    policies = list(policies)
    return _may(policies, "Egress", source, target, target, port, protocol) and _may(
        policies, "Ingress", target, source, target, port, protocol
    )


def _may(
    policies: Sequence[Policy], way: str, own: Place, peer: Place, target: Place, port: int, protocol: str
) -> bool:
    applying = [
        policy
        for policy in policies
        if policy["metadata"].get("namespace", own.namespace) == own.namespace
        and way in directions(policy["spec"])
        and selects(policy["spec"].get("podSelector"), own.labels)
    ]
    side = {"Egress": "to", "Ingress": "from"}[way]
    for policy in applying:
        for rule in policy["spec"].get(way.lower()) or ():
            ports, peers = rule.get("ports"), rule.get(side)
            right = not ports or any(_is_port(given, target, port, protocol) for given in ports)
            if right and (not peers or any(_is_peer(given, own.namespace, peer) for given in peers)):
                return True
    return not applying


def _is_port(given: Mapping[str, Any], target: Place, port: int, protocol: str) -> bool:
    if given.get("protocol", "TCP") != protocol:
        return False
    named = given.get("port", port)
    first = target.ports.get(named, -1) if isinstance(named, str) else named
    return bool(first <= port <= given.get("endPort", first))


def _is_peer(given: Mapping[str, Any], namespace: str, peer: Place) -> bool:
    """True for a pod that a peer of a rule is. An `ipBlock` is meant for others, and lets in whose address it has."""
    if block := given.get("ipBlock"):
        return _within(peer.address, block["cidr"]) and not any(
            _within(peer.address, part) for part in block.get("except", ())
        )
    if "namespaceSelector" in given:
        space = selects(given["namespaceSelector"], {_NAME: peer.namespace})
    else:
        space = peer.namespace == namespace
    return space and selects(given.get("podSelector"), peer.labels)


def _within(address: str, block: str) -> bool:
    return bool(address) and ip_address(address) in ip_network(block, strict=False)


def guards(budget: Mapping[str, Any], labels: Labels) -> bool:
    """Whether a disruption budget is about a pod with `labels`; without a selector it is about none."""
    selector = budget["spec"].get("selector")
    return selector is not None and selects(selector, labels)
