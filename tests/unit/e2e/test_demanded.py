"""What `[tool.gati.e2e.objects]` demands of the chart is what it renders: on a cluster it would be told much later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.chart.helm import Helm
from scripts.chart.manifests import read_manifests
from scripts.core.config import Config
from scripts.e2e.subject import answer, read_subject
from scripts.toolchain.finder import Toolchain
from tests.remembered import shared

OPERATORS = ("gateway.networking.k8s.io/v1", "keda.sh/v1alpha1", "monitoring.coreos.com/v1")


@pytest.mark.parametrize("name", ["default", "dev", "staging", "prod"])
def test_the_chart_renders_what_is_demanded_of_it(
    config: Config, toolchain: Toolchain, tmp_path: Path, name: str
) -> None:
    subject, overlay = read_subject(config.e2e, "gati"), tmp_path / "overlay.json"
    changes = ("labels", "external") if name == "default" else ()  # as the first installation has them
    given = subject.overlay(namespace="space", images="gati", version="1", changes=changes, knows=lambda _: True)
    overlay.write_text(json.dumps(given), encoding="utf-8")
    files = [*([config.chart / f"values-{name}.yaml"] if name != "default" else []), overlay]
    helm = Helm(toolchain.path("helm"), shared(config.cache_dir))
    text = helm.template(config.chart, release="gati", namespace="release", values=files, api_versions=OPERATORS)
    rendered = {one.label: one.data for one in read_manifests(text, "release")}
    demanded = subject.demanded(name, lambda _: True)
    assert demanded
    for kind, called, *field in (each.split(" ", 2) for each in demanded):
        path, _, wanted = field[0].partition("=") if field else ("", "", "")
        found = answer(rendered[f"{kind} {called}"], path)
        assert found == wanted or not field, f"{kind} {called} has {path} {found}"
