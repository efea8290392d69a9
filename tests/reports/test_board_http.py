"""What the board answers over HTTP: to whom, to which methods, with which files."""

from __future__ import annotations

import http.client
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from board_process import running_board
from runs import fill, fill_many, finish, new_run

PATIENCE_S = 120
SECRET = "not for the board's reader"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    base = tmp_path_factory.mktemp("board")
    (base / "secret.txt").write_text(SECRET)
    small = new_run(base / "results", "small")
    finish(small, len(fill(small)))
    (small.path / "table.csv").write_text("a,b\n1,2\n")
    (small.path / "link.txt").symlink_to(base / "secret.txt")
    (small.path / ".hidden.txt").write_text(SECRET)
    (small.path / "model.pkl").write_text("not a served type")
    fill_many(new_run(base / "results", "large"), 10_000)
    return base / "results"


@pytest.fixture(scope="module")
def url(results):
    with running_board(results) as address:
        yield address


def get(address: str, **options: Any) -> httpx.Response:
    """A GET that a busy machine has time to answer."""
    return httpx.get(address, timeout=PATIENCE_S, **options)


def raw(url: str, method: str, path: str, **headers: str) -> tuple[int, bytes]:
    """One request whose path no client tidies up."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_S)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    return response.status, response.read()


def run_page(url: str, results: Path, study: str) -> str:
    run = next((results / study).iterdir())
    return f"{url}run?at={quote(f'{study}/{run.name}')}"


def test_the_board_listens_on_this_machine_alone_and_tells_an_unguessable_address(url):
    parts = urlsplit(url)
    assert parts.hostname == "127.0.0.1"
    assert len(parts.path.strip("/")) >= 32


def test_pages_list_the_runs_and_show_one_of_them(url, results):
    listed = get(url)
    assert listed.status_code == 200
    assert "small" in listed.text
    shown = get(run_page(url, results, "small"))
    assert shown.status_code == 200
    assert "The larger one, for a while." in shown.text
    assert "<fastest>" not in shown.text  # what a study file says is text, never markup


def test_without_the_token_nothing_is_answered(url):
    token = urlsplit(url).path.strip("/")
    for path in ("/", "/run", f"/{token[:-1]}/", f"/{token}x/", f"//{token}/", "/%c3%a9/"):
        assert raw(url, "GET", path)[0] == 403, path
    for wrong in ("/_nicegui_ws/socket.io/?EIO=4&transport=polling", "/files/small", "/docs"):
        assert raw(url, "GET", wrong)[0] == 403


def test_a_socket_without_the_token_is_refused(url):
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    assert raw(url, "GET", path, **upgrade)[0] == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods_that_could_change_something_are_refused(url, method):
    assert httpx.request(method, url, timeout=PATIENCE_S).status_code == 405


def test_files_of_the_results_folder_are_served_as_inert_text(url, results):
    run = next((results / "small").iterdir()).name
    answer = get(f"{url}files/small/{run}/table.csv")
    assert (answer.status_code, answer.text) == (200, "a,b\n1,2\n")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["content-type"].startswith("text/plain")


def test_no_path_leads_out_of_the_results_folder(url, results):
    run = next((results / "small").iterdir()).name
    prefix = urlsplit(url).path + "files/"
    for path in (
        "../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "small/../../secret.txt",
        "small/%2e%2e/%2e%2e/secret.txt", f"small/{run}/link.txt", f"small/{run}/.hidden.txt",
        f"/{results.parent}/secret.txt", quote(str(results.parent / "secret.txt")),
        "%00", "..", f"small/{run}/model.pkl", f"small/{run}", "a" * 5000,
    ):  # fmt: skip
        status, body = raw(url, "GET", prefix + path)
        assert status == 404, path
        assert SECRET.encode() not in body


def test_a_run_is_named_by_its_place_in_the_list_and_by_nothing_else(url):
    for at in ("..", "../..", "/etc", "small", "", "small/../small"):
        assert get(f"{url}run", params={"at": at}).status_code == 404


def test_a_page_over_ten_thousand_cells_sends_one_screen_of_them(url, results):
    page = run_page(url, results, "large")
    get(page)  # the first reading of all files
    began = time.monotonic()
    text = get(page).text
    assert time.monotonic() - began < 20
    assert "10,000" in text
    assert len(text) < 200_000
    assert sum(f"{i:016x}" in text for i in range(10_000)) <= 25


def test_looking_changes_no_file(url, results):
    def stamps() -> dict[str, int]:
        paths = [Path(folder) / name for folder, _, names in os.walk(results) for name in names]
        return {str(path): path.lstat().st_mtime_ns for path in paths}

    before = stamps()
    get(run_page(url, results, "small"))
    assert stamps() == before
