"""Owns what a scenario has to know of a chart: told in `[tool.gati.e2e]`, or found in the objects it renders."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from scripts.chart.manifests import mapped, nodes
from scripts.core.config import KINDS
from scripts.core.errors import ConfigError
from scripts.core.words import meant
from scripts.core.yaml_read import merge

Values = Mapping[str, Any]
PROTOCOLS = ("http", "https", "grpc", "tcp")


@dataclass(frozen=True)
class Question:
    """How the chart is asked: the Service, its port ("" is the first one), and what counts as an answer.

    `path`, `method`, `statuses` (none: to be found) and `headers` are for HTTP, and `otherwise` the path where the
    first one is not answered; of gRPC the protocol where no health is told. A TCP server is sent `send` once it is
    connected to, and has to answer with something that begins with `expect`; gRPC is asked for the health of
    `grpc_service`. `proof` is where the JSON of an answer says who behind the pod that was asked gave it, `version`
    where it says of which version it is.
    """

    service: str
    port: str = ""
    protocol: str = "http"
    path: str = "/"
    method: str = "GET"
    kept_method: str = "GET"
    statuses: tuple[int, ...] = (200,)
    proof: str = ""
    version: str = "version"
    send: str = ""
    expect: str = ""
    grpc_service: str = ""
    otherwise: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        what = f" {self.path}" if self.protocol in ("http", "https") else ""
        return f"{self.protocol}{what} of Service {self.service}" + (f", port {self.port}" if self.port else "")


@dataclass(frozen=True)
class Subject:
    """What a scenario has to know of a chart and cannot read out of its release: the keys of `[tool.gati.e2e]`."""

    release: str = ""
    """The name of the release; the chart's, where it is not told and helm takes that for one."""
    service: str = ""
    """The Service that the load asks. Found: the one with a port that its pods' readiness probe asks."""
    port: str = ""
    """The name or number of its port."""
    protocol: str = ""
    """http, https, grpc or tcp. Found: by the readiness probe, then by the name and the number of the port."""
    path: str = ""
    """What HTTP asks for. Found: / where it answers, else the path of the readiness probe."""
    method: str = "GET"
    """How HTTP asks."""
    kept_method: str = ""
    """How it asks on connections that are kept, where a client may send a POST only once; `method` without it."""
    statuses: tuple[int, ...] = ()
    """The statuses that are an answer. Found: what the path answers before anything is changed."""
    send: str = ""
    """What a TCP server is sent."""
    expect: str = ""
    """What the answer of a TCP server begins with."""
    grpc_service: str = ""
    """The service of gRPC whose health is asked for; the server's own without it."""
    proof: str = ""
    """Where the JSON of an answer says who behind the pod that was asked gave it: an answer without it is a loss."""
    backs: tuple[str, ...] = ()
    """Workloads ("Deployment/name") that the ones behind the Service ask. They are disrupted too, and taken away
    altogether (`outage`): the front must say that it is not ready and live on, and the chart's tests must fail."""
    may_lose: str = ""
    """Why requests may be lost in an upgrade ("one replica, which restarts"). They are counted all the same."""
    may_replace: str = ""
    """Why pods may be replaced where the same is installed again ("the chart draws a password"). Objects that it draws
    are left out by themselves."""
    values: Values = field(default_factory=dict)
    """What every installation is given, over its values set. {namespace}, {images} (the prefix of the reference
    services' images) and {version} (1, then 2) are filled in."""
    changes: Mapping[str, Values] = field(default_factory=dict)
    """Values of an upgrade of their own, by what they change: `configuration`, `routes`, `scaler`, `tls`,
    `tls-redirect` (the plain port sends clients to HTTPS), `tls-alone` (it goes), `labels`, `abrupt` (services that end
    at once), `init` (an init container that fails), `apart` (required anti-affinity, node selector, tolerations),
    `external` (installed with the first values set)."""
    optional: Mapping[str, Mapping[str, Values]] = field(default_factory=dict)
    """Values by a kind (`"Kind.group"`): `with` it and `without` it, by whether the cluster knows it."""
    images: tuple[str, ...] = ()
    """Images that no object of the chart names and its pods need, such as those that an operator starts."""
    differs: str = ""
    """Where the JSON of an answer says the {version}: the load must see 1 and 2."""
    left: tuple[str, ...] = ()
    """What an uninstall leaves on purpose ("Kind/name", patterns), beside claims, `crds/` and what says so itself."""
    makes_namespace: bool = False
    """Whether the chart makes the namespace {namespace} of its objects, which then is not the release's."""
    disrupted_with: str = "default"
    """The values set that is installed for disruptions, and kept over upgrades as operators do."""
    uninstalled_with: str = "default"
    """The one that is uninstalled."""
    spread_with: str = ""
    """The values set with which the pods of each workload must be spread over the zones."""
    monitored: bool = False
    """Whether there must be metrics (a ServiceMonitor, or annotations), and rules and dashboards ask for no others."""
    least_rights: bool = False
    """Whether accounts may do nothing but read the configuration that their pods use."""
    careful: bool = False
    """Whether all has to be done with care: docs/other-charts.md has the list."""
    objects: Values = field(default_factory=dict)
    """What a values set must render ("Kind name", "Service web spec.clusterIP=None"), by its name; under "all" what
    each of them must."""
    ports: tuple[str, ...] = ()
    """The ports on which clients look for a Service ("name:80"), whatever an upgrade does."""
    flows: tuple[str, ...] = ()
    """What policies, where there are some, must let through between components ("web -> store:9000"; * is anybody). It
    is read out of them, since not every cluster enforces them."""
    barred: tuple[str, ...] = ()
    """What they must not."""
    notes: bool = False
    """Whether the notes must begin with a line that says the namespace."""
    restricted: bool = False
    """Whether the pods must pass Pod Security `restricted`, which their namespaces then enforce."""
    route: str = ""
    """Where the JSON of an answer says what the change "routes" changes."""
    configured_path: str = ""
    """What is asked to see the change "configuration"."""
    configured_key: str = ""
    """The key in the JSON of its answer that is there once it is made."""
    tls_secret: str = ""
    """The Secret that the change "tls" needs; a certificate is put into it."""
    archives: str = ""
    """A folder of published archives (NAME-VERSION.tgz), of which the first one is upgraded from always."""
    crds: str = "told"
    """What is done about definitions in crds/, which helm does not upgrade: "told" where that matters, or "applied"
    before each upgrade, with `kubectl apply --server-side --field-manager=helm`."""
    deadline: int = 300
    """Seconds that the pods may take to become ready."""

    def overlay(
        self, *, namespace: str, images: str, version: str, changes: Sequence[str], knows: Callable[[str], bool]
    ) -> dict[str, Any]:
        """The values of an installation on a cluster that `knows` kinds."""
        given: dict[str, Any] = {}
        for values in (
            self.values,
            *(choice.get("with" if knows(kind) else "without", {}) for kind, choice in self.optional.items()),
            *(self.changes[name] for name in changes if name in self.changes),
        ):
            merge(given, values)
        words = {"namespace": namespace, "images": images, "version": version}
        return cast("dict[str, Any]", filled(given, words))

    def demanded(self, values: str, knows: Callable[[str], bool]) -> list[str]:
        """The objects that must be there with a values set, on a cluster that `knows` kinds."""
        absent = {kind.partition(".")[0] for kind in self.optional if not knows(kind)}
        named = (*self.objects.get("all", ()), *self.objects.get(values, ()))
        return [name for name in named if name.partition(" ")[0] not in absent]

    @property
    def placement(self) -> Values:
        """Where the change "apart" wants pods."""
        found = (pair for node in nodes(self.changes.get("apart", {})) for pair in node.items())
        return {key: value for key, value in found if key in ("affinity", "nodeSelector", "tolerations")}

    @property
    def versioned(self) -> bool:
        """Whether an installation differs by its `{version}`."""
        return "{version}" in repr(self.values)

    def tags(self, version: str) -> set[str]:
        """The tags, and names with tags, that images may have by their `{version}`: "1.22-alpine", "web:2"."""
        texts = list[str]()
        mapped(self.values, lambda _, text: texts.append(text.rpartition("/")[2]))
        return {text.replace("{version}", version) for text in texts if "{version}" in text}


