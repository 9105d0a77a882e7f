"""Images written without an engine: the layout `docker load` and `ctr images import` read, byte for byte the same."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from scripts.containers.image_archive import Image, write_images, write_layer


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}  # type: ignore[union-attr]


def test_a_layer_depends_on_its_content_only(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(b"binary")
    tool.chmod(0o640)
    first = write_layer(tmp_path / "1.tar", {"usr/bin/tool": tool}, {"usr/bin/alias": "tool"}).read_bytes()
    os.utime(tool, (1e9, 1e9))
    second = write_layer(tmp_path / "2.tar", {"usr/bin/tool": tool}, {"usr/bin/alias": "tool"})

    assert second.read_bytes() == first
    with tarfile.open(second) as tar:
        entry, alias = tar.getmember("usr/bin/tool"), tar.getmember("usr/bin/alias")
    assert (entry.mode, entry.uid, entry.mtime, entry.size) == (0o755, 0, 0, 6)
    assert (alias.issym(), alias.linkname) == (True, "tool")


def test_images_name_their_layers_by_content_and_share_them(tmp_path: Path) -> None:
    base, top = tmp_path / "base.tar", tmp_path / "top.tar"
    base.write_bytes(b"base")
    top.write_bytes(b"top")
    archive = write_images(
        tmp_path / "images.tar",
        [Image("host/one:1", (base,), {"Env": ["A=b"]}), Image("host/two:2", (base, top), {})],
    )

    with tarfile.open(archive) as tar:
        names = tar.getnames()
    content = members(archive)
    manifest: list[dict[str, Any]] = json.loads(content["manifest.json"])
    digests = [hashlib.sha256(data).hexdigest() for data in (b"base", b"top")]
    assert [entry["RepoTags"] for entry in manifest] == [["host/one:1"], ["host/two:2"]]
    assert [entry["Layers"] for entry in manifest] == [[f"{digests[0]}.tar"], [f"{digest}.tar" for digest in digests]]
    assert names.count(f"{digests[0]}.tar") == 1
    config = content[manifest[1]["Config"]]
    assert hashlib.sha256(config).hexdigest() + ".json" == manifest[1]["Config"]
    assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{digest}" for digest in digests]
    assert json.loads(content[manifest[0]["Config"]])["config"] == {"Env": ["A=b"]}
