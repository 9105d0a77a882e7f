"""Turns the signals that end a container into an event, none of them lost from the first line of the program on."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def hold_signals() -> None:
    """Keep the signals pending until `told_to_stop`: the kernel drops what a container's first process does not
    handle yet, and the container would be killed at the end of its grace period."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def told_to_stop() -> asyncio.Event:
    """The event that SIGTERM and SIGINT set, those held so far included; to be called in the running loop."""
    import asyncio

    stop = asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    return stop
