"""A project with a chart and the results of its runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.chart.source import read_chart
from scripts.core.config import Config, load_config
from scripts.report.record import make_record
from tests.unit.report.made import scaled, smoke_test

VERSION = "1.2.3"
DIGEST = f"sha256:{'0' * 64}"
SHA = "1" * 64
HEAD = {"schema_version": 1, "chart": {"name": "gati", "version": VERSION}}
MANIFESTS = """\
---
# Source: gati/templates/service.yaml
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {selector: {app: front}}
---
# Source: gati/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: front}
spec:
  template:
    metadata: {labels: {app: front}}
    spec:
      serviceAccountName: front
      containers: [{name: a, envFrom: [{secretRef: {name: somewhere-nobody-among-us-mounts}}]}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Config:
    """A chart, and an empty dist/."""
    folder = tmp_path / Config.chart
    folder.mkdir(parents=True)
    (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: gati\nversion: {VERSION}\n")
    config = load_config(tmp_path, environ={}, chart=folder)
    return replace(config, dist=tmp_path / "dist")


@pytest.fixture
def full(project: Config) -> Config:
    """The same with the results of every command."""
    dist = project.dist
    smoke_test(dist, VERSION)
    problem = {
        "template": "gati/templates/x.yaml", "kind": "Service", "name": "front", "message": "ports is <required>",
        "verdict": "refused", "with": [{"values": ["values-prod.yaml"], "kube_versions": ["1.30"]}],
    }  # fmt: skip
    reason = {"level": "minor", "about": "Service/front spec.ports", "old": 1, "new": 2, "meaning": "clients notice"}
    render = {"values": "values.yaml", "kube_version": "1.30.0", "file": "a.yaml", "sha256": SHA, "objects": 2}
    files: dict[str, dict[str, Any]] = {
        "gati.lint.json": {**HEAD, "checked": ["Chart.yaml"], "findings": [], "errors": 0, "warnings": 0, "notes": 0},
        "gati.kubeconform.json": {
            **HEAD, "kube_versions": ["1.29.0", "1.30.0"], "values": ["values.yaml", "values-prod.yaml"], "renders": 4,
            "objects": 8, "problems": [problem], "notes": ["note: KEDA/x is not checked"], "unreached": [],
        },
        "gati.manifests/index.json": {
            **HEAD, "release": "gati", "kube_versions": ["1.29.0", "1.30.0"], "values": ["values.yaml"],
            "renders": [render], "refused": [], "unreached": [],
        },
        "gati.judge.json": {
            "schema_version": 1, "chart": "gati", "from": "last", "version": "1.2.2", "current": VERSION,
            "level": "minor", "part": "minor", "enough": False, "reasons": [reason], "notes": [],
        },
        "gati.diff.json": {
            "schema_version": 1, "from": "gati 1.2.2", "to": "gati 1.2.3", "version": VERSION, "folded": {},
            "objects": [{"change": "changed", "group": "", "kind": "Service", "namespace": "", "name": "front",
                         "fields": [{"path": "spec.ports", "old": 1, "new": 2},
                                    {"path": "spec.externalName", "old": None, "new": "w" * 120}]}],
        },
        "gati.package.json": {"version": VERSION, "manifest_digest": DIGEST},
        "gati.release.json": {
            "schema_version": 1, "name": "gati", "version": VERSION, "app_version": None, "commit": "c" * 40,
            "dirty": [], "tag": None, "archive": "gati-1.2.3.tgz", "sha256": SHA, "size": 5, "digest": DIGEST,
            "reference": "oci://example.com/charts/gati:1.2.3", "registry": "oci://example.com/charts",
            "tools": {"helm": "v4"}, "started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:09Z",
            "seconds": {"publish": 2.5, "checks": 6.25}, "proofs": [f"provenance {DIGEST}"],
        },
    }  # fmt: skip
    for name, content in files.items():
        (dist / name).parent.mkdir(exist_ok=True)
        (dist / name).write_text(json.dumps(content))
    (dist / "gati.manifests" / "a.yaml").write_text(MANIFESTS)
    scaled(dist, VERSION)
    return project


def recorded(config: Config) -> dict[str, Any]:
    """The record of the project's report."""
    return make_record(config, read_chart(config.chart))
