"""MLflow's own pages on the diary, in a real browser: what a user sees who runs `ui`."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from harness.campaign.tracking import MlflowDiary
from harness.campaign.tracking.server import addresses, running_server, show, ui
from harness.cli.drawing import pages_of
from harness.errors import RequestError
from harness.publish import draw
from tests.made_events import made_events
from tests.made_records import write_made

#: Milliseconds that a page may take on a loaded machine.
PATIENCE = 240_000


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server on two methods' studies; it takes about 20 seconds to start, so all tests share it."""
    folder = tmp_path_factory.mktemp("ui")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    diary = MlflowDiary(uri, folder / "artifacts", patience=240)
    events = made_events("ms")
    write_made(folder)
    draw(folder)
    for event in [*made_events("nca", 0.3), *events, *pages_of(folder, [events[0].entry])]:
        diary(event)
    diary.close()
    assert diary.summary == ""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running_server(uri, port) as base:
        yield base


@pytest.fixture(scope="module")
def browser_page(server: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield page
        browser.close()


@pytest.fixture
def runs_page(server: str, browser_page: Page) -> Page:
    """The address that `ui` prints, opened."""
    ((name, address),) = addresses(server)
    assert name == "dml/glyphs/quick"
    browser_page.goto("about:blank")
    browser_page.goto(address)
    return browser_page


def test_the_experiment_opens_on_its_runs_with_note_and_scores(runs_page: Page) -> None:
    requests: list[str] = []
    runs_page.on("request", lambda request: requests.append(request.url))
    runs_page.reload()
    for name in ("ms", "nca"):
        expect(runs_page.get_by_role("link", name=name, exact=True)).to_be_visible()
    expect(runs_page.get_by_text("demonstration, barely tuned").first).to_be_visible()
    expect(runs_page.get_by_text("test/map_at_r", exact=True).first).to_be_visible()
    expect(runs_page.get_by_text(re.compile(r"^0\.40"))).not_to_have_count(0)
    assert requests
    assert not [url for url in requests if not url.startswith(("http://127.0.0.1", "data:", "blob:"))]


def test_a_parent_expands_to_its_children(runs_page: Page) -> None:
    row = runs_page.locator(".ag-row").filter(has=runs_page.get_by_role("link", name="ms", exact=True))
    row.locator("[col-id='attributes.`Run Name`'] button").click()
    for name in ("ms · trial 000", "ms · final · seed 05", "ms · published values · seed 03"):
        expect(runs_page.get_by_role("link", name=name)).to_be_visible()
    expect(runs_page.get_by_role("link", name=re.compile("^nca ·"))).to_have_count(0)


def test_a_study_shows_its_note_figures_and_tables(runs_page: Page) -> None:
    runs_page.get_by_role("link", name="ms", exact=True).click()
    expect(runs_page.get_by_text("MAP@R", exact=True)).to_be_visible()
    runs_page.get_by_text("Show more", exact=True).first.click()
    expect(runs_page.get_by_text("run_benchmark.py --methods ms --dataset glyphs")).to_be_visible()
    runs_page.get_by_role("tab", name="Artifacts").click()
    runs_page.get_by_text("figures", exact=True).click()
    runs_page.get_by_text("search.png").click()
    image = runs_page.locator("img[src*='blob:'], img[src*='get-artifact'], img[alt*='search']").first
    expect(image).to_be_visible()
    runs_page.get_by_text("tables", exact=True).click()
    runs_page.get_by_text("trials.json").click()
    expect(runs_page.get_by_text("chosen", exact=True)).to_be_visible()


def test_a_trial_draws_the_learning_curve_of_every_fold(runs_page: Page) -> None:
    row = runs_page.locator(".ag-row").filter(has=runs_page.get_by_role("link", name="nca", exact=True))
    row.locator("[col-id='attributes.`Run Name`'] button").click()
    runs_page.get_by_role("link", name="nca · trial 002").click()
    runs_page.get_by_role("tab", name="Model metrics").click()
    runs_page.get_by_placeholder("Search metric charts").fill("val/map_at_r")
    expect(runs_page.locator(".js-plotly-plot .scatterlayer .trace")).not_to_have_count(0)
    for fold in range(4):
        expect(runs_page.get_by_text(re.compile(rf"^fold{fold}/val"))).to_be_visible()


@pytest.fixture
def linked(runs_page: Page) -> Callable[[str], Page]:
    """Opens the note of the study of `ms`, and one of its links, which MLflow opens in a page of its own."""

    def opened(words: str) -> Page:
        runs_page.get_by_role("link", name="ms", exact=True).click()
        with runs_page.expect_popup() as popup:
            runs_page.get_by_role("link", name=words).click()
        popup.value.set_default_timeout(PATIENCE)
        return popup.value

    return opened


def test_a_study_leads_to_its_search_in_charts(linked: Callable[[str], Page]) -> None:
    charts = linked("the search")
    expect(charts.get_by_text("6 matching runs")).to_be_visible()
    expect(charts.get_by_role("heading", name="Parallel Coordinates")).to_be_visible()
    all_folds = " vs ".join(f"fold{fold}/val/map_at_r" for fold in range(4))
    expect(charts.get_by_role("heading", name=all_folds)).to_be_visible()
    charts.close()


def test_a_study_leads_to_its_final_runs_in_charts(linked: Callable[[str], Page]) -> None:
    charts = linked("the final runs")
    expect(charts.get_by_text("8 matching runs")).to_be_visible()
    expect(charts.get_by_text("Test scores", exact=True)).to_be_visible()
    expect(charts.locator(".barlayer .trace").first).to_be_visible()
    charts.close()


def test_a_study_leads_to_its_page_of_the_site(linked: Callable[[str], Page]) -> None:
    page = linked("the entry's page on the site")
    inside = page.frame_locator("iframe")
    expect(inside.get_by_text("Rank on this board")).to_be_visible()
    # Its style and its scripts work there.
    inside.locator("[data-theme-switch]").click()
    expect(inside.locator("html")).to_have_attribute("data-theme", "dark")
    page.close()


def test_a_taken_port_is_told(server: str) -> None:
    port = int(server.rpartition(":")[2])
    with pytest.raises(RequestError, match=f"port {port}.*taken"):
        ui("sqlite:////nowhere/mlflow.db", port)


def test_a_server_that_runs_already_is_only_shown(server: str) -> None:
    lines: list[str] = []
    ui(server, announce=lines.append)
    assert len(lines) == 1
    assert "workflowType=machine_learning" in lines[0]
    show(server, lines.append)
    assert lines[0] == lines[1]
