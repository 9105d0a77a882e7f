"""The commands that README, CONTRIBUTING and RELEASING name exist, and RELEASING quotes what the code says."""

from __future__ import annotations

import ast
import builtins
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from invoke.collection import Collection
from invoke.tasks import Task

from scripts.chart.changelog import TOOLKIT, plain, read_changelog
from scripts.chart.source import read_chart
from scripts.core.config import Config
from scripts.rollout.diagnose import _RANKS

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "RELEASING.md",
    "scripts/README.md",
    "docs/migrating.md",
    "docs/explanation.md",
    "docs/judge.md",
    "tests/render/test_upgrade_safety.py",
)
# What a release goes through, but for what only tells a reader of another module why (yaml, manifest_digest).
PACKAGES = ("core", "chart", "registry", "release")
INNER = {"core/yaml_edit", "core/yaml_read", "chart/manifest_digest", "chart/manifests"}
# What stands in docs/troubleshooting.md instead, beside INNER.
OTHERS = ("toolchain", "checks", "judge", "containers", "cluster", "rollout", "e2e", "report", "front", "")
COMMAND = re.compile(r"\binvoke ((?:[a-z][\w-]*|--[a-z-]+)(?: [^\s`#&|;,:)]+)*)")


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task[Any]]:
    """Every task by its name."""
    sys.path.insert(0, str(ROOT))
    import tasks as module

    return dict(Collection.from_module(module).tasks.items())


def commands(page: str) -> list[list[str]]:
    return [found.split() for found in COMMAND.findall((ROOT / page).read_text())]


@pytest.mark.parametrize("page", PAGES[:4])
def test_commands_and_their_flags_exist(page: str, tasks: dict[str, Task[Any]]) -> None:
    found = [words for words in commands(page) if not words[0].startswith("--") and words[0] != "TASK"]
    assert found
    for name, *words in found:
        if name not in tasks:
            assert page != "RELEASING.md", name
            continue  # prose: "the tasks of `invoke`: flags in ..."
        flags = {flag for argument in tasks[name].get_arguments() for flag in argument.names}
        for word in words:
            if word.startswith("--"):
                assert word[2:].split("=")[0].replace("-", "_") in {f.replace("-", "_") for f in flags}, (name, word)


def quotes(page: str = "RELEASING.md", begin: str = "## When it refuses", end: str = "## After") -> list[str]:
    """What a page quotes from the refusals, between two headings."""
    table = (ROOT / page).read_text().partition(begin)[2].partition(end)[0]
    rows = re.findall(r"^\| (?:`.*?` \| )?(\*.*?) \|", table, re.MULTILINE)
    return [quote.removeprefix("git commit ") for row in rows for quote in re.findall(r"\*(.+?)\*", row)]


def troubles() -> list[str]:
    """What docs/troubleshooting.md quotes."""
    return quotes("docs/troubleshooting.md", "\n## ", "\0")


def refusals(file: Path) -> list[str]:
    """The first sentence of every error that a module makes, with ... for what is filled in."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))  # to spell all of it takes long
        if called.endswith(("Error", "Transient", "Tls")) and not hasattr(builtins, ast.unparse(node.func)):
            words = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else [node.args[0]]
            parts = [str(word.value) if isinstance(word, ast.Constant) else "..." for word in words]
            found.append("".join(parts).replace("git ... failed in", "git commit failed in"))
    return [text for text in found if text.strip(".: ")]


def test_refusals_are_quoted_from_the_code() -> None:
    code = "".join(file.read_text() for file in [*(ROOT / "scripts").rglob("*.py"), ROOT / "tasks.py"])
    code = re.sub(r'"\s*\n\s*f?"', "", code)  # a long text in two pieces is one
    assert [quote for quote in (*quotes(), *troubles()) if quote not in code] == []


def modules(packages: tuple[str, ...]) -> dict[str, Path]:
    """The modules of `packages` that may refuse something."""
    files = [file for package in packages for file in sorted((ROOT / "scripts" / package).glob("*.py"))]
    named = {f"{file.parent.name}/{file.stem}": file for file in files if "Error(" in file.read_text()}
    return {name: file for name, file in named.items() if name not in INNER}


OF_A_RELEASE, OF_OTHERS = modules(PACKAGES), modules(OTHERS)


@pytest.mark.parametrize("file", OF_A_RELEASE.values(), ids=OF_A_RELEASE)
def test_every_refusal_of_a_release_has_its_row(file: Path) -> None:
    assert [text for text in refusals(file) if not any(quote in text for quote in quotes())] == []


@pytest.mark.parametrize("file", OF_OTHERS.values(), ids=OF_OTHERS)
def test_every_other_refusal_has_its_row_in_troubleshooting(file: Path) -> None:
    assert [text for text in refusals(file) if not any(quote in text for quote in troubles())] == []


def test_every_inner_refusal_has_its_row_in_troubleshooting() -> None:
    told = [text for name in sorted(INNER) for text in refusals(ROOT / "scripts" / f"{name}.py")]
    assert [text for text in told if text != "None" and not any(quote in text for quote in troubles())] == []


def test_every_cause_of_a_rollout_has_its_row() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text().partition("## Why a rollout failed")[2]
    named = {kind for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for kind in re.findall(r"`(.+?)`", row)}
    assert named == {*_RANKS, "ownership", "conflict"}


def test_the_sentence_of_a_first_change_is_raised_at_one_place() -> None:
    asked = re.search(r'^grep -rn "(.+)" scripts tests docs$', (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert asked is not None
    for folder, kind, most in (("scripts", "py", 1), ("tests", "py", 9), ("docs", "md", 1)):
        found = sum(file.read_text().count(asked[1]) for file in (ROOT / folder).rglob(f"*.{kind}"))
        assert 1 <= found <= most, folder


def test_artifact_hub_is_told_what_the_changelog_says(config: Config) -> None:
    """As a raise of the version leaves it; a change that joins a version before it is published goes into both."""
    chart, history = read_chart(config.chart), read_changelog(config.changelog)
    assert history is not None
    section = history.section(chart.version)
    assert section is not None
    told = yaml.safe_load(chart.metadata["annotations"]["artifacthub.io/changes"])
    assert [(change["kind"], change["description"]) for change in told] == [
        (entry.kind, plain(entry.text)) for entry in section.entries if not entry.text.startswith(TOOLKIT)
    ]


def test_every_folder_of_tests_has_its_place() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("## Where things are")[2]
    folders = {f"tests/{file.parent.name}" for file in ROOT.glob("tests/*/*.py")}
    assert folders - set(re.findall(r"`(tests/\w+)`", table)) == set()
