"""Real registries, the real helm, and a small chart to publish. Nothing here looks at the user's logins."""

from __future__ import annotations

import contextlib
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests

from scripts.chart.archive import Package
from scripts.chart.helm import Helm
from scripts.chart.source import Chart, read_chart
from scripts.core.command import Runner
from scripts.core.config import Config, load_config
from scripts.registry.credentials import Credentials
from scripts.registry.reference import Registry
from scripts.release.package import package
from scripts.toolchain.finder import Toolchain
from tests.forked import HASTE
from tests.registry.servers import HTPASSWD, PASSWORD, USER, Authority, free_port, make_authority
from tests.remembered import shared


@dataclass(frozen=True)
class Served:
    """A running registry. `lines` are those of its log."""

    registry: Registry
    log: Path

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def writes(self) -> list[str]:
        """The requests that changed something."""
        return [line for line in self.lines() if any(f"{method} /v2" in line for method in ("PUT", "POST", "PATCH"))]


@pytest.fixture(autouse=True)
def no_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No login but those that a test makes."""
    for name in ("GATI_REGISTRY_USERNAME", "GATI_REGISTRY_PASSWORD", "GATI_REGISTRY", "HELM_REGISTRY_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("HELM_CONFIG_HOME", str(tmp_path / "helm-config"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No real pause before another try, and before what was pushed is looked at again: nobody else is at work."""
    hasten(monkeypatch)


def hasten(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `quick`."""
    for name, seconds in HASTE.items():
        monkeypatch.setattr(name, seconds)


@pytest.fixture
def helm(toolchain: Toolchain, config: Config) -> Helm:
    """The pinned helm, which packs the same files once."""
    return Helm(toolchain.path("helm"), shared(config.cache_dir))


@pytest.fixture
def project(tmp_path: Path) -> Config:
    """A project of its own: a chart `demo`, an empty dist/."""
    write_chart(tmp_path / "chart")
    return replace(
        load_config(tmp_path, environ={}, chart=tmp_path / "chart"), embedded_registry=tmp_path / "embedded registry"
    )


@pytest.fixture
def chart(project: Config) -> Chart:
    """The chart of `project`."""
    return read_chart(project.chart)


@pytest.fixture
def packed(project: Config, chart: Chart, helm: Helm) -> Package:
    """The packaged chart of `project`."""
    return package(project, chart, helm)


def write_chart(folder: Path, *, version: str = "1.2.3", replicas: int = 1, more: str = "") -> None:
    """A chart called `demo` with one ConfigMap and two values files."""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "Chart.yaml").write_text(
        f"apiVersion: v2\nname: demo\nversion: {version}\nappVersion: '1.10'\n"
        "description: For <tests> & nothing else\n" + textwrap.dedent(more)
    )
    (folder / "values.yaml").write_text(f"replicas: {replicas}\n")
    (folder / "values-prod.yaml").write_text("replicas: 3\n")
    (folder / "templates" / "map.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: demo}\ndata: {replicas: '{{ .Values.replicas }}'}\n"
    )


def repack(config: Config, helm: Helm) -> Package:
    """Package the project's chart as it is now."""
    return package(config, read_chart(config.chart), helm)


@pytest.fixture
def crane(toolchain: Toolchain, runner: Runner, tmp_path: Path) -> Iterator[Served]:
    """crane's registry, without logins and TLS."""
    (tmp_path / "crane").mkdir()
    port, log = free_port(), tmp_path / "crane.log"
    argv: list[str | Path] = [
        toolchain.path("crane"),
        "registry",
        "serve",
        "--disk",
        tmp_path / "crane",
        "--address",
        f"127.0.0.1:{port}",
    ]
    with runner.start(argv, log=log):
        registry = Registry(f"oci://127.0.0.1:{port}/charts")
        wait_until_served(lambda: requests.get(f"http://127.0.0.1:{port}/v2/", timeout=1))
        yield Served(registry, log)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Our own certificate authority."""
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def distribution(toolchain: Toolchain, runner: Runner, tmp_path: Path, authority: Authority) -> Iterator[Served]:
    """The reference registry with one user and TLS; `registry` has the login and the authority."""
    with distribution_of(toolchain, runner, tmp_path, authority) as served:
        yield served


@contextlib.contextmanager
def distribution_of(
    toolchain: Toolchain, runner: Runner, folder: Path, authority: Authority, *, token_service: str = ""
) -> Iterator[Served]:
    """`github.com/distribution/distribution` over `folder`, until the block ends; with users, or a token service."""
    port, log, users = free_port(), folder / "distribution.log", folder / "htpasswd"
    users.write_text(HTPASSWD)
    auth = f"htpasswd: {{realm: tests, path: {users}}}"
    if token_service:
        auth = (
            f"token: {{realm: '{token_service}', service: tests, issuer: tests, rootcertbundle: {authority.ca}, "
            "signingalgorithms: [ES256]}"
        )
    settings = folder / "distribution.yaml"
    settings.write_text(
        textwrap.dedent(f"""\
        version: 0.1
        log: {{level: info, accesslog: {{disabled: false}}}}
        storage:
          filesystem: {{rootdirectory: {folder}/distribution}}
        http:
          addr: 127.0.0.1:{port}
          secret: tests
          relativeurls: true
          tls: {{certificate: {authority.certificate}, key: {authority.key}}}
        auth:
          {auth}
        """)
    )
    quiet = {"OTEL_TRACES_EXPORTER": "none"}
    with runner.start([toolchain.path("registry"), "serve", settings], log=log, env=quiet):
        login = Credentials(USER, PASSWORD, "the test")
        registry = Registry(f"oci://127.0.0.1:{port}/team/charts", ca_file=authority.ca, credentials=login)
        wait_until_served(lambda: requests.get(f"https://127.0.0.1:{port}/v2/", timeout=1, verify=str(authority.ca)))
        yield Served(registry, log)


def wait_until_served(ask: Callable[[], requests.Response], deadline: float = 20) -> None:
    """Until a server answers; the last error when it does not."""
    end = time.monotonic() + deadline
    while True:
        with contextlib.suppress(requests.RequestException):
            ask().close()
            return
        if time.monotonic() > end:
            ask()
        time.sleep(0.05)
