"""Watched helm operations on a real cluster: patient with what is slow, and never leaving a release in pieces."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.cluster.api import Api
from scripts.cluster.kind import KindCluster
from scripts.cluster.snapshot import differences, take
from scripts.core.command import Runner
from scripts.rollout.rollout import Rollout, RolloutFailed, Target
from scripts.toolchain.finder import Toolchain
from tests.e2e import charts
from tests.e2e.charts import container, deployment, pod_spec

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ABSENT = "registry.invalid/gati/none:9"
NEVER = {"tcpSocket": {"port": 1}, "periodSeconds": 1}  # nothing listens there


@pytest.fixture
def namespace(api: Api, request: pytest.FixtureRequest) -> Iterator[str]:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)[:50].strip("-")
    with charts.new_namespace(api, name, wait=None) as namespace:  # no other test looks at it
        yield namespace


@pytest.fixture
def rollout(rollouts: Callable[[str], Rollout], namespace: str) -> Rollout:
    return rollouts(namespace)


def listening(api: Api, *, after: int) -> dict[str, Any]:
    """A server out of what every node has, which is ready `after` seconds."""
    probe = {"tcpSocket": {"port": 2379}, "initialDelaySeconds": after, "periodSeconds": 1}
    command = ["etcd", "--listen-client-urls=http://0.0.0.0:2379", "--advertise-client-urls=http://localhost:2379"]
    image = charts.in_node_images(api.list("Node"), "etcd")
    return {**container(image=image), "command": command, "readinessProbe": probe}


def test_a_slow_rollout_is_waited_for(api: Api, rollout: Rollout, tmp_path: Path) -> None:
    target = charts.chart(tmp_path, deployment(spec=pod_spec(listening(api, after=16))))
    (tmp_path / "templates" / "NOTES.txt").write_text("Thank you for {{ .Release.Name }}.\n", encoding="utf-8")
    revision = rollout.install(Target(target))
    assert (revision.number, revision.status, revision.chart) == (1, "deployed", "fixture-0.1.0")
    assert revision.notes == "Thank you for app."
    assert revision.seconds > 16


def test_a_pod_that_waits_for_the_place_of_an_old_one_is_waited_for(
    api: Api, rollout: Rollout, namespace: str, tmp_path: Path
) -> None:
    """Old and new need the same port of the same node, and the old one takes longer to end than a place is missed."""
    worker = min(node["metadata"]["name"] for node in api.list("Node") if not node["spec"].get("taints"))
    slow = {"preStop": {"sleep": {"seconds": 16}}}

    def version(number: str) -> Target:
        ports, env = [{"containerPort": 9, "hostPort": 47_009}], [{"name": "V", "value": number}]
        main = container(ports=ports, lifecycle=slow, env=env)
        spec = pod_spec(main, nodeSelector={"kubernetes.io/hostname": worker}, terminationGracePeriodSeconds=30)
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
        return Target(charts.chart(tmp_path / number, deployment(spec=spec, strategy=rolling)))

    rollout.install(version("1"))
    with api.watch(("Pod",), namespace) as watch:
        assert rollout.upgrade(version("2")).status == "deployed"
        changes = watch.changes("Pod")
    waited = {
        change.object["metadata"]["name"]
        for change in changes
        for condition in change.object["status"].get("conditions", ())
        if condition.get("reason") == "Unschedulable"
    }
    assert waited, "the new pod never waited for a place: this test proves nothing"


def test_an_upgrade_that_repairs_a_crash_loop_is_not_blamed_for_it(api: Api, rollout: Rollout, tmp_path: Path) -> None:
    crash = container(image=charts.in_node_images(api.list("Node"), "kube-proxy"), command=["kube-proxy", "--no"])
    broken = charts.chart(tmp_path / "1", deployment(spec=pod_spec(crash)))
    with pytest.raises(RolloutFailed):
        rollout.install(Target(broken))
    assert rollout.upgrade(Target(charts.chart(tmp_path / "2", deployment()))).status == "deployed"


def test_a_failed_upgrade_is_rolled_back_by_helm(api: Api, rollout: Rollout, namespace: str, tmp_path: Path) -> None:
    sound = rollout.install(
        Target(charts.chart(tmp_path / "1", deployment(), charts.config_map("settings", colour="red")))
    )
    before = take(api, [namespace])
    pod = api.list("Pod", namespace)[0]["metadata"]["uid"]
    worse = (deployment(spec=pod_spec(container(image=ABSENT))), charts.config_map("settings", colour="blue"))
    with pytest.raises(RolloutFailed, match=f'container main cannot pull image "{ABSENT}"') as failed:
        rollout.upgrade(Target(charts.chart(tmp_path / "2", *worse, charts.service("extra"))), rollback_on_failure=True)

    assert failed.value.seconds < 15 + sound.seconds
    assert "rolled back: revision 3 serves" in str(failed.value)
    assert [(row.number, row.status) for row in rollout.history()] == [
        (1, "superseded"),
        (2, "failed"),
        (3, "deployed"),
    ]
    assert differences(before, take(api, [namespace])) == ()
    assert pod in [item["metadata"]["uid"] for item in api.list("Pod", namespace)], "the old pod was not left alone"
    evidence = "\n".join(path.name for path in failed.value.evidence.rglob("*"))
    assert re.search(r"Pod-web-\w+-\w+\.yaml", evidence), "the pod that failed is not in the evidence"


def test_a_failed_hook_is_rolled_back_once(api: Api, rollout: Rollout, namespace: str, tmp_path: Path) -> None:
    """helm fails by itself here: a signal on top of that would start a second rollback."""
    crash = container(image=charts.in_node_images(api.list("Node"), "kube-proxy"), command=["kube-proxy", "--no"])
    hook = charts.job("migrate", "pre-upgrade", pod_spec(crash), policy="hook-failed", backoffLimit=0)
    rollout.install(Target(charts.chart(tmp_path / "1", deployment())))
    with pytest.raises(RolloutFailed, match=r"Job migrate: pre-upgrade hook failed: .*unknown flag: --no") as failed:
        rollout.upgrade(Target(charts.chart(tmp_path / "2", deployment(), hook)), rollback_on_failure=True)
    assert "rolled back: revision 3 serves" in str(failed.value)
    assert [row.status for row in rollout.history()] == ["superseded", "failed", "deployed"]


def test_a_failed_install_leaves_nothing_when_asked_so(
    api: Api, rollout: Rollout, namespace: str, tmp_path: Path
) -> None:
    before = take(api, [namespace])
    target = Target(charts.chart(tmp_path, deployment(spec=pod_spec(container(image=ABSENT)))))
    with pytest.raises(RolloutFailed, match="cannot pull image"):
        rollout.install(target, rollback_on_failure=True)
    assert rollout.history() == ()
    assert differences(before, take(api, [namespace])) == ()


def test_what_never_gets_ready_is_explained_at_the_deadline(rollout: Rollout, tmp_path: Path) -> None:
    target = Target(charts.chart(tmp_path, deployment(spec=pod_spec(container(readinessProbe=NEVER)))))
    with pytest.raises(RolloutFailed) as failed:
        replace(rollout, deadline=8).install(target)
    assert str(failed.value).startswith("Deployment web: container main runs and is not ready: Readiness probe failed")
    assert rollout.status() == "failed", "helm had no time to record the failure"


def kill_helm(
    rollout: Rollout, made: KindCluster, runner: Runner, helm: Path, tmp_path: Path, *words: str | Path
) -> None:
    """Kill a helm that waits for what never gets ready."""
    argv = (helm, *words, f"--namespace={rollout.namespace}", f"--kubeconfig={made.kubeconfig}", "--wait")

    def half_done() -> bool | None:
        pods = rollout.api.list("Pod", rollout.namespace)
        probed = any("readinessProbe" in pod["spec"]["containers"][0] for pod in pods)
        return True if probed else None

    with runner.start(argv, log=tmp_path / "killed.log") as process:
        rollout.api.wait(half_done, what="helm to be in the middle of it", deadline=30)
        process.stop(signal.SIGKILL)


def test_a_release_that_a_killed_helm_left_pending_is_explained_and_recovered(
    made: KindCluster,
    api: Api,
    rollout: Rollout,
    namespace: str,
    runner: Runner,
    toolchain: Toolchain,
    tmp_path: Path,
) -> None:
    good = Target(charts.chart(tmp_path / "1", deployment()))
    never = charts.chart(tmp_path / "2", deployment(spec=pod_spec(container(readinessProbe=NEVER))))
    rollout.install(good)
    before = take(api, [namespace])
    kill_helm(rollout, made, runner, toolchain.path("helm"), tmp_path, "upgrade", "app", never)
    assert rollout.status() == "pending-upgrade"

    with pytest.raises(RolloutFailed) as stuck:
        rollout.upgrade(good)
    assert stuck.value.cause.kind == "pending"
    assert str(stuck.value).startswith("Release app: revision 2 is pending-upgrade since ")
    assert f"helm rollback app 1 --wait --namespace={namespace}" in stuck.value.cause.run

    recovered = rollout.recover()
    assert recovered is not None
    assert (recovered.number, recovered.status) == (3, "deployed")
    assert differences(before, take(api, [namespace])) == ()
    assert rollout.recover() is None
    assert rollout.upgrade(good).status == "deployed"


def test_a_release_that_never_was_is_explained(
    made: KindCluster, rollout: Rollout, runner: Runner, toolchain: Toolchain, tmp_path: Path
) -> None:
    never = charts.chart(tmp_path / "1", deployment(spec=pod_spec(container(readinessProbe=NEVER))))
    helm = toolchain.path("helm")
    kill_helm(rollout, made, runner, helm, tmp_path, "install", "app", never)
    with pytest.raises(RolloutFailed, match="revision 1 is pending-install since ") as stuck:
        rollout.recover()
    words = stuck.value.cause.run.split()
    assert words[:3] == ["helm", "uninstall", "app"]
    runner.run((helm, *words[1:]))
    assert rollout.install(Target(charts.chart(tmp_path / "2", deployment()))).number == 1


def test_an_uninstall_leaves_nothing(api: Api, rollout: Rollout, namespace: str, tmp_path: Path) -> None:
    before = take(api, [namespace])
    rollout.install(Target(charts.chart(tmp_path, deployment(), charts.service(), charts.config_map("c", a="b"))))
    assert len(differences(before, take(api, [namespace]))) == 3
    rollout.uninstall()

    def gone() -> bool | None:
        return None if differences(before, take(api, [namespace])) or api.list("Pod", namespace) else True

    api.wait(gone, what="every object of the release to be gone", deadline=30)
    assert rollout.history() == ()
