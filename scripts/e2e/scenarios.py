"""The smoke test's scenarios: what is done with the packaged chart on a cluster, and what must then be true."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from scripts.cluster.objects import Object, is_ready
from scripts.cluster.snapshot import Snapshot, differences, take
from scripts.core.errors import ClusterError
from scripts.core.files import write_atomic
from scripts.e2e import promises
from scripts.e2e.lab import LIGHT, VALUES, Lab
from scripts.e2e.ledger import UNEXPLAINED
from scripts.e2e.promises import demand
from scripts.e2e.recording import Recording
from scripts.e2e.report import Journal
from scripts.e2e.subject import answer
from scripts.e2e.timeline import fewest_ready
from scripts.rollout.rollout import Revision, Rollout, RolloutFailed, Target

# What Kubernetes itself puts into every namespace.
_NATIVE = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
_KEEP = "helm.sh/resource-policy"
_FAILING = 90.0  # seconds that an upgrade to a bad image is given
_MARK = "gati-e2e/mark"  # the label and annotation that the change "labels" sets
_APART = 3  # nodes that the change "apart" takes
_ROUTES_DEADLINE = 100.0  # "within a minute or so": a kubelet looks once a minute, and the server every second


def dry_run(lab: Lab, journal: Journal) -> None:
    """The API server accepts every manifest of every values file, with all its admission checks."""
    namespace = lab.namespace("dry-run")
    for values in lab.chosen:
        with journal.step(f"{values} values are accepted"):
            text = lab.template(lab.target(lab.candidate, namespace, values=values), namespace)
            warnings = lab.apply_dry(text, namespace)
            demand("violate PodSecurity" not in warnings, "pods break Pod Security `restricted`", found=warnings)
            journal.detail(f"{text.count('# Source:')} objects")
    with journal.step("the chart's own namespace is accepted"):
        target = lab.target(lab.candidate, lab.name("dry-run-objects"))
        lab.apply_dry(_only(lab.template(target, namespace), "Namespace"), namespace)
    lab.forget(namespace)


def install(lab: Lab, journal: Journal) -> None:
    """Each values file installs, is whole and healthy, passes its own tests, and installs again without a change."""
    for values in lab.chosen:
        _install(lab, journal, values)


def _install(lab: Lab, journal: Journal, values: str) -> None:
    namespace = lab.namespace(f"install-{values}")
    # The default values let the chart make the namespace of its objects; the others are given one.
    first = values == VALUES[0]
    objects = lab.name("install-objects") if first else namespace
    rollout = lab.rollout(journal, namespace, objects)
    changes = ["labels"] if first else []
    if first and len(lab.nodes()) >= _APART:
        changes.append("apart")  # every node has an ingress: the pods of `helm test` must find a place beside them
    elif first:
        journal.skip(f"required anti-affinity, for which {_APART} nodes are needed")
    target = lab.target(lab.candidate, objects, values=values, changes=changes)
    with journal.step(f"{values}: it installs, and the notes say where"):
        revision = rollout.install(target, deadline=lab.deadline)
        _told(lab, journal, revision, values, objects)
    with journal.step(f"{values}: every object is there, in its namespace, owned and labelled"):
        journal.detail(promises.whole(lab, namespace, objects, mark=_MARK if first else ""))
    with journal.step(f"{values}: every pod is ready"):
        ready = lab.await_ready(objects)
        journal.detail(", ".join(f"{number} {name}" for name, number in ready.items()))
    with journal.step(f"{values}: selectors select, and lead to open ports"):
        journal.detail(promises.selected(lab, namespace, objects))
    with journal.step(f"{values}: clients are answered"):
        journal.detail(f"{len(lab.open(objects)[1])} nodes")
    if values == "prod":
        with journal.step("prod: every component is spread over the zones"):
            _spread(lab, journal, objects)
    with journal.step(f"{values}: rights suffice, and are no wider than what is used"):
        journal.detail(promises.rights_fit(lab, objects))
    with journal.step(f"{values}: what monitoring selects exists and answers"):
        for kind in lab.skipped():
            journal.skip(f"{kind}, which the cluster does not know")
        journal.detail(promises.monitored(lab, namespace, objects))
    with journal.step(f"{values}: helm test"):
        rollout.test(deadline=120)
    with journal.step(f"{values}: the same again changes nothing"):
        _again(lab, rollout, target, objects)
    with journal.step(f"{values}: replicas have one owner, which is able to scale"):
        journal.detail(f"{promises.unscaled(lab, namespace)}; {promises.scalers_work(lab, objects)}")
    with journal.step(f"{values}: a disruption budget guards the pods, and lets a node be drained"):
        journal.detail(promises.budgets_work(lab, objects))
    _unharmed(lab, journal, values, objects)
    lab.forget(*{namespace, objects})


def upgrade(lab: Lab, journal: Journal) -> None:
    """From each published version to the candidate, and on to another image and configuration, without a loss."""
    for source in lab.sources:
        namespace = lab.namespace(f"from-{source.version}")
        rollout = lab.rollout(journal, namespace)
        with journal.step(f"install {source.version}"):
            rollout.install(lab.target(source, namespace), deadline=lab.deadline)
        name = f"{source.version} to {lab.candidate.version}"
        with lab.load(journal, namespace, name) as recording:
            with journal.step(f"upgrade {name}, image 1 to 2"):
                revision = rollout.upgrade(lab.target(lab.candidate, namespace, image="2"), deadline=lab.deadline)
                _demand_version(revision, lab.candidate.version)
            _after(lab, journal, rollout, recording, "the upgrade")
            if source == lab.sources[0]:
                target = lab.target(lab.candidate, namespace, changes=["configuration"])
                with journal.step(f"upgrade {lab.candidate.version} to itself, image 2 to 1, other configuration"):
                    demand(not _configured(lab, namespace), "the configuration is changed before it was")
                    rollout.upgrade(target, deadline=lab.deadline)
                    demand(_configured(lab, namespace), "the pods do not know the changed configuration")
                _after(lab, journal, rollout, recording, "the second upgrade")
        _enough_ready(lab, journal, recording, namespace, name)
        with journal.step(f"{name}: the load saw both images"):
            seen = set(recording.ledger.versions)
            demand(seen == {"1", "2"}, "the load did not see the change", "answers of versions 1 and 2", str(seen))
        lab.forget(namespace)


def environments(lab: Lab, journal: Journal) -> None:
    """From the version before to the candidate with the values of each environment, without a loss."""
    for values in lab.chosen:
        if values != VALUES[0]:  # that is what the upgrades are made with
            _environment(lab, journal, values)


def _environment(lab: Lab, journal: Journal, values: str) -> None:
    source = lab.sources[0]
    namespace = lab.namespace(f"environment-{values}")
    rollout = lab.rollout(journal, namespace)
    with journal.step(f"{values}: install {source.version}"):
        rollout.install(lab.target(source, namespace, values=values), deadline=lab.deadline)
        lab.await_ready(namespace)
    with lab.load(journal, namespace, values, enough=300, rate=LIGHT) as recording:
        with journal.step(f"{values}: upgrade {source.version} to {lab.candidate.version}, image 1 to 2"):
            target = lab.target(lab.candidate, namespace, values=values, image="2")
            rollout.upgrade(target, deadline=lab.deadline)
        _after(lab, journal, rollout, recording, f"{values}: the upgrade")
    _enough_ready(lab, journal, recording, namespace, values)
    lab.forget(namespace)


def changes(lab: Lab, journal: Journal) -> None:
    """Configuration, image, routes, scaler and TLS change one at a time, with services that end abruptly."""
    namespace = lab.namespace("changes")
    rollout = lab.rollout(journal, namespace)
    given: list[str] = ["abrupt"]

    def change(what: str, *more: str, image: str = "1") -> None:
        given.extend(more)
        with journal.step(f"upgrade: {what}"):
            rollout.upgrade(lab.target(lab.candidate, namespace, image=image, changes=given), deadline=lab.deadline)

    with journal.step("install, with services that stop as soon as they are told to"):
        rollout.install(lab.target(lab.candidate, namespace, changes=given), deadline=lab.deadline)
    # A connection that is kept ends with such a server, and a request on it too: a new one must never meet it.
    with lab.load(journal, namespace, "one change at a time", kinds=["new"], enough=1500) as recording:
        before = _routes(lab, namespace)
        pods = _uids(lab, namespace)
        change("the routes alone", "routes")
        with journal.step("the routes arrive, and restart nothing"):
            _nudge(lab, namespace)
            lab.api.wait(
                lambda: True if _routes(lab, namespace) - before else None,
                what="the changed routes to be answered",
                deadline=_ROUTES_DEADLINE,
                state=lambda: f"answers lead to {', '.join(_routes(lab, namespace))}",
            )
            demand(pods == _uids(lab, namespace), "a change of the routes replaced pods")
        change("the configuration alone", "configuration")
        with journal.step("the pods know the changed configuration"):
            demand(_configured(lab, namespace), "the pods do not know the changed configuration")
        change("the image alone", image="2")
        with journal.step("the pods run the changed image"):
            _demand_images(lab, namespace, "2")
        with journal.step("the replicas are said by hand, as the guide has it before a scaler takes over"):
            _scale(lab, namespace, 3)
        change("a scaler takes over the replicas", "scaler", image="2")
        with journal.step("the scaler chooses four replicas"):
            _scale(lab, namespace, 4)
        change("labels and image while the scaler owns the replicas", "labels")
        with journal.step("the replicas that the scaler chose survive the upgrade"):
            replicas = _object(lab, "Deployment", lab.subject.front, namespace)["spec"]["replicas"]
            demand(replicas == 4, "the upgrade set the replicas back", "4", str(replicas))
            promises.unscaled(lab, namespace)
        lab.make_certificate(namespace)
        change("TLS, while the plain port stays", "tls")
        _after(lab, journal, rollout, recording, "all of them")
    _enough_ready(lab, journal, recording, namespace, "one change at a time")
    with journal.step("TLS: the Service is answered over HTTPS, by way of the backend"):
        outside, targets = lab.open(namespace, port="https")
        demand(outside.scheme == "https", "the Service does not offer HTTPS", "https", ", ".join(outside.asked))
        journal.detail(f"{len(targets)} nodes; {promises.monitored(lab, namespace, namespace)}")
    lab.forget(namespace)


def _scale(lab: Lab, namespace: str, replicas: int) -> None:
    lab.api.patch("Deployment", lab.subject.front, namespace, {"spec": {"replicas": replicas}})
    lab.await_ready(namespace)


def rollback(lab: Lab, journal: Journal) -> None:
    """Back to the version before: what is declared is as it was, field by field, and nothing was lost."""
    source = lab.sources[0]
    namespace = lab.namespace("rollback")
    rollout = lab.rollout(journal, namespace)
    with journal.step(f"install {source.version}"):
        first = rollout.install(lab.target(source, namespace), deadline=lab.deadline)
    with lab.load(journal, namespace, "rollback") as recording:
        before = take(lab.api, [namespace])
        with journal.step(f"upgrade to {lab.candidate.version}, image and configuration too"):
            target = lab.target(lab.candidate, namespace, image="2", changes=["configuration"])
            rollout.upgrade(target, deadline=lab.deadline)
            demand(bool(differences(before, take(lab.api, [namespace]))), "the upgrade changed nothing")
        with journal.step(f"roll back to {source.version}"):
            revision = rollout.rollback(first.number, deadline=lab.deadline)
            _demand_version(revision, source.version)
        _after(lab, journal, rollout, recording, "the rollback")
        with journal.step("every object is as it was before the upgrade"):
            journal.detail(_demand_same(before, take(lab.api, [namespace])))
            _demand_images(lab, namespace, "1")
    _enough_ready(lab, journal, recording, namespace, "rollback")
    lab.forget(namespace)


def disruption(lab: Lab, journal: Journal) -> None:
    """A node goes, pods die, the backend restarts: the budget is kept and nothing is lost."""
    namespace = lab.namespace("disruption")
    rollout = lab.rollout(journal, namespace)
    with journal.step("install with prod values"):
        rollout.install(lab.target(lab.candidate, namespace, values="prod"), deadline=lab.deadline)
        lab.await_ready(namespace)
    with lab.load(journal, namespace, "disruption") as recording:
        with journal.step("a node is drained, the budget respected"):
            _drain(lab, journal, namespace)
        with journal.step("a pod of the front is deleted"):
            _delete_pod(lab, namespace, lab.subject.front_component)
        with journal.step("a pod of the back dies at once"):
            _delete_pod(lab, namespace, lab.subject.back_component, grace=0)
        with journal.step("the back restarts, every pod of it"):
            _restart(lab, namespace, lab.subject.back)
            lab.await_ready(namespace)
        _after(lab, journal, rollout, recording, "the disruption")
    with journal.step("as many pods were ready at all times as the budget says"):
        budget = _object(lab, "PodDisruptionBudget", lab.subject.front, namespace)["spec"]["minAvailable"]
        fewest = fewest_ready(recording.ledger.events, recording.ledger.service, since=recording.ledger.begin)
        told = f"at least {budget}", str(fewest)
        demand(fewest >= budget, "too few pods of the front were ready at a time", *told, timely=True)
    lab.forget(namespace)


def failed_upgrade(lab: Lab, journal: Journal) -> None:
    """A bad image is rolled back by itself, a killed helm's upgrade is recovered, and no client notices."""
    namespace = lab.namespace("failed-upgrade")
    rollout = lab.rollout(journal, namespace)
    with journal.step("install"):
        rollout.install(lab.target(lab.candidate, namespace), deadline=lab.deadline)
    with lab.load(journal, namespace, "failed upgrade") as recording:
        before = take(lab.api, [namespace])
        for what, image, given in (
            ("an init container that fails keeps the pod from starting", "1", ["init"]),
            ("an image that never gets ready is rolled back by itself", "missing", ["configuration"]),
        ):
            with journal.step(what):
                target = lab.target(lab.candidate, namespace, image=image, changes=given)
                try:
                    rollout.upgrade(target, deadline=_FAILING, rollback_on_failure=True)
                except RolloutFailed as error:
                    journal.detail(error.message)
                else:
                    raise ClusterError(f"an upgrade that cannot succeed did: {what}")
                status = rollout.status()
                demand(status == "deployed", "the release was not rolled back", "deployed", str(status))
                _demand_same(before, take(lab.api, [namespace]))
        with journal.step("helm is killed in the middle of an upgrade"):
            _kill_helm(lab, journal, rollout, lab.target(lab.candidate, namespace, image="2"))
        with journal.step("the release that it left pending is recovered"):
            rollout.recover()
            status = rollout.status()
            demand(status == "deployed", "the release was not recovered", "deployed", str(status))
            _demand_same(before, take(lab.api, [namespace]))
        with journal.step("the same upgrade then succeeds"):
            rollout.upgrade(lab.target(lab.candidate, namespace, image="2"), deadline=lab.deadline)
        _after(lab, journal, rollout, recording, "the upgrade")
    _enough_ready(lab, journal, recording, namespace, "failed upgrade")
    lab.forget(namespace)


