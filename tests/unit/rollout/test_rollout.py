"""Watched helm operations against a helm that is a script and a cluster that is a recording: no engine is needed."""

from __future__ import annotations

import base64
import contextlib
import json
import math
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.cluster.transport import Login
from scripts.cluster.watch import Change
from scripts.core.command import Runner
from scripts.core.errors import ClusterError
from scripts.rollout.cause import Cause
from scripts.rollout.diagnose import Suspicion
from scripts.rollout.rollout import Rollout, RolloutFailed, Target
from scripts.rollout.view import View

RECORDED = Path(__file__).parent / "recorded"
DEPLOYED = {
    "revision": 1,
    "status": "deployed",
    "chart": "app-1.2.3",
    "description": "Install complete",
    "updated": "t",
}
FAILED = {**DEPLOYED, "revision": 2, "status": "failed", "description": "Upgrade failed"}
BACK = {**DEPLOYED, "revision": 3, "description": "Rollback to 1"}
PASSWORD = "correct-horse"
WAITS = 'trap "echo told >> $LOG; exit 1" TERM; while :; do sleep 0.1; done'


class Recording:
    """A watch that has seen a recorded failure, `lag` looks after it was opened."""

    def __init__(
        self, name: str | None, container: Mapping[str, Any], release_namespace: str = "", *, lag: int = 1
    ) -> None:
        self._name, self._lag = name, lag
        self._release_namespace = release_namespace
        self._container = container
        self._calls = 0

    def changes(self) -> tuple[Change, ...]:
        self._calls += 1
        if self._name is None or self._calls <= self._lag:  # the first look is at what was there before
            return ()
        document = self.document()
        return tuple(Change(0.0, "ADDED", item) for item in (*document["objects"], *document["events"]))

    def document(self) -> dict[str, Any]:
        """What there is by now."""
        text = (RECORDED / f"{self._name}.json").read_text(encoding="utf-8")
        if self._release_namespace:
            key = '"meta.helm.sh/release-namespace": '
            text = text.replace(f'{key}"broken-{self._name}"', f'{key}"{self._release_namespace}"')
        document = json.loads(text)
        for item in document["objects"]:
            for status in item["status"].get("containerStatuses", ()):
                status.update(self._container)
        for item in (*document["objects"], *document["events"]):
            item["metadata"]["resourceVersion"] = "7"
        return cast("dict[str, Any]", document)


class Cluster:
    """As much of an Api as a rollout asks for; `container` goes into the recorded status of containers."""

    def __init__(self, recorded: str | None = None, **container: Any) -> None:
        self.recorded = recorded
        self._container = container
        self.log = "the last line\n"
        self.lag = 1
        self.services: tuple[dict[str, Any], ...] = ()
        self.status: dict[str, Any] | None = {}

    def kinds(self) -> tuple[Any, ...]:
        return ()

    @contextlib.contextmanager
    def watch(self, kinds: Sequence[str], namespace: str | None = None) -> Iterator[Recording]:
        yield Recording(self.recorded, self._container, lag=self.lag)

    def list(self, kind: str, namespace: str | None = None, *, fields: str | None = None) -> tuple[dict[str, Any], ...]:
        if kind == "Service":
            return self.services
        if (kind, fields) != ("Secret", "type!=helm.sh/release.v1"):
            there = Recording(self.recorded, self._container).document()["objects"] if self.recorded else ()
            return tuple(item for item in there if item["kind"] == kind)
        return ({"data": {"password": base64.b64encode(PASSWORD.encode()).decode()}},)

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        return next((item for item in self.list(kind, namespace) if item["metadata"]["name"] == name), None)

    def current(self, document: dict[str, Any], namespace: str) -> dict[str, Any] | None:
        return None if self.status is None else {**document, "status": self.status}

    def logs(self, pod: str, namespace: str, **options: Any) -> str | None:
        return None if options.get("previous") else self.log


