"""The least that serves HTTP and ends well: told to stop, it goes on for some seconds and closes what is kept open."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STOPPING = threading.Event()
DRAIN = 6.0  # seconds until nobody sends anything any more
DATA = Path("/data")


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with who it is; a file below /data is kept where there is such a folder."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """The name of the pod, the version of its image, and how often it has begun, as far as it remembers."""
        begun = DATA / "begun"
        told = {
            "pod": os.environ.get("POD_NAME", ""),
            "version": os.environ["GATI_VERSION"],
            "begun": begun.read_text().count("\n") if begun.exists() else 0,
        }
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if STOPPING.is_set() or self.headers.get("Connection", "").lower() == "close":
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    """Takes as many at a time as come."""

    daemon_threads = True
    request_queue_size = 1024


def main() -> None:
    """Serve until told to stop."""
    time.sleep(float(os.environ.get("START_SECONDS", "0")))
    if DATA.is_dir():
        with (DATA / "begun").open("a") as file:
            file.write(f"{time.time()}\n")
    server = Server(("", int(os.environ.get("PORT", "8080"))), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: STOPPING.set())
    STOPPING.wait()
    time.sleep(DRAIN)


if __name__ == "__main__":
    main()
