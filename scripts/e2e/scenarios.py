"""The smoke test's scenarios: what is done with the packaged chart on a cluster, and what must then be true."""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scripts.chart.manifests import read_manifests
from scripts.cluster.objects import containers_of, is_ready, unsettled, waits_for_hands
from scripts.cluster.snapshot import differences
from scripts.core.errors import ClusterError
from scripts.e2e import metrics, pods, promises, steps
from scripts.e2e.data import Data
from scripts.e2e.k6 import KINDS
from scripts.e2e.lab import LIGHT, Lab, Published, kind_and_name
from scripts.e2e.outside import certificate
from scripts.e2e.promises import demand
from scripts.e2e.report import Journal, Untested
from scripts.e2e.timeline import fewest_ready
from scripts.rollout.rollout import Revision, Rollout, RolloutFailed, Target

# Changes that are no upgrade by themselves, and those that have steps of their own.
_NO_UPGRADES = frozenset({"abrupt", "apart", "external", "init", "labels"})
_SPECIAL = _NO_UPGRADES | {"routes", "configuration", "scaler", "tls", "tls-redirect", "tls-alone"}
_UNVERSIONED = 'no value of [tool.gati.e2e.values] has "{version}" in it, as the tag of an image may'
_FORCE = "--force-conflicts"
_SEVERAL = 2  # pods from which the loss of one can go unnoticed
_KEEP = "helm.sh/resource-policy"
_MARK = "gati-e2e/mark"  # the label and annotation that the change "labels" sets
_APART = 3  # nodes that the change "apart" takes
_UNREADY_DEADLINE = 60.0  # seconds in which the front must notice that the back has gone
_ROUTES_DEADLINE = 100.0  # "within a minute or so": a kubelet looks once a minute, and the server every second


def dry_run(lab: Lab, journal: Journal) -> None:
    """The API server accepts every manifest of every values file, with all its admission checks."""
    namespace = lab.namespace("dry-run")
    for values in lab.chosen:
        with journal.step(f"{values} values are accepted"):
            text = _known(lab, journal, lab.template(lab.target(namespace, values=values), namespace))
            warnings = dict.fromkeys(re.findall("^Warning: (.*)", lab.apply_dry(text, namespace), re.MULTILINE))
            unsafe = "\n".join(line for line in warnings if "violate PodSecurity" in line)
            demand(not unsafe, "pods break Pod Security `restricted`", found=unsafe)
            careless = lab.subject.careful and [line for line in warnings if "deprecated" not in line]
            demand(not careless, "the API server warns of what the chart renders", found="\n".join(careless or ()))
            journal.detail("; ".join((f"{text.count('# Source:')} objects", *warnings)))
    if lab.subject.makes_namespace:
        with journal.step("the chart's own namespace is accepted"):
            target = lab.target(lab.name("dry-run-objects"))
            own = (one for one in read_manifests(lab.template(target, namespace)) if one.kind == "Namespace")
            lab.apply_dry("\n---\n".join(json.dumps(one.data) for one in own), namespace)


def _known(lab: Lab, journal: Journal, text: str) -> str:
    """The rendered documents but for those of kinds that the chart itself brings in crds/, which are not there yet."""
    own = {name.partition(".")[2] for name in lab.found.definitions}
    documents = list(read_manifests(text)) if own else []
    later = [one for one in documents if one.api_version.rpartition("/")[0] in own]
    if not later:
        return text
    names = ", ".join(dict.fromkeys(one.label for one in later))
    journal.skip(f"that the API server takes {names} before the definitions are installed")
    return "\n---\n".join(f"# Source: {one.name}\n{json.dumps(one.data)}" for one in documents if one not in later)


def install(lab: Lab, journal: Journal) -> None:
    """Each values file installs, is whole and healthy, passes its own tests, and installs again without a change."""
    for values in lab.chosen:
        _install(lab, journal, values)


