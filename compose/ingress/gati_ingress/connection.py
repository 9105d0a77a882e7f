"""One client's connection: what aiohttp makes of it, and a deadline for the head of each request."""

from __future__ import annotations

import asyncio

from aiohttp import web

_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Connection(web.RequestHandler):
    """Closes when the head of a request is not complete `head` seconds after its first byte; `old` after `age` seconds.

    aiohttp alone gives a head as long as an idle connection, and unpacks bodies, of which nobody here looks at one.
    """

    __slots__ = ("_deadline", "_end", "_head")

    def __init__(
        self, server: web.Server, loop: asyncio.AbstractEventLoop, *, head: float, age: float, idle: float
    ) -> None:
        super().__init__(server, loop=loop, keepalive_timeout=idle, access_log=None, auto_decompress=False)
        self._head = head
        self._end = loop.time() + age
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def old(self) -> bool:
        """Whether the next answer should be its last: so balancers and clients come to new pods and certificates."""
        return self._loop.time() > self._end

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        waiter = self._waiter
        if waiter is not None and not waiter.done():  # these bytes have not made the awaited request whole
            if self._deadline is None:
                self._deadline = self._loop.call_later(self._head, self._cut_off)
        elif self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that says no more may wait for its answer still, but for TLS, which ends as a whole."""
        under_way = bool(self._messages) or self._waiter is None
        if under_way:
            self._end = self._lingering_time = 0.0
            self.close()
        return under_way and self.transport is not None and self.transport.get_extra_info("sslcontext") is None

    def _cut_off(self) -> None:
        if self.transport is not None:
            self.transport.write(_TOO_LATE)
            self.force_close()
