"""Speaks the OCI distribution API: asks a registry what it holds, and tells "not there" from every kind of failure."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from scripts.chart.manifest_digest import LAYER_TYPE, MANIFEST_TYPE, sha256
from scripts.core.errors import ConfigError, RegistryError
from scripts.registry.credentials import PASSWORD, USERNAME, Credentials

MANIFEST_TYPES = (
    MANIFEST_TYPE,
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
# Only a registry that answers with one of these says that something is not there. The last is Harbor's.
_UNKNOWN_CODES = {"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"}
_PREFIX = re.compile(r"^oci://(?P<host>[A-Za-z0-9.-]+(?::\d+)?|\[[0-9a-fA-F:]+\](?::\d+)?)(?:/(?P<path>.+?))?/?$")
_PATH = re.compile(r"^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')  # of a WWW-Authenticate header
_TAG = re.compile(r"^\w[\w.-]{0,127}$", re.ASCII)
_LARGEST_MANIFEST = 4 << 20  # bytes, what the specification asks registries to accept
_LARGEST_ARCHIVE = 20 << 20  # bytes, what helm downloads
_CONNECT, _READ, _WHOLE = 5.0, 10.0, 60.0  # seconds: to connect, between two packets, for one answer
_CORRECT = "correct registry in [tool.gati], GATI_REGISTRY or --registry"
_LOOK = f"see that the registry runs and can be reached from here, or {_CORRECT}"
_ATTEMPTS, _PATIENCE = 4, 25.0  # tries, and seconds after which no further try begins


@dataclass(frozen=True)
class Reference:
    """One version of a chart in a registry. `str` gives what `helm pull` takes."""

    host: str
    repository: str
    version: str

    @property
    def tag(self) -> str:
        """The version as a tag: helm writes `_` for `+`, which tags cannot hold."""
        return self.version.replace("+", "_")

    def __str__(self) -> str:
        return f"oci://{self.host}/{self.repository}:{self.tag}"


@dataclass(frozen=True)
class Registry:
    """Where charts are published: `prefix` is "oci://host[:port][/path]", and each chart is a repository below it.

    `plain_http` asks for HTTP where TLS is the rule; `ca_file` holds further authorities.
    """

    prefix: str
    plain_http: bool = False
    ca_file: Path | None = None
    credentials: Credentials | None = None

    def __post_init__(self) -> None:
        match = _PREFIX.match(self.prefix)
        if match is None or (match["path"] and not _PATH.match(match["path"])):
            raise ConfigError(
                f"{self.prefix!r} is no registry that charts can be published to",
                expected="oci://host[:port][/path], the path in lower case",
                run=_CORRECT,
            )

    @property
    def host(self) -> str:
        """Host and port, as they stand in the prefix."""
        return self.prefix.removeprefix("oci://").partition("/")[0]

    @property
    def path(self) -> str:
        """What follows the host, "" when nothing does."""
        return self.prefix.removeprefix("oci://").partition("/")[2].strip("/")

    @property
    def remote(self) -> str:
        """What `helm push` takes."""
        return f"oci://{self.host}" + (f"/{self.path}" if self.path else "")

    def repository(self, chart_name: str) -> str:
        """The repository of a chart. Raises RegistryError where its name cannot be one."""
        name = "/".join(part for part in (self.path, chart_name) if part)
        if not _PATH.match(name):
            raise RegistryError(
                f"a chart called {chart_name!r} cannot be in a registry", expected="lower case, a-z 0-9 . _ -"
            )
        return name

    def reference(self, chart_name: str, version: str) -> Reference:
        """Where `version` of a chart stands. Raises RegistryError where that can be no reference."""
        reference = Reference(self.host, self.repository(chart_name), version)
        if not _TAG.match(reference.tag):
            raise RegistryError(
                f"{version!r} cannot be a tag in a registry", expected="at most 128 of a-z A-Z 0-9 . _ -"
            )
        return reference


@dataclass(frozen=True)
class Found:
    """A manifest that a registry holds: its `digest` ("sha256:...") computed from `content`, and its `media_type`."""

    digest: str
    media_type: str
    content: bytes

    def layer(self) -> tuple[str, int]:
        """Digest and size of the chart archive. Raises RegistryError where the manifest is not a chart's."""
        try:
            layers = [layer for layer in json.loads(self.content)["layers"] if layer["mediaType"] == LAYER_TYPE]
            (layer,) = layers
            return str(layer["digest"]), int(layer["size"])
        except (ValueError, KeyError, TypeError):
            raise RegistryError(
                f"{self.digest} is no chart", expected=f"a manifest with one layer {LAYER_TYPE}", found=self.media_type
            ) from None


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def codes(self) -> set[str]:
        """The error codes of an OCI error body; empty for any other body."""
        try:
            return {str(error["code"]).upper() for error in json.loads(self.body)["errors"]}
        except (ValueError, KeyError, TypeError):
            return set()

    def words(self) -> str:
        """What the answer says, on one line."""
        try:
            errors = json.loads(self.body)["errors"]
            text = "; ".join(f"{error.get('code', '')}: {error.get('message', '')}".strip(": ") for error in errors)
        except (ValueError, KeyError, TypeError, AttributeError):
            text = " ".join(self.body[:200].decode("utf-8", "replace").split())
        kind = self.headers.get("Content-Type", "no content type").partition(";")[0]
        return f"HTTP {self.status}, {text or kind}" if "html" not in kind else f"HTTP {self.status}, a page ({kind})"


