"""Builds the reference services' images, and finds or builds the images that they and the compose stack stand on."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.containers.debian import FILES, SUITE, SYSTEM, build_rootfs, rootfs_key
from scripts.containers.engine import choices, find_image, taken
from scripts.containers.image_archive import add_bytes
from scripts.core.config import Config
from scripts.core.errors import ConfigError, EngineError, ToolError, last_words
from scripts.core.files import sha256
from scripts.core.progress import Say
from scripts.workspace import Workspace

if TYPE_CHECKING:
    from docker import DockerClient

SERVICES = ("ingress", "route-manager")
VERSIONS = ("1", "2")
ABRUPT = "-abrupt"  # ends the name of a version that does not drain: SIGTERM ends it as it stands
_CA_BUNDLE = "ca-bundle.crt"  # the name that the Dockerfiles look for
_RECIPE = "gati.recipe"  # label: the digest of what an image is made of, by which other checkouts find it
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_STEP = re.compile(r"Step (\d+)/(\d+) : (\S+)")


@dataclass(frozen=True)
class Image:
    """A built image: `reference` is its tag, `id` its content, `size` in bytes, `seconds` what the build took."""

    reference: str
    id: str
    size: int
    seconds: float


@dataclass(frozen=True)
class PlannedImage:
    """An image that would be built on `base`; whether the engine holds each already. What is there is built again
    only where its sources changed; a base that is not is pulled or built first."""

    reference: str
    there: bool
    base: str
    base_there: bool


@dataclass(frozen=True)
class Foundation:
    """An image of others: the Config field that names it in a registry, and the Debian packages that replace it."""

    field: str
    packages: tuple[str, ...]
    variant: str


FOUNDATIONS: Mapping[str, Foundation] = {
    "python": Foundation("python_image", ("python3", "python3-venv"), SYSTEM),
    "haproxy": Foundation("haproxy_image", ("haproxy",), FILES),
    "prometheus": Foundation("prometheus_image", ("prometheus",), FILES),
}


def reference(config: Config, service: str, version: str) -> str:
    """The tag of this checkout's image of a service. Raises ConfigError for a version that no tag can have."""
    if not _TAG.fullmatch(version):
        raise ConfigError(
            "the version of the images is not usable",
            expected="up to 128 letters, digits, dots, dashes and underscores, such as 2",
            found=repr(version),
        )
    return f"{config.own_images}/{service}:{version}"


def plan_services(
    config: Config, engine: DockerClient, *, versions: Iterable[str] = VERSIONS
) -> tuple[PlannedImage, ...]:
    """What `build_services` would build; nothing is changed. Raises ConfigError."""
    base = expected_foundation(config, "python", engine)
    base_there = find_image(engine, base) is not None
    tags = [reference(config, service, version) for service in SERVICES for version in versions]
    return tuple(PlannedImage(tag, find_image(engine, tag) is not None, base, base_there) for tag in tags)


def build_services(work: Workspace, engine: DockerClient, *, versions: Iterable[str] = VERSIONS) -> tuple[Image, ...]:
    """Every service in every version: what the engine holds of the same sources, whoever built it, else built.

    Raises EngineError, ToolError, CommandFailed.
    """
    base = foundation(work, "python", engine)
    wanted = [(service, version) for service in SERVICES for version in versions]
    tags = [reference(work.config, *each) for each in wanted]
    return tuple(_built(work, engine, tag, *each, base) for tag, each in zip(tags, wanted, strict=True))


def foundation(work: Workspace, name: str, engine: DockerClient) -> str:
    """A reference of FOUNDATIONS that the engine holds: pulled, or built of Debian packages, by `config.images`."""
    wanted, local = FOUNDATIONS[name], _local(name)
    if image := taken(engine, work, _remote(work.config, name), local, "building it from Debian packages"):
        return image
    rootfs = build_rootfs(wanted.packages, work, variant=wanted.variant)
    repository, _, tag = local.rpartition(":")
    engine.api.import_image_from_file(os.fspath(rootfs), repository=repository, tag=tag)
    return local