def uninstall(lab: Lab, journal: Journal) -> None:
    """What was installed is gone, but for the namespace that the chart made, which is kept on purpose."""
    namespace, objects = lab.namespace("uninstall"), lab.name("uninstall-objects")
    rollout = lab.rollout(journal, namespace, objects)
    outside = lab.cluster_objects(namespace)
    with journal.step("install with staging values"):
        rollout.install(lab.target(lab.candidate, objects, values="staging"), deadline=lab.deadline)
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
        demand(not rollout.history(), "helm still knows the release")
    with journal.step("nothing outside of its namespaces is left, or was changed"):
        found = differences(outside, lab.cluster_objects(namespace))
        demand(not found, "the release leaves something in the cluster", "no difference", "\n".join(map(str, found)))
    with journal.step("the namespace that the chart made is kept"):
        policy = _object(lab, "Namespace", objects)["metadata"].get("annotations", {}).get(_KEEP)
        demand(policy == "keep", "the namespace is not marked as kept", f"{_KEEP}: keep", str(policy))
    lab.forget(namespace, objects)


def selfcheck(lab: Lab, journal: Journal) -> None:
    """The negative control: an upgrade of a sabotaged chart must lose requests, and the ledger say when and why."""
    if lab.sabotaged is None:
        raise ClusterError("the sabotaged chart was not published")
    namespace = lab.namespace("selfcheck")
    rollout = lab.rollout(journal, namespace)
    with journal.step("install the sabotaged chart"):
        rollout.install(lab.target(lab.sabotaged, namespace), deadline=lab.deadline)
    load = lab.load(journal, namespace, "selfcheck", must_pass=False)
    with load as recording, journal.step("upgrade it, image 1 to 2"):
        rollout.upgrade(lab.target(lab.sabotaged, namespace, image="2"), deadline=lab.deadline)
        lab.await_settled(namespace)
    ledger = recording.ledger
    with journal.step("requests were lost, and the ledger says when and why"):
        demand(ledger.failed > 0, "a chart without readiness, preStop and rolling update lost no request")
        for incident in (incident for incident in ledger.incidents if incident.failed):
            journal.say("\n".join(incident.lines()))
            unexplained = incident.causes.get(UNEXPLAINED, 0)
            demand(2 * unexplained <= incident.failed, "lost requests have no cause", found="\n".join(incident.lines()))
        journal.detail(f"{ledger.failed} lost in {len(ledger.incidents)} incidents")
    lab.forget(namespace)


