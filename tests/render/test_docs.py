"""The chart's own documentation: README.md generated from values.yaml, and NOTES.txt."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from scripts.core.command import Runner
from tests.render.everything import EVERYTHING, HTTP_ROUTE, merged
from tests.render.harness import CHART, NEWEST, OLDEST, render, tool
from tests.render.notes import notes

README = CHART / "README.md"


def helm_docs() -> list[str]:
    """The command that writes README.md, in the chart's folder."""
    return [tool("helm-docs"), "--sort-values-order", "file"]


def generated(chart: Path) -> str:
    """What helm-docs makes of a chart."""
    return Runner().run([*helm_docs(), "--dry-run"], cwd=chart, deadline=60).stdout.strip()


@pytest.mark.requirement("15.2")
def test_readme_is_what_helm_docs_generates() -> None:
    assert README.read_text().strip() == generated(CHART), f"drifted: (cd {CHART} && {' '.join(helm_docs())})"


@pytest.mark.requirement("15.2")
def test_a_changed_comment_or_default_is_drift(tmp_path: Path) -> None:
    for number, (old, new) in enumerate(
        (("# -- Replicas while", "# -- Other words"), ("replicaCount: 2", "replicaCount: 3"))
    ):
        copy = tmp_path / str(number) / "gati"
        shutil.copytree(CHART, copy)
        text = (copy / "values.yaml").read_text()
        assert old in text
        (copy / "values.yaml").write_text(text.replace(old, new, 1))
        assert generated(copy) != README.read_text().strip()


def commented(text: str) -> dict[int, bool]:
    """Each line of values.yaml that holds a key: whether a `# --` comment stands above it."""
    found = {}
    above = False
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("#"):
            above = above or stripped.startswith("# -- ")
        else:
            found[number] = above
            above = False
    return found


@pytest.mark.requirement("15.2")
def test_every_default_has_a_comment() -> None:
    text = (CHART / "values.yaml").read_text()
    lines = commented(text)
    bare: list[str] = []

    def walk(node: yaml.Node, path: str, covered: bool) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            here = f"{path}.{key.value}".strip(".")
            known = lines[key.start_mark.line + 1]
            if not known and not covered:
                bare.append(here)
            walk(value, here, covered or (known and not isinstance(value, yaml.MappingNode)))

    root: Any = yaml.compose(text)
    walk(root, "", covered=False)
    assert not bare


@pytest.mark.requirement("15.2")
def test_the_table_lists_every_default() -> None:
    listed = set(re.findall(r"(?m)^\| ([A-Za-z][\w.\[\]\"/-]*) \|", README.read_text()))

    def leaves(tree: Any, path: str = "") -> list[str]:
        if isinstance(tree, dict) and tree:
            return [leaf for key, value in tree.items() for leaf in leaves(value, f"{path}.{key}".strip("."))]
        return [path]

    missing = [
        path
        for path in leaves(yaml.safe_load((CHART / "values.yaml").read_text()))
        if not any(path == row or path.startswith(f"{row}.") for row in listed)
    ]
    assert not missing


@pytest.mark.requirement("15.1")
@pytest.mark.parametrize("command", ["helm upgrade --install", "helm rollback", "helm uninstall", "helm test"])
def test_readme_says_how_to(command: str) -> None:
    assert re.search(rf"(?m)^{command} gati|`{command} gati", README.read_text())


@pytest.mark.requirement("15.3")
def test_readme_examples_render() -> None:
    examples = re.findall(r"(?ms)^```yaml\n(.*?)^```", README.read_text())
    assert len(examples) >= 3
    for example in examples:
        values = yaml.safe_load(example)
        assert "dependencies" in values or render(values)  # those are a parent chart's: test_parent.py


@pytest.mark.requirement("15.4")
def test_readme_lists_the_prerequisites() -> None:
    text = README.read_text()
    for version in (OLDEST, NEWEST):
        assert version.rpartition(".")[0] in text or "1.38" in text
    for group in ("monitoring.coreos.com", "keda.sh", "cert-manager.io", "gateway.networking.k8s.io"):
        assert group in text


@pytest.mark.requirement("15.4")
def test_every_custom_resource_is_listed() -> None:
    text = README.read_text()
    builtin = {"apps", "autoscaling", "networking.k8s.io", "policy", "rbac.authorization.k8s.io"}
    for values in (EVERYTHING, {"keda": {"enabled": True}}):
        for doc in render(values, namespace="ops"):
            group, slash, _ = doc["apiVersion"].rpartition("/")
            if slash and group not in builtin:
                assert group in text, group


