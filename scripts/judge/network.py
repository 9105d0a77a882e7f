"""Judges what traffic finds its way: Services, network policies, and routes from outside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import collapse_addresses, ip_network
from typing import Any, NamedTuple

from scripts.chart.manifests import Document, Manifests, at, mapped, mapping, mappings
from scripts.chart.pods import chosen, directions, lasting, matches, pod_spec, pod_template
from scripts.core.paths import below
from scripts.judge.defaults import BUILT_IN
from scripts.judge.reason import Found, Level

# What a type of Service offers to those who call it.
_OFFERS = {
    "ClusterIP": {"a cluster address"},
    "NodePort": {"a cluster address", "a port of the nodes"},
    "LoadBalancer": {"a cluster address", "a port of the nodes", "an address outside"},
    "ExternalName": {"a name outside"},
}


def judge_service(old: Document, new: Document, before: Manifests, after: Manifests) -> Iterator[Found]:
    """What differs in the `spec` of a Service, for those who call it. The manifests are all objects of each side."""
    was, now = old.spec, new.spec
    one, other = (str(side.get("type") or "ClusterIP") for side in (was, now))
    if one != other:
        missed = _OFFERS.get(one, set()) - _OFFERS.get(other, set())
        words = f"{' and '.join(sorted(missed))} is gone" if missed else "can be reached in a further way"
        yield "major" if missed else "minor", "spec.type", one, other, words
    yield from _ports(mappings(was.get("ports")), mappings(now.get("ports")))
    if was.get("selector") != now.get("selector"):
        yield _selector(old, new, before)
    yield from _led(old, new, before, after)
    yield from _callers("spec.loadBalancerSourceRanges", *(side.get("loadBalancerSourceRanges") for side in (was, now)))
    if one == other == "LoadBalancer":
        yield from _balancer(old.annotations, new.annotations)
    told = was.get("externalIPs"), now.get("externalIPs")
    if told[0] != told[1]:
        lost = [one for one in told[0] or () if one not in (told[1] or ())]
        meaning = "an address outside is gone" if lost else "a further address outside"
        yield "major" if lost else "minor", "spec.externalIPs", *told, meaning


JUDGED = frozenset({"type", "ports", "selector", "loadBalancerSourceRanges", "externalIPs"})
"""The keys of a Service's spec that are judged here."""


