"""The report in a real Chromium: complete, readable by anybody, asking nobody, with and without JavaScript."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest

from scripts.chart.manifests import Identity
from scripts.judge.diff import Diff, Field, Kind, Object, as_html
from scripts.report.page import SECTIONS, draw
from tests.unit.report.conftest import full, project, recorded  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from scripts.core.config import Config

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
SHOWN = {"light": (1200, 900), "dark": (1200, 900), "narrow": (360, 740)}

Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    system = shutil.which("chromium") or shutil.which("google-chrome")
    rootless = os.geteuid() != 0
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=system, chromium_sandbox=rootless, timeout=120_000)
        yield chromium
        chromium.close()


@pytest.fixture
def record(full: Config) -> dict[str, Any]:  # noqa: F811
    return recorded(full)


@pytest.fixture
def show(browser: Browser, record: dict[str, Any], tmp_path: Path) -> Iterator[Open]:
    """`show("dark", script=False)`: the report in a page; what it asks of others than its file fails the test."""
    file, asked, said = tmp_path / "report.html", [], []
    file.write_text(draw(record), encoding="utf-8")
    contexts = []

    def show(name: str = "light", *, script: bool = True) -> Page:
        width, height = SHOWN[name]
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if name == "dark" else "light",
            java_script_enabled=script,
        )
        context.set_default_timeout(120_000)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(file.as_uri())
        return page

    yield show
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert [url for url in asked if url.startswith("file:")] == [file.as_uri()] * len(contexts)
    assert said == []


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_every_section_is_seen_and_says_the_numbers(show: Open, record: dict[str, Any], script: bool) -> None:
    page = show(script=script)
    for name in SECTIONS:
        assert page.locator(f"section#{name} h2").is_visible(), name
    assert page.locator("#release-digest").inner_text() == record["release"]["digest"]
    assert page.locator("#first-cause").inner_text() == record["verdict"]["first"]
    assert page.locator("#verdict tbody tr").count() == len(record["verdict"]["rows"])
    rows = page.locator("#scenarios tbody tr").all_inner_texts()
    for row, one in zip(rows, record["availability"]["scenarios"], strict=True):
        load = one["loads"][0]
        assert row.split("\t") == [
            one["scenario"], one["state"], f"{one['seconds']:.1f}", str(load["requests"]), str(load["failed"]), "1"
        ]  # fmt: skip
    for place, one in enumerate(record["objects"]["pictures"]):
        assert page.locator(f"#objects > details:nth-of-type({place + 1}) .node").count() == len(one["nodes"])
    assert page.locator("#grid a.failed").count() == 1


@pytest.mark.parametrize("name", SHOWN)
def test_axe_finds_nothing_serious(show: Open, name: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(show(name)).response["violations"]
    serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
    assert serious == []


def test_a_narrow_window_need_not_be_moved_sideways(show: Open) -> None:
    assert show("narrow").evaluate("document.documentElement.scrollWidth") <= SHOWN["narrow"][0]


@pytest.mark.parametrize("name", SHOWN)
def test_the_page_of_a_diff_is_for_anybody(browser: Browser, tmp_path: Path, name: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    there = Identity("apps", "Deployment", "", "a-name-of-a-deployment-that-has-no-end-where-it-could-be-folded")
    objects = tuple(Object(kind, there, None, (Field("spec.a", "b" * 60, "c" * 60),)) for kind in get_args(Kind))
    file = tmp_path / "diff.html"
    file.write_text(as_html(Diff("0.1.0", "helm/a", "0.2.0", objects, {}, {"labels": 2})), encoding="utf-8")
    width, height = SHOWN[name]
    dark = name == "dark"
    with browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", is_mobile=width < 400
    ) as context:
        page = context.new_page()
        page.goto(file.as_uri())
        assert [one["id"] for one in Axe().run(page).response["violations"]] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        red, *_ = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g)")
        assert (int(red) < 99) is dark


def test_what_is_folded_is_printed(show: Open) -> None:
    page = show("narrow")
    assert page.locator("#verdict").evaluate("one => one.offsetWidth <= one.parentNode.clientWidth")
    assert not page.locator("#availability details ol li").first.is_visible()
    page.emulate_media(media="print")
    assert page.locator("#availability details ol li").first.is_visible()


def test_a_timeline_zooms_by_mouse_and_keyboard(show: Open) -> None:
    page = show()
    box = page.locator(".timeline").first

    def width() -> float:
        return float(box.locator("> svg").evaluate("one => one.getBoundingClientRect().width"))

    before = width()
    page.get_by_role("button", name="Zoom in").first.click()
    assert width() == pytest.approx(2 * before, rel=0.01)
    box.focus()
    page.keyboard.press("+")
    assert width() == pytest.approx(4 * before, rel=0.01)
    page.keyboard.press("0")
    assert width() == pytest.approx(before, rel=0.01)


def test_without_a_script_there_is_no_button_that_does_nothing(show: Open) -> None:
    assert show(script=False).locator("button").count() == 0


def test_the_keyboard_reaches_every_link_and_region(show: Open) -> None:
    page = show()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = {page.evaluate("document.activeElement.outerHTML.slice(0, 80)")}
    for _ in range(page.locator("a, button, summary, [tabindex='0']").count()):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.outerHTML.slice(0, 80)"))
    for name in SECTIONS:
        assert any(f'href="#{name}"' in one for one in reached), name
    assert any("timeline" in one for one in reached)


def test_every_mark_has_its_words(show: Open) -> None:
    page = show()
    for marks in (".span", ".voided", "rect.lost", ".node", ".link"):
        silent = page.evaluate(
            f"[...document.querySelectorAll('{marks}')].filter(one => !one.querySelector('title')).length"
        )
        assert (marks, silent) == (marks, 0)
        assert page.locator(marks).count() > 0, marks


def test_the_name_of_an_object_stays_in_its_box(show: Open) -> None:
    page = show()
    right = "one => { const box = one.getBBox(); return box.x + box.width; }"
    for node in page.locator("#objects details[open] > .scroll .node").all():
        name = node.locator("text").last
        assert name.evaluate(right) <= node.locator("rect").evaluate(right), name.inner_html()


def test_print_shows_what_is_folded(show: Open) -> None:
    page = show()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0


def test_print_cuts_nothing_off(show: Open) -> None:
    page = show()
    page.set_viewport_size({"width": 794, "height": 1123})  # A4
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    wide = """[...document.querySelectorAll('table, svg, pre')]
        .filter(one => one.getBoundingClientRect().right > innerWidth)
        .map(one => `${one.closest('section')?.id} ${one.tagName}`)"""
    assert page.evaluate(wide) == []
    broken = "[...document.querySelectorAll('.state')].filter(one => one.getClientRects().length > 1).length"
    assert page.evaluate(broken) == 0


def test_a_dark_page_is_printed_in_dark_ink(show: Open) -> None:
    page = show("dark")
    page.emulate_media(media="print", color_scheme="dark")
    red, *_ = page.evaluate("getComputedStyle(document.body).color.match(/[0-9]+/g)")
    assert int(red) < 99


@pytest.mark.parametrize(("name", "dark"), [("light", False), ("dark", True)])
def test_a_curve_is_as_dark_as_the_page(show: Open, name: str, dark: bool) -> None:
    corner = """one => {
        const canvas = document.createElement("canvas").getContext("2d");
        canvas.drawImage(one, 0, 0);
        return canvas.getImageData(1, 1, 1, 1).data[0];
    }"""
    assert (show(name).locator(".curve").first.evaluate(corner) < 128) is dark
