"""Runs ingress: listens, follows the certificate, and stops so that no client notices."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from gati_common.stopping import told_to_stop

from gati_ingress.app import Ingress
from gati_ingress.resolver import RouteManager
from gati_ingress.settings import Settings
from gati_ingress.tls import Certificate

log = logging.getLogger("ingress")
_BACKLOG = 1024


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status.

    On the signal readiness fails at once while requests are still taken for `settings.drain` seconds, each
    answered with `Connection: close`; then nothing new is taken and the rest has `settings.shutdown` seconds.
    Raises SettingsError for a bad certificate, OSError when a port is taken.
    """
    stop = told_to_stop()
    certificate = Certificate(settings.tls) if settings.tls else None
    if settings.timescape:
        log.info("TIMESCAPE_ADDR is %s; this reference has nothing to send there", settings.timescape)
    logging.getLogger("aiohttp.server").addFilter(_worth_a_trace)
    async with RouteManager(settings) as route_manager:
        ingress = Ingress(settings, route_manager)
        runner = web.AppRunner(
            ingress.application(),
            access_log=None,
            keepalive_timeout=settings.keepalive,
            shutdown_timeout=settings.shutdown,
        )
        await runner.setup()
        follower = None
        try:
            port = await _listen(runner, settings.port)
            log.info("version %s answers HTTP on port %d", settings.version, port)
            if certificate and settings.tls:
                port = await _listen(runner, settings.tls.port, certificate.context)
                log.info("version %s answers HTTPS on port %d", settings.version, port)
                follower = asyncio.create_task(certificate.follow(settings.reload))
            await stop.wait()
            ingress.draining = True
            log.info("told to stop: not ready any more, accepting for another %g s", settings.drain)
            await asyncio.sleep(settings.drain)
        finally:
            if follower:
                follower.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await follower
            await runner.cleanup()
    log.info("stopped")
    return 0


async def _listen(runner: web.AppRunner, port: int, tls: ssl.SSLContext | None = None) -> int:
    """Take connections of IPv4 and, where the machine has it, IPv6; returns the port."""
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    listener = socket.create_server(("", port), family=family, dualstack_ipv6=dual, backlog=_BACKLOG)
    await web.SockSite(runner, listener, ssl_context=tls, backlog=_BACKLOG).start()
    return int(listener.getsockname()[1])


def _worth_a_trace(record: logging.LogRecord) -> bool:
    """Not what a client sent that is no HTTP: it has its 400, and could fill the log with our stack."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
