"""Reads what helm says into complaints that name a file, a line or a values key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.chart.objections import POINTER, read_objection, unescaped
from scripts.core.command import Result
from scripts.core.errors import ChartError, ReleaseError, ValuesError
from scripts.core.paths import key_text, line_of, shown
from scripts.core.yaml_read import loaded

_HINT = re.compile(r"\n*Use --debug flag to render out invalid YAML\s*$")
_LINT_LINE = re.compile(r"^\[(INFO|WARNING|ERROR)\] ?(.*?): ?(.*)$")
_LINT_LOG = re.compile(r'^level=\w+ msg="(?:funcMap fail|missing required values?)" message="(.*)"$')
_COALESCED = re.compile(r'^level=\w+ msg="(warning: (?:cannot overwrite|destination for|skipped value).*)"$')
_SCHEMA = "values don't meet the specifications of the schema(s) in the following chart(s):"
_SCHEMA_LINE = re.compile(rf"^(\s*){POINTER}(.*)$", re.MULTILINE)
_FRAME = re.compile(r"^(\S+\.\w+):(\d+)(?::(\d+))?$")
# Where the cause is no template's own, helm gives the words of Go's library as they are, in one line.
_UNTOUCHED = re.compile(r'template: (\S+\.\w+:\d+(?::\d+)?): (executing ".*?" at <.*?>): ')
# A template in the text of a value, of which helm quotes all: the innermost is the one that fails.
_INNER = re.compile(
    r'.*(?:cannot parse template|error during tpl function execution for) "((?:[^"\\]|\\.)*)": template: gotpl:[\d:]+ '
    r'(?:executing "gotpl" at (<.*?>): )?(?:error calling \w+: )?(?:template: )?(.*)',
    re.DOTALL,
)
_EXECUTING = re.compile(r'^executing ".*" at (<.*>):$')
_FAILED = re.compile(r"^(?:execution|parse) error at \((\S+?):(\d+)(?::(\d+))?\): (.*)$", re.DOTALL)
_RENDERED = re.compile(r"^(?:YAML parse error on|error validating) (\S+): (?:error converting YAML to JSON: )?(.*)$")
_MISSING_CHARTS = re.compile(r"(?:missing in charts/ directory|is missing these dependencies): (.*)$")
# What Go's readers of YAML and JSON say, and what it means of Chart.yaml and of what is rendered.
_UNKNOWN = re.compile(r'json: unknown field "(.+)"$')
_TWICE = re.compile(r'line (\d+): key "(.+)" already set in map$')
_NO_TEXT = re.compile(r"appVersion should be of type string")
_NO_ADDRESS = re.compile(r"invalid (?:icon|source|email|url)[^']*'(.*?)'|each (maintainer)")
_MISTYPED = re.compile(r"json: cannot unmarshal (\w+) into Go struct field Metadata\.(\w+) of type (\S+)$")
_NO_OBJECT = re.compile(
    r".*json: cannot unmarshal (\w+) into Go value of type \w+\.(?:SimpleHead|k8sYamlStruct)$", re.DOTALL
)
_KINDS = {
    "string": "text",
    "bool": "true or false",
    "array": "a list",
    "[": "a list",
    "object": "a mapping",
    "m": "a mapping",
}
_LOOKED_FOR = re.compile(r'^failing loading "file:///([^"]+)".*')
_NOT_FOUND = re.compile(r'^json-pointer in "file:///values.schema.json(#[^"]*)" not found$')
# What helm says of a .helmignore, which it does not name.
_IGNORE = {
    "double-star (**) syntax is not supported": "double-star (**) syntax is not supported",
    "syntax error in pattern": "syntax error in pattern",
    "Chart.yaml file is missing": "Chart.yaml is among what it ignores",
}
_INVALID = re.compile(r"^validation: (chart\.metadata\.)?((\S+).*)$", re.DOTALL)
_NO_CHART = re.compile(r"^error unpacking subchart (\S+) in \S+: (.*)$", re.DOTALL)
MISSING = "dependencies are missing in charts/: "
_REQUIRES = re.compile(r"^chart requires kubeVersion: (.*) which is incompatible with Kubernetes (\S+)$")


@dataclass(frozen=True)
class Complaint:
    """One thing helm finds wrong. `key` is the path of a value ("" when the complaint is not about values)."""

    message: str
    level: str = "error"  # or "warning", "info"
    file: Path | None = None
    line: int | None = None
    key: str = ""
    run: str | None = None
    refused: bool = False
    """True for a `fail` or `required` that `helm lint` mentions without its place."""
    demanded: bool = False
    """True for a `fail` or `required` of a template, by which the chart refuses values."""

    def __str__(self) -> str:
        place = shown(self.file) if self.file else ""
        place += f":{self.line}" if self.file and self.line else ""
        return ": ".join(part for part in (place, self.key, self.message) if part)


def refusal(complaints: Sequence[Complaint], chart: Path) -> ReleaseError:
    """The error for complaints that stop a render; one alone is the message itself."""
    about_values = all(complaint.key or complaint.demanded for complaint in complaints)
    error = ValuesError if about_values else ChartError
    run = next((complaint.run for complaint in complaints if complaint.run), None)
    if len(complaints) == 1:
        return error(str(complaints[0]), run=run)
    return error(f"{shown(chart)}: {len(complaints)} things are wrong", found="\n".join(map(str, complaints)), run=run)


def read_complaints(text: str, chart: Path, values: Sequence[Path] = ()) -> tuple[Complaint, ...]:
    """What helm's error text says, without its noise. `text` may start with `Error: `; never empty."""
    text = _HINT.sub("", text.strip())
    # Progress and warnings come before the error; it alone is what stopped helm.
    text = re.split(r"^Error: ", text, maxsplit=1, flags=re.MULTILINE)[-1].strip()
    if text.startswith(_SCHEMA):
        return _schema_complaints(text.removeprefix(_SCHEMA), chart, values)
    if found := _FAILED.match(text):
        name, line, _, message = found.groups()
        demanded = text.startswith("execution")
        return (Complaint(message.strip(), file=_source(chart, name), line=int(line), demanded=demanded),)
    text = _UNTOUCHED.sub(r"\n\1\n\2:\n", text).strip() if text.startswith("template: ") else text
    if _FRAME.match(text.splitlines()[0] if text else ""):
        return (_execution(text, chart, values),)
    if found := _RENDERED.match(text):
        file = _source(chart, found.group(1))
        if none := _NO_OBJECT.match(found.group(2)):
            return (Complaint(f"renders {_kind(none[1])}, which is no object", file=file),)
        return (Complaint(f"renders text that is not valid: {found.group(2)}", file=file),)
    if of_chart := _of_chart(text, chart):
        return (of_chart,)
    if text in _IGNORE and (chart / ".helmignore").is_file():
        return (Complaint(_IGNORE[text], file=chart / ".helmignore"),)
    if found := _MISSING_CHARTS.search(text):
        return (_at(chart, "dependencies", f"{MISSING}{found.group(1)}"),)
    if found := _REQUIRES.match(text):
        return (_at(chart, "kubeVersion", f"requires Kubernetes {found.group(1)}, which {found.group(2)} is not"),)
    if found := _INVALID.match(text):
        field, message, first = found.groups()
        return (_at(chart, "dependencies" if "dependenc" in message and not field else first, message),)
    if found := _NO_CHART.match(text):
        return (Complaint(found[2], file=chart / "charts" / found[1]),)
    return (Complaint(text or "helm gives no reason"),)


