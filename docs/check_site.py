"""Checks a built site: ``python docs/check_site.py build/site``.

Every link of every page leads to a file of the site, and to an anchor that is there; no page loads
anything from elsewhere when it is read. Links that a reader may follow out are left alone. No type
in the reference is prose, as it is where the words before a docstring's colon were taken for one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADS = {"script", "img", "iframe", "source", "video", "audio", "embed", "object"}
"""Elements whose address is fetched when the page is shown; so is that of a link element."""


_TYPES = {"Type", "Return type", "Yields", "Yield type"}
"""Terms of the reference beside which a type stands."""

_PROSE = re.compile(r"[a-z]{2,} [A-Za-z]{2,}")


class Page(HTMLParser):
    """The anchors of a page, what it links to and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.types: list[str] = []
        self._term: str | None = None
        self._part = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Takes in one element."""
        values = {name: value for name, value in attrs if value}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag in {"dt", "dd"}:
            self._part = ""
        loaded = tag in _LOADS or (tag == "link" and values.get("rel") != "canonical")
        for name in ("href", "src", "data"):
            if name in values:
                (self.loads if loaded else self.links).add(values[name])

    def handle_data(self, data: str) -> None:
        """Takes in text."""
        self._part += data

    def handle_endtag(self, tag: str) -> None:
        """Takes in the end of an element."""
        if tag == "dt":
            self._term = self._part.strip().rstrip(":")
        elif tag == "dd" and self._term in _TYPES:
            self.types.append(self._part.strip())
            self._term = None


def problems(site: Path) -> Iterator[str]:
    """A line for every broken link, and for everything loaded from elsewhere."""
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(site)
        for found in page.types:
            if _PROSE.search(found):
                yield f"{name}: the type {found!r} is prose"
        for address in sorted(page.loads):
            if urlsplit(address).netloc:
                yield f"{name}: loads {address}"
        for address in sorted(page.links | page.loads):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                yield f"{name}: {address} leads to no file"
            elif parts.fragment and not _has_anchor(pages.get(target), parts.fragment):
                yield f"{name}: {address} leads to no heading"
    for path in sorted(site.rglob("*.css")):
        text = path.read_text("utf-8")
        if "url(http" in text.replace('"', "").replace("'", "") or "@import" in text:
            yield f"{path.relative_to(site)}: loads from elsewhere"


def _has_anchor(page: Page | None, fragment: str) -> bool:
    return page is None or unquote(fragment) in page.anchors


def main() -> int:
    """Prints what is wrong; 1 if anything is."""
    found = list(problems(Path(sys.argv[1]).resolve()))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
