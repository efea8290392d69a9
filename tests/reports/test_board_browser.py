"""The board and the report in a real browser, as their reader sees them."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
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
        until(browser, lambda: "12 of 17 cells with curves" in text(browser))

        folder.save_cell(late, {"loss": 0.125}, seconds=1.0)
        until(browser, lambda: "0.125" in rows(browser)[0])
        until(browser, lambda: "18\ncells done" in text(browser))

        click(browser, By.CSS_SELECTOR, f"{ROWS} .q-checkbox", position=5)
        until(browser, lambda: "1 chosen cell" in text(browser))

        click(browser, By.XPATH, "//tr[contains(., 'failed')]/td[4]")
        until(browser, lambda: "Traceback …" in text(browser))
        until(browser, lambda: cells[-1].id in text(browser))
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