SCENARIOS: Mapping[str, Callable[[Lab, Journal], None]] = {
    "dry-run": dry_run,
    "install": install,
    "upgrade": upgrade,
    "environments": environments,
    "changes": changes,
    "rollback": rollback,
    "disruption": disruption,
    "failed-upgrade": failed_upgrade,
    "uninstall": uninstall,
    "selfcheck": selfcheck,
}


# -- what must be true -----------------------------------------------------------------------------


def _after(lab: Lab, journal: Journal, rollout: Rollout, recording: Recording, what: str) -> None:
    """What every rollout under load is followed by: the pods before go, the chart's tests pass, nothing restarted."""
    with journal.step(f"{what}: the pods before are gone"):
        lab.await_settled(rollout.namespace)
    with journal.step(f"{what}: the load asks the real Service"):
        journal.detail(recording.demand_asked())
    with journal.step(f"{what}: helm test"):
        rollout.test(deadline=120)
    _unharmed(lab, journal, what, rollout.namespace)


def _unharmed(lab: Lab, journal: Journal, what: str, namespace: str) -> None:
    journal.restarts += promises.restarts(lab.pods(namespace), lab.api.events(namespace))
    with journal.step(f"{what}: no container was restarted"):
        journal.since = journal.begun  # whenever it was
        journal.detail(promises.unchanged_containers(lab, namespace))


