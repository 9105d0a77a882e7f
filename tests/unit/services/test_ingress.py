"""ingress over real sockets, in front of a real route-manager."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.services import wait_for


def get(
    port: int,
    path: str = "/",
    *,
    host: str = "api.example.com",
    method: str = "GET",
    seconds: float = 15,
    json_body: bool = True,
) -> Any:
    """Status, body (parsed, unless it is no JSON) and headers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, headers={"Host": host})
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, json.loads(body or b"null") if json_body else body, dict(answer.headers)
    finally:
        connection.close()


def ready(port: int) -> bool:
    return bool(get(port, "/healthz")[0] == 200)


def metric(port: int, line: str) -> float | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    values = [float(found.rsplit(" ", 1)[1]) for found in text.splitlines() if found.startswith(line + " ")]
    return values[0] if values else None


@pytest.fixture
def stack(start_route_manager: Any, start_ingress: Any) -> Any:
    """`stack(NAME=value, ...)` starts both, waits until ingress is ready, and gives (ingress, port, route_manager)."""

    def launch(**environ: object) -> Any:
        route_manager, grpc_port = start_route_manager()
        ingress, port = start_ingress(grpc_port, **environ)
        wait_for(lambda: ready(port), "readiness", ingress.text)
        return ingress, port, route_manager

    return launch


def test_it_answers_with_what_route_manager_resolved(stack: Any) -> None:
    _, port, _ = stack(GATI_VERSION="7")
    status, body, headers = get(port, "/v1/users?x=1")
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert body == {
        "upstream": "http://api-v1:8080",
        "route": {"host": "api.example.com", "path": "/v1"},
        "version": "7",
        "pod": "ingress-0",
        "routeManager": {"version": "dev", "pod": "route-manager-0"},
    }


@pytest.mark.parametrize("host", ["api.example.com:8080", "API.EXAMPLE.COM"])
def test_the_port_and_case_of_the_host_do_not_matter(stack: Any, host: str) -> None:
    _, port, _ = stack()
    assert get(port, "/v1", host=host)[1]["upstream"] == "http://api-v1:8080"


def test_every_method_is_routed(stack: Any) -> None:
    _, port, _ = stack()
    for method in ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert get(port, method=method)[0] == 200


def test_an_unknown_route_is_404_and_a_missing_host_400(stack: Any, routes_file: Any) -> None:
    routes_file.write_text("routes: [{host: a, upstream: 'http://a'}]")
    _, port, _ = stack()
    status, body, _ = get(port, "/x", host="b")
    assert (status, body["error"]) == (404, "no route for b/x")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 400 ")


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\r\n\r\n"]
)
def test_what_is_no_request_is_400_and_no_stack_in_the_log(stack: Any, sent: bytes) -> None:
    ingress, port, _ = stack()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(sent)
        assert client.recv(100).split()[1] == b"400"
    assert get(port)[0] == 200
    assert "Traceback" not in ingress.text()


_HOSTS = {
    **dict.fromkeys(("api.example.com:", "API.example.com:080"), "api-v1"),
    **dict.fromkeys(("[::1]:80", "a_b", "a!$&'()*+,;=~%41"), "echo"),
    **dict.fromkeys(("a b", "a/b", "a?b", "a#b", "u@a", "a:x", "a:1:1", "[::1]x", "[zz]", '<a>"', "a%zz", "é"), ""),
}


def test_the_host_is_that_of_an_absolute_target_and_one_that_is_none_is_400(stack: Any) -> None:
    """RFC 9112, 3.2: whoever stands in front may go by the one and this by the other otherwise."""
    _, port, _ = stack()
    heads = {f"GET /v1 HTTP/1.1\r\nHost: {host}": api for host, api in _HOSTS.items()}
    heads["GET http://api.example.com/v1 HTTP/1.1\r\nHost: a"] = "api-v1"
    heads["GET https://API.example.com:8443/v1?x HTTP/1.1\r\nHost: a"] = "api-v1"
    heads["GET http://[::1]/v1 HTTP/1.1\r\nHost: api.example.com"] = "echo"
    heads["GET http://u@api.example.com/v1 HTTP/1.1\r\nHost: a"] = ""
    for head, api in heads.items():
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode())
            said = b"".join(iter(lambda client=client: client.recv(4096), b""))  # type: ignore[misc]
        assert said.split()[1] == (b"200" if api else b"400"), head
        assert f"http://{api}:8080".encode() in said or not api, head


