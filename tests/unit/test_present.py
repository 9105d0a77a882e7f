"""Results are shown as a table that cuts nothing off, or as JSON."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.core.edits import Edit
from scripts.core.errors import RegistryError
from scripts.present import Answer, View, bumped, compared, facts, failure, pulling, render, to_json
from scripts.registry.reference import Registry
from scripts.release.bump import Bump

VIEW = View("Things", ("name", "what"), (("a", "xxxxx " * 10), ("[b]", "y")), [{"name": "a"}, {"name": "[b]"}])


@dataclass(frozen=True)
class Found:
    """Something to show."""

    long_name: str
    digest: str
    path: Path | None = None
    error: Exception | None = None


def test_a_narrow_table_wraps_and_keeps_every_letter() -> None:
    text = render(VIEW, width=30)
    assert text.count("x") == 50
    assert all(len(line.rstrip()) <= 30 for line in text.splitlines())
    assert "[b]" in text  # no markup


def test_a_table_is_made_though_nobody_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Gone())
    assert render(VIEW)


def test_a_log_gets_the_columns_of_no_terminal_in_colours_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a CI system asks for them."""
    text = " ".join(["word"] * 40)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    assert text in render(View("Files", ("file", "what"), (("x", text),), []))


def test_json_is_the_records() -> None:
    assert json.loads(to_json(VIEW.records)) == VIEW.records
    assert json.loads(to_json({"path": Path("/a")})) == {"path": "/a"}


def test_facts_are_never_folded_and_leave_out_what_is_not_there() -> None:
    found = Found("n", "sha256:" + "0" * 300, error=ValueError("x"))
    assert facts(found).text == f"long name  n\ndigest     sha256:{'0' * 300}"
    assert facts(found).records == {"long_name": "n", "digest": found.digest}


def test_a_failure_is_of_a_class_that_others_may_know() -> None:
    class Inner(RegistryError):
        """What only a module of ours tells apart."""

    assert failure(Inner("x"))["error"]["class"] == "RegistryError"


def test_what_is_pulled_next_is_asked_as_it_was_published() -> None:
    registry = Registry("oci://host/x", ca_file=Path("/a b/ca.crt"))
    assert pulling(registry, "oci://host/x/demo:1.0.0") == (
        "next: helm pull oci://host/x/demo --version 1.0.0 --ca-file '/a b/ca.crt'"
    )
    assert " --version 1.0.0+b.1 " in pulling(registry, "oci://host/x/demo:1.0.0_b.1")  # in which helm takes no `_`
    assert pulling(replace(registry, plain_http=True), "oci://host/x/demo:1.0.0").endswith(
        " --version 1.0.0 --plain-http"
    )


def test_a_bump_is_shown_as_a_diff_or_in_one_line(tmp_path: Path) -> None:
    plan = Bump("demo", "1.0.0", "1.1.0", None, (Edit(tmp_path / "Chart.yaml", b"a\n", b"b\n"),), ("mind this",))
    preview = bumped(plan, dry_run=True).text
    assert "-a\n+b\n" in preview
    assert preview.endswith("note: mind this")
    done = bumped(plan, dry_run=False).text
    assert done == f"demo 1.0.0 -> 1.1.0: {tmp_path}/Chart.yaml\nnote: mind this"
    record = json.loads(to_json(bumped(plan, dry_run=True).records))
    assert (record["new"], record["written"], record["notes"]) == ("1.1.0", False, ["mind this"])


def test_a_narrow_terminal_gets_what_is_long_on_lines_of_its_own() -> None:
    where = "/home/me/.cache/tools/helm-v4/helm"
    rows = (("helm", where, "ready"), ("kubeconform", "", "ready"))
    view = View("Tools", ("tool", "path", "state"), rows, [], below=("path",))
    assert render(view, width=60).splitlines()[1].split() == ["tool", "path", "state"]
    assert render(view, width=40).splitlines() == [
        "Tools",
        "helm         ready",
        "    path:",
        f"    {where}",
        "kubeconform  ready",
    ]


def test_a_path_stays_whole_in_a_table_without_such_lines() -> None:
    path = "/home/someone/a-folder-with-a-long-name/dist/gati-0.2.0.tgz"
    view = View("Release", ("step", "state", "action"), (("package", "absent", f"write {path}"),), [])
    assert path in render(view, width=40).splitlines()[-1].split()
    assert render(view, width=78).splitlines()[1].split() == ["step", "state", "action"]


def test_where_the_columns_have_no_room_beside_each_other_a_row_goes_on_below_itself() -> None:
    path = "/folder/with/a/name"
    rows = (("warning", path, "it claims to work everywhere", "chart"), ("info", "", "an icon is recommended", "helm"))
    view = View("Lint", ("level", "where", "what", "check"), rows, [])
    assert render(view, width=30).splitlines() == [
        "Lint",
        f"warning  {path}",
        "  it claims to work everywhere",
        "  chart",
        "info  an icon is recommended",
        "  helm",
    ]


def test_a_path_stays_whole_on_a_narrow_terminal() -> None:
    where = "/home/me/a/folder/of/a/name/that/is/long"
    rows = (("disk", f"30 GiB free for {where}", ""), ("tools", "", f"look at {where} and remove it"))
    view = View("Machine", ("what", "found", "fix"), rows, [], below=("fix",))
    assert render(view, width=24).splitlines() == [
        "Machine",
        "disk   30 GiB free for",
        f"       {where}",
        "tools",
        "    fix: look at",
        f"    {where}",
        "    and remove it",
    ]


@pytest.mark.parametrize("width", [10, 80])
def test_what_comes_from_elsewhere_steers_no_terminal(width: int) -> None:
    """As the name of a chart that somebody is asked to look at."""
    odd = "[/a] \x1b[31mred\x07 name"
    shown = [render(one, width=width) for one in (odd, Answer(odd, None), View(odd, ("a", "b"), ((odd, odd),), []))]
    found = SimpleNamespace(lines=lambda: [odd], record=dict)
    shown.append(render(compared(found)))  # type: ignore[arg-type]
    assert all("red\ufffd" in text and not {"\x1b", "\x07"} & set(text) for text in shown)


@pytest.mark.parametrize(
    ("told", "coloured"),
    [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_what_differs_has_colours_on_a_terminal_that_is_to_show_them(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str], coloured: bool
) -> None:
    for name, value in {"NO_COLOR": None, "TERM": "xterm", **told}.items():
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    found = SimpleNamespace(lines=lambda: ["+ new"], record=dict)
    assert ("\x1b[" in compared(found).text) is coloured  # type: ignore[arg-type]
