"""Owns the images of the programs that a test cluster runs beside the chart: pulled, or built from pinned modules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.containers.debian import FILES, build_rootfs, rootfs_key
from scripts.containers.engine import taken
from scripts.containers.image_archive import Image, write_images, write_layer
from scripts.core.files import sha256
from scripts.core.owner import temporary
from scripts.workspace import Workspace

if TYPE_CHECKING:
    from docker import DockerClient

_ROOT = "0"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Debian's files of a package come without the alternatives that its set-up script would make.
NFT_LINKS = {
    f"usr/sbin/{family}{verb}": f"{family}-nft{verb}"
    for family in ("iptables", "ip6tables")
    for verb in ("", "-save", "-restore")
}
# Raise it with every change below, or to image_archive, that makes another image of the same inputs.
_LAYOUT = 1


@dataclass(frozen=True)
class Program:
    """A program whose name is that of its pin in tools.toml.

    `remote` is its image in a registry, with {version} (v1.2.3), {number} (1.2.3) or {config} in it; `path` is where
    the image has the binary, `user` who runs it, `packages` what it needs of Debian.
    """

    remote: str
    path: str
    user: str = "65532:65532"
    packages: tuple[str, ...] = ()


PROGRAMS = {
    "metrics-server": Program("registry.k8s.io/metrics-server/metrics-server:{version}", "metrics-server"),
    # Not Debian's, which the compose stack has: that one cannot find its targets in Kubernetes.
    "prometheus": Program("{config.prometheus_image}", "bin/prometheus"),
    "prometheus-operator": Program("quay.io/prometheus-operator/prometheus-operator:{version}", "bin/operator"),
    "prometheus-config-reloader": Program(
        "quay.io/prometheus-operator/prometheus-config-reloader:{version}", "bin/prometheus-config-reloader"
    ),
    "keda": Program("ghcr.io/kedacore/keda:{number}", "keda"),
    "keda-adapter": Program("ghcr.io/kedacore/keda-metrics-apiserver:{number}", "keda-adapter"),
    "kube-router": Program(
        "cloudnativelabs/kube-router:{version}",
        "usr/local/bin/kube-router",
        user=_ROOT,
        packages=("iptables", "nftables", "ipset"),
    ),
}


def program_images(names: Iterable[str], work: Workspace, engine: DockerClient) -> dict[str, str]:
    """Images of PROGRAMS, held, pulled or built by `config.images`. Raises EngineError, ToolError, CommandFailed."""
    found: dict[str, str] = {}
    missing: list[str] = []
    for name in names:
        remote, built = remote_reference(name, work), built_reference(name, work)
        if (image := taken(engine, work, remote, built)) is None:
            missing.append(name)
        found[name] = image or built
    if missing:
        _build(missing, work, engine)
    return found


def remote_reference(name: str, work: Workspace) -> str:
    version = work.tools.version(name)
    return PROGRAMS[name].remote.format(version=version, number=version.removeprefix("v"), config=work.config)


def built_reference(name: str, work: Workspace) -> str:
    """The program's image when it is built; the tag changes with whatever goes into it."""
    program = PROGRAMS[name]
    recipe = repr((work.tools.key(name), program, rootfs_key(program.packages, variant=FILES), _LAYOUT))
    return f"gati/{name}:{work.tools.version(name)}-{sha256(recipe)[:12]}"


def _build(names: list[str], work: Workspace, engine: DockerClient) -> None:
    binaries = work.tools.paths(names, built=True)
    with temporary("programs", work.config.cache_dir) as folder:
        images = []
        for name in names:
            program = PROGRAMS[name]
            links = NFT_LINKS if "iptables" in program.packages else None
            layer = write_layer(folder / f"{name}.tar", {program.path: binaries[name]}, links)
            system = (build_rootfs(program.packages, work, variant=FILES),) if program.packages else ()
            config = {"Entrypoint": [f"/{program.path}"], "User": program.user, "Env": [PATH]}
            images.append(Image(built_reference(name, work), (*system, layer), config))
        archive = write_images(folder / "images.tar", images)
        with archive.open("rb") as stream:
            engine.images.load(stream)
    work.say(f"built the images of {', '.join(names)}")
