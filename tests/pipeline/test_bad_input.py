"""Whatever is wrong with the input: one clear message, the exit code of its kind, and everything as it was."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.core.errors import OUTSIDE, USAGE
from tests.pipeline.conftest import Cli, snapshot

RENDERING = ("template", "kubeconform-check")


def add(file: str, text: str) -> Callable[[Path], None]:
    """Appends `text` to a file of the chart."""

    def change(chart: Path) -> None:
        with (chart / file).open("a") as stream:
            stream.write(text)

    return change


def replace(file: str, old: str, new: str) -> Callable[[Path], None]:
    """Replaces the text `old`, which must be there."""

    def change(chart: Path) -> None:
        text = (chart / file).read_text()
        assert old in text
        (chart / file).write_text(text.replace(old, new, 1))

    return change


@pytest.mark.parametrize("task", ["lint", *RENDERING, "package", "publish", "verify", "version-bump", "release"])
def test_no_chart_at_the_path(cli: Cli, task: str, tmp_path: Path) -> None:
    told = cli(task, "--chart", tmp_path / "nowhere", *(["--part", "patch"] if task == "version-bump" else []))
    told.refused(f"no chart at {tmp_path}/nowhere", "no such folder", "--chart PATH")
    assert told.stdout == ""
    assert not cli.dist.exists()
    assert not cli.registry.exists()


def test_a_relative_chart_is_looked_for_in_the_current_folder(cli: Cli, tmp_path: Path) -> None:
    process = subprocess.run(
        ("invoke", "--search-root", cli.checkout, "package", "--chart", "chart", "--dry-run"),
        cwd=tmp_path,
        env=cli.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "made-0.1.0.tgz" in process.stdout, process.stderr


class TestSources:
    """Each thing that can be wrong with a chart, where it is told, and by which tasks."""

    @pytest.mark.parametrize("task", ["template", "package", "release"])
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            pytest.param(add("Chart.yaml", "bad: : x\n"), ("Chart.yaml:25:6: not valid YAML",), id="Chart.yaml"),
            pytest.param(add("values.yaml", "x: [1\n"), ("values.yaml:", "not valid YAML"), id="values.yaml"),
            pytest.param(
                add("values-dev.yaml", "a: 1\n\tb: 1\n"), ("values-dev.yaml:2:1: not valid",), id="values-dev"
            ),
            pytest.param(add("values-dev.yaml", "- 1\n"), ("values-dev.yaml: not a mapping",), id="a list of values"),
            pytest.param(
                lambda chart: (chart / "values-x.yaml").write_bytes(b"a: \xff\n"),
                ("values-x.yaml: not valid YAML", "UTF-8"),
                id="not UTF-8",
            ),
            pytest.param(add("values.schema.json", '{\n"type": }'), ("schema.json:2:9: not valid JSON",), id="schema"),
            pytest.param(
                replace("Chart.yaml", "version: 0.1.0", "version: one"), ("Chart.yaml:18: version", "one"), id="version"
            ),
            pytest.param(
                replace("Chart.yaml", "name: made", "name: a/b"), ('Chart.yaml:2: name "a/b" is invalid',), id="name"
            ),
            pytest.param(
                add("Chart.yaml", "dependencies: [{name: other, version: 1.0.0, repository: ''}]\n"),
                ("Chart.yaml:25: other 1.0.0 is not in charts/", "say which repository has it"),
                id="dependency",
            ),
        ],
    )
    def test_break_every_task(
        self, cli: Cli, task: str, change: Callable[[Path], None], words: tuple[str, ...]
    ) -> None:
        change(cli.chart)
        before = snapshot(cli.chart)
        told = cli.on_chart(task)
        told.refused(*words)
        assert told.stdout == ""
        assert snapshot(cli.chart) == before
        assert not cli.dist.exists()

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("x: {{ if }}\n", ("templates/new.yaml:1: missing value for if",)),
            ("a: 1\nx: {{ .Values.no.deeper }}\n", ("templates/new.yaml:2: nil pointer", "<.Values.no.deeper>")),
            ('x: 1\n{{ fail "because so" }}\n', ("templates/new.yaml:2: because so",)),
            ("{{ required `need it` .Values.it }}\n", ("templates/new.yaml:1: need it",)),
            ("a:\n b\n  c: [\n", ("templates/new.yaml: renders text that is not valid", "line ")),
            ('{{ include "made.nope" . }}\n', ("templates/new.yaml:1: ", "made.nope")),
            ("{{ nofunction }}\n", ("templates/new.yaml:1: ", "nofunction")),
        ],
    )
    def test_a_template_error_has_its_line_and_helms_words(self, cli: Cli, text: str, words: tuple[str, ...]) -> None:
        (cli.chart / "templates" / "new.yaml").write_text(text)
        error = cli.on_chart("kubeconform-check", "--kube-version", "1.30").refused(*words, "values.yaml for 1.30")
        for noise in ("--debug", "Error:", "execution error", "level="):
            assert noise not in error

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("nosuchkey: 1\n", ("nosuchkey: no such key",)),
            ("ingress:\n  replicaCount: many\n", ("v.yaml:2: ingress.replicaCount: got string, want integer",)),
            ("ingress:\n  image:\n    tagg: x\n", ("v.yaml:3: ingress.image.tagg: no such key",)),
        ],
    )
    def test_values_that_the_schema_refuses_are_named(
        self, cli: Cli, tmp_path: Path, text: str, words: tuple[str, ...]
    ) -> None:
        (tmp_path / "v.yaml").write_text(text)
        cli("template", "--values", tmp_path / "v.yaml", "--kube-version", "1.30").refused(*words)
        told = cli("lint", "--values", tmp_path / "v.yaml")
        told.refused("is not clean")
        assert words[0].partition(": ")[2] in told.stdout

    @pytest.mark.parametrize("task", ["lint", *RENDERING])
    def test_a_values_file_that_does_not_exist(self, cli: Cli, task: str, tmp_path: Path) -> None:
        cli.on_chart(task, "--values", tmp_path / "none.yaml").refused(f"no values file at {tmp_path}/none.yaml")
        assert not cli.dist.exists()

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (replace("Chart.yaml", "version: 0.1.0", "version: 1.2.3.4"), "version '1.2.3.4' is no semantic version"),
            (lambda chart: (chart / "values-x.yaml").write_bytes(b"a: \xff\n"), "not UTF-8 text"),
            (add("templates/new.yaml", "x: {{ if }}"), "new.yaml:1  missing value for if"),
            (add("values.schema.json", '{\n"type": }'), "values.schema.json:2  not valid JSON"),
            (add("values.schema.json", '{"type": "objekt"}'), "is no valid JSON schema"),
            (
                add("Chart.yaml", "annotations:\n  artifacthub.io/changes: |\n    - {kind: new, description: x}\n"),
                "artifacthub.io/changes",
            ),
        ],
    )  # fmt: skip
    def test_lint_finds_it(self, cli: Cli, change: Callable[[Path], object], words: str) -> None:
        change(cli.chart)
        told = cli.on_chart("lint")
        told.refused("is not clean", "error")
        assert words in told.stdout
        assert json.loads((cli.dist / "made.lint.json").read_text())["errors"] >= 1


class TestObjects:
    def test_what_kubernetes_would_refuse(self, cli: Cli, tmp_path: Path) -> None:
        (cli.chart / "templates" / "z.yaml").write_text(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nspecc: {}\n---\n"
            "apiVersion: example.com/v1\nkind: Foo\nmetadata: {name: b}\n---\n"
            "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: c}\n---\n"
            "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: d}\nspec: {endpoints: 1}\n"
        )
        told = cli.on_chart("kubeconform-check", "--kube-version", "1.30", "--junit", tmp_path / "j.xml")
        told.refused("renders objects that are not valid", "problems")
        for words in (
            ("ConfigMap/a", "specc: no such field"),
            ("Foo/b", "no schema for example.com/v1 Foo"),
            ("PodSecurityPolicy/c", "no schema"),
            ("ServiceMonitor/d", "spec.selector: is required"),
        ):
            assert any(all(word in line for word in words) for line in told.stdout.splitlines()), told.stdout
        assert (tmp_path / "j.xml").read_text().count("<failure ") == 4


class TestDist:
    @pytest.mark.parametrize("task", ["lint", *RENDERING, "package", "release"])
    def test_that_is_a_file(self, cli: Cli, task: str) -> None:
        cli.dist.write_text("mine")
        cli.on_chart(task, *(("--kube-version", "1.30") if task in RENDERING else ())).refused("cannot be written")
        assert cli.dist.read_text() == "mine"

    @pytest.mark.parametrize("task", ["template", "package"])
    def test_that_is_full(self, cli: Cli, task: str) -> None:
        """A file system of its own, where this machine lets us mount one."""
        (cli.chart / "values-big.yaml").write_bytes(b"x: " + os.urandom(64 << 10).hex().encode() + b"\n")
        (cli.chart / "templates" / "big.yaml").write_text("# {{ .Values.x }}\n")
        cli.dist.mkdir()
        apart = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
        mount = 'mount -t tmpfs -o size=20k none "$0"'
        if subprocess.run([*apart, mount, cli.dist], capture_output=True, check=False).returncode != 0:
            pytest.skip("no file system can be mounted here")
        script = f'{mount} && echo old > "$0/mine" && {{ "$@"; status=$?; find "$0" -type f >&2; exit $status; }}'
        argv: list[str | Path] = [*apart, script, cli.dist, "invoke", task, "--chart", cli.chart]
        done = subprocess.run(
            argv, cwd=cli.checkout, env=cli.env, capture_output=True, text=True, check=False, timeout=90
        )
        assert done.returncode == OUTSIDE, done.stderr
        assert "error: " in done.stderr
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.endswith(f"\n{cli.dist}/mine\n")  # and nothing half-written

    def test_an_archive_that_is_not_the_chart_in_the_tree(self, cli: Cli) -> None:
        cli.on_chart("package").fine()
        before = snapshot(cli.dist)
        add("values.yaml", "# later\n")(cli.chart)
        cli.on_chart("publish").refused("is not the chart in", "~ made/values.yaml", "invoke package")
        assert snapshot(cli.dist) == before
        replace("Chart.yaml", "version: 0.1.0", "version: 0.2.0")(cli.chart)
        cli.on_chart("publish").refused("is not the chart in", "made 0.2.0", "made 0.1.0")

    @pytest.mark.parametrize("task", ["publish", "verify"])
    def test_an_archive_that_is_damaged(self, cli: Cli, task: str) -> None:
        cli.on_chart(task).refused("nothing is packaged", "invoke package")
        cli.on_chart("package").fine()
        (cli.dist / "made-0.1.0.tgz").write_bytes(b"PK")
        cli.on_chart(task).refused("made-0.1.0.tgz is not a whole .tgz", "invoke package")
        assert not cli.registry.exists()


@pytest.mark.parametrize("name", ["pipe", "values.yaml", "values.schema.json", ".helmignore", "templates/pipe.yaml"])
@pytest.mark.parametrize("task", ["lint", "template"])
def test_a_pipe_in_the_chart_is_not_waited_for(cli: Cli, task: str, name: str) -> None:
    (cli.chart / name).unlink(missing_ok=True)
    os.mkfifo(cli.chart / name)
    told = cli.on_chart(task)
    told.refused()
    assert "regular file" in told.stdout + told.stderr  # helm calls it irregular
    if task == "lint" and name in ("pipe", "templates/pipe.yaml"):
        assert "maintainers are missing" in told.stdout, "what else is found is told, too"


class TestUsage:
    @pytest.mark.parametrize(
        ("argv", "words"),
        [
            (("lint", "--nope"), "No idea what '--nope' is!"),
            (("nope",), "No idea what 'nope' is!"),
            (("--help", "nope"), "No idea what 'nope' is!"),
            (("--help", "relase"), "next:     invoke --help release\n"),
            (("--list", "nope"), "No idea what 'nope' is!"),
            (("--list", "--list-format", "xml"), "No idea what 'xml' is!"),
            (("--config", "/nope.yaml", "lint"), "--config /nope.yaml cannot be used: there is no such file"),
            (("--config", "~nobody-here/x", "lint"), "--config ~nobody-here/x cannot be used: there is no such file"),
            (("--config", "/etc/passwd", "lint"), "error: invoke: Config files of type"),
            (("template", "--diff", "HEAD"), "next:     invoke diff"),
            (("diff", "--from"), "Flag --from needed value and was not given one"),
            (("lint", "-c", "a", "-c", "b"), "No idea what 'b' is!\n  expected: -c once\n"),
            (("release", "--require"), "Flag --require needed value and was not given one"),
            (("lint", "-T", "soon"), "next:     invoke --help\n"),
            (("registry", "--port", "abc"), "--port is not usable"),
            (("registry", "--port", "70000"), "--port is not usable"),
            (("up", "--replicas", "some", "--dry-run"), "--replicas is not usable"),
            (("template", "--kube-version", "1.2"), "is not rendered for Kubernetes 1.2"),
            (("template", "--kube-version", "1.99"), "next:     invoke --help template"),
            (("e2e", "--helm", "5", "--dry-run"), "next:     invoke --help e2e"),
            (("e2e", "--scenario", "install", "--scenario", "upgrad", "--dry-run"), "--scenario upgrade --dry-run"),
            (("version-bump", "--part", "atuo"), "next:     invoke version-bump --part auto\n"),
            (("version-bump", "--part", "minro"), "next:     invoke version-bump --part minor\n"),
            (("tools", "--only", "hlem"), "next:     invoke tools --only helm\n"),
            (("verify", "--require", "e2e,provenence"), "next:     invoke verify --require e2e,provenance\n"),
            (("rollout", "instal"), "next:     invoke rollout install\n"),
            (("up", "--replicas", "two", "--dry-run"), "next:     invoke --help up\n"),
            (("judge", "--from", "giit:HEAD"), "next:     invoke judge --from git:HEAD\n"),
            (("judge", "--from", "git:HEAAD"), "next:     git log --oneline\n"),
            (("e2e", "--from", "lst:1", "--dry-run"), "next:     invoke e2e --from last:1 --dry-run\n"),
            (("publish", "--registry", "ghcr.io/x"), "is no registry that charts can be published to"),
        ],
    )
    def test_is_one_line_and_no_traceback(self, cli: Cli, argv: tuple[str, ...], words: str) -> None:
        if argv[0] == "publish":
            cli("package").fine()
        told = cli(*argv)
        assert told.status == USAGE
        assert words in told.stderr
        assert "Traceback" not in told.stderr
        assert told.stdout == ""

    @pytest.mark.parametrize("json_", ["--json", "-j"])
    @pytest.mark.parametrize("argv", [("lint", "--nope"), ("nope",), ("diff", "--from")], ids=" ".join)
    def test_is_an_object_for_a_machine(self, cli: Cli, argv: tuple[str, ...], json_: str) -> None:
        told = cli(argv[0], json_, *argv[1:])
        error = json.loads(told.stdout)["error"]
        assert (error["class"], error["code"], told.status) == ("UsageError", USAGE, USAGE)
        assert error["next"] == ("invoke --list" if argv == ("nope",) else f"invoke --help {argv[0]}")

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("GATI_HTTP_PORT", "x", "GATI_HTTP_PORT is not usable"),
            ("GATI_PLAIN_HTTP", "maybe", "GATI_PLAIN_HTTP has the wrong type"),
            ("GATI_IMAGES", "here", "GATI_IMAGES has an unknown value"),
        ],
    )
    def test_of_the_environment(self, cli: Cli, name: str, value: str, words: str) -> None:
        cli("package", **{name: value}).refused(words)


def test_nothing_in_the_checkout_is_touched(cli: Cli) -> None:
    """The tasks of this file run in the checkout, with folders of their own."""
    if shutil.which("git") is None or not (cli.checkout / ".git").exists():
        pytest.skip("no git repository")

    def status() -> list[str]:
        argv = ("git", "status", "--porcelain", "--ignored")
        lines = subprocess.run(argv, cwd=cli.checkout, capture_output=True, text=True, check=True).stdout.splitlines()
        beside_us = re.compile(r"__pycache__/$| \.coverage")  # what Python compiles, and what measures the tests
        return [line for line in lines if not beside_us.search(line)]

    before = status()
    for task in ("lint", "package", "publish"):
        cli(task).fine()
    assert status() == before