def _enough_ready(lab: Lab, journal: Journal, recording: Recording, namespace: str, what: str) -> None:
    """A rollout took no pod away before another one was ready."""
    with journal.step(f"{what}: never fewer pods ready than are asked for"):
        ledger = recording.ledger
        first = fewest_ready(ledger.events, ledger.service, since=ledger.begin)
        wanted = _asked_for(lab, namespace)
        told = f"at least {wanted}", str(first)
        demand(first >= wanted, "too few pods were ready at a time", *told, timely=True)
        journal.detail(f"at least {first}")


def _asked_for(lab: Lab, namespace: str) -> int:
    """The fewest pods of the front that may be ready: what its scaler or the Deployment asks for."""
    for scaler in lab.api.list("HorizontalPodAutoscaler", namespace):
        if scaler["spec"]["scaleTargetRef"]["name"] == lab.subject.front:
            return int(scaler["spec"].get("minReplicas", 1))
    return int(_object(lab, "Deployment", lab.subject.front, namespace)["spec"]["replicas"])


def _demand_version(revision: Revision, version: str) -> None:
    demand(
        revision.version == version and revision.status == "deployed",
        "another chart is deployed",
        f"{version}, deployed",
        f"{revision.chart}, {revision.status}",
    )


def _demand_images(lab: Lab, namespace: str, version: str) -> None:
    images = {container["image"] for pod in lab.pods(namespace) for container in pod["spec"]["containers"]}
    demand(
        all(image.endswith(f":{version}") for image in images),
        "a pod runs another image",
        f"...:{version}",
        str(images),
    )


