"""The strings of the paren checker and what is said of them, against definitions by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causal_scrubbing as cs
from causal_scrubbing._gallery.parens import features, generate, tokenize

strings = st.text(alphabet="()", min_size=1, max_size=40)


def balanced_by_hand(string: str) -> bool:
    depth = 0
    for character in string:
        depth += 1 if character == "(" else -1
        if depth < 0:
            return False
    return depth == 0


def share_of_opens(string: str) -> float:
    return string.count("(") / len(string)


@given(st.lists(strings, min_size=1, max_size=20))
@settings(deadline=None, max_examples=50)
def test_features_agree_with_their_definitions(batch: list[str]) -> None:
    table = features.signs(batch)
    for row, string in enumerate(batch):
        opens, size = string.count("("), len(string)
        suffixes = [string[i:] for i in range(size)]
        assert features.lengths(table)[row] == size
        assert features.equal_counts(table)[row].item() == (2 * opens == size)
        assert features.never_above(table)[row].item() == all(
            share_of_opens(s) <= 0.5 for s in suffixes
        )
        assert features.is_balanced(batch)[row].item() == balanced_by_hand(string)
        assert features.open_share(table)[row] == opens / size
        expected = opens / size if string[0] == "(" else -1.0
        assert features.open_share_if_open(table)[row] == expected


@given(strings)
@settings(deadline=None, max_examples=100)
def test_horizon_classes_position_by_position(string: str) -> None:
    classes = features.horizon_classes(features.signs([string]))[0].tolist()
    size = len(string)
    for position, found in enumerate(classes):
        if position > size + 1:
            assert found == features.AT_PAD
        elif position == size + 1:
            closed = string[-1] == ")"
            assert found == (features.END_AFTER_CLOSE if closed else features.END_AFTER_OPEN)
        else:
            above = share_of_opens(string[max(0, position - 1) :]) > 0.5
            assert found == (features.ABOVE if above else features.NOT_ABOVE)


@given(strings)
@settings(deadline=None, max_examples=50)
def test_no_position_above_is_the_horizon_test(string: str) -> None:
    table = features.signs([string])
    classes = features.horizon_classes(table)
    assert torch.equal(features.no_position_above(classes), features.never_above(table))


def test_weighed_horizon_looks_at_both_sides() -> None:
    table = features.signs(["(((())"])
    weights = torch.zeros(41, 42, 2)
    weights[6, :, 1] = 1.0
    uniform = features.horizon_classes(table)
    assert torch.equal(features.horizon_classes(table, weights), uniform)
    weights[6, 5] = torch.tensor([0.6, 1.0])  # four opens before, two closes from here on
    weighed = features.horizon_classes(table, weights)
    assert uniform[0, 5].item() == features.NOT_ABOVE
    assert weighed[0, 5].item() == features.ABOVE
    assert torch.equal(weighed[0, 6:], uniform[0, 6:])


def test_generated_strings_cover_what_the_experiments_split_by() -> None:
    made = generate(4000, np.random.default_rng(0))
    table = features.signs(made)
    assert set(features.lengths(table).tolist()) >= set(range(2, 41, 2))
    assert (features.lengths(table) % 2 == 1).any()
    balanced = features.is_balanced(made)
    assert 0.4 < balanced.double().mean() < 0.6
    count, horizon = features.equal_counts(table), features.never_above(table)
    for fails in (~count & horizon, count & ~horizon, ~count & ~horizon):
        assert fails.double().mean() > 0.05
    assert made == generate(4000, np.random.default_rng(0))
    assert made != generate(4000, np.random.default_rng(1))


def test_tokens_frame_the_string() -> None:
    assert tokenize(["(()"])[0, :7].tolist() == [0, 3, 3, 4, 2, 1, 1]
    assert tokenize(["()" * 20]).shape == (1, 42)


@pytest.mark.parametrize("wrong", ["(" * 41, "(a)", ""])
def test_a_string_the_model_cannot_read_is_named(wrong: str) -> None:
    with pytest.raises(cs.DataError, match=r"string 1 .* is not 1 to 40 parentheses"):
        tokenize(["()", wrong])
