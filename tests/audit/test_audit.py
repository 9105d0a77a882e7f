"""Third-party judges find nothing in the chart that is neither fixed nor waived with a reason."""

from __future__ import annotations

import fnmatch
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.audit.judges import Finding, checkov, kube_score
from tests.render.harness import render_text

pytestmark = [pytest.mark.audit, pytest.mark.timeout(900)]
RENDERS = {"default": (), "prod": ("values-prod.yaml",)}
JUDGES = {"kube-score": kube_score, "checkov": checkov}


@dataclass(frozen=True)
class Waiver:
    """An accepted finding: `object` is a pattern, `values` the renders it is accepted in."""

    judge: str
    check: str
    object: str
    values: tuple[str, ...]
    why: str

    def covers(self, finding: Finding, values: str) -> bool:
        same = (self.judge, self.check) == (finding.judge, finding.check)
        return same and values in self.values and fnmatch.fnmatchcase(finding.object, self.object)


def waivers() -> list[Waiver]:
    entries = tomllib.loads((Path(__file__).parent / "waivers.toml").read_text())["waivers"]
    return [Waiver(**{**entry, "values": tuple(entry["values"])}) for entry in entries]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[Finding]]:
    """What both judges find in each render."""
    folder = tmp_path_factory.mktemp("audit")
    result = {}
    for name, files in RENDERS.items():
        path = folder / f"{name}.yaml"
        path.write_text(render_text(values_files=files))
        result[name] = kube_score(path) | checkov(path)
    return result


@pytest.mark.parametrize("values", RENDERS)
def test_nothing_is_found_that_is_not_waived(values: str, found: dict[str, set[Finding]]) -> None:
    left = [str(finding) for finding in found[values] if not any(w.covers(finding, values) for w in waivers())]
    assert not left, "\n".join(sorted(left))


def test_every_waiver_is_used_and_says_why(found: dict[str, set[Finding]]) -> None:
    for waiver in waivers():
        assert len(waiver.why.split()) >= 4, f"{waiver} gives no reason"
        unused = [
            values for values in waiver.values if not any(waiver.covers(finding, values) for finding in found[values])
        ]
        assert not unused, f"{waiver.judge} {waiver.check} {waiver.object} is waived for {unused} but not found there"


@pytest.mark.parametrize("judge", JUDGES)
def test_the_judge_is_awake(judge: str, tmp_path: Path) -> None:
    path = tmp_path / "privileged.yaml"
    path.write_text(render_text().replace("allowPrivilegeEscalation: false", "privileged: true"))
    assert any("rivilege" in finding.said for finding in JUDGES[judge](path))
