"""Makes faults, one at a time: of the chart's templates and defaults, and of the toolkit's code that decides."""

from __future__ import annotations

import ast
import copy
import functools
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.core.files import sha256
from scripts.core.yaml_read import loader

CHART, CODE = "chart", "code"


@dataclass(frozen=True)
class Mutant:
    """A file with one fault: `make` gives the whole of it. `change` and `meaning` say to a person what it is and does.

    `where` is the function that the fault is in, "" for the chart.
    """

    part: str
    file: str
    line: int
    change: str
    meaning: str
    make: Callable[[], str]
    where: str = ""
    number: int = 0

    @property
    def id(self) -> str:
        """The same as long as the changed line is, wherever it stands."""
        return f"{self.file}:{sha256(f'{self.where}|{self.change}|{self.number}')[:10]}"


def numbered(mutants: Iterator[Mutant]) -> list[Mutant]:
    """The mutants, where equal changes of one file are told apart by their order."""
    seen: dict[tuple[str, str, str], int] = {}
    found = []
    for one in mutants:
        key = (one.file, one.where, one.change)
        seen[key] = seen.get(key, -1) + 1
        found.append(Mutant(**{**vars(one), "number": seen[key]}))
    return found


def spread(mutants: Sequence[Mutant], most: int) -> list[Mutant]:
    """At most so many, of every file and kind of change in turn, always the same ones."""
    groups: dict[tuple[str, str], list[Mutant]] = {}
    for one in sorted(mutants, key=lambda one: sha256(one.id)):
        kind = one.change.partition(".")[0] if one.file == "values.yaml" else one.meaning
        groups.setdefault((one.file, kind), []).append(one)
    rounds = itertools.zip_longest(*groups.values())
    return [one for row in rounds for one in row if one is not None][:most]


# -- the chart -------------------------------------------------------------------------------------

Edit = tuple[str, str, str]  # the line afterwards, what was done to it, what it would do to a user
_IF = re.compile(r"^(\s*\{\{-? (?:else )?if )(.+?)( -?\}\}.*)$")
_INDENT = re.compile(r"\b(n?indent) (\d+)")
_KEY = re.compile(r"^(\s*(?:- )?)([a-zA-Z][\w-]*)(:(?: .*)?)$")
_LEAF = re.compile(r"^\s+(?:- )?[a-zA-Z][\w.-]*: \S.*$")
_OPERATORS = (
    (re.compile(r"\beq\b"), "ne"), (re.compile(r"\bne\b"), "eq"), (re.compile(r"\band\b"), "or"),
    (re.compile(r"\bor\b"), "and"), (re.compile(r"\bgt\b"), "lt"),
)  # fmt: skip
_WORDS = (
    (re.compile(r"\btrue\b"), "false"), (re.compile(r"\bfalse\b"), "true"), (re.compile(r"\bhttp\b"), "grpc"),
    (re.compile(r"\bgrpc\b"), "http"), (re.compile(r'\["get"'), '["*"'), (re.compile(r"ClusterIP\b"), "NodePort"),
    (re.compile(r"\bTCP\b"), "UDP"),
)  # fmt: skip
_ACTION = re.compile(r"(\{\{.*?\}\})")
_TEXT = re.compile(r'"[^"]*"')
_TOLD = re.compile(r'(fail (\(printf (\(print )?)?|^\s+)"[^"]*"')  # to a person


def of_chart(chart: Path) -> list[Mutant]:
    """Every fault of every template and default."""
    return numbered(itertools.chain(_of_templates(chart), _of_defaults(chart)))


def _of_templates(chart: Path) -> Iterator[Mutant]:
    for file in sorted((chart / "templates").rglob("*.*")):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        commented = False
        for number, whole in enumerate(lines):
            line = whole.rstrip("\n")
            commented = ("{{/*" in line or "{{- /*" in line or commented) and "*/" not in line
            if commented or "*/" in line or line.lstrip().startswith("#") or not line.strip():
                continue
            for after, done, meaning in _edits(line, file.suffix):
                parts = (*lines[:number], f"{after}\n" if after else "", *lines[number + 1 :])
                change, name = f"{done}: {line.strip()}", file.relative_to(chart).as_posix()
                yield Mutant(CHART, name, number + 1, change, meaning, functools.partial("".join, parts))


def _edits(line: str, suffix: str) -> Iterator[Edit]:
    if (found := _IF.match(line)) and "else" not in found[1]:
        yield f"{found[1]}not ({found[2]}){found[3]}", "condition negated", "a feature is there when it is off"
    if (found := _INDENT.search(line)) and (columns := int(found[2])):  # deeper, a whole block would mean the same
        shallower = f"{line[: found.start()]}{found[1]} {max(0, columns - 2)}{line[found.end() :]}"
        yield shallower, "two columns to the left", "a block belongs to another key"
    decides = _TEXT.sub(_blank, "".join(part if "{{" in part else " " * len(part) for part in _ACTION.split(line)))
    means = decides if suffix == ".txt" else _TOLD.sub(_blank, line)
    for swaps, where in ((_OPERATORS, decides), (_WORDS, means)):
        for pattern, instead in swaps:
            if not (swap := pattern.search(where)):
                continue
            after = line[: swap.start()] + instead + line[swap.end() :]
            yield after, f"{swap[0]} becomes {instead}", "a choice, a port or a right is another one"
    if suffix in (".yaml", ".tpl") and _LEAF.match(line) and "define" not in line:
        yield "", "line taken away", "a probe, a limit, a label or a context is missing"
        if found := _KEY.match(line):
            yield f"{found[1]}{found[2]}x{found[3]}", "key misspelt", "a setting is ignored or refused"


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])


