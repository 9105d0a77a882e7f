"""Runs ingress: listens, follows the certificate, and stops so that no client notices."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import cast

from aiohttp import web

from gati_ingress.app import Ingress
from gati_ingress.resolver import RouteManager
from gati_ingress.settings import Settings
from gati_ingress.tls import Certificate

log = logging.getLogger("ingress")


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status.

    On the signal readiness fails at once while requests are still taken for `settings.drain` seconds, each
    answered with `Connection: close`; then nothing new is taken and the rest has `settings.shutdown` seconds.
    Raises SettingsError for a bad certificate, OSError when a port is taken.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    certificate = Certificate(settings.tls) if settings.tls else None
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
            await web.TCPSite(runner, port=settings.port, backlog=1024).start()
            if certificate and settings.tls:
                site = web.TCPSite(runner, port=settings.tls.port, backlog=1024, ssl_context=certificate.context)
                await site.start()
                follower = asyncio.create_task(certificate.follow(settings.reload))
            log.info("version %s listens on %s", settings.version, _ports(runner))
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


def _ports(runner: web.AppRunner) -> str:
    addresses = cast("list[tuple[str, int]]", runner.addresses)
    return ", ".join(str(port) for port in dict.fromkeys(address[1] for address in addresses))
