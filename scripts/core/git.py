"""Asks a git repository about its state, and makes commits and tags in it, whatever its user has configured."""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from scripts.core.command import Result, Runner
from scripts.core.errors import (
    OUTSIDE,
    SAME_COMMAND,
    TOOL,
    USAGE,
    CommandFailed,
    CommandTimeout,
    GitError,
    ToolError,
    last_words,
    limit,
)
from scripts.core.owner import temporary

LINK, SUBMODULE, _EXECUTABLE = "120000", "160000", "100755"  # modes in a tree
_BRANCH = "refs/heads/"
# Messages in English, since some are read here, and UTF-8 all the same for hooks; the repository is the one around the
# path we give, also inside a git hook, which sets the others; names are names, never patterns; objects are themselves;
# nothing asks questions.
_ENV: Mapping[str, str | None] = {
    "LC_ALL": "C.UTF-8",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": f"{os.devnull}/none",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM": "1",
    **dict.fromkeys(
        (
            *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE"),
            *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_SHALLOW_FILE"),
            *("GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_ATTR_SOURCE"),
            *("GIT_CEILING_DIRECTORIES", "GIT_CONFIG", "GIT_INTERNAL_SUPER_PREFIX", "GIT_REPLACE_REF_BASE", "LANGUAGE"),
        )
    ),
}
# Told by the files themselves, not by what another program last heard of them or by what a user would rather not see;
# and an index of a moment is a whole one, whose other half does not stay in the repository.
_PLAIN = ("-c", "core.fsmonitor=false", "-c", "core.splitIndex=false")
_WHO = 'git config user.name "..." && git config user.email "..."'
_GIVEN = re.compile("GIT_(AUTHOR|COMMITTER)_(NAME|EMAIL|DATE)")
_LOCKED = re.compile(r"Unable to create '(.+\.lock)': File exists")
_HEAD = re.compile(r"\+?(HEAD|@)(:|$)")  # at the beginning of what a remote is pushed to
_NOWHERE = re.compile(r"bad ref refs/tags/(\S+) \((0+\))?")
_ID = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_CLONE, _ASK, _READ = 600.0, 30.0, 300.0  # seconds
_HOOKS = 3600.0  # the same, for what runs hooks, such as all tests of a repository, or asks for a touch to sign


@dataclass(frozen=True)
class Entry:
    """A file, link or submodule of a commit: its `mode` and the id of its content."""

    mode: str
    oid: str


@dataclass(frozen=True)
class Remote:
    """What the remote `name`, or the address that is pushed to in its place, holds now: the `head` of the branch that
    ours is pushed to, and of a tag its `object` and the `commit` that this leads to; None where it has none."""

    name: str
    head: str | None
    object: str | None
    commit: str | None

    def fetching(self, tag: str) -> str:
        """What takes its `tag` in place of another one here."""
        return shlex.join(("git", "fetch", "--force", self.name, "tag", tag))