class Helm:
    """A script in helm's place: what it was asked, and what it does."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "helm"
        self._folder = folder
        self._asked = folder / "asked"
        self.history(DEPLOYED)
        self.does("exit 0")

    def history(self, *revisions: dict[str, Any]) -> None:
        (self._folder / "history.json").write_text(json.dumps(revisions), encoding="utf-8")

    def does(self, script: str) -> None:
        asked, history = shlex.quote(str(self._asked)), shlex.quote(str(self._folder / "history.json"))
        manifest = shlex.quote(str(self._folder / "manifest.yaml"))
        kept = [f'[ "$1" = history ] && exec cat {history}', f'[ "$1" = get ] && exec cat {manifest}']
        lines = ["#!/bin/sh", f"LOG={asked}", *kept, 'echo "$@" >> $LOG', script]
        self.path.write_text("\n".join(lines), encoding="utf-8")
        self.path.chmod(0o755)

    def asked(self) -> list[str]:
        return self._asked.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helm:
    monkeypatch.setattr("scripts.rollout.rollout._LOOK", 0.05)  # what is looked at is there at once
    return Helm(tmp_path)


def rollout(helm: Helm, cluster: Cluster, tmp_path: Path, *, deadline: float = 300, **login: Any) -> Rollout:
    """The release "app"; its namespace is the one of the recording."""
    namespace = f"broken-{cluster.recorded}" if cluster.recorded else "here"
    return Rollout(
        helm.path,
        Runner(),
        cluster,  # type: ignore[arg-type]
        namespace=namespace,
        release="app",
        evidence=tmp_path / "evidence",
        say=lambda line: None,
        login=Login(**login),
        deadline=deadline,
    )


def test_helm_is_asked_for_exactly_this(helm: Helm, tmp_path: Path) -> None:
    app = rollout(helm, Cluster(), tmp_path, deadline=100, kubeconfig=Path("/k"), context="c")
    target = Target("oci://host/app@sha256:1", (Path("/v.yaml"),), ("--set", "a.b=1"), plain_http=True)
    app.install(target)
    app.upgrade(Target(Path("/app.tgz")), rollback_on_failure=True)
    app.rollback(1)
    app.test()
    app.uninstall()
    login = "--namespace=here --kubeconfig=/k --kube-context=c"
    assert helm.asked() == [
        "install app oci://host/app@sha256:1 --values /v.yaml --set a.b=1 --plain-http --wait=watcher"
        f" --timeout=130s {login}",
        f"upgrade app /app.tgz --wait=watcher --rollback-on-failure --timeout=130s {login}",
        f"rollback app 1 --wait=watcher --timeout=100s {login}",
        f"test app --timeout=100s {login}",
        f"uninstall app --wait=watcher --cascade=foreground --timeout=130s {login}",
    ]


def test_a_success_tells_revision_version_and_notes(helm: Helm, tmp_path: Path) -> None:
    helm.does('echo "STATUS: deployed\nNOTES:\nThank you.\n"')
    revision = rollout(helm, Cluster(), tmp_path).install(Target("/app.tgz"))
    assert (revision.number, revision.status, revision.chart, revision.notes) == (
        1,
        "deployed",
        "app-1.2.3",
        "Thank you.",
    )


def test_what_cannot_end_well_ends_the_wait_and_leaves_evidence(helm: Helm, tmp_path: Path) -> None:
    helm.does(WAITS)
    helm.history(DEPLOYED, FAILED)
    begin = time.monotonic()
    with pytest.raises(RolloutFailed) as failed:
        rollout(helm, Cluster("image-pull"), tmp_path, kubeconfig=Path("/k")).upgrade(Target("/app.tgz"))
    assert time.monotonic() - begin < 15
    assert helm.asked()[-1] == "told", "helm was not told to end"
    first, *_, last = str(failed.value).splitlines()
    assert first.startswith('Deployment web: container main cannot pull image "registry.invalid/gati/none:9": ')
    assert last.strip().startswith("next:     kubectl --kubeconfig=/k --namespace=broken-image-pull describe pod web-")
    assert "rolled back" not in str(failed.value)
    evidence = failed.value.evidence
    assert (evidence / "cause.txt").read_text(encoding="utf-8") == f"{first}\n"
    assert "Failed to pull image" in (evidence / "events.txt").read_text(encoding="utf-8")
    assert [path.read_text() for path in (evidence / "logs").glob("web-*.main.log")] == ["the last line\n"]
    assert any(path.name.startswith("Pod-web-") for path in (evidence / "describe").iterdir())


def test_the_last_line_of_the_log_is_told_and_secrets_are_not(helm: Helm, tmp_path: Path) -> None:
    helm.does(f"echo 'dial user:{PASSWORD}@db'; {WAITS}")
    cluster = Cluster("init-container")
    cluster.log = f"starting\nno login as {PASSWORD}\n"
    with pytest.raises(RolloutFailed, match=r"init container prepare .*: no login as \*\*\*\n") as failed:
        rollout(helm, cluster, tmp_path).install(Target("/app.tgz"))
    texts = [path.read_text(encoding="utf-8") for path in failed.value.evidence.rglob("*") if path.is_file()]
    assert texts
    assert not any(PASSWORD in text for text in texts)


def test_a_helm_that_fails_and_rolls_back_by_itself_is_left_alone(helm: Helm, tmp_path: Path) -> None:
    """Told to end now, it would begin a second rollback and be gone in the middle of it."""
    told = 'trap "echo told >> $LOG" TERM'
    helm.does(
        f"{told}; echo 'level=WARN msg=\"upgrade failed\"'; sleep 2; echo 'Error: pre-upgrade hooks failed'; exit 1"
    )
    helm.history({**DEPLOYED, "status": "superseded"}, FAILED, BACK)
    with pytest.raises(RolloutFailed, match="Job migrate: pre-upgrade hook failed") as failed:
        rollout(helm, Cluster("hook"), tmp_path).upgrade(Target("/app.tgz"), rollback_on_failure=True)
    assert "told" not in helm.asked()
    assert "rolled back: revision 3 serves (Rollback to 1)" in str(failed.value)


@pytest.mark.parametrize("gone", [True, False])
def test_nobody_is_sent_to_the_log_of_a_pod_that_is_gone(
    helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    helm.does("echo 'Error: pre-upgrade hooks failed'; exit 1")
    monkeypatch.setattr(Cluster, "get", lambda *_: None if gone else {"metadata": {}})
    with pytest.raises(RolloutFailed, match="Job migrate: pre-upgrade hook failed") as failed:
        rollout(helm, Cluster("hook"), tmp_path).upgrade(Target("/app.tgz"))
    kept = f"read {failed.value.evidence}"
    assert (failed.value.cause.run == kept) == gone
    assert (failed.value.evidence / "logs").is_dir()


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"selector": {"app": "nobody"}}, "; Service web selects no pod: {'app': 'nobody'}"),
        ({"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 81}]}, "; Service web leads to port 81, "),
        ({"ports": [{"port": 80}]}, ""),
    ],
)
@pytest.mark.parametrize("owner", ["app", "other"])
def test_a_hook_that_failed_may_have_asked_a_service_that_leads_nowhere(
    helm: Helm, tmp_path: Path, spec: dict[str, Any], told: str, owner: str
) -> None:
    helm.does("echo 'Error: pre-upgrade hooks failed'; exit 1")
    cluster = Cluster("hook")
    notes = {"meta.helm.sh/release-name": owner}
    cluster.services = ({"metadata": {"name": "web", "annotations": notes}, "spec": spec},)
    with pytest.raises(RolloutFailed, match="Job migrate: pre-upgrade hook failed") as failed:
        rollout(helm, cluster, tmp_path).upgrade(Target("/app.tgz"))
    cause = str(failed.value.cause)
    assert told in cause if owner == "app" else "Service web" not in cause


def test_a_rollback_that_helm_did_not_end_is_done_by_another(helm: Helm, tmp_path: Path) -> None:
    helm.does(f'[ "$1" = rollback ] && exit 0; {WAITS}')
    helm.history(DEPLOYED, {**FAILED, "status": "pending-rollback"})
    with pytest.raises(RolloutFailed) as failed:
        rollout(helm, Cluster("image-pull"), tmp_path).upgrade(Target("/app.tgz"), rollback_on_failure=True)
    assert helm.asked()[-1].startswith("rollback app 1 ")
    assert "rolled back by a second helm" in str(failed.value)


@pytest.mark.parametrize("lag", [1, 20])
def test_a_crash_that_helm_took_for_a_success_is_a_failure(helm: Helm, tmp_path: Path, lag: int) -> None:
    """Also where the watch tells of it a while after helm has ended."""
    cluster = Cluster("crash-loop", restartCount=4)
    cluster.lag = lag
    with pytest.raises(RolloutFailed, match="container main has crashed 5 times") as failed:
        rollout(helm, cluster, tmp_path).install(Target("/app.tgz"))
    assert "revision 1 is deployed: helm took it for ready" in str(failed.value)


def test_two_at_once_have_folders_of_their_own(helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))  # the other one makes its folder after we have looked
    places = [rollout(helm, Cluster(), tmp_path)._place("install").name for _ in range(3)]
    assert places == ["01-install", "02-install", "03-install"]


def test_what_was_wrong_before_explains_what_nothing_new_does(
    helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a workload that the upgrade leaves as it is, and that was not ready before."""
    later = Recording.changes

    def at_once(recording: Recording) -> tuple[Change, ...]:
        recording._calls += 1
        return later(recording) if recording._calls == 1 else ()

    monkeypatch.setattr(Recording, "changes", at_once)
    helm.does("echo 'Error: UPGRADE FAILED: resource Deployment/x/web not ready. status: InProgress'; exit 1")
    helm.history(DEPLOYED, FAILED)
    told = r"Deployment web: container main .*: the last line; it was so before this upgrade"
    with pytest.raises(RolloutFailed, match=told):
        rollout(helm, Cluster("crash-loop", restartCount=4), tmp_path).upgrade(Target("/app.tgz"))


