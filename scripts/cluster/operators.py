"""Owns the operators of a test cluster: deployed by the manifests of their own pinned modules, with images at hand."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.chart.manifests import read_manifests
from scripts.cluster.api import Api
from scripts.cluster.kind import SERVICE_SUBNET, KindCluster
from scripts.cluster.objects import Object, conditions, counts
from scripts.containers import engine
from scripts.containers.programs import program_images
from scripts.core.parallel import workers
from scripts.workspace import Workspace

MONITORING = "monitoring"
PROMETHEUS = "prometheus"
FIREWALL = "kube-router"
_DEADLINE = 240.0  # seconds until an operator is ready; half a minute on two idle cores
_CRDS = "CustomResourceDefinition"
_HOST_VOLUMES = ("lib-modules", "xtables-lock")  # what a firewall needs of its node
# What their manifests ask for is more than a test cluster on one machine has.
_REQUESTS = {"cpu": "20m", "memory": "32Mi"}


@dataclass(frozen=True)
class Operator:
    """An operator: the programs that it is made of, and the objects that deploy it given their images."""

    programs: Sequence[str]
    objects: Callable[[Workspace, Mapping[str, str]], Iterable[Object]]
    ready: Sequence[tuple[str, str, str]]
    """The Deployments, StatefulSets, DaemonSets and APIServices to wait for, as kind, namespace, name."""


def operator_images(names: Iterable[str], work: Workspace) -> dict[str, str]:
    """The images of operators by the name of the program; pulled or built, which takes long, where they are not there.

    Raises EngineError, ToolError, CommandFailed.
    """
    with engine.connect() as client:
        return program_images([program for name in names for program in OPERATORS[name].programs], work, client)


def deploy(names: Iterable[str], made: KindCluster, api: Api, work: Workspace) -> None:
    """Deploy each of OPERATORS that is named, side by side, and wait until all are ready. Raises ReleaseError."""
    wanted = {name: OPERATORS[name] for name in names}
    images = operator_images(wanted, work)
    made.load_images(images.values())

    def put(operator: Operator) -> None:
        documents = list(operator.objects(work, images))
        for document in sorted(documents, key=lambda each: each["kind"] not in ("Namespace", _CRDS)):
            api.apply(document, document["metadata"].get("namespace", "default"))
        for kind, namespace, name in operator.ready:
            await_ready(api, kind, namespace, name)

    with workers(work.runner) as pool:
        list(pool.map(put, wanted.values()))
    work.say(f"deployed {', '.join(wanted)}")


def await_ready(api: Api, kind: str, namespace: str, name: str) -> None:
    """Wait until all pods of a workload are ready, or until an APIService is available. Raises ClusterError."""

    def told(seen: Object | None) -> str:
        said = [
            f"{pod['metadata']['name']}: {json.dumps(pod['status'].get('containerStatuses', pod['status']))[:600]}"
            for pod in (api.list("Pod", namespace) if namespace else ())
        ]
        return "\n".join((json.dumps((seen or {}).get("status", {})), *said))

    look = functools.partial(api.get, kind, name, namespace or None)
    api.observe(look, _ready, what=f"{kind} {name} to be ready", deadline=_DEADLINE, interval=0.5, told=told)


def _ready(seen: Object | None) -> bool:
    if not seen:
        return False
    if seen["kind"] == "APIService":
        return conditions(seen).get("Available", {}).get("status") == "True"
    has = counts(seen)
    return has.ready == has.wanted > 0


# -- what they are deployed by ---------------------------------------------------------------------


def _metrics_server(work: Workspace, images: Mapping[str, str]) -> Iterator[Object]:
    folder = work.tools.source("metrics-server") / "manifests" / "base"
    for document in _kustomized(folder, work):
        for container in _containers(document):
            container["image"] = images["metrics-server"]
            container["args"] = [*container["args"], "--kubelet-insecure-tls"]  # a kubelet of kind signs by itself
            container["readinessProbe"] |= {"initialDelaySeconds": 1, "periodSeconds": 1}
        yield document


def _prometheus_operator(work: Workspace, images: Mapping[str, str]) -> Iterator[Object]:
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": MONITORING}}
    folder = work.tools.source("prometheus-operator") / "example" / "rbac"
    for file in sorted((folder / "prometheus-operator").glob("*.yaml")):
        for document in _read(file.read_text(encoding="utf-8")):
            if document["kind"] == "ServiceMonitor":
                continue
            for container in _containers(document):
                container["image"] = images["prometheus-operator"]
                reloader = "--prometheus-config-reloader="
                container["args"] = [word for word in container["args"] if not word.startswith(reloader)]
                container["args"] += [reloader + images["prometheus-config-reloader"]]
                container["args"] += ["--config-reloader-cpu-request=10m", "--config-reloader-memory-request=16Mi"]
            yield _moved(document, MONITORING)
    for name in ("service-account", "cluster-role", "cluster-role-binding"):
        for document in _read((folder / "prometheus" / f"prometheus-{name}.yaml").read_text(encoding="utf-8")):
            yield _moved(document, MONITORING)
    yield {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Prometheus",
        "metadata": {"name": PROMETHEUS, "namespace": MONITORING},
        "spec": {
            "image": images["prometheus"],
            "version": _prometheus_version(images["prometheus"]),
            "replicas": 1,
            "serviceAccountName": "prometheus",
            "evaluationInterval": "5s",
            "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
            **{f"{kind}{of}Selector": {} for kind in ("serviceMonitor", "rule") for of in ("", "Namespace")},
        },
    }


def _prometheus_version(image: str) -> str:
    """Of which version the operator takes the flags from: v3.16.0 is that of the module v0.316.0."""
    _, _, tag = image.rpartition(":")
    return re.sub(r"^v0\.(\d)0?(\d+)\.(\d+).*", r"v\1.\2.\3", tag)


def _keda(work: Workspace, images: Mapping[str, str]) -> Iterator[Object]:
    by_name = {"keda-operator": images["keda"], "keda-metrics-apiserver": images["keda-adapter"]}
    for document in _kustomized(work.tools.source("keda") / "config" / "minimal", work):
        for container in _containers(document):
            container |= {"image": by_name[container["name"]], "imagePullPolicy": "IfNotPresent"}
            container["readinessProbe"] |= {"initialDelaySeconds": 1, "periodSeconds": 1}
        yield document


def _kube_router(work: Workspace, images: Mapping[str, str]) -> Iterator[Object]:
    """Its firewall alone: the pods' network and the Services are others' work."""
    file = work.tools.source(FIREWALL) / "daemonset" / "kubeadm-kuberouter.yaml"
    for document in _read(file.read_text(encoding="utf-8")):
        if document["kind"] == "ConfigMap":  # the network that it would make
            continue
        for container in _containers(document):
            container |= {"image": images[FIREWALL], "imagePullPolicy": "IfNotPresent"}
            container["args"] = ["--run-firewall=true", "--run-router=false", "--run-service-proxy=false"]
            container["args"] += ["--enable-cni=false", f"--service-cluster-ip-range={SERVICE_SUBNET}"]
            container["readinessProbe"] = {**container.pop("livenessProbe"), "initialDelaySeconds": 0}
            container["volumeMounts"] = [each for each in container["volumeMounts"] if each["name"] in _HOST_VOLUMES]
            pod = document["spec"]["template"]["spec"]
            pod["volumes"] = [each for each in pod["volumes"] if each["name"] in _HOST_VOLUMES]
            del pod["initContainers"]
            del pod["tolerations"]  # no pod of ours is on the control plane
        yield document


OPERATORS = {
    "metrics-server": Operator(
        ["metrics-server"],
        _metrics_server,
        [("Deployment", "kube-system", "metrics-server"), ("APIService", "", "v1beta1.metrics.k8s.io")],
    ),
    "prometheus-operator": Operator(
        ["prometheus", "prometheus-operator", "prometheus-config-reloader"],
        _prometheus_operator,
        [("Deployment", MONITORING, "prometheus-operator"), ("StatefulSet", MONITORING, f"prometheus-{PROMETHEUS}")],
    ),
    "keda": Operator(
        ["keda", "keda-adapter"],
        _keda,
        [
            ("Deployment", "keda", "keda-operator"),
            ("Deployment", "keda", "keda-metrics-apiserver"),
            ("APIService", "", "v1beta1.external.metrics.k8s.io"),
        ],
    ),
    FIREWALL: Operator([FIREWALL], _kube_router, [("DaemonSet", "kube-system", FIREWALL)]),
}


# -- helpers ---------------------------------------------------------------------------------------


def _kustomized(folder: object, work: Workspace) -> list[Object]:
    """The objects of a folder for kustomize, but for the definitions that the cluster has already."""
    argv = (str(work.tools.path("kubectl")), "kustomize", str(folder))
    documents = _read(work.runner.run(argv, deadline=60).stdout)
    return [document for document in documents if document["kind"] != _CRDS]


def _read(text: str) -> list[Object]:
    """The objects of a manifest, to be changed."""
    return [copy.deepcopy(dict(document.data)) for document in read_manifests(text).documents]


def _containers(document: Object) -> Iterator[dict[str, Any]]:
    if document["kind"] in ("Deployment", "DaemonSet"):
        for container in document["spec"]["template"]["spec"]["containers"]:
            container["resources"] = {"requests": _REQUESTS}
            yield container


def _moved(document: Object, namespace: str) -> Object:
    """The same in another namespace, as who owns and who is bound is."""
    if not document["kind"].startswith("Cluster"):
        document["metadata"]["namespace"] = namespace
    for subject in document.get("subjects", ()):
        subject["namespace"] = namespace
    return document
