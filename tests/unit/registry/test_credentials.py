"""Logins are found where helm and docker leave them, a helper is asked by stdin, and no secret is shown."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.core.command import Runner
from scripts.core.errors import ConfigError, RegistryError, ToolError
from scripts.registry.credentials import Credentials, find_credentials, login_address, login_in_environment

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


def find(home: Path, host: str = HOST, path: str = "", **environ: str) -> Credentials | None:
    return login_in_environment(environ) or find_credentials(
        host, Runner(), path, environ={"HOME": str(home), **environ}
    )


class TestOrder:
    def test_nothing_anywhere(self, home: Path) -> None:
        assert find(home) is None

    def test_environment_then_helm_then_docker(self, home: Path) -> None:
        write(home, "docker", {"auths": {HOST: auth("docker", "d")}})
        assert find(home) == Credentials("docker", "d", f"{home}/.docker/config.json: {HOST}")
        write(home, "helm", {"auths": {HOST: auth("helm", "h")}})
        assert (found := find(home)) is not None
        assert (found.username, found.password) == ("helm", "h")
        found = find(home, GATI_REGISTRY_USERNAME="env", GATI_REGISTRY_PASSWORD="e\r\n")  # of a file that was read
        assert found is not None
        assert (found.username, found.password) == ("env", "e")

    def test_what_follows_the_object_is_passed_over_as_by_helm(self, home: Path) -> None:
        write(home, "helm", {"auths": {HOST: auth("me", "x")}})
        (file,) = home.rglob("config.json")
        file.write_text(file.read_text() + "}\n")
        found = find(home)
        assert found is not None
        assert found.username == "me"

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

    def test_a_password_of_any_bytes(self, home: Path) -> None:
        coded = base64.b64encode(b"me:\xe9\xff").decode()
        write(home, "helm", {"auths": {HOST: {"auth": coded}}})
        for environ in ({}, {"GATI_REGISTRY_USERNAME": "me", "GATI_REGISTRY_PASSWORD": os.fsdecode(b"\xe9\xff")}):
            assert (found := find(home, **environ)) is not None
            assert found.basic() == coded

    def test_names_of_members_in_any_case(self, home: Path) -> None:
        write(home, "docker", {"auths": {HOST: {"Auth": auth("u", "s")["auth"], "IdentityToken": "tok"}}})
        assert (found := find(home)) is not None
        assert (found.username, found.password, found.identity_token) == ("u", "s", "tok")

    def test_an_identity_token(self, home: Path) -> None:
        write(home, "docker", {"auths": {HOST: {"identitytoken": "tok"}}})
        found = find(home)
        assert found is not None
        assert (found.identity_token, found.password) == ("tok", "")

    @pytest.mark.parametrize(
        "key",
        [
            f"https://{HOST}",
            f"http://{HOST}/",
            f"https://{HOST}/v1/",
            f"{HOST}/v2/",
            f"{HOST}/team/charts",
            HOST.upper(),
        ],
    )
    def test_keys_as_they_are_found(self, home: Path, key: str) -> None:
        write(home, "docker", {"auths": {"other.example.com:5000": auth("other", "x"), key: auth("me", "x")}})
        assert (found := find(home)) is not None
        assert found.username == "me"

    @pytest.mark.parametrize(("key", "host"), [("ghcr.io:443", "ghcr.io"), ("ghcr.io", "ghcr.io:443")])
    def test_the_port_that_is_not_said(self, home: Path, key: str, host: str) -> None:
        write(home, "docker", {"auths": {key: auth("me", "x")}})
        assert (found := find(home, host)) is not None
        assert found.username == "me"

    def test_the_best_key_wins(self, home: Path) -> None:
        names = {f"{HOST}/team": "path", f"https://{HOST}/v1/": "scheme", HOST: "host"}
        while names:
            write(home, "docker", {"auths": {key: auth(name, "x") for key, name in names.items()}})
            assert (found := find(home)) is not None
            assert found.username == names.popitem()[1]

    @pytest.mark.parametrize(
        ("path", "user"),
        [("", "a"), ("a", "a"), ("b", "b"), ("b/charts", "b/charts"), ("b/charts-too", "b"), ("bb", "a"), ("c/x", "c")],
    )
    def test_a_key_with_the_path_of_the_registry_is_the_better_one(self, home: Path, path: str, user: str) -> None:
        keys = {f"{HOST}/{name}": auth(name, "x") for name in ("a", "b", "b/charts")}
        write(home, "docker", {"auths": {**keys, f"https://{HOST}/c/": auth("c", "x")}})
        assert (found := find(home, path=path)) is not None
        assert found.username == user

    @pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io"])
    @pytest.mark.parametrize(
        "key",
        [
            "https://index.docker.io/v1/",
            "index.docker.io/v1/",
            "docker.io",
            "registry-1.docker.io",
            "https://docker.io",
        ],
    )
    def test_every_name_of_docker_hub(self, home: Path, host: str, key: str) -> None:
        write(home, "docker", {"auths": {key: auth("hub", "x")}})
        assert (found := find(home, host)) is not None
        assert found.username == "hub"
        other = {name: auth(name, "x") for name in ("docker.io", "registry-1.docker.io", "index.docker.io")}
        hub = {
            "https://index.docker.io/v1/access-token": auth("token", "x"),
            "https://index.docker.io/v1/": auth("hub", "x"),
        }
        write(home, "docker", {"auths": {**other, **hub}})
        assert (found := find(home, host)) is not None
        assert found.username == ("index.docker.io" if host == "index.docker.io" else "hub")  # as helm
        assert login_address("docker.io") == login_address("registry-1.docker.io") == "https://index.docker.io/v1/"
        write(home, "docker", {"auths": other})
        found = find(home, "docker.io")
        assert found is not None
        assert found.username == "index.docker.io", "the name that docker itself asks with comes before the others"

    def test_a_token_that_is_one_already(self, home: Path) -> None:
        write(home, "docker", {"auths": {HOST: {"registrytoken": "tok"}}})
        assert (found := find(home)) is not None
        assert found.access_token == "tok"

    def test_lines_that_base64_wrapped(self, home: Path) -> None:
        wrapped = base64.encodebytes(f"user:{'p' * 80}".encode()).decode()
        write(home, "helm", {"auths": {HOST: {"auth": wrapped}}})
        assert (found := find(home)) is not None
        assert found.password == "p" * 80

    def test_what_docker_fills_up_with_zeros(self, home: Path) -> None:
        write(home, "docker", {"auths": {HOST: auth("me", "pass\0\0")}})
        assert (found := find(home)) is not None
        assert found.password == "pass"

    @pytest.mark.parametrize(
        "content", ["", " \n", "{}", "null", '{"auths": null, "credHelpers": null, "credsStore": ""}']
    )
    def test_a_file_that_says_nothing(self, home: Path, content: str) -> None:
        write(home, "helm", content if content != "null" else "{}")
        write(home, "docker", {"auths": {HOST: auth("docker", "d")}})
        assert (found := find(home)) is not None
        assert found.username == "docker"

    def test_a_damaged_file_beside_a_good_one(self, home: Path) -> None:
        write(home, "helm", "{")
        write(home, "docker", {"auths": {HOST: auth("docker", "d")}})
        assert (found := find(home)) is not None
        assert found.username == "docker"

    @pytest.mark.parametrize(
        "content",
        ['{"auths": [1]}', '{"auths": "x"}', '{"credHelpers": ["x"]}', '{"credsStore": {"a": 1}}', "[" * 100_000,
         "\ufeff{}x", '{"auths": {"%s": {"identitytoken": 1}}}'],
    )  # fmt: skip
    def test_a_file_of_another_shape(self, home: Path, content: str) -> None:
        write(home, "docker", content.replace("%s", HOST))
        with pytest.raises(ConfigError, match=r"config\.json"):
            find(home)

    @pytest.mark.parametrize("entry", [{}, {"auth": ""}, None, "x"])
    def test_an_empty_one_is_none(self, home: Path, entry: Any) -> None:
        write(home, "docker", {"auths": {HOST: entry}})
        assert find(home) is None

    @pytest.mark.parametrize(
        "content",
        [
            "{",
            "[]",
            '{"auths": {"%s": {"auth": "!"}}}',
            '{"auths": {"%s": {"auth": "bWU6!c2VjcmV0"}}}',
            '{"auths": {"%s": {"auth": "eA=="}}}',
        ],
    )
    def test_a_damaged_file_is_told_without_its_content(self, home: Path, content: str) -> None:
        write(home, "docker", content.replace("%s", HOST))
        with pytest.raises(ConfigError, match=r"config\.json"):
            find(home)

    @pytest.mark.parametrize("content", ["{", "[]", "\ufeff{}", '{"auths": "x"}'])
    def test_a_file_into_which_helm_cannot_log_in_either_is_mended_first(self, home: Path, content: str) -> None:
        write(home, "helm", content)
        with pytest.raises(ConfigError) as told:
            find(home)
        assert str(told.value.run).startswith("mend ")

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
        self.answer(helper, json.dumps({"serverUrl": HOST, "username": "u", "Secret": "s"}))
        assert find(home) == Credentials("u", "s", "docker-credential-fake")
        assert Path(f"{helper}.asked").read_text() == f"{HOST}get\n"

    def test_one_for_the_host_comes_before_the_one_for_all(self, home: Path, helper: Path) -> None:
        write(home, "docker", {"credsStore": "gone", "credHelpers": {f"https://{HOST}/": "fake", "other": "gone"}})
        self.answer(helper, json.dumps({"Username": "u", "Secret": "s"}))
        assert (found := find(home)) is not None
        assert found.source == "docker-credential-fake"

    def test_docker_hub_is_asked_for_under_its_own_name(self, home: Path, helper: Path) -> None:
        write(home, "docker", {"credHelpers": {"docker.io": "fake"}})
        self.answer(helper, json.dumps({"Username": "u", "Secret": "s"}))
        assert find(home, "registry-1.docker.io") is not None
        assert Path(f"{helper}.asked").read_text() == "https://index.docker.io/v1/get\n"

    def test_one_that_is_missing_beside_a_login(self, home: Path) -> None:
        write(home, "helm", {"credsStore": "gone"})
        write(home, "docker", {"auths": {HOST: auth("docker", "d")}})
        assert (found := find(home)) is not None
        assert found.username == "docker"
        write(home, "docker", {})
        with pytest.raises(ToolError, match="docker-credential-gone is not installed"):
            find(home)

    def test_the_systems_where_no_file_says_anything(self, home: Path, helper: Path) -> None:
        native = helper.rename(helper.with_name("docker-credential-pass"))
        helper.with_name("pass").touch(mode=0o755)
        self.answer(native, json.dumps({"Username": "u", "Secret": "s"}))
        assert (found := find(home)) is not None
        assert found.source == "docker-credential-pass"
        write(home, "helm", {"auths": {"other.example.com": auth("x", "y")}})
        write(home, "docker", {"auths": {"other.example.com": auth("x", "y")}})
        assert find(home) is None

    def test_what_it_complains_of_may_hold_a_secret(self, home: Path, helper: Path) -> None:
        write(home, "docker", {"credsStore": "fake"})
        helper.write_text('#!/bin/sh\necho s3cret >&2; echo \'{"Secret": "s3cret"}\'; exit 1\n')
        with pytest.raises(RegistryError, match=r"gives no login[\s\S]*status 1") as caught:
            find(home)
        assert "s3cret" not in str(caught.value)

    def test_that_does_not_answer_is_named_and_asked_once(
        self, home: Path, helper: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("scripts.registry.credentials._HELPER", 0.3)
        helper.write_text(f"#!/bin/sh\necho s3cret >&2; echo once >> {helper}.asked; exec sleep 60\n")
        for place in ("helm", "docker"):
            write(home, place, {"credsStore": "fake"})
        runner = Runner()
        for _ in range(2):
            with pytest.raises(RegistryError, match="docker-credential-fake gives no login") as caught:
                find_credentials(HOST, runner, environ={"HOME": str(home)})
            assert "no answer within 0.3 s" in str(caught.value)
            assert "s3cret" not in str(caught.value)
        assert Path(f"{helper}.asked").read_text() == "once\n"
        write(home, "docker", {"auths": {HOST: auth("docker", "d")}})
        assert (found := find_credentials(HOST, runner, environ={"HOME": str(home)})) is not None
        assert found.username == "docker"

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