def test_the_cause_is_told_where_nobody_can_say_what_became_of_the_release(helm: Helm, tmp_path: Path) -> None:
    """As where the API server is away once helm has ended."""
    helm.does(WAITS)
    (tmp_path / "history.json").unlink()
    with pytest.raises(RolloutFailed, match="cannot pull image") as failed:
        rollout(helm, Cluster("image-pull"), tmp_path, kubeconfig=Path("/k k")).upgrade(Target("/app.tgz"))
    assert "what became of the release is not known: " in str(failed.value)
    assert failed.value.cause.run.startswith("kubectl '--kubeconfig=/k k' --namespace=")
    assert (failed.value.evidence / "cause.txt").exists()


@pytest.mark.parametrize("may", [True, False])
def test_certificates_are_looked_at_by_whom_it_is_allowed(may: bool) -> None:
    """Few who roll out may see them, and without them no more is lost than a while of patience."""
    asked: list[Any] = []

    class Known(Cluster):
        def kinds(self) -> tuple[Any, ...]:
            return (SimpleNamespace(name="Certificate", group="cert-manager.io"),)

        def may(self, review: str, spec: dict[str, Any]) -> bool:
            asked.append(spec["resourceAttributes"])
            return may

        @contextlib.contextmanager
        def watch(self, kinds: Sequence[str], namespace: str | None = None) -> Iterator[Recording]:
            asked.append("Certificate.cert-manager.io" in kinds)
            yield Recording(None, {})

    with View(Known(), ["here"], "app"):  # type: ignore[arg-type]
        rule = {"group": "cert-manager.io", "resource": "certificates", "verb": "watch", "namespace": "here"}
        assert asked == [rule, may]


