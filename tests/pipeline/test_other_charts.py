"""The tasks on charts that lack what the project's own has: each does what can be done, and says what cannot."""

from __future__ import annotations

import contextlib
import functools
import json
import random
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from scripts.chart.archive import read_members
from scripts.core.errors import FINDING, OUTSIDE
from scripts.toolchain.finder import Toolchain
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
    cli.on_chart("publish").refused("is not overwritten", "/values.yaml", "invoke diff --from 0.1.0", "version-bump")
    values.write_text(before["values.yaml"].decode())
    assert snapshot(cli.chart) == before


def test_a_library_chart_renders_nothing(cli: Cli, tmp_path: Path) -> None:
    chart = write_chart(tmp_path / "lib", "lib", "type: library\n")
    (chart / "templates" / "_helpers.tpl").write_text('{{- define "x" }}a{{ end }}\n')
    for task, why in (("template", "is a library chart"), ("kubeconform-check", "has helpers alone")):
        told = cli(task, "--chart", chart)
        assert told.status == 0, told
        assert f"lib {why}: it renders nothing by itself" in told.stderr
        (chart / "Chart.yaml").write_text((chart / "Chart.yaml").read_text().replace("type: library\n", ""))
        (chart / "templates" / "NOTES.txt").touch()  # which is no object either
    assert "the chart has no values.yaml" in cli("lint", "--chart", chart).fine()
    cli("package", "--chart", chart).fine()
    assert "pushed" in cli("publish", "--chart", chart).fine()
    (chart / "templates" / "map.yaml.tpl").write_text(config_map("a"))
    told = cli("kubeconform-check", "--chart", chart, "--kube-version", "1.30")
    assert "1 objects of 1 renders" in told.fine(), "helm renders what is called so, too"


def test_a_chart_without_values(cli: Cli, tmp_path: Path) -> None:
    chart = write_chart(tmp_path / "bare", "bare", map=config_map("a"))
    told = cli("template", "--chart", chart, "--kube-version", "1.30")
    assert told.status == 0, told
    assert "bare has no values files: rendered once, as it is" in told.stderr
    assert "1 objects of 1 renders" in cli("kubeconform-check", "--chart", chart, "--kube-version", "1.30").fine()


def test_a_key_that_stands_twice_is_kubeconforms_to_refuse(cli: Cli, tmp_path: Path) -> None:
    """helm and the API server take the last one."""
    chart = write_chart(tmp_path / "twice", "twice", map=config_map("a") + "data: {}\ndata: {b: c}\n")
    cli("template", "--chart", chart, "--kube-version", "1.30").fine()
    cli("package", "--chart", chart).fine()
    told = cli("kubeconform-check", "--chart", chart, "--kube-version", "1.30")
    assert "data stands twice" in told.stdout
    told.refused("objects that are not valid")


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
    cli("package", "--chart", chart).refused("zeta 0.1.0 is not in charts/", "say which repository has it")


def test_a_chart_that_needs_values_is_checked_with_those_that_are_given(cli: Cli, tmp_path: Path) -> None:
    needy = config_map("a") + 'data: {host: {{ required "host is needed" .Values.host }}}\n'
    chart = write_chart(tmp_path / "needy", "needy", map=needy)
    (chart / "values.yaml").write_text("host: ''\n")
    (chart / "values.schema.json").write_text('{"properties": {"host": {"minLength": 1}}}')
    values = tmp_path / "given.yaml"
    values.write_text("host: a.example\n")
    given = ("--chart", chart, "--values", values)
    old = shutil.copytree(chart, tmp_path / "old" / "needy")
    archive = cli("package", "--chart", old)  # packing asks for none
    archive.fine()
    source = ("--from", cli.dist / "needy-0.1.0.tgz")
    for task in (("lint",), ("template",), ("kubeconform-check",), ("judge", *source)):
        minor = () if task[0] == "lint" else ("--kube-version", "1.30")
        told = cli(*task, "--chart", chart, *minor)
        told.refused("--values" if minor else "is not clean")
        told = cli(*task, *given, *minor)
        assert told.status == 0, told
    (chart / "gati.toml").write_text(f'values = ["{values}"]\n')
    cli("kubeconform-check", "--chart", chart, "--kube-version", "1.30").fine()


@contextlib.contextmanager
def http_repository(cli: Cli, chart: Path, folder: Path, helm: Path) -> Iterator[str]:
    """A chart repository of the old kind, with `chart` in it."""
    subprocess.run((helm, "package", chart, "--destination", folder), check=True, capture_output=True)
    subprocess.run((helm, "repo", "index", folder), check=True, capture_output=True)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextlib.contextmanager
def oci_repository(cli: Cli, chart: Path, folder: Path, helm: Path) -> Iterator[str]:
    """The embedded registry, with `chart` in it."""
    process = cli.start("registry", "--port", "0", TMPDIR=str(folder))
    try:
        assert process.stdout
        prefix = process.stdout.readline().strip()
        cli("package", "--chart", chart).fine()
        cli("publish", "--chart", chart).fine()
        yield prefix
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.mark.parametrize("place", [http_repository, oci_repository], ids=["http", "oci"])
def test_dependencies_are_fetched_from_where_chart_yaml_says(
    cli: Cli, tmp_path: Path, toolchain: Toolchain, place: Callable[..., AbstractContextManager[str]]
) -> None:
    needed = write_chart(tmp_path / "needed", "needed", map=config_map("needed"))
    (tmp_path / "repository").mkdir()
    with place(cli, needed, tmp_path / "repository", toolchain.path("helm")) as url:
        wanted = f"dependencies: [{{name: needed, version: ^0.1.0, repository: '{url}'}}]\n"
        chart = write_chart(tmp_path / "parent", "parent", wanted, own=config_map("own"))
        told = cli("template", "--chart", chart, "--kube-version", "1.30", "--json")
        assert "fetching the dependencies of parent: needed ^0.1.0 is not in charts/" in told.stderr
        assert [render["objects"] for render in json.loads(told.fine())["renders"]] == [2]
        lock = (chart / "Chart.lock").read_text()
        assert "version: 0.1.0" in lock
        shutil.rmtree(chart / "charts")
        cli("lint", "--chart", chart).fine()
        assert (chart / "Chart.lock").read_text() == lock
        cli("package", "--chart", chart).fine()
        assert "parent/charts/needed/Chart.yaml" in str(
            list(read_members((cli.dist / "parent-0.1.0.tgz").read_bytes(), ""))
        )
        shutil.rmtree(chart / "charts")
        (chart / "Chart.yaml").write_text((chart / "Chart.yaml").read_text().replace("^0.1.0", "^0.2.0"))
        cli("template", "--chart", chart).refused("cannot be fetched: needed ^0.2.0 is not in charts/")
    # helm looks at an index before it looks at the lock; a registry has none.
    way, code = "next:     helm dependency update", FINDING
    if place is http_repository:
        way, code = "see that the repositories", OUTSIDE
    cli("template", "--chart", chart).refused("the dependencies cannot be fetched", way, code=code)


