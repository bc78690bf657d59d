"""Every Python block in the README and the docs runs, and prints what the page says it prints.

The blocks of a page run in order in one namespace, as a reader would type them. Two comments
steer this, each on the line before the fence it is about:

    <!-- skip: REASON -->     the Python block is not run
    <!-- output -->           the text block is what the Python block before it prints
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"(?:^<!--[ ]*(?P<note>[^\n]*?)[ ]*-->\n)?^```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^```[ ]*$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text, line number in the page and the comment before it."""

    language: str
    body: str
    line: int
    note: str


def blocks(page: str) -> Iterator[Block]:
    for match in FENCE.finditer(page):
        line = page.count("\n", 0, match.start("body"))
        yield Block(match["language"], match["body"], line, match["note"] or "")


def is_run(block: Block) -> bool:
    if block.language != "python":
        return False
    if not block.note.startswith("skip"):
        return True
    reason = block.note.removeprefix("skip").lstrip(": ")
    assert reason, f"line {block.line}: write <!-- skip: REASON -->"
    return False


def run_page(name: str, page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a page's Python blocks in order and hold its output blocks against what they print."""
    namespace: dict[str, object] = {"__name__": "__page__"}
    printed = ""
    for block in blocks(page):
        if is_run(block):
            # Blank lines first, so that a traceback names the line in the page.
            source = "\n" * block.line + block.body
            capsys.readouterr()
            exec(compile(source, name, "exec"), namespace)
            printed = capsys.readouterr().out
        elif block.note == "output":
            assert tidy(printed) == tidy(block.body), f"{name}:{block.line}: the output differs"


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
    run_page(page.name, page.read_text(), capsys)


def test_the_readme_has_an_example() -> None:
    assert any(is_run(block) for block in blocks((ROOT / "README.md").read_text()))


def test_a_page_that_prints_something_else_fails(capsys: pytest.CaptureFixture[str]) -> None:
    page = "```python\nprint(1 + 1)\n```\n\n<!-- output -->\n```text\n3\n```\n"
    with pytest.raises(AssertionError, match=r"page:6: the output differs"):
        run_page("page", page, capsys)


def test_a_block_is_skipped_with_a_reason_only(capsys: pytest.CaptureFixture[str]) -> None:
    run_page("page", "<!-- skip: needs a GPU -->\n```python\n1 / 0\n```\n", capsys)
    with pytest.raises(AssertionError, match="line 2: write <!-- skip: REASON -->"):
        run_page("page", "<!-- skip -->\n```python\n1 / 0\n```\n", capsys)
