"""Several files are changed together, or none is."""

from __future__ import annotations

import os
import resource
import signal
import stat
from pathlib import Path

import pytest

from scripts.core.edits import Edit, apply, diff
from scripts.core.errors import OutputError
from scripts.core.interrupt import interruptible


@pytest.fixture
def edits(tmp_path: Path) -> list[Edit]:
    """A change of two files, the second of them executable."""
    made = [Edit(tmp_path / name, b"old\n", b"new\n") for name in ("a", "b")]
    for edit in made:
        edit.path.write_bytes(edit.before)
    made[1].path.chmod(0o755)
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_all_files_change_and_keep_their_permissions(edits: list[Edit], tmp_path: Path) -> None:
    apply(edits)
    assert contents(tmp_path) == {"a": b"new\n", "b": b"new\n"}
    assert stat.S_IMODE(edits[1].path.stat().st_mode) == 0o755


def test_a_file_that_is_not_as_planned_stops_all(edits: list[Edit], tmp_path: Path) -> None:
    edits[1].path.write_bytes(b"edited meanwhile\n")
    with pytest.raises(OutputError, match="was changed by another program"):
        apply(edits)
    assert contents(tmp_path) == {"a": b"old\n", "b": b"edited meanwhile\n"}


def test_a_file_that_cannot_be_written_stops_all(
    edits: list[Edit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == "b":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match=r"(?s)b cannot be written; nothing is changed.*No space left"):
        apply(edits)
    assert contents(tmp_path) == {"a": b"old\n", "b": b"old\n"}


def test_what_cannot_be_taken_back_is_whole_and_told(
    edits: list[Edit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, before = Path.replace, resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == "b":
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    try:
        with pytest.raises(OutputError, match="a is changed, and cannot be taken back"):
            apply(edits)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (edits[0].path.read_bytes(), edits[1].path.read_bytes()) == (b"new\n", b"old\n")


def test_a_disk_without_room_stops_all(edits: list[Edit], tmp_path: Path) -> None:
    """What the system takes no more of is written again when the file is closed, and refused again."""
    large = Edit(edits[1].path, edits[1].before, b"new\n" * 1024)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        with pytest.raises(OutputError, match=r"b cannot be written; nothing is changed"):
            apply([edits[0], large])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert contents(tmp_path) == {"a": b"old\n", "b": b"old\n"}


def test_a_missing_file_stops_all(edits: list[Edit], tmp_path: Path) -> None:
    edits[1].path.unlink()
    with pytest.raises(OutputError, match="cannot be written"):
        apply(edits)
    assert contents(tmp_path) == {"a": b"old\n"}


def test_ctrl_c_among_the_files_waits_for_the_last(
    edits: list[Edit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), interruptible():
        apply(edits)
    assert contents(tmp_path) == {"a": b"new\n", "b": b"new\n"}


def test_a_file_elsewhere_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert diff([Edit(tmp_path / "a", b"x\n", b"y\n")]).startswith(f"--- a{tmp_path}/a\n+++ b{tmp_path}/a\n")


def test_the_diff_names_each_file_and_a_missing_line_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = diff([Edit(tmp_path / "sub" / "a", b"one\ntwo\n", b"one\nthree"), Edit(tmp_path / "b", b"x\n", b"x\n")])
    assert text == ("--- a/sub/a\n+++ b/sub/a\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n\\ No newline at end of file\n")


def test_what_a_killed_process_left_is_replaced(edits: list[Edit], tmp_path: Path) -> None:
    edits[0].fresh.write_bytes(b"longer than what takes its place\n")
    apply(edits)
    assert contents(tmp_path) == {"a": b"new\n", "b": b"new\n"}