def _install(lab: Lab, journal: Journal, values: str) -> None:
    namespace = lab.namespace(f"install-{values}")
    # The first values let the chart make the namespace of its objects; the others are given one.
    first = values == lab.chosen[0]
    objects = lab.name("install-objects") if first and lab.subject.makes_namespace else namespace
    rollout = lab.rollout(journal, namespace, objects)
    changes = [name for name in ("labels", "external") if first and name in lab.subject.changes]
    apart = first and "apart" in lab.subject.changes
    with lab.every_node() if apart or values == lab.subject.spread_with else contextlib.nullcontext():
        if apart and len(lab.nodes()) >= _APART:
            changes.append("apart")  # every node has an ingress: the pods of `helm test` must find a place beside them
        elif apart:
            journal.skip(f"required anti-affinity, for which {_APART} nodes are needed")
        target = lab.target(objects, values=values, changes=changes)
        with journal.step(f"{values}: it installs, and the notes say where"):
            revision = rollout.install(target)
            steps.demand_told(lab, journal, rollout, revision, values, objects)
        with journal.step(f"{values}: every object is there, in its namespace, owned and labelled"):
            mark = _MARK if "labels" in changes else ""
            told = promises.whole(lab, namespace, objects, values=values, mark=mark, version=revision.application)
            journal.detail(told)
            if objects != namespace and lab.subject.restricted:
                steps.demand_restricted(lab, objects)
        with journal.step(f"{values}: every pod is ready"):
            ready = lab.await_ready(objects)
            journal.detail(", ".join(f"{number} {name}" for name, number in ready.items()))
            for what in promises.nowhere(lab, objects):
                journal.skip(what)
        if "apart" in changes:
            with journal.step(f"{values}: pods are put where the values ask for"):
                pods.placed(lab.pods(objects, lab.front()), lab.subject.placement)
        if values == lab.subject.spread_with:
            with journal.step(f"{values}: every workload is spread over the zones"):
                steps.demand_spread(lab, journal, objects)

    def look(what: str, promise: Callable[..., str], *about: Any) -> None:
        journal.look(f"{values}: {what}", promise, *about)

    look("what probes ask for answers", pods.probes_answer, lab, objects)
    if lab.subject.careful:
        documents = *lab.manifest(namespace), *lab.manifest(namespace, hooks=True)
        look("pods say what they need", pods.needs_are_said, (*lab.pods(objects), *promises.passing_pods(documents)))
    look("policies let through what is needed, and nothing else", promises.policies_fit, lab, namespace, objects)
    look("selectors select, and lead to open ports", promises.selected, lab, namespace, objects)
    if lab.found.question is None:
        journal.skip(f"that clients are answered, for want of {lab.found.lacks[0]}")
    else:
        look("clients are answered", lambda: f"{len(lab.open(objects)[1])} nodes, {lab.question}")
    for name in lab.found.others:
        if name.startswith("CronJob/"):
            journal.skip(f"that the Jobs of {name} end well, for its schedule is not waited for")
        elif name.startswith("Job/") and promises.goes_on(lab, name, objects):
            journal.skip(f"that {name} ends well, for it goes on")
    if lab.subject.least_rights:
        look("rights suffice, and are no wider than what is used", promises.rights_fit, lab, namespace, objects)
    with journal.step(f"{values}: what objects name is there"):
        for what in promises.named(lab, namespace, objects):
            journal.skip(what)
    for kind in lab.skipped():
        journal.skip(f"{kind}, which the cluster does not know")
    look("what monitoring selects exists and answers", metrics.monitored, lab, namespace, objects)
    steps.run_tests(lab, journal, rollout, values)
    with journal.step(f"{values}: the same again changes nothing"):
        steps.demand_idempotent(lab, journal, rollout, target, objects)
    with journal.step(f"{values}: replicas have one owner, which is able to scale"):
        journal.detail(f"{promises.unscaled(lab, namespace)}; {promises.scalers_work(lab, objects)}")
    look("a disruption budget guards the pods, and lets a node be drained", promises.budgets_work, lab, objects)
    steps.demand_unharmed(lab, journal, values, objects)
    lab.forget(*{namespace, objects})


def _installed(
    lab: Lab, journal: Journal, purpose: str, chart: Published, step: str = "", *, values: str = "", ready: bool = False
) -> tuple[str, Rollout, Revision]:
    """A release of `chart` in a namespace of its own; `step` is what its installation is called in the journal."""
    namespace = lab.namespace(purpose)
    rollout = lab.rollout(journal, namespace)
    with journal.step(step or f"install {chart.version}"):
        revision = rollout.install(lab.target(namespace, chart, values=values))
        if ready:  # beyond what helm waits for
            lab.await_ready(namespace)
    return namespace, rollout, revision


def upgrade(lab: Lab, journal: Journal) -> None:
    """From each published version to the candidate, and on to another image and configuration, without a loss."""
    for source in lab.sources:
        namespace, rollout, _ = _installed(lab, journal, f"from-{source.version}", source)
        name = f"{source.version} to {lab.candidate.version}"
        _define(lab, journal, source)
        again = source == lab.sources[0] and "configuration" in lab.subject.changes
        last = "the second upgrade" if again else "the upgrade"
        with steps.under_load(lab, journal, rollout, name, last) as recording:
            before = steps.taken(lab, namespace)
            with journal.step(f"upgrade {name}, image 1 to 2"):
                revision = rollout.upgrade(lab.target(namespace, image="2"))
                steps.demand_deployed(revision, lab.candidate)
                steps.demand_images(lab, namespace, "2")
                if not differences(before, steps.taken(lab, namespace)):
                    journal.skip(f"an upgrade that changes anything: {name} renders the same objects")
            if again:
                steps.after_rollout(lab, journal, rollout, recording, "the upgrade")
                with journal.step(f"upgrade {lab.candidate.version} to itself, image 2 to 1, other configuration"):
                    told = bool(lab.subject.configured_key)
                    early = told and steps.is_configured(lab, namespace)
                    demand(not early, "the configuration is changed before it was")
                    rollout.upgrade(lab.target(namespace, changes=["configuration"]))
                    if told:
                        steps.await_configured(lab, namespace)
        if recording and lab.subject.differs:
            with journal.step(f"{name}: the load saw both images"):
                seen = set(recording.ledger.versions)
                demand(seen == {"1", "2"}, "the load did not see the change", "answers of versions 1 and 2", str(seen))
        lab.forget(namespace)


