"""What comes as a chart archive may hold anything: one clear refusal, bounded in time and memory."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.chart.archive import (
    changed_files,
    chart_metadata,
    describe,
    load_package,
    read_members,
    record_text,
    unpack,
)
from scripts.core.config import load_config
from scripts.core.errors import ChartError

GOOD = "apiVersion: v2\nname: demo\nversion: 1.10\n"


def tgz(members: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


def header(kind: bytes) -> bytes:
    info = tarfile.TarInfo("demo/x")
    info.type = kind
    return info.tobuf(tarfile.GNU_FORMAT)


def test_a_good_one() -> None:
    data = tgz({"demo/Chart.yaml": GOOD, "demo/charts/sub/Chart.yaml": "name: sub"})
    assert chart_metadata(data, "it") == {"apiVersion": "v2", "name": "demo", "version": "1.10"}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "no chart archive"),
        ({"demo/values.yaml": ""}, "a Chart.yaml in its one folder"),
        ({"Chart.yaml": GOOD}, "a Chart.yaml in its one folder"),
        ({"a/Chart.yaml": GOOD, "b/Chart.yaml": GOOD}, "a Chart.yaml in its one folder"),
        ({"demo/Chart.yaml": "- a\n"}, "a mapping with name and version"),
        ({"demo/Chart.yaml": ""}, "a mapping with name and version"),
        ({"demo/Chart.yaml": "name: demo\n"}, "a mapping with name and version"),
        ({"demo/Chart.yaml": "name: [demo]\nversion: 1.0.0\n"}, "a mapping with name and version"),
        ({"demo/Chart.yaml": "a: [\n"}, "is not valid YAML"),
        ({"demo/Chart.yaml": "[" * 200_000}, "is not valid YAML"),
        ({"demo/Chart.yaml": 'name: a\nversion: 1.0.0\nannotations:\n  <<: "true"\n'}, "mappings for merging"),
        ({"demo/Chart.yaml": f"{GOOD}maintainers: [1]\n"}, "has a wrong type"),
        ({"demo/Chart.yaml": f"{GOOD}annotations: [a]\n"}, "has a wrong type"),
        ({"demo/Chart.yaml": f"{GOOD}dependencies: all\n"}, "has a wrong type"),
        ({"demo/Chart.yaml": f"{GOOD}description: [a]\n"}, "has a wrong type"),
        ({"demo/Chart.yaml": GOOD, "demo/requirements.yaml": "name: [a]\n"}, "a mapping with name and version"),
    ],
)
def test_what_is_no_chart(members: Mapping[str, str], words: str) -> None:
    with pytest.raises(ChartError) as caught:
        describe(Path("it.tgz"), tgz(members), 0)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        tgz({"demo/Chart.yaml": GOOD})[:-20],
        gzip.compress(b"text"),
        gzip.compress(b"\xff" * 5000),
        gzip.compress(header(tarfile.GNUTYPE_LONGNAME) * 2000),
    ],
    ids=["empty", "text", "cut", "no tar", "garbage", "headers of headers"],
)
def test_what_is_no_archive(data: bytes) -> None:
    with pytest.raises(ChartError):
        chart_metadata(data, "it")


def test_what_unpacks_to_more_than_helm_takes() -> None:
    with pytest.raises(ChartError, match="too large"):
        read_members(gzip.compress(bytes(101 << 20), 1), "it")


def test_what_claims_more_than_there_is() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("demo/x")
        sparse = {"major": "0", "minor": "1", "map": "0,0", "numblocks": "1", "size": str(8 << 30)}
        member.pax_headers = {f"GNU.sparse.{key}": value for key, value in sparse.items()}
        archive.addfile(member)
    with pytest.raises(ChartError, match="too large"):
        read_members(buffer.getvalue(), "it")


def test_what_holds_more_files_than_a_chart_can() -> None:
    headers = b"".join(tarfile.TarInfo(f"demo/{number}").tobuf() for number in range(20_001))
    with pytest.raises(ChartError, match="too large"):
        read_members(gzip.compress(headers + bytes(1024), 1), "it")


@pytest.mark.parametrize(
    ("kind", "words"),
    [(tarfile.SYMTYPE, "a link"), (tarfile.LNKTYPE, "a link"), (tarfile.CHRTYPE, "a device"), (tarfile.FIFOTYPE, "")],
)
def test_what_is_neither_file_nor_folder(kind: bytes, words: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("demo/templates/x.yaml")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(ChartError, match=f"it holds {words}") as refused:
        read_members(buffer.getvalue(), "it")
    assert refused.value.found == "'demo/templates/x.yaml'"


@pytest.mark.parametrize("name", ["demo/Chart.yaml/a", "demo/" + "a" * 300, "demo/a\0b"])
def test_names_that_cannot_be_files(name: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for each in ("demo/Chart.yaml", name):
            member = tarfile.TarInfo("demo/short" if "\0" in each else each)
            member.pax_headers = {"path": each}  # a plain header would end the name at a NUL
            archive.addfile(member)
    with pytest.raises(ChartError, match="names that cannot be files"):
        unpack(buffer.getvalue(), tmp_path)


@pytest.mark.parametrize("name", ["/demo/a", "demo/../../a", "a"])
def test_what_would_be_written_elsewhere(name: str, tmp_path: Path) -> None:
    with pytest.raises(ChartError):
        unpack(tgz({"demo/Chart.yaml": GOOD, name: ""}), tmp_path, "it")
    assert list(tmp_path.iterdir()) == []


def test_the_files_of_two_archives_are_told_apart() -> None:
    old = tgz({"demo/Chart.yaml": GOOD, "demo/gone": "x", "demo/same": "x", "demo/other": "x"})
    new = tgz({"demo/Chart.yaml": GOOD, "demo/new": "x", "demo/same": "x", "demo/other": "y"})
    assert changed_files(old, new) == ("- demo/gone", "+ demo/new", "~ demo/other")
    assert changed_files(old, old) == ()


def test_a_package_is_of_the_chart_that_is_asked_for(tmp_path: Path) -> None:
    config = replace(load_config(Path(__file__).parents[3]), dist=tmp_path)
    file = tmp_path / "demo-1.10.tgz"
    file.write_bytes(tgz({"demo/Chart.yaml": GOOD}))
    made = describe(file, file.read_bytes(), 0)
    (tmp_path / "demo.package.json").write_text(record_text(made))
    assert load_package(config, "demo") == made
    (tmp_path / "another.package.json").write_text(record_text(made))
    with pytest.raises(ChartError, match="is of another chart") as refusal:
        load_package(config, "another")
    assert (refusal.value.expected, refusal.value.found, refusal.value.run) == ("another", "demo", "invoke package")
    (tmp_path / "demo.package.json").write_text("[" * 100_000)
    with pytest.raises(ChartError, match="is damaged"):
        load_package(config, "demo")
    (tmp_path / "demo.package.json").unlink()
    os.mkfifo(tmp_path / "demo.package.json")
    with pytest.raises(ChartError, match="cannot be read"):
        load_package(config, "demo")
    (tmp_path / "demo.package.json").unlink()
    (tmp_path / "demo.package.json").write_text(record_text(made))
    file.write_bytes(tgz({"demo/Chart.yaml": GOOD, "demo/more": "x"}))
    with pytest.raises(ChartError, match="is not the archive that was packaged"):
        load_package(config, "demo")


def test_the_largest_that_is_unpacked_is_a_limit_and_not_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tgz({"demo/Chart.yaml": GOOD})
    size = len(gzip.decompress(data))
    monkeypatch.setattr("scripts.chart.archive._LARGEST", size)
    assert list(read_members(data, "it")) == ["demo/Chart.yaml"]
    monkeypatch.setattr("scripts.chart.archive._LARGEST", size - 1)
    with pytest.raises(ChartError, match="it is too large"):
        read_members(data, "it")


def test_what_a_folder_claims_to_hold_may_reach_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.chart.archive._LARGEST", 1 << 20)
    folder = tarfile.TarInfo("demo")
    folder.type, folder.size = tarfile.DIRTYPE, 1 << 20
    with tarfile.open(fileobj=(made := io.BytesIO()), mode="w:gz") as tar:
        tar.addfile(folder)
    assert read_members(made.getvalue(), "it") == {}


def test_files_of_one_folder_are_unpacked_side_by_side(tmp_path: Path) -> None:
    texts = {"demo/Chart.yaml": GOOD, "demo/templates/a.yaml": "a", "demo/templates/b.yaml": "b"}
    folder = unpack(tgz(texts), tmp_path / "into", "it")
    assert {
        str(file.relative_to(folder.parent)): file.read_text() for file in folder.rglob("*") if file.is_file()
    } == texts
