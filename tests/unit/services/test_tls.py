"""Certificates: HTTPS beside the plain port, a new certificate without a restart, TLS to route-manager."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.services import replace, wait_for
from tests.unit.services.test_ingress import get, ready
from tests.unit.services.test_route_manager import client, health, resolve


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate and its key for localhost, whose common name is `name`."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    kind = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1")
    subject = ("-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost")
    argv = ("openssl", "req", *kind, *subject, "-out", cert, "-keyout", key)
    subprocess.run(argv, check=True, capture_output=True)
    return cert, key


def served(port: int) -> bytes:
    """The certificate that `port` shows."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=5))


def der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


@pytest.fixture
def https(start_route_manager: Any, start_ingress: Any, tmp_path: Path) -> Any:
    """An ingress with HTTPS: its log, its ports, and the mounted certificate and key."""
    cert, key = certificate(tmp_path, "first")
    _, grpc_port = start_route_manager()
    ingress, plain = start_ingress(grpc_port, HTTPS_PORT=0, TLS_CERT_FILE=cert, TLS_KEY_FILE=key)
    secure = ingress.port(r"answers HTTPS on port (\d+)")
    wait_for(lambda: ready(plain), "readiness", ingress.text)
    return ingress, plain, secure, cert, key


def test_both_ports_answer_and_the_certificate_verifies(https: Any) -> None:
    _, plain, secure, cert, _ = https
    assert get(plain)[0] == 200  # probes and metrics stay on the plain port
    context = ssl.create_default_context(cafile=str(cert))
    raw = socket.create_connection(("127.0.0.1", secure), timeout=5)
    with raw, context.wrap_socket(raw, server_hostname="localhost") as client:
        assert client.version() in ("TLSv1.2", "TLSv1.3")
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_new_certificate_is_taken_and_a_bad_one_refused(https: Any, tmp_path: Path) -> None:
    ingress, _, secure, cert, key = https
    assert served(secure) == der(cert)
    second, second_key = certificate(tmp_path, "second")

    replace(cert, "not a certificate")
    wait_for(lambda: "certificate refused, the old one stays" in ingress.text(), "the refusal", ingress.text)
    assert served(secure) != der(second)

    replace(cert, second.read_bytes())
    replace(key, second_key.read_bytes())
    wait_for(lambda: served(secure) == der(second), "the second certificate", ingress.text)


def test_a_bad_certificate_at_the_start_is_refused(start: Any, tmp_path: Path, free_port: Any) -> None:
    cert, _ = certificate(tmp_path, "one")
    _, other_key = certificate(tmp_path, "two")
    address = f"127.0.0.1:{free_port}"
    ingress = start("gati_ingress", HTTP_PORT=0, ROUTE_MANAGER_ADDR=address, TLS_CERT_FILE=cert, TLS_KEY_FILE=other_key)
    assert ingress.ended() == 2
    assert "ingress: configuration refused: TLS_CERT_FILE, TLS_KEY_FILE: " in ingress.text()
    assert "Traceback" not in ingress.text()


@pytest.fixture
def secured(start_route_manager: Any, tmp_path: Path) -> Any:
    """`secured(NAME=value, ...)`: a route-manager with TLS, its two ports, its certificate and key."""

    def launch(**environ: object) -> Any:
        cert, key = certificate(tmp_path, "route-manager")
        service, plain = start_route_manager(GRPCS_PORT=0, TLS_CERT_FILE=cert, TLS_KEY_FILE=key, **environ)
        return service, plain, service.port(r"by TLS on port (\d+)"), cert, key

    return launch


@pytest.fixture
def trusting(start_ingress: Any) -> Any:
    """`trusting(port, NAME=value, ...)`: an ingress that speaks TLS to route-manager on `port`, and its own port."""

    def launch(port: int, **environ: object) -> Any:
        address = {"ROUTE_MANAGER_ADDR": f"localhost:{port}", "ROUTE_MANAGER_TLS": "true"}
        return start_ingress(port, **{**address, "ROUTE_TIMEOUT_SECONDS": 1, **environ})

    return launch


