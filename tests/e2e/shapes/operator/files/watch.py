"""Writes a ConfigMap for each Note in its namespace, and serves HTTP meanwhile."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import server  # type: ignore[import-not-found]  # it lies beside this file in a pod

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
URL = "https://kubernetes.default.svc"


def ask(method: str, path: str, body: object = None) -> Any:
    """One request to the API server. Raises OSError."""
    headers = {
        "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
        "Content-Type": "application/json",
    }
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(URL + path, data, headers, method=method)
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=5, context=trusted) as reply:
        return json.load(reply)


def reconcile() -> None:
    """One look at all notes."""
    namespace = (ACCOUNT / "namespace").read_text()
    space = f"/api/v1/namespaces/{namespace}/configmaps"
    notes = ask("GET", f"/apis/shapes.gati.example/v1/namespaces/{namespace}/notes")["items"]
    for note in notes:
        name = f"note-{note['metadata']['name']}"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": note["spec"]}
        try:
            ask("POST", space, body)
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise
            ask("PUT", f"{space}/{name}", body)


def main() -> None:
    """Look every second until the server is told to stop."""

    def look() -> None:
        while not server.STOPPING.wait(1):
            try:
                reconcile()
            except (OSError, ValueError) as error:
                print(f"not now: {error}", flush=True)

    threading.Thread(target=look, daemon=True).start()
    server.main()


if __name__ == "__main__":
    main()
