"""Says why a cluster does not come up as soon as its nodes show it: a node that ended, or what ends again and again."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.containers.leftovers import CLUSTER_LABEL
from scripts.core.command import Runner
from scripts.core.errors import CommandTimeout

_LINES = 6  # of what is said
_BRIEF = 5.0  # seconds: what runs longer waits for something, and may come up with its next try
_SCRIPT = Path(__file__).with_name("startup.sh")  # is run on a node
_NO_CAUSE = re.compile(r"\s|Usage:|goroutine |created by |\S+\(.*\)$")  # usage and stacks are indented, or calls
_WRONG = re.compile(
    r"^panic|\b(?:error|failed|fatal|not defined|unknown|unrecognized|invalid|cannot|refused)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Obstacle:
    """What keeps a cluster from coming up: on which node, what happens there, and its last lines."""

    node: str
    what: str
    said: str

    def __str__(self) -> str:
        last = self.said.rpartition("\n")[2].strip() or "it said nothing"
        brief = re.sub(r"^[IWEF]\d{4} \S+ +\d+ \S+\] ", "", last)  # a log's time, and place in the source
        return f"on {self.node}, {self.what}: {brief.strip(chr(34))[:300]}"


def obstacle(name: str, runner: Runner) -> Obstacle | None:
    """What is seen on the nodes of the cluster `name` that cannot end well; None while nothing is."""
    with contextlib.suppress(CommandTimeout):  # what does not answer now may still come up
        return next(_obstacles(name, runner), None)
    return None


def _obstacles(name: str, runner: Runner) -> Iterator[Obstacle]:
    label = f"--filter=label={CLUSTER_LABEL}={name}"
    listed = runner.run(("docker", "ps", "--all", "--format={{.Names}} {{.State}}", label), check=False).stdout
    for line in listed.splitlines():
        node, _, state = line.partition(" ")
        if state in ("exited", "dead"):
            said = runner.run(("docker", "logs", "--tail=8", node), check=False)
            yield Obstacle(node, "the container of the node ended", _telling(said.stdout + said.stderr))
        if state == "running":
            seen = runner.run(("docker", "exec", "--interactive", node, "sh", "-s"), stdin=_SCRIPT, check=False)
            yield from read_ends(seen.stdout, node)


def read_ends(text: str, node: str) -> Iterator[Obstacle]:
    """What a node says of itself: only that which ended at once."""
    for part in re.split(r"^== ", text, flags=re.MULTILINE)[1:]:
        head, _, said = part.partition("\n")
        found = re.fullmatch(r"(.+): (\d+) times, (-?\d+) s", head)
        if found and float(found[3]) <= _BRIEF:
            yield Obstacle(node, found[1], _telling(said))


def _telling(text: str) -> str:
    """The lines that say what is wrong, the last of them last: no usage, no stack; where none does, the last of all."""
    said = [line for line in text.splitlines() if line.strip() and not _NO_CAUSE.match(line)]
    return "\n".join(([line for line in said if _WRONG.search(line)] or said)[-_LINES:])


def told_by_kind(log: str) -> str:
    """What kind's log says at its end: without the places in the source, and without what kubeadm does step by step."""
    frames = re.compile(r"^\S+\n\t\S+:\d+\n?", re.MULTILINE)  # kind and kubeadm print where an error came through
    told = frames.sub("", re.split(r"^Stack Trace:", log, maxsplit=1, flags=re.MULTILINE)[0])
    kept = [line for line in told.splitlines() if line.strip() and not re.match(r"[IW]\d{4} ", line)]
    return "\n".join(kept[-_LINES:])
