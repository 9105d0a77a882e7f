"""The gRPC side of ingress: asks route-manager, survives its restarts, and knows whether it is there."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import time
from typing import Any, Self

import grpc
import route_manager_pb2 as pb
import route_manager_pb2_grpc as rpc
from gati_common.tls import Authorities
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gati_ingress.settings import Settings

log = logging.getLogger("ingress.route-manager")
_PROBE_SECONDS = 1.0
# How long others may join a call: what they get is no older than this, and neither is the part of their own
# time-out that has gone by.
_SHARED_SECONDS = 0.05
_REFUSALS = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)  # answers, too
# Every address behind the name is used; a call that an instance could not take is tried on another; a call
# without any connection waits for one until its deadline. Client-side health checking stays off: an instance that
# is about to stop says so and goes on answering, and only the end of its connection makes gRPC look for others.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": pb.DESCRIPTOR.services_by_name["RouteManager"].full_name}],
            "waitForReady": True,
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.02s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 3,
                # CANCELLED is how a server that stops ends what reached it too late, RESOURCE_EXHAUSTED how one that
                # has as many calls as it takes refuses more. Resolving changes nothing, so asking again is safe.
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED", "RESOURCE_EXHAUSTED"],
            },
        }
    ],
}
_OPTIONS = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.enable_http_proxy", 0),  # docker gives each container the proxy that its user has set up
    # The defaults wait up to two minutes before they look again for a server that was away.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.dns_min_time_between_resolutions_ms", 500),
    # A server that vanished without a word (a lost node) is noticed within these.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 2_000),
)


class RouteManager:
    """Client of route-manager; use as `async with RouteManager(settings)`. Raises SettingsError for bad authorities.

    `up` turns true with the first good answer, of the health service or to a request, and false only when none
    came for `settings.unready_after` seconds, so that one restart does not empty the balancer. Requests for the same
    host and path that wait at the same time share one call; nothing is kept once it has been answered.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        if settings.route_manager_ca:
            self._trust = Authorities("ROUTE_MANAGER_CA_FILE", settings.route_manager_ca, alone=True)
        else:
            self._trust = Authorities("GATI_CA_BUNDLE, CA_BUNDLE_FILE", settings.ca_bundle)
        self._last_good: float | None = None
        self._asked: dict[tuple[str, str], tuple[float, asyncio.Task[Any]]] = {}  # when, and the call under way

    async def __aenter__(self) -> Self:
        self._dial()
        self._tasks = (asyncio.create_task(self._probe()), asyncio.create_task(self._follow()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._channel.close()

    @property
    def up(self) -> bool:
        """Whether route-manager answered within the last `unready_after` seconds (and one probe)."""
        if self._last_good is None:
            return False
        return time.monotonic() - self._last_good <= self._settings.unready_after + _PROBE_SECONDS

    async def resolve(self, host: str, path: str) -> Any:
        """The ResolveResponse for `host` and `path`. Raises grpc.aio.AioRpcError."""
        key = (host, path)
        begun, call = self._asked.get(key, (0.0, None))
        now = time.monotonic()
        if call is None or now - begun > _SHARED_SECONDS:
            call = asyncio.create_task(self._ask(host, path))
            self._asked[key] = (now, call)
            call.add_done_callback(functools.partial(self._answered, key))
        await asyncio.wait((call,))  # not the call itself: a client that goes away ends its own wait only
        return call.result()

    def _answered(self, key: tuple[str, str], call: asyncio.Task[Any]) -> None:
        if self._asked.get(key, (0.0, None))[1] is call:
            del self._asked[key]
        if not call.cancelled():
            call.exception()  # counts as seen, also where nobody waits for it any more

    async def _ask(self, host: str, path: str) -> Any:
        request = pb.ResolveRequest(host=host, path=path)
        try:
            answer = await self._stub.Resolve(request, timeout=self._settings.route_timeout)
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSALS:
                self._last_good = time.monotonic()
            raise
        if answer is None:  # gRPC's way to say that it was no ResolveResponse
            raise grpc.aio.AioRpcError(
                grpc.StatusCode.INTERNAL, grpc.aio.Metadata(), grpc.aio.Metadata(), "route-manager's answer is none"
            )
        # A route-manager that is about to stop fails its health check, and resolves until others have taken over.
        self._last_good = time.monotonic()
        return answer

    def _dial(self) -> None:
        if self._settings.route_manager_tls:
            credentials = grpc.ssl_channel_credentials(self._trust.pem)
            self._channel = grpc.aio.secure_channel(self._settings.route_manager, credentials, options=_OPTIONS)
        else:
            self._channel = grpc.aio.insecure_channel(self._settings.route_manager, options=_OPTIONS)
        self._stub = rpc.RouteManagerStub(self._channel)
        self._health = health_pb2_grpc.HealthStub(self._channel)

    async def _follow(self) -> None:
        """Whom a channel trusts is settled when it is made: other authorities need another one."""
        async for _ in self._trust.changes(self._settings.reload):
            if self._settings.route_manager_tls:
                old = self._channel
                self._dial()
                await asyncio.sleep(max(self._settings.route_timeout, _PROBE_SECONDS) + 1)  # the calls on the old one
                await old.close()

    async def _probe(self) -> None:
        was_up: bool | None = None
        why = "no answer yet"
        while True:
            begin = time.monotonic()
            try:
                answer = await self._health.Check(
                    health_pb2.HealthCheckRequest(), timeout=_PROBE_SECONDS, wait_for_ready=True
                )
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    self._last_good = time.monotonic()
                else:
                    why = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            except grpc.aio.AioRpcError as error:
                why = f"{error.code().name}: {error.details()}"
            if self.up != was_up:
                was_up = self.up
                log.info("%s answers", self._settings.route_manager) if was_up else log.warning(
                    "%s does not answer: %s", self._settings.route_manager, why
                )
            await asyncio.sleep(max(0.0, _PROBE_SECONDS - (time.monotonic() - begin)))