def _define(lab: Lab, journal: Journal, source: Published) -> None:
    """Bring the definitions in crds/, which helm leaves, to what the candidate has; or say that nobody does."""
    new = lab.definitions_of(lab.candidate)
    if not new or new == lab.definitions_of(source):
        return
    if lab.subject.crds != "applied":
        journal.skip('that definitions are upgraded: crds/ differs, and helm leaves it (crds = "applied" does it)')
        return
    with journal.step(f"the definitions of {lab.candidate.version} are applied, as helm does not"):
        # In helm's name: of another manager's definitions helm would say that they conflict, at the next installation.
        words = ("--server-side", "--force-conflicts", "--field-manager=helm")
        said = lab.kubectl("default", "apply", *words, "--filename=-", stdin=new)
        journal.detail(", ".join(said.splitlines()))


def environments(lab: Lab, journal: Journal) -> None:
    """From the version before to the candidate with the values of each environment, without a loss."""
    first, *others = lab.chosen
    if not others:
        raise Untested(f"further values: {first} is all there is, and what the upgrades are made with")
    source = lab.sources[0]
    for values in others:
        purpose, step = f"environment-{values}", f"{values}: install {source.version}"
        namespace, rollout, _ = _installed(lab, journal, purpose, source, step, values=values, ready=True)
        with (
            steps.under_load(lab, journal, rollout, values, f"{values}: the upgrade", enough=300, rate=LIGHT),
            journal.step(f"{values}: upgrade {source.version} to {lab.candidate.version}, image 1 to 2"),
        ):
            rollout.upgrade(lab.target(namespace, values=values, image="2"))
        lab.forget(namespace)


def changes(lab: Lab, journal: Journal) -> None:
    """What the chart tells of its values changes one at a time, with services that end abruptly where it has those."""
    known = lab.subject.changes
    if not known.keys() - _NO_UPGRADES:
        raise Untested("one change at a time: [tool.gati.e2e.changes] tells none")
    namespace = lab.namespace("changes")
    rollout = lab.rollout(journal, namespace)
    given, image = ["abrupt"], "1"

    def unanswered() -> str:
        told = f"answers lead to {', '.join(steps.answered_routes(lab, namespace))}"
        return "; ".join(filter(None, (told, pods.stale_mounts(lab.pods(namespace)))))

    def change(what: str, *more: str) -> Revision:
        given.extend(more)
        with journal.step(f"upgrade: {what}"):
            return rollout.upgrade(lab.target(namespace, image=image, changes=given))

    abruptly = ", with services that stop as soon as they are told to" if "abrupt" in known else ""
    with journal.step(f"install{abruptly}"):
        rollout.install(lab.target(namespace, changes=given))
    # A connection that is kept ends with such a server, and a request on it too: a new one must never meet it.
    kinds = ["new"] if "abrupt" in known else list(KINDS)
    name = "one change at a time"
    with (
        lab.load_behind(journal, namespace, name),
        steps.under_load(lab, journal, rollout, name, "all of them", kinds=kinds, enough=1500),
    ):
        if "routes" in known:
            before = steps.answered_routes(lab, namespace)
            there = steps.pod_uids(lab, namespace)
            change("the routes alone", "routes")
            with journal.step("the routes arrive, and restart nothing"):
                steps.nudge_kubelets(lab, namespace)
                lab.api.wait(
                    lambda: bool(steps.answered_routes(lab, namespace) - before),
                    what="the changed routes to be answered",
                    deadline=min(_ROUTES_DEADLINE, lab.deadline),
                    state=unanswered,
                )
                demand(there == steps.pod_uids(lab, namespace), "a change of the routes replaced pods")
        if "configuration" in known:
            change("the configuration alone", "configuration")
        if "configuration" in known and lab.subject.configured_key:
            with journal.step("the pods know the changed configuration"):
                steps.await_configured(lab, namespace)
        if lab.subject.versioned:
            image = "2"
            change("the image alone")
            with journal.step("the pods run the changed image"):
                steps.demand_images(lab, namespace, "2")
        if "scaler" in known:
            with journal.step("the replicas are said by hand, as the guide has it before a scaler takes over"):
                _scale(lab, namespace, 4)
            change("a scaler takes over the replicas", "scaler")
            with journal.step("the scaler chooses three replicas"):
                _scale(lab, namespace, 3)
            change("labels and image while the scaler owns the replicas", "labels")
            with journal.step("the replicas that the scaler chose survive the upgrade"):
                replicas = steps.workload_of(lab, lab.front(), namespace)["spec"]["replicas"]
                demand(replicas == 3, "the upgrade set the replicas back", "3", str(replicas))
                promises.unscaled(lab, namespace)
        for other in sorted(known.keys() - _SPECIAL):
            change(f"{other} alone", other)
        if "tls" in known:
            lab.make_certificate(namespace)
            change("TLS, while the plain port stays", "tls")
            look = "TLS: selectors select, and lead to open ports"
            journal.look(look, promises.selected, lab, namespace, namespace)
    if "tls" in known:
        _over_https(lab, journal, rollout, change, kinds)


