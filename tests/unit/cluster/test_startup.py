"""What the nodes of a cluster that does not come up say: what ended at once, and not what waits for something."""

from __future__ import annotations

from typing import Any, cast

import pytest

from scripts.cluster.startup import obstacle, read_ends, told_by_kind
from scripts.core.command import Result, Runner
from scripts.core.errors import CommandTimeout

ETCD = """== container etcd of pod etcd-a-control-plane ends again and again: 2 times, 0 s
flag provided but not defined: -experimental-initial-corrupt-check
Usage:

  etcd [flags]
    Start an etcd server.

  etcd grpc-proxy

"""
WAITING = """== container kube-apiserver of pod kube-apiserver-a ends again and again: 3 times, 21 s
F1126 17:00:00.000000       1 instance.go:226] "Error creating leases: context deadline exceeded"
"""
KUBELET = """== kubelet ends again and again: 5 times, 0 s
E1126 17:00:00.000000     612 run.go:74] "command failed" err="failed to parse kubelet flag: unknown flag: --no-such"
"""


PANIC = """== kubelet ends again and again: 5 times, 0 s
panic: failed to merge KubeletConfiguration while setting defaults, error: unrecognized feature gate: NoSuchGate

goroutine 1 [running]:
k8s.io/kubernetes/pkg/kubelet/apis/config/v1beta1.SetDefaults_KubeletConfiguration(0x1df981e7a308)
\tk8s.io/kubernetes/pkg/kubelet/apis/config/v1beta1/defaults.go:64 +0x1b
main.main()
\tk8s.io/kubernetes/cmd/kubelet/kubelet.go:37 +0x2a
"""
IMAGE = """== a pod of the control plane is not started: 3 times, 0 s
E1126 17:00:00.000000 612 pod_workers.go:1324] "Error syncing pod, skipping" err="failed with ErrImagePull" pod="etcd"
"""
KIND = """ \u2717 Starting control-plane
ERROR: failed to create cluster: failed to init node with kubeadm: command "docker exec a kubeadm" failed: exit status 1

Command Output: I1126 17:00:00.000000     201 initconfiguration.go:255] loading configuration from "/kind/kubeadm.conf"
error: json: cannot unmarshal object into Go struct field Etcd.local of type v1beta4.LocalEtcd
k8s.io/kubernetes/cmd/kubeadm/app/util/config.LoadInitConfigurationFromFile
\tk8s.io/kubernetes/cmd/kubeadm/app/util/config/initconfiguration.go:280
runtime.goexit
\truntime/asm_amd64.s:1771

Stack Trace: command "docker exec a kubeadm" failed with error: exit status 1
sigs.k8s.io/kind/pkg/errors.WithStack
\tsigs.k8s.io/kind/pkg/errors/errors.go:51
"""


def test_kind_is_quoted_without_the_places_in_its_source() -> None:
    told = told_by_kind(KIND).splitlines()
    assert told[-1].startswith("error: json: cannot unmarshal object")
    assert told[1].startswith("ERROR: failed to create cluster")
    assert not any("goexit" in line or "\t" in line for line in told)
    assert told_by_kind("") == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (PANIC, "on n, kubelet ends again and again: panic: failed to merge KubeletConfiguration"),
        (IMAGE, 'on n, a pod of the control plane is not started: "Error syncing pod'),
        (
            ETCD,
            "on n, container etcd of pod etcd-a-control-plane ends again and again: flag provided but not defined",
        ),
        (KUBELET, 'on n, kubelet ends again and again: "command failed" err="failed to parse kubelet flag'),
        (WAITING, ""),
        (WAITING + ETCD, "on n, container etcd"),
        ("", ""),
        ("sh: 1: systemctl: not found", ""),
    ],
)
def test_what_ended_at_once_is_told_with_its_told_by_kind(text: str, told: str) -> None:
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


class Stuck(Engine):
    """Has nodes that do not answer."""

    def run(self, argv: tuple[str, ...], **_: Any) -> Result:
        if argv[1] == "exec":
            raise CommandTimeout(argv, 60)
        return super().run(argv)


def test_a_node_that_does_not_answer_is_waited_for() -> None:
    assert obstacle("a", cast(Runner, Stuck("a-control-plane running\n", ETCD))) is None


class Answer:
    def __init__(self, stdout: str) -> None:
        self.stdout, self.stderr, self.status = stdout, "", 0


@pytest.mark.parametrize(
    ("states", "said", "told"),
    [
        ("a-control-plane running\n", ETCD, "on a-control-plane, container etcd of pod"),
        (
            "a-control-plane exited\n",
            "ERROR: cgroup is gone",
            "on a-control-plane, the container of the node ended",
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
