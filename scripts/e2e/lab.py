"""Owns what the smoke test's scenarios stand on: the cluster, the published charts, their values, where results go."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import secrets
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.chart.manifests import Document, Manifests, read_manifests
from scripts.cluster.api import Api
from scripts.cluster.kind import PREFIX, ZONE_LABEL
from scripts.cluster.objects import Object
from scripts.cluster.snapshot import Snapshot, read_objects
from scripts.cluster.transport import Login
from scripts.core.command import Runner
from scripts.core.errors import ClusterError, CommandFailed
from scripts.core.files import write_atomic
from scripts.e2e.control import Control
from scripts.e2e.k6 import KINDS
from scripts.e2e.ledger import ENOUGH, LATENCY
from scripts.e2e.outside import Outside
from scripts.e2e.recording import Recording, record
from scripts.e2e.report import Broken, Journal, LoadFailed, Unproven
from scripts.e2e.subject import GATI, Subject, answer
from scripts.rollout.rollout import Rollout, Target

DEFAULT, VALUES = "default", ("default", "dev", "staging", "prod")
RATE = 30  # requests a second of each kind of connection: ENOUGH of them while one rollout is on
CONTROL = "control"  # the namespace of the control, which all attempts share
LIGHT = 10  # the same where rollouts are many
_RUN_LABEL = "gati-e2e/run"
_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
_CLEAN_DEADLINE = 120.0
# What kubectl says where the server does not take an object, as opposed to not answering.
_REFUSED = re.compile(r"is invalid|BadRequest|Forbidden|no matches for kind|unknown field|denied the request")
# Outside of namespaces, these come and go by themselves, or with the namespaces and Services of other scenarios.
_MOVING = frozenset(
    {"Namespace", "Node", "CSINode", "VolumeAttachment", "CertificateSigningRequest", "ComponentStatus", "IPAddress"}
    | {"ResourceSlice", "PersistentVolume", "APIService"}
)
_CERTIFICATE = """{{- $made := genSelfSignedCert "gati-e2e" .Values.addresses .Values.names 2 }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}
type: kubernetes.io/tls
data:
  tls.crt: {{ $made.Cert | b64enc }}
  tls.key: {{ $made.Key | b64enc }}
  ca.crt: {{ $made.Cert | b64enc }}
