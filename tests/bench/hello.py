"""The least that aiohttp can do: answers every request with the same line. `python -m tests.bench.hello`"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web


async def serve() -> None:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello\n")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"hello on port {runner.addresses[0][1]}", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
