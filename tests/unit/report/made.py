"""Makes the results of a smoke test of any size, in the files and shapes that a real run leaves."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from scripts.cluster.watch import Change
from scripts.e2e.curve import curve, svg
from scripts.e2e.k6 import Request
from scripts.e2e.report import Outcome, Report, Step

BEGIN = 1_795_710_000.0
REQUEST = {"target": "http://10.0.0.1:30000/", "error": "", "pod": "ingress-a", "version": "1", "behind": "rm-a"}
LATENCY = {"requests": 10, "median": 0.004, "p99": 0.02, "longest": 0.05}


def scaled(dist: Path, version: str) -> None:
    """What `invoke autoscale` leaves of one scenario, in which one request of a hundred was lost."""
    requests = tuple(
        Request(BEGIN + place / 10, 0.01, "new", "x", 200 if place else 0, behind="rm") for place in range(100)
    )
    item = {"kind": "Deployment", "metadata": {"name": "front"}}
    changes = [
        Change(BEGIN + at, "MODIFIED", {**item, "spec": {"replicas": wanted}, "status": {"readyReplicas": ready}})
        for at, wanted, ready in ((0, 2, 2), (4, 4, 3))
    ]
    marks = [(BEGIN + 1, "burst")]
    drawn = curve("burst <&>", changes, "front", requests, marks, begin=BEGIN, end=BEGIN + 10)
    folder = dist / "autoscale" / "policies"
    folder.mkdir(parents=True)
    (folder / "curve.json").write_text(json.dumps(drawn))
    (folder / "curve.svg").write_text(svg(drawn))
    outcome = Outcome("policies", "passed", 61.0, (Step("install", 9.5),), skipped=("a webhook",))
    candidate = {"name": "gati", "version": version, "digest": f"sha256:{'0' * 64}"}
    report = Report(candidate, (), {"kubernetes": "v1.37.2"}, 90.0, (outcome,))
    (dist / "autoscale" / "report.json").write_text(json.dumps(report.to_dict()))


def smoke_test(dist: Path, version: str, *, scenarios: int = 2, requests: int = 200, lost: int = 3) -> dict[str, Any]:
    """A run in `dist/e2e` with as many requests for each of the scenarios; in the first one some are lost."""
    return ran(
        dist / "e2e",
        version,
        [(f"scenario-{number}", lost if number == 0 else 0) for number in range(scenarios)],
        requests=requests,
    )


def ran(
    folder: Path,
    version: str,
    scenarios: list[tuple[str, int]],
    *,
    requests: int = 200,
    attempts: int = 1,
    loads: int = 1,
    pace: float = 0.0083,
    pods: int = 12,
    incidents: int = 1,
) -> dict[str, Any]:
    """A run in a folder: each scenario, with what is lost in it, has so many attempts and loads in each of these.

    A load has so many `requests`, `pace` seconds apart, is noticed by so many `pods`, seven times each, and has so many
    `incidents`, and half as many void windows.
    """
    draw = random.Random(7)
    told = []
    for number, (name, missing) in enumerate(scenarios):
        lines = "".join(
            json.dumps(
                {**_request(place, pace), "seconds": draw.uniform(0.002, 0.03), "status": 0 if place < missing else 200}
            )
            + "\n"
            for place in range(requests)
        )
        ledger = _ledger(requests, missing, pace, pods, incidents)
        names = ["load", *(f"load {one}" for one in range(2, loads + 1))]
        for attempt in range(1, attempts + 1):
            where = folder / (name if attempt == 1 else f"{name}.{attempt}")
            where.mkdir(parents=True)
            for load in names:
                (where / f"{load}.requests.jsonl").write_text(lines)
                (where / f"{load}.ledger.json").write_text(json.dumps(ledger))
        error = f"load: {missing} of {requests} requests were lost" if missing else ""
        short = {key: value for key, value in ledger.items() if key != "events"}
        outcome: dict[str, Any] = {
            "scenario": name,
            "state": "failed" if missing else "passed",
            "seconds": 41.25,
            "steps": [{"name": "install", "seconds": 12.5, "detail": "2 pods", "error": ""}],
            "ledgers": dict.fromkeys(names, short),
            "error": error,
            "restarts": [],
            "skipped": ["KEDA: the cluster has no such kind"] if number == 1 else [],
            "void": [],
        }
        told.append({**outcome, "void": [{**outcome, "state": "void"}] * (attempts - 1)})
    run = {
        "schema_version": 2,
        "passed": not any(lost for _, lost in scenarios),
        "seconds": 300.5,
        "candidate": {"name": "gati", "version": version, "digest": f"sha256:{'0' * 64}"},
        "sources": [],
        "cluster": {"kubernetes": "v1.37.0", "context": "", "name": "gati-e2e"},
        "control": {"there": True, "requests": requests, "failed": 0, "latency": LATENCY, "stall": 0.01, "windows": []},
        "left_out": ["uninstall"],
        "scenarios": told,
    }
    (folder / "report.json").write_text(json.dumps(run))
    control = [
        {"at": BEGIN + place * pace, "kind": "new", "seconds": 0.001, "status": 200, **REQUEST}
        for place in range(requests)
    ]
    (folder / "control.requests.jsonl").write_text("".join(json.dumps(line) + "\n" for line in control))
    return run


def _request(number: int, pace: float) -> dict[str, Any]:
    kind = ("new", "kept")[number % 2]
    return {"at": round(BEGIN + number * pace, 3), "kind": kind, "seconds": 0.001, "status": 200, **REQUEST}


def _ledger(requests: int, lost: int, pace: float, pods: int, incidents: int) -> dict[str, Any]:
    end = BEGIN + (requests - 1) * pace + 0.03  # by which the last one has been answered
    events = sorted(
        (
            {"at": BEGIN + pod + step * 0.4, "pod": f"gati-ingress-{pod}-<b>", "what": what, "service": service}
            for pod in range(pods)
            for step, (what, service) in enumerate(
                [("created", ""), ("running", ""), ("not ready", "gati-ingress"), ("ready", "gati-ingress"),
                 ("told to stop", ""), ("gone", "gati-ingress"), ("gone", "")]
            )
        ),
        key=lambda event: float(str(event["at"])),
    )  # fmt: skip
    incident = {"begin": BEGIN, "end": BEGIN + 0.1, "failed": lost, "slow": 0, "errors": {"no answer": lost},
                "causes": {"pod gati-ingress-0 ended": lost}, "events": events[:7]}  # fmt: skip
    window = {"begin": BEGIN + 0.5, "end": BEGIN + 0.9, "why": "the control lost 3 requests"}
    return {
        "service": "gati-ingress", "begin": BEGIN, "end": end, "requests": requests, "failed": lost, "slow": 0,
        "kinds": {"new": requests // 2, "kept": requests // 2}, "versions": {"1": requests}, "before": LATENCY,
        "during": {**LATENCY, "p99": 0.0297}, "stall": 0.0, "incidents": [incident] * (incidents if lost else 0),
        "events": events, "objections": [f"{lost} of {requests} requests were lost"] if lost else [],
        "windows": [window] * max(1, incidents // 2), "voided": 2,
        "control": {"requests": requests, "failed": 0, "latency": LATENCY, "stall": 0.0}, "asked": [],
        "passed": not lost, "void": False,
    }  # fmt: skip


def crowded(dist: Path, version: str) -> None:
    """The most that somebody has met: a run that was noisy throughout, and every list long."""
    scenarios = [(f"scenario-{number}", 40) for number in range(20)]
    # 100,000 requests; 36 pods are seen 252 times.
    ran(dist / "e2e", version, scenarios, requests=833, attempts=3, loads=2, pace=0.15, pods=36, incidents=20)
    sets = [f"values-{number}.yaml" for number in range(6)]
    folder = dist / "gati.manifests"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.yaml").write_text("".join(_component(f"part-{place}-of-{number}") for place in range(35)))
    head = {"schema_version": 1, "chart": {"name": "gati", "version": version}}
    made = {"kube_version": "1.30.0", "sha256": "1" * 64, "objects": 140}
    renders = [{"values": name, "file": f"{number}.yaml", **made} for number, name in enumerate(sets)]
    reasons = [
        {"level": "minor", "about": f"Service/part-{number} spec.ports", "old": 1, "new": 2, "meaning": "noticed " * 20}
        for number in range(200)
    ]
    fields = [{"path": f"spec.ports[{number}]", "old": "o" * 200, "new": "n" * 200} for number in range(40)]
    changed = {"change": "changed", "group": "", "kind": "Service", "namespace": "", "fields": fields}
    fault = {"scenario": "install", "step": "pods", "state": "failed", "cause": "why " * 60, "seconds": 7, "void": 0}
    mutant = {"part": "chart", "file": "templates/a.yaml", "line": 7, "change": "dropped a probe", "meaning": "m " * 99}
    short = {key: mutant[key] for key in ("file", "line", "change", "meaning")}
    files: dict[str, dict[str, Any]] = {
        "gati.manifests/index.json": {
            **head, "release": "gati", "kube_versions": ["1.30.0"], "values": sets, "renders": renders, "refused": [],
            "unreached": [],
        },
        "gati.judge.json": {
            "schema_version": 1, "chart": "gati", "from": "last", "version": "1.2.2", "current": version,
            "level": "minor", "part": "minor", "enough": False, "reasons": reasons, "notes": [],
        },
        "gati.diff.json": {
            "schema_version": 1, "from": "gati 1.2.2", "to": f"gati {version}", "version": version, "folded": {},
            "objects": [{**changed, "name": f"part-{number}"} for number in range(100)],
        },
        "faults.json": {"schema_version": 1, "faults": [{**fault, "fault": f"fault-{one}"} for one in range(200)]},
        "mutants.json": {
            "schema_version": 1, "summary": "many survive", "seconds": 9, "objections": [], "parts": [],
            "mutants": [{**mutant, "id": f"{one}", "state": "survived", "by": ""} for one in range(300)],
            "survivors": [short] * 300,
        },
    }  # fmt: skip
    for name, content in files.items():
        (dist / name).write_text(json.dumps(content))


def _component(name: str) -> str:
    """A Service, what is behind it, and what that uses: four objects that refer to each other."""
    labels = f"{{app: {name}}}"
    return f"""---
# Source: gati/templates/{name}/service.yaml
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {labels}}}
---
# Source: gati/templates/{name}/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  template:
    metadata: {{labels: {labels}}}
    spec:
      serviceAccountName: {name}
      containers: [{{name: a, envFrom: [{{secretRef: {{name: {name}}}}}, {{configMapRef: {{name: {name}}}}}]}}]
---
# Source: gati/templates/{name}/account.yaml
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}}}
---
# Source: gati/templates/{name}/budget.yaml
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: {name}}}
spec: {{selector: {{matchLabels: {labels}}}}}
"""