def read_lint(result: Result, chart: Path, values: Sequence[Path] = ()) -> tuple[Complaint, ...]:
    """What one run of `helm lint` printed, each thing once."""
    complaints: dict[tuple[Path | None, str, str], Complaint] = {}

    def add(complaint: Complaint) -> None:
        complaints.setdefault((complaint.file, complaint.key, complaint.message), complaint)

    for level, place, message in _lint_messages(result.stdout):
        for complaint in _lint_complaints(level, place, message, chart, values):
            add(complaint)
    for line in result.stderr.splitlines():
        if found := _LINT_LOG.match(line):
            add(Complaint(_unquoted(found.group(1)).strip(), refused=True))
        elif found := _COALESCED.match(line):
            add(Complaint(_unquoted(found.group(1)).removeprefix("warning: "), level="warning"))
    return tuple(complaints.values())


def _lint_messages(text: str) -> list[tuple[str, str, str]]:
    """(level, place, message) of each entry; a message may run over several lines."""
    entries: list[tuple[str, str, str]] = []
    for line in text.splitlines():
        if found := _LINT_LINE.match(line):
            level, place, message = found.groups()
            entries.append((level.lower(), place, message))
        elif entries and not re.match(r"^(==> Linting |\d+ chart\(s\) linted|Error: )", line):
            level, place, message = entries[-1]
            entries[-1] = (level, place, f"{message}\n{line}")
    return entries


