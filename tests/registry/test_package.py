"""The same files give the same archive everywhere, and dist/ gets it whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from scripts.chart.archive import UNDATED, Package, load_package, pack, read_members, unpack
from scripts.chart.helm import Helm
from scripts.chart.source import read_chart
from scripts.core.command import Runner
from scripts.core.config import Config
from scripts.core.errors import ChangelogError, ChartError, OutputError, ValuesError, VersionError
from scripts.release.package import package
from scripts.toolchain.finder import Toolchain
from tests.registry.conftest import repack, write_chart


@pytest.fixture
def helm(toolchain: Toolchain, runner: Runner) -> Helm:
    """helm itself, which packs anew each time: that is what is asked here."""
    return Helm(toolchain.path("helm"), runner)


PACKAGE_IT = """\
import sys
from pathlib import Path
from scripts.chart.source import read_chart
from scripts.core.command import Runner
from scripts.core.config import load_config
from scripts.core.errors import ReleaseError
from scripts.chart.helm import Helm
from scripts.release.package import package
root, helm = Path(sys.argv[1]), Path(sys.argv[2])
config = load_config(root, environ={}, chart=root / "chart", changelog=root / "CHANGELOG.md")
try:
    print(package(config, read_chart(config.chart), Helm(helm, Runner())).sha256)
except ReleaseError as error:
    sys.exit(f"error: {error}")
