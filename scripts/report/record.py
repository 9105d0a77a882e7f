"""Puts together what `dist/` holds of a chart: one value, from which the page and its JSON are made alike."""

from __future__ import annotations

import datetime
import math
import os
import platform
import re
import shlex
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.chart.contents import identity
from scripts.chart.manifests import read_manifests
from scripts.chart.source import Chart
from scripts.core.config import Config
from scripts.core.errors import MALFORMED, ReleaseError
from scripts.core.paths import shown
from scripts.core.semver import minor
from scripts.core.words import many
from scripts.release.record import EMBEDDED
from scripts.release.tested import NEGATIVE_CONTROL, UNTESTED
from scripts.report.inputs import Inputs, read_json, read_junit, shown_texts
from scripts.report.links import picture
from scripts.report.series import Sent, counted, places, read_load

SCHEMA_VERSION = 1
_STEPS = ("checks", "package", "publish", "verify", "tag")
_CONTROL = "control.requests.jsonl"


def make_record(config: Config, chart: Chart, flags: str = "") -> dict[str, Any]:
    """All that the page shows, as JSON, what is absent told in its place; `flags` lead our tasks to the chart."""
    name, own = config.result(chart.name, "").name.rstrip("."), config.chart == config.root / Config.chart
    inputs = Inputs(config.dist, name, chart.title, identity(chart), flags, own)
    record: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "chart": {"name": chart.name, "version": chart.version},
        "release": _release(inputs),
        "gates": _gates(inputs),
        "objects": _objects(inputs),
        "changes": _changes(inputs),
        "availability": _availability(inputs),
        "scaling": _scaling(inputs),
        "mutants": inputs.of_project("mutants", "mutate"),
        "faults": inputs.of_project("faults", "e2e-faults"),
        "figures": inputs.of_project("bench", "bench"),
        "machine": _machine(),
    }
    record["uncovered"] = inputs.gaps
    record["verdict"] = _verdict(record)
    return record


def _release(inputs: Inputs) -> dict[str, Any]:
    found = inputs.of_chart("release", "invoke release")
    if found["state"] == "there" and (other := _another(inputs, found["digest"])):
        return inputs.absent(f"what was released is not what is packaged now, {other}", "invoke release")
    if found["state"] == "absent":
        return found
    seconds = found["seconds"]
    names = [*(name for name in _STEPS if name in seconds), *(name for name in seconds if name not in _STEPS)]
    where, served = found["reference"].rpartition(":")[0], found["registry"] == EMBEDDED
    address = re.sub("//[^/]+", "//127.0.0.1:5000", where) if served else where  # a run has a port of its own
    flags = ["--plain-http"] if served else found.get("flags", ())
    install = shlex.join(["helm", "install", found["name"], address, "--version", found["version"], *flags])
    if not found["commit"]:
        inputs.gaps.append("the release names no commit: the chart was in no git repository")
    if not found.get("proofs"):
        inputs.gaps.append("no signature and no proof of origin is recorded with the release")
    return {
        **found,
        "proofs": found.get("proofs") or [],
        "steps": [{"name": name, "state": "done", "seconds": seconds[name]} for name in names],
        "install": [*(["invoke registry --port 5000  # goes on: the rest beside it"] if served else []), install],
        "verify": [inputs.command("invoke verify") if served else f"invoke verify {found['reference']}"],
    }


def _another(inputs: Inputs, digest: str) -> str:
    """The digest of the archive in `dist/`, where it is not `digest`; "" where it is, or where none is there."""
    try:
        told = read_json(inputs.dist / f"{inputs.name}.package.json")
        packed = told["manifest_digest"] if told["version"] == inputs.chart["version"] else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return "" if packed == digest else str(packed)


def _gates(inputs: Inputs) -> dict[str, Any]:
    lint, valid = inputs.of_chart("lint", "invoke lint"), inputs.of_chart("kubeconform", "invoke kubeconform-check")
    gates: dict[str, Any] = {"lint": lint, "kubeconform": valid, "junit": _junit(inputs)}
    if valid["state"] == "there":
        minors = [minor(version) for version in valid["kube_versions"]]
        rendered = (name for one in valid["problems"] for place in one["with"] for name in place["values"])
        names = dict.fromkeys((*valid["values"], *rendered))  # with what was asked of helm, beside the values
        gates["grid"] = {"minors": minors, "rows": [_row(name, minors, valid["problems"]) for name in names]}
        inputs.gaps += [note.removeprefix("note: ") for note in valid["notes"]]
    return gates


