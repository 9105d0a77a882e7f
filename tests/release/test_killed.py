"""A release that was killed anywhere converges when it is run again: one commit, one tag, one version, no leftovers."""

from __future__ import annotations

import contextlib
import datetime
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.core.errors import GitError, OutputError
from scripts.release.plan import Options, prepared
from tests import forked
from tests.release.conftest import TODAY, Project

pytestmark = pytest.mark.timeout(600)  # a chain is up to six releases
DRIVER = "tests.release.killed"
FILES = ("Chart.yaml", "CHANGELOG.md")
CHAINS = int(os.environ.get("GATI_TEST_ROUNDS", "5"))
SAID = ("raising", "checking", "packaging", "attaching", "publishing", "pushing", "reading", "tagging", "writing")
POINTS = (*SAID, *FILES)
RECORDED = "demo.release.json"  # the last file of all


def environment(project: Project) -> dict[str, str]:
    return {**os.environ, "CACHE": str(project.config.cache_dir)}


def drive(project: Project, ending: signal.Signals, point: str) -> subprocess.CompletedProcess[str]:
    """A release with --bump minor --tag, in a process of its own, that gets the signal at `point`."""
    return forked.run(DRIVER, ending.name, point, cwd=project.root, env=environment(project), timeout=300)


def kill(project: Project, ending: signal.Signals, point: str) -> None:
    """Drive a release to `point`; it must end by the signal."""
    driver = drive(project, ending, point)
    assert driver.returncode == -ending, driver.stderr


def servers(project: Project) -> list[str]:
    """The processes that serve the project's embedded registry."""
    folder = os.fsencode(project.config.embedded_registry)
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended meanwhile
            if folder in words:
                found.append(entry.name)
    return found


@pytest.fixture(autouse=True)
def nothing_left(project: Project) -> Iterator[None]:
    """Ends the server of a killed release, also where a test fails before another run does."""
    yield
    for pid in servers(project):
        os.kill(int(pid), signal.SIGKILL)


def finish(project: Project, digest: str) -> None:
    """Run the release again: it ends as one that was never interrupted."""
    record = project.release(part="minor", tag=True)
    assert (record.version, record.digest) == ("1.3.0", digest)
    assert project.git("log", "--format=%s") == "Release demo 1.3.0\nAdd the chart"
    assert project.git("status", "--porcelain") == ""
    assert project.git("tag") == "demo-1.3.0"
    assert project.git("rev-parse", "demo-1.3.0^{commit}") == record.commit == project.git("rev-parse", "HEAD")
    assert project.published() == {"1.3.0": digest}
    assert servers(project) == []
    assert set(project.plan(part="minor", tag=True).values()) == {"same"}


@pytest.fixture
def digest(project: Project) -> str:
    """What the release publishes when nothing interrupts it, known before it begins."""
    with prepared(project.work, Options("minor", tag=True), today=TODAY, dry_run=True) as ready:
        return ready.package.manifest_digest


@pytest.mark.parametrize("point", [*POINTS, RECORDED])
def test_killed_and_run_again(project: Project, digest: str, point: str) -> None:
    kill(project, signal.SIGKILL, point)
    finish(project, digest)


def descendants(pid: int) -> list[int]:
    """The processes that one has started, and those that they have."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                words = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(words[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found[1:]


def kill_with_all(driver: forked.Started) -> None:
    """SIGKILL for a driver and all that it has started, at once, as a container or a power cut ends them."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(driver.pid, signal.SIGSTOP)
        below = descendants(driver.pid)
        for pid in (driver.pid, *below):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("seed", range(CHAINS))
@pytest.mark.parametrize("end", [lambda driver: driver.kill(), kill_with_all], ids=["alone", "with all"])
def test_killed_at_random_instants_and_run_again(
    project: Project, digest: str, seed: int, end: Callable[[forked.Started], None]
) -> None:
    draw = random.Random(seed)
    for _ in range(5):
        steps, delay = draw.randrange(4), draw.uniform(0, 0.5)
        out, into = os.pipe()
        with os.fdopen(out, "rb") as said, os.fdopen(into, "wb") as told:
            argv, env = (DRIVER, "SIGKILL", "never"), environment(project)
            driver = forked.start(*argv, cwd=project.root, env=env, stdout=told.fileno(), stderr=2)
            told.close()
            for _ in range(steps):
                said.readline()
            time.sleep(delay)  # the instant is what is tried
            end(driver)
            driver.wait()
        if driver.returncode == 0:
            break  # it was faster
        assert driver.returncode == -signal.SIGKILL
    finish(project, digest)


@pytest.mark.parametrize(("state", "refs"), [("prepared", "heads"), ("committed", "heads"), ("prepared", "tags")])
def test_killed_within_git_and_run_again(project: Project, root: Path, digest: str, state: str, refs: str) -> None:
    script = f"""#!/bin/sh
[ "$1" = {state} ] && grep -q refs/{refs}/ && [ ! -e killed ] || exit 0
touch killed
pid=$PPID
while [ "$pid" != {os.getpid()} ]; do pids="$pids $pid"; pid=$(cut -d " " -f 4 "/proc/$pid/stat"); done
kill -KILL $pids
"""
    hook = project.root / ".git/hooks/reference-transaction"
    hook.write_text(script)
    hook.chmod(0o755)
    (project.root / ".git/info/exclude").write_text("killed\n")
    env = {**environment(project), "PYTHONPATH": str(root)}  # not what is forked: the hook ends all up to this process
    driver = subprocess.run((sys.executable, "-m", DRIVER, "SIGKILL", "never"), cwd=project.root, env=env)
    assert driver.returncode == -signal.SIGKILL
    if state == "prepared":  # git leaves its locks, and only who is there knows whether another git has them
        assert list((project.root / ".git").rglob("*.lock"))
        with pytest.raises(GitError) as told:
            project.release(part="minor", tag=True)
        assert told.value.run is not None
        subprocess.run(shlex.split(told.value.run.partition(",")[0]), check=True)
    finish(project, digest)


def test_killed_between_the_edits_and_run_again_tomorrow(project: Project) -> None:
    kill(project, signal.SIGKILL, "CHANGELOG.md")
    project.release(part="minor", tag=True, today=TODAY + datetime.timedelta(days=1))
    assert f"## [1.3.0] - {TODAY}" in (project.root / "CHANGELOG.md").read_text()
    assert project.git("status", "--porcelain") == ""


def test_half_a_bump_is_taken_back_whole_where_the_next_run_fails(project: Project) -> None:
    kill(project, signal.SIGKILL, "Chart.yaml")
    assert "M chart/Chart.yaml" in project.git("status", "--porcelain")
    full = Project(project.work.having(dist=Path("/dev/null/dist")))
    with pytest.raises(OutputError):
        full.release(part="minor")
    assert project.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("ending", "point"),
    [(signal.SIGINT, "checking"), *((signal.SIGTERM, point) for point in ("packaging", *FILES))],
    ids=str,
)
def test_a_signal_before_the_commit_leaves_the_tree_as_it_was(
    project: Project, ending: signal.Signals, point: str
) -> None:
    driver = drive(project, ending, point)
    assert "Interrupted" in driver.stderr
    assert project.git("status", "--porcelain") == ""
    assert project.git("log", "--format=%s") == "Add the chart"
    assert servers(project) == []
    assert project.published() == {}
