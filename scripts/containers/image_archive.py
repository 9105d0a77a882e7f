"""Owns the archive format of `docker save`: writes images whose layers are tar files, without any engine."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.core.files import sha256
from scripts.toolchain.gobuild import architecture


@dataclass(frozen=True)
class Image:
    """An image to write: its full `name:tag`, its layers bottom first, and the `config` of its containers."""

    name: str
    layers: tuple[Path, ...]
    config: Mapping[str, object]


def write_layer(target: Path, files: Mapping[str, Path], links: Mapping[str, str] | None = None) -> Path:
    """A layer of executable `files` (path in it -> file here) and `links`: the same content gives the same bytes."""
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, source in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o755, source.stat().st_size
            with source.open("rb") as stream:
                tar.addfile(entry, stream)
        for name, destination in sorted((links or {}).items()):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, destination
            tar.addfile(entry)
    return target


def write_images(target: Path, images: Iterable[Image]) -> Path:
    """The archive of `images`, of this machine's architecture; a shared layer once."""
    digests: dict[Path, str] = {}
    manifest = []
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as tar:
        for image in images:
            for layer in image.layers:
                if layer not in digests:
                    digests[layer] = sha256(layer)
                    tar.add(layer, arcname=f"{digests[layer]}.tar", recursive=False)
            config = json.dumps(
                {
                    "architecture": architecture(),
                    "os": "linux",
                    "config": dict(image.config),
                    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digests[path]}" for path in image.layers]},
                },
                sort_keys=True,
            ).encode()
            config_name = f"{sha256(config)}.json"
            add_bytes(tar, config_name, config)
            manifest.append(
                {
                    "Config": config_name,
                    "RepoTags": [image.name],
                    "Layers": [f"{digests[path]}.tar" for path in image.layers],
                }
            )
        add_bytes(tar, "manifest.json", json.dumps(manifest).encode())
    return target


def add_bytes(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    """Add a file to an archive, root's and of 1970."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))
