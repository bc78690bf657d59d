"""Every Python block in the README and the docs runs, and prints what the page says it prints.

The blocks of a page run in order in one namespace, as a reader would type them. Two comments
steer this, each on the line before the fence it is about:

    <!-- skip: REASON -->     the Python block is not run
    <!-- output -->           the text block is what the Python block before it prints

A page with `<!-- needs: PACKAGE, PACKAGE -->` is left out where one of these is not installed.

`UPDATE_DOCS=1 pytest tests/project/test_pages.py` writes what the blocks print now into the pages.
"""

from __future__ import annotations

import linecache
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"(?:^<!--[ ]*(?P<note>[^\n]*?)[ ]*-->\n)?^```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^```[ ]*$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text, place in the page and the comment before it."""

    language: str
    body: str
    line: int
    note: str
    span: tuple[int, int]


def blocks(page: str) -> Iterator[Block]:
    for match in FENCE.finditer(page):
        line = page.count("\n", 0, match.start("body"))
        yield Block(match["language"], match["body"], line, match["note"] or "", match.span("body"))


def needs(page: str) -> list[str]:
    found = re.search(r"^<!-- needs: ([\w, ]+) -->$", page, re.MULTILINE)
    return found[1].split(", ") if found else []


def is_run(block: Block) -> bool:
    if block.language != "python":
        return False
    if not block.note.startswith("skip"):
        return True
    reason = block.note.removeprefix("skip").lstrip(": ")
    assert reason, f"line {block.line}: write <!-- skip: REASON -->"
    return False


def run_page(name: str, page: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a page's Python blocks in order; returns the page with its outputs as they are now."""
    namespace: dict[str, object] = {"__name__": "__page__"}
    printed = ""
    fresh, done = "", 0
    for block in blocks(page):
        if is_run(block):
            # Blank lines first, so that a traceback names the line in the page.
            source = "\n" * block.line + block.body
            capsys.readouterr()
            # Features are called by their source, which is looked up as that of a file.
            linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
            exec(compile(source, name, "exec"), namespace)
            printed = capsys.readouterr().out
        elif block.note == "output":
            start, end = block.span
            same = tidy(printed) == tidy(block.body)
            body = block.body if same else "\n".join(tidy(printed)) + "\n"
            fresh += page[done:start] + body
            done = end
    return fresh + page[done:]


def tidy(text: str) -> list[str]:
    """The lines of a text without the spaces at their ends, and no empty ones around it."""
    return [line.rstrip() for line in text.strip("\n").splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_page_runs_as_written(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))  # for pages that start the command
    text = page.read_text()
    for package in needs(text):
        if find_spec(package) is None:
            pytest.skip(f"the page needs {package}: make test installs it where it can")
    fresh = run_page(page.name, text, capsys)
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(fresh)
    else:
        assert text.splitlines() == fresh.splitlines(), (
            f"{page.name} prints something else; if it should: "
            "UPDATE_DOCS=1 pytest tests/project/test_pages.py"
        )


def test_the_readme_has_an_example() -> None:
    assert any(is_run(block) for block in blocks((ROOT / "README.md").read_text()))


def test_an_output_block_becomes_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    page = "```python\nprint(1 + 1)\n```\n\n<!-- output -->\n```text\n3\n```\nend\n"
    assert run_page("page", page, capsys) == page.replace("\n3\n", "\n2\n")


def test_a_block_is_skipped_with_a_reason_only(capsys: pytest.CaptureFixture[str]) -> None:
    run_page("page", "<!-- skip: needs a GPU -->\n```python\n1 / 0\n```\n", capsys)
    with pytest.raises(AssertionError, match="line 2: write <!-- skip: REASON -->"):
        run_page("page", "<!-- skip -->\n```python\n1 / 0\n```\n", capsys)
