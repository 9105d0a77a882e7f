"""Reads what the library of JSON schemas says that helm and kubeconform share: which field it refuses, and why."""

from __future__ import annotations

import re

POINTER = r"- at '((?:[^'\\]|\\.)*)': "  # what stands before the reason
_UNKNOWN = re.compile(r"^additional propert(?:y|ies) (.*) not allowed$")
_MISSING = re.compile(r"^missing propert(?:y|ies) (.*)$")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")
_HEADINGS = ("validation failed", "'allOf' failed")  # the lines below them say what failed


def read_objection(pointer: str, reason: str, *, unknown: str) -> list[tuple[list[str], str]]:
    """The path and the words of each thing that a line objects to; `unknown` is said of keys that no schema has."""
    path = [part.replace("~1", "/").replace("~0", "~") for part in unescaped(pointer).split("/")[1:]]
    for pattern, words in ((_UNKNOWN, unknown), (_MISSING, "is required")):
        if found := pattern.match(reason):
            return [([*path, name], words) for name in _QUOTED.findall(found[1])]
    return [] if reason in _HEADINGS else [(path, reason)]


def unescaped(text: str) -> str:
    """What the library has quoted, as it was."""
    return text.replace("\\'", "'").replace("\\\\", "\\")
