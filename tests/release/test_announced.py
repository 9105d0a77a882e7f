"""A version is announced on a forge and in a chart repository: what is missing, once, and nothing is overwritten."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import json
import os
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.chart.source import read_chart
from scripts.core.errors import OUTSIDE, REFUSED, ConfigError, GitError, ReleaseError
from scripts.core.yaml_read import load
from scripts.present import after_release
from scripts.registry.client import connect
from scripts.registry.embedded import embedded, registry_for
from scripts.release import chart_index
from scripts.release.announce import Announced
from scripts.release.chart_index import Folder, Index
from scripts.release.forge import read_forge
from scripts.release.notes import changes
from scripts.release.package import build, release_time
from scripts.release.places import Place
from scripts.release.plan import Options, prepared
from tests.registry.servers import Reply, Request, scripted
from tests.release.conftest import Project
from tests.release.forges import FORGES, PROJECT, TOKEN, Forge
from tests.release.test_release import unreleased

NAMES = {"demo-1.2.0.tgz", "demo-1.2.0.sha256"}


@pytest.fixture(params=FORGES)
def forge(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A forge of each kind, empty."""
    made = FORGES[request.param]()
    made.kind = request.param  # type: ignore[attr-defined]
    monkeypatch.setenv(f"{request.param.upper()}_TOKEN", TOKEN)
    with scripted(made.answer) as server:
        made.host = server.host
        yield made


@pytest.fixture
def what(project: Project) -> Announced:
    """The version of the project, as a release announces it."""
    return announcement(project)


def announcement(project: Project) -> Announced:
    config, chart = project.config, read_chart(project.config.chart)
    package, archive = build(config, chart, project.work.helm, release_time(config, chart))
    tag = f"demo-{chart.version}"
    commit = project.git("rev-parse", "HEAD")
    return Announced(package, archive, chart.metadata, tag, commit, "# What is new\n", f"demo:{chart.version}")


@pytest.fixture
def place(forge: Any, project: Project) -> Place:
    """The forge, as a release sees it; the tag has been pushed there."""
    forge.tags["demo-1.2.0"] = project.git("rev-parse", "HEAD")
    return read_forge(f"{forge.kind}:http://{forge.host}/{PROJECT}", os.environ, project.runner)


@pytest.fixture
def announced(project: Project, forge: Any) -> Project:
    """The project, whose releases are made on the forge, too."""
    return Project(project.work.having(forge=f"{forge.kind}:http://{forge.host}/{PROJECT}"))


def push_tag(project: Project, forge: Forge, tag: str = "demo-1.2.0") -> None:
    """What pushing the tag does."""
    forge.tags[tag] = project.git("rev-parse", f"{tag}^{{commit}}")


@pytest.mark.parametrize("text", ["github:a/b/c", "gitea:https://someone:s3cret@git.example/a/b", "github:a"])
def test_what_names_no_project_is_refused_without_its_login(project: Project, text: str) -> None:
    with pytest.raises(ConfigError, match="forge names no project") as told:
        read_forge(text, {"GITHUB_TOKEN": "t", "GITEA_TOKEN": "t"}, project.runner)
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "api"),
    [
        ("gitea:https://git.example/forge/a/b/", "https://git.example/forge/api/v1/repos/a/b"),
        ("gitlab:https://git.example/a/b/c", "https://git.example/api/v4/projects/a%2Fb%2Fc"),
        ("github:https://git.example/a/b", "https://git.example/api/v3/repos/a/b"),
        ("github:https://acme.ghe.com/a/b", "https://api.acme.ghe.com/repos/a/b"),
        ("github:a/b", "https://api.github.com/repos/a/b"),
    ],
)
def test_where_the_api_of_a_project_is(project: Project, text: str, api: str) -> None:
    tokens = {f"{kind.upper()}_TOKEN": "t" for kind in FORGES}
    assert read_forge(text, tokens, project.runner).api == api


