"""The differences of two matrices: what is told, and what is told once."""

from __future__ import annotations

from scripts.checks.compare import differences
from tests.unit.checks.demo import config_map, render


class TestDifferences:
    def test_equal_ones_are_told_once(self) -> None:
        old = [render(values, version, config_map("x", k="1")) for values in "ab" for version in ("1.28.0", "1.29.0")]
        new = [render(values, version, config_map("x", k="2")) for values in "ab" for version in ("1.28.0", "1.29.0")]
        assert differences("1.0.0", old, new).lines() == [
            "a, b for 1.28 to 1.29:",
            "  ~ ConfigMap/x",
            '      data.k: "1" -> "2"',
        ]

    def test_what_only_one_side_renders(self) -> None:
        found = differences("1.0.0", [render("a", "1.28.0")], [render("b", "1.28.0")])
        assert found.lines() == ["only 1.0.0 renders a for 1.28", "1.0.0 does not render b for 1.28"]

    def test_none(self) -> None:
        same = [render("a", "1.28.1", config_map("x"))]
        # Another patch of the minor, another order of keys.
        other = [
            render("a", "1.28.0", '{"kind": "ConfigMap", "apiVersion": "v1", "data": {}, "metadata": {"name": "x"}}')
        ]
        assert differences("HEAD", other, same).lines() == ["renders the same objects as HEAD"]
