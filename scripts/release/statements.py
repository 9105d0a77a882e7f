"""Makes the in-toto statements about a published chart: who made it of what, how it was tested, that it is signed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.chart.archive import Package
from scripts.core.files import sha256
from scripts.registry.referrers import Attachment
from scripts.release.tested import Tested

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
STATEMENT_TYPES = (STATEMENT_TYPE, "https://in-toto.io/Statement/v0.1")  # the second one is what cosign attest writes
MEDIA_TYPE = "application/vnd.in-toto+json"
PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
BOM = "https://cyclonedx.org/bom"
SIGNATURE = "https://sigstore.dev/cosign/sign/v1"  # what `cosign verify` looks for
BUILD_TYPE = "https://github.com/gati-gateway/gati/chart-release/v1"
"""What the parameters of a build mean: docs/explanation.md says it."""


@dataclass(frozen=True)
class Source:
    """What a chart was packed from: the address (None: nobody can fetch there), the commit or None, where it lies."""

    url: str | None
    commit: str | None
    chart: str
    changelog: str | None


def statement(package: Package, digest: str, predicate_type: str, predicate: Any) -> dict[str, Any]:
    """A statement about a manifest and its archive by the chart's names: a copy in any registry has the same."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": f"{package.name}-{package.version}", "digest": {"sha256": digest.removeprefix("sha256:")}},
            {"name": package.path.name, "digest": {"sha256": package.sha256}},
        ],
        "predicateType": predicate_type,
        "predicate": predicate,
    }


def provenance(
    source: Source,
    package: Package,
    tools: Mapping[str, str],
    builder: str,
    dependencies: Iterable[Mapping[str, Any]],
    byproducts: Iterable[Attachment],
) -> dict[str, Any]:
    """SLSA's provenance: what makes the same bytes again, without times; and the sha256 of what is attached beside."""
    materials = []
    if source.commit is not None:
        uri = {"uri": f"git+{source.url}@{source.commit}"} if source.url else {"name": "a repository without a remote"}
        materials.append({**uri, "digest": {"gitCommit": source.commit}})
    helm = tools.get("helm", "")
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"chart": source.chart, "changelog": source.changelog, "version": package.version},
            "internalParameters": {"SOURCE_DATE_EPOCH": package.epoch, "tools": dict(tools)},
            "resolvedDependencies": [
                *materials,
                {"uri": f"pkg:golang/helm.sh/helm/v{helm.removeprefix('v').split('.')[0]}@{helm}", "name": "helm"},
                *dependencies,
            ],
        },
        "runDetails": {
            "builder": {"id": builder},
            "metadata": {},
            "byproducts": [
                {"name": one.title, "mediaType": one.media_type, "digest": {"sha256": sha256(one.content)}}
                for one in byproducts
            ],
        },
    }


def test_result(tested: Tested) -> dict[str, Any]:
    """What a smoke test that has passed was, scenario by scenario, on what and by which state of the toolkit.

    A scenario for which the chart has not what it takes is no test that failed: it is told of in the annotations alone.
    """
    facts = {
        "kubernetes": tested.kubernetes,
        "cluster": dict(tested.cluster),
        "toolkit": dict(tested.toolkit),
        "upgradedFrom": list(tested.sources),
        "scenarios": {name: dict(one) for name, one in tested.scenarios.items()},
    }
    return {
        "result": "PASSED",
        "configuration": [{"name": "e2e/report.json", "digest": {"sha256": tested.report}, "annotations": facts}],
        "passedTests": [name for name, one in tested.scenarios.items() if one["state"] == "passed"],
        "warnedTests": [],
        "failedTests": [],
    }


def to_bytes(value: Any) -> bytes:
    """JSON that a person can read, the same for the same value."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text.encode(errors="backslashreplace") + b"\n"  # of a name that is no UTF-8, as JSON escapes it
