"""Runs helm, and turns what it says into complaints that name a file, a line or a values key."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from scripts.chart.manifests import mapping, mappings
from scripts.chart.objections import POINTER, read_objection, unescaped
from scripts.core.command import Result, Runner
from scripts.core.errors import ChartError, CommandFailed, OutputError, ReleaseError, ValuesError, telling
from scripts.core.owner import temporary
from scripts.core.parallel import BRIEF_GO
from scripts.core.paths import key_text, line_of, list_item, shown
from scripts.core.yaml_read import load_merged

# A plugin cannot change what is rendered, and looking for plugins takes time.
# Nothing here is kept in a cluster or a database, which helm would connect to all the same.
_ENVIRONMENT: dict[str, str | None] = {"HELM_NO_PLUGINS": "1", "HELM_DRIVER": None, **BRIEF_GO}
# What is here needs no login, and helm, which reads them first, refuses everything where their file is damaged.
_NOWHERE = "/nonexistent"
_ALONE = {**_ENVIRONMENT, "HELM_REGISTRY_CONFIG": f"{_NOWHERE}/config.json", "DOCKER_CONFIG": _NOWHERE}
_SAVED = re.compile(r"^Successfully packaged chart and saved it to: (?s:.*/)?(.+)$", re.MULTILINE)
_UNSAVED = re.compile(r"^(?:Error: )?failed to save: (?:.*: )?(.+)$", re.MULTILINE)
# What a system says of a place that cannot be written, in Go's words too; all else lies in the chart.
_NO_PLACE = frozenset(
    os.strerror(getattr(errno, name)).lower()
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EACCES", "EPERM", "EROFS", "EIO", "ENOENT")
)
_HINT = re.compile(r"\n*Use --debug flag to render out invalid YAML\s*$")
_LINT_LINE = re.compile(r"^\[(INFO|WARNING|ERROR)\] ?(.*?): ?(.*)$")
_LINT_LOG = re.compile(r'^level=\w+ msg="(?:funcMap fail|missing required values?)" message="(.*)"$')
_COALESCED = re.compile(r'^level=\w+ msg="(warning: (?:cannot overwrite|destination for|skipped value).*)"$')
_SCHEMA = "values don't meet the specifications of the schema(s) in the following chart(s):"
_SCHEMA_LINE = re.compile(rf"^(\s*){POINTER}(.*)$", re.MULTILINE)
_ABSENT = re.compile(r'failing loading "(https?://[^"]+)"')
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
_MISSING_CHARTS = re.compile(r"found in Chart\.yaml, but missing in charts/ directory: (.*)$")
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
_MOST = 64 << 20  # letters of one render
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


@dataclass(frozen=True)
class Helm:
    """The client. `path` is the binary."""

    path: Path
    runner: Runner

    def template(
        self,
        chart: str | Path,
        *,
        release: str = "release",
        namespace: str = "default",
        values: Sequence[Path] = (),
        flags: Sequence[str | Path] = (),
        kube_version: str | None = None,
        api_versions: Sequence[str] = (),
        definitions: bool = True,
    ) -> str:
        """The rendered text, by `definitions` of `crds/` too. Raises ValuesError for refused values, or ChartError."""
        argv: list[str | Path] = [self.path, "template", release, chart, "--namespace", namespace, *flags]
        argv += [*(["--include-crds"] if definitions else []), *_options(values, kube_version)]
        argv += [word for name in api_versions for word in ("--api-versions", name)]
        result, _ = self._validating(argv)
        if result.status != 0:
            with telling({str(Path(chart)): str(chart)}):  # an address is no path
                raise _refusal(read_complaints(result.stderr, Path(chart), values), Path(chart))
        if len(result.stdout) > _MOST:
            raise ChartError(
                f"{chart} renders {len(result.stdout) >> 20} MiB",
                expected=f"at most {_MOST >> 20} MiB: helm keeps a release in a Secret, which holds 1 MiB, packed",
                run="look for a range or a repeat in its templates that goes too far",
            )
        return result.stdout

    def lint(
        self, chart: Path, *, values: Sequence[Path] = (), kube_version: str | None = None
    ) -> tuple[Complaint, ...]:
        """What `helm lint --strict` finds, and each `fail` that it lets pass. Raises CommandFailed without a reason."""
        argv: list[str | Path] = [self.path, "lint", chart, "--strict", *_options(values, kube_version)]
        result, absent = self._validating(argv)
        complaints = read_lint(result, chart, values)
        if absent:
            message = f"refers to {absent}, which cannot be fetched: values are not checked; keep a copy in the chart"
            complaints += (Complaint(message, level="warning", file=chart / "values.schema.json"),)
        if any(complaint.refused for complaint in complaints):
            complaints = self._located(complaints, chart, values, kube_version)
        if result.status != 0 and all(complaint.level == "info" for complaint in complaints):
            raise CommandFailed(result.argv, result.status, stdout=result.stdout, stderr=result.stderr)
        return complaints

    def _validating(self, argv: Sequence[str | Path], deadline: float = 180) -> tuple[Result, str]:
        """What a command says, and the absent address in a schema of values, without which it was said again; or ""."""
        env = _ENVIRONMENT if any("://" in str(word) for word in argv) else _ALONE
        result = self._asked(argv, env, deadline)
        absent = _ABSENT.search(result.stderr + result.stdout) if result.status else None
        if absent is None:
            return result, ""
        return self._asked([*argv, "--skip-schema-validation"], env, deadline), absent[1]

    def _asked(self, argv: Sequence[str | Path], env: Mapping[str, str | None], deadline: float) -> Result:
        """What came of a command that may refuse. Raises CommandFailed where it was killed, or had no memory left."""
        result = self.runner.run(argv, env=env, deadline=deadline, check=False)
        if result.status not in (0, 1):
            raise CommandFailed(result.argv, result.status, stdout=result.stdout, stderr=result.stderr)
        return result

    def _located(
        self, complaints: Sequence[Complaint], chart: Path, values: Sequence[Path], kube_version: str | None
    ) -> tuple[Complaint, ...]:
        """`complaints` with the places of refusals, which only a render tells, and without those that it does not."""
        argv: list[str | Path] = [self.path, "template", chart, *_options(values, kube_version)]
        result, _ = self._validating(argv, 60)
        if result.status == 0:  # linting has its own idea of values, and goes on after a refusal
            return tuple(c for c in complaints if not c.refused)
        places = {c.message: c for c in read_complaints(result.stderr, chart, values)}
        return tuple((places.get(c.message) or _written(c, chart)) if c.refused else c for c in complaints)

    def build_dependencies(
        self, chart: Path, repositories: Sequence[str], *, near: bool = False, deadline: float
    ) -> None:
        """`helm dependency build`, which keeps to Chart.lock, with `repositories` known alone, as the user set them up.

        They are named as in Chart.yaml: by address, or as `@NAME` or `alias:NAME` one of the user's. (helm asks all
        that it knows, and ends where one of them cannot be had.) `near`: the OCI registries are on loopback, and speak
        plain HTTP. Raises CommandFailed.
        """
        where = self.runner.run([self.path, "env", "HELM_REPOSITORY_CONFIG"], env=_ENVIRONMENT, check=False)
        with temporary("repositories") as folder:
            known = folder / "repositories.yaml"
            known.touch(mode=0o600)  # the user's may hold passwords
            own = _set_up(Path(where.stdout.strip()), repositories)
            known.write_text(yaml.safe_dump({"apiVersion": "", "repositories": own}), encoding="utf-8")
            env = {**_ENVIRONMENT, "HELM_REPOSITORY_CONFIG": str(known), "HELM_REPOSITORY_CACHE": str(folder)}
            listed = {str(one.get("url")).rstrip("/") for one in own}
            for url in repositories:
                if url.startswith(("http://", "https://")) and url.rstrip("/") not in listed:
                    name = re.sub(r"[^a-z0-9]+", "-", url.lower()).strip("-")
                    self.runner.run([self.path, "repo", "add", name, url], env=env, deadline=deadline)
            plain = ["--plain-http"] * near
            self.runner.run([self.path, "dependency", "build", chart, *plain], env=env, deadline=deadline)

    def package(
        self,
        chart: Path,
        into: Path,
        *,
        epoch: int,
        version: str | None = None,
        app_version: str | None = None,
        deadline: float = 60,
    ) -> Path:
        """The archive that helm makes in the folder `into`, at `epoch` (seconds). Raises ChartError, OutputError."""
        env = {**_ALONE, "SOURCE_DATE_EPOCH": str(epoch), "TZ": "UTC"}
        argv: list[str | Path] = [self.path, "package", chart, "--destination", into]
        argv += ["--version", version] if version else []
        argv += ["--app-version", app_version] if app_version else []
        result = self._asked(argv, env, deadline)
        if result.status != 0:
            unsaved = _UNSAVED.search(result.stderr)
            if unsaved is not None and unsaved[1] in _NO_PLACE:
                raise OutputError(f"helm cannot write {into}", found=unsaved[1], run="make room there, or set TMPDIR")
            raise _refusal(read_complaints(result.stderr, chart), chart)
        # It says where; others may have archives in the same folder.
        if (saved := _SAVED.search(result.stdout)) is None:
            raise CommandFailed(result.argv, result.status, stdout=result.stdout, stderr=result.stderr)
        return into / saved[1]  # of a folder in no UTF-8 helm writes another name

    def verify(self, archive: Path, keyring: Path) -> None:
        """`helm verify`: that the `.prov` beside `archive` is of it, and by a key in `keyring`. Raises ReleaseError."""
        argv: list[str | Path] = [self.path, "verify", archive, "--keyring", keyring]
        result = self.runner.run(argv, env=_ENVIRONMENT, deadline=60, check=False)
        if result.status != 0:
            raise ReleaseError(result.stderr.strip().removeprefix("Error: ") or "helm verify gives no reason")

    def push(
        self,
        archive: Path,
        remote: str,
        *,
        registry_config: Path,
        flags: Sequence[str] = (),
        deadline: float = 300,
    ) -> None:
        """Upload `archive` below `remote` by the logins of `registry_config`. Raises CommandFailed, CommandTimeout."""
        argv: list[str | Path] = [self.path, "push", archive, remote, "--registry-config", registry_config, *flags]
        # Where its own file has no login helm would look at docker's.
        env = {**_ENVIRONMENT, "TZ": "UTC", "DOCKER_CONFIG": str(registry_config.parent)}
        self.runner.run(argv, env=env, deadline=deadline)


def _set_up(file: Path, wanted: Iterable[str]) -> list[dict[str, Any]]:
    """The entries of the user's repositories.yaml that `wanted` asks for; none where it cannot be read."""
    asked = {one.removeprefix("@").removeprefix("alias:").rstrip("/") for one in wanted}
    told = mappings(mapping(_loaded(file)).get("repositories"))
    return [dict(one) for one in told if asked & {str(one.get("name")), str(one.get("url")).rstrip("/")}]


