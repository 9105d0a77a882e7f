"""Reads typed values from environment variables; a refusal names the variable, what was expected and found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


class SettingsError(Exception):
    """An environment variable has a value that cannot be used."""


def number(environ: Mapping[str, str], name: str, default: float, *, least: float, most: float) -> float:
    """The number in `name`, or `default` when it is unset or empty. Raises SettingsError."""
    text = environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise SettingsError(f"{name}: expected a number from {least:g} to {most:g}, found {text!r}")
    return value


def whole(environ: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    """The whole number in `name`, or `default`. Raises SettingsError."""
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise SettingsError(f"{name}: expected a whole number from {least} to {most}, found {text!r}")
    return int(text)


def flag(environ: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """The switch in `name`: true or false in the usual spellings. Raises SettingsError."""
    text = environ.get(name, "").strip().lower()
    if not text:
        return default
    if text not in _TRUE + _FALSE:
        raise SettingsError(f"{name}: expected true or false, found {text!r}")
    return text in _TRUE


def choice(environ: Mapping[str, str], name: str, default: str, choices: Sequence[str]) -> str:
    """One of `choices` (any case), or `default`. Raises SettingsError."""
    text = environ.get(name, "").strip().lower() or default
    if text not in choices:
        raise SettingsError(f"{name}: expected {', '.join(choices)}, found {text!r}")
    return text


def log_level(environ: Mapping[str, str]) -> str:
    """The name of a `logging` level from LOG_LEVEL. Raises SettingsError."""
    return choice(environ, "LOG_LEVEL", "info", ("debug", "info", "warning", "error")).upper()


def readable_file(environ: Mapping[str, str], name: str) -> Path | None:
    """The path in `name`, or None when it is unset. Raises SettingsError when it cannot be read."""
    text = environ.get(name, "").strip()
    if not text:
        return None
    try:
        with Path(text).open("rb"):
            return Path(text)
    except OSError as error:
        raise SettingsError(f"{name}: {text}: {error.strerror or error}") from None
