"""SIGTERM is obeyed whenever it comes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import asyncio, os, signal
from gati_common.stopping import hold_signals, told_to_stop

hold_signals()
os.kill(os.getpid(), signal.{name})  # while the program still loads its modules

async def serve():
    await asyncio.wait_for(told_to_stop().wait(), 10)

asyncio.run(serve())
print("stopped in order")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_before_the_service_is_up_is_not_lost(import_path: Any, name: str) -> None:
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(import_path)}
    argv = (sys.executable, "-c", PROGRAM.format(name=name))
    ended = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout) == (0, "stopped in order\n"), ended.stderr
