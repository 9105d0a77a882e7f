"""The chart upgrades every installation of a published version, and a forbidden change is found out.

`published/` holds those versions as they were published. After a release the next one joins them:
`cp dist/gati-VERSION.tgz tests/render/published/`.
"""

from __future__ import annotations

import copy
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import semver
import yaml

from scripts.chart.archive import pack, unpack
from scripts.chart.helm import Helm
from scripts.chart.manifests import Manifests, read_manifests
from scripts.chart.source import read_chart
from scripts.core.config import load_config
from scripts.core.errors import ReleaseError
from scripts.release.package import release_time
from tests.render.everything import EVERYTHING, merged
from tests.render.harness import CHART, ROOT, render_text, runner, tool
from tests.render.mutants import Default, Mutant
from tests.render.upgrade import refusals

PUBLISHED = Path(__file__).parent / "published"
ENVIRONMENTS = ("values-dev.yaml", "values-staging.yaml", "values-prod.yaml")
CASES: dict[str, dict[str, Any]] = {
    "default": {"values": {}},
    "everything": {"values": EVERYTHING},
    "keda": {"values": {"keda": {"enabled": True, "scaleToZero": True, "activationQuery": "up"}}},
    "elsewhere": {"values": {}, "namespace": "ops"},
    "renamed": {"values": {"ingress": {"name": "edge"}, "routeManager": {"name": "routes"}}, "release": "second"},
    "labelled": {"values": {"commonLabels": {"team": "a"}, "podLabels": {"tier": "b"}}},
    **{name: {"values_files": (name,)} for name in ENVIRONMENTS},
}


def version_of(archive: Path) -> semver.Version:
    return semver.Version.parse(archive.name.removeprefix("gati-").removesuffix(".tgz"))


ARCHIVES = sorted(PUBLISHED.glob("gati-*.tgz"), key=version_of)


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda archive: archive.name)
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a published chart."""
    return unpack(request.param.read_bytes(), tmp_path_factory.mktemp("published"))


def test_every_released_version_is_kept() -> None:
    """The one that Chart.yaml names has to be once something has come after it."""
    history = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased, _, older = history.partition("## [Unreleased]")[2].partition("\n## ")
    current = read_chart(CHART).version
    released = re.findall(r"^(?:## )?\[(\d[^\]]*)\] - ", older, re.MULTILINE)
    wanted = {version for version in released if version != current or unreleased.strip()}
    assert wanted
    assert wanted <= {str(version_of(archive)) for archive in ARCHIVES}


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda archive: archive.name)
def test_an_archive_is_what_was_published(archive: Path, tmp_path: Path) -> None:
    folder = unpack(archive.read_bytes(), tmp_path)
    chart = read_chart(folder)
    assert chart.archive_name == archive.name
    helm = Helm(Path(tool("helm")), runner())
    assert pack(helm, folder, release_time(load_config(ROOT), chart)) == archive.read_bytes()


@pytest.mark.trap("selector-version", "scaledobject-renamed", "namespace-deleted")
@pytest.mark.parametrize("case", CASES)
def test_an_upgrade_changes_nothing_immutable(case: str, published: Path) -> None:
    old, new = (read_manifests(render_text(**CASES[case], chart=chart)) for chart in (published, CHART))
    assert refusals(old, new) == []


@pytest.mark.parametrize("name", ["values.yaml", *ENVIRONMENTS])
def test_the_values_of_the_published_version_are_still_accepted(name: str, published: Path) -> None:
    values = yaml.safe_load((published / "values.yaml").read_text())
    if name != "values.yaml":
        values = merged(values, yaml.safe_load((published / name).read_text()))
    assert render_text(values, upgrade=True)


@pytest.mark.parametrize("name", ["values.yaml", *ENVIRONMENTS])
def test_values_reused_without_the_new_defaults_are_refused_by_the_schema_or_render(
    name: str, published: Path, tmp_path: Path
) -> None:
    """helm's --reuse-values puts the old chart's defaults in the place of the new one's."""
    chart = tmp_path / "gati"
    shutil.copytree(CHART, chart)
    shutil.copy(published / "values.yaml", chart)
    files = () if name == "values.yaml" else (name,)
    for file in files:
        shutil.copy(published / file, chart)
    try:
        assert render_text(values_files=files, chart=chart, upgrade=True)
    except ReleaseError as error:
        assert "missing propert" in str(error)


def changed(manifests: Manifests, kind: str, name: str, change: Callable[[dict[str, Any]], object]) -> Manifests:
    """The same manifests with one object changed."""
    documents = []
    for document in manifests:
        data = copy.deepcopy(dict(document.data))
        if (document.kind, document.name) == (kind, name):
            change(data)
        documents.append(replace(document, data=data))
    return Manifests(tuple(documents))


