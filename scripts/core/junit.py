"""Writes JUnit XML, whatever is in the texts that it tells."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

from scripts.core.progress import plain

_FORBIDDEN = re.compile("[\ud800-\udfff\ufffe\uffff]")  # what no XML 1.0 document holds beside control characters


@dataclass(frozen=True)
class Case:
    """One test: it failed where there are `failures`; `output` is what it has to say, or why it is `skipped`."""

    name: str
    failures: tuple[str, ...] = ()
    output: str = ""
    seconds: float | None = None
    skipped: bool = False


@dataclass(frozen=True)
class Suite:
    """Tests that belong together, under `classname` or else `name`; with `errors` they failed for want of a verdict."""

    name: str
    cases: tuple[Case, ...]
    classname: str = ""
    seconds: float | None = None
    errors: bool = False


def document(name: str, suites: Iterable[Suite], seconds: float | None = None) -> str:
    root = ElementTree.Element("testsuites", {"name": _clean(name), **_time(seconds)})
    for suite in suites:
        bad = sum(bool(case.failures) for case in suite.cases)
        failures, errors = (0, bad) if suite.errors else (bad, 0)
        counts = {"tests": str(len(suite.cases)), "failures": str(failures), "errors": str(errors)}
        if skipped := sum(case.skipped for case in suite.cases):
            counts["skipped"] = str(skipped)
        facts = {"name": _clean(suite.name), **counts, **_time(suite.seconds)}
        told = ElementTree.SubElement(root, "testsuite", facts)
        for case in suite.cases:
            place = {"classname": _clean(suite.classname or suite.name), "name": _clean(case.name)}
            one = ElementTree.SubElement(told, "testcase", {**place, **_time(case.seconds)})
            if case.failures:
                text = _clean("\n".join(case.failures))
                kind = "error" if suite.errors else "failure"
                ElementTree.SubElement(one, kind, {"message": text.partition("\n")[0]}).text = text
            if case.skipped:
                ElementTree.SubElement(one, "skipped", {"message": _clean(case.output)})
            elif case.output:
                ElementTree.SubElement(one, "system-out").text = _clean(case.output)
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(told.get(count, 0)) for told in root)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _time(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"time": f"{seconds:.3f}"}


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", plain(text))