def _options(values: Sequence[Path], kube_version: str | None) -> list[str | Path]:
    options: list[str | Path] = ["--kube-version", kube_version] if kube_version else []
    for file in values:
        options += ["--values", list_item(file)]
    return options


def _refusal(complaints: Sequence[Complaint], chart: Path) -> ReleaseError:
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
        run = f"helm dependency build {shown(chart)}"
        return (_at(chart, "dependencies", f"{MISSING}{found.group(1)}", run),)
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
    if place == "templates/" or message.startswith(_SCHEMA):
        return tuple(replace(complaint, level=level) for complaint in read_complaints(message, chart, values))
    file = chart / place.rstrip("/") if place else None
    if found := re.match(r"^chart directory is missing these dependencies: (.*)$", message):
        return read_complaints(f"found in Chart.yaml, but missing in charts/ directory: {found.group(1)}", chart)
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
            if path := _way_to(given, _loaded(file)):
                return _value_complaint(path, f"as a template, in {place}: {message}", chart, values)
        message = f"a value as a template, {given.strip()[:60]!r}: {message}"
    if callers:
        message += f" (included by {', '.join(reversed(callers))})"
    name, number = frames[-1]
    return Complaint(message, file=_source(chart, name), line=number)


def _loaded(file: Path) -> Any:
    """What a file of YAML says; None where it cannot be read."""
    with contextlib.suppress(OSError, yaml.YAMLError):
        return load_merged(file.read_bytes())
    return None


def _way_to(text: str, values: Any) -> list[str] | None:
    """The keys that lead to a text in values; None where it is not there."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    ways = ([key, *way] for key, item in items if (way := [] if item == text else _way_to(text, item)) is not None)
    return next(([str(key) for key in way] for way in ways), None)


def _source(chart: Path, name: str) -> Path:
    """The file of a template that helm calls `<chart name>/templates/...`."""
    return chart / name.partition("/")[2]


def _written(complaint: Complaint, chart: Path) -> Complaint:
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
