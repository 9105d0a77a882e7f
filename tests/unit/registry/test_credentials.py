"""Logins are found where helm and docker leave them, a helper is asked by stdin, and no secret is shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.core.command import Runner
from scripts.core.errors import ConfigError, RegistryError
from scripts.registry.credentials import Credentials, find_credentials

HOST = "registry.example.com:5000"


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def write(home: Path, where: str, content: Any) -> None:
    """The file of helm or of docker."""
    file = home / {"helm": ".config/helm/registry/config.json", "docker": ".docker/config.json"}[where]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))


def find(home: Path, host: str = HOST, **environ: str) -> Credentials | None:
    return find_credentials(host, Runner(), environ={"HOME": str(home), **environ})


class TestOrder:
    def test_nothing_anywhere(self, home: Path) -> None:
        assert find(home) is None

    def test_environment_then_helm_then_docker(self, home: Path) -> None:
        write(home, "docker", {"auths": {HOST: auth("docker", "d")}})
        assert find(home) == Credentials("docker", "d", f"{home}/.docker/config.json: {HOST}")
        write(home, "helm", {"auths": {HOST: auth("helm", "h")}})
        assert (found := find(home)) is not None
        assert (found.username, found.password) == ("helm", "h")
        found = find(home, GATI_REGISTRY_USERNAME="env", GATI_REGISTRY_PASSWORD="e")
        assert found is not None
        assert (found.username, found.password) == ("env", "e")

    def test_the_places_that_the_environment_names(self, home: Path) -> None:
        for name, variable, where in (
            ("a", "HELM_REGISTRY_CONFIG", "a.json"),
            ("b", "HELM_CONFIG_HOME", "helm/registry/config.json"),
            ("c", "XDG_CONFIG_HOME", "xdg/helm/registry/config.json"),
            ("d", "DOCKER_CONFIG", "docker/config.json"),
        ):
            file = home / where
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"auths": {HOST: auth(name, "x")}}))
            value = file if name == "a" else file.parent if name == "d" else home / where.partition("/")[0]
            found = find(home, **{variable: str(value)})
            assert (found and found.username) == name

    def test_of_another_host_is_none(self, home: Path) -> None:
        write(home, "docker", {"auths": {"registry.example.com": auth("x", "y"), "example.com:5000": auth("x", "y")}})
        assert find(home) is None


class TestEntries:
    def test_docker_hub_has_a_name_of_its_own(self, home: Path) -> None:
        write(home, "docker", {"auths": {"https://index.docker.io/v1/": auth("hub", "x")}})
        found = find(home, "docker.io")
        assert found is not None
        assert found.username == "hub"

    def test_a_password_may_hold_colons(self, home: Path) -> None:
        write(home, "docker", {"auths": {HOST: auth("u", "a:b:c")}})
        found = find(home)
        assert found is not None
        assert found.password == "a:b:c"
        assert base64.b64decode(found.basic()).decode() == "u:a:b:c"

    def test_an_identity_token(self, home: Path) -> None:
        write(home, "docker", {"auths": {HOST: {"identitytoken": "tok"}}})
        found = find(home)
        assert found is not None
        assert (found.identity_token, found.password) == ("tok", "")

    @pytest.mark.parametrize("entry", [{}, {"auth": ""}, None, "x"])
    def test_an_empty_one_is_none(self, home: Path, entry: Any) -> None:
        write(home, "docker", {"auths": {HOST: entry}})
        assert find(home) is None

    @pytest.mark.parametrize(
        "content", ["{", "[]", '{"auths": {"%s": {"auth": "!"}}}', '{"auths": {"%s": {"auth": "eA=="}}}']
    )
    def test_a_damaged_file_is_told_without_its_content(self, home: Path, content: str) -> None:
        write(home, "docker", content.replace("%s", HOST))
        with pytest.raises(ConfigError, match=r"config\.json"):
            find(home)

    @pytest.mark.parametrize("name", ["GATI_REGISTRY_USERNAME", "GATI_REGISTRY_PASSWORD"])
    def test_half_a_login_in_the_environment(self, home: Path, name: str) -> None:
        with pytest.raises(ConfigError, match="half a registry login") as caught:
            find(home, **{name: "s3cret"})
        assert "s3cret" not in str(caught.value)


class TestHelpers:
    @pytest.fixture
    def helper(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """`docker-credential-fake`, first on PATH; a test writes what it does."""
        folder = tmp_path / "bin"
        folder.mkdir()
        file = folder / "docker-credential-fake"
        file.touch(mode=0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        return file

    def answer(self, helper: Path, text: str, status: int = 0) -> None:
        helper.write_text(
            f"#!/bin/sh\ncat > {helper}.asked; echo $1 >> {helper}.asked\ncat <<'.'\n{text}\n.\nexit {status}\n"
        )

    @pytest.mark.parametrize("settings", [{"credHelpers": {HOST: "fake"}}, {"credsStore": "fake"}])
    def test_is_asked_by_stdin(self, home: Path, helper: Path, settings: Mapping[str, Any]) -> None:
        write(home, "docker", settings)
        self.answer(helper, json.dumps({"ServerURL": HOST, "Username": "u", "Secret": "s"}))
        assert find(home) == Credentials("u", "s", "docker-credential-fake")
        assert Path(f"{helper}.asked").read_text() == f"{HOST}get\n"

    def test_gives_a_token(self, home: Path, helper: Path) -> None:
        write(home, "docker", {"credsStore": "fake"})
        self.answer(helper, json.dumps({"Username": "<token>", "Secret": "tok"}))
        assert (found := find(home)) is not None
        assert found.identity_token == "tok"

    def test_knows_nothing(self, home: Path, helper: Path) -> None:
        write(home, "docker", {"credsStore": "fake", "auths": {HOST: auth("file", "f")}})
        self.answer(helper, "credentials not found in native keychain", 1)
        assert (found := find(home)) is not None
        assert found.username == "file"

    @pytest.mark.parametrize(
        ("text", "status", "words"),
        [
            ("keychain is locked", 1, "keychain is locked"),
            ('{"Secret": "s3cret"', 0, "answers with something that is no login"),
            ('["s3cret"]', 0, "answers with something that is no login"),
        ],
    )
    def test_fails(self, home: Path, helper: Path, text: str, status: int, words: str) -> None:
        write(home, "docker", {"credsStore": "fake"})
        self.answer(helper, text, status)
        with pytest.raises(RegistryError) as caught:
            find(home)
        assert words in str(caught.value)
        assert "s3cret" not in str(caught.value)

    def test_has_no_path_in_its_name(self, home: Path) -> None:
        write(home, "docker", {"credsStore": "../evil"})
        with pytest.raises(ConfigError, match="no name of a credential helper"):
            find(home)


def test_a_login_does_not_show_its_secrets() -> None:
    assert "s3cret" not in repr(Credentials("u", "s3cret", "here", identity_token="s3cret"))
