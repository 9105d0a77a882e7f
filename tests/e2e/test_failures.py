"""A failure explains itself: charts broken on purpose, each with its cause in one line long before the deadline.

Six of them run at a time, each in a namespace of its own, and a sound chart first and last: what that takes is the
machine's doing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from scripts.cluster.api import Api
from scripts.rollout.rollout import Rollout, RolloutFailed, Target
from tests.e2e import charts
from tests.e2e.charts import Object, container, deployment, pod_spec

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LIMIT = 25.0  # seconds until its failure must be known, beyond those that a sound chart takes among the broken ones
ABSENT = "registry.invalid/gati/none:9"  # .invalid resolves nowhere, whatever the network
PASSWORD = "correct-horse-battery"  # of a Secret in a chart


@dataclass(frozen=True)
class Broken:
    """A chart that cannot roll out, and the line that has to say why.

    `objects` is a chart; `before` is installed first, and then upgraded to it. `operation` is what has to fail.
    """

    kind: str
    cause: str
    objects: tuple[Object, ...]
    before: tuple[Object, ...] = ()
    operation: str = "install"
    labels: Mapping[str, str] = field(default_factory=dict)
    quota: Object | None = None
    log: str = ""
    """What a log in the evidence has to contain."""


def broken(crasher: str) -> dict[str, Broken]:
    """The charts by name. `crasher` is an image whose program ends when it is given a flag that it does not know."""
    crash = container("main", crasher, "kube-proxy", "--no-such-flag")
    del crash["args"]
    crash["command"] = ["kube-proxy", "--no-such-flag"]
    flag = "unknown flag: --no-such-flag"
    telltale = {**crash, "command": ["kube-proxy", "--v=$(PASSWORD)"]}
    telltale["env"] = [charts.variable("PASSWORD", "secretKeyRef", name="login", key="password")]
    missing_file = {"name": "login", "secret": {"secretName": "nowhere"}}
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    return {
        "image-pull": Broken(
            "image-pull",
            f'Deployment web: container main cannot pull image "{ABSENT}": ',
            (deployment(spec=pod_spec(container(image=ABSENT))),),
        ),
        "crash-loop": Broken(
            "crash-loop",
            f"Deployment web: container main has crashed . times: exit code 1: .*{flag}",
            (deployment(spec=pod_spec(crash)), charts.service()),
            log=flag,
        ),
        "unschedulable": Broken(
            "unschedulable",
            r"Deployment web: no node takes its pod: 0/\d+ nodes are available: .*node affinity/selector",
            (deployment(spec=pod_spec(nodeSelector={"disk": "none-such"})),),
        ),
        "too-big": Broken(
            "unschedulable",
            r"Deployment web: no node takes its pod: 0/\d+ nodes are available: .*Insufficient cpu",
            (deployment(spec=pod_spec(container(resources={"requests": {"cpu": "1000"}}))),),
        ),
        "init-container": Broken(
            "init-container",
            f"Deployment web: init container prepare .*exit code 1: .*{flag}",
            (deployment(spec=pod_spec(initContainers=[{**crash, "name": "prepare"}])),),
            log=flag,
        ),
        "hook": Broken(
            "hook",
            f"Job migrate: pre-upgrade hook failed: container main exit code 1: .*{flag}",
            (deployment(), charts.job("migrate", "pre-upgrade", pod_spec(crash), policy="hook-failed", backoffLimit=0)),
            before=(deployment(),),
            operation="upgrade",
            log=flag,
        ),
        "hook-that-retries": Broken(
            "hook",
            f"Job migrate: pre-install hook failed: container main exit code 1: .*{flag}",
            (deployment(), charts.job("migrate", "pre-install", pod_spec(crash))),
            log=flag,
        ),
        "hook-without-image": Broken(
            "image-pull",
            f'Job migrate: container main cannot pull image "{ABSENT}": ',
            (deployment(), charts.job("migrate", "post-install", pod_spec(container(image=ABSENT)))),
        ),
        "helm-test": Broken(
            "hook",
            f"Pod probe: test hook failed: container main exit code 1: .*{flag}",
            (deployment(), charts.test_pod("probe", pod_spec(crash))),
            operation="test",
            log=flag,
        ),
        "quota": Broken(
            "quota",
            "Deployment web: quota tight is exceeded: requested: pods=1, used: pods=0, limited: pods=0",
            (deployment(),),
            quota=charts.quota(pods="0"),
        ),
        "quota-of-a-stateful-set": Broken(
            "quota",
            "StatefulSet store: quota tight is exceeded: requested: pods=1, used: pods=0, limited: pods=0",
            (charts.stateful_set(),),
            quota=charts.quota(pods="0"),
        ),
        "quota-of-the-release": Broken(
            "quota",
            "Service web: quota tight is exceeded: requested: services=1, used: services=0, limited: services=0",
            (charts.service(),),
            quota=charts.quota(services="0"),
        ),
        "pod-security": Broken(
            "admission",
            r"Deployment web: Pod Security restricted:\S+ refuses it: allowPrivilegeEscalation != false",
            (deployment(),),
            labels={"pod-security.kubernetes.io/enforce": "restricted"},
        ),
        "invalid": Broken(
            "admission",
            "Deployment web: the API server refuses it: spec.template.metadata.labels: Invalid value",
            (deployment(selector={"matchLabels": {"app": "other"}}),),
        ),
        "missing-kind": Broken(
            "missing-kind",
            "Widget one: the cluster knows no kind Widget of example.invalid/v1: its CustomResourceDefinition is not",
            (deployment(), {"apiVersion": "example.invalid/v1", "kind": "Widget", "metadata": {"name": "one"}}),
        ),
        "missing-secret": Broken(
            "mount",
            'Deployment web: its pod cannot mount a volume: .*secret "nowhere" not found',
            (
                deployment(
                    spec=pod_spec(
                        container(volumeMounts=[{"name": "login", "mountPath": "/login"}]), volumes=[missing_file]
                    )
                ),
            ),
        ),
        "missing-key": Broken(
            "config",
            "Deployment web: container main cannot be created: couldn't find key colour in ConfigMap .*/settings",
            (
                charts.config_map("settings", size="9"),
                deployment(
                    spec=pod_spec(
                        container(env=[charts.variable("C", "configMapKeyRef", name="settings", key="colour")])
                    )
                ),
            ),
        ),
        "never-ready": Broken(
            "progress",
            "Deployment web: container main runs and is not ready: Readiness probe failed: .*; no progress for 12 s",
            (deployment(spec=pod_spec(container(readinessProbe=probe)), progressDeadlineSeconds=12),),
        ),
        "secret-in-the-log": Broken(
            "crash-loop",
            r"Deployment web: container main has crashed . times: exit code 1: .*\"\*\*\*\"",
            (charts.secret("login", password=PASSWORD), deployment(spec=pod_spec(telltale))),
            log="invalid argument",
        ),
    }


NAMES = tuple(broken(""))
SOUND = ("sound-first", "sound-last")


@dataclass(frozen=True)
class Outcome:
    """How a broken chart failed, after how many seconds by our clock; a sound one has no `error`."""

    seconds: float
    error: RolloutFailed | None = None


@pytest.fixture(scope="module")
def outcomes(
    api: Api, rollouts: Callable[[str], Rollout], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Outcome]]]:
    """What becomes of each broken chart; all are on their way."""
    folder = tmp_path_factory.mktemp("charts")
    cases = broken(charts.in_node_images(api.list("Node"), "kube-proxy"))

    def run(name: str, case: Broken) -> Outcome:
        with charts.new_namespace(api, f"broken-{name}", labels=case.labels) as namespace:
            if case.quota:
                api.create(case.quota, namespace)
                time.sleep(1)  # the quota's status is its controller's; no condition tells that it is enforced
            rollout = rollouts(namespace)
            if case.before:
                rollout.install(Target(charts.chart(folder / f"{name}-before", *case.before)))
            target = Target(charts.chart(folder / name, *case.objects))
            if case.operation == "test":
                rollout.install(target)
            begin = time.monotonic()
            with pytest.raises(RolloutFailed) as raised:
                if case.operation == "test":
                    rollout.test()
                elif case.operation == "upgrade":
                    rollout.upgrade(target)
                else:
                    rollout.install(target)
            return Outcome(time.monotonic() - begin, raised.value)

    def control(name: str) -> Outcome:
        with charts.new_namespace(api, f"broken-{name}") as namespace:
            begin = time.monotonic()
            rollouts(namespace).install(Target(charts.chart(folder / name, deployment())))
            return Outcome(time.monotonic() - begin)

    first, last = SOUND
    with ThreadPoolExecutor(6) as pool:
        yield {
            first: pool.submit(control, first),
            **{name: pool.submit(run, name, case) for name, case in cases.items()},
            last: pool.submit(control, last),
        }


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_chart_says_why(outcomes: Mapping[str, Future[Outcome]], name: str) -> None:
    case = broken("")[name]
    outcome = outcomes[name].result()
    assert outcome.error is not None
    first, *rest = str(outcome.error).splitlines()
    sound = max(outcomes[name].result().seconds for name in SOUND)
    print(f"{outcome.seconds:.1f} s, a sound chart {sound:.1f} s: {outcome.error}")
    assert re.match(case.cause, first), first
    assert outcome.error.cause.kind == case.kind
    assert outcome.seconds < LIMIT + sound
    assert any(line.strip().startswith("next:") for line in rest)

    evidence = outcome.error.evidence
    assert (evidence / "cause.txt").read_text(encoding="utf-8").strip() == first
    texts = {path: path.read_text(encoding="utf-8") for path in evidence.rglob("*") if path.is_file()}
    assert not any(PASSWORD in text for text in texts.values())
    if case.kind not in ("missing-kind", "quota", "admission"):
        assert texts[evidence / "events.txt"].count("\n") >= 1
        assert any(path.parent.name == "describe" for path in texts)
    if case.log:
        assert any(
            case.log in text for path, text in texts.items() if path.suffix == ".log" and path.parent != evidence
        )