class TestForge:
    def test_waits_for_the_tag_and_then_makes_the_release_once(self, announced: Project, forge: Any) -> None:
        assert announced.plan(tag=True)[forge.kind] == "unknown"
        announced.release(tag=True)
        assert forge.writes() == []
        assert announced.plan(tag=True)["record"] == "same"

        push_tag(announced, forge)
        assert announced.plan(tag=True)[forge.kind] == "absent"
        assert forge.writes() == []
        record = announced.release(tag=True)
        (made,) = forge.shown()
        assert (made["tag_name"], made["name"]) == ("demo-1.2.0", "demo 1.2.0")
        held = forge.held(made)
        assert set(held) == NAMES
        assert held["demo-1.2.0.tgz"] == (announced.config.dist / "demo-1.2.0.tgz").read_bytes()
        assert held["demo-1.2.0.sha256"] == f"{record.sha256}  demo-1.2.0.tgz\n".encode()
        notes = made.get("body") or made["description"]
        assert notes == (announced.config.dist / "release-notes.md").read_text()
        assert "### Added\n\n- The chart" in notes
        assert record.digest in notes

        written = forge.writes()
        assert set(announced.plan(tag=True).values()) == {"same"}
        announced.release(tag=True)
        assert forge.writes() == written

    def test_what_it_ends_with_leads_to_its_end_also_where_others_have_pushed(
        self, announced: Project, forge: Any
    ) -> None:
        announced.git("clone", "--quiet", "--bare", ".", str(theirs := announced.root.parent / "theirs"))
        announced.git("remote", "add", "origin", str(theirs))
        announced.git("fetch", "--quiet")
        announced.git("branch", "--quiet", "--set-upstream-to=origin/main")
        unseen = announced.git("commit-tree", "-p", "main", "-m", "Theirs", "main^{tree}")
        announced.git("push", "--quiet", "origin", f"{unseen}:main")

        def ends(**options: Any) -> str:
            with prepared(announced.work, Options(part="minor", **options)) as ready:
                text = after_release(None, ready, ready.run())
            return text.removeprefix("next: ").replace("the same command again", "true")

        assert ends() == "true --tag"
        for _ in range(2):
            words = ends(tag=True).replace("invoke registry", "true")
            subprocess.run(f"GIT_EDITOR=true {words}", shell=True, cwd=announced.root, check=True, capture_output=True)
            push_tag(announced, forge, "demo-1.3.0")
        assert [made["tag_name"] for made in forge.shown()] == ["demo-1.3.0"]
        assert list(announced.published()) == ["1.3.0"]
        subprocess.run(("git", "-C", theirs, "merge-base", "--is-ancestor", "demo-1.3.0", "main"), check=True)

    def test_what_others_have_added_to_before_its_end_is_ended_where_its_tag_is(
        self, announced: Project, forge: Any
    ) -> None:
        announced.release(tag=True)
        announced.git("branch", "demo-1.2.0")
        (announced.root / "chart/values.yaml").write_text("replicas: 3\n")
        announced.commit("Theirs")
        announced.git("branch", "--force", "demo-1.2.0")
        for _ in range(2):
            with pytest.raises(ReleaseError, match="is not overwritten") as told:
                announced.release()
            push_tag(announced, forge)
        announced.git(*shlex.split(str(told.value.run).partition(",")[0])[1:])
        announced.release()
        assert [made["tag_name"] for made in forge.shown()] == ["demo-1.2.0"]
        announced.git("switch", "--quiet", "main")
        with pytest.raises(ReleaseError, match="is not overwritten") as told:
            announced.release()
        assert told.value.run == "invoke version-bump --part patch"

    @pytest.mark.parametrize("failing", range(4))
    def test_broken_off_anywhere_it_goes_on(self, place: Place, what: Announced, forge: Any, failing: int) -> None:
        writes = 0

        def break_off(request: Request) -> Reply | None:
            nonlocal writes
            if request.method == "GET":
                return None
            writes += 1
            return Reply(400, b'{"message": "broken off"}') if writes == failing + 1 else None

        forge.meddle = break_off
        if writes_of(forge.kind) > failing:
            with pytest.raises(ReleaseError, match="is refused") as told:
                place.announce(what)
            assert told.value.code == OUTSIDE
            assert forge.shown() == []
            assert place.look(what).state == "absent"
        forge.meddle = lambda _: None
        place.announce(what)
        (made,) = forge.releases
        assert set(forge.held(made)) == NAMES
        assert forge.shown() == [made]
        assert place.look(what).state == "same"

    def test_an_answer_that_is_lost_is_found_again(self, place: Place, what: Announced, forge: Any) -> None:
        def lose(request: Request) -> Reply | None:
            if request.method == "POST" and request.path.endswith("/releases"):
                forge.meddle = lambda _: None
                forge.api(request, request.path, {})
                return Reply(422, b'{"message": "Validation Failed"}')
            return None

        forge.meddle = lose
        place.announce(what)
        assert len(forge.releases) == 1
        assert set(forge.held(forge.shown()[0])) == NAMES

    def test_what_others_made_is_added_to_and_not_changed(self, place: Place, what: Announced, forge: Any) -> None:
        place.announce(what)
        (made,) = forge.releases
        made["name"] = "By hand"
        assets = made["assets"]["links"] if forge.kind == "gitlab" else made["assets"]
        gone = assets.pop()
        assert place.look(what).state == "absent"
        place.announce(what)
        assert (made["name"], len(assets), assets[-1]["name"]) == ("By hand", 2, gone["name"])

    @pytest.mark.parametrize("tagged", [True, False])
    @pytest.mark.parametrize(
        ("there", "words"),
        [
            (None, r"there is no such project.*\n.*_TOKEN see the project"),
            ({"archived": True}, "is archived"),
            ({"full_name": "team/helm", "path_with_namespace": "team/helm"}, "is called team/helm now"),
        ],
    )
    def test_a_project_that_takes_no_release_is_told_before_the_push(
        self, place: Place, what: Announced, forge: Any, tagged: bool, there: dict[str, Any] | None, words: str
    ) -> None:
        forge.project = there
        forge.tags = forge.tags if tagged else {}
        with pytest.raises(ReleaseError, match=f"(?s){words}"):
            place.look(what)

    @pytest.mark.parametrize("forge", ["github", "gitea"], indirect=True)
    def test_a_second_file_of_the_same_name_is_looked_at_too(self, place: Place, what: Announced, forge: Any) -> None:
        place.announce(what)
        (made,) = forge.releases
        made["assets"].append({**made["assets"][0], "size": 1})
        assert place.look(what).state == "different"

    @pytest.mark.parametrize("forge", ["github"], indirect=True)
    def test_who_asks_too_often_is_told_to_wait(self, place: Place, what: Announced, forge: Any) -> None:
        forge.meddle = lambda _: Reply(403, b'{"message": "API rate limit exceeded for installation"}')
        with pytest.raises(ReleaseError, match=r"(?s)rate limit.*wait until 127\.0\.0\.1:\d+ takes more requests"):
            place.look(what)

    @pytest.mark.parametrize("forge", ["github"], indirect=True)
    @pytest.mark.parametrize(
        ("shown", "latest"),
        [("demo-1.10.0", "demo-1.10.0"), ("demo-1.1.9", "demo-1.2.0"), ("other-9.0.0", "demo-1.2.0")],
    )
    def test_a_release_of_an_older_line_is_not_the_latest(
        self, place: Place, what: Announced, forge: Any, shown: str, latest: str
    ) -> None:
        there = {"tag_name": shown, "id": 0, "assets": [], "draft": False, "prerelease": False, "upload_url": ""}
        forge.releases.append(there)
        place.announce(what)
        assert forge.latest()[-1]["tag_name"] == latest

    @pytest.mark.parametrize("more", [0, 1 << 17])
    def test_other_content_is_refused(self, place: Place, what: Announced, forge: Any, more: int) -> None:
        place.announce(what)
        for name in forge.files:
            forge.files[name] = bytes(len(forge.files[name]) + more)
        seen = place.look(what)
        assert seen.state == "different"
        assert isinstance(seen.refusal, ReleaseError)
        assert (seen.refusal.code, seen.refusal.found) == (REFUSED, "\n".join(sorted(NAMES, reverse=True)))

    def test_what_speaks_for_the_archive_goes_along(self, place: Place, what: Announced, forge: Any) -> None:
        what.package.path.parent.mkdir(exist_ok=True)
        prov, bundle = (what.package.path.with_name(f"demo-1.2.0.tgz{end}") for end in (".prov", ".sigstore.json"))
        prov.write_text(f"demo-1.2.0.tgz: sha256:{what.package.sha256}")
        digest = base64.b64encode(hashlib.sha512(what.archive).digest()).decode()
        bundle.write_text(json.dumps({"messageSignature": {"messageDigest": {"digest": digest}}}))
        place.announce(what)
        held = forge.held(forge.shown()[0])
        assert held["demo-1.2.0.tgz.prov"] == prov.read_bytes()
        sums = held["demo-1.2.0.sha256"].decode().splitlines()
        assert [line.split("  ")[1] for line in sums] == [
            "demo-1.2.0.tgz",
            "demo-1.2.0.tgz.prov",
            "demo-1.2.0.tgz.sigstore.json",
        ]

    def test_what_speaks_for_an_earlier_archive_of_that_name_stays_behind(self, what: Announced) -> None:
        what.package.path.parent.mkdir(exist_ok=True)
        for end in (".prov", ".sigstore.json"):
            what.package.path.with_name(f"demo-1.2.0.tgz{end}").write_text(f"demo-1.2.0.tgz: sha256:{'0' * 64}")
        assert [*what.files()] == ["demo-1.2.0.tgz", "demo-1.2.0.sha256"]

    def test_a_tag_at_another_commit_is_refused(self, place: Place, what: Announced, forge: Any) -> None:
        forge.tags["demo-1.2.0"] = "0" * 40
        seen = place.look(what)
        assert (seen.state, "is at another commit" in seen.action) == ("different", True)

    @pytest.mark.parametrize(
        "body", [b"[]", b"{}", b"<html>", b'{"object": 1, "commit": 2}', b'{"commit": {}}', b"nul"]
    )
    def test_an_answer_of_another_form_is_told(self, place: Place, what: Announced, forge: Any, body: bytes) -> None:
        forge.meddle = lambda _: Reply(200, body)
        with pytest.raises(ReleaseError, match="the answer"):
            place.look(what)

    def test_the_token_goes_nowhere_else(self, place: Place, what: Announced, forge: Any) -> None:
        if forge.kind != "gitlab":  # its links alone lead to anywhere
            return
        place.announce(what)
        seen: list[Request] = []

        def answer(request: Request) -> Reply:
            seen.append(request)
            return Reply(200, b"x")

        with scripted(answer) as elsewhere:
            for link in forge.releases[0]["assets"]["links"]:
                link["url"] = f"http://{elsewhere.host}/x"
            assert place.look(what).state == "different"
        assert seen
        assert not [one for one in seen if "authorization" in one.headers]

    def test_a_forge_that_cannot_be_asked_stops_before_the_push(
        self, announced: Project, forge: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(f"{forge.kind.upper()}_TOKEN", "of-somebody-else")
        with pytest.raises(
            ReleaseError, match=r"(?s)is refused.*HTTP 401, Bad credentials.*_TOKEN.* has not expired"
        ) as told:
            announced.release(tag=True)
        assert "of-somebody-else" not in str(told.value)
        assert announced.published() == {}
        monkeypatch.delenv(f"{forge.kind.upper()}_TOKEN")
        with pytest.raises(ConfigError, match=r"(?s)there is no token for.*_TOKEN"):
            announced.plan(tag=True)


def writes_of(kind: str) -> int:
    """How many requests that write a release takes: with a draft that is shown at last, but for GitLab."""
    return 3 if kind == "gitlab" else 4


@pytest.mark.parametrize(
    "text", ["github", "github:one", "http://x/y", "gitea:a/b", "bitbucket:a/b", "github:http://h/a/b", "github:a/b/c"]
)
def test_a_forge_that_names_no_project(project: Project, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    with pytest.raises(ConfigError):
        Project(project.work.having(forge=text)).plan()


# -- an HTTP chart repository ------------------------------------------------------------------------


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder over HTTP."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def pages(project: Project) -> Path:
    return project.root.parent / "pages"


@pytest.fixture
def indexed(project: Project, pages: Path) -> Project:
    """The project, whose versions are added to the index of a folder."""
    return Project(project.work.having(chart_index=str(pages)))


def helm(project: Project, tmp_path: Path, *words: str) -> str:
    argv = (str(project.toolchain.path("helm")), *words)
    env = {
        "HOME": str(tmp_path),
        "HELM_CACHE_HOME": str(tmp_path / "cache"),
        "HELM_CONFIG_HOME": str(tmp_path / "conf"),
    }
    env |= {"HELM_DATA_HOME": str(tmp_path / "data"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestIndex:
    def test_helm_finds_and_pulls_what_was_added(self, indexed: Project, pages: Path, tmp_path: Path) -> None:
        assert indexed.plan()["index"] == "absent"
        assert not pages.exists()
        first = indexed.release()
        assert set(indexed.plan().values()) == {"same"}
        second = indexed.release(part="minor")
        with served(pages) as url:
            helm(indexed, tmp_path, "repo", "add", "ours", url)
            found = json.loads(helm(indexed, tmp_path, "search", "repo", "ours/demo", "--versions", "--output", "json"))
            assert [one["version"] for one in found] == ["1.3.0", "1.2.0"]
            for record in (first, second):
                helm(indexed, tmp_path, "pull", "ours/demo", "--version", record.version)
                assert (tmp_path / record.archive).read_bytes() == (pages / record.archive).read_bytes()
        assert {file.name for file in pages.iterdir()} == {"index.yaml", first.archive, second.archive}

    def test_an_index_stays_a_link_and_readable_by_whom_it_was(
        self, indexed: Project, pages: Path, tmp_path: Path
    ) -> None:
        real = tmp_path / "elsewhere.yaml"
        real.write_text("apiVersion: v1\nentries: {}\n")
        real.chmod(0o664)
        pages.mkdir()
        (pages / "index.yaml").symlink_to(real)
        indexed.release()
        assert (pages / "index.yaml").is_symlink()
        assert "version: 1.2.0" in real.read_text()
        assert real.stat().st_mode & 0o777 == 0o664

    def test_the_rest_of_an_index_stays_as_it_is(self, indexed: Project, pages: Path, tmp_path: Path) -> None:
        (pages / "old").mkdir(parents=True)
        for name in ("another", "zoo"):
            helm(indexed, tmp_path, "create", name)
            helm(indexed, tmp_path, "package", name, "--destination", str(pages / "old"))
        helm(indexed, tmp_path, "repo", "index", str(pages))
        text = f"# by hand\n{(pages / 'index.yaml').read_text()}"
        (pages / "index.yaml").write_text(text)
        indexed.release()
        indexed.release(part="minor")
        lines, after = text.splitlines(), (pages / "index.yaml").read_text().splitlines()
        rest = iter(after)
        assert all(line in rest for line in lines)  # each, in their order
        entries = yaml.safe_load("\n".join(after))["entries"]
        assert [one["version"] for one in entries.pop("demo")] == ["1.3.0", "1.2.0"]
        assert entries == yaml.safe_load(text)["entries"]

    @pytest.mark.parametrize(
        "text",
        [
            "apiVersion: v1\nentries: {}\ngenerated: x\n",
            "apiVersion: v1\nentries:\n",
            "apiVersion: v1\nentries:\n  demo: []\n",
            "apiVersion: v1\nentries:\n  demo: null\n  zoo:\n  - version: 1.0.0\n",
            "apiVersion: v1\nentries: ~\n",
            "entries: {} # filled by a release\n# the end\n",
            "entries: # none\n# not yet\n",
            "entries: # all\n  zoo: # the animals\n  - version: 1.0.0\n  demo: [] # taken away\n",
            "apiVersion: v1\nentries:\n    zoo:\n    - version: 1.0.0\n",
            "\ufeffapiVersion: v1\nentries:\n  demo:\n  - version: 1.0.0\n",
            "apiVersion: v1\r\nentries:\r\n  demo:\r\n  - version: 1.0.0\r\n    urls: [x]\r\n",
            "",
        ],
    )
    def test_forms_in_which_an_index_is_found(self, what: Announced, pages: Path, text: str) -> None:
        pages.mkdir()
        (pages / "index.yaml").write_bytes(text.encode())
        before = (yaml.safe_load(text) or {}).get("entries") or {}
        index = Index(Folder(pages), "")
        index.announce(what)
        after = (pages / "index.yaml").read_text()
        entries = yaml.safe_load(after)["entries"]
        assert all(said in after for said in re.findall("#.*", text))
        assert entries["demo"][0]["version"] == "1.2.0"
        assert entries["demo"][1:] == (before.get("demo") or [])
        assert index.look(what).state == "same"

    @pytest.mark.parametrize("own", ["", "  demo:\n  - version: 1.0.0\n"])
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_of_a_large_index_the_charts_of_others_are_not_read(
        self, what: Announced, pages: Path, monkeypatch: pytest.MonkeyPatch, own: str, place: int
    ) -> None:
        others = [f"  {name}:\n" + 500 * "  - version: 1.0.0\n" for name in ("a", "b")]
        text = "".join(["entries:\n", *others[:place], own, *others[place:], "generated: x\n"])
        pages.mkdir()
        (pages / "index.yaml").write_text(text)
        read: list[str] = []

        def noted(part: str) -> Any:
            read.append(part)
            return load(part)

        monkeypatch.setattr(chart_index, "load", noted)
        Index(Folder(pages), "").announce(what)
        assert max(map(len, read)) < 0.6 * len(text)
        after, before = (yaml.safe_load(one) for one in ((pages / "index.yaml").read_text(), text))
        (added, *rest) = after["entries"].pop("demo")
        assert (added["version"], rest) == ("1.2.0", before["entries"].pop("demo", []))
        assert after == before

    @pytest.mark.parametrize("text", ["72225e2", "0o17", "1_000", "y", "12:30", "2026-11-25"])
    def test_a_text_that_may_be_taken_for_a_number_is_read_by_helm_as_a_text(
        self, indexed: Project, what: Announced, pages: Path, tmp_path: Path, text: str
    ) -> None:
        metadata = {**what.metadata, "appVersion": text, "keywords": [text], "annotations": {text: text}}
        Index(Folder(pages), "").announce(replace(what, metadata=metadata))
        with served(pages) as url:
            helm(indexed, tmp_path, "repo", "add", "ours", url)
            (found,) = json.loads(helm(indexed, tmp_path, "search", "repo", "ours/demo", "--output", "json"))
        assert found["app_version"] == text

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("apiVersion: v1\nentries: {demo: [{version: 1.0.0}]}\n", "cannot be added to without writing it anew"),
            ('{"apiVersion":"v1","entries":{}}', "cannot be added to without writing it anew"),
            ("x: &x\n  entries: {}\n<<: *x\n", "cannot be added to without writing it anew"),
            ("apiVersion: v1\nentries:\n  zoo: &z\n  - version: 1.0.0\n  demo: *z\n", "cannot be added to without"),
            ("a: [", "is no index of a chart repository"),
            (
                "entries:\n  demo:\n  - version: 1.0.0\n  zoo:\n  - version: 1.0.0\n  demo:\n  - version: 0.9.0\n",
                "is no index of a chart repository",
            ),
            ("[]", "is no index of a chart repository"),
            ("apiVersion: v1\nentries: 3\n", "is no index of a chart repository"),
            ("apiVersion: v1\nentries:\n  demo:\n  - version: 1.2.0\n    digest: '00'\n", "has other content"),
            ("apiVersion: v1\nentries:\n  demo:\n  - version: 1.2.0\n", "has other content"),
        ],
    )
    def test_what_is_refused_stays(self, what: Announced, pages: Path, text: str, words: str) -> None:
        pages.mkdir()
        (pages / "index.yaml").write_text(text)
        index = Index(Folder(pages), "")
        with pytest.raises(ReleaseError, match=words):  # before anything is done
            if (seen := index.look(what)).refusal is not None:
                raise seen.refusal
        assert (pages / "index.yaml").read_text() == text

    def test_another_archive_of_that_name_is_refused_before_the_push(self, indexed: Project, pages: Path) -> None:
        pages.mkdir()
        (pages / "demo-1.2.0.tgz").write_text("another")
        assert indexed.plan()["index"] == "different"
        with pytest.raises(ReleaseError, match=r"demo-1\.2\.0\.tgz in .* has other content"):
            indexed.release()
        assert indexed.published() == {}

    def test_an_entry_may_lead_elsewhere(self, project: Project, pages: Path) -> None:
        away = Project(project.work.having(chart_index=str(pages), chart_index_url="https://example.org/charts"))
        away.release()
        (entry,) = yaml.safe_load((pages / "index.yaml").read_text())["entries"]["demo"]
        assert entry["urls"] == ["https://example.org/charts/demo-1.2.0.tgz"]
        assert set(away.plan().values()) == {"same"}
        for address in ("https://me:hunter2@example.org/charts", "https://", "example.org"):
            with pytest.raises(ConfigError, match="chart_index_url is no address"):
                Project(project.work.having(chart_index=str(pages), chart_index_url=address)).plan()

    def test_the_projects_own_folder_may_be_the_one(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(chart_index, "_PATIENCE", 1.0)
        Project(project.work.having(chart_index=".")).release()
        assert (project.root / "index.yaml").is_file()


class TestBranch:
    def branch(self, project: Project, name: str = "git:gh-pages") -> Project:
        return Project(project.work.having(chart_index=name))

    def test_is_committed_to_beside_the_working_tree(self, project: Project) -> None:
        told: list[str] = []
        there = self.branch(project)
        first = there.release(say=told.append)
        assert project.git("status", "--porcelain") == ""
        assert project.git("branch", "--show-current") == "main"
        assert project.git("ls-tree", "-r", "--name-only", "gh-pages").split() == ["demo-1.2.0.tgz", "index.yaml"]
        second = there.release(part="minor")
        entries = yaml.safe_load(project.git("show", "gh-pages:index.yaml"))["entries"]["demo"]
        assert [one["digest"] for one in entries] == [second.sha256, first.sha256]
        assert project.git("rev-list", "--count", "gh-pages") == "2"
        assert set(there.plan(part="minor").values()) == {"same"}

    def cloned(self, project: Project, tmp_path: Path, index: str, *words: str) -> Project:
        """The project in another clone, which has the same `index`."""
        subprocess.run(("git", "clone", "--quiet", *words, project.root, tmp_path / "other"), check=True)
        config = project.config
        moved = {
            name: tmp_path / "other" / getattr(config, name).relative_to(config.root) for name in ("chart", "changelog")
        }
        own = replace(config, root=tmp_path / "other", project=tmp_path / "other", dist=tmp_path / "dist", **moved)
        other = self.branch(Project(replace(project.work, config=own)), index)
        unreleased(other, "A slip")
        return other

    def test_that_the_clone_lacks_is_fetched_first(self, project: Project, tmp_path: Path) -> None:
        self.branch(project).release()
        other = self.cloned(project, tmp_path, "git:gh-pages", "--single-branch", "--no-local")
        with pytest.raises(GitError, match="origin has more of the branch gh-pages than is here") as told:
            other.release(part="patch")
        assert list(other.published()) == ["1.2.0"]
        other.git(*shlex.split(str(told.value.run).partition(",")[0])[1:])
        other.release(part="patch")
        assert other.git("rev-list", "--count", "gh-pages") == "2"

    def test_goes_on_from_the_remote_and_says_what_to_push(self, project: Project, tmp_path: Path) -> None:
        self.branch(project, "git:gh-pages:charts/stable").release()
        other = self.cloned(project, tmp_path, "git:gh-pages:charts/stable")
        told: list[str] = []
        other.release(part="patch", say=told.append)
        assert [line for line in told if line.endswith("then: git push origin gh-pages")]
        assert other.git("rev-list", "--count", "gh-pages") == "2"
        entries = yaml.safe_load(other.git("show", "gh-pages:charts/stable/index.yaml"))["entries"]["demo"]
        assert [one["version"] for one in entries] == ["1.2.1", "1.2.0"]
        project.git("checkout", "--quiet", "gh-pages")
        project.git("commit", "--quiet", "--allow-empty", "--message", "Theirs")
        other.git("fetch", "--quiet")
        with pytest.raises(GitError, match="have gone apart"):
            other.release(part="patch")

    def test_that_is_checked_out_is_left_alone(self, project: Project, tmp_path: Path) -> None:
        there = self.branch(project)
        there.release()
        project.git("worktree", "add", "--quiet", str(tmp_path / "pages"), "gh-pages")
        with pytest.raises(GitError, match=f"is checked out in {tmp_path}/pages"):
            there.release(part="minor")
        assert list(there.published()) == ["1.2.0"]
        assert project.git("rev-list", "--count", "gh-pages") == "1"
        shutil.rmtree(tmp_path / "pages")
        with pytest.raises(GitError, match="is checked out in") as told:
            there.release(part="minor")
        project.git(*shlex.split(str(told.value.run).partition(",")[0])[1:])
        assert there.release(part="minor").version == "1.3.0"

    def test_is_signed_as_commits_are_or_refused_before_the_push(self, project: Project, tmp_path: Path) -> None:
        there, key = self.branch(project), tmp_path / "id"
        for name, value in {"gpg.format": "ssh", "user.signingKey": f"{key}.pub", "commit.gpgSign": "true"}.items():
            project.git("config", name, value)
        with pytest.raises(GitError, match=r"commit\.gpgSign asks for signatures, and git cannot sign"):
            there.release()
        assert there.published() == {}
        subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)), check=True)
        there.release()
        assert "gpgsig" in project.git("cat-file", "commit", "gh-pages")

    def test_is_committed_to_by_somebody(self, project: Project, tmp_path: Path) -> None:
        (tmp_path / "gitconfig").write_text("[user]\nuseConfigOnly = true\n")
        with pytest.raises(GitError, match="git does not know who you are"):
            self.branch(project).release()
        assert project.published() == {}

    @pytest.mark.parametrize("text", ["git:", "git:a b", "git:x:../y", "git:x:/y"])
    def test_that_is_none(self, project: Project, text: str) -> None:
        with pytest.raises(ConfigError, match="chart_index names no branch"):
            self.branch(project, text).plan()