def test_what_a_missing_dependency_brings_with_it_is_no_finding(cli: Cli, tmp_path: Path) -> None:
    """Templates that ask for what it has fail; where it stands is said once."""
    wanted = "dependencies: [{name: needed, version: 0.1.0, repository: 'http://127.0.0.1:9'}]\n"
    chart = write_chart(tmp_path / "parent", "parent", wanted, own='{{ fail "no" }}{{ include "needed.object" . }}\n')
    told = cli("lint", "--chart", chart, "--json")
    errors = [one["message"] for one in json.loads(told.stdout)["findings"] if one["level"] == "error"]
    assert len(errors) == 1
    assert errors[0].startswith("the dependencies cannot be fetched: needed 0.1.0 is not in charts/: looks like ")
    assert "where it cannot do without values" not in told.stdout
    later = write_chart(tmp_path / "later", "parent", map=config_map("a"))
    for words in (("kubeconform-check", "--chart", chart), ("diff", "--chart", later, "--from", chart)):
        cli(*words).refused("the dependencies cannot be fetched", "can be reached", code=OUTSIDE)


def test_repositories_of_the_user_that_the_chart_does_not_name_are_not_asked(
    cli: Cli, tmp_path: Path, toolchain: Toolchain
) -> None:
    needed = write_chart(tmp_path / "needed", "needed", map=config_map("needed"))
    (tmp_path / "repository").mkdir()
    known = tmp_path / "repositories.yaml"
    with http_repository(cli, needed, tmp_path / "repository", toolchain.path("helm")) as url:
        dead = {"name": "dead", "url": "http://127.0.0.1:9/charts"}
        known.write_text(json.dumps({"apiVersion": "", "repositories": [dead, {"name": "mine", "url": url}]}))
        for name, repository in (("a", "file://../needed"), ("b", "@mine"), ("c", "alias:mine"), ("d", url)):
            wanted = f"dependencies: [{{name: needed, version: 0.1.0, repository: '{repository}'}}]\n"
            chart = write_chart(tmp_path / name, name, wanted, own=config_map("own"))
            cli("template", "--chart", chart, "--kube-version", "1.30", HELM_REPOSITORY_CONFIG=str(known)).fine()
        wanted = "dependencies: [{name: needed, version: 0.1.0, repository: '@nobodys'}]\n"
        told = cli("template", "--chart", write_chart(tmp_path / "e", "e", wanted), HELM_REPOSITORY_CONFIG=str(known))
        told.refused("no repository definition for @nobodys", "see that the repositories are known", code=OUTSIDE)


def test_dependencies_in_the_file_of_helm_2_count(cli: Cli, tmp_path: Path) -> None:
    write_chart(tmp_path / "needed", "needed", map=config_map("b"))
    chart = write_chart(tmp_path / "old", "old", map=config_map("a"))
    (chart / "Chart.yaml").write_text("apiVersion: v1\nname: old\nversion: 0.1.0\n")
    wanted = "dependencies: [{name: needed, alias: other, version: 0.1.0, repository: 'file://../needed'}]\n"
    (chart / "requirements.yaml").write_text(wanted)
    told = cli("template", "--chart", chart, "--json")
    assert "fetching the dependencies of old: needed 0.1.0 is not in charts/" in told.stderr
    assert {render["objects"] for render in json.loads(told.fine())["renders"]} == {2}
    assert "2 objects" in cli("kubeconform-check", "--chart", chart, "--kube-version", "1.37").fine()
    cli("lint", "--chart", chart).fine()
    (chart / "requirements.yaml").write_text(wanted.replace("0.1.0", "0.2.0"))
    found = cli("lint", "--chart", chart)
    found.refused("is not clean")
    assert "requirements.yaml:1" in found.stdout
    assert "needed in file://../needed is 0.1.0, not 0.2.0" in found.stdout
    cli("package", "--chart", chart).refused("requirements.yaml:1: needed in file://../needed is 0.1.0, not 0.2.0")


def test_a_dry_run_of_the_smoke_test_says_what_it_finds(cli: Cli, tmp_path: Path) -> None:
    told = cli.on_chart("e2e", "--dry-run").fine()
    assert "load: http / of Service made, port http" in told
    assert "workloads: Deployment/" in told
    bare = write_chart(tmp_path / "bare", "bare_one", map=config_map("bare"))  # no name of a release
    told = cli("e2e", "--chart", bare, "--dry-run").fine()
    assert "not found: a load: the chart has no Service" in told
    refusing = write_chart(tmp_path / "strict", "strict", map='{{ fail "say a colour" }}')
    told = cli("e2e", "--chart", refusing, "--dry-run").fine()
    assert re.search(r"what is found in its objects cannot be said: .*templates/map\.yaml:1: say a colour", told)
    (refusing / "values.schema.json").write_text('{"required": ["size", "shape"]}')
    told = cli("e2e", "--chart", refusing, "--dry-run").fine()
    assert re.search(r"cannot be said: .*: 2 things are wrong\nshape: is required\nsize: is required", told)


