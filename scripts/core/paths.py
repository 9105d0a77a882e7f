"""Says where things stand: file paths as a person reads them, keys of values, and the lines of those keys."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from scripts.core.yaml_read import compose

_PLAIN_KEY = re.compile(r"^[\w-]+$")


def shown(path: Path) -> str:
    """`path` relative to the current folder where it is inside it, else as it is, but for its `..`."""
    whole = path.resolve()
    try:
        return str(whole.relative_to(Path.cwd()))
    except ValueError:
        return str(whole if ".." in path.parts else path)


def as_on_disk(path: Path) -> Path:
    """`path` as the disk spells it, where that takes other cases for the same: so git has it, too."""
    at = Path(path.anchor)
    for part in path.parts[1:]:
        names = []
        with contextlib.suppress(OSError):
            if (at / part.swapcase()).exists():  # else other cases are others there
                names = [name for name in os.listdir(at) if name.casefold() == part.casefold()]  # noqa: PTH208 - names
        at /= part if part in names else next(iter(names), part)
    return at


def matching(folder: Path, pattern: str) -> list[Path]:
    """What in `folder`, or anywhere by a pattern that begins at the root, fits `pattern`; sorted."""
    return sorted(folder / name for name in glob.glob(pattern, root_dir=folder, recursive=True, include_hidden=True))  # noqa: PTH207 - takes both kinds


def list_item(path: Path) -> str:
    """`path` for a flag that takes a list with commas, read as CSV: helm's `--values`, kubectl's `--filename`."""
    text = str(path)
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text


def key_text(path: Sequence[str | int]) -> str:
    """The keys of `path` as one writes them: `ingress.hosts[0].host`, `podLabels["a.b/c"]`."""
    text = ""
    for part in path:
        text = f"{text}[{part}]" if isinstance(part, int) or part.isdigit() else below(text, part)
    return text


def below(path: str, key: str) -> str:
    """A key in what `path`, written so already, leads to."""
    if not _PLAIN_KEY.match(key):
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def line_of(file: Path, path: Sequence[str | int]) -> int | None:
    """The line, from 1, on which the key at the end of `path` stands in a YAML file; None when it is not there."""
    try:
        node = compose(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                return None
        elif isinstance(node, yaml.SequenceNode) and str(part).isdigit() and int(part) < len(node.value):
            node = node.value[int(part)]
            line = node.start_mark.line + 1
        else:
            return None
    return line if node is not None else None
