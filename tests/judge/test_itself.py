"""A chart that draws names and secrets is judged against a copy of itself: nothing differs."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scripts.chart import manifests
from scripts.chart.helm import Helm
from scripts.chart.source import Chart, read_chart
from scripts.checks.schemas import Schemas
from scripts.core.errors import ChartError
from scripts.judge.diff import diff_charts
from scripts.judge.judge import judge_charts
from scripts.judge.verdict import line
from scripts.workspace import open_workspace
from tests.judge.conftest import ROOT

LEFT, RIGHT = ("a", "b", "c", "d", "e"), ("v", "w", "x", "y", "z")
TEMPLATE = """{{- $left := and .Values.a.enabled .Values.e.enabled }}
{{- $right := and .Values.v.enabled .Values.z.enabled }}
{{- if and $left $right }}{{ fail "one side or the other" }}{{ end }}
{{- range $name := list "a" "z" }}{{- if (index $.Values $name).enabled }}
---
apiVersion: v1
kind: Secret
metadata: {name: "{{ $.Release.Name }}-{{ $name }}"}
stringData: {password: "{{ randAlphaNum 12 }}"}
---
apiVersion: batch/v1
kind: Job
metadata: {name: "{{ $.Release.Name }}-{{ $name }}-{{ randAlphaNum 5 | lower }}"}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "x:1"}]}}}
{{- end }}{{- end }}
{{- if semverCompare "<1.34-0" .Capabilities.KubeVersion.Version }}
---
apiVersion: batch/v1
kind: Job
metadata: {name: "{{ .Release.Name }}-older-{{ randAlphaNum 4 | lower }}"}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "x:1"}]}}}
{{- end }}
---
apiVersion: batch/v1
kind: Job
metadata: {name: "{{ .Release.Name }}-each-{{ randAlphaNum 4 | lower }}"}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "x:1"}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: "{{ .Release.Name }}-test-{{ randAlphaNum 5 | lower }}", annotations: {helm.sh/hook: test}}
spec: {restartPolicy: Never, containers: [{name: main, image: "x:1"}]}
---
apiVersion: v1
kind: Secret
metadata: {name: "{{ .Release.Name }}-own"}
stringData: {password: "{{ randAlphaNum 12 }}"}
"""


def test_nothing_differs_from_itself(tmp_path: Path) -> None:
    chart = tmp_path / "one" / "drawing"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: drawing\nversion: 0.1.0\n")
    (chart / "values.yaml").write_text("".join(f"{name}: {{enabled: false}}\n" for name in LEFT + RIGHT))
    (chart / "templates" / "all.yaml").write_text(TEMPLATE)
    again = tmp_path / "again" / "drawing"
    shutil.copytree(chart, again)
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")  # nothing rendered before is remembered
    verdict = judge_charts(work, read_chart(chart), read_chart(again), "0.1.0", kube_versions=["1.33", "1.34"])
    assert [line(reason) for reason in verdict.reasons] == []


def test_a_copy_of_the_values_that_neither_takes_says_nothing(tmp_path: Path) -> None:
    chart = tmp_path / "one" / "parent"
    for folder, name in ((chart, "parent"), (chart / "charts" / "sub", "sub")):
        (folder / "templates").mkdir(parents=True)
        (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 0.1.0\n")
    (chart / "values.yaml").write_text("sub:\n  key:\n")  # no null in a chart's own values, and one in a values file
    (chart / "charts" / "sub" / "values.yaml").write_text("key: {word: a}\n")
    (chart / "charts" / "sub" / "templates" / "map.yaml").write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"
        "stringData: {word: {{ .Values.key.word }}, drawn: {{ randAlpha 9 }}}\n"
    )
    again = shutil.copytree(chart, tmp_path / "again" / "parent")
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")
    verdict = judge_charts(work, read_chart(chart), read_chart(again), "0.1.0", kube_versions=["1.33"])
    assert [line(reason) for reason in verdict.reasons] == []


def test_a_copy_of_the_values_in_which_a_null_takes_away_a_key_says_nothing(tmp_path: Path) -> None:
    text = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {has: "{{ hasKey .Values.a "key" }}"}\n'
    charts = _one_template(tmp_path, text, text)
    for chart in charts:
        (chart.path / "values.yaml").write_text("a: {key: null, other: 1}\n")
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")
    old, new = (read_chart(chart.path) for chart in charts)
    verdict = judge_charts(work, old, new, "1.0.0", kube_versions=["1.33"])
    assert [line(reason) for reason in verdict.reasons] == []


def test_what_both_render_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Counter[str]()

    def counting(whose: Any, name: str) -> None:
        own = getattr(whose, name)

        def count(*given: Any, **named: Any) -> Any:
            asked.update([f"{name} {next(each for each in given if isinstance(each, str))}"])
            return own(*given, **named)

        monkeypatch.setattr(whose, name, count)

    counting(manifests, "_load")
    counting(Schemas, "builtin")
    monkeypatch.setattr("scripts.core.parallel.cores", lambda: 1)  # two threads may read the same at once
    charts = []
    for place in ("one", "other"):
        chart = tmp_path / place / "alike"
        (chart / "templates").mkdir(parents=True)
        (chart / "Chart.yaml").write_text("apiVersion: v2\nname: alike\nversion: 0.1.0\n")
        (chart / "values.yaml").write_text("a: {enabled: false}\n")
        (chart / "templates" / "all.yaml").write_text(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Values.a.enabled }}-a}\n"
            + "".join(f"---\napiVersion: x.example.org/v1\nkind: {kind}\nmetadata: {{name: a}}\n" for kind in "BCDE")
        )
        charts.append(read_chart(chart))
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")
    judge_charts(work, charts[0], charts[1], "0.1.0", kube_versions=["1.33"])
    texts = {what: times for what, times in asked.items() if what.startswith("_load")}
    assert len(texts) == 6
    assert max(texts.values()) <= 2, "more than once for each name of the release"
    assert asked["builtin 1.28"] <= 2, "what Kubernetes serves, for each kind"


def test_a_values_file_that_differs_beside_drawn_fields_is_told(tmp_path: Path) -> None:
    chart = tmp_path / "one" / "drawing"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: drawing\nversion: 0.1.0\n")
    (chart / "values-prod.yaml").write_text("word: old\n")
    (chart / "templates" / "secret.yaml").write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"
        "stringData: {word: '{{ .Values.word }}', drawn: {{ randAlpha 9 }}}\n"
    )
    again = shutil.copytree(chart, tmp_path / "again" / "drawing")
    (again / "values-prod.yaml").write_text("word: new\n")
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")
    found = diff_charts(work, ("old", read_chart(chart)), ("new", read_chart(again)), kube_versions=["1.33"])
    assert [str(field) for one in found.objects for field in one.fields] == ["stringData.word: *** -> ***"]


def test_a_test_of_the_chart_that_sets_more_changes_no_installation(tmp_path: Path) -> None:
    charts = []
    for place, on in (("one", "false"), ("other", "true")):
        chart = tmp_path / place / "tested"
        (chart / "templates").mkdir(parents=True)
        (chart / "ci").mkdir()
        (chart / "Chart.yaml").write_text("apiVersion: v2\nname: tested\nversion: 0.1.0\n")
        (chart / "ci" / "a-values.yaml").write_text(f"on: {on}\n")
        (chart / "templates" / "map.yaml").write_text(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {on: '{{ .Values.on }}'}\n"
        )
        charts.append(read_chart(chart))
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")
    verdict = judge_charts(work, charts[0], charts[1], "0.1.0", kube_versions=["1.33"])
    assert [(one.level, one.about, one.new) for one in verdict.reasons] == [
        ("patch", "files", "~ tested/ci/a-values.yaml")
    ]


def test_a_line_of_a_diff_stands_once(tmp_path: Path) -> None:
    charts = []
    for place, most in (("one", 9), ("other", 8)):
        chart = tmp_path / place / "either"
        (chart / "templates").mkdir(parents=True)
        (chart / "Chart.yaml").write_text("apiVersion: v2\nname: either\nversion: 0.1.0\n")
        key = {"minLength": most, "maxLength": most}
        branches = [{"required": [one], "properties": {one: key}} for one in "ab"]
        schema = {"properties": {"k": {"type": "object", "anyOf": branches}}}
        (chart / "values.schema.json").write_text(json.dumps(schema))
        charts.append(read_chart(chart))
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")
    lines = diff_charts(work, ("old", charts[0]), ("new", charts[1]), kube_versions=["1.33"]).lines()
    assert len(lines) == len(set(lines)) == 3


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("templates/a.yaml", '{{ required "set a" .Values.a }}', "templates/a.yaml:1: set a"),
        ("values.schema.json", '{"required": ["a"]}', "a: is required"),
        ("templates/a.yaml", "{{ if }}", ""),
    ],
    ids=["by a template", "by the schema", "a broken template"],
)
def test_a_chart_that_cannot_do_without_a_value_any_more(name: str, text: str, why: str, tmp_path: Path) -> None:
    charts = []
    for place in ("one", "other"):
        chart = tmp_path / place / "needs"
        (chart / "templates").mkdir(parents=True)
        (chart / "Chart.yaml").write_text("apiVersion: v2\nname: needs\nversion: 1.0.0\n")
        (chart / "templates" / "map.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
        charts.append(read_chart(chart))
    (charts[1].path / name).write_text(text)
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")
    if not why:
        with pytest.raises(ChartError):
            judge_charts(work, charts[0], charts[1], "1.0.0", kube_versions=["1.33"])
        return
    verdict = judge_charts(work, charts[0], charts[1], "1.0.0", kube_versions=["1.33"])
    refused = [one.meaning for one in verdict.reasons if one.new == "refused"]
    assert verdict.level == "major"
    assert refused[0].endswith(f"cannot be upgraded: {why}")


def test_a_refusal_says_all_that_is_wrong_in_the_same_words_everywhere(tmp_path: Path) -> None:
    charts = []
    for place, schema in (("one", "true"), ("other", '{"properties": {"c": {}}, "additionalProperties": false}')):
        chart = tmp_path / place / "strict"
        (chart / "templates").mkdir(parents=True)
        (chart / "Chart.yaml").write_text("apiVersion: v2\nname: strict\nversion: 0.1.0\n")
        (chart / "values.yaml").write_text("a: {enable: false}\nb: 1\n" if place == "one" else "c: 1\n")
        (chart / "values.schema.json").write_text(schema)
        (chart / "templates" / "map.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
        charts.append(read_chart(chart))
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")
    verdict = judge_charts(work, charts[0], charts[1], "0.1.0", kube_versions=["1.33"])
    told = {one.about: one.meaning.partition("upgraded: ")[2] for one in verdict.reasons if one.new == "refused"}
    assert told == {
        "values set a copy of values.yaml": "values.yaml:1: a: no such key in values.schema.json; "
        "values.yaml:2: b: no such key in values.schema.json",
        "values set a.enable on": "a: no such key in values.schema.json",
    }


def test_what_is_drawn_no_longer_and_what_an_upgrade_takes_away_are_told(tmp_path: Path) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {drawn: {{ %s }}}\n"
    conf = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"
    charts = [tmp_path / name / "drawing" for name in ("one", "again")]
    for chart, value, given in zip(charts, ("randAlpha 9", '"x"'), (conf, _AT_FIRST % conf), strict=True):
        (chart / "templates").mkdir(parents=True)
        (chart / "Chart.yaml").write_text("apiVersion: v2\nname: drawing\nversion: 0.1.0\n")
        (chart / "values.yaml").write_text("")
        (chart / "templates" / "all.yaml").write_text(f"{secret % value}---\n{given}")
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")
    verdict = judge_charts(work, read_chart(charts[0]), read_chart(charts[1]), "one", kube_versions=["1.33"])
    assert [(reason.level, reason.about) for reason in verdict.reasons[:2]] == [
        ("major", "ConfigMap/c"),
        ("minor", "Secret/s data.drawn"),
    ]


_AT_FIRST = "{{ if .Release.IsInstall }}%s{{ end }}"


def test_what_is_named_after_the_revision_is_made_anew_and_not_refused(tmp_path: Path) -> None:
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")
    job = (
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: load-{{ .Release.Revision }}}\nspec:\n"
        '  template: {spec: {restartPolicy: Never, containers: [{name: main, image: "x:1.0.0"}]}}\n'
    )
    charts = _one_template(tmp_path, job, job.replace("x:1.0.0", "x:1.0.1"))
    for chart in charts:  # the root of a repository that git itself watches
        (chart.path / ".git").mkdir()
        os.mkfifo(chart.path / ".git" / "fsmonitor--daemon.ipc")
        (chart.path / ".helmignore").write_text(".git/\n")
    verdict = judge_charts(work, *charts, "1.0.0", kube_versions=["1.33"])
    image = "Job/load-* spec.template.spec.containers[main].image"
    assert [(one.level, one.about) for one in verdict.reasons] == [("patch", image)]


def test_a_value_that_is_a_template_may_draw(tmp_path: Path) -> None:
    word = "{{ tpl (.Values.word | default `x`) . }}"
    conf = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{word: '{word}'}}\n"
    charts = _one_template(tmp_path, conf, conf)
    mine = tmp_path / "mine.yaml"
    mine.write_text("word: '{{ randAlpha 9 }}'\n")
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")
    assert judge_charts(work, *charts, "1.0.0", values=[mine], kube_versions=["1.33"]).reasons == ()


def test_what_no_cluster_serves_is_refused_unless_it_was_there_or_is_asked_for(tmp_path: Path) -> None:
    def policy(more: str = "", end: str = "") -> str:
        return f"{more}\napiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {{name: p}}\nspec: {{}}\n{end}"

    own = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---"
    asked = '{{ if .Capabilities.APIVersions.Has "policy/v1beta1" }}'
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")
    for number, (old, new, level) in enumerate(
        (
            (own, policy(own), "major"),
            (policy(own), policy(f"{own}\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: b}}\n---"), "minor"),
            (own, policy(f"{own}\n{asked}", "{{ end }}"), "minor"),
        )
    ):
        charts = _one_template(tmp_path / str(number), old, new)
        verdict = judge_charts(work, *charts, "1.0.0", kube_versions=["1.33", "1.34"])
        about = ["PodSecurityPolicy/p apiVersion"] * (level == "major")
        assert (verdict.level, [one.about for one in verdict.reasons if one.level == "major"]) == (level, about)
    borne = work.having(skip_kinds=("policy/v1beta1 PodSecurityPolicy: our clusters serve it",))
    verdict = judge_charts(borne, *_one_template(tmp_path / "borne", own, policy(own)), "1.0.0", kube_versions=["1.33"])
    assert verdict.level == "minor"


def test_a_setting_that_has_no_effect_any_more_is_told_without_what_it_is_set_to(tmp_path: Path) -> None:
    conf = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {word: '%s'}\n"
    charts = _one_template(tmp_path, conf % "{{ .Values.login.word }}", conf % "none")
    mine = tmp_path / "mine.yaml"
    mine.write_text("login: {word: s3cret-word}\n")
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")
    verdict = judge_charts(work, *charts, "1.0.0", values=[mine], kube_versions=["1.33"])
    told = {one.about: one for one in verdict.reasons}
    assert told["values login.word"].meaning == f"{mine} sets it: it had an effect, and has none any more"
    assert (told["values login.word"].old, told["values login.word"].new) == (None, None)


def _one_template(folder: Path, old: str, new: str) -> tuple[Chart, Chart]:
    charts = []
    for number, text in enumerate((old, new)):
        chart = folder / str(number) / "one"
        (chart / "templates").mkdir(parents=True)
        (chart / "Chart.yaml").write_text("apiVersion: v2\nname: one\nversion: 1.0.0\n")
        (chart / "templates" / "all.yaml").write_text(text)
        charts.append(read_chart(chart))
    return charts[0], charts[1]


def test_what_does_not_ask_is_rendered_once_for_both_and_switches_as_often_as_that_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"
    refusal = '{{ if .Values.a.enabled }}{{ fail "a.enabled is of before" }}{{ end }}\n'
    charts = _one_template(tmp_path, refusal + conf, refusal + conf + _AT_FIRST % ("---\n" + conf.replace("c}", "d}")))
    for chart in charts:
        (chart.path / "values.yaml").write_text("a: {enabled: false}\nb: {enabled: false}\n")
    rendered: list[tuple[str, bool, bool]] = []
    template = Helm.template

    def counted(helm: Helm, chart: Path, **given: Any) -> str:
        switched = any(file.suffix == ".json" for file in given["values"])
        rendered.append((chart.parent.name, "--is-upgrade" in given["flags"], switched))
        return template(helm, chart, **given)

    monkeypatch.setattr(Helm, "template", counted)
    work = open_workspace(ROOT).having(changelog=tmp_path / "none.md")
    charts = read_chart(charts[0].path), read_chart(charts[1].path)
    verdict = judge_charts(work, *charts, "1.0.0", kube_versions=["1.33"])
    assert [(one.level, one.about) for one in verdict.reasons] == [("minor", "ConfigMap/d")]
    assert [place for place, upgrade, _ in rendered if upgrade] == ["1"]
    assert [place for place, _, switched in rendered if switched] == ["0", "0", "1"]
