"""Images of the programs beside the chart: what is there is taken, else pulled, else built, as the setting says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from docker.errors import APIError

from scripts.containers import engine as engines
from scripts.containers import programs
from scripts.containers.programs import PROGRAMS, built_reference, program_images, remote_reference
from scripts.core.errors import EngineError
from scripts.workspace import Workspace


@dataclass
class Engine:
    """Holds images by reference; `pulled` are those that a registry would give."""

    held: set[str] = field(default_factory=set)
    registry: set[str] = field(default_factory=set)

    @property
    def images(self) -> Engine:
        return self

    api = images

    def pull(self, name: str, *, tag: str, stream: bool, decode: bool) -> list[dict[str, str]]:
        reference = f"{name}{'@' if tag.startswith('sha256:') else ':'}{tag}"
        if reference not in self.registry:
            raise APIError("500 Server Error", explanation="no route\n")
        self.held.add(reference)
        return [{"status": "Pull complete"}]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()

    def build(names: list[str], work: Workspace, _: object) -> None:
        engine.held |= {built_reference(name, work) for name in names}

    monkeypatch.setattr(engines, "find_image", lambda _, reference: reference if reference in engine.held else None)
    monkeypatch.setattr(programs, "_build", build)
    return engine


def images(names: list[str], work: Workspace, engine: Engine) -> dict[str, str]:
    return program_images(names, work, cast(Any, engine))


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_has_a_version_and_an_image_in_a_registry(name: str, work: Workspace) -> None:
    remote = remote_reference(name, work)
    assert "{" not in remote
    assert ":" in remote
    assert built_reference(name, work).startswith(f"gati/{name}:{work.tools.version(name)}-")


def test_an_image_is_named_by_what_goes_into_it() -> None:
    assert len({program.remote for program in PROGRAMS.values()}) == len(PROGRAMS)


def test_one_that_no_registry_gives_is_built_once(work: Workspace, engine: Engine) -> None:
    pulled, built = remote_reference("prometheus", work), built_reference("kube-router", work)
    engine.registry.add(pulled)
    found = images(["prometheus", "kube-router"], work, engine)
    assert found == {"prometheus": pulled, "kube-router": built}
    engine.registry.clear()
    assert images(["prometheus", "kube-router"], work, engine) == found


def test_the_setting_decides(work: Workspace, engine: Engine) -> None:
    pulled, built = remote_reference("prometheus", work), built_reference("prometheus", work)
    engine.registry.add(pulled)
    assert images(["prometheus"], work.having(images="build"), engine) == {"prometheus": built}
    assert images(["prometheus"], work.having(images="registry"), engine) == {"prometheus": pulled}
    with pytest.raises(EngineError, match=r"cannot be pulled\n  found:    no route\n  next:     GATI_IMAGES=build"):
        images(["kube-router"], work.having(images="registry"), engine)