# -- Artifact Hub --------------------------------------------------------------------------------------


class TestHub:
    OURS = "repositoryID: 6f4ad1b2-0000-4000-8000-000000000001\nowners:\n- name: We\n  email: we@example.org\n"

    def hub(self, project: Project, text: str, **more: str) -> Project:
        (project.root / "artifacthub-repo.yml").write_text(text)
        return Project(project.work.having(artifacthub_repo="artifacthub-repo.yml", **more))

    def test_is_put_beside_the_chart_and_the_index_and_renewed(self, project: Project, pages: Path) -> None:
        there = self.hub(project, self.OURS, chart_index=str(pages))
        assert there.plan()["artifacthub"] == "absent"
        there.release()
        assert (pages / "artifacthub-repo.yml").read_text() == self.OURS
        with registry_for(there.work) as registry, connect(registry) as client:
            at = replace(registry.reference("demo", "1.2.0"), version="artifacthub.io")
            found = client.manifest(at)
            assert found is not None
            manifest = json.loads(found.content)
            (layer,) = manifest["layers"]
            assert client.blob(at, layer["digest"], layer["size"]).decode() == self.OURS
            assert client.versions("demo") == ("1.2.0",)
        assert manifest["config"]["mediaType"] == "application/vnd.cncf.artifacthub.config.v1+yaml"
        assert layer["mediaType"] == "application/vnd.cncf.artifacthub.repository-metadata.layer.v1.yaml"
        assert set(there.plan().values()) == {"same"}

        more = f"{self.OURS}- name: They\n  email: they@example.org\n"
        there = self.hub(project, more, chart_index=str(pages))
        assert there.plan()["artifacthub"] == "absent"
        there.release()
        assert (pages / "artifacthub-repo.yml").read_text() == more
        assert set(there.plan().values()) == {"same"}

        other = self.hub(project, self.OURS.replace("0001", "0002"), chart_index=str(pages))
        assert other.plan()["artifacthub"] == "different"
        with pytest.raises(ReleaseError, match="belongs to another repository of Artifact Hub"):
            other.release()

    @pytest.mark.parametrize("text", ["", "[]", "a: [", "owners: []\n", "owners: [x]\n", "repositoryID: 3\n"])
    def test_that_is_none(self, project: Project, text: str) -> None:
        with pytest.raises(ConfigError, match=r"is no artifacthub-repo\.yml"):
            self.hub(project, text).plan()
        with pytest.raises(ConfigError, match="which is not there"):
            Project(project.work.having(artifacthub_repo="nowhere.yml")).plan()


