"""Reads the files that runs left in `dist/`; what is absent, damaged or of another version says what makes it anew."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from scripts.core import json_read
from scripts.core.files import read_file
from scripts.core.paths import shown
from scripts.core.progress import plain

_SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


@dataclass
class Inputs:
    """The results in `dist` of a chart that `flags` lead our tasks to; `gaps` says in words what is not covered.

    `name` is what the names of its files begin with, `title` what a person calls it, `chart` says in results that they
    are of it. What nox measures is of this project and its `own` chart.
    """

    dist: Path
    name: str
    title: str
    chart: Mapping[str, str]
    flags: str = ""
    own: bool = True
    gaps: list[str] = field(default_factory=list)

    def read(self, file: Path, what: str, command: str, *, unread: str = "") -> dict[str, Any]:
        """What a file holds, by its schema, with `state` "there"; else "absent", with `why` and a `command` for it.

        Of what is by the key `unread` there may be too much to be held against the schema: it is left out, but at the
        top, where it may be whatever it is.
        """
        try:
            told = read_json(file, unread)
        except FileNotFoundError:
            return self.absent(f"there is no {shown(file)}", command)
        except (OSError, ValueError) as error:
            return self.absent(f"{shown(file)} cannot be read: {error}", command)
        flaw = objection(what, {**told, unread: []} if unread and unread in told else told)
        if flaw:
            return self.absent(f"{shown(file)} is not what this version of the toolkit writes: {flaw}", command)
        return {**told, "state": "there"}

    def of_chart(self, what: str, command: str, file: str = "") -> dict[str, Any]:
        """`dist/NAME.WHAT.json`, or FILE; what was found of another version or of other files is none of this chart."""
        told = self.read(self.dist / (file or f"{self.name}.{what}.json"), what, command)
        if told["state"] == "absent":
            return told
        of = told["chart"] if isinstance(told.get("chart"), dict) else told
        version, now = of.get("current", of["version"]), self.chart
        if version != now["version"]:
            return self.absent(f"the last result is of {version}, and the chart is {now['version']}", command)
        if of.get("sources", now["sources"]) != now["sources"]:  # which those have not that are about an archive
            return self.absent("the chart's files have changed since the last result", command)
        return told

    def of_project(self, what: str, session: str) -> dict[str, Any]:
        """`dist/WHAT.json`, which `nox -s SESSION` writes."""
        if self.own:
            return self.read(self.dist / f"{what}.json", what, f"nox -s {session}")
        return self.absent("it is measured of the toolkit and its own chart", f"nox -s {session}")

    def absent(self, why: str, command: str) -> dict[str, Any]:
        command = self.command(command)
        if self.own or command.startswith("invoke "):
            self.gaps.append(f"{why}; `{command}` makes it")
        return {"state": "absent", "why": why, "command": command}

    def command(self, line: str) -> str:
        """The command `line` with what leads it to the chart."""
        return line + self.flags if line.startswith("invoke ") else line


_MOST = 2**53  # above it not every whole number is a float, and a time is none that a clock shows


def read_json(file: Path, unread: str = "") -> Any:
    """What a file of JSON says; lists by the key `unread` below its top are empty.

    Raises OSError, and ValueError also for what is nested too deeply or is no number.
    """
    numbers = {"parse_int": lambda text: int(_real(text)), "parse_float": _real, "parse_constant": _real}
    told = json_read.load(read_file(file), **numbers)
    if not isinstance(told, dict):
        return shown_texts(told)
    return {shown_texts(key): shown_texts(item, unread) for key, item in told.items()}


def _real(text: str) -> float:
    number = float(text)
    if not abs(number) < _MOST:
        raise ValueError(f"{text[:20]} is a number that no run leaves")
    return number


def shown_texts(value: Any, unread: str = "") -> Any:
    """`value` with a mark for what steers a terminal or is no character; lists by the key `unread` are empty."""
    if isinstance(value, str):
        return value if value.isprintable() else plain(value.encode(errors="replace").decode())
    if isinstance(value, dict):
        return {shown_texts(key): [] if key == unread else shown_texts(item, unread) for key, item in value.items()}
    return [shown_texts(item, unread) for item in value] if isinstance(value, list) else value


def objection(what: str, told: Any) -> str:
    """What keeps `told` from being a file that holds `what`; "" where nothing does."""
    import jsonschema

    found = jsonschema.exceptions.best_match(_validator(what).iter_errors(told))
    return "" if found is None else f"{found.json_path}: {found.message[:200]}"


@functools.cache
def _validator(what: str) -> Any:
    import jsonschema

    schema = json.loads((_SCHEMAS / f"{what}.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def read_junit(file: Path) -> list[dict[str, Any]]:
    """The suites of a JUnit file: how many cases, and those that did not pass. Raises OSError, ValueError."""
    try:
        root = ElementTree.parse(file).getroot()  # noqa: S314 - what a test of ours wrote, and expat bounds entities
    except (ElementTree.ParseError, LookupError) as error:  # the latter of an encoding that nobody knows
        raise ValueError(str(error)) from error
    suites = []
    for suite in root.iter("testsuite"):
        cases = suite.findall("testcase")
        bad = [(case, kind, case.find(kind)) for case in cases for kind in ("failure", "error")]
        suites.append(
            {
                "name": suite.get("name", ""),
                "cases": len(cases),
                "seconds": _real(suite.get("time") or "0"),
                "failed": [
                    {"name": case.get("name", ""), "kind": kind, "message": told.get("message") or (told.text or "")}
                    for case, kind, told in bad
                    if told is not None
                ],
            }
        )
    if not any(suite["cases"] for suite in suites):
        raise ValueError("there is no test case in it")
    return list(shown_texts(suites))
