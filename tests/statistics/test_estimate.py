from __future__ import annotations

import json
import math
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal_scrubbing._format import alike
from causal_scrubbing._statistics import Estimate, Scores

numbers = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.40312, 0.0222, (0.36, 0.45), n=100), "0.403 ± 0.022"),
        (Estimate(93.14, 1.4, (90.17, 95.83), n=9, unit="%"), "93.1% [90.2, 95.8]"),
        (Estimate(0.5, 0.0, (0.5, 0.5), n=9), "0.5000 ± 0"),
        (Estimate(0.0, 0.0, (0.0, 0.0), n=9), "0.000 ± 0"),
        (Estimate(-0.00001, 0.02, (0, 0), n=9), "0.000 ± 0.020"),
        (Estimate(-0.01, 1.0, (-0.04, 2.0), n=9, unit="%"), "0.0% [0.0, 2.0]"),
        (Estimate(99.9812, 0.012, (99.951, 99.998), n=9, unit="%"), "99.98% [99.95, 100.00]"),
        (Estimate(100, 0.0, (100, 100), n=9, unit="%"), "100.0% [100.0, 100.0]"),
        (Estimate(99.9999996, 2e-6, (99.9999, 100.0), n=9, unit="%"), "100.0% [100.0, 100.0]"),
        (Estimate(12345.6, 120.0, (0, 0), n=9), "12346 ± 120"),
        (Estimate(3e-12, 2e-14, (0, 0), n=9), "3e-12 ± 2e-14"),
        (Estimate(0.25, n=1), "0.25"),
        (Estimate.undefined("no baseline"), "undefined: no baseline"),
    ],
)
def test_prints_two_digits_of_its_uncertainty(estimate: Estimate, text: str) -> None:
    assert str(estimate) == text


def test_interval_and_number_have_the_digits_of_the_uncertainty() -> None:
    estimate = Estimate(-0.02, 0.0099, (-0.04198, -0.0003193), n=9)
    assert estimate.bounds() == ("-0.0420", "-0.0003")
    assert estimate.ranged(signed=True) == "-0.0200 [-0.0420, -0.0003]"
    assert (estimate.number(), estimate.spread) == ("-0.0200", "± 0.0099")
    # A percentile has an interval alone, whose width says as much.
    assert Estimate(1.23456, interval=(1.1, 1.5), n=9).ranged() == "1.23 [1.10, 1.50]"
    assert Estimate(0.25, n=1).bounds() is None
    assert Estimate(0.25, n=1).ranged() == "0.25"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.223, 1.106, 0.0], ["0.223", "1.106", "0.000"]),
        ([10.0, 0.0, 185.0], ["10", "0", "185"]),
        ([123456.7, 0.25], ["123457", "0"]),
        ([2.5e-7, 1e-7], ["2.5e-07", "1e-07"]),
        ([1.5, math.inf, math.nan], ["1.500", "inf", "nan"]),
        ([math.inf], ["inf"]),
        ([], []),
    ],
)
def test_numbers_of_a_column_have_as_many_decimals_each(
    values: list[float], shown: list[str]
) -> None:
    assert alike(values) == shown


@settings(max_examples=60, deadline=None)
@given(numbers, numbers, numbers, numbers, st.integers(0, 10**9), st.text())
def test_json_loses_nothing(
    mean: float, se: float, low: float, high: float, n: int, note: str
) -> None:
    estimate = Estimate(mean, se, (low, high), n=n, level=0.9, unit="%", note=note)
    text = json.dumps(estimate.to_dict(), allow_nan=False)
    reloaded = Estimate.from_dict(json.loads(text))
    assert reloaded == estimate
    assert hash(reloaded) == hash(estimate)
    assert pickle.loads(pickle.dumps(estimate)) == estimate


def test_undefined_says_why_and_holds_no_number() -> None:
    estimate = Estimate.undefined("because", n=7, unit="%")
    assert not estimate.defined
    assert estimate.reason == "because"
    assert math.isnan(estimate.mean)
    assert Estimate.from_dict(json.loads(json.dumps(estimate.to_dict()))) == estimate
    assert estimate != Estimate.undefined("otherwise", n=7, unit="%")


def test_scores_reload_equal_and_print_a_line_each() -> None:
    one = Estimate(1.0, 0.1, (0.8, 1.2), n=5)
    scores = Scores(one, one, one, one, Estimate.undefined("why", unit="%"))
    assert Scores.from_dict(json.loads(json.dumps(scores.to_dict()))) == scores
    text = json.dumps(scores.to_dict(), allow_nan=False)
    assert '"mean": null' in text
    assert "nan" not in text
    assert str(scores).splitlines()[-1] == "recovered   undefined: why"
    assert len(str(scores).splitlines()) == 5
