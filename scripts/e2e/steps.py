"""Owns the steps that the scenarios share: what must be true after a rollout, and what is done to a release."""

from __future__ import annotations

import contextlib
import functools
import math
import re
import signal
from collections.abc import Container, Iterable, Iterator
from datetime import UTC, datetime
from fnmatch import fnmatch
from typing import Any
from urllib.parse import urlsplit

from scripts.chart.manifests import Document
from scripts.chart.pods import matches
from scripts.cluster.kind import PREFIX, ZONE_LABEL
from scripts.cluster.objects import Object, container_statuses, counts, is_of_another_revision, is_ready, labels_of
from scripts.cluster.snapshot import Snapshot, differences, take
from scripts.core.errors import ClusterError
from scripts.core.files import write_atomic
from scripts.core.progress import Say, silent
from scripts.core.waiting import patiently, repeated
from scripts.e2e import pods, promises
from scripts.e2e.data import Data
from scripts.e2e.lab import Lab, Published, kind_and_name
from scripts.e2e.ledger import UNEXPLAINED, Incident
from scripts.e2e.outside import asked
from scripts.e2e.promises import demand
from scripts.e2e.reach import guards
from scripts.e2e.recording import Recording
from scripts.e2e.report import Journal, Unproven
from scripts.e2e.subject import answer
from scripts.e2e.timeline import GONE, KILLED, STOPPING, Event, fewest_ready
from scripts.rollout.diagnose import left_behind
from scripts.rollout.rollout import Revision, Rollout, RolloutFailed, Target

# What Kubernetes itself puts into every namespace.
_NATIVE = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
_ENFORCED = "pod-security.kubernetes.io/enforce"
_EMPTY = re.compile(r"<nil>|%!\w?\(.*")  # what templates write for what is not there or of another kind
_PLACINGS = 3  # of a pod, for another scenario's may take the room that was seen
_ENDING_DEADLINE = 30.0  # of pods that end, and of the nodes that hear of it


def after_rollout(lab: Lab, journal: Journal, rollout: Rollout, recording: Recording | None, what: str) -> None:
    """What every rollout under load is followed by: the chart's tests pass, the pods before go, nothing restarted."""
    replace_by_hand(lab, journal.say, rollout.namespace)
    run_tests(lab, journal, rollout, what)
    with journal.step(f"{what}: the pods before are gone"):
        lab.await_settled(rollout.namespace)
    if recording:
        journal.look(f"{what}: the load asks the real Service", recording.demand_asked)
    demand_unharmed(lab, journal, what, rollout.namespace)


@contextlib.contextmanager
def under_load(
    lab: Lab, journal: Journal, rollout: Rollout, name: str, what: str, **load: Any
) -> Iterator[Recording | None]:
    """A load on the release, called `name`, while the block does `what`: nothing is lost by it, no data either.

    `load` says more of it, as `Lab.load` takes it; the recording is None where the chart has nothing to ask.
    """
    data = Data(lab, journal, rollout.namespace)
    with lab.load(journal, rollout.namespace, name, **load) as recording:
        yield recording
        after_rollout(lab, journal, rollout, recording, what)
        data.demand_there(what)
    demand_orderly(lab, journal, recording, rollout.namespace, name)


def replace_by_hand(lab: Lab, say: Say, namespace: str) -> None:
    """Delete the pods that a rollout leaves as they are until somebody does (OnDelete), one when another is ready."""
    for name in lab.found.workloads:
        owner = lab.api.get(*kind_and_name(name), namespace)
        if owner is None or (owner["spec"].get("updateStrategy") or {}).get("type") != "OnDelete":
            continue
        lab.await_ready(namespace)  # helm does not wait for such pods
        for pod in lab.pods(namespace, name):
            if is_of_another_revision(pod, owner):
                say(f"{name} waits for its pods to be deleted: {pod['metadata']['name']}")
                delete_pod(lab, namespace, name, pod)


def broken_pods_replaced(lab: Lab, journal: Journal, namespace: str) -> contextlib.AbstractContextManager[None]:
    """Meanwhile delete, as somebody has to, the pods that StatefulSets leave as they are when they are rolled back."""
    sets = [name for name in lab.found.workloads if name.startswith("StatefulSet/")]

    def look() -> None:
        for owner in filter(None, (lab.api.get(*kind_and_name(name), namespace) for name in sets)):
            for pod in (pod for pod in lab.pods(namespace) if left_behind(pod, owner)):
                name = pod["metadata"]["name"]
                journal.say(f"StatefulSet {owner['metadata']['name']} waits for its broken pod to be deleted: {name}")
                lab.api.delete("Pod", name, namespace)

    return repeated(look, every=2, name="broken pods", bearing=ClusterError) if sets else contextlib.nullcontext()