def test_a_framing_that_http_1_0_has_not_ends_the_connection(stack: Any) -> None:
    _, port, _ = stack()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        head = b"POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(head + b"0\r\n\r\n")
        said = b"".join(iter(lambda: client.recv(4096), b""))
    assert b"\r\nConnection: close\r\n" in said


def test_no_route_for_a_path_that_grows_on_its_way_is_404(stack: Any, routes_file: Any) -> None:
    """What gRPC escapes is three times as long, and more than 8 KiB of it was no answer at all."""
    routes_file.write_text("routes: [{host: a, upstream: 'http://a'}]")
    _, port, _ = stack()
    assert get(port, "/" + "%25" * 2300, host="b")[0] == 404
    assert get(port, host="a." * 2000)[0] == 400


def test_a_body_is_not_unpacked(stack: Any) -> None:
    ingress, port, _ = stack()
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        for _ in range(2):
            client.sendall(head + b"abc")
            assert client.recv(1000).split()[1] == b"200"
    assert "Traceback" not in ingress.text()


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=abc", "text/plain;version=x;escaping=y"])
def test_a_scraper_that_asks_for_what_there_is_not_gets_text(stack: Any, accept: str) -> None:
    ingress, port, _ = stack()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/metrics", headers={"Accept": accept})
    answer = connection.getresponse()
    assert (answer.status, b"gati_ingress_build_info" in answer.read()) == (200, True)
    connection.close()
    assert "Traceback" not in ingress.text()


@pytest.fixture
def stranger() -> Iterator[int]:
    """The port of a server that is healthy, and answers everything else with bytes that are no message."""

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc brings no types
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            answer = b"\x08\x01" if "Health" in details.method else b"\xff\xff"
            return grpc.unary_unary_rpc_method_handler(lambda *_: answer)

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


def test_an_answer_that_is_none_is_502_and_one_line_in_the_log(start_ingress: Any, stranger: int) -> None:
    ingress, port = start_ingress(stranger)
    wait_for(lambda: ready(port), "readiness", ingress.text)
    begin = len(ingress.text().splitlines())
    status, body, _ = get(port)
    assert (status, body["error"]) == (502, "route-manager's answer is none")
    (line,) = ingress.text().splitlines()[begin:]
    assert "Error parsing message" in line


def test_what_is_counted(stack: Any) -> None:
    _, port, _ = stack()
    for _ in range(3):
        get(port)
    assert metric(port, 'gati_ingress_requests_total{code="200",method="GET"}') == 3
    assert metric(port, "gati_ingress_request_duration_seconds_count") == 3
    assert metric(port, "gati_ingress_requests_in_flight") == 0
    assert metric(port, "gati_ingress_route_manager_up") == 1
    assert metric(port, "gati_ingress_draining") == 0
    assert metric(port, "gati_ingress_rejected_total") == 0
    assert metric(port, 'gati_ingress_build_info{version="dev"}') == 1


