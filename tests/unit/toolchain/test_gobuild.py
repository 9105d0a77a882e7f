"""What is built instead of what a module's go.mod says: folders of its repository, versions that nobody has."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.toolchain.gobuild import _rewrite_replaces
from scripts.toolchain.pins import Module

GO_MOD = """module example.com/hello

replace (
\texample.com/hello/api => ./api
\texample.com/old v1.0.0 => example.com/new v1.1.0
)
"""


@pytest.mark.parametrize(
    ("local", "others", "holds", "lacks"),
    [
        (None, (), "example.com/hello/api => ./api", "replace example.com/far"),
        ("v1.2.3", (), "example.com/hello/api => example.com/hello/api v1.2.3", "./api"),
        ("", (), "example.com/old v1.0.0 => example.com/new v1.1.0", "example.com/hello/api"),
        (None, (("example.com/far", "v2.0.0"),), "\nreplace example.com/far => example.com/far v2.0.0\n", "v1.2.3"),
    ],
)
def test_replaces(
    tmp_path: Path, local: str | None, others: tuple[tuple[str, str], ...], holds: str, lacks: str
) -> None:
    file = tmp_path / "go.mod"
    file.write_text(GO_MOD)
    module = Module("hello", "example.com/hello", "v1.2.3", "h1:", local_replace=local, replace=others)
    _rewrite_replaces(file, module)
    assert holds in file.read_text()
    assert lacks not in file.read_text()
    assert "example.com/new v1.1.0" in file.read_text()
