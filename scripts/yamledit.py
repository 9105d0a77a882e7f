"""Changes single values of a YAML text, and no other byte of it: comments, order, quotes and line ends stay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scripts.errors import ChartError
from scripts.places import key_text

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node, ScalarNode


def set_value(text: str, path: Sequence[str], value: str, *, source: str) -> str:
    """`text` with the text `value` at the keys `path`; missing keys are added at the end of their mapping.

    Text of several lines becomes a literal block. Raises ChartError, naming `source`, where the place is of such
    a kind that it cannot be changed without touching more (an alias, a key that stands twice).
    """
    import yaml

    try:
        wanted = _with(yaml.safe_load(text), path, value)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        fresh = _changed(text, root, path, value)
        if yaml.safe_load(fresh) == wanted:
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


def _changed(text: str, root: Node | None, path: Sequence[str], value: str) -> str:
    from yaml.nodes import MappingNode, ScalarNode

    node, indent, flow = root, -1, False
    for depth, name in enumerate(path):
        if not isinstance(node, MappingNode):  # `annotations:` without a value
            start, end = (node.start_mark.index, node.end_mark.index) if node else (len(text), len(text))
            return text[:start].rstrip(" ") + _tail(text, path[depth:], value, indent + 2) + text[end:]
        flow = flow or bool(node.flow_style)
        key, child = _child(node, name)
        if key is None:
            return _added(text, node, path[depth:], value, flow=flow)
        node, indent = child, key.start_mark.column
    if not isinstance(node, ScalarNode):
        raise TypeError(f"{path[-1]} holds more than one value")
    start, end = _span(text, node, indent)
    rest = text[end:].split("\n", 1)[0].strip()
    return text[:start] + _scalar(text, value, node.style, indent, inline=flow or bool(rest)) + text[end:]


def _child(node: MappingNode, name: str) -> tuple[Node | None, Node | None]:
    for key, value in node.value:
        if getattr(key, "value", None) == name:
            return key, value
    return None, None


def _added(text: str, node: MappingNode, path: Sequence[str], value: str, *, flow: bool) -> str:
    """`text` with the keys of `path` after the last one of the mapping `node`."""
    if flow:
        nested = json.dumps(value, ensure_ascii=False)
        for name in reversed(path[1:]):
            nested = f"{{{name}: {nested}}}"
        close = node.end_mark.index - 1  # where the } stands
        return f"{text[:close].rstrip()}{', ' if node.value else ''}{path[0]}: {nested}{text[close:]}"
    column = node.start_mark.column
    end = _last(text, node, column)
    return text[:end] + _tail(text, path, value, column) + text[end:]


def _last(text: str, node: Node, indent: int) -> int:
    """Where the line ends on which the last value of `node` does."""
    from yaml.nodes import ScalarNode

    while node.value and not isinstance(node, ScalarNode) and not getattr(node, "flow_style", False):
        last = node.value[-1]
        if isinstance(last, tuple):
            indent, node = last[0].start_mark.column, last[1]
            if isinstance(node, ScalarNode) and not node.value and node.style is None:
                node = last[0]  # a key without a value
        else:
            node = last
    end = _span(text, node, indent)[1] if isinstance(node, ScalarNode) else node.end_mark.index
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    return line_end - 1 if text[:line_end].endswith("\r") else line_end


def _tail(text: str, path: Sequence[str], value: str, column: int) -> str:
    """New lines for the keys of `path`, each preceded by a line end."""
    lines = ""
    for depth, name in enumerate(path):
        lines += f"{_line_end(text)}{' ' * (column + 2 * depth)}{name}:"
    return f"{lines} {_scalar(text, value, None, column + 2 * (len(path) - 1), inline=False)}"


def _span(text: str, node: ScalarNode, indent: int) -> tuple[int, int]:
    """Where the value stands; a block ends with its last line of text, `indent` being its key's column."""
    start, end = node.start_mark.index, node.end_mark.index
    if node.style not in ("|", ">"):
        return start, end
    position = text.find("\n", start)
    end = len(text) if position < 0 else position
    while 0 <= position < len(text) - 1:
        following = text.find("\n", position + 1)
        line = text[position + 1 : following if following >= 0 else len(text)]
        if line.strip() and len(line) - len(line.lstrip(" ")) <= indent:
            break
        if line.strip():
            end = following if following >= 0 else len(text)
        position = following
    return start, end - 1 if text[:end].endswith("\r") else end


def _scalar(text: str, value: str, style: str | None, indent: int, *, inline: bool) -> str:
    """`value` in the manner of `style`: a block where it has lines, quotes where it needs some."""
    import yaml

    quoted = json.dumps(value, ensure_ascii=False)
    if "\n" in value and not inline:
        lines = value.removesuffix("\n").split("\n")
        block = "".join(f"{_line_end(text)}{' ' * (indent + 2)}{line}" if line else _line_end(text) for line in lines)
        return ("|" if value.endswith("\n") else "|-") + block
    if style == "'" and "\n" not in value:
        return "'" + value.replace("'", "''") + "'"
    if style == '"' or (inline and any(sign in value for sign in ",[]{}\n")):
        return quoted
    try:
        return value if yaml.safe_load(f"k: {value}") == {"k": value} else quoted
    except yaml.YAMLError:
        return quoted


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