def test_a_log_that_cannot_be_had_hides_no_cause(helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unanswered(*_: Any, **__: Any) -> str:
        raise ClusterError("the API server gives no answer")

    monkeypatch.setattr(Cluster, "logs", unanswered)
    helm.does(WAITS)
    with pytest.raises(RolloutFailed, match="init container prepare"):
        rollout(helm, Cluster("init-container"), tmp_path).upgrade(Target("/app.tgz"))


def test_the_deadline_is_kept_and_explained(helm: Helm, tmp_path: Path) -> None:
    helm.does(WAITS)
    helm.history(FAILED)
    begin = time.monotonic()
    with pytest.raises(RolloutFailed) as failed:
        rollout(helm, Cluster(), tmp_path, deadline=1).install(Target("/app.tgz"))
    assert time.monotonic() - begin < 10
    assert str(failed.value).startswith("Release app: was not ready after 1 s, and nothing in the cluster says why")


def test_what_is_not_ready_may_wait_for_another_that_is_not(
    helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Suspicion(Cause("readiness", f"Deployment {name}", "is not ready"), math.inf, name) for name in "ba"]
    monkeypatch.setattr("scripts.rollout.rollout.suspicions", lambda _: (*found, *found))
    helm.does(WAITS)
    with pytest.raises(RolloutFailed, match=r"^Deployment a: is not ready; Deployment b: is not ready\n"):
        rollout(helm, Cluster(), tmp_path, deadline=0.3).install(Target("/app.tgz"))


STILL = "resource Deployment/here/{} still exists. status: {}, message: Resource scheduled for deletion"


@pytest.mark.parametrize(
    ("errors", "fine"),
    [
        ([STILL.format("web", "Terminating")], True),
        ([STILL.format("web", "Terminating"), STILL.format("back", "Terminating")], True),
        ([STILL.format("web", "Current")], False),
        ([STILL.format("web", "Terminating"), "services is forbidden"], False),
    ],
)
def test_an_uninstall_whose_objects_are_on_their_way_out_has_not_failed(
    helm: Helm, tmp_path: Path, errors: list[str], fine: bool
) -> None:
    said = f"Error: uninstallation completed with {len(errors)} error(s): " + "\n".join(errors)
    helm.does(f"echo '{said}' >&2; exit 1")
    helm.history()
    with contextlib.nullcontext() if fine else pytest.raises(RolloutFailed, match="uninstallation completed"):
        rollout(helm, Cluster(), tmp_path, deadline=5).uninstall()


def test_what_keeps_an_object_of_an_uninstall_is_named(helm: Helm, tmp_path: Path) -> None:
    helm.does(WAITS)
    meta = {"name": "it", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/never"]}
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    (tmp_path / "manifest.yaml").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(
        RolloutFailed, match=r"ConfigMap it: it is to go, and waits for who holds it: example.com/never"
    ):
        rollout(helm, Cluster(), tmp_path, deadline=0.3).uninstall()


def test_a_namespace_that_is_slow_to_go_is_named_after_what_it_waits_for(helm: Helm, tmp_path: Path) -> None:
    helm.does(WAITS)
    going = {"name": "it", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    left = {"type": "NamespaceContentRemaining", "status": "True", "message": "pods. has 2 resource instances"}
    cluster = Cluster()
    cluster.status = {"conditions": [left]}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": going}
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**going, "finalizers": ["example.com/never"]}}
    for documents, told in (((space,), "Namespace it: .*pods. has 2"), ((space, held), "ConfigMap it: .*never")):
        text = "\n---\n".join(map(json.dumps, documents))
        (tmp_path / "manifest.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(RolloutFailed, match=told):
            rollout(helm, cluster, tmp_path, deadline=0.3).uninstall()


def test_what_is_said_of_an_object_that_is_not_ready_is_told(
    helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = {"kind": "PersistentVolumeClaim", "name": "data", "namespace": "here", "uid": "c"}
    event = {"kind": "Event", "metadata": {"uid": "e", "resourceVersion": "7"}, "reason": "ProvisioningFailed"}
    said = {"involvedObject": about, "type": "Warning", "message": 'storageclass "fast" not found'}
    change = Change(0.0, "ADDED", {**event, **said})
    monkeypatch.setattr(Recording, "changes", lambda _: (change,))
    helm.does(WAITS)
    helm.history(FAILED)
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {}}
    (tmp_path / "manifest.yaml").write_text(json.dumps(claim), encoding="utf-8")
    cluster = Cluster()
    cluster.status = {"phase": "Pending"}
    told = r'^PersistentVolumeClaim data: no volume is bound to it: Pending; storageclass "fast" not found\n'
    with pytest.raises(RolloutFailed, match=told):
        rollout(helm, cluster, tmp_path, deadline=0.3).install(Target("/app.tgz"))


@pytest.mark.parametrize("may", [True, False])
def test_nodes_are_asked_for_taints_that_a_scheduler_does_not_name(monkeypatch: pytest.MonkeyPatch, may: bool) -> None:
    asked: list[str] = []

    class Tainted(Cluster):
        def list(self, kind: str, *_: Any, **__: Any) -> tuple[dict[str, Any], ...]:
            asked.append(kind)
            if not may:
                raise ClusterError("nodes is forbidden")
            return ({"spec": {"taints": [{"key": "a"}]}}, {"spec": {}})

    def pod(message: str) -> tuple[Change, ...]:
        scheduled = {"type": "PodScheduled", "status": "False", "message": message}
        meta = {"uid": "p", "name": "web-1", "namespace": "here", "resourceVersion": message}
        return (Change(0.0, "MODIFIED", {"kind": "Pod", "metadata": meta, "status": {"conditions": [scheduled]}}),)

    seen = pod("1 Insufficient cpu")
    monkeypatch.setattr(Recording, "changes", lambda _: seen)
    with View(Tainted(), ["here"], "app") as view:  # type: ignore[arg-type]
        assert (view.scene().taints, asked) == ((), [])
        seen += pod("1 node(s) had untolerated taint(s), 1 Insufficient cpu")
        view.refresh()
        found = [view.scene().taints for _ in range(3)]
    assert (found, asked) == ([({"key": "a"},) if may else ()] * 3, ["Node"])


@pytest.mark.parametrize(
    ("kind", "spec", "status", "told"),
    [
        ("Service", {"type": "LoadBalancer"}, {"loadBalancer": {}}, "no load balancer has given it an address"),
        ("Service", {"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}, ""),
        ("PersistentVolumeClaim", {}, {"phase": "Pending"}, "no volume is bound to it: Pending"),
        ("PersistentVolumeClaim", {}, {"phase": "Bound"}, ""),
        (
            "Certificate",
            {},
            {"conditions": [{"type": "Ready", "status": "False", "message": "no issuer"}]},
            "Ready is False: no issuer",
        ),
        ("Certificate", {}, {"conditions": [{"type": "Ready", "status": "True"}]}, ""),
        ("Cluster", {}, {"observedGeneration": 1}, "its controller has not looked at its newest state"),
        ("Cluster", {}, {"observedGeneration": 2}, ""),
        ("Cluster", {}, {}, ""),
    ],
)
def test_what_helm_waits_for_beside_pods_is_named(
    helm: Helm, tmp_path: Path, kind: str, spec: dict[str, Any], status: dict[str, Any], told: str
) -> None:
    helm.does(WAITS)
    helm.history(FAILED)
    meta = {"name": "it", "generation": 2}
    document = {"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": spec}
    (tmp_path / "manifest.yaml").write_text(json.dumps(document), encoding="utf-8")
    cluster = Cluster()
    cluster.status = status
    with pytest.raises(RolloutFailed) as failed:
        rollout(helm, cluster, tmp_path, deadline=0.3).install(Target("/app.tgz"))
    first = str(failed.value).splitlines()[0]
    assert first == f"{kind} it: {told}" if told else first.startswith("Release app: was not ready after 0 s")


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"apiVersion": "v1", "kind": "Service"}, "Service it: it is not there"),
        ({"apiVersion": "batch/v1", "kind": "Job", "spec": {"ttlSecondsAfterFinished": 1}}, "Release app: was not"),
    ],
    ids=["for good", "once it has ended"],
)
def test_what_is_gone_meanwhile_is_named(helm: Helm, tmp_path: Path, document: dict[str, Any], told: str) -> None:
    """As what a controller, or the garbage collector for an owner that is none, deletes while helm waits for it."""
    helm.does(WAITS)
    helm.history(FAILED)
    text = json.dumps({**document, "metadata": {"name": "it"}})
    (tmp_path / "manifest.yaml").write_text(text, encoding="utf-8")
    cluster = Cluster()
    cluster.status = None
    with pytest.raises(RolloutFailed, match=told):
        rollout(helm, cluster, tmp_path, deadline=0.3).install(Target("/app.tgz"))


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            "Error: UPGRADE FAILED: template: app/templates/x.yaml:1:2: oops",
            "Release app: template: app/templates/x.yaml",
        ),
        (
            "Error: UPGRADE FAILED: template: webhook/templates/hook.yaml:1:2: oops",
            "Release app: template: webhook/templates/hook.yaml",
        ),
        (
            'Error: UPGRADE FAILED: no matches for kind "Widget" in version "a.b/v1"',
            "Widget: the cluster knows no kind",
        ),
        ("Error: UPGRADE FAILED: unexpected EOF", "Release app: unexpected EOF"),
    ],
    ids=["template", "called so", "kind", "other"],
)
def test_what_helm_refuses_is_told_in_its_words(
    helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, line: str
) -> None:
    """Even where something else in the cluster looks bad at that moment."""
    monkeypatch.setattr("scripts.rollout.rollout._LOOK", 30)  # helm has ended before the first look, however busy it is
    helm.does(f"echo {shlex.quote(said)}; exit 1")
    with pytest.raises(RolloutFailed) as failed:
        rollout(helm, Cluster("never-ready"), tmp_path).upgrade(Target("/app.tgz"))
    assert str(failed.value).startswith(line)


