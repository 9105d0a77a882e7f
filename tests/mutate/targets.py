"""Names what is mutated, and which tests have to notice it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """Functions of a module that decide something, and the tests that hold them; () are all of its functions."""

    file: str
    tests: tuple[str, ...]
    functions: tuple[str, ...] = ()


TARGETS = (
    Target("scripts/judge/reason.py", ("tests/unit/judge/test_reason.py",)),
    Target(
        "scripts/e2e/ledger.py",
        ("tests/unit/e2e/test_ledger.py",),
        (
            "judge",
            "windows",
            "_merged",
            "_standstills",
            "_unsent",
            "stall",
            "cause",
            "_reason",
            "_gap",
            "_stale",
            "_last",
            "_within",
            "_slow",
            "Ledger.passed",
        ),
    ),
    Target("scripts/rollout/cause.py", ("tests/unit/rollout/test_cause.py", "tests/unit/rollout/test_diagnose.py")),
    Target(
        "scripts/chart/archive.py",
        ("tests/unit/chart/test_archive.py",),
        ("read_members", "chart_metadata", "unpack", "changed_files", "load_package"),
    ),
    Target(
        "scripts/core/command.py",
        ("tests/unit/core/test_command.py",),
        ("Runner.redact", "Runner._shown", "Runner.run", "Runner.end", "_end_all", "_end_group"),
    ),
    Target(
        "scripts/registry/credentials.py",
        ("tests/unit/registry/test_credentials.py",),
        ("find_credentials", "_from_file", "_from_entry", "_names", "_bare", "login_in_environment", "login_files"),
    ),
    Target(
        "scripts/registry/challenges.py",
        (
            "tests/unit/registry/test_challenges.py",
            "tests/unit/registry/test_answers.py",
            "tests/registry/test_transport.py",
        ),
    ),
    Target(
        "scripts/registry/client.py",
        ("tests/unit/registry/test_answers.py", "tests/registry/test_registry_client.py"),
        (
            "Client.versions",
            "_tags",
            "_next_page",
            "_says_unknown",
            "_like_a_registry",
            "Client.manifest",
            "Client.blob",
        ),
    ),
    Target(
        "scripts/release/publish.py",
        ("tests/registry/test_publish.py",),
        ("publish", "_probe", "demand_push", "check_tree"),
    ),
    Target("scripts/core/git.py", ("tests/unit/core/test_git.py",)),
    Target("scripts/cluster/watch.py", ("tests/unit/cluster/test_watch.py",)),
)
# The tests of the chart that are quick for one render of a fault; those that sweep over thousands come last.
RENDER = "tests/render"
LAST = ("test_property", "test_combinations", "test_names", "test_schema", "test_refusals", "test_traps", "test_stored")
NEVER = ("test_structure", "test_guide", "test_compose_file", "test_figures", "test_requirements")
"""What looks at the files themselves: it notices any difference, and says nothing of what the chart renders."""
DRIFT = "test_docs"
"""The same for the defaults, which the README lists; of the templates it has the notes."""
