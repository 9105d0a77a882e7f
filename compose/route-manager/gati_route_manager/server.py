"""Serves routes over gRPC with health and reflection, follows its files, and stops politely."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc
import route_manager_pb2 as pb
import route_manager_pb2_grpc as rpc
from gati_common.following import Contents, changes, contents
from gati_common.logs import tell_undecodable_in_a_line
from gati_common.stopping import or_after, told_to_stop
from gati_common.tls import Authorities, Certificate
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from gati_route_manager.metrics import Metrics
from gati_route_manager.routes import RoutesError, RouteTable, read_routes
from gati_route_manager.settings import Settings

log = logging.getLogger("route-manager")
SERVICE: str = pb.DESCRIPTOR.services_by_name["RouteManager"].full_name
_LONGEST_HOST = 253  # characters of a DNS name; each of its labels is looked up
_MOST_SAID = 200  # characters of a path in an answer: what is longer than 8 KiB there reaches no client
_MOST_CALLS = 4096  # at a time, of 20 KiB each; streams of the health service stay open for minutes
_MOST_OF_ONE = 1024  # of one connection, so that none takes the others' place
_OPTIONS = (
    # A Service address pins a connection to one pod: bounded ages make clients look for new ones.
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.max_receive_message_length", 64 * 1024),
    ("grpc.max_concurrent_streams", _MOST_OF_ONE),
    ("grpc.so_reuseport", 0),
)


class Routes(rpc.RouteManagerServicer):
    """Answers Resolve from `table`, which may be replaced at any time."""

    def __init__(self, table: RouteTable, server: pb.Server) -> None:
        self.table = table
        self._server = server

    async def Resolve(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the .proto
        if not 0 < len(request.host) <= _LONGEST_HOST or not request.path.startswith("/"):
            expected = f"expected a host of at most {_LONGEST_HOST} characters and a path that starts with /"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, expected)
        route = self.table.find(request.host, request.path)
        if route is None:
            path = request.path if len(request.path) <= _MOST_SAID else f"{request.path[:_MOST_SAID]}..."
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no route for {request.host}{path}")
        return pb.ResolveResponse(
            upstream=route.upstream, route=pb.Route(host=route.host, path=route.path), server=self._server
        )


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status.

    Raises RoutesError when the routes file is bad at the start, SettingsError for a bad certificate or authorities,
    OSError and RuntimeError when a port is taken.
    """
    stop = told_to_stop(abrupt=settings.abrupt)
    await or_after(stop, settings.start)
    metrics = Metrics(settings.version)
    known = contents((settings.routes_file,), settings.routes_most + 1)
    table = read_routes(settings.routes_file, settings.routes_most)
    routes = Routes(table, pb.Server(version=settings.version, pod=settings.pod))
    metrics.routes.set(table.count)
    certificate = Certificate(settings.tls) if settings.tls else None
    authorities = Authorities("GATI_CA_BUNDLE", settings.ca_bundle)  # nobody is called with them: checked and followed
    tell_undecodable_in_a_line(metrics.undecodable.inc)

    health = health_aio.HealthServicer()
    servers = [_server(settings, health, routes)]
    plain = servers[0]
    if settings.health_only:
        plain = _server(settings, health)
        servers.append(plain)
    port = plain.add_insecure_port(f"[::]:{settings.port}")
    serves = [f"health on port {port}" if settings.health_only else f"{table.count} routes on port {port}"]
    if settings.tls and certificate:
        port = servers[0].add_secure_port(f"[::]:{settings.tls.port}", _credentials(certificate))
        serves.append(f"{table.count} routes by TLS on port {port}")
    if settings.metrics_port is not None:
        listener = await metrics.serve(settings.metrics_port, certificate and certificate.context, settings.head)
        serves.append(f"metrics on port {listener.sockets[0].getsockname()[1]}")
    for server in servers:
        await server.start()
    for name in ("", SERVICE):
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)
    log.info("version %s serves %s", settings.version, ", ".join(serves))

    followers = [
        asyncio.create_task(_follow(settings, routes, metrics, known)),
        asyncio.create_task(_followed(authorities, settings.reload)),
    ]
    if certificate:
        followers.append(asyncio.create_task(certificate.follow(settings.reload)))
    await stop.wait()
    for follower in followers:
        follower.cancel()
    log.info("told to stop: not serving any more, accepting for another %g s", settings.drain)
    await health.enter_graceful_shutdown()
    await asyncio.sleep(settings.drain)
    await asyncio.gather(*(server.stop(settings.shutdown) for server in servers))
    log.info("stopped")
    return 0


def _server(settings: Settings, health: health_aio.HealthServicer, routes: Routes | None = None) -> grpc.aio.Server:
    """A server of health and reflection, and of `routes`."""
    head = ("grpc.server_handshake_timeout_ms", int(settings.head * 1e3))  # TLS, and the first words of HTTP/2
    server = grpc.aio.server(options=(*_OPTIONS, head), maximum_concurrent_rpcs=_MOST_CALLS)
    names = [health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME]
    if routes:
        rpc.add_RouteManagerServicer_to_server(routes, server)
        names.append(SERVICE)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection(names, server)
    return server


def _credentials(certificate: Certificate) -> grpc.ServerCredentials:
    """Shows what `certificate` has in force; gRPC asks at each handshake."""
    shown = certificate.pem

    def pair() -> grpc.ServerCertificateConfiguration:
        cert, key = shown
        return grpc.ssl_server_certificate_configuration(((key, cert),))

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        if certificate.pem == shown:
            return None
        shown = certificate.pem
        return pair()

    return grpc.dynamic_ssl_server_credentials(pair(), changed)


async def _follow(settings: Settings, routes: Routes, metrics: Metrics, known: Contents) -> None:
    """Put the routes file into force whenever its contents change; a bad one leaves the old routes."""
    file, most = settings.routes_file, settings.routes_most
    async for _ in changes((file,), known, settings.reload, most + 1):
        try:
            routes.table = await asyncio.to_thread(read_routes, file, most)  # requests go on meanwhile
            log.info("%s changed: %d routes in force", file, routes.table.count)
        except RoutesError as error:
            metrics.refused.labels(error.reason).inc()
            log.error("configuration refused, the old %d routes stay: %s", routes.table.count, error)
            metrics.stale.set(1)
        else:
            metrics.stale.set(0)
            metrics.routes.set(routes.table.count)


async def _followed(authorities: Authorities, seconds: float) -> None:
    async for _ in authorities.changes(seconds):
        pass