def _row(values: str, minors: list[str], problems: list[dict[str, Any]]) -> dict[str, Any]:
    """A line of the grid: in each cell, the numbers of the problems that it has."""
    cells: list[list[int]] = [[] for _ in minors]
    for number, problem in enumerate(problems):
        for place in problem["with"]:
            if values in place["values"]:
                for cell, name in zip(cells, minors, strict=True):
                    cell += [number] if name in place["kube_versions"] else []
    return {"values": values, "cells": cells}


def _junit(inputs: Inputs) -> list[dict[str, Any]]:
    files = []
    for file in sorted(inputs.dist.rglob("*.xml")):
        if file.relative_to(inputs.dist).parts[0] in ("e2e", "autoscale"):
            continue  # what the report beside it says, which may be another chart's
        try:
            files.append({"file": shown(file), "suites": read_junit(file)})
        except (OSError, ValueError) as error:
            inputs.gaps.append(f"{shown(file)} cannot be read as JUnit: {error}")
    return files


def _objects(inputs: Inputs) -> dict[str, Any]:
    folder = inputs.dist / f"{inputs.name}.manifests"
    index = inputs.of_chart("manifests", "invoke template", f"{folder.name}/index.json")
    if index["state"] == "absent":
        return index
    newest = index["kube_versions"][-1]
    pictures: dict[str, dict[str, Any]] = {}
    for render in index["renders"]:
        if render["kube_version"] != newest:
            continue
        if render["file"] in pictures:
            pictures[render["file"]]["values"].append(render["values"])
            continue
        try:
            manifests = read_manifests((folder / render["file"]).read_text(encoding="utf-8"), index["release"])
        except (OSError, ValueError, ReleaseError) as error:
            inputs.gaps.append(f"{render['file']} cannot be read: {error}")
            continue
        one = {"values": [render["values"]], "kubernetes": minor(newest), "file": shown(folder / render["file"])}
        pictures[render["file"]] = one | shown_texts(picture(manifests))
    inputs.gaps += [f"{refused['message']} (not rendered)" for refused in index["refused"]]
    return {"state": "there", "pictures": [*pictures.values()]}


def _changes(inputs: Inputs) -> dict[str, Any]:
    verdict, found = inputs.of_chart("judge", "invoke judge"), inputs.of_chart("diff", "invoke diff")
    inputs.gaps += [f"judged: {note}" for note in verdict.get("notes", ())]
    reasons = verdict.get("reasons", [])
    rows, taken = [], set()
    for one in found.get("objects", ()):
        about = f"{one['kind']}/{one['name']}"
        beside = [number for number, reason in enumerate(reasons) if _speaks_of(reason["about"], about)]
        taken |= set(beside)
        rows.append({**one, "about": about, "reasons": beside})
    rest = [number for number in range(len(reasons)) if number not in taken]
    return {"state": verdict["state"], "judge": verdict, "diff": found, "objects": rows, "rest": rest}


def _speaks_of(about: str, thing: str) -> bool:
    return about == thing or about.startswith((f"{thing} ", f"{thing}:", f"{thing}.", f"{thing},"))


def _tested(inputs: Inputs, folder: Path, what: str, run: str) -> dict[str, Any]:
    """The report of a run on a cluster in `folder`; absent where it was of another version, or of another chart."""
    found = inputs.read(folder / "report.json", "e2e", run, unread="incidents")
    tested = " ".join(found.get("candidate", {}).get(key, "") for key in ("name", "version"))
    if found["state"] == "absent" or tested == inputs.title:
        return found
    return inputs.absent(f"{what} of {tested}, and the chart is {inputs.title}", run)