class _Transient(RegistryError):
    """A failure that may be gone in a moment. `after` is the time in seconds that the registry asks for."""

    after: float | None = None


class Client:
    """One conversation with a registry; made by `connect`. All of its methods raise RegistryError with the cause."""

    def __init__(self, registry: Registry, session: Any, sleep: Callable[[float], None]) -> None:
        self.registry = registry
        self.plain_http = registry.plain_http
        self._session = session
        self._sleep = sleep
        self._authorization: dict[str, str] = {}

    # -- questions -----------------------------------------------------------------------------

    def ping(self) -> None:
        """Make sure that a registry answers; on loopback also find out whether it speaks TLS."""
        try:
            answer = self._send("GET", self._url(""))
        except _NoTls:
            if not is_loopback(self.registry.host):
                raise
            self.plain_http = True
            answer = self._send("GET", self._url(""))
        header = answer.headers.get("Docker-Distribution-Api-Version", "")
        challenged = answer.status == 401 and answer.headers.get("WWW-Authenticate")
        if answer.status == 200:
            with contextlib.suppress(ValueError):
                if header or not answer.body.strip() or isinstance(json.loads(answer.body), dict):
                    return
        if challenged or answer.codes():
            return
        raise RegistryError(
            f"{self.registry.host} is not an OCI registry",
            expected=f"an answer of the OCI distribution API at {self._url('')}",
            found=answer.words(),
            run=_CORRECT,
        )

    def manifest(self, reference: Reference, *, digest: str | None = None) -> Found | None:
        """The manifest of the tag (or of `digest`); None only where the registry itself says that there is none."""
        path = f"{reference.repository}/manifests/{digest or reference.tag}"
        answer = self._ask(path, reference.repository, accept=", ".join(MANIFEST_TYPES))
        if answer is None:
            return None
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        found = Found(sha256(answer.body), kind, answer.body)
        told = answer.headers.get("Docker-Content-Digest", found.digest)
        try:
            is_manifest = kind in MANIFEST_TYPES and "schemaVersion" in json.loads(answer.body)
        except (ValueError, TypeError):
            is_manifest = False
        if not is_manifest:
            raise RegistryError(
                f"{reference}: the answer is not a manifest",
                expected=" or ".join(MANIFEST_TYPES[:1]),
                found=answer.words(),
            )
        if found.digest != (digest or told) or told != found.digest:
            raise RegistryError(
                f"{reference}: the manifest is not the one that its digest names",
                expected=digest or told,
                found=found.digest,
            )
        return found

    def blob(self, reference: Reference, digest: str, size: int) -> bytes:
        """The content of a blob, compared with its digest and size."""
        if not 0 <= size <= _LARGEST_ARCHIVE:
            raise RegistryError(
                f"{reference}: a blob of {size} bytes is not a chart", expected=f"at most {_LARGEST_ARCHIVE}"
            )
        answer = self._ask(f"{reference.repository}/blobs/{digest}", reference.repository, limit=max(size, 1 << 16))
        if answer is None:
            raise RegistryError(f"{reference}: its layer {digest} is not in the registry", found="BLOB_UNKNOWN")
        if sha256(answer.body) != digest:
            raise RegistryError(
                f"{reference}: its layer is damaged in the registry", expected=digest, found=sha256(answer.body)
            )
        return answer.body

    def archive(self, reference: Reference, found: Found) -> bytes:
        """The chart archive that the manifest `found` names, checked."""
        digest, size = found.layer()
        return self.blob(reference, digest, size)

    def pull(self, reference: Reference, into: Path) -> Path:
        """The published archive as a file in the folder `into`, checked against the manifest."""
        from scripts.core.files import write_atomic

        found = self.manifest(reference)
        if found is None:
            raise RegistryError(f"{reference} is not published")
        path = into / f"{reference.repository.rpartition('/')[2]}-{reference.version}.tgz"
        write_atomic(path, self.archive(reference, found))
        return path

    def versions(self, chart_name: str) -> tuple[str, ...]:
        """The published versions of a chart, in the registry's order; none where there is no such repository."""
        repository = self.registry.repository(chart_name)
        path: str | None = f"{repository}/tags/list?n=1000"
        tags: list[str] = []
        while path is not None:
            answer = self._ask(path, repository)
            if answer is None:
                break
            try:
                page = json.loads(answer.body)["tags"] or []
            except (ValueError, KeyError, TypeError) as error:
                raise RegistryError(f"{repository}: the answer is no list of tags", found=answer.words()) from error
            tags += [str(tag) for tag in page if tag not in tags]
            path = self._next(answer, path) if page else None
        return tuple(tag.replace("_", "+") for tag in tags)

    # -- transport -----------------------------------------------------------------------------

    def _url(self, path: str) -> str:
        host = "registry-1.docker.io" if self.registry.host == "docker.io" else self.registry.host
        return f"{'http' if self.plain_http else 'https'}://{host}/v2/{path}"

    def _next(self, answer: _Answer, path: str) -> str | None:
        """The path of the next page, which the Link header names; never on another host."""
        match = re.match(r"^\s*<([^>]+)>\s*;.*rel=\"?next\"?", answer.headers.get("Link", ""))
        if match is None:
            return None
        url = urljoin(self._url(path), match.group(1))
        base = self._url("")
        return url.removeprefix(base) if url.startswith(base) else None

    def _ask(
        self, path: str, repository: str, *, accept: str = "*/*", limit: int = _LARGEST_MANIFEST
    ) -> _Answer | None:
        """GET, logged in where the registry asks for it. None where it says in OCI's words that nothing is there."""
        scope = f"repository:{repository}:pull"
        url = self._url(path)
        answer = self._send("GET", url, accept=accept, authorization=self._authorization.get(scope), limit=limit)
        if answer.status == 401 and (challenge := answer.headers.get("WWW-Authenticate")):
            self._authorization[scope] = self._authorize(challenge, scope)
            answer = self._send("GET", url, accept=accept, authorization=self._authorization[scope], limit=limit)
        if answer.status == 200:
            return answer
        if answer.status == 404 and answer.codes() & (_UNKNOWN_CODES | {"BLOB_UNKNOWN"}):
            return None
        raise self._refusal(answer, url)

    def _refusal(self, answer: _Answer, url: str) -> RegistryError:
        host, login = self.registry.host, self.registry.credentials
        again = f"helm registry login {host}, or set {USERNAME} and {PASSWORD}"
        if answer.status == 401 and login is None:
            return RegistryError(f"{host} asks for a login, and none is known", found=answer.words(), run=again)
        if answer.status == 401 and login is not None:
            return RegistryError(
                f"{host} refuses the login of {login.username or 'a token'} ({login.source})",
                found=answer.words(),
                run=again,
            )
        if answer.status == 403:
            who = login.username or "the token" if login else "someone without a login"
            return RegistryError(f"{host} does not let {who} look at {url}", found=answer.words(), run=again)
        if answer.status == 404:
            return RegistryError(
                f"{host} answers 404 in words that are not a registry's",
                expected="an OCI error such as MANIFEST_UNKNOWN; anything else does not say that the version is absent",
                found=answer.words(),
            )
        return RegistryError(f"{host} answers {url} with something unexpected", found=answer.words())

    def _authorize(self, challenge: str, scope: str) -> str:
        """The Authorization header that a WWW-Authenticate header asks for."""
        scheme, _, rest = challenge.strip().partition(" ")
        login = self.registry.credentials
        if scheme.lower() == "basic":
            if login is None or not login.password:
                raise self._refusal(_Answer(401, {"Content-Type": "asks for Basic authentication"}, b""), self._url(""))
            return f"Basic {login.basic()}"
        if scheme.lower() == "bearer":
            return "Bearer " + self._token(dict(_PARAMETER.findall(rest)), scope)
        raise RegistryError(
            f"{self.registry.host} asks for an unknown kind of login", expected="Basic or Bearer", found=scheme
        )

    def _token(self, challenge: Mapping[str, str], scope: str) -> str:
        """A bearer token from the service that the registry names."""
        realm, login = challenge.get("realm", ""), self.registry.credentials
        parts = urlsplit(realm)
        if parts.scheme != "https" and not (parts.scheme == "http" and (self.plain_http or is_loopback(parts.netloc))):
            raise RegistryError(
                f"{self.registry.host} sends logins to a place that is not safe",
                expected="https://...",
                found=realm or "nothing",
            )
        wanted = {"service": challenge.get("service", ""), "scope": scope}
        wanted = {key: value for key, value in wanted.items() if value}
        if login is not None and login.identity_token:
            form = {**wanted, "grant_type": "refresh_token", "client_id": "gati", "refresh_token": login.identity_token}
            answer = self._send("POST", realm, form=form)
        else:
            basic = f"Basic {login.basic()}" if login is not None else None
            answer = self._send("GET", realm, query=wanted, authorization=basic)
        if answer.status in (400, 401, 403):
            raise self._refusal(_Answer(401, answer.headers, answer.body), realm)
        try:
            body = json.loads(answer.body)
            token = body.get("token") or body["access_token"]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise RegistryError(
                f"{parts.netloc} gives no token for {self.registry.host}", found=f"HTTP {answer.status}"
            ) from None
        return str(token)

    def _send(
        self,
        method: str,
        url: str,
        *,
        accept: str = "*/*",
        authorization: str | None = None,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        limit: int = _LARGEST_MANIFEST,
    ) -> _Answer:
        """One request, tried again where that can help: no answer, 429 and 5xx."""
        import tenacity

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.after if isinstance(error, _Transient) else None
            return asked if asked is not None else 0.5 * 2 ** (state.attempt_number - 1)

        def enough(state: tenacity.RetryCallState) -> bool:
            spent = state.seconds_since_start or 0.0
            return state.attempt_number >= _ATTEMPTS or spent + state.upcoming_sleep > _PATIENCE

        def once() -> _Answer:
            headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "gati-release-toolkit"}
            return self._once(method, url, headers, authorization, query, form, limit)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Transient), wait=wait, stop=enough, sleep=self._sleep, reraise=True
        )
        try:
            return retrying(once)
        except _Transient as error:
            tries = retrying.statistics["attempt_number"]
            error.found = f"{error.found} (tried {tries} time{'s'[: tries != 1]})"
            raise

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        authorization: str | None,
        query: Mapping[str, str] | None,
        form: Mapping[str, str] | None,
        limit: int,
    ) -> _Answer:
        import requests

        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # A callable rather than a header, so that requests does not look for a login in ~/.netrc.
            if authorization is not None:
                request.headers["Authorization"] = authorization
            return request

        end = time.monotonic() + _WHOLE
        host = urlsplit(url).netloc
        try:
            with self._session.request(
                method,
                url,
                headers=headers,
                params=query,
                data=form,
                auth=authorize,
                stream=True,
                verify=self._session.verify,  # said each time, since REQUESTS_CA_BUNDLE would overrule the session's
                timeout=(_CONNECT, _READ),
            ) as response:
                body = b""
                for chunk in response.iter_content(1 << 16):
                    body += chunk
                    if len(body) > limit:
                        raise RegistryError(
                            f"{host} sends more than it may", expected=f"at most {limit} bytes from {url}"
                        )
                    if time.monotonic() > end:
                        raise _Transient(f"{host} has not finished its answer after {_WHOLE:g} s", found=url)
                answer = _Answer(response.status_code, response.headers, body)
        except requests.RequestException as error:
            raise _connection_error(error, host, url) from error
        if answer.status == 429 or answer.status >= 500:
            failure = _Transient(f"{host} is not able to answer now", found=f"{answer.words()} from {url}")
            failure.after = _retry_after(answer.headers.get("Retry-After", ""))
            raise failure
        return answer


