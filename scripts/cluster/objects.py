"""Owns what is read out of one object of a cluster: its conditions, its readiness, its times; nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping
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


def event_time(event: Mapping[str, Any]) -> str:
    """When an event happened last, as the server writes times; they sort as text."""
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp", "")
    )