def _availability(inputs: Inputs) -> dict[str, Any]:
    """The smoke test, with the scenarios of each of its columns, which go by the column's name before their own."""
    folder = inputs.dist / "e2e"
    found = _tested(inputs, folder, "the smoke test was", "invoke e2e")
    if found["state"] == "absent":
        return found
    if other := _another(inputs, found["candidate"].get("digest", "")):
        return inputs.absent(f"the smoke test was of another archive than the packaged one, {other}", "invoke e2e")
    if left_out := found.get("left_out"):
        inputs.gaps.append(
            f"the smoke test was not asked for {', '.join(left_out)}; `{inputs.command('invoke e2e')}` runs them all"
        )
    columns = found.pop("columns", {})
    runs: dict[str, dict[str, Any]] = {} if columns else {"": found}
    scenarios: list[dict[str, Any]] = []
    for name, column in columns.items():
        file = folder / name / "e2e" / "report.json"
        run = {} if "error" in column else inputs.read(file, "e2e", "invoke e2e", unread="incidents")
        if why := column.get("error", run.get("why")):
            nothing: dict[str, Any] = {key: [] for key in ("steps", "loads", "skipped", "restarts")}
            scenarios.append(
                {**nothing, "scenario": name, "state": "failed", "seconds": 0.0, "error": why, "attempts": 1}
            )
        else:
            runs[name] = run
    for name, run in runs.items():
        scenarios += _scenarios(inputs, folder / name / "e2e" if name else folder, f"{name}/" if name else "", run)
    return found | {
        "scenarios": scenarios,
        "kubernetes": list(dict.fromkeys(run["cluster"]["kubernetes"] for run in runs.values())),
        "seconds": sum(run["seconds"] for run in runs.values()),
        "controls": {name: run["control"] for name, run in runs.items()},
    }