def _lint_complaints(
    level: str, place: str, message: str, chart: Path, values: Sequence[Path]
) -> tuple[Complaint, ...]:
    message = message.strip()
    if place == "values.yaml" and (
        _SCHEMA_LINE.match(message)
        or re.match(r"failing loading|json-pointer in|.* is not valid against meta|invalid character", message)
    ):
        return _schema_complaints(message, chart, values)
    if message == "directory does not exist":
        return (Complaint(f"there is no {place}", level=level),)
    if found := re.match(r"unable to load chart\s+(.*)", message, re.DOTALL):
        return read_complaints(found[1], chart, values)
    if place == "templates/" or message.startswith(_SCHEMA) or _MISSING_CHARTS.search(message):
        return tuple(replace(complaint, level=level) for complaint in read_complaints(message, chart, values))
    file = chart / place.rstrip("/") if place else None
    if place == "Chart.yaml" and (of_chart := _of_chart(message, chart)):
        return (replace(of_chart, level=level),)
    if none := _NO_OBJECT.match(message):
        message = f"renders {_kind(none[1])}, which is no object"
    message = message.replace("error converting YAML to JSON: ", "").replace("\n\t", ": ")
    return (Complaint(message, level=level, file=file if file and file.exists() else None),)


def _of_chart(message: str, chart: Path) -> Complaint | None:
    """What a message about a Chart.yaml that cannot be read says of a key; None where it says nothing of one."""
    if found := _MISTYPED.search(message):
        given, key, wanted = found.groups()
        words = f"{key} must be {_kind(wanted if wanted in _KINDS else wanted[0])}, and is {_kind(given)}"
        return _at(chart, key, words)
    if found := _UNKNOWN.search(message):
        return _at(chart, found[1], f"helm knows no field {found[1]!r}")
    if found := _TWICE.search(message):
        return replace(_at(chart, "", f"the key {found[2]!r} stands twice"), line=int(found[1]))
    if _NO_TEXT.match(message):
        return _at(chart, "appVersion", message, "put it in quotes")
    if found := _NO_ADDRESS.match(message):
        lines = (chart / "Chart.yaml").read_text(encoding="utf-8-sig").splitlines()
        line = next((number for number, text in enumerate(lines, 1) if (found[1] or found[2]) in text), None)
        return replace(_at(chart, "", message), line=line)
    return None


def _at(chart: Path, key: str, message: str, run: str | None = None) -> Complaint:
    """A complaint about a key of Chart.yaml."""
    file = chart / "Chart.yaml"
    return Complaint(message, file=file, line=line_of(file, [key]), run=run)


def _kind(word: str) -> str:
    return _KINDS.get(word, f"a {word}")


