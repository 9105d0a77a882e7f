"""Reads a changelog as https://keepachangelog.com/en/1.1.0/ describes it, and turns its Unreleased into a version."""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.core.errors import ChangelogError
from scripts.core.files import demand_settled, read_any
from scripts.core.semver import highest, is_prerelease, is_semver
from scripts.core.semver import parse as parse_version

KINDS = ("added", "changed", "deprecated", "removed", "fixed", "security")
TOOLKIT = "Toolkit: "
"""What an entry begins with that concerns those who release the chart, and nobody who installs it."""

_SMALL = r"(?:<small>)?"  # around patch versions, by conventional-changelog
_WORD = r"(?:(?i:version|release)[ \t]+)?"
_SECTION = re.compile(rf"^##[ \t]+{_SMALL}{_WORD}(?P<open>\[?)(?P<name>[^\]\s<]+)\]?(?P<rest>.*)$")
# Versions as generators write them: semantic-release and standard-version at any depth, auto with a day by name.
_VERSION = re.compile(rf"^#{{1,3}}[ \t]+{_SMALL}(?P<open>\[?)(?P<name>v?\d+\.\d+\.\d+[^\]\s<]*)\]?(?P<rest>.*)$")
# As git-chglog and changesets call the sections, by tags; those of several charts in one file are not for one of them.
_TAGGED = re.compile(r"^##[ \t]+\[?(?P<of>[A-Za-z@][\w@/-]*[-/@])v?\d+\.\d+\.\d+")
_GROUP = re.compile(r"^####?[ \t]+(?P<name>.*?)[ \t#]*$")
_BOLD = re.compile(r"^\*\*(?P<name>[^*]+?):?\*\*:?[ \t]*$")  # github_changelog_generator's headings
_ITEM = re.compile(r"^(?P<indent>[ \t]*)(?:[-*+]|\d{1,9}[.)])[ \t]+(?P<text>.*)$")
_RULE = re.compile(r"^[ \t]*(?:([-*_])(?:[ \t]*\1){2,}|</?\w[\w-]*(?:\s[^>]*)?/?>)[ \t]*$")  # or HTML around entries
_LINK = re.compile(r"^ {0,3}\[(?P<label>[^\]]+)\]:[ \t]*<?(?P<url>[^\s>]+).*$")
_FENCE = re.compile(r"[ \t]*(`{3,}(?!.*`)|~{3,})")  # with more ticks after it, it is code in a line
# What generators call the kinds, without the pictures before them.
_SYNONYMS = {
    **dict.fromkeys(("feature", "features", "new features", "enhancement", "enhancements"), "added"),
    **dict.fromkeys(("implemented enhancements", "minor changes"), "added"),
    **dict.fromkeys(("bug fix", "bug fixes", "fix", "fixes", "fixed bugs", "patch changes"), "fixed"),
    **dict.fromkeys(("performance", "performance improvements", "refactor", "code refactoring"), "changed"),
    **dict.fromkeys(("breaking change", "breaking changes", "breaking", "major changes", "reverts"), "changed"),
    **dict.fromkeys(("dependencies", "dependency updates", "miscellaneous chores"), "changed"),
    **dict.fromkeys(("change", "changes", "all changes", "improvement", "improvements"), "changed"),
    **dict.fromkeys(("merged pull requests", "documentation", "build system", "chores", "styles", "tests"), "changed"),
    **dict.fromkeys(("continuous integration", "miscellaneous tasks", "styling", "testing"), "changed"),
    **dict.fromkeys(("refactors", "docs", "revert", "other", "other changes"), "changed"),
    **dict.fromkeys(("deprecations", "deprecation"), "deprecated"),
    **dict.fromkeys(("removals", "removal"), "removed"),
    **dict.fromkeys(("security fixes", "vulnerabilities"), "security"),
}
_MONTH_FIRST = re.compile(r"\b(?:[A-Z][a-z]{2} )?(?P<month>[A-Z][a-z]{2}) (?P<day>\d{1,2}),? (?P<year>\d{4})\b")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_COMPARE = re.compile(r"^(?P<base>.+)/compare/(?P<tag>.+?)(?P<to>\.\.\.?)(?P<head>.+)$")
_REPOSITORY = re.compile(r"^(?P<base>https?://[^/]+/.+?)/(?:commits|tree|compare|blob)/(?P<branch>[^?#%]*?)/?$")
_TRUNKS = ("HEAD", "main", "master", "trunk", "")
_ALIKE = re.compile(r"[\W_]*(?:v?\d\S*[\W_]*)?unreleased\b(?!\]:)", re.IGNORECASE)
_CODE = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_NUMBERS = re.compile(r"\d+\.\d+\.\d+.*$")


@dataclass(frozen=True)
class Entry:
    """One change: `kind` is one of KINDS, for generators' words too; else the heading's own, "" without one."""

    kind: str
    text: str
    line: int


