"""The versions that a constraint admits are those that helm takes, of Kubernetes and of dependencies."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from scripts.chart.constraints import admits, parse_constraint, supported
from scripts.core.command import Runner
from scripts.core.config import Config
from scripts.core.errors import ChartError
from scripts.toolchain.finder import Toolchain
from tests.remembered import shared

KNOWN = tuple(f"1.{minor}" for minor in range(25, 38))
CONSTRAINTS = [
    ">=1.28.0-0 <1.38.0-0",
    ">=1.28.0-0, <1.38.0-0",
    ">= 1.30",
    ">1.30",
    ">1.30.0",
    ">1.30.0-0",
    ">1.30-0",
    "<1.30",
    "<=1.30",
    "<=1.30.0",
    "<=1.30.0-0",
    "=1.30",
    "1.30",
    "1.30.0",
    "v1.30.0",
    "v1.30.0-0",
    "1.30.x",
    "1.30.x-0",
    "<=1.30.x-0",
    "!=1.30.x-0",
    "1.x",
    "*",
    "~1.30",
    "~1.30.0",
    "~1",
    "^1.30.0",
    "^1.30",
    "^1",
    "!=1.30",
    "!=1.30.0",
    "1.28 - 1.30",
    "1.28.0 - 1.30.0",
    "1.26.0 || >=1.33 <1.35",
    "^0.1",
    "^2.0.0",
    ">=1.40",
]


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_the_same_minors_as_helm(constraint: str, config: Config, toolchain: Toolchain, tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text(f"apiVersion: v2\nname: any\nversion: 0.1.0\nkubeVersion: {constraint!r}\n")
    chosen = {version.rpartition(".")[0]: version for version in supported(constraint, KNOWN)}
    for minor in ("1.26", "1.28", "1.30", "1.31", "1.37"):
        asked = chosen.get(minor, f"{minor}.0")
        argv = (toolchain.path("helm"), "template", tmp_path, "--kube-version", asked)
        assert (minor in chosen) == (shared(config.cache_dir).run(argv, check=False).status == 0), minor


@pytest.mark.parametrize(
    ("constraint", "version"),
    [
        (">=1.28.4", "1.28.4"),
        (">1.28.4", "1.28.5"),
        (">1.28.0", "1.28.1"),
        ("~1.28.7", "1.28.7"),
        ("1.28.9", "1.28.9"),
        ("!=1.25.0", "1.25.1"),
    ],
)
def test_a_patch_is_chosen_where_the_first_one_is_excluded(constraint: str, version: str) -> None:
    assert supported(constraint, KNOWN)[0] == version


def test_no_constraint_admits_every_known_minor() -> None:
    assert supported(None, KNOWN) == tuple(f"{minor}.0" for minor in KNOWN)


RANGES = [
    *("1.2.3", "=1.2.3-rc.2", "v1.2.3-rc.2", "!=1.2.3", "!=1.2.3-rc.2", "1.x", "1.2.x-0", "!=1.2.x-0", "!=1.2"),
    *("!=1-0", ">1.2", ">1.2-0", ">1.2.3-rc.2", ">=1.2.3-rc.2", ">= 1.2.3-0 < 2", ">=1.2.3 <2.0.0-0", "<=1.2"),
    *("<=1-0", "<=*", "~1.2.3-rc.2", "~1.2-0", "~1-0", "~0.0.0", "~0.0.0-0", "^1.2.3-rc.2", "^0.0.3", "^0.2", "^0"),
    *("^*", "*", "*-0", ">*", "^1.2.3 || ^2.0.0-0", "1.2.3 - 2.0.0", "1.2.3-0 - 2.0.0", "1.2.3+a", "01.2.3"),
    *("1.2.3-01", "latest"),
]
VERSIONS = [
    *("1.2.3", "1.2.3-rc.1", "1.2.3-rc.2", "1.2.3-rc.10", "1.2.4-rc.1", "1.2.4", "1.3.0-rc.1", "1.3.0", "0.0.0"),
    *("2.0.0-rc.2", "2.0.0", "0.0.3", "0.0.4", "0.2.9", "0.3.0", "v1.2.3", "01.02.03", "1.2", "1.2.3+build.5"),
]


def test_the_same_versions_of_a_dependency_as_helm(runner: Runner, toolchain: Toolchain, tmp_path: Path) -> None:
    pairs = [*product(RANGES, VERSIONS)]
    entries = [{"name": f"d{number}", "version": constraint} for number, (constraint, _) in enumerate(pairs)]
    facts = {"apiVersion": "v2", "name": "any", "version": "0.1.0", "dependencies": entries}
    (tmp_path / "Chart.yaml").write_text(json.dumps(facts))
    for number, (_, version) in enumerate(pairs):
        folder = tmp_path / "charts" / f"d{number}"
        folder.mkdir(parents=True)
        (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: d{number}\nversion: {json.dumps(version)}\n")
    argv = (toolchain.path("helm"), "dependency", "list", tmp_path, "--max-col-width", "0")
    told = [line.split("\t") for line in runner.run(argv).stdout.splitlines()[1:] if line.startswith("d")]
    taken = {name.strip() for name, *_, status in told if status.strip() == "unpacked"}
    assert len(told) == len(pairs)
    assert [pair for number, pair in enumerate(pairs) if admits(*pair) != (f"d{number}" in taken)] == []


@pytest.mark.parametrize("constraint", ["", "hello", ">=", ">=1.30,", ">=1.2.3.4", "1.2 ||", ">=1.28 and more"])
def test_what_is_no_constraint_is_refused(constraint: str) -> None:
    with pytest.raises(ChartError, match="is no version constraint"):
        parse_constraint(constraint)
