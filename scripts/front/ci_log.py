"""Speaks the forms of the CI system around us: folded groups of lines, and findings at their places in the source."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from scripts.present import Mark

System = Literal["github", "gitlab", ""]
_GITHUB = {"error": "error", "warning": "warning", "info": "notice"}
_GITLAB = {"error": "major", "warning": "minor", "info": "info"}
QUALITY = "code-quality.json"  # GitLab's `artifacts: reports: codequality:`


def system(environ: Mapping[str, str] = os.environ) -> System:
    """Whose log this is, as the environment says; "" for a person's terminal and for every other system."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return "github"
    return "gitlab" if environ.get("GITLAB_CI") == "true" else ""


@contextlib.contextmanager
def grouped(name: str, write: Callable[[str], None], *, of: System) -> Iterator[None]:
    """What is written in the block can be folded, under `name`."""
    section = re.sub(r"[^a-zA-Z0-9_.-]", "_", name)
    if of == "github":
        write(f"::group::{_data(name)}")
    elif of == "gitlab":
        write(f"\x1b[0Ksection_start:{time.time():.0f}:{section}\r\x1b[0K{name}")
    try:
        yield
    finally:
        if of == "github":
            write("::endgroup::")
        elif of == "gitlab":
            write(f"\x1b[0Ksection_end:{time.time():.0f}:{section}\r\x1b[0K")


def annotate(marks: Iterable[Mark], write: Callable[[str], None], dist: Path, *, check: str, of: System) -> None:
    """Put findings where the system shows them: GitHub reads them from the log, GitLab from a file in `dist`.

    There those of each `check` of the job stand beside each other.
    """
    from scripts.core.errors import MALFORMED
    from scripts.core.files import sha256, write_json

    marks = tuple(marks)
    if of == "github":
        for mark in marks:
            place = {"file": mark.file, "line": mark.line}
            told = {
                key: _data(str(value)).replace(":", "%3A").replace(",", "%2C") for key, value in place.items() if value
            }
            where = ",".join(f"{key}={value}" for key, value in told.items())
            write(f"::{_GITHUB[mark.level]}{' ' if where else ''}{where}::{_data(mark.message)}")
    elif of == "gitlab":
        issues = [
            {
                "description": mark.message,
                "check_name": check,
                "fingerprint": sha256(f"{mark.file}\0{mark.message}"),
                "severity": _GITLAB[mark.level],
                "location": {"path": mark.file, "lines": {"begin": mark.line or 1}},
            }
            for mark in marks
        ]
        with contextlib.suppress(OSError, *MALFORMED):
            told = json.loads((dist / QUALITY).read_text(encoding="utf-8"))
            issues = [*(one for one in told if one["check_name"] != check), *issues]
        write_json(dist / QUALITY, issues)


def summarize(markdown: str) -> None:
    """Add `markdown` to the summary of the job, where the system around us has one. Raises OutputError."""
    from scripts.core.files import writing

    if not (file := os.environ.get("GITHUB_STEP_SUMMARY")):
        return
    with (
        writing(f"the job's summary {file} cannot be written", Path(file).parent),
        Path(file).open("a", encoding="utf-8", errors="backslashreplace") as summary,
    ):
        summary.write(markdown)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
