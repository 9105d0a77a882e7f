"""Two releases at once, from one clone and from two: never two contents under one version, and whoever lost is told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from scripts.core.command import Runner
from scripts.core.errors import REFUSED, SAME_COMMAND, ChangelogError, RegistryError
from scripts.registry.client import connect
from scripts.registry.reference import Registry
from scripts.release.plan import Options, prepared
from scripts.toolchain.finder import Toolchain
from tests import forked
from tests.registry.conftest import distribution_of
from tests.registry.servers import PASSWORD, USER, make_authority
from tests.release.conftest import TODAY, Project

pytestmark = pytest.mark.timeout(600)  # two releases, one after the other, beside other tests
ROUNDS = int(os.environ.get("GATI_TEST_ROUNDS", "1"))  # a race is won by chance: the more, the surer
AT_ONCE = ThreadPoolExecutor(2)


@dataclass(frozen=True)
class Shared:
    """A registry that both releases publish to: what `settings` say so, and `ask` gives digest by version."""

    settings: dict[str, str]
    ask: Callable[[], dict[str, str]]


@pytest.fixture(params=["embedded", "distribution"])
def shared(
    request: pytest.FixtureRequest, project: Project, toolchain: Toolchain, runner: Runner, tmp_path: Path
) -> Iterator[Shared]:
    if request.param == "embedded":
        yield Shared({}, project.published)
        return
    authority = make_authority(tmp_path)
    with distribution_of(toolchain, runner, tmp_path, authority) as served:
        registry: Registry = served.registry
        settings = {"GATI_REGISTRY": registry.prefix, "GATI_REGISTRY_CA": str(authority.ca)}
        login = {"GATI_REGISTRY_USERNAME": USER, "GATI_REGISTRY_PASSWORD": PASSWORD}

        def ask() -> dict[str, str]:
            with connect(registry) as client:
                found = {each: client.manifest(registry.reference("demo", each)) for each in client.versions("demo")}
            return {version: manifest.digest for version, manifest in found.items() if manifest is not None}

        yield Shared({**settings, **login}, ask)


def clone(project: Project, name: str) -> Project:
    """Another clone, with a dist/ of its own."""
    root = project.root.parent / name
    subprocess.run(("git", "clone", "--quiet", project.root, root), check=True)
    moved = {
        key: root / getattr(project.config, key).relative_to(project.root) for key in ("chart", "changelog", "dist")
    }
    return Project(replace(project.work, config=replace(project.config, root=root, project=root, **moved)))


def start(project: Project, shared: Shared, root: Path, *words: str) -> Future[subprocess.CompletedProcess[str]]:
    """`invoke release` as a person runs it."""
    argv = ("invoke", "--search-root", str(root), "release", "--yes", "--chart", "chart", *words)
    env = {
        **os.environ,
        **shared.settings,
        "PATIENT": "yes",
        "GATI_DIST": str(project.config.dist),
        "GATI_EMBEDDED_REGISTRY": str(project.config.embedded_registry),
        "GATI_CACHE_DIR": str(project.config.cache_dir),
    }
    return AT_ONCE.submit(forked.run, *argv, cwd=project.root, env=env, timeout=900)


def both(*running: Future[subprocess.CompletedProcess[str]]) -> list[tuple[int, str]]:
    """How they ended, and all that they said."""
    ended = [each.result() for each in running]
    for each in ended:
        assert "Traceback" not in each.stderr, each.stderr
    return [(each.returncode, each.stdout + each.stderr) for each in ended]


def digests(*projects: Project) -> list[str]:
    return [project.record()["digest"] for project in projects]


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize("words", [("--tag",), ("--bump", "minor", "--tag")], ids=" ".join)
class TestTheSame:
    def test_from_one_clone(
        self, project: Project, shared: Shared, root: Path, words: tuple[str, ...], round_: int
    ) -> None:
        ends = both(*(start(project, shared, root, *words) for _ in range(2)))
        assert [code for code, _ in ends] == [0, 0], ends
        assert len([text for _, text in ends if "nothing to do" in text]) == 1, ends
        version = "1.3.0" if "--bump" in words else "1.2.0"
        assert shared.ask() == {version: project.record()["digest"]}
        assert project.git("tag") == f"demo-{version}"
        assert project.git("rev-list", "--count", "HEAD") == str(len(words) // 2 + 1 if "--bump" in words else 1)
        assert project.git("status", "--porcelain") == ""

    def test_from_two_clones(
        self, project: Project, shared: Shared, root: Path, words: tuple[str, ...], round_: int
    ) -> None:
        other = clone(project, "other")
        ends = both(*(start(each, shared, root, *words) for each in (project, other)))
        codes, told = zip(*ends, strict=True)
        done = [each for each, code in zip((project, other), codes, strict=True) if code == 0]
        assert done, ends
        if len(done) == 1:  # the other saw the version before it raised its own
            assert "--bump" in words, ends
            assert REFUSED in codes, ends
            assert "1.3.0 is published" in told[codes.index(REFUSED)]
        (held,) = shared.ask().values()
        assert set(digests(*done)) == {held}


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize("words", [("--tag",), ("--bump", "minor", "--tag")], ids=" ".join)
def test_other_content_from_two_clones(
    project: Project, shared: Shared, root: Path, words: tuple[str, ...], round_: int
) -> None:
    other = clone(project, "other")
    for each, replicas in ((project, 3), (other, 4)):
        (each.root / "chart/values.yaml").write_text(f"replicas: {replicas}\n")
        each.commit("Change the replicas")
    ends = both(*(start(each, shared, root, *words) for each in (project, other)))
    codes = [code for code, _ in ends]
    assert sorted(codes) == [0, REFUSED], ends
    winner, (lost,) = (project, other)[codes.index(0)], [text for code, text in ends if code]
    assert list(shared.ask().values()) == digests(winner)
    loser = (project, other)[codes.index(REFUSED)]
    assert not (loser.config.dist / "demo.release.json").exists()
    assert loser.git("tag") == ""
    assert any(word in lost for word in ("is not overwritten", "is published")), lost


def test_who_has_lost_after_the_commit_is_told_the_way_back(
    project: Project, toolchain: Toolchain, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATI_REGISTRY_USERNAME", USER)
    monkeypatch.setenv("GATI_REGISTRY_PASSWORD", PASSWORD)
    authority, other = make_authority(tmp_path), clone(project, "other")
    with distribution_of(toolchain, runner, tmp_path, authority) as served:
        there = {"registry": served.registry.prefix, "registry_ca": authority.ca}
        ours, theirs = (Project(each.work.having(**there)) for each in (other, project))
        (ours.root / "chart/values.yaml").write_text("replicas: 4\n")
        before = ours.commit("Change the replicas")
        with prepared(ours.work, Options(part="minor"), today=TODAY) as ready:
            theirs.release(part="minor")
            with pytest.raises(RegistryError, match="is not overwritten") as lost:
                ready.run()
        assert lost.value.next == f"git reset --keep {before} && git pull --rebase, then {SAME_COMMAND}"
        ours.git("reset", "--quiet", "--keep", before)
        ours.git("pull", "--quiet", "--rebase")
        with pytest.raises(ChangelogError, match="nothing stands under Unreleased"):  # theirs took the only entry
            ours.release(part="minor")


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_another_bump_from_one_clone(project: Project, shared: Shared, root: Path, round_: int) -> None:
    ends = both(*(start(project, shared, root, "--bump", part) for part in ("minor", "patch")))
    assert sorted(code for code, _ in ends) == [0, REFUSED], ends
    (lost,) = [text for code, text in ends if code]
    assert "HEAD is the commit that raised demo" in lost
    assert list(shared.ask().values()) == digests(project)
