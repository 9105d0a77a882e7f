"""Makes charts with a fault out of a good one: by a named edit of what it renders, whatever its templates look like.

Each template is kept as it is, and what comes of it is read as objects, edited and written again, inside of helm. So
an edit speaks of an object and its fields, and lasts as long as the chart renders that object.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.chart.archive import unpack
from scripts.chart.contents import apart, gives_objects
from scripts.core.errors import ChartError
from scripts.core.yaml_edit import set_value
from scripts.e2e.discover import WORKLOADS

_WRAPPED = """{{{{- define "fault.{number}" }}}}{text}{{{{ end }}}}
{{{{- range $text := regexSplit "(?m)^---[ \\t]*$" (include "fault.{number}" $) -1 }}}}
{{{{- $object := fromYaml $text }}}}
{{{{- with $object.Error }}}}{{{{ fail . }}}}{{{{ end }}}}
{{{{- if $object }}}}
{{{{- range $one := eq (toString $object.kind) "List" | ternary $object.items (list $object) }}}}
{{{{- include "fault.edit" $one }}}}
{{{{- if $one.kind }}}}
---
{{{{ toYaml $one }}}}
{{{{- end }}}}
{{{{- end }}}}
{{{{- end }}}}
{{{{- end }}}}
"""
_EDIT = """{{{{- if and (eq .kind "{kind}") (or (not "{name}") (eq .metadata.name "{name}")) }}}}
{{{{- $spec := .spec | default dict }}}}
{{{{- $pod := ($spec.template | default dict).spec | default dict }}}}
{{{{- $main := first ($pod.containers | default (list dict)) }}}}
{{{{- $_ := {do} }}}}
{{{{- end }}}}
"""


@dataclass(frozen=True)
class Edit:
    """What is done to the objects of a `kind`, or to the one called `name`.

    `do` is an expression of Go's templates, in which `.` is the object, `$spec` its spec, and for a workload `$pod`
    is the spec of its pods and `$main` their first container: `unset $main "lifecycle"`.
    """

    kind: str
    name: str
    do: str


@dataclass(frozen=True)
class Fault:
    """A single thing that is wrong with a chart: edits of its objects, or `files` written over or beside its own."""

    name: str
    edits: Sequence[Edit] = ()
    files: Mapping[str, str] = field(default_factory=dict)


def drop() -> str:
    """The expression that leaves an object out."""
    return 'set . "kind" ""'


_UNPROBED = '(dict "a" (unset $main "readinessProbe") "b" (unset $main "startupProbe"))'
NO_READINESS = Fault("no-probe", [Edit(kind, "", _UNPROBED) for kind in WORKLOADS])
NO_PRESTOP = Fault("no-prestop", [Edit(kind, "", 'unset $main "lifecycle"') for kind in WORKLOADS])
_ALL_AT_ONCE = '(dict "type" "RollingUpdate" "rollingUpdate" (dict "maxUnavailable" "100%"))'
RECREATE = Fault(
    "recreate",
    [
        Edit("Deployment", "", 'set $spec "strategy" (dict "type" "Recreate")'),
        Edit("DaemonSet", "", f'set $spec "updateStrategy" {_ALL_AT_ONCE}'),
        # An older Kubernetes replaces these one at a time whatever is said, so each is killed where it stands, too.
        Edit("StatefulSet", "", f'set $spec "updateStrategy" {_ALL_AT_ONCE}'),
        Edit("StatefulSet", "", 'set $pod "terminationGracePeriodSeconds" 0'),
    ],
)
NEGATIVE_CONTROL = (NO_READINESS, NO_PRESTOP, RECREATE)


def sabotage(chart: Path, faults: Sequence[Fault]) -> str:
    """Put `faults` into the unpacked chart in the folder `chart`, and into those in it; its new version.

    Raises ChartError.
    """
    templates = list(_templates(chart))
    if not templates:
        raise ChartError(f"{chart} has no templates to put a fault into")
    for number, path in enumerate(templates):
        text, defined = apart(path.read_text(encoding="utf-8"))
        path.write_text(defined + _WRAPPED.format(number=number, text=text), encoding="utf-8")
    edits = "".join(_EDIT.format(**vars(edit)) for fault in faults for edit in fault.edits)
    files = {"templates/_fault.tpl": f'{{{{- define "fault.edit" }}}}\n{edits}{{{{- end }}}}\n'}
    for name, text in (pair for some in (files, *(fault.files for fault in faults)) for pair in some.items()):
        (chart / name).parent.mkdir(exist_ok=True)
        (chart / name).write_text(text, encoding="utf-8")
    version = f"0.0.0-{faults[0].name if len(faults) == 1 else 'sabotaged'}"  # short: labels hold it beside the name
    file = chart / "Chart.yaml"
    text = set_value(file.read_text(encoding="utf-8"), ["version"], version, source=str(file))
    file.write_text(text, encoding="utf-8")
    return version


def _templates(chart: Path) -> Iterator[Path]:
    """What gives objects, of a chart and of those that it depends on, which lie there as folders afterwards."""
    for archive in sorted((chart / "charts").glob("*.tgz")):
        with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".") as scratch:
            unpack(archive.read_bytes(), Path(scratch), str(archive)).rename(archive.with_suffix(""))
        archive.unlink()
    for file in sorted((chart / "templates").rglob("*")):
        if file.is_file() and gives_objects(file.name):
            yield file
    for inner in sorted((chart / "charts").glob("*/Chart.yaml")):
        yield from _templates(inner.parent)
