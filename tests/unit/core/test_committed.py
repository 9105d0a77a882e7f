"""A folder of a commit is read as git keeps it, or as this clone has it, whatever leads elsewhere in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.core.command import Runner
from scripts.core.committed import placed, read_committed
from scripts.core.errors import GitError
from scripts.core.git import Repository, find_repository


@pytest.fixture(autouse=True)
def settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's settings but these."""
    config = tmp_path_factory.mktemp("git") / "config"
    config.write_text('[user]\nname = Tester\nemail = t@example.org\n[protocol "file"]\nallow = always\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(("git", "-C", folder, *words), check=True, capture_output=True, text=True).stdout.strip()


def commit(repository: Repository, **files: str | bytes) -> None:
    """Commit files, whose names have `__` for a slash."""
    for name, content in files.items():
        file = repository.root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    git(repository.root, "add", "--all", "--force")
    git(repository.root, "commit", "--quiet", "--message", "More")


@pytest.fixture
def repository(tmp_path: Path, runner: Runner) -> Repository:
    """One with a folder `chart`."""
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    found = find_repository(root, runner)
    assert found is not None
    commit(found, chart__a="one\n", LICENSE="free\n")
    return found


def files(repository: Repository, revision: str = "HEAD", *, as_checkout: bool = False) -> dict[str, bytes]:
    held = read_committed(repository, revision, repository.root / "chart", as_checkout=as_checkout)
    assert held.missing == {}
    return dict(held.files)


def test_attributes_of_export_and_conversion_do_not_matter(repository: Repository) -> None:
    attributes = "chart/b export-ignore\nchart/c export-subst ident\nchart/d filter=x\nchart/a eol=crlf\n"
    commit(repository, **{".gitattributes": attributes}, chart__b="b", chart__c="$Id$ $Format:%H$", chart__d="d")
    git(repository.root, "config", "filter.x.smudge", "tr d s")
    kept = {"a": b"one\n", "b": b"b", "c": b"$Id$ $Format:%H$", "d": b"d"}
    assert files(repository) == kept
    (repository.root / ".gitattributes").unlink()  # those of the revision count
    checked_out = files(repository, as_checkout=True)
    assert checked_out.pop("c").startswith(b"$Id: ")
    assert checked_out == {"a": b"one\r\n", "b": b"b", "d": b"s"}
    git(repository.root, "config", "core.autocrlf", "true")
    assert files(repository, "HEAD~1", as_checkout=True) == {"a": b"one\r\n"}
    assert git(repository.root, "status", "--porcelain") == "D .gitattributes"


def test_names_and_contents_of_any_kind(repository: Repository) -> None:
    names = {"sp ace": b"\xff\0\xfe", "new\nline": b"", "unïcödé": b"\r\n", '"quoted"': b"x", "-dash": b"y", "*": b"z"}
    for name, content in names.items():
        (repository.root / "chart" / name).write_bytes(content)
    git(repository.root, "add", "--all")
    git(repository.root, "commit", "--quiet", "--message", "Names")
    git(repository.root, "sparse-checkout", "set", "--no-cone", "/LICENSE")
    assert files(repository) == {"a": b"one\n", **names} == files(repository, as_checkout=True)


def test_links_are_followed_inside_the_commit(repository: Repository, tmp_path: Path) -> None:
    chart = repository.root / "chart"
    (chart / "LICENSE").symlink_to("../LICENSE")
    (chart / "deep").symlink_to("../lib/up")
    commit(repository, lib__x="x")
    (repository.root / "lib/up").symlink_to(".")
    commit(repository)
    held = read_committed(repository, "HEAD", chart)
    assert held.files == {"a": b"one\n", "LICENSE": b"free\n", "deep/x": b"x"}
    assert set(held.missing) == {"deep/up"}
    assert "circle" in held.missing["deep/up"]
    assert held.paths == {"a": "chart/a", "LICENSE": "LICENSE", "deep/x": "lib/x"}
    (chart / "deep").unlink()
    for number, target in enumerate(("../../out", "nowhere", "/etc/passwd", "loop")):
        (chart / f"l{number}").symlink_to(target)
    (chart / "loop").symlink_to("loop")
    commit(repository)
    held = read_committed(repository, "HEAD", chart)
    assert set(held.missing) == {"l0", "l1", "l2", "l3", "loop"}
    assert read_committed(repository, "HEAD", chart, as_checkout=True).files == held.files


def test_submodules_are_read_at_their_commit(repository: Repository, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "--quiet", "--initial-branch=main")
    (inner / "x").write_text("1")
    (inner / "back").symlink_to("../a")
    git(inner, "add", "--all")
    git(inner, "commit", "--quiet", "--message", "Inner")
    git(repository.root, "submodule", "--quiet", "add", str(inner), "chart/sub")
    commit(repository)
    (repository.root / "chart/sub/x").write_text("2")
    held = read_committed(repository, "HEAD", repository.root / "chart")
    assert held.files == {"a": b"one\n", "sub/x": b"1", "sub/back": b"one\n"}
    git(repository.root, "submodule", "--quiet", "deinit", "--force", "--all")
    held = read_committed(repository, "HEAD", repository.root / "chart")
    assert (dict(held.files), set(held.missing)) == ({"a": b"one\n"}, {"sub"})


def test_replaced_objects_are_not_taken(repository: Repository) -> None:
    other = git(repository.root, "hash-object", "-w", "LICENSE")
    git(repository.root, "replace", git(repository.root, "rev-parse", "HEAD:chart/a"), other)
    assert files(repository) == {"a": b"one\n"}


def test_what_there_is_not(repository: Repository) -> None:
    with pytest.raises(GitError, match=r"(?s)git ls-tree failed in.*nonsense"):
        files(repository, "nonsense")
    assert files(Repository(repository.root, repository.runner)) == {"a": b"one\n"}
    assert read_committed(repository, "HEAD", repository.root / "nothing").files == {}


def test_a_copy_stands_among_its_neighbours(repository: Repository, tmp_path: Path) -> None:
    commit(repository, charts__demo__x="x", charts__lib__y="y", rules="r")
    (into := tmp_path / "into").mkdir()
    copy = placed(repository.root, repository.root / "charts/demo", into)
    assert list(copy.iterdir()) == []
    assert ((copy / "../lib/y").read_text(), (copy / "../../rules").read_text()) == ("y", "r")
    assert not (into / ".git").exists()
    (into := tmp_path / "root").mkdir()
    assert list(placed(repository.root, repository.root, into).iterdir()) == []
