"""Node images of several checkouts on one engine: one is built once, and nobody removes another's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from scripts.containers.node_image import _adopt, _remove_older


@dataclass
class Image:
    engine: Engine
    tags: list[str]

    def tag(self, name: str, tag: str) -> bool:
        self.tags.append(f"{name}:{tag}")
        return True


@dataclass
class Engine:
    """Holds images; one whose last tag is removed is gone."""

    held: list[Image] = field(default_factory=list)

    @property
    def images(self) -> Engine:
        return self

    def list(self, name: str = "") -> list[Image]:
        return [image for image in self.held if any(tag.startswith(name) for tag in image.tags)]

    def get(self, name: str) -> Image:
        from docker.errors import ImageNotFound

        if not (found := [image for image in self.held if name in image.tags]):
            raise ImageNotFound(name)
        return found[0]

    def remove(self, tag: str) -> None:
        for image in self.held:
            if tag in image.tags:
                image.tags.remove(tag)

    def add(self, *tags: str) -> Engine:
        self.held.append(Image(self, [*tags]))
        return self

    @property
    def tags(self) -> set[str]:
        return {tag for image in self.held for tag in image.tags}


def test_what_another_checkout_built_is_ours_too() -> None:
    engine = Engine().add("gati-aaaaaa/node:v1-key").add("other/node:v1-new")
    assert _adopt("gati-bbbbbb/node:v1-key", cast(Any, engine))
    assert engine.tags == {"gati-aaaaaa/node:v1-key", "gati-bbbbbb/node:v1-key", "other/node:v1-new"}
    assert not _adopt("gati-bbbbbb/node:v1-new", cast(Any, engine))


def test_only_our_own_older_ones_are_removed() -> None:
    engine = Engine().add("gati-aaaaaa/node:v1-key", "gati-bbbbbb/node:v1-key").add("gati-aaaaaa/node:v1-old")
    engine.add("gati-bbbbbb/node:v1-old", "gati-aaaaaa/node:v1-older")
    _remove_older("gati-bbbbbb/node:v1-key", cast(Any, engine))
    theirs = {f"gati-aaaaaa/node:v1-{name}" for name in ("key", "old", "older")}
    assert engine.tags == {*theirs, "gati-bbbbbb/node:v1-key"}


def test_images_of_other_minors_that_are_pinned_stay() -> None:
    engine = Engine().add("gati-aaaaaa/node:v1.37.2-key").add("gati-aaaaaa/node:v1.37.1-old")
    engine.add("gati-aaaaaa/node:v1.29.15-key").add("gati-aaaaaa/node:v1.27.3-dropped")
    _remove_older("gati-aaaaaa/node:v1.37.2-key", cast(Any, engine), pinned=("1.29", "1.37"))
    assert engine.tags == {"gati-aaaaaa/node:v1.37.2-key", "gati-aaaaaa/node:v1.29.15-key"}
