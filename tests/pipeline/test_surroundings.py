"""What a process is given by others, streams, signals, a locale, a home, names: it works, or says why not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.core.errors import FINDING, OUTSIDE, USAGE
from scripts.core.waiting import locked
from tests.pipeline.conftest import INVOKE, Cli, snapshot


def shell(cli: Cli, script: str, *argv: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """`invoke` as `"$@"` of a shell script."""
    words = ("sh", "-c", script, "sh", INVOKE, *argv)
    full = {**cli.env, **env}
    done = subprocess.run(words, cwd=cli.checkout, env=full, capture_output=True, text=True, check=False, timeout=90)
    assert "Traceback" not in done.stdout + done.stderr, done
    assert "Exception ignored" not in done.stdout + done.stderr, done
    return done


class TestStreams:
    @pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
    def test_that_are_closed(self, cli: Cli, closed: str) -> None:
        done = shell(cli, f'"$@" {closed}', "package", "--chart", cli.chart, "--json")
        assert done.returncode == 0, done
        assert json.loads(done.stdout)["version"] == "0.1.0"

    def test_a_question_that_nobody_can_answer(self, cli: Cli) -> None:
        argv = ("release", "--chart", cli.chart, "--registry", "oci://127.0.0.1:9/charts", "--plain-http")
        for closed in ("<&-", "</dev/null"):
            done = shell(cli, f'"$@" {closed}', *argv)
            assert done.returncode == OUTSIDE, done
            assert "error: " in done.stderr

    @pytest.mark.parametrize("argv", [("--list",), (), ("tools", "--json"), ("lint", "--help")])
    def test_that_take_nothing(self, cli: Cli, argv: tuple[str, ...]) -> None:
        """What Invoke prints itself is told as shortly as what we print."""
        full = shell(cli, '"$@" >/dev/full', *argv, PYTHONUNBUFFERED="")
        assert full.returncode == OUTSIDE, full
        assert full.stderr.count("No space left on device") == full.stderr.count("stdout") == 1, full
        unread = shell(cli, '{ "$@"; echo "status $?" >&2; } | true', *argv, PYTHONUNBUFFERED="")
        assert unread.stderr in ("status 141\n", "status 0\n"), unread

    @pytest.mark.parametrize("argv", [("tools",), ("tools", "--json"), ("--list",)])
    def test_that_can_only_be_read(self, cli: Cli, argv: tuple[str, ...]) -> None:
        done = shell(cli, '"$@" 1</dev/null', *argv)
        assert (done.returncode, done.stderr.count("stdout")) == (OUTSIDE, 1), done

    @pytest.mark.parametrize(("argv", "status"), [(("lint", "--chart", "/nowhere"), USAGE), (("lint", "--no"), USAGE)])
    def test_an_error_that_cannot_be_said_has_its_exit_code(self, cli: Cli, argv: tuple[str, ...], status: int) -> None:
        for stream in ("/dev/full", "/dev/null <&2"):
            assert shell(cli, f'"$@" 2>{stream}', *argv).returncode == status
        assert shell(cli, '"$@" 2</dev/null', *argv).returncode == status

    def test_results_that_nobody_reads(self, cli: Cli) -> None:
        done = shell(cli, '{ "$@"; echo "status $?" >&2; } | true', "package", "--chart", cli.chart)
        assert "status 141" in done.stderr or "status 0" in done.stderr, done


class TestSignals:
    @pytest.mark.parametrize(
        ("number", "status"),
        [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    )
    def test_the_exit_code_says_which_one(self, cli: Cli, number: signal.Signals, status: int) -> None:
        process = cli.start("registry", "--port", "0")
        assert process.stdout is not None
        assert process.stdout.readline().startswith("oci://127.0.0.1:")
        process.send_signal(number)
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == status, stderr
        assert "Traceback" not in stderr

    def test_what_who_starts_us_ignores_or_blocks_is_heeded(self, cli: Cli) -> None:
        values = cli.chart.with_name("refused.yaml")
        values.write_text("image: text\n", encoding="utf-8")
        left = "signal(SIGCHLD, SIG_IGN), pthread_sigmask(SIG_BLOCK, [SIGTERM]), os.execv(sys.argv[1], sys.argv[1:])"
        start = (sys.executable, "-c", f"import os, sys; from signal import *; {left}", INVOKE)
        words = (*start, "template", "--chart", cli.chart, "--values", values)
        done = subprocess.run(words, cwd=cli.checkout, env=cli.env, capture_output=True, text=True, timeout=90)
        assert done.returncode == FINDING, done
        argv = (*start, "registry", "--port", "0")
        with subprocess.Popen(argv, cwd=cli.checkout, env=cli.env, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("oci://127.0.0.1:")
            process.terminate()
            try:
                assert process.wait(timeout=20) == 143
            finally:
                process.kill()

    def test_the_registry_ends_when_its_server_died(self, cli: Cli) -> None:
        process = cli.start("registry", "--port", "0")
        assert process.stdout is not None
        assert process.stdout.readline().startswith("oci://127.0.0.1:")
        served = os.fsencode(cli.registry)
        (number,) = [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if served in words(path)]
        os.kill(int(number), signal.SIGKILL)
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == OUTSIDE, stderr
        assert "error: the embedded registry ended" in stderr
        assert "Traceback" not in stderr


def words(cmdline: Path) -> list[bytes]:
    """The command line of a process; nothing where it has ended."""
    try:
        return cmdline.read_bytes().split(b"\0")
    except OSError:
        return []


class TestLocale:
    """`C` without its usual exceptions stands for every locale that is not UTF-8: it reads and writes ASCII."""

    BARE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}  # noqa: RUF012

    @pytest.mark.parametrize("task", ["lint", "template", "kubeconform-check", "package", "release"])
    def test_files_are_utf_8_everywhere(self, cli: Cli, task: str) -> None:
        text = (cli.chart / "Chart.yaml").read_text(encoding="utf-8")
        text = text.replace("description: A", "description: Ünïcödé → A")
        (cli.chart / "Chart.yaml").write_text(text, encoding="utf-8")
        with (cli.chart / "values.yaml").open("a", encoding="utf-8") as file:
            file.write("words: grüße → 世界\n")
        with (cli.chart / "templates" / "NOTES.txt").open("a", encoding="utf-8") as file:
            file.write("→ ok\n")
        words = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: words}\ndata: {words: "{{ .Values.words }}"}\n'
        (cli.chart / "templates" / "words.yaml").write_text(words, encoding="utf-8")
        cli.on_chart(task).fine()
        ports = ("release.json", "release-notes.md")  # each run's registry has a port of its own
        wanted = {name: data for name, data in snapshot(cli.dist).items() if not name.endswith(ports)}
        shutil.rmtree(cli.dist)
        shutil.rmtree(cli.registry, ignore_errors=True)
        cli.on_chart(task, **self.BARE).fine()
        assert {name: snapshot(cli.dist)[name] for name in wanted} == wanted

    def test_what_the_terminal_cannot_show_is_no_failure(self, cli: Cli) -> None:
        folder = cli.chart.with_name("größe→")
        cli.chart.rename(folder)
        told = cli("lint", "--chart", folder, PYTHONIOENCODING="ascii")
        assert told.status == 0, told


class TestPlaces:
    @pytest.mark.parametrize("name", ["a,b", 'a"b', "a'b", "a b", 'a,"b'])
    def test_folders_and_values_of_any_name(self, cli: Cli, tmp_path: Path, name: str) -> None:
        folder = tmp_path / name
        folder.mkdir()
        chart = cli.chart.rename(folder / "chart")
        values = folder / f"values {name}.yaml"
        values.write_text("replicaCount: 3\n", encoding="utf-8")
        dist = folder / "dist"
        for task in ("lint", "template", "kubeconform-check"):
            cli(task, "--chart", chart, "--values", values, GATI_DIST=str(dist)).fine()
        (folder / "t\nmp").mkdir()
        places = {"GATI_DIST": dist, "GATI_EMBEDDED_REGISTRY": folder / "registry", "TMPDIR": folder / "t\nmp"}
        cli("release", "--chart", chart, **{key: str(place) for key, place in places.items()}).fine()
        assert list((folder / "t\nmp").iterdir()) == []

    def test_no_home(self, cli: Cli) -> None:
        done = shell(cli, 'env -u HOME -u XDG_CONFIG_HOME "$@"', "package", "--chart", cli.chart)
        assert done.returncode == 0, done

    def test_a_complete_cache_that_cannot_be_written(self, cli: Cli) -> None:
        cache = Path(cli.env["GATI_CACHE_DIR"])
        apart = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
        mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"'
        if subprocess.run([*apart, mount, cache], capture_output=True, check=False).returncode != 0:
            pytest.skip("no file system can be mounted here")
        cli.on_chart("release").fine()  # so that the cache is complete
        for task in ("lint", "kubeconform-check", "release", "tools"):
            chart = () if task == "tools" else ("--chart", cli.chart)
            argv = [*apart, f'{mount} && shift 0 && exec "$@"', cache, INVOKE, task, *chart]
            done = subprocess.run(
                argv, cwd=cli.checkout, env=cli.env, capture_output=True, text=True, check=False, timeout=90
            )
            assert done.returncode == 0, done
            assert "Traceback" not in done.stderr


class TestSecrets:
    def test_a_login_in_the_address_is_refused_and_not_repeated(self, cli: Cli) -> None:
        for argv, env in (
            (("--registry", "oci://me:hunter2@example.org/charts"), {}),
            ((), {"GATI_REGISTRY": "oci://me:hunter2@example.org/charts"}),
        ):
            told = cli.on_chart("publish", *argv, **env)
            assert "holds a login" in told.refused("GATI_REGISTRY_PASSWORD")
            assert "hunter2" not in told.stdout + told.stderr
        for address in ("oci://me:hunter2@example.org/charts/made:0.1.0", "https://me:hunter2@example.org/made.tgz"):
            told = cli.on_chart("diff", "--from", address)
            assert "hunter2" not in told.refused("holds a login")

    def test_the_password_is_in_nothing_that_is_told(self, cli: Cli) -> None:
        env = {"GATI_REGISTRY_USERNAME": "me", "GATI_REGISTRY_PASSWORD": "chart.yaml"}
        (cli.chart / "values.yaml").write_text("a: [\n", encoding="utf-8")
        (cli.chart / "chart.yaml").write_text("", encoding="utf-8")
        told = cli("--echo", "lint", "--chart", cli.chart.parent / "chart.yaml", **env)
        assert told.status == USAGE
        assert "***" in told.stderr
        assert "chart.yaml" not in told.stderr


class TestTwoAtOnce:
    @pytest.mark.parametrize("task", ["version-bump", "release"])
    def test_the_second_says_who_has_the_project_and_waits(self, cli: Cli, root: Path, task: str) -> None:
        part = ("--part", "patch", "--allow-dirty") if task == "version-bump" else ()
        (cli.chart / "gati.toml").write_text("", encoding="utf-8")  # a project of its own
        with locked(cli.chart, what="the test", deadline=0):
            process = cli.start(task, "--chart", cli.chart, *part)
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.startswith(f"waiting for process {os.getpid()}, which has the version in "), line
            assert process.poll() is None
        process.communicate(timeout=90)
        assert process.returncode == 0


@pytest.mark.parametrize("words", [["lint"], ["--list"], []])
def test_another_system_is_told_in_one_line(cli: Cli, words: list[str]) -> None:
    lacking = ["SIGCHLD", "SIGHUP", "SIGQUIT", "SIGPIPE", "SIG_SETMASK", "pthread_sigmask"]
    code = "import invoke.main, signal, sys; sys.platform = 'win32'; sys.modules['fcntl'] = None; "
    code += f"[delattr(signal, name) for name in {lacking}]; "
    code += f"sys.argv = ['invoke', *{words}]; invoke.main.program.run()"
    argv = (sys.executable, "-c", code)
    done = subprocess.run(argv, cwd=cli.checkout, env=cli.env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == OUTSIDE, done
    assert done.stderr.splitlines() == [
        "error: this toolkit needs a POSIX system: run it in WSL, a container or a virtual machine"
    ]
