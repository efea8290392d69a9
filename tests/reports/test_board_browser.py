"""The board and the report in a real browser, as their reader sees them."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from axe_core_python.selenium import Axe
from board_process import running_board
from runs import cell_of, fill, fill_many, finish, new_run
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from lrray.reports.report import write_report
from lrray.results.lock import FolderLock

pytestmark = pytest.mark.slow

PATIENCE_S = 120
ROWS = "table tbody tr"


def until(browser, condition):
    """Waits for the page to show something; fails with what it shows instead."""

    def holds(_):
        try:
            return condition()
        except Exception:  # the page may change while it is read
            return False

    try:
        return WebDriverWait(browser, PATIENCE_S, poll_frequency=0.2).until(holds)
    except TimeoutException:
        pytest.fail(f"the page shows: {text(browser)}")


def click(browser, how, what, position=0):
    """Clicks once it is there; a page that is just being renewed is asked again."""

    def clicked():
        browser.find_elements(how, what)[position].click()
        return True

    until(browser, clicked)


def text(browser):
    return texts(browser, "body")[0]


def rows(browser):
    return texts(browser, ROWS)


def column(browser, position):
    return texts(browser, f"{ROWS} td:nth-child({position})")


def texts(browser, selector):
    """What the page shows in all these places, read at one moment: a live page renews them."""
    read = "return Array.from(document.querySelectorAll(arguments[0]), place => place.innerText)"
    return browser.execute_script(read, selector)


def write_filter(browser, words):
    def written():
        field = browser.find_element(By.CSS_SELECTOR, ".card input[type=text]")
        field.send_keys(Keys.CONTROL + "a", Keys.DELETE)
        field.send_keys(words)
        return field.get_property("value") == words

    until(browser, written)


def test_a_run_shows_live_progress_cells_and_curves(browser, tmp_path):
    folder = new_run(tmp_path)
    cells = fill(folder)
    late = cell_of("gru", 32, 0)
    status = {"phase": "running cells", "ended": 18, "total": 20, "done": 17, "failed": 1}
    running = {"running": [{"id": late.id, "axes": dict(late.axes)}]}
    with FolderLock(folder.path), running_board(folder.path) as url:
        folder.write_json("status.json", {**status, **running})
        browser.get(url)
        until(browser, lambda: "Which model learns <fastest> & best?" in text(browser))
        until(browser, lambda: "The larger one, for a while." in text(browser))
        until(browser, lambda: len(rows(browser)) == 19)
        assert "running" in rows(browser)[0]
        until(browser, lambda: browser.find_element(By.CSS_SELECTOR, ".nicegui-echart canvas"))
        until(browser, lambda: "17 of 17 cells with curves" in text(browser))

        folder.save_cell(late, {"loss": 0.125}, seconds=1.0)
        until(browser, lambda: "0.125" in rows(browser)[0])
        until(browser, lambda: "18\ncells done" in text(browser))

        click(browser, By.CSS_SELECTOR, f"{ROWS} .q-checkbox", position=5)
        until(browser, lambda: "1 chosen cell" in text(browser))

        click(browser, By.XPATH, "//tr[contains(., 'failed')]/td[4]")
        until(browser, lambda: "Traceback …" in text(browser))
        until(browser, lambda: cells[-1].id in text(browser))
        assert "model=mamba hidden_size=16 seed=2" in texts(browser, "h1")
    errors = [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert not [line for line in errors if "ERR_CONNECTION" not in line["message"]], errors


def test_ten_thousand_cells_are_filtered_sorted_and_turned_page_by_page(browser, tmp_path):
    folder = new_run(tmp_path)
    fill_many(folder, 10_000)
    finish(folder, 10_000)
    with running_board(folder.path) as url:
        browser.get(url)
        until(browser, lambda: "10,000 cells" in text(browser))
        until(browser, lambda: len(rows(browser)) == 25)

        click(browser, By.XPATH, "//th[contains(., 'loss')]")
        until(browser, lambda: column(browser, 3)[:2] == ["9999", "9998"])
        click(browser, By.CSS_SELECTOR, ".q-table__bottom button[aria-label*='Next']")
        until(browser, lambda: column(browser, 3)[0] == "9974")

        write_filter(browser, "seed<30 loss>9975")
        until(browser, lambda: "25 cells" in text(browser))
        until(browser, lambda: column(browser, 3)[0] == "24")
        write_filter(browser, "sed<30")
        until(browser, lambda: "did you mean 'seed'?" in text(browser))


def series(browser):
    """Name, points and whether it is a band, of all that the chart draws."""
    return browser.execute_script(
        "const dom = document.querySelector('.nicegui-echart');"
        "const drawn = getElement(dom.id.slice(1)).chart.getOption().series;"
        "return drawn.map(s => [s.name, s.data, s.type === 'custom']);"
    )


def filled(browser):
    """Number of filled pieces that are really on the chart's canvas, and not empty."""
    return browser.execute_script(
        "const dom = document.querySelector('.nicegui-echart');"
        "const shown = getElement(dom.id.slice(1)).chart.getZr().storage.getDisplayList();"
        "const size = p => Math.max(...p.map(q => q[1])) - Math.min(...p.map(q => q[1]));"
        "return shown.filter(s => s.type === 'polygon' && size(s.shape.points) > 0.5).length;"
    )


def switch(browser, name):
    click(browser, By.XPATH, f"//*[contains(@class, 'q-toggle')][contains(., '{name}')]")


