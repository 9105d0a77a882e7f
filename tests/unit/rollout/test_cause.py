"""What helm and the API server say when they refuse something, as one line."""

from __future__ import annotations

import pytest

from scripts.rollout.cause import first_line, read_refusal


@pytest.mark.parametrize(
    ("text", "kind", "line", "run"),
    [
        (
            "Error: INSTALLATION FAILED: unable to build kubernetes objects from release manifest: resource mapping not"
            ' found for name: "one" namespace: "n" from "": no matches for kind "Widget" in version'
            ' "example.invalid/v1"\nensure CRDs are installed first',
            "missing-kind",
            "Widget one: the cluster knows no kind Widget of example.invalid/v1: its CustomResourceDefinition is not"
            " installed",
            "kubectl api-resources --api-group=example.invalid",
        ),
        (
            'Error: INSTALLATION FAILED: server-side apply failed for object n/web /v1, Kind=Service: services "web" is'
            " forbidden: exceeded quota: tight, requested: services=1, used: services=0, limited: services=0",
            "quota",
            "Service web: quota tight is exceeded: requested: services=1, used: services=0, limited: services=0",
            "kubectl --namespace=n describe quota",
        ),
        (
            "Error: UPGRADE FAILED: server-side apply failed for object n/web apps/v1, Kind=Deployment:"
            ' Deployment.apps "web" is invalid: spec.selector: Invalid value: {"matchLabels":{"app":"b"}}: field is'
            " immutable",
            "admission",
            'Deployment web: the API server refuses it: spec.selector: Invalid value: {"matchLabels":{"app":"b"}}:'
            " field is immutable",
            "kubectl --namespace=n get events",
        ),
        (
            "Error: INSTALLATION FAILED: server-side apply failed for object n/web apps/v1, Kind=Deployment: failed to"
            " create typed patch object (n/web; apps/v1, Kind=Deployment): errors:\n"
            "  .metadata.labels.on: expected string, got &value.valueUnstructured{Value:true}\n"
            "  .spec.replicas: expected numeric (int or float), got string",
            "admission",
            "Deployment web: the API server refuses it: failed to create typed patch object (n/web; apps/v1,"
            " Kind=Deployment): errors: .metadata.labels.on: expected string, got &value.valueUnstructured{Value:true}"
            " .spec.replicas: expected numeric (int or float), got string",
            "kubectl --namespace=n get events",
        ),
        (
            "Error: UPGRADE FAILED: conflict occurred while applying object n/web apps/v1, Kind=Deployment: Apply"
            ' failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.replicas',
            "conflict",
            "Deployment web: another field manager owns what the chart sets: Apply failed with 1 conflict: conflict"
            ' with "kubectl-edit" using apps/v1: .spec.replicas',
            "kubectl --namespace=n get deployment web --show-managed-fields --output=yaml",
        ),
        (
            "Error: UPGRADE FAILED: conflict occurred while applying object n/web apps/v1, Kind=Deployment: Apply"
            ' failed with 3 conflicts: conflicts with "flux" using apps/v1:\n- .spec.replicas\nconflicts with'
            ' "kubectl-edit" using apps/v1:\n- .spec.paused\n- .metadata.labels.team && conflict occurred while'
            ' applying object n/other /v1, Kind=Service: Apply failed with 1 conflict: conflict with "x" using v1: .a',
            "conflict",
            "Deployment web: another field manager owns what the chart sets: Apply failed with 3 conflicts: conflicts"
            ' with "flux" using apps/v1: - .spec.replicas conflicts with "kubectl-edit" using apps/v1: - .spec.paused'
            " - .metadata.labels.team",
            "kubectl --namespace=n get deployment web --show-managed-fields --output=yaml",
        ),
        (
            'Error: UPGRADE FAILED: cannot patch "web" with kind Deployment: Operation cannot be fulfilled on'
            ' deployments.apps "web": the object has been modified; please apply your changes to the latest version',
            "conflict",
            "Deployment web: it is not what the chart takes it for: Operation cannot be fulfilled on deployments.apps"
            ' "web": the object has been modified; please apply your changes to the latest version',
            "kubectl --namespace=n get deployment web --show-managed-fields --output=yaml",
        ),
        (
            'Error: UPGRADE FAILED: cannot patch "web" with kind Deployment: admission webhook "p.example" denied the'
            ' request: no && cannot patch "db" with kind StatefulSet: StatefulSet.apps "db" is invalid: no',
            "admission",
            "Deployment web: admission webhook p.example refuses it: no",
            "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
        ),
        (
            'Error: INSTALLATION FAILED: create: failed to create: secrets is forbidden: User "ci" cannot create'
            ' resource "secrets" in API group "" in the namespace "n"',
            "admission",
            'Secret: user "ci" cannot create resource "secrets" in API group "" in the namespace "n"',
            "kubectl --namespace=n auth can-i --list",
        ),
        (
            'Error: INSTALLATION FAILED: unable to continue with install: Service "web" in namespace "n" exists and'
            " cannot be imported into the current release: invalid ownership metadata; label validation error: missing"
            ' key "app.kubernetes.io/managed-by": must be set to "Helm"',
            "ownership",
            "Service web: exists and belongs to somebody else: invalid ownership metadata; label validation error:"
            ' missing key "app.kubernetes.io/managed-by": must be set to "Helm"',
            "kubectl --namespace=n get service web --output=yaml",
        ),
        (
            'Error: INSTALLATION FAILED: admission webhook "policy.example.com" denied the request: no latest tags',
            "admission",
            "Release app: admission webhook policy.example.com refuses it: no latest tags",
            "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
        ),
        (
            'Error: INSTALLATION FAILED: deployments.apps "web" is forbidden: User "ci" cannot patch resource'
            ' "deployments" in API group "apps" in the namespace "n"',
            "admission",
            'Deployment web: user "ci" cannot patch resource "deployments" in API group "apps" in the namespace "n"',
            "kubectl --namespace=n auth can-i --list",
        ),
    ],
    ids=[
        *(
            "missing-kind",
            "quota",
            "invalid",
            "several fields",
            "conflict",
            "several conflicts",
            "stale for helm 3",
            "the first of two",
        ),
        *("rights to a kind", "ownership", "webhook", "rights"),
    ],
)
def test_helms_words_are_a_cause(text: str, kind: str, line: str, run: str) -> None:
    cause = read_refusal(text, release="app", namespace="n")
    assert cause is not None
    assert (cause.kind, str(cause), cause.run) == (kind, line, run)


def test_a_failure_that_only_objects_explain_is_no_refusal() -> None:
    text = "Error: UPGRADE FAILED: pre-upgrade hooks failed: resource Job/n/migrate not ready. status: Failed"
    assert read_refusal(text, release="app", namespace="n") is None


def test_the_first_line_that_says_something() -> None:
    assert first_line("\n  \n why \nmore") == "why"
    assert first_line("") == ""