@pytest.mark.parametrize(
    ("flag", "said", "hint"),
    [
        ("--reuse-values", "- at '/tls': missing properties 'http', 'backends'", True),
        ("--reset-then-reuse-values", "- at '/tls': missing properties 'http', 'backends'", False),
        ("--reuse-values", "- at '/replicas': got string, want integer", False),
    ],
    ids=["hidden", "not hidden", "another"],
)
def test_values_that_hide_new_defaults_are_told_with_the_flag_that_does_not(
    helm: Helm, tmp_path: Path, flag: str, said: str, hint: bool
) -> None:
    schema = "values don't meet the specifications of the schema(s) in the following chart(s):\napp:\n"
    helm.does(f"echo {shlex.quote(f'Error: UPGRADE FAILED: {schema}{said}')}; exit 1")
    with pytest.raises(RolloutFailed) as failed:
        rollout(helm, Cluster(), tmp_path).upgrade(Target("/app.tgz", flags=(flag,)))
    assert failed.value.cause.run.startswith("upgrade with --reset-then-reuse-values") == hint
    assert ("tls" in str(failed.value)) == ("tls" in said)


def test_a_pending_release_is_explained_with_the_way_out(helm: Helm, tmp_path: Path) -> None:
    helm.does("echo 'Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress'; exit 1")
    helm.history(DEPLOYED, {**FAILED, "status": "pending-upgrade"})
    with pytest.raises(RolloutFailed, match="Release app: revision 2 is pending-upgrade since t: ") as failed:
        rollout(helm, Cluster(), tmp_path, context="c").upgrade(Target("/app.tgz"))
    assert failed.value.cause.run == "helm rollback app 1 --wait --namespace=here --kube-context=c"


