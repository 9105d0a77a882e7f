"""Finds what is wrong with a chart's sources, by helm's, yamllint's, Artifact Hub's and its own rules, in one list."""

from __future__ import annotations

import contextlib
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml

from scripts.chart import artifacthub
from scripts.chart.changelog import KINDS, kind_of, read_changelog
from scripts.chart.complaints import MISSING
from scripts.chart.constraints import supported
from scripts.chart.contents import identity, read_contents
from scripts.chart.dependencies import declared_in, objections, provide_dependencies
from scripts.chart.helm import Helm
from scripts.chart.manifests import mapping
from scripts.chart.source import Chart, check_json, demand_values, read_chart, read_yaml
from scripts.checks.matrix import column_name
from scripts.checks.render import BY_TEMPLATE, NEEDS
from scripts.checks.schemas import Schemas
from scripts.core.config import Config
from scripts.core.errors import (
    OUTSIDE,
    ChangelogError,
    ChartError,
    ConfigError,
    FindingsError,
    ReleaseError,
    ValuesError,
)
from scripts.core.files import UNSETTLED, unsettled
from scripts.core.parallel import workers
from scripts.core.paths import line_of, shown
from scripts.core.semver import BORNE, flaw, is_semver
from scripts.core.words import many
from scripts.core.yaml_read import compose
from scripts.workspace import Workspace

if TYPE_CHECKING:
    from yamllint.config import YamlLintConfig

SCHEMA_VERSION = 1
YAMLLINT = (".yamllint", ".yamllint.yaml", ".yamllint.yml")
_SYNTAX = "rules: {key-duplicates: {level: warning, forbid-duplicated-merge-keys: false}}"  # helm takes the last one
_LONGEST = 400  # characters of a message: a value may be a whole file
LEVELS = ("error", "warning", "info")
_CHART_NAME = re.compile(r"^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$")  # what registries take
_SAID = re.compile(r"is not a valid SemVer|version \".*\" is invalid$")  # of helm's words, by rules of our own
_OUTDATED = re.compile(r"is deprecated in .*; use (\S+) (\w+)$")
_mapping = partial(read_yaml, error_type=ValuesError)


@dataclass(frozen=True)
class Finding:
    """One thing found. `level` is one of LEVELS, `check` what found it, `values` the values files it concerns."""

    level: str
    check: str
    message: str
    file: Path | None = None
    line: int | None = None
    values: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        if self.file is None:
            return ""
        return f"{shown(self.file)}:{self.line}" if self.line else shown(self.file)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.file else self.message


