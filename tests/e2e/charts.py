"""Charts made on the spot out of plain objects, which need no image but those that every node has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.cluster.api import Api

Object = dict[str, Any]

PAUSE = "registry.k8s.io/pause:3.10"
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@contextmanager
def new_namespace(
    api: Api, name: str, *, labels: Mapping[str, str] | None = None, wait: float | None = 120
) -> Iterator[str]:
    """A new namespace, deleted with all that is in it when the block ends.

    `wait`: seconds in which it must be gone; None waits for nothing.
    """
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}})
    try:
        yield name
    finally:
        api.delete("Namespace", name, wait=wait)


def chart(folder: Path, *documents: Object | str, version: str = "0.1.0") -> Path:
    """A chart in `folder` that renders `documents`; text is a template."""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    about = {"apiVersion": "v2", "name": "fixture", "version": version}
    (folder / "Chart.yaml").write_text(json.dumps(about), encoding="utf-8")
    texts = [item if isinstance(item, str) else json.dumps(item, indent=1) for item in documents]
    (folder / "templates" / "all.yaml").write_text("\n---\n".join(texts), encoding="utf-8")
    return folder


def container(name: str = "main", image: str = PAUSE, *args: str, **more: Any) -> Object:
    """A container; `pause` does nothing, and ends when it is told to."""
    policy = {"imagePullPolicy": "IfNotPresent"}
    return {"name": name, "image": image, **policy, **({"args": [*args]} if args else {}), **more}


def pod_spec(*containers: Object, **more: Any) -> Object:
    """The spec of a pod that ends at once."""
    return {"terminationGracePeriodSeconds": 0, "containers": list(containers or [container()]), **more}


def deployment(name: str = "web", spec: Object | None = None, **more: Any) -> Object:
    """A Deployment of one pod; `more` goes into its spec."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": spec or pod_spec()}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template, **more},
    }


def stateful_set(name: str = "store") -> Object:
    """A StatefulSet of one pod."""
    document = deployment(name)
    return {**document, "kind": "StatefulSet", "spec": {**document["spec"], "serviceName": name}}


def service(name: str = "web") -> Object:
    """A Service for the pods of `deployment(name)`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
    }


def job(name: str, hook: str, spec: Object, *, policy: str = "before-hook-creation", **more: Any) -> Object:
    """A Job that helm runs at `hook`; `more` goes into its spec."""
    annotations = {"helm.sh/hook": hook, "helm.sh/hook-delete-policy": policy}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"template": {"spec": {"restartPolicy": "Never", **spec}}, **more},
    }


def test_pod(name: str, spec: Object) -> Object:
    """A pod that `helm test` runs."""
    metadata = {"name": name, "annotations": {"helm.sh/hook": "test"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"restartPolicy": "Never", **spec},
    }


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def quota(**hard: str) -> Object:
    """A quota for a namespace; "_" in a name stands for "."."""
    limits = {name.replace("_", "."): value for name, value in hard.items()}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tight"}, "spec": {"hard": limits}}


def variable(name: str, source: str, /, **reference: Any) -> Object:
    """An environment variable out of a ConfigMap ("configMapKeyRef") or Secret ("secretKeyRef")."""
    return {"name": name, "valueFrom": {source: reference}}


def in_node_images(nodes: Sequence[Object], word: str) -> str:
    """The image on every node whose name has `word`: Kubernetes' own programs, to run with arguments of ours."""
    for image in nodes[0]["status"]["images"]:
        for name in image["names"]:
            if word in name and "@" not in name:
                return str(name)
    raise AssertionError(f"no image of {word} on {nodes[0]['metadata']['name']}")