def test_a_dry_run_refuses_what_the_smoke_test_does(cli: Cli, tmp_path: Path) -> None:
    chart = write_chart(tmp_path / "lib", "lib", "type: library\n")
    cli("e2e", "--chart", chart, "--dry-run").refused("lib is a library chart", "a chart that uses it")


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
    subprocess.run(("git", "init", "--quiet", cli.chart), check=True)
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

    def test_a_chart_that_it_needs_is_taken_of_the_revision_too(self, cli: Cli, tmp_path: Path) -> None:
        needs = "dependencies: [{{name: {0}, version: 0.1.0, repository: 'file://../{0}'}}]\n"
        base = write_chart(tmp_path / "base", "base", map=config_map("one"))
        write_chart(tmp_path / "middle", "middle", needs.format("base"), map=config_map("middle"))
        top = write_chart(tmp_path / "top", "top", needs.format("middle"), map=config_map("top"))
        (tmp_path / ".gitignore").write_text("charts\ntmp\nhome\ndist\n")
        who = ("git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
        for words in (("init", "-q"), ("add", "--all"), ("commit", "-qm", "first")):
            subprocess.run((*who, *words), cwd=tmp_path, check=True, capture_output=True)
        judge = ("judge", "--chart", top, "--against", "HEAD", "--kube-version", "1.30")
        assert "nothing differs" in cli(*judge).fine()
        (base / "templates" / "map.yaml").write_text(config_map("two"))
        told = cli("diff", "--chart", top, "--from", "HEAD", "--kube-version", "1.30").fine()
        assert "+ ConfigMap/two" in told
        assert "- ConfigMap/one" in told
        cli(*judge).refused("its version is not raised")

    def test_what_is_not_there(self, cli: Cli) -> None:
        cli.on_chart("diff", "--from", "9.9.9").refused(
            "made:9.9.9 is not published", "published versions: none", "git revision"
        )
        cli.on_chart("diff", "--from", "oci://127.0.0.1:1/x/made").refused("names no version")
        cli.on_chart("diff", "--from", "HEAD").refused("is in no git repository", "a version such as")
        assert not (cli.dist / "made.manifests").exists()


class TestValuesSets:
    def test_those_of_ci_take_the_place_of_the_bare_values(self, cli: Cli, tmp_path: Path) -> None:
        """A chart that refuses its own values can be linted and checked."""
        chart = write_chart(tmp_path / "needy", "needy", map=config_map('{{ required "say who" .Values.who }}'))
        (chart / "values.yaml").write_text("who: ''\n")
        cli("template", "--chart", chart, "--kube-version", "1.30").refused("say who")
        (chart / "ci").mkdir()
        (chart / "ci" / "a-values.yaml").write_text("who: me\n")
        (chart / "values-b.yml").write_text("who: you\n")
        told = cli("kubeconform-check", "--chart", chart, "--kube-version", "1.30", "--json").fine()
        assert json.loads(told)["values"] == ["ci/a-values.yaml", "values-b.yml"]
        cli("lint", "--chart", chart).fine()
        (chart / "gati.toml").write_text('values = ["values-*.yml"]\n')
        told = cli("kubeconform-check", "--chart", chart, "--kube-version", "1.30", "--json").fine()
        assert json.loads(told)["values"] == ["values-b.yml"]

    def test_a_refusal_that_only_linting_sees_is_none(self, cli: Cli, tmp_path: Path) -> None:
        """helm lint takes a key that a values set takes away (null) for one that is there."""
        both = "{{ with .Values.pdb }}{{ if and .min .max }}{{ fail `one of the two` }}{{ end }}{{ end }}"
        chart = write_chart(tmp_path / "c", "c", map=both + "\n" + config_map("a"))
        (chart / "values.yaml").write_text("pdb: {min: 1}\n")
        (chart / "ci").mkdir()
        values = chart / "ci" / "a-values.yaml"
        values.write_text("pdb: {min: ~, max: 1}\n")
        cli("lint", "--chart", chart).fine()
        values.write_text("pdb: {max: 1}\n")
        (told,) = (one for one in json.loads(cli("lint", "--chart", chart, "--json").stdout)["findings"] if one["line"])
        assert (Path(told["file"]).name, told["line"], told["message"]) == ("map.yaml", 1, "one of the two")

    def test_every_refusal_has_its_place_though_a_render_ends_at_the_first(self, cli: Cli, tmp_path: Path) -> None:
        needs = "data: {{a: '{{{{ required \"say {0}\" .Values.{0} }}}}'}}\n"
        texts = {name: config_map(name) + needs.format(name) for name in ("one", "two")}
        chart = write_chart(tmp_path / "c", "c", **texts)
        (chart / "values.yaml").write_text("one: ''\n")
        told = json.loads(cli("lint", "--chart", chart, "--json").stdout)["findings"]
        places = {one["message"]: (one["file"] and Path(one["file"]).name, one["line"]) for one in told}
        assert places["say one"] == ("one.yaml", 4)
        assert places["say two"] == ("two.yaml", 4)
        assert "where it cannot do without values, give some" in " ".join(places)

    def test_a_template_that_cannot_be_read_is_none_that_wants_values(self, cli: Cli, tmp_path: Path) -> None:
        chart = write_chart(tmp_path / "broken", "broken", a="a: {{ .Values.some-key }}\n")
        told = cli("template", "--chart", chart).refused("templates/a.yaml:1: bad character U+002D '-'")
        assert "give some" not in told
        (chart / "templates" / "a.yaml").write_text("a: {{ .Values.some.key }}\n")
        cli("template", "--chart", chart).refused("nil pointer", "where it cannot do without values, give some")


class TestCapabilities:
    def test_the_kinds_of_the_minor_are_served(self, cli: Cli, tmp_path: Path) -> None:
        asked = '{{ .Capabilities.APIVersions.Has "policy/v1/PodDisruptionBudget" }}'
        young = '{{ .Capabilities.APIVersions.Has "resource.k8s.io/v1/DeviceClass" }}'
        chart = write_chart(tmp_path / "asks", "asks", map=config_map("a") + f'data: {{a: "{asked}", b: "{young}"}}\n')
        only = ("--kube-version", "1.30", "--kube-version", "1.37")
        cli("template", "--chart", chart, *only).fine()
        index = json.loads((cli.dist / "asks.manifests" / "index.json").read_text())
        texts = [(cli.dist / "asks.manifests" / render["file"]).read_text() for render in index["renders"]]
        assert ['a: "true", b: "true"' in text for text in texts] == [False, True]
        assert ['a: "true"' in text for text in texts] == [True, True]

    @pytest.mark.parametrize(
        ("asked", "minors"),
        [
            ('semverCompare "~1.33.0-0" .Capabilities.KubeVersion.Version', {33}),
            ('eq .Capabilities.KubeVersion.Minor "33"', {33}),
            ("eq (.Capabilities.KubeVersion.Minor | int) (.Values.minor | int)", {33}),
            ("eq (.Capabilities.KubeVersion.Minor | int) (.Values.minor | int | sub 64)", {31}),
            ("semverCompare .Values.range .Capabilities.KubeVersion.Version", {33, 34}),
            (
                'and (.Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy")'
                ' (not (.Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"))',
                {30, 31, 32, 33, 34, 35},
            ),
        ],
    )
    def test_what_is_so_between_an_older_and_a_newer_minor_alone(
        self, cli: Cli, tmp_path: Path, asked: str, minors: set[int]
    ) -> None:
        name = f"{{{{ if {asked} }}}}between{{{{ else }}}}ends{{{{ end }}}}"
        chart = write_chart(tmp_path / "c", "c", map=config_map(name))
        (chart / "values.yaml").write_text('minor: 33\nrange: ">=1.33-0 <1.35-0"\n')
        cli("template", "--chart", chart).fine()
        index = json.loads((cli.dist / "c.manifests" / "index.json").read_text())
        told = {
            int(render["kube_version"].split(".")[1]): (cli.dist / "c.manifests" / render["file"]).read_text()
            for render in index["renders"]
        }
        assert {number for number, text in told.items() if "name: between" in text} == minors

    def test_an_operators_branch_is_rendered_with_and_without_it(self, cli: Cli, tmp_path: Path) -> None:
        branch = '{{ if .Capabilities.APIVersions.Has "keda.sh/v1alpha1" }}with{{ else }}without{{ end }}'
        chart = write_chart(tmp_path / "asks", "asks", map=config_map(branch))
        told = json.loads(cli("template", "--chart", chart, "--kube-version", "1.30", "--json").fine())
        assert [(render["values"], render["objects"]) for render in told["renders"]] == [
            ("no values file", 1),
            ("no values file without operators", 1),
        ]
        assert len({render["sha256"] for render in told["renders"]}) == 2

    def test_what_is_there_because_the_toolkit_says_that_an_api_is_served_is_borne(
        self, cli: Cli, tmp_path: Path
    ) -> None:
        """Of other groups than the one that the template asks for, too."""
        secret = "apiVersion: gen.example.com/v1\nkind: Password\nmetadata: {name: p}\n"
        asked = "{{ if .Capabilities.APIVersions.Has `a.example.com/v1/Store` }}\n" + secret + "{{ end }}\n"
        chart = write_chart(tmp_path / "asks", "asks", map=config_map("a"), secret=asked)
        check = ("kubeconform-check", "--chart", chart, "--kube-version", "1.30")
        told = cli(*check)
        assert "Password/p is not checked: rendered to see what templates do" in told.stderr
        told.fine()
        (chart / "templates" / "secret.yaml").write_text(secret + "---\n" + asked.replace("name: p", "name: q"))
        told = cli(*check)
        assert "Password/p" in told.stdout
        assert "Password/q" not in told.stdout
        told.refused("renders objects that are not checked")

    def test_templates_that_render_nothing_are_named_and_no_object_is_no_success(
        self, cli: Cli, tmp_path: Path
    ) -> None:
        guarded = "{{ if .Values.on }}\n" + config_map("a") + "{{ end }}\n"
        chart = write_chart(tmp_path / "quiet", "quiet", map=guarded)
        (chart / "templates" / ".helmignore").write_text("*.swp\n")  # which helm never renders
        (chart / "values.yaml").write_text("on: false\n")
        cli("kubeconform-check", "--chart", chart, "--kube-version", "1.30").refused(
            "renders no object", "found:    templates/map.yaml\n", "ci/"
        )


class TestSchemas:
    CUSTOM = "apiVersion: example.com/v1\nkind: Box\nmetadata: {name: b}\nspec: {size: big}\n"
    DEFINITION = (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: boxes.example.com}\n"
        "spec:\n  group: example.com\n  scope: Namespaced\n  names: {kind: Box, plural: boxes, singular: box}\n"
        "  versions:\n  - name: v1\n    served: true\n    storage: true\n    schema: {openAPIV3Schema: {type: object,"
        " properties: {spec: {type: object, properties: {size: {type: integer}}}}}}\n"
    )

    def test_a_kind_without_one_is_not_checked_until_it_is_defined_or_skipped(self, cli: Cli, tmp_path: Path) -> None:
        chart = write_chart(tmp_path / "box", "box", box=self.CUSTOM, map=config_map("a"))
        check = ("kubeconform-check", "--chart", chart, "--kube-version", "1.30")
        told = cli(*check)
        assert "not checked: no schema for example.com/v1 Box" in told.stdout
        told.refused("renders objects that are not checked", "skip_kinds")
        (tmp_path / "crd.yaml").write_text(self.DEFINITION)
        (chart / "gati.toml").write_text('crds = ["../none*"]\n')
        cli(*check).refused(f"crds names {tmp_path}/none*, which is not there", code=2)
        (chart / "gati.toml").write_text('crds = ["../c?d.y*ml"]\n')
        told = cli(*check)
        assert "spec.size: got string, want integer" in told.stdout
        told.refused("objects that are not valid")
        kinds = (f"example.com/{version} Box: its vendor checks it" for version in ("v1", "v2"))
        (chart / "gati.toml").write_text(f"skip_kinds = {[*kinds]}\n")
        told = cli(*check)
        assert "Box/b is not checked: its vendor checks it" in told.stderr
        assert "1 objects of 1 renders are valid" in told.fine()
        (chart / "gati.toml").write_text('skip_kinds = ["Box"]\n')
        cli(*check).refused("skip_kinds cannot be used", "group/version Kind: why")

    def test_a_folder_of_definitions_may_hold_what_changes_them(self, cli: Cli, tmp_path: Path) -> None:
        chart = write_chart(tmp_path / "box", "box", box=self.CUSTOM)
        crds = tmp_path / "config" / "crd"
        (crds / "patches.yaml").mkdir(parents=True)
        (crds / "box.yaml").write_text(self.DEFINITION)
        (crds / "kustomization.yaml").write_text("resources: [box.yaml]\n")
        (crds / "patches.yaml" / "hook.yaml").write_text(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: boxes.example.com}\n"
            "spec: {conversion: {strategy: None}}\n"
        )
        (crds / "patches.yaml" / "scope.yaml").write_text("- {op: remove, path: /spec/scope}\n")
        (chart / "gati.toml").write_text('crds = ["../config/crd"]\n')
        check = ("kubeconform-check", "--chart", chart, "--kube-version", "1.30")
        assert "spec.size: got string, want integer" in cli(*check).stdout
        (crds / "template.yaml").write_text("{{- if .Values.crds }}\nkind: CustomResourceDefinition\n{{- end }}\n")
        cli(*check).refused("no definitions can be read from", "config/crd/template.yaml", code=2)

    def test_definitions_in_an_archived_dependency_count(self, cli: Cli, tmp_path: Path) -> None:
        chart = write_chart(tmp_path / "box", "box", "dependencies: [{name: defs, version: 0.1.0}]\n", box=self.CUSTOM)
        defs = write_chart(tmp_path / "defs", "defs", map=config_map("d"))
        (defs / "crds").mkdir()
        (defs / "crds" / "box.yaml").write_text(self.DEFINITION)
        cli("package", "--chart", defs).fine()
        (chart / "charts").mkdir()
        shutil.copy(cli.dist / "defs-0.1.0.tgz", chart / "charts")
        told = cli("kubeconform-check", "--chart", chart, "--kube-version", "1.30")
        assert "spec.size: got string, want integer" in told.stdout


