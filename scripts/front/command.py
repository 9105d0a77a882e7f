"""Owns what every task does: open the workspace, print what comes back or why it failed, ask, and stop.

What prints, prompts and exits stands here.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import select
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit, ParseError
from invoke.program import Program
from invoke.tasks import task

from scripts import front
from scripts.front.shell import Ours, advice, columns

if TYPE_CHECKING:
    from scripts.chart.source import Chart
    from scripts.core.errors import ReleaseError
    from scripts.core.progress import Board
    from scripts.present import Answer, View
    from scripts.workspace import Workspace

    Shown = Generator[Answer | View | str, None, None]
    """What a task yields: each is printed as it comes; with `--json` the last one alone, as JSON."""

ROOT = Path(__file__).resolve().parents[2]
_GIT = (  # of what is to be run: in prose the name of a thing follows
    r"\bgit (?=(?:add|am|branch|checkout|cherry-pick|clean|commit|config|fetch|fsck|lfs|log|ls-remote|merge|pull|push"
    r"|rebase|reset|revert|show|sparse-checkout|stash|submodule|switch|tag|update-index)\b(?! --global))"
)
_ONE_BY_ONE = re.compile(r"(?:(?:git|invoke|helm|rm|cd|export|ulimit) (?:(?!, |; ).)+(?:, then |$)){2,}", re.DOTALL)
Many = list[str] | None  # a repeatable flag: invoke gives the list, and makes one only where the default is None
CHART = ("chart",)
REGISTRY = ("chart", "registry", "plain_http")
_KEYS: dict[str, tuple[str, ...]] = {}  # by task, the flags of it that go into the configuration
HELP = {
    "chart": "Chart folder (default: [tool.gati] chart).",
    "registry": "oci://host/path where the charts are (default: [tool.gati] registry; empty: the embedded one).",
    "plain_http": "Speak HTTP to a registry that is not on loopback.",
    "json": "Print JSON for a machine to read.",
    "values": "A further values file, beside the chart's own; repeatable.",
    "all_": "Every chart of [tool.gati] charts, side by side.",
    "changed": "The charts that differ from the merge base with this revision, and those that depend on them.",
    "kube_version": "Only this Kubernetes minor (1.30); repeatable.",
    "scenario": "Only this scenario; repeatable (--dry-run names them).",
    "keep_cluster": "Keep the kind cluster for the next run, which finds it ready.",
    "dry_run": "Only show what would be done.",
}


def command(
    name: str | None = None,
    *,
    keys: tuple[str, ...] = (),
    working_on: str = "",
    at_once: bool = False,
    positional: tuple[str, ...] | None = None,
    apart: tuple[str, ...] = (),
    example: str = "",
    **helps: str,
) -> Callable[[Callable[..., Shown]], Ours]:
    """Makes a task of a generator `body(work, ...flags)`; `keys` are flags that go into the configuration instead.

    `example` are words that may follow the task's name, to end its help with.
    What it yields is printed. `working_on` says on a terminal what the time goes into; `at_once` prints JSON before
    the task has ended. `positional` may be given without a flag, which is by Invoke's rule what has no default. Of the
    flags in each text of `apart` one may be given. An expected failure becomes its message and exit code, Ctrl-C 130.
    """

    def decorate(body: Callable[..., Shown]) -> Ours:
        work, *own = inspect.signature(body).parameters.values()
        kind = inspect.Parameter.KEYWORD_ONLY
        flags = [inspect.Parameter("json", kind, default=False)]
        flags += [inspect.Parameter(key, kind, default=False if key == "plain_http" else None) for key in keys]
        flags += [each.replace(kind=kind) for each in own]
        bare = positional if positional is not None else [each.name for each in own if each.default is each.empty]

        @functools.wraps(body)
        def run(ctx: Context, *, json: bool, **given: Any) -> None:
            said = {"json": json, **given}
            spoken = {each.name: value for each in flags if (value := said[each.name]) not in (each.default, [])}
            typed = Typed(name or body.__name__, spoken, bare)
            overrides = {key: None if (value := given.pop(key)) is False else value for key in keys}
            show = Show(name or body.__name__, json=json, working_on=working_on, at_once=at_once)
            with told(show, typed):
                _demand_meant(ctx, apart, spoken, dry_run="dry_run" in given)
                work = _open(ctx, overrides, typed)
                front.redact = work.runner.redact
                with contextlib.closing(body(work, **given)) as steps:
                    show.all(steps, work.config.dist, work.config.chart)

        run.__doc__ = f"{inspect.getdoc(body)}\n\nExample: {f'invoke {name or body.__name__} {example}'.strip()}"
        _KEYS[name or body.__name__] = keys
        run.__signature__ = inspect.Signature([work, *flags])  # type: ignore[attr-defined]
        texts = {**HELP, **helps}
        made: Ours = task(
            klass=Ours,
            name=name or body.__name__,
            positional=bare,
            iterable=[each.name for each in flags if each.annotation == "Many"],
            help={_flag(each.name): texts[each.name] for each in flags},
        )(run)
        del made.__signature__  # type: ignore[attr-defined]  # the body has it, and Invoke copies tasks in depth
        return made

    return decorate


def _open(ctx: Context, overrides: dict[str, Any], typed: Typed) -> Workspace:
    from scripts.core.git import called
    from scripts.core.progress import plain
    from scripts.workspace import open_workspace

    def speak(text: str) -> None:
        say(plain(typed.pasted(text)))

    work = open_workspace(ROOT, say=speak, echo=say if ctx.config.run.echo else None, **overrides)
    typed.git = called(work.config.chart)
    return work


def _demand_meant(ctx: Context, apart: Iterable[str], spoken: Mapping[str, Any], *, dry_run: bool) -> None:
    """Raises UsageError for a flag that would be passed over: Invoke's --dry, what follows --, one of `apart`'s texts.

    `dry_run`: the task has a flag of its own for that.
    """
    from scripts.core.errors import SAME_COMMAND, UsageError

    if ctx.config.run.dry:
        run = f"{SAME_COMMAND} --dry-run" if dry_run else "leave out --dry, or `dry` in Invoke's settings"
        raise UsageError("--dry is Invoke's own flag, and our tasks know no such", run=run)
    if front.by_invoke() and (after := sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []):
        raise UsageError("Invoke passes over what follows --", run=f"{SAME_COMMAND} {shlex.join(after)}")
    for words in apart:
        if (both := [f"--{_flag(each)}" for each in words.split() if each in spoken])[1:]:
            raise UsageError(f"{' and '.join(both)} exclude each other", run=f"leave out {both[-1]}")


_parse = Program.parse_tasks


def demand_parsed() -> None:
    """Has Invoke end with the code of a wrong call, and with advice, where the command line names what there is not.

    By itself it would end with 1, which here is a check's finding.
    """
    if front.by_invoke():
        Ours.line = " ".join(sys.argv[1:]).replace("_", "-")  # Invoke may be told to name them with the former
        Program.print_columns = columns  # type: ignore[assignment, method-assign]
        Program.parse_tasks = _parsed  # type: ignore[assignment, method-assign]


def _parsed(program: Program) -> None:
    tasks, core = program.collection, program.core
    match core.unparsed:
        case [str(name), "--help" | "-h"] if name in tasks.task_names and tasks[name].positional:
            core.unparsed.clear()  # or it would be the word that the task wants
            program.args["help"].value = name
    try:
        _parse(program)
        asked, listed, form, named = (program.args[name].value for name in ("help", "list", "list-format", "config"))
        if named and not Path(os.path.expanduser(named)).is_file():  # noqa: PTH111 - Invoke's; it passes over such a one
            raise ParseError(f"--config {named} cannot be used: there is no such file")
        if isinstance(listed, str) or form not in ("flat", "nested", "json"):
            raise ParseError(f"No idea what {listed if isinstance(listed, str) else form!r} is!")
        if isinstance(asked, str):
            if asked not in tasks.task_names:
                raise ParseError(f"No idea what {asked!r} is!")
            from scripts.core.words import filled

            width, text = shutil.get_terminal_size().columns - 2, inspect.cleandoc(tasks[asked].__doc__ or "")
            tasks[asked].__doc__ = "\n\n".join(filled(one, width) for one in text.split("\n\n"))  # printed as it stands
    except (ParseError, ValueError) as error:  # the latter, of Invoke's own flags, comes as Python says it
        from scripts.core.errors import UsageError

        at, said = getattr(error, "context", None), str(error)
        said = said if isinstance(error, ParseError) else f"-T and -D want a whole number: {said}"
        task, Ours.line = at.name if at is not None else None, None
        words = re.sub(r"<\w+: ([\w-]+)[^>]*>", lambda found: f"--{_flag(found[1])}", said)
        contexts, run = tasks.to_contexts(), "invoke --help"
        run = advice(said, at, program.initial_context, contexts) if isinstance(error, ParseError) else run
        if {"--help", "-h"} & set(sys.argv):  # who asks what a task does is not told to run it
            run = re.sub(r"^invoke ([a-z][\w-]*)$", r"invoke --help \1", run)
        flags = [(word, at.flags[word]) for word in sys.argv if word in at.flags] if at is not None else ()
        twice = [word for word, of in flags if of.takes_value and of.kind is not list and sys.argv.count(word) > 1]
        refusal = UsageError(words, expected=f"{twice[0]} once" if twice else None, run=run)
        show = Show(task or "", json=bool({"--json", "-j"} & set(sys.argv)), working_on="", at_once=False)
        show.end(refusal)
        raise Exit(f"error: {refusal}", code=refusal.code) from None


class Typed:
    """The task that was called and the flags that were given, so that what is said to be run next has them as well.

    Those in `bare` need not be named. `git` is how git is called for the chart's repository.
    """

    git = "git"

    def __init__(self, name: str, flags: Mapping[str, Any], bare: Iterable[str] = ()) -> None:
        self._name, self._flags, self._bare = name, flags, tuple(bare)

    def pasted(self, text: str) -> str:
        """`text` with whole command lines: what was typed, and its flags where another task of ours takes them.

        What is nothing but such lines, one after the other, is one that a shell takes.
        """
        from scripts.core.errors import SAME_COMMAND

        text = re.sub(_GIT, lambda _: f"{self.git} ", text)
        text = _completed(text, self._flags, self._bare)
        text = text.replace(SAME_COMMAND, " ".join(["invoke", self._name, *_words(self._flags, self._bare)]))
        return text.replace(", then ", " && ") if _ONE_BY_ONE.fullmatch(text) else text

    def corrected(self, failure: ReleaseError) -> str | None:
        """What to run in place of a call that cannot be meant: its wrong word replaced, or the help."""
        from scripts.core.errors import USAGE
        from scripts.core.words import nearest

        if failure.code != USAGE:
            return None
        line, said = " ".join(_words(self._flags, self._bare)), f"{failure.message} {failure.found}"
        known = re.findall(r"[a-z][\w-]{2,}", failure.expected or "")  # shorter ones are those of a sentence
        words = [each for each in re.findall(r"[^ ,:']+", line) if each in said]
        for word in words:
            if not word.startswith("-") and word not in known and (like := nearest(word, known)):
                return f"invoke {self._name} " + re.sub(rf"(?<![^ ,]){re.escape(word)}(?![^ ,:])", like, line)
        return f"invoke --help {self._name}" if words else None


def _completed(text: str, flags: Mapping[str, Any], bare: Collection[str] = ()) -> str:
    """`text`, whose command lines of ours have those of `flags`, too, that their tasks take; `bare` are not named."""

    def line(found: re.Match[str]) -> str:
        taken = _KEYS.get(found[1], ())
        own = {key: value for key, value in flags.items() if key in taken and f"--{_flag(key)}" not in found[2]}
        return " ".join([found[0], *_words(own, bare)])

    return re.sub(r"\binvoke ([a-z][\w-]*)((?: --[\w-]+(?:[ =][^\s,;`]+)?)*)", line, text)


def for_each(told: Iterable[tuple[Chart, ReleaseError | None]]) -> None:
    """Has the error of each of several charts name its own in what is to be run next."""
    from scripts.core.paths import shown

    for chart, error in told:
        if error is not None and error.run:
            error.run = _completed(error.run, {"chart": shown(chart.path)})


def _words(flags: Mapping[str, Any], bare: Collection[str]) -> Iterator[str]:
    for key, value in flags.items():
        if isinstance(value, bool):
            yield f"--{_flag(key)}" if value else f"--no-{_flag(key)}"
        else:
            for each in value if isinstance(value, list) else [value]:
                word = shlex.quote(str(each))
                yield word if key in bare else f"--{_flag(key)} {word}"


def _flag(parameter: str) -> str:
    return parameter.rstrip("_").replace("_", "-")


class Show:
    """Prints what a task yields, for a person as it comes, for a machine as one JSON value."""

    def __init__(self, name: str, *, json: bool, working_on: str, at_once: bool) -> None:
        self._name = name
        self._json, self._working_on, self._at_once = json, working_on, at_once
        self._answer: Answer | View | str | None = None

    @property
    def answered_at_once(self) -> bool:
        """Whether a machine has its answer, of a task that goes on until it is stopped."""
        return self._at_once and self._answer is not None

    def all(self, steps: Shown, dist: Path, chart: Path) -> None:
        """Print each of `steps`, and what a CI system around us shows of it of a `chart`; in `dist` it finds files."""
        from scripts.core.paths import shown
        from scripts.front import ci_log

        around = "" if self._json else ci_log.system()
        try:
            with ci_log.grouped(self._name, say, of=around):
                self._each(steps)
        finally:
            marks = getattr(self._answer, "marks", ())
            ci_log.annotate(marks, say, dist, check=f"{self._name} {shown(chart)}", of=around)

    def _each(self, steps: Shown) -> None:
        from scripts import present

        while True:
            with working(self._working_on):
                self._answer, before = next(steps, None), self._answer
            if self._answer is None:
                self._answer = before
                break
            if not self._json:
                _print(present.render(self._answer))
            elif self._at_once:
                self.end()
        if not self._at_once:
            self.end()

    def end(self, error: ReleaseError | None = None) -> None:
        """Print what a machine reads: the last answer, and the failure in it or in its place."""
        if not self._json:
            return
        from scripts import present

        answer = self._answer
        records = {"text": answer} if isinstance(answer, str) else getattr(answer, "records", None)
        text = present.to_json(records if error is None else present.failure(error, records))
        _print(text if error is None else front.redact(text))


def _print(text: str) -> None:
    """Results, on stdout. Raises OutputError where that takes nothing, BrokenPipeError where nobody reads it."""
    from scripts.core.errors import OutputError

    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError("the results cannot be written to stdout", found=error.strerror) from error


@contextlib.contextmanager
def told(show: Show, typed: Typed) -> Iterator[None]:
    """Tells what ends the block: an expected failure by its message and exit code, a signal by 128 and its number."""
    from scripts.core.errors import OutputError, ReleaseError, unforeseen
    from scripts.core.progress import plain

    _open_streams()
    try:
        from scripts.core.interrupt import interruptible

        with interruptible(say):
            try:
                yield
            except BrokenPipeError:  # nobody reads our results any more
                front.give_up(1)
                raise Exit(code=128 + signal.SIGPIPE) from None
            except (ReleaseError, OSError, RuntimeError, MemoryError) as error:
                failure = error if isinstance(error, ReleaseError) else unforeseen(error)
                failure.run = typed.pasted(failure.run) if failure.run else typed.corrected(failure)
                failure.again = typed.pasted(failure.again)
                try:
                    show.end(failure)
                    sys.stdout.flush()
                except (OSError, OutputError):  # where results go is what is full
                    front.give_up(1)
                raise Exit(f"error: {plain(front.redact(str(failure)))}", code=failure.code) from None
    except KeyboardInterrupt as stop:
        code = 128 + getattr(stop, "number", signal.SIGINT)
        stopped = ReleaseError("stopped; what ran was ended and temporary files are gone", code=code)
        if not show.answered_at_once:
            show.end(stopped)
        raise Exit(str(stopped), code=code) from None


def _open_streams() -> None:
    """A stream that was closed becomes an empty one, and what a stream's encoding lacks is written as an escape.

    Otherwise the next file that is opened would take its number, and be written to in its place.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(number, "r+" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115
        elif number and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """One line of progress, on stderr: stdout is for results. Where nobody takes it, all goes on."""
    try:
        print(f"{text}\n", end="", file=sys.stderr, flush=True)  # in one piece: threads say things at the same time
    except OSError:
        front.give_up(2)


@contextlib.contextmanager
def working(text: str, board: Board | None = None) -> Iterator[None]:
    """While the block runs, a terminal shows `text`, that we are alive, and the rows of `board` below the lines of
    `say`; a log, also that of a CI system with a terminal, and a terminal that lacks our signs get those lines alone.
    """
    from scripts.core.config import in_ci

    if not text or not sys.stderr.isatty() or in_ci() or not sys.stderr.encoding.lower().startswith("utf"):
        yield
        return
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.text import Text

    from scripts import present
    from scripts.core.interrupt import held

    console = Console(stderr=True, soft_wrap=True)  # a path stays whole
    spinner, ended = Spinner("dots", Text(text)), False

    def drawn() -> Any:
        if ended:
            return ""  # Live draws once more as it stops
        return present.live(spinner, board.rows if board is not None else (), console.height)

    live = Live(get_renderable=drawn, console=console, refresh_per_second=4, transient=True)
    try:
        with held():  # a signal amid it would leave the terminal without its cursor
            live.start()
        yield
    finally:
        ended = True
        with held():
            live.stop()


def demand_approval(question: str, *, yes: bool) -> None:
    """Ask on the terminal whether to do what cannot be taken back; only y and yes are a yes.

    Raises UsageError where nobody can answer, ReleaseError for a no.
    """
    from scripts.core.errors import REFUSED, SAME_COMMAND, ReleaseError, UsageError

    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody can answer here.", run=f"{SAME_COMMAND} --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    while not select.select([sys.stdin], [], [], 0.5)[0]:
        pass  # a Ctrl-C at the very moment at which a read begins would not end it
    if sys.stdin.buffer.readline().strip().lower() not in (b"y", b"yes"):  # who answers may type no text at all
        raise ReleaseError("nothing was done: the answer was no", code=REFUSED)
