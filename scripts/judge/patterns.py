"""Compares regular expressions by the texts in which they find something, as far as Python reads them as others do."""

from __future__ import annotations

import functools
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from re import _compiler, _parser  # type: ignore[attr-defined] # of which no public name is left; hypothesis reads
from re import _constants as sre  # type: ignore[attr-defined] # expressions by them as well
from typing import Any

_BEGIN, _END = "the beginning", "the end"  # what `^` and `$` match: a text has as many as an expression names
_ANCHORS = {sre.AT_BEGINNING: re.compile(_BEGIN), sre.AT_END: re.compile(_END)}
_OTHERWISE = re.compile(
    r"(?<!\\)\[[^\]]*(?<!\\)(\[|--|&&|\|\||~~)|\{,"
)  # what means something else to Python, or will one day
_EDGES = frozenset("\0\t\n\v\x0e !0:A[_`a{")  # where what `.`, `\d`, `\s` and `\w` mean begins, and where it ends
_MOST = 2000  # states that are looked at


class _UnknownError(Exception):
    """Something that is not read here, such as a look ahead, or too much of it."""


@dataclass(frozen=True)
class _Either:
    ways: tuple[_Items, ...]


@dataclass(frozen=True)
class _Times:
    items: _Items
    least: float = 0
    most: float = math.inf


_Items = tuple[re.Pattern[str] | _Either | _Times, ...]
"""What has to come, one after the other; a pattern is for one character, or an anchor."""
_State = frozenset[_Items]
"""What may have to come: each begins with a pattern, or is nothing more, the end."""


@functools.lru_cache(10_000)  # a schema has the same patterns at many places
def beyond(one: str, other: str) -> bool:
    """Whether `one` finds something in a text in which `other` finds nothing; also where that is not known."""
    if other in ("", one):
        return False
    try:
        sides = _Machine(one), _Machine(other)
        return _beyond(sides, max(len(re.findall("[$^]", text)) for text in (one, other)))
    except (_UnknownError, RecursionError, OverflowError, re.error):
        return True


def _beyond(sides: tuple[_Machine, _Machine], anchors: int) -> bool:
    def all_of(states: list[_State], anchor: str) -> list[_State]:
        for _ in range(anchors):
            states = [side.after(state, anchor) for side, state in zip(sides, states, strict=True)]
        return states

    heads = sides[0].heads | sides[1].heads
    told_apart = {tuple(bool(head.fullmatch(sign)) for head in heads): sign for sign in sides[0].edges | sides[1].edges}
    signs = told_apart.values()
    waiting = [all_of([side.start for side in sides], _BEGIN)]
    known = {tuple(waiting[0])}
    while waiting:
        states = waiting.pop()
        ours, theirs = all_of(states, _END)
        if () in ours and () not in theirs:
            return True
        for sign in signs:
            after = [side.after(state, sign) for side, state in zip(sides, states, strict=True)]
            if after[0] and tuple(after) not in known:
                known.add(tuple(after))
                waiting.append(after)
        if len(known) > _MOST:
            raise _UnknownError
    return False


class _Machine:
    """Goes through a text with an expression, anything before and after it, from the state `start` on.

    `heads` are its patterns for one character, `edges` where what they match changes. Raises _UnknownError, re.error.
    """

    def __init__(self, text: str) -> None:
        if _OTHERWISE.search(text):
            raise _UnknownError
        self._tree = _parser.parse(text, re.ASCII)
        if self._tree.state.flags != re.ASCII:
            raise _UnknownError
        self.edges, self.heads = {*_EDGES}, set[re.Pattern[str]]()
        self._known = set[_Items]()
        self._follow, self.after = functools.cache(self._ahead), functools.cache(self._after)
        around = _Times((re.compile("(?s:.+)"),))
        self.start = self._ahead((around, *self._read(self._tree), around))

    def _after(self, state: _State, sign: str) -> _State:
        """The state after one more character, or an anchor."""
        heads = ((head, rest) for head, *rest in filter(None, state))
        fitting = (tuple(rest) for head, rest in heads if isinstance(head, re.Pattern) and head.fullmatch(sign))
        return frozenset[_Items]().union(*map(self._follow, fitting))

    def _ahead(self, items: _Items) -> _State:
        """What may have to come, without the alternatives and repetitions that it begins with."""
        found, waiting, seen = set[_Items](), [items], set[_Items]()
        while waiting:
            if (items := waiting.pop()) in seen:
                continue
            seen.add(items)
            match items:
                case (_Either(ways), *rest):
                    waiting += [(*way, *rest) for way in ways]
                case (_Times(inner, least, most), *rest):
                    waiting += [tuple(rest)] if least <= 0 else []
                    waiting += [(*inner, _Times(inner, max(0, least - 1), most - 1), *rest)] if most > 0 else []
                case _:
                    found.add(items)
        self._known |= found
        if len(self._known) > _MOST:
            raise _UnknownError
        return frozenset(found)

    def _read(self, tree: Any) -> Iterator[re.Pattern[str] | _Either | _Times]:
        for what, value in tree:
            match what:
                case sre.BRANCH:
                    yield _Either(tuple(tuple(self._read(way)) for way in value[1]))
                case sre.SUBPATTERN if not (value[1] or value[2]):  # no flags of its own
                    yield from self._read(value[3])
                case sre.MAX_REPEAT | sre.MIN_REPEAT:
                    least, most, inner = value
                    yield _Times(tuple(self._read(inner)), least, math.inf if most is sre.MAXREPEAT else most)
                case sre.AT if value in _ANCHORS:
                    yield _ANCHORS[value]
                case sre.LITERAL | sre.NOT_LITERAL | sre.ANY | sre.IN:
                    for kind, part in value if what is sre.IN else [(what, value)]:
                        ends = part if kind is sre.RANGE else [part or 0]
                        self.edges |= {chr(end + more) for end in ends for more in (0, 1) if end < sys.maxunicode}
                    head = _compiler.compile(_parser.SubPattern(self._tree.state, [(what, value)]), re.ASCII)
                    self.heads.add(head)
                    yield head
                case _:
                    raise _UnknownError