# -- notes ---------------------------------------------------------------------------------------------


def test_notes_say_what_changed_what_it_means_and_how_to_get_it(project: Project, tmp_path: Path) -> None:
    with embedded(tmp_path / "real", project.work) as registry:
        there = Project(project.work.having(registry=registry.prefix))
        there.release(tag=True)
        (project.root / "chart/values.yaml").write_text("replicas: 3\n")
        project.commit("Three")
        record = there.release(part="minor", tag=True)
        notes = (project.config.dist / "release-notes.md").read_text()
    assert notes.startswith("# demo 1.3.0\n\n### Added\n\n- A second replica\n")
    assert "| `values.yaml: replicas` |" in notes or "replicas" in notes
    assert f"helm upgrade --install demo {registry.prefix}/demo --version 1.3.0 --plain-http\n" in notes
    assert f"echo '{record.sha256}  demo-1.3.0.tgz' | sha256sum --check" in notes
    assert f"| digest | `{record.digest}` |" in notes


def test_notes_that_another_project_has_left_in_dist_are_not_announced(announced: Project, forge: Any) -> None:
    announced.release(tag=True)
    (announced.config.dist / "release-notes.md").write_text("# other 1.2.0\n\nSomething else\n")
    push_tag(announced, forge)
    announced.release(tag=True)
    (made,) = forge.shown()
    assert str(made.get("body") or made["description"]).startswith("# demo 1.2.0\n")