class TestDependencies:
    def test_by_path_they_are_fetched_and_packed_anew_when_they_change(self, cli: Cli, tmp_path: Path) -> None:
        write_chart(tmp_path / "base", "base", map=config_map("first"))
        needs = "dependencies: [{name: base, version: 0.1.0, repository: 'file://../base'}]\n"
        umbrella = write_chart(tmp_path / "umbrella", "umbrella", needs)
        (umbrella / "templates").rmdir()
        assert "error" not in cli("lint", "--chart", umbrella).fine()
        for name in ("first", "second"):
            (tmp_path / "base" / "templates" / "map.yaml").write_text(config_map(name))
            cli("template", "--chart", umbrella, "--kube-version", "1.30").fine()
            (text,) = (file.read_text() for file in (cli.dist / "umbrella.manifests").glob("*.yaml"))
            assert f"name: {name}" in text
        assert not (umbrella / "Chart.lock").exists()  # it would be a change that nobody made
        (base := tmp_path / "base" / "Chart.yaml").write_text(base.read_text().replace("0.1.0", "0.2.0"))
        told = cli("lint", "--chart", umbrella)
        assert "base in file://../base is 0.2.0, not 0.1.0 (next: correct the version there)" in told.stdout
        shutil.rmtree(umbrella / "charts")
        cli("package", "--dry-run", "--chart", umbrella).refused("is 0.2.0, not 0.1.0", "correct the version there")
        (tmp_path / "base" / "templates" / "map.yaml").write_text(config_map("third"))
        cli("template", "--chart", umbrella).refused("is 0.2.0, not 0.1.0", "next:     correct the version there")

    @pytest.mark.parametrize(
        ("repository", "words"), [("file://../none", "none not found"), ("git+https://a.example", "protocol handler")]
    )
    def test_a_repository_that_is_none_is_told_as_such(
        self, cli: Cli, tmp_path: Path, repository: str, words: str
    ) -> None:
        needs = f"dependencies: [{{name: sub, version: 0.1.0, repository: '{repository}'}}]\n"
        chart = write_chart(tmp_path / "top", "top", needs, map=config_map("a"))
        cli("template", "--chart", chart).refused("cannot be fetched: sub 0.1.0", words, "correct the repository there")
        told = " ".join(cli("lint", "--chart", chart).stdout.split())  # which says why, and not what would fail as well
        assert words in told
        assert "(next: correct the repository there" in told

    def test_a_repository_that_a_plugin_reaches_is_one(self, cli: Cli, tmp_path: Path) -> None:
        """As of a bucket; helm itself knows HTTP, OCI and folders."""
        (plugin := tmp_path / "plugins" / "bucket").mkdir(parents=True)
        told = "name: bucket\nversion: 0.1.0\ncommand: /bin/true\ndownloaders: [{command: get, protocols: [bucket]}]\n"
        (plugin / "plugin.yaml").write_text(told)
        (plugin / "get").write_text(f'#!/bin/sh\ncat "{cli.dist}/${{4##*/}}"\n')
        (plugin / "get").chmod(0o755)
        cli("package", "--chart", write_chart(tmp_path / "base", "base", map=config_map("b"))).fine()
        entry = "entries: {base: [{name: base, version: 0.1.0, urls: [base-0.1.0.tgz]}]}\n"
        (cli.dist / "index.yaml").write_text(f"apiVersion: v1\n{entry}")
        needs = "dependencies: [{name: base, version: 0.1.0, repository: 'bucket://charts'}]\n"
        chart = write_chart(tmp_path / "top", "top", needs, map=config_map("a"))
        cli("template", "--chart", chart).refused("protocol handler", "or install helm's plugin for it")
        cli("template", "--chart", chart, HELM_PLUGINS=str(plugin.parent)).fine()

    def test_of_another_version_they_are_refused(self, cli: Cli, tmp_path: Path) -> None:
        chart = write_chart(
            tmp_path / "top", "top", "dependencies: [{name: sub, version: ~1.2.0}]\n", map=config_map("a")
        )
        write_chart(chart / "charts" / "sub", "sub", map=config_map("b"))  # 0.1.0
        told = cli("lint", "--chart", chart)
        assert "sub in charts/ is 0.1.0, not ~1.2.0" in told.stdout
        told.refused("is not clean")
        for task in ("template", "package"):
            cli(task, "--chart", chart).refused("sub in charts/ is 0.1.0, not ~1.2.0", "correct one of the two")

    def test_a_library_is_rendered_through_a_chart_that_uses_it(self, cli: Cli, tmp_path: Path) -> None:
        library = write_chart(tmp_path / "lib", "lib", "type: library\n")
        (library / "templates" / "_map.tpl").write_text('{{- define "lib.map" }}' + config_map("made") + "{{ end }}")
        needs = "dependencies: [{name: lib, version: 0.1.0, repository: 'file://../lib'}]\n"
        user = write_chart(tmp_path / "user", "user", needs, map='{{ include "lib.map" . }}\n', part="a: {{ 1 }}\n")
        told = cli("kubeconform-check", "--chart", library, "--kube-version", "1.30")
        assert "rendered through" in told.stderr
        assert "user/templates/part.yaml is not checked: a chart of tests may render parts of objects" in told.stderr
        assert "lib 0.1.0: 1 objects of 1 renders are valid" in told.fine()
        told = cli("kubeconform-check", "--chart", user, "--kube-version", "1.30")
        assert re.search(r"user/templates/part.yaml +is no object: it has no apiVersion and kind", told.stdout)
        (user / "templates" / "part.yaml").write_text('{{ required "a is needed" .Values.a }}')
        told = cli("kubeconform-check", "--chart", library, "--kube-version", "1.30")
        told.refused("a is needed", "ci/NAME-values.yaml in it), or name another: test_chart")
        (user / "templates" / "part.yaml").unlink()
        core = write_chart(tmp_path / "core", "core", "type: library\n")  # that no chart but a library uses
        file = library / "Chart.yaml"
        file.write_text(file.read_text() + needs.replace("lib", "core"))
        told = cli("kubeconform-check", "--chart", core, "--kube-version", "1.30")
        assert "core 0.1.0: 1 objects of 1 renders are valid" in told.fine()
        assert (cli.dist / "lib.kubeconform.json").is_file()  # where the report looks for it
        (tmp_path / "gati.toml").write_text('charts = ["lib"]\n')
        told = cli("kubeconform-check", "--chart", tmp_path, "--all", "--kube-version", "1.30")
        assert "lib 0.1.0" in told.fine()
        (cli.dist / "lib.kubeconform.json").unlink()
        cli("kubeconform-check", "--chart", tmp_path, "--all", "--kube-version", "1.30").fine()
        assert (cli.dist / "lib.kubeconform.json").is_file()

    def test_a_chart_that_uses_a_library_may_need_others_too(self, cli: Cli, tmp_path: Path) -> None:
        library = write_chart(tmp_path / "lib", "lib", "type: library\n")
        (library / "templates" / "_map.tpl").write_text('{{- define "lib.map" }}' + config_map("made") + "{{ end }}")
        write_chart(tmp_path / "far", "far", map=config_map("far"))
        needs = "{{name: {0}, version: 0.1.0, repository: 'file://../{0}'}}".format
        both = f"dependencies: [{needs('lib')}, {needs('far')}]\n"
        write_chart(tmp_path / "a-user", "a-user", both, map='{{ include "lib.map" . }}\n')
        told = cli("kubeconform-check", "--chart", library, "--kube-version", "1.30")
        assert "lib 0.1.0: 2 objects of 1 renders are valid" in told.fine()
        write_chart(tmp_path / "user", "user", f"dependencies: [{needs('lib')}]\n", map='{{ include "lib.map" . }}\n')
        assert (
            "1 objects of 1 renders are valid"
            in cli("kubeconform-check", "--chart", library, "--kube-version", "1.30").fine()
        )  # who needs the library alone, needs nothing from elsewhere


