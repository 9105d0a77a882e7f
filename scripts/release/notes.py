"""Writes the notes of a release: what changed, what an upgrade does, how to install and how to verify the version."""

from __future__ import annotations

import shlex
from pathlib import Path

from scripts.chart.archive import Package
from scripts.chart.changelog import markdown_lines, parse, read_text
from scripts.core.config import Config
from scripts.core.semver import is_prerelease
from scripts.release.record import EMBEDDED

NAME = "release-notes.md"
_LONGEST = 60_000  # characters of the changelog's part; the verdict's is as long, and GitHub takes 125,000 in all


def notes_file(config: Config, chart: str) -> Path:
    """Where the notes of the chart of that name stand; those of several charts stand beside each other."""
    return config.result(chart, NAME) if config.charts else config.dist / NAME


def notes(
    package: Package,
    *,
    changelog: Path,
    judged: str,
    reference: str,
    digest: str,
    commit: str | None,
    registry: str,
    plain_http: bool,
) -> str:
    """The notes as Markdown, with the verdict (`judged`) and what a `changelog` says. Raises ChangelogError."""
    parts = [f"# {package.title}\n"]
    if told := changes(changelog, package.version):
        if len(told) > _LONGEST:  # and what is cut in the middle goes: a line, or a fence with what leads to it
            whole = max((number for number, _ in markdown_lines(told[:_LONGEST])), default=1) - 1
            told = "\n".join([*told.splitlines()[:whole], "", f"The rest stands in {changelog.name}.", ""])
        parts.append(told)
    if judged:
        parts.append(judged.rstrip() + "\n")
    address = reference.rpartition(":")[0]
    pull = shlex.join([address, "--version", package.version, *["--plain-http"] * plain_http])
    if registry != EMBEDDED:  # which is gone with its run
        devel = (
            "\n\nIt is a pre-release: nobody gets it who does not name it." if is_prerelease(package.version) else ""
        )
        parts.append(f"## Install\n\n```\nhelm upgrade --install {package.name} {pull}\n```{devel}\n")
        check = f"helm pull {pull}\necho '{package.sha256}  {package.path.name}' | sha256sum --check"
        parts.append(f"## Verify\n\n```\n{check}\n```\n\n`helm pull` prints the digest, which is the one below.\n")
    facts = {"reference": reference, "digest": digest, "sha256 of the archive": package.sha256, "commit": commit}
    rows = [f"| {name} | `{value}` |" for name, value in facts.items() if value]
    parts.append("\n".join(["| | |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def changes(changelog: Path, version: str) -> str:
    """What the changelog says of `version`, as it stands there, with headings one level deeper kept; "" for nothing."""
    text = read_text(changelog)
    if text is None:
        return ""
    found = parse(text, str(changelog))
    if (section := found.section(version)) is None:
        return ""
    after = [other.line for other in found.sections if other.line > section.line]
    lines = text.splitlines()[section.line : min(after) - 1 if after else None]
    while lines and (not lines[-1].strip() or (lines[-1].lstrip().startswith("[") and "]: " in lines[-1])):
        lines.pop()  # the links of the whole file
    body = "\n".join(lines).strip("\n")
    return f"{body}\n" if body else ""
