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
