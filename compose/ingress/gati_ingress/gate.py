"""Bounds the work that ingress takes on: so many requests at once, so many waiting, the rest refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Refused(Exception):
    """There is no room; the client should come back later."""


class Gate:
    """`limit` requests at once and `queue` waiting for at most `patience` seconds."""

    def __init__(self, limit: int, queue: int, patience: float) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._queue = queue
        self._patience = patience
        self._waiting = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot for the block. Raises Refused when the queue is full or the wait was too long."""
        if self._slots.locked():
            await self._wait()
        else:
            await self._slots.acquire()  # does not suspend: a slot is free
        try:
            yield
        finally:
            self._slots.release()

    async def _wait(self) -> None:
        if self._waiting >= self._queue:
            raise Refused
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await self._slots.acquire()
        except TimeoutError:
            raise Refused from None
        finally:
            self._waiting -= 1
