"""What the tests remember of helm is what helm says: keyed by content, refusals too, never where chance decides."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts.core.command import Result
from scripts.core.config import Config
from scripts.core.errors import CommandFailed
from scripts.toolchain.finder import Toolchain
from tests.remembered import Remembering


@pytest.fixture
def chart(config: Config, tmp_path: Path) -> Path:
    return Path(shutil.copytree(config.chart, tmp_path / "chart"))


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    return tmp_path / "answers"


def ask(folder: Path, toolchain: Toolchain, chart: Path, *words: str, stdin: str = "{}") -> Result:
    helm = toolchain.path("helm")
    return Remembering(folder).run((helm, "template", "x", chart, "--values", "-", *words), stdin=stdin)


def kept(folder: Path) -> int:
    return len(list(folder.glob("*/*")))


def test_the_same_question_is_asked_once_from_any_folder(
    answers: Path, toolchain: Toolchain, chart: Path, tmp_path: Path
) -> None:
    first = ask(answers, toolchain, chart)
    twin = Path(shutil.copytree(chart, tmp_path / "twin"))
    assert ask(answers, toolchain, twin).stdout == first.stdout
    assert kept(answers) == 1
    assert "kind: Deployment" in first.stdout


def test_another_question_is_another(answers: Path, toolchain: Toolchain, chart: Path) -> None:
    ask(answers, toolchain, chart)
    ask(answers, toolchain, chart, "--kube-version", "1.30.0")
    ask(answers, toolchain, chart, stdin='{"ingress": {"replicaCount": 3}}')
    template = chart / "templates" / "NOTES.txt"
    template.write_text(f"{template.read_text()}more\n")
    ask(answers, toolchain, chart)
    (chart / "templates" / "more.yaml").write_text("")
    ask(answers, toolchain, chart)
    assert kept(answers) == 5


def test_a_refusal_is_remembered_with_the_folder_of_the_one_who_asks(
    answers: Path, toolchain: Toolchain, chart: Path, tmp_path: Path
) -> None:
    twin = Path(shutil.copytree(chart, tmp_path / "twin"))
    told = []
    for one in (chart, twin):
        with pytest.raises(CommandFailed) as refused:
            ask(answers, toolchain, one, stdin='{"nothing": {"of": "the kind"}}')
        told.append(refused.value.stderr.replace(str(one), "CHART"))
    assert kept(answers) == 1
    assert told[0] == told[1]
    assert "nothing" in told[0]


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A chart of another name."""
    chart = tmp_path / "other"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: other\nversion: 1.0.0\n")
    (chart / "templates" / "map.yaml").write_text("kind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\n")
    return chart


def test_another_chart_and_its_lint_are_remembered(answers: Path, toolchain: Toolchain, other: Path) -> None:
    assert "name: 'x'" in ask(answers, toolchain, other).stdout
    assert "name: 'x'" in ask(answers, toolchain, other).stdout
    told = [Remembering(answers).run((toolchain.path("helm"), "lint", other)).stdout for _ in range(2)]
    assert told[0] == told[1]
    assert str(other) in told[0]
    assert kept(answers) == 2


def test_what_was_packed_is_written_again(answers: Path, toolchain: Toolchain, other: Path, tmp_path: Path) -> None:
    helm, made = toolchain.path("helm"), []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        argv = (helm, "package", other, "--destination", folder)
        told = Remembering(answers).run(argv, env={"SOURCE_DATE_EPOCH": "0"})
        assert told.stdout.endswith(f"{folder}/other-1.0.0.tgz\n")
        made.append((folder / "other-1.0.0.tgz").read_bytes())
    assert made[0] == made[1]
    assert kept(answers) == 1


def test_what_may_name_a_file_among_other_things_is_asked_every_time(
    answers: Path, toolchain: Toolchain, other: Path, tmp_path: Path
) -> None:
    (tmp_path / "a,b").write_text("{}")
    for words in (("--values", f'"{tmp_path}/a,b"'), ("--set-file", f"a={other}/Chart.yaml")):
        assert "name: 'x'" in ask(answers, toolchain, other, *words).stdout
    assert kept(answers) == 0


def test_what_a_flag_sets_is_a_part_of_the_question(answers: Path, toolchain: Toolchain, other: Path) -> None:
    (other / "templates" / "more.yaml").write_text("kind: ConfigMap\nmetadata: {name: '{{ .Values.a }}'}\n")
    for value in ("b={c}", "b={c}", '"d,e"'):
        assert f"name: '{value}'" in ask(answers, toolchain, other, "--set-literal", f"a={value}").stdout
    assert kept(answers) == 2


def test_a_folder_that_an_answer_may_spell_otherwise_is_asked_about_every_time(
    answers: Path, toolchain: Toolchain, other: Path, tmp_path: Path
) -> None:
    ask(answers, toolchain, other.rename(tmp_path / "a\nb"))
    assert kept(answers) == 0


def test_an_answer_stands_for_the_place_from_which_it_was_asked(
    answers: Path, toolchain: Toolchain, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, word in ((other, "."), (other.parent, "other")):
        monkeypatch.chdir(folder)
        assert "# Source: other/templates/map.yaml" in ask(answers, toolchain, Path(word)).stdout
    assert kept(answers) == 2


@pytest.mark.parametrize("word", ["randAlphaNum 5", "now", "htmlDate .a", "genCA `a` 1", 'lookup "v1" "Pod" "a" "b"'])
def test_a_chart_that_asks_for_chance_is_asked_every_time(
    answers: Path, toolchain: Toolchain, other: Path, word: str
) -> None:
    (other / "templates" / "more.txt").write_text(f"# {{{{ if false }}}}{{{{ {word} }}}}{{{{ end }}}}\n")
    ask(answers, toolchain, other)
    assert kept(answers) == 0


def test_a_chart_that_tells_of_chance_in_words_is_remembered(answers: Path, toolchain: Toolchain, other: Path) -> None:
    (other / "values.yaml").write_text("# A name is generated, and its end is random.\nname:\n")  # as of `helm create`
    ask(answers, toolchain, other)
    assert kept(answers) == 1


def test_other_programs_are_asked_every_time(answers: Path, toolchain: Toolchain) -> None:
    Remembering(answers).run((toolchain.path("helm"), "version"))
    assert kept(answers) == 0


def test_nothing_is_remembered_while_everything_is_asked_afresh(
    answers: Path, toolchain: Toolchain, chart: Path
) -> None:
    runner = Remembering(answers)
    argv = (toolchain.path("helm"), "template", "x", chart)
    runner.run(argv)
    (file,) = answers.glob("*/*")
    file.write_bytes(b"spoilt")
    with runner.afresh():
        assert "kind: Deployment" in runner.run(argv).stdout
    assert file.read_bytes() == b"spoilt"
    assert "kind: Deployment" in runner.run(argv).stdout, "what cannot be read is asked again"
    assert file.read_bytes() != b"spoilt"
