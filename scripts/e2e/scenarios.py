"""The smoke test's scenarios: what is done with the packaged chart on a cluster, and what must then be true."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from scripts.cluster.objects import Object, is_ready
from scripts.cluster.snapshot import Snapshot, differences, take
from scripts.core.errors import ClusterError
from scripts.core.files import write_atomic
from scripts.e2e.lab import INGRESS, MANAGER, VALUES, Lab
from scripts.e2e.ledger import UNEXPLAINED
from scripts.e2e.report import Journal
from scripts.e2e.timeline import fewest_ready
from scripts.rollout.rollout import Revision, Rollout, RolloutFailed, Target

CHANGED = {"FEATURE_PLAYGROUND": True}  # an ingress with it answers /playground/delay itself
_OUTSIDE_PATH = "playground/delay?seconds=0"
# What Kubernetes itself puts into every namespace.
_NATIVE = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
_FAILING = 90.0  # seconds that an upgrade to a bad image is given


def dry_run(lab: Lab, journal: Journal) -> None:
    """The API server accepts every manifest of every values file, with all its admission checks."""
    namespace = lab.namespace("dry-run")
    for values in VALUES:
        with journal.step(f"{values} values are accepted"):
            text = lab.template(lab.target(lab.candidate, namespace, values=values), namespace)
            warnings = lab.apply_dry(text, namespace)
            _demand("violate PodSecurity" not in warnings, "pods break Pod Security `restricted`", found=warnings)
            journal.detail(f"{text.count('# Source:')} objects")
    with journal.step("the chart's own namespace is accepted"):
        target = lab.target(lab.candidate, lab.name("dry-run-objects"))
        lab.apply_dry(_only(lab.template(target, namespace), "Namespace"), namespace)
    lab.forget(namespace)


def install(lab: Lab, journal: Journal) -> None:
    """Each values file installs, is whole, passes its own tests, and installs again without a change."""
    for values in VALUES:
        namespace = lab.namespace(f"install-{values}")
        # The default values let the chart make the namespace of its objects; the others are given one.
        objects = lab.name("install-objects") if values == "default" else namespace
        rollout = lab.rollout(journal, namespace, objects)
        target = lab.target(lab.candidate, objects, values=values)
        with journal.step(f"install with {values} values"):
            revision = rollout.install(target)
            _told(lab, journal, revision, values, objects)
        with journal.step(f"{values}: every object is there and owned, every pod ready"):
            count = _owned(lab, namespace)
            ready = lab.await_ready(objects)
            journal.detail(f"{count} objects; " + ", ".join(f"{number} {name}" for name, number in ready.items()))
        if values == "prod":
            with journal.step("prod: every component is spread over the zones"):
                _spread(lab, journal, objects)
        with journal.step(f"{values}: helm test"):
            rollout.test(deadline=120)
        with journal.step(f"{values}: the same again changes nothing"):
            _again(lab, rollout, target, objects)
        lab.forget(*{namespace, objects})


def upgrade(lab: Lab, journal: Journal) -> None:
    """From each published version to the candidate, and on to another image and configuration, without a loss."""
    for source in lab.sources:
        namespace = lab.namespace(f"from-{source.version}")
        rollout = lab.rollout(journal, namespace)
        with journal.step(f"install {source.version}"):
            rollout.install(lab.target(source, namespace))
        name = f"{source.version} to {lab.candidate.version}"
        with lab.load(journal, namespace, name) as recording:
            with journal.step(f"upgrade {name}, image 1 to 2"):
                revision = rollout.upgrade(lab.target(lab.candidate, namespace, image="2"))
                _demand_version(revision, lab.candidate.version)
                lab.await_settled(namespace)
            if source == lab.sources[0]:
                with journal.step(f"upgrade {lab.candidate.version} to itself, image 2 to 1, other configuration"):
                    _demand(not _playground(lab, namespace), "the configuration is changed before it was")
                    rollout.upgrade(lab.target(lab.candidate, namespace, config=CHANGED))
                    lab.await_settled(namespace)
                    _demand(_playground(lab, namespace), "the pods do not know the changed configuration")
        seen = set(recording.ledger.versions)
        _demand(seen == {"1", "2"}, "the load did not see the change", "answers of versions 1 and 2", str(seen))
        lab.forget(namespace)


def rollback(lab: Lab, journal: Journal) -> None:
    """Back to the version before: what is declared is as it was, field by field, and nothing was lost."""
    source = lab.sources[0]
    namespace = lab.namespace("rollback")
    rollout = lab.rollout(journal, namespace)
    with journal.step(f"install {source.version}"):
        first = rollout.install(lab.target(source, namespace))
    with lab.load(journal, namespace, "rollback"):
        before = take(lab.api, [namespace])
        with journal.step(f"upgrade to {lab.candidate.version}, image and configuration too"):
            rollout.upgrade(lab.target(lab.candidate, namespace, image="2", config=CHANGED))
            _demand(bool(differences(before, take(lab.api, [namespace]))), "the upgrade changed nothing")
        with journal.step(f"roll back to {source.version}"):
            revision = rollout.rollback(first.number)
            _demand_version(revision, source.version)
            lab.await_settled(namespace)
        with journal.step("every object is as it was before the upgrade"):
            journal.detail(_demand_same(before, take(lab.api, [namespace])))
            images = {container["image"] for pod in lab.pods(namespace) for container in pod["spec"]["containers"]}
            _demand(
                all(image.endswith(":1") for image in images), "a pod of the new revision is left", found=str(images)
            )
    lab.forget(namespace)


def disruption(lab: Lab, journal: Journal) -> None:
    """A node goes, pods die, route-manager restarts: the budget is kept and nothing is lost."""
    namespace = lab.namespace("disruption")
    rollout = lab.rollout(journal, namespace)
    with journal.step("install with prod values"):
        rollout.install(lab.target(lab.candidate, namespace, values="prod"))
        lab.await_ready(namespace)
    with lab.load(journal, namespace, "disruption") as recording:
        with journal.step("a node is drained, the budget respected"):
            _drain(lab, journal, namespace)
        with journal.step("an ingress pod is deleted"):
            _delete_pod(lab, namespace, "ingress")
        with journal.step("a route-manager pod dies at once"):
            _delete_pod(lab, namespace, "route-manager", grace=0)
        with journal.step("route-manager restarts, every pod of it"):
            _restart(lab, namespace, MANAGER)
            lab.await_ready(namespace)
            lab.await_settled(namespace)
    budget = _object(lab, "PodDisruptionBudget", INGRESS, namespace)["spec"]["minAvailable"]
    fewest = fewest_ready(recording.ledger.events, recording.ledger.service, since=recording.ledger.begin)
    _demand(fewest >= budget, "too few ingress pods were ready at a time", f"at least {budget}", str(fewest))
    lab.forget(namespace)


def failed_upgrade(lab: Lab, journal: Journal) -> None:
    """A bad image is rolled back by itself, a killed helm's upgrade is recovered, and no client notices."""
    namespace = lab.namespace("failed-upgrade")
    rollout = lab.rollout(journal, namespace)
    with journal.step("install"):
        rollout.install(lab.target(lab.candidate, namespace))
    with lab.load(journal, namespace, "failed upgrade"):
        before = take(lab.api, [namespace])
        with journal.step("an image that never gets ready is rolled back by itself"):
            target = lab.target(lab.candidate, namespace, image="missing", config=CHANGED)
            try:
                rollout.upgrade(target, deadline=_FAILING, rollback_on_failure=True)
            except RolloutFailed as error:
                journal.detail(error.message)
            else:
                raise ClusterError("an upgrade to an image that does not exist succeeded")
            status = rollout.status()
            _demand(status == "deployed", "the release was not rolled back", "deployed", str(status))
            _demand_same(before, take(lab.api, [namespace]))
        with journal.step("helm is killed in the middle of an upgrade"):
            _kill_helm(lab, rollout, lab.target(lab.candidate, namespace, image="2"))
        with journal.step("the release that it left pending is recovered"):
            rollout.recover()
            status = rollout.status()
            _demand(status == "deployed", "the release was not recovered", "deployed", str(status))
            _demand_same(before, take(lab.api, [namespace]))
            lab.await_settled(namespace)
        with journal.step("the same upgrade then succeeds"):
            rollout.upgrade(lab.target(lab.candidate, namespace, image="2"))
            lab.await_settled(namespace)
    lab.forget(namespace)


