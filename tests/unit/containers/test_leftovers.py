"""What a killed run left is found by the mark of its process and removed; what somebody has is left alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.containers import leftovers
from scripts.core.command import Runner
from scripts.core.config import Config
from scripts.core.errors import CommandTimeout, EngineError
from scripts.core.owner import mark, orphaned, owned, temporary
from scripts.core.waiting import until
from scripts.workspace import Workspace

pytestmark = pytest.mark.usefixtures("only_tidier")

KILLED = """
import os, sys
from pathlib import Path
from scripts.core.command import Runner
from scripts.core.owner import mark, owned
runner = Runner()
for name in ("kubectl", "gpg-agent"):
    program = Path(sys.argv[1]) / name
    program.symlink_to("/bin/sleep")
    runner._popen([program, "300"], stdin=None, stdout=2, stderr=2)
(Path(os.environ["TMPDIR"]) / (owned("e2e") + "x")).mkdir()
print(mark(), flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def work(work: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    return work.having(dist=tmp_path / "dist", cache_dir=tmp_path / "cache")


def running(name: str, owner: str) -> list[int]:
    """The processes of a program that bear the mark."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environ, command = ((entry / file).read_bytes() for file in ("environ", "cmdline"))
        except OSError:
            continue
        if owner.encode() in environ and f"/{name}".encode() in command:
            found.append(int(entry.name))
    return found


@pytest.fixture
def killed(root: Path, tmp_path: Path, work: Workspace) -> Iterator[str]:
    """The mark of a process that was killed in the middle of its work."""
    argv: list[str | Path] = [sys.executable, "-c", KILLED, tmp_path]
    done = subprocess.run(argv, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    owner = done.stdout.strip()
    yield owner
    for pid in running("gpg-agent", owner) + running("kubectl", owner):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds programs by /proc")
def test_programs_and_folders_of_a_killed_process_go(killed: str, work: Workspace, tmp_path: Path) -> None:
    mine = tmp_path / "tmp" / (owned("e2e") + "x")
    mine.mkdir()
    kubeconfig = work.config.dist / "e2e" / f"gati-e2e-abcdef-{killed}-0a.kubeconfig"
    kubeconfig.parent.mkdir(parents=True)
    kubeconfig.write_text("")
    (work.config.dist / f".gati-manifests-{killed}-x").mkdir()
    (work.config.cache_dir / "tools" / f".gati-build-{killed}-x").mkdir(parents=True)
    programs = set(map(str, running("kubectl", killed)))
    found = [left for left in leftovers.find(work) if killed in left.name or left.id in programs]
    assert sorted(left.kind for left in found) == ["file", "folder", "folder", "folder", "program"]
    assert running("kubectl", killed), "looking removes nothing"
    removed = leftovers.remove(work)
    assert {str(left) for left in found} <= {str(left) for left in removed}
    until(lambda: not running("kubectl", killed), what="the program to be gone", deadline=10)
    assert mine.is_dir(), "what is ours stays"
    assert list((tmp_path / "tmp").iterdir()) == [mine]
    assert not kubeconfig.exists()
    assert running("gpg-agent", killed), "what may be meant to stay stays"


@pytest.mark.parametrize("also", [(), ("gati-e2e-abcdef-kept-",)])
def test_what_was_kept_on_purpose_goes_where_that_is_asked_for(work: Workspace, also: tuple[str, ...]) -> None:
    class Engine(Runner):
        def run(self, argv: Any, **_: Any) -> Any:
            listed = [f"{name}\t{name}" for name in sorted(there)] if argv[1:3] == ("container", "ls") else []
            if "rm" in argv:
                there.discard(argv[-1])
            return SimpleNamespace(stdout="\n".join(listed))

    names = [f"gati-e2e-{name}" for name in ("abcdef-kept-12345678", "fedcba-kept-12345678")]
    there, folder = set(names), work.config.dist / "e2e"
    for name in names:
        (folder / f"{name}.volumes").mkdir(parents=True)
    leftovers.remove(replace(work, runner=Engine()), also=also)
    left = names[len(also) :]
    assert sorted(there) == left
    assert sorted(path.stem for path in folder.iterdir()) == left


@pytest.mark.parametrize(("count", "lines"), [(2, 3), (9, 1)])
def test_a_screenful_of_one_kind_is_one_line(killed: str, work: Workspace, count: int, lines: int) -> None:
    for number in range(count):
        (work.config.dist / f".gati-manifests-{killed}-{number}").mkdir(parents=True)
    said: list[str] = []
    leftovers.remove(replace(work, say=said.append))
    told = [line for line in said if "folder" in line]
    assert len(told) == lines
    assert (lines == 1) == (f"removing {count + 1} folders" in told[0]), "with the one that every killed run here has"
    assert not list(work.config.dist.iterdir())


def test_what_was_not_put_in_its_place_goes_when_the_same_is_made_again(killed: str, tmp_path: Path) -> None:
    for owner in (killed, mark()):
        (tmp_path / f".gati-manifests-{owner}-x").mkdir()
    with temporary("manifests", tmp_path) as folder:
        there = {folder.name, f".gati-manifests-{mark()}-x"}
        assert there == {path.name for path in tmp_path.glob(".gati-*")}


def test_one_that_the_engine_does_not_remove_in_time_keeps_no_other(work: Workspace) -> None:
    class Slow(Runner):
        def run(self, argv: Any, **_: Any) -> Any:
            raise CommandTimeout(argv, 60)

    leftovers._remove(leftovers.Leftover("container", "a", "a"), replace(work, runner=Slow()))


def test_what_pods_wrote_is_deleted_by_the_node_that_is_removed_next(work: Workspace) -> None:
    """It is root's, or somebody's who is nobody here: who runs this may have no right to."""

    class Engine(Runner):
        def run(self, argv: Any, **_: Any) -> Any:
            asked.append(argv[1:])

    asked: list[tuple[str, ...]] = []
    for left in (("container", "a", "a", True), ("network", "n", "n", True), ("container", "b", "b")):
        leftovers._remove(leftovers.Leftover(*left), replace(work, runner=Engine()))
    assert asked == [
        ("exec", "a", "find", leftovers.SHARED, "-mindepth", "1", "-delete"),
        ("container", "rm", "--force", "--volumes", "a"),
        ("network", "rm", "n"),
        ("container", "rm", "--force", "--volumes", "b"),
    ]


def test_what_cannot_be_removed_is_named(killed: str, work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_DEADLINE", 0.3)
    monkeypatch.setattr(leftovers, "_remove", lambda *_: None)
    (work.config.dist / f".gati-manifests-{killed}-x").mkdir(parents=True)
    with pytest.raises(EngineError, match="what killed runs left to be gone") as refusal:
        leftovers.remove(work)
    assert f"folder {work.config.dist}/.gati-manifests-{killed}-x" in str(refusal.value)


@pytest.mark.skipif(shutil.which("docker") is None, reason="needs an engine")
def test_what_the_engine_has_is_told_apart_by_its_label(killed: str, work: Workspace) -> None:
    name, mine = f"gati-e2e-abcdef-{killed}-0a", f"gati-e2e-abcdef-{mark()}-0b"
    docker = ("docker", "network", "create")
    if work.runner.run(("docker", "version"), check=False).status != 0:
        pytest.skip("no engine answers")
    for each in (name, mine):
        work.runner.run((*docker, f"--label=io.x-k8s.kind.cluster={each}", each))
    try:
        assert [left.kind for left in leftovers.find(work) if name in left.name] == ["network"]
        assert not [left for left in leftovers.find(work) if mine in left.name]
        leftovers.remove(work)
        assert work.runner.run(("docker", "network", "inspect", name), check=False).status != 0
        assert work.runner.run(("docker", "network", "inspect", mine), check=False).status == 0
    finally:
        work.runner.run(("docker", "network", "rm", mine), check=False)


def test_a_mark_is_of_this_process_while_it_lasts(killed: str) -> None:
    assert orphaned(killed)
    assert not orphaned(mark())
    machine, number, began = mark().split("-")
    assert orphaned(f"{machine}-{number}-{int(began) - 1}"), "another process had the number before"
    for other in (f"000000-{number}-1", "", "a-b-c", f"{machine}-x-1"):
        assert not orphaned(other), other


def test_what_a_killed_process_had_is_removed_by_the_next_that_has_the_same(
    killed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in (f"gati-push-{killed}-abc", f"gati-pushed-{killed}-abc"):
        (tmp_path / name).mkdir()
    with temporary("push") as folder:
        assert {path.name for path in tmp_path.glob("gati-*")} == {folder.name, f"gati-pushed-{killed}-abc"}


def test_processes_that_are_not_seen_from_here_are_of_another_machine(root: Path) -> None:
    """As two containers have the name of their host, and one cache: the number of a process means nothing then."""
    apart = ("unshare", "--map-root-user", "--pid", "--fork")
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no processes can be set apart here")
    code = "from scripts.core.owner import mark; print(mark())"
    told = subprocess.run([*apart, sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert told.stdout.partition("-")[0] != mark().partition("-")[0]


def test_checkouts_have_names_of_their_own(config: Config, tmp_path: Path) -> None:
    other = replace(config, root=tmp_path)
    assert config.checkout != other.checkout
    assert config.own_images.endswith(config.checkout)
