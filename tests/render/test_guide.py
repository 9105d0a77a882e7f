"""docs/deployment.md: its recipes render, its commands exist, and the keys it names are the chart's."""

from __future__ import annotations

import functools
import re
import shlex

import pytest
import yaml

from scripts.core.command import Runner
from tests.render.figures import at
from tests.render.guide import GUIDE, blocks, commands
from tests.render.harness import NEWEST, OLDEST, render_error, render_text, tool
from tests.render.schema_values import DEFAULTS
from tests.render.valid import findings


def words_of(program: str) -> list[list[str]]:
    """The commands of one program in the guide, as argument lists; a pipe ends a command."""
    return [
        shlex.split(part)
        for line in commands()
        for part in re.split(r"\s\|\s", line)
        if part.strip().startswith(f"{program} ")
    ]


@functools.cache
def flags(*words: str) -> str:
    """What a program says of the flags of a subcommand."""
    program, *rest = words
    return Runner().run([tool(program), *rest, "--help"]).stdout


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_recipes_validate(version: str) -> None:
    recipes = [yaml.safe_load(block) for block in blocks("yaml")]
    assert len(recipes) >= 8
    renders = [render_text(recipe, kube_version=version) for recipe in recipes]
    assert findings(renders, version) == [[] for _ in renders]


@pytest.mark.parametrize("name", ["values-dev.yaml", "values-staging.yaml", "values-prod.yaml"])
def test_recipes_go_over_each_environment(name: str) -> None:
    for block in blocks("yaml"):
        assert render_text(yaml.safe_load(block), values_files=(name,))


def test_every_stage_of_a_release_has_its_command() -> None:
    stages = {words[1] for words in words_of("helm")}
    assert {"upgrade", "test", "rollback", "uninstall", "history", "template"} <= stages


@pytest.mark.parametrize("words", words_of("helm"), ids=" ".join)
def test_helm_knows_the_command(words: list[str]) -> None:
    known = flags("helm", words[1])
    for flag in (word.partition("=")[0] for word in words if word.startswith("--")):
        assert re.search(rf"(?m)^ .*{flag}\b", known), flag


def test_upgrades_wait_and_go_back_when_they_fail() -> None:
    upgrades = [words for words in words_of("helm") if words[1] == "upgrade"]
    assert upgrades
    for words in upgrades:
        assert {"--install", "--wait", "--rollback-on-failure", "--timeout"} <= set(words)


def test_keys_are_those_of_the_chart() -> None:
    named = {
        tuple(key.split("."))
        for key in re.findall(r"`([A-Za-z]+(?:\.[A-Za-z_]+)+)(?:: [^`]*)?`", GUIDE)
        if key.split(".")[0] in DEFAULTS
    }
    assert len(named) >= 20
    missing = [
        ".".join(path)
        for path in sorted(named)
        if not isinstance(parent := at(DEFAULTS, *path[:-1]), dict) or path[-1] not in parent
    ]
    assert not missing


def test_set_options_render() -> None:
    for words in words_of("helm"):
        chosen = [words[index + 1] for index, word in enumerate(words) if word == "--set"]
        for choice in chosen:
            path, _, _ = choice.partition("=")
            assert at(DEFAULTS, *path.split(".")) is not None, path


def test_refusals_are_quoted_as_they_are() -> None:
    for values, said in (
        ({"ingress": {"replicaCoun": 1}}, "values don't meet the specifications of the schema(s)"),
        ({"commonLabels": {"app.kubernetes.io/name": "x"}}, "sets app.kubernetes.io/name, a selector label"),
        ({"keda": {"enabled": True, "renderMode": "fail"}}, "which the cluster does not serve"),
    ):
        assert said in render_error(values)
        assert said in GUIDE