@dataclass(frozen=True)
class Repository:
    """A git working tree; `root` is its top folder."""

    root: Path
    runner: Runner

    def commit(self, revision: str = "HEAD") -> str | None:
        """The commit id of `revision`, None where there is none (HEAD of an empty repository too)."""
        # Others apart, since the words of a revision such as :/text go on to the end.
        named = revision if revision == "HEAD" or _ID.fullmatch(revision) else self.object(revision)
        found = self.object(f"{named}^{{commit}}") if named else None
        if revision == "HEAD" and found is None:
            if lost := self.object(revision):  # by a repository that is gone and lent its objects, by a disk
                raise GitError(f"{lost} is missing in {self.root}", run="git fsck")
            if "appears to be broken" in (said := self._git("log", "-1", check=False).complaint):
                raise GitError(f"HEAD cannot be read in {self.root}", found=said, run="git fsck")
        return found

    def known(self, revision: str) -> str:
        """The same of a revision that a person has named. Raises GitError for one there is not."""
        if (commit := self.commit(revision)) is None:
            raise GitError(f"git knows no revision {revision!r}", run="git fetch origin; git log --oneline", code=USAGE)
        return commit

    def parent(self) -> str | None:
        """The id of HEAD's first parent, None where there is none. Raises GitError where a shallow clone lacks it."""
        parent = self.object("HEAD^")
        if parent is None and self.shallow():
            raise GitError(
                "the clone is shallow, so what the last commit changed cannot be seen",
                run=f"git fetch --deepen=1, then {SAME_COMMAND}",
            )
        return parent

    def shallow(self) -> bool:
        """Whether the clone lacks what led to its commits."""
        return self._said("rev-parse", "--is-shallow-repository") == "true"

    def before(self, action: str, head: str) -> str | None:
        """From which commit `action`, as git's log of HEAD names it, led to `head` with its hooks; None for none."""
        form = ("--walk-reflogs", "--no-show-signature", "--max-count=1000", "-z", "--format=tformat:%H %gs")
        steps = [line.partition(" ") for line in _words(self._git("log", *form, "HEAD", "--", check=False))]
        own = itertools.dropwhile(lambda step: step[0] != head or not step[2].startswith(f"{action}: "), steps)
        return next((commit for commit, _, told in own if not told.startswith(f"{action}: ")), None)

    def branch(self) -> str | None:
        """The branch that a commit goes to; None where HEAD is detached."""
        return self._said("symbolic-ref", "--quiet", "HEAD").removeprefix(_BRANCH) or None

    def main_branch(self) -> str:
        """The branch that the remote calls its own; else main or master, where there is one, or the one at hand."""
        own = f"refs/remotes/{self._remote()}/"
        theirs = self._said("symbolic-ref", "--quiet", f"{own}HEAD").removeprefix(own)
        usual = (name for name in ("main", "master") if self.object(f"{_BRANCH}{name}"))
        return theirs or next(usual, None) or self.branch() or "main"

    def on_a_branch(self) -> bool:
        """Whether some branch, here or of a remote as it was last fetched, holds the commit at HEAD."""
        return bool(self._said("for-each-ref", "--count=1", "--contains=HEAD", "refs/heads", "refs/remotes"))

    def unfinished(self) -> str | None:
        """What somebody has begun here that the next commit would become part of: merge, rebase and the like."""
        begun = (("rebase", "rebase-merge"), ("am", "rebase-apply/applying"), ("rebase", "rebase-apply"))
        heads = (("merge", "MERGE_HEAD"), ("cherry-pick", "CHERRY_PICK_HEAD"), ("revert", "REVERT_HEAD"))
        folder = self._place("--absolute-git-dir")
        steps = folder / "sequencer" / "todo"  # what stays between two picks of several
        several = steps.read_text(errors="replace").partition(" ")[0] if steps.is_file() else ""
        between = {"pick": "cherry-pick", "revert": "revert"}.get(several)
        found = next((name for name, file in begun if (folder / file).exists()), None)
        # Which are no files with reftable.
        told = self._git("cat-file", "--batch-check", stdin="".join(f"{head}\n" for _, head in heads)).stdout
        there = (name for (name, _), line in zip(heads, told.splitlines(), strict=True) if "missing" not in line)
        return found or next(there, between)

    def behind(self) -> int:
        """How many commits the branch lacks that its upstream has, as the last fetch saw it; 0 without one."""
        if not self._said("rev-parse", "--symbolic-full-name", "@{upstream}").startswith("refs/remotes/"):
            return 0  # a branch may track one from here, too
        count = self._git("rev-list", "--count", "HEAD..@{upstream}", "--", check=False)
        return int(count.stdout) if count.status == 0 else 0

    def remote(self, tag: str) -> Remote | None:
        """Where the branch and `tag` are pushed to, asked over the network; None without a remote. Raises GitError."""
        branch = self._said("symbolic-ref", "--quiet", "HEAD")
        name, ref = self._pushed_to(branch)
        if not name:
            return None
        asked = [self._ask(place, tag, ref or branch) for place in self._places(name)]
        return next((one for one in asked if one.object), asked[0])

    def _places(self, name: str) -> list[str]:
        """The remote `name` itself, or the addresses that git pushes to in its place (`pushurl`, more than one)."""
        fetched, pushed = (self._said("remote", "get-url", *way, "--", name) for way in ((), ("--push", "--all")))
        return [name] if pushed == fetched else pushed.splitlines()

    def _ask(self, name: str, tag: str, ref: str) -> Remote:
        tagged = f"refs/tags/{tag}"
        wanted = (tagged, f"{tagged}^{{}}", *([ref] if ref else []))
        try:
            answer = self._git("ls-remote", "--quiet", "--", name, *wanted, deadline=_ASK).stdout.splitlines()
        except GitError as error:
            lines = (error.found or error.message).splitlines()
            said = next((line for line in lines if not line.lower().startswith("warning")), lines[-1])
            raise GitError(f"{name} cannot be asked what it has of the tag {tag}", found=said) from error
        held = {found: oid for oid, _, found in (line.partition("\t") for line in answer)}
        return Remote(name, held.get(ref), held.get(tagged), held.get(f"{tagged}^{{}}", held.get(tagged)))

    def _pushed_to(self, branch: str) -> tuple[str, str]:
        """The remote that the ref `branch` is pushed to, "" without one, and the ref there, "" where none is said."""
        form = "--format=%(push:remotename)%00%(push:remoteref)"
        told = self._git("for-each-ref", form, branch).stdout.rstrip("\n") if branch else ""
        name, _, ref = told.partition("\0")
        return (name, ref) if name not in ("", ".") else (self._remote() or "", "")  # the latter: a branch from here

    def lacks(self, commit: str) -> bool:
        """Whether HEAD does not lead to `commit`, which may be unknown here."""
        return not self._leads(commit, "HEAD")

    def _leads(self, one: str, other: str) -> bool:
        return self._git("merge-base", "--is-ancestor", one, other, check=False).status == 0

    def take_tag(self, remote: str, name: str) -> None:
        """Fetch the tag `name`, which is not here yet. Raises GitError."""
        words = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules")
        self._git(*words, "--", remote, f"refs/tags/{name}:refs/tags/{name}", deadline=_CLONE)

    def object(self, ref: str) -> str | None:
        """The id of the object that `ref` names, a tag's own too; None where there is none."""
        return self._said("rev-parse", "--verify", "--quiet", "--end-of-options", ref) or None

    def changes(self) -> tuple[str, ...]:
        """The paths, from the root, that differ from HEAD or are not tracked; ignored files are not among them."""
        # Without optional locks, so that asking never gets in the way of a git command of someone else.
        words = self._git(
            *("--no-optional-locks", "status", "--porcelain=v1", "-z", "--untracked-files=all"),
            *("--no-renames", "--ignore-submodules=none"),
        )
        return tuple(sorted(line[3:] for line in _words(words) if line))

    def tree(self, commit: str) -> Mapping[str, Entry]:
        """All that a commit holds, by path; of one that is named by its id git is asked once. Raises GitError."""
        trees, _ = _read(self)
        if commit not in trees or not _ID.fullmatch(commit):
            lines = _words(self._git("ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit))
            told = (line.partition("\t") for line in lines)
            trees[commit] = {path: Entry(*words.split(" ")[::2]) for words, _, path in told}
        return trees[commit]

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        """Contents by id, as they are kept: no line end or keyword changed, no filter run. Raises GitError."""
        (_, found), oids = _read(self), dict.fromkeys(oids)
        wanted = [oid for oid in oids if oid not in found]
        if wanted:
            raw = self._git("cat-file", "--batch", stdin="\n".join(wanted) + "\n", deadline=_READ).raw
        at = 0
        for oid in wanted:
            end = raw.index(b"\n", at)
            words = raw[at:end].split()
            if len(words) != 3:
                raise GitError(f"{oid} is missing in {self.root}", found=raw[at:end].decode(), run="git fsck")
            at = end + 1 + int(words[2]) + 1
            found[oid] = raw[end + 1 : at - 1]
        return {oid: found[oid] for oid in oids}

    def checkout(self, revision: str, paths: Sequence[str], into: Path) -> None:
        """Write the files `paths` of a commit below `into` as a checkout of it would. Raises GitError."""
        with temporary("index") as scratch:
            env = {"GIT_INDEX_FILE": f"{scratch}/index", "GIT_WORK_TREE": str(into)}
            self._git("-c", "core.sparseCheckout=false", "read-tree", revision, env=env)
            names = "".join(f"{path}\0" for path in paths)
            self._git("checkout-index", "--quiet", "-z", "--stdin", stdin=os.fsencode(names), env=env, deadline=_READ)

    def flags(self, *places: Path) -> dict[str, str]:
        """The tracked paths in `places`, each with its letter: S is skip-worktree, a small one assume-unchanged."""
        lines = _words(self._git("ls-files", "-v", "-z", "--full-name", "--", *map(self.inside, places)))
        return {line[2:]: line[0] for line in lines}

    def ignored(self, path: str) -> bool:
        """Whether a .gitignore names `path`, from the root."""
        env = {"GIT_LITERAL_PATHSPECS": None}  # which it does not know; after ./ nothing is a pattern
        return self._git("check-ignore", "--quiet", "--", f"./{path}", check=False, env=env).status == 0

    def filter_of(self, path: str) -> str | None:
        """The filter (`filter=NAME` in .gitattributes) that `path`, from the root, goes through, if it is set up."""
        set_up = self._said("config", "--name-only", "--get-regexp", r"^filter\.").splitlines()
        *_, name = _words(self._git("check-attr", "-z", "filter", "--", path))
        return name if any(f".{name}." in each for each in set_up) else None

    def stored(self, path: str) -> str:
        """The id that the file `path`, from the root, would have in a commit. Raises GitError."""
        return self._git("hash-object", "--", path).stdout.strip()

    def changed_since(self, revision: str) -> tuple[str, ...]:
        """The paths, from the root, that differ from the merge base with `revision`, and `changes`. Raises GitError."""
        base = self._said("merge-base", "HEAD", self.known(revision))
        if not base:
            run = f"git fetch --unshallow, then {SAME_COMMAND}" if self.shallow() else "name another revision"
            raise GitError(f"HEAD and {revision} have no commit in common here", run=run)
        committed = self._git("diff-tree", "-r", "--name-only", "--no-renames", "-z", base, "HEAD", "--")
        return tuple(sorted({*_words(committed), *self.changes()}))

    def tags(self) -> dict[str, str]:
        """Every tag and the object it leads to in the end, a commit as a rule. Raises GitError."""
        words = ("show-ref", "--tags", "--dereference")
        if (result := self._git(*words, check=False)).status > 1:  # 1 without a tag
            self._git(*words)  # which says why: one that leads nowhere keeps git from naming the others
        told = (line.partition(" refs/tags/") for line in result.stdout.splitlines())
        return {name.removesuffix("^{}"): oid for oid, _, name in told}  # the last line of a tag is where it leads

    def file_at(self, commit: str, path: Path, *, as_checkout: bool = False) -> bytes | None:
        """The content of `path` in a commit, or None; `as_checkout`: by this clone's line ends. Raises GitError."""
        kept = self.content(commit, inside := self.inside(path))
        if kept is None or not as_checkout:
            return kept
        return self._git("cat-file", "--filters", f"{commit}:{inside}").raw

    def content(self, commit: str, path: str) -> bytes | None:
        """The same of the file `path`, from the root."""
        entry = self.tree(commit).get(path)
        return None if entry is None or entry.mode == SUBMODULE else self.blobs([entry.oid])[entry.oid]

    def fetch_submodules(self) -> str:
        """Check out the submodules of HEAD, where it has some; why that failed, "" where it did not."""
        if not (self.root / ".gitmodules").is_file():
            return ""
        words = ("-c", "protocol.ext.allow=never", "submodule", "--quiet", "update", "--init", "--recursive")
        result = self._git(*words, check=False, deadline=_CLONE)
        return _reason(result.stderr) if result.status else ""

    def make_commit(self, message: str, files: Mapping[Path, bytes]) -> str:
        """Commit `files`, each with the content that is to be kept, and nothing else that is staged; the commit's id.

        Whatever they hold by now: a person may write them meanwhile. Raises GitError.
        """
        names, before = {self.inside(path): content for path, content in files.items()}, self.commit()
        staged = set(_words(self._git("diff-index", "--cached", "--name-only", "--no-renames", "-z", "HEAD", "--")))
        # A commit of the whole index where that is the same: then what a hook adds stands in the index afterwards, too.
        only = ("--", *names) if staged - names.keys() else ()
        env: dict[str, str | None] = {"GIT_REFLOG_ACTION": message}
        if not only:  # what hooks run finds the names as patterns again
            env |= {"GIT_LITERAL_PATHSPECS": None, "GIT_NO_REPLACE_OBJECTS": None}
        try:
            if not only:  # whatever is ignored around them, or is outside of a sparse checkout
                self._stage(names)
            words = ("--quiet", "--cleanup=verbatim", "--message", f"{message}\n")
            self._git("commit", *words, *only, deadline=_HOOKS, env=env)
            commit = self.commit()
            if commit is None or (before is not None and self._leads(commit, before)):
                raise GitError(
                    f"git made no commit in {self.root}",
                    found=f"HEAD is at {commit}: a hook that runs after a commit took it away",
                    run=f"mend that hook (post-commit, post-rewrite), then {SAME_COMMAND}",
                )
            return commit
        except BaseException:
            if not only:
                self._git("reset", "--quiet", "--", *names, check=False)
            raise

    def _stage(self, files: Mapping[str, bytes], env: Mapping[str, str | None] | None = None) -> None:
        """Put content into the index as it is to be kept: no line end changed, no filter run. Raises GitError."""
        told = _words(self._git("ls-files", "--stage", "-z", "--", *files, env=env))
        run = {line.partition("\t")[2] for line in told if line.startswith(_EXECUTABLE)}
        modes = {path: _EXECUTABLE if path in run else "100644" for path in files}
        entries = "".join(f"{modes[path]} {self.keep(content)}\t{path}\0" for path, content in files.items())
        self._git("update-index", "-z", "--index-info", stdin=os.fsencode(entries), env=env)

    def keep(self, content: bytes) -> str:
        """Keep `content` among git's objects; its id. Raises GitError."""
        return self._git("hash-object", "-w", "--stdin", stdin=content).stdout.strip()

    def go_back(self, commit: str) -> None:
        """Take HEAD back to `commit`, and what was committed since; what else is changed stays. Raises GitError."""
        self._git("reset", "--quiet", "--keep", commit)

    def make_tag(self, name: str, message: str, commit: str) -> None:
        """Make the annotated tag `name` at `commit`. Raises GitError."""
        words = ("--annotate", "--cleanup=verbatim", "--message", f"{message}\n")  # a signature needs a line of its own
        self._git("tag", *words, name, commit, deadline=_HOOKS)

    def remote_url(self) -> str | None:
        """Where the repository is fetched from; None without a remote."""
        name = self._remote()
        return self._said("remote", "get-url", "--", name) or None if name else None

    def bad_branch(self, name: str) -> bool:
        """Whether no branch can be called so."""
        return self._git("check-ref-format", "--branch", name, check=False).status != 0

    def head_of(self, branch: str) -> str | None:
        """The last commit of a branch, here or as last fetched. Raises GitError where the two have gone apart."""
        here, there = self.object(f"{_BRANCH}{branch}"), self._remote_head(branch)
        if here is None or there is None or here == there:
            return here or there
        for one, other in ((here, there), (there, here)):
            if self._leads(one, other):
                return other
        theirs = f"{self._remote()}/{branch}"
        raise GitError(
            f"the branch {branch} and the one of the remote have gone apart",
            expected="nothing of it that is here alone, which is given up",
            found=f"{here[:12]} here, {there[:12]} there",
            run=f"{shlex.join(('git', 'branch', '--force', branch, theirs))}, then {SAME_COMMAND}",
        )

    def demand_free(self, branch: str) -> None:
        """Raises GitError where the branch is checked out, or the remote has more of it, as for a clone of one."""
        for lines in map(str.splitlines, self._git("worktree", "list", "--porcelain").stdout.split("\n\n")):
            if f"branch {_BRANCH}{branch}" in lines:
                where = lines[0].removeprefix("worktree ")
                gone = None if Path(where).is_dir() else f"git worktree prune, then {SAME_COMMAND}"
                run = gone or "switch to another one there"
                raise GitError(f"the branch {branch} is checked out in {where}", run=run)
        remote, head = self._remote() or "", self.head_of(branch)
        theirs = self._said("ls-remote", "--", remote, f"{_BRANCH}{branch}").partition("\t")[0] if remote else ""
        if theirs and not (head and self._leads(theirs, head)):
            fetch = shlex.join(("git", "fetch", remote, f"{_BRANCH}{branch}:refs/remotes/{remote}/{branch}"))
            raise GitError(
                f"{remote} has more of the branch {branch} than is here", run=f"{fetch}, then {SAME_COMMAND}"
            )

    def add_to_branch(self, branch: str, head: str | None, files: Mapping[str, bytes], message: str) -> str:
        """Commit `files` on top of `head` of a branch; no working tree and no index is touched. Raises GitError."""
        self.demand_free(branch)
        with temporary("index") as scratch:
            env = {"GIT_INDEX_FILE": f"{scratch}/index"}
            self._git("read-tree", *([head] if head else ["--empty"]), env=env)
            self._stage(files, env)
            tree = self._git("write-tree", env=env).stdout.strip()
        words = (*(("-p", head) if head else ()), *(("--gpg-sign",) if self.signs("commit") else ()))
        commit = self._git("commit-tree", tree, *words, "-m", message, deadline=_HOOKS).stdout.strip()
        old = self.object(f"{_BRANCH}{branch}") or "0" * len(commit)
        self._git("update-ref", "-m", message, f"{_BRANCH}{branch}", commit, old, deadline=_HOOKS)
        return commit

    def push_branch(self, branch: str) -> str:
        """What brings a branch to where others are; "" where nothing does, or it is there."""
        remote, ref = self._remote(), f"{_BRANCH}{branch}"
        lacking = remote and self._remote_head(branch) != self.object(ref)
        return shlex.join(("git", "push", str(remote), self._short(ref))) if lacking else ""

    def _short(self, ref: str) -> str:
        """How a person names `ref`, so that git does not find a tag of the same name in it."""
        return self._said("rev-parse", "--abbrev-ref=strict", ref)

    def _remote(self) -> str | None:
        """The remote that the branch comes from, as git has it; else `origin`, or the first."""
        remotes = self._git("remote").stdout.split()
        own = self.setting(f"branch.{self.branch()}.remote") if len(remotes) > 1 else ""
        return next((name for name in (own, "origin", *remotes) if name in remotes), None)

    def _remote_head(self, branch: str) -> str | None:
        remote = self._remote()
        return self.object(f"refs/remotes/{remote}/{branch}") if remote else None

    def push_command(self, tag: str | None, *, alone: bool = False) -> str | None:
        """What pushes HEAD's branch, and `tag` once that is there, or `alone`; None where nothing is to be pushed."""
        ref, remote = self._said("symbolic-ref", "--quiet", "HEAD"), ""
        with contextlib.suppress(GitError):  # as of an address that git is told not to take
            remote, _ = self._pushed_to(ref)
        if not remote:
            return None
        branch = None if alone or not ref else self._short(ref)
        mirror = self.setting(f"remote.{remote}.mirror", "--type=bool") == "true"
        if mirror:  # git takes no names for one, and pushes all
            return shlex.join(("git", "push", remote))
        steps: list[Sequence[str]] = []
        # A rebase would leave the tag elsewhere; merge.ff may allow no merge, and fetch.pruneTags takes the tag away.
        if branch is not None and self.behind():
            steps.append(("git", "pull", "--no-rebase", "--ff", "--no-prune"))
        if branch is not None:
            tracking = () if self.object("@{upstream}") else ("--set-upstream",)
            pushed = self._said("config", "--get-all", f"remote.{remote}.push").splitlines()
            head = next(filter(_HEAD.match, pushed), branch)  # as for Gerrit: git finds no branch in that by its name
            steps.append(("git", "push", *tracking, remote, head))
        if tag:  # apart: git lets a tag through whose branch is refused, and not every remote can do --atomic
            steps.append(("git", "push", remote, "tag", tag))
        return " && ".join(map(shlex.join, steps)) or None

    def try_identity(self) -> str:
        """Make sure that git knows who makes a commit or a tag, and say who does. Raises GitError."""
        for name in ("GIT_COMMITTER_IDENT", "GIT_AUTHOR_IDENT"):
            result = self._git("var", name, check=False)
            if result.status != 0:
                given = " ".join(name for name in os.environ if _GIVEN.match(name))
                raise GitError(
                    f"git does not know who you are in {self.root}",
                    found=result.stderr.strip()[-400:],
                    run=f"unset {given}" if given else _WHO,
                    doctor="git",
                )
        return result.stdout.rpartition(">")[0] + ">"

    def try_tag(self, name: str, commit: str) -> None:
        """Make sure that the tag `name` could be made now; nothing of the trial stays. Raises GitError."""
        trial = f"start\ncreate refs/tags/{name} {commit}\nprepare\nabort\n"
        try:
            self._git("update-ref", "--stdin", stdin=trial, deadline=_HOOKS)
        except GitError as error:
            error.message = f"the git tag {name} cannot be made in {self.root}"
            raise

    def signs(self, what: str = "tag") -> bool:
        """Whether the tags, or the commits, that are made here are signed."""
        return self.setting(f"{what}.gpgSign", "--type=bool") == "true"

    def try_signing(self, what: str = "tag") -> None:
        """Sign what nobody keeps, where tags, or commits, are signed. Raises GitError."""
        if not self.signs(what):
            return
        # Quoted, or a colon would part it.
        objects = str(self._place("--git-path", "objects")).replace("\\", "\\\\").replace('"', '\\"')
        with temporary("signing") as scratch:
            env = {"GIT_OBJECT_DIRECTORY": str(scratch), "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{objects}"'}
            words = ("commit-tree", "--gpg-sign", "-m", "trial", "HEAD^{tree}")
            result = self._git(*words, check=False, env=env, deadline=_HOOKS)
        if result.status != 0:
            raise GitError(
                f"{what}.gpgSign asks for signatures, and git cannot sign in {self.root}",
                expected=f"a key that works as user.signingKey, or no {what}.gpgSign",
                found=last_words(result.stderr, 8),
                run=f"git config {what}.gpgSign false, then {SAME_COMMAND}",
                doctor="signing",
            )

    def _place(self, *asked: str) -> Path:
        """A path that `git rev-parse` tells."""
        words = ("rev-parse", "--path-format=absolute", *asked)
        return Path(os.fsdecode(self._git(*words).raw).removesuffix("\n"))

    def inside(self, path: Path) -> str:
        """`path` from the root, "." for the root itself. Raises GitError for one that is elsewhere."""
        try:
            return path.resolve().relative_to(self.root).as_posix()
        except ValueError:
            run = f"keep {path.name} in the repository"
            raise GitError(f"{path} is not inside the git repository {self.root}", run=run) from None

    def setting(self, key: str, *form: str) -> str:
        """What is configured here as `key`, "" for nothing."""
        return self._said("config", *form, "--get", key)

    def _said(self, *words: str) -> str:
        """What git answers, "" where it fails."""
        return self._git(*words, check=False).stdout.strip()

    def _git(
        self,
        *words: str,
        check: bool = True,
        deadline: float = 60,
        stdin: str | bytes | None = None,
        env: Mapping[str, str | None] | None = None,
    ) -> Result:
        argv = ("git", "-C", str(self.root), *_PLAIN, *words)
        what = next(word for word in words if word[0] != "-" and "=" not in word)
        try:
            return self.runner.run(argv, env={**_ENV, **(env or {})}, check=check, deadline=deadline, stdin=stdin)
        except CommandTimeout as error:
            message = f"git {what} was still running after {deadline:g} s in {self.root}"
            run = f"see what it waits for, as a hook, then {SAME_COMMAND}"
            raise GitError(message, found=last_words(error.stderr, 8), run=run, code=TOOL) from error
        except CommandFailed as error:
            said = error.stderr.strip() or error.stdout.strip() or "git gives no reason: it may have been a hook"
            told: dict[str, Any] = {"code": OUTSIDE, "doctor": "disk"}
            if "File size limit exceeded" in said:  # by a signal
                told |= limit(OSError(errno.EFBIG, said))
            elif re.search("No space left on device|unable to write", said):  # the latter of files, without a reason
                told["run"] = "make room there, or set TMPDIR"
            elif locks := self._held_by(said):
                told = {"expected": "no other git at work there", "run": f"rm {shlex.join(locks)}, then {SAME_COMMAND}"}
            else:
                told = {"run": self._way_out(said)}
            raise GitError(f"git {what} failed in {self.root}", found=last_words(said, 8), **told) from error

    def _way_out(self, said: str) -> str:
        """What to run after a git that ended with the words `said`."""
        if "tell me who you are" in said:
            return _WHO
        if "not a tree object" in said:  # which is how it names one that is lost
            return "git fsck"
        if "promisor remote" in said:
            return f"make the remote of this partial clone reachable, then {SAME_COMMAND}"
        if (tag := _NOWHERE.search(said)) is not None:
            file = str(self._place("--git-path", f"refs/tags/{tag[1]}"))  # of which git knows no tag to delete
            return f"{shlex.join(['rm', file] if tag[2] else ['git', 'tag', '--delete', tag[1]])}, then {SAME_COMMAND}"
        return f"settle what git names, then {SAME_COMMAND}"

    def _held_by(self, said: str) -> dict[str, None]:
        """The locks for which git ended with the words `said`: of one that runs, or was killed, which had others."""
        named, unnamed = _LOCKED.findall(said)[:1], "cannot lock references" in said  # with reftable it names none
        return dict.fromkeys([*named, *self.locks()] if named or unnamed else [])

    def locks(self) -> tuple[str, ...]:
        """The files by which a git that commits keeps others away, and which one that was killed has left."""
        branch = self._said("rev-parse", "--symbolic-full-name", "HEAD")
        names = ("index", "HEAD", branch, "reftable/tables.list")
        # Not as absolute ones, for which git wants folders on the way: with reftable `refs/heads` is a file.
        places = [self.root / self._said("rev-parse", "--git-path", f"{name}.lock") for name in names]
        return tuple(str(place) for place in places if place.is_file())


@functools.lru_cache(maxsize=16)
def _read(repository: Repository) -> tuple[dict[str, Mapping[str, Entry]], dict[str, bytes]]:  # noqa: ARG001 - the key
    """The trees and contents that were read of it, by their ids, which never come to name anything else."""
    return {}, {}


def cloned(url: str, commit: str, into: Path, runner: Runner) -> Repository:
    """A clone of `url` in `into` at `commit`. Raises GitError, also for one on no branch or tag: it was pushed over."""
    plain = ("git", *_PLAIN, "-c", "protocol.ext.allow=never", "-c", f"core.hooksPath={os.devnull}")
    try:
        quiet = ("clone", "--quiet", "--template=", "--origin=origin", "--no-checkout", "--no-hardlinks")
        runner.run((*plain, *quiet, "--", url, str(into)), env=_ENV, deadline=_CLONE)
    except (CommandFailed, CommandTimeout) as error:
        raise GitError(
            f"{url} cannot be cloned", found=_reason(error.stderr), run=f"git clone {shlex.quote(url)}"
        ) from error
    repository = Repository(into.resolve(), runner)
    if repository.commit(commit) != commit:
        why = "that is a shallow clone" if repository.shallow() else "nobody has it any longer, or it was never pushed"
        fetch = ("-C", str(into), "fetch", "--quiet", "--no-tags", "origin", commit)
        runner.run((*plain, *fetch), env=_ENV, deadline=_CLONE, check=False)
        lost = repository.commit(commit) != commit
        found = why if lost else "it is there, but on no branch or tag: it was pushed over"
        raise GitError(f"{url} has no commit {commit}" if lost else f"{commit} was replaced in {url}", found=found)
    runner.run((*plain, "-C", str(into), "checkout", "--quiet", "--detach", commit), env=_ENV, deadline=_CLONE)
    return repository


def why_absent(path: Path, runner: Runner) -> tuple[str, str | None] | None:
    """Why the working tree lacks `path`, and the command that brings it; None where HEAD has no such path either."""
    path = path.resolve()
    repository = find_repository(next(folder for folder in path.parents if folder.is_dir()), runner)
    commit = repository.commit() if repository else None
    if repository is None or commit is None:
        return None
    inside, tree = repository.inside(path), repository.tree(commit)
    for place in (inside, *map(str, PurePosixPath(inside).parents)):
        if place in tree and tree[place].mode == SUBMODULE:
            return (
                f"{place} is a submodule that is not checked out",
                f"git submodule update --init {shlex.quote(place)}",
            )
    if held := [name for name in tree if f"{name}/".startswith(f"{inside}/")]:
        flags = repository.flags()
        if any(flags.get(name) == "S" for name in held):
            top = posixpath.dirname(inside) if inside in tree else inside
            run = f"git sparse-checkout add {shlex.quote(top)} || git sparse-checkout disable"
            return "in HEAD, but not in this sparse checkout", run
        return "in HEAD, but not in the working tree", f"git checkout HEAD -- {shlex.quote(inside)}"
    like = next((name for name in tree if f"{name}/".casefold().startswith(f"{inside}/".casefold())), None)
    return (f"in HEAD it is called {like[: len(inside)]}", None) if like else None


def called(path: Path) -> str:
    """How a person calls git, from the current folder, for the whole of the repository that `path` is in."""
    root = _around(path)
    return "git" if root in (None, Path.cwd()) else f"git -C {shlex.quote(str(root))}"


def _around(path: Path) -> Path | None:
    """The nearest folder around `path` with a `.git`, whatever that is worth."""
    here = path.resolve()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), None)


def _reason(said: str) -> str:
    """The line in which git says why it failed; advice may follow."""
    lines = said.strip().splitlines() or ["git gives no reason"]
    return next((line for line in lines if line.startswith("fatal:")), lines[-1])


def _words(result: Result) -> Iterator[str]:
    """What a command printed with a NUL after each word."""
    return iter(os.fsdecode(result.raw).split("\0")[:-1])


def find_repository(path: Path, runner: Runner) -> Repository | None:
    """The git working tree around `path`, None for none. Raises GitError where git refuses it, or is missing."""
    try:
        result = runner.run(("git", "-C", str(path), "rev-parse", "--show-toplevel"), env=_ENV, check=False)
    except ToolError as error:
        if _around(path) is None:
            return None
        message = f"{path} is in a git repository, and no git can be run"
        run = "install git" if isinstance(error.__cause__, FileNotFoundError) else error.run
        raise GitError(message, found=error.found, run=run, code=TOOL, doctor="git") from error
    if result.status == 0:
        root = Path(os.fsdecode(result.raw).removesuffix("\n")).resolve()
        if path.resolve().is_relative_to(root):
            return Repository(root, runner)
        elsewhere = f"its files are said to be in {root}"
        run = f"{_setting('core.worktree', path, runner)} --unset core.worktree"
        raise GitError(f"git cannot read the repository around {path}", found=elsewhere, run=run)
    none = "not a git repository" in result.complaint or "must be run in a work tree" in result.complaint
    if none and _around(path) is None:  # else its .git is damaged, or leads nowhere
        return None
    said = result.stderr.strip()
    way = next((line.strip() for line in said.splitlines() if line.strip().startswith("git config --global")), None)
    if "must be run in a work tree" in said:
        told = runner.run(("git", "-C", str(path), "worktree", "list", "--porcelain"), env=_ENV, check=False).stdout
        trees = [line.removeprefix("worktree ") for line in told.splitlines() if line.startswith("worktree ")][1:]
        bare = f"{_setting('core.bare', path, runner)} core.bare false"
        way = f"cd {shlex.quote(trees[0])}, then {SAME_COMMAND}" if trees else bare
    way = way or f"settle what git names, then {SAME_COMMAND}"
    raise GitError(f"git cannot read the repository around {path}", found=said, run=way)


def _setting(name: str, path: Path, runner: Runner) -> str:
    """The `git config` that changes `name` where it is set, which may be for one working tree alone."""
    told = runner.run(("git", "-C", str(path), "config", "--show-scope", "--get", name), env=_ENV, check=False)
    scope = told.stdout.partition("\t")[0]
    return "git config" if scope in ("", "local") else f"git config --{scope}"
