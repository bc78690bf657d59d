from __future__ import annotations

import pytest
import torch

import causal_scrubbing as cs


def test_more_quantiles_than_make_sense_are_refused() -> None:
    assert cs.Dataset(x=torch.arange(4.0)).evaluate(cs.quantiles("x", 1000)).shape == (4,)
    with pytest.raises(cs.DataError, match="is more than 1,000,000"):
        cs.quantiles("x", 10**18)
