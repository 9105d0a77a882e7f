"""Makes the negative control: the candidate without readiness, preStop and rolling update, which must lose requests."""

from __future__ import annotations

from pathlib import Path

from scripts.core.errors import ChartError

_VERSION = "0.0.0-sabotaged"
_STRATEGY = "    {{- toYaml $strategy | nindent 4 }}\n"
_PROBES = 'list "startupProbe" "readinessProbe" "livenessProbe"'


def sabotage(chart: Path) -> str:
    """Change the unpacked chart in the folder `chart`; its new version. Raises ChartError if it is not as expected."""
    pods = chart / "templates" / "_pod.tpl"
    _replace(pods, _STRATEGY, "    type: Recreate\n")
    _replace(pods, _PROBES, 'list "livenessProbe"')
    _replace(chart / "values.yaml", "  preStopSeconds: 15\n", "  preStopSeconds: 0\n")
    file = chart / "Chart.yaml"
    version = next(line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("version:"))
    _replace(file, version, f"version: {_VERSION}")
    return _VERSION


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise ChartError(
            f"{file.name} cannot be sabotaged: the negative control does not know it any more",
            expected=f"once: {old.strip()}",
            found=f"{text.count(old)} times",
            run="bring scripts/sabotage.py up to the chart",
        )
    file.write_text(text.replace(old, new), encoding="utf-8")
