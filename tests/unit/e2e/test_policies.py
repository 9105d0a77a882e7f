"""What a pod says of the places that it can connect to."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

from scripts.e2e.policies import _CALL


def test_only_what_accepts_a_connection_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as gone:
        open_, closed = server.getsockname()[1], gone.getsockname()[1]
        gone.close()
        ends = json.dumps([("127.0.0.1", closed), ("127.0.0.1", open_), ("nobody.invalid", open_)])
        found = subprocess.run([sys.executable, "-c", _CALL, ends], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == [1]
    assert not found.stderr