"""


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
    values: Mapping[str, Path | None] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, str]:
        return {"name": self.name, "version": self.version, "digest": self.digest, "sha256": self.sha256}


@dataclass(frozen=True)
class Tools:
    """The binaries that the scenarios run."""

    helm: Path
    kubectl: Path
    k6: Path


@dataclass
class Lab:
    """One run of the smoke test on one cluster; used by several scenarios at a time.

    `images` is the prefix of the services' images (`gati` for `gati/ingress:1`). `own` says that the cluster is
    ours alone, so that a node of it may be closed. `control` is None where none can run; `latency` is how many times
    slower than before a request may become; `deadline` is what a rollout may take, in seconds. `chosen` are the
    values files that are tested.
    """

    api: Api
    runner: Runner
    tools: Tools
    folder: Path
    candidate: Published
    sources: tuple[Published, ...]
    images: str
    own: bool
    subject: Subject = GATI
    control: Control | None = None
    latency: float = LATENCY
    deadline: float = 300
    chosen: tuple[str, ...] = VALUES
    login: Login = field(default_factory=Login)
    sabotaged: Published | None = None
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _namespaces: list[str] = field(default_factory=list, repr=False)

    # -- namespaces ----------------------------------------------------------------------------

    def name(self, purpose: str) -> str:
        """The name of a namespace of this run; it is removed with the run, whoever makes it."""
        name = f"{PREFIX}{self.run}-{re.sub(r'[^a-z0-9]+', '-', purpose.lower())}"[:63].rstrip("-")
        with self._lock:
            self._namespaces.append(name)
        return name

    def namespace(self, purpose: str) -> str:
        """A new namespace that enforces Pod Security `restricted`."""
        name = self.name(purpose)
        labels = {**_RESTRICTED, _RUN_LABEL: self.run}
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        return name

    def forget(self, *names: str) -> None:
        """Begin to remove namespaces whose scenario is over, so that their pods make room."""
        for name in names:
            self.api.delete("Namespace", name)

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
        """Remove every namespace of the run; `wait` until they are gone. Raises ClusterError naming those left."""
        end, left = time.monotonic() + _CLEAN_DEADLINE, dict[str, str]()
        for name in self._namespaces:
            try:
                api.delete("Namespace", name)
            except ClusterError as error:  # the others are removed all the same
                left[name] = error.found or error.message
        for name in self._namespaces if wait else ():

            def gone(name: str = name) -> bool | None:
                return True if api.get("Namespace", name) is None else None

            if name not in left:
                try:
                    api.wait(gone, what=f"namespace {name} to be gone", deadline=max(0.0, end - time.monotonic()))
                except ClusterError as error:
                    left[name] = error.message
        if left:
            raise ClusterError(
                f"{len(left)} of {len(self._namespaces)} namespaces of the run are left",
                found="\n".join(f"{name}: {why}" for name, why in left.items()),
                run=f"kubectl delete namespace {' '.join(left)}",
            )

    def sweep(self) -> None:
        """Undo what a killed run left on a cluster of ours: its namespaces, closed nodes."""
        for namespace in self.api.list("Namespace"):
            if namespace["metadata"]["name"].startswith(PREFIX):
                self.api.delete("Namespace", namespace["metadata"]["name"])
        for node in self.api.list("Node"):
            if node["spec"].get("unschedulable"):
                self.api.cordon(node["metadata"]["name"], False)

    # -- releases ------------------------------------------------------------------------------

    def rollout(self, journal: Journal, namespace: str, objects: str | None = None) -> Rollout:
        """The release of a scenario in `namespace`; `objects` is the namespace of its objects if it is another one."""
        return Rollout(
            self.tools.helm,
            self.runner,
            self.api,
            namespace=namespace,
            release=self.subject.release,
            login=self.login,
            evidence=self.folder / journal.folder / namespace.removeprefix(f"{PREFIX}{self.run}-"),
            say=journal.say,
            also=[objects] if objects else [],
        )

    def target(
        self,
        chart: Published,
        namespace: str,
        *,
        image: str = "1",
        values: str = DEFAULT,
        changes: Sequence[str] = (),
    ) -> Target:
        """`chart` with its values file called `values`, its objects in `namespace`, its images in version `image`.

        `changes` are the subject's. What the cluster knows no kind for is switched off.
        """
        overlay = self.subject.overlay(
            namespace=namespace, images=self.images, version=image, changes=changes, knows=self.knows
        )
        file = self.folder / "values" / f"{namespace}-{secrets.token_hex(3)}.yaml"
        write_atomic(file, json.dumps(overlay, indent=1))
        chosen = chart.values.get(values)
        return Target(chart.reference, values=(*([chosen] if chosen else []), file), plain_http=True)

    def knows(self, kind: str) -> bool:
        """Whether the cluster knows a kind ("Kind.group")."""
        return any(f"{known.name}.{known.group}" == kind for known in self.api.kinds())

    def skipped(self) -> list[str]:
        """What cannot be tested here because the cluster lacks its kind."""
        return [kind for kind in self.subject.optional if not self.knows(kind)]

    def template(self, target: Target, namespace: str) -> str:
        """What helm renders of `target` for this cluster's version, without asking the cluster."""
        argv: list[str | Path] = [
            self.tools.helm,
            "template",
            self.subject.release,
            *target.arguments(),
            "--namespace",
            namespace,
        ]
        argv += ["--kube-version", self.api.version]
        return self.runner.run([*argv, *self._api_versions()], deadline=60).stdout

    def _api_versions(self) -> list[str | Path]:
        """What the cluster serves, as helm would find it."""
        kinds = (kind for kind in self.api.kinds() if f"{kind.name}.{kind.group}" in self.subject.optional)
        known = (f"{kind.api_version}/{kind.name}" for kind in kinds)
        return [word for name in known for word in ("--api-versions", name)]

    def render(self, chart: Published, namespace: str, *, values: str = DEFAULT) -> Manifests:
        """The objects that helm renders of `chart` for this cluster, without asking it."""
        return read_manifests(self.template(self.target(chart, namespace, values=values), namespace))

    def manifest(self, namespace: str, *, hooks: bool = False) -> Manifests:
        """The objects of the installed release, as helm keeps them; its hooks where they are asked for."""
        words = ("get", "hooks" if hooks else "manifest", self.subject.release, "--namespace", namespace)
        argv: list[str | Path] = [self.tools.helm, *words]
        return read_manifests(self.runner.run([*argv, *self.login.flags("--kube-context")], deadline=60).stdout)

    def live(self, document: Document) -> Object | None:
        """The object that a document of a manifest declares, as it is in the cluster; None where it is not."""
        group = document.api_version.rpartition("/")[0]
        kind = f"{document.kind}.{group}" if group else document.kind
        return self.api.get(kind, document.name, document.namespace or None)

    def apply_dry(self, text: str, namespace: str) -> str:
        """`kubectl apply --dry-run=server` of manifests; the warnings. Raises Broken with what the server refuses."""
        argv: list[str | Path] = [self.tools.kubectl, "apply", "--dry-run=server", "--filename=-"]
        argv += [f"--namespace={namespace}", *self.login.flags("--context")]
        result = self.runner.run(argv, stdin=text, deadline=120, check=False)
        if result.status and _REFUSED.search(result.stderr):
            raise Broken("the API server refuses what the chart renders", found=result.stderr)
        if result.status:
            raise CommandFailed([str(word) for word in argv], result.status, stderr=result.stderr)
        return result.stderr

    def cluster_objects(self, namespace: str) -> Snapshot:
        """The objects outside of all namespaces, but those of releases in other namespaces than `namespace`.

        On a cluster that is not ours only those that are marked as the release's: somebody else changes the others.
        """
        found = []
        for item in self.api.cluster_objects():
            if item["kind"] in _MOVING:
                continue
            notes = item["metadata"].get("annotations") or {}
            if notes.get("meta.helm.sh/release-namespace", namespace if self.own else "") == namespace:
                found.append(item)
        return read_objects(found)

    def make_certificate(self, namespace: str) -> None:
        """Put a certificate for the front, and for the nodes' addresses, into the Secret that the subject names."""
        chart = self.folder / "certificate"
        given = {"addresses": self.addresses(), "names": [self.subject.front, f"{self.subject.front}.{namespace}.svc"]}
        write_atomic(chart / "Chart.yaml", "apiVersion: v2\nname: certificate\nversion: 0.0.0\n")
        write_atomic(chart / "templates" / "secret.yaml", _CERTIFICATE)
        write_atomic(chart / "values.yaml", json.dumps(given))
        argv: list[str | Path] = [self.tools.helm, "template", self.subject.tls_secret, chart]
        secret = read_manifests(self.runner.run(argv, deadline=30).stdout).one("Secret").data
        self.api.create(dict(secret), namespace)

    # -- pods ----------------------------------------------------------------------------------

    def pods(self, namespace: str, component: str | None = None) -> tuple[Object, ...]:
        """The pods that are not on their way out, of the release or of one component of it."""
        labels = f"app.kubernetes.io/instance={self.subject.release}"
        labels += f",app.kubernetes.io/component={component}" if component else ",app.kubernetes.io/component!=test"
        return tuple(
            pod for pod in self.api.list("Pod", namespace, labels=labels) if "deletionTimestamp" not in pod["metadata"]
        )

    def await_ready(self, namespace: str, *, deadline: float = 120) -> dict[str, int]:
        """Wait until each Deployment runs as many ready pods as it or its scaler asks for; their numbers by name."""
        found: dict[str, int] = {}

        def ready() -> dict[str, int] | None:
            found.clear()
            scalers = {
                scaler["spec"]["scaleTargetRef"]["name"]: scaler["spec"].get("minReplicas", 1)
                for scaler in self.api.list("HorizontalPodAutoscaler", namespace)
            }
            done = True
            for deployment in self.api.list("Deployment", namespace):
                name, spec, status = deployment["metadata"]["name"], deployment["spec"], deployment["status"]
                wanted = max(scalers.get(name, 0), spec["replicas"])
                found[name] = status.get("readyReplicas", 0)
                numbers = {spec["replicas"], found[name], status.get("updatedReplicas", 0), status.get("replicas", 0)}
                done = done and numbers == {wanted} and status.get("observedGeneration") == self._generation(deployment)
            return dict(found) if done and found else None

        def state() -> str:
            return ", ".join(f"{name}: {count} ready" for name, count in found.items())

        return self.api.wait(ready, what=f"all pods of {namespace} to be ready", deadline=deadline, state=state)

    @staticmethod
    def _generation(deployment: Object) -> int:
        return int(deployment["metadata"]["generation"])

    def await_settled(self, namespace: str, *, deadline: float = 60) -> None:
        """Wait until no pod is on its way out: its last seconds are when requests get lost."""
        left: list[str] = []

        def settled() -> bool | None:
            pods = self.api.list("Pod", namespace)
            left[:] = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]]
            return None if left else True

        self.api.wait(
            settled, what="the pods before to be gone", deadline=deadline, interval=0.5, state=lambda: ", ".join(left)
        )

    def nodes(self) -> list[Object]:
        """The nodes on which pods can run."""
        return [node for node in self.api.list("Node") if _open(node)]

    def zones(self) -> set[str]:
        """The zones of the nodes on which pods can run."""
        found = {node["metadata"].get("labels", {}).get(ZONE_LABEL, "") for node in self.nodes()}
        return found - {""}

    def zone_of(self, node: str) -> str:
        found = self.api.get("Node", node) or {"metadata": {}}
        return str(found["metadata"].get("labels", {}).get(ZONE_LABEL, ""))

    # -- load ----------------------------------------------------------------------------------

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
    ) -> Iterator[Recording]:
        """Load the front in `namespace` from outside the pod network while the block runs, and until `enough`.

        The ledger goes into `journal` under `name`. Raises ClusterError when it does not pass, if it `must_pass`, and
        Unproven where the control lost too.
        """
        outside, targets = self.open(namespace)
        results = self.folder / journal.folder / f"{name}.requests.jsonl"
        recording: Recording | None = None
        try:
            with record(
                self.tools.k6,
                self.runner,
                self.api,
                outside,
                namespace=namespace,
                service=self.subject.front,
                targets=targets,
                results=results,
                proof=self.subject.proof,
                rate=rate,
                control=self.control,
                enough=enough,
                kinds=kinds,
                latency=self.latency,
            ) as recording:
                yield recording
                recording.wait_for(enough)
        finally:
            if recording is not None and recording.closed:
                ledger = journal.ledgers[name] = recording.ledger
                write_atomic(results.with_name(f"{name}.ledger.json"), json.dumps(ledger.report(), indent=1) + "\n")
        with journal.step(f"no request is lost, none becomes slow: {name}"):
            journal.detail(ledger.summary())
            if ledger.objections and must_pass:
                raise LoadFailed(
                    f"{name}: {'; '.join(ledger.objections)}",
                    expected=f"no request lost of at least {enough}, none slow",
                    found="\n".join(ledger.lines()),
                    run=f"every request is in {results}",
                )
            if ledger.windows and not ledger.failed:
                raise Unproven(f"{name}: the control lost too", found="\n".join(map(str, ledger.windows)))

    def open(self, namespace: str, *, port: str = "") -> tuple[Outside, list[str]]:
        """Offer the front's Service on every node's address, and wait until all of them answer by way of the back.

        `port` names the port of the Service that is asked; "" is the first one.
        """
        outside = Outside(self.api, namespace, self.subject.front, port=port)
        outside.follow()
        targets = [f"{outside.scheme}://{address}:{outside.node_port}/" for address in self.addresses()]
        for target in targets:
            found = self.api.wait(
                lambda target=target: self.ask(target),  # type: ignore[misc]
                what=f"{target} to answer from outside of the pod network",
                deadline=30,
            )
            if not answer(found, self.subject.proof):
                raise ClusterError(
                    f"{target} is not answered by way of the {self.subject.back}", found=json.dumps(found)
                )
        return outside, targets

    def addresses(self) -> list[str]:
        """The addresses of the nodes on which pods can run."""
        return [
            next(entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP")
            for node in self.nodes()
        ]

    def ask(self, url: str) -> dict[str, Any] | None:
        """The JSON that the front answers with, None while it does not."""
        unchecked = ssl.create_default_context()
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE  # the certificate of a test is nobody's
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked)
        )
        try:
            with opener.open(url, timeout=5) as reply:
                found = json.load(reply)
        except (OSError, ValueError, http.client.HTTPException):
            return None
        return found if isinstance(found, dict) else None


def _open(node: Object) -> bool:
    taints: Sequence[Mapping[str, Any]] = node["spec"].get("taints", ())
    return not any(taint.get("effect") in ("NoSchedule", "NoExecute") for taint in taints)
