"""The matrix of renders: what it is made of, and how it is stored."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from scripts.chart.helm import Helm
from scripts.chart.source import read_chart
from scripts.checks.matrix import WITHOUT, make_plan, spans, spread
from scripts.checks.render import Rendered, store, submitted
from scripts.checks.schemas import Schemas
from scripts.core.config import Config
from scripts.core.errors import ChartError, ConfigError, OutputError, ValuesError
from scripts.core.interrupt import interruptible
from tests.unit.checks.demo import KNOWN, config_map, plan_of, render


class Keda(Schemas):
    """Clusters with one kind, a second one from 1.30 on, and one operator."""

    def __init__(self) -> None:
        pass

    def builtin(self, minor: str) -> frozenset[str]:
        return frozenset({"v1", "v1/Pod"} | ({"v1/Young"} if minor == "1.30" else set()))

    def operators(self) -> frozenset[str]:
        return frozenset({"keda.sh/v1alpha1"})

    def defined(self) -> frozenset[str]:
        return frozenset()

    def owned_by_kubernetes(self, group: str) -> bool:
        return not group


class TestPlan:
    def test_is_every_values_file_for_every_supported_minor(self, folder: Path) -> None:
        plan = plan_of(folder)
        assert [values.name for values in plan.values] == ["values.yaml", "values-prod.yaml"]
        assert plan.kube_versions == ("1.29.0", "1.30.0")
        assert (plan.release, plan.notes) == ("demo", ())
        (folder / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: 0.1.0\n")
        assert "has no kubeVersion: rendered for every known" in plan_of(folder).notes[0]
        assert plan_of(folder, kube_versions=("1.30",)).notes == ()

    def test_who_serves_a_kind_serves_its_version(self, folder: Path) -> None:
        (folder / "templates/a.yaml").write_text('{{ .Capabilities.APIVersions.Has "box.example/v1" }}')
        config = Config(Path(), api_versions=("box.example/v1/Box", "v2"))
        plan = make_plan(read_chart(folder), KNOWN, clusters=Keda(), config=config)
        assert {"box.example/v1", "box.example/v1/Box"} <= {*plan.apis(plan.cells()[0])}

    def test_has_further_files_and_chosen_minors(self, folder: Path) -> None:
        more = folder / "more.yaml"
        more.write_text("")
        plan = plan_of(folder, values=[more], kube_versions=["1.30"])
        assert plan.values[-1].files == (more,)
        assert plan.kube_versions == ("1.30.0",)

    def test_refuses_what_cannot_be_read(self, folder: Path) -> None:
        with pytest.raises(ValuesError, match="no values file at"):
            plan_of(folder, values=[folder / "none.yaml"])
        (folder / "list.yaml").write_text("- 1\n")
        with pytest.raises(ValuesError, match="not a mapping"):
            plan_of(folder, values=[folder / "list.yaml"])

    def test_refuses_a_minor_that_is_not_supported(self, folder: Path) -> None:
        with pytest.raises(ConfigError, match=r"not rendered for Kubernetes 1\.28") as caught:
            plan_of(folder, kube_versions=["1.28", "1.29"])
        assert "1.29 to 1.30" in str(caught.value)

    @pytest.mark.parametrize("constraint", ["'>=1.99.0-0'", "'>= none'"])
    def test_names_the_line_of_a_constraint_that_admits_nothing(self, folder: Path, constraint: str) -> None:
        file = folder / "Chart.yaml"
        file.write_text(f"apiVersion: v2\nname: demo\nversion: 1.0.0\nkubeVersion: {constraint}\n")
        with pytest.raises(ChartError, match=r"Chart\.yaml:4: kubeVersion"):
            plan_of(folder)

    def test_asks_for_apis_only_where_a_template_does(self, folder: Path) -> None:
        chart = read_chart(folder)
        assert make_plan(chart, KNOWN, clusters=Keda()).served == {}
        (folder / "templates" / "a.yaml").write_text(
            '{{ if .Capabilities.APIVersions.Has "keda.sh/v1alpha1" }}{{ end }}'
        )
        plan = make_plan(chart, KNOWN, clusters=Keda())
        assert [(cell.name, cell.kube_version, plan.apis(cell)) for cell in plan.cells() if "prod" in cell.name] == [
            ("values-prod.yaml", "1.29.0", ("keda.sh/v1alpha1", "v1", "v1/Pod")),
            ("values-prod.yaml", "1.30.0", ("keda.sh/v1alpha1", "v1", "v1/Pod", "v1/Young")),
            (f"values-prod.yaml {WITHOUT}", "1.29.0", ("v1", "v1/Pod")),
            (f"values-prod.yaml {WITHOUT}", "1.30.0", ("v1", "v1/Pod", "v1/Young")),
        ]

    def test_uses_a_release_name_that_kubernetes_takes(self, folder: Path) -> None:
        chart = replace(read_chart(folder), name="My.Chart")
        assert make_plan(chart, KNOWN).release == "release"


def test_spans() -> None:
    assert spans(["1.28", "1.29", "1.30", "1.33"]) == "1.28 to 1.30, 1.33"
    assert spans([]) == ""


def test_spread_groups_what_has_the_same_minors() -> None:
    cells = [("a", "1.28.0"), ("a", "1.29.0"), ("b", "1.28.0"), ("b", "1.29.0"), ("c", "1.28.0")]
    assert str(spread(cells)) == "a, b for 1.28 to 1.29; c for 1.28"
    cells += [(f"{name} {WITHOUT}", "1.28") for name in "ad"]
    assert str(spread(cells)) == f"a, b for 1.28 to 1.29; c, d {WITHOUT} for 1.28"


class Asked:
    """A helm that notes which render leaves the schema out, and refuses the schema of values files called so."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], bool] = {}

    def template(self, chart: Path, *, values: Any, flags: Any, kube_version: str, **_: Any) -> str:
        name = "".join(file.name for file in values)
        self.seen[name, kube_version] = "--skip-schema-validation" in flags
        if name == "wrong.yaml":
            raise ValuesError("refused by the schema")
        return ""