@dataclass(frozen=True)
class Section:
    """The part under a `##` heading; `version` None: Unreleased. `headings` are its `###` headings as (word, line)."""

    version: str | None
    date: datetime.date | None
    line: int
    entries: tuple[Entry, ...] = ()
    headings: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Changelog:
    """The sections of `source` in its order; `alike` is the first line that may be meant for an Unreleased it lacks."""

    source: str
    sections: tuple[Section, ...]
    alike: str | None = None

    @property
    def unreleased(self) -> Section | None:
        """What is not released yet; None when there is no such heading."""
        return next((section for section in self.sections if section.version is None), None)

    def section(self, version: str) -> Section | None:
        """The section of `version`, which may bear a v; or None."""
        return next((section for section in self.sections if section.version == version.removeprefix("v")), None)

    def candidates(self, version: str) -> tuple[Section, ...]:
        """The sections of the pre-releases that lead to the final `version`, lowest first; none for a pre-release."""
        known = [(parse_version(one.version), one) for one in self.sections if one.version]
        wanted = version.removeprefix("v")
        found = [pair for pair in known if pair[0].prerelease and str(pair[0].finalize_version()) == wanted]
        return tuple(one for _, one in sorted(found, key=lambda pair: pair[0]))


def read_changelog(path: Path) -> Changelog | None:
    """The changelog in the file `path`, None when there is no such file. Raises ChangelogError."""
    text = read_text(path)
    return None if text is None else parse(text, str(path))


def read_text(path: Path) -> str | None:
    """The text of the file `path` with its own line ends, None when there is no such file. Raises ChangelogError."""
    content = read_any(path, ChangelogError)
    try:
        return None if content is None else content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ChangelogError(f"{path} cannot be read", found="text that is not UTF-8") from error


def parse(text: str, source: str = "CHANGELOG.md") -> Changelog:
    """The sections of `text`. Raises ChangelogError, naming the line, for a date there is not, or where Unreleased or
    the newest version stands twice, or both sides of a merge; of an older one the first section counts.
    """
    demand_settled(source, text, ChangelogError)
    sections: list[Section] = []
    entries, headings = list[list[Entry]](), list[list[tuple[str, int]]]()  # of each section
    tagged = {found["of"] for _, line in markdown_lines(text) if (found := _TAGGED.match(line))}
    of = tagged.pop() if len(tagged) == 1 else ""
    group, inside = "", False  # the word of the last ### heading; whether we are under a section of ours
    blank, apart = False, False  # of the line before; whether a paragraph of its own stands below the last entry
    for number, line in markdown_lines(text):
        if line.strip():
            apart = not _ITEM.match(line) and (apart or (blank and not line[0].isspace()))
        blank = not line.strip()
        if _begins_section(line):
            found = _VERSION.match(line) or _SECTION.match(line)
            section = _section(found, number, source, of) if found else None
            if inside := section is not None:
                _refuse_repeated(sections, section, source)
                sections.append(section)
                entries.append([])
                headings.append([])
            group = ""
        elif inside and (heading := _GROUP.match(line) or _BOLD.match(line)):
            group = kind_of(heading["name"])
            headings[-1].append((heading["name"], number))
        elif inside and not apart and not _LINK.match(line):
            _add_line(entries[-1], group, number, line)
    meant = (f"line {number}: {line.strip()}" for number, line in markdown_lines(text) if _ALIKE.match(line))
    whole = zip(sections, map(tuple, entries), map(tuple, headings), strict=True)
    told = tuple(replace(section, entries=those, headings=these) for section, those, these in whole)
    return Changelog(source, told, next(meant, None))


def _begins_section(line: str) -> bool:
    return line.startswith(("## ", "##\t")) or _VERSION.match(line) is not None


def kind_of(heading: str) -> str:
    """The kind of change that a heading means: what is no letter goes from its ends, and a generator's word is ours."""
    word = re.sub(r":\w+:|<[^>]*>|\{[^}]*\}", "", heading)  # a picture's name, a comment, an anchor
    word = re.sub(r"^[^A-Za-z]+|[^A-Za-z)]+$", "", word).casefold()
    return _SYNONYMS.get(word, word or heading.casefold())


