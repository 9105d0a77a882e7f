"""The commands of docs/deployment.md, run as they stand there, on a real cluster with a real registry."""

from __future__ import annotations

import datetime
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from scripts.chart.source import read_chart
from scripts.cluster.kind import KindCluster
from scripts.containers import engine
from scripts.containers.images import build_services, reference
from scripts.core.command import Result, Runner
from scripts.registry.embedded import embedded
from scripts.release.package import package
from scripts.release.publish import publish
from scripts.toolchain.finder import Toolchain
from scripts.workspace import Workspace
from tests.render.figures import INGRESS, ROUTE_MANAGER
from tests.render.guide import blocks, commands, section
from tests.render.harness import container, render

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

Shell = Callable[[str], Result]
YEAR = datetime.timedelta(days=365)
ORDER = ("Prerequisites", "Install", "Environments", "Upgrade", "Troubleshooting", "Rollback", "Uninstall")
# What the reader does not do: the registry of this test speaks plain HTTP.
HELM = """#!/bin/sh
case "$1" in
  pull | upgrade | template) exec {helm} "$@" --plain-http ;;
  *) exec {helm} "$@" ;;
esac
"""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@pytest.fixture(scope="module")
def workplace(work: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return work.having(dist=tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def released_images(workplace: Workspace, made: KindCluster, runner: Runner) -> None:
    """The images that the chart's defaults name, on the nodes of the cluster: the reference services."""
    with engine.connect() as client:
        build_services(workplace, client, versions=("1",))
    docs = render()
    for name, service in ((INGRESS, "ingress"), (ROUTE_MANAGER, "route-manager")):
        wanted = container(docs.one("Deployment", name))["image"]
        runner.run(["docker", "tag", reference(workplace.config, service, "1"), wanted])
        try:
            made.load_images([wanted])
        finally:
            runner.run(["docker", "rmi", wanted])


@pytest.fixture(scope="module")
def shell(
    workplace: Workspace,
    made: KindCluster,
    released_images: None,
    runner: Runner,
    toolchain: Toolchain,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shell]:
    """Runs a command of the guide, in a folder of its own, with the chart in a registry."""
    folder, tools = tmp_path_factory.mktemp("reader"), tmp_path_factory.mktemp("tools")
    helm = toolchain.path("helm")
    (tools / "helm").write_text(HELM.format(helm=shlex.quote(str(helm))))
    (tools / "helm").chmod(0o755)
    (tools / "kubectl").symlink_to(toolchain.path("kubectl"))
    chart = package(workplace.config, read_chart(workplace.config.chart), workplace.helm)
    with embedded(tmp_path_factory.mktemp("registry"), workplace) as registry:
        publish(registry, chart, None, workplace.helm)
        env = {
            "CHART": f"{registry.prefix}/{chart.name}",
            "VERSION": chart.version,
            "KUBECONFIG": str(made.kubeconfig),
            "PATH": f"{tools}:{os.environ['PATH']}",
        }

        def run(command: str) -> Result:
            say(f"$ {command}")
            return runner.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, env=env, check=False, deadline=330)

        write_certificate(folder)
        yield run


def write_certificate(folder: Path) -> None:
    """tls.crt, tls.key and ca.crt for the ingress Service, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, INGRESS)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(INGRESS), x509.DNSName(f"{INGRESS}.gati.svc")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + YEAR)
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    for file in ("tls.crt", "ca.crt"):
        (folder / file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def follow(shell: Shell, title: str) -> None:
    """Run each command of a section; all must succeed."""
    for command in commands(section(title)):
        if command.startswith("export "):
            continue
        result = shell(command)
        differences = "kubectl diff" in command and result.status == 1  # that is how it says that there are some
        assert result.status == 0 or differences, f"{command}\n{result.stdout}\n{result.stderr}"


def test_from_install_to_uninstall(shell: Shell) -> None:
    for title in ORDER:
        follow(shell, title)


def test_tls_to_the_pod(shell: Shell, tmp_path: Path) -> None:
    title = "TLS to the pod, with a private CA"
    bundle, secret = (yaml.safe_load(block) for block in blocks("yaml", section(title)))
    values = tmp_path / "tls.yaml"
    values.write_text(yaml.safe_dump({"tls": {**secret["tls"], "caBundle": bundle["tls"]["caBundle"]}}))
    assert shell("kubectl create namespace gati").status == 0
    follow(shell, title)
    for command in commands(section("Install"))[:2]:
        if "upgrade" in command:
            command += f" --values {values}"
        result = shell(command)
        assert result.status == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    follow(shell, "Uninstall")
