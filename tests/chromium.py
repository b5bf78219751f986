"""Chromium as a reader has it, without a network: pages from disk, what they complain of and what they ask for."""

import contextlib
import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1200, "height": 900}
_ALONE = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"]


def missing() -> str | None:
    """Say why no browser can be opened, if so."""
    return None if shutil.which("chromium") else "chromium is not installed (Debian: chromium)"


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_ALONE)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Opened:
    """A page, with the complaints of its console and the addresses it asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def asked_outside(self) -> list[str]:
        return [address for address in self.asked if not address.startswith("data:")][1:]


@contextlib.contextmanager
def opened(browser: Browser, path: Path, viewport=None, **options) -> Iterator[Opened]:
    """Open a file of the disk as a page."""
    context = browser.new_context(viewport=viewport or DESK, **options)
    try:
        page = context.new_page()
        found = Opened(page)
        page.on("console", lambda message: found.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (found.complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: found.asked.append(request.url))
        page.goto(path.resolve().as_uri())
        yield found
    finally:
        context.close()


def violations(page: Page) -> list[str]:
    """Return what axe finds serious or critical: rule, and the elements."""
    place = Path(importlib.util.find_spec("axe_playwright_python").submodule_search_locations[0]) / "axe.min.js"
    # Not through a script element: the policy of the page would rightly refuse it.
    page.evaluate(place.read_text(encoding="utf-8"))
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
    found = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", tags)
    return [
        f"{one['impact']} {one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