@pytest.mark.requirement("15.5")
class TestNotes:
    def test_each_service_is_named_with_the_way_to_it(self) -> None:
        text = notes()
        assert "http://gati-ingress.gati.svc:80" in text
        assert "route-manager.gati.svc:50051" in text
        assert "port-forward service/gati-ingress 8080:80" in text
        assert "port-forward service/route-manager 50051:50051" in text

    def test_names_ports_and_hosts_are_those_of_the_values(self) -> None:
        text = notes(
            {
                "global": {"namespace": "edge"},
                "ingress": {"name": "door"},
                "tls": {"enabled": True, "servicePort": 8444},
                "externalIngress": {
                    "enabled": True,
                    "hosts": [{"host": "api.example.com", "paths": [{"path": "/", "pathType": "Prefix"}]}],
                },
            }
        )
        assert "https://door.edge.svc:8444" in text
        assert "--namespace edge" in text
        assert "api.example.com" in text

    def test_what_is_off_is_not_offered(self) -> None:
        text = notes({"routeManager": {"enabled": False}, "ingress": {"config": {"ROUTE_MANAGER_ADDR": "x:1"}}})
        assert "service/route-manager" not in text

    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({"ingress": {"hpa": {"enabled": True}}}, "2 to 10 replicas at 60 % CPU"),
            ({"keda": {"enabled": True}}, "KEDA"),
            ({"tls": {"enabled": True, "secretName": "cert"}}, "cert"),
            ({"multiZone": {"enabled": True, "zoneLabel": "example.com/rack"}}, "example.com/rack"),
            ({"prometheusOperator": {"serviceMonitor": {"enabled": True, "namespace": "observe"}}}, "observe"),
        ],
    )
    def test_what_is_on_is_said(self, values: dict[str, Any], said: str) -> None:
        assert said in notes(values)
        assert notes(values) != notes()

    def test_prod_with_routes_of_its_own_is_warned_of_nothing(self) -> None:
        routes = [{"host": "api.example.com", "upstream": "http://api.example.com"}]
        assert "WARNING" not in notes({"routeManager": {"routes": routes}}, values_files=("values-prod.yaml",))

    def test_defaults_are_warned_of_one_route_manager_and_of_the_example(self) -> None:
        _, _, warnings = notes().partition("WARNING")
        assert [line.split()[1] for line in warnings.splitlines() if line.startswith("  - ")] == [
            "routeManager.replicaCount",
            "routeManager.routes",
        ]

    @pytest.mark.parametrize(
        ("values", "key"),
        [
            ({"ingress": {"replicaCount": 1}}, "ingress.replicaCount"),
            ({"ingress": {"replicaCount": 2}, "pdb": {"minAvailable": 2}}, "pdb.minAvailable"),
            ({"ingress": {"replicaCount": 2}, "pdb": {"minAvailable": "100%"}}, "pdb.minAvailable"),
            ({"pdb": {"minAvailable": None, "maxUnavailable": 0}}, "pdb.maxUnavailable"),
            ({"routeManager": {"enabled": False}}, "ROUTE_MANAGER_ADDR"),
            ({"keda": {"enabled": True, "renderMode": "skip"}}, "keda"),
            ({"tls": {"enabled": True}, "externalIngress": {"enabled": True}}, "externalIngress.annotations"),
            ({"tls": {"enabled": True}, **HTTP_ROUTE}, "BackendTLSPolicy"),
        ],
    )
    def test_warnings_name_the_key(self, values: dict[str, Any], key: str) -> None:
        _, _, warnings = notes(values).partition("WARNING")
        assert key in warnings

    @pytest.mark.parametrize(
        ("values", "key"),
        [
            ({"keda": {"enabled": True}}, "prometheusOperator.serviceMonitor.enabled"),
            ({"tls": {"enabled": True}}, "tls.http"),
            ({"routeManager": {"tls": {"enabled": True}}}, "routeManager.tls.grpc"),
            ({"ingress": {"hpa": {"enabled": True}, "resources": {"requests": None, "limits": None}}}, "requests.cpu"),
        ],
    )
    def test_what_will_not_work_is_said(self, values: dict[str, Any], key: str) -> None:
        _, _, warnings = notes(values).partition("WARNING")
        assert key in warnings

    def test_what_was_skipped_is_not_called_on(self) -> None:
        skipped = merged(
            EVERYTHING, {"httpRoute": {"renderMode": "skip"}, "prometheusOperator": {"renderMode": "skip"}}
        )
        skipped = merged(skipped, {"tls": {"certManager": {"renderMode": "skip"}}})
        before, _, warnings = notes(skipped).partition("WARNING")
        for line in ("HTTPRoute:", "ServiceMonitor:", "alerting rules:"):
            assert re.search(rf"{line} +off", before), line
        assert "issued by cert-manager" not in before
        assert "api.example.com" not in before
        for key in ("httpRoute.enabled", "serviceMonitor.enabled", "prometheusRule.enabled", "certManager.enabled"):
            assert key in warnings

    @pytest.mark.parametrize("path", ["/healthz", "/up?deep=1&quiet", "/it's;$(date)`"])
    def test_a_command_asks_for_the_path_that_is_given(self, path: str) -> None:
        text = notes({"ingress": {"readinessProbe": {"path": path}}})
        (line,) = [line for line in text.splitlines() if "curl" in line]
        word = shlex.split(line, comments=True)[-1]
        assert unquote(word) == f"http://localhost:8080{path}"
        assert path != "/healthz" or "'" not in line

    def test_route_manager_is_forwarded_at_the_port_that_the_ingress_calls(self) -> None:
        text = notes({"routeManager": {"tls": {"enabled": True, "servicePort": 50055, "grpc": "health"}}})
        assert "port-forward service/route-manager 50051:50055" in text

    def test_every_host_has_its_scheme_and_paths(self) -> None:
        paths = [{"path": "/a", "pathType": "Prefix"}, {"path": "/b", "pathType": "Exact"}]
        hosts = [
            {"host": "safe.example.com", "paths": paths},
            {"host": "one.wild.example.com", "paths": paths[:1]},
            {"host": "plain.example.com"},
            {"paths": paths[:1]},
        ]
        tls = [{"secretName": "c", "hosts": ["safe.example.com", "*.wild.example.com"]}, {"secretName": "any"}]
        text = notes({"externalIngress": {"enabled": True, "hosts": hosts, "tls": tls}})
        for url in (
            "https://safe.example.com/a",
            "https://safe.example.com/b",
            "https://one.wild.example.com/a",
            "http://plain.example.com/",
            "https://ADDRESS-OF-THE-INGRESS/a",
        ):
            assert f"    {url}\n" in text


def test_the_dependency_is_pinned_to_a_minor_version() -> None:
    (version,) = re.findall(r"(?m)^    version: (\S+)$", README.read_text())
    assert re.fullmatch(r"~\d+\.\d+\.\d+", version)
