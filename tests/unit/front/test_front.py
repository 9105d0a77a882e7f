"""What is set as soon as anything of the front is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_AS_INVOKE = "import sys; sys.dont_write_bytecode = True; import scripts.front; print(sys.dont_write_bytecode)"


@pytest.mark.parametrize(("asked", "kept"), [("", False), ("1", True)])
def test_what_is_compiled_is_kept_unless_the_user_forbids_it(root: Path, asked: str, kept: bool) -> None:
    """Invoke forbids it at every start, and compiling all of our modules takes longer than a release."""
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": asked}
    shown = subprocess.run([sys.executable, "-c", _AS_INVOKE], cwd=root, env=environ, capture_output=True, check=True)
    assert shown.stdout.decode().strip() == str(kept)
