"""Measures the gates: how many of the faults that were made the tests notice. `python -m tests.mutate --help`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.core.files import write_atomic
from tests.mutate.generate import CHART, CODE, Mutant, of_chart, of_code, spread
from tests.mutate.hunt import PATIENCE, TIME_OUT, UNMADE
from tests.mutate.targets import RENDER, TARGETS

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
GOALS = {CHART: 97.0, CODE: 95.0}
MOST = {CHART: 85, CODE: 85}  # what there is time for where no answer of helm is remembered
NOTHING = "no fault"
SHARDS = 2  # one for a core


def chosen() -> list[Mutant]:
    """The mutants of a run: always the same ones for the same sources."""
    nothing = [_nothing(CHART, ROOT / "helm" / "gati", "templates/NOTES.txt")]
    nothing += [_nothing(CODE, ROOT, target.file) for target in TARGETS]
    chart = spread(of_chart(ROOT / "helm" / "gati"), MOST[CHART])
    code = [one for target in TARGETS for one in of_code(ROOT / target.file, ROOT, target.functions)]
    return [*nothing, *chart, *spread(code, MOST[CODE])]


def _nothing(part: str, root: Path, file: str) -> Mutant:
    """No fault at all, which no test may take for one: else what it says of the others is worth nothing."""
    return Mutant(part, file, 0, NOTHING, "a test fails without a fault", lambda: (root / file).read_text("utf-8"))


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="nox -s mutate --", description=__doc__)
    parser.add_argument("--list", action="store_true", help="only name the mutants")
    parser.add_argument("--only", default="", help="only those whose id holds this word")
    parser.add_argument("--seconds", type=float, default=540, help="how long to go on")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds for one fault")
    parser.add_argument("--keep", action="store_true", help="write what was killed down, to be held from now on")
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)  # of a shard
    asked = parser.parse_args(words)
    mutants = [one for one in chosen() if asked.only in one.id]
    if asked.list:
        print("\n".join(f"{one.id}  line {one.line}  {one.change}" for one in mutants))
        return 0
    if asked.out:
        from tests.mutate.hunt import hunt

        tests = [name for target in TARGETS if any(one.file == target.file for one in mutants) for name in target.tests]
        tests += [RENDER] if any(one.part == CHART for one in mutants) else []
        own = untaken(mutants, asked.out.parent)
        hunt(own, list(dict.fromkeys(tests)), asked.out, asked.seconds, _noticed_before(), asked.patience)
        return 0
    begin = time.monotonic()
    found = hunted(asked.only, asked.seconds, asked.patience)
    before = _noticed_before()
    report = judged(mutants, found, _read(HERE / "equivalent.toml"), set(before), time.monotonic() - begin)
    write_atomic(ROOT / "dist" / "mutants.json", json.dumps(report, indent=1) + "\n")
    if asked.keep:
        now = {**before, **{one["id"]: one["by"] for one in report["mutants"] if one["state"] == "killed"}}
        known = {one.id for one in chosen()}
        lines = (f"{name} {by}\n" for name, by in sorted(now.items()) if name in known)
        write_atomic(HERE / "killed.txt", "".join(lines))
    for one in report["survivors"]:
        print(f"survived: {one['file']}:{one['line']} {one['change']} ({one['meaning']})")
    print(report["summary"])
    print("\n".join(report["objections"]))
    return 1 if report["objections"] else 0


def untaken(mutants: Sequence[Mutant], folder: Path) -> Iterator[Mutant]:
    """Those that no other shard has taken, each taken when it is asked for: one may take as long as a hundred."""
    for number, one in enumerate(mutants):
        with contextlib.suppress(FileExistsError):
            (folder / f"taken-{number}").touch(exist_ok=False)
            yield one


def hunted(only: str, seconds: float, patience: float = PATIENCE) -> dict[str, dict[str, Any]]:
    """What became of each mutant that there was time for, by its id."""
    with tempfile.TemporaryDirectory(prefix="gati-mutants-") as scratch:
        outs = [Path(scratch) / f"{number}.jsonl" for number in range(SHARDS)]
        argv = [sys.executable, "-m", "tests.mutate", "--only", only, "--seconds", str(seconds)]
        argv += ["--patience", str(patience)]
        env = {**os.environ, "PYTEST_MUTANTS": scratch}
        running = [
            subprocess.Popen([*argv, "--out", str(out)], cwd=ROOT, env=env, stdout=subprocess.DEVNULL) for out in outs
        ]
        for process in running:
            process.wait()
        lines = [json.loads(line) for out in outs if out.exists() for line in out.read_text().splitlines()]
    return {line["id"]: line for line in lines}


def judged(
    mutants: Sequence[Mutant],
    found: Mapping[str, Mapping[str, Any]],
    equivalent: Mapping[str, str],
    before: set[str],
    seconds: float,
) -> dict[str, Any]:
    """The report: what noticed which, the scores, and why the run is red."""
    told, objections, parts = [], [], []
    for one in mutants:
        if one.id not in found:
            continue
        by = found[one.id]["by"]
        if by == TIME_OUT and one.change != NOTHING and not hangs(one, mutants, found):
            objections.append(f"{one.file}:{one.line} is not decided: the tests did not end in time")
            continue
        if by.startswith(UNMADE):
            objections.append(f"{one.file}:{one.line} is not decided: {by}")
            continue
        if one.change == NOTHING:
            objections += [f"{one.file}: {by} fails without a fault"] if by else []
            continue
        state = "killed" if by else "equivalent" if one.id in equivalent else "survived"
        meaning = equivalent.get(one.id, one.meaning)
        told.append(
            {"id": one.id, "part": one.part, "file": one.file, "line": one.line, "change": one.change, "state": state,
             "by": by, "meaning": meaning}
        )  # fmt: skip
        if not by and one.id in before:
            objections.append(f"{one.file}:{one.line} survives, and was noticed before: {one.change}")
    for part, goal in GOALS.items():
        own = [one for one in told if one["part"] == part]
        counts = {state: sum(one["state"] == state for one in own) for state in ("killed", "survived", "equivalent")}
        counted = counts["killed"] + counts["survived"]
        score = round(100 * counts["killed"] / counted, 1) if counted else 0.0
        parts.append(
            {"name": part, "counted": counted, "killed": counts["killed"], "equivalent": counts["equivalent"],
             "score": score, "goal": goal}
        )  # fmt: skip
        if counted and score < goal:
            objections.append(f"{score} % of the {part}'s faults are noticed, which is less than {goal:g} %")
    if len(found) < len(mutants):
        objections.append(f"there was time for {len(found)} of {len(mutants)} faults only")
    survivors = [
        {key: one[key] for key in ("file", "line", "change", "meaning")} for one in told if one["state"] == "survived"
    ]
    killed = sum(one["state"] == "killed" for one in told)
    return {
        "schema_version": 1,
        "summary": f"{killed} of {len(told)} faults are noticed, {len(survivors)} survive",
        "seconds": round(seconds, 1),
        "objections": objections,
        "parts": parts,
        "mutants": told,
        "survivors": survivors,
    }


def _read(file: Path) -> dict[str, str]:
    return dict(tomllib.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def hangs(fault: Mutant, mutants: Sequence[Mutant], found: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a time-out is the fault's: without one, the tests of the chart, or of the file, take a part of that."""
    usual = [
        float(found[one.id].get("seconds", 0))
        for one in mutants
        if one.change == NOTHING and one.part == fault.part and one.file in (fault.file, "templates/NOTES.txt")
        if one.id in found and not found[one.id]["by"]
    ]
    return bool(usual) and 3 * max(usual) < float(found[fault.id].get("seconds", 0))


def _noticed_before() -> dict[str, str]:
    """Which test noticed a fault, by its id: what is held from now on, and tried first."""
    file = HERE / "killed.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {name: by for name, _, by in (line.partition(" ") for line in lines)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
