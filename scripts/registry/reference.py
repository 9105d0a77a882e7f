"""Names registries, repositories and references, and says which names mean the same registry."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from scripts.core.command import PASSWORD
from scripts.core.config import demand_no_login
from scripts.core.errors import REFUSED, ConfigError, RegistryError, ReleaseError
from scripts.registry.credentials import IN_ENVIRONMENT, USERNAME, Credentials

_PREFIX = re.compile(
    r"^(?i:oci)://(?:[A-Za-z0-9._-]+|\[[0-9a-fA-F:]*:[0-9a-fA-F:.]*\])(?::(?P<port>\d{0,9}))?(?:/.*)?$"
)
_PATH = re.compile(r"^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$")
_TAG = re.compile(r"^\w[\w.-]{0,127}$", re.ASCII)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
CORRECT = "correct registry in [tool.gati], GATI_REGISTRY or --registry"


@dataclass(frozen=True)
class Reference:
    """One version of a chart in a registry, or its digest. `str` gives what `helm pull` takes."""

    host: str
    repository: str
    version: str

    @property
    def tag(self) -> str:
        """The version as a tag: helm writes `_` for `+`, which tags cannot hold."""
        return self.version.replace("+", "_")

    def __str__(self) -> str:
        return f"oci://{self.host}/{self.repository}{'@' if ':' in self.version else ':'}{self.tag}"


@dataclass(frozen=True)
class Registry:
    """Where charts are published: `prefix` is "oci://host[:port][/path]", and each chart is a repository below it.

    `plain_http` asks for HTTP where TLS is the rule; `ca_file` holds the authorities that are trusted in place of
    the system's; `cert_file` and `key_file` say who we are where a registry asks that of TLS. `login_failure` is why
    no login could be looked up, which matters only where the registry asks for one. Nobody else writes to a registry
    that we have `alone`.
    """

    prefix: str
    plain_http: bool = False
    ca_file: Path | None = None
    credentials: Credentials | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    login_failure: ReleaseError | None = field(default=None, compare=False)
    alone: bool = False

    def __post_init__(self) -> None:
        demand_no_login(self.prefix, "the registry's name")
        match = _PREFIX.match(self.prefix)
        if match is None or int(match["port"] or 1) > 65535 or (self.path and not _PATH.match(self.path)):
            raise ConfigError(
                f"{self.prefix!r} is no registry that charts can be published to",
                expected="oci://host[:port][/path], the path in lower case",
                run=CORRECT,
            )

    @property
    def host(self) -> str:
        """Host and port, as they stand in the prefix; a colon without a port is none, as helm has it."""
        return self.prefix[len("oci://") :].partition("/")[0].removesuffix(":")

    @property
    def path(self) -> str:
        """What follows the host, "" when nothing does; of two slashes one counts, as helm has it."""
        return "/".join(filter(None, self.prefix[len("oci://") :].split("/")[1:]))

    @property
    def remote(self) -> str:
        """What `helm push` takes."""
        return f"oci://{self.host}" + (f"/{self.path}" if self.path else "")

    @property
    def api_host(self) -> str:
        """Where the registry's API answers: Docker Hub's is not at the name that charts are published under."""
        return "registry-1.docker.io" if self.host == "docker.io" else self.host

    @property
    def may_speak_either(self) -> bool:
        """Whether TLS is tried before plain HTTP: on loopback, and where files for TLS make helm pass over the wish."""
        files = self.ca_file or self.cert_file or self.key_file
        return bool(files) if self.plain_http else is_loopback(self.host)

    @property
    def flags(self) -> list[str]:
        """What tells helm how to speak with it."""
        if self.plain_http:  # beside which a file would have helm speak TLS
            return ["--plain-http"]
        files = {"--ca-file": self.ca_file, "--cert-file": self.cert_file, "--key-file": self.key_file}
        return [word for flag, file in files.items() if file for word in (flag, str(file))]

    @property
    def login_command(self) -> str:
        """What to run for a login that helm and we find, once none in the environment goes before it."""
        first = self.credentials is not None and self.credentials.source == IN_ENVIRONMENT
        unset = f"unset {USERNAME} {PASSWORD} && " if first else ""
        return unset + shlex.join(["helm", "registry", "login", self.host, *self.flags])

    def repository(self, chart_name: str) -> str:
        """The repository of a chart. Raises RegistryError where its name cannot be one."""
        name = "/".join(part for part in (self.path, chart_name) if part)
        if not _PATH.match(name):
            raise RegistryError(
                f"a chart called {chart_name!r} cannot be in a registry",
                expected="lower case, a-z 0-9 . _ -",
                code=REFUSED,
            )
        return name

    def reference(self, chart_name: str, version: str) -> Reference:
        """Where `version` of a chart, or its digest, stands. Raises RegistryError where that can be no reference."""
        reference = Reference(self.host, self.repository(chart_name), version)
        if not _TAG.match(reference.tag) and not DIGEST.fullmatch(version):
            raise RegistryError(
                f"{version!r} cannot be a tag in a registry",
                expected="at most 128 of a-z A-Z 0-9 . _ -",
                code=REFUSED,
            )
        return reference


def is_loopback(host: str) -> bool:
    """True for a host (with or without a port) that is this machine itself."""
    with contextlib.suppress(ValueError):
        name = (urlsplit(f"//{host}").hostname or "").lower()
        return name == "localhost" or name.endswith(".localhost") or ipaddress.ip_address(name).is_loopback
    return False


def is_reference(text: str) -> bool:
    """Whether a text names a place in a registry: a scheme is written as one likes."""
    return text[:6].lower() == "oci://"


def parse_published(text: str) -> tuple[str, str, str | None, str | None]:
    """Prefix, chart, version and digest of "oci://host/path/name[:version][@sha256:...]". Raises ConfigError."""
    demand_no_login(text, "the reference")
    text = f"oci://{text[6:]}" if is_reference(text) else text
    bare, at, digest = text.partition("@")
    prefix, _, last = bare.rpartition("/")
    name, colon, tag = last.partition(":")
    whole = text.startswith("oci://") and prefix.removeprefix("oci:/").strip("/") and name
    tagged = not colon or _TAG.match(tag.replace("+", "_"))
    if not whole or not tagged or (at and not DIGEST.fullmatch(digest)):
        raise ConfigError(f"{text} names no chart", expected="oci://host/path/name, :VERSION or @sha256:... after it")
    return prefix, name, tag.replace("_", "+") or None, digest or None
