"""What all pages share: style, title and the bar at the top."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui


def page_bar(title: str) -> ui.row:
    """Sets style and title of a page; returns its bar, to be filled."""
    ui.add_css(Path(__file__).with_name("page.css"))
    ui.page_title(f"{title} · lrray board")
    ui.add_head_html("<script>document.documentElement.lang = 'en'</script>")
    ui.dark_mode(None)  # as the reader's system has it
    bar = ui.row().classes("bar w-full")
    with bar:
        ui.label("lrray board").classes("brand")
    return bar