def test_every_metric_that_the_chart_relies_on_is_there(stack: Any, root: Path) -> None:
    """Dashboard, alerts and the scaler's query go by these names."""
    texts = [path.read_text() for path in (root / "helm/gati").rglob("*") if path.suffix in (".yaml", ".tpl", ".json")]
    asked = {name for text in texts for name in re.findall(r"gati_ingress_\w+", text)}
    assert "gati_ingress_requests_total" in asked
    _, port, _ = stack()
    get(port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/metrics")
    exported = set(re.findall(r"^gati_ingress_\w+", connection.getresponse().read().decode(), re.MULTILINE))
    connection.close()
    assert asked <= exported


def test_route_manager_itself_is_asked_where_a_proxy_is_named(stack: Any) -> None:
    _, port, _ = stack(**dict.fromkeys(("grpc_proxy", "http_proxy", "https_proxy"), "http://proxy.invalid:3128"))
    assert get(port)[0] == 200


def test_without_route_manager_it_lives_but_is_not_ready(start_ingress: Any, free_port: Any) -> None:
    ingress, port = start_ingress(free_port, ROUTE_TIMEOUT_SECONDS=0.3)
    wait_for(lambda: f"127.0.0.1:{free_port} does not answer" in ingress.text(), "a line in the log", ingress.text)
    assert get(port, "/livez")[:2] == (200, {"status": "alive"})
    assert get(port, "/healthz")[0] == 503
    assert get(port)[0] == 504
    assert metric(port, "gati_ingress_route_manager_up") == 0


def test_a_killed_route_manager_turns_it_unready_and_a_new_one_ready(
    start_route_manager: Any, start_ingress: Any
) -> None:
    route_manager, grpc_port = start_route_manager()
    ingress, port = start_ingress(grpc_port, UNREADY_AFTER_SECONDS=1)
    wait_for(lambda: ready(port), "readiness", ingress.text)

    route_manager.process.kill()
    gone = time.monotonic()
    wait_for(lambda: not ready(port), "unreadiness", ingress.text)
    assert 0.5 < time.monotonic() - gone < 5  # neither at the first blip nor much later
    wait_for(lambda: "does not answer" in ingress.text(), "a line in the log", ingress.text)

    start_route_manager(GRPC_PORT=grpc_port)
    wait_for(lambda: ready(port), "readiness again", ingress.text)
    assert get(port)[0] == 200


def test_a_restart_of_route_manager_loses_nothing_and_readiness_does_not_flap(
    start_route_manager: Any, start_ingress: Any
) -> None:
    route_manager, grpc_port = start_route_manager()
    # As long as a process may take to start on a busy machine: what is tested is that a request waits and goes on.
    ingress, port = start_ingress(grpc_port, ROUTE_TIMEOUT_SECONDS=30, UNREADY_AFTER_SECONDS=30)
    wait_for(lambda: ready(port), "readiness", ingress.text)
    answers: list[tuple[int, bool]] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set():
            answers.append((get(port, seconds=45)[0], ready(port)))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        clients = [pool.submit(ask) for _ in range(3)]
        try:
            wait_for(lambda: len(answers) > 10, "answers before the restart")
            route_manager.process.send_signal(signal.SIGTERM)
            assert route_manager.ended() == 0
            start_route_manager(GRPC_PORT=grpc_port)
            before = len(answers)
            wait_for(lambda: len(answers) > before + 10, "answers after the restart")
        finally:
            enough.set()
        for client in clients:
            client.result()
    assert set(answers) == {(200, True)}


def test_a_route_manager_that_drains_leaves_ingress_ready(start_route_manager: Any, start_ingress: Any) -> None:
    """It fails its health check and goes on answering: as long as requests are answered, ingress is of use."""
    route_manager, grpc_port = start_route_manager(DRAIN_SECONDS=3)
    ingress, port = start_ingress(grpc_port, UNREADY_AFTER_SECONDS=0)
    wait_for(lambda: ready(port), "readiness", ingress.text)
    route_manager.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "told to stop" in route_manager.text(), "the drain", route_manager.text)
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        assert (get(port)[0], ready(port)) == (200, True)
        time.sleep(0.05)


def test_told_to_stop_it_drains_finishes_and_exits_0(stack: Any) -> None:
    ingress, port, _ = stack(FEATURE_PLAYGROUND="true", DRAIN_SECONDS=1)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(get, port, "/playground/delay?seconds=2.5")
        wait_for(lambda: metric(port, "gati_ingress_requests_in_flight") == 1, "the slow request")
        kept = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        kept.request("GET", "/")
        assert kept.getresponse().read()

        ingress.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not ready(port), "unreadiness")
        status, _, headers = get(port)  # a new connection is still taken
        assert (status, headers["Connection"]) == (200, "close")
        kept.request("GET", "/")  # an old connection is served and politely closed
        answer = kept.getresponse()
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        kept.close()
        assert get(port, "/livez")[0] == 200
        status, body, _ = slow.result()
        assert (status, body["seconds"]) == (200, 2.5)
    assert ingress.ended() == 0
    assert "told to stop" in ingress.text()
    assert ingress.text().rstrip().endswith("stopped")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_request_that_takes_too_long_does_not_hold_the_stop(stack: Any) -> None:
    ingress, port, _ = stack(FEATURE_PLAYGROUND="true", DRAIN_SECONDS=0, SHUTDOWN_SECONDS=0.5)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(get, port, "/playground/delay?seconds=10")
        wait_for(lambda: metric(port, "gati_ingress_requests_in_flight") == 1, "the slow request")
        begin = time.monotonic()
        ingress.process.send_signal(signal.SIGTERM)
        assert ingress.ended() == 0
        assert time.monotonic() - begin < 4
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            slow.result()


