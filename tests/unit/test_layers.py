"""The table of scripts/README.md is true: every module stands in it, and imports go down the picture only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
FILES = {file.relative_to(SCRIPTS).with_suffix("").as_posix(): file for file in sorted(SCRIPTS.glob("*/*.py"))}
MODULES = [name for name in FILES if not name.endswith("/__init__")]
BESIDE = sorted(file.stem for file in SCRIPTS.glob("*.py") if file.stem != "__init__")
BASE = ("core", "toolchain", "chart")
LEFT = ("registry", "checks", "judge", "release")
RIGHT = ("containers", "cluster", "rollout")
ABOVE = ("e2e", "report", "front")  # what stands on both wings
PACKAGES = (*BASE, *LEFT, *RIGHT, *ABOVE)
NETWORK = {"requests", "docker", "socket", "ssl", "http", "urllib3", "ftplib"}


def below(package: str) -> set[str]:
    """The packages that `package` may import: those under it in its own wing, and what both wings stand on."""
    if package in ABOVE:
        return {*PACKAGES[: PACKAGES.index(package)], *(BESIDE if package == "front" else ())}
    wing = next(order for order in (BASE, LEFT, RIGHT) if package in order)
    under = set(wing[: wing.index(package)])
    return under if wing is BASE else under | set(BASE)


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


@cache
def imports(tree: ast.AST) -> tuple[str, ...]:
    """Every name that is imported when the code runs, dotted; what only the type checker sees is left out."""
    return tuple(_imports(tree))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from _imports(node)


def ours(tree: ast.AST) -> set[str]:
    """What is imported of `scripts`: `package/module`, or the module beside the packages."""
    parts = [name.split(".") for name in imports(tree) if name.startswith("scripts.")]
    return {name[1] if name[1] in BESIDE else "/".join(name[1:3]) for name in parts}


def test_every_module_has_one_place_in_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*?) \|$", (SCRIPTS / "README.md").read_text("utf-8"), re.MULTILINE)
    placed = [f"{package}/{module}" for package, cells in rows for module in re.findall(r"`(\w+)`", cells)]
    assert sorted(placed) == sorted(MODULES)
    assert [package for package, _ in rows] == [*PACKAGES]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_in_one_sentence_what_it_owns(package: str) -> None:
    said = ast.get_docstring(parsed(SCRIPTS / package / "__init__.py"))
    assert said is not None
    assert re.fullmatch(r"[A-Z][^\n]+\.", said)
    assert not re.search(r"\. ", said)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_and_never_across(module: str) -> None:
    package = module.split("/")[0]
    used = {name.split("/")[0] for name in ours(parsed(FILES[module]))}
    workspace = set() if package in BASE else {"workspace"}
    assert used <= below(package) | workspace | {package}


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {module: ours(parsed(FILES[module])) for module in MODULES}
    while graph:
        leaves = {module for module, used in graph.items() if not used & graph.keys()}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {module: used for module, used in graph.items() if module not in leaves}


def test_only_the_runner_starts_programs() -> None:
    starters = {
        module
        for module in MODULES
        if {name.split(".")[0] for name in imports(parsed(FILES[module]))} & {"subprocess", "multiprocessing"}
        or re.search(r"\bos\.(system|popen|spawn\w*|exec\w*|fork)\(", FILES[module].read_text(encoding="utf-8"))
    }
    assert starters == {"core/command"}


def test_core_and_chart_know_no_network() -> None:
    for module in MODULES:
        if module.split("/")[0] in ("core", "chart"):
            used = {name.split(".")[0] for name in imports(parsed(FILES[module]))}
            assert not used & NETWORK, module


@pytest.mark.parametrize("file", [*FILES.values(), *SCRIPTS.glob("*.py")], ids=str)
def test_nothing_but_the_front_prints_prompts_or_exits(file: Path) -> None:
    if file.parent.name == "front":
        return
    calls = {ast.unparse(node.func) for node in ast.walk(parsed(file)) if isinstance(node, ast.Call)}
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
    def at_import(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef):
                yield child
                yield from at_import(child)

    def ours_at_import(file: Path) -> set[str]:
        kept = [node for node in at_import(parsed(file)) if isinstance(node, ast.Import | ast.ImportFrom)]
        checked = [node for node in ast.walk(parsed(file)) if isinstance(node, ast.If)]
        typed = {id(each) for node in checked for each in ast.walk(node)}
        return ours(ast.Module([node for node in kept if id(node) not in typed], []))

    for file in (ROOT / "tasks.py", *(SCRIPTS / "front").glob("*.py")):
        assert {name.split("/")[0] for name in ours_at_import(file)} <= {"front"}, file
    assert not ours(parsed(ROOT / "noxfile.py"))


def test_requests_is_loaded_for_the_engine_alone() -> None:
    users = {name for name in MODULES if "requests" in {one.split(".")[0] for one in imports(parsed(FILES[name]))}}
    assert users == {"containers/engine", "containers/stack"}


def test_only_tasks_use_the_front() -> None:
    others = [file for file in [*FILES.values(), *SCRIPTS.glob("*.py")] if file.parent.name != "front"]
    assert not [file for file in others if any(name.startswith("front") for name in ours(parsed(file)))]