def run_tests(lab: Lab, journal: Journal, rollout: Rollout, what: str) -> None:
    """The chart's own tests pass; `what` they follow."""
    if not any("test" in hook.rpartition("(")[2] for hook in lab.found.hooks):
        journal.skip("helm test, for the chart has no tests")
        return
    with journal.step(f"{what}: helm test"):
        rollout.test()
    if lab.subject.careful:
        with journal.step(f"{what}: the pods of the tests are gone"):
            demand_tests_gone(lab, rollout.namespace)


def _tests(lab: Lab, namespace: str) -> list[Document]:
    """What `helm test` makes, as the installed release renders it."""
    return [hook for hook in lab.manifest(namespace, hooks=True) if "test" in hook.hook]


def pods_of_tests(lab: Lab, namespace: str) -> list[Document]:
    """The pods of `helm test`."""
    return [test for test in _tests(lab, namespace) if test.kind == "Pod"]


def demand_tests_gone(lab: Lab, namespace: str) -> None:
    """Of tests that passed nothing stays, which an uninstall would leave. Raises Broken."""
    left = [test.label for test in _tests(lab, namespace) if lab.live(test, namespace)]
    demand(not left, "what tested stays after it passed", "helm.sh/hook-delete-policy: hook-succeeded", ", ".join(left))


def demand_unharmed(lab: Lab, journal: Journal, what: str, namespace: str) -> None:
    """No container was restarted or told to by a probe: what needs a second try is not ready, whatever is said.

    Restarts are kept for the report.
    """
    found = pods.restarted(lab, namespace)
    journal.restarts += found
    with journal.step(f"{what}: no container was restarted"):
        journal.since = journal.begun  # whenever it was
        demand(not found, "a container was restarted", "none", "\n".join(found), timely=True)
        containers = sum(len(container_statuses(pod)) for pod in lab.pods(namespace))
        journal.detail(f"{containers} containers, none restarted")


def demand_orderly(lab: Lab, journal: Journal, recording: Recording | None, namespace: str, what: str) -> None:
    """A rollout took no more pods away before others were ready than it may; a careful one's end by themselves."""
    if not recording or not lab.found.behind:
        return
    with journal.step(f"{what}: never fewer pods ready than are asked for"):
        ledger = recording.ledger
        first = fewest_ready(ledger.events, ledger.service, since=ledger.begin)
        told = [_demand_enough(lab.front(), first, _asked_for(lab, namespace, lab.front()))]
        before = [event for event in ledger.events if event.at < ledger.begin]
        for workload in lab.found.workloads if lab.subject.careful else ():
            # A probe that is late takes nothing away from what is asked by services alone.
            for service in () if workload == lab.front() else _services(lab, namespace, workload):
                fewest = fewest_ready(ledger.events, service, since=ledger.begin, leaving=(STOPPING, GONE))
                there = fewest_ready(before, service, since=math.inf)
                told.append(_demand_enough(workload, fewest, min(there, _asked_for(lab, namespace, workload))))
        journal.detail(", ".join(told))
    if lab.subject.careful:
        with journal.step(f"{what}: pods end when they are told to"):
            demand_ended(ledger.events)


def demand_ended(events: Iterable[Event]) -> None:
    """No pod had to be killed because it went on when it was told to stop. Raises ClusterError."""
    killed = "\n".join(str(event) for event in events if event.what == KILLED)
    demand(not killed, "pods did not end when they were told to", "an end within their grace", killed, timely=True)


def demand_explained(incidents: Iterable[Incident], say: Say) -> None:
    """Most of what was lost has a cause. Raises Broken, and Unproven where all of that but a stray few have one."""
    lost = [incident for incident in incidents if incident.failed]
    for incident in lost:
        say("\n".join(incident.lines()))
    dark = [incident for incident in lost if 2 * incident.causes.get(UNEXPLAINED, 0) > incident.failed]
    told = "lost requests have no cause", None, "\n".join(line for incident in dark for line in incident.lines())
    demand(2 * sum(one.failed for one in dark) <= sum(one.failed for one in lost), *told)
    if dark:
        raise Unproven(told[0], found=told[2])