def _over_https(
    lab: Lab, journal: Journal, rollout: Rollout, change: Callable[..., Revision], kinds: Sequence[str]
) -> None:
    """Clients change over to HTTPS: plain HTTP sends them there, then goes, and a new certificate is followed."""
    namespace = rollout.namespace
    with journal.step("TLS: the Service is answered over HTTPS, by way of what is behind it"):
        outside, targets = lab.open(namespace, port="https")
        demand(outside.scheme == "https", "the Service does not offer HTTPS", "https", ", ".join(outside.asked))
        journal.detail(f"{len(targets)} nodes; {metrics.monitored(lab, namespace, namespace)}")
    if later := lab.subject.changes.keys() & {"tls-redirect", "tls-alone"}:
        name = "TLS in place of plain HTTP"
        how: Mapping[str, Any] = {"port": "https", "kinds": kinds, "enough": 300, "rate": LIGHT}
        with steps.under_load(lab, journal, rollout, name, name, **how):
            if "tls-redirect" in later:
                change("TLS, and plain HTTP is sent to it", "tls-redirect")
                journal.look("plain HTTP is sent to HTTPS", steps.demand_redirected, lab, namespace)
            if "tls-alone" in later:
                notes = change("TLS alone, without the plain port", "tls-alone").notes
        if "tls-alone" in later:
            with journal.step("TLS alone: monitoring and the notes follow, and the plain port is gone"):
                told = metrics.monitored(lab, namespace, namespace), promises.told(lab, notes, namespace, namespace)
                journal.detail("; ".join(told))
                plain, names = lab.question.port, {port.get("name") for port in steps.offered_ports(lab, namespace)}
                demand(plain not in names, f"Service {lab.question.service} still has port {plain}")
    if lab.subject.least_rights:
        what = "TLS: rights suffice for what it needs too, and are no wider"
        journal.look(what, promises.rights_fit, lab, namespace, namespace)
    if lab.subject.careful:
        what = "TLS: pods say what they need, with what TLS gives them"
        journal.look(what, pods.needs_are_said, lab.pods(namespace))
        with journal.step("TLS: a new certificate is followed, and replaces no pod"):
            there, before = steps.pod_uids(lab, namespace), {certificate(target) for target in targets}
            lab.make_certificate(namespace)
            steps.nudge_kubelets(lab, namespace)
            lab.api.wait(
                lambda: not before & {certificate(target) for target in targets},
                what="the new certificate to be served",
                deadline=min(_ROUTES_DEADLINE, lab.deadline),
                state=lambda: pods.stale_mounts(lab.pods(namespace)),
            )
            demand(there == steps.pod_uids(lab, namespace), "a new certificate replaced pods")


def _scale(lab: Lab, namespace: str, replicas: int) -> None:
    steps.scale(lab, namespace, lab.front(), replicas)
    lab.await_ready(namespace)


def rollback(lab: Lab, journal: Journal) -> None:
    """Back to the version before: what is declared is as it was, field by field, and nothing was lost."""
    source = lab.sources[0]
    namespace, rollout, first = _installed(lab, journal, "rollback", source)
    with steps.under_load(lab, journal, rollout, "rollback", "the rollback"):
        before = steps.taken(lab, namespace)
        with journal.step(f"upgrade to {lab.candidate.version}, image and configuration too"):
            rollout.upgrade(lab.target(namespace, image="2", changes=["configuration"]))
            changed = bool(differences(before, steps.taken(lab, namespace)))
            runs = lab.subject.versioned and lab.found.workloads
            demand(changed or not runs, "the upgrade changed nothing")
            if not changed:
                journal.skip("a rollback that changes anything: the upgrade renders the same objects")
        with journal.step(f"roll back to {source.version}"):
            revision = rollout.rollback(first.number)
            steps.demand_deployed(revision, source)
        with journal.step("every object is as it was before the upgrade"):
            lab.await_settled(namespace)
            journal.detail(steps.demand_same(before, steps.taken(lab, namespace)))
            steps.demand_images(lab, namespace, "1")