def releasable(changelog: Changelog, version: str = "") -> Section:
    """Unreleased and the candidates of `version`, each entry once. Raises ChangelogError for none, or no known kind."""
    kinds = ", ".join(kind.capitalize() for kind in KINDS)
    unreleased = changelog.unreleased
    if unreleased is None:
        raise ChangelogError(
            f"{changelog.source} has no Unreleased section",
            expected="a heading '## [Unreleased]' above the versions",
            found=changelog.alike or next((f"line {it.line}: {it.version}" for it in changelog.sections), "no version"),
            run='write that heading, and below it what changed; where a tool does: changelog = "none" in [tool.gati]',
        )
    told = {
        (entry.kind, entry.text): entry
        for section in (*changelog.candidates(version), unreleased)
        for entry in section.entries
    }
    if not told:
        raise ChangelogError(
            f"{changelog.source}:{unreleased.line}: nothing stands under Unreleased",
            expected=f"at least one '- entry' under a heading '### KIND', KIND one of {kinds}",
            run="write what changed, as a user of the chart notices it",
        )
    for entry in told.values():
        if entry.kind not in KINDS:
            raise ChangelogError(
                f"{changelog.source}:{entry.line}: the entry stands under no kind of change",
                expected=f"a heading '### KIND' above it, KIND one of {kinds}",
                found=f"### {entry.kind}" if entry.kind else "no heading",
                run="move the entry below such a heading",
            )
    return replace(unreleased, entries=tuple(told.values()))


@dataclass(frozen=True)
class Released:
    """A changelog's new text, and lines for a person about what could not be done."""

    text: str
    notes: tuple[str, ...]


def release(text: str, version: str, date: datetime.date, *, tag: str, source: str = "CHANGELOG.md") -> Released:
    """`text` with Unreleased turned into `version` and an empty Unreleased above it, its links set.

    Every other byte stays, the line ends included. `tag` is the git tag of the version, used where the
    changelog's own links do not show how tags are named. Raises ChangelogError.
    """
    changelog, version = parse(text, source), version.removeprefix("v")
    unreleased = releasable(changelog, version)
    if (there := changelog.section(version)) is not None:
        raise ChangelogError(f"{source}:{there.line}: {version} has a section already", run="take another version")
    lines = text.splitlines(keepends=True)
    heading = _SECTION.match(lines[unreleased.line - 1].strip("\ufeff\r\n"))
    end = "\r\n" if lines[unreleased.line - 1].endswith("\r\n") else "\n"
    name = f"[{version}]" if heading and heading["open"] else version
    if candidates := changelog.candidates(version):
        body = _gathered(text, (*candidates, unreleased), end)
        lines[unreleased.line : _end(text, unreleased)] = [end, *body, end]
    lines.insert(unreleased.line, f"{end}## {name} - {date.isoformat()}{end}")
    older = [section.version for section in changelog.sections if section.version is not None]
    return _link(lines, version, _before(version, older), tag, source)


def _before(version: str, others: list[str]) -> str | None:
    """The version that `version` follows: the highest below it, of final ones where it is final itself."""
    lower = [other for other in others if parse_version(other) < parse_version(version)]
    return highest(lower if is_prerelease(version) else [o for o in lower if not is_prerelease(o)] or lower)


def _end(text: str, section: Section) -> int:
    """The number of the line before which a section ends: at the next heading, at the links, or at the end."""
    last = section.line
    for number, line in markdown_lines(text):
        if number > section.line and (_begins_section(line) or _LINK.match(line)):
            return number - 1
        last = number
    return max(last, len(text.splitlines()))


def _gathered(text: str, sections: tuple[Section, ...], end: str) -> list[str]:
    """The lines of `sections` as one: each kind of change once, each entry once, below what Unreleased begins with."""
    raw, groups = text.splitlines(), dict[str, dict[str, None]]()
    markdown = {number for number, _ in markdown_lines(text)}
    for section in sections:
        group = groups.setdefault("", {}) if section.version is None else None
        entry, last = list[str](), _end(text, section)
        for number in range(section.line + 1, last + 2):
            line = raw[number - 1] if number <= last else "### "
            told = line if number in markdown or number > last else ""
            heading, item = _GROUP.match(told) or _BOLD.match(told), _ITEM.match(told)
            if heading or (item and len(item["indent"]) < 2):
                if entry and group is not None:
                    group.setdefault(end.join(entry).rstrip())
                entry = []
            if heading:
                group = groups.setdefault(heading["name"].capitalize(), {}) if heading["name"] else None
            elif line.strip() or entry:
                entry.append(line)
    first = [f"{text}{end}" for text in groups.pop("", ())]
    order = sorted(groups, key=lambda word: KINDS.index(word.casefold()) if word.casefold() in KINDS else len(KINDS))
    blocks = [f"### {word}{end}{end}" + end.join(groups[word]) + end for word in order if groups[word]]
    return end.join([*first, *blocks]).splitlines(keepends=True)


