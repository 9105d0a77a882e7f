"""Which reasons of several renders make a verdict."""

from __future__ import annotations

from dataclasses import replace

from scripts.chart.manifests import Manifests, read_manifests
from scripts.checks.matrix import ASKED, WITHOUT
from scripts.judge.diff import _objects
from scripts.judge.noise import Noise
from scripts.judge.reason import Reason
from scripts.judge.side import Side
from scripts.judge.verdict import Cell, make_verdict


def service(name: str, port: int) -> Manifests:
    return read_manifests(
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{name: a, port: {port}}}]}}\n"
    )


def test_a_release_of_another_name_adds_what_it_alone_shows() -> None:
    sides = [Side({"name": "x", "version": version}, {"values.yaml": {}}) for version in ("1.0.0", "2.0.0")]
    usual = Cell("values.yaml", "1.33", service("x", 80), service("x", 81))
    port = "Service/x spec.ports[a].port"
    for name in ("another-x", "x"):
        another = Cell("release another", "1.33", service(name, 80), service(name, 81), release="another", further=True)
        verdict = make_verdict(sides[0], sides[1], [usual, another], source="1.0.0")
        assert [reason.about for reason in verdict.reasons] == [port]
    another = Cell("release another", "1.33", service("a", 80), service("b", 80), release="another", further=True)
    verdict = make_verdict(sides[0], sides[1], [usual, another], source="1.0.0")
    assert [reason.about for reason in verdict.reasons] == ["Service/a", port]
    another = Cell("release another", "1.33", service("a-x", 80), service("a-x", 81), release="another", further=True)
    on = replace(usual, values="b.enabled on", further=True)
    verdict = make_verdict(sides[0], sides[1], [replace(usual, new=usual.old), another, on], source="1.0.0")
    assert [reason.about for reason in verdict.reasons] == [port]


def test_a_part_that_is_named_after_the_release_is_told_once() -> None:
    def pods(name: str, image: str) -> Manifests:
        container = f"{{name: {name}, image: 'x:{image}', args: [--of={name}{image[2:]}]}}"
        return read_manifests(
            f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\n"
            f"spec: {{template: {{spec: {{containers: [{container}]}}}}}}\n"
        )

    sides = [Side({"name": "x", "version": version}, {"values.yaml": {}}) for version in ("1.0.0", "2.0.0")]
    cells = [
        Cell("values.yaml", "1.33", pods("x", "1.0"), pods("x", "1.1")),
        Cell("another", "1.33", pods("another-x", "1.0"), pods("another-x", "1.1"), release="another", further=True),
    ]
    verdict = make_verdict(sides[0], sides[1], cells, source="1.0.0")
    about = "Deployment/x spec.template.spec.containers[x]"
    assert [reason.about for reason in verdict.reasons] == [f"{about}.args[0]", f"{about}.image"]


def test_what_bears_the_version_of_the_cluster_is_told_once() -> None:
    def pods(host: str, minor: str) -> Manifests:
        pod = f"{{containers: [{{name: a, image: {host}/x:v{minor}.0}}]}}"
        return read_manifests(
            f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: x}}\nspec: {{template: {{spec: {pod}}}}}"
        )

    sides = [Side({"name": "x", "version": version}, {"values.yaml": {}}) for version in ("1.0.0", "2.0.0")]
    minors = ("1.32", "1.33", "1.34")
    cells = [Cell("values.yaml", minor, pods("a.io", minor), pods("b.io", minor)) for minor in minors]
    (reason,) = make_verdict(sides[0], sides[1], cells, source="1.0.0").reasons
    assert (reason.old, reason.where) == ("a.io/x:v1.32.0", "")
    ((one,), _) = _objects(cells, Noise())
    assert [(field.old, field.where) for field in one.fields] == [("a.io/x:v1.32.0", None)]
    alone = [Cell("values.yaml", minor, pods("a.io", "1.33"), pods("b.io", "1.33")) for minor in minors]
    assert len(make_verdict(sides[0], sides[1], alone, source="1.0.0").reasons) == 1


def test_what_a_newer_kubernetes_lets_change_is_told_of_the_older_ones() -> None:
    def pods(more: str) -> Manifests:
        return read_manifests(f"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: x}}\nspec: {{{more}}}\n")

    sides = [Side({"name": "x", "version": version}, {"values.yaml": {}}) for version in ("1.0.0", "2.0.0")]
    cells = [Cell("values.yaml", minor, pods(""), pods("revisionHistoryLimit: 3")) for minor in ("1.32", "1.33")]
    found = make_verdict(sides[0], sides[1], cells, source="1.0.0").reasons
    assert [(one.level, one.where) for one in found] == [
        ("major", "values.yaml for 1.32"),
        ("patch", "values.yaml for 1.33"),
    ]


