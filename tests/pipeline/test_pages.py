"""Every command that a page shows is run here, in a copy of the checkout, or a comment says who runs it or why nobody.

A comment stands on the line before its block; below the title of a page it holds for all of them:

    <!-- run by FILE: ... -->   another test does, or CI
    <!-- not run: WHY -->       nobody can
    <!-- ends with N -->        it is run, and has to end with this status
    <!-- first: COMMANDS -->    what the page takes for granted; run, and not shown
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.chart.source import read_chart
from scripts.core.config import Config
from tests import forked
from tests.pipeline.conftest import INVOKE, Cli

ROOT = Path(__file__).parents[2]
PAGES = tuple(
    file.relative_to(ROOT).as_posix()
    for file in (
        *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "RELEASING")),
        ROOT / "compose" / "README.md",
    )
) + tuple(file.relative_to(ROOT).as_posix() for file in sorted((ROOT / "docs").rglob("*.md")))
SHELLS = {"sh", "bash", "zsh", "fish"}
PIECE = re.compile(
    r"^ *<!--\s+(?P<comment>.*?)\s*-->\n|^(?P<indent> *)```(?P<language>\S*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
PROGRAMS = re.compile(
    r"^(?:invoke|nox|git|helm|pip|python|pytest|docker|kubectl|kind|uv|cosign|crane|oras) ", re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """Lines of shell on a page; the comment before them says a `word` (first, ends with, ...) and what is `told`."""

    line: int
    language: str
    text: str
    word: str = ""
    told: str = ""


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    before, end, whole = ("", ""), -1, ("", "")
    for found in PIECE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if found["comment"] is not None:
            said = re.fullmatch(r"(first|run by|not run|ends with):? ?(.*)", found["comment"], re.DOTALL)
            before, end = (said[1], said[2]) if said else ("", ""), found.end()
            if said and said[1] == "first":
                yield Block(line, "sh", said[2], "first")
            elif said and text[found.end()] == "\n":
                whole = before
            continue
        word, told = before if found.start() == end else whole
        yield Block(line, found["language"], re.sub(rf"(?m)^{found['indent']}", "", found["text"]), word, told)


def commands(page: str) -> list[Block]:
    """Those that are run here."""
    return [one for one in blocks(page) if one.language in SHELLS and one.word in ("", "first", "ends with")]


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the checkout as they are now, in a repository of their own with a remote; not to be changed."""
    folder = tmp_path_factory.mktemp("pages") / "gati"
    listed = ("git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git = ("git", "-c", "user.name=me", "-c", "user.email=me@example.com", "-C", folder)
    for words in (("init", "--quiet", "--initial-branch=main"), ("add", "."), ("commit", "--quiet", "--message=Begin")):
        subprocess.run((*git, *words), check=True)
    subprocess.run((*git, "commit", "--quiet", "--allow-empty", "--message=Go on"), check=True)
    return folder


def script(page: str) -> str:
    """The commands of a page as one program, which says on stderr where it is."""
    lines = ["set -euo pipefail"]
    for one in commands(page):
        lines.append(f"echo {shlex.quote(f'== {page}:{one.line}')} >&2")
        if one.word == "ends with":
            lines += ["set +e", f"( set -e\n{one.text})", f"status=$?; set -e; [ $status = {one.told} ]"]
        else:
            lines.append(one.text)
    return "\n".join(lines)


@pytest.mark.timeout(600)  # a page may release four times, on a machine that does other things
@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_the_commands_of_a_page_run(page: str, cli: Cli, checkout: Path, tmp_path: Path) -> None:
    work = tmp_path / "work" / "gati"
    shutil.copytree(checkout, work, symlinks=True)
    home = Path(cli.env["HOME"])
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\nname = me\nemail = me@example.com\n")
    git = ("git", "-C", work)
    subprocess.run(("git", "clone", "--quiet", "--bare", work, tmp_path / "work" / "origin.git"), check=True)
    for words in (("remote", "add", "origin", "../origin.git"), ("fetch", "--quiet", "origin")):
        subprocess.run((*git, *words), check=True)
    subprocess.run((*git, "branch", "--quiet", "--set-upstream-to=origin/main"), check=True)
    env = {name: value for name, value in cli.env.items() if name not in ("GATI_DIST", "GATI_EMBEDDED_REGISTRY")}
    (programs := tmp_path / "bin").mkdir()
    inherited = forked.command("invoke", programs / "invoke")
    env["PATH"] = os.pathsep.join((str(programs), str(Path(INVOKE).parent), env["PATH"]))
    told = subprocess.run(
        ("bash", "-c", script(page)),
        cwd=work,
        env=env,
        capture_output=True,
        text=True,
        timeout=590,
        stdin=subprocess.DEVNULL,
        pass_fds=inherited,
    )
    assert told.returncode == 0, told.stderr[-3000:] + told.stdout[-2000:]
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_commands_is_run_or_says_why_not(page: str) -> None:
    for one in blocks(page):
        where = f"{page}:{one.line}"
        if one.language not in SHELLS:
            assert not PROGRAMS.search(one.text), f"{where} shows commands: sh after the fence has them run"
        if one.word == "not run":
            assert len(one.told.split()) >= 4, f"{where} does not say why"
        if one.word == "run by":
            file = ROOT / one.told.partition(":")[0]
            assert file.is_file(), f"{where} is run by {file}, which is not there"


@pytest.mark.parametrize("page", [*PAGES, "SECURITY.md", "CHANGELOG.md", "scripts/README.md", "helm/gati/README.md"])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    text = re.sub(r"(?ms)^ *```.*?^ *```$", "", (ROOT / page).read_text(encoding="utf-8"))
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)", text):
        file = (ROOT / page).parent / target if target else ROOT / page
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            names = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in names, f"{target}#{anchor}"