@pytest.mark.parametrize(
    ("system", "variable", "own", "trusted"),
    [
        ("other", "GATI_CA_BUNDLE", "cert", True),
        ("other", "CA_BUNDLE_FILE", "cert", True),
        ("cert", "GATI_CA_BUNDLE", "other", True),  # the bundle adds to what the system trusts
        ("other", "GATI_CA_BUNDLE", "other", False),
        ("cert", None, None, True),
        ("other", None, None, False),
        ("other", "ROUTE_MANAGER_CA_FILE", "cert", True),
        ("cert", "ROUTE_MANAGER_CA_FILE", "other", False),  # nobody else vouches for route-manager
    ],
)
def test_whom_ingress_trusts(
    secured: Any, trusting: Any, tmp_path: Path, system: str, variable: Any, own: Any, trusted: bool
) -> None:
    _, _, port, cert, _ = secured()
    files = {"cert": cert, "other": certificate(tmp_path, "other")[0]}
    environ = {"SSL_CERT_FILE": files[system], **({variable: files[own]} if variable else {})}
    ingress, http_port = trusting(port, **environ)
    if trusted:
        wait_for(lambda: ready(http_port), "readiness", ingress.text)
        assert get(http_port)[0] == 200
    else:
        assert get(http_port)[0] == 504
        assert not ready(http_port)


@pytest.mark.parametrize("folders", ["{system}", "{system}:{elsewhere}", "{elsewhere}:{system}"])
def test_the_systems_authorities_are_found_in_its_folders(
    secured: Any, trusting: Any, tmp_path: Path, folders: str
) -> None:
    """OpenSSL takes several of them."""
    _, _, port, cert, _ = secured()
    named = {"system": tmp_path / "system", "elsewhere": tmp_path / "elsewhere"}
    for folder in named.values():
        folder.mkdir()
    (named["system"] / "ca-certificates.crt").write_bytes(cert.read_bytes())
    bundle, _ = certificate(tmp_path, "other")
    environ = {"SSL_CERT_FILE": tmp_path / "none", "SSL_CERT_DIR": folders.format(**named), "GATI_CA_BUNDLE": bundle}
    ingress, http_port = trusting(port, **environ)
    wait_for(lambda: ready(http_port), "readiness", ingress.text)


def test_new_authorities_are_trusted_and_bad_ones_refused(secured: Any, trusting: Any, tmp_path: Path) -> None:
    manager, _, port, cert, key = secured()
    bundle = tmp_path / "bundle.crt"
    replace(bundle, certificate(tmp_path, "other")[0].read_bytes())
    ingress, http_port = trusting(port, GATI_CA_BUNDLE=bundle)
    assert get(http_port)[0] == 504

    replace(bundle, "# Főtanúsítvány\n" + cert.read_text())
    wait_for(lambda: ready(http_port), "trust in the new authorities", ingress.text)
    replace(bundle, "nothing of use")
    wait_for(lambda: "authorities refused, the old ones stay" in ingress.text(), "the refusal", ingress.text)
    assert get(http_port)[0] == 200

    second, second_key = certificate(tmp_path, "second")
    replace(bundle, cert.read_bytes() + second.read_bytes())  # first trust, then show: nothing is lost
    wait_for(lambda: ingress.text().count("new connections trust it") == 2, "both authorities", ingress.text)
    replace(key, second_key.read_bytes())
    replace(cert, second.read_bytes())
    wait_for(lambda: "new connections get it" in manager.text(), "the second certificate", manager.text)
    wait_for(lambda: served(port) == der(second), "the second certificate on the port", manager.text)
    replace(bundle, second.read_bytes())
    wait_for(lambda: ingress.text().count("new connections trust it") == 3, "the second alone", ingress.text)
    assert [get(http_port)[0] for _ in range(20)] == [200] * 20


def test_a_change_of_authorities_loses_no_request(secured: Any, trusting: Any, tmp_path: Path) -> None:
    _, _, port, cert, _ = secured()
    other, _ = certificate(tmp_path, "other")
    bundle = tmp_path / "bundle.crt"
    bundle.write_bytes(cert.read_bytes())
    ingress, http_port = trusting(port, GATI_CA_BUNDLE=bundle, ROUTE_TIMEOUT_SECONDS=3)
    wait_for(lambda: ready(http_port), "readiness", ingress.text)
    changed, enough = threading.Event(), threading.Event()

    def ask(client: int) -> set[tuple[int, bool]]:
        seen = set()
        # Paths of their own, so that a call is always under way at the change; later none is on the old connection.
        while not enough.wait(0.1 if changed.is_set() else 0.005):
            seen.add((get(http_port, f"/{client}")[0], ready(http_port)))
        return seen

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(ask, client) for client in range(8)]
        try:
            replace(bundle, bundle.read_bytes() + other.read_bytes())
            wait_for(lambda: "new connections trust it" in ingress.text(), "the change", ingress.text)
            changed.set()
            time.sleep(4.5)  # for longer than the old connection is kept
        finally:
            enough.set()
        assert set().union(*(each.result() for each in clients)) == {(200, True)}
    assert ingress.text().count("new connections trust it") == 1