def uninstall(lab: Lab, journal: Journal) -> None:
    """What was installed is gone, but for the namespace that the chart made, which is kept on purpose."""
    namespace, objects = lab.namespace("uninstall"), lab.name("uninstall-objects")
    rollout = lab.rollout(journal, namespace, objects)
    with journal.step("install with staging values"):
        rollout.install(lab.target(lab.candidate, objects, values="staging"))
        declared = {document.identity for document in lab.manifest(namespace)}
    with journal.step("uninstall"):
        rollout.uninstall()
        lab.await_settled(objects)
        journal.detail(f"{len(declared)} objects")
    with journal.step("nothing is left but what is kept on purpose"):
        left: list[str] = []

        def clean() -> bool | None:
            items = [item for space in (namespace, objects) for item in lab.api.objects(space) if not _native(item)]
            left[:] = [f"{item['kind']}/{item['metadata']['name']}" for item in items]
            return None if left else True

        # What Kubernetes derives from them, such as EndpointSlices, goes a moment later.
        lab.api.wait(clean, what="every object of the release to be gone", deadline=30, state=lambda: ", ".join(left))
        kept = _object(lab, "Namespace", objects)
        policy = kept["metadata"].get("annotations", {}).get("helm.sh/resource-policy")
        _demand(policy == "keep", "the namespace is not marked as kept", "helm.sh/resource-policy: keep", str(policy))
        _demand(not rollout.history(), "helm still knows the release")
    lab.forget(namespace, objects)


