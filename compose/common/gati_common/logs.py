"""What gRPC writes of messages that are none of the contract's, and of callers that are gone: a line each."""

from __future__ import annotations

import logging
from collections.abc import Callable

from google.protobuf.message import DecodeError
from grpc.aio import InternalError

_LOGGERS = ("grpc._cython.cygrpc", "grpc._common")  # of what a server and a client cannot decode


def tell_undecodable_in_a_line(seen: Callable[[], object] = lambda: None) -> None:
    """Take the stack from the lines on undecodable messages, with which the other side could fill the log; `seen` is
    called for each. So can one that goes away in the middle of its answers."""

    def without_stack(record: logging.LogRecord) -> bool:
        error = record.exc_info and record.exc_info[1]
        if isinstance(error, (DecodeError, InternalError)):
            if isinstance(error, DecodeError):
                seen()
            record.exc_info = record.exc_text = None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.msg, record.args = "%s: %s", (record.getMessage(), error)
        return True

    for name in _LOGGERS:
        logging.getLogger(name).addFilter(without_stack)
