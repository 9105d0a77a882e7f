"""Finds the login for a registry where `helm registry login` and `docker login` leave it, or in the environment."""

from __future__ import annotations

import base64
import binascii
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.core.command import Runner
from scripts.core.errors import ConfigError, RegistryError

USERNAME, PASSWORD = "GATI_REGISTRY_USERNAME", "GATI_REGISTRY_PASSWORD"
_DOCKER_HUB = "https://index.docker.io/v1/"  # what docker calls docker.io in its file


@dataclass(frozen=True)
class Credentials:
    """A login: `username` and `password`, or an `identity_token` in their place. `source` says where it was found."""

    username: str
    password: str = field(repr=False)
    source: str
    identity_token: str = field(default="", repr=False)

    def basic(self) -> str:
        """The two as HTTP's Basic scheme sends them and docker's file keeps them."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def find_credentials(host: str, runner: Runner, *, environ: Mapping[str, str] | None = None) -> Credentials | None:
    """The login for `host` ("ghcr.io", "127.0.0.1:5000"), or None.

    The environment comes first, then helm's file, then docker's; a file's credential helper is asked by stdin.
    Raises ConfigError (half a login in the environment, an unreadable file), RegistryError (a helper fails).
    """
    environ = os.environ if environ is None else environ
    username, password = environ.get(USERNAME, ""), environ.get(PASSWORD, "")
    if username or password:
        if not (username and password):
            raise ConfigError(
                "half a registry login is in the environment",
                expected=f"{USERNAME} and {PASSWORD}",
                found=f"only {USERNAME if username else PASSWORD}",
            )
        return Credentials(username, password, f"{USERNAME} and {PASSWORD}")
    for file in login_files(environ):
        if (found := _from_file(file, host, runner)) is not None:
            return found
    return None


def login_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where helm and docker keep logins, in the order in which they are asked."""
    home = Path(environ.get("HOME") or Path.home())
    base = home / ("Library/Preferences" if sys.platform == "darwin" else ".config")
    base = Path(environ.get("XDG_CONFIG_HOME") or base)
    helm_home = Path(environ.get("HELM_CONFIG_HOME") or base / "helm")
    helm = Path(environ.get("HELM_REGISTRY_CONFIG") or helm_home / "registry" / "config.json")
    docker = Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    return helm, docker


def _from_file(file: Path, host: str, runner: Runner) -> Credentials | None:
    try:
        content: Any = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read as a file of registry logins", found=str(error)) from error
    if not isinstance(content, dict):
        raise ConfigError(f"{file} is no file of registry logins", expected="a JSON object")
    names = (_DOCKER_HUB, "docker.io", "registry-1.docker.io") if host == "docker.io" else (host, f"https://{host}")
    helpers = content.get("credHelpers") or {}
    for name in names:
        if helper := helpers.get(name) or content.get("credsStore"):
            found = _from_helper(helper, name, runner)
            if found is not None:
                return found
        entry = (content.get("auths") or {}).get(name)
        if isinstance(entry, dict) and (found := _from_entry(entry, f"{file}: {name}")) is not None:
            return found
    return None


def _from_entry(entry: Mapping[str, Any], where: str) -> Credentials | None:
    username, password = entry.get("username") or "", entry.get("password") or ""
    if entry.get("auth"):
        try:
            username, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (binascii.Error, ValueError, TypeError) as error:
            raise ConfigError(
                f"{where} holds a login that cannot be read", expected="base64 of user:password"
            ) from error
        if not colon:
            raise ConfigError(f"{where} holds a login that cannot be read", expected="base64 of user:password")
    token = entry.get("identitytoken") or ""
    return Credentials(username, password, where, token) if password or token else None


def _from_helper(helper: str, host: str, runner: Runner) -> Credentials | None:
    """Ask `docker-credential-<helper>`; None when it knows no login for `host`."""
    name = f"docker-credential-{helper}"
    if "/" in helper:
        raise ConfigError(f"{name} is no name of a credential helper", found=helper)
    result = runner.run([name, "get"], stdin=host, deadline=30, check=False)
    if result.status != 0:
        said = (result.stdout.strip() or result.stderr.strip()).splitlines()[-1:]
        if "not found" in "".join(said).lower():
            return None
        raise RegistryError(f"{name} gives no login for {host}", found="".join(said) or f"status {result.status}")
    try:
        answer = json.loads(result.stdout)
        username, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError):
        # What it printed may hold the secret, so it is not shown.
        raise RegistryError(f"{name} answers with something that is no login") from None
    if not secret:
        return None
    if username == "<token>":
        return Credentials("", "", name, identity_token=secret)
    return Credentials(username, secret, name)
