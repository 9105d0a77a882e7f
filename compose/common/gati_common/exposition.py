"""Writes metrics in the format that the scraper asks for."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


def exposition(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """The metrics and their content type; an Accept header that the library stumbles over gets plain text."""
    try:
        encode, kind = choose_encoder(accept)
    except (TypeError, ValueError):  # "version=abc" is compared with a number
        encode, kind = choose_encoder("")
    return encode(registry), kind
