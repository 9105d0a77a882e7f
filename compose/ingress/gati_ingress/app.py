"""The HTTP side of ingress: probes, metrics, the playground, and the answer to everything else."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import grpc
from aiohttp import HttpVersion10, HttpVersion11, web
from gati_common.exposition import exposition
from prometheus_client import Counter

from gati_ingress.gate import Gate, Refused
from gati_ingress.metrics import Metrics
from gati_ingress.settings import Settings

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_MOST_DELAY = 10.0  # seconds
# RFC 3986: what an absolute target asks, and a host beside its port.
_ABSOLUTE = re.compile(r"[^/]+//([^/?#]*)")
_HOST = re.compile(r"((?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+|\[[0-9A-Fa-f:.]+\])(?::\d*)?", re.ASCII)
# What a refusal of route-manager means to the client. Everything else is a fault of ours: 502.
_STATUS = {
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.CANCELLED: 503,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
_UNSPOKEN = b"""HTTP/1.1 505 HTTP Version Not Supported\r
Content-Type: application/json\r
Content-Length: 42\r
Connection: close\r
\r
{"error":"expected HTTP/1.0 or HTTP/1.1"}
"""

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Resolver(Protocol):
    """What the application needs of route-manager."""

    @property
    def up(self) -> bool: ...

    async def resolve(self, host: str, path: str) -> object: ...


class Ingress:
    """The handlers and what they share; `draining` is set once the server was told to stop."""

    def __init__(self, settings: Settings, resolver: Resolver) -> None:
        self._settings = settings
        self._resolver = resolver
        self._gate = Gate(settings.max_in_flight, settings.max_queue, settings.route_timeout)
        self.metrics = Metrics(settings.version)
        self.draining = False

    def application(self, rest: Handler | None, *, management: bool) -> web.Application:
        """The aiohttp application of a port: readiness, where it is the place for it `management`, and `rest` for all
        other paths. Probes and metrics are outside of the gate, so load cannot fail them."""
        app = web.Application(middlewares=[_spoken])
        app.router.add_get("/healthz", self.healthz)
        if management:
            app.router.add_get("/livez", self.livez)
            app.router.add_get("/metrics", self.metrics_page)
            if self._settings.playground and rest != self.redirect:
                app.router.add_get("/playground/delay", self._counted(self.delay))
        if rest:
            app.router.add_route("*", "/{path:.*}", self._counted(rest))
        app.on_response_prepare.append(self._close_politely)
        return app

    async def healthz(self, _: web.Request) -> web.Response:
        """Ready only while route-manager answers and no stop is under way."""
        if self.draining:
            return _json(503, {"status": "draining"})
        if not self._resolver.up:
            return _json(503, {"status": "route-manager does not answer"})
        return _json(200, {"status": "ready"})

    async def livez(self, _: web.Request) -> web.Response:
        """The event loop turns; nothing else may restart the process."""
        return _json(200, {"status": "alive"})

    async def metrics_page(self, request: web.Request) -> web.Response:
        """The metrics in the format that the scraper asks for."""
        self.metrics.route_manager_up.set(self._resolver.up)
        self.metrics.draining.set(self.draining)
        body, kind = exposition(self.metrics.registry, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": kind})

    async def resolve(self, request: web.Request) -> web.Response:
        """Where route-manager sends this request, and who said so."""
        try:
            answer = await self._resolver.resolve(_host(request), request.rel_url.raw_path)
        except grpc.aio.AioRpcError as error:
            return _json(_STATUS.get(error.code(), 502), {"error": error.details(), "pod": self._settings.pod})
        return _json(
            200,
            {
                "upstream": answer.upstream,
                "route": {"host": answer.route.host, "path": answer.route.path},
                "version": self._settings.version,
                "pod": self._settings.pod,
                "routeManager": {"version": answer.server.version, "pod": answer.server.pod},
            },
        )

    async def redirect(self, request: web.Request) -> web.Response:
        """The same address over HTTPS."""
        host, path = _host(request), request.rel_url.raw_path_qs
        if not host or not path.startswith("/"):
            return _json(400, {"error": "expected a Host header and a path", "pod": self._settings.pod})
        port = "" if self._settings.public_https_port == 443 else f":{self._settings.public_https_port}"
        location = f"https://{host}{port}{path}"
        return _json(308, {"location": location, "pod": self._settings.pod}, {"Location": location})

    async def delay(self, request: web.Request) -> web.Response:
        """Answers after `?seconds=`, to watch what happens to a request that is under way."""
        try:
            seconds = float(request.query.get("seconds", "1"))
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= _MOST_DELAY:
            return _json(400, {"error": f"seconds: expected a number from 0 to {_MOST_DELAY:g}"})
        await asyncio.sleep(seconds)
        return _json(200, {"seconds": seconds, "version": self._settings.version, "pod": self._settings.pod})

    def _counted(self, handler: Handler) -> Handler:
        """`handler` behind the gate, with its answer counted and timed."""
        metrics, gate = self.metrics, self._gate
        labelled: dict[tuple[str, int], Counter] = {}  # resolving labels costs more than counting

        async def counted(request: web.Request) -> web.Response:
            begin = time.perf_counter()
            metrics.in_flight.inc()
            code = 499  # the client went away
            try:
                async with gate.slot():
                    response = await handler(request)
                code = response.status
                return response
            except Refused:
                metrics.rejected.inc()
                code = 503
                return _json(
                    503, {"error": "too many requests are waiting", "pod": self._settings.pod}, {"Retry-After": "1"}
                )
            finally:
                metrics.in_flight.dec()
                metrics.seconds.observe(time.perf_counter() - begin)
                key = (request.method if request.method in _METHODS else "other", code)
                counter = labelled.get(key)
                if counter is None:
                    counter = labelled[key] = metrics.requests.labels(*map(str, key))
                counter.inc()

        return counted

    async def _close_politely(self, request: web.Request, response: web.StreamResponse) -> None:
        faulty = request.version < HttpVersion11 and "Transfer-Encoding" in request.headers  # RFC 9112, 6.1
        unmet = response.status == 417  # whether the body comes is the client's guess
        if self.draining or request.protocol.old or faulty or unmet:
            response.force_close()
            response.headers["Connection"] = "close"  # aiohttp has laid out its headers before it calls this


@web.middleware
async def _spoken(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses what only looks like HTTP/1, which aiohttp would answer in its own version."""
    if request.version in (HttpVersion10, HttpVersion11):
        return await handler(request)
    if request.transport:  # past aiohttp, whose answers bear the version of their request
        request.transport.write(_UNSPOKEN)
        request.transport.close()
    return web.Response(status=505)


def _json(status: int, body: dict[str, object], headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=json.dumps(body, separators=(",", ":")).encode() + b"\n",
        content_type="application/json",
        headers=headers,
    )


def _host(request: web.Request) -> str:
    """The host asked for, without its port: that of an absolute target or of the Host header; empty where none is."""
    absolute = _ABSOLUTE.match(request.raw_path)
    found = _HOST.fullmatch(absolute[1] if absolute else request.headers.get("Host", ""))
    return found[1] if found else ""
