"""Features of real numbers: rounding found, and the four ways to say what is meant."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causal_scrubbing as cs
from causal_scrubbing._data import feature_from_plain, feature_name, feature_to_plain


def sums(p: int = 59) -> cs.Dataset:
    a, b = torch.cartesian_prod(torch.arange(p), torch.arange(p)).T
    return cs.Dataset(a=a, b=b, y=(a + b) % p)


def cosine(rows: cs.Dataset) -> torch.Tensor:
    return torch.cos(2 * math.pi * 7 * (rows["a"] + rows["b"]) / 59)


def same(rows: cs.Dataset) -> torch.Tensor:
    return torch.minimum(rows["y"], (59 - rows["y"]) % 59)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_classes_split_by_rounding_are_an_error_with_both_counts(dtype: torch.dtype) -> None:
    data = sums()

    def feature(rows: cs.Dataset) -> torch.Tensor:
        return torch.cos(2 * math.pi * 7 * (rows["a"] + rows["b"]).to(dtype) / 59)

    split = len(feature(data).unique())
    assert split > 40 > data.classes(same).count == 30
    with pytest.raises(cs.DataError, match=rf"has {split} classes .* only 30 .*cs\.rounded\("):
        data.classes(feature)
    with pytest.raises(cs.DataError, match="only 30"):
        data.with_fields(c=feature).classes(("y", "c"))
    assert data.classes(cs.distinct(feature)).count == split
    assert data.classes(cs.rounded(feature)).digest == data.classes(same).digest


def test_a_claim_of_a_split_feature_scores_as_its_integer_form() -> None:
    data = sums()
    graph = cs.Graph.build(
        inputs=["a", "b"],
        nodes={"s": (lambda a, b: (a + b) % 59, ["a", "b"]), "out": (lambda s: s, ["s"])},
        output="out",
    )

    def right(out: torch.Tensor, rows: cs.Dataset) -> torch.Tensor:
        return out == rows["y"]

    def recovered(feature: Any) -> float:
        h = cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("s", feature)))
        return float(cs.exact_scrub(h, data, metric=right).recovered.mean)

    with pytest.raises(cs.CausalScrubbingError, match="rounding has split"):
        recovered(cosine)
    assert recovered(cs.rounded(cosine, decimals=6)) == pytest.approx(recovered(same))


def test_columns_count_as_a_tuple_and_infinities_as_values() -> None:
    noise = torch.tensor([0.0, 1e-12] * 6, dtype=torch.float64)
    table = torch.stack([torch.arange(12.0).double() // 4 + noise, torch.zeros(12).double()], 1)
    with pytest.raises(cs.DataError, match=r"has 6 classes .* only 3"):
        cs.Dataset(t=table).classes("t")
    with pytest.raises(cs.DataError, match=r"has 6 classes .* only 3"):
        cs.Dataset(t=table).classes("t[0]")
    assert cs.Dataset(t=table).classes(cs.rounded("t")).count == 3
    endless = torch.tensor([math.inf, math.inf, -math.inf, 0.5, 0.5, 0.75])
    assert cs.Dataset(x=endless).classes("x").count == 4
    assert cs.Dataset(x=endless).classes(cs.quantiles("x", 2)).count == 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(10**7), 10**7), min_size=2, max_size=30))
def test_integers_held_as_floats_are_never_split_by_rounding(values: list[int]) -> None:
    x = torch.tensor(values, dtype=torch.float64)
    assert cs.Dataset(x=x).classes("x").count == len(set(values))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_of_any_distance_are_not_split_by_rounding(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    for draw in (torch.rand, torch.randn):
        x = draw(2000, generator=generator, dtype=dtype)
        with pytest.warns(cs.Notice, match="rows are alone in their class.*cs.quantiles"):
            assert cs.Dataset(x=x).classes("x").count == len(x.unique())


def test_a_notice_where_nearly_every_row_is_alone_and_none_once_it_is_meant() -> None:
    data = cs.Dataset(x=torch.rand(40, generator=torch.Generator().manual_seed(1)))
    with pytest.warns(cs.Notice, match="40 of 40 rows are alone"):
        data.classes("x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.classes(cs.distinct("x"))
        data.classes(cs.exact)
        data.classes(cs.quantiles("x", 4))
        data[:10].classes("x")
        cs.Dataset(i=torch.arange(40.0)).classes("i")


def test_bins_of_a_width_lie_between_its_multiples() -> None:
    data = cs.Dataset(x=[-0.1, 0.0, 0.1 + 0.2, 0.3, 0.59, 0.9])
    assert data.evaluate(cs.bins("x", width=0.3)).tolist() == [-1, 0, 1, 1, 1, 3]
    assert data.evaluate(cs.bins("x", width=0.3, centre=0)).tolist() == [0, 0, 1, 1, 2, 3]


def test_bins_go_around_a_circle() -> None:
    data = cs.Dataset(t=[287.0, 301.9, 302.0, 272.0, 271.9, 287.0 - 360])
    around = data.evaluate(cs.bins("t", width=30, circular=360, centre=287))
    assert around.tolist() == [0, 0, 1, 0, 11, 0]
    assert data.evaluate(cs.bins("t", count=4, circular=360)).tolist() == [3, 3, 3, 3, 3, 3]


def test_a_count_of_bins_covers_the_range_and_a_constant() -> None:
    data = cs.Dataset(x=[0.0, 1, 2, 3, 4], c=[7.0] * 5)
    assert data.evaluate(cs.bins("x", count=4)).tolist() == [0, 1, 2, 3, 3]
    assert data.evaluate(cs.bins("c", count=4)).tolist() == [0] * 5


def test_quantiles_follow_weights_and_keep_equal_values_together() -> None:
    x = torch.tensor([5.0, 1, 2, 3, 4, 4, 4, 4])
    assert cs.Dataset(x=x).evaluate(cs.quantiles("x", 2)).tolist() == [1, 0, 0, 0, 1, 1, 1, 1]
    heavy = cs.Dataset(x=[1.0, 2, 3, 4], weights=[6, 2, 1, 1])
    assert heavy.evaluate(cs.quantiles("x", 2)).tolist() == [0, 1, 1, 1]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 60), st.integers(0, 1000))
def test_quantiles_of_different_values_differ_by_one_row_at_most(n, rows, seed) -> None:
    x = np.random.default_rng(seed).permutation(rows) + 0.25
    classes = cs.Dataset(x=x).classes(cs.quantiles("x", n))
    assert classes.count == min(n, rows)
    assert classes.sizes.max() - classes.sizes.min() <= 1
    order = np.argsort(x)
    assert (np.diff(classes.ids[order]) >= 0).all()


def test_they_equal_by_content_and_work_on_whatever_is_a_feature() -> None:
    assert cs.rounded("x", 3) == cs.rounded("x", decimals=3) != cs.rounded("x", 4)
    assert cs.bins(cosine, width=2) == cs.bins(cosine, width=2) != cs.bins("a", width=2)
    assert cs.quantiles(("a", "b"), 3) == (cs.quantiles("a", 3), cs.quantiles("b", 3))
    data = sums()
    first, again = cs.rounded(cosine), cs.rounded(cosine)
    assert data.classes(first) is data.classes(again)
    assert data.classes((first, again)) is not None
    pairs = data.with_fields(ab=lambda rows: torch.stack([rows["a"], rows["b"]], 1))
    assert pairs.classes(cs.bins("ab[1]", width=10)).count == 6
    assert pairs.classes(cs.bins("ab", width=10)).count == 36
    assert pairs.classes(cs.bins(cs.rounded("ab[0]", -1), width=30)).count == 3


def test_they_are_permitted_and_joined_by_content() -> None:
    data = sums()
    graph = cs.Graph.build(
        inputs=["a", "b"],
        nodes={"s": (cs.add, ["a", "b"]), "out": (lambda s: s * 2, ["s"])},
        output="out",
    )

    def claimed() -> cs.Hypothesis:
        return cs.Hypothesis(graph, cs.claim("out", cs.exact, cs.claim("s", cs.rounded(cosine))))

    joined = cs.join(claimed(), claimed())
    (part,) = [e.claim for e in joined.tree.claims if e.claim.node == "s"]
    assert part.feature == cs.rounded(cosine)
    assert cs.permits(claimed(), claimed(), data)


SAVED = [
    "x",
    "x[3]",
    cs.exact,
    cs.anything,
    ("x", "y"),
    cs.rounded("x", decimals=4),
    cs.bins("x[3]", width=0.25),
    cs.bins("x", count=5),
    cs.bins("x", width=30, circular=360, centre=287),
    (cs.quantiles("x", 7), "y"),
    cs.distinct(cs.rounded("x")),
]


@pytest.mark.parametrize("feature", SAVED, ids=feature_name)
def test_features_are_saved_as_plain_values_and_read_again(feature: Any) -> None:
    told = json.loads(json.dumps(feature_to_plain(feature)))
    assert feature_from_plain(told) == feature


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "not a saved feature"),
        ({"of": "x"}, "not a saved feature"),
        ({"kind": ["x"]}, "not a saved feature"),
        ({"kind": "median", "of": "x"}, "the kinds are exact, anything, rounded, bins"),
        ({"kind": "rounded"}, "lacks what it is made of"),
        ({"kind": "rounded", "of": "x", "digits": 3}, "has no option digits"),
        ({"kind": "bins", "of": "x"}, "give width="),
        ({"kind": "rounded", "of": {"kind": "exact"}}, "exact has no values of its own"),
    ],
)
def test_what_is_not_a_saved_feature_is_refused(given: Any, message: str) -> None:
    with pytest.raises(cs.DataError, match=message):
        feature_from_plain(given)


def test_a_function_is_not_saved() -> None:
    with pytest.raises(cs.DataError, match="'cosine' is a function"):
        feature_to_plain(cs.rounded(cosine))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cs.rounded(cs.exact), "exact has no values of its own"),
        (lambda: cs.rounded("x", decimals=1.5), "decimals=1.5 is not an integer"),  # type: ignore[arg-type]
        (lambda: cs.bins("x"), "give width="),
        (lambda: cs.bins("x", width=1, count=2), "give width="),
        (lambda: cs.bins("x", width=0), "width=0 is not a positive number"),
        (lambda: cs.bins("x", width=True), "width=True is not a positive number"),
        (lambda: cs.bins("x", count=0), "count=0 is not a positive integer"),
        (lambda: cs.bins("x", count=3, centre=1), "leaves centre= no effect"),
        (lambda: cs.bins("x", width=50, circular=360), "has 7.2 bins of width 50"),
        (lambda: cs.bins("x", width=50, centre="a"), "centre='a' is not a number"),  # type: ignore[arg-type]
        (lambda: cs.quantiles("x", 0), "n=0 is not a positive integer"),
        (lambda: cs.distinct(5), "5 has no values of its own"),
    ],
)
def test_options_that_do_not_fit_are_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(cs.DataError, match=message):
        make()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "b"], "not real numbers"),
        ([1.0, math.nan], "NaN"),
        ([1.0, math.inf], "infinite at some row"),
        ([1j, 2], "not real numbers"),
    ],
)
def test_values_that_lie_in_no_bin_are_refused(values: list[object], message: str) -> None:
    with pytest.raises(cs.DataError, match=message):
        cs.Dataset(x=values).classes(cs.bins("x", width=1))
