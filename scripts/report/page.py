"""Draws the page: one HTML file with everything in it, and its head as Markdown for a CI system's summary."""

from __future__ import annotations

import base64
import functools
import json
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.core.errors import UsageError
from scripts.core.words import many
from scripts.e2e.timeline import Event, clock
from scripts.release.tested import NEGATIVE_CONTROL
from scripts.report.record import is_sabotaged
from scripts.report.series import lanes

SECTIONS = {
    "release": "The release",
    "gates": "The gates",
    "objects": "The objects",
    "changes": "What changes",
    "availability": "Availability",
    "scaling": "Scaling and policies",
    "comparison": "Compared",
    "machine": "Tools, durations, machine",
    "uncovered": "Not covered",
}
_BOX = (196, 34)  # the size of an object's box; what lies between two of them
_GAP = (70, 10)
_LETTERS = 24  # of a name that fit into a box, in the widest of the usual fonts
_LANE = 24  # height of a pod's lane, and of its place behind a Service
_TOP = 142  # where the lanes begin
_LONGEST, _FIRST = 160, 1500  # characters that are shown of a value, and of the first cause
_MOST = 1_950_000  # bytes of the page
_LISTS = 0.75  # the part of them that lists, tables and pictures may fill, so that loads have the rest
_EVENTS = (250, 120, 60, 30, 15, 5)  # of a load, and of its incidents and windows: the most that there is room for
_EVENT = 300  # bytes of one, drawn and in words, about: where all of them cannot fit they need not be drawn to know it
_WIDTH = 880  # of a picture that stands by itself: a README's column


class _Parts:
    """Parts of a page that come into it when the rest is known, each as full as there is room for."""

    def __init__(self) -> None:
        self._mark = f"<!-- {secrets.token_hex(8)} -->"
        self._parts: list[list[Callable[[], str]]] = []

    def put(self, file: str, *ways: Callable[[], str]) -> Any:
        """The place of a part, in the first of its `ways` that there is room for; else the words that `file` has it."""
        from markupsafe import Markup

        words = '<p class="absent">Left out, for want of room on this page: <code>{}</code> has it.</p>'
        self._parts.append([*ways, lambda: Markup(words).format(file)])  # noqa: S704 - what is put into it is escaped
        return Markup(self._mark)  # noqa: S704 - letters of ours

    def filled(self, page: str, most: float) -> str:
        """`page` with its parts, in so many bytes: those that need less than their share leave more to the others."""
        drawn, room = [ways[0]() for ways in self._parts], most - _bytes(page)
        last_first = reversed(range(len(drawn)))  # of those that are as large
        for place, number in enumerate(sorted(last_first, key=lambda number: _bytes(drawn[number]))):
            share = room / (len(drawn) - place)
            for way in self._parts[number][1:]:
                if _bytes(drawn[number]) > share:
                    drawn[number] = way()
            room -= _bytes(drawn[number])
        pieces = page.split(self._mark)
        return "".join(text for pair in zip(pieces, [*drawn, ""], strict=True) for text in pair)


def _bytes(text: str) -> int:
    return len(text.encode(errors="backslashreplace"))


def draw(record: Mapping[str, Any]) -> str:
    environment = _environment()
    template = environment.get_template("load.html.j2")
    parts, loads = _Parts(), _Parts()

    def part(file: str, caller: Callable[[], str]) -> Any:
        told = caller()
        return parts.put(file, lambda: told)

    every = [load for one in record["availability"].get("scenarios", ()) for load in one["loads"]]
    lengths = [len(load["events"]) for load in every if load["state"] == "there"]
    levels = [most for most in _EVENTS if sum(min(most, length) for length in lengths) * _EVENT < _MOST]

    def loaded(load: Mapping[str, Any], title: str) -> Any:
        def way(most: int) -> Callable[[], str]:
            return lambda: template.render(load=load, title=title, drawn=_timeline(load, most))

        return loads.put(load["file"], *map(way, levels or _EVENTS[-1:]))

    page: str = environment.get_template("page.html.j2").render(
        **{"comparison": None, **record},
        sections=SECTIONS.items(),
        longest=_FIRST,
        sizes=[_picture(one) for one in record["objects"].get("pictures", ())],
        part=part,
        loaded=loaded,
        inlined=_inlined,
    )
    return loads.filled(parts.filled(page, _LISTS * _MOST), _MOST)


