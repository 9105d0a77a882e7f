"""Changes single values of a YAML text, and no other byte of it: comments, order, quotes and line ends stay."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from scripts.core.errors import ChartError
from scripts.core.paths import key_text
from scripts.core.yaml_read import dump, load


def set_value(text: str, path: Sequence[str], value: str, *, source: str) -> str:
    """`text` with the text `value` at the keys `path`; a missing key comes first below its parent, or last of all.

    Text of several lines becomes a literal block. Raises ChartError, naming `source`, where the place is of such
    a kind that it cannot be changed without touching more (flow style, an alias, a key that stands twice).
    """
    try:
        wanted = _with(load(text), path, value)
        fresh = _changed(text, yaml.compose(text, Loader=yaml.SafeLoader), path, value)
        if load(fresh) == wanted:
            return fresh
        found = "a value that other lines depend on"
    except (yaml.YAMLError, TypeError) as error:
        found = str(error).splitlines()[0]
    raise ChartError(
        f"{source}: {key_text(path)} cannot be changed without changing more",
        expected="mappings in block style, each key once, no aliases",
        found=found,
        run=f"write {key_text(path)} on a line of its own",
    )


def _with(content: Any, path: Sequence[str], value: str) -> Any:
    """`content` with `value` at `path`. Raises TypeError where something on the way is not a mapping."""
    if not path:
        return value
    if not isinstance(content, dict | None):
        raise TypeError(f"{path[0]} is not below a mapping")
    return {**(content or {}), path[0]: _with((content or {}).get(path[0]), path[1:], value)}


def _changed(text: str, node: Node | None, path: Sequence[str], value: str) -> str:
    key: Node | None = None
    for depth, name in enumerate(path):
        if getattr(node, "flow_style", False):
            raise TypeError("a mapping in flow style")
        children = node.value if isinstance(node, MappingNode) else []
        found = next(((each, child) for each, child in children if getattr(each, "value", None) == name), None)
        if found is None:
            column = children[0][0].start_mark.column if children else key.start_mark.column + 2 if key else 0
            return _added(text, key, column, path[depth:], value)
        key, node = found
    if key is None or not isinstance(node, ScalarNode):
        raise TypeError(f"{path[-1]} holds more than one value")
    start, end = _span(text, node, key.start_mark.column)
    apart = " " if start == end and text[start - 1 : start] == ":" else ""  # where nothing stands yet
    return text[:start] + apart + _scalar(text, value, node.style, key.start_mark.column) + text[end:]


def _added(text: str, parent: Node | None, column: int, path: Sequence[str], value: str) -> str:
    """`text` with the keys of `path` on new lines: below the line of the key `parent`, or at the end."""
    end = _line_end(text)
    if parent is None:
        at, before = len(text), "" if text.endswith("\n") or not text else end
    else:
        following = text.find("\n", parent.start_mark.index) + 1
        at, before = following or len(text), "" if following else end
    for depth, name in enumerate(path):
        before += f"{' ' * (column + 2 * depth)}{name}:" + (end if depth < len(path) - 1 else " ")
    return text[:at] + before + _scalar(text, value, None, column + 2 * (len(path) - 1)) + end + text[at:]


def _span(text: str, node: ScalarNode, indent: int) -> tuple[int, int]:
    """Where the value stands; a block ends with its last line of text, `indent` being its key's column."""
    start, end = node.start_mark.index, node.end_mark.index
    if node.style not in ("|", ">"):
        return start, end
    deeper = rf"[^\n]*(?:(?:\n[^\S\n]*)*\n {{{indent + 1}}}[^\n]*\S[^\n]*)*"  # its own line, and those below it
    end = found.end() if (found := re.compile(deeper).match(text, start)) else end
    return start, end - 1 if text[:end].endswith("\r") else end


def _scalar(text: str, value: str, style: str | None, indent: int) -> str:
    """`value` in the manner of `style`: a block where it has lines, quotes where it needs some."""
    if "\n" in value:
        lines = value.removesuffix("\n").split("\n")
        block = "".join(f"{_line_end(text)}{' ' * (indent + 2)}{line}" if line else _line_end(text) for line in lines)
        return ("|" if value.endswith("\n") else "|-") + block
    if style == "'":
        return "'" + value.replace("'", "''") + "'"
    return quoted(value) if style == '"' else scalar(value)


def scalar(value: str) -> str:
    """`value` as YAML reads it for that very text: with quotes where it has to be."""
    return value if dump({"k": value}) == f"k: {value}\n" else quoted(value)


def quoted(value: str) -> str:
    """The same with quotes."""
    return json.dumps(value, ensure_ascii=False)


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
