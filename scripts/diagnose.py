"""Owns the answer to "why does this rollout not end": from objects and events of a cluster to one cause line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """Why a rollout failed.

    `kind` is a word for machines ("image-pull"), `object` what it happened to ("Deployment gati-ingress"), `message`
    the rest of the sentence, `run` the command to run next.
    """

    kind: str
    object: str
    message: str
    run: str = ""

    def __str__(self) -> str:
        return f"{self.object}: {self.message}" if self.object else self.message
