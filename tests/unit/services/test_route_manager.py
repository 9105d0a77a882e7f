"""route-manager over real sockets, asked by a client that is made from the .proto."""

from __future__ import annotations

import contextlib
import logging
import re
import signal
import socket
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.services import replace, wait_for
from tests.unit.services.conftest import ROUTES

SERVICE = "gati.routes.v1.RouteManager"


@contextlib.contextmanager
def client(port: int) -> Iterator[grpc.Channel]:
    own = (("grpc.use_local_subchannel_pool", 1),)  # a connection of its own
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=own) as channel:
        grpc.channel_ready_future(channel).result(timeout=10)
        yield channel


def resolve(channel: grpc.Channel, host: str, path: str) -> Any:
    import route_manager_pb2
    import route_manager_pb2_grpc

    request = route_manager_pb2.ResolveRequest(host=host, path=path)
    return route_manager_pb2_grpc.RouteManagerStub(channel).Resolve(request, timeout=5)


def health(channel: grpc.Channel, service: str = "") -> str:
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def test_it_resolves_and_says_who_it_is(start_route_manager: Any) -> None:
    _, port = start_route_manager(GATI_VERSION="7")
    with client(port) as channel:
        answer = resolve(channel, "api.example.com", "/v1/users")
        assert answer.upstream == "http://api-v1:8080"
        assert (answer.route.host, answer.route.path) == ("api.example.com", "/v1")
        assert (answer.server.version, answer.server.pod) == ("7", "route-manager-0")
        assert resolve(channel, "other", "/").upstream == "http://echo:8080"


@pytest.mark.parametrize(("host", "path"), [("", "/"), ("a", ""), ("a", "v1"), ("a", "*")])
def test_a_bad_request_is_invalid_argument(start_route_manager: Any, host: str, path: str) -> None:
    _, port = start_route_manager()
    with client(port) as channel, pytest.raises(grpc.RpcError) as refusal:
        resolve(channel, host, path)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_no_route_is_not_found(start_route_manager: Any, routes_file: Any) -> None:
    routes_file.write_text("routes: [{host: a, upstream: 'http://a'}]")
    _, port = start_route_manager()
    with client(port) as channel, pytest.raises(grpc.RpcError) as refusal:
        resolve(channel, "b", "/x")
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
    assert refusal.value.details() == "no route for b/x"


@pytest.mark.parametrize("path", ["/" + "a" * 60_000, "/" + "é" * 20_000, "/" + "%" * 60_000])
def test_no_route_for_a_long_path_is_not_found_either(start_route_manager: Any, routes_file: Any, path: str) -> None:
    routes_file.write_text("routes: [{host: a, upstream: 'http://a'}]")
    _, port = start_route_manager()
    with client(port) as channel, pytest.raises(grpc.RpcError) as refusal:
        resolve(channel, "b", path)
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
    assert refusal.value.details() == f"no route for b{path[:200]}..."


def test_a_host_of_many_labels_takes_no_memory(start_route_manager: Any) -> None:
    service, port = start_route_manager()
    with client(port) as channel:
        resolve(channel, ".".join("a" * 127), "/")
        with pytest.raises(grpc.RpcError) as refusal:
            resolve(channel, "a." * 31_000 + "b", "/")
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    assert int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) < 200_000


def test_calls_that_stay_open_are_bounded(start_route_manager: Any) -> None:
    service, port = start_route_manager()
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(client(port)) for _ in range(5)]
        stubs = [health_pb2_grpc.HealthStub(channel) for channel in channels]
        watches = [stubs[n % 5].Watch(health_pb2.HealthCheckRequest(service=f"s{n}")) for n in range(5000)]

        def refused(watch: Any) -> Any:
            try:
                assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            except grpc.RpcError as error:
                return error.code()
            return None

        codes = [code for code in map(refused, watches) if code is not None]
        assert 900 < len(codes) < 5000, "more are let in than may be, or none"
        asked_again = {grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED}  # whichever gRPC comes to say
        assert set(codes) <= asked_again, "by ingress"
        for watch in watches:
            watch.cancel()

        def answers() -> bool:
            with contextlib.suppress(grpc.RpcError):
                return bool(resolve(channels[0], "a", "/").upstream)
            return False

        wait_for(answers, "an answer after the calls are gone", service.text)


def test_one_connection_does_not_take_the_place_of_all(start_route_manager: Any) -> None:
    """Thousands of calls on one, each over before it said anything, had others refused for seconds."""
    _, port = start_route_manager()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
        caller.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        said = caller.recv(4096)
    settings = dict(struct.iter_unpack(">HI", said[9 : 9 + int.from_bytes(said[:3], "big")]))
    assert 256 < settings.get(3, 4096) <= 1024  # SETTINGS_MAX_CONCURRENT_STREAMS; ingress has 256 requests at once


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=abc", "text/plain;version=x;escaping=y"])
def test_a_scraper_that_asks_for_what_there_is_not_gets_text(start_route_manager: Any, accept: str) -> None:
    service, _ = start_route_manager(GATI_METRICS_PORT=0)
    port = service.port(r"metrics on port (\d+)")
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert b"gati_route_manager_routes 2.0" in answer.read()
    assert "Traceback" not in service.text()


