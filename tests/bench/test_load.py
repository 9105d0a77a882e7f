"""What the reference ingress can take on one core, beside a bare "hello" of the framework that it is made with.

Like hello's, its load asks for one address. Its lookups share calls to route-manager, which those of many
different addresses would not: each of them costs a call of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.core.command import Runner
from scripts.toolchain.finder import Toolchain
from tests.bench import vegeta
from tests.bench.measure import Figures, median
from tests.contract import generate
from tests.services import Start, import_path, starting, wait_for

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]
ROUNDS = 5
SECONDS = 4.0  # of each load
SHARE = 0.25  # of hello's requests a second, at least
P99 = 0.050  # seconds, at half of the ingress's own requests a second


@pytest.fixture(scope="module")
def cores() -> tuple[int, int]:
    """The core of the server under test, and the core of all else: the load and route-manager."""
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        pytest.skip("a load on the only core would measure itself")
    return first, others[-1]


@pytest.fixture(scope="module")
def fire(
    cores: tuple[int, int], toolchain: Toolchain, runner: Runner, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., vegeta.Figures]:
    """`fire(url, rate=None)`: what a load of SECONDS was answered with."""
    loader, folder = vegeta.Loader(toolchain.path("vegeta"), runner, cores[1]), tmp_path_factory.mktemp("load")
    return lambda url, **options: loader.fire(url, folder, seconds=SECONDS, **options)


@pytest.fixture(scope="module")
def urls(cores: tuple[int, int], root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A bare hello and the ingress, each alone on the first core when it is loaded; route-manager on the other."""
    folder = tmp_path_factory.mktemp("services")
    path = (*import_path(root, generate(root, folder)), str(root))
    (folder / "routes.yaml").write_text("routes: [{upstream: 'http://echo:8080'}]")

    def on(core: int) -> Start:
        return stack.enter_context(starting(path, folder, prefix=("taskset", "--cpu-list", str(core))))

    with ExitStack() as stack:
        measured, other = map(on, cores)
        hello = measured("tests.bench.hello").port(r"hello on port (\d+)")
        manager = other("gati_route_manager", GRPC_PORT=0, ROUTES_FILE=folder / "routes.yaml")
        grpc_port = manager.port(r"routes on port (\d+)")
        ingress = measured("gati_ingress", HTTP_PORT=0, ROUTE_MANAGER_ADDR=f"127.0.0.1:{grpc_port}")
        port = ingress.port(r"answers HTTP on port (\d+)")
        wait_for(lambda: "answers" in ingress.text().partition("answers HTTP")[2], "route-manager", ingress.text)
        yield f"http://127.0.0.1:{hello}/", f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="module")
def most(urls: tuple[str, str], fire: Callable[..., vegeta.Figures]) -> list[tuple[vegeta.Figures, vegeta.Figures]]:
    """As fast as both answer, in turn, so that they see the same machine: (hello, ingress) of each round."""
    for url in urls:
        fire(url)  # warm
    return [(fire(urls[0]), fire(urls[1])) for _ in range(ROUNDS)]


def test_the_ingress_takes_a_quarter_of_what_a_bare_hello_takes(
    most: list[tuple[vegeta.Figures, vegeta.Figures]], figures: Figures
) -> None:
    share = median([ingress.rate / hello.rate for hello, ingress in most])
    figure = figures.record(
        "ingress: requests/s of a bare hello against its own",
        1 / share,
        limit=1 / SHARE,
        unit="x",
        share_of_hello=share,
        ingress_rate=median([ingress.rate for _, ingress in most]),
        hello_rate=median([hello.rate for hello, _ in most]),
        rounds=ROUNDS,
    )
    assert [ingress.bad for _, ingress in most] == [0] * ROUNDS
    assert figure.kept, figures.table()


def test_at_half_of_its_rate_the_slowest_answers_are_quick(
    most: list[tuple[vegeta.Figures, vegeta.Figures]],
    urls: tuple[str, str],
    fire: Callable[..., vegeta.Figures],
    figures: Figures,
) -> None:
    rate = int(median([ingress.rate for _, ingress in most]) / 2)
    rounds = [fire(urls[1], rate=rate) for _ in range(ROUNDS)]
    figure = figures.record(
        "ingress: p99 at half of its requests/s",
        median([one.p99 for one in rounds]) * 1e3,
        limit=P99 * 1e3,
        unit=" ms",
        rate=rate,
        p50_ms=median([one.p50 for one in rounds]) * 1e3,
        worst_p99_ms=max(one.p99 for one in rounds) * 1e3,
        rounds=ROUNDS,
    )
    assert [one.bad for one in rounds] == [0] * ROUNDS
    assert figure.kept, figures.table()
