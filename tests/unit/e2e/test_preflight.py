"""What a cluster must let us do, and the rules that are named where it does not."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts.chart.manifests import read_manifests
from scripts.core.errors import ClusterError
from scripts.e2e.lab import Lab
from scripts.e2e.preflight import Right, preflight, rules


def test_missing_rights_become_rules_of_a_role() -> None:
    rights = [
        Right("apps", "deployments", "create"),
        Right("", "pods/log", "get"),
        Right("", "pods", "create"),
        Right("", "services", "create"),
        Right("apps", "deployments", "get"),
    ]
    assert rules(rights).splitlines() == [
        '- {apiGroups: [""], resources: [pods, services], verbs: [create]}',
        '- {apiGroups: [""], resources: [pods/log], verbs: [get]}',
        '- {apiGroups: ["apps"], resources: [deployments], verbs: [create, get]}',
    ]


def test_objects_outside_of_the_namespace_of_the_release_are_named() -> None:
    text = """
kind: Namespace
metadata: {name: made}
---
kind: ConfigMap
metadata: {name: mine, namespace: here}
---
kind: ConfigMap
metadata: {name: theirs, namespace: kube-system}
---
kind: ClusterRole
metadata: {name: wide}
"""
    lab = SimpleNamespace(
        chosen=("default",),
        candidate=None,
        render=lambda *_, **__: read_manifests(text, "here"),
        api=SimpleNamespace(kind=lambda name, **_: SimpleNamespace(namespaced=name == "ConfigMap")),
    )
    lab.is_outside = partial(Lab.is_outside, cast("Any", lab))
    with pytest.raises(ClusterError, match="the chart puts objects outside of its namespace") as refused:
        preflight(cast("Any", lab), cluster_objects=False)
    assert refused.value.found == "ClusterRole wide, ConfigMap theirs in kube-system"


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (set(), ""),
        ({("", "pods", "log", "get")}, '- {apiGroups: [""], resources: [pods/log], verbs: [get]}'),
        ({("", "pods", "proxy", "get")}, '- {apiGroups: [""], resources: [pods/proxy], verbs: [get]}'),
        (
            {("", "pods", "portforward", "create")},
            '- {apiGroups: [""], resources: [pods/portforward], verbs: [create]}',
        ),
        ({("apps", "deployments", "", "patch")}, '- {apiGroups: ["apps"], resources: [deployments], verbs: [patch]}'),
    ],
)
def test_a_cluster_that_does_not_let_us_says_the_rules_that_it_lacks(refused: set[tuple[str, ...]], told: str) -> None:
    def may(review: str, spec: dict[str, Any]) -> bool:
        asked = spec["resourceAttributes"]
        key = tuple(asked[part] for part in ("group", "resource", "subresource", "verb"))
        return review == "SelfSubjectAccessReview" and key not in refused

    def kind(name: str, **_: Any) -> Any:
        group = "apps" if name in ("Deployment", "ReplicaSet") else ""
        return SimpleNamespace(group=group, plural=f"{name.lower()}s", namespaced=True)

    text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}"
    text += "\nspec: {template: {spec: {containers: [{livenessProbe: {httpGet: {httpHeaders: [{name: Host}]}}}]}}}"
    api = SimpleNamespace(kind=kind, may=may)
    lab = SimpleNamespace(
        chosen=("default",), candidate=None, render=lambda *_, **__: read_manifests(text, "here"), api=api
    )
    lab.is_outside = partial(Lab.is_outside, cast("Any", lab))
    if not told:
        preflight(cast("Any", lab), cluster_objects=False)
        return
    with pytest.raises(ClusterError, match="does not let us run on it") as missing:
        preflight(cast("Any", lab), cluster_objects=False)
    assert (missing.value.expected or "").splitlines()[1:] == [told]


def test_definitions_are_objects_outside_and_what_they_define_need_not_be_known_yet() -> None:
    text = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gates.example.com}
spec: {group: example.com, names: {kind: Gate, plural: gates}}
---
apiVersion: example.com/v1
kind: Gate
metadata: {name: front}
"""

    def kind(name: str, **_: Any) -> Any:
        if name == "Gate":
            raise ClusterError("the cluster knows no kind example.com/v1 Gate")
        return SimpleNamespace(group="", plural=f"{name.lower()}s", namespaced=name != "CustomResourceDefinition")

    def may(_: str, spec: dict[str, Any]) -> bool:
        return (spec["resourceAttributes"]["resource"], spec["resourceAttributes"]["verb"]) != ("gates", "delete")

    lab = SimpleNamespace(
        chosen=("default",),
        candidate=None,
        render=lambda *_, **__: read_manifests(text, "here"),
        api=SimpleNamespace(kind=kind, may=may),
    )
    lab.is_outside = partial(Lab.is_outside, cast("Any", lab))
    with pytest.raises(ClusterError) as refused:
        preflight(cast("Any", lab), cluster_objects=False)
    assert refused.value.found == "CustomResourceDefinition gates.example.com"
    with pytest.raises(ClusterError, match="does not let us run on it") as missing:
        preflight(cast("Any", lab), cluster_objects=True)
    assert (missing.value.expected or "").splitlines()[1:] == [
        '- {apiGroups: ["example.com"], resources: [gates], verbs: [delete]}'
    ]
