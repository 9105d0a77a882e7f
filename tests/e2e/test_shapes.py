"""Charts of other shapes go through the smoke test with next to nothing told; a twin with a fault does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.cluster.kind import KindCluster
from scripts.e2e.report import FAILED, PASSED, UNTESTED, Outcome, Report
from scripts.e2e.run import Options, run
from scripts.workspace import Workspace

pytestmark = [pytest.mark.e2e, pytest.mark.shapes, pytest.mark.timeout(1500)]
SHAPES = Path(__file__).with_name("shapes")
SERVED = ("web", "store", "agent", "operator")  # by the server that lies beside the charts
ROUND = ("dry-run", "install", "upgrade", "rollback", "disruption", "uninstall", "selfcheck")

Try = Callable[..., Report]


@pytest.fixture
def tried(made: KindCluster, work: Workspace, tmp_path: Path) -> Try:
    """Runs scenarios on a chart folder, on the cluster that all tests share."""

    def go(chart: Path, *scenarios: str, sources: str = "") -> Report:
        own = replace(work, say=lambda line: print(line, file=sys.stderr)).of_chart(chart)
        options = Options(scenarios=scenarios or ROUND, sources=sources)
        return run(own.having(dist=tmp_path / "dist"), options, on=made)

    return go


def chart_of(shape: str, folder: Path) -> Path:
    """A chart in a folder of its own."""
    chart = shutil.copytree(SHAPES / shape, folder / shape)
    if shape in SERVED:
        (chart / "files").mkdir(exist_ok=True)
        shutil.copy(SHAPES / "server.py", chart / "files")
    return chart


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def committed(chart: Path) -> None:
    """The folder around a chart as a git repository."""
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        subprocess.run(["git", *who, *words], cwd=chart.parent, check=True)


def outcomes(report: Report) -> dict[str, Outcome]:
    return {outcome.scenario: outcome for outcome in report.outcomes}


def demand(report: Report, *, untested: Sequence[str] = ()) -> dict[str, Outcome]:
    """Every scenario passed but for `untested`; nothing was lost but by the negative control, which says why."""
    seen = outcomes(report)
    told = "\n".join(report.lines())
    assert {name: one.state for name, one in seen.items()} == {
        name: UNTESTED if name in untested else PASSED for name in seen
    }, told
    for name, one in seen.items():
        if name == "selfcheck" and name not in untested:
            assert one.lost > 0, told
            causes = [cause for ledger in one.ledgers.values() for i in ledger.incidents for cause in i.causes]
            assert any("app" in cause or "pod" in cause for cause in causes), causes
        else:
            assert one.lost == 0, told
    return seen


def test_a_stateless_http_service(tried: Try, tmp_path: Path) -> None:
    chart = chart_of("web", tmp_path)
    committed(chart)
    edit(chart / "Chart.yaml", "0.1.0", "0.2.0")
    edit(chart / "values.yaml", "greeting: hello", "greeting: hi")
    report = tried(chart, *ROUND, "changes", "failed-upgrade", "reuse", "hands", sources="git:HEAD")
    seen = demand(report)
    assert "load: http / of Service web, port http" in report.found
    assert report.sources[0]["version"].startswith("0.1.0-git-")
    assert all(one.requests >= 3000 for name, one in seen.items() if name in ("upgrade", "rollback", "disruption"))


def test_grpc_alone(tried: Try, tmp_path: Path) -> None:
    report = tried(chart_of("caller", tmp_path))
    seen = demand(report)
    assert "load: grpc of Service caller, port api" in report.found
    assert seen["upgrade"].requests >= 3000


def test_a_statefulset_keeps_its_data(tried: Try, tmp_path: Path) -> None:
    report = tried(chart_of("store", tmp_path))
    seen = demand(report)
    assert "load: http / of Service store, port http" in report.found  # and not the headless one
    steps = {step.name for one in seen.values() for step in one.steps}
    assert {
        "the upgrade: the data is there",
        "the rollback: the data is there",
        "a node is lost, and its pods run elsewhere",
        "the loss of a node: the data is there",
    } <= steps


def test_a_statefulset_that_forgets_is_told(tried: Try, tmp_path: Path) -> None:
    chart = chart_of("store", tmp_path)
    old = "- {name: data, mountPath: /data}"
    edit(chart / "templates" / "all.yaml", old, '- {name: data, mountPath: /data, subPath: "v{{ .Values.image.tag }}"}')
    upgrade = outcomes(tried(chart, "upgrade"))["upgrade"]
    assert upgrade.state == FAILED
    assert "data is lost by the upgrade" in upgrade.error
    assert "pod store-0" in upgrade.error
    assert "v1" in upgrade.error


def test_a_daemonset_with_a_host_port(tried: Try, tmp_path: Path) -> None:
    report = tried(chart_of("agent", tmp_path))
    demand(report)
    assert "workloads: DaemonSet/agent" in report.found


def test_an_operator_with_a_definition_and_a_hook(tried: Try, tmp_path: Path) -> None:
    chart = chart_of("operator", tmp_path)
    committed(chart)
    edit(chart / "Chart.yaml", "0.1.0", "0.2.0")
    edit(
        chart / "crds" / "notes.yaml",
        "text: {type: string}",
        "text: {type: string}\n              more: {type: string}",
    )
    seen = demand(tried(chart, sources="git:HEAD"))
    steps = {step.name: step for step in seen["upgrade"].steps}
    assert "notes.shapes.gati.example" in steps["the definitions of 0.2.0 are applied, as helm does not"].detail
    kept = next(step.detail for step in seen["uninstall"].steps if step.name.startswith("nothing is left but"))
    assert "ConfigMap/note-operator-first" in kept


def test_what_helm_create_makes(tried: Try, work: Workspace, tmp_path: Path) -> None:
    helm = work.tools.path("helm")
    subprocess.run([helm, "create", tmp_path / "made"], check=True, stdout=subprocess.DEVNULL)
    chart = tmp_path / "made"
    (chart / "gati.toml").write_text(
        'changelog = "none"\n[e2e.values]\nreplicaCount = 2\n'
        'image = { repository = "{images}/ingress", tag = "{version}" }\n'
        "service.port = 8080\n"
        'livenessProbe.httpGet = { path = "/livez", port = "http" }\n'
        'readinessProbe.httpGet = { path = "/livez", port = "http" }\n'
    )
    # The reference ingress wants to know whom to ask; nobody is there, so it answers 502, but for its own state.
    edit(
        chart / "templates" / "deployment.yaml",
        "          ports:",
        "          env: [{name: ROUTE_MANAGER_ADDR, value: 'none:1'}]\n          ports:",
    )
    # Its test is busybox, which only the network has.
    test = chart / "templates" / "tests" / "test-connection.yaml"
    edit(test, "image: busybox", 'image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"')
    asked = 'http://{{ include "made.fullname" . }}:{{ .Values.service.port }}/livez'
    edit(test, "command: ['wget']", "command: [python3, -c, 'import sys, urllib.request as r; r.urlopen(sys.argv[1])']")
    edit(test, "args: ['{{ include \"made.fullname\" . }}:{{ .Values.service.port }}']", f"args: ['{asked}']")
    report = tried(chart, "dry-run", "install", "upgrade", "rollback", "uninstall")
    demand(report)
    assert any(line.startswith("load: http / of Service made, port http") for line in report.found), report.found


def test_a_chart_without_anything_to_ask_is_no_silent_success(tried: Try, tmp_path: Path) -> None:
    chart = tmp_path / "bare"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: bare\nversion: 0.1.0\n")
    (chart / "templates" / "map.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bare}\n")
    (chart / "gati.toml").write_text('changelog = "none"\n')
    report = tried(chart, *ROUND)
    seen = demand(report, untested=("disruption", "selfcheck"))
    assert "not found: a load: the chart has no Service" in report.found
    assert any("for want of a load: the chart has no Service" in what for what in seen["upgrade"].skipped)
    assert "the chart has no workload" in seen["disruption"].line()


def test_jobs_alone(tried: Try, tmp_path: Path) -> None:
    """Nothing runs all the time, whatever version of the image there is."""
    chart = tmp_path / "nightly"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: nightly\nversion: 0.1.0\n")
    (chart / "values.yaml").write_text("image: {repository: example/job, tag: '1'}\n")
    (chart / "templates" / "job.yaml").write_text(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly}\nspec:\n  schedule: '@daily'\n"
        "  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: job,\n"
        "    image: '{{ .Values.image.repository }}:{{ .Values.image.tag }}', command: ['true']}]}}}}\n"
    )
    (chart / "gati.toml").write_text(
        'changelog = "none"\n[e2e.values]\nimage = { repository = "{images}/ingress", tag = "{version}" }\n'
    )
    seen = demand(tried(chart, *ROUND, "failed-upgrade"), untested=("disruption", "selfcheck", "failed-upgrade"))
    assert "no pod that runs all the time" in seen["failed-upgrade"].line()


def test_an_umbrella_without_templates(tried: Try, tmp_path: Path) -> None:
    """All that runs comes of a dependency, and so does what the negative control breaks."""
    chart = tmp_path / "shop"
    (chart / "charts").mkdir(parents=True)
    chart_of("web", chart / "charts")
    (chart / "Chart.yaml").write_text(
        "apiVersion: v2\nname: shop\nversion: 0.1.0\ndependencies: [{name: web, alias: front, version: 0.1.0}]\n"
    )
    (chart / "gati.toml").write_text(
        'changelog = "none"\n[e2e]\ndiffers = "version"\n'
        '[e2e.values]\nfront.image = { repository = "{images}/ingress", tag = "{version}" }\n'
    )
    report = tried(chart, "install", "upgrade", "selfcheck")
    demand(report)
    assert "workloads: Deployment/shop" in report.found
