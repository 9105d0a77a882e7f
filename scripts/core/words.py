"""Owns how a number of things is said."""

from __future__ import annotations


def many(count: int | None, noun: str) -> str:
    """`1 request`, `2 requests`."""
    return f"{count} {noun}{'s'[: count != 1]}"
