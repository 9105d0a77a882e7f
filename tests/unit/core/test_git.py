"""Git is asked in real repositories, whatever the names in them."""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.core.command import Runner
from scripts.core.errors import SAME_COMMAND, GitError
from scripts.core.git import Remote, Repository, cloned, find_repository, why_absent


@pytest.fixture(autouse=True)
def identity(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's settings but these."""
    config = tmp_path_factory.mktemp("git") / "config"
    config.write_text("[user]\nname = Tester\nemail = tester@example.org\n[init]\ndefaultBranch = main\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def repository(tmp_path: Path, runner: Runner) -> Repository:
    """One with a commit."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / "a b.txt").write_text("one\n")
    (tmp_path / "other").write_text("x\n")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "First\n\nwords")
    found = find_repository(tmp_path / "chart", runner)
    assert found is not None
    return found


def git(folder: Path, *words: str) -> str:
    return subprocess.run(("git", "-C", folder, *words), check=True, capture_output=True, text=True).stdout.strip()


def test_where_there_is_none(tmp_path: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_repository(tmp_path, runner) is None
    assert find_repository(tmp_path, Runner(secrets=["not"])) is None  # a password that is a part of git's words
    git(tmp_path, "init", "--quiet")
    empty = find_repository(tmp_path, runner)
    assert empty is not None
    assert (empty.commit(), empty.tags(), empty.changes()) == (None, {}, ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match="is in a git repository, and no git can be run") as told:
        find_repository(tmp_path, runner)  # what is committed, then?
    assert told.value.run == "install git"
    (tmp_path / ".git").rename(tmp_path / "gone")
    assert find_repository(tmp_path, runner) is None


def test_what_came_before_an_action_whose_hooks_commit_too(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = str(repository.commit())
    assert repository.before("release demo 1.3.0", first) is None
    monkeypatch.setenv("GIT_REFLOG_ACTION", "release demo 1.3.0")
    for text in ("of us", "of a hook"):
        git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", text)
    assert repository.before("release demo 1.3.0", str(repository.commit())) == first
    assert repository.before("release demo 1.3.1", str(repository.commit())) is None


@pytest.mark.parametrize("said", ["fatal: cannot write x: No space left on device", "error: unable to write file x"])
def test_a_full_disk_is_none_of_the_repositorys_faults(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    (fake := tmp_path / "full" / "git").parent.mkdir()
    fake.write_text(f"#!/bin/sh\necho '{said}' >&2; exit 128\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent))
    for asked in (repository.changes, lambda: repository.try_tag("demo-1.3.0", "0" * 40)):
        with pytest.raises(GitError) as told:
            asked()
        assert (told.value.code, told.value.doctor, told.value.run) == (4, "disk", "make room there, or set TMPDIR")


def test_a_limit_on_files_ends_git_and_is_none_of_the_repositorys_faults(repository: Repository) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        with pytest.raises(GitError, match="File size limit exceeded") as told:
            repository.keep(os.urandom(9000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (told.value.code, told.value.run, told.value.doctor) == (4, f"ulimit -f unlimited, then {SAME_COMMAND}", "")


def damaged(root: Path) -> None:
    (root / ".git/HEAD").write_text("")


def leading_nowhere(root: Path) -> None:
    shutil.rmtree(root / ".git")
    (root / ".git").write_text("gitdir: ../gone\n")


def said_to_have_no_files(root: Path) -> None:
    git(root, "config", "core.bare", "true")


def said_to_have_its_files_elsewhere(root: Path) -> None:
    (root / "../other").resolve().mkdir(exist_ok=True)
    git(root, "config", "core.worktree", "../../other")


@pytest.mark.parametrize("broken", [damaged, leading_nowhere, said_to_have_no_files, said_to_have_its_files_elsewhere])
def test_one_that_is_broken_is_not_none(repository: Repository, broken: Callable[[Path], None]) -> None:
    broken(repository.root)
    with pytest.raises(GitError, match="git cannot read the repository around"):
        find_repository(repository.root / "chart", repository.runner)


@pytest.mark.parametrize("scope", ["--local", "--worktree"])
@pytest.mark.parametrize(("name", "value"), [("core.bare", "true"), ("core.worktree", "/usr")])
def test_what_is_to_be_run_brings_its_files_back(repository: Repository, name: str, value: str, scope: str) -> None:
    git(repository.root, "config", "extensions.worktreeConfig", "true")
    git(repository.root, "config", "--unset", "core.bare")
    git(repository.root, "config", scope, name, value)
    with pytest.raises(GitError) as told:
        find_repository(repository.root, repository.runner)
    subprocess.run(shlex.split(str(told.value.run)), cwd=repository.root, check=True)
    assert find_repository(repository.root, repository.runner) == repository


def test_above_the_working_trees_of_a_bare_clone_one_of_them_is_named(
    repository: Repository, runner: Runner, tmp_path: Path
) -> None:
    top = tmp_path / "top"
    git(tmp_path, "clone", "--quiet", "--bare", ".", str(top / ".bare"))
    (top / ".git").write_text("gitdir: ./.bare\n")
    git(top, "worktree", "add", "--quiet", "my work", "main")
    with pytest.raises(GitError, match="must be run in a work tree") as told:
        find_repository(top, runner)
    command, _, then = str(told.value.run).partition(", ")
    assert (shlex.split(command), then) == (
        ["cd", str(top / "my work")],
        f"then {SAME_COMMAND}",
    )


@pytest.mark.parametrize("action", ["cherry-pick", "revert"])
def test_between_two_of_several_picks_one_is_in_the_middle(repository: Repository, action: str) -> None:
    for number in range(4):
        (repository.root / "other").write_text(f"{number}\n")
        git(repository.root, "commit", "--quiet", "--all", "--message", f"Say {number}")
    if action == "cherry-pick":
        git(repository.root, "checkout", "--quiet", "--detach", "HEAD~4")
    with pytest.raises(subprocess.CalledProcessError):
        git(repository.root, action, "main~1", "main~2")
    git(repository.root, "commit", "--quiet", "--all", "--allow-empty", "--message", "Settled")
    assert git(repository.root, "status", "--porcelain") == ""
    assert repository.unfinished() == action
    git(repository.root, action, "--quit")
    assert repository.unfinished() is None


def test_a_hooks_environment_does_not_lead_elsewhere(
    repository: Repository, runner: Runner, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    git(elsewhere, "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(elsewhere / ".git"))
    found = find_repository(repository.root / "chart", runner)
    assert found is not None
    assert found.root == repository.root.resolve()


def test_commits(repository: Repository) -> None:
    first = git(repository.root, "rev-parse", "HEAD")
    assert (repository.commit(), repository.parent()) == (first, None)
    for nothing in ("nonsense", "--version", "HEAD~9"):
        assert repository.commit(nothing) is None
    git(repository.root, "commit", "--allow-empty", "--quiet", "--message", "Second")
    (repository.root / ".git" / "info").mkdir(exist_ok=True)
    (repository.root / ".git" / "info" / "grafts").write_text(f"{repository.commit()}\n")  # no clone would have it
    assert repository.parent() == first


def test_a_shallow_clone_does_not_tell_what_changed(
    repository: Repository, runner: Runner, tmp_path_factory: pytest.TempPathFactory
) -> None:
    git(repository.root, "commit", "--allow-empty", "--quiet", "--message", "Second")
    shallow = tmp_path_factory.mktemp("shallow")
    git(shallow, "clone", "--quiet", "--depth=1", f"file://{repository.root}", ".")
    found = find_repository(shallow, runner)
    assert found is not None
    with pytest.raises(GitError, match=r"(?s)shallow.*git fetch --deepen=1"):
        found.parent()


def test_branches_and_what_they_lack(
    repository: Repository, runner: Runner, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert (repository.branch(), repository.behind()) == ("main", 0)  # without an upstream
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "--quiet", str(repository.root), ".")
    git(repository.root, "commit", "--allow-empty", "--quiet", "--message", "Second")
    git(clone, "fetch", "--quiet")
    found = find_repository(clone, runner)
    assert found is not None
    assert found.behind() == 1
    git(clone, "checkout", "--quiet", "--detach")
    assert (found.branch(), found.behind()) == (None, 0)


def test_what_the_remote_holds_of_a_branch_without_upstream_and_of_none(repository: Repository, tmp_path: Path) -> None:
    commit = str(repository.commit())
    assert repository.remote("v1") is None
    git(tmp_path, "init", "--quiet", "--bare", "theirs")
    git(repository.root, "remote", "add", "origin", str(tmp_path / "theirs"))
    git(repository.root, "push", "--quiet", "origin", "main")
    git(repository.root, "tag", "v1")
    assert repository.remote("v1") == Remote("origin", commit, None, None)  # `main` has no upstream, and is there
    git(repository.root, "push", "--quiet", "origin", "tag", "v1")
    git(repository.root, "switch", "--quiet", "--detach")
    assert repository.remote("v1") == Remote("origin", None, commit, commit)


@pytest.mark.parametrize("way", ["pushurl", "two pushurls", "pushInsteadOf", "two urls"])
def test_a_tag_is_asked_for_where_it_would_be_pushed_to(repository: Repository, tmp_path: Path, way: str) -> None:
    commit, (theirs, fork) = str(repository.commit()), (str(tmp_path / name) for name in ("theirs", "fork"))
    for name in (theirs, fork):
        git(tmp_path, "init", "--quiet", "--bare", name)
    git(repository.root, "remote", "add", "origin", theirs)
    git(repository.root, "push", "--quiet", fork, "main", "HEAD:refs/tags/v1")
    pushed = {"pushurl": [fork], "two pushurls": [theirs, fork], "two urls": [fork]}.get(way, [])
    for address in pushed:
        git(repository.root, "config", "--add", f"remote.origin.{'url' if way == 'two urls' else 'pushurl'}", address)
    if way == "pushInsteadOf":
        git(repository.root, "config", f"url.{fork}.pushInsteadOf", theirs)
    assert repository.remote("v1") == Remote(fork, commit, commit, commit)
    repository.take_tag(fork, "v1")


def test_why_there_is_no_commit_is_told_where_nothing_can_be_taken_back(repository: Repository) -> None:
    hook = repository.root / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch .git/index.lock\necho the hook says no\nexit 1\n")
    hook.chmod(0o755)
    (repository.root / "other").write_text("y\n")
    with pytest.raises(GitError, match="the hook says no"):
        repository.make_commit("Second", {repository.root / "other": b"two\n"})


@pytest.mark.parametrize("away", ["reset --quiet --soft HEAD~1", "reset --quiet --hard HEAD~1", "switch -qfc b HEAD~1"])
def test_a_commit_that_a_hook_takes_away_is_none(repository: Repository, away: str) -> None:
    hook = repository.root / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nunset GIT_INDEX_FILE\ngit {away}\n")
    hook.chmod(0o755)
    (repository.root / "other").write_text("y\n")
    with pytest.raises(GitError, match=r"(?s)git made no commit.*took it away") as refusal:
        repository.make_commit("Second", {repository.root / "other": b"two\n"})
    assert "post-commit" in str(refusal.value.run)
    assert git(repository.root, "diff", "--cached") == ""


def test_changes_are_named_from_the_root(repository: Repository) -> None:
    assert repository.changes() == ()
    (repository.root / "chart" / "a b.txt").write_text("two\n")
    (repository.root / "chart" / "é\tnew").write_text("")
    git(repository.root, "mv", "other", "moved")
    (repository.root / ".gitignore").write_text("ignored\n")
    (repository.root / "ignored").write_text("")
    assert repository.changes() == (".gitignore", "chart/a b.txt", "chart/é\tnew", "moved", "other")


def test_a_file_of_a_revision(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> None:
    file, first = repository.root / "chart" / "a b.txt", str(repository.commit())
    file.write_bytes(b"\xff\n")
    assert repository.file_at(first, file) == b"one\n"
    assert repository.file_at(first, repository.root / "nothing") is None
    assert repository.file_at(first, file.parent, as_checkout=True) is None
    git(repository.root, "commit", "--all", "--quiet", "--message", "Second")
    git(repository.root, "config", "core.autocrlf", "true")
    assert repository.file_at(str(repository.commit()), file) == b"\xff\n"
    assert repository.file_at(first, file, as_checkout=True) == b"one\r\n"
    with pytest.raises(GitError, match="not inside the git repository"):
        repository.file_at(first, tmp_path_factory.mktemp("into") / "x")


def test_a_file_whose_content_is_lost_is_not_taken_for_none(repository: Repository) -> None:
    lost = git(repository.root, "rev-parse", "HEAD:other")
    (repository.root / ".git/objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(GitError, match=f"{lost} is missing in") as told:
        repository.file_at(str(repository.commit()), repository.root / "other")
    assert told.value.run == "git fsck"
    git(repository.root, "rm", "--quiet", "--cached", "other")
    git(repository.root, "commit", "--quiet", "--message", "Without it")
    lost = git(repository.root, "rev-parse", "HEAD^^{tree}")
    (repository.root / ".git/objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(GitError, match="git ls-tree failed") as told:
        Repository(repository.root, Runner()).file_at(git(repository.root, "rev-parse", "HEAD^"), repository.root / "x")
    assert told.value.run == "git fsck"


def test_a_commit_takes_the_named_files_only(repository: Repository) -> None:
    for name in ("chart/a b.txt", "other"):
        (repository.root / name).write_text("two\n")
    git(repository.root, "add", "other")
    commit = repository.make_commit("Second", {repository.root / "chart" / "a b.txt": b"two\n"})
    assert commit == repository.commit() == repository.commit(":/Sec")
    assert git(repository.root, "show", "--format=", "--name-only") == "chart/a b.txt"
    assert repository.changes() == ("other",)


def test_a_commit_takes_what_is_there_in_a_sparse_checkout(repository: Repository) -> None:
    git(repository.root, "sparse-checkout", "set", "--no-cone", "/chart/")
    (repository.root / "other").write_text("two\n")
    repository.make_commit("Second", {repository.root / "other": b"two\n"})
    assert git(repository.root, "show", "HEAD:other") == "two"
    assert repository.changes() == ()


def test_a_tag_is_fetched_and_no_submodule(repository: Repository, tmp_path: Path) -> None:
    inner, clone, near = tmp_path / "inner", tmp_path / "clone", ("-c", "protocol.file.allow=always")
    git(tmp_path, "clone", "--quiet", str(repository.root), str(inner))
    git(repository.root, *near, "submodule", "--quiet", "add", str(inner), "inner")
    git(repository.root, "commit", "--quiet", "--message", "Second")
    git(tmp_path, *near, "clone", "--quiet", "--recursive", str(repository.root), str(clone))
    inner.rename(tmp_path / "gone")
    git(clone, "config", "submodule.recurse", "true")
    git(repository.root, "tag", "v1")
    found = find_repository(clone, repository.runner)
    assert found is not None
    found.take_tag("origin", "v1")
    assert list(found.tags()) == ["v1"]


def test_tags_lead_to_commits(repository: Repository) -> None:
    commit = repository.commit()
    assert commit is not None
    git(repository.root, "tag", "light")
    repository.make_tag("demo-1.0.0", "demo 1.0.0", commit)
    git(repository.root, "tag", "-a", "-m", "again", "nested", "demo-1.0.0")  # as `git tag -f -s v1 v1` makes it
    assert repository.tags() == {"light": commit, "demo-1.0.0": commit, "nested": commit}
    assert git(repository.root, "cat-file", "-t", "demo-1.0.0") == "tag"
    with pytest.raises(GitError, match=r"(?s)git tag failed.*already exists"):
        repository.make_tag("demo-1.0.0", "again", commit)


@pytest.mark.parametrize("content", ["", f"{'1' * 40}\n"])
def test_a_tag_that_a_power_cut_left_is_not_taken_for_none(repository: Repository, content: str) -> None:
    git(repository.root, "tag", "v1")
    (repository.root / ".git" / "refs" / "tags" / "v'2").write_text(content)
    with pytest.raises(GitError, match="refs/tags/v'2") as told:
        repository.tags()
    command, _, then = str(told.value.run).partition(", ")
    subprocess.run(shlex.split(command), cwd=repository.root, check=True)
    assert (list(repository.tags()), then) == (["v1"], f"then {SAME_COMMAND}")


def test_the_lock_of_reftable_which_git_does_not_name_is_found(repository: Repository) -> None:
    hook = repository.root / ".git/hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'fatal: prepare: cannot lock references' >&2; exit 1\n")
    hook.chmod(0o755)
    commit, lock = repository.commit(), repository.root / ".git/reftable/tables.list.lock"
    lock.parent.mkdir()
    lock.touch()
    for run in (
        f"rm {lock}, then {SAME_COMMAND}",
        f"settle what git names, then {SAME_COMMAND}",
    ):
        with pytest.raises(GitError, match="cannot lock references") as told:
            repository.try_tag("demo-1.0.0", str(commit))
        assert told.value.run == run
        lock.unlink(missing_ok=True)


def test_a_repository_of_reftable_has_its_locks_named(tmp_path: Path, runner: Runner) -> None:
    if subprocess.run(("git", "init", "--quiet", "--ref-format=reftable", tmp_path), capture_output=True).returncode:
        pytest.skip("git knows no reftable before 2.45")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "First")
    lock = tmp_path / ".git/reftable/tables.list.lock"
    lock.touch()
    assert Repository(tmp_path, runner).locks() == (str(lock),)  # there, refs/heads is a file


def test_what_pushes_a_tag_also_where_it_does_not_follow(repository: Repository, tmp_path: Path) -> None:
    commit = str(repository.commit())
    git(tmp_path, "init", "--quiet", "--bare", "theirs")
    git(repository.root, "remote", "add", "origin", str(tmp_path / "theirs"))
    git(repository.root, "tag", "light")
    git(repository.root, "branch", "light")
    repository.make_tag("heavy", "heavy", commit)
    for tag, default in (("light", "simple"), ("heavy", "simple"), ("heavy", "simple"), ("heavy", "nothing")):
        git(repository.root, "config", "push.default", default)
        words = str(repository.push_command(tag))
        subprocess.run(words, shell=True, cwd=repository.root, check=True, capture_output=True)
        assert f"refs/tags/{tag}" in git(tmp_path / "theirs", "for-each-ref", "--format=%(refname)")
    git(repository.root, "tag", "main")
    git(repository.root, "config", "core.warnAmbiguousRefs", "false")
    git(repository.root, "commit", "--quiet", "--allow-empty", "--message", "More")
    assert (repository.branch(), repository.push_branch("main")) == ("main", "git push origin heads/main")
    subprocess.run(str(repository.push_command(None)), shell=True, cwd=repository.root, check=True, capture_output=True)
    assert git(tmp_path / "theirs", "rev-parse", "refs/heads/main") == repository.commit()
    git(repository.root, "tag", "--delete", "main")
    git(repository.root, "remote", "add", "fork", str(tmp_path / "theirs"))
    git(repository.root, "config", "branch.main.pushRemote", "fork")
    assert repository.push_command("heavy") == "git push fork main && git push fork tag heavy"
    git(repository.root, "switch", "--quiet", "--detach")
    assert repository.push_command("light") == "git push origin tag light"


@pytest.mark.parametrize(
    "push", ["HEAD:refs/for/main", "+HEAD:refs/for/main", "@:refs/for/main", "refs/heads/*:refs/for/*"]
)
def test_what_pushes_for_review_goes_where_the_remote_is_said_to_be_pushed_to(
    repository: Repository, tmp_path: Path, push: str
) -> None:
    theirs = tmp_path / "theirs"
    git(tmp_path, "clone", "--quiet", "--bare", str(repository.root), str(theirs))
    update = theirs / "hooks/update"
    update.write_text("#!/bin/sh\n[ $1 != refs/heads/main ]\n")
    update.chmod(0o755)
    git(repository.root, "remote", "add", "origin", str(theirs))
    git(repository.root, "config", "remote.origin.push", push)
    git(repository.root, "commit", "--quiet", "--allow-empty", "--message", "Release")
    repository.make_tag("heavy", "heavy", str(repository.commit()))
    words = str(repository.push_command("heavy"))
    subprocess.run(words, shell=True, cwd=repository.root, check=True, capture_output=True)
    assert git(theirs, "rev-parse", "refs/for/main", "heavy^{commit}").split() == [repository.commit()] * 2


def test_a_tag_is_not_pushed_without_its_branch(repository: Repository, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    git(tmp_path, "clone", "--quiet", "--bare", str(repository.root), str(theirs))
    git(repository.root, "remote", "add", "origin", str(theirs))
    unseen = git(theirs, "commit-tree", "-p", "main", "-m", "Theirs", "main^{tree}").strip()
    git(theirs, "update-ref", "refs/heads/main", unseen)
    git(repository.root, "commit", "--quiet", "--allow-empty", "--message", "Release")
    repository.make_tag("heavy", "heavy", str(repository.commit()))
    words = str(repository.push_command("heavy"))
    assert subprocess.run(words, shell=True, cwd=repository.root, capture_output=True).returncode
    assert git(theirs, "for-each-ref", "refs/tags") == ""


@pytest.mark.parametrize("settings", [(), ("merge.ff only",), ("fetch.prune true", "fetch.pruneTags true")])
def test_what_pushes_from_behind_the_upstream_keeps_the_tag_in_the_branch(
    repository: Repository, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    for setting in settings:
        git(repository.root, "config", *setting.split())
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "theirs")
    git(repository.root, "remote", "add", "origin", str(tmp_path / "theirs"))
    git(repository.root, "commit", "--quiet", "--allow-empty", "--message", "Theirs")
    git(repository.root, "push", "--quiet", "--set-upstream", "origin", "main")
    git(repository.root, "reset", "--quiet", "--hard", "HEAD^")
    git(repository.root, "commit", "--quiet", "--allow-empty", "--message", "Release")
    commit = str(repository.commit())
    repository.make_tag("heavy", "heavy", commit)
    words = f"GIT_EDITOR=true; export GIT_EDITOR; {repository.push_command('heavy')}"
    subprocess.run(words, shell=True, cwd=repository.root, check=True, capture_output=True)
    assert git(tmp_path / "theirs", "rev-parse", "heavy^{commit}").strip() == commit
    git(tmp_path / "theirs", "merge-base", "--is-ancestor", "heavy", "main")


def test_a_branch_without_commits_is_one_whatever_it_is_called(repository: Repository) -> None:
    git(repository.root, "checkout", "--quiet", "--orphan", "fix-broken-build")
    assert repository.commit() is None


@pytest.mark.parametrize("left", ["", "\0" * 41, "garbage\n"], ids=["empty", "zeros", "garbage"])
def test_a_branch_that_a_power_cut_left_is_not_one_without_commits(repository: Repository, left: str) -> None:
    (repository.root / ".git/refs/heads/main").write_text(left)
    with pytest.raises(GitError, match=r"(?s)HEAD cannot be read in.*broken.*git fsck"):
        repository.commit()
    git(repository.root, "symbolic-ref", "HEAD", "refs/heads/new")
    assert repository.commit() is None


@pytest.mark.parametrize("way", ["", "--set-upstream", "--detach"])
def test_what_pushes_to_a_mirror_names_nothing(repository: Repository, tmp_path: Path, way: str) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "theirs")
    git(repository.root, "remote", "add", "origin", str(tmp_path / "theirs"))
    if way == "--set-upstream":
        git(repository.root, "push", "--quiet", way, "origin", "main")
    if way == "--detach":
        git(repository.root, "switch", "--quiet", way)
    git(repository.root, "config", "remote.origin.mirror", "true")
    git(repository.root, "tag", "light")
    words = str(repository.push_command("light"))
    subprocess.run(words, shell=True, cwd=repository.root, check=True, capture_output=True)
    assert "refs/tags/light" in git(tmp_path / "theirs", "for-each-ref", "--format=%(refname)")


@pytest.mark.parametrize(
    ("branch", "remote", "default"),
    [
        ("fix/(a)&b'c;d", "origin", "simple"),
        ("fix", "a&b", "simple"),
        ("heavy", "fork", "simple"),
        ("tracking", "origin", "simple"),
        ("tracking", "origin", "current"),
    ],
    ids=["shell", "remote", "called as the tag", "of a branch", "of a branch, current"],
)
def test_what_pushes_a_tag_works_whatever_the_names(
    repository: Repository, tmp_path: Path, branch: str, remote: str, default: str
) -> None:
    for name in {"origin" if remote == "fork" else remote, remote}:
        git(tmp_path, "init", "--quiet", "--bare", f"{name}.git")
        git(repository.root, "remote", "add", name, str(tmp_path / f"{name}.git"))
    git(repository.root, "config", "push.default", default)
    git(repository.root, "switch", "--quiet", "--create", branch, "--track" if branch == "tracking" else "--no-track")
    if remote == "fork":
        git(repository.root, "push", "--quiet", "--set-upstream", "origin", branch)
        git(repository.root, "config", f"branch.{branch}.pushRemote", remote)
    git(
        repository.root,
        "branch",
        "--quiet",
        "--force",
        "main",
        git(repository.root, "commit-tree", "-m", "On", "HEAD^{tree}"),
    )
    assert repository.behind() == 0  # of `main`, that is; nothing of a remote
    git(repository.root, "commit", "--quiet", "--allow-empty", "--message", "Release")
    repository.make_tag("heavy", "heavy", str(repository.commit()))
    words = str(repository.push_command("heavy"))
    subprocess.run(words, shell=True, cwd=repository.root, check=True, capture_output=True)
    there = git(tmp_path / f"{remote}.git", "for-each-ref", "--format=%(refname)").splitlines()
    assert {f"refs/heads/{branch}", "refs/tags/heavy"} <= set(there)


def test_nothing_is_pushed_to_an_address_that_git_is_told_not_to_take(repository: Repository) -> None:
    git(repository.root, "remote", "add", "origin", "https://me:secret@example.org/x.git")
    git(repository.root, "config", "transfer.credentialsInUrl", "die")
    assert repository.push_command("heavy") is None
    with pytest.raises(GitError, match="plaintext credentials"):
        repository.remote("heavy")


def test_what_has_changed_since_is_told_whatever_a_file_is_called(repository: Repository) -> None:
    (repository.root / "HEAD").write_text("x")
    git(repository.root, "add", "--all")
    git(repository.root, "commit", "--quiet", "--message", "Second")
    assert repository.changed_since("HEAD~1") == ("HEAD",)


def test_a_repository_is_found_whatever_git_is_told_of_where_to_look(
    repository: Repository, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repository.root))
    assert find_repository(repository.root / "chart", runner) == repository


def test_without_a_name_git_says_how_to_give_one(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    git(repository.root, "config", "user.useConfigOnly", "true")
    (repository.root / "other").write_text("two\n")
    with pytest.raises(GitError, match="git commit failed") as caught:
        repository.make_commit("Second", {repository.root / "other": b"two\n"})
    assert caught.value.run is not None
    assert "git config user.email" in caught.value.run


def test_a_clone_has_the_commit_checked_out_or_says_where_it_went(
    repository: Repository, tmp_path: Path, runner: Runner
) -> None:
    first = str(repository.commit())
    (repository.root / "other").write_text("y\n")
    git(repository.root, "commit", "--quiet", "--all", "--amend", "--message", "Instead")
    second = str(repository.commit())
    url = repository.root.as_uri()
    hooks = tmp_path / "template" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "post-checkout").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "post-checkout").chmod(0o755)
    git(repository.root, "config", "--global", "core.hooksPath", str(hooks))
    git(repository.root, "config", "--global", "init.templateDir", str(hooks.parent))
    made = cloned(url, second, tmp_path / "one", runner)
    assert (made.commit(), (tmp_path / "one" / "other").read_text()) == (second, "y\n")
    with pytest.raises(GitError, match=f"{first} was replaced in ") as refusal:
        cloned(url, first, tmp_path / "two", runner)
    assert "pushed over" in str(refusal.value.found)
    with pytest.raises(GitError, match=f"has no commit {'0' * 40}") as refusal:
        cloned(url, "0" * 40, tmp_path / "three", runner)
    assert refusal.value.found == "nobody has it any longer, or it was never pushed"
    with pytest.raises(GitError, match="cannot be cloned"):
        cloned(str(tmp_path / "nowhere"), second, tmp_path / "four", runner)


def test_why_a_working_tree_lacks_a_path(repository: Repository, tmp_path: Path, runner: Runner) -> None:
    path = repository.root / "chart"
    shutil.rmtree(path)
    told = why_absent(path, runner)
    assert told is not None
    assert told[0] == "in HEAD, but not in the working tree"
    assert str(told[1]).endswith("checkout HEAD -- chart")
    assert why_absent(repository.root / "never", runner) is None
    assert why_absent(repository.root / "CHART", runner) == ("in HEAD it is called chart", None)


def test_nothing_is_known_of_a_path_where_nothing_is_committed(tmp_path: Path, runner: Runner) -> None:
    assert why_absent(tmp_path / "chart", runner) is None
    git(tmp_path, "init", "--quiet")
    assert why_absent(tmp_path / "chart", runner) is None


def test_a_signature_is_tried_only_where_it_is_asked_for(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(repository.root, "config", "gpg.program", "false")
    repository.try_signing()
    git(repository.root, "config", "tag.gpgSign", "false")
    repository.try_signing()
    git(repository.root, "config", "tag.gpgSign", "true")
    monkeypatch.setenv("GIT_CONFIG", os.devnull)  # which only `git config` looks at
    with pytest.raises(GitError, match="git cannot sign"):
        repository.try_signing()


def test_a_signature_is_tried_in_a_folder_of_any_name(tmp_path: Path, runner: Runner) -> None:
    root = tmp_path / 'a:b "c\\d'
    git(tmp_path, "init", "--quiet", str(root))
    git(root, "commit", "--allow-empty", "--quiet", "--message", "First")
    (gpg := tmp_path / "gpg").write_text("#!/bin/sh\ncat >&2\necho '[GNUPG:] SIG_CREATED D' >&2\necho signature\n")
    gpg.chmod(0o755)
    for name, value in {"gpg.program": str(gpg), "user.signingKey": "key", "tag.gpgSign": "true"}.items():
        git(root, "config", name, value)
    found = find_repository(root, runner)
    assert found is not None
    found.try_signing()


def test_where_it_is_fetched_from(repository: Repository) -> None:
    assert repository.remote_url() is None
    git(repository.root, "remote", "add", "upstream", "https://up.example/a")
    assert repository.remote_url() == "https://up.example/a"
    git(repository.root, "remote", "add", "origin", "https://own.example/a")
    assert repository.remote_url() == "https://own.example/a"
    git(repository.root, "config", "branch.main.remote", "upstream")
    assert repository.remote_url() == "https://up.example/a"
    git(repository.root, "config", "branch.main.remote", ".")
    assert repository.remote_url() == "https://own.example/a"


def test_a_checkout_writes_the_named_files_of_a_commit_and_no_others(repository: Repository, tmp_path: Path) -> None:
    (repository.root / "chart" / "a b.txt").write_text("two\n")
    into = tmp_path / "into"
    into.mkdir()
    git(repository.root, "config", "core.splitIndex", "true")
    repository.checkout("HEAD", ["chart/a b.txt"], into)
    repository.add_to_branch("pages", None, {"index.yaml": b"entries: {}\n"}, "Add it")
    assert not [*(repository.root / ".git").glob("sharedindex.*")]  # the half of an index that is gone
    assert [file.relative_to(into).as_posix() for file in into.rglob("*") if file.is_file()] == ["chart/a b.txt"]
    assert (into / "chart" / "a b.txt").read_text() == "one\n"


def test_the_branch_that_a_remote_calls_its_own_is_the_main_one(repository: Repository) -> None:
    git = ("git", "-C", repository.root)
    subprocess.run((*git, "switch", "--quiet", "--create", "feature"), check=True)
    assert repository.main_branch() == "main"
    subprocess.run((*git, "branch", "--move", "main", "stable"), check=True)
    assert repository.main_branch() == "feature"
    subprocess.run((*git, "remote", "add", "origin", "."), check=True)
    subprocess.run((*git, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/release/1"), check=True)
    assert repository.main_branch() == "release/1"
    subprocess.run((*git, "branch", "origin/release/1"), check=True)  # for which git shortens the other one less
    assert repository.main_branch() == "release/1"


def test_a_branch_that_is_checked_out_is_not_written_to(repository: Repository) -> None:
    repository.demand_free("pages")
    with pytest.raises(GitError, match="the branch main is checked out"):
        repository.demand_free("main")


def test_without_a_remote_a_branch_is_pushed_nowhere(repository: Repository) -> None:
    assert repository.push_branch("main") == ""


def test_a_tree_that_is_named_otherwise_than_by_an_id_is_that_of_now(repository: Repository) -> None:
    before = repository.tree("HEAD")
    (repository.root / "new").write_text("x\n")
    git(repository.root, "add", "new")
    git(repository.root, "commit", "--quiet", "--message", "Second")
    assert repository.tree("HEAD").keys() - before.keys() == {"new"}
