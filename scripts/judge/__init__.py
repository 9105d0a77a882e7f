"""Judges by SemVer what leads from one version of a chart to another, as somebody who has installed it notices it."""
