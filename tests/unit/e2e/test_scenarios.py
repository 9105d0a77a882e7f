"""What the scenarios decide for themselves: what is skipped and why, and what a failure of a step means."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from scripts.cluster.snapshot import Snapshot
from scripts.core.errors import ClusterError
from scripts.e2e import promises, scenarios, steps
from scripts.e2e.lab import Published
from scripts.e2e.report import Broken, Journal, Untested
from scripts.e2e.subject import Subject
from scripts.rollout.cause import Cause
from scripts.rollout.rollout import Revision, RolloutFailed, Target
from tests.unit.e2e.world import Given, Object, World, journal, web

OLD = Published("web", "0.9.0", "sha256:9", "")
IMAGES = {"web": {"image": "{images}/web:{version}"}}


class Release:
    """A release whose history is written down; `fails` says which operation does, and with what cause."""

    namespace, release = "shop", "web"

    def __init__(self, fails: Callable[[str, Any], RolloutFailed | None] = lambda *_: None) -> None:
        self.fails = fails
        self.revisions = [Revision(1, "deployed", "web-0.9.0", "")]
        self.acts: list[str] = []

    def _act(self, what: str, target: Any, **_: Any) -> Revision:
        self.acts.append(what)
        if (failure := self.fails(what, target)) is not None:
            raise failure
        self.revisions.append(Revision(len(self.revisions) + 1, "deployed", "web-1.0.0", ""))
        return self.revisions[-1]

    def install(self, target: Any, **more: Any) -> Revision:
        return self._act("install", target, **more)

    def upgrade(self, target: Any, **more: Any) -> Revision:
        return self._act("upgrade", target, **more)

    def rollback(self, number: int, **more: Any) -> Revision:
        return self._act("rollback", number, **more)

    def history(self) -> tuple[Revision, ...]:
        return tuple(self.revisions)

    def status(self) -> str:
        return self.revisions[-1].status


class Stage(Given):
    """A lab on which a release is rolled out, loaded by nobody."""

    def __init__(self, world: World, release: Release, *documents: Object, **more: Any) -> None:
        super().__init__(world, *documents, **more)
        self.release, self.given = release, "replicas: 2"
        self.forgotten: list[str] = []

    def rollout(self, *_: Any, **__: Any) -> Any:
        return self.release

    def namespace(self, purpose: str) -> str:
        return "shop"

    def target(self, namespace: str, chart: Published | None = None, **more: Any) -> Target:
        return Target((chart or self.candidate).reference, flags=(more.get("image", ""), *more.get("changes", ())))

    def values_of(self, namespace: str) -> str:
        return self.given

    def definitions_of(self, chart: Published) -> str:
        return ""

    def await_settled(self, namespace: str) -> None:
        pass

    def forget(self, *names: str) -> None:
        self.forgotten += names

    @contextlib.contextmanager
    def load(self, *_: Any, **__: Any) -> Iterator[None]:
        yield None


@pytest.fixture(autouse=True)
def _after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "after_rollout", lambda *_: None)


def failed(kind: str, told: str = "it is refused") -> RolloutFailed:
    return RolloutFailed(Cause(kind, "Deployment web", told), found="", evidence=Path())


# -- values of before ------------------------------------------------------------------------------


def reused(release: Release, *, careful: bool = False, given: str = "") -> Stage:
    stage = Stage(World(), release, subject=Subject("web", careful=careful), found=web())
    stage.sources = (OLD,)
    told = iter(["replicas: 2", given or "replicas: 2", "replicas: 2"])
    stage.values_of = lambda namespace: next(told)  # type: ignore[method-assign]
    return stage


def refusing(flag: str, told: str, *, begun: bool = False) -> Release:
    release = Release()

    def fails(what: str, target: Any) -> RolloutFailed | None:
        if what != "upgrade" or flag not in target.flags:
            return None
        release.revisions += [Revision(9, "failed", "web-1.0.0", "")] * begun
        return failed("schema", told)

    release.fails = fails
    return release


def test_values_of_before_stay_by_both_flags() -> None:
    told, stage = journal(), reused(Release())
    scenarios.reuse(stage, told)
    assert [step.name.rpartition("with ")[2] for step in told.steps][2:] == [
        "--reset-then-reuse-values",
        "--reuse-values",
    ]
    assert stage.release.acts == ["install", "upgrade", "rollback", "upgrade", "rollback", "upgrade"]


def test_new_defaults_that_are_hidden_may_be_refused_before_anything_begins() -> None:
    told = journal()
    scenarios.reuse(reused(refusing("--reuse-values", "image is required"), careful=True), told)
    assert told.steps[-1].detail.startswith("refused before anything began: Deployment web")


@pytest.mark.parametrize(
    ("release", "careful"),
    [
        (refusing("--reset-then-reuse-values", "image is required"), False),
        (refusing("--reuse-values", "image is required", begun=True), False),
        (refusing("--reuse-values", "nil pointer evaluating"), True),
    ],
    ids=["the flag that hides nothing", "after it began", "a template of a careful chart falls over it"],
)
def test_any_other_refusal_of_values_of_before_fails(release: Release, careful: bool) -> None:
    with pytest.raises(RolloutFailed):
        scenarios.reuse(reused(release, careful=careful), journal())


def test_values_that_a_flag_changes_are_told() -> None:
    with pytest.raises(Broken, match="--reset-then-reuse-values changed the values"):
        scenarios.reuse(reused(Release(), given="replicas: 1"), journal())


def test_without_a_version_before_there_are_no_values_of_it() -> None:
    with pytest.raises(Untested, match="there is none"):
        scenarios.reuse(Stage(World(), Release(), found=web()), journal())


# -- fields that somebody else owns ----------------------------------------------------------------


def test_a_conflict_is_gone_over_by_force_alone() -> None:
    told, flags = journal(), list[tuple[str, ...]]()

    def act(*given: str) -> None:
        flags.append(given)
        if not given:
            raise failed("conflict")

    with told.step("upgrade"):
        scenarios._go_on(act, told)
    assert flags == [(), ("--force-conflicts",)]
    assert told.steps[0].detail == "refused: Deployment web: it is refused; then by force"

    def broken(*_: str) -> None:
        raise failed("quota")

    with pytest.raises(Broken, match="another reason than a conflict"):
        scenarios._go_on(broken, told)


# -- upgrades that fail ----------------------------------------------------------------------------


def test_what_cannot_be_made_to_fail_is_said() -> None:
    with pytest.raises(Untested, match="no value of"):
        scenarios.failed_upgrade(Stage(World(), Release(), found=web()), journal())
    stage = Stage(World(), Release(), found=web(), subject=Subject("web", values=IMAGES))
    rendered = {"kind": "Deployment", "metadata": {"name": "web"}, "apiVersion": "apps/v1"}
    for image, starts in (("here/web:missing", True), ("here/web:1", False)):
        spec = {"template": {"spec": {"containers": [{"image": image}]}}}
        stage.template = lambda *_, spec=spec, **__: json.dumps({**rendered, "spec": spec})  # type: ignore[method-assign]
        assert scenarios._starts(stage, Target(""), "shop") is starts
    with pytest.raises(Untested, match="no pod that runs all the time has an image"):
        scenarios.failed_upgrade(stage, journal())


def waiting(kind: str = "OnDelete") -> Object:
    meta = {"name": "web", "namespace": "shop"}
    return {"kind": "Deployment", "metadata": meta, "spec": {"updateStrategy": {"type": kind}}}


@pytest.mark.parametrize(
    ("fails", "status", "told"),
    [
        (True, "failed", "the release was not rolled back"),
        (False, "deployed", "an upgrade that cannot succeed did"),
    ],
)
def test_an_upgrade_that_fails_ends_where_it_began(fails: bool, status: str, told: str) -> None:
    release = Release(lambda what, _: failed("image-pull") if fails and what == "upgrade" else None)
    pod = {"kind": "Pod", "metadata": {"name": "web-1", "namespace": "shop", "uid": "1"}, "spec": {}}
    changes: Any = {"init": {"initContainers": []}}
    stage = Stage(World(waiting("RollingUpdate"), pod), release, found=web(), subject=Subject("web", changes=changes))
    release.status = lambda: status  # type: ignore[method-assign]
    with pytest.raises(ClusterError, match=told), pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "taken", lambda *_: None)
        scenarios.failed_upgrade(stage, journal())


def test_pods_that_are_replaced_by_hand_do_not_fail_by_themselves() -> None:
    changes: Any = {"init": {"initContainers": []}}
    stage = Stage(World(waiting()), Release(), found=web(), subject=Subject("web", changes=changes))
    with pytest.raises(Untested, match="until another is deleted"):
        scenarios.failed_upgrade(stage, journal())


# -- what is behind, and its tests -----------------------------------------------------------------


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_test_of_the_chart_fails_while_what_it_tests_is_away(phase: str) -> None:
    hook = {"helm.sh/hook": "test"}
    test = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ask", "annotations": hook, "labels": {"a": "b"}}}
    world = World(become=lambda item: {**item, "status": {"phase": phase}})
    stage = Stage(world, Release(), {**test, "spec": {"containers": []}}, found=web())
    if phase == "Failed":
        assert scenarios._tests_fail(stage, journal(), "shop") == "ask"
        assert world.done == ["create Pod ask-away", "delete Pod ask-away"]
    else:
        with pytest.raises(Broken, match="test ask passes while what it tests is away"):
            scenarios._tests_fail(stage, journal(), "shop")


def test_without_pods_of_tests_none_is_expected_to_fail() -> None:
    told = journal()
    assert scenarios._tests_fail(Stage(World(), Release(), found=web()), told, "shop") == ""
    assert told.skipped == ["tests that fail, for the chart has no pods of tests"]


@pytest.mark.parametrize(
    ("scenario", "told"),
    [
        (scenarios.outage, "backs names nothing"),
        (scenarios.changes, "tells none"),
        (scenarios.environments, "default is all there is"),
        (scenarios.helms, "names one alone"),
        (scenarios.selfcheck, "no value of"),
    ],
)
def test_what_a_chart_has_not_is_untested_and_says_what_it_takes(scenario: Callable[..., None], told: str) -> None:
    with pytest.raises(Untested, match=told):
        scenario(Stage(World(), Release(), found=web()), journal())


@pytest.mark.parametrize("scenario", [scenarios.hands, scenarios.disruption])
def test_without_a_workload_nothing_can_be_done_to_it(scenario: Callable[..., None]) -> None:
    with pytest.raises(Untested, match="the chart has no"):
        scenario(Stage(World(), Release()), journal())


# -- definitions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "crds", "applied", "skipped"),
    [
        ("a", "a", "", False, False),
        ("", "", "", False, False),
        ("a", "b", "", False, True),
        ("a", "b", "applied", True, False),
    ],
)
def test_definitions_are_applied_where_the_chart_says_so(
    old: str, new: str, crds: str, applied: bool, skipped: bool
) -> None:
    told, stage = journal(), Stage(World(), Release(), subject=Subject("web", crds=crds), found=web())
    stage.definitions_of = lambda chart: new if chart is stage.candidate else old  # type: ignore[method-assign]
    scenarios._define(stage, told, OLD)
    assert bool(stage.commands) is applied
    assert bool(told.skipped) is skipped
    if applied:
        assert "--field-manager=helm" in stage.commands[0]


def test_objects_of_kinds_that_the_chart_itself_defines_are_not_asked_for_yet() -> None:
    own = {"apiVersion": "own.example/v1", "kind": "Widget", "metadata": {"name": "w"}}
    plain = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    text = "\n---\n".join(f"# Source: a\n{json.dumps(one)}" for one in (own, plain))
    told = journal()
    assert scenarios._known(Stage(World(), Release(), found=web()), told, text) == text
    stage = Stage(World(), Release(), found=web(definitions=("widgets.own.example",)))
    assert json.loads(scenarios._known(stage, told, text).partition("\n")[2]) == plain
    assert told.skipped == ["that the API server takes Widget w before the definitions are installed"]


def test_a_dry_run_tells_what_is_deprecated_and_refuses_pods_that_are_not_restricted() -> None:
    stage = cast("Any", Stage(World(), Release(), found=web()))
    stage.template = lambda *_, **__: "# Source: a\n{}"
    stage.apply_dry = lambda *_: "Warning: v1beta1 is deprecated in v1.30\nWarning: else"
    told = journal()
    scenarios.dry_run(stage, told)
    assert told.steps[0].detail == "1 objects; v1beta1 is deprecated in v1.30; else"
    stage.apply_dry = lambda *_: 'Warning: would violate PodSecurity "restricted:latest"'
    with pytest.raises(Broken, match="pods break Pod Security"):
        scenarios.dry_run(stage, journal())


@pytest.mark.parametrize(
    ("said", "wrong"),
    [("Warning: spec.env[1]: hides previous definition of A", True), ("Warning: v1 is deprecated", False), ("", False)],
)
def test_nothing_is_warned_of_in_a_careful_chart(said: str, wrong: bool) -> None:
    stage = cast("Any", Stage(World(), Release(), found=web(), subject=Subject("web", careful=True)))
    stage.template, stage.apply_dry = (lambda *_, **__: "# Source: a\n{}"), (lambda *_: said)
    if wrong:
        with pytest.raises(Broken, match="the API server warns of what the chart renders"):
            scenarios.dry_run(stage, journal())
    else:
        scenarios.dry_run(stage, journal())


@pytest.mark.parametrize(("status", "goes_on"), [("", True), ("Complete", False), ("Failed", None), (None, False)])
def test_a_job_has_ended_well_or_is_said_to_go_on(status: str | None, goes_on: bool | None) -> None:
    ends = {"conditions": [{"type": status, "status": "True"}] if status else []}
    job = {"kind": "Job", "metadata": {"name": "fill", "namespace": "shop"}, "status": ends}
    lab = Stage(World(*([job] if status is not None else [])), Release(), found=web())
    if goes_on is None:
        with pytest.raises(ClusterError, match="Job/fill has failed"):
            promises.goes_on(lab, "Job/fill", "shop")
    else:
        assert promises.goes_on(lab, "Job/fill", "shop") is goes_on


# -- what is done in which order -------------------------------------------------------------------


def made(item: Object) -> Object:
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}
    return {**item, "status": ready}


def member(name: str = "web-1", image: str = "here/web:1", **spec: Any) -> Object:
    meta = {"name": name, "namespace": "shop", "uid": name, "labels": {"app": "web"}}
    return made({"kind": "Pod", "metadata": meta, "spec": {"containers": [{"name": "m", "image": image}], **spec}})


def front(replicas: int = 2) -> Object:
    meta = {"name": "web", "namespace": "shop"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"replicas": replicas}}


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is declared stays as it is, and what the pods run is not looked at; the calls of both."""
    calls: list[str] = []
    state = Snapshot({"1": {"kind": "Secret", "metadata": {"name": "s"}}})
    monkeypatch.setattr(steps, "taken", lambda *_: state)
    monkeypatch.setattr(steps, "demand_images", lambda lab, namespace, version: calls.append(f"image {version}"))
    return calls


