"""Custom resource definitions are found in a module, and nothing else that lies beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.core.command import Runner
from scripts.core.errors import ToolError
from scripts.toolchain.crds import CRD_SETS, crd_files
from scripts.toolchain.finder import Toolchain
from scripts.toolchain.pins import load_pins

DEFINITION = "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x}\n"


@pytest.fixture
def toolchain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toolchain:
    """One whose modules all have their files in the test's folder."""
    monkeypatch.setattr(Toolchain, "source", lambda *_: tmp_path)
    return Toolchain(tmp_path, Runner())


def test_only_definitions_are_taken(tmp_path: Path, toolchain: Toolchain) -> None:
    bases = tmp_path / "config" / "crd" / "bases"
    bases.mkdir(parents=True)
    for name in ("b.yaml", "a.yaml"):
        (bases / name).write_text(DEFINITION)
    (bases / "kustomization.yaml").write_text("kind: Kustomization\nresources: [a.yaml]\n")
    (bases / "policy.yaml").write_text("kind: ValidatingAdmissionPolicy\n# kind: CustomResourceDefinition\n")
    (bases / "README.md").write_text(DEFINITION)

    assert [path.name for path in crd_files("keda", toolchain)] == ["a.yaml", "b.yaml"]


def test_a_module_without_definitions_is_an_error(toolchain: Toolchain) -> None:
    with pytest.raises(ToolError, match="pinned as keda holds no custom resource definitions") as refused:
        crd_files("keda", toolchain)
    assert "change scripts/toolchain/crds.py" in str(refused.value)


@pytest.mark.parametrize("name", CRD_SETS)
def test_every_set_is_pinned(name: str) -> None:
    assert load_pins().modules[name].h1.startswith("h1:")
