"""docs/deployment.md as its tests read it: code blocks and commands, by section."""

from __future__ import annotations

import re

from tests.render.harness import ROOT

GUIDE = (ROOT / "docs" / "deployment.md").read_text()


def section(title: str) -> str:
    """The text below a heading, down to the next one of its level or above."""
    level, text = re.findall(rf"(?ms)^(##+) {title}\n(.*?)(?=^## |\Z)", GUIDE)[0]
    return str(re.split(rf"(?m)^{level} ", text)[0])


def blocks(language: str, text: str = GUIDE) -> list[str]:
    """The code blocks of one language, their indentation taken away."""
    found = re.findall(rf"(?ms)^( *)```{language}\n(.*?)^\1```", text)
    return [re.sub(rf"(?m)^{indent}", "", block) for indent, block in found]


def commands(text: str = GUIDE) -> list[str]:
    """The shell commands, each in one line."""
    return [line for line in "\n".join(blocks("sh", text)).replace("\\\n", " ").splitlines() if line]