def test_a_schema_is_asked_once_for_values_that_obey_it(folder: Path) -> None:
    (folder / "templates" / "a.yaml").write_text("{{ .Capabilities.KubeVersion }}")
    (wrong := folder / "wrong.yaml").write_text("")
    helm = Asked()
    with (
        ThreadPoolExecutor(2) as pool,
        submitted(plan_of(folder, values=[wrong]), cast("Helm", helm), pool) as futures,
    ):
        refused = [cell.name for cell, future in futures.items() if future.exception()]
    assert [Path(name).name for name in refused] == ["wrong.yaml", "wrong.yaml"]
    assert {name: (helm.seen[name, "1.29.0"], helm.seen[name, "1.30.0"]) for name, _ in helm.seen} == {
        "": (False, True),
        "values-prod.yaml": (False, True),
        "wrong.yaml": (False, False),
    }


class Versioned:
    """A helm whose output is of the version or not, and that notes what it is asked for."""

    def __init__(self, text: Callable[[int], str]) -> None:
        self.text, self.seen = text, list[int]()

    def template(self, chart: Path, *, kube_version: str, **_: Any) -> str:
        self.seen.append(number := int(kube_version.split(".")[1]))
        return config_map(self.text(number))


ALL = list(range(28, 38))


@pytest.mark.parametrize(
    ("template", "text", "rendered"),
    [
        ("{{ .Capabilities.KubeVersion }}", lambda _: "same", [28, 37]),
        ("{{ .Capabilities.KubeVersion }}", lambda number: f"v{number}", ALL),
        ("{{ .Capabilities.KubeVersion }} 1.31", lambda _: "same", [28, 30, 31, 32, 37]),
        ("{{ .Capabilities.KubeVersion }} 1.31", lambda number: str(number > 31), [28, 30, 31, 32, 37]),
        ("{{ .Capabilities.KubeVersion }} 1.31", lambda number: str(number > 34), [28, 30, 31, 32, 33, 34, 35, 36, 37]),
        ("{{ .Capabilities.KubeVersion.Minor }} 31", lambda _: "same", [28, 30, 31, 32, 37]),
        ("{{ .Capabilities.KubeVersion }} v1.311 11.31 1.3", lambda _: "same", [28, 37]),
        ("{{ range .Capabilities.APIVersions }}{{ end }}", lambda _: "same", ALL),
    ],
)
def test_what_lies_between_two_equal_renders_needs_none(
    tmp_path: Path, template: str, text: Callable[[int], str], rendered: list[int]
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: 1.0.0\n")
    (tmp_path / "templates" / "a.yaml").write_text(template)
    helm = Versioned(text)
    plan = make_plan(read_chart(tmp_path), [f"1.{number}" for number in ALL])
    with ThreadPoolExecutor(2) as pool, submitted(plan, cast("Helm", helm), pool) as futures:
        names = [future.result().text for future in futures.values()]
    assert names == [config_map(text(number)) for number in ALL]
    assert sorted(helm.seen) == rendered


class Gone(Keda):
    """Clusters on which an API comes with 1.31 and goes after 1.33."""

    def builtin(self, minor: str) -> frozenset[str]:
        return frozenset({"young.io/v1", "young.io/v1/Old"} if minor in ("1.31", "1.32", "1.33") else {"v1"})


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ('.Capabilities.APIVersions.Has "young.io/v1"', [28, 30, 31, 33, 34, 37]),
        ('.Capabilities.APIVersions.Has "v2/Other"', [28, 37]),
        ('.Capabilities.APIVersions.Has (printf "%s/v1" "young.io")', [28, 30, 31, 33, 34, 37]),
        ('.Capabilities.APIVersions.Has $name }}{{ "Old"', [28, 30, 31, 33, 34, 37]),
    ],
)
def test_where_an_api_comes_or_goes_is_rendered(tmp_path: Path, template: str, rendered: list[int]) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: 1.0.0\n")
    (tmp_path / "templates" / "a.yaml").write_text(f"{{{{ {template} }}}}")
    helm = Versioned(lambda _: "same")
    plan = replace(make_plan(read_chart(tmp_path), [f"1.{number}" for number in ALL], clusters=Gone()), ways=())
    with ThreadPoolExecutor(2) as pool, submitted(plan, cast("Helm", helm), pool) as futures:
        assert all(future.result() for future in futures.values())
    assert sorted(helm.seen) == rendered


