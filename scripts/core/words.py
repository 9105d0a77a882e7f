"""Owns how a number of things is said, how a text is laid in lines, and which of many words is like one."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable


def many(count: int | None, noun: str) -> str:
    """`1 request`, `2 requests`."""
    return f"{count} {noun}{'s'[: count != 1]}"


def some(things: Iterable[object], most: int = 10) -> list[str]:
    """The first of many things in words, and how many there are more."""
    words = list(map(str, things))
    return [*words[:most], *([f"and {len(words) - most} more"] if len(words) > most else [])]


def filled(text: str, width: int, first: str = "", later: str = "") -> str:
    """`text` in lines of `width`, where each word stays whole, to be copied; they begin with `first` and `later`."""
    whole = textwrap.TextWrapper(max(1, width), first, later, break_long_words=False, break_on_hyphens=False)
    return whole.fill(text)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that somebody may have meant who wrote `word`."""
    names, word = {each.lower(): each for each in known}, word.lower()
    slips = [one for one in names if _slipped(word, one)]
    return next((names[one] for one in [*slips, *difflib.get_close_matches(word, names, n=1, cutoff=0.75)]), None)


def _slipped(word: str, name: str) -> bool:
    """Whether `name` begins so, or one letter of it is missing, moved, another or too many, or all are disordered."""
    word, name = word.replace("_", "-"), name.replace("_", "-")
    less, other = ({one, *(one[:at] + one[at + 1 :] for at in range(len(one)))} for one in (word, name))
    begins = len(word.lstrip("-")) > 2 and name.startswith(word)
    return begins or not less.isdisjoint(other) or sorted(word) == sorted(name)


def meant(word: str, known: Iterable[str]) -> str:
    """What is expected in place of `word`: the one of `known` that is like it, or all of them."""
    known = sorted(known)
    return nearest(word, known) or ", ".join(known)
