"""One operation on a release, for a person or a deployment: explained by its cause as the smoke test's are."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.chart.source import demand_values, read_chart
from scripts.cluster.api import Api, connect
from scripts.cluster.transport import Login
from scripts.core.errors import ApiError, ConfigError
from scripts.rollout.rollout import Revision, Rollout, Target
from scripts.workspace import Workspace

_FORCE = "--force-conflicts"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_RELEASE = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
VERBS = ("install", "upgrade", "rollback")


@dataclass(frozen=True)
class Order:
    """What was asked for. `chart` is a folder, an archive or an `oci://` reference, "" the configured chart.

    `release` and `namespace` are "" for the chart's name; `context` "" is the kubeconfig's current one. A rollback
    goes to `revision`, 0 for the last one that was rolled out to its end. `force` takes fields that others own.
    """

    verb: str
    chart: str = ""
    release: str = ""
    namespace: str = ""
    context: str = ""
    values: tuple[Path, ...] = ()
    revision: int = 0
    deadline: float = 300
    undo: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        if self.verb not in VERBS:
            raise ConfigError(f"there is no operation {self.verb!r}", expected=", ".join(VERBS))
        odd = {"values": self.values, "undo": self.undo} if self.verb == "rollback" else {"revision": self.revision}
        if given := [f"--{flag}" for flag, value in odd.items() if value]:
            raise ConfigError(f"{self.verb} goes without {' and '.join(given)}", run=f"leave out {given[0]}")
        demand_values(self.values)


def named(work: Workspace, order: Order) -> tuple[str, str, str]:
    """The chart, the release and its namespace that an order means. Raises ChartError for a folder that is no chart."""
    chart = order.chart or str(work.config.chart)
    if Path(chart).is_dir():
        name = read_chart(Path(chart)).name
    else:  # name-1.2.3.tgz, or oci://host/path/name:1.2.3
        name = re.sub(r"(-v?\d+\.\d+\.\d+.*)?\.tgz$|[:@].*$", "", chart.rpartition("/")[2])
    release = order.release or name
    return chart, release, order.namespace or release


def _demanded(work: Workspace, order: Order) -> tuple[str, str, str]:
    """The same, where neither helm nor the API server would refuse the names. Raises ConfigError, ChartError."""
    chart, release, namespace = named(work, order)
    if order.verb != "rollback" and "://" not in chart and not Path(chart).exists():
        raise ConfigError(
            f"no chart at {chart}", expected="a chart's folder, an archive, or oci://host/path/name:1.2.3"
        )
    for flag, name, pattern, most in (("release", release, _RELEASE, 53), ("namespace", namespace, _LABEL, 63)):
        if len(name) > most or not pattern.fullmatch(name):
            words = f"at most {most} lower-case letters, digits and hyphens, with a letter or digit at both ends"
            raise ConfigError(f"{name!r} cannot name a {flag}", expected=words, run=f"name it with --{flag}")
    return chart, release, namespace


def preview(work: Workspace, order: Order) -> str:
    """The helm command that an order comes to; nothing is asked."""
    chart, release, namespace = _demanded(work, order)
    words = [str(order.revision or "LAST")] if order.verb == "rollback" else [chart]
    words += [f"--values={file}" for file in order.values]
    words += ["--rollback-on-failure"] if order.undo else []
    words += [_FORCE] if order.force else []
    context = [f"--kube-context={order.context}"] if order.context else []
    return shlex.join(["helm", order.verb, release, *words, f"--namespace={namespace}", *context, "--wait"])


def operate(
    work: Workspace,
    order: Order,
    beside: Callable[[Rollout], contextlib.AbstractContextManager[None]] = lambda _: contextlib.nullcontext(),
) -> Revision:
    """Carry out `order` and wait until all of the release is ready; `beside` is what runs meanwhile.

    Evidence of a failure is left in `dist/rollout/RELEASE`. Raises RolloutFailed with the cause first, ConfigError,
    ClusterError.
    """
    chart, release, namespace = _demanded(work, order)
    tools = work.tools.paths(("helm", "kubectl"))
    login = Login(context=order.context or None)
    with connect(login, kubectl=tools["kubectl"], runner=work.runner) as api:
        if order.verb == "install" and not _is_there(api, namespace):
            api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        rollout = Rollout(
            tools["helm"],
            work.runner,
            api,
            namespace=namespace,
            release=release,
            evidence=work.config.dist / "rollout" / release,
            say=work.say,
            login=login,
            deadline=order.deadline,
        )
        flags = (_FORCE,) if order.force else ()
        if order.verb == "rollback":
            revision = _goal(rollout, order.revision)
            with beside(rollout):
                return rollout.rollback(revision, flags=flags)
        act = rollout.install if order.verb == "install" else rollout.upgrade
        with beside(rollout):
            return act(Target(chart, order.values, flags=flags), rollback_on_failure=order.undo)


def _is_there(api: Api, namespace: str) -> bool:
    """Whether there is such a namespace; where that is not ours to see helm says what is wrong with it."""
    try:
        return api.get("Namespace", namespace) is not None
    except ApiError as error:
        if error.status != 403:
            raise
        return True


def _goal(rollout: Rollout, revision: int) -> int:
    """The `revision` to go back to; for 0 the last before the present one that was rolled out to its end.

    By itself helm takes a broken one for that. Raises ConfigError where there is none.
    """
    revisions = rollout.history()
    before = [one.number for one in revisions[:-1] if one.served]
    found = [one.number for one in revisions if one.number == revision] if revision else before
    if not found:
        raise ConfigError(
            f"release {rollout.release} in {rollout.namespace} has no revision {revision or 'to go back to'}",
            found=", ".join(f"{one.number} {one.status}" for one in revisions) or "no such release",
        )
    return found[-1]
