"""Programs run to their end or their deadline, are told in full when they fail, and never outlive us."""

from __future__ import annotations

import base64
import contextlib
import gc
import html
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from scripts.core import command
from scripts.core.command import Runner
from scripts.core.errors import CommandFailed, CommandTimeout, ToolError
from scripts.core.interrupt import Scope, Stopped
from scripts.core.waiting import until


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", textwrap.dedent(code))


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def gone(pid: int, deadline: float = 10) -> bool:
    """Whether the process ends before the deadline; a dead child that nobody has fetched counts as ended."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


class TestRun:
    def test_both_streams_and_stdin(self, runner: Runner) -> None:
        result = runner.run(
            python("import sys; print(sys.stdin.read().upper()); print('é', file=sys.stderr)"), stdin="in"
        )
        assert (result.status, result.stdout, result.stderr) == (0, "IN\n", "é\n")
        assert result.seconds > 0

    def test_nothing_is_read_from_our_stdin(self, runner: Runner) -> None:
        assert runner.run(("cat",)).stdout == ""

    @pytest.mark.parametrize("held", ["", "2>/dev/null", ">/dev/null"])
    def test_what_a_child_leaves_behind_is_not_waited_for(
        self, runner: Runner, monkeypatch: pytest.MonkeyPatch, held: str
    ) -> None:
        monkeypatch.setattr(command, "_LEFT", 0.1)
        code = f"cat; echo told >&2; sleep 5 {held} & exit 3"
        result = runner.run(("sh", "-c", code), stdin="in" * 100_000, check=False)
        assert (result.status, result.stdout, result.stderr) == (3, "in" * 100_000, "told\n")
        assert result.seconds < 4

    def test_all_of_stdin_is_given_however_late_it_is_read(
        self, runner: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(command, "_LEFT", 0.05)
        given = "in" * 100_000
        assert runner.run(("sh", "-c", "sleep 0.3; cat"), stdin=given, deadline=5).stdout == given

    def test_what_prints_without_end_is_ended_before_it_takes_all_memory(
        self, runner: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(command, "_LEFT", 0.05)
        monkeypatch.setattr(command, "_MOST", 1 << 20)
        with pytest.raises(ToolError, match="yes prints without end") as refused:
            runner.run(("yes",), deadline=20)
        assert (refused.value.found, refused.value.run) == ("more than 1 MiB, and no end", "type -a yes")

    def test_a_child_need_not_read_its_stdin(self, runner: Runner) -> None:
        assert runner.run(("sh", "-c", "echo done"), stdin="in" * 100_000).stdout == "done\n"

    def test_the_environment_is_laid_over_ours(self, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KEPT", "1")
        monkeypatch.setenv("TAKEN", "1")
        env = runner.run(("env",), env={"TAKEN": None, "GIVEN": "2"}).stdout.splitlines()
        assert {"KEPT=1", "GIVEN=2"} <= set(env)
        assert not [line for line in env if line.startswith("TAKEN=")]

    @pytest.mark.parametrize("named", ["a,b", "/nowhere"])
    def test_temporary_files_have_the_place_that_ours_have(
        self, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
    ) -> None:
        """Whatever folder a child runs in, and where there is none of that name."""
        (tmp_path / "a,b").mkdir()
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TMPDIR", named)
        monkeypatch.setattr("tempfile.tempdir", None)
        monkeypatch.setattr("tempfile.tempdir", tempfile.gettempdir())  # as every task has it
        told = runner.run(("sh", "-c", 'cd "$TMPDIR" && pwd'), cwd=Path("/")).stdout.strip()
        assert told == tempfile.gettempdir()
        assert (told == str(tmp_path / named)) == (named == "a,b")

    def test_in_a_folder(self, runner: Runner, tmp_path: Path) -> None:
        assert runner.run(("pwd", "-P"), cwd=tmp_path).stdout.strip() == str(tmp_path.resolve())
        with pytest.raises(ToolError, match=r"(?s)cannot run in .*nowhere.*no such folder"):
            runner.run(("pwd",), cwd=tmp_path / "nowhere")

    def test_a_failure_tells_the_command_and_its_last_words(self, runner: Runner) -> None:
        code = "import sys; [print(f'line {n}', file=sys.stderr) for n in range(50)]; sys.exit(7)"
        with pytest.raises(CommandFailed) as caught:
            runner.run(python(code))
        error = caught.value
        assert (error.status, error.argv[0]) == (7, sys.executable)
        assert "ended with status 7" in str(error)
        assert "line 49" in str(error)
        assert "line 1\n" not in str(error)
        assert error.stderr.startswith("line 0\n")
        assert runner.run(python(code), check=False).status == 7

    def test_what_a_signal_ended_is_told_as_that(self, runner: Runner) -> None:
        with pytest.raises(CommandFailed) as caught:
            runner.run(("sh", "-c", "echo before >&2; kill -KILL $$"))
        assert caught.value.found == "before\nKilled"

    def test_a_missing_program(self, runner: Runner) -> None:
        with pytest.raises(ToolError, match="no-such-program is not installed") as caught:
            runner.run(("no-such-program",))
        assert caught.value.run == "invoke tools"

    def test_a_program_that_cannot_be_started(self, runner: Runner, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("no program")
        with pytest.raises(ToolError, match="cannot be started"):
            runner.run((tmp_path / "text",))

    def test_too_few_open_files_are_told_as_that(self) -> None:
        code = (
            "import resource; from scripts.core.command import Runner\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
            "try: Runner().run(('true',))\n"
            "except Exception as error: print(error)"
        )
        told = Runner().run((sys.executable, "-c", code), cwd=Path(__file__).parents[3]).stdout
        assert "true cannot be started" in told
        assert "next:     ulimit -n 1024, then the same command again" in told
        assert "doctor" not in told

    def test_the_deadline_ends_the_whole_family(
        self, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("scripts.core.command._GRACE", 0.2)
        with pytest.raises(CommandTimeout, match=r"still running after 0\.5 s"):
            runner.run(("sh", "-c", f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/pid; wait"), deadline=0.5)
        assert gone(int((tmp_path / "pid").read_text()))

    @pytest.mark.parametrize(
        ("program", "other"),
        [
            ("helm", {"HELM_DEBUG": None, "HELM_KUBETOKEN": None, "HELM_NAMESPACE": None}),
            ("kubectl", {"KUBERC": "off"}),
            ("k6", dict.fromkeys(("K6_VUS", "K6_NO_CONNECTION_REUSE", "HTTP_PROXY", "https_proxy"))),
            ("kind", dict.fromkeys(("DOCKER_DEFAULT_PLATFORM", "KIND_EXPERIMENTAL_PROVIDER"))),
            ("docker", dict.fromkeys(("BUILDX_BUILDER", "DOCKER_DEFAULT_PLATFORM"))),
            ("docker-compose", dict.fromkeys(("COMPOSE_FILE", "COMPOSE_ENV_FILES", "DOCKER_DEFAULT_PLATFORM"))),
            ("git", {"GIT_TRACE2_EVENT": None}),
            ("crane", {}),
        ],
    )
    def test_does_what_its_flags_say_whatever_its_user_has_set_for_it(
        self,
        runner: Runner,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        program: str,
        other: dict[str, str | None],
    ) -> None:
        names = """
            BUILDX_BUILDER COMPOSE_ENV_FILES COMPOSE_FILE DOCKER_DEFAULT_PLATFORM GIT_TRACE2_EVENT HELM_DEBUG
            HELM_DRIVER HELM_KUBETOKEN HELM_NAMESPACE HTTP_PROXY https_proxy K6_NO_CONNECTION_REUSE K6_VUS
            KIND_EXPERIMENTAL_CONTAINERD_SNAPSHOTTER KIND_EXPERIMENTAL_PROVIDER KUBECONFIG KUBERC
        """
        given = dict.fromkeys(names.split(), "x")
        for name in given:
            monkeypatch.setenv(name, "x")
        (tmp_path / program).write_text("#!/bin/sh\nenv\n")
        (tmp_path / program).chmod(0o755)
        told = dict(line.partition("=")[::2] for line in runner.run((tmp_path / program,)).stdout.splitlines())
        assert {name: told.get(name) for name in given} == {**given, **other}


class TestSecrets:
    def test_are_in_nothing_that_is_told(self) -> None:
        echoed: list[str] = []
        runner = Runner(echo=echoed.append, secrets=["hunter2", ""])
        result = runner.run(("sh", "-c", "echo hunter2; echo hunter2 >&2"))
        with pytest.raises(CommandFailed) as caught:
            runner.run(("sh", "-c", "echo hunter2 >&2; exit 1"))
        told = [*echoed, *result.argv, result.stderr, str(caught.value)]
        assert not [text for text in told if "hunter2" in text]
        assert result.stdout == "hunter2\n"  # data: whoever reads it wants it as it is
        assert echoed[0] == "$ sh -c 'echo ***; echo *** >&2'"

    def test_the_longest_is_replaced_first_whenever_it_became_known(self) -> None:
        runner = Runner(secrets=["hunter"])
        runner.hide("hunter2\n", "")
        assert runner.redact("hunter2 and hunter") == "*** and ***"
        for scheme, password in product(("https", "oci", "ssh", "git+https"), ("p@ss", "p/ss", "4x/2!")):
            told = f"{scheme}://me:{password}@host/a ssh://git@host oci://[::1]:50/a@sha256:1 http://host:50/a@b"
            masked = f"{scheme}://***@host/a ssh://git@host oci://[::1]:50/a@sha256:1 http://host:50/a@b"
            assert runner.redact(told) == masked
        assert runner.redact("'https://host/a?private_token=glpat-1&b=2'") == "'https://host/a?private_token=***&b=2'"

    @pytest.mark.parametrize(
        "form",
        [
            lambda secret: quote(secret, safe=""),
            lambda secret: quote(quote_plus(secret), safe="").lower(),
            json.dumps,
            lambda secret: json.dumps(json.dumps(secret, ensure_ascii=False)),
            lambda secret: json.dumps(secret).replace("/", "\\/").replace("<", "\\u003c"),
            repr,
            shlex.quote,
            html.escape,
            lambda secret: html.escape(html.escape(secret)),
            lambda secret: " ".join(secret.split()),
            *(lambda secret, before=before: b64(before + secret) for before in ("", "a:", "ab:", "abc:")),
            lambda secret: quote(b64(f"me:{secret}"), safe=""),
        ],
    )
    @pytest.mark.parametrize("secret", ["p\"w<&>\t \u00e9/\\\\'+%1", "it's a key;\u20ac\U0001f511"])
    def test_are_found_in_the_forms_in_which_others_repeat_them(self, secret: str, form: Callable[[str], str]) -> None:
        told = Runner(secrets=[secret]).redact(f"before {form(secret)} after")
        assert re.fullmatch(r"before \S{0,6}\*\*\*\S{0,3} after", told), told

    def test_of_a_letter_or_two_are_masked_as_words_alone(self) -> None:
        told = Runner(secrets=["at"]).redact("cosign generate-key-pair at HOST: 'at', pw=at, http://me:at@host")
        assert told == "cosign generate-key-pair *** HOST: '***', pw=***, http://***@host"

    def test_take_no_time_to_be_looked_for(self) -> None:
        runner = Runner(secrets=["\\" * 20 + "!", " \t" * 20 + "!", "%" * 30])
        begin = time.monotonic()
        runner.redact("\\" * 20_000 + " \t" * 20_000 + "%25" * 20_000)
        assert time.monotonic() - begin < 5

    def test_the_registrys_password_reaches_no_program(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GATI_REGISTRY_PASSWORD", "hunter2")
        assert "hunter2" not in Runner().run(("env",)).stdout

    @pytest.mark.parametrize("token", ["GITHUB_TOKEN", "VAULT_TOKEN"])
    def test_a_token_reaches_those_alone_that_may_ask_with_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token: str
    ) -> None:
        monkeypatch.setenv(token, "hunter2")
        assert "hunter2" not in Runner().run(("env",)).stdout
        # kubectl and helm start plugins of a kubeconfig, and cosign takes keys from a forge, too.
        for name in ("git", "docker-credential-x", "kubectl", "helm", "cosign"):
            (tmp_path / name).symlink_to(shutil.which("env") or "env")
            assert "hunter2" in Runner().run((tmp_path / name,)).stdout

    def test_are_kept_from_what_a_library_starts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        names = ("GITHUB_TOKEN", "VAULT_TOKEN", "GATI_REGISTRY_PASSWORD", "MINE")
        for name in names:
            monkeypatch.setenv(name, "hunter2")
        runner = Runner()
        runner.withhold("MINE")
        with runner.withholding():
            assert b"hunter2" not in subprocess.run(("env",), capture_output=True, check=True).stdout
        assert {os.environ[name] for name in names} == {"hunter2"}


class TestStart:
    def test_runs_until_the_block_ends(self, runner: Runner, tmp_path: Path) -> None:
        with runner.start(("sh", "-c", "echo up; exec sleep 60"), log=tmp_path / "log") as process:
            assert process.running()
            assert process.wait(0.1) is None
        assert not process.running()
        assert gone(process.pid)
        assert process.log_tail() == "up"

    def test_also_when_the_block_fails(self, runner: Runner, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError), runner.start(("sleep", "60"), log=tmp_path / "log") as process:
            raise RuntimeError
        assert gone(process.pid)

    def test_its_own_end_is_seen(self, runner: Runner, tmp_path: Path) -> None:
        with runner.start(("sh", "-c", "exit 5"), log=tmp_path / "log") as process:
            assert process.wait(10) == 5


class TestEnd:
    def test_ctrl_c_ends_the_child(self, tmp_path: Path) -> None:
        code = f"""\
        import signal
        from scripts.core.command import Runner
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell runs in the background
        Runner().run(("sh", "-c", "echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; exec sleep 60"))
        """
        parent = subprocess.Popen(python(code), stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[3])
        while not (tmp_path / "pid").exists():
            assert parent.poll() is None
            time.sleep(0.005)
        os.kill(parent.pid, signal.SIGINT)
        assert parent.wait(20) != 0
        assert gone(int((tmp_path / "pid").read_text()))


def test_the_end_of_a_scope_ends_what_runs_in_it_and_nothing_else(runner: Runner) -> None:
    inside, outside = Scope(), Scope()
    ended: list[str] = []

    def work(name: str, scope: Scope) -> None:
        scope.enter()
        with contextlib.suppress(CommandFailed):
            runner.run(python("import time; time.sleep(60)"))
        ended.append(name)

    threads = {name: threading.Thread(target=work, args=(name, scope)) for name, scope in
               (("inside", inside), ("outside", outside))}  # fmt: skip
    for thread in threads.values():
        thread.start()
    until(lambda: len(runner._children) >= 2, what="both to run", deadline=30)
    runner.end(inside)
    threads["inside"].join(20)
    assert ended == ["inside"]
    runner.end(outside)
    threads["outside"].join(20)
    assert ended == ["inside", "outside"]


def test_one_that_starts_while_all_ends_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left open is a warning to the collector, and so an error of this test."""
    monkeypatch.setattr(command, "stopped", lambda: True)
    with pytest.raises(Stopped):
        Runner().run(("sleep", "30"))
    gc.collect()