def names(told: Journal) -> list[str]:
    return [step.name for step in told.steps]


def test_each_version_before_is_upgraded_and_an_upgrade_that_changes_nothing_is_said(quiet: list[str]) -> None:
    told, stage = journal(), Stage(World(), Release(), found=web())
    stage.sources = (OLD, replace(OLD, version="0.8.0"))
    scenarios.upgrade(stage, told)
    assert names(told) == [
        "install 0.9.0",
        "upgrade 0.9.0 to 1.0.0, image 1 to 2",
        "install 0.8.0",
        "upgrade 0.8.0 to 1.0.0, image 1 to 2",
    ]
    assert [line.partition(": ")[0] for line in told.skipped] == ["an upgrade that changes anything"] * 2
    assert stage.forgotten == ["shop", "shop"]  # room for the next version


def test_a_configuration_that_is_changed_before_it_was_proves_nothing(
    quiet: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: Any = {"configuration": {"a": 1}}
    subject = Subject("web", changes=changes, configured_key="a", configured_path="a")
    stage = Stage(World(), Release(), found=web(), subject=subject)
    monkeypatch.setattr(steps, "is_configured", lambda *_: True)
    with pytest.raises(Broken, match="the configuration is changed before it was"):
        scenarios.upgrade(stage, journal())


def test_further_values_are_upgraded_one_after_the_other(quiet: list[str]) -> None:
    told, stage = journal(), Stage(World(), Release(), found=web())
    stage.chosen = ("default", "dev", "prod")
    scenarios.environments(stage, told)
    assert names(told) == [
        *("dev: install 1.0.0", "dev: upgrade 1.0.0 to 1.0.0, image 1 to 2"),
        *("prod: install 1.0.0", "prod: upgrade 1.0.0 to 1.0.0, image 1 to 2"),
    ]


def test_a_rollback_goes_to_the_revision_that_was_installed(quiet: list[str]) -> None:
    release = Release()
    release.revisions = []
    acts = release.rollback

    def rolled_back(number: int, **more: Any) -> Revision:
        assert number == 1
        return replace(acts(number, **more), chart="web-0.9.0")

    release.rollback = rolled_back  # type: ignore[method-assign]
    told, stage = journal(), Stage(World(), release, found=web())
    stage.sources = (OLD,)
    scenarios.rollback(stage, told)
    assert names(told)[-1] == "every object is as it was before the upgrade"
    assert told.steps[-1].detail == "1 objects are equal"
    assert (release.acts, quiet) == (["install", "upgrade", "rollback"], ["image 1"])


def test_what_people_do_comes_between_two_revisions(quiet: list[str]) -> None:
    told, stage = journal(), Stage(World(member()), Release(), front(), found=web())
    stage.sources = (OLD,)
    scenarios.hands(stage, told)
    assert [words[0] for words in stage.commands] == ["scale", "set", "annotate", "apply", "apply"]
    assert "--replicas=3" in stage.commands[0]
    assert "--field-manager=gati-e2e-second" in stage.commands[-1]
    assert quiet == ["image 2", "image 1"]
    assert told.steps[-1].detail == "nothing stood in its way"


def test_a_release_changes_hands_both_ways(quiet: list[str]) -> None:
    told, stage = journal(), Stage(World(), Release(), found=web(), subject=Subject("web", careful=True))
    with pytest.raises(Untested):
        scenarios.helms(stage, told)
    stage.other = (Path("helm3"), 3)
    scenarios.helms(stage, told)
    assert [name.partition(" to ")[0] for name in names(told)] == [
        *("helm 4 installs 1.0.0", "helm 3 upgrades", "helm 3 rolls back", "helm 4 upgrades again"),
        *("helm 3 installs 1.0.0", "helm 4 upgrades", "helm 4 rolls back", "helm 3 upgrades again"),
    ]


@pytest.mark.parametrize("careful", [False, True])
def test_what_is_drawn_anew_may_differ_when_a_release_changes_hands(
    monkeypatch: pytest.MonkeyPatch, quiet: list[str], careful: bool
) -> None:
    """A rollback brings the password of before; the upgrade after it draws another one."""
    stage = Stage(World(), Release(), found=web(), subject=Subject("web", careful=careful))
    stage.other, stage.drawn = (Path("helm3"), 3), lambda *_: ["Secret s"]  # type: ignore[method-assign]
    states = [{"1": {"kind": "Secret", "metadata": {"name": "s"}, "data": {"a": text}}} for text in "abac"] * 2
    taken = map(Snapshot, states)
    monkeypatch.setattr(steps, "taken", lambda *_: next(taken))
    if careful:
        with pytest.raises(Broken, match="the objects are not what they were"):
            scenarios.helms(stage, journal())
    else:
        scenarios.helms(stage, journal())


def test_one_pod_alone_is_missed_and_without_a_budget_a_drain_is(
    quiet: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[str] = []
    monkeypatch.setattr(steps, "delete_pod", lambda lab, namespace, workload, **_: gone.append(workload))
    told, back = journal(), "Deployment/store"
    stage = Stage(World(member(), front()), Release(), found=web(), subject=Subject("web", backs=("Deployment/web",)))
    scenarios.disruption(stage, told)
    assert gone == ["Deployment/web"] * 2
    assert [line.partition(":")[0] for line in told.skipped] == [
        "that the loss of a pod goes unnoticed",
        "that a drain goes unnoticed",
    ]
    assert names(told)[-1] == "Deployment/web restarts, every pod of it"
    with pytest.raises(Untested, match="there is no pod of Deployment/web"):
        scenarios.disruption(Stage(World(), Release(), found=web(), subject=Subject("web", backs=(back,))), journal())


def test_what_is_behind_goes_and_comes_again_with_as_many_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(front(3))
    stage = Stage(world, Release(), found=web(), subject=Subject("web", backs=("Deployment/web",)))
    for check in ("run_tests", "demand_unharmed"):
        monkeypatch.setattr(steps, check, lambda *_: None)
    told = journal()
    scenarios.outage(stage, told)
    asked = [line.rpartition("'replicas': ")[2].rstrip("}") for line in world.done if line.startswith("patch")]
    assert asked == ["0", "3"]
    assert told.steps[2].detail == "0 probes"


def test_an_uninstall_leaves_what_is_kept_and_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = {"helm.sh/resource-policy": "keep"}
    kept = {"kind": "Secret", "metadata": {"name": "kept", "annotations": keep, "uid": "k", "namespace": "shop"}}
    stray = {"kind": "ConfigMap", "metadata": {"name": "stray", "uid": "x", "namespace": "shop"}}
    root = {"kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt", "uid": "r", "namespace": "shop"}}
    hook = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "fill", "uid": "j", "namespace": "shop"}}
    hook["metadata"] |= {"annotations": {"helm.sh/hook": "pre-install"}}  # type: ignore[operator]
    of_hook = {"kind": "Pod", "metadata": {"name": "fill-1", "ownerReferences": [{"uid": "j"}], "namespace": "shop"}}
    world, release = World(), Release()
    stage = Stage(world, release, kept, hook, found=web())
    world.objects = lambda namespace: world.items if namespace else ()  # type: ignore[method-assign, assignment, return-value]

    def uninstall(**_: Any) -> None:
        world.items += [kept, root, hook, of_hook]
        release.revisions = []

    release.uninstall = uninstall  # type: ignore[attr-defined]
    told = journal()
    scenarios.uninstall(stage, told)
    assert told.steps[-2].detail == "kept: Job/fill, Secret/kept"
    world.items = []
    release.uninstall = lambda **_: world.items.append(stray)  # type: ignore[attr-defined]
    wait = world.wait
    monkeypatch.setattr(world, "wait", lambda probe, **more: wait(probe, **{**more, "deadline": 0}))
    with pytest.raises(ClusterError, match="every object of the release to be gone") as late:
        scenarios.uninstall(stage, journal())
    assert "ConfigMap/stray" in str(late.value)
