"""Certificates: HTTPS beside the plain port, a new certificate without a restart, TLS to route-manager."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.services import wait_for
from tests.unit.services.test_ingress import get, ready


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
def https(start_route_manager, start_ingress, tmp_path):
    """An ingress with HTTPS: its log, its ports, and the mounted certificate and key."""
    cert, key = certificate(tmp_path, "first")
    _, grpc_port = start_route_manager()
    ingress, plain = start_ingress(grpc_port, HTTPS_PORT=0, TLS_CERT_FILE=cert, TLS_KEY_FILE=key)
    secure = ingress.port(r"answers HTTPS on port (\d+)")
    wait_for(lambda: ready(plain), "readiness", ingress.text)
    return ingress, plain, secure, cert, key


def test_both_ports_answer_and_the_certificate_verifies(https) -> None:
    _, plain, secure, cert, _ = https
    assert get(plain)[0] == 200  # probes and metrics stay on the plain port
    context = ssl.create_default_context(cafile=str(cert))
    raw = socket.create_connection(("127.0.0.1", secure), timeout=5)
    with raw, context.wrap_socket(raw, server_hostname="localhost") as client:
        assert client.version() in ("TLSv1.2", "TLSv1.3")
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_new_certificate_is_taken_and_a_bad_one_refused(https, tmp_path) -> None:
    ingress, _, secure, cert, key = https
    assert served(secure) == der(cert)
    second, second_key = certificate(tmp_path, "second")

    cert.write_text("not a certificate")
    wait_for(lambda: "certificate refused, the old one stays" in ingress.text(), "the refusal", ingress.text)
    assert served(secure) != der(second)

    cert.write_bytes(second.read_bytes())
    key.write_bytes(second_key.read_bytes())
    wait_for(lambda: served(secure) == der(second), "the second certificate", ingress.text)


def test_a_bad_certificate_at_the_start_is_refused(start, tmp_path, free_port) -> None:
    cert, _ = certificate(tmp_path, "one")
    _, other_key = certificate(tmp_path, "two")
    address = f"127.0.0.1:{free_port}"
    ingress = start("gati_ingress", HTTP_PORT=0, ROUTE_MANAGER_ADDR=address, TLS_CERT_FILE=cert, TLS_KEY_FILE=other_key)
    assert ingress.ended() == 2
    assert "ingress: configuration refused: TLS_CERT_FILE, TLS_KEY_FILE: " in ingress.text()
    assert "Traceback" not in ingress.text()


@contextmanager
def tls_front(target: int, cert: Path, key: Path) -> Iterator[int]:
    """A port that speaks TLS (HTTP/2) and passes all bytes to `target`, as a sidecar does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["h2"])
    threads: list[threading.Thread] = []
    sockets: list[socket.socket] = []

    def run(work: Callable[..., None], *arguments: object) -> None:
        threads.append(threading.Thread(target=work, args=arguments))
        threads[-1].start()

    def copy(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:  # the end
                return
            try:
                client = context.wrap_socket(raw, server_side=True)
            except OSError:  # a client that does not trust us
                raw.close()
                continue
            upstream = socket.create_connection(("127.0.0.1", target))
            sockets.extend((client, upstream))
            run(copy, client, upstream)
            run(copy, upstream, client)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        run(accept, listener)
        try:
            yield listener.getsockname()[1]
        finally:
            # What waits for them wakes by the shutdown; nothing may be left for the garbage collector to complain of.
            listener.shutdown(socket.SHUT_RDWR)
            threads[0].join()
            for each in sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            for each in sockets:
                each.close()


@pytest.mark.parametrize("trusted", [True, False])
def test_route_manager_behind_tls_is_verified_with_the_bundle(
    start_route_manager, start, tmp_path, trusted: bool
) -> None:
    cert, key = certificate(tmp_path, "route-manager")
    other, _ = certificate(tmp_path, "other")
    _, grpc_port = start_route_manager()
    with tls_front(grpc_port, cert, key) as port:
        bundle = cert if trusted else other
        address = {"ROUTE_MANAGER_ADDR": f"localhost:{port}", "ROUTE_MANAGER_TLS": "true", "CA_BUNDLE_FILE": bundle}
        ingress = start("gati_ingress", HTTP_PORT=0, ROUTE_TIMEOUT_SECONDS=2, **address)
        http_port = ingress.port(r"answers HTTP on port (\d+)")
        if trusted:
            wait_for(lambda: ready(http_port), "readiness", ingress.text)
            assert get(http_port)[0] == 200
        else:
            assert get(http_port)[0] == 504
            assert not ready(http_port)


@pytest.mark.parametrize(
    ("ca", "status"),
    [("own", 0), ("absent", 0), ("other", 1), (None, 1)],
    ids=["verified", "no file: not verified", "another authority", "the usual authorities"],
)
def test_the_healthcheck_verifies_https(https, root, tmp_path, ca: str | None, status: int) -> None:
    _, _, secure, cert, _ = https
    other, _ = certificate(tmp_path, "other")
    files = {"own": cert, "other": other, "absent": tmp_path / "none.crt"}
    environ = {} if ca is None else {"HEALTHCHECK_CA_FILE": str(files[ca])}
    script = root / "compose/common/gati_common/healthcheck.py"
    argv = (sys.executable, script, f"https://localhost:{secure}/healthz")
    answer = subprocess.run(argv, env={"PATH": "/usr/bin:/bin", **environ}, capture_output=True, text=True)
    assert (answer.returncode, len(answer.stdout.splitlines())) == (status, 1), answer
