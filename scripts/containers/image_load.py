"""Owns how images get from the local engine into the nodes of a kind cluster: once, and only what is missing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from scripts.core.command import Runner
from scripts.core.errors import EngineError
from scripts.core.owner import temporary
from scripts.core.parallel import workers

# Remembers on a node which image of the engine (its id) a name stands for: a tag can be moved, and moved back.
_LABEL = "gati.engine-id"
_DEADLINE = 180.0
_CTR = ("ctr", "--namespace=k8s.io", "images")


def load_images(references: Iterable[str], nodes: Sequence[str], runner: Runner) -> tuple[str, ...]:
    """Put images on the `nodes` that lack them; those images. Raises EngineError, CommandFailed, CommandTimeout."""
    wanted = {reference: _engine_id(reference, runner) for reference in dict.fromkeys(references)}
    with workers(runner) as pool:
        missing = dict(zip(nodes, pool.map(lambda node: _missing(node, wanted, runner), nodes), strict=True))
        needed = tuple(sorted({reference for lacking in missing.values() for reference in lacking}))
        if not needed:
            return ()
        with temporary("images") as folder:
            archive = folder / "images.tar"
            runner.run(("docker", "save", f"--output={archive}", *needed), deadline=_DEADLINE)
            behind = [node for node in nodes if missing[node]]
            list(pool.map(lambda node: _import(node, archive, needed, wanted, runner), behind))
    return needed


def full_name(reference: str) -> str:
    """A reference as containerd keeps it: with the registry and the tag that the engine leaves out."""
    first, slash, _ = reference.partition("/")
    if not slash:
        reference = f"docker.io/library/{reference}"
    elif not ({".", ":"} & set(first)) and first != "localhost":
        reference = f"docker.io/{reference}"
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def _engine_id(reference: str, runner: Runner) -> str:
    result = runner.run(("docker", "image", "inspect", "--format={{.Id}}", reference), check=False)
    if result.status != 0:
        raise EngineError(
            f"the image {reference} cannot be loaded into the cluster",
            expected="an image that the local engine holds",
            found=result.stderr.strip(),
        )
    return result.stdout.strip().partition(":")[2]


def _missing(node: str, wanted: Mapping[str, str], runner: Runner) -> list[str]:
    filters = [f'name=={full_name(reference)},labels."{_LABEL}"=={wanted[reference]}' for reference in wanted]
    listed = runner.run(("docker", "exec", node, *_CTR, "list", "--quiet", *filters)).stdout.split()
    return [reference for reference in wanted if full_name(reference) not in listed]


def _import(node: str, archive: Path, references: Sequence[str], wanted: Mapping[str, str], runner: Runner) -> None:
    importing = ("docker", "exec", "--interactive", node, *_CTR, "import", "--snapshotter=overlayfs", "-")
    runner.run(importing, stdin=archive, deadline=_DEADLINE)
    labelling = [(*_CTR, "label", full_name(name), f"{_LABEL}={wanted[name]}") for name in references]
    script = "\n".join(("set -e", *map(shlex.join, labelling)))
    runner.run(("docker", "exec", "--interactive", node, "sh", "-s"), stdin=script)
