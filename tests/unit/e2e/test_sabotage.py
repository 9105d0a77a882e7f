"""Charts with a fault: the edit does what it says to the object it names, and nothing to any other."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.chart.helm import Helm
from scripts.chart.manifests import Manifests, Parser, read_manifests
from scripts.core.config import Config
from scripts.core.errors import ChartError
from scripts.core.yaml_read import merge
from scripts.e2e.sabotage import NEGATIVE_CONTROL, Edit, Fault, drop, sabotage
from scripts.toolchain.finder import Toolchain
from tests.e2e.faults import CASES, FURTHER, Case
from tests.remembered import shared

ON = {
    "ingress": {
        "image": {"tag": "2"},
        "hpa": {"enabled": True},
        "initContainers": [{"name": "prepare", "image": "prepare:1"}],
        "nodeSelector": {"a": "b"},
        "tolerations": [{"operator": "Exists"}],
    },
    "routeManager": {"replicaCount": 2},
    "networkPolicy": {"enabled": True},
    "prometheusOperator": {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}},
    "dashboard": {"enabled": True},
    "multiZone": {"enabled": True},
    "tls": {"enabled": True},
    "commonLabels": {"gati-e2e/mark": "set"},
    "podLabels": {"gati-e2e-pod": "set"},
    "nodeSelector": {"a": "b"},
    "tolerations": [{"key": "gati-e2e-all", "operator": "Exists"}],
    "externalIngress": {
        "enabled": True,
        "hosts": [{"host": host, "paths": [{"path": "/"}]} for host in ("e2e.invalid", "second.invalid")],
    },
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "none"}]},
}
PARSER = Parser()
Render = Callable[..., Manifests]


@pytest.fixture
def render(config: Config, toolchain: Toolchain, tmp_path: Path) -> Render:
    helm, values = Helm(toolchain.path("helm"), shared(config.cache_dir)), tmp_path / "on.yaml"

    def rendered(chart: Path, name: str = "default", **more: Any) -> Manifests:
        values.write_text(json.dumps({**ON, **more}), encoding="utf-8")
        files = [*([chart / f"values-{name}.yaml"] if name != "default" else []), values]
        return PARSER.read(helm.template(chart, release="gati", namespace="release", values=files))

    return rendered


@pytest.fixture(scope="module")
def good(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart as a fault leaves it that changes nothing."""
    chart = copy(config, tmp_path_factory.mktemp("good") / "gati")
    sabotage(chart, [Fault("nothing")])
    return chart


def copy(config: Config, into: Path) -> Path:
    return Path(shutil.copytree(config.chart, into))


def objects(manifests: Manifests) -> dict[str, Any]:
    return {str(document.identity): document.data for document in manifests if "helm.sh/chart" in str(document.data)}


def without_version(found: dict[str, Any]) -> str:
    return re.sub(r'"helm.sh/chart": "[^"]*"', "", json.dumps(found, sort_keys=True))


def test_without_an_edit_the_chart_renders_what_it_did(config: Config, tmp_path: Path, render: Render) -> None:
    good, same = copy(config, tmp_path / "good"), copy(config, tmp_path / "same")
    assert sabotage(same, [Fault("nothing")]) == "0.0.0-nothing"
    assert without_version(objects(render(same))) == without_version(objects(render(good)))


def test_the_negative_control_lacks_what_keeps_requests(config: Config, tmp_path: Path, render: Render) -> None:
    chart = copy(config, tmp_path / "gati")
    version = sabotage(chart, NEGATIVE_CONTROL)
    deployments = render(chart).all("Deployment")
    assert len(deployments) == 2
    for deployment in deployments:
        container = deployment.data["spec"]["template"]["spec"]["containers"][0]
        assert deployment.data["spec"]["strategy"] == {"type": "Recreate"}
        assert not {"readinessProbe", "startupProbe", "lifecycle"} & container.keys()
        assert "livenessProbe" in container
        assert deployment.data["metadata"]["labels"]["helm.sh/chart"] == f"gati-{version}"


def test_an_object_can_be_left_out(config: Config, tmp_path: Path, render: Render) -> None:
    chart = copy(config, tmp_path / "gati")
    sabotage(chart, [Fault("gone", [Edit("PodDisruptionBudget", "", drop())])])
    assert not render(chart).all("PodDisruptionBudget")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fault.name)
def test_every_fault_of_the_table_changes_the_chart(
    config: Config, good: Path, tmp_path: Path, render: Render, case: Case
) -> None:
    bad = copy(config, tmp_path / "bad")
    sabotage(bad, [case.fault])
    if "templates/NOTES.txt" in case.fault.files:
        return
    given: dict[str, Any] = {}
    for name in case.only if "tls" in case.only else ():
        merge(given, config.e2e["changes"][name])
    before, after = (render(chart, case.values, **given) for chart in (good, bad))
    assert without_version({str(d.identity): d.data for d in before}) != without_version(
        {str(d.identity): d.data for d in after}
    ), "the chart renders no such object any more: bring tests/e2e/faults.py up to it"


def test_the_table_has_no_name_twice() -> None:
    names = [case.fault.name for case in CASES]
    assert len(names) == len(set(names))
    assert set(names) >= FURTHER
    assert len(set(names) - FURTHER) >= 40


def test_a_chart_without_templates_is_an_error(config: Config, tmp_path: Path) -> None:
    chart = copy(config, tmp_path / "gati")
    shutil.rmtree(chart / "templates")
    with pytest.raises(ChartError, match="has no templates"):
        sabotage(chart, NEGATIVE_CONTROL)


def write(folder: Path, name: str, more: str = "", template: str = "") -> Path:
    """A chart whose Deployment has a strategy, if it has a template."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 0.1.0\n{more}")
    if template:
        (folder / "templates" / "all.yaml").write_text(template)
    return folder


DEPLOYMENT = """{{- define "%s.name" }}{{ .Release.Name }}-{{ if true }}{{ .Chart.Name }}{{ end }}{{ end -}}
{{- /* define "no" }} */ -}}
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ include "%s.name" . }}}
spec: {strategy: {type: RollingUpdate}, template: {spec: {containers: [{name: a, image: b}]}}}
"""


def test_charts_within_a_chart_get_the_fault_too(toolchain: Toolchain, config: Config, tmp_path: Path) -> None:
    """Whether they are folders or archives, whatever their templates are called and define, and in a `List`."""
    helm = Helm(toolchain.path("helm"), shared(config.cache_dir))
    needs = "dependencies: [{name: one, version: 0.1.0}, {name: two, alias: second, version: 0.1.0}]\n"
    item = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: listed}, spec: {a: 1}}"
    chart = write(tmp_path / "all", "all", needs)
    (chart / "templates").rmdir()
    one = write(chart / "charts" / "one", "one", template=DEPLOYMENT % ("one", "one"))
    (one / "templates" / "list.yaml.tpl").write_text(f"apiVersion: v1\nkind: List\nitems:\n- {item}\n")
    two = write(tmp_path / "two", "two", template=DEPLOYMENT % ("two", "two"))
    helm.package(two, chart / "charts", epoch=0)
    sabotage(chart, NEGATIVE_CONTROL)
    deployments = read_manifests(helm.template(chart, release="r", namespace="n")).all("Deployment")
    assert {(one.name, one.data["spec"]["strategy"]["type"]) for one in deployments} == {
        ("listed", "Recreate"),
        ("r-one", "Recreate"),
        ("r-second", "Recreate"),
    }