def _demand_enough(workload: str, fewest: int, wanted: int) -> str:
    told = f"at least {wanted} of {workload}", str(fewest)
    demand(fewest >= wanted, "too few pods were ready at a time", *told, timely=True)
    return f"at least {fewest} of {workload}"


def _services(lab: Lab, namespace: str, workload: str) -> list[str]:
    """The Services that lead to the pods of a workload."""
    pods = [labels_of(pod) for pod in lab.pods(namespace, workload)]
    services = {item["metadata"]["name"]: item["spec"].get("selector") for item in lab.api.list("Service", namespace)}
    return [name for name, wanted in services.items() if any(matches(wanted, own) for own in pods)]


def _asked_for(lab: Lab, namespace: str, workload: str) -> int:
    """The fewest pods of a workload that may be ready: what is asked for, but those that its strategy may go without.

    A careful chart goes without none.
    """
    live = workload_of(lab, workload, namespace)
    wanted = lab.scaled(namespace).get(kind_and_name(workload), counts(live).wanted)
    return wanted - (0 if lab.subject.careful else _spared(live, wanted))


def _spared(workload: Object, wanted: int) -> int:
    """How many of `wanted` pods a rollout of a workload may take away before others are ready."""
    spec = workload["spec"]
    strategy = spec.get("strategy") or spec.get("updateStrategy") or {}
    if strategy.get("type") == "Recreate":
        return wanted
    rolling = strategy.get("rollingUpdate") or {}
    # A StatefulSet replaces one at a time, and a DaemonSet too; a Deployment has to where it may make none beforehand.
    least = 0 if "strategy" in spec and str(rolling.get("maxSurge", 1)) not in ("0", "0%") else 1
    text = str(rolling.get("maxUnavailable", least))
    part = wanted * int(text[:-1]) / 100 if text.endswith("%") else int(text)
    return max(least, math.ceil(part) if workload["kind"] == "DaemonSet" else int(part))


def workload_of(lab: Lab, workload: str, namespace: str) -> Object:
    """A workload ("Deployment/name") as it is. Raises ClusterError where it is not there."""
    return object_of(lab, *kind_and_name(workload), namespace)


def scale(lab: Lab, namespace: str, workload: str, replicas: int) -> int:
    """Have a workload ask for so many pods; how many it asked for."""
    before = workload_of(lab, workload, namespace)["spec"].get("replicas", 1)
    lab.api.patch(*kind_and_name(workload), namespace, {"spec": {"replicas": replicas}})
    return int(before)


def demand_deployed(revision: Revision, chart: Published) -> None:
    """That chart is what is deployed."""
    told = f"{chart.name}-{chart.version}, deployed", f"{revision.chart}, {revision.status}"
    demand(told[0] == told[1], "another chart is deployed", *told)


def demand_images(lab: Lab, namespace: str, version: str) -> None:
    """Every pod with an image of ours runs its {version}; where none of ours is used, some pod does, if any.

    So it is where a partition keeps pods at the revision before.
    """
    replace_by_hand(lab, silent, namespace)
    images = {container["image"] for pod in lab.pods(namespace) for container in pod["spec"]["containers"]}
    ours = {image for image in images if image.startswith(f"{lab.images}/")}
    tags = lab.subject.tags(version)
    names = [image.rpartition("/")[2] for image in ours or images]
    right = [not tags.isdisjoint((name, name.rpartition(":")[2])) for name in names]
    done = all(right) or (any(right) and (not ours or _parted(lab, namespace)))
    told = "a pod runs another image", " or ".join(sorted(tags)), ", ".join(sorted(images))
    demand(done or not lab.subject.versioned, *told)


def _parted(lab: Lab, namespace: str) -> bool:
    """Whether a partition keeps pods of a StatefulSet at the revision before."""
    live = (lab.api.get(*kind_and_name(name), namespace) or {"spec": {}} for name in lab.found.workloads)
    return any((one["spec"].get("updateStrategy") or {}).get("rollingUpdate", {}).get("partition") for one in live)


def taken(lab: Lab, namespace: str) -> Snapshot:
    """What is declared in a namespace, but for what the chart's pods make themselves."""
    found = take(lab.api, [namespace]).objects.items()
    return Snapshot({key: one for key, one in found if not _left(lab, f"{one['kind']}/{one['metadata']['name']}")})


