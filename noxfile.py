"""The environments in which the checks and tests run; what they do is in `scripts` and `tests`."""

from __future__ import annotations

import os

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_missing_interpreters = False


def install(session: nox.Session, *groups: str) -> None:
    """The locked dependencies of this project and of `groups`."""
    session.install("-r", "requirements/dev.txt")


@nox.session(tags=["check"])
def lint(session: nox.Session) -> None:
    """Check the style of the Python code."""
    install(session)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(tags=["check"])
def types(session: nox.Session) -> None:
    """Check the types of the Python code."""
    install(session)
    session.run("mypy")


@nox.session(tags=["check"])
def tests(session: nox.Session) -> None:
    """Run every test that needs no container engine."""
    install(session)
    engineless = "not e2e and not compose and not bench"
    session.run(
        "pytest", "-n", "2", "-m", engineless, *session.posargs, env={"GATI_CI": os.environ.get("CI", "")}
    )
