"""What helm says becomes complaints with a file, a line or a values key, and without its noise."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.chart.complaints import read_complaints, read_lint
from scripts.chart.helm import Helm
from scripts.core.command import Result, Runner
from scripts.core.errors import CommandFailed, OutputError, ReleaseError


@pytest.fixture
def chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A chart folder in the current one, so that paths are short."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "demo"
    (folder / "templates").mkdir(parents=True)
    (folder / "templates" / "a.yaml").write_text("")
    (folder / ".helmignore").write_text("a\n")
    (folder / "Chart.yaml").write_text(
        "apiVersion: v2\nname: demo\nversion: x\nkubeVersion: '>=1.30'\ndependencies: []\n"
    )
    (folder / "values.yaml").write_text("a: 1\nimage:\n  tag: x\nhosts:\n  - host: 1\n")
    return folder


SCHEMA = "Error: values don't meet the specifications of the schema(s) in the following chart(s):\ndemo:\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Error: parse error at (demo/templates/a.yaml:7): missing value", "demo/templates/a.yaml:7: missing value"),
        (
            "Error: execution error at (demo/templates/a.yaml:3:4): because so\n\n"
            "Use --debug flag to render out invalid YAML\n",
            "demo/templates/a.yaml:3: because so",
        ),
        (
            'level=WARN msg="something before"\nError: YAML parse error on demo/templates/a.yaml: '
            "error converting YAML to JSON: yaml: line 3: mapping values are not allowed",
            "demo/templates/a.yaml: renders text that is not valid: yaml: line 3: mapping values are not allowed",
        ),
        (
            'Error: demo/templates/a.yaml:2:5\n  executing "demo/templates/a.yaml" at <include "x" .>:\n'
            '    error calling include:\ndemo/templates/_x.tpl:9:2\n  executing "x" at <.Values.no.thing>:\n'
            "    nil pointer evaluating interface {}.thing",
            "demo/templates/_x.tpl:9: nil pointer evaluating interface {}.thing at <.Values.no.thing> "
            "(included by demo/templates/a.yaml:2)",
        ),
        (
            'Error: template: demo/templates/a.yaml:3:14: executing "demo/templates/a.yaml" at <index .Values.a "b">: '
            "error calling index: index of untyped nil",
            'demo/templates/a.yaml:3: error calling index: index of untyped nil at <index .Values.a "b">',
        ),
        (
            'Error: template: demo/templates/a.yaml:2:5: executing "demo/templates/a.yaml" at <include "x" .>: error '
            'calling include: template: demo/templates/_x.tpl:9:2: executing "x" at <index .a "b">: no: such thing',
            'demo/templates/_x.tpl:9: no: such thing at <index .a "b"> (included by demo/templates/a.yaml:2)',
        ),
        (
            'Error: template: demo/templates/a.yaml:5:8: executing "demo/templates/a.yaml" at <tpl .Values.name $>: '
            'error calling tpl: cannot parse template "{{ .Values.b": template: gotpl:1: unclosed action',
            "demo/templates/a.yaml:5: a value as a template, '{{ .Values.b': unclosed action",
        ),
        (
            "Error: cannot load Chart.yaml: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
            "string into Go struct field Metadata.dependencies of type []*v2.Dependency",
            "demo/Chart.yaml:5: dependencies must be a list, and is text",
        ),
        (
            "Error: YAML parse error on demo/templates/a.yaml: error unmarshaling JSON: while decoding JSON: json: "
            "cannot unmarshal array into Go value of type util.SimpleHead",
            "demo/templates/a.yaml: renders a list, which is no object",
        ),
        (
            "Error: double-star (**) syntax is not supported",
            "demo/.helmignore: double-star (**) syntax is not supported",
        ),
        ("Error: syntax error in pattern", "demo/.helmignore: syntax error in pattern"),
        ("Error: Chart.yaml file is missing", "demo/.helmignore: Chart.yaml is among what it ignores"),
        (
            SCHEMA + 'failing loading "file:///schemas/a.json": open /schemas/a.json: no such file or directory',
            "demo/values.schema.json: cannot be used: refers to schemas/a.json, and helm reads no other file of the "
            "chart",
        ),
        (
            SCHEMA + 'json-pointer in "file:///values.schema.json#/$defs/a" not found',
            "demo/values.schema.json: cannot be used: refers to #/$defs/a, which it does not have",
        ),
        (
            SCHEMA + '"file:///values.schema.json#" is not valid against metaschema: jsonschema validation failed with '
            "'https://json-schema.org/draft/2020-12/schema#'\n- at '': 'allOf' failed\n"
            "  - at '/properties/a/pattern': '(?!x)' is not valid regex: invalid syntax",
            "demo/values.schema.json: is no valid JSON schema: at '/properties/a/pattern': '(?!x)' is not valid regex: "
            "invalid syntax",
        ),
        (
            "Error: chart requires kubeVersion: >=1.30 which is incompatible with Kubernetes v1.28.0",
            "demo/Chart.yaml:4: requires Kubernetes >=1.30, which v1.28.0 is not",
        ),
        (
            "Error: An error occurred while checking for chart dependencies. You may need to run `helm dependency "
            "build` to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: redis, other",
            "demo/Chart.yaml:5: dependencies are missing in charts/: redis, other",
        ),
        ('Error: validation: chart.metadata.version "x" is invalid', 'demo/Chart.yaml:3: version "x" is invalid'),
        (
            'Error: validation: more than one dependency with name or alias "q"',
            'demo/Chart.yaml:5: more than one dependency with name or alias "q"',
        ),
        (
            "Error: error unpacking subchart README.md in demo: Chart.yaml file is missing",
            "demo/charts/README.md: Chart.yaml file is missing",
        ),
        (SCHEMA + "- at '/image/tag': got a, want b\n", "demo/values.yaml:3: image.tag: got a, want b"),
        (SCHEMA + "- at '/hosts/0/host': got a, want b\n", "demo/values.yaml:5: hosts[0].host: got a, want b"),
        (
            SCHEMA + "- at '/image': additional properties 'tagg' not allowed\n",
            "image.tagg: no such key in values.schema.json",
        ),
        (SCHEMA + "- at '': missing property 'name'\n", "name: is required"),
        (
            SCHEMA + "- at '/a': 'anyOf' failed\n  - at '/a': got a, want b\n  - at '/a': got a, want c\n",
            "demo/values.yaml:1: a: 'anyOf' failed; got a, want b; got a, want c",
        ),
        ("Error: something quite new", "something quite new"),
        ("", "helm gives no reason"),
    ],
)  # fmt: skip
def test_one_complaint(chart: Path, text: str, told: str) -> None:
    (complaint,) = read_complaints(text, chart)
    assert str(complaint) == told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (r'cannot parse template "say \"{{ hi\"": template: gotpl:1: unclosed action', "unclosed action"),
        (
            r'error during tpl function execution for "{{ tpl .Values.b . }}": template: gotpl:1:3: executing "gotpl" '
            r'at <tpl .Values.b .>: error calling tpl: cannot parse template "say \"{{ hi\"": template: gotpl:1: oh',
            "oh",
        ),
        (
            r'error during tpl function execution for "say \"{{ hi\"": template: gotpl:1:3: executing "gotpl" at '
            r'<include "no" .>: error calling include: template: no template "no" associated with template "gotpl"',
            'no template "no" associated with template "gotpl" at <include "no" .>',
        ),
    ],
)
def test_a_template_in_a_value_is_told_where_the_value_stands(chart: Path, said: str, told: str) -> None:
    (chart / "ci").mkdir()
    file = chart / "ci" / "x.yaml"
    file.write_text("a:\n  - b: 'say \"{{ hi\"'\n")
    where = 'template: demo/templates/_h.tpl:2:3: executing "h" at <tpl (.Values.a) .>: error calling tpl: '
    text = (
        f'Error: template: demo/templates/a.yaml:5:8: executing "a" at <include "h" .>: error calling include: {where}'
    )
    (complaint,) = read_complaints(text + said, chart, [file])
    assert str(complaint) == f"demo/ci/x.yaml:2: a[0].b: as a template, in demo/templates/_h.tpl:2: {told}"


def test_each_key_is_a_complaint_in_the_file_that_sets_it(chart: Path, tmp_path: Path) -> None:
    prod = tmp_path / "prod.yaml"
    prod.write_text("image:\n  tag: 5\n")
    text = SCHEMA + (
        "- at '/image/tag': got number, want string\n"
        "- at '/a': got number, want string\n"
        "- at '': additional properties 'x', 'y' not allowed\n"
    )
    told = [str(complaint) for complaint in read_complaints(text, chart, [prod])]
    assert told == [
        "demo/values.yaml:1: a: got number, want string",
        "prod.yaml: x: no such key in values.schema.json",
        "prod.yaml: y: no such key in values.schema.json",
        "prod.yaml:2: image.tag: got number, want string",
    ]


def test_what_lint_says_more_than_once_is_told_once(chart: Path) -> None:
    words = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
    typed = f"{words}string into Go struct field Metadata.kubeVersion of type bool"
    unsettled = 'failing loading "file:///a.json": open /a.json: no such file or directory'
    stdout = (
        f"[ERROR] Chart.yaml: unable to parse YAML\n\t{typed}\n"
        f"[ERROR] templates/: cannot load Chart.yaml: {typed}\n"
        f"[ERROR] : unable to load chart\n\tcannot load Chart.yaml: {typed}\n"
        "[WARNING] Chart.yaml: failed to strictly parse chart metadata file\n"
        '\tyaml: unmarshal errors:\n  line 2: key "name" already set in map\n'
        "[WARNING] templates/: directory does not exist\n"
        f"[ERROR] values.yaml: {unsettled}\n"
        f"[ERROR] templates/: {SCHEMA.removeprefix('Error: ')}{unsettled}\n"
        f"[ERROR] templates/a.yaml: unable to parse YAML\n\t{words}string into Go value of type rules.k8sYamlStruct\n"
    )
    assert [str(one) for one in read_lint(Result((), 1, stdout, "", 0.0), chart)] == [
        "demo/Chart.yaml:4: kubeVersion must be true or false, and is text",
        "demo/Chart.yaml:2: the key 'name' stands twice",
        "there is no templates/",
        "demo/values.schema.json: cannot be used: refers to a.json, and helm reads no other file of the chart",
        "demo/templates/a.yaml: renders text, which is no object",
    ]


def test_a_mark_before_the_schema_is_told_at_its_file(chart: Path) -> None:
    """Which a render does without, and linting does not."""
    told = read_lint(Result((), 1, "[ERROR] values.yaml: invalid character 'ï' looking for value\n", "", 0.0), chart)
    words = "cannot be used: invalid character 'ï' looking for value"
    assert [str(one) for one in told] == [f"demo/values.schema.json: {words}"]


def test_lint_lines(chart: Path) -> None:
    stdout = (
        "==> Linting demo\n"
        "[INFO] Chart.yaml: icon is recommended\n"
        "[ERROR] templates/: parse error at (demo/templates/a.yaml:2): missing value for if\n"
        "[WARNING] demo/templates/b.yaml: object name does not conform\n"
        "[WARNING] Chart.yaml: failed to strictly parse chart metadata file\n"
        '\terror unmarshaling JSON: while decoding JSON: json: unknown field "kubeVersion"\n'
        "1 chart(s) linted, 1 chart(s) failed\n"
    )
    stderr = (
        'level=INFO msg="missing required value" message="say \\"who\\""\n'
        'level=WARN msg="missing required values" message="\\nsay what"\n'
    )
    complaints = read_lint(Result((), 1, stdout, stderr, 0.0), chart)
    assert [(c.level, str(c), c.refused) for c in complaints] == [
        ("info", "demo/Chart.yaml: icon is recommended", False),
        ("error", "demo/templates/a.yaml:2: missing value for if", False),
        ("warning", "object name does not conform", False),
        ("warning", "demo/Chart.yaml:4: helm knows no field 'kubeVersion'", False),
        ("error", 'say "who"', True),
        ("error", "say what", True),
    ]


def test_what_lint_says_of_chart_yaml_has_its_line(chart: Path) -> None:
    (chart / "Chart.yaml").write_text(
        "name: demo\nappVersion: 1.10\nmaintainers:\n- email: nobody\n- name: a\n  url: 'a b'\nsources: [c.d]\n"
    )
    told = {
        "appVersion should be of type string but it's of type float64": 2,
        "each maintainer requires a name": 3,
        "invalid email 'nobody' for maintainer ''": 4,
        "invalid url 'a b' for maintainer 'a'": 6,
        "invalid source URL 'c.d'": 7,
        "invalid icon URL 'that stands nowhere'": None,
    }
    complaints = read_lint(Result((), 1, "".join(f"[ERROR] Chart.yaml: {one}\n" for one in told), "", 0.0), chart)
    assert {one.message: one.line for one in complaints} == told
    assert complaints[0].run == "put it in quotes"


def test_a_helm_that_is_killed_says_nothing_of_the_chart(chart: Path, tmp_path: Path) -> None:
    program = tmp_path / "helm"
    program.write_text("#!/bin/sh\necho 'fatal error: out of memory' >&2; kill -9 $$\n")
    program.chmod(0o755)
    helm = Helm(program, Runner())
    for ask in (lambda: helm.template(chart), lambda: helm.lint(chart), lambda: helm.package(chart, tmp_path, epoch=0)):
        with pytest.raises(CommandFailed, match="ended with status -9"):
            ask()


def test_where_a_user_keeps_releases_is_of_no_matter(
    chart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELM_DRIVER", "sql")
    program = tmp_path / "helm"
    program.write_text('#!/bin/sh\necho "driver: $HELM_DRIVER"\n')
    program.chmod(0o755)
    assert Helm(program, Runner()).template(chart) == "driver: \n"


def test_a_render_that_no_release_can_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "helm"
    program.write_text("#!/bin/sh\nhead -c $((3 << 20)) /dev/zero\n")
    program.chmod(0o755)
    assert len(Helm(program, Runner()).template(tmp_path)) == 3 << 20
    monkeypatch.setattr("scripts.chart.helm._MOST", 2 << 20)
    with pytest.raises(ReleaseError, match="renders 3 MiB"):
        Helm(program, Runner()).template(tmp_path)


@pytest.mark.parametrize("reason", ["no space left on device", "file too large"])
def test_what_a_folder_does_not_take_is_no_fault_of_the_chart(tmp_path: Path, reason: str) -> None:
    helm = tmp_path / "helm"
    helm.write_text(f"#!/bin/sh\necho 'Error: failed to save: write /x/demo.tgz: {reason}' >&2\nexit 1\n")
    helm.chmod(0o755)
    with pytest.raises(OutputError, match="helm cannot write") as refused:
        Helm(helm, Runner()).package(tmp_path, tmp_path, epoch=0)
    assert refused.value.found == reason