def _left(lab: Lab, name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in lab.subject.left)


def demand_same(before: Snapshot, after: Snapshot, *, but: str = "", drawn: Container[str] = ()) -> str:
    """Raises ClusterError with every field that differs; else says how much was compared.

    Objects of the kind `but` may come and go as a whole; those of `drawn` ("Secret web") may be other ones.
    """
    found = [one for one in differences(before, after) if one.path or one.object.partition(" ")[0] != but]
    found = [one for one in found if one.object not in drawn]
    demand(not found, "the objects are not what they were", "no difference", "\n".join(map(str, found)))
    return f"{len(before.objects)} objects are equal"


def demand_restricted(lab: Lab, namespace: str) -> None:
    """The namespace that the chart made admits what is restricted, and nothing else."""
    found = labels_of(object_of(lab, "Namespace", namespace)).get(_ENFORCED)
    demand(found == "restricted", "the chart's namespace lets everything in", f"{_ENFORCED}: restricted", str(found))


def demand_told(lab: Lab, journal: Journal, rollout: Rollout, revision: Revision, values: str, namespace: str) -> None:
    """The notes were printed, and are about this release."""
    first = next(iter(revision.notes.strip().splitlines()), "")
    where = namespace in first or not lab.subject.notes
    demand(where, "the notes do not say where the release is", namespace, revision.notes or "no notes")
    empty = _EMPTY.search(revision.notes) if lab.subject.notes else None
    demand(not empty, "the notes name what has no value", found=empty[0] if empty else "")
    write_atomic(lab.folder / journal.folder / f"notes-{values.replace('/', '-')}.txt", revision.notes)
    journal.detail(f"{first}; {promises.told(lab, revision.notes, rollout.namespace, namespace)}")


def demand_spread(lab: Lab, journal: Journal, namespace: str) -> None:
    """The pods of each workload are in as many zones as they can be, because they ask for it.

    They ask softly, so a zone that is full at that moment is passed over. Of two pods in one zone, one is placed anew
    as soon as a zone that has none has room; where none gets room, that is said, and there is no verdict.
    """
    zones = {labels_of(node).get(ZONE_LABEL, "") for node in lab.nodes()} - {""}
    by_node = {node["metadata"]["name"]: labels_of(node).get(ZONE_LABEL, "") for node in lab.api.list("Node")}
    told = []
    for component in lab.found.workloads:
        for left in reversed(range(_PLACINGS)):
            found = [pod for pod in lab.pods(namespace, component) if pod["spec"].get("nodeName")]  # a scaler may add
            where = [by_node.get(pod["spec"]["nodeName"], "") for pod in found]
            wanted, there = min(len(zones), len(found)), ", ".join(sorted(where))
            if len(set(where)) == wanted:
                break
            demand(left > 0, f"{component} is not spread", f"pods in {wanted} zones", there)
            double = next(pod for pod, zone in zip(found, where, strict=True) if where.count(zone) > 1)
            if not _gets_room(lab, namespace, double, zones.difference(where)):
                journal.skip(f"that {component} is in {wanted} zones: there is no room in others than {there}")
                break
            delete_pod(lab, namespace, component, double)
        pods.spread_is_asked_for(found)
        told.append(f"{component} in {there}")
    demand(not lab.own or len(zones) == 3, "the cluster has not three zones", found=", ".join(sorted(zones)))
    journal.detail("; ".join(told))


def _gets_room(lab: Lab, namespace: str, pod: Object, zones: Iterable[str]) -> bool:
    """Whether the scheduler finds room in these zones for another pod like this one, while pods end that are to."""
    wanted = [{"matchExpressions": [{"key": ZONE_LABEL, "operator": "In", "values": sorted(zones)}]}]
    there = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": wanted}}}
    like = {key: value for key, value in pod["spec"].items() if key not in ("nodeName", "topologySpreadConstraints")}
    name = f"{PREFIX}room"
    meta = {"name": name, "annotations": {"helm.sh/hook": "none"}}  # no pod of the release
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {**like, "affinity": there}}
    lab.api.create(pod, namespace)

    def placed() -> bool:
        return "nodeName" in (lab.api.get("Pod", name, namespace) or {"spec": {}})["spec"]

    try:
        return bool(patiently(placed, _ENDING_DEADLINE, 0.5))
    finally:
        lab.api.delete("Pod", name, namespace, grace=0)


