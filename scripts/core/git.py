"""Asks a git repository about its state, and makes commits and tags in it."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.core.command import Result, Runner
from scripts.core.errors import CommandFailed, GitError, ToolError

# Messages in English, since some are read here; the repository is the one around the path we give,
# also inside a git hook, which sets the others; nothing asks questions.
_ENV = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_DIR": None,
    "GIT_WORK_TREE": None,
    "GIT_INDEX_FILE": None,
}


@dataclass(frozen=True)
class Repository:
    """A git working tree; `root` is its top folder."""

    root: Path
    runner: Runner

    def commit(self, revision: str = "HEAD") -> str | None:
        """The commit id of `revision`, None where there is none (HEAD of an empty repository too)."""
        result = self._git(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", check=False
        )
        return result.stdout.strip() or None

    def subject(self, revision: str = "HEAD") -> str | None:
        """The first line of the message of `revision`, None where there is no such commit."""
        result = self._git("log", "-1", "--format=%s", "--end-of-options", revision, "--", check=False)
        return result.stdout.strip() if result.status == 0 else None

    def changes(self) -> tuple[str, ...]:
        """The paths, from the root, that differ from HEAD or are not tracked; ignored files are not among them."""
        # Without optional locks, so that asking never gets in the way of a git command of someone else.
        words = self._git(
            "--no-optional-locks", "status", "--porcelain=v1", "-z", "--untracked-files=all"
        ).stdout.split("\0")
        paths, index = [], 0
        while index < len(words):
            if word := words[index]:
                paths.append(word[3:])
                index += word[0] in "RC"  # the next word is the name it had
            index += 1
        return tuple(sorted(paths))

    def tags(self) -> dict[str, str]:
        """Every tag and the object it leads to, a commit as a rule."""
        form = "%(refname:strip=2)%00%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)"
        lines = self._git("for-each-ref", f"--format={form}", "refs/tags").stdout.splitlines()
        return dict(line.split("\0", 1) for line in lines)

    def file_at(self, revision: str, path: Path) -> bytes | None:
        """The content that the file `path` has in `revision`, None where it has none. Text in UTF-8 only."""
        name = f"{revision}:{self._inside(path)}"
        result = self._git("cat-file", "blob", name, check=False)
        return result.stdout.encode() if result.status == 0 else None

    def export(self, revision: str, folder: Path, into: Path) -> Path:
        """Write `folder` as it is in `revision` below `into`, and return where. Raises GitError."""
        inside = self._inside(folder)
        if self.commit(revision) is None:
            raise GitError(f"git knows no revision {revision!r}", run="git log --oneline")
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "tree.tar"
            self._git("archive", "--format=tar", f"--output={file}", revision, "--", inside)
            with tarfile.open(file) as archive:
                archive.extractall(into, filter="data")
        return into / inside

    def make_commit(self, message: str, paths: Sequence[Path]) -> str:
        """Commit the content of `paths`, and nothing else that is staged; the commit's id. Raises GitError."""
        self._git(
            "commit", "--quiet", "--message", message, "--", *(self._inside(path) for path in paths), deadline=300
        )
        commit = self.commit()
        if commit is None:
            raise GitError(f"git made no commit in {self.root}")
        return commit

    def make_tag(self, name: str, message: str, commit: str) -> None:
        """Make the annotated tag `name` at `commit`. Raises GitError."""
        self._git("tag", "--annotate", "--message", message, name, commit)

    def _inside(self, path: Path) -> str:
        try:
            return path.resolve().relative_to(self.root).as_posix()
        except ValueError:
            raise GitError(f"{path} is not inside the git repository {self.root}") from None

    def _git(self, *words: str, check: bool = True, deadline: float = 60) -> Result:
        try:
            return self.runner.run(("git", "-C", str(self.root), *words), env=_ENV, check=check, deadline=deadline)
        except CommandFailed as error:
            said = error.stderr.strip() or error.stdout.strip()
            who = "tell me who you are" in said
            raise GitError(
                f"git {next(word for word in words if not word.startswith('-'))} failed in {self.root}",
                found="\n".join(said.splitlines()[-8:]),
                run='git config user.name "..." and git config user.email "..."' if who else None,
            ) from error


def find_repository(path: Path, runner: Runner) -> Repository | None:
    """The git working tree that the folder `path` is in; None where there is none, or no git.

    Raises GitError when git refuses the repository (one that belongs to somebody else, for example).
    """
    try:
        result = runner.run(("git", "-C", str(path), "rev-parse", "--show-toplevel"), env=_ENV, check=False)
    except ToolError:
        return None
    if result.status == 0:
        return Repository(Path(result.stdout.rstrip("\n")).resolve(), runner)
    if "not a git repository" in result.stderr or "must be run in a work tree" in result.stderr:
        return None
    raise GitError(f"git cannot read the repository around {path}", found=result.stderr.strip())
