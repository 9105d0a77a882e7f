"""Owns Debian root file systems: made by mmdebstrap from the package archive, cached by what goes into them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from scripts.command import Runner
from scripts.errors import ToolError

SUITE = "bookworm"
_VARIANT = "minbase"
_DEADLINE = 600.0  # seconds; 40 s where the archive is near
# Nobody reads manuals in an image; copyright files stay, the licences ask for them.
_LEFT_OUT = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)


def rootfs_argv(include: Iterable[str], target: str, *, suite: str = SUITE) -> tuple[str, ...]:
    """The mmdebstrap command that writes `suite` with the packages `include` to the tar file `target`."""
    return (
        "mmdebstrap",
        "--quiet",
        f"--variant={_VARIANT}",
        "--format=tar",
        *(f"--dpkgopt={rule}" for rule in _LEFT_OUT),
        f"--include={','.join(sorted(set(include)))}",
        suite,
        target,
    )


def rootfs_key(include: Iterable[str], *, suite: str = SUITE) -> str:
    """Sixteen hexadecimal digits that change whenever the root file system would be made differently."""
    recipe = json.dumps(rootfs_argv(include, "", suite=suite))
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]


def build_rootfs(
    include: Iterable[str], *, cache: Path, runner: Runner, say: Callable[[str], None], suite: str = SUITE
) -> Path:
    """A tar file of a minimal Debian `suite` with the packages `include`; made once, then found in `cache`.

    Needs root, mmdebstrap and a Debian package archive. Raises ToolError when mmdebstrap is missing,
    CommandFailed or CommandTimeout when the archive does not deliver.
    """
    packages = tuple(sorted(set(include)))
    tar = cache / "debian" / f"{suite}-{rootfs_key(packages, suite=suite)}.tar"
    if tar.exists():
        return tar
    if shutil.which("mmdebstrap") is None:
        raise ToolError(
            f"a Debian {suite} root file system cannot be built",
            expected="mmdebstrap",
            found="no such program",
            run="apt-get install mmdebstrap, or set GATI_IMAGES=registry where a registry can be reached",
        )
    say(f"building a Debian {suite} root file system with {', '.join(packages)}")
    tar.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tar.parent, prefix=".building-") as workplace:
        unfinished = Path(workplace, "rootfs.tar")
        argv = rootfs_argv(packages, os.fspath(unfinished), suite=suite)
        result = runner.run(argv, deadline=_DEADLINE)
        unfinished.replace(tar)
    say(f"built {tar.name}: {tar.stat().st_size / 1e6:.0f} MB in {result.seconds:.0f} s")
    return tar
