"""The table of scripts/README.md is true: every module stands in it, and imports point upwards only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = ROOT / "scripts"
MODULES = sorted(file.stem for file in SCRIPTS.glob("*.py") if file.stem != "__init__")
NETWORK = {"requests", "docker", "socket", "ssl", "http", "urllib3", "ftplib"}


def layers() -> dict[str, list[str]]:
    """The modules of each layer, from the top of the table down."""
    rows = re.findall(r"^\| (\w+) \| (.*?) \| .*? \|$", (SCRIPTS / "README.md").read_text(), re.MULTILINE)
    return {name: re.findall(r"`(\w+)`", cells) for name, cells in rows if name != "layer"}


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


def imports(tree: ast.AST) -> Iterator[str]:
    """Every name that is imported when the code runs, dotted; what only the type checker sees is left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node)


def ours(tree: ast.AST) -> set[str]:
    """The modules of `scripts` that are imported."""
    return {name.split(".")[1] for name in imports(tree) if name.startswith("scripts.")}


def test_every_module_has_one_place_in_the_table() -> None:
    placed = [module for modules in layers().values() for module in modules]
    assert sorted(placed) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_upwards(module: str) -> None:
    order = list(layers().items())
    place = next(index for index, (_, modules) in enumerate(order) if module in modules)
    allowed = {name for _, modules in order[: place + 1] for name in modules} - {module}
    if order[place][0] == "stages":
        allowed -= set(order[place][1])
    assert ours(parsed(SCRIPTS / f"{module}.py")) <= allowed


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {module: ours(parsed(SCRIPTS / f"{module}.py")) for module in MODULES}
    while graph:
        leaves = {module for module, used in graph.items() if not used & graph.keys()}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {module: used for module, used in graph.items() if module not in leaves}


def test_only_the_runner_starts_programs() -> None:
    starters = {
        module
        for module in MODULES
        if {name.split(".")[0] for name in imports(parsed(SCRIPTS / f"{module}.py"))}
        & {"subprocess", "multiprocessing"}
        or re.search(r"\bos\.(system|popen|spawn\w*|exec\w*|fork)\(", (SCRIPTS / f"{module}.py").read_text())
    }
    assert starters == {"command"}


def test_values_and_runner_know_no_network() -> None:
    for module in (*layers()["values"], *layers()["runner"]):
        used = {name.split(".")[0] for name in imports(parsed(SCRIPTS / f"{module}.py"))}
        assert not used & NETWORK, module


@pytest.mark.parametrize("module", MODULES)
def test_nothing_prints_prompts_or_exits(module: str) -> None:
    calls = {
        ast.unparse(node.func) for node in ast.walk(parsed(SCRIPTS / f"{module}.py")) if isinstance(node, ast.Call)
    }
    assert not calls & {
        "print",
        "input",
        "exit",
        "quit",
        "sys.exit",
        "os._exit",
        "sys.stdout.write",
        "sys.stderr.write",
    }


def test_a_front_imports_nothing_of_ours_before_it_is_used() -> None:
    tasks = ast.Module([node for node in parsed(ROOT / "tasks.py").body if not isinstance(node, ast.FunctionDef)], [])
    assert not ours(tasks)
    assert not ours(parsed(ROOT / "noxfile.py"))
