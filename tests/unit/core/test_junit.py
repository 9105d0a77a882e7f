"""JUnit files can be read whatever they tell."""

from __future__ import annotations

from xml.etree import ElementTree

from scripts.core.junit import Case, Suite, document


def test_a_document_counts_what_it_holds() -> None:
    suites = [
        Suite("a", (Case("x"), Case("y", ("is wrong\nin detail", "and more"), seconds=1.5)), "c", 2),
        Suite("b", ()),
    ]
    root = ElementTree.fromstring(document("all", suites).encode())
    assert (root.get("name"), root.get("tests"), root.get("failures")) == ("all", "2", "1")
    (failure,) = root.iter("failure")
    assert (failure.get("message"), failure.text) == ("is wrong", "is wrong\nin detail\nand more")
    assert [case.get("classname") for case in root.iter("testcase")] == ["c", "c"]
    assert [case.get("time") for case in root.iter("testcase")] == [None, "1.500"]


def test_control_characters_and_colours_do_no_harm() -> None:
    text = "\x1b[31mred\x1b[0m \x00\x08\x1b \ud800 \ufffe <&> \u4e16 \U0001f600"
    root = ElementTree.fromstring(document(text, [Suite(text, (Case(text, (text,), text),))]).encode())
    assert root.get("name") == "red \ufffd\ufffd\ufffd \ufffd \ufffd <&> \u4e16 \U0001f600"
    assert next(root.iter("system-out")).text == root.get("name")
