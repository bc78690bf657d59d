"""Circuits compiled from programs: what is true of them, and what methods say."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import torch

from causal_scrubbing import gallery
from causal_scrubbing._systems import ground_truth

PAGE = Path(__file__).parents[2] / "docs" / "gallery" / "ground-truth.md"
TEXT = "A = a ^ b; B = c & d; y = A | B"


@cache
def cases(family: str) -> dict[str, ground_truth.Case]:
    circuit = ground_truth.compile_program(TEXT, family)
    return {case.kind: case for case in ground_truth.make_cases(circuit)}


def verdict(family: str, kind: str) -> dict[str, bool]:
    rows = ground_truth.judge(cases(family)[kind], samples=100, seed=0)
    return {str(row["method"]): bool(row["rejects"]) for row in rows}


def test_every_circuit_computes_its_program() -> None:
    made = ground_truth.circuits()
    assert len(made) == 32
    for circuit in made:
        torch.testing.assert_close(circuit.graph(circuit.data), circuit.data["label"])
    a, b, c, d = (made[0].data[name].long() for name in "abcd")
    assert torch.equal(made[0].data["y"].long(), (a ^ b) | (c & d))


@pytest.mark.parametrize("family", ground_truth.FAMILIES)
def test_truth_is_what_no_swap_changes(family: str) -> None:
    true = {kind for kind, case in cases(family).items() if case.true}
    finer = "finer: variables and the nuisance"
    assert true == {"the program", "its variables", "its output", finer}


def test_features_are_tested_by_scrubbing_and_not_by_ablation() -> None:
    found = verdict("plain", "another variable's feature")
    assert found["scrub"]
    assert found["refute"]
    assert not found["zero ablation"]
    assert not found["mean ablation"]
    assert not found["path patching"]


@pytest.mark.parametrize(
    ("family", "wrong"),
    [
        ("plain", set()),
        ("backup", {"zero ablation"}),
        ("carrier", {"zero ablation", "mean ablation"}),
        ("pair", {"path patching"}),
    ],
)
def test_each_family_misleads_its_method_about_the_program(family: str, wrong: set[str]) -> None:
    found = verdict(family, "its variables")
    assert {method for method, rejects in found.items() if rejects} == wrong


def test_discover_finds_the_parts() -> None:
    assert ground_truth.discovers(cases("pair")["the program"].circuit, 100, 0)


def test_rates_have_exact_intervals_and_the_page_shows_every_method() -> None:
    verdicts = pd.DataFrame(
        {"method": "scrub", "true": [False] * 4 + [True], "rejects": [True] * 3 + [False] * 2}
    )
    (row,) = ground_truth.rates(verdicts).to_dict("records")
    assert row["rejects false %"] == 75
    # As tables of Clopper and Pearson's interval give them.
    assert row["false, 95%"] == "19 to 99"
    assert row["true, 95%"] == "0 to 98"
    page = PAGE.read_text()
    for method in ground_truth.RULES:
        assert re.search(rf"^\| {method} +\| 1?\d+ ", page, re.MULTILINE)
    assert gallery.load("ground-truth").page == "gallery/ground-truth.md"
