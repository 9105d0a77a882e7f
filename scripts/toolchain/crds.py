"""Owns where the CustomResourceDefinitions of the operators that the chart can use come from: their pinned modules."""

from __future__ import annotations

from pathlib import Path

from scripts.core.errors import ToolError
from scripts.toolchain.finder import Toolchain

# Name of the pin in tools.toml -> the folder of its module that holds one definition a file.
_FOLDERS = {
    "prometheus-operator": "example/prometheus-operator-crd",
    "keda": "config/crd/bases",
    "cert-manager": "deploy/crds",
    "gateway-api": "config/crd/standard",
}
CRD_SETS = tuple(_FOLDERS)
_KIND_LINE = "\nkind: CustomResourceDefinition\n"


def crd_files(name: str, tools: Toolchain) -> tuple[Path, ...]:
    """The definition files of one of CRD_SETS, sorted. Raises ToolError, also where its module holds none."""
    folder = tools.source(name) / _FOLDERS[name]
    # The folders also carry kustomizations and admission policies.
    files = tuple(path for path in sorted(folder.glob("*.yaml")) if _KIND_LINE in path.read_text(encoding="utf-8"))
    if not files:
        raise ToolError(
            f"the module pinned as {name} holds no custom resource definitions",
            expected=f"*.yaml with a CustomResourceDefinition in {_FOLDERS[name]}/",
            found=f"none in {folder}",
            run="look where this version keeps them and change scripts/toolchain/crds.py, "
            f"or pin another version of {name}",
        )
    return files