class TestStore:
    def test_equal_output_is_stored_once(self, folder: Path, tmp_path: Path) -> None:
        plan = plan_of(folder)
        renders = [render("values.yaml", version, config_map("x")) for version in plan.kube_versions]
        made = store(plan, Rendered(tuple(renders)), tmp_path / "dist" / "manifests")
        index = json.loads((made / "index.json").read_text())
        assert len(index["renders"]) == 2
        (file,) = {entry["file"] for entry in index["renders"]}
        assert sorted(path.name for path in made.iterdir()) == sorted([file, "index.json"])
        assert (made / file).read_text() == config_map("x")

    def test_what_is_no_longer_rendered_goes(self, folder: Path, tmp_path: Path) -> None:
        plan = plan_of(folder)
        store(plan, Rendered((render("values.yaml", "1.29.0", config_map("x")),)), tmp_path / "dist" / "manifests")
        made = store(
            plan, Rendered((render("values.yaml", "1.29.0", config_map("y")),)), tmp_path / "dist" / "manifests"
        )
        (file,) = made.glob("*.yaml")
        assert file.read_text() == config_map("y")
        assert [path.name for path in (tmp_path / "dist").iterdir()] == ["manifests"]

    def test_the_old_folder_stays_when_the_new_one_cannot_be_written(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = plan_of(folder)
        made = store(
            plan, Rendered((render("values.yaml", "1.29.0", config_map("x")),)), tmp_path / "dist" / "manifests"
        )
        before = {path.name: path.read_bytes() for path in made.iterdir()}

        def full(self: Path, *_: object, **__: object) -> int:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_text", full)
            with pytest.raises(OutputError, match="cannot be written") as caught:
                store(
                    plan,
                    Rendered((render("values.yaml", "1.29.0", config_map("y")),)),
                    tmp_path / "dist" / "manifests",
                )
        assert caught.value.found == "No space left on device"
        assert {path.name: path.read_bytes() for path in made.iterdir()} == before
        assert [path.name for path in (tmp_path / "dist").iterdir()] == ["manifests"]

    def test_a_signal_between_the_two_renames_waits(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = plan_of(folder)
        store(plan, Rendered((render("values.yaml", "1.29.0", config_map("x")),)), tmp_path / "dist" / "manifests")
        rename = Path.rename

        def interrupted(self: Path, target: Path) -> Path:
            signal.raise_signal(signal.SIGINT)
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt), interruptible():
            store(
                plan,
                Rendered((render("values.yaml", "1.29.0", config_map("y")),)),
                tmp_path / "dist" / "manifests",
            )
        (file,) = (tmp_path / "dist" / "manifests").glob("*.yaml")
        assert file.read_text() == config_map("y")
        assert [path.name for path in (tmp_path / "dist").iterdir()] == ["manifests"]
