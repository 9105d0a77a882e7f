"""Chooses the proxy for a URL by the rules of Go's net/http, since helm asks the same registries through it."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from scripts.core.errors import ConfigError

_SCHEMES = ("http", "https", "socks5", "socks5h")
_HOST = re.compile(r"[^\s%]+|[\da-f:.]+%.+")  # the latter is an IPv6 address with its zone
_LOGIN = re.compile(r"(?:[\w.~!$&'()*+,;=:@-]|%[\da-f]{2})*", re.ASCII | re.IGNORECASE)  # Go reads no other one


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that the environment names for `url`; None for this machine, NO_PROXY, or none. Raises ConfigError."""
    parts = urlsplit(url)
    name = f"{parts.scheme.upper()}_PROXY"
    if name == "HTTP_PROXY" and environ.get("REQUEST_METHOD"):
        return None  # a CGI program, whose HTTP_PROXY the other side has set
    proxy = environ.get(name) or environ.get(name.lower())
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not proxy or _spared(parts.hostname or "", port, environ.get("NO_PROXY") or environ.get("no_proxy") or ""):
        return None
    try:
        found = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if found.port and found.scheme not in _SCHEMES:
            found = found._replace(scheme="http")  # which Go speaks to a proxy of any other scheme
        named = _HOST.fullmatch(found.hostname or "") and _LOGIN.fullmatch(found.netloc.rpartition("@")[0])
        if named and proxy.isprintable() and not proxy.startswith(" ") and found.scheme in _SCHEMES and found.port != 0:
            return found.geturl()
    except ValueError:
        pass
    raise ConfigError(  # its value may hold a password
        f"{name} holds no proxy",
        expected=f"scheme://host:port, the scheme one of {', '.join(_SCHEMES)}, and a login's other letters as %XX",
        run=f"correct {name}, or unset it",
    )


def _spared(host: str, port: int, no_proxy: str) -> bool:
    """Whether `host` is asked without a proxy."""
    host = host.lower()
    address = address_in(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_matches(_in_ascii(entry.strip().lower()), host, address, port) for entry in no_proxy.split(","))


def address_in(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that `name` is, of IPv4 where IPv6 only holds one; None for a name."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(name)
        return getattr(address, "ipv4_mapped", None) or address
    return None


def _in_ascii(entry: str) -> str:
    """A domain as it is asked for: the name of a registry has no other letters."""
    with contextlib.suppress(UnicodeError):
        return ".".join(part.encode("idna").decode() for part in entry.split("."))
    return entry


def _matches(entry: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int) -> bool:
    """Whether one entry of NO_PROXY means this host: `*`, an address, a network, or a domain with what is below it."""
    if entry in ("", "*") or "%" in entry:  # Go takes no zone there
        return entry == "*"
    try:
        if "." not in entry.partition("/")[2]:  # of masks it is the length that counts
            network = ipaddress.ip_network(entry, strict=False)
            if mapped := getattr(network.network_address, "ipv4_mapped", None):
                network = ipaddress.ip_network((mapped, network.prefixlen - 96))
            return address is not None and address in network
    except ValueError:
        pass
    name, wanted = entry, ""
    if entry.count(":") == 1 or "]:" in entry:
        name, _, wanted = entry.rpartition(":")
        name = name.removeprefix("[").removesuffix("]")
    if not name or (wanted and wanted != str(port)):
        return False
    if address is not None:
        return address_in(name) == address
    below = name.removeprefix("*") if name.startswith("*.") else name
    if below.startswith("."):
        return host.endswith(below)
    return host == below or host.endswith(f".{below}")
