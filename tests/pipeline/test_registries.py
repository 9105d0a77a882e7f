"""`invoke publish` and `verify` on a registry with users and TLS, and on what is none."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.core.command import Runner
from scripts.registry.reference import Registry
from scripts.toolchain.finder import Toolchain
from tests.pipeline.conftest import Cli
from tests.registry.conftest import Served, distribution_of
from tests.registry.quirks import Quirks, Quirky
from tests.registry.servers import (
    PASSWORD,
    USER,
    Authority,
    Reply,
    Request,
    make_authority,
    oci_error,
    page,
    scripted,
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def served(toolchain: Toolchain, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with distribution_of(toolchain, Runner(), tmp_path_factory.mktemp("distribution"), authority) as served:
        yield served


@pytest.fixture
def remote(cli: Cli, served: Served, authority: Authority) -> dict[str, str]:
    """The environment that names the registry; every test publishes to a path of its own."""
    cli.on_chart("package").fine()
    path = cli.dist.parent.name.replace("_", "-").lower().strip("-")
    return {"GATI_REGISTRY": f"oci://{served.registry.host}/{path}", "GATI_REGISTRY_CA": str(authority.ca)}


LOGIN = {"GATI_REGISTRY_USERNAME": USER, "GATI_REGISTRY_PASSWORD": PASSWORD}


def states(cli: Cli, **env: str) -> list[str]:
    """What publishing twice and reading back says."""
    told = [json.loads(cli.on_chart("publish", "--json", **env).fine())["state"] for _ in range(2)]
    cli.on_chart("verify", **env).fine()
    return told


class TestLogin:
    def test_none_is_told_with_the_way_to_get_one(self, cli: Cli, remote: dict[str, str], served: Served) -> None:
        told = cli.on_chart("publish", **remote)
        login = f"helm registry login {served.registry.host} --ca-file {remote['GATI_REGISTRY_CA']}"
        told.refused("asks for a login, and none is known", f"{login} && invoke publish")
        wrong = {**remote, **LOGIN, "GATI_REGISTRY_PASSWORD": "wr0ng-secret"}
        error = cli.on_chart("publish", **wrong).refused("refuses the login of publisher")
        assert "wr0ng-secret" not in error

    def test_the_doctor_asks_with_it(self, cli: Cli, remote: dict[str, str]) -> None:
        def line(**env: str) -> dict[str, str]:
            told = json.loads(cli.on_chart("doctor", "--json", **env).stdout)
            return next(one for one in told["lines"] if one["about"] == "registry")

        assert line(**remote, **LOGIN)["found"].endswith(f"answers as {USER}: 0 versions")
        for env, words in (
            (remote, "helm registry login"),
            ({**remote, **LOGIN, "GATI_REGISTRY_PASSWORD": "wr0ng-secret"}, "helm registry login"),
            ({**remote, "GATI_REGISTRY_USERNAME": USER}, "set GATI_REGISTRY_PASSWORD, or unset"),
            ({**remote, "GATI_REGISTRY_CA": ""}, "registry_ca"),
        ):
            told = line(**env)
            assert (told["level"], words in told["fix"]) == ("problem", True), told

    def test_of_the_environment(self, cli: Cli, remote: dict[str, str]) -> None:
        assert states(cli, **remote, **LOGIN) == ["pushed", "same"]
        # A full reference is enough to compare with, whatever registry is configured.
        values, reference = cli.chart / "values.yaml", f"{remote['GATI_REGISTRY']}/made:0.1.0"
        values.write_text(values.read_text().replace("replicaCount: 1", "replicaCount: 3"))
        env = {"GATI_REGISTRY_CA": remote["GATI_REGISTRY_CA"], **LOGIN}
        told = cli.on_chart("diff", "--from", reference, "--kube-version", "1.30", **env).fine()
        assert told.splitlines() == [
            "~ Deployment/made",
            "    spec.replicas: 1 -> 3",
            "~ values.yaml",
            "    replicaCount: 1 -> 3",
        ]

    def test_of_helm_registry_login(
        self, cli: Cli, remote: dict[str, str], served: Served, authority: Authority, toolchain: Toolchain
    ) -> None:
        helm = toolchain.path("helm")
        argv = (helm, "registry", "login", served.registry.host, "--ca-file", authority.ca)
        env = {**cli.env, "HOME": cli.env["HOME"]}
        subprocess.run(
            (*argv, "--username", USER, "--password-stdin"), input=PASSWORD, text=True, env=env, check=True,
            capture_output=True,
        )  # fmt: skip
        assert states(cli, **remote) == ["pushed", "same"]
        reference = f"{remote['GATI_REGISTRY']}/made"
        pull = (helm, "pull", reference, "--version", "0.1.0", "--ca-file", authority.ca, "-d", cli.dist / "pulled")
        (cli.dist / "pulled").mkdir()
        subprocess.run(pull, env=env, check=True, capture_output=True)
        assert (cli.dist / "pulled" / "made-0.1.0.tgz").read_bytes() == (cli.dist / "made-0.1.0.tgz").read_bytes()

    def test_of_docker_login(self, cli: Cli, remote: dict[str, str], served: Served) -> None:
        home = Path(cli.env["HOME"])
        home.mkdir(exist_ok=True)
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        (home / "config.json").write_text(json.dumps({"auths": {served.registry.host: {"auth": auth}}}))
        assert states(cli, **remote) == ["pushed", "same"]

    def test_of_a_credential_helper(self, cli: Cli, remote: dict[str, str], served: Served) -> None:
        home = Path(cli.env["HOME"])
        (home / "bin").mkdir(parents=True)
        helper = home / "bin" / "docker-credential-test"
        answer = json.dumps({"Username": USER, "Secret": PASSWORD})
        asked = f'read host; [ "$1 $host" = "get {served.registry.host}" ] || exit 9'
        helper.write_text(f"#!/bin/sh\n{asked}\necho once >>{home}/asked\necho {shlex.quote(answer)}\n")
        helper.chmod(0o755)
        (home / "config.json").write_text(json.dumps({"credHelpers": {served.registry.host: "test"}}))
        assert states(cli, **remote, PATH=f"{home}/bin:{os.environ['PATH']}") == ["pushed", "same"]
        assert (home / "asked").read_text() == 3 * "once\n"  # by each run
        helper.write_text("#!/bin/sh\necho boom >&2; exit 1\n")
        told = cli.on_chart("publish", **remote, PATH=f"{home}/bin:{os.environ['PATH']}")
        told.refused("docker-credential-test gives no login", "status 1")
        assert "boom" not in told.stderr  # it may hold the login

    def test_is_on_no_command_line_and_in_no_output(self, cli: Cli, remote: dict[str, str]) -> None:
        """Every process that runs meanwhile is looked at, and `--echo` shows what is run."""
        seen: set[bytes] = set()
        done = threading.Event()

        def watch() -> None:
            while not done.is_set():
                for file in Path("/proc").glob("[0-9]*/cmdline"):
                    try:
                        seen.add(file.read_bytes())
                    except OSError:
                        continue

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            told = cli("--echo", "publish", "--chart", cli.chart, **remote, **LOGIN)
        finally:
            done.set()
            thread.join()
        assert told.status == 0, told
        assert any(b"\0push\0" in line for line in seen)  # helm was seen at work
        assert " push " in told.stderr
        for secret in (PASSWORD, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()):
            assert not [line for line in seen if secret.encode() in line]
            assert secret not in told.stdout + told.stderr


def test_a_replica_that_does_not_know_at_first(cli: Cli) -> None:
    """Whoever asks hears by turns that nothing is there, also after the push was seen."""
    cli.on_chart("package").fine()
    there, turns = Quirky(Quirks(challenges=())), itertools.cycle([oci_error(404, "MANIFEST_UNKNOWN"), None])

    def answer(request: Request) -> Reply:
        reply = there.answer(request)
        held = request.method == "GET" and request.path.endswith("/manifests/0.1.0") and reply.status == 200
        return (next(turns) if held else None) or reply

    with scripted(answer) as server:
        told = cli.on_chart("publish", "--json", "--registry", f"oci://{server.host}/x")
    assert json.loads(told.fine())["state"] == "pushed"


class TestUnknown:
    """Whatever does not say clearly that the version is absent keeps us from pushing."""

    @pytest.mark.parametrize(
        ("reply", "words"),
        [
            (oci_error(403, "DENIED"), ("does not let someone without a login look at", "DENIED")),
            (oci_error(401, "UNAUTHORIZED"), ("asks for a login, and none is known", " --plain-http && invoke ")),
            (page(404), ("answers 404 in words that are not a registry's",)),
            (page(200), ("the answer is not a manifest",)),
        ],
    )
    def test_answers(self, cli: Cli, reply: object, words: tuple[str, ...]) -> None:
        cli.on_chart("package").fine()
        ready = oci_error(401, "UNAUTHORIZED", **{"WWW-Authenticate": 'Basic realm="x"'})
        with scripted(lambda request: ready if request.path == "/v2/" else reply) as server:  # type: ignore[arg-type,return-value]
            registry = f"oci://{server.host}/x"
            for argv in (("publish",), ("publish", "--dry-run"), ("verify",)):
                cli.on_chart(*argv, "--registry", registry).refused(*words)
            assert {request.method for request in server.requests} == {"GET"}
            assert '"unknown"' in cli.on_chart("publish", "--dry-run", "--json", "--registry", registry).stdout

    def test_no_registry_and_nobody(self, cli: Cli) -> None:
        cli.on_chart("package").fine()
        with scripted(lambda _: page(200)) as server:
            cli.on_chart("publish", "--registry", f"oci://{server.host}/x").refused("is not an OCI registry")
        begin, argv = time.monotonic(), ("publish", "--registry", f"oci://{server.host}/x")
        cli.on_chart(*argv, PATIENT="yes").refused("cannot be reached", "tried 4 times")
        assert time.monotonic() - begin > 3  # 0.5 s, 1 s and 2 s between the four
        cli.on_chart("publish", "--registry", "oci://nowhere.invalid/x").refused("nowhere.invalid cannot be resolved")

    def test_plain_http_is_not_spoken_to_others_unasked(self, cli: Cli, authority: Authority, served: Served) -> None:
        cli.on_chart("package").fine()
        registry = Registry(f"oci://{served.registry.host}/x")
        told = cli.on_chart("publish", "--registry", registry.prefix)
        told.refused(f"the certificate of {registry.host} is not trusted", "GATI_REGISTRY_CA")