def reuse(lab: Lab, journal: Journal) -> None:
    """The values of the version before stay: as a file, by --reuse-values and by --reset-then-reuse-values."""
    source = lab.sources[0]
    if source == lab.candidate:
        raise Untested("values of the version before: there is none")
    values = lab.named(lab.subject.disrupted_with)
    step = f"install {source.version} with its {values} values"
    namespace, rollout, first = _installed(lab, journal, "reuse", source, step, values=values, ready=True)
    given = lab.values_of(namespace)
    with steps.under_load(lab, journal, rollout, "reuse", "values of before", enough=300, rate=LIGHT):
        with journal.step(f"upgrade to {lab.candidate.version} with the values file of {source.version}"):
            rollout.upgrade(lab.target(namespace, values=values, of=source))
        for flag in ("--reset-then-reuse-values", "--reuse-values"):
            with journal.step(f"back to {source.version}, and upgrade with {flag}"):
                rollout.rollback(first.number)
                target = Target(lab.candidate.reference, flags=(flag,), plain_http=True)
                before = rollout.history()
                try:
                    steps.demand_deployed(rollout.upgrade(target), lab.candidate)
                except RolloutFailed as failure:
                    # This flag hides the new chart's defaults: a schema may refuse that, before anything has begun.
                    # Where the chart is careful, one says what is missing, and no template falls over it.
                    fell = lab.subject.careful and "nil pointer" in str(failure)
                    if flag != "--reuse-values" or rollout.history() != before or fell:
                        raise
                    journal.detail(f"refused before anything began: {failure.cause}")
                    continue
                now = lab.values_of(namespace)
                demand(now == given, f"{flag} changed the values that were given", given, now)


def hands(lab: Lab, journal: Journal) -> None:
    """People scale, edit and apply between two revisions, a second manager too: helm goes on, or says the way."""
    if not lab.found.workloads:
        raise Untested("what people do to workloads: the chart has none")
    source, front = lab.sources[0], (lab.found.behind or lab.found.workloads)[0]
    namespace, rollout, first = _installed(lab, journal, "hands", source, ready=True)
    kind, name = kind_and_name(front)
    declared = next((one.data for one in lab.manifest(namespace) if (one.kind, one.name) == (kind, name)), None)
    if declared is None:
        raise Untested(f"what people do to {front}: {source.version} has none")
    with steps.under_load(lab, journal, rollout, "hands", "the upgrade and the rollback", enough=300, rate=LIGHT):
        if replicas := (declared.get("spec") or {}).get("replicas"):
            with journal.step("a person scales"):
                lab.kubectl(namespace, "scale", front, f"--replicas={int(replicas) + 1}")
                lab.await_ready(namespace)
        with journal.step("a person edits: a variable and an annotation"):
            lab.kubectl(namespace, "set", "env", front, "GATI_E2E=edited")
            lab.kubectl(namespace, "annotate", front, "gati-e2e/edited=yes")
            lab.await_ready(namespace)
        with journal.step("a person applies the object as helm has it"):
            lab.kubectl(namespace, "apply", "--filename=-", stdin=json.dumps(declared))
            lab.await_ready(namespace)
        with journal.step("a second manager applies a part of it on the server, by force"):
            meta = {"name": name, "labels": {"gati-e2e/managed": "elsewhere"}}
            part = {"apiVersion": declared["apiVersion"], "kind": kind, "metadata": meta}
            if replicas:
                part["spec"] = {"replicas": int(replicas) + 1}
            words = ("--server-side", "--force-conflicts", "--field-manager=gati-e2e-second")
            lab.kubectl(namespace, "apply", *words, "--filename=-", stdin=json.dumps(part))
            lab.await_ready(namespace)

        def upgraded(*flags: str) -> None:
            rollout.upgrade(lab.target(namespace, image="2", flags=flags))

        with journal.step(f"upgrade to {lab.candidate.version}"):
            _go_on(upgraded, journal)
            steps.demand_images(lab, namespace, "2")
        with journal.step(f"roll back to {source.version}"):
            _go_on(lambda *flags: rollout.rollback(first.number, flags=flags), journal)
            steps.demand_images(lab, namespace, "1")


def _go_on(act: Callable[..., object], journal: Journal) -> None:
    """Do what may meet fields that somebody else owns: it succeeds, or names them, and then does by force."""
    try:
        act()
    except RolloutFailed as error:
        demand(error.cause.kind == "conflict", "it fails for another reason than a conflict", found=str(error))
        journal.detail(f"refused: {error.message}; then by force")
        act(_FORCE)
    else:
        journal.detail("nothing stood in its way")