@pytest.mark.parametrize(
    ("revisions", "said", "told", "way"),
    [
        (
            [DEPLOYED],
            "cannot reuse a name that is still in use",
            "it is there: revision 1 is deployed",
            "upgrade app CHART",
        ),
        (
            [FAILED],
            "cannot re-use a name that is still in use",
            "it is there: revision 2 is failed, and none",
            "uninstall app",
        ),
        (
            [FAILED],
            '"app" has no deployed releases',
            "it is there: revision 2 is failed, and none is deployed",
            "uninstall app",
        ),
        ([], '"app" has no deployed releases', "there is none in namespace here", "install app CHART"),
    ],
)
def test_a_release_that_is_there_or_is_not_is_told_with_the_way_on(
    helm: Helm, tmp_path: Path, revisions: list[dict[str, Any]], said: str, told: str, way: str
) -> None:
    helm.does(f"echo {shlex.quote(f'Error: UPGRADE FAILED: {said}')}; exit 1")
    helm.history(*revisions)
    with pytest.raises(RolloutFailed, match=f"Release app: {told}") as failed:
        rollout(helm, Cluster(), tmp_path, context="c").upgrade(Target("/app.tgz"))
    assert failed.value.cause.run == f"helm {way} --wait --namespace=here --kube-context=c"


