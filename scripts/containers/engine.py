"""Talks to the container engine over its API; every refusal becomes one line that names the cause."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from scripts.core.command import WITHHELD
from scripts.core.errors import EngineError
from scripts.core.progress import Say

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.images import Image as EngineImage

    from scripts.workspace import Workspace

_FIRST, _DEADLINE = 30, 600  # seconds without a byte from the engine: at first, and while it builds or pulls


@contextlib.contextmanager
def connect() -> Iterator[DockerClient]:
    """The engine that DOCKER_HOST or the current docker context names. Raises EngineError when none answers."""
    import docker
    from docker.errors import APIError, DockerException
    from requests import RequestException

    place: dict[str, Any] = {"base_url": os.environ.get("DOCKER_HOST")}
    try:
        place |= _place()
        # A pull asks the user's credential helper, which docker gives the environment with these laid over it.
        hidden = dict.fromkeys(WITHHELD, "")
        client = docker.DockerClient(timeout=_FIRST, credstore_env=hidden, **place)
        client.api.timeout = _DEADLINE
    except (DockerException, RequestException) as error:
        raise absent(place["base_url"], error) from None
    with contextlib.closing(client):
        try:
            yield client
        except APIError as error:
            raise EngineError(
                "the container engine refused a request", found=error.explanation or str(error)
            ) from error
        except RequestException as error:
            raise EngineError("the connection to the container engine broke", found=_root_cause(error)) from error


def absent(host: str | None, error: object) -> EngineError:
    """The error for an engine that does not answer at `host` (None: the default socket)."""
    return EngineError(
        f"no container engine answers at {host or 'the default socket'}",
        found=_root_cause(error),
        run=f"start Docker{', or correct DOCKER_HOST' if host else ''}; on a bare Debian machine, as root: .ci/engine",
    )


def find_image(engine: DockerClient, reference: str) -> EngineImage | None:
    """The image that the engine holds under `reference` (a tag or a digest), or None."""
    from docker.errors import ImageNotFound

    try:
        return engine.images.get(reference)
    except ImageNotFound:
        return None


def canonical(reference: str) -> str:
    """`name:tag@sha256:...` -> `name@sha256:...`: the engine finds an image by tag or by digest, not by both."""
    name, at, digest = reference.partition("@")
    if not at:
        return reference
    head, slash, tail = name.rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}@{digest}"


def pulled(engine: DockerClient, reference: str, say: Say, otherwise: str = "") -> bool:
    """Pull `reference`, written `name:tag` or `name@sha256:...`; False, and said, where that fails and it is made
    `otherwise`. Raises EngineError with the engine's reason.
    """
    from docker.errors import APIError

    say(f"pulling {reference}")
    name, at, digest = canonical(reference).partition("@")
    if not at:
        name, _, digest = name.rpartition(":")
    try:  # what fails once the engine has begun, such as a disk that is full, is told among its steps
        steps = engine.api.pull(name, tag=digest, stream=True, decode=True)
        found = next((str(step["error"]) for step in steps if "error" in step), "").strip()
    except APIError as error:
        found = (error.explanation or str(error)).strip()
    if not found:
        return True
    if not otherwise:
        run = "GATI_IMAGES=build builds it from Debian packages instead"
        raise EngineError(f"the image {reference} cannot be pulled", found=found, run=run)
    say(f"{reference} cannot be pulled ({found}); {otherwise}")
    return False


def taken(engine: DockerClient, work: Workspace, remote: str, built: str, how: str = "building it") -> str | None:
    """The image that serves by `config.images`, held or just pulled; None: it is to be `built`. Raises EngineError."""
    ways, named = choices(work.config.images, remote, built), canonical(remote)
    if there := next((way for way in ways if find_image(engine, way)), None):
        return there
    return named if named in ways and pulled(engine, remote, work.say, how if built in ways else "") else None


def choices(images: str, remote: str, built: str) -> tuple[str, ...]:
    """The images that serve by `config.images`, the best first: "auto" takes either, `built` where `remote` is ""."""
    remote = canonical(remote)
    return {"registry": (remote,), "build": (built,), "auto": (remote, built) if remote else (built,)}[images]


def _place() -> dict[str, Any]:
    """Where the docker command finds its engine, too: at DOCKER_HOST, else by DOCKER_CONTEXT or the context in use."""
    from docker.context import ContextAPI
    from docker.utils import kwargs_from_env

    if os.environ.get("DOCKER_HOST"):
        return dict(kwargs_from_env())
    with contextlib.suppress(Exception):  # an unreadable docker configuration is no reason not to try the socket
        if (context := ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT"))) and context.Host:
            return {"base_url": context.Host, "tls": context.TLSConfig}
    return {}


def _root_cause(error: object) -> str:
    text = str(error)
    for sign, cause in (
        ("FileNotFoundError", "the socket is not there"),
        ("PermissionError", "this user may not use the socket (is the user in group docker?)"),
        ("Connection refused", "the connection was refused"),
        ("Name or service not known", "there is no such host"),
        ("ssh://", "behind ssh it is another machine's, whose files and ports are not these"),
        ("timed out", "nothing answered in time"),
    ):
        if sign in text:
            return cause
    return text.splitlines()[0] if text else type(error).__name__