def _demand_same(before: Snapshot, after: Snapshot) -> str:
    """Raises ClusterError with every field that differs; else says how much was compared."""
    found = differences(before, after)
    demand(not found, "the objects are not what they were", "no difference", "\n".join(map(str, found)))
    return f"{len(before.objects)} objects are equal"


def _told(lab: Lab, journal: Journal, revision: Revision, values: str, namespace: str) -> None:
    """The notes were printed, and are about this release."""
    first = next(iter(revision.notes.strip().splitlines()), "")
    demand(namespace in first, "the notes do not say where the release is", namespace, revision.notes or "no notes")
    write_atomic(lab.folder / journal.folder / f"notes-{values}.txt", revision.notes)
    journal.detail(first)


def _spread(lab: Lab, journal: Journal, namespace: str) -> None:
    zones = lab.zones()
    told = []
    for component in (lab.subject.front_component, lab.subject.back_component):
        pods = lab.pods(namespace, component)
        where = [lab.zone_of(pod["spec"]["nodeName"]) for pod in pods]
        wanted = min(len(zones), len(pods))
        demand(
            len(set(where)) == wanted, f"{component} is not spread", f"pods in {wanted} zones", ", ".join(sorted(where))
        )
        told.append(f"{component} in {', '.join(sorted(where))}")
    demand(not lab.own or len(zones) == 3, "the cluster has not three zones", found=", ".join(sorted(zones)))
    journal.detail("; ".join(told))


