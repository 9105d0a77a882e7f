"""Owns the metrics of route-manager, and the port that shows them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl

from gati_common.exposition import exposition
from gati_common.listening import listener
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.process_collector import ProcessCollector


class Metrics:
    """What happened to the routes file, and to messages that are none of the contract's."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.routes = Gauge("gati_route_manager_routes", "Routes in force.", registry=self.registry)
        self.refused = Counter(
            "gati_route_manager_routes_refused",
            "Routes files refused, by what is wrong: their size or their content.",
            ("reason",),
            registry=self.registry,
        )
        for reason in ("size", "content"):
            self.refused.labels(reason)
        self.stale = Gauge(
            "gati_route_manager_routes_stale",
            "1 while the routes file is refused and older routes are in force.",
            registry=self.registry,
        )
        self.undecodable = Counter(
            "gati_route_manager_undecodable", "Messages that could not be decoded.", registry=self.registry
        )
        Gauge(
            "gati_route_manager_build_info",
            "Constant 1, labelled with the version.",
            ("version",),
            registry=self.registry,
        ).labels(version).set(1)

    async def serve(self, port: int, tls: ssl.SSLContext | None, seconds: float) -> asyncio.Server:
        """Answer `GET /metrics` on `port`, one request a connection, which has `seconds` for each step.

        Raises OSError when the port is taken.
        """
        answer = functools.partial(self._answer, seconds)
        handshake = seconds if tls else None
        return await asyncio.start_server(answer, sock=listener(port), ssl=tls, ssl_handshake_timeout=handshake)

    async def _answer(self, seconds: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(seconds):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *fields = head.rstrip().split("\r\n")
                writer.write(self._page(line, fields))
                await writer.drain()
        writer.close()

    def _page(self, line: str, fields: list[str]) -> bytes:
        method, _, rest = line.partition(" ")
        status, kind, body = "404 Not Found", "text/plain", b"try /metrics\n"
        if method in ("GET", "HEAD") and rest.partition(" ")[0].partition("?")[0] == "/metrics":
            headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
            body, kind = exposition(self.registry, headers.get("accept", ""))
            status = "200 OK"
        length = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{length}".encode() + (b"" if method == "HEAD" else body)
