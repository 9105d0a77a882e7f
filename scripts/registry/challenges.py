"""Answers a registry's demand for a login: reads its challenges, and gets a token where it names a token service."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from scripts.core.errors import SAME_COMMAND, RegistryError, ToolError
from scripts.registry.credentials import IN_ENVIRONMENT
from scripts.registry.proxies import address_in
from scripts.registry.reference import Registry
from scripts.registry.transport import Answer, Transport, shown_url

_SERVICES = 3  # that are asked for a token, each for as long as any server is
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - HTTP's name for a word
# A scheme is followed by a parameter, by something opaque, by the next scheme, or by nothing.
_PARAMETER = re.compile(rf'({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_BETWEEN = re.compile(r"[\s,]*")
_SCHEME = re.compile(rf"({_TOKEN})(?=\s+{_TOKEN}\s*=|\s+[\w.~+/-]+=*\s*(?:,|$)|\s*(?:,|$))")


@dataclass(frozen=True)
class Challenge:
    """One way to log in that a registry offers: its `scheme` in lower case, and the parameters by name."""

    scheme: str
    parameters: Mapping[str, str]


def read_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges of all WWW-Authenticate headers, in their order; what cannot be read is passed over."""
    return tuple(challenge for header in headers for challenge in _read(header))


def _read(header: str) -> Iterator[Challenge]:
    scheme, parameters, position = "", dict[str, str](), 0
    while (gap := _BETWEEN.match(header, position)) is not None and (position := gap.end()) < len(header):
        if (parameter := _PARAMETER.match(header, position)) is not None:
            name, quoted, bare = parameter.groups()
            parameters[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
            position = parameter.end()
        elif (found := _SCHEME.match(header, position)) is not None:
            if scheme:
                yield Challenge(scheme, parameters)
            scheme, parameters, position = found.group(1).lower(), {}, found.end()
        else:
            position = header.find(",", position) + 1 or len(header)
    if scheme:
        yield Challenge(scheme, parameters)


def merged_scopes(*scopes: str) -> tuple[str, ...]:
    """Scopes of a token ("repository:name:pull,push", or any other word), each resource once with all its actions."""
    actions: dict[str, dict[str, None]] = {}
    for scope in (word for text in scopes for word in text.split()):
        resource, colon, wanted = scope.rpartition(":")
        known = actions.setdefault(resource if colon else scope, {})
        known.update(dict.fromkeys(wanted.split(",") if colon else ()))
    return tuple(f"{resource}:{','.join(wanted)}" if wanted else resource for resource, wanted in actions.items())


def authorize(transport: Transport, registry: Registry, answer: Answer, scope: str) -> str:
    """The Authorization header that `answer` asks for, to be sent to the registry alone. Raises RegistryError."""
    challenges, login = read_challenges(answer.challenges), registry.credentials
    failures = list[RegistryError]()
    for challenge in challenges:
        if challenge.scheme == "basic" and login is not None and login.username and login.password:
            return f"Basic {login.basic()}"
        if challenge.scheme == "bearer" and len(failures) < _SERVICES:
            try:
                return "Bearer " + _token(transport, registry, answer.url, challenge.parameters, scope)
            except RegistryError as error:
                failures.append(error)
    if failures:
        raise failures[0]
    if any(challenge.scheme == "basic" for challenge in challenges):
        raise refused(registry, answer)
    raise RegistryError(
        f"{registry.host} asks for an unknown kind of login",
        expected="Basic or Bearer",
        found=", ".join(challenge.scheme for challenge in challenges) or "no challenge that can be read",
    )


def refused(registry: Registry, answer: Answer) -> RegistryError:
    """Says that the login, or that there is none, is not enough for `answer`."""
    host, login = registry.host, registry.credentials
    wanted, again = f"a login; or {IN_ENVIRONMENT}", f"{registry.login_command}, then {SAME_COMMAND}"
    if login is None and (why := registry.login_failure) is not None:
        return RegistryError(
            f"{host} asks for a login, and none can be looked up",
            expected=wanted,
            found=f"{why.message}\n{why.found}" if why.found else why.message,
            run=again if isinstance(why, ToolError) else why.run or again,
        )
    refuses = f"refuses the login of {login.username or 'a token'} ({login.source})" if login else ""
    message = f"{host} {refuses or 'asks for a login, and none is known'}"
    return RegistryError(message, expected=wanted, found=answer.words(), run=again)


def _token(transport: Transport, registry: Registry, asked: str, parameters: Mapping[str, str], scope: str) -> str:
    """A bearer token from the service that the registry names."""
    realm, login = parameters.get("realm", ""), registry.credentials
    if login is not None and login.access_token:
        return login.access_token
    _demand_safe(registry, urlsplit(asked).scheme, realm)
    scopes = merged_scopes(scope, parameters.get("scope", ""))
    try:
        return _fetch(transport, registry, realm, parameters.get("service", ""), scopes)
    except _Denied:
        fewer = tuple(each.removesuffix(",push") for each in scopes)
        if fewer != scopes:
            with contextlib.suppress(_Denied):  # who may read and not write is refused in whole by some
                return _fetch(transport, registry, realm, parameters.get("service", ""), fewer)
        raise


def _demand_safe(registry: Registry, scheme: str, realm: str) -> None:
    """A login is sent where helm sends it, too.

    That is over TLS, in the clear only where the registry itself is asked so, and to no address within a network (as of
    a cloud's metadata) but to the registry's own.
    """
    try:
        parts = urlsplit(realm)
        inner = (address := address_in(parts.hostname or "")) is not None and address.is_private
        near = not inner or parts.hostname == urlsplit(f"//{registry.host}").hostname
        safe = bool(parts.hostname) and parts.scheme in ("https", scheme) and near
    except ValueError:
        safe = False
    if not safe:
        raise RegistryError(
            f"{registry.host} sends logins to a place that is not safe",
            expected=f"https:// and a name, or {registry.host} itself",
            found=realm or "nothing",
            run=f"have {registry.host} name its token service so (realm): helm sends no login elsewhere, either",
        )


class _Denied(RegistryError):
    """The token service gives this login no token of these scopes."""


def _fetch(transport: Transport, registry: Registry, realm: str, service: str, scopes: tuple[str, ...]) -> str:
    wanted, login = {"service": service} if service else {}, registry.credentials
    if login is not None and login.identity_token:
        secret = {"grant_type": "refresh_token", "client_id": "gati", "refresh_token": login.identity_token}
        answer = transport.send("POST", realm, form={**wanted, "scope": " ".join(scopes), **secret})
    else:
        basic = f"Basic {login.basic()}" if login is not None else None
        query = [*wanted.items(), *(("scope", each) for each in scopes)]
        answer = transport.send("GET", realm, query=query, authorization=basic)
    if answer.status in (400, 401, 403):
        error = refused(registry, answer)
        raise _Denied(error.message, found=error.found, run=error.run)
    try:
        body = {name.lower(): value for name, value in answer.json().items()}
        token = body.get("access_token") or body.get("token")
    except (ValueError, AttributeError):
        token = None
    if answer.status != 200 or not isinstance(token, str) or not re.fullmatch("[ -~]+", token):
        raise RegistryError(
            f"{urlsplit(shown_url(realm)).netloc} gives no token for {registry.host}",
            found=f"HTTP {answer.status}, {', '.join(answer.codes()) or answer.kind or 'no content type'}",
        )
    return token
