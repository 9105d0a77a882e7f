"""Every labelled change of helm/gati gets the level that it deserves, for the reason that it deserves it.

The table in docs/judge.md is made of what comes out: `python -m tests.judge.test_mutations` writes it anew.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from scripts.chart.source import read_chart
from scripts.judge.judge import judge_charts
from scripts.judge.verdict import Verdict, line
from scripts.judge.words import code
from scripts.workspace import Workspace
from tests.judge.conftest import GATI, ROOT, open_patient
from tests.judge.mutations import MUTATIONS, Mutation

TABLE = ROOT / "docs" / "judge.md"
HEAD = "| mutation of helm/gati | why | expected | got | by |\n|---|---|---|---|---|\n"


def judge_mutation(work: Workspace, mutation: Mutation, folder: Path) -> Verdict:
    """The verdict on the changed chart, which is written below `folder`."""
    chart = shutil.copytree(GATI, folder / "gati")
    for change in mutation.changes:
        change(chart)
    old, new = read_chart(GATI), read_chart(chart)
    return judge_charts(work, old, new, old.version, kube_versions=["1.33"])


def row(mutation: Mutation, verdict: Verdict) -> str:
    """The mutation's line of the table."""
    deciding = [one for one in verdict.reasons if one.level == verdict.level]
    about = next((one for one in deciding if one.about.startswith(mutation.about)), None)
    by = f"{code(about.about)}: {about.meaning}" if about else ""
    return f"| {mutation.name} | {mutation.why} | {mutation.level} | {verdict.level} | {by} |"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_gets_its_level(mutation: Mutation, work: Workspace, tmp_path: Path) -> None:
    verdict = judge_mutation(work, mutation, tmp_path)
    told = "\n".join(f"{reason.level}: {line(reason)}" for reason in verdict.reasons)
    assert verdict.level == mutation.level, told
    deciding = [reason.about for reason in verdict.reasons if reason.level == mutation.level]
    assert not mutation.about or any(about.startswith(mutation.about) for about in deciding), told
    told = row(mutation, verdict).rpartition(" | ")[0]  # the words of the reason may change
    assert told in TABLE.read_text(), "python -m tests.judge.test_mutations"


def test_the_table_has_no_other_rows() -> None:
    table = TABLE.read_text().partition(HEAD)[2].partition("\n\n")[0].strip().splitlines()
    assert [line.split(" | ")[0].removeprefix("| ") for line in table] == [one.name for one in MUTATIONS]
    assert len(table) >= 60


def write_table() -> None:
    """Judge every mutation, and put the outcome into the table."""
    work, rows = open_patient(), []
    for mutation in MUTATIONS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row(mutation, judge_mutation(work, mutation, Path(folder))))
    before, _, rest = TABLE.read_text().partition(HEAD)
    after = rest.partition("\n\n")[2]
    TABLE.write_text(before + HEAD + "\n".join(rows) + "\n\n" + after)


if __name__ == "__main__":
    write_table()
