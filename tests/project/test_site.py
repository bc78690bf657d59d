"""The documentation site as a reader meets it, in a browser without a screen."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from browsing import launched, serious

ROOT = Path(__file__).parents[2]
NAMES = ("index", "method", "compare", "command")
"""A page with an example and its output, one with pictures, one with links, one with commands."""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as made:
        yield made


@pytest.fixture(scope="module")
def site(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a site of a few of the pages, with the theme and settings of the whole."""
    if find_spec("mkdocs") is None or find_spec("material") is None:
        pytest.skip("mkdocs-material is not installed: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    docs = folder / "docs"
    docs.mkdir()
    for name in NAMES:
        shutil.copy(ROOT / "docs" / f"{name}.md", docs)
    for picture in [
        *(ROOT / "docs").glob("*.svg"),
        *(ROOT / "docs" / "gallery").glob("parens.png"),
    ]:
        to = docs / picture.relative_to(ROOT / "docs")
        to.parent.mkdir(exist_ok=True)
        shutil.copy(picture, to)
    shutil.copytree(ROOT / "docs" / "assets", docs / "assets")
    nav = "".join(f"  - {name}: {name}.md\n" for name in NAMES)
    (folder / "mkdocs.yml").write_text(
        f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: docs\nsite_dir: site\nstrict: false\n"
        f"plugins: [search]\nvalidation: {{links: {{not_found: ignore}}}}\nnav:\n{nav}"
    )
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-q", "-f", str(folder / "mkdocs.yml")],
        check=True, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, timeout=120,
    )  # fmt: skip
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder / "site"))
    ) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("index", "light"), ("index", "dark"), ("method", "light"), ("compare", "light"),
     ("command", "dark")],
)  # fmt: skip
def test_a_page_of_the_site_is_for_everyone(browser, site, name, scheme) -> None:
    page = browser.new_page(color_scheme=scheme)
    logged: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    page.on("pageerror", lambda error: logged.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site}/{'' if name == 'index' else name + '/'}")
    page.wait_for_load_state("networkidle")
    assert logged == []
    assert not [url for url in asked if not url.startswith((site, "data:", "blob:"))]
    assert page.locator("article img").evaluate_all(
        "all => all.every((one) => one.naturalWidth > 0)"
    )
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    assert serious(page, scheme) == []
    page.set_viewport_size({"width": 390, "height": 844})
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    page.close()


def test_the_start_page_shows_a_picture_an_install_line_and_a_first_result(browser, site) -> None:
    page = browser.new_page()
    page.goto(site)
    text = page.locator("article").inner_text()
    assert "pip install ." in text
    assert (
        text.index("pip install .") < text.index("A first result") < text.index("recovered 100.0%")
    )
    assert page.locator("article img").first.bounding_box()["y"] < 400
    page.close()