def hook(event: str) -> str:
    return config_map("h").replace("{name: h}", f"{{name: h, annotations: {{helm.sh/hook: {event}}}}}")


class TestObjects:
    def test_hooks_namespaces_and_kinds(self, cli: Cli, tmp_path: Path) -> None:
        def placed(namespace: str) -> str:
            return config_map("p").replace("{name: p}", f"{{name: p, namespace: {namespace}}}")

        chart = write_chart(tmp_path / "many", "many", a=hook("pre-install"), b=hook("pre-upgrade"), c=placed("other"))
        check = ("kubeconform-check", "--chart", chart, "--kube-version", "1.30")
        cli(*check).fine()
        (chart / "templates" / "d.yaml").write_text(config_map("p") + "---\n" + placed("many"))
        (chart / "templates" / "e.yaml").write_text("metadata: {name: x}\n")
        told = cli(*check)
        assert told.status == 1
        assert told.stdout.count("stands twice") == 1
        assert "is no object: it has no apiVersion and kind" in told.stdout

    def test_a_hook_that_helm_does_not_know_is_told(self, cli: Cli, tmp_path: Path) -> None:
        told = {"pre-instal": "pre-instal", "'post-install,'": "post-install,", "''": '""'}
        objects = "---\n".join(map(hook, ("Pre-Install", *told)))
        chart = write_chart(tmp_path / "hooked", "hooked", a=objects)
        checked = cli("kubeconform-check", "--chart", chart, "--kube-version", "1.30")
        assert "1 objects of 1 renders" in checked.fine()
        for event in told.values():
            left_out = f"note: helm leaves out each object with helm.sh/hook: {event}, which it does not know"
            assert f"{left_out} (no values file for 1.30)" in checked.stderr

    def test_a_release_that_helm_cannot_keep_is_refused(self, cli: Cli, tmp_path: Path) -> None:
        chart = write_chart(tmp_path / "heavy", "heavy", a=config_map("a"))
        check = ("kubeconform-check", "--chart", chart, "--kube-version", "1.30")
        (chart / "noise").write_bytes(random.Random(1).randbytes(760_000))
        cli(*check).fine()
        (chart / "noise").write_bytes(random.Random(1).randbytes(800_000))
        told = cli(*check)
        assert told.status == 1
        assert "Secret/sh.helm.release.v1.heavy.v1  helm keeps the release in it, which takes about 107" in told.stdout


