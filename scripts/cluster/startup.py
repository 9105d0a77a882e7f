"""Says why a cluster does not come up as soon as its nodes show it: a node that ended, or what ends again and again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from scripts.core.command import Runner

_CLUSTER_LABEL = "io.x-k8s.kind.cluster"
_TIMES = 2  # ends of a container from which it is no accident
_BRIEF = 5.0  # seconds: what runs longer waits for something, and may come up with its next try
# What kubeadm lays out as static pods: without one of them there is no cluster, whatever else comes up.
_STATIC = r"kube-system/(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)-"
_NOT_STARTED = "ErrImage|InvalidImageName|CreateContainer|RunContainerError|CreatePodSandbox"
# For each container of the node that has ended so often: its name, how long it ran in seconds, its words (the kubelet
# keeps the log of the last try alone). And the kubelet, once it has its configuration: before that it has to end; and
# what it cannot start again and again. A line that begins with "==" is a heading. The unit's journal holds words of
# systemd, too, which are no cause.
_SCRIPT = r"""
running=$(ctr --namespace k8s.io tasks list 2>/dev/null | grep RUNNING)
for link in /var/log/containers/*.log; do
  log=$(readlink -f "$link"); number=$(basename "$log" .log); id=${link##*-}
  [ "$number" -ge %(times)d ] 2>/dev/null && [ -s "$log" ] || continue
  case "$running" in *"${id%%.log}"*) continue ;; esac
  first=$(head -n 1 "$log" | cut -d' ' -f1); last=$(tail -n 1 "$log" | cut -d' ' -f1)
  ran=$(( $(date -d "$last" +%%s) - $(date -d "$first" +%%s) ))
  pod=$(basename "$(dirname "$(dirname "$log")")" | cut -d_ -f2)
  echo "== container $(basename "$(dirname "$log")") of pod $pod ends again and again: $number times, $ran s"
  head -n 20 "$log" | cut -d' ' -f4-
  tail -n 20 "$log" | cut -d' ' -f4-
done
if [ -f /var/lib/kubelet/config.yaml ]; then
  number=$(systemctl show kubelet --property=NRestarts --value)
  if [ "${number:-0}" -ge %(kubelet)d ] && ! systemctl is-active --quiet kubelet; then
    echo "== kubelet ends again and again: $number times, 0 s"
    journalctl --identifier=kubelet --output=cat --no-pager --lines=120 | grep -v '^Flag --'
  fi
  failed=$(journalctl --identifier=kubelet --output=cat --no-pager |
    grep '"Error syncing pod' | grep -E '%(static)s' | grep -E '%(not_started)s' | tail -n 12)
  number=$(echo "$failed" | grep -c .)
  if [ "$number" -ge %(times)d ]; then
    echo "== a pod of the control plane is not started: $number times, 0 s"
    echo "$failed" | tail -n 1
  fi
fi
""" % {"times": _TIMES, "kubelet": 4, "static": _STATIC, "not_started": _NOT_STARTED}  # noqa: UP031 - it is shell, full of braces

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
        return f"on {self.node}, {self.what}: {_brief(self.said.rpartition(chr(10))[2] or 'it said nothing')}"


def obstacle(name: str, runner: Runner) -> Obstacle | None:
    """What is seen on the nodes of the cluster `name` that cannot end well; None while nothing is."""
    label = f"--filter=label={_CLUSTER_LABEL}={name}"
    listed = runner.run(("docker", "ps", "--all", "--format={{.Names}} {{.State}}", label), check=False).stdout
    for line in listed.splitlines():
        node, _, state = line.partition(" ")
        if state in ("exited", "dead"):
            said = runner.run(("docker", "logs", "--tail=8", node), check=False)
            return Obstacle(node, "the container of the node ended", _telling(said.stdout + said.stderr))
        if state == "running":
            seen = runner.run(("docker", "exec", "--interactive", node, "sh", "-s"), stdin=_SCRIPT, check=False)
            if (found := next(read_ends(seen.stdout, node), None)) is not None:
                return found
    return None


def read_ends(text: str, node: str) -> Iterator[Obstacle]:
    """What a node says of itself: only that which ended at once."""
    for part in re.split(r"^== ", text, flags=re.MULTILINE)[1:]:
        head, _, said = part.partition("\n")
        found = re.fullmatch(r"(.+): (\d+) times, (-?\d+) s", head)
        if found and float(found[3]) <= _BRIEF:
            yield Obstacle(node, found[1], _telling(said))


def _telling(text: str, lines: int = 6) -> str:
    """The lines that say what is wrong, the last of them last: no usage, no stack; where none does, the last of all."""
    said = [line for line in text.splitlines() if line.strip() and not _NO_CAUSE.match(line)]
    return "\n".join(([line for line in said if _WRONG.search(line)] or said)[-lines:])


def last_words(log: str, lines: int = 6) -> str:
    """What kind's log says at its end: without the places in the source, and without what kubeadm does step by step."""
    frames = re.compile(r"^\S+\n\t\S+:\d+\n?", re.MULTILINE)  # kind and kubeadm print where an error came through
    told = frames.sub("", re.split(r"^Stack Trace:", log, maxsplit=1, flags=re.MULTILINE)[0])
    kept = [line for line in told.splitlines() if line.strip() and not re.match(r"[IW]\d{4} ", line)]
    return "\n".join(kept[-lines:])


def _brief(line: str) -> str:
    """A line of a log without its time and place in the source."""
    return re.sub(r"^[IWEF]\d{4} \S+ +\d+ \S+\] ", "", line.strip()).strip('"')[:300]
