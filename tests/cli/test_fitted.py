"""Tables as a terminal shows them."""

from __future__ import annotations

import re
import sys
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from causal_scrubbing._cli import fitted, main, refitted


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(40, 120))
def test_a_table_fits_and_keeps_every_word(seed: int, columns: int, width: int) -> None:
    random = Random(seed)

    def cell() -> str:
        words = ["abcdefgh"[: random.randint(1, 8)] for _ in range(random.randint(0, 6))]
        return " ".join(words)

    rows = [[cell() for _ in range(columns)] for _ in range(random.randint(1, 5))]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    rule = f"| {' | '.join(['---'] * len(rows[0]))} |"
    text = fitted("\n".join(["before", lines[0], rule, *lines[1:], "after"]), width)
    shown = text.split("\n")
    assert shown[0] == "before"
    assert shown[-1] == "after"
    assert max(map(len, shown)) <= width
    words = {word for row in rows for cell in row for word in cell.split()}
    assert words <= set(text.split())
    assert "|" not in text


def test_a_table_that_is_too_wide_is_cut_between_columns() -> None:
    names = [f"a column of figures, number {i}" for i in range(9)]
    head, rule = f"| case | {' | '.join(names)} |", "| --- |" + " --- |" * 9
    text = fitted(f"{head}\n{rule}\n| first | {' | '.join('0.123456789' for _ in names)} |", 60)
    assert text.count("case") == text.count("first") > 1
    assert text.count("0.123456789") == 9


def test_a_plain_table_is_cut_and_what_follows_it_is_not_touched() -> None:
    names = [f"kind {i}" for i in range(6)]
    head = "  ".join(["metric  ", *names])
    rule = "  ".join("-" * len(name) for name in ["metric  ", *names])
    row = "  ".join(["distance", *["0.5000"] * 6])
    note = (
        "samples in which every claim could only keep its own row, in words of many lengths: 0.0%"
    )
    text = "\n".join(["name: 40 samples", head, rule, row, note])
    assert refitted(text, 200) == text
    lines = refitted(text, 40).split("\n")
    assert lines[0] == "name: 40 samples"
    assert lines[-1] == note
    assert max(map(len, lines[1:-1])) <= 40
    assert sum(line.count("0.5000") for line in lines) == 6
    assert sum(line.startswith("distance") for line in lines) == 2


def test_the_gallery_prints_tables_and_says_where_its_runs_went(
    tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    out = tmp_path / "out"
    monkeypatch.setattr(
        sys, "argv", ["x", "gallery", "sharing", "--samples", "40", "--out", str(out)]
    )
    main()
    shown = capsys.readouterr().out
    assert "| ---" not in shown
    table = [line for line in shown.splitlines() if re.match(r"-+(  -+)+$", line)]
    assert table
    assert all(len(line) <= 70 for line in table)
    assert str(out / "sharing-runs") in shown
    assert (out / "sharing-runs").is_dir()
    assert "| ---" in (out / "sharing.md").read_text()