def demand_idempotent(lab: Lab, journal: Journal, rollout: Rollout, target: Target, namespace: str) -> None:
    """The same chart with the same values: a new revision, and nothing else but Jobs, which may be named after it.

    Left out, and said, are objects that a chart renders anew each time that is not `careful`, but not pods that it
    replaces for that.
    """
    before, pods = taken(lab, namespace), lab.pods(namespace)
    try:
        rollout.upgrade(target)
    except RolloutFailed as error:
        new = pod_uids(lab, namespace) - {pod["metadata"]["uid"] for pod in pods}
        demand(not new, "installing the same again makes new pods, which do not become ready", found=str(error.cause))
        raise
    after, now = taken(lab, namespace), pod_uids(lab, namespace)
    replaced = [pod["metadata"]["name"] for pod in pods if pod["metadata"]["uid"] not in now]
    drawn = lab.drawn(target, rollout.namespace) if replaced or differences(before, after) else []
    forgiven = () if lab.subject.careful else drawn
    if forgiven:
        journal.skip(f"that the same again changes nothing of what is rendered anew each time: {', '.join(drawn)}")
    demand_same(before, after, but="Job", drawn=forgiven)
    reason = lab.subject.may_replace
    if replaced and reason:
        journal.skip(f"that the same again replaces no pod, for it may: {reason}")
        return
    demand(
        not replaced,
        "installing the same again replaced pods",
        "pods that are left alone, or [tool.gati.e2e] may_replace with the reason",
        ", ".join(replaced) + (f"; rendered anew each time: {', '.join(drawn)}" if drawn else ""),
    )


def pod_uids(lab: Lab, namespace: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in lab.pods(namespace)}


def is_configured(lab: Lab, namespace: str) -> bool:
    """True when the front is configured as the change "configuration" says."""
    url = lab.open(namespace)[1][0] + lab.subject.configured_path
    found = lab.api.wait(lambda: lab.ask(url), what=f"{url} to answer", deadline=30)
    return lab.subject.configured_key in found


def await_configured(lab: Lab, namespace: str) -> None:
    """Wait for the changed configuration: right after an upgrade a node may still lead to a pod that is ending."""
    lab.api.wait(
        lambda: is_configured(lab, namespace),
        what="the changed configuration to be known to the pods",
        deadline=_ENDING_DEADLINE,
        state=lambda: f"{lab.subject.configured_path} answers without {lab.subject.configured_key}",
    )


def answered_routes(lab: Lab, namespace: str) -> set[str]:
    """Where the answers lead, asked on every node."""
    answers = [lab.ask(target) for target in lab.open(namespace)[1]]
    return {answer(found, lab.subject.route) for found in answers if found is not None}


def demand_redirected(lab: Lab, namespace: str) -> str:
    """Plain HTTP sends a client to the same path at an HTTPS port of the Service, on every node; says where to."""
    question, led = lab.question, ""
    offered = {port["port"] for port in offered_ports(lab, namespace)}

    def right(led: str) -> bool:
        found = urlsplit(led)
        return (found.scheme, found.path) == ("https", question.path) and (found.port or 443) in offered

    for place in lab.offer(namespace)[1]:
        led = lab.api.observe(
            functools.partial(asked, f"http://{place}{question.path}", question.headers),
            lambda seen: right(seen[1]),
            what=f"plain HTTP at {place} to be sent to {question.path} at an HTTPS port of {question.service}",
            deadline=30,
            told=lambda seen: f"sent to {seen[1]}" if seen[1] else "sent nowhere",
        )[1]
    return f"to {led}"


def offered_ports(lab: Lab, namespace: str) -> list[Object]:
    """The ports of the Service that the load asks, none where it is not there."""
    live = lab.api.get("Service", lab.question.service, namespace) or {"spec": {}}
    return list(live["spec"].get("ports") or ())


def nudge_kubelets(lab: Lab, namespace: str) -> None:
    """Have the kubelets look at the pods now and not within a minute: what is mounted is brought up to date then."""
    note = {"metadata": {"annotations": {"gati-e2e/looked-at": datetime.now(UTC).isoformat()}}}
    for pod in lab.pods(namespace):
        lab.api.patch("Pod", pod["metadata"]["name"], namespace, note)