def test_curves_are_means_with_bands_or_single_cells_smoothed_or_not(browser, tmp_path):
    folder = new_run(tmp_path)
    fill(folder)
    finish(folder, 18)
    with running_board(folder.path) as url:
        browser.get(url)
        until(browser, lambda: len([s for s in series(browser) if s[2]]) == 6)
        assert filled(browser) == 6 * 19  # stretches between 20 points, of each setting
        names = [name for name, _, _ in series(browser) if name.endswith("(n = 3)")]
        assert names[0] == "model=gru hidden_size=4 (n = 3)"
        sharp = until(browser, lambda: series(browser)[0][1])

        browser.find_element(By.CSS_SELECTOR, ".q-slider").click()  # in the middle
        until(browser, lambda: series(browser)[0][1][5][1] > sharp[5][1])

        switch(browser, "mean over seeds")
        until(browser, lambda: len(series(browser)) == 12)
        assert not any(filled for _, _, filled in series(browser))


def test_the_page_is_dark_where_the_reader_s_system_is(browser, tmp_path):
    folder = new_run(tmp_path)
    fill(folder)
    finish(folder, 18)
    ground = "return getComputedStyle(document.querySelector('.card')).backgroundColor"
    try:
        with running_board(folder.path) as url:
            seen = {}
            for scheme in ("light", "dark"):
                feature = {"name": "prefers-color-scheme", "value": scheme}
                browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
                browser.get(url)
                until(browser, lambda: len(rows(browser)) == 18)
                seen[scheme] = browser.execute_script(ground)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert seen == {"light": "rgb(255, 255, 255)", "dark": "rgb(26, 33, 41)"}


def test_nothing_is_cut_off_on_a_narrow_screen(browser, tmp_path):
    folder = new_run(tmp_path)
    cells = fill(folder)
    finish(folder, 18)
    screen = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    width = "return document.documentElement.scrollWidth"
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        with running_board(tmp_path) as url:
            place = folder.path.relative_to(tmp_path)
            for page in ("", f"run?at={place}", f"cell?at={place}&cell={cells[0].id}"):
                browser.get(url + page)
                until(browser, lambda: "lrray board" in text(browser))
                until(browser, lambda: len(texts(browser, ".card")) >= 1)
                assert browser.execute_script(width) == 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_can_be_read_by_all(browser, tmp_path, scheme):
    """No rule of axe-core is broken, contrast and names for screen readers among them."""
    folder = new_run(tmp_path)
    cells = fill(folder)
    finish(folder, 18)
    place = folder.path.relative_to(tmp_path)
    cell = f"cell?at={place}&cell="
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        with running_board(tmp_path) as url:
            for page, there in (
                ("", "1 in this folder"), (f"run?at={place}", "18 cells"),
                (cell + cells[0].id, "Settings"), (cell + cells[-1].id, "Traceback …"),
            ):  # fmt: skip
                browser.get(url + page)
                until(browser, lambda there=there: there in text(browser))
                broken = Axe().run(browser)["violations"]
                assert not broken, [(rule["id"], rule["nodes"][0]["html"]) for rule in broken]
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_columns_are_chosen_and_those_of_positions_are_hidden_at_first(browser, tmp_path):
    folder = new_run(tmp_path)
    cell = cell_of("gru", 8, 0)
    folder.save_cell(cell, {"loss": 2.0, "loss_by_position_bits_1": 3.0}, seconds=1.0)
    finish(folder, 1)
    with running_board(folder.path) as url:
        browser.get(url)
        until(browser, lambda: "1 cell" in text(browser) and "loss" in text(browser))
        assert "loss_by_position_bits_1" not in text(browser)
        click(browser, By.CSS_SELECTOR, ".columns")
        click(browser, By.XPATH, "//*[@role='option'][contains(., 'loss_by_position_bits_1')]")
        heading = "//th[contains(., 'loss_by_position_bits_1')]"
        until(browser, lambda: browser.find_elements(By.XPATH, heading))


def test_a_folder_of_runs_leads_to_each_and_nothing_is_fetched_from_elsewhere(browser, tmp_path):
    browser.get_log("performance")
    figure = b"\x89PNG\r\n\x1a\n"
    for name in ("first", "second"):
        folder = new_run(tmp_path, name)
        finish(folder, len(fill(folder)))
        (folder.path / "contour.png").write_bytes(figure)
    with running_board(tmp_path) as url:
        browser.get(url)
        until(browser, lambda: len(rows(browser)) == 2)
        click(browser, By.CSS_SELECTOR, ROWS)
        until(browser, lambda: "finished" in text(browser) and "Figures" in text(browser))
        shown = "return Array.from(document.images, image => image.src)"
        sources = until(browser, lambda: browser.execute_script(shown))
        assert all(source.startswith(f"{url}files/") for source in sources)
        click(browser, By.LINK_TEXT, "all runs")
        until(browser, lambda: len(rows(browser)) == 2)
    assert hosts_asked(browser) == {"127.0.0.1"}


def test_a_report_shows_all_its_figures_and_asks_no_host(browser, tmp_path):
    folder = new_run(tmp_path)
    finish(folder, len(fill(folder)))
    page = write_report(folder.path)[0]
    browser.get_log("performance")
    browser.get(page.as_uri())
    until(browser, lambda: "loss runs from" in text(browser))
    images = browser.find_elements(By.TAG_NAME, "img")
    assert len(images) == 4
    assert all(int(image.get_property("naturalWidth")) > 500 for image in images)
    assert hosts_asked(browser) == set()


def hosts_asked(browser):
    """Hosts of all addresses in what the browser sent and received since the last call."""
    return {
        urlsplit(part).hostname
        for entry in browser.get_log("performance")
        for part in entry["message"].split('"')
        if part.startswith(("http://", "https://", "ws://", "wss://"))
    }
