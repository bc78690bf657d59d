"""The documentation is in short sentences: no page averages more than twenty words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MOST = 20


def sentences(page: str) -> list[int]:
    """Words of each sentence of a page's prose; code, tables and headings are left out."""
    page = re.sub(r"^```.*?^```[ ]*$", "", page, flags=re.MULTILINE | re.DOTALL)
    page = re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL)
    counts = []
    for part in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", page):
        text = part.strip()
        if not text or text.startswith(("#", "|", "!", ":::", "--8<--", "[")):
            continue
        text = re.sub(r"`[^`]*`", "Code", text)
        text = re.sub(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])", r"\1", text)
        for one in re.split(r"(?<=[.!?])[*_)\"']*\s+(?=[A-Z*_\"'(\d])", " ".join(text.split())):
            words = re.findall(r"[A-Za-z0-9][\w'./%-]*", one)
            counts += [len(words)] if words else []
    return counts


def test_sentences_are_counted_as_a_reader_would() -> None:
    page = (
        "# A heading\n\nOne two `a.b c` three. Four\nfive! See [six seven](x.md).\n\n- eight nine\n"
    )
    assert sentences(page) == [4, 2, 3, 2]
    assert sentences("```python\nprint(1)\n```\n\n| a | b |\n| - | - |\n") == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_averages_more_than_twenty_words_a_sentence(page: Path) -> None:
    counts = sentences(page.read_text())
    mean = sum(counts) / max(len(counts), 1)
    assert mean <= MOST, f"{mean:.1f} words a sentence, the longest has {max(counts)}"
