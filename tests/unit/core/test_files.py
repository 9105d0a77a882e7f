"""A file is replaced whole, or the old one stays."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from scripts.core.errors import OutputError
from scripts.core.files import copied, try_writing, write_atomic


def test_writes_text_and_bytes_and_makes_folders(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "b" / "text", "é\n")
    write_atomic(tmp_path / "a" / "b" / "text", b"\x00")
    assert (tmp_path / "a" / "b" / "text").read_bytes() == b"\x00"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["text"]


def test_what_is_no_text_is_written_as_an_escape(tmp_path: Path) -> None:
    """As the name of a file may hold it."""
    write_atomic(tmp_path / "text", f"{os.fsdecode(bytes([0xFF]))} é")
    assert (tmp_path / "text").read_text(encoding="utf-8") == "\\udcff é"


def test_the_umask_decides_who_may_read(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "file", "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"file cannot be written[\s\S]*No space left on device"):
        write_atomic(tmp_path / "file", "new")
    with pytest.raises(OutputError, match=r"^\S*/file cannot be written"):
        try_writing(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("elsewhere/file")
    for text in ("one", "two"):
        write_atomic(tmp_path / "link", text)
        assert (tmp_path / "elsewhere" / "file").read_text() == text
    assert (tmp_path / "link").is_symlink()


def test_a_pipe_stays_one_and_is_written_to(tmp_path: Path) -> None:
    """As /dev/stdout may be, and /dev/null, which whoever is root would take from the machine."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="pipe cannot be written"):  # nobody reads it
        write_atomic(tmp_path / "pipe", "x")
    with os.fdopen(os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        write_atomic(tmp_path / "pipe", "x")
        assert reader.read() == b"x"
    assert (tmp_path / "pipe").is_fifo()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "dist").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_atomic(tmp_path / "dist" / "file", "x")


def test_a_copy_has_what_links_lead_to_and_can_be_changed(tmp_path: Path) -> None:
    (folder := tmp_path / "folder").mkdir()
    for name in ("file", "file.new", ".git/HEAD"):
        write_atomic(folder / name, "x")
    (folder / "file").chmod(0o400)
    (folder / "link").symlink_to("file")
    (folder / "lost").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    copy = copied(folder, tmp_path / "copy", "*.new")
    assert sorted(path.name for path in copy.iterdir()) == ["file", "link"]
    assert not (copy / "link").is_symlink()
    assert (copy / "file").stat().st_mode & 0o200
