"""The `.prov` beside a chart is one that helm itself believes, and a forged one is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from scripts.chart.archive import load_package
from scripts.core.command import SIGNING_PASSWORDS
from scripts.core.errors import FindingsError, ToolError
from scripts.registry.client import connect
from scripts.registry.embedded import registry_for
from scripts.release.pgp import fault_of_prov, with_prov
from scripts.release.proof import Demand, prove
from tests.release.conftest import Project
from tests.release.test_announced import helm, served

PASSPHRASE = "open, sesame"
pytestmark = pytest.mark.skipif(shutil.which("gpg") is None, reason="needs gpg")


@dataclass(frozen=True)
class Keys:
    """A key with a passphrase, and the public keys of two people."""

    user: str
    own: Path
    other: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Keys]]:
    """A home of gpg's own, with keys; its path has to be short, for it holds a socket."""
    folder = tmp_path_factory.mktemp("keys")
    with tempfile.TemporaryDirectory(dir="/tmp") as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GNUPGHOME", home)

        def gpg(*words: str, secret: str = "") -> bytes:
            argv = ("gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase-fd", "0", *words)
            return subprocess.run(argv, input=secret.encode(), check=True, capture_output=True).stdout

        files = []
        for name in ("tester", "other"):
            gpg("--quick-generate-key", f"{name}@example.org", "rsa2048", "sign", "never", secret=PASSPHRASE)
            files.append(folder / f"{name}.gpg")
            files[-1].write_bytes(gpg("--export", f"{name}@example.org"))
        try:
            yield Path(home), Keys("tester@example.org", *files)
        finally:
            subprocess.run(("gpgconf", "--kill", "all"), check=False)


@pytest.fixture
def keys(made: tuple[Path, Keys], monkeypatch: pytest.MonkeyPatch) -> Keys:
    """The keys, where gpg finds them; its agent knows no passphrase of another test."""
    home, found = made
    monkeypatch.setenv("GNUPGHOME", str(home))
    subprocess.run(("gpgconf", "--kill", "gpg-agent"), check=True)
    return found


@pytest.fixture
def signing(project: Project, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project, to be released with a `.prov`."""
    monkeypatch.setenv(SIGNING_PASSWORDS[0], PASSPHRASE)
    return replace(project, work=project.work.having(pgp_key=keys.user))


def test_helm_pulls_and_verifies_what_was_released(signing: Project, keys: Keys, tmp_path: Path) -> None:
    digest = signing.release().digest
    assert set(signing.plan().values()) == {"same"}
    prov = signing.config.dist / "demo-1.2.0.tgz.prov"
    assert b"demo-1.2.0.tgz: sha256:" in prov.read_bytes()
    with registry_for(signing.work) as registry:
        helm = signing.work.helm
        pull = ("pull", f"{registry.remote}/demo", "--version", "1.2.0", "--plain-http", "--destination", tmp_path)
        signing.runner.run((helm.path, *pull, "--verify", "--keyring", keys.own))
        assert (tmp_path / "demo-1.2.0.tgz.prov").read_bytes() == prov.read_bytes()
        with pytest.raises(Exception, match=r"(?i)signature|key"):
            signing.runner.run((helm.path, *pull, "--verify", "--keyring", keys.other))

        def state(keyring: str) -> str:
            proof = prove(signing.work, registry, "demo", "1.2.0", None, Demand(keyring=keyring))
            assert proof.digest == digest
            return next(f"{one.state}: {one.detail}" for one in proof.checks if one.check == "pgp")

        assert state("").startswith("not checked: ")
        assert state(str(keys.own)).startswith("passed: ")
        assert state(str(keys.other)).startswith("failed: ")
        refused = prove(signing.work, registry, "demo", "1.2.0", None, Demand(("pgp",), keyring=str(keys.other)))
        with pytest.raises(FindingsError, match="pgp"):
            refused.demand()
        with connect(registry) as client:
            assert client.versions("demo") == ("1.2.0",)


def test_helm_verifies_what_it_pulls_from_an_index(signing: Project, keys: Keys, tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    indexed = Project(signing.work.having(chart_index=str(pages)))
    indexed.release()
    assert set(indexed.plan().values()) == {"same"}
    with served(pages) as url:
        words = ("pull", "demo", "--repo", url, "--verify", "--keyring", str(keys.own))
        assert "Signed by: tester@example.org" in helm(indexed, tmp_path, *words)
    prov = pages / "demo-1.2.0.tgz.prov"
    prov.write_bytes(b"another one, by whom the index is of")
    assert set(indexed.plan().values()) == {"same"}
    prov.unlink()
    assert indexed.plan()["index"] == "absent"


def test_the_prov_that_was_published_is_announced_also_from_a_clone_that_has_none(
    signing: Project, tmp_path: Path
) -> None:
    signing.release()
    prov = (signing.config.dist / "demo-1.2.0.tgz.prov").read_bytes()
    shutil.rmtree(signing.config.dist)
    pages = tmp_path / "pages"
    Project(signing.work.having(chart_index=str(pages), pgp_key="")).release()
    assert (pages / "demo-1.2.0.tgz.prov").read_bytes() == prov


def test_a_prov_that_was_changed_or_is_of_something_else_is_refused(signing: Project, keys: Keys) -> None:
    signing.release()
    archive = (signing.config.dist / "demo-1.2.0.tgz").read_bytes()
    prov = (signing.config.dist / "demo-1.2.0.tgz.prov").read_bytes()

    def fault(content: bytes, data: bytes = archive, keyring: str = str(keys.own)) -> str:
        return fault_of_prov(signing.work, data, "demo-1.2.0.tgz", content, keyring)

    assert fault(prov) == ""
    assert fault(prov.replace(b"description: A chart", b"description: A cart")) != ""
    assert "another archive" in fault(prov, archive + b"\0")
    assert "does not name" in fault(b"nothing")
    assert "does not name" in fault(b"\xff\xfe")


def test_a_prov_of_an_earlier_run_is_kept_where_it_is_by_the_same_key_and_whole(signing: Project, keys: Keys) -> None:
    signing.release()
    file, archive = signing.config.dist / "demo-1.2.0.tgz.prov", signing.config.dist / "demo-1.2.0.tgz"
    package, prov = load_package(signing.config, "demo"), file.read_bytes()
    assert with_prov(signing.work, package, archive.read_bytes()).prov == prov
    other = signing.work.having(pgp_key="other@example.org")
    for work, keyring, left in ((other, keys.other, prov), (signing.work, keys.own, prov[:-200] + prov[-190:])):
        file.write_bytes(left)
        made = with_prov(work, package, archive.read_bytes()).prov
        assert fault_of_prov(work, archive.read_bytes(), archive.name, made or b"", str(keyring)) == ""


def test_a_wrong_passphrase_is_said_and_nothing_is_published(signing: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SIGNING_PASSWORDS[0], "wrong")
    with pytest.raises(ToolError, match="gpg cannot sign with"):
        signing.release()
    assert signing.published() == {}


def test_the_passphrase_is_in_no_other_programs_environment(signing: Project) -> None:
    assert os.environ[SIGNING_PASSWORDS[0]] == PASSPHRASE
    assert PASSPHRASE not in signing.runner.run(("env",)).stdout
