"""A browser without a screen, and what stands in somebody's way on a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextmanager
def launched() -> Iterator[Any]:
    """The system's Chromium, driven by Playwright; the test skips where either is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    with api.sync_playwright() as play:
        made = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield made
        made.close()


def serious(page: Any, scheme: str = "light") -> list[tuple[str, str, str]]:
    """What axe-core finds on a page that stands in somebody's way.

    Args:
        page: an open page.
        scheme: in the dark only colours are looked at, as all else is the same.
    """
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )
    options = {"runOnly": ["color-contrast"]} if scheme == "dark" else None
    found = axe.Axe().run(page, options=options).response["violations"]
    return [
        (one["id"], one["nodes"][0]["html"][:120], one["nodes"][0]["failureSummary"][:200])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
