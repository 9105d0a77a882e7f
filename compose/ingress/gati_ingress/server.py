"""Runs ingress: opens its ports, follows the certificate, and stops so that no client notices."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import ssl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from gati_common.listening import listener
from gati_common.logs import tell_undecodable_in_a_line
from gati_common.stopping import or_after, told_to_stop
from gati_common.tls import Certificate

from gati_ingress.app import Ingress
from gati_ingress.connection import Connection
from gati_ingress.resolver import RouteManager
from gati_ingress.settings import Settings

log = logging.getLogger("ingress")
_BACKLOG = 1024


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status.

    On the signal readiness fails at once while requests are still taken for `settings.drain` seconds, each
    answered with `Connection: close`; then nothing new is taken and the rest has `settings.shutdown` seconds.
    Raises SettingsError for a bad certificate, OSError when a port is taken.
    """
    stop = told_to_stop(abrupt=settings.abrupt)
    await or_after(stop, settings.start)
    certificate = Certificate(settings.tls) if settings.tls else None
    if settings.timescape:
        log.info("TIMESCAPE_ADDR is %s; this reference has nothing to send there", settings.timescape)
    logging.getLogger("aiohttp.server").addFilter(_worth_a_trace)
    tell_undecodable_in_a_line()
    async with RouteManager(settings) as route_manager, contextlib.AsyncExitStack() as stack:
        ingress = Ingress(settings, route_manager)
        context = certificate.context if certificate else None
        inside = settings.metrics_port is None  # management is on the public ports
        ports = _Ports(settings)
        stack.push_async_callback(ports.close)
        if settings.plain != "off":
            rest = ingress.redirect if settings.plain == "redirect" else ingress.resolve
            await ports.open("HTTP", settings.port, ingress.application(rest, management=inside))
        if settings.tls:
            app = ingress.application(ingress.resolve, management=inside)
            await ports.open("HTTPS", settings.tls.port, app, context)
        if settings.metrics_port is not None:
            scheme = "HTTPS" if context else "HTTP"
            app = ingress.application(None, management=True)
            await ports.open(f"management by {scheme}", settings.metrics_port, app, context)
        if certificate:
            stack.push_async_callback(_cancelled, asyncio.create_task(certificate.follow(settings.reload)))
        await stop.wait()
        ingress.draining = True
        log.info("told to stop: not ready any more, accepting for another %g s", settings.drain)
        await asyncio.sleep(settings.drain)
    log.info("stopped")
    return 0


class _Ports:
    """The ports that are open, and the connections that came in by them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: list[tuple[asyncio.Server, web.AppRunner]] = []

    async def open(self, what: str, port: int, app: web.Application, tls: ssl.SSLContext | None = None) -> None:
        """Answer on `port` with `app`. Raises OSError when it is taken."""
        settings, loop = self._settings, asyncio.get_running_loop()
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=settings.shutdown)
        await runner.setup()
        times = {"head": settings.head, "age": settings.connection, "idle": settings.keepalive}
        connection = functools.partial(Connection, runner.server, loop, **times)
        socket = listener(port, _BACKLOG)
        handshake = settings.head if tls else None
        server = await loop.create_server(
            connection, sock=socket, ssl=tls, backlog=_BACKLOG, ssl_handshake_timeout=handshake
        )
        self._open.append((server, runner))
        log.info("version %s answers %s on port %d", settings.version, what, socket.getsockname()[1])

    async def close(self) -> None:
        """Take nothing new, and give what is under way its time."""
        for server, _ in self._open:
            server.close()
        await asyncio.gather(*(runner.cleanup() for _, runner in self._open))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _worth_a_trace(record: logging.LogRecord) -> bool:
    """Not what a client sent that is no HTTP, or that it went away: both could fill the log with our stack."""
    return not (record.exc_info and isinstance(record.exc_info[1], (HttpProcessingError, ConnectionError)))
