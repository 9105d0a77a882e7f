"""What the API client makes of the server's answers, without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts.cluster.api import Api
from scripts.core.errors import ApiError

PODS = {
    "items": [
        {
            "metadata": {"name": ""},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {"resource": "pods", "responseKind": {"kind": "Pod"}, "scope": "Namespaced", "verbs": ["list"]}
                    ],
                }
            ],
        }
    ]
}


class Server:
    """A transport that knows pods and has one answer for a log."""

    def __init__(self, answer: str | ApiError) -> None:
        self._answer = answer
        self.asked: list[tuple[str, dict[str, str]]] = []

    def request(self, method: str, path: str, *, query: dict[str, str] | None = None, **more: Any) -> bytes:
        if path in ("/api", "/apis"):
            return json.dumps(PODS if path == "/api" else {"items": []}).encode()
        self.asked.append((path, query or {}))
        if isinstance(self._answer, ApiError):
            raise self._answer
        return self._answer.encode()


def refused(status: int, reason: str) -> ApiError:
    return ApiError("refused", status=status, reason=reason, text="")


def test_a_log_is_read_of_one_container_and_run() -> None:
    server = Server("words\n")
    assert Api(server).logs("web", "here", container="main", previous=True, tail=5) == "words\n"  # type: ignore[arg-type]
    query = {"container": "main", "previous": "true", "tailLines": "5"}
    assert server.asked == [("/api/v1/namespaces/here/pods/web/log", query)]


@pytest.mark.parametrize(
    "answer",
    [refused(400, "BadRequest"), "unable to retrieve container logs for containerd://0123"],
    ids=["not-started", "removed"],
)
def test_a_log_that_is_not_there_is_no_log(answer: str | ApiError) -> None:
    assert Api(Server(answer)).logs("web", "here") is None  # type: ignore[arg-type]


def test_a_pod_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ApiError):
        Api(Server(refused(404, "NotFound"))).logs("web", "here")  # type: ignore[arg-type]
