"""Copies of the chart with one thing broken, by which tests prove that they would notice."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.core.yaml_read import loader


@dataclass(frozen=True)
class Mutant:
    """A wrong figure in one file of the chart: `old` becomes `new` in the one place that matches."""

    file: str
    old: str
    new: str

    def write(self, chart: Path, folder: Path) -> Path:
        """A copy of `chart` with this change, below `folder`."""
        copy = folder / chart.name
        shutil.copytree(chart, copy)
        path = copy / self.file
        text = path.read_text()
        assert text.count(self.old) == 1, f"{self.file} holds {self.old!r} {text.count(self.old)} times"
        path.write_text(text.replace(self.old, self.new))
        return copy


@dataclass(frozen=True)
class Default(Mutant):
    """A wrong default: the value at the dotted key `old` of a values file becomes `new`."""

    def write(self, chart: Path, folder: Path) -> Path:
        copy = folder / chart.name
        shutil.copytree(chart, copy)
        path = copy / self.file
        text = path.read_text()
        node: Any = yaml.compose(text, Loader=loader())
        for key in self.old.split("."):
            node = next(child for name, child in node.value if name.value == key)
        path.write_text(text[: node.start_mark.index] + self.new + text[node.end_mark.index :])
        return copy