def test_health_and_reflection_are_served(start_route_manager: Any) -> None:
    _, port = start_route_manager()
    with client(port) as channel:
        assert [health(channel, name) for name in ("", SERVICE)] == ["SERVING", "SERVING"]
        requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        (answer,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(requests, timeout=5)
        names = {service.name for service in answer.list_services_response.service}
        assert {SERVICE, "grpc.health.v1.Health"} <= names


def test_the_described_contract_is_the_proto(start_route_manager: Any) -> None:
    """What reflection tells a client is the file that the client here was made from."""
    import route_manager_pb2

    _, port = start_route_manager()
    with client(port) as channel:
        requests = iter([reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE)])
        (answer,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(requests, timeout=5)
    assert route_manager_pb2.DESCRIPTOR.serialized_pb in answer.file_descriptor_response.file_descriptor_proto


def test_a_change_is_followed_and_a_bad_one_refused(start_route_manager: Any, routes_file: Any) -> None:
    service, port = start_route_manager()
    with client(port) as channel:
        replace(routes_file, "routes: [{upstream: 'http://second:8080'}]")
        wait_for(lambda: resolve(channel, "a", "/").upstream == "http://second:8080", "the new routes")

        replace(routes_file, "routes: [{upstream: nowhere}]")
        wait_for(lambda: "configuration refused, the old 1 routes stay" in service.text(), "the refusal")
        assert "routes[0].upstream: expected an absolute URL" in service.text()
        assert resolve(channel, "a", "/").upstream == "http://second:8080"
        assert service.text().count("configuration refused") == 1  # told once, not at every look

        replace(routes_file, "[" * 3000)
        wait_for(lambda: "nested deeper" in service.text(), "the refusal of what the YAML library stumbles over")

        routes_file.unlink()
        wait_for(lambda: "No such file" in service.text(), "the refusal of an absent file")
        assert resolve(channel, "a", "/").upstream == "http://second:8080"

        replace(routes_file, ROUTES)
        wait_for(lambda: resolve(channel, "a", "/").upstream == "http://echo:8080", "the repaired routes")


def scraped(port: int, path: str = "/metrics") -> dict[str, float]:
    """The samples of the metrics port, by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_a_file_that_is_too_large_leaves_the_routes_and_is_told(start_route_manager: Any, routes_file: Any) -> None:
    service, port = start_route_manager(GATI_METRICS_PORT=0, ROUTES_MAX_BYTES=2000)
    metrics = service.port(r"metrics on port (\d+)")
    refused = "gati_route_manager_routes_refused_total"
    with client(port) as channel:
        assert (scraped(metrics)["gati_route_manager_routes"], scraped(metrics)["gati_route_manager_routes_stale"]) == (
            2,
            0,
        )
        replace(routes_file, "routes:\n" + "".join(f"- {{host: h{n}, upstream: 'http://a'}}\n" for n in range(100)))
        wait_for(lambda: scraped(metrics)[f'{refused}{{reason="size"}}'] == 1, "the metric", service.text)
        assert f"the old 2 routes stay: {routes_file}: larger than 2000 bytes (ROUTES_MAX_BYTES)" in service.text()
        assert scraped(metrics)["gati_route_manager_routes_stale"] == 1
        assert resolve(channel, "api.example.com", "/v1").upstream == "http://api-v1:8080"

        replace(routes_file, "routes: [{upstream: nowhere}]")
        wait_for(lambda: scraped(metrics)[f'{refused}{{reason="content"}}'] == 1, "the metric", service.text)
        replace(routes_file, "routes: [{upstream: 'http://second:8080'}]")
        wait_for(lambda: scraped(metrics)["gati_route_manager_routes_stale"] == 0, "the repair", service.text)
        assert scraped(metrics)["gati_route_manager_routes"] == 1
        assert resolve(channel, "a", "/").upstream == "http://second:8080"


def test_a_file_that_is_too_large_at_the_start_is_one_line_and_exit_2(start: Any, routes_file: Any) -> None:
    service = start("gati_route_manager", GRPC_PORT=0, ROUTES_FILE=routes_file, ROUTES_MAX_BYTES=20)
    assert service.ended() == 2
    (line,) = service.text().splitlines()
    assert line == f"route-manager: configuration refused: {routes_file}: larger than 20 bytes (ROUTES_MAX_BYTES)"


@pytest.mark.parametrize("path", ["/", "/metrics/x", "/%6detrics"])
def test_the_metrics_port_has_nothing_else(start_route_manager: Any, path: str) -> None:
    service, _ = start_route_manager(GATI_METRICS_PORT=0)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        scraped(service.port(r"metrics on port (\d+)"), path)


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HT", b"x" * 200_000, b"\xff\r\n\r\n", b"\r\n\r\n"])
def test_a_scraper_has_a_deadline(start_route_manager: Any, sent: bytes) -> None:
    service, _ = start_route_manager(GATI_METRICS_PORT=0, HEAD_SECONDS=0.5)
    port = service.port(r"metrics on port (\d+)")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as scraper, contextlib.suppress(ConnectionError):
        scraper.sendall(sent)
        while scraper.recv(1000):
            pass
    assert scraped(port)["gati_route_manager_routes"] == 2
    assert "Traceback" not in service.text()


@pytest.mark.parametrize("sent", [b"", b"PRI * HTTP", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_a_handshake_has_a_deadline(start_route_manager: Any, sent: bytes) -> None:
    _, port = start_route_manager(HEAD_SECONDS=0.5)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as half:
        half.sendall(sent)
        while half.recv(1000):
            pass


@pytest.mark.parametrize("message", [b"\xff\xff\xff", b"\x0a\xff", b"\x0a\x02\xff\xfe"])
def test_a_message_that_is_none_is_one_line_in_the_log(start_route_manager: Any, message: bytes) -> None:
    service, port = start_route_manager(GATI_METRICS_PORT=0)
    methods = (f"/{SERVICE}/Resolve", "/grpc.health.v1.Health/Check")
    reflect = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    with client(port) as channel:
        begin = len(service.text().splitlines())
        calls: list[Callable[[], Any]] = [
            *(lambda method=method: channel.unary_unary(method)(message, timeout=5) for method in methods),
            lambda: list(channel.unary_stream("/grpc.health.v1.Health/Watch")(message, timeout=5)),
            lambda: list(channel.stream_stream(reflect)(iter([message]), timeout=5)),
        ]
        for call in calls:
            with pytest.raises(grpc.RpcError):
                call()
        assert resolve(channel, "a", "/").upstream == "http://echo:8080"
    lines = service.text().splitlines()[begin:]
    assert len(lines) == len(calls), service.text()
    for line, method in zip(lines, (*methods, "/grpc.health.v1.Health/Watch", reflect), strict=True):
        assert "WARNING" in line
        assert f"[{method}]: Error parsing message" in line
    metrics = scraped(service.port(r"metrics on port (\d+)"))
    assert metrics["gati_route_manager_undecodable_total"] == len(calls)


def test_a_caller_that_is_gone_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """In the middle of its answer; a process meets it only now and then."""
    from gati_common.logs import tell_undecodable_in_a_line

    seen = list[bool]()
    tell_undecodable_in_a_line(lambda: seen.append(True))
    log = logging.getLogger("grpc._cython.cygrpc")
    try:
        raise grpc.aio.InternalError("execute_batch")
    except grpc.aio.InternalError:
        log.exception("raised in core")
    finally:
        log.removeFilter(log.filters[-1])
    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert record.getMessage() == "raised in core: execute_batch"
    assert not seen


def test_told_to_stop_abruptly_it_ends_as_it_stands(start_route_manager: Any) -> None:
    service, port = start_route_manager(STOP_MODE="abrupt", DRAIN_SECONDS=5)
    with client(port):
        service.process.send_signal(signal.SIGTERM)
        assert service.ended() == 128 + signal.SIGTERM


def test_what_starts_slowly_opens_no_port_before(start_route_manager: Any) -> None:
    begin = time.monotonic()
    start_route_manager(START_SECONDS=1.5)
    assert time.monotonic() - begin > 1.5


def test_a_folder_swapped_by_a_link_is_followed(start_route_manager: Any, tmp_path: Path) -> None:
    """A ConfigMap's volume changes by one rename of a link to a folder."""
    for name, upstream in (("one", "http://one:1"), ("two", "http://two:2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "routes.yaml").write_text(f"routes: [{{upstream: '{upstream}'}}]")
    (tmp_path / "data").symlink_to("one")
    _, port = start_route_manager(ROUTES_FILE=tmp_path / "data/routes.yaml")
    with client(port) as channel:
        assert resolve(channel, "a", "/").upstream == "http://one:1"
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(tmp_path / "data")
        wait_for(lambda: resolve(channel, "a", "/").upstream == "http://two:2", "the other folder's routes")


def test_told_to_stop_it_says_so_still_answers_and_exits_0(start_route_manager: Any) -> None:
    service, port = start_route_manager(DRAIN_SECONDS=1)
    with client(port) as channel:
        service.process.send_signal(signal.SIGTERM)
        wait_for(lambda: health(channel) == "NOT_SERVING", "health to fail")
        assert resolve(channel, "a", "/").upstream == "http://echo:8080"
    assert service.ended() == 0
    assert "told to stop" in service.text()
    assert service.text().rstrip().endswith("stopped")


def test_a_taken_port_is_one_line_and_exit_1(start: Any, routes_file: Any) -> None:
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::", 0))
        taken.listen()
        service = start("gati_route_manager", GRPC_PORT=taken.getsockname()[1], ROUTES_FILE=routes_file)
        assert service.ended() == 1
    assert "route-manager: cannot serve:" in service.text()
    assert "Traceback" not in service.text()
