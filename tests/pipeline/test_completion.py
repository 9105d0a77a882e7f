"""Tab completes tasks and flags in the real shells, with the lines that the documentation gives."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.pipeline.conftest import INVOKE, Cli

PAGE = Path(__file__).parents[2] / "docs" / "completion.md"
SHELLS = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "--no-config", "-i"),
}
_ANSI = re.compile(r"\x1b(?:\[[0-9;?>=]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()].|[=>])")


def documented(shell: str) -> list[str]:
    """The lines that the page tells to put into the shell's start-up file."""
    found = re.search(rf"^```{shell}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, shell
    return found[1].splitlines()


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, cli: Cli, argv: tuple[str, ...]) -> None:
        self.text = ""
        bare = {"TERM": "xterm", "PS1": "$ ", "COLUMNS": "200"}
        env = {**cli.env, **bare, "PATH": f"{Path(INVOKE).parent}{os.pathsep}{cli.env['PATH']}"}
        self._process, self._master = pty.fork()  # a terminal that the shell controls
        if self._process == 0:
            try:
                os.chdir(cli.checkout)
                os.execvpe(argv[0], argv, env)
            finally:
                os._exit(127)

    def send(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, pattern: str, deadline: float = 60) -> None:
        end = time.monotonic() + deadline
        while not re.search(pattern, self.text):
            left = end - time.monotonic()
            assert left > 0, f"{pattern} not in {self.text!r}"
            if select.select([self._master], [], [], left)[0]:
                new = os.read(self._master, 65536).decode(errors="replace")
                self.text += _ANSI.sub("", new)
                if "\x1b[c" in new or "\x1b[0c" in new:
                    self.send("\x1b[?6c")  # fish asks which terminal this is

    def close(self) -> None:
        os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._master)


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_completes_tasks_and_flags(cli: Cli, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"this machine has no {shell}")
    terminal = Terminal(cli, SHELLS[shell])
    try:
        for line in (*documented(shell), "echo rea''dy"):
            terminal.send(f"{line}\r")
        terminal.wait_for(r"ready\s")
        for typed, completed in (("invoke kubeconf", "kubeconform-check"), ("invoke lint --chan", "lint --changed")):
            terminal.text = ""
            terminal.send(f"{typed}\t")
            terminal.wait_for(completed)
            terminal.send("\x15")  # away with the line
    finally:
        terminal.close()