def test_a_default_that_the_tests_alone_use_is_a_patch() -> None:
    def render(kind: str, image: str) -> Manifests:
        hook = "annotations: {helm.sh/hook: test}, " * (kind == "Pod")
        pod = f"{{containers: [{{name: a, image: 'x/chromium:{image}'}}]}}"
        spec = pod if kind == "Pod" else f"{{template: {{spec: {pod}}}}}"
        return read_manifests(f"apiVersion: v1\nkind: {kind}\nmetadata: {{{hook}name: a}}\nspec: {spec}\n")

    sides = [
        Side({"name": "x", "version": version}, {"values.yaml": {"test": {"image": {"tag": tag}}}})
        for version, tag in (("1.0.0", "117.0"), ("2.0.0", "147.0"))
    ]
    for kind, level in (("Pod", "patch"), ("Deployment", "major")):
        cell = Cell("values.yaml", "1.33", render(kind, "117.0"), render(kind, "147.0"))
        assert make_verdict(sides[0], sides[1], [cell], source="1.0.0").level == level


def test_an_argument_in_another_place_of_the_list_is_told_once() -> None:
    def pods(*args: str) -> Manifests:
        pod = f"{{containers: [{{name: a, image: x, args: [{', '.join(args)}]}}]}}"
        return read_manifests(
            f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: x}}\nspec: {{template: {{spec: {pod}}}}}"
        )

    sides = [Side({"name": "x", "version": version}, {"values.yaml": {}}) for version in ("1.0.0", "2.0.0")]
    cells = [
        Cell("values.yaml", "1.33", pods("--a"), pods("--b")),
        Cell("tls.enabled on", "1.33", pods("--tls", "--a"), pods("--tls", "--b"), further=True),
        Cell("c.enabled on", "1.33", pods("--c=a"), pods("--c=b"), further=True),  # another word of the same
    ]
    (reason,) = make_verdict(sides[0], sides[1], cells, source="1.0.0").reasons
    assert (reason.about, reason.where) == ("Deployment/x spec.template.spec.containers[a].args[0]", "")


def test_the_same_change_of_many_objects_is_told_once() -> None:
    def maps(text: str) -> Manifests:
        each = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x{0}, annotations: {{a: {1}}}}}\n"
        return read_manifests("---\n".join(each.format(number, text) for number in range(4)))

    sides = [Side({"name": "x", "version": version}, {"values.yaml": {}}) for version in ("1.0.0", "2.0.0")]
    (reason,) = make_verdict(
        sides[0], sides[1], [Cell("values.yaml", "1.33", maps("b"), maps("c"))], source="1.0.0"
    ).reasons
    assert reason.about == "ConfigMap/x0 metadata.annotations.a"
    assert reason.meaning == "says something else (and of 3 others)"


def test_what_is_in_a_setting_that_went_is_not_told_beside_it() -> None:
    old, new = (Side({"name": "x", "version": version}, {"values.yaml": {}}) for version in ("1.0.0", "2.0.0"))
    old = replace(old, templates={"a": "{{ .Values.a.b }}{{ with .Values.a }}{{ . }}{{ end }}"})
    more = [Reason("major", "values a.c", "d", None, "a values file that sets it has no effect any more")]
    reasons = make_verdict(old, new, [], source="1.0.0", further=more).reasons
    assert [reason.about for reason in reasons] == ["values a"]


def test_one_refusal_in_each_way_to_render_is_told_once() -> None:
    old, new = (Side({"name": "x", "version": version}, {"values.yaml": {}}) for version in ("1.0.0", "2.0.0"))
    names = ("ci/a.yaml", f"ci/a.yaml {WITHOUT}", f"ci/a.yaml {ASKED}")
    cells = [Cell(name, "1.33", service("x", 80), None, "templates/a.yaml:1: no") for name in names]
    (reason,) = make_verdict(old, new, cells, source="1.0.0").reasons
    assert (reason.about, reason.where) == ("values set ci/a.yaml", "ci/a.yaml for 1.33")


def test_what_is_folded_is_counted_once_for_all_clusters() -> None:
    def labelled(version: str) -> Manifests:
        chart = f"labels: {{helm.sh/chart: x-{version}}}"
        return read_manifests(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x, {chart}}}")

    cells = [Cell("values.yaml", minor, labelled("1.0.0"), labelled("2.0.0")) for minor in ("1.32", "1.33")]
    assert _objects(cells, Noise()) == ((), {"helm.sh/chart": 1})