def test_a_badge_says_what_is_true(config: Config) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    chart = read_chart(config.chart)
    assert chart.kube_version == ">=1.28.0-0 <1.38.0-0"  # what the badge says in its own words
    python = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    badges = re.findall(r"img\.shields\.io/badge/(\S+)-blue\)", text)
    assert badges == [
        f"chart-{chart.version}",
        "Kubernetes-1.28_to_1.37",
        f"Python-{python.removeprefix('>=')}+",
        "license-Apache--2.0",
    ]
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "README.md" in config.version_files


OPTIONS = {
    "ct": "all build-id chart-dirs chart-repos chart-yaml-schema charts check-version-increment config debug "
    "additional-commands exclude-deprecated excluded-charts github-groups helm-dependency-extra-args helm-extra-args "
    "helm-extra-set-args helm-lint-extra-args helm-repo-extra-args kubectl-timeout lint-conf namespace print-config "
    "print-logs release-label release-name remote since skip-clean-up skip-helm-dependencies skip-missing-values "
    "target-branch upgrade use-helmignore validate-chart-schema validate-maintainers validate-yaml",
    "cr": "config package-path sign key keyring passphrase-file commit generate-release-notes git-base-url git-repo "
    "owner git-upload-url release-name-template release-notes-file skip-existing token make-release-latest pre-release "
    "push packages-with-index pr remote replace-existing sign-commits use-api-asset-url index-path pages-branch "
    "pages-index-path index-commit-message package-commit-message registry-url username password plain-http "
    "insecure-skip-tls-verify ca-file cert-file key-file",
}


@pytest.mark.parametrize("tool", OPTIONS)
def test_every_option_of_the_tools_that_people_come_from_has_its_row(tool: str) -> None:
    page = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
    table = page.partition("## chart-testing" if tool == "ct" else "## chart-releaser")[2].partition("\n## ")[0]
    first = " ".join(re.findall(r"^\| (.+?) \|", table, re.MULTILINE))
    named = set(re.findall(r"--([a-z-]+)", first))
    assert named == set(OPTIONS[tool].split())
