"""Renders the chart with the real helm and hands back documents; identical renders happen once."""

from __future__ import annotations

import contextlib
import functools
import json
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scripts.chart.manifests import Manifests, Parser
from scripts.core.config import load_config
from scripts.core.errors import CommandFailed
from scripts.core.yaml_read import loader
from scripts.toolchain.finder import Toolchain
from tests.remembered import Remembering, shared

ROOT = Path(__file__).resolve().parents[2]
CHART = load_config(ROOT).chart
METADATA = yaml.safe_load((CHART / "Chart.yaml").read_text())
NEWEST, OLDEST = "1.37.0", "1.28.0"
PARSER = Parser()  # most of what is rendered was rendered before
KUBERNETES = tuple(f"1.{minor}.0" for minor in range(28, 38))

Document = dict[str, Any]
Values = Mapping[str, Any]


class Documents:
    """The documents of one render as plain maps, in helm's order; look-ups are those of `scripts.chart.manifests`."""

    def __init__(self, manifests: Manifests) -> None:
        self.manifests = manifests

    def __iter__(self) -> Iterator[Document]:
        return (document.data for document in self.manifests)  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self.manifests)

    def all(self, kind: str) -> list[Document]:
        """Every document of `kind`."""
        return [document.data for document in self.manifests.all(kind)]  # type: ignore[misc]

    def one(self, kind: str, name: str | None = None) -> Document:
        """The only document of `kind` (and `name`)."""
        found = [document for document in self.manifests.all(kind) if name in (None, document.name)]
        assert len(found) == 1, [str(document.identity) for document in self.manifests]
        return found[0].data  # type: ignore[return-value]


def render_text(
    values: Values | None = None,
    *,
    values_files: Sequence[str] = (),
    show_only: Sequence[str] = (),
    kube_version: str = NEWEST,
    namespace: str = "gati",
    api_versions: Sequence[str] = (),
    release: str = "gati",
    upgrade: bool = False,
    chart: Path = CHART,
) -> str:
    """What `helm template` prints; `values_files` are names inside the chart. Raises CommandFailed."""
    return _template(
        chart,
        json.dumps(values or {}, sort_keys=True, ensure_ascii=False),
        tuple(values_files),
        tuple(show_only),
        kube_version,
        namespace,
        tuple(api_versions),
        release,
        upgrade,
    )


def render(values: Values | None = None, **options: Any) -> Documents:
    """`render_text`, parsed, no key twice; the documents are the caller's own to change."""
    manifests = PARSER.read(render_text(values, **options))
    for document in manifests:
        _demand_once(document.source, document.text)
    return Documents(pickle.loads(pickle.dumps(manifests)))


def render_error(values: Values | None = None, **options: Any) -> str:
    """What helm says when it refuses; AssertionError when it renders."""
    try:
        render_text(values, **options)
    except CommandFailed as refusal:
        return refusal.stderr
    raise AssertionError(f"helm rendered what it should refuse: {values} {options}")


@functools.cache
def _demand_once(source: str, text: str) -> None:
    """A key that stands twice in a rendered object is a fault of the template, though helm takes the last one."""
    ahead: list[yaml.Node] = [*yaml.compose_all(text, Loader=loader())]
    while ahead:
        node = ahead.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len({*keys}), f"{source}: of {keys} one stands twice"
            ahead += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            ahead += node.value


@functools.cache
def tool(name: str) -> str:
    """The pinned binary `name`; built once when it is missing, which takes a minute or two."""
    return str(toolchain().path(name))


@functools.cache
def toolchain() -> Toolchain:
    """The pinned tools and modules."""
    return Toolchain(load_config(ROOT).cache_dir, runner(), say=lambda line: print(line, file=sys.stderr))


@functools.cache
def runner() -> Remembering:
    """The runner of helm and kubeconform, whose answers are kept."""
    return shared(load_config(ROOT).cache_dir)


@contextlib.contextmanager
def afresh() -> Iterator[None]:
    """While the block runs, whatever is rendered is rendered anew."""
    with runner().afresh():
        _template.cache_clear()
        yield
    _template.cache_clear()


@functools.cache
def _template(
    chart: Path,
    values: str,
    values_files: tuple[str, ...],
    show_only: tuple[str, ...],
    kube_version: str,
    namespace: str,
    api_versions: tuple[str, ...],
    release: str,
    upgrade: bool,
) -> str:
    argv = [tool("helm"), "template", release, str(chart), "--namespace", namespace, "--kube-version", kube_version]
    if upgrade:
        argv.append("--is-upgrade")
    for name in values_files:
        argv += ["--values", str(chart / name)]
    for template in show_only:
        argv += ["--show-only", template]
    for version in api_versions:
        argv += ["--api-versions", version]
    # The test's own time ends it sooner; on a machine that has none to spare a render may wait for minutes.
    return runner().run([*argv, "--values", "-"], stdin=values, deadline=600).stdout


def pod(workload: Document) -> Document:
    """The pod spec of a workload (or of a bare Pod)."""
    spec: Document = workload["spec"]
    return spec if workload["kind"] == "Pod" else spec["template"]["spec"]


def container(workload: Document) -> Document:
    """The only main container of a workload."""
    (only,) = pod(workload)["containers"]
    return only  # type: ignore[no-any-return]


def environment(workload: Document) -> dict[str, Any]:
    """The plain environment of the main container."""
    return {entry["name"]: entry.get("value") for entry in container(workload).get("env", [])}
