from __future__ import annotations

import pytest
import torch

import causal_scrubbing as cs


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.float32])
def test_sums_of_whole_numbers_stay_what_they_are(dtype: torch.dtype) -> None:
    bits = torch.cartesian_prod(*[torch.arange(2)] * 4).to(dtype)
    data = cs.Dataset(**{name: bits[:, i] for i, name in enumerate("abcd")})
    graph = cs.Graph.build(
        inputs=list("abcd"),
        nodes={"s": (cs.add, list("abcd")), "y": (lambda s: s.double(), ["s"])},
        output="y",
    )
    h = cs.Hypothesis(
        graph, cs.claim("y", cs.exact, cs.claim("s", cs.anything, cs.claim("a", "a")))
    )
    result = cs.scrub(h, data, samples=4000)
    assert result.scrubbed.mean == pytest.approx(2, abs=0.1)
    assert set(result.scrubbed_values["output"]) == {0.0, 1.0, 2.0, 3.0, 4.0}
