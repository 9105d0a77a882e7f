"""What the nodes of a cluster that does not come up say: what ended at once, and not what waits for something."""

from __future__ import annotations

from typing import Any, cast

import pytest

from scripts.cluster.startup import obstacle, read_ends
from scripts.core.command import Result, Runner

ETCD = """== container etcd of pod etcd-a-control-plane: 2 times, 0 s
Usage:
  etcd [flags]
    Start an etcd server.
flag provided but not defined: -experimental-initial-corrupt-check
"""
WAITING = """== container kube-apiserver of pod kube-apiserver-a: 3 times, 21 s
F1126 17:00:00.000000       1 instance.go:226] "Error creating leases: context deadline exceeded"
"""
KUBELET = """== kubelet: 5 times, 0 s
E1126 17:00:00.000000     612 run.go:74] "command failed" err="failed to parse kubelet flag: unknown flag: --no-such"
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            ETCD,
            "container etcd of pod etcd-a-control-plane of node n ends again and again: flag provided but not defined",
        ),
        (KUBELET, 'kubelet of node n ends again and again: "command failed" err="failed to parse kubelet flag'),
        (WAITING, ""),
        (WAITING + ETCD, "container etcd"),
        ("", ""),
        ("sh: 1: systemctl: not found", ""),
    ],
)
def test_what_ended_at_once_is_told_with_its_last_words(text: str, told: str) -> None:
    seen = [str(one) for one in read_ends(text, "n")]
    assert len(seen) == bool(told)
    assert all(line.startswith(told.partition('"')[0]) and told.rpartition('"')[2] in line for line in seen)


class Engine:
    """Answers docker's command lines."""

    def __init__(self, states: str, said: str = "") -> None:
        self.states, self.said = states, said
        self.asked: list[str] = []

    def run(self, argv: tuple[str, ...], **_: Any) -> Result:
        self.asked.append(" ".join(argv[:2]))
        out = self.states if argv[1] == "ps" else self.said if argv[1] in ("exec", "logs") else ""
        return cast(Result, Answer(out))


class Answer:
    def __init__(self, stdout: str) -> None:
        self.stdout, self.stderr, self.status = stdout, "", 0


@pytest.mark.parametrize(
    ("states", "said", "told"),
    [
        ("a-control-plane running\n", ETCD, "container etcd of pod"),
        (
            "a-control-plane exited\n",
            "ERROR: cgroup is gone",
            "the container of node a-control-plane ends",
        ),
        ("a-control-plane created\n", ETCD, ""),
        ("", ETCD, ""),
        ("a-control-plane running\n", WAITING, ""),
    ],
)
def test_nodes_are_looked_into_while_they_run(states: str, said: str, told: str) -> None:
    seen = obstacle("a", cast(Runner, Engine(states, said)))
    assert (str(seen) if seen else "").startswith(told)
    assert bool(seen) == bool(told)