def _ports(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Iterator[Found]:
    def key(port: Mapping[str, Any]) -> tuple[Any, Any]:
        return port.get("port"), port.get("protocol", "TCP")

    before, after = ({key(port): port for port in side} for side in (old, new))
    gone = [port for number, port in before.items() if number not in after]
    fresh = [port for number, port in after.items() if number not in before]
    for port in gone:
        path = _place(port)
        follower = next((one for one in fresh if port.get("name") and one.get("name") == port.get("name")), None)
        if follower is None and len(gone) == len(fresh) == 1:
            follower = fresh[0]
        if follower is not None:
            fresh.remove(follower)
            told = _port(port), _port(follower)
            yield "major", f"{path}.port", *told, "clients that call the old port reach nothing"
            yield from _port_fields(path, port, follower)
        else:
            yield "major", path, _port(port), None, "clients that call this port reach nothing"
    for port in fresh:
        yield "minor", _place(port), None, _port(port), "a further port is offered"
    for number in before.keys() & after.keys():
        yield from _port_fields(_place(before[number]), before[number], after[number])


def _place(port: Mapping[str, Any]) -> str:
    return f"spec.ports[{port.get('name') or port.get('port')}]"


def _led(old: Document, new: Document, before: Manifests, after: Manifests) -> Iterator[Found]:
    """Ports that lead to one of the pods that the new ones do not have, or the running ones not yet."""
    earlier, had, have = mappings(old.spec.get("ports")), *(_ports_of_pods(new, side) for side in (before, after))
    for port in mappings(new.spec.get("ports")):
        target, path = _target(port), f"{_place(port)}.targetPort"
        was = next((_target(one) for one in earlier if _port(one) == _port(port)), target)
        if isinstance(target, str) and (target in had or target != was) and have and target not in have:
            meaning = "no port of the pods is called so: clients reach nothing"
            yield "major", path, target, sorted(have, key=str), meaning
        moved = target != was and new.spec.get("clusterIP") != "None"  # without an address nothing leads on
        if moved and target in have and had and target not in had:
            yield "major", path, was, target, "the pods that run lack that port: no traffic until new ones are ready"


def _target(port: Mapping[str, Any]) -> Any:
    return port.get("targetPort", port.get("port"))


def _ports_of_pods(service: Document, manifests: Manifests) -> set[Any]:
    """The ports of the pods that a Service chooses, by number and by name ("" for one without)."""
    found = (port for one in chosen(service, manifests) for port in ports(one))
    return {told for port in found for told in (port.get("containerPort"), str(port.get("name") or ""))}


def ports(document: Document) -> Iterator[Mapping[str, Any]]:
    """Those of a Service, or of the pods of a workload."""
    yield from mappings(document.spec.get("ports"))
    for container in lasting(pod_spec(document.kind, document.data)):
        yield from mappings(container.get("ports"))


def _port(port: Mapping[str, Any]) -> Any:
    return port.get("port") if port.get("protocol", "TCP") == "TCP" else f"{port.get('port')}/{port.get('protocol')}"


def _port_fields(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    told: tuple[tuple[str, Level, str], ...] = (
        ("name", "major", "an Ingress, a ServiceMonitor or a client that names the port finds nothing"),
        ("nodePort", "major", "clients that call the old port of the nodes reach nothing"),
        ("targetPort", "patch", "leads to another port of the pods"),
        ("appProtocol", "minor", "proxies take the port for another protocol"),
    )
    for key, level, meaning in told:
        if old.get(key) != new.get(key):
            gentle = key in ("name", "nodePort") and old.get(key) is None
            meaning = "has a name now" if gentle and key == "name" else meaning
            if key == "nodePort" and new.get(key) is None and old.get("name") == new.get("name"):
                gentle, meaning = True, "stays as it is; a new installation is given another"
            yield "minor" if gentle else level, f"{path}.{key}", old.get(key), new.get(key), meaning


def _selector(old: Document, new: Document, before: Manifests) -> Found:
    """Another selector: pods of the old version that it does not match get no traffic until they are replaced."""
    was, now = old.spec.get("selector"), new.spec.get("selector")
    level: Level = "major"
    meaning = "other pods are called"
    for pods in chosen(old, before)[:1]:
        level, meaning = "patch", "the same pods by other labels"
        if not matches(now, at(pod_template(pods.kind, pods.data), "metadata.labels") or {}):
            level, meaning = "major", "the pods that run do not match: no traffic until new ones are ready"
        elif mapping(now).items() < mapping(was).items():
            level, meaning = "minor", "pods of others may match, too: another release of the chart"
    return level, "spec.selector", was, now, meaning


def _callers(path: str, old: Any, new: Any) -> Iterator[Found]:
    """The addresses that a balancer or a proxy lets in, a list or a text of them; without any it lets in all."""
    if (old or None) != (new or None):
        named = (re.split(r"[,\s]+", side) if isinstance(side, str) else side for side in (old, new))
        sides = [[{"cidr": one} for one in side or ("0.0.0.0/0", "::/0") if one] for side in named]
        if not _blocks_in(*sides):
            yield "major", path, old, new, "who calls from elsewhere is refused"
        elif not _blocks_in(*sides[::-1]):
            yield "minor", path, old, new, "more callers are let in"


def _balancer(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Found]:
    """Whether a cloud's balancer can be reached from outside, which clouds read of annotations."""
    for key in filter(re.compile("load-balancer-(internal|scheme|type)$").search, {**old, **new}):
        told = old.get(key), new.get(key)
        inward = [str(one).lower() in ("true", "internal") for one in told]
        if inward[0] is not inward[1]:
            meaning = "another balancer, at another address: clients that call the old one reach nothing"
            yield "major", below("metadata.annotations", key), *told, meaning


# -- network policies -----------------------------------------------------------------------------


def judge_policy(
    old: Document, new: Document, manifests_before: Manifests, manifests_after: Manifests
) -> Iterator[Found]:
    """What differs in the `spec` of a NetworkPolicy, for the traffic that it let through.

    A port that is named is the one that the pods of that side call so.
    """
    sides = ((old, manifests_before), (new, manifests_after))
    was, now = (_numbered(side.spec, _named_ports(manifests)) for side, manifests in sides)
    if was.get("podSelector") != now.get("podSelector"):
        yield _held(old, new, manifests_before, manifests_after)
    types = [directions(side) for side in (was, now)]
    types[1] -= {one for one in types[1] - types[0] if _open(now, one)}
    if types[1] - types[0]:
        meaning = "a further direction is closed but for its rules"
        yield "major", "spec.policyTypes", sorted(types[0]), sorted(types[1]), meaning
    elif types[0] - types[1]:
        yield "minor", "spec.policyTypes", sorted(types[0]), sorted(types[1]), "a direction is open"
    beside = [  # what several policies for the same pods let through adds up
        _numbered(one.spec, _named_ports(manifests_after))
        for one in manifests_after.all("NetworkPolicy")
        if one.space == new.space and selector_in(now.get("podSelector"), one.spec.get("podSelector"))
    ]
    labels = {"": {_NAMED: new.space}, **{one.name: one.labels for one in manifests_after.all("Namespace")}}
    for direction, peers in _PEERS.items():
        before, after = mappings(was.get(direction)), mappings(now.get(direction))
        if before == after or direction.capitalize() not in types[0] & types[1]:
            continue
        rules = [*after, *(rule for one in beside for rule in mappings(one.get(direction)))]
        lost = [rule for rule in before if not _let(rule, rules, peers, labels)]
        if lost:
            yield "major", f"spec.{direction}", lost, after, "traffic that was let through is refused"
        elif any(not _let(rule, before, peers, labels) for rule in after):
            yield "minor", f"spec.{direction}", before, after, "more traffic is let through"


def _held(old: Document, new: Document, before: Manifests, after: Manifests) -> Found:
    """Another selector of a policy: whom it holds for from now on."""
    was, now = (side.spec.get("podSelector") for side in (old, new))
    level: Level = "major"
    meaning = "holds for other pods: what they were sent may be refused"
    own = [[one.identity for one in chosen(*side)] for side in ((old, before), (new, after))]
    all_in_sight = own[0] or all(BUILT_IN.match(one.identity.group) for one in before)  # operators make pods, too
    if own[0] == own[1] and all_in_sight and not selector_in(was, now):
        fewer = selector_in(now, was)
        level = "minor" if fewer else "patch"
        meaning = "holds for the same pods of the chart" + ", and for fewer others" * fewer
    return level, "spec.podSelector", was, now, meaning


def _named_ports(manifests: Manifests) -> dict[str, int]:
    """The ports of all pods by name, without those of which pods mean different ones."""
    found: dict[str, set[int]] = {}
    for port in (port for document in manifests for port in ports(document)):
        if isinstance(port.get("name"), str) and isinstance(port.get("containerPort"), int):
            found.setdefault(port["name"], set()).add(port["containerPort"])
    return {name: numbers.pop() for name, numbers in found.items() if len(numbers) == 1}


def _numbered(value: Any, ports: Mapping[str, int]) -> Any:
    """A policy with numbers in place of the names of ports."""
    return mapped(value, lambda key, text: ports.get(text, text) if key == "port" else text)


_PEERS = {"ingress": "from", "egress": "to"}


def _open(spec: Mapping[str, Any], direction: str) -> bool:
    """Whether a rule of a policy lets everything through in a direction."""
    key = direction.lower()
    return any(not rule.get(_PEERS[key]) and not rule.get("ports") for rule in mappings(spec.get(key)))


def _let(rule: Mapping[str, Any], rules: Iterable[Mapping[str, Any]], peers: str, labels: Labels) -> bool:
    """Whether all that `rule` lets through is let through by `rules`, pair of a peer and a port by pair."""
    ours, theirs = (
        [
            (_placed(peer, labels), port)
            for it in side
            for peer in it.get(peers) or [None]
            for port in it.get("ports") or [None]
        ]
        for side in ((rule,), rules)
    )
    return all(
        _peer_in(peer, [p for p, q in theirs if _port_in(port, [q])])
        or _port_in(port, [q for p, q in theirs if _peer_in(peer, [p])])
        for peer, port in ours
    )


Labels = Mapping[str, Mapping[str, Any]]
"""Those of namespaces by their names; under "" what tells the policy's own."""
_NAMED = "kubernetes.io/metadata.name"  # the label of which the API server sees to it that it is the name


def _placed(peer: Any, labels: Labels) -> Any:
    """A peer with all that is known of its namespace, which is the policy's own where it says nothing of it."""
    if not isinstance(peer, Mapping) or "ipBlock" in peer:
        return peer
    selector = peer.get("namespaceSelector", {"matchLabels": labels[""]})
    told = mapping(selector).get("matchLabels") or {}
    known = {**mapping(selector), "matchLabels": {**labels.get(str(told.get(_NAMED)), {}), **told}}
    return {**peer, "namespaceSelector": known}


def _peer_in(peer: Any, others: Sequence[Any]) -> bool:
    """Whether `others` together mean all that `peer` means; None is everyone."""
    if None in others or peer in others:
        return True
    if not isinstance(peer, Mapping):
        return False
    known = mappings(others)
    if "ipBlock" in peer:
        return _blocks_in([peer["ipBlock"]], [one["ipBlock"] for one in known if "ipBlock" in one])
    return any(
        all(selector_in(peer.get(key), one.get(key)) for key in ("namespaceSelector", "podSelector"))
        for one in known
        if "ipBlock" not in one
    )


def selector_in(selector: Any, other: Any) -> bool:
    """Whether `other` finds all that `selector` finds."""
    labels, theirs = ((side or {}).get("matchLabels") or {} for side in (selector, other))
    held, asked = ((side or {}).get("matchExpressions") or [] for side in (selector, other))
    return theirs.items() <= labels.items() and all(_implied(one, labels, held) for one in asked)


def _implied(asked: Mapping[str, Any], labels: Mapping[str, Any], held: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all that has `labels` and meets `held` meets `asked`."""
    key, how, values = str(asked.get("key")), asked.get("operator"), {*(asked.get("values") or ())}
    terms = [{"operator": "In", "values": [labels[key]]}] if key in labels else []
    for term in [*terms, *(one for one in held if one.get("key") == key)]:
        kind, known = term.get("operator"), {*(term.get("values") or ())}
        if kind == "In" and {"In": known <= values, "NotIn": not known & values, "Exists": True}.get(str(how)):
            return True
        if kind == how and (how != "NotIn" or values <= known) and (how != "In" or known <= values):
            return True
    return False


def _blocks_in(blocks: Iterable[Mapping[str, Any]], others: Iterable[Mapping[str, Any]]) -> bool:
    """Whether every address of `blocks` is in one of `others`, however both are cut up."""
    try:
        ours, theirs = ([net for block in side for net in _networks(block)] for side in (blocks, others))
    except ValueError:
        return False
    whole = [wide for version in (4, 6) for wide in collapse_addresses(net for net in theirs if net.version == version)]
    return all(any(_within(net, wide) for wide in whole) for net in ours)


def _networks(block: Mapping[str, Any]) -> list[Any]:
    """What a block is made of, without what it spares. Raises ValueError for what is no block."""
    found: list[Any] = [ip_network(str(block.get("cidr")), strict=False)]
    for hole in (ip_network(str(one), strict=False) for one in block.get("except") or ()):
        kept = [net for net in found if not _within(net, hole)]
        found = [part for net in kept for part in (net.address_exclude(hole) if _within(hole, net) else [net])]
    return found


def _within(net: Any, wide: Any) -> bool:
    return bool(net.version == wide.version and net.subnet_of(wide))


def _port_in(port: Any, others: Sequence[Any]) -> bool:
    """Whether `others` together mean all that `port` means; None is every port of every protocol."""
    if None in others or port in others:
        return True
    if not isinstance(port, Mapping):
        return False
    first: Any = port.get("port")
    last: Any = port.get("endPort", first)
    alike = [one for one in mappings(others) if one.get("protocol", "TCP") == port.get("protocol", "TCP")]
    if any(one.get("port") is None or one["port"] == first == last for one in alike):
        return True
    spans = [(one["port"], one.get("endPort", one["port"])) for one in alike if isinstance(one["port"], int)]
    for least, most in sorted(spans) if isinstance(first, int) else ():
        first = most + 1 if least <= first <= most else first
    return isinstance(first, int) and first > last


def added_policy_closes(policy: Document, before: Manifests) -> bool:
    """Whether a new NetworkPolicy closes what no other one in its namespace had closed."""
    closed = {one for one in directions(policy.spec) if not _open(policy.spec, one)}
    for other in before.all("NetworkPolicy"):
        covers = other.spec.get("podSelector") in ({}, None, policy.spec.get("podSelector"))
        if other.namespace == policy.namespace and covers and closed <= directions(other.spec):
            return False
    return bool(closed)


# -- routes from outside --------------------------------------------------------------------------


def judge_ingress(
    old: Document, new: Document, manifests_before: Manifests, manifests_after: Manifests
) -> Iterator[Found]:
    """What differs in the `spec` of an Ingress, for those who call it."""
    was, now = old.spec, new.spec
    for key in filter(_LETTING_IN.search, {**old.annotations, **new.annotations}):
        yield from _callers(below("metadata.annotations", key), *(side.annotations.get(key) for side in (old, new)))
    told = _ingress_class(old), _ingress_class(new)
    if told[0] != told[1]:
        yield "major", "spec.ingressClassName", *told, "another controller serves it, at another address"
    before, after = _routes(old, manifests_before), _routes(new, manifests_after)
    alike = (one for one in manifests_after.all("Ingress") if _ingress_class(one) == told[1])
    served = [*after, *(route for one in alike for route in _routes(one, manifests_after))]  # by whichever of its class
    lost, fresh = _beyond(before, served), _beyond(after, before)
    if lost:
        others = sorted(map(str, after.keys() - before.keys())) or None
        yield "major", "spec.rules", [*map(str, lost)], others, "requests for these are no longer served"
    elif fresh:
        yield "minor", "spec.rules", None, [*map(str, fresh)], "further requests are served"
    for route in sorted(before.keys() | after.keys()):
        told = _serving(route, before), _serving(route, after)
        if None not in told and told[0] != told[1]:
            yield "minor", f"spec.rules[{route}].backend", *told, "requests go to another Service or port"
    if was.get("tls") != now.get("tls"):
        told = was.get("tls"), now.get("tls")
        hosts = [{str(host) for one in mappings(side) for host in one.get("hosts") or ()} for side in told]
        fewer = (told[0] and not told[1]) or any(
            not any(_host_in(host, other, labels=1) for other in hosts[1]) for host in hosts[0]
        )
        meaning = "hosts are no longer served with TLS" if fewer else "other certificates are served"
        yield "major" if fewer else "minor", "spec.tls", *told, meaning
    if was.get("defaultBackend") != now.get("defaultBackend"):
        told = was.get("defaultBackend"), now.get("defaultBackend")
        yield "major" if told[0] else "minor", "spec.defaultBackend", *told, "all other requests go elsewhere"


_LETTING_IN = re.compile(r"/((white|allow)-?list(-source-range)?|inbound-cidrs)$")  # of nginx, HAProxy, a cloud


def _ingress_class(ingress: Document) -> Any:
    """The class of an Ingress: its field, or the annotation that was there before there was that."""
    return ingress.spec.get("ingressClassName") or ingress.annotations.get("kubernetes.io/ingress.class")


ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")


def judge_route(old: Document, new: Document) -> Iterator[Found]:
    """Whether all that a route of the Gateway API matched is matched still."""
    was, now = old.spec, new.spec
    before, after = _matches(was), _matches(now)
    lost = [one for one in before if not any(_match_in(one, other) for other in after)]
    if lost:
        yield "major", "spec.rules", lost, after or None, "requests for these are no longer served"
    hosts = [side.get("hostnames") or ["*"] for side in (was, now)]  # without them every host is served
    if hosts[0] != hosts[1]:
        gone = [host for host in hosts[0] if not any(_host_in(host, other) for other in hosts[1])]
        words = "requests for other hosts are no longer served" if gone else "further hosts are served"
        yield "major" if gone else "minor", "spec.hostnames", was.get("hostnames"), now.get("hostnames"), words


# The routes that a listener takes which names no kinds; of other protocols that is the controller's to say.
_WEB = frozenset({"HTTPRoute", "GRPCRoute"})
_BY_PROTOCOL = {"HTTP": _WEB, "HTTPS": _WEB, "TCP": frozenset({"TCPRoute"}), "UDP": frozenset({"UDPRoute"})}


def judge_listeners(old: Document, new: Document) -> Iterator[Found]:
    """Which routes the listeners of a Gateway take, by kind and by namespace."""
    before, after = ({one.get("name"): one for one in mappings(side.spec.get("listeners"))} for side in (old, new))
    for name in [name for name in after if name in before]:
        was, now = (mapping(side[name].get("allowedRoutes")) for side in (before, after))
        kinds = [{str(one.get("kind")) for one in mappings(side.get("kinds"))} for side in (was, now)]
        usual = _BY_PROTOCOL.get(str(before[name].get("protocol")), {"any"})
        (one, here), (other, there) = (
            (places.get("from") or "Same", places.get("selector"))
            for places in (mapping(side.get("namespaces")) for side in (was, now))
        )
        apart = one != other or (one == "Selector" and not selector_in(here, there))
        fewer = (kinds[1] and not (kinds[0] or usual) <= kinds[1]) or (apart and one != "None" and other != "All")
        if was != now:
            meaning = "routes that it took are no longer taken" if fewer else "it takes routes otherwise"
            path = f"spec.listeners[{name}].allowedRoutes"
            yield "major" if fewer else "minor", path, was or None, now or None, meaning


def _matches(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The matches of all rules; a rule without any is for everything."""
    return [match for rule in mappings(spec.get("rules")) for match in mappings(rule.get("matches")) or [{}]]


def _match_in(match: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether `other` matches all that `match` does."""
    paths = (side.get("path") or {} for side in (match, other))
    (kind, path), (wide, prefix) = ((one.get("type") or "PathPrefix", str(one.get("value") or "/")) for one in paths)
    return _path_in(kind, path, wide, prefix) and _asks_less(match, other)


def _asks_less(match: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether `other` asks for no method, header or parameter that `match` does not ask for."""
    named = all(one in (match.get(key) or []) for key in ("headers", "queryParams") for one in other.get(key) or [])
    mine, theirs = match.get("method"), other.get("method")
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):  # of gRPC: a service, a method of it
        return named and theirs.items() <= mine.items()
    return named and theirs in (None, mine)


def _path_in(kind: str, path: str, wide: str, prefix: str) -> bool:
    """Whether the path `prefix`, which is matched as `wide` says, holds all of `path`, which `kind` speaks of."""
    if (kind, path) == (wide, prefix):
        return True
    stem = prefix.rstrip("/")
    plain = kind in ("Exact", "Prefix", "PathPrefix") or (kind == _ANYHOW and re.fullmatch(r"[\w./-]*", path))
    below = plain and (path.rstrip("/") == stem or path.startswith(f"{stem}/"))
    return wide in ("Prefix", "PathPrefix") and bool(below or not stem)


def _host_in(host: str, other: str, labels: int = 0) -> bool:
    """Whether the host `other`, with a `*` for what may stand before it, holds all of `host`; of an Ingress it stands
    for one label, of the Gateway API for any number (0)."""
    below = other.startswith("*.") and host.endswith(other[1:])
    return other in ("*", host) or (below and labels in (0, host.count(".") - other.count(".") + 1))


_ANYHOW = "ImplementationSpecific"


class _Route(NamedTuple):
    host: str
    path: str
    how: str

    def __str__(self) -> str:
        return f"{self.host}{self.path} ({self.how})"


def _beyond(ours: Iterable[_Route], theirs: Iterable[_Route]) -> list[_Route]:
    """Those of `ours` for which `theirs` do not stand."""
    return sorted(
        one
        for one in ours
        if not any(
            _host_in(one.host, two.host, labels=1) and _path_in(one.how, one.path, two.how, two.path) for two in theirs
        )
    )


def _serving(route: _Route, routes: Mapping[_Route, Any]) -> Any:
    """What serves a route: of those that hold all of it the one that says most of its host, then of its path."""
    holding = [one for one in routes if not _beyond([route], [one])]
    nearest = max(holding, key=lambda one: (one.host == route.host, len(one.host), len(one.path)), default=route)
    return routes.get(nearest)


def _routes(ingress: Document, manifests: Manifests) -> dict[_Route, Any]:
    """What an Ingress serves, and what serves it: a Service and the number of its port."""
    numbers = {
        (one.name, port.get("name")): port.get("port")
        for one in manifests.all("Service")
        if one.space == ingress.space
        for port in mappings(one.spec.get("ports"))
    }
    found = {}
    for rule in mappings(ingress.spec.get("rules")):
        for one in mappings(at(rule, "http.paths")) or [{}]:
            backend = one.get("backend") or {}
            service = backend.get("service") or {}
            name, port = service.get("name", backend.get("serviceName")), service.get("port") or {}
            told = port.get("number") or port.get("name") or backend.get("servicePort")
            served = f"{name}:{numbers.get((name, told), told)}" if name else backend
            found[_Route(rule.get("host") or "*", one.get("path") or "/", one.get("pathType") or _ANYHOW)] = served
    return found
