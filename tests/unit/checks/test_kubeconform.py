"""Every object is checked or is a problem: by the real kubeconform and the schemas that the toolkit makes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts.chart.manifests import Document, read_manifests
from scripts.checks.kubeconform import Kubeconform, read_objections
from scripts.checks.schemas import Kind, Prepared, Schemas, Store
from scripts.core.command import Result, Runner
from scripts.core.config import Config
from scripts.core.errors import CommandFailed
from scripts.toolchain.finder import Toolchain


@pytest.fixture
def real(config: Config, toolchain: Toolchain, runner: Runner) -> Kubeconform:
    return Kubeconform(toolchain.path("kubeconform"), runner, Schemas(config.cache_dir, toolchain))


def problems(checker: Kubeconform, *texts: str, version: str = "1.30.0") -> list[str]:
    """What is wrong with a render of these objects."""
    (found,) = checker.judge({version: [read_manifests("\n---\n".join(texts))]})[version]
    return [f"{problem.kind}/{problem.name}: {problem.message}" for problem in found]


def document(api_version: str, kind: str, name: str = "x", **more: object) -> str:
    return json.dumps({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **more})


CUSTOM: dict[str, tuple[str, dict[str, Any]]] = {
    "ServiceMonitor": ("monitoring.coreos.com/v1", {"selector": {}, "endpoints": [{"port": "http"}]}),
    "PrometheusRule": ("monitoring.coreos.com/v1", {"groups": [{"name": "g", "rules": [{"expr": "1", "alert": "A"}]}]}),
    "ScaledObject": (
        "keda.sh/v1alpha1",
        {"scaleTargetRef": {"name": "x"}, "triggers": [{"type": "cpu", "metadata": {}}]},
    ),
    "Certificate": ("cert-manager.io/v1", {"secretName": "s", "issuerRef": {"name": "i"}}),
    "HTTPRoute": ("gateway.networking.k8s.io/v1", {"parentRefs": [{"name": "g"}]}),
}


class TestCustomResources:
    @pytest.mark.parametrize("kind", CUSTOM)
    @pytest.mark.parametrize("version", ["1.28.0", "1.37.0"])
    def test_are_checked(self, real: Kubeconform, kind: str, version: str) -> None:
        api_version, spec = CUSTOM[kind]
        assert problems(real, document(api_version, kind, spec=spec), version=version) == []
        wrong = document(api_version, kind, spec={**spec, "noSuchField": 1})
        assert problems(real, wrong, version=version) == [f"{kind}/x: spec.noSuchField: no such field"]
        typed = document(api_version, kind, spec={**spec, next(iter(spec)): 5})
        assert len(problems(real, typed, version=version)) == 1

    def test_of_the_chart_itself_are_checked_by_its_own_definition(self, real: Kubeconform) -> None:
        schema = {
            "type": "object",
            "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
        }
        definition = document(
            "apiextensions.k8s.io/v1", "CustomResourceDefinition", "boxes.example.com",
            spec={
                "group": "example.com", "scope": "Namespaced", "names": {"kind": "Box", "plural": "boxes"},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
            },
        )  # fmt: skip
        assert problems(real, definition, document("example.com/v1", "Box", spec={"size": 1})) == []
        wrong = document("example.com/v1", "Box", spec={"size": "big", "colour": 1})
        assert sorted(problems(real, definition, wrong)) == [
            "Box/x: spec.colour: no such field",
            "Box/x: spec.size: got string, want integer",
        ]

    def test_a_null_is_nothing_to_the_api_server_where_a_field_may_be_absent(self, real: Kubeconform) -> None:
        """It takes nulls away before it checks a custom resource, but for those in lists."""
        text = {"type": "string", "enum": ["a", "b", "a"]}  # which it bears
        size = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
        fields = {"text": text, "size": size, "list": {"type": "array", "items": {"type": "string"}}, "more": text}
        fields |= {
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
            "given": {**text, "default": "a"},
        }
        spec = {"type": "object", "properties": fields, "required": ["more", "given", "more"]}
        fields["none"] = {"type": "object", "properties": {"a": {**text, "default": "a"}}, "required": ["a"]}
        definition = document(
            "apiextensions.k8s.io/v1", "CustomResourceDefinition", "boxes.example.com",
            spec={
                "group": "example.com", "scope": "Namespaced", "names": {"kind": "Box", "plural": "boxes"},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                    "type": "object", "properties": {"spec": spec}}}}],
            },
        )  # fmt: skip

        def found(**more: object) -> list[str]:
            return problems(
                real, definition, document("example.com/v1", "Box", spec={"more": "a", "given": "a", **more})
            )

        assert found(text=None, size=None, list=None, map={"a": None}, given=None) == []
        assert found(size="1", map=None, none={}) == []
        assert (
            problems(real, definition, document("example.com/v1", "Box", spec={"more": "a"})) == []
        )  # it has a default
        assert found(list=[None]) == ["Box/x: spec.list[0]: got null, want string"]
        assert [one.partition(":")[0] for one in found(more=None)] == ["Box/x"]
        assert found(text=5) == ["Box/x: spec.text: got number, want string"]


class TestNothingIsSkipped:
    def test_a_kind_without_a_schema(self, real: Kubeconform) -> None:
        (told,) = problems(real, document("example.com/v1", "Foo"))
        assert told.startswith(
            "Foo/x: not checked: no schema for example.com/v1 Foo, which neither Kubernetes, a pinned"
        )

    def test_a_kind_of_another_kubernetes(self, real: Kubeconform) -> None:
        old = document("policy/v1beta1", "PodDisruptionBudget")
        (told,) = problems(real, old, version="1.36.0")
        assert (
            told == "PodDisruptionBudget/x: no schema, since no known Kubernetes has policy/v1beta1 PodDisruptionBudget"
        )
        (told,) = problems(real, document("extensions/v1beta1", "Ingress"), version="1.36.0")
        assert told == "Ingress/x: no schema, since no known Kubernetes has extensions/v1beta1 Ingress"
        for version in ("1.29.0", "1.30.0"):  # told in the same words, so that it is told once
            assert problems(real, document("resource.k8s.io/v1", "DeviceClass"), version=version) == [
                "DeviceClass/x: this Kubernetes has no resource.k8s.io/v1 DeviceClass; known in 1.34, 1.35, 1.36, 1.37"
            ]

    @pytest.mark.parametrize("kind", ["../../etc/passwd", "a b", ""])
    def test_a_kind_that_is_none(self, real: Kubeconform, kind: str) -> None:
        assert len(problems(real, document("v1", kind))) >= 1

    def test_an_object_of_a_list(self, real: Kubeconform) -> None:
        items = [json.loads(document("v1", "ConfigMap", name, dataa={})) for name in ("a", "b")]
        found = problems(real, json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        assert found == ["ConfigMap/a: dataa: no such field", "ConfigMap/b: dataa: no such field"]

    def test_an_object_of_a_list_of_one_kind(self, real: Kubeconform) -> None:
        items = [{"metadata": {"name": name}, "data": {"a": 1}} for name in ("a", "b")]
        found = problems(real, json.dumps({"apiVersion": "v1", "kind": "ConfigMapList", "items": items}))
        assert found == [f"ConfigMap/{name}: data.a: got number, want string" for name in ("a", "b")]
        alike = [json.loads(document("example.com/v1", "Foo")), json.loads(document("v1", "Foo"))]
        assert len(problems(real, json.dumps({"apiVersion": "v1", "kind": "List", "items": alike}))) == 2

    def test_a_definition_that_stands_twice_in_crds(self, real: Kubeconform) -> None:
        """helm makes the first one, and passes over the others."""
        text = document("apiextensions.k8s.io/v1", "CustomResourceDefinition", "boxes.example.com", spec={})
        head = "---\n# Source: a/{}\n".format
        crds = "\n".join((head("crds/b.yaml"), text, head("charts/b/crds/b.yaml"), text))
        (found,) = real.judge({"1.36.0": [read_manifests(crds)]})["1.36.0"]
        assert [one.accepted for one in found if "twice" in one.message] == ["helm takes the first one in crds/"]
        (found,) = real.judge({"1.36.0": [read_manifests(f"{crds}\n{head('templates/b.yaml')}{text}")]})["1.36.0"]
        assert [one.accepted for one in found if "twice" in one.message] == ["helm takes the first one in crds/", ""]

    def test_a_key_that_stands_twice(self, real: Kubeconform) -> None:
        text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {}\ndata: {a: b}\n"
        assert problems(real, text) == [
            "ConfigMap/x: data stands twice: helm takes the last one, Flux and kustomize refuse it"
        ]
        text = text.replace("data: {}", "metadata: {name: x, labels: {a.b/c: d, a.b/c: e}}")
        (told,) = problems(real, text)
        assert told.startswith("ConfigMap/x: metadata stands twice, and 1 more: helm takes")
        pod = {"containers": [{"name": "a", "image": "a", "env": []}]}
        text = document("v1", "Pod", spec=pod).replace('"env": []', '"env": [], "env": []')
        (told,) = problems(real, f"# a line more\n{text}")
        assert told.startswith("Pod/x: spec.containers[0].env stands twice: helm takes")

    def test_a_repeated_object_and_one_without_a_name(self, real: Kubeconform) -> None:
        twice = document("v1", "ConfigMap")
        assert problems(real, twice, twice) == ["ConfigMap/x: stands twice in this render"]
        assert problems(real, '{"apiVersion": "v1", "kind": "ConfigMap"}') == ["ConfigMap/: metadata.name is missing"]

    def test_an_object_about_which_kubeconform_says_nothing(self) -> None:
        class Mute(Runner):
            def run(self, argv: Any, **options: Any) -> Result:
                return Result((), 0, '{"resources": []}', "", 0.0)

        checker = Kubeconform(Path("kubeconform"), Mute(), Everything())
        assert problems(checker, document("v1", "ConfigMap")) == ["ConfigMap/x: kubeconform says nothing about it"]

    def test_an_answer_that_is_none(self) -> None:
        class Broken(Runner):
            def run(self, argv: Any, **options: Any) -> Result:
                return Result(("kubeconform",), 2, "boom", "panic", 0.0)

        with pytest.raises(CommandFailed, match="ended with status 2"):
            problems(Kubeconform(Path("kubeconform"), Broken(), Everything()), document("v1", "ConfigMap"))


class Everything(Schemas):
    """Schemas that know every kind."""

    def __init__(self) -> None:
        pass

    def prepare(
        self, kube_version: str, kinds: Iterable[Kind], definitions: Sequence[Document] = (), unrendered: object = None
    ) -> Prepared:
        return Prepared((), frozenset())

    def served_by(self, kind: Kind) -> tuple[str, ...]:
        return ()

    def owned_by_kubernetes(self, group: str) -> bool:
        return True


def test_objections_are_fields() -> None:
    message = (
        "problem validating schema. Check JSON formatting: jsonschema validation failed with 'file:///x#'\n"
        "- at '/spec/ports/0': additional properties 'a', 'b' not allowed\n"
        "- at '/spec': missing properties 'selector'\n- at '/metadata/labels/a.b~1c': got number, want string"
    )
    assert read_objections(message) == (
        "spec.ports[0].a: no such field",
        "spec.ports[0].b: no such field",
        "spec.selector: is required",
        'metadata.labels["a.b/c"]: got number, want string',
    )
    assert read_objections("something else") == ("something else",)
    assert read_objections("- at '/status': missing properties 'replicas'") == ()


class TestStore:
    def test_makes_a_file_once_and_a_damaged_one_again(self, tmp_path: Path) -> None:
        said: list[str] = []
        made = []

        def make() -> object:
            made.append(1)
            return {"a": 1}

        def ensure() -> None:
            Store(tmp_path / "store", said.append).ensure({"x.json": make})

        for _ in range(2):
            ensure()
        assert (len(made), said) == (1, [])
        for damage in (b"", b'{"a": 2}', b'{"a":'):
            (tmp_path / "store" / "x.json").write_bytes(damage)
            ensure()
            assert json.loads((tmp_path / "store" / "x.json").read_bytes()) == {"a": 1}
        assert len(made) == 4
        assert said == ["the cached schema x.json is not what was written: making it anew"] * 3
        (tmp_path / "store" / "receipt.json").write_text("{")
        ensure()
        assert len(made) == 5


@pytest.mark.parametrize("version", ["1.25.0", "1.37.0"])
@pytest.mark.parametrize(
    ("surge", "limit", "told"), [(None, None, []), ("25%", "1", []), (1, 0.5, []), (True, [], ["x"])]
)
def test_a_null_is_nothing_where_a_number_or_a_text_may_stand(
    real: Kubeconform, version: str, surge: object, limit: object, told: list[str]
) -> None:
    pod = {"containers": [{"name": "a", "image": "a", "resources": {"limits": {"cpu": limit}}}]}
    spec = {
        "selector": {"matchLabels": {"a": "b"}},
        "strategy": {"rollingUpdate": {"maxSurge": surge}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod},
    }
    if told:
        cpu = "spec.template.spec.containers[0].resources.limits.cpu: got array, want number or string"
        told = ["spec.strategy.rollingUpdate.maxSurge: got boolean, want integer or string", cpu]
    found = problems(real, document("apps/v1", "Deployment", spec=spec), version=version)
    assert sorted(found) == [f"Deployment/x: {one}" for one in told]


@pytest.mark.parametrize(
    ("kind", "parts", "held"),
    [
        ("ConfigMap", {"data": {"a": "ä" * 500_000}, "binaryData": {"b": "AAAA" * 20_000}}, 1_060_000),
        ("ConfigMap", {"data": {"a": "x" * 1_048_576}}, None),
        ("Secret", {"data": {"a": "AAA=" * 349_525 + "\n", "b": "A" * 900_000}, "stringData": {"b": "x"}}, None),
        ("Secret", {"data": {"a": "A" * 1_000_000}, "stringData": {"b": "x" * 300_000}}, 1_050_000),
    ],
)
def test_no_more_data_than_the_api_server_takes(
    real: Kubeconform, kind: str, parts: dict[str, Any], held: int | None
) -> None:
    told = f"{kind}/x: what it holds is {held} bytes, and the API server takes 1048576"
    assert problems(real, document("v1", kind, **parts)) == [told] * (held is not None)


def test_no_more_annotations_than_the_api_server_takes(real: Kubeconform) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "ServiceAccount"})[:-1]
    text += ', "metadata": {"name": "x", "annotations": {"a": "' + "x" * 262_143 + '%s"}}}'
    assert problems(real, text % "") == []
    told = "ServiceAccount/x: metadata.annotations is 262145 bytes, and the API server takes 262144"
    assert problems(real, text % "x") == [told]
