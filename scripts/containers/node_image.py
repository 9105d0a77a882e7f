"""Owns the image of a kind node: kindest/node where a registry serves it, else built from pinned modules and Debian."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.containers.debian import FILES, SYSTEM, build_rootfs, rootfs_key
from scripts.containers.engine import canonical, choices, connect, find_image, taken
from scripts.containers.image_archive import Image, write_images, write_layer
from scripts.containers.programs import NFT_LINKS, PATH
from scripts.core.command import Runner
from scripts.core.errors import ConfigError, ToolError
from scripts.core.files import sha256
from scripts.core.owner import temporary
from scripts.core.parallel import workers
from scripts.core.waiting import locked
from scripts.workspace import Workspace

if TYPE_CHECKING:
    from docker import DockerClient

_PATIENCE = 3600.0  # seconds to wait for another run that builds
_PACKAGES = (
    *("systemd", "bash", "procps", "util-linux", "mount", "kmod", "ca-certificates", "curl", "jq"),
    *("conntrack", "iptables", "nftables", "iproute2", "ethtool", "e2fsprogs"),
    "catatonit",
)
_PROXY_PACKAGES = ("iptables", "nftables")
# Where each binary goes in the node. Every name is a pin in tools.toml.
_NODE_BINARIES = {
    **{name: f"usr/bin/{name}" for name in ("kubeadm", "kubelet", "kubectl")},
    **{name: f"usr/local/bin/{name}" for name in ("containerd", "ctr", "containerd-shim-runc-v2")},
    "runc": "usr/local/sbin/runc",
    **{name: f"opt/cni/bin/{name}" for name in ("host-local", "loopback", "ptp", "portmap")},
}
_CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "coredns", "kube-proxy")
# Raise it with every change to the functions below, or to image_archive, that makes another image of the same inputs.
_LAYOUT = 1
_DOCKERFILE = Path(__file__).with_name("node.Dockerfile")
_KIND_FILES = "images/base/files"


@dataclass(frozen=True)
class NodeImage:
    """A node image of the engine: its Kubernetes ("v1.37.2"), and whether kind finds a pod network in it."""

    reference: str
    kubernetes: str
    has_cni: bool


@dataclass(frozen=True)
class NodePlan:
    """What `node_image` would do: nothing where an image is `there`, `otherwise` one way after the other."""

    there: str | None
    otherwise: Mapping[str, str]


def plan(work: Workspace) -> NodePlan:
    """What `node_image` would do; nothing is changed. Raises EngineError, ConfigError."""
    built = built_reference(work)
    ways = {"build" if choice.reference == built else "pull": choice.reference for choice in _choices(work, built)}
    with connect() as engine:
        there = next(filter(None, (_held(name, engine) for name in ways.values())), None)
    return NodePlan(there, {} if there else ways)


def node_image(work: Workspace) -> NodeImage:
    """The image for nodes: held, pulled or built, by `config.images`. Raises EngineError, ToolError, CommandFailed."""
    config, local = work.config, built_reference(work)
    ways = {choice.reference: choice for choice in _choices(work, local)}
    with connect() as engine:
        _adopt(local, engine)
        if found := taken(engine, work, config.node_image, local, "building a node image"):
            return ways[found]
        # Two runs of a machine need not build the same thing side by side.
        lock, what = config.cache_dir / "node-image.lock", "the build of the node image"
        with locked(lock, what=what, deadline=_PATIENCE, say=work.say, error=ToolError):
            if not _adopt(local, engine):
                _build(ways[local], work)
        _remove_older(local, engine, pinned=work.tools.minors)
        return ways[local]


def _choices(work: Workspace, built: str) -> tuple[NodeImage, ...]:
    """The images that serve, by `config.images`, the best first. Raises ConfigError where none is named."""
    config, local = work.config, NodeImage(built, work.tools.version("kubeadm"), has_cni=False)
    if config.images == "registry" and not config.node_image:
        raise ConfigError(
            f"no registry is known to serve a node image of Kubernetes {local.kubernetes}",
            expected='node_images = ["kindest/node:vX.Y.Z@sha256:..."] in [tool.gati], or images = "auto"',
        )
    ways = choices(config.images, config.node_image, built)
    return tuple(local if way == built else _from_registry(config.node_image) for way in ways)


def built_reference(work: Workspace) -> str:
    """Name and tag of the image this version of the recipe builds; the tag changes with whatever goes into it.

    The name is the checkout's own: what others have built and still run from is not ours to remove.
    """
    toolchain = work.tools
    recipe = {
        "binaries": {name: toolchain.key(name) for name in (*_NODE_BINARIES, *_CONTROL_PLANE, "kind")},
        "rootfs": [rootfs_key(_PACKAGES), rootfs_key(_PROXY_PACKAGES, variant=FILES)],
        "dockerfile": _DOCKERFILE.read_text(encoding="utf-8"),
        "layout": [_LAYOUT, _NODE_BINARIES, _CONTROL_PLANE, PATH, _KIND_FILES],
    }
    key = sha256(json.dumps(recipe, sort_keys=True))[:12]
    return f"{work.config.own_images}/node:{toolchain.version('kubeadm')}-{key}"


def _from_registry(reference: str) -> NodeImage:
    match = re.search(r":(v\d+\.\d+\.\d+)", reference)
    if match is None:
        raise ConfigError(
            f"the node image {reference} does not say its Kubernetes version",
            expected="a tag and a digest, such as kindest/node:v1.37.0@sha256:...",
            run="correct node_image in [tool.gati], or GATI_NODE_IMAGE",
        )
    return NodeImage(canonical(reference), match[1], has_cni=True)


def _held(reference: str, engine: DockerClient) -> str | None:
    """The name under which the engine holds an image: its own, or of one built here, another checkout's."""
    if find_image(engine, reference):
        return reference
    tag = reference.rpartition(":")[2]
    names = (name for image in engine.images.list() for name in image.tags)
    return next((name for name in names if name.startswith("gati") and name.endswith(f"/node:{tag}")), None)


