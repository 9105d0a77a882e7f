"""Finds the login for a registry where `helm registry login` and `docker login` leave it, or in the environment."""

from __future__ import annotations

import base64
import os
import re
import shutil
import sys
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.core import json_read
from scripts.core.command import PASSWORD, Runner
from scripts.core.errors import SAME_COMMAND, CommandTimeout, ConfigError, RegistryError, ReleaseError

USERNAME = "GATI_REGISTRY_USERNAME"
IN_ENVIRONMENT = f"{USERNAME} and {PASSWORD}"
_DOCKER_HUB = "https://index.docker.io/v1/"  # what docker calls docker.io in its file
_HUB_HOSTS = {"docker.io", "index.docker.io", "registry-1.docker.io"}
_MEND = f"mend {{}}, or move it away, then {SAME_COMMAND}"  # for helm, which would log in, cannot read it either
_HELPER = 20.0  # seconds for a credential helper, which may ask a server, or somebody to unlock a keychain
_SILENT = weakref.WeakKeyDictionary[Runner, set[str]]()  # the helpers that did not answer a task, which asks them once


@dataclass(frozen=True)
class Credentials:
    """A login: `username` and `password`, or a token, to be exchanged (`identity_token`) or used; found in `source`."""

    username: str
    password: str = field(repr=False)
    source: str
    identity_token: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)

    def basic(self) -> str:
        """The two as HTTP's Basic scheme sends them and docker's file keeps them."""
        return base64.b64encode(f"{self.username}:{self.password}".encode(errors="surrogateescape")).decode()


def login_in_environment(environ: Mapping[str, str]) -> Credentials | None:
    """The login that the two variables hold. Raises ConfigError where there is half a one."""
    # As helm and docker read a password: without the end of the line that a file of it has.
    username, password = (environ.get(name, "").rstrip("\r\n") for name in (USERNAME, PASSWORD))
    if not (username or password):
        return None
    if not (username and password):
        given, other = (USERNAME, PASSWORD) if username else (PASSWORD, USERNAME)
        raise ConfigError(
            "half a registry login is in the environment",
            expected=IN_ENVIRONMENT,
            found=f"only {given}",
            run=f"set {other}, or unset {given}",
        )
    return Credentials(username, password, IN_ENVIRONMENT)


def find_credentials(
    host: str, runner: Runner, path: str = "", *, environ: Mapping[str, str] = os.environ
) -> Credentials | None:
    """The login for `host` ("ghcr.io", "127.0.0.1:5000"), of which one for `path` there is the better one; or None.

    helm's file comes first, then docker's; a file's credential helper is asked by stdin. What fails is passed over
    where the other has a login. Raises ConfigError (an unreadable file), RegistryError and ToolError (a helper fails,
    or is missing).
    """
    failures: list[ReleaseError] = []
    for file in login_files(environ):
        try:
            if (found := _from_file(file, host, path, runner)) is not None:
                return found
        except ReleaseError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return None


def login_address(host: str) -> str:
    """The name under which helm looks for the login of `host`."""
    return _DOCKER_HUB if host in ("docker.io", "registry-1.docker.io") else host


