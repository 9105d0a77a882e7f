"""Makes the results of a smoke test of any size, in the files and shapes that a real run leaves."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from scripts.e2e.curve import Curve
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
    drawn = Curve("burst <&>", BEGIN, BEGIN + 10, ((BEGIN, 2, 2), (BEGIN + 4, 4, 3)), requests, ((BEGIN + 1, "burst"),))
    folder = dist / "autoscale" / "policies"
    folder.mkdir(parents=True)
    (folder / "curve.json").write_text(json.dumps(drawn.to_dict()))
    (folder / "curve.svg").write_text(drawn.svg())
    outcome = Outcome("policies", "passed", 61.0, (Step("install", 9.5),), skipped=("a webhook",))
    candidate = {"name": "gati", "version": version, "digest": f"sha256:{'0' * 64}"}
    report = Report(candidate, (), {"kubernetes": "v1.37.2"}, 90.0, (outcome,))
    (dist / "autoscale" / "report.json").write_text(json.dumps(report.to_dict()))


def smoke_test(dist: Path, version: str, *, scenarios: int = 2, requests: int = 200, lost: int = 3) -> dict[str, Any]:
    """A run in `dist/e2e` with as many requests for each of the scenarios; in the first one some are lost."""
    draw = random.Random(7)
    told = []
    for number in range(scenarios):
        name, missing = f"scenario-{number}", lost if number == 0 else 0
        folder = dist / "e2e" / name
        folder.mkdir(parents=True)
        lines = [
            {**_request(place), "seconds": draw.uniform(0.002, 0.03), "status": 0 if place < missing else 200}
            for place in range(requests)
        ]
        (folder / "load.requests.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        ledger = _ledger(requests, missing)
        (folder / "load.ledger.json").write_text(json.dumps(ledger))
        error = f"load: {missing} of {requests} requests were lost" if missing else ""
        told.append(
            {
                "scenario": name,
                "state": "failed" if missing else "passed",
                "seconds": 41.25,
                "steps": [{"name": "install", "seconds": 12.5, "detail": "2 pods", "error": ""}],
                "ledgers": {"load": {key: value for key, value in ledger.items() if key != "events"}},
                "error": error,
                "restarts": [],
                "skipped": ["KEDA: the cluster has no such kind"] if number == 1 else [],
                "void": [],
            }
        )
    run = {
        "schema_version": 2,
        "passed": not lost,
        "seconds": 300.5,
        "candidate": {"name": "gati", "version": version, "digest": f"sha256:{'0' * 64}"},
        "sources": [],
        "cluster": {"kubernetes": "v1.37.0", "context": "", "name": "gati-e2e"},
        "control": {"there": True, "requests": requests, "failed": 0, "latency": LATENCY, "stall": 0.01, "windows": []},
        "left_out": ["uninstall"],
        "scenarios": told,
    }
    (dist / "e2e" / "report.json").write_text(json.dumps(run))
    control = [
        {"at": BEGIN + place * 0.0083, "kind": "new", "seconds": 0.001, "status": 200, **REQUEST}
        for place in range(requests)
    ]
    (dist / "e2e" / "control.requests.jsonl").write_text("".join(json.dumps(line) + "\n" for line in control))
    return run


def _request(number: int) -> dict[str, Any]:
    kind = ("new", "kept")[number % 2]
    return {"at": round(BEGIN + number * 0.0083, 3), "kind": kind, "seconds": 0.001, "status": 200, **REQUEST}


def _ledger(requests: int, lost: int) -> dict[str, Any]:
    end = BEGIN + requests * 0.0083
    events = [
        {"at": BEGIN + pod + step * 0.4, "pod": f"gati-ingress-{pod}-<b>", "what": what, "service": service}
        for pod in range(12)
        for step, (what, service) in enumerate(
            [("created", ""), ("running", ""), ("not ready", "gati-ingress"), ("ready", "gati-ingress"),
             ("told to stop", ""), ("gone", "gati-ingress"), ("gone", "")]
        )
    ]  # fmt: skip
    incident = {"begin": BEGIN, "end": BEGIN + 0.1, "failed": lost, "slow": 0, "errors": {"no answer": lost},
                "causes": {"pod gati-ingress-0 ended": lost}, "events": []}  # fmt: skip
    return {
        "service": "gati-ingress", "begin": BEGIN, "end": end, "requests": requests, "failed": lost, "slow": 0,
        "kinds": {"new": requests // 2, "kept": requests // 2}, "versions": {"1": requests}, "before": LATENCY,
        "during": {**LATENCY, "p99": 0.0297}, "stall": 0.0, "incidents": [incident] if lost else [], "events": events,
        "objections": [f"{lost} of {requests} requests were lost"] if lost else [],
        "windows": [{"begin": BEGIN + 0.5, "end": BEGIN + 0.9, "why": "the control lost 3 requests"}], "voided": 2,
        "control": {"requests": requests, "failed": 0, "latency": LATENCY, "stall": 0.0}, "asked": [],
        "passed": not lost, "void": False,
    }  # fmt: skip
