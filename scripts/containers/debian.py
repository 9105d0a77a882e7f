"""Owns Debian root file systems: made by mmdebstrap from the package archive, cached by what goes into them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from scripts.core.errors import ToolError
from scripts.core.files import sha256
from scripts.toolchain.cache import Cache
from scripts.workspace import Workspace

SUITE = "bookworm"
SYSTEM = "minbase"  # variant: a system with a package manager
FILES = "extract"  # variant: only the files of the packages and of what they depend on; no set-up script has run
_DEADLINE = 600.0  # seconds; 40 s where the archive is near
# Nobody reads manuals in an image; copyright files stay, the licences ask for them.
_LEFT_OUT = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)


def rootfs_argv(include: Iterable[str], target: str, *, variant: str = SYSTEM) -> tuple[str, ...]:
    """The mmdebstrap command that writes a root file system with the packages `include` to the tar file `target`."""
    return (
        "mmdebstrap",
        "--quiet",
        f"--variant={variant}",
        "--format=tar",
        *(f"--dpkgopt={rule}" for rule in _LEFT_OUT),
        f"--include={','.join(sorted(set(include)))}",
        SUITE,
        target,
    )


def rootfs_key(include: Iterable[str], *, variant: str = SYSTEM) -> str:
    """Sixteen hexadecimal digits that change whenever the root file system would be made differently."""
    recipe = json.dumps(rootfs_argv(include, "", variant=variant))
    return sha256(recipe)[:16]


def build_rootfs(include: Iterable[str], work: Workspace, *, variant: str = SYSTEM) -> Path:
    """A minimal Debian with the packages `include`, a tar file. Raises ToolError, CommandFailed, CommandTimeout."""
    packages = tuple(sorted(set(include)))

    def make(scratch: Path) -> Path:
        if shutil.which("mmdebstrap") is None:
            raise ToolError(
                f"a Debian {SUITE} root file system cannot be built",
                expected="mmdebstrap",
                found="no such program",
                run="apt-get install mmdebstrap, or set GATI_IMAGES=registry where a registry can be reached",
            )
        work.say(f"building a Debian {SUITE} root file system with {', '.join(packages)}")
        tar = scratch / "rootfs.tar"
        result = work.runner.run(rootfs_argv(packages, os.fspath(tar), variant=variant), deadline=_DEADLINE)
        work.say(f"built it: {tar.stat().st_size / 1e6:.0f} MB in {result.seconds:.0f} s")
        return tar

    cache = Cache(work.config.cache_dir / "debian", work.say)
    return cache.made(cache.folder / f"{SUITE}-{rootfs_key(packages, variant=variant)}", "rootfs.tar", make)