def expected_foundation(config: Config, name: str, engine: DockerClient) -> str:
    """The reference that `foundation` would answer with: the one that the engine holds, else the preferred one."""
    remote, local = _remote(config, name), _local(name)
    ways = choices(config.images, remote, local)
    return next((way for way in ways if find_image(engine, way)), ways[0])


def _remote(config: Config, name: str) -> str:
    return str(getattr(config, FOUNDATIONS[name].field))


def _local(name: str) -> str:
    wanted = FOUNDATIONS[name]
    return f"gati/base-{name}:{SUITE}-{rootfs_key(wanted.packages, variant=wanted.variant)}"


def _built(work: Workspace, engine: DockerClient, tag: str, service: str, version: str, base: str) -> Image:
    begin = time.monotonic()
    folder = work.config.root / "compose"
    arguments = {"BASE": base, "VERSION": version, "STOP_MODE": "abrupt" if version.endswith(ABRUPT) else "drain"}
    made_of = json.dumps([arguments, str(engine.images.get(base).id)]).encode()
    recipe = sha256(made_of + _context(folder, service))  # without the authorities, which leave nothing in the image
    if held := engine.images.list(filters={"label": f"{_RECIPE}={recipe}"}):
        held[0].tag(*tag.rsplit(":", 1))
    else:
        output: list[str] = []
        answers = engine.api.build(
            fileobj=io.BytesIO(_context(folder, service, _ca_bundle(work.config))),
            custom_context=True,
            dockerfile=f"{service}/Dockerfile",
            tag=tag,
            buildargs=arguments,
            labels={_RECIPE: recipe},
            use_config_proxy=True,
            rm=True,
            forcerm=True,
            decode=True,
        )
        for answer in answers:
            _follow(answer, tag, output, work.say)
    built = engine.images.get(tag)
    seconds = time.monotonic() - begin
    work.say(f"{tag}: {built.attrs['Size'] / 1e6:.0f} MB in {seconds:.1f} s")
    return Image(tag, str(built.id), int(built.attrs["Size"]), seconds)


def _follow(answer: Mapping[str, Any], tag: str, output: list[str], say: Say) -> None:
    """Tell the steps that really run, keep the rest for the error message."""
    if "error" in answer:
        said = (last_words("".join(output)), str(answer["error"]).strip())
        raise EngineError(f"{tag} cannot be built", found="\n".join(filter(None, said)))
    text = str(answer.get("stream", ""))
    if text.strip():
        output.append(text)
    step = next((match for line in reversed(output) if (match := _STEP.match(line))), None)
    if "Running in" in text and step and step[3] == "RUN":
        say(f"{tag}: step {step[1]} of {step[2]}")


def _context(folder: Path, service: str, ca_bundle: Path | None = None) -> bytes:
    """The build context as a tar file: what a service's Dockerfile copies, with fixed times and owners, so that it
    changes only where the content did."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for part in ("common", "proto", service):
            for path in sorted((folder / part).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
                    add_bytes(tar, path.relative_to(folder).as_posix(), path.read_bytes(), mode)
        if ca_bundle is not None:
            add_bytes(tar, _CA_BUNDLE, ca_bundle.read_bytes())
    return buffer.getvalue()


def _ca_bundle(config: Config) -> Path | None:
    """The authorities to build with: `config.ca_bundle`, else SSL_CERT_FILE, else None for the base's own."""
    named = config.ca_bundle or os.environ.get("SSL_CERT_FILE", "")
    if not named:
        return None
    path = Path(named).expanduser()
    if path.is_file():
        return path
    raise ToolError(
        "the images' CA bundle cannot be read",
        expected="a file named by [tool.gati] ca_bundle, GATI_CA_BUNDLE or SSL_CERT_FILE",
        found=f"{named}: no such file",
    )