def read_subject(table: Values, release: str) -> Subject:
    """The subject that a table of configuration describes; `release` where it names none. Raises ConfigError."""
    known = {each.name: each for each in dataclasses.fields(Subject)}
    given: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"[tool.gati.e2e] has no key {key!r}", expected=meant(key, known))
        given[key] = _value(str(known[key].type), value, key)
    if given.get("deadline", 1) < 1:
        raise ConfigError(f"[tool.gati.e2e] deadline = {given['deadline']} is no time", expected="seconds, from 1")
    for key, allowed in (("protocol", PROTOCOLS), ("crds", ("told", "applied"))):
        if given.get(key, allowed[0]) not in allowed:
            raise ConfigError(f"[tool.gati.e2e] {key} is none", expected=", ".join(allowed), found=repr(given[key]))
    return Subject(**{"release": release, **given})


def _value(wanted: str, value: Any, key: str) -> Any:
    if "Values" in wanted:
        return _tables(value, wanted.count("Mapping["), key)
    if key == "port" and type(value) is int:
        value = str(value)
    shape = {"str": str, "bool": bool, "int": int, "tuple[str, ...]": str, "tuple[int, ...]": int}[wanted]
    parts = value if wanted.startswith("tuple") else [value]
    if not isinstance(parts, list) or any(type(one) is not shape for one in parts):
        raise ConfigError(f"[tool.gati.e2e] {key} has the wrong type", expected=KINDS[wanted], found=repr(value))
    return tuple(value) if isinstance(value, list) else value


def _tables(value: Any, depth: int, key: str) -> Any:
    if not isinstance(value, Mapping):
        raise ConfigError(f"[tool.gati.e2e.{key}] must be a table", found=repr(value))
    for name, inner in value.items() if depth else ():
        _tables(inner, depth - 1, f"{key}.{name}")
    return value


def answer(document: Mapping[str, Any], path: str) -> str:
    """What an answer says at "a.b", or "a.0.b" in a list; "" where it says nothing there."""
    found: Any = document
    for key in path.split("."):
        if isinstance(found, list):
            found = {str(place): one for place, one in enumerate(found)}
        found = found.get(key) if isinstance(found, Mapping) else None
    return str(found) if found or isinstance(found, int) else ""  # 0 and false are answers


def filled(value: Any, words: Mapping[str, str]) -> Any:
    """`value` with its {words} replaced; other braces stay what they are."""

    def fill(_: str, text: str) -> str:
        for word, told in words.items():
            text = text.replace("{" + word + "}", told)
        return text

    return mapped(value, fill)
