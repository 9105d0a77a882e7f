"""Opens a port to every address of the machine."""

from __future__ import annotations

import socket


def listener(port: int, backlog: int = 1024) -> socket.socket:
    """Takes connections of IPv4 and, where the machine has it, IPv6; 0 picks a port. Raises OSError."""
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    return socket.create_server(("", port), family=family, dualstack_ipv6=dual, backlog=backlog)
