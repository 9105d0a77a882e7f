"""Images reach each node that lacks them, once; a moved tag counts as lacking."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest

from scripts.containers.image_load import full_name, load_images
from scripts.core.command import Result
from scripts.core.errors import EngineError


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("alpine:3", "docker.io/library/alpine:3"),
        ("gati/ingress:1", "docker.io/gati/ingress:1"),
        ("gati/ingress", "docker.io/gati/ingress:latest"),
        ("ghcr.io/gati/ingress:1", "ghcr.io/gati/ingress:1"),
        ("localhost/ingress", "localhost/ingress:latest"),
        ("127.0.0.1:5000/ingress", "127.0.0.1:5000/ingress:latest"),
    ],
)
def test_names_are_written_out_as_containerd_does(reference: str, expected: str) -> None:
    assert full_name(reference) == expected


class Machine:
    """An engine with images (name -> id) and nodes, each with what it holds (full name -> id)."""

    def __init__(self, images: dict[str, str], *nodes: str) -> None:
        self.images = images
        self.nodes: dict[str, dict[str, str]] = {node: {} for node in nodes}
        self.saved: list[list[str]] = []
        self.imported: list[str] = []
        self._lock = threading.Lock()

    def run(self, argv: tuple[Any, ...], *, stdin: str = "", **_: Any) -> Result:
        words = [str(word) for word in argv]
        with self._lock:
            return Result(tuple(words), *self._answer(words, stdin), 0.0)

    def end(self, _: object) -> None:
        raise AssertionError("nothing failed")

    def _answer(self, words: list[str], stdin: str) -> tuple[int, str, str]:
        match words:
            case ["docker", "image", "inspect", _, reference]:
                if reference not in self.images:
                    return 1, "", f"Error: No such image: {reference}"
                return 0, f"sha256:{self.images[reference]}\n", ""
            case ["docker", "save", _, *references]:
                self.saved.append(references)
                return 0, "", ""
            case ["docker", "exec", node, "ctr", _, "images", "list", "--quiet", *filters]:
                wanted = dict(re.findall(r'name==(\S+),labels."gati.engine-id"==(\S+)', "\n".join(filters)))
                held = self.nodes[node]
                return 0, "\n".join(name for name, id_ in wanted.items() if held.get(name) == id_), ""
            case ["docker", "exec", "--interactive", node, "ctr", _, "images", "import", *_]:
                self.imported.append(node)
                return 0, "", ""
            case ["docker", "exec", "--interactive", node, "sh", "-s"]:
                self.nodes[node].update(re.findall(r"label (\S+) gati.engine-id=(\S+)", stdin))
                return 0, "", ""
        raise AssertionError(words)


def load(machine: Machine, *references: str) -> tuple[str, ...]:
    return load_images(references, list(machine.nodes), machine)  # type: ignore[arg-type]


def test_every_node_gets_what_it_lacks_and_only_once() -> None:
    machine = Machine({"gati/a:1": "aa", "gati/b:1": "bb"}, "n1", "n2")

    assert load(machine, "gati/a:1", "gati/b:1", "gati/a:1") == ("gati/a:1", "gati/b:1")
    assert load(machine, "gati/a:1", "gati/b:1") == ()

    assert machine.saved == [["gati/a:1", "gati/b:1"]]
    assert sorted(machine.imported) == ["n1", "n2"]
    assert machine.nodes["n1"] == {"docker.io/gati/a:1": "aa", "docker.io/gati/b:1": "bb"}


def test_a_node_that_joined_later_is_the_only_one_served() -> None:
    machine = Machine({"gati/a:1": "aa"}, "n1")
    load(machine, "gati/a:1")
    machine.nodes["n2"] = {}

    assert load(machine, "gati/a:1") == ("gati/a:1",)
    assert machine.imported == ["n1", "n2"]


def test_a_tag_that_moved_is_loaded_again_and_so_is_one_that_moved_back() -> None:
    machine = Machine({"gati/a:1": "aa"}, "n1")
    for id_ in ("aa", "bb", "aa"):
        machine.images["gati/a:1"] = id_
        assert load(machine, "gati/a:1") == ("gati/a:1",)
        assert machine.nodes["n1"] == {"docker.io/gati/a:1": id_}


def test_an_image_the_engine_lacks_is_named() -> None:
    with pytest.raises(EngineError, match=r"gati/none:1 cannot be loaded") as error:
        load(Machine({}, "n1"), "gati/none:1")
    assert "No such image" in str(error.value)