class TestLint:
    def test_keeps_to_the_rules_of_the_chart(self, cli: Cli, tmp_path: Path) -> None:
        chart = write_chart(tmp_path / "loose", "loose", map=config_map("a"))
        (chart / "values.yaml").write_text("a: 1   \n#no space\n")
        assert "yamllint" not in cli("lint", "--chart", chart).fine()
        (chart / "values.yaml").write_text("a: 1   \na: 1\n")
        assert 'duplication of key "a"' in cli("lint", "--chart", chart).fine()  # of which helm takes the last one
        (chart / ".yamllint").write_text("rules: {trailing-spaces: {level: warning}}\n")
        assert "trailing spaces" in cli("lint", "--chart", chart).fine()
        (chart / "gati.toml").write_text('lint_errors = ["yamllint"]\n')
        cli("lint", "--chart", chart).refused("is not clean")
        with (chart / ".yamllint").open("a") as rules:
            rules.write("ignore: /values.yaml\n")  # from the folder of the rules
        cli("lint", "--chart", chart).fine()
        (chart / "CHANGELOG.md").write_text("# Changelog\n\n## [9.9.9] - 2026-01-02\n")
        assert "has no entry for version 0.1.0" in cli("lint", "--chart", chart).fine()
        (chart / "gati.toml").write_text('lint_errors = ["changelog"]\n')
        cli("lint", "--chart", chart).refused("is not clean")

    def test_bears_what_helm_bears(self, cli: Cli, tmp_path: Path) -> None:
        chart = write_chart(tmp_path / "vee", "vee", map=config_map("a"))
        file = chart / "Chart.yaml"
        file.write_text(file.read_text().replace("0.1.0", "v0.1.0"))
        (chart / "gati.toml").write_text('changelog = "none"\n')
        told = cli("lint", "--chart", chart).fine()
        assert "has a leading v" in told
        assert "changelog" not in told
        assert json.loads(cli("package", "--chart", chart, "--json").fine())["version"] == "v0.1.0"
        given = ("--version", "1.2.3", "--app-version", "9.9")
        assert json.loads(cli("package", "--chart", chart, *given, "--json").fine())["version"] == "1.2.3"
        cli("publish", "--chart", chart).fine()
        shutil.copytree(chart, before := tmp_path / "before" / "vee")
        file.write_text(file.read_text().replace("v0.1.0", "v0.2.0"))
        told = cli("judge", "--chart", chart, "--from", before).fine()
        assert "vee v0.1.0 -> v0.2.0: nothing differs" in told

    def test_reads_two_documents_as_helm_does_and_says_so(self, cli: Cli, tmp_path: Path) -> None:
        chart = write_chart(
            tmp_path / "two", "two", map=config_map("{{ .Values.name }}{{ .Values.at.a }}{{ .Values.at.b }}")
        )
        (chart / "ci").mkdir()
        (chart / "ci" / "a-values.yaml").write_text("name: x\nat: {a: 1}\n---\nat: {b: 2}\n")
        for task in ("template", "kubeconform-check", "package", "release --dry-run --allow-dirty"):
            cli(*task.split(), "--chart", chart).fine()
        told = "a-values.yaml:3: holds a further document: helm 3 reads the first one alone, helm 4 lays it over that"
        found = json.loads(cli("lint", "--chart", chart, "--json").fine())["findings"]
        assert [one["level"] for one in found if f"{one['file']}:{one['line']}: {one['message']}".endswith(told)] == [
            "warning"
        ]
        (chart / "ci" / "a-values.yaml").write_text("name: x\n---\n- 1\n")
        cli("template", "--chart", chart).refused("a-values.yaml: not a mapping")


