"""Every Python block in the README and the docs runs, and prints what the page says it prints.

The blocks of a page run in order in one namespace, as a reader would type them. Two comments
steer this, each on the line before the fence it is about:

    <!-- skip: REASON -->     the Python block is not run
    <!-- output -->           the text block is what the Python block before it prints

A page with `<!-- needs: PACKAGE, PACKAGE -->` is left out where one of these is not installed.

Words, signs and layout must be the same to the letter. A number with decimals may differ by one in
its last digit, and a number with an exponent by a tenth: that much rounding differs between
processors, while a change of what is computed shows in more. Integers must be equal.

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
UPDATE = bool(os.environ.get("UPDATE_DOCS"))
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
            same = same or (not UPDATE and same_lines(tidy(printed), tidy(block.body)))
            body = block.body if same else "\n".join(tidy(printed)) + "\n"
            fresh += page[done:start] + body
            done = end
    return fresh + page[done:]


NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.]*\w)")


def alike(one: str, other: str) -> bool:
    """Whether two lines say the same: words to the letter, numbers to their last digit."""
    if one == other:
        return True
    ones, others = NUMBER.findall(one), NUMBER.findall(other)
    frames = [NUMBER.sub("#", line) for line in (one, other)]
    if list(map(len, ones)) != list(map(len, others)):  # 9.99 beside 10.00 moves a column
        frames = [re.sub(r" {2,}|-{2,}", "  ", frame) for frame in frames]
    same = frames[0] == frames[1] and len(ones) == len(others)
    return same and all(map(near, ones, others))


def near(one: str, other: str) -> bool:
    """Whether two numbers as printed differ by no more than rounding may make them."""
    if one == other:
        return True
    a, b = (float(text.replace(",", "")) for text in (one, other))
    if "e" in one + other:
        return abs(a - b) <= 0.1 * max(abs(a), abs(b))
    decimals = [len(text.partition(".")[2]) for text in (one, other)]
    return min(decimals) > 0 and abs(a - b) <= 1.01 * 10.0 ** -min(decimals)


def same_lines(one: list[str], other: list[str]) -> bool:
    return len(one) == len(other) and all(map(alike, one, other))


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
    if UPDATE:
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


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("loss 0.628 ± 0.011", "loss 0.629 ± 0.011", True),
        ("loss 0.628 ± 0.011", "loss 0.630 ± 0.011", False),
        ("p 1.7e-07", "p 1.6e-07", True),
        ("p 1.7e-07", "p 4.7e-07", False),
        ("16 features", "15 features", False),
        ("x   9.99  y", "x  10.00  y", True),
        ("x   9.99  y", "x   9.99 y", False),
        ("gap -0.371", "gap +0.371", False),
        ("15 features", "15 feature", False),
        ("a1.z.h0 1.25", "a1.z.h1 1.25", False),
        ("1,000 rows", "1,001 rows", False),
    ],
)
def test_numbers_are_compared_to_the_digits_that_carry_meaning(one, other, same) -> None:
    assert same_lines([one], [other]) is same


def test_a_block_is_skipped_with_a_reason_only(capsys: pytest.CaptureFixture[str]) -> None:
    run_page("page", "<!-- skip: needs a GPU -->\n```python\n1 / 0\n```\n", capsys)
    with pytest.raises(AssertionError, match="line 2: write <!-- skip: REASON -->"):
        run_page("page", "<!-- skip -->\n```python\n1 / 0\n```\n", capsys)
