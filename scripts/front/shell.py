"""Gives short flags one meaning in every task, a word that nobody knows the one that is like it, and help its room."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from typing import Any, ClassVar

from invoke.parser.argument import Argument
from invoke.parser.context import ParserContext
from invoke.program import Program
from invoke.tasks import Task

# A short flag means the same wherever it is taken.
SHORT = {
    "all": "a",
    "chart": "c",
    "dry-run": "d",
    "json": "j",
    "kube-version": "k",
    "registry": "r",
    "values": "v",
    "yes": "y",
}
_ROOM = 26  # columns, with the gaps, that a description wants


class Ours(Task[Any]):
    """A task with the short flags of `SHORT` alone: by first letters, as Invoke has it, one means many things."""

    line: ClassVar[str | None] = None
    """The command line that Invoke reads. Only tasks that are named in it have flags, of which it would copy each."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """As Invoke has it, which takes the help of flags away as it gives it: who asks twice gets it twice."""
        if self.line is not None and self.name not in self.line:
            return []
        texts = dict(self.help)
        try:
            found = super().get_arguments(ignore_unknown_help)
        finally:
            self.help = texts
        for argument in found:
            argument.raw_value = None  # Invoke's [] of a repeatable flag lets it stand without a value
        return found

    def arg_opts(self, name: str, default: str, taken_names: set[str]) -> dict[str, Any]:
        """As Invoke has it, with other names."""
        opts = super().arg_opts(name, default, taken_names)
        short = SHORT.get(opts["names"][0])
        return {**opts, "names": [opts["names"][0], *([short] if short else [])]}


_beside = Program.print_columns


def columns(program: Program, tuples: Sequence[tuple[str, str | None]]) -> None:
    """As Invoke has it, for flags and tasks and what they do: below them where a terminal has no room beside."""
    from scripts.core.words import filled

    width = shutil.get_terminal_size().columns
    if width >= max(len(name) for name, _ in tuples) + _ROOM:
        _beside(program, tuples)
        return
    for name, text in tuples:
        print(f"  {name}")
        print(filled(text or "", width, " " * 6, " " * 6))
    print()


def advice(message: str, at: ParserContext | None, initial: ParserContext, contexts: Sequence[ParserContext]) -> str:
    """What to run in place of what Invoke cannot read: with the word that is like the unknown one, or the help.

    `message` is Invoke's, `at` the task whose flags it was reading, `initial` holds Invoke's own flags.
    """
    from scripts.core.words import nearest

    _, quoted, rest = message.partition("No idea what '")
    task = at.name if at is not None else None
    if quoted:
        word = re.sub("^[\u2010-\u2015\u2212]", "--", rest.rpartition("' is!")[0])  # as a word processor writes it
        known = [str(name) for one in contexts for name in (one.name, *one.aliases)]
        if word.startswith("-"):
            known = [flag for flag in (at or initial).flags if flag.startswith("--")]
            if not task and any(word in one.flags for one in contexts):
                return f"invoke TASK {word}"  # Invoke's own flags alone come before a task
        if (other := word.lstrip("-").partition("=")[0]) in [one.name for one in contexts] and word.startswith("-"):
            return f"invoke {other}"  # `template --diff`: what it means is a task of its own
        if task == "verify" and "/" in word:
            return f"invoke verify oci://{re.sub(r'^[a-z]+:/+', '', word)}"
        if like := nearest(word, known):
            return " ".join(["invoke", *([task] if task and word.startswith("-") else []), like])
    return f"invoke --help {task}" if task else "invoke --list"