def test_notes_are_no_longer_than_a_forge_takes_them(project: Project) -> None:
    entries = "".join(f"- Entry {number} of a very long list of changes\n" for number in range(5000))
    (project.root / "CHANGELOG.md").write_text(f"# Changelog\n\n## [Unreleased]\n\n### Added\n\n{entries}")
    project.commit("Say all of it")
    record = project.release(part="minor")
    notes = (project.config.dist / "release-notes.md").read_text()
    assert len(notes) < 65_000
    assert "a very long list of changes\n\nThe rest stands in CHANGELOG.md.\n" in notes
    assert record.digest in notes


def test_notes_are_not_cut_in_the_middle_of_code(project: Project) -> None:
    code = "- Two:\n\n  ```yaml\n" + "  a: b\n" * 20_000 + "  ```\n"
    (project.root / "CHANGELOG.md").write_text(f"# Changelog\n\n## [Unreleased]\n\n### Added\n\n- One\n{code}")
    project.commit("Say all of it")
    project.release(part="minor")
    notes = (project.config.dist / "release-notes.md").read_text()
    assert notes.startswith("# demo 1.3.0\n\n### Added\n\n- One\n- Two:\n\nThe rest stands in CHANGELOG.md.\n\n| ")


def test_the_links_of_a_changelog_are_no_change(tmp_path: Path) -> None:
    file = tmp_path / "CHANGELOG.md"
    file.write_text("# C\n\n## [1.0.0] - 2026-01-01\n\n### Fixed\n\n- It [x]\n\n[1.0.0]: https://example.org\n")
    assert changes(file, "1.0.0") == "### Fixed\n\n- It [x]\n"
    assert changes(file, "2.0.0") == changes(tmp_path / "none", "1.0.0") == ""
