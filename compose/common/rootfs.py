"""Gathers what a Python service needs to run into one folder: its image then has no shell and no package manager.

Run in the build stage: `python3 rootfs.py TARGET APP`. Works on every glibc base whose python3 runs it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

_PROGRAMS = ("env", "sleep")  # for `#!/usr/bin/env python3`, and for a preStop hook
_FILES = ("/etc/nsswitch.conf", "/etc/ld.so.cache", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/openssl.cnf")
_LINKS = ("/bin", "/lib", "/lib64", "/usr/lib/ssl/certs", "/usr/lib/ssl/openssl.cnf", "/usr/lib/ssl/cert.pem")
_LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "test", "tests", "idlelib", "lib2to3", "ensurepip", "pydoc_data", "tkinter", "turtledemo",
    "turtle.py", "_tkinter*", "site-packages", "dist-packages", "config-*", "sitecustomize.py", "*.a", "_test*",
)  # fmt: skip
_USER = "nonroot:x:65532:65532:nonroot:/:/usr/sbin/nologin\n"
_GROUP = "nonroot:x:65532:\n"
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")


def gather(target: Path, app: Path) -> None:
    """Fill `target` with python3, its standard library, `app` (at its own path) and every library they link."""
    for link in filter(os.path.islink, _LINKS):
        _place(target, Path(link))
    programs = [Path(found) for name in _PROGRAMS if (found := shutil.which(name))]
    python = Path(shutil.which("python3") or sys.executable)
    for path in (*programs, python, *map(Path, filter(os.path.exists, _FILES))):
        _copy(target, path)
    stdlib = Path(sysconfig.get_path("stdlib"))
    for tree in (stdlib, app):
        ignore = _LEFT_OUT if tree == stdlib else shutil.ignore_patterns("__pycache__")
        shutil.copytree(tree, _inside(target, tree), symlinks=True, ignore=ignore)
        modules = _inside(target, tree).rglob("*.so*")
        for library in _linked([*modules, *programs, python.resolve()]):
            _copy(target, library)
    (target / "etc/passwd").write_text(_USER)
    (target / "etc/group").write_text(_GROUP)
    (target / "tmp").mkdir()
    (target / "tmp").chmod(0o1777)
    # Hash-checked byte code: valid whatever times the layers give to the sources, and never written at run time.
    options = ("-q", "--invalidation-mode", "unchecked-hash", "-s", str(target), "-p", "/")
    trees = (str(_inside(target, tree)) for tree in (stdlib, app))
    subprocess.run((sys.executable, "-m", "compileall", *options, *trees), check=True)


def _linked(binaries: Iterable[Path]) -> set[Path]:
    """The shared libraries that the loader would map for `binaries`."""
    found: set[Path] = set()
    for binary in binaries:
        answer = subprocess.run(("/usr/bin/ldd", str(binary)), capture_output=True, text=True, check=False)
        if "not found" in answer.stdout:
            sys.exit(f"{binary} links a library that the base lacks:\n{answer.stdout}")
        found.update(Path(path) for path in _LIBRARY.findall(answer.stdout))
    return found


def _copy(target: Path, path: Path) -> None:
    """Copy the file `path` with every link on the way to it."""
    while path.is_symlink():
        _place(target, path)
        path = path.parent.resolve() / path.readlink()
    _place(target, path)


def _place(target: Path, path: Path) -> None:
    destination = _inside(target, path)
    destination.parent.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(destination):
        shutil.copy2(path, destination, follow_symlinks=False)


def _inside(target: Path, path: Path) -> Path:
    """Where `path` stands in `target`, folders that are links (/lib of a merged /usr) followed."""
    return target / (path.parent.resolve() / path.name).relative_to("/")


if __name__ == "__main__":
    gather(Path(sys.argv[1]), Path(sys.argv[2]))
