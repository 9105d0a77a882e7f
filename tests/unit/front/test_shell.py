"""Short flags mean one thing, every help has an example, and a word that nobody knows gets the one that is like it."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.parser.context import ParserContext
from invoke.program import Program
from invoke.tasks import Task

from scripts.front.shell import SHORT, advice


@pytest.fixture(scope="module")
def namespace() -> Collection:
    sys.path.insert(0, str(Path(__file__).parents[3]))
    import tasks

    return Collection.from_module(tasks)


def test_a_short_flag_means_the_same_in_every_task(namespace: Collection) -> None:
    meant: dict[str, set[str]] = {}
    for task in namespace.tasks.values():
        for argument in task.get_arguments():
            for short in argument.names[1:]:
                meant.setdefault(short, set()).add(argument.names[0])
    assert meant == {short: {name} for name, short in SHORT.items()}


def test_who_asks_twice_for_the_help_of_a_flag_gets_it_twice(namespace: Collection) -> None:
    for task in namespace.tasks.values():
        for _ in range(2):
            assert all(argument.help for argument in task.get_arguments()), task.name


def test_the_list_of_tasks_is_as_wide_as_the_terminal(
    namespace: Collection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for width in (40, 60, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        namespace["overview"].body(Context())
        told.append(capsys.readouterr().out)
        assert width == 40 or max(map(len, told[-1].splitlines())) <= width  # a word stays whole
    assert told[0].split() == told[1].split() == told[2].split()
    assert len(told[2].splitlines()) == len(namespace.tasks) + 7  # a line each, six groups, and how to go on


def test_every_help_ends_with_an_example_of_its_task(namespace: Collection) -> None:
    def last(task: Task[Any]) -> str:
        return (inspect.getdoc(task) or "").splitlines()[-1]

    for task in namespace.tasks.values():
        assert last(task).startswith(f"Example: invoke {task.name}"), task.name


def test_a_help_is_whole_sentences_that_need_none_before_them(namespace: Collection) -> None:
    for task in namespace.tasks.values():
        paragraphs = (inspect.getdoc(task) or "").split("\n\n")
        assert not [one for one in paragraphs if one.startswith(" ")], f"further in: {task.name}"
        for argument in task.get_arguments():  # which Invoke lists by the alphabet
            text = argument.help or ""
            assert text.endswith((".", ").")), (task.name, argument.name, text)
            assert not re.search(r"(?i)^the same|likewise", text), (task.name, argument.name, text)


@pytest.mark.parametrize(
    ("word", "task", "told"),
    [
        ("lnt", None, "invoke lint"),
        ("version_bump", None, "invoke version-bump"),
        ("e3e", None, "invoke e2e"),
        ("pu", None, "invoke up"),
        ("bump-version", None, "invoke version-bump"),
        ("BUMP_VERISON", None, "invoke version-bump"),
        ("dcotro", None, "invoke doctor"),
        ("--version-kube", "template", "invoke template --kube-version"),
        ("kubeconform", None, "invoke kubeconform-check"),
        ("E2E", None, "invoke e2e"),
        ("--chrt", "lint", "invoke lint --chart"),
        ("--kube-versions", "template", "invoke template --kube-version"),
        ("--dryrun", "release", "invoke release --dry-run"),
        ("--keep", "e2e", "invoke e2e --keep-cluster"),
        ("kube", None, "invoke kubeconform-check"),
        ("--kube-version", "lint", "invoke --help lint"),
        ("--DRY-RUN", "release", "invoke release --dry-run"),
        ("\u2013dry-run", "release", "invoke release --dry-run"),  # as a word processor or a chat writes the dashes
        ("--lst", None, "invoke --list"),
        ("--json", None, "invoke TASK --json"),
        ("xyzzy", None, "invoke --list"),
        ("ghcr.io/x/demo:1.0.0", "verify", "invoke verify oci://ghcr.io/x/demo:1.0.0"),
        ("oci:/ghcr.io/x/demo:1.0.0", "verify", "invoke verify oci://ghcr.io/x/demo:1.0.0"),
        ("--xyzzy", "lint", "invoke --help lint"),
        ("--diff", "template", "invoke diff"),
        ("--diff=HEAD", "template", "invoke diff"),
    ],
)
def test_the_word_that_is_like_it_is_told(namespace: Collection, word: str, task: str | None, told: str) -> None:
    contexts, initial = namespace.to_contexts(), Program().initial_context
    at: ParserContext | None = next((one for one in contexts if one.name == task), None)
    for place in [at] if at else [None, initial]:  # as Invoke has it after its own flags, and before a task
        assert advice(f"No idea what {word!r} is!", place, initial, contexts) == told


def test_what_is_no_typo_leads_to_the_help(namespace: Collection) -> None:
    contexts = namespace.to_contexts()
    at = next(one for one in contexts if one.name == "rollout")
    message = "'rollout' did not receive required positional arguments: 'verb'"
    assert advice(message, at, Program().initial_context, contexts) == "invoke --help rollout"


@pytest.mark.parametrize(
    ("task", "flags"),
    [
        ("judge", "json markdown"),
        ("diff", "json html"),
        *((task, "all_ changed") for task in ("lint", "template", "kubeconform-check", "release")),
        ("verify", "reference registry"),
        ("e2e", "kubernetes kube_context"),
        ("e2e", "selfcheck scenario"),
    ],
)
def test_flags_that_cannot_be_meant_together_are_refused(namespace: Collection, task: str, flags: str) -> None:
    body = namespace[task].body
    given = {each.name: each.default for each in list(inspect.signature(body).parameters.values())[1:]}
    one, other = (flag.rstrip("_").replace("_", "-") for flag in flags.split())
    with pytest.raises(Exit, match=f"--{one} and --{other} exclude each other") as refused:
        body(Context(), **given | dict.fromkeys(flags.split(), "x"))
    assert refused.value.code == 2
