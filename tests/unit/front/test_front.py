"""What is set as soon as anything of the front is loaded."""

from __future__ import annotations

import ast
import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from scripts.core.errors import SAME_COMMAND, USAGE
from scripts.front import release
from scripts.front.command import _GIT, Typed

_AS_INVOKE = "import sys; sys.dont_write_bytecode = True; import scripts.front; print(sys.dont_write_bytecode)"


@pytest.mark.parametrize(("asked", "kept"), [("", False), ("1", True)])
def test_what_is_compiled_is_kept_unless_the_user_forbids_it(root: Path, asked: str, kept: bool) -> None:
    """Invoke forbids it at every start, and compiling all of our modules takes longer than a release."""
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": asked}
    shown = subprocess.run([sys.executable, "-c", _AS_INVOKE], cwd=root, env=environ, capture_output=True, check=True)
    assert shown.stdout.decode().strip() == str(kept)


@pytest.mark.parametrize("words", ["--list", "version-bump --part patch", "publish --registry oci://host/path"])
def test_the_tasks_are_known_before_anything_that_they_do_is_loaded(root: Path, words: str) -> None:
    """It is what `invoke --list` and each completion of a shell wait for."""
    code = "import sys; sys.argv = sys.argv[1:]; import tasks; print(*sys.modules)"
    argv = [sys.executable, "-c", code, "invoke", *words.split()]
    loaded = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=True).stdout.split()
    ours = {name for name in loaded if name.startswith("scripts.") and not name.startswith("scripts.front")}
    assert ours <= {"scripts.core", "scripts.core.errors"}


@pytest.mark.parametrize(("called", "ends"), [("invoke", True), ("invoke/__main__.py", True), ("pytest", False)])
def test_a_ctrl_c_while_all_is_loaded_ends_invoke_as_a_signal_does(root: Path, called: str, ends: bool) -> None:
    """Invoke would make a KeyboardInterrupt an exit code of 1, which is a check's finding."""
    code = "import sys; sys.argv = sys.argv[1:]; import scripts.front, signal; signal.raise_signal(signal.SIGINT)"
    shown = subprocess.run([sys.executable, "-c", code, called], cwd=root, capture_output=True, text=True, check=False)
    assert (shown.returncode, "KeyboardInterrupt" in shown.stderr) == (-signal.SIGINT, not ends)


@pytest.mark.parametrize(("given", "left"), [("cache", "None"), ("", "None"), ("~/c", "None"), ("/c", "/c")])
def test_a_folder_of_caches_that_is_no_whole_path_is_ignored(root: Path, given: str, left: str) -> None:
    """As https://specifications.freedesktop.org/basedir-spec has it; Go refuses to run."""
    code = "import sys; sys.argv = ['invoke']; import scripts.front, os; print(os.environ.get('XDG_CACHE_HOME'))"
    environ = {**os.environ, "XDG_CACHE_HOME": given}
    argv = [sys.executable, "-c", code]
    shown = subprocess.run(argv, cwd=root, env=environ, capture_output=True, text=True, check=False)
    assert shown.stdout == f"{left}\n"


def test_progress_that_nobody_takes_stops_nothing(root: Path) -> None:
    """A clean-up that goes on says things too, when the terminal is closed, or the same Ctrl-C ended `tee`."""
    code = "from scripts.front.command import say; say('a'); say('b'); print('done')"
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    reader, unread = os.pipe()
    os.close(reader)
    for stream in (unread, os.open("/dev/full", os.O_WRONLY)):
        argv = [sys.executable, "-c", code]
        told = subprocess.run(argv, cwd=root, env=environ, stdout=subprocess.PIPE, stderr=stream, check=False)
        os.close(stream)
        assert (told.returncode, told.stdout) == (0, b"done\n")


def test_a_fault_of_ours_tells_no_secret(root: Path) -> None:
    code = """if True:
        import os, sys
        from scripts.checks import fleet
        def linted(work, **_): raise ValueError("no login: " + os.environ["GATI_REGISTRY_PASSWORD"])
        fleet.linted, sys.argv = linted, ["invoke", "lint"]
        from invoke.main import program
        program.run()"""
    environ = {**os.environ, "GATI_REGISTRY_USERNAME": "me", "GATI_REGISTRY_PASSWORD": "hunter2"}
    argv = [sys.executable, "-c", code]
    shown = subprocess.run(argv, cwd=root, env=environ, capture_output=True, text=True, check=False)
    assert shown.stderr.startswith("Traceback"), shown
    assert shown.stderr.endswith("ValueError: no login: ***\n"), shown