FORBIDDEN: dict[str, tuple[str, str, Callable[[dict[str, Any]], object]]] = {
    "a version in the selector": (
        "Deployment",
        "gati-ingress",
        lambda doc: doc["spec"]["selector"]["matchLabels"].update({"app.kubernetes.io/version": "2.0.0"}),
    ),
    "another selector label": (
        "Deployment",
        "route-manager",
        lambda doc: doc["spec"]["selector"]["matchLabels"].update({"app.kubernetes.io/name": "route-manager"}),
    ),
    "pods outside the selector": (
        "Deployment",
        "gati-ingress",
        lambda doc: doc["spec"]["template"]["metadata"]["labels"].pop("app.kubernetes.io/component"),
    ),
    "another role": ("RoleBinding", "gati-ingress", lambda doc: doc["roleRef"].update({"name": "wider"})),
    "a headless service": ("Service", "route-manager", lambda doc: doc["spec"].update({"clusterIP": "None"})),
    "no headless service": ("Service", "route-manager-headless", lambda doc: doc["spec"].pop("clusterIP")),
    "a service renamed": ("Service", "gati-ingress", lambda doc: doc["metadata"].update({"name": "ingress"})),
    "a deployment renamed": ("Deployment", "gati-ingress", lambda doc: doc["metadata"].update({"name": "ingress"})),
    "a deployment moved": ("Deployment", "gati-ingress", lambda doc: doc["metadata"].update({"namespace": "other"})),
    "an account renamed": ("ServiceAccount", "gati-ingress", lambda doc: doc["metadata"].update({"name": "gati"})),
    "an autoscaler renamed": (
        "HorizontalPodAutoscaler",
        "gati-ingress",
        lambda doc: doc["metadata"].update({"name": "gati-ingress-hpa"}),
    ),
}


@pytest.mark.parametrize("forbidden", FORBIDDEN)
def test_a_forbidden_change_is_found_out(forbidden: str) -> None:
    old = read_manifests(render_text(EVERYTHING, namespace="ops"))
    new = changed(old, *FORBIDDEN[forbidden])
    assert new != old
    assert refusals(old, old) == []
    assert refusals(old, new)


# The same in the chart: what an edit of its files would do to installations of the published version.
BROKEN: dict[str, Mutant] = {
    "a version in the selector": Mutant(
        "templates/_helpers.tpl",
        "app.kubernetes.io/component: {{ .component }}\n{{- end }}",
        "app.kubernetes.io/component: {{ .component }}\nhelm.sh/chart: {{ .root.Chart.Version }}-next\n{{- end }}",
    ),
    "another instance label": Mutant(
        "templates/_helpers.tpl",
        "{{ .Values.fullnameOverride | default .Release.Name |",
        "{{ .Values.fullnameOverride | default .Chart.Version |",
    ),
    "the ingress renamed": Default("values.yaml", "ingress.name", "gati"),
    "route-manager renamed": Default("values.yaml", "routeManager.name", "gati-route-manager"),
    "the headless Service renamed": Mutant(
        "templates/_helpers.tpl", '"gati.routeManager.name" .) "headless"', '"gati.routeManager.name" .) "pods"'
    ),
    "the Service made headless": Mutant(
        "templates/_network.tpl", "{{- if .name }}\n  clusterIP", "{{- if .root }}\n  clusterIP"
    ),
    "another role": Mutant(
        "templates/rbac/rolebinding-rbac.yaml",
        'kind: Role\n  name: {{ include "gati.name" $context | quote }}',
        "kind: Role\n  name: wider",
    ),
    "another namespace": Default("values.yaml", "global.namespace", "gateway"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_chart_that_breaks_the_upgrade_is_found_out(broken: str, published: Path, tmp_path: Path) -> None:
    chart = BROKEN[broken].write(CHART, tmp_path)
    old, new = (read_manifests(render_text(EVERYTHING, chart=folder)) for folder in (published, chart))
    assert refusals(old, new)


@pytest.mark.trap("scaledobject-renamed")
def test_a_renamed_scaled_object_is_found_out() -> None:
    old = read_manifests(render_text({"keda": {"enabled": True}}))
    renamed = changed(old, "ScaledObject", "gati-ingress", lambda doc: doc["metadata"].update({"name": "keda"}))
    assert refusals(old, renamed)


@pytest.mark.trap("namespace-deleted")
def test_a_namespace_that_nothing_keeps_may_not_go() -> None:
    old = read_manifests(render_text(namespace="ops"))
    gone = Manifests(tuple(document for document in old if document.kind != "Namespace"))
    assert refusals(old, gone) == [], "the annotation keeps it"
    owned = changed(old, "Namespace", "gati", lambda doc: doc["metadata"].pop("annotations"))
    assert refusals(owned, gone)


def test_an_allowed_change_is_let_through() -> None:
    old = read_manifests(render_text())
    new = read_manifests(
        render_text({"ingress": {"replicaCount": 5, "image": {"tag": "9"}}, "multiZone": {"enabled": True}})
    )
    assert refusals(old, new) == []