def helms(lab: Lab, journal: Journal) -> None:
    """What one major of helm installed, the other one upgrades and rolls back, and the first one upgrades again."""
    if lab.other is None:
        raise Untested("installations that change hands between majors of helm: --helm names one alone")
    source = lab.sources[0]
    mine, other = (lab.tools.helm, lab.major), lab.other
    for first, second in ((mine, other), (other, mine)):
        name = f"{first[1]} to {second[1]}"
        namespace = lab.namespace(f"helm-{first[1]}-{second[1]}")
        maker = lab.rollout(journal, namespace, helm=first)
        keeper = lab.rollout(journal, namespace, helm=second)
        with journal.step(f"helm {first[1]} installs {source.version}"):
            revision = maker.install(lab.target(namespace, source))
            lab.await_ready(namespace)
        with steps.under_load(lab, journal, maker, f"helm {name}", f"helm {name}", enough=1500):
            before = steps.taken(lab, namespace)
            with journal.step(f"helm {second[1]} upgrades to {lab.candidate.version}, image 1 to 2"):
                upgraded = keeper.upgrade(lab.target(namespace, image="2"))
                steps.demand_deployed(upgraded, lab.candidate)
            after = steps.taken(lab, namespace)
            with journal.step(f"helm {second[1]} rolls back to {source.version}"):
                keeper.rollback(revision.number)
                lab.await_settled(namespace)
                journal.detail(steps.demand_same(before, steps.taken(lab, namespace)))
            with journal.step(f"helm {first[1]} upgrades again"):
                target = lab.target(namespace, image="2")
                maker.upgrade(target)
                lab.await_settled(namespace)
                drawn = () if lab.subject.careful else lab.drawn(target, namespace)
                journal.detail(steps.demand_same(after, steps.taken(lab, namespace), drawn=drawn))
        lab.forget(namespace)


def disruption(lab: Lab, journal: Journal) -> None:
    """A node goes, pods die, what is behind them restarts: the budget is kept and nothing is lost."""
    if not lab.found.workloads:
        raise Untested("disruptions: the chart has no workload")
    values = lab.named(lab.subject.disrupted_with)
    step = f"install with {values} values"
    namespace, rollout, _ = _installed(lab, journal, "disruption", lab.candidate, step, values=values, ready=True)
    data = Data(lab, journal, namespace)
    workloads = (*lab.found.behind, *lab.found.workloads)
    front = next((one for one in workloads if lab.pods(namespace, one)), "")
    if not front:
        lab.forget(namespace)
        raise Untested(f"disruptions: there is no pod of {', '.join(lab.found.workloads)}")
    budget = steps.budget_of(lab, namespace, front)
    alone = len(lab.pods(namespace, front)) < _SEVERAL
    if alone:
        missed = lab.subject.careful and values == lab.subject.disrupted_with
        demand(not missed, f"the loss of the one pod of {front} is noticed")
        journal.skip(f"that the loss of a pod goes unnoticed: {front} has one pod")
    with lab.load(journal, namespace, "disruption", must_pass=not alone) as recording:
        if budget and not alone:
            with journal.step("a node is drained, the budget respected"):
                steps.drain_node(lab, journal, namespace, front)
        elif not front.startswith("DaemonSet/"):
            demand(alone or not lab.subject.careful, f"no disruption budget guards the pods of {front}")
            journal.skip(f"that a drain goes unnoticed: no disruption budget guards the pods of {front}")
        with journal.step("a pod of the front is deleted"):
            steps.delete_pod(lab, namespace, front)
        for back in lab.subject.backs:
            with journal.step(f"a pod of {back} dies at once"):
                steps.delete_pod(lab, namespace, back, grace=0)
            with journal.step(f"{back} restarts, every pod of it"):
                lab.kubectl(namespace, "rollout", "restart", back)
                lab.await_ready(namespace)
        steps.after_rollout(lab, journal, rollout, recording, "the disruption")
    if recording and budget and not alone:
        with journal.step("as many pods were ready at all times as the budget says"):
            least = budget["status"]["desiredHealthy"]
            fewest = fewest_ready(recording.ledger.events, recording.ledger.service, since=recording.ledger.begin)
            told = f"at least {least}", str(fewest)
            demand(fewest >= least, "too few pods of the front were ready at a time", *told, timely=True)
    data.lose_nodes()


def outage(lab: Lab, journal: Journal) -> None:
    """What is behind is away: the front says that it is not ready, lives on, the tests fail; then all is well."""
    backs = [back for back in lab.subject.backs if back in lab.found.workloads]
    if not backs:
        raise Untested("an outage of what is behind: [tool.gati.e2e] backs names nothing")
    namespace, rollout, _ = _installed(lab, journal, "outage", lab.candidate, "install")
    with journal.step("what is behind goes, and the front says that it is not ready"):
        replicas = {back: steps.scale(lab, namespace, back, 0) for back in backs}
        lab.api.wait(
            lambda: not any(map(is_ready, lab.pods(namespace, lab.front()))),
            what=f"pods of {lab.front()} with nothing behind them to say that they are not ready",
            deadline=_UNREADY_DEADLINE,
        )
    lives = functools.partial(pods.probes_answer, kinds=("livenessProbe",))
    journal.look("the front lives nevertheless: a restart would not help it", lives, lab, namespace)
    journal.look("the chart's tests fail now", _tests_fail, lab, journal, namespace)
    with journal.step("what is behind comes again, and all is well by itself"):
        for back, count in replicas.items():
            steps.scale(lab, namespace, back, count)
        lab.await_ready(namespace)
    steps.run_tests(lab, journal, rollout, "the outage")
    steps.demand_unharmed(lab, journal, "the outage", namespace)


