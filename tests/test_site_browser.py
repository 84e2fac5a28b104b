"""The site in a real browser, from file:// and without a network: sorting, filtering, reading, on a phone too."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from harness.publish import draw
from harness.record import write_record
from tests.made_records import made, write_made

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    write_made(results)
    for record, arrays in (
        made("late", 0.3, status="incomplete", why="2 of 5 repetitions are done"),
        made("long", 0.35, method_title="A-method-with-a-name-that-never-ends-" * 3),
    ):
        write_record(results, record, arrays)
    draw(results)
    return results / "site"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails its test on any message in the console and any error in a script."""
    context = browser.new_context(offline=True, color_scheme="light", viewport={"width": 1200, "height": 900})
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    context.close()
    assert said == []


def address(site: Path, place: str = "quick/glyphs/index.html") -> str:
    return (site / place).as_uri()


def shown(page: Page) -> list[str]:
    """The first line of each shown row's method cell."""
    rows = page.locator("#board tbody tr:visible th")
    return [text.split("\n")[0] for text in rows.all_inner_texts()]


def test_a_column_sorts_both_ways_and_keeps_gaps_last(page: Page, site: Path) -> None:
    page.goto(address(site))
    page.get_by_label("published-value rows").uncheck()
    before = shown(page)
    assert before[-1] == "LATE"
    head = page.get_by_role("columnheader", name="P@1", exact=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    falling = shown(page)
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    rising = shown(page)
    assert rising[:-1] == falling[-2::-1]
    assert rising[-1] == falling[-1] == "LATE"
    assert rising[0].startswith("UNTRAINED")
    page.locator("#board").get_by_role("columnheader", name="Method").get_by_role("button").click()
    assert shown(page) == sorted(before, key=str.lower)
    assert page.locator("#board th[aria-sort=ascending]").count() == 1


def test_the_filter_leaves_the_rows_that_hold_every_word(page: Page, site: Path) -> None:
    page.goto(address(site))
    total = len(shown(page))
    page.get_by_role("searchbox").fill("late incomplete")
    assert shown(page) == ["LATE"]
    assert page.locator(".tools output").inner_text() == f"1 of {total} rows"
    page.get_by_role("searchbox").fill("")
    assert len(shown(page)) == total


def test_column_groups_show_and_hide(page: Page, site: Path) -> None:
    page.goto(address(site))
    ensemble = page.locator("#board thead tr.groups th", has_text="ensemble of 4, 256-d")
    assert not ensemble.is_visible()
    page.get_by_label("ensemble of 4, 256-d").check()
    assert ensemble.is_visible()
    page.get_by_label("one model, 64-d").uncheck()
    assert page.get_by_role("columnheader", name="MAP@R over seeds and classes").count() == 0


def test_an_entry_opens_from_its_board_and_leads_back(page: Page, site: Path) -> None:
    page.goto(address(site, "index.html"))
    page.get_by_role("link", name="Glyphs").click()
    page.get_by_role("link", name="NCA", exact=True).first.click()
    assert page.get_by_role("heading", level=1).inner_text() == "NCA"
    assert page.get_by_text("python run_benchmark.py --methods nca --dataset glyphs").is_visible()
    expect(page.locator("#runs tbody tr")).to_have_count(25)
    expect(page.get_by_role("img")).to_have_count(4)
    page.get_by_text("All trials of search 1").click()
    assert page.get_by_text("chosen", exact=True).is_visible()
    page.get_by_role("link", name="Glyphs under").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Glyphs"


def test_the_theme_switches_and_is_remembered(page: Page, site: Path) -> None:
    page.goto(address(site))
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.get_by_role("button", name="Switch to the dark theme").click()
    assert page.evaluate(colour) != light
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_role("button", name="Switch to the light theme").click()
    assert page.evaluate(colour) == light


@pytest.mark.parametrize(
    "place",
    [
        "index.html",
        "quick/glyphs/index.html",
        "quick/glyphs/entry/ms.html",
        "quick/glyphs/entry/long.html",
        "reported/cub.html",
    ],
)
def test_a_phone_scrolls_no_page_sideways(page: Page, site: Path, place: str) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(address(site, place))
    assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_figures_say_what_they_show(page: Page, site: Path) -> None:
    page.goto(address(site))
    figures = page.get_by_role("img")
    assert figures.count() == 5
    described = page.locator("svg desc").all_text_contents()
    assert any("MS" in text and "[" in text for text in described)
    # Nothing is drawn outside its own box, so nothing is cut off.
    outside = page.evaluate(
        """() => [...document.querySelectorAll("svg")].flatMap((svg) => {
            const box = svg.viewBox.baseVal;
            return [...svg.querySelectorAll("text, circle, polyline, line")].filter((part) => {
                const b = part.getBBox();
                return b.x < -1 || b.y < -1 || b.x + b.width > box.width + 1 || b.y + b.height > box.height + 1;
            }).map((part) => part.outerHTML);
        })"""
    )
    assert outside == []


def test_the_keyboard_reaches_the_content_and_the_table(page: Page, site: Path) -> None:
    page.goto(address(site))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    focusable = page.locator("#board th button:visible").count()
    assert focusable == 9


ENTRY = "quick/glyphs/entry/ms.html"


def test_a_chosen_rival_changes_the_classes_and_the_neighbours(page: Page, site: Path) -> None:
    page.goto(address(site, ENTRY))
    chart = page.locator("[data-classes]")
    assert chart.locator("rect").count() == 24
    assert "MS is better than XBM on" in (chart.locator("svg").get_attribute("aria-label") or "")
    first = chart.locator("[data-gained] li").all_inner_texts()
    page.get_by_label("Rival").select_option("nca")
    words = chart.locator("[data-words]").inner_text()
    assert words.startswith("MS is better than NCA on 24 of 24 classes")
    assert chart.locator("[data-gained] li").all_inner_texts() != first
    assert chart.locator("[data-lost] li").count() == 0
    numbers = [float(text.split("+")[1]) for text in chart.locator("[data-gained] b").all_inner_texts()]
    assert len(numbers) == 8 and numbers == sorted(numbers, reverse=True)


def test_the_gallery_shows_what_one_gets_and_the_other_misses(page: Page, site: Path) -> None:
    page.goto(address(site, ENTRY))
    rows = page.locator("[data-query]:visible")
    assert rows.count() == 12
    assert page.locator("[data-query]").first.locator(".tile").count() == 1 + 10 + 10
    which = page.get_by_label("Which queries")
    which.select_option("all")
    assert rows.count() == 50
    page.get_by_label("Rival").select_option("untrained")
    for wanted, mine, theirs in (("won", "right", "wrong"), ("lost", "wrong", "right")):
        which.select_option(wanted)
        assert 0 < rows.count() < 50
        assert page.get_by_text(f"{rows.count()} of 50 queries").is_visible()
        for row in rows.all():
            nearest = [row.locator(f".near{kind} .tile").first for kind in (":not(.other)", ".other")]
            kinds = [(tile.get_attribute("class") or "").split()[-1] for tile in nearest]
            assert kinds == [mine, theirs]
    which.select_option("miss")
    missed = [text for text in rows.locator(".unseen").all_text_contents() if "wrong: 1 (" not in text]
    assert missed == []


def test_tiles_show_their_part_of_the_sheet(page: Page, site: Path) -> None:
    page.goto(address(site, ENTRY))
    tile = page.locator(".tile").first
    assert "pictures.png" in tile.evaluate("tile => getComputedStyle(tile).backgroundImage")
    width, images = page.evaluate(
        "[getComputedStyle(document.querySelector('.tile')).backgroundSize, board.images]"
    )
    assert width == "1280px auto" and images > 50  # 32 columns of 40 px
    loaded = page.evaluate(
        "file => new Promise(done => { const i = new Image(); i.onload = () => done(i.naturalWidth); i.src = file; })",
        "../pictures.png",
    )
    assert loaded == 32 * 32


def test_a_class_is_pointed_out_on_the_map(page: Page, site: Path) -> None:
    page.goto(address(site, ENTRY))
    page.get_by_label("Class to point out").select_option("character 07")
    assert page.locator(".map .chosen").evaluate_all("all => all.map(path => path.dataset.class)") == [
        "character 07"
    ]
    page.get_by_label("Class to point out").select_option("")
    assert page.locator(".map .chosen").count() == 0


def test_published_numbers_are_found_by_words(page: Page, site: Path) -> None:
    page.goto(address(site, "index.html"))
    page.get_by_role("link", name="In-Shop Clothes", exact=True).click()
    rows = page.locator("#papers tbody tr:visible")
    rows.first.wait_for()  # a click does not wait for the page that it leads to
    total = rows.count()
    page.get_by_role("searchbox").fill("resnet-50 128-d")
    assert 0 < rows.count() < total
    assert all("ResNet-50" in text and "128-d" in text for text in rows.all_inner_texts())
    page.get_by_role("columnheader", name="R@1", exact=True).get_by_role("button").click()
    cells = page.locator("#papers tbody tr:visible td:nth-child(5)").all_inner_texts()
    numbers = [float(text) for text in cells if text != "—"]
    assert numbers == sorted(numbers, reverse=True)


def test_a_page_reads_well_without_scripts(browser: Browser, site: Path) -> None:
    context = browser.new_context(offline=True, java_script_enabled=False)
    opened = context.new_page()
    opened.goto(address(site, ENTRY))
    assert opened.locator("[data-query]:visible").count() == 50
    assert opened.locator("table tbody tr:visible").count() > 25
    assert not opened.locator("[data-classes]").is_visible()
    assert opened.locator(".tools:visible").count() == 0
    context.close()


def test_printing_hides_what_paper_cannot_do(page: Page, site: Path) -> None:
    page.goto(address(site))
    page.emulate_media(media="print")
    assert not page.get_by_role("searchbox").is_visible()
    assert not page.get_by_role("button", name="Switch to the dark theme").is_visible()
    assert page.locator("#board").is_visible()
    page.get_by_role("heading", level=1).wait_for()