def test_the_queue_is_bounded(stack: Any) -> None:
    _, port, _ = stack(FEATURE_PLAYGROUND="true", MAX_IN_FLIGHT=2, MAX_QUEUE=1)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = [pool.submit(get, port, "/playground/delay?seconds=1.5") for _ in range(3)]
        wait_for(lambda: metric(port, "gati_ingress_requests_in_flight") == 3, "two at work and one waiting")
        status, body, headers = get(port)
        assert (status, headers["Retry-After"]) == (503, "1")
        assert body["error"] == "too many requests are waiting"
        assert ready(port)  # load does not fail the probes
        assert [future.result()[0] for future in slow] == [200, 200, 200]
    assert metric(port, "gati_ingress_rejected_total") == 1
    assert get(port)[0] == 200


def test_waiting_has_an_end(stack: Any) -> None:
    _, port, _ = stack(FEATURE_PLAYGROUND="true", MAX_IN_FLIGHT=1, ROUTE_TIMEOUT_SECONDS=0.3)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(get, port, "/playground/delay?seconds=1.5")
        wait_for(lambda: metric(port, "gati_ingress_requests_in_flight") == 1, "the slow request")
        assert get(port)[0] == 503
        assert slow.result()[0] == 200


def test_connections_are_kept_and_idle_ones_closed(stack: Any) -> None:
    _, port, _ = stack(KEEPALIVE_SECONDS=0.5)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    for _ in range(2):
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.read()
        assert not answer.will_close
    assert connection.sock.recv(1) == b""  # closed by ingress
    connection.close()


