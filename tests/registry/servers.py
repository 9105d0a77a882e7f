"""The servers that the tests of publishing talk to: a scripted one, and what a real one needs for TLS and logins."""

from __future__ import annotations

import base64
import contextlib
import datetime
import http.server
import ipaddress
import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

USER, PASSWORD = "publisher", "correct horse"
HTPASSWD = f"{USER}:$2b$04$L1rYCxRKTRny1d.XlJE2keeej2nIh7NGnm5sfw1b5F7H.rZ7.npLO\n"


LINES = "\0"  # parts the lines of a header that is sent more than once
NAMES = (
    "localhost",
    "*.example.com",
    "*.example.net",
    "*.example.org",
    "*.docker.io",
    "*.dkr.ecr.eu-west-1.amazonaws.com",
)


@dataclass(frozen=True)
class Request:
    """What a scripted server was asked; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What it answers."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def oci_error(status: int, code: str, **headers: str) -> Reply:
    """An error in the words of the OCI distribution specification."""
    body = json.dumps({"errors": [{"code": code, "message": f"said {code.lower()}"}]}).encode()
    return Reply(status, body, {"Content-Type": "application/json", **headers})


def page(status: int) -> Reply:
    """What a web server or a proxy answers."""
    return Reply(status, b"<!DOCTYPE html><html><body>hello</body></html>", {"Content-Type": "text/html"})


@dataclass
class Scripted:
    """A server whose answers a test writes; `requests` are those it was sent."""

    host: str
    answer: Callable[[Request], Reply]
    requests: list[Request] = field(default_factory=list)


@contextlib.contextmanager
def scripted(answer: Callable[[Request], Reply], *, tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    """An HTTP (or HTTPS) server on a free port of 127.0.0.1."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or a body waits 40 ms for the head's acknowledgement

        def handle_any(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, self.rfile.read(size))
            told.requests.append(request)
            reply = told.answer(request)
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                for line in value.split(LINES):
                    self.send_header(name, line)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names that http.server wants

        def log_message(self, *_: object) -> None:
            """Nothing: the test asks for `requests`."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Nothing: clients that break off are part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    told = Scripted(f"127.0.0.1:{server.server_address[1]}", answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """A port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def free_port() -> int:
    """A port on which nothing listens, of those that systems give nobody who asks for any: none takes it meanwhile."""
    while True:
        number = random.randint(10_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", number)):
            return number


@dataclass(frozen=True)
class Authority:
    """A certificate authority of our own, and a certificate for 127.0.0.1 and NAMES that it signed."""

    ca: Path
    certificate: Path
    key: Path

    def server_context(self, *, asks: bool = False) -> ssl.SSLContext:
        """For a server that shows the certificate, and `asks` for one of the same authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if asks:
            context.load_verify_locations(self.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def make_authority(folder: Path) -> Authority:
    """Write a new authority and its certificate to `folder`; valid for a day."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)

    def build(name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Name | None) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    ca = (
        build("Test authority", ca_key, None)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *map(x509.DNSName, NAMES)]
    certificate = (
        build("127.0.0.1", key, ca.subject)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    made = Authority(folder / "ca.crt", folder / "tls.crt", folder / "tls.key")
    made.ca.write_bytes(ca.public_bytes(pem))
    made.certificate.write_bytes(certificate.public_bytes(pem))
    made.key.write_bytes(key.private_bytes(pem, *plain))
    return made


def signed_token(authority: Authority, service: str, access: Mapping[str, list[str]], *, expires_in: float) -> str:
    """A token as distribution takes it: `access` says the actions by repository, the authority's server signs."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    certificate = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    x5c = [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]
    now = int(time.time())
    claims = {
        "iss": "tests",
        "sub": USER,
        "aud": service,
        "exp": now + int(expires_in),
        "nbf": now - 3600,
        "iat": now - 3600,
        "jti": str(time.monotonic_ns()),
        "access": [{"type": "repository", "name": name, "actions": actions} for name, actions in access.items()],
    }
    head = {"alg": "ES256", "typ": "JWT", "x5c": x5c}
    text = ".".join(part(json.dumps(value).encode()) for value in (head, claims))
    key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    numbers = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{part(b''.join(number.to_bytes(32, 'big') for number in numbers))}"
