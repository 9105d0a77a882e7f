"""Finds and removes what killed runs left on this machine: what bears the mark of a process that is gone."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.core.command import Runner
from scripts.core.errors import CommandFailed, CommandTimeout, EngineError, ToolError
from scripts.core.owner import MARK, orphaned
from scripts.core.waiting import until
from scripts.workspace import Workspace

# What the engine's things are called after: a kind cluster or a compose project, which may bear a mark.
CLUSTER_LABEL = "io.x-k8s.kind.cluster"
_LABELS = (CLUSTER_LABEL, "com.docker.compose.project")
_MARKED = re.compile(r"(?<![0-9a-f])(?=([0-9a-f]{6}-\d+-\d+))")
# Programs of ours that go on by themselves. Others may be meant to stay: a hook's daemon, an agent that keeps a key.
_PROGRAMS = frozenset(
    {"kind", "kubectl", "k6", "crane", "registry", "helm", "vegeta", "docker", "docker-compose", "go", "mmdebstrap"}
)
_SETTLE = 2.0  # seconds for which the engine goes on with what an ended program had asked of it
_DEADLINE = 300.0  # seconds: on a busy machine an engine takes a minute for each node of a cluster
_MANY = 5  # of one kind, from which on they are counted
SHARED = "/gati-volumes"  # where every node of a cluster of ours has the folder of volumes


@dataclass(frozen=True)
class Leftover:
    """A thing that belongs to nobody: its `kind`, what it is called, the `id` that removes it; `node`: a cluster's."""

    kind: str
    name: str
    id: str
    node: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def find(work: Workspace, *, also: tuple[str, ...] = ()) -> tuple[Leftover, ...]:
    """What runs left that are gone, of every checkout here: programs first, then what they had made.

    So is what is called `also...`, which a run has left on purpose.
    """
    return (*_programs(), *_of_engine(work, also), *_folders(work, also))


def remove(work: Workspace, *, also: tuple[str, ...] = ()) -> tuple[Leftover, ...]:
    """Remove it, saying so; what was removed. Raises EngineError for what is still there after five minutes."""
    removed: dict[str, Leftover] = {}

    def gone() -> bool:
        found = find(work, also=also)
        for line in _told([left for left in found if left.id not in removed]):
            work.say(line)
        for left in found:
            removed[left.id] = left
            _remove(left, work)
        return not found

    def there() -> str:
        return ", ".join(map(str, find(work, also=also)))

    what = "what killed runs left to be gone"
    wait = functools.partial(until, gone, what=what, deadline=_DEADLINE, interval=0.2, state=there, error=EngineError)
    wait()
    if any(left.kind == "program" for left in removed.values()):
        with contextlib.suppress(EngineError):
            until(lambda: not gone(), what="the engine", deadline=_SETTLE, interval=0.5, error=EngineError)
        wait()
    return tuple(removed.values())


def empty_shared(node: str, runner: Runner) -> None:
    """Delete what pods wrote to volumes, by a node: it is theirs, and not ours to remove from outside."""
    with contextlib.suppress(CommandTimeout):  # a node that hangs is removed all the same
        runner.run(("docker", "exec", node, "find", SHARED, "-mindepth", "1", "-delete"), check=False)


def _told(found: list[Leftover]) -> Iterator[str]:
    """A line for each of them, one for all of a kind where they would fill a screen."""
    for kind in dict.fromkeys(left.kind for left in found):
        names = [left.name for left in found if left.kind == kind]
        if len(names) > _MANY:
            yield f"removing {len(names)} {kind}s: the runs that they belonged to are gone ({names[0]}, ...)"
        else:
            yield from (f"removing {kind} {name}: the run that it belonged to is gone" for name in names)


def _of_nobody(name: str, also: tuple[str, ...]) -> bool:
    """Whether a name bears the mark of a process that is gone, or begins with `also`."""
    return name.startswith(also) or any(orphaned(mark) for mark in _MARKED.findall(name))


def _programs() -> Iterator[Leftover]:
    prefix = f"{MARK}=".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "environ").read_bytes().split(b"\0")
            argv = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:  # it has ended, or is somebody else's
            continue
        marks = [word.removeprefix(prefix).decode("utf-8", "replace") for word in words if word.startswith(prefix)]
        if marks and argv[0] and Path(argv[0]).name in _PROGRAMS and orphaned(marks[0]):
            yield Leftover("program", f"{Path(argv[0]).name} {' '.join(argv[1:4])} ({entry.name})", entry.name)


def _of_engine(work: Workspace, also: tuple[str, ...]) -> Iterator[Leftover]:
    forms = {"container": "{{.ID}}", "network": "{{.ID}}", "volume": "{{.Name}}"}
    for kind, form in forms.items():
        every = ("--all",) if kind == "container" else ()
        for label in _LABELS:
            shown = f'--format={form}\t{{{{.Label "{label}"}}}}'
            argv = ("docker", kind, "ls", *every, f"--filter=label={label}", shown)
            try:
                lines = work.runner.run(argv, deadline=30).stdout.splitlines()
            except (CommandFailed, ToolError):  # no engine: then it has nothing of ours
                return
            for identity, owner in (line.split("\t", 1) for line in lines):
                if _of_nobody(owner, also):
                    yield Leftover(kind, f"{identity} of {owner}", identity, label == CLUSTER_LABEL)


def _folders(work: Workspace, also: tuple[str, ...]) -> Iterator[Leftover]:
    cache, dist = work.config.cache_dir, work.config.dist
    for place in (Path(tempfile.gettempdir()), cache, *cache.glob("*"), dist, dist / "e2e"):
        for path in sorted(place.glob("*")):
            if _of_nobody(path.name, also) and (path.is_dir() or path.suffix == ".kubeconfig"):
                yield Leftover("folder" if path.is_dir() else "file", str(path), str(path))


def _remove(left: Leftover, work: Workspace) -> None:
    if left.kind == "program":
        with contextlib.suppress(OSError):
            os.kill(int(left.id), signal.SIGKILL)
    elif left.kind in ("folder", "file"):
        shutil.rmtree(left.id, ignore_errors=True)
        with contextlib.suppress(OSError):
            Path(left.id).unlink()
    else:
        force: tuple[str, ...] = ()
        if left.kind == "container":
            force = ("--force", "--volumes")
            if left.node:
                empty_shared(left.id, work.runner)
        with contextlib.suppress(CommandTimeout):  # it is looked for again; the others are to go, too
            work.runner.run(("docker", left.kind, "rm", *force, left.id), deadline=60, check=False)