def test_the_plain_port_beside_tls_serves_until_it_is_left_to_the_probes(secured: Any, tmp_path: Path) -> None:
    _, plain, _, _, _ = secured()
    with client(plain) as channel:
        assert resolve(channel, "a", "/").upstream == "http://echo:8080"
    _, plain, port, cert, _ = secured(GRPC_MODE="health")
    with client(plain) as channel:
        assert health(channel) == "SERVING"
        with pytest.raises(grpc.RpcError) as refusal:
            resolve(channel, "a", "/")
        assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
    credentials = grpc.ssl_channel_credentials(cert.read_bytes())
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        assert resolve(channel, "a", "/").upstream == "http://echo:8080"


def test_an_ingress_without_tls_goes_on_while_route_manager_gets_it(
    start_route_manager: Any, start_ingress: Any, tmp_path: Path
) -> None:
    cert, key = certificate(tmp_path, "route-manager")
    old, grpc_port = start_route_manager()
    ingress, port = start_ingress(grpc_port)
    wait_for(lambda: ready(port), "readiness", ingress.text)
    old.process.send_signal(signal.SIGTERM)
    assert old.ended() == 0
    start_route_manager(GRPC_PORT=grpc_port, GRPCS_PORT=0, TLS_CERT_FILE=cert, TLS_KEY_FILE=key)
    wait_for(lambda: get(port)[0] == 200, "an answer", ingress.text)


