"""Serves routes over gRPC with health and reflection, follows the routes file, and stops politely."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import grpc
import route_manager_pb2 as pb
import route_manager_pb2_grpc as rpc
from gati_common.stopping import told_to_stop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from gati_route_manager.routes import RoutesError, RouteTable, read_routes
from gati_route_manager.settings import Settings

log = logging.getLogger("route-manager")
SERVICE: str = pb.DESCRIPTOR.services_by_name["RouteManager"].full_name
_OPTIONS = (
    # A Service address pins a connection to one pod: bounded ages make clients look for new ones.
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.max_receive_message_length", 64 * 1024),
    ("grpc.so_reuseport", 0),
)


class Routes(rpc.RouteManagerServicer):
    """Answers Resolve from `table`, which may be replaced at any time."""

    def __init__(self, table: RouteTable, server: pb.Server) -> None:
        self.table = table
        self._server = server

    async def Resolve(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the .proto
        if not request.host or not request.path.startswith("/"):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "expected a host and a path that starts with /")
        route = self.table.find(request.host, request.path)
        if route is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no route for {request.host}{request.path}")
        return pb.ResolveResponse(
            upstream=route.upstream, route=pb.Route(host=route.host, path=route.path), server=self._server
        )


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status.

    Raises RoutesError when the routes file is bad at the start, RuntimeError when the port is taken.
    """
    stop = told_to_stop()
    contents = _read_bytes(settings.routes_file)
    routes = Routes(read_routes(settings.routes_file), pb.Server(version=settings.version, pod=settings.pod))
    server = grpc.aio.server(options=_OPTIONS)
    health = health_aio.HealthServicer()
    rpc.add_RouteManagerServicer_to_server(routes, server)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(
        (SERVICE, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME), server
    )
    port = server.add_insecure_port(f"[::]:{settings.port}")
    await server.start()
    for name in ("", SERVICE):
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)
    log.info("version %s serves %d routes on port %d", settings.version, routes.table.count, port)

    follower = asyncio.create_task(_follow(settings, routes, contents))
    await stop.wait()
    follower.cancel()
    log.info("told to stop: not serving any more, accepting for another %g s", settings.drain)
    await health.enter_graceful_shutdown()
    await asyncio.sleep(settings.drain)
    await server.stop(settings.shutdown)
    log.info("stopped")
    return 0


async def _follow(settings: Settings, routes: Routes, known: bytes | None) -> None:
    """Put the routes file into force whenever its contents change; a bad one leaves the old routes."""
    while True:
        await asyncio.sleep(settings.reload)
        contents = _read_bytes(settings.routes_file)
        if contents == known:
            continue
        known = contents
        try:
            routes.table = await asyncio.to_thread(read_routes, settings.routes_file)  # requests go on meanwhile
            log.info("%s changed: %d routes in force", settings.routes_file, routes.table.count)
        except RoutesError as error:
            log.error("configuration refused, the old %d routes stay: %s", routes.table.count, error)


def _read_bytes(path: Path) -> bytes | None:
    # Contents rather than times: a ConfigMap is swapped by a link, and a bind mount may keep its time.
    try:
        return path.read_bytes()
    except OSError:
        return None