"""


def package_apart(
    runner: Runner,
    repository: Path,
    helm: Helm,
    root: Path,
    *,
    umask: str = "022",
    user: tuple[str, ...] = (),
    **env: str,
) -> tuple[int, str]:
    """`package` in a process with its own umask, user and environment: exit status, and what it printed."""
    argv: list[str | Path] = [
        *user,
        "sh",
        "-c",
        'umask "$0"; exec "$@"',
        umask,
        sys.executable,
        "-c",
        PACKAGE_IT,
        root,
        helm.path,
    ]
    result = runner.run(argv, cwd=repository, env=env, check=False)
    return result.status, (result.stdout or result.stderr).strip()


def git(runner: Runner, *words: str | Path, cwd: Path) -> None:
    """A git command that knows who commits."""
    who = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z"}
    argv = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
    runner.run(argv, cwd=cwd, env=who)


class TestSameBytes:
    def test_in_clones_that_differ_in_all_but_content(
        self, root: Path, project: Config, helm: Helm, runner: Runner, tmp_path: Path
    ) -> None:
        origin = project.root
        (origin / "CHANGELOG.md").write_text("# Changelog\n\n## [1.2.3] - 2026-11-24\n\n### Added\n\n- All.\n")
        git(runner, "init", "--quiet", cwd=origin)
        git(runner, "add", "chart", "CHANGELOG.md", cwd=origin)
        git(runner, "commit", "--quiet", "-m", "All", cwd=origin)
        first, second, shallow, unpacked = (tmp_path / name for name in ("first", "second", "shallow", "unpacked"))
        git(runner, "clone", "--quiet", origin, first, cwd=tmp_path)
        runner.run(["sh", "-c", 'umask 077; git clone --quiet "$0" "$1"', origin, second])
        git(runner, "commit", "--quiet", "--allow-empty", "-m", "Later", cwd=origin)
        git(runner, "clone", "--quiet", "--depth=1", f"file://{origin}", shallow, cwd=tmp_path)
        shutil.copytree(first, unpacked, ignore=shutil.ignore_patterns(".git"))
        for number, file in enumerate(sorted((second / "chart").rglob("*"))):
            os.utime(file, (number * 1e8, number * 1e8))
            file.chmod(0o700)
            if os.geteuid() == 0:
                os.chown(file, 1234, 1234)
        # Another user id, where this machine lets us have one.
        other = ("unshare", "--map-user=1234", "--map-group=1234")
        user = other if runner.run([*other, "true"], check=False).status == 0 else ()
        printed = {
            package_apart(runner, root, helm, first, user=user, TZ="Pacific/Auckland", USER="a"),
            package_apart(runner, root, helm, second, umask="077", TZ="America/Lima", USER="b", LC_ALL="C"),
            package_apart(runner, root, helm, shallow, umask="000", SOURCE_DATE_EPOCH="1"),
            package_apart(runner, root, helm, unpacked, TZ="Asia/Kathmandu"),
        }
        assert len(printed) == 1, printed
        ((status, sha256),) = printed
        assert status == 0
        assert len(sha256) == 64
        records = {(folder / "dist" / "demo.package.json").read_text() for folder in (first, second, shallow, unpacked)}
        assert len(records) == 1
        with tarfile.open(first / "dist" / "demo-1.2.3.tgz") as tar:
            entries = tar.getmembers()
        assert {(entry.mode, entry.uid, entry.gid, entry.uname) for entry in entries} == {(0o644, 0, 0, "")}
        assert json.loads(records.pop())["created"] == "2026-11-24T00:00:00Z"

    def test_with_several_subcharts(self, project: Config, helm: Helm) -> None:
        names = ("alpha", "beta", "gamma", "delta")
        for name in names:
            (project.chart / "charts" / name).mkdir(parents=True)
            (project.chart / "charts" / name / "Chart.yaml").write_text(
                f"apiVersion: v2\nname: {name}\nversion: 0.1.0\n"
            )
        wanted = "".join(f"  - {{name: {name}, version: 0.1.0, repository: ''}}\n" for name in names)
        write_chart(project.chart, more=f"dependencies:\n{wanted}")
        packed = {pack(helm, project.chart, UNDATED) for _ in range(6)}
        assert len(packed) == 1
        assert next(iter(read_members(packed.pop(), "it"))) == "demo/Chart.yaml"

    def test_junk_that_the_chart_ignores_stays_out(self, project: Config, helm: Helm) -> None:
        (project.chart / ".helmignore").write_text(".DS_Store\n*.swp\n.idea/\n")
        before = pack(helm, project.chart, UNDATED)
        (project.chart / ".DS_Store").write_bytes(b"\x00")
        (project.chart / "templates" / ".map.yaml.swp").write_bytes(b"\x00")
        (project.chart / ".idea").mkdir()
        (project.chart / ".idea" / "workspace.xml").write_text("")
        assert pack(helm, project.chart, UNDATED) == before

    def test_a_link_is_what_it_points_at(self, project: Config, helm: Helm) -> None:
        (project.chart / "templates" / "again.yaml").write_text("# a comment\n")
        before = pack(helm, project.chart, UNDATED)
        (project.chart / "templates" / "again.yaml").unlink()
        (project.root / "elsewhere.yaml").write_text("# a comment\n")
        (project.chart / "templates" / "again.yaml").symlink_to("../../elsewhere.yaml")
        assert pack(helm, project.chart, UNDATED) == before


class TestTime:
    def test_without_a_changelog_is_constant(self, packed: Package) -> None:
        assert packed.created == "1980-01-01T00:00:00Z"
        assert packed.epoch == UNDATED

    @pytest.mark.parametrize(
        ("heading", "created"),
        [
            ("## [1.2.3] - 2026-11-24", "2026-11-24T00:00:00Z"),
            ("## [Unreleased]", "1980-01-01T00:00:00Z"),
            ("## [1.2.30] - 2026-11-24", "1980-01-01T00:00:00Z"),
        ],
    )
    def test_is_the_date_of_the_version(self, project: Config, helm: Helm, heading: str, created: str) -> None:
        project.changelog.write_text(f"# Changelog\n\n{heading}\n\n### Added\n\n- All.\n")
        assert repack(project, helm).created == created

    def test_a_broken_changelog_is_told(self, project: Config, helm: Helm) -> None:
        project.changelog.write_text("# Changelog\n\n## [1.2.3] - 2026-02-30\n")
        with pytest.raises(ChangelogError, match=":3"):
            repack(project, helm)
        assert not project.dist.exists()


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"more": "type: service\n"}, "type"),
            ({"more": "dependencies: [{name: other, version: 1.0.0, repository: ''}]\n"}, "is not in charts/"),
        ],
    )
    def test_by_helm(self, project: Config, helm: Helm, change: dict[str, str], words: str) -> None:
        write_chart(project.chart, **change)  # type: ignore[arg-type]
        with pytest.raises(ChartError, match=words):
            repack(project, helm)
        assert not project.dist.exists()

    @pytest.mark.parametrize("version", ["'1.2'", "one", "1.2.3.4", "01.2.3"])
    def test_a_version_that_is_not_semver(self, project: Config, helm: Helm, version: str) -> None:
        write_chart(project.chart, version=version)  # helm takes most of these
        with pytest.raises(VersionError, match=r"Chart\.yaml:3: version: .* is not a semantic version"):
            repack(project, helm)
        assert not project.dist.exists()

    @pytest.mark.parametrize("name", ["values.yaml", "values-prod.yaml"])
    def test_a_values_file_that_is_not_yaml(self, project: Config, helm: Helm, name: str) -> None:
        with (project.chart / name).open("a") as file:
            file.write("broken: [\n")
        with pytest.raises(ValuesError, match=rf"{name}:3:1: not valid YAML"):
            repack(project, helm)
        assert not project.dist.exists()

    def test_a_chart_that_is_not_there(self, project: Config) -> None:
        with pytest.raises(ChartError, match="no chart at"):
            read_chart(project.root / "nowhere")

    def test_an_archive_that_helm_could_not_finish(self, project: Config, helm: Helm, runner: Runner) -> None:
        class Full(Helm):
            def package(self, chart: Path, into: Path, **options: Any) -> Path:
                made = super().package(chart, into, **options)
                made.write_bytes(made.read_bytes()[:-4])
                return made

        with pytest.raises(ChartError, match=r"that helm wrote is not a whole \.tgz"):
            package(project, read_chart(project.chart), Full(helm.path, runner))
        assert not project.dist.exists()


class TestDist:
    def test_that_is_a_file(self, project: Config, helm: Helm) -> None:
        project.dist.write_text("")
        with pytest.raises(OutputError, match="cannot be written"):
            repack(project, helm)

    @pytest.mark.parametrize(
        ("options", "words"), [("size=16k", "No space left on device"), ("size=1m,ro", "Read-only file system")]
    )
    def test_that_is_full_or_read_only(
        self, root: Path, project: Config, helm: Helm, runner: Runner, options: str, words: str
    ) -> None:
        """A file system of its own, where this machine lets us mount one."""
        project.dist.mkdir()
        mount = f'mount -t tmpfs -o {options} none "$0" && exec "$@"'
        apart = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, str(project.dist)]
        if runner.run([*apart, "true"], check=False).status != 0:
            pytest.skip("no file system can be mounted here")
        (project.chart / "big").write_bytes(os.urandom(64 << 10))
        argv = [*apart, sys.executable, "-c", PACKAGE_IT, str(project.root), str(helm.path)]
        result = runner.run(argv, cwd=root, check=False)
        assert result.status == 1
        assert result.stderr.startswith("error: ")
        assert "cannot be written" in result.stderr
        assert words in result.stderr
        assert "Traceback" not in result.stderr


class TestRecord:
    def test_is_read_back(self, project: Config, packed: Package) -> None:
        assert load_package(project, "demo") == packed

    def test_nothing_is_packaged(self, project: Config) -> None:
        with pytest.raises(ChartError, match="nothing is packaged") as caught:
            load_package(project, "demo")
        assert caught.value.run == "invoke package"

    def test_the_archive_is_gone(self, project: Config, packed: Package) -> None:
        packed.path.unlink()
        with pytest.raises(ChartError, match=r"nothing is packaged: .*demo-1\.2\.3\.tgz does not exist"):
            load_package(project, "demo")

    def test_the_archive_is_another(self, project: Config, packed: Package, helm: Helm) -> None:
        write_chart(project.chart, replicas=7)
        packed.path.write_bytes(pack(helm, project.chart, packed.epoch))
        with pytest.raises(ChartError, match="is not the archive that was packaged"):
            load_package(project, "demo")

    def test_the_archive_is_cut(self, project: Config, packed: Package) -> None:
        packed.path.write_bytes(packed.path.read_bytes()[:100])
        with pytest.raises(ChartError, match=r"not a whole \.tgz"):
            load_package(project, "demo")

    @pytest.mark.parametrize(
        "text",
        ["", "{", "[]", "{}", '{"schema_version": 1}', '{"schema_version": 1, "archive": 1}', '{"schema_version": 2}'],
    )
    def test_the_record_is_damaged(self, project: Config, packed: Package, text: str) -> None:
        (project.dist / "demo.package.json").write_text(text)
        with pytest.raises(ChartError, match=r"package\.json"):
            load_package(project, "demo")

    @pytest.mark.parametrize("field", ["name", "version", "sha256", "size", "manifest_digest", "created"])
    def test_a_changed_record_is_noticed(self, project: Config, packed: Package, field: str) -> None:
        file = project.dist / "demo.package.json"
        record = json.loads(file.read_text())
        record[field] = "1999-01-01T00:00:00Z" if field == "created" else "x"
        file.write_text(json.dumps(record))
        with pytest.raises(ChartError, match="is not the archive that was packaged"):
            load_package(project, "demo")

    def test_the_record_names_no_file_outside_dist(self, project: Config, packed: Package, tmp_path: Path) -> None:
        file = project.dist / "demo.package.json"
        record = json.loads(file.read_text())
        file.write_text(json.dumps({**record, "archive": f"../../{packed.path.name}"}))
        assert load_package(project, "demo").path == packed.path


class TestUnpack:
    def archive(self, tmp_path: Path, *names: str) -> bytes:
        file = tmp_path / "made.tgz"
        with tarfile.open(file, "w:gz") as tar:
            for name in names:
                tar.addfile(tarfile.TarInfo(name))
        return file.read_bytes()

    def test_a_chart(self, packed: Package, tmp_path: Path) -> None:
        folder = unpack(packed.path.read_bytes(), tmp_path / "into")
        assert read_chart(folder).version == "1.2.3"

    @pytest.mark.parametrize(
        "names", [("../x",), ("/x",), ("a/../../x",), ("x",), ("a/x", "b/x"), ("a//x",), ()], ids=str
    )
    def test_nothing_outside_its_folder(self, tmp_path: Path, names: tuple[str, ...]) -> None:
        with pytest.raises(ChartError, match="no chart archive"):
            unpack(self.archive(tmp_path, *names), tmp_path / "into")
        assert not (tmp_path / "into").exists()

    def test_no_bomb(self, tmp_path: Path) -> None:
        import gzip

        with pytest.raises(ChartError, match="too large"):
            unpack(gzip.compress(bytes(101 << 20), 1), tmp_path / "into")