def _tests_fail(lab: Lab, journal: Journal, namespace: str) -> str:
    """Each test of the chart fails while what it tests is away; it is run as helm does, but once."""
    tests = steps.pods_of_tests(lab, namespace)
    if not tests:
        journal.skip("tests that fail, for the chart has no pods of tests")
    for test in tests:
        meta = {**test.data["metadata"], "name": f"{test.name}-away", "annotations": {}}
        spec = {**test.spec, "restartPolicy": "Never"}
        lab.api.create({**test.data, "metadata": meta, "spec": spec}, namespace)
    for test in tests:
        name = f"{test.name}-away"
        ended = lab.await_phase(name, namespace, "Succeeded", "Failed", what=" to end", deadline=90)["phase"]
        demand(ended == "Failed", f"test {test.name} passes while what it tests is away", "a failure", ended)
        lab.api.delete("Pod", name, namespace)
    return ", ".join(test.name for test in tests)


_MISSING = "missing"  # a {version} of which there is no image


def _starts(lab: Lab, target: Target, namespace: str) -> bool:
    """Whether a workload of `target` has the image that is missing."""
    rendered = read_manifests(lab.template(target, namespace), namespace)
    pods = [one.spec["template"] for one in rendered if f"{one.kind}/{one.name}" in lab.found.workloads]
    return any(_MISSING in str(each.get("image")) for pod in pods for each in containers_of(pod))


def failed_upgrade(lab: Lab, journal: Journal) -> None:
    """A bad image is rolled back by itself, a killed helm's upgrade is recovered, and no client notices."""
    ways: list[tuple[str, str, list[str]]] = []
    if "init" in lab.subject.changes:
        ways.append(("an init container that fails keeps the pod from starting", "1", ["init"]))
    if lab.subject.versioned:
        ways.append(("an image that never gets ready is rolled back by itself", _MISSING, ["configuration"]))
    if not ways:
        raise Untested(f"an upgrade that fails: {_UNVERSIONED}")
    namespace = lab.namespace("failed-upgrade")
    if lab.subject.versioned and not _starts(lab, lab.target(namespace, image=_MISSING), namespace):
        raise Untested('an upgrade that fails: no pod that runs all the time has an image with the "{version}" in it')
    rollout = lab.rollout(journal, namespace)
    with journal.step("install"):
        rollout.install(lab.target(namespace))
    running = [steps.workload_of(lab, name, namespace) for name in lab.found.workloads]
    if running and all(map(waits_for_hands, running)):
        raise Untested("an upgrade that fails: no pod comes of one until another is deleted (OnDelete)")
    with (
        steps.under_load(lab, journal, rollout, "failed upgrade", "the upgrade"),
        steps.broken_pods_replaced(lab, journal, namespace),
    ):
        before = steps.taken(lab, namespace)
        for what, image, given in ways:
            with journal.step(what):
                target = lab.target(namespace, image=image, changes=given)
                try:
                    rollout.upgrade(target, rollback_on_failure=True)
                except RolloutFailed as error:
                    journal.detail(error.message)
                    became = str(error.found).partition("\n")[2]  # without how long it took
                else:
                    if not lab.pods(namespace):
                        raise Untested("an upgrade that fails: no pod runs")
                    raise ClusterError(f"an upgrade that cannot succeed did: {what}")
                status = rollout.status()
                demand(status == "deployed", "the release was not rolled back", "deployed", f"{status}: {became}")
                steps.demand_same(before, steps.taken(lab, namespace))
        if lab.subject.versioned:
            with journal.step("helm is killed in the middle of an upgrade"):
                steps.kill_helm(lab, journal, rollout, lab.target(namespace, image="2"))
            with journal.step("the release that it left pending is recovered"):
                rollout.recover()
                status = rollout.status()
                demand(status == "deployed", "the release was not recovered", "deployed", str(status))
                steps.demand_same(before, steps.taken(lab, namespace))
        with journal.step("the same upgrade then succeeds"):
            rollout.upgrade(lab.target(namespace, image="2"))


