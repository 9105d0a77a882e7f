"""`invoke new-chart` puts beside a chart what its repository needs, and the chart can be released at once."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.pipeline.conftest import Cli, snapshot

ROOT = Path(__file__).parents[2]


def test_a_chart_from_nothing_is_checked_and_released(cli: Cli, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    subprocess.run(("git", "init", "--quiet", "--initial-branch", "trunk", repository), check=True)
    chart = repository / "charts" / "shop"
    (tmp_path / "link").symlink_to(repository)
    spoken = os.path.relpath(tmp_path / "link" / "charts" / "shop", cli.checkout)  # as from beside it
    told = json.loads(cli("new-chart", spoken, "--toolkit", "me/toolkit@v1", "--json").fine())
    assert told["kept"] == []
    workflow = (repository / ".github" / "workflows" / "shop.yml").read_text()
    assert "chart: charts/shop\n" in workflow
    assert 'branches: ["trunk"]\n' in workflow
    assert "uses: me/toolkit@v1\n" in workflow
    more = (chart / "gati.toml").read_text() + 'registry = "oci://ghcr.io/me/charts"\n'
    assert tomllib.loads(more)["registry"], "what is written at its end is no key of a table"
    cli("lint", "--chart", chart).fine()
    packed = json.loads(cli("package", "--chart", chart, "--json").fine())
    with tarfile.open(packed["path"]) as archive:
        names = {name.removeprefix("shop/") for name in archive.getnames()}
    assert {"Chart.yaml", "values.yaml", ".helmignore"} <= names
    assert "gati.toml" not in names
    report = json.loads(cli("kubeconform-check", "--chart", chart, "--kube-version", "1.30", "--json").fine())
    assert report["values"] == ["ci/default-values.yaml", "ci/replicas-values.yaml"]
    identity = {f"GIT_{who}_{what}": "me@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for words in (("add", "."), ("commit", "--quiet", "--message", "Begin")):
        subprocess.run(("git", "-C", repository, *words), check=True, env={**cli.env, **identity})
    released = json.loads(cli("release", "--chart", chart, "--yes", "--json").fine())
    assert released["release"]["version"] == "0.1.0"


@pytest.mark.parametrize("place", ["a: b #c/shop", "charts/1234"])
def test_a_path_of_any_letters_is_named_as_it_is(cli: Cli, tmp_path: Path, place: str) -> None:
    subprocess.run(("git", "init", "--quiet", tmp_path / "it"), check=True)
    (chart := tmp_path / "it" / place).mkdir(parents=True)
    (chart / "Chart.yaml").write_text(f'apiVersion: v2\nname: "{chart.name}"\nversion: 0.1.0\n')
    told = json.loads(cli("new-chart", chart, "--toolkit", "me/x@v1 # mine", "--json").fine())
    assert told["next"] == shlex.join(["invoke", "lint", "--chart", str(chart)])
    workflow = yaml.safe_load((tmp_path / "it" / ".github" / "workflows" / f"{chart.name}.yml").read_text())
    assert workflow["name"] == chart.name
    ours = [step for step in workflow["jobs"]["check"]["steps"] if "chart" in step.get("with", {})]
    assert [step["with"]["chart"] for step in ours] == [place, place]
    assert {step["uses"] for step in ours} == {"me/x@v1 # mine"}


def test_its_workflow_makes_the_report_of_what_failed_too() -> None:
    steps = yaml.safe_load((ROOT / "scripts" / "starter" / "workflow.yml").read_text())["jobs"]["check"]["steps"]
    last = [step for step in steps if step.get("if") == "always()"]
    assert [step["with"].get("run") for step in last] == ["report", None]
    assert last[1]["with"]["path"] == "dist/report.html"


def test_what_is_there_stays(cli: Cli) -> None:
    (cli.chart / "CHANGELOG.md").write_text("mine\n")
    before = snapshot(cli.chart)
    dry = json.loads(cli("new-chart", cli.chart, "--dry-run", "--json").fine())
    assert snapshot(cli.chart) == before
    assert str(cli.chart / "CHANGELOG.md") in dry["kept"]
    told = cli("new-chart", cli.chart)
    assert "gati.toml will be packed" in told.stderr, "helm's own .helmignore does not name it"
    after = snapshot(cli.chart)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) >= {"gati.toml", "ci/default-values.yaml", "ci/replicas-values.yaml"}
    with (cli.chart / ".helmignore").open("a") as ignore:
        ignore.write("*.toml\n")
    assert "will be packed" not in cli("new-chart", cli.chart).stderr
    assert snapshot(cli.chart) | {".helmignore": b""} == after | {".helmignore": b""}


def test_a_chart_with_values_sets_of_its_own_gets_none(cli: Cli) -> None:
    (cli.chart / "ci").mkdir()
    (cli.chart / "ci" / "test-values.yml").write_text("provider: one\n")
    cli("new-chart", cli.chart).fine()
    assert [file.name for file in (cli.chart / "ci").iterdir()] == ["test-values.yml"]


def test_one_of_several_keeps_to_the_configuration_of_all(cli: Cli, tmp_path: Path) -> None:
    """The nearest file counts alone: one beside the chart would hide the registry."""
    (tmp_path / "gati.toml").write_text('charts = ["charts/*"]\nregistry = "oci://ghcr.io/me/charts"\n')
    (chart := tmp_path / "charts" / "shop").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 0.1.0\n")
    (chart / ".helmignore").write_text("*.orig\n")
    told = cli("new-chart", chart, "--dry-run")
    assert "CHANGELOG.md" in told.fine()
    assert "gati.toml" not in told.stdout + told.stderr


@pytest.mark.parametrize(
    ("values", "words"), [(b"a: [\n", "not valid YAML"), (b"- a\n", "not a mapping"), (b"\xff", "not UTF-8")]
)
def test_values_that_cannot_be_read_are_named(cli: Cli, values: bytes, words: str) -> None:
    (cli.chart / "values.yaml").write_bytes(values)
    cli("new-chart", cli.chart).refused("values.yaml", words)
    assert not (cli.chart / "gati.toml").exists()


def test_where_no_chart_can_be_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note").write_text("x")
    cli("new-chart", tmp_path / "full").refused("holds files, and no Chart.yaml")
    cli("new-chart", tmp_path / "full" / "note").refused("is a file", code=2)
    for name in ("Not_A_Name", "1234", "null"):  # of the latter helm makes a Chart.yaml that it does not read
        cli("new-chart", tmp_path / name).refused("is no name of a chart", code=2)
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("toolkit", ["me/toolkit", "me/toolkit@", "https://github.com/me/toolkit@v1"])
def test_a_toolkit_that_no_workflow_can_name_is_refused(cli: Cli, toolkit: str) -> None:
    cli("new-chart", cli.chart, "--toolkit", toolkit).refused("no workflow can use", "OWNER/NAME@REVISION", code=2)
    assert not (cli.chart / "gati.toml").exists()


def test_its_workflow_pins_what_ours_pins() -> None:
    pinned = re.compile(r"uses: (actions/(?:checkout|upload-artifact)@\S+ # \S+)")
    ours = set(pinned.findall((ROOT / ".github" / "workflows" / "ci.yml").read_text()))
    theirs = set(pinned.findall((ROOT / "scripts" / "starter" / "workflow.yml").read_text()))
    assert theirs == ours
