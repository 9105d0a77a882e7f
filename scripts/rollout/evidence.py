"""Owns what is kept of a failed rollout: events, objects, logs as files, without the content of any Secret."""

from __future__ import annotations

import base64
import contextlib
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from scripts.cluster.api import Api
from scripts.cluster.objects import Object, containers_of, event_time, is_ready
from scripts.core.errors import ClusterError
from scripts.core.hiding import escaped

_PODS = 30  # whose logs are kept
_LINES = 500  # of each log
_SHORT = 4  # a Secret's value below this length would make every text unreadable
_HELMS_OWN = "helm.sh/release.v1"
_TELLING = re.compile(r"pass|secret|token|key|credential", re.IGNORECASE)


Redaction = Callable[[str], str]
"""Replaces what is secret, in a text that is going to be kept, by `***`."""


def secrets_of(api: Api, namespaces: Iterable[str]) -> Iterator[str]:
    """The values of the Secrets that we may read, in base64; those of helm itself are no secrets of a service."""
    for namespace in namespaces:
        with contextlib.suppress(ClusterError):  # who may not read them cannot name them
            for secret in api.list("Secret", namespace, fields=f"type!={_HELMS_OWN}"):
                yield from (secret.get("data") or {}).values()


def redaction(encoded: Iterable[str]) -> Redaction:
    """For values in base64, as a Secret's `data` has them: as they are, decoded, and line by line."""
    words: set[str] = set()
    for value in encoded:
        text = base64.b64decode(value).decode("utf-8", "replace")
        words |= {value, text.strip(), *(line.strip() for line in text.splitlines())}
    longest_first = sorted((word for word in words if len(word) >= _SHORT), key=len, reverse=True)
    every = "|".join(rf"(?<!\w){escaped(word)}(?!\w)" for word in longest_first)
    return functools.partial(re.compile(every).sub, "***") if every else str


def collect(
    api: Api,
    folder: Path,
    home: str,
    *,
    objects: Sequence[Object],
    events: Sequence[Object],
    kept_logs: Mapping[tuple[str, str], str],
    redact: Redaction,
) -> None:
    """Write `events.txt`, `describe/KIND-NAME.yaml` and `logs/POD.CONTAINER[.previous].log` into `folder`.

    What is in another namespace than `home` is in a folder of that name below `describe` and `logs`.
    `kept_logs` are logs that were read before, by pod ("namespace/name") and container. A log that cannot be read is
    left out.
    """

    def keep(part: str, namespace: str, name: str, text: str) -> None:
        place = folder / part / (namespace if namespace != home else "")
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(redact(text), encoding="utf-8")

    ordered = sorted(events, key=event_time)
    keep("", home, "events.txt", "".join(f"{event_line(event)}\n" for event in ordered))
    for item in objects:
        name = f"{item['kind']}-{item['metadata']['name']}.yaml"
        own = [event for event in ordered if event.get("involvedObject", {}).get("uid") == item["metadata"]["uid"]]
        keep("describe", item["metadata"]["namespace"], name, describe(item, own))
    for (place, container), text in kept_logs.items():
        namespace, _, pod = place.partition("/")
        keep("logs", namespace, f"{pod}.{container}.log", text)
    wanted = [
        (item["metadata"]["namespace"], item["metadata"]["name"], container["name"], previous)
        for item in sorted((item for item in objects if item["kind"] == "Pod"), key=is_ready)[:_PODS]
        for container in containers_of(item)
        for previous in (False, True)
        if (f"{item['metadata']['namespace']}/{item['metadata']['name']}", container["name"]) not in kept_logs
    ]

    def read(place: tuple[str, str, str, bool]) -> None:
        namespace, pod, container, previous = place
        with contextlib.suppress(ClusterError):  # the pod may be gone by now
            text = api.logs(pod, namespace, container=container, previous=previous, tail=_LINES)
            if text is not None:
                keep("logs", namespace, f"{pod}.{container}{'.previous' if previous else ''}.log", text)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, wanted))


def describe(item: Object, events: Sequence[Object]) -> str:
    """An object as YAML, its events below; the content of a Secret and of telling variables left out."""
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    document = _without_values({**item, "metadata": metadata})
    if events:
        document["events"] = [event_line(event) for event in events]
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120))


def event_line(event: Mapping[str, Any]) -> str:
    """One line: when, what kind, of what, how often, and why."""
    about = event.get("involvedObject", {})
    count = event.get("count") or (event.get("series") or {}).get("count") or 1
    what = f"{about.get('kind')}/{about.get('name')}"
    message = " ".join(str(event.get("message", "")).split())
    when = datetime.fromtimestamp(event_time(event), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{when}  {event.get('type')}  {event.get('reason')}  {what}  x{count}  {message}"


_TROUBLE = re.compile(
    r"error|fail|warn|fatal|exception|cannot|could not|unable|refused|denied|time[d-]? ?out|not found|no such"
    r"|does not|unavailable",
    re.IGNORECASE,
)


def last_line(text: str | None, *, troubled: bool = False) -> str:
    """The last line of a log that says something, or that tells of trouble; at most 160 characters of it."""
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    if troubled:
        lines = [line for line in lines if _TROUBLE.search(line)]
    return lines[-1][:160] if lines else ""


def _without_values(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_values(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("kind") == "Secret":
        value = {key: "***" if key in ("data", "stringData") else item for key, item in value.items()}
    if "value" in value and _TELLING.search(str(value.get("name", ""))):
        value = {**value, "value": "***"}
    return {key: _without_values(item) for key, item in value.items()}