@pytest.mark.parametrize("more", ["", "Expect: 100-continue\r\nContent-Length: 4\r\n"])
def test_a_client_that_says_no_more_gets_its_answer(stack: Any, more: str) -> None:
    """It closed its half of the connection alone."""
    ingress, port, _ = stack()
    for sent, answer in (
        (f"GET / HTTP/1.1\r\nHost: a\r\n{more}\r\n", b"200"),
        ("GET / HTTP/1.1\r\nHo", b""),
        ("", b""),
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(sent.encode())
            client.shutdown(socket.SHUT_WR)
            said = b"".join(iter(lambda client=client: client.recv(4096), b""))  # type: ignore[misc]
        assert bool(said) == bool(answer)
        assert answer in said
        assert b"\r\nConnection: close\r\n" in said or not answer
    assert "Traceback" not in ingress.text()


@pytest.mark.parametrize(
    ("version", "more", "answer"),
    [
        ("2.0", "", b"HTTP/1.1 505 "),
        ("0.9", "", b"HTTP/1.1 505 "),
        ("1.1", "Expect: a-reply\r\n", b"HTTP/1.1 417 "),
        ("1.1", "Expect: a-reply\r\nContent-Length: 4\r\n", b"HTTP/1.1 417 "),
    ],
)
def test_what_cannot_be_met_ends_the_connection(stack: Any, version: str, more: str, answer: bytes) -> None:
    """A version that is not spoken here, and an expectation, after which nobody knows whether the body comes."""
    _, port, _ = stack(FEATURE_PLAYGROUND="true")
    for path in ("/", "/healthz", "/playground/delay?seconds=0"):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(f"GET {path} HTTP/{version}\r\nHost: a\r\n{more}\r\n".encode())
            said = client.recv(4096)
        assert said.startswith(answer)
        assert b"\r\nConnection: close\r\n" in said


def test_a_request_head_that_never_ends_is_cut_off(stack: Any) -> None:
    _, port, _ = stack(KEEPALIVE_SECONDS=0.5)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        assert client.recv(1) == b""


@pytest.mark.parametrize("before", [b"", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"], ids=["first", "later"])
@pytest.mark.parametrize("pause", [0.1, 30], ids=["trickling", "silent"])
def test_a_request_head_has_a_deadline_of_its_own(stack: Any, before: bytes, pause: float) -> None:
    _, port, _ = stack(HEAD_SECONDS=0.6)
    with socket.create_connection(("127.0.0.1", port), timeout=pause) as client:
        if before:
            client.sendall(before)
            client.settimeout(10)
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
            client.settimeout(pause)
        begin, said = time.monotonic(), b""
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        while time.monotonic() - begin < 10:
            try:
                if not (data := client.recv(1000)):
                    break
                said += data
            except TimeoutError:
                client.sendall(b"x")
            except ConnectionResetError:  # how a connection ends on which more comes than was read
                break
        assert 0.5 < time.monotonic() - begin < 5
    assert said.startswith(b"HTTP/1.1 408 ")


def test_the_deadline_of_a_head_is_none_of_bodies_and_idle_connections(stack: Any) -> None:
    _, port, _ = stack(HEAD_SECONDS=1)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        for part in (b"POST / HTTP/1.1\r\nHost: a\r\n", b"Content-Length: 4\r\n\r\nab", b"cd"):
            client.sendall(part)
            time.sleep(0.1)
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        time.sleep(2)  # idle for longer than a head may take
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_an_old_connection_is_closed_with_its_last_answer(stack: Any) -> None:
    _, port, _ = stack(CONNECTION_SECONDS=0.5)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    begin, answers = time.monotonic(), list[Any]()
    while not answers or not answers[-1].will_close:
        connection.request("GET", "/")
        answers.append(connection.getresponse())
        assert answers[-1].read()
        assert time.monotonic() - begin < 5
    assert time.monotonic() - begin > 0.4
    assert answers[-1].status == 200
    assert answers[-1].headers["Connection"] == "close"
    connection.close()


def test_management_has_a_port_of_its_own_when_asked_for(stack: Any) -> None:
    ingress, port, _ = stack(GATI_METRICS_PORT=0, FEATURE_PLAYGROUND="true")
    management = ingress.port(r"answers management by HTTP on port (\d+)")
    for path in ("/livez", "/healthz", "/playground/delay?seconds=0"):
        assert get(management, path)[0] == 200
    assert metric(management, "gati_ingress_route_manager_up") == 1
    assert get(management, "/elsewhere", json_body=False)[0] == 404
    assert ready(port)  # balancers ask for it
    for path in ("/livez", "/metrics", "/playground/delay?seconds=0"):
        assert get(port, path)[1]["upstream"] == "http://echo:8080"


def test_a_management_port_that_is_the_public_one_is_none(stack: Any, free_port: Any) -> None:
    ingress, port, _ = stack(HTTP_PORT=free_port, GATI_METRICS_PORT=free_port)
    assert port == free_port
    assert get(port, "/livez")[0] == 200
    assert "management" not in ingress.text()


def test_told_to_stop_abruptly_it_ends_as_it_stands(stack: Any) -> None:
    ingress, port, _ = stack(FEATURE_PLAYGROUND="true", STOP_MODE="abrupt")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(get, port, "/playground/delay?seconds=10")
        wait_for(lambda: metric(port, "gati_ingress_requests_in_flight") == 1, "the slow request")
        begin = time.monotonic()
        ingress.process.send_signal(signal.SIGTERM)
        assert ingress.ended() == 128 + signal.SIGTERM
        assert time.monotonic() - begin < 5  # SHUTDOWN_SECONDS is 7
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            slow.result()


@pytest.mark.parametrize("seconds", ["-1", "11", "x", "nan"])
def test_the_playground_is_bounded(stack: Any, seconds: str) -> None:
    _, port, _ = stack(FEATURE_PLAYGROUND="true")
    assert get(port, f"/playground/delay?seconds={seconds}")[0] == 400


def test_the_playground_is_off_unless_asked_for(stack: Any) -> None:
    _, port, _ = stack()
    assert get(port, "/playground/delay?seconds=5")[1]["upstream"] == "http://echo:8080"


def test_a_taken_port_is_one_line_and_exit_1(start: Any, free_port: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ingress = start("gati_ingress", HTTP_PORT=port, ROUTE_MANAGER_ADDR=f"127.0.0.1:{free_port}")
        assert ingress.ended() == 1
    assert "ingress: cannot serve:" in ingress.text()
    assert "Traceback" not in ingress.text()
