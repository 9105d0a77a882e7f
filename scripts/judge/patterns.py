"""Compares regular expressions by the texts in which they find something, as far as schemas write them alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

Range = tuple[int, int]
"""The first and the last of some characters, by their numbers."""

_LAST = 0x10FFFF
_BEGIN, _END = _LAST + 1, _LAST + 2  # what `^` and `$` match: a text has as many of them as an expression names
_MOST = 2000  # states that are looked at
_CLASSES: dict[str, tuple[Range, ...]] = {
    "d": ((48, 57),), "w": ((48, 57), (65, 90), (95, 95), (97, 122)), "s": ((9, 13), (32, 32)),
}  # fmt: skip
_SIGNS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}
_TIMES = re.compile(r"(?:\{(?P<least>\d{1,3})(?P<more>,(?P<most>\d{1,3})?)?\}|(?P<short>[*+?]))\??")
_SHORT = {"*": (0, -1), "+": (1, -1), "?": (0, 1)}


class _UnknownError(Exception):
    """Something that is not read here, such as a look ahead, or too much of it."""


def beyond(one: str, other: str) -> bool:
    """Whether `one` finds something in a text in which `other` finds nothing; also where that is not known."""
    if not other:
        return False
    try:
        sides = _Machine(one), _Machine(other)
        return _beyond(sides, max(len(re.findall("[$^]", text)) for text in (one, other)))
    except (_UnknownError, RecursionError):
        return True


def _beyond(sides: tuple[_Machine, _Machine], anchors: int) -> bool:
    def all_of(states: list[frozenset[int]], anchor: int) -> list[frozenset[int]]:
        for _ in range(anchors):
            states = [side.after(state, anchor) for side, state in zip(sides, states, strict=True)]
        return states

    signs = sorted(sides[0].edges | sides[1].edges)
    waiting = [all_of([side.start for side in sides], _BEGIN)]
    known = {tuple(waiting[0])}
    while waiting:
        states = waiting.pop()
        ours, theirs = all_of(states, _END)
        if sides[0].end in ours and sides[1].end not in theirs:
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
    """The states that an expression goes through, from `start` to `end`, with anything before and after it.

    `edges` are the characters at which it begins to mean others. Raises _UnknownError.
    """

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._free: list[list[int]] = []
        self._moves: list[list[tuple[Range, int]]] = []
        self._known: dict[tuple[frozenset[int], int], frozenset[int]] = {}
        self.edges = {0}
        begin = self._state()
        self._moves[begin].append(((0, _END), begin))
        self.end = self._any(begin)
        self._moves[self.end].append(((0, _END), self.end))
        if self._at < len(text):
            raise _UnknownError
        self.start = self._closed([begin])

    def after(self, states: frozenset[int], sign: int) -> frozenset[int]:
        """The states after one more character."""
        if (states, sign) not in self._known:
            found = (to for state in states for (low, high), to in self._moves[state] if low <= sign <= high)
            self._known[states, sign] = self._closed(found)
        return self._known[states, sign]

    def _closed(self, states: Iterable[int]) -> frozenset[int]:
        found, waiting = set[int](), [*states]
        while waiting:
            if (state := waiting.pop()) not in found:
                found.add(state)
                waiting += self._free[state]
        return frozenset(found)

    def _state(self, *before: int) -> int:
        """A new state, to which one comes from those before it without a character."""
        if len(self._free) >= _MOST:
            raise _UnknownError
        self._free.append([])
        self._moves.append([])
        for state in before:
            self._free[state].append(len(self._free) - 1)
        return len(self._free) - 1

    def _any(self, begin: int) -> int:
        """Alternatives, read from here and laid out from the state `begin`; the state that they lead to."""
        ends = [self._all(begin)]
        while self._next("|"):
            ends.append(self._all(begin))
        return self._state(*ends)

    def _all(self, begin: int) -> int:
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            begin = self._repeated(self._state(begin))
        return begin

    def _repeated(self, begin: int) -> int:
        at, end = self._at, self._item(begin)
        if (found := _TIMES.match(self._text, self._at)) is None:
            return end
        least, most = _SHORT.get(found["short"] or "", (int(found["least"] or 0), int(found["most"] or -1)))
        if found["least"] and not found["more"]:
            most = least
        if most == 0:
            raise _UnknownError
        skipping = [begin] if least == 0 else []
        for count in range(1, max(least, most)):
            skipping += [end] if count >= least else []
            self._at, begin = at, end
            end = self._item(begin)
        if most < 0:
            self._free[end].append(begin)
        self._at = found.end()
        return self._state(end, *skipping)

    def _item(self, begin: int) -> int:
        match sign := self._take():
            case "(":
                if self._next("?") and not self._next(":"):
                    raise _UnknownError
                end = self._any(begin)
                if not self._next(")"):
                    raise _UnknownError
                return end
            case "[":
                ranges = self._class()
            case ".":
                ranges = _but([(10, 10)])
            case "^" | "$":
                ranges = ((_BEGIN, _BEGIN),) if sign == "^" else ((_END, _END),)
            case "*" | "+" | "?":
                raise _UnknownError
            case _:
                ranges = self._meant(sign)
        end = self._state()
        self._moves[begin] += [(each, end) for each in ranges]
        self.edges |= {edge for low, high in ranges for edge in (low, high + 1) if edge <= _LAST}
        return end

    def _class(self) -> tuple[Range, ...]:
        """What stands in brackets, up to the last one."""
        turned, found = self._next("^"), list[Range]()
        while not self._next("]"):
            if self._text.startswith("[:", self._at):
                raise _UnknownError
            ranges = self._meant(self._take())
            if self._next("-"):
                if self._next("]"):
                    found += [*ranges, (45, 45)]
                    break
                ranges = ((ranges[0][0], self._meant(self._take())[-1][1]),)
            found += ranges
        return _but(found) if turned else tuple(found)

    def _meant(self, sign: str) -> tuple[Range, ...]:
        """The characters that a sign means, or what comes after it where it is a backslash."""
        if sign == "\\":
            sign = self._take()
            if sign.lower() in _CLASSES:
                ranges = _CLASSES[sign.lower()]
                return ranges if sign.islower() else _but(ranges)
            if sign.isalnum() and sign not in _SIGNS:
                raise _UnknownError
            sign = _SIGNS.get(sign, sign)
        return ((ord(sign), ord(sign)),)

    def _take(self) -> str:
        self._at += 1
        if self._at > len(self._text):
            raise _UnknownError
        return self._text[self._at - 1]

    def _next(self, sign: str) -> bool:
        there = self._text.startswith(sign, self._at)
        self._at += there
        return there


def _but(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """All characters but these."""
    found, first = [], 0
    for low, high in sorted(ranges):
        if low > first:
            found.append((first, low - 1))
        first = max(first, high + 1)
    return (*found, (first, _LAST))