class _NoTls(RegistryError):
    """The other side speaks no TLS."""


@contextlib.contextmanager
def connect(registry: Registry, *, sleep: Callable[[float], None] = time.sleep) -> Iterator[Client]:
    """A client whose connections are closed at the end of the block. Raises RegistryError where no registry answers."""
    import requests

    with requests.Session() as session:
        if is_loopback(registry.host):
            session.trust_env = False  # a proxy cannot reach this machine's loopback
        session.verify = _authorities(registry)
        client = Client(registry, session, sleep)
        client.ping()
        yield client


def _authorities(registry: Registry) -> str | bool:
    """The file of authorities that helm, too, trusts: the given one, SSL_CERT_FILE, or the system's."""
    if registry.ca_file is not None:
        if not registry.ca_file.is_file():
            raise ConfigError(
                f"{registry.ca_file} is no file of authorities", found="no such file", run="correct registry_ca"
            )
        return str(registry.ca_file)
    return os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile or True


def is_loopback(host: str) -> bool:
    """True for a host (with or without a port) that is this machine itself."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _retry_after(text: str) -> float | None:
    """Seconds, from a Retry-After header; None where it is absent or a date."""
    return float(text) if re.fullmatch(r"\d{1,6}", text.strip()) else None


def _connection_error(error: Exception, host: str, url: str) -> RegistryError:
    """What went wrong below HTTP, and whether another try can help."""
    import requests

    causes = _causes(error)
    words = str(causes[-1]) or type(causes[-1]).__name__
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return RegistryError(
            f"the certificate of {host} is not trusted",
            found=words,
            run="give the authority's file: registry_ca in [tool.gati] or GATI_REGISTRY_CA",
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes) or isinstance(error, requests.exceptions.SSLError):
        text = " ".join(str(cause) for cause in causes).lower()
        message = f"{host} does not speak TLS"
        run = "plain HTTP is for loopback, or where asked: plain_http in [tool.gati], GATI_PLAIN_HTTP or --plain-http"
        if any(
            sign in text
            for sign in ("wrong version", "record layer failure", "unexpected eof", "packet length", "eof occurred")
        ):
            return _NoTls(message, found=words, run=run)
        return RegistryError(f"TLS with {host} fails", found=words)
    if isinstance(error, requests.Timeout):
        waited = f"nothing within {_CONNECT:g} s (connect) or {_READ:g} s (read)"
        return _Transient(f"{host} does not answer", found=waited, run=_LOOK)
    name = next((cause for cause in causes if isinstance(cause, OSError) and type(cause).__name__ == "gaierror"), None)
    if name is not None or "NameResolutionError" in {type(cause).__name__ for cause in causes}:
        kind = _Transient if name is not None and "temporary" in str(name).lower() else RegistryError
        return kind(f"the name {host} cannot be resolved", found=words, run=_LOOK)
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return _Transient(f"{host} cannot be reached", found=words, run=_LOOK)
    return RegistryError(f"{url} cannot be asked", found=words)


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what lies below it, the deepest last."""
    chain: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        item = todo.pop(0)
        if item is None or item in chain:
            continue
        chain.append(item)
        todo += [getattr(item, "reason", None), item.__cause__, item.__context__, *item.args]
        todo = [entry for entry in todo if isinstance(entry, BaseException)]
    return chain
