"""Owns what the smoke test's scenarios stand on: the cluster, the published charts, their values, where results go."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.chart.helm import Helm
from scripts.chart.manifests import Document, Manifests, difference, read_manifests
from scripts.chart.pods import selects
from scripts.cluster.api import Api
from scripts.cluster.kind import PREFIX
from scripts.cluster.objects import Object, address_of, conditions, counts, is_hook, labels_of, release_of
from scripts.cluster.snapshot import Snapshot, read_objects
from scripts.cluster.transport import Login
from scripts.core.command import Runner
from scripts.core.errors import ClusterError, CommandFailed, CommandTimeout, ReleaseError
from scripts.core.files import write_atomic, write_json
from scripts.core.yaml_read import merge
from scripts.e2e.control import Control
from scripts.e2e.discover import NOTHING, Found
from scripts.e2e.k6 import KINDS, LoadEnded, load
from scripts.e2e.ledger import ENOUGH, LATENCY, Ledger
from scripts.e2e.outside import Outside, asked, connects, speaks_tls
from scripts.e2e.recording import Recording, record
from scripts.e2e.report import Broken, CutShort, Journal, LoadFailed, Unproven, Untested
from scripts.e2e.subject import Question, Subject, answer
from scripts.rollout.rollout import Rollout, Target, kept

DEFAULT = "default"  # the values set that has no file
RATE = 25  # requests a second of each kind of connection: ENOUGH of them while one rollout is on
CONTROL = "control"  # the namespace of the control, which all attempts share
LIGHT = 10  # the same where rollouts are many
_RUN_LABEL = "gati-e2e/run"
_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
_GONE_DEADLINE = 60.0  # of a pod beyond its grace period
_CLEAN_DEADLINE = 120.0
_APART = re.compile(r"^---.*$", re.MULTILINE)  # between two documents
# What kubectl says where the server does not take an object, as opposed to not answering.
_REFUSED = re.compile(r"is invalid|BadRequest|Forbidden|no matches for kind|unknown field|denied the request")
# Outside of namespaces, these come and go by themselves, or with the namespaces and Services of other scenarios.
_MOVING = frozenset(
    {"Namespace", "Node", "CSINode", "VolumeAttachment", "CertificateSigningRequest", "ComponentStatus", "IPAddress"}
    | {"ResourceSlice", "PersistentVolume", "APIService"}
)
_FORWARDED = re.compile(r"^Forwarding from 127\.0\.0\.1:(\d+) ", re.MULTILINE)
_SHARES = 8  # scenarios at a time that may count on every node
_CERTIFICATE = Path(__file__).with_name("certificate.tpl")

# What may be answered where that is not told; where nothing is, it may be asked who comes, or for another method.
_ANSWERS, _GUARDED = range(200, 400), (401, 403, 405)
_TOLD = "what is asked and which answer counts can be told: path, statuses under [tool.gati.e2e]"


Sets = Mapping[str, Path | None]
"""Values files by the name of their set; None for the one that has no file."""


@dataclass(frozen=True)
class Published:
    """A chart in the registry of the run: `reference` is what helm installs, with the digest.

    `sha256` is the archive's, `values` are the values files that it carries, by name.
    """

    name: str
    version: str
    digest: str
    reference: str
    sha256: str = ""
    values: Sets = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, str]:
        return {"name": self.name, "version": self.version, "digest": self.digest, "sha256": self.sha256}


@dataclass(frozen=True)
class Tools:
    helm: Path
    kubectl: Path
    k6: Path


@dataclass
class Lab:
    """One run of the smoke test on one cluster; used by several scenarios at a time.

    `images` is the prefix of the services' images (`gati` for `gati/ingress:1`). `own` says that the cluster is
    ours alone, so that a node of it may be closed. `control` is None where none can run; `latency` is how many times
    slower than before a request may become; `deadline` is what a rollout may take, in seconds. `chosen` are the
    values sets that are tested. `found` is what the candidate turned out to be. `major` is that of helm, and `other` a
    helm of another one. `door` is the image of a proxy, for scenarios that put one before the front.
    """

    api: Api
    runner: Runner
    tools: Tools
    folder: Path
    candidate: Published
    sources: tuple[Published, ...]
    images: str
    own: bool
    subject: Subject
    found: Found = NOTHING
    major: int = 4
    other: tuple[Path, int] | None = None
    control: Control | None = None
    latency: float = LATENCY
    deadline: float = 300
    chosen: tuple[str, ...] = (DEFAULT,)
    login: Login = field(default_factory=Login)
    sabotaged: Published | None = None
    door: str = ""
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    _shares: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_SHARES), repr=False)
    _closing: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _namespaces: list[str] = field(default_factory=list, repr=False)
    _manifests: dict[tuple[str, bool], Manifests] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name in ("HELM_DRIVER", "HELM_MAX_HISTORY"):  # a user's, and meant for releases that last
            self.runner.withhold(name)

    def every_node(self) -> contextlib.AbstractContextManager[object]:
        """A time in which no scenario closes a node, for who counts on all of them; several may have it at once."""
        return self._shares

    @contextlib.contextmanager
    def fewer_nodes(self) -> Iterator[None]:
        """A time for who closes a node, in which nobody counts on all of them."""
        with self._closing, contextlib.ExitStack() as stack:
            for _ in range(_SHARES):
                stack.enter_context(self._shares)
            yield

    # -- namespaces ----------------------------------------------------------------------------

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Those of this attempt; some may not be there yet, or no more."""
        return tuple(dict.fromkeys(self._namespaces))

    def name(self, purpose: str, home: str = "") -> str:
        """The name of a namespace of this run, `home` if given; it is removed with the run, whoever makes it."""
        name = home or f"{PREFIX}{self.run}-{re.sub(r'[^a-z0-9]+', '-', purpose.lower())}"[:63].rstrip("-")
        with self._lock:
            self._namespaces.append(name)
        return name

    def namespace(self, purpose: str) -> str:
        """A new namespace, or the one that the chart is always in.

        It enforces Pod Security `restricted` where the chart says that its pods pass.
        """
        name = self.name(purpose, self.found.home)
        if name == self.found.home and self.api.get("Namespace", name):
            return name
        labels = {**(_RESTRICTED if self.subject.restricted else {}), _RUN_LABEL: self.run}
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        return name

    def forget(self, *names: str) -> None:
        """Begin to remove namespaces whose scenario is over, so that their pods make room. Raises ReleaseError."""
        with contextlib.ExitStack() as stack:
            for name in names:
                stack.callback(self._remove, self.api, name, wait=_CLEAN_DEADLINE if self.found.exclusive else None)

    def _remove(self, api: Api, name: str, *, wait: float | None = None) -> bool:
        """Begin to remove a namespace, and what would not go with it; whether it is to go itself.

        What fails keeps nothing else from being removed. Raises ClusterError for it.
        """
        lent = self._lent(api, name)
        with contextlib.ExitStack() as stack:
            if not lent:
                stack.callback(api.delete, "Namespace", name, wait=wait)
            for service in api.list("Service", name) if lent else ():
                if service["metadata"]["name"].startswith(PREFIX):  # the twin that the load asked
                    stack.callback(api.delete, "Service", service["metadata"]["name"], name)
            if self.found.outside or self.found.home:
                self._uninstall(name)
        return not lent

    def _lent(self, api: Api, name: str) -> bool:
        """Whether a namespace was there before the run, which is so where a chart is always in one of the cluster's."""
        return name == self.found.home and _RUN_LABEL not in labels_of(api.get("Namespace", name) or {"metadata": {}})

    def _uninstall(self, namespace: str) -> None:
        """Remove the release of a namespace: what it has outside of it stands in the way of the next one.

        Raises ClusterError saying what may be left.
        """
        words = ("uninstall", self.subject.release, "--namespace", namespace, "--ignore-not-found", "--wait")
        try:
            self.runner.run((self.tools.helm, *words, *self.login.flags("--kube-context")), deadline=_CLEAN_DEADLINE)
        except (CommandFailed, CommandTimeout) as error:
            outside = f", so look for {', '.join(self.found.outside)}" if self.found.outside else ""
            what = f"helm could not uninstall {self.subject.release} from {namespace}{outside}"
            raise ClusterError(what, found=error.found or error.message) from error

    def attempt(self, number: int) -> Lab:
        """The same lab for one attempt at a scenario, with names of its own for its namespaces."""
        return replace(self, run=self.run if number == 1 else f"{self.run}{number}", _namespaces=[])

    def adopt(self, attempt: Lab) -> None:
        """Have the namespaces of an attempt removed with the run, whatever became of it."""
        with self._lock:
            self._namespaces += attempt._namespaces

    def forget_all(self) -> None:
        """Begin to remove every namespace of this attempt."""
        self.forget(*self._namespaces)

    def clean(self, api: Api, *, wait: bool) -> None:
        """Remove every namespace of the run and what its releases have outside; `wait` until they are gone.

        Raises ClusterError naming those left.
        """
        left, names = dict[str, str](), list(self.namespaces)
        for name in self.namespaces:
            try:
                if not self._remove(api, name):
                    names.remove(name)
            except ReleaseError as error:  # the others are removed all the same
                left[name] = "; ".join(filter(None, (error.message, error.found)))
        end = time.monotonic() + _CLEAN_DEADLINE
        for name in (name for name in names if wait and name not in left):
            look, what = functools.partial(api.get, "Namespace", name), f"namespace {name} to be gone"
            try:
                api.observe(look, what=what, deadline=max(0.0, end - time.monotonic()), told=lambda _: "it is there")
            except ClusterError as error:
                left[name] = error.message
        if left:
            raise ClusterError(
                f"{len(left)} of {len(names)} namespaces of the run are left, or what is theirs elsewhere",
                found="\n".join(f"{name}: {why}" for name, why in left.items()),
                run=f"kubectl delete namespace {' '.join(left)}",
            )

    def sweep(self) -> None:
        """Undo what a killed run left on a cluster of ours: its namespaces, closed nodes."""
        for namespace in self.api.list("Namespace"):
            if namespace["metadata"]["name"].startswith(PREFIX) or _RUN_LABEL in labels_of(namespace):
                self.api.delete("Namespace", namespace["metadata"]["name"])
        for node in self.api.list("Node"):
            if node["spec"].get("unschedulable"):
                self.api.cordon(node["metadata"]["name"], False)

    # -- releases ------------------------------------------------------------------------------

    def rollout(
        self, journal: Journal, namespace: str, objects: str | None = None, helm: tuple[Path, int] | None = None
    ) -> Rollout:
        """The release of a scenario in `namespace`; `objects` is the namespace of its objects if it is another one.

        `helm` is the binary and its major, where it is not the lab's.
        """
        binary, major = helm or (self.tools.helm, self.major)
        return Rollout(
            binary,
            self.runner,
            self.api,
            namespace=namespace,
            release=self.subject.release,
            login=self.login,
            evidence=self.folder / journal.folder / namespace.removeprefix(f"{PREFIX}{self.run}-"),
            say=journal.say,
            also=[*([objects] if objects else []), *self.found.elsewhere],
            major=major,
            deadline=self.deadline,
        )

    def target(
        self,
        namespace: str,
        chart: Published | None = None,
        *,
        image: str = "1",
        values: str = "",
        changes: Sequence[str] = (),
        over: Iterable[Mapping[str, Any]] = (),
        flags: Sequence[str] = (),
        of: Published | None = None,
    ) -> Target:
        """`chart`, the candidate without one, with its set `values` ("" is the first one) and its {version} `image`.

        Its objects are in `namespace`. `changes` are the subject's, and `over` further values that are laid over all.
        What the cluster knows no kind for is switched off. `of` is the chart whose values file is taken, where it is
        not the same; `flags` are further ones of helm's.
        """
        chart = chart or self.candidate
        overlay = self.subject.overlay(
            namespace=namespace, images=self.images, version=image, changes=changes, knows=self.knows
        )
        for more in over:
            merge(overlay, more)
        file = self.folder / "values" / f"{namespace}-{secrets.token_hex(3)}.yaml"
        write_json(file, overlay)
        chosen = (of or chart).values.get(values or self.chosen[0])
        files = (*([chosen] if chosen else []), file)
        return Target(chart.reference, values=files, flags=tuple(flags), plain_http=True)

    def definitions_of(self, chart: Published) -> str:
        """The definitions in crds/ of a chart, "" where it has none."""
        return self.runner.run((self.tools.helm, "show", "crds", chart.reference, "--plain-http")).stdout.strip()

    def values_of(self, namespace: str) -> str:
        """The values that the installed release was given."""
        words = ("get", "values", self.subject.release, "--namespace", namespace, "--output=json")
        return self.runner.run((self.tools.helm, *words, *self.login.flags("--kube-context"))).stdout

    def kubectl(self, namespace: str, *words: str, stdin: str | None = None) -> str:
        """What kubectl says: a person at work. Raises CommandFailed."""
        argv: list[str | Path] = [self.tools.kubectl, f"--namespace={namespace}"]
        return self.runner.run([*argv, *self.login.flags("--context"), *words], stdin=stdin).stdout

    def knows(self, kind: str) -> bool:
        """Whether the cluster knows a kind ("Kind.group")."""
        return any(f"{known.name}.{known.group}" == kind for known in self.api.kinds())

    def skipped(self) -> list[str]:
        """What cannot be tested here because the cluster lacks its kind."""
        return [kind for kind in self.subject.optional if not self.knows(kind)]

    def template(self, target: Target, namespace: str, *, definitions: bool = False) -> str:
        """What helm renders of `target` for this cluster's version, without asking the cluster.

        With `definitions` what is in crds/ too.
        """
        served = {name for kind in self.api.kinds() for name in (kind.api_version, f"{kind.api_version}/{kind.name}")}
        return Helm(self.tools.helm, self.runner).template(
            target.chart,
            release=self.subject.release,
            namespace=namespace,
            values=target.values,
            flags=target.options(),
            kube_version=self.api.version,
            api_versions=sorted(served),
            definitions=definitions,
        )

    def named(self, values: str) -> str:
        """The values set of that name where it is tested, else the first one."""
        return values if values in self.chosen else self.chosen[0]

    def render(self, namespace: str = "", *, image: str = "1", values: str = "") -> Manifests:
        """The objects that helm renders of the candidate for this cluster, definitions in crds/ too, unasked."""
        namespace = namespace or "gati-e2e"
        target = self.target(namespace, image=image, values=values)
        return read_manifests(self.template(target, namespace, definitions=True), namespace)

    def drawn(self, target: Target, namespace: str) -> list[str]:
        """The objects ("Secret web") that two renders of one and the same differ in: passwords, dates, names."""
        one, again = (read_manifests(self.template(target, namespace), namespace) for _ in range(2))
        found = difference(one, again)
        objects = (*found.added, *found.removed, *found.changed)
        return sorted({f"{each.kind} {each.name}" for each in objects})

    def manifest(self, namespace: str, *, hooks: bool = False) -> Manifests:
        """The objects of the installed release, as helm keeps them; its hooks where they are asked for.

        helm, which takes a while to say so, is asked once for each revision: none changes.
        """
        labels = f"owner=helm,name={self.subject.release}"
        records = [one["metadata"] for one in self.api.list("Secret", namespace, labels=labels)]
        newest = max(records, key=lambda meta: int(meta["labels"]["version"]), default={"uid": ""})
        known = newest["uid"], hooks
        if known not in self._manifests:
            release = self.subject.release
            self._manifests[known] = kept(self.runner, self.tools.helm, release, namespace, self.login, hooks=hooks)
        return self._manifests[known]

    def is_outside(self, document: Document) -> bool:
        """Whether an object, and not a namespace itself, lies in another namespace than the release's, or in none.

        One of a kind that is not known yet does not lie in none.
        """
        if document.kind == "Namespace":
            return False
        if document.elsewhere:
            return True
        with contextlib.suppress(ClusterError):
            return not self.api.kind(document.kind, api_version=document.api_version).namespaced
        return False

    def live(self, document: Document, namespace: str) -> Object | None:
        """The object that a document of a manifest declares, as it is in the cluster; None where it is not.

        It is in `namespace` where it does not say in which.
        """
        return self.api.current(document.data, namespace)

    def apply_dry(self, text: str, namespace: str) -> str:
        """`kubectl apply --dry-run=server` of manifests; the warnings. Raises Broken with what the server refuses."""
        places, said = dict[str, list[str]](), ""  # kubectl, other than helm, takes objects of one namespace at a time
        for part in _APART.split(text):
            for one in read_manifests(part, namespace):
                places.setdefault(one.namespace if one.elsewhere else namespace, []).append(part)
        for place, parts in places.items():
            words = ("apply", "--dry-run=server", "--filename=-", f"--namespace={place}")
            argv = [str(self.tools.kubectl), *words, *self.login.flags("--context")]
            result = self.runner.run(argv, stdin="\n---\n".join(dict.fromkeys(parts)), deadline=120, check=False)
            if result.status and _REFUSED.search(result.stderr):
                raise Broken("the API server refuses what the chart renders", found=result.stderr)
            if result.status:
                raise CommandFailed(argv, result.status, stderr=result.stderr)
            said += result.stderr
        return said

    def cluster_objects(self, namespace: str) -> Snapshot:
        """The objects outside of all namespaces, but those of releases in other namespaces than `namespace`.

        On a cluster that is not ours only those that are marked as the release's: somebody else changes the others.
        """

        def belongs(item: Object) -> bool:
            owner = release_of(item)[1]
            return item["kind"] not in _MOVING and (owner == namespace or (owner is None and self.own))

        return read_objects(list(filter(belongs, self.api.objects(None))))

    def make_certificate(self, namespace: str) -> None:
        """Put a new certificate for every Service, and for the nodes' addresses, into the subject's `tls_secret`."""
        chart = self.folder / "certificate"
        services = [service["metadata"]["name"] for service in self.api.list("Service", namespace)]
        names = [name for service in services for name in (service, f"{service}.{namespace}.svc")]
        given = {"addresses": self.addresses(), "names": names}
        write_atomic(chart / "Chart.yaml", "apiVersion: v2\nname: certificate\nversion: 0.0.0\n")
        write_atomic(chart / "templates" / "secret.yaml", _CERTIFICATE.read_bytes())
        write_json(chart / "values.yaml", given)
        text = Helm(self.tools.helm, self.runner).template(chart, release=self.subject.tls_secret)
        (secret,) = read_manifests(text).all("Secret")
        self.api.apply(dict(secret.data), namespace)

    # -- pods ----------------------------------------------------------------------------------

    def pods(self, namespace: str, workload: str = "") -> tuple[Object, ...]:
        """The pods that are not on their way out, of all workloads or of one ("Deployment/name").

        Left out are those of Jobs and hooks, which end by themselves.
        """
        found = tuple(pod for pod in self.api.list("Pod", namespace) if _lasting(pod))
        if not workload:
            return found
        selector = (self.api.get(*kind_and_name(workload), namespace) or {}).get("spec", {}).get("selector")
        return tuple(pod for pod in found if selector and selects(selector, labels_of(pod)))

    def await_phase(self, pod: str, namespace: str, *phases: str, what: str, deadline: float) -> Object:
        """Wait until a pod is in one of `phases`, which is `what` is waited for; its status."""
        return self.api.observe(
            lambda: (self.api.get("Pod", pod, namespace) or {}).get("status", {}),
            lambda status: status.get("phase") in phases,
            what=f"pod {pod}{what}",
            deadline=deadline,
            told=lambda status: str(status.get("containerStatuses") or status.get("conditions")),
        )

    def scaled(self, namespace: str) -> dict[tuple[str, str], int]:
        """The fewest pods that scalers may ask for, by the kind and name of what they scale."""
        scalers = (scaler["spec"] for scaler in self.api.list("HorizontalPodAutoscaler", namespace))
        targets = ((spec["scaleTargetRef"], int(spec.get("minReplicas", 1))) for spec in scalers)
        return {(target["kind"], target["name"]): least for target, least in targets}

    def await_ready(self, namespace: str) -> dict[str, int]:
        """Wait until each workload runs as many ready pods as it or its scaler asks for; their numbers by name."""

        def look() -> tuple[dict[str, int], bool]:
            found, scalers, done = dict[str, int](), self.scaled(namespace), True
            kinds = {name.partition("/")[0] for name in self.found.workloads}
            for workload in (one for kind in kinds for one in self.api.list(kind, namespace)):
                meta, has = workload["metadata"], counts(workload)
                found[meta["name"]] = has.ready
                done = done and {*has} == {max(scalers.get((workload["kind"], meta["name"]), 0), has.wanted)}
                done = done and workload["status"].get("observedGeneration") == meta["generation"]
            return found, done and bool(found or not self.found.workloads)

        def told(seen: tuple[dict[str, int], bool]) -> str:
            ready = [f"{name}: {count} ready" for name, count in seen[0].items()]
            bare = [
                f"{pod['metadata']['name']}: {one.get('message')}"
                for pod in self.api.list("Pod", namespace)
                if (one := conditions(pod).get("PodScheduled", {})).get("status") == "False"
            ]
            return ", ".join((*ready, *bare))

        what = f"all pods of {namespace} to be ready"
        return self.api.observe(look, lambda seen: seen[1], what=what, deadline=self.deadline, told=told)[0]

    def await_settled(self, namespace: str) -> None:
        """Wait until no pod is on its way out: its last seconds are when requests get lost."""

        def leaving() -> list[Object]:
            return [pod for pod in self.api.list("Pod", namespace) if "deletionTimestamp" in pod["metadata"]]

        grace = max((pod["metadata"].get("deletionGracePeriodSeconds") or 0 for pod in leaving()), default=0)
        self.api.observe(
            leaving,
            what="the pods before to be gone",
            deadline=_GONE_DEADLINE + grace,
            interval=0.5,
            told=lambda left: ", ".join(pod["metadata"]["name"] for pod in left),
        )

    def nodes(self) -> list[Object]:
        """The nodes on which pods can run."""
        return [node for node in self.api.list("Node") if _open(node)]

    # -- load ----------------------------------------------------------------------------------

    @property
    def question(self) -> Question:
        """What the load asks. Raises Untested where the chart has nothing to ask."""
        if self.found.question is None:
            raise Untested(self.found.lacks[0])
        return self.found.question

    def front(self) -> str:
        """The workload behind the Service that the load asks ("Deployment/name"). Raises Untested without one."""
        if not self.found.behind:
            raise Untested(f"no workload is behind {self.question}")
        return self.found.behind[0]

    @contextlib.contextmanager
    def load(
        self,
        journal: Journal,
        namespace: str,
        name: str,
        *,
        enough: int = ENOUGH,
        rate: int = RATE,
        kinds: Sequence[str] = KINDS,
        must_pass: bool = True,
        port: str = "",
    ) -> Iterator[Recording | None]:
        """Load the front in `namespace` from outside the pod network while the block runs, and until `enough`.

        `port` names the port of its Service that is asked; "" is the one that was found.
        Where it `must_pass`, the block is left at the end of the step in which requests were lost. The ledger goes
        into `journal` under `name`. Raises ClusterError when it does not pass, and Unproven where the control lost
        too. Where the chart has nothing to ask, or may lose, the journal says so; the first is None.
        """
        if self.found.question is None:
            journal.skip(f"that nobody notices ({name}), for want of {self.found.lacks[0]}")
            yield None
            return
        if self.subject.may_lose and must_pass:
            journal.skip(f"that no request is lost ({name}), for it may: {self.subject.may_lose}")
            must_pass = False
        asked_by = self.question.protocol
        outside, targets = self.open(namespace, port=port)
        question = self.question
        if question.protocol != asked_by:
            journal.skip(f"more than that Service {question.service} takes connections, for it tells no health by gRPC")
        if question.protocol == "tcp":
            kinds = [kind for kind in kinds if kind == "new"] or ["new"]
            rate *= len(KINDS)
        results = self.folder / journal.folder / f"{name}.requests.jsonl"
        when = ""

        def note(ledger: Ledger) -> None:
            journal.ledgers[name] = ledger
            write_json(results.with_name(f"{name}.ledger.json"), ledger.report())

        try:
            with record(
                self.tools.k6,
                self.runner,
                self.api,
                namespace,
                targets=targets,
                results=results,
                question=question,
                rate=rate,
                note=note,
                outside=outside,
                control=self.control,
                enough=enough,
                kinds=kinds,
                latency=self.latency,
            ) as recording:
                with journal.looking(recording.demand_unlost) if must_pass else contextlib.nullcontext():
                    yield recording
                recording.wait_for(enough)
        except LoadEnded as error:
            raise Unproven(f"{name}: {error.message}", found=error.found) from error
        except CutShort as cut:
            if cut.by is not recording:
                raise
            when = f", by the end of the step: {journal.steps[-1].name}"
        ledger = journal.ledgers[name]
        with journal.step(f"no request is lost, none becomes slow: {name}"):
            journal.detail(ledger.summary())
            if ledger.objections and must_pass:
                raise LoadFailed(
                    f"{name}: {'; '.join(ledger.objections)}{when}",
                    expected=f"no request lost of at least {enough}, none slow",
                    found="\n".join(ledger.lines()),
                    run=f"every request is in {results}; where some may be lost, [tool.gati.e2e] may_lose says why",
                )
            if (ledger.windows or when) and not ledger.failed:  # cut short: the rest of the block was never done
                raise Unproven(f"{name}: the machine was in the way", found="\n".join(map(str, ledger.windows)))

    @contextlib.contextmanager
    def load_behind(self, journal: Journal, namespace: str, name: str) -> Iterator[None]:
        """Load a little what the front asks, too, on new connections: a front that asks again hides what is lost."""
        with contextlib.ExitStack() as stack:
            for workload, question in self.found.also:
                lab = replace(self, found=replace(self.found, question=question, behind=(workload,)))
                title = f"{name}, {question.service}"
                stack.enter_context(lab.load(journal, namespace, title, enough=300, rate=LIGHT, kinds=["new"]))
            yield

    def offer(self, namespace: str, *, port: str = "") -> tuple[Outside, list[str]]:
        """Offer the front's Service on every node's address ("address:port"), whether it answers or not."""
        outside = Outside(self.api, namespace, self.question.service, port=port or self.question.port)
        outside.follow()
        return outside, [f"{address}:{outside.node_port}" for address in self.addresses()]

    def open(self, namespace: str, *, port: str = "") -> tuple[Outside, list[str]]:
        """Offer the front's Service on every node's address, and wait until all of them answer.

        `port` names the port of the Service that is asked; "" is the one that was found.
        """
        question = self.question
        outside, places = self.offer(namespace, port=port)
        if question.protocol not in ("http", "https"):
            for place in places:
                self.api.wait(
                    lambda place=place: connects(place),  # type: ignore[misc]
                    what=f"{place} to take connections from outside of the pod network",
                    deadline=30,
                    state=lambda: outside.asked[-1],
                )
            if question.otherwise:
                self._settle_health(question, places)
            return outside, places
        scheme = "https" if question.protocol == "https" else outside.scheme
        urls = [f"{scheme}://{place}" for place in places]
        question = self._settled(question, urls[0], outside)
        targets = [url + question.path for url in urls]
        for target in targets:
            status, _, found = self.api.observe(
                functools.partial(asked, target, question.headers),
                lambda seen: seen[0] in question.statuses,
                what=f"{target} to answer from outside of the pod network",
                deadline=30,
                told=lambda seen: f"{_said(seen[0])}; {outside.asked[-1]}",
            )
            if question.proof and not answer(found, question.proof):
                raise ClusterError(
                    f"{target} is not answered by way of what is behind it",
                    expected=f"an answer with {question.proof}",
                    found=f"status {status}: {json.dumps(found)}",
                )
        return outside, targets

    def ask_past_server(
        self, pod: Object, *, port: object, path: str, scheme: str, headers: Sequence[tuple[str, str]]
    ) -> int:
        """The status that a pod answers a GET with, 0 without an answer. Raises ClusterError where nobody is led there.

        The API server, which leads there too, keeps some headers to itself.
        """
        meta, log = pod["metadata"], self.folder / f"forward-{secrets.token_hex(3)}.log"
        words = ("port-forward", f"--namespace={meta['namespace']}", f"pod/{meta['name']}", f":{port}")
        with self.runner.start([self.tools.kubectl, *words, *self.login.flags("--context")], log=log) as forward:
            found = self.api.wait(
                lambda: _FORWARDED.search(forward.log_tail()) or not forward.running(),
                what=f"kubectl to lead to port {port} of pod {meta['name']}",
                deadline=30,
                state=forward.log_tail,
            )
            if not isinstance(found, re.Match):
                raise ClusterError(f"kubectl leads nobody to pod {meta['name']}", found=forward.log_tail())
            return asked(f"{scheme}://127.0.0.1:{found[1]}/{path.lstrip('/')}", headers)[0]

    def _settled(self, question: Question, url: str, outside: Outside) -> Question:
        """The question with the path and the status that answer, where they are not told; it stays so."""
        if question.statuses and not question.otherwise:
            return question
        paths = dict.fromkeys((question.path, question.otherwise or question.path))

        def answers() -> tuple[dict[str, int], Question | None]:
            seen = {path: asked(url + path, question.headers)[0] for path in paths}
            for right in (question.statuses,) if question.statuses else (_ANSWERS, _GUARDED):
                for path, status in seen.items():
                    if status in right:
                        counts = question.statuses or (status,)
                        return seen, replace(question, path=path, otherwise="", statuses=counts)
            return seen, None

        _, settled = self.api.observe(
            answers,
            lambda found: found[1] is not None,
            what=f"{question} to be answered from outside of the pod network",
            deadline=30,
            told=lambda found: "; ".join(
                (*(f"{path}: {_said(status)}" for path, status in found[0].items()), outside.asked[-1], _TOLD)
            ),
        )
        self.found = replace(self.found, question=settled)
        return self.question

    def _settle_health(self, question: Question, places: Sequence[str]) -> None:
        """Connect alone to a server of gRPC that says that it tells no health, or speaks TLS alone; it stays so."""
        results = self.folder / f"health-{secrets.token_hex(3)}.requests.jsonl"
        with load(self.tools.k6, self.runner, places, results, question=question, kinds=["new"], rate=LIGHT) as asking:
            said = asking.requests()[0]
        unknown = "Unimplemented" in said.error and "HTTP status" not in said.error  # which is a proxy's word
        unknown = unknown or (said.failed and speaks_tls(places[0]))
        if unknown or not said.failed:
            protocol = question.otherwise if unknown else question.protocol
            self.found = replace(self.found, question=replace(question, protocol=protocol, otherwise=""))

    def addresses(self) -> list[str]:
        """The addresses of the nodes on which pods can run."""
        return [address_of(node) for node in self.nodes()]

    def ask(self, url: str) -> dict[str, Any] | None:
        """The JSON that the front answers with, None while it does not."""
        status, _, found = asked(url, self.question.headers)
        return found if 200 <= status < 300 else None


def kind_and_name(workload: str) -> tuple[str, str]:
    """Both parts of a workload ("Deployment/name")."""
    kind, _, name = workload.partition("/")
    return kind, name


def _said(status: int) -> str:
    return f"status {status}" if status else "no answer"


def _lasting(pod: Object) -> bool:
    """Whether a pod stays: it is not told to go, and none of a Job or a hook."""
    meta = pod["metadata"]
    owners = {owner.get("kind") for owner in meta.get("ownerReferences") or ()}
    return "deletionTimestamp" not in meta and "Job" not in owners and not is_hook(pod)


def _open(node: Object) -> bool:
    taints: Sequence[Mapping[str, Any]] = node["spec"].get("taints", ())
    return not any(taint.get("effect") in ("NoSchedule", "NoExecute") for taint in taints)