@dataclass(frozen=True)
class Lint:
    """The outcome: findings, worst first; `checked` names the files that were looked at."""

    chart: Chart
    findings: tuple[Finding, ...]
    checked: tuple[Path, ...]

    def count(self, level: str) -> int:
        return sum(finding.level == level for finding in self.findings)

    def summary(self) -> str:
        return f"{self.chart.title}: no findings in {', '.join(map(shown, self.checked))}"

    def counts(self) -> list[str]:
        """How many errors and warnings there are, in words."""
        return [many(count, level) for level in LEVELS[:2] if (count := self.count(level))]

    def demand(self, *, strict: bool = False) -> None:
        """Raises FindingsError when there is an error, or when `strict` a warning."""
        if self.count("error") or (strict and self.count("warning")):
            raise FindingsError(f"{self.chart.title} is not clean", found=" and ".join(self.counts()))

    def report(self) -> dict[str, Any]:
        """As JSON: `dist/<chart>.lint.json` and `--json`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "chart": identity(self.chart),
            "checked": [shown(file) for file in self.checked],
            "findings": [{**asdict(f), "file": shown(f.file) if f.file else None} for f in self.findings],
            **{f"{level}s" if level != "info" else "notes": self.count(level) for level in LEVELS},
        }


def lint(work: Workspace, *, values: Iterable[Path] = ()) -> Lint:
    """Every check of the chart, in parallel, with the files `values` too. Raises ChartError, ValuesError."""
    config, chart = work.config, read_chart(work.config.chart, work.config.values)
    helm, known = work.helm, Schemas(config.cache_dir, work.tools).minors()
    extra = tuple(values)
    demand_values(extra)
    bare = [file for file in (chart.path / "values.yaml",) if file.is_file()]
    sources = tuple(dict.fromkeys((chart.path / "Chart.yaml", *bare, *chart.values_files, *extra)))
    broken = {file: finding for file in sources if (finding := unreadable(file))}
    schema, unfetched = tuple(schema_rules(chart)), None
    jobs: list[Callable[[], Iterable[Finding]]] = [
        broken.values,
        lambda: chart_rules(chart, known),
        lambda: schema,
        lambda: changelog_rules(chart, config),
        lambda: dependency_rules(chart, unfetched),
        lambda: file_rules(chart),
    ]
    # Nothing can be said about values or a schema that cannot be read; where they break is told anyway.
    readable = not any(finding.level == "error" for finding in schema)
    if readable and not broken.keys() & {chart.path / "Chart.yaml", chart.path / "values.yaml"}:
        try:
            provide_dependencies(chart, helm, work.say)
        except ChartError as error:
            unfetched = error
        columns: list[Path | None] = [file for file in (*chart.values_files, *extra) if file not in broken]
        newest = None
        with contextlib.suppress(ChartError, IndexError):  # a constraint that is a finding of its own
            newest = supported(chart.kube_version, known)[-1]
        jobs = [
            partial(helm_rules, chart, file, helm, newest, borne=bool(extra) and file in (None, *bare))
            for file in columns or [None]
        ] + jobs
    rules, home = yaml_configuration(chart, config)
    jobs += [partial(yaml_rules, file, rules, home) for file in sources if file not in broken]
    with workers(work.runner) as pool:
        futures = [pool.submit(lambda job: tuple(job()), job) for job in jobs]
        found = [finding for future in futures for finding in future.result()]
    return Lint(chart, _merged(found, config.lint_errors), sources)


def helm_rules(
    chart: Chart, values: Path | None, helm: Helm, kube_version: str | None, *, borne: bool = False
) -> Iterator[Finding]:
    """`helm lint --strict` with one values file; of one that is `borne` errors are notes."""
    files = () if values is None or values == chart.path / "values.yaml" else (values,)
    names = () if values is None else (column_name(chart, values),)
    umbrella = bool(chart.metadata.get("dependencies")) and not (chart.path / "templates").is_dir()
    asked = cache(lambda: read_contents(chart.path, chart.name).asked)
    complaints = helm.lint(chart.path, values=files, kube_version=kube_version)
    lacking = any(complaint.message.startswith(MISSING) for complaint in complaints)
    refused = any(one.demanded or one.refused or BY_TEMPLATE.search(str(one)) for one in complaints)
    if refused and not (files or borne or lacking):
        yield Finding("info", "helm", NEEDS)
    for complaint in complaints:
        if _SAID.search(complaint.message) or complaint.message == "file does not exist":
            continue  # said by `chart_rules` and `schema_rules`, once
        of_template = complaint.refused or (complaint.file and chart.path / "templates" in complaint.file.parents)
        if complaint.message.startswith(MISSING) or (lacking and of_template):
            continue  # said by `dependency_rules`; a template that asks for what is missing fails by that
        if umbrella and complaint.message == "there is no templates/":
            continue
        newer = _OUTDATED.search(complaint.message)
        if newer and "/".join(newer.groups()) in asked():
            continue  # helm serves no kind here, and so renders what the chart has for older clusters
        message = f"{complaint.key}: {complaint.message}" if complaint.key else complaint.message
        message += f" (next: {complaint.run})" if complaint.run else ""
        level = "info" if borne else complaint.level
        yield Finding(level, "helm", message, complaint.file, complaint.line, names)


def dependency_rules(chart: Chart, unfetched: ChartError | None = None) -> Iterator[Finding]:
    """Whether charts/ holds what Chart.yaml and Chart.lock ask for; `unfetched` says why something is missing."""
    try:
        found = tuple(objections(chart))
    except ChartError as error:
        yield Finding("error", "dependencies", str(error))
        return
    if unfetched is not None:
        told = _finding("dependencies", declared_in(chart), unfetched)
        way = f" (next: {unfetched.run})" if unfetched.code != OUTSIDE else ""
        yield replace(told, message=told.message + way)
    for one in found:
        if one.way or not (unfetched and one.missing):
            yield Finding("error", "dependencies", f"{one.message} (next: {one.run(chart)})", *one.place(chart))


def yaml_configuration(chart: Chart, config: Config) -> tuple[YamlLintConfig, Path]:
    """yamllint's rules: as configured, else of the nearest file, else what no YAML may be. Raises ConfigError.

    And the folder from which they say what they ignore.
    """
    from yamllint.config import YamlLintConfig, YamlLintConfigError

    named = [config.project / config.yamllint] if config.yamllint else []
    near = [folder / name for folder in (chart.path, *chart.path.parents) for name in YAMLLINT]
    file = next((file for file in (named or near) if named or file.is_file()), None)
    try:
        if file is None:
            return YamlLintConfig(_SYNTAX), chart.path
        return YamlLintConfig(file=str(file)), config.project if named else file.parent
    except (YamlLintConfigError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown(file) if file else 'yamllint'} cannot be used", found=str(error)) from error


def yaml_rules(file: Path, rules: YamlLintConfig, home: Path) -> Iterator[Finding]:
    """What yamllint finds in a file that helm can read, by the chart's rules."""
    from yamllint import linter

    text = file.read_text(encoding="utf-8")
    with contextlib.suppress(yaml.YAMLError):  # of yamllint's own reader, which takes less than helm's
        for problem in linter.run(text, rules, os.path.relpath(file, home)):
            if not problem.desc.startswith("syntax error"):
                message = f"{problem.desc} ({problem.rule})" if problem.rule else problem.desc
                yield Finding(problem.level or "error", "yamllint", message, file, problem.line)
    try:
        compose(text)
    except yaml.MarkedYAMLError as error:  # of what can be read as several
        what = "holds a further document: helm 3 reads the first one alone, helm 4 lays it over that"
        yield Finding("warning", "values", what, file, error.problem_mark.line + 1 if error.problem_mark else None)


