"""YAML of any origin is read, or refused in bounded time: it never crashes, hangs or fills the memory."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml

from scripts.core.yaml_read import compose, dump, load, load_merged, load_texts, loader
from scripts.workspace import Workspace

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_values_and_texts() -> None:
    assert load("v: 1.10\nd: yes") == {"v": 1.1, "d": True}
    assert load_texts("v: 1.10\nd: yes") == {"v": "1.10", "d": "yes"}
    assert load("") is None
    assert load("\ufeffä: 1".encode()) == {"ä": 1}
    assert load("a: &x [1]\nb: *x") == {"a": [1], "b": [1]}


def test_an_anchor_may_be_set_anew() -> None:
    assert load("a: &x {k: 1}\nb: *x\nc: &x [2]\nd: *x\n") == {"a": {"k": 1}, "b": {"k": 1}, "c": [2], "d": [2]}
    assert load_merged("a: &x 1\nb: &x 2\n---\nc: &x 3\nd: *x\n") == {"a": 1, "b": 2, "c": 3, "d": 3}
    assert compose("a: &x 1\nb: &x 2\n") is not None
    for text, told in (("c: *y", "undefined alias"), ("c: " + "[" * 450 + "]" * 450, "too deep")):
        with pytest.raises(yaml.YAMLError, match=told):
            load(f"a: &x 1\nb: &x 2\n{text}\n")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("a: 1\n", {"a": 1}),
        ("---\na: {b: 1, c: 1}\n---\n---\na: {c: 2}\nd: 3\n", {"a": {"b": 1, "c": 2}, "d": 3}),
        ("a: 1\n---\n[1]\n", [1]),
        ("[1]\n---\na: 1\n", [1]),
    ],
)
def test_documents_are_laid_over_each_other(text: str, found: object) -> None:
    assert load_merged(text) == found


def load_all(text: str) -> list[object]:
    return [*yaml.load_all(text, loader())]


@pytest.mark.parametrize("read", [load, load_merged, load_texts, compose, load_all])
@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "{a: " * 200_000,
        "- " * 200_000 + "x",
        "".join(f"{' ' * n}a:\n" for n in range(2000)),
        "[\n" * 9000,
    ],
    ids=["lists", "maps", "compact", "indented", "a line each"],
)
def test_what_is_nested_deep_is_refused(read: object, text: str) -> None:
    begin = time.process_time()
    with pytest.raises(yaml.YAMLError):
        read(text)  # type: ignore[operator]
    assert time.process_time() - begin < 10


@pytest.mark.parametrize("read", [load, load_texts])
@pytest.mark.parametrize("text", [BOMB, "&a [*a, *a]"], ids=["a bomb", "itself"])
def test_what_stands_for_too_much_is_refused(read: object, text: str) -> None:
    with pytest.raises(yaml.YAMLError, match=r"stand for too much|recursive"):
        read(text)  # type: ignore[operator]


def test_what_merges_into_too_much_is_refused() -> None:
    levels = "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))
    begin = time.process_time()
    with pytest.raises(yaml.YAMLError, match="stand for too much"):
        load("a0: &a0 {k: v}\n" + levels)
    assert time.process_time() - begin < 10
    assert load("a: &a {k: v}\nb: {<<: [*a, *a], l: w}") == {"a": {"k": "v"}, "b": {"k": "v", "l": "w"}}
    assert load("a: &a\n  <<: *a\n  k: v") == {"a": {"k": "v"}}


def test_a_tag_changes_no_kind_and_fails_as_yaml() -> None:
    assert load("a: !!timestamp 9999-99-99\nb: !!int x") == {"a": "9999-99-99", "b": "x"}
    assert load("!!binary aGk=: 1") == {"\"b'hi'\"": 1}
    assert load("a: !own 5\nb: !own [1, {c: !own d}]\n") == {"a": "5", "b": [1, {"c": "d"}]}  # which helm passes over
    for tag in ("int", "float", "bool", "timestamp"):
        with pytest.raises(yaml.YAMLError):
            load(f"a: !!{tag} [1]")


def test_many_brackets_are_no_depth() -> None:
    assert load("a:\n" + "- [{}]\n" * 2000)["a"][1999] == [{}]


def test_what_is_no_utf_8_is_refused() -> None:
    with pytest.raises(yaml.YAMLError, match="not UTF-8 text: byte 4 is 0xe4"):
        load(b"a: \xe4")


# What people write without quotes: two rows of each kind, and some that look like one and are none.
PLAIN = (
    *("=", "y", "Y", "n", "N", "yes", "off", "On", "tRue", "~", "null", "Null", "nULL"),
    *("1:30", "190:20:30", "1:30.5", "2001-01-01", "2001-01-01T00:00:00Z", "1.2.3", ".", "+", "1e", "0x", "0b2", "_1"),
    *("1e3", "1E3", "1e+3", "5.", ".5", "+.5", "-.5", "0.1e-7", "1e400", "1.10", "1.5_0"),
    *("+1", "-0", "017", "-017", "08", "0o17", "0O17", "0b11", "-0b11", "0x1F", "1_000", "1__0", "12345678901234"),
)


def test_what_is_written_is_read_as_it_was() -> None:
    values = [*PLAIN, {text: text for text in PLAIN}, 1, 1.5, -1e300, True, None, "ä", "", " ", "a\nb"]
    assert load(dump(values)) == values


def test_plain_scalars_are_what_helm_takes_them_for(work: Workspace, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: plain\nversion: 0.1.0\n")
    (tmp_path / "templates" / "all.yaml").write_text("all: {{ list .Values.all .Values.keys | toJson }}")
    keys = "keys: {y: 1, 017: 2, 1.50: 3, off: {no: 4}}\n"  # and texts are what keys become
    (tmp_path / "values.yaml").write_text("all:\n" + "".join(f"- {text}\n" for text in PLAIN) + keys)
    rendered = work.helm.template(tmp_path, release="plain", namespace="plain")
    taken, named = json.loads(rendered[rendered.index("[") :])
    ours = load((tmp_path / "values.yaml").read_text())["all"]
    assert load(keys)["keys"] == named
    told = {
        text: (value, theirs)
        for text, value, theirs in zip(PLAIN, ours, taken, strict=True)
        if value != theirs or isinstance(value, bool) != isinstance(theirs, bool)
    }
    assert told == {}


def test_what_is_read_is_the_readers_own() -> None:
    load("a: [1]")["a"].append(2)
    assert load("a: [1]") == {"a": [1]}
