"""Images of the services on an engine that others use too: what is held of the same sources is not built again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from scripts.containers.images import ABRUPT, build_services
from scripts.workspace import Workspace


@dataclass
class Image:
    id: str
    tags: list[str]
    labels: dict[str, str]
    attrs: dict[str, int] = field(default_factory=lambda: {"Size": 1})

    def tag(self, name: str, tag: str) -> bool:
        self.tags.append(f"{name}:{tag}")
        return True


class Engine:
    """Holds a base, and what it was told to build; `built` is what it built, in its order."""

    def __init__(self, base: str) -> None:
        self.held = [Image("sha256:base", [base], {})]
        self.built: list[str] = []

    @property
    def images(self) -> Engine:
        return self

    api = images

    def get(self, name: str) -> Image:
        from docker.errors import ImageNotFound

        for image in reversed(self.held):
            if name in image.tags:
                return image
        raise ImageNotFound(name)

    def list(self, filters: dict[str, str]) -> list[Image]:
        name, _, value = filters["label"].partition("=")
        return [image for image in self.held if image.labels.get(name) == value]

    def build(self, *, tag: str, labels: dict[str, str], **_: Any) -> Iterator[dict[str, str]]:
        self.built.append(tag)
        self.held.append(Image(f"sha256:{len(self.held)}", [tag], labels))
        yield {"stream": "Successfully built"}


@pytest.fixture
def work(work: Workspace, tmp_path: Path) -> Workspace:
    """A checkout of its own, as far as its images go."""
    return cloned(work, tmp_path / "one").having(images="registry")


@pytest.fixture
def engine(work: Workspace) -> Engine:
    return Engine(work.config.python_image)


def cloned(work: Workspace, folder: Path) -> Workspace:
    shutil.copytree(work.config.root / "compose", folder / "compose")
    return work.having(root=folder)


def built(work: Workspace, engine: Engine, *versions: str) -> list[str]:
    """What has to be built for `versions`, without the name of the checkout."""
    engine.built.clear()
    images = build_services(work, cast(Any, engine), versions=versions or ("1",))
    assert all(engine.get(image.reference).id == image.id for image in images)
    return [tag.partition("/")[2] for tag in engine.built]


def test_another_checkout_of_the_same_content_builds_nothing(
    work: Workspace, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert built(work, engine, "1", "2") == ["ingress:1", "ingress:2", "route-manager:1", "route-manager:2"]
    other = cloned(work, tmp_path / "other")
    assert other.config.own_images != work.config.own_images
    (tmp_path / "authorities.pem").write_text("those of another network", encoding="utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authorities.pem"))
    assert built(other, engine, "1", "2") == []
    first = engine.get(f"{work.config.own_images}/ingress:1")
    assert first.tags == [f"{own.config.own_images}/ingress:1" for own in (work, other)]


def test_what_goes_into_an_image_makes_another(work: Workspace, engine: Engine) -> None:
    every = ["ingress:1", "route-manager:1"]
    assert built(work, engine) == every
    assert built(work, engine, f"1{ABRUPT}") == [f"{name}{ABRUPT}" for name in every]
    compose = work.config.root / "compose"
    with (compose / "ingress" / "Dockerfile").open("a", encoding="utf-8") as file:
        file.write("LABEL mine=1\n")
    assert built(work, engine) == ["ingress:1"]
    assert built(work, engine) == []
    (compose / "common" / "gati_common" / "logs.py").chmod(0o755)
    assert built(work, engine) == every
    engine.held[0].id = "sha256:a newer base"
    assert built(work, engine) == every