def _again(lab: Lab, rollout: Rollout, target: Target, namespace: str) -> None:
    """The same chart with the same values: a new revision, and nothing else."""
    before, pods = take(lab.api, [namespace]), _uids(lab, namespace)
    rollout.upgrade(target, deadline=lab.deadline)
    _demand_same(before, take(lab.api, [namespace]))
    demand(pods == _uids(lab, namespace), "installing the same again replaced pods")


def _uids(lab: Lab, namespace: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in lab.pods(namespace)}


def _configured(lab: Lab, namespace: str) -> bool:
    """True when the front is configured as the change "configuration" says."""
    url = lab.open(namespace)[1][0] + lab.subject.configured_path
    found = lab.api.wait(lambda: lab.ask(url), what=f"{url} to answer", deadline=30)
    return lab.subject.configured_key in found


def _routes(lab: Lab, namespace: str) -> set[str]:
    """Where the answers lead, asked on every node."""
    answers = [lab.ask(target) for target in lab.open(namespace)[1]]
    return {answer(found, lab.subject.route) for found in answers if found is not None}


def _nudge(lab: Lab, namespace: str) -> None:
    """Have the kubelets look at the pods now and not within a minute: what is mounted is brought up to date then."""
    note = {"metadata": {"annotations": {"gati-e2e/looked-at": datetime.now(UTC).isoformat()}}}
    for pod in lab.pods(namespace):
        lab.api.patch("Pod", pod["metadata"]["name"], namespace, note)


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
    """Empty the node of a pod of the front of the release's pods; meanwhile the budget refuses another eviction."""
    first, second, *_ = lab.pods(namespace, lab.subject.front_component)
    node = first["spec"]["nodeName"]
    try:
        if lab.own:
            lab.api.cordon(node)
        demand(lab.api.evict(first["metadata"]["name"], namespace), "the budget allows no eviction at all")
        allowed = lab.api.evict(second["metadata"]["name"], namespace)
        demand(not allowed, "the budget allowed a second eviction while the first pod was not replaced", timely=True)
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


def _kill_helm(lab: Lab, journal: Journal, rollout: Rollout, target: Target) -> None:
    """Begin an upgrade, and kill helm as soon as a pod of the new revision is there."""
    before = _uids(lab, rollout.namespace)
    argv = [lab.tools.helm, "upgrade", rollout.release, *target.arguments(), "--namespace", rollout.namespace, "--wait"]
    log = lab.folder / journal.folder / "killed.log"
    with lab.runner.start([*argv, *lab.login.flags("--kube-context")], log=log) as process:
        lab.api.wait(
            lambda: True if _uids(lab, rollout.namespace) - before else None,
            what="a pod of the upgrade",
            deadline=60,
            state=process.log_tail,
        )
        process.stop(signal.SIGKILL)
    status = rollout.status()
    demand(status == "pending-upgrade", "the killed helm left no pending upgrade", "pending-upgrade", str(status))