class Charts:
    """Three charts of one repository, of which `top` needs `base`."""

    def __init__(self, cli: Cli, project: Path) -> None:
        self._cli, self.project = cli, project
        for name, needs in (("base", ""), ("top", "base"), ("other", "")):
            more = (
                f"dependencies: [{{name: {needs}, version: '*', repository: 'file://../{needs}'}}]\n" if needs else ""
            )
            write_chart(project / "charts" / name, name, more, map=config_map(name))
        (project / "gati.toml").write_text('charts = ["charts/*"]\nchangelog = "none"\n')
        (project / ".gitignore").write_text("charts/*/charts/\n")

    def told(self, *argv: str) -> Any:
        """What a task says of the project, as JSON."""
        return json.loads(self._cli(*argv, "--chart", self.project, "--json").fine())

    def names(self, *argv: str) -> list[str]:
        """Which charts a task looked at."""
        return [chart["name"] for chart in self.told(*argv)["charts"]]

    def git(self, *words: str) -> None:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(("git", *who, *words), cwd=self.project, check=True, capture_output=True)

    def commit(self, tag: str) -> None:
        if not (self.project / ".git").exists():
            self.git("init", "--quiet")
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", tag)
        self.git("tag", tag)

    def commit_nothing(self) -> None:
        """A commit that changes no file."""
        self.git("commit", "--quiet", "--allow-empty", "-m", "nothing")

    def write(self, name: str, text: str) -> None:
        """Another template of a chart."""
        (self.project / "charts" / name / "templates" / "map.yaml").write_text(text)

    def raise_to(self, name: str, version: str) -> None:
        """Another version of a chart."""
        file = self.project / "charts" / name / "Chart.yaml"
        file.write_text(re.sub(r"(?m)^version: .*", f"version: {version}", file.read_text()))