def _scenarios(inputs: Inputs, folder: Path, prefix: str, run: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The scenarios of a run whose results are in `folder`, with their loads."""
    control = sorted(read_load(folder / _CONTROL)) if (folder / _CONTROL).is_file() else []
    if not run["control"].get("there"):
        inputs.gaps.append(f"{prefix.rstrip('/') or 'the smoke test'} had no control: every loss counts as the chart's")
    for one in run["scenarios"]:
        attempts = [*one.pop("void"), one]
        name = prefix + one["scenario"]
        loads = []
        for number, attempt in enumerate(attempts, start=1):
            where = folder / (one["scenario"] if number == 1 else f"{one['scenario']}.{number}")
            loads += [_load(inputs, where, load, number, control) for load in attempt.pop("ledgers")]
        inputs.gaps += [f"{name}: {what} was not tested" for what in one["skipped"]]
        if one["state"] in ("void", "stopped"):
            inputs.gaps.append(f"{name} is {one['state']}, which proves nothing")
        yield {**one, "scenario": name, "attempts": len(attempts), "loads": loads}


def _load(inputs: Inputs, folder: Path, name: str, attempt: int, control: Sequence[Sent]) -> dict[str, Any]:
    """A load of a scenario: its ledger, and what was counted by time."""
    title, file = {"name": name, "attempt": attempt}, folder / f"{name}.ledger.json"
    ledger = inputs.read(file, "ledger", "invoke e2e", unread="events")
    results = folder / f"{name}.requests.jsonl"
    if ledger["state"] == "absent" or not results.is_file():
        if ledger["state"] == "there":
            ledger = inputs.absent(f"{shown(results)} is gone", "invoke e2e")
        return {**title, **ledger}
    begin, end = ledger["begin"], ledger["end"]
    width, count = places(begin, end)
    meanwhile = control[bisect(control, (begin, -math.inf, False)) : bisect(control, (end, math.inf, True))]
    try:
        events = [
            {"at": float(one["at"])} | {key: str(one[key]) for key in ("pod", "what", "service")}
            for one in ledger["events"]
        ]
    except MALFORMED as error:
        return {**title, **inputs.absent(f"{shown(file)} has events that are none: {error}", "invoke e2e")}
    return {
        **title,
        **ledger,
        "events": events,
        "file": shown(file),
        "width": width,
        "places": count,
        # What ended later was given up with its load, and is not in the ledger.
        "series": counted(read_load(results, end), begin, end),
        "control_series": counted(meanwhile, begin, end),
    }


def _scaling(inputs: Inputs) -> dict[str, Any]:
    """The scenarios with operators, each with its curve: as a picture, and in numbers."""
    folder = inputs.dist / "autoscale"
    found = _tested(inputs, folder, "scaling was tested", "nox -s autoscale")
    if found["state"] == "absent":
        return found
    for one in found["scenarios"]:
        one["curve"] = None
        try:
            told = read_json(folder / one["scenario"] / "curve.json")
            one["curve"] = {
                "requests": sum(told["requests_by_second"]),
                "lost": int(told["lost"]),
                "most": max((each["ready"] for each in told["replicas"]), default=0),
                "marks": [f"{each['at']:.0f} s: {each['what']}" for each in told["marks"]],
                "file": shown(folder / one["scenario"] / "curve.svg"),
                "svg": (folder / one["scenario"] / "curve.svg").read_text(encoding="utf-8"),
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            inputs.gaps.append(f"{one['scenario']} has no curve that can be read: {error}")
        inputs.gaps += [f"{one['scenario']}: {what} was not tested" for what in one["skipped"]]
    return found


def _machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "cores": os.cpu_count() or 0,
        "memory": memory,
        "python": platform.python_version(),
    }


def _verdict(record: Mapping[str, Any]) -> dict[str, Any]:
    """The state of the whole, a line for each gate, and the first cause in its words: what failed, or is absent."""
    rows = list(_lines(record))
    states = [row["state"] for row in rows]
    worst = next((one for one in ("failed", "absent") if one in states), "passed")
    state = "incomplete" if worst == "absent" else worst
    told = (f"{row['gate']}: {row['cause'] or row['what']}" for row in rows if row["state"] == worst != "passed")
    return {"state": state, "first": next(told, ""), "rows": rows}


def _failed(scenarios: Sequence[Mapping[str, Any]]) -> list[str]:
    """What did not pass; of what was not tried, for the chart has not what it takes, the gaps tell."""
    tried = [one for one in scenarios if one["state"] != UNTESTED]
    bad = [f"{one['scenario']} {one['state']}: {one['error']}" for one in tried if one["state"] != "passed"]
    return bad if tried else ["no scenario was tried"]


def is_sabotaged(scenario: Mapping[str, Any]) -> bool:
    """Whether it is the one that has to lose requests."""
    return bool(scenario["scenario"].rpartition("/")[2] == NEGATIVE_CONTROL)


def _total(scenarios: Sequence[Mapping[str, Any]], what: str) -> int:
    """Over the loads of the last attempt at each."""
    return sum(load.get(what, 0) for one in scenarios for load in one["loads"] if load["attempt"] == one["attempts"])


def _lines(record: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    release, gates, changes = record["release"], record["gates"], record["changes"]
    lint, valid, judge = gates["lint"], gates["kubeconform"], changes["judge"]
    smoke, mutants = record["availability"], record["mutants"]

    def line(gate: str, section: Mapping[str, Any], what: str, *causes: str) -> dict[str, str]:
        if section["state"] == "absent":
            return {"gate": gate, "state": "absent", "what": f"{section['why']}: {section['command']}", "cause": ""}
        return {"gate": gate, "state": "failed" if causes else "passed", "what": what, "cause": next(iter(causes), "")}

    yield line("release", release, f"{release.get('reference')}, {release.get('digest')}")
    findings = [one for one in lint.get("findings", ()) if one["level"] == "error"]
    errors = [f"{one['file'] or 'chart'}: {one['message']}" for one in findings]
    yield line("lint", lint, f"{many(lint.get('errors'), 'error')}, {many(lint.get('warnings'), 'warning')}", *errors)
    problems = [f"{one['kind']}/{one['name']}: {one['message']}" for one in valid.get("problems", ())]
    yield line(
        "schemas", valid, f"{many(valid.get('objects'), 'object')} of {many(valid.get('renders'), 'render')}", *problems
    )
    low = [] if judge.get("enough", True) else [f"the version has to be raised by its {judge['part']} part"]
    reasons = many(len(judge.get("reasons", ())), "reason")
    yield line("judge", judge, f"{judge.get('level')}, {reasons}, from {judge.get('version')}", *low)
    scenarios = smoke.get("scenarios", ())
    asked, lost = _total(scenarios, "requests"), _total(scenarios, "failed")
    meant = _total([one for one in scenarios if is_sabotaged(one)], "failed")
    told = f"{many(len(scenarios), 'scenario')}, {many(asked, 'request')}, {lost - meant} lost"
    told += f"; {meant} more of the sabotaged chart, as it must" if meant else ""
    yield line("smoke test", smoke, told, *_failed(scenarios))
    if (scaling := record["scaling"])["state"] == "there":
        proven = scaling["scenarios"]
        yield line("scaling", scaling, f"{many(len(proven), 'scenario')} with operators", *_failed(proven))
    if mutants["state"] == "there":
        yield line("mutants", mutants, mutants["summary"], *mutants["objections"])
    if (faults := record["faults"])["state"] == "there":
        missed = [
            f"{one['scenario']} does not notice {one['fault']}" for one in faults["faults"] if one["state"] != "failed"
        ]
        yield line("faults", faults, f"{many(len(faults['faults']), 'chart')} with one fault each", *missed)
    for file in gates["junit"]:
        failed = [f"{one['name']}: {one['message']}" for suite in file["suites"] for one in suite["failed"]]
        cases = sum(suite["cases"] for suite in file["suites"])
        yield line(file["file"], {"state": "there"}, many(cases, "case"), *failed)
