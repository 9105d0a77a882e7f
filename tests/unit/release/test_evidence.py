"""What a provenance says of where the commit is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.core.command import Runner
from scripts.core.git import Repository
from scripts.release.evidence import public_url


@dataclass(frozen=True)
class Told(Repository):
    """A repository whose remote is told."""

    told: str = ""

    def remote_url(self) -> str | None:
        return self.told


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("git@example.com:team/charts.git", "https://example.com/team/charts"),
        ("example.com:/team/charts", "https://example.com/team/charts"),
        ("ssh://git@example.com:2222/team/charts.git", "https://example.com/team/charts"),
        ("git+ssh://git@example.com/team/charts.git/", "https://example.com/team/charts"),
        ("https://someone:s3cret@example.com/team/charts.git", "https://example.com/team/charts"),
        ("https://example.com:8443/team/charts/", "https://example.com:8443/team/charts"),
        ("https://example.com/team/charts.git?private_token=s3cret#x", "https://example.com/team/charts"),
        ("[git@example.com:2222]:team/charts.git", "https://example.com/team/charts"),
        ("ssh://git@ssh.github.com:443/team/charts.git", "https://github.com/team/charts"),
        ("git@altssh.gitlab.com:team/charts.git", "https://gitlab.com/team/charts"),
        ("ssh://git@[::1]:2222/team/charts", "https://[::1]/team/charts"),
        ("ftp://someone:s3cret@example.com/charts.git", "ftp://example.com/charts"),
        ("git://example.com/charts", "git://example.com/charts"),
        ("/srv/a b/charts.git", "file:///srv/a b/charts.git"),
        ("file:///srv/charts.git", "file:///srv/charts.git"),
        ("../charts.git", "file:///work/charts.git"),
        ("charts", "file:///work/clone/charts"),
    ],
)
def test_the_address_of_the_remote(remote: str, url: str, runner: Runner) -> None:
    assert public_url(Told(Path("/work/clone"), runner, remote), {}) == url


@pytest.mark.parametrize("remote", ["work:team/charts.git", "git@work:team/charts", "ssh://git@work/team/charts"])
def test_an_alias_of_this_users_ssh_is_told_as_others_know_it(
    remote: str, runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\n[ "$*" = "-G -- work" ] && printf "user git\\nhostname ssh.example.com\\n"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert public_url(Told(Path("/work/clone"), runner, remote), {}) == "https://example.com/team/charts"
