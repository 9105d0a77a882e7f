"""What a person orders of a release comes to the right helm command, or is refused before anything is asked."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.core.errors import USAGE, ApiError, ConfigError, ValuesError
from scripts.rollout import operate as module
from scripts.rollout.operate import Order, _goal, _is_there, named, operate, preview
from scripts.rollout.rollout import Revision, Rollout, Target
from scripts.workspace import Workspace


@pytest.mark.parametrize(
    ("chart", "name"),
    [
        ("helm/gati", "gati"),
        ("dist/gati-0.2.0.tgz", "gati"),
        ("dist/my-chart-1.0.0-rc.1+b.tgz", "my-chart"),
        ("dist/gati-v0.2.0.tgz", "gati"),
        ("oci://127.0.0.1:5000/charts/gati:0.2.0", "gati"),
        ("oci://host/path/gati@sha256:abc", "gati"),
    ],
)
def test_a_release_is_named_after_its_chart(work: Workspace, root: Path, chart: str, name: str) -> None:
    given = str(root / chart) if chart.startswith("helm/") else chart
    assert named(work, Order("upgrade", given)) == (given, name, name)
    assert named(work, Order("upgrade", given, release="edge")) == (given, "edge", "edge")
    assert named(work, Order("upgrade", given, release="edge", namespace="prod"))[2] == "prod"


def test_a_dry_run_shows_the_command(work: Workspace, root: Path) -> None:
    values = root / "helm" / "gati" / "values-prod.yaml"
    order = Order("upgrade", "oci://h/gati:1.0.0", context="c", values=(values,), undo=True)
    assert preview(work, order) == (
        f"helm upgrade gati oci://h/gati:1.0.0 --values={values} --rollback-on-failure --namespace=gati "
        "--kube-context=c --wait"
    )
    assert preview(work, Order("rollback", "oci://h/gati:1.0.0", revision=3)).startswith("helm rollback gati 3 ")


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"chart": "nowhere"}, "no chart at nowhere"),
        ({"chart": "nowhere-1.0.0.tgz"}, "no chart at nowhere-1.0.0.tgz"),
        ({"chart": "oci://h/gati:1.0.0", "release": "Edge_1"}, "'Edge_1' cannot name a release"),
        ({"chart": "oci://h/gati:1.0.0", "release": "a" * 54}, "cannot name a release"),
        ({"chart": "oci://h/gati:1.0.0", "release": "a.b"}, "'a.b' cannot name a namespace"),
        ({"chart": "oci://h/gati:1.0.0", "namespace": "-"}, "'-' cannot name a namespace"),
    ],
)
def test_what_helm_would_refuse_is_refused_before_a_cluster_is_asked(
    work: Workspace, order: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        preview(work, Order("install", **order))
    with pytest.raises(ConfigError, match=words):
        operate(work, Order("install", **order))


@pytest.mark.parametrize(
    "order",
    [
        {"verb": "remove"},
        {"verb": "install", "values": (Path("/nowhere.yaml"),)},
        {"verb": "upgrade", "revision": 3},
        {"verb": "rollback", "undo": True},
        {"verb": "rollback", "values": (Path(__file__),)},
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_at_once(order: dict[str, Any]) -> None:
    with pytest.raises((ConfigError, ValuesError)) as refusal:
        Order(**order)
    assert refusal.value.code == USAGE


def history(*statuses: str) -> Rollout:
    revisions = tuple(Revision(number, status, "gati-1.0.0", "") for number, status in enumerate(statuses, 1))
    return cast(Rollout, SimpleNamespace(release="gati", namespace="gati", history=lambda: revisions))


def test_a_rollback_passes_over_revisions_that_never_stood() -> None:
    assert _goal(history("superseded", "failed", "deployed"), 0) == 1
    assert _goal(history("superseded", "deployed", "failed"), 0) == 2
    assert _goal(history("superseded", "failed", "deployed"), 2) == 2
    with pytest.raises(ConfigError, match="release gati in gati has no revision 9"):
        _goal(history("superseded", "deployed"), 9)
    with pytest.raises(ConfigError, match="no revision to go back to"):
        _goal(history("failed", "failed"), 0)
    with pytest.raises(ConfigError, match="no revision to go back to"):
        _goal(history(), 0)


@pytest.mark.parametrize(("status", "there"), [(403, True), (500, None)])
def test_a_namespace_that_is_not_ours_to_see_is_helms_to_judge(status: int, there: bool | None) -> None:
    def get(*_: Any) -> None:
        raise ApiError("refused", status=status, reason="", text="")

    with contextlib.nullcontext() if there else pytest.raises(ApiError):
        assert _is_there(cast("Any", SimpleNamespace(get=get)), "shop") is there


@pytest.mark.parametrize(
    ("order", "done"),
    [
        ({"verb": "install"}, ["namespace edge", "install (None,) undo False"]),
        ({"verb": "upgrade", "undo": True, "force": True}, ["upgrade ('--force-conflicts',) undo True"]),
        ({"verb": "rollback", "revision": 2}, ["rollback 2 ()"]),
        ({"verb": "rollback", "force": True}, ["rollback 1 ('--force-conflicts',)"]),
    ],
    ids=lambda value: value.get("verb") if isinstance(value, dict) else "",
)
def test_an_order_is_carried_out_while_something_runs_beside_it(
    order: dict[str, Any], done: list[str], work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts: list[str] = []

    class Played:
        release = namespace = "edge"

        def __init__(self, *_: Any, **given: Any) -> None:
            assert given["evidence"].parts[-2:] == ("rollout", "edge")

        def install(self, target: Target, *, rollback_on_failure: bool) -> str:
            acts.append(f"install {target.flags or (None,)} undo {rollback_on_failure}")
            return "made"

        def upgrade(self, target: Target, *, rollback_on_failure: bool) -> str:
            acts.append(f"upgrade {target.flags} undo {rollback_on_failure}")
            return "made"

        def rollback(self, revision: int, *, flags: tuple[str, ...]) -> str:
            acts.append(f"rollback {revision} {flags}")
            return "made"

        def history(self) -> tuple[Revision, ...]:
            return history("superseded", "failed").history()

    api = SimpleNamespace(
        get=lambda *_: None, create=lambda document: acts.append(f"namespace {document['metadata']['name']}")
    )
    tools = SimpleNamespace(paths=lambda names: {name: Path(name) for name in names})
    monkeypatch.setattr(module, "connect", lambda *_, **__: contextlib.nullcontext(api))
    monkeypatch.setattr(module, "Rollout", Played)
    beside: list[Any] = []

    def witness(rollout: Any) -> contextlib.AbstractContextManager[None]:
        beside.append(rollout)
        return contextlib.nullcontext()

    own = replace(work, tools=cast("Any", tools))
    made = operate(own, Order(chart="oci://h/edge:1.0.0", **order), witness)
    assert (cast("Any", made), acts, len(beside)) == ("made", done, 1)