class TestManyCharts:
    def test_the_versions_of_those_that_changed_are_judged(self, cli: Cli, tmp_path: Path) -> None:
        """As chart-testing does for a pull request."""
        charts = Charts(cli, tmp_path / "project")
        charts.commit("start")
        charts.write("other", config_map("changed"))
        told = cli("judge", "--changed", "start", "--chart", charts.project)
        assert "other is another one than in start, and its version is not raised above 0.1.0" in told.stdout
        told.refused("1 of 1 charts failed", "other")
        assert re.search(r"invoke version-bump --part auto --chart \S+charts/other\n", told.stdout), told
        charts.raise_to("other", "0.2.0")
        (only,) = charts.told("judge", "--changed", "start", "--kube-version", "1.30")["charts"]
        assert (only["name"], only["report"]["level"]) == ("other", "major")
        assert json.loads((cli.dist / "other.judge.json").read_text()) == only["report"]
        cli("judge", "--changed", "a", "--against", "b").refused("--changed and --against exclude each other", code=2)

    def test_all_or_those_that_changed_in_order_of_dependency(self, cli: Cli, tmp_path: Path) -> None:
        charts = Charts(cli, tmp_path / "project")
        assert charts.names("lint", "--all") == ["base", "other", "top"]  # and fetches what top needs, with its lock
        charts.commit("start")
        assert charts.names("lint", "--changed", "start") == []
        charts.write("base", config_map("changed"))
        assert charts.names("kubeconform-check", "--changed", "start") == ["base", "top"]
        assert json.loads((cli.dist / "top.kubeconform.json").read_text())["objects"] > 0
        (charts.project / "charts" / "other" / "files").mkdir()
        link = charts.project / "charts" / "other" / "files" / "base.yaml"
        link.symlink_to("../../base/templates/map.yaml")  # it changes with what it leads to
        charts.commit("linked")
        charts.write("base", config_map("changed-again"))
        assert charts.names("lint", "--changed", "linked") == ["base", "other", "top"]
        link.unlink()
        charts.write("other", "a: [\n")
        told = cli("template", "--all", "--chart", charts.project)
        assert "base 0.1.0" in told.stdout
        told.refused("1 of 3 charts failed", "other")
        file = tmp_path / "junit.xml"
        cli("kubeconform-check", "--all", "--chart", charts.project, "--junit", file).refused("1 of 3 charts failed")
        found = {
            str(suite.get("name")).partition(":")[0]: suite.get("failures")
            for suite in ElementTree.parse(file).getroot()
        }
        assert found == {"base": "0", "top": "0", "other": "1"}

    def test_what_is_needed_by_path_counts_wherever_it_is(self, cli: Cli, tmp_path: Path) -> None:
        """Outside of the charts of the project, behind a link of its own, under another name, or there no more."""
        charts = Charts(cli, tmp_path / "project")
        charts.git("init", "--quiet")
        library = write_chart(charts.project / "libs" / "lib", "lib", map=config_map("lib"))
        (charts.project / "common").mkdir()
        (charts.project / "common" / "a.txt").write_text("a")
        (library / "a.txt").symlink_to("../../common/a.txt")
        base = charts.project / "charts" / "base" / "Chart.yaml"
        needs = "{name: lib, version: '*', repository: 'file://../../libs/lib'}, {name: inner, version: '*'}"
        base.write_text(f"{base.read_text()}dependencies: [{needs}]\n")
        write_chart(base.parent / "charts" / "inner", "inner", map=config_map("inner"))  # which is a part of it
        charts.commit("start")
        (charts.project / "common" / "a.txt").write_text("b")
        assert charts.names("lint", "--changed", "start") == ["base", "top"]
        charts.commit("linked")
        (charts.project / "gati.toml").write_text('charts = ["charts/**"]\nchangelog = "none"\n')
        assert sorted(charts.names("lint", "--all")) == ["base", "other", "top"]
        charts.git("mv", "charts/other", "charts/renamed")
        assert charts.names("lint", "--changed", "linked") == ["other"]
        charts.commit("renamed")
        charts.git("rm", "--quiet", "-r", "libs")
        assert charts.names("lint", "--changed", "renamed") == ["base", "top"]

    @pytest.mark.parametrize(
        ("file", "text", "told"),
        [
            ("Chart.yaml", "name: [base\n", "Chart.yaml:2:1: not valid YAML"),
            ("requirements.yaml", "dependencies: [\n", "requirements.yaml:2:1: not valid YAML"),
            ("gati.toml", "changelog = 1\n", "changelog"),
        ],
    )
    def test_one_that_cannot_be_read_stops_none_of_the_others(
        self, cli: Cli, tmp_path: Path, file: str, text: str, told: str
    ) -> None:
        charts = Charts(cli, tmp_path / "project")
        (charts.project / "charts" / "other" / file).write_text(text)
        charts.commit("start")
        for task in ("lint", "template", "kubeconform-check", "release --dry-run"):
            found = cli(*task.split(), "--all", "--chart", charts.project)
            assert "base 0.1.0" in found.stdout, found
            assert "top 0.1.0" in found.stdout, found
            found.refused()
            assert re.search(r"other( 0.1.0)? +(FAILED|unknown) ", found.stdout), found
            assert told in found.stdout + found.stderr, found
        assert charts.names("lint", "--changed", "start") == []

    def test_none_is_released_where_one_cannot_be(self, cli: Cli, tmp_path: Path) -> None:
        charts = Charts(cli, tmp_path / "project")
        dry = cli("release", "--all", "--dry-run", "--chart", charts.project).fine()
        assert re.search(r"top 0.1.0 +absent +push top:0.1.0, once its dependencies are fetched: base", dry)
        charts.raise_to("other", "1.0-SNAPSHOT")
        told = cli("release", "--all", "--dry-run", "--chart", charts.project)
        told.refused("'1.0-SNAPSHOT' is not a semantic version", "helm packs it")
        assert re.search(r"top 0.1.0 +absent ", told.stdout), told
        charts.raise_to("other", "0.1.0")
        charts.told("lint", "--all")
        charts.commit("other-0.1.0")
        charts.commit_nothing()
        for words in ((), ("--dry-run",)):
            told = cli("release", "--all", "--tag", "--chart", charts.project, *words)
            told.refused("the git tag other-0.1.0 is at another commit")
            assert "base 0.1.0" in told.stdout
            assert "releasing" not in told.stderr
        needs = "dependencies: [{name: far, version: 1.0.0, repository: 'http://127.0.0.1:1'}]\n"
        charts.raise_to("other", f"0.2.0\n{needs}")
        charts.commit("far")
        told = cli("release", "--all", "--chart", charts.project)
        told.refused("see that the repositories are known and can be reached", code=OUTSIDE)
        assert re.search(r"other 0.2.0 +unknown .*cannot be fetched: far 1.0.0", told.stdout), told
        assert re.search(r"top 0.1.0 +absent ", told.stdout), told
        assert "releasing" not in told.stderr

    @pytest.mark.timeout(300)
    def test_those_that_changed_are_released_once_in_order_of_dependency(
        self, cli: Cli, tmp_path: Path, toolchain: Toolchain
    ) -> None:
        charts = Charts(cli, tmp_path / "project")
        helm, top = str(toolchain.path("helm")), charts.project / "charts" / "top"
        subprocess.run((helm, "dependency", "update", top), check=True, capture_output=True)
        charts.commit("start")
        first = cli("release", "--all", "--chart", charts.project)
        assert re.findall(r"releasing (\S+) 0.1.0", first.stderr) == ["base", "other", "top"], first
        charts.write("base", config_map("changed"))
        charts.raise_to("base", "0.2.0")
        charts.commit("raised")
        told = cli("release", "--changed", "start", "--dry-run", "--chart", charts.project)
        dry = told.fine()
        assert told.stderr.count("embedded registry at") == 1
        assert "base 0.2.0" in dry
        assert re.search(r"top 0.1.0 +unknown .*0.1.0 is published: not known whether the same before its depend", dry)
        changed = ("release", "--changed", "start", "--chart", str(charts.project))
        cli(*changed).refused("dependencies cannot be fetched", "helm dependency update")  # its Chart.lock is committed
        subprocess.run((helm, "dependency", "update", top), check=True, capture_output=True)
        charts.commit("locked")
        assert "top 0.1.0   different" in cli(*changed, "--dry-run").fine()
        charts.raise_to("top", "0.2.0")
        charts.commit("raised-too")
        told = cli(*changed)
        assert told.status == 0, told
        assert re.findall(r"releasing (\S+ \S+)", told.stderr) == ["base 0.2.0", "top 0.2.0"], told
        records = {file.name: json.loads(file.read_text())["version"] for file in cli.dist.glob("*.release.json")}
        assert records == {"base.release.json": "0.2.0", "other.release.json": "0.1.0", "top.release.json": "0.2.0"}
        assert "releasing" not in cli(*changed).stderr


THING = "apiVersion: own.example/v1\nkind: Thing\nmetadata: {name: a}\nspec: {size: three}\n"
THING_SCHEMA = '{"properties": {"spec": {"properties": {"size": {"type": "integer"}}}}}'
THING_CRD = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.own.example}
spec:
  group: own.example
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {properties: {spec: {properties: {size: {type: integer}}}}}}
"""


@pytest.mark.parametrize(
    ("key", "file", "text"),
    [
        ("schema_folders", "further/thing-own-v1.json", THING_SCHEMA),  # kubeconform's name
        ("schema_folders", "further/own.example/thing_v1.json", THING_SCHEMA),  # the CRDs catalogue's
        ("crds", "further/things.yaml", THING_CRD),
    ],
)
def test_schemas_of_others_are_named(cli: Cli, tmp_path: Path, key: str, file: str, text: str) -> None:
    chart = write_chart(tmp_path / "things", "things", thing=THING)
    words = ("kubeconform-check", "--chart", chart, "--kube-version", "1.30")
    assert "not checked: no schema for own.example/v1 Thing" in " ".join(cli(*words).stdout.split())
    (chart / "gati.toml").write_text('charts = ["."]\n')
    assert "next:     name their definitions in [tool.gati] crds" in cli(*words, "--all").stdout
    (chart / file).parent.mkdir(parents=True)
    (chart / file).write_text(text)
    (chart / "gati.toml").write_text(f'{key} = ["further"]\n')
    told = cli(*words)
    assert told.status != 0
    assert "spec.size: got string, want integer" in " ".join(told.stdout.split())