def is_native(item: Object) -> bool:
    """Whether Kubernetes itself puts the object into every namespace."""
    return (item["kind"], item["metadata"]["name"]) in _NATIVE


def is_kept(lab: Lab, name: str, kept: Iterable[str], hooks: Iterable[Document]) -> bool:
    """Whether an uninstall leaves an object ("Kind/name") on purpose: as it says itself, or as helm and Kubernetes do.

    These leave the claims of a StatefulSet, and what a hook made that is not deleted.
    """
    claimed = name.startswith("PersistentVolumeClaim/") and bool(lab.found.claims)
    made = {f"{hook.kind}/{hook.name}" for hook in hooks}
    return claimed or name in {*kept, *made} or _left(lab, name)


def is_definition(lab: Lab, kept: Iterable[str], difference: str) -> bool:
    """Whether what is left outside is one of the definitions in crds/, which helm never removes, or kept on purpose."""
    names = [f"CustomResourceDefinition/{name}" for name in lab.found.definitions]
    return any(name in difference or name.replace("/", " ") in difference for name in (*names, *kept))


def object_of(lab: Lab, kind: str, name: str, namespace: str | None = None) -> Object:
    """An object as it is. Raises ClusterError where it is not there."""
    found = lab.api.get(kind, name, namespace)
    if found is None:
        raise ClusterError(f"there is no {kind} {name}" + (f" in {namespace}" if namespace else ""))
    return found


# -- what is done ----------------------------------------------------------------------------------


def budget_of(lab: Lab, namespace: str, workload: str) -> Object | None:
    """The disruption budget that guards the pods of a workload."""
    pods, budgets = lab.pods(namespace, workload), lab.api.list("PodDisruptionBudget", namespace)
    return next((budget for budget in budgets if pods and guards(budget, labels_of(pods[0]))), None)


def drain_node(lab: Lab, journal: Journal, namespace: str, front: str) -> None:
    """Empty the node of a pod of the front of the release's pods; meanwhile the budget refuses another eviction."""
    first, second, *_ = lab.pods(namespace, front)
    node = first["spec"]["nodeName"]
    with lab.fewer_nodes(), contextlib.ExitStack() as stack:
        if lab.own:
            stack.callback(lab.api.cordon, node, False)
            lab.api.cordon(node)
        demand(lab.api.evict(first["metadata"]["name"], namespace), "the budget allows no eviction at all")
        allowed = lab.api.evict(second["metadata"]["name"], namespace)
        demand(not allowed, "the budget allowed a second eviction while the first pod was not replaced", timely=True)
        seconds = lab.api.drain(node, deadline=lab.deadline, namespace=namespace, cordon=lab.own)
        ready = lab.await_ready(namespace)
        journal.detail(f"{node}: a second eviction was refused; then {ready}, drained in {seconds:.0f} s")


def delete_pod(lab: Lab, namespace: str, workload: str, pod: Object | None = None, *, grace: int | None = None) -> None:
    """Delete a pod of a workload, by default its first, and wait until as many others are ready as there were."""
    pods = lab.pods(namespace, workload)
    demand(bool(pods), f"{workload} has no pod to delete")
    victim = (pod or pods[0])["metadata"]
    lab.api.delete("Pod", victim["name"], namespace, grace=grace)

    def replaced() -> bool:
        others = [pod for pod in lab.pods(namespace, workload) if pod["metadata"]["uid"] != victim["uid"]]
        return sum(map(is_ready, others)) >= len(pods)

    lab.api.wait(replaced, what=f"another pod in place of {victim['name']}", deadline=lab.deadline)


def kill_helm(lab: Lab, journal: Journal, rollout: Rollout, target: Target) -> None:
    """Begin an upgrade, and kill helm as soon as a pod of the new revision is there."""
    before = pod_uids(lab, rollout.namespace)
    argv = rollout.command(lab.tools.helm, "upgrade", rollout.release, *target.arguments(), "--wait")
    log = lab.folder / journal.folder / "killed.log"
    with lab.runner.start(argv, log=log) as process:
        what, state = "a pod of the upgrade", process.log_tail
        lab.api.wait(lambda: bool(pod_uids(lab, rollout.namespace) - before), what=what, deadline=60, state=state)
        process.stop(signal.SIGKILL)
    status = rollout.status()
    demand(status == "pending-upgrade", "the killed helm left no pending upgrade", "pending-upgrade", str(status))