def _schema_complaints(text: str, chart: Path, values: Sequence[Path]) -> tuple[Complaint, ...]:
    """The schema's objections, one a key, with the line of the key in the values file that sets it."""
    if "is not valid against metaschema" in text:
        reasons = [
            found.group(0).strip("- ") for found in _SCHEMA_LINE.finditer(text) if not found.group(3).endswith("failed")
        ]
        return (Complaint(f"is no valid JSON schema: {'; '.join(reasons)}", file=chart / "values.schema.json"),)
    objections: list[tuple[list[str], str]] = []
    subchart: list[str] = []
    choice: int | None = None  # the indentation of an `anyOf` or `oneOf`, whose branches follow, indented more
    for line in text.splitlines():
        found = _SCHEMA_LINE.match(line)
        if found is None:
            if line.endswith(":") and (chart / "charts" / line[:-1]).exists():
                subchart = [line[:-1]]
            elif line.strip() and not line.endswith(":"):
                words = _LOOKED_FOR.sub(r"refers to \1, and helm reads no other file of the chart", line.strip())
                words = _NOT_FOUND.sub(r"refers to \1, which it does not have", words)
                return (Complaint(f"cannot be used: {words}", file=chart / "values.schema.json"),)
            continue
        indent, message = len(found.group(1)), unescaped(found.group(3).strip())
        if choice is not None and indent > choice:
            objections[-1] = (objections[-1][0], f"{objections[-1][1]}; {message}")
            continue
        choice = indent if message.startswith(("'anyOf' failed", "'oneOf' failed")) else None
        for path, words in read_objection(found.group(2), message, unknown="no such key in values.schema.json"):
            objections.append(([*subchart, *path], words))
    # helm's order changes from run to run.
    complaints = [_value_complaint(path, message, chart, values) for path, message in objections]
    return tuple(sorted(complaints, key=lambda c: (str(c.file or ""), c.line or 0, c.key))) or (
        Complaint(text.strip() or "the schema refuses the values"),
    )


def _value_complaint(path: Sequence[str], message: str, chart: Path, values: Sequence[Path]) -> Complaint:
    # The last file that sets a key wins, so it is the one to correct.
    for file in (*reversed(values), chart / "values.yaml"):
        if (line := line_of(file, path)) is not None:
            return Complaint(message, file=file, line=line, key=key_text(path) or "(top level)")
    return Complaint(message, file=values[-1] if values else None, key=key_text(path) or "(top level)")


def _execution(text: str, chart: Path, values: Sequence[Path]) -> Complaint:
    """A template's failure at run time: helm prints a frame for each template on the way to the cause."""
    frames: list[tuple[str, int]] = []
    expression = ""
    words: list[str] = []
    for line in (line.strip() for line in text.splitlines()):
        if found := _FRAME.match(line):
            frames.append((found.group(1), int(found.group(2))))
            words = []
        elif found := _EXECUTING.match(line):
            expression = found.group(1)
        elif line and line != "error calling include:":
            words.append(line.removeprefix("template: "))
    message = " ".join(words) or "fails"
    if inner := _INNER.fullmatch(message):
        given, expression, message = _unquoted(inner[1]), inner[2] or "", inner[3]
    message += f" at {expression}" if expression else ""
    *callers, place = (f"{shown(_source(chart, name))}:{line}" for name, line in frames)
    if inner:
        for file in (*reversed(values), chart / "values.yaml"):
            if path := _way_to(given, loaded(file)):
                return _value_complaint(path, f"as a template, in {place}: {message}", chart, values)
        message = f"a value as a template, {given.strip()[:60]!r}: {message}"
    if callers:
        message += f" (included by {', '.join(reversed(callers))})"
    name, number = frames[-1]
    return Complaint(message, file=_source(chart, name), line=number)


def _way_to(text: str, values: Any) -> list[str] | None:
    """The keys that lead to a text in values; None where it is not there."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    ways = ([key, *way] for key, item in items if (way := [] if item == text else _way_to(text, item)) is not None)
    return next(([str(key) for key in way] for way in ways), None)


def _source(chart: Path, name: str) -> Path:
    """The file of a template that helm calls `<chart name>/templates/...`."""
    return chart / name.partition("/")[2]


def written(complaint: Complaint, chart: Path) -> Complaint:
    """`complaint` with the one place in the templates where its words are written."""
    words = (complaint.message, complaint.message.replace('"', '\\"'))
    places = [
        (file, number)
        for file in sorted((chart / "templates").rglob("*"))
        if file.is_file()
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if any(each in line for each in words)
    ]
    return replace(complaint, file=places[0][0], line=places[0][1]) if len(places) == 1 else complaint


def _unquoted(text: str) -> str:
    return text.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