def plain(markdown: str) -> str:
    """`markdown` as one line of plain words: links become their text, emphasis goes, code keeps its ticks."""
    spans: list[str] = []

    def kept(span: re.Match[str]) -> str:
        spans.append(span[0])
        return f"\0{len(spans) - 1}\0"

    text = re.sub("<!--.*?-->", "", _CODE.sub(kept, markdown))
    text = re.sub(r"!?\[([^\]]*)\](?:\((?:[^()]|\([^()]*\))*\)|\[[^\]]*\])", r"\1", text)
    text = re.sub(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", r"\2", text)
    return re.sub("\0(\\d+)\0", lambda found: spans[int(found[1])], " ".join(text.split()))


def markdown_lines(text: str) -> Iterator[tuple[int, str]]:
    """The numbered lines that are Markdown: nothing inside code fences or HTML comments."""
    fence, comment = "", False
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        mark = _FENCE.match(line)
        if fence:  # which one at least as long closes
            fence = "" if mark and mark[1].startswith(fence) and mark[1] == line.strip() else fence
        elif comment:
            comment = "-->" not in line
        elif mark:
            fence = mark[1]
        elif line.lstrip().startswith("<!--"):
            comment = "-->" not in line
        else:
            yield number, line


def _section(heading: re.Match[str], line: int, source: str, of: str) -> Section | None:
    name = heading["name"].strip("*_`:,()[")
    if name.casefold() == "unreleased":
        return Section(None, None, line)
    version = name.removeprefix(of).removeprefix("v")
    if not is_semver(version):
        return None
    date = None
    if named := _MONTH_FIRST.search(heading["rest"]):
        with contextlib.suppress(ValueError):
            month = datetime.datetime.strptime(named["month"], "%b").month  # noqa: DTZ007 - a month has no zone
            date = datetime.date(int(named["year"]), month, int(named["day"]))
    if written := _DATE.search(heading["rest"]):
        try:
            date = datetime.date.fromisoformat(written[0])
        except ValueError:
            raise ChangelogError(
                f"{source}:{line}: {written[0]} is no date", expected="YYYY-MM-DD", run="correct that line"
            ) from None
    return Section(version, date, line)


def _refuse_repeated(sections: list[Section], section: Section, source: str) -> None:
    newest = next((earlier.version for earlier in sections if earlier.version), None)
    for earlier in sections if section.version in (None, newest) else ():
        if earlier.version == section.version:
            raise ChangelogError(
                f"{source}:{section.line}: {section.version or 'Unreleased'} has a section already",
                found=f"another one on line {earlier.line}",
                run="join the two sections",
            )


def _add_line(entries: list[Entry], kind: str, number: int, line: str) -> None:
    """One more line of a section: a new entry, or more words of the last one."""
    item = None if _RULE.match(line) else _ITEM.match(line)
    if item and (len(item["indent"]) < 2 or not entries):
        entries.append(Entry(kind, item["text"].strip(), number))
        return
    if not entries or not line.strip() or line.startswith("#") or _RULE.match(line):
        return
    last = entries[-1]
    if last.kind != kind:
        return  # words below a heading and above its first entry
    text = f"{last.text} {line.strip()}"
    if item:  # an entry below the entry
        text = last.text + (" " if last.text.endswith(":") else "; ") + item["text"].rstrip()
    entries[-1] = replace(last, text=text.strip())


def _link(lines: list[str], version: str, previous: str | None, tag: str, source: str) -> Released:
    """Point the `[unreleased]` link at `tag...HEAD`, unless it leads elsewhere, and add the version's own below it."""
    for index, line in enumerate(lines):
        link = _LINK.match(line.rstrip("\r\n"))
        if link is None or link["label"].casefold() != "unreleased":
            continue
        end = line[len(line.rstrip("\r\n")) :]
        compare = _COMPARE.match(link["url"])
        repository = _REPOSITORY.match(link["url"])
        if compare:
            base, to, head = compare.group("base", "to", "head")
            named = _NUMBERS.search(compare["tag"])
            prefix = compare["tag"][: named.start()] if named else None
            new = tag if prefix is None else prefix + version
            old = compare["tag"] if prefix is None or previous is None else prefix + previous
            own = f"{base}/compare/{old}{to}{new}"
            later = named and is_semver(named[0]) and parse_version(named[0]) > parse_version(version)
            moved = link["url"] if later else f"{base}/compare/{new}{to}{head}"
        elif repository:
            own = f"{repository['base']}/releases/tag/{tag}"
            trunk = repository["branch"] in _TRUNKS
            moved = f"{repository['base']}/compare/{tag}...HEAD" if trunk else link["url"]
        else:
            break
        lines[index] = line.replace(link["url"], moved)
        if not end:  # the last line of a file without a line end
            end = "\r\n" if "\r\n" in lines[0] else "\n"
            lines[index] += end
            lines.append(f"[{version}]: {own}")
        else:
            lines.insert(index + 1, f"[{version}]: {own}{end}")
        return Released("".join(lines), ())
    note = f"{source} has no '[unreleased]: .../compare/TAG...HEAD' line: no link is added for {version}"
    return Released("".join(lines), (note,))
