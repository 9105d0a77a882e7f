"""Makes Python code of the contract between the services, as the images' build does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def generate(root: Path, target: Path) -> Path:
    """`route_manager_pb2.py` and `route_manager_pb2_grpc.py` in the folder `target`, which is returned."""
    proto = root / "compose/proto"
    options = ("-I", proto, f"--python_out={target}", f"--grpc_python_out={target}")
    subprocess.run((sys.executable, "-m", "grpc_tools.protoc", *options, proto / "route_manager.proto"), check=True)
    return target