def selfcheck(lab: Lab, journal: Journal) -> None:
    """The negative control: an upgrade of a sabotaged chart must lose requests, and the ledger say when and why."""
    if lab.sabotaged is None:
        raise ClusterError("the sabotaged chart was not published")
    namespace = lab.namespace("selfcheck")
    rollout = lab.rollout(journal, namespace)
    with journal.step("install the sabotaged chart"):
        rollout.install(lab.target(lab.sabotaged, namespace))
    load = lab.load(journal, namespace, "selfcheck", must_pass=False)
    with load as recording, journal.step("upgrade it, image 1 to 2"):
        rollout.upgrade(lab.target(lab.sabotaged, namespace, image="2"))
        lab.await_settled(namespace)
    ledger = recording.ledger
    with journal.step("requests were lost, and the ledger says when and why"):
        _demand(ledger.failed > 0, "a chart without readiness, preStop and rolling update lost no request")
        for incident in (incident for incident in ledger.incidents if incident.failed):
            journal.say("\n".join(incident.lines()))
            unexplained = incident.causes.get(UNEXPLAINED, 0)
            _demand(
                2 * unexplained <= incident.failed, "lost requests have no cause", found="\n".join(incident.lines())
            )
        journal.detail(f"{ledger.failed} lost in {len(ledger.incidents)} incidents")
    lab.forget(namespace)


SCENARIOS: Mapping[str, Callable[[Lab, Journal], None]] = {
    "dry-run": dry_run,
    "install": install,
    "upgrade": upgrade,
    "rollback": rollback,
    "disruption": disruption,
    "failed-upgrade": failed_upgrade,
    "uninstall": uninstall,
    "selfcheck": selfcheck,
}


# -- what must be true -----------------------------------------------------------------------------


def _demand(condition: bool, message: str, expected: str | None = None, found: str | None = None) -> None:
    if not condition:
        raise ClusterError(message, expected=expected, found=found)


def _demand_version(revision: Revision, version: str) -> None:
    _demand(
        revision.version == version and revision.status == "deployed",
        "another chart is deployed",
        f"{version}, deployed",
        f"{revision.chart}, {revision.status}",
    )


def _demand_same(before: Snapshot, after: Snapshot) -> str:
    """Raises ClusterError with every field that differs; else says how much was compared."""
    found = differences(before, after)
    _demand(not found, "the objects are not what they were", "no difference", "\n".join(map(str, found)))
    return f"{len(before.objects)} objects are equal"


def _told(lab: Lab, journal: Journal, revision: Revision, values: str, namespace: str) -> None:
    """The notes were printed, and are about this release."""
    first = next(iter(revision.notes.strip().splitlines()), "")
    _demand(namespace in first, "the notes do not say where the release is", namespace, revision.notes or "no notes")
    write_atomic(lab.folder / journal.scenario / f"notes-{values}.txt", revision.notes)
    journal.detail(first)


def _owned(lab: Lab, namespace: str) -> int:
    """Every object of the release is in the cluster and marked as its own; how many there are."""
    documents = list(lab.manifest(namespace))
    wrong = []
    for document in documents:
        group = document.api_version.rpartition("/")[0]
        kind = f"{document.kind}.{group}" if group else document.kind
        live = lab.api.get(kind, document.name, document.namespace or None)
        meta = live["metadata"] if live else {}
        marks = meta.get("annotations", {})
        owner = marks.get("meta.helm.sh/release-name"), marks.get("meta.helm.sh/release-namespace")
        if live is None:
            wrong.append(f"{document.identity} is not there")
        elif owner != ("gati", namespace) or meta.get("labels", {}).get("app.kubernetes.io/managed-by") != "Helm":
            wrong.append(f"{document.identity} belongs to {owner}")
    _demand(bool(documents), "the release has no objects")
    _demand(not wrong, "the release is not whole", "every object, owned by the release", "\n".join(wrong))
    return len(documents)


