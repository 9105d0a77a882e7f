"""What CI runs exists: every task, flag and session that a workflow names, on GitHub and on GitLab."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
GITLAB = ROOT / "docs" / "gitlab-ci.yml"
NOT_JOBS = {"stages", "default", "variables", "workflow"}
PINNED = re.compile(r"[\w./-]+@[0-9a-f]{40}")


def read(file: Path) -> dict[Any, Any]:
    loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in read(file)["jobs"].values() for step in job["steps"]]


def commands() -> list[str]:
    """Each line of shell that a workflow, or the page for GitLab, runs."""
    scripts = [step["run"] for file in WORKFLOWS for step in steps(file) if "run" in step]
    scripts += [line for name, job in read(GITLAB).items() if name not in NOT_JOBS for line in job["script"]]
    return [line.strip() for script in scripts for line in script.splitlines()]


def flags(task: str) -> set[str]:
    shown = subprocess.run(
        (sys.executable, "-m", "invoke", "--help", task), cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(re.findall(r"--[a-z][a-z-]+", shown.stdout))


@pytest.mark.parametrize("line", sorted({line for line in commands() if line.startswith("invoke ")}))
def test_every_task_and_flag_exists(line: str) -> None:
    task, *given = shlex.split(line)[1:]
    assert {word.partition("=")[0] for word in given if word.startswith("--")} <= flags(task)


def test_every_session_exists() -> None:
    nox = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    known = {*re.findall(r"^def (\w+)\(session", nox, re.MULTILINE), *re.findall(r'session\(name="([\w-]+)"', nox)}
    named = {match for line in commands() for match in re.findall(r"nox -s ([\w-]+)", line)}
    named |= {name for file in WORKFLOWS for job in read(file)["jobs"].values() for name in sessions(job)}
    assert named
    assert named <= known


def test_on_gitlab_the_report_is_kept_whatever_failed() -> None:
    job = read(GITLAB)["e2e"]
    assert job["artifacts"]["when"] == "always"
    assert "dist/report.html" in job["artifacts"]["paths"]
    assert re.search(r"\breport\b.*invoke", job["after_script"][-1])


def sessions(job: dict[str, Any]) -> list[str]:
    return list(job.get("strategy", {}).get("matrix", {}).get("session", ()))


def test_actions_are_pinned_by_commit() -> None:
    used = [step["uses"] for file in WORKFLOWS for step in steps(file) if "uses" in step]
    assert used
    assert [name for name in used if not PINNED.fullmatch(name)] == []


def test_no_workflow_may_more_than_it_says() -> None:
    for file in WORKFLOWS:
        assert read(file)["permissions"] in ({}, {"contents": "read"}), file.name
        assert "concurrency" in read(file), file.name


def test_the_job_that_releases_on_gitlab_runs_alone_and_has_all_tags() -> None:
    job = read(GITLAB)["release"]
    assert job["resource_group"] == "release"
    assert job["variables"]["GIT_DEPTH"] == "0"
    assert not [line for line in job["script"] if "https://" in line], "GitLab may have a port, a path, or no TLS"


def test_the_action_runs_its_inputs_from_the_environment_only() -> None:
    for step in read(ROOT / "action.yml")["runs"]["steps"]:
        assert "${{" not in step["run"]


@pytest.mark.parametrize(("registry", "seen"), [("", "its own"), ("oci://ghcr.io/me", "oci://ghcr.io/me")])
def test_the_action_leaves_the_registry_to_the_chart_where_it_is_told_none(
    tmp_path: Path, registry: str, seen: str
) -> None:
    (invoke := tmp_path / "gati-toolkit" / "bin" / "invoke").parent.mkdir(parents=True)
    invoke.write_text('#!/bin/sh\necho "${GATI_REGISTRY-its own}: $*"\n')
    invoke.chmod(0o755)
    given = {
        "RUNNER_TEMP": str(tmp_path),
        "ACTION": "/a",
        "TASKS": "lint\n\nrelease --yes\n",
        "GATI_REGISTRY": registry,
    }
    run = ("bash", "-ec", read(ROOT / "action.yml")["runs"]["steps"][-1]["run"])
    told = subprocess.run(run, env={**os.environ, **given}, check=True, capture_output=True, text=True).stdout
    assert told == f"{seen}: --search-root /a lint\n{seen}: --search-root /a release --yes\n"
