"""Makes charts with a fault out of a good one: by a named edit of what it renders, whatever its templates look like.

Each template is kept as it is, and what comes of it is read as objects, edited and written again, inside of helm. So
an edit speaks of an object and its fields, and lasts as long as the chart renders that object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.core.errors import ChartError
from scripts.e2e.discover import WORKLOADS

_VERSION = re.compile(r"^version:.*$", re.MULTILINE)
_WRAPPED = """{{{{- define "fault.{number}" }}}}{text}{{{{ end }}}}
{{{{- range $text := regexSplit "(?m)^---[ \\t]*$" (include "fault.{number}" $) -1 }}}}
{{{{- $object := fromYaml $text }}}}
{{{{- with $object.Error }}}}{{{{ fail . }}}}{{{{ end }}}}
{{{{- if $object }}}}
{{{{- include "fault.edit" $object }}}}
{{{{- if $object.kind }}}}
---
{{{{ toYaml $object }}}}
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
        # These are replaced one at a time whatever is said, so each is killed where it stands.
        Edit("StatefulSet", "", 'set $spec "updateStrategy" (dict "type" "RollingUpdate")'),
        Edit("StatefulSet", "", 'set $pod "terminationGracePeriodSeconds" 0'),
    ],
)
NEGATIVE_CONTROL = (NO_READINESS, NO_PRESTOP, RECREATE)


def sabotage(chart: Path, faults: Sequence[Fault]) -> str:
    """Put `faults` into the unpacked chart in the folder `chart`; its new version. Raises ChartError."""
    templates = sorted(
        path for path in (chart / "templates").rglob("*") if path.suffix in (".yaml", ".yml") and path.is_file()
    )
    if not templates:
        raise ChartError(f"{chart} has no templates to put a fault into")
    for number, path in enumerate(templates):
        text = path.read_text(encoding="utf-8")
        path.write_text(_WRAPPED.format(number=number, text=text), encoding="utf-8")
    edits = "".join(
        _EDIT.format(kind=edit.kind, name=edit.name, do=edit.do) for fault in faults for edit in fault.edits
    )
    (chart / "templates" / "_fault.tpl").write_text(
        f'{{{{- define "fault.edit" }}}}\n{edits}{{{{- end }}}}\n', encoding="utf-8"
    )
    for fault in faults:
        for name, text in fault.files.items():
            (chart / name).parent.mkdir(exist_ok=True)
            (chart / name).write_text(text, encoding="utf-8")
    version = f"0.0.0-{'-'.join(fault.name for fault in faults)}"
    file = chart / "Chart.yaml"
    text, count = _VERSION.subn(f"version: {version}", file.read_text(encoding="utf-8"))
    if count != 1:
        raise ChartError(f"{file} has {count} lines that say its version", expected="one")
    file.write_text(text, encoding="utf-8")
    return version