def file_rules(chart: Chart) -> Iterator[Finding]:
    """The rules about all files of the chart, which are read once: their names, and no merge that is not settled."""
    with contextlib.suppress(ChartError):  # which is told elsewhere
        files = read_contents(chart.path, chart.name).files
        yield from _name_rules(chart, files)
        for name, data in files.items():
            file = chart.path / name.partition("/")[2]
            if (line := unsettled(data)) is not None and file.is_file():
                yield Finding("error", "syntax", UNSETTLED, file, line)


def _name_rules(chart: Chart, files: Iterable[str]) -> Iterator[Finding]:
    """Names that macOS and Windows take for the same: a clone there lacks a file, and packs another archive."""
    spellings: dict[str, set[str]] = {}
    for path in map(PurePosixPath, files):
        for place in map(str, (path, *path.parents)):
            spellings.setdefault(unicodedata.normalize("NFC", place).casefold(), set()).add(place)
    for names in spellings.values():
        if len(names) > 1:
            first, *others = sorted(name.partition("/")[2] for name in names)
            message = f"on macOS and Windows it is the same as {', '.join(others)}"
            yield Finding("warning", "chart", message, chart.path / first)


def chart_rules(chart: Chart, known: Sequence[str]) -> Iterator[Finding]:
    """What a Chart.yaml should say beyond what helm asks for. Unusable is an error, absent a warning."""
    file = chart.path / "Chart.yaml"
    metadata = chart.metadata

    def found(level: str, message: str, *key: str | int, below: int = 0) -> Finding:
        line = line_of(file, key) if key else None
        return Finding(level, "chart", message, file, line + below if line else None)

    if not is_semver(chart.version):
        message = f"version {chart.version!r} is no semantic version (1.2.3, 1.2.3-rc.1)"
        why = flaw(chart.version) or ""
        level = "warning" if why.endswith(BORNE) else "error"
        yield found(level, ": ".join(filter(None, (message, why))), "version")
    elif chart.version.startswith("v"):
        yield found("warning", f"version {chart.version!r} has a leading v, which helm bears", "version")
    if not _CHART_NAME.match(chart.name):
        message = f"name {chart.name!r} is taken by no registry: lower-case letters, digits and single . _ - are"
        yield found("warning", message, "name")
    if (form := metadata.get("apiVersion", "missing")) != "v2":
        yield found("warning", f"apiVersion is {form}; Helm 3 and later write v2", "apiVersion")
    if not isinstance(metadata.get("description"), str) or not metadata["description"].strip():
        yield found("warning", "description is missing", "description")
    if chart.app_version is None and not chart.is_library:
        yield found("warning", "appVersion is missing: nobody sees which release of the application this is")
    yield from _kube_version(chart, known, found)
    if not metadata.get("maintainers"):
        yield found("warning", "maintainers are missing: nobody knows whom to ask")
    for key in ("icon", "home"):
        address = str(metadata.get(key) or "")
        # helm takes an icon of any scheme, says itself what is none, and looks at no home.
        if address and not re.match(r"(https?://|data:).", address) and (key == "home" or ":" in address):
            yield found("warning", f"{key} {address!r} is no address that somebody can open", key)
    annotations = mapping(metadata.get("annotations"))
    for objection in artifacthub.objections(annotations, chart.version):
        value = annotations.get(objection.annotation)
        # The first line of a block of text stands below its key.
        below = objection.line + 1 if isinstance(value, str) and "\n" in value else 0
        message = f"{objection.annotation} {objection.message}"
        level = "warning" if objection.ignored else "error"
        yield found(level, message, "annotations", objection.annotation, below=below)