def uninstall(lab: Lab, journal: Journal) -> None:
    """What was installed is gone, but for what is kept on purpose."""
    namespace = lab.namespace("uninstall")
    objects = lab.name("uninstall-objects") if lab.subject.makes_namespace else namespace
    rollout = lab.rollout(journal, namespace, objects)
    outside = lab.cluster_objects(namespace)
    there = {item["metadata"].get("uid") for item in lab.api.objects(namespace)}  # in a namespace of the cluster's own
    values = lab.named(lab.subject.uninstalled_with)
    with journal.step(f"install with {values} values"):
        rollout.install(lab.target(objects, values=values))
        documents = list(lab.manifest(namespace))
        # A careful chart leaves nothing but its namespace, whatever an object asks for.
        hooks = [] if lab.subject.careful else list(lab.manifest(namespace, hooks=True))
        leaving = [one for one in documents if one.kind == "Namespace" or not lab.subject.careful]
        kept = {f"{one.kind}/{one.name}" for one in leaving if _KEEP in one.annotations}
    with journal.step("uninstall"):
        rollout.uninstall()
        lab.await_settled(objects)
        journal.detail(f"{len(documents)} objects")
    with journal.step("nothing is left but what is kept on purpose"):
        seen: set[str] = set()

        def left() -> dict[str, str]:  # why each is still there
            items = [
                item for space in {namespace, objects} for item in lab.api.objects(space) if not steps.is_native(item)
            ]
            items = [item for item in items if item["metadata"].get("uid") not in there]
            items += filter(None, (lab.live(one, namespace) for one in documents if one.elsewhere))
            uids = {item["metadata"].get("uid") for item in items}
            items = [item for item in items if uids.isdisjoint(_owners(item))]  # as a Job's pods, which go with it
            going = {id(item): unsettled(item) for item in items if "deletionTimestamp" in item["metadata"]}
            found = {f"{item['kind']}/{item['metadata']['name']}": going.get(id(item), "") for item in items}
            seen.update(name for name in found if steps.is_kept(lab, name, kept, hooks))
            return {name: why for name, why in sorted(found.items()) if name not in seen}

        # What Kubernetes derives from them, such as EndpointSlices, goes a moment later.
        lab.api.observe(
            left,
            what="every object of the release to be gone",
            deadline=30,
            told=lambda left: ", ".join(name + (f": {why}" if why else "") for name, why in left.items()),
        )
        demand(not rollout.history(), "helm still knows the release")
        journal.detail(f"kept: {', '.join(sorted(seen))}" if seen else "")
    with journal.step("nothing outside of its namespaces is left, or was changed"):
        changed = differences(outside, lab.cluster_objects(namespace))
        found = [one for one in changed if not steps.is_definition(lab, kept, str(one))]
        demand(not found, "the release leaves something in the cluster", "no difference", "\n".join(map(str, found)))
    if lab.subject.makes_namespace:
        with journal.step("the namespace that the chart made is kept"):
            policy = steps.object_of(lab, "Namespace", objects)["metadata"].get("annotations", {}).get(_KEEP)
            demand(policy == "keep", "the namespace is not marked as kept", f"{_KEEP}: keep", str(policy))


def _owners(item: Mapping[str, Any]) -> list[str]:
    return [owner["uid"] for owner in item["metadata"].get("ownerReferences") or ()]


def selfcheck(lab: Lab, journal: Journal) -> None:
    """The negative control: an upgrade of a sabotaged chart must lose requests, and the ledger say when and why."""
    question = lab.question  # without one there is nothing to lose
    if not lab.subject.versioned:
        raise Untested(f"the negative control: {_UNVERSIONED}")
    if lab.sabotaged is None:
        raise ClusterError("the sabotaged chart was not published")
    namespace, rollout, _ = _installed(lab, journal, "selfcheck", lab.sabotaged, "install the sabotaged chart")
    load = lab.load(journal, namespace, "selfcheck", must_pass=False)
    with load as recording, journal.step("upgrade it, image 1 to 2"):
        rollout.upgrade(lab.target(namespace, lab.sabotaged, image="2"))
        lab.await_settled(namespace)
    if recording is None:
        raise Untested(f"the negative control: {question} is not asked")
    ledger = recording.ledger
    with journal.step("requests were lost, and the ledger says when and why"):
        demand(ledger.failed > 0, "a chart without readiness, preStop and rolling update lost no request")
        steps.demand_explained(ledger.incidents, journal.say)
        journal.detail(f"{ledger.failed} lost in {len(ledger.incidents)} incidents")


SCENARIOS: Mapping[str, Callable[[Lab, Journal], None]] = {
    scenario.__name__.replace("_", "-"): scenario
    for scenario in (
        *(dry_run, install, upgrade, environments, changes, rollback, reuse, hands, helms, disruption, outage),
        *(failed_upgrade, uninstall, selfcheck),
    )
}
ON_REQUEST = ("reuse", "hands", "helms")
"""The scenarios about an operator's habits more than about a chart: `--scenario` asks for them."""
