"""What a chart holds is what helm packs of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.chart.contents import left_out


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        ("docs/*.md", "docs/a.md", True),
        ("docs/*.md", "docs/b/c.md", False),
        ("/*.md", "a.md", True),
        ("/*.md", "docs/a.md", False),
        ("*.md", "docs/b/c.md", True),
        ("*/z.yaml", "ci/y/z.yaml", False),
        ("files/[^a].txt", "files/x.txt", True),
        ("files/[!a].txt", "files/x.txt", False),
        (r"files/\[x\].txt", "files/[x].txt", True),
        ("[[]x].txt", "[x].txt", True),
        (r"\#c.txt", "#c.txt", True),
        ("\ufeffdocs", "docs", True),
        ("  # docs", "docs", False),
        ("docs/", "docs", False),
        ("[z-a]", "z", False),
    ],
)
def test_what_helm_leaves_out(tmp_path: Path, pattern: str, path: str, ignored: bool) -> None:
    """Each row is what the pinned helm packs."""
    (tmp_path / ".helmignore").write_text(f"{pattern}\n", encoding="utf-8")
    assert left_out(tmp_path)(path, False) is ignored
