"""What a cluster must let us do, and the rules that are named where it does not."""

from __future__ import annotations

from scripts.e2e.preflight import Right, rules


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