def test_recovery_goes_back_to_the_last_revision_that_served(helm: Helm, tmp_path: Path) -> None:
    app = rollout(helm, Cluster(), tmp_path)
    assert app.recover() is None
    helm.history(
        {**DEPLOYED, "revision": 4}, {**FAILED, "revision": 5}, {**FAILED, "revision": 6, "status": "pending-upgrade"}
    )
    app.recover()
    assert helm.asked()[-1].startswith("rollback app 4 ")


def test_a_release_that_never_served_is_not_touched(helm: Helm, tmp_path: Path) -> None:
    helm.history({**DEPLOYED, "status": "pending-install"})
    with pytest.raises(RolloutFailed) as failed:
        rollout(helm, Cluster(), tmp_path).recover()
    assert failed.value.cause.run == "helm uninstall app --wait --namespace=here"


def test_objects_in_another_namespace_are_looked_at_as_well(
    helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The release is in one, and what it runs in another, which only what helm keeps of it says."""

    class Elsewhere(Cluster):
        @contextlib.contextmanager
        def watch(self, kinds: Sequence[str], namespace: str | None = None) -> Iterator[Recording]:
            yield Recording("image-pull" if namespace == "elsewhere" else None, {}, release_namespace="here")

    monkeypatch.setattr("scripts.rollout.rollout._ELSEWHERE", 0.1)
    document = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app", "namespace": "elsewhere"}}
    (tmp_path / "manifest.yaml").write_text(json.dumps(document), encoding="utf-8")
    helm.does(WAITS)
    with pytest.raises(RolloutFailed) as failed:
        rollout(helm, Elsewhere(), tmp_path, deadline=60).install(Target("x"))
    assert failed.value.cause.kind == "image-pull"
    assert failed.value.seconds < 30
