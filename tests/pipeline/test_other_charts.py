"""The tasks on charts that lack what the project's own has: each does what can be done, and says what cannot."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from scripts.chart.archive import read_members
from tests.pipeline.conftest import Cli, snapshot


def write_chart(folder: Path, name: str, more: str = "", **templates: str) -> Path:
    """The least that is a chart."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 0.1.0\n{more}")
    for file, text in templates.items():
        (folder / "templates" / f"{file}.yaml").write_text(text)
    return folder


def config_map(name: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"


def test_what_helm_create_makes_goes_through_every_task(cli: Cli) -> None:
    before = snapshot(cli.chart)
    assert "there is no" in cli.on_chart("lint").fine()  # CHANGELOG.md
    rendered = cli.on_chart("template")
    assert "has no kubeVersion: rendered for every known Kubernetes" in rendered.stderr
    assert "values.yaml for 1.25 to" in rendered.fine()
    assert len(list((cli.dist / "made.manifests").glob("*.yaml"))) == 1  # equal output is stored once
    assert "objects of" in cli.on_chart("kubeconform-check").fine()
    packed = json.loads(cli.on_chart("package", "--json").fine())
    pushed = json.loads(cli.on_chart("publish", "--json").fine())
    assert (pushed["state"], pushed["digest"]) == ("pushed", packed["manifest_digest"])
    again = json.loads(cli.on_chart("publish", "--json").fine())
    assert (again["state"], again["digest"]) == ("same", packed["manifest_digest"])
    assert json.loads(cli.on_chart("verify", "--json").fine())["sha256"] == packed["sha256"]
    assert "renders the same objects as 0.1.0" in cli.on_chart("diff", "--from", "0.1.0").fine()

    values = cli.chart / "values.yaml"
    values.write_text(values.read_text().replace("replicaCount: 1", "replicaCount: 3"))
    difference = cli.on_chart("diff", "--from", "0.1.0").fine()
    assert (
        "~ Deployment/made-made\n" in difference or "~ Deployment/made (" in difference or "~ Deployment/" in difference
    )
    assert "spec.replicas: 1 -> 3" in difference
    cli.on_chart("package").fine()
    cli.on_chart("publish").refused("is not overwritten", "spec.replicas: 1 -> 3", "version-bump")
    values.write_text(before["values.yaml"].decode())
    assert snapshot(cli.chart) == before


def test_a_library_chart_renders_nothing(cli: Cli, tmp_path: Path) -> None:
    chart = write_chart(tmp_path / "lib", "lib", "type: library\n")
    (chart / "templates" / "_helpers.tpl").write_text('{{- define "x" }}a{{ end }}\n')
    for task in ("template", "kubeconform-check"):
        told = cli(task, "--chart", chart)
        assert told.status == 0, told
        assert "lib is a library chart: it renders nothing by itself" in told.stderr
    assert "the chart has no values.yaml" in cli("lint", "--chart", chart).fine()
    cli("package", "--chart", chart).fine()
    assert "pushed" in cli("publish", "--chart", chart).fine()


def test_a_chart_without_values(cli: Cli, tmp_path: Path) -> None:
    chart = write_chart(tmp_path / "bare", "bare", map=config_map("a"))
    told = cli("template", "--chart", chart, "--kube-version", "1.30")
    assert told.status == 0, told
    assert "bare has no values files: rendered once, as it is" in told.stderr
    assert "1 objects of 1 renders" in cli("kubeconform-check", "--chart", chart, "--kube-version", "1.30").fine()


def test_a_chart_with_dependencies(cli: Cli, tmp_path: Path) -> None:
    """Unpacked or archived, the dependencies are rendered, packed in one order, and their values checked."""
    wanted = "".join(f"- {{name: {name}, version: 0.1.0, repository: ''}}\n" for name in ("zeta", "alpha"))
    chart = write_chart(tmp_path / "parent", "parent", f"dependencies:\n{wanted}", own=config_map("own"))
    for name in ("zeta", "alpha"):
        write_chart(chart / "charts" / name, name, map=config_map(name))
    index = json.loads(cli("template", "--chart", chart, "--kube-version", "1.30", "--json").fine())
    assert [render["objects"] for render in index["renders"]] == [3]
    first = json.loads(cli("package", "--chart", chart, "--json").fine())
    names = list(read_members((cli.dist / "parent-0.1.0.tgz").read_bytes(), "it"))
    assert names == ["parent/Chart.yaml", *sorted(names[1:])]
    assert json.loads(cli("publish", "--chart", chart, "--json").fine())["digest"] == first["manifest_digest"]

    shutil.rmtree(chart / "charts" / "zeta")
    cli("package", "--chart", chart).refused("dependencies are missing in charts/: zeta", "helm dependency build")


def test_dist_holds_the_packages_of_several_charts(cli: Cli, tmp_path: Path) -> None:
    sums = {}
    for name in ("one", "two"):
        chart = write_chart(tmp_path / name, name, map=config_map(name))
        sums[chart] = json.loads(cli("package", "--chart", chart, "--json").fine())["sha256"]
    for chart in sums:
        cli("publish", "--chart", chart).fine()
    for chart, sha256 in sums.items():
        verified = json.loads(cli("verify", "--chart", chart, "--json").fine())
        assert (verified["sha256"], f"/{chart.name}:0.1.0" in verified["reference"]) == (sha256, True)
    three = write_chart(tmp_path / "three", "three", map=config_map("three"))
    cli("verify", "--chart", three).refused("nothing is packaged", "three.package.json", "invoke package")


def test_files_that_helm_ignores_are_not_packed(cli: Cli) -> None:
    before = cli.on_chart("package", "--json").fine()
    (cli.chart / ".git").mkdir()
    (cli.chart / ".git" / "HEAD").write_text("ref: x\n")
    (cli.chart / "templates" / "x.yaml.swp").write_text("")
    assert cli.on_chart("package", "--json").fine() == before


def test_a_changelog_and_an_environment_of_the_charts_own(cli: Cli) -> None:
    (cli.chart / "CHANGELOG.md").write_text("# Changelog\n\n## [0.1.0] - 2026-03-04\n\n### Added\n\n- All.\n")
    (cli.chart / "values-prod.yaml").write_text("replicaCount: 4\n")
    assert "CHANGELOG" not in cli.on_chart("lint").fine()
    assert json.loads(cli.on_chart("package", "--json").fine())["created"] == "2026-03-04T00:00:00Z"
    rendered = cli.on_chart("template", "--kube-version", "1.30", GATI_CHART=str(cli.chart)).fine()
    assert "values-prod.yaml for 1.30" in rendered


class TestDiff:
    def test_a_git_revision(self, cli: Cli, tmp_path: Path) -> None:
        def git(*words: str) -> None:
            who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
            subprocess.run(("git", *who, *words), cwd=tmp_path, check=True, capture_output=True)

        git("init", "--quiet")
        git("add", "chart")
        git("commit", "--quiet", "-m", "first")
        git("tag", "v0.1.0")
        (cli.chart / "templates" / "more.yaml").write_text(config_map("more"))
        (cli.chart / "templates" / "hpa.yaml").unlink()
        (cli.chart / "values-new.yaml").write_text("replicaCount: 2\n")
        only = ("--kube-version", "1.30", "--kube-version", "1.31")
        for revision in ("HEAD", "v0.1.0"):
            told = cli.on_chart("diff", "--from", revision, *only).fine().splitlines()
            assert told[0] == "+ ConfigMap/more"
            assert "~ values-new.yaml" in told
        difference = json.loads(cli.on_chart("diff", "--from", "HEAD", *only, "--json").fine())
        assert [(one["change"], one["name"]) for one in difference["objects"]] == [("added", "more")]
        cli.on_chart("diff", "--from", "nonsense").refused("git knows no revision 'nonsense'")

    def test_what_is_not_there(self, cli: Cli) -> None:
        cli.on_chart("diff", "--from", "9.9.9").refused(
            "made:9.9.9 is not published", "published versions: none", "git revision"
        )
        cli.on_chart("diff", "--from", "oci://127.0.0.1:1/x/made").refused("names no version")
        cli.on_chart("diff", "--from", "HEAD").refused("is in no git repository", "a version such as")
        assert not (cli.dist / "made.manifests").exists()