def _spread(lab: Lab, journal: Journal, namespace: str) -> None:
    zones = lab.zones()
    told = []
    for component in ("ingress", "route-manager"):
        pods = lab.pods(namespace, component)
        where = [lab.zone_of(pod["spec"]["nodeName"]) for pod in pods]
        wanted = min(len(zones), len(pods))
        _demand(
            len(set(where)) == wanted, f"{component} is not spread", f"pods in {wanted} zones", ", ".join(sorted(where))
        )
        told.append(f"{component} in {', '.join(sorted(where))}")
    _demand(not lab.own or len(zones) == 3, "the cluster has not three zones", found=", ".join(sorted(zones)))
    journal.detail("; ".join(told))


def _again(lab: Lab, rollout: Rollout, target: Target, namespace: str) -> None:
    """The same chart with the same values: a new revision, and nothing else."""
    before, pods = take(lab.api, [namespace]), _uids(lab, namespace)
    rollout.upgrade(target)
    _demand_same(before, take(lab.api, [namespace]))
    _demand(pods == _uids(lab, namespace), "installing the same again replaced pods")


def _uids(lab: Lab, namespace: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in lab.pods(namespace)}


def _playground(lab: Lab, namespace: str) -> bool:
    """True when the ingress is configured as CHANGED says."""
    answer = lab.ask(lab.open(namespace)[0] + _OUTSIDE_PATH)
    return answer is not None and "seconds" in answer


def _native(item: Object) -> bool:
    return (item["kind"], item["metadata"]["name"]) in _NATIVE


def _object(lab: Lab, kind: str, name: str, namespace: str | None = None) -> Object:
    found = lab.api.get(kind, name, namespace)
    if found is None:
        raise ClusterError(f"there is no {kind} {name}" + (f" in {namespace}" if namespace else ""))
    return found


def _only(text: str, kind: str) -> str:
    """The rendered documents of one kind."""
    return "\n---\n".join(part for part in text.split("\n---\n") if f"\nkind: {kind}\n" in f"\n{part}\n")


# -- what is done ----------------------------------------------------------------------------------


def _drain(lab: Lab, journal: Journal, namespace: str) -> None:
    """Empty the node of an ingress pod of the release's pods; meanwhile the budget refuses another eviction."""
    first, second, *_ = lab.pods(namespace, "ingress")
    node = first["spec"]["nodeName"]
    try:
        if lab.own:
            lab.api.cordon(node)
        _demand(lab.api.evict(first["metadata"]["name"], namespace), "the budget allows no eviction at all")
        allowed = lab.api.evict(second["metadata"]["name"], namespace)
        _demand(not allowed, "the budget allowed a second eviction while the first pod was not replaced")
        drain = lab.api.drain(node, deadline=120, namespace=namespace, cordon=lab.own)
        ready = lab.await_ready(namespace)
        journal.detail(f"{node}: a second eviction was refused; then {ready}, drained in {drain.seconds:.0f} s")
    finally:
        if lab.own:
            lab.api.cordon(node, False)


def _delete_pod(lab: Lab, namespace: str, component: str, *, grace: int | None = None) -> None:
    """Delete a pod and wait until as many others are ready as there were."""
    pods = lab.pods(namespace, component)
    victim = pods[0]["metadata"]
    lab.api.delete("Pod", victim["name"], namespace, grace=grace)

    def replaced() -> bool | None:
        others = [pod for pod in lab.pods(namespace, component) if pod["metadata"]["uid"] != victim["uid"]]
        return True if sum(map(is_ready, others)) >= len(pods) else None

    lab.api.wait(replaced, what=f"another pod in place of {victim['name']}", deadline=60)


def _restart(lab: Lab, namespace: str, deployment: str) -> None:
    """What `kubectl rollout restart` does."""
    annotations = {"kubectl.kubernetes.io/restartedAt": datetime.now(UTC).isoformat()}
    change = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    lab.api.patch("Deployment", deployment, namespace, change)


def _kill_helm(lab: Lab, rollout: Rollout, target: Target) -> None:
    """Begin an upgrade, and kill helm as soon as a pod of the new revision is there."""
    before = _uids(lab, rollout.namespace)
    argv = [lab.tools.helm, "upgrade", rollout.release, *target.arguments(), "--namespace", rollout.namespace, "--wait"]
    log = lab.folder / "failed-upgrade" / "killed.log"
    with lab.runner.start([*argv, *lab.login.flags("--kube-context")], log=log) as process:
        lab.api.wait(
            lambda: True if _uids(lab, rollout.namespace) - before else None,
            what="a pod of the upgrade",
            deadline=60,
            state=process.log_tail,
        )
        process.stop(signal.SIGKILL)
    status = rollout.status()
    _demand(status == "pending-upgrade", "the killed helm left no pending upgrade", "pending-upgrade", str(status))
