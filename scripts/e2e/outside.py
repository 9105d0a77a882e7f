"""Offers a Service on every node's address, keeps the offer what the Service is, and asks there from outside."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from scripts.cluster.api import Api
from scripts.cluster.kind import PREFIX
from scripts.cluster.objects import Object
from scripts.core.errors import ClusterError
from scripts.core.waiting import repeated

_LOOK = 0.3  # seconds between two looks at the Service
_AGREE_DEADLINE = 20.0
_TLS_DEADLINE = 5.0
_LARGEST = 1 << 20  # bytes of an answer that are read
ANEW = "made anew"  # a Service whose address is another one now, than clients have
_NOBODY = {"gati-e2e/nobody": "the-service-is-gone"}
_COPIED = ("publishNotReadyAddresses", "sessionAffinity", "sessionAffinityConfig", "ipFamilyPolicy", "ipFamilies")


class Outside:
    """The NodePort twin of the Service `service`: its selector, its port, its affinity, from moment to moment.

    `port` names the port that is asked, if the Service has it; "" is the first one. Clients know its number and stay
    with it: where the Service no longer has that, the twin leads to nobody.
    """

    def __init__(self, api: Api, namespace: str, service: str, *, port: str = "") -> None:
        self.api, self.namespace, self._service, self._port = api, namespace, service, port
        self.name = f"{PREFIX}{service}{port and f'-{port}'}"[:63].rstrip("-")
        self._lock = threading.Lock()
        self._shown: Object = {}
        self._asked: list[str] = []
        self._number = 0
        self._identity = ""
        self.node_port = 0
        self.scheme = "http"

    @property
    def asked(self) -> tuple[str, ...]:
        """What the Service was, each time that it changed: "12:00:00 gati-ingress: 80 to 8080 of app=web"."""
        with self._lock:
            return tuple(self._asked)

    def follow(self) -> None:
        """Make the twin what the Service is now. Raises ApiError, ClusterError."""
        with self._lock:
            real = self.api.get("Service", self._service, self.namespace)
            shown = _twin(real, self._port, self._number)
            identity = real["metadata"].get("uid", "") if real and real["spec"].get("clusterIP") != "None" else ""
            anew = f", {ANEW}" if "" not in (identity, self._identity) and identity != self._identity else ""
            self._identity = identity or self._identity
            if shown == self._shown and not anew:
                return
            self._number = self._number or (shown["ports"][0]["port"] if real else 0)
            if not self.node_port and (made := self.api.get("Service", self.name, self.namespace)):
                self.node_port = made["spec"]["ports"][0]["nodePort"]  # of an offer before: whoever asks it goes on
            if self.node_port:
                for port in shown["ports"][:1]:
                    port["nodePort"] = self.node_port
            document = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": self.name}, "spec": shown}
            port = self.api.apply(document, self.namespace)["spec"]["ports"][0]
            self.node_port = port["nodePort"]
            self._shown = _twin(real, self._port, self._number)
            tls = "https" in (port.get("name"), port.get("appProtocol")) or port["port"] == 443
            self.scheme = "https" if tls else "http"
            self._asked.append(f"{time.strftime('%H:%M:%S', time.gmtime())} {describe(self._service, real)}{anew}")

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        # Where the API server does not answer, it answers again, or what needs it says so.
        with repeated(self.follow, every=_LOOK, name="outside", bearing=ClusterError):
            yield

    def demand_same(self) -> str:
        """The places behind the twin are those behind the Service; what they are in words. Raises ClusterError."""
        self.follow()
        real, _ = self.api.observe(
            lambda: (self._places(self._service), self._places(self.name)),
            lambda seen: seen[0] == seen[1],
            what=f"the load to ask what Service {self._service} asks",
            deadline=_AGREE_DEADLINE,
            told=lambda seen: json.dumps(
                {self._service: sorted(map(str, seen[0])), "asked": sorted(map(str, seen[1]))}
            ),
        )
        return f"{len(real)} places behind Service {self._service}"

    def _places(self, service: str) -> set[tuple[Any, ...]]:
        """Every ready address and port behind a Service, of the port that is asked."""
        asked = self._shown["ports"][0].get("name", "")
        labels = f"kubernetes.io/service-name={service}"
        return {
            (address, port["port"])
            for part in self.api.list("EndpointSlice", self.namespace, labels=labels)
            for endpoint in part.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready") is not False
            for address in endpoint["addresses"]
            for port in part.get("ports") or ()
            if (port.get("name") or "") == asked
        }


def describe(name: str, service: Object | None) -> str:
    """A Service in a line."""
    if service is None:
        return f"{name} is not there"
    spec = service["spec"]
    if "externalName" in spec:
        return f"{name}: another name for {spec['externalName']}"
    ports = ", ".join(
        f"{port['port']} to {port.get('targetPort')}"
        + (f" by {port['protocol']}" if port.get("protocol", "TCP") != "TCP" else "")
        for port in spec.get("ports", ())
    )
    labels = ",".join(f"{key}={value}" for key, value in sorted(spec.get("selector", {}).items()))
    return f"{name}: {ports} of {labels or 'nobody'}"


def _twin(real: Object | None, wanted: str, number: int) -> Object:
    """The spec of the twin. `number` is that of the port which clients know, 0 while they know none."""
    spec = real["spec"] if real else {}
    known = [port for port in spec.get("ports") or () if number in (0, port["port"])]
    offered = sorted(known, key=lambda port: port.get("name") != wanted)
    ports = [
        {key: port[key] for key in ("name", "port", "targetPort", "protocol", "appProtocol") if key in port}
        for port in offered[:1]
    ]
    copied = {key: spec[key] for key in _COPIED if key in spec}
    if spec.get("internalTrafficPolicy") == "Local":  # a client on a node finds the pods of that node alone
        copied["externalTrafficPolicy"] = "Local"
    return {
        "type": "NodePort",
        "selector": dict((ports and spec.get("selector")) or _NOBODY),
        "ports": ports or [{"port": number or 80, "protocol": "TCP"}],
        **copied,
    }


def asked(url: str, headers: Sequence[tuple[str, str]] = ()) -> tuple[int, str, dict[str, Any]]:
    """The status of an answer, where it sends a client on, "" for nowhere, and its JSON, {} for none; 0 for no answer.

    No proxy is asked, and no redirect followed.
    """
    sent = {**dict(headers), "Connection": "close"}
    place, status, led, text = urlsplit(url), 0, "", b""
    if place.scheme == "https":
        unchecked = ssl.create_default_context()
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE  # the certificate of a test is nobody's
        connection: HTTPConnection = HTTPSConnection(place.netloc, timeout=5, context=unchecked)
    else:
        connection = HTTPConnection(place.netloc, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, ValueError, HTTPException):
        connection.request("GET", place._replace(scheme="", netloc="").geturl() or "/", headers=sent)
        reply = connection.getresponse()
        text = reply.read(_LARGEST) if 200 <= reply.status < 300 else b""
        status, led = reply.status, reply.getheader("Location") or ""
    with contextlib.suppress(ValueError):
        if isinstance(found := json.loads(text), dict):
            return status, led, found
    return status, led, {}


def connects(place: str) -> bool:
    """Whether an "address:port" takes connections."""
    host, _, port = place.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=2):
        return True
    return False


def certificate(url: str) -> str:
    """The certificate that an https server shows, as PEM. Raises ClusterError where nobody answers."""
    parts = urlsplit(url)
    try:
        return ssl.get_server_certificate((str(parts.hostname), parts.port or 443), timeout=_TLS_DEADLINE)
    except OSError as error:
        raise ClusterError(f"{url} shows no certificate", found=str(error)) from error


def speaks_tls(place: str) -> bool:
    """Whether an "address:port" shows a certificate."""
    with contextlib.suppress(ClusterError):
        return bool(certificate(f"https://{place}"))
    return False
