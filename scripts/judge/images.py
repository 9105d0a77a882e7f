"""Judges a change of a container image."""

from __future__ import annotations

import re
from typing import Any

from scripts.chart.pods import DIGEST
from scripts.judge.reason import Level, numbers, version_level

_TAIL = re.compile(r"^(?P<name>.+?)(?::(?P<tag>[\w][\w.-]*))?(?:@(?P<digest>[\w+.]+:[0-9a-fA-F]+))?$")
_TAGGED = re.compile(rf"[a-z\d.-]+(:\d+/[a-z\d._-]+)?(/[a-z\d._-]+)*(?=[:@])(:[\w][\w.-]*)?(@{DIGEST})?")


def parts(image: str) -> tuple[str, str, str]:
    """(repository, tag, digest) of an image; a part that it lacks is ""."""
    found = _TAIL.match(image)
    if found is None:
        return image, "", ""
    return found["name"], found["tag"] or "", found["digest"] or ""


def is_tagged(text: Any) -> bool:
    """Whether a text is an image with its tag or digest."""
    return isinstance(text, str) and _TAGGED.fullmatch(text) is not None


def judge_image(old: str, new: str) -> tuple[Level, str]:
    """The level of a change from one image to another, and what it means."""
    (was, old_tag, old_digest), (now, new_tag, new_digest) = parts(old), parts(new)
    if not same_repository(was, now):
        words = "the image comes from elsewhere: mirrors and pull secrets have to know it"
        level = version_level(old_tag, new_tag) if old_tag != new_tag else "none"
        return ("major", f"{words}; its version is another major one") if level == "major" else ("minor", words)
    if old_tag != new_tag:
        return judge_tag(old_tag, new_tag)
    if old_digest and not new_digest:
        return "minor", "the image is no longer held by its digest"
    return "patch", "another build of the same version"


def same_repository(one: str, other: str) -> bool:
    """Whether both are names of the same repository, as `a/b` is one of `docker.io/a/b`."""
    return _whole(one) == _whole(other)


def _whole(repository: str) -> str:
    """A repository by the name that a container runtime gives it."""
    host, slash, _ = repository.partition("/")
    if not slash:
        return f"docker.io/library/{repository}"
    if host == "index.docker.io":
        return f"docker.io{repository.removeprefix(host)}"
    return repository if "." in host or ":" in host or host == "localhost" else f"docker.io/{repository}"


def judge_tag(old: str, new: str) -> tuple[Level, str]:
    """The same for tags alone."""
    level, before, after = version_level(old, new), numbers(old), numbers(new)
    if before is None or after is None:
        return level, "a tag that is no version: nothing tells how far the image has changed"
    way = "back to" if after < before else "to"
    return level, {
        "major": f"the image goes {way} a version that may break what worked with the old one",
        "minor": f"the image goes {way} a version with other features",
    }.get(level, f"the image goes {way} a repaired version")
