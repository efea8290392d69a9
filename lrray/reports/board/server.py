"""Serves the board on 127.0.0.1 until it is interrupted."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import webbrowser
from pathlib import Path

from rich.console import Console

from lrray.errors import LrrayError
from lrray.results.run import find_runs
from lrray.scratch import scratch_folder

HOST = "127.0.0.1"


def serve(results: Path, port: int = 0, open_browser: bool = True) -> None:
    """Shows the runs in ``results``; returns after Ctrl-C.

    Args:
        results: a run's folder, a study's folder or the whole results folder.
        port: where to listen; 0 takes a free one.
        open_browser: open the page in the user's browser.

    Raises:
        LrrayError: there is no such folder, or the port is taken.
    """
    find_runs(results)  # says at once where the folder is missing
    listener = _listen(port)
    token = secrets.token_urlsafe(24)
    url = f"http://{HOST}:{listener.getsockname()[1]}/{token}/"
    console = Console(highlight=False)
    console.print(f"board    {url}", soft_wrap=True)
    console.print("Only programs of this machine that know this address can read it. Ctrl-C stops.")
    if open_browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    with scratch_folder("board") as storage:
        os.environ["NICEGUI_STORAGE_PATH"] = str(storage)  # read when NiceGUI is imported
        _serve_until_interrupted(results.resolve(), token, listener)


def _serve_until_interrupted(results: Path, token: str, listener: socket.socket) -> None:
    import uvicorn
    from fastapi import FastAPI
    from nicegui import app as pages
    from nicegui import ui

    from lrray.reports.board.guard import Guard
    from lrray.reports.board.pages import add_pages

    add_pages(results)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    # Long polling would need POST: the page talks over its web socket alone.
    pages.config.socket_io_js_transports = ["websocket"]
    ui.run_with(
        app, mount_path=f"/{token}", title="lrray board", tailwind=False, favicon="📈",
        show_welcome_message=False, reconnect_timeout=30,
    )  # fmt: skip
    config = uvicorn.Config(Guard(app, token), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        raise LrrayError(
            "--port", f"cannot listen there: {error.strerror}", got=port, fix="give another one"
        ) from None
    listener.listen(128)
    return listener