def login_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where helm and docker keep logins, in the order in which they are asked."""
    try:
        home = Path(environ.get("HOME") or Path.home())
    except RuntimeError:  # neither HOME nor an entry in passwd
        home = Path("/nonexistent")
    base = home / ("Library/Preferences" if sys.platform == "darwin" else ".config")
    base = Path(environ.get("XDG_CONFIG_HOME") or base)
    helm_home = Path(environ.get("HELM_CONFIG_HOME") or base / "helm")
    helm = Path(environ.get("HELM_REGISTRY_CONFIG") or helm_home / "registry" / "config.json")
    docker = Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    return helm, docker


def _from_file(file: Path, host: str, path: str, runner: Runner) -> Credentials | None:
    try:
        text = file.read_text(encoding="utf-8")
        content: Any = json_read.first(text) if text.strip() else {}
    except (FileNotFoundError, NotADirectoryError):
        content = {}
    except (OSError, ValueError) as error:
        # The words of a decoder may hold what stands in the file.
        found = error.strerror if isinstance(error, OSError) else "no JSON"
        what = f"{file} cannot be read as a file of registry logins"
        raise ConfigError(what, found=found, run=_MEND.format(file)) from error
    auths, helpers, store = _members(file, content)
    address = login_address(host)
    named = next((helpers[name] for name in _names(helpers, host, path)), None)
    helper = named or store or ("" if auths or helpers else _native_helper())
    failure = None
    if helper:
        try:
            if (login := _from_helper(str(helper), address, runner)) is not None:
                return login
        except ReleaseError as error:
            failure = error
    for name in _names(auths, host, path):
        entry = auths[name]
        if isinstance(entry, dict) and (login := _from_entry(entry, f"{file}: {name}")) is not None:
            return login
    if failure is not None:
        raise failure
    return None


def _members(file: Path, content: Any) -> tuple[dict[str, Any], dict[str, Any], str]:
    """What a file says about logins: `auths`, `credHelpers` and `credsStore`."""
    if isinstance(content, dict):
        auths, helpers, store = (content.get(name) for name in ("auths", "credHelpers", "credsStore"))
        if isinstance(auths or {}, dict) and isinstance(helpers or {}, dict) and isinstance(store or "", str):
            return auths or {}, helpers or {}, store or ""
    wanted = "a JSON object with auths, credHelpers and credsStore"
    raise ConfigError(f"{file} is no file of registry logins", expected=wanted, run=_MEND.format(file))


def _names(keys: Iterable[str], host: str, path: str) -> list[str]:
    """Those of `keys` that mean `host`, the best first: helm's own, else with a scheme or port, else with a path.

    Of paths those are the better ones that `path` lies below, as podman writes them, and of these the longest.
    """
    asked = login_address(host)
    own, _ = _bare(asked)
    wanted = _HUB_HOSTS if own in _HUB_HOSTS else {own}

    def rank(key: str) -> tuple[bool, bool, int, bool]:
        name, above = _bare(key)
        return key != asked, above != "", -len(above) if f"{path}/".startswith(f"{above}/") else 0, name != own

    return sorted((key for key in keys if _bare(key)[0] in wanted), key=rank)


def _bare(key: str) -> tuple[str, str]:
    """The host of a key in a file of logins, and the path where it names less than the registry as a whole."""
    name = key.removeprefix("https://").removeprefix("http://")
    host, _, path = name.lower().partition("/")
    return host.removesuffix(":443"), "" if path.strip("/") in ("v1", "v2") else path.strip("/")


def _native_helper() -> str:
    """The keychain that helm asks where a file says nothing about logins; "" where its helper is not installed."""
    name = "osxkeychain" if sys.platform == "darwin" else "pass" if shutil.which("pass") else "secretservice"
    return name if shutil.which(f"docker-credential-{name}") else ""


def _folded(value: Mapping[str, Any]) -> dict[str, Any]:
    """The members of an object by their names as Go matches them, whatever their case."""
    return {name.lower(): member for name, member in value.items()}


def _from_entry(entry: Mapping[str, Any], where: str) -> Credentials | None:
    entry = _folded(entry)
    username, password = entry.get("username") or "", entry.get("password") or ""
    if entry.get("auth"):
        try:
            decoded = base64.b64decode(re.sub(r"[\r\n]", "", entry["auth"]), validate=True)
            username, password = decoded.decode(errors="surrogateescape").rstrip("\0").split(":", 1)
        except (ValueError, TypeError) as error:
            raise ConfigError(
                f"{where} holds a login that cannot be read", expected="base64 of user:password"
            ) from error
    identity, access = entry.get("identitytoken") or "", entry.get("registrytoken") or ""
    if not all(isinstance(word, str) for word in (username, password, identity, access)):
        raise ConfigError(f"{where} holds a login that cannot be read", expected="text")
    return Credentials(username, password, where, identity, access) if password or identity or access else None


def _from_helper(helper: str, host: str, runner: Runner) -> Credentials | None:
    """Ask `docker-credential-<helper>`; None when it knows no login for `host`."""
    name = f"docker-credential-{helper}"
    if "/" in helper or "\0" in helper:
        raise ConfigError(f"{name!r} is no name of a credential helper", found=repr(helper))
    if name not in (silent := _SILENT.setdefault(runner, set())):
        try:
            result = runner.run([name, "get"], stdin=host, deadline=_HELPER, check=False)
        except CommandTimeout:  # what it said meanwhile may hold anything
            silent.add(name)
    if name in silent:
        found = f"no answer within {_HELPER:g} s: it may wait for a password, or for a server"
        raise RegistryError(f"{name} gives no login for {host}", found=found)
    if result.status != 0:
        said = "".join(result.stdout.strip().splitlines()[-1:])  # its stderr may hold anything
        if "credentials not found" in said.lower():
            return None
        known = said and "secret" not in said.lower()
        raise RegistryError(f"{name} gives no login for {host}", found=said if known else f"status {result.status}")
    try:
        answer = _folded(json_read.load(result.stdout))
        username, secret = answer.get("username") or "", answer["secret"]
        if not isinstance(username, str) or not isinstance(secret, str):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError):
        # What it printed may hold the secret, so it is not shown.
        raise RegistryError(f"{name} answers with something that is no login") from None
    if not secret:
        return None
    if username == "<token>":
        return Credentials("", "", name, identity_token=secret)
    return Credentials(username, secret, name)
