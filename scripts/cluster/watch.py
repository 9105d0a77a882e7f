"""Owns the record of what happens to objects in a cluster: watches that lose nothing while they are open."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from scripts.cluster.transport import Stream, Transport
from scripts.core.errors import ClusterError

_RETRY = 0.5  # seconds between attempts to open a watch again
_LOST = 60.0  # seconds of such attempts, after which nobody can say what has happened
_BROKEN = (ClusterError, OSError, http.client.HTTPException, ValueError)


@dataclass(frozen=True)
class Change:
    """An `object` as it was seen `at` that time (seconds since 1970, of this machine).

    `type` is ADDED, MODIFIED or DELETED; what existed when the watch began is ADDED at that time.
    """

    at: float
    type: str
    object: dict[str, Any]


class Watch:
    """Watches collections (kind -> path) in the background while used as a context manager.

    One that cannot go on does not pass for one that saw nothing: `changes` and the end of the block raise ClusterError.
    """

    def __init__(self, transport: Transport, paths: Mapping[str, str]) -> None:
        self._transport = transport
        self._changes: list[Change] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._dead: ClusterError | None = None
        self._collections = [_Collection(self, kind, path) for kind, path in paths.items()]
        self._pool = ThreadPoolExecutor(max(1, len(self._collections)), thread_name_prefix="watch")

    def changes(self, kind: str | None = None) -> tuple[Change, ...]:
        """What was seen so far, in the order it arrived; of one kind if given. Raises ClusterError."""
        self._demand_alive()
        with self._lock:
            return tuple(change for change in self._changes if kind in (None, change.object["kind"]))

    def __enter__(self) -> Self:
        try:
            for collection in self._collections:
                collection.list()
        except BaseException:
            self._pool.shutdown()
            raise
        for collection in self._collections:
            self._pool.submit(collection.follow)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._closing.set()
        for collection in self._collections:
            collection.stop()
        self._pool.shutdown()
        if kind is None:
            self._demand_alive()

    def _demand_alive(self) -> None:
        if self._dead is not None:
            raise self._dead

    def _record(self, type_: str, item: dict[str, Any]) -> None:
        with self._lock:
            self._changes.append(Change(time.time(), type_, item))


class _Collection:
    """The objects of one kind: listed, then followed; listed again where the server lost the thread."""

    def __init__(self, watch: Watch, kind: str, path: str) -> None:
        self._watch, self._path = watch, path
        self._kind = kind.partition(".")[0]
        self._objects: dict[str, dict[str, Any]] = {}
        self._version = ""
        self._stream: Stream | None = None

    def list(self) -> None:
        """Record how the collection differs from what is known of it. Raises ApiError, ClusterError."""
        answer = json.loads(self._watch._transport.request("GET", self._path))
        now = {item["metadata"]["uid"]: {"kind": self._kind, **item} for item in answer["items"]}
        for uid in self._objects.keys() - now.keys():
            self._note("DELETED", self._objects[uid])
        for item in now.values():
            self._note("MODIFIED" if item["metadata"]["uid"] in self._objects else "ADDED", item)
        self._version = answer["metadata"]["resourceVersion"]

    def follow(self) -> None:
        """Record changes until the watch is closed; a broken stream is opened again where it stopped."""
        try:
            while not self._watch._closing.is_set():
                complete = False
                with contextlib.suppress(*_BROKEN):
                    complete = self._follow_once()
                if not complete:
                    self._version_lost()
        except Exception as error:  # noqa: BLE001 - whatever ends this thread is told where the record is read
            if not self._watch._closing.is_set():
                self._watch._dead = ClusterError(
                    f"the watch of {self._kind} objects cannot go on",
                    expected="answers of the form that Kubernetes documents",
                    found=f"{type(error).__name__}: {error}",
                )

    def stop(self) -> None:
        if self._stream is not None:
            self._stream.stop()

    def _version_lost(self) -> None:
        """Nothing is certain any more: wait, then list, again and again for a minute."""
        end = time.monotonic() + _LOST
        while not self._watch._closing.wait(_RETRY):
            try:
                self.list()
                return
            except _BROKEN:
                if time.monotonic() > end:
                    raise

    def _follow_once(self) -> bool:
        """Read one stream to its end; False when the server says that our version is too old to go on."""
        query = {"watch": "true", "resourceVersion": self._version, "allowWatchBookmarks": "true"}
        with self._watch._transport.stream(self._path, query=query) as stream:
            self._stream = stream
            if self._watch._closing.is_set():  # closed between the loop's check and now
                return True
            for line in stream:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return False
                item = event["object"]
                self._version = item["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._note(event["type"], item)
        return True

    def _note(self, type_: str, item: dict[str, Any]) -> None:
        """Record a change unless it is known already."""
        uid = item["metadata"]["uid"]
        known = self._objects.get(uid)
        if type_ == "DELETED":
            self._objects.pop(uid, None)
        elif known is not None and known["metadata"]["resourceVersion"] == item["metadata"]["resourceVersion"]:
            return
        else:
            self._objects[uid] = item
        self._watch._record(type_, item)
