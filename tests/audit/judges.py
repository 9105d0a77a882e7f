"""Runs kube-score and checkov over rendered text and reads what they find."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.core.command import Runner
from tests.render.harness import NEWEST, tool

CHECKOV = "checkov==3.3.30"  # runs in an environment of its own: its hundred dependencies would narrow ours
_KUBE_SCORE_FAILS = 5  # and below: 1 critical, 5 warning, 7 almost ok, 10 ok


@dataclass(frozen=True)
class Finding:
    """One objection of `judge` to `object` (`Kind/name`); `check` is the judge's name of the rule."""

    judge: str
    check: str
    object: str
    said: str

    def __str__(self) -> str:
        return f"{self.judge} {self.check} {self.object}: {self.said}"


def kube_score(manifests: Path) -> set[Finding]:
    """What kube-score criticizes or warns of."""
    argv = [tool("kube-score"), "score", "--output-format", "json"]
    argv += ["--kubernetes-version", f"v{NEWEST.rpartition('.')[0]}", str(manifests)]
    report = json.loads(Runner().run(argv, check=False, deadline=60).stdout)
    assert report, "kube-score looked at nothing"
    return set(_kube_score(report))


def _kube_score(report: list[dict[str, Any]]) -> Iterator[Finding]:
    for entry in report:
        name = f"{entry['type_meta']['kind']}/{entry['object_meta']['name']}"
        for check in entry["checks"] or ():
            if not check["skipped"] and check["grade"] <= _KUBE_SCORE_FAILS:
                said = "; ".join(comment["summary"] for comment in check["comments"] or ())
                yield Finding("kube-score", check["check"]["id"], name, said or check["check"]["name"])


def checkov(manifests: Path) -> set[Finding]:
    """What checkov's Kubernetes policies fail; nothing is downloaded or sent."""
    argv = [sys.executable, "-m", "uv", "tool", "run", "--python", sys.executable, "--from", CHECKOV, "checkov"]
    argv += ["--framework", "kubernetes", "--skip-download", "--quiet", "--compact", "--output", "json"]
    result = Runner().run([*argv, "--file", str(manifests)], check=False, deadline=600)
    report = json.loads(result.stdout)
    assert report["summary"]["passed"], "checkov looked at nothing"
    assert not report["summary"]["parsing_errors"], report
    return {
        Finding("checkov", failed["check_id"], _checkov_object(failed["resource"]), failed["check_name"])
        for failed in report["results"]["failed_checks"]
    }


def _checkov_object(resource: str) -> str:
    """`Kind/name` of `Kind.namespace.name`; checks of a Deployment's pods add the pod's labels to the name."""
    kind, _, name = resource.split(".", 2)
    return f"{kind}/{name.partition('.')[0]}"