@pytest.mark.parametrize("module", ["gati_ingress", "gati_route_manager"])
@pytest.mark.parametrize(
    "text", ["", "nothing of use", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_bad_bundle_at_the_start_is_refused(
    start: Any, routes_file: Any, tmp_path: Path, module: str, text: str
) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.write_text(text)
    service = start(module, GATI_CA_BUNDLE=bundle, ROUTE_MANAGER_ADDR="localhost:1", ROUTES_FILE=routes_file)
    assert service.ended() == 2
    (line,) = service.text().splitlines()
    assert "configuration refused: GATI_CA_BUNDLE" in line
    assert str(bundle) in line


def raw(port: int, request: str, cafile: Path | None = None) -> str:
    """What a port answers to the bytes of `request`, by TLS where `cafile` is given."""
    with socket.create_connection(("localhost", port), timeout=5) as plain:
        context = ssl.create_default_context(cafile=cafile) if cafile else None
        with context.wrap_socket(plain, server_hostname="localhost") if context else plain as client:
            client.sendall(request.replace("\n", "\r\n").encode())
            answer = b""
            while data := client.recv(65536):
                answer += data
            return answer.decode()


def test_management_speaks_https_where_there_is_a_certificate(
    start_route_manager: Any, start_ingress: Any, tmp_path: Path
) -> None:
    cert, key = certificate(tmp_path, "both")
    files = {"TLS_CERT_FILE": cert, "TLS_KEY_FILE": key, "GATI_METRICS_PORT": 0}
    manager, grpc_port = start_route_manager(GRPCS_PORT=0, **files)
    ingress, _ = start_ingress(grpc_port, HTTPS_PORT=0, **files)
    scrape = "GET /metrics HTTP/1.1\nHost: localhost\nConnection: close\n\n"
    assert "gati_ingress_draining 0.0" in raw(ingress.port(r"management by HTTPS on port (\d+)"), scrape, cert)
    assert "gati_route_manager_routes 2.0" in raw(manager.port(r"metrics on port (\d+)"), scrape, cert)


@pytest.mark.parametrize(
    ("asked", "environ", "status", "location"),
    [
        ("/a%20b/?x=1&y=%2F", {}, "308", "https://a.example.com/a%20b/?x=1&y=%2F"),
        ("/", {"PUBLIC_HTTPS_PORT": 8443}, "308", "https://a.example.com:8443/"),
        ("/healthz", {}, "200", None),
        ("/livez", {}, "200", None),
        ("/metrics", {}, "200", None),
        ("/playground/delay", {}, "308", "https://a.example.com/playground/delay"),
        ("/livez", {"GATI_METRICS_PORT": 0}, "308", "https://a.example.com/livez"),
    ],
)
def test_the_plain_port_may_lead_to_https(
    start: Any, tmp_path: Path, free_port: Any, asked: Any, environ: Any, status: Any, location: Any
) -> None:
    """Nothing answers as route-manager: a redirect needs none."""
    cert, key = certificate(tmp_path, "one")
    files = {"TLS_CERT_FILE": cert, "TLS_KEY_FILE": key, "HTTP_MODE": "redirect", "FEATURE_PLAYGROUND": "true"}
    ports = {"HTTP_PORT": 0, "HTTPS_PORT": 0, "ROUTE_MANAGER_ADDR": f"127.0.0.1:{free_port}"}
    ingress = start("gati_ingress", UNREADY_AFTER_SECONDS=0, **files, **ports, **environ)
    port = ingress.port(r"answers HTTP on port (\d+)")
    if asked == "/healthz":
        status = "503"
    answer = raw(port, f"GET {asked} HTTP/1.1\nHost: a.example.com:80\nConnection: close\n\n")
    assert answer.split()[1] == status
    assert (f"Location: {location}\r\n" in answer) if location else ("Location" not in answer)


@pytest.mark.parametrize("host", ["", "a/b", "a@b", 'a"b', "a b", "[::1"])
def test_a_redirect_leads_nowhere_else(start: Any, tmp_path: Path, free_port: Any, host: str) -> None:
    cert, key = certificate(tmp_path, "one")
    files = {"TLS_CERT_FILE": cert, "TLS_KEY_FILE": key, "HTTP_MODE": "redirect"}
    ports = {"HTTP_PORT": 0, "HTTPS_PORT": 0, "ROUTE_MANAGER_ADDR": f"127.0.0.1:{free_port}"}
    ingress = start("gati_ingress", **files, **ports)
    answer = raw(ingress.port(r"answers HTTP on port (\d+)"), f"GET / HTTP/1.1\nHost: {host}\nConnection: close\n\n")
    assert answer.split()[1] == "400"


def test_the_plain_port_may_be_off(start: Any, tmp_path: Path, free_port: Any) -> None:
    cert, key = certificate(tmp_path, "one")
    files = {"TLS_CERT_FILE": cert, "TLS_KEY_FILE": key, "HTTP_MODE": "off", "ROUTE_MANAGER_ADDR": "127.0.0.1:1"}
    ingress = start("gati_ingress", HTTP_PORT=free_port, HTTPS_PORT=0, **files)
    secure = ingress.port(r"answers HTTPS on port (\d+)")
    answer = raw(secure, "GET /livez HTTP/1.1\nHost: localhost\nConnection: close\n\n", cert)
    assert answer.split()[1] == "200"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", free_port), timeout=1)


def test_a_handshake_has_a_deadline(https: Any, start_ingress: Any, free_port: Any) -> None:
    _, _, _, cert, key = https
    files = {"TLS_CERT_FILE": cert, "TLS_KEY_FILE": key, "HTTPS_PORT": 0}
    ingress, _ = start_ingress(free_port, HEAD_SECONDS=0.5, **files)
    with socket.create_connection(("127.0.0.1", ingress.port(r"HTTPS on port (\d+)")), timeout=5) as client:
        assert client.recv(1) == b""
    assert "Traceback" not in ingress.text()


@pytest.mark.parametrize(("ca", "status"), [("own", 0), ("other", 1), ("absent", 1)])
def test_the_healthcheck_verifies_grpc(
    secured: Any, root: Path, import_path: Any, tmp_path: Path, ca: str, status: int
) -> None:
    _, _, port, cert, _ = secured()
    files = {"own": cert, "other": certificate(tmp_path, "other")[0], "absent": tmp_path / "none.crt"}
    environ = {"PYTHONPATH": os.pathsep.join(import_path), "HEALTHCHECK_CA_FILE": str(files[ca])}
    argv = (sys.executable, root / "compose/common/gati_common/healthcheck.py", f"grpcs://localhost:{port}")
    answer = subprocess.run(argv, env={"PATH": "/usr/bin:/bin", **environ}, capture_output=True, text=True)
    assert (answer.returncode, len(answer.stdout.splitlines())) == (status, 1), answer


@pytest.mark.parametrize(
    ("ca", "status"),
    [("own", 0), ("absent", 0), ("other", 1), (None, 1)],
    ids=["verified", "no file: not verified", "another authority", "the usual authorities"],
)
def test_the_healthcheck_verifies_https(https: Any, root: Path, tmp_path: Path, ca: str | None, status: int) -> None:
    _, _, secure, cert, _ = https
    other, _ = certificate(tmp_path, "other")
    files = {"own": cert, "other": other, "absent": tmp_path / "none.crt"}
    environ = {} if ca is None else {"HEALTHCHECK_CA_FILE": str(files[ca])}
    script = root / "compose/common/gati_common/healthcheck.py"
    argv = (sys.executable, script, f"https://localhost:{secure}/healthz")
    answer = subprocess.run(argv, env={"PATH": "/usr/bin:/bin", **environ}, capture_output=True, text=True)
    assert (answer.returncode, len(answer.stdout.splitlines())) == (status, 1), answer