def schema_rules(chart: Chart) -> Iterator[Finding]:
    """Whether values.schema.json is there and JSON; whether the values obey it is helm's answer."""
    file = chart.path / "values.schema.json"
    if not (chart.path / "values.yaml").is_file():
        yield Finding("info", "values", "the chart has no values.yaml: checked with what its templates give themselves")
    if not file.is_file():
        yield Finding("info", "schema", "the chart has no values.schema.json: keys and types of values are not checked")
        return
    if broken := unreadable(file, check_json):
        yield broken


def changelog_rules(chart: Chart, config: Config) -> Iterator[Finding]:
    """Whether the changelog has an entry for the chart's version."""
    try:
        changelog = read_changelog(config.changelog)
    except ChangelogError as error:
        yield _finding("changelog", config.changelog, error)
        return
    if config.changelog.name == "none":
        return
    if changelog is None:
        yield Finding("info", "changelog", f"there is no {shown(config.changelog)}: its entry is not checked")
        return
    own = chart.version.removeprefix("v")
    if changelog.section(own) is None:
        heading = f'a heading `## [{chart.version}] - date`; or changelog = "none" in [tool.gati]'
        message = f"has no entry for version {chart.version} (expected {heading})"
        yield Finding("warning", "changelog", message, config.changelog)
    kinds = ", ".join(kind.capitalize() for kind in KINDS)
    for section in changelog.sections:
        if section.version not in (None, own):
            continue  # what was published long ago is nobody's to mend
        for word, line in section.headings:
            if kind_of(word) not in KINDS:
                message = f"### {word} is no kind of change, which is one of {kinds}"
                yield Finding("warning", "changelog", message, config.changelog, line)
        loose = [entry.line for entry in section.entries if not entry.kind and section.version is None]
        if loose:
            what = "an entry" if len(loose) == 1 else f"this and {len(loose) - 1} more entries"
            message = f"{what} under no kind of change, which is one of {kinds}"
            yield Finding("warning", "changelog", message, config.changelog, loose[0])


def _kube_version(chart: Chart, known: Sequence[str], found: Callable[..., Finding]) -> Iterator[Finding]:
    if chart.kube_version is None:
        yield found("warning", "kubeVersion is missing: the chart claims to work everywhere")
        return
    try:
        admitted = supported(chart.kube_version, known)
    except ChartError as error:
        yield found("error", error.message, "kubeVersion")
        return
    if not admitted:
        yield found("error", f"kubeVersion {chart.kube_version!r} admits no known Kubernetes", "kubeVersion")
    elif "-" not in re.sub(r"\s-\s", " ", chart.kube_version):
        message = f"with kubeVersion {chart.kube_version!r} helms such as 3.17 refuse v1.33.4-gke.100; write 1.28.0-0"
        yield found("warning", message, "kubeVersion")


def unreadable(file: Path, read: Callable[[Path], Any] = _mapping) -> Finding | None:
    """Why helm cannot read a file, or finds no mapping in one of values or in Chart.yaml."""
    try:
        read(file)
    except (ChartError, ValuesError) as error:
        return _finding("syntax", file, error)
    return None


def _finding(check: str, file: Path, error: ReleaseError) -> Finding:
    """What an error says of the file, without its place, which a finding has apart."""
    told = ": ".join(filter(None, (error.message, error.found or error.expected)))
    place = re.match(rf"(?:{re.escape(str(file))}|{re.escape(shown(file))})(?::(\d+))?[\d:]* ", told)
    line = place and place[1]
    return Finding("error", check, told[place.end() if place else 0 :], file, int(line) if line else None)


def _merged(findings: Iterable[Finding], errors: Collection[str]) -> tuple[Finding, ...]:
    """Each finding once, with all its values files, worst first; warnings of checks `errors` raised, messages cut."""
    groups: dict[Finding, list[str]] = {}
    for finding in findings:
        level = "error" if finding.level == "warning" and finding.check in errors else finding.level
        message = finding.message if len(finding.message) <= _LONGEST else f"{finding.message[:_LONGEST]}..."
        groups.setdefault(replace(finding, level=level, message=message, values=()), []).extend(finding.values)
    merged = [replace(finding, values=tuple(dict.fromkeys(values))) for finding, values in groups.items()]
    return tuple(sorted(merged, key=lambda f: (LEVELS.index(f.level), str(f.file or ""), f.line or 0, f.message)))