def _adopt(reference: str, engine: DockerClient) -> bool:
    """Whether the engine holds an image; one that another checkout has built is then ours too."""
    held = _held(reference, engine)
    return held == reference or (held is not None and engine.images.get(held).tag(*reference.rsplit(":", 1)))


def _remove_older(reference: str, engine: DockerClient, *, pinned: Sequence[str] = ()) -> None:
    """Node images that older versions of the recipe built are 1 GB each; one that a node still runs from stays.

    So do those of the other minors that are `pinned`.
    """
    from docker.errors import APIError

    name, _, mine = reference.partition(":")
    others = tuple(f"{name}:v{minor}." for minor in pinned if not mine.startswith(f"v{minor}."))
    for image in engine.images.list(name=name):
        for tag in image.tags:  # those of others too
            if tag.startswith(f"{name}:") and tag != reference and not tag.startswith(others):
                with contextlib.suppress(APIError):
                    engine.images.remove(tag)


def _build(image: NodeImage, work: Workspace) -> None:
    reference, say, runner = image.reference, work.say, work.runner
    begin = time.monotonic()
    say(f"building the node image {reference}; the first time takes minutes")
    with workers(runner) as pool:  # Debian's archive is waited for while Go compiles
        systems = [
            pool.submit(build_rootfs, packages, work, variant=variant)
            for packages, variant in ((_PACKAGES, SYSTEM), (_PROXY_PACKAGES, FILES))
        ]
        binaries = work.tools.paths((*_NODE_BINARIES, *_CONTROL_PLANE), built=True)
        system, proxy_system = (each.result() for each in systems)
    with temporary("node-image", work.config.cache_dir) as workplace:
        context = workplace / "context"
        say("packing the control plane's images")
        _lay_out_root(context / "root", binaries, work.tools.source("kind"), image.kubernetes)
        _place(system, context / "rootfs.tar")
        images = _control_plane_images(workplace, binaries, system, proxy_system, runner, image, context)
        write_images(context / "images.tar", images)
        say("assembling the node image")
        runner.run(
            ("docker", "build", "--quiet", "--force-rm", "--tag", reference, "--file", _DOCKERFILE, context),
            deadline=600,
            env={"DOCKER_CLI_HINTS": "false"},
        )
    say(f"built {reference} in {time.monotonic() - begin:.0f} s")


def _lay_out_root(root: Path, binaries: Mapping[str, Path], kind: Path, kubernetes: str) -> None:
    """What goes on top of Debian, as a tree: kind's files with the modes its own Dockerfile gives, the binaries."""
    static = kind / _KIND_FILES
    for source in sorted(path for path in static.rglob("*") if path.is_file()):
        target = root / source.relative_to(static)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755 if source.parent.name == "bin" else 0o644)
    (root / "kind" / "version").write_text(kubernetes + "\n", encoding="utf-8")
    for name, place in _NODE_BINARIES.items():
        _place(binaries[name], root / place)


def _control_plane_images(
    workplace: Path,
    binaries: Mapping[str, Path],
    system: Path,
    proxy_system: Path,
    runner: Runner,
    image: NodeImage,
    context: Path,
) -> list[Image]:
    """The images that kubeadm will ask for, named by kubeadm, each with one binary; and containerd's pause image."""
    names = runner.run(
        (binaries["kubeadm"], "config", "images", "list", f"--kubernetes-version={image.kubernetes}")
    ).stdout.split()
    by_component = {name.rpartition("/")[2].partition(":")[0]: name for name in names}
    images = []
    for component in _CONTROL_PLANE:
        files = {f"usr/local/bin/{component}": binaries[component]}
        proxy = component == "kube-proxy"
        layer = write_layer(workplace / f"{component}.tar", files, NFT_LINKS if proxy else None)
        config: dict[str, object] = {"Env": [PATH]}
        if component == "coredns":  # the one that is started with arguments only
            config["Entrypoint"] = [f"/usr/local/bin/{component}"]
        images.append(Image(by_component[component], (*((proxy_system,) if proxy else ()), layer), config))
    pause = write_layer(workplace / "pause.tar", {"pause": _extract(system, "usr/bin/catatonit", workplace / "pause")})
    images.append(Image(_sandbox_image(context / "root"), (pause,), {"Entrypoint": ["/pause", "-P"]}))
    return images


def _sandbox_image(root: Path) -> str:
    """The pause image that kind's containerd configuration names."""
    text = (root / "etc" / "containerd" / "config.toml").read_text(encoding="utf-8")
    match = re.search(r'^\s*sandbox_image = "([^"]+)"', text, re.MULTILINE)
    if match is None:
        raise ToolError("kind's containerd configuration names no sandbox image", run="pin a kind version that does")
    return match[1]


def _extract(tar: Path, member: str, target: Path) -> Path:
    """One file out of a root file system."""
    with tarfile.open(tar) as archive:
        stream = archive.extractfile(f"./{member}")
        if stream is None:
            raise ToolError(f"{tar.name} has no file {member}")
        with target.open("wb") as output:
            shutil.copyfileobj(stream, output)
    return target


def _place(source: Path, target: Path) -> None:
    """`source` at `target` without a copy where the file system allows it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
