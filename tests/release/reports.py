"""Reports of a smoke test, as `invoke e2e` writes them, of archives that no test here puts on a cluster."""

from __future__ import annotations

import json
from typing import Any

from scripts.core.config import Config


def scenario(name: str, *, state: str = "passed", requests: int = 0, lost: int = 0) -> dict[str, Any]:
    """One scenario of a report; with requests it has one ledger."""
    ledgers = {name: {"requests": requests, "failed": lost}} if requests else {}
    return {"scenario": name, "state": state, "seconds": 1.0, "ledgers": ledgers, "skipped": [], "void": []}


def report(sha256: str, *, version: str = "1.2.0", **changes: Any) -> dict[str, Any]:
    """A whole report of the archive of that sha256 which has passed."""
    return {
        "schema_version": 2,
        "passed": True,
        "seconds": 400.0,
        "candidate": {"name": "demo", "version": version, "digest": "sha256:0", "sha256": sha256},
        "sources": [{"name": "demo", "version": "1.1.0", "digest": "sha256:1", "sha256": "1"}],
        "cluster": {"kubernetes": "v1.37.2", "context": "", "name": "gati-e2e", "nodes": 4},
        "control": {"there": True, "requests": 20000, "failed": 0},
        "toolkit": {"commit": "c" * 40, "changed": False},
        "left_out": [],
        "scenarios": [
            scenario("install"),
            scenario("upgrade", requests=4000),
            scenario("autoscale", state="untested"),
            scenario("selfcheck", requests=3000, lost=70),
        ],
        **changes,
    }


def write_report(config: Config, content: Any) -> None:
    """Put it where `invoke e2e` does."""
    file = config.dist / "e2e" / "report.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
