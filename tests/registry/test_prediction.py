"""The digest that `package` predicts is the one that `helm push` then writes, whatever Chart.yaml says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.chart.archive import UNDATED, describe, pack
from scripts.chart.helm import Helm
from scripts.core.config import Config
from scripts.core.errors import ChartError
from scripts.release.publish import probe
from tests.registry.conftest import Served, write_chart

# Text that YAML and JSON have special rules for, and any other.
tricky = st.sampled_from(
    ["true", "no", "null", "~", "1.10", "0x1F", "1e3", "1_000", "12:30:45", "2026-11-24", "=", "<<", "<b>&amp;</b>",
     "a: b", "# no comment", "- x", "{}", "'", '"', "\\", "two\nlines\n", " spaces ", "tab\there",
     "ü\u2028ñ\u2029", "😀",
     "%", "@x", "`x`", "x" * 300, "word " * 60]
)  # fmt: skip
anything = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cn", "Co"]), max_size=40)
text = tricky | anything
word = st.from_regex(r"[a-z]([a-z0-9-]{0,14}[a-z0-9])?", fullmatch=True)
charts = st.fixed_dictionaries(
    {"apiVersion": st.just("v2"), "name": word, "version": st.sampled_from(["1.2.3", "0.1.0-rc.1+b.5", "v2.0.0"])},
    optional={
        "description": text,
        "home": text,
        "icon": text,
        "appVersion": text,
        "kubeVersion": text,
        "deprecated": st.booleans(),
        "type": st.sampled_from(["application", "library"]),
        "keywords": st.lists(text, max_size=3),
        "sources": st.lists(text, max_size=3),
        "annotations": st.dictionaries(word | text, text, max_size=5),
        "maintainers": st.lists(
            st.fixed_dictionaries({"name": text}, optional={"email": text, "url": text}), max_size=3
        ),
    },
)


def same_as_helm_pushes(crane: Served, helm: Helm, chart: Path, folder: Path) -> None:
    """Push the chart with helm alone and compare."""
    import os

    data = pack(helm, chart, UNDATED)
    made = describe(folder / "made.tgz", data, UNDATED)
    made.path.write_bytes(data)
    os.utime(made.path, (UNDATED, UNDATED))
    (folder / "logins").write_text("{}")
    helm.push(made.path, crane.registry.remote, registry_config=folder / "logins", flags=["--plain-http"])
    seen = probe(crane.registry, made)
    assert seen.digest == made.manifest_digest, (chart / "Chart.yaml").read_text()


@pytest.mark.timeout(3600)  # the thorough profile packs and pushes five hundred
@settings(
    max_examples=settings().max_examples // 2,  # each one is packed and pushed
    suppress_health_check=[*settings().suppress_health_check, HealthCheck.function_scoped_fixture],
)
@given(metadata=charts)
def test_of_any_chart(crane: Served, helm: Helm, tmp_path: Path, metadata: dict[str, object]) -> None:
    chart = tmp_path / "any"
    chart.mkdir(exist_ok=True)
    (chart / "Chart.yaml").write_text(yaml.safe_dump(metadata, allow_unicode=True), encoding="utf-8")
    try:
        pack(helm, chart, UNDATED)
    except ChartError:
        return  # helm itself refuses it
    same_as_helm_pushes(crane, helm, chart, tmp_path)


def test_of_the_projects_own_chart(crane: Served, helm: Helm, config: Config, tmp_path: Path) -> None:
    same_as_helm_pushes(crane, helm, config.chart, tmp_path)


@pytest.mark.parametrize(
    "more",
    [
        "annotations: {org.opencontainers.image.created: yesterday, org.opencontainers.image.title: other}\n",
        "annotations: {org.opencontainers.image.authors: us, zeta: '1', alpha: '2'}\n",
        "maintainers: [{name: a, email: a@example.com, url: https://a}, {email: b@example.com}]\n",
        "keywords: []\nsources: ['']\n",
        "unknown: field\n",
        "deprecated: true\ntags: a,b\ncondition: c\n",
    ],
)
def test_of_special_fields(crane: Served, helm: Helm, tmp_path: Path, more: str) -> None:
    write_chart(tmp_path / "special", more=more)
    same_as_helm_pushes(crane, helm, tmp_path / "special", tmp_path)


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_with_the_file_of_helm_2(crane: Served, helm: Helm, tmp_path: Path, api: str) -> None:
    chart = tmp_path / "old"
    write_chart(chart / "charts" / "demo")
    (chart / "Chart.yaml").write_text(f"apiVersion: {api}\nname: old\nversion: 1.0.0\n")
    wanted = [{"name": "demo", "version": ">=1.0.0", "repository": "", "condition": "demo.on"}]
    (chart / "requirements.yaml").write_text(json.dumps({"dependencies": wanted}))
    same_as_helm_pushes(crane, helm, chart, tmp_path)


def test_with_dependencies(crane: Served, helm: Helm, tmp_path: Path) -> None:
    write_chart(tmp_path / "parent" / "charts" / "demo")
    values = [{"child": "a", "parent": "b"}, "exports"]
    dependency = {"name": "demo", "version": ">=1.0.0 <2", "repository": "", "condition": "demo.on", "tags": ["x", "y"]}
    write_chart(
        tmp_path / "parent",
        more="dependencies: "
        + json.dumps([{**dependency, "import-values": values, "alias": "other", "enabled": True}])
        + "\n",
    )
    same_as_helm_pushes(crane, helm, tmp_path / "parent", tmp_path)
