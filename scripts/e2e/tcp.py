"""The load on a TCP server, a program by itself: connects at a fixed rate until told to stop, a line for each attempt.

tcp.py RESULTS TARGETS RATE TIMEOUT SEND EXPECT: TARGETS is a JSON list of `host:port`. A server that closes the
connection at once, or that does not answer SEND with what begins with EXPECT, has not answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from typing import IO

_CLOSED_AT_ONCE = 0.05  # seconds in which a proxy in between gives up a connection that nobody takes


async def attempt(target: str, timeout: float, send: bytes, expect: bytes) -> str:  # noqa: ASYNC109
    """What was wrong, "" for an answer."""
    host, _, port = target.rpartition(":")
    writer = None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, int(port))
            if send or expect:
                writer.write(send)
                await writer.drain()
                answer = await reader.readexactly(len(expect) or 1)
                return "" if answer.startswith(expect) else f"answered {answer!r}"
            with contextlib.suppress(TimeoutError):
                if not await asyncio.wait_for(reader.read(1), _CLOSED_AT_ONCE):
                    return "closed at once"
            return ""
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except asyncio.IncompleteReadError:
        return "closed without an answer"
    except OSError as error:
        return os.strerror(error.errno).lower() if error.errno else str(error)
    finally:
        if writer is not None:
            writer.close()


async def main(results: IO[str], targets: list[str], rate: float, limit: float, send: bytes, expect: bytes) -> None:
    """Ask the targets in turn, `rate` times a second."""
    under_way: set[asyncio.Task[None]] = set()

    def tell(line: Mapping[str, object]) -> None:
        results.write(json.dumps(line) + "\n")
        results.flush()

    async def one(user: int, target: str) -> None:
        at = time.time()
        asked = {"user": user, "at": at, "kind": "new", "target": target}
        tell(asked)
        error = await attempt(target, limit, send, expect)
        told = {"status": 0 if error else 200, "error": error, "behind": "" if error else target}
        tell({**asked, "seconds": time.time() - at, **told})

    begin, number = time.monotonic(), 0
    while True:
        task = asyncio.create_task(one(number, targets[number % len(targets)]))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        number += 1
        await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))


if __name__ == "__main__":
    _, file, servers, pace, patience, asked, wanted = sys.argv
    with contextlib.suppress(KeyboardInterrupt), open(file, "a", encoding="utf-8") as output:  # noqa: PTH123
        asyncio.run(main(output, json.loads(servers), float(pace), float(patience), asked.encode(), wanted.encode()))
