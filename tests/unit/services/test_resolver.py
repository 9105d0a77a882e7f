"""How ingress asks: requests that wait for the same answer share one call, and nothing outlives its answer."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest


class Slow:
    """A route-manager whose answers wait for `go`; `asked` are the hosts and paths of the calls that reached it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.go = asyncio.Event()

    async def Resolve(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the .proto
        import route_manager_pb2 as pb

        self.asked.append((request.host, request.path))
        await self.go.wait()
        if request.path == "/nowhere":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no route")
        if request.host == "busy" and len(self.asked) == 1:
            await context.abort(grpc.StatusCode[request.path.removeprefix("/")], "not now")
        return pb.ResolveResponse(upstream=f"http://answer-{len(self.asked)}")

    async def reached(self, count: int) -> None:
        """Wait until `count` calls have come in."""
        async with asyncio.timeout(10):
            while len(self.asked) < count:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Slow, Any]]:
    """A server with `Slow` behind it, and ingress's client of it."""
    import route_manager_pb2_grpc as rpc
    from gati_ingress.resolver import RouteManager
    from gati_ingress.settings import load_settings

    slow, server = Slow(), grpc.aio.server()
    rpc.add_RouteManagerServicer_to_server(slow, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with RouteManager(load_settings({"ROUTE_MANAGER_ADDR": f"127.0.0.1:{port}"})) as client:
            yield slow, client
    finally:
        await server.stop(0)


@pytest.fixture
def run() -> Callable[[Callable[[Slow, Any], Awaitable[None]]], None]:
    """`run(story)` lets `story(slow, client)` happen, within a deadline."""

    def run(story: Callable[[Slow, Any], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with asyncio.timeout(20), connected() as (slow, client):
                await story(slow, client)

        asyncio.run(whole())

    return run


def test_requests_that_wait_for_the_same_answer_share_a_call_and_others_do_not(run: Any) -> None:
    async def story(slow: Slow, client: Any) -> None:
        wanted = [("a.example.com", "/x")] * 20 + [("a.example.com", "/y"), ("b.example.com", "/x")]
        waiting = [asyncio.create_task(client.resolve(*one)) for one in wanted]
        await slow.reached(3)
        slow.go.set()
        answers = await asyncio.gather(*waiting)
        assert sorted(slow.asked) == sorted(set(wanted))
        assert len({answer.upstream for answer in answers[:20]}) == 1

    run(story)


def test_an_answer_is_not_kept_for_the_next_request(run: Any) -> None:
    async def story(slow: Slow, client: Any) -> None:
        slow.go.set()
        answers = [await client.resolve("a.example.com", "/x") for _ in range(3)]
        assert [answer.upstream for answer in answers] == [f"http://answer-{number}" for number in (1, 2, 3)]

    run(story)


def test_a_call_that_takes_long_is_joined_by_nobody_new(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from gati_ingress import resolver

    async def story(slow: Slow, client: Any) -> None:
        first = asyncio.create_task(client.resolve("a.example.com", "/x"))
        await slow.reached(1)
        monkeypatch.setattr(resolver, "_SHARED_SECONDS", -1.0)  # any call is an old one now
        second = asyncio.create_task(client.resolve("a.example.com", "/x"))
        await slow.reached(2)
        slow.go.set()
        await asyncio.gather(first, second)
        assert len(slow.asked) == 2

    run(story)


def test_a_client_that_goes_away_takes_the_answer_from_nobody(run: Any) -> None:
    async def story(slow: Slow, client: Any) -> None:
        first, second = (asyncio.create_task(client.resolve("a.example.com", "/x")) for _ in range(2))
        await slow.reached(1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        slow.go.set()
        assert (await second).upstream == "http://answer-1"

    run(story)


def test_a_refusal_reaches_all_who_wait_and_is_not_kept(run: Any) -> None:
    async def story(slow: Slow, client: Any) -> None:
        waiting = [asyncio.create_task(client.resolve("a.example.com", "/nowhere")) for _ in range(3)]
        await slow.reached(1)
        slow.go.set()
        errors: list[Any] = await asyncio.gather(*waiting, return_exceptions=True)
        assert [error.code() for error in errors] == [grpc.StatusCode.NOT_FOUND] * 3
        with pytest.raises(grpc.aio.AioRpcError):
            await client.resolve("a.example.com", "/nowhere")
        assert len(slow.asked) == 2

    run(story)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "CANCELLED", "RESOURCE_EXHAUSTED"])
def test_who_cannot_take_a_call_now_is_asked_again(run: Any, code: str) -> None:
    async def story(slow: Slow, client: Any) -> None:
        slow.go.set()
        assert (await client.resolve("busy", f"/{code}")).upstream == "http://answer-2"

    run(story)


def test_a_refusal_that_nobody_waits_for_is_no_noise(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def story(slow: Slow, client: Any) -> None:
        only = asyncio.create_task(client.resolve("a.example.com", "/nowhere"))
        await slow.reached(1)
        only.cancel()
        slow.go.set()
        while client._asked:
            await asyncio.sleep(0.005)

    run(story)
    gc.collect()  # asyncio tells of an error that nobody has seen when its task goes
    assert "never retrieved" not in caplog.text