def _of_defaults(chart: Path) -> Iterator[Mutant]:
    """Every default that is a number, a switch or a word, as another one."""
    text = (chart / "values.yaml").read_text(encoding="utf-8")
    for path, node in _scalars(yaml.compose(text, Loader=loader()), ()):
        value = {"tag:yaml.org,2002:bool": _flip, "tag:yaml.org,2002:int": _raise, "tag:yaml.org,2002:str": _word}
        if node.tag not in value or not node.value:
            continue
        wrong = value[node.tag](node.value)
        parts = (text[: node.start_mark.index], wrong, text[node.end_mark.index :])
        change = f"{'.'.join(path)} is {wrong} in place of {node.value}"
        make = functools.partial("".join, parts)
        yield Mutant(CHART, "values.yaml", node.start_mark.line + 1, change, "installations get another default", make)


def _flip(value: str) -> str:
    return "false" if value == "true" else "true"


def _raise(value: str) -> str:
    return str(int(value) + 1)


def _word(value: str) -> str:
    return f'"{value}x"'


def _scalars(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            yield from _scalars(child, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for place, child in enumerate(node.value):
            yield from _scalars(child, (*path, str(place)))
    elif node is not None:
        yield path, node


# -- the code --------------------------------------------------------------------------------------

_OPPOSITES: dict[type[ast.AST], Callable[[], ast.AST]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


def of_code(file: Path, root: Path, functions: Sequence[str]) -> list[Mutant]:
    """Every fault of the functions of a module that are named (`Class.method`); of all of them for ()."""
    source = file.read_text(encoding="utf-8")
    return numbered(_of_functions(file.relative_to(root).as_posix(), ast.parse(source), functions))


def _of_functions(name: str, tree: ast.Module, functions: Sequence[str]) -> Iterator[Mutant]:
    for which, (where, function) in enumerate(_functions(tree, "")):
        if functions and where not in functions:
            continue
        for number, node in enumerate(_nodes(function)):
            for place, (change, meaning, _) in enumerate(_faults(node)):
                make = functools.partial(_faulty, tree, which, number, place)
                line, before = getattr(node, "lineno", function.lineno), ast.unparse(node).partition("\n")[0]
                yield Mutant(CODE, name, line, f"{change}: {before}", meaning, make, where)


def _nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """What runs when the function is called: neither its defaults nor its decorators."""
    return itertools.chain.from_iterable(map(ast.walk, function.body))


def _faulty(tree: ast.Module, which: int, number: int, place: int) -> str:
    """The module where the node of that number, in the function of that one, has its fault of that place."""
    fresh = copy.deepcopy(tree)
    _, function = [*_functions(fresh, "")][which]
    node = next(itertools.islice(_nodes(function), number, None))
    [*_faults(node)][place][2]()
    return ast.unparse(ast.fix_missing_locations(fresh))


def _functions(node: ast.AST, above: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{above}{child.name}.")
        elif isinstance(child, ast.FunctionDef):
            yield f"{above}{child.name}", child


Fault = tuple[str, str, Callable[[], None]]


def _faults(node: ast.AST) -> Iterator[Fault]:
    """What can be wrong at a node: words for it, what comes of it, and what makes it so."""

    def put(**fields: Any) -> Callable[[], None]:
        return lambda: vars(node).update(fields)

    if isinstance(node, ast.Compare) and type(node.ops[0]) in _OPPOSITES:
        opposite = _OPPOSITES[type(node.ops[0])]()
        yield (
            f"{type(opposite).__name__} in place of {type(node.ops[0]).__name__}",
            "decides wrongly",
            put(ops=[opposite, *node.ops[1:]]),
        )
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "and and or swapped", "decides by one condition for two", put(op=other)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not taken away", "decides the opposite", put(operand=ast.UnaryOp(ast.Not(), node.operand))
    elif isinstance(node, ast.If):
        yield "condition never true", "a case is not seen", put(test=ast.Constant(False))
    elif isinstance(node, ast.Constant) and type(node.value) is int and node.value != 0:
        yield f"{node.value + 1} in place of {node.value}", "a limit is another one", put(value=node.value + 1)
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield f"{not node.value} in place of {node.value}", "answers the opposite", put(value=not node.value)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "call taken away", "something is not done", put(value=ast.Constant(None))
    elif isinstance(node, ast.keyword) and node.arg in ("reverse", "key"):
        yield f"{node.arg} taken away", "the order is another one", put(value=ast.Constant(None))
