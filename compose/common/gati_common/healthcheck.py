#!/usr/bin/env python3
"""Health of a service: `healthcheck URL`, http(s)://host:port/path or grpc(s)://host:port[/service]; exit 0 or 1.

The service itself is asked, and no proxy that the environment names for what lies further away.

TLS is verified against HEALTHCHECK_CA_FILE where that is set. Unset, the usual authorities (or SSL_CERT_FILE) apply.
While the file is absent HTTPS is not verified, as the question is whether the service answers; gRPC, which cannot do
without, takes the usual authorities.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    import grpc

_TIMEOUT = 2.0  # seconds
_DIRECT = (("grpc.enable_http_proxy", 0),)


def check(url: str) -> tuple[bool, str]:
    """Whether the service behind `url` is healthy, and what it said."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return _http(url)
        if parts.scheme in ("grpc", "grpcs") and parts.hostname and parts.port:
            return _grpc(parts)
    except ValueError:
        pass
    return False, "expected http://host:port/path, https://host:port/path or grpc(s)://host:port[/service]"


def _http(url: str) -> tuple[bool, str]:
    import http.client
    import ssl
    from urllib.error import HTTPError, URLError
    from urllib.request import HTTPSHandler, ProxyHandler, build_opener

    ca_file = os.environ.get("HEALTHCHECK_CA_FILE")
    try:
        absent = bool(ca_file) and not Path(str(ca_file)).exists()
        context = ssl.create_default_context(cafile=None if absent else ca_file)
        if absent:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with build_opener(ProxyHandler({}), HTTPSHandler(context=context)).open(url, timeout=_TIMEOUT) as answer:
            return True, f"HTTP {answer.status}"
    except HTTPError as error:
        return False, f"HTTP {error.code}"
    except (URLError, OSError, http.client.HTTPException) as error:
        return False, str(getattr(error, "reason", None) or error or type(error).__name__)


def _grpc(parts: SplitResult) -> tuple[bool, str]:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from gati_common.environment import SettingsError

    request = health_pb2.HealthCheckRequest(service=parts.path.strip("/"))
    try:
        with _channel(parts) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=_TIMEOUT)
    except SettingsError as error:
        return False, str(error)
    except grpc.RpcError as error:
        return False, f"{error.code().name}: {error.details()}".replace("\n", " ")
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return name == "SERVING", name


def _channel(parts: SplitResult) -> grpc.Channel:
    import grpc

    if parts.scheme == "grpc":
        return grpc.insecure_channel(parts.netloc, _DIRECT)
    from gati_common.tls import Authorities

    ca_file = Path(os.environ.get("HEALTHCHECK_CA_FILE") or os.devnull)
    trust = Authorities("HEALTHCHECK_CA_FILE", ca_file if ca_file.is_file() else None, alone=True)
    return grpc.secure_channel(parts.netloc, grpc.ssl_channel_credentials(trust.pem), _DIRECT)


def main(argv: list[str]) -> int:
    """Print one line; 0 when healthy, 1 otherwise."""
    url = argv[1] if len(argv) == 2 else ""
    healthy, said = check(url)
    print(f"{url or 'healthcheck'}: {said}")
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
