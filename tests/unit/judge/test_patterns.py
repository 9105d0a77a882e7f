"""Which texts a regular expression finds something in that another one does not, held against Python's own."""

from __future__ import annotations

import functools
import itertools
import re

import pytest

from scripts.judge.patterns import beyond

PATTERNS = (
    *("^a$", "^a", "a$", "a", "^(a|b)$", "^[a-b]*$", "^$", "^a?$", "^(a+)?$", "^a+$", "^a{1,3}$", "^a{2}$", "^a{2,}$"),
    *("^a{0,2}b$", "^[^a]+$", "^(?:a|ab)(b|)$", r"^\w+$", r"^\D+$", "^[a-b0-1]+$", "^.+$", "a|^b$", "(^a|b$)"),
    *("^(^a$|^b$)$", "^(a$)$", "ab|ba", "^(ab)*$", "^[-a]+$", "^[a-]+$", r"^a\.b$", "^a.b$", r"^[\w-]+$", "^a+?$"),
    *(r"^(?:a\-?b)+$", "^(a|b|)$", "a{0,1}", "^(a{1,2}b?){1,2}$", r"^[^\w]*$", "^a*?b$", r"^\s*a\n?$"),
)
TEXTS = ["".join(signs) for length in range(6) for signs in itertools.product("ab0-.\n", repeat=length)]


@functools.cache
def found(one: str) -> set[str]:
    """The texts in which Python finds something."""
    return {text for text in TEXTS if re.search(one.replace("$", r"\Z"), text)}


@pytest.mark.parametrize("one", PATTERNS)
def test_what_is_found_in_other_texts(one: str) -> None:
    for other in PATTERNS:
        if beyond(one, other) != bool(found(one) - found(other)):
            assert beyond(one, other), "a text tells"
            assert re.search(r"\\w|\\D|\^\]|\[\^|\.", one), f"{one} and {other}: a text of other signs than those here"


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("^[a-z]+$", "^[a-zA-Z]+$"),
        (r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
        (r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$", r"^-?([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$"),
        ("^x", ""),
    ],
)
def test_patterns_as_schemas_have_them(narrow: str, wide: str) -> None:
    assert not beyond(narrow, wide)
    assert not beyond(wide, wide)
    assert beyond(wide, narrow)


@pytest.mark.parametrize(
    "text", [r"\p{L}", "^(?!a)b", r"(a)\1", "[[:alpha:]]", "a**", "(", "[a", "a)", "\\", r"\ba", "*"]
)
def test_what_is_not_read_may_differ(text: str) -> None:
    assert beyond(text, "a")
    assert beyond("a", text)


def test_what_takes_too_long_may_differ() -> None:
    assert beyond("^(([a-z]+){1,99}){1,99}$", "^(([a-z]+){1,98}){1,99}$")
    assert beyond("(" * 2000 + ")" * 2000, "a")
