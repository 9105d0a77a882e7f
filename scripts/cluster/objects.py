"""Owns what is read out of one object of a cluster: its conditions, its readiness, its times; nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

Object = dict[str, Any]


def conditions(item: Mapping[str, Any]) -> dict[str, Object]:
    """The conditions of an object's status by their type."""
    return {condition["type"]: condition for condition in item.get("status", {}).get("conditions") or ()}


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod may be given requests."""
    return conditions(pod).get("Ready", {}).get("status") == "True"


def is_hook(item: Mapping[str, Any]) -> bool:
    """Whether helm made it for a hook."""
    return "helm.sh/hook" in (item.get("metadata", {}).get("annotations") or {})


def container_statuses(pod: Mapping[str, Any]) -> tuple[Object, ...]:
    """What became of a pod's containers, the init containers first."""
    status = pod.get("status", {})
    return (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))


def event_time(event: Mapping[str, Any]) -> float:
    """When an event happened last, in seconds since 1970; 0 where it does not say so in a form that is known.

    Texts would not do: some have fractions of a second and some do not, and "05.1Z" sorts before "05Z".
    """
    series = event.get("series") or {}
    text = (
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event.get("metadata", {}).get("creationTimestamp")
    )
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return 0.0