def _inlined(svg: str) -> str:
    """A picture as an address that holds it; a browser runs nothing that is in it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def picture(record: Mapping[str, Any]) -> str:
    """The load of an upgrade, and of the sabotaged chart, as one SVG that stands by itself. Raises UsageError."""
    found: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    for one in record["availability"].get("scenarios", ()):
        loads = [load for load in one["loads"] if load["state"] == "there" and load["attempt"] == one["attempts"]]
        if loads:
            found[one["scenario"].rpartition("/")[2]] = (one, loads[0])
    shown = [found[name] for name in ("upgrade", NEGATIVE_CONTROL) if name in found] or list(found.values())[:1]
    if not shown:
        raise UsageError("there is no load to draw", expected="dist/e2e of a smoke test", run="invoke e2e")
    y, parts = 0, []
    for one, load in shown:
        drawn = _timeline({**load, "events": [event for event in load["events"] if not event["service"]]})
        words = f"{load['requests']} requests, {load['failed']} lost, p99 {load['during']['p99'] * 1000:.0f} ms"
        title = "sabotaged on purpose: it has to lose" if is_sabotaged(one) else one["scenario"]
        parts.append({"title": title, "words": words, "failed": load["failed"], "y": y, "drawn": drawn})
        y += 36 + drawn["height"]
    template = _environment().get_template("picture.svg.j2")
    return str(template.render(chart=record["chart"], loads=parts, width=_WIDTH, height=y + 30))


@functools.cache
def _environment() -> Any:
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    made = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"coded": _coded, "many": many}
    made.globals |= {"clock": clock, "short": _short}
    return made


def _coded(text: str) -> Any:
    """What stands between backticks as code."""
    import markupsafe

    code = markupsafe.Markup("<code>{}</code>")
    parts = text.split("`")
    return markupsafe.Markup().join(code.format(part) if at % 2 else part for at, part in enumerate(parts))


def head(record: Mapping[str, Any]) -> str:
    """The verdict, the table and the first cause, as Markdown."""
    chart, verdict = record["chart"], record["verdict"]
    lines = [f"## {chart['name']} {chart['version']}: {verdict['state']}", ""]
    if verdict["first"]:
        lines += ["```", _short(verdict["first"], _FIRST).replace("```", "'''"), "```", ""]
    lines += ["| gate | state | what |", "|---|---|---|"]
    lines += [f"| {_cell(row['gate'])} | {row['state']} | {_cell(row['what'])} |" for row in verdict["rows"]]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "&#124;").replace("<", "&lt;").replace("\n", " ")


def _short(value: Any, most: int = _LONGEST) -> str:
    if value is None:
        return "—"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def _picture(one: Mapping[str, Any]) -> dict[str, Any]:
    """Where the boxes of the objects stand, and the curves between them; pixels."""
    (width, height), (beside, below) = _BOX, _GAP
    nodes, places = [], {}
    rows = Counter(node["column"] for node in one["nodes"])
    for node in one["nodes"]:
        share = (node["row"] + 0.5) / rows[node["column"]]
        row = share * max(rows.values()) - 0.5  # as far down as what it is joined to
        x, y = 4 + node["column"] * (width + beside), 4 + round(row * (height + below))
        places[f"{node['kind']}/{node['name']}"] = (x, y)
        where = node["template"] or ("the render" if node["there"] else "no template: it is no part of the render")
        words = f"{node['kind']}/{node['name']}, from {where}"
        label = node["name"] if len(node["name"]) <= _LETTERS else f"{node['name'][:13]}…{node['name'][-10:]}"
        nodes.append({**node, "x": x, "y": y, "width": width, "height": height, "label": label, "words": words})
    links = []
    for link in one["links"]:
        (x1, y1), (x2, y2) = places[link["from"]], places[link["to"]]
        leaves, arrives = x2 >= x1, x2 <= x1  # on the right side of a box
        begin, end, y1, y2 = x1 + width * leaves, x2 + width * arrives, y1 + height // 2, y2 + height // 2
        first, last = (at + beside * (0.6 if right else -0.6) for at, right in ((begin, leaves), (end, arrives)))
        path = f"M{begin} {y1}C{first:g} {y1} {last:g} {y2} {end} {y2}"
        links.append({"path": path, "words": f"{link['from']} refers to {link['to']} by {link['how']}"})
    right = max((x for x, _ in places.values()), default=0) + width + beside
    bottom = max((y for _, y in places.values()), default=0) + height + 8
    return {"nodes": nodes, "links": links, "width": right, "height": bottom}


def _timeline(load: Mapping[str, Any], shown: int = _EVENTS[0]) -> dict[str, Any]:
    """What the drawing of a load needs, with so many events `shown`: paths in places, the rest in percent of its width.

    What a pod was after the last of these is not known here, so no lane goes on from there.
    """
    series, control = load["series"], load["control_series"]
    begin, width, count = float(load["begin"]), float(load["width"]), int(load["places"])
    whole = width * count

    def percent(at: float) -> float:
        return round(min(100.0, max(0.0, 100 * (at - begin) / whole)), 2)

    def span(first: float, last: float) -> dict[str, float]:
        x = percent(first)
        return {"x": x, "width": round(max(0.15, percent(last) - x), 2)}

    most = max(series["requests"], default=0)
    slow = max((value for name in ("median", "p99") for value in series[name] if value is not None), default=0.0)
    slow = max(slow, 1.0)
    drawn: list[dict[str, Any]] = []
    events, y = load["events"], _TOP
    end = load["end"] if len(events) <= shown else float(events[shown]["at"])
    for lane in lanes(events[:shown], end):
        name = f"behind {lane['service']}" if lane["service"] else lane["pod"]
        about = f"{lane['pod']} behind {lane['service']}" if lane["service"] else lane["pod"]
        spans = [
            {
                **span(each["begin"], each["end"]),
                "state": each["state"],
                "words": f"{about}: {each['what']} from {clock(each['begin'])} to {clock(each['end'])}",
            }
            for each in lane["spans"]
            if each["end"] > begin
        ]
        drawn.append({"name": name, "y": y, "below": bool(lane["service"]), "spans": spans})
        y += _LANE
    losses = [
        {
            **span(begin + place * width, begin + (place + 1) * width),
            "words": f"{lost} of {series['requests'][place]} requests lost from {clock(begin + place * width)} on",
        }
        for place, lost in enumerate(series["lost"])
        if lost
    ]
    quarter = [{"x": 25 * part, "words": clock(begin + whole * part / 4)} for part in range(4)]
    return {
        "height": y + 20,
        "places": count,
        "most": round(most / width, 1),
        "slowest": round(slow),
        "requests": _bars(series["requests"], most),
        "lost": _bars(series["lost"], most),
        "losses": losses,
        "median": _line(series["median"], slow),
        "p99": _line(series["p99"], slow),
        "control_p99": _line(control["p99"], slow),
        "windows": [
            {**span(one["begin"], one["end"]), "words": f"void: {one['why']}"} for one in load["windows"][:shown]
        ],
        "lanes": drawn,
        "events": [str(Event(**event)) for event in events[:shown]],
        "shown": shown,
        "left": [
            many(len(load[kind]) - shown, kind[:-1])
            for kind in ("events", "incidents", "windows")
            if load[kind][shown:]
        ],
        "ticks": quarter,
    }


def _bars(values: Sequence[int], most: int) -> str:
    """Bars upwards from 60, a place wide each."""
    high = max(most, 1)
    return "".join(f"M{place} 60V{60 - 58 * value / high:.1f}h.9V60z" for place, value in enumerate(values) if value)


def _line(values: Sequence[float | None], most: float) -> str:
    """A line through the middles of the places; it breaks where there is no value."""
    parts, open_ = [], False
    for place, value in enumerate(values):
        if value is not None:
            parts.append(f"{'L' if open_ else 'M'}{place + 0.5:g} {60 - 58 * min(value, most) / most:.1f}")
        open_ = value is not None
    return "".join(parts)