@pytest.mark.parametrize("text", ["a: [\n", "run: 3\n", "- a\n"])
def test_settings_that_invoke_cannot_read_are_told_in_one_line(root: Path, tmp_path: Path, text: str) -> None:
    """Those that it reads before us are its own to tell."""
    (tmp_path / "invoke.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "tasks.py").write_text("import invoke, scripts.front\nnamespace = invoke.Collection()\n")
    environ = {**os.environ, "PYTHONPATH": str(root)}
    argv = [sys.executable, "-m", "invoke", "--list"]
    shown = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr.count("\n"), shown.stderr[:15]) == (USAGE, 1, "error: invoke: ")


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("task", ["rollout", "e2e"])
def test_each_task_explains_itself(root: Path, task: str, flag: str) -> None:
    """By Invoke's own reading the flag would be the word that a task such as rollout wants."""
    argv = [sys.executable, "-m", "invoke", task, flag]
    environ = {**os.environ, "COLUMNS": "80"}
    shown = subprocess.run(argv, cwd=root, env=environ, capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stdout.partition("\n")[0]) == (
        0,
        f"Usage: inv[oke] [--core-opts] {task} [--options] [other tasks here ...]",
    )
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_a_task_has_its_flags_by_the_name_that_invoke_is_told_to_give_it(root: Path, tmp_path: Path) -> None:
    (tmp_path / ".invoke.yaml").write_text("tasks: {auto_dash_names: false}\n")
    argv, environ = [sys.executable, "-m", "invoke", "version_bump", "--part"], {**os.environ, "HOME": str(tmp_path)}
    shown = subprocess.run(argv, cwd=root, env=environ, capture_output=True, text=True, check=False)
    assert "needed value and was not given one" in shown.stderr


@pytest.mark.parametrize("width", [36, 40, 80])
def test_what_explains_a_task_has_its_room_on_any_terminal(root: Path, width: int) -> None:
    """By Invoke's own reading it stands beside the longest flag, where a narrow one has a letter's room, or none."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, width))
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    argv = [sys.executable, "-m", "invoke", "--help", "template"]
    with subprocess.Popen(argv, cwd=root, env=environ, stdout=theirs, stderr=theirs) as shown:
        os.close(theirs)
        text = ""
        with contextlib.suppress(OSError):  # at its end
            while chunk := os.read(ours, 65536):
                text += chunk.decode()
    os.close(ours)
    lines = text.split("Options:")[1].splitlines()
    assert (shown.returncode, "Render, and write nothing." in " ".join(text.split())) == (0, True)
    assert len(lines) < 40
    assert max(map(len, lines)) <= max(width, 37)  # a flag stays whole


@pytest.mark.parametrize(
    ("typed", "word"), [(b"\xff\n", "the answer was no"), (b"n\n", "the answer was no"), (b"Yes\n", "done")]
)
def test_a_question_takes_any_answer(root: Path, typed: bytes, word: str) -> None:
    ours, theirs = pty.openpty()
    code = "from scripts.front.command import demand_approval; demand_approval('Do it?', yes=False); print('done')"
    argv, environ = [sys.executable, "-c", code], {**os.environ, "PYTHONIOENCODING": "utf-8"}
    pipe, same = subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(argv, cwd=root, env=environ, stdin=theirs, stdout=pipe, stderr=same) as asking:
        os.write(ours, typed)
        told = asking.communicate(timeout=60)[0].decode()
    os.close(theirs)
    os.close(ours)
    assert word in told.splitlines()[-1], told


@pytest.mark.parametrize(
    ("words", "named"),
    [("oci://h/x", True), ("--json OCI://h/x", True), ("--registry oci://h", False), ("-r oci://h", False)],
)
def test_a_registry_is_no_reference_to_a_chart(words: str, *, named: bool) -> None:
    assert release._named(["invoke", "verify", *words.split()]) is named


def test_the_same_command_is_what_was_typed() -> None:
    """Beside it, other commands get those flags that they take."""
    typed = Typed("publish", {"json": True, "chart": "a chart", "registry": "oci://host/path", "plain_http": True})
    assert typed.pasted(f"invoke package, then {SAME_COMMAND}") == (
        "invoke package --chart 'a chart' && "  # which a shell takes as it is
        "invoke publish --json --chart 'a chart' --registry oci://host/path --plain-http"
    )
    for words in ("mend the hook", "git pull, since it is behind", "rm a.lock, once no git runs"):
        assert f"{words}, then invoke publish" in typed.pasted(f"{words}, then {SAME_COMMAND}")


def test_what_begins_as_a_command_is_one_to_its_end(root: Path) -> None:
    """A person pastes it, with whatever follows."""
    begins = rf"(?:{_GIT}|invoke |helm (?:dep|pull|push|reg|repo)|docker |gpg |cosign |export |ulimit |rm |cd )"
    prose = re.compile(rf"{begins}.*(?:, (?!then )|; (?!git )| (?:or|and|once|which|where) )")
    found = [
        f"{file.relative_to(root)}:{node.lineno}: {text}"
        for file in (root / "scripts").rglob("*.py")
        for tree in [ast.parse(file.read_text())]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant | ast.JoinedStr) and prose.match(text := _text_of(node))
    ]
    assert found == []


def _text_of(node: ast.expr) -> str:
    """A string's text, with a word for each value that it is made with."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(part) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "X"


def test_a_current_folder_that_is_gone_is_told_in_one_message(root: Path) -> None:
    gone = 'cd "$(mktemp -d)" && rmdir "$PWD" && exec "$@"'
    call = ("sh", "-c", gone, "sh", sys.executable, "-m", "invoke", "-r", str(root), "lint")
    ended = subprocess.run(call, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (4, False)
    assert "the current folder is gone" in ended.stderr
    assert "next:     cd to a folder that is there" in ended.stderr
