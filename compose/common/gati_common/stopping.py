"""Turns the signals that end a container into an event, none of them lost from the first line of the program on."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def hold_signals() -> None:
    """Keep the signals pending until `told_to_stop`: the kernel drops what a container's first process does not
    handle yet, and the container would be killed at the end of its grace period."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def told_to_stop(*, abrupt: bool = False) -> asyncio.Event:
    """The event that SIGTERM and SIGINT set, those held so far included; to be called in the running loop.

    `abrupt`: the signal ends the process as it stands, with the status of one that has no handler of its own (which
    the first process of a container cannot do without: the kernel would drop the signal).
    """
    import asyncio

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in _SIGNALS:
        if abrupt:
            loop.add_signal_handler(number, os._exit, 128 + number)
        else:
            loop.add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    return stop


async def or_after(stop: asyncio.Event, seconds: float) -> None:
    """Wait for `stop`, at most so many `seconds`."""
    import asyncio
    import contextlib

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
