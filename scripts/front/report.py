"""The task that shows a person what the others found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scripts.front.command import CHART, command

if TYPE_CHECKING:
    from scripts.front.command import Shown
    from scripts.workspace import Workspace


@command(
    example="--json",
    keys=CHART,
    working_on="reading dist/",
    compare="An earlier report.json, or its folder: durations, latencies and losses are set side by side.",
    open_="Show the page in this machine's browser.",
    picture="Draw the load of the upgrade, and of the sabotaged chart, into this SVG file, too.",
)
def report(work: Workspace, compare: str | None = None, open_: bool = False, picture: str = "") -> Shown:
    """Put what the runs found on one page, dist/report.html, and say what is not covered."""
    import shlex
    import webbrowser

    from scripts import present
    from scripts.chart.source import read_chart
    from scripts.core import files
    from scripts.front import ci_log
    from scripts.report import compare as comparing
    from scripts.report import page, record

    earlier = None if compare is None else comparing.read_earlier(Path(compare))  # which may be replaced now
    flags = f" --chart {shlex.quote(str(given))}" if (given := work.overrides.get("chart")) else ""
    made = record.make_record(work.config, read_chart(work.config.chart), flags)
    if earlier:
        made["comparison"] = comparing.compare(earlier, made)
    target = work.config.dist / "report.html"
    files.write_atomic(target, page.draw(made))
    files.write_json(target.with_suffix(".json"), made)
    if picture:
        files.write_atomic(Path(picture), page.picture(made))
    ci_log.summarize(page.head(made))
    yield present.reported(made, target)
    with work.runner.withholding():
        if open_ and not webbrowser.open(target.resolve().as_uri()):
            work.say(f"no browser is found here: open {target} in yours")
